package bedrockrt_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/apitest"
	"tokaido/awsapi/bedrockctl"
	"tokaido/awsapi/bedrockrt"
	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/wire"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/connector"
	"tokaido/fault"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/internal/installed"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

const (
	account = "111122223333"
	sonnet4 = "apac.anthropic.claude-sonnet-4-20250514-v1:0"
	jp45    = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
)

type recorder struct {
	mu      sync.Mutex
	records []trail.Record
}

func (r *recorder) Append(_ context.Context, rec *trail.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, *rec)
	return nil
}

func (r *recorder) last() trail.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[len(r.records)-1]
}

// directory knows root, and a user of one policy.
type directory struct{ policy *iam.Policy }

func (d directory) Credential(_ context.Context, key, _ string, _ time.Time) (principal.Credential, error) {
	switch key {
	case "AKIAROOT":
		return principal.Credential{Secret: "secret", Principal: &principal.Principal{Type: principal.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account}}, nil
	case "AKIAUSER":
		return principal.Credential{Secret: "secret", Principal: &principal.Principal{Type: principal.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u", ID: "AIDAU", Name: "u",
			Policies: iam.Policies{Identity: []iam.Bound{{Policy: d.policy, Name: "p"}}}}}, nil
	}
	return principal.Credential{}, fault.Newf("UnrecognizedClientException", "The security token included in the request is invalid.")
}

type server struct {
	*httptest.Server
	log *recorder
}

func serve(t testing.TB, o simulated.Options) *server {
	t.Helper()
	policy, err := iam.Parse(iam.IdentityPolicy, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	log := &recorder{}
	g := gate.New(log, nil)
	apps, err := bedrock.OpenProfiles(t.Context(), store{}, catalog.Load())
	if err != nil {
		t.Fatal(err)
	}
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(o).For, Applications: apps})
	s, err := awsapi.New(awsapi.Config{Directory: directory{policy}, Gate: g,
		Ops: append(bedrockrt.Ops(&connector.Inference{Gate: g, Runtime: rt}), bedrockctl.Ops(rt)...)})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &server{h, log}
}

// store keeps nothing: no test restarts it.
type store struct{}

func (store) Load(context.Context) iter.Seq2[bedrock.Entry, error] {
	return func(func(bedrock.Entry, error) bool) {}
}
func (store) Save(context.Context, ...bedrock.Change) error { return nil }

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *server) ask(t testing.TB, method, target, body string, more ...string) answer {
	t.Helper()
	c := apitest.Call{Method: method, Target: target, Body: body, Key: sigv4.Credentials{AccessKeyID: "AKIAROOT", Secret: "secret"},
		Options: sigv4.Options{Service: "bedrock", Region: "ap-northeast-1"}}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i] == "key" {
			c.Key.AccessKeyID = more[i+1]
			continue
		}
		c.Headers = append(c.Headers, [2]string{more[i], more[i+1]})
	}
	status, header, b := apitest.Send(t, s.URL, c)
	return answer{status, header, b}
}

func path(id, op string) string {
	return "/model/" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(id) + "/" + op
}

const (
	claude   = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":"hi there"}]}`
	converse = `{"messages":[{"role":"user","content":[{"text":"hi there"}]}]}`
)

func TestInvokeModel(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, id := range []string{jp45, "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + jp45} {
		a := s.ask(t, "POST", path(id, "invoke"), claude, "X-Amzn-Bedrock-Service-Tier", "default")
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Amzn-Bedrock-Input-Token-Count") != "2" ||
			a.header.Get("X-Amzn-Bedrock-Output-Token-Count") == "" || a.header.Get("X-Amzn-Bedrock-Invocation-Latency") == "" ||
			a.header.Get("X-Tokaido-Inference-Region") != "ap-northeast-1" || a.header.Get("X-Amzn-Bedrock-Service-Tier") != "default" || a.header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
		if v := value.MustParse(string(a.body)); v.Get("model").Str() != "claude-sonnet-4-5-20250929" {
			t.Errorf("body: %s", a.body)
		}
		r := s.log.last()
		if r.Request.Get("modelId").Str() != id || r.Additional.Get("inferenceRegion").Str() != "ap-northeast-1" || r.RequestID != a.header.Get("X-Amzn-Requestid") {
			t.Errorf("record: %+v", r)
		}
	}
	// Clients that are not SDKs send a colon, and an ARN's slash, as they are.
	for _, target := range []string{"/model/" + jp45 + "/invoke", "/model/arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + jp45 + "/invoke"} {
		if a := s.ask(t, "POST", target, claude); a.status != 200 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, target, body string
		o                  simulated.Options
		more               []string
		status             int
		code, want         string
	}{
		{name: "bare", target: path(jp45[3:], "converse"), body: converse, status: 400, code: "ValidationException",
			want: `{"message":"Invocation of model ID anthropic.claude-sonnet-4-5-20250929-v1:0 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."}`},
		{name: "unknown", target: path("x.y", "invoke"), body: claude, status: 400, code: "ValidationException", want: `{"message":"The provided model identifier is invalid."}`},
		{name: "throttled", target: path(jp45, "converse-stream"), body: converse, o: simulated.Options{Others: simulated.Behaviour{Throttle: true}}, status: 429, code: "ThrottlingException",
			want: `{"message":"Too many requests, please wait before trying again."}`},
		{name: "down", target: path(jp45, "invoke-with-response-stream"), body: claude, o: simulated.Options{Others: simulated.Behaviour{Fail: true}}, status: 503, code: "ServiceUnavailableException", want: "Bedrock is unable to process your request."},
		{name: "denied", target: path(jp45, "converse-stream"), body: converse, more: []string{"key", "AKIAUSER"}, status: 403, code: "AccessDeniedException",
			want: `{"Message":"User: arn:aws:iam::111122223333:user/u is not authorized to perform: bedrock:InvokeModelWithResponseStream on resource: arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/` + jp45 + ` because no identity-based policy allows the bedrock:InvokeModelWithResponseStream action"}`},
		{name: "guardrail", target: path(jp45, "invoke"), body: claude, more: []string{"X-Amzn-Bedrock-GuardrailIdentifier", "abc"}, status: 400, code: "ValidationException", want: "abc is not supported by this server"},
		{name: "trace", target: path(jp45, "invoke"), body: claude, more: []string{"X-Amzn-Bedrock-Trace", "ENABLED"}, status: 400, code: "ValidationException", want: "not supported"},
		{name: "media", target: path(jp45, "invoke"), body: claude, more: []string{"Content-Type", "image/png"}, status: 400, code: "ValidationException", want: "Content-Type"},
		{name: "model-says", target: path(jp45, "converse"), body: `{"messages":[{"role":"user","content":[{"text":"x"}]}],"additionalModelRequestFields":{"zz":1}}`, status: 400, code: "ValidationException",
			want: `{"message":"The model returned the following errors: zz: Extra inputs are not permitted"}`},
		{name: "count", target: path(jp45, "count-tokens"), body: `{"input":{}}`, status: 400, code: "ValidationException", want: "exactly one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.o)
			a := s.ask(t, "POST", c.target, c.body, c.more...)
			if a.status != c.status || a.header.Get("X-Amzn-Errortype") != c.code || !strings.Contains(string(a.body), c.want) {
				t.Errorf("%d %s %s", a.status, a.header.Get("X-Amzn-Errortype"), a.body)
			}
			if a.header.Get("X-Amzn-Bedrock-Invocation-Latency") != "" {
				t.Error("an error with a latency")
			}
			if r := s.log.last(); r.ErrorCode == "" || r.RequestID != a.header.Get("X-Amzn-Requestid") || !r.ReadOnly {
				t.Errorf("record: %+v", r)
			}
		})
	}
}

// messages decodes a stream to lines; padding is checked and left out.
func messages(t *testing.T, b []byte) string {
	t.Helper()
	var out strings.Builder
	for len(b) > 0 {
		m, rest, err := wire.DecodeMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		b = rest
		v := value.MustParse(string(m.Payload))
		kind := m.Header(":message-type") + " " + m.Header(":event-type") + m.Header(":exception-type") + " " + m.Header(":content-type")
		if m.Header(":message-type") == "event" {
			p := v.Get("p").Str()
			if len(p) < 2 || !strings.HasPrefix("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", p) {
				t.Errorf("padding %q", p)
			}
			v = v.Without("p")
		}
		if bytes := v.Get("bytes"); bytes.IsString() {
			b, err := base64.StdEncoding.DecodeString(bytes.Str())
			if err != nil {
				t.Fatal(err)
			}
			v = value.MustParse(string(b))
		}
		out.WriteString(kind + " " + v.JSON() + "\n")
	}
	return latency.ReplaceAllString(out.String(), `$1":0`)
}

var latency = regexp.MustCompile(`(latencyMs|invocationLatency|firstByteLatency)":\d+`)

func TestConverseStream(t *testing.T) {
	s := serve(t, simulated.Options{})
	a := s.ask(t, "POST", path(jp45, "converse-stream"), converse)
	if a.status != 200 || a.header.Get("Content-Type") != "application/vnd.amazon.eventstream" || a.header.Get("X-Tokaido-Inference-Region") != "ap-northeast-1" {
		t.Errorf("%d %v", a.status, a.header)
	}
	want := `event messageStart application/json {"role":"assistant"}
event contentBlockDelta application/json {"delta":{"text":"[simulated "},"contentBlockIndex":0}
event contentBlockDelta application/json {"delta":{"text":"Claude "},"contentBlockIndex":0}
event contentBlockDelta application/json {"delta":{"text":"Sonnet "},"contentBlockIndex":0}
event contentBlockDelta application/json {"delta":{"text":"4.5] "},"contentBlockIndex":0}
event contentBlockDelta application/json {"delta":{"text":"You "},"contentBlockIndex":0}
event contentBlockDelta application/json {"delta":{"text":"said: "},"contentBlockIndex":0}
event contentBlockDelta application/json {"delta":{"text":"hi "},"contentBlockIndex":0}
event contentBlockDelta application/json {"delta":{"text":"there"},"contentBlockIndex":0}
event contentBlockStop application/json {"contentBlockIndex":0}
event messageStop application/json {"stopReason":"end_turn"}
event metadata application/json {"usage":{"inputTokens":2,"outputTokens":12,"totalTokens":14,"cacheReadInputTokens":0,"cacheWriteInputTokens":0},"metrics":{"latencyMs":0}}
`
	if got := messages(t, a.body); got != want {
		t.Errorf("got\n%s", got)
	}
	if r := s.log.last(); r.Name != "ConverseStream" || r.Additional.Get("inferenceRegion").Str() != "ap-northeast-1" || !r.Additional.Has("outputTokens") {
		t.Errorf("record: %+v", r)
	}
}

func TestInvokeModelStream(t *testing.T) {
	s := serve(t, simulated.Options{Regions: map[string]simulated.Behaviour{"ap-northeast-1": {Throttle: true}}})
	a := s.ask(t, "POST", path(jp45, "invoke-with-response-stream"), claude)
	if a.status != 200 || a.header.Get("X-Amzn-Bedrock-Content-Type") != "application/json" || a.header.Get("X-Tokaido-Inference-Region") != "ap-northeast-3" {
		t.Errorf("%d %v", a.status, a.header)
	}
	lines := strings.Split(strings.TrimSpace(messages(t, a.body)), "\n")
	if last := lines[len(lines)-1]; last != `event chunk application/json {"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":2,"outputTokenCount":12,"invocationLatency":0,"firstByteLatency":0}}` {
		t.Errorf("last: %s", last)
	}
	if !strings.HasPrefix(lines[0], `event chunk application/json {"type":"message_start","message":{"id":"msg_bdrk_01`) {
		t.Errorf("first: %s", lines[0])
	}
	if r := s.log.last(); r.Additional.Get("attempts").Len() != 2 || r.Additional.Get("inferenceRegion").Str() != "ap-northeast-3" {
		t.Errorf("record: %s", r.Additional)
	}
}

// What goes wrong after the first event is said inside the stream.
func TestCutStream(t *testing.T) {
	s := serve(t, simulated.Options{Others: simulated.Behaviour{CutAfter: 3}})
	for _, op := range []struct{ name, body string }{{"converse-stream", converse}, {"invoke-with-response-stream", claude}} {
		a := s.ask(t, "POST", path(jp45, op.name), op.body)
		got := messages(t, a.body)
		if a.status != 200 || !strings.HasSuffix(got, `exception modelStreamErrorException application/json {"message":"An error occurred while streaming the response. Retry your request."}`+"\n") {
			t.Errorf("%d\n%s", a.status, got)
		}
		if r := s.log.last(); r.ErrorCode != "ModelStreamErrorException" || r.Additional.Get("inferenceRegion").Str() != "ap-northeast-1" {
			t.Errorf("record: %+v", r)
		}
	}
}

func TestCountTokens(t *testing.T) {
	s := serve(t, simulated.Options{})
	for _, body := range []string{
		`{"input":{"converse":` + converse + `}}`,
		`{"input":{"invokeModel":{"body":"` + base64.StdEncoding.EncodeToString([]byte(claude)) + `"}}}`,
	} {
		if a := s.ask(t, "POST", path(jp45, "count-tokens"), body); a.status != 200 || string(a.body) != `{"inputTokens":2}` {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestControlPlane(t *testing.T) {
	s := serve(t, simulated.Options{})
	get := func(target string) value.Value {
		t.Helper()
		a := s.ask(t, "GET", target, "")
		if a.status != 200 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
		return value.MustParse(string(a.body))
	}
	all := get("/foundation-models").Get("modelSummaries")
	byID := map[string]value.Value{}
	for _, m := range all.Items() {
		byID[m.Get("modelId").Str()] = m
	}
	sonnet := byID["anthropic.claude-sonnet-4-20250514-v1:0"]
	if sonnet.Get("inferenceTypesSupported").JSON() != `["INFERENCE_PROFILE"]` || sonnet.Get("modelLifecycle").JSON() != `{"status":"LEGACY","endOfLifeTime":"2026-10-14T00:00:00Z"}` ||
		sonnet.Get("modelArn").Str() != "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0" {
		t.Errorf("Sonnet 4: %s", sonnet)
	}
	if got := byID["amazon.nova-lite-v1:0"].Get("inferenceTypesSupported").JSON(); got != `["ON_DEMAND","INFERENCE_PROFILE"]` {
		t.Errorf("Nova Lite: %s", got)
	}
	if _, ok := byID["ai21.jamba-1-5-large-v1:0"]; ok {
		t.Error("a model that cannot be called from Tokyo")
	}
	for _, q := range []string{"byProvider=anthropic", "byOutputModality=IMAGE", "byInferenceType=ON_DEMAND"} {
		if n := get("/foundation-models?" + q).Get("modelSummaries").Len(); n == 0 || n >= all.Len() {
			t.Errorf("%s: %d of %d", q, n, all.Len())
		}
	}
	if n := get("/foundation-models?byInferenceType=PROVISIONED").Get("modelSummaries").Len(); n != 0 {
		t.Errorf("%d provisioned", n)
	}
	if got := get("/foundation-models/amazon.nova-lite-v1%3A0").Get("modelDetails"); !value.Equal(got, byID["amazon.nova-lite-v1:0"]) {
		t.Errorf("details: %s", got)
	}
	if got := get("/foundation-model-availability/ai21.jamba-1-5-large-v1%3A0").Get("regionAvailability").Str(); got != "NOT_AVAILABLE" {
		t.Errorf("availability: %s", got)
	}

	want := `{"inferenceProfileName":"JP Anthropic Claude Sonnet 4.5","description":"Routes requests to Anthropic Claude Sonnet 4.5 in ap-northeast-1 and ap-northeast-3.",` +
		`"inferenceProfileArn":"arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/` + jp45 + `","models":[` +
		`{"modelArn":"arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"},{"modelArn":"arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"}],` +
		`"inferenceProfileId":"` + jp45 + `","status":"ACTIVE","type":"SYSTEM_DEFINED"}`
	for _, id := range []string{jp45, "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + jp45} {
		if got := get("/inference-profiles/" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(id)).JSON(); got != want {
			t.Errorf("profile: %s", got)
		}
	}
	g := get("/inference-profiles/global." + jp45[3:])
	if g.Get("models").JSON() != `[{"modelArn":"arn:aws:bedrock:::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"},{"modelArn":"arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"}]` ||
		!strings.HasSuffix(g.Get("description").Str(), "globally across all supported AWS Regions.") {
		t.Errorf("global: %s", g)
	}
	whole := get("/inference-profiles").Get("inferenceProfileSummaries")
	n, token := 0, ""
	for pages := 0; ; pages++ {
		p := get("/inference-profiles?maxResults=10&type=SYSTEM_DEFINED" + token)
		for _, x := range p.Get("inferenceProfileSummaries").Items() {
			if !value.Equal(x, whole.At(n)) {
				t.Fatalf("page %d: %s, want %s", pages, x, whole.At(n))
			}
			n++
		}
		if !p.Has("nextToken") {
			break
		}
		token = "&nextToken=" + p.Get("nextToken").Str()
	}
	if n != whole.Len() || n < 20 {
		t.Errorf("%d profiles in pages, %d whole", n, whole.Len())
	}
	for target, code := range map[string]string{
		"/foundation-models?byProvider=x&foo=1":     "ValidationException",
		"/foundation-models?byInferenceType=WISHES": "ValidationException",
		"/foundation-models/no.such":                "ResourceNotFoundException",
		"/inference-profiles/us." + jp45[3:]:        "ResourceNotFoundException",
		"/inference-profiles?maxResults=0":          "ValidationException",
		"/inference-profiles?nextToken=*":           "ValidationException",
	} {
		if a := s.ask(t, "GET", target, ""); a.header.Get("X-Amzn-Errortype") != code {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	if a := s.ask(t, "GET", "/inference-profiles", "", "key", "AKIAUSER"); a.status != 403 {
		t.Errorf("not allowed: %d", a.status)
	}
}

func TestApplicationProfiles(t *testing.T) {
	s := serve(t, simulated.Options{})
	create := `{"inferenceProfileName":"team one","description":"of team one","modelSource":{"copyFrom":"arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/` + jp45 + `"},"tags":[{"key":"team","value":"one"}]}`
	a := s.ask(t, "POST", "/inference-profiles", create)
	v := value.MustParse(string(a.body))
	made := v.Get("inferenceProfileArn").Str()
	if a.status != 201 || v.Get("status").Str() != "ACTIVE" || !strings.HasPrefix(made, "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if r := s.log.last(); r.ReadOnly || r.Name != "CreateInferenceProfile" || r.Response.Get("inferenceProfileArn").Str() != made {
		t.Errorf("record: %+v", r)
	}
	if a := s.ask(t, "POST", path(made, "converse"), converse); a.status != 200 {
		t.Errorf("called: %d %s", a.status, a.body)
	}
	if r := s.log.last(); r.Request.Get("modelId").Str() != made {
		t.Errorf("record: %+v", r.Request)
	}
	esc := strings.NewReplacer(":", "%3A", "/", "%2F")
	id := made[strings.LastIndex(made, "/")+1:]
	for _, name := range []string{made, id} {
		a = s.ask(t, "GET", "/inference-profiles/"+esc.Replace(name), "")
		v = value.MustParse(string(a.body))
		if v.Get("inferenceProfileName").Str() != "team one" || v.Get("type").Str() != "APPLICATION" || v.Get("models").Len() != 2 || !v.Has("createdAt") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for q, want := range map[string]bool{"?type=APPLICATION": true, "": true, "?type=SYSTEM_DEFINED": false} {
		if a := s.ask(t, "GET", "/inference-profiles"+q, ""); strings.Contains(string(a.body), made) != want {
			t.Errorf("list%s: %s", q, a.body)
		}
	}
	for _, c := range []struct{ target, body, want string }{
		{"/tagResource", `{"resourceARN":"` + made + `","tags":[{"key":"cost","value":"7"}]}`, "{}"},
		{"/untagResource", `{"resourceARN":"` + made + `","tagKeys":["team"]}`, "{}"},
		{"/listTagsForResource", `{"resourceARN":"` + made + `"}`, `{"tags":[{"key":"cost","value":"7"}]}`},
	} {
		if a := s.ask(t, "POST", c.target, c.body); a.status != 200 || string(a.body) != c.want {
			t.Errorf("%s: %d %s", c.target, a.status, a.body)
		}
	}
	for _, c := range []struct{ method, target, body, code string }{
		{"POST", "/inference-profiles", strings.Replace(create, "team one", "a  b", 1), "ValidationException"},
		{"POST", "/inference-profiles", strings.Replace(create, "inference-profile/", "application-inference-profile/", 1), "ValidationException"},
		{"POST", "/inference-profiles", strings.Replace(create, `"tags"`, `"tagz"`, 1), "ValidationException"},
		{"DELETE", "/inference-profiles/" + esc.Replace(jp45), "", "ValidationException"},
		{"DELETE", "/inference-profiles/zzzzzzzzzzzz", "", "ResourceNotFoundException"},
		{"POST", "/listTagsForResource", `{"resourceARN":"arn:aws:bedrock:ap-northeast-1:111122223333:guardrail/x"}`, "ValidationException"},
	} {
		if a := s.ask(t, c.method, c.target, c.body); a.header.Get("X-Amzn-Errortype") != c.code {
			t.Errorf("%s %s: %d %s", c.method, c.target, a.status, a.body)
		}
	}
	if a := s.ask(t, "POST", "/inference-profiles", create, "key", "AKIAUSER"); a.status != 403 {
		t.Errorf("not allowed: %d", a.status)
	}
	if a := s.ask(t, "DELETE", "/inference-profiles/"+esc.Replace(made), ""); a.status != 200 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if a := s.ask(t, "POST", path(made, "converse"), converse); a.header.Get("X-Amzn-Errortype") != "ValidationException" {
		t.Errorf("called after its end: %d %s", a.status, a.body)
	}
}

// boto3 as it is: the service models' own parsers read every answer.
func TestBoto3(t *testing.T) {
	python := installed.Boto3(t, "the check with a real client did not run")
	s := serve(t, simulated.Options{})
	cut := serve(t, simulated.Options{Others: simulated.Behaviour{CutAfter: 4}})
	const script = `
import sys, boto3, json
from botocore.config import Config
from botocore.exceptions import ClientError
def client(name, url=sys.argv[1]):
    return boto3.client(name, endpoint_url=url, region_name='ap-northeast-1', aws_access_key_id='AKIAROOT', aws_secret_access_key='secret', config=Config(retries={'max_attempts': 1}))
rt, ctl = client('bedrock-runtime'), client('bedrock')
jp = 'jp.anthropic.claude-sonnet-4-5-20250929-v1:0'
msgs = [{'role': 'user', 'content': [{'text': 'こんにちは'}, {'image': {'format': 'png', 'source': {'bytes': b'\x89PNG'}}}]}]
r = rt.converse(modelId='arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/' + jp, messages=msgs, inferenceConfig={'maxTokens': 50, 'temperature': 0.5})
print(r['output']['message']['content'][0]['text'], r['stopReason'], r['usage']['totalTokens'] > 0, r['ResponseMetadata']['HTTPHeaders']['x-tokaido-inference-region'])
tools = {'tools': [{'toolSpec': {'name': 'get_weather', 'inputSchema': {'json': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}}}], 'toolChoice': {'any': {}}}
text, args, names = '', '', []
for e in rt.converse_stream(modelId=jp, messages=[{'role': 'user', 'content': [{'text': 'Tokyo'}]}], toolConfig=tools)['stream']:
    names.append(next(iter(e)))
    d = e.get('contentBlockDelta', {}).get('delta', {})
    text += d.get('text', ''); args += d.get('toolUse', {}).get('input', '')
print(text, json.loads(args), names[0], names[-2:])
body = json.dumps({'anthropic_version': 'bedrock-2023-05-31', 'max_tokens': 100, 'messages': [{'role': 'user', 'content': 'hi'}]})
r = rt.invoke_model(modelId=jp, body=body)
print(json.loads(r['body'].read())['model'], r['contentType'], r['ResponseMetadata']['HTTPHeaders']['x-amzn-bedrock-output-token-count'])
r = rt.invoke_model_with_response_stream(modelId=jp, body=body)
chunks = [json.loads(e['chunk']['bytes']) for e in r['body']]
print(r['contentType'], chunks[0]['type'], sorted(chunks[-1]['amazon-bedrock-invocationMetrics']))
print(rt.count_tokens(modelId=jp, input={'invokeModel': {'body': body}})['inputTokens'])
try:
    for e in client('bedrock-runtime', sys.argv[2]).converse_stream(modelId=jp, messages=[{'role': 'user', 'content': [{'text': 'x'}]}])['stream']: pass
except ClientError as e: print(type(e).__name__, e.response['Error']['Code'])
try: rt.converse(modelId=jp[3:], messages=msgs)
except rt.exceptions.ValidationException as e: print(e.response['Error']['Message'][-76:])
made = ctl.create_inference_profile(inferenceProfileName='mine', modelSource={'copyFrom': 'arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0'}, tags=[{'key': 'a', 'value': 'b'}])['inferenceProfileArn']
p = ctl.get_inference_profile(inferenceProfileIdentifier=made)
print(p['type'], p['createdAt'].year, [m['modelArn'] for m in p['models']], ctl.list_tags_for_resource(resourceARN=made)['tags'], rt.converse(modelId=made, messages=msgs)['stopReason'])
ctl.delete_inference_profile(inferenceProfileIdentifier=made)
print(len(ctl.list_foundation_models(byProvider='Anthropic')['modelSummaries']) > 5, ctl.get_foundation_model(modelIdentifier='anthropic.claude-sonnet-4-20250514-v1:0')['modelDetails']['modelLifecycle']['endOfLifeTime'].year)
print(sum(len(p['inferenceProfileSummaries']) for p in ctl.get_paginator('list_inference_profiles').paginate(PaginationConfig={'PageSize': 7})) > 20, ctl.get_inference_profile(inferenceProfileIdentifier=jp)['models'][1]['modelArn'])
`
	cmd := exec.Command(python, "-c", script, s.URL, cut.URL)
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "PYTHONIOENCODING=utf-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := `[simulated Claude Sonnet 4.5] You said: こんにちは end_turn True ap-northeast-1
[simulated Claude Sonnet 4.5] I am calling get_weather. {'city': 'Tokyo'} messageStart ['messageStop', 'metadata']
claude-sonnet-4-5-20250929 application/json 11
application/json message_start ['firstByteLatency', 'inputTokenCount', 'invocationLatency', 'outputTokenCount']
1
EventStreamError modelStreamErrorException
request with the ID or ARN of an inference profile that contains this model.
APPLICATION ` + strconv.Itoa(time.Now().UTC().Year()) + ` ['arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0'] [{'key': 'a', 'value': 'b'}] end_turn
True 2026
True arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0
`
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// Chunks are forwarded as they come, not when the stream ends.
func TestFirstTokenIsForwarded(t *testing.T) {
	s := serve(t, simulated.Options{Pace: 20 * time.Millisecond})
	target := path(jp45, "converse-stream")
	add, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: target, Headers: [][2]string{{"Host", strings.TrimPrefix(s.URL, "http://")}}, Body: []byte(converse)},
		sigv4.Options{Service: "bedrock", Region: "ap-northeast-1", Now: time.Now()}, sigv4.Credentials{AccessKeyID: "AKIAROOT", Secret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL+target, strings.NewReader(converse))
	for _, h := range add {
		r.Header.Set(h[0], h[1])
	}
	t0 := time.Now()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 4096)
	if _, err := resp.Body.Read(buf); err != nil {
		t.Fatal(err)
	}
	first := time.Since(t0)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if whole := time.Since(t0); first > whole/2 || !bytes.Contains(rest, []byte("messageStop")) {
		t.Errorf("first event after %v, all after %v", first, whole)
	}
}
