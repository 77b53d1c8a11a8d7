package asl

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"tokaido/value"
)

// runner takes a machine through its states, as far as that is evaluation: it
// has no tasks, no retries, no history and no time. It holds the fields of this
// room to recorded executions; engine is the real thing.
type runner struct {
	t       *testing.T
	program *Program
	name    string
	input   value.Value
	id      string
	sync    bool // no RedriveCount
	steps   int
	seed    uint64
}

// failed is how a run ends early: a Failure, and the state it happened in.
type failed struct {
	*Failure
	state string
}

const errNotEvaluation = "not evaluation only"

type frameVars struct {
	vars  map[string]value.Value
	outer *frameVars
}

func (f *frameVars) get(name string) (value.Value, bool) {
	for ; f != nil; f = f.outer {
		if v, ok := f.vars[name]; ok {
			return v, true
		}
	}
	return value.Value{}, false
}

func (r *runner) machine(m Machine, in value.Value, outer *frameVars, item value.Value) (value.Value, *failed) {
	vars := &frameVars{map[string]value.Value{}, outer}
	for st := m.StartAt; ; {
		if r.steps++; r.steps > 10_000 {
			return in, &failed{&Failure{Error: errNotEvaluation}, st.Name}
		}
		out, next, fail := r.state(st, in, vars, item)
		if fail != nil {
			return out, fail
		}
		if next == nil {
			return out, nil
		}
		st, in = next, out
	}
}

func (r *runner) scope(st *State, in value.Value, vars *frameVars, item value.Value) *Scope {
	context := func() value.Value {
		redrives := value.Int(0)
		if r.sync {
			redrives = value.Value{}
		}
		state := value.Object(value.Member{Key: "Name", Value: value.String(st.Name)}, value.Member{Key: "EnteredTime", Value: value.String("2026-01-01T00:00:00Z")})
		ctx := value.Object(
			value.Member{Key: "Execution", Value: value.Object(
				value.Member{Key: "Id", Value: value.String(r.id)},
				value.Member{Key: "Input", Value: r.input},
				value.Member{Key: "StartTime", Value: value.String("2026-01-01T00:00:00Z")},
				value.Member{Key: "Name", Value: value.String(r.name)},
				value.Member{Key: "RoleArn", Value: value.String("arn:aws:iam::123456789012:role/conformance")},
				value.Member{Key: "RedriveCount", Value: redrives})},
			value.Member{Key: "StateMachine", Value: value.Object(
				value.Member{Key: "Id", Value: value.String("arn:aws:states:us-east-1:123456789012:stateMachine:m")},
				value.Member{Key: "Name", Value: value.String("m")})},
			value.Member{Key: "State", Value: state})
		if !item.IsUndefined() {
			ctx = ctx.With("Map", value.Object(value.Member{Key: "Item", Value: item}))
		}
		return ctx
	}
	return &Scope{
		Input: in, Context: context, Var: vars.get,
		Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Rand: func() uint64 {
			r.seed = r.seed*6364136223846793005 + 1442695040888963407
			return r.seed
		},
	}
}

func (r *runner) state(st *State, raw value.Value, vars *frameVars, item value.Value) (value.Value, *State, *failed) {
	s := r.scope(st, raw, vars, item)
	bad := func(f *Failure) (value.Value, *State, *failed) { return raw, nil, &failed{f, st.Name} }
	in := raw
	if st.Language == JSONPath {
		var fail *Failure
		if in, fail = st.InputPath.Eval(s); fail != nil {
			return bad(fail)
		}
		s.Input = in
	}
	next, assign, output, result := st.Next, st.Assign, st.Output, in
	switch st.Type {
	case Pass:
		switch {
		case st.Result != nil:
			result, _ = st.Result.Eval(s)
		case st.Parameters != nil:
			var fail *Failure
			if result, fail = st.Parameters.Eval(s); fail != nil {
				return bad(fail)
			}
		}
	case Choice:
		next = st.Choice.Default
		for i := range st.Choice.Rules {
			rule := &st.Choice.Rules[i]
			ok, fail := rule.Condition.Eval(s)
			if fail != nil {
				return bad(fail)
			}
			if ok {
				next, assign = rule.Next, rule.Assign
				if rule.Output != nil {
					output = rule.Output
				}
				break
			}
		}
		if next == nil {
			return bad(&Failure{Error: "States.Runtime", Cause: "Failed to transition out of the state. The state does not point to a next state."})
		}
	case Wait:
		if _, fail := st.Wait.Until(s); fail != nil {
			return bad(fail)
		}
	case Fail:
		e, _, fail := st.Fail.Error.EvalString(s)
		if fail != nil {
			return bad(fail)
		}
		c, _, fail := st.Fail.Cause.EvalString(s)
		if fail != nil {
			return bad(fail)
		}
		return raw, nil, &failed{&Failure{Error: e, Cause: c, Field: "Fail"}, ""}
	case Map:
		if st.Map.ItemReader != nil || st.Map.ResultWriter != nil || st.Map.Batcher != nil || st.Catch != nil || st.Retry != nil {
			return bad(&Failure{Error: errNotEvaluation})
		}
		items, fail := st.Map.Items.EvalArray(s)
		if fail != nil {
			return bad(fail)
		}
		if _, fail := st.Map.MaxConcurrency.EvalInt(s); fail != nil {
			return bad(fail)
		}
		if _, fail := st.Map.ToleratedFailureCount.EvalInt(s); fail != nil {
			return bad(fail)
		}
		if _, fail := st.Map.ToleratedFailurePercentage.EvalFloat(s); fail != nil {
			return bad(fail)
		}
		outer := vars
		if st.Map.Distributed {
			outer = nil
		}
		var out []value.Value
		for i, x := range items.Items() {
			it := value.Object(value.Member{Key: "Index", Value: value.Int(int64(i))}, value.Member{Key: "Value", Value: x})
			if st.Map.ItemSelector != nil {
				is := r.scope(st, in, vars, it)
				if x, fail = st.Map.ItemSelector.Eval(is); fail != nil {
					return bad(fail)
				}
			}
			y, f := r.machine(st.Map.Processor, x, outer, it)
			if f != nil {
				return y, nil, f
			}
			out = append(out, y)
		}
		result = value.Array(out...)
		s.Result = result
	case Parallel:
		if st.Catch != nil || st.Retry != nil {
			return bad(&Failure{Error: errNotEvaluation})
		}
		arg, fail := st.Parameters.Eval(s)
		if st.Arguments != nil {
			arg, fail = st.Arguments.Eval(s)
		}
		if fail != nil {
			return bad(fail)
		}
		var out []value.Value
		for _, b := range st.Branches {
			y, f := r.machine(b, arg, vars, item)
			if f != nil {
				return y, nil, f
			}
			out = append(out, y)
		}
		result = value.Array(out...)
		s.Result = result
	case Succeed:
	default:
		return bad(&Failure{Error: errNotEvaluation})
	}
	out := result
	var fail *Failure
	if st.Language == JSONPath {
		s.Input = result
		assigned, fail := EvalAssign(assign, s)
		if fail != nil {
			return bad(fail)
		}
		if out, fail = st.ResultSelector.Eval(s); fail != nil {
			return bad(fail)
		}
		if st.Type != Choice && st.Type != Wait && st.Type != Succeed {
			if out, fail = st.ResultPath.Apply(raw, out); fail != nil {
				return bad(fail)
			}
		}
		s.Input = out
		if out, fail = st.OutputPath.Eval(s); fail != nil {
			return bad(fail)
		}
		maps.Insert(vars.vars, assigned.Members())
		return out, next, nil
	}
	assigned, fail := EvalAssign(assign, s)
	if fail != nil {
		return bad(fail)
	}
	if output != nil {
		if out, fail = output.Eval(s); fail != nil {
			return bad(fail)
		}
	}
	maps.Insert(vars.vars, assigned.Members())
	return out, next, nil
}

var token = regexp.MustCompile(`<[^<> ]+>`)

// fits reports whether got is what was recorded, where a token in a recorded
// text stands for any text, and one alone for any value.
func fits(got, want value.Value) bool {
	switch {
	case want.IsString():
		if loc := token.FindStringIndex(want.Str()); loc != nil && loc[0] == 0 && loc[1] == len(want.Str()) {
			return true
		}
		if !got.IsString() {
			return false
		}
		return fitsText(got.Str(), want.Str())
	case want.IsObject():
		if !got.IsObject() || got.Len() != want.Len() {
			return false
		}
		for k, w := range want.Members() {
			if !got.Has(k) || !fits(got.Get(k), w) {
				return false
			}
		}
		return true
	case want.IsArray():
		if !got.IsArray() || got.Len() != want.Len() {
			return false
		}
		for i, w := range want.Items() {
			if !fits(got.At(i), w) {
				return false
			}
		}
		return true
	}
	return value.Equal(got, want)
}

func fitsText(got, want string) bool {
	parts := token.Split(want, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(got)
}

var prefix = regexp.MustCompile(`^An error occurred while executing the state '[^']*' \(entered at the event id #\d+\)\. `)

// TestConformanceEvaluation runs the recorded executions that are evaluation
// only, in both languages.
func TestConformanceEvaluation(t *testing.T) {
	groups := tally{}
	for _, c := range cases(t) {
		if c.Definition == nil {
			continue
		}
		group := "asl evaluation " + c.file
		p, _ := Parse([]byte(filled(c.Definition)))
		if p == nil {
			groups.add(group, 2)
			continue
		}
		in := value.Object()
		if c.Input != nil {
			in = value.MustParse(string(c.Input))
		}
		r := &runner{t: t, program: p, name: "run", input: in, seed: 1, sync: strings.HasPrefix(c.file, "express_sync"), // what express_async recorded was started otherwise than it says
			id: "arn:aws:states:us-east-1:123456789012:execution:m:run"}
		if c.Type == "EXPRESS" {
			r.id = "arn:aws:states:us-east-1:123456789012:express:m:run:1"
		}
		out, fail := r.machine(p.Machine, in, nil, value.Value{})
		if fail != nil && fail.Error == errNotEvaluation || strings.Contains(string(c.Expect.Error), "DataLimitExceeded") || c.Expect.Status == "TIMED_OUT" {
			groups.add(group, 2)
			continue
		}
		if why := unlike(c, out, fail); why != "" {
			groups.add(group, 1)
			t.Errorf("%s: %s", c.ID, why)
			continue
		}
		groups.add(group, 0)
	}
	groups.print()
}

func unlike(c recorded, out value.Value, fail *failed) string {
	show := out.JSON()
	show = show[:min(len(show), 2000)]
	if fail == nil {
		if c.Expect.Status != "SUCCEEDED" {
			return fmt.Sprintf("succeeded with %s, but AWS: %s %s", show, c.Expect.Status, c.Expect.Cause)
		}
		if want := value.MustParse(string(c.Expect.Output)); !fits(out, want) {
			return fmt.Sprintf("\n got %s\nwant %s", show, want)
		}
		return ""
	}
	if c.Expect.Status != "FAILED" {
		return fmt.Sprintf("failed: %+v, but AWS: %s", fail.Failure, c.Expect.Status)
	}
	str := func(b json.RawMessage) (s string) {
		if b != nil && json.Unmarshal(b, &s) != nil {
			s = string(b)
		}
		return s
	}
	if want := str(c.Expect.Error); !fitsText(fail.Error, want) {
		return fmt.Sprintf("error %s, want %s", fail.Error, want)
	}
	cause := prefix.ReplaceAllString(str(c.Expect.Cause), "")
	if !fitsText(fail.Cause, cause) {
		return fmt.Sprintf("cause\n got %s\nwant %s", fail.Cause, cause)
	}
	for _, e := range c.Expect.History {
		if e.Type == "EvaluationFailed" && e.Failed.Location != fail.Field {
			return fmt.Sprintf("location %q, want %q", fail.Field, e.Failed.Location)
		}
	}
	return ""
}
