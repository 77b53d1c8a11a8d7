package engine

import (
	"fmt"
	"iter"
	"time"
)

// Counts are how many children of a Map Run, or items of theirs, are at what.
type Counts struct {
	Pending, Running, Succeeded, Failed, TimedOut, Aborted, Total int64
	PendingRedrive                                                int64
}

// MapRun is what has become of a distributed Map state's run.
type MapRun struct {
	MapRunARN string
	State     string
	Settings  RunSettings
	Status    Status // Running, Succeeded, Failed or Aborted
	Started   time.Time
	Stopped   time.Time // zero while it runs
	Redrives  int64
	Redriven  time.Time // zero if it never was
	Items     Counts
	Children  Counts // Total is an estimate while batches of bytes are not made yet
}

// FollowMapRun tells a Map Run from its execution's events, in the order of
// their Seq, of which the first must be its MapRunStarted. It is how a run is
// described that may be long over.
func FollowMapRun(events iter.Seq2[Event, error]) (MapRun, error) {
	var r MapRun
	var kids []kid
	id, open, next := int64(0), false, int64(0)
	end := func(e *Event, st Status) {
		open, r.Status, r.Stopped = false, st, e.Time()
		for i := range kids {
			if k := &kids[i]; k.state == kidRuns || k.state == kidAgain {
				k.state = kidAborted
			}
		}
	}
	for e, err := range events {
		if err != nil {
			return r, err
		}
		if id == 0 {
			if e.Type != MapRunStarted || e.More == nil || e.More.Run == nil {
				return r, fmt.Errorf("engine: event %d (%s) begins no Map Run", e.Seq, e.Type)
			}
			id, open = e.Seq, true
			r = MapRun{MapRunARN: e.More.MapRunARN, State: e.State, Settings: *e.More.Run, Started: e.Time(), Items: Counts{Total: e.More.Length}}
			continue
		}
		if e.Type.Closes() && open {
			end(&e, Aborted)
		}
		if e.Ref != id || !e.Type.ofRun() {
			continue
		}
		if at := int(e.Index); e.Type == ChildStarted && at > len(kids) || e.Type >= ChildSucceeded && e.Type <= ChildAborted && at >= len(kids) {
			return r, fmt.Errorf("engine: event %d (%s) of the child %d, which there is not", e.Seq, e.Type, at)
		}
		switch e.Type {
		case MapRunUpdated:
			if e.More != nil && e.More.Run != nil {
				r.Settings = *e.More.Run
			}
		case MapRunRedriven:
			open, r.Status, r.Stopped, r.Redriven = true, Running, time.Time{}, e.Time()
			r.Redrives++
			for i := range kids {
				if kids[i].state != kidSucceeded {
					kids[i].state = kidAgain
				}
			}
		case MapRunSucceeded:
			end(&e, Succeeded)
		case MapRunFailed:
			end(&e, Failed)
		case MapRunAborted:
			end(&e, Aborted)
		case ChildStarted:
			if int(e.Index) < len(kids) {
				kids[e.Index].state = kidRuns
				break
			}
			k := kid{items: 1}
			if e.More != nil {
				k.items = int32(e.More.Length)
			}
			next += int64(k.items)
			kids = append(kids, k)
		default:
			kids[e.Index].state = kidSucceeded + kidState(e.Type-ChildSucceeded)
		}
	}
	if id == 0 {
		return r, fmt.Errorf("engine: no events of a Map Run")
	}
	for i := range kids {
		k := &kids[i]
		*r.Children.at(k.state)++
		*r.Items.at(k.state) += int64(k.items)
	}
	r.Items.Pending = r.Items.Total - next
	switch left := r.Items.Pending; {
	case r.Settings.BatchBytes == 0:
		r.Children.Pending = left
	case r.Settings.BatchItems > 0:
		r.Children.Pending = (left + r.Settings.BatchItems - 1) / r.Settings.BatchItems
	case left > 0:
		r.Children.Pending = 1
	}
	r.Children.Total = int64(len(kids)) + r.Children.Pending
	return r, nil
}

// at is the count of a state.
func (c *Counts) at(s kidState) *int64 {
	return [...]*int64{
		kidRuns: &c.Running, kidSucceeded: &c.Succeeded, kidFailed: &c.Failed, kidTimedOut: &c.TimedOut, kidAborted: &c.Aborted, kidAgain: &c.PendingRedrive,
	}[s]
}

// ofRun reports whether an event's Ref is a Map Run.
func (t EventType) ofRun() bool {
	switch t {
	case MapRunSucceeded, MapRunFailed, MapRunAborted, MapRunRedriven, MapRunUpdated,
		ChildStarted, ChildSucceeded, ChildFailed, ChildTimedOut, ChildAborted:
		return true
	}
	return false
}
