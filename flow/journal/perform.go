package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"

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
}

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
			s.d.queues.push(ef.Part.Resource, ticket{r.id, ef.Task})
		}
		return
	}
	sync := pattern == asl.Sync || pattern == asl.Sync2
	awaits := sync || pattern == asl.WaitForTaskToken && r.info.TestCase != ""
	if ef.Submitted && !awaits {
		return
	}
	if !s.d.taskBegins() {
		return // the driver is closing: the next one performs it
	}
	ctx, stop := context.WithCancelCause(s.d.ctx)
	if r.tasks == nil {
		r.tasks = map[int64]*performance{}
	}
	r.tasks[ef.Task] = &performance{stop: stop, awaits: awaits}
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
	if t.TestCase != "" && r.info.InMemory() {
		t.Nth = r.count(ef.State)
	}
	if t.RoleARN == "" {
		t.RoleARN = r.role
	}
	if r.info.Trace != "" {
		if rev, _, err := s.d.cfg.Programs.Program(s.d.ctx, r.info.Revision); err == nil && rev.Tracing {
			t.Trace = r.info.TaskTrace(t.ID)
		}
	}
	c := call{shard: s, id: r.id, task: t, pattern: pattern, express: r.info.InMemory()}
	go func() {
		job, submitted := ef.Job, ef.Submitted
		if !submitted {
			job, submitted = c.submit(ctx)
		}
		if !submitted || !awaits {
			s.d.taskEnds()
			return
		}
		s.d.taskAwaits()
		defer s.d.awaitEnds()
		c.await(ctx, job)
	}()
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

// submit makes the call. It reports whether the task goes on after that, and
// with what.
func (c *call) submit(ctx context.Context) (job value.Value, submitted bool) {
	select {
	case c.d.slots <- struct{}{}:
		// What a task awaits may need a slot itself, so none is kept for awaiting.
		defer func() { <-c.d.slots }()
	case <-ctx.Done():
		return job, false
	}
	if c.d.closing.Load() {
		return job, false
	}
	t := c.task
	if t.TestCase != "" && !c.express {
		var err error
		if t.Nth, err = c.d.nth(ctx, t); err != nil {
			if ctx.Err() == nil {
				c.done(c.failed(t, err))
			}
			return job, false
		}
	}
	out, err := c.d.cfg.Invoker.Invoke(ctx, t)
	plain := c.pattern == asl.RequestResponse || c.pattern == asl.WaitForTaskToken
	switch {
	case ctx.Err() != nil && (err != nil || plain):
		return job, false // cancelled: nobody waits; closing: it is performed again
	case err != nil:
		c.done(c.failed(t, err))
		return job, false
	case c.pattern == asl.RequestResponse:
		c.done(engine.TaskDone{Task: t.Task, Output: out})
		return job, false
	}
	c.done(engine.TaskSubmitted{Task: t.Task, Output: out})
	return out, true // also when nobody waits any more: a job was started, which is to be ended
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
