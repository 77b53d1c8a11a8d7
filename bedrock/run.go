package bedrock

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/fault"
)

// served is what one attempt brought.
type served struct {
	usage     Usage
	answer    *Answer       // of a whole answer
	receipt   *string       // of a stream: where another node's receipt is
	firstByte time.Duration // since the attempt began; 0: not a stream
	begun     bool          // a first byte has been passed on
	left      bool          // whoever it was passed on to takes no more
	region    string        // as the backend says
}

// attempt asks one lane. A stream must call claim before it passes its first
// chunk on, and must end with errLost if claim returns false: then another
// Region's answer is being passed on.
type attempt func(ctx context.Context, l *lane, claim func() bool) (served, error)

var errLost = errors.New("another Region was faster")

func alone() bool { return true } // claims what nobody else wants

// trial is one request on its way through its candidates.
type trial struct {
	rt    *Runtime
	ctx   context.Context //nolint:containedctx // the request's own
	p     *Plan
	cost  int
	res   *Result
	start time.Duration
	order []int // lanes that are left to be tried
	full  room  // why those that were passed over had no room

	last, throttled error
}

// flight is one attempt under way.
type flight struct {
	l     *lane
	at    int // in the Result's attempts
	began time.Duration
	stop  context.CancelFunc
	out   served
	err   error

	panicked any
}

// run tries Regions until one serves the request. What the attempt brought that
// did is among its results.
func (rt *Runtime) run(ctx context.Context, p *Plan, cost int, try attempt) (*Result, served, error) {
	t := trial{rt: rt, ctx: ctx, p: p, cost: cost, res: &Result{}, start: rt.now()}
	r := p.route
	if len(r.lanes) == 0 {
		return t.res, served{}, Fault("ServiceUnavailableException", "No backend of this server has %s in %s.", p.ModelID, strings.Join(p.Regions, ", "))
	}
	var few [keptOrder]int
	order := t.choose(r, few[:0])
	if rt.config.Hedge > 0 && len(order) > 1 {
		shared := new(trial) // of its attempts' goroutines; without hedging all this stays on the stack
		*shared = t
		shared.order = slices.Clone(order)
		return shared.race(try)
	}
	t.order = order
	for {
		var f flight
		if !t.next(&f) {
			return t.res, served{}, t.failed()
		}
		t.attempt(&f, try)
		if done, err := t.settle(&f); done {
			return t.res, f.out, err
		}
	}
}

// keptOrder is how many candidates a call keeps without allocation.
const keptOrder = 8

// choose decides where the call goes, the best first, and appends that to order.
// It must not be inlined: what it needs is two kilobytes, which would be kept on
// the stack of every stream.
//
//go:noinline
func (t *trial) choose(r *route, order []int) []int {
	var dbuf [stackRoute]int
	var vbuf [stackRoute]view
	dst, views := dbuf[:], vbuf[:0]
	if len(r.lanes) > stackRoute {
		dst, views = make([]int, len(r.lanes)), make([]view, 0, len(r.lanes))
	}
	dst, views = r.candidates(t.start, t.cost, dst, views)
	for i, v := range views {
		if v.room != hasRoom && t.full != noRequests {
			t.full = v.room
		}
		if i != r.first {
			continue
		}
		if v.room != hasRoom {
			t.res.Attempts = append(t.res.Attempts, Attempt{Region: t.p.Region, Outcome: Full})
		} else if v.out != 0 && len(dst) > 1 {
			t.res.Attempts = append(t.res.Attempts, Attempt{Region: t.p.Region, Outcome: Out})
		}
	}
	return append(order, dst...)
}

// attempt asks one lane, and gives back what it took also if the backend panics.
func (t *trial) attempt(f *flight, try attempt) {
	returned := false
	defer func() {
		if !returned {
			t.leave(f, Failed)
		}
	}()
	f.out, f.err = try(t.ctx, f.l, alone)
	returned = true
}

// next takes room in the next candidate that has some.
func (t *trial) next(f *flight) bool {
	for len(t.order) > 0 {
		l := t.p.route.lanes[t.order[0]]
		t.order = t.order[1:]
		began := t.rt.now()
		if why := l.enter(began, t.cost); why != hasRoom {
			if t.full != noRequests {
				t.full = why
			}
			t.res.Attempts = append(t.res.Attempts, Attempt{Region: l.region, Outcome: Full})
			continue
		}
		*f = flight{l: l, at: len(t.res.Attempts), began: began}
		t.res.Attempts = append(t.res.Attempts, Attempt{Region: l.region})
		return true
	}
	return false
}

// leave gives back what an attempt took, and says how it ended.
func (t *trial) leave(f *flight, how Outcome) {
	now := t.rt.now()
	took := now - f.began
	sample := took
	if f.out.firstByte > 0 {
		sample = f.out.firstByte
	}
	f.l.leave(now, t.cost, spent(t.p.Model, f.out.usage), f.out.usage, sample, how)
	t.res.Attempts[f.at] = Attempt{Region: f.l.region, Latency: took, Err: f.err, Outcome: how}
}

// settle says what an attempt means for the request: done, with an error or
// without one, or that the next candidate is to be tried.
func (t *trial) settle(f *flight) (done bool, err error) {
	if f.err == nil {
		if f.err = t.res.ran(f.l, f.out.region); f.err != nil {
			t.res.Region, f.out.begun = f.out.region, true // the answer must not be used, nor be asked for again
		}
	}
	how := outcome(t.ctx, f.err, f.out.begun)
	if f.out.left {
		how = Refused
	}
	t.leave(f, how)
	if how == Served || how == Cut || how == Refused {
		if how != Served {
			if err := t.res.ran(f.l, f.out.region); err != nil {
				t.res.Region = f.out.region
			}
		}
		t.res.Usage, t.res.Latency = f.out.usage, t.rt.now()-t.start
	}
	err = f.err
	switch how {
	case Served:
		if f.out.firstByte > 0 {
			t.res.FirstByte = f.began - t.start + f.out.firstByte
		}
		return true, nil
	case Cut:
		if _, ok := errors.AsType[*fault.Error](err); !ok {
			f := Fault("ModelStreamErrorException", "An error occurred while streaming the response. Retry your request.")
			f.Err = err
			err = f
		}
		return true, err
	case Refused:
		if errors.Is(err, context.DeadlineExceeded) {
			f := Fault("ModelTimeoutException", "The request took too long to process. Processing time exceeded the model timeout length.")
			f.Err = err
			err = f
		}
		return true, err
	case Throttled:
		t.throttled = err
	}
	t.last = err
	return false, nil
}

// failed is what a request is told that nobody served.
func (t *trial) failed() error {
	t.res.Latency = t.rt.now() - t.start
	switch {
	case t.throttled != nil:
		return t.throttled
	case t.last == nil || t.full != hasRoom:
		return throttling(t.full)
	}
	if f, ok := errors.AsType[*fault.Error](t.last); ok {
		return f
	}
	f := Fault("ServiceUnavailableException", "Bedrock is unable to process your request.")
	f.Err = t.last
	return f
}

const mostAtOnce = 2 // attempts of one request, with hedging

// race tries Regions one after the other as run does, and does not wait for ever:
// one that has not begun to answer in time gets a rival. The first to answer is
// passed on, and the other told to stop. It returns when all attempts have ended.
func (t *trial) race(try attempt) (*Result, served, error) {
	var mu sync.Mutex
	var winner *flight   // guarded by mu
	var flying []*flight // guarded by mu; all that were begun
	claim := func(f *flight) bool {
		mu.Lock()
		defer mu.Unlock()
		if winner == nil {
			winner = f
			for _, other := range flying {
				if other != f {
					other.stop()
				}
			}
		}
		return winner == f
	}
	ended := make(chan *flight)
	running := 0
	timer := time.NewTimer(t.rt.config.Hedge)
	defer timer.Stop()
	launch := func() {
		f := new(flight)
		mu.Lock()
		defer mu.Unlock()
		if winner != nil || !t.next(f) {
			return
		}
		ctx, stop := context.WithCancel(t.ctx)
		f.stop = stop
		flying = append(flying, f)
		running++
		timer.Reset(t.rt.config.Hedge)
		go func() {
			defer func() {
				f.panicked = recover()
				ended <- f
			}()
			if f.out, f.err = try(ctx, f.l, func() bool { return claim(f) }); f.err == nil && !claim(f) {
				f.err = errLost
			}
		}()
	}
	var first *flight
	var verdict error
	var panicked any
	for launch(); running > 0; {
		select {
		case f := <-ended:
			running--
			f.stop()
			mu.Lock()
			lost := winner != nil && winner != f
			mu.Unlock()
			if f.panicked != nil {
				panicked, f.err = f.panicked, errors.New("panicked")
			}
			if lost {
				f.err = nil
				t.leave(f, Lost)
			} else if done, err := t.settle(f); done || panicked != nil {
				claim(f) // nobody else is asked
				first, verdict = f, err
			} else {
				launch()
			}
		case <-timer.C:
			if running < mostAtOnce {
				launch()
			}
		}
	}
	if panicked != nil {
		panic(panicked) // where the caller expects it
	}
	if first == nil {
		return t.res, served{}, t.failed()
	}
	return t.res, first.out, verdict
}
