package journal_test

import (
	"context"
	"fmt"
	"testing"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

// BenchmarkTurns measures one turn of a loop that waits for a token, in an
// execution that has few events and in one that has many: waking it must not
// cost more the longer it runs.
func BenchmarkTurns(b *testing.B) {
	tokens := make(chan string, 1)
	p := sealed{programs{"m": parse(b, `{"QueryLanguage":"JSONata","StartAt":"T","States":{
		"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Arguments":{"FunctionName":"f","Payload":{"t":"{% $states.context.Task.Token %}"}},
			"Output":{"n":"{% $states.input.n + 1 %}"},"Next":"C"},
		"C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.n < 0 %}","Next":"E"}],"Default":"T"},"E":{"Type":"Succeed"}}}`)}}
	for _, from := range []int{0, 100, 1000, 3000} {
		b.Run(fmt.Sprintf("events=%d", 7*from), func(b *testing.B) {
			limits := flow.AWSLimits()
			limits.Standard.Events = 0
			d := open(b, journal.Config{Log: memory.New().Journal(), Programs: p, Logger: discard(), Limits: &limits,
				Invoker: flow.InvokerFunc(func(_ context.Context, task flow.Task) (value.Value, error) {
					tokens <- task.Token
					return value.Null(), nil
				})})
			x := execution("m", "x")
			if _, _, err := d.Start(b.Context(), x, value.MustParse(`{"n":0}`)); err != nil {
				b.Fatal(err)
			}
			turn := func() {
				err := d.Answer(b.Context(), <-tokens, func(task int64) engine.Input {
					return engine.TaskDone{Task: task, Output: value.Null()}
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			for range from {
				turn()
			}
			b.ReportAllocs()
			for b.Loop() {
				turn()
			}
			b.StopTimer()
			<-tokens
			d.Close(b.Context())
		})
	}
}

// BenchmarkLong measures whole durable executions, short and long: an event must
// cost the same in both.
func BenchmarkLong(b *testing.B) {
	const items = 8 // events of an iteration
	for _, m := range []struct {
		name, def string
		per       int // events of a turn
	}{
		{"choice", `{"QueryLanguage":"JSONata","StartAt":"C","States":{
			"C":{"Type":"Choice","Choices":[{"Condition":"{%% $states.input.n < %d %%}","Next":"P"}],"Default":"E"},
			"P":{"Type":"Pass","Output":{"n":"{%% $states.input.n + 1 %%}"},"Next":"C"},"E":{"Type":"Succeed"}}}`, 4},
		{"wait0", `{"QueryLanguage":"JSONata","StartAt":"W","States":{
			"W":{"Type":"Wait","Seconds":0,"Output":{"n":"{%% $states.input.n + 1 %%}"},"Next":"C"},
			"C":{"Type":"Choice","Choices":[{"Condition":"{%% $states.input.n < %d %%}","Next":"W"}],"Default":"E"},"E":{"Type":"Succeed"}}}`, 4},
		{"map", `{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Items":"{%% [1..%d] %%}","ItemProcessor":{
			"StartAt":"P","States":{"P":{"Type":"Pass","Next":"Q"},"Q":{"Type":"Pass","Next":"R"},"R":{"Type":"Pass","End":true}}},"End":true}}}`, items},
	} {
		for _, events := range []int{20, 200, 2000, 20_000} {
			b.Run(fmt.Sprintf("%s/events=%d", m.name, events), func(b *testing.B) {
				p := programs{"m": parse(b, fmt.Sprintf(m.def, events/m.per))}
				n, total := 0, int64(0)
				var d *journal.Driver
				b.ReportAllocs()
				for b.Loop() {
					if n%100 == 0 { // a log in memory keeps all
						if d != nil {
							d.Close(b.Context())
						}
						d = open(b, journal.Config{Log: memory.New().Journal(), Programs: p, Logger: discard()})
					}
					n++
					x := execution("m", fmt.Sprint(n))
					if _, _, err := d.Start(b.Context(), x, value.MustParse(`{"n":0}`)); err != nil {
						b.Fatal(err)
					}
					if o, err := d.Await(b.Context(), x.ARN); err != nil || o.Status != engine.Succeeded {
						b.Fatal(o.Status, err)
					}
				}
				b.StopTimer()
				for e := range d.History(b.Context(), execution("m", fmt.Sprint(n)).ARN, 0, true) {
					total = e.ID
					break
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(int64(n)*total), "ns/event")
				d.Close(b.Context())
			})
		}
	}
}
