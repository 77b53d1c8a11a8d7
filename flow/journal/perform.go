package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/value"
)

// performance is one task being performed.
type performance struct {
	stop   context.CancelCauseFunc
	awaits bool      // it goes on after the task was submitted: .sync, or a test case
	held   []message // answers that came before the call that handed out the token was over
	late   bool      // they no longer wait for it
}

// answerGrace is how long an answer waits for the call that handed out its token.
const answerGrace = 100 * time.Millisecond

// end is for performances whose task nobody waits for any more.
func (p *performance) end(why error) {
	p.stop(why)
	for i := range p.held {
		p.held[i].fail(flow.ErrTaskClosed)
	}
	p.held = nil
}

// invoke has a task performed, unless all that is left of it is to wait for
// somebody's answer.
func (s *shard) invoke(r *run, ef engine.Invoke) {
	pattern := asl.RequestResponse
	if ef.Part != nil {
		pattern = ef.Part.Pattern
	}
	if ef.Part != nil && ef.Part.Kind == asl.ActivityTask {
		if !ef.Started {
			s.d.queues.push(ef.Part.Resource, ticket{id: r.id, task: ef.Task})
		}
		return
	}
	awaits := r.awaits(&ef)
	if ef.Submitted {
		if awaits {
			s.await(r, ef)
		}
		return
	}
	t := s.task(r, ef)
	if t.TestCase != "" && r.info.InMemory() {
		t.Nth = r.count(ef.State)
	}
	if r.info.Trace != "" {
		if rev, _, err := s.d.cfg.Programs.Program(s.d.ctx, r.info.Revision); err == nil && rev.Tracing {
			t.Trace = r.info.TaskTrace(t.ID)
		}
	}
	ctx, ok := s.begin(r, ef.Task, awaits)
	if !ok {
		return
	}
	c := &call{shard: s, id: r.id, task: t, pattern: pattern, express: r.info.InMemory()}
	stop := r.tasks[ef.Task].stop
	go func() {
		defer s.d.taskEnds()
		c.submit(ctx)
		if !awaits {
			stop(nil) // an answer may have come first, and then nobody else does
		}
	}()
}

// awaits reports whether a task goes on after its call was made, until what that
// started has ended.
func (r *run) awaits(ef *engine.Invoke) bool {
	if ef.Part == nil {
		return false
	}
	switch ef.Part.Pattern {
	case asl.Sync, asl.Sync2:
		return true
	case asl.WaitForTaskToken:
		return r.info.TestCase != ""
	}
	return false
}

// begin notes that a task is being performed. It reports false where the driver
// is closing: the next one performs it then.
func (s *shard) begin(r *run, task int64, awaits bool) (context.Context, bool) {
	if !s.d.taskBegins() {
		return nil, false
	}
	ctx, stop := context.WithCancelCause(s.d.ctx)
	if r.tasks == nil {
		r.tasks = map[int64]*performance{}
	}
	r.tasks[task] = &performance{stop: stop, awaits: awaits}
	return ctx, true
}

// task is what an Invoker is told.
func (s *shard) task(r *run, ef engine.Invoke) flow.Task {
	t := flow.Task{
		Invoke:        ef,
		ID:            taskID(r.info.ARN, ef.Task),
		RoleARN:       ef.RoleARN,
		MachineRole:   r.role,
		MachineARN:    r.info.MachineARN,
		ExecutionARN:  r.info.ARN,
		ExecutionName: r.info.Name,
		Region:        r.info.Region,
		Account:       r.info.Account,
		TestCase:      r.info.TestCase,
	}
	if t.RoleARN == "" {
		t.RoleARN = r.role
	}
	return t
}

// call is a performance on its goroutine, which the shard's own things are not
// to be touched by.
type call struct {
	*shard
	id      uint64
	task    flow.Task
	pattern asl.Pattern
	express bool // and in memory only
}

// done sends what came of the task, or of its submission.
func (c *call) done(in engine.Input) { c.send(message{kind: outcome, id: c.id, in: in}) }

// submit makes the call.
func (c *call) submit(ctx context.Context) {
	select {
	case c.d.slots <- struct{}{}:
		// What a task awaits may need a slot itself, so none is kept for awaiting.
		defer func() { <-c.d.slots }()
	case <-ctx.Done():
		return
	}
	if c.d.closing.Load() {
		return
	}
	t := c.task
	if t.TestCase != "" && !c.express {
		var err error
		if t.Nth, err = c.d.nth(ctx, t); err != nil {
			if ctx.Err() == nil {
				c.done(c.failed(t, err))
			}
			return
		}
	}
	out, err := c.d.cfg.Invoker.Invoke(ctx, t)
	plain := c.pattern == asl.RequestResponse || c.pattern == asl.WaitForTaskToken
	switch {
	case ctx.Err() != nil && (err != nil || plain): // cancelled: nobody waits; closing: it is performed again
	case err != nil:
		c.done(c.failed(t, err))
	case c.pattern == asl.RequestResponse:
		c.done(engine.TaskDone{Task: t.Task, Output: out})
	default: // also when nobody waits any more: a job was started, which is to be ended
		c.send(message{kind: outcome, id: c.id, in: engine.TaskSubmitted{Task: t.Task, Output: out}, call: c})
	}
}

// await waits for the end of what was submitted.
func (c *call) await(ctx context.Context, job value.Value) {
	w, ok := c.d.cfg.Invoker.(flow.Awaiter)
	if !ok {
		c.done(c.failed(c.task, errors.New("nothing here can wait for a job's end")))
		return
	}
	out, err := w.Await(ctx, c.task, job)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.done(c.failed(c.task, err))
	default:
		c.done(engine.TaskDone{Task: c.task.Task, Output: out})
	}
}

// nth is how many tasks of the same state were scheduled before t.
func (d *Driver) nth(ctx context.Context, t flow.Task) (n int, err error) {
	for e, err := range d.History(ctx, t.ExecutionARN, 0, false) {
		if err != nil || e.Seq >= t.Task {
			return n, err
		}
		switch e.Type {
		case engine.ServiceTaskScheduled, engine.LambdaFunctionScheduled:
			if e.State == t.State {
				n++
			}
		}
	}
	return n, fmt.Errorf("task %d of %s is not in its history", t.Task, t.ExecutionARN)
}

// count is nth for executions whose history nobody keeps, and whose tasks are
// performed once each.
func (r *run) count(state string) int {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	n := r.counts[state]
	r.counts[state]++
	return n
}

// failed is what the workflow sees of an error.
func (s *shard) failed(t flow.Task, err error) engine.TaskFailed {
	f := engine.TaskFailed{Task: t.Task}
	if te, ok := errors.AsType[*flow.TaskError](err); ok {
		f.Failure.Error, f.Failure.Cause = &te.Name, &te.Cause
		return f
	}
	s.d.cfg.Logger.Error("task could not be performed", "execution", t.ExecutionARN, "state", t.State, "task", t.Task, "err", err)
	f.Failure.Error, f.Failure.Cause = new("States.TaskFailed"), new("The task could not be performed because of an internal error.")
	return f
}

// taskBegins counts a task, unless the driver is closing.
func (d *Driver) taskBegins() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing.Load() {
		return false
	}
	d.tasks++
	d.counters.tasks.Add(1)
	return true
}

func (d *Driver) taskEnds() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taskEndsLocked()
}

func (d *Driver) taskEndsLocked() {
	d.tasks--
	d.counters.tasks.Add(-1)
	if d.tasks == 0 && d.idle != nil {
		close(d.idle)
	}
}

// taskAwaits says that a task has made its call and now awaits what it started:
// the next process can do that as well, so Close does not wait for it.
func (d *Driver) taskAwaits() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.awaiting++
	d.taskEndsLocked()
}

func (d *Driver) awaitEnds() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.awaiting--
	if d.awaiting == 0 && d.alone != nil {
		close(d.alone)
		d.alone = nil
	}
}

// abandon waits until nothing is awaited any more; the context of tasks is done.
func (d *Driver) abandon() {
	d.mu.Lock()
	if d.awaiting == 0 {
		d.mu.Unlock()
		return
	}
	alone := make(chan struct{})
	d.alone = alone
	d.mu.Unlock()
	<-alone
}

// taskID is the idempotency token of a task.
func taskID(execution string, task int64) string {
	return execution + "#" + strconv.FormatInt(task, 10)
}
