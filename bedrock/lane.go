package bedrock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/iam"
)

// lane is one model in one Region: its backend, its limits and how it does.
type lane struct {
	region  string
	backend Backend
	limits  Limits
	reach   []string // Regions that it may really run in; nil: its own only
	remote  bool     // the backend is a Reacher

	mu       sync.Mutex
	inFlight int           // guarded by mu, as all that follows
	latency  time.Duration // moving average; 0: not known
	requests bucket
	tokens   bucket
	fails    int           // in a row
	pauses   int           // in a row
	until    time.Duration // out until then; 0: not
	trust    int           // requests at once while it recovers; 0: any number
	served   time.Duration // when it last answered
	down     bool          // out until a probe is answered, or it serves somebody
	stats    Stats
}

// bucket holds what a minute gives, at most; it fills evenly.
type bucket struct {
	level float64
	at    time.Duration
}

func (b *bucket) fill(now time.Duration, perMinute int) {
	b.level = min(float64(perMinute), b.level+float64(perMinute)*(now-b.at).Minutes())
	b.at = now
}

// route is a profile or a model from one source Region: who may answer.
type route struct {
	regions []string // of the plan, source first; with or without a backend
	lanes   []*lane  // those with a backend, in the same order
	first   int      // the source Region's lane; -1: it has none
	counted bool     // a lane limits tokens

	mu    sync.RWMutex
	needs map[needsKey][]iam.Authorization // guarded by mu; made when first asked for
}

func (rt *Runtime) routeOf(p *Plan, id string) *route {
	key := routeKey{p.Region, id}
	rt.mu.RLock()
	r := rt.routes[key]
	rt.mu.RUnlock()
	if r != nil {
		return r
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if r := rt.routes[key]; r != nil {
		return r
	}
	r = &route{first: -1}
	if p.Profile == nil {
		r.regions = []string{p.Region}
	} else {
		r.regions = slices.Clone(p.Profile.Destinations(p.Region))
		if i := slices.Index(r.regions, p.Region); i > 0 {
			r.regions = slices.Insert(slices.Delete(r.regions, i, i+1), 0, p.Region)
		}
	}
	for _, region := range r.regions {
		l := rt.laneLocked(region, p.Model)
		if l == nil || slices.ContainsFunc(l.reach, func(x string) bool { return !slices.Contains(r.regions, x) }) {
			continue // nobody there, or one who might run it outside the plan
		}
		if region == p.Region {
			r.first = len(r.lanes)
		}
		r.lanes = append(r.lanes, l)
		r.counted = r.counted || l.limits.TokensPerMinute > 0
	}
	rt.routes[key] = r
	return r
}

func (rt *Runtime) laneLocked(region string, m *catalog.Model) *lane {
	key := laneKey{region, m.ID}
	if l, ok := rt.lanes[key]; ok {
		return l
	}
	var l *lane
	if b := rt.config.Backend(region, m); b != nil {
		l = &lane{region: region, backend: b, stats: Stats{Region: region, Model: m.ID}}
		if x, ok := b.(Reacher); ok {
			l.reach, l.remote = x.Reach(region, m), true
		}
		if rt.config.Limits != nil {
			l.limits = rt.config.Limits(region, m)
		}
		now := rt.now()
		l.requests = bucket{float64(l.limits.RequestsPerMinute), now}
		l.tokens = bucket{float64(l.limits.TokensPerMinute), now}
		if slices.Contains(rt.unwell, unwell{region, b}) {
			l.unansweredLocked(now)
		}
	}
	rt.lanes[key] = l
	return l
}

func (rt *Runtime) now() time.Duration { return time.Since(rt.started) }

// view is the lane as routing sees it. cost is in tokens.
func (l *lane) view(now time.Duration, cost int) view {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := view{inFlight: l.inFlight, latency: l.latency, room: l.roomLocked(now, cost)}
	if v.room != hasRoom {
		l.stats.Full++
	}
	if l.down {
		v.out = now + 2*longestPause // after those that come back by themselves
	} else if l.until > now {
		v.out = l.until
	} else if l.trust > 0 && l.inFlight >= l.trust {
		v.out = now + 1 // as much as it is trusted with is under way
	}
	return v
}

func (l *lane) roomLocked(now time.Duration, cost int) room {
	if l.limits.Concurrent > 0 && l.inFlight >= l.limits.Concurrent {
		return noRequests
	}
	if n := l.limits.RequestsPerMinute; n > 0 {
		if l.requests.fill(now, n); l.requests.level < 1 {
			return noRequests
		}
	}
	if n := l.limits.TokensPerMinute; n > 0 {
		if l.tokens.fill(now, n); l.tokens.level < float64(cost) {
			return noTokens
		}
	}
	return hasRoom
}

// enter takes room for a request, if there still is any.
func (l *lane) enter(now time.Duration, cost int) room {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.roomLocked(now, cost); r != hasRoom {
		l.stats.Full++
		return r
	}
	l.inFlight++
	l.requests.level-- // of no meaning without a limit
	l.tokens.level -= float64(cost)
	return hasRoom
}

// leave gives the room back and remembers how it went. spent is what the tokens
// of the request really were.
func (l *lane) leave(now time.Duration, cost, spent int, used Usage, took time.Duration, how Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.stats.InputTokens += int64(used.Input)
	l.stats.OutputTokens += int64(used.Output)
	if n := l.limits.TokensPerMinute; n > 0 {
		l.tokens.fill(now, n)
		l.tokens.level = min(float64(n), l.tokens.level+float64(cost-spent))
	}
	switch how {
	case Served:
		l.stats.Served++
		if l.latency == 0 {
			l.latency = max(took, 1)
		} else {
			l.latency += time.Duration(latencyWeight * float64(took-l.latency))
			l.latency = max(l.latency, 1)
		}
		l.fails, l.pauses = 0, 0
		l.served, l.down = now, false
		if l.trust > 0 {
			if l.trust *= 2; l.trust >= fullTrust {
				l.trust = 0
			}
		}
	case Throttled:
		l.stats.Throttled++
		l.pauseLocked(now, throttlePause)
	case Refused:
		l.stats.Refused++
	case Lost: // it would have taken longer still
		if l.stats.Lost++; took > l.latency {
			l.latency += time.Duration(latencyWeight * float64(took-l.latency))
		}
	case Failed, Cut:
		if how == Cut {
			l.stats.Cut++
		} else {
			l.stats.Failed++
		}
		if l.fails++; l.fails >= failuresToEject || l.trust > 0 {
			l.pauseLocked(now, failurePause)
		}
	}
}

func (l *lane) snapshot(now time.Duration) Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.InFlight, s.Latency, s.Out = l.inFlight, l.latency, l.until > now || l.down
	return s
}

// pauseLocked puts the lane out, for longer each time in a row, and makes it
// come back slowly.
func (l *lane) pauseLocked(now, pause time.Duration) {
	if now < l.until {
		return // requests that were under way when it went out
	}
	l.until = now + min(longestPause, pause<<min(l.pauses, 6))
	l.pauses++
	l.trust = 1
}

// candidates decides where a request goes. It fills dst and returns it with why
// lanes are full; noTokens only if all are, and for want of tokens.
func (r *route) candidates(now time.Duration, cost int, dst []int, views []view) ([]int, []view) {
	for _, l := range r.lanes {
		views = append(views, l.view(now, cost))
	}
	dst = dst[:len(views)]
	return dst[:rank(dst, views, r.first)], views
}

// ran says where an attempt ran.
func (r *Result) ran(l *lane, said string) error {
	r.Remote = l.remote
	switch {
	case said == "" && len(l.reach) == 0, said == l.region:
		r.Region = l.region
	case said == "" && len(l.reach) == 1:
		r.Region = l.reach[0]
	case said == "":
		r.Within = l.reach
	case slices.Contains(l.reach, said):
		r.Region = said
	default:
		return fmt.Errorf("a call for %s was answered in %s", l.region, said)
	}
	return nil
}

func throttling(r room) error {
	if r == noTokens {
		return Fault("ThrottlingException", "Too many tokens, please wait before trying again.")
	}
	return Fault("ThrottlingException", "Too many requests, please wait before trying again.")
}

// outcome says what an error of a backend means for the Region and for what is
// tried next.
func outcome(ctx context.Context, err error, begun bool) Outcome {
	if err == nil {
		return Served
	}
	if ctx.Err() != nil {
		return Refused // nobody waits for an answer any more
	}
	if begun {
		return Cut
	}
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case !ok || f.Kind == fault.Server:
		return Failed
	case f.Kind == fault.Throttle:
		return Throttled
	}
	return Refused
}

// spent is what a quota is charged for an answer.
func spent(m *catalog.Model, u Usage) int {
	return u.Input + u.CacheWrite + u.Output*burndown(m)
}

// burndown is how many tokens of quota an output token costs.
func burndown(m *catalog.Model) int {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(s string) bool { return strings.Contains(m.ID, s) })
	}
	switch {
	case !strings.HasPrefix(m.ID, "anthropic."):
		if has("gpt-5.6-") {
			return 10
		}
		return 1
	case has("-4-8"):
		return 15
	case has("-opus-5", "-sonnet-5", "-fable-5", "-mythos-5"):
		return 10
	}
	return 5
}
