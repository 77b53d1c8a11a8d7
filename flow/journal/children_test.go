package journal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
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

// spread is a distributed Map over 10 items, whose children wait a minute and
// then call something.
func spread(kind, more string) string {
	return fmt.Sprintf(`{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Items":[0,1,2,3,4,5,6,7,8,9],%s
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":%q},"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"Next":"T"},
		"T":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Arguments":{"ModelId":"m","Body":{"v":"{%% $states.input %%}","n":"{%% $states.context.Execution.RedriveCount %%}",
			"of":"{%% $states.context.StateMachine %%}"}},"Output":"{%% $states.result.Body.v %%}","End":true}}},"End":true}}}`, more, kind)
}

func spreads(t testing.TB) programs {
	p := library(t)
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		p["all"+kind] = parse(t, spread(kind, ""))
		p["three"+kind] = parse(t, spread(kind, `"MaxConcurrency":3,"Label":"L",`))
		p["lenient"+kind] = parse(t, spread(kind, `"MaxConcurrency":3,"ToleratedFailureCount":2,`))
	}
	p["nested"] = parse(t, `{"StartAt":"M","States":{"M":{"Type":"Map","Label":"outer","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"N","States":{
		"N":{"Type":"Map","Label":"inner","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":5,"End":true}}},"End":true}}},"End":true}}}`)
	return p
}

const runOf = "arn:aws:states:us-east-1:123456789012:"

// theRun is the only Map Run of an execution.
func theRun(t testing.TB, d *journal.Driver, arn string) flow.MapRun {
	t.Helper()
	var all []flow.ListedRun
	for l, err := range d.MapRuns(context.Background(), arn, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	if len(all) != 1 {
		t.Fatalf("%s has %d Map Runs", arn, len(all))
	}
	r, err := d.MapRun(context.Background(), all[0].MapRunARN)
	if err != nil {
		t.Fatal(err)
	}
	l := all[0]
	if r.ExecutionARN != arn || l.ExecutionARN != arn || r.MachineARN != l.MachineARN || !r.Started.Equal(l.Started) || !r.Stopped.Equal(l.Stopped) {
		t.Errorf("described as %+v, listed as %+v", r, l)
	}
	return r
}

// kids are the executions of a Map Run, in the order of their items.
func kids(t testing.TB, d *journal.Driver, run string) []flow.Execution {
	t.Helper()
	var all []flow.Execution
	for x, err := range d.List(context.Background(), flow.Query{Under: run}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x.Execution)
		check(t, d, x.ARN)
	}
	slices.SortFunc(all, func(a, b flow.Execution) int { return int(a.Child.Index - b.Child.Index) })
	for i := range all {
		if all[i].Child.Index != int32(i) {
			t.Errorf("child %d is %d", i, all[i].Child.Index)
		}
	}
	return all
}

func TestMapRun(t *testing.T) {
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				seen := map[string]bool{}
				d := open(t, journal.Config{Programs: spreads(t), Invoker: flow.InvokerFunc(func(_ context.Context, task flow.Task) (value.Value, error) {
					mu.Lock()
					defer mu.Unlock()
					if seen[task.ID] || task.RoleARN != "arn:aws:iam::123456789012:role/r" {
						t.Errorf("task %+v", task)
					}
					seen[task.ID] = true
					if of := task.Args.Get("Body").Get("of"); of.JSON() != `{"Id":"`+runOf+`stateMachine:three`+kind+`/L","Name":"three`+kind+`/L"}` {
						t.Errorf("of the machine %s", of)
					}
					return task.Args, nil
				})})
				t0 := time.Now()
				x := start(t, d, "three"+kind, "a")
				synctest.Wait()
				if r := theRun(t, d, x.ARN); r.Status != engine.Running || r.Children != (engine.Counts{Pending: 7, Running: 3, Total: 10}) || r.Items != r.Children || r.Settings.MaxConcurrency != 3 {
					t.Errorf("%+v", r)
				}
				if n := d.Stats().Live; n != 1 {
					t.Errorf("%d executions in memory: the children only wait", n)
				}
				o := whole(t, d, x.ARN)
				if o.Status != engine.Succeeded || o.Output.JSON() != `[0,1,2,3,4,5,6,7,8,9]` {
					t.Errorf("%v %s", o.Status, o.Output)
				}
				if took := time.Since(t0); took != 4*time.Minute {
					t.Errorf("10 children, 3 at a time, took %v", took)
				}
				r := theRun(t, d, x.ARN)
				if r.Status != engine.Succeeded || r.Children != (engine.Counts{Succeeded: 10, Total: 10}) || r.MachineARN != runOf+"stateMachine:three"+kind+"/L" {
					t.Errorf("%+v", r)
				}
				prefix := runOf + "mapRun:three" + kind + "/L:"
				if len(r.MapRunARN) != len(prefix)+36 || r.MapRunARN[:len(prefix)] != prefix {
					t.Error(r.MapRunARN)
				}
				for _, k := range kids(t, d, r.MapRunARN) {
					want := runOf + "execution:three" + kind + "/L:" + k.Name
					if kind == "EXPRESS" {
						want = runOf + "express:three" + kind + "/L:" + k.Name + ":" + k.Name
					}
					if k.ARN != want || k.Status != engine.Succeeded || k.MachineARN != r.MachineARN || k.Express != (kind == "EXPRESS") || k.Child.Parent != x.ARN || k.Child.Items != 1 || k.RedriveCount != 0 {
						t.Errorf("child %+v", k)
					}
				}
				if len(seen) != 10 {
					t.Errorf("%d tasks", len(seen))
				}
				synctest.Wait()
				if s := d.Stats(); s.Live != 0 || s.Opened != 0 || s.EndedAs[engine.Succeeded] != 11 {
					t.Errorf("executions stay in memory, or were not counted: %+v", s)
				}
				closed(t, d)
			})
		})
	}
}

func TestNestedMapRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{Programs: spreads(t)})
		x := execution("nested", "a")
		if _, _, err := d.Start(t.Context(), x, value.MustParse(`[[1,2],[],[3]]`)); err != nil {
			t.Fatal(err)
		}
		if o := whole(t, d, x.ARN); o.Output.JSON() != `[[1,2],[],[3]]` {
			t.Errorf("%v %s", o.Status, o.Output)
		}
		for i, k := range kids(t, d, theRun(t, d, x.ARN).MapRunARN) {
			r := theRun(t, d, k.ARN)
			if r.MachineARN != runOf+"stateMachine:nested/inner" || r.Items.Succeeded != []int64{2, 0, 1}[i] {
				t.Errorf("%+v", r)
			}
		}
		closed(t, d)
	})
}

// A process ends again and again while children wait. None is started twice, no
// end is lost or counts twice, and the time goes on as if nothing had been.
func TestMapRunOutlivesTheProcess(t *testing.T) {
	for _, machine := range []string{"threeSTANDARD", "threeEXPRESS", "allSTANDARD", "allEXPRESS"} {
		t.Run(machine, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := memory.New().Journal()
				cfg := journal.Config{Log: l, Programs: spreads(t)}
				d := open(t, cfg)
				t0 := time.Now()
				x := start(t, d, machine, "a")
				want := 4 * time.Minute
				if machine[:3] == "all" {
					want = time.Minute
				}
				for time.Since(t0) < want {
					closed(t, d)
					d = open(t, cfg)
					time.Sleep(7 * time.Second)
				}
				o := whole(t, d, x.ARN)
				if o.Status != engine.Succeeded || o.Output.JSON() != `[0,1,2,3,4,5,6,7,8,9]` {
					t.Errorf("%v %s", o.Status, o.Output)
				}
				if got := o.Stopped.Sub(o.Started); got != want {
					t.Errorf("took %v", got)
				}
				r := theRun(t, d, x.ARN)
				if n := len(kids(t, d, r.MapRunARN)); n != 10 || r.Children.Succeeded != 10 {
					t.Errorf("%d children, %+v", n, r.Children)
				}
				closed(t, d)
			})
		})
	}
}

// Stopping the parent ends its run and its children, also if the process dies
// in between.
func TestStopEndsMapRun(t *testing.T) {
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, journal.Config{Programs: spreads(t)})
				x := start(t, d, "three"+kind, "a")
				time.Sleep(90 * time.Second)
				if _, ended, err := d.Feed(t.Context(), x.ARN, engine.Stop{Error: new("Enough")}); !ended || err != nil {
					t.Fatal(ended, err)
				}
				synctest.Wait()
				if got := types(check(t, d, x.ARN)); got != "ExecutionStarted MapStateEntered MapStateStarted MapRunStarted ExecutionAborted" {
					t.Error(got)
				}
				r := theRun(t, d, x.ARN)
				if r.Status != engine.Aborted || r.Children != (engine.Counts{Pending: 4, Succeeded: 3, Aborted: 3, Total: 10}) || !r.Stopped.Equal(time.Now()) {
					t.Errorf("%+v", r)
				}
				for i, k := range kids(t, d, r.MapRunARN) {
					if want := []engine.Status{engine.Succeeded, engine.Aborted}[i/3]; k.Status != want {
						t.Errorf("child %d is %v", i, k.Status)
					}
				}
				// A redrive goes on with those that did not succeed, in the same run.
				if got, err := d.Redrive(t.Context(), x.ARN, "token"); err != nil || got.RedriveCount != 1 || got.Status != engine.Running || !got.Redriven.Equal(time.Now()) || !got.Stopped.IsZero() {
					t.Fatalf("%+v, %v", got, err)
				}
				synctest.Wait()
				if r := theRun(t, d, x.ARN); r.Status != engine.Running || r.Children != (engine.Counts{Pending: 4, Running: 3, Succeeded: 3, Total: 10}) || r.Redrives != 1 || !r.Redriven.Equal(time.Now()) {
					t.Errorf("%+v", r)
				}
				if o := whole(t, d, x.ARN); o.Status != engine.Succeeded || o.Output.JSON() != `[0,1,2,3,4,5,6,7,8,9]` {
					t.Errorf("%v %s", o.Status, o.Output)
				}
				for i, k := range kids(t, d, r.MapRunARN) {
					if want := int64(i / 3 % 3 % 2); k.Status != engine.Succeeded || i < 6 && k.RedriveCount != want {
						t.Errorf("child %d is %v and was redriven %d times", i, k.Status, k.RedriveCount)
					}
				}
				closed(t, d)
			})
		})
	}
}

// One of a run's children fails: too many for one that tolerates none, and not
// for one that does.
func TestToleratedFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		invoker := flow.InvokerFunc(func(_ context.Context, task flow.Task) (value.Value, error) {
			b := task.Args.Get("Body")
			if n, _ := b.Get("n").Int(); n == 0 && b.Get("v").JSON() == "4" {
				return value.Value{}, &flow.TaskError{Name: "Four", Cause: "it is four"}
			}
			return task.Args, nil
		})
		d := open(t, journal.Config{Programs: spreads(t), Invoker: invoker})
		for _, kind := range []string{"STANDARD", "EXPRESS"} {
			x := start(t, d, "lenient"+kind, "a")
			if o := whole(t, d, x.ARN); o.Output.JSON() != `[0,1,2,3,5,6,7,8,9]` {
				t.Errorf("%v %s", o.Status, o.Output)
			}
			if r := theRun(t, d, x.ARN); r.Status != engine.Succeeded || r.Children != (engine.Counts{Succeeded: 9, Failed: 1, Total: 10}) {
				t.Errorf("%+v", r)
			}
			x = start(t, d, "three"+kind, "a")
			o := whole(t, d, x.ARN)
			if o.Error == nil || *o.Error != "States.ExceedToleratedFailureThreshold" {
				t.Errorf("%v %v", o.Status, o.Error)
			}
			synctest.Wait()
			r := theRun(t, d, x.ARN)
			c := r.Children
			if r.Status != engine.Failed || c.Failed != 1 || c.Succeeded+c.Aborted+c.Pending != 9 || c.Pending < 2 {
				t.Errorf("%+v", r)
			}
			for _, k := range kids(t, d, r.MapRunARN) {
				if k.Status == engine.Running {
					t.Errorf("child %d runs", k.Child.Index)
				}
			}
			if _, err := d.Redrive(t.Context(), x.ARN, ""); err != nil {
				t.Fatal(err)
			}
			if o := whole(t, d, x.ARN); o.Output.JSON() != `[0,1,2,3,4,5,6,7,8,9]` {
				t.Errorf("%v %s", o.Status, o.Output)
			}
		}
		closed(t, d)
	})
}

// An Express child has five minutes, also after a restart and a redrive.
func TestExpressChildTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := spreads(t)
		p["long"] = parse(t, `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"W","States":{
			"W":{"Type":"Wait","Seconds":600,"End":true}}},"ToleratedFailurePercentage":50,"End":true}}}`)
		cfg := journal.Config{Log: memory.New().Journal(), Programs: p}
		d := open(t, cfg)
		x := execution("long", "a")
		if _, _, err := d.Start(t.Context(), x, value.MustParse(`[1,2]`)); err != nil {
			t.Fatal(err)
		}
		for n := range int64(2) {
			time.Sleep(time.Minute)
			closed(t, d)
			d = open(t, cfg)
			o := whole(t, d, x.ARN)
			if o.Error == nil || *o.Error != "States.ExceedToleratedFailureThreshold" || o.RedriveCount != n {
				t.Errorf("%v %v", o.Status, o.Error)
			}
			r := theRun(t, d, x.ARN)
			if r.Children.TimedOut == 0 || r.Stopped.Sub(o.Started) != time.Duration(n+1)*5*time.Minute {
				t.Errorf("%+v", r)
			}
			if _, err := d.Redrive(t.Context(), x.ARN, ""); err != nil {
				t.Error(err)
			}
		}
		closed(t, d)
	})
}

func TestUpdateMapRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Journal()
		d := open(t, journal.Config{Log: l, Programs: spreads(t)})
		x := start(t, d, "threeSTANDARD", "a")
		time.Sleep(time.Second)
		r := theRun(t, d, x.ARN)
		if _, _, err := d.Feed(t.Context(), x.ARN, engine.UpdateRun{Run: r.ID, MaxConcurrency: new(int64(0)), ToleratedPercentage: new(12.5)}); err != nil {
			t.Fatal(err)
		}
		closed(t, d)
		d = open(t, journal.Config{Log: l, Programs: spreads(t)})
		synctest.Wait()
		if r := theRun(t, d, x.ARN); r.Children.Running != 10 || r.Settings.ToleratedPercentage != 12.5 {
			t.Errorf("%+v", r)
		}
		if o := whole(t, d, x.ARN); o.Stopped.Sub(o.Started) != 61*time.Second {
			t.Errorf("took %v", o.Stopped.Sub(o.Started))
		}
		closed(t, d)
	})
}

// Whoever redrives what cannot be is told why; a name's redrives come one after
// the other.
func TestRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Journal()
		fail := true
		cfg := journal.Config{Log: l, Invoker: flow.InvokerFunc(func(_ context.Context, task flow.Task) (value.Value, error) {
			if fail {
				return value.Value{}, &flow.TaskError{Name: "Broken", Cause: "why"}
			}
			return task.Args, nil
		})}
		d := open(t, cfg)
		refused := func(arn, want string) {
			t.Helper()
			_, err := d.Redrive(t.Context(), arn, "")
			if why, ok := errors.AsType[flow.NotRedrivable](err); !ok || string(why) != want {
				t.Errorf("%s: %v", arn, err)
			}
		}
		if _, err := d.Redrive(t.Context(), execution("task", "none").ARN, ""); !errors.Is(err, flow.ErrNotFound) {
			t.Error(err)
		}
		waits := start(t, d, "wait", "waits")
		refused(waits.ARN, "Execution is RUNNING and cannot be redriven")
		passed := start(t, d, "pass", "passed")
		whole(t, d, passed.ARN)
		refused(passed.ARN, "Execution is SUCCEEDED and cannot be redriven")

		x, old := start(t, d, "task", "a"), start(t, d, "task", "old")
		whole(t, d, x.ARN)
		whole(t, d, old.ARN)
		time.Sleep(time.Hour)
		closed(t, d)
		d = open(t, cfg)
		if got, err := d.Redrive(t.Context(), x.ARN, "t1"); err != nil || got.RedriveCount != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if o := whole(t, d, x.ARN); o.Status != engine.Failed || o.RedriveCount != 1 || o.Redriven.IsZero() || o.Stopped.Before(o.Redriven) {
			t.Errorf("%+v", o)
		}
		fail = false
		var wg sync.WaitGroup
		var done, no int
		var mu sync.Mutex
		for range 5 { // at once: one of them does it
			wg.Go(func() {
				_, err := d.Redrive(t.Context(), x.ARN, "t2")
				_, refused := errors.AsType[flow.NotRedrivable](err)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done++
				case refused:
					no++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done != 1 || no != 4 {
			t.Errorf("%d redrives, %d refused", done, no)
		}
		if o := whole(t, d, x.ARN); o.Status != engine.Succeeded || o.RedriveCount != 2 {
			t.Errorf("%+v", o)
		}
		if got := types(check(t, d, x.ARN)); got != "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskFailed ExecutionFailed "+
			"ExecutionRedriven TaskScheduled TaskStarted TaskFailed ExecutionFailed ExecutionRedriven TaskScheduled TaskStarted TaskSucceeded TaskStateExited ExecutionSucceeded" {
			t.Error(got)
		}
		time.Sleep(14 * 24 * time.Hour)
		refused(old.ARN, "Execution redrivable period exceeded")
		if s := d.Stats(); s.Opened != 0 || s.EndedAs[engine.Failed] != 1 || s.EndedAs[engine.Succeeded] != 1 {
			t.Errorf("counted: %+v", s)
		}
		closed(t, d)
	})
}

// A run that may not start executions fails, and asks again when it is redriven.
func TestMapRunNeedsPermission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		refuse := true
		d := open(t, journal.Config{Programs: spreads(t), Permit: func(_ context.Context, r flow.RunStart) error {
			asked++
			if r.MachineARN != runOf+"stateMachine:threeSTANDARD" || r.RoleARN == "" || r.State != "M" || r.Region != "us-east-1" {
				t.Errorf("%+v", r)
			}
			time.Sleep(time.Second)
			if refuse {
				return &flow.TaskError{Name: "States.Permissions", Cause: "no"}
			}
			return nil
		}})
		x := start(t, d, "threeSTANDARD", "a")
		if o := whole(t, d, x.ARN); o.Error == nil || *o.Error != "States.Permissions" {
			t.Errorf("%v %v", o.Status, o.Error)
		}
		if n := len(kids(t, d, theRun(t, d, x.ARN).MapRunARN)); n != 0 {
			t.Errorf("%d children", n)
		}
		refuse = false
		if _, err := d.Redrive(t.Context(), x.ARN, ""); err != nil {
			t.Fatal(err)
		}
		if o := whole(t, d, x.ARN); o.Status != engine.Succeeded {
			t.Errorf("%v %v", o.Status, o.Error)
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
		closed(t, d)
	})
}

// The log fails, with the write done or not, while Map Runs begin, fail and are
// redriven. Whatever was acknowledged ends well after enough restarts.
func TestFaultsInMapRuns(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 5
	}
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			var mu sync.Mutex
			invoker := flow.InvokerFunc(func(_ context.Context, task flow.Task) (value.Value, error) {
				mu.Lock()
				defer mu.Unlock()
				if rnd.IntN(20) == 0 {
					return value.Value{}, &flow.TaskError{Name: "Odd", Cause: "why"}
				}
				return task.Args, nil
			})
			store := memory.New().Journal()
			var all []string
			for round := range 15 {
				mu.Lock()
				l := withSpells(store, rnd, 30)
				dies := time.Duration(rnd.IntN(300)) * time.Second
				mu.Unlock()
				time.AfterFunc(dies, func() { l.kill.Store(true) })
				d := open(t, journal.Config{Log: l, Programs: spreads(t), Invoker: invoker, Logger: discard(), Shards: 2})
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				for _, arn := range all {
					if _, err := d.Redrive(ctx, arn, ""); err != nil && !refusal(err) {
						if _, ok := errors.AsType[flow.NotRedrivable](err); !ok {
							t.Errorf("seed %d: redrive: %v", seed, err)
						}
					}
				}
				for i, m := range []string{"threeSTANDARD", "threeEXPRESS", "lenientSTANDARD"} {
					x := execution(m, fmt.Sprintf("%d-%d", round, i))
					if _, _, err := d.Start(ctx, x, value.Object()); err == nil {
						all = append(all, x.ARN)
					} else if !refusal(err) {
						t.Errorf("seed %d: %v", seed, err)
					}
				}
				cancel()
				mu.Lock()
				nap := time.Duration(rnd.IntN(240)) * time.Second
				mu.Unlock()
				time.Sleep(nap)
				leave(t, d, 10*time.Second)
			}
			d := open(t, journal.Config{Log: store, Programs: spreads(t)})
			for _, arn := range all {
				o := whole(t, d, arn)
				for n := 0; o.Status != engine.Succeeded && n < 20; n++ {
					if _, err := d.Redrive(t.Context(), arn, ""); err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
					o = whole(t, d, arn)
				}
				r := theRun(t, d, arn)
				if o.Status != engine.Succeeded || r.Status != engine.Succeeded || r.Items.Succeeded+r.Items.Failed != 10 || len(kids(t, d, r.MapRunARN)) != 10 {
					t.Errorf("seed %d: %s: %v %v %+v", seed, arn, o.Status, o.Error, r)
				}
			}
			time.Sleep(time.Hour) // those that began and were not acknowledged end, too
			closed(t, d)
			for e := range store.Open(t.Context()) {
				t.Errorf("seed %d: %s is still open", seed, e.ARN)
			}
		})
	}
}

// BenchmarkMapRun is whole Map Runs over a log in memory: what a child costs
// must not depend on how many there are.
func BenchmarkMapRun(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint("children=", n), func(b *testing.B) {
			p := programs{"m": parse(b, `{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":1000,"ResultPath":null,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},
				"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}}`)}
			d, err := journal.Open(b.Context(), journal.Config{Log: memory.New().Journal(), Programs: p, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			items := make([]value.Value, n)
			for i := range items {
				items[i] = value.Int(1)
			}
			input := value.MustParse(value.Array(items...).JSON())
			b.ReportAllocs()
			runs := 0
			for b.Loop() {
				runs++
				x := execution("m", fmt.Sprint(runs))
				if _, _, err := d.Start(b.Context(), x, input); err != nil {
					b.Fatal(err)
				}
				if o, err := d.Await(b.Context(), x.ARN); err != nil || o.Status != engine.Succeeded {
					b.Fatal(o.Status, err)
				}
			}
			b.ReportMetric(float64(runs*n)/b.Elapsed().Seconds(), "children/s")
			d.Close(b.Context())
		})
	}
}

// Two executions whose chance is the same have children of their own.
func TestChildrenOfTheSameSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{Programs: spreads(t)})
		a, b := start(t, d, "allSTANDARD", "a"), start(t, d, "allSTANDARD", "b")
		whole(t, d, a.ARN)
		whole(t, d, b.ARN)
		if theRun(t, d, a.ARN).MapRunARN == theRun(t, d, b.ARN).MapRunARN {
			t.Error("they have the same Map Run")
		}
		closed(t, d)
	})
}
