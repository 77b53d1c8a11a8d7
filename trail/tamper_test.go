package trail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tokaido/value"
)

// keyring makes keys in a directory and the ring of their public halves.
func keyring(t testing.TB) (*Keys, func() *Ring) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	k, err := OpenKeys(dir, "tokaido/111122223333")
	if err != nil {
		t.Fatal(err)
	}
	return k, func() *Ring {
		public, err := Public(dir)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewRing(public...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func logSigner(t testing.TB, k *Keys) note.Signer {
	t.Helper()
	s, err := k.Log()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// served is a record with a receipt.
func served(t testing.TB, k *Keys, i int) *Record {
	t.Helper()
	r := record(i)
	r.ErrorCode, r.ErrorMessage = "", ""
	c := Claim{RequestID: r.RequestID, Region: "ap-northeast-3", Model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
		Request: sha256.Sum256([]byte("question")), Response: sha256.Sum256([]byte("answer")), Time: r.Time}
	rs := Receipts{Keys: k}
	m, err := rs.For(context.Background(), c, true, "")
	if err != nil {
		t.Fatal(err)
	}
	r.Additional = value.MustParse(`{"inferenceRegion":"ap-northeast-3","inputTokens":9,"outputTokens":3}`)
	for _, x := range m {
		r.Additional = r.Additional.With(x.Key, x.Value)
	}
	return r
}

// signedLog is a closed log of n records in several segments.
func signedLog(t testing.TB, n int, opts Options) (dir string, k *Keys, ring *Ring) {
	t.Helper()
	k, ringOf := keyring(t)
	opts.Signer = logSigner(t, k)
	dir = t.TempDir()
	l := mustOpen(t, dir, opts)
	for i := range n {
		r := record(i)
		if i%3 == 0 {
			r = served(t, k, i)
		}
		if err := l.Append(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	return dir, k, ringOf()
}

// truth lists the files that a log's truth is in.
func truth(t testing.TB, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if n := e.Name(); n != lockName && !strings.HasSuffix(n, sealedSuffix) {
			names = append(names, n)
		}
	}
	return names
}

// TestSignedLog: what was written verifies, with every record covered by a
// checkpoint and every receipt good, also after it was opened again.
func TestSignedLog(t *testing.T) {
	dir, k, ring := signedLog(t, 40, Options{Sync: true, SegmentSize: 8 << 10})
	for round := range 3 {
		rep, err := Verify(t.Context(), dir, Check{Keys: ring})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if want := uint64(40 + round); rep.Signed != want || rep.Head.Records != want || rep.Receipts.Good != 14 || rep.Checkpoints < rep.Segments-1 || rep.Segments < 3 || rep.Origin != "tokaido/111122223333/trail" {
			t.Errorf("round %d: %+v", round, rep)
		}
		l := mustOpen(t, dir, Options{SegmentSize: 8 << 10, Signer: logSigner(t, k)})
		if err := l.Append(t.Context(), record(7)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
	}
	if _, err := Verify(t.Context(), dir, Check{Keys: new(Ring)}); err == nil {
		t.Error("verified without the key")
	}
	info, err := os.Stat(filepath.Join(k.dir, LogKey+keySuffix))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v; want mode 0600", info.Mode(), err)
	}
}

// TestTamperedAnywhere is the property: whatever is flipped, dropped, inserted,
// cut off, moved or repeated in a signed log's files, Verify says so.
func TestTamperedAnywhere(t *testing.T) {
	dir, _, ring := signedLog(t, 24, Options{SegmentSize: 6 << 10})
	names := truth(t, dir)
	files := map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		files[n] = b
	}
	last := names[slices.IndexFunc(names, func(n string) bool { return n == latestName })-1]
	other := t.TempDir()
	check := func(what string, change map[string][]byte, gone string) {
		t.Helper()
		for n, b := range files {
			if c, ok := change[n]; ok {
				b = c
			}
			if n == gone {
				if err := os.Remove(filepath.Join(other, n)); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				continue
			}
			if err := os.WriteFile(filepath.Join(other, n), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if rep, err := verifyDir(t.Context(), other, Check{Keys: ring}); err == nil {
			t.Fatalf("%s: nobody noticed: %+v", what, rep.Report)
		} else if _, ok := errors.AsType[*Corrupt](err); !ok {
			t.Fatalf("%s: %v", what, err)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	rounds := 600
	if testing.Short() {
		rounds = 100
	}
	for round := range rounds {
		n := names[r.IntN(len(names))]
		b := files[n]
		at := r.IntN(len(b))
		what, changed := "", []byte(nil)
		switch r.IntN(8) {
		case 0:
			what, changed = "flip", bytes.Clone(b)
			changed[at] ^= 1 << r.IntN(8)
		case 1:
			n := 1 + r.IntN(40)
			what, changed = "drop bytes", slices.Concat(b[:at], b[min(len(b), at+n):])
		case 2:
			what, changed = "insert", slices.Concat(b[:at], []byte{byte(r.IntN(256))}, b[at:])
		case 3:
			what, changed = "truncate", b[:at]
		default:
			if n == latestName {
				continue
			}
			starts := frames(t, b)
			ends := append(slices.Clone(starts[1:]), int64(len(b)))
			if len(starts) < 4 {
				continue
			}
			frame := func(i int) []byte { return b[starts[i]:ends[i]] }
			count := len(starts)
			if n == last {
				count-- // the mark
			}
			i, j := 1+r.IntN(count-1), 1+r.IntN(count-1)
			if i > j {
				i, j = j, i
			}
			switch r.IntN(3) {
			case 0:
				what, changed = "drop frame", slices.Concat(b[:starts[i]], b[ends[i]:])
			case 1:
				what, changed = "repeat frame", slices.Concat(b[:ends[i]], frame(i), b[ends[i]:])
			default:
				if i == j {
					continue
				}
				what, changed = "swap frames", slices.Concat(b[:starts[i]], frame(j), b[ends[i]:starts[j]], frame(i), b[ends[j]:])
			}
		}
		if n == last && bytes.Equal(changed, b[:len(b)-frameSize]) {
			continue // only the mark, which says nothing but that the end was durable
		}
		check(fmt.Sprintf("round %d: %s of %s at %d", round, what, n, at), map[string][]byte{n: changed}, "")
	}
	for _, n := range names {
		check("remove "+n, nil, n)
	}
}

// TestRewritten: whoever has all the files and no key can write a log that is
// right in itself, and it is found out.
func TestRewritten(t *testing.T) {
	dir, _, ring := signedLog(t, 9, Options{})
	name := filepath.Join(dir, segmentName(1))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(keep func(payload []byte) bool) []byte {
		out := appendHeader(nil, 1, hash{})
		c := chain{next: 1}
		for _, at := range frames(t, b)[1:] {
			p, first, err := parseFrame(b[at:])
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case len(p) == 0:
				out = append(out, mark[:]...)
			case bytes.HasPrefix(p, []byte(notePrefix)):
				if keep(p) {
					out, c.prev = appendNoteFrame(out, p[len(notePrefix):], first)
				}
			default:
				_, _, body, err := parsePayload(p)
				if err != nil {
					t.Fatal(err)
				}
				var h hash
				out, h = appendFrame(out, c.next, c.prev, bytes.Replace(body, []byte("ap-northeast-3"), []byte("ap-northeast-1"), 1), first)
				c.record(h)
			}
		}
		return out
	}
	for what, keep := range map[string]bool{"withOldCheckpoint": true, "withoutCheckpoint": false} {
		if err := os.WriteFile(name, forge(func([]byte) bool { return keep }), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verifyDir(t.Context(), dir, Check{Keys: ring}); err == nil {
			t.Errorf("%s: nobody noticed", what)
		}
	}
}

// TestCutBack: the end cut off back to an earlier checkpoint, with that one in
// the latest one's place, is found by who kept the later one.
func TestCutBack(t *testing.T) {
	dir, k, ring := signedLog(t, 5, Options{})
	early, err := os.ReadFile(filepath.Join(dir, latestName))
	if err != nil {
		t.Fatal(err)
	}
	segment, err := os.ReadFile(filepath.Join(dir, segmentName(1)))
	if err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, dir, Options{Signer: logSigner(t, k)})
	if err := l.Append(t.Context(), record(6)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	late, err := os.ReadFile(filepath.Join(dir, latestName))
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range [][]byte{early, late} {
		if _, err := Verify(t.Context(), dir, Check{Keys: ring, Latest: known}); err != nil {
			t.Errorf("before: %v", err)
		}
	}
	os.WriteFile(filepath.Join(dir, segmentName(1)), segment, 0o600)
	if _, err := Open(dir, Options{Signer: logSigner(t, k)}); err == nil {
		t.Error("opened a log that ends before what was signed")
	}
	os.WriteFile(filepath.Join(dir, latestName), early, 0o600)
	if _, err := Verify(t.Context(), dir, Check{Keys: ring}); err != nil {
		t.Errorf("cut back: %v; that takes a checkpoint kept elsewhere", err)
	}
	if _, err := Verify(t.Context(), dir, Check{Keys: ring, Latest: late}); err == nil {
		t.Error("cut back: the later checkpoint says nothing")
	}
}

// TestReceiptsAreChecked: a receipt that does not belong to its record, or that
// another key signed, is found even in a log that is whole.
func TestReceiptsAreChecked(t *testing.T) {
	for name, change := range map[string]func(v value.Value) value.Value{
		"region":    func(v value.Value) value.Value { return v.With("region", value.String("ap-northeast-1")) },
		"model":     func(v value.Value) value.Value { return v.With("model", value.String("other")) },
		"request":   func(v value.Value) value.Value { return v.With("requestId", value.String("request-2")) },
		"time":      func(v value.Value) value.Value { return v.With("time", value.String("2026-10-01T12:00:09Z")) },
		"digest":    func(v value.Value) value.Value { return v.With("responseDigest", v.Get("requestDigest")) },
		"key":       func(v value.Value) value.Value { return v.With("key", value.String("x+00000000")) },
		"signature": func(v value.Value) value.Value { return v.With("signature", value.String("AAAA")) },
		"member":    func(v value.Value) value.Value { return v.With("more", value.String("x")) },
		"nothing":   func(v value.Value) value.Value { return v },
	} {
		t.Run(name, func(t *testing.T) {
			k, ring := keyring(t)
			dir := t.TempDir()
			l := mustOpen(t, dir, Options{Signer: logSigner(t, k)})
			r := served(t, k, 1)
			r.Additional = r.Additional.With(ReceiptMember, change(r.Additional.Get(ReceiptMember)))
			if err := l.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			rep, err := Verify(t.Context(), dir, Check{Keys: ring()})
			bad, ok := errors.AsType[*BadReceipts](err)
			if want := name != "nothing"; ok != want || want && (len(bad.All) != 1 || bad.All[0].Record != 1) || !want && rep.Receipts.Good != 1 {
				t.Errorf("%+v, %v", rep.Receipts, err)
			}
		})
	}
}

// TestPeerReceipts: what another node signed is checked before it is believed.
func TestPeerReceipts(t *testing.T) {
	mine, _ := keyring(t)
	theirs, ring := keyring(t)
	c := Claim{RequestID: "mine", Region: "ap-northeast-3", Model: "m", Request: sha256.Sum256([]byte("q")), Response: sha256.Sum256([]byte("a")), Time: time.Unix(1, 0)}
	s, err := theirs.Region(c.Region)
	if err != nil {
		t.Fatal(err)
	}
	sent := c
	sent.RequestID = "theirs"
	good, err := sent.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, require := range []bool{false, true} {
		rs := Receipts{Keys: mine, Peers: ring(), Require: require}
		m, err := rs.For(t.Context(), c, false, good.Header())
		if err != nil || len(m) != 2 || m[0].Key != ReceiptMember || m[1].Key != ServedMember {
			t.Errorf("good: %v, %v", m, err)
		}
		other := c
		other.Response = sha256.Sum256([]byte("another answer"))
		for what, f := range map[string]func() ([]value.Member, error){
			"none":    func() ([]value.Member, error) { return rs.For(t.Context(), c, false, "") },
			"garbage": func() ([]value.Member, error) { return rs.For(t.Context(), c, false, "%%") },
			"other":   func() ([]value.Member, error) { return rs.For(t.Context(), other, false, good.Header()) },
			"unknown": func() ([]value.Member, error) {
				return (&Receipts{Keys: mine, Peers: new(Ring), Require: require}).For(t.Context(), c, false, good.Header())
			},
		} {
			m, err := f()
			if len(m) == 0 || m[len(m)-1].Key != ProblemMember || errors.Is(err, ErrReceipt) != require {
				t.Errorf("%s, required %v: %v, %v", what, require, m, err)
			}
		}
	}
}

// TestRetention: the oldest segments go, a signed base stands for them, and what
// is left verifies, opens, and is found.
func TestRetention(t *testing.T) {
	k, ring := keyring(t)
	dir := t.TempDir()
	opts := Options{SegmentSize: 4 << 10, RetainBytes: 14 << 10, Signer: logSigner(t, k)}
	total := uint64(0)
	for range 3 {
		l := mustOpen(t, dir, opts)
		for range 40 {
			if err := l.Append(t.Context(), record(int(total))); err != nil {
				t.Fatal(err)
			}
			total++
			awaitIndexes(t, l)
		}
		if got, err := l.Lookup(t.Context(), Query{Limit: 5}); err != nil || len(got.Records) != 5 {
			t.Errorf("lookup: %d, %v", len(got.Records), err)
		}
		mustClose(t, l)
		rep, err := Verify(t.Context(), dir, Check{Keys: ring()})
		if err != nil || rep.Head.Records != total || rep.Removed == 0 || rep.Bytes > 40<<10 {
			t.Fatalf("%+v, %v", rep, err)
		}
	}
	n := 0
	for _, err := range Read(t.Context(), dir, nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	rep, _ := Verify(t.Context(), dir, Check{Keys: ring()})
	if uint64(n) != total-rep.Removed {
		t.Errorf("read %d records of %d, %d removed", n, total, rep.Removed)
	}
	b, err := os.ReadFile(filepath.Join(dir, baseName))
	if err != nil {
		t.Fatal(err)
	}
	for at := range b {
		x := bytes.Clone(b)
		x[at] ^= 1
		os.WriteFile(filepath.Join(dir, baseName), x, 0o600)
		if _, err := verifyDir(t.Context(), dir, Check{Keys: ring()}); err == nil {
			t.Fatalf("byte %d of the base changed: nobody noticed", at)
		}
	}
	os.Remove(filepath.Join(dir, baseName))
	if _, err := verifyDir(t.Context(), dir, Check{Keys: ring()}); err == nil {
		t.Error("base removed: nobody noticed")
	}
}

// TestProofs: a record is proven to be in the log, and the log to have grown, to
// somebody who has neither.
func TestProofs(t *testing.T) {
	dir, k, ring := signedLog(t, 21, Options{SegmentSize: 6 << 10})
	early, err := os.ReadFile(filepath.Join(dir, latestName))
	if err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, dir, Options{SegmentSize: 6 << 10, Signer: logSigner(t, k), RetainBytes: 20 << 10})
	for i := range 30 {
		if err := l.Append(t.Context(), record(100+i)); err != nil {
			t.Fatal(err)
		}
		awaitIndexes(t, l)
	}
	mustClose(t, l)
	for _, id := range []string{"request-129", "request-120", "request-110"} {
		proofs, err := Prove(t.Context(), dir, id)
		if err != nil || len(proofs) != 1 {
			t.Fatalf("%s: %d proofs, %v", id, len(proofs), err)
		}
		p, err := CheckProof([]byte(proofs[0]), ring, nil)
		if err != nil || p.Record.RequestID != id || p.Checkpoint.Records != 51 {
			t.Fatalf("%s: %+v, %v", id, p, err)
		}
		for at := 0; at < len(proofs[0]); at += 7 {
			b := []byte(proofs[0])
			b[at] ^= 2
			if _, err := CheckProof(b, ring, nil); err == nil {
				t.Fatalf("%s: byte %d changed and believed", id, at)
			}
		}
	}
	if _, err := Prove(t.Context(), dir, "none"); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("none: %v", err)
	}
	growth, err := ProveGrowth(t.Context(), dir, early)
	if err != nil {
		// Hashes of records that were removed may be gone, and then that is said.
		t.Logf("growth: %v", err)
	} else if p, err := CheckProof([]byte(growth), ring, early); err != nil || p.Since != 21 {
		t.Errorf("growth: %+v, %v", p, err)
	}
}

// TestIndexFiles: what is found does not depend on whether a segment's index is
// in a file, and a file that does not fit is made anew.
func TestIndexFiles(t *testing.T) {
	dir := t.TempDir()
	opts := Options{SegmentSize: 16 << 10}
	l := mustOpen(t, dir, opts)
	for i := range 300 {
		r := record(i)
		r.EventID = fmt.Sprintf("event-%d", i)
		if i%9 == 0 {
			r.Phase = Intent
		}
		if i%9 == 1 {
			r.Phase, r.IntentID = Outcome, fmt.Sprintf("event-%d", i-1)
		}
		if err := l.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	queries := []Query{
		{}, {Region: "ap-northeast-3"}, {Region: "none"}, {Attribute: ByEventName, Value: "InvokeModel"},
		{Attribute: ByEventName, Value: "InvokeModel", Region: "ap-northeast-1"}, {Attribute: ByEventID, Value: "event-7"},
		{Attribute: ByResourceName, Value: "arn:profile/2", Start: at0.Add(30 * time.Second), End: at0.Add(250 * time.Second)},
		{Start: at0.Add(100 * time.Second), End: at0.Add(101 * time.Second)}, {End: at0.Add(-time.Second)},
		{Attribute: ByReadOnly, Value: "true", Region: "ap-northeast-1", Start: at0.Add(290 * time.Second)},
	}
	answers := func() (out []string) {
		for _, q := range queries {
			q.Limit = 7
			var ids []string
			for _, r := range all(t, l, q) {
				ids = append(ids, r.EventID)
			}
			out = append(out, strings.Join(ids, " "))
		}
		for _, id := range []string{"request-0", "request-299", "none"} {
			rs, err := l.Find(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(len(rs)))
		}
		return out
	}
	want := answers()
	if len(strings.Fields(want[0])) != 300-34 {
		t.Fatalf("%d events", len(strings.Fields(want[0])))
	}
	mustClose(t, l)
	index, err := filepath.Glob(filepath.Join(dir, "*"+sealedSuffix))
	if err != nil || len(index) < 5 {
		t.Fatalf("%d indexes, %v", len(index), err)
	}
	for round, damage := range []func(){
		func() {},
		func() { os.Remove(index[1]) },
		func() { os.WriteFile(index[2], []byte("garbage"), 0o600) },
		func() {
			b, _ := os.ReadFile(index[0])
			other, _ := os.ReadFile(index[3])
			os.WriteFile(index[3], b, 0o600)
			os.WriteFile(index[0], other, 0o600)
		},
	} {
		damage()
		l = mustOpen(t, dir, opts)
		if got := answers(); !slices.Equal(got, want) {
			t.Errorf("round %d:\n%q\nwant\n%q", round, got, want)
		}
		mustClose(t, l)
	}
}

// TestPublishedAfterCrash: a checkpoint that was in the log and not published when
// the process died is published at the next start.
func TestPublishedAfterCrash(t *testing.T) {
	dir, k, ring := signedLog(t, 9, Options{})
	file := filepath.Join(dir, latestName)
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := verifyDir(t.Context(), dir, Check{Keys: ring}); err == nil {
		t.Error("the latest checkpoint is gone and nobody noticed")
	}
	mustClose(t, mustOpen(t, dir, Options{Sync: true, Signer: logSigner(t, k)}))
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := verifyDir(t.Context(), dir, Check{Keys: ring}); err != nil {
		t.Error(err)
	}
}

// TestPartIndex: a log whose last segment has an index of its first bytes opens
// as if it had none, wherever that ends and whatever became of it; intents and
// what is found do not depend on it.
func TestPartIndex(t *testing.T) {
	k, ringOf := keyring(t)
	opts := Options{Signer: logSigner(t, k), CheckpointEvery: time.Hour, partEvery: 1 << 10}
	dir := t.TempDir()
	file := filepath.Join(dir, indexName(segmentName(1)))
	total := 0
	var stale []byte
	for round := range 12 {
		var size int64
		if info, err := os.Stat(filepath.Join(dir, segmentName(1))); err == nil {
			size = info.Size()
		}
		l := mustOpen(t, dir, opts)
		if round > 0 && round != 5 && round != 6 && round != 8 && l.known < size-2<<10 {
			t.Errorf("round %d: %d of %d bytes were known", round, l.known, size)
		}
		for range 7 {
			r := record(total)
			r.EventID = fmt.Sprintf("event-%d", total)
			switch total % 5 {
			case 1: // its outcome comes at once, later, in another round, or never
				r.Phase = Intent
			case 2:
				r.Phase, r.IntentID = Outcome, fmt.Sprintf("event-%d", total-1)
			}
			if err := l.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			total++
		}
		for i := range total {
			rs, err := l.Find(t.Context(), fmt.Sprintf("request-%d", i))
			if err != nil || len(rs) == 0 || len(rs) > 2 || i%5 != 1 && len(rs) != 1 {
				t.Errorf("round %d: request %d: %d records, %v", round, i, len(rs), err)
			}
		}
		if got := all(t, l, Query{Attribute: ByReadOnly, Value: "true", Region: "ap-northeast-3"}); len(got) < total/20 {
			t.Errorf("round %d: %d", round, len(got))
		}
		want := requests(all(t, l, Query{}))
		if total%5 == 2 { // the next open closes the last intent
			want = append(want, fmt.Sprint("request-", total-1))
		}
		mustClose(t, l)
		if rep, err := Verify(t.Context(), dir, Check{Keys: ringOf()}); err != nil || rep.Signed != rep.Head.Records {
			t.Fatalf("round %d: %+v, %v", round, rep, err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		switch round {
		case 2:
			stale = b
		case 4:
			os.Remove(file)
		case 5: // each byte of it changed: it is read, or made anew
			for at := 0; at < len(b); at += 1 + len(b)/300 {
				x := bytes.Clone(b)
				x[at] ^= 0x10
				os.WriteFile(file, x, 0o600)
				l := mustOpen(t, dir, opts)
				if got := requests(all(t, l, Query{})); !slices.Equal(got, want) {
					t.Fatalf("byte %d of the index changed:\n%s\nwant\n%s", at, got, want)
				}
				mustClose(t, l)
			}
			os.WriteFile(file, b[:len(b)/2], 0o600)
		case 7:
			os.WriteFile(file, stale, 0o600) // of an earlier time
		}
	}
	if rep, err := Verify(t.Context(), dir, Check{Keys: ringOf()}); err != nil || rep.Segments != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestFormAgrees: checkForm takes exactly what appendRecord writes.
func TestFormAgrees(t *testing.T) {
	for i := range 50 {
		r := record(i)
		r.EventID, r.State, r.UserAgent = fmt.Sprint(i), "東京 \"x\"\n\x01", string([]byte{0xff, 'a'})
		r.Phase, r.ExecutionARN = Phase(i%2), "arn"
		b := appendRecord(nil, r)
		if parts, err := checkForm(b); err != nil || string(parts.additional) != r.Additional.JSON() || parts.failed != (r.ErrorCode != "") {
			t.Fatalf("%s: %v", b, err)
		}
		for _, bad := range [][]byte{
			b[:len(b)-1], append(bytes.Clone(b), ' '), bytes.Replace(b, []byte(`"id"`), []byte(`"ID"`), 1),
			bytes.Replace(b, []byte(`"v":1`), []byte(`"v":2`), 1), bytes.Replace(b, []byte(`"phase":"`), []byte(`"phase":"x`), 1),
			bytes.Replace(b, []byte(`"time":"2`), []byte(`"time":"x`), 1), bytes.Replace(b, []byte(`:9`), []byte(`:09`), 1),
			bytes.Replace(b, []byte(`"source":`), []byte(`"source":1,"x":`), 1),
		} {
			if _, err := checkForm(bad); err == nil && !bytes.Equal(bad, b) {
				t.Fatalf("taken: %s", bad)
			}
		}
	}
}

// TestSignatureHasOneForm: a signature's last character has bits that stand for
// nothing, and all the same each byte counts.
func TestSignatureHasOneForm(t *testing.T) {
	k, ring := keyring(t)
	for i := range 40 {
		c := Checkpoint{Records: uint64(i), Time: at0}
		if err := c.sign(logSigner(t, k)); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCheckpoint(c.Note, ring()); err != nil {
			t.Fatal(err)
		}
		for bit := range 8 {
			b := bytes.Clone(c.Note)
			b[len(b)-3] ^= 1 << bit // before the = and the newline
			if _, err := ParseCheckpoint(b, ring()); err == nil {
				t.Fatalf("%q is believed for %q", b[len(b)-8:], c.Note[len(b)-8:])
			}
		}
	}
}

func FuzzForm(f *testing.F) {
	for i := range 8 {
		f.Add(appendRecord(nil, record(i)))
	}
	f.Add([]byte(`{"v":1,"parameters":{"a" : [1.5e3, -0, true, null, "\u00e9"]},"resources":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := checkForm(b); err != nil {
			return
		}
		if _, err := parseBody(b); err != nil {
			t.Errorf("checkForm took what is not read: %v\n%s", err, b)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	k, ring := keyring(f)
	c := Checkpoint{Records: 3, Time: at0}
	if err := c.sign(logSigner(f, k)); err != nil {
		f.Fatal(err)
	}
	f.Add(c.Note)
	f.Add([]byte("a\n1\n\n"))
	keys := ring()
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := peekCheckpoint(b); err == nil && !bytes.HasPrefix(b, []byte(p.text())) {
			t.Errorf("read differently than it is written: %q", b)
		}
		if p, err := ParseCheckpoint(b, keys); err == nil && p.text() != c.text() {
			t.Errorf("believed: %q", b)
		}
		CheckProof(b, keys, b)
	})
}

func FuzzReceipt(f *testing.F) {
	k, _ := keyring(f)
	r, err := served(f, k, 1).Receipt()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Header())
	f.Add("e30=")
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseReceipt(s); err == nil {
			if again, err := ParseReceipt(r.Header()); err != nil || again.Value().JSON() != r.Value().JSON() {
				t.Errorf("%q: %v", s, err)
			}
		}
	})
}

// FuzzProof: a proof that is believed proves what is so, however it is written.
func FuzzProof(f *testing.F) {
	dir, _, ring := signedLog(f, 9, Options{})
	early, err := os.ReadFile(filepath.Join(dir, latestName))
	if err != nil {
		f.Fatal(err)
	}
	proofs, err := Prove(f.Context(), dir, "request-4")
	if err != nil {
		f.Fatal(err)
	}
	growth, err := ProveGrowth(f.Context(), dir, early)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(proofs[0]))
	f.Add([]byte(growth))
	f.Add([]byte(recordProof + "\nrecord \n\n" + inclusion + "\nindex 0\n\n"))
	f.Add([]byte(growthProof + "\nold 9\n\n"))
	is, err := CheckProof([]byte(proofs[0]), ring, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := CheckProof(b, ring, early)
		switch {
		case err != nil:
		case p.Checkpoint.text() != is.Checkpoint.text(), p.Record != nil && (p.Seq != is.Seq || p.Record.CloudTrail().JSON() != is.Record.CloudTrail().JSON()), p.Record == nil && p.Since != 9:
			t.Errorf("believed: %s", b)
		}
	})
}
