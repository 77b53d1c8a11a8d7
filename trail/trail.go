// Package trail keeps the audit log: an append-only chain of records in
// CloudTrail's shape, in which each record commits to the one before it.
//
// The contract: Append returns nil when the record is durable (one that is
// Relaxed: when it has its place), and what was acknowledged is there after any
// crash, in the order in which it was acknowledged. When Append returns an
// error the record may be in the log or not. An open finds out whether each
// Intent has its Outcome, and closes those that have none. Damage that a crash
// cannot have done is never repaired: Open refuses, and says where it is.
//
// A log with a Signer signs Checkpoints of itself, which anybody who has the
// public key can check. What lies between the last checkpoint and the end is
// chained, and not signed yet. That the end was cut off back to an earlier
// checkpoint, which was put in the latest one's place too, only a checkpoint
// kept elsewhere can show.
//
// Prompts and answers never come here; digests may.
package trail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
)

const (
	// DefaultSegmentSize is the size of a segment after which a new one begins.
	DefaultSegmentSize = 128 << 20
	// MaxSegmentSize is the largest segment: places in it are kept in 32 bits.
	MaxSegmentSize = 2 << 30
	// DefaultCheckpointEvery is how long a record waits for a signature.
	DefaultCheckpointEvery = 10 * time.Second
	// FlushEvery is the longest time that a Relaxed record waits for the disk.
	FlushEvery = 100 * time.Millisecond

	maxQueue = 64 << 20 // bytes that wait to be written; then Append waits
	maxGroup = 4 << 20  // bytes of one write, about
)

// ErrClosed says that the log was closed.
var ErrClosed = errors.New("trail: the log is closed")

// Options of a Log.
type Options struct {
	SegmentSize int64            // bytes after which a new file is begun; 0: DefaultSegmentSize
	Sync        bool             // wait for the disk; without it a crash of the machine, not of the process, may lose records
	Now         func() time.Time // nil: time.Now
	Logger      *slog.Logger     // told of what Open repaired; nil: nobody

	Signer          note.Signer   // signs checkpoints; nil: there are none
	CheckpointEvery time.Duration // 0: DefaultCheckpointEvery

	// What is kept: segments that are full are removed, oldest first, when all of
	// their records are older than RetainFor, or while the log has more than
	// RetainBytes. A signed checkpoint takes their place, so that the rest still
	// verifies. 0 keeps everything; both need a Signer.
	RetainFor   time.Duration
	RetainBytes int64
}

// Log is an audit log in a directory. Its methods may be called from many
// goroutines.
type Log struct {
	opts  Options
	disk  disk
	index *index

	mu      sync.Mutex
	queue   []*entry      // guarded by mu
	queued  int           // bytes in queue; guarded by mu
	room    chan struct{} // closed when there is room in queue again; guarded by mu
	err     error         // why there are no more appends; guarded by mu
	broken  error         // what run ended with; guarded by mu until done
	failing bool          // the last write failed; guarded by mu
	head    Head          // guarded by mu

	wake chan struct{} // of run
	done chan struct{} // closed when run has ended

	latest    chan *Checkpoint // to be published, the last of them counts
	published atomic.Uint64    // records that the published one covers
	helpers   sync.WaitGroup   // that publish and that seal

	// owned by run (and by Open before it starts)
	chain   chain
	file    file     // the last segment
	at      int64    // where the next frame goes
	synced  bool     // everything before at is durable
	last    int64    // where the last frame of the segment begins
	opened  chain    // where the chain stood when the segment began
	backlog []*entry // relaxed ones whose write failed
	buf     []byte
}

// Head is the end of the log: what a signature must cover.
type Head struct {
	Records uint64 // sequence of the last record
	Hash    [32]byte
}

// entry is a record that waits to be written.
type entry struct {
	body    []byte
	meta    meta
	relaxed bool
	done    chan error // gets one
}

// Open opens the log in dir, or begins one. Only one process can have it open.
// A *Corrupt error says where the log is damaged.
func Open(dir string, opts Options) (*Log, error) {
	d, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	return open(d, opts)
}

func open(d disk, opts Options) (*Log, error) {
	if opts.SegmentSize == 0 {
		opts.SegmentSize = DefaultSegmentSize
	}
	if err := opts.check(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if opts.CheckpointEvery == 0 {
		opts.CheckpointEvery = DefaultCheckpointEvery
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		opts: opts, disk: d, index: newIndex(), chain: chain{next: 1},
		room: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}), latest: make(chan *Checkpoint, 1),
	}
	orphans, err := l.recover()
	if err != nil {
		l.helpers.Wait()
		return nil, errors.Join(fmt.Errorf("open trail: %w", err), l.index.close(), d.Close())
	}
	if opts.Signer != nil {
		l.helpers.Go(l.publish)
	}
	l.head = Head{l.chain.next - 1, l.chain.prev}
	go l.run()
	for _, at := range orphans {
		if err := l.closeIntent(at); err != nil {
			return nil, errors.Join(fmt.Errorf("open trail: %w", err), l.Close())
		}
	}
	return l, nil
}

// check says what is wrong with the options.
func (o *Options) check() error {
	switch {
	case o.SegmentSize < headerSize || o.SegmentSize > MaxSegmentSize:
		return fmt.Errorf("trail: SegmentSize is %d, must be between %d and %d", o.SegmentSize, headerSize, MaxSegmentSize)
	case o.RetainFor < 0 || o.RetainBytes < 0 || o.CheckpointEvery < 0:
		return errors.New("trail: RetainFor, RetainBytes and CheckpointEvery must not be negative")
	case o.Signer == nil && (o.RetainFor > 0 || o.RetainBytes > 0):
		return errors.New("trail: records can be removed only from a log that is signed")
	}
	return nil
}

// recover finds out how the log stands, cuts off what was never acknowledged,
// and returns the Intents without an Outcome in the order of the log. The last
// segment is read whole; an earlier one too, unless its index is there and fits.
func (l *Log) recover() (orphans []uint64, err error) {
	names, err := l.disk.List()
	if err != nil {
		return nil, err
	}
	if names, err = l.rebase(names); err != nil {
		return nil, err
	}
	open := map[string]uint64{} // EventID of an Intent to its sequence
	for i, name := range names {
		last := i == len(names)-1
		f, err := l.disk.Open(name)
		if err != nil {
			return nil, err
		}
		l.opened = l.chain
		if !last {
			if s := l.sealedOf(name, f); s != nil {
				l.index.addSealed(name, f, s.First, s)
				for i, id := range s.Open {
					open[id] = s.First + uint64(s.OpenAt[i])
				}
				for _, id := range s.Foreign {
					delete(open, id)
				}
				s.Open, s.OpenAt, s.Foreign = nil, nil, nil
				continue
			}
		}
		l.index.addSegment(name, f, l.chain.next)
		size, err := f.Size()
		if err != nil {
			return nil, err
		}
		s, err := l.chain.scan(&segmentFile{name, f, size, last}, func(at int64, body []byte) error {
			r, err := parseBody(body)
			if err != nil {
				return &Corrupt{File: name, Offset: at, Reason: err.Error()}
			}
			m := metaOf(r)
			m.at = at
			l.index.add(&m)
			switch r.Phase {
			case Intent:
				open[r.EventID] = l.chain.next
			case Outcome:
				delete(open, r.IntentID)
			}
			return nil
		})
		if bad, ok := errors.AsType[*Corrupt](err); ok && bad.Torn {
			l.opts.Logger.Warn("trail: the end of the log was never acknowledged and is cut off", "file", bad.File, "offset", bad.Offset, "why", bad.Reason)
			if bad.Offset == 0 { // not even a header
				l.index.dropSegment()
				if err := errors.Join(f.Close(), l.disk.Remove(name), l.disk.Sync()); err != nil {
					return nil, err
				}
				if i == 0 {
					break
				}
				// The segment before it was whole when this one was begun, and is the last again.
				return l.reopen()
			}
			if err := errors.Join(f.Truncate(s.end), f.Sync()); err != nil {
				return nil, err
			}
		} else if err != nil {
			return nil, err
		}
		l.file, l.at, l.last = f, s.end, s.last
		if !last {
			l.seal(l.index.last(), l.at, l.last, l.opened)
		}
	}
	if l.file == nil || l.index.empty() {
		if err := l.begin(); err != nil {
			return nil, err
		}
	} else if l.opts.Sync { // what a process left in the page cache is acknowledged from now on
		if err := l.file.Sync(); err != nil {
			return nil, err
		}
		l.synced = true
	}
	if err := l.checkLatest(); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Values(open)), nil
}

// reopen recovers again, after the last segment was removed.
func (l *Log) reopen() ([]uint64, error) {
	l.helpers.Wait()
	if err := l.index.close(); err != nil {
		return nil, err
	}
	l.index, l.chain, l.file = newIndex(), chain{next: 1}, nil
	return l.recover()
}

// sealedOf opens the index of a full segment; nil if it has to be made anew.
func (l *Log) sealedOf(name string, f file) *sealed {
	x, err := l.disk.Open(indexName(name))
	if err != nil {
		return nil
	}
	s, err := openSealed(x, f, &l.chain)
	if err != nil {
		l.opts.Logger.Warn("trail: an index does not fit its segment and is made anew", "file", indexName(name), "why", err)
		x.Close()
		return nil
	}
	return s
}

// seal gives the segment s, which just became full, its index, beside what goes
// on. The chain stands at the segment's end.
func (l *Log) seal(s *indexed, size, last int64, opened chain) {
	of := s.live
	h := sealedHeader{
		First: s.first, Size: size, Before: opened.prev, After: l.chain.prev, Tree: slices.Clone(l.chain.tree.roots),
		Signed: l.chain.signed, Note: l.chain.note, Last: last,
	}
	if h.Last == 0 {
		return // it holds nothing, and is read at every open
	}
	name := indexName(s.name)
	l.helpers.Go(func() {
		// Nobody adds to a full segment's index, so it can be read without a lock.
		err := l.disk.WriteFile(name, sealLive(of, h))
		var x file
		if err == nil {
			x, err = l.disk.Open(name)
		}
		if err == nil {
			var sealed *sealed
			c := chain{next: h.First, prev: h.Before}
			if sealed, err = openSealed(x, s.file, &c); err == nil {
				sealed.Open, sealed.OpenAt, sealed.Foreign = nil, nil, nil
				l.index.seal(of, sealed)
				return
			}
			err = errors.Join(err, x.Close())
		}
		if !errors.Is(err, errNoAux) {
			l.opts.Logger.Warn("trail: the index of a full segment stays in memory", "file", name, "err", err)
		}
	})
}

// errNoAux is what a disk says that keeps segments only.
var errNoAux = errors.New("trail: nothing but segments is kept here")

// OutcomeUnknown is the ErrorCode of the Outcome that Open gives to an Intent
// without one.
const OutcomeUnknown = "OutcomeUnknown"

func (l *Log) closeIntent(seq uint64) error {
	r, err := l.index.read(seq)
	if err != nil {
		return err
	}
	o := *r
	o.EventID, o.Phase, o.IntentID = "", Outcome, r.EventID
	o.ErrorCode, o.ErrorMessage = OutcomeUnknown, "outcome unknown: the server stopped before this call ended"
	return l.Append(context.Background(), &o)
}

// begin starts a segment. The one before it is durable and whole.
func (l *Log) begin() error {
	name := segmentName(l.chain.next)
	f, err := l.disk.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(appendHeader(nil, l.chain.next, l.chain.prev), 0)
	if err == nil && l.opts.Sync {
		err = f.Sync()
	}
	if err == nil && l.opts.Sync {
		err = l.disk.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("begin segment %s: %w", name, err), f.Close(), l.disk.Remove(name))
	}
	l.index.addSegment(name, f, l.chain.next)
	l.file, l.at, l.last, l.synced, l.opened = f, headerSize, 0, l.opts.Sync, l.chain
	return nil
}

// Append adds r at the end of the log and returns when it is durable (see
// Record.Relaxed). It fills in EventID and Time where they are empty, and keeps
// nothing of r. If ctx ends first the record may be in the log all the same.
func (l *Log) Append(ctx context.Context, r *Record) error {
	if r.EventID == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return err
		}
		r.EventID = id.String()
	}
	if r.Time.IsZero() {
		r.Time = l.opts.Now()
	}
	if r.Phase > Outcome || (r.Phase == Outcome) != (r.IntentID != "") {
		return fmt.Errorf("trail: record %s: phase %v with intent %q", r.EventID, r.Phase, r.IntentID)
	}
	body := appendRecord(make([]byte, 0, 1024), r)
	if len(body) > MaxRecord {
		return fmt.Errorf("trail: record %s has %d bytes, more than %d", r.EventID, len(body), MaxRecord)
	}
	e := &entry{body: body, meta: metaOf(r), relaxed: r.Relaxed}
	if !e.relaxed {
		e.done = make(chan error, 1)
	}
	if err := l.enqueue(ctx, e); err != nil || e.done == nil {
		return err
	}
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Log) enqueue(ctx context.Context, e *entry) error {
	l.mu.Lock()
	for l.err == nil && l.queued+len(e.body) > maxQueue {
		room := l.room
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if e.relaxed && l.failing { // no more promises until one is kept
		e.relaxed, e.done = false, make(chan error, 1)
	}
	l.queue = append(l.queue, e)
	l.queued += len(e.body)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// Close makes everything durable and ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.err == ErrClosed {
		l.mu.Unlock()
		return ErrClosed
	}
	open := l.err == nil
	l.err = ErrClosed
	if open { // under mu: enqueue sends only while err is nil
		close(l.wake)
	}
	l.mu.Unlock()
	<-l.done
	close(l.latest)
	l.helpers.Wait()
	return errors.Join(l.broken, l.index.close(), l.disk.Close())
}

// Head returns the end of the durable log.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// run is the only goroutine that writes. It ends when the log is closed or
// broken.
func (l *Log) run() {
	defer close(l.done)
	var flush <-chan time.Time // set while something waits for the disk
	var sign <-chan time.Time  // set while something waits for a signature
	for open := true; open; {
		due, signing := false, false
		if sign == nil && l.unsigned() {
			sign = time.After(l.opts.CheckpointEvery)
		}
		select {
		case _, open = <-l.wake:
		case <-flush:
			flush, due = nil, true
		case <-sign:
			sign, signing = nil, true
		}
		for {
			group, more := l.take()
			if len(group) == 0 {
				break
			}
			if err := l.commit(group, how{idle: !more}); err != nil {
				l.fail(err)
				return
			}
		}
		if due || !open || signing {
			if err := l.commit(nil, how{sync: true, idle: true, sign: l.unsigned() && (signing || !open)}); err != nil {
				l.fail(err)
				return
			}
		}
		if flush == nil && (l.opts.Sync && !l.synced || len(l.backlog) > 0) {
			flush = time.After(FlushEvery)
		}
	}
	if err := l.finish(); err != nil {
		l.fail(err)
	}
}

// take removes the next group from the queue; more says that others wait.
func (l *Log) take() (group []*entry, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(l.queue) && size < maxGroup {
		size += len(l.queue[n].body)
		n++
	}
	if n == 0 {
		return nil, false
	}
	group = l.queue[:n:n]
	l.queue = l.queue[n:]
	if l.queued -= size; len(l.queue) == 0 {
		l.queue = nil
	}
	close(l.room)
	l.room = make(chan struct{})
	return group, len(l.queue) > 0
}

// unsigned reports whether there are records that a checkpoint should cover.
func (l *Log) unsigned() bool {
	return l.opts.Signer != nil && l.chain.signed < l.chain.next-1
}

// how a group is written.
type how struct {
	sync bool // ask for the disk even if nobody waits
	idle bool // nothing follows at once
	sign bool // a checkpoint follows it
}

// commit writes a group and answers those who wait for it. An error means that
// nobody can know any more what is on the disk: the log is broken. Before that,
// a write that failed is undone, those who wait get its error, and the others
// stay in the backlog: they have been promised their place.
func (l *Log) commit(group []*entry, h how) error {
	group = append(l.backlog, group...)
	l.backlog = nil
	for _, e := range group {
		h.sync = h.sync || !e.relaxed
	}
	err, broken := l.write(group, h)
	l.mu.Lock()
	l.failing = err != nil
	if err == nil {
		l.head = Head{l.chain.next - 1, l.chain.prev}
	}
	l.mu.Unlock()
	for _, e := range group {
		switch {
		case e.done != nil:
			e.done <- err
		case err != nil:
			l.backlog = append(l.backlog, e)
		}
	}
	if broken {
		return err
	}
	if err != nil && h.sign {
		l.opts.Logger.Error("trail: no checkpoint could be written", "err", err)
	}
	if err == nil && h.idle && l.synced {
		// Only a hint: without it Open must believe less. So its error is nobody's.
		_, _ = l.file.WriteAt(mark[:], l.at)
	}
	return nil
}

// write puts a group into the file, all of it or nothing, and with h.sync set
// onto the disk. broken means that it could not find out which.
func (l *Log) write(group []*entry, h how) (err error, broken bool) {
	sync := (h.sync || h.sign) && l.opts.Sync
	if l.at >= l.opts.SegmentSize && len(group) > 0 {
		if err, broken := l.rotate(); err != nil {
			return err, broken
		}
	}
	var signed *Checkpoint
	buf, c, last := l.buf[:0], l.chain, l.last
	c.tree = c.tree.clone()
	for i, e := range group {
		from := len(buf)
		var sum hash
		buf, sum = appendFrame(buf, c.next, c.prev, e.body, i == 0 && l.synced)
		c.record(sum)
		e.meta.at = l.at + int64(from)
		last = e.meta.at
	}
	if h.sign {
		p := Checkpoint{Records: c.next - 1, Root: c.tree.root(), Chain: c.prev, Time: l.opts.Now()}
		if err := p.sign(l.opts.Signer); err != nil {
			return fmt.Errorf("trail: sign: %w", err), false
		}
		last = l.at + int64(len(buf))
		buf, c.prev = appendNoteFrame(buf, p.Note, len(group) == 0 && l.synced)
		c.signed, c.note = p.Records, p.Note
		signed = &p
	}
	if cap(buf) <= 2*maxGroup {
		l.buf = buf
	}
	if len(buf) > 0 {
		if _, err := l.file.WriteAt(buf, l.at); err != nil {
			err = fmt.Errorf("trail: write: %w", err)
			if terr := l.file.Truncate(l.at); terr != nil {
				return errors.Join(err, terr), true
			}
			return err, false
		}
		l.synced = false
	}
	if sync && !l.synced {
		// After a failed Sync the system may have dropped what it could not
		// write, and another Sync would say nothing of it.
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("trail: sync: %w", err), true
		}
		l.synced = true
	}
	l.chain, l.at, l.last = c, l.at+int64(len(buf)), last
	l.index.addAll(group)
	if signed != nil { // durable from here on
		select {
		case <-l.latest: // nobody has come for the one before
		default:
		}
		l.latest <- signed
	}
	return nil, false
}

// rotate begins the next segment once this one is whole, signed and durable.
func (l *Log) rotate() (err error, broken bool) {
	if l.unsigned() {
		if err, broken := l.write(nil, how{sync: true, sign: true}); err != nil {
			return err, broken
		}
	}
	if err := l.file.Truncate(l.at); err != nil { // the mark
		return fmt.Errorf("trail: end segment: %w", err), false
	}
	if l.opts.Sync {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("trail: sync: %w", err), true
		}
		l.synced = true
	}
	// Begin may fail, and leaves the index of this segment as it is then.
	seal, size, last, opened := l.index.last(), l.at, l.last, l.opened
	if err := l.begin(); err != nil {
		return fmt.Errorf("trail: %w", err), false
	}
	l.seal(seal, size, last, opened)
	l.retain()
	return nil, false
}

// finish is the last thing written.
func (l *Log) finish() error {
	if n := len(l.backlog); n > 0 {
		return fmt.Errorf("trail: %d relaxed records could not be written", n)
	}
	if l.unsigned() {
		return errors.New("trail: the end of the log could not be signed")
	}
	if l.synced {
		if _, err := l.file.WriteAt(mark[:], l.at); err != nil {
			return fmt.Errorf("trail: write: %w", err)
		}
	}
	return nil
}

// fail ends the log with an error: for those who wait and those who come.
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
	if l.err == nil {
		l.err = fmt.Errorf("trail: the log is broken: %w", err)
		l.opts.Logger.Error("trail: the log is broken, nothing can be recorded until it is opened again", "err", err)
	}
	for _, e := range l.queue {
		if e.done != nil {
			e.done <- l.err
		}
	}
	l.queue, l.queued = nil, 0
	close(l.room)
	l.room = make(chan struct{})
}
