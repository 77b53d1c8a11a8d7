// Package memory is every room's storage interface in maps: for tests, for
// trying things out, and for those who want nothing to stay (--store=memory).
// It keeps the contracts of store/storetest except, of course, that nothing
// survives the process.
package memory

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/principal"
)

// Store holds everything. The zero Store is empty and ready.
type Store struct {
	mu         sync.RWMutex
	principals map[string][]byte  // guarded by mu
	flows      map[string][]byte  // guarded by mu
	byARN      map[string]*record // guarded by mu, like what it leads to
	byID       map[uint64]*record
	open       map[uint64]*record
	under      map[string][]*record // in order of start, then of ID
	lastID     uint64
}

type record struct {
	entry    journal.Entry
	events   []journal.Events
	snapshot journal.Events // To 0: none
}

// New returns an empty store.
func New() *Store { return &Store{} }

// Close forgets nothing: an open store can be handed to a next owner.
func (s *Store) Close() error { return nil }

// Principals is the store as principal's.
func (s *Store) Principals() principal.Store { return principals{s} }

// Flow is the store as flow's.
func (s *Store) Flow() flow.Store { return flows{s} }

// Journal is the store as the journal's log.
func (s *Store) Journal() journal.Log { return (*log)(s) }

type principals struct{ s *Store }

func (p principals) Load(ctx context.Context) iter.Seq2[principal.Entry, error] {
	return func(yield func(principal.Entry, error) bool) {
		p.s.mu.RLock()
		all := maps.Clone(p.s.principals)
		p.s.mu.RUnlock()
		for k, v := range all {
			if !yield(principal.Entry{Key: k, Data: v}, ctx.Err()) {
				return
			}
		}
	}
}

func (p principals) Save(ctx context.Context, changes ...principal.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.principals == nil {
		p.s.principals = map[string][]byte{}
	}
	for _, c := range changes {
		set(p.s.principals, c.Key, c.Data)
	}
	return nil
}

func set(m map[string][]byte, key string, data []byte) {
	if data == nil {
		delete(m, key)
		return
	}
	m[key] = append(make([]byte, 0, len(data)), data...)
}

type flows struct{ s *Store }

func (f flows) Load(ctx context.Context, prefix string) iter.Seq2[flow.Entry, error] {
	return func(yield func(flow.Entry, error) bool) {
		f.s.mu.RLock()
		var all []flow.Entry
		for k, v := range f.s.flows {
			if strings.HasPrefix(k, prefix) {
				all = append(all, flow.Entry{Key: k, Data: v})
			}
		}
		f.s.mu.RUnlock()
		slices.SortFunc(all, func(a, b flow.Entry) int { return strings.Compare(a.Key, b.Key) })
		for _, e := range all {
			if err := ctx.Err(); err != nil {
				yield(flow.Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (f flows) Get(ctx context.Context, key string) ([]byte, error) {
	f.s.mu.RLock()
	defer f.s.mu.RUnlock()
	b, ok := f.s.flows[key]
	if !ok {
		return nil, flow.ErrNotFound
	}
	return b, nil
}

func (f flows) Save(ctx context.Context, changes ...flow.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.flows == nil {
		f.s.flows = map[string][]byte{}
	}
	for _, c := range changes {
		set(f.s.flows, c.Key, c.Data)
	}
	return nil
}

type log Store

// check says why the rows cannot be appended; it changes nothing.
func (l *log) check(rows []journal.Row) error {
	type tip struct {
		seq    int64
		status engine.Status
		arn    string
	}
	tips := map[uint64]tip{} // as they will be after the rows before
	arns := map[string]bool{}
	for i := range rows {
		r := &rows[i]
		t, ok := tips[r.ID]
		if rec := l.byID[r.ID]; !ok && rec != nil {
			t, ok = tip{status: rec.entry.Status, arn: rec.entry.ARN}, true
			if n := len(rec.events); n > 0 {
				t.seq = rec.events[n-1].To
			}
		}
		switch {
		case r.New && (ok || r.Entry == nil || r.ID == 0 || l.byARN[r.Entry.ARN] != nil || arns[r.Entry.ARN]):
			return unfit("execution %d exists already", r.ID)
		case r.New:
			t.arn, t.status = r.Entry.ARN, r.Entry.Status
			arns[t.arn] = true
		case !ok:
			return unfit("no execution %d", r.ID)
		case r.Entry != nil && (r.Entry.ARN != t.arn || r.Was != t.status):
			return unfit("execution %d is %s and %v, not %s and %v", r.ID, t.arn, t.status, r.Entry.ARN, r.Was)
		}
		if r.Entry != nil {
			t.status = r.Entry.Status
		}
		if r.Snapshot != nil && r.Events.From == 0 {
			return unfit("a snapshot of execution %d without events", r.ID)
		}
		if e := r.Events; e.From != 0 {
			if e.From != t.seq+1 || e.To < e.From {
				return unfit("events %d to %d of execution %d do not follow event %d", e.From, e.To, r.ID, t.seq)
			}
			t.seq = e.To
		}
		tips[r.ID] = t
	}
	return nil
}

func unfit(format string, args ...any) error {
	return fmt.Errorf("append: %w: %w", journal.ErrUnfit, fmt.Errorf(format, args...))
}

func (l *log) Append(ctx context.Context, rows ...journal.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(rows); err != nil {
		return err
	}
	if l.byARN == nil {
		l.byARN, l.byID = map[string]*record{}, map[uint64]*record{}
		l.open, l.under = map[uint64]*record{}, map[string][]*record{}
	}
	for _, r := range rows {
		if r.New {
			rec := &record{}
			l.byID[r.ID], l.byARN[r.Entry.ARN] = rec, rec
			l.lastID = max(l.lastID, r.ID)
		}
		rec := l.byID[r.ID]
		if r.Entry != nil {
			e := *r.Entry
			e.ID, e.Under, e.Data = r.ID, slices.Clone(e.Under), slices.Clone(e.Data)
			rec.entry = e
			if e.Status == engine.Running {
				l.open[r.ID] = rec
			} else {
				delete(l.open, r.ID)
			}
			if r.New {
				for _, u := range e.Under {
					at, _ := slices.BinarySearchFunc(l.under[u], rec, inOrder)
					l.under[u] = slices.Insert(l.under[u], at, rec)
				}
			}
		}
		if r.Events.From != 0 {
			r.Events.Data = slices.Clone(r.Events.Data)
			rec.events = append(rec.events, r.Events)
		}
		if len(r.Snapshot) > 0 {
			rec.snapshot = journal.Events{To: rec.events[len(rec.events)-1].To, Data: slices.Clone(r.Snapshot)}
		} else if r.Snapshot != nil {
			rec.snapshot = journal.Events{}
		}
	}
	return nil
}

func inOrder(a, b *record) int {
	switch x, y := a.entry, b.entry; {
	case x.Started != y.Started:
		return int(min(1, max(-1, x.Started-y.Started)))
	case x.ID < y.ID:
		return -1
	case x.ID > y.ID:
		return 1
	}
	return 0
}

func (l *log) Find(ctx context.Context, arn string) (journal.Entry, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.byARN[arn]
	if r == nil {
		return journal.Entry{}, flow.ErrNotFound
	}
	return r.entry, nil
}

func (l *log) Running(ctx context.Context, id uint64) (journal.Entry, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := l.open[id]
	if r == nil {
		return journal.Entry{}, flow.ErrNotFound
	}
	return r.entry, nil
}

func (l *log) Read(ctx context.Context, id uint64, from int64, reverse bool) iter.Seq2[journal.Events, error] {
	return func(yield func(journal.Events, error) bool) {
		l.mu.RLock()
		var rows []journal.Events
		if r := l.byID[id]; r != nil {
			rows = r.events[:len(r.events):len(r.events)]
		}
		l.mu.RUnlock()
		at := len(rows) // of the row that has from
		if from == 0 && !reverse {
			at = 0
		} else if from != 0 {
			at, _ = slices.BinarySearchFunc(rows, from, func(e journal.Events, from int64) int {
				if e.To < from {
					return -1
				}
				return 1
			})
		}
		if reverse {
			for i := min(at, len(rows)-1); i >= 0; i-- {
				if !yield(rows[i], nil) {
					return
				}
			}
			return
		}
		for _, e := range rows[at:] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *log) Load(ctx context.Context, id uint64) iter.Seq2[journal.Events, error] {
	return func(yield func(journal.Events, error) bool) {
		l.mu.RLock()
		var snapshot journal.Events
		if r := l.byID[id]; r != nil {
			snapshot = r.snapshot
		}
		l.mu.RUnlock()
		if snapshot.To != 0 && !yield(snapshot, nil) {
			return
		}
		for r, err := range l.Read(ctx, id, snapshot.To+1, false) {
			if !yield(r, err) {
				return
			}
		}
	}
}

func (l *log) Open(ctx context.Context) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		l.mu.RLock()
		all := make([]journal.Entry, 0, len(l.open))
		for _, id := range slices.Sorted(maps.Keys(l.open)) {
			all = append(all, l.open[id].entry)
		}
		l.mu.RUnlock()
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *log) CountOpen(ctx context.Context) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.open), nil
}

func (l *log) List(ctx context.Context, under string, status *engine.Status, after *journal.Place) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		l.mu.RLock()
		all := l.under[under]
		n := len(all)
		if after != nil {
			n, _ = slices.BinarySearchFunc(all, &record{entry: journal.Entry{Started: after.Started, ID: after.ID}}, inOrder)
		}
		all = slices.Clone(all[:n])
		l.mu.RUnlock()
		for _, r := range slices.Backward(all) {
			l.mu.RLock()
			e, there := r.entry, l.byID[r.entry.ID] == r
			l.mu.RUnlock()
			if !there || status != nil && e.Status != *status {
				continue
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *log) Expire(ctx context.Context, before time.Time, limit int) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for id, r := range l.byID {
		if n == limit {
			break
		}
		if r.entry.Status == engine.Running || r.entry.Stopped >= before.UnixMilli() {
			continue
		}
		n++
		delete(l.byID, id)
		delete(l.byARN, r.entry.ARN)
		for _, u := range r.entry.Under {
			l.under[u] = slices.DeleteFunc(l.under[u], func(o *record) bool { return o == r })
		}
	}
	return n, nil
}

func (l *log) LastID(ctx context.Context) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lastID, nil
}
