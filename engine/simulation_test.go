package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// maker makes definitions of all kinds of states, at random.
type maker struct {
	*rand.Rand
	n int
}

func (m *maker) name() string {
	m.n++
	return fmt.Sprintf("S%d", m.n)
}

// machine is the inside of a machine: StartAt and States.
func (m *maker) machine(depth int) string {
	n := 1 + m.IntN(3)
	names := make([]string, n+1)
	for i := range names {
		names[i] = m.name()
	}
	var b strings.Builder
	fmt.Fprintf(&b, `"StartAt":%q,"States":{`, names[0])
	for i := range n {
		fmt.Fprintf(&b, `%q:%s,`, names[i], m.state(depth, names[i+1], names[n]))
	}
	fmt.Fprintf(&b, `%q:%s}`, names[n], []string{`{"Type":"Succeed"}`, `{"Type":"Pass","End":true}`}[m.IntN(2)])
	return b.String()
}

// state is one that goes on to next, and when something goes wrong to last.
func (m *maker) state(depth int, next, last string) string {
	kinds := 10
	if depth == 0 {
		kinds = 7
	}
	handle := ""
	if m.IntN(2) == 0 {
		handle += fmt.Sprintf(`"Retry":[{"ErrorEquals":["A"],"MaxAttempts":%d,"IntervalSeconds":%d},{"ErrorEquals":["States.Timeout","B"],"MaxAttempts":1,"JitterStrategy":"FULL"}],`,
			m.IntN(3), 1+m.IntN(3))
	}
	if m.IntN(2) == 0 {
		handle += fmt.Sprintf(`"Catch":[{"ErrorEquals":[%q],"Next":%q}],`, []string{"A", "States.ALL", "States.Timeout"}[m.IntN(3)], last)
	}
	switch m.IntN(kinds) {
	case 0:
		return fmt.Sprintf(`{"Type":"Pass","Parameters":{"n.$":"$$.State.Name"},"Assign":{%q:%d},"Next":%q}`, "v"+m.name(), m.IntN(9), next)
	case 1:
		return fmt.Sprintf(`{"Type":"Wait","Seconds":%d,"Next":%q}`, m.IntN(5), next)
	case 2:
		return fmt.Sprintf(`{"Type":"Choice","Choices":[{"Variable":"$","IsString":true,"Next":%q}],"Default":%q}`, last, next)
	case 3:
		return fmt.Sprintf(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f"},"HeartbeatSeconds":%d,"TimeoutSeconds":9,%s"Next":%q}`,
			2+m.IntN(4), handle, next)
	case 4:
		return fmt.Sprintf(`{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","TimeoutSeconds":%d,%s"Next":%q}`, 1+m.IntN(9), handle, next)
	case 5:
		return fmt.Sprintf(`{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",%s"Next":%q}`, handle, next)
	case 6:
		return fmt.Sprintf(`{"Type":"Pass","QueryLanguage":"JSONata","Output":["{%% $uuid() %%}","{%% $random() %%}","{%% $millis() %%}"],"Next":%q}`, next)
	case 7:
		var branches []string
		for range 1 + m.IntN(3) {
			branches = append(branches, "{"+m.machine(depth-1)+"}")
		}
		return fmt.Sprintf(`{"Type":"Parallel","Branches":[%s],%s"Next":%q}`, strings.Join(branches, ","), handle, next)
	case 9:
		return fmt.Sprintf(`{"Type":"Map","MaxConcurrency":%d,"ToleratedFailureCount":%d,"InputPath":"$$.Execution.Input",%s"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},%s},%s"Next":%q}`,
			m.IntN(3), m.IntN(3), []string{"", `"ItemBatcher":{"MaxItemsPerBatch":2},`, `"ItemSelector":{"v.$":"$$.Map.Item.Value","u.$":"States.UUID()"},`}[m.IntN(3)],
			m.machine(0), handle, next)
	default:
		return fmt.Sprintf(`{"Type":"Map","MaxConcurrency":%d,"InputPath":"$$.Execution.Input","ItemProcessor":{%s},%s"Next":%q}`,
			m.IntN(3), m.machine(depth-1), handle, next)
	}
}

// TestRandomRuns lets random definitions meet random worlds: tasks succeed,
// fail, are slow or never answer; answers come twice; timers come early and
// late; the process restarts and knows only the events. After every Step the
// events replay to the same execution and are a history, and Pending is exactly
// what the driver still owes. A run that fails prints its seed.
func TestRandomRuns(t *testing.T) {
	runs := 300
	if testing.Short() {
		runs = 30
	}
	ends := map[Status]int{}
	for seed := range uint64(runs) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			ends[randomRun(t, seed)]++
		})
	}
	if ends[Succeeded] == 0 || ends[Failed] == 0 || ends[TimedOut] == 0 {
		t.Errorf("the worlds are too much alike: %v", ends)
	}
}

func randomRun(t *testing.T, seed uint64) Status {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 1))}
	def := "{" + m.machine(2) + "}"
	if m.IntN(4) == 0 {
		def = `{"TimeoutSeconds":20,` + def[1:]
	}
	prog := mustParse(t, def)
	cfg := testConfig(prog)
	cfg.Seed = seed
	if m.IntN(8) == 0 {
		cfg.Limits.Events = 40
	}
	var s *sim
	s = newSim(t, cfg, func(in Invoke, _ time.Time) (time.Duration, Input) {
		after := time.Duration(m.IntN(6)) * time.Second
		if in.Part.Kind == asl.ActivityTask && !in.Started && m.IntN(2) == 0 {
			s.later(s.now, TaskStarted{in.Task, "w"})
		}
		if in.Part.Pattern == asl.WaitForTaskToken && !in.Submitted {
			s.later(s.now, TaskSubmitted{in.Task, value.Null()})
			for range m.IntN(4) {
				s.later(s.now.Add(time.Duration(m.IntN(6))*time.Second), TaskHeartbeat{in.Task})
			}
		}
		switch m.IntN(8) {
		case 0:
			if in.Part.Kind != asl.LambdaTask { // it has a time limit of its own
				return 0, nil
			}
			return after, TaskDone{in.Task, value.Null()}
		case 1, 2:
			return after, TaskFailed{in.Task, Failure{new([]string{"A", "B", "C"}[m.IntN(3)]), new("why")}}
		}
		return after, TaskDone{in.Task, value.MustParse(`{"ok":[1]}`)}
	})
	inputs := map[string]string{}
	s.child = func(e StartChild, _ time.Time) (time.Duration, *ChildDone) {
		input, ok := s.x.ChildInput(e.Run, e.Child)
		if !ok || !e.Input.IsUndefined() && input.JSON() != e.Input.JSON() {
			t.Errorf("the child %d starts with %s, and later with %s", e.Child, e.Input, input)
		}
		if was := inputs[e.Name]; was != "" && was != input.JSON() {
			t.Errorf("the child %s starts with %s, and was said to start with %s", e.Name, input, was)
		}
		inputs[e.Name] = input.JSON()
		out := &ChildDone{e.Run, e.Child, e.Attempt, []Status{Succeeded, Succeeded, Succeeded, Succeeded, Failed, TimedOut, Aborted}[m.IntN(7)], value.Null()}
		if m.IntN(4) == 0 {
			s.later(s.now.Add(time.Minute), *out) // an end that comes twice
		}
		return time.Duration(m.IntN(6)) * time.Second, out
	}
	in := Input(Start{value.MustParse(`[1,"two",{"three":3}]`)})
	redrives := 0
	var snapshot []byte
	taken := 0
	for n := 0; ; n++ {
		if n > 20_000 {
			t.Fatalf("does not end: %s", def)
		}
		s.step(in)
		s.owes(t)
		if s.finish != nil {
			if s.finish.Status == Succeeded || redrives == 3 || !s.x.Room() || m.IntN(2) == 0 {
				break
			}
			redrives++
			s.finish, in = nil, Redrive{}
			s.due = slices.DeleteFunc(s.due, func(d dueInput) bool {
				switch d.in.(type) {
				case TimerFired, Continue:
					return true
				}
				return false // what nobody stopped may come back late
			})
			s.now = s.now.Add(time.Duration(m.IntN(60)) * time.Second)
			continue
		}
		if m.IntN(12) == 0 {
			snapshot, taken = s.x.AppendSnapshot(nil), len(s.events)
		}
		if m.IntN(12) == 0 { // the process dies, and a new one starts
			x, err := Replay(cfg, stored(s.events))
			if snapshot != nil && m.IntN(2) == 0 {
				x, err = Restore(cfg, snapshot, stored(s.events[taken:]))
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := picture(x), picture(s.x); got != want {
				t.Fatalf("comes back otherwise.\nrestored: %s\nwant:     %s", got, want)
			}
			s.x, s.due = x, nil
			for _, e := range x.Pending() {
				s.do(e)
			}
		}
		switch m.IntN(10) {
		case 0: // something that nobody waits for
			in = []Input{TaskDone{int64(m.IntN(50)) + 1000, value.Null()}, Continue{}, TimerFired{int64(m.IntN(200)) + 4000}, Start{value.Null()}}[m.IntN(4)]
			continue
		case 1: // a timer that fires too early, and again in its time
			for _, d := range s.due {
				if f, ok := d.in.(TimerFired); ok && d.at.After(s.now) {
					in = f
					break
				}
			}
			continue
		}
		if len(s.due) == 0 {
			t.Fatalf("nothing more happens: %s\n%s", def, picture(s.x))
		}
		in = s.next()
		if _, ok := in.(TaskDone); ok && m.IntN(6) == 0 {
			s.later(s.now, in) // an answer that comes twice
		}
		if _, ok := in.(TimerFired); ok && m.IntN(4) == 0 {
			s.now = s.now.Add(time.Duration(m.IntN(3000)) * time.Millisecond) // a timer that is late
		}
	}
	s.decideAgain()
	if got := s.x.Pending(); len(got) != 1 || effectText(got[0]) != effectText(*s.finish) {
		t.Errorf("after the end: %v", got)
	}
	return s.finish.Status
}

// decideAgain feeds everything that happened to a new execution, which must
// decide the same.
func (s *sim) decideAgain() {
	x := New(s.cfg)
	var events []byte
	for _, f := range s.fed {
		b, err := x.Step(f.at, f.in)
		if err != nil {
			s.t.Fatal(err)
		}
		for i := range b.Events {
			events = AppendEvent(events, &b.Events[i])
		}
	}
	var want []byte
	for i := range s.events {
		want = AppendEvent(want, &s.events[i])
	}
	if !bytes.Equal(events, want) {
		for rest, i := events, 0; ; i++ {
			e, r, err := DecodeEvent(rest)
			if err != nil || i >= len(s.events) || !sameEvent(&e, &s.events[i]) {
				was := "nothing"
				if i < len(s.events) {
					was = eventText(&s.events[i])
				}
				s.t.Errorf("decided again, it comes out otherwise: event %d was %s and is %s (%v)", i+1, was, eventText(&e), err)
				return
			}
			rest = r
		}
	}
}

// owes compares Pending with what the driver has been asked for and has not
// answered: the timers that sleep, and whether to continue.
func (s *sim) owes(t *testing.T) {
	if s.finish != nil {
		return
	}
	var want, got []string
	for _, e := range s.x.Pending() {
		switch e := e.(type) {
		case Sleep:
			want = append(want, fmt.Sprint("timer ", e.Timer))
		case Again:
			want = append(want, "again")
		}
	}
	for _, d := range s.due {
		switch in := d.in.(type) {
		case TimerFired:
			got = append(got, fmt.Sprint("timer ", in.Timer))
		case Continue:
			got = append(got, "again")
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Fatalf("nobody was asked for %q; asked for %q", w, got)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Fatalf("%q was asked for and is not wanted; wanted are %q", g, want)
		}
	}
}
