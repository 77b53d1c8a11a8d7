package bedrockrt_test

import (
	"context"
	"encoding/base64"
	"iter"
	"net/http"
	"strings"
	"testing"

	"tokaido/awsapi/wire"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// Each test of this file is named after what it holds of AWS's runtime API.

// Operations that are AWS's and not ours are refused by name, to who may call them.
func TestOperationsNotSupportedAreRefusedByName(t *testing.T) {
	s := serve(t, simulated.Options{})
	for name, c := range map[string][2]string{
		"ApplyGuardrail":                     {"POST", "/guardrail/abc123/version/1/apply"},
		"StartAsyncInvoke":                   {"POST", "/async-invoke"},
		"ListAsyncInvokes":                   {"GET", "/async-invoke"},
		"GetAsyncInvoke":                     {"GET", "/async-invoke/arn%3Aaws%3Abedrock%3Aap-northeast-1%3A111122223333%3Aasync-invoke%2Fabc"},
		"InvokeModelWithBidirectionalStream": {"POST", path("amazon.nova-sonic-v1:0", "invoke-with-bidirectional-stream")},
	} {
		a := s.ask(t, c[0], c[1], "")
		if a.status != 400 || a.header.Get("X-Amzn-Errortype") != "ValidationException" || !strings.Contains(string(a.body), name+" is not supported by this server.") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if r := s.log.last(); r.Name != name || r.ErrorCode != "ValidationException" {
			t.Errorf("%s is recorded as %s, %s", name, r.Name, r.ErrorCode)
		}
		if a := s.ask(t, c[0], c[1], "", "key", "AKIAUSER"); a.status != 403 && name != "StartAsyncInvoke" && !strings.HasPrefix(name, "InvokeModel") {
			t.Errorf("%s for who may not: %d %s", name, a.status, a.body)
		}
	}
}

// A colon that is not escaped is as good as one that is: people write curl by hand.
func TestModelIdWithBareColon(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, target := range []string{"/model/" + jp45 + "/converse", path(jp45, "converse"), path("arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/"+jp45, "converse"),
		"/model/arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile%2F" + jp45 + "/converse"} {
		if a := s.ask(t, "POST", target, converse); a.status != 200 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
}

// Counts and latency are in headers of InvokeModel, and of nothing else.
func TestUsageHeadersAreOfInvokeModelOnly(t *testing.T) {
	s := serve(t, simulated.Options{})
	names := func(h http.Header) (out []string) {
		for k := range h {
			if strings.HasPrefix(k, "X-Amzn-Bedrock-") {
				out = append(out, k)
			}
		}
		return out
	}
	if got := names(s.ask(t, "POST", path(jp45, "invoke"), claude).header); len(got) != 3 {
		t.Errorf("InvokeModel: %v", got)
	}
	if got := names(s.ask(t, "POST", path(jp45, "invoke-with-response-stream"), claude).header); len(got) != 1 || got[0] != "X-Amzn-Bedrock-Content-Type" {
		t.Errorf("InvokeModelWithResponseStream: %v", got)
	}
	for _, op := range []string{"converse", "converse-stream"} {
		if got := names(s.ask(t, "POST", path(jp45, op), converse).header); len(got) != 0 {
			t.Errorf("%s: %v", op, got)
		}
	}
	if got := names(s.ask(t, "POST", path(jp45, "invoke"), `{}`).header); len(got) != 0 {
		t.Errorf("an error: %v", got)
	}
}

// A setting that is said again in the answer is, and one that is not acted on is
// refused; guardrails in every form.
func TestSettingsAreEchoedOrRefused(t *testing.T) {
	s := serve(t, simulated.Options{})
	a := s.ask(t, "POST", path(jp45, "invoke"), claude, "X-Amzn-Bedrock-PerformanceConfig-Latency", "standard", "X-Amzn-Bedrock-Service-Tier", "default", "X-Amzn-Bedrock-Trace", "DISABLED")
	if a.status != 200 || a.header.Get("X-Amzn-Bedrock-Performanceconfig-Latency") != "standard" || a.header.Get("X-Amzn-Bedrock-Service-Tier") != "default" || a.header.Get("X-Amzn-Bedrock-Trace") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	for _, h := range [][2]string{{"X-Amzn-Bedrock-Trace", "ENABLED_FULL"}, {"X-Amzn-Bedrock-GuardrailVersion", "DRAFT"}, {"X-Amzn-Bedrock-PerformanceConfig-Latency", "optimized"},
		{"X-Amzn-Bedrock-Service-Tier", "flex"}, {"X-Amzn-Bedrock-Something", "new"}} {
		for _, op := range []string{"invoke", "invoke-with-response-stream"} {
			if a := s.ask(t, "POST", path(jp45, op), claude, h[0], h[1]); a.status != 400 || !strings.Contains(string(a.body), h[0]+": "+h[1]+" is not supported by this server.") {
				t.Errorf("%s %s: %d %s", op, h[0], a.status, a.body)
			}
		}
	}
	guarded := strings.TrimSuffix(converse, "}") + `,"guardrailConfig":{"guardrailIdentifier":"abc","guardrailVersion":"1"}}`
	for _, op := range []string{"converse", "converse-stream"} {
		if a := s.ask(t, "POST", path(jp45, op), guarded); a.status != 400 || !strings.Contains(string(a.body), "guardrailConfig is not supported by this server") {
			t.Errorf("%s: %d %s", op, a.status, a.body)
		}
	}
	both := strings.TrimSuffix(converse, "}") + `,"performanceConfig":{"latency":"standard"},"serviceTier":{"type":"default"}}`
	v := value.MustParse(string(s.ask(t, "POST", path(jp45, "converse"), both).body))
	if v.Get("performanceConfig").Get("latency").Str() != "standard" || v.Get("serviceTier").Get("type").Str() != "default" {
		t.Errorf("%s", v)
	}
}

// Each of the runtime's exceptions has its status, its type header, and its name
// in lower camel case where a stream has begun.
func TestStatusesOfExceptions(t *testing.T) {
	for code, status := range map[string]int{
		"ThrottlingException": 429, "ModelTimeoutException": 408, "InternalServerException": 500, "ServiceUnavailableException": 503,
		"ValidationException": 400, "ServiceQuotaExceededException": 400, "ModelNotReadyException": 429, "ModelErrorException": 424, "ResourceNotFoundException": 404,
	} {
		s := serve(t, simulated.Options{Others: simulated.Behaviour{Error: code}})
		for _, op := range []string{"invoke", "invoke-with-response-stream", "converse", "converse-stream"} {
			body := converse
			if strings.HasPrefix(op, "invoke") {
				body = claude
			}
			a := s.ask(t, "POST", path(jp45, op), body)
			if a.status != status || a.header.Get("X-Amzn-Errortype") != code || a.header.Get("X-Amzn-Requestid") == "" || value.MustParse(string(a.body)).Get("message").Str() == "" {
				t.Errorf("%s, %s: %d %v %s", code, op, a.status, a.header, a.body)
			}
		}
	}
}

// Every chunk of every family carries padding, and the last one the metrics; the
// first token is not held back for them.
func TestMetricsAreInTheLastChunkOnly(t *testing.T) {
	s := serve(t, simulated.Options{})
	for id, body := range map[string]string{
		jp45:                                  claude,
		"apac.amazon.nova-lite-v1:0":          `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`,
		"mistral.mistral-large-2402-v1:0":     `{"prompt":"<s>[INST] hi [/INST]"}`,
		"openai.gpt-oss-20b-1:0":              `{"messages":[{"role":"user","content":"hi"}]}`,
		"meta.llama3-8b-instruct-v1:0":        `{"prompt":"hi"}`,
		"mistral.mistral-7b-instruct-v0:2":    `{"prompt":"hi"}`,
		"meta.llama4-scout-17b-instruct-v1:0": `{"prompt":"hi"}`,
	} {
		if m, ok := catalog.Load().Model(id); ok && !m.OnDemand("ap-northeast-1") {
			continue // not Tokyo's
		}
		a := s.ask(t, "POST", path(id, "invoke-with-response-stream"), body)
		if a.status != 200 {
			t.Errorf("%s: %d %s", id, a.status, a.body)
			continue
		}
		var all []string
		for rest := a.body; len(rest) > 0; {
			m, more, err := wire.DecodeMessage(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = more
			v := value.MustParse(string(m.Payload))
			b, err := base64.StdEncoding.DecodeString(v.Get("bytes").Str())
			if err != nil || m.Header(":event-type") != "chunk" || m.Header(":message-type") != "event" || m.Header(":content-type") != "application/json" || v.Len() != 2 || v.Get("p").Str() == "" {
				t.Fatalf("%s: %v %s", id, err, m.Payload)
			}
			all = append(all, string(b))
		}
		for i, c := range all {
			if strings.Contains(c, bedrock.MetricsMember) != (i == len(all)-1) {
				t.Errorf("%s: chunk %d of %d: %s", id, i, len(all), c)
			}
		}
	}
}

// A model that makes vectors answers InvokeModel, and neither a stream nor Converse.
func TestEmbeddingsAreInvokedOnly(t *testing.T) {
	s := serve(t, simulated.Options{})
	const titan = "amazon.titan-embed-text-v2:0"
	a := s.ask(t, "POST", path(titan, "invoke"), `{"inputText":"good day"}`)
	if v := value.MustParse(string(a.body)); a.status != 200 || v.Get("embedding").Len() != 1024 || v.Get("inputTextTokenCount").JSON() != a.header.Get("X-Amzn-Bedrock-Input-Token-Count") || a.header.Get("X-Amzn-Bedrock-Output-Token-Count") != "0" {
		t.Errorf("%d %v %.200s", a.status, a.header, a.body)
	}
	if a := s.ask(t, "POST", path(titan, "invoke-with-response-stream"), `{"inputText":"good day"}`); a.status != 400 || !strings.Contains(string(a.body), "doesn't support response streaming") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.ask(t, "POST", path(titan, "converse"), converse); a.status != 400 || !strings.Contains(string(a.body), "use InvokeModel") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.ask(t, "POST", path(titan, "invoke"), `{}`); a.status != 400 || !strings.Contains(string(a.body), "Malformed input request: #: required key [inputText] not found, please reformat your input and try again.") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// CountTokens: a body, or a conversation; of any form of modelId; never anything else.
func TestCountTokensForms(t *testing.T) {
	s := serve(t, simulated.Options{})
	in := func(s string) string { return `{"input":` + s + `}` }
	for name, c := range map[string]struct {
		id, body, want string
	}{
		"profile":  {jp45, in(`{"converse":` + converse + `}`), `{"inputTokens":2}`},
		"arn":      {"arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + jp45, in(`{"converse":` + converse + `}`), `{"inputTokens":2}`},
		"both":     {jp45, in(`{"converse":{},"invokeModel":{}}`), "exactly one"},
		"unknown":  {jp45, in(`{"chat":{}}`), "Unknown member 'input.chat'"},
		"base64":   {jp45, in(`{"invokeModel":{"body":"*"}}`), "Member must be base64"},
		"bad":      {jp45, in(`{"converse":{"messages":[]}}`), "must start with a user message"},
		"no-count": {"amazon.titan-embed-text-v2:0", in(`{"invokeModel":{"body":"e30="}}`), "ValidationException"},
	} {
		a := s.ask(t, "POST", path(c.id, "count-tokens"), c.body)
		if got := a.header.Get("X-Amzn-Errortype") + " " + string(a.body); !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s", name, a.status, got)
		}
	}
}

// scripted is a backend whose answers are given.
type scripted struct {
	answer *bedrock.Answer
	chunks []bedrock.Chunk
	err    error // after the chunks
}

func (s scripted) Invoke(context.Context, bedrock.Call) (*bedrock.Answer, error) {
	return s.answer, s.err
}

func (s scripted) Stream(context.Context, bedrock.Call) iter.Seq2[bedrock.Chunk, error] {
	return func(yield func(bedrock.Chunk, error) bool) {
		for _, c := range s.chunks {
			if !yield(c, nil) {
				return
			}
		}
		if s.err != nil {
			yield(bedrock.Chunk{}, s.err)
		}
	}
}

// What goes wrong after the first event is a message of the stream, with the
// exception's name in lower camel case; the status stays 200.
func TestExceptionsInStreams(t *testing.T) {
	start := bedrock.Chunk{Body: []byte(`{"type":"message_start","message":{"role":"assistant"}}`)}
	for code, want := range map[string]string{
		"ThrottlingException": "throttlingException", "ValidationException": "validationException", "ModelStreamErrorException": "modelStreamErrorException",
		"InternalServerException": "internalServerException", "ServiceUnavailableException": "serviceUnavailableException", "ModelTimeoutException": "modelTimeoutException",
	} {
		s := node(t, func(string, *catalog.Model) bedrock.Backend {
			return scripted{chunks: []bedrock.Chunk{start}, err: bedrock.Fault(code, "what happened")}
		}, nil)
		for op, body := range map[string]string{"invoke-with-response-stream": claude, "converse-stream": converse} {
			a := s.ask(t, "POST", path(jp45, op), body)
			text, exception := said(t, a)
			if a.status != 200 || exception != want || !strings.Contains(text, "what happened") {
				t.Errorf("%s, %s: %d, %q: %s", code, op, a.status, exception, text)
			}
			if r := s.log.last(); r.ErrorCode != code {
				t.Errorf("%s, %s: recorded as %s", code, op, r.ErrorCode)
			}
		}
	}
}

// What a prompt cache read and wrote is in headers and bodies.
func TestCacheTokens(t *testing.T) {
	u := bedrock.Usage{Input: 3, Output: 5, CacheRead: 7, CacheWrite: 11}
	s := node(t, func(string, *catalog.Model) bedrock.Backend {
		return scripted{
			answer: &bedrock.Answer{Body: []byte(`{"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn"}`), Usage: u},
			chunks: []bedrock.Chunk{{Body: []byte(`{"type":"message_start","message":{}}`)}, {Body: []byte(`{"type":"message_stop"}`), Usage: &u}},
		}
	}, nil)
	h := s.ask(t, "POST", path(jp45, "invoke"), claude).header
	for name, want := range map[string]string{"Input": "3", "Output": "5", "Cache-Read-Input": "7", "Cache-Write-Input": "11"} {
		if got := h.Get("X-Amzn-Bedrock-" + name + "-Token-Count"); got != want {
			t.Errorf("%s: %q, want %s", name, got, want)
		}
	}
	const usage = `"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":26,"cacheReadInputTokens":7,"cacheWriteInputTokens":11}`
	if a := s.ask(t, "POST", path(jp45, "converse"), converse); !strings.Contains(string(a.body), usage) {
		t.Errorf("%s", a.body)
	}
	if text, _ := said(t, s.ask(t, "POST", path(jp45, "converse-stream"), converse)); !strings.Contains(text, usage) {
		t.Errorf("%s", text)
	}
	if text, _ := said(t, s.ask(t, "POST", path(jp45, "invoke-with-response-stream"), claude)); !strings.Contains(text, `"cacheReadInputTokenCount":7,"cacheWriteInputTokenCount":11`) {
		t.Errorf("%s", text)
	}
	if r := s.log.last(); r.Additional.Get("cacheReadInputTokens").JSON() != "7" || r.Additional.Get("inputTokens").JSON() != "3" {
		t.Errorf("%s", r.Additional)
	}
}
