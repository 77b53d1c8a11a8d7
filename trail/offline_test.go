package trail

import (
	"context"
	"fmt"
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
	k, ringOf := keyring(t)
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Signer: logSigner(t, k), CheckpointEvery: time.Millisecond})
	var wg sync.WaitGroup
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := l.Append(t.Context(), record(i)); err != nil {
				t.Error(err)
			}
			if i%500 == 499 {
				time.Sleep(15 * offlineWait) // and nothing grows
			}
		}
	})
	n := 0
	for ; ctx.Err() == nil; n++ {
		if rep, err := Verify(t.Context(), dir, Check{Keys: ringOf()}); err != nil {
			t.Fatalf("%d: %v\n%+v", n, err, rep)
		}
	}
	wg.Wait()
	mustClose(t, l)
	t.Logf("verified %d times", n)
}
