package engine

import (
	"strings"
	"testing"
	"time"

	"tokaido/asl"
	"tokaido/value"
)

var singleStates = []string{
	`{"Type":"Pass","InputPath":"$.a","Parameters":{"x.$":"$.b","n":1},"ResultPath":"$.r","OutputPath":"$.r","Assign":{"v.$":"$"},"End":true}`,
	`{"Type":"Pass","Result":{"k":1},"ResultPath":"$.a.b","Next":"Other"}`,
	`{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $states.input.a %}","Assign":{"v":"{% $states.input %}"},"Next":"Other"}`,
	`{"Type":"Succeed","InputPath":"$.a","OutputPath":"$.b"}`,
	`{"Type":"Succeed","QueryLanguage":"JSONata","Output":{"c":"{% $states.context.State.Name %}"}}`,
	`{"Type":"Fail","ErrorPath":"$.a","CausePath":"States.Format('{}', $.b)"}`,
	`{"Type":"Fail","QueryLanguage":"JSONata","Error":"{% $states.input.a %}"}`,
	`{"Type":"Fail"}`,
	`{"Type":"Choice","InputPath":"$.a","Choices":[{"Variable":"$.b","NumericGreaterThan":1,"Next":"Other","Assign":{"v.$":"$.b"}},{"Variable":"$.b","IsPresent":false,"Next":"Third"}],"OutputPath":"$.b"}`,
	`{"Type":"Choice","QueryLanguage":"JSONata","Choices":[{"Condition":"{% $states.input.a > 1 %}","Next":"Other","Output":"{% $states.input.a %}"}],"Default":"Third","Output":"{% $states.input.b %}","Assign":{"v":1}}`,
	`{"Type":"Wait","Seconds":0,"InputPath":"$.a","Next":"Other"}`,
	`{"Type":"Wait","QueryLanguage":"JSONata","Seconds":"{% $states.input.a %}","Output":"{% $states.input.b %}","End":true}`,
	`{"Type":"Wait","TimestampPath":"$.a","Next":"Other"}`,
	`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","InputPath":"$.a","Parameters":{"FunctionName.$":"$.b"},"ResultSelector":{"s.$":"$.a"},"ResultPath":"$.r","OutputPath":"$.r.s","Assign":{"v.$":"$.a"},"TimeoutSecondsPath":"$.t",
		"Catch":[{"ErrorEquals":["E","States.Timeout"],"ResultPath":"$.e","Next":"Third","Assign":{"v.$":"$.Error"}},{"ErrorEquals":["States.TaskFailed"],"Next":"Other"}],"Next":"Other"}`,
	`{"Type":"Task","QueryLanguage":"JSONata","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"{% $states.input.a %}"},"Output":{"r":"{% $states.result %}","i":"{% $states.input %}"},"Assign":{"v":"{% $states.result.a %}"},
		"Catch":[{"ErrorEquals":["States.ALL"],"Output":"{% $states.errorOutput %}","Assign":{"v":"{% $states.errorOutput.Cause %}"},"Next":"Third"}],"End":true}`,
	`{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody":"b"},"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":null,"Next":"Other"}],"End":true}`,
}

// outcome is what a state came to, as far as an execution of it alone shows.
type outcome struct{ output, vars, err, cause string }

func textOf(s *string) string {
	if s == nil {
		return "<none>"
	}
	return *s
}

// runOne runs a state as an execution: the obvious way.
func runOne(t *testing.T, p *asl.Program, cfg Config, input value.Value, result value.Value, failed *Failure) outcome {
	t.Helper()
	var out outcome
	cfg.Program = p
	x := New(cfg)
	at := time.UnixMilli(1_000_000).UTC()
	look := func(b Batch) (need Effect, over bool) {
		for _, e := range b.Events {
			switch {
			case e.Type == exitedTypes[p.State(asl.BareState).Type] && e.Type != 0:
				out.output = e.Data.JSON()
				if e.More != nil {
					out.vars = e.More.Vars.JSON()
				}
				over = true
			case e.Type == ExecutionFailed:
				var err, cause *string
				if e.More != nil {
					err, cause = e.More.Error, e.More.Cause
				}
				out.err, out.cause = textOf(err), textOf(cause)
				over = true
			}
		}
		for _, e := range b.Effects {
			switch e := e.(type) {
			case Invoke:
				need = e
			case Sleep:
				if e.Timer%timerKinds == stateTimer {
					need = e
				}
			}
		}
		return need, over
	}
	b, _ := x.Step(at, Start{input}) // entering a state that is not there is an error, after the event that counts
	need, over := look(b)
	for range 3 {
		if over || need == nil {
			break
		}
		switch n := need.(type) {
		case Sleep:
			b, _ = x.Step(n.Until, TimerFired{n.Timer})
		case Invoke:
			if n.Part.Pattern != asl.RequestResponse {
				x.Step(at, TaskSubmitted{n.Task, value.Object()})
			}
			if failed != nil {
				b, _ = x.Step(at, TaskFailed{n.Task, *failed})
			} else {
				b, _ = x.Step(at, TaskDone{n.Task, result})
			}
		}
		need, over = look(b)
	}
	if !over {
		t.Fatal("the execution is not over")
	}
	for _, text := range []*string{&out.cause, &out.output, &out.vars} { // only an execution says where
		*text = strings.ReplaceAll(*text, "An error occurred while executing the state 'StateName' (entered at the event id #2). ", "")
	}
	return out
}

// FuzzSingle holds a state tried by itself to what an execution makes of it.
func FuzzSingle(f *testing.F) {
	for i := range singleStates {
		f.Add(uint8(i), `{"a":{"b":2,"c":[1]},"b":"x","t":3}`, `{"a":1}`, "")
		f.Add(uint8(i), `{"a":"f","b":3}`, `7`, "E")
		f.Add(uint8(i), `{"a":2}`, `[]`, "States.Timeout")
		f.Add(uint8(i), `{"a":"2001-01-01T00:00:00Z"}`, `null`, "Other")
		f.Add(uint8(i), `{"a":{"b":1}}`, `null`, "States.Runtime")
	}
	cfg := Config{
		ExecutionARN: "arn:aws:states:us-east-1:123456789012:express:m:x", Name: "x", MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:m",
		MachineName: "m", RoleARN: "arn:aws:iam::123456789012:role/r", Express: true, Sync: true, Limits: Limits{DataSize: ExpressLimits().DataSize}, // a Wait may be long
	}
	f.Fuzz(func(t *testing.T, which uint8, inputText, resultText, errName string) {
		input, err := value.ParseString(inputText)
		result, err2 := value.ParseString(resultText)
		if err != nil || err2 != nil {
			return
		}
		p, ds := asl.ParseState([]byte(singleStates[int(which)%len(singleStates)]))
		if p == nil {
			t.Fatal(ds)
		}
		var failed *Failure
		if errName != "" {
			failed = &Failure{Error: &errName, Cause: new("because")}
		}
		want := runOne(t, p, cfg, input, result, failed)

		st := p.State(asl.BareState)
		at := time.UnixMilli(1_000_000).UTC()
		for _, mocked := range []bool{false, true} {
			sc := SingleConfig{Config: cfg, State: st, Input: input}
			if mocked && st.Type == asl.Task {
				sc.Mock = &Mock{Result: result, Failure: failed}
			}
			s := NewSingle(sc, at)
			switch need := s.Need().(type) {
			case Sleep:
				s.Woken(need.Until)
			case Invoke:
				if sc.Mock != nil {
					t.Fatal("a mocked state asks for its task")
				}
				if failed != nil {
					s.Failed(at, *failed)
				} else {
					s.Done(at, result)
				}
			}
			got := s.Tried()
			have := outcome{output: got.Output.JSON(), vars: got.Variables.JSON()}
			switch got.Status {
			case SingleFailed:
				have.err, have.cause = textOf(got.Error), textOf(got.Cause)
				if want.err == "" {
					t.Fatalf("failed with %s: %s; an execution hands on %s", have.err, have.cause, want.output)
				}
			case SingleSucceeded, SingleCaught:
			default:
				t.Fatal(got.Status)
			}
			if failed != nil && errName == "States.Timeout" { // its catcher sees "" as the cause of a timeout, not of a failure called so
				have.output, want.output, have.vars, want.vars = "", "", "", ""
			}
			if have != want {
				t.Errorf("tried (mocked %v):\n%+v\nrun:\n%+v", mocked, have, want)
			}
		}
	})
}

func trySingle(t *testing.T, definition string, sc SingleConfig) Tried {
	t.Helper()
	p, ds := asl.ParseState([]byte(definition))
	if p == nil {
		t.Fatal(ds)
	}
	sc.State = p.State(asl.BareState)
	s := NewSingle(sc, time.UnixMilli(1_000_000))
	if s.Need() != nil {
		t.Fatalf("needs %+v", s.Need())
	}
	return s.Tried()
}

func TestSingleMap(t *testing.T) {
	m := func(more string) string {
		return `{"Type":"Map",` + more + `"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}`
	}
	input := value.MustParse(`{"l":[1,2,3],"n":2}`)
	ok := &Mock{Result: value.MustParse(`[0]`)}
	got := trySingle(t, m(`"ItemsPath":"$.l","ItemSelector":{"v.$":"$$.Map.Item.Value","i.$":"$$.Map.Item.Index","n.$":"$.n"},
		"ItemBatcher":{"MaxItemsPerBatchPath":"$.n","BatchInput":{"k":1}},"MaxConcurrency":4,"ToleratedFailurePercentage":50,"ResultSelector":{"r.$":"$"},"ResultPath":"$.o",`), SingleConfig{Input: input, Mock: ok, Failures: 1})
	see := got.Inspection
	for _, c := range []struct {
		name string
		have value.Value
		want string
	}{
		{"afterInputPath", see.AfterInputPath, input.JSON()},
		{"afterItemsPath", see.AfterItemsPath, `[1,2,3]`},
		{"afterItemSelector", see.AfterItemSelector, `[{"v":1,"i":0,"n":2},{"v":2,"i":1,"n":2},{"v":3,"i":2,"n":2}]`},
		{"afterItemBatcher", see.AfterItemBatcher, `[{"BatchInput":{"k":1},"Items":[{"v":1,"i":0,"n":2},{"v":2,"i":1,"n":2}]},{"BatchInput":{"k":1},"Items":[{"v":3,"i":2,"n":2}]}]`},
		{"afterResultSelector", see.AfterResultSelector, `{"r":[0]}`},
		{"output", got.Output, `{"l":[1,2,3],"n":2,"o":{"r":[0]}}`},
	} {
		if c.have.JSON() != c.want {
			t.Errorf("%s %s, want %s", c.name, c.have, c.want)
		}
	}
	if *see.MaxConcurrency != 4 || *see.ToleratedFailurePercentage != 50 || see.ToleratedFailureCount != nil {
		t.Errorf("%+v", see)
	}

	// More than half of three have failed; a retrier is for that.
	got = trySingle(t, m(`"ItemsPath":"$.l","ToleratedFailurePercentage":50,"Retry":[{"ErrorEquals":["X"]},{"ErrorEquals":["States.ALL"],"IntervalSeconds":2,"BackoffRate":1.5}],`), SingleConfig{Input: input, Mock: ok, Failures: 2, Retries: 1})
	if got.Status != SingleRetriable || *got.Error != thresholdError || *got.Cause != thresholdCause || *got.Inspection.Retrier != 1 || got.Inspection.Backoff != 3*time.Second {
		t.Errorf("%+v", got)
	}
	// A threshold that is not declared is not looked at, as AWS has it.
	if got = trySingle(t, m(`"ItemsPath":"$.l",`), SingleConfig{Input: input, Mock: ok, Failures: 3}); got.Status != SingleSucceeded {
		t.Errorf("%+v", got)
	}
	// A batch is closed by its bytes too: {"Items":[11111,… with at most two items in 24.
	got = trySingle(t, m(`"ItemBatcher":{"MaxInputBytesPerBatch":24},`), SingleConfig{Input: value.MustParse(`[11111,22222,33333]`), Mock: ok})
	if want := `[{"Items":[11111,22222]},{"Items":[33333]}]`; got.Inspection.AfterItemBatcher.JSON() != want {
		t.Errorf("%s, want %s", got.Inspection.AfterItemBatcher, want)
	}
	// What cannot be computed ends the inspection where it is.
	got = trySingle(t, m(`"ItemsPath":"$.n","MaxConcurrency":1,`), SingleConfig{Input: input, Mock: ok})
	if got.Status != SingleFailed || *got.Cause != `Reference path "$.n" must point to array.` || got.Inspection.MaxConcurrency != nil || got.Inspection.AfterInputPath.IsUndefined() {
		t.Errorf("%+v", got)
	}
}

func TestSingleContext(t *testing.T) {
	const task = `{"Type":"Task","QueryLanguage":"JSONata","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Arguments":{"FunctionName":"f","Payload":"{% $states.context.Task.Token %}"},"Output":"{% $states.context %}","End":true}`
	mock := &Mock{Result: value.Int(1)}
	got := trySingle(t, task, SingleConfig{Input: value.Object(), Mock: mock, Retries: 2})
	c := got.Output
	if !c.Get("Execution").Get("RoleArn").IsNull() || c.Get("State").Get("RetryCount").JSON() != "2" || c.Get("Execution").Has("RedriveCount") {
		t.Errorf("%s", c)
	}
	if got.Inspection.AfterArguments.Get("Payload").Str() == "" {
		t.Error("no token")
	}
	got = trySingle(t, task, SingleConfig{Input: value.Object(), Mock: mock, Context: value.MustParse(`{"Task":{"Token":"t"}}`)})
	if got.Output.JSON() != `{"Task":{"Token":"t"}}` || got.Inspection.AfterArguments.Get("Payload").Str() != "t" {
		t.Errorf("%s %s", got.Output, got.Inspection.AfterArguments)
	}
}

func TestSingleLimits(t *testing.T) {
	big := value.String(strings.Repeat("x", 300<<10))
	cfg := Config{Limits: ExpressLimits()}
	got := trySingle(t, `{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"End":true}`,
		SingleConfig{Config: cfg, Input: value.Object(), Mock: &Mock{Result: big}})
	if got.Status != SingleFailed || *got.Error != dataLimit {
		t.Errorf("%s %v", got.Status, got.Error)
	}
	got = trySingle(t, `{"Type":"Pass","Assign":{"v.$":"$"},"Result":1,"OutputPath":null,"End":true}`, SingleConfig{Config: cfg, Input: value.Object(), Variables: value.MustParse(`{"w":2}`)})
	if got.Status != SingleSucceeded || got.Variables.JSON() != `{"w":2,"v":1}` {
		t.Errorf("%s %s", got.Status, got.Variables)
	}
}

func BenchmarkSingle(b *testing.B) {
	p, _ := asl.ParseState([]byte(singleStates[0]))
	sc := SingleConfig{State: p.State(asl.BareState), Input: value.MustParse(`{"a":{"b":2}}`)}
	at := time.UnixMilli(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		if NewSingle(sc, at).Tried().Status != SingleSucceeded {
			b.Fatal("failed")
		}
	}
}
