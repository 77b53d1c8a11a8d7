// Package linefile keeps files of lines, such as logs, from growing without end.
package linefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"
)

// Limits bound a file. The zero value lets it grow.
type Limits struct {
	// Bytes is how large a file may become: what would make it larger goes to a new
	// one, and it is renamed to NAME.1. 0: any size.
	Bytes int64
	// Keep is how many earlier files there are, NAME.1 the newest; the oldest is
	// removed.
	Keep int
}

// lookEvery is how often a file is looked for under its name.
const lookEvery = time.Second

// File is a file that lines are added to. It may be renamed or removed by others,
// as logrotate does: within a second of lines that come it is made anew.
type File struct {
	name   string // "": standard output, which is not ours to close
	limits Limits

	mu     sync.Mutex
	f      *os.File  // guarded by mu; nil if it is closed or could not be opened
	size   int64     // guarded by mu
	looked time.Time // guarded by mu: when the file was last seen under its name
	closed bool      // guarded by mu
}

// Open opens a file, or makes it; "stdout" is standard output.
func Open(name string, l Limits) (*File, error) {
	if name == "stdout" {
		return &File{f: os.Stdout}, nil
	}
	f := &File{name: name, limits: l}
	return f, f.open()
}

// open opens the file under its name.
func (f *File) open() error {
	o, err := os.OpenFile(f.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := o.Stat()
	if err != nil {
		return errors.Join(err, o.Close())
	}
	f.f, f.size, f.looked = o, info.Size(), time.Now()
	return nil
}

// Write adds whole lines: they are never spread over two files. If the file
// could not be renamed they are written all the same, and err says why it was not.
func (f *File) Write(b []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, os.ErrClosed
	}
	if f.name != "" {
		err = f.turn(int64(len(b)))
	}
	if f.f == nil {
		return 0, err
	}
	n, werr := f.f.Write(b)
	f.size += int64(n)
	return n, errors.Join(err, werr)
}

// turn makes sure that the file is open, under its name, and has room for n
// bytes.
func (f *File) turn(n int64) error {
	if f.f != nil && time.Since(f.looked) >= lookEvery && f.moved() {
		f.f.Close()
		f.f = nil
	}
	if f.f == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if f.limits.Bytes == 0 || f.size == 0 || f.size+n <= f.limits.Bytes {
		return nil
	}
	f.f.Close()
	f.f = nil
	return errors.Join(f.shift(), f.open())
}

// moved reports whether another file, or none, has the name.
func (f *File) moved() bool {
	f.looked = time.Now()
	mine, err := f.f.Stat()
	if err != nil {
		return true
	}
	info, err := os.Stat(f.name)
	return err != nil || !os.SameFile(mine, info)
}

// shift makes NAME NAME.1, and what was NAME.1 NAME.2.
func (f *File) shift() error {
	if f.limits.Keep == 0 {
		return os.Remove(f.name)
	}
	earlier := func(i int) string {
		if i == 0 {
			return f.name
		}
		return f.name + "." + strconv.Itoa(i)
	}
	for i := f.limits.Keep; i > 0; i-- {
		if err := os.Rename(earlier(i-1), earlier(i)); err != nil && !(i > 1 && errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("%s has reached its size: %w", f.name, err)
		}
	}
	return nil
}

// Close ends writing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	if f.name == "" || f.f == nil {
		return nil
	}
	return f.f.Close()
}
