package telemetry

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"tokaido/flow"
	"tokaido/internal/linefile"
)

// TraceConfig says where spans go.
type TraceConfig struct {
	// Endpoint is the URL of an OTLP collector that speaks HTTP, like
	// http://127.0.0.1:4318; without a path, OTLP's own is added. "": what
	// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT say, and if
	// they say nothing, File.
	Endpoint string
	Headers  map[string]string // of every request to it
	Ratio    float64           // of traces that are kept, where a trace header does not decide it
	File     string            // for OTLP's lines of JSON, "stdout" for standard output
	Limits   linefile.Limits   // of File
	Version  string            // of the program
	Logger   *slog.Logger      // nil: slog.Default
}

const (
	// spanQueue is how many spans wait to be sent at most; what comes then is
	// dropped. spanBatch is how many are sent at a time.
	spanQueue = 16_384
	spanBatch = 512
	// spanDelay is how long a span waits to be sent with others.
	spanDelay = 2 * time.Second
	// complainEvery is how often a collector that does not take spans is reported.
	complainEvery = time.Minute
)

// Tracing sends spans. It implements [flow.Tracer].
type Tracing struct {
	// Target says where spans go, for people.
	Target string

	bound    uint64 // of the half of a trace's ID that decides about it
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	file     *linefile.File // nil: they go to a collector
}

var _ flow.Tracer = (*Tracing)(nil)

// collectors are the variables of OpenTelemetry that name a collector.
var collectors = [...]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// NewTracing begins to send spans. The OTEL_EXPORTER_OTLP_… variables are those
// of OpenTelemetry's specification; what cfg says counts more.
func NewTracing(ctx context.Context, cfg TraceConfig) (*Tracing, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if !(cfg.Ratio >= 0 && cfg.Ratio <= 1) {
		return nil, fmt.Errorf("tracing: the sample ratio %v is not between 0 and 1", cfg.Ratio)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := os.Getenv(name); p != "" && p != "http/protobuf" && p != "http/json" {
			return nil, fmt.Errorf("tracing: %s is %q; http/protobuf and http/json are spoken", name, p)
		}
	}
	t := &Tracing{bound: uint64(cfg.Ratio * (1 << 63))}
	var options []otlptracehttp.Option
	switch {
	case cfg.Endpoint != "":
		u, err := url.Parse(cfg.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return nil, fmt.Errorf("tracing: the endpoint %q is not the URL of a server, like http://127.0.0.1:4318", cfg.Endpoint)
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/traces"
		}
		t.Target = u.Redacted()
		options = append(options, otlptracehttp.WithEndpointURL(u.String()))
	case os.Getenv(collectors[0]) != "":
		t.Target = os.Getenv(collectors[0])
	case os.Getenv(collectors[1]) != "":
		t.Target = os.Getenv(collectors[1])
	default:
		f, err := linefile.Open(cfg.File, cfg.Limits)
		if err != nil {
			return nil, fmt.Errorf("tracing: %w", err)
		}
		t.file, t.Target = f, cfg.File
		// OTLP's file format is the bodies of its requests, a line each: the request is
		// made as for a collector, and written instead of sent.
		options = append(options, otlptracehttp.WithEndpointURL("http://file.invalid/v1/traces"), otlptracehttp.WithEncoding(otlptracehttp.EncodingJSON),
			otlptracehttp.WithCompression(otlptracehttp.NoCompression), otlptracehttp.WithHTTPClient(&http.Client{Transport: spanFile{f}}))
	}
	if len(cfg.Headers) > 0 {
		options = append(options, otlptracehttp.WithHeaders(cfg.Headers))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tracing: %w", err), t.closeFile())
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("tokaido"), semconv.ServiceVersion(cfg.Version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tracing: %w", err), exporter.Shutdown(ctx), t.closeFile())
	}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // Record has decided
		sdktrace.WithIDGenerator(given{}),
		sdktrace.WithBatcher(&patient{SpanExporter: exporter, logger: cfg.Logger, target: t.Target},
			sdktrace.WithMaxQueueSize(spanQueue), sdktrace.WithMaxExportBatchSize(spanBatch), sdktrace.WithBatchTimeout(spanDelay)))
	t.tracer = t.provider.Tracer("tokaido")
	return t, nil
}

// Record implements [flow.Tracer].
func (t *Tracing) Record(s flow.Span) {
	if !t.keeps(&s) {
		return
	}
	ctx := context.WithValue(context.Background(), identity{}, s)
	if s.Parent != (flow.SpanID{}) {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID(s.Trace), SpanID: trace.SpanID(s.Parent), TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	attrs := make([]attribute.KeyValue, 0, len(s.Attributes)+1)
	for _, a := range s.Attributes {
		switch a.Value.Kind() {
		case slog.KindInt64:
			attrs = append(attrs, attribute.Int64(a.Key, a.Value.Int64()))
		case slog.KindBool:
			attrs = append(attrs, attribute.Bool(a.Key, a.Value.Bool()))
		case slog.KindFloat64:
			attrs = append(attrs, attribute.Float64(a.Key, a.Value.Float64()))
		default:
			attrs = append(attrs, attribute.String(a.Key, a.Value.String()))
		}
	}
	if s.Failed {
		attrs = append(attrs, semconv.ErrorTypeKey.String(s.Error))
	}
	kind := trace.SpanKindInternal
	switch s.Kind {
	case flow.SpanServed:
		kind = trace.SpanKindServer
	case flow.SpanCalled:
		kind = trace.SpanKindClient
	}
	_, span := t.tracer.Start(ctx, s.Name, trace.WithTimestamp(s.Start), trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	if s.Failed {
		span.SetStatus(codes.Error, s.Error)
	}
	span.End(trace.WithTimestamp(s.End))
}

// keeps decides by the trace's ID where its header does not: the same for all
// spans of a trace, at every process.
func (t *Tracing) keeps(s *flow.Span) bool {
	if s.Sampled != nil {
		return *s.Sampled
	}
	return binary.BigEndian.Uint64(s.Trace[8:])>>1 < t.bound
}

// Close sends what is queued, until ctx is done.
func (t *Tracing) Close(ctx context.Context) error {
	err := t.provider.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = nil // spans are lost with their collector; patient has said so
	}
	return errors.Join(err, t.closeFile())
}

func (t *Tracing) closeFile() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// given gives spans the IDs that they have already.
type given struct{}

type identity struct{} // the key of a span in its context

func (given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	s := ctx.Value(identity{}).(flow.Span)
	return trace.TraceID(s.Trace), trace.SpanID(s.ID)
}

func (given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	return trace.SpanID(ctx.Value(identity{}).(flow.Span).ID)
}

// patient says on the log that spans could not be sent, once in a while.
type patient struct {
	sdktrace.SpanExporter
	logger *slog.Logger
	target string

	mu   sync.Mutex
	said time.Time // guarded by mu
	lost int       // guarded by mu: since then
}

func (p *patient) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := p.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost += len(spans)
	if time.Since(p.said) >= complainEvery {
		p.logger.Warn("spans could not be sent", "to", p.target, "spans", p.lost, "err", err)
		p.said, p.lost = time.Now(), 0
	}
	return nil // said, and nobody else is to
}

// spanFile writes the bodies of requests as lines. It implements
// [http.RoundTripper].
type spanFile struct{ *linefile.File }

// RoundTrip writes a request's body.
func (s spanFile) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	if n, err := s.Write(append(bytes.ReplaceAll(b, []byte("\n"), nil), '\n')); err != nil && n == 0 {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader("{}")), ContentLength: 2,
	}, nil
}
