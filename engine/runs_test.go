package engine

import (
	"fmt"
	"testing"
	"time"

	"tokaido/value"
)

// follow is a Map Run as its history tells it.
func follow(t *testing.T, s *sim) MapRun {
	t.Helper()
	for i := range s.events {
		if s.events[i].Type == MapRunStarted {
			r, err := FollowMapRun(stored(s.events[i:]))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	t.Fatal("there is no Map Run")
	return MapRun{}
}

func TestFollowMapRun(t *testing.T) {
	cfg := testConfig(mustParse(t, `{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":2,"ItemBatcher":{"MaxItemsPerBatch":2},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}}`))
	s := newSim(t, cfg, nil)
	says := func(want string) {
		t.Helper()
		r := follow(t, s)
		if got := fmt.Sprintf("%v %v %v %d", r.Status, r.Children, r.Items, r.Redrives); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if r.Stopped.IsZero() != (r.Status == Running) || r.Redriven.IsZero() != (r.Redrives == 0) || !r.Started.Equal(t0) {
			t.Errorf("times: %+v", r)
		}
	}
	s.step(Start{value.MustParse(`[1,2,3,4,5,6,7]`)})
	says("RUNNING {2 2 0 0 0 0 4 0} {3 4 0 0 0 0 7 0} 0")
	s.step(ChildDone{Run: 4, Child: 1, Status: Succeeded, Output: value.Null()})
	says("RUNNING {1 2 1 0 0 0 4 0} {1 4 2 0 0 0 7 0} 0")
	s.now = s.now.Add(time.Second)
	s.step(ChildDone{Run: 4, Child: 0, Status: TimedOut})
	says("FAILED {1 0 1 0 1 1 4 0} {1 0 2 0 2 2 7 0} 0")
	s.finish = nil
	s.step(Redrive{})
	says("RUNNING {1 2 1 0 0 0 4 0} {1 4 2 0 0 0 7 0} 1")
	s.step(UpdateRun{Run: 4, MaxConcurrency: new(int64(9)), ToleratedCount: new(int64(100))})
	says("RUNNING {0 3 1 0 0 0 4 0} {0 5 2 0 0 0 7 0} 1")
	if r := follow(t, s); r.Settings.MaxConcurrency != 9 || r.Settings.ToleratedCount != 100 {
		t.Errorf("settings %+v", r.Settings)
	}
	s.step(Stop{})
	says("ABORTED {0 0 1 0 0 3 4 0} {0 0 2 0 0 5 7 0} 1")
	s.finish = nil
	s.step(UpdateRun{Run: 4, MaxConcurrency: new(int64(1))}) // it is over: nothing happens
	s.step(Redrive{})
	says("RUNNING {0 3 1 0 0 0 4 0} {0 5 2 0 0 0 7 0} 2")
	s.step(UpdateRun{Run: 4, ToleratedPercentage: new(50.0)})
	for i := range int32(4) {
		if i != 1 {
			s.step(ChildDone{Run: 4, Child: i, Attempt: 2 - i/3, Status: Succeeded, Output: value.Null()})
		}
	}
	says("SUCCEEDED {0 0 4 0 0 0 4 0} {0 0 7 0 0 0 7 0} 2")
}

// TestManyChildren: a Step starts no more children than it may have effects, no
// more run than may, and what they give comes in the order of the items.
func TestManyChildren(t *testing.T) {
	for _, c := range []struct{ items, concurrency, most int }{{300, 0, 300}, {300, 7, 7}, {MaxStepEffects + 1, 0, MaxStepEffects + 1}} {
		cfg := testConfig(mustParse(t, fmt.Sprintf(`{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":%d,
			"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}}`, c.concurrency)))
		s := newSim(t, cfg, nil)
		running, most := map[int32]bool{}, 0
		s.child = func(e StartChild, _ time.Time) (time.Duration, *ChildDone) {
			running[e.Child] = true
			most = max(most, len(running))
			return time.Duration(1+int(e.Child)*7919%11) * time.Second, &ChildDone{e.Run, e.Child, e.Attempt, Succeeded, e.Input}
		}
		items := make([]value.Value, c.items)
		for i := range items {
			items[i] = value.Int(int64(i))
		}
		s.step(Start{value.Array(items...)})
		for s.finish == nil {
			in := s.next()
			if done, ok := in.(ChildDone); ok {
				delete(running, done.Child)
			}
			s.step(in)
		}
		if s.finish.Status != Succeeded || !value.Equal(s.finish.Output, value.Array(items...)) {
			t.Errorf("%d items, %d at a time: %v %s", c.items, c.concurrency, s.finish.Status, s.finish.Output)
		}
		if most != c.most {
			t.Errorf("%d items, %d at a time: %d ran", c.items, c.concurrency, most)
		}
	}
}

// TestLabels: what stands in ARNs is the label, the name, or something that can
// stand there for a name that cannot.
func TestLabels(t *testing.T) {
	for _, c := range []struct{ state, label, want string }{
		{"M", "", "M"}, {"M", "L", "L"}, {"a state", "", ""}, {"a/b", "", ""}, {"Größe", "", "Größe"},
		{"12345678901234567890123456789012345678901", "", ""},
	} {
		field := ""
		if c.label != "" {
			field = fmt.Sprintf(`"Label":%q,`, c.label)
		}
		p := mustParse(t, fmt.Sprintf(`{"StartAt":%q,"States":{%q:{"Type":"Map",%s
			"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}}`, c.state, c.state, field))
		got := Label(p.State(c.state))
		if c.want != "" && got != c.want || c.want == "" && len(got) != 36 || got != Label(p.State(c.state)) {
			t.Errorf("%q, %q: %s", c.state, c.label, got)
		}
	}
}
