package pebble

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/value"
)

type programs map[string]*asl.Program

func (p programs) Program(ctx context.Context, revision string) (flow.Revision, *asl.Program, error) {
	return flow.Revision{MachineName: revision, RoleARN: "arn:aws:iam::123456789012:role/r"}, p[revision], nil
}

var definitions = map[string]string{
	"pass": `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","End":true}}}`,
	"task": `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"m","Body":{}},"Next":"B"},
		"B":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"m","Body":{}},"End":true}}}`,
	"wait": `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"Next":"X"},"X":{"Type":"Wait","Seconds":1,"End":true}}}`,
	"both": `{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
		{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"End":true}}},
		{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"m","Body":{}},"End":true}}}]}}}`,
}

func library(t testing.TB) programs {
	p := programs{}
	for name, d := range definitions {
		prog, ds := asl.Parse([]byte(d))
		if prog == nil {
			t.Fatal(ds)
		}
		p[name] = prog
	}
	return p
}

// nap is a task that takes a moment.
func nap(ctx context.Context, t flow.Task) (value.Value, error) {
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(20 * time.Millisecond)))):
		return value.String(t.ID), nil
	case <-ctx.Done():
		return value.Value{}, ctx.Err()
	}
}

func drive(t testing.TB, s *Store) *journal.Driver { return driveWith(t, s, library(t), nap) }

func driveWith(t testing.TB, s *Store, p programs, perform flow.InvokerFunc) *journal.Driver {
	t.Helper()
	d, err := journal.Open(context.Background(), journal.Config{
		Log: s.Journal(), Programs: p, Invoker: perform, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func begin(ctx context.Context, d *journal.Driver, machine, name string) (string, error) {
	const at = "arn:aws:states:us-east-1:123456789012:"
	x := flow.Execution{
		ARN: at + "execution:" + machine + ":" + name, Name: name, Revision: machine, MachineARN: at + "stateMachine:" + machine,
		Region: "us-east-1", Account: "123456789012", Seed: rand.Uint64(),
	}
	_, exists, err := d.Start(ctx, x, value.MustParse(`{"n":1}`))
	if exists {
		err = fmt.Errorf("%s exists already", x.ARN)
	}
	return x.ARN, err
}

// tryBegin starts an execution, and reports whether that went well; that it does
// not is no mistake once ctx is done.
func tryBegin(ctx context.Context, t *testing.T, d *journal.Driver, machine, name string, acknowledged func(arn string)) bool {
	if ctx.Err() != nil {
		return false
	}
	arn, err := begin(ctx, d, machine, name)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return false
	}
	acknowledged(arn)
	return true
}

// finished waits until an execution has ended, and checks that it went well.
func finished(t *testing.T, d *journal.Driver, arn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	o, err := d.Await(ctx, arn)
	if err != nil {
		t.Errorf("%s: %v", arn, err)
		return
	}
	wellFormed(t, d, arn)
	if o.Status != engine.Succeeded {
		t.Errorf("%s: %v", arn, o.Status)
	}
}

// wellFormed checks an execution's history.
func wellFormed(t *testing.T, d *journal.Driver, arn string) {
	t.Helper()
	var events []engine.Event
	for e, err := range d.History(t.Context(), arn, 0, false) {
		if err != nil {
			t.Errorf("%s: %v", arn, err)
			return
		}
		events = append(events, e)
	}
	if err := engine.CheckHistory(events); err != nil {
		t.Errorf("%s: %v", arn, err)
	}
}

// outages is a database whose power goes again and again.
type outages struct {
	rounds int
	most   time.Duration // that a round lasts
	open   func(t testing.TB, s *Store) *journal.Driver
	// live is what happens until ctx is done; starts that are acknowledged it tells.
	live func(ctx context.Context, d *journal.Driver, round int, before []string, acknowledged func(arn string))
}

// run returns, when the power stays, what was acknowledged, and who drives it.
func (o outages) run(t *testing.T, rnd *rand.Rand) (all []string, s *Store, d *journal.Driver) {
	fs := vfs.NewCrashableMem()
	open := func() {
		var err error
		if s, err = Open("db", Options{FS: fs, Cache: 1 << 20, MemTable: 256 << 10}); err != nil {
			t.Fatal(err)
		}
		d = o.open(t, s)
	}
	for round := range o.rounds {
		open()
		var mu sync.Mutex
		var acknowledged []string
		ctx, stop := context.WithCancel(t.Context())
		lived, some := make(chan struct{}), make(chan struct{}, 1)
		before := slices.Clone(all)
		go func() {
			defer close(lived)
			o.live(ctx, d, round, before, func(arn string) {
				mu.Lock()
				defer mu.Unlock()
				acknowledged = append(acknowledged, arn)
				select {
				case some <- struct{}{}:
				default:
				}
			})
		}()
		if len(all) == 0 { // a slow machine needs longer to have something to lose
			select {
			case <-some:
			case <-lived:
			}
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(o.most))))
		mu.Lock()
		all = append(all, acknowledged...)
		mu.Unlock()
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: rnd})
		stop()
		<-lived
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		d.Close(gone) // of a world that is no more
		s.Close()
		fs = crashed
	}
	open()
	if len(all) == 0 {
		t.Error("nothing was acknowledged")
	}
	return all, s, d
}

// The power goes while executions start, run and wait: what was not synced is
// lost, or some of it is. Whatever was acknowledged is there and finishes.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			all, s, d := outages{rounds: 6, most: 300 * time.Millisecond, open: drive,
				live: func(ctx context.Context, d *journal.Driver, round int, _ []string, acknowledged func(string)) {
					var wg sync.WaitGroup
					for w := range 4 {
						wg.Go(func() {
							for i := range 100 {
								kind := []string{"pass", "task", "wait", "both"}[(w+i)%4]
								if !tryBegin(ctx, t, d, kind, fmt.Sprintf("%d-%d-%d", round, w, i), acknowledged) {
									return
								}
							}
						})
					}
					wg.Wait()
				},
			}.run(t, rand.New(rand.NewPCG(seed, 1)))
			defer s.Close()
			for _, arn := range all {
				finished(t, d, arn)
			}
			d.Close(t.Context())
		})
	}
}

const childEnv = "TOKAIDO_CRASH_DIR"

// TestCrashChild is what TestKill kills.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		t.Skip("only for TestKill")
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := drive(t, s)
	var mu sync.Mutex
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				arn, err := begin(context.Background(), d, []string{"pass", "task", "wait", "both"}[(w+i)%4], fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i))
				if err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Println("acknowledged", arn)
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		}()
	}
	select {}
}

// A process is killed while executions start, run and wait, again and again on
// the same directory. None that it acknowledged is lost.
func TestKill(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	var all []string
	for range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(150*time.Millisecond+time.Duration(rand.Int64N(int64(250*time.Millisecond))), func() { cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if arn, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok && strings.Count(arn, "-") >= 4 {
				all = append(all, arn)
			}
		}
		cmd.Wait()
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begun := time.Now()
	d := drive(t, s)
	t.Logf("%d acknowledged; opened in %v", len(all), time.Since(begun))
	if len(all) < rounds {
		t.Errorf("only %d acknowledged", len(all))
	}
	for _, arn := range all {
		finished(t, d, arn)
	}
	d.Close(t.Context())
}

func BenchmarkStandard(b *testing.B) {
	const states = 10
	var def strings.Builder
	def.WriteString(`{"StartAt":"S0","States":{`)
	for i := range states {
		next := fmt.Sprintf(`"Next":"S%d"},`, i+1)
		if i == states-1 {
			next = `"End":true}}}`
		}
		fmt.Fprintf(&def, `"S%d":{"Type":"Pass",%s`, i, next)
	}
	prog, ds := asl.Parse([]byte(def.String()))
	if prog == nil {
		b.Fatal(ds)
	}
	for _, clients := range []int{4, 64, 1024} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			d, err := journal.Open(context.Background(), journal.Config{Log: s.Journal(), Programs: programs{"m": prog}, Invoker: flow.InvokerFunc(nap)})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var mu sync.Mutex
			var starts []time.Duration // of one in eight
			var n atomic.Int64
			b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					t0 := time.Now()
					arn, err := begin(context.Background(), d, "m", fmt.Sprint(i))
					took := time.Since(t0)
					if err != nil {
						b.Error(err)
						return
					}
					if x, err := d.Describe(context.Background(), arn); err != nil || x.Status != engine.Succeeded {
						b.Error(x.Status, err)
						return
					}
					if i%8 == 0 {
						mu.Lock()
						starts = append(starts, took)
						mu.Unlock()
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N*states)/b.Elapsed().Seconds(), "transitions/s")
			if slices.Sort(starts); len(starts) > 0 {
				b.ReportMetric(float64(starts[len(starts)*99/100].Microseconds()), "µs-p99-start")
				b.ReportMetric(float64(starts[len(starts)/2].Microseconds()), "µs-p50-start")
			}
			st := d.Stats()
			b.ReportMetric(float64(st.Rows)/float64(max(1, st.Commits)), "rows/commit")
			d.Close(context.Background())
		})
	}
}

// inStore is how many executions wait in the store of BenchmarkRecovery.
var inStore = flag.Int("waiting", 10_000, "executions that wait in BenchmarkRecovery's store")

// BenchmarkRecovery opens a store in which executions wait, and reads pages of
// their list.
func BenchmarkRecovery(b *testing.B) {
	waiting := *inStore
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { s.Close() }()
	prog, _ := asl.Parse([]byte(`{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"End":true}}}`))
	open := func() *journal.Driver {
		d, err := journal.Open(context.Background(), journal.Config{Log: s.Journal(), Programs: programs{"m": prog}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	d := open()
	var wg sync.WaitGroup
	for w := range 100 {
		wg.Go(func() {
			for i := range waiting / 100 {
				if _, err := begin(context.Background(), d, "m", fmt.Sprint(w, "-", i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	d.Close(context.Background())
	s.Close()
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	b.ReportAllocs()
	var held, start, page time.Duration
	var each float64
	for b.Loop() {
		if s, err = Open(dir, Options{}); err != nil {
			b.Fatal(err)
		}
		t0 := time.Now()
		before := heap()
		d := open()
		held += time.Since(t0)
		if st := d.Stats(); st.Live > 1 {
			b.Errorf("%+v", st)
		}
		each += (heap() - before) / float64(waiting)
		for i := range 10 {
			t0 := time.Now()
			if _, err := begin(context.Background(), d, "m", fmt.Sprint("more-", b.N, "-", i, "-", rand.Uint64())); err != nil {
				b.Error(err)
			}
			start += time.Since(t0) / 10
			t0 = time.Now()
			n := 0
			for _, err := range d.List(b.Context(), flow.Query{Under: "arn:aws:states:us-east-1:123456789012:stateMachine:m", Status: new(engine.Running)}) {
				if n++; err != nil || n == 1000 {
					break
				}
			}
			page += time.Since(t0) / 10
		}
		d.Close(context.Background())
		s.Close()
	}
	b.ReportMetric(float64(held.Microseconds())/float64(b.N*waiting), "µs/recovered")
	b.ReportMetric(each/float64(b.N), "heap-B/execution")
	b.ReportMetric(float64(start.Microseconds())/float64(b.N), "µs/start")
	b.ReportMetric(float64(page.Microseconds())/float64(b.N), "µs/page-of-1000")
}
