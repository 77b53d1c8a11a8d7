package trail

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
)

// padded is b with zeros ahead of its end.
func padded(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, roundUp(int64(len(b))+1)-int64(len(b)))...)
}

// TestZerosAhead: zeros are written ahead of the end, are no part of the log for
// anybody, are gone when it is closed, and are cut off when it was not.
func TestZerosAhead(t *testing.T) {
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true})
	_, f := d.only()
	n := 0
	add := func() {
		t.Helper()
		if err := l.Append(t.Context(), record(n)); err != nil {
			t.Fatal(err)
		}
		n++
	}
	await(t, "zeros", func() bool {
		add()
		d.mu.Lock()
		defer d.mu.Unlock()
		return f.data[len(f.data)-1] == 0
	})
	for range 3 {
		add()
	}
	killed := d.copy()
	_, f = killed.only()
	size, err := writtenSize(f)
	if err != nil || size >= int64(len(f.data)) || size > headerSize+int64(n)*2000 {
		t.Errorf("%d bytes are written of %d, %v", size, len(f.data), err)
	}
	rep, err := verify(t.Context(), killed, Check{})
	if err != nil || rep.Head != l.Head() || rep.Bytes != size {
		t.Errorf("%+v, %v", rep, err)
	}
	mustClose(t, l)
	for _, x := range []*memDisk{d, killed} {
		l = mustOpenDisk(t, x, Options{Sync: true})
		if h := l.Head(); h.Records != uint64(n) {
			t.Errorf("%d records, want %d", h.Records, n)
		}
		if err := l.Append(t.Context(), record(n)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if _, f := x.only(); !bytes.HasSuffix(f.data, mark[:]) {
			t.Error("a closed log does not end in its mark")
		}
		if rep, err := verify(t.Context(), x, Check{}); err != nil || rep.Head.Records != uint64(n+1) || !rep.Marked {
			t.Errorf("%+v, %v", rep, err)
		}
	}
}

// TestZerosTampered: what is wrong among the zeros ahead is found, and zeros hide
// nothing that cutting off would not hide.
func TestZerosTampered(t *testing.T) {
	dir, k, ring := signedLog(t, 9, Options{Sync: true})
	full, err := readFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	whole, err := full.ReadFile(segmentName(1))
	if err != nil {
		t.Fatal(err)
	}
	latest, err := full.ReadFile(latestName)
	if err != nil {
		t.Fatal(err)
	}
	starts := frames(t, whole)
	third := starts[3]
	put := func(b []byte, more ...string) *memDisk {
		d := newMemDisk()
		d.aux = true
		d.files[segmentName(1)] = &memFile{d: d, data: b}
		d.files[latestName] = &memFile{d: d, data: latest}
		for _, name := range more {
			d.files[name] = &memFile{d: d, data: appendHeader(nil, firstOf(name), sum(whole[starts[len(starts)-2]+frameSize:starts[len(starts)-1]]))}
		}
		return d
	}
	opts := Options{Sync: true, Signer: logSigner(t, k)}
	for _, c := range []struct {
		name          string
		d             *memDisk
		verify, opens bool
		at            int64 // of the damage
		torn          bool
	}{
		{name: "untouched", d: put(whole), verify: true, opens: true},
		{name: "ahead", d: put(padded(whole)), verify: true, opens: true},
		{name: "ahead-without-mark", d: put(padded(whole[:len(whole)-frameSize])), verify: true, opens: true},
		{name: "one-zero-more", d: put(append(bytes.Clone(whole), 0)), at: starts[len(starts)-1]},
		{name: "not-a-whole-page", d: put(padded(whole)[:aheadUnit*((len(whole)+aheadUnit)/aheadUnit)-1]), at: starts[len(starts)-1]},
		{name: "in-a-segment-that-is-not-the-last", d: put(padded(whole[:len(whole)-frameSize]), segmentName(10)), at: int64(len(whole) - frameSize)},
		{name: "over-records-with-others-behind", d: put(func() []byte {
			b := padded(whole)
			clear(b[starts[3]:starts[5]])
			return b
		}()), at: third},
		{name: "to-the-end", d: put(append(bytes.Clone(whole[:third]), make([]byte, len(padded(whole))-int(third))...)), at: third},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep, err := verify(t.Context(), c.d.copy(), Check{Keys: ring})
			if c.verify != (err == nil) {
				t.Errorf("verify: %+v, %v", rep.Report, err)
			}
			bad, ok := errors.AsType[*Corrupt](err)
			switch {
			case err == nil:
			case !ok:
				t.Error(err)
			case c.name == "to-the-end": // the checkpoint says it
				if bad.File != latestName {
					t.Error(err)
				}
			case bad.Offset != c.at:
				t.Errorf("found at %d, want %d: %v", bad.Offset, c.at, err)
			}
			l, err := open(c.d, opts)
			if c.opens != (err == nil) {
				t.Fatalf("open: %v", err)
			}
			if err == nil {
				mustClose(t, l)
				if _, err := verify(t.Context(), c.d, Check{Keys: ring}); err != nil {
					t.Errorf("verify once opened: %v", err)
				}
			}
		})
	}
	// Each byte among the zeros.
	b := padded(whole)
	for at := len(whole); at < len(b); at++ {
		x := bytes.Clone(b)
		x[at] = 0x40
		if _, err := verify(t.Context(), put(x), Check{Keys: ring}); err == nil {
			t.Fatalf("byte %d behind the end is not zero, and nobody noticed", at-len(whole))
		}
	}
}

// TestZerosGiveWay: zeros ahead take no room from records, on a disk that writes
// over what is there and on one that writes anew.
func TestZerosGiveWay(t *testing.T) {
	for _, anew := range []bool{false, true} {
		d := newMemDisk()
		l := mustOpenDisk(t, d, Options{Sync: true})
		_, f := d.only()
		n := 0
		await(t, "zeros", func() bool {
			if err := l.Append(t.Context(), record(1)); err != nil {
				t.Fatal(err)
			}
			n++
			d.mu.Lock()
			defer d.mu.Unlock()
			return f.data[len(f.data)-1] == 0
		})
		const room = 300 << 10
		d.set(func() { d.room, d.anew = room, anew })
		for {
			err := l.Append(t.Context(), record(1))
			if err != nil {
				if !errors.Is(err, syscall.ENOSPC) {
					t.Error(err)
				}
				break
			}
			n++
		}
		d.set(func() { d.room = 0 })
		if err := l.Append(t.Context(), record(2)); err != nil {
			t.Errorf("there is room again: %v", err)
		}
		mustClose(t, l)
		rep, err := verify(t.Context(), d, Check{})
		if err != nil || rep.Head.Records != uint64(n+1) {
			t.Errorf("%+v, %v; want %d records", rep.Report, err, n+1)
		}
		if one := len(f.data) / (n + 1); n < room/one-2 {
			t.Errorf("anew %v: %d records of %d bytes fit into %d", anew, n, one, room)
		}
	}
}

// TestWrittenSize holds writtenSize to its obvious form.
func TestWrittenSize(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		b := make([]byte, r.IntN(3*aheadPiece))
		if r.IntN(2) == 0 {
			b = b[:len(b)/aheadUnit*aheadUnit]
		}
		for range r.IntN(3) {
			if n := r.IntN(len(b) + 1); n < len(b) {
				b[n] = byte(1 + r.IntN(255))
			}
		}
		want := len(b)
		for len(b)%aheadUnit == 0 && want > headerSize && b[want-1] == 0 {
			want--
		}
		got, err := writtenSize(&memFile{d: newMemDisk(), data: b})
		if err != nil || got != int64(want) {
			t.Fatalf("%d of %d, want %d; %v", got, len(b), want, err)
		}
	}
	// A file whose zeros are cut off between its size and what is read.
	b := padded([]byte(strings.Repeat("x", 100)))
	f := &shrinking{memFile{d: newMemDisk(), data: b}, 100}
	if got, err := writtenSize(f); err != nil || got != 100 {
		t.Errorf("%d, %v", got, err)
	}
}

// shrinking is cut once its size was asked for.
type shrinking struct {
	memFile
	to int64
}

func (f *shrinking) Size() (int64, error) {
	n, err := f.memFile.Size()
	return n, errors.Join(err, f.Truncate(f.to))
}

// TestExtend: zeros that are on their way stop for who needs the file, and say how
// far they got.
func TestExtend(t *testing.T) {
	d := newMemDisk()
	f := &memFile{d: d, data: []byte("x")}
	x := extend(f, aheadUnit, aheadUnit+3*aheadPiece)
	<-x.done
	if x.err != nil || x.end != aheadUnit+3*aheadPiece || int64(len(f.data)) != x.end || f.data[0] != 'x' {
		t.Errorf("%d, %v", x.end, x.err)
	}
	d.set(func() { d.room = int(x.end) + aheadPiece; d.files["x"] = f })
	x = extend(f, x.end, x.end+4*aheadPiece)
	<-x.done
	if !errors.Is(x.err, syscall.ENOSPC) || x.end != aheadUnit+4*aheadPiece || int64(len(f.data)) != x.end {
		t.Errorf("%d of %d, %v", x.end, len(f.data), x.err)
	}
	l := &Log{file: f, extending: &extension{from: 10, done: make(chan struct{}), end: 20}}
	l.clear(10)
	if l.extending == nil {
		t.Error("stopped for who writes before it")
	}
	close(l.extending.done)
	l.clear(11)
	if l.extending != nil || l.zeroed != 20 {
		t.Errorf("zeros up to %d", l.zeroed)
	}
}
