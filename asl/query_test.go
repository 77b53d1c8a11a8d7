package asl

import (
	"strings"
	"testing"

	"tokaido/value"
)

// jsonataState parses a machine of JSONata with one state called S.
func jsonataState(t testing.TB, state string) *State {
	t.Helper()
	p, diags := Parse([]byte(`{"QueryLanguage":"JSONata","StartAt":"S","States":{"S":` + state + `}}`))
	if p == nil {
		t.Fatalf("%s: %v", state, diags)
	}
	return p.State("S")
}

func TestQueries(t *testing.T) {
	output := func(out string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			return jsonataState(t, `{"Type":"Parallel","End":true,"Branches":[{"StartAt":"P","States":{"P":{"Type":"Succeed"}}}],"Output":`+out+`}`).Output.Eval(s)
		}
	}
	mapping := func(field string) *MapPart {
		return jsonataState(t, `{"Type":"Map","End":true,`+field+`"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Succeed"}}}}`).Map
	}
	items := func(expr string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) { return mapping(`"Items":"{% ` + expr + ` %}",`).Items.EvalArray(s) }
	}
	noItems := func(s *Scope) (any, *Failure) { return mapping("").Items.EvalArray(s) }
	concurrency := func(expr string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			return mapping(`"MaxConcurrency":"{% ` + expr + ` %}",`).MaxConcurrency.EvalInt(s)
		}
	}
	percentage := func(expr string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			return mapping(`"ToleratedFailurePercentage":"{% ` + expr + ` %}",`).ToleratedFailurePercentage.EvalFloat(s)
		}
	}
	until := func(expr string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			return jsonataState(t, `{"Type":"Wait","End":true,"Timestamp":"{% `+expr+` %}"}`).Wait.Until(s)
		}
	}
	seconds := func(expr string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			return jsonataState(t, `{"Type":"Wait","End":true,"Seconds":"{% `+expr+` %}"}`).Wait.Until(s)
		}
	}
	cause := func(expr string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			v, _, fail := jsonataState(t, `{"Type":"Fail","Cause":"{% `+expr+` %}"}`).Fail.Cause.EvalString(s)
			return v, fail
		}
	}
	condition := func(expr string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			p, diags := Parse([]byte(`{"QueryLanguage":"JSONata","StartAt":"S","States":{"S":{"Type":"Choice","Choices":[{"Condition":` + expr + `,"Next":"E"}]},"E":{"Type":"Succeed"}}}`))
			if p == nil {
				t.Fatal(diags)
			}
			return p.State("S").Choice.Rules[0].Condition.Eval(s)
		}
	}
	const pre = "States.QueryEvaluationError: The JSONata expression '"
	for _, c := range []struct {
		name string
		eval func(*Scope) (any, *Failure)
		want string
	}{
		{"literal", output(`{"a":[1," {% x %} ",null]}`), `{"a":[1," {% x %} ",null]}`},
		{"input", output(`"{% $states.input %}"`), `{"n":5,"l":[1,2]}`},
		{"tree", output(`{"a":["{% $states.input.n + 1 %}",{"b":"{% $states.result.r %}"}],"c":true}`), `{"a":[6,{"b":"res"}],"c":true}`},
		{"context", output(`"{% $states.context.Execution.Name %}"`), `"run"`},
		{"states", output(`"{% $states %}"`), `{"input":{"n":5,"l":[1,2]},"result":{"r":"res"},"context":{"Execution":{"Name":"run"}}}`},
		{"variable", output(`"{% $n & $text %}"`), `"5t"`},
		{"null", output(`"{% null %}"`), `null`},
		{"undefined", output(`{"v":["{% $nope %}"]}`), pre + `$nope' specified for the field 'Output/v[0]' returned nothing (undefined). @Output/v[0]`},
		{"thrown", output(`"{% $nope() %}"`), pre + `$nope()' specified for the field 'Output' threw an error during evaluation. T1006: Attempted to invoke a non-function @Output`},
		{"function", output(`"{% $f := function($x){$x} %}"`), pre + `$f := function($x){$x}' specified for the field 'Output' returned an unsupported result type. @Output`},

		{"items", items(`$states.input.l`), `[1,2]`},
		{"itemsnumber", items(`1`), pre + `1' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was 'number' for value: 1 @Items`},
		{"itemsobject", items(`{'a': 1}`), pre + `{'a': 1}' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was 'object' for value: {"a":1} @Items`},
		{"noitems", noItems, `States.QueryEvaluationError: Map state input must be an array but was: {"n":5,"l":[1,2]} @`},

		{"concurrency", concurrency(`2 + 1`), `3`},
		{"concurrencytext", concurrency(`'3'`), pre + `'3'' specified for the field 'MaxConcurrency' returned an unexpected result type. Expected 'number', but was 'string' for value: "3" @MaxConcurrency`},
		{"concurrencynegative", concurrency(`-1`), `States.QueryEvaluationError: MaxConcurrency cannot be negative. @MaxConcurrency`},
		{"percentage", percentage(`12.5`), `12.5`},
		{"percentagehigh", percentage(`101`), `States.QueryEvaluationError: ToleratedFailurePercentage must be between 0 and 100. @ToleratedFailurePercentage`},

		{"until", until(`'2026-01-01T12:00:09Z'`), `2026-01-01T12:00:09Z`},
		{"untilbad", until(`'2016-12-05 21:29:29Z'`), `States.QueryEvaluationError: The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: 2016-12-05 21:29:29Z @Timestamp`},
		{"untilnumber", until(`5`), pre + `5' specified for the field 'Timestamp' returned an unexpected result type. Expected 'string', but was 'number' for value: 5 @Timestamp`},
		{"seconds", seconds(`$states.input.n`), `2026-01-01T12:00:05Z`},
		{"secondsfraction", seconds(`1.5`), pre + `1.5' specified for the field 'Seconds' returned an unexpected result type. Expected 'integer', but was 'number' for value: 1.5 @Seconds`},
		{"cause", cause(`'because ' & $states.input.n`), `"because 5"`},
		{"causenumber", cause(`5`), pre + `5' specified for the field 'Cause' returned an unexpected result type. Expected 'string', but was 'number' for value: 5 @Cause`},

		{"condition", condition(`"{% $states.input.n = 5 %}"`), `true`},
		{"conditionliteral", condition(`true`), `true`},
		{"conditionnumber", condition(`"{% 1 %}"`), pre + `1' specified for the field 'Choices[0]/Condition' returned an unexpected result type. Expected 'boolean', but was 'number' for value: 1 @Choices[0]/Condition`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := see(`{"n":5,"l":[1,2]}`)
			s.Result = value.MustParse(`{"r":"res"}`)
			if got := said(c.eval(s)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// The parts of $states that an expression does not read are not made.
func TestStatesOnDemand(t *testing.T) {
	s := see(`{"n":5}`)
	s.Context = func() value.Value {
		t.Error("the context object was made for nobody")
		return value.Value{}
	}
	if got := said(jsonataState(t, `{"Type":"Pass","End":true,"Output":"{% $states.input.n %}"}`).Output.Eval(s)); got != "5" {
		t.Error(got)
	}
}

func TestExpired(t *testing.T) {
	s := see(`{}`)
	s.Expired = func() bool { return true }
	got := said(jsonataState(t, `{"Type":"Pass","End":true,"Output":"{% ($f := function($n){ $f($n + 1) }; $f(0)) %}"}`).Output.Eval(s))
	if !strings.HasPrefix(got, "States.QueryEvaluationError: The JSONata expression '($f := function($n){ $f($n + 1) }; $f(0))' specified for the field 'Output' threw an error during evaluation") {
		t.Error(got)
	}
}

func TestJSONataReferences(t *testing.T) {
	p, diags := Parse([]byte(`{"QueryLanguage":"JSONata","StartAt":"B","States":{
	 "B":{"Type":"Pass","Assign":{"x":1,"y":2},"Next":"A"},
	 "A":{"Type":"Pass","Output":{"b":"{% $y + $x %}","a":"{% ($z := 1; $z + $sum([$x])) %}"},"End":true}}}`))
	if p == nil {
		t.Fatal(diags)
	}
	if len(p.References) != 1 || p.References[0].State != "A" || len(p.References[0].Variables) != 2 || p.References[0].Variables[0] != "x" {
		t.Errorf("%+v", p.References)
	}
}

func BenchmarkQuery(b *testing.B) {
	st := jsonataState(b, `{"Type":"Pass","End":true,"Output":{"a":"{% $states.input.a.b + 1 %}","c":"x"}}`)
	s := &Scope{Input: value.MustParse(`{"a":{"b":5}}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, fail := st.Output.Eval(s); fail != nil {
			b.Fatal(fail)
		}
	}
}
