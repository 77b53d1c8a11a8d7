package asl

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tokaido/internal/conform"
)

// recorded is a case of the conformance suite, as far as this room has to do
// with it.
type recorded struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Definition json.RawMessage `json:"definition"`
	Start      string          `json:"start"`
	Input      json.RawMessage `json:"input"`
	Expect     struct {
		Status  string          `json:"status"`
		Output  json.RawMessage `json:"output"`
		Error   json.RawMessage `json:"error"`
		Cause   json.RawMessage `json:"cause"`
		History []struct {
			Type   string `json:"type"`
			Failed struct {
				Location string `json:"location"`
			} `json:"evaluationFailedEventDetails"`
		} `json:"history"`
	} `json:"expect"`
	Calls []struct {
		Op      string `json:"op"`
		Request struct {
			Definition json.RawMessage `json:"definition"`
			Type       string          `json:"type"`
		} `json:"request"`
		ExpectResponse json.RawMessage `json:"expectResponse"`
		ExpectError    *struct{ Code, Message string }
		MayFail        bool `json:"mayFail"`
	} `json:"calls"`

	file string
}

func cases(t *testing.T) []recorded {
	t.Helper()
	var out []recorded
	files, err := filepath.Glob(filepath.Join(conform.Dir(t, "asl"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var list []recorded
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, c := range list {
			c.file = strings.TrimSuffix(filepath.Base(f), ".json")
			out = append(out, c)
		}
	}
	return out
}

var variable = regexp.MustCompile(`\$\{[^}]*\}`)

// filled is a definition with something in place of the variables of the case.
func filled(def json.RawMessage) string {
	var s string
	if json.Unmarshal(def, &s) != nil {
		s = string(def)
	}
	return variable.ReplaceAllStringFunc(s, func(v string) string {
		switch v {
		case "${region}":
			return "us-east-1"
		case "${account}":
			return "123456789012"
		}
		if strings.Contains(v, "ctivity") {
			return "arn:aws:states:us-east-1:123456789012:activity:worker"
		}
		if strings.Contains(v, "Arn") || strings.Contains(v, "role") {
			return "arn:aws:iam::123456789012:role/conformance"
		}
		return "name"
	})
}

// tally counts the cases of each group and says how many there were.
type tally map[string]*[3]int

func (s tally) add(group string, i int) {
	if s[group] == nil {
		s[group] = new([3]int)
	}
	s[group][i]++
}

func (s tally) print() {
	for _, g := range slices.Sorted(maps.Keys(s)) {
		fmt.Printf("%s: %d passed, %d failed, %d skipped\n", g, s[g][0], s[g][1], s[g][2])
	}
}

// TestConformanceDefinitions parses every definition that AWS took, and every
// one that it refused.
func TestConformanceDefinitions(t *testing.T) {
	groups := tally{}
	check := func(c recorded, def json.RawMessage, express bool, want string, refused bool) {
		parse := Parse
		if express {
			parse = ParseExpress
		}
		text := filled(def)
		p, diags := parse([]byte(text))
		all := make([]string, 0, len(diags))
		for _, d := range diags {
			if d.Severity == Error {
				all = append(all, d.String())
			}
		}
		got := "Invalid State Machine Definition: '" + strings.Join(all, ", ") + "'"
		want = strings.NewReplacer("<partition>", "aws", "<region>", "us-east-1", "<account>", "123456789012").Replace(want)
		switch {
		case refused != (p == nil):
			t.Errorf("%s: refused: %v, but AWS: %v\n%s\n%s", c.ID, p == nil, refused, got, text)
		case refused && want != "" && got != want:
			t.Errorf("%s:\n got %s\nwant %s", c.ID, got, want)
		default:
			groups.add("asl definitions "+c.file, 0)
			return
		}
		groups.add("asl definitions "+c.file, 1)
	}
	for _, c := range cases(t) {
		if c.Definition != nil {
			check(c, c.Definition, c.Type == "EXPRESS", "", false)
		}
		for _, call := range c.Calls {
			if call.Request.Definition == nil || call.Op != "CreateStateMachine" && call.Op != "UpdateStateMachine" {
				continue
			}
			refused := call.ExpectError != nil && call.ExpectError.Code == "InvalidDefinition"
			if call.MayFail || call.ExpectError != nil && !refused {
				groups.add("asl definitions "+c.file, 2)
				continue
			}
			want := ""
			if refused {
				want = call.ExpectError.Message
			}
			check(c, call.Request.Definition, call.Request.Type == "EXPRESS", want, refused)
		}
	}
	groups.print()
}

// TestConformanceValidation holds Parse to what ValidateStateMachineDefinition
// answered.
func TestConformanceValidation(t *testing.T) {
	groups := tally{}
	for _, c := range cases(t) {
		for _, call := range c.Calls {
			if call.Op != "ValidateStateMachineDefinition" || call.ExpectResponse == nil {
				continue
			}
			var want struct {
				Diagnostics []struct{ Severity, Code, Message, Location string }
			}
			if err := json.Unmarshal(call.ExpectResponse, &want); err != nil {
				t.Fatal(err)
			}
			parse := Parse
			if call.Request.Type == "EXPRESS" {
				parse = ParseExpress
			}
			_, diags := parse([]byte(filled(call.Request.Definition)))
			diags = slices.DeleteFunc(diags, func(d Diagnostic) bool { return d.Severity != Error })
			same := len(diags) == len(want.Diagnostics)
			for i := 0; same && i < len(diags); i++ {
				w := want.Diagnostics[i]
				same = diags[i] == Diagnostic{Severity(w.Severity), w.Code, w.Message, w.Location}
			}
			if same {
				groups.add("asl validation "+c.file, 0)
				continue
			}
			groups.add("asl validation "+c.file, 1)
			t.Errorf("%s:\n got %+v\nwant %+v", c.ID, diags, want.Diagnostics)
		}
	}
	groups.print()
}

// TestConformanceReferences holds Program.References to variableReferences.
func TestConformanceReferences(t *testing.T) {
	groups := tally{}
	for _, c := range cases(t) {
		var def json.RawMessage
		for _, call := range c.Calls {
			if call.Request.Definition != nil {
				def = call.Request.Definition
			}
			if call.Op != "DescribeStateMachine" || call.ExpectResponse == nil || def == nil {
				continue
			}
			var want struct {
				VariableReferences map[string][]string `json:"variableReferences"`
			}
			if err := json.Unmarshal(call.ExpectResponse, &want); err != nil {
				t.Fatal(err)
			}
			p, diags := Parse([]byte(filled(def)))
			if p == nil {
				t.Errorf("%s: %v", c.ID, diags)
				groups.add("asl references "+c.file, 1)
				continue
			}
			got := map[string][]string{}
			for _, r := range p.References {
				got[r.State] = r.Variables
			}
			if !maps.EqualFunc(got, want.VariableReferences, slices.Equal) {
				t.Errorf("%s: got %v, want %v", c.ID, got, want.VariableReferences)
				groups.add("asl references "+c.file, 1)
				continue
			}
			groups.add("asl references "+c.file, 0)
		}
	}
	groups.print()
}
