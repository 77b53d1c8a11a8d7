package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokaido/value"
)

// memDisk is a disk in memory that can fail, and that can be copied as a crash
// would leave it: with what was synced, and any part of the rest.
type memDisk struct {
	mu    sync.Mutex
	files map[string]*memFile

	writeErr, syncErr, truncateErr, createErr error
	lie                                       bool // what fails happens all the same
	half                                      bool // a write that fails writes half
	slow                                      bool // others run while a sync does
	aux                                       bool // it keeps other files than segments too

	room int  // bytes of all files; 0: there is room
	anew bool // what is written over takes room of its own, until it is written
}

type memFile struct {
	d      *memDisk
	data   []byte
	synced []byte
}

func newMemDisk() *memDisk { return &memDisk{files: map[string]*memFile{}} }

func (d *memDisk) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	for n := range d.files {
		if strings.HasSuffix(n, suffix) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

func (d *memDisk) Open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[name]; f != nil {
		return f, nil
	}
	return nil, os.ErrNotExist
}

func (d *memDisk) Create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[name] != nil {
		return nil, os.ErrExist
	}
	if d.createErr != nil && !d.lie {
		return nil, d.createErr
	}
	f := &memFile{d: d}
	d.files[name] = f
	return f, d.createErr
}

func (d *memDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
	return nil
}

func (d *memDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[from]
	if f == nil {
		return os.ErrNotExist
	}
	d.files[to] = f
	delete(d.files, from)
	return nil
}

func (d *memDisk) WriteFile(name string, b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.aux {
		return errNoAux
	}
	d.files[name] = &memFile{d: d, data: bytes.Clone(b), synced: bytes.Clone(b)}
	return nil
}

func (d *memDisk) ReadFile(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[name]; f != nil {
		return bytes.Clone(f.data), nil
	}
	return nil, os.ErrNotExist
}

func (d *memDisk) Sync() error  { return nil }
func (d *memDisk) Close() error { return nil }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.writeErr
	if err != nil && !f.d.lie {
		if !f.d.half {
			return 0, err
		}
		p = p[:len(p)/2]
	}
	if room := f.d.room; err == nil && room > 0 {
		for _, other := range f.d.files {
			room -= len(other.data)
		}
		need := off + int64(len(p)) - int64(len(f.data))
		if f.d.anew {
			need = int64(len(p))
		}
		if need > int64(room) {
			return 0, syscall.ENOSPC
		}
	}
	if n := off + int64(len(p)) - int64(len(f.data)); n > 0 {
		f.data = append(f.data, make([]byte, n)...)
	}
	copy(f.data[off:], p)
	return len(p), err
}

func (f *memFile) Sync() error {
	f.d.mu.Lock()
	slow := f.d.slow
	f.d.mu.Unlock()
	for range 50 {
		if slow {
			runtime.Gosched()
		}
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.syncErr == nil || f.d.lie {
		f.synced = bytes.Clone(f.data)
	}
	return f.d.syncErr
}

func (f *memFile) Truncate(n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.truncateErr != nil {
		return f.d.truncateErr
	}
	f.data = append(f.data, make([]byte, max(0, n-int64(len(f.data))))...)[:n]
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *memFile) Close() error { return nil }

// set changes what fails, while nobody writes.
func (d *memDisk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// copy is the disk as it is now, working.
func (d *memDisk) copy() *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := newMemDisk()
	out.aux = d.aux
	for n, f := range d.files {
		out.files[n] = &memFile{d: out, data: bytes.Clone(f.data), synced: bytes.Clone(f.synced)}
	}
	return out
}

// crash is the disk after a power failure: of each file the synced part, and of
// the blocks written since, some. A file is as long as it was when it was synced,
// as it is, or some whole pages long: file systems give it its length by pages.
func (d *memDisk) crash(r *rand.Rand) *memDisk {
	const block = 64
	out := d.copy()
	for _, f := range out.files {
		after := bytes.Clone(f.synced)
		for at := 0; at < len(f.data); at += block {
			end := min(at+block, len(f.data))
			if r.IntN(2) == 0 {
				continue
			}
			for len(after) < end {
				after = append(after, 0)
			}
			copy(after[at:end], f.data[at:end])
		}
		if n := len(after); n > len(f.synced) {
			after = append(after, make([]byte, min(int(roundUp(int64(n))), max(n, len(f.data)))-n)...)
		}
		f.data = after
	}
	return out
}

func (d *memDisk) only() (string, *memFile) {
	for n, f := range d.files {
		return n, f
	}
	return "", nil
}

func mustOpenDisk(t testing.TB, d disk, opts Options) *Log {
	t.Helper()
	l, err := open(d, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestCutAtEveryByte: a log cut anywhere in what was not acknowledged opens
// with all that was, and goes on.
func TestCutAtEveryByte(t *testing.T) {
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true})
	for i := range 3 {
		if err := l.Append(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	_, f := d.only()
	acknowledged := len(f.data) - frameSize // without the mark
	// What a crash leaves of a group of two that was being written.
	c := chain{next: 4, prev: l.Head().Hash}
	tail, sum := appendFrame(nil, 4, c.prev, appendRecord(nil, record(3)), true)
	tail, _ = appendFrame(tail, 5, sum, appendRecord(nil, record(4)), false)
	one := len(tail)
	for i := range tail { // length of the first frame
		if _, _, err := parseFrame(tail[:i]); err == nil {
			one = i
			break
		}
	}
	for i := range 2 * (len(tail) + 1) {
		n, ahead := i/2, i%2 == 1
		cut := d.copy()
		name, f := cut.only()
		f.data = append(f.data[:acknowledged], tail[:n]...)
		if ahead { // the rest of it, and more, are zeros that had been there
			f.data = padded(f.data)
		}
		want := uint64(3)
		if n >= one {
			want++
		}
		if n == len(tail) {
			want++
		}
		rep, err := verify(t.Context(), cut, Check{})
		bad, torn := errors.AsType[*Corrupt](err)
		if whole := n == 0 || n == one || n == len(tail); whole != (err == nil) || !whole && (!torn || !bad.Torn || bad.File != name) || rep.Head.Records != want {
			t.Fatalf("cut at %d: verify: %+v, %v", n, rep, err)
		}
		l, err := open(cut, Options{Sync: true})
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if h := l.Head(); h.Records != want {
			t.Fatalf("cut at %d: %d records, want %d", n, h.Records, want)
		}
		if err := l.Append(t.Context(), record(9)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if rep, err := verify(t.Context(), cut, Check{}); err != nil || rep.Head.Records != want+1 || !rep.Marked {
			t.Fatalf("cut at %d: verify after going on: %+v, %v", n, rep, err)
		}
	}
}

// TestEveryFlippedByte: Verify finds any byte that was changed, and says which
// record it is in; Open refuses to start over what was acknowledged.
func TestEveryFlippedByte(t *testing.T) {
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true, SegmentSize: 2 << 10})
	for i := range 4 {
		if err := l.Append(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	names, _ := d.List()
	if len(names) < 2 {
		t.Fatalf("segments: %v", names)
	}
	for _, name := range names {
		last := name == names[len(names)-1]
		size := len(d.files[name].data)
		starts := frames(t, d.files[name].data)
		for at := range size {
			for _, flip := range []byte{0x01, 0x80} {
				x := d.copy()
				x.files[name].data[at] ^= flip
				_, err := verify(t.Context(), x, Check{})
				bad, ok := errors.AsType[*Corrupt](err)
				if !ok || bad.File != name {
					t.Fatalf("%s: byte %d changed by %#x: %v", name, at, flip, err)
				}
				i, found := slices.BinarySearch(starts, int64(at))
				if !found {
					i--
				}
				if bad.Offset != starts[i] {
					t.Fatalf("%s: byte %d changed: reported at %d, want %d", name, at, bad.Offset, starts[i])
				}
				if l, err := open(x, Options{Sync: true}); last && at >= size-frameSize {
					// Only the mark: nothing is lost without it.
					if err != nil {
						t.Fatalf("%s: mark changed: %v", name, err)
					}
					mustClose(t, l)
				} else if bad, ok := errors.AsType[*Corrupt](err); !ok || bad.Offset != starts[i] {
					t.Fatalf("%s: byte %d changed: opened all the same: %v", name, at, err)
				}
			}
		}
	}
}

// frames returns where header and frames of a segment begin.
func frames(t *testing.T, b []byte) []int64 {
	starts := []int64{0}
	for at := headerSize; at < len(b); {
		p, _, err := parseFrame(b[at:])
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, int64(at))
		at += frameSize + len(p)
	}
	return starts
}

// TestTampering: records and segments that are dropped, repeated, moved or
// taken from elsewhere are found even where every checksum is right.
func TestTampering(t *testing.T) {
	build := func(n int) *memDisk {
		d := newMemDisk()
		l := mustOpenDisk(t, d, Options{Sync: true, SegmentSize: 3 << 10})
		for i := range n {
			r := record(i)
			r.EventID = fmt.Sprintf("event-%d", i)
			l.Append(t.Context(), r)
		}
		mustClose(t, l)
		return d
	}
	d := build(8)
	names, _ := d.List()
	first, last := names[0], names[len(names)-1]
	starts := frames(t, d.files[first].data)
	frame := func(i int) []byte {
		end := int64(len(d.files[first].data))
		if i+2 < len(starts) {
			end = starts[i+2]
		}
		return d.files[first].data[starts[i+1]:end]
	}
	forged := func() []byte { // as a clever attacker would: with a good checksum
		p := bytes.Clone(frame(1)[frameSize:])
		p = bytes.Replace(p, []byte("ap-northeast-3"), []byte("ap-northeast-1"), 1)
		b := append(make([]byte, frameSize), p...)
		sealFrame(b, uint32(len(p))|settled, p)
		return b
	}
	head := d.files[first].data[:headerSize]
	for name, change := range map[string]func(x *memDisk){
		"dropFirstSegment":  func(x *memDisk) { delete(x.files, first) },
		"dropMiddleSegment": func(x *memDisk) { delete(x.files, names[1]) },
		"dropRecord":        func(x *memDisk) { x.files[first].data = slices.Concat(head, frame(1)) },
		"dropLastOfSegment": func(x *memDisk) { x.files[first].data = slices.Concat(head, frame(0)) },
		"repeatRecord":      func(x *memDisk) { x.files[first].data = slices.Concat(head, frame(0), frame(0), frame(1)) },
		"swapRecords":       func(x *memDisk) { x.files[first].data = slices.Concat(head, frame(1), frame(0)) },
		"forgeRecord":       func(x *memDisk) { x.files[first].data = slices.Concat(head, frame(0), forged()) },
		"insertMark":        func(x *memDisk) { x.files[first].data = slices.Concat(head, frame(0), mark[:], frame(1)) },
		"markAtEndOfOther":  func(x *memDisk) { x.files[first].data = append(x.files[first].data, mark[:]...) },
		"insertGarbage":     func(x *memDisk) { x.files[first].data = slices.Concat(head, []byte("garbage!"), frame(0), frame(1)) },
		"renameSegment":     func(x *memDisk) { x.files[segmentName(2)] = x.files[names[1]]; delete(x.files, names[1]) },
		"emptySegment":      func(x *memDisk) { x.files[names[1]].data = nil },
		"appendGarbage":     func(x *memDisk) { x.files[last].data = append(x.files[last].data, "garbage"...) },
		"otherLogsSegment":  func(x *memDisk) { x.files[names[1]] = build(9).copyOther(t, names[1], x) },
		"swapSegments":      func(x *memDisk) { a, b := names[0], names[1]; x.files[a], x.files[b] = x.files[b], x.files[a] },
		"rewriteHeader": func(x *memDisk) {
			copy(x.files[names[1]].data, appendHeader(nil, 3, hash{1}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := d.copy()
			change(x)
			_, err := verify(t.Context(), x, Check{})
			if _, ok := errors.AsType[*Corrupt](err); !ok {
				t.Errorf("verify: %v", err)
			}
			if name == "appendGarbage" {
				return // as a torn write would be: nothing acknowledged is there
			}
			if _, err := open(x, Options{Sync: true}); err == nil {
				t.Error("opened all the same")
			}
		})
	}
}

// copyOther takes a segment from d with one record changed from the start.
func (d *memDisk) copyOther(t *testing.T, name string, x *memDisk) *memFile {
	t.Helper()
	f := &memFile{d: x, data: bytes.Clone(d.files[name].data)}
	p, _, err := parseFrame(f.data[headerSize:])
	if err != nil {
		t.Fatal(err)
	}
	p = bytes.Replace(p, []byte(`"prev":"`), []byte(`"prev":"`), 1)
	i := bytes.Index(p, []byte(`"prev":"`)) + 8
	p[i] = map[bool]byte{true: 'b', false: 'a'}[p[i] == 'a']
	sealFrame(f.data[headerSize:], uint32(len(p))|settled, p)
	return f
}

// TestPowerFailure: after a crash at any moment, with any of the unsynced
// blocks on the disk, everything acknowledged is there.
func TestPowerFailure(t *testing.T) {
	k, _ := keyring(t)
	signer := logSigner(t, k)
	indexed, ahead := 0, 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := newMemDisk()
		d.slow = seed%2 == 1
		opts := Options{Sync: true, SegmentSize: 4 << 10}
		if seed%4 >= 2 { // with checkpoints, and with indexes of the first bytes of a segment
			d.aux = true
			opts = Options{Sync: true, SegmentSize: 16 << 10, Signer: signer, CheckpointEvery: time.Millisecond, partEvery: 1 << 10}
		}
		l := mustOpenDisk(t, d, opts)
		var mu sync.Mutex
		acked := map[string]bool{}
		var wg sync.WaitGroup
		stop := r.IntN(30)
		var after *memDisk
		var must map[string]bool
		for p := range 3 {
			wg.Go(func() {
				for i := range 10 {
					x := record(p*10 + i)
					x.Relaxed = i%4 == 3
					if err := l.Append(t.Context(), x); err != nil {
						t.Error(err)
					}
					mu.Lock()
					if !x.Relaxed {
						acked[x.RequestID] = true
					}
					if len(acked) >= stop && after == nil {
						must = map[string]bool{}
						for k := range acked {
							must[k] = true
						}
						after = d.crash(r)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		mustClose(t, l)
		if after == nil {
			continue
		}
		if after.files[indexName(segmentName(1))] != nil {
			indexed++
		}
		if last, err := after.List(); err != nil {
			t.Fatal(err)
		} else if bytes.HasSuffix(after.files[last[len(last)-1]].data, []byte{0}) {
			ahead++
		}
		l, err := open(after, opts)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for id := range must {
			if got, err := l.Find(t.Context(), id); err != nil || len(got) != 1 {
				t.Fatalf("seed %d: %s was acknowledged and is lost (%v)", seed, id, err)
			}
		}
		if err := l.Append(t.Context(), record(99)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if _, err := verify(t.Context(), after, Check{}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if indexed == 0 || ahead == 0 {
		t.Errorf("%d crashes came after an index was written, %d while there were zeros ahead", indexed, ahead)
	}
}

// TestFaultPairs: each operation fails twice, without having happened and
// having happened. Append says so, nothing acknowledged is lost, and the log is
// whole after a restart.
func TestFaultPairs(t *testing.T) {
	full := errors.New("no space left on device")
	for _, c := range []struct {
		name   string
		heals  bool // appending works again without a restart
		break_ func(d *memDisk)
	}{
		{"write", true, func(d *memDisk) { d.writeErr = full }},
		{"writeHalf", true, func(d *memDisk) { d.writeErr, d.half = full, true }},
		{"writeHappened", true, func(d *memDisk) { d.writeErr, d.lie = full, true }},
		{"writeAndTruncate", false, func(d *memDisk) { d.writeErr, d.truncateErr, d.half = full, full, true }},
		{"sync", false, func(d *memDisk) { d.syncErr = full }},
		{"syncHappened", false, func(d *memDisk) { d.syncErr, d.lie = full, true }},
		{"create", true, func(d *memDisk) { d.createErr = full }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newMemDisk()
			size := int64(1 << 10) // each record begins a segment
			if c.name == "writeAndTruncate" {
				size = 1 << 20
			}
			l := mustOpenDisk(t, d, Options{Sync: true, SegmentSize: size})
			want := []string{}
			add := func(i int, relaxed bool) error {
				r := record(i)
				r.Relaxed = relaxed
				return l.Append(t.Context(), r)
			}
			for i := range 3 {
				if err := add(i, false); err != nil {
					t.Fatal(err)
				}
				want = append(want, fmt.Sprint("request-", i))
			}
			d.set(func() { c.break_(d) })
			for i := 10; i < 13; i++ {
				if err := add(i, false); !errors.Is(err, full) {
					t.Fatalf("append on a broken disk: %v", err)
				}
			}
			if !c.heals {
				if err := add(20, true); err == nil {
					t.Error("a relaxed record was promised its place in a broken log")
				}
			}
			d.set(func() {
				d.writeErr, d.syncErr, d.truncateErr, d.createErr, d.lie, d.half = nil, nil, nil, nil, false, false
			})
			err := add(3, false)
			if c.heals != (err == nil) {
				t.Fatalf("append on a disk that works again: %v", err)
			}
			if err == nil {
				want = append(want, "request-3")
				if got := all(t, l, Query{}); !reflect.DeepEqual(requests(got), want) {
					t.Errorf("records %v, want %v", requests(got), want)
				}
			}
			if err := l.Close(); c.heals != (err == nil) {
				t.Errorf("close: %v", err)
			}
			l, err = open(d.copy(), Options{Sync: true})
			if err != nil {
				t.Fatal(err)
			}
			got := requests(all(t, l, Query{}))
			for _, id := range want {
				if !slices.Contains(got, id) {
					t.Errorf("%s was acknowledged and is lost", id)
				}
			}
			mustClose(t, l)
		})
	}
}

// TestBrokenWhileMany: when the disk fails under many who append, each gets an
// answer, and what was acknowledged is there after a restart.
func TestBrokenWhileMany(t *testing.T) {
	full := errors.New("no space left on device")
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := newMemDisk()
		d.slow = true
		l := mustOpenDisk(t, d, Options{Sync: true, SegmentSize: 16 << 10})
		var mu sync.Mutex
		var acked []string
		failAt := r.IntN(200)
		heals := seed%3 == 0
		var wg sync.WaitGroup
		for p := range 16 {
			wg.Go(func() {
				for i := range 20 {
					x := record(100*p + i)
					x.Relaxed = i%5 == 4
					err := l.Append(t.Context(), x)
					mu.Lock()
					if err == nil && !x.Relaxed {
						acked = append(acked, x.RequestID)
					}
					if len(acked) == failAt && err == nil {
						d.set(func() {
							switch seed % 3 {
							case 0:
								d.writeErr, d.half = full, seed%2 == 0
							case 1:
								d.syncErr, d.lie = full, seed%2 == 0
							case 2:
								d.writeErr, d.truncateErr, d.half = full, full, true
							}
						})
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		d.set(func() { d.writeErr, d.syncErr, d.truncateErr, d.lie, d.half = nil, nil, nil, false, false })
		if err := l.Append(t.Context(), record(9999)); heals && err != nil {
			t.Errorf("seed %d: append on a disk that works again: %v", seed, err)
		}
		l.Close()
		again, err := open(d.copy(), Options{Sync: true})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got := requests(all(t, again, Query{}))
		for _, id := range acked {
			if !slices.Contains(got, id) {
				t.Errorf("seed %d: %s was acknowledged and is lost", seed, id)
			}
		}
		mustClose(t, again)
	}
}

func requests(rs []*Record) (ids []string) {
	for _, r := range rs {
		ids = append(ids, r.RequestID)
	}
	return ids
}

// TestRelaxedKeepsItsPlace: a relaxed record whose write failed is written as
// soon as the disk works again, before what comes later.
func TestRelaxedKeepsItsPlace(t *testing.T) {
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true})
	full := errors.New("full")
	d.set(func() { d.writeErr = full })
	r := record(1)
	r.Relaxed = true
	if err := l.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), record(2)); !errors.Is(err, full) {
		t.Fatalf("append: %v", err)
	}
	r = record(3)
	r.Relaxed = true
	if err := l.Append(t.Context(), r); !errors.Is(err, full) {
		t.Errorf("a promise while the last one is not kept: %v", err)
	}
	d.set(func() { d.writeErr = nil })
	if err := l.Append(t.Context(), record(4)); err != nil {
		t.Fatal(err)
	}
	if got := requests(all(t, l, Query{})); !slices.Equal(got, []string{"request-1", "request-4"}) {
		t.Errorf("records %v", got)
	}
	mustClose(t, l)

	d = newMemDisk()
	l = mustOpenDisk(t, d, Options{Sync: true})
	d.set(func() { d.writeErr = full })
	r = record(1)
	r.Relaxed = true
	l.Append(t.Context(), r)
	if err := l.Close(); err == nil {
		t.Error("closed without a word about the record that was lost")
	}
}

// TestRelaxedWithoutPause: relaxed records reach the disk though others come all
// the time and nobody waits for any.
func TestRelaxedWithoutPause(t *testing.T) {
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true})
	_, f := d.only()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20_000 { // the disk is memory
				select {
				case <-stop:
					return
				default:
				}
				r := record(i)
				r.Relaxed = true
				if err := l.Append(t.Context(), r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	await(t, "the disk", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(f.synced) > headerSize
	})
	close(stop)
	wg.Wait()
	mustClose(t, l)
}

func TestTornHeader(t *testing.T) {
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true, SegmentSize: 1 << 10})
	for i := range 2 {
		l.Append(t.Context(), record(i))
	}
	head := l.Head()
	mustClose(t, l)
	names, _ := d.List()
	f := d.files[names[len(names)-1]]
	f.data = f.data[:len(f.data)-frameSize] // rotation takes the mark away first
	whole := appendHeader(nil, head.Records+1, head.Hash)
	for n := 0; n <= headerSize; n++ {
		x := d.copy()
		x.files[segmentName(head.Records+1)] = &memFile{d: x, data: bytes.Clone(whole[:n])}
		l, err := open(x, Options{Sync: true})
		if err != nil {
			t.Fatalf("header of %d bytes: %v", n, err)
		}
		if h := l.Head(); h != head {
			t.Fatalf("header of %d bytes: head %d", n, h.Records)
		}
		if err := l.Append(t.Context(), record(5)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if _, err := verify(t.Context(), x, Check{}); err != nil {
			t.Fatalf("header of %d bytes: %v", n, err)
		}
	}
}

func TestBackPressure(t *testing.T) {
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true})
	d.mu.Lock() // the disk hangs
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	big := record(1)
	big.Request = value.Object(value.Member{Key: "x", Value: value.String(strings.Repeat("x", MaxRecord-4096))})
	n := 0
	for ; n < 2*maxQueue/MaxRecord; n++ {
		r := *big
		r.EventID, r.Relaxed = "", true
		if err := l.Append(ctx, &r); err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			break
		}
	}
	if n > (maxQueue+maxGroup)/(MaxRecord-4096)+2 {
		t.Errorf("%d MB wait in memory", n)
	}
	d.mu.Unlock()
	mustClose(t, l)
	if h := l.Head(); h.Records != uint64(n) {
		t.Errorf("%d records, %d were promised their place", h.Records, n)
	}
}

// TestKilledProcess is a process that dies without Close: what it wrote is
// there, and another one can open the log.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Sync: true})
	for i := range 5 {
		l.Append(t.Context(), record(i))
	}
	other := t.TempDir() // as if the lock had ended with its process
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, filepath.Base(names[0])), b, 0o600); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, other, Options{Sync: true})
	if h := again.Head(); h.Records != 5 {
		t.Errorf("%d records", h.Records)
	}
	mustClose(t, again)
	mustClose(t, l)
}

func FuzzRecord(f *testing.F) {
	for i := range 8 {
		r := record(i)
		r.Phase, r.EventID = Phase(i%3), fmt.Sprint(i)
		r.ExecutionARN, r.State = "arn:aws:states:ap-northeast-1:111122223333:execution:m:x", "Ask \"東京\"\n"
		f.Add(appendRecord(nil, r))
	}
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`{"v":1,"identity":{"issuer":{}},"resources":[{}],"time":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseBody(b)
		if err != nil {
			return
		}
		one := appendRecord(nil, r)
		// Read in one pass, and member by member: the same.
		if q := quickRecord(b); q != nil {
			v, err := value.Parse(bytes.Clone(b))
			if err != nil {
				t.Fatalf("read, and no JSON: %v\n%s", err, b)
			}
			slow, err := decodeRecord(v)
			if err != nil || !bytes.Equal(appendRecord(nil, slow), one) {
				t.Fatalf("read in two ways: %v\n%s\n%s", err, one, appendRecord(nil, slow))
			}
		}
		if quickRecord(one) == nil {
			t.Errorf("what was printed is not read in one pass:\n%s", one)
		}
		again, err := parseBody(one)
		if err != nil {
			t.Fatalf("what was printed is not read: %v\n%s", err, one)
		}
		if two := appendRecord(nil, again); !bytes.Equal(one, two) {
			t.Errorf("printed twice:\n%s\n%s", one, two)
		}
		if v := r.CloudTrail(); !value.Valid(v.JSON()) {
			t.Errorf("not JSON: %s", v.JSON())
		}
		metaOf(r)
	})
}

func FuzzSegment(f *testing.F) {
	d := newMemDisk()
	l := mustOpenDisk(f, d, Options{Sync: true})
	for i := range 2 {
		l.Append(f.Context(), record(i))
	}
	mustClose(f, l)
	_, x := d.only()
	f.Add(x.data)
	f.Add(x.data[:headerSize])
	f.Add([]byte{})
	f.Add(padded(x.data))
	f.Add(padded(x.data[:len(x.data)-frameSize]))
	f.Add(padded(x.data[:len(x.data)/2]))
	f.Add(padded(x.data[:headerSize]))
	f.Add(make([]byte, aheadUnit))
	hole := padded(x.data)
	clear(hole[len(x.data)/4 : len(x.data)/2])
	f.Add(hole)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newMemDisk()
		d.files[segmentName(1)] = &memFile{d: d, data: b}
		rep, verr := verify(t.Context(), d.copy(), Check{})
		l, err := open(d, Options{Sync: true})
		if err != nil {
			if verr == nil {
				t.Fatalf("verified but does not open: %v", err)
			}
			return
		}
		if h := l.Head(); h.Records < rep.Head.Records {
			t.Errorf("%d records, verify saw %d", h.Records, rep.Head.Records)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := verify(t.Context(), d, Check{}); err != nil {
			t.Errorf("does not verify once opened: %v", err)
		}
	})
}
