package trail

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// A batch is what is written at once: frames of records, and perhaps a
// checkpoint after them. While one batch is on its way to the disk the frames of
// the next are made; it is written when the one before it is durable.
type batch struct {
	entries []*entry
	waiting int    // of entries: those that somebody waits for
	buf     []byte // the frames
	at      int64  // where they go
	settled bool   // what is before at will be durable when they are written
	c       chain  // where the chain stands after them
	last    int64  // where the last of them begins
	sync    bool   // ask for the disk though nobody waits
	sign    bool   // a checkpoint comes last
	signed  *Checkpoint
	began   time.Time // of its sync
}

const (
	makeAtOnce = 64 // frames that are made before the disk is looked at again

	// maxPatience is the longest time that a batch waits for more records.
	maxPatience = time.Millisecond
	// maxSkips is how many batches go at once after waiting did not help.
	maxSkips = 256
)

// gather decides whether a batch should wait a little. Who was just answered
// often comes again at once; if the next batch left without them, two crowds
// would take turns from then on, each paying for a sync of its own. So it waits
// until as many are there as there were, for a part of the time that a sync
// takes. Where they do not all come by then, because they do something else in
// between or are so many that the disk can as well work meanwhile, it is tried
// ever more rarely.
type gather struct {
	target int       // as many waiting as are worth waiting for
	until  time.Time // no longer than that
	skips  int       // batches that will not wait
	misses int       // times that waiting did not help, one after the other
}

// after begins to wait, after a batch of n was answered whose sync took a time,
// with m more there already.
func (g *gather) after(n, m int, took time.Duration, now time.Time) {
	if g.skips > 0 {
		g.skips--
		g.target = 0
		return
	}
	g.target, g.until = n+m, now.Add(min(took/2, maxPatience))
}

// wait reports whether a batch with so many waiting should wait for more.
func (g *gather) wait(waiting int, now time.Time) bool {
	if g.target == 0 {
		return false
	}
	if waiting < g.target && now.Before(g.until) {
		return true
	}
	if waiting >= g.target {
		g.misses = 0
	} else {
		g.misses = min(g.misses+1, 8)
		g.skips = min(1<<g.misses, maxSkips)
	}
	g.target = 0
	return false
}

// run is the only goroutine that writes. It ends when the log is closed or
// broken.
func (l *Log) run() {
	defer close(l.done)
	defer close(l.starts)
	go l.syncs()
	if err := l.serve(); err != nil {
		l.fail(err)
	}
}

// syncs has files synced, one after the other. It is a goroutine of its own
// because a batch is made meanwhile.
func (l *Log) syncs() {
	for f := range l.starts {
		l.landed <- f.Sync()
	}
}

// serve writes what is appended until the log is closed. An error means that the
// log is broken.
func (l *Log) serve() error {
	var flush, sign <-chan time.Time // set while something waits for the disk, for a signature
	wake := l.wake
	for {
		more, err := l.frame()
		if err != nil {
			return err
		}
		if more { // the next batch grows
			select {
			case err := <-l.landed:
				if err := l.land(err); err != nil {
					return err
				}
			default:
			}
			if l.durable == nil {
				continue
			}
		}
		if l.flying == nil && l.next != nil {
			if l.gather.target > 0 {
				l.reply()
				if wake != nil && l.opts.Sync && !l.next.sign && l.gather.wait(l.next.waiting, time.Now()) {
					runtime.Gosched()
					continue
				}
			}
			// The disk first: it works while others are answered.
			err, broken := l.write()
			l.reply()
			if broken {
				return err
			}
			continue
		}
		l.reply()
		if l.flying == nil && wake == nil {
			return l.finish()
		}
		if l.flying == nil {
			l.mark()
		}
		if sign == nil && l.unsigned() {
			sign = time.After(l.opts.CheckpointEvery)
		}
		if flush == nil && (l.opts.Sync && !l.synced || len(l.backlog) > 0) {
			flush = time.After(FlushEvery)
		}
		select {
		case _, open := <-wake:
			if !open {
				wake = nil
			}
		case err := <-l.landed:
			if err := l.land(err); err != nil {
				return err
			}
		case <-flush:
			flush = nil
			if l.opts.Sync && !l.synced && l.flying == nil || len(l.backlog) > 0 {
				l.batch().sync = true
			}
		case <-sign:
			sign = nil
			if l.unsigned() {
				l.batch().sign = true
			}
		}
	}
}

// batch is the next one, which it begins if need be.
func (l *Log) batch() *batch {
	if l.next == nil {
		c := l.chain
		c.tree = c.tree.clone()
		// What flies is durable when this one is written, or the log is broken.
		l.next = &batch{buf: l.buf[:0], at: l.at, settled: l.synced || l.flying != nil, c: c, last: l.last}
		l.buf = nil
		if len(l.backlog) > 0 {
			b := l.backlog
			l.backlog = nil
			l.next.add(b)
		}
	}
	return l.next
}

// add makes the frames of some entries.
func (b *batch) add(group []*entry) {
	for _, e := range group {
		from := len(b.buf)
		var sum hash
		b.buf, sum = appendFrame(b.buf, b.c.next, b.c.prev, e.body, from == 0 && b.settled)
		b.c.record(sum)
		e.meta.at = b.at + int64(from)
		b.last = e.meta.at
		if e.done != nil {
			b.waiting++
		}
	}
	b.entries = append(b.entries, group...)
}

// frame makes frames of some of what waits. more says that there is more.
func (l *Log) frame() (more bool, err error) {
	if l.next != nil && len(l.next.buf) >= maxGroup {
		return false, nil
	}
	group, more := l.take(makeAtOnce)
	if len(group) == 0 {
		return false, nil
	}
	if l.next == nil && l.at >= l.opts.SegmentSize {
		if err := l.wait(); err != nil {
			l.answer(group, err)
			return false, err
		}
		if err, broken := l.rotate(); err != nil {
			l.answer(group, err)
			if broken {
				return false, err
			}
			return more, nil
		}
	}
	l.batch().add(group)
	return more, nil
}

// take removes up to n entries from the queue; more says that others wait.
func (l *Log) take(n int) (group []*entry, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil, false
	}
	full := l.queued > maxQueue/2
	size := 0
	for i, e := range l.queue {
		if i == n || size >= maxGroup {
			n = i
			break
		}
		size += len(e.body)
	}
	n = min(n, len(l.queue))
	group = l.queue[:n:n]
	l.queue = l.queue[n:]
	l.queued -= size
	if len(l.queue) == 0 {
		l.queue = nil
	}
	if full { // perhaps somebody waits for room
		close(l.room)
		l.room = make(chan struct{})
	}
	return group, len(l.queue) > 0
}

// unsigned reports whether there are records that a checkpoint should cover.
func (l *Log) unsigned() bool {
	return l.opts.Signer != nil && l.chain.signed < l.chain.next-1
}

// write puts the next batch into the file, all of it or nothing, and starts its
// way to the disk. What was on its way before is there. A write that fails is
// undone, those who wait get its error, and the others stay in the backlog: they
// have been promised their place. broken means that nobody knows any more what
// is on the disk.
func (l *Log) write() (err error, broken bool) {
	b := l.next
	l.next = nil
	if !l.unsynced.IsZero() && time.Since(l.unsynced) >= FlushEvery {
		b.sync = true // relaxed ones come without a pause, in which serve would see to it
	}
	if b.sign {
		p := Checkpoint{Records: b.c.next - 1, Root: b.c.tree.root(), Chain: b.c.prev, Time: l.opts.Now()}
		if err := p.sign(l.opts.Signer); err != nil {
			err = fmt.Errorf("trail: sign: %w", err)
			l.reply()
			l.answer(b.entries, err)
			l.opts.Logger.Error("trail: no checkpoint could be written", "err", err)
			return err, false
		}
		b.last = b.at + int64(len(b.buf))
		b.buf, b.c.prev = appendNoteFrame(b.buf, p.Note, len(b.entries) == 0 && b.settled)
		b.c.signed, b.c.note, b.signed = p.Records, p.Note, &p
	}
	if cap(b.buf) <= 2*maxGroup {
		l.buf = b.buf
	}
	if len(b.buf) > 0 {
		l.marked = false
		if err := l.put(b.buf); err != nil {
			err = fmt.Errorf("trail: write: %w", err)
			l.reply()
			terr := l.cut(l.at)
			l.answer(b.entries, errors.Join(err, terr))
			if terr != nil {
				return errors.Join(err, terr), true
			}
			if b.sign {
				l.opts.Logger.Error("trail: no checkpoint could be written", "err", err)
			}
			return err, false
		}
		l.synced = false
	}
	l.chain, l.at, l.last = b.c, l.at+int64(len(b.buf)), b.last
	if l.synced || !l.opts.Sync || b.waiting == 0 && !b.sync && !b.sign {
		if l.opts.Sync && !l.synced && l.unsynced.IsZero() {
			l.unsynced = time.Now()
		}
		l.index.addAll(b.entries)
		l.reply()
		l.written(b)
		l.partNow()
		return nil, false
	}
	l.flying, b.began = b, time.Now()
	f := l.file
	l.groups.Add(1)
	l.starts <- f
	runtime.Gosched() // syncs goes first
	l.ahead()
	// Nobody sees these before the log's head moves.
	l.index.addAll(b.entries)
	return nil, false
}

// put writes at the end. The zeros ahead give way: where there is no room for
// both, what they took may do.
func (l *Log) put(b []byte) error {
	l.clear(l.at + int64(len(b)))
	_, err := l.file.WriteAt(b, l.at)
	if err != nil && l.zeroed > l.at {
		l.unzeroed = time.Now().Add(aheadPause)
		if err := l.cut(l.at); err != nil {
			return err
		}
		_, err = l.file.WriteAt(b, l.at)
	}
	return err
}

// land takes what came of the sync of a batch.
func (l *Log) land(err error) error {
	b := l.flying
	l.flying = nil
	if err != nil {
		// The system may have dropped what it could not write, and another Sync
		// would say nothing of it.
		err = fmt.Errorf("trail: sync: %w", err)
		l.answer(b.entries, err)
		return err
	}
	l.synced, l.unsynced = true, time.Time{}
	l.durable = b
	l.partNow()
	now := time.Now()
	l.mu.Lock()
	more := len(l.queue)
	l.mu.Unlock()
	if l.next != nil {
		more += l.next.waiting
	}
	l.gather.after(b.waiting, more, now.Sub(b.began), now)
	return nil
}

// reply answers those who wait for a batch that landed.
func (l *Log) reply() {
	if b := l.durable; b != nil {
		l.durable = nil
		l.written(b)
	}
}

// wait waits until nothing is on its way to the disk, and answers.
func (l *Log) wait() error {
	l.reply()
	if l.flying == nil {
		return nil
	}
	err := l.land(<-l.landed)
	l.reply()
	return err
}

// written answers those who wait for a batch, which is as durable as it was to
// be.
func (l *Log) written(b *batch) {
	l.mu.Lock()
	l.failing = false
	l.head = Head{b.c.next - 1, b.c.prev}
	l.mu.Unlock()
	for _, e := range b.entries {
		if e.done != nil {
			e.done <- nil
		}
	}
	if b.signed != nil {
		select {
		case <-l.latest: // nobody has come for the one before
		default:
		}
		l.latest <- b.signed
	}
}

// answer tells entries that they could not be written. Those that nobody waits
// for stay, to be written as soon as possible: they have been promised it.
func (l *Log) answer(group []*entry, err error) {
	l.mu.Lock()
	l.failing = true
	l.mu.Unlock()
	for _, e := range group {
		if e.done != nil {
			e.done <- err
		} else {
			l.backlog = append(l.backlog, e)
		}
	}
}

// mark says in the file that all before its end is durable. It is a hint only:
// without it Open must believe less. So its error is nobody's.
func (l *Log) mark() {
	if l.synced && !l.marked {
		l.clear(l.at + frameSize)
		_, err := l.file.WriteAt(mark[:], l.at)
		l.marked = err == nil
	}
}

// rotate begins the next segment once this one is whole, signed and durable.
// broken says that the log is.
func (l *Log) rotate() (err error, broken bool) {
	if l.unsigned() {
		l.batch().sign = true
		if err, broken := l.write(); err != nil {
			return err, broken
		}
		if err := l.wait(); err != nil {
			return err, true
		}
	}
	if err := l.cut(l.at); err != nil { // the mark, and the zeros
		return fmt.Errorf("trail: end segment: %w", err), false
	}
	l.marked = false
	if l.opts.Sync {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("trail: sync: %w", err), true
		}
		l.synced, l.unsynced = true, time.Time{}
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

// finish is the last thing written: what waits for the disk, a checkpoint, the mark.
func (l *Log) finish() error {
	if l.unsigned() || l.opts.Sync && !l.synced || len(l.backlog) > 0 {
		b := l.batch()
		b.sync, b.sign = true, l.opts.Signer != nil && l.chain.signed < b.c.next-1
		if err, broken := l.write(); broken {
			return err
		}
		if err := l.wait(); err != nil {
			return err
		}
	}
	if n := len(l.backlog); n > 0 {
		return fmt.Errorf("trail: %d relaxed records could not be written", n)
	}
	if l.unsigned() {
		return errors.New("trail: the end of the log could not be signed")
	}
	if l.at-l.parted >= l.opts.partEvery/8 {
		if l.parting != nil {
			<-l.parting
		}
		l.part()
	}
	if err := l.cut(l.at); err != nil {
		return fmt.Errorf("trail: end: %w", err)
	}
	l.marked = false
	l.mark()
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
	if l.next != nil {
		l.queue = append(l.next.entries, l.queue...)
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
