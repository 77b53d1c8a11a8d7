// Command waiting says what executions that wait cost: it makes them, opens
// their store in a process of its own, as a restart does, and measures that
// process.
//
//	go run ./waiting                     # none, 200,000 and 1,000,000 of them
//	go run ./waiting -counts 0,100000
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokaido/asl"
	"tokaido/bench/host"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/pebble"
	"tokaido/value"
)

const (
	at      = "arn:aws:states:us-east-1:123456789012:"
	machine = at + "stateMachine:nightly-report"
	input   = `{"order":{"id":"0f9d","items":[{"sku":"A-1","qty":3},{"sku":"B-2","qty":1}]},"total":450}`
	day     = `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"Next":"P"},"P":{"Type":"Pass","End":true}}}`

	clients = 128  // that make executions
	starts  = 8192 // that are measured, with as many clients
	page    = 1000
)

func main() {
	log.SetFlags(0)
	counts := flag.String("counts", "0,200000,1000000", "how many wait")
	open := flag.String("open", "", "a store to open and measure; for the process that this one starts")
	profile := flag.String("cpu-profile", "", "file for a CPU profile of the last opening")
	flag.Parse()
	var err error
	if *open != "" {
		err = measure(*open, *profile)
	} else {
		err = run(*counts, *profile)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// measured is what the process that opened a store says of itself.
type measured struct {
	Open                time.Duration // until the driver takes work
	Heap, RSS           int64         // after a collection
	Timers, Live        int64
	StartP50, StartP99  time.Duration
	StartCPU            time.Duration // of all processors, each
	First, Middle, Last time.Duration // pages of the list, read again
	FirstTouch          time.Duration // the slowest page, read for the first time
}

func run(counts, profile string) error {
	fmt.Printf("%s, %d cores, GOGC=%s\n", runtime.Version(), runtime.NumCPU(), os.Getenv("GOGC"))
	fmt.Printf("load before: %s\n", host.Load())
	var last *measured
	before := 0
	for c := range strings.SplitSeq(counts, ",") {
		n, err := strconv.Atoi(c)
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "tokaido-waiting-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		took, err := fill(dir, n)
		if err != nil {
			return err
		}
		size, err := sizeOf(dir)
		if err != nil {
			return err
		}
		cmd := exec.Command(os.Args[0], "-open", dir, "-cpu-profile", profile)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return err
		}
		var m measured
		if err := json.Unmarshal(out, &m); err != nil {
			return fmt.Errorf("%q: %w", out, err)
		}
		r := func(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
		fmt.Printf("\n%d wait for a day; made in %v, %d MiB on the disk\n", n, took.Round(time.Millisecond), size>>20)
		fmt.Printf("  opened in %v; %d in memory, %d timers\n", m.Open.Round(time.Millisecond), m.Live, m.Timers)
		fmt.Printf("  heap %.1f MiB, RSS %.1f MiB", mib(m.Heap), mib(m.RSS))
		if last != nil && n > before {
			// Caches and write buffers are the same however many wait, once they are full.
			more := float64(n - before)
			fmt.Printf("; for each more than %d: heap %.1f bytes, RSS %.1f bytes", before, float64(m.Heap-last.Heap)/more, float64(m.RSS-last.RSS)/more)
		}
		last, before = &m, n
		fmt.Printf("\n  one more start, %d clients: p50 %v, p99 %v, %v of CPU\n", clients, r(m.StartP50), r(m.StartP99), r(m.StartCPU))
		if n >= page {
			fmt.Printf("  a page of %d: first %v, middle %v, last %v; the slowest at first touch %v\n", page, r(m.First), r(m.Middle), r(m.Last), r(m.FirstTouch))
		}
	}
	fmt.Printf("\nload after: %s\n", host.Load())
	return nil
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func sizeOf(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		if err == nil {
			n += i.Size()
		}
		return err
	})
	return n, err
}

// programs has one machine.
type programs struct{ p *asl.Program }

func (p programs) Program(context.Context, string) (flow.Revision, *asl.Program, error) {
	return flow.Revision{MachineARN: machine, MachineName: "nightly-report", RoleARN: "arn:aws:iam::123456789012:role/r"}, p.p, nil
}

func drive(dir string) (*pebble.Store, *journal.Driver, error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := pebble.Open(dir, pebble.Options{Logger: logger})
	if err != nil {
		return nil, nil, err
	}
	p, ds := asl.Parse([]byte(day))
	if p == nil {
		return nil, nil, fmt.Errorf("%v", ds)
	}
	d, err := journal.Open(context.Background(), journal.Config{Log: s.Journal(), Programs: programs{p}, Logger: logger})
	return s, d, err
}

// begin starts executions with many clients, and calls told with what each took.
func begin(d *journal.Driver, n int, told func(time.Duration)) error {
	var wg sync.WaitGroup
	var count atomic.Int64
	var failed atomic.Pointer[error]
	for range clients {
		wg.Go(func() {
			for count.Add(1) <= int64(n) && failed.Load() == nil {
				name := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
				x := flow.Execution{ARN: at + "execution:nightly-report:" + name, Name: name, Revision: "r", MachineARN: machine,
					Region: "us-east-1", Account: "123456789012", Seed: rand.Uint64()}
				began := time.Now()
				if _, exists, err := d.Start(context.Background(), x, value.MustParse(input)); err != nil || exists {
					failed.Store(new(fmt.Errorf("start %s: exists %v, %w", name, exists, err)))
					return
				}
				told(time.Since(began))
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func fill(dir string, n int) (time.Duration, error) {
	began := time.Now()
	s, d, err := drive(dir)
	if err != nil {
		return 0, err
	}
	err = begin(d, n, func(time.Duration) {})
	return time.Since(began), errors.Join(err, d.Close(context.Background()), s.Close())
}

func measure(dir, profile string) error {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	var m measured
	began := time.Now()
	s, d, err := drive(dir)
	if err != nil {
		return err
	}
	m.Open = time.Since(began)
	if profile != "" {
		pprof.StopCPUProfile()
	}
	for range 2 { // what pools keep goes the second time
		debug.FreeOSMemory() // collects, and gives back what is free
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.Heap = int64(mem.HeapAlloc)
	if m.RSS, err = host.Resident(os.Getpid()); err != nil {
		return err
	}
	st := d.Stats()
	m.Timers, m.Live = st.Timers, st.Live

	if n := int(st.Opened); n >= page {
		for i, to := range []*time.Duration{&m.First, &m.Middle, &m.Last} {
			after, err := place(d, (n-page)*i/2)
			if err != nil {
				return err
			}
			for range 10 { // the first of which touches what nobody has looked at
				began := time.Now()
				got, err := pageAfter(d, after)
				if err != nil || got != page {
					return fmt.Errorf("a page of %d: %w", got, err)
				}
				*to = time.Since(began)
				m.FirstTouch = max(m.FirstTouch, *to)
			}
		}
	}

	var mu sync.Mutex
	var all []time.Duration
	cpu := host.Used()
	err = begin(d, starts, func(took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, took)
	})
	m.StartCPU = (host.Used() - cpu) / starts
	slices.Sort(all)
	m.StartP50, m.StartP99 = host.At(all, .5), host.At(all, .99)
	err = errors.Join(err, d.Close(context.Background()), s.Close())
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(m))
}

func list(d *journal.Driver, after *flow.Mark) iter.Seq2[flow.Listed, error] {
	return d.List(context.Background(), flow.Query{Under: machine, Status: new(engine.Running), After: after})
}

// place is where a page begins that has skip executions before it.
func place(d *journal.Driver, skip int) (*flow.Mark, error) {
	if skip == 0 {
		return nil, nil
	}
	for x, err := range list(d, nil) {
		if err != nil {
			return nil, err
		}
		if skip--; skip == 0 {
			return &x.Mark, nil
		}
	}
	return nil, errors.New("the list is too short")
}

func pageAfter(d *journal.Driver, after *flow.Mark) (n int, err error) {
	for _, err := range list(d, after) {
		if err != nil {
			return n, err
		}
		if n++; n == page {
			break
		}
	}
	return n, nil
}
