package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// t0 is when every test's world begins.
var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// sim is a driver in virtual time: it performs effects at once and jumps to the
// next moment at which something happens. It replays after every Step and
// compares.
type sim struct {
	t      testing.TB
	cfg    Config
	x      *Execution
	events []Event
	now    time.Time
	due    []dueInput
	order  int
	finish *Finish
	fed    []dueInput // everything that Step got
	kids   map[string]*sim

	// perform says what comes of a task, and when; a nil input is never.
	perform func(in Invoke, now time.Time) (after time.Duration, out Input)

	// child says how a child of a Map Run ends, and when; nil: it runs as its
	// program has it, if there is perform.
	child func(in StartChild, now time.Time) (after time.Duration, out *ChildDone)
}

// dueInput is an input whose time will come.
type dueInput struct {
	at    time.Time
	order int
	in    Input
}

func newSim(t testing.TB, cfg Config, perform func(Invoke, time.Time) (time.Duration, Input)) *sim {
	return &sim{t: t, cfg: cfg, x: New(cfg), now: t0, perform: perform}
}

// step feeds in to the execution and carries out what comes of it.
func (s *sim) step(in Input) Batch {
	s.t.Helper()
	b, err := s.x.Step(s.now, in)
	if err != nil {
		s.t.Fatalf("Step(%#v): %v", in, err)
	}
	if n := 2 * (s.x.live.n + 2*StandardLimits().Iterations); len(b.Events) > MaxStepEvents+n || len(b.Effects) > MaxStepEffects+2*n {
		s.t.Fatalf("a batch of %d events and %d effects", len(b.Events), len(b.Effects))
	}
	s.events = append(s.events, b.Events...)
	for i, e := range b.Effects {
		if _, ok := e.(Again); ok && i != len(b.Effects)-1 {
			s.t.Fatal("Again is not the last effect")
		}
	}
	s.fed = append(s.fed, dueInput{at: s.now, in: in})
	s.compare()
	for _, e := range b.Effects {
		s.do(e)
	}
	return b
}

// do carries out one effect.
func (s *sim) do(e Effect) {
	switch e := e.(type) {
	case Invoke:
		if s.perform != nil {
			if after, in := s.perform(e, s.now); in != nil {
				s.later(s.now.Add(after), in)
			}
		}
	case Sleep:
		s.forget(Cancel{Timer: e.Timer})
		s.later(e.Until, TimerFired{e.Timer})
	case Cancel:
		s.forget(e)
	case Again:
		s.later(s.now, Continue{})
	case StartChild:
		switch {
		case s.child != nil:
			if after, in := s.child(e, s.now); in != nil {
				s.later(s.now.Add(after), *in)
			}
		case s.perform != nil:
			s.runChild(e)
		}
	case StopRun:
		s.due = slices.DeleteFunc(s.due, func(d dueInput) bool {
			in, ok := d.in.(ChildDone)
			return ok && in.Run == e.Run
		})
	case Finish:
		s.finish = &e
	}
}

// runChild runs a child to its end, which comes back in time.
func (s *sim) runChild(e StartChild) {
	s.t.Helper()
	k := s.kids[e.Name]
	if k == nil {
		cfg := s.cfg
		m := s.cfg.Program.State(e.State).Map
		cfg.Program = s.cfg.Program.Child(s.cfg.Program.State(e.State))
		machine, _, _ := strings.Cut(cfg.MachineARN, "/")
		cfg.MachineARN = machine + "/" + e.Label
		cfg.MachineName, cfg.Name = strings.SplitN(cfg.MachineARN, ":", 7)[6], e.Name
		cfg.ExecutionARN = strings.Replace(cfg.MachineARN, ":stateMachine:", ":execution:", 1) + ":" + e.Name
		cfg.Seed = mix(cfg.Seed + uint64(e.Run)<<20 + uint64(e.Child))
		if cfg.Express = m.Express; m.Express {
			cfg.Limits = ExpressLimits()
		}
		k = newSim(s.t, cfg, s.perform)
		if s.kids == nil {
			s.kids = map[string]*sim{}
		}
		s.kids[e.Name] = k
	}
	k.now = s.now
	if in := (Input)(Start{e.Input}); e.Attempt > 0 {
		k.finish = nil
		k.runFrom(Redrive{})
	} else {
		k.runFrom(in)
	}
	if k.finish == nil {
		s.t.Fatalf("the child %d does not end", e.Child)
	}
	s.later(k.now, ChildDone{e.Run, e.Child, e.Attempt, k.finish.Status, k.finish.Output})
}

func (s *sim) later(at time.Time, in Input) {
	s.order++
	s.due = append(s.due, dueInput{at, s.order, in})
}

func (s *sim) forget(c Cancel) {
	s.due = slices.DeleteFunc(s.due, func(d dueInput) bool {
		switch in := d.in.(type) {
		case TimerFired:
			return c.Timer != 0 && in.Timer == c.Timer
		case TaskDone:
			return c.Task != 0 && in.Task == c.Task
		case TaskFailed:
			return c.Task != 0 && in.Task == c.Task
		}
		return false
	})
}

// run starts the execution and lets it go on until it ends or nothing more
// happens.
func (s *sim) run(input value.Value) {
	s.t.Helper()
	s.runFrom(Start{input})
}

// runFrom is run with any beginning.
func (s *sim) runFrom(in Input) {
	s.t.Helper()
	s.step(in)
	for n := 0; s.finish == nil && len(s.due) > 0; n++ {
		if n > 200_000 {
			s.t.Fatal("does not end")
		}
		s.step(s.next())
	}
}

// next takes what happens first, and goes to its time.
func (s *sim) next() Input {
	first := 0
	for i, d := range s.due {
		if d.at.Before(s.due[first].at) || d.at.Equal(s.due[first].at) && d.order < s.due[first].order {
			first = i
		}
	}
	d := s.due[first]
	s.due = slices.Delete(s.due, first, first+1)
	if d.at.After(s.now) {
		s.now = d.at
	}
	return d.in
}

// compare replays the events as the journal would read them.
func (s *sim) compare() {
	s.t.Helper()
	y, err := Replay(s.cfg, stored(s.events))
	if err != nil {
		s.t.Fatalf("replay: %v", err)
	}
	if got, want := picture(y), picture(s.x); got != want {
		s.t.Fatalf("replay differs.\nreplayed: %s\nwant:     %s", got, want)
	}
	z, err := Restore(s.cfg, s.x.AppendSnapshot(nil), stored(nil))
	if err != nil {
		s.t.Fatalf("snapshot: %v", err)
	}
	if got, want := picture(z), picture(s.x); got != want {
		s.t.Fatalf("the snapshot differs.\nrestored: %s\nwant:     %s", got, want)
	}
	if err := CheckHistory(s.events); err != nil {
		s.t.Fatalf("history: %v", err)
	}
}

// stored is the events after a trip through their durable form.
func stored(events []Event) func(func(Event, error) bool) {
	return func(yield func(Event, error) bool) {
		var b []byte
		for i := range events {
			b = AppendEvent(b[:0], &events[i])
			e, rest, err := DecodeEvent(b)
			if err == nil && len(rest) != 0 {
				err = fmt.Errorf("%d bytes left", len(rest))
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// picture is everything that an execution is made of, as text.
func picture(x *Execution) string {
	var b strings.Builder
	str := func(p *string) string {
		if p == nil {
			return "-"
		}
		return *p
	}
	fmt.Fprintf(&b, "%s seq=%d id=%d last=%d started=%d deadline=%d in=%s out=%s err=%s cause=%s next=%d redriven=%d/%d\n",
		x.status, x.seq, x.id, x.last, x.started, x.deadline, x.input, x.output, str(x.err), str(x.cause), len(x.threads)+int(x.base), x.redrives, x.redriven)
	for th := x.live.head; th != nil; th = th.next {
		state, parent := "", int32(-1)
		if th.state != nil {
			state = th.state.Name
		}
		if th.parent != nil {
			parent = th.parent.id
		}
		if x.thread(th.id) != th {
			fmt.Fprintf(&b, "LOST ")
		}
		fmt.Fprintf(&b, "%d of %d[%d] phase=%d %q in=%s entered=%d/%d/%d cursor=%d retries=%v/%d timer=%d/%d vars=%s\n",
			th.id, parent, th.index, th.phase, state, th.input, th.entered, th.before, th.enteredAt, th.cursor, th.retries, th.retried, th.timer, th.due, varsText(th.vars))
		if tk := th.task; tk.id != 0 {
			fmt.Fprintf(&b, "  task %d args=%s due=%d beat=%d %v/%v job=%s token=%s\n", tk.id, tk.args, tk.due, tk.beat, tk.started, tk.submitted, tk.job, tk.more.Token)
		}
		if c := th.comp; c != nil {
			fmt.Fprintf(&b, "  work from %d items=%s results=%v next=%d live=%d done=%d\n", c.started, c.items, c.results, c.next, c.live, c.done)
			if r := c.run; r != nil {
				fmt.Fprintf(&b, "  run %d %d %s %d %d/%d/%g%% %d/%d/%s next=%d again=%d from=%d running=%d failed=%d bytes=%d large=%v over=%v anew=%v revived=%v redrives=%d\n",
					r.id, r.event, r.arn, r.started, r.set.MaxConcurrency, r.set.ToleratedCount, r.set.ToleratedPercentage, r.set.BatchItems, r.set.BatchBytes, r.set.BatchInput,
					r.next, r.again, r.from, r.running, r.failed, r.bytes, r.large, r.over, r.anew, r.revived, r.redrives)
				for i, k := range r.kids {
					fmt.Fprintf(&b, "  kid %d of %d+%d attempt=%d state=%d result=%s\n", i, k.first, k.items, k.attempt, k.state, k.result)
				}
			}
		}
	}
	for _, q := range []*queue{&x.ready, &x.starting} {
		b.WriteString("queue:")
		for th := q.head; th != nil; th = th.qnext {
			fmt.Fprintf(&b, " %d", th.id)
		}
		b.WriteByte('\n')
	}
	for _, e := range x.Pending() {
		fmt.Fprintln(&b, effectText(e))
	}
	return b.String()
}

func varsText(vars []variable) string {
	var b strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&b, "%s=%s ", v.name, v.v)
	}
	return b.String()
}

// effectText is an effect for people.
func effectText(e Effect) string {
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return fmt.Sprintf("%q", *s)
	}
	switch e := e.(type) {
	case Invoke:
		s := fmt.Sprintf("-> Invoke task=%d %s %s %s", e.Task, e.State, e.Part.Resource, e.Args)
		if e.Attempt != 0 {
			s += fmt.Sprintf(" attempt=%d", e.Attempt)
		}
		if e.RoleARN != "" {
			s += " role=" + e.RoleARN
		}
		if e.Token != "" {
			s += " token=" + e.Token
		}
		if !e.Until.IsZero() {
			s += fmt.Sprintf(" until=+%s", e.Until.Sub(t0))
		}
		if e.Started {
			s += " started"
		}
		if e.Submitted {
			s += " submitted=" + e.Job.JSON()
		}
		return s
	case Sleep:
		return fmt.Sprintf("-> Sleep timer=%d until=+%s", e.Timer, e.Until.Sub(t0))
	case Cancel:
		if e.Task != 0 {
			return fmt.Sprintf("-> Cancel task=%d", e.Task)
		}
		return fmt.Sprintf("-> Cancel timer=%d", e.Timer)
	case StartChild:
		s := fmt.Sprintf("-> StartChild run=%d child=%d %s %s %s items=%d", e.Run, e.Child, e.State, e.Label, e.Name, e.Items)
		if e.Attempt != 0 {
			s += fmt.Sprintf(" attempt=%d", e.Attempt)
		}
		if !e.Input.IsUndefined() {
			s += " " + e.Input.JSON()
		}
		return s
	case StopRun:
		return fmt.Sprintf("-> StopRun run=%d", e.Run)
	case Again:
		return "-> Again"
	case Finish:
		return fmt.Sprintf("-> Finish %s output=%s error=%s cause=%s", e.Status, e.Output, text(e.Error), text(e.Cause))
	}
	return fmt.Sprintf("-> %T", e)
}

// eventText is an event for people.
func eventText(e *Event) string {
	s := fmt.Sprintf("%d<%d %s", e.ID, e.Prev, e.Type)
	if e.Type.Internal() {
		s = fmt.Sprintf("· %s", e.Type)
	}
	if e.Thread != 0 {
		s += fmt.Sprintf(" t%d", e.Thread)
	}
	if e.State != "" {
		s += " " + e.State
	}
	switch e.Type {
	case MapIterationStarted, MapIterationSucceeded, MapIterationFailed, MapIterationAborted:
		s += fmt.Sprintf("[%d]", e.Index)
	case ChildStarted, ChildSucceeded, ChildFailed, ChildTimedOut, ChildAborted:
		s += fmt.Sprintf(" %d of run %d", e.Index, e.Ref)
	case RetryScheduled:
		s += fmt.Sprintf(" retrier=%d", e.Index)
	}
	if !e.Data.IsUndefined() {
		d := e.Data.JSON()
		if len(d) > 300 {
			d = fmt.Sprintf("%.40s… (%d bytes)", d, len(d))
		}
		s += " " + d
	}
	if m := e.More; m != nil {
		for _, p := range []struct {
			k string
			v *string
		}{{"error", m.Error}, {"cause", m.Cause}} {
			if p.v != nil {
				s += fmt.Sprintf(" %s=%q", p.k, *p.v)
			}
		}
		for _, p := range [][2]string{{"location", m.Location}, {"vars", m.Vars.JSON()}, {"resourceType", m.ResourceType}, {"resource", m.Resource},
			{"region", m.Region}, {"role", m.RoleARN}, {"worker", m.Worker}, {"token", m.Token}} {
			if p[1] != "" {
				s += fmt.Sprintf(" %s=%s", p[0], p[1])
			}
		}
		if m.MapRunARN != "" {
			s += " arn=" + m.MapRunARN
		}
		if e.Type == MapStateStarted || m.Length != 0 {
			s += fmt.Sprintf(" length=%d", m.Length)
		}
		if m.RedriveCount != 0 {
			s += fmt.Sprintf(" redrive=%d", m.RedriveCount)
		}
		if r := m.Run; r != nil {
			s += fmt.Sprintf(" run=%d/%d/%g%%", r.MaxConcurrency, r.ToleratedCount, r.ToleratedPercentage)
			if r.BatchBytes != 0 {
				s += fmt.Sprintf(" batches=%d/%d/%s", r.BatchItems, r.BatchBytes, r.BatchInput)
			}
		}
		if m.TimeoutSeconds != 0 {
			s += fmt.Sprintf(" timeout=%d", m.TimeoutSeconds)
		}
		if m.HeartbeatSeconds != 0 {
			s += fmt.Sprintf(" heartbeat=%d", m.HeartbeatSeconds)
		}
		if m.Due != 0 {
			s += fmt.Sprintf(" due=+%s", time.UnixMilli(m.Due).Sub(t0))
		}
	}
	return s
}

const (
	testRegion  = "us-east-1"
	testAccount = "123456789012"
)

// testConfig is an execution of p.
func testConfig(p *asl.Program) Config {
	return Config{
		Program:      p,
		ExecutionARN: "arn:aws:states:" + testRegion + ":" + testAccount + ":execution:machine:run",
		Name:         "run",
		MachineARN:   "arn:aws:states:" + testRegion + ":" + testAccount + ":stateMachine:machine",
		MachineName:  "machine",
		RoleARN:      "arn:aws:iam::" + testAccount + ":role/conformance",
		Seed:         1,
		Limits:       StandardLimits(),
	}
}

// mustParse is the program of a definition.
func mustParse(t testing.TB, def string) *asl.Program {
	t.Helper()
	p, diags := asl.Parse([]byte(def))
	if p == nil {
		t.Fatalf("definition: %v", diags)
	}
	return p
}
