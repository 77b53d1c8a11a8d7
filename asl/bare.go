package asl

import "tokaido/value"

// BareState is the name that a state has that comes without a machine: the one
// that AWS's TestState gives it.
const BareState = "StateName"

// ParseState checks the definition of one state, called BareState, as part of a
// STANDARD machine of which nothing else is known: its Next, its Default and
// those of its catchers and choices may name any state. Where there is none of
// that name the Program has one in its place of which only the name is set.
// Diagnostics are as Parse has them.
func ParseState(src []byte) (*Program, []Diagnostic) {
	c := compiler{program: &Program{byName: map[string]*State{}}, labels: map[string]bool{}, bare: true}
	c.definition(src)
	return c.result()
}

// wrapped is the machine that a bare state is checked in.
func wrapped(state value.Value) value.Value {
	return value.Object(
		value.Member{Key: "StartAt", Value: value.String(BareState)},
		value.Member{Key: "States", Value: value.Object(value.Member{Key: BareState, Value: state})},
	)
}
