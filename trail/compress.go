package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tokaido/internal/durable"
)

const (
	// compressing is the name of the file that a segment is compressed into. There is
	// one at a time, and Open removes what a crash left of it.
	compressing = "compressing"
	// compressRetry is how long after a failure it is tried again.
	compressRetry = 10 * time.Minute
	// compressLook is the longest time between two looks for segments that have become
	// old enough.
	compressLook = time.Hour
)

// replaceable is a segment's file, of which another form may take the place while
// it is read.
type replaceable struct {
	mu   sync.RWMutex
	file file // guarded by mu
}

func (r *replaceable) now() file {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.file
}

func (r *replaceable) ReadAt(b []byte, at int64) (int, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.file.ReadAt(b, at)
}

func (r *replaceable) WriteAt(b []byte, at int64) (int, error) { return r.now().WriteAt(b, at) }
func (r *replaceable) Truncate(n int64) error                  { return r.now().Truncate(n) }
func (r *replaceable) Sync() error                             { return r.now().Sync() }
func (r *replaceable) Close() error                            { return r.now().Close() }

func (r *replaceable) Size() (int64, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.file.Size()
}

func (r *replaceable) onDisk() (int64, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return bytesOnDisk(r.file)
}

// replace puts f in its place, when nobody reads, and closes what was there.
func (r *replaceable) replace(f file) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.file
	r.file = f
	return old.Close()
}

// compressOld compresses full segments when they are old enough, until the log is
// closed.
func (l *Log) compressOld() {
	for {
		t := time.NewTimer(l.compressDue())
		select {
		case <-l.done:
			t.Stop()
			return
		case <-l.sealedOne:
			t.Stop()
		case <-t.C:
		}
	}
}

// compressDue compresses what is old enough and says when to look again.
func (l *Log) compressDue() (wait time.Duration) {
	wait = compressLook
	segments := l.index.list()
	for i := range segments[:max(0, len(segments)-1)] { // the last one is being written
		s := &segments[i]
		if s.sealed == nil || isPacked(s.file) {
			continue
		}
		if due := time.Unix(0, s.sealed.To).Add(l.opts.CompressAfter).Sub(l.opts.Now()); due > 0 {
			wait = min(wait, max(due, time.Second))
			continue
		}
		began := time.Now()
		before, after, err := l.compressSegment(s)
		switch {
		case err == nil:
			l.opts.Logger.Info("trail: a segment was compressed", "file", s.name, "bytes", before, "compressed", after)
			select { // of many, half of a core and of the disk is left to others
			case <-l.done:
				return wait
			case <-time.After(time.Since(began)):
			}
		case errors.Is(err, ErrClosed):
			return wait
		default:
			l.opts.Logger.Warn("trail: a segment could not be compressed and stays as it is", "file", s.name, "err", err)
			return compressRetry
		}
	}
	return wait
}

// compressSegment compresses a segment that is full, beside what goes on.
func (l *Log) compressSegment(s *indexed) (before, after int64, err error) {
	stop := func() error {
		select {
		case <-l.done:
			return ErrClosed
		default:
			return nil
		}
	}
	if !l.opts.Sync { // what follows a compressed segment must be there
		if err := errors.Join(l.index.last().file.Sync(), l.disk.Sync()); err != nil {
			return 0, 0, err
		}
	}
	if before, after, err = writePacked(l.disk, s.file, stop); err != nil {
		return 0, 0, err
	}
	l.names.Lock()
	defer l.names.Unlock()
	if !l.index.has(s.name) { // removed meanwhile: it must not come again
		return before, after, l.disk.Remove(compressing)
	}
	if err := takePlace(l.disk, s.name); err != nil {
		return 0, 0, err
	}
	f, err := openSegment(l.disk, s.name, l.blocks)
	if err != nil {
		return 0, 0, err
	}
	return before, after, s.file.(*replaceable).replace(f)
}

// writePacked writes the compressed form of a segment beside it, and reads it back.
// It does not take the segment's place yet.
func writePacked(d disk, from file, stop func() error) (before, after int64, err error) {
	if err := removeLeft(d); err != nil {
		return 0, 0, err
	}
	if before, err = from.Size(); err != nil {
		return 0, 0, err
	}
	to, err := d.Create(compressing)
	if err != nil {
		return 0, 0, err
	}
	after, err = pack(from, before, to, stop)
	if err == nil {
		var again file
		if again, err = unpack(to, compressing, new(blockCache)); err == nil {
			if size, _ := again.Size(); size != before || !isPacked(again) {
				err = errors.New("trail: what was compressed is not read as such")
			} else {
				err = same(from, again, before, stop)
			}
		}
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return 0, 0, errors.Join(err, removeLeft(d))
	}
	return before, after, nil
}

// takePlace puts what was compressed in a segment's place. A crash leaves one of
// the two, and each is whole.
func takePlace(d disk, name string) error {
	return errors.Join(d.Rename(compressing, name), d.Sync())
}

// removeLeft removes what is left of a compression that did not come to its end.
func removeLeft(d disk) error {
	if err := d.Remove(compressing); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Compressed is what Compress did.
type Compressed struct {
	Segments int // that it compressed
	Already  int // that were compressed before
	Before   int64
	After    int64
}

// ErrOpen says that somebody has the log open.
var ErrOpen = errors.New("the log is open in another process")

// Compress compresses all full segments of the log in dir. Nobody may have the log
// open: the error is ErrOpen then. When it ends early, what it did stays done.
func Compress(ctx context.Context, dir string, progress func(done, total int64)) (c Compressed, err error) {
	if _, err := os.Stat(dir); err != nil {
		return c, err
	}
	d, err := openFolder(dir)
	if err != nil {
		if durable.Locked(filepath.Join(dir, lockName)) {
			err = ErrOpen
		}
		return c, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	names, err := fullSegments(d)
	if err != nil {
		return c, err
	}
	var total, done int64
	sizes := make([]int64, len(names))
	for i, name := range names {
		err := withSegment(d, name, func(f file) (err error) {
			if isPacked(f) {
				c.Already++
				return nil
			}
			sizes[i], err = f.Size()
			return err
		})
		if err != nil {
			return c, err
		}
		total += sizes[i]
	}
	for i, name := range names {
		if sizes[i] == 0 {
			continue
		}
		err := withSegment(d, name, func(f file) error {
			before, after, err := writePacked(d, f, func() error { return context.Cause(ctx) })
			if err == nil {
				err = takePlace(d, name)
			}
			if err != nil {
				return fmt.Errorf("compress %s: %w", name, err)
			}
			c.Segments, c.Before, c.After = c.Segments+1, c.Before+before, c.After+after
			return nil
		})
		if err != nil {
			return c, err
		}
		if done += sizes[i]; progress != nil {
			progress(done, total)
		}
	}
	return c, nil
}

// withSegment does something with a segment's file and closes it.
func withSegment(d disk, name string, do func(file) error) error {
	f, err := openSegment(d, name, new(blockCache))
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

// fullSegments is all segments but the last one, which must be durable: without it,
// Open would go on with the one before.
func fullSegments(d disk) ([]string, error) {
	names, err := d.List()
	if err != nil {
		return nil, err
	}
	for len(names) > 0 {
		last := len(names) - 1
		begun := false
		err := withSegment(d, names[last], func(f file) error {
			head := make([]byte, headerSize)
			if err := readFull(f, head, 0); err != nil {
				return nil //nolint:nilerr // it is being begun
			}
			_, _, err := parseHeader(head)
			begun = err == nil
			return f.Sync()
		})
		if err != nil {
			return nil, err
		}
		if names = slices.Clone(names[:last]); begun {
			break
		}
	}
	return names, d.Sync()
}
