package trail

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"tokaido/internal/durable"
)

// Check says how a log is verified.
type Check struct {
	Keys *Ring // of checkpoints and receipts; nil: signatures are not checked
	// Latest is a checkpoint that was taken elsewhere earlier. The log must go on
	// from it.
	Latest   []byte
	Workers  int                     // 0: one for each processor
	Progress func(done, total int64) // called now and then with the bytes checked; may be nil
}

// Report is what Verify found.
type Report struct {
	Segments int
	Bytes    int64  // of the segments, uncompressed
	Packed   int    // segments that are compressed
	OnDisk   int64  // bytes that the segments take there
	Removed  uint64 // records before the first that is kept; a signed base stands for them
	Head     Head
	First    time.Time // of the first record that is kept
	Last     time.Time // of the last record
	Marked   bool      // the end says of itself that it was durable: the log was closed, or idle
	Growing  bool      // somebody wrote meanwhile: what came last was not looked at

	Checkpoints int
	Signed      uint64      // records that the last checkpoint covers
	Checkpoint  *Checkpoint // the last one; nil: there is none
	Origin      string
	Receipts    ReceiptReport
}

// ReceiptReport counts the receipts of a log.
type ReceiptReport struct {
	Good    int
	Bad     []BadReceipt // the first maxBadReceipts of them
	BadMore int          // and so many more
	Missing int          // inferences that were answered and have none
	Noted   int          // of the bad and the missing, those whose record says so itself
}

// BadReceipt is a receipt that does not prove what its record says.
type BadReceipt struct {
	File    string
	Offset  int64
	Record  uint64
	Request string
	Reason  string
	Noted   bool // the record says so itself: the node knew when it wrote it
}

const maxBadReceipts = 100

// BadReceipts is the error for a log that is whole, but in which receipts are
// bad and their records do not say so.
type BadReceipts struct{ All []BadReceipt }

func (e *BadReceipts) Error() string {
	b := e.All[0]
	return fmt.Sprintf("%s at offset %d: record %d: %s (%d of this kind)", b.File, b.Offset, b.Record, b.Reason, len(e.All))
}

// Verify reads the whole log in dir and checks every byte: that each record is
// as it was written, continues the chain, and can be understood; that each
// checkpoint signs what stands before it; that receipts are good. It changes
// nothing and needs nobody's help, so that it can be run on a copy, and on a log
// that is being written. The error for damage is a *Corrupt that names the first
// bad frame, and the Report then tells of what is before it; a *BadReceipts says
// that the log is whole but does not prove what it says.
func Verify(ctx context.Context, dir string, c Check) (Report, error) {
	for try := 1; ; try++ {
		before := standing(dir)
		rep, err := verifyDir(ctx, dir, c)
		bad, ok := errors.AsType[*Corrupt](err)
		// Where somebody writes it is the half of what comes: Open would have cut off
		// what a crash left, and published the first checkpoint.
		writing := ok && (bad.Torn || bad.File == latestName && rep.latest == nil && rep.Checkpoints > 0) && durable.Locked(filepath.Join(dir, lockName))
		switch {
		case !ok || ctx.Err() != nil, !writing && before == standingSoon(ctx, dir):
			return rep.Report, err
		case writing, bad.Torn && try > 1: // what is before the end counts
			rep.Growing, rep.writing = true, writing
			if err := rep.end(); err == nil || try == offlineTries {
				return rep.Report, err
			}
		case try == offlineTries:
			return rep.Report, err
		}
	}
}

func verifyDir(ctx context.Context, dir string, c Check) (*findings, error) {
	d, err := readFolder(dir)
	if err != nil {
		return new(findings), err
	}
	rep, err := verify(ctx, d, c)
	return rep, errors.Join(err, d.Close())
}

// standing tells one state of a log's files from another. What was read of a log
// that stands before and after as it did is not the half of a write.
func standing(dir string) string {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return err.Error()
		}
		fmt.Fprintln(&b, f.Name(), info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

// standingSoon is how it stands a moment later: file systems tell times apart
// by their clock's ticks.
func standingSoon(ctx context.Context, dir string) string {
	select {
	case <-ctx.Done():
	case <-time.After(10 * offlineWait):
	}
	return standing(dir)
}

// findings are a Report in the making.
type findings struct {
	Report
	c       chain
	base    *Checkpoint
	latest  *Checkpoint // as published
	matched bool        // the log has it
	writing bool        // somebody does: the first checkpoint may be on its way to be published
	keys    *Ring
	elder   *Checkpoint // Check.Latest
	elderOK bool
}

const (
	progressEvery = 8 << 20 // bytes
	pieceSize     = 1 << 20 // bytes that a worker gets at once
)

// verify reads in one goroutine, checks pieces in many, and puts what they found
// together in order.
func verify(ctx context.Context, d disk, opt Check) (rep *findings, err error) {
	var snap *snapshot
	for try := 1; ; try++ {
		rep = &findings{c: chain{next: 1}, keys: opt.Keys}
		// First what the writer publishes last: the log must go at least so far.
		if err := rep.begin(d, opt); err != nil {
			return rep, fmt.Errorf("verify trail: %w", err)
		}
		if snap, err = standingTogether(d); err != nil {
			return rep, fmt.Errorf("verify trail: %w", err)
		}
		err = rep.based(snap, opt)
		if err == nil && try < offlineTries && rep.base != nil && rep.latest != nil && rep.latest.Records < rep.base.Records {
			err = snap.close() // the writer came between the two
			if err == nil {
				continue
			}
		}
		if err != nil {
			return rep, fmt.Errorf("verify trail: %w", errors.Join(err, snap.close()))
		}
		break
	}
	defer func() { err = errors.Join(err, snap.close()) }()
	if len(snap.files) == 0 {
		return rep, errors.New("verify trail: there is no segment")
	}
	v := newVerifier(opt, snap)
	var wg sync.WaitGroup
	wg.Go(v.read)
	workers := opt.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for range workers {
		wg.Go(func() {
			for p := range v.work {
				p.check(opt.Keys)
				close(p.done)
			}
		})
	}
	err = rep.assemble(ctx, v)
	close(v.quit)
	wg.Wait()
	if err == nil {
		err = rep.end()
	}
	if err != nil {
		return rep, fmt.Errorf("verify trail: %w", err)
	}
	if opt.Progress != nil {
		opt.Progress(v.total, v.total)
	}
	return rep, nil
}

func (rep *findings) begin(d disk, opt Check) error {
	b, err := d.ReadFile(latestName)
	if err == nil {
		if opt.Keys != nil {
			rep.latest, err = ParseCheckpoint(b, opt.Keys)
		} else {
			rep.latest, err = peekCheckpoint(b)
		}
		if err != nil {
			return &Corrupt{File: latestName, Reason: err.Error()}
		}
	} else if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errNoAux) {
		return err
	}
	return nil
}

// based begins with what stands for the segments that were removed.
func (rep *findings) based(snap *snapshot, opt Check) (err error) {
	if rep.c, rep.base, err = snap.begin(opt.Keys); err != nil {
		return err
	}
	if rep.base != nil {
		rep.Removed, rep.Origin = rep.base.Records, rep.base.Origin
		rep.Signed = rep.base.Records
		rep.Head = Head{rep.base.Records, rep.base.Chain}
	}
	if opt.Latest != nil {
		if opt.Keys != nil {
			rep.elder, err = ParseCheckpoint(opt.Latest, opt.Keys)
		} else {
			rep.elder, err = peekCheckpoint(opt.Latest)
		}
		if err != nil {
			return fmt.Errorf("the checkpoint given: %w", err)
		}
		if rep.elder.Records < rep.Removed {
			return fmt.Errorf("the checkpoint given is of %d records; the first %d were removed, so that it can no longer be compared", rep.elder.Records, rep.Removed)
		}
	}
	return rep.compare()
}

// compare holds the tree to the checkpoint that was taken elsewhere, where it
// has its size.
func (rep *findings) compare() error {
	if rep.elder == nil || rep.elderOK || rep.elder.Records != rep.c.tree.n {
		return nil
	}
	if rep.elder.Root != rep.c.tree.root() {
		return fmt.Errorf("the first %d records are not those that the checkpoint given signs", rep.elder.Records)
	}
	rep.elderOK = true
	return nil
}

// end checks what can be said only of the whole.
func (rep *findings) end() error {
	if rep.elder != nil && !rep.elderOK {
		return fmt.Errorf("the log ends with record %d; the checkpoint given is of %d records: its end was cut off", rep.Head.Records, rep.elder.Records)
	}
	last := rep.c.signed
	switch {
	case rep.latest == nil && rep.base == nil && rep.writing:
	case rep.latest == nil && (rep.Checkpoints > 0 || rep.base != nil):
		return &Corrupt{File: latestName, Reason: "the log has checkpoints, but the latest is not published: the file is missing"}
	case rep.latest == nil:
	case rep.latest.Records > rep.Head.Records:
		return &Corrupt{File: latestName, Reason: fmt.Sprintf("the log ends with record %d, but a checkpoint of %d records was signed: its end was cut off", rep.Head.Records, rep.latest.Records)}
	case rep.latest.Records > last:
		return &Corrupt{File: latestName, Reason: fmt.Sprintf("the log's last checkpoint is of %d records, the one published of %d", last, rep.latest.Records)}
	case rep.base != nil && rep.latest.Records == rep.base.Records && rep.latest.Root == rep.base.Root:
	case !rep.matched:
		return &Corrupt{File: latestName, Reason: fmt.Sprintf("the log does not hold the checkpoint of %d records that is published", rep.latest.Records)}
	}
	var bad []BadReceipt
	for _, b := range rep.Receipts.Bad {
		if !b.Noted {
			bad = append(bad, b)
		}
	}
	if len(bad) > 0 {
		return &BadReceipts{bad}
	}
	return nil
}

type segmentFile struct {
	name string
	f    file
	size int64 // uncompressed
	last bool
	from int64 // 0: from its start

	packed bool // it is compressed
}

// followed is what is wrong with a last segment that is compressed.
const followed = "the segment is compressed, so another one came after it, which is missing: the log's end was cut off"

// verifier is the machinery of one Verify.
type verifier struct {
	opt Check
	*snapshot
	items chan item
	work  chan *piece
	quit  chan struct{} // closed when nobody listens any more
	free  chan *piece   // that are done with, for their memory
}

// newVerifier begins with nothing to read.
func newVerifier(opt Check, snap *snapshot) *verifier {
	return &verifier{opt: opt, snapshot: snap, items: make(chan item, 4), work: make(chan *piece, 4), quit: make(chan struct{}), free: make(chan *piece, maxFree)}
}

// maxFree is how many pieces' memory is kept for others.
const maxFree = 32

// piece is one that is used again, or a new one.
func (v *verifier) piece() *piece {
	select {
	case p := <-v.free:
		*p = piece{b: p.b[:0], frames: p.frames[:0], claims: p.claims[:0], signed: p.signed[:0], text: p.text[:0], room: p.room[:0]}
		return p
	default:
		return new(piece)
	}
}

// release takes a piece back of which nothing is used any more.
func (v *verifier) release(p *piece) {
	select {
	case v.free <- p:
	default:
	}
}

// item is what comes next in the log: the start of a segment, or a piece of it.
type item struct {
	begin  *segmentFile
	header []byte
	piece  *piece
	err    error
}

// piece is some frames of a segment.
type piece struct {
	of   *segmentFile
	at   int64
	b    []byte
	done chan struct{} // closed when what follows is set

	frames   []checkedFrame
	bad      *Corrupt // after frames
	marked   bool
	from, to time.Time
	receipts ReceiptReport

	// Receipts whose signatures are checked together, and room to put texts together.
	claims     []receiptClaim
	signed     []signed
	text, room []byte

	made any // of Walk
}

type checkedFrame struct {
	at   int64
	note []byte // of a checkpoint
	seq  uint64
	prev hash
	sum  hash
	leaf tlog.Hash
}

// read cuts the segments into pieces.
func (v *verifier) read() {
	defer close(v.items)
	defer close(v.work)
	send := func(i item) bool {
		select {
		case v.items <- i:
			return true
		case <-v.quit:
			return false
		}
	}
	for i := range v.files {
		s := &v.files[i]
		head := make([]byte, min(headerSize, s.size))
		if _, err := s.f.ReadAt(head, 0); err != nil && err != io.EOF { //nolint:errorlint // ReaderAt returns it bare
			send(item{err: err})
			return
		}
		if !send(item{begin: s, header: head}) {
			return
		}
		for at := int64(headerSize); at < s.size; {
			p := v.piece()
			p.of, p.at, p.done = s, at, make(chan struct{})
			var err error
			if p.b, err = readPiece(s, at, p.b); err != nil {
				send(item{err: err})
				return
			}
			if len(p.b) == 0 { // the writer took its mark away, or the zeros, and begins the next segment
				break
			}
			at += int64(len(p.b))
			select {
			case v.work <- p:
			case <-v.quit:
				return
			}
			if !send(item{piece: p}) {
				return
			}
		}
	}
}

// readPiece reads whole frames from an offset on, as their lengths say. Where
// these make no sense it reads to the end of the buffer.
func readPiece(s *segmentFile, at int64, into []byte) ([]byte, error) {
	for size := int64(pieceSize); ; {
		b := slices.Grow(into[:0], int(min(size, s.size-at)))[:min(size, s.size-at)]
		n, err := s.f.ReadAt(b, at)
		if err != nil && err != io.EOF { //nolint:errorlint // as above
			return nil, err
		}
		if b = b[:n]; int64(n) < size { // to the end
			return b, nil
		}
		end := 0
		for len(b)-end >= frameSize {
			n := frameLength(b[end:])
			if n > maxPayload {
				return b, nil
			}
			if end+frameSize+int(n) > len(b) {
				break
			}
			end += frameSize + int(n)
		}
		if end > 0 {
			return b[:end], nil
		}
		size = frameSize + int64(frameLength(b)) + 1
	}
}

var (
	anyKey     = []byte(`"` + ReceiptMember) // begins both
	receiptKey = []byte(`"` + ReceiptMember + `":{`)
	problemKey = []byte(`"` + ProblemMember + `":`)
	tokensKey  = []byte(`"outputTokens":`)
)

// check looks at each frame by itself.
func (p *piece) check(keys *Ring) {
	p.frames = slices.Grow(p.frames, len(p.b)/512)
	var first, last []byte
	for at := 0; at < len(p.b); {
		where := p.at + int64(at)
		payload, _, err := parseFrame(p.b[at:])
		if err == nil && len(payload) == 0 {
			if !p.of.last || where+frameSize != p.of.size {
				p.bad = &Corrupt{File: p.of.name, Offset: where, Reason: "a mark that is not at the end of the log"}
				break
			}
			p.marked = true
			break
		}
		if err != nil {
			p.bad = &Corrupt{File: p.of.name, Offset: where, Reason: err.Error(), Torn: p.of.last} // perhaps
			break
		}
		f := checkedFrame{at: where, sum: sum(payload)}
		if bytes.HasPrefix(payload, []byte(notePrefix)) {
			f.note = payload
		} else {
			var body []byte
			var parts recordParts
			if f.seq, f.prev, body, err = parsePayload(payload); err == nil {
				parts, err = checkForm(body)
			}
			if err != nil {
				p.bad = &Corrupt{File: p.of.name, Offset: where, Reason: err.Error()}
				break
			}
			f.leaf = leafHash(f.sum)
			if first == nil {
				first = body
			}
			last = body
			p.receipt(&f, body, parts, keys)
		}
		p.frames = append(p.frames, f)
		at += frameSize + len(payload)
	}
	p.checkSignatures(keys)
	if first != nil {
		p.from, p.to = timeOf(first), timeOf(last)
	}
}

func timeOf(body []byte) time.Time {
	r, err := parseBody(body)
	if err != nil {
		return time.Time{}
	}
	return r.Time
}

// receipt checks the receipt of a record, if it has one, but perhaps not its
// signature yet.
func (p *piece) receipt(f *checkedFrame, body []byte, parts recordParts, keys *Ring) {
	additional := parts.additional
	any := bytes.Contains(additional, anyKey)
	has, noted := any && bytes.Contains(additional, receiptKey), any && bytes.Contains(additional, problemKey)
	switch {
	case has && keys.Len() > 0:
		claim := receiptClaim{f.seq, f.at, body, noted}
		if key, sig, text, ok := quickReceipt(parts, keys, p.text[:0]); ok {
			var s signed
			s, p.room = newSigned(key, text, sig, p.room)
			p.text, p.signed, p.claims = text, append(p.signed, s), append(p.claims, claim)
		} else {
			p.checkReceipt(&claim, keys)
		}
	case has:
	case !parts.failed && bytes.Contains(additional, tokensKey):
		p.receipts.Missing++
		if noted {
			p.receipts.Noted++
		}
	}
}

// checkReceipt checks one receipt with all that belongs to it.
func (p *piece) checkReceipt(c *receiptClaim, keys *Ring) {
	has, r := true, new(Record)
	parsed, err := parseBody(c.body)
	if err == nil {
		r = parsed
		has, err = r.checkReceipt(keys)
	}
	switch {
	case !has && err == nil: // it was part of something else
	case err == nil:
		p.receipts.Good++
	default:
		if c.noted {
			p.receipts.Noted++
		}
		p.receipts.Bad = append(p.receipts.Bad, BadReceipt{p.of.name, c.at, c.seq, r.RequestID, err.Error(), c.noted})
	}
}

// checkSignatures checks those of the receipts, all together.
func (p *piece) checkSignatures(keys *Ring) {
	if len(p.signed) == 0 {
		return
	}
	checkSigned(p.signed)
	for i := range p.signed {
		if p.signed[i].bad {
			p.checkReceipt(&p.claims[i], keys) // which says what is wrong
		} else {
			p.receipts.Good++
		}
	}
	slices.SortFunc(p.receipts.Bad, func(a, b BadReceipt) int { return cmp.Compare(a.Record, b.Record) })
}

// assemble puts the pieces together.
func (rep *findings) assemble(ctx context.Context, v *verifier) error {
	var done, told int64
	var now *segmentFile
	finish := func() {
		if now != nil {
			rep.Bytes += now.size
		}
	}
	for it := range v.items {
		switch {
		case it.err != nil:
			return it.err
		case it.begin != nil:
			finish()
			now = it.begin
			rep.Segments++
			if now.packed {
				rep.Packed++
			}
			if n, err := bytesOnDisk(now.f); err == nil {
				rep.OnDisk += n
			}
			rep.Marked = false
			if err := rep.header(now, it.header); err != nil {
				return err
			}
			done += headerSize
			continue
		}
		p := it.piece
		select {
		case <-p.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := rep.add(p); err != nil {
			if bad, ok := errors.AsType[*Corrupt](err); ok && bad.Torn {
				w := &window{f: now.f, size: now.size}
				torn, terr := w.torn(bad.Offset)
				if terr != nil {
					return terr
				}
				bad.Torn = torn
			}
			rep.Bytes += p.at
			return err
		}
		done += int64(len(p.b))
		v.release(p)
		if v.opt.Progress != nil && done-told >= progressEvery {
			told = done
			v.opt.Progress(done, v.total)
		}
	}
	finish()
	return nil
}

func (rep *findings) header(s *segmentFile, head []byte) error {
	bad := func(why string, torn bool) error { return &Corrupt{File: s.name, Reason: why, Torn: torn} }
	first, prev, err := parseHeader(head)
	switch {
	case s.last && s.packed:
		return bad(followed, false)
	case err != nil:
		return bad(err.Error(), s.last && s.size <= headerSize)
	case first != rep.c.next || s.name != segmentName(first):
		return bad(fmt.Sprintf("the segment begins with record %d, expected %d in %s", first, rep.c.next, segmentName(rep.c.next)), false)
	case prev != rep.c.prev:
		return bad("the segment does not continue the chain of the one before it", false)
	}
	return nil
}

// add takes the frames of a piece over, in order, as far as they are good.
func (rep *findings) add(p *piece) error {
	bad := func(f *checkedFrame, format string, args ...any) error {
		return &Corrupt{File: p.of.name, Offset: f.at, Reason: fmt.Sprintf(format, args...)}
	}
	for i := range p.frames {
		f := &p.frames[i]
		if f.note != nil {
			c, err := rep.c.checkpoint(f.note, rep.keys)
			if err != nil {
				return bad(f, "%v", err)
			}
			if rep.Origin != "" && c.Origin != rep.Origin {
				return bad(f, "a checkpoint of another log, %s", c.Origin)
			}
			rep.Checkpoints++
			rep.Origin, rep.Signed, rep.Checkpoint = c.Origin, c.Records, c
			if rep.latest != nil && rep.latest.Records == c.Records {
				rep.matched = bytes.Equal(rep.latest.Note, c.Note)
			}
			rep.Head.Hash = rep.c.prev
			continue
		}
		switch {
		case f.seq != rep.c.next:
			return bad(f, "record %d where %d belongs", f.seq, rep.c.next)
		case f.prev != rep.c.prev:
			return bad(f, "record %d does not continue the chain", f.seq)
		}
		rep.c.tree.add(f.leaf, nil)
		rep.c.next, rep.c.prev = f.seq+1, f.sum
		rep.Head = Head{f.seq, f.sum}
		if err := rep.compare(); err != nil {
			return bad(f, "%v", err)
		}
	}
	if rep.First.IsZero() {
		rep.First = p.from
	}
	if !p.to.IsZero() {
		rep.Last = p.to
	}
	rep.Receipts.add(&p.receipts)
	if p.bad != nil {
		return p.bad
	}
	rep.Marked = p.marked
	return nil
}

func (r *ReceiptReport) add(p *ReceiptReport) {
	r.Good += p.Good
	r.Missing += p.Missing
	r.Noted += p.Noted
	for _, b := range p.Bad {
		if len(r.Bad) < maxBadReceipts {
			r.Bad = append(r.Bad, b)
		} else {
			r.BadMore++
		}
	}
}
