package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tokaido/engine"
	"tokaido/flow"
)

// logged is a log that is written by several.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A machine that uses what is not here can be made, with a warning for each state,
// and tested and run with mocks; run without, it fails and says so.
func TestIntegrationsThatAreNotHere(t *testing.T) {
	mocks := filepath.Join(t.TempDir(), "mocks.json")
	if err := os.WriteFile(mocks, []byte(`{"StateMachines":{"m":{"TestCases":{"Fine":{"Put":"put","Call":"called"}}}},
		"MockedResponses":{"put":{"0":{"Return":{"ETag":"e"}}},"called":{"0":{"Return":{"StatusCode":200}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var log logged
	s := newServer(t, Config{Store: "memory", DataDir: t.TempDir(), Mocks: mocks}, slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	role := s.testingOnlyRole(t, "run", statesTrust, everything)
	const put = `{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{"Bucket":"b","Key":"k"},"Next":"Call"}`
	const call = `{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET",
		"Authentication":{"ConnectionArn":"arn:aws:events:us-east-1:123456789012:connection/c/1"}},"End":true}`
	scope := flow.Scope{Region: "us-east-1", Account: s.Account}
	make := func(name, states string) string {
		t.Helper()
		m, err := s.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{Scope: scope, Name: name, RoleARN: role,
			Definition: `{"StartAt":"Put","States":{"Put":` + states + `}}`})
		if err != nil {
			t.Fatal(err)
		}
		return m.ARN
	}
	m := make("m", put+`,"Call":`+call)
	for _, x := range [][3]string{
		{"Put", "arn:aws:states:::aws-sdk:s3:putObject", "The resource 'arn:aws:states:::aws-sdk:s3:putObject' is not supported by this server."},
		{"Call", "arn:aws:states:::http:invoke", "There are no connections for HTTP Tasks: name one under connections in tokaido.yaml."},
	} {
		state := x[0]
		if n := strings.Count(log.String(), fmt.Sprintf("machine=%s state=%s resource=%s why=%q", m, state, x[1], x[2])); n != 1 {
			t.Errorf("%s is said %d times: %s", state, n, log.String())
		}
	}
	run := func(arn, want string) {
		t.Helper()
		x, err := s.machines.StartExecution(t.Context(), flow.StartExecution{ARN: arn})
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.machines.Await(t.Context(), x.ARN)
		if err != nil {
			t.Fatal(err)
		}
		got := o.Status.String()
		if o.Status == engine.Failed {
			got += " " + *o.Error + ": " + *o.Cause
		}
		if got != want {
			t.Errorf("%s: %s", arn, got)
		}
	}
	run(m, "FAILED States.TaskFailed: The resource 'arn:aws:states:::aws-sdk:s3:putObject' is not supported by this server.")
	run(m+"#Fine", "SUCCEEDED")
	for state, why := range map[string]string{put: "is not supported by this server", call: "connections in tokaido.yaml"} {
		state = strings.Replace(state, `"Next":"Call"`, `"End":true`, 1)
		tried, err := s.machines.TestState(t.Context(), flow.TestState{Scope: scope, Definition: state, RoleARN: role})
		if err != nil || tried.Status != engine.SingleFailed || !strings.Contains(*tried.Cause, why) {
			t.Errorf("%+v %v", tried, err)
		}
	}

	// What is inside of others, and in the pattern.
	log.mu.Lock()
	log.b.Reset()
	log.mu.Unlock()
	n := make("n", `{"Type":"Map","End":true,"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"b","Key":"k"}},
		"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b","Prefix":"p"}},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"Both","States":{"Both":{"Type":"Parallel","End":true,"Branches":[
			{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}},
			{"StartAt":"OK","States":{"OK":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:x"},"End":true}}},
			{"StartAt":"J","States":{"J":{"Type":"Task","Resource":"arn:aws:states:::batch:submitJob.sync","Parameters":{"JobName":"j","JobQueue":"q","JobDefinition":"d"},"End":true}}}]}}}}`)
	var states []string
	for line := range strings.Lines(log.String()) {
		if _, rest, ok := strings.Cut(line, "machine="+n+" state="); ok {
			name, _, _ := strings.Cut(rest, " ")
			states = append(states, name)
		}
	}
	if got := strings.Join(states, " "); got != "Put Put F J" {
		t.Errorf("%s in %s", got, log.String())
	}
	if !strings.Contains(log.String(), "set endpoints.lambda in tokaido.yaml") {
		t.Error(log.String())
	}
}
