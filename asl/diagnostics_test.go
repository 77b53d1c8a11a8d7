package asl

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestDiagnostics runs the scripts in testdata/diagnostics. parse prints what
// is said of a definition; express does so for an EXPRESS machine. state wraps
// its input in a machine first: {"StartAt":"S","States":{"S": …}}, with the
// query language of the argument language, if there is one, as the machine's.
func TestDiagnostics(t *testing.T) {
	datadriven.Walk(t, "testdata/diagnostics", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			parse, src := Parse, d.Input
			if d.HasArg("express") || d.Cmd == "express" {
				parse = ParseExpress
			}
			if d.Cmd == "state" {
				lang := ""
				if d.HasArg("language") {
					d.ScanArgs(t, "language", &lang)
					lang = `"QueryLanguage":"` + lang + `",`
				}
				src = "{" + lang + `"StartAt":"S","States":{"S":` + src + "}}"
			}
			p, diags := parse([]byte(src))
			var b strings.Builder
			failed := false
			for _, d := range diags {
				sev := ""
				if failed = failed || d.Severity == Error; d.Severity == Warning {
					sev = "warning "
				}
				fmt.Fprintf(&b, "%s%s: %s", sev, d.Code, d.Message)
				if d.Location != "" {
					fmt.Fprintf(&b, " @ %s", d.Location)
				}
				b.WriteByte('\n')
			}
			if failed != (p == nil) {
				t.Errorf("%s: a program and an error, or neither", d.Pos)
			}
			if p != nil {
				b.WriteString("ok\n")
			}
			return b.String()
		})
	})
}
