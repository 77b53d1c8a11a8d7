package asl

import (
	"time"

	"tokaido/value"
)

// Field is a part of a state whose content is computed when the state runs: a
// constant, a path, a payload template, a JSONata expression or a template of
// them. A nil *Field is one that the definition does not have.
//
// A Field knows its type and its range from the place it stands at, so the
// typed methods (EvalInt, EvalString, …) need no more than the Scope, and their
// failures carry AWS's words for that very field.
type Field struct {
	name string // as AWS's messages have it, e.g. "Output", "TimeoutSecondsPath"
	lit  value.Value
}

// Name is the field's name as AWS's messages have it: "Output",
// "TimeoutSecondsPath", "Arguments". "" if f is nil.
func (f *Field) Name() string {
	if f == nil {
		return ""
	}
	return f.name
}

// Template returns the field as the definition writes it; Undefined if f is nil.
func (f *Field) Template() value.Value {
	if f == nil {
		return value.Value{}
	}
	return f.lit
}

// Dynamic reports whether the field must be computed: false for constants and for nil.
func (f *Field) Dynamic() bool { return false }

// Constant returns the field's value if it is the same whatever the scope.
func (f *Field) Constant() (value.Value, bool) { return f.Template(), f != nil && !f.Dynamic() }

// Eval computes the field. A nil field yields s.Input: a state without
// InputPath, Parameters, ResultSelector or OutputPath passes on what it has.
// (What a missing Output or ItemSelector means is the engine's to say.)
func (f *Field) Eval(s *Scope) (value.Value, *Failure) {
	if f == nil {
		return s.Input, nil
	}
	return f.lit, nil
}

// EvalArray computes a field that must be an array (or, since 2025, an object,
// whose members are then the items): Items and ItemsPath.
func (f *Field) EvalArray(s *Scope) (value.Value, *Failure) { return f.Eval(s) }

// EvalInt computes a field that must be a whole number in the range that the
// field has in the language: TimeoutSeconds, HeartbeatSeconds, Seconds,
// MaxConcurrency, ToleratedFailureCount, MaxItems, MaxItemsPerBatch,
// MaxInputBytesPerBatch and their Path forms. 0 if f is nil.
func (f *Field) EvalInt(s *Scope) (int64, *Failure) {
	if f == nil {
		return 0, nil
	}
	i, _ := f.lit.Int()
	return i, nil
}

// EvalFloat is EvalInt for ToleratedFailurePercentage. 0 if f is nil.
func (f *Field) EvalFloat(s *Scope) (float64, *Failure) {
	if f == nil {
		return 0, nil
	}
	return f.lit.Float(), nil
}

// EvalString computes a field that must be a string: Error, Cause, their Path
// forms, and RoleArn of Credentials. ok is false if f is nil.
func (f *Field) EvalString(s *Scope) (text string, ok bool, fail *Failure) {
	if f == nil {
		return "", false, nil
	}
	return f.lit.Str(), true, nil
}

// EvalTime computes Timestamp and TimestampPath.
func (f *Field) EvalTime(s *Scope) (time.Time, *Failure) { return time.Time{}, nil }

// Until returns the time at which a Wait state that is entered at s.Now ends; it
// is not before s.Now.
func (w *WaitPart) Until(s *Scope) (time.Time, *Failure) {
	n, fail := w.Seconds.EvalInt(s)
	return s.Now.Add(time.Duration(n) * time.Second), fail
}

// ResultPath says where a result goes in a state's input.
type ResultPath struct{ null bool }

// Apply puts result into input. A nil ResultPath, like "$", replaces input by
// result; null keeps input and drops result.
func (p *ResultPath) Apply(input, result value.Value) (value.Value, *Failure) {
	if p != nil && p.null {
		return input, nil
	}
	return result, nil
}

// Condition is the test of a Choice rule.
type Condition struct{ name string }

// Eval reports whether the rule applies.
func (c *Condition) Eval(s *Scope) (bool, *Failure) { return false, nil }

// EvalAssign computes the assignments of one Assign field. All of them see s as
// it is; the result is an object with a member for each variable, and Undefined
// if there are none.
func EvalAssign(as []Assignment, s *Scope) (value.Value, *Failure) {
	if len(as) == 0 {
		return value.Value{}, nil
	}
	m := make([]value.Member, len(as))
	for i := range as {
		v, fail := as[i].Value.Eval(s)
		if fail != nil {
			return value.Value{}, fail
		}
		m[i] = value.Member{Key: as[i].Name, Value: v}
	}
	return value.Object(m...), nil
}
