package flow_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/store/memory"
	"tokaido/value"
)

func mocked(result string) *flow.Mock { return &flow.Mock{Result: &result} }

func failing(name string) *flow.Mock { return &flow.Mock{Error: &flow.MockError{Error: &name}} }

func TestTestState(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	task := `{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody.$":"$.b"},"ResultPath":"$.r",
		"Retry":[{"ErrorEquals":["A"],"MaxAttempts":2,"IntervalSeconds":3,"BackoffRate":2,"MaxDelaySeconds":5}],
		"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"C"}],"Next":"N"}`
	distributed := func(more string) string {
		return `{"Type":"Map","QueryLanguage":"JSONata",` + more + `"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
			"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}`
	}
	each := distributed("")
	reader := distributed(`"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON"},"Arguments":{"Bucket":"b","Key":"k"}},`)
	exported := distributed(`"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Arguments":{"Bucket":"b","Prefix":"p"}},`)
	two := `{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}],"End":true}`
	token := strings.Replace(task, "sendMessage", "sendMessage.waitForTaskToken", 1)
	machine := `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"M"},"M":{"Type":"Map","ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","Result":1,"End":true}}},"End":true}}}`
	for name, c := range map[string]struct {
		in                         flow.TestState
		status, output, next, code string
		words                      string
	}{
		"mocked":      {in: flow.TestState{Definition: task, Mock: mocked(`{"MessageId":"1"}`)}, status: "SUCCEEDED", output: `{"b":1,"r":{"MessageId":"1"}}`, next: "N"},
		"wrong-type":  {in: flow.TestState{Definition: task, Mock: mocked(`{"MessageId":1}`)}, code: "ValidationException", words: "Mock result schema validation error: Field 'MessageId' must be a string"},
		"unchecked":   {in: flow.TestState{Definition: task, Mock: &flow.Mock{Result: new(`{"MessageId":1}`), Mode: "NONE"}}, status: "SUCCEEDED", output: `{"b":1,"r":{"MessageId":1}}`, next: "N"},
		"retriable":   {in: flow.TestState{Definition: task, Mock: failing("A"), RetryCount: new(int64(1))}, status: "RETRIABLE"},
		"spent":       {in: flow.TestState{Definition: task, Mock: failing("A"), RetryCount: new(int64(2))}, status: "CAUGHT_ERROR", output: `{"b":1,"e":{"Error":"A","Cause":null}}`, next: "C"},
		"caught":      {in: flow.TestState{Definition: task, Mock: &flow.Mock{Error: &flow.MockError{Error: new("B"), Cause: new("c")}}}, status: "CAUGHT_ERROR", output: `{"b":1,"e":{"Error":"B","Cause":"c"}}`, next: "C"},
		"unmocked":    {in: flow.TestState{Definition: task, RoleARN: role}, code: "ValidationException"},
		"no-role":     {in: flow.TestState{Definition: task}, code: "ValidationException", words: "RoleArn must be specified when testing a Task state"},
		"bad-role":    {in: flow.TestState{Definition: `{"Type":"Succeed"}`, RoleARN: "me"}, code: "InvalidArn", words: "Invalid Arn: 'Invalid ARN prefix: me'"},
		"variable":    {in: flow.TestState{Definition: `{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $x + 1 %}","End":true}`, Variables: new(`{"x":41}`)}, status: "SUCCEEDED", output: "42"},
		"variables":   {in: flow.TestState{Definition: `{"Type":"Succeed"}`, Variables: new(`[]`)}, code: "ValidationException", words: "Variables must be a JSON object"},
		"nonsense":    {in: flow.TestState{Definition: `{"Type":"Tusk"}`}, code: "InvalidDefinition"},
		"no-json":     {in: flow.TestState{Definition: `{`}, code: "InvalidDefinition"},
		"no-object":   {in: flow.TestState{Definition: `[]`}, code: "InvalidDefinition"},
		"bad-input":   {in: flow.TestState{Definition: `{"Type":"Succeed"}`, Input: new("x")}, code: "InvalidExecutionInput"},
		"nested":      {in: flow.TestState{Definition: machine, StateName: "I"}, status: "SUCCEEDED", output: "1"},
		"not-there":   {in: flow.TestState{Definition: machine, StateName: "J"}, code: "ValidationException", words: "State not found in definition"},
		"bare-map":    {in: flow.TestState{Definition: each}, code: "InvalidDefinition", words: "TestState API does not support Map or Parallel states."},
		"activity":    {in: flow.TestState{Definition: `{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}`, RoleARN: role}, code: "InvalidDefinition"},
		"token":       {in: flow.TestState{Definition: token, RoleARN: role}, code: "InvalidDefinition"},
		"any-answer":  {in: flow.TestState{Definition: token, Mock: mocked(`{"MessageId":1}`)}, status: "SUCCEEDED", output: `{"b":1,"r":{"MessageId":1}}`, next: "N"},
		"no-mock":     {in: flow.TestState{Definition: each, IterationFailures: new(int64(0))}, code: "ValidationException", words: "TestState does not support MapIterationFailureCount when a mock is not specified."},
		"no-mock-2":   {in: flow.TestState{Definition: task, Context: new(`{}`), RoleARN: role}, code: "ValidationException", words: "TestState does not support Context when a mock is not specified."},
		"both":        {in: flow.TestState{Definition: task, Mock: &flow.Mock{Result: new(`1`), Error: &flow.MockError{Error: new("A")}}}, code: "ValidationException", words: "A test mock should have only one of the following fields: [result, errorOutput]."},
		"neither":     {in: flow.TestState{Definition: task, Mock: &flow.Mock{}}, code: "ValidationException", words: "A test mock should have only one of the following fields: [result, errorOutput]."},
		"nameless":    {in: flow.TestState{Definition: task, Mock: &flow.Mock{Error: &flow.MockError{Cause: new("c")}}}, code: "ValidationException"},
		"secrets":     {in: flow.TestState{Definition: task, Mock: mocked(`{}`), RevealSecrets: true}, code: "ValidationException", words: "TestState does not support RevealSecrets when a mock is specified."},
		"pass":        {in: flow.TestState{Definition: `{"Type":"Pass","End":true}`, Mock: mocked(`{}`)}, code: "ValidationException", words: "State type 'Pass' is not supported when a mock is specified"},
		"not-json":    {in: flow.TestState{Definition: task, Mock: mocked(`x`)}, code: "ValidationException", words: "Mocked result must be valid JSON"},
		"map-object":  {in: flow.TestState{Definition: each, Mock: mocked(`{}`)}, code: "ValidationException", words: "Mocked result must be an array."},
		"exported":    {in: flow.TestState{Definition: exported, Mock: mocked(`[]`)}, code: "ValidationException", words: "Mocked result must be a JSON object."},
		"one-of-two":  {in: flow.TestState{Definition: two, Mock: mocked(`[1]`)}, code: "ValidationException", words: "Mocked result must contain the same number of items as number of Parallel branches."},
		"too-many":    {in: flow.TestState{Definition: each, Input: new(`[1]`), Mock: mocked(`[1]`), IterationFailures: new(int64(2))}, code: "ValidationException", words: "Map iteration failure count must be less than or equal to the number of Map iterations"},
		"task-count":  {in: flow.TestState{Definition: task, Mock: mocked(`{}`), IterationFailures: new(int64(0))}, code: "ValidationException"},
		"caused":      {in: flow.TestState{Definition: each, Input: new(`[1]`), Mock: failing("A"), ErrorCausedBy: new("A")}, status: "FAILED"},
		"caused-by":   {in: flow.TestState{Definition: each, Input: new(`[1]`), Mock: failing("A"), ErrorCausedBy: new("B")}, code: "ValidationException"},
		"caused-task": {in: flow.TestState{Definition: task, Mock: failing("A"), ErrorCausedBy: new("B")}, code: "ValidationException"},
		"read":        {in: flow.TestState{Definition: reader, Mock: mocked(`[4]`), ReaderData: new(`[1]`)}, status: "SUCCEEDED", output: `[4]`},
		"read-none":   {in: flow.TestState{Definition: each, Mock: mocked(`[4]`), ReaderData: new(`[1]`)}, code: "ValidationException"},
		"read-bad":    {in: flow.TestState{Definition: reader, Mock: mocked(`[4]`), ReaderData: new(`[1`)}, code: "ValidationException"},
		"read-few":    {in: flow.TestState{Definition: reader, Mock: mocked(`[4]`), ReaderData: new(`[1]`), IterationFailures: new(int64(2))}, code: "ValidationException"},
		"read-scalar": {in: flow.TestState{Definition: reader, Mock: mocked(`[4]`), ReaderData: new(`1`)}, status: "FAILED"},
		"context":     {in: flow.TestState{Definition: token, Mock: mocked(`{}`), Context: new(`{"Task":{"Token":"t"},"Execution":{"Input":[],"RedriveCount":1}}`)}, status: "SUCCEEDED", output: `{"b":1,"r":{}}`, next: "N"},
		"context-1":   {in: flow.TestState{Definition: task, Mock: mocked(`{}`), Context: new(`[]`)}, code: "ValidationException", words: "Invalid Context object provided: "},
		"context-2":   {in: flow.TestState{Definition: task, Mock: mocked(`{}`), Context: new(`{"Foo":1}`)}, code: "ValidationException", words: "Invalid Context object provided: Field 'Foo' is not allowed"},
		"context-3":   {in: flow.TestState{Definition: task, Mock: mocked(`{}`), Context: new(`{"State":{"RetryCount":"1"}}`)}, code: "ValidationException", words: "Invalid Context object provided: State.RetryCount must be a number"},
		"context-4":   {in: flow.TestState{Definition: task, Mock: mocked(`{}`), Context: new(`{"Task":{}}`)}, code: "ValidationException", words: "Invalid Context object provided: Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' service integration pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Scope = scope
			if c.in.Input == nil {
				c.in.Input = new(`{"b":1}`)
			}
			got, err := p.TestState(t.Context(), c.in)
			if f, _ := errors.AsType[*fault.Error](err); fault.Code(err) != c.code || f != nil && !strings.HasPrefix(f.Message, c.words) {
				t.Fatal(err)
			} else if err != nil {
				return
			}
			if got.Status.String() != c.status || got.Output.JSON() != c.output || got.Next != c.next {
				t.Errorf("%s %s %s", got.Status, got.Output, got.Next)
			}
			if name == "retriable" && (got.Inspection.Backoff != 5*time.Second || *got.Inspection.Retrier != 0) {
				t.Errorf("%+v", got.Inspection)
			}
		})
	}
}

// TestTestStatePerforms runs Tasks and Waits that are not mocked.
func TestTestStatePerforms(t *testing.T) {
	const lambda = `{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"TimeoutSeconds":60,
		"Credentials":{"RoleArn":"arn:aws:iam::123456789012:role/other"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"End":true}`
	for _, c := range []struct {
		name, definition string
		invoke           flow.InvokerFunc
		took             time.Duration
		status, output   string
	}{
		{"done", lambda, func(_ context.Context, task flow.Task) (value.Value, error) {
			if task.RoleARN != "arn:aws:iam::123456789012:role/other" || task.Args.Get("FunctionName").Str() != "f" || task.ExecutionARN == "" || task.Region != scope.Region {
				return value.Value{}, errors.New("a strange task")
			}
			return value.Int(7), nil
		}, 0, "SUCCEEDED", "7"},
		{"failed", lambda, func(context.Context, flow.Task) (value.Value, error) {
			return value.Value{}, &flow.TaskError{Name: "E", Cause: "c"}
		}, 0, "CAUGHT_ERROR", `{"Error":"E","Cause":"c"}`},
		{"broken", lambda, func(context.Context, flow.Task) (value.Value, error) {
			return value.Value{}, errors.New("a secret")
		}, 0, "CAUGHT_ERROR", `{"Error":"States.TaskFailed","Cause":"The task could not be performed because of an internal error."}`},
		{"late", lambda, func(ctx context.Context, _ flow.Task) (value.Value, error) {
			<-ctx.Done()
			return value.Value{}, ctx.Err()
		}, time.Minute, "CAUGHT_ERROR", `{"Error":"States.Timeout","Cause":""}`},
		{"wait", `{"Type":"Wait","Seconds":90,"Next":"N"}`, nil, 90 * time.Second, "SUCCEEDED", `{}`},
		{"long-wait", `{"Type":"Wait","Seconds":301,"Next":"N"}`, nil, 5 * time.Minute, "FAILED", ""},
		{"no-wait", `{"Type":"Wait","Timestamp":"1999-01-01T00:00:00Z","Next":"N"}`, nil, 0, "SUCCEEDED", `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := flow.Open(t.Context(), flow.Config{Store: memory.New().Flow(), Invoker: c.invoke})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				begun := time.Now()
				got, err := s.TestState(t.Context(), flow.TestState{Scope: scope, Definition: c.definition, RoleARN: role})
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took != c.took {
					t.Errorf("took %v", took)
				}
				if got.Status.String() != c.status || got.Output.JSON() != c.output {
					t.Errorf("%s %s", got.Status, got.Output)
				}
			})
		})
	}
}

// A caller that goes away does not leave a test behind.
func TestTestStateCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := flow.Open(t.Context(), flow.Config{Store: memory.New().Flow()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if got, err := s.TestState(ctx, flow.TestState{Scope: scope, Definition: `{"Type":"Wait","Seconds":90,"Next":"N"}`}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", got.Status, err)
		}
	})
}

// Tests that wait are counted, and those that do not wait are not.
func TestTestStateThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := flow.Open(t.Context(), flow.Config{Store: memory.New().Flow()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		wait := flow.TestState{Scope: scope, Definition: `{"Type":"Wait","Seconds":90,"Next":"N"}`}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if _, err := s.TestState(t.Context(), wait); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if _, err := s.TestState(t.Context(), wait); fault.Code(err) != "ThrottlingException" {
			t.Error(err)
		}
		if _, err := s.TestState(t.Context(), flow.TestState{Scope: scope, Definition: `{"Type":"Succeed"}`}); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if _, err := s.TestState(t.Context(), wait); err != nil {
			t.Error(err)
		}
	})
}

// What a Task answers is taken from the service's model, spelled as Step
// Functions spells it.
func TestMockedAnswers(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	for _, c := range []struct{ resource, args, mode, result, words string }{
		{"lambda:invoke", `{"FunctionName":"f"}`, "", `{"Payload":{"a":1},"StatusCode":200}`, ""},
		{"aws-sdk:lambda:invoke", `{}`, "", `{"Payload":{"a":1}}`, "Field 'Payload' must be a string"},
		{"aws-sdk:lambda:getFunction", `{}`, "PRESENT", `{"Configuration":{"MemorySize":127}}`, "Field 'MemorySize' is less than the minimum value"},
		{"aws-sdk:s3:getObject", `{}`, "", `{"SsekmsKeyId":1}`, "Field 'SsekmsKeyId' must be a string"},
		{"aws-sdk:s3:getObject", `{}`, "", `{"SSEKMSKeyId":1,"ETag":"e","LastModified":"2026-01-01T00:00:00Z"}`, ""},
		{"aws-sdk:s3:getObject", `{}`, "", `{"LastModified":1}`, "Field 'LastModified' must be a string"},
		{"dynamodb:getItem", `{"TableName":"t","Key":{}}`, "", `{"Item":{"a":{"S":1}}}`, "Field 'S' must be a string"},
		{"states:startExecution", `{"StateMachineArn":"a"}`, "", `{"ExecutionArn":"e"}`, "Required field 'StartDate' is missing"},
		{"states:startExecution", `{"StateMachineArn":"a"}`, "PRESENT", `{"ExecutionArn":"e"}`, ""},
		{"states:startExecution.sync", `{"StateMachineArn":"a"}`, "", `{"ExecutionArn":"e","StateMachineArn":"m","Status":"SUCCEEDED","StartDate":"d","Output":{}}`, "Field 'Output' must be a string"},
		{"states:startExecution.sync:2", `{"StateMachineArn":"a"}`, "", `{"ExecutionArn":"e","StateMachineArn":"m","Status":"SUCCEEDED","StartDate":"d","Output":{}}`, ""},
		{"states:startExecution.sync:2", `{"StateMachineArn":"a"}`, "", `{"ExecutionArn":"e","StateMachineArn":"m","Status":"DONE","StartDate":"d"}`, "Field 'Status' is not an expected value"},
		{"bedrock:invokeModel", `{"ModelId":"m"}`, "", `{"Body":{"a":1},"ContentType":"application/json"}`, ""},
		{"bedrock:invokeModel", `{"ModelId":"m"}`, "", `{"Body":{"a":1}}`, "Required field 'ContentType' is missing"},
		{"apigateway:invoke", `{"ApiEndpoint":"e","Method":"GET"}`, "STRICT", `{"any":1}`, ""},
		{"sqs:sendMessage", `{"QueueUrl":"q","MessageBody":"b"}`, "", `[]`, "Mocked result must be a JSON object."},
		{"ecs:runTask.sync", `{"TaskDefinition":"t"}`, "", `{"Failures":{}}`, "Field 'Failures' must be an array"},
		{"aws-sdk:sqs:deleteMessage", `{}`, "", `{}`, ""},
		{"aws-sdk:databasemigration:describeEvents", `{}`, "", `{"Events":1}`, "Field 'Events' must be an array"},
	} {
		_, err := p.TestState(t.Context(), flow.TestState{
			Scope: scope, Mock: &flow.Mock{Result: &c.result, Mode: c.mode},
			Definition: `{"Type":"Task","Resource":"arn:aws:states:::` + c.resource + `","Parameters":` + c.args + `,"End":true}`,
		})
		got := ""
		if f, ok := errors.AsType[*fault.Error](err); ok {
			got = strings.TrimPrefix(f.Message, "Mock result schema validation error: ")
		}
		if got != c.words {
			t.Errorf("%s %s: %q, want %q", c.resource, c.result, got, c.words)
		}
	}
	// What nobody here knows is not let through as if it had been looked at.
	_, err := p.TestState(t.Context(), flow.TestState{
		Scope: scope, Mock: mocked(`{}`), Definition: `{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:qldb:describeLedger","Parameters":{},"End":true}`,
	})
	if fault.Code(err) != "ValidationException" {
		t.Error(err)
	}
}

// TestReaderData reads items as an ItemReader would have, in every form.
func TestReaderData(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	for _, c := range []struct{ name, call, config, data, want string }{
		{"json", "getObject", `{"InputType":"JSON"}`, `[1,{"a":2}]`, `[1,{"a":2}]`},
		{"max", "getObject", `{"InputType":"JSON","MaxItems":1}`, `[1,{"a":2}]`, `[1]`},
		{"pointer", "getObject", `{"InputType":"JSON","ItemsPointer":"/a~1b/1"}`, `{"a/b":[0,[5]]}`, `[5]`},
		{"no-pointer", "getObject", `{"InputType":"JSON","ItemsPointer":"/a/01"}`, `{"a":[0,[5]]}`, "ValidationException"},
		{"jsonl", "getObject", `{"InputType":"JSONL"}`, "{\"a\":1}\n\n2\r\n", `[{"a":1},2]`},
		{"bad-jsonl", "getObject", `{"InputType":"JSONL"}`, "{\"a\":1}\n{", "ValidationException"},
		{"csv", "getObject", `{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"}`, "a,b\n1,\"x, \"\"y\"\"\nz\"\n2\n3,4,5\n,\n", `[{"a":"1","b":"x, \"y\"\nz"},{"a":"2","b":""},{"a":"3","b":"4"},{"a":"","b":""}]`},
		{"given", "getObject", `{"InputType":"CSV","CSVHeaderLocation":"GIVEN","CSVHeaders":["h"],"CSVDelimiter":"PIPE"}`, "a\\|b|c\\d\r\n", `[{"h":"a|b"}]`},
		{"twice", "getObject", `{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"}`, "a,a\n", "ValidationException"},
		{"parquet", "getObject", `{"InputType":"PARQUET"}`, "PAR1", "ValidationException"},
		{"list", "listObjectsV2", `{}`, `[{"Key":"k"}]`, `[{"Key":"k"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := p.TestState(t.Context(), flow.TestState{
				Scope: scope, Mock: mocked(`[]`), ReaderData: &c.data,
				Definition: `{"Type":"Map","QueryLanguage":"JSONata","ItemSelector":"{% $states.context.Map.Item.Value %}","ItemReader":{"Resource":"arn:aws:states:::s3:` + c.call + `","ReaderConfig":` + c.config +
					`,"Arguments":{"Bucket":"b","Key":"k"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}`,
			})
			have := fault.Code(err)
			if err == nil {
				have = got.Inspection.AfterItemSelector.Compact().JSON()
			}
			if have != c.want {
				t.Errorf("%s (%v), want %s", have, err, c.want)
			}
			if c.name == "pointer" && got.Inspection.AfterItemsPointer.JSON() != c.want {
				t.Errorf("%s after the pointer", got.Inspection.AfterItemsPointer)
			}
		})
	}
}

func FuzzTestState(f *testing.F) {
	s := memory.New()
	p := open(f, s.Journal(), s.Flow())
	f.Add(`{"Type":"Pass","Parameters":{"a.$":"$.b"},"End":true}`, `{"b":1}`, `{"r":1}`, "")
	f.Add(`{"Type":"Map","Items":"{% $states.input %}","QueryLanguage":"JSONata","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}`, `[1]`, `[2]`, "")
	f.Add(`{"Type":"Task","Resource":"arn:aws:states:::events:putEvents","Parameters":{"Entries":[]},"End":true}`, `{}`, `{"Entries":[{"EventId":[]}]}`, `{"Execution":{}}`)
	f.Add(`{"Type":"Map","ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}`, `{}`, `[2]`, "a,b\n1,2")
	f.Fuzz(func(t *testing.T, definition, input, result, more string) {
		ctx, stop := context.WithTimeout(t.Context(), time.Millisecond) // for Waits
		defer stop()
		for _, in := range []flow.TestState{
			{},
			{Mock: &flow.Mock{Result: &result}},
			{Mock: &flow.Mock{Result: &result, Mode: "PRESENT"}, Context: &more},
			{Mock: &flow.Mock{Error: &flow.MockError{Error: &result}}, ReaderData: &more},
		} {
			in.Scope, in.Definition, in.Input, in.RoleARN = scope, definition, &input, role
			got, err := p.TestState(ctx, in)
			switch {
			case err != nil && fault.Code(err) == "" && ctx.Err() == nil:
				t.Error(err)
			case err == nil && got.Status == engine.SingleRunning:
				t.Error("not over")
			}
		}
	})
}
