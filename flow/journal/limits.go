package journal

import (
	"time"

	"tokaido/engine"
	"tokaido/flow"
)

// What a shard remembers to have warned of.
const (
	nearSize uint8 = 1 << iota
	nearAge
)

const (
	// maxWarned is how many executions a shard remembers warnings of; when they are
	// more, it may say some again.
	maxWarned = 100_000
	// ageSteps is how often the age of waiting executions is looked at in the time
	// that they may last.
	ageSteps = 20
	// maxAgeStep is the longest time between two looks.
	maxAgeStep = 24 * time.Hour
)

func (d *Driver) limitsOf(express bool) *engine.Limits {
	if express {
		return &d.limits.Express
	}
	return &d.limits.Standard
}

// near warns of an execution that has come near one of its limits with a Step:
// once of each, as long as this process lasts.
func (s *shard) near(r *run, b *engine.Batch, at time.Time) {
	l := s.d.limitsOf(r.info.Express)
	if l.Events > 0 && len(b.Events) > 0 {
		// Its number says by itself whether an event is the one that is to be told of.
		first, last := int64(0), int64(0)
		for i := range b.Events {
			if first = b.Events[i].ID; first > 0 {
				break
			}
		}
		for i := len(b.Events) - 1; i >= 0 && last == 0; i-- {
			last = b.Events[i].ID
		}
		if n := flow.NearTo(l.Events); first <= n && n <= last {
			s.d.warnNear(r.info.ARN, "events of the history", n, l.Events)
		}
	}
	if l.DataSize > 0 && b.Largest >= flow.NearTo(l.DataSize) && s.first(r.id, nearSize) {
		s.d.warnNear(r.info.ARN, "bytes of data", b.Largest, l.DataSize)
	}
	if age := at.Sub(r.begun); l.Duration > 0 && age >= flow.NearTo(l.Duration) && s.first(r.id, nearAge) {
		s.d.warnNear(r.info.ARN, "duration", age.Round(time.Millisecond).String(), l.Duration.String())
	}
}

// first reports whether an execution has not been warned of something yet.
func (s *shard) first(id uint64, what uint8) bool {
	had := s.warned[id]
	if had&what != 0 {
		return false
	}
	if s.warned == nil || len(s.warned) >= maxWarned {
		s.warned = map[uint64]uint8{}
	}
	s.warned[id] = had | what
	return true
}

func (d *Driver) warnNear(arn, limit string, v, most any) {
	d.cfg.Logger.Warn("a limit is near", "execution", arn, "limit", limit, "value", v, "max", most, "percent", flow.Near)
}

// ages looks at executions that are kept and only wait: nothing else would say
// that their time is almost over.
func (d *Driver) ages() {
	longest := d.limits.Standard.Duration
	if longest <= 0 {
		return
	}
	t := time.NewTicker(min(maxAgeStep, max(longest/ageSteps, time.Millisecond)))
	defer t.Stop()
	for {
		now := time.Now()
		before := now.Add(-flow.NearTo(longest)).UnixMilli()
		for e, err := range d.cfg.Log.Open(d.ctx) {
			if err != nil {
				break // the next look comes
			}
			if e.Started > before || isRun(e.ARN) {
				continue
			}
			d.shard(e.ID).send(message{kind: aged, id: e.ID, arn: e.ARN, at: e.Started})
		}
		select {
		case <-t.C:
		case <-d.quit:
			return
		}
	}
}

// aged warns of an execution that has been open for long.
func (s *shard) aged(m *message) {
	l := s.d.limitsOf(false)
	if s.first(m.id, nearAge) {
		s.d.warnNear(m.arn, "duration", time.Since(time.UnixMilli(m.at)).Round(time.Millisecond).String(), l.Duration.String())
	}
}

// counted keeps the number of open executions that are kept: those that a limit
// is about.
func (d *Driver) counted(r *run, n int64) {
	if r.info.InMemory() {
		return
	}
	now, most := d.counters.kept.Add(n), int64(d.limits.Open)
	if n > 0 && most > 0 && now == max(1, flow.NearTo(most)) {
		d.cfg.Logger.Warn("a limit is near", "limit", "open executions", "value", now, "max", most, "percent", flow.Near)
	}
}
