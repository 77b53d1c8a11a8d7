package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

// sealed are programs with a key for tokens.
type sealed struct{ programs }

func (sealed) Secret(context.Context) ([]byte, error) { return []byte("key"), nil }

const activity = "arn:aws:states:us-east-1:123456789012:activity:a"

func tokens(t testing.TB) sealed {
	p := library(t)
	p["token"] = parse(t, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken",
		"Parameters":{"QueueUrl":"q","MessageBody":{"token.$":"$$.Task.Token"}},"TimeoutSeconds":600,"End":true}}}`)
	p["activity"] = parse(t, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"`+activity+`","TimeoutSeconds":600,"HeartbeatSeconds":60,"End":true}}}`)
	return sealed{p}
}

func done(out string) func(int64) engine.Input {
	return func(task int64) engine.Input { return engine.TaskDone{Task: task, Output: value.MustParse(out)} }
}

func types(evs []engine.Event) string {
	var s []string
	for _, e := range evs {
		if e.ID != 0 {
			s = append(s, e.Type.String())
		}
	}
	return strings.Join(s, " ")
}

// An answer may come before the call that hands out the token is over. Where
// that waits for its answer to be taken, it is taken.
func TestTokenIsAnsweredEarly(t *testing.T) {
	for _, c := range []struct {
		name    string
		took    time.Duration // the call
		waits   bool          // for its answers
		history string
	}{
		{"quick", 50 * time.Millisecond, false, "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskStateExited ExecutionSucceeded"},
		{"slow", 2 * time.Second, false, "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSucceeded TaskStateExited ExecutionSucceeded"},
		{"itself", 0, true, "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSucceeded TaskStateExited ExecutionSucceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d *journal.Driver
				var wg sync.WaitGroup
				answers := make(chan error, 2)
				uncut := false
				d = open(t, journal.Config{Programs: tokens(t), Invoker: flow.InvokerFunc(func(ctx context.Context, task flow.Task) (value.Value, error) {
					if task.Token == "" || task.Args.Get("MessageBody").Get("token").Str() != task.Token {
						t.Errorf("token %q in %s", task.Token, task.Args)
					}
					var mine sync.WaitGroup
					for range 2 {
						wg.Add(1)
						mine.Go(func() {
							defer wg.Done()
							answers <- d.Answer(context.Background(), task.Token, done(`"hi"`))
						})
					}
					if c.waits {
						mine.Wait()
					}
					time.Sleep(c.took)
					uncut = ctx.Err() == nil
					return value.MustParse(`{"MessageId":"1"}`), nil
				})})
				x := start(t, d, "token", "a")
				if o := whole(t, d, x.ARN); o.Status != engine.Succeeded || o.Output.JSON() != `"hi"` {
					t.Errorf("%v %s", o.Status, o.Output)
				}
				wg.Wait()
				if a, b := <-answers, <-answers; a != nil && b != nil || a == nil && b == nil || !errors.Is(errors.Join(a, b), flow.ErrTaskClosed) {
					t.Errorf("the answers were told %v and %v", a, b)
				}
				if got := types(check(t, d, x.ARN)); got != c.history {
					t.Error(got)
				}
				closed(t, d)
				if !uncut {
					t.Error("the call was cut off because its token was answered")
				}
			})
		})
	}
}

func TestTokenOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Journal()
		token := make(chan string, 10)
		invoker := flow.InvokerFunc(func(ctx context.Context, task flow.Task) (value.Value, error) {
			token <- task.Token
			return value.Object(), nil
		})
		d := open(t, journal.Config{Log: l, Programs: tokens(t), Invoker: invoker})
		x := start(t, d, "token", "a")
		tok := <-token
		synctest.Wait()
		if n := d.Stats().Live; n != 0 {
			t.Errorf("%d executions in memory", n)
		}
		closed(t, d)
		d = open(t, journal.Config{Log: l, Programs: tokens(t), Invoker: invoker})
		for _, bad := range []string{"", "x", tok[:len(tok)-2] + "zz", tok + "a"} {
			if err := d.Answer(t.Context(), bad, done(`1`)); !errors.Is(err, flow.ErrBadToken) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := d.Answer(t.Context(), tok, done(`1`)); err != nil {
			t.Error(err)
		}
		whole(t, d, x.ARN)
		if err := d.Answer(t.Context(), tok, done(`1`)); !errors.Is(err, flow.ErrTaskClosed) {
			t.Error(err)
		}
		if len(token) != 0 {
			t.Error("the call was made again")
		}
		closed(t, d)
	})
}

func TestActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Journal()
		d := open(t, journal.Config{Log: l, Programs: tokens(t)})
		got := make(chan flow.ActivityTask, 10)
		poll := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			task, ok, err := d.Poll(ctx, activity, "w")
			if err != nil {
				t.Error(err)
			}
			if ok {
				got <- task
			}
		}
		go poll()
		go poll() // gets nothing
		synctest.Wait()
		x := start(t, d, "activity", "a")
		task := <-got
		if task.Input.JSON() != `{"n":1}` {
			t.Errorf("input %s", task.Input)
		}
		for range 5 { // a sign of life keeps it open
			time.Sleep(50 * time.Second)
			if err := d.Answer(t.Context(), task.Token, func(n int64) engine.Input { return engine.TaskHeartbeat{Task: n} }); err != nil {
				t.Error(err)
			}
		}
		if len(got) != 0 {
			t.Error("two workers have it")
		}
		if err := d.Answer(t.Context(), task.Token, done(`{"r":1}`)); err != nil {
			t.Error(err)
		}
		if o := whole(t, d, x.ARN); o.Output.JSON() != `{"r":1}` {
			t.Errorf("%v %s", o.Status, o.Output)
		}

		// One that nobody took is there after a restart; one that was taken is not offered again.
		held := start(t, d, "activity", "taken")
		poll()
		taken := <-got
		waits := start(t, d, "activity", "waits")
		synctest.Wait()
		closed(t, d)
		d = open(t, journal.Config{Log: l, Programs: tokens(t)})
		poll()
		poll()
		if len(got) != 1 {
			t.Fatalf("%d tasks were offered", len(got))
		}
		second := <-got
		if err := errors.Join(d.Answer(t.Context(), second.Token, done(`2`)), d.Answer(t.Context(), taken.Token, done(`3`))); err != nil {
			t.Error(err)
		}
		whole(t, d, waits.ARN)
		whole(t, d, held.ARN)

		// What timed out is not handed out.
		late := start(t, d, "activity", "late")
		if o := whole(t, d, late.ARN); o.Error == nil || *o.Error != "States.Timeout" {
			t.Errorf("%v %v", o.Status, o.Error)
		}
		poll()
		if len(got) != 0 {
			t.Error("a closed task was handed out")
		}
		closed(t, d)
	})
}

// A task is not given to a worker that has gone, and one that had gone when it was
// given goes to the next, who finds it started.
func TestActivityWorkerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowLog{Log: memory.New().Journal()}
		d := open(t, journal.Config{Log: slow, Programs: tokens(t)})
		x := start(t, d, "activity", "a")
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok, err := d.Poll(gone, activity, "w0"); ok || err != nil {
			t.Fatal(ok, err)
		}
		slow.delay.Store(int64(time.Second)) // it goes while that is made durable
		going, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, ok, err := d.Poll(going, activity, "w1"); ok || err != nil {
			t.Fatal(ok, err)
		}
		slow.delay.Store(0)
		task, ok, err := d.Poll(t.Context(), activity, "w2")
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if err := d.Answer(t.Context(), task.Token, done(`1`)); err != nil {
			t.Fatal(err)
		}
		if o := whole(t, d, x.ARN); o.Output.JSON() != "1" {
			t.Errorf("%v %v", o.Status, o.Output)
		}
		var workers []string
		for e, err := range d.History(t.Context(), x.ARN, 0, false) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == engine.ActivityStarted {
				workers = append(workers, e.More.Worker)
			}
		}
		if fmt.Sprint(workers) != "[w1]" {
			t.Errorf("started by %v", workers)
		}
		closed(t, d)
	})
}

// slowLog takes its time to make something durable.
type slowLog struct {
	journal.Log
	delay atomic.Int64
}

func (l *slowLog) Append(ctx context.Context, rows ...journal.Row) error {
	time.Sleep(time.Duration(l.delay.Load()))
	return l.Log.Append(ctx, rows...)
}

func FuzzToken(f *testing.F) {
	f.Add("")
	f.Add("AQAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAA")
	d, err := journal.Open(f.Context(), journal.Config{Log: memory.New().Journal(), Programs: sealed{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := d.Answer(t.Context(), s, done(`1`)); !errors.Is(err, flow.ErrBadToken) {
			t.Errorf("%q: %v", s, err)
		}
	})
}
