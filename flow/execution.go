package flow

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/value"
)

// StartExecution is what an execution starts with.
type StartExecution struct {
	ARN   string  // of a machine, a version or an alias; #TestCase may follow
	Name  string  // "": a random one
	Input *string // nil: {}
	Trace string

	// Origin is the [Task.ID] that starts it, if one does. Asking again for the
	// same name is then no mistake, whatever has become of the execution.
	Origin string
}

// CutTestCase splits the ARN that an execution is started with: before a #, which
// no name may have, and after it.
func CutTestCase(arn string) (machine, testCase string) {
	machine, testCase, _ = strings.Cut(arn, "#")
	return machine, testCase
}

func randomSeed() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// prepare is what StartExecution and StartSyncExecution have in common.
func (s *Service) prepare(in StartExecution, sync bool) (Execution, value.Value, error) {
	// The order is AWS's as far as recordings show it: the ARN first.
	target, testCase := CutTestCase(in.ARN)
	t, err := s.resolve(target)
	if err == nil && len(target) < len(in.ARN) {
		err = s.checkTestCase(t, testCase)
	}
	if err != nil {
		return Execution{}, value.Value{}, err
	}
	if sync && !t.machine.Express {
		return Execution{}, value.Value{}, notSupported()
	}
	name := in.Name
	if name == "" {
		name = newUID()
	} else if err := checkName(name); err != nil {
		return Execution{}, value.Value{}, err
	}
	input, err := parseInput(in.Input, s.limits.Standard.DataSize)
	if err != nil {
		return Execution{}, value.Value{}, err
	}
	a, _, _, err := parseARN(t.machine.ARN, "stateMachine")
	if err != nil {
		return Execution{}, value.Value{}, err
	}
	x := Execution{
		Name: name, Revision: t.revision, MachineARN: t.machine.ARN, VersionARN: t.version, AliasARN: t.aliasARN,
		Express: t.machine.Express, Sync: sync, Region: a.Region, Account: a.Account, Seed: randomSeed(), Trace: in.Trace,
		TestCase: testCase, Origin: in.Origin,
	}
	r, err := s.cfg.Library.revision(s.ctx, t.revision)
	if err != nil {
		return Execution{}, value.Value{}, err
	}
	if r.Tracing {
		x.Trace = rooted(in.Trace, time.Now())
	}
	unique := ""
	if x.Express {
		unique = newUID()
	}
	x.ARN = executionARN(t.machine.ARN, name, unique)
	return x, input, nil
}

// checkTestCase refuses a test case that there is not, or that does not fit what
// the execution would run.
func (s *Service) checkTestCase(t target, testCase string) error {
	ref, err := ParseMachineARN(t.machine.ARN)
	if err != nil {
		return err
	}
	if s.cfg.TestCase == nil {
		return fault.Newf("InvalidName", "Invalid Name: '%s#%s': there are no mocks", ref.Name, testCase)
	}
	_, p, err := s.cfg.Library.Program(s.ctx, t.revision)
	if err != nil {
		return err
	}
	return s.cfg.TestCase(ref.Name, testCase, p)
}

func notSupported() error {
	return fault.Newf("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")
}

// parseInput reads an execution's input, of so many bytes at most if that is not 0.
func parseInput(text *string, most int) (value.Value, error) {
	if text == nil {
		return value.Object(), nil
	}
	bad := func(why string) error {
		return fault.Newf("InvalidExecutionInput", "Invalid State Machine Execution Input: '%s'", why)
	}
	if strings.Trim(*text, " \t\r\n") == "" {
		return value.Value{}, bad("Invalid execution input.")
	}
	if most > 0 && len(*text) > most {
		return value.Value{}, bad("Input size " + strconv.Itoa(len(*text)) + " exceeds the maximum number of bytes service limit of " + strconv.Itoa(most) + ".")
	}
	v, err := value.ParseString(*text)
	if err != nil {
		why, _ := asl.JSONProblem(*text, err)
		return v, bad(why)
	}
	return v, nil
}

func noRoom(err error) error {
	return &fault.Error{Kind: fault.Server, Code: "ServiceUnavailable", Status: 503, Err: err,
		Message: "No execution can be started: the server's disk is full, or cannot be written. Executions that run wait until it can."}
}

func tooManyOpen() error {
	return fault.Newf("ExecutionLimitExceeded", "The maximum number of running executions has been reached. Running executions must end or be stopped before a new execution can be started.")
}

// Started is what starting an execution answers.
type Started struct {
	ARN     string
	Started time.Time
}

// StartExecution starts an execution, or finds the one that the same request
// started before. It is durable when this returns.
func (s *Service) StartExecution(ctx context.Context, in StartExecution) (Started, error) {
	x, durable, err := s.BeginExecution(ctx, in)
	if err == nil {
		err = durable(ctx)
	}
	return x, err
}

// BeginExecution is StartExecution in two halves: the execution is durable when
// durable returns nil, and nobody must be told of it before.
func (s *Service) BeginExecution(ctx context.Context, in StartExecution) (x Started, durable func(context.Context) error, err error) {
	nothing := func(context.Context) error { return nil }
	full := func(err error) error {
		switch {
		case errors.Is(err, ErrFull):
			return noRoom(err)
		case errors.Is(err, ErrTooManyOpen):
			return tooManyOpen()
		}
		return err
	}
	made, input, err := s.prepare(in, false)
	if err != nil {
		return Started{}, nil, err
	}
	got, exists, written, err := s.cfg.Driver.Begin(ctx, made, input)
	if err != nil {
		return Started{}, nil, full(err)
	}
	if !exists {
		return Started{made.ARN, got.Started}, func(ctx context.Context) error { return full(written(ctx)) }, nil
	}
	if in.Origin != "" && got.Origin == in.Origin {
		return Started{made.ARN, got.Started}, nothing, nil
	}
	taken := fault.Newf("ExecutionAlreadyExists", "Execution Already Exists: '%s'", made.ARN)
	if got.Status != engine.Running {
		return Started{}, nil, taken
	}
	was, err := s.input(ctx, made.ARN)
	if err != nil {
		return Started{}, nil, err
	}
	if was.Compact().JSON() != input.Compact().JSON() {
		return Started{}, nil, taken
	}
	return Started{made.ARN, got.Started}, nothing, nil
}

// input is what an execution started with.
func (s *Service) input(ctx context.Context, arn string) (value.Value, error) {
	for e, err := range s.cfg.Driver.History(ctx, arn, 0, false) {
		return e.Data, err
	}
	return value.Value{}, fmt.Errorf("execution %s has no events", arn)
}

// SyncResult is what StartSyncExecution answers.
type SyncResult struct {
	Outcome
	Input value.Value
}

// StartSyncExecution runs an Express execution to its end.
func (s *Service) StartSyncExecution(ctx context.Context, in StartExecution) (SyncResult, error) {
	x, input, err := s.prepare(in, true)
	if err != nil {
		return SyncResult{}, err
	}
	// AWS runs it to its end even if the caller goes.
	o, err := s.cfg.Driver.Run(ctx, x, input)
	return SyncResult{o, input}, err
}

// ExecutionDescription is an execution as DescribeExecution has it.
type ExecutionDescription struct {
	Outcome
	Input    value.Value
	Events   int64 // in its history, if it has ended
	Deleting bool  // its machine is, or is gone

	limits *Limits
}

// find is an execution by its ARN.
func (s *Service) find(ctx context.Context, arn string) (Execution, error) {
	if _, err := ParseExecutionARN(arn); err != nil {
		return Execution{}, err
	}
	return s.known(ctx, arn)
}

// describable is find for what a Map Run's Express children may be asked, too.
func (s *Service) describable(ctx context.Context, arn string) (Execution, error) {
	if isChildARN(arn) {
		return s.known(ctx, arn)
	}
	return s.find(ctx, arn)
}

func (s *Service) known(ctx context.Context, arn string) (Execution, error) {
	x, err := s.cfg.Driver.Describe(ctx, arn)
	if errors.Is(err, ErrNotFound) {
		return x, noExecution(arn)
	}
	return x, err
}

// DescribeExecution describes a Standard execution, or a child of a Map Run.
func (s *Service) DescribeExecution(ctx context.Context, arn string) (ExecutionDescription, error) {
	if !isChildARN(arn) {
		if _, err := ParseExecutionARN(arn); err != nil {
			return ExecutionDescription{}, err
		}
	}
	x, first, last, err := s.cfg.Driver.Ends(ctx, arn)
	if errors.Is(err, ErrNotFound) {
		return ExecutionDescription{}, noExecution(arn)
	}
	if err != nil {
		return ExecutionDescription{}, err
	}
	d := ExecutionDescription{Outcome: Outcome{Execution: x}, Input: first.Data, limits: &s.limits}
	if x.Status == engine.Running {
		return d, nil
	}
	d.Events = last.ID
	m := s.machine(x.MachineARN)
	d.Deleting = m == nil || m.Deleting
	if x.Status == engine.Succeeded {
		d.Output = last.Data
	} else if last.More != nil && x.Status != engine.TimedOut {
		d.Error, d.Cause = last.More.Error, last.More.Cause
	}
	return d, nil
}

// StateMachineForExecution describes what an execution runs.
func (s *Service) StateMachineForExecution(ctx context.Context, arn string) (Described, error) {
	x, err := s.describable(ctx, arn)
	if err != nil {
		return Described{}, err
	}
	r, err := s.cfg.Library.revision(ctx, x.Revision)
	if err != nil {
		return Described{}, err
	}
	d := Described{ARN: r.MachineARN, Name: r.MachineName, Express: r.Express, Revision: *r, Definition: r.definition, References: r.program.References}
	if c := x.Child; c.MapRun != "" {
		d.ARN, d.Name, d.Label, d.MapRun, d.Express = x.MachineARN, r.MachineName+"/"+c.Label, c.Label, c.MapRun, x.Express
		if d.Definition, err = processor(r.definition, c.State); err != nil {
			return Described{}, err
		}
	}
	return d, nil
}

// StopExecution aborts an execution and returns when it ended; one that has
// ended already stays as it is.
func (s *Service) StopExecution(ctx context.Context, arn string, errName, cause *string) (time.Time, error) {
	if _, err := s.find(ctx, arn); err != nil {
		return time.Time{}, err
	}
	x, ended, err := s.cfg.Driver.Feed(ctx, arn, engine.Stop{Error: errName, Cause: cause})
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, noExecution(arn)
	}
	if err == nil && !ended {
		err = fmt.Errorf("stop %s: it goes on", arn)
	}
	return x.Stopped, err
}

// ListExecutions is which executions to list.
type ListExecutions struct {
	ARN      string // of a machine, a version or an alias; of a Map Run
	Status   *engine.Status
	Redriven *bool // nil: any; only of a Map Run's children
	Page
}

// ListExecutions lists executions, the newest first.
func (s *Service) ListExecutions(ctx context.Context, in ListExecutions) (Listing[Execution], error) {
	var l Listing[Execution]
	if CheckMapRunARN(in.ARN) == nil {
		return s.listChildren(ctx, in)
	}
	ref, err := ParseMachineARN(in.ARN)
	if err != nil {
		return l, err
	}
	if in.Redriven != nil {
		return l, invalid("The redriveFilter is only supported with a Map Run ARN")
	}
	status := ""
	if in.Status != nil {
		status = in.Status.String()
		if *in.Status == engine.PendingRedrive {
			return l, invalid("The PENDING_REDRIVE status filter is only supported with a Map Run ARN")
		}
	}
	call := []string{"ListExecutions", in.ARN, status}
	q := Query{Under: in.ARN, Status: in.Status}
	if q.After, err = in.mark(call...); err != nil {
		return l, err
	}
	m := s.machine(ref.Unqualified)
	if m == nil {
		return l, noMachine(in.ARN)
	}
	if m.Express {
		return l, notSupported()
	}
	if ref.Qualifier != "" {
		if _, version := m.qualified(ref); !version && m.alias(ref.Qualifier) < 0 {
			return l, fault.Newf("ResourceNotFound", "Request references a resource that does not exist.")
		}
	}
	var last Mark
	for x, err := range s.cfg.Driver.List(ctx, q) {
		if err != nil {
			return l, err
		}
		if len(l.Items) == in.size() {
			l.Next = last.token(call...)
			break
		}
		l.Items = append(l.Items, x.Execution)
		last = x.Mark
	}
	return l, nil
}

// History is a page of an execution's history.
type History struct {
	Events []engine.Event // those that are shown
	Config engine.Config  // for [engine.Config.Details]
	Next   string
}

// GetExecutionHistory returns a page of a Standard execution's history.
func (s *Service) GetExecutionHistory(ctx context.Context, arn string, reverse bool, p Page) (History, error) {
	var h History
	x, err := s.find(ctx, arn)
	if err != nil {
		return h, err
	}
	call := []string{"GetExecutionHistory", arn, strconv.FormatBool(reverse)}
	at, err := p.place(call...)
	if err != nil {
		return h, err
	}
	from := int64(0)
	if at != "" {
		if from, err = strconv.ParseInt(at, 10, 64); err != nil || from <= 0 {
			return h, fault.Newf("InvalidToken", "Invalid Token: 'Invalid token'")
		}
	}
	r, err := s.cfg.Library.revision(ctx, x.Revision)
	if err != nil {
		return h, err
	}
	h.Config = x.config(r)
	for e, err := range s.cfg.Driver.History(ctx, arn, from, reverse) {
		if err != nil {
			return h, err
		}
		if e.ID == 0 {
			continue
		}
		if len(h.Events) == p.size() {
			h.Next = token(strconv.FormatInt(e.Seq, 10), call...)
			break
		}
		h.Events = append(h.Events, e)
	}
	return h, nil
}

// Await waits until a Standard execution has ended.
func (s *Service) Await(ctx context.Context, arn string) (Outcome, error) {
	if _, err := s.find(ctx, arn); err != nil {
		return Outcome{}, err
	}
	return s.cfg.Driver.Await(ctx, arn)
}

// Validation is what ValidateStateMachineDefinition answers.
type Validation struct {
	OK          bool
	Diagnostics []asl.Diagnostic
	Truncated   bool
}

// ValidateStateMachineDefinition diagnoses a definition; warnings are listed if
// they are asked for.
func (s *Service) ValidateStateMachineDefinition(ctx context.Context, definition string, express, warnings bool, limit int) Validation {
	const all = 100
	if limit <= 0 || limit > all {
		limit = all
	}
	v := Validation{OK: true}
	_, ds := Diagnose(definition, express)
	for _, d := range ds {
		if d.Severity == asl.Error {
			v.OK = false
		} else if !warnings {
			continue
		}
		if len(v.Diagnostics) == limit {
			v.Truncated = true
			continue
		}
		v.Diagnostics = append(v.Diagnostics, d)
	}
	return v
}
