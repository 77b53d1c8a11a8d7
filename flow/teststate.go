package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/value"
)

// TestState is one state to be tried. Nil members were not given.
type TestState struct {
	Scope
	Definition    string
	StateName     string // of a state of the machine that Definition is; "": Definition is one state
	RoleARN       string
	Input         *string
	Variables     *string // a JSON object
	Context       *string // the context object; with a mock only
	Mock          *Mock
	RevealSecrets bool

	// The rest is for mocked states.
	RetryCount        *int64  // attempts made already by the retrier that applies
	IterationFailures *int64  // iterations of a Map that failed
	ErrorCausedBy     *string // the state, inside of a Map or Parallel, that a mocked failure comes from
	ReaderData        *string // what a Map's ItemReader would read
}

// Mock is what a state's work is said to come to: one of Result and Error.
type Mock struct {
	Result *string
	Error  *MockError

	// Mode is how Result is held to what the service answers that a Task calls:
	// STRICT (also ""), PRESENT (members may be missing) or NONE.
	Mode string
}

// MockError is a mocked failure.
type MockError struct{ Error, Cause *string }

// Limits of TestState.
const (
	maxTest  = 5 * time.Minute // that a Task or a Wait may take; AWS's limit
	maxTests = 1000            // that wait for a Task or for a time; AWS throttles calls: 50 per second
)

// TestState tries one state, and tells what became of it and of each of its
// fields. Only a Task without a mock does anything outside, and only a Wait takes
// its time.
func (s *Service) TestState(ctx context.Context, in TestState) (Tested, error) {
	cfg, err := s.testOf(ctx, &in)
	if err != nil {
		return Tested{}, err
	}
	begun := now()
	t := engine.NewSingle(cfg, begun)
	if n, known := t.Iterations(); known && cfg.Failures > int64(n) {
		return Tested{}, invalid("Map iteration failure count must be less than or equal to the number of Map iterations")
	}
	if t.Need() == nil {
		return tested(t.Tried(), &cfg, in.Region), nil
	}
	if s.tests.Add(1) > maxTests {
		s.tests.Add(-1)
		f := fault.Newf("ThrottlingException", "Rate exceeded")
		f.Kind = fault.Throttle
		return Tested{}, f
	}
	defer s.tests.Add(-1)
	deadline := begun.Add(maxTest)
	switch need := t.Need().(type) {
	case engine.Sleep:
		err = sleep(ctx, earlier(need.Until, deadline))
		if need.Until.After(deadline) {
			t.TimedOut(now())
		} else {
			t.Woken(now())
		}
	case engine.Invoke:
		err = s.perform(ctx, t, &cfg, need, deadline, in.Scope)
	default:
		err = fmt.Errorf("test of %s: %T", cfg.State.Name, need)
	}
	return tested(t.Tried(), &cfg, in.Region), err
}

func earlier(a, b time.Time) time.Time {
	if !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

func sleep(ctx context.Context, until time.Time) error {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// perform has the Task done that t needs.
func (s *Service) perform(ctx context.Context, t *engine.Single, cfg *engine.SingleConfig, in engine.Invoke, deadline time.Time, scope Scope) error {
	task := Task{
		Invoke: in, ID: cfg.ExecutionARN + "#1", RoleARN: in.RoleARN, MachineARN: cfg.MachineARN,
		ExecutionARN: cfg.ExecutionARN, ExecutionName: cfg.Name, Region: scope.Region, Account: scope.Account, MachineRole: cfg.RoleARN,
	}
	if task.RoleARN == "" {
		task.RoleARN = cfg.RoleARN
	}
	working, stop := context.WithDeadlineCause(ctx, earlier(in.Until, deadline), ErrCancelled)
	defer stop()
	out, err := s.cfg.Invoker.Invoke(working, task)
	failed, known := errors.AsType[*TaskError](err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case working.Err() != nil:
		t.TimedOut(now())
	case known:
		t.Failed(now(), engine.Failure{Error: &failed.Name, Cause: &failed.Cause})
	case err != nil:
		s.cfg.Logger.ErrorContext(ctx, "task could not be performed", "state", in.State, "err", err)
		t.Failed(now(), engine.Failure{Error: new("States.TaskFailed"), Cause: new("The task could not be performed because of an internal error.")})
	default:
		t.Done(now(), out)
	}
	return nil
}

// testOf checks everything about a test that can be checked before it is made.
// Where AWS's order is known it is this one.
func (s *Service) testOf(ctx context.Context, in *TestState) (cfg engine.SingleConfig, err error) {
	if err := in.checkRequest(); err != nil {
		return cfg, err
	}
	st, err := stateToTest(in.Definition, in.StateName)
	if err != nil {
		return cfg, err
	}
	if err := in.checkState(st); err != nil {
		return cfg, err
	}
	if cfg.Mock, err = in.mocked(st); err != nil {
		return cfg, err
	}
	if cfg.Context, err = in.contextObject(st); err != nil {
		return cfg, err
	}
	if in.Variables != nil {
		if cfg.Variables, err = object(*in.Variables); err != nil {
			return cfg, invalid("Variables must be a JSON object")
		}
	}
	if in.ReaderData != nil {
		if cfg.Items, err = readItems(st.Map.ItemReader.Resource, st.Map.ItemReader.Config, *in.ReaderData); err != nil {
			return cfg, err
		}
	}
	if cfg.Input, err = parseInput(in.Input, s.limits.Standard.DataSize); err != nil {
		return cfg, err
	}
	name := newUID()
	cfg.Name, cfg.MachineName, cfg.MachineARN = newUID(), name, in.machine(name)
	cfg.ExecutionARN = strings.Replace(cfg.MachineARN, ":stateMachine:", ":express:", 1) + ":" + cfg.Name
	cfg.State, cfg.RoleARN, cfg.Seed, cfg.Express, cfg.Limits = st, in.RoleARN, randomSeed(), true, s.limits.Express
	if n := in.RetryCount; n != nil {
		cfg.Retries = int(*n)
	}
	if n := in.IterationFailures; n != nil {
		cfg.Failures = *n
	}
	if st.Type != asl.Task || in.Mock != nil {
		if in.RoleARN != "" && !strings.HasPrefix(in.RoleARN, "arn:") {
			return cfg, invalidARN("Invalid ARN prefix: %s", in.RoleARN)
		}
		return cfg, nil
	}
	if s.cfg.Invoker == nil {
		return cfg, invalid("This server tests Task states with a mock only.")
	}
	if r, ok := s.cfg.Invoker.(Refuser); ok {
		cfg.Refuse = r.Refuse
	}
	return cfg, s.checkRole(ctx, RoleCheck{RoleARN: in.RoleARN, MachineARN: cfg.MachineARN})
}

// stateToTest finds the state in a machine, or is the state that definition is.
func stateToTest(definition, name string) (*asl.State, error) {
	parse, want := asl.ParseState, asl.BareState
	if name != "" {
		parse, want = asl.Parse, name
	}
	p, ds := parse([]byte(definition))
	if p == nil {
		return nil, invalidDefinition(ds)
	}
	if st := p.State(want); st != nil {
		return st, nil
	}
	return nil, invalid("State not found in definition")
}

// object reads a JSON object.
func object(text string) (value.Value, error) {
	v, err := value.ParseString(text)
	if err == nil && !v.IsObject() {
		err = errors.New("not an object")
	}
	return v, err
}
