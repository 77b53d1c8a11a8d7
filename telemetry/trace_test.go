package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/flow"
)

// collector is an OTLP collector that takes JSON.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string      // guarded by mu
	header []http.Header // guarded by mu
	paths  []string      // guarded by mu
}

func collect(t *testing.T, status int) *collector {
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies, c.header, c.paths = append(c.bodies, string(b)), append(c.header, r.Header), append(c.paths, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write([]byte("{}"))
	}))
	t.Cleanup(c.Close)
	return c
}

// request is what a body, or a line of a file, is.
type request struct {
	ResourceSpans []struct {
		Resource   struct{ Attributes []attr }
		ScopeSpans []struct {
			Spans []span
		}
	}
}

type attr struct {
	Key   string
	Value map[string]any
}

type span struct {
	TraceID, SpanID, ParentSpanID, Name string
	Kind                                int
	StartTimeUnixNano, EndTimeUnixNano  string
	Attributes                          []attr
	Status                              struct {
		Code    int
		Message string
	}
}

// spansOf are those of bodies; service is the name of the only resource.
func spansOf(t *testing.T, bodies ...string) (all []span, service string) {
	t.Helper()
	for _, b := range bodies {
		var r request
		if err := json.Unmarshal([]byte(b), &r); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		for _, rs := range r.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				if a.Key == "service.name" {
					service, _ = a.Value["stringValue"].(string)
				}
			}
			for _, ss := range rs.ScopeSpans {
				all = append(all, ss.Spans...)
			}
		}
	}
	return all, service
}

func example(sampled *bool) flow.Span {
	h, _ := flow.ParseTraceHeader("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8")
	at := time.Unix(1_700_000_000, 5).UTC()
	return flow.Span{Trace: h.Trace, ID: flow.SpanOf("x"), Parent: h.Parent, Sampled: sampled, Name: "Ask", Kind: flow.SpanCalled, Start: at, End: at.Add(time.Second),
		Failed: true, Error: "E", Attributes: []slog.Attr{slog.String("a", "b"), slog.Int64("n", 7)}}
}

// checkExample says what is wrong with a span that should be example's.
func checkExample(t *testing.T, all []span) {
	t.Helper()
	if len(all) != 1 {
		t.Fatalf("%d spans", len(all))
	}
	s, id := all[0], flow.SpanOf("x")
	lower := strings.ToLower
	if lower(s.TraceID) != "5759e988bd862e3fe1be46a994272793" || lower(s.SpanID) != fmt.Sprintf("%x", id[:]) || lower(s.ParentSpanID) != "53995c3f42cd8ad8" || s.Name != "Ask" || s.Kind != 3 ||
		s.StartTimeUnixNano != "1700000000000000005" || s.EndTimeUnixNano != "1700000001000000005" || s.Status.Code != 2 || s.Status.Message != "E" {
		t.Errorf("%+v", s)
	}
	b, _ := json.Marshal(s.Attributes)
	if want := `[{"Key":"a","Value":{"stringValue":"b"}},{"Key":"n","Value":{"intValue":"7"}},{"Key":"error.type","Value":{"stringValue":"E"}}]`; string(b) != want {
		t.Errorf("attributes %s", b)
	}
}

// A collector gets the spans with the headers, at OTLP's path, and with the IDs
// that they have.
func TestTracingToCollector(t *testing.T) {
	for _, by := range []string{"configuration", "environment"} {
		t.Run(by, func(t *testing.T) {
			c := collect(t, 200)
			cfg := TraceConfig{Ratio: 1, Version: "v1"}
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
			if by == "configuration" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // counts less
				cfg.Endpoint, cfg.Headers = c.URL, map[string]string{"X-Key": "secret"}
			} else {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
				t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
			}
			tr, err := NewTracing(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			tr.Record(example(nil))
			if err := tr.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			all, service := spansOf(t, c.bodies...)
			checkExample(t, all)
			if service != "tokaido" || c.paths[0] != "/v1/traces" || c.header[0].Get("X-Key") != "secret" {
				t.Errorf("%q %v %v", service, c.paths, c.header)
			}
		})
	}
}

// Where no collector is configured a file gets the lines.
func TestTracingToFile(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	name := filepath.Join(t.TempDir(), "traces.jsonl")
	for range 2 { // a second start adds to it
		tr, err := NewTracing(t.Context(), TraceConfig{Ratio: 1, File: name})
		if err != nil {
			t.Fatal(err)
		}
		if tr.Target != name {
			t.Errorf("the target is %q", tr.Target)
		}
		tr.Record(example(nil))
		if err := tr.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, l := range lines {
		all, _ := spansOf(t, l)
		checkExample(t, all)
	}
}

// A header's decision counts, and where there is none the ratio, the same for all
// spans of a trace.
func TestSampling(t *testing.T) {
	for _, c := range []struct {
		ratio   float64
		sampled *bool
		want    bool
	}{{1, nil, true}, {0, nil, false}, {0, new(true), true}, {1, new(false), false}} {
		name := filepath.Join(t.TempDir(), "traces.jsonl")
		tr, err := NewTracing(t.Context(), TraceConfig{Ratio: c.ratio, File: name})
		if err != nil {
			t.Fatal(err)
		}
		tr.Record(example(c.sampled))
		if err := tr.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil || (len(b) > 0) != c.want {
			t.Errorf("ratio %v, sampled %v: %d bytes, %v", c.ratio, c.sampled, len(b), err)
		}
	}
	tr := &Tracing{bound: uint64(0.25 * (1 << 63))}
	kept := 0
	for i := range 10_000 {
		s := example(nil)
		id := flow.SpanOf(strings.Repeat("x", i))
		copy(s.Trace[8:], id[:])
		if tr.keeps(&s) {
			kept++
		}
	}
	if kept < 2200 || kept > 2800 { // the IDs are the same each time
		t.Errorf("%d of 10,000 are kept at a ratio of 0.25", kept)
	}
}

func TestTracingRefuses(t *testing.T) {
	for _, c := range []TraceConfig{{Ratio: 2}, {Ratio: 1, Endpoint: "127.0.0.1:4318"}, {Ratio: 1, Endpoint: "ftp://x"}, {Ratio: 1, File: t.TempDir()}} {
		if tr, err := NewTracing(t.Context(), c); err == nil {
			t.Errorf("%+v is accepted", c)
			tr.Close(t.Context())
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if _, err := NewTracing(t.Context(), TraceConfig{Ratio: 1, Endpoint: "http://127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "grpc") {
		t.Error(err)
	}
}

// A collector that refuses is reported once, and harms nobody.
func TestCollectorRefuses(t *testing.T) {
	c := collect(t, http.StatusBadRequest)
	var log bytes.Buffer
	tr, err := NewTracing(t.Context(), TraceConfig{Ratio: 1, Endpoint: c.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		tr.Record(example(nil))
		if err := tr.provider.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "spans could not be sent"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, kept := range []bool{false, true} {
		name := "dropped"
		if kept {
			name = "kept"
		}
		b.Run(name, func(b *testing.B) {
			tr, err := NewTracing(context.Background(), TraceConfig{Ratio: 1, File: filepath.Join(b.TempDir(), "f")})
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close(context.Background())
			s := example(&kept)
			b.ReportAllocs()
			for b.Loop() {
				tr.Record(s)
			}
		})
	}
}
