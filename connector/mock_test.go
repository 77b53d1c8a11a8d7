package connector_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/connector"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/store/memory"
)

const mockFile = `{
	"StateMachines": {"m": {"TestCases": {
		"Happy": {"L": "Once", "Q": "Sent"},
		"Retry": {"L": "Flaky", "Q": "Sent"},
		"Hybrid": {"L": "Once"},
		"Short": {"L": "Fails", "Q": "Sent"},
		"Empty": {}
	}}, "waits": {"TestCases": {"T": {"T": "Answer"}, "Thrown": {"T": "Fails"}, "None": {}}},
	    "loop": {"TestCases": {"T": {"A": "Counted"}}},
	    "jobs": {"TestCases": {"T": {"P": "Answer"}}},
	    "wrong": {"TestCases": {"NoState": {"Gone": "Once"}, "NoTask": {"E": "Once"}, "Activity": {"W": "Once"}}}},
	"MockedResponses": {
		"Once": {"0": {"Return": {"StatusCode": 200, "Payload": {"body": "hi"}}}},
		"Flaky": {"0": {"Throw": {"Error": "Lambda.ResourceNotReadyException", "Cause": "not ready"}},
			"1-2": {"Throw": {"Error": "Lambda.TimeoutException", "Cause": "timed out"}},
			"3": {"Return": {"StatusCode": 200, "Payload": {"body": "at last"}}}},
		"Fails": {"0": {"Throw": {"Error": "E", "Cause": "c"}}},
		"Sent": {"0-9": {"Return": {"MessageId": "1"}}},
		"Answer": {"0": {"Return": {"answer": [42]}}},
		"Counted": {"2": {"Return": 2}, "0": {"Return": 0}, "1": {"Return": 1}}
	}
}`

const (
	mockedPath = `{"StartAt":"L","States":{
		"L":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"ResultPath":"$.l","Next":"Q",
			"Retry":[{"ErrorEquals":["Lambda.ResourceNotReadyException","Lambda.TimeoutException"],"IntervalSeconds":10,"MaxAttempts":5,"BackoffRate":1},{"ErrorEquals":["E"],"IntervalSeconds":1}]},
		"Q":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody.$":"$.l.Payload.body"},"ResultPath":"$.q","End":true}}}`
	mockedJSONata = `{"QueryLanguage":"JSONata","StartAt":"L","States":{
		"L":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f"},"Output":"{% {'l': $states.result} %}","Next":"Q",
			"Retry":[{"ErrorEquals":["Lambda.ResourceNotReadyException","Lambda.TimeoutException"],"IntervalSeconds":10,"MaxAttempts":5,"BackoffRate":1},{"ErrorEquals":["E"],"IntervalSeconds":1}]},
		"Q":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Arguments":{"QueueUrl":"q","MessageBody":"{% $states.input.l.Payload.body %}"},"Output":"{% $merge([$states.input, {'q': $states.result}]) %}","End":true}}}`
	waitsToken = `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","TimeoutSeconds":100,
		"Parameters":{"QueueUrl":"q","MessageBody.$":"$$.Task.Token"},"End":true}}}`
	loops = `{"QueryLanguage":"JSONata","StartAt":"A","States":{
		"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Assign":{"n":"{% $states.result %}"},"Next":"C"},
		"C":{"Type":"Choice","Choices":[{"Condition":"{% $n = 2 %}","Next":"E"}],"Default":"A"},"E":{"Type":"Succeed","Output":"{% $n %}"}}}`
)

func squeeze(s string) string { return strings.NewReplacer(": ", ":", ", ", ",").Replace(s) }

func TestMocks(t *testing.T) {
	for name, definition := range map[string]string{"JSONPath": mockedPath, "JSONata": mockedJSONata} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := build(t, options{mocks: mockFile})
				defer p.close(t)
				p.create(t, "m", definition)
				for _, c := range []struct {
					testCase string
					status   engine.Status
					want     string
					took     time.Duration
					echoes   int32
				}{
					{"Happy", engine.Succeeded, `{"l":{"StatusCode":200,"Payload":{"body":"hi"}},"q":{"MessageId":"1"}}`, 0, 0},
					{"Retry", engine.Succeeded, `{"l":{"StatusCode":200,"Payload":{"body":"at last"}},"q":{"MessageId":"1"}}`, 30 * time.Second, 0},
					{"Hybrid", engine.Succeeded, `{"l":{"StatusCode":200,"Payload":{"body":"hi"}},"q":{"QueueUrl":"q","MessageBody":"hi"}}`, time.Second, 1},
					{"Short", engine.Failed, `States.Runtime The mocked response 'Fails' of the state 'L' in the test case 'Short' has nothing for the invocation 1.`, time.Second, 1},
				} {
					begun := time.Now()
					o := p.run(t, "m#"+c.testCase, `{}`)
					got := squeeze(o.Output.JSON())
					if o.Status != engine.Succeeded {
						got = text(o.Error) + " " + text(o.Cause)
					}
					if o.Status != c.status || got != c.want || time.Since(begun) != c.took || p.echoes.Load() != c.echoes {
						t.Errorf("%s: %v %s, after %v, %d performed", c.testCase, o.Status, got, time.Since(begun), p.echoes.Load())
					}
					if o.MachineARN != machARN+"m" || strings.Contains(o.ARN, "#") {
						t.Errorf("%s of %s", o.ARN, o.MachineARN)
					}
				}
				if len(p.book.records) > 0 {
					t.Error("somebody was called")
				}
			})
		})
	}
}

func TestMockRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{mocks: mockFile})
		defer p.close(t)
		p.create(t, "m", mockedPath)
		p.create(t, "n", mockedPath)
		a, err := p.CreateActivity(t.Context(), scope, "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		p.create(t, "wrong", `{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"`+a.ARN+`","Next":"E"},"E":{"Type":"Succeed"}}}`)
		for target, want := range map[string]string{
			"n#Happy":        "Invalid Name: 'n#Happy': the mocks have no state machine 'n'",
			"m#Nope":         "Invalid Name: 'm#Nope': the mocks have no such test case",
			"m#":             "Invalid Name: 'm#': the mocks have no such test case",
			"wrong#NoState":  "Invalid Name: 'wrong#NoState': the test case mocks the state 'Gone', which the definition does not have",
			"wrong#NoTask":   "Invalid Name: 'wrong#NoTask': the test case mocks the state 'E', which is a Succeed state: only Task states can be mocked",
			"wrong#Activity": "Invalid Name: 'wrong#Activity': the test case mocks the state 'W', whose activity has workers: it cannot be mocked",
		} {
			_, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: machARN + target})
			if fault.Code(err) != "InvalidName" || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s: %v", target, err)
			}
		}
		q := build(t, options{})
		defer q.close(t)
		q.create(t, "m", mockedPath)
		_, err = q.StartExecution(t.Context(), flow.StartExecution{ARN: machARN + "m#Happy"})
		if fault.Code(err) != "InvalidName" || !strings.Contains(err.Error(), "SFN_MOCK_CONFIG") {
			t.Error(err)
		}
	})
}

// Which response it is the turn of, a restart does not change.
func TestMocksSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		p := build(t, options{store: store, mocks: mockFile})
		p.create(t, "m", mockedPath)
		x := p.start(t, "m#Retry", "", `{}`)
		for range 2 {
			time.Sleep(12 * time.Second)
			p.close(t)
			p = build(t, options{store: store, mocks: mockFile})
		}
		if o := p.end(t, x); o.Status != engine.Succeeded {
			t.Errorf("%v %s %s", o.Status, text(o.Error), text(o.Cause))
		}
		// What was mocked is never performed, even if the mocks have gone.
		x = p.start(t, "m#Retry", "", `{}`)
		time.Sleep(12 * time.Second)
		p.close(t)
		p = build(t, options{store: store})
		if o := p.end(t, x); text(o.Cause) != "The mocks no longer have the test case 'Retry' of the state machine 'm'." {
			t.Errorf("%v %s %s", o.Status, text(o.Error), text(o.Cause))
		}
		p.close(t)
	})
}

// Loops count on; a function's own ARN can be mocked; Express executions too.
func TestMocksCount(t *testing.T) {
	for _, express := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := build(t, options{mocks: mockFile})
			defer p.close(t)
			if _, err := p.CreateStateMachine(t.Context(), flow.CreateStateMachine{Scope: scope, Name: "loop", Definition: loops, RoleARN: runRole, Express: express}); err != nil {
				t.Fatal(err)
			}
			if express {
				o, err := p.StartSyncExecution(t.Context(), flow.StartExecution{ARN: machARN + "loop#T"})
				if err != nil || o.Output.JSON() != "2" {
					t.Errorf("%v %s %s %v", o.Status, o.Output, text(o.Cause), err)
				}
			} else if o := p.run(t, "loop#T", `{}`); o.Output.JSON() != "2" {
				t.Errorf("%v %s %s", o.Status, o.Output, text(o.Cause))
			}
		})
	}
}

// A mocked task waits for nobody, neither a token's answer nor a job's end.
func TestMocksAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{mocks: mockFile})
		defer p.close(t)
		p.create(t, "waits", strings.Replace(waitsToken, `"QueueUrl":"q",`, `"QueueUrl":"q","MessageGroupId":"g",`, 1))
		p.create(t, "jobs", parent(".sync:2", `,"Input.$":"$","Unheard":"of"`))
		for _, target := range []string{"waits#T", "jobs#T"} {
			o := p.run(t, target, `{}`)
			if squeeze(o.Output.JSON()) != `{"answer":[42]}` {
				t.Errorf("%s: %v %s %s", target, o.Status, o.Output, text(o.Cause))
			}
			if got := p.events(t, o.ARN); got != "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskStateExited ExecutionSucceeded" {
				t.Error(got)
			}
		}
		if o := p.run(t, "waits#Thrown", `{}`); text(o.Error) != "E" || text(o.Cause) != "c" {
			t.Errorf("%s %s", text(o.Error), text(o.Cause))
		}
	})
}

func TestParseMocks(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"not-JSON", `{`, ""},
		{"not-an-object", `[]`, "the file: is not an object"},
		{"top", `{"StateMachines":{},"MockedResponse":{}}`, "the file: the member \"MockedResponse\" is not known; it has StateMachines and MockedResponses\nthe file: the member \"MockedResponses\" is missing"},
		{"machine", `{"StateMachines":{"m":{"Cases":{}}},"MockedResponses":{}}`,
			"StateMachines.m: the member \"Cases\" is not known; it has TestCases\nStateMachines.m: the member \"TestCases\" is missing"},
		{"case", `{"StateMachines":{"m":{"TestCases":{"c":1}}},"MockedResponses":{}}`, "StateMachines.m.TestCases.c: is not an object"},
		{"state", `{"StateMachines":{"m":{"TestCases":{"c":{"S":{}}}}},"MockedResponses":{}}`, "StateMachines.m.TestCases.c.S: is not the name of a mocked response: {}"},
		{"named", `{"StateMachines":{"m":{"TestCases":{"c":{"S":"R"}}}},"MockedResponses":{}}`, "StateMachines.m.TestCases.c.S: MockedResponses has no \"R\""},
		{"twice", `{"StateMachines":{"m":{"TestCases":{"c":{},"c":{}}}},"MockedResponses":{}}`, "StateMachines.m.TestCases: has the member \"c\" twice"},
		{"twice-deep", `{"StateMachines":{},"MockedResponses":{"R":{"0":{"Return":[1,{"a":"a","b":[],"a":2}]}}}}`, "MockedResponses.R.0.Return: has the member \"a\" twice"},
		{"number", `{"StateMachines":{},"MockedResponses":{"R":{"x":{"Return":1}}}}`,
			"MockedResponses.R.x: \"x\" is not the number of an invocation, like 0, or a range of them, like 1-2"},
		{"backwards", `{"StateMachines":{},"MockedResponses":{"R":{"0":{"Return":1},"2-1":{"Return":1}}}}`, "MockedResponses.R.2-1: \"2-1\" is not the number"},
		{"gap", `{"StateMachines":{},"MockedResponses":{"R":{"0":{"Return":1},"2":{"Return":1}}}}`, "MockedResponses.R: has no response for the invocation 1"},
		{"overlap", `{"StateMachines":{},"MockedResponses":{"R":{"0-2":{"Return":1},"2":{"Return":1}}}}`, "MockedResponses.R: has two responses for the invocation 2"},
		{"none", `{"StateMachines":{},"MockedResponses":{"R":{}}}`, "MockedResponses.R: has no response for the invocation 0"},
		{"neither", `{"StateMachines":{},"MockedResponses":{"R":{"0":{"Give":1}}}}`, "MockedResponses.R.0: must have one member, Return or Throw"},
		{"both", `{"StateMachines":{},"MockedResponses":{"R":{"0":{"Return":1,"Throw":{"Error":"","Cause":""}}}}}`, "MockedResponses.R.0: must have one member, Return or Throw"},
		{"throw", `{"StateMachines":{},"MockedResponses":{"R":{"0":{"Throw":{"Error":1}}}}}`,
			"MockedResponses.R.0.Throw: the member \"Cause\" is missing\nMockedResponses.R.0.Throw.Error: is not a text: 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := connector.ParseMocks([]byte(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func FuzzParseMocks(f *testing.F) {
	f.Add(mockFile)
	f.Add(`{"StateMachines":{"m":{"TestCases":{"c":{"S":"R"}}}},"MockedResponses":{"R":{"0-999999":{"Return":null}}}}`)
	f.Add(`{"StateMachines":null,"MockedResponses":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := connector.ParseMocks([]byte(text))
		if err == nil && m == nil {
			t.Error("nothing")
		}
	})
}
