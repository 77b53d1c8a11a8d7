package bedrock

import (
	"context"
	"slices"
	"time"
)

// Prober is a Backend that can be asked often whether it is there.
type Prober interface {
	// Probes returns the ways to ask; none: it is always there. Each must ask only
	// who calls in its Regions go to.
	Probes() []Probe
}

// Probe asks one server. It must cost nothing, send nothing of any caller's, leave
// no record at the other end where that can be helped, and stop when ctx is done.
type Probe struct {
	Regions []string // whose calls go there; nil: of all that lead to the backend

	// Ask returns an error if nobody answers, or one who says that he cannot work.
	// An answer of any other kind (it takes no such question, or not our key, or has
	// too much to do) says only that somebody is there, and is none.
	Ask func(ctx context.Context) error
}

// unwell is a backend in a Region that does not answer probes.
type unwell struct {
	region  string
	backend Backend
}

// Unwell tells that a backend does not answer probes in Regions: the probe that
// began at since failed, and another one after it. Its models there are passed
// over, but for those that served somebody after since: a real answer says more
// than a probe. They come back with Well, or when one of them serves somebody for
// whom everybody else had failed. b must be comparable, as pointers are.
func (rt *Runtime) Unwell(b Backend, regions []string, since time.Time) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, region := range regions {
		if u := (unwell{region, b}); !slices.Contains(rt.unwell, u) {
			rt.unwell = append(rt.unwell, u) // at most one for each backend and Region
		}
	}
	rt.tellLocked(b, regions, func(l *lane) { l.unansweredLocked(since.Sub(rt.started)) })
}

// Well tells that a backend answers probes in Regions. Its models there come back
// as they do after failures, one request at first. Why routing passes over them by
// what it saw itself is not forgotten: somebody who answers probes may still fail.
func (rt *Runtime) Well(b Backend, regions []string) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, region := range regions {
		if i := slices.Index(rt.unwell, unwell{region, b}); i >= 0 {
			rt.unwell = slices.Delete(rt.unwell, i, i+1)
		}
	}
	rt.tellLocked(b, regions, func(l *lane) { l.down = false })
}

func (rt *Runtime) tellLocked(b Backend, regions []string, tell func(*lane)) {
	for key, l := range rt.lanes {
		if l == nil || l.backend != b || !slices.Contains(regions, key.region) {
			continue
		}
		l.mu.Lock()
		tell(l)
		l.mu.Unlock()
	}
}

// unansweredLocked puts the lane out unless it served somebody after since.
func (l *lane) unansweredLocked(since time.Duration) {
	if !l.down && l.served <= since {
		l.down, l.trust = true, 1
	}
}
