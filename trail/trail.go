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
	"cmp"
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

	bodySize = 1536 // bytes of the stored form of most records, at most

	maxGathered = 256 << 10 // bytes of Relaxed records that wait for more

	// partEvery is how many bytes of a segment come before the index of its first
	// bytes is written once more: what Open has to read at most, about.
	partEvery = 32 << 20
)

// ErrClosed says that the log was closed.
var ErrClosed = errors.New("trail: the log is closed")

// Options of a Log.
type Options struct {
	SegmentSize int64            // bytes after which a new file is begun; 0: DefaultSegmentSize
	Sync        bool             // wait for the disk; without it a crash of the machine, not of the process, may lose records
	Now         func() time.Time // nil: time.Now

	// Gather is how long Relaxed records may stay in memory, so that they are written
	// together; 0: they are written as they come. It is meant to be shorter than
	// FlushEvery, which counts from when they are written.
	Gather time.Duration

	Logger *slog.Logger // told of what Open repaired; nil: nobody

	Signer          note.Signer   // signs checkpoints; nil: there are none
	CheckpointEvery time.Duration // 0: DefaultCheckpointEvery

	// What is kept: segments that are full are removed, oldest first, when all of
	// their records are older than RetainFor, or while the log has more than
	// RetainBytes. A signed checkpoint takes their place, so that the rest still
	// verifies. 0 keeps everything; both need a Signer.
	RetainFor   time.Duration
	RetainBytes int64

	// CompressAfter is how old the records of a full segment are when it is compressed,
	// in the background; 0: none is.
	CompressAfter time.Duration

	partEvery int64 // 0: the constant
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
	nudging bool          // nudge will be called; guarded by mu
	head    Head          // guarded by mu

	wake chan struct{} // of run
	done chan struct{} // closed when run has ended

	latest    chan *Checkpoint // to be published, the last of them counts
	published atomic.Uint64    // records that the published one covers
	groups    atomic.Uint64    // that had a sync of their own
	helpers   sync.WaitGroup   // that publish, seal and compress
	blocks    *blockCache      // of compressed segments
	sealedOne chan struct{}    // gets one when a segment has its index
	names     sync.Mutex       // held while a segment is removed, or replaced by its compressed form
	known     int64            // bytes of the last segment that Open did not have to read

	// owned by run (and by Open before it starts)
	chain    chain
	file     file          // the last segment
	at       int64         // where the next frame goes
	synced   bool          // everything before at is durable
	marked   bool          // a mark stands there
	unsynced time.Time     // since when something before at is not durable
	last     int64         // where the last frame of the segment begins
	opened   chain         // where the chain stood when the segment began
	parted   int64         // bytes of the segment that its index in a file is of
	parting  chan struct{} // closed when that file is written; nil: none is being written
	backlog  []*entry      // relaxed ones whose write failed
	buf      []byte        // of a batch that was written, for the next one

	zeroed    int64      // the file has zeros behind at up to here; not behind it if that is less
	extending *extension // more of them are being written; nil: none are
	unzeroed  time.Time  // none are written before

	next    *batch // being made; nil: nothing waits
	flying  *batch // on its way to the disk; nil: none
	durable *batch // whose callers have not been answered yet; nil: none
	gather  gather
	starts  chan file  // to be synced
	landed  chan error // of the sync of flying
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
	if opts.partEvery == 0 {
		opts.partEvery = partEvery
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		opts: opts, disk: d, index: newIndex(), chain: chain{next: 1},
		room: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}), latest: make(chan *Checkpoint, 1), starts: make(chan file, 1), landed: make(chan error, 1),
		blocks: new(blockCache), sealedOne: make(chan struct{}, 1),
	}
	orphans, err := l.recover()
	if err != nil {
		l.helpers.Wait()
		return nil, errors.Join(fmt.Errorf("open trail: %w", err), l.index.close(), d.Close())
	}
	if opts.Signer != nil {
		l.helpers.Go(l.publish)
	}
	if opts.CompressAfter > 0 {
		l.helpers.Go(l.compressOld)
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
	case o.RetainFor < 0 || o.RetainBytes < 0 || o.CheckpointEvery < 0 || o.Gather < 0 || o.CompressAfter < 0:
		return errors.New("trail: RetainFor, RetainBytes, CheckpointEvery, Gather and CompressAfter must not be negative")
	case o.Signer == nil && (o.RetainFor > 0 || o.RetainBytes > 0):
		return errors.New("trail: records can be removed only from a log that is signed")
	}
	return nil
}

// recover finds out how the log stands, cuts off what was never acknowledged,
// and returns the Intents without an Outcome in the order of the log. The last
// segment is read from where its index ends, and whole if there is none; an
// earlier one is read whole unless its index is there and fits.
func (l *Log) recover() (orphans []uint64, err error) {
	names, err := l.disk.List()
	if err != nil {
		return nil, err
	}
	if names, err = l.rebase(names); err != nil {
		return nil, err
	}
	if err := removeLeft(l.disk); err != nil {
		return nil, err
	}
	open := map[string]uint64{} // EventID of an Intent to its sequence
	for i, name := range names {
		last := i == len(names)-1
		f, err := openSegment(l.disk, name, l.blocks)
		if err != nil {
			return nil, err
		}
		l.opened = l.chain
		if !last {
			if s := l.sealedOf(name, f, false); s != nil {
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
		size, err := f.Size()
		whole := size
		if err == nil && last {
			size, err = writtenSize(f)
		}
		if err != nil {
			return nil, err
		}
		seg, first, known := segmentFile{name: name, f: f, size: size, last: last, packed: isPacked(f)}, l.chain.next, newLive()
		lastFrame := int64(0)
		if last {
			if s := l.partOf(name, f); s != nil {
				seg.from, lastFrame, known = s.Size, s.Last, s.known
				l.parted, l.known = s.Size, s.Size
				maps.Copy(open, s.orphans)
				for _, id := range s.Foreign {
					delete(open, id)
				}
			}
		}
		l.index.addSegment(name, f, first, known)
		s, err := l.chain.scan(&seg, func(at int64, body []byte) error {
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
		} else if whole > size { // a crash left zeros
			if err := errors.Join(f.Truncate(size), f.Sync()); err != nil {
				return nil, err
			}
		}
		l.file, l.at, l.last = f, s.end, cmp.Or(s.last, lastFrame)
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
	l.index, l.chain, l.file, l.parted = newIndex(), chain{next: 1}, nil, 0
	return l.recover()
}

// sealedOf opens the index of a full segment, or of the first bytes of one; nil
// if it has to be made anew.
func (l *Log) sealedOf(name string, f file, part bool) *sealed {
	x, err := l.disk.Open(indexName(name))
	if err != nil {
		return nil
	}
	s, err := openSealed(x, f, &l.chain, part)
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
	h := l.sealedHeader(s, size, last, opened)
	if h.Last == 0 {
		return // it holds nothing, and is read at every open
	}
	name, parting := indexName(s.name), l.parting
	l.parted, l.parting = 0, nil
	l.helpers.Go(func() {
		if parting != nil {
			<-parting // it writes the same file
		}
		// Nobody adds to a full segment's index, so it can be read without a lock.
		err := l.disk.WriteFile(name, sealLive(of, h))
		var x file
		if err == nil {
			x, err = l.disk.Open(name)
		}
		if err == nil {
			var sealed *sealed
			c := chain{next: h.First, prev: h.Before}
			if sealed, err = openSealed(x, s.file, &c, false); err == nil {
				sealed.Open, sealed.OpenAt, sealed.Foreign = nil, nil, nil
				l.index.seal(of, sealed)
				select {
				case l.sealedOne <- struct{}{}:
				default:
				}
				return
			}
			err = errors.Join(err, x.Close())
		}
		if !errors.Is(err, errNoAux) {
			l.opts.Logger.Warn("trail: the index of a full segment stays in memory", "file", name, "err", err)
		}
	})
}

// sealedHeader says what an index of the first bytes of a segment is of. The
// chain stands behind them.
func (l *Log) sealedHeader(s *indexed, size, last int64, opened chain) sealedHeader {
	return sealedHeader{
		First: s.first, Size: size, Before: opened.prev, After: l.chain.prev, Tree: slices.Clone(l.chain.tree.roots),
		Signed: l.chain.signed, Note: l.chain.note, Last: last,
	}
}

// part is what the index of a segment's first bytes tells Open.
type part struct {
	*sealed
	known   *live
	orphans map[string]uint64 // EventID of an Intent to its sequence
}

// partOf opens the index of the first bytes of the last segment and moves the
// chain behind them; nil if there is none that fits.
func (l *Log) partOf(name string, f file) *part {
	before := l.chain
	s := l.sealedOf(name, f, true)
	if s == nil {
		return nil
	}
	known, err := s.inflate()
	if err = errors.Join(err, s.file.Close()); err != nil {
		l.opts.Logger.Warn("trail: an index cannot be read and is made anew", "file", indexName(name), "err", err)
		l.chain = before
		return nil
	}
	p := &part{s, known, map[string]uint64{}}
	for i, id := range s.Open {
		p.orphans[id] = s.First + uint64(s.OpenAt[i])
	}
	return p
}

// partNow calls part if there is much that no index in a file is of.
func (l *Log) partNow() {
	if l.at-l.parted >= l.opts.partEvery && l.at < l.opts.SegmentSize {
		l.part()
	}
}

// part writes, beside what goes on, the index of what the segment has by now, all
// of which is durable, so that the next Open need not read it.
func (l *Log) part() {
	if l.last == 0 || l.opts.Sync && !l.synced {
		return
	}
	if l.parting != nil {
		select {
		case <-l.parting:
			l.parting = nil
		default:
			return
		}
	}
	l.parted = l.at
	done, name, f := make(chan struct{}), indexName(l.index.last().name), l.file
	of, h := l.index.freeze(), l.sealedHeader(l.index.last(), l.at, l.last, l.opened)
	l.parting = done
	l.helpers.Go(func() {
		defer close(done)
		var err error
		if !l.opts.Sync {
			err = f.Sync() // an index must not be there without its segment
		}
		if err == nil {
			err = l.disk.WriteFile(name, sealLive(&of, h))
		}
		if err != nil && !errors.Is(err, errNoAux) {
			l.opts.Logger.Warn("trail: the next start will read the whole segment: its index cannot be written", "file", name, "err", err)
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
	l.index.addSegment(name, f, l.chain.next, newLive())
	l.file, l.at, l.zeroed, l.last, l.synced, l.marked, l.opened = f, headerSize, 0, 0, l.opts.Sync, false, l.chain
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
	body := appendRecord(make([]byte, 0, bodySize), r)
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
	if e.relaxed && l.opts.Gather > 0 && l.queued < maxGathered {
		if !l.nudging {
			l.nudging = true
			time.AfterFunc(l.opts.Gather, l.nudge)
		}
		return nil
	}
	l.wakeLocked()
	return nil
}

// nudge has what was gathered written.
func (l *Log) nudge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nudging = false
	if l.err == nil {
		l.wakeLocked()
	}
}

// wakeLocked wakes run. The log must be open: Close closes the channel.
func (l *Log) wakeLocked() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
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

// Groups is how many groups of records had a write and a sync of their own since
// the log was opened.
func (l *Log) Groups() uint64 { return l.groups.Load() }
