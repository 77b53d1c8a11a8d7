package openai_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/backendtest"
	"tokaido/bedrock/backend/openai"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// server speaks chat completions as such servers do; what it says is the
// simulated backend's.
func server(t *testing.T, b backendtest.Behaviour) *httptest.Server {
	m, _ := catalog.Load().Model("openai.gpt-oss-20b-1:0")
	sim := simulated.New(simulated.Options{Others: simulated.Behaviour{Latency: b.Latency, CutAfter: b.CutAfter, Pace: b.Pace}})
	refuse := func(w http.ResponseWriter, status int, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":%s,"type":"x","code":null}}`, value.String(text).JSON())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			refuse(w, 401, "who are you?")
			return
		}
		io.WriteString(w, `{"object":"list","data":[{"id":"small:1b","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v, err := value.Parse(body)
		switch {
		case err != nil:
			refuse(w, 400, err.Error())
		case r.Header.Get("Authorization") != "Bearer sesame":
			refuse(w, 401, "who are you?")
		case v.Get("model").Str() != "small:1b":
			refuse(w, 404, "no model "+v.Get("model").JSON())
		case v.Has("max_completion_tokens"):
			refuse(w, 400, "max_completion_tokens is not known here")
		case b.Throttle:
			refuse(w, 429, "slow down")
		case b.Fail:
			refuse(w, 503, "loading")
		case b.Break:
			panic(http.ErrAbortHandler)
		}
		if err != nil || b.Throttle || b.Fail || v.Get("model").Str() != "small:1b" || v.Has("max_completion_tokens") {
			return
		}
		stream := v.Get("stream").Bool()
		if stream && !v.Get("stream_options").Get("include_usage").Bool() {
			refuse(w, 400, "no usage was asked for")
			return
		}
		call := bedrock.Call{Region: "x", Model: m, Body: v.Without("stream").Without("stream_options").AppendJSON(nil)}
		if !stream {
			a, err := sim.Invoke(r.Context(), call)
			if err != nil {
				refuse(w, 400, err.Error())
				return
			}
			w.Write(a.Body)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for k, err := range sim.Stream(r.Context(), call) {
			if f, ok := errors.AsType[*fault.Error](err); ok {
				refuse(w, 400, f.Message)
				return
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			c, _ := value.Parse(k.Body)
			u := c.Get("usage")
			fmt.Fprintf(w, "data: %s\n\n", c.Without("usage").JSON())
			w.(http.Flusher).Flush()
			if k.Usage != nil { // comes by itself, at the end
				fmt.Fprintf(w, "data: %s\n\ndata: [DONE]\n\n", c.With("choices", value.Array()).With("usage", u).JSON())
			}
		}
	})
	mux.HandleFunc("POST /v1/embeddings", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v, err := value.Parse(body)
		if err != nil || v.Get("model").Str() != "small:1b" || v.Get("encoding_format").Str() != "float" || v.Get("input").Len() == 0 {
			refuse(w, 400, string(body))
			return
		}
		four, _ := catalog.Load().Model("cohere.embed-v4:0")
		in := value.Object(value.Member{Key: "texts", Value: v.Get("input")}, value.Member{Key: "input_type", Value: value.String("clustering")})
		if n := v.Get("dimensions"); n.IsNumber() {
			switch i, _ := n.Int(); i {
			case 384: // that model has no such length
				three, _ := catalog.Load().Model("amazon.titan-embed-image-v1")
				four, in = three, value.MustParse(`{"embeddingConfig":{"outputEmbeddingLength":384}}`).With("inputText", v.Get("input").At(0))
			default:
				in = in.With("output_dimension", n)
			}
		}
		a, err := sim.Invoke(r.Context(), bedrock.Call{Region: "x", Model: four, Body: in.AppendJSON(nil)})
		if err != nil {
			refuse(w, 400, err.Error())
			return
		}
		made, _ := value.Parse(a.Body)
		list := made.Get("embeddings")
		if made.Has("embedding") {
			list = value.Array(made.Get("embedding"))
		}
		var data []value.Value
		for i := list.Len() - 1; i >= 0; i-- { // the index says which is which
			data = append(data, value.Object(value.Member{Key: "index", Value: value.Int(int64(i))}, value.Member{Key: "embedding", Value: list.At(i)}))
		}
		fmt.Fprintf(w, `{"object":"list","data":%s,"model":"small:1b","usage":{"prompt_tokens":%d,"total_tokens":%[2]d}}`, value.Array(data...).JSON(), a.Usage.Input)
	})
	s := httptest.NewServer(b.Handler(mux))
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, url, key string, timeout time.Duration) *openai.Backend {
	t.Helper()
	b, err := openai.New(openai.Config{
		Connection: upstream.Config{Name: "test", URL: url + "/v1", Timeout: timeout}, Key: key,
		Model: func(*catalog.Model) string { return "small:1b" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	behaving := func(t *testing.T, b backendtest.Behaviour) bedrock.Backend {
		return open(t, server(t, b).URL, "sesame", 0)
	}
	backendtest.Test(t, behaving)
	backendtest.Embeddings(t, behaving)
}

func TestCheck(t *testing.T) {
	s := server(t, backendtest.Behaviour{})
	if err := open(t, s.URL, "sesame", 0).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, s.URL, "wrong", 0).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a wrong key: %v", err)
	}
	if list, err := open(t, s.URL, "sesame", 0).Models(t.Context()); err != nil || len(list) != 1 || list[0] != "small:1b" {
		t.Errorf("models: %v %v", list, err)
	}
}

func claude(t *testing.T, body string) bedrock.Call {
	m, ok := catalog.Load().Model("anthropic.claude-3-haiku-20240307-v1:0")
	if !ok {
		t.Fatal("no model")
	}
	return bedrock.Call{Region: "ap-northeast-1", Model: m, Body: []byte(body)}
}

const hello = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":200,"messages":[{"role":"user","content":"hello"}]}`

// What the caller can do nothing about it is not told.
func TestOurKeyIsNotTheCallersFault(t *testing.T) {
	_, err := open(t, server(t, backendtest.Behaviour{}).URL, "wrong", 0).Invoke(t.Context(), claude(t, hello))
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != "ServiceUnavailableException" || strings.Contains(f.Message, "401") || f.Err == nil || !strings.Contains(f.Err.Error(), "401") {
		t.Errorf("%#v", err)
	}
}

func TestTimeout(t *testing.T) {
	b := open(t, server(t, backendtest.Behaviour{Latency: time.Minute}).URL, "sesame", 50*time.Millisecond)
	_, err := b.Invoke(t.Context(), claude(t, hello))
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "ModelTimeoutException" {
		t.Errorf("%v", err)
	}
}

// A server may be slow between two pieces, but not for ever.
func TestIdleStream(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}}]}\n\n")
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	b, err := openai.New(openai.Config{Connection: upstream.Config{Name: "test", URL: s.URL, Idle: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	chunks := 0
	var last error
	for _, err := range b.Stream(t.Context(), claude(t, hello)) {
		if last = err; err == nil {
			chunks++
		}
	}
	if f, ok := errors.AsType[*fault.Error](last); !ok || f.Code != "ModelTimeoutException" || chunks == 0 {
		t.Errorf("%d chunks, then %v", chunks, last)
	}
}

// Servers that count nothing: the numbers are estimated, never absent.
func TestNoUsage(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"stream":true`) {
			io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"good day\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
			return
		}
		io.WriteString(w, `{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"good day"},"finish_reason":"stop"}]}`)
	}))
	defer s.Close()
	b, err := openai.New(openai.Config{Connection: upstream.Config{Name: "test", URL: s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Invoke(t.Context(), claude(t, hello))
	if err != nil || a.Usage.Input == 0 || a.Usage.Output == 0 {
		t.Errorf("%+v %v", a, err)
	}
	var u *bedrock.Usage
	for k, err := range b.Stream(t.Context(), claude(t, hello)) {
		if err != nil {
			t.Fatal(err)
		}
		u = k.Usage
	}
	if u == nil || u.Input == 0 || u.Output == 0 {
		t.Errorf("streamed: %+v", u)
	}
}

// What chat completions cannot say is refused by name.
func TestRefusedByName(t *testing.T) {
	b := open(t, server(t, backendtest.Behaviour{}).URL, "sesame", 0)
	for name, more := range map[string]string{
		"thinking":       `"thinking":{"type":"enabled","budget_tokens":1024}`,
		"anthropic_beta": `"anthropic_beta":["x-2025"]`,
		"surprise":       `"surprise":1`,
	} {
		_, err := b.Invoke(t.Context(), claude(t, strings.TrimSuffix(hello, "}")+","+more+"}"))
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "ValidationException" || !strings.Contains(f.Message, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	var answer strings.Builder
	for range 100 {
		answer.WriteString("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n")
	}
	answer.WriteString("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":100}}\n\ndata: [DONE]\n\n")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer.String()) }))
	defer s.Close()
	back, err := openai.New(openai.Config{Connection: upstream.Config{Name: "bench", URL: s.URL}})
	if err != nil {
		b.Fatal(err)
	}
	m, _ := catalog.Load().Model("anthropic.claude-3-haiku-20240307-v1:0")
	c := bedrock.Call{Region: "x", Model: m, Body: []byte(hello)}
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range back.Stream(b.Context(), c) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// Streams that are read to their end keep their connection; who leaves early does
// not keep the server busy.
func TestStreamsKeepTheirConnection(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"good day\"}}]}\n\n")
		w.(http.Flusher).Flush()
		if strings.Contains(string(body), "for ever") {
			<-r.Context().Done()
			return
		}
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		w.(http.Flusher).Flush()
		time.Sleep(time.Millisecond) // the end of the answer comes by itself
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	b, err := openai.New(openai.Config{Connection: upstream.Config{Name: "test", URL: s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, err := range b.Stream(t.Context(), claude(t, hello)) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("three streams took %d connections", n)
	}
	for _, err := range b.Stream(t.Context(), claude(t, strings.Replace(hello, `"hello"`, `"for ever"`, 1))) {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

// A server that has a /health is asked it: the list of models is also there while
// a model is loading. Nothing else is asked, and nothing is sent.
func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name, models string
		status       int // of /models
		health       int
		want         bool
		asked        string
	}{
		{"any", `{"data":[{"id":"a"}]}`, 200, 500, true, "/v1/models"},
		{"llama-ready", `{"data":[{"id":"a","owned_by":"llamacpp"}]}`, 200, 200, true, "/v1/models /health"},
		{"llama-loading", `{"data":[{"id":"a","owned_by":"llamacpp"}]}`, 200, 503, false, "/v1/models /health"},
		{"vllm-dead", `{"data":[{"id":"a","owned_by":"vllm"}]}`, 200, 500, false, "/v1/models /health"},
		{"vllm-old", `{"data":[{"id":"a","owned_by":"vllm"}]}`, 200, 404, true, "/v1/models /health"},
		{"no-list", "", 404, 200, true, "/v1/models"},
		{"no-key", "", 401, 200, true, "/v1/models"},
		{"busy", "", 429, 200, true, "/v1/models"},
		{"not-implemented", "", 501, 200, true, "/v1/models"},
		{"gateway", "", 502, 200, false, "/v1/models"},
		{"page", "<html>", 200, 200, true, "/v1/models"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.URL.Path)
				if body, _ := io.ReadAll(r.Body); r.Method != http.MethodGet || len(body) > 0 {
					t.Errorf("%s %s: %q", r.Method, r.URL, body)
				}
				if r.URL.Path == "/health" {
					w.WriteHeader(c.health)
					return
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.models)
			}))
			defer s.Close()
			probes := open(t, s.URL, "sesame", 0).Probes()
			if len(probes) != 1 || probes[0].Regions != nil {
				t.Fatalf("%+v", probes)
			}
			if err := probes[0].Ask(t.Context()); (err == nil) != c.want {
				t.Errorf("it says %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(asked, " "); got != c.asked {
				t.Errorf("asked %s, want %s", got, c.asked)
			}
		})
	}
	s := httptest.NewServer(http.NotFoundHandler())
	b := open(t, s.URL, "sesame", 0)
	s.Close()
	if err := b.Probes()[0].Ask(t.Context()); err == nil {
		t.Error("nobody is there, and it does not say so")
	}

	// One that takes the question and says nothing is not waited for.
	release := make(chan struct{})
	s = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := open(t, s.URL, "sesame", 0).Probes()[0].Ask(ctx); err == nil {
		t.Error("nobody answered, and it does not say so")
	}
}
