package flow

import (
	"context"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"tokaido/engine"
)

// Traces tells a Tracer what executions of traced machines do: spans of the
// execution, its states, the iterations of its Maps, its Map Runs, and every
// attempt of a task. It stands between a driver, which must not wait for it, and
// the tracer. Spans are made of events alone: of an execution that it does not
// know, because the process is new or because there are too many, it reads the
// history first.
type Traces struct {
	library *Library
	tracer  Tracer
	logger  *slog.Logger
	queue   chan observed
	done    chan struct{}
	dropped atomic.Int64
	close   sync.Once
	history func(ctx context.Context, arn string, from int64, reverse bool) iter.Seq2[engine.Event, error] // set before bound is closed
	bound   chan struct{}
	ctx     context.Context // of readings; done when the work ends
	stop    context.CancelFunc

	runs map[string]*tracedRun // owned by work; by ARN
}

// maxTraced is how many executions are followed at a time without reading their
// history again.
const maxTraced = 10_000

// observed is what a driver has told.
type observed struct {
	x      Execution
	events []engine.Event
}

// NewTraces tells tracer of executions of a library's machines. It begins when
// Bind has said where histories are.
func NewTraces(l *Library, tracer Tracer, logger *slog.Logger) *Traces {
	if logger == nil {
		logger = slog.Default()
	}
	t := &Traces{
		library: l, tracer: tracer, logger: logger, queue: make(chan observed, maxQueued), done: make(chan struct{}),
		bound: make(chan struct{}), runs: map[string]*tracedRun{},
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	go t.work()
	return t
}

// Bind says where the histories of executions are. It must be called once.
func (t *Traces) Bind(d interface {
	History(ctx context.Context, arn string, from int64, reverse bool) iter.Seq2[engine.Event, error]
}) {
	t.history = d.History
	close(t.bound)
}

// Close tells what is queued, if the histories are still there. Nobody may be
// observing any more.
func (t *Traces) Close() error {
	t.close.Do(func() {
		close(t.queue)
		select {
		case <-t.bound:
		default:
			t.stop() // it was never bound
		}
	})
	<-t.done
	t.stop()
	return nil
}

// Dropped is how many events were left out because the tracer was too slow.
func (t *Traces) Dropped() int64 { return t.dropped.Load() }

// Wants reports whether executions of a revision are traced.
func (t *Traces) Wants(r Revision) bool { return r.Tracing }

// Observe is a driver's observer; the events must not change after it.
func (t *Traces) Observe(x *Execution, events []engine.Event) {
	r, err := t.library.revision(context.Background(), x.Revision)
	if err != nil || !r.Tracing {
		return
	}
	if h, ok := ParseTraceHeader(x.Trace); ok && h.Sampled != nil && !*h.Sampled {
		return // its caller has decided
	}
	select {
	case t.queue <- observed{*x, events}:
	default:
		if n := int64(len(events)); t.dropped.Add(n) == n {
			t.logger.Warn("spans are left out: their reader is too slow", "execution", x.ARN)
		}
	}
}

func (t *Traces) work() {
	defer close(t.done)
	select {
	case <-t.bound:
	case <-t.ctx.Done():
		return
	}
	for o := range t.queue {
		if len(o.events) > 0 {
			t.follow(&o)
		}
	}
}

// follow tells the spans that have ended with o's events.
func (t *Traces) follow(o *observed) {
	first := o.events[0].Seq
	r := t.runs[o.x.ARN]
	if r == nil || r.seq != first-1 {
		delete(t.runs, o.x.ARN)
		var ok bool
		if r, ok = t.catchUp(o, first); !ok {
			return
		}
	}
	for i := range o.events {
		r.apply(&o.events[i], t.tracer.Record)
	}
	if r.over() {
		delete(t.runs, o.x.ARN)
	}
}

// catchUp is what is known of an execution before the event first.
func (t *Traces) catchUp(o *observed, first int64) (*tracedRun, bool) {
	rev, err := t.library.revision(t.ctx, o.x.Revision)
	if err != nil {
		return nil, false
	}
	r := newTracedRun(&o.x, rev)
	if first > 1 {
		if o.x.InMemory() {
			return nil, false // nobody keeps its history; what was left out before is gone
		}
		for e, err := range t.history(t.ctx, o.x.ARN, 0, false) {
			if err != nil {
				t.logger.Warn("spans are left out: the history cannot be read", "execution", o.x.ARN, "err", err)
				return nil, false
			}
			if e.Seq >= first {
				break
			}
			r.apply(&e, func(Span) {}) // told when it happened
		}
		if r.seq != first-1 {
			return nil, false
		}
	}
	if len(t.runs) >= maxTraced {
		for arn, old := range t.runs { // any: it is read again when something happens to it
			if !old.memory {
				delete(t.runs, arn)
				break
			}
		}
		if len(t.runs) >= maxTraced {
			return nil, false
		}
	}
	t.runs[o.x.ARN] = r
	return r, true
}

// tracedRun is an execution as its events have made it.
type tracedRun struct {
	arn     string
	header  TraceHeader
	memory  bool
	name    string // of its span
	attrs   []slog.Attr
	parent  SpanID
	seq     int64 // of the last event
	next    int32 // the next thread's number
	root    *Span // nil: it has ended
	threads map[int32]*tracedThread
}

// tracedThread is the top level, a branch or an iteration.
type tracedThread struct {
	parent    int32
	iteration *Span
	state     *Span // open
	name      string
	attempts  int64
	task      *Span
	run       *Span // of a Map Run
}

func newTracedRun(x *Execution, rev *Revision) *tracedRun {
	r := &tracedRun{
		arn: x.ARN, header: x.header(), memory: x.InMemory(), name: rev.MachineName,
		next: 1, threads: map[int32]*tracedThread{0: {parent: -1}},
	}
	r.parent = r.header.Parent
	if c := &x.Child; c.MapRun != "" {
		r.name += "/" + c.Label
		r.parent = SpanOf(eventName(c.Parent, c.Run))
	}
	r.attrs = []slog.Attr{
		slog.String("aws.step_functions.state_machine.arn", x.MachineARN),
		slog.String("aws.step_functions.execution.arn", x.ARN),
		slog.String("cloud.region", x.Region),
		slog.String("cloud.account.id", x.Account),
	}
	if x.VersionARN != "" {
		r.attrs = append(r.attrs, slog.String("aws.step_functions.state_machine_version.arn", x.VersionARN))
	}
	if x.AliasARN != "" {
		r.attrs = append(r.attrs, slog.String("aws.step_functions.state_machine_alias.arn", x.AliasARN))
	}
	return r
}

func (r *tracedRun) over() bool { return r.root == nil }

// eventName names an event for ever, as [Task.ID] names the one that schedules
// a task.
func eventName(arn string, seq int64) string { return arn + "#" + strconv.FormatInt(seq, 10) }

func (r *tracedRun) span(e *engine.Event, parent SpanID, name string, kind SpanKind, attrs ...slog.Attr) *Span {
	return &Span{
		Trace: r.header.Trace, ID: SpanOf(eventName(r.arn, e.Seq)), Parent: parent, Sampled: r.header.Sampled,
		Name: name, Kind: kind, Start: e.Time(), Attributes: attrs,
	}
}

// inside is the span that what thread th does is in.
func (r *tracedRun) inside(th *tracedThread) SpanID {
	for th != nil {
		switch {
		case th.state != nil:
			return th.state.ID
		case th.iteration != nil:
			return th.iteration.ID
		}
		th = r.threads[th.parent]
	}
	if r.root != nil {
		return r.root.ID
	}
	return r.parent
}

// around is the span that a state of th is in.
func (r *tracedRun) around(th *tracedThread) SpanID {
	if th.iteration != nil {
		return th.iteration.ID
	}
	return r.inside(r.threads[th.parent])
}

// close ends a span, if it is open.
func closeSpan(s **Span, e *engine.Event, failed bool, name string, tell func(Span)) {
	if *s == nil {
		return
	}
	(*s).End, (*s).Failed, (*s).Error = e.Time(), failed, name
	tell(**s)
	*s = nil
}

// apply takes the next event.
func (r *tracedRun) apply(e *engine.Event, tell func(Span)) {
	r.seq = e.Seq
	th := r.threads[e.Thread]
	if th == nil { // an iteration that starts now
		th = new(tracedThread)
		r.threads[e.Thread] = th
	}
	errName := ""
	if e.More != nil && e.More.Error != nil {
		errName = *e.More.Error
	}
	name := e.Type.String()
	switch {
	case e.Type == engine.ExecutionStarted, e.Type == engine.ExecutionRedriven:
		r.root = r.span(e, r.parent, r.name, SpanServed, r.attrs...)
		if e.Type == engine.ExecutionRedriven {
			r.root.Attributes = append(r.root.Attributes[:len(r.root.Attributes):len(r.root.Attributes)], slog.Bool("aws.step_functions.redriven", true))
		}
	case e.Type.Closes():
		r.end(e, tell)
	case strings.HasSuffix(name, "StateEntered"):
		kind := strings.TrimSuffix(name, "StateEntered")
		th.name, th.attempts = e.State, 0
		th.state = r.span(e, r.around(th), e.State, SpanInside, slog.String("aws.step_functions.state.type", kind))
	case strings.HasSuffix(name, "StateExited"):
		r.reopen(th, e)
		r.sweep(e.Thread, e, true, tell)
		r.leave(th, e, false, "", tell)
		th.name = ""
	case strings.HasSuffix(name, "StateAborted"):
		r.sweep(e.Thread, e, false, tell)
		r.leave(th, e, true, "Aborted", tell)
	case e.Type == engine.ParallelStateFailed, e.Type == engine.MapStateFailed:
		r.sweep(e.Thread, e, false, tell)
	case e.Type == engine.BranchSucceeded:
		delete(r.threads, e.Thread)
	case e.Type == engine.ParallelStateStarted:
		for range e.Index {
			r.threads[r.next] = &tracedThread{parent: e.Thread}
			r.next++
		}
		r.reopen(th, e)
	case e.Type == engine.MapIterationStarted:
		r.next = e.Thread + 1
		th.parent = int32(e.Ref)
		if p := r.threads[th.parent]; p != nil {
			r.reopen(p, e)
		}
		th.iteration = r.span(e, r.around(th), e.State+"["+strconv.Itoa(int(e.Index))+"]", SpanInside, slog.Int64("aws.step_functions.map.index", int64(e.Index)))
	case e.Type == engine.MapIterationSucceeded:
		closeSpan(&th.iteration, e, false, "", tell)
		delete(r.threads, e.Thread)
	case e.Type == engine.MapIterationFailed, e.Type == engine.MapIterationAborted:
		// The state that it is in ends first, if that has an event of its own.
		r.leave(th, e, true, errName, tell)
		closeSpan(&th.iteration, e, true, strings.TrimPrefix(name, "MapIteration"), tell)
	case e.Type == engine.MapRunStarted, e.Type == engine.MapRunRedriven:
		r.reopen(th, e)
		if e.More != nil {
			th.run = r.span(e, r.inside(th), "MapRun", SpanInside, slog.String("aws.step_functions.map_run.arn", e.More.MapRunARN))
		}
	case e.Type == engine.MapRunSucceeded, e.Type == engine.MapRunFailed, e.Type == engine.MapRunAborted:
		closeSpan(&th.run, e, e.Type != engine.MapRunSucceeded, errName, tell)
	case strings.HasSuffix(name, "Scheduled") && e.Type != engine.WaitScheduled && e.Type != engine.RetryScheduled:
		r.reopen(th, e)
		th.attempts++
		th.task = r.task(th, e)
	case taskEnds(e.Type):
		failed := !strings.HasSuffix(name, "Succeeded")
		if failed && errName == "" {
			errName = name
		}
		closeSpan(&th.task, e, failed, errName, tell)
	}
}

// task is the span of an attempt.
func (r *tracedRun) task(th *tracedThread, e *engine.Event) *Span {
	attrs := []slog.Attr{slog.Int64("aws.step_functions.task.attempt", th.attempts)}
	name := "task"
	if d := e.More; d != nil {
		if name = d.Resource; d.ResourceType != "" {
			name = d.ResourceType + ":" + d.Resource
			attrs = append(attrs, slog.String("aws.step_functions.task.resource_type", d.ResourceType))
		}
		attrs = append(attrs, slog.String("aws.step_functions.task.resource", d.Resource))
		if d.Region != "" {
			attrs = append(attrs, slog.String("cloud.region", d.Region))
		}
	}
	return r.span(e, r.inside(th), name, SpanCalled, attrs...)
}

// taskEnds reports whether an attempt of a task is over with an event.
func taskEnds(t engine.EventType) bool {
	switch t {
	case engine.ServiceTaskSucceeded, engine.ServiceTaskFailed, engine.ServiceTaskTimedOut, engine.ServiceTaskStartFailed, engine.ServiceTaskSubmitFailed,
		engine.LambdaFunctionSucceeded, engine.LambdaFunctionFailed, engine.LambdaFunctionTimedOut, engine.LambdaFunctionStartFailed, engine.LambdaFunctionScheduleFailed,
		engine.ActivitySucceeded, engine.ActivityFailed, engine.ActivityTimedOut, engine.ActivityScheduleFailed:
		return true
	}
	return false
}

// leave ends the state that a thread is in, and what is open in it.
func (r *tracedRun) leave(th *tracedThread, e *engine.Event, failed bool, name string, tell func(Span)) {
	closeSpan(&th.task, e, failed, name, tell)
	closeSpan(&th.run, e, failed, name, tell)
	closeSpan(&th.state, e, failed, name, tell)
}

// sweep ends what is open in the branches or iterations of a thread's state; those
// that a redrive may go on with stay known.
func (r *tracedRun) sweep(of int32, e *engine.Event, forget bool, tell func(Span)) {
	if of == 0 && len(r.threads) == 1 {
		return
	}
	for id, th := range r.threads {
		if th.parent != of {
			continue
		}
		r.sweep(id, e, forget, tell)
		r.leave(th, e, true, "Aborted", tell)
		closeSpan(&th.iteration, e, true, "Aborted", tell)
		if forget {
			delete(r.threads, id)
		}
	}
}

// reopen begins a state's span again, which goes on in a redriven execution
// without being entered again.
func (r *tracedRun) reopen(th *tracedThread, e *engine.Event) {
	if th.state != nil || th.name == "" {
		return
	}
	th.state = r.span(e, r.around(th), th.name, SpanInside)
	th.state.ID = SpanOf(eventName(r.arn, e.Seq) + "/state") // its own span is another
}

// end closes all that is open, what is inside first.
func (r *tracedRun) end(e *engine.Event, tell func(Span)) {
	failed, name := e.Type != engine.ExecutionSucceeded, ""
	if failed {
		name = strings.TrimPrefix(e.Type.String(), "Execution")
		if e.More != nil && e.More.Error != nil {
			name = *e.More.Error
		}
	}
	for _, th := range r.threads { // the order of the spans says nothing
		r.leave(th, e, failed, name, tell)
		closeSpan(&th.iteration, e, failed, name, tell)
	}
	closeSpan(&r.root, e, failed, name, tell)
}
