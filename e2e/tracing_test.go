package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"tokaido/e2e/story"
)

// A collector gets the spans of a machine that asks for tracing, in the trace that
// its execution was started with.
func TestTracing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	type span struct{ TraceID, SpanID, ParentSpanID, Name string }
	got := make(chan span, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []span } }
		}
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(b, &body)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "k" {
			t.Errorf("%s %v %v", r.URL, r.Header, err)
		}
		for _, rs := range body.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					got <- s
				}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	}))
	defer collector.Close()
	s := start(t, "tracing:\n  endpoint: "+collector.URL+"\n  headers:\n    x-key: k\n")
	api := sfn.NewFromConfig(s.Config(story.Region))
	role := statesRole(t, s)
	on := &sf.TracingConfiguration{Enabled: true}
	m := must(api.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: aws.String("m"), RoleArn: &role, Definition: aws.String(passMachine), TracingConfiguration: on}))(t)
	same(t, "tracing", must(api.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: m.StateMachineArn}))(t).TracingConfiguration.Enabled, true)
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	x := must(api.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn, TraceHeader: aws.String(header)}))(t)
	same(t, "trace header", aws.ToString(must(api.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn}))(t).TraceHeader), header)
	spans := map[string]span{}
	for deadline := time.After(time.Minute); len(spans) < 2; {
		select {
		case sp := <-got:
			spans[sp.Name] = sp
		case <-deadline:
			t.Fatalf("after a minute the collector has %v", spans)
		}
	}
	if m, a := spans["m"], spans["A"]; !strings.EqualFold(m.TraceID, "5759e988bd862e3fe1be46a994272793") || a.TraceID != m.TraceID ||
		!strings.EqualFold(m.ParentSpanID, "53995c3f42cd8ad8") || a.ParentSpanID != m.SpanID {
		t.Errorf("%+v", spans)
	}
}

// Step Functions Local's variable names the mocks of a server, whose results go by
// the attempt.
func TestMockConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mocks.json")
	if err := os.WriteFile(file, []byte(`{"StateMachines":{"m":{"TestCases":{"Busy":{"Call":"BusyTwice"}}}},"MockedResponses":{"BusyTwice":{
		"0-1":{"Throw":{"Error":"Lambda.TooManyRequestsException","Cause":"busy"}},"2":{"Return":{"StatusCode":200,"Payload":{"n":7}}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SFN_MOCK_CONFIG", file)
	s := start(t, "")
	api := sfn.NewFromConfig(s.Config(story.Region))
	role := statesRole(t, s)
	m := must(api.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: aws.String("m"), RoleArn: &role, Definition: aws.String(`{"QueryLanguage":"JSONata","StartAt":"Call","States":{
		"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"{% 'f' %}"},"Output":"{% $states.result.Payload.n * 6 %}",
		"Retry":[{"ErrorEquals":["Lambda.TooManyRequestsException"],"IntervalSeconds":1,"BackoffRate":1,"MaxAttempts":2}],"End":true}}}`)}))(t)
	x := must(api.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(*m.StateMachineArn + "#Busy")}))(t)
	for {
		d := must(api.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn}))(t)
		if d.Status == sf.ExecutionStatusRunning {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		same(t, "mocked", string(d.Status)+" "+aws.ToString(d.Output), "SUCCEEDED 42")
		break
	}
	failed := 0
	for _, e := range must(api.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: x.ExecutionArn}))(t).Events {
		if e.Type == sf.HistoryEventTypeTaskFailed {
			failed++
		}
	}
	same(t, "attempts that failed", failed, 2)
}
