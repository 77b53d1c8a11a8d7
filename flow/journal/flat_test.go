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
