package journal

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"tokaido/engine"
	"tokaido/flow"
)

// The heap is held to a sorted list.
func TestTimers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var h timers
	var list []alarm
	for i := range 200_000 {
		switch {
		case rnd.IntN(3) > 0:
			a := alarm{rnd.Int64N(1000), uint64(rnd.IntN(50))}
			h.add(a)
			list = append(list, a)
		case len(list) > 0:
			at := rnd.IntN(len(list))
			h.drop(list[at])
			list = slices.Delete(list, at, at+1)
		}
		if len(h.heap) > 2*len(list)+2*sweepFrom {
			t.Fatalf("%d alarms for %d that are meant", len(h.heap), len(list))
		}
		if i%1000 == 0 {
			now := rnd.Int64N(1000)
			want := map[alarm]int{}
			list = slices.DeleteFunc(list, func(a alarm) bool {
				if a.due <= now {
					want[a]++
				}
				return a.due <= now
			})
			last := int64(-1)
			for {
				a, meant, ok := h.pop(now)
				if !ok {
					break
				}
				if a.due < last {
					t.Fatal("out of order")
				}
				last = a.due
				if meant {
					want[a]--
				}
			}
			for a, n := range want {
				if n != 0 {
					t.Fatalf("%v rang %d times too few", a, n)
				}
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	x := flow.Execution{Name: "n", Revision: "r", MachineARN: "m", AliasARN: "a", Seed: 1 << 63, Trace: "t", RedriveCount: 2, Redriven: time.UnixMilli(5).UTC(), Status: engine.Failed}
	f.Add(appendRecord(nil, &x))
	x.Express, x.Child = true, flow.Child{MapRun: "r", Parent: "p", State: "s", Label: "l", Items: 3, Of: 1 << 40, Run: 5, Index: 6}
	f.Add(appendRecord(nil, &x))
	f.Add([]byte{})
	f.Add([]byte{recordVersion, 0, 0, 0, 0, 0, 0, 0, 0, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(appendRecord(nil, &x))
		if err != nil || !reflect.DeepEqual(x, again) {
			t.Errorf("%+v became %+v, %v", x, again, err)
		}
	})
}

func BenchmarkTimers(b *testing.B) {
	var h timers
	for i := range 1_000_000 {
		h.add(alarm{int64(i*7919) % 1_000_003, uint64(i)})
	}
	b.ReportAllocs()
	for b.Loop() {
		a, _, _ := h.pop(1 << 62)
		a.due += 500_000
		h.add(a)
	}
}

func FuzzRunRecord(f *testing.F) {
	f.Add(appendRun(nil, 7, "x", "m"))
	f.Add([]byte{runVersion, 1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		run, x, m, err := decodeRun(b)
		if err != nil {
			return
		}
		if r2, x2, m2, err := decodeRun(appendRun(nil, run, x, m)); err != nil || r2 != run || x2 != x || m2 != m {
			t.Errorf("%d %q %q: %d %q %q, %v", run, x, m, r2, x2, m2, err)
		}
	})
}
