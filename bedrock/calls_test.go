package bedrock

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/value"
)

const (
	llama31ID = "meta.llama3-1-70b-instruct-v1:0"
	llama33ID = "meta.llama3-3-70b-instruct-v1:0"
	llama4ID  = "meta.llama4-scout-17b-instruct-v1:0"
	visionID  = "meta.llama3-2-11b-instruct-v1:0"
)

var tools = []Tool{{Name: "f"}, {Name: "get-weather"}}

func TestParseCalls(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"python":     {`[f(a='x', b=1)]`, `f{"a":"x","b":1}`},
		"several":    {`[f(), get-weather(city="大阪",days=2,)]`, `f{} get-weather{"city":"大阪","days":2}`},
		"literals":   {`[f(a=True, b=None, c=[1, 2.5e3, -3], d={"k": 'v', "n": {}}, e=("x",), g=false)]`, `f{"a":true,"b":null,"c":[1,2.5e3,-3],"d":{"k":"v","n":{}},"e":["x"],"g":false}`},
		"spread":     {`[f(a=1, **{"b-c": 2})]`, `f{"a":1,"b-c":2}`},
		"escapes":    {`[f(a='it\'s\n\x41\u00e9\ud83d\ude00\U0001F600\/\q', b="a'b")]`, `f{"a":"it's\nAé😀😀/\\q","b":"a'b"}`},
		"marks":      {"[f()]<|eot_id|>", `f{}`},
		"json":       {`{"name": "f", "parameters": {"a": "1"}}`, `f{"a": "1"}`},
		"typed":      {`{"type": "function", "function": {"name": "f", "arguments": {"a": [1]}}}`, `f{"a": [1]}`},
		"named":      {`{"type": "function", "function": "f", "parameters": {}}<|eom_id|>`, `f{}`},
		"bare":       {`{"name": "f"}`, `f{}`},
		"two":        {`{"name": "f"}; {"name": "get-weather", "parameters": {"c": 1}}`, `f{} get-weather{"c": 1}`},
		"list":       {`[{"name": "f", "arguments": {}}, {"name": "f"}]`, `f{} f{}`},
		"unknown":    {`[g()]`, ``},
		"one-of-two": {`[f(), g()]`, ``},
		"more":       {`[f()] and more`, ``},
		"position":   {`[f("x")]`, ``},
		"open":       {`[f(a="x"`, ``},
		"empty":      {`[]`, ``},
		"data":       {`{"name": "f", "age": 3}`, ``},
		"no-object":  {`{"name": "f", "parameters": [1]}`, ``},
		"half":       {`{"name": "f"} {`, ``},
		"text":       {`hello`, ``},
		"key":        {`[f(a={1: 2})]`, ``},
		"deep":       {`[f(a=` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `)]`, ``},
	} {
		var got []string
		for _, k := range parseCalls(c.in, tools) {
			got = append(got, k.name+k.args.JSON())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s are %s, want %s", name, c.in, s, c.want)
		}
	}
}

func TestFindCalls(t *testing.T) {
	for name, c := range map[string]struct {
		in, said string
		calls    int
	}{
		"alone":      {"[f()]", "", 1},
		"marked":     {"<|python_tag|>[f()]", "", 1},
		"after-text": {"I look.\n\n<|python_tag|>{\"name\": \"f\"}", "I look.", 1},
		"unmarked":   {"I look.\n  [f(), f()]\n", "I look.", 2},
		"in-a-line":  {"I say [f()]", "I say [f()]", 0},
		"quoted":     {"[f()]\nis what I would say", "[f()]\nis what I would say", 0},
		"not-ours":   {"<|python_tag|>print(1)", "print(1)", 0},
		"list":       {"[1, 2]", "[1, 2]", 0},
		"lines":      {strings.Repeat("[\n", 100) + "[f()]", strings.Repeat("[\n", 100) + "[f()]", 0},
	} {
		said, calls := findCalls(c.in, pythonTag, tools, false)
		if said != c.said || len(calls) != c.calls {
			t.Errorf("%s: %q and %v, want %q and %d", name, said, calls, c.said, c.calls)
		}
	}
}

// What is written is read again, whatever the arguments are.
func FuzzCalls(f *testing.F) {
	f.Add(`{"a":"x","b-c":[1,true,null,{"d":"it's \"é\"\n"}]}`, `[f(a='x')]`)
	f.Add(`{}`, `{"name": "f", "parameters": {"a": {}}}`)
	f.Add("000000000", "00000[f(a='')]")
	f.Add("0", "[f ()]")
	f.Add(`{"":1e5,"\u0000":"\ud800"}`, "I look.\n[f(a=\"\\U0001F600\")]")
	f.Fuzz(func(t *testing.T, args, said string) {
		if v, err := value.ParseString(args); err == nil && v.IsObject() && depth(v) < maxLiteral {
			for _, form := range []callForm{jsonCalls, pythonCalls} {
				s := form.write([]call{{"f", v}, {"get-weather", object()}})
				got := parseCalls(s, tools)
				if len(got) != 2 || !value.Equal(unique(got[0].args), unique(v)) || got[1].name != "get-weather" {
					t.Errorf("%s is written as %s, and read as %v", args, s, got)
				}
			}
		}
		before, calls := findCalls(said, pythonTag, tools, false)
		for _, c := range calls {
			if !value.Valid(c.args.JSON()) {
				t.Errorf("%q: arguments that are no JSON: %s", said, c.args)
			}
		}
		// However it comes in a stream, the same is found.
		rng := rand.New(rand.NewPCG(uint64(len(said)), uint64(len(args))))
		llama := llama(bridgeModel(t, llama33ID))
		llama.tools = tools
		content, stop, err := llama.answer(llamaSaid(said, text("stop"), nil))
		if err != nil {
			t.Fatal(err)
		}
		var streamed strings.Builder
		var inputs []string
		last := ""
		events := llama.events()
		emit := func(name string, p value.Value) error {
			switch {
			case p.Get("delta").Has("text"):
				streamed.WriteString(p.Get("delta").Get("text").Str())
			case name == "contentBlockDelta":
				inputs = append(inputs, p.Get("delta").Get("toolUse").Get("input").Str())
			case name == "messageStop":
				last = p.Get("stopReason").Str()
			}
			return nil
		}
		for rest := said; ; {
			n := min(len(rest), 1+rng.IntN(7))
			if err := events.event(llamaSaid(rest[:n], value.Null(), nil), emit); err != nil {
				t.Fatal(err)
			}
			if rest = rest[n:]; rest == "" {
				break
			}
		}
		if err := events.event(llamaSaid("", text("stop"), nil), emit); err != nil {
			t.Fatal(err)
		}
		if streamed.String() != before || len(inputs) != len(calls) || last != stop {
			t.Errorf("%q: streamed %q, %q, %s; whole %q, %v, %s", said, streamed.String(), inputs, last, before, value.Array(content...), stop)
		}
	})
}

// depth is how deep a value nests.
func depth(v value.Value) int {
	deepest := 0
	for _, x := range v.Members() {
		deepest = max(deepest, depth(x))
	}
	for _, x := range v.Items() {
		deepest = max(deepest, depth(x))
	}
	return deepest + 1
}

// unique is v with the last of members that have the same name, as reading a
// call leaves it.
func unique(v value.Value) value.Value {
	switch {
	case v.IsObject():
		out := object()
		for k, x := range v.Members() {
			out = out.With(k, unique(x))
		}
		return out
	case v.IsArray():
		items := []value.Value{}
		for _, x := range v.Items() {
			items = append(items, unique(x))
		}
		return value.Array(items...)
	}
	return v
}

const (
	weatherSpec = `"toolConfig":{"tools":[{"toolSpec":{"name":"weather","description":"tells it","inputSchema":{"json":{"type":"object"}}}}]}`
	weatherChat = `"tools":[{"type":"function","function":{"name":"weather","description":"tells it","parameters":{"type":"object"}}}]`
)

// twice is a conversation with two calls in one turn, and what came of them.
const twice = `"messages":[{"role":"user","content":[{"text":"where?"}]},
	{"role":"assistant","content":[{"text":"I look."},{"toolUse":{"toolUseId":"a","name":"weather","input":{"city":"東京"}}},{"toolUse":{"toolUseId":"b","name":"weather","input":{"city":"大阪","n-1":2}}}]},
	{"role":"user","content":[{"toolResult":{"toolUseId":"b","content":[{"json":{"sun":true}}]}},{"toolResult":{"toolUseId":"a","content":[{"text":"rain"}],"status":"error"}},{"text":"so?"}]}]`

// Prompts that tell of tools: as Meta's documents have them, and back again.
func TestLlamaTools(t *testing.T) {
	head := func(role string) string { return "<|start_header_id|>" + role + "<|end_header_id|>\n\n" }
	four := strings.NewReplacer("<|start_header_id|>", "<|header_start|>", "<|end_header_id|>", "<|header_end|>", "<|eot_id|>", "<|eot|>")
	described := `{"name":"weather","description":"tells it","parameters":{"type":"object"}}`
	json := "<|begin_of_text|>" + head("system") + "Environment: ipython\n\nbe brief<|eot_id|>" + head("user") + jsonIntro + `{"type":"function","function":` + described + "}" + jsonOutro + "<|eot_id|>" +
		head("user") + "where?<|eot_id|>" +
		head("assistant") + `I look.<|python_tag|>{"type":"function","name":"weather","parameters":{"city":"東京"}}<|eom_id|>` + head("ipython") + "Error: rain<|eot_id|>" +
		head("assistant") + `<|python_tag|>{"type":"function","name":"weather","parameters":{"city":"大阪","n-1":2}}<|eom_id|>` + head("ipython") + `{"sun":true}<|eot_id|>` +
		head("user") + "so?<|eot_id|>" + head("assistant")
	python := func(tag, blank string) string {
		return "<|begin_of_text|>" + head("system") + "be brief\n\n" + pythonIntro + "[" + described + "]" + pythonOutro + "<|eot_id|>" + head("user") + "where?<|eot_id|>" +
			head("assistant") + "I look." + blank + tag + `[weather(city="東京"), weather(city="大阪", **{"n-1": 2})]<|eot_id|>` + head("ipython") + "Error: rain<|eot_id|>" + head("ipython") + `{"sun":true}<|eot_id|>` +
			head("user") + "so?<|eot_id|>" + head("assistant")
	}
	// As chat completions; with one call at a time the turns are more.
	together := `{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"where?"},
		{"role":"assistant","content":"I look.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"東京\"}"}},{"id":"call_2","type":"function","function":{"name":"weather","arguments":"{\"city\":\"大阪\",\"n-1\":2}"}}]},
		{"role":"tool","tool_call_id":"call_1","content":"Error: rain"},{"role":"tool","tool_call_id":"call_2","content":"{\"sun\":true}"},{"role":"user","content":"so?"}],` + weatherChat + `}`
	apart := `{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"where?"},
		{"role":"assistant","content":"I look.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"東京\"}"}}]},{"role":"tool","tool_call_id":"call_1","content":"Error: rain"},
		{"role":"assistant","tool_calls":[{"id":"call_2","type":"function","function":{"name":"weather","arguments":"{\"city\":\"大阪\",\"n-1\":2}"}}]},
		{"role":"tool","tool_call_id":"call_2","content":"{\"sun\":true}"},{"role":"user","content":"so?"}],` + weatherChat + `}`
	for _, c := range []struct{ model, prompt, chat string }{
		{llama31ID, json, apart},
		{visionID, json, apart},
		{llama33ID, python(pythonTag, ""), together},
		{llama4ID, four.Replace(python("", "\n\n")), together},
	} {
		m := bridgeModel(t, c.model)
		talk, err := ParseConversation(value.MustParse(`{"system":[{"text":"be brief"}],` + twice + `,` + weatherSpec + `}`))
		if err != nil {
			t.Fatal(err)
		}
		f := llama(m)
		body, err := f.request(talk, m)
		if err != nil || body.Get("prompt").Str() != c.prompt {
			t.Errorf("%s: %v, wrote\n%s\nwant\n%s", c.model, err, body.Get("prompt").Str(), c.prompt)
			continue
		}
		b, err := NewBridge(Llama, Chat, m, body)
		if err != nil || !same(t, b.Body().JSON(), c.chat) {
			t.Errorf("%s: %v, read as\n%s\nwant\n%s", c.model, err, b.Body(), c.chat)
			continue
		}
		// What a server of chat completions answers comes back as calls.
		answer, err := b.Answer(value.MustParse(`{"choices":[{"message":{"role":"assistant","content":"Once more.","tool_calls":[{"id":"x","type":"function","function":{"name":"weather","arguments":"{\"city\":\"那覇\"}"}},{"id":"y","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":"tool_calls"}]}`), Head{}, Usage{Input: 1, Output: 2})
		if err != nil {
			t.Fatal(err)
		}
		content, stop, err := f.answer(answer)
		want := `[{"text":"Once more."},{"toolUse":{"toolUseId":"tooluse_weather_3","name":"weather","input":{"city":"那覇"}}},{"toolUse":{"toolUseId":"tooluse_weather_4","name":"weather","input":{}}}]`
		if got := value.Array(content...).JSON(); err != nil || stop != "tool_use" || !same(t, got, want) {
			t.Errorf("%s: %v, %s answers %s, of %s", c.model, err, stop, got, answer)
		}
		// And so in a stream.
		var chunks []value.Value
		s := b.Stream(Head{})
		keep := func(v value.Value) error { chunks = append(chunks, v); return nil }
		for _, k := range []string{
			`{"choices":[{"delta":{"role":"assistant","content":"Once "}}]}`, `{"choices":[{"delta":{"content":"more."}}]}`,
			`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"weather","arguments":"{\"ci"}}]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ty\":\"那覇\"}"}}]}}]}`,
			`{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"y","function":{"name":"weather","arguments":""}}]}}]}`, `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`,
		} {
			if err := s.Chunk(value.MustParse(k), keep); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.End(Usage{}, keep); err != nil {
			t.Fatal(err)
		}
		var got []string
		events := f.events()
		for _, k := range chunks {
			if err := events.event(k, func(name string, p value.Value) error {
				got = append(got, strings.TrimPrefix(name, "content")+p.JSON())
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		events2 := `messageStart{"role":"assistant"}
BlockDelta{"delta":{"text":"Once "},"contentBlockIndex":0}
`
		events2 = strings.ReplaceAll(events2, `"Once "`, `"Once"`) + `BlockDelta{"delta":{"text":" more."},"contentBlockIndex":0}
BlockStop{"contentBlockIndex":0}
BlockStart{"start":{"toolUse":{"toolUseId":"tooluse_weather_3","name":"weather"}},"contentBlockIndex":1}
BlockDelta{"delta":{"toolUse":{"input":"{\"city\":\"那覇\"}"}},"contentBlockIndex":1}
BlockStop{"contentBlockIndex":1}
BlockStart{"start":{"toolUse":{"toolUseId":"tooluse_weather_4","name":"weather"}},"contentBlockIndex":2}
BlockDelta{"delta":{"toolUse":{"input":"{}"}},"contentBlockIndex":2}
BlockStop{"contentBlockIndex":2}
messageStop{"stopReason":"tool_use"}`
		if s := strings.Join(got, "\n"); s != events2 {
			t.Errorf("%s: streamed\n%s\nwant\n%s", c.model, s, events2)
		}
	}
}

// Somebody else's prompts are passed on, tools or none.
func TestLlamaOthersPrompts(t *testing.T) {
	for name, c := range map[string]struct{ model, prompt, chat string }{
		"ipython": {llama31ID, "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nEnvironment: ipython<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n7?<|eot_id|>" +
			"<|start_header_id|>assistant<|end_header_id|>\n\n<|python_tag|>print(7)<|eom_id|><|start_header_id|>ipython<|end_header_id|>\n\n7<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
			`{"messages":[{"role":"system","content":"Environment: ipython"},{"role":"user","content":"7?"},{"role":"assistant","content":"print(7)"},{"role":"user","content":"7"}]}`},
		"stranger": {llama31ID, "<|start_header_id|>god<|end_header_id|>\n\nhi<|eot_id|>", `{"messages":[{"role":"user","content":"<|start_header_id|>god<|end_header_id|>\n\nhi<|eot_id|>"}]}`},
		"unended":  {llama33ID, "<|start_header_id|>user<|end_header_id|>\n\nhi", `{"messages":[{"role":"user","content":"hi"}]}`},
	} {
		b, err := NewBridge(Llama, Chat, bridgeModel(t, c.model), object(member("prompt", text(c.prompt))))
		if err != nil || !same(t, b.Body().JSON(), c.chat) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				t.Errorf("read as %s", b.Body())
			}
		}
	}
}

// What AWS refuses for a model is refused in its words.
func TestToolsRefused(t *testing.T) {
	hello := `"messages":[{"role":"user","content":[{"text":"hi"}]}]`
	picture := `"messages":[{"role":"user","content":[{"text":"hi"},{"image":{"format":"png","source":{"bytes":"aGk="}}}]}]`
	choice := func(c string) string {
		return `"toolConfig":{"toolChoice":` + c + `,` + strings.TrimPrefix(weatherSpec, `"toolConfig":{`)
	}
	const none, streaming = "This model doesn't support tool use.", "This model doesn't support tool use in streaming mode."
	for _, c := range []struct {
		model, body   string
		whole, stream string // "": it is taken
	}{
		{"meta.llama3-8b-instruct-v1:0", weatherSpec, none, none},
		{"meta.llama3-70b-instruct-v1:0", weatherSpec, none, none},
		{"meta.llama3-2-1b-instruct-v1:0", weatherSpec, none, none},
		{"meta.llama3-2-3b-instruct-v1:0", weatherSpec, none, none},
		{"mistral.mistral-7b-instruct-v0:2", weatherSpec, none, none},
		{"mistral.mixtral-8x7b-instruct-v0:1", weatherSpec, none, none},
		{"deepseek.r1-v1:0", weatherSpec, none, none},
		{"meta.llama3-1-8b-instruct-v1:0", weatherSpec, "", streaming},
		{llama31ID, weatherSpec, "", streaming},
		{"meta.llama3-1-405b-instruct-v1:0", weatherSpec, "", streaming},
		{visionID, weatherSpec, "", streaming},
		{"meta.llama3-2-90b-instruct-v1:0", weatherSpec, "", streaming},
		{llama33ID, weatherSpec, "", streaming},
		{llama4ID, weatherSpec, "", streaming},
		{"meta.llama4-maverick-17b-instruct-v1:0", weatherSpec, "", streaming},
		{oldID, weatherSpec, "", streaming},
		{"mistral.mistral-small-2402-v1:0", weatherSpec, "", streaming},
		{"mistral.mistral-large-2407-v1:0", weatherSpec, "", streaming},
		{"mistral.pixtral-large-2502-v1:0", weatherSpec, "", streaming},
		{"writer.palmyra-x5-v1:0", weatherSpec, "", streaming},
		{novaID, weatherSpec, "", ""},
		{gptOSSID, weatherSpec, "", ""},
		{haikuID, weatherSpec, "", ""},
		{llama31ID, `"system":[{"text":"x"}]`, "", ""},
		{llama4ID, choice(`{"any":{}}`), "This model doesn't support the toolConfig.toolChoice.any field. Remove toolConfig.toolChoice.any and try again.", streaming},
		{llama31ID, choice(`{"tool":{"name":"weather"}}`), "This model doesn't support the toolConfig.toolChoice.tool field. Remove toolConfig.toolChoice.tool and try again.", streaming},
		{oldID, choice(`{"tool":{"name":"weather"}}`), "This model doesn't support the toolConfig.toolChoice.tool field. Remove toolConfig.toolChoice.tool and try again.", streaming},
		{oldID, choice(`{"any":{}}`), "", streaming},
		{llama31ID, choice(`{"auto":{}}`), "", streaming},
	} {
		rt := planner()
		p, err := rt.PlanHere("us-east-1", account, c.model)
		if err != nil {
			t.Fatal(err)
		}
		request := value.MustParse("{" + hello + "," + c.body + "}")
		for _, k := range []struct {
			stream bool
			want   string
		}{{false, c.whole}, {true, c.stream}} {
			_, err := rt.Prepare(p, request)
			if k.stream {
				_, err = rt.PrepareStream(p, request)
			}
			if f, ok := errors.AsType[*fault.Error](err); k.want == "" && err != nil || k.want != "" && (!ok || f.Code != "ValidationException" || f.Message != k.want) {
				t.Errorf("%s, %s, stream %v: %v, want %q", c.model, c.body, k.stream, err, k.want)
			}
		}
	}
	rt := planner()
	p, err := rt.PlanHere("us-east-1", account, visionID)
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		"{" + picture + "," + weatherSpec + "}": "images together with tool use",
		`{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"weather","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"b","content":[{"text":"y"}]}}]}],` + weatherSpec + `}`:          "no toolResult for the toolUse a",
		`{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"b","content":[{"text":"y"}]}}]}],` + weatherSpec + `}`:                                                                                                                                              "1 toolResult blocks, and the message before it has 0",
		`{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"weather","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"a","content":[{"text":"<|eot_id|>"}]}}]}],` + weatherSpec + `}`: "meaning of its own",
		`{"messages":[{"role":"user","content":[{"text":"x"}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"f","description":"<|","inputSchema":{"json":{}}}}]}}`:                                                                                                               "meaning of its own",
	} {
		if _, err := rt.Prepare(p, value.MustParse(body)); fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Mistral's models that call tools have a form with messages for it, which AWS
// documents; both forms are read, and answered in.
func TestMistralTools(t *testing.T) {
	m := bridgeModel(t, oldID)
	c, err := ParseConversation(value.MustParse(`{"system":[{"text":"be brief"}],` + twice + `,` + weatherSpec + `,"inferenceConfig":{"maxTokens":9}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := newMistral(m)
	body, err := f.request(c, m)
	want := `{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"where?"},{"role":"assistant","content":"I look.",
		"tool_calls":[{"id":"a","function":{"name":"weather","arguments":"{\"city\":\"東京\"}"}},{"id":"b","function":{"name":"weather","arguments":"{\"city\":\"大阪\",\"n-1\":2}"}}]},
		{"role":"tool","tool_call_id":"b","content":"{\"sun\":true}"},{"role":"tool","tool_call_id":"a","content":"Error: rain"},{"role":"user","content":"so?"}],"max_tokens":9,` + weatherChat + `}`
	if err != nil || !same(t, body.JSON(), want) {
		t.Fatalf("%v, wrote\n%s\nwant\n%s", err, body, want)
	}
	said := value.MustParse(`{"choices":[{"index":0,"message":{"role":"assistant","content":"","tool_calls":[{"id":"v6","function":{"name":"weather","arguments":"{\"city\": \"WZPZ\"}"}}]},"stop_reason":"tool_calls"}]}`)
	content, stop, err := f.answer(said)
	if got := value.Array(content...).JSON(); err != nil || stop != "tool_use" || !same(t, got, `[{"toolUse":{"toolUseId":"v6","name":"weather","input":{"city":"WZPZ"}}}]`) {
		t.Errorf("%v, %s: %s", err, stop, got)
	}
	b, err := NewBridge(Mistral, Chat, m, body.With("tool_choice", text("any")))
	if err != nil || b.Body().Get("tool_choice").Str() != "required" || b.Body().Get("messages").Len() != 6 {
		t.Fatalf("%v: %s", err, b.Body())
	}
	answer, err := b.Answer(value.MustParse(`{"choices":[{"message":{"content":null,"tool_calls":[{"id":"v6","type":"function","function":{"name":"weather","arguments":"{\"city\":\"WZPZ\"}"}}]},"finish_reason":"tool_calls"}]}`), Head{}, Usage{})
	if err != nil || !same(t, answer.JSON(), strings.ReplaceAll(said.JSON(), `\": \"`, `\":\"`)) {
		t.Errorf("%v: %s", err, answer)
	}
	var chunks []value.Value
	s := b.Stream(Head{})
	keep := func(v value.Value) error { chunks = append(chunks, v); return nil }
	for _, k := range []string{`{"choices":[{"delta":{"content":"a"}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"weather","arguments":"{}"}}]}}]}`, `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`} {
		if err := s.Chunk(value.MustParse(k), keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.End(Usage{}, keep); err != nil {
		t.Fatal(err)
	}
	var names []string
	events := f.events()
	for _, k := range chunks {
		if !k.Get("choices").At(0).Has("stop_reason") || k.Get("choices").At(0).Has("delta") {
			t.Errorf("a chunk in another form: %s", k)
		}
		if err := events.event(k, func(name string, p value.Value) error { names = append(names, name); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(names, " "); got != "messageStart contentBlockDelta contentBlockStop contentBlockStart contentBlockDelta contentBlockStop messageStop" {
		t.Errorf("events %s", got)
	}
	if _, err := NewBridge(Mistral, Chat, m, body.With("top_k", number(3))); err == nil || !strings.Contains(err.Error(), "extraneous key [top_k]") {
		t.Errorf("%v", err)
	}
	// Without tools there is only the prompt, and the small ones have nothing else.
	if _, err := NewBridge(Mistral, Chat, bridgeModel(t, "mistral.mistral-7b-instruct-v0:2"), body); err == nil || !strings.Contains(err.Error(), "extraneous key") {
		t.Errorf("%v", err)
	}
}

// Documents whose format is text are text for models that read no documents.
func TestDocumentsAsText(t *testing.T) {
	request := value.MustParse(`{"messages":[{"role":"user","content":[{"text":"what is it?"},{"document":{"format":"md","name":"n","context":"c","source":{"bytes":"IyBo"}}},{"document":{"name":"m","source":{"text":"two"}}}]}]}`)
	for _, id := range []string{llamaID, "mistral.mistral-7b-instruct-v0:2", gptOSSID} {
		rt := planner()
		p, err := rt.PlanHere("us-east-1", account, id)
		if err != nil {
			t.Fatal(err)
		}
		c, err := rt.Prepare(p, request)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		for _, want := range []string{`Document: n\nContext: c\n\n# h`, `Document: m\n\ntwo`} {
			if !strings.Contains(string(c.Body), want) {
				t.Errorf("%s: no %s in %s", id, want, c.Body)
			}
		}
		for _, bad := range []string{`{"format":"pdf","name":"n","source":{"bytes":"AAAA"}}`, `{"format":"txt","name":"n","source":{"text":"x"},"citations":{"enabled":true}}`} {
			if _, err := rt.Prepare(p, value.MustParse(`{"messages":[{"role":"user","content":[{"text":"x"},{"document":`+bad+`}]}]}`)); fault.Code(err) != "ValidationException" {
				t.Errorf("%s takes %s: %v", id, bad, err)
			}
		}
	}
}
