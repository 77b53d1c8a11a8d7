package trail

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"tokaido/value"
)

// A segment is a header and frames. DESIGN.md says why they are as they are.
//
//	header  magic [16]  first sequence u64  hash before it [32]  zero [4]  CRC32C of all that u32
//	frame   length u32, its top bit: all before this frame was durable when it was written
//	        CRC32C of the length and the payload u32
//	        payload {"seq":N,"prev":"HEX","r":{…}}, or "checkpoint\n" and a signed note
//	mark    a frame of length 0 with the top bit, only at the very end
//	zeros   behind the end, in the last segment only; see ahead.go
//
// Numbers are little-endian. The hash of a record is SHA-256 of its payload,
// and prev is that of the payload before it, whether record or checkpoint.
const (
	magic      = "tokaido trail 1\n"
	headerSize = 64
	frameSize  = 8 // of a frame without its payload
	settled    = 1 << 31

	// MaxRecord is the most bytes of one record. CloudTrail's own are 256 KB.
	MaxRecord = 1 << 20
)

type hash = [sha256.Size]byte

func sum(b []byte) hash { return sha256.Sum256(b) }

// frameLength is the length that the frame at the start of b claims.
func frameLength(b []byte) uint32 { return binary.LittleEndian.Uint32(b) &^ settled }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendHeader(b []byte, first uint64, prev hash) []byte {
	from := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = append(b, prev[:]...)
	b = append(b, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

func parseHeader(b []byte) (first uint64, prev hash, err error) {
	if len(b) < headerSize {
		return 0, hash{}, errors.New("the header is cut off")
	}
	if string(b[:len(magic)]) != magic {
		return 0, hash{}, errors.New("not a segment of a trail")
	}
	sum := headerSize - 4
	if binary.LittleEndian.Uint32(b[sum:]) != crc32.Checksum(b[:sum], castagnoli) || !bytes.Equal(b[sum-4:sum], make([]byte, 4)) {
		return 0, hash{}, errors.New("the header's checksum is wrong")
	}
	return binary.LittleEndian.Uint64(b[len(magic):]), hash(b[len(magic)+8:]), nil
}

const (
	seqKey  = `{"seq":`
	prevKey = `,"prev":"`
	bodyKey = `","r":`
)

// appendFrame appends the frame of record seq with the stored form body and
// returns the record's hash.
func appendFrame(b []byte, seq uint64, prev hash, body []byte, first bool) ([]byte, hash) {
	from := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = strconv.AppendUint(append(b, seqKey...), seq, 10)
	b = hex.AppendEncode(append(b, prevKey...), prev[:])
	b = append(append(append(b, bodyKey...), body...), '}')
	return endFrame(b, from, first)
}

// endFrame completes the frame that begins at from and returns its payload's hash.
func endFrame(b []byte, from int, first bool) ([]byte, hash) {
	payload := b[from+frameSize:]
	n := uint32(len(payload))
	if first {
		n |= settled
	}
	sealFrame(b[from:], n, payload)
	return b, sum(payload)
}

// notePrefix begins the payload of a checkpoint. A record's begins with a brace.
const notePrefix = "checkpoint\n"

func appendNoteFrame(b, note []byte, first bool) ([]byte, hash) {
	from := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(append(b, notePrefix...), note...)
	return endFrame(b, from, first)
}

func sealFrame(frame []byte, n uint32, payload []byte) {
	binary.LittleEndian.PutUint32(frame, n)
	sum := crc32.Update(crc32.Checksum(frame[:4], castagnoli), castagnoli, payload)
	binary.LittleEndian.PutUint32(frame[4:], sum)
}

// mark says that everything before it is durable.
var mark = func() (m [frameSize]byte) {
	sealFrame(m[:], settled, nil)
	return m
}()

var errShort = errors.New("the record is cut off")

// parseFrame reads the frame at the start of b. payload is empty for a mark.
func parseFrame(b []byte) (payload []byte, first bool, err error) {
	if len(b) < frameSize {
		return nil, false, errShort
	}
	n := binary.LittleEndian.Uint32(b)
	first = n&settled != 0
	n &^= settled
	if n > maxPayload {
		return nil, false, fmt.Errorf("a length of %d is more than a record may have", n)
	}
	if n == 0 && !first {
		return nil, false, errors.New("a record without content")
	}
	if int64(len(b)) < frameSize+int64(n) {
		return nil, false, errShort
	}
	payload = b[frameSize : frameSize+n]
	if sum := crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, payload); sum != binary.LittleEndian.Uint32(b[4:]) {
		return nil, false, errors.New("the record's checksum is wrong")
	}
	return payload, first, nil
}

// envelope is what surrounds a record in its payload.
const (
	maxEnvelope = len(seqKey) + 20 + len(prevKey) + 2*sha256.Size + len(bodyKey) + 1
	maxPayload  = uint32(MaxRecord + maxEnvelope)
)

// parsePayload takes the envelope off. There is one way to write it, so that no
// two payloads mean the same.
func parsePayload(p []byte) (seq uint64, prev hash, body []byte, err error) {
	rest, ok := bytes.CutPrefix(p, []byte(seqKey))
	if i := bytes.IndexByte(rest, ','); ok && i > 0 && i <= 20 {
		seq, err = strconv.ParseUint(string(rest[:i]), 10, 64)
		ok = err == nil && seq > 0 && rest[0] != '0' && rest[0] != '+'
		rest = rest[i:]
	} else {
		ok = false
	}
	if ok {
		rest, ok = bytes.CutPrefix(rest, []byte(prevKey))
	}
	if ok = ok && len(rest) > 2*len(prev); ok {
		ok = parseHex(&prev, rest[:2*len(prev)])
		rest = rest[2*len(prev):]
	}
	if ok {
		rest, ok = bytes.CutPrefix(rest, []byte(bodyKey))
	}
	if ok = ok && len(rest) > 2 && rest[len(rest)-1] == '}'; !ok {
		return 0, hash{}, nil, errors.New("the record has no sequence, previous hash and content in their order")
	}
	return seq, prev, rest[:len(rest)-1], nil
}

// hexDigits is what each byte stands for in a hash. A table, because which
// digit comes next cannot be guessed, and a wrong guess costs more than the rest.
var hexDigits = func() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

const noDigit = 0xff

// parseHex reads a hash in small letters.
func parseHex(h *hash, s []byte) bool {
	s = s[:2*len(h)]
	all := byte(0)
	for i := range h {
		a, b := hexDigits[s[2*i]], hexDigits[s[2*i+1]]
		all |= a | b
		h[i] = a<<4 | b
	}
	return all != noDigit
}

// parseBody decodes a record's stored form.
func parseBody(body []byte) (*Record, error) {
	if r := quickRecord(body); r != nil {
		return r, nil
	}
	v, err := value.Parse(body)
	if err != nil {
		return nil, err
	}
	return decodeRecord(v)
}

// Corrupt says where a log is damaged.
type Corrupt struct {
	File   string // name of the segment in the log's directory
	Offset int64  // of the record, or header, in which the first bad byte is
	Reason string
	// Torn: this is the end of the last segment and nothing proves that it was
	// ever acknowledged. Open cuts it off.
	Torn bool
}

func (e *Corrupt) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d: %s", e.File, e.Offset, e.Reason)
}

// chain is how far a log has been read.
type chain struct {
	next   uint64 // sequence of the next record
	prev   hash   // of the last payload
	tree   tree   // of the records
	signed uint64 // records that the last checkpoint covers
	note   []byte // the last checkpoint

	node func(level int, n int64, h tlog.Hash) // told of the tree's nodes, if not nil
}

// record moves the chain over a record with the hash sum.
func (c *chain) record(sum hash) {
	c.tree.add(leafHash(sum), c.node)
	c.next, c.prev = c.next+1, sum
}

// checkpoint moves the chain over a checkpoint's payload. keys may be nil: then
// it is not known who signed it.
func (c *chain) checkpoint(payload []byte, keys *Ring) (*Checkpoint, error) {
	text := payload[len(notePrefix):]
	var p *Checkpoint
	var err error
	if keys == nil {
		p, err = peekCheckpoint(text)
	} else {
		p, err = ParseCheckpoint(text, keys)
	}
	if err == nil {
		err = p.fits(c.prev, &c.tree)
	}
	if err != nil {
		return nil, err
	}
	c.prev, c.signed, c.note = sum(payload), p.Records, p.Note
	return p, nil
}

// scanned is what scan found out about one segment.
type scanned struct {
	end    int64 // after the last frame
	last   int64 // where the last frame begins; 0: there is none
	marked bool  // the segment ends in a mark
}

const scanBuffer = 4 << 20

// scan reads a segment, from its start or from where c stands in it: every byte must be as it was written.
// each gets every record with its place, when c stands before it; an error of
// its own stops the scan. The error for damage is a *Corrupt; c then stands
// before the bad frame. Signatures are not checked here.
func (c *chain) scan(f *segmentFile, each func(at int64, body []byte) error) (s scanned, err error) {
	name, size, last := f.name, f.size, f.last
	r := &window{f: f.f, size: size}
	bad := func(at int64, why string) error { return &Corrupt{File: name, Offset: at, Reason: why} }

	head, err := r.at(0, headerSize)
	if err != nil {
		return s, err
	}
	first, prev, err := parseHeader(head)
	s.end = max(f.from, headerSize)
	switch {
	case last && f.packed:
		return s, bad(0, followed)
	case f.from > 0: // it was looked at
	case err != nil:
		// A segment gets records only after its header is durable.
		return s, &Corrupt{File: name, Reason: err.Error(), Torn: last && size <= headerSize}
	case first != c.next || name != segmentName(first):
		return s, bad(0, fmt.Sprintf("the segment begins with record %d, expected %d in %s", first, c.next, segmentName(c.next)))
	case prev != c.prev:
		return s, bad(0, "the segment does not continue the chain of the one before it")
	}
	for s.end < size {
		b, err := r.at(s.end, frameSize)
		if err != nil {
			return s, err
		}
		if len(b) == frameSize {
			if n := binary.LittleEndian.Uint32(b) &^ settled; n <= maxPayload {
				if b, err = r.at(s.end, frameSize+int(n)); err != nil {
					return s, err
				}
			}
		}
		payload, _, err := parseFrame(b)
		if err != nil {
			bad := &Corrupt{File: name, Offset: s.end, Reason: err.Error()}
			if last {
				if bad.Torn, err = r.torn(s.end); err != nil {
					return s, err
				}
			}
			return s, bad
		}
		if len(payload) == 0 {
			if !last || s.end+frameSize != size {
				return s, bad(s.end, "a mark that is not at the end of the log")
			}
			s.marked = true
			return s, nil
		}
		if bytes.HasPrefix(payload, []byte(notePrefix)) {
			if _, err := c.checkpoint(payload, nil); err != nil {
				return s, bad(s.end, err.Error())
			}
			s.last = s.end
			s.end += frameSize + int64(len(payload))
			continue
		}
		seq, prev, body, err := parsePayload(payload)
		switch {
		case err != nil:
			return s, bad(s.end, err.Error())
		case seq != c.next:
			return s, bad(s.end, fmt.Sprintf("record %d where %d belongs", seq, c.next))
		case prev != c.prev:
			return s, bad(s.end, fmt.Sprintf("record %d does not continue the chain", seq))
		}
		if err := each(s.end, body); err != nil {
			return s, err
		}
		c.record(sum(payload))
		s.last = s.end
		s.end += frameSize + int64(len(payload))
	}
	return s, nil
}

// window reads a file through a buffer.
type window struct {
	f    file
	size int64
	buf  []byte
	from int64
}

// at returns n bytes at off, fewer only at the end of the file. They are good
// until the next call.
func (w *window) at(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-off))
	if off < w.from || off+int64(n) > w.from+int64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, 0, min(w.size, scanBuffer))
		}
		if want := int(min(w.size-off, int64(max(n, scanBuffer)))); cap(w.buf) < want {
			w.buf = make([]byte, want)
		} else {
			w.buf = w.buf[:want]
		}
		if _, err := w.f.ReadAt(w.buf, off); err != nil && err != io.EOF {
			return nil, err
		}
		w.from = off
	}
	return w.buf[off-w.from:][:n], nil
}

// torn decides whether damage at off is a write that never came to its end. It
// is not if any later bytes prove that what lies at off was durable: a group is
// written only after the one before it is, and its first frame says so.
func (w *window) torn(off int64) (bool, error) {
	for at := off + 1; at+frameSize <= w.size; at++ {
		b, err := w.at(at, frameSize)
		if err != nil {
			return false, err
		}
		n := binary.LittleEndian.Uint32(b)
		if n&settled == 0 || n&^settled > maxPayload || at+frameSize+int64(n&^settled) > w.size {
			continue
		}
		if b, err = w.at(at, frameSize+int(n&^settled)); err != nil {
			return false, err
		}
		if _, _, err := parseFrame(b); err == nil {
			return false, nil
		}
	}
	return true, nil
}
