package journal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

// programs are definitions by the revision that names them.
type programs map[string]*asl.Program

func (p programs) Program(ctx context.Context, revision string) (flow.Revision, *asl.Program, error) {
	prog, ok := p[revision]
	if !ok {
		return flow.Revision{}, nil, flow.ErrNotFound
	}
	return flow.Revision{MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:" + revision, MachineName: revision, RoleARN: "arn:aws:iam::123456789012:role/r"}, prog, nil
}

func parse(t testing.TB, definition string) *asl.Program {
	t.Helper()
	p, ds := asl.Parse([]byte(definition))
	if p == nil {
		t.Fatal(ds)
	}
	return p
}

func library(t testing.TB) programs {
	return programs{
		"pass": parse(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`),
		"wait": parse(t, `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":3600,"Next":"A"},"A":{"Type":"Pass","End":true}}}`),
		"naps": parse(t, `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"Next":"X"},"X":{"Type":"Wait","Seconds":1,"Next":"T"},
			"T":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"m","Body":{}},"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"MaxAttempts":5}],"Next":"Y"},
			"Y":{"Type":"Wait","Seconds":1,"End":true}}}`),
		"task": parse(t, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"m","Body":{}},"End":true}}}`),
		"slow": parse(t, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","TimeoutSeconds":60,"Parameters":{"ModelId":"m","Body":{}},"End":true}}}`),
		"loop": parse(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"C"},
			"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":2,"Next":"E"}],"Default":"A"},"E":{"Type":"Succeed"}}}`),
		"both": parse(t, `{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
			{"StartAt":"W1","States":{"W1":{"Type":"Wait","Seconds":10,"End":true}}},
			{"StartAt":"W2","States":{"W2":{"Type":"Wait","Seconds":10,"End":true}}},
			{"StartAt":"W3","States":{"W3":{"Type":"Wait","Seconds":5,"Next":"T3"},"T3":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"m","Body":{}},"End":true}}}]}}}`),
	}
}

func execution(machine, name string) flow.Execution {
	const at = "arn:aws:states:us-east-1:123456789012:"
	return flow.Execution{
		ARN: at + "execution:" + machine + ":" + name, Name: name, Revision: machine, MachineARN: at + "stateMachine:" + machine,
		Region: "us-east-1", Account: "123456789012", Seed: 7,
	}
}

func echo(ctx context.Context, t flow.Task) (value.Value, error) { return t.Args, nil }

func open(t testing.TB, cfg journal.Config) *journal.Driver {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = memory.New().Journal()
	}
	if cfg.Programs == nil {
		cfg.Programs = library(t)
	}
	if cfg.Invoker == nil {
		cfg.Invoker = flow.InvokerFunc(echo)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	}
	d, err := journal.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func start(t testing.TB, d *journal.Driver, machine, name string) flow.Execution {
	t.Helper()
	x := execution(machine, name)
	_, exists, err := d.Start(context.Background(), x, value.MustParse(`{"n":1}`))
	if err != nil || exists {
		t.Fatalf("start %s: exists %v, %v", name, exists, err)
	}
	return x
}

// whole checks that an execution's history is one, and returns its outcome.
func whole(t testing.TB, d *journal.Driver, arn string) flow.Outcome {
	t.Helper()
	o, err := d.Await(context.Background(), arn)
	if err != nil {
		t.Fatalf("await %s: %v", arn, err)
	}
	check(t, d, arn)
	return o
}

func check(t testing.TB, d *journal.Driver, arn string) []engine.Event {
	t.Helper()
	var evs []engine.Event
	for e, err := range d.History(context.Background(), arn, 0, false) {
		if err != nil {
			t.Fatalf("history of %s: %v", arn, err)
		}
		evs = append(evs, e)
	}
	if err := engine.CheckHistory(evs); err != nil {
		t.Errorf("history of %s: %v", arn, err)
	}
	n := len(evs)
	for e, err := range d.History(context.Background(), arn, 0, true) {
		if n--; err != nil || n < 0 || e.Seq != evs[n].Seq {
			t.Fatalf("history of %s backwards: event %d, %v", arn, e.Seq, err)
		}
	}
	return evs
}

func closed(t testing.TB, d *journal.Driver) {
	t.Helper()
	if err := d.Close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestAnHourPassesInNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{})
		t0 := time.Now()
		x := start(t, d, "wait", "a")
		synctest.Wait()
		if n := d.Stats().Live; n != 0 {
			t.Errorf("%d executions in memory while it waits", n)
		}
		o := whole(t, d, x.ARN)
		if o.Status != engine.Succeeded || o.Output.JSON() != `{"n":1}` {
			t.Errorf("outcome %v %s", o.Status, o.Output)
		}
		if took := time.Since(t0); took != time.Hour {
			t.Errorf("took %v", took)
		}
		if got := o.Stopped.Sub(o.Started); got != time.Hour {
			t.Errorf("stopped after %v", got)
		}
		closed(t, d)
	})
}

func TestSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{})
		var wg sync.WaitGroup
		var first, again atomic.Int64
		for range 50 {
			wg.Go(func() {
				_, exists, err := d.Start(t.Context(), execution("wait", "a"), value.Object())
				if err != nil {
					t.Error(err)
				}
				if exists {
					again.Add(1)
				} else {
					first.Add(1)
				}
			})
		}
		wg.Wait()
		if first.Load() != 1 || again.Load() != 49 {
			t.Errorf("%d started, %d found", first.Load(), again.Load())
		}
		closed(t, d)
	})
}

func TestTaskIsDoneForTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen flow.Task
		d := open(t, journal.Config{Invoker: flow.InvokerFunc(func(ctx context.Context, t flow.Task) (value.Value, error) {
			seen = t
			return value.MustParse(`{"ok":true}`), nil
		})})
		x := start(t, d, "task", "a")
		o := whole(t, d, x.ARN)
		if o.Output.JSON() != `{"ok":true}` {
			t.Errorf("output %s", o.Output)
		}
		if seen.RoleARN != "arn:aws:iam::123456789012:role/r" || seen.ExecutionARN != x.ARN || seen.Region != "us-east-1" || seen.ID == "" || seen.State != "T" {
			t.Errorf("task %+v", seen)
		}
		closed(t, d)
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			err         error
			name, cause string
		}{
			{&flow.TaskError{Name: "Bedrock.AccessDeniedException", Cause: "no"}, "Bedrock.AccessDeniedException", "no"},
			{errors.New("our secret"), "States.TaskFailed", "The task could not be performed because of an internal error."},
		} {
			d := open(t, journal.Config{
				Invoker: flow.InvokerFunc(func(context.Context, flow.Task) (value.Value, error) { return value.Value{}, c.err }),
				Logger:  slog.New(slog.DiscardHandler),
			})
			o := whole(t, d, start(t, d, "task", "a").ARN)
			if o.Status != engine.Failed || o.Error == nil || *o.Error != c.name || *o.Cause != c.cause {
				t.Errorf("%v: %v %v %v", c.err, o.Status, o.Error, o.Cause)
			}
			closed(t, d)
		}
	})
}

func TestTimeoutCancelsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cancelled atomic.Bool
		d := open(t, journal.Config{Invoker: flow.InvokerFunc(func(ctx context.Context, _ flow.Task) (value.Value, error) {
			<-ctx.Done()
			cancelled.Store(true)
			return value.Value{}, ctx.Err()
		})})
		o := whole(t, d, start(t, d, "slow", "a").ARN)
		if o.Status != engine.Failed || o.Error == nil || *o.Error != "States.Timeout" {
			t.Errorf("%v %v", o.Status, o.Error)
		}
		synctest.Wait()
		if !cancelled.Load() {
			t.Error("the task goes on")
		}
		if s := d.Stats(); s.Tasks != 0 || s.Live != 0 {
			t.Errorf("left: %+v", s)
		}
		closed(t, d)
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{Invoker: flow.InvokerFunc(func(ctx context.Context, _ flow.Task) (value.Value, error) {
			<-ctx.Done()
			return value.Value{}, ctx.Err()
		})})
		for _, machine := range []string{"wait", "slow", "loop", "both"} {
			x := start(t, d, machine, "a")
			time.Sleep(6 * time.Second)
			got, ended, err := d.Feed(t.Context(), x.ARN, engine.Stop{Error: new("E"), Cause: new("C")})
			if machine == "loop" { // 25,000 events are over sooner
				if err != nil || !ended || got.Status != engine.Failed {
					t.Errorf("%s: %v %v %v", machine, got.Status, ended, err)
				}
				whole(t, d, x.ARN)
				continue
			}
			if err != nil || !ended || got.Status != engine.Aborted || got.Stopped.IsZero() {
				t.Errorf("%s: %v %v %v", machine, got.Status, ended, err)
			}
			if o := whole(t, d, x.ARN); *o.Error != "E" || *o.Cause != "C" {
				t.Errorf("%s: %+v", machine, o)
			}
			if _, ended, err := d.Feed(t.Context(), x.ARN, engine.Stop{}); !ended || err != nil {
				t.Errorf("%s: stopped again: %v, %v", machine, ended, err)
			}
		}
		if _, _, err := d.Feed(t.Context(), "arn:none", engine.Stop{}); !errors.Is(err, flow.ErrNotFound) {
			t.Error(err)
		}
		synctest.Wait()
		if s := d.Stats(); s.Live != 0 || s.Opened != 0 || s.Tasks != 0 {
			t.Errorf("left: %+v", s)
		}
		closed(t, d)
	})
}

// A long run of states is cut into Steps, which others run between.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended []string // told by the one shard
		held := &heldLog{Log: memory.New().Journal(), release: make(chan struct{})}
		d := open(t, journal.Config{Log: held, Shards: 1, Limits: &flow.Limits{Standard: engine.Limits{Events: 200_000, Duration: time.Hour}},
			Observe: func(x *flow.Execution, events []engine.Event) {
				if events[len(events)-1].Type.Closes() {
					ended = append(ended, x.Name)
				}
			}})
		long := start(t, d, "loop", "long")
		var short flow.Execution
		begun := make(chan struct{})
		go func() {
			defer close(begun)
			short = start(t, d, "pass", "short")
		}()
		synctest.Wait() // the long one has done what it may before that is durable
		close(held.release)
		<-begun
		whole(t, d, short.ARN)
		whole(t, d, long.ARN)
		closed(t, d)
		if fmt.Sprint(ended) != "[short long]" {
			t.Errorf("ended: %v", ended)
		}
	})
}

// heldLog takes one write, and others only when it is released.
type heldLog struct {
	journal.Log
	writes  atomic.Int32
	release chan struct{}
}

func (l *heldLog) Append(ctx context.Context, rows ...journal.Row) error {
	if l.writes.Add(1) > 1 {
		<-l.release
	}
	return l.Log.Append(ctx, rows...)
}

func TestExpress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Journal()
		d := open(t, journal.Config{Log: l})
		for _, machine := range []string{"pass", "task", "wait", "both", "slow"} {
			x := execution(machine, "a")
			x.Express, x.Sync = true, true
			t0 := time.Now()
			o, err := d.Run(t.Context(), x, value.MustParse(`{"n":1}`))
			if err != nil {
				t.Fatal(machine, err)
			}
			want := engine.Succeeded
			if machine == "wait" {
				want = engine.TimedOut
				if took := time.Since(t0); took != 5*time.Minute {
					t.Errorf("took %v", took)
				}
			}
			if o.Status != want || o.Stopped.IsZero() || o.Started.IsZero() {
				t.Errorf("%s: %+v", machine, o)
			}
		}
		x := execution("naps", "async")
		x.Express = true
		for range 2 { // names may repeat
			if _, exists, err := d.Start(t.Context(), x, value.Object()); err != nil || exists {
				t.Error(exists, err)
			}
		}
		time.Sleep(time.Minute)
		if s := d.Stats(); s.Live != 0 || s.Opened != 0 || s.Started != s.Ended || s.Timers > 20 {
			t.Errorf("left: %+v", s)
		}
		if id, _ := l.LastID(t.Context()); id != 0 {
			t.Error("something was written")
		}
		closed(t, d)
	})
}

// A driver that is closed and opened again goes on, wherever it was.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Journal()
		rnd := rand.New(rand.NewPCG(1, 2))
		var began []string
		var performed sync.Map // task ID → times
		invoker := flow.InvokerFunc(func(ctx context.Context, task flow.Task) (value.Value, error) {
			n, _ := performed.LoadOrStore(task.ID, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
			select {
			case <-time.After(time.Second):
				return value.String(task.ID), nil
			case <-ctx.Done():
				return value.Value{}, ctx.Err()
			}
		})
		for round := range 30 {
			d := open(t, journal.Config{Log: l, Invoker: invoker, Shards: 1 + round%4})
			for i := range 5 {
				machine := []string{"pass", "naps", "both", "task", "slow"}[i]
				began = append(began, start(t, d, machine, fmt.Sprint(round, "-", i)).ARN)
			}
			time.Sleep(time.Duration(rnd.Int64N(int64(4 * time.Second))))
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.Int64N(int64(1500*time.Millisecond))))
			if err := d.Close(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
		d := open(t, journal.Config{Log: l, Invoker: invoker})
		for _, arn := range began {
			if o := whole(t, d, arn); o.Status != engine.Succeeded {
				t.Errorf("%s: %v %v", arn, o.Status, o.Error)
			}
		}
		synctest.Wait()
		if s := d.Stats(); s.Live != 0 || s.Opened != 0 || s.Tasks != 0 {
			t.Errorf("left: %+v", s)
		}
		closed(t, d)
	})
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// The log fails, now and then for a while or for good, and sometimes what failed
// has happened. What was acknowledged is there and ends, once.
func TestLogFails(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			store := memory.New().Journal()
			acknowledged := map[string]bool{}
			tried := map[string]bool{}
			for round := range 20 {
				l := withSpells(store, rnd, 15)
				time.AfterFunc(time.Duration(rnd.IntN(20_000))*time.Millisecond, func() { l.kill.Store(true) })
				d := open(t, journal.Config{Log: l, Logger: discard(), Shards: 2})
				var wg sync.WaitGroup
				var amu sync.Mutex
				for i := range 4 {
					wg.Go(func() {
						for j := range 3 {
							x := execution([]string{"naps", "pass", "both"}[j], fmt.Sprintf("%d-%d-%d", round, i, j))
							ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
							_, _, err := d.Start(ctx, x, value.Object())
							cancel()
							amu.Lock()
							tried[x.ARN] = true
							if err == nil {
								acknowledged[x.ARN] = true
							} else if !refusal(err) {
								t.Errorf("seed %d: %v", seed, err)
							}
							amu.Unlock()
							time.Sleep(time.Second)
						}
					})
				}
				wg.Wait()
				leave(t, d, 10*time.Second)
			}
			d := open(t, journal.Config{Log: store})
			for arn := range acknowledged {
				if o := whole(t, d, arn); o.Status != engine.Succeeded {
					t.Errorf("seed %d: %s: %v", seed, arn, o.Status)
				}
			}
			for arn := range tried {
				if _, err := d.Describe(t.Context(), arn); err == nil {
					whole(t, d, arn)
				}
			}
			closed(t, d)
		})
	}
}

func TestClosedRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{})
		x := start(t, d, "wait", "a")
		closed(t, d)
		closed(t, d)
		if _, _, err := d.Start(t.Context(), execution("pass", "b"), value.Object()); !errors.Is(err, flow.ErrClosed) {
			t.Error(err)
		}
		if _, _, err := d.Feed(t.Context(), x.ARN, engine.Stop{}); !errors.Is(err, flow.ErrClosed) {
			t.Error(err)
		}
		if _, err := d.Await(t.Context(), x.ARN); !errors.Is(err, flow.ErrClosed) {
			t.Error(err)
		}
		e := execution("pass", "e")
		e.Express = true
		if _, err := d.Run(t.Context(), e, value.Object()); !errors.Is(err, flow.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{})
		x := start(t, d, "pass", "a")
		time.Sleep(89 * 24 * time.Hour)
		if _, err := d.Describe(t.Context(), x.ARN); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * 24 * time.Hour)
		if _, err := d.Describe(t.Context(), x.ARN); !errors.Is(err, flow.ErrNotFound) {
			t.Error(err)
		}
		start(t, d, "pass", "a")
		closed(t, d)
	})
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]int64{}
		d := open(t, journal.Config{Observe: func(x *flow.Execution, evs []engine.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range evs {
				if e.Seq != seen[x.ARN]+1 {
					t.Errorf("event %d after %d", e.Seq, seen[x.ARN])
				}
				seen[x.ARN] = e.Seq
			}
		}})
		for _, m := range []string{"pass", "naps", "both"} {
			x := start(t, d, m, "a")
			whole(t, d, x.ARN)
		}
		closed(t, d)
		if len(seen) != 3 {
			t.Error(seen)
		}
	})
}
