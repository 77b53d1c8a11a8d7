package asl

import (
	"strings"
	"testing"
	"time"

	"tokaido/value"
)

// one parses a machine of one state called S and returns it.
func one(t testing.TB, state string) *State {
	t.Helper()
	p, diags := Parse([]byte(`{"StartAt":"S","States":{"S":` + state + `}}`))
	if p == nil {
		t.Fatalf("%s: %v", state, diags)
	}
	return p.State("S")
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func see(input string) *Scope {
	return &Scope{
		Input:   value.MustParse(input),
		Context: func() value.Value { return value.MustParse(`{"Execution":{"Name":"run"}}`) },
		Var: func(name string) (value.Value, bool) {
			v := value.MustParse(`{"n":5,"list":[1],"text":"t"}`).Get(name)
			return v, !v.IsUndefined()
		},
		Now: noon,
	}
}

// said is how a result or a failure reads.
func said(v any, fail *Failure) string {
	if fail != nil {
		s := fail.Error + ": " + fail.Cause
		if fail.Evaluation {
			s += " @" + fail.Field
		}
		return s
	}
	switch v := v.(type) {
	case value.Value:
		return v.Compact().JSON()
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	x, _ := value.Of(v)
	return x.JSON()
}

func TestPathFields(t *testing.T) {
	pass := func(field string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			st := one(t, `{"Type":"Pass","End":true,`+field+`}`)
			if st.InputPath != nil {
				return st.InputPath.Eval(s)
			}
			return st.OutputPath.Eval(s)
		}
	}
	wait := func(field string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) { return one(t, `{"Type":"Wait","End":true,`+field+`}`).Wait.Until(s) }
	}
	timeout := func(field string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			return one(t, `{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true,`+field+`}`).Task.Timeout.EvalInt(s)
		}
	}
	mapping := func(field string) *MapPart {
		return one(t, `{"Type":"Map","End":true,`+field+`"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Succeed"}}}}`).Map
	}
	items := func(field string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) { return mapping(field).Items.EvalArray(s) }
	}
	concurrency := func(s *Scope) (any, *Failure) {
		return mapping(`"MaxConcurrencyPath":"$.x",`).MaxConcurrency.EvalInt(s)
	}
	percentage := func(s *Scope) (any, *Failure) {
		return mapping(`"ToleratedFailurePercentagePath":"$.x",`).ToleratedFailurePercentage.EvalFloat(s)
	}
	reads := func(field string) func(*Scope) (any, *Failure) {
		return func(s *Scope) (any, *Failure) {
			return mapping(`"ItemReader":{"Resource":"arn:aws:states:::s3:listObjectsV2","ReaderConfig":{` + field + `}},`).ItemReader.MaxItems.EvalInt(s)
		}
	}
	fails := func(s *Scope) (any, *Failure) {
		v, _, fail := one(t, `{"Type":"Fail","ErrorPath":"$.x"}`).Fail.Error.EvalString(s)
		return v, fail
	}
	for _, c := range []struct {
		name  string
		eval  func(*Scope) (any, *Failure)
		input string
		want  string
	}{
		{"identity", pass(`"InputPath":"$"`), `{"a":1}`, `{"a":1}`},
		{"null", pass(`"InputPath":null`), `{"a":1}`, `{}`},
		{"nullout", pass(`"OutputPath":null`), `{"a":1}`, `{}`},
		{"variable", pass(`"InputPath":"$list[0]"`), `{}`, `1`},
		{"context", pass(`"OutputPath":"$$.Execution.Name"`), `{}`, `"run"`},
		{"miss", pass(`"InputPath":"$.x"`), `{"a":1}`, `States.Runtime: Invalid path '$.x' : No results for path: $['x']`},
		{"missnested", pass(`"InputPath":"$.no.such"`), `{}`, `States.Runtime: Invalid path '$.no.such' : Missing property in path $['no']`},
		{"novariable", pass(`"InputPath":"$nope"`), `{}`, `States.Runtime: Invalid path '$nope' : No results for path: $nope`},

		{"seconds", wait(`"SecondsPath":"$.s"`), `{"s":5}`, "2026-01-01T12:00:05Z"},
		{"secondszero", wait(`"Seconds":0`), `{}`, "2026-01-01T12:00:00Z"},
		{"secondsmiss", wait(`"SecondsPath":"$.s"`), `{}`, "States.Runtime: The SecondsPath parameter does not reference an input value: $.s"},
		{"secondsnegative", wait(`"SecondsPath":"$.s"`), `{"s":-1}`, "States.Runtime: The SecondsPath parameter references a negative value: $.s == -1"},
		{"secondsfraction", wait(`"SecondsPath":"$.s"`), `{"s":1.5}`, "States.Runtime: The SecondsPath parameter cannot be parsed as a long value: $.s == 1.5"},
		{"secondstext", wait(`"SecondsPath":"$.s"`), `{"s":"x"}`, "States.Runtime: The SecondsPath parameter cannot be parsed as a long value: $.s == x"},
		{"secondsfar", wait(`"SecondsPath":"$.s"`), `{"s":2147483648}`, "States.Runtime: Wait state delay is too long."},
		{"until", wait(`"Timestamp":"2026-01-02T00:00:00+09:00"`), `{}`, "2026-01-02T00:00:00+09:00"},
		{"past", wait(`"Timestamp":"2016-01-02T00:00:00.123456789123Z"`), `{}`, "2026-01-01T12:00:00Z"},
		{"far", wait(`"TimestampPath":"$.t"`), `{"t":"2094-01-20T12:00:00Z"}`, "States.Runtime: Wait state delay is too long."},
		{"nearlyfar", wait(`"TimestampPath":"$.t"`), `{"t":"2094-01-19T12:00:00Z"}`, "2094-01-19T12:00:00Z"},
		{"notimestamp", wait(`"TimestampPath":"$.t"`), `{"t":"2016-12-05 21:29:29Z"}`, "States.Runtime: The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: $.t == 2016-12-05 21:29:29Z"},
		{"timestampmiss", wait(`"TimestampPath":"$.t"`), `{}`, "States.Runtime: The TimestampPath parameter does not reference an input value: $.t"},

		{"timeout", timeout(`"TimeoutSecondsPath":"$.t"`), `{"t":5}`, `5`},
		{"timeoutmiss", timeout(`"TimeoutSecondsPath":"$.t"`), `{}`, `States.Runtime: Invalid path '$.t' : No results for path: $['t']`},
		{"timeoutzero", timeout(`"TimeoutSecondsPath":"$.t"`), `{"t":0}`, `States.Runtime: TimeoutSeconds must be between 1 and 99999999.`},
		{"timeoutconstant", timeout(`"TimeoutSeconds":7`), `{}`, `7`},

		{"items", items(`"ItemsPath":"$.l",`), `{"l":[1,2]}`, `[1,2]`},
		{"itemsdefault", items(``), `[3]`, `[3]`},
		{"itemsnone", items(``), `{"a":1}`, `States.Runtime: Reference path "$" must point to array.`},
		{"itemsobject", items(`"ItemsPath":"$.l",`), `{"l":{"a":1}}`, `States.Runtime: Reference path "$.l" must point to array.`},
		{"itemscontext", items(`"ItemsPath":"$$.Execution",`), `{}`, `States.Runtime: Reference path "$.Execution" must point to array.`},
		{"itemsmiss", items(`"ItemsPath":"$.a.objects",`), `{"a":{"x":1}}`, `States.ReferencePathConflict: Unable to apply step "objects" to input {"a":{"x":1}}`},
		{"itemsvariable", items(`"ItemsPath":"$list",`), `{}`, `[1]`},

		{"concurrency", concurrency, `{"x":3}`, `3`},
		{"concurrencytext", concurrency, `{"x":"3"}`, `3`},
		{"concurrencyword", concurrency, `{"x":"NoNumber"}`, `States.Runtime: The MaxConcurrencyPath field refers to value "NoNumber" which is not a valid integer: $.x`},
		{"concurrencynegative", concurrency, `{"x":-1}`, `States.Runtime: MaxConcurrency cannot be negative.`},
		{"percentage", percentage, `{"x":12.5}`, `12.5`},
		{"percentageobject", percentage, `{"x":{}}`, `States.Runtime: The ToleratedFailurePercentagePath field refers to value "{}" which is not a valid float: $.x`},
		{"percentagehigh", percentage, `{"x":100.1}`, `States.Runtime: ToleratedFailurePercentage must be between 0 and 100.`},

		{"maxitems", reads(`"MaxItemsPath":"$.x"`), `{"x":100000001}`, `100000001`},
		{"maxitemsfraction", reads(`"MaxItemsPath":"$.x"`), `{"x":1.5}`, `States.Runtime: The MaxItemsPath field refers to value "1.5" which is not a valid integer: $.x`},
		{"maxitemsnegative", reads(`"MaxItemsPath":"$.x"`), `{"x":-1}`, `States.ItemReaderFailed: field MaxItems must be positive`},

		{"error", fails, `{"x":"E"}`, `"E"`},
		{"errormiss", fails, `{"y":1}`, `States.Runtime: The JSONPath '$.x' specified for the field 'ErrorPath' could not be found in the input '{"y":1}'`},
		{"errornumber", fails, `{"x":5}`, `States.Runtime: The ErrorPath field refers to value "5" which is not a string: $.x`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := said(c.eval(see(c.input))); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestParseTime(t *testing.T) {
	for _, s := range []string{"2016-03-14T01:59:00Z", "2016-03-14T01:59:00.1234567890123+09:30", "2024-02-29T23:59:59-18:00"} {
		if _, ok := ParseTime(s); !ok {
			t.Errorf("%s is refused", s)
		}
	}
	for _, s := range []string{
		"", "2016-03-14", "2016-03-14t01:59:00Z", "2016-03-14T01:59:00z", "2016-03-14 01:59:00Z", "2016-03-14T01:59:00", "2016-03-14T01:59Z",
		"2016-3-14T01:59:00.0Z", "2016-03-14T1:59:00.0Z", "2016-13-14T01:59:00Z", "2023-02-29T01:59:00Z", "2016-03-14T24:00:00Z", "2016-03-14T01:59:00,5Z",
		"2016-03-14T01:59:00+19:00", "2016-03-14T01:59:00+0900", "2016-03-14T01:59:60Z", "02016-03-14T01:59:00Z",
	} {
		if _, ok := ParseTime(s); ok {
			t.Errorf("%s is taken", s)
		}
	}
}

func TestObjectItems(t *testing.T) {
	m := one(t, `{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Succeed"}}}}`)
	s := see(`{"a":1}`)
	s.ObjectItems = true
	if got := said(m.Map.Items.EvalArray(s)); got != `{"a":1}` {
		t.Error(got)
	}
}

func TestNilFields(t *testing.T) {
	var f *Field
	s := see(`{"a":1}`)
	if v, fail := f.Eval(s); fail != nil || v.Get("a").Float() != 1 {
		t.Error(v, fail)
	}
	if n, fail := f.EvalInt(s); n != 0 || fail != nil {
		t.Error(n, fail)
	}
	if _, ok, fail := f.EvalString(s); ok || fail != nil {
		t.Error(ok, fail)
	}
	if _, ok := f.Constant(); ok || f.Name() != "" || !f.Template().IsUndefined() {
		t.Error("a field that is not there is something")
	}
}

func TestResultPath(t *testing.T) {
	for _, c := range []struct{ path, input, want string }{
		{`"$"`, `{"a":1}`, `9`},
		{`null`, `{"a":1}`, `{"a":1}`},
		{`"$.b.c"`, `{"a":1}`, `{"a":1,"b":{"c":9}}`},
		{`"$.a"`, `{"a":1}`, `{"a":9}`},
		{`"$.a.b"`, `{"a":1}`, `States.ResultPathMatchFailure: Unable to apply step "b" to input {"a":1}`},
	} {
		st := one(t, `{"Type":"Pass","End":true,"ResultPath":`+c.path+`}`)
		if got := said(st.ResultPath.Apply(value.MustParse(c.input), value.Int(9))); got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
	if got := said((*ResultPath)(nil).Apply(value.Int(1), value.Int(9))); got != "9" {
		t.Error(got)
	}
}

func TestAssign(t *testing.T) {
	st := one(t, `{"Type":"Pass","End":true,"Assign":{"a.$":"$.x","b":{"c.$":"$n","d":1},"e":[1]}}`)
	if got := said(EvalAssign(st.Assign, see(`{"x":[7]}`))); got != `{"a":[7],"b":{"c":5,"d":1},"e":[1]}` {
		t.Error(got)
	}
	want := `States.Runtime: The JSONPath '$.x' specified for the field 'a.$' could not be found in the input '{}'`
	if got := said(EvalAssign(st.Assign, see(`{}`))); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if v, fail := EvalAssign(nil, see(`{}`)); !v.IsUndefined() || fail != nil {
		t.Error(v, fail)
	}
}

func TestCredentials(t *testing.T) {
	for cred, want := range map[string]string{
		`{"RoleArn":"arn:aws:iam::1:role/r"}`:           `"arn:aws:iam::1:role/r"`,
		`{"RoleArn.$":"$.role"}`:                        `"r"`,
		`{"RoleArn.$":"States.Format('{}/x', $.role)"}`: `"r/x"`,
		`{"RoleArn.$":"$.no"}`:                          `States.Runtime: The JSONPath '$.no' specified for the field 'RoleArn.$' could not be found in the input '{"role":"r"}'`,
	} {
		st := one(t, `{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true,"Credentials":`+cred+`}`)
		v, _, fail := st.Task.RoleArn.EvalString(see(`{"role":"r"}`))
		if got := said(v, fail); got != want {
			t.Errorf("%s: %s, want %s", cred, got, want)
		}
	}
}

func TestChoice(t *testing.T) {
	for _, c := range []struct {
		rule, input string
		want        string
	}{
		{`"Variable":"$.x","StringEquals":"a"`, `{"x":"a"}`, "true"},
		{`"Variable":"$.x","StringEquals":"a"`, `{"x":1}`, "false"},
		{`"Variable":"$.x","StringLessThan":"AB"`, `{"x":"A"}`, "true"},
		{`"Variable":"$.x","StringGreaterThan":"z"`, `{"x":"é"}`, "true"},
		{`"Variable":"$.x","StringLessThan":"\uFF5E"`, `{"x":"😀"}`, "true"}, // by UTF-16 units, as Java compares
		{`"Variable":"$.x","StringLessThanEquals":""`, `{"x":""}`, "true"},
		{`"Variable":"$.x","StringEqualsPath":"$.y"`, `{"x":"a","y":"a"}`, "true"},
		{`"Variable":"$.x","StringEqualsPath":"$text"`, `{"x":"t"}`, "true"},
		{`"Variable":"$.x","StringMatches":"log-*.txt"`, `{"x":"log-2026.txt"}`, "true"},
		{`"Variable":"$.x","StringMatches":"log-*.txt"`, `{"x":"log-2026.txt.gz"}`, "false"},
		{`"Variable":"$.x","StringMatches":"*a*b*"`, `{"x":"xxaxxaxbx"}`, "true"},
		{`"Variable":"$.x","StringMatches":"a\\*b"`, `{"x":"a*b"}`, "true"},
		{`"Variable":"$.x","StringMatches":"a\\*b"`, `{"x":"axb"}`, "false"},
		{`"Variable":"$.x","StringMatches":"a\\\\b*"`, `{"x":"a\\bc"}`, "true"},
		{`"Variable":"$.x","StringMatches":""`, `{"x":""}`, "true"},
		{`"Variable":"$.x","NumericEquals":1`, `{"x":1.0}`, "true"},
		{`"Variable":"$.x","NumericEquals":1`, `{"x":"1"}`, "false"},
		{`"Variable":"$.x","NumericGreaterThanEqualsPath":"$.y"`, `{"x":2,"y":2}`, "true"},
		{`"Variable":"$.x","BooleanEquals":true`, `{"x":1}`, "false"},
		{`"Variable":"$.x","BooleanEqualsPath":"$.y"`, `{"x":false,"y":false}`, "true"},
		{`"Variable":"$.x","TimestampEquals":"2026-01-01T00:00:00Z"`, `{"x":"2026-01-01T09:00:00.000+09:00"}`, "true"},
		{`"Variable":"$.x","TimestampLessThan":"2026-01-01T00:00:00Z"`, `{"x":"2023-02-24 12:15:56.832957"}`, "false"},
		{`"Variable":"$.x","TimestampLessThanPath":"$.y"`, `{"x":"2023-01-01T00:00:00Z","y":"never"}`, "false"},
		{`"Variable":"$.x","IsNull":true`, `{"x":null}`, "true"},
		{`"Variable":"$.x","IsNull":false`, `{"x":null}`, "false"},
		{`"Variable":"$.x","IsPresent":true`, `{"x":null}`, "true"},
		{`"Variable":"$.x","IsPresent":false`, `{}`, "true"},
		{`"Variable":"$.x.y","IsPresent":true`, `{"x":1}`, "false"},
		{`"Variable":"$.x","IsTimestamp":true`, `{"x":"2026-01-01t00:00:00Z"}`, "false"},
		{`"Variable":"$.x","IsNumeric":true`, `{"x":1e3}`, "true"},
		{`"Variable":"$.x","IsString":false`, `{"x":[]}`, "true"},
		{`"Variable":"$.x","IsBoolean":true`, `{"x":false}`, "true"},
		{`"Variable":"$$.Execution.Name","StringEquals":"run"`, `{}`, "true"},
		{`"Not":{"Variable":"$.x","IsPresent":true}`, `{}`, "true"},
		{`"And":[{"Variable":"$.x","IsPresent":true},{"Variable":"$.x","NumericEquals":1}]`, `{}`, "false"},
		{`"Or":[{"Variable":"$.x","IsPresent":false},{"Variable":"$.x","NumericEquals":1}]`, `{}`, "true"},
		{`"And":[{"Or":[{"Variable":"$.x","IsNull":true},{"Not":{"Variable":"$.x","IsNull":true}}]}]`, `{"x":1}`, "true"},
		{`"Variable":"$.x","NumericEquals":1`, `{}`, `States.Runtime: Invalid path '$.x': The choice state's condition path references an invalid value.`},
		{`"Variable":"$.x","NumericEqualsPath":"$.y"`, `{"x":1}`, `States.Runtime: Invalid path '$.y': The choice state's condition path references an invalid value.`},
	} {
		st := one(t, `{"Type":"Parallel","End":true,"Branches":[{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Next":"E",`+c.rule+`}]},"E":{"Type":"Succeed"}}}]}`)
		cond := st.Branches[0].StartAt.Choice.Rules[0].Condition
		if got := said(cond.Eval(see(c.input))); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.rule, c.input, got, c.want)
		}
	}
}

func TestResource(t *testing.T) {
	for _, c := range []struct {
		arn             string
		kind            TaskKind
		service, action string
		pattern         Pattern
	}{
		{"arn:aws:states:::lambda:invoke.waitForTaskToken", ServiceTask, "lambda", "invoke", WaitForTaskToken},
		{"arn:aws-cn:states:::states:startExecution.sync:2", ServiceTask, "states", "startExecution", Sync2},
		{"arn:aws:states:::bedrock:invokeModel", ServiceTask, "bedrock", "invokeModel", RequestResponse},
		{"arn:aws:states:::aws-sdk:bedrockruntime:invokeModel", ServiceTask, "aws-sdk:bedrockruntime", "invokeModel", RequestResponse},
		{"arn:aws:states:::aws-sdk:sqs:sendMessage.waitForTaskToken", ServiceTask, "aws-sdk:sqs", "sendMessage", WaitForTaskToken},
		{"arn:aws:states:ap-northeast-1:123456789012:activity:a", ActivityTask, "activity", "", RequestResponse},
		{"arn:aws:lambda:ap-northeast-1:123456789012:function:f:$LATEST", LambdaTask, "lambda", "", RequestResponse},
	} {
		got, problem := parseResource(c.arn)
		if problem != resourceOK || got.Kind != c.kind || got.Service != c.service || got.Action != c.action || got.Pattern != c.pattern || got.Resource != c.arn {
			t.Errorf("%s: %+v, %v", c.arn, got, problem)
		}
	}
}

// The program says everything that the engine runs on.
func TestProgram(t *testing.T) {
	p, diags := Parse([]byte(`{"Comment":"c","Version":"1.0","TimeoutSeconds":60,"StartAt":"T","States":{
	 "T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"TimeoutSeconds":10,"HeartbeatSeconds":5,"Next":"M",
	  "Retry":[{"ErrorEquals":["A","B"],"IntervalSeconds":2,"MaxAttempts":0,"BackoffRate":1.5,"MaxDelaySeconds":9,"JitterStrategy":"FULL"},{"ErrorEquals":["States.ALL"]}],
	  "Catch":[{"ErrorEquals":["States.ALL"],"Next":"M","ResultPath":"$.e","Assign":{"x.$":"$.Cause"}}]},
	 "M":{"Type":"Map","End":true,"Label":"L","ItemsPath":"$.l","ItemSelector":{"v.$":"$$.Map.Item.Value"},"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW","MaxItems":5},"Parameters":{"Bucket":"b"}},
	  "ItemBatcher":{"MaxItemsPerBatch":2,"MaxInputBytesPerBatch":100,"BatchInput":{"a":1}},"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b"}},
	  "ToleratedFailureCount":1,"ToleratedFailurePercentage":2.5,"MaxConcurrency":3,
	  "ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"P","States":{"P":{"Type":"Pass","Result":{"a":1},"End":true}}}}}}`))
	if p == nil {
		t.Fatal(diags)
	}
	task, m, inner := p.State("T"), p.State("M"), p.State("P")
	if p.Timeout != time.Minute || p.StartAt != task || len(p.States) != 2 {
		t.Errorf("%+v", p)
	}
	if task.Next != m || task.Parameters.Template().Get("FunctionName").Str() != "f" {
		t.Errorf("%+v", task)
	}
	r := task.Retry[0]
	if len(r.ErrorEquals) != 2 || r.Interval != 2*time.Second || r.MaxAttempts != 0 || r.BackoffRate != 1.5 || r.MaxDelay != 9*time.Second || !r.FullJitter {
		t.Errorf("%+v", r)
	}
	if r = task.Retry[1]; r.Interval != time.Second || r.MaxAttempts != 3 || r.BackoffRate != 2 || r.MaxDelay != 0 || r.FullJitter {
		t.Errorf("defaults: %+v", r)
	}
	if c := task.Catch[0]; c.Next != m || c.ResultPath == nil || len(c.Assign) != 1 || c.Assign[0].Name != "x" {
		t.Errorf("%+v", c)
	}
	x := m.Map
	if !x.Distributed || !x.Express || x.Label != "L" || x.Processor.StartAt != inner || x.ItemReader == nil || x.Batcher == nil || x.ResultWriter == nil {
		t.Errorf("%+v", x)
	}
	s := see(`{"l":[]}`)
	if got := said(x.ItemReader.MaxItems.EvalInt(s)) + said(x.Batcher.MaxItems.EvalInt(s)) + said(x.Batcher.MaxBytes.EvalInt(s)) +
		said(x.ToleratedFailureCount.EvalInt(s)) + said(x.ToleratedFailurePercentage.EvalFloat(s)) + said(x.MaxConcurrency.EvalInt(s)); got != "5210012.53" {
		t.Error(got)
	}
	var names []string
	for st := range p.All() {
		names = append(names, st.Name)
	}
	if strings.Join(names, "") != "TMP" {
		t.Error(names)
	}
	if child := p.Child(m); child.StartAt != inner || child.State("P") != inner {
		t.Errorf("%+v", child)
	}
	if v, fail := inner.Result.Eval(s); fail != nil || v.Get("a").Float() != 1 {
		t.Error(v, fail)
	}
}

// A definition that is wrong in many places says so many times.
func TestAllDiagnosticsAtOnce(t *testing.T) {
	_, diags := Parse([]byte(`{"StartAt":"A","Nope":1,"States":{"A":{"Type":"Pass","InputPath":"x","Foo":1,"Next":"B"},"B":{"Type":"Task","Next":"C"},"C":{"Type":"Wait"}}}`))
	var at []string
	for _, d := range diags {
		at = append(at, d.Location)
	}
	if got := strings.Join(at, " "); got != "/ /States/A/InputPath /States/A /States/B /States/C /States/C" {
		t.Error(got, diags)
	}
}
