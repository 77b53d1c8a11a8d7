package bedrockrt_test

import (
	"slices"
	"strings"
	"testing"

	"tokaido/bedrock/backend/simulated"
	"tokaido/trail"
	"tokaido/value"
)

const (
	haiku   = "anthropic.claude-3-haiku-20240307-v1:0"
	nova    = "apac.amazon.nova-pro-v1:0"
	gptOSS  = "openai.gpt-oss-20b-1:0"
	chat    = "/openai/v1/chat/completions"
	message = "/anthropic/v1/messages"
)

// events are the data of server-sent events.
func events(t *testing.T, body []byte) (out []value.Value, done bool) {
	t.Helper()
	for line := range strings.SplitSeq(string(body), "\n") {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		v, err := value.ParseString(data)
		if err != nil {
			t.Fatalf("%v: %q", err, data)
		}
		out = append(out, v)
	}
	return out, done
}

func TestChatCompletions(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, model := range []string{haiku, jp45, nova, gptOSS} {
		a := s.ask(t, "POST", chat, `{"model":"`+model+`","messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hello"}],"temperature":0.5}`)
		v, _ := value.Parse(a.body)
		choice := v.Get("choices").At(0)
		if a.status != 200 || !strings.Contains(choice.Get("message").Get("content").Str(), "hello") || choice.Get("finish_reason").Str() != "stop" ||
			v.Get("model").Str() != model || v.Get("object").Str() != "chat.completion" || a.header.Get("X-Tokaido-Inference-Region") != "ap-northeast-1" {
			t.Errorf("%s: %d %s", model, a.status, a.body)
		}
		in, _ := v.Get("usage").Get("prompt_tokens").Int()
		out, _ := v.Get("usage").Get("completion_tokens").Int()
		if in == 0 || out == 0 {
			t.Errorf("%s: usage is %s", model, v.Get("usage"))
		}
		r := s.log.last()
		if r.Name != "InvokeModel" || r.Phase != trail.Outcome || !strings.Contains(r.Additional.JSON(), `"inferenceRegion":"ap-northeast-1"`) || strings.Contains(r.Request.JSON(), "hello") {
			t.Errorf("%s: it is recorded as %s %s %s", model, r.Name, r.Request, r.Additional)
		}

		a = s.ask(t, "POST", chat, `{"model":"`+model+`","messages":[{"role":"user","content":"hello"}],"stream":true,"stream_options":{"include_usage":true}}`)
		chunks, done := events(t, a.body)
		said, stop := "", ""
		for _, c := range chunks {
			d := c.Get("choices").At(0)
			said += d.Get("delta").Get("content").Str()
			stop += d.Get("finish_reason").Str()
			if c.Has("amazon-bedrock-invocationMetrics") || c.Get("model").Str() != model {
				t.Errorf("%s: %s", model, c)
			}
		}
		last := chunks[len(chunks)-1]
		if a.status != 200 || !done || !strings.Contains(said, "hello") || stop != "stop" || last.Get("choices").Len() != 0 || last.Get("usage").Get("total_tokens").IsUndefined() ||
			!strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") || a.header.Get("X-Tokaido-Inference-Region") != "ap-northeast-1" {
			t.Errorf("%s streams %d %q %q %s", model, a.status, said, stop, last)
		}
		if r := s.log.last(); r.Name != "InvokeModelWithResponseStream" {
			t.Errorf("%s: the stream is recorded as %s", model, r.Name)
		}
	}
}

const weather = `"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`

func TestChatTools(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, model := range []string{haiku, nova, gptOSS} {
		a := s.ask(t, "POST", chat, `{"model":"`+model+`","messages":[{"role":"user","content":"use weather"}],`+weather+`}`)
		v, _ := value.Parse(a.body)
		choice := v.Get("choices").At(0)
		call := choice.Get("message").Get("tool_calls").At(0)
		if choice.Get("finish_reason").Str() != "tool_calls" || call.Get("function").Get("name").Str() != "weather" || !strings.Contains(call.Get("function").Get("arguments").Str(), `"city"`) {
			t.Errorf("%s: %d %s", model, a.status, a.body)
			continue
		}
		a = s.ask(t, "POST", chat, `{"model":"`+model+`","messages":[{"role":"user","content":"use weather"},{"role":"assistant","content":null,"tool_calls":[`+call.JSON()+`]},
			{"role":"tool","tool_call_id":"`+call.Get("id").Str()+`","content":"it rains"}],`+weather+`}`)
		if !strings.Contains(string(a.body), "it rains") {
			t.Errorf("%s, given the result: %d %s", model, a.status, a.body)
		}
		a = s.ask(t, "POST", chat, `{"model":"`+model+`","stream":true,"messages":[{"role":"user","content":"use weather"}],`+weather+`}`)
		chunks, _ := events(t, a.body)
		args, name := "", ""
		for _, c := range chunks {
			f := c.Get("choices").At(0).Get("delta").Get("tool_calls").At(0).Get("function")
			args += f.Get("arguments").Str()
			name += f.Get("name").Str()
		}
		if in, err := value.ParseString(args); err != nil || in.Get("city").Str() == "" || name != "weather" {
			t.Errorf("%s streams the call as %q %q", model, name, args)
		}
	}
}

func TestMessages(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, model := range []string{haiku, jp45, nova, gptOSS} {
		a := s.ask(t, "POST", message, `{"model":"`+model+`","max_tokens":100,"system":"be kind","messages":[{"role":"user","content":"hello"}]}`, "anthropic-version", "2023-06-01")
		v, _ := value.Parse(a.body)
		if a.status != 200 || !strings.Contains(v.Get("content").At(0).Get("text").Str(), "hello") || v.Get("stop_reason").Str() != "end_turn" || v.Get("type").Str() != "message" {
			t.Errorf("%s: %d %s", model, a.status, a.body)
		}
		a = s.ask(t, "POST", message, `{"model":"`+model+`","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hello"}]}`)
		said, order := "", ""
		chunks, _ := events(t, a.body)
		for _, c := range chunks {
			said += c.Get("delta").Get("text").Str()
			if k := c.Get("type").Str(); k != "content_block_delta" {
				order += k + " "
			}
		}
		if a.status != 200 || !strings.Contains(said, "hello") || order != "message_start content_block_start content_block_stop message_delta message_stop " || strings.Contains(string(a.body), "amazon-bedrock") {
			t.Errorf("%s streams %q %q", model, said, order)
		}
		a = s.ask(t, "POST", message, `{"model":"`+model+`","max_tokens":100,"tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}],"messages":[{"role":"user","content":"use weather"}]}`)
		v, _ = value.Parse(a.body)
		if n := v.Get("content").Len(); v.Get("stop_reason").Str() != "tool_use" || v.Get("content").At(n-1).Get("input").Get("city").Str() == "" {
			t.Errorf("%s: %d %s", model, a.status, a.body)
		}
		a = s.ask(t, "POST", message+"/count_tokens", `{"model":"`+model+`","messages":[{"role":"user","content":"hello"}]}`)
		if v, _ := value.Parse(a.body); a.status != 200 || v.Get("input_tokens").IsUndefined() {
			t.Errorf("%s counts %d %s", model, a.status, a.body)
		}
	}
}

// Errors are in the words of Bedrock and the form of the API that was called.
func TestForeignErrors(t *testing.T) {
	s := serve(t, simulated.Options{})
	hello := `"messages":[{"role":"user","content":"hello"}]`
	for name, c := range map[string]struct {
		target, body string
		more         []string
		status       int
		want         string
	}{
		"unknown-model": {chat, `{"model":"gpt-9",` + hello + `}`, nil, 400, `{"error":{"message":"The provided model identifier is invalid.","type":"invalid_request_error","param":null,"code":"ValidationException"}}`},
		"no-model":      {chat, `{` + hello + `}`, nil, 400, "The provided model identifier is invalid."},
		"profile-only":  {chat, `{"model":"anthropic.claude-sonnet-4-5-20250929-v1:0",` + hello + `}`, nil, 400, "with on-demand throughput isn’t supported"},
		"unknown-field": {chat, `{"model":"` + haiku + `",` + hello + `,"logit_bias":{"1":2}}`, nil, 400, "logit_bias"},
		"n":             {chat, `{"model":"` + haiku + `",` + hello + `,"n":2}`, nil, 400, "n is not supported by this server: 2"},
		"denied":        {chat, `{"model":"` + haiku + `",` + hello + `,"stream":true}`, []string{"key", "AKIAUSER"}, 403, `is not authorized to perform: bedrock:InvokeModelWithResponseStream`},
		"stranger":      {chat, `{"model":"` + haiku + `",` + hello + `}`, []string{"key", "AKIAOTHER"}, 403, `"code":"UnrecognizedClientException"`},
		"messages":      {message, `{"model":"nothing","max_tokens":1,` + hello + `}`, nil, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"The provided model identifier is invalid."}`},
		"no-max":        {message, `{"model":"` + haiku + `",` + hello + `}`, nil, 400, "max_tokens: Field required"},
		"no-max-nova":   {message, `{"model":"` + nova + `",` + hello + `}`, nil, 400, "max_tokens: Field required"},
		"version":       {message, `{"model":"` + haiku + `","max_tokens":1,` + hello + `}`, []string{"anthropic-version", "2020-01-01"}, 400, "anthropic-version"},
		"beta":          {message, `{"model":"` + nova + `","max_tokens":1,` + hello + `}`, []string{"anthropic-beta", "x-1"}, 400, "anthropic_beta"},
		"no-json":       {chat, `{`, nil, 400, `{"error":{"message"`},
	} {
		a := s.ask(t, "POST", c.target, c.body, c.more...)
		if a.status != c.status || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, c.status, c.want)
		}
	}
	for _, r := range s.log.records {
		if r.ErrorCode != "" && r.Phase != trail.Whole && !strings.HasPrefix(r.ErrorMessage, "max_tokens") { // that is the model's to refuse
			t.Errorf("%s was refused, and yet it left: %+v", r.Name, r)
		}
	}
}

// A stream that breaks says so, and does not look complete.
func TestForeignCut(t *testing.T) {
	s := serve(t, simulated.Options{Others: simulated.Behaviour{CutAfter: 4}})
	a := s.ask(t, "POST", chat, `{"model":"`+haiku+`","stream":true,"messages":[{"role":"user","content":"hello"}]}`)
	chunks, done := events(t, a.body)
	if last := chunks[len(chunks)-1]; done || last.Get("error").Get("code").Str() != "ModelStreamErrorException" {
		t.Errorf("%v %s", done, last)
	}
	a = s.ask(t, "POST", message, `{"model":"`+haiku+`","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"hello"}]}`)
	chunks, _ = events(t, a.body)
	if last := chunks[len(chunks)-1]; last.Get("type").Str() != "error" || last.Get("error").Get("message").Str() == "" {
		t.Errorf("%s", last)
	}
	if r := s.log.last(); r.ErrorCode != "ModelStreamErrorException" {
		t.Errorf("it is recorded as %q", r.ErrorCode)
	}
}

func TestForeignModels(t *testing.T) {
	s := serve(t, simulated.Options{})
	a := s.ask(t, "GET", "/openai/v1/models", "")
	if v, _ := value.Parse(a.body); a.status != 200 || v.Get("data").Len() < 10 || !strings.Contains(string(a.body), `"`+jp45+`"`) || strings.Contains(string(a.body), `"anthropic.claude-sonnet-4-5`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.ask(t, "GET", "/openai/v1/models/"+strings.ReplaceAll(jp45, ":", "%3A"), ""); a.status != 200 || !strings.Contains(string(a.body), jp45) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.ask(t, "GET", "/openai/v1/models/nothing", ""); a.status != 404 || !strings.Contains(string(a.body), `{"error"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.ask(t, "GET", "/openai/v1/models", "", "key", "AKIAUSER"); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Anthropic's clients list the same, in pages.
func TestMessageModels(t *testing.T) {
	s := serve(t, simulated.Options{})
	get := func(query string) value.Value {
		t.Helper()
		a := s.ask(t, "GET", "/anthropic/v1/models"+query, "")
		if a.status != 200 || a.header.Get("Request-Id") == "" {
			t.Fatalf("%s: %d %s", query, a.status, a.body)
		}
		return value.MustParse(string(a.body))
	}
	ids := func(v value.Value) (out []string) {
		for _, m := range v.Get("data").Items() {
			out = append(out, m.Get("id").Str())
		}
		return out
	}
	all := get("?limit=1000")
	names := ids(all)
	if len(names) < 30 || !slices.Contains(names, jp45) || slices.Contains(names, jp45[3:]) || all.Get("has_more").Bool() || all.Get("first_id").Str() != names[0] || all.Get("last_id").Str() != names[len(names)-1] {
		t.Errorf("%s", all)
	}
	one := `{"type":"model","id":"` + jp45 + `","display_name":"JP Anthropic Claude Sonnet 4.5","created_at":"2025-09-30T00:00:00Z"}`
	if a := s.ask(t, "GET", "/anthropic/v1/models/"+strings.ReplaceAll(jp45, ":", "%3A"), ""); a.status != 200 || string(a.body) != one {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Forwards and backwards, every one once.
	var forth, back []string
	for query := "?limit=7"; ; {
		v := get(query)
		forth = append(forth, ids(v)...)
		if !v.Get("has_more").Bool() {
			break
		}
		query = "?limit=7&after_id=" + strings.ReplaceAll(v.Get("last_id").Str(), ":", "%3A")
	}
	for query := "?limit=7&before_id=" + strings.ReplaceAll(names[len(names)-1], ":", "%3A"); ; {
		v := get(query)
		back = slices.Concat(ids(v), back)
		if !v.Get("has_more").Bool() {
			break
		}
		query = "?limit=7&before_id=" + strings.ReplaceAll(v.Get("first_id").Str(), ":", "%3A")
	}
	if !slices.Equal(forth, names) || !slices.Equal(back, names[:len(names)-1]) || len(ids(get(""))) != 20 {
		t.Errorf("%d, %d and %d of %d", len(forth), len(back), len(ids(get(""))), len(names))
	}
	if v := get("?after_id=" + strings.ReplaceAll(names[len(names)-1], ":", "%3A")); v.JSON() != `{"data":[],"has_more":false,"first_id":null,"last_id":null}` {
		t.Errorf("%s", v)
	}
	for query, want := range map[string]string{"?limit=0": "limit", "?limit=1001": "limit", "?limit=x": "limit", "?after_id=no": "there is no model", "?page=1": "page: Extra inputs"} {
		if a := s.ask(t, "GET", "/anthropic/v1/models"+query, ""); a.status != 400 || !strings.Contains(string(a.body), want) || !strings.HasPrefix(string(a.body), `{"type":"error","error":{"type":"invalid_request_error"`) {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if a := s.ask(t, "GET", "/anthropic/v1/models/nothing", ""); a.status != 404 || !strings.HasPrefix(string(a.body), `{"type":"error","error":{"type":"not_found_error"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.ask(t, "GET", "/anthropic/v1/models", "", "key", "AKIAUSER"); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// What the other companies have besides is refused in their form, by name.
func TestForeignRefusals(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, what := range []string{"responses", "completions", "embeddings"} {
		a := s.ask(t, "POST", "/openai/v1/"+what, `{"model":"`+jp45+`"}`)
		if a.status != 400 || string(a.body) != `{"error":{"message":"/openai/v1/`+what+` is not supported by this server: there is /openai/v1/chat/completions.","type":"invalid_request_error","param":null,"code":"ValidationException"}}` {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
}

// A node that was asked for an answer from its Region gives one, of a model that
// its own clients reach only through a profile; a client must not say another.
func TestHere(t *testing.T) {
	s := serve(t, simulated.Options{})
	target := "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
	body := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}`
	if a := s.ask(t, "POST", target, body); a.status != 400 || !strings.Contains(string(a.body), "on-demand throughput") {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := s.ask(t, "POST", target, body, "x-tokaido-inference-region", "ap-northeast-1", "x-tokaido-hops", "1")
	if a.status != 200 || a.header.Get("X-Tokaido-Inference-Region") != "ap-northeast-1" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.ask(t, "POST", target, body, "x-tokaido-inference-region", "us-east-1"); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for op, body := range map[string]string{"invoke": body, "invoke-with-response-stream": body, "converse": converse, "converse-stream": converse, "count-tokens": `{"input":{"converse":` + converse + `}}`} {
		if a := s.ask(t, "POST", path(jp45, op), body, "x-tokaido-inference-region", "us-east-1"); a.status != 400 || !strings.Contains(string(a.body), "not the Region of the signature") {
			t.Errorf("%s: %d %s", op, a.status, a.body)
		}
	}
}
