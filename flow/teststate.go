package flow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/asl"
	"tokaido/fault"
	"tokaido/value"
)

// TestState is one state to be tried out. Nil members were not given.
type TestState struct {
	Scope
	Definition string
	StateName  string // "": Definition is one state
	RoleARN    string
	Input      *string
	Variables  *string // a JSON object
	Context    *string // the context object, with a mock
	Mock       *Mock

	RetryCount        *int64 // retries already made of the retrier that applies
	IterationFailures *int64 // of a Map
	ErrorCausedBy     string
	ReaderData        *string // what a Map's ItemReader would read
	RevealSecrets     bool
}

// Mock is what a state's work is said to yield: one of its members.
type Mock struct {
	Result *string
	Error  *MockError

	// Mode is how a Task's Result is held to what the service answers: STRICT
	// (also ""), PRESENT (members may be missing) or NONE.
	Mode string
}

// MockError is a mocked failure.
type MockError struct{ Error, Cause *string }

// Tested is what came of a TestState.
type Tested struct {
	Status       string // SUCCEEDED, FAILED, RETRIABLE, CAUGHT_ERROR
	Output       value.Value
	Error, Cause *string
	Next         string
	Inspection   []value.Member // what the steps of the state made; texts are JSON texts
}

// bareState is the name that AWS gives a state that comes without a machine.
const bareState = "StateName"

// maxTestWait is how long a tested Task may take; AWS's limit.
const maxTestWait = 5 * time.Minute

// TestState computes one state as an execution would, and tells what each of its
// fields made.
func (s *Service) TestState(ctx context.Context, in TestState) (Tested, error) {
	st, err := stateToTest(in.Definition, in.StateName)
	if err != nil {
		return Tested{}, err
	}
	t := &stateTest{in: &in, st: st, at: now()}
	if err := t.check(); err != nil {
		return Tested{}, err
	}
	if t.input, err = parseInput(in.Input); err != nil {
		return Tested{}, err
	}
	t.scope = t.newScope()
	t.invoke = func(args value.Value) (value.Value, *asl.Failure) { return s.invokeTest(ctx, t, args) }
	if st.Type == asl.Task && in.Mock == nil && s.cfg.Invoker == nil {
		return Tested{}, invalid("This server tests Task states with a mock only.")
	}
	t.run()
	return t.out, nil
}

// stateToTest parses a machine, or a state in a machine made for it.
func stateToTest(definition, name string) (*asl.State, error) {
	if name != "" {
		p, err := parseDefinition(definition, false)
		if err != nil {
			return nil, err
		}
		if st := p.State(name); st != nil {
			return st, nil
		}
		return nil, invalid("State not found in definition")
	}
	v, err := value.ParseString(definition)
	if err != nil || !v.IsObject() {
		_, err := parseDefinition(definition, false)
		return nil, err
	}
	// Whatever the state goes on to must exist.
	states := []value.Member{{Key: bareState, Value: v}}
	stub := func(v value.Value) {
		if to := v.Str(); to != "" && to != bareState {
			states = append(states, value.Member{Key: to, Value: value.Object(value.Member{Key: "Type", Value: value.String("Succeed")})})
		}
	}
	stub(v.Get("Next"))
	stub(v.Get("Default"))
	for _, list := range []string{"Choices", "Catch"} {
		for _, x := range v.Get(list).Items() {
			stub(x.Get("Next"))
		}
	}
	p, err := parseDefinition(value.Object(
		value.Member{Key: "StartAt", Value: value.String(bareState)},
		value.Member{Key: "States", Value: value.Object(states...)},
	).JSON(), false)
	if err != nil {
		return nil, err
	}
	return p.State(bareState), nil
}

// stateTest is one test under way.
type stateTest struct {
	in     *TestState
	st     *asl.State
	at     time.Time
	input  value.Value
	mocked value.Value // result
	vars   value.Value // an object
	ctxObj value.Value // Undefined: the default
	scope  asl.Scope
	invoke func(args value.Value) (value.Value, *asl.Failure)
	out    Tested
}

func (t *stateTest) mock() *Mock { return t.in.Mock }

func composite(st *asl.State) bool { return st.Type == asl.Map || st.Type == asl.Parallel }

// check refuses what AWS refuses, in the order that recordings show.
func (t *stateTest) check() error {
	in, st, m := t.in, t.st, t.in.Mock
	if m != nil {
		if (m.Result != nil) == (m.Error != nil) {
			return invalid("A test mock should have only one of the following fields: [result, errorOutput].")
		}
		if in.RevealSecrets {
			return invalid("TestState does not support RevealSecrets when a mock is specified.")
		}
		if st.Type != asl.Task && !composite(st) {
			return invalid("State type '%s' is not supported when a mock is specified", st.Type)
		}
	} else {
		if in.IterationFailures != nil {
			return invalid("TestState does not support MapIterationFailureCount when a mock is not specified.")
		}
		if composite(st) {
			return fault.Newf("InvalidDefinition", "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]")
		}
		if st.Type == asl.Task && in.RoleARN == "" {
			return invalid("RoleArn must be specified when testing a Task state")
		}
		if in.Context != nil {
			return invalid("TestState does not support Context when a mock is not specified.")
		}
	}
	if in.RevealSecrets {
		return invalid("The parameter 'revealSecrets' is refused: this server has no HTTP tasks, whose secrets it would show.")
	}
	if err := t.checkMock(); err != nil {
		return err
	}
	object := func(text *string, what string) (value.Value, error) {
		v, err := value.ParseString(*text)
		if err != nil || !v.IsObject() {
			return v, invalid("%s must be a valid JSON object", what)
		}
		return v, nil
	}
	t.vars = value.Object()
	var err error
	if in.Variables != nil {
		if t.vars, err = object(in.Variables, "Variables"); err != nil {
			return err
		}
	}
	if in.Context != nil {
		if t.ctxObj, err = object(in.Context, "Context"); err != nil {
			return err
		}
		return t.checkContext()
	}
	return nil
}

func (t *stateTest) checkMock() error {
	m, st := t.mock(), t.st
	if m == nil || m.Result == nil {
		return nil
	}
	v, err := value.ParseString(*m.Result)
	if err != nil {
		return invalid("Mocked result must be valid JSON")
	}
	t.mocked = v
	switch {
	case st.Type == asl.Map && st.Map.ResultWriter != nil:
		if !v.IsObject() {
			return invalid("Mocked result must be a JSON object.")
		}
	case composite(st) && !v.IsArray():
		return invalid("Mocked result must be an array.")
	case st.Type == asl.Parallel && v.Len() != len(st.Branches):
		return invalid("Mocked result must contain the same number of items as number of Parallel branches.")
	case st.Type == asl.Task && m.Mode != "NONE":
		known, shape, free, ok := answerOf(st.Task)
		if !ok && m.Mode != "" {
			return invalid("The parameter 'mock.fieldValidationMode' with value '%s' is refused: this server does not know what '%s' answers.", m.Mode, st.Task.Resource)
		}
		if why := known.check(v, shape, "", m.Mode != "PRESENT", free); ok && why != "" {
			return invalid("Mock result schema validation error: %s", why)
		}
	}
	if n := t.in.IterationFailures; n != nil && st.Type == asl.Map && v.IsArray() && *n > int64(v.Len()) {
		return invalid("Map iteration failure count must be less than or equal to the number of Map iterations")
	}
	return nil
}

// contextFields are the members that a mocked context object may have, and
// whether each is a text (true), a number (false) or anything (absent).
var contextFields = map[string]map[string]string{
	"Execution":    {"Id": "string", "Input": "", "Name": "string", "RoleArn": "string", "StartTime": "string", "RedriveCount": "number", "RedriveTime": "string"},
	"State":        {"EnteredTime": "string", "Name": "string", "RetryCount": "number"},
	"StateMachine": {"Id": "string", "Name": "string"},
	"Task":         {"Token": "string"},
}

func (t *stateTest) checkContext() error {
	bad := func(format string, args ...any) error {
		return invalid("Invalid Context object provided: %s", fmt.Sprintf(format, args...))
	}
	for k, v := range t.ctxObj.Members() {
		fields, ok := contextFields[k]
		switch {
		case k == "Map":
			return bad("'Map' field is not supported when mocking a Context object")
		case !ok:
			return bad("Field '%s' is not allowed", k)
		case !v.IsObject():
			return bad("%s must be an object", k)
		}
		if k == "Task" && (t.st.Type != asl.Task || t.st.Task.Pattern == asl.RequestResponse) {
			return bad("Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' service integration pattern")
		}
		for f, x := range v.Members() {
			kind, ok := fields[f]
			switch {
			case !ok:
				return bad("Field '%s' is not allowed", f)
			case kind == "string" && !x.IsString():
				return bad("%s.%s must be a string", k, f)
			case kind == "number" && !x.IsNumber():
				return bad("%s.%s must be a number", k, f)
			}
		}
	}
	return nil
}

func (t *stateTest) newScope() asl.Scope {
	random, name := newUID(), newUID()
	role := value.Null()
	if t.in.RoleARN != "" {
		role = value.String(t.in.RoleARN)
	}
	machine := t.in.machine(random)
	member := func(k string, v value.Value) value.Member { return value.Member{Key: k, Value: v} }
	stamp := value.String(t.at.Format("2006-01-02T15:04:05.000Z07:00"))
	return asl.Scope{
		Input: t.input,
		Now:   t.at,
		Rand:  rand.New(rand.NewPCG(randomSeed(), 0)).Uint64,
		Var: func(name string) (value.Value, bool) {
			v := t.vars.Get(name)
			return v, !v.IsUndefined()
		},
		Context: func() value.Value {
			if !t.ctxObj.IsUndefined() {
				return t.ctxObj
			}
			state := []value.Member{member("Name", value.String(t.st.Name)), member("EnteredTime", stamp)}
			if t.st.Type == asl.Task || composite(t.st) {
				state = append(state, member("RetryCount", value.Int(t.retries())))
			}
			return value.Object(
				member("Execution", value.Object(member("Id", value.String(strings.Replace(machine, ":stateMachine:", ":express:", 1)+":"+name)), member("Input", t.input),
					member("Name", value.String(name)), member("RoleArn", role), member("StartTime", stamp))),
				member("StateMachine", value.Object(member("Id", value.String(machine)), member("Name", value.String(random)))),
				member("State", value.Object(state...)),
			)
		},
	}
}

func (t *stateTest) retries() int64 {
	if n := t.in.RetryCount; n != nil {
		return *n
	}
	return 0
}

// on is the scope with another input.
func (t *stateTest) on(input value.Value) *asl.Scope {
	s := t.scope
	s.Input = input
	return &s
}

// note adds a document to the inspection data, as a JSON text.
func (t *stateTest) note(name string, v value.Value) {
	if !v.IsUndefined() {
		t.out.Inspection = append(t.out.Inspection, value.Member{Key: name, Value: value.String(v.JSON())})
	}
}

func (t *stateTest) number(name string, v value.Value) {
	t.out.Inspection = append(t.out.Inspection, value.Member{Key: name, Value: v})
}

// run computes the state.
func (t *stateTest) run() {
	st := t.st
	t.note("input", t.input)
	eff := t.input
	if st.InputPath != nil {
		var fail *asl.Failure
		if eff, fail = st.InputPath.Eval(t.on(t.input)); fail != nil {
			t.failed(fail)
			return
		}
	}
	// A Pass that has a Result, and a Parallel, report no effective input.
	if st.Language == asl.JSONPath && st.Type != asl.Parallel && !(st.Type == asl.Pass && st.Result != nil) {
		t.note("afterInputPath", eff)
	}
	var fail *asl.Failure
	switch st.Type {
	case asl.Succeed, asl.Wait:
		if st.Wait != nil {
			_, fail = st.Wait.Until(t.on(eff))
		}
		if fail == nil {
			fail = t.plain(eff, st.Output, st.Next)
		}
	case asl.Fail:
		fail = t.failState(eff)
	case asl.Choice:
		fail = t.choice(eff)
	default:
		fail = t.work(eff)
	}
	if fail != nil {
		t.failed(fail)
	}
}

// plain ends a state that has no result.
func (t *stateTest) plain(eff value.Value, output *asl.Field, next *asl.State) (fail *asl.Failure) {
	out := eff
	switch {
	case t.st.Language == asl.JSONata && output != nil:
		out, fail = output.Eval(t.on(t.input))
	case t.st.OutputPath != nil:
		out, fail = t.st.OutputPath.Eval(t.on(eff))
	}
	if fail == nil {
		t.succeeded(out, next)
	}
	return fail
}

func (t *stateTest) succeeded(out value.Value, next *asl.State) {
	t.out.Status, t.out.Output = "SUCCEEDED", out
	if next != nil {
		t.out.Next = next.Name
	}
}

func (t *stateTest) failState(eff value.Value) *asl.Failure {
	for _, p := range []struct {
		f  *asl.Field
		to **string
	}{{t.st.Fail.Error, &t.out.Error}, {t.st.Fail.Cause, &t.out.Cause}} {
		text, ok, fail := p.f.EvalString(t.on(eff))
		if fail != nil {
			return fail
		}
		if ok {
			*p.to = &text
		}
	}
	t.out.Status = "FAILED"
	return nil
}

func (t *stateTest) choice(eff value.Value) *asl.Failure {
	c := t.st.Choice
	for i := range c.Rules {
		r := &c.Rules[i]
		ok, fail := r.Condition.Eval(t.on(eff))
		if fail != nil {
			return fail
		}
		if !ok {
			continue
		}
		output := r.Output
		if output == nil {
			output = t.st.Output
		}
		if fail := t.assign(r.Assign, eff); fail != nil {
			return fail
		}
		return t.plain(eff, output, r.Next)
	}
	if c.Default == nil {
		return &asl.Failure{Error: "States.Runtime", Cause: "Failed to transition out of the state. The state does not point to a next state."}
	}
	if fail := t.assign(t.st.Assign, eff); fail != nil {
		return fail
	}
	return t.plain(eff, t.st.Output, c.Default)
}

// assign computes variables and reports those that there are then.
func (t *stateTest) assign(as []asl.Assignment, result value.Value) *asl.Failure {
	if len(as) == 0 {
		return nil
	}
	s := t.on(result)
	if t.st.Language == asl.JSONata {
		s.Input, s.Result = t.input, result
	}
	vars, fail := asl.EvalAssign(as, s)
	if fail != nil {
		return fail
	}
	all := t.vars
	for k, v := range vars.Members() {
		all = all.With(k, v)
	}
	t.note("variables", all)
	return nil
}

// work computes a Pass, Task, Parallel or Map.
func (t *stateTest) work(eff value.Value) (fail *asl.Failure) {
	st := t.st
	jsonata := st.Language == asl.JSONata
	args := eff
	switch {
	case jsonata && st.Arguments != nil:
		if args, fail = st.Arguments.Eval(t.on(t.input)); fail == nil && st.Type == asl.Task {
			t.note("afterArguments", args)
		}
	case !jsonata && st.Parameters != nil:
		args, fail = st.Parameters.Eval(t.on(eff))
	}
	if fail != nil {
		return fail
	}
	if !jsonata && (st.Type == asl.Task || st.Type == asl.Pass && st.Result == nil) {
		t.note("afterParameters", args)
	}
	if st.Type == asl.Map {
		if fail := t.mapFields(args); fail != nil {
			return fail
		}
	}
	result := args
	switch {
	case st.Type == asl.Pass:
		if st.Result != nil {
			if result, fail = st.Result.Eval(t.on(args)); fail != nil {
				return fail
			}
			t.note("result", result)
		}
		if jsonata {
			if fail := t.assign(st.Assign, t.input); fail != nil {
				return fail
			}
			return t.plain(t.input, st.Output, st.Next)
		}
	case t.mock() == nil:
		if result, fail = t.invoke(args); fail != nil {
			return fail
		}
	case t.mock().Error != nil:
		t.raise(t.mock().Error.Error, t.mock().Error.Cause)
		return nil
	default:
		result = t.mocked
	}
	if st.Type == asl.Task {
		t.note("result", result)
	}
	out := result
	if jsonata {
		if st.Output != nil {
			s := t.on(t.input)
			s.Result = result
			if out, fail = st.Output.Eval(s); fail != nil {
				return fail
			}
		}
	} else {
		if st.ResultSelector != nil {
			if out, fail = st.ResultSelector.Eval(t.on(result)); fail != nil {
				return fail
			}
		}
		t.note("afterResultSelector", out)
		if out, fail = st.ResultPath.Apply(t.input, out); fail != nil {
			return fail
		}
		t.note("afterResultPath", out)
		if st.OutputPath != nil {
			if out, fail = st.OutputPath.Eval(t.on(out)); fail != nil {
				return fail
			}
		}
	}
	if fail := t.assign(st.Assign, result); fail != nil {
		return fail
	}
	t.succeeded(out, st.Next)
	return nil
}

// mapFields computes what only a Map has.
func (t *stateTest) mapFields(eff value.Value) *asl.Failure {
	m := t.st.Map
	items := eff
	switch {
	case t.in.ReaderData != nil:
		v, err := value.ParseString(*t.in.ReaderData)
		if err != nil {
			return &asl.Failure{Error: "States.ItemReaderFailed", Cause: "The data of mapItemReaderData is not valid JSON."}
		}
		items = v
	case m.ItemReader == nil && m.Items != nil:
		v, fail := m.Items.EvalArray(t.on(eff))
		if fail != nil {
			return fail
		}
		items = v
	}
	if t.st.Language == asl.JSONPath && m.ItemReader == nil {
		t.note("afterItemsPath", items)
	}
	n := int64(0)
	if m.MaxConcurrency != nil {
		var fail *asl.Failure
		if n, fail = m.MaxConcurrency.EvalInt(t.on(eff)); fail != nil {
			return fail
		}
	}
	t.number("maxConcurrency", value.Int(n))
	failures := float64(0)
	if t.in.IterationFailures != nil {
		failures = float64(*t.in.IterationFailures)
	}
	exceeded := false
	if m.ToleratedFailureCount != nil {
		n, fail := m.ToleratedFailureCount.EvalInt(t.on(eff))
		if fail != nil {
			return fail
		}
		t.number("toleratedFailureCount", value.Int(n))
		exceeded = exceeded || failures > float64(n)
	}
	if m.ToleratedFailurePercentage != nil {
		p, fail := m.ToleratedFailurePercentage.EvalFloat(t.on(eff))
		if fail != nil {
			return fail
		}
		t.number("toleratedFailurePercentage", decimal(p))
		if n := items.Len(); n > 0 {
			exceeded = exceeded || failures*100/float64(n) > p
		}
	}
	if exceeded {
		return &asl.Failure{Error: "States.ExceedToleratedFailureThreshold", Cause: "The specified tolerated failure threshold was exceeded"}
	}
	return nil
}

// decimal is a number that clients read as a floating-point one, as AWS prints it.
func decimal(f float64) value.Value {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	v, err := value.ParseString(text)
	if err != nil {
		return value.Float(f)
	}
	return v
}

// failed is what a failure of a field becomes.
func (t *stateTest) failed(f *asl.Failure) { t.raise(&f.Error, &f.Cause) }

// raise ends the state with an error, which a retrier or a catcher may take.
func (t *stateTest) raise(name, cause *string) {
	t.out.Error, t.out.Cause = name, cause
	t.out.Status = "FAILED"
	details := func(members ...value.Member) {
		t.out.Inspection = append(t.out.Inspection, value.Member{Key: "errorDetails", Value: value.Object(members...)})
	}
	member := func(k string, n int64) value.Member { return value.Member{Key: k, Value: value.Int(n)} }
	var spent *value.Member
	for i := range t.st.Retry {
		r := &t.st.Retry[i]
		if !matches(r.ErrorEquals, name) {
			continue
		}
		if t.retries() >= int64(r.MaxAttempts) {
			spent = new(member("retryIndex", int64(i)))
			break
		}
		t.out.Status = "RETRIABLE"
		details(member("retryIndex", int64(i)), member("retryBackoffIntervalSeconds", backoff(r, t.retries())))
		return
	}
	for i := range t.st.Catch {
		c := &t.st.Catch[i]
		if !matches(c.ErrorEquals, name) {
			continue
		}
		text := func(s *string) value.Value {
			if s == nil {
				return value.Null()
			}
			return value.String(*s)
		}
		errOut := value.Object(value.Member{Key: "Error", Value: text(name)}, value.Member{Key: "Cause", Value: text(cause)})
		out := errOut
		var fail *asl.Failure
		if t.st.Language == asl.JSONPath {
			out, fail = c.ResultPath.Apply(t.input, errOut)
		} else if c.Output != nil {
			s := t.on(t.input)
			s.Error = errOut
			out, fail = c.Output.Eval(s)
		}
		if fail != nil {
			t.out.Error, t.out.Cause = &fail.Error, &fail.Cause
			return
		}
		t.out.Status, t.out.Output, t.out.Next = "CAUGHT_ERROR", out, c.Next.Name
		details(member("catchIndex", int64(i)))
		return
	}
	if spent != nil {
		details(*spent)
	}
}

// matches reports whether one of an ErrorEquals' names stands for an error.
func matches(names []string, name *string) bool {
	if name == nil {
		return slices.Contains(names, "States.ALL") || slices.Contains(names, "States.TaskFailed")
	}
	return slices.ContainsFunc(names, func(n string) bool {
		return n == *name || n == "States.ALL" && *name != "States.Runtime" && *name != "States.DataLimitExceeded" ||
			n == "States.TaskFailed" && *name != "States.Timeout" && !strings.HasPrefix(*name, "States.Query") && *name != "States.Runtime"
	})
}

// backoff is the seconds to wait before the attempt after n retries.
func backoff(r *asl.Retrier, n int64) int64 {
	d := r.Interval.Seconds() * math.Pow(r.BackoffRate, float64(n))
	if r.MaxDelay > 0 {
		d = min(d, r.MaxDelay.Seconds())
	}
	return int64(min(d, asl.MaxWait.Seconds()))
}

// invokeTest performs a Task for real.
func (s *Service) invokeTest(ctx context.Context, t *stateTest, args value.Value) (value.Value, *asl.Failure) {
	ctx, cancel := context.WithTimeout(ctx, maxTestWait)
	defer cancel()
	c := t.scope.Context().Get("Execution")
	task := Task{RoleARN: t.in.RoleARN, ExecutionARN: c.Get("Id").Str(), ExecutionName: c.Get("Name").Str(), Region: t.in.Region, Account: t.in.Account}
	task.Task, task.State, task.Part, task.Args = 1, t.st.Name, t.st.Task, args
	task.MachineARN = t.scope.Context().Get("StateMachine").Get("Id").Str()
	task.ID = task.ExecutionARN + "#1"
	out, err := s.cfg.Invoker.Invoke(ctx, task)
	if err == nil {
		return out, nil
	}
	if te, ok := errors.AsType[*TaskError](err); ok {
		return out, &asl.Failure{Error: te.Name, Cause: te.Cause}
	}
	if ctx.Err() != nil {
		return out, &asl.Failure{Error: "States.Timeout"}
	}
	s.cfg.Logger.ErrorContext(ctx, "task could not be performed", "state", t.st.Name, "err", err)
	return out, &asl.Failure{Error: "States.TaskFailed", Cause: "The task could not be performed because of an internal error."}
}
