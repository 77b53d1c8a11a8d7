package asl

import (
	"time"

	"tokaido/value"
)

// Scope is what the fields of a state see when they are computed.
type Scope struct {
	Input  value.Value // $ of JSONPath fields; $states.input
	Result value.Value // $states.result; Undefined where there is none
	Error  value.Value // $states.errorOutput; Undefined where there is none

	// Context makes the context object ($$, $states.context); it is called only
	// by a field that looks at it.
	Context func() value.Value
	// Var returns a workflow variable; ok is false if it is not set.
	Var func(name string) (v value.Value, ok bool)

	// ObjectItems lets a Map iterate over an object's members, as AWS does since
	// 2025; without it an object is no list of items, as it was before.
	ObjectItems bool

	// Expired, if set, is asked now and then by a JSONata expression whether to
	// give up: this package has no clock. Its steps are bounded in any case.
	Expired func() bool

	Now  time.Time     // $now, $millis
	Rand func() uint64 // $random, $uuid, States.MathRandom, States.UUID; repeatable by the caller's choice
}

// Failure is why a field could not be computed. It is a workflow's failure,
// not a Go error: the engine makes history of it.
type Failure struct {
	Error string // States.QueryEvaluationError, States.Runtime, States.IntrinsicFailure, …
	Cause string // AWS's words, without the prefix "An error occurred while executing the state"
	// Field is where, relative to the state ("Output/result", "Arguments/FunctionName"): the location of
	// an EvaluationFailed event; "" where that has none.
	Field string
	// Evaluation says that the history shows an EvaluationFailed event for it: it came of JSONata.
	Evaluation bool
}
