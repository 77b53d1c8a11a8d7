package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"tokaido/value"
)

// How often a reader looks again at a log whose end moved under it.
const (
	offlineTries = 5
	offlineWait  = 20 * time.Millisecond
)

// Stored is a record with its place in the log.
type Stored struct {
	Seq    uint64
	Record *Record
}

// Read yields the records of the log in dir, oldest first. A server may be
// writing it: Read locks nothing and changes nothing, and ends where the log
// ended when it came there. It checks the chain on the way, not the signatures;
// damage anywhere but in the unfinished end is a *Corrupt. want, if not nil,
// decides by a record's stored form whether it is worth decoding; it must not
// keep it.
func Read(ctx context.Context, dir string, want func(body []byte) bool, progress func(done, total int64)) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		r := reader{ctx: ctx, want: want, progress: progress, yield: yield}
		for try := 1; ; try++ {
			err := r.read(dir)
			if err == nil || errors.Is(err, errEnough) {
				return
			}
			bad, ok := errors.AsType[*Corrupt](err)
			switch {
			case ok && bad.Torn: // what lies after it was not acknowledged
				return
			case !ok || try == offlineTries:
				yield(Stored{}, err)
				return
			}
			// The writer may have overwritten a mark, or begun or removed a segment, meanwhile.
			select {
			case <-ctx.Done():
				yield(Stored{}, context.Cause(ctx))
				return
			case <-time.After(offlineWait):
			}
		}
	}
}

var errEnough = errors.New("enough")

type reader struct {
	ctx      context.Context
	want     func([]byte) bool
	progress func(done, total int64)
	yield    func(Stored, error) bool
	last     uint64 // sequence of the last record yielded or passed over
}

const checkEvery = 1 << 12 // records

func (r *reader) read(dir string) (err error) {
	d, err := readFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	snap, err := standingTogether(d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snap.close()) }()
	c, _, err := snap.begin(nil)
	if err != nil {
		return err
	}
	var done int64
	for i := range snap.files {
		f := &snap.files[i]
		s, err := c.scan(f, func(at int64, body []byte) error {
			if c.next%checkEvery == 0 {
				if r.ctx.Err() != nil {
					return context.Cause(r.ctx)
				}
				if r.progress != nil {
					r.progress(done+at, snap.total)
				}
			}
			if c.next <= r.last {
				return nil
			}
			r.last = c.next
			if r.want != nil && !r.want(body) {
				return nil
			}
			rec, err := parseBody(body)
			if err != nil {
				return &Corrupt{File: f.name, Offset: at, Reason: err.Error()}
			}
			if !r.yield(Stored{c.next, rec}, nil) {
				return errEnough
			}
			return nil
		})
		done += s.end
		if err != nil {
			return fmt.Errorf("read trail: %w", err)
		}
	}
	if r.progress != nil {
		r.progress(snap.total, snap.total)
	}
	return nil
}

// FindIn is [Log.Find] on the log in dir, which a server may be writing.
func FindIn(ctx context.Context, dir, requestID string) (all []*Record, err error) {
	has := contains(requestID)
	for s, err := range Read(ctx, dir, has, nil) {
		if err != nil {
			return nil, err
		}
		if s.Record.RequestID == requestID {
			all = append(all, s.Record)
		}
	}
	return all, nil
}

// After returns up to n records that come after a sequence, oldest first, and
// the sequence of the last one. Records that are no longer kept are passed over.
func (l *Log) After(ctx context.Context, seq uint64, n int) (all []*Record, last uint64, err error) {
	if first := l.index.firstRecord(); seq+1 < first {
		seq = first - 1
	}
	end := l.Head().Records
	for last = seq; last < end && len(all) < n; last++ {
		if err := context.Cause(ctx); err != nil {
			return nil, seq, err
		}
		r, err := l.index.read(last + 1)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, seq, err
		}
		all = append(all, r)
	}
	return all, last, nil
}

// contains makes a want for Read: the stored form has s as a string, somewhere.
func contains(s string) func([]byte) bool {
	quoted := value.AppendQuoted(nil, s)
	return func(body []byte) bool { return bytes.Contains(body, quoted) }
}
