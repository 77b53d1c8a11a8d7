package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi/sigv4"
)

// ask sends a request to s as the root user, from an address.
func ask(t *testing.T, s *Server, service, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("POST", "http://localhost"+target, strings.NewReader(body))
	add, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: target, Headers: [][2]string{{"Host", r.Host}}, Body: []byte(body)},
		sigv4.Options{Service: service, Region: "ap-northeast-1", Now: time.Now()}, sigv4.Credentials{AccessKeyID: devKey, Secret: devSecret})
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(body, "Action=") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range add {
		r.Header.Set(h[0], h[1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func read(s *Server, from string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", metricsPath, nil)
	r.RemoteAddr = from
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func serverWith(t *testing.T, m MetricsConfig) *Server {
	t.Helper()
	return serverOver(t, Config{Listen: "127.0.0.1:0", Store: "memory", DataDir: t.TempDir(), Metrics: m, Version: "9.9"})
}

// serverOver is a server whose root user has the key test/test.
func serverOver(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Dev = true
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	return newServer(t, cfg, slog.DiscardHandler)
}

// A call is in the metrics by model, profile and Region, and nothing that it
// said is.
func TestMetrics(t *testing.T) {
	s := serverWith(t, MetricsConfig{})
	const profile = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
	body := `{"messages":[{"role":"user","content":[{"text":"xyzzy"}]}]}`
	if w := ask(t, s, "bedrock", "/model/"+strings.ReplaceAll(profile, ":", "%3A")+"/converse", body); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, s, "bedrock", "/model/xyzzy/converse", body); w.Code != http.StatusBadRequest {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := read(s, "127.0.0.1:1")
	got := w.Body.String()
	labels := `model="anthropic.claude-sonnet-4-5-20250929-v1:0",profile="` + profile + `",region="ap-northeast-1"`
	for _, want := range []string{
		`tokaido_bedrock_requests_total{inference_region="ap-northeast-1",model="anthropic.claude-sonnet-4-5-20250929-v1:0",outcome="served",profile="` + profile + `",region="ap-northeast-1"} 1`,
		`tokaido_bedrock_in_flight{` + labels + `} 0`,
		`tokaido_bedrock_request_seconds_count{` + labels + `} 1`,
		`tokaido_bedrock_attempts_total{inference_region="ap-northeast-1",model="anthropic.claude-sonnet-4-5-20250929-v1:0",outcome="served"} 1`,
		`tokaido_api_requests_total{operation="Converse",outcome="ok",service="bedrock"} 1`,
		`tokaido_api_requests_total{operation="Converse",outcome="refused",service="bedrock"} 1`,
		`tokaido_executions_open 0`,
		`tokaido_build_info{version="9.9"} 1`,
		`tokaido_trail_records_total `, `tokaido_trail_append_seconds_count{waits_for="disk"} `, `go_goroutines `,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("%s is missing", want)
		}
	}
	if w.Code != http.StatusOK || strings.Contains(got, "xyzzy") {
		t.Errorf("%d; what a caller said is in it: %v", w.Code, strings.Contains(got, "xyzzy"))
	}
}

func TestMetricsReaders(t *testing.T) {
	mine, theirs := serverWith(t, MetricsConfig{}), serverWith(t, MetricsConfig{From: []string{"10.1.0.0/16", "2001:db8::7"}})
	for _, c := range []struct {
		name string
		s    *Server
		from string
		want int
	}{
		{"loopback", mine, "127.0.0.1:1", 200},
		{"loopback-6", mine, "[::1]:1", 200},
		{"loopback-4-in-6", mine, "[::ffff:127.0.0.1]:1", 200},
		{"elsewhere", mine, "10.1.2.3:1", 403},
		{"nonsense", mine, "pipe", 403},
		{"named-network", theirs, "10.1.2.3:1", 200},
		{"named-address", theirs, "[2001:db8::7]:1", 200},
		{"not-named", theirs, "10.2.2.3:1", 403},
		{"loopback-not-named", theirs, "127.0.0.1:1", 403},
	} {
		if w := read(c.s, c.from); w.Code != c.want {
			t.Errorf("%s: %d, want %d", c.name, w.Code, c.want)
		}
	}
	// A proxy on this machine speaks for others.
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"} {
		if w := read(mine, "127.0.0.1:1", h, "somebody"); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", h, w.Code)
		}
	}
	r := httptest.NewRequest("POST", metricsPath, nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	mine.ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestMetricsOff(t *testing.T) {
	s := serverWith(t, MetricsConfig{Off: true})
	if w := ask(t, s, "bedrock", "/model/amazon.nova-lite-v1%3A0/converse", `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := read(s, "127.0.0.1:1"); w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	c := Config{Listen: "127.0.0.1:0", Store: "memory", DataDir: "d", Metrics: MetricsConfig{From: []string{"10.1.0.0/16", "everybody"}}}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), `metrics.from: "everybody" is neither`) {
		t.Errorf("%v", err)
	}
}
