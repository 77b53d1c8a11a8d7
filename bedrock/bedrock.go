// Package bedrock knows models, inference profiles, where a call may run, and
// runs it there. It asks nobody for permission: gate does, with what Plan says
// is needed.
//
// What stays true:
//
//   - a request reaches only Regions of its Plan, whatever fails or is full;
//   - a request that got its first byte from a Region is never sent to another, and
//     what two Regions answer, where hedging asks two, is never mixed;
//   - every Region that was tried, or passed over because it was full or out, is
//     in the Result, also when the call failed;
//   - bodies are the model family's own, in and out: a Backend never sees
//     Converse, which is translated here.
//
// DESIGN.md says how a Region is chosen.
package bedrock

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// Backend answers for models in Regions: it is where inference really runs.
type Backend interface {
	// Invoke answers a call whole. The error must be a *fault.Error where AWS has
	// a code for what happened (see [Fault]); any other error is taken for a
	// Region that failed. It must stop when ctx is done.
	Invoke(ctx context.Context, c Call) (*Answer, error)
	// Stream answers in chunks. An error ends it. The last chunk, and only it,
	// must carry Usage. A consumer may stop early.
	Stream(ctx context.Context, c Call) iter.Seq2[Chunk, error]
}

// Reacher is a Backend that hands calls to somebody who is in a Region himself:
// another node, or AWS. He may not always run a call in the very Region that it
// is asked for.
type Reacher interface {
	// Reach returns all Regions that a call in a Region may really run in; nil:
	// that one only. Such a backend serves only plans that contain them all.
	Reach(region string, m *catalog.Model) []string
}

// Checker is a Backend that can say whether it would answer.
type Checker interface {
	// Check returns nil if who really answers can be reached and knows us. It must
	// cost nothing and stop when ctx is done.
	Check(ctx context.Context) error
}

// Counter is a Backend that can count a call's input tokens without running it.
type Counter interface {
	CountTokens(ctx context.Context, c Call) (int, error)
}

// Call is one attempt in one Region.
type Call struct {
	Region string
	Model  *catalog.Model
	Body   []byte // in the model family's own form; must not be changed
	Accept string // "" or a media type
	Hops   int    // nodes of ours that passed the call on before this one

	document value.Value // Body, if it has been read
}

// Document is the Body, read: once for all who look into it.
func (c *Call) Document() (value.Value, error) {
	if c.document.IsUndefined() {
		return value.ParseOwned(c.Body)
	}
	return c.document, nil
}

// Answer is a model's whole answer.
type Answer struct {
	Body        []byte // in the model family's own form
	ContentType string
	Usage       Usage
	Region      string // that really answered, if a Reacher knows; "" otherwise
	Receipt     string // that another node sent with it; "" if it sent none
}

// Chunk is a piece of a streamed answer: one JSON object of the model family.
type Chunk struct {
	Body  []byte
	Usage *Usage // on the last chunk

	Region string // on the first chunk, as in an Answer

	// Receipt, on the last chunk, is where another node's receipt will be when the
	// stream has ended; nil: none comes.
	Receipt *string
}

// Usage is counted in tokens. Input excludes what was read from or written to a
// prompt cache.
type Usage struct{ Input, Output, CacheRead, CacheWrite int }

// Request is what a client of InvokeModel sends.
type Request struct {
	Body        []byte // must not be changed once Check has seen it
	ContentType string // "": application/json
	Accept      string // "": application/json
	Hops        int    // nodes of ours that passed the request on

	// Native, if not nil, is called with each chunk of a stream in the model
	// family's own form, before it is passed on. It must not keep it.
	Native func(body []byte)

	// Unsupported is what the front door found in the request that nothing acts
	// on; Check refuses with it, so that the refusal is recorded as any other.
	Unsupported error

	document value.Value // Body, once it is checked
}

// Result is what came of a call that was tried in at least one Region, or that
// found no room in any.
type Result struct {
	Region      string   // which answered; "" if none did, or if it is one of Within
	Remote      bool     // another node, or AWS, answered
	Receipt     string   // that it sent
	Within      []string // the Regions of which one answered, where it cannot be told which
	Body        []byte   // of a whole answer
	ContentType string
	Usage       Usage
	Attempts    []Attempt     // Regions tried or passed over, in order
	Latency     time.Duration // from the first attempt to the last byte
	FirstByte   time.Duration // streams: to the first chunk
}

// Rerouted reports whether another Region than the source one was involved.
func (r *Result) Rerouted(p *Plan) bool {
	return len(r.Attempts) > 1 || len(r.Attempts) == 1 && r.Attempts[0].Region != p.Region
}

// Attempt is what happened with one Region.
type Attempt struct {
	Region  string
	Outcome Outcome
	Latency time.Duration
	Err     error // nil if it answered, and if it was not tried
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	Served    Outcome = "served"
	Full      Outcome = "full" // passed over: its limits leave no room
	Out       Outcome = "out"  // passed over: it throttled or failed lately
	Throttled Outcome = "throttled"
	Failed    Outcome = "failed" // another Region may do better
	Refused   Outcome = "refused"
	Cut       Outcome = "cut"  // it ended in the middle of a stream
	Lost      Outcome = "lost" // another Region, asked meanwhile, was faster
)

// Limits is what one model can take in one Region; 0 means no limit.
type Limits struct {
	Concurrent        int
	RequestsPerMinute int
	TokensPerMinute   int
}

// Config is what a Runtime is made of.
type Config struct {
	Catalog *catalog.Catalog // nil: the one that came with the program

	// Backend chooses who answers for a model in a Region; nil: nobody there. It
	// is asked once for each pair.
	Backend func(region string, m *catalog.Model) Backend

	// Limits says what a model can take in a Region. It may be nil. It is asked
	// once for each pair.
	Limits func(region string, m *catalog.Model) Limits

	// Hedge is how long a request waits for the beginning of an answer before the
	// next Region of its plan is asked too; the first to answer is passed on, the
	// other is told to stop, and costs what it costs. 0: it waits.
	Hedge time.Duration

	// Applications are the application inference profiles. It may be nil: there
	// are none.
	Applications *Profiles
}

// Runtime plans calls and runs them.
type Runtime struct {
	catalog *catalog.Catalog
	config  Config
	started time.Time

	mu     sync.RWMutex
	lanes  map[laneKey]*lane   // guarded by mu
	routes map[routeKey]*route // guarded by mu
	unwell []unwell            // guarded by mu; who does not answer probes
}

type laneKey struct{ region, model string }

type routeKey struct{ region, id string } // id of the profile or the model

// New is a Runtime. It has no goroutines and needs no end.
func New(c Config) *Runtime {
	if c.Catalog == nil {
		c.Catalog = catalog.Load()
	}
	return &Runtime{catalog: c.Catalog, config: c, started: time.Now(), lanes: map[laneKey]*lane{}, routes: map[routeKey]*route{}}
}

// Catalog is the catalog that plans are made with.
func (rt *Runtime) Catalog() *catalog.Catalog { return rt.catalog }

// Applications are the application inference profiles; nil if none are kept.
func (rt *Runtime) Applications() *Profiles { return rt.config.Applications }

// Stats are counts of one model in one Region since the Runtime began, and how
// it is now.
type Stats struct {
	Region, Model string

	Served, Throttled, Failed, Refused, Cut, Lost int64 // attempts, by how they ended
	Full                                          int64 // times that it had no room when a call was routed
	InputTokens, OutputTokens                     int64

	InFlight int
	Latency  time.Duration // of late; 0: not known
	Out      bool          // passed over for now
}

// Stats returns the counts of every model and Region that was planned for, in
// order of Region and model.
func (rt *Runtime) Stats() []Stats {
	rt.mu.RLock()
	lanes := slices.Collect(maps.Values(rt.lanes))
	rt.mu.RUnlock()
	lanes = slices.DeleteFunc(lanes, func(l *lane) bool { return l == nil })
	now := rt.now()
	out := make([]Stats, len(lanes))
	for i, l := range lanes {
		out[i] = l.snapshot(now)
	}
	slices.SortFunc(out, func(a, b Stats) int {
		return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.Model, b.Model))
	})
	return out
}

// faults are the codes of Bedrock's runtime with their kinds and statuses.
var faults = map[string]struct {
	kind   fault.Kind
	status int
}{
	"AccessDeniedException":         {fault.Client, 403},
	"ConflictException":             {fault.Client, 400},
	"InternalServerException":       {fault.Server, 500},
	"ModelErrorException":           {fault.Client, 424},
	"ModelNotReadyException":        {fault.Throttle, 429},
	"ModelStreamErrorException":     {fault.Client, 424},
	"ModelTimeoutException":         {fault.Client, 408},
	"ResourceNotFoundException":     {fault.Client, 404},
	"ServiceQuotaExceededException": {fault.Client, 400},
	"ServiceUnavailableException":   {fault.Server, 503},
	"ThrottlingException":           {fault.Throttle, 429},
	"ValidationException":           {fault.Client, 400},
}

// IsFault reports whether code is one of Bedrock's.
func IsFault(code string) bool { _, ok := faults[code]; return ok }

// Fault is an error with one of Bedrock's codes, and the kind and status that
// belong to it.
func Fault(code, format string, args ...any) *fault.Error {
	f := fault.Newf(code, format, args...)
	if d, ok := faults[code]; ok {
		f.Kind, f.Status = d.kind, d.status
	}
	return f
}

func invalidf(format string, args ...any) *fault.Error {
	return Fault("ValidationException", format, args...)
}

// unsupported refuses a member that is AWS's and that we do not act on.
func unsupported(what, got string) *fault.Error {
	return invalidf("%s is not supported by this server: %s", what, got)
}

func short(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%.*s… (%d bytes)", most, s, len(s))
	}
	return s
}
