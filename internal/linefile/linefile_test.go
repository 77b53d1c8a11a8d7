package linefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// Every line is in one file, whole and in order, no file is larger than it may
// be, and there are no more files than are kept.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   [4]string // NAME, NAME.1, …
	}{
		{Limits{}, [4]string{"aaaa\nbbbb\ncccc\ndddd\neeee\n"}},
		{Limits{Bytes: 10}, [4]string{"eeee\n"}},
		{Limits{Bytes: 10, Keep: 1}, [4]string{"eeee\n", "cccc\ndddd\n"}},
		{Limits{Bytes: 10, Keep: 2}, [4]string{"eeee\n", "cccc\ndddd\n", "aaaa\nbbbb\n"}},
		{Limits{Bytes: 1, Keep: 2}, [4]string{"eeee\n", "dddd\n", "cccc\n"}}, // a line that is too long has a file of its own
	} {
		t.Run(fmt.Sprintf("%d-%d", c.limits.Bytes, c.limits.Keep), func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "x.jsonl")
			for _, line := range []string{"aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n"} {
				f, err := Open(name, c.limits) // what was there counts too
				if err != nil {
					t.Fatal(err)
				}
				if n, err := f.Write([]byte(line)); n != len(line) || err != nil {
					t.Fatal(n, err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			for i, want := range c.want {
				at := name
				if i > 0 {
					at = fmt.Sprintf("%s.%d", name, i)
				}
				if got := content(t, at); got != want {
					t.Errorf("%s: %q, want %q", filepath.Base(at), got, want)
				}
			}
		})
	}
}

// A file that others have moved is made anew.
func TestMoved(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	f, err := Open(name, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(s string) {
		t.Helper()
		f.mu.Lock()
		f.looked = f.looked.Add(-2 * lookEvery)
		f.mu.Unlock()
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write("a\n")
	if err := os.Rename(name, name+".old"); err != nil {
		t.Fatal(err)
	}
	write("b\n")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	write("c\n")
	write("d\n")
	if got := content(t, name+".old") + content(t, name); got != "a\nc\nd\n" {
		t.Errorf("%q", got)
	}
}

// Lines that come while the file cannot be renamed are written, and said.
func TestCannotBeRenamed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	if err := os.MkdirAll(filepath.Join(name+".1", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := Open(name, Limits{Bytes: 2, Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("a\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("b\n")); n != 2 || err == nil || !strings.Contains(err.Error(), "has reached its size") {
		t.Errorf("%d, %v", n, err)
	}
	if got := content(t, name); got != "a\nb\n" {
		t.Errorf("%q", got)
	}
	if err := os.RemoveAll(name + ".1"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("c\n")); err != nil || content(t, name) != "c\n" || content(t, name+".1") != "a\nb\n" {
		t.Errorf("%v; %q, %q", err, content(t, name), content(t, name+".1"))
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if _, err := f.Write([]byte("d\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("written after the end: %v", err)
	}
}

func TestStdout(t *testing.T) {
	f, err := Open("stdout", Limits{Bytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdout.Stat(); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

// Many may write at once.
func TestConcurrently(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	f, err := Open(name, Limits{Bytes: 100, Keep: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				if _, err := fmt.Fprintf(f, "%02d %02d\n", i, j); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(name + "*")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range all {
		text := content(t, name)
		if len(text) > 100 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		for line := range strings.Lines(text) {
			seen[line] = true
		}
	}
	if len(seen) != 8*50 {
		t.Errorf("%d lines, want %d", len(seen), 8*50)
	}
}

func BenchmarkWrite(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "x.jsonl"), Limits{Bytes: 16 << 20, Keep: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	line := []byte(strings.Repeat("x", 400) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Write(line); err != nil {
			b.Fatal(err)
		}
	}
}
