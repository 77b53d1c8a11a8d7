package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

// starter performs tasks that start executions of "wait", and says how their end
// was awaited.
type starter struct {
	t    testing.TB
	d    *journal.Driver
	slow time.Duration // of a start
	dies bool          // the process does, before it ends anything

	mu       sync.Mutex
	awaited  []string // guarded by mu: names of children whose end was asked for
	stopped  []string // guarded by mu: of those that were to be ended
	inFlight int      // guarded by mu: Awaits
	most     int      // guarded by mu: inFlight at a time
}

func (s *starter) Invoke(ctx context.Context, t flow.Task) (value.Value, error) {
	time.Sleep(s.slow)
	x := execution("wait", t.ExecutionName+"-child")
	x.Origin = t.ID
	if _, _, err := s.d.Start(context.WithoutCancel(ctx), x, value.Object()); err != nil {
		return value.Value{}, err
	}
	return value.String(x.ARN), nil
}

func (s *starter) Job(_ flow.Task, execution string) value.Value { return value.String(execution) }

func (s *starter) Watched(_ flow.Task, job value.Value) string { return job.Str() }

func (s *starter) Await(ctx context.Context, t flow.Task, job value.Value) (value.Value, error) {
	name := job.Str()[strings.LastIndexByte(job.Str(), ':')+1:]
	s.mu.Lock()
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inFlight--
		s.mu.Unlock()
	}()
	if errors.Is(context.Cause(ctx), flow.ErrCancelled) {
		if s.dies {
			return value.Value{}, context.Cause(ctx)
		}
		s.mu.Lock()
		s.stopped = append(s.stopped, name)
		s.mu.Unlock()
		return value.Value{}, context.Cause(ctx)
	}
	s.mu.Lock()
	s.awaited = append(s.awaited, name)
	s.mu.Unlock()
	x, err := s.d.Describe(ctx, job.Str())
	if err != nil || x.Status == engine.Running {
		s.t.Errorf("%s was awaited while it is %v, %v", name, x.Status, err)
	}
	return value.String(x.Status.String()), nil
}

var _ flow.Watcher = (*starter)(nil)

const syncMachine = `{"StartAt":"P","States":{"P":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","TimeoutSeconds":7200,
	"Parameters":{"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:wait"},"End":true}}}`

func withSync(t testing.TB) programs {
	p := library(t)
	p["sync"] = parse(t, syncMachine)
	return p
}

// Those that await an execution are not in memory, nor on a goroutine, also after
// a restart; its end wakes them.
func TestWaitsAsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New()
		who := &starter{t: t}
		reopen := func() *journal.Driver {
			who.d = open(t, journal.Config{Log: mem.Journal(), Programs: withSync(t), Invoker: who})
			return who.d
		}
		d := reopen()
		var all []flow.Execution
		for i := range 50 {
			all = append(all, start(t, d, "sync", fmt.Sprint("p", i)))
		}
		for range 3 {
			synctest.Wait()
			if s := d.Stats(); s.Live != 0 || s.Tasks != 0 || who.most != 0 {
				t.Errorf("%d executions are in memory, %d tasks are performed, %d ends were awaited", s.Live, s.Tasks, who.most)
			}
			time.Sleep(10 * time.Minute)
			closed(t, d)
			d = reopen()
		}
		for _, x := range all {
			if o := whole(t, d, x.ARN); o.Status != engine.Succeeded || o.Output.Str() != "SUCCEEDED" {
				t.Errorf("%v %v", o.Status, o.Output)
			}
		}
		if len(who.awaited) != len(all) || len(who.stopped) != 0 {
			t.Errorf("%d ends were awaited, %d jobs ended", len(who.awaited), len(who.stopped))
		}
		closed(t, d)
	})
}

// What was started is ended once with the task that awaits it, whether that has
// heard of the start or not.
func TestWaitsAreAbandoned(t *testing.T) {
	for _, slow := range []time.Duration{0, 10 * time.Second} {
		for _, restart := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.New()
				who := &starter{t: t, slow: slow}
				cfg := journal.Config{Log: mem.Journal(), Programs: withSync(t), Invoker: who}
				d := open(t, cfg)
				who.d = d
				x := start(t, d, "sync", "p")
				time.Sleep(5 * time.Second) // a slow start is under way
				if restart && slow == 0 {
					closed(t, d)
					d = open(t, cfg)
					who.d = d
				}
				if _, ended, err := d.Feed(t.Context(), x.ARN, engine.Stop{}); err != nil || !ended {
					t.Fatal(ended, err)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if got := fmt.Sprint(who.stopped, who.awaited); got != "[p-child] []" {
					t.Errorf("slow %v, restart %v: %s", slow, restart, got)
				}
				closed(t, d)
			})
		}
	}
}

// What a process that died should have ended, the next one ends; and nothing else.
func TestWaitsAfterDeath(t *testing.T) {
	const start1 = `"Resource":"arn:aws:states:::states:startExecution%s","Parameters":{"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:wait"}`
	for _, c := range []struct {
		name, machine string
		feed          engine.Input // what the parent gets
		slow          time.Duration
		want          string
	}{
		{"stopped", syncMachine, engine.Stop{}, 0, "[p-child]"},
		{"stopped-early", syncMachine, engine.Stop{}, 10 * time.Second, "[p-child]"}, // while it started
		{"timed-out", strings.Replace(syncMachine, "7200", "20", 1), nil, 0, "[p-child]"},
		{"timed-out-and-goes-on", strings.Replace(strings.Replace(syncMachine, "7200", "20", 1), `"End":true}}`,
			`"Catch":[{"ErrorEquals":["States.ALL"],"Next":"W"}],"End":true},"W":{"Type":"Wait","Seconds":7200,"End":true}}`, 1), nil, 0, "[p-child]"},
		{"sibling-failed", `{"StartAt":"Both","States":{"Both":{"Type":"Parallel","Catch":[{"ErrorEquals":["States.ALL"],"Next":"W"}],"Next":"W","Branches":[
			{"StartAt":"P","States":{"P":{"Type":"Task",` + fmt.Sprintf(start1, ".sync") + `,"End":true}}},
			{"StartAt":"S","States":{"S":{"Type":"Wait","Seconds":20,"Next":"F"},"F":{"Type":"Fail"}}}]},"W":{"Type":"Wait","Seconds":7200,"End":true}}}`, nil, 0, "[p-child]"},
		{"waits", syncMachine, nil, 0, "[]"},
		{"answered", syncMachine, engine.TaskDone{Output: value.Null()}, 0, "[]"},
		{"not-awaited", `{"StartAt":"P","States":{"P":{"Type":"Task",` + fmt.Sprintf(start1, "") + `,"End":true}}}`, nil, 0, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.New()
				who := &starter{t: t, dies: true, slow: c.slow}
				p := library(t)
				p["sync"] = parse(t, c.machine)
				cfg := journal.Config{Log: mem.Journal(), Programs: p, Invoker: who}
				d := open(t, cfg)
				who.d = d
				x := start(t, d, "sync", "p")
				time.Sleep(5 * time.Second)
				if in, ok := c.feed.(engine.TaskDone); ok {
					for e, err := range d.History(t.Context(), x.ARN, 0, false) {
						if err != nil {
							t.Fatal(err)
						}
						if e.Type == engine.ServiceTaskScheduled {
							in.Task = e.Seq
						}
					}
					c.feed = in
				}
				if c.feed != nil {
					if _, _, err := d.Feed(t.Context(), x.ARN, c.feed); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(25 * time.Second)
				closed(t, d)
				who.dies = false
				d = open(t, cfg)
				who.d = d
				synctest.Wait()
				if got := fmt.Sprint(who.stopped); got != c.want {
					t.Errorf("ended: %s, want %s", got, c.want)
				}
				closed(t, d)
			})
		})
	}
}

// An answer through the task's token counts, and what the job comes to then does not.
func TestWaitsAndTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		who := &starter{t: t}
		p := withSync(t)
		p["sync"] = parse(t, `{"StartAt":"P","States":{"P":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Next":"W",
			"Parameters":{"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:wait"}},"W":{"Type":"Wait","Seconds":7000,"End":true}}}`)
		d := open(t, journal.Config{Programs: p, Invoker: who})
		who.d = d
		x := start(t, d, "sync", "p")
		synctest.Wait()
		task := int64(0)
		for e, err := range d.History(t.Context(), x.ARN, 0, false) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == engine.ServiceTaskScheduled {
				task = e.Seq
			}
		}
		if _, _, err := d.Feed(t.Context(), x.ARN, engine.TaskDone{Task: task, Output: value.String("told")}); err != nil {
			t.Fatal(err)
		}
		if o := whole(t, d, x.ARN); o.Output.Str() != "told" {
			t.Error(o.Output)
		}
		if len(who.awaited)+len(who.stopped) != 0 {
			t.Errorf("%v %v", who.awaited, who.stopped)
		}
		closed(t, d)
	})
}
