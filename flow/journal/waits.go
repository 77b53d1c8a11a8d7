package journal

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/value"
)

// Tasks that await an execution (.sync) hold nothing while they do: the shard of
// that execution has a line about who is to be told of its end, and the one that
// awaits it rests like any that only waits.

// watcher is a task that awaits the end of an execution.
type watcher struct {
	id   uint64 // its execution
	task int64
}

func (r *run) waitsFor(ef engine.Invoke) {
	if r.waits == nil {
		r.waits = map[int64]engine.Invoke{}
	}
	r.waits[ef.Task] = ef
}

// submitted goes on with a task whose call has been made, and awaits what it has
// started.
func (s *shard) submitted(r *run, task int64) {
	if r.ended {
		return
	}
	for _, ef := range r.x.Pending() {
		if i, ok := ef.(engine.Invoke); ok && i.Task == task && i.Submitted && r.awaits(&i) {
			s.await(r, i)
			return
		}
	}
}

// await has the end of what a task has submitted become its outcome.
func (s *shard) await(r *run, ef engine.Invoke) {
	w, ok := s.d.cfg.Invoker.(flow.Watcher)
	if !ok {
		s.awaitEnd(r, ef)
		return
	}
	arn := w.Watched(s.task(r, ef), ef.Job)
	if arn == "" {
		s.awaitEnd(r, ef)
		return
	}
	e, err := s.d.cfg.Log.Find(context.Background(), arn)
	if err != nil || e.Status != engine.Running {
		s.awaitEnd(r, ef) // which knows what that means
		return
	}
	r.waitsFor(ef)
	s.d.shard(e.ID).send(message{kind: watch, id: e.ID, of: r.id, task: ef.Task})
}

// awaitEnd awaits it on a goroutine.
func (s *shard) awaitEnd(r *run, ef engine.Invoke) {
	ctx, ok := s.begin(r, ef.Task, true)
	if !ok {
		return
	}
	c := &call{shard: s, id: r.id, task: s.task(r, ef), pattern: ef.Part.Pattern}
	go func() {
		s.d.taskAwaits()
		defer s.d.awaitEnds()
		c.await(ctx, ef.Job)
	}()
}

// watch notes who is to be told of an execution's end, or tells it if that is so
// already.
func (s *shard) watch(m *message) {
	w := watcher{m.of, m.task}
	switch _, err := s.d.cfg.Log.Running(context.Background(), m.id); {
	case errors.Is(err, flow.ErrNotFound):
		s.tellWatcher(w)
	default: // also where the log cannot be read: the end is told of all the same
		if s.watches == nil {
			s.watches = map[uint64][]watcher{}
		}
		s.watches[m.id] = append(s.watches[m.id], w)
	}
}

// ended tells those who await the end of an execution. It is durable.
func (s *shard) ended(id uint64) {
	for _, w := range s.watches[id] {
		s.tellWatcher(w)
	}
	delete(s.watches, id)
}

func (s *shard) tellWatcher(w watcher) {
	s.d.shard(w.id).send(message{kind: watched, id: w.id, task: w.task})
}

// watched goes on with a task: what it awaits has ended. One that does so no
// longer is not there, or knows nothing of it.
func (s *shard) watched(m *message) {
	r, err := s.get(m)
	if s.later(m, err) || err != nil || r == nil {
		return
	}
	if ef, ok := r.waits[m.task]; ok {
		delete(r.waits, m.task)
		s.awaitEnd(r, ef)
	}
	s.rest(r)
}

// abandon ends what a task awaits, if it does: nobody waits for the task any more.
func (s *shard) abandon(r *run, task int64) {
	ef, ok := r.waits[task]
	if !ok {
		return
	}
	delete(r.waits, task)
	s.orphan(&call{shard: s, id: r.id, task: s.task(r, ef), pattern: ef.Part.Pattern}, ef.Job)
}

// orphan ends a job that nobody waits for.
func (s *shard) orphan(c *call, job value.Value) {
	if !s.d.taskBegins() {
		return // as if the process had died: it runs on
	}
	ctx, stop := context.WithCancelCause(s.d.ctx)
	stop(flow.ErrCancelled)
	go func() {
		s.d.taskAwaits()
		defer s.d.awaitEnds()
		c.await(ctx, job)
	}()
}

// begotten is an execution that a task has started.
type begotten struct {
	id     uint64
	arn    string
	origin string // the [flow.Task.ID]
}

// claim looks, once after the log was opened, for executions that nobody awaits
// although a task was to: it was given up in the moment in which the process died,
// before what it had started was ended.
func (s *shard) claim() {
	var alone []begotten
	for _, b := range s.begotten {
		if len(s.watches[b.id]) == 0 {
			alone = append(alone, b)
		}
	}
	s.begotten = nil
	if len(alone) == 0 || !s.d.taskBegins() {
		return
	}
	go func() {
		defer s.d.taskEnds()
		for _, b := range alone {
			if err := s.d.examine(b); err != nil && s.d.ctx.Err() == nil {
				s.d.cfg.Logger.Error("it is not known whether an execution is still awaited", "execution", b.arn, "err", err)
			}
		}
	}()
}

// examine ends an execution whose task was to await it, and was given up.
func (d *Driver) examine(b begotten) error {
	w, ok := d.cfg.Invoker.(flow.Watcher)
	i := strings.LastIndexByte(b.origin, '#')
	if !ok || i < 0 {
		return nil
	}
	task, err := strconv.ParseInt(b.origin[i+1:], 10, 64)
	if err != nil {
		return nil // no task of ours
	}
	e, err := d.cfg.Log.Find(d.ctx, b.origin[:i])
	if errors.Is(err, flow.ErrNotFound) {
		return nil // it is forgotten, and so long over
	}
	if err != nil {
		return err
	}
	scheduled, timedOut := engine.Event{}, false
	for ev, err := range d.History(d.ctx, e.ARN, task, false) {
		switch {
		case err != nil:
			return err
		case ev.Seq == task:
			scheduled = ev
		case ev.Ref != task:
		case ev.Type == engine.ServiceTaskSucceeded || ev.Type == engine.ServiceTaskFailed:
			return nil // it was answered, with the execution's end or without
		case ev.Type == engine.ServiceTaskTimedOut:
			timedOut = true
		}
	}
	x, err := executionOf(&e)
	if err != nil {
		return err
	}
	rev, prog, err := d.program(d.ctx, &x)
	if err != nil {
		return err
	}
	st := prog.State(scheduled.State)
	if scheduled.Type != engine.ServiceTaskScheduled || st == nil || st.Task == nil || st.Task.Pattern != asl.Sync && st.Task.Pattern != asl.Sync2 {
		return nil // it was not to be awaited
	}
	s := d.shard(e.ID)
	r := &run{id: e.ID, info: x, role: rev.RoleARN}
	if e.Status == engine.Running && !timedOut {
		if r, err = s.replay(e); err != nil { // one of our own: nobody else has it
			return err
		}
		for _, ef := range r.x.Pending() {
			if in, ok := ef.(engine.Invoke); ok && in.Task == task {
				return nil // it waits, or asks again
			}
		}
	}
	ef := engine.Invoke{Task: task, State: st.Name, Part: st.Task, Args: scheduled.Data, Submitted: true}
	if scheduled.More != nil {
		ef.RoleARN = scheduled.More.RoleARN
	}
	t := s.task(r, ef)
	s.orphan(&call{shard: s, id: e.ID, task: t, pattern: st.Task.Pattern}, w.Job(t, b.arn))
	return nil
}
