package engine

import (
	"fmt"

	"tokaido/asl"
	"tokaido/value"
)

// apply makes e part of x. It is the only function that changes what x is; it
// computes nothing, so replaying does the same as having decided. An error
// means that e cannot follow what x has seen.
func (x *Execution) apply(e *Event) error {
	if e.Seq != x.seq+1 {
		return fmt.Errorf("engine: event %d after event %d", e.Seq, x.seq)
	}
	if e.Type.Internal() != (e.ID == 0) || e.ID != 0 && e.ID != x.id+1 {
		return fmt.Errorf("engine: event %d (%s) has the id %d after the id %d", e.Seq, e.Type, e.ID, x.id)
	}
	if (x.status == Running) == (e.Type == ExecutionRedriven) || x.status == Succeeded {
		return fmt.Errorf("engine: event %d (%s) after the end", e.Seq, e.Type)
	}
	if x.seq == 0 && e.Type != ExecutionStarted {
		return errNotStarted
	}
	if e.At < x.last {
		return fmt.Errorf("engine: event %d (%s) is before the one before it", e.Seq, e.Type)
	}
	th := x.thread(e.Thread)
	if th == nil && e.Type != MapIterationStarted {
		return fmt.Errorf("engine: event %d (%s) of the thread %d, which there is not", e.Seq, e.Type, e.Thread)
	}
	if err := x.change(th, e); err != nil {
		return fmt.Errorf("engine: event %d (%s): %w", e.Seq, e.Type, err)
	}
	x.seq, x.last = e.Seq, e.At
	if e.ID != 0 {
		x.id = e.ID
	}
	return nil
}

func (x *Execution) change(th *thread, e *Event) error {
	switch e.Type {
	case ExecutionStarted:
		if x.seq != 0 || th.id != 0 || e.Data.IsUndefined() {
			return fmt.Errorf("a second start, or one without input")
		}
		x.started, x.input = e.At, e.Data
		x.setDeadline(e.At)
		th.input = e.Data
		th.phase = arriving
		x.ready.push(th)

	case PassStateEntered, TaskStateEntered, ChoiceStateEntered, WaitStateEntered,
		SucceedStateEntered, FailStateEntered, ParallelStateEntered, MapStateEntered:
		st := x.hint
		if st == nil || st.Name != e.State {
			st = x.cfg.Program.State(e.State)
		}
		if st == nil || enteredTypes[st.Type] != e.Type || e.Data.IsUndefined() {
			return fmt.Errorf("no such state %q, or no input", e.State)
		}
		if th.phase != arriving && th.phase != between {
			return fmt.Errorf("the thread is busy in %q", th.state.Name)
		}
		th.state, th.input = st, e.Data
		th.entered, th.before, th.enteredAt, th.cursor = e.ID, e.Prev, e.At, e.ID
		th.retries, th.retried = th.retries[:0], 0
		th.phase = entered
		x.ready.push(th)

	case PassStateExited, TaskStateExited, ChoiceStateExited, WaitStateExited,
		SucceedStateExited, ParallelStateExited, MapStateExited:
		if th.state == nil || th.phase == arriving || th.state.Name != e.State || exitedTypes[th.state.Type] != e.Type || e.Data.IsUndefined() {
			return fmt.Errorf("not in the state %q, or no output", e.State)
		}
		x.settle(th)
		th.cursor, th.input = e.ID, e.Data
		if e.More != nil {
			for name, v := range e.More.Vars.Members() {
				th.set(name, v)
			}
		}

	case ServiceTaskScheduled, LambdaFunctionScheduled, ActivityScheduled:
		if e.More == nil || !th.begins(asl.Task) || taskTypes[th.state.Task.Kind].scheduled != e.Type {
			return fmt.Errorf("no details, or not in a state that calls it")
		}
		x.settle(th)
		th.cursor = e.ID
		th.task = task{id: e.Seq, args: e.Data, more: e.More, same: th.task.same}
		if n := e.More.TimeoutSeconds; n > 0 {
			th.task.due = e.At + n*1000
		}
		if e.Type == ActivityScheduled {
			th.phase = active
			break
		}
		th.phase = scheduled
		x.starting.push(th)

	case ServiceTaskStarted, LambdaFunctionStarted, ActivityStarted:
		if th.phase != scheduled && th.phase != active || taskTypes[th.state.Task.Kind].started != e.Type {
			return fmt.Errorf("no task to start")
		}
		th.leave()
		th.cursor, th.phase, th.task.started = e.ID, active, true
		if n := th.task.more.HeartbeatSeconds; n > 0 && th.state.Task.Kind != asl.LambdaTask &&
			(e.Type == ActivityStarted || th.state.Task.Pattern == asl.WaitForTaskToken) {
			th.task.beat = e.At + n*1000
		}

	case ServiceTaskSubmitted:
		if th.phase != active {
			return fmt.Errorf("no task under way")
		}
		th.cursor, th.task.submitted, th.task.job = e.ID, true, e.Data

	case TaskBeat:
		if e.More == nil || th.phase != active {
			return fmt.Errorf("no details, or no task under way")
		}
		th.task.beat = e.More.Due

	case ServiceTaskSucceeded, LambdaFunctionSucceeded, ActivitySucceeded,
		ServiceTaskFailed, LambdaFunctionFailed, ActivityFailed,
		ServiceTaskTimedOut, LambdaFunctionTimedOut, ActivityTimedOut,
		ServiceTaskSubmitFailed, ServiceTaskStartFailed, LambdaFunctionScheduleFailed,
		LambdaFunctionStartFailed, ActivityScheduleFailed:
		if th.phase != scheduled && th.phase != active {
			return fmt.Errorf("no task under way")
		}
		x.settle(th)
		th.cursor = e.ID

	case EvaluationFailed:
		th.cursor = e.ID

	case RetryScheduled:
		if e.More == nil || th.state == nil || th.phase == arriving || e.Index < 0 || int(e.Index) >= len(th.state.Retry) {
			return fmt.Errorf("no such retrier")
		}
		x.settle(th)
		for len(th.retries) < len(th.state.Retry) {
			th.retries = append(th.retries, 0)
		}
		th.retries[e.Index]++
		th.retried++
		th.cursor, th.phase, th.timer, th.due = e.Prev, backoff, e.Seq, e.More.Due

	case WaitScheduled:
		if e.More == nil || !th.begins(asl.Wait) {
			return fmt.Errorf("no details, or not in a Wait state")
		}
		th.leave()
		th.phase, th.timer, th.due = waiting, e.Seq, e.More.Due

	case ParallelStateStarted:
		if !th.begins(asl.Parallel) {
			return fmt.Errorf("not in a Parallel state")
		}
		x.settle(th)
		n := len(th.state.Branches)
		if int(e.Index) != n {
			return fmt.Errorf("%d branches, not %d", e.Index, n)
		}
		th.cursor, th.phase = e.ID, children
		th.comp = &composite{started: e.ID, results: make([]value.Value, n), live: n}
		input := e.Data
		if input.IsUndefined() {
			input = th.input
		}
		for i := range n {
			c := x.spawn(th, int32(i))
			c.cursor, c.input = e.ID, input
		}

	case MapStateStarted:
		if !th.begins(asl.Map) || e.More == nil {
			return fmt.Errorf("not in a Map state")
		}
		x.settle(th)
		items := e.Data
		if items.IsUndefined() {
			items = th.input
		}
		if int64(items.Len()) != e.More.Length {
			return fmt.Errorf("%d items, %d announced", items.Len(), e.More.Length)
		}
		th.cursor, th.phase = e.ID, children
		th.comp = &composite{started: e.ID, items: items}
		if !th.state.Map.Distributed {
			th.comp.results = make([]value.Value, items.Len())
		}

	case MapIterationStarted:
		if e.Ref < 0 || e.Ref > 1<<31-1 || th != nil || e.Thread != x.nextThread() {
			return fmt.Errorf("thread %d of thread %d", e.Thread, e.Ref)
		}
		p := x.thread(int32(e.Ref))
		if p == nil || p.comp == nil || int(e.Index) != p.comp.next || int(e.Index) >= len(p.comp.results) {
			return fmt.Errorf("iteration %d of thread %d", e.Index, e.Ref)
		}
		p.comp.next++
		p.comp.live++
		c := x.spawn(p, e.Index)
		c.cursor = e.ID

	case MapIterationSucceeded, BranchSucceeded:
		p := th.parent
		if p == nil || p.comp == nil || th.phase != between || (p.state.Type == asl.Map) != (e.Type == MapIterationSucceeded) {
			return fmt.Errorf("thread %d has not run through", th.id)
		}
		p.comp.results[th.index] = th.input
		p.comp.done++
		p.comp.live--
		if p.cursor = e.ID; e.ID == 0 {
			p.cursor = th.cursor
		}
		x.end(th)

	case ParallelStateFailed, MapStateFailed:
		if th.state == nil || (th.state.Type == asl.Map) != (e.Type == MapStateFailed) || th.phase == arriving {
			return fmt.Errorf("not in such a state")
		}
		// What is inside stays: if nothing takes the failure, a redrive goes on with it.
		th.leave()
		th.cursor, th.phase = e.ID, between

	case MapRunStarted, MapRunSucceeded, MapRunFailed, MapRunAborted, MapRunRedriven, MapRunUpdated,
		ChildStarted, ChildSucceeded, ChildFailed, ChildTimedOut, ChildAborted:
		return x.applyRun(th, e)

	case ExecutionRedriven:
		x.revive(e)

	case MapIterationFailed, MapIterationAborted, TaskStateAborted, WaitStateAborted, ParallelStateAborted,
		MapStateAborted, ParallelStateSucceeded, MapStateSucceeded:
		// What they say is done by the event that follows: the state around them fails, exits or retries.

	case ExecutionSucceeded, ExecutionFailed, ExecutionTimedOut, ExecutionAborted:
		x.close(e)

	default:
		return fmt.Errorf("nothing of that type happens here")
	}
	return nil
}

// begins reports whether th is where a state of type t does its work: just
// entered, or about to try again.
func (th *thread) begins(t asl.Type) bool {
	return th.state != nil && th.state.Type == t && (th.phase == entered || th.phase == backoff)
}

// settle ends whatever th's state has under way.
func (x *Execution) settle(th *thread) {
	th.leave()
	th.phase = between
	if th.comp != nil {
		some := th.comp.live > 0
		th.comp = nil
		for c := x.live.tail; some && c != nil && c != th; { // what is inside of th is younger than th
			older := c.prev
			if c.inside(th) {
				x.end(c)
			}
			c = older
		}
	}
	if th.task.id != 0 {
		th.task = task{same: th.task.same}
	}
}

// inside reports whether th is one of p's branches or iterations, or in one.
func (th *thread) inside(p *thread) bool {
	for t := th.parent; t != nil; t = t.parent {
		if t == p {
			return true
		}
	}
	return false
}

// spawn makes the next thread, a branch or iteration of p's state.
func (x *Execution) spawn(p *thread, index int32) *thread {
	c := x.free
	if c != nil {
		x.free = c.next
		*c = thread{retries: c.retries[:0], vars: c.vars[:0]}
	} else {
		c = new(thread)
	}
	c.id, c.parent, c.index, c.phase = x.nextThread(), p, index, arriving
	x.threads = append(x.threads, c)
	x.live.push(c)
	x.ready.push(c)
	return c
}

// end takes a thread that has ended away.
func (x *Execution) end(th *thread) {
	th.leave()
	x.live.remove(th)
	x.threads[th.id-x.base+1] = nil
	if x.live.n == 1 { // ids go on, the table starts anew
		x.base = x.nextThread()
		x.threads = x.threads[:1]
	}
	clear(th.vars)
	th.state, th.comp, th.parent, th.input, th.task = nil, nil, nil, value.Value{}, task{}
	th.next, x.free = x.free, th
}

// close ends the execution: only its outcome stays.
func (x *Execution) close(e *Event) {
	switch e.Type {
	case ExecutionSucceeded:
		x.status, x.output = Succeeded, e.Data
	case ExecutionTimedOut:
		x.status = TimedOut
	case ExecutionAborted:
		x.status = Aborted
	default:
		x.status = Failed
	}
	if e.More != nil && x.status != TimedOut { // AWS describes a timed out execution without error and cause
		x.err, x.cause = e.More.Error, e.More.Cause
	}
	// A redrive goes on with what was under way; nobody needs it after a success.
	x.ready, x.starting, x.free = queue{}, queue{}, nil
	if x.status == Succeeded {
		x.base = x.nextThread() + 1
		x.threads, x.live = nil, list{}
	}
	x.cur, x.scope = nil, asl.Scope{}
}

// set makes v the value of a variable of th.
func (th *thread) set(name string, v value.Value) {
	for i := range th.vars {
		if th.vars[i].name == name {
			th.vars[i].v = v
			return
		}
	}
	th.vars = append(th.vars, variable{name, v})
}

// variable finds a variable as th sees it: its own, or one of those around it.
func (th *thread) variable(name string) (value.Value, bool) {
	for ; th != nil; th = th.parent {
		for i := range th.vars {
			if th.vars[i].name == name {
				return th.vars[i].v, true
			}
		}
	}
	return value.Value{}, false
}
