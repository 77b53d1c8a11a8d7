package trail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tokaido/internal/durable"
)

// file is one segment on a disk.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync must not return nil before everything written is durable.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
}

// disk is a directory of segments. Tests have one that fails.
type disk interface {
	// List must return the names of the segments in order.
	List() ([]string, error)
	Open(name string) (file, error)
	// Create must refuse a name that is taken.
	Create(name string) (file, error)
	Remove(name string) error
	// Rename must put the file from in the place of to, if there is one, at once.
	Rename(from, to string) error
	// WriteFile must put data, whole, under a name, which may be taken.
	WriteFile(name string, data []byte) error
	// ReadFile must return an error that is os.ErrNotExist where there is none.
	ReadFile(name string) ([]byte, error)
	// Sync must make the names durable.
	Sync() error
	Close() error
}

const suffix = ".trail"

// segmentName sorts as its records do.
func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, suffix) }

// folder is a disk in the file system.
type folder struct {
	root *os.Root
	lock *os.File // nil: for reading only
}

const lockName = "LOCK"

func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := durable.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &folder{root, lock}, nil
}

func readFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{root: root}, nil
}

func (d *folder) List() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	all, err := f.Readdirnames(-1)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(all, func(n string) bool { return !strings.HasSuffix(n, suffix) })
	slices.Sort(names)
	return names, nil
}

func (d *folder) open(name string, flag int) (file, error) {
	f, err := d.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *folder) Open(name string) (file, error) {
	if d.lock == nil {
		return d.open(name, os.O_RDONLY)
	}
	return d.open(name, os.O_RDWR)
}

func (d *folder) Create(name string) (file, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (d *folder) Remove(name string) error { return d.root.Remove(name) }

func (d *folder) Rename(from, to string) error { return d.root.Rename(from, to) }

func (d *folder) WriteFile(name string, data []byte) error {
	return durable.WriteFile(filepath.Join(d.root.Name(), name), data)
}

func (d *folder) ReadFile(name string) ([]byte, error) { return d.root.ReadFile(name) }

func (d *folder) Sync() error { return durable.SyncDir(d.root.Name()) }

func (d *folder) Close() error {
	err := d.root.Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return durable.Datasync(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
