package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, id string
		want        bool
	}{
		{"*", "a.b", true}, {"a.*", "a.b", true}, {"a.*", "b.a", false}, {"*.b", "a.b", true}, {"a*b*c", "axbyc", true}, {"a*b*c", "acb", false},
		{"a.b", "a.b", true}, {"a.b", "a.bc", false}, {"*b*b", "ab", false}, {"a*a", "a", false}, {"", "", true}, {"", "a", false},
	} {
		if got := matches(c.pattern, c.id); got != c.want {
			t.Errorf("%q fits %q: %v", c.pattern, c.id, got)
		}
	}
	m := map[string]string{"*": "any", "anthropic.*": "some", "anthropic.claude-3-*": "more", "anthropic.claude-3-x": "one"}
	for id, want := range map[string]string{"x": "any", "anthropic.y": "some", "anthropic.claude-3-y": "more", "anthropic.claude-3-x": "one"} {
		for range 20 { // whatever the map's order
			if got, ok := pick(m, id); got != want || !ok {
				t.Fatalf("%s is %q", id, got)
			}
		}
	}
}

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestBackendsAreChecked(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"type":     {`{bedrock: {backends: {x: {type: opnai}}}}`, `bedrock.backends.x.type: "opnai"`},
		"url":      {`{bedrock: {backends: {x: {type: openai}}}}`, `bedrock.backends.x.url: is missing`},
		"foreign":  {`{bedrock: {backends: {x: {type: anthropic, completionTokens: true}}}}`, `bedrock.backends.x.completionTokens`},
		"secret":   {`{bedrock: {backends: {x: {type: amazon, accessKeyId: AKIA}}}}`, `bedrock.backends.x.accessKeyId: "AKIA"`},
		"two-keys": {`{bedrock: {backends: {x: {type: anthropic, apiKeyEnv: A, apiKeyFile: b}}}}`, `bedrock.backends.x.apiKeyEnv: "A"`},
		"region":   {`{bedrock: {regions: {mars-1: []}}}`, `there is no Region "mars-1"`},
		"nobody":   {`{bedrock: {regions: {us-east-1: [{models: "*", backend: y}]}}}`, `there is no backend "y"`},
		"pattern":  {`{bedrock: {backends: {x: {type: simulated}}, regions: {us-east-1: [{models: "antropic.*", backend: x}]}}}`, `"antropic.*" fits no model`},
		"mapping":  {`{bedrock: {backends: {x: {type: amazon, models: {"*": "nothing"}}}}}`, `"nothing" is neither a model nor`},
		"profile":  {`{bedrock: {profiles: [{id: own.x, model: none, routes: {us-east-1: [us-east-1]}}]}}`, `there is no model "none"`},
		"routes":   {`{bedrock: {profiles: [{id: own.x, model: anthropic.claude-3-haiku-20240307-v1:0}]}}`, `bedrock.profiles[0]: needs id, model and routes`},
		"half":     {`{bedrock: {backends: {x: {type: openai, url: "https://x", certFile: a.pem}}}}`, `bedrock.backends.x.certFile: "a.pem", and keyFile: "": one needs the other`},
		"certs":    {`{bedrock: {backends: {x: {type: simulated, certFile: a, keyFile: b}}}}`, `bedrock.backends.x.certFile: a backend of type simulated has none`},
		"often":    {`{bedrock: {backends: {x: {type: openai, url: "https://x", probeInterval: 10ms}}}}`, `bedrock.backends.x.probeInterval: 10ms is less than 1s`},
		"back":     {`{bedrock: {backends: {x: {type: openai, url: "https://x", probeTimeout: -1s}}}}`, `bedrock.backends.x.probeTimeout: is negative`},
		"always":   {`{bedrock: {backends: {x: {type: simulated, probeInterval: 0s}}}}`, `bedrock.backends.x.probeInterval: a backend of type simulated has none`},
		"hedge":    {`{bedrock: {hedgeAfter: -1s}}`, `bedrock.hedgeAfter: is negative`},
		"where":    {`{bedrock: {limits: {mars-1: {concurrency: 1}}}}`, `bedrock.limits: there is no Region "mars-1"`},
		"limit":    {`{bedrock: {limits: {us-east-1: {models: {"anthropic.*": {tokensPerMinute: -1}}}}}}`, `bedrock.limits.us-east-1.models.anthropic.*: a limit is negative`},
		"which":    {`{bedrock: {limits: {us-east-1: {models: {"antropic.*": {concurrency: 1}}}}}}`, `bedrock.limits.us-east-1.models: "antropic.*" fits no model`},
		"script":   {`{bedrock: {simulated: {regions: {mars-1: {fail: true}}}}}`, `bedrock.simulated.regions.mars-1: there is no such Region`},
		"error":    {`{bedrock: {simulated: {regions: {us-east-1: {error: Oops}}}}}`, `"Oops" is none of Bedrock's`},
		"cut":      {`{bedrock: {simulated: {regions: {us-east-1: {cutAfter: -1}}}}}`, `a number is negative: -1`},
		"default":  {`{region: mars-1}`, `region: there is no Region "mars-1"`},
	} {
		if err := parse(t, c.text).Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Limits are a Region's, or a model's own where they are given; what the
// simulated backend is told to do comes to it.
func TestLimitsAndScripts(t *testing.T) {
	c := parse(t, `
bedrock:
  hedgeAfter: 2s
  limits:
    ap-northeast-1: {concurrency: 4, tokensPerMinute: 1000, models: {"anthropic.*": {requestsPerMinute: 60}, "anthropic.claude-3-*": {concurrency: 1}}}
  simulated:
    regions:
      ap-northeast-1: {latency: 1s, pace: 2ms, throttle: true, error: ModelTimeoutException, break: true, cutAfter: 3, concurrency: 5, requestsPerMinute: 6}
`)
	c.DataDir, c.Store, c.Listen = "x", "memory", "127.0.0.1:0"
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bedrock.Limits{
		"amazon.nova-pro-v1:0":                      {Concurrent: 4, TokensPerMinute: 1000},
		"anthropic.claude-sonnet-4-5-20250929-v1:0": {RequestsPerMinute: 60},
		"anthropic.claude-3-haiku-20240307-v1:0":    {Concurrent: 1},
	} {
		m, ok := catalog.Load().Model(id)
		if !ok {
			t.Fatal(id)
		}
		if got := c.limits("ap-northeast-1", m); got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
		if got := c.limits("ap-northeast-3", m); got != (bedrock.Limits{}) {
			t.Errorf("%s in Osaka: %+v", id, got)
		}
	}
	want := simulated.Behaviour{Latency: time.Second, Pace: 2 * time.Millisecond, Throttle: true, Error: "ModelTimeoutException", Break: true, CutAfter: 3, Concurrent: 5, RequestsPerMinute: 6}
	if got := c.simulated().Regions["ap-northeast-1"]; got != want || c.Bedrock.HedgeAfter != 2*time.Second {
		t.Errorf("%+v, %v", got, c.Bedrock.HedgeAfter)
	}
}

// A boundary of the operator's own, with models on something real, all in one
// configuration.
func TestOperatorsProfile(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/v1/models" {
			io.WriteString(w, `{"data":[{"id":"tiny"}]}`)
			return
		}
		io.WriteString(w, `{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"good day"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`)
	}))
	defer upstream.Close()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := parse(t, fmt.Sprintf(`
store: memory
bedrock:
  backends:
    mine: {type: openai, url: %s/v1, apiKeyFile: %s, models: {"own.*": tiny}}
  regions:
    ap-northeast-1: [{models: "own.*", backend: mine}]
  models: [{id: own.poet-v1, name: Poet}]
  profiles: [{id: centre.own.poet-v1, model: own.poet-v1, routes: {ap-northeast-1: [ap-northeast-1, ap-northeast-3]}}]
`, upstream.URL, key))
	c.DataDir = t.TempDir()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), *c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rt := s.runtime
	p, err := rt.Plan("ap-northeast-1", s.Account, "centre.own.poet-v1")
	if err != nil || !slices.Equal(p.Regions, []string{"ap-northeast-1", "ap-northeast-3"}) {
		t.Fatalf("%+v %v", p, err)
	}
	res, err := rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(`{"messages":[{"role":"user","content":"hello"}]}`)})
	if err != nil || res.Region != "ap-northeast-1" || !strings.Contains(string(res.Body), "good day") {
		t.Errorf("%+v %v", res, err)
	}
	// Somebody who has real models gets no simulated ones unasked.
	if p, err = rt.Plan("ap-northeast-1", s.Account, "anthropic.claude-3-haiku-20240307-v1:0"); err != nil {
		t.Fatal(err)
	}
	_, err = rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(`{}`)})
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "ServiceUnavailableException" {
		t.Errorf("%v", err)
	}
	lines := strings.Join(s.Answering(t.Context()), "\n")
	if !strings.Contains(lines, "Models of ap-northeast-1 run on mine (openai at ") || !strings.Contains(lines, "which answers") {
		t.Error(lines)
	}
}

func TestKnock(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"data":[{"id":"qwen3:4b"}]}`) }))
	lines := knock(t.Context(), s.URL)
	s.Close()
	text := strings.ReplaceAll(strings.Join(lines[1:], "\n"), "\n  ", "\n")
	c := parse(t, strings.TrimPrefix(text, "  "))
	if err := c.Check(); err != nil || c.Bedrock.Backends["ollama"].Models["anthropic.*"] != "qwen3:4b" {
		t.Errorf("what is said to be put into the file is refused: %v\n%s", err, text)
	}
	if got := knock(t.Context(), s.URL); got != nil {
		t.Errorf("nobody is there: %q", got)
	}
}

// What the documentation shows is accepted.
func TestDocumentedConfiguration(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "backends.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no configuration")
	}
	if err := parse(t, text).Check(); err != nil {
		t.Error(err)
	}
}

// Every type of backend trusts whom caFile names, and shows certFile to who asks.
func TestBackendsOverTLS(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{} // certificates shown, by path
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path] = len(r.TLS.PeerCertificates)
		mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/model/") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		io.WriteString(w, `{"data":[]}`)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, keyFile := file("cert.pem", "CERTIFICATE", s.Certificate().Raw), file("key.pem", "PRIVATE KEY", key)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("url: %q, caFile: %q, certFile: %q, keyFile: %q", s.URL, cert, cert, keyFile)
	c := parse(t, fmt.Sprintf(`
store: memory
bedrock:
  backends:
    a: {type: openai, %[1]s}
    b: {type: anthropic, apiKeyFile: %[2]q, %[1]s}
    c: {type: amazon, accessKeyId: AKIA, secretKeyFile: %[2]q, %[1]s}
    bare: {type: openai, url: %[3]q, caFile: %[4]q}
  regions:
    us-east-1: [{models: "openai.*", backend: a}, {models: "anthropic.*", backend: b}, {models: "amazon.*", backend: c}, {models: "*", backend: bare}]
`, settings, secret, s.URL, cert))
	c.DataDir, c.Listen = dir, "127.0.0.1:0"
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	all, err := newBackends(t.Context(), c, catalog.Load())
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range all.all {
		if err := b.serves.(bedrock.Checker).Check(t.Context()); (err == nil) == (name == "bare") {
			t.Errorf("%s: %v", name, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 3 {
		t.Errorf("asked: %v", asked)
	}
	for path, n := range asked {
		if n != 1 {
			t.Errorf("%s: %d certificates were shown", path, n)
		}
	}
}
