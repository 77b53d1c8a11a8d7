package pebble

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"tokaido/engine"
	"tokaido/flow/journal"
)

// cpu is what the process has used of the processors: on a machine that is busy
// with other things, it says more than the time that has passed.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u) // does not fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStored measures what is asked of a store that holds many executions.
func BenchmarkStored(b *testing.B) {
	const under = "arn:aws:states:us-east-1:123456789012:stateMachine:m"
	for _, stored := range []int{1, 1000, 100_000, *inStore} {
		b.Run(fmt.Sprint("stored=", stored), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			l := s.Journal()
			data := make([]byte, 200)
			var id uint64
			arn := func(id uint64) string {
				// As names are: scattered.
				return fmt.Sprintf("arn:aws:states:us-east-1:123456789012:execution:m:%016x-%d", id*0x9e3779b97f4a7c15, id)
			}
			row := func() journal.Row {
				id++
				return journal.Row{ID: id, New: true, Events: journal.Events{From: 1, To: 22, Data: data},
					Entry: &journal.Entry{ARN: arn(id), Under: []string{under}, Status: engine.Succeeded, Started: int64(id), Stopped: int64(id), Data: data[:100]}}
			}
			for int(id) < stored {
				rows := make([]journal.Row, 0, 1000)
				for int(id) < stored && len(rows) < cap(rows) {
					rows = append(rows, row())
				}
				if err := l.Append(b.Context(), rows...); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.db.Flush(); err != nil {
				b.Fatal(err)
			}
			for s.db.Metrics().Compact.NumInProgress > 0 {
				time.Sleep(10 * time.Millisecond)
			}
			b.Run("append", func(b *testing.B) {
				b.ReportAllocs()
				begun := cpu()
				defer func() { b.ReportMetric(float64((cpu()-begun).Microseconds())/float64(64*b.N), "cpu-µs/row") }()
				for b.Loop() {
					rows := make([]journal.Row, 64)
					for i := range rows {
						rows[i] = row()
					}
					if err := l.Append(b.Context(), rows...); err != nil {
						b.Fatal(err)
					}
				}
			})
			n := uint64(0)
			b.Run("absent", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					n++
					l.Find(b.Context(), arn(1<<40+n))
				}
			})
			b.Run("find", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					n++
					if _, err := l.Find(b.Context(), arn(1+n*7919%uint64(stored))); err != nil {
						b.Fatal(err)
					}
				}
			})
			for name, at := range map[string]int64{"first": int64(id + 1), "middle": int64(id / 2), "last": 1001} {
				b.Run("page-"+name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						n := 0
						for _, err := range l.List(b.Context(), under, nil, &journal.Place{Started: at, ID: uint64(at)}) {
							if n++; err != nil || n == 1000 {
								break
							}
						}
					}
				})
			}
		})
	}
}
