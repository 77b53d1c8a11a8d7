// Package asl turns an Amazon States Language definition into a Program, or
// says everything that is wrong with it at once, in AWS's codes and words. It
// also computes the fields of states (Field.Eval and its kin), because a field
// is compiled here, once. It runs nothing: engine does.
package asl

import (
	"slices"
	"strings"

	"tokaido/value"
)

// Limits of a definition.
const (
	MaxSource        = 1 << 20 // bytes of its text
	MaxStateName     = 80      // characters
	MaxLabel         = 40      // characters of a Map's label
	MaxVariableName  = 80      // characters
	MaxSeconds       = 99_999_999
	MaxDelaySeconds  = 31_622_400
	MaxBatchBytes    = 262_144
	MaxItemsPointer  = 2000 // characters
	maxMachinesDepth = 100  // Maps and Parallels in one another
)

// Severity is how bad a Diagnostic is.
type Severity string

// The severities.
const (
	Error   Severity = "ERROR"
	Warning Severity = "WARNING"
)

// Diagnostic is one thing that is wrong, or odd, in a definition.
type Diagnostic struct {
	Severity Severity
	Code     string // as AWS spells it, e.g. "SCHEMA_VALIDATION_FAILED"
	Message  string
	Location string // "/States/A/Next"; "" where AWS gives none
}

// String is how CreateStateMachine lists it.
func (d Diagnostic) String() string {
	s := d.Code + ": " + d.Message
	if d.Location != "" {
		s += " at " + d.Location
	}
	return s
}

// Parse checks the definition of a STANDARD machine. The diagnostics are all
// there are, in the order of the document but for those about transitions,
// which follow those about the states they go from and to; the Program is nil
// if one of them is an Error.
func Parse(src []byte) (*Program, []Diagnostic) { return parse(src, false) }

// ParseExpress is Parse for an EXPRESS machine, which may do less.
func ParseExpress(src []byte) (*Program, []Diagnostic) { return parse(src, true) }

func parse(src []byte, express bool) (*Program, []Diagnostic) {
	c := compiler{express: express, program: &Program{byName: map[string]*State{}}, labels: map[string]bool{}}
	c.definition(src)
	return c.result()
}

func (c *compiler) result() (*Program, []Diagnostic) {
	if slices.ContainsFunc(c.diags, func(d Diagnostic) bool { return d.Severity == Error }) {
		return nil, c.diags
	}
	return c.program, c.diags
}

func (c *compiler) definition(src []byte) {
	if len(src) > MaxSource {
		c.schema("", "Definition is longer than %d bytes", MaxSource)
		return
	}
	text := string(src)
	if strings.TrimSpace(text) == "" {
		c.schema("", "Definition must be a valid JSON object")
		return
	}
	v, err := value.ParseString(text)
	if err != nil {
		msg, at := JSONProblem(text, err)
		c.report(Error, "INVALID_JSON_DESCRIPTION", at, "%s\n at %s", msg, at)
		return
	}
	if !v.IsObject() {
		c.schema("", "Definition must be a valid JSON object")
		return
	}
	if c.bare {
		v = wrapped(v)
	}
	c.top(v.Compact()) // what is constant goes into outputs, where there is no white space
}
