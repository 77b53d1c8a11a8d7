package bedrockrt_test

import (
	"strings"
	"testing"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// The texts that AWS is known to answer with, to the letter: the whole document,
// the status, the type header and the operation that says it.
func TestExactTexts(t *testing.T) {
	const (
		nova = "apac.amazon.nova-lite-v1:0"
		v    = "ValidationException"
	)
	bare := jp45[3:]
	user := func(more string) string {
		return `{"messages":[{"role":"user","content":[{"text":"hi"}]}]` + more + `}`
	}
	onDemand := `{"message":"Invocation of model ID ` + bare + ` with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."}`
	const invalid = `{"message":"The provided model identifier is invalid."}`
	s := serve(t, simulated.Options{})
	full := serve(t, simulated.Options{Others: simulated.Behaviour{Throttle: true}})
	down := serve(t, simulated.Options{Others: simulated.Behaviour{Fail: true}})
	small := limited(t, bedrock.Limits{TokensPerMinute: 10})
	for name, c := range map[string]struct {
		s          *server
		id, op     string
		body       string
		status     int
		code, want string
	}{
		"bare-converse":  {s, bare, "converse", converse, 400, v, onDemand},
		"bare-stream":    {s, bare, "converse-stream", converse, 400, v, onDemand},
		"bare-invoke":    {s, bare, "invoke", claude, 400, v, onDemand},
		"bare-chunks":    {s, bare, "invoke-with-response-stream", claude, 400, v, onDemand},
		"unknown":        {s, "anthropic.claude-99", "converse", converse, 400, v, invalid},
		"not-from-here":  {s, "us." + bare, "invoke", claude, 400, v, invalid},
		"an-article-arn": {s, "arn:aws:bedrock:ap-northeast-1::foundation-model/" + jp45, "invoke", claude, 400, v, invalid},
		"requests":       {full, jp45, "converse", converse, 429, "ThrottlingException", `{"message":"Too many requests, please wait before trying again."}`},
		"tokens":         {small, jp45, "converse", user(`,"inferenceConfig":{"maxTokens":50}`), 429, "ThrottlingException", `{"message":"Too many tokens, please wait before trying again."}`},
		"tokens-stream":  {small, jp45, "invoke-with-response-stream", claude, 429, "ThrottlingException", `{"message":"Too many tokens, please wait before trying again."}`},
		"capacity":       {down, jp45, "converse-stream", converse, 503, "ServiceUnavailableException", `{"message":"Bedrock is unable to process your request."}`},
		"schema":         {s, nova, "invoke", user(`,"top_k":3`), 400, v, `{"message":"Malformed input request: #: extraneous key [top_k] is not permitted, please reformat your input and try again."}`},
		"no-object":      {s, jp45, "invoke", `[]`, 400, v, `{"message":"Malformed input request, please reformat your input and try again."}`},
		"schema-through": {s, nova, "converse", user(`,"additionalModelRequestFields":{"top_k":3}`), 400, v, `{"message":"The model returned the following errors: Malformed input request: #: extraneous key [top_k] is not permitted, please reformat your input and try again."}`},
		"anthropic":      {s, jp45, "invoke", `{"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":"x"}]}`, 400, v, `{"message":"max_tokens: Field required"}`},
		"version":        {s, jp45, "invoke", `{"max_tokens":3,"messages":[{"role":"user","content":"x"}]}`, 400, v, `{"message":"anthropic_version: Field required"}`},
		"model-member":   {s, jp45, "invoke", `{"anthropic_version":"bedrock-2023-05-31","model":"m","max_tokens":3,"messages":[{"role":"user","content":"x"}]}`, 400, v, `{"message":"model: Extra inputs are not permitted"}`},
		"stream-member":  {s, jp45, "invoke", `{"anthropic_version":"bedrock-2023-05-31","stream":true,"max_tokens":3,"messages":[{"role":"user","content":"x"}]}`, 400, v, `{"message":"stream: Extra inputs are not permitted"}`},
		"too-many":       {s, jp45, "converse", user(`,"inferenceConfig":{"maxTokens":64001}`), 400, v, `{"message":"The maximum tokens you requested exceeds the model limit of 64000. Try again with a maximum tokens value that is lower than 64000."}`},
		"completion":     {s, jp45, "invoke", `{"prompt":"\n\nHuman: hi\n\nAssistant:","max_tokens_to_sample":5}`, 400, v, `{"message":"\"claude-sonnet-4-5-20250929\" is not supported on this API. Please use the Messages API instead."}`},
		"assistant":      {s, jp45, "converse", `{"messages":[{"role":"assistant","content":[{"text":"hi"}]}]}`, 400, v, `{"message":"A conversation must start with a user message. Try again with a conversation that starts with a user message."}`},
		"nobody":         {s, jp45, "converse", `{"messages":[]}`, 400, v, `{"message":"A conversation must start with a user message. Try again with a conversation that starts with a user message."}`},
		"long":           {s, jp45, "invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":3,"messages":[{"role":"user","content":"` + strings.Repeat("word ", 200000) + `"}]}`, 400, v, `{"message":"Input is too long for requested model."}`},
		"long-through":   {s, jp45, "converse", `{"messages":[{"role":"user","content":[{"text":"` + strings.Repeat("word ", 200000) + `"}]}]}`, 400, v, `{"message":"The model returned the following errors: Input is too long for requested model."}`},
	} {
		if m, ok := catalog.Load().Model(c.id); ok && c.want != onDemand && !m.OnDemand("ap-northeast-1") {
			t.Errorf("%s: %s is not Tokyo's", name, c.id)
		}
		a := c.s.ask(t, "POST", path(c.id, c.op), c.body)
		if a.status != c.status || a.header.Get("X-Amzn-Errortype") != c.code || string(a.body) != c.want || a.header.Get("Content-Type") != "application/json" || len(a.header.Get("X-Amzn-Requestid")) != 36 {
			t.Errorf("%s: %d %v\n%s\nwant %d %s\n%s", name, a.status, a.header, a.body, c.status, c.code, c.want)
		}
	}
}

// Every form of modelId that AWS takes is taken, or refused by name, by every
// operation.
func TestModelIdForms(t *testing.T) {
	s := serve(t, simulated.Options{})
	const (
		lite = "amazon.nova-lite-v1:0"
		here = "arn:aws:bedrock:ap-northeast-1:" + account + ":"
	)
	a := s.ask(t, "POST", "/inference-profiles", `{"inferenceProfileName":"mine","modelSource":{"copyFrom":"`+here+`inference-profile/`+jp45+`"}}`)
	app := value.MustParse(string(a.body)).Get("inferenceProfileArn").Str()
	if a.status != 201 || app == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	bodies := map[string][2]string{"converse": {converse, converse}, "converse-stream": {converse, converse},
		"invoke":                      {claude, `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`},
		"invoke-with-response-stream": {claude, `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`}}
	for op, body := range bodies {
		for _, id := range []string{lite, "arn:aws:bedrock:ap-northeast-1::foundation-model/" + lite, jp45, here + "inference-profile/" + jp45, app, "global." + jp45[3:]} {
			which := 0
			if strings.HasSuffix(id, lite) {
				which = 1
			}
			if a := s.ask(t, "POST", path(id, op), body[which]); a.status != 200 {
				t.Errorf("%s %s: %d %s", op, id, a.status, a.body)
			}
		}
		for id, kind := range map[string]string{
			here + "custom-model/amazon.nova-lite-v1:0/abcdefghij12":         "custom-model",
			here + "custom-model-deployment/abcdefghij12":                    "custom-model-deployment",
			here + "imported-model/abcdefghij12":                             "imported-model",
			here + "provisioned-model/abcdefghij12":                          "provisioned-model",
			here + "prompt/ABCDEFGHIJ:1":                                     "prompt",
			here + "prompt-router/abcdefghij12":                              "prompt-router",
			here + "default-prompt-router/anthropic.claude:1":                "default-prompt-router",
			"arn:aws:sagemaker:ap-northeast-1:" + account + ":endpoint/mine": "endpoint",
		} {
			a := s.ask(t, "POST", path(id, op), body[0])
			if a.status != 400 || a.header.Get("X-Amzn-Errortype") != "ValidationException" || !strings.Contains(string(a.body), "not supported by this server") {
				t.Errorf("%s %s: %d %s", op, kind, a.status, a.body)
			}
		}
		// An application profile has an ARN and no other name.
		if a := s.ask(t, "POST", path(app[strings.LastIndex(app, "/")+1:], op), body[0]); a.status != 400 || !strings.Contains(string(a.body), "The provided model identifier is invalid.") {
			t.Errorf("%s: the id alone: %d %s", op, a.status, a.body)
		}
	}
}

// What a client says it reads: a header for each of the two operations, and
// nothing but JSON.
func TestAccept(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, c := range []struct {
		op, header, value string
		status            int
	}{
		{"invoke", "Accept", "application/json", 200},
		{"invoke", "Accept", "*/*", 200},
		{"invoke", "Accept", "image/png", 400},
		{"invoke", "X-Amzn-Bedrock-Accept", "application/json", 400}, // not this operation's
		{"invoke-with-response-stream", "X-Amzn-Bedrock-Accept", "application/json", 200},
		{"invoke-with-response-stream", "X-Amzn-Bedrock-Accept", "*/*", 200},
		{"invoke-with-response-stream", "X-Amzn-Bedrock-Accept", "text/plain", 400},
		{"invoke-with-response-stream", "Accept", "application/vnd.amazon.eventstream", 200},
	} {
		if a := s.ask(t, "POST", path(jp45, c.op), claude, c.header, c.value); a.status != c.status {
			t.Errorf("%s, %s: %s: %d %s", c.op, c.header, c.value, a.status, a.body)
		}
	}
}

// A stream's metadata says again what the request asked for, as a whole answer
// does; and a tool of the system's is refused by name.
func TestStreamSettings(t *testing.T) {
	s := serve(t, simulated.Options{})
	both := strings.TrimSuffix(converse, "}") + `,"performanceConfig":{"latency":"standard"},"serviceTier":{"type":"default"}}`
	got := messages(t, s.ask(t, "POST", path(jp45, "converse-stream"), both).body)
	if !strings.HasSuffix(got, `"metrics":{"latencyMs":0},"performanceConfig":{"latency":"standard"},"serviceTier":{"type":"default"}}`+"\n") {
		t.Errorf("%s", got)
	}
	tool := strings.TrimSuffix(converse, "}") + `,"toolConfig":{"tools":[{"systemTool":{"name":"nova_grounding"}}]}}`
	for _, op := range []string{"converse", "converse-stream"} {
		if a := s.ask(t, "POST", path(jp45, op), tool); a.status != 400 || !strings.Contains(string(a.body), "systemTool is not supported by this server") {
			t.Errorf("%s: %d %s", op, a.status, a.body)
		}
	}
}

// A whole answer of Converse, every member of it.
func TestConverseAnswer(t *testing.T) {
	s := serve(t, simulated.Options{})
	a := s.ask(t, "POST", path(jp45, "converse"), strings.TrimSuffix(converse, "}")+`,"additionalModelResponseFieldPaths":["/stop_sequence","/nothing"]}`)
	want := `{"output":{"message":{"role":"assistant","content":[{"text":"[simulated Claude Sonnet 4.5] You said: hi there"}]}},"stopReason":"end_turn",` +
		`"usage":{"inputTokens":2,"outputTokens":12,"totalTokens":14,"cacheReadInputTokens":0,"cacheWriteInputTokens":0},"metrics":{"latencyMs":0},"additionalModelResponseFields":{"stop_sequence":null}}`
	if got := latency.ReplaceAllString(string(a.body), `$1":0`); a.status != 200 || got != want {
		t.Errorf("%d\n%s\nwant\n%s", a.status, got, want)
	}
}
