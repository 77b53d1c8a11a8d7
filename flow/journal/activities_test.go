package journal_test

import (
	"context"
	"errors"
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

// An answer may come before the call that hands out the token is over.
func TestTokenIsAnsweredEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *journal.Driver
		var wg sync.WaitGroup
		answers := make(chan error, 2)
		d = open(t, journal.Config{Programs: tokens(t), Invoker: flow.InvokerFunc(func(ctx context.Context, task flow.Task) (value.Value, error) {
			if task.Token == "" || task.Args.Get("MessageBody").Get("token").Str() != task.Token {
				t.Errorf("token %q in %s", task.Token, task.Args)
			}
			for range 2 {
				wg.Go(func() { answers <- d.Answer(context.Background(), task.Token, done(`"hi"`)) })
				time.Sleep(time.Second)
			}
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
		if got := types(check(t, d, x.ARN)); got != "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskStateExited ExecutionSucceeded" {
			t.Error(got)
		}
		closed(t, d)
	})
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
