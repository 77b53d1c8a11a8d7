package flow

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// TraceID and SpanID are OpenTelemetry's. A span's ID follows from what it is
// about, so that whoever tells of it again, also after a restart, tells of the
// same span.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

// Span is a stretch of time in the life of an execution, or of a call.
type Span struct {
	Trace   TraceID
	ID      SpanID
	Parent  SpanID // zero: none
	Sampled *bool  // what the trace header says; nil: nothing
	Name    string
	Kind    SpanKind
	Start   time.Time
	End     time.Time
	Failed  bool
	Error   string // the error's name, if Failed; never its cause, which may hold what a caller said

	Attributes []slog.Attr // texts and integers
}

// SpanKind is what a span is to those beside it.
type SpanKind uint8

// The kinds.
const (
	SpanInside SpanKind = iota // of an execution
	SpanServed                 // begun by somebody's request
	SpanCalled                 // a call to somebody
)

// Tracer takes spans that have ended. It must be quick, and must do nothing that
// an execution would notice: what it cannot take it drops.
type Tracer interface {
	Record(Span)
}

// TraceHeader is the tracing header of AWS X-Ray.
type TraceHeader struct {
	Trace   TraceID
	Parent  SpanID // zero: none
	Sampled *bool
}

// maxTraceHeader is the length of a trace header; AWS's limit.
const maxTraceHeader = 256

// ParseTraceHeader reads "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1".
// Members that it does not know are for others; ok is false without a Root that
// is one. The decision to sample is read in any case.
func ParseTraceHeader(s string) (h TraceHeader, ok bool) {
	if len(s) > maxTraceHeader {
		return h, false
	}
	for part := range strings.SplitSeq(s, ";") {
		key, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(key) {
		case "root":
			ok = len(v) == len("1-5759e988-bd862e3fe1be46a994272793") && v[:2] == "1-" && v[10] == '-' &&
				unhex(h.Trace[:4], v[2:10]) && unhex(h.Trace[4:], v[11:]) && h.Trace != TraceID{}
		case "parent":
			if !unhex(h.Parent[:], v) {
				h.Parent = SpanID{}
			}
		case "sampled":
			switch v {
			case "1":
				h.Sampled = new(true)
			case "0":
				h.Sampled = new(false)
			}
		}
	}
	if !ok {
		h.Trace, h.Parent = TraceID{}, SpanID{}
	}
	return h, ok
}

func unhex(to []byte, s string) bool {
	if len(s) != hex.EncodedLen(len(to)) {
		return false
	}
	_, err := hex.Decode(to, []byte(s))
	return err == nil
}

// String is the header's text.
func (h TraceHeader) String() string {
	s := fmt.Sprintf("Root=1-%x-%x", h.Trace[:4], h.Trace[4:])
	if h.Parent != (SpanID{}) {
		s += fmt.Sprintf(";Parent=%x", h.Parent[:])
	}
	if h.Sampled != nil {
		if *h.Sampled {
			s += ";Sampled=1"
		} else {
			s += ";Sampled=0"
		}
	}
	return s
}

// SpanOf is the ID of the span of what has a name for ever: of a task, that of
// its [Task.ID].
func SpanOf(name string) (id SpanID) {
	h := sha256.Sum256([]byte(name))
	copy(id[:], h[:])
	return id
}

// NewSpanID is one that nobody else has.
func NewSpanID() (id SpanID) {
	for id == (SpanID{}) {
		rand.Read(id[:]) // never fails
	}
	return id
}

// rooted is the trace header of an execution of a traced machine: the one that it
// was started with if that names a trace, else one of a new trace.
func rooted(given string, at time.Time) string {
	h, ok := ParseTraceHeader(given)
	if ok {
		return given
	}
	secs := uint32(at.Unix()) // as X-Ray has it
	h.Trace = TraceID{byte(secs >> 24), byte(secs >> 16), byte(secs >> 8), byte(secs)}
	rand.Read(h.Trace[4:]) // never fails
	return h.String()
}

// header is an execution's; of one that was started without, which is so if its
// machine was not traced then, a trace that follows from its name.
func (x *Execution) header() TraceHeader {
	h, ok := ParseTraceHeader(x.Trace)
	if !ok {
		sum := sha256.Sum256([]byte(x.ARN + x.Started.String()))
		copy(h.Trace[:], sum[:])
	}
	return h
}

// TaskTrace is the trace header that a task of x hands on to what it calls: its
// own span is the parent there.
func (x *Execution) TaskTrace(task string) string {
	h := x.header()
	h.Parent = SpanOf(task)
	return h.String()
}
