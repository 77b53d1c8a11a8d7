package trail

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// longAgo is when a test's segments are compressed: as soon as they are full.
const longAgo = time.Nanosecond

// packedNames are the segments in dir that are compressed.
func packedNames(t testing.TB, dir string) (names []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(b, []byte(packedMagic)) {
			names = append(names, filepath.Base(name))
		}
	}
	return names
}

// packAll compresses all full segments of the log in dir.
func packAll(t testing.TB, dir string) Compressed {
	t.Helper()
	c, err := Compress(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCompressedReadsTheSame: what is found, read, walked, exported, proven and verified does not
// depend on whether segments are compressed.
func TestCompressedReadsTheSame(t *testing.T) {
	opts := Options{SegmentSize: 300 << 10}
	dir, k, ring := signedLog(t, 900, opts)
	early, err := os.ReadFile(filepath.Join(dir, latestName))
	if err != nil {
		t.Fatal(err)
	}
	opts.Signer = logSigner(t, k)
	queries := []Query{
		{}, {Region: "ap-northeast-3"}, {Attribute: ByEventName, Value: "InvokeModel"}, {Attribute: ByResourceName, Value: "arn:profile/2", Start: at0.Add(30 * time.Second), End: at0.Add(250 * time.Second)},
		{Attribute: ByReadOnly, Value: "true", Region: "ap-northeast-1", Start: at0.Add(290 * time.Second)},
	}
	answers := func() (out []string) {
		l := mustOpen(t, dir, opts)
		defer mustClose(t, l)
		for _, q := range queries {
			out = append(out, fmt.Sprint(requests(all(t, l, q))))
		}
		for _, id := range []string{"request-0", "request-500", "request-899", "none"} {
			rs, err := l.Find(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(plain(rs)))
		}
		prover := NewProver(l)
		latest, err := prover.Latest()
		if err != nil {
			t.Fatal(err)
		}
		found, err := l.Find(t.Context(), "request-500")
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		place, err := prover.Find(t.Context(), found[0].Region, found[0].EventID)
		if err != nil || place == nil {
			t.Fatal(place, err)
		}
		proof, err := prover.Record(t.Context(), latest, place)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, proof)
		rs, last, err := l.After(t.Context(), 100, 300)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(last, plain(rs)))
		var read []*Record
		for s, err := range Read(t.Context(), dir, nil, nil) {
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, s.Record)
		}
		out = append(out, fmt.Sprint(plain(read)))
		n := 0
		for batch, err := range Walk(t.Context(), dir, nil, nil, func(s Stored) (uint64, bool) { return s.Seq, true }) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(batch)
		}
		out = append(out, fmt.Sprint(n))
		proofs, err := Prove(t.Context(), dir, "request-333")
		if err != nil || len(proofs) != 1 {
			t.Fatal(proofs, err)
		}
		if _, err := CheckProof([]byte(proofs[0]), ring, nil); err != nil {
			t.Fatal(err)
		}
		growth, err := ProveGrowth(t.Context(), dir, early)
		if err != nil {
			t.Fatal(err)
		}
		return append(out, proofs[0], growth)
	}
	want := answers()
	before, err := Verify(t.Context(), dir, Check{Keys: ring, Latest: early})
	if err != nil || before.Packed != 0 || before.OnDisk != before.Bytes {
		t.Fatalf("%+v, %v", before, err)
	}
	for round := range 3 {
		if round == 1 { // and without indexes
			index, err := filepath.Glob(filepath.Join(dir, "*"+sealedSuffix))
			if err != nil || len(index) < 3 {
				t.Fatal(index, err)
			}
			for _, name := range index {
				os.Remove(name)
			}
		}
		if c := packAll(t, dir); round == 0 && (c.Segments != before.Segments-1 || c.After > c.Before/4) || round > 0 && (c.Segments != 0 || c.Already != before.Segments-1) {
			t.Errorf("round %d: %+v", round, c)
		}
		rep, err := Verify(t.Context(), dir, Check{Keys: ring, Latest: early})
		if err != nil || rep.Packed != rep.Segments-1 || rep.OnDisk >= rep.Bytes {
			t.Fatalf("round %d: %+v, %v", round, rep, err)
		}
		rep.Packed, rep.OnDisk = before.Packed, before.OnDisk
		if fmt.Sprint(rep.Head, rep.Receipts, rep.Bytes, rep.Signed) != fmt.Sprint(before.Head, before.Receipts, before.Bytes, before.Signed) {
			t.Errorf("round %d: %+v\nwant %+v", round, rep, before)
		}
		if got := answers(); !slices.Equal(got, want) {
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("round %d, answer %d:\n%.300s\nwant\n%.300s", round, i, got[i], want[i])
				}
			}
		}
	}
}

// TestCompressedInTheBackground: full segments are compressed when they are old
// enough and not before, while the log is written and read.
func TestCompressedInTheBackground(t *testing.T) {
	k, ringOf := keyring(t)
	dir := t.TempDir()
	opts := Options{SegmentSize: 16 << 10, Signer: logSigner(t, k), CompressAfter: time.Hour, Now: func() time.Time { return at0.Add(150*time.Second + time.Hour) }}
	l := mustOpen(t, dir, opts)
	for i := range 300 {
		if err := l.Append(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			if got := all(t, l, Query{}); len(got) != i+1 {
				t.Fatalf("%d of %d", len(got), i+1)
			}
		}
	}
	due := func() (is, should int) {
		for i, s := range l.index.list() {
			if isPacked(s.file) {
				is++
			}
			if s.sealed != nil && i < len(l.index.list())-1 && s.sealed.To <= at0.Add(150*time.Second).UnixNano() {
				should++
			}
		}
		return is, should
	}
	awaitIndexes(t, l)
	await(t, "compressed segments", func() bool { is, should := due(); return is == should && is > 5 })
	if rs, err := l.Find(t.Context(), "request-3"); err != nil || len(rs) != 1 {
		t.Errorf("%d, %v", len(rs), err)
	}
	mustClose(t, l)
	if rep, err := Verify(t.Context(), dir, Check{Keys: ringOf()}); err != nil || rep.Packed < 5 || rep.Packed > rep.Segments/2+1 {
		t.Errorf("%+v, %v", rep, err)
	}
	// What is compressed can be removed.
	opts.RetainBytes, opts.CompressAfter = 40<<10, longAgo
	l = mustOpen(t, dir, opts)
	for i := range 300 {
		if err := l.Append(t.Context(), record(300+i)); err != nil {
			t.Fatal(err)
		}
		await(t, "compressed segments", func() bool {
			full := l.index.list()
			return !slices.ContainsFunc(full[:len(full)-1], func(s indexed) bool { return !isPacked(s.file) })
		})
	}
	mustClose(t, l)
	rep, err := Verify(t.Context(), dir, Check{Keys: ringOf()})
	if err != nil || rep.Removed == 0 || rep.Packed == 0 || rep.Head.Records != 600 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestReadersWhileCompressed: readers find the log whole while its segments are compressed
// and removed under them.
func TestReadersWhileCompressed(t *testing.T) {
	now := func() time.Time { return at0.Add(24 * time.Hour) }
	t.Run("kept", func(t *testing.T) {
		readersWhileWritten(t, 400, Options{SegmentSize: 8 << 10, CompressAfter: longAgo, Now: now})
	})
	t.Run("removed", func(t *testing.T) {
		readersWhileWritten(t, 1000, Options{SegmentSize: 8 << 10, RetainBytes: 32 << 10, CompressAfter: longAgo, Now: now})
	})
}

// TestTamperedCompressed is the property: any byte of a compressed segment that is
// flipped, dropped, inserted or cut off, any block or segment that is moved, is found.
func TestTamperedCompressed(t *testing.T) {
	dir, _, ring := signedLog(t, 1200, Options{SegmentSize: 400 << 10})
	packAll(t, dir)
	names := packedNames(t, dir)
	if len(names) < 3 {
		t.Fatal(names)
	}
	r := rand.New(rand.NewPCG(11, 11))
	content := func(n string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	refused := func(what string) {
		t.Helper()
		rep, err := verifyDir(t.Context(), dir, Check{Keys: ring})
		if _, ok := errors.AsType[*Corrupt](err); !ok {
			t.Fatalf("%s: %+v, %v", what, rep.Report, err)
		}
	}
	change := func(what, n string, b []byte) {
		t.Helper()
		whole := content(n)
		if bytes.Equal(whole, b) {
			return
		}
		os.WriteFile(filepath.Join(dir, n), b, 0o600)
		refused(what)
		os.WriteFile(filepath.Join(dir, n), whole, 0o600)
	}
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for round := range rounds {
		n := names[r.IntN(len(names))]
		b := content(n)
		at := r.IntN(len(b))
		if r.IntN(3) == 0 { // its ends, where lengths are
			at = []int{r.IntN(64), len(b) - 1 - r.IntN(64)}[r.IntN(2)]
		}
		switch r.IntN(4) {
		case 0:
			change(fmt.Sprintf("round %d: drop %d of %s", round, at, n), n, slices.Concat(b[:at], b[min(len(b), at+1+r.IntN(9)):]))
		case 1:
			change(fmt.Sprintf("round %d: insert %d into %s", round, at, n), n, slices.Concat(b[:at], []byte{byte(r.IntN(256))}, b[at:]))
		case 2:
			change(fmt.Sprintf("round %d: truncate %s at %d", round, n, at), n, b[:at])
		default:
			x := bytes.Clone(b)
			x[at] ^= 1 << r.IntN(8)
			change(fmt.Sprintf("round %d: flip %d of %s", round, at, n), n, x)
		}
	}
	// Blocks that are moved, with right checksums everywhere: the records tell.
	f, err := unpack(&memFile{d: newMemDisk(), data: content(names[1])}, names[1], new(blockCache))
	if err != nil {
		t.Fatal(err)
	}
	p := f.(*packed)
	if len(p.ends) < 3 {
		t.Fatal("too few blocks")
	}
	raw := make([]byte, p.size)
	if err := readFull(p, raw, 0); err != nil {
		t.Fatal(err)
	}
	swapped := slices.Concat(raw[packedBlock:2*packedBlock], raw[:packedBlock], raw[2*packedBlock:])
	again := &memFile{d: newMemDisk()}
	if _, err := pack(bytes.NewReader(swapped), int64(len(swapped)), again, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	change("swap blocks", names[1], again.data)
	swapped = bytes.Clone(raw)
	swapped[len(swapped)/2] ^= 1
	again = &memFile{d: newMemDisk()}
	if _, err := pack(bytes.NewReader(swapped), int64(len(swapped)), again, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	change("flip before it is compressed", names[1], again.data)
	// Segments that are moved, and that are gone.
	a, b := content(names[0]), content(names[1])
	os.WriteFile(filepath.Join(dir, names[0]), b, 0o600)
	os.WriteFile(filepath.Join(dir, names[1]), a, 0o600)
	refused("swap segments")
	os.WriteFile(filepath.Join(dir, names[0]), a, 0o600)
	os.WriteFile(filepath.Join(dir, names[1]), b, 0o600)
	for _, n := range names {
		b := content(n)
		os.Remove(filepath.Join(dir, n))
		refused("remove " + n)
		os.WriteFile(filepath.Join(dir, n), b, 0o600)
	}
	if _, err := verifyDir(t.Context(), dir, Check{Keys: ring}); err != nil {
		t.Fatalf("put back: %v", err)
	}
}

// TestCompressedAtTheEnd: a log whose last segments are gone, so that it ends in a
// compressed one, is not taken for one that ends there.
func TestCompressedAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{SegmentSize: 8 << 10}) // without checkpoints, that would tell
	for i := range 40 {
		if err := l.Append(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	packAll(t, dir)
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(names[len(names)-1])
	if _, err := verifyDir(t.Context(), dir, Check{}); err == nil {
		t.Error("verified")
	}
	for range 2 { // with and without its index
		if l, err := Open(dir, Options{SegmentSize: 8 << 10}); err == nil {
			t.Error("opened")
			mustClose(t, l)
		}
		os.Remove(indexName(names[len(names)-2]))
	}
}

// failingDisk fails from its n-th change on, as if the process were killed there: what
// was to happen next does not.
type failingDisk struct {
	disk
	left int
}

var errKilled = errors.New("killed")

func (d *failingDisk) step() error {
	if d.left--; d.left < 0 {
		return errKilled
	}
	return nil
}

func (d *failingDisk) Create(name string) (file, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f, err := d.disk.Create(name)
	return failingFile{f, d}, err
}

func (d *failingDisk) Remove(name string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.disk.Remove(name)
}

func (d *failingDisk) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.disk.Rename(from, to)
}

func (d *failingDisk) Sync() error {
	if err := d.step(); err != nil {
		return err
	}
	return d.disk.Sync()
}

type failingFile struct {
	file
	d *failingDisk
}

func (f failingFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.d.step(); err != nil {
		n, _ := f.file.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return f.file.WriteAt(b, at)
}

func (f failingFile) Sync() error {
	if err := f.d.step(); err != nil {
		return err
	}
	return f.file.Sync()
}

// TestKilledWhileCompressing: killed at any point, either form of a segment is there,
// the records are there once, and Open leaves nothing behind.
func TestKilledWhileCompressing(t *testing.T) {
	src, k, ring := signedLog(t, 400, Options{SegmentSize: 200 << 10})
	names := truth(t, src)
	first := names[slices.IndexFunc(names, func(n string) bool { return filepath.Ext(n) == suffix })]
	for step := 0; ; step++ {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
			t.Fatal(err)
		}
		d, err := openFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		killing := &failingDisk{d, step}
		err = withSegment(d, first, func(f file) error {
			_, _, err := writePacked(killing, f, func() error { return nil })
			if err == nil {
				err = takePlace(killing, first)
			}
			return err
		})
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		rep, verr := verifyDir(t.Context(), dir, Check{Keys: ring})
		if verr != nil || rep.Head.Records != 400 {
			t.Fatalf("killed at step %d: %+v, %v", step, rep.Report, verr)
		}
		l := mustOpen(t, dir, Options{SegmentSize: 200 << 10, Signer: logSigner(t, k)})
		if got := all(t, l, Query{}); len(got) != 400 {
			t.Fatalf("killed at step %d: %d records", step, len(got))
		}
		mustClose(t, l)
		if _, err := os.Stat(filepath.Join(dir, compressing)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("killed at step %d: %s is still there", step, compressing)
		}
		if err == nil {
			if step < 6 || len(packedNames(t, dir)) != 1 {
				t.Errorf("%d steps, %v", step, packedNames(t, dir))
			}
			break
		}
	}
}

// TestCompressionFails: a disk that is full, or that fails, leaves segments as they
// are, and the log goes on.
func TestCompressionFails(t *testing.T) {
	d := newMemDisk()
	d.aux = true
	l := mustOpenDisk(t, d, Options{SegmentSize: 8 << 10, Sync: true})
	for i := range 30 {
		if err := l.Append(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
		awaitIndexes(t, l)
	}
	s := l.index.list()[0]
	for _, fails := range []func(){func() { d.writeErr = errKilled }, func() { d.syncErr = errKilled }, func() { d.createErr = errKilled }} {
		d.set(fails)
		if _, _, err := l.compressSegment(&s); !errors.Is(err, errKilled) || isPacked(s.file) {
			t.Errorf("%v, compressed: %v", err, isPacked(s.file))
		}
		d.set(func() { d.writeErr, d.syncErr, d.createErr = nil, nil, nil })
		if _, err := d.Open(compressing); !errors.Is(err, os.ErrNotExist) {
			t.Error("something is left behind")
		}
	}
	if before, after, err := l.compressSegment(&s); err != nil || !isPacked(s.file) || after >= before {
		t.Errorf("%d, %d, %v", before, after, err)
	}
	// One that was removed meanwhile does not come again.
	s = l.index.list()[1]
	l.index.mu.Lock()
	l.index.segments = slices.Delete(l.index.segments, 1, 2)
	l.index.mu.Unlock()
	d.Remove(s.name)
	if _, _, err := l.compressSegment(&s); err != nil {
		t.Error(err)
	}
	if _, err := d.Open(s.name); !errors.Is(err, os.ErrNotExist) {
		t.Error("a segment that was removed is there again")
	}
	mustClose(t, l)
}

// TestCompressBesideAServer: the command leaves a log alone that somebody has open.
func TestCompressBesideAServer(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{SegmentSize: 8 << 10})
	if _, err := Compress(t.Context(), dir, nil); !errors.Is(err, ErrOpen) {
		t.Error(err)
	}
	mustClose(t, l)
	if c, err := Compress(t.Context(), dir, nil); err != nil || c != (Compressed{}) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Compress(t.Context(), filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(dir, Options{CompressAfter: -1}); err == nil {
		t.Error("compressed before it was written")
	}
}

// FuzzPacked: whatever a file holds, reading it ends, with what was compressed or with
// damage.
func FuzzPacked(f *testing.F) {
	raw := bytes.Repeat([]byte("0123456789abcdef, and so on\n"), 12_000)
	nothing := func() error { return nil }
	x := &memFile{d: newMemDisk()}
	if _, err := pack(bytes.NewReader(raw), int64(len(raw)), x, nothing); err != nil {
		f.Fatal(err)
	}
	small := &memFile{d: newMemDisk()}
	if _, err := pack(bytes.NewReader(raw[:100]), 100, small, nothing); err != nil {
		f.Fatal(err)
	}
	f.Add(x.data)
	f.Add(small.data)
	f.Add([]byte(packedMagic))
	f.Add(append([]byte(packedMagic), make([]byte, 60)...))
	f.Add(append([]byte{1}, x.data...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 && b[0] == 1 { // with checksums that are right
			b = rightSums(bytes.Clone(b[1:]))
		}
		in := &memFile{d: newMemDisk(), data: b}
		p, err := unpack(in, "x", new(blockCache))
		if err != nil {
			t.Fatal(err) // there is no disk that fails
		}
		if !isPacked(p) {
			return
		}
		size, _ := p.Size()
		got, err := io.ReadAll(io.NewSectionReader(p, 0, size))
		if _, ok := errors.AsType[*Corrupt](err); err != nil && !ok {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		if int64(len(got)) != size {
			t.Errorf("%d bytes of %d", len(got), size)
		}
		one := make([]byte, 1) // in small pieces it is the same
		for at := int64(0); at < size; at += 1 + size/50 {
			if _, err := p.ReadAt(one, at); err != nil || one[0] != got[at] {
				t.Errorf("at %d: %q, %v; want %q", at, one, err, got[at])
			}
		}
		if n, err := p.ReadAt(one, size); n != 0 || err != io.EOF {
			t.Errorf("behind the end: %d, %v", n, err)
		}
	})
}

// rightSums makes the checksums of a compressed segment right, so far as lengths allow.
func rightSums(b []byte) []byte {
	at := len(b) - packedFooter
	if at < len(packedMagic) {
		return b
	}
	foot := b[at:]
	n := min(int(binary.LittleEndian.Uint32(foot[12:])), (at-len(packedMagic))/packedEntry)
	table := b[at-n*packedEntry : at]
	from := len(packedMagic)
	for entry := range slices.Chunk(table, packedEntry) {
		to := min(len(b), from+int(binary.LittleEndian.Uint32(entry)))
		binary.LittleEndian.PutUint32(entry[4:], crc32.Checksum(b[from:to], castagnoli))
		from = to
	}
	binary.LittleEndian.PutUint32(foot[packedFooter-4:], packedSum(b[:len(packedMagic)], table, foot))
	return b
}

// BenchmarkPack is what compressing takes of a core.
func BenchmarkPack(b *testing.B) {
	raw := segmentOf(b, 20_000)
	var stored int64
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		var err error
		if stored, err = pack(bytes.NewReader(raw), int64(len(raw)), &memFile{d: newMemDisk()}, func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(raw))/float64(stored), "ratio")
}

// BenchmarkUnpack reads a compressed segment from its start to its end.
func BenchmarkUnpack(b *testing.B) {
	raw := segmentOf(b, 20_000)
	x := &memFile{d: newMemDisk()}
	if _, err := pack(bytes.NewReader(raw), int64(len(raw)), x, func() error { return nil }); err != nil {
		b.Fatal(err)
	}
	p, err := unpack(x, "x", new(blockCache))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, pieceSize)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		for at := int64(0); at < int64(len(raw)); at += int64(len(buf)) - 300 { // pieces end where records do
			if _, err := p.ReadAt(buf, at); err != nil && err != io.EOF {
				b.Fatal(err)
			}
		}
	}
}

// segmentOf is a segment's content of n records.
func segmentOf(b *testing.B, n int) []byte {
	out := appendHeader(nil, 1, hash{})
	c := chain{next: 1}
	for i := range n {
		r := record(i)
		r.EventID = fmt.Sprintf("%x", sum(fmt.Append(nil, i)))[:32]
		var h hash
		out, h = appendFrame(out, c.next, c.prev, appendRecord(nil, r), false)
		c.record(h)
	}
	return out
}
