package bedrockrt_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/bedrockrt"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/connector"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
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

// bound knows one user, bound by these policies.
type bound iam.Policies

func (b bound) Credential(context.Context, string, string, time.Time) (principal.Credential, error) {
	return principal.Credential{Secret: "secret", Principal: &principal.Principal{Type: principal.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u", ID: "AIDAU", Name: "u", Policies: iam.Policies(b)}}, nil
}

// Whatever kind of policy refuses, the text says which, the resource is the one part
// of the call that is missing, and the document begins with a capital.
func TestDenialTexts(t *testing.T) {
	parse := func(kind iam.Kind, text string) *iam.Policy {
		p, err := iam.Parse(kind, []byte(text))
		if err != nil {
			t.Fatal(text, err)
		}
		return p
	}
	one := func(statement string) iam.Bound {
		return iam.Bound{Policy: parse(iam.IdentityPolicy, `{"Version":"2012-10-17","Statement":[`+statement+`]}`), Name: "p"}
	}
	const (
		allow   = `{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}`
		profile = "arn:aws:bedrock:ap-northeast-1:" + account + ":inference-profile/" + jp45
		tokyo   = "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"
		osaka   = "arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"
		noOsaka = `{"Effect":"Deny","Action":"bedrock:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"ap-northeast-3"}}}`
	)
	free := []iam.Bound{one(allow)}
	scp := iam.Bound{Policy: parse(iam.ServiceControlPolicy, `{"Version":"2012-10-17","Statement":[`+allow+`,`+noOsaka+`]}`), Name: "guard", ARN: "arn:aws:organizations::" + account + ":policy/o-x/service_control_policy/p-x"}
	rcp := iam.Bound{Policy: parse(iam.ResourceControlPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"bedrock:*","Resource":"`+profile+`"}]}`), Name: "rcp"}
	nothing := one(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	never := one(allow + `,{"Effect":"Deny","Action":"bedrock:InvokeModel","Resource":"*"}`)
	full := [][]iam.Bound{{{Policy: parse(iam.ServiceControlPolicy, `{"Version":"2012-10-17","Statement":[`+allow+`]}`), Name: "full"}}}
	for name, c := range map[string]struct {
		by       iam.Policies
		op, want string
	}{
		"identity":          {iam.Policies{}, "converse", profile + " because no identity-based policy allows the bedrock:InvokeModel action"},
		"identity-model":    {iam.Policies{Identity: []iam.Bound{one(`{"Effect":"Allow","Action":"bedrock:*","Resource":"` + profile + `"}`)}}, "invoke", tokyo + " because no identity-based policy allows the bedrock:InvokeModel action"},
		"identity-region":   {iam.Policies{Identity: []iam.Bound{one(`{"Effect":"Allow","Action":"bedrock:*","Resource":["` + profile + `","` + tokyo + `"]}`)}}, "invoke-with-response-stream", osaka + " because no identity-based policy allows the bedrock:InvokeModelWithResponseStream action"},
		"identity-explicit": {iam.Policies{Identity: []iam.Bound{never}}, "converse", profile + " with an explicit deny in an identity-based policy"},
		"scp-explicit":      {iam.Policies{Identity: free, SCP: [][]iam.Bound{{scp}}}, "converse-stream", osaka + " with an explicit deny in a service control policy: arn:aws:organizations::" + account + ":policy/o-x/service_control_policy/p-x"},
		"scp":               {iam.Policies{Identity: free, SCP: [][]iam.Bound{{{Policy: parse(iam.ServiceControlPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`), Name: "s3"}}}}, "converse", profile + " because no service control policy allows the bedrock:InvokeModel action"},
		"rcp":               {iam.Policies{Identity: free, SCP: full, RCP: [][]iam.Bound{{rcp}}}, "converse", profile + " with an explicit deny in a resource control policy"},
		"boundary":          {iam.Policies{Identity: free, Boundary: &nothing}, "converse", profile + " because no permissions boundary allows the bedrock:InvokeModel action"},
		"boundary-explicit": {iam.Policies{Identity: free, Boundary: &never}, "converse", profile + " with an explicit deny in a permissions boundary"},
		"session":           {iam.Policies{Identity: free, Session: []iam.Bound{nothing}}, "converse", profile + " because no session policy allows the bedrock:InvokeModel action"},
		"allowed":           {iam.Policies{Identity: free, SCP: full, Boundary: &free[0], Session: free}, "converse", ""},
	} {
		g := gate.New(&recorder{}, nil)
		rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For})
		api, err := awsapi.New(awsapi.Config{Directory: bound(c.by), Gate: g, Ops: bedrockrt.Ops(&connector.Inference{Gate: g, Runtime: rt})})
		if err != nil {
			t.Fatal(err)
		}
		h := httptest.NewServer(api)
		body, action := converse, "bedrock:InvokeModel"
		if strings.HasPrefix(c.op, "invoke") {
			body = claude
		}
		if strings.HasSuffix(c.op, "stream") {
			action += "WithResponseStream"
		}
		a := (&server{h, nil}).ask(t, "POST", path(jp45, c.op), body)
		h.Close()
		if c.want == "" {
			if a.status != 200 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			continue
		}
		want := `{"Message":"User: arn:aws:iam::` + account + `:user/u is not authorized to perform: ` + action + ` on resource: ` + c.want + `"}`
		if a.status != 403 || a.header.Get("X-Amzn-Errortype") != "AccessDeniedException" || string(a.body) != want {
			t.Errorf("%s: %d %s\n%s\nwant\n%s", name, a.status, a.header.Get("X-Amzn-Errortype"), a.body, want)
		}
	}
}

// Calls at the other companies' paths are in the invocation logs too.
func TestForeignCallsAreLogged(t *testing.T) {
	dir := t.TempDir()
	logs, err := connector.OpenInvocationLogs(t.Context(), dir, store{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	config, err := connector.ReadLogConfig(value.MustParse(`{"s3Config":{"bucketName":"logs"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Put(t.Context(), "ap-northeast-1", account, config); err != nil {
		t.Fatal(err)
	}
	g := gate.New(&recorder{}, nil)
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For})
	api, err := awsapi.New(awsapi.Config{Directory: directory{}, Gate: g, Ops: bedrockrt.Ops(&connector.Inference{Gate: g, Runtime: rt, Logs: logs})})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(api)
	defer h.Close()
	s := &server{h, nil}
	for _, c := range []struct{ target, body string }{
		{chat, `{"model":"` + jp45 + `","messages":[{"role":"user","content":"hello"}]}`},
		{message, `{"model":"` + jp45 + `","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"hello"}]}`},
	} {
		if a := s.ask(t, "POST", c.target, c.body); a.status != 200 {
			t.Fatalf("%s: %d %s", c.target, a.status, a.body)
		}
	}
	if err := logs.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return err
		}
		text, err := io.ReadAll(z)
		for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
			v := value.MustParse(line)
			got = append(got, v.Get("operation").Str()+" "+v.Get("modelId").Str()+" "+v.Get("inferenceRegion").Str())
		}
		return err
	})
	if want := []string{"InvokeModel " + jp45 + " ap-northeast-1", "InvokeModelWithResponseStream " + jp45 + " ap-northeast-1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v: %q", err, got)
	}
}
