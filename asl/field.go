package asl

import "tokaido/value"

// Field is a part of a state whose content is computed when the state runs: a
// constant, a path, a payload template, a JSONata expression or a template of
// them. A nil *Field is one that the definition does not have.
type Field struct {
	name string // as AWS's messages have it, e.g. "Output", "TimeoutSecondsPath"
	lit  value.Value
}

// ResultPath says where a result goes in a state's input.
type ResultPath struct{ null bool }

// Condition is the test of a Choice rule.
type Condition struct{ name string }
