package journal_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/store/storetest"
	"tokaido/value"
)

var errDisk = errors.New("disk broke")

// spells is a log that now and then fails some times in a row, sometimes after
// it has happened; once kill is set, it always fails, and nothing happens any
// more: the process that writes to it is as good as dead.
type spells struct {
	storetest.Faulty
	kill atomic.Bool

	mu   sync.Mutex
	rnd  *rand.Rand // guarded by mu
	good int        // guarded by mu: how many appends succeed before the next spell
	bad  int        // guarded by mu: how many fail then
}

// withSpells is l with spells; from good to good appends apart on average.
func withSpells(l journal.Log, rnd *rand.Rand, apart int) *spells {
	s := &spells{rnd: rand.New(rand.NewPCG(rnd.Uint64(), 0))}
	s.Faulty = storetest.Faulty{Log: l, Fail: func() (error, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.kill.Load() {
			return errDisk, nil
		}
		if s.good == 0 && s.bad == 0 {
			s.good, s.bad = s.rnd.IntN(2*apart), 1+s.rnd.IntN(6)
		}
		if s.good > 0 {
			s.good--
			return nil, nil
		}
		if s.bad--; s.rnd.IntN(2) == 0 {
			return errDisk, nil
		}
		return nil, errDisk
	}}
	return s
}

// refusal reports whether err is one that a driver may answer while its log
// takes nothing, or while it ends: the caller was told that nothing is promised.
func refusal(err error) bool {
	return errors.Is(err, flow.ErrFull) || errors.Is(err, flow.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errDisk)
}

// leave ends a driver, whatever its log does.
func leave(t testing.TB, d *journal.Driver, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := d.Close(ctx); err != nil && !errors.Is(err, errDisk) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
}

// A disk is full for a while. What runs waits, what is to start is refused, and
// both go on when there is room, in the same process.
func TestLogRefusesForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		var performed atomic.Int64
		d := open(t, journal.Config{
			Log: &storetest.Faulty{Log: memory.New().Journal(), Fail: func() (error, error) {
				if broken.Load() {
					return errDisk, nil
				}
				return nil, nil
			}},
			Logger:  discard(),
			Invoker: counted(&performed),
		})
		x := start(t, d, "naps", "a")
		synctest.Wait()
		broken.Store(true)
		time.Sleep(10 * time.Minute) // its first Wait is over, and cannot be written
		if err := d.Err(); !errors.Is(err, errDisk) {
			t.Errorf("all is well: %v", err)
		}
		if _, _, err := d.Start(t.Context(), execution("pass", "b"), value.Object()); !errors.Is(err, flow.ErrFull) {
			t.Errorf("start: %v", err)
		}
		if _, err := d.Redrive(t.Context(), x.ARN, ""); !errors.Is(err, flow.ErrFull) {
			t.Errorf("redrive: %v", err)
		}
		if now, err := d.Describe(t.Context(), x.ARN); err != nil || now.Status != engine.Running || performed.Load() != 0 {
			t.Errorf("%v, %v; %d tasks", now.Status, err, performed.Load())
		}
		broken.Store(false)
		if o := whole(t, d, x.ARN); o.Status != engine.Succeeded || performed.Load() != 1 {
			t.Errorf("%v, %d tasks", o.Status, performed.Load())
		}
		if err := d.Err(); err != nil {
			t.Errorf("not well: %v", err)
		}
		start(t, d, "pass", "b")
		closed(t, d)
	})
}

// Every write fails, and has happened. That is found out, and nothing is written
// or done twice.
func TestLogFailsButTakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var performed atomic.Int64
		l := memory.New().Journal()
		d := open(t, journal.Config{
			Log:    &storetest.Faulty{Log: l, Fail: func() (error, error) { return nil, errDisk }},
			Logger: discard(), Invoker: counted(&performed),
		})
		x := start(t, d, "naps", "a")
		if o := whole(t, d, x.ARN); o.Status != engine.Succeeded || performed.Load() != 1 {
			t.Errorf("%v, %d tasks", o.Status, performed.Load())
		}
		if err := d.Err(); err != nil {
			t.Errorf("not well: %v", err)
		}
		closed(t, d)
	})
}

// counted performs tasks as echo does, and counts them.
func counted(n *atomic.Int64) flow.Invoker {
	return flow.InvokerFunc(func(ctx context.Context, task flow.Task) (value.Value, error) {
		n.Add(1)
		return echo(ctx, task)
	})
}

// blind is a log that cannot be read while that is said.
type blind struct {
	journal.Log
	now atomic.Bool
}

func (b *blind) Running(ctx context.Context, id uint64) (journal.Entry, error) {
	if b.now.Load() {
		return journal.Entry{}, errDisk
	}
	return b.Log.Running(ctx, id)
}

func (b *blind) Load(ctx context.Context, id uint64) iter.Seq2[journal.Events, error] {
	if b.now.Load() {
		return func(yield func(journal.Events, error) bool) { yield(journal.Events{}, errDisk) }
	}
	return b.Log.Load(ctx, id)
}

// The log cannot be read for a while, in which executions are to wake up. They
// do when it can.
func TestLogCannotBeReadForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &blind{Log: memory.New().Journal()}
		s := &starter{t: t}
		d := open(t, journal.Config{Log: l, Programs: withSync(t), Invoker: s, Logger: discard()})
		s.d = d
		slept, synced := start(t, d, "wait", "a"), start(t, d, "sync", "b")
		stopped := start(t, d, "wait", "c")
		synctest.Wait()
		l.now.Store(true)
		if _, _, err := d.Feed(t.Context(), stopped.ARN, engine.Stop{}); !errors.Is(err, errDisk) {
			t.Errorf("stop: %v", err)
		}
		time.Sleep(90 * time.Minute)
		for _, x := range []flow.Execution{slept, synced, stopped} {
			if got, err := d.Describe(t.Context(), x.ARN); err != nil || got.Status != engine.Running {
				t.Errorf("%s: %v, %v", x.Name, got.Status, err)
			}
		}
		l.now.Store(false)
		for _, x := range []flow.Execution{slept, synced, stopped} {
			if o := whole(t, d, x.ARN); o.Status != engine.Succeeded || o.Stopped.Sub(o.Started) < 90*time.Minute {
				t.Errorf("%s: %v after %v", x.Name, o.Status, o.Stopped.Sub(o.Started))
			}
		}
		closed(t, d)
	})
}

// A driver that is told to end while its log takes nothing leaves what is not
// written, in time; the next one goes on from what is.
func TestLeavesAStuckLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New().Journal()
		l := withSpells(store, rand.New(rand.NewPCG(1, 1)), 1000)
		d := open(t, journal.Config{Log: l, Logger: discard()})
		x := start(t, d, "wait", "a")
		synctest.Wait()
		l.kill.Store(true)
		time.Sleep(2 * time.Hour)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Close(ctx); err == nil {
			t.Error("said that all is kept")
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		d = open(t, journal.Config{Log: store})
		if o := whole(t, d, x.ARN); o.Status != engine.Succeeded {
			t.Errorf("%v", o.Status)
		}
		closed(t, d)
	})
}

// Rows that do not fit are a mistake of ours: trying again would not mend it, so
// the driver stops.
func TestUnfitRowsStopTheDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{Logger: discard(), Log: &storetest.Faulty{Log: memory.New().Journal(), Fail: func() (error, error) {
			return journal.ErrUnfit, nil
		}}})
		if _, _, err := d.Start(t.Context(), execution("pass", "a"), value.Object()); !errors.Is(err, flow.ErrClosed) {
			t.Errorf("start: %v", err)
		}
		<-d.Done()
		if err := d.Err(); !errors.Is(err, journal.ErrUnfit) {
			t.Errorf("%v", err)
		}
	})
}

// Thousands of executions come due at once: they are not all in memory at once.
func TestManyComeDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		d := open(t, journal.Config{Shards: 1})
		var wg sync.WaitGroup
		for w := range 10 {
			wg.Go(func() {
				for i := range n / 10 {
					start(t, d, "wait", string(rune('a'+w))+time.Duration(i).String())
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if s := d.Stats(); s.Ended != n || s.Live != 0 || s.Opened != 0 {
			t.Errorf("%+v", s)
		}
		closed(t, d)
	})
}
