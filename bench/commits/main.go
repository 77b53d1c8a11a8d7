// Command commits measures the journal's durable writes against what they are
// made of, in one run on one disk: the store alone with the same rows, and
// fdatasync alone with as many bytes.
//
//	go run ./commits -clients 64 -for 10s
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tokaido/asl"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/pebble"
	"tokaido/value"
)

const (
	passes  = 10
	account = "123456789012"
)

func main() {
	log.SetFlags(0)
	clients := flag.Int("clients", 64, "how many start executions at once, each waiting until its start is durable")
	length := flag.Duration("for", 10*time.Second, "how long for each part")
	dir := flag.String("dir", os.TempDir(), "folder on the disk to measure")
	flag.Parse()
	if err := run(*clients, *length, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(clients int, length time.Duration, dir string) error {
	dir, err := os.MkdirTemp(dir, "tokaido-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rec, started, err := drive(filepath.Join(dir, "journal"), clients, length)
	if err != nil {
		return err
	}
	if len(rec.took) == 0 {
		return fmt.Errorf("nothing was committed in %v", length)
	}
	alone, err := replay(filepath.Join(dir, "store"), rec.batches, length)
	if err != nil {
		return err
	}
	size := rec.bytes / len(rec.took)
	growing, err := disk(filepath.Join(dir, "file"), size, length/2, 0)
	if err != nil {
		return err
	}
	there, err := disk(filepath.Join(dir, "file"), size, length/2, 64<<20)
	if err != nil {
		return err
	}
	fmt.Printf("%d clients, %d executions of %d Pass states in %v: %d commits of %.1f rows and %d bytes\n",
		clients, started, passes, length, len(rec.took), float64(rec.rows)/float64(len(rec.took)), size)
	base := middle(alone)
	for _, p := range []struct {
		name string
		took []time.Duration
	}{
		{"journal", rec.took}, {"store alone", alone}, {"fdatasync, growing file", growing}, {"fdatasync, blocks there already", there},
	} {
		fmt.Printf("  %-32s p50 %8v  p99 %8v  %7.0f/s  %.2f × the store alone\n", p.name, middle(p.took).Round(time.Microsecond),
			p.took[len(p.took)*99/100].Round(time.Microsecond), float64(len(p.took))/sum(p.took).Seconds(), float64(middle(p.took))/float64(base))
	}
	return nil
}

func middle(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func sum(d []time.Duration) (s time.Duration) {
	for _, d := range d {
		s += d
	}
	return s
}

// recorder is a log that is watched.
type recorder struct {
	journal.Log
	took    []time.Duration // owned by the journal's committer
	rows    int
	bytes   int
	batches [][]journal.Row
}

// kept is how many batches are written again to the store alone.
const kept = 20000

func (r *recorder) Append(ctx context.Context, rows ...journal.Row) error {
	began := time.Now()
	err := r.Log.Append(ctx, rows...)
	r.took = append(r.took, time.Since(began))
	r.rows += len(rows)
	for i := range rows {
		r.bytes += len(rows[i].Events.Data)
		if e := rows[i].Entry; e != nil {
			r.bytes += len(e.ARN) + len(e.Data)
		}
	}
	if len(r.batches) < kept {
		r.batches = append(r.batches, slices.Clone(rows))
	}
	return err
}

// program is what all executions run.
type program struct{ p *asl.Program }

func (p program) Program(context.Context, string) (flow.Revision, *asl.Program, error) {
	return flow.Revision{MachineName: "m", MachineARN: machine, RoleARN: "arn:aws:iam::" + account + ":role/m"}, p.p, nil
}

const machine = "arn:aws:states:us-east-1:" + account + ":stateMachine:m"

func drive(dir string, clients int, length time.Duration) (*recorder, int64, error) {
	var def strings.Builder
	def.WriteString(`{"StartAt":"P0","States":{`)
	for i := range passes - 1 {
		fmt.Fprintf(&def, `"P%d":{"Type":"Pass","Next":"P%d"},`, i, i+1)
	}
	fmt.Fprintf(&def, `"P%d":{"Type":"Pass","End":true}}}`, passes-1)
	prog, problems := asl.Parse([]byte(def.String()))
	if prog == nil {
		return nil, 0, fmt.Errorf("%v", problems)
	}
	s, err := pebble.Open(dir, pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, 0, err
	}
	defer s.Close()
	rec := &recorder{Log: s.Journal()}
	d, err := journal.Open(context.Background(), journal.Config{Log: rec, Programs: program{prog}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, 0, err
	}
	var (
		wg     sync.WaitGroup
		n      atomic.Int64
		failed atomic.Pointer[error]
		began  = time.Now()
	)
	input := value.MustParse(`{"order":{"id":"0f9d","items":[{"sku":"A-1","qty":3},{"sku":"B-2","qty":1}]},"total":450}`)
	for range clients {
		wg.Go(func() {
			for time.Since(began) < length && failed.Load() == nil {
				i := n.Add(1)
				name := fmt.Sprint("x", i)
				_, _, err := d.Start(context.Background(), flow.Execution{
					ARN: strings.Replace(machine, "stateMachine", "execution", 1) + ":" + name, Name: name, Revision: "1", MachineARN: machine,
					Region: "us-east-1", Account: account, Seed: uint64(i),
				}, input)
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	err = d.Close(context.Background())
	if f := failed.Load(); f != nil {
		err = *f
	}
	return rec, n.Load(), err
}

// replay writes the same batches to a store of their own, one after the other.
func replay(dir string, batches [][]journal.Row, length time.Duration) (took []time.Duration, err error) {
	s, err := pebble.Open(dir, pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	l := s.Journal()
	end := time.Now().Add(length)
	for _, rows := range batches {
		began := time.Now()
		if err := l.Append(context.Background(), rows...); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		if time.Now().After(end) {
			break
		}
	}
	return took, nil
}

// disk writes size bytes and makes them durable, again and again; written is how
// much of the file is there already.
func disk(name string, size int, length time.Duration, written int) (took []time.Duration, err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, written)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	b, at := make([]byte, size), int64(0)
	for end := time.Now().Add(length); time.Now().Before(end); {
		began := time.Now()
		if _, err := f.WriteAt(b, at); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		if at += int64(size); written > 0 && at+int64(size) > int64(written) {
			at = 0
		}
	}
	return took, nil
}
