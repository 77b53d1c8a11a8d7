package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tokaido/asl"
)

// errNo is a check's no: it has said why, so only the exit status is left.
var errNo = errors.New("not valid")

// finding is a diagnostic with its place in a file.
type finding struct {
	File     string `json:"file"`
	Name     string `json:"stateMachine,omitempty"` // logical id in a template
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Location string `json:"location,omitempty"`
}

func validateCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "validate FILE…",
		Short: "Check definitions as AWS checks them: every diagnostic, with its place",
		Long: `Check Amazon States Language definitions as AWS checks them.

A FILE is a definition (JSON, or YAML as SAM writes it), or a SAM or
CloudFormation template with state machines; - is standard input. The exit
status is 1 if a definition has an error; warnings alone are a yes.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			if err := oneOf("format", format, "text", "json", "github"); err != nil {
				return err
			}
			findings := []finding{}
			for _, file := range files {
				found, err := validateFile(file, c.InOrStdin())
				if err != nil {
					return err
				}
				findings = append(findings, found...)
			}
			if err := reporters[format](c.OutOrStdout(), findings); err != nil {
				return err
			}
			errs := 0
			for _, f := range findings {
				if f.Severity == string(asl.Error) {
					errs++
				}
			}
			if errs > 0 {
				return fmt.Errorf("%w: %d of %d findings are errors", errNo, errs, len(findings))
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text, json, or github (annotations of GitHub Actions)")
	return c
}

func validateFile(file string, stdin io.Reader) ([]finding, error) {
	src, err := readFile(file, stdin)
	if err != nil {
		return nil, err
	}
	defs, err := readDefinitions(file, src)
	if err != nil {
		return nil, err
	}
	var found []finding
	for _, d := range defs {
		_, diagnostics := asl.Parse(d.json)
		for _, x := range diagnostics {
			f := finding{File: d.file, Name: d.name, Severity: string(x.Severity), Code: x.Code, Message: x.Message, Location: x.Location}
			f.Line, f.Column = d.line(x.Location)
			found = append(found, f)
		}
	}
	return found, nil
}

// readFile reads a file, or standard input for -.
func readFile(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

var reporters = map[string]func(io.Writer, []finding) error{
	"text": func(w io.Writer, fs []finding) error {
		for _, f := range fs {
			at := f.File
			if f.Line > 0 {
				at = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
			}
			where := f.Location
			if f.Name != "" {
				where = f.Name + where
			}
			if where != "" {
				where = " at " + where
			}
			if _, err := fmt.Fprintf(w, "%s: %s %s: %s%s\n", at, strings.ToLower(f.Severity), f.Code, f.Message, where); err != nil {
				return err
			}
		}
		return nil
	},
	"json": func(w io.Writer, fs []finding) error {
		return encode(w, map[string]any{"findings": fs})
	},
	"github": func(w io.Writer, fs []finding) error {
		for _, f := range fs {
			level := "warning"
			if f.Severity == string(asl.Error) {
				level = "error"
			}
			message := f.Message
			if f.Location != "" {
				message += " at " + f.Location
			}
			if err := annotate(w, level, f.File, f.Line, f.Column, f.Code, message); err != nil {
				return err
			}
		}
		return nil
	},
}
