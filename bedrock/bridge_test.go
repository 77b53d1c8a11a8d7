package bedrock

import (
	"encoding/json"
	"strings"
	"testing"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

func bridgeModel(t testing.TB, id string) *catalog.Model {
	t.Helper()
	m, ok := catalog.Load().Model(id)
	if !ok {
		t.Fatalf("no model %s", id)
	}
	return m
}

const (
	haikuID  = "anthropic.claude-3-haiku-20240307-v1:0"
	novaID   = "amazon.nova-pro-v1:0"
	llamaID  = "meta.llama3-8b-instruct-v1:0"
	oldID    = "mistral.mistral-large-2402-v1:0"
	gptOSSID = "openai.gpt-oss-20b-1:0"
)

// same compares documents whatever the order of their members.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatalf("%v: %s", err, a)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

func TestBridgeRequests(t *testing.T) {
	for name, c := range map[string]struct {
		from, to Family
		model    string
		in, want string
	}{
		"claude-to-chat": {Anthropic, Chat, haikuID,
			`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"system":[{"type":"text","text":"be kind","cache_control":{"type":"ephemeral"}}],"temperature":0.5,"top_k":3,"stop_sequences":["x"],
			"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},
			{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"tool_use","id":"t1","name":"f","input":{"a":1.50}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok","is_error":true},{"type":"text","text":"go on"}]}],
			"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"metadata":{"user_id":"u"}}`,
			`{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]},
			{"role":"assistant","reasoning_content":"hm","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\":1.50}"}}]},
			{"role":"tool","tool_call_id":"t1","content":"Error: ok"},{"role":"user","content":"go on"}],
			"max_tokens":9,"temperature":0.5,"top_k":3,"user":"u","parallel_tool_calls":false,"stop":["x"],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],"tool_choice":"required"}`},
		"chat-to-claude": {Chat, Anthropic, haikuID,
			`{"model":"m","messages":[{"role":"developer","content":"be kind"},{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]},
			{"role":"assistant","content":"","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":""}}]},{"role":"tool","tool_call_id":"t1","content":"ok"}],
			"max_completion_tokens":9,"stop":"x","n":1,"user":"u","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}},"logprobs":false,"seed":null}`,
			`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"system":[{"type":"text","text":"be kind"}],"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
			{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"ok"}]}]}],
			"metadata":{"user_id":"u"},"stop_sequences":["x"],"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}],"tool_choice":{"type":"tool","name":"f"}}`},
		"nova-to-chat": {Nova, Chat, novaID,
			`{"schemaVersion":"messages-v1","system":[{"text":"be kind"}],"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"max_new_tokens":5,"top_p":0.5,"topK":2}}`,
			`{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi"}],"max_tokens":5,"top_p":0.5,"top_k":2}`},
		"llama-to-chat": {Llama, Chat, llamaID,
			`{"prompt":"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nbe kind<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nyes<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nso?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n","max_gen_len":7}`,
			`{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi"},{"role":"assistant","content":"yes"},{"role":"user","content":"so?"}],"max_tokens":7}`},
		"cohere-to-chat": {Cohere, Chat, haikuID,
			`{"preamble":"be kind","chat_history":[{"role":"USER","message":"a"},{"role":"CHATBOT","message":"b"}],"message":"c","max_tokens":7,"temperature":0.5,"p":0.9,"k":3,"stop_sequences":["x"],
			"tools":[{"name":"f","description":"d","parameter_definitions":{"city":{"description":"where","type":"str","required":true},"n":{"type":"int"}}}],
			"tool_results":[{"call":{"name":"f","parameters":{"city":"Tokyo"}},"outputs":[{"text":"rain"},{"t":21}]}]}`,
			`{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},
			{"role":"assistant","tool_calls":[{"id":"call_0","type":"function","function":{"name":"f","arguments":"{\"city\":\"Tokyo\"}"}}]},{"role":"tool","tool_call_id":"call_0","content":"rain\n{\"t\":21}"}],
			"max_tokens":7,"temperature":0.5,"top_p":0.9,"top_k":3,"stop":["x"],"tools":[{"type":"function","function":{"name":"f","description":"d",
			"parameters":{"type":"object","properties":{"city":{"type":"string","description":"where"},"n":{"type":"integer"}},"required":["city"]}}}]}`},
		"chat-to-cohere": {Chat, Cohere, haikuID,
			`{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"a"},{"role":"assistant","content":"I look","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"1","content":"x"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},
			{"role":"assistant","tool_calls":[{"id":"2","type":"function","function":{"name":"f","arguments":"{\"q\":1}"}}]},{"role":"tool","tool_call_id":"2","content":"y"}],
			"max_tokens":7,"top_p":0.9,"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"q":{"type":"number","minimum":1},"r":{"type":"array","description":"all","items":{"type":"string"}}},"required":["q"]}}}]}`,
			`{"preamble":"be kind","chat_history":[{"role":"USER","message":"a"},{"role":"CHATBOT","message":"I look","tool_calls":[{"name":"f","parameters":{}}]},
			{"role":"TOOL","tool_results":[{"call":{"name":"f","parameters":{}},"outputs":[{"text":"x"}]}]},{"role":"CHATBOT","message":"b"}],"message":"c",
			"tool_results":[{"call":{"name":"f","parameters":{"q":1}},"outputs":[{"text":"y"}]}],"max_tokens":7,"p":0.9,
			"tools":[{"name":"f","description":"d","parameter_definitions":{"q":{"description":"JSON Schema: {\"minimum\":1}","type":"float","required":true},"r":{"description":"all JSON Schema: {\"items\":{\"type\":\"string\"}}","type":"list","required":false}}}]}`},
		"llama-images": {Llama, Chat, "meta.llama4-scout-17b-instruct-v1:0",
			`{"prompt":"<|begin_of_text|><|header_start|>user<|header_end|>\n\n<|image|>what is it?<|eot|><|header_start|>assistant<|header_end|>\n\n","images":["/9j/AAAA"]}`,
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/AAAA"}},{"type":"text","text":"what is it?"}]}]}`},
		"llama-bare": {Llama, Chat, llamaID, `{"prompt":"once upon a time"}`, `{"messages":[{"role":"user","content":"once upon a time"}]}`},
		"mistral-to-chat": {Mistral, Chat, oldID, `{"prompt":"<s>[INST] a [/INST] b</s>[INST] c [/INST]","max_tokens":7,"top_k":2,"stop":["x"]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"max_tokens":7,"top_k":2,"stop":["x"]}`},
	} {
		b, err := NewBridge(c.from, c.to, bridgeModel(t, c.model), value.MustParse(c.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := b.Body().JSON(); !same(t, got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// What cannot be said is refused, and the refusal says what it was.
func TestBridgeRefuses(t *testing.T) {
	msg := `"messages":[{"role":"user","content":"hi"}]`
	for name, c := range map[string]struct {
		from, to Family
		model    string
		in, want string
	}{
		"no-messages":     {Anthropic, Chat, haikuID, `{"max_tokens":1}`, "messages: Field required"},
		"empty":           {Anthropic, Chat, haikuID, `{"max_tokens":1,"messages":[]}`, "at least one message"},
		"extra":           {Anthropic, Chat, haikuID, `{"max_tokens":1,` + msg + `,"x":1}`, "x: Extra inputs are not permitted"},
		"block":           {Anthropic, Chat, haikuID, `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"server_tool_use"}]}]}`, "server_tool_use"},
		"url":             {Anthropic, Chat, haikuID, `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://x"}}]}]}`, "messages.0.content.0.image.source.type"},
		"document":        {Anthropic, Chat, haikuID, `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}}]}]}`, "document content block"},
		"role":            {Anthropic, Chat, haikuID, `{"max_tokens":1,"messages":[{"role":"system","content":"hi"}]}`, "messages.0.role"},
		"response-format": {Chat, Anthropic, haikuID, `{` + msg + `,"response_format":{"type":"json_object"}}`, "response_format"},
		"seed":            {Chat, Anthropic, haikuID, `{` + msg + `,"seed":1}`, "seed is not supported by this server: 1"},
		"image-url":       {Chat, Anthropic, haikuID, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y.png"}}]}]}`, "image_url.url"},
		"audio":           {Chat, Anthropic, haikuID, `{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`, "input_audio"},
		"arguments":       {Chat, Anthropic, haikuID, `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"["}}]}]}`, "tool_calls[0]"},
		"nova-none":       {Chat, Nova, novaID, `{` + msg + `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"}`, "tool_choice none"},
		"llama-tools":     {Chat, Llama, llamaID, `{` + msg + `,"tools":[{"type":"function","function":{"name":"f"}}]}`, "tool use"},
		"llama-marks":     {Chat, Llama, llamaID, `{"messages":[{"role":"user","content":"<|eot_id|>"}]}`, "meaning of its own"},
		"cohere-choice":   {Chat, Cohere, haikuID, `{` + msg + `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required"}`, "This model doesn't support the toolConfig.toolChoice.any field."},
		"cohere-image":    {Chat, Cohere, haikuID, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]}]}`, "image content block"},
		"cohere-prefill":  {Chat, Cohere, haikuID, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, "must end with a user message"},
		"cohere-orphan":   {Chat, Cohere, haikuID, `{"messages":[{"role":"user","content":"a"},{"role":"tool","tool_call_id":"z","content":"x"}]}`, "that of no toolUse before it"},
		"cohere-schema":   {Chat, Cohere, haikuID, `{` + msg + `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"anyOf":[]}}}}}]}`, "another type than JSON's"},
		"cohere-extra":    {Cohere, Chat, haikuID, `{"message":"a","search_queries_only":true}`, "extraneous key [search_queries_only]"},
		"cohere-role":     {Cohere, Chat, haikuID, `{"message":"a","chat_history":[{"role":"user1","message":"x"}]}`, "#/chat_history/0/role"},
		"cohere-nothing":  {Cohere, Chat, haikuID, `{"max_tokens":3}`, "required key [message] not found"},
		"llama-spare":     {Llama, Chat, "meta.llama4-scout-17b-instruct-v1:0", `{"prompt":"hi","images":["/9j/AAAA"]}`, "1 images, and <|image|> 0 times in the prompt"},
		"llama-picture":   {Llama, Chat, "meta.llama4-scout-17b-instruct-v1:0", `{"prompt":"<|image|>","images":["AAAA"]}`, "#/images/0"},
		"llama-blind":     {Llama, Chat, llamaID, `{"prompt":"<|image|>","images":["/9j/AAAA"]}`, "extraneous key [images]"},
		"prompt":          {Llama, Chat, llamaID, `{"prompt":1}`, "#/prompt"},
		"embedding":       {OtherFamily, Chat, "amazon.titan-embed-text-v2:0", `{}`, "not one that text is exchanged with"},
	} {
		_, err := NewBridge(c.from, c.to, bridgeModel(t, c.model), value.MustParse(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "ValidationException") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Whatever somebody sends, a bridge refuses it or makes JSON of it, and what it
// made it can read again.
func FuzzBridge(f *testing.F) {
	f.Add(uint8(0), uint8(4), `{"max_tokens":1,"messages":[{"role":"user","content":"hi"}]}`)
	f.Add(uint8(4), uint8(0), `{"messages":[{"role":"user","content":[{"type":"text","text":"b"}]}],"stop":"x"}`)
	f.Add(uint8(1), uint8(4), `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`)
	f.Add(uint8(2), uint8(4), `{"prompt":"<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"}`)
	f.Add(uint8(3), uint8(4), `{"prompt":"<s>[INST] a [/INST] b</s>"}`)
	f.Add(uint8(3), uint8(4), `{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"x"}],"tool_choice":"any"}`)
	f.Add(uint8(4), uint8(2), `{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}`)
	f.Add(uint8(2), uint8(4), `{"prompt":"a<|image|>b<|image|>","images":["/9j/AAAA","iVBORw0KGgoA"]}`)
	f.Add(uint8(5), uint8(4), `{"message":"a","chat_history":[{"role":"CHATBOT","message":"b","tool_calls":[{"name":"f","parameters":{}}]}],"tool_results":[{"call":{"name":"f","parameters":{}},"outputs":[{"text":"x"}]}],"tools":[{"name":"f","parameter_definitions":{"a":{"type":"str"}}}]}`)
	f.Add(uint8(4), uint8(5), `{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}]}`)
	families := []Family{Anthropic, Nova, Llama, Mistral, Chat, Cohere}
	models := []string{haikuID, novaID, "meta.llama4-scout-17b-instruct-v1:0", oldID, gptOSSID, haikuID}
	f.Fuzz(func(t *testing.T, from, to uint8, body string) {
		v, err := value.ParseString(body)
		if err != nil {
			return
		}
		a, z := families[from%6], families[to%6]
		m := bridgeModel(t, models[to%6])
		b, err := NewBridge(a, z, m, v)
		if err != nil {
			return
		}
		again, err := value.ParseString(b.Body().JSON())
		if err != nil {
			t.Fatalf("%v: %s", err, b.Body())
		}
		if _, err := NewBridge(z, z, m, again); err != nil && z != Nova && z != Llama && z != Mistral && z != Cohere {
			t.Errorf("%s of %s: it cannot read what it wrote: %v: %s", z, a, err, again)
		}
	})
}

func FuzzBridgeStream(f *testing.F) {
	f.Add(uint8(0), uint8(4), `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`)
	f.Add(uint8(4), uint8(5), `{"event_type":"tool-calls-generation","tool_calls":[{"name":"f","parameters":{}}]}`)
	f.Add(uint8(2), uint8(4), `{"generation":"<|python_tag|>{","stop_reason":"stop"}`)
	f.Add(uint8(3), uint8(4), `{"choices":[{"message":{"content":"a"},"stop_reason":"length"}]}`)
	f.Add(uint8(4), uint8(0), `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]},"finish_reason":"stop"}]}`)
	families := []Family{Anthropic, Nova, Llama, Mistral, Chat, Cohere}
	models := []string{haikuID, novaID, llamaID, oldID, gptOSSID, haikuID}
	f.Fuzz(func(t *testing.T, to, from uint8, chunk string) {
		v, err := value.ParseString(chunk)
		if err != nil {
			return
		}
		m := bridgeModel(t, models[to%6])
		s := (&Bridge{from: named(families[from%6], m), to: named(families[to%6], m), model: m}).Stream(Head{ID: "1"})
		emit := func(v value.Value) error {
			if !value.Valid(v.JSON()) {
				t.Errorf("not JSON: %s", v)
			}
			return nil
		}
		for range 2 {
			if s.Chunk(v, emit) != nil {
				return
			}
		}
		s.End(Usage{}, emit) //nolint:errcheck // it may not be at its end
	})
}

func BenchmarkBridgeRequest(b *testing.B) {
	m := bridgeModel(b, haikuID)
	body := []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"` + strings.Repeat("word ", 200) + `"}]}]}`)
	b.ReportAllocs()
	for b.Loop() {
		v, err := value.Parse(body)
		if err != nil {
			b.Fatal(err)
		}
		x, err := NewBridge(Anthropic, Chat, m, v)
		if err != nil {
			b.Fatal(err)
		}
		_ = x.Body().AppendJSON(nil)
	}
}
