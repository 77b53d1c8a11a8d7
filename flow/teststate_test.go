package flow_test

import (
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/flow"
	"tokaido/store/memory"
)

func TestTestState(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	task := `{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody.$":"$.b"},"ResultPath":"$.r",
		"Retry":[{"ErrorEquals":["A"],"MaxAttempts":2,"IntervalSeconds":3,"BackoffRate":2,"MaxDelaySeconds":5}],
		"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"C"}],"Next":"N"}`
	for name, c := range map[string]struct {
		in                         flow.TestState
		status, output, next, code string
	}{
		"mocked":    {flow.TestState{Definition: task, Mock: &flow.Mock{Result: new(`{"MessageId":"1"}`)}}, "SUCCEEDED", `{"b":1,"r":{"MessageId":"1"}}`, "N", ""},
		"wrongtype": {flow.TestState{Definition: task, Mock: &flow.Mock{Result: new(`{"MessageId":1}`)}}, "", "", "", "ValidationException"},
		"unchecked": {flow.TestState{Definition: task, Mock: &flow.Mock{Result: new(`{"MessageId":1}`), Mode: "NONE"}}, "SUCCEEDED", `{"b":1,"r":{"MessageId":1}}`, "N", ""},
		"retriable": {flow.TestState{Definition: task, Mock: &flow.Mock{Error: &flow.MockError{Error: new("A")}}, RetryCount: new(int64(1))}, "RETRIABLE", "", "", ""},
		"spent":     {flow.TestState{Definition: task, Mock: &flow.Mock{Error: &flow.MockError{Error: new("A")}}, RetryCount: new(int64(2))}, "CAUGHT_ERROR", `{"b":1,"e":{"Error":"A","Cause":null}}`, "C", ""},
		"caught":    {flow.TestState{Definition: task, Mock: &flow.Mock{Error: &flow.MockError{Error: new("B"), Cause: new("c")}}}, "CAUGHT_ERROR", `{"b":1,"e":{"Error":"B","Cause":"c"}}`, "C", ""},
		"unmocked":  {flow.TestState{Definition: task, RoleARN: role}, "", "", "", "ValidationException"},
		"norole":    {flow.TestState{Definition: task}, "", "", "", "ValidationException"},
		"variable":  {flow.TestState{Definition: `{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $x + 1 %}","End":true}`, Variables: new(`{"x":41}`)}, "SUCCEEDED", "42", "", ""},
		"nonsense":  {flow.TestState{Definition: `{"Type":"Tusk"}`}, "", "", "", "InvalidDefinition"},
		"no-json":   {flow.TestState{Definition: `{`}, "", "", "", "InvalidDefinition"},
		"no-object": {flow.TestState{Definition: `[]`}, "", "", "", "InvalidDefinition"},
		"bad-input": {flow.TestState{Definition: `{"Type":"Succeed"}`, Input: new("x")}, "", "", "", "InvalidExecutionInput"},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Scope = scope
			if c.in.Input == nil {
				c.in.Input = new(`{"b":1}`)
			}
			got, err := p.TestState(t.Context(), c.in)
			if fault.Code(err) != c.code || err != nil && c.code == "" {
				t.Fatal(err)
			}
			if got.Status != c.status || got.Output.JSON() != c.output || got.Next != c.next {
				t.Errorf("%s %s %s", got.Status, got.Output, got.Next)
			}
			if name == "retriable" {
				last := got.Inspection[len(got.Inspection)-1]
				if last.Key != "errorDetails" || !strings.Contains(last.Value.JSON(), `"retryBackoffIntervalSeconds":5`) {
					t.Errorf("%s %s", last.Key, last.Value)
				}
			}
		})
	}
}

func FuzzTestState(f *testing.F) {
	s := memory.New()
	p := open(f, s.Journal(), s.Flow())
	f.Add(`{"Type":"Pass","Parameters":{"a.$":"$.b"},"End":true}`, `{"b":1}`, `{"r":1}`)
	f.Add(`{"Type":"Map","Items":"{% $states.input %}","QueryLanguage":"JSONata","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}`, `[1]`, `[2]`)
	f.Add(`{"Type":"Task","Resource":"arn:aws:states:::events:putEvents","Parameters":{},"End":true}`, `{}`, `{"Entries":[{"EventId":[]}]}`)
	f.Fuzz(func(t *testing.T, definition, input, result string) {
		for _, m := range []*flow.Mock{nil, {Result: &result}} {
			if _, err := p.TestState(t.Context(), flow.TestState{Scope: scope, Definition: definition, Input: &input, RoleARN: role, Mock: m}); err != nil && fault.Code(err) == "" {
				t.Error(err)
			}
		}
	})
}
