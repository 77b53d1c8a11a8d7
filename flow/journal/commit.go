package journal

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"tokaido/engine"
)

// flight is one Step on its way to the log, or (row.ID 0) nothing but a place in
// the queue.
type flight struct {
	run     *run // nil: a barrier
	row     Row
	more    []Row // of Map Runs, in the same write
	effects []engine.Effect
	events  []engine.Event // for Observe
	acks    []chan<- error // told when it is durable, or that it is not
	settled func()         // called then
}

func (f *flight) finish(err error) {
	for _, a := range f.acks {
		a <- err
	}
	if f.settled != nil {
		f.settled()
	}
}

// committer writes what all shards have to write, one durable write at a time.
// While one is under way the next one gathers: that is the group commit.
type committer struct {
	d    *Driver
	wake chan struct{}

	mu    sync.Mutex
	queue []*flight // guarded by mu; in order, per shard
}

func newCommitter(d *Driver) *committer {
	return &committer{d: d, wake: make(chan struct{}, 1)}
}

// submit queues flights. Those of one shard become durable in the order of its
// calls.
func (c *committer) submit(fs []*flight) {
	c.mu.Lock()
	c.queue = append(c.queue, fs...)
	c.mu.Unlock()
	nudge(c.wake)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *committer) loop() {
	var batch []*flight
	var rows []Row
	for {
		c.mu.Lock()
		batch, c.queue = c.queue, batch[:0]
		c.mu.Unlock()
		if len(batch) == 0 {
			select {
			case <-c.wake:
				continue
			case <-c.d.quit:
				c.drop()
				return
			}
		}
		for rest := batch; len(rest) > 0; {
			n, size := 0, 0
			rows = rows[:0]
			for n < len(rest) && len(rows) < maxCommitRows && size < maxCommitBytes {
				if f := rest[n]; f.row.ID != 0 {
					rows = append(append(rows, f.row), f.more...)
					size += len(f.row.Events.Data)
				}
				n++
			}
			var err error
			if c.d.failure.Load() != nil {
				err = c.d.down()
			} else if len(rows) > 0 {
				err = c.write(rows)
				c.d.counters.commits.Add(1)
				c.d.counters.rows.Add(int64(len(rows)))
			}
			// Durable from here on, or the driver has failed.
			c.deliver(rest[:n], err)
			rest = rest[n:]
		}
		clear(batch)
		clear(rows)
	}
}

// The first and the longest wait before a write that failed is tried again.
const (
	againFirst = 50 * time.Millisecond
	againMost  = 5 * time.Second
)

// write makes rows durable, however long that takes: while it does not succeed,
// nothing follows them, no execution may start, and those that run wait. After
// an error the driver has failed.
func (c *committer) write(rows []Row) error {
	d := c.d
	for wait := againFirst; ; wait = min(2*wait, againMost) {
		err := d.cfg.Log.Append(d.writing, rows...)
		again := wait > againFirst
		if again && errors.Is(err, ErrUnfit) && c.written(rows) {
			err = nil // the one that failed has happened
		}
		switch {
		case err == nil:
			d.recovered()
			return nil
		case errors.Is(err, ErrUnfit) || d.writing.Err() != nil:
			d.fail(err)
			return d.down()
		}
		d.stuck(err)
		select {
		case <-time.After(wait):
		case <-d.writing.Done():
		}
	}
}

// written reports whether the log has rows, all of which were written at once
// if any was.
func (c *committer) written(rows []Row) bool {
	for i := range rows {
		want := &rows[i].Events
		if want.From == 0 {
			continue
		}
		for got, err := range c.d.cfg.Log.Read(c.d.writing, rows[i].ID, want.From, false) {
			return err == nil && got.From == want.From && got.To == want.To && bytes.Equal(got.Data, want.Data)
		}
		return false
	}
	return false
}

// deliver tells those who wait, and the shards, which perform the effects.
func (c *committer) deliver(fs []*flight, err error) {
	for _, f := range fs {
		f.finish(err)
	}
	if err != nil {
		return
	}
	n := uint64(len(c.d.shards))
	if n == 1 {
		c.d.shards[0].landed(fs, 0, 1)
		return
	}
	for i, s := range c.d.shards {
		s.landed(fs, uint64(i), n)
	}
}

// drop tells those who still wait that nothing more becomes durable.
func (c *committer) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.queue {
		f.finish(c.d.down())
	}
	c.queue = nil
}
