package flow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"tokaido/engine"
	"tokaido/fault"
	"tokaido/value"
)

// Child says of which Map Run an execution is a child.
type Child struct {
	MapRun string // its ARN; "" for an execution that is nobody's child
	Parent string // the ARN of the execution that the run belongs to
	State  string // the Map state
	Label  string
	Items  int64 // how many items it processes

	// The driver's own: the parent's number, and what the engine calls the run
	// and the child.
	Of    uint64
	Run   int64
	Index int32
}

// InMemory reports whether an execution is not kept: Express ones are not,
// unless they are a Map Run's children.
func (x *Execution) InMemory() bool { return x.Express && x.Child.MapRun == "" }

// MapRun is a distributed Map state's run.
type MapRun struct {
	engine.MapRun
	ExecutionARN string
	MachineARN   string // with the label
	ID           int64  // what the engine calls it
}

// ListedRun is a Map Run in a list.
type ListedRun struct {
	MapRunARN    string
	ExecutionARN string
	MachineARN   string // with the label
	Started      time.Time
	Stopped      time.Time // zero while it runs
	Mark         Mark
}

// MapRuns is what a [Driver] can say about Map Runs.
type MapRuns interface {
	// MapRun describes a run, or returns ErrNotFound.
	MapRun(ctx context.Context, arn string) (MapRun, error)
	// FindMapRun returns what MapRuns lists of a run, or ErrNotFound. However many
	// children it has, it costs the same.
	FindMapRun(ctx context.Context, arn string) (ListedRun, error)
	// MapRuns lists an execution's runs, the newest first.
	MapRuns(ctx context.Context, execution string, after *Mark) iter.Seq2[ListedRun, error]
}

// RunStart is a Map Run that is about to start its first child.
type RunStart struct {
	MapRunARN     string
	MachineARN    string // whose executions are started: without the label
	ExecutionARN  string
	ExecutionName string
	State         string
	RoleARN       string
	Region        string
	Account       string
}

// NotRedrivable says why an execution cannot be redriven, in AWS's words.
type NotRedrivable string

func (e NotRedrivable) Error() string { return string(e) }

// Refusal is why an execution whose history has so many events cannot be
// redriven at a time; nil if it can.
func (x *Execution) Refusal(l *Limits, events int64, now time.Time) error {
	switch {
	case x.Status == engine.Running || x.Status == engine.Succeeded || x.Status == engine.PendingRedrive:
		return NotRedrivable("Execution is " + x.Status.String() + " and cannot be redriven")
	case x.Express: // a child, which starts anew
		return nil
	case l.Standard.Events > 0 && events >= l.Standard.Events-1: // no room for two more
		return NotRedrivable("Execution history event limit exceeded")
	case l.Standard.Duration > 0 && now.Sub(x.Started) >= l.Standard.Duration:
		return NotRedrivable("Execution has exceeded the max execution time")
	case l.Redrivable > 0 && now.Sub(x.Stopped) >= l.Redrivable:
		return NotRedrivable("Execution redrivable period exceeded")
	}
	return nil
}

// RedriveStatus is AWS's redriveStatus and redriveStatusReason.
func (d *ExecutionDescription) RedriveStatus() (status, reason string) {
	if err := d.Refusal(d.limits, d.Events, time.Now()); err != nil {
		return "NOT_REDRIVABLE", err.Error()
	}
	switch {
	case d.Child.MapRun != "":
		return "REDRIVABLE_BY_MAP_RUN", ""
	case d.Deleting:
		return "NOT_REDRIVABLE", "State machine is in DELETING status"
	}
	return "REDRIVABLE", ""
}

const (
	// tokenWindow and tokensKept are for how long, and how many of, the client
	// tokens of redrives count.
	tokenWindow = 15 * time.Minute
	tokensKept  = 10
)

// RedriveExecution lets a Standard execution go on that ended without success,
// and returns when it did. With a token of one of its last redrives, it returns
// when that was.
func (s *Service) RedriveExecution(ctx context.Context, arn, clientToken string) (time.Time, error) {
	if _, err := ParseExecutionARN(arn); err != nil {
		return time.Time{}, err
	}
	x, err := s.find(ctx, arn)
	if err != nil {
		return time.Time{}, err
	}
	if clientToken != "" {
		if at, err := s.redriven(ctx, arn, clientToken); err != nil || !at.IsZero() {
			return at, err
		}
	}
	refuse := func(why string) (time.Time, error) {
		return time.Time{}, fault.Newf("ExecutionNotRedrivable", "%s", why)
	}
	if x.Child.MapRun != "" {
		return refuse("Execution is a child of a Map Run and can only be redriven by redriving its parent execution '" + x.Child.Parent + "'")
	}
	if m := s.machine(x.MachineARN); m == nil || m.Deleting {
		return refuse("State machine is in DELETING status")
	}
	x, err = s.cfg.Driver.Redrive(ctx, arn, clientToken)
	if why, ok := errors.AsType[NotRedrivable](err); ok {
		return refuse(string(why))
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return time.Time{}, noExecution(arn)
	case errors.Is(err, ErrFull):
		return time.Time{}, noRoom(err)
	case errors.Is(err, ErrTooManyOpen):
		return time.Time{}, tooManyOpen()
	}
	return x.Redriven, err
}

// redriven is when an execution was redriven with a token; zero if it was not.
func (s *Service) redriven(ctx context.Context, arn, clientToken string) (time.Time, error) {
	n := 0
	for e, err := range s.cfg.Driver.History(ctx, arn, 0, true) {
		if err != nil {
			return time.Time{}, err
		}
		if time.Since(e.Time()) >= tokenWindow {
			break
		}
		if e.Type != engine.ExecutionRedriven {
			continue
		}
		if e.More != nil && e.More.Token == clientToken {
			return e.Time(), nil
		}
		if n++; n == tokensKept {
			break
		}
	}
	return time.Time{}, nil
}

// noMapRun is the fault for a Map Run that there is not.
func noMapRun(arn string) error {
	return fault.Newf("ResourceNotFound", "Resource not found: '%s'", arn)
}

// DescribeMapRun describes a Map Run.
func (s *Service) DescribeMapRun(ctx context.Context, arn string) (MapRun, error) {
	if err := CheckMapRunARN(arn); err != nil {
		return MapRun{}, err
	}
	r, err := s.cfg.Driver.MapRun(ctx, arn)
	if errors.Is(err, ErrNotFound) {
		return r, noMapRun(arn)
	}
	return r, err
}

// ListMapRuns lists the Map Runs of an execution, the newest first.
func (s *Service) ListMapRuns(ctx context.Context, execution string, p Page) (Listing[ListedRun], error) {
	var l Listing[ListedRun]
	if _, err := s.find(ctx, execution); err != nil {
		return l, err
	}
	call := []string{"ListMapRuns", execution}
	after, err := p.mark(call...)
	if err != nil {
		return l, err
	}
	var last Mark
	for r, err := range s.cfg.Driver.MapRuns(ctx, execution, after) {
		if err != nil {
			return l, err
		}
		if len(l.Items) == p.size() {
			l.Next = last.token(call...)
			break
		}
		l.Items = append(l.Items, r)
		last = r.Mark
	}
	return l, nil
}

// UpdateMapRun is what a Map Run is to go by from now on; nil stays as it is.
type UpdateMapRun struct {
	ARN                 string
	MaxConcurrency      *int64
	ToleratedCount      *int64
	ToleratedPercentage *float64
}

// UpdateMapRun changes a Map Run that runs.
func (s *Service) UpdateMapRun(ctx context.Context, in UpdateMapRun) error {
	r, err := s.DescribeMapRun(ctx, in.ARN)
	if err != nil {
		return err
	}
	completed := withReason(fault.Newf("ValidationException", "Map Run '%s' is not in the RUNNING state and cannot be updated", in.ARN), "CANNOT_UPDATE_COMPLETED_MAP_RUN")
	if r.Status != engine.Running {
		return completed
	}
	if in.MaxConcurrency == nil && in.ToleratedCount == nil && in.ToleratedPercentage == nil {
		return withReason(fault.Newf("ValidationException", "At least one of maxConcurrency, toleratedFailurePercentage and toleratedFailureCount must be specified"), "MISSING_REQUIRED_PARAMETER")
	}
	_, _, err = s.cfg.Driver.Feed(ctx, r.ExecutionARN, engine.UpdateRun{
		Run: r.ID, MaxConcurrency: in.MaxConcurrency, ToleratedCount: in.ToleratedCount, ToleratedPercentage: in.ToleratedPercentage,
	})
	if err != nil {
		return err
	}
	// It may have ended in the meantime, and then nothing was changed.
	if r, err = s.DescribeMapRun(ctx, in.ARN); err != nil {
		return err
	}
	set := r.Settings
	if differs(in.MaxConcurrency, set.MaxConcurrency) || differs(in.ToleratedCount, set.ToleratedCount) || differs(in.ToleratedPercentage, set.ToleratedPercentage) {
		return completed
	}
	return nil
}

func differs[T comparable](want *T, got T) bool { return want != nil && *want != got }

// listChildren lists the children of a Map Run, the newest first.
func (s *Service) listChildren(ctx context.Context, in ListExecutions) (Listing[Execution], error) {
	var l Listing[Execution]
	run, err := s.cfg.Driver.FindMapRun(ctx, in.ARN)
	if errors.Is(err, ErrNotFound) {
		return l, noMapRun(in.ARN)
	}
	if err != nil {
		return l, err
	}
	q := Query{Under: in.ARN, Status: in.Status}
	call := []string{"ListExecutions", in.ARN, "", ""}
	if in.Status != nil {
		call[2] = in.Status.String()
	}
	if in.Redriven != nil {
		call[3] = strconv.FormatBool(*in.Redriven)
	}
	if q.After, err = in.mark(call...); err != nil {
		return l, err
	}
	// While a run that was redriven has no place for all of its children, those that
	// have not begun again are what AWS calls PENDING_REDRIVE.
	waits := func(*Execution) bool { return false }
	if run.Stopped.IsZero() {
		parent, err := s.cfg.Driver.Describe(ctx, run.ExecutionARN)
		if err != nil {
			return l, err
		}
		if parent.RedriveCount > 0 {
			r, err := s.DescribeMapRun(ctx, in.ARN)
			if err != nil {
				return l, err
			}
			if r.Children.PendingRedrive > 0 {
				waits = func(x *Execution) bool {
					return x.Status != engine.Running && x.Status != engine.Succeeded && x.Stopped.Before(r.Redriven)
				}
			}
		}
	}
	if in.Status != nil && *in.Status == engine.PendingRedrive {
		q.Status = nil
	}
	var last, seen Mark
	looked := 0
	for x, err := range s.cfg.Driver.List(ctx, q) {
		if err != nil {
			return l, err
		}
		if looked++; looked > maxLooked {
			l.Next = seen.token(call...)
			break
		}
		seen = x.Mark
		if waits(&x.Execution) {
			x.Status = engine.PendingRedrive
		}
		if in.Status != nil && x.Status != *in.Status || in.Redriven != nil && (x.RedriveCount > 0) != *in.Redriven {
			continue
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

// maxLooked is how many children a page is picked from: where few of a large run
// pass its filters, it is short, and the next one goes on behind them.
const maxLooked = 4096

// processor is the definition of a distributed Map's children: what stands in
// its ItemProcessor, as a machine of its own.
func processor(definition, state string) (string, error) {
	v, err := value.ParseString(definition)
	if err != nil {
		return "", err
	}
	st := stateIn(v, state)
	p := st.Get("ItemProcessor")
	if p.IsUndefined() {
		p = st.Get("Iterator")
	}
	if !p.IsObject() {
		return "", fmt.Errorf("the definition has no processor of the state %q", state)
	}
	if l := v.Get("QueryLanguage"); l.IsString() {
		p = p.With("QueryLanguage", l)
	}
	return p.JSON(), nil
}

// stateIn finds a state's definition at whatever depth.
func stateIn(machine value.Value, name string) value.Value {
	for k, st := range machine.Get("States").Members() {
		if k == name {
			return st
		}
		inner := []value.Value{st.Get("ItemProcessor"), st.Get("Iterator")}
		for _, b := range st.Get("Branches").Items() {
			inner = append(inner, b)
		}
		for _, m := range inner {
			if found := stateIn(m, name); !found.IsUndefined() {
				return found
			}
		}
	}
	return value.Value{}
}

// isChildARN reports whether s is the ARN of an Express child of a Map Run,
// which AWS describes as it does Standard executions.
func isChildARN(s string) bool {
	_, _, rest, err := parseARN(s, "express")
	machine, _, _ := strings.Cut(rest, ":")
	return err == nil && strings.Contains(machine, "/")
}

// ChildARN is the ARN of a Map Run's child, of the machine with the label.
func ChildARN(machine, name string, express bool) string {
	if express {
		return executionARN(machine, name, name)
	}
	return executionARN(machine, name, "")
}

// mark is the place in a list of executions, or of Map Runs, that a page's token
// names; nil for the beginning.
func (p Page) mark(call ...string) (*Mark, error) {
	at, err := p.place(call...)
	if err != nil || at == "" {
		return nil, err
	}
	var started int64
	var id uint64
	if n, err := fmt.Sscanf(at, "%d.%d", &started, &id); n != 2 || err != nil {
		return nil, fault.Newf("InvalidToken", "Invalid Token: 'Invalid token'")
	}
	return &Mark{time.UnixMilli(started), id}, nil
}

func (m Mark) token(call ...string) string {
	return token(fmt.Sprintf("%d.%d", m.Started.UnixMilli(), m.ID), call...)
}
