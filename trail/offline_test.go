package trail

import (
	"context"
	"fmt"
	"sync"
	"testing"
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
