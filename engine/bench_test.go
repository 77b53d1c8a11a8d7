package engine

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tokaido/value"
)

// passes is a machine of n Pass states.
func passes(n int) string {
	var b strings.Builder
	b.WriteString(`{"StartAt":"S0","States":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		next := fmt.Sprintf(`"Next":"S%d"`, i+1)
		if i == n-1 {
			next = `"End":true`
		}
		fmt.Fprintf(&b, `"S%d":{"Type":"Pass",%s}`, i, next)
	}
	return b.String() + `}}`
}

// document is an input of about 700 bytes.
func document() value.Value {
	return value.MustParse(`{"order":{"id":"0123456789","items":[` +
		strings.TrimSuffix(strings.Repeat(`{"sku":"AB-1234","quantity":2,"price":12.50,"tags":["a","b"]},`, 10), ",") + `]},"n":0}`)
}

// drain runs x to its end as the driver of Express executions does.
func drain(b testing.TB, x *Execution, batch *Batch, in value.Value) Status {
	at := t0
	if err := x.StepInto(batch, at, Start{in}); err != nil {
		b.Fatal(err)
	}
	for x.Status() == Running {
		again := false
		for _, e := range batch.Effects {
			_, ok := e.(Again)
			again = again || ok
		}
		if !again {
			b.Fatal("waits for something")
		}
		if err := x.StepInto(batch, at, Continue{}); err != nil {
			b.Fatal(err)
		}
	}
	return x.Status()
}

// whole measures whole executions of def, each with transitions of them, on
// every processor.
func whole(b *testing.B, def string, in value.Value, transitions int) {
	cfg := testConfig(mustParse(b, def))
	cfg.Express, cfg.Limits = true, ExpressLimits()
	b.ReportAllocs()
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		var batch Batch
		done := int64(0)
		for pb.Next() {
			if drain(b, New(cfg), &batch, in) != Succeeded {
				b.Error("failed")
			}
			done++
		}
		n.Add(done)
	})
	b.ReportMetric(float64(n.Load()*int64(transitions))/b.Elapsed().Seconds(), "transitions/s")
}

func BenchmarkPass10(b *testing.B) { whole(b, passes(10), document(), 10) }

func BenchmarkMap1000(b *testing.B) {
	items := value.MustParse("[" + strings.TrimSuffix(strings.Repeat(`{"a":1},`, 1000), ",") + "]")
	whole(b, `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}}`, items, 1000)
}

// loop is a machine that counts to n in JSONata: a Choice and a Pass each time.
const loop = `{"QueryLanguage":"JSONata","StartAt":"C","States":{
"C":{"Type":"Choice","Choices":[{"Condition":"{%% $states.input.n < %d %%}","Next":"P"}],"Default":"E"},
"P":{"Type":"Pass","Output":{"n":"{%% $states.input.n + 1 %%}"},"Next":"C"},"E":{"Type":"Succeed"}}}`

// BenchmarkChoiceLoop shows that a transition costs the same in short and in
// long executions.
func BenchmarkChoiceLoop(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 5000} {
		b.Run(fmt.Sprintf("turns=%d", n), func(b *testing.B) { whole(b, fmt.Sprintf(loop, n), value.MustParse(`{"n":0}`), 2*n+2) })
	}
}

// BenchmarkPassLoop is the same with next to no work in the states.
func BenchmarkPassLoop(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("states=%d", n), func(b *testing.B) { whole(b, passes(n), document(), n) })
	}
}

// BenchmarkTask is a Lambda task with its answer: two Steps.
func BenchmarkTask(b *testing.B) {
	cfg := testConfig(mustParse(b, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}}`))
	in := document()
	var batch Batch
	b.ReportAllocs()
	for b.Loop() {
		x := New(cfg)
		if err := x.StepInto(&batch, t0, Start{in}); err != nil {
			b.Fatal(err)
		}
		if err := x.StepInto(&batch, t0.Add(time.Second), TaskDone{3, in}); err != nil || x.Status() != Succeeded {
			b.Fatal(x.Status(), err)
		}
	}
}

// BenchmarkReplay is a recovery from the durable form: events per second.
func BenchmarkReplay(b *testing.B) {
	cfg := testConfig(mustParse(b, passes(1000)))
	cfg.Limits = Limits{}
	var events []Event
	var stream []byte
	x := New(cfg)
	in := Input(Start{document()})
	for x.Status() == Running {
		batch, err := x.Step(t0, in)
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, batch.Events...)
		in = Continue{}
	}
	for i := range events {
		stream = AppendEvent(stream, &events[i])
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := Replay(cfg, func(yield func(Event, error) bool) {
			for rest := stream; len(rest) > 0; {
				var e Event
				var err error
				e, rest, err = DecodeEvent(rest)
				if !yield(e, err) {
					return
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(len(stream))/float64(len(events)), "bytes/event")
}

// BenchmarkSnapshot takes and restores a snapshot of an execution that waits
// after 20,000 events; replaying them is what it spares.
func BenchmarkSnapshot(b *testing.B) {
	def := strings.TrimSuffix(passes(10_000), `"End":true}}}`) + `"Next":"W"},"W":{"Type":"Wait","Seconds":60,"End":true}}}`
	cfg := testConfig(mustParse(b, def))
	x := New(cfg)
	var batch Batch
	in := Input(Start{document()})
	for x.Events() < 20_002 {
		if err := x.StepInto(&batch, t0, in); err != nil {
			b.Fatal(err)
		}
		in = Continue{}
	}
	buf := x.AppendSnapshot(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = x.AppendSnapshot(buf[:0])
		if _, err := Restore(cfg, buf, stored(nil)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}
