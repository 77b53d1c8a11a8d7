package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/value"
)

// kind is what a message asks of a shard.
type kind uint8

const (
	start      kind = iota // run: begin it with in
	feed                   // id: in
	outcome                // id: in, what came of a task
	await                  // id: tell ended when it has
	forget                 // id: ended no longer waits
	barrier                // ack when all before is durable
	hand                   // id, task: in, if no worker has it yet
	handAgain              // id, task: its worker has gone; another one is to have it
	overdue                // id, task: answers have waited long enough for its call
	permitted              // id: a Map Run (in) may start executions, or must not
	childEnded             // id: in, how a child of its Map Run ended
	wanted                 // id: stop its child (of) unless it waits for its end (in)
	revive                 // id, arn: redrive it
	aged                   // id, arn: it has been open for long, since at
	watch                  // id: tell the task of the execution of when it has ended
	watched                // id, task: what the task awaits has ended
	claim                  // all tasks have said what they await: who are the others' executions?
)

type message struct {
	kind    kind
	id      uint64
	arn     string // feed: to find it by, if it is known
	task    int64  // feed, hand: which must be open, 0: any; watch, watched
	got     *flow.ActivityTask
	run     *run // start
	in      engine.Input
	ack     chan error // buffered: told when it is durable; nil: nobody waits
	settled func()     // start
	ended   chan flow.Outcome
	refused bool   // permitted
	of      uint64 // wanted, watch
	call    *call  // outcome, of a submission: whose
	token   string // revive: the client's
	child   bool   // revive: for its Map Run
	attempt int32  // revive, of a child: which it is to be
	at      int64  // aged
}

// fail tells whoever waits for m that nothing came of it.
func (m *message) fail(err error) {
	if m.ack != nil {
		m.ack <- err
	}
	if m.settled != nil {
		m.settled()
	}
}

// run is an execution in memory. It is its shard's alone once it was handed over.
type run struct {
	id     uint64
	info   flow.Execution
	begun  time.Time // when it started
	x      *engine.Execution
	role   string
	watch  bool          // Observe is told
	absent bool          // its ARN is known not to be in the log; until it is
	status engine.Status // in the log, or on its way there

	since int // bytes of events since the last snapshot
	snap  int // bytes of that; 0: there is none

	flying  int  // Steps on their way to the log
	again   bool // a Continue is owed
	queued  bool // in its shard's queue for that
	tasks   map[int64]*performance
	counts  map[string]int          // Express with a test case: tasks of each state
	timers  map[int64]int64         // when each rings
	waits   map[int64]engine.Invoke // tasks that await the end of an execution
	waiters []chan<- flow.Outcome   // Express: those of Run
	held    []message               // answers that were waiting for a task's submission
	after   []message               // for when its end is durable
	broods  map[int64]*brood        // children under way, by Map Run
	runs    map[int64]*Entry        // of the Map Runs under way
	ended   bool
}

// shard owns the executions whose number has its remainder.
type shard struct {
	d    *Driver
	wake chan struct{}

	mu      sync.Mutex
	inbox   []message // guarded by mu
	durable []*flight // guarded by mu
	closed  bool      // guarded by mu

	// Owned by loop.
	live       map[uint64]*run
	broken     map[uint64]error // executions that cannot go on: our bug, or a broken log
	timers     timers
	turn       []*run // that have a Continue to do
	flights    []*flight
	flying     int       // flights that were sent to the log and are not back
	silent     time.Time // no alarm rings before: the log could not be read
	complained time.Time // of that
	shown      int       // what Stats was last told of live
	timed      int       // and of timers
	waiting    map[uint64][]chan<- flow.Outcome
	watches    map[uint64][]watcher // who awaits the end of an execution
	begotten   []begotten           // that a task has started, open when the log was opened; until claim
	warned     map[uint64]uint8     // what has been said of executions that are near a limit
	batch      engine.Batch
	buf        []byte
}

func newShard(d *Driver) *shard {
	return &shard{d: d, wake: make(chan struct{}, 1), live: map[uint64]*run{}, broken: map[uint64]error{}, waiting: map[uint64][]chan<- flow.Outcome{}}
}

// send gives the shard something to do.
func (s *shard) send(m message) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		err := s.d.down()
		if err == nil {
			err = flow.ErrClosed
		}
		m.fail(err)
		return
	}
	s.inbox = append(s.inbox, m)
	s.mu.Unlock()
	nudge(s.wake)
}

// landed gives the shard back its flights among fs, which are durable.
func (s *shard) landed(fs []*flight, i, n uint64) {
	s.mu.Lock()
	before := len(s.durable)
	for _, f := range fs {
		if f.run != nil && f.run.id%n == i {
			s.durable = append(s.durable, f)
		}
	}
	some := len(s.durable) > before
	s.mu.Unlock()
	if some {
		nudge(s.wake)
	}
}

func (s *shard) loop() {
	var inbox []message
	var durable []*flight
	alarm := time.NewTimer(math.MaxInt64)
	defer alarm.Stop()
	for {
		s.mu.Lock()
		inbox, s.inbox = s.inbox, inbox[:0]
		durable, s.durable = s.durable, durable[:0]
		s.mu.Unlock()

		if s.d.failure.Load() == nil {
			s.flying -= len(durable)
			for _, f := range durable {
				s.perform(f)
			}
			for i := range inbox {
				s.take(&inbox[i])
			}
			s.ring()
			s.goOn()
		} else {
			for i := range inbox {
				inbox[i].fail(s.d.down())
			}
		}
		if len(s.flights) > 0 {
			for _, f := range s.flights {
				if f.run != nil {
					s.flying++
				}
			}
			s.d.commit.submit(s.flights)
			clear(s.flights)
			s.flights = s.flights[:0]
		}
		idle := len(inbox) == 0 && len(durable) == 0 && len(s.turn) == 0
		clear(inbox)
		clear(durable)
		s.d.counters.live.Add(int64(len(s.live) - s.shown))
		s.d.counters.timers.Add(int64(len(s.timers.heap) - s.timed))
		s.shown, s.timed = len(s.live), len(s.timers.heap)
		if !idle {
			select {
			case <-s.d.quit:
				s.close()
				return
			default:
			}
			continue
		}
		wait := time.Duration(math.MaxInt64)
		if due, ok := s.timers.next(); ok && s.flying < maxRung {
			wait = max(0, time.Until(time.UnixMilli(due)), time.Until(s.silent))
		}
		alarm.Reset(wait)
		select {
		case <-s.wake:
		case <-alarm.C:
		case <-s.d.quit:
			s.close()
			return
		}
	}
}

// close refuses what is still in the inbox and all that comes.
func (s *shard) close() {
	s.mu.Lock()
	s.closed = true
	inbox := s.inbox
	s.inbox = nil
	s.mu.Unlock()
	err := s.d.down()
	if err == nil {
		err = flow.ErrClosed
	}
	for i := range inbox {
		inbox[i].fail(err)
	}
}

// take does what one message asks.
func (s *shard) take(m *message) {
	switch m.kind {
	case start:
		r := m.run
		s.live[r.id] = r
		s.d.counters.started.Add(1)
		s.d.counters.opened.Add(1)
		s.d.counted(r, 1)
		s.step(r, m.in, m)
	case feed, outcome, hand:
		r, err := s.get(m)
		if err == nil && r == nil && m.call != nil && m.call.pattern != asl.WaitForTaskToken {
			s.orphan(m.call, m.in.(engine.TaskSubmitted).Output)
		}
		if err == nil && r == nil && m.task != 0 {
			err = flow.ErrTaskClosed
		}
		if s.later(m, err) {
			return
		}
		if err != nil || r == nil { // it has ended: nothing matters to it
			m.fail(err)
			return
		}
		if m.task != 0 && !s.open(r, m) {
			s.rest(r)
			return
		}
		if _, stop := m.in.(engine.Stop); stop { // whatever was to come after its end
			r.after = slices.DeleteFunc(r.after, func(a message) bool { return a.child })
		}
		s.answered(r, m)
		held := s.step(r, m.in, m)
		if m.call != nil {
			s.submitted(r, m.call.task.Task)
		}
		for i := range held {
			s.take(&held[i])
		}
		s.rest(r)
	case handAgain:
		r, err := s.get(m)
		switch {
		case err != nil:
			m.fail(err)
			return
		case r == nil:
			m.fail(flow.ErrTaskClosed)
			return
		case s.open(r, m):
			m.ack <- nil // its start is in the history
		}
		s.rest(r)
	case await:
		s.waiting[m.id] = append(s.waiting[m.id], m.ended)
		m.ack <- nil
	case forget:
		w := slices.DeleteFunc(s.waiting[m.id], func(c chan<- flow.Outcome) bool { return c == (chan<- flow.Outcome)(m.ended) })
		if s.waiting[m.id] = w; len(w) == 0 {
			delete(s.waiting, m.id)
		}
	case overdue:
		s.overdue(m)
	case permitted:
		s.permitted(m)
	case childEnded:
		s.childEnded(m)
	case wanted:
		s.wanted(m)
	case revive:
		s.revive(m)
	case aged:
		s.aged(m)
	case watch:
		s.watch(m)
	case watched:
		s.watched(m)
	case claim:
		s.claim()
	case barrier:
		s.flights = append(s.flights, &flight{acks: []chan<- error{m.ack}})
	}
}

// get finds the execution that a message is for, reading it if it is not in
// memory. nil means that it has ended.
func (s *shard) get(m *message) (*run, error) {
	if err := s.broken[m.id]; err != nil {
		return nil, err
	}
	if r := s.live[m.id]; r != nil {
		if m.kind == outcome && r.tasks[taskOf(m.in)] == nil {
			return nil, nil // it was cancelled
		}
		return r, nil
	}
	if m.kind == outcome {
		return nil, nil // executions with tasks under way stay in memory: it has ended
	}
	return s.fetch(m.id)
}

// fetch reads an execution that is not in memory; nil means that it has ended.
func (s *shard) fetch(id uint64) (*run, error) {
	e, err := s.d.cfg.Log.Running(context.Background(), id)
	if errors.Is(err, flow.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unread{err}
	}
	return s.load(e)
}

// unread says that the log could not be read. That is no fault of the execution
// that was looked for (there may be too many open files, say): it is looked for
// again.
type unread struct{ error }

func (u unread) Unwrap() error { return u.error }

// readAgain is how long a shard waits after that; complainEvery how long until it
// says so again.
const (
	readAgain     = time.Second
	complainEvery = time.Minute
)

// isUnread reports whether err is one, and says so.
func (s *shard) isUnread(err error) bool {
	if _, ok := errors.AsType[unread](err); !ok {
		return false
	}
	if now := time.Now(); now.Sub(s.complained) >= complainEvery {
		s.complained = now
		s.d.cfg.Logger.Error("the journal cannot be read: what it holds is looked for again", "err", err)
	}
	return true
}

// later has a message that nobody waits for come again, if it is for an
// execution that could not be read.
func (s *shard) later(m *message, err error) bool {
	if err == nil || m.ack != nil || !s.isUnread(err) {
		return false
	}
	again := *m
	time.AfterFunc(readAgain, func() { s.send(again) })
	return true
}

// open reports whether the task that m answers waits for that. If it does not,
// m has been told; if it does not yet, m is kept.
func (s *shard) open(r *run, m *message) bool {
	if p := r.tasks[m.task]; p != nil && !p.awaits && !p.late && m.kind == feed {
		// The call that hands out the token is still under way. What it answers
		// comes first in the history, unless it takes long: it may be a function
		// that answers its own token, and waits for that.
		if len(p.held) == 0 {
			late := message{kind: overdue, id: r.id, task: m.task}
			time.AfterFunc(answerGrace, func() { s.send(late) })
		}
		p.held = append(p.held, *m)
		return false
	}
	for _, ef := range r.x.Pending() {
		if i, ok := ef.(engine.Invoke); ok && i.Task == m.task && !(m.kind == hand && i.Started) {
			if m.got != nil {
				m.got.Token, m.got.Input = i.Token, i.Args
			}
			return true
		}
	}
	m.fail(flow.ErrTaskClosed)
	return false
}

// answered ends the performance of a task whose outcome has come.
func (s *shard) answered(r *run, m *message) {
	task := taskOf(m.in)
	p := r.tasks[task]
	if !submitted(m.in) {
		delete(r.waits, task)
	}
	if p == nil {
		return
	}
	if !p.late || m.kind == outcome {
		p.stop(nil)
	} // else its call goes on, and nobody waits for what it answers
	delete(r.tasks, task)
	r.held = append(r.held, p.held...)
}

// overdue gives a task the answers that waited for its call.
func (s *shard) overdue(m *message) {
	r := s.live[m.id]
	if r == nil || r.tasks[m.task] == nil {
		return
	}
	p := r.tasks[m.task]
	held := p.held
	p.held, p.late = nil, true
	for i := range held {
		s.take(&held[i])
	}
}

// taskOf is the task that an input is about, 0 if none that ends its performance.
func taskOf(in engine.Input) int64 {
	switch in := in.(type) {
	case engine.TaskSubmitted:
		return in.Task
	case engine.TaskDone:
		return in.Task
	case engine.TaskFailed:
		return in.Task
	}
	return 0
}

func submitted(in engine.Input) bool {
	_, ok := in.(engine.TaskSubmitted)
	return ok
}

// newRun is an execution that has not started.
func (d *Driver) newRun(id uint64, x flow.Execution, rev flow.Revision, prog *asl.Program) *run {
	x.Status, x.Started = engine.Running, time.Now().UTC().Truncate(time.Millisecond)
	return &run{id: id, info: x, begun: x.Started, role: rev.RoleARN, watch: d.watches(rev), x: engine.New(d.config(id, &x, rev, prog))}
}

func (d *Driver) config(id uint64, x *flow.Execution, rev flow.Revision, prog *asl.Program) engine.Config {
	cfg := engine.Config{
		Program:      prog,
		ExecutionARN: x.ARN,
		Name:         x.Name,
		MachineARN:   x.MachineARN,
		MachineName:  rev.MachineName,
		VersionARN:   x.VersionARN,
		AliasARN:     x.AliasARN,
		RoleARN:      rev.RoleARN,
		Express:      x.Express,
		Sync:         x.Sync,
		Seed:         x.Seed,
		Limits:       *d.limitsOf(x.Express),
		Refuse:       d.refuse,
	}
	if c := &x.Child; c.MapRun != "" {
		cfg.MachineName = rev.MachineName + "/" + c.Label
	}
	if x.TestCase != "" {
		// What keeps a call from being made does not matter to a mocked one, and the
		// others say it when they are made.
		cfg.Refuse = func(part *asl.TaskPart, args value.Value) string { return refuse(d.cfg.Programs, part, args) }
	}
	if d.secret != nil {
		cfg.Token = func(task int64) string { return d.token(id, task) }
	}
	return cfg
}

func (d *Driver) watches(rev flow.Revision) bool {
	return d.cfg.Observe != nil && (d.cfg.Observes == nil || d.cfg.Observes(rev))
}

// refuse says why a task cannot be scheduled, or "".
func (d *Driver) refuse(part *asl.TaskPart, args value.Value) string {
	return cmp.Or(refuse(d.cfg.Programs, part, args), refuse(d.cfg.Invoker, part, args))
}

func refuse(who any, part *asl.TaskPart, args value.Value) string {
	if r, ok := who.(flow.Refuser); ok {
		return r.Refuse(part, args)
	}
	return ""
}

// load reads an execution back into memory. Its alarms are in the heap.
func (s *shard) load(e Entry) (*run, error) {
	r, err := s.replay(e)
	if err != nil {
		if !s.isUnread(err) {
			s.breakOff(e.ID, e.ARN, err)
		}
		return nil, err
	}
	s.live[r.id] = r
	for _, ef := range r.x.Pending() {
		switch ef := ef.(type) {
		case engine.Sleep:
			r.sleep(ef)
		case engine.Again:
			s.owe(r)
		case engine.Invoke:
			if ef.Submitted && r.awaits(&ef) {
				r.waitsFor(ef) // whoever is to tell of it knows
			}
		}
	}
	return r, nil
}

func (s *shard) replay(e Entry) (*run, error) {
	x, err := executionOf(&e)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	rev, prog, err := s.d.program(ctx, &x)
	if err != nil {
		return nil, err
	}
	r := &run{id: e.ID, info: x, begun: x.Started, role: rev.RoleARN, watch: s.d.watches(rev), status: e.Status}
	if err := s.read(r, s.d.config(e.ID, &x, rev, prog)); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if got := r.x.Status(); got != e.Status {
		return nil, fmt.Errorf("its events say %v, the index %v", got, e.Status)
	}
	return r, s.findRuns(r)
}

// read makes r what its events made of it, from its last snapshot on if there
// is one.
func (s *shard) read(r *run, cfg engine.Config) (err error) {
	ctx := context.Background()
	var snapshot *Events
	var rows []Events
	for row, err := range s.d.cfg.Log.Load(ctx, r.id) {
		switch {
		case err != nil:
			return unread{err}
		case row.From == 0:
			snapshot, r.snap = &row, len(row.Data)
		default:
			rows = append(rows, row)
			r.since += len(row.Data)
		}
	}
	events := decode(func(yield func(Events, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	})
	if snapshot == nil {
		r.x, err = engine.Replay(cfg, events)
		return err
	}
	if r.x, err = engine.Restore(cfg, snapshot.Data, events); err == nil && r.x.Seq() >= snapshot.To {
		return nil
	}
	// It is of another version of the engine, say. The events are the truth.
	s.d.cfg.Logger.Warn("a snapshot is of no use", "execution", r.info.ARN, "err", err)
	r.since = r.snap // high time for a better one
	r.x, err = engine.Replay(cfg, decode(s.d.cfg.Log.Read(ctx, r.id, 0, false)))
	return err
}

// snapshotAfter is the least number of bytes of events after which an execution
// that comes to rest leaves a snapshot. With the factor it bounds what reading
// it costs by what it is, however long it has run, and what snapshots cost by
// what its events do.
const (
	snapshotAfter  = 4 << 10
	snapshotFactor = 2
)

// snapshot is what is to be kept with a Step after which r is at rest or has
// ended.
func (s *shard) snapshot(r *run, size int) []byte {
	if r.x.Status() != engine.Running {
		if r.snap == 0 {
			return nil
		}
		r.snap, r.since = 0, 0
		return []byte{}
	}
	if r.since += size; r.since < max(s.d.cfg.snapshotAfter, snapshotFactor*r.snap) {
		return nil
	}
	b := r.x.AppendSnapshot(nil)
	r.snap, r.since = len(b), 0
	return b
}

// breakOff gives up on an execution that cannot go on. It stays as it is in the
// log: the next Open tries it again, with a program that may know better.
func (s *shard) breakOff(id uint64, arn string, err error) {
	if s.broken[id] != nil {
		return
	}
	s.d.cfg.Logger.Error("execution cannot go on", "execution", arn, "err", err)
	s.broken[id] = fmt.Errorf("execution %s cannot go on: %w", arn, err)
	if r := s.live[id]; r != nil {
		s.end(r, err)
	}
}

// recover makes an execution go on that was open when the log was opened.
func (s *shard) recover(e Entry) {
	r, err := s.replay(e)
	if err != nil {
		s.breakOff(e.ID, e.ARN, err)
		return
	}
	pending := r.x.Pending()
	for _, ef := range pending {
		if sl, ok := ef.(engine.Sleep); ok {
			s.timers.add(alarm{r.sleep(sl), r.id})
		}
	}
	s.live[r.id] = r
	for _, ef := range pending {
		switch ef := ef.(type) {
		case engine.Invoke:
			s.invoke(r, ef)
		case engine.StartChild:
			s.startChild(r, ef)
		case engine.Again:
			s.owe(r)
		}
	}
	if r.info.Origin != "" {
		s.begotten = append(s.begotten, begotten{r.id, r.info.ARN, r.info.Origin})
	}
	if c := &r.info.Child; c.MapRun != "" {
		s.d.shard(c.Of).send(message{kind: wanted, id: c.Of, of: r.id, in: engine.ChildDone{Run: c.Run, Child: c.Index, Attempt: int32(r.info.RedriveCount)}})
	}
	s.rest(r)
}

// sleep notes a timer and returns when it rings.
func (r *run) sleep(ef engine.Sleep) int64 {
	if r.timers == nil {
		r.timers = map[int64]int64{}
	}
	due := ef.Until.UnixMilli()
	if ef.Until.Nanosecond()%int(time.Millisecond) != 0 {
		due++ // never early
	}
	r.timers[ef.Timer] = due
	return due
}

// step gives the execution an input and sends what it decides to the log. m, if
// there is one, is told when that is durable. It returns the messages that were
// kept until now.
func (s *shard) step(r *run, in engine.Input, m *message) (held []message) {
	held, r.held = r.held, nil
	moved := false // the index changes, even if the status does not
	b := &s.batch
	at := time.Now()
	if _, starts := in.(engine.Start); starts {
		at = r.begun // what DescribeExecution says, and the first event
	}
	if err := r.x.StepInto(b, at, in); err != nil {
		s.breakOff(r.id, r.info.ARN, err)
		if m != nil {
			m.fail(s.broken[r.id])
		}
		return held
	}
	s.d.counters.events.Add(int64(len(b.Events)))
	s.near(r, b, at)
	f := &flight{run: r}
	effects, rests := b.Effects, true
	if n := len(effects); n > 0 && effects[n-1] == (engine.Again{}) {
		// Going on acts on nothing outside, and what it decides follows this Step
		// into the log, so it need not wait until this one is durable.
		effects, rests = effects[:n-1], false
		defer s.owe(r)
	}
	f.effects = slices.Clone(effects)
	if m != nil {
		if f.settled = m.settled; m.ack != nil {
			f.acks = append(f.acks, m.ack)
		}
	}
	if r.watch {
		f.events = slices.Clone(b.Events)
	}
	now := r.x.Status()
	if _, again := in.(engine.Redrive); again && len(b.Events) > 0 {
		r.info.Stopped, r.info.RedriveCount = time.Time{}, r.info.RedriveCount+1
		_, r.info.Redriven = r.x.Redriven()
		moved = true
	}
	if now != engine.Running {
		r.info.Stopped = r.x.Last()
	}
	r.info.Status = now
	if r.info.InMemory() {
		r.flying++
		f.finish(nil)
		s.perform(f)
		return held
	}
	if len(b.Events) > 0 {
		s.buf = s.buf[:0]
		for i := range b.Events {
			s.buf = engine.AppendEvent(s.buf, &b.Events[i])
		}
		f.row = Row{
			ID:     r.id,
			Events: Events{From: b.Events[0].Seq, To: b.Events[len(b.Events)-1].Seq, Data: slices.Clone(s.buf)},
			New:    b.Events[0].Seq == 1,
			Absent: r.absent,
			Was:    r.status,
		}
		if rests {
			f.row.Snapshot = s.snapshot(r, len(s.buf))
		} else {
			r.since += len(s.buf)
		}
		r.absent = false
		if f.row.New || now != r.status || moved {
			f.row.Entry = entryOf(r.id, &r.info)
			r.status = now
		}
		var err error
		if f.more, err = s.runRows(r, b.Events); err != nil {
			s.breakOff(r.id, r.info.ARN, err)
			f.finish(s.broken[r.id])
			return held
		}
	} else if len(f.effects) == 0 && len(f.acks) == 0 && f.settled == nil {
		return held // nothing came of it, and nobody asks
	}
	r.flying++
	s.flights = append(s.flights, f)
	return held
}

// perform does what a Step wanted done, now that it is durable.
func (s *shard) perform(f *flight) {
	r := f.run
	r.flying--
	if r.ended {
		return // it could not go on
	}
	if len(f.events) > 0 {
		s.d.cfg.Observe(&r.info, f.events)
	}
	for _, ef := range f.effects {
		switch ef := ef.(type) {
		case engine.Invoke:
			s.invoke(r, ef)
		case engine.Sleep:
			if old, ok := r.timers[ef.Timer]; ok {
				s.timers.drop(alarm{old, r.id})
			}
			s.timers.add(alarm{r.sleep(ef), r.id})
		case engine.Cancel:
			s.cancel(r, ef)
		case engine.StartChild:
			s.startChild(r, ef)
		case engine.StopRun:
			s.stopChildren(r.broods[ef.Run])
		case engine.Again:
			s.owe(r)
		case engine.Finish:
			s.finished(r, ef)
			return
		default:
			s.breakOff(r.id, r.info.ARN, fmt.Errorf("unknown effect %T", ef))
			return
		}
	}
	if r.again && !r.queued {
		s.owe(r)
	}
	s.rest(r)
}

// owe notes that the execution is to be continued when it is its turn.
func (s *shard) owe(r *run) {
	r.again = true
	if !r.queued && r.flying < maxFlying {
		r.queued = true
		s.turn = append(s.turn, r)
	}
}

// goOn continues every execution that has a Continue coming, once.
func (s *shard) goOn() {
	turn := s.turn
	s.turn = nil
	for _, r := range turn {
		r.queued, r.again = false, false
		if !r.ended {
			s.step(r, engine.Continue{}, nil)
			s.rest(r)
		}
	}
}

func (s *shard) cancel(r *run, c engine.Cancel) {
	if c.Task != 0 {
		if p := r.tasks[c.Task]; p != nil {
			p.end(flow.ErrCancelled)
			delete(r.tasks, c.Task)
		}
		s.abandon(r, c.Task)
		return
	}
	if due, ok := r.timers[c.Timer]; ok {
		s.timers.drop(alarm{due, r.id})
		delete(r.timers, c.Timer)
	}
}

// finished lets go of an execution that has ended, and tells those who wait.
func (s *shard) finished(r *run, f engine.Finish) {
	s.d.counters.ended.Add(1)
	s.d.counters.opened.Add(-1)
	s.d.counted(r, -1)
	s.d.counters.endedAs[r.info.Status].Add(1)
	o := flow.Outcome{Execution: r.info, Output: f.Output, Error: f.Error, Cause: f.Cause}
	for _, w := range append(s.waiting[r.id], r.waiters...) {
		select {
		case w <- o:
		default:
		}
	}
	delete(s.waiting, r.id)
	delete(s.warned, r.id)
	s.ended(r.id)
	for _, b := range r.broods {
		s.stopChildren(b)
	}
	if r.info.Child.MapRun != "" {
		s.tell(&r.info, int32(r.info.RedriveCount), f.Output)
	}
	after := r.after
	r.after = nil
	s.end(r, flow.ErrCancelled)
	for i := range after {
		s.take(&after[i])
	}
}

// end takes an execution out of memory; its tasks end because of why.
func (s *shard) end(r *run, why error) {
	r.ended = true
	for _, p := range r.tasks {
		p.end(why)
	}
	if errors.Is(why, flow.ErrCancelled) {
		for task := range r.waits {
			s.abandon(r, task)
		}
	}
	for i := range r.held {
		r.held[i].fail(flow.ErrTaskClosed)
	}
	for i := range r.after {
		r.after[i].fail(why)
	}
	for _, due := range r.timers {
		s.timers.drop(alarm{due, r.id})
	}
	r.tasks, r.timers, r.held, r.after, r.broods, r.waits = nil, nil, nil, nil, nil, nil
	delete(s.live, r.id)
}

// rest takes an execution out of memory that only waits.
func (s *shard) rest(r *run) {
	if r.flying == 0 && !r.again && len(r.tasks) == 0 && !r.info.InMemory() && !r.ended && !r.holds() {
		delete(s.live, r.id)
		r.ended = true // whoever still has it must not use it
	}
}

// maxRung is how many Steps of a shard may be on their way to the log for it to
// wake more executions: when a million come due at once, or the log takes
// nothing, they are not all read into memory.
const maxRung = 1024

// ring wakes the executions whose time has come.
func (s *shard) ring() {
	now := time.Now()
	for s.flying+len(s.flights) < maxRung && !now.Before(s.silent) {
		a, meant, ok := s.timers.pop(now.UnixMilli())
		if !ok {
			return
		}
		if !meant {
			continue
		}
		r := s.live[a.id]
		if r == nil {
			if s.broken[a.id] != nil {
				continue
			}
			var err error
			if r, err = s.fetch(a.id); err != nil && s.isUnread(err) {
				s.timers.add(a)
				s.silent = now.Add(readAgain)
				return
			}
			if err != nil || r == nil {
				continue
			}
		}
		// Each timer has an alarm of its own, so one of those that are due at this
		// very time is meant; which one makes no difference.
		ring := int64(0)
		for t, at := range r.timers {
			if at == a.due && (ring == 0 || t < ring) {
				ring = t
			}
		}
		if ring != 0 {
			delete(r.timers, ring)
			s.step(r, engine.TimerFired{Timer: ring}, nil)
		}
		s.rest(r)
	}
}
