package trail

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// sealed is the index of a full segment, in a file. Open takes it for the
// segment if its header fits; whoever doubts it removes the file. The file of
// the segment that is being written is of its first bytes: Open reads what
// follows them.
//
//	magic [16]  length of the header u32  CRC32C of the header u32
//	header    JSON: sealedHeader
//	offsets   u32 for every record: where its frame is
//	times     i64 for every record, in nanoseconds
//	spans     i64, i64 for every span of records: the earliest and the latest time
//	keys      u64 key, u32 first, u32 count: sorted by key
//	postings  u32: record numbers of each key, ascending
type sealed struct {
	sealedHeader
	file  file
	spans [][2]int64 // read at open
	at    int64      // of the first section
}

type sealedHeader struct {
	First   uint64      `json:"first"`
	Records int         `json:"records"`
	Size    int64       `json:"size"`   // of the segment
	Before  hash        `json:"before"` // where the chain stood
	After   hash        `json:"after"`
	Tree    []tlog.Hash `json:"tree"`   // subtrees after it
	Signed  uint64      `json:"signed"` // records that the last checkpoint covers
	Note    []byte      `json:"note"`   // that checkpoint
	Last    int64       `json:"last"`   // offset of the last frame
	From    int64       `json:"from"`
	To      int64       `json:"to"`
	Regions []string    `json:"regions"`
	Open    []string    `json:"open"`    // Intents without Outcome
	OpenAt  []uint32    `json:"openAt"`  // their numbers
	Foreign []string    `json:"foreign"` // Intents of earlier segments that have their Outcome here
	Keys    int         `json:"keys"`
	Posts   int         `json:"postings"`
	Sum     uint32      `json:"sum"` // CRC32C of all sections
}

const (
	sealedMagic  = "tokaido index 1\n"
	sealedSuffix = ".index"
	spanSize     = 1 << 10
	maxHeader    = 64 << 20
)

func indexName(segment string) string { return segment[:len(segment)-len(suffix)] + sealedSuffix }

// sealLive makes the file of a live index to which nobody adds. h has what the
// index does not know.
func sealLive(l *live, h sealedHeader) []byte {
	h.Records = len(l.offsets)
	h.Regions, h.Foreign = l.regions, l.foreign
	h.Open = slices.SortedFunc(maps.Keys(l.open), func(a, b string) int { return int(l.open[a]) - int(l.open[b]) })
	for _, id := range h.Open {
		h.OpenAt = append(h.OpenAt, l.open[id])
	}
	links := sortLinks(l.links)
	h.Keys, h.Posts = 0, len(links)
	for i := range links {
		if i == 0 || links[i].key != links[i-1].key {
			h.Keys++
		}
	}
	spans := spansOf(l.times)
	for i, s := range spans {
		if i == 0 || s[0] < h.From {
			h.From = s[0]
		}
		if i == 0 || s[1] > h.To {
			h.To = s[1]
		}
	}
	b := make([]byte, 0, 12*h.Records+16*len(spans)+16*h.Keys+4*h.Posts)
	for _, x := range l.offsets {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	for _, x := range l.times {
		b = binary.LittleEndian.AppendUint64(b, uint64(x))
	}
	for _, s := range spans {
		b = binary.LittleEndian.AppendUint64(b, uint64(s[0]))
		b = binary.LittleEndian.AppendUint64(b, uint64(s[1]))
	}
	for from := 0; from < len(links); {
		to := from + 1
		for to < len(links) && links[to].key == links[from].key {
			to++
		}
		b = binary.LittleEndian.AppendUint64(b, links[from].key)
		b = binary.LittleEndian.AppendUint32(b, uint32(from))
		b = binary.LittleEndian.AppendUint32(b, uint32(to-from))
		from = to
	}
	for i := range links {
		b = binary.LittleEndian.AppendUint32(b, links[i].no)
	}
	h.Sum = crc32.Checksum(b, castagnoli)
	head, err := json.Marshal(h)
	if err != nil {
		panic(err) // it has only numbers, strings and bytes
	}
	file := make([]byte, 0, 24+len(head)+len(b))
	file = append(file, sealedMagic...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(head)))
	file = binary.LittleEndian.AppendUint32(file, crc32.Checksum(head, castagnoli))
	return append(append(file, head...), b...)
}

// sortLinks is the links by key, and by record within a key. They come in the
// order of their records.
func sortLinks(links []link) []link {
	out := slices.Clone(links)
	sortKeys(out, make([]link, len(links)), 56)
	return out
}

// fewLinks are sorted one by one.
const fewLinks = 24

// sortKeys sorts links by their keys' bits below shift+8, where all have those
// above in common. It leaves those of one key in their order: half of a log's
// links are of keys that nearly all records have.
func sortKeys(links, spare []link, shift int) {
	if len(links) <= fewLinks {
		for i := 1; i < len(links); i++ {
			x := links[i]
			j := i
			for ; j > 0 && links[j-1].key > x.key; j-- {
				links[j] = links[j-1]
			}
			links[j] = x
		}
		return
	}
	var at [257]int // where each byte's links begin
	for i := range links {
		at[1+int(byte(links[i].key>>shift))]++
	}
	if at[1+int(byte(links[0].key>>shift))] < len(links) {
		for i := range 256 {
			at[i+1] += at[i]
		}
		for i := range links {
			b := byte(links[i].key >> shift)
			spare[at[b]] = links[i]
			at[b]++
		}
		copy(links, spare)
	} else {
		for i := range at { // all have the same
			at[i] = len(links)
		}
	}
	if shift == 0 {
		return
	}
	from := 0
	for i := range 256 { // each ends where the next one began
		sortKeys(links[from:at[i]], spare[from:at[i]], shift-8)
		from = at[i]
	}
}

// inflate makes the index of a segment that goes on from the file of its first
// bytes.
func (s *sealed) inflate() (*live, error) {
	b := make([]byte, s.postsAt()+4*int64(s.Posts)-s.at)
	if _, err := s.file.ReadAt(b, s.at); err != nil && (err != io.EOF || len(b) > 0) { //nolint:errorlint // as below
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != s.Sum {
		return nil, errNoIndex
	}
	l := newLive()
	l.regions, l.foreign = s.Regions, s.Foreign
	for i, id := range s.Open {
		l.open[id] = s.OpenAt[i]
	}
	l.offsets, l.times, l.links = make([]uint32, s.Records), make([]int64, s.Records), make([]link, 0, s.Posts)
	times, keys, posts := b[s.timesAt()-s.at:], b[s.keysAt()-s.at:], b[s.postsAt()-s.at:]
	for i := range s.Records {
		l.offsets[i] = binary.LittleEndian.Uint32(b[4*i:])
		l.times[i] = int64(binary.LittleEndian.Uint64(times[8*i:]))
	}
	for i := range s.Keys {
		k := binary.LittleEndian.Uint64(keys[16*i:])
		first, count := binary.LittleEndian.Uint32(keys[16*i+8:]), binary.LittleEndian.Uint32(keys[16*i+12:])
		if uint64(first) != uint64(len(l.links)) || uint64(count) > uint64(s.Posts-len(l.links)) {
			return nil, errNoIndex
		}
		older := uint32(0)
		for range count {
			no := binary.LittleEndian.Uint32(posts[4*len(l.links):])
			if int(no) >= s.Records {
				return nil, errNoIndex
			}
			l.links = append(l.links, link{k, no, older})
			older = uint32(len(l.links))
		}
		if older != 0 {
			*l.newest.at(k) = older
		}
	}
	return l, nil
}

func spansOf(times []int64) (spans [][2]int64) {
	for part := range slices.Chunk(times, spanSize) {
		spans = append(spans, [2]int64{slices.Min(part), slices.Max(part)})
	}
	return spans
}

var errNoIndex = errors.New("not the index of the segment")

// openSealed opens the index f of the segment seg, which must stand where c
// does. It checks that it belongs to it, and the last frame of what it is of;
// what is between is for Verify. part takes an index of its first bytes too.
func openSealed(f, seg file, c *chain, part bool) (*sealed, error) {
	s := &sealed{file: f}
	var fixed [24]byte
	if _, err := f.ReadAt(fixed[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(fixed[16:])
	if string(fixed[:16]) != sealedMagic || n > maxHeader {
		return nil, errNoIndex
	}
	head := make([]byte, n)
	if _, err := f.ReadAt(head, 24); err != nil {
		return nil, err
	}
	if crc32.Checksum(head, castagnoli) != binary.LittleEndian.Uint32(fixed[20:]) {
		return nil, errNoIndex
	}
	if err := json.Unmarshal(head, &s.sealedHeader); err != nil {
		return nil, err
	}
	s.at = 24 + int64(n)
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	segSize, err := seg.Size()
	if err != nil {
		return nil, err
	}
	spans := (s.Records + spanSize - 1) / spanSize
	switch {
	case s.Records < 0 || s.Keys < 0 || s.Posts < 0 || len(s.Open) != len(s.OpenAt),
		size != s.postsAt()+4*int64(s.Posts),
		s.First != c.next || s.Before != c.prev, segSize != s.Size && (!part || segSize < s.Size), s.Last < headerSize || s.Last >= s.Size:
		return nil, errNoIndex
	}
	var header [headerSize]byte
	if _, err := seg.ReadAt(header[:], 0); err != nil {
		return nil, err
	}
	if first, prev, err := parseHeader(header[:]); err != nil || first != c.next || prev != c.prev {
		return nil, errNoIndex
	}
	last := make([]byte, s.Size-s.Last)
	if _, err := seg.ReadAt(last, s.Last); err != nil {
		return nil, err
	}
	if payload, _, err := parseFrame(last); err != nil || len(payload) != len(last)-frameSize || sum(payload) != s.After {
		return nil, errNoIndex
	}
	t, err := treeOf(s.First-1+uint64(s.Records), s.Tree)
	if err != nil {
		return nil, errNoIndex
	}
	b := make([]byte, 16*spans)
	if _, err := f.ReadAt(b, s.spansAt()); err != nil && (err != io.EOF || len(b) > 0) { //nolint:errorlint // as above
		return nil, err
	}
	for i := range spans {
		s.spans = append(s.spans, [2]int64{int64(binary.LittleEndian.Uint64(b[16*i:])), int64(binary.LittleEndian.Uint64(b[16*i+8:]))})
	}
	c.next, c.prev, c.tree, c.signed, c.note = s.First+uint64(s.Records), s.After, t.clone(), s.Signed, s.Note
	s.Note = nil
	return s, nil
}

func (s *sealed) timesAt() int64 { return s.at + 4*int64(s.Records) }
func (s *sealed) spansAt() int64 { return s.timesAt() + 8*int64(s.Records) }
func (s *sealed) keysAt() int64 {
	return s.spansAt() + 16*int64((s.Records+spanSize-1)/spanSize)
}
func (s *sealed) postsAt() int64 { return s.keysAt() + 16*int64(s.Keys) }

func (s *sealed) offset(no int) (int64, error) {
	var b [4]byte
	_, err := s.file.ReadAt(b[:], s.at+4*int64(no))
	return int64(binary.LittleEndian.Uint32(b[:])), err
}

// lookup finds the postings of a key.
func (s *sealed) lookup(k uint64) (first, count int, err error) {
	lo, hi := 0, s.Keys
	var b [16]byte
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if _, err := s.file.ReadAt(b[:], s.keysAt()+16*int64(mid)); err != nil {
			return 0, 0, err
		}
		switch at := binary.LittleEndian.Uint64(b[:]); {
		case at == k:
			first, count = int(binary.LittleEndian.Uint32(b[8:])), int(binary.LittleEndian.Uint32(b[12:]))
			if first+count > s.Posts {
				return 0, 0, fmt.Errorf("a key of %d records from %d on, of %d", count, first, s.Posts)
			}
			return first, count, nil
		case at < k:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, 0, nil
}

// search walks the postings of a key from the newest. Spans of records that the
// times exclude are passed over whole.
func (s *sealed) search(k uint64, w narrow) (found []uint32, err error) {
	if s.Records == 0 || s.From > w.to || s.To < w.from {
		return nil, nil
	}
	first, count, err := s.lookup(k)
	if err != nil || count == 0 {
		return nil, err
	}
	p := postings{s: s, first: first}
	end := count
	if w.below < s.Records {
		if end, err = p.before(count, w.below); err != nil {
			return nil, err
		}
	}
	var times []byte
	timesOf := -1
	for end > 0 && len(found) < w.n {
		no, err := p.get(end - 1)
		if err != nil {
			return nil, err
		}
		if int(no) >= s.Records {
			return nil, fmt.Errorf("record %d of %d", no, s.Records)
		}
		span := int(no) / spanSize
		if s.spans[span][0] > w.to || s.spans[span][1] < w.from {
			for span > 0 && (s.spans[span-1][0] > w.to || s.spans[span-1][1] < w.from) {
				span--
			}
			if end, err = p.before(end, span*spanSize); err != nil {
				return nil, err
			}
			continue
		}
		if s.spans[span][0] < w.from || s.spans[span][1] > w.to { // only a part of it fits
			if timesOf != span {
				n := min(spanSize, s.Records-span*spanSize)
				times = slices.Grow(times[:0], 8*n)[:8*n]
				if _, err := s.file.ReadAt(times, s.timesAt()+8*int64(span*spanSize)); err != nil {
					return nil, err
				}
				timesOf = span
			}
			if t := int64(binary.LittleEndian.Uint64(times[8*(int(no)%spanSize):])); t < w.from || t > w.to {
				end--
				continue
			}
		}
		found = append(found, no)
		end--
	}
	return found, nil
}

// postings reads one key's list through a buffer that moves towards its start.
type postings struct {
	s     *sealed
	first int
	buf   []byte
	from  int
}

const postingsBuffer = 256

func (p *postings) get(i int) (uint32, error) {
	if i < p.from || i >= p.from+len(p.buf)/4 || p.buf == nil {
		p.from = max(0, i+1-postingsBuffer)
		p.buf = slices.Grow(p.buf[:0], 4*postingsBuffer)[:4*(i+1-p.from)]
		if _, err := p.s.file.ReadAt(p.buf, p.s.postsAt()+4*int64(p.first+p.from)); err != nil {
			p.buf = nil
			return 0, err
		}
	}
	return binary.LittleEndian.Uint32(p.buf[4*(i-p.from):]), nil
}

// before returns how many of the first n postings are below a record number.
func (p *postings) before(n, below int) (int, error) {
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		var b [4]byte
		if _, err := p.s.file.ReadAt(b[:], p.s.postsAt()+4*int64(p.first+mid)); err != nil {
			return 0, err
		}
		if int(binary.LittleEndian.Uint32(b[:])) < below {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}
