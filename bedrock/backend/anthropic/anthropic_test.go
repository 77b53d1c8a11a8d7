package anthropic_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/anthropic"
	"tokaido/bedrock/backend/backendtest"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// server speaks the Messages API; what it says is the simulated backend's.
func server(t *testing.T, b backendtest.Behaviour) *httptest.Server {
	m, _ := catalog.Load().Model("anthropic.claude-3-haiku-20240307-v1:0")
	sim := simulated.New(simulated.Options{Others: simulated.Behaviour{Latency: b.Latency, CutAfter: b.CutAfter, Pace: b.Pace}})
	mux := http.NewServeMux()
	refuse := func(w http.ResponseWriter, status int, kind, text string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"error","error":{"type":%q,"message":%s}}`, kind, value.String(text).JSON())
	}
	known := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Api-Key") != "sesame" || r.Header.Get("Anthropic-Version") == "" {
			refuse(w, 401, "authentication_error", "invalid x-api-key")
			return false
		}
		return true
	}
	read := func(w http.ResponseWriter, r *http.Request) (bedrock.Call, bool, bool) {
		body, _ := io.ReadAll(r.Body)
		v, err := value.Parse(body)
		if err != nil || v.Has("anthropic_version") || v.Get("model").Str() == "" {
			refuse(w, 400, "invalid_request_error", "anthropic_version: Extra inputs are not permitted")
			return bedrock.Call{}, false, false
		}
		call := bedrock.Call{Region: "x", Model: m, Body: v.Without("model").Without("stream").With("anthropic_version", value.String("bedrock-2023-05-31")).AppendJSON(nil)}
		return call, v.Get("stream").Bool(), true
	}
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		if known(w, r) {
			io.WriteString(w, `{"data":[]}`)
		}
	})
	mux.HandleFunc("POST /v1/messages/count_tokens", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v, _ := value.Parse(body)
		if v.Has("max_tokens") {
			refuse(w, 400, "invalid_request_error", "max_tokens: Extra inputs are not permitted")
			return
		}
		io.WriteString(w, `{"input_tokens":7}`)
	})
	mux.HandleFunc("POST /v1/messages", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !known(w, r):
			return
		case b.Throttle:
			refuse(w, 429, "rate_limit_error", "slow down")
			return
		case b.Fail:
			refuse(w, 529, "overloaded_error", "Overloaded")
			return
		case b.Break:
			panic(http.ErrAbortHandler)
		}
		call, stream, ok := read(w, r)
		if !ok {
			return
		}
		if !stream {
			a, err := sim.Invoke(r.Context(), call)
			if err != nil {
				refuse(w, 400, "invalid_request_error", err.Error())
				return
			}
			w.Write(a.Body)
			return
		}
		for k, err := range sim.Stream(r.Context(), call) {
			if f, ok := errors.AsType[*fault.Error](err); ok {
				refuse(w, 400, "invalid_request_error", f.Message)
				return
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			v, _ := value.Parse(k.Body)
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", v.Get("type").Str(), k.Body)
			w.(http.Flusher).Flush()
		}
	})
	s := httptest.NewServer(b.Handler(mux))
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, url string) *anthropic.Backend {
	t.Helper()
	b, err := anthropic.New(anthropic.Config{Connection: upstream.Config{Name: "test", URL: url}, Key: "sesame"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	backendtest.Test(t, func(t *testing.T, b backendtest.Behaviour) bedrock.Backend {
		return open(t, server(t, b).URL)
	})
}

func TestCount(t *testing.T) {
	b := open(t, server(t, backendtest.Behaviour{}).URL)
	m, _ := catalog.Load().Model("anthropic.claude-3-haiku-20240307-v1:0")
	n, err := b.CountTokens(t.Context(), bedrock.Call{Region: "x", Model: m, Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"messages":[]}`)})
	if err != nil || n != 7 {
		t.Errorf("%d %v", n, err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// An error that comes in the stream, before anything was said, is like one that
// comes instead of it; later it is a stream that broke.
func TestErrorInStream(t *testing.T) {
	for _, c := range []struct{ first, code string }{
		{"", "ThrottlingException"},
		{"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n", "ThrottlingException"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, c.first+"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"no\"}}\n\n")
		}))
		m, _ := catalog.Load().Model("anthropic.claude-3-haiku-20240307-v1:0")
		var last error
		for _, err := range open(t, s.URL).Stream(t.Context(), bedrock.Call{Region: "x", Model: m, Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"messages":[]}`)}) {
			last = err
		}
		if f, ok := errors.AsType[*fault.Error](last); !ok || f.Code != c.code {
			t.Errorf("after %q: %v", c.first, last)
		}
		s.Close()
	}
}

// The members that a body of Bedrock's has and the API's has not: the version is
// checked, betas become a header.
func TestVersionAndBetas(t *testing.T) {
	var header, body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		header, body = r.Header.Get("Anthropic-Beta"), string(b)
		io.WriteString(w, `{"content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`)
	}))
	defer s.Close()
	m, ok := catalog.Load().Model("anthropic.claude-3-haiku-20240307-v1:0")
	if !ok {
		t.Fatal("no model")
	}
	ask := func(body string) error {
		_, err := open(t, s.URL).Invoke(t.Context(), bedrock.Call{Region: "x", Model: m, Body: []byte(body)})
		return err
	}
	if err := ask(`{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["one-2025","two-2026"],"max_tokens":5,"top_k":3,"messages":[]}`); err != nil {
		t.Fatal(err)
	}
	if header != "one-2025,two-2026" || body != `{"max_tokens":5,"top_k":3,"messages":[],"model":"claude-3-haiku-20240307"}` {
		t.Errorf("%q %s", header, body)
	}
	for body, want := range map[string]string{
		`{"max_tokens":5,"messages":[]}`:                                                        "anthropic_version: Field required",
		`{"anthropic_version":"2023-06-01","max_tokens":5,"messages":[]}`:                       "anthropic_version: Input should be 'bedrock-2023-05-31'",
		`{"anthropic_version":"bedrock-2023-05-31","model":"x","max_tokens":5,"messages":[]}`:   "model: Extra inputs are not permitted",
		`{"anthropic_version":"bedrock-2023-05-31","stream":true,"max_tokens":5,"messages":[]}`: "stream: Extra inputs are not permitted",
	} {
		if err := ask(body); fault.Code(err) != "ValidationException" || err.Error() != "ValidationException: "+want {
			t.Errorf("%s: %v", body, err)
		}
	}
}
