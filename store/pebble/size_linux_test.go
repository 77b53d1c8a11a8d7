package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"tokaido/engine"
	"tokaido/flow"
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

// BenchmarkHistory reads pages of a long execution's history, as
// GetExecutionHistory does.
func BenchmarkHistory(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	library := flow.NewLibrary(s.Flow())
	d, err := journal.Open(b.Context(), journal.Config{Log: s.Journal(), Programs: library, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close(context.Background())
	f, err := flow.Open(b.Context(), flow.Config{Store: s.Flow(), Library: library, Driver: d})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	created, err := f.CreateStateMachine(b.Context(), flow.CreateStateMachine{
		Scope: flow.Scope{Region: "us-east-1", Account: "123456789012"}, Name: "m", RoleARN: "arn:aws:iam::123456789012:role/r",
		Definition: `{"QueryLanguage":"JSONata","StartAt":"C","States":{
			"C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.n < 6200 %}","Next":"P"}],"Default":"E"},
			"P":{"Type":"Pass","Output":{"n":"{% $states.input.n + 1 %}","order":"{% $states.input.order %}"},"Next":"C"},"E":{"Type":"Succeed"}}}`,
	})
	if err != nil {
		b.Fatal(err)
	}
	in := `{"n":0,"order":{"id":"0f9d","items":[{"sku":"A-1","qty":3},{"sku":"B-2","qty":1}],"total":450}}`
	x, err := f.StartExecution(b.Context(), flow.StartExecution{ARN: created.ARN, Input: &in})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.Await(b.Context(), x.ARN); err != nil {
		b.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		var pages []string // tokens
		for token := ""; ; {
			h, err := f.GetExecutionHistory(b.Context(), x.ARN, reverse, flow.Page{Max: 1000, Token: token})
			if err != nil {
				b.Fatal(err)
			}
			pages = append(pages, token)
			if token = h.Next; token == "" {
				break
			}
		}
		for name, token := range map[string]string{"first": pages[0], "middle": pages[len(pages)/2], "last": pages[len(pages)-2]} {
			b.Run(fmt.Sprintf("events=24806/reverse=%v/%s", reverse, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					h, err := f.GetExecutionHistory(b.Context(), x.ARN, reverse, flow.Page{Max: 1000, Token: token})
					if err != nil || len(h.Events) != 1000 {
						b.Fatal(len(h.Events), err)
					}
				}
			})
		}
	}
}
