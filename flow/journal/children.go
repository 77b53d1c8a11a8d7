package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/value"
)

// brood is a Map Run's children that are under way, as far as their parent's
// shard knows. It holds the parent in memory.
type brood struct {
	permit permit
	wait   []engine.StartChild // until it is known whether they may be started
	under  map[int32]childRef
}

// childRef is a child under way.
type childRef struct {
	id      uint64
	attempt int32
}

// permit is whether a Map Run may start executions: asked once for each run and
// process.
type permit uint8

const (
	notAsked permit = iota
	asked
	granted
)

// size is how many children wait or are under way.
func (b *brood) size() int { return len(b.wait) + len(b.under) }

// holds reports whether r has children under way, and so must stay in memory.
func (r *run) holds() bool {
	for _, b := range r.broods {
		if b.size() > 0 {
			return true
		}
	}
	return false
}

// startChild has a child of r's started, redriven or, after a restart, found.
func (s *shard) startChild(r *run, ef engine.StartChild) {
	b := r.broods[ef.Run]
	if b == nil {
		b = &brood{under: map[int32]childRef{}}
		if r.broods == nil {
			r.broods = map[int64]*brood{}
		}
		r.broods[ef.Run] = b
	}
	if b.permit == notAsked && s.d.cfg.Permit == nil {
		b.permit = granted
	}
	if b.permit == granted {
		s.beginChild(r, b, ef)
		return
	}
	b.wait = append(b.wait, ef)
	if b.permit == notAsked {
		s.askPermit(r, b, ef)
	}
}

// askPermit finds out whether a Map Run may start executions.
func (s *shard) askPermit(r *run, b *brood, ef engine.StartChild) {
	if !s.d.taskBegins() {
		return // the driver is closing: the next one asks
	}
	b.permit = asked
	rs := flow.RunStart{
		MapRunARN: ef.MapRunARN, ExecutionARN: r.info.ARN, ExecutionName: r.info.Name, State: ef.State, RoleARN: r.role,
		Region: r.info.Region, Account: r.info.Account,
	}
	rs.MachineARN, _, _ = strings.Cut(r.info.MachineARN, "/")
	id := r.id
	go func() {
		defer s.d.taskEnds()
		err := s.d.cfg.Permit(s.d.ctx, rs)
		if s.d.ctx.Err() != nil {
			return // asked again by the next process
		}
		m := message{kind: permitted, id: id, in: engine.RunFailed{Run: ef.Run}}
		if err != nil {
			f := engine.RunFailed{Run: ef.Run}
			if te, ok := errors.AsType[*flow.TaskError](err); ok {
				f.Failure.Error, f.Failure.Cause = &te.Name, &te.Cause
			} else {
				s.d.cfg.Logger.Error("a Map Run could not begin", "execution", rs.ExecutionARN, "run", rs.MapRunARN, "err", err)
				f.Failure.Error, f.Failure.Cause = new("States.TaskFailed"), new("The Map Run could not begin because of an internal error.")
			}
			m.in, m.refused = f, true
		}
		s.send(m)
	}()
}

// permitted goes on with a Map Run that may start executions, or fails it.
func (s *shard) permitted(m *message) {
	r := s.live[m.id]
	if r == nil {
		return
	}
	f := m.in.(engine.RunFailed)
	b := r.broods[f.Run]
	if b == nil {
		return
	}
	wait := b.wait
	b.wait = nil
	if m.refused {
		b.permit = notAsked // a redrive asks again
		s.step(r, f, nil)
	} else {
		b.permit = granted
		for _, ef := range wait {
			s.beginChild(r, b, ef)
		}
	}
	s.rest(r)
}

// beginChild starts a child that has never been started; what may have been, it
// looks up first.
func (s *shard) beginChild(r *run, b *brood, ef engine.StartChild) {
	x, err := s.childOf(r, &ef)
	if err != nil {
		s.breakOff(r.id, r.info.ARN, err)
		return
	}
	if ef.Attempt > 0 || ef.Input.IsUndefined() {
		if id, ok := s.d.born(x.ARN); ok { // and the log does not know it yet
			b.under[ef.Child] = childRef{id, ef.Attempt}
			if ef.Attempt > 0 {
				s.d.shard(id).send(message{kind: revive, id: id, arn: x.ARN, attempt: ef.Attempt, child: true})
			}
			return
		}
		e, err := s.d.cfg.Log.Find(context.Background(), x.ARN)
		switch {
		case err == nil:
			s.meetChild(r, b, &ef, e)
			return
		case !errors.Is(err, flow.ErrNotFound):
			s.breakOff(r.id, r.info.ARN, err)
			return
		}
		if ef.Input.IsUndefined() {
			var ok bool
			if ef.Input, ok = r.x.ChildInput(ef.Run, ef.Child); !ok {
				return // nobody waits for it any more
			}
		}
	}
	rev, prog, err := s.d.program(context.Background(), &x)
	if err != nil {
		s.breakOff(r.id, r.info.ARN, err)
		return
	}
	k := s.d.newRun(s.d.lastID.Add(1), x, rev, prog)
	b.under[ef.Child] = childRef{k.id, ef.Attempt}
	s.d.shard(k.id).send(message{kind: start, run: k, in: engine.Start{Input: ef.Input}, settled: s.d.bear(x.ARN, k.id)})
}

// bear notes a child whose start is not durable yet; what it returns is called
// when that is, or never will be.
func (d *Driver) bear(arn string, id uint64) (settled func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.births[arn] = id
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.births, arn)
	}
}

// born is the number of a child whose start is not durable yet.
func (d *Driver) born(arn string) (id uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok = d.births[arn]
	return id, ok
}

// childOf is the execution that ef asks for.
func (s *shard) childOf(r *run, ef *engine.StartChild) (flow.Execution, error) {
	st, err := s.mapState(r, ef.State)
	if err != nil {
		return flow.Execution{}, err
	}
	machine, _, _ := strings.Cut(r.info.MachineARN, "/")
	machine += "/" + ef.Label
	return flow.Execution{
		ARN: flow.ChildARN(machine, ef.Name, st.Map.Express), Name: ef.Name, Revision: r.info.Revision, MachineARN: machine, Express: st.Map.Express,
		Region: r.info.Region, Account: r.info.Account, Seed: r.info.Seed ^ hash(ef.Name), Trace: r.info.Trace, TestCase: r.info.TestCase,
		RedriveCount: int64(ef.Attempt),
		Child: flow.Child{
			MapRun: ef.MapRunARN, Parent: r.info.ARN, State: ef.State, Label: ef.Label, Items: ef.Items, Of: r.id, Run: ef.Run, Index: ef.Child,
		},
	}, nil
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func (s *shard) mapState(r *run, name string) (*asl.State, error) {
	_, prog, err := s.d.cfg.Programs.Program(context.Background(), r.info.Revision)
	if err != nil {
		return nil, err
	}
	st := prog.State(name)
	if st == nil || st.Map == nil {
		return nil, fmt.Errorf("there is no Map state %q", name)
	}
	return st, nil
}

// meetChild goes on with a child that there is already: it runs, has ended, or
// is to be redriven.
func (s *shard) meetChild(r *run, b *brood, ef *engine.StartChild, e Entry) {
	x, err := executionOf(&e)
	if err != nil {
		s.breakOff(r.id, r.info.ARN, err)
		return
	}
	b.under[ef.Child] = childRef{e.ID, ef.Attempt}
	switch {
	case x.RedriveCount < int64(ef.Attempt):
		s.d.shard(e.ID).send(message{kind: revive, id: e.ID, arn: e.ARN, attempt: ef.Attempt, child: true})
	case e.Status != engine.Running:
		s.tell(&x, int32(x.RedriveCount), s.outputOf(&e))
	}
}

// outputOf is the output of an execution that has ended; Undefined if it has none.
func (s *shard) outputOf(e *Entry) value.Value {
	if e.Status != engine.Succeeded {
		return value.Value{}
	}
	for rows, err := range s.d.cfg.Log.Read(context.Background(), e.ID, 0, true) {
		var last engine.Event
		for ev, err2 := range decode(func(y func(Events, error) bool) { y(rows, err) }) {
			if err2 != nil {
				s.breakOff(e.ID, e.ARN, err2)
				return value.Value{}
			}
			last = ev
		}
		return last.Data
	}
	return value.Value{}
}

// tell tells a child's parent how it ended.
func (s *shard) tell(x *flow.Execution, attempt int32, output value.Value) {
	c := &x.Child
	s.d.shard(c.Of).send(message{kind: childEnded, id: c.Of, in: engine.ChildDone{
		Run: c.Run, Child: c.Index, Attempt: attempt, Status: x.Status, Output: output,
	}})
}

// childEnded takes the end of a child.
func (s *shard) childEnded(m *message) {
	r := s.live[m.id]
	if r == nil {
		return // it has ended, or waits for no child
	}
	in := m.in.(engine.ChildDone)
	if b := r.broods[in.Run]; b == nil || b.under[in.Child].id == 0 || b.under[in.Child].attempt != in.Attempt {
		return
	} else {
		delete(b.under, in.Child)
	}
	s.step(r, in, nil)
	s.rest(r)
}

// stopChildren stops what is under way of a Map Run.
func (s *shard) stopChildren(b *brood) {
	if b == nil {
		return
	}
	b.wait = nil
	for _, k := range b.under {
		s.d.shard(k.id).send(message{kind: feed, id: k.id, in: engine.Stop{}})
	}
	clear(b.under)
}

// wanted stops a child that was open when the log was opened, if its parent no
// longer waits for it.
func (s *shard) wanted(m *message) {
	in := m.in.(engine.ChildDone)
	if s.broken[m.id] != nil {
		return
	}
	if r := s.live[m.id]; r != nil && r.x.ChildRuns(in.Run, in.Child, in.Attempt) {
		return
	}
	s.d.shard(m.of).send(message{kind: feed, id: m.of, in: engine.Stop{}})
}

// revive redrives an execution: for somebody, or (child) for its Map Run.
func (s *shard) revive(m *message) {
	if err := s.broken[m.id]; err != nil {
		m.fail(err)
		return
	}
	ctx := context.Background()
	r := s.live[m.id]
	if r == nil {
		e, err := s.d.cfg.Log.Find(ctx, m.arn)
		if err != nil {
			if !errors.Is(err, flow.ErrNotFound) {
				err = unread{err}
			}
			if !s.later(m, err) {
				m.fail(err)
			}
			return
		}
		if r, err = s.replay(e); err != nil {
			if s.later(m, err) {
				return
			}
			if !s.isUnread(err) {
				s.breakOff(m.id, m.arn, err)
				err = s.broken[m.id]
			}
			m.fail(err)
			return
		}
		if e.Status == engine.Running { // it only waits
			for _, ef := range r.x.Pending() {
				if sl, ok := ef.(engine.Sleep); ok {
					r.sleep(sl)
				}
			}
		}
		s.live[r.id] = r
	}
	switch running := r.x.Status() == engine.Running; {
	case running && m.child:
		// Its Stop has been lost with the process that was to send it.
		s.step(r, engine.Stop{}, nil)
		r.after = append(r.after, *m)
		return
	case !running && r.flying > 0:
		r.after = append(r.after, *m) // its end is not durable yet
		return
	}
	if err := r.info.Refusal(&s.d.limits, r.x.Events(), time.Now()); err != nil {
		m.fail(err)
		if m.child { // what it came to stays
			s.tell(&r.info, m.attempt, outputOf(r.x))
		}
		s.rest(r)
		return
	}
	if m.child {
		r.info.RedriveCount = int64(m.attempt) - 1
	}
	s.step(r, engine.Redrive{Token: m.token}, m)
	if r.x.Status() == engine.Running {
		s.d.counters.opened.Add(1)
		s.d.counted(r, 1)
	}
	s.rest(r)
}

func outputOf(x *engine.Execution) value.Value {
	f, _ := x.Outcome()
	return f.Output
}

// Redrive implements [flow.Driver].
func (d *Driver) Redrive(ctx context.Context, arn, token string) (flow.Execution, error) {
	e, err := d.cfg.Log.Find(ctx, arn)
	if err != nil {
		return flow.Execution{}, err
	}
	if err := d.down(); err != nil {
		return flow.Execution{}, err
	}
	if err := d.room(); err != nil {
		return flow.Execution{}, fmt.Errorf("redrive %s: %w", arn, err)
	}
	ack := make(chan error, 1)
	d.shard(e.ID).send(message{kind: revive, id: e.ID, arn: arn, token: token, ack: ack})
	if err := d.wait(ctx, ack); err != nil {
		return flow.Execution{}, fmt.Errorf("redrive %s: %w", arn, err)
	}
	return d.Describe(ctx, arn)
}

// program is what an execution runs: its revision's program, or a part of it.
func (d *Driver) program(ctx context.Context, x *flow.Execution) (flow.Revision, *asl.Program, error) {
	rev, prog, err := d.cfg.Programs.Program(ctx, x.Revision)
	if err != nil || x.Child.MapRun == "" {
		return rev, prog, err
	}
	st := prog.State(x.Child.State)
	if st == nil || st.Map == nil {
		return rev, nil, fmt.Errorf("there is no Map state %q", x.Child.State)
	}
	return rev, prog.Child(st), nil
}

// The index holds a Map Run like an execution, under the execution that it
// belongs to. It has an empty row of events, so that its number is not given
// again.

// isRun reports whether an entry is a Map Run's.
func isRun(arn string) bool { return strings.Contains(arn, ":mapRun:") }

// runVersion is the form of a Map Run's Entry.Data.
const runVersion = 1

func appendRun(b []byte, run int64, execution, machine string) []byte {
	b = binary.AppendUvarint(append(b, runVersion), uint64(run))
	for _, s := range []string{execution, machine} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func decodeRun(b []byte) (run int64, execution, machine string, err error) {
	if len(b) == 0 {
		return 0, "", "", errShort
	}
	if b[0] != runVersion {
		return 0, "", "", fmt.Errorf("version %d, which this program does not know", b[0])
	}
	n, k := binary.Uvarint(b[1:])
	if k <= 0 || n == 0 || n > 1<<62 {
		return 0, "", "", errShort
	}
	b = b[1+k:]
	for _, to := range []*string{&execution, &machine} {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return 0, "", "", errShort
		}
		*to, b = string(b[k:k+int(n)]), b[k+int(n):]
	}
	if len(b) != 0 {
		return 0, "", "", errors.New("something after its end")
	}
	return int64(n), execution, machine, nil
}

// runRows are the changes of the index that a Step's events mean for Map Runs.
func (s *shard) runRows(r *run, events []engine.Event) ([]Row, error) {
	var rows []Row
	set := func(e *Entry, st engine.Status, at int64) {
		was := e.Status
		c := *e
		if c.Status, c.Stopped = st, at; st == engine.Running {
			c.Stopped = 0
		}
		*e = c
		rows = append(rows, Row{ID: e.ID, Entry: &c, Was: was})
	}
	for i := range events {
		ev := &events[i]
		switch ev.Type {
		case engine.MapRunStarted:
			label := ev.More.MapRunARN[strings.Index(ev.More.MapRunARN, "/")+1:]
			label, _, _ = strings.Cut(label, ":")
			machine, _, _ := strings.Cut(r.info.MachineARN, "/")
			e := &Entry{
				ID: s.d.lastID.Add(1), ARN: ev.More.MapRunARN, Under: []string{r.info.ARN}, Started: ev.At,
				Data: appendRun(nil, ev.Seq, r.info.ARN, machine+"/"+label),
			}
			if r.runs == nil {
				r.runs = map[int64]*Entry{}
			}
			r.runs[ev.Seq] = e
			rows = append(rows, Row{ID: e.ID, Events: Events{From: 1, To: 1}, Entry: new(*e), New: true})
		case engine.MapRunRedriven:
			e, err := s.d.cfg.Log.Find(context.Background(), ev.More.MapRunARN)
			if errors.Is(err, flow.ErrNotFound) {
				continue // forgotten
			}
			if err != nil {
				return nil, err
			}
			if r.runs == nil {
				r.runs = map[int64]*Entry{}
			}
			r.runs[ev.Ref] = &e
			set(&e, engine.Running, 0)
		case engine.MapRunSucceeded, engine.MapRunFailed, engine.MapRunAborted:
			if e := r.runs[ev.Ref]; e != nil {
				set(e, map[engine.EventType]engine.Status{
					engine.MapRunSucceeded: engine.Succeeded, engine.MapRunFailed: engine.Failed, engine.MapRunAborted: engine.Aborted,
				}[ev.Type], ev.At)
				delete(r.runs, ev.Ref)
			}
		default:
			if !ev.Type.Closes() {
				continue
			}
			for _, o := range r.x.OpenRuns() {
				if e := r.runs[o.Run]; e != nil {
					set(e, engine.Aborted, ev.At)
					delete(r.runs, o.Run)
				}
			}
		}
	}
	return rows, nil
}

// findRuns reads the entries of the Map Runs that are under way.
func (s *shard) findRuns(r *run) error {
	if r.x.Status() != engine.Running {
		return nil
	}
	for _, o := range r.x.OpenRuns() {
		e, err := s.d.cfg.Log.Find(context.Background(), o.MapRunARN)
		if err != nil {
			return fmt.Errorf("index of %s: %w", o.MapRunARN, unread{err})
		}
		if e.Status != engine.Running {
			continue // its redrive is yet to be told
		}
		if r.runs == nil {
			r.runs = map[int64]*Entry{}
		}
		r.runs[o.Run] = &e
	}
	return nil
}

// MapRun implements [flow.MapRuns].
func (d *Driver) MapRun(ctx context.Context, arn string) (flow.MapRun, error) {
	e, err := d.cfg.Log.Find(ctx, arn)
	if err != nil {
		return flow.MapRun{}, err
	}
	var r flow.MapRun
	if r.ID, r.ExecutionARN, r.MachineARN, err = decodeRun(e.Data); err != nil {
		return r, fmt.Errorf("record of %s: %w", arn, err)
	}
	if r.MapRun, err = engine.FollowMapRun(d.History(ctx, r.ExecutionARN, r.ID, false)); err != nil {
		return r, fmt.Errorf("history of %s: %w", arn, err)
	}
	return r, nil
}

// FindMapRun implements [flow.MapRuns].
func (d *Driver) FindMapRun(ctx context.Context, arn string) (flow.ListedRun, error) {
	e, err := d.cfg.Log.Find(ctx, arn)
	if err != nil {
		return flow.ListedRun{}, err
	}
	return listedRun(&e)
}

func listedRun(e *Entry) (r flow.ListedRun, err error) {
	r.MapRunARN, r.Started = e.ARN, time.UnixMilli(e.Started).UTC()
	r.Mark = flow.Mark{Started: r.Started, ID: e.ID}
	if e.Stopped != 0 {
		r.Stopped = time.UnixMilli(e.Stopped).UTC()
	}
	if _, r.ExecutionARN, r.MachineARN, err = decodeRun(e.Data); err != nil {
		return r, fmt.Errorf("record of %s: %w", e.ARN, err)
	}
	return r, nil
}

// MapRuns implements [flow.MapRuns].
func (d *Driver) MapRuns(ctx context.Context, execution string, after *flow.Mark) iter.Seq2[flow.ListedRun, error] {
	return func(yield func(flow.ListedRun, error) bool) {
		var from *Place
		if after != nil {
			from = &Place{after.Started.UnixMilli(), after.ID}
		}
		for e, err := range d.cfg.Log.List(ctx, execution, nil, from) {
			var r flow.ListedRun
			if err == nil {
				r, err = listedRun(&e)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
