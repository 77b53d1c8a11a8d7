package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestFindIn reads a log while it is written: what was acknowledged before is
// found, every time.
func TestFindIn(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Sync: true, SegmentSize: 16 << 10})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil && i < 300; i++ {
				if err := l.Append(t.Context(), record(1000*p+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 20 {
		r := record(i)
		r.RequestID = fmt.Sprint("mine-", i)
		if err := l.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		got, err := FindIn(t.Context(), dir, r.RequestID)
		if err != nil || len(got) != 1 || got[0].EventID != r.EventID {
			t.Errorf("%s: %d, %v", r.RequestID, len(got), err)
		}
	}
	if got, err := FindIn(t.Context(), dir, "none"); err != nil || len(got) != 0 {
		t.Errorf("none: %d, %v", len(got), err)
	}
	stop()
	wg.Wait()
	mustClose(t, l)
}

// TestVerifyWhileWritten verifies a log that is written now and then: it may see
// the half of a write, and must not take it for damage because nothing follows.
func TestVerifyWhileWritten(t *testing.T) {
	t.Run("growing", func(t *testing.T) { verifyWhileWritten(t, Options{}) })
	t.Run("over-zeros", func(t *testing.T) { verifyWhileWritten(t, Options{Sync: true}) })
}

func verifyWhileWritten(t *testing.T, opts Options) {
	k, ringOf := keyring(t)
	dir := t.TempDir()
	opts.Signer, opts.CheckpointEvery = logSigner(t, k), time.Millisecond
	l := mustOpen(t, dir, opts)
	var wg sync.WaitGroup
	const rounds = 6
	each := 500
	if opts.Sync {
		each = 40
	}
	wg.Go(func() {
		for i := range each * rounds {
			if err := l.Append(t.Context(), record(i)); err != nil {
				t.Error(err)
			}
			if i%each == each-1 {
				time.Sleep(15 * offlineWait) // nothing grows, for what is tried again
			}
		}
	})
	verified := 0
	for n := uint64(0); n < uint64(each)*rounds; verified++ {
		rep, err := Verify(t.Context(), dir, Check{Keys: ringOf()})
		if err != nil {
			t.Fatalf("%d: %v\n%+v", verified, err, rep)
		}
		n = rep.Head.Records
	}
	wg.Wait()
	mustClose(t, l)
	t.Logf("verified %d times", verified)
}

// TestReadersWhileWritten: whoever reads a log while it is written, begins new
// segments and loses old ones finds it whole.
func TestReadersWhileWritten(t *testing.T) {
	t.Run("growing", func(t *testing.T) {
		readersWhileWritten(t, 1500, Options{SegmentSize: 8 << 10, RetainBytes: 64 << 10})
	})
	t.Run("over-zeros", func(t *testing.T) {
		readersWhileWritten(t, 200, Options{SegmentSize: 16 << 10, RetainBytes: 64 << 10, Sync: true})
	})
}

func readersWhileWritten(t *testing.T, total int, opts Options) {
	k, ringOf := keyring(t)
	dir := t.TempDir()
	ring := ringOf
	opts.Signer, opts.CheckpointEvery = logSigner(t, k), time.Millisecond
	l := mustOpen(t, dir, opts)
	if err := l.Append(t.Context(), record(0)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := 1; i < total; i++ {
			if err := l.Append(t.Context(), record(i)); err != nil {
				t.Error(err)
			}
		}
	}()
	ctx := t.Context()
	var wg sync.WaitGroup
	for name, read := range map[string]func() error{
		"Read": func() error {
			last := uint64(0)
			for s, err := range Read(ctx, dir, nil, func(done, total int64) {}) {
				if err != nil {
					return err
				}
				if last != 0 && s.Seq != last+1 || s.Record.RequestID != fmt.Sprint("request-", s.Seq-1) {
					return fmt.Errorf("record %d, %s, after %d", s.Seq, s.Record.RequestID, last)
				}
				last = s.Seq
			}
			return nil
		},
		"Walk": func() error {
			last := uint64(0)
			for batch, err := range Walk(ctx, dir, nil, nil, func(s Stored) (uint64, bool) { return s.Seq, true }) {
				if err != nil {
					return err
				}
				for _, seq := range batch {
					if last != 0 && seq != last+1 {
						return fmt.Errorf("record %d after %d", seq, last)
					}
					last = seq
				}
			}
			return nil
		},
		"Verify": func() error {
			_, err := Verify(ctx, dir, Check{Keys: ring()})
			return err
		},
		"Prove": func() error {
			seq := l.published.Load()
			_, err := Prove(ctx, dir, fmt.Sprint("request-", seq-1))
			if b, rerr := os.ReadFile(filepath.Join(dir, baseName)); rerr == nil {
				if c, _, rerr := readBase(b, nil); rerr == nil && c.next > seq {
					return nil // removed meanwhile
				}
			}
			if errors.Is(err, ErrNoCheckpoint) { // yet
				return nil
			}
			return err
		},
		"FindIn": func() error {
			_, err := FindIn(ctx, dir, fmt.Sprint("request-", l.Head().Records-1))
			return err
		},
		"Find": func() error {
			id := fmt.Sprint("request-", l.Head().Records-1)
			rs, err := l.Find(ctx, id)
			if err == nil && len(rs) > 1 {
				err = fmt.Errorf("%s is there %d times", id, len(rs))
			}
			return err
		},
		"After": func() error {
			_, _, err := l.After(ctx, 0, 100)
			return err
		},
		"Lookup": func() error {
			for q := (Query{Region: "ap-northeast-1", Attribute: ByEventName, Value: "Converse"}); ; {
				p, err := l.Lookup(ctx, q)
				if err != nil || p.Next == "" {
					return err
				}
				q.Token = p.Next
			}
		},
	} {
		wg.Go(func() {
			n := 0
			for going := true; going && !t.Failed(); n++ {
				select {
				case <-written:
					going = false
				default:
				}
				if err := read(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			t.Logf("%s: %d times", name, n)
		})
	}
	wg.Wait()
	<-written
	mustClose(t, l)
	rep, err := Verify(ctx, dir, Check{Keys: ring()})
	if err != nil || rep.Head.Records != uint64(total) || rep.Removed > 0 != (opts.RetainBytes > 0) {
		t.Errorf("%+v, %v", rep, err)
	}
}
