package trail

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// proofOf asks until the log has been read.
func proofOf(t testing.TB, p *Prover, c *Checkpoint, of *Place) string {
	t.Helper()
	for {
		proof, err := p.Record(t.Context(), c, of)
		var more *Reading
		switch {
		case errors.As(err, &more):
			continue
		case err != nil:
			t.Fatalf("record %d of %d: %v", of.Seq, c.Records, err)
		}
		return proof
	}
}

func findEvent(t testing.TB, p *Prover, r *Record) *Place {
	t.Helper()
	of, err := p.Find(t.Context(), r.Region, r.EventID)
	if err != nil || of == nil || of.Record.EventID != r.EventID {
		t.Fatalf("%s: %+v, %v", r.EventID, of, err)
	}
	return of
}

// latestOf awaits a checkpoint that covers so many records.
func latestOf(t testing.TB, p *Prover, records uint64) (c *Checkpoint) {
	t.Helper()
	await(t, "a checkpoint", func() bool {
		var err error
		if c, err = p.Latest(); err != nil {
			t.Fatal(err)
		}
		return c != nil && c.Records >= records
	})
	return c
}

// TestProver: what a Prover of a log that is being written says is what is made
// of its files, for every record, checkpoint by checkpoint, across segments, while
// old ones are removed, and after it was opened again.
func TestProver(t *testing.T) {
	dir := t.TempDir()
	k, ringOf := keyring(t)
	opts := Options{SegmentSize: 64 << 10, Signer: logSigner(t, k), CheckpointEvery: time.Millisecond}
	l := mustOpen(t, dir, opts)
	p := NewProver(l)
	if c, err := p.Latest(); c != nil || err != nil {
		t.Fatalf("an empty log has %+v, %v", c, err)
	}
	var all []*Record
	var points []*Checkpoint
	grow := func(n int) {
		t.Helper()
		for range n {
			r := record(len(all))
			r.EventID, r.Phase, r.IntentID, r.Relaxed = fmt.Sprintf("event-%d", len(all)), Whole, "", true
			if err := l.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		points = append(points, latestOf(t, p, uint64(len(all))))
	}
	check := func(r *Record, c *Checkpoint) {
		t.Helper()
		of := findEvent(t, p, r)
		proof := proofOf(t, p, c, of)
		got, err := CheckProof([]byte(proof), ringOf(), nil)
		if err != nil || got.Record.EventID != r.EventID || got.Seq != of.Seq || got.Checkpoint.Records != c.Records {
			t.Fatalf("%s of %d: %+v, %v", r.EventID, c.Records, got, err)
		}
	}
	grew := func(from, to *Checkpoint) error {
		proof, err := p.Growth(t.Context(), to, from)
		if err != nil {
			return err
		}
		got, err := CheckProof([]byte(proof), ringOf(), from.Note)
		if err != nil || got.Since != from.Records || got.Checkpoint.Records != to.Records {
			t.Fatalf("growth from %d to %d: %+v, %v", from.Records, to.Records, got, err)
		}
		return nil
	}
	for _, n := range []int{1, 1, 5, 249, 1, 255, 256, 300, 511} { // up to, at and past the ends of blocks
		grow(n)
		for i := 0; i < len(all); i += 1 + len(all)/23 {
			check(all[i], points[len(points)-1])
		}
		check(all[len(all)-1], points[len(points)-1])
		for _, from := range points {
			if err := grew(from, points[len(points)-1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := 0; i < int(points[3].Records); i += 17 { // an earlier checkpoint is as good
		check(all[i], points[3])
	}
	proofs, err := Prove(t.Context(), dir, all[700].RequestID)
	if err != nil || len(proofs) != 1 || proofs[0] != proofOf(t, p, points[len(points)-1], findEvent(t, p, all[700])) {
		t.Errorf("the files prove it with %q, %v", proofs, err)
	}
	if _, err := p.Record(t.Context(), points[0], findEvent(t, p, all[700])); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("a record behind the checkpoint: %v", err)
	}
	lied := *points[2]
	lied.Root = tlog.Hash{1}
	if err := grew(&lied, points[4]); !errors.Is(err, ErrOtherLog) {
		t.Errorf("growth from another log: %v", err)
	}
	if err := grew(points[4], points[2]); err == nil {
		t.Error("the log shrank")
	}
	for _, id := range []string{"none", ""} {
		if of, err := p.Find(t.Context(), all[0].Region, id); of != nil || err != nil {
			t.Errorf("%q: %+v, %v", id, of, err)
		}
	}
	if of, _ := p.Find(t.Context(), "eu-west-1", all[0].EventID); of != nil {
		t.Error("it was found in another Region")
	}
	mustClose(t, l)

	opts.RetainBytes, opts.CompressAfter = 60<<10, longAgo // compressed ones count as they are on the disk
	l = mustOpen(t, dir, opts)
	defer mustClose(t, l)
	fresh := func() { p = NewProver(l) }
	old := p
	for range 3 {
		fresh()
		grow(400)
		awaitIndexes(t, l)
		grow(200)
		await(t, "segments to be removed", func() bool { return l.index.firstRecord() > 1 })
		first := int(l.index.firstRecord())
		for i := first + 100; i < len(all); i += 37 {
			check(all[i], points[len(points)-1])
		}
		for _, from := range points {
			if err := grew(from, points[len(points)-1]); err != nil && (!errors.Is(err, ErrRemoved) || from.Records >= uint64(first)) {
				t.Fatalf("growth from %d, of which %d are removed: %v", from.Records, first-1, err)
			}
		}
	}
	if _, err := old.Growth(t.Context(), points[len(points)-1], points[0]); err == nil {
		t.Error("a closed log was read")
	}
}

// TestProverReads: a log that takes long to read is read bit by bit, by whoever asks.
func TestProverReads(t *testing.T) {
	k, _ := keyring(t)
	l := mustOpen(t, t.TempDir(), Options{Signer: logSigner(t, k), CheckpointEvery: time.Millisecond})
	defer mustClose(t, l)
	const n = 3*checkEvery + 10
	for i := range n {
		r := record(i)
		r.Relaxed = true
		if err := l.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	p := NewProver(l)
	p.patience = -1
	c := latestOf(t, p, n)
	r, err := l.Lookup(t.Context(), Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	of := findEvent(t, p, r.Records[0])
	before := uint64(0)
	for try := 0; ; try++ {
		_, err := p.Record(t.Context(), c, of)
		var more *Reading
		if errors.As(err, &more) {
			if more.Done <= before || more.Total != c.Records {
				t.Fatalf("%+v after %d", more, before)
			}
			before = more.Done
			continue
		}
		if err != nil || try < 3 {
			t.Fatalf("after %d questions: %v", try, err)
		}
		return
	}
}

func BenchmarkProver(b *testing.B) {
	k, _ := keyring(b)
	l := mustOpen(b, b.TempDir(), Options{Signer: logSigner(b, k), CheckpointEvery: time.Millisecond})
	defer mustClose(b, l)
	const n = 200_000
	for i := range n {
		r := served(b, k, i%50)
		r.EventID, r.Relaxed, r.Phase = fmt.Sprintf("event-%d", i), true, Whole
		if err := l.Append(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	p := NewProver(l)
	c := latestOf(b, p, n)
	of, err := p.Find(b.Context(), "", fmt.Sprintf("event-%d", n/3))
	if err != nil || of == nil {
		b.Fatal(of, err)
	}
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			proofOf(b, NewProver(l), c, of)
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("next", func(b *testing.B) {
		b.ReportAllocs()
		proofOf(b, p, c, of)
		b.ResetTimer()
		for b.Loop() {
			proofOf(b, p, c, of)
		}
	})
}
