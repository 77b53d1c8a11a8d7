package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limits end requests that take too long. One timer looks after all of them, now
// and then: minutes need no precision, and a timer for each request, set anew for
// each piece of a stream, may each time wake a thread.
type limits struct {
	every time.Duration // how often it looks, while there are requests
	began time.Time

	mu      sync.Mutex
	on      map[*limit]struct{} // guarded by mu
	looking bool                // guarded by mu; look will be called
}

// limit is how long a request may take.
type limit struct {
	of  *limits
	end context.CancelCauseFunc
	at  atomic.Int64 // nanoseconds since began
}

const (
	mostLate = time.Second // a request may take so much longer than it may
	fraction = 16          // or this part of its time, if that is less
)

func newLimits(shortest time.Duration) *limits {
	return &limits{every: max(min(shortest/fraction, mostLate), time.Millisecond), began: time.Now(), on: map[*limit]struct{}{}}
}

// start limits what end ends.
func (ls *limits) start(d time.Duration, end context.CancelCauseFunc) *limit {
	l := &limit{of: ls, end: end}
	l.set(d)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.on[l] = struct{}{}
	if !ls.looking {
		ls.looking = true
		time.AfterFunc(ls.every, ls.look)
	}
	return l
}

// look ends what is over its time.
func (ls *limits) look() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.on {
		l.check()
	}
	if ls.looking = len(ls.on) > 0; ls.looking {
		time.AfterFunc(ls.every, ls.look)
	}
}

// set gives it d from now on. A time shorter than that of the looks is kept to.
func (l *limit) set(d time.Duration) {
	l.at.Store(int64(time.Since(l.of.began) + d))
	if d < l.of.every {
		time.AfterFunc(d, l.check)
	}
}

func (l *limit) check() {
	if int64(time.Since(l.of.began)) >= l.at.Load() {
		l.end(errSlow)
	}
}

// stop takes the limit away.
func (l *limit) stop() {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	delete(l.of.on, l)
}
