package engine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tokaido/asl"
	"tokaido/value"
)

// TestScripts plays testdata's scripts, each against one execution. A command
// is an input, its output everything that was decided. After every command the
// events so far are replayed, through their durable form, and must give the
// same execution; and they must be a history.
//
//	machine [events=N] [data=N] [iterations=N] [children=N] [redrives=N] [express] [seed=N] [refuse=WHY]
//	                                                 <definition>: a new execution
//	start | again                                    <input>
//	done task=N | submitted task=N                   <output>
//	fail task=N [error=E] [cause=C]
//	taken task=N [worker=W] | beat task=N
//	tick timer=N [early]                             at the time it sleeps until
//	child run=N child=N [attempt=N] status=S         <output>: a child has ended
//	runfailed run=N error=E [cause=C]
//	update run=N [concurrency=N] [count=N] [percent=F]
//	stop [error=E] [cause=C] | redrive [token=T]
//	wait for=D                                       the clock goes on
//	pending                                          what is asked for after a restart
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		var s *sim
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := command(t, &s, d)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			return out
		})
	})
}

func command(t *testing.T, sp **sim, d *datadriven.TestData) (string, error) {
	if d.Cmd == "machine" {
		p, diags := asl.Parse([]byte(d.Input))
		if p == nil {
			*sp = nil
			return fmt.Sprintf("refused: %v\n", diags), nil
		}
		cfg := testConfig(p)
		for _, a := range d.CmdArgs {
			switch a.Key {
			case "events":
				d.ScanArgs(t, "events", &cfg.Limits.Events)
			case "data":
				d.ScanArgs(t, "data", &cfg.Limits.DataSize)
			case "iterations":
				d.ScanArgs(t, "iterations", &cfg.Limits.Iterations)
			case "children":
				d.ScanArgs(t, "children", &cfg.Limits.Children)
			case "redrives":
				d.ScanArgs(t, "redrives", &cfg.Limits.RunRedrives)
			case "seed":
				d.ScanArgs(t, "seed", &cfg.Seed)
			case "refuse":
				why := strings.Join(a.Vals, ", ")
				cfg.Refuse = func(part *asl.TaskPart, args value.Value) string {
					return why + " " + part.Resource + " " + args.JSON()
				}
			case "express":
				cfg.Express, cfg.Limits = true, ExpressLimits()
			default:
				return "", fmt.Errorf("argument %s", a.Key)
			}
		}
		*sp = newSim(t, cfg, nil)
		return "ok\n", nil
	}
	s := *sp
	if s == nil {
		return "no machine\n", nil
	}
	s.t = t
	in, err := input(t, s, d)
	if err != nil {
		return "", err
	}
	if in == nil {
		if d.Cmd == "pending" {
			var b strings.Builder
			for _, e := range s.x.Pending() {
				fmt.Fprintln(&b, effectText(e))
			}
			return b.String(), nil
		}
		return fmt.Sprintf("+%s\n", s.now.Sub(t0)), nil
	}
	batch := s.step(in)
	var b strings.Builder
	for i := range batch.Events {
		fmt.Fprintln(&b, eventText(&batch.Events[i]))
	}
	for _, e := range batch.Effects {
		fmt.Fprintln(&b, effectText(e))
	}
	if b.Len() == 0 {
		return "nothing\n", nil
	}
	return b.String(), nil
}

// input is what a command feeds; nil if nothing.
func input(t *testing.T, s *sim, d *datadriven.TestData) (Input, error) {
	text := func(key string) *string {
		for _, a := range d.CmdArgs {
			if a.Key == key {
				return new(strings.Join(a.Vals, ", "))
			}
		}
		return nil
	}
	num := func(key string) int64 {
		p := text(key)
		if p == nil {
			t.Fatalf("%s: %s needs %s=N", d.Pos, d.Cmd, key)
		}
		n, err := strconv.ParseInt(*p, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		return n
	}
	doc := func() value.Value {
		if n, ok := strings.CutPrefix(d.Input, "text of "); ok {
			k, err := strconv.Atoi(n)
			if err != nil {
				t.Fatalf("%s: %v", d.Pos, err)
			}
			return value.String(strings.Repeat("x", k))
		}
		v, err := value.ParseString(d.Input)
		if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		return v
	}
	switch d.Cmd {
	case "start":
		return Start{doc()}, nil
	case "again":
		return Continue{}, nil
	case "done":
		return TaskDone{num("task"), doc()}, nil
	case "submitted":
		return TaskSubmitted{num("task"), doc()}, nil
	case "fail":
		return TaskFailed{num("task"), Failure{text("error"), text("cause")}}, nil
	case "taken":
		in := TaskStarted{Task: num("task")}
		if w := text("worker"); w != nil {
			in.Worker = *w
		}
		return in, nil
	case "beat":
		return TaskHeartbeat{num("task")}, nil
	case "tick":
		n := num("timer")
		for _, e := range s.due {
			if f, ok := e.in.(TimerFired); ok && f.Timer == n && text("early") == nil && e.at.After(s.now) {
				s.now = e.at
			}
		}
		s.forget(Cancel{Timer: n})
		return TimerFired{n}, nil
	case "child":
		in := ChildDone{Run: num("run"), Child: int32(num("child")), Status: Failed}
		if text("attempt") != nil {
			in.Attempt = int32(num("attempt"))
		}
		for st := Running; st <= PendingRedrive; st++ {
			if s := text("status"); s != nil && st.String() == *s {
				in.Status = st
			}
		}
		if in.Status == Succeeded {
			in.Output = doc()
		}
		return in, nil
	case "runfailed":
		return RunFailed{num("run"), Failure{text("error"), text("cause")}}, nil
	case "update":
		in := UpdateRun{Run: num("run")}
		if text("concurrency") != nil {
			in.MaxConcurrency = new(num("concurrency"))
		}
		if text("count") != nil {
			in.ToleratedCount = new(num("count"))
		}
		if p := text("percent"); p != nil {
			f, err := strconv.ParseFloat(*p, 64)
			in.ToleratedPercentage = &f
			return in, err
		}
		return in, nil
	case "redrive":
		in := Redrive{}
		if p := text("token"); p != nil {
			in.Token = *p
		}
		s.finish = nil
		return in, nil
	case "stop":
		return Stop{text("error"), text("cause")}, nil
	case "wait":
		p := text("for")
		if p == nil {
			return nil, errors.New("wait for=D")
		}
		dur, err := time.ParseDuration(*p)
		s.now = s.now.Add(dur)
		return nil, err
	case "pending":
		return nil, nil
	}
	return nil, fmt.Errorf("unknown command %q", d.Cmd)
}
