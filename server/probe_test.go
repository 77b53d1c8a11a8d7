package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokaido/bedrock"
)

// probesSeen is how long something may take to be noticed on a slow machine.
const probesSeen = 2 * time.Minute

// probeLog is a log that is read while it is written.
type probeLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *probeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *probeLog) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// A backend that does not answer probes is passed over before a caller finds out,
// and everybody who looks is told; when it answers again, it serves again. Probes
// ask for lists of models and for nothing else.
func TestProbesOfAServer(t *testing.T) {
	var gone atomic.Bool
	var mu sync.Mutex
	asked := map[string][]string{}
	serve := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			if what := r.Method + " " + r.URL.Path; r.Method == "POST" || len(body) > 0 {
				asked[name] = append(asked[name], what)
			} else if what != "GET /v1/models" {
				t.Errorf("%s was asked %s", name, what)
			}
			mu.Unlock()
			switch {
			case name == "tokyo" && gone.Load():
				w.WriteHeader(http.StatusBadGateway)
			case r.Method == "GET":
				io.WriteString(w, `{"data":[{"id":"tiny"}]}`)
			default:
				io.WriteString(w, `{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"good day"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	c := parse(t, fmt.Sprintf(`
store: memory
bedrock:
  backends:
    tokyo: {type: openai, url: %s/v1, probeInterval: 1s}
    osaka: {type: openai, url: %s/v1, probeInterval: 1s, probeTimeout: 30s}
    never: {type: openai, url: %[1]s/v1, probeInterval: 0s}
  regions:
    ap-northeast-1: [{models: "*", backend: tokyo}]
    ap-northeast-3: [{models: "*", backend: osaka}]
    us-east-1: [{models: "*", backend: never}]
`, serve("tokyo"), serve("osaka")))
	c.DataDir = t.TempDir()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	var log probeLog
	s, err := New(t.Context(), *c, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const profile = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
	p, err := s.runtime.Plan("ap-northeast-1", s.Account, profile)
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(probesSeen); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not in time: " + what)
			}
		}
	}
	statusOf := func(region string) bool {
		list := s.backends.tell(new(health), s.probes)(t.Context(), p.Model, []string{region})
		return len(list) == 1 && !list[0].Down
	}
	metric := func(want string) {
		t.Helper()
		r := httptest.NewRequest("GET", metricsPath, nil)
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no %s in the metrics", want)
		}
	}
	went := func(want ...string) {
		t.Helper()
		res, err := s.runtime.Invoke(t.Context(), p, bedrock.Request{Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"messages":[{"role":"user","content":"hello"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range res.Attempts {
			got = append(got, a.Region+" "+string(a.Outcome))
		}
		if !slices.Equal(got, want) {
			t.Errorf("it went to %q, want %q", got, want)
		}
	}
	answered := func(backend string) bool {
		for _, x := range s.probes.Stats() {
			if x.Backend == backend {
				return x.Answered > 0
			}
		}
		return false
	}
	until("both answer", func() bool { return answered("tokyo") && answered("osaka") })
	went("ap-northeast-1 served")
	metric(`tokaido_bedrock_backend_up{backend="tokyo",inference_region="ap-northeast-1"} 1`)

	gone.Store(true)
	until("tokyo is passed over", func() bool { return s.runtime.Stats()[0].Out })
	if statusOf("ap-northeast-1") || !statusOf("ap-northeast-3") {
		t.Error("the overview does not say who is gone")
	}
	went("ap-northeast-1 out", "ap-northeast-3 served")
	metric(`tokaido_bedrock_backend_up{backend="tokyo",inference_region="ap-northeast-1"} 0`)
	metric(`tokaido_bedrock_backend_up{backend="osaka",inference_region="ap-northeast-3"} 1`)
	metric(`tokaido_bedrock_region_out{inference_region="ap-northeast-1",model="anthropic.claude-sonnet-4-5-20250929-v1:0"} 1`)
	if n := log.count("a backend does not answer"); n != 1 {
		t.Errorf("logged %d times", n)
	}

	gone.Store(false)
	until("tokyo is back", func() bool { return !s.runtime.Stats()[0].Out })
	if !statusOf("ap-northeast-1") {
		t.Error("the overview does not say who is back")
	}
	went("ap-northeast-1 served")
	until("it is logged", func() bool { return log.count("a backend answers again") == 1 })
	mu.Lock()
	defer mu.Unlock()
	if len(asked["tokyo"]) != 2 || len(asked["osaka"]) != 1 {
		t.Errorf("models were asked %q", asked)
	}
	for _, x := range s.probes.Stats() {
		if x.Backend == "never" {
			t.Error("who is not to be probed is")
		}
	}
}
