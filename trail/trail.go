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
// Prompts and answers never come here; digests may. What is missing on purpose:
// signatures. The chain alone shows that something was changed in the middle of
// the log; that its end was cut off, or all of it written anew, only a signed
// Head kept elsewhere can show.
package trail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// DefaultSegmentSize is the size of a segment after which a new one begins.
	DefaultSegmentSize = 256 << 20
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

	// owned by run (and by Open before it starts)
	chain   chain
	file    file     // the last segment
	at      int64    // where the next frame goes
	synced  bool     // everything before at is durable
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
	if opts.SegmentSize < headerSize {
		return nil, errors.Join(fmt.Errorf("trail: SegmentSize is %d, must be at least %d", opts.SegmentSize, headerSize), d.Close())
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		opts: opts, disk: d, index: newIndex(), chain: chain{next: 1},
		room: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	orphans, err := l.recover()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open trail: %w", err), l.index.close(), d.Close())
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

// recover reads every segment, cuts off what was never acknowledged, and
// returns the Intents without an Outcome in the order of the log.
func (l *Log) recover() (orphans []int, err error) {
	names, err := l.disk.List()
	if err != nil {
		return nil, err
	}
	open := map[string]int{} // EventID of an Intent to its number in the index
	var order []string
	for i, name := range names {
		last := i == len(names)-1
		f, err := l.disk.Open(name)
		if err != nil {
			return nil, err
		}
		seg := l.index.addSegment(f)
		s, err := l.chain.scan(name, f, last, func(at int64, n int, _ hash, body []byte) error {
			r, err := parseBody(body)
			if err != nil {
				return &Corrupt{File: name, Offset: at, Reason: err.Error()}
			}
			m := metaOf(r)
			m.put(seg, at, n)
			no := l.index.add(&m)
			switch r.Phase {
			case Intent:
				open[r.EventID] = no
				order = append(order, r.EventID)
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
				break // the segment before it, if any, was whole when this one was begun
			}
			if err := errors.Join(f.Truncate(s.end), f.Sync()); err != nil {
				return nil, err
			}
		} else if err != nil {
			return nil, err
		}
		l.file, l.at = f, s.end
	}
	if l.file == nil {
		if err := l.begin(); err != nil {
			return nil, err
		}
	} else if l.opts.Sync { // what a process left in the page cache is acknowledged from now on
		if err := l.file.Sync(); err != nil {
			return nil, err
		}
		l.synced = true
	}
	for _, id := range order {
		if no, ok := open[id]; ok {
			orphans = append(orphans, no)
			delete(open, id)
		}
	}
	return orphans, nil
}

// OutcomeUnknown is the ErrorCode of the Outcome that Open gives to an Intent
// without one.
const OutcomeUnknown = "OutcomeUnknown"

func (l *Log) closeIntent(no int) error {
	r, err := l.index.read(no)
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
	l.index.addSegment(f)
	l.file, l.at, l.synced = f, headerSize, l.opts.Sync
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
	for open := true; open; {
		due := false
		select {
		case _, open = <-l.wake:
		case <-flush:
			flush, due = nil, true
		}
		for {
			group, more := l.take()
			if len(group) == 0 {
				break
			}
			if err := l.commit(group, false, !more); err != nil {
				l.fail(err)
				return
			}
		}
		if due || !open {
			if err := l.commit(nil, true, true); err != nil {
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

// commit writes a group and answers those who wait for it. An error means that
// nobody can know any more what is on the disk: the log is broken. Before that,
// a write that failed is undone, those who wait get its error, and the others
// stay in the backlog: they have been promised their place. sync asks for the
// disk even if nobody waits.
func (l *Log) commit(group []*entry, sync, idle bool) error {
	group = append(l.backlog, group...)
	l.backlog = nil
	for _, e := range group {
		sync = sync || !e.relaxed
	}
	err, broken := l.write(group, sync)
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
	if err == nil && idle && l.synced {
		// Only a hint: without it Open must believe less. So its error is nobody's.
		_, _ = l.file.WriteAt(mark[:], l.at)
	}
	return nil
}

// write puts a group into the file, all of it or nothing, and with sync set
// onto the disk. broken means that it could not find out which.
func (l *Log) write(group []*entry, sync bool) (err error, broken bool) {
	sync = sync && l.opts.Sync
	if l.at >= l.opts.SegmentSize && len(group) > 0 {
		if err, broken := l.rotate(); err != nil {
			return err, broken
		}
	}
	buf, c, segment := l.buf[:0], l.chain, l.index.newest()
	for i, e := range group {
		from := len(buf)
		buf, c.prev = appendFrame(buf, c.next, c.prev, e.body, i == 0 && l.synced)
		c.next++
		e.meta.put(segment, l.at+int64(from), len(buf)-from-frameSize)
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
	l.chain, l.at = c, l.at+int64(len(buf))
	l.index.addAll(group)
	return nil, false
}

// rotate begins the next segment once this one is whole and durable.
func (l *Log) rotate() (err error, broken bool) {
	if err := l.file.Truncate(l.at); err != nil { // the mark
		return fmt.Errorf("trail: end segment: %w", err), false
	}
	if l.opts.Sync {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("trail: sync: %w", err), true
		}
		l.synced = true
	}
	if err := l.begin(); err != nil {
		return fmt.Errorf("trail: %w", err), false
	}
	return nil, false
}

// finish is the last thing written.
func (l *Log) finish() error {
	if n := len(l.backlog); n > 0 {
		return fmt.Errorf("trail: %d relaxed records could not be written", n)
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
