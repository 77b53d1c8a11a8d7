package cli

import (
	"bytes"
	"testing"
	"time"

	"tokaido/engine"
	"tokaido/server"
)

// at is an event of the execution x, so many seconds after its start.
func at(seconds float64, e engine.Event, in string) server.Progress {
	e.At = 1_700_000_000_000 + int64(seconds*1000)
	return server.Progress{Event: e, Execution: "arn:aws:states:us-east-1:123456789012:execution:m:x", In: in}
}

func due(seconds float64) *engine.Detail {
	return &engine.Detail{Due: 1_700_000_000_000 + int64(seconds*1000)}
}

// A run, as it is told to a file and to a terminal.
func TestProgress(t *testing.T) {
	here := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = here })
	var out bytes.Buffer
	v := newView(&out)
	if v.live {
		t.Fatal("a buffer is taken for a terminal")
	}
	v.live = true
	v.width = func() int { return 60 }
	now := func(seconds float64) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(seconds*1000)) }
	busy := &engine.Detail{Error: new("Busy"), Cause: new("too much")}
	v.show(at(0, engine.Event{ID: 1, Type: engine.ExecutionStarted}, ""))
	v.draw(now(0))
	v.show(at(0, engine.Event{ID: 2, Type: engine.TaskStateEntered, State: "Ask"}, "Ask"))
	v.show(at(0.001, engine.Event{ID: 3, Type: engine.ServiceTaskScheduled, State: "Ask", More: &engine.Detail{TimeoutSeconds: 60}}, "Ask"))
	v.show(at(0.002, engine.Event{ID: 4, Type: engine.ServiceTaskStarted}, "Ask"))
	v.draw(now(3))
	v.show(at(4, engine.Event{ID: 5, Type: engine.ServiceTaskFailed, More: busy}, "Ask"))
	v.draw(now(4))
	v.show(at(4, engine.Event{Type: engine.RetryScheduled, State: "Ask", More: due(6)}, "Ask"))
	v.draw(now(5.5))
	v.show(at(6, engine.Event{ID: 6, Type: engine.ServiceTaskScheduled, State: "Ask", More: &engine.Detail{}}, "Ask"))
	v.draw(now(7))
	answered := at(8, engine.Event{ID: 8, Type: engine.ServiceTaskSucceeded}, "Ask")
	answered.InferenceRegion = "ap-northeast-3"
	v.show(answered)
	v.show(at(8, engine.Event{ID: 9, Type: engine.TaskStateExited, State: "Ask"}, "Ask"))
	v.show(at(8, engine.Event{ID: 10, Type: engine.ParallelStateEntered, State: "Both"}, "Both"))
	for i, name := range []string{"待つ", "B", "C", "D", "E"} {
		v.show(at(8, engine.Event{ID: 11 + int64(i), Thread: int32(i) + 1, Type: engine.WaitStateEntered, State: name}, name))
		v.show(at(8, engine.Event{Thread: int32(i) + 1, Type: engine.WaitScheduled, State: name, More: due(98)}, name))
	}
	v.draw(now(9))
	v.show(at(20, engine.Event{ID: 20, Thread: 1, Type: engine.WaitStateExited, State: "待つ"}, "待つ"))
	child := at(21, engine.Event{ID: 1, Type: engine.ExecutionStarted}, "")
	child.Execution += "-child"
	v.show(child)
	v.show(at(22, engine.Event{ID: 21, Type: engine.ExecutionAborted, More: &engine.Detail{Cause: new("why?\n\x1b[31m")}}, ""))
	v.draw(now(23))
	const clear = "\r\x1b[K"
	want := `   0.000s ▶ started
   0.000s → Ask (Task)
          … Ask 3 s of 1m` + clear + `   4.000s ! Ask TaskFailed: Busy: too much
   4.000s ↻ Ask: retry 1 in 2 s
          … Ask (retry) 500 ms left` + clear + `          … Ask 1 s` + clear + `   8.000s   Ask: answered in ap-northeast-3
   8.000s ← Ask
   8.000s → Both (Parallel)
   8.000s → 待つ (Wait)
   8.000s … 待つ waits 1m30s, until 22:14:58
   8.000s → B (Wait)
   8.000s … B waits 1m30s, until 22:14:58
   8.000s → C (Wait)
   8.000s … C waits 1m30s, until 22:14:58
   8.000s → D (Wait)
   8.000s … D waits 1m30s, until 22:14:58
   8.000s → E (Wait)
   8.000s … E waits 1m30s, until 22:14:58
          … 待つ 1m29s left · B 1m29s left · C 1m29s left ·` + clear + `  20.000s ← 待つ
  21.000s [x-child] ▶ started
  22.000s ✗ aborted: why? [31m
`
	if got := out.String(); got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 20 * time.Millisecond: "20 ms", 1500 * time.Millisecond: "2 s", 59 * time.Second: "59 s", time.Minute: "1m",
		90 * time.Second: "1m30s", time.Hour: "1h", 70 * time.Minute: "1h10m", 3661 * time.Second: "1h1m1s", 100 * time.Hour: "100h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
