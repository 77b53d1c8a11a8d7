package engine

import (
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// The event types of each kind of task.
var taskTypes = [...]struct{ scheduled, started, succeeded, failed, timedOut EventType }{
	asl.ServiceTask:  {ServiceTaskScheduled, ServiceTaskStarted, ServiceTaskSucceeded, ServiceTaskFailed, ServiceTaskTimedOut},
	asl.LambdaTask:   {LambdaFunctionScheduled, LambdaFunctionStarted, LambdaFunctionSucceeded, LambdaFunctionFailed, LambdaFunctionTimedOut},
	asl.ActivityTask: {ActivityScheduled, ActivityStarted, ActivitySucceeded, ActivityFailed, ActivityTimedOut},
}

var patternSuffix = [...]string{
	asl.RequestResponse: "", asl.Sync: ".sync", asl.Sync2: ".sync:2", asl.WaitForTaskToken: ".waitForTaskToken",
}

// schedule begins a Task's work: once for each attempt.
func (x *Execution) schedule(th *thread) {
	part := th.state.Task
	x.token = ""
	x.scheduling = true
	args, more, fail := x.taskDetail(th, part)
	x.scheduling = false
	if fail != nil {
		x.failField(th, fail)
		return
	}
	if x.tooLarge(args) {
		x.fail(th, parametersTooLarge(th.state.Name))
		return
	}
	if refuse := x.cfg.Refuse; refuse != nil {
		if why := refuse(part, args); why != "" {
			x.fail(th, failure{err: new(runtimeError), cause: new(x.prefix(th) + why), runtime: true})
			return
		}
	}
	if part.Kind == asl.ActivityTask || part.Pattern == asl.WaitForTaskToken {
		x.makeToken()
	}
	more.Token = x.token
	if !x.emit(Event{Type: taskTypes[part.Kind].scheduled, Thread: th.id, Prev: th.cursor, State: th.state.Name, Data: args, More: more}) {
		return
	}
	if part.Kind == asl.ActivityTask {
		x.ask(th)
	}
}

// taskDetail computes what a Task's attempt is made of.
func (x *Execution) taskDetail(th *thread, part *asl.TaskPart) (args value.Value, more *Detail, fail *asl.Failure) {
	args, eff, fail := x.arguments(th)
	if fail != nil {
		return args, nil, fail
	}
	more = &Detail{Resource: part.Resource}
	if part.Kind == asl.ServiceTask {
		more.ResourceType, more.Resource, more.Region = part.Service, part.Action+patternSuffix[part.Pattern], x.region
	}
	if more.TimeoutSeconds, fail = part.Timeout.EvalInt(x.see(th, eff)); fail != nil {
		return args, nil, fail
	}
	if more.HeartbeatSeconds, fail = part.Heartbeat.EvalInt(x.see(th, eff)); fail != nil {
		return args, nil, fail
	}
	more.RoleARN, _, fail = part.RoleArn.EvalString(x.see(th, eff))
	return args, more, fail
}

// startTask starts a service or Lambda task that has been scheduled.
func (x *Execution) startTask(th *thread) {
	if x.emit(Event{Type: taskTypes[th.state.Task.Kind].started, Thread: th.id, Prev: th.cursor, Ref: th.task.id, More: x.same(th)}) {
		x.ask(th)
	}
}

// ask hands th's task to the driver.
func (x *Execution) ask(th *thread) {
	x.effect(x.invoke(th))
	if t := &th.task; t.due != 0 {
		x.effect(Sleep{timerID(t.id, taskTimer), time.UnixMilli(t.due).UTC()})
	}
	x.askBeat(th)
}

// askBeat asks to be woken when a sign of life is overdue.
func (x *Execution) askBeat(th *thread) {
	if t := &th.task; t.beat != 0 {
		x.effect(Sleep{timerID(t.id, beatTimer), time.UnixMilli(t.beat).UTC()})
	}
}

func (x *Execution) invoke(th *thread) Invoke {
	t := &th.task
	in := Invoke{
		Task: t.id, State: th.state.Name, Part: th.state.Task, Args: t.args, RoleARN: t.more.RoleARN, Token: t.more.Token,
		Attempt: th.retried, Started: t.started && th.state.Task.Kind == asl.ActivityTask, Submitted: t.submitted, Job: t.job,
	}
	if t.due != 0 {
		in.Until = time.UnixMilli(t.due).UTC()
	}
	return in
}

// same is the detail that a service task's events share; nil for other kinds.
func (x *Execution) same(th *thread) *Detail {
	t := &th.task
	if th.state.Task.Kind != asl.ServiceTask {
		return nil
	}
	if t.same == nil || t.same.ResourceType != t.more.ResourceType || t.same.Resource != t.more.Resource {
		t.same = &Detail{ResourceType: t.more.ResourceType, Resource: t.more.Resource}
	}
	return t.same
}

// failed is the detail of a task's failure.
func (x *Execution) failedDetail(th *thread, err, cause *string) *Detail {
	d := &Detail{Error: err, Cause: cause}
	if th.state.Task.Kind == asl.ServiceTask {
		d.ResourceType, d.Resource = th.task.more.ResourceType, th.task.more.Resource
	}
	return d
}

// task finds the thread whose task is under way; nil if nobody waits for it.
func (x *Execution) taskThread(id int64) *thread {
	for th := x.live.head; th != nil; th = th.next {
		if th.task.id == id && th.phase == active {
			return th
		}
	}
	return nil
}

func (x *Execution) taskStarted(in TaskStarted) {
	th := x.taskThread(in.Task)
	if th == nil || th.state.Task.Kind != asl.ActivityTask || th.task.started {
		return
	}
	e := Event{Type: ActivityStarted, Thread: th.id, Prev: th.cursor, Ref: in.Task}
	if in.Worker != "" {
		e.More = &Detail{Worker: in.Worker}
	}
	if x.emit(e) {
		x.askBeat(th)
	}
}

func (x *Execution) taskSubmitted(in TaskSubmitted) {
	th := x.taskThread(in.Task)
	if th == nil || th.state.Task.Kind != asl.ServiceTask || th.state.Task.Pattern == asl.RequestResponse || th.task.submitted {
		return
	}
	if x.tooLarge(in.Output) {
		x.taskOver(th, tooLargeFailure(resultOf(th.state)))
		return
	}
	x.emit(Event{Type: ServiceTaskSubmitted, Thread: th.id, Prev: th.cursor, Ref: in.Task, Data: in.Output, More: x.same(th)})
}

func (x *Execution) taskDone(in TaskDone) {
	th := x.taskThread(in.Task)
	if th == nil {
		return
	}
	if x.tooLarge(in.Output) {
		x.taskOver(th, tooLargeFailure(resultOf(th.state)))
		return
	}
	more := x.same(th)
	x.forgetTimers(th)
	if x.emit(Event{Type: taskTypes[th.state.Task.Kind].succeeded, Thread: th.id, Prev: th.cursor, Ref: in.Task, Data: in.Output, More: more}) {
		x.exit(th, in.Output)
	}
}

// resultOf is what AWS calls the giver of a task's result.
func resultOf(st *asl.State) string {
	switch st.Task.Kind {
	case asl.ServiceTask:
		return st.Task.Service
	case asl.LambdaTask:
		return st.Task.Resource
	}
	return st.Name
}

func (x *Execution) taskFailed(in TaskFailed) {
	if th := x.taskThread(in.Task); th != nil {
		x.taskOver(th, failure{err: clip(in.Failure.Error, maxError), cause: clip(in.Failure.Cause, maxCause)})
	}
}

// taskOver records that a task has failed, and lets its state fail.
func (x *Execution) taskOver(th *thread, f failure) {
	x.forgetTimers(th)
	more := x.failedDetail(th, f.err, f.cause)
	if x.emit(Event{Type: taskTypes[th.state.Task.Kind].failed, Thread: th.id, Prev: th.cursor, Ref: th.task.id, More: more}) {
		x.fail(th, f)
	}
}

func (x *Execution) taskBeat(in TaskHeartbeat) {
	th := x.taskThread(in.Task)
	if th == nil || th.task.beat == 0 {
		return
	}
	due := x.at + th.task.more.HeartbeatSeconds*1000
	x.emit(Event{Type: TaskBeat, Thread: th.id, Prev: th.cursor, Ref: in.Task, More: &Detail{Due: due}})
}

// fired does what a timer is for. The task's and the heartbeat's end whatever
// is overdue with them, in one act, as AWS does.
func (x *Execution) fired(timer int64) {
	seq, kind := timer/timerKinds, timer%timerKinds
	for th := x.live.head; th != nil; th = th.next {
		switch kind {
		case stateTimer:
			if th.timer != seq || th.phase != waiting && th.phase != backoff {
				continue
			}
			switch {
			case x.at < th.due:
				x.effect(th.sleep())
			case th.phase == waiting:
				x.waited(th)
			default:
				x.work(th)
			}
			return
		case taskTimer, beatTimer:
			if th.task.id != seq || th.phase != active {
				continue
			}
			if th.overdue(x.at) {
				x.expire()
			} else {
				for _, e := range th.appendTimers(nil) {
					if e.(Sleep).Timer == timer {
						x.effect(e)
					}
				}
			}
			return
		}
	}
	if kind == deadlineTimer && seq == 1 && x.deadline != 0 {
		x.effect(Sleep{timer, time.UnixMilli(x.deadline).UTC()}) // early
	}
}

// overdue reports whether th's task has run out of time.
func (th *thread) overdue(at int64) bool {
	t := &th.task
	return th.phase == active && (t.due != 0 && t.due <= at || t.beat != 0 && t.beat <= at)
}

// expire times every task out that is overdue, and then lets their states fail.
func (x *Execution) expire() {
	type late struct {
		thread    int32
		heartbeat bool
	}
	var all []late
	for th := x.live.head; th != nil && x.status == Running; th = th.next {
		if !th.overdue(x.at) {
			continue
		}
		all = append(all, late{th.id, th.task.due == 0 || th.task.due > x.at})
		x.forget(th)
		more := x.failedDetail(th, new(timeoutError), nil)
		x.emit(Event{Type: taskTypes[th.state.Task.Kind].timedOut, Thread: th.id, Prev: th.cursor, Ref: th.task.id, More: more})
	}
	for _, l := range all {
		if x.status != Running {
			return
		}
		if th := x.thread(l.thread); th != nil {
			x.fail(th, failure{err: new(timeoutError), timeout: true, heartbeat: l.heartbeat})
		}
	}
}
