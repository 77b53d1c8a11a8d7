package engine

import (
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// SingleConfig is what one state is tried with. Config's Program is not needed.
type SingleConfig struct {
	Config
	State     *asl.State
	Input     value.Value
	Variables value.Value // an object; Undefined: none are set
	Context   value.Value // what the state sees as its context object; Undefined: an Express execution's

	Mock     *Mock       // nil: the state does its work
	Retries  int         // attempts that the retrier which applies has made already
	Items    value.Value // of a Map with an ItemReader: what that read; Undefined: not known
	Failures int64       // of a Map: how many of its iterations failed
}

// Mock is what the work of a Task, Parallel or Map state is said to come to: a
// result, or a failure.
type Mock struct {
	Result  value.Value
	Failure *Failure
}

// SingleStatus is what became of a state.
type SingleStatus uint8

// The statuses.
const (
	SingleRunning   SingleStatus = iota
	SingleSucceeded              // it handed something on
	SingleFailed                 // nothing took its failure
	SingleRetriable              // a retrier has an attempt left for its failure
	SingleCaught                 // a catcher took its failure
)

func (s SingleStatus) String() string {
	return [...]string{"RUNNING", "SUCCEEDED", "FAILED", "RETRIABLE", "CAUGHT_ERROR"}[s]
}

// Tried is what became of a state that was tried. What there is not is
// Undefined or nil.
type Tried struct {
	Status       SingleStatus
	Output       value.Value // Succeeded, Caught
	Error, Cause *string     // of its failure
	Next         string      // where it goes on; "" if it ends
	Variables    value.Value // that are set now; Undefined: none
	Inspection   Inspection
}

// Inspection is what a state's fields came to, one after the other, as far as
// it got. AWS shows not all of them for every type of state; those are Undefined.
type Inspection struct {
	Input               value.Value
	AfterInputPath      value.Value
	AfterParameters     value.Value
	AfterArguments      value.Value
	AfterItemsPath      value.Value
	AfterItemsPointer   value.Value
	AfterItemSelector   value.Value
	AfterItemBatcher    value.Value
	Result              value.Value
	AfterResultSelector value.Value
	AfterResultPath     value.Value

	MaxConcurrency             *int64
	ToleratedFailureCount      *int64
	ToleratedFailurePercentage *float64

	Retrier *int // the one that the failure is for, whether it has an attempt left or not
	Backoff time.Duration
	Catcher *int
}

// Single is one state tried by itself, without an execution: what TestState
// does. It computes as an Execution does, with its functions; but nothing is
// recorded, and causes do not say where in an execution they came up.
//
// NewSingle does what can be done at once. If Need is not nil then, that is to
// be done, and its outcome given to one of Done, Failed, TimedOut and Woken.
type Single struct {
	cfg  SingleConfig
	x    Execution // never stepped: it lends its scope, context object and limits
	th   *thread
	eff  value.Value
	need Effect
	out  Tried

	iterations int // of a Map; -1: not known
}

// NewSingle tries a state. at is the time at which it is entered.
func NewSingle(cfg SingleConfig, at time.Time) *Single {
	s := &Single{cfg: cfg, iterations: -1}
	x := &s.x
	x.cfg, x.region, x.base, x.item = cfg.Config, field(cfg.MachineARN, 3), 1, -1
	x.cfg.Sync = true // AWS's context object has no RedriveCount here
	x.at, x.last, x.started = at.UnixMilli(), at.UnixMilli(), at.UnixMilli()
	x.input = cfg.Input
	x.random = mix(cfg.Seed)
	x.scope = asl.Scope{Context: s.contextObject, Var: x.variable, Rand: x.rand}
	s.th = &thread{state: cfg.State, input: cfg.Input, entered: 1, enteredAt: x.at, retried: cfg.Retries}
	for name, v := range cfg.Variables.Members() {
		s.th.set(name, v)
	}
	s.out.Inspection.Input = cfg.Input
	s.work()
	return s
}

// Need is what has to be done before the state can go on: an Invoke of its Task,
// a Sleep for its Wait, or nil if it is over.
func (s *Single) Need() Effect { return s.need }

// Tried is what became of the state.
func (s *Single) Tried() Tried {
	out := s.out
	if len(s.th.vars) > 0 {
		m := make([]value.Member, len(s.th.vars))
		for i, v := range s.th.vars {
			m[i] = value.Member{Key: v.name, Value: v.v}
		}
		out.Variables = value.Object(m...)
	}
	return out
}

// Iterations is how many items a Map goes over; known is false for other states,
// and for one that did not get as far as to know it.
func (s *Single) Iterations() (n int, known bool) { return s.iterations, s.iterations >= 0 }

// Done says that the Task gave output.
func (s *Single) Done(at time.Time, output value.Value) {
	if !s.resume(at) {
		return
	}
	if s.x.tooLarge(output) {
		s.fail(tooLargeFailure(resultOf(s.th.state)))
		return
	}
	s.out.Inspection.Result = output
	s.exit(output)
}

// Failed says that the Task failed.
func (s *Single) Failed(at time.Time, f Failure) {
	if s.resume(at) {
		s.fail(failure{err: clip(f.Error, maxError), cause: clip(f.Cause, maxCause)})
	}
}

// TimedOut says that the Task, or the Wait, took too long.
func (s *Single) TimedOut(at time.Time) {
	if s.resume(at) {
		s.fail(failure{err: new(timeoutError), timeout: true})
	}
}

// Woken says that the time of the Wait has come.
func (s *Single) Woken(at time.Time) {
	if s.resume(at) {
		s.exit(s.eff)
	}
}

func (s *Single) resume(at time.Time) bool {
	waited := s.need != nil
	s.need = nil
	s.x.at = max(s.x.at, at.UnixMilli())
	return waited
}

// contextObject is the one that was given, or that of an execution; AWS has null
// for a role that was not given.
func (s *Single) contextObject() value.Value {
	c := s.cfg.Context
	if c.IsUndefined() {
		c = s.x.contextObject()
		if s.cfg.RoleARN == "" {
			c = c.With("Execution", c.Get("Execution").With("RoleArn", value.Null()))
		}
		return c
	}
	if item := s.x.mapItem(s.th); !item.IsUndefined() {
		c = c.With("Map", value.Object(value.Member{Key: "Item", Value: item}))
	}
	return c
}

// work does what can be done at once.
func (s *Single) work() {
	st := s.th.state
	eff, fail := s.x.effective(s.th)
	if fail != nil {
		s.failField(fail)
		return
	}
	s.eff = eff
	if st.Language == asl.JSONPath && st.Type != asl.Parallel && !(st.Type == asl.Pass && st.Result != nil) {
		s.out.Inspection.AfterInputPath = eff
	}
	switch st.Type {
	case asl.Pass:
		s.pass()
	case asl.Succeed:
		s.exit(value.Value{})
	case asl.Fail:
		s.failState()
	case asl.Choice:
		s.choice()
	case asl.Wait:
		s.wait()
	case asl.Task:
		s.task()
	case asl.Parallel:
		s.parallel()
	case asl.Map:
		s.mapState()
	}
}

func (s *Single) pass() {
	st, see := s.th.state, &s.out.Inspection
	if st.Language == asl.JSONata {
		s.exit(value.Value{})
		return
	}
	result, _, fail := s.x.arguments(s.th)
	switch {
	case fail != nil:
	case st.Result == nil:
		see.AfterParameters = result
	default:
		if result, fail = st.Result.Eval(s.x.see(s.th, result)); fail == nil {
			see.Result = result
		}
	}
	if fail != nil {
		s.failField(fail)
		return
	}
	s.exit(result)
}

func (s *Single) failState() {
	f := s.th.state.Fail
	var out failure
	for _, p := range [...]struct {
		field *asl.Field
		to    **string
	}{{f.Error, &out.err}, {f.Cause, &out.cause}} {
		text, ok, fail := p.field.EvalString(s.x.see(s.th, s.eff))
		if fail != nil {
			s.failField(fail)
			return
		}
		if ok {
			*p.to = &text
		}
	}
	s.fail(out)
}

func (s *Single) choice() {
	st := s.th.state
	for i := range st.Choice.Rules {
		r := &st.Choice.Rules[i]
		ok, fail := r.Condition.Eval(s.x.see(s.th, s.eff))
		if fail != nil {
			s.failField(fail)
			return
		}
		if ok {
			s.leave(r.Output, r.Assign, r.Next)
			return
		}
	}
	if st.Choice.Default == nil {
		s.fail(failure{err: new(runtimeError), cause: new(noChoice), runtime: true})
		return
	}
	s.leave(nil, st.Assign, st.Choice.Default)
}

func (s *Single) leave(output *asl.Field, assign []asl.Assignment, next *asl.State) {
	out, vars, fail := s.x.wayOut(s.th, s.eff, output, assign)
	if fail != nil {
		s.failField(fail)
		return
	}
	s.exited(SingleSucceeded, out, vars, next)
}

func (s *Single) wait() {
	until, fail := s.th.state.Wait.Until(s.x.see(s.th, s.eff))
	if fail != nil {
		s.failField(fail)
		return
	}
	if until.UnixMilli() <= s.x.at {
		s.exit(s.eff)
		return
	}
	s.need = Sleep{Until: until}
}

func (s *Single) task() {
	st, part, see := s.th.state, s.th.state.Task, &s.out.Inspection
	s.x.scheduling = true
	args, more, fail := s.x.taskDetail(s.th, part)
	s.x.scheduling = false
	if fail != nil {
		s.failField(fail)
		return
	}
	if st.Language == asl.JSONPath {
		see.AfterParameters = args
	} else if st.Arguments != nil {
		see.AfterArguments = args
	}
	if s.x.tooLarge(args) {
		s.fail(parametersTooLarge(st.Name))
		return
	}
	if s.cfg.Mock != nil {
		s.mocked()
		return
	}
	if refuse := s.cfg.Refuse; refuse != nil {
		if why := refuse(part, args); why != "" {
			s.fail(failure{err: new(runtimeError), cause: &why, runtime: true})
			return
		}
	}
	in := Invoke{Task: 1, State: st.Name, Part: part, Args: args, RoleARN: more.RoleARN, Token: s.x.token, Attempt: s.cfg.Retries}
	if n := more.TimeoutSeconds; n > 0 {
		in.Until = time.UnixMilli(s.x.at + n*1000).UTC()
	}
	s.need = in
}

func (s *Single) parallel() {
	if s.cfg.Mock == nil {
		s.fail(failure{err: new(runtimeError), cause: new("A Parallel state cannot be tried without a mock."), runtime: true})
		return
	}
	if _, _, fail := s.x.arguments(s.th); fail != nil {
		s.failField(fail)
		return
	}
	s.mocked()
}

// mocked ends the work as the mock says.
func (s *Single) mocked() {
	if f := s.cfg.Mock.Failure; f != nil {
		s.fail(failure{
			err: clip(f.Error, maxError), cause: clip(f.Cause, maxCause),
			timeout: f.Error != nil && *f.Error == timeoutError,
		})
		return
	}
	if s.th.state.Type == asl.Task {
		s.out.Inspection.Result = s.cfg.Mock.Result
	}
	s.exit(s.cfg.Mock.Result)
}

// exit is what a state does that has done its work; see Execution.exit.
func (s *Single) exit(result value.Value) {
	st := s.th.state
	out, fail := s.handOn(result)
	var vars value.Value
	if fail == nil {
		vars, fail = s.x.assign(s.th, st.Assign, result)
	}
	if fail != nil {
		s.failField(fail)
		return
	}
	s.exited(SingleSucceeded, out, vars, st.Next)
}

// handOn is what the state hands on; see Execution.handOn.
func (s *Single) handOn(result value.Value) (value.Value, *asl.Failure) {
	st, see := s.th.state, &s.out.Inspection
	if st.Language == asl.JSONata || st.Type == asl.Succeed || st.Type == asl.Wait {
		return s.x.handOn(s.th, result)
	}
	selected, out, fail := s.x.combine(s.th, result)
	if fail != nil {
		return out, fail
	}
	see.AfterResultSelector, see.AfterResultPath = selected, out
	if st.OutputPath == nil {
		return out, nil
	}
	return st.OutputPath.Eval(s.x.see(s.th, out))
}

// exited ends the state with an output.
func (s *Single) exited(status SingleStatus, out, vars value.Value, next *asl.State) {
	switch {
	case s.x.tooLarge(out):
		f := tooLargeFailure(s.th.state.Name)
		f.final = true // as an execution has it: no Catch sees it
		s.fail(f)
		return
	case vars.Len() > 0 && !s.x.variablesFit(s.th, vars):
		s.fail(variablesTooLarge(s.th.state.Name))
		return
	}
	for name, v := range vars.Members() {
		s.th.set(name, v)
	}
	s.out.Status, s.out.Output = status, out
	if next != nil {
		s.out.Next = next.Name
	}
}

func (s *Single) failField(f *asl.Failure) {
	s.fail(failure{err: &f.Error, cause: &f.Cause, runtime: f.Error == runtimeError})
}

// fail ends the state with a failure, which a retrier or a catcher may take.
func (s *Single) fail(f failure) {
	st, see := s.th.state, &s.out.Inspection
	s.out.Status, s.out.Error, s.out.Cause = SingleFailed, f.err, f.cause
	if f.fatal() {
		return
	}
	for i := range st.Retry {
		r := &st.Retry[i]
		if !f.matches(r.ErrorEquals) {
			continue
		}
		see.Retrier = &i
		if s.cfg.Retries < r.MaxAttempts {
			see.Backoff = s.x.delay(r, s.cfg.Retries)
			s.out.Status = SingleRetriable
			return
		}
		break // a later retrier does not stand in for it
	}
	for i := range st.Catch {
		c := &st.Catch[i]
		if !f.matches(c.ErrorEquals) {
			continue
		}
		see.Catcher = &i
		out, vars, fail := s.x.catch(s.th, c, &f)
		if fail != nil {
			s.out.Error, s.out.Cause = &fail.Error, &fail.Cause
			return
		}
		s.exited(SingleCaught, out, vars, c.Next)
		return
	}
}
