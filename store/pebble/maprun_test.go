package pebble

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/value"
)

// fans are machines whose Map Runs' children each take a moment. Those of the
// flaky ones fail where the item is odd, until they are redriven.
func fans(t testing.TB) programs {
	p := programs{}
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		for name, batch := range map[string]string{"fan": "", "flaky": "", "batched": `"ItemBatcher":{"MaxItemsPerBatch":3},`} {
			def := fmt.Sprintf(`{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Items":"{%% [0..19] %%}","MaxConcurrency":6,%s
				"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":%q},"StartAt":"T","States":{
					"T":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel",
						"Arguments":{"ModelId":"m","Body":{"item":"{%% $states.input %%}","flaky":%v,"redrives":"{%% $states.context.Execution.RedriveCount %%}"}},"Output":"{%% $states.input %%}","End":true}}},
				"Output":"{%% $sum($states.result.($type($)='object' ? Items : $)) %%}","End":true}}}`, batch, kind, name == "flaky")
			prog, ds := asl.Parse([]byte(def))
			if prog == nil {
				t.Fatal(ds)
			}
			p[name+kind] = prog
		}
	}
	return p
}

func fanOut(t testing.TB, s *Store) *journal.Driver {
	return driveWith(t, s, fans(t), func(ctx context.Context, task flow.Task) (value.Value, error) {
		if _, err := nap(ctx, task); err != nil {
			return value.Value{}, err
		}
		b := task.Args.Get("Body")
		item, _ := b.Get("item").Int()
		if n, _ := b.Get("redrives").Int(); b.Get("flaky").Bool() && n == 0 && item%2 == 1 {
			return value.Value{}, &flow.TaskError{Name: "Odd", Cause: "why"}
		}
		return value.Null(), nil
	})
}

// wholeRun checks an execution of a fan, which has succeeded, and its children.
func wholeRun(t *testing.T, d *journal.Driver, arn string) {
	t.Helper()
	wellFormed(t, d, arn)
	runs := 0
	for l, err := range d.MapRuns(t.Context(), arn, nil) {
		if err != nil {
			t.Error(err)
			return
		}
		runs++
		r, err := d.MapRun(t.Context(), l.MapRunARN)
		if err != nil || r.Status != engine.Succeeded || r.Items.Succeeded != 20 || r.Children.Succeeded != r.Children.Total || l.Stopped.IsZero() {
			t.Errorf("%s: %+v %+v, %v", arn, r, l, err)
		}
		seen := map[int32]bool{}
		for x, err := range d.List(t.Context(), flow.Query{Under: l.MapRunARN}) {
			if err != nil {
				t.Error(err)
				return
			}
			if x.Status != engine.Succeeded || seen[x.Child.Index] || x.Child.Parent != arn {
				t.Errorf("%s: child %+v", arn, x.Execution)
			}
			seen[x.Child.Index] = true
			wellFormed(t, d, x.ARN)
		}
		if int64(len(seen)) != r.Children.Total {
			t.Errorf("%s: %d children of %d", arn, len(seen), r.Children.Total)
		}
	}
	if runs != 1 {
		t.Errorf("%s: %d Map Runs", arn, runs)
	}
}

// The power goes while Map Runs begin, run, fail and are redriven. No child is
// lost, or there twice, and none counts twice.
func TestPowerLossInMapRuns(t *testing.T) {
	machines := []string{"fanSTANDARD", "fanEXPRESS", "flakySTANDARD", "flakyEXPRESS", "batchedSTANDARD", "batchedEXPRESS"}
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			all, s, d := outages{rounds: 8, most: 200 * time.Millisecond, open: fanOut,
				live: func(ctx context.Context, d *journal.Driver, round int, before []string, acknowledged func(string)) {
					var wg sync.WaitGroup
					wg.Go(func() {
						for _, arn := range before { // those that failed go on
							_, err := d.Redrive(ctx, arn, "")
							if _, no := errors.AsType[flow.NotRedrivable](err); err != nil && !no && ctx.Err() == nil {
								t.Errorf("redrive %s: %v", arn, err)
							}
						}
					})
					for w, m := range machines {
						wg.Go(func() {
							for i := range 2 {
								if !tryBegin(ctx, t, d, m, fmt.Sprintf("%d-%d-%d", round, w, i), acknowledged) {
									return
								}
							}
						})
					}
					wg.Wait()
				},
			}.run(t, rand.New(rand.NewPCG(seed, 2)))
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			redrives, begun := 0, time.Now()
			for _, arn := range all {
				for attempt := 0; ; attempt++ {
					o, err := d.Await(ctx, arn)
					if err != nil {
						t.Fatalf("%s: %v", arn, err)
					}
					if o.Status == engine.Succeeded {
						if o.Output.JSON() != "190" {
							t.Errorf("%s: %s", arn, o.Output)
						}
						break
					}
					if !strings.Contains(arn, "flaky") || attempt == 30 {
						t.Fatalf("%s: %v", arn, o.Status)
					}
					if _, err := d.Redrive(ctx, arn, ""); err != nil {
						t.Fatalf("%s: %v", arn, err)
					}
					redrives++
				}
				wholeRun(t, d, arn)
			}
			t.Logf("%d executions, %d redriven at the end, which took %v", len(all), redrives, time.Since(begun).Round(time.Millisecond))
			d.Close(t.Context())
			for e, err := range s.Journal().Open(t.Context()) {
				t.Errorf("still open: %s, %v", e.ARN, err)
			}
		})
	}
}
