package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
)

// log is a Store as the journal's log.
type log Store

func (l *log) store() *Store { return (*Store)(l) }

// Room implements the journal's optional question.
func (l *log) Room() error { return l.store().Room() }

func (l *log) Append(ctx context.Context, rows ...journal.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tips) >= tipsKept {
		clear(l.tips)
	}
	if l.lastID == 0 {
		last, err := l.LastID(ctx)
		if err != nil {
			return err
		}
		l.lastID = last
	}
	b := l.db.NewBatch()
	if err := l.put(b, rows); err != nil {
		clear(l.tips) // some of them may be ahead of the truth
		return errors.Join(err, b.Close())
	}
	if err := l.store().commit(ctx, b); err != nil {
		clear(l.tips)
		return err
	}
	for i := range rows {
		if e := rows[i].Entry; e != nil && e.Status != engine.Running {
			delete(l.tips, rows[i].ID) // nothing follows
		}
	}
	return nil
}

// put checks the rows and puts them into a batch. l.mu is held.
func (l *log) put(b *pebble.Batch, rows []journal.Row) error {
	started := map[string]bool{} // by this call
	for i := range rows {
		r := &rows[i]
		if r.New {
			if r.Entry == nil || r.ID == 0 || started[r.Entry.ARN] {
				return unfit("execution %d exists already, or has no entry", r.ID)
			}
			if err := l.free(r); err != nil {
				return err
			}
			if err := l.give(r.ID); err != nil {
				return err
			}
			l.tips[r.ID] = 0
			started[r.Entry.ARN] = true
		}
		if r.Entry != nil {
			if err := l.putEntry(b, r); err != nil {
				return err
			}
		}
		if r.Snapshot != nil {
			if err := putSnapshot(b, r); err != nil {
				return err
			}
		}
		if e := r.Events; e.From != 0 {
			tip, err := l.tip(r.ID)
			if err != nil {
				return err
			}
			if tip == 0 && !r.New {
				return unfit("no execution %d", r.ID)
			}
			if e.From != tip+1 || e.To < e.From {
				return unfit("events %d to %d of execution %d do not follow event %d", e.From, e.To, r.ID, tip)
			}
			if err := setEvents(b, r.ID, &e); err != nil {
				return err
			}
			l.tips[r.ID] = e.To
		}
	}
	return nil
}

func setEvents(b *pebble.Batch, id uint64, e *journal.Events) error {
	d := b.SetDeferred(17, 8+len(e.Data))
	d.Key[0] = keyEvents
	binary.BigEndian.PutUint64(d.Key[1:], id)
	binary.BigEndian.PutUint64(d.Key[9:], uint64(e.From))
	binary.BigEndian.PutUint64(d.Value, uint64(e.To))
	copy(d.Value[8:], e.Data)
	return d.Finish()
}

// putSnapshot puts an execution's snapshot before its events, where whoever
// reads them meets it without looking for it.
func putSnapshot(b *pebble.Batch, r *journal.Row) error {
	if r.Events.From == 0 {
		return unfit("a snapshot of execution %d without events", r.ID)
	}
	if len(r.Snapshot) == 0 {
		return b.Delete(eventsKey(r.ID, 0), nil)
	}
	return setEvents(b, r.ID, &journal.Events{To: r.Events.To, Data: r.Snapshot})
}

func unfit(format string, args ...any) error {
	return fmt.Errorf("append: %w: %w", journal.ErrUnfit, fmt.Errorf(format, args...))
}

// free returns an error if the ARN of a new execution is taken.
func (l *log) free(r *journal.Row) error {
	if r.Absent {
		return nil
	}
	switch _, err := l.store().get(arnKey(r.Entry.ARN)); {
	case err == nil:
		return unfit("execution %s exists already", r.Entry.ARN)
	case !errors.Is(err, flow.ErrNotFound):
		return fmt.Errorf("append: is execution %s there: %w", r.Entry.ARN, err)
	}
	return nil
}

// give gives a number to a new execution, unless it has been given already.
// l.mu is held.
func (l *log) give(id uint64) error {
	switch {
	case id > l.lastID:
		// Shards write in an order of their own: those below will mostly come.
		for skipped := l.lastID + 1; skipped < id && len(l.unused) < unusedKept; skipped++ {
			l.unused[skipped] = true
		}
		l.lastID = id
	case l.unused[id]:
		delete(l.unused, id)
	default:
		switch _, err := l.store().get(idKey(keyEntry, id)); {
		case err == nil:
			return unfit("execution %d has a history already", id)
		case !errors.Is(err, flow.ErrNotFound):
			return fmt.Errorf("append: has execution %d a history: %w", id, err)
		}
	}
	return nil
}

// putEntry writes an execution's entry and moves it in the lists.
func (l *log) putEntry(b *pebble.Batch, r *journal.Row) error {
	e := r.Entry
	var err error
	set := func(key, value []byte) {
		if err == nil {
			err = b.Set(key, value, nil)
		}
	}
	remove := func(key []byte) {
		if err == nil {
			err = b.Delete(key, nil)
		}
	}
	if r.New {
		set(arnKey(e.ARN), binary.BigEndian.AppendUint64(nil, r.ID))
	}
	set(idKey(keyEntry, r.ID), appendEntry(nil, e))
	for _, u := range e.Under {
		if r.New {
			set(listKey(u, anyStatus, e.Started, r.ID), nil)
		} else if r.Was != e.Status {
			remove(listKey(u, byte(r.Was), e.Started, r.ID))
		}
		if r.New || r.Was != e.Status {
			set(listKey(u, byte(e.Status), e.Started, r.ID), nil)
		}
	}
	switch running, was := e.Status == engine.Running, !r.New && r.Was == engine.Running; {
	case running && !was:
		set(idKey(keyOpen, r.ID), nil)
	case !running && was:
		remove(idKey(keyOpen, r.ID))
	}
	if e.Status != engine.Running {
		set(endedKey(e.Stopped, r.ID), nil)
	}
	return err
}

// tip is the number of an execution's last event. l.mu is held.
func (l *log) tip(id uint64) (int64, error) {
	if t, ok := l.tips[id]; ok {
		return t, nil
	}
	for e, err := range l.Read(context.Background(), id, 0, true) {
		return e.To, err
	}
	return 0, nil
}

func (l *log) Find(ctx context.Context, arn string) (journal.Entry, error) {
	v, err := l.store().get(arnKey(arn))
	if err != nil {
		return journal.Entry{}, err
	}
	if len(v) != 8 {
		return journal.Entry{}, fmt.Errorf("index of %s is broken: %x", arn, v)
	}
	return l.entry(binary.BigEndian.Uint64(v))
}

func (l *log) entry(id uint64) (journal.Entry, error) {
	v, err := l.store().get(idKey(keyEntry, id))
	if err != nil {
		return journal.Entry{}, err
	}
	return decodeEntry(id, v)
}

func (l *log) Running(ctx context.Context, id uint64) (journal.Entry, error) {
	e, err := l.entry(id)
	if err == nil && e.Status != engine.Running {
		return journal.Entry{}, flow.ErrNotFound
	}
	return e, err
}

func (l *log) Read(ctx context.Context, id uint64, from int64, reverse bool) iter.Seq2[journal.Events, error] {
	return func(yield func(journal.Events, error) bool) {
		o := &pebble.IterOptions{LowerBound: eventsKey(id, 1), UpperBound: idKey(keyEvents, id+1)}
		if from != 0 {
			o2, err := l.bounds(ctx, o, id, from, reverse)
			if err != nil {
				yield(journal.Events{}, err)
				return
			}
			o = o2
		}
		for r, err := range l.store().scan(ctx, o, reverse) {
			var e journal.Events
			if err == nil {
				e, err = decodeEvents(r.key, r.value)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// bounds narrows the rows of an execution to those from the one on that has
// event number from, or up to it.
func (l *log) bounds(ctx context.Context, o *pebble.IterOptions, id uint64, from int64, reverse bool) (*pebble.IterOptions, error) {
	next := eventsKey(id, from+1)
	if reverse {
		return &pebble.IterOptions{LowerBound: o.LowerBound, UpperBound: next}, nil
	}
	// The row that has it is the last one that begins at or before it.
	for r, err := range l.store().scan(ctx, &pebble.IterOptions{LowerBound: o.LowerBound, UpperBound: next}, true) {
		if err != nil {
			return nil, err
		}
		e, err := decodeEvents(r.key, r.value)
		if err != nil {
			return nil, err
		}
		if e.To < from {
			break
		}
		return &pebble.IterOptions{LowerBound: bytes.Clone(r.key), UpperBound: o.UpperBound}, nil
	}
	return &pebble.IterOptions{LowerBound: next, UpperBound: o.UpperBound}, nil
}

func (l *log) Load(ctx context.Context, id uint64) iter.Seq2[journal.Events, error] {
	return func(yield func(journal.Events, error) bool) {
		if err := l.store().err(); err == errClosed {
			yield(journal.Events{}, err)
			return
		}
		it, err := l.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: idKey(keyEvents, id), UpperBound: idKey(keyEvents, id+1)})
		if err != nil {
			yield(journal.Events{}, err)
			return
		}
		defer it.Close()
		for ok := it.First(); ok; {
			v, err := it.ValueAndErr()
			var e journal.Events
			if err == nil {
				e, err = decodeEvents(it.Key(), v)
			}
			if !yield(e, err) || err != nil {
				return
			}
			if e.From == 0 {
				ok = it.SeekGE(eventsKey(id, e.To+1))
			} else {
				ok = it.Next()
			}
		}
		if err := it.Error(); err != nil {
			yield(journal.Events{}, err)
		}
	}
}

func (l *log) Open(ctx context.Context) iter.Seq2[journal.Entry, error] {
	return l.entries(ctx, under([]byte{keyOpen}), func(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }, (*pebble.Iterator).Next)
}

func (l *log) CountOpen(ctx context.Context) (n int, err error) {
	for _, err := range l.store().scan(ctx, under([]byte{keyOpen}), false) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// entries returns the entries of the executions whose numbers are in the keys
// of rows. step is how to get from most entries to the next: a seek costs more.
func (l *log) entries(ctx context.Context, o *pebble.IterOptions, number func(key []byte) uint64, step func(*pebble.Iterator) bool) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		var it *pebble.Iterator // over entries, which mostly lie as the rows do
		var err error
		seek := make([]byte, 0, 9)
		for r, err2 := range l.store().scan(ctx, o, false) {
			var e journal.Entry
			if err = err2; err == nil && it == nil {
				if it, err = l.db.NewIterWithContext(ctx, under([]byte{keyEntry})); err == nil {
					defer it.Close()
				}
			}
			if err == nil {
				id := number(r.key)
				seek = binary.BigEndian.AppendUint64(append(seek[:0], keyEntry), id)
				at := func(there bool) bool { return there && bytes.Equal(it.Key(), seek) }
				if !(it.Valid() && at(step(it))) && !at(it.SeekGE(seek)) {
					if err = it.Error(); err == nil {
						continue // it came, or was expired, since the scan began
					}
				} else {
					var v []byte
					if v, err = it.ValueAndErr(); err == nil {
						e, err = decodeEntry(id, bytes.Clone(v))
					}
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (l *log) List(ctx context.Context, arn string, status *engine.Status, after *journal.Place) iter.Seq2[journal.Entry, error] {
	class := byte(anyStatus)
	if status != nil {
		class = byte(*status)
	}
	prefix := listKey(arn, class, 0, 0)
	o := under(prefix[:len(prefix)-16])
	if after != nil {
		o.LowerBound = append(listKey(arn, class, after.Started, after.ID), 0) // the one after it
	}
	return l.entries(ctx, o, func(key []byte) uint64 { return ^binary.BigEndian.Uint64(key[len(key)-8:]) }, (*pebble.Iterator).Prev)
}

func (l *log) Expire(ctx context.Context, before time.Time, limit int) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.db.NewBatch()
	n, err := l.expire(ctx, b, before, limit)
	if err != nil || b.Empty() {
		return 0, errors.Join(err, b.Close())
	}
	return n, l.store().commit(context.WithoutCancel(ctx), b)
}

// expire puts what Expire does into a batch. l.mu is held.
func (l *log) expire(ctx context.Context, b *pebble.Batch, before time.Time, limit int) (n int, err error) {
	for r, err := range l.store().scan(ctx, &pebble.IterOptions{LowerBound: []byte{keyEnded}, UpperBound: endedKey(before.UnixMilli(), 0)}, false) {
		if err != nil {
			return 0, err
		}
		if n == limit {
			break
		}
		if err := b.Delete(bytes.Clone(r.key), nil); err != nil {
			return 0, err
		}
		if len(r.key) != 17 {
			return 0, fmt.Errorf("key %x is not of an end", r.key)
		}
		e, err := l.entry(binary.BigEndian.Uint64(r.key[9:]))
		if errors.Is(err, flow.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(r.key, endedKey(e.Stopped, e.ID)) || e.Status == engine.Running {
			continue // it was redriven: another row stands for its end
		}
		n++
		err = errors.Join(b.Delete(arnKey(e.ARN), nil), b.Delete(idKey(keyEntry, e.ID), nil), b.DeleteRange(idKey(keyEvents, e.ID), idKey(keyEvents, e.ID+1), nil))
		for _, u := range e.Under {
			err = errors.Join(err, b.Delete(listKey(u, anyStatus, e.Started, e.ID), nil), b.Delete(listKey(u, byte(e.Status), e.Started, e.ID), nil))
		}
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (l *log) LastID(ctx context.Context) (uint64, error) {
	var last uint64
	for _, kind := range []byte{keyEntry, keyEvents} {
		for r, err := range l.store().scan(ctx, under([]byte{kind}), true) {
			if err != nil {
				return 0, err
			}
			if len(r.key) < 9 {
				return 0, fmt.Errorf("key %x is too short", r.key)
			}
			last = max(last, binary.BigEndian.Uint64(r.key[1:]))
			break
		}
	}
	return last, nil
}

func arnKey(arn string) []byte { return append([]byte{keyARN}, arn...) }

func idKey(kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 17), kind), id)
}

// eventsKey is where the row is that begins with event from; that of event 0 is
// the snapshot.
func eventsKey(id uint64, from int64) []byte {
	return binary.BigEndian.AppendUint64(idKey(keyEvents, id), uint64(from))
}

func endedKey(at int64, id uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(make([]byte, 0, 17), keyEnded), uint64(at)), id)
}

// listKey makes later executions come first.
func listKey(under string, class byte, started int64, id uint64) []byte {
	k := make([]byte, 0, 1+len(under)+2+16)
	k = append(append(append(k, keyList), under...), 0, class)
	k = binary.BigEndian.AppendUint64(k, ^uint64(started))
	return binary.BigEndian.AppendUint64(k, ^id)
}

// entryVersion is the form of what is under keyEntry.
const entryVersion = 2

func appendEntry(b []byte, e *journal.Entry) []byte {
	b = append(b, entryVersion, byte(e.Status))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Started))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Stopped))
	b = appendText(b, e.ARN)
	b = binary.AppendUvarint(b, uint64(len(e.Under)))
	for _, u := range e.Under {
		b = appendText(b, u)
	}
	return append(b, e.Data...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeEntry is the inverse of appendEntry. It keeps b.
func decodeEntry(id uint64, b []byte) (journal.Entry, error) {
	bad := func(what string) (journal.Entry, error) {
		return journal.Entry{}, fmt.Errorf("entry of execution %d: %s", id, what)
	}
	if len(b) < 18 {
		return bad("too short")
	}
	if b[0] != entryVersion {
		return bad("of a version that this program does not know")
	}
	if b[1] > byte(engine.PendingRedrive) {
		return bad("unknown status")
	}
	e := journal.Entry{
		ID:      id,
		Status:  engine.Status(b[1]),
		Started: int64(binary.BigEndian.Uint64(b[2:])),
		Stopped: int64(binary.BigEndian.Uint64(b[10:])),
	}
	b = b[18:]
	text := func() (string, bool) {
		m, k := binary.Uvarint(b)
		if k <= 0 || m > uint64(len(b)-k) {
			return "", false
		}
		s := string(b[k : k+int(m)])
		b = b[k+int(m):]
		return s, true
	}
	var ok bool
	if e.ARN, ok = text(); !ok {
		return bad("broken ARN")
	}
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)) {
		return bad("broken list")
	}
	b = b[k:]
	for range n {
		u, ok := text()
		if !ok {
			return bad("broken list")
		}
		e.Under = append(e.Under, u)
	}
	e.Data = b
	return e, nil
}

// decodeEvents copies: keys and values of a scan do not last.
func decodeEvents(key, value []byte) (journal.Events, error) {
	if len(key) != 17 || len(value) < 8 {
		return journal.Events{}, fmt.Errorf("broken row of events %x", key)
	}
	return journal.Events{
		From: int64(binary.BigEndian.Uint64(key[9:])),
		To:   int64(binary.BigEndian.Uint64(value)),
		Data: bytes.Clone(value[8:]),
	}, nil
}
