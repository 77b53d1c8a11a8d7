package engine

import (
	"fmt"
	"strings"
	"testing"

	"tokaido/value"
)

// TestLongRuns are longer than one Step may be. They are cut, go on from a
// replay at every cut, and come to the same end.
func TestLongRuns(t *testing.T) {
	const n = 3000
	numbers := "[" + strings.TrimSuffix(strings.Repeat("7,", n), ",") + "]"
	deep := `{"StartAt":"M1","States":{"M1":{"Type":"Map","ItemsPath":"$","ItemProcessor":{"StartAt":"M2","States":{"M2":{"Type":"Map","ItemProcessor":{
		"StartAt":"M3","States":{"M3":{"Type":"Map","ItemProcessor":{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}},"End":true}}},"End":true}}},"End":true}}}`
	row := "[" + strings.TrimSuffix(strings.Repeat("1,", 40), ",") + "]"
	plane := "[" + strings.TrimSuffix(strings.Repeat(row+",", 40), ",") + "]"
	for _, c := range []struct{ name, def, in, out string }{
		{"passes", passes(n), `{"a":1}`, `{"a":1}`},
		{"map", `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}}`, numbers, numbers},
		{"bytes", passes(100), `"` + strings.Repeat("x", 200_000) + `"`, `"` + strings.Repeat("x", 200_000) + `"`},
		{"threads", deep, "[" + plane + "," + plane + "," + plane + "]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig(mustParse(t, c.def))
			cfg.Limits.Events = 0
			x := New(cfg)
			var events []Event
			in, steps, live := []Input{Start{value.MustParse(c.in)}}, 0, 0
			for x.Status() == Running {
				if len(in) == 0 {
					t.Fatal("nothing more happens")
				}
				b, err := x.Step(t0, in[0])
				if err != nil {
					t.Fatal(err)
				}
				in, steps, live = in[1:], steps+1, max(live, x.live.n)
				events = append(events, b.Events...)
				size := 0
				for i := range b.Events {
					size += len(b.Events[i].Data.JSON())
				}
				if len(b.Events) > MaxStepEvents+2*StandardLimits().Iterations || len(b.Effects) > MaxStepEffects+8 || size > MaxStepBytes+1<<20 {
					t.Fatalf("step %d: %d events, %d effects, %d bytes", steps, len(b.Events), len(b.Effects), size)
				}
				for _, e := range b.Effects {
					switch e := e.(type) {
					case Again:
						in = append(in, Continue{})
					case Invoke:
						in = append(in, TaskDone{e.Task, e.Args})
					}
				}
				if steps%500 < 3 {
					y, err := Replay(cfg, stored(events))
					if err != nil {
						t.Fatal(err)
					}
					if picture(x) != picture(y) {
						t.Fatal("replay differs")
					}
					x = y
				}
			}
			if err := CheckHistory(events); err != nil {
				t.Fatal(err)
			}
			out, _ := x.Outcome()
			if out.Status != Succeeded || c.out != "" && out.Output.JSON() != c.out {
				t.Errorf("%s after %d steps, output of %d bytes, want %d", out.Status, steps, len(out.Output.JSON()), len(c.out))
			}
			if steps < 2 {
				t.Error("was not cut")
			}
			if live > MaxThreads+StandardLimits().Iterations+1 {
				t.Errorf("%d threads at a time", live)
			}
			t.Logf("%d steps, %d events, at most %d threads", steps, len(events), live)
		})
	}
}

// TestFullHistory runs into AWS's own limit.
func TestFullHistory(t *testing.T) {
	def := `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.no","IsPresent":true,"Next":"S"}],"Default":"A"},"S":{"Type":"Succeed"}}}`
	x := New(testConfig(mustParse(t, def)))
	var batch Batch
	if err := x.StepInto(&batch, t0, Start{value.MustParse("{}")}); err != nil {
		t.Fatal(err)
	}
	var last Event
	for x.Status() == Running {
		if err := x.StepInto(&batch, t0, Continue{}); err != nil {
			t.Fatal(err)
		}
		last = batch.Events[len(batch.Events)-1]
	}
	if got, want := fmt.Sprint(last.ID, last.Prev, last.Type), "25000 24999 ExecutionFailed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := *last.More.Cause, "The execution reached the maximum number of history events (25000)."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
