package pebble

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// roomFS is a file system that is never full: an operation for which there is
// no room waits until there is. Pebble cannot go on after a log or a manifest
// that it could not write, and would try a compaction that found no room again
// and again; to it, a full disk is a slow one. What waits is what somebody has
// not been told of yet.
//
// Sync is not among the operations that are tried again: after one that failed,
// nobody knows what is on the disk.
type roomFS struct {
	vfs.FS
	logger  *slog.Logger
	patient atomic.Bool  // false while the database is opened: that fails instead
	waiting atomic.Int32 // how many operations wait
}

// roomEvery is how long an operation waits before it is tried again.
const roomEvery = 100 * time.Millisecond

func newRoomFS(fs vfs.FS, logger *slog.Logger) *roomFS { return &roomFS{FS: fs, logger: logger} }

// try does op until it does not fail for want of room.
func (f *roomFS) try(op func() error) error {
	err := op()
	if !full(err) || !f.patient.Load() {
		return err
	}
	if f.waiting.Add(1) == 1 {
		f.logger.Error("the disk is full: executions wait, and none can be started, until there is room", "err", err)
	}
	for full(err) {
		time.Sleep(roomEvery)
		err = op()
	}
	if f.waiting.Add(-1) == 0 {
		f.logger.Info("the disk has room again")
	}
	return err
}

func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || vfs.IsNoSpaceError(err)
}

// file is try for what makes a file to be written.
func (f *roomFS) file(op func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.try(func() (err error) {
		file, err = op()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &roomFile{file, f}, nil
}

func (f *roomFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *roomFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f *roomFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

func (f *roomFS) Link(old, name string) error {
	return f.try(func() error { return f.FS.Link(old, name) })
}

func (f *roomFS) Rename(old, name string) error {
	return f.try(func() error { return f.FS.Rename(old, name) })
}

func (f *roomFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.try(func() error { return f.FS.MkdirAll(dir, perm) })
}

// Unwrap implements [vfs.FS].
func (f *roomFS) Unwrap() vfs.FS { return f.FS }

type roomFile struct {
	vfs.File
	fs *roomFS
}

func (f *roomFile) Write(p []byte) (n int, err error) {
	err = f.fs.try(func() error {
		m, err := f.File.Write(p[n:]) // some of it may have found room
		n += m
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		return err
	})
	return n, err
}

func (f *roomFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.fs.try(func() error {
		m, err := f.File.WriteAt(p[n:], at+int64(n))
		n += m
		return err
	})
	return n, err
}
