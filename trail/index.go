package trail

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
)

// index finds records. It can be made anew from the segments at any time and
// holds nothing that they do not. That of the segment that is being written is
// in memory; that of a segment that is full is a file beside it, of which some
// bytes for every thousand records are in memory.
//
// It holds hashes: who reads a record must look again.
type index struct {
	mu       sync.RWMutex
	segments []*indexed // by first record; the last is written to; guarded by mu
}

// indexed is one segment. Exactly one of live and sealed is set.
type indexed struct {
	name   string
	file   file   // one that can be replaced
	first  uint64 // sequence of its first record
	live   *live
	sealed *sealed
}

func (s *indexed) records() int {
	if s.live != nil {
		return len(s.live.offsets)
	}
	return s.sealed.Records
}

// meta is what the index keeps of a record.
type meta struct {
	at     int64 // in its segment
	time   int64
	phase  Phase
	id     string // EventID
	intent string // IntentID
	region string
	keys   []uint64 // hashes of what it is found by
}

// requestKey is what Find searches by; it is no Attribute of CloudTrail's.
const requestKey = "requestID"

// key hashes what a record is found by: FNV-1a. The region is part of it because
// LookupEvents always asks for one.
func key(attribute, value, region string) uint64 {
	h := uint64(14695981039346656037)
	add := func(s string) {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // no byte of UTF-8
	}
	add(attribute)
	add(value)
	add(region)
	return h
}

func metaOf(r *Record) meta {
	m := meta{time: r.Time.UnixNano(), phase: r.Phase, id: r.EventID, intent: r.IntentID, region: r.Region}
	m.keys = make([]uint64, 0, 8+2*len(r.Resources))
	if r.RequestID != "" {
		m.keys = append(m.keys, key(requestKey, r.RequestID, ""))
	}
	if r.Phase == Intent || r.Data() {
		return m
	}
	add := func(a Attribute, v string) {
		if v != "" {
			m.keys = append(m.keys, key(string(a), v, r.Region))
		}
	}
	m.keys = append(m.keys, key("", "", r.Region))
	add(ByEventID, r.EventID)
	add(ByEventName, r.Name)
	add(ByReadOnly, readOnlyText(r.ReadOnly))
	add(ByUsername, r.Username())
	add(BySource, r.Source)
	add(ByAccessKeyID, r.Identity.AccessKeyID)
	for _, x := range r.Resources {
		add(ByResourceName, x.Name)
		add(ByResourceType, x.Type)
	}
	slices.Sort(m.keys) // a list names a record once
	m.keys = slices.Compact(m.keys)
	return m
}

func readOnlyText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func newIndex() *index { return new(index) }

// addSegment begins the index of a new last segment, or goes on with what of it is
// known already.
func (x *index) addSegment(name string, f file, first uint64, l *live) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segments = append(x.segments, &indexed{name: name, file: &replaceable{file: f}, first: first, live: l})
}

// addSealed adds a segment that has its index in a file.
func (x *index) addSealed(name string, f file, first uint64, s *sealed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segments = append(x.segments, &indexed{name: name, file: &replaceable{file: f}, first: first, sealed: s})
}

// dropSegment forgets the last segment, which has no records.
func (x *index) dropSegment() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segments = x.segments[:len(x.segments)-1]
}

// dropFirst forgets the first segment and returns its files.
func (x *index) dropFirst() *indexed {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.segments[0]
	x.segments = slices.Clone(x.segments[1:])
	return s
}

// has reports whether a segment is still there.
func (x *index) has(name string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.ContainsFunc(x.segments, func(s *indexed) bool { return s.name == name })
}

// firstRecord is the sequence of the first record that is kept.
func (x *index) firstRecord() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.segments) == 0 { // closed
		return 1
	}
	return x.segments[0].first
}

func (x *index) empty() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.segments) == 0
}

// last is the segment that is being written.
func (x *index) last() *indexed {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.segments[len(x.segments)-1]
}

// list is the segments as they are now. Their sealed and live parts change
// under the index's lock only.
func (x *index) list() []indexed {
	x.mu.RLock()
	defer x.mu.RUnlock()
	all := make([]indexed, len(x.segments))
	for i, s := range x.segments {
		all[i] = *s
	}
	return all
}

// seal replaces a segment's live index.
func (x *index) seal(of *live, s *sealed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, seg := range x.segments {
		if seg.live == of {
			seg.live, seg.sealed = nil, s
			return
		}
	}
	s.file.Close() // the segment was removed meanwhile
}

// MaxRecords is the highest sequence that a token can name.
const MaxRecords = 1<<63 - 2

func (x *index) addAll(group []*entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.segments[len(x.segments)-1].live
	for _, e := range group {
		l.add(&e.meta)
	}
}

// add adds a record of the last segment.
func (x *index) add(m *meta) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segments[len(x.segments)-1].live.add(m)
}

// errGoneRecord says that a record was removed with its segment.
var errGoneRecord = errors.New("trail: the record is no longer kept")

// find returns the segment and the place in it of a record.
func (x *index) find(seq uint64) (f file, at int64, err error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	i, found := slices.BinarySearchFunc(x.segments, seq, func(s *indexed, seq uint64) int {
		switch {
		case s.first < seq:
			return -1
		case s.first > seq:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	if i < 0 {
		return nil, 0, errGoneRecord
	}
	s := x.segments[i]
	no := int(seq - s.first)
	if no >= s.records() {
		return nil, 0, fmt.Errorf("trail: there is no record %d", seq)
	}
	if s.live != nil {
		return s.file, int64(s.live.offsets[no]), nil
	}
	at, err = s.sealed.offset(no)
	return s.file, at, err
}

// readAhead is how much of a record is read at first. Most have less.
const readAhead = 2 << 10

// read gets a record from its segment.
func (x *index) read(seq uint64) (*Record, error) {
	f, at, err := x.find(seq)
	if err != nil {
		return nil, err
	}
	body, err := readBody(f, at)
	if err == nil {
		var r *Record
		if r, err = parseBody(body); err == nil {
			return r, nil
		}
	}
	return nil, fmt.Errorf("trail: read record %d at offset %d of its segment: %w", seq, at, err)
}

// readBody reads the stored form of the record at an offset.
func readBody(f file, at int64) ([]byte, error) {
	payload, err := readPayload(f, at)
	if err != nil {
		return nil, err
	}
	_, _, body, err := parsePayload(payload)
	return body, err
}

// readPayload reads what the frame at an offset holds.
func readPayload(f file, at int64) ([]byte, error) {
	b := make([]byte, readAhead)
	n, err := f.ReadAt(b, at)
	if err != nil && err != io.EOF { //nolint:errorlint // ReaderAt returns it bare
		return nil, err
	}
	b = b[:n]
	if n >= frameSize {
		if want := frameSize + int(frameLength(b)); want > n && want <= frameSize+int(maxPayload) {
			b = make([]byte, want)
			if _, err := f.ReadAt(b, at); err != nil {
				return nil, err
			}
		}
	}
	payload, _, err := parseFrame(b)
	return payload, err
}

// search returns candidates for a query, newest first, all with a sequence
// below limit and n of them at most.
func (x *index) search(q *Query, limit uint64, n int) (found []uint64, err error) {
	from, to := int64(-1<<63), int64(1<<63-1)
	if !q.Start.IsZero() {
		from = q.Start.UnixNano()
	}
	if !q.End.IsZero() {
		to = q.End.UnixNano()
	}
	for _, s := range slices.Backward(x.list()) {
		if s.first >= limit {
			continue
		}
		below := int(min(limit-s.first, 1<<31))
		got, err := x.inSegment(s, q, below, n-len(found), from, to)
		if errors.Is(err, os.ErrClosed) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, no := range got {
			found = append(found, s.first+uint64(no))
		}
		if len(found) >= n {
			break
		}
	}
	return found, nil
}

func (x *index) inSegment(s indexed, q *Query, below, n int, from, to int64) (got []uint32, err error) {
	if s.live != nil {
		x.mu.RLock()
		defer x.mu.RUnlock()
	}
	w := narrow{below: below, from: from, to: to, n: n}
	regions := []string{q.Region}
	if q.Region == "" {
		regions = s.regions()
	}
	for _, region := range regions {
		k := key(string(q.Attribute), q.Value, region)
		var some []uint32
		if s.live != nil {
			some = s.live.search(k, w)
		} else if some, err = s.sealed.search(k, w); err != nil {
			return nil, fmt.Errorf("trail: index of %s: %w", s.name, err)
		}
		got = append(got, some...)
	}
	if len(regions) > 1 {
		slices.SortFunc(got, func(a, b uint32) int { return int(b) - int(a) })
		got = got[:min(n, len(got))]
	}
	return got, nil
}

func (s *indexed) regions() []string {
	if s.live != nil {
		return s.live.regions
	}
	return s.sealed.Regions
}

// narrow narrows a search in one segment.
type narrow struct {
	below    int   // record numbers
	from, to int64 // times, inclusive
	n        int   // at most
}

// request returns the candidates for a request id, oldest first.
func (x *index) request(id string) (found []uint64, err error) {
	k := key(requestKey, id, "")
	w := narrow{below: 1 << 31, from: -1 << 63, to: 1<<63 - 1, n: 1 << 20}
	for _, s := range x.list() {
		var some []uint32
		if s.live != nil {
			x.mu.RLock()
			some = s.live.search(k, w)
			x.mu.RUnlock()
		} else if some, err = s.sealed.search(k, w); errors.Is(err, os.ErrClosed) {
			continue // removed meanwhile
		} else if err != nil {
			return nil, fmt.Errorf("trail: index of %s: %w", s.name, err)
		}
		for _, no := range slices.Backward(some) {
			found = append(found, s.first+uint64(no))
		}
	}
	return found, nil
}

func (x *index) close() (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.segments {
		err = errors.Join(err, s.close())
	}
	x.segments = nil
	return err
}

func (s *indexed) close() error {
	err := s.file.Close()
	if s.sealed != nil {
		err = errors.Join(err, s.sealed.file.Close())
	}
	return err
}

// live is the index of a segment that is being written. It is guarded by the
// index's lock.
type live struct {
	offsets []uint32
	times   []int64
	regions []string
	newest  table // key to place in links + 1
	links   []link

	open    map[string]uint32 // Intents without Outcome in this segment, by EventID
	foreign []string          // IntentIDs of Outcomes whose Intent is in another
}

// link is one record that a key finds, and the one before it.
type link struct {
	key       uint64
	no, older uint32
}

func newLive() *live { return &live{newest: newTable(), open: map[string]uint32{}} }

func (l *live) add(m *meta) {
	no := uint32(len(l.offsets))
	l.offsets = append(l.offsets, uint32(m.at))
	l.times = append(l.times, m.time)
	switch m.phase {
	case Intent:
		l.open[m.id] = no
	case Outcome:
		if _, ok := l.open[m.intent]; ok {
			delete(l.open, m.intent)
		} else {
			l.foreign = append(l.foreign, m.intent)
		}
	}
	if len(m.keys) > 1 && !slices.Contains(l.regions, m.region) {
		l.regions = append(l.regions, m.region)
	}
	for _, k := range m.keys {
		newest := l.newest.at(k)
		l.links = append(l.links, link{k, no, *newest})
		*newest = uint32(len(l.links))
	}
}

// freeze is the index of the last segment as it is now.
func (x *index) freeze() live {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l := *x.segments[len(x.segments)-1].live // its lists only grow
	l.newest, l.open = table{}, maps.Clone(l.open)
	return l
}

func (l *live) search(k uint64, w narrow) (found []uint32) {
	for at := l.newest.get(k); at != 0 && len(found) < w.n; {
		x := l.links[at-1]
		if int(x.no) < w.below && l.times[x.no] >= w.from && l.times[x.no] <= w.to {
			found = append(found, x.no)
		}
		at = x.older
	}
	return found
}
