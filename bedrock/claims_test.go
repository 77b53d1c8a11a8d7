package bedrock

import (
	"fmt"
	"strings"
	"testing"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// This file holds numbers and enumerations of AWS's service model, each at its
// edge: the last value that is taken and the first that is not.

func TestConverseLimits(t *testing.T) {
	rt := planner()
	p, err := rt.Plan("ap-northeast-1", account, jp45)
	if err != nil {
		t.Fatal(err)
	}
	user := func(block string) string { return `{"messages":[{"role":"user","content":[` + block + `]}]}` }
	with := func(member string) string {
		return `{"messages":[{"role":"user","content":[{"text":"x"}]}],` + member + `}`
	}
	list := func(s string, n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(s, i)
		}
		return strings.Join(items, ",")
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	tool := func(name string) string {
		return with(`"toolConfig":{"tools":[{"toolSpec":{"name":"` + name + `","inputSchema":{"json":{}}}}]}`)
	}
	use := func(id string) string {
		return `{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"` + id + `","name":"f","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"` + id +
			`","content":[{"text":"y"}]}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{}}}}]}}`
	}
	document := func(name string) string {
		return user(`{"text":"x"},{"document":{"format":"txt","name":"` + name + `","source":{"bytes":"aGk="}}}`)
	}
	for _, c := range []struct{ name, good, bad string }{
		{"temperature", with(`"inferenceConfig":{"temperature":1}`), with(`"inferenceConfig":{"temperature":1.0001}`)},
		{"temperature-below", with(`"inferenceConfig":{"temperature":0}`), with(`"inferenceConfig":{"temperature":-0.0001}`)},
		{"topP", with(`"inferenceConfig":{"topP":1}`), with(`"inferenceConfig":{"topP":1.5}`)},
		{"maxTokens", with(`"inferenceConfig":{"maxTokens":1}`), with(`"inferenceConfig":{"maxTokens":0}`)},
		{"maxTokens-integer", with(`"inferenceConfig":{"maxTokens":64000}`), with(`"inferenceConfig":{"maxTokens":1.5}`)},
		{"stopSequences", with(`"inferenceConfig":{"stopSequences":[` + list(`"s%d"`, 2500) + `]}`), with(`"inferenceConfig":{"stopSequences":[` + list(`"s%d"`, 2501) + `]}`)},
		{"stopSequence", with(`"inferenceConfig":{"stopSequences":["s"]}`), with(`"inferenceConfig":{"stopSequences":[""]}`)},
		{"paths", with(`"additionalModelResponseFieldPaths":[` + list(`"/p%d"`, 10) + `]`), with(`"additionalModelResponseFieldPaths":[` + list(`"/p%d"`, 11) + `]`)},
		{"path", with(`"additionalModelResponseFieldPaths":["/p"]`), with(`"additionalModelResponseFieldPaths":["p"]`)},
		{"metadata", with(`"requestMetadata":{` + list(`"k%d":"v"`, 16) + `}`), with(`"requestMetadata":{` + list(`"k%d":"v"`, 17) + `}`)},
		{"metadata-empty", with(`"requestMetadata":{"k":"v"}`), with(`"requestMetadata":{}`)},
		{"tool-name", tool(x(64)), tool(x(65))},
		{"tool-name-form", tool("a_B-9"), tool("a.b")},
		{"tool-id", use(x(64)), use(x(65))},
		{"document-name", document(x(200)), document(x(201))},
		{"tier", with(`"serviceTier":{"type":"default"}`), with(`"serviceTier":{"type":"ultrafast"}`)},
		{"latency", with(`"performanceConfig":{"latency":"standard"}`), with(`"performanceConfig":{"latency":"optimized"}`)},
		{"ttl", user(`{"text":"x"},{"cachePoint":{"type":"default","ttl":"1h"}}`), user(`{"text":"x"},{"cachePoint":{"type":"default","ttl":"2h"}}`)},
		{"cache-type", user(`{"text":"x"},{"cachePoint":{"type":"default"}}`), user(`{"text":"x"},{"cachePoint":{"type":"other"}}`)},
		{"status", strings.Replace(use("a"), `"content":[{"text":"y"}]`, `"status":"error","content":[{"text":"y"}]`, 1), strings.Replace(use("a"), `"content":[{"text":"y"}]`, `"status":"bad","content":[{"text":"y"}]`, 1)},
		{"choice", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{}}}}],"toolChoice":{"any":{}}}`), with(`"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{}}}}],"toolChoice":{"none":{}}}`)},
	} {
		if _, err := rt.Prepare(p, value.MustParse(c.good)); err != nil {
			t.Errorf("%s: refused: %v", c.name, err)
		}
		if _, err := rt.Prepare(p, value.MustParse(c.bad)); fault.Code(err) != "ValidationException" {
			t.Errorf("%s: taken, or %v", c.name, err)
		}
	}
	for kind, formats := range map[string][]string{"image": {"png", "jpeg", "gif", "webp"}, "document": {"pdf", "csv", "html", "txt", "md"}} {
		for _, f := range formats {
			name := ""
			if kind == "document" {
				name = `"name":"n",`
			}
			if _, err := rt.Prepare(p, value.MustParse(user(`{"text":"x"},{"`+kind+`":{`+name+`"format":"`+f+`","source":{"bytes":"aGk="}}}`))); err != nil {
				t.Errorf("%s %s: %v", kind, f, err)
			}
		}
	}
	if _, err := rt.Plan("ap-northeast-1", account, x(2049)); fault.Code(err) != "ValidationException" {
		t.Errorf("a long modelId: %v", err)
	}
}

// Input excludes what was read from and written to a cache; the total has it all.
func TestUsageWithCache(t *testing.T) {
	u := Usage{Input: 3, Output: 5, CacheRead: 7, CacheWrite: 11}
	if got, want := u.value().JSON(), `{"inputTokens":3,"outputTokens":5,"totalTokens":26,"cacheReadInputTokens":7,"cacheWriteInputTokens":11}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// A quota is charged for input and what is written, not for what is read, and for output times the burndown.
	for id, want := range map[string]int{jp45[3:]: 3 + 11 + 5*5, "amazon.nova-lite-v1:0": 3 + 11 + 5, "anthropic.claude-opus-4-8": 3 + 11 + 5*15, "anthropic.claude-opus-5": 3 + 11 + 5*10} {
		m, ok := catalog.Load().Model(id)
		if !ok {
			t.Logf("no %s in the catalog", id)
			continue
		}
		if got := spent(m, u); got != want {
			t.Errorf("%s: %d, want %d", id, got, want)
		}
	}
	got := string(withMetrics([]byte(`{"a":1}`), u, 0, 0))
	if want := `{"a":1,"` + MetricsMember + `":{"inputTokenCount":3,"outputTokenCount":5,"invocationLatency":0,"firstByteLatency":0,"cacheReadInputTokenCount":7,"cacheWriteInputTokenCount":11}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Every reason that a model's family gives for its end, in Converse's words.
func TestStopReasons(t *testing.T) {
	for _, c := range []struct {
		f    Family
		body string
		want string
	}{
		{Anthropic, `{"content":[],"stop_reason":"end_turn"}`, "end_turn"},
		{Anthropic, `{"content":[],"stop_reason":"max_tokens"}`, "max_tokens"},
		{Anthropic, `{"content":[],"stop_reason":"stop_sequence"}`, "stop_sequence"},
		{Anthropic, `{"content":[],"stop_reason":"tool_use"}`, "tool_use"},
		{Anthropic, `{"content":[],"stop_reason":"refusal"}`, "content_filtered"},
		{Anthropic, `{"content":[],"stop_reason":"model_context_window_exceeded"}`, "model_context_window_exceeded"},
		{Anthropic, `{"content":[],"stop_reason":"pause_turn"}`, "end_turn"},
		{Nova, `{"output":{"message":{"content":[]}},"stopReason":"content_filtered"}`, "content_filtered"},
		{Nova, `{"output":{"message":{"content":[]}},"stopReason":"tool_use"}`, "tool_use"},
		{Chat, `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`, "end_turn"},
		{Chat, `{"choices":[{"message":{"content":"a"},"finish_reason":"length"}]}`, "max_tokens"},
		{Chat, `{"choices":[{"message":{"content":"a"},"finish_reason":"tool_calls"}]}`, "tool_use"},
		{Chat, `{"choices":[{"message":{"content":"a"},"finish_reason":"content_filter"}]}`, "content_filtered"},
		{Llama, `{"generation":"a","stop_reason":"stop"}`, "end_turn"},
		{Llama, `{"generation":"a","stop_reason":"length"}`, "max_tokens"},
		{Mistral, `{"outputs":[{"text":"a","stop_reason":"length"}]}`, "max_tokens"},
		{Cohere, `{"text":"a","finish_reason":"COMPLETE"}`, "end_turn"},
		{Cohere, `{"text":"a","finish_reason":"MAX_TOKENS"}`, "max_tokens"},
		{Cohere, `{"text":"a","finish_reason":"STOP_SEQUENCE"}`, "stop_sequence"},
		{Cohere, `{"text":"a","finish_reason":"ERROR_TOXIC"}`, "content_filtered"},
		{Cohere, `{"text":"a","finish_reason":"ERROR_LIMIT"}`, "model_context_window_exceeded"},
		{Cohere, `{"text":"","finish_reason":"COMPLETE","generation_id":"g-1","tool_calls":[{"name":"f","parameters":{}}]}`, "tool_use"},
	} {
		_, stop, err := named(c.f, modelOf(t, llamaID)).answer(value.MustParse(c.body))
		if err != nil || stop != c.want {
			t.Errorf("%s: %s: %q, %v; want %s", c.f, c.body, stop, err, c.want)
		}
	}
}
