package simulated

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

const sonnet4 = "anthropic.claude-sonnet-4-20250514-v1:0"

func call(t testing.TB, model, body string) bedrock.Call {
	t.Helper()
	m, ok := catalog.Load().Model(model)
	if !ok {
		t.Fatal("no model ", model)
	}
	return bedrock.Call{Region: "ap-northeast-1", Model: m, Body: []byte(body)}
}

func say(text string) string {
	return `{"anthropic_version":"bedrock-2023-05-31","max_tokens":200,"messages":[{"role":"user","content":[{"type":"text","text":"` + text + `"}]}]}`
}

func TestWholeAnswer(t *testing.T) {
	b := New(Options{})
	c := call(t, sonnet4, say("こんにちは"))
	a, err := b.Invoke(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	v := value.MustParse(string(a.Body))
	if got := v.Get("content").At(0).Get("text").Str(); got != "[simulated Claude Sonnet 4] You said: こんにちは" {
		t.Errorf("text: %s", got)
	}
	if v.Get("model").Str() != "claude-sonnet-4-20250514" || !strings.HasPrefix(v.Get("id").Str(), "msg_bdrk_01") || v.Get("stop_reason").Str() != "end_turn" || !v.Get("stop_sequence").IsNull() {
		t.Errorf("answer: %s", a.Body)
	}
	if n, _ := v.Get("usage").Get("input_tokens").Int(); int(n) != a.Usage.Input || n != 5 {
		t.Errorf("%d input tokens, usage %+v", n, a.Usage)
	}
	again, _ := b.Invoke(t.Context(), c)
	if string(again.Body) != string(a.Body) {
		t.Error("the same call had two answers")
	}
}

func TestPlainName(t *testing.T) {
	for id, want := range map[string]string{
		sonnet4: "claude-sonnet-4-20250514",
		"anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5-20250929",
		"anthropic.claude-opus-4-6-v1":              "claude-opus-4-6",
		"anthropic.claude-opus-4-7":                 "claude-opus-4-7",
	} {
		if got := plainName(id); got != want {
			t.Errorf("%s: %s", id, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, model, body, want string }{
		{"no-version", sonnet4, `{"max_tokens":1,"messages":[]}`, "anthropic_version: Field required"},
		{"no-max-tokens", sonnet4, `{"anthropic_version":"bedrock-2023-05-31","messages":[]}`, "max_tokens: Field required"},
		{"wrong-version", sonnet4, `{"anthropic_version":"2023-06-01","max_tokens":1,"messages":[]}`, "bedrock-2023-05-31"},
		{"zero-tokens", sonnet4, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":0,"messages":[]}`, "max_tokens"},
		{"model-named", sonnet4, `{"model":"x","anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[]}`, "model: Extra inputs are not permitted"},
		{"assistant-first", sonnet4, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"assistant","content":"x"}]}`, "first message"},
		{"empty-text", sonnet4, say(""), "non-empty"},
		{"hot", sonnet4, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"temperature":2,"messages":[{"role":"user","content":"x"}]}`, "temperature: range: 0..1"},
		{"nova-extra", "amazon.nova-lite-v1:0", `{"messages":[{"role":"user","content":[{"text":"x"}]}],"top_k":1}`, "#: extraneous key [top_k] is not permitted"},
		{"llama-no-prompt", "meta.llama3-8b-instruct-v1:0", `{}`, "prompt"},
		{"old-api", sonnet4, `{"prompt":"\n\nHuman: hi\n\nAssistant:","max_tokens_to_sample":10}`, `"claude-sonnet-4-20250514" is not supported on this API. Please use the Messages API instead.`},
		{"too-long", "anthropic.claude-sonnet-4-5-20250929-v1:0", say(strings.Repeat("word", 200_001)), "Input is too long for requested model."},
		{"image-model", "amazon.nova-canvas-v1:0", `{}`, "no answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Options{}).Invoke(t.Context(), call(t, c.model, c.body))
			if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Every model that answers in text has an answer, whole and in a stream, that
// says that it is simulated.
func TestEveryTextModel(t *testing.T) {
	bodies := []string{
		say("hello there"),
		`{"messages":[{"role":"user","content":[{"text":"hello there"}]}]}`,
		`{"messages":[{"role":"user","content":"hello there"}]}`,
		`{"prompt":"hello there"}`,
	}
	answered := 0
	for _, m := range catalog.Load().Models {
		if bedrock.FamilyOf(m) == bedrock.OtherFamily {
			continue
		}
		ok := false
		for _, body := range bodies {
			c := call(t, m.ID, body)
			a, err := New(Options{}).Invoke(t.Context(), c)
			if err != nil || !strings.Contains(string(a.Body), "[simulated "+m.Name+"] You said: hello there") {
				continue
			}
			ok = true
			var s strings.Builder
			usages := 0
			for k, err := range New(Options{}).Stream(t.Context(), c) {
				if err != nil {
					t.Errorf("%s: %v", m.ID, err)
				}
				if k.Usage != nil {
					usages++
					if *k.Usage != a.Usage {
						t.Errorf("%s: usage %+v in the stream, %+v whole", m.ID, *k.Usage, a.Usage)
					}
				}
				collect(value.MustParse(string(k.Body)), &s)
			}
			if usages != 1 || !strings.Contains(s.String(), "[simulated "+m.Name+"] You said: hello there") {
				t.Errorf("%s: %d usages, streamed %q", m.ID, usages, s.String())
			}
			break
		}
		if answered++; !ok {
			t.Errorf("%s has no answer", m.ID)
		}
	}
	if answered < 80 {
		t.Errorf("only %d models", answered)
	}
}

// collect appends the text deltas of any family.
func collect(v value.Value, s *strings.Builder) {
	s.WriteString(v.Get("delta").Get("text").Str())
	s.WriteString(v.Get("contentBlockDelta").Get("delta").Get("text").Str())
	s.WriteString(v.Get("generation").Str())
	s.WriteString(v.Get("outputs").At(0).Get("text").Str())
	s.WriteString(v.Get("choices").At(0).Get("delta").Get("content").Str())
	s.WriteString(v.Get("choices").At(0).Get("message").Get("content").Str())
}

func events(t *testing.T, s iter.Seq2[bedrock.Chunk, error]) (out []string) {
	t.Helper()
	for k, err := range s {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(k.Body))
	}
	return out
}

func TestStreamOfClaude(t *testing.T) {
	got := events(t, New(Options{}).Stream(t.Context(), call(t, sonnet4, say("hi"))))
	var kinds []string
	for _, e := range got {
		kinds = append(kinds, value.MustParse(e).Get("type").Str())
	}
	want := "message_start content_block_start content_block_delta content_block_delta content_block_delta content_block_delta content_block_delta content_block_delta content_block_delta content_block_stop message_delta message_stop"
	if s := strings.Join(kinds, " "); s != want {
		t.Errorf("events: %s", s)
	}
	if got[len(got)-2] != `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":10}}` {
		t.Errorf("message_delta: %s", got[len(got)-2])
	}
}

func TestToolsThinkingAndStops(t *testing.T) {
	b := New(Options{})
	body := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"use get_weather for Tokyo"}],
	"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}}]}`
	a, err := b.Invoke(t.Context(), call(t, sonnet4, body))
	if err != nil {
		t.Fatal(err)
	}
	v := value.MustParse(string(a.Body))
	use := v.Get("content").At(2)
	if v.Get("stop_reason").Str() != "tool_use" || v.Get("content").At(0).Get("type").Str() != "thinking" ||
		use.Get("name").Str() != "get_weather" || use.Get("input").JSON() != `{"city":"use get_weather for Tokyo","days":1}` {
		t.Errorf("answer: %s", a.Body)
	}
	var parts strings.Builder
	for _, e := range events(t, b.Stream(t.Context(), call(t, sonnet4, body))) {
		parts.WriteString(value.MustParse(e).Get("delta").Get("partial_json").Str())
	}
	if parts.String() != use.Get("input").JSON() {
		t.Errorf("streamed input: %s", parts.String())
	}
	for body, want := range map[string]string{
		strings.Replace(say("one two three"), `"max_tokens":200`, `"max_tokens":200,"stop_sequences":["two"]`, 1): "stop_sequence",
		strings.Replace(say("one two three"), `"max_tokens":200`, `"max_tokens":9`, 1):                            "max_tokens",
	} {
		a, err := b.Invoke(t.Context(), call(t, sonnet4, body))
		if err != nil || value.MustParse(string(a.Body)).Get("stop_reason").Str() != want {
			t.Errorf("want %s: %v %s", want, err, a.Body)
		}
		if want == "max_tokens" && a.Usage.Output > 9 {
			t.Errorf("%d tokens, 9 allowed", a.Usage.Output)
		}
	}
}

func TestScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{
			Regions: map[string]Behaviour{
				"ap-northeast-1": {RequestsPerMinute: 1, Latency: time.Second},
				"ap-northeast-3": {CutAfter: 3},
				"ap-south-1":     {Fail: true},
				"ap-south-2":     {Throttle: true},
				"us-east-1":      {Break: true},
				"us-east-2":      {Error: "ModelTimeoutException"},
				"us-west-2":      {Concurrent: 1, Latency: time.Minute},
			},
		})
		in := func(region string) bedrock.Call {
			c := call(t, sonnet4, say("hi"))
			c.Region = region
			return c
		}
		t0 := time.Now()
		if _, err := b.Invoke(t.Context(), in("ap-northeast-1")); err != nil || time.Since(t0) != time.Second {
			t.Errorf("Tokyo: %v after %v", err, time.Since(t0))
		}
		for region, code := range map[string]string{"ap-northeast-1": "ThrottlingException", "ap-south-1": "ServiceUnavailableException", "ap-south-2": "ThrottlingException", "us-east-2": "ModelTimeoutException"} {
			if _, err := b.Invoke(t.Context(), in(region)); fault.Code(err) != code {
				t.Errorf("%s: %v", region, err)
			}
		}
		if _, err := b.Invoke(t.Context(), in("us-east-1")); err == nil || fault.Code(err) != "" {
			t.Errorf("us-east-1: %v", err)
		}
		n := 0
		var last error
		for _, err := range b.Stream(t.Context(), in("ap-northeast-3")) {
			if last = err; err == nil {
				n++
			}
		}
		if n != 3 || last == nil {
			t.Errorf("Osaka: %d chunks, %v", n, last)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { _, err := b.Invoke(ctx, in("us-west-2")); done <- err }()
		synctest.Wait()
		if _, err := b.Invoke(t.Context(), in("us-west-2")); fault.Code(err) != "ThrottlingException" {
			t.Errorf("Oregon, second at once: %v", err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestCountTokens(t *testing.T) {
	n, err := New(Options{}).CountTokens(t.Context(), call(t, sonnet4, say("こんにちは")))
	if err != nil || n != 5 {
		t.Errorf("%d, %v", n, err)
	}
}

func FuzzBodies(f *testing.F) {
	for _, s := range []string{say("hi"), `{"messages":[{"role":"user","content":[{"text":"x"},{"toolResult":{"content":[{"json":{}}]}}]}]}`, `{"prompt":1}`, `{}`, `[]`, `{"messages":{"a":1}}`} {
		f.Add(s)
	}
	b := New(Options{})
	models := []string{sonnet4, "amazon.nova-lite-v1:0", "meta.llama3-8b-instruct-v1:0", "mistral.mistral-7b-instruct-v0:2", "openai.gpt-oss-20b-1:0"}
	f.Fuzz(func(t *testing.T, body string) {
		for _, id := range models {
			c := call(t, id, body)
			a, err := b.Invoke(t.Context(), c)
			if err != nil {
				if fault.Code(err) != "ValidationException" {
					t.Errorf("%s: %v", id, err)
				}
				continue
			}
			if !value.Valid(string(a.Body)) {
				t.Errorf("%s: not JSON: %s", id, a.Body)
			}
			for k, err := range b.Stream(t.Context(), c) {
				if err != nil || !value.Valid(string(k.Body)) {
					t.Errorf("%s: %v %s", id, err, k.Body)
				}
			}
		}
	})
}

func BenchmarkInvoke(b *testing.B) {
	s := New(Options{})
	c := call(b, sonnet4, say("hello there"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Invoke(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
