package asl

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokaido/value"
)

// seeds are the definitions of the diagnostics scripts.
func seeds(f *testing.F) (out []string) {
	files, err := filepath.Glob("testdata/diagnostics/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no scripts", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for chunk := range strings.SplitSeq(string(b), "\n\n") {
			text, _, _ := strings.Cut(chunk, "\n----")
			for strings.HasPrefix(text, "#") {
				_, text, _ = strings.Cut(text, "\n")
			}
			cmd, src, _ := strings.Cut(text, "\n")
			if lang := "JSONPath"; strings.HasPrefix(cmd, "state") {
				if strings.Contains(cmd, "JSONata") {
					lang = "JSONata"
				}
				src = `{"QueryLanguage":"` + lang + `","StartAt":"S","States":{"S":` + src + "}}"
			}
			out = append(out, src)
		}
	}
	return out
}

// FuzzParse: a text is refused with an error or becomes a program in which
// every transition arrives, and whose fields can be computed without harm.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, `{"a":[1,{"b":"x"}],"x":5}`)
	}
	f.Fuzz(func(t *testing.T, src, input string) {
		in, err := value.ParseString(input)
		if err != nil || len(src) > 20_000 || len(input) > 1000 {
			return
		}
		p, diags := Parse([]byte(src))
		failed := slices.ContainsFunc(diags, func(d Diagnostic) bool { return d.Severity == Error })
		if failed == (p != nil) {
			t.Fatalf("a program: %v, and %v", p != nil, diags)
		}
		for _, d := range diags {
			if d.Code == "" || d.Message == "" {
				t.Fatalf("nothing said: %+v", d)
			}
		}
		again, more := Parse([]byte(src))
		if !slices.Equal(diags, more) || (again == nil) != (p == nil) {
			t.Fatalf("%v, and then %v", diags, more)
		}
		if p == nil {
			return
		}
		if p.StartAt == nil {
			t.Fatal("no entrance")
		}
		seed := uint64(1)
		s := &Scope{
			Input: in, Result: in, Context: func() value.Value { return in },
			Var:  func(string) (value.Value, bool) { return in, true },
			Rand: func() uint64 { seed = seed*6364136223846793005 + 1; return seed },
		}
		asked := 0
		s.Expired = func() bool { asked++; return asked > 100 }
		for _, st := range p.byName {
			compute(t, st, s)
		}
	})
}

func compute(t *testing.T, st *State, s *Scope) {
	for _, f := range []*Field{st.InputPath, st.Parameters, st.Result, st.ResultSelector, st.OutputPath, st.Arguments, st.Output} {
		_, _ = f.Eval(s)
	}
	_, _ = EvalAssign(st.Assign, s)
	_, _ = st.ResultPath.Apply(s.Input, s.Result)
	if leaving.has(st.Type) && st.Next == nil && st.Type == 0 {
		t.Fatal("a state without a type")
	}
	for _, c := range st.Catch {
		if c.Next == nil {
			t.Fatalf("%s: a catcher leads nowhere", st.Name)
		}
		_, _ = c.Output.Eval(s)
		_, _ = EvalAssign(c.Assign, s)
		_, _ = c.ResultPath.Apply(s.Input, s.Result)
	}
	switch st.Type {
	case Task:
		_, _ = st.Task.Timeout.EvalInt(s)
		_, _ = st.Task.Heartbeat.EvalInt(s)
		_, _, _ = st.Task.RoleArn.EvalString(s)
	case Choice:
		for _, r := range st.Choice.Rules {
			if r.Next == nil {
				t.Fatalf("%s: a rule leads nowhere", st.Name)
			}
			_, _ = r.Condition.Eval(s)
			_, _ = r.Output.Eval(s)
			_, _ = EvalAssign(r.Assign, s)
		}
	case Wait:
		_, _ = st.Wait.Until(s)
	case Fail:
		_, _, _ = st.Fail.Error.EvalString(s)
		_, _, _ = st.Fail.Cause.EvalString(s)
	case Parallel:
		for _, b := range st.Branches {
			if b.StartAt == nil {
				t.Fatalf("%s: a branch without an entrance", st.Name)
			}
		}
	case Map:
		m := st.Map
		if m.Processor.StartAt == nil {
			t.Fatalf("%s: no entrance", st.Name)
		}
		_, _ = m.Items.EvalArray(s)
		_, _ = m.ItemSelector.Eval(s)
		_, _ = m.MaxConcurrency.EvalInt(s)
		_, _ = m.ToleratedFailureCount.EvalInt(s)
		_, _ = m.ToleratedFailurePercentage.EvalFloat(s)
		if m.ItemReader != nil {
			_, _ = m.ItemReader.Arguments.Eval(s)
			_, _ = m.ItemReader.MaxItems.EvalInt(s)
		}
		if m.Batcher != nil {
			_, _ = m.Batcher.MaxItems.EvalInt(s)
			_, _ = m.Batcher.MaxBytes.EvalInt(s)
			_, _ = m.Batcher.Input.Eval(s)
		}
		if m.ResultWriter != nil {
			_, _ = m.ResultWriter.Arguments.Eval(s)
		}
	}
}

// FuzzJSONProblem: whatever is no JSON has something said of it.
func FuzzJSONProblem(f *testing.F) {
	for _, s := range []string{"", "x", `{"a":`, `["a" 1]`, "\"\x01", `{"a":1} x`, "\xff", `{"a":"\u12"}`, "-", "1.e", "1e+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := value.ParseString(s); err != nil {
			if msg, at := JSONProblem(s, err); msg == "" || at == "" {
				t.Fatalf("%q: %q at %q", s, msg, at)
			}
		}
	})
}
