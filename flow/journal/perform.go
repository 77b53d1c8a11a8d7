package journal

import (
	"context"
	"errors"
	"strconv"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
)

// performance is one task being performed.
type performance struct {
	stop   context.CancelCauseFunc
	awaits bool      // it goes on after the task was submitted: .sync
	held   []message // answers that came before the call that handed out the token was over
}

// end is for performances whose task nobody waits for any more.
func (p *performance) end() {
	p.stop(errCancelled)
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
	if ef.Submitted && !sync {
		return
	}
	if !s.d.taskBegins() {
		return // the driver is closing: the next one performs it
	}
	ctx, stop := context.WithCancelCause(s.d.ctx)
	if r.tasks == nil {
		r.tasks = map[int64]*performance{}
	}
	r.tasks[ef.Task] = &performance{stop: stop, awaits: sync}
	t := flow.Task{
		Invoke:        ef,
		ID:            taskID(r.info.ARN, ef.Task),
		RoleARN:       ef.RoleARN,
		MachineARN:    r.info.MachineARN,
		ExecutionARN:  r.info.ARN,
		ExecutionName: r.info.Name,
		Region:        r.info.Region,
		Account:       r.info.Account,
	}
	if t.RoleARN == "" {
		t.RoleARN = r.role
	}
	id := r.id
	go func() {
		defer s.d.taskEnds()
		select {
		case s.d.slots <- struct{}{}:
			defer func() { <-s.d.slots }()
		case <-ctx.Done():
			return
		}
		if s.d.closing.Load() {
			return
		}
		job := ef.Job
		if !ef.Submitted {
			out, err := s.d.cfg.Invoker.Invoke(ctx, t)
			switch {
			case ctx.Err() != nil:
				return // cancelled: nobody waits; closing: it is performed again
			case err != nil:
				s.send(message{kind: outcome, id: id, in: s.failed(t, err)})
				return
			case pattern == asl.RequestResponse:
				s.send(message{kind: outcome, id: id, in: engine.TaskDone{Task: ef.Task, Output: out}})
				return
			}
			s.send(message{kind: outcome, id: id, in: engine.TaskSubmitted{Task: ef.Task, Output: out}})
			if !sync {
				return
			}
			job = out
		}
		w, ok := s.d.cfg.Invoker.(flow.Awaiter)
		if !ok {
			s.send(message{kind: outcome, id: id, in: s.failed(t, errors.New("nothing here can wait for a job's end"))})
			return
		}
		out, err := w.Await(ctx, t, job)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.send(message{kind: outcome, id: id, in: s.failed(t, err)})
		default:
			s.send(message{kind: outcome, id: id, in: engine.TaskDone{Task: ef.Task, Output: out}})
		}
	}()
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
	d.tasks--
	d.counters.tasks.Add(-1)
	if d.tasks == 0 && d.idle != nil {
		close(d.idle)
	}
}

// taskID is the idempotency token of a task.
func taskID(execution string, task int64) string {
	return execution + "#" + strconv.FormatInt(task, 10)
}
