package engine

import (
	"fmt"
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// How each type of state calls its events.
var enteredTypes = [...]EventType{
	asl.Pass: PassStateEntered, asl.Task: TaskStateEntered, asl.Choice: ChoiceStateEntered, asl.Wait: WaitStateEntered,
	asl.Succeed: SucceedStateEntered, asl.Fail: FailStateEntered, asl.Parallel: ParallelStateEntered, asl.Map: MapStateEntered,
}

var exitedTypes = [...]EventType{
	asl.Pass: PassStateExited, asl.Task: TaskStateExited, asl.Choice: ChoiceStateExited, asl.Wait: WaitStateExited,
	asl.Succeed: SucceedStateExited, asl.Parallel: ParallelStateExited, asl.Map: MapStateExited,
}

// arrive enters a thread's first state.
func (x *Execution) arrive(th *thread) {
	first := x.cfg.Program.StartAt
	if p := th.parent; p != nil {
		if first = nil; p.state.Type == asl.Parallel {
			first = p.state.Branches[th.index].StartAt
		} else {
			first = p.state.Map.Processor.StartAt
		}
	}
	input := th.input
	if p := th.parent; p != nil && p.state.Type == asl.Map {
		var fail *asl.Failure
		if input, fail = x.itemInput(p, int(th.index)); fail != nil {
			x.iterationFailed(th, fail)
			return
		}
	}
	x.enter(th, first, input)
}

func (x *Execution) enter(th *thread, st *asl.State, input value.Value) {
	x.hint = st
	x.emit(Event{Type: enteredTypes[st.Type], Thread: th.id, Prev: th.cursor, State: st.Name, Data: input})
}

// work does what an entered state does.
func (x *Execution) work(th *thread) {
	switch st := th.state; st.Type {
	case asl.Pass:
		x.pass(th)
	case asl.Succeed:
		x.exit(th, value.Value{})
	case asl.Fail:
		x.failState(th)
	case asl.Choice:
		x.choice(th)
	case asl.Wait:
		x.wait(th)
	case asl.Task:
		x.schedule(th)
	case asl.Parallel:
		x.parallel(th)
	case asl.Map:
		x.mapState(th)
	default:
		x.fault = fmt.Errorf("engine: state %s of type %d", st.Name, st.Type)
	}
}

// effective is a state's input as its fields see it: after InputPath.
func (x *Execution) effective(th *thread) (value.Value, *asl.Failure) {
	if th.state.InputPath == nil {
		return th.input, nil
	}
	return th.state.InputPath.Eval(x.see(th, th.input))
}

// arguments is what a Task, Parallel or Map state works on; also its effective input.
func (x *Execution) arguments(th *thread) (args, eff value.Value, fail *asl.Failure) {
	st := th.state
	if st.Language == asl.JSONata {
		if st.Arguments == nil {
			return th.input, th.input, nil
		}
		args, fail = st.Arguments.Eval(x.see(th, th.input))
		return args, th.input, fail
	}
	if eff, fail = x.effective(th); fail != nil || st.Parameters == nil {
		return eff, eff, fail
	}
	args, fail = st.Parameters.Eval(x.see(th, eff))
	return args, eff, fail
}

func (x *Execution) pass(th *thread) {
	st := th.state
	if st.Language == asl.JSONata {
		x.exit(th, value.Value{})
		return
	}
	result, _, fail := x.arguments(th)
	if fail == nil && st.Result != nil {
		result, fail = st.Result.Eval(x.see(th, result))
	}
	if fail != nil {
		x.failField(th, fail)
		return
	}
	x.exit(th, result)
}

func (x *Execution) failState(th *thread) {
	f := th.state.Fail
	input, fail := x.effective(th)
	var out failure
	for _, p := range [...]struct {
		field *asl.Field
		to    **string
	}{{f.Error, &out.err}, {f.Cause, &out.cause}} {
		if fail != nil {
			break
		}
		var s string
		var ok bool
		if s, ok, fail = p.field.EvalString(x.see(th, input)); ok && fail == nil {
			*p.to = &s
		}
	}
	if fail != nil {
		x.failField(th, fail)
		return
	}
	x.fail(th, out)
}

func (x *Execution) choice(th *thread) {
	st := th.state
	eff, fail := x.effective(th)
	if fail != nil {
		x.failField(th, fail)
		return
	}
	for i := range st.Choice.Rules {
		r := &st.Choice.Rules[i]
		ok, fail := r.Condition.Eval(x.see(th, eff))
		if fail != nil {
			x.failField(th, fail)
			return
		}
		if ok {
			x.leave(th, eff, r.Output, r.Assign, r.Next)
			return
		}
	}
	if st.Choice.Default == nil {
		x.fail(th, failure{
			err:     new(runtimeError),
			cause:   new(x.prefix(th) + noChoice),
			runtime: true,
		})
		return
	}
	x.leave(th, eff, nil, st.Assign, st.Choice.Default)
}

// leave exits a Choice by one of its ways.
func (x *Execution) leave(th *thread, eff value.Value, output *asl.Field, assign []asl.Assignment, next *asl.State) {
	out, vars, fail := x.wayOut(th, eff, output, assign)
	if fail != nil {
		x.failField(th, fail)
		return
	}
	x.exited(th, out, vars, next)
}

// wayOut is what a Choice hands on by one of its ways, and the variables that
// it sets.
func (x *Execution) wayOut(th *thread, eff value.Value, output *asl.Field, assign []asl.Assignment) (out, vars value.Value, fail *asl.Failure) {
	st := th.state
	out = eff
	if st.Language == asl.JSONata {
		if output == nil {
			output = st.Output
		}
		if output != nil {
			out, fail = output.Eval(x.see(th, th.input))
		}
	} else if st.OutputPath != nil {
		out, fail = st.OutputPath.Eval(x.see(th, eff))
	}
	if fail == nil {
		vars, fail = x.assign(th, assign, eff)
	}
	return out, vars, fail
}

func (x *Execution) wait(th *thread) {
	eff, fail := x.effective(th)
	if fail != nil {
		x.failField(th, fail)
		return
	}
	until, fail := th.state.Wait.Until(x.see(th, eff))
	if fail != nil {
		x.failField(th, fail)
		return
	}
	// A moment that is not a whole millisecond has come when the next one has.
	due := until.Add(time.Millisecond - 1).UnixMilli()
	if due <= x.at {
		x.waited(th)
		return
	}
	if x.emit(Event{Type: WaitScheduled, Thread: th.id, Prev: th.cursor, State: th.state.Name, More: &Detail{Due: due}}) {
		x.effect(th.sleep())
	}
}

// waited ends a Wait state.
func (x *Execution) waited(th *thread) {
	eff, fail := x.effective(th)
	if fail != nil {
		x.failField(th, fail)
		return
	}
	x.exit(th, eff)
}

// exit computes what the state hands on, and goes on to what follows it. result
// is a Task's, Parallel's or Map's raw result, a Pass's Result or Parameters, a
// Wait's effective input; a state without any of them gives none.
func (x *Execution) exit(th *thread, result value.Value) {
	st := th.state
	out, fail := x.handOn(th, result)
	var vars value.Value
	if fail == nil {
		vars, fail = x.assign(th, st.Assign, result)
	}
	if fail != nil {
		x.failField(th, fail)
		return
	}
	x.exited(th, out, vars, st.Next)
}

// handOn is what a state that has done its work hands on.
func (x *Execution) handOn(th *thread, result value.Value) (value.Value, *asl.Failure) {
	st := th.state
	if st.Language == asl.JSONata {
		hasResult := st.Type == asl.Task || st.Type == asl.Parallel || st.Type == asl.Map
		if st.Output == nil {
			if hasResult {
				return result, nil
			}
			return th.input, nil
		}
		s := x.see(th, th.input)
		if hasResult {
			s.Result = result
		}
		return st.Output.Eval(s)
	}
	_, out, fail := x.combine(th, result)
	if fail != nil || st.OutputPath == nil {
		return out, fail
	}
	return st.OutputPath.Eval(x.see(th, out))
}

// combine is a JSONPath state's result after ResultSelector, and what that
// makes together with the input.
func (x *Execution) combine(th *thread, result value.Value) (selected, out value.Value, fail *asl.Failure) {
	st := th.state
	selected, out = result, result
	switch st.Type {
	case asl.Task, asl.Parallel, asl.Map:
		if st.ResultSelector != nil {
			if selected, fail = st.ResultSelector.Eval(x.see(th, result)); fail != nil {
				return selected, out, fail
			}
		}
		out, fail = st.ResultPath.Apply(th.input, selected)
	case asl.Pass:
		out, fail = st.ResultPath.Apply(th.input, result)
	case asl.Succeed:
		out, fail = x.effective(th)
	}
	return selected, out, fail
}

// assign computes variables. $ is what AWS says for the type of state: the raw
// result of work, the effective input of a Choice or Wait.
func (x *Execution) assign(th *thread, as []asl.Assignment, dollar value.Value) (value.Value, *asl.Failure) {
	if len(as) == 0 {
		return value.Value{}, nil
	}
	s := x.see(th, dollar)
	if th.state.Language == asl.JSONata {
		s.Input = th.input
		switch th.state.Type {
		case asl.Task, asl.Parallel, asl.Map:
			s.Result = dollar
		}
	}
	return asl.EvalAssign(as, s)
}

// exited records that th's state is over, and goes on: next, or the end of the
// thread.
func (x *Execution) exited(th *thread, out, vars value.Value, next *asl.State) {
	if x.tooLarge(out) {
		x.overLimit(th)
		return
	}
	e := Event{Type: exitedTypes[th.state.Type], Thread: th.id, Prev: th.cursor, State: th.state.Name, Data: out}
	if vars.Len() > 0 {
		if !x.variablesFit(th, vars) {
			x.fail(th, variablesTooLarge(th.state.Name))
			return
		}
		e.More = &Detail{Vars: vars}
	}
	if !x.emit(e) {
		return
	}
	if next != nil {
		x.enter(th, next, out)
		return
	}
	x.over(th)
}

// over ends a thread that has run through.
func (x *Execution) over(th *thread) {
	p := th.parent
	switch {
	case p == nil:
		x.emit(Event{Type: ExecutionSucceeded, Prev: th.cursor, Data: th.input})
	case p.state.Type == asl.Parallel:
		if x.emit(Event{Type: BranchSucceeded, Thread: th.id, Prev: th.cursor, State: p.state.Name}) && p.comp.done == len(p.comp.results) {
			x.completed(p)
		}
	default:
		x.iterationOver(th)
	}
}

const (
	runtimeError = "States.Runtime"
	dataLimit    = "States.DataLimitExceeded"
	timeoutError = "States.Timeout"

	noChoice = "Failed to transition out of the state. The state does not point to a next state."
)

// prefix begins the cause of what goes wrong inside of a state.
func (x *Execution) prefix(th *thread) string {
	return fmt.Sprintf("An error occurred while executing the state '%s' (entered at the event id #%d). ", th.state.Name, th.entered)
}
