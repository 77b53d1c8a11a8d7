package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
)

// Walk reads the records of the log in dir with all processors and yields, in
// the order of the log, what each made of them: a batch at a time, some empty.
// Records for which each returns false are left out. Two may be in each at once;
// want, if not nil, decides by a record's stored form whether each gets it at all.
//
// A server may be writing the log: Walk ends where the log ended when it came
// there. It checks that each record is as it was written, and nothing more: for
// the chain and the signatures there is Verify.
func Walk[T any](ctx context.Context, dir string, want func(body []byte) bool, progress func(done, total int64), each func(Stored) (T, bool)) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		fail := func(err error) { yield(nil, fmt.Errorf("read trail: %w", err)) }
		d, err := readFolder(dir)
		if err != nil {
			fail(err)
			return
		}
		defer d.Close()
		snap, err := standingTogether(d)
		if err == nil && len(snap.files) == 0 {
			err = errors.New("there is no segment")
		}
		if err != nil {
			fail(err)
			return
		}
		v := newVerifier(Check{}, snap)
		defer snap.close()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer close(v.quit)
		wg.Go(v.read)
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for p := range v.work {
					p.made = mapPiece(p, want, each)
					close(p.done)
				}
			})
		}
		var done int64
		var now *segmentFile
		for it := range v.items {
			switch {
			case it.err != nil:
				fail(it.err)
				return
			case it.begin != nil:
				now = it.begin
				if _, _, err := parseHeader(it.header); err != nil {
					if now.last && now.size <= headerSize {
						return // it is being begun
					}
					fail(&Corrupt{File: now.name, Reason: err.Error()})
					return
				}
				continue
			}
			select {
			case <-it.piece.done:
			case <-ctx.Done():
				fail(context.Cause(ctx))
				return
			}
			if !yield(it.piece.made.([]T), nil) {
				return
			}
			if bad := it.piece.bad; bad != nil {
				if bad.Torn {
					w := &window{f: now.f, size: now.size}
					if torn, err := w.torn(bad.Offset); err == nil && torn {
						return // not acknowledged, or not yet
					}
					bad.Torn = false
				}
				fail(bad)
				return
			}
			done += int64(len(it.piece.b))
			v.release(it.piece)
			if progress != nil {
				progress(done, snap.total)
			}
		}
	}
}

func mapPiece[T any](p *piece, want func([]byte) bool, each func(Stored) (T, bool)) []T {
	out := []T{}
	for at := 0; at < len(p.b); {
		payload, _, err := parseFrame(p.b[at:])
		if err == nil && len(payload) == 0 {
			return out // a mark: the end
		}
		var seq uint64
		var body []byte
		note := bytes.HasPrefix(payload, []byte(notePrefix))
		if err == nil && !note {
			seq, _, body, err = parsePayload(payload)
		}
		var r *Record
		if err == nil && !note && (want == nil || want(body)) {
			r, err = parseBody(body)
		}
		if err != nil {
			p.bad = &Corrupt{File: p.of.name, Offset: p.at + int64(at), Reason: err.Error(), Torn: p.of.last}
			return out
		}
		if r != nil {
			if x, ok := each(Stored{seq, r}); ok {
				out = append(out, x)
			}
		}
		at += frameSize + len(payload)
	}
	return out
}

var intentKey = []byte(`"phase":"intent"`)

// Events is a want for Walk: it leaves out the Intents, whose Outcomes tell more.
func Events(body []byte) bool { return !bytes.Contains(body, intentKey) }

// Of is a want for Walk: records whose stored form has s as a string, somewhere.
func Of(s string) func(body []byte) bool { return contains(s) }
