package engine

import (
	"strings"
	"testing"
	"time"

	"tokaido/value"
)

// everyKind is a machine with one state of each kind.
const everyKind = `{"StartAt":"P","States":{
"P":{"Type":"Pass","Assign":{"v":1},"Next":"T"},
"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f"},"HeartbeatSeconds":5,"TimeoutSeconds":9,"Retry":[{"ErrorEquals":["States.ALL"]}],"Next":"W"},
"W":{"Type":"Wait","Seconds":1,"Next":"C"},
"C":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"Q"}],"Default":"Q"},
"Q":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}}},
{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}}],"Retry":[{"ErrorEquals":["E"]}],"Next":"M"},
"M":{"Type":"Map","ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}},"Catch":[{"ErrorEquals":["E"],"Next":"F"}],"Next":"S"},
"S":{"Type":"Succeed"},"F":{"Type":"Fail","Error":"E"}}}`

// lives are the events of runs of everyKind, one that succeeds and some that
// meet trouble.
func lives(t testing.TB) [][]Event {
	var all [][]Event
	for _, trouble := range []string{"", "T", "A", "I"} {
		failed := false
		s := newSim(t, testConfig(mustParse(t, everyKind)), func(in Invoke, _ time.Time) (time.Duration, Input) {
			if in.State == trouble && (!failed || trouble == "I") {
				failed = true
				return time.Second, TaskFailed{in.Task, Failure{Error: new("E")}}
			}
			return time.Second, TaskDone{in.Task, value.MustParse(`[1,2]`)}
		})
		s.run(value.MustParse(`{"x":[1,2]}`))
		all = append(all, s.events)
	}
	return all
}

// TestReplayRefuses tries histories with one event changed, lost or doubled: an
// error or an execution, never a panic.
func TestReplayRefuses(t *testing.T) {
	cfg := testConfig(mustParse(t, everyKind))
	replay := func(events []Event) error {
		_, err := Replay(cfg, stored(events))
		return err
	}
	for _, events := range lives(t) {
		if err := replay(events); err != nil {
			t.Fatal(err)
		}
		for i := range events {
			if i < len(events)-1 {
				if replay(append(append([]Event(nil), events[:i]...), events[i+1:]...)) == nil {
					t.Errorf("event %d of %d is lost, and nobody notices", i+1, len(events))
				}
			}
			if replay(append(append([]Event(nil), events[:i+1]...), events[i:]...)) == nil {
				t.Errorf("event %d comes twice, and nobody notices", i+1)
			}
			other := append([]Event(nil), events...)
			other[i].Thread += 50
			if replay(other) == nil {
				t.Errorf("event %d is of a thread that there is not, and nobody notices", i+1)
			}
		}
	}
}

// FuzzReplay feeds any events to Replay: it may refuse them, it must not panic,
// and what it makes of them must be able to go on.
func FuzzReplay(f *testing.F) {
	for _, events := range lives(f) {
		var b []byte
		for i := range events {
			b = AppendEvent(b, &events[i])
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	cfg := testConfig(mustParse(f, everyKind))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		x := New(cfg)
		for len(b) > 0 {
			e, rest, err := DecodeEvent(b)
			if err != nil || x.apply(&e) != nil {
				break
			}
			b = rest
		}
		at := x.Last().Add(time.Second)
		for _, e := range x.Pending() {
			var in Input = Continue{}
			switch e := e.(type) {
			case Invoke:
				in = TaskDone{e.Task, value.Null()}
			case Sleep:
				in = TimerFired{e.Timer}
			case Finish:
				continue
			}
			if _, err := x.Step(at, in); err != nil && !strings.HasPrefix(err.Error(), "engine: ") {
				t.Fatal(err)
			}
		}
	})
}

// FuzzRestore feeds any snapshot to Restore: it may refuse it, it must not
// panic, and what it makes of it must be able to go on.
func FuzzRestore(f *testing.F) {
	cfg := testConfig(mustParse(f, everyKind))
	for _, events := range lives(f) {
		x := New(cfg)
		for i := range events {
			if err := x.apply(&events[i]); err != nil {
				f.Fatal(err)
			}
			f.Add(x.AppendSnapshot(nil))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		x, err := Restore(cfg, b, stored(nil))
		if err != nil {
			return
		}
		if _, err := Restore(cfg, x.AppendSnapshot(nil), stored(nil)); err != nil {
			t.Fatalf("its own snapshot: %v", err)
		}
		if x.Seq() == 0 {
			return
		}
		at := x.Last().Add(time.Second)
		for range 3 {
			for _, e := range x.Pending() {
				var in Input = Continue{}
				switch e := e.(type) {
				case Invoke:
					in = TaskDone{e.Task, value.Null()}
				case Sleep:
					in = TimerFired{e.Timer}
				case Finish:
					continue
				}
				if _, err := x.Step(at, in); err != nil && !strings.HasPrefix(err.Error(), "engine: ") {
					t.Fatal(err)
				}
			}
		}
	})
}
