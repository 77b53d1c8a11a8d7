package engine

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"tokaido/asl"
	"tokaido/value"
)

// What AWS lets a failure say; the rest is cut off.
const (
	maxError = 256   // characters
	maxCause = 32768 // characters
)

// maxRetryDelay bounds what IntervalSeconds and BackoffRate can grow to.
const maxRetryDelay = 10 * 365 * 24 * time.Hour

// failure is how a state failed, as Retry and Catch see it.
type failure struct {
	err, cause *string
	runtime    bool // raised by the language itself as States.Runtime: nothing can handle it
	final      bool // like runtime, with a name of its own
	timeout    bool
	heartbeat  bool // a timeout that is a missed heartbeat
}

func (f *failure) is(name string) bool { return f.err != nil && *f.err == name }

// fatal reports whether no Retry and no Catch may have f.
func (f *failure) fatal() bool { return f.runtime || f.final || f.is(runtimeError) }

// matches reports whether one of an ErrorEquals' names stands for f.
func (f *failure) matches(names []string) bool {
	for _, n := range names {
		switch n {
		case "States.ALL":
			return true
		case "States.TaskFailed":
			if f.err != nil && !f.timeout && *f.err != timeoutError {
				return true
			}
		case "States.HeartbeatTimeout":
			if f.heartbeat {
				return true
			}
		}
		if f.is(n) {
			return true
		}
	}
	return false
}

// output is the Error Output that a catcher sees. A timeout has no cause in the
// history and an empty one here.
func (f *failure) output() value.Value {
	text := func(s *string) value.Value {
		if s == nil {
			return value.Null()
		}
		return value.String(*s)
	}
	cause := text(f.cause)
	if f.timeout && f.cause == nil {
		cause = value.String("")
	}
	return value.Object(value.Member{Key: "Error", Value: text(f.err)}, value.Member{Key: "Cause", Value: cause})
}

// clip cuts s to n characters.
func clip(s *string, n int) *string {
	if s == nil || len(*s) <= n || utf8.RuneCountInString(*s) <= n {
		return s
	}
	i := 0
	for range n {
		_, w := utf8.DecodeRuneInString((*s)[i:])
		i += w
	}
	return new((*s)[:i])
}

// failField makes th's state fail because one of its fields cannot be computed.
func (x *Execution) failField(th *thread, f *asl.Failure) {
	out := x.fieldFailure(th, th, f)
	x.fail(th, out)
}

// fieldFailure is the failure that f means. An EvaluationFailed event comes
// before it where the history has one. st is the thread whose state the field
// belongs to: th, or the Map state around the iteration th.
func (x *Execution) fieldFailure(th, st *thread, f *asl.Failure) failure {
	out := failure{err: &f.Error, cause: new(x.prefix(st) + f.Cause)}
	out.runtime = f.Error == runtimeError
	if f.Evaluation {
		prev := th.cursor
		// AWS decides entering a state and computing its fields in one act, which follows what came before
		// the state; a Wait's time is read in an act of its own.
		if prev == th.entered && th == st && (th.state.Type != asl.Wait || fromExpression(f)) {
			prev = th.before
		}
		x.emit(Event{Type: EvaluationFailed, Thread: th.id, Prev: prev, State: st.state.Name,
			More: &Detail{Error: out.err, Cause: out.cause, Location: f.Field}})
	}
	return out
}

// fromExpression reports whether f is about an expression itself, not about
// what its value was to be used for.
func fromExpression(f *asl.Failure) bool {
	const words = "The JSONata expression"
	return len(f.Cause) >= len(words) && f.Cause[:len(words)] == words
}

// fail makes th's state fail; the last event of th says why.
func (x *Execution) fail(th *thread, f failure) { x.failAt(th, f, th.cursor) }

// failAt is fail for the event with the id at as the reason. What th cannot
// handle fails the state around it.
func (x *Execution) failAt(th *thread, f failure, at int64) {
	for x.status == Running && x.fault == nil {
		if f.fatal() {
			x.emit(Event{Type: ExecutionFailed, Prev: at, More: errorDetail(f.err, f.cause)})
			return
		}
		if st := th.state; st != nil {
			if x.retry(th, &f, at) {
				return
			}
			switch st.Type {
			case asl.Parallel:
				x.emit(Event{Type: ParallelStateFailed, Thread: th.id, Prev: at})
			case asl.Map:
				x.emit(Event{Type: MapStateFailed, Thread: th.id, Prev: at})
			}
			if x.caught(th, &f) {
				return
			}
		}
		at = th.cursor
		p := th.parent
		if p == nil {
			f.final = true
		}
		if f.fatal() {
			continue
		}
		x.abortAll(p, th, at)
		th = p
	}
}

// retry begins to wait for another attempt if a retrier has one left for f.
func (x *Execution) retry(th *thread, f *failure, at int64) bool {
	for i := range th.state.Retry {
		r := &th.state.Retry[i]
		if !f.matches(r.ErrorEquals) {
			continue
		}
		n := 0
		if i < len(th.retries) {
			n = int(th.retries[i])
		}
		if n >= r.MaxAttempts {
			return false // a later retrier does not stand in for it
		}
		due := x.at + x.delay(r, n).Milliseconds()
		if x.emit(Event{Type: RetryScheduled, Thread: th.id, Prev: at, Index: int32(i), State: th.state.Name, More: &Detail{Due: due}}) {
			x.effect(th.sleep())
		}
		return true
	}
	return false
}

// delay is how long to wait before attempt n+1 of r, n from 0.
func (x *Execution) delay(r *asl.Retrier, n int) time.Duration {
	d := float64(r.Interval) * math.Pow(r.BackoffRate, float64(n))
	if r.MaxDelay > 0 {
		d = min(d, float64(r.MaxDelay))
	}
	d = min(d, float64(maxRetryDelay))
	if r.FullJitter {
		d *= float64(x.rand()>>11) / (1 << 53)
	}
	return time.Duration(d)
}

// caught leaves th's state by a catcher for f. It reports false if there is
// none, or if the catcher itself failed: f is then what it failed with.
func (x *Execution) caught(th *thread, f *failure) bool {
	st := th.state
	for i := range st.Catch {
		c := &st.Catch[i]
		if !f.matches(c.ErrorEquals) {
			continue
		}
		out, vars, fail := x.catch(th, c, f)
		if fail != nil {
			*f = x.fieldFailure(th, th, fail)
			return false
		}
		x.exited(th, out, vars, c.Next)
		return true
	}
	return false
}

// catch is what a catcher hands on for f, and the variables that it sets.
func (x *Execution) catch(th *thread, c *asl.Catcher, f *failure) (out, vars value.Value, fail *asl.Failure) {
	st := th.state
	errOut := f.output()
	out = errOut
	if st.Language == asl.JSONPath {
		out, fail = c.ResultPath.Apply(th.input, errOut)
	} else if c.Output != nil {
		s := x.see(th, th.input)
		s.Error = errOut
		out, fail = c.Output.Eval(s)
	}
	if fail == nil && len(c.Assign) > 0 {
		s := x.see(th, errOut)
		if st.Language == asl.JSONata {
			s.Input, s.Error = th.input, errOut
		}
		vars, fail = asl.EvalAssign(c.Assign, s)
	}
	return out, vars, fail
}

// abortAll ends what is inside of p, because th in it failed by the event at.
func (x *Execution) abortAll(p, th *thread, at int64) {
	isMap := p.state.Type == asl.Map
	if isMap {
		x.emit(Event{Type: MapIterationFailed, Thread: th.id, Prev: at, Index: th.index, State: p.state.Name})
	}
	if th.state != nil && th.state.Type == asl.Task {
		x.emit(Event{Type: TaskStateAborted, Thread: th.id, Prev: at})
	}
	x.abortInside(p, th, at)
}

// abortInside ends p's branches and iterations but not, which has failed.
func (x *Execution) abortInside(p, not *thread, at int64) {
	for c := x.live.head; c != nil && x.status == Running; c = c.next {
		if c.parent != p || c == not {
			continue
		}
		if p.state.Type == asl.Map {
			x.emit(Event{Type: MapIterationAborted, Thread: c.id, Prev: at, Index: c.index, State: p.state.Name})
		}
		x.abort(c, at)
	}
}

// abort ends the state that c is in.
func (x *Execution) abort(c *thread, at int64) {
	if c.state == nil {
		return
	}
	x.forget(c)
	switch c.state.Type {
	case asl.Task:
		x.emit(Event{Type: TaskStateAborted, Thread: c.id, Prev: at})
	case asl.Wait:
		x.emit(Event{Type: WaitStateAborted, Thread: c.id, Prev: at})
	case asl.Parallel:
		x.abortInside(c, nil, at)
		x.emit(Event{Type: ParallelStateAborted, Thread: c.id, Prev: at})
	case asl.Map:
		x.abortRun(c, at)
		x.abortInside(c, nil, at)
		x.emit(Event{Type: MapStateAborted, Thread: c.id, Prev: at})
	}
}

// forget tells the driver that nobody waits for what c has asked for.
func (x *Execution) forget(c *thread) {
	switch c.phase {
	case waiting, backoff:
		x.effect(Cancel{Timer: timerID(c.timer, stateTimer)})
	case active:
		x.effect(Cancel{Task: c.task.id})
		x.forgetTimers(c)
	}
}

// forgetTimers cancels the timers of c's task.
func (x *Execution) forgetTimers(c *thread) {
	if c.task.due != 0 {
		x.effect(Cancel{Timer: timerID(c.task.id, taskTimer)})
	}
	if c.task.beat != 0 {
		x.effect(Cancel{Timer: timerID(c.task.id, beatTimer)})
	}
}

// tooLarge reports whether v is more than may be handed on.
func (x *Execution) tooLarge(v value.Value) bool {
	n := x.cfg.Limits.DataSize
	return n > 0 && x.weigh(size(v, n)) > n
}

// weigh notes a size for whoever watches the limits.
func (x *Execution) weigh(n int) int {
	if x.b != nil {
		x.b.Largest = max(x.b.Largest, n)
	}
	return n
}

// size is the number of bytes of v's text; near enough where it is far below most.
func size(v value.Value, most int) int {
	switch v.Kind() {
	case value.KindArray, value.KindObject:
		return len(v.JSON()) // printed once and kept
	case value.KindString:
		if n := len(v.Str()); n < most/6 {
			return n + 2
		}
		return len(v.JSON())
	}
	return 8
}

// tooLargeFailure is what a result that is too large fails with.
func tooLargeFailure(who string) failure {
	return failure{err: new(dataLimit), cause: new(fmt.Sprintf(
		"The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", who))}
}

// parametersTooLarge is what a state fails with whose work would get too much.
func parametersTooLarge(state string) failure {
	return failure{err: new(dataLimit), cause: new(fmt.Sprintf(
		"The state/task '%s' provided parameters with a size exceeding the maximum number of bytes service limit.", state))}
}

// variablesTooLarge is what a state fails with that sets too much; no Catch sees it.
func variablesTooLarge(state string) failure {
	return failure{final: true, err: new(dataLimit), cause: new(fmt.Sprintf(
		"The state/task '%s' assigned variables with a size exceeding the maximum number of bytes service limit.", state))}
}

// overLimit ends the execution: a state's output is too large, which no Catch sees.
func (x *Execution) overLimit(th *thread) {
	f := tooLargeFailure(th.state.Name)
	f.final = true
	x.fail(th, f)
}

// maxVariables is how many bytes the variables of an execution may have together.
const maxVariables = 10 << 20

// variablesFit reports whether th may get vars as well.
func (x *Execution) variablesFit(th *thread, vars value.Value) bool {
	n := x.cfg.Limits.DataSize
	if n <= 0 {
		return true
	}
	sum := 0
	for _, v := range vars.Members() {
		sum += size(v, n)
	}
	if x.weigh(sum) > n {
		return false
	}
	for t := x.live.head; t != nil; t = t.next {
		for i := range t.vars {
			if t != th || !vars.Has(t.vars[i].name) {
				sum += size(t.vars[i].v, n)
			}
		}
	}
	return sum <= maxVariables
}
