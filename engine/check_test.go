package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tokaido/value"
)

// TestCheckHistory damages good histories in ways that a checker must notice.
func TestCheckHistory(t *testing.T) {
	for _, events := range lives(t) {
		if err := CheckHistory(events); err != nil {
			t.Fatal(err)
		}
		noticed := func(what string, i int, damaged []Event) {
			t.Helper()
			if CheckHistory(damaged) == nil {
				t.Errorf("event %d (%s): %s, and nobody notices", i+1, events[i].Type, what)
			}
		}
		for i := range events {
			if i < len(events)-1 {
				noticed("lost", i, slices.Delete(slices.Clone(events), i, i+1))
			}
			noticed("doubled", i, slices.Insert(slices.Clone(events), i, events[i]))
			for what, change := range map[string]func(*Event){
				"prev ahead":    func(e *Event) { e.Prev = e.ID + 1 + e.Seq },
				"prev negative": func(e *Event) { e.Prev = -1 },
				"other thread":  func(e *Event) { e.Thread += 77 },
				"time back":     func(e *Event) { e.At = 0 },
				"no id":         func(e *Event) { e.ID = 0; e.Type = PassStateEntered },
				"unknown type":  func(e *Event) { e.Type = 100 },
			} {
				damaged := slices.Clone(events)
				change(&damaged[i])
				noticed(what, i, damaged)
			}
			// Numbered well, and still not what can happen: a state left out, entered twice, a second outcome.
			switch e := &events[i]; {
			case e.Type.enters(), e.Type.exits(), e.Type == ServiceTaskSucceeded, e.Type == LambdaFunctionScheduled, e.Type == BranchSucceeded:
				noticed("left out", i, renumber(slices.Delete(slices.Clone(events), i, i+1)))
				noticed("again", i, renumber(slices.Insert(slices.Clone(events), i, *e)))
			}
		}
	}
}

// renumber gives events the numbers that they would have, and references that exist.
func renumber(events []Event) []Event {
	tasks := map[int64]int64{}
	id := int64(0)
	for i := range events {
		e := &events[i]
		if _, ok := tasks[e.Seq]; !ok {
			tasks[e.Seq] = int64(i + 1)
		}
		e.Seq = int64(i + 1)
		if n, ok := tasks[e.Ref]; ok && e.Ref != 0 && e.Type != MapIterationStarted {
			e.Ref = n
		}
		if e.ID != 0 {
			id++
			e.ID = id
		}
		if e.Prev = max(0, id-1); e.Prev == 1 {
			e.Prev = 0
		}
	}
	return events
}

func TestStepBeforeStart(t *testing.T) {
	x := New(testConfig(mustParse(t, passes(1))))
	if _, err := x.Step(t0, TaskDone{1, value.Null()}); err == nil {
		t.Error("a task was done before the start")
	}
	if p := x.Pending(); len(p) != 0 {
		t.Errorf("pending before the start: %v", p)
	}
	b, err := x.Step(t0, Start{})
	if err != nil || b.Events[0].Data.JSON() != "{}" {
		t.Errorf("started with %v: %v", b.Events, err)
	}
	if x.Seq() != 4 || x.Events() != 4 || !x.Last().Equal(t0) || x.Input().JSON() != "{}" {
		t.Errorf("%d %d %s %s", x.Seq(), x.Events(), x.Last(), x.Input())
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"", 2, ""}, {"ab", 2, "ab"}, {"abc", 2, "ab"}, {"東海道", 3, "東海道"}, {"東海道", 2, "東海"}, {"\xff\xff\xff", 2, "\xff\xff"}} {
		if got := clip(&c.in, c.n); *got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.in, c.n, *got, c.want)
		}
	}
	if clip(nil, 1) != nil {
		t.Error("clip made something of nothing")
	}
}

// TestDetails names the member that AWS has for every type, or none.
func TestDetails(t *testing.T) {
	none := []string{"LambdaFunctionStarted", "ParallelStateStarted", "ParallelStateSucceeded", "ParallelStateFailed", "ParallelStateAborted",
		"MapStateSucceeded", "MapStateFailed", "MapStateAborted", "TaskStateAborted", "WaitStateAborted", "MapRunSucceeded", "MapRunAborted"}
	cfg := &Config{RoleARN: "arn:r", VersionARN: "arn:v", AliasARN: "arn:a"}
	for i := range 256 {
		typ := EventType(i)
		if !typ.known() {
			continue
		}
		e := full()
		e.Type = typ
		name, d := cfg.Details(&e, true)
		s := typ.String()
		want := strings.ToLower(s[:1]) + s[1:] + "EventDetails"
		switch {
		case typ.Internal() || slices.Contains(none, s):
			want = ""
		case strings.HasSuffix(s, "StateEntered"):
			want = "stateEnteredEventDetails"
		case strings.HasSuffix(s, "StateExited"):
			want = "stateExitedEventDetails"
		}
		if name != want {
			t.Errorf("%s has %q, want %q", s, name, want)
		}
		if _, bare := cfg.Details(&e, false); strings.Contains(bare.JSON(), "2.50") || bare.Has("inputDetails") || bare.Has("outputDetails") {
			t.Errorf("%s shows data that it should not: %s", s, bare)
		}
		if want != "" && !d.IsObject() {
			t.Errorf("%s: %s", s, d)
		}
	}
	e := Event{Type: ExecutionStarted, Data: value.MustParse(`{"a": 1}`)}
	_, d := cfg.Details(&e, true)
	if got, want := d.JSON(), `{"input":"{\"a\": 1}","inputDetails":{"truncated":false},"roleArn":"arn:r","stateMachineAliasArn":"arn:a","stateMachineVersionArn":"arn:v"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	e = Event{Type: ActivityStarted}
	if name, d := cfg.Details(&e, true); name == "" || fmt.Sprint(d) != "{}" {
		t.Errorf("ActivityStarted without a worker: %s %s", name, d)
	}
}
