package trail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// childDir makes this test binary a process that appends to the log there.
const childDir, childKey = "TOKAIDO_TRAIL_CHILD", "TOKAIDO_TRAIL_CHILD_KEY"

const killed = 1000 // appends of the process that is killed

// TestChild is that process; it does nothing in an ordinary run.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	signer, err := note.NewSigner(os.Getenv(childKey))
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir, Options{Sync: true, SegmentSize: 64 << 10, Signer: signer, CheckpointEvery: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := int(l.Head().Records)
	for p := range 16 {
		wg.Go(func() {
			for i := p; i < killed; i += 16 {
				r := record(begin + i)
				r.RequestID = fmt.Sprintf("child-%d-%d", os.Getpid(), i)
				if err := l.Append(context.Background(), r); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				os.Stdout.WriteString(r.RequestID + "\n") // acknowledged
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	time.Sleep(time.Hour) // to be killed
}

// TestKill9: a process is killed with SIGKILL during a thousand appends, ten
// times over; what it acknowledged is there, and the log verifies.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	k, ring := keyring(t)
	signer := logSigner(t, k)
	secret, err := os.ReadFile(filepath.Join(k.dir, LogKey+keySuffix))
	if err != nil {
		t.Fatal(err)
	}
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	total := 0
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.count=1")
		cmd.Env = append(os.Environ(), childDir+"="+dir, childKey+"="+strings.TrimSpace(string(secret)))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var acked []string
		in := bufio.NewScanner(out)
		for stop := 50 + 90*round; in.Scan(); {
			if id := in.Text(); strings.HasPrefix(id, "child-") {
				if acked = append(acked, id); len(acked) == stop {
					cmd.Process.Kill()
				}
			}
		}
		cmd.Wait()
		if len(acked) < 50 {
			t.Fatalf("round %d: only %d appends were acknowledged", round, len(acked))
		}
		l := mustOpen(t, dir, Options{Sync: true, SegmentSize: 64 << 10, Signer: signer})
		for _, id := range acked {
			if rs, err := l.Find(t.Context(), id); err != nil || len(rs) != 1 {
				t.Errorf("round %d: %s was acknowledged and is %d times there: %v", round, id, len(rs), err)
			}
		}
		mustClose(t, l)
		rep, err := Verify(t.Context(), dir, Check{Keys: ring()})
		if err != nil || rep.Signed != rep.Head.Records {
			t.Fatalf("round %d: %+v, %v", round, rep, err)
		}
		total += len(acked)
	}
	t.Logf("%d acknowledged appends in %d killed processes, all there", total, rounds)
}

// TestDiskFull: while the disk is full nothing is acknowledged, and nothing is
// signed that is not there; once there is room the log goes on, whole.
func TestDiskFull(t *testing.T) {
	k, ring := keyring(t)
	d := newMemDisk()
	l := mustOpenDisk(t, d, Options{Sync: true, SegmentSize: 3 << 10, Signer: logSigner(t, k), CheckpointEvery: time.Millisecond})
	good := 0
	for round := range 4 {
		for i := range 3 {
			if err := l.Append(t.Context(), record(10*round+i)); err != nil {
				t.Fatal(err)
			}
			good++
		}
		d.set(func() { d.writeErr, d.createErr, d.half = syscall.ENOSPC, syscall.ENOSPC, round%2 == 1 })
		for i := range 3 {
			r := record(10*round + i + 5)
			r.Relaxed = i == 1 && round > 0 // no promise either once one was broken
			if err := l.Append(t.Context(), r); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("round %d: %v", round, err)
			}
		}
		time.Sleep(5 * time.Millisecond) // a checkpoint comes due
		if h := l.Head(); h.Records != uint64(good) {
			t.Errorf("round %d: %d records, %d were acknowledged", round, h.Records, good)
		}
		d.set(func() { d.writeErr, d.createErr, d.half = nil, nil, false })
	}
	mustClose(t, l)
	rep, err := verify(t.Context(), d, Check{Keys: ring()})
	if err == nil || !strings.Contains(err.Error(), "not published") { // this disk keeps segments only
		t.Errorf("%v", err)
	}
	if rep.Head.Records != uint64(good) || rep.Signed != uint64(good) {
		t.Errorf("%+v", rep.Report)
	}
}

// TestKeysAreKept: keys are made once, and read again.
func TestKeysAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	var names []string
	for range 2 {
		k, err := OpenKeys(dir, "tokaido/x")
		if err != nil {
			t.Fatal(err)
		}
		s, err := k.Region("ap-northeast-3")
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, keyID(s.Name(), s.KeyHash()))
	}
	if names[0] != names[1] {
		t.Errorf("two keys: %v", names)
	}
	k, _ := OpenKeys(dir, "tokaido/x")
	for _, bad := range []string{"", "a/b", "../x", "a b", "a+b"} {
		if _, err := k.Region(bad); err == nil {
			t.Errorf("a key for %q", bad)
		}
	}
	os.WriteFile(filepath.Join(dir, "region-bad.key"), []byte("nonsense SECRET"), 0o600)
	if _, err := k.Region("bad"); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v", err)
	}
}

func FuzzIndexFile(f *testing.F) {
	dir := f.TempDir()
	l := mustOpen(f, dir, Options{SegmentSize: 4 << 10})
	for i := range 12 {
		if err := l.Append(f.Context(), record(i)); err != nil {
			f.Fatal(err)
		}
	}
	mustClose(f, l)
	b, err := os.ReadFile(filepath.Join(dir, indexName(segmentName(1))))
	if err != nil {
		f.Fatal(err)
	}
	segment, err := os.ReadFile(filepath.Join(dir, segmentName(1)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:100])
	f.Add([]byte(sealedMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newMemDisk()
		seg, x := &memFile{d: d, data: segment}, &memFile{d: d, data: b}
		c := chain{next: 1}
		s, err := openSealed(x, seg, &c, true)
		if err != nil {
			return
		}
		if l, err := s.inflate(); err == nil {
			l.search(key("", "", "ap-northeast-1"), narrow{below: 1 << 31, from: -1 << 63, to: 1<<63 - 1, n: 50})
		}
		for _, q := range []narrow{{below: 1 << 31, from: -1 << 63, to: 1<<63 - 1, n: 50}, {below: 3, from: at0.UnixNano(), to: at0.UnixNano() + 5e9, n: 5}} {
			s.search(key("", "", "ap-northeast-1"), q)
			s.search(key(string(ByEventName), "Converse", "ap-northeast-1"), q)
		}
		if s.Records > 0 {
			s.offset(s.Records - 1)
		}
	})
}
