package trail

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
)

// index finds records in memory. It is rebuilt from the segments at every open
// and holds nothing that they do not. A record costs some 150 bytes here.
type index struct {
	seed maphash.Seed

	mu       sync.RWMutex
	segments []file              // guarded by mu; open until close
	places   []place             // of every record; guarded by mu
	times    []int64             // of every record, in nanoseconds; guarded by mu
	regions  []uint16            // of every record, into regionNo; intentRegion for an Intent; guarded by mu
	regionNo map[string]uint16   // guarded by mu
	ids      thread              // by EventID; guarded by mu
	requests thread              // by RequestID, Intents too; guarded by mu
	lists    map[uint64][]uint32 // by attribute and value, ascending; guarded by mu
}

// place is where a record is.
type place struct {
	at      int64
	segment uint32
	size    uint32 // of the payload
}

// meta is what the index keeps of a record.
type meta struct {
	place
	time    int64
	intent  bool
	region  string
	id      string
	request string
	keys    []string // attribute, NUL, value
}

func (m *meta) put(segment int, at int64, size int) {
	m.place = place{at, uint32(segment), uint32(size)}
}

func metaOf(r *Record) meta {
	m := meta{time: r.Time.UnixNano(), intent: r.Phase == Intent, region: r.Region, id: r.EventID, request: r.RequestID}
	if m.intent {
		return m
	}
	m.keys = make([]string, 0, 5+2*len(r.Resources))
	add := func(a Attribute, v string) {
		if v != "" {
			m.keys = append(m.keys, string(a)+"\x00"+v)
		}
	}
	add(ByEventName, r.Name)
	add(ByReadOnly, readOnlyText(r.ReadOnly))
	add(ByUsername, r.Username())
	add(BySource, r.Source)
	add(ByAccessKeyID, r.Identity.AccessKeyID)
	for i, x := range r.Resources {
		add(ByResourceName, x.Name)
		for _, y := range r.Resources[:i] { // a list names a record once
			if x.Type == y.Type {
				x.Type = ""
			}
		}
		add(ByResourceType, x.Type)
	}
	return m
}

func readOnlyText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// thread links the records that share a value, newest to oldest, in little
// memory: for values that nearly always belong to one or two records.
type thread struct {
	newest map[uint64]uint32 // hash of the value to record number + 1
	older  []uint32          // of every record: number + 1 of the one before it with its hash
}

func (t *thread) add(hash uint64) {
	t.older = append(t.older, t.newest[hash])
	t.newest[hash] = uint32(len(t.older))
}

const intentRegion = 0

func newIndex() *index {
	return &index{
		seed: maphash.MakeSeed(), regionNo: map[string]uint16{},
		ids: thread{newest: map[uint64]uint32{}}, requests: thread{newest: map[uint64]uint32{}},
		lists: map[uint64][]uint32{},
	}
}

func (x *index) hash(s string) uint64 { return maphash.String(x.seed, s) }

func (x *index) addSegment(f file) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segments = append(x.segments, f)
	return len(x.segments) - 1
}

// dropSegment forgets the last segment, which has no records.
func (x *index) dropSegment() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segments = x.segments[:len(x.segments)-1]
}

// newest is the number of the last segment.
func (x *index) newest() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.segments) - 1
}

// MaxRecords is how many records the index can number.
const MaxRecords = 1<<32 - 2

func (x *index) addAll(group []*entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range group {
		x.addLocked(&e.meta)
	}
}

// add returns the number of the record.
func (x *index) add(m *meta) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.addLocked(m)
}

func (x *index) addLocked(m *meta) int {
	no := len(x.places)
	if no > MaxRecords {
		panic("trail: more records than the index can number")
	}
	x.places = append(x.places, m.place)
	x.times = append(x.times, m.time)
	region := uint16(intentRegion)
	if !m.intent {
		var ok bool
		if region, ok = x.regionNo[m.region]; !ok {
			region = uint16(len(x.regionNo) + 1)
			x.regionNo[m.region] = region
		}
	}
	x.regions = append(x.regions, region)
	x.ids.add(x.hash(m.id))
	x.requests.add(x.hash(m.request))
	for _, k := range m.keys {
		h := x.hash(k)
		x.lists[h] = append(x.lists[h], uint32(no))
	}
	return no
}

// read gets record no from its segment.
func (x *index) read(no int) (*Record, error) {
	x.mu.RLock()
	p := x.places[no]
	f := x.segments[p.segment]
	x.mu.RUnlock()
	b := make([]byte, frameSize+int(p.size))
	if _, err := f.ReadAt(b, p.at); err != nil {
		return nil, fmt.Errorf("trail: read record %d: %w", no+1, err)
	}
	payload, _, err := parseFrame(b)
	if err == nil {
		var body []byte
		if _, _, body, err = parsePayload(payload); err == nil {
			var r *Record
			if r, err = parseBody(body); err == nil {
				return r, nil
			}
		}
	}
	return nil, fmt.Errorf("trail: read record %d at offset %d of its segment: %w", no+1, p.at, err)
}

// search returns candidates for a query, newest first, all with
// a number below limit and n of them at most. The lists hold hashes: who reads a record must look again.
func (x *index) search(q *Query, limit, n int) (found []int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	limit = min(limit, len(x.places))
	region := uint16(0)
	if q.Region != "" {
		var ok bool
		if region, ok = x.regionNo[q.Region]; !ok {
			return nil
		}
	}
	from, to := int64(-1<<63), int64(1<<63-1)
	if !q.Start.IsZero() {
		from = q.Start.UnixNano()
	}
	if !q.End.IsZero() {
		to = q.End.UnixNano()
	}
	fits := func(no int) bool {
		r := x.regions[no]
		return r != intentRegion && (region == 0 || r == region) && x.times[no] >= from && x.times[no] <= to
	}
	switch q.Attribute {
	case "":
		for no := limit - 1; no >= 0 && len(found) < n; no-- {
			if fits(no) {
				found = append(found, no)
			}
		}
	case ByEventID:
		for at := x.ids.newest[x.hash(q.Value)]; at != 0 && len(found) < n; at = x.ids.older[at-1] {
			if no := int(at - 1); no < limit && fits(no) {
				found = append(found, no)
			}
		}
	default:
		list := x.lists[x.hash(string(q.Attribute)+"\x00"+q.Value)]
		for i := len(list) - 1; i >= 0 && len(found) < n; i-- {
			if no := int(list[i]); no < limit && fits(no) {
				found = append(found, no)
			}
		}
	}
	return found
}

// request returns the candidates for a request id, oldest first.
func (x *index) request(id string) (found []int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for at := x.requests.newest[x.hash(id)]; at != 0; at = x.requests.older[at-1] {
		found = append(found, int(at-1))
	}
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found
}

func (x *index) close() (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range x.segments {
		err = errors.Join(err, f.Close())
	}
	x.segments = nil
	return err
}
