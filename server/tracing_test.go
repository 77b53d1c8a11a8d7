package server

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokaido/flow"
)

// A traced machine's execution, its task and the inference that the task made are
// one trace, in a file where no collector is configured.
func TestTraceOfAnInference(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	dir := t.TempDir()
	s, err := New(t.Context(), Config{Store: "memory", DataDir: dir, Region: "ap-northeast-1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{
		Scope: flow.Scope{Region: "ap-northeast-1", Account: s.Account}, Name: "m", RoleARN: s.testingOnlyRole(t, "run", statesTrust, everything), Tracing: true,
		Definition: `{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:bedrockruntime:converse","Parameters":{
			"ModelId":"jp.anthropic.claude-sonnet-4-5-20250929-v1:0","Messages":[{"Role":"user","Content":[{"Text":"between us"}]}]},"End":true}}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.machines.StartExecution(t.Context(), flow.StartExecution{ARN: m.ARN, Trace: "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.machines.Await(t.Context(), x.ARN)
	if err != nil || o.Error != nil {
		t.Fatal(err, *o.Error, *o.Cause)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, tracesFile))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "between us") {
		t.Error("a span holds a prompt")
	}
	type span struct {
		TraceID, SpanID, ParentSpanID, Name string
		Attributes                          []struct {
			Key   string
			Value struct{ StringValue, IntValue string }
		}
	}
	spans := map[string]span{}
	for line := range strings.Lines(string(b)) {
		var r struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []span } }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		for _, rs := range r.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, sp := range ss.Spans {
					if spans[sp.Name] = sp; !strings.EqualFold(sp.TraceID, "5759e988bd862e3fe1be46a994272793") {
						t.Errorf("%s is of the trace %s", sp.Name, sp.TraceID)
					}
				}
			}
		}
	}
	parent := ""
	for _, name := range []string{"m", "Ask", "aws-sdk:bedrockruntime:converse", "bedrock Converse"} {
		sp, ok := spans[name]
		if !ok || sp.ParentSpanID != parent {
			t.Fatalf("span %q is %+v; all are %v", name, sp, spans)
		}
		parent = sp.SpanID
	}
	got := map[string]string{}
	for _, a := range spans["bedrock Converse"].Attributes {
		got[a.Key] = a.Value.StringValue + a.Value.IntValue
	}
	for key, want := range map[string]string{
		"gen_ai.request.model": "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", "gen_ai.response.model": "anthropic.claude-sonnet-4-5-20250929-v1:0",
		"cloud.region": "ap-northeast-1", "aws.bedrock.inference_region": "ap-northeast-1",
		"aws.bedrock.inference_profile.arn": "arn:aws:bedrock:ap-northeast-1:" + s.Account + ":inference-profile/jp.anthropic.claude-sonnet-4-5-20250929-v1:0",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if got["gen_ai.usage.input_tokens"] == "" || got["gen_ai.usage.output_tokens"] == "0" {
		t.Errorf("usage: %v", got)
	}
}

func TestTracingIsChecked(t *testing.T) {
	for _, c := range []TracingConfig{{Endpoint: "127.0.0.1:4318"}, {SampleRatio: new(1.5)}} {
		cfg := Config{Listen: "127.0.0.1:0", Store: "memory", DataDir: "d", Tracing: c}
		if err := cfg.Check(); err == nil || !strings.HasPrefix(err.Error(), "tracing.") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	cfg := Config{Tracing: TracingConfig{Headers: secrets{"authorization": "Bearer hush"}}}
	if b, err := cfg.YAML(); err != nil || strings.Contains(string(b), "hush") || !strings.Contains(string(b), "authorization") {
		t.Errorf("%s %v", b, err)
	}
}
