// Package probe asks backends on a timer whether they are there, and tells
// routing. It asks only whom calls go to, only where they go, and sends nothing of
// a caller's; what a probe is, each backend says itself.
//
// One failed probe means nothing but that the next one comes soon. After the
// second in a row the backend is down, until one is answered; what that means for
// a model that served somebody meanwhile, routing decides
// ([bedrock.Runtime.Unwell]).
package probe

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/bedrock"
)

// The times of probes.
const (
	DefaultEvery   = 10 * time.Second
	DefaultTimeout = 3 * time.Second

	confirm = 2 * time.Second // to the second probe after one that failed, at most
	toDown  = 2               // failures in a row
)

// Router is who routes calls.
type Router interface {
	// Unwell is told each time that a probe fails, from the second in a row on, and
	// when the probe before it began.
	Unwell(b bedrock.Backend, regions []string, since time.Time)
	// Well is told of the first probe that is answered after that.
	Well(b bedrock.Backend, regions []string)
}

// Target is a backend that is probed.
type Target struct {
	Name    string // the operator's
	Backend bedrock.Backend
	Regions []string      // that lead to it
	Every   time.Duration // from the end of a probe to the next; must be above 0
	Timeout time.Duration // of a probe; must be above 0
}

// Stats is how one server does that is probed.
type Stats struct {
	Backend          string // the operator's name
	Regions          []string
	Down             bool
	Answered, Failed int64 // probes
}

// Watch probes targets until it is closed.
type Watch struct {
	router Router
	logger *slog.Logger
	stop   context.CancelFunc
	all    sync.WaitGroup
	places []*place
}

// place is one server of a target.
type place struct {
	Target // its Regions are the place's own
	ask    func(context.Context) error

	mu    sync.Mutex
	stats Stats // guarded by mu
}

// Start begins to probe. Backends that have no probes are left alone.
func Start(ctx context.Context, router Router, targets []Target, logger *slog.Logger) *Watch {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &Watch{router: router, logger: logger, stop: stop}
	for _, t := range targets {
		p, ok := t.Backend.(bedrock.Prober)
		if !ok {
			continue
		}
		for _, q := range p.Probes() {
			x := &place{Target: t, ask: q.Ask}
			if q.Regions != nil {
				x.Regions = slices.DeleteFunc(slices.Clone(q.Regions), func(r string) bool { return !slices.Contains(t.Regions, r) })
			}
			if len(x.Regions) == 0 {
				continue
			}
			x.stats = Stats{Backend: t.Name, Regions: x.Regions}
			w.places = append(w.places, x)
			w.all.Go(func() { w.watch(ctx, x) })
		}
	}
	return w
}

// Close ends the probes, also those under way.
func (w *Watch) Close() error {
	w.stop()
	w.all.Wait()
	return nil
}

// watch probes one place.
func (w *Watch) watch(ctx context.Context, p *place) {
	var fails int
	var before, since time.Time // when the last probe began; when the first of those that failed did
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		err := p.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			fails++
		}
		p.count(err, fails)
		next := p.Every
		switch {
		case err == nil && fails >= toDown:
			p.log(ctx, w.logger, slog.LevelInfo, "a backend answers again", slog.String("after", time.Since(since).Round(time.Millisecond).String()))
			w.router.Well(p.Backend, p.Regions)
			fails = 0
		case err == nil:
			fails = 0
		case fails < toDown:
			since, next = began, min(next, confirm)
		default:
			if fails == toDown {
				p.log(ctx, w.logger, slog.LevelWarn, "a backend does not answer", slog.Any("err", err))
			}
			w.router.Unwell(p.Backend, p.Regions, before)
		}
		before = began
		timer.Reset(next)
	}
}

func (p *place) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	return p.ask(ctx)
}

// count takes up what a probe found. fails is how many failed in a row, to this one.
func (p *place) count(err error, fails int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.stats.Answered++
		p.stats.Down = false
		return
	}
	p.stats.Failed++
	p.stats.Down = fails >= toDown
}

func (p *place) log(ctx context.Context, logger *slog.Logger, level slog.Level, what string, more slog.Attr) {
	logger.LogAttrs(ctx, level, what, slog.String("backend", p.Name), slog.String("regions", strings.Join(p.Regions, " ")), more)
}

// Stats tells of every server that is probed, in order of names and Regions.
func (w *Watch) Stats() []Stats {
	out := make([]Stats, len(w.places))
	for i, p := range w.places {
		p.mu.Lock()
		out[i] = p.stats
		p.mu.Unlock()
	}
	slices.SortStableFunc(out, func(a, b Stats) int {
		return cmp.Or(strings.Compare(a.Backend, b.Backend), slices.Compare(a.Regions, b.Regions))
	})
	return out
}

// Down reports whether probes found that a backend is gone from a Region.
func (w *Watch) Down(name, region string) bool {
	for _, p := range w.places {
		if p.Name != name || !slices.Contains(p.Regions, region) {
			continue
		}
		p.mu.Lock()
		down := p.stats.Down
		p.mu.Unlock()
		if down {
			return true
		}
	}
	return false
}
