package asl

import (
	"math"
	"strconv"
	"strings"
	"time"

	"tokaido/jsonpath"
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
	name     string // as AWS's messages have it, e.g. "Output", "TimeoutSecondsPath"
	lit      value.Value
	form     form
	expr     *jsonpath.Expression // path
	tmpl     *jsonpath.Template   // payload
	tree     tree                 // queries; its root is the query of a single expression
	min, max int64                // of EvalInt and EvalFloat
}

type form uint8

const (
	constant   form = iota
	path            // an expression of JSONPath
	payload         // a payload template
	queries         // JSONata
	stateInput      // what a Map of JSONata iterates over if it does not say
)

// noLimit is the maximum of a field that has none.
const noLimit = math.MaxInt64

// Name is the field's name as AWS's messages have it: "Output",
// "TimeoutSecondsPath", "Arguments". "" if f is nil.
func (f *Field) Name() string {
	if f == nil {
		return ""
	}
	return f.name
}

// short is the name without the part of the state that the field is in.
func (f *Field) short() string { return f.name[strings.LastIndexByte(f.name, '/')+1:] }

// Template returns the field as the definition writes it; Undefined if f is nil.
func (f *Field) Template() value.Value {
	if f == nil {
		return value.Value{}
	}
	return f.lit
}

// Dynamic reports whether the field must be computed: false for constants and for nil.
func (f *Field) Dynamic() bool { return f != nil && f.form != constant }

// Constant returns the field's value if it is the same whatever the scope.
func (f *Field) Constant() (value.Value, bool) {
	if f == nil || f.form != constant {
		return value.Value{}, false
	}
	return f.constant(), true
}

// constant is lit, but for the null that means an empty object.
func (f *Field) constant() value.Value {
	if f.lit.IsNull() && (f.name == "InputPath" || f.name == "OutputPath") {
		return value.Object()
	}
	return f.lit
}

// Eval computes the field. A nil field yields s.Input: a state without
// InputPath, Parameters, ResultSelector or OutputPath passes on what it has.
// (What a missing Output or ItemSelector means is the engine's to say.)
func (f *Field) Eval(s *Scope) (value.Value, *Failure) {
	if f == nil {
		return s.Input, nil
	}
	switch f.form {
	case path:
		return f.path(s)
	case payload:
		v, err := f.tmpl.Eval(s.jsonpath())
		if err != nil {
			return value.Value{}, pathFailure(err)
		}
		return v, nil
	case queries:
		return f.tree.eval(s)
	case stateInput:
		return s.Input, nil
	}
	return f.constant(), nil
}

func (s *Scope) jsonpath() *jsonpath.Scope {
	return &jsonpath.Scope{Input: s.Input, Context: s.Context, Var: s.Var, Rand: s.Rand}
}

// follow follows a path; one into the input needs nothing else of the scope.
func (s *Scope) follow(p *jsonpath.Path) (value.Value, error) {
	if root, _ := p.Root(); root == jsonpath.Document {
		return p.Eval(s.Input)
	}
	return p.Resolve(s.jsonpath())
}

func runtimeFailure(cause string) *Failure { return &Failure{Error: "States.Runtime", Cause: cause} }

func pathFailure(err error) *Failure {
	if f, ok := err.(*jsonpath.Failure); ok {
		return &Failure{Error: f.Name, Cause: f.Cause}
	}
	return runtimeFailure(err.Error())
}

// path evaluates a field that is a path, or may be a call where the language
// says so (ErrorPath, CausePath).
func (f *Field) path(s *Scope) (value.Value, *Failure) {
	p := f.expr.Path()
	if p != nil && p.Identity() {
		if root, _ := p.Root(); root == jsonpath.Document {
			return s.Input, nil
		}
	}
	if f.name == "ErrorPath" || f.name == "CausePath" {
		v, err := f.expr.Field(s.jsonpath(), f.name)
		if err != nil {
			return value.Value{}, pathFailure(err)
		}
		return v, nil
	}
	v, err := s.follow(p)
	if err == nil {
		return v, nil
	}
	m, missing := err.(*jsonpath.Missing)
	switch f.name {
	case "ItemsPath":
		if missing {
			root := s.Input
			if r, name := p.Root(); r == jsonpath.Context && s.Context != nil {
				root = s.Context()
			} else if r == jsonpath.Variable && s.Var != nil {
				root, _ = s.Var(name)
			}
			if c := p.Conflict(root); c != nil && !root.IsUndefined() {
				return value.Value{}, &Failure{Error: "States.ReferencePathConflict", Cause: c.Error()}
			}
		}
	case "SecondsPath", "TimestampPath":
		if missing {
			return value.Value{}, runtimeFailure("The " + f.name + " parameter does not reference an input value: " + m.Path)
		}
	}
	return value.Value{}, runtimeFailure(err.Error())
}

// query returns the expression that the whole field is; nil if it is none.
func (f *Field) query() *query {
	if f != nil && f.form == queries {
		return f.tree.q
	}
	return nil
}

// ref is the field's path as AWS's messages about reference paths have it:
// without what it starts from.
func (f *Field) ref() string {
	p := f.expr.Path()
	root, name := p.Root()
	switch src := p.Source(); root {
	case jsonpath.Context:
		return src[1:]
	case jsonpath.Variable:
		return "$" + src[1+len(name):]
	default:
		return src
	}
}

// EvalArray computes a field that must be an array: Items and ItemsPath. With
// s.ObjectItems an object will do, whose members are then the items.
func (f *Field) EvalArray(s *Scope) (value.Value, *Failure) {
	v, fail := f.Eval(s)
	if fail != nil || v.IsArray() || s.ObjectItems && v.IsObject() {
		return v, fail
	}
	switch q := f.query(); {
	case f == nil || f.form == path:
		ref := "$"
		if f != nil {
			ref = f.ref()
		}
		return v, runtimeFailure(`Reference path "` + ref + `" must point to array.`)
	case q != nil:
		return v, q.wrongType("array", v)
	}
	return v, &Failure{
		Error: "States.QueryEvaluationError", Cause: "Map state input must be an array but was: " + jsonpath.Text(v), Evaluation: true,
	}
}

// number is what EvalInt and EvalFloat share: the field's value, which must be
// a number, or, where a path leads to it, the text of one.
func (f *Field) number(s *Scope, want string) (value.Value, *Failure) {
	v, fail := f.Eval(s)
	if fail != nil || f.form == constant {
		return v, fail
	}
	n := v
	if f.form == path && v.IsString() {
		if x, err := value.ParseString(v.Str()); err == nil && x.IsNumber() {
			n = x
		}
	}
	_, whole := n.Int()
	if n.IsNumber() && (whole || want == "float") {
		return n, nil
	}
	switch q := f.query(); {
	case f.form == path && f.name == "SecondsPath":
		return v, runtimeFailure("The SecondsPath parameter cannot be parsed as a long value: " + f.expr.Source() + " == " + plain(v))
	case f.form == path:
		return v, runtimeFailure("The " + f.short() + ` field refers to value "` + plain(v) + `" which is not a valid ` + want + ": " + f.expr.Source())
	case q != nil && v.IsNumber():
		return v, q.failure("returned an unexpected result type. Expected 'integer', but was 'number' for value: " + jsonpath.Text(v))
	case q != nil:
		return v, q.wrongType("number", v)
	}
	return v, runtimeFailure("The field '" + f.name + "' must be a number but was: " + jsonpath.Text(v))
}

// plain is a value as messages have it that do not quote texts.
func plain(v value.Value) string {
	if v.IsString() {
		return v.Str()
	}
	return jsonpath.Text(v)
}

// outside says that a number is not in the field's range.
func (f *Field) outside(v value.Value) *Failure {
	cause := ""
	switch base := strings.TrimSuffix(f.short(), "Path"); {
	case f.name == "SecondsPath":
		cause = "The SecondsPath parameter references a negative value: " + f.expr.Source() + " == " + plain(v)
	case base == "ToleratedFailurePercentage":
		cause = base + " must be between 0 and 100."
	case base == "MaxItems":
		return &Failure{Error: "States.ItemReaderFailed", Cause: "field MaxItems must be positive"}
	case f.max == noLimit && f.min == 0:
		cause = base + " cannot be negative."
	default:
		cause = base + " must be between " + strconv.FormatInt(f.min, 10) + " and " + strconv.FormatInt(f.max, 10) + "."
	}
	if q := f.query(); q != nil {
		return &Failure{Error: "States.QueryEvaluationError", Cause: cause, Field: q.where, Evaluation: true}
	}
	return runtimeFailure(cause)
}

// EvalInt computes a field that must be a whole number in the range that the
// field has in the language: TimeoutSeconds, HeartbeatSeconds, Seconds,
// MaxConcurrency, ToleratedFailureCount, MaxItems, MaxItemsPerBatch,
// MaxInputBytesPerBatch and their Path forms. 0 if f is nil.
func (f *Field) EvalInt(s *Scope) (int64, *Failure) {
	if f == nil {
		return 0, nil
	}
	v, fail := f.number(s, "integer")
	if fail != nil {
		return 0, fail
	}
	n, _ := v.Int()
	if n < f.min || n > f.max {
		return 0, f.outside(v)
	}
	return n, nil
}

// EvalFloat is EvalInt for ToleratedFailurePercentage. 0 if f is nil.
func (f *Field) EvalFloat(s *Scope) (float64, *Failure) {
	if f == nil {
		return 0, nil
	}
	v, fail := f.number(s, "float")
	if fail != nil {
		return 0, fail
	}
	n := v.Float()
	if n < float64(f.min) || n > float64(f.max) {
		return 0, f.outside(v)
	}
	return n, nil
}

// EvalString computes a field that must be a string: Error, Cause, their Path
// forms, and RoleArn of Credentials. ok is false if f is nil.
func (f *Field) EvalString(s *Scope) (text string, ok bool, fail *Failure) {
	if f == nil {
		return "", false, nil
	}
	v, fail := f.Eval(s)
	switch q := f.query(); {
	case fail != nil:
		return "", false, fail
	case v.IsString():
		return v.Str(), true, nil
	case q != nil:
		return "", false, q.wrongType("string", v)
	case f.form == path:
		return "", false, runtimeFailure("The " + f.name + " field refers to value \"" + plain(v) + "\" which is not a string: " + f.expr.Source())
	}
	return "", false, runtimeFailure("The field '" + f.name + "' must be a string but was: " + jsonpath.Text(v))
}

// EvalTime computes Timestamp and TimestampPath.
func (f *Field) EvalTime(s *Scope) (time.Time, *Failure) {
	v, fail := f.Eval(s)
	if fail != nil {
		return time.Time{}, fail
	}
	q := f.query()
	if q != nil && !v.IsString() {
		return time.Time{}, q.wrongType("string", v)
	}
	if t, ok := ParseTime(v.Str()); ok {
		return t, nil
	}
	if q != nil {
		return time.Time{}, &Failure{
			Error: "States.QueryEvaluationError", Field: q.where, Evaluation: true,
			Cause: "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: " + v.Str(),
		}
	}
	return time.Time{}, runtimeFailure("The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: " +
		f.expr.Source() + " == " + plain(v))
}

// ParseTime reads an RFC 3339 time as the language has it: with a capital T,
// and a zone that exists.
func ParseTime(s string) (time.Time, bool) {
	const form = "2006-01-02T15:04:05Z"
	if len(s) < len(form) || s[10] != 'T' || s[13] != ':' || s[16] != ':' || strings.IndexByte(s, ',') >= 0 {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, false
	}
	if _, offset := t.Zone(); offset > maxOffset || offset < -maxOffset {
		return time.Time{}, false
	}
	return t, true
}

// maxOffset is as far as a zone may be from UTC, in seconds.
const maxOffset = 18 * 60 * 60

// MaxWait is the longest delay of a Wait state.
const MaxWait = (1<<31 - 1) * time.Second

// Until returns the time at which a Wait state that is entered at s.Now ends; it
// is not before s.Now.
func (w *WaitPart) Until(s *Scope) (time.Time, *Failure) {
	if w.Seconds != nil {
		n, fail := w.Seconds.EvalInt(s)
		if fail != nil {
			return time.Time{}, fail
		}
		if n > int64(MaxWait/time.Second) {
			return time.Time{}, runtimeFailure("Wait state delay is too long.")
		}
		return s.Now.Add(time.Duration(n) * time.Second), nil
	}
	t, fail := w.Timestamp.EvalTime(s)
	if fail != nil {
		return time.Time{}, fail
	}
	// Sub saturates beyond 292 years, which is beyond MaxWait too.
	if t.Sub(s.Now) > MaxWait {
		return time.Time{}, runtimeFailure("Wait state delay is too long.")
	}
	if t.Before(s.Now) {
		return s.Now, nil
	}
	return t, nil
}

// ResultPath says where a result goes in a state's input.
type ResultPath struct {
	ref *jsonpath.Reference // nil: null, the result is dropped
}

// Apply puts result into input. A nil ResultPath, like "$", replaces input by
// result; null keeps input and drops result.
func (p *ResultPath) Apply(input, result value.Value) (value.Value, *Failure) {
	switch {
	case p == nil:
		return result, nil
	case p.ref == nil:
		return input, nil
	}
	v, err := p.ref.Set(input, result)
	if err != nil {
		return value.Value{}, &Failure{Error: "States.ResultPathMatchFailure", Cause: err.Error()}
	}
	return v, nil
}

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
