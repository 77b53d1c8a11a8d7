package trail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokaido/value"
)

// Report is what Verify found.
type Report struct {
	Segments int
	Bytes    int64
	Head     Head
	First    time.Time // of the first record
	Last     time.Time // of the last record
	Marked   bool      // the end says of itself that it was durable: the log was closed, or idle
}

// Verify reads the whole log in dir and checks every byte: that each record is
// as it was written, continues the chain, and can be understood. It changes
// nothing and needs nobody's help, so that it can be run on a copy. The error
// for damage is a *Corrupt, and the Report then tells of what is before it.
// progress, if not nil, is called now and then with the bytes checked.
func Verify(ctx context.Context, dir string, progress func(done, total int64)) (Report, error) {
	d, err := readFolder(dir)
	if err != nil {
		return Report{}, err
	}
	rep, err := verify(ctx, d, progress)
	return rep, errors.Join(err, d.Close())
}

const progressEvery = 1 << 14 // records

func verify(ctx context.Context, d disk, progress func(done, total int64)) (rep Report, err error) {
	names, err := d.List()
	if err != nil {
		return rep, err
	}
	if len(names) == 0 {
		return rep, errors.New("verify trail: there is no segment")
	}
	files := make([]file, 0, len(names))
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	var total int64
	for _, name := range names {
		f, err := d.Open(name)
		if err != nil {
			return rep, err
		}
		files = append(files, f)
		size, err := f.Size()
		if err != nil {
			return rep, err
		}
		total += size
	}
	c := chain{next: 1}
	for i, name := range names {
		s, err := c.scan(name, files[i], i == len(names)-1, func(at int64, n int, _ hash, body []byte) error {
			v, err := value.Parse(body)
			if err == nil && c.next%progressEvery == 0 {
				if progress != nil {
					progress(rep.Bytes+at, total)
				}
				err = context.Cause(ctx)
				if err != nil {
					return err
				}
			}
			var r *Record
			if err == nil {
				r, err = decodeRecord(v)
			}
			if err != nil {
				return &Corrupt{File: name, Offset: at, Reason: err.Error()}
			}
			if rep.First.IsZero() {
				rep.First = r.Time
			}
			rep.Last = r.Time
			return nil
		})
		rep.Segments++
		rep.Bytes += s.end
		rep.Head = Head{c.next - 1, c.prev}
		if err != nil {
			return rep, fmt.Errorf("verify trail: %w", err)
		}
		rep.Marked = s.marked
	}
	if progress != nil {
		progress(total, total)
	}
	return rep, nil
}
