package gate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// recordTimeout is how long a record may take. Nobody is told that a call
// succeeded before it is recorded, so a disk that hangs must become an error.
const recordTimeout = 30 * time.Second

var errNoTrail = errors.New("the trail does not answer")

// patience is a context that ends recordTimeout after somebody begins to wait for
// its end. Most records are not waited for, and setting a timer for each, which may
// wake a thread, would cost more than the record.
type patience struct {
	context.Context // of the call, without its end

	once  sync.Once
	begun atomic.Bool
	timed context.Context // set once begun
	stop  context.CancelFunc
}

func (p *patience) begin() context.Context {
	p.once.Do(func() {
		p.timed, p.stop = context.WithTimeoutCause(p.Context, recordTimeout, errNoTrail)
		p.begun.Store(true)
	})
	return p.timed
}

func (p *patience) Done() <-chan struct{} { return p.begin().Done() }

func (p *patience) Err() error {
	if p.begun.Load() {
		return p.timed.Err()
	}
	return nil
}

func (p *patience) Deadline() (time.Time, bool) { return p.begin().Deadline() }

func (p *patience) Value(key any) any {
	if p.begun.Load() { // it also knows the cause of the end
		return p.timed.Value(key)
	}
	return p.Context.Value(key)
}

// end lets go of the timer.
func (p *patience) end() {
	if p.begun.Load() {
		p.stop()
	}
}
