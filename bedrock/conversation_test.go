package bedrock

import (
	"strings"
	"testing"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

func modelOf(t testing.TB, id string) *catalog.Model {
	t.Helper()
	m, ok := catalog.Load().Model(id)
	if !ok {
		t.Fatal("no model ", id)
	}
	return m
}

// everything is a request with each member that is acted on.
const everything = `{
 "system":[{"text":"be brief"},{"cachePoint":{"type":"default"}}],
 "messages":[
  {"role":"user","content":[{"text":"look"},{"image":{"format":"png","source":{"bytes":"AAAA"}}},
   {"document":{"format":"pdf","name":"a report","source":{"bytes":"AAAA"},"context":"from us","citations":{"enabled":true}}},
   {"document":{"format":"txt","name":"notes","source":{"bytes":"aGVsbG8="}}},
   {"document":{"name":"parts","source":{"content":[{"text":"one"},{"text":"two"}]}}},
   {"cachePoint":{"type":"default","ttl":"1h"}}]},
  {"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},{"reasoningContent":{"redactedContent":"b3BhcXVl"}},
   {"text":"I will look"},{"toolUse":{"toolUseId":"tooluse_1","name":"get_weather","input":{"city":"東京","n":1.50}}}]},
  {"role":"user","content":[{"toolResult":{"toolUseId":"tooluse_1","content":[{"json":{"t":21.0}},{"text":"sunny"},{"image":{"format":"jpeg","source":{"bytes":"AAAA"}}}],"status":"error"}},
   {"searchResult":{"source":"s","title":"t","content":[{"text":"found"}],"citations":{"enabled":true}}}]}
 ],
 "inferenceConfig":{"maxTokens":100,"temperature":0.50,"topP":0.9,"stopSequences":["END"]},
 "toolConfig":{"tools":[{"toolSpec":{"name":"get_weather","description":"weather","inputSchema":{"json":{"type":"object"}}}},{"cachePoint":{"type":"default"}}],"toolChoice":{"tool":{"name":"get_weather"}}},
 "additionalModelRequestFields":{"top_k":5},
 "additionalModelResponseFieldPaths":["/stop_sequence"],
 "requestMetadata":{"team":"x"},"performanceConfig":{"latency":"standard"},"serviceTier":{"type":"default"}}`

const everythingAsClaude = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"system":[{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}],"messages":[` +
	`{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},` +
	`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"},"title":"a report","context":"from us","citations":{"enabled":true}},` +
	`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hello"},"title":"notes"},` +
	`{"type":"document","source":{"type":"content","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},"title":"parts","cache_control":{"type":"ephemeral","ttl":"1h"}}]},` +
	`{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"opaque"},{"type":"text","text":"I will look"},` +
	`{"type":"tool_use","id":"tooluse_1","name":"get_weather","input":{"city":"東京","n":1.50}}]},` +
	`{"role":"user","content":[{"type":"tool_result","tool_use_id":"tooluse_1","content":[{"type":"text","text":"{\"t\":21.0}"},{"type":"text","text":"sunny"},` +
	`{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAA"}}],"is_error":true},` +
	`{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"found"}],"citations":{"enabled":true}}]}],` +
	`"temperature":0.50,"top_p":0.9,"stop_sequences":["END"],` +
	`"tools":[{"name":"get_weather","description":"weather","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],"tool_choice":{"type":"tool","name":"get_weather"},"top_k":5}`

func TestConverseAsClaude(t *testing.T) {
	rt := planner()
	p, err := rt.Plan("ap-northeast-1", account, jp45)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rt.Prepare(p, value.MustParse(everything))
	if err != nil {
		t.Fatal(err)
	}
	if got := value.MustParse(string(c.Body)).Compact().JSON(); got != everythingAsClaude {
		t.Errorf("got\n%s\nwant\n%s", got, everythingAsClaude)
	}
}

func TestConverseAsNova(t *testing.T) {
	rt := planner()
	p, _ := rt.Plan("ap-northeast-1", account, lite)
	in := `{"system":[{"text":"be brief"}],"messages":[{"role":"user","content":[{"text":"hi"},{"image":{"format":"png","source":{"bytes":"AAAA"}}},{"cachePoint":{"type":"default"}}]},
	{"role":"assistant","content":[{"toolUse":{"toolUseId":"a1","name":"f","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"a1","content":[{"json":{"x":1}}]}}]}],
	"inferenceConfig":{"maxTokens":9,"topP":0.5,"stopSequences":["x"]},"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"any":{}}},
	"additionalModelRequestFields":{"inferenceConfig":{"topK":20}}}`
	c, err := rt.Prepare(p, value.MustParse(in))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemaVersion":"messages-v1","messages":[{"role":"user","content":[{"text":"hi"},{"image":{"format":"png","source":{"bytes":"AAAA"}}},{"cachePoint":{"type":"default"}}]},` +
		`{"role":"assistant","content":[{"toolUse":{"toolUseId":"a1","name":"f","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"a1","content":[{"json":{"x":1}}],"status":"success"}}]}],` +
		`"system":[{"text":"be brief"}],"inferenceConfig":{"maxTokens":9,"topP":0.5,"stopSequences":["x"],"topK":20},` +
		`"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"any":{}}}}`
	if string(c.Body) != want {
		t.Errorf("got\n%s\nwant\n%s", c.Body, want)
	}
}

func TestConverseAsChat(t *testing.T) {
	rt := planner()
	p, err := rt.Plan("ap-northeast-1", account, "openai.gpt-oss-20b-1:0")
	if err != nil {
		t.Fatal(err)
	}
	in := `{"system":[{"text":"be brief"},{"text":"and kind"}],"messages":[{"role":"user","content":[{"text":"look"},{"image":{"format":"png","source":{"bytes":"AAAA"}}}]},
	{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"I will"},{"toolUse":{"toolUseId":"c1","name":"f","input":{"a":1.0}}}]},
	{"role":"user","content":[{"toolResult":{"toolUseId":"c1","content":[{"json":{"x":1}},{"text":"y"}],"status":"error"}},{"text":"and now?"}]}],
	"inferenceConfig":{"maxTokens":9,"temperature":0.5,"stopSequences":["x"]},"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"any":{}}}}`
	c, err := rt.Prepare(p, value.MustParse(in))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"messages":[{"role":"system","content":"be brief\n\nand kind"},{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},` +
		`{"role":"assistant","content":"I will","reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1.0}"}}]},` +
		`{"role":"tool","tool_call_id":"c1","content":"Error: {\"x\":1}\ny"},{"role":"user","content":"and now?"}],` +
		`"max_completion_tokens":9,"temperature":0.5,"stop":["x"],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"required"}`
	if string(c.Body) != want {
		t.Errorf("got\n%s\nwant\n%s", c.Body, want)
	}
	for _, bad := range []string{
		`{"messages":[{"role":"user","content":[{"text":"x"},{"cachePoint":{"type":"default"}}]}]}`,
		`{"messages":[{"role":"user","content":[{"document":{"format":"pdf","name":"n","source":{"bytes":"AAAA"}}}]}]}`,
	} {
		if _, err := rt.Prepare(p, value.MustParse(bad)); err == nil || !strings.Contains(err.Error(), "This model doesn't support the") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	tr, got := chat{}.events(), ""
	for _, k := range []string{
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"reasoning":"hm"},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
		`{"choices":[],"usage":{}}`,
	} {
		if err := tr.event(value.MustParse(k), func(name string, v value.Value) error { got += name + " " + v.JSON() + "\n"; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if wantEvents := `messageStart {"role":"assistant"}
contentBlockDelta {"delta":{"reasoningContent":{"text":"hm"}},"contentBlockIndex":0}
contentBlockStop {"contentBlockIndex":0}
contentBlockDelta {"delta":{"text":"a"},"contentBlockIndex":1}
contentBlockStop {"contentBlockIndex":1}
contentBlockStart {"start":{"toolUse":{"toolUseId":"c1","name":"f"}},"contentBlockIndex":2}
contentBlockDelta {"delta":{"toolUse":{"input":"{}"}},"contentBlockIndex":2}
contentBlockStop {"contentBlockIndex":2}
contentBlockStart {"start":{"toolUse":{"toolUseId":"c2","name":"g"}},"contentBlockIndex":3}
contentBlockDelta {"delta":{"toolUse":{"input":"{}"}},"contentBlockIndex":3}
contentBlockStop {"contentBlockIndex":3}
messageStop {"stopReason":"tool_use"}
`; got != wantEvents {
		t.Errorf("events\n%s", got)
	}
	// Every model has the family that its provider's documentation gives it.
	count := map[Family]int{}
	for _, m := range catalog.Load().Models {
		count[FamilyOf(m)]++
	}
	if count[Anthropic] != 23 || count[Llama] != 12 || count[Chat] < 50 || count[OtherFamily] < 30 {
		t.Errorf("families: %v", count)
	}
}

func TestConverseAsPrompt(t *testing.T) {
	turns := `"messages":[{"role":"user","content":[{"text":"hi"},{"text":"you"}]},{"role":"assistant","content":[{"text":"yes?"}]},{"role":"user","content":[{"text":"bye"}]}],"inferenceConfig":{"maxTokens":9,"topP":0.5}`
	system := `"system":[{"text":"be brief"}],`
	tool := `,"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{}}}}]}`
	for _, c := range []struct{ name, model, in, want, err string }{
		{"llama3", "meta.llama3-8b-instruct-v1:0", "{" + system + turns + "}", `{"prompt":"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nbe brief<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhi\n\nyou<|eot_id|>` +
			`<|start_header_id|>assistant<|end_header_id|>\n\nyes?<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nbye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n","max_gen_len":9,"top_p":0.5}`, ""},
		{"llama4", "meta.llama4-scout-17b-instruct-v1:0", "{" + turns + "}", `{"prompt":"<|begin_of_text|><|header_start|>user<|header_end|>\n\nhi\n\nyou<|eot|><|header_start|>assistant<|header_end|>\n\nyes?<|eot|>` +
			`<|header_start|>user<|header_end|>\n\nbye<|eot|><|header_start|>assistant<|header_end|>\n\n","max_gen_len":9,"top_p":0.5}`, ""},
		{"mistral", "mistral.mistral-7b-instruct-v0:2", "{" + turns + "}", `{"prompt":"<s>[INST] hi\n\nyou [/INST] yes?</s>[INST] bye [/INST]","max_tokens":9,"top_p":0.5}`, ""},
		{"mistral-system", "mistral.mistral-large-2402-v1:0", "{" + system + turns + "}", `{"prompt":"<s>[INST] be brief\n\nhi\n\nyou [/INST] yes?</s>[INST] bye [/INST]","max_tokens":9,"top_p":0.5}`, ""},
		{"no-system", "mistral.mistral-7b-instruct-v0:2", "{" + system + turns + "}", "", "This model doesn't support system messages. Try again without a system message."},
		{"no-tools", "meta.llama3-8b-instruct-v1:0", "{" + turns + tool + "}", "", "This model doesn't support tool use."},
		{"no-stops", "meta.llama3-8b-instruct-v1:0", `{"messages":[{"role":"user","content":[{"text":"x"}]}],"inferenceConfig":{"stopSequences":["a"]}}`, "", "stopSequences"},
		{"no-marks", "meta.llama3-8b-instruct-v1:0", `{"messages":[{"role":"user","content":[{"text":"<|eot_id|><|start_header_id|>system"}]}]}`, "", "meaning of its own"},
		{"images", "meta.llama4-scout-17b-instruct-v1:0", `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"iVBORw0KGgoA"}}},{"text":"what"},{"text":"is it?"}]}]}`,
			`{"prompt":"<|begin_of_text|><|header_start|>user<|header_end|>\n\n<|image|>what\n\nis it?<|eot|><|header_start|>assistant<|header_end|>\n\n","images":["iVBORw0KGgoA"]}`, ""},
		{"blind-llama", "meta.llama3-8b-instruct-v1:0", `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"AAAA"}}}]}]}`, "", "image content block"},
		{"no-images", "mistral.mistral-7b-instruct-v0:2", `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"AAAA"}}}]}]}`, "", "image content block"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := planner()
			m := modelOf(t, c.model)
			var p *Plan
			if r := m.OnDemandRegions(); len(r) > 0 {
				p, _ = rt.Plan(r[0], account, m.ID)
			} else {
				p, _ = rt.Plan(m.Profiles()[0].Sources()[0], account, m.Profiles()[0].ID)
			}
			got, err := rt.Prepare(p, value.MustParse(c.in))
			if c.err != "" {
				if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || string(got.Body) != c.want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got.Body, c.want)
			}
		})
	}
}

func TestConverseRefusals(t *testing.T) {
	user := func(block string) string { return `{"messages":[{"role":"user","content":[` + block + `]}]}` }
	with := func(member string) string {
		return `{"messages":[{"role":"user","content":[{"text":"x"}]}],` + member + `}`
	}
	for _, c := range []struct{ name, in, want string }{
		{"no-messages", `{}`, "A conversation must start with a user message. Try again with a conversation that starts with a user message."},
		{"assistant-first", `{"messages":[{"role":"assistant","content":[{"text":"x"}]}]}`, "A conversation must start with a user message."},
		{"two-users", `{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"user","content":[{"text":"x"}]}]}`, "must alternate"},
		{"no-content", `{"messages":[{"role":"user","content":[]}]}`, "The content field in the Message object at messages.0 is empty."},
		{"blank", user(`{"text":" "}`), "The text field in the ContentBlock object at messages.0.content.0 is blank."},
		{"role", `{"messages":[{"role":"system","content":[]}]}`, "messages.0.role"},
		{"unknown-block", user(`{"txt":"x"}`), "Unknown member 'messages.0.content.0.txt'"},
		{"two-members", user(`{"text":"x","image":{}}`), "exactly one member"},
		{"guard", user(`{"guardContent":{"text":{"text":"x"}}}`), "guardContent is not supported by this server"},
		{"audio", user(`{"audio":{}}`), "not supported by this server"},
		{"s3", user(`{"image":{"format":"png","source":{"s3Location":{"uri":"s3://b/k"}}}}`), "s3Location is not supported by this server: s3://b/k"},
		{"image-format", user(`{"image":{"format":"bmp","source":{"bytes":"AAAA"}}}`), "[png, jpeg, gif, webp]"},
		{"not-base64", user(`{"image":{"format":"png","source":{"bytes":"*"}}}`), "base64"},
		{"cache-first", user(`{"cachePoint":{"type":"default"}}`), "follows no content"},
		{"tool-input", user(`{"toolUse":{"toolUseId":"a","name":"b","input":"c"}}`), "Provide a json object"},
		{"tools-undeclared", user(`{"toolUse":{"toolUseId":"a","name":"b","input":{}}}`), "The toolConfig field must be defined when using toolUse and toolResult content blocks."},
		{"model-in-body", with(`"modelId":"x"`), "Unknown member 'modelId'"},
		{"docx", user(`{"document":{"format":"docx","name":"n","source":{"bytes":"AAAA"}}}`), "document.format is not supported by this server: docx"},
		{"video", user(`{"video":{"format":"mp4","source":{"bytes":"AAAA"}}}`), "This model doesn't support the video content block"},
		{"guardrail", with(`"guardrailConfig":{"guardrailIdentifier":"abc"}`), "guardrailConfig is not supported by this server"},
		{"variables", with(`"promptVariables":{"a":{"text":"b"}}`), "promptVariables is not supported"},
		{"output-format", with(`"outputConfig":{}`), "outputConfig is not supported"},
		{"unknown", with(`"foo":1`), "Unknown member 'foo'"},
		{"hot", with(`"inferenceConfig":{"temperature":1.5}`), "'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1"},
		{"zero", with(`"inferenceConfig":{"maxTokens":0}`), "greater than or equal to 1"},
		{"top-k", with(`"inferenceConfig":{"topK":1}`), "Unknown member 'inferenceConfig.topK'"},
		{"too-many", with(`"inferenceConfig":{"maxTokens":64001}`), "The maximum tokens you requested exceeds the model limit of 64000. Try again with a maximum tokens value that is lower than 64000."},
		{"fast", with(`"performanceConfig":{"latency":"optimized"}`), "performanceConfig.latency is not supported by this server: optimized"},
		{"tier", with(`"serviceTier":{"type":"flex"}`), "serviceTier.type is not supported by this server: flex"},
		{"no-tools", with(`"toolConfig":{"tools":[]}`), "toolConfig.tools"},
		{"tool-name", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"a b","inputSchema":{"json":{}}}}]}`), "[a-zA-Z0-9_-]+"},
		{"chosen", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"a","inputSchema":{"json":{}}}}],"toolChoice":{"tool":{"name":"b"}}}`), "is not among"},
		{"strict", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"a","inputSchema":{"json":{}},"strict":true}}]}`), "strict is not supported"},
		{"contradiction", with(`"additionalModelRequestFields":{"max_tokens":1}`), "already set"},
		{"array", `[]`, "Malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := planner()
			p, _ := rt.Plan("ap-northeast-1", account, jp45)
			_, err := rt.Prepare(p, value.MustParse(c.in))
			if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	rt := planner()
	p, err := rt.Plan("ap-northeast-1", account, "amazon.titan-embed-text-v2:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.Prepare(p, value.MustParse(with(`"system":[]`))); err == nil || !strings.Contains(err.Error(), "use InvokeModel") {
		t.Errorf("embeddings: %v", err)
	}
}

func TestClaudesAnswer(t *testing.T) {
	body := value.MustParse(`{"content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"opaque"},{"type":"text","text":"hi"},
	{"type":"text","text":"cited","citations":[{"type":"page_location","cited_text":"q","document_index":0,"document_title":"d","start_page_number":1,"end_page_number":2}]},
	{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],"stop_reason":"refusal"}`)
	content, stop, err := anthropic{}.answer(body)
	want := `[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},{"reasoningContent":{"redactedContent":"b3BhcXVl"}},{"text":"hi"},` +
		`{"citationsContent":{"content":[{"text":"cited"}],"citations":[{"title":"d","sourceContent":[{"text":"q"}],"location":{"documentPage":{"documentIndex":0,"start":1,"end":2}}}]}},` +
		`{"toolUse":{"toolUseId":"toolu_1","name":"f","input":{"a":1}}}]`
	if got := value.Array(content...).JSON(); err != nil || got != want || stop != "content_filtered" {
		t.Errorf("%s, %v\n%s\nwant\n%s", stop, err, got, want)
	}
	// What Claude said goes back to Claude as it was.
	p, _ := planner().Plan("ap-northeast-1", account, jp45)
	c, err := planner().Prepare(p, value.MustParse(`{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":`+want+`}],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{}}}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	again := value.MustParse(string(c.Body)).Get("messages").At(1).Get("content")
	for i, b := range body.Get("content").Items() {
		if !value.Equal(again.At(i), b) {
			t.Errorf("block %d: %s, was %s", i, again.At(i), b)
		}
	}
	for in, want := range map[string]string{"end_turn": "end_turn", "tool_use": "tool_use", "max_tokens": "max_tokens", "stop_sequence": "stop_sequence", "model_context_window_exceeded": "model_context_window_exceeded", "pause_turn": "end_turn"} {
		if got := anthropicStop(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	if _, _, err := (anthropic{}).answer(value.MustParse(`{}`)); err == nil {
		t.Error("an answer without content")
	}
}

func TestClaudesStream(t *testing.T) {
	tr := anthropic{}.events()
	got := ""
	emit := func(name string, v value.Value) error { got += name + " " + v.JSON() + "\n"; return nil }
	for _, c := range []string{
		`{"type":"message_start","message":{"role":"assistant"}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"ping"}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":1}}`,
		`{"type":"message_stop"}`,
	} {
		if err := tr.event(value.MustParse(c), emit); err != nil {
			t.Fatal(err)
		}
	}
	want := `messageStart {"role":"assistant"}
contentBlockDelta {"delta":{"reasoningContent":{"text":"hm"}},"contentBlockIndex":0}
contentBlockDelta {"delta":{"reasoningContent":{"signature":"s"}},"contentBlockIndex":0}
contentBlockStop {"contentBlockIndex":0}
contentBlockStart {"start":{"toolUse":{"toolUseId":"t1","name":"f"}},"contentBlockIndex":1}
contentBlockDelta {"delta":{"toolUse":{"input":"{\"a\""}},"contentBlockIndex":1}
contentBlockStop {"contentBlockIndex":1}
messageStop {"stopReason":"tool_use"}
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if err := tr.event(value.MustParse(`{"type":"error","error":{"message":"overloaded"}}`), emit); fault.Code(err) != "ModelStreamErrorException" {
		t.Errorf("error event: %v", err)
	}
}

func TestPick(t *testing.T) {
	v := value.MustParse(`{"a":{"b":1,"c":[5,6]},"d/e":2}`)
	if got := pick(v, []string{"/a/b", "/a/c/1", "/d~1e", "/none"}).JSON(); got != `{"a":{"b":1,"c":{"1":6}},"d/e":2}` {
		t.Errorf("got %s", got)
	}
	if !pick(v, []string{"/none"}).IsUndefined() {
		t.Error("found nothing, and said something")
	}
}

func FuzzConversation(f *testing.F) {
	for _, s := range []string{everything, `{}`, `[]`, `{"messages":[{"role":"user","content":[{"text":"x"}]}]}`,
		`{"messages":[{"role":"user","content":[{"cachePoint":{"type":"default"}}]}]}`, `{"messages":{"a":[]},"toolConfig":{"tools":{"x":1}}}`,
		`{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"a","content":[{"cachePoint":{}}]}}]}]}`} {
		f.Add(s)
	}
	rt := planner()
	claude, _ := rt.Plan("ap-northeast-1", account, jp45)
	nova, _ := rt.Plan("ap-northeast-1", account, lite)
	oss, _ := rt.Plan("ap-northeast-1", account, "openai.gpt-oss-20b-1:0")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := value.ParseString(s)
		if err != nil {
			return
		}
		for _, p := range []*Plan{claude, nova, oss} {
			c, err := rt.Prepare(p, v)
			if err != nil {
				if fault.Code(err) != "ValidationException" {
					t.Errorf("an error that is no fault: %v", err)
				}
				continue
			}
			if !value.Valid(string(c.Body)) {
				t.Errorf("not JSON: %s", c.Body)
			}
		}
	})
}

func FuzzModelsAnswer(f *testing.F) {
	f.Add(`{"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn"}`, `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}`)
	f.Fuzz(func(t *testing.T, whole, chunk string) {
		for _, fam := range []family{anthropic{}, nova{}, chat{}, cohere{}, llama(modelOf(t, "meta.llama3-8b-instruct-v1:0")), newMistral(modelOf(t, "mistral.mistral-7b-instruct-v0:2"))} {
			if v, err := value.ParseString(whole); err == nil {
				content, _, err := fam.answer(v)
				if err == nil && !value.Valid(value.Array(content...).JSON()) {
					t.Error("not JSON")
				}
			}
			if v, err := value.ParseString(chunk); err == nil {
				_ = fam.events().event(v, func(_ string, p value.Value) error {
					if !value.Valid(p.JSON()) {
						t.Error("not JSON")
					}
					return nil
				})
			}
		}
	})
}

func BenchmarkPrepare(b *testing.B) {
	rt := planner()
	p, _ := rt.Plan("ap-northeast-1", account, jp45)
	v := value.MustParse(`{"messages":[{"role":"user","content":[{"text":"hello there"}]}],"inferenceConfig":{"maxTokens":100}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.Prepare(p, v); err != nil {
			b.Fatal(err)
		}
	}
}
