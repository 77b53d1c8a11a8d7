// Package journal is the embedded driver: it keeps executions in an append-only
// log and performs what they want done.
//
// What must stay true:
//
//   - Events are durable before any of their effects is performed, and before
//     anybody is told that they happened.
//   - One goroutine owns an execution: that of its shard. All others send to it.
//   - An execution that only waits is not in memory. Its events are in the log
//     and its next moment is in a heap. It is read and replayed when needed.
//   - Recovery is that same reading, for all executions that have not ended.
//   - While the log takes nothing (a full disk), no execution starts, those that
//     run wait, and nothing is acknowledged. What the log may have taken is
//     settled before anything follows it.
//
// DESIGN.md says why it is so.
package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/value"
)

// Config is what a Driver is made of.
type Config struct {
	Log      Log
	Programs flow.Programs
	Invoker  flow.Invoker
	Logger   *slog.Logger // nil: slog.Default

	// Permit, if set, is asked before a Map Run starts its first child, again in
	// each process: a *flow.TaskError fails the run.
	Permit func(ctx context.Context, r flow.RunStart) error

	// Observe, if set, is told of every execution's events once they are durable,
	// in their order. It is called by the goroutine that moves the execution: it
	// must be quick, and must not call the driver.
	Observe func(x *flow.Execution, events []engine.Event)
	// Observes, if set, says whose executions Observe is told of.
	Observes func(flow.Revision) bool

	Limits *flow.Limits // nil: AWS's
	Shards int          // 0: one for each processor
	Tasks  int          // how many are performed at a time; 0: defaultTasks

	snapshotAfter int // bytes of events; 0: the constant
}

const (
	// defaultTasks is how many tasks are performed at a time. Most wait for a
	// network, so it is a matter of memory and of the other side's patience.
	defaultTasks = 1024
	// expireEvery and expireAtOnce pace the removal of executions past it.
	expireEvery  = time.Hour
	expireAtOnce = 1000
	// maxFlying is how many Steps of one execution may be under way to the log
	// before it has to wait: what a long run of Pass states may hold in memory.
	maxFlying = 8
	// maxCommitRows and maxCommitBytes bound one durable write, and with it the
	// time that everybody in it waits.
	maxCommitRows  = 4096
	maxCommitBytes = 8 << 20
	// settleGrace is how long a Close whose time is up waits for the log.
	settleGrace = 5 * time.Second
)

var _ flow.Driver = (*Driver)(nil)

// Driver runs executions. Open makes one.
type Driver struct {
	cfg    Config
	limits flow.Limits
	shards []*shard
	commit *committer
	lastID atomic.Uint64
	secret []byte
	queues queues
	slots  chan struct{} // holds a token for each task being performed

	ctx    context.Context // of tasks; done when they must give up
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the driver no longer moves
	quit   chan struct{} // closed to end the loops

	writing context.Context // of writes to the log; done when they must give up
	giveUp  context.CancelCauseFunc

	stop  sync.Once
	loops sync.WaitGroup

	closing atomic.Bool
	failure atomic.Pointer[error] // why it has stopped
	trouble atomic.Pointer[error] // why the log takes nothing at present

	mu       sync.Mutex
	starting map[string]chan struct{} // guarded by mu: ARNs whose start is not durable yet
	births   map[string]uint64        // guarded by mu: children whose start is not durable yet, by ARN
	tasks    int                      // guarded by mu: being performed, or waiting for a slot
	idle     chan struct{}            // guarded by mu: set by Close; closed when tasks is 0
	awaiting int                      // guarded by mu: tasks that await what they have started
	alone    chan struct{}            // guarded by mu: set by Close; closed when awaiting is 0

	counters counters
}

// Stats are plain numbers about a driver.
type Stats struct {
	Live    int64 // executions in memory
	Timers  int64 // entries in the heaps
	Tasks   int64 // tasks being performed, or waiting to be
	Opened  int64 // executions that have not ended, in memory or not
	Started int64 // executions begun since Open
	Ended   int64
	EndedAs [engine.PendingRedrive + 1]int64 // of these, by status
	Events  int64
	Commits int64 // durable writes
	Rows    int64 // in them
}

type counters struct {
	live, timers, tasks, opened, kept, started, ended, events, commits, rows atomic.Int64

	endedAs [engine.PendingRedrive + 1]atomic.Int64
}

// Stats returns the driver's numbers.
func (d *Driver) Stats() Stats {
	c := &d.counters
	s := Stats{
		Live: c.live.Load(), Timers: c.timers.Load(), Tasks: c.tasks.Load(), Opened: c.opened.Load(), Started: c.started.Load(), Ended: c.ended.Load(),
		Events: c.events.Load(), Commits: c.commits.Load(), Rows: c.rows.Load(),
	}
	for i := range c.endedAs {
		s.EndedAs[i] = c.endedAs[i].Load()
	}
	return s
}

// Open reads the executions that have not ended, and makes them go on.
func Open(ctx context.Context, cfg Config) (*Driver, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	limits := flow.AWSLimits()
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	if cfg.Shards == 0 {
		cfg.Shards = runtime.GOMAXPROCS(0)
	}
	if cfg.snapshotAfter == 0 {
		cfg.snapshotAfter = snapshotAfter
	}
	if cfg.Tasks == 0 {
		cfg.Tasks = defaultTasks
	}
	d := &Driver{
		cfg:      cfg,
		limits:   limits,
		slots:    make(chan struct{}, cfg.Tasks),
		done:     make(chan struct{}),
		quit:     make(chan struct{}),
		starting: map[string]chan struct{}{},
		births:   map[string]uint64{},
	}
	d.ctx, d.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	d.writing, d.giveUp = context.WithCancelCause(context.WithoutCancel(ctx))
	if p, ok := cfg.Programs.(flow.Secrets); ok {
		var err error
		if d.secret, err = p.Secret(ctx); err != nil {
			return nil, fmt.Errorf("open journal: %w", err)
		}
	}
	last, err := cfg.Log.LastID(ctx)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	d.lastID.Store(last)
	d.commit = newCommitter(d)
	for range cfg.Shards {
		d.shards = append(d.shards, newShard(d))
	}
	if err := d.recover(ctx); err != nil {
		d.cancel(err)
		return nil, fmt.Errorf("open journal: %w", err)
	}
	for _, s := range d.shards {
		s.send(message{kind: claim}) // after what the recovered tasks have said
	}
	// All are counted before any runs: the first may fail and have the driver wait
	// for the others.
	loops := []func(){d.commit.loop, d.expire, d.ages}
	for _, s := range d.shards {
		loops = append(loops, s.loop)
	}
	d.loops.Add(len(loops))
	for _, l := range loops {
		go func() {
			defer d.loops.Done()
			l()
		}()
	}
	return d, nil
}

// trimFrom is from how many executions on a recovery gives back the memory that
// it has used: it read them all, and next to nothing of that stays.
const trimFrom = 100_000

// tellEvery is how often a recovery says how far it is.
const tellEvery = 2 * time.Second

// recover brings every shard to where the log is. The loops do not run yet, so
// that each shard may be worked on by one goroutine of ours.
func (d *Driver) recover(ctx context.Context) error {
	begun, n, total := time.Now(), 0, 0
	told := begun
	queues := make([]chan Entry, len(d.shards))
	var wg sync.WaitGroup
	for i, s := range d.shards {
		queues[i] = make(chan Entry, 64)
		wg.Go(func() {
			for e := range queues[i] {
				s.recover(e)
			}
		})
	}
	var failed error
	for e, err := range d.cfg.Log.Open(ctx) {
		if err != nil {
			failed = err
			break
		}
		if isRun(e.ARN) {
			continue // its execution goes on with it
		}
		queues[e.ID%uint64(len(d.shards))] <- e
		n++
		if now := time.Now(); now.Sub(told) > tellEvery {
			told = now
			if total == 0 {
				if total, failed = d.cfg.Log.CountOpen(ctx); failed != nil {
					break
				}
			}
			d.cfg.Logger.InfoContext(ctx, "recovering executions", "recovered", n, "of", total)
		}
	}
	for _, q := range queues {
		close(q)
	}
	wg.Wait()
	d.counters.opened.Store(int64(n))
	d.counters.kept.Store(int64(n))
	if n >= trimFrom {
		debug.FreeOSMemory()
	}
	if n > 0 && failed == nil {
		d.cfg.Logger.InfoContext(ctx, "recovered executions", "count", n, "took", time.Since(begun).Round(time.Millisecond).String())
	}
	return failed
}

func (d *Driver) shard(id uint64) *shard { return d.shards[id%uint64(len(d.shards))] }

// down is why the driver does not take work, or nil.
func (d *Driver) down() error {
	if f := d.failure.Load(); f != nil {
		return fmt.Errorf("%w: %w", flow.ErrClosed, *f)
	}
	if d.closing.Load() {
		return flow.ErrClosed
	}
	return nil
}

// stuck notes that the log takes nothing.
func (d *Driver) stuck(err error) {
	if d.trouble.Swap(&err) == nil {
		d.cfg.Logger.Error("the journal cannot be written: executions wait, and none can be started, until it can", "err", err)
	}
}

// recovered notes that it does again.
func (d *Driver) recovered() {
	if d.trouble.Load() != nil && d.trouble.Swap(nil) != nil {
		d.cfg.Logger.Info("the journal can be written again")
	}
}

// room is why no execution may start, or nil.
func (d *Driver) room() error {
	if n := d.limits.Open; n > 0 && d.counters.kept.Load() >= int64(n) {
		return flow.ErrTooManyOpen
	}
	if err := d.trouble.Load(); err != nil {
		return fmt.Errorf("%w: the journal cannot be written: %w", flow.ErrFull, *err)
	}
	if r, ok := d.cfg.Log.(interface{ Room() error }); ok {
		return r.Room()
	}
	return nil
}

// fail stops the driver: rows do not fit to the log, or it is left while it
// takes nothing.
func (d *Driver) fail(err error) {
	if d.failure.CompareAndSwap(nil, &err) {
		d.cfg.Logger.Error("journal stops: the log failed", "err", err)
		d.cancel(err)
		d.giveUp(err)
		d.halt()
	}
}

// halt ends the loops.
func (d *Driver) halt() {
	d.stop.Do(func() {
		close(d.quit)
		go func() {
			d.loops.Wait()
			close(d.done)
		}()
	})
}

// Done is closed when the driver has stopped, by Close or because of an error.
func (d *Driver) Done() <-chan struct{} { return d.done }

// Err is why the driver stopped by itself, or why the log takes nothing at
// present; nil if all is well.
func (d *Driver) Err() error {
	for _, p := range []*atomic.Pointer[error]{&d.failure, &d.trouble} {
		if err := p.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// Close stops taking work, lets the tasks being performed finish and their
// outcomes become durable, and ends. Tasks that have not begun stay for the
// next Open. When ctx is done, tasks that still run are told to give up, and
// what the log does not take is left; the next Open performs it again.
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closing.Store(true)
	if d.idle == nil {
		if d.idle = make(chan struct{}); d.tasks == 0 {
			close(d.idle)
		}
	}
	idle := d.idle
	d.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		d.cancel(context.Cause(ctx))
		<-idle
	case <-d.done:
	}
	d.settle(ctx)
	d.cancel(flow.ErrClosed)
	d.abandon()
	d.halt()
	<-d.done
	if f := d.failure.Load(); f != nil {
		return *f
	}
	return nil
}

// settle waits until what was sent to the shards is durable, or until ctx is
// done and the log takes nothing.
func (d *Driver) settle(ctx context.Context) {
	for _, s := range d.shards {
		ack := make(chan error, 1)
		s.send(message{kind: barrier, ack: ack})
		gone := ctx.Done()
		for waits := true; waits; {
			select {
			case <-ack:
				waits = false
			case <-d.done:
				waits = false
			case <-gone:
				gone = nil
				defer time.AfterFunc(settleGrace, func() { d.giveUp(context.Cause(ctx)) }).Stop()
			}
		}
	}
}

// Start implements [flow.Driver].
func (d *Driver) Start(ctx context.Context, x flow.Execution, input value.Value) (flow.Execution, bool, error) {
	got, exists, durable, err := d.Begin(ctx, x, input)
	if err == nil && durable != nil {
		err = durable(ctx)
	}
	return got, exists, err
}

// Begin implements [flow.Driver].
func (d *Driver) Begin(ctx context.Context, x flow.Execution, input value.Value) (flow.Execution, bool, func(context.Context) error, error) {
	if x.InMemory() {
		got, durable, err := d.begin(ctx, x, input, nil)
		return got, false, durable, err
	}
	mine := make(chan struct{})
	for {
		d.mu.Lock()
		other := d.starting[x.ARN]
		if other == nil {
			d.starting[x.ARN] = mine
		}
		d.mu.Unlock()
		if other == nil {
			break
		}
		select {
		case <-other:
		case <-d.done:
			return flow.Execution{}, false, nil, flow.ErrClosed
		case <-ctx.Done():
			return flow.Execution{}, false, nil, context.Cause(ctx)
		}
	}
	release := func() {
		d.mu.Lock()
		delete(d.starting, x.ARN)
		d.mu.Unlock()
		close(mine)
	}
	if e, err := d.cfg.Log.Find(ctx, x.ARN); !errors.Is(err, flow.ErrNotFound) {
		release()
		if err != nil {
			return flow.Execution{}, false, nil, fmt.Errorf("start %s: %w", x.ARN, err)
		}
		got, err := executionOf(&e)
		return got, true, nil, err
	}
	if err := d.room(); err != nil {
		release()
		return flow.Execution{}, false, nil, fmt.Errorf("start %s: %w", x.ARN, err)
	}
	// The name is released when the start is durable, which may be after the
	// caller has gone.
	got, durable, err := d.begin(ctx, x, input, release)
	return got, false, durable, err
}

// begin gives x a number and hands it to its shard; durable waits until that is
// in the log. settled, if set, is called once it is, or has failed: until then
// the name of x, which the log does not have, is the caller's.
func (d *Driver) begin(ctx context.Context, x flow.Execution, input value.Value, settled func()) (got flow.Execution, durable func(context.Context) error, err error) {
	absent := settled != nil
	if !absent {
		settled = func() {}
	}
	rev, prog, err := d.cfg.Programs.Program(ctx, x.Revision)
	if err == nil {
		err = d.down()
	}
	if err != nil {
		settled()
		return flow.Execution{}, nil, fmt.Errorf("start %s: %w", x.ARN, err)
	}
	r := d.newRun(d.lastID.Add(1), x, rev, prog)
	r.absent = absent
	begun, ack := r.begun, make(chan error, 1)
	d.shard(r.id).send(message{kind: start, run: r, in: engine.Start{Input: input}, ack: ack, settled: settled})
	// From here on the run is its shard's.
	got = flow.Execution{ARN: x.ARN, Name: x.Name, Revision: x.Revision, MachineARN: x.MachineARN, VersionARN: x.VersionARN,
		AliasARN: x.AliasARN, Express: x.Express, Sync: x.Sync, Seed: x.Seed, Trace: x.Trace, Region: x.Region, Account: x.Account,
		Started: begun}
	return got, func(ctx context.Context) error {
		if err := d.wait(ctx, ack); err != nil {
			return fmt.Errorf("start %s: %w", x.ARN, err)
		}
		return nil
	}, nil
}

// wait waits for an acknowledgement.
func (d *Driver) wait(ctx context.Context, ack <-chan error) error {
	select {
	case err := <-ack:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.done:
		select {
		case err := <-ack:
			return err
		default:
		}
		if err := d.down(); err != nil {
			return err
		}
		return flow.ErrClosed
	}
}

// Run implements [flow.Driver].
func (d *Driver) Run(ctx context.Context, x flow.Execution, input value.Value) (flow.Outcome, error) {
	if !x.Express {
		return flow.Outcome{}, fmt.Errorf("run %s: only Express executions are run in memory", x.ARN)
	}
	rev, prog, err := d.cfg.Programs.Program(ctx, x.Revision)
	if err == nil {
		err = d.down()
	}
	if err != nil {
		return flow.Outcome{}, fmt.Errorf("run %s: %w", x.ARN, err)
	}
	r := d.newRun(d.lastID.Add(1), x, rev, prog)
	ended := make(chan flow.Outcome, 1)
	r.waiters = append(r.waiters, ended)
	ack := make(chan error, 1)
	d.shard(r.id).send(message{kind: start, run: r, in: engine.Start{Input: input}, ack: ack, settled: func() {}})
	if err := d.wait(ctx, ack); err != nil {
		return flow.Outcome{}, fmt.Errorf("run %s: %w", x.ARN, err)
	}
	return d.outcome(ctx, ended)
}

func (d *Driver) outcome(ctx context.Context, ended <-chan flow.Outcome) (flow.Outcome, error) {
	select {
	case o := <-ended:
		return o, nil
	case <-ctx.Done():
		return flow.Outcome{}, context.Cause(ctx)
	case <-d.done:
		return flow.Outcome{}, flow.ErrClosed
	}
}

// Feed implements [flow.Driver].
func (d *Driver) Feed(ctx context.Context, arn string, in engine.Input) (flow.Execution, bool, error) {
	e, err := d.cfg.Log.Find(ctx, arn)
	if err != nil {
		return flow.Execution{}, false, err
	}
	x, err := executionOf(&e)
	if err != nil || e.Status != engine.Running {
		return x, true, err
	}
	if err := d.down(); err != nil {
		return x, false, err
	}
	ack := make(chan error, 1)
	d.shard(e.ID).send(message{kind: feed, id: e.ID, arn: arn, in: in, ack: ack})
	if err := d.wait(ctx, ack); err != nil {
		return x, false, fmt.Errorf("feed %s: %w", arn, err)
	}
	x, err = d.Describe(ctx, arn)
	return x, x.Status != engine.Running, err
}

// Await implements [flow.Driver].
func (d *Driver) Await(ctx context.Context, arn string) (flow.Outcome, error) {
	e, err := d.cfg.Log.Find(ctx, arn)
	if err != nil {
		return flow.Outcome{}, err
	}
	if e.Status == engine.Running {
		ended, ack := make(chan flow.Outcome, 1), make(chan error, 1)
		s := d.shard(e.ID)
		s.send(message{kind: await, id: e.ID, ended: ended, ack: ack})
		defer s.send(message{kind: forget, id: e.ID, ended: ended})
		if err := d.wait(ctx, ack); err != nil {
			return flow.Outcome{}, err
		}
		// It may have ended before the shard knew that somebody waits.
		if e, err = d.cfg.Log.Find(ctx, arn); err != nil {
			return flow.Outcome{}, err
		}
		if e.Status == engine.Running {
			return d.outcome(ctx, ended)
		}
	}
	x, err := executionOf(&e)
	if err != nil {
		return flow.Outcome{}, err
	}
	o := flow.Outcome{Execution: x}
	for ev, err := range d.History(ctx, arn, 0, true) {
		if err != nil {
			return o, err
		}
		if o.Output = ev.Data; ev.More != nil {
			o.Error, o.Cause = ev.More.Error, ev.More.Cause
		}
		break
	}
	return o, nil
}

// Describe implements [flow.Driver].
func (d *Driver) Describe(ctx context.Context, arn string) (flow.Execution, error) {
	e, err := d.cfg.Log.Find(ctx, arn)
	if err != nil {
		return flow.Execution{}, err
	}
	return executionOf(&e)
}

// Ends implements [flow.Driver].
func (d *Driver) Ends(ctx context.Context, arn string) (x flow.Execution, first, last engine.Event, err error) {
	e, err := d.cfg.Log.Find(ctx, arn)
	if err != nil {
		return x, first, last, err
	}
	if x, err = executionOf(&e); err != nil {
		return x, first, last, err
	}
	// Most executions are few rows, and the last one has both ends.
	n := 0
	for row, err := range d.cfg.Log.Read(ctx, e.ID, 0, true) {
		for ev, err := range decode(func(yield func(Events, error) bool) { yield(row, err) }) {
			if err != nil {
				return x, first, last, err
			}
			if last = ev; n == 0 {
				first = ev
			}
			n++
		}
		if n == 0 || row.From == 1 {
			break
		}
		for ev, err := range decode(d.cfg.Log.Read(ctx, e.ID, 0, false)) {
			first = ev
			if err != nil {
				return x, first, last, err
			}
			break
		}
		break
	}
	if n == 0 {
		return x, first, last, fmt.Errorf("execution %s has no events", arn)
	}
	return x, first, last, nil
}

// List implements [flow.Driver].
func (d *Driver) List(ctx context.Context, q flow.Query) iter.Seq2[flow.Listed, error] {
	return func(yield func(flow.Listed, error) bool) {
		var after *Place
		if q.After != nil {
			after = &Place{q.After.Started.UnixMilli(), q.After.ID}
		}
		for e, err := range d.cfg.Log.List(ctx, q.Under, q.Status, after) {
			var l flow.Listed
			if err == nil {
				l.Execution, err = executionOf(&e)
				l.Mark = flow.Mark{Started: l.Started, ID: e.ID}
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// History implements [flow.Driver].
func (d *Driver) History(ctx context.Context, arn string, from int64, reverse bool) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		e, err := d.cfg.Log.Find(ctx, arn)
		if err != nil {
			yield(engine.Event{}, err)
			return
		}
		rows := d.cfg.Log.Read(ctx, e.ID, from, reverse)
		if !reverse {
			for ev, err := range decode(rows) {
				if err == nil && ev.Seq < from {
					continue
				}
				if !yield(ev, err) {
					return
				}
			}
			return
		}
		for r, err := range rows {
			var evs []engine.Event
			if err == nil {
				for ev, err2 := range decode(func(y func(Events, error) bool) { y(r, nil) }) {
					if err = err2; err != nil {
						break
					}
					evs = append(evs, ev)
				}
			}
			if err != nil {
				yield(engine.Event{}, err)
				return
			}
			for i := len(evs) - 1; i >= 0; i-- {
				if from != 0 && evs[i].Seq > from {
					continue
				}
				if !yield(evs[i], nil) {
					return
				}
			}
		}
	}
}

// expire removes executions that ended longer ago than the retention.
func (d *Driver) expire() {
	if d.limits.Retention <= 0 {
		return
	}
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		for {
			n, err := d.cfg.Log.Expire(d.ctx, time.Now().Add(-d.limits.Retention), expireAtOnce)
			if err != nil {
				if d.ctx.Err() == nil {
					d.cfg.Logger.Error("cannot remove old executions", "err", err)
				}
				break
			}
			if n < expireAtOnce {
				break
			}
		}
		select {
		case <-t.C:
		case <-d.quit:
			return
		}
	}
}
