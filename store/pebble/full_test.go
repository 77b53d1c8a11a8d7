package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tokaido/flow"
)

// TestDiskFull: with too little room no execution starts, and that is said.
func TestDiskFull(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Reserve: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := drive(t, s)
	defer d.Close(t.Context())
	if _, err := begin(t.Context(), d, "pass", "a"); !errors.Is(err, flow.ErrFull) {
		t.Error(err)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// crowded is a file system that may be told to be full. What is written may
// have room for a part.
type crowded struct {
	full atomic.Bool
	mu   sync.Mutex
	rnd  *rand.Rand // guarded by mu
}

func (c *crowded) String() string { return "crowded" }

func (c *crowded) MaybeError(op errorfs.Op) error {
	if !c.full.Load() {
		return nil
	}
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpLink, errorfs.OpRename, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.rnd.IntN(8) > 0 { // somebody else may have made room for a moment
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
	}
	return nil
}

// fill makes a disk full and empty again while executions start, run and wait.
// None that was acknowledged is lost, and nothing has to be opened again.
func fill(t *testing.T, s *Store, machines []string, full, empty func()) {
	d := drive(t, s)
	var mu sync.Mutex
	var all, gone []string // guarded by mu; gone: whose caller did not wait for the start
	var refused atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				// One that waits for room need not wait for ever.
				short, cancel := context.WithTimeout(ctx, time.Second)
				arn, err := begin(short, d, machines[(w+i)%len(machines)], fmt.Sprintf("%d-%d", w, i))
				cancel()
				switch {
				case err == nil:
					mu.Lock()
					all = append(all, arn)
					mu.Unlock()
				case errors.Is(err, flow.ErrFull):
					refused.Add(1)
					time.Sleep(10 * time.Millisecond)
				case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
					mu.Lock()
					gone = append(gone, arn)
					mu.Unlock()
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(all) }
	for range 3 {
		from := count()
		until(t, "executions start", func() bool { return count() > from+50 })
		was := refused.Load()
		full()
		// Where starts are refused by what the disk says is left, nothing may be left
		// to write that could wait.
		until(t, "a write waits, or a start is refused", func() bool { return s.fs.waiting.Load() > 0 || refused.Load() > was })
		until(t, "a start is refused", func() bool { return refused.Load() > was })
		empty()
	}
	from := count()
	until(t, "executions start", func() bool { return count() > from+50 })
	stop()
	wg.Wait()
	for _, arn := range all {
		finished(t, d, arn)
	}
	for _, arn := range gone {
		if _, err := d.Describe(t.Context(), arn); !errors.Is(err, flow.ErrNotFound) {
			finished(t, d, arn) // it started all the same
		}
	}
	if err := errors.Join(d.Err(), d.Close(t.Context()), s.Close()); err != nil {
		t.Error(err)
	}
}

// The disk is full for a while, again and again.
func TestDiskFullForAWhile(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := &crowded{rnd: rand.New(rand.NewPCG(seed, 5))}
			mem := vfs.NewMem()
			o := Options{FS: errorfs.Wrap(mem, c), Cache: 1 << 20, MemTable: 128 << 10, Logger: slog.New(slog.DiscardHandler)}
			s, err := Open("db", o)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, s, []string{"pass", "task", "wait", "both"}, func() { c.full.Store(true) }, func() { c.full.Store(false) })
			reopened(t, o)
		})
	}
}

// reopened checks that nothing is open in a database, and that all of it can be read.
func reopened(t *testing.T, o Options) {
	t.Helper()
	dir := "db"
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for e, err := range s.Journal().Open(t.Context()) {
		t.Errorf("still open: %s, %v", e.ARN, err)
	}
	n := 0
	for _, err := range s.scan(t.Context(), nil, false) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if err := s.db.CheckLevels(nil); err != nil || n == 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A process that ends while its disk is full leaves what it cannot write, and
// does not hang.
func TestEndsWhileTheDiskIsFull(t *testing.T) {
	c := &crowded{rnd: rand.New(rand.NewPCG(1, 5))}
	mem := vfs.NewCrashableMem()
	s, err := Open("db", Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && c.full.Load() {
			return syscall.ENOSPC
		}
		return nil
	})), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d := drive(t, s)
	arn, err := begin(t.Context(), d, "wait", "a")
	if err != nil {
		t.Fatal(err)
	}
	c.full.Store(true)
	until(t, "a write waits", func() bool { return s.fs.waiting.Load() > 0 })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Close(gone); err == nil {
		t.Error("the driver said that all is kept")
	}
	if err := s.Close(); err == nil {
		t.Error("the store said that all is kept")
	}
	later, err := Open("db", Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	d2 := drive(t, later)
	finished(t, d2, arn)
	d2.Close(t.Context())
	c.full.Store(false) // what waits may go
}
