package journal

import (
	"context"
	"sync"

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
				if err = c.d.cfg.Log.Append(context.Background(), rows...); err != nil {
					c.d.fail(err)
					err = c.d.down()
				}
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
