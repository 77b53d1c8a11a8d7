package trail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokaido/value"
)

// How often FindIn reads a log again whose end moved under it.
const (
	offlineTries = 5
	offlineWait  = 20 * time.Millisecond
)

// FindIn is [Log.Find] on the log in dir, which a server may be writing: it
// locks nothing and changes nothing. It reads the whole chain and checks it on
// the way; damage anywhere but in the unfinished end is a *Corrupt.
func FindIn(ctx context.Context, dir, requestID string) ([]*Record, error) {
	for try := 1; ; try++ {
		all, err := findIn(ctx, dir, requestID)
		bad, ok := errors.AsType[*Corrupt](err)
		switch {
		case err == nil, ok && bad.Torn: // what lies after it was not acknowledged
			return all, nil
		case !ok || try == offlineTries:
			return nil, err
		}
		// The writer may have overwritten a mark, or begun a segment, meanwhile.
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(offlineWait):
		}
	}
}

func findIn(ctx context.Context, dir, requestID string) (all []*Record, err error) {
	d, err := readFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	names, err := d.List()
	if err != nil {
		return nil, err
	}
	c := chain{next: 1}
	for i, name := range names {
		f, err := d.Open(name)
		if err != nil {
			return nil, err
		}
		_, err = c.scan(name, f, i == len(names)-1, func(at int64, _ int, _ hash, body []byte) error {
			if c.next%progressEvery == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			v, err := value.Parse(body)
			if err != nil {
				return &Corrupt{File: name, Offset: at, Reason: err.Error()}
			}
			r, err := decodeRecord(v)
			if err != nil {
				return &Corrupt{File: name, Offset: at, Reason: err.Error()}
			}
			if r.RequestID == requestID {
				all = append(all, r)
			}
			return nil
		})
		if err := errors.Join(err, f.Close()); err != nil {
			return all, fmt.Errorf("read trail: %w", err)
		}
	}
	return all, nil
}
