package trail

import (
	"fmt"
	"testing"
	"time"
)

// Gathered records are written with the first that somebody waits for, in the
// order in which they came, when the time is over, when there are too many, and
// at the end.
func TestGather(t *testing.T) {
	relaxed := func(i int) *Record {
		r := record(i)
		r.Relaxed = true
		return r
	}
	put := func(l *Log, rs ...*Record) {
		t.Helper()
		for _, r := range rs {
			if err := l.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
	order := func(l *Log, want int) {
		t.Helper()
		got := all(t, l, Query{})
		if len(got) != want {
			t.Fatalf("%d records, want %d", len(got), want)
		}
		for i, r := range got {
			if w := record(i).RequestID; r.RequestID != w {
				t.Errorf("place %d: %s, want %s", i, r.RequestID, w)
			}
		}
	}
	t.Run("with-one-that-is-waited-for", func(t *testing.T) {
		l := mustOpen(t, t.TempDir(), Options{Sync: true, Gather: time.Hour})
		defer mustClose(t, l)
		put(l, relaxed(0), relaxed(1))
		if n := l.Head().Records; n != 0 {
			t.Errorf("%d records were not gathered", n)
		}
		put(l, record(2))
		order(l, 3)
	})
	t.Run("when-the-time-is-over", func(t *testing.T) {
		l := mustOpen(t, t.TempDir(), Options{Sync: true, Gather: time.Millisecond})
		defer mustClose(t, l)
		for i := range 3 {
			put(l, relaxed(i))
			await(t, "the record", func() bool { return l.Head().Records == uint64(i+1) })
		}
		order(l, 3)
	})
	t.Run("when-there-are-many", func(t *testing.T) {
		l := mustOpen(t, t.TempDir(), Options{Gather: time.Hour})
		defer mustClose(t, l)
		size := len(appendRecord(nil, record(0)))
		for i := range maxGathered/size + 2 {
			put(l, relaxed(i))
		}
		await(t, "some", func() bool { return l.Head().Records > 0 })
	})
	t.Run("at-the-end", func(t *testing.T) {
		dir := t.TempDir()
		l := mustOpen(t, dir, Options{Sync: true, Gather: time.Hour})
		put(l, relaxed(0), relaxed(1))
		mustClose(t, l)
		if err := l.Append(t.Context(), relaxed(2)); err == nil {
			t.Error("a closed log takes records")
		}
		l = mustOpen(t, dir, Options{})
		defer mustClose(t, l)
		order(l, 2)
	})
	t.Run("after-the-end", func(t *testing.T) {
		for i := range 50 { // the timer and Close at about the same time
			l := mustOpen(t, t.TempDir(), Options{Gather: time.Duration(i) * 10 * time.Microsecond})
			put(l, relaxed(0))
			mustClose(t, l)
		}
	})
	if _, err := Open(t.TempDir(), Options{Gather: -1}); err == nil {
		t.Error("a negative time is taken")
	}
}

func BenchmarkAppendRelaxed(b *testing.B) {
	for _, gather := range []time.Duration{0, 5 * time.Millisecond} {
		b.Run(fmt.Sprint("gather-", gather), func(b *testing.B) {
			l := mustOpen(b, b.TempDir(), Options{Sync: true, Gather: gather})
			defer mustClose(b, l)
			r := record(0)
			b.ReportAllocs()
			for b.Loop() {
				x := *r
				x.EventID, x.Relaxed = "", true
				if err := l.Append(b.Context(), &x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
