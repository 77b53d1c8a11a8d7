// Package gate is the only way to do something on somebody's behalf: decide,
// perform, record.
//
// Invariants: nothing is performed without an allowing decision; no decision
// goes unrecorded; an inference is recorded before it leaves and after it came
// back; a call whose record cannot be written fails.
//
// Every Need of a call is decided, also after one was refused: whether a call
// is allowed must not depend on the order in which things are asked, and an
// explanation needs all the answers.
//
// One rule is softer, on purpose: the record of an allowed call that only reads,
// or whose work is Volatile, and that is no inference, is not waited for
// (trail.Record.Relaxed). It has its place in the log before the caller gets the
// answer, and reaches the disk with the next record that is waited for, at the
// latest after trail.FlushEvery. A power failure in between can lose the record
// of a read that was allowed, or of work that was lost with it, and of nothing
// else. Where inferences are recorded in groups, which is a setting
// (trail.Options.Gather), the end of the process can lose as much.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"tokaido/fault"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// Call is an intention: who wants what. Every one of Needs must be allowed.
type Call struct {
	By     *principal.Principal
	Source string // CloudTrail's eventSource, e.g. "bedrock.amazonaws.com"
	Name   string // CloudTrail's eventName, e.g. "Converse"
	Region string // in which the call was made

	Needs    []iam.Authorization // empty: nothing needs to be allowed (GetCallerIdentity)
	Context  iam.Context         // condition keys of the request as a whole; the caller's own are added
	Resource *iam.Bound          // the resource's own policy, e.g. a role's trust policy; nil: it has none
	Model    *iam.CallShape      // what an explanation should know of a Bedrock call; nil otherwise

	Request   value.Value      // requestParameters: never a prompt, never a secret
	Resources []trail.Resource // nil: what Needs names
	ReadOnly  bool
	Volatile  bool // what it does by itself ends with the process: an Express execution; calls made for it have records of their own
	Inference bool // recorded before as well as after
	Meta      Meta
	Workflow  Workflow
}

// Meta is where a request came from.
type Meta struct {
	RequestID string
	SourceIP  string // or a service's name
	UserAgent string
	Host      string // as the client sent it
	TLS       bool
}

// Workflow is the Task that a call was made for; zero for a client's own calls.
type Workflow struct {
	ExecutionARN string
	State        string
}

// Recorder is the log. Append must not return nil before the record is durable,
// unless the record is Relaxed. It may fill in the record's EventID.
type Recorder interface {
	Append(ctx context.Context, r *trail.Record) error
}

// Gate decides, and ties what is done to the log.
type Gate struct {
	log     Recorder
	logger  *slog.Logger
	grouped bool // set by GroupInferences

	mu     sync.Mutex
	behind []behind       // guarded by mu: inferences whose records are made behind their answers
	late   int            // guarded by mu: of these, with those that are being made
	ending sync.WaitGroup // of those
}

// New is a gate that records in log. logger may be nil.
func New(log Recorder, logger *slog.Logger) *Gate {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Gate{log: log, logger: logger}
}

const (
	// maxBehind is how many records may be made behind their answers at a time; more
	// are made before.
	maxBehind = 256
	// endEvery is how long they wait for others: one goroutine that makes ten costs
	// the callers who come meanwhile less than ten.
	endEvery = 10 * time.Millisecond
)

// behind is an inference that was answered and is not recorded yet.
type behind struct {
	ctx context.Context //nolint:containedctx // of the call, which has ended: for its values
	act *Act
}

// GroupInferences gives up that an inference is on the disk before it leaves and
// before its answer does. Its intent has its place in the log before it leaves;
// the record of an answer is made behind the answer; both reach the disk together
// with others, at the latest after trail.FlushEvery. What a crash can lose is the
// records of the inferences of that time, and of nothing else: refusals, and calls
// that failed, are recorded before they are answered as ever. It must be called
// before the first Begin.
func (g *Gate) GroupInferences() { g.grouped = true }

// Wait waits for the records that are written behind their answers. Nothing may
// be begun any more.
func (g *Gate) Wait() { g.ending.Wait() }

// append writes r, whatever becomes of the client that waits: one that goes
// away must not be able to do it unrecorded.
func (g *Gate) append(ctx context.Context, r *trail.Record) error {
	p := &patience{Context: context.WithoutCancel(ctx)}
	defer p.end()
	if err := g.log.Append(p, r); err != nil {
		return fmt.Errorf("record %s of %s: %w", r.Name, r.RequestID, err)
	}
	return nil
}

// Act is a call that was allowed and is being performed. It must be ended, once.
type Act struct {
	g      *Gate
	record trail.Record // what End writes

	mu    sync.Mutex
	notes []value.Member          // guarded by mu
	later []func() []value.Member // guarded by mu
	reply value.Value             // guarded by mu
	ended bool                    // guarded by mu

	await func(context.Context) error // guarded by mu
}

// Begin decides c. A call that is not allowed is recorded and refused with a
// *fault.Error whose Detail is the []iam.Decision of every Need. One that is
// allowed goes on to End; if it is an inference, its intent is durable when
// Begin returns.
func (g *Gate) Begin(ctx context.Context, c Call) (*Act, error) {
	if c.By == nil {
		return nil, fmt.Errorf("gate: %s by nobody", c.Name)
	}
	if c.Inference && len(c.Needs) == 0 {
		return nil, fmt.Errorf("gate: %s is an inference and needs no permission", c.Name)
	}
	a := &Act{g: g, record: c.record(time.Now())}
	r := &a.record
	by, global, policies := c.By.Caller(), c.global(r.Time), c.By.Policies
	if c.Resource != nil {
		policies.Resource = c.Resource
	}
	decisions := iam.EvaluateAll(&policies, by, c.Needs, global)
	if len(decisions) != len(c.Needs) {
		return nil, fmt.Errorf("gate: %d decisions on the %d needs of %s", len(decisions), len(c.Needs), c.Name)
	}
	if i := slices.IndexFunc(decisions, func(d iam.Decision) bool { return !d.Allowed }); i >= 0 {
		f := &fault.Error{Kind: fault.Client, Code: "AccessDeniedException", Auth: true, Message: decisions[i].Message(), Detail: decisions}
		r.Decisions = trail.Evidence(decisions, &policies, c.Model)
		r.ErrorCode, r.ErrorMessage = outcome(f)
		if err := g.append(ctx, r); err != nil {
			return nil, err
		}
		return nil, f
	}
	r.Decisions = trail.Brief(decisions)
	if c.Inference {
		r.Phase, r.EventID, r.Relaxed = trail.Intent, uuid.NewString(), g.grouped
		if err := g.append(ctx, r); err != nil {
			return nil, err
		}
		// Durable from here on, unless they are grouped: the request may leave.
		r.Phase, r.EventID, r.IntentID = trail.Outcome, "", r.EventID
	}
	r.Relaxed = (c.ReadOnly || c.Volatile) && !c.Inference || c.Inference && g.grouped
	return a, nil
}

// record is what is known of c before it is decided.
func (c *Call) record(now time.Time) trail.Record {
	r := trail.Record{
		Time: now.UTC(), Source: c.Source, Name: c.Name, Region: c.Region, Account: c.By.Account, Identity: identity(c.By),
		SourceIP: c.Meta.SourceIP, UserAgent: cut(c.Meta.UserAgent), Host: cut(c.Meta.Host), TLS: c.Meta.TLS, RequestID: c.Meta.RequestID,
		ReadOnly: c.ReadOnly, Request: bounded("requestParameters", c.Request), Resources: c.Resources,
		ExecutionARN: c.Workflow.ExecutionARN, State: c.Workflow.State,
	}
	if r.Resources == nil {
		r.Resources = resources(c)
	}
	return r
}

// global is the context of the whole request. What is known of the caller goes
// first, so that no request can claim to be somebody.
func (c *Call) global(now time.Time) iam.Context {
	g := append(c.By.Context(), c.Context...)
	add := func(key, v string) {
		if v != "" && !slices.ContainsFunc(g, func(a iam.Attribute) bool { return strings.EqualFold(a.Key, key) }) {
			g = append(g, iam.Attribute{Key: key, Values: []string{v}})
		}
	}
	add("aws:RequestedRegion", c.Region)
	add("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	add("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	return g
}

// Note adds members to the record's additionalEventData, e.g. inferenceRegion
// and inputTokens: never text of a prompt or of an answer. Of several with one
// key the last counts.
func (a *Act) Note(members ...value.Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes = append(a.notes, members...)
}

// Later adds what notes returns to additionalEventData when the record is made,
// which may be behind the answer. It must not depend on the call's context.
func (a *Act) Later(notes func() []value.Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.later = append(a.later, notes)
}

// Respond sets the record's responseElements: of calls that change something,
// without secrets.
func (a *Act) Respond(v value.Value) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reply = v
}

// Await makes End wait for what was done to be durable, besides the record and
// at the same time: each takes a write to the disk. A call for which durable
// returns an error has failed, and a second record says so; after a crash in
// between a call may be recorded as done that was not, and that nobody was told
// of.
func (a *Act) Await(durable func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.await = durable
}

// End records what came of the call: err, or success. Its own error says that
// the record could not be written, or is that of Await; the caller must then not
// be told of any success.
func (a *Act) End(ctx context.Context, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.record
	if a.ended {
		return fmt.Errorf("gate: %s of %s ended twice", r.Name, r.RequestID)
	}
	a.ended = true
	for _, notes := range a.later {
		a.notes = append(a.notes, notes()...)
	}
	if len(a.notes) > 0 {
		r.Additional = bounded("additionalEventData", value.Object(a.notes...))
	}
	r.Response = bounded("responseElements", a.reply)
	r.ErrorCode, r.ErrorMessage = outcome(err)
	if f, ok := errors.AsType[*fault.Error](err); ok {
		// A room below decided too: principal does when a role is assumed.
		if ds, ok := f.Detail.([]iam.Decision); ok && len(ds) > 0 {
			r.Decisions = trail.Evidence(ds, ds[0].Policies(), nil)
		}
		r.Relaxed = r.Relaxed && !f.Auth
	}
	rerr := a.g.append(ctx, r)
	if err != nil || a.await == nil {
		return rerr
	}
	// Whether it is done does not depend on who waits for it.
	waiting, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), recordTimeout, errors.New("the journal does not answer"))
	defer cancel()
	if err = a.await(waiting); err == nil || rerr != nil {
		return rerr
	}
	r.EventID, r.Response = "", value.Value{}
	r.ErrorCode, r.ErrorMessage = outcome(err)
	if rerr := a.g.append(ctx, r); rerr != nil {
		return fmt.Errorf("%w (of a call that failed: %v)", rerr, err)
	}
	return err
}

// endBehind ends an inference that went well behind its answer, where inferences
// are grouped and not too many end so already. It reports whether it does.
func (g *Gate) endBehind(ctx context.Context, a *Act) bool {
	if !g.grouped || a.record.Phase != trail.Outcome {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.late >= maxBehind {
		return false
	}
	g.late++
	if g.behind = append(g.behind, behind{context.WithoutCancel(ctx), a}); len(g.behind) == 1 {
		g.ending.Add(1)
		time.AfterFunc(endEvery, g.endAll)
	}
	return true
}

// endAll ends what waits to be ended.
func (g *Gate) endAll() {
	defer g.ending.Done()
	g.mu.Lock()
	all := g.behind
	g.behind = nil
	g.mu.Unlock()
	for _, b := range all {
		b.end(g)
	}
}

func (b behind) end(g *Gate) {
	defer func() {
		g.mu.Lock()
		g.late--
		g.mu.Unlock()
		if x := recover(); x != nil { // there is no caller whose call could fail
			g.logger.ErrorContext(b.ctx, "gate: an inference that was answered is not recorded", "panic", x, "stack", string(debug.Stack()))
		}
	}()
	if err := b.act.End(b.ctx, nil); err != nil {
		g.logger.ErrorContext(b.ctx, "gate: an inference that was answered is not recorded", "err", err)
	}
}

// Do performs fn if c is allowed, and records what came of it, a panic too. If
// that record cannot be written, its error is the answer, whatever fn returned.
func Do[T any](ctx context.Context, g *Gate, c Call, fn func(context.Context, *Act) (T, error)) (out T, err error) {
	a, err := g.Begin(ctx, c)
	if err != nil {
		return out, err
	}
	returned := false
	defer func() {
		if !returned { // fn panicked, or ended its goroutine
			if rerr := a.End(ctx, errors.New("panic")); rerr != nil {
				g.logger.ErrorContext(ctx, "gate: a call that panicked is not recorded", "err", rerr)
			}
		}
	}()
	out, err = fn(ctx, a)
	returned = true
	if err == nil && g.endBehind(ctx, a) {
		return out, nil
	}
	if rerr := a.End(ctx, err); rerr != nil {
		var zero T
		if err != nil {
			rerr = fmt.Errorf("%w (of a call that failed: %v)", rerr, err)
		}
		return zero, rerr
	}
	return out, err
}
