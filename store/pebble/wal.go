package pebble

import (
	"github.com/cockroachdb/pebble/v2/vfs"
)

// walAhead is how many bytes of zeros are written at once behind the end of a
// write-ahead log.
const walAhead = 1 << 20

// walCategory is what Pebble calls its write-ahead logs before a file system.
const walCategory vfs.DiskWriteCategory = "pebble-wal"

// zeroedFS writes zeros ahead of the write-ahead log. A file that grows with
// each write has its size changed, which makes each fdatasync wait for the file
// system's journal, and for all others who wait for that; overwriting blocks that
// are there already does not. Pebble takes zeros for the end of a log, as it must
// with logs that it uses again.
type zeroedFS struct{ vfs.FS }

func (f zeroedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err != nil || c != walCategory {
		return file, err
	}
	return &zeroed{File: file}, nil
}

func (f zeroedFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, c)
	if err != nil || c != walCategory {
		return file, err
	}
	z := &zeroed{File: file}
	if info, err := file.Stat(); err == nil {
		z.end = info.Size()
	}
	return z, nil
}

// Unwrap returns what is below, as Pebble asks of a file system around another.
func (f zeroedFS) Unwrap() vfs.FS { return f.FS }

// zeroed is a write-ahead log. One goroutine writes it.
type zeroed struct {
	vfs.File
	at  int64 // where the next Write goes
	end int64 // of the blocks that are there
}

var zeros [walAhead]byte

func (z *zeroed) Write(p []byte) (int, error) {
	if z.at+int64(len(p)) > z.end {
		// Whole steps, so that blocks are not written in parts. That there is no room
		// for them only means that the log grows as it is written.
		if n, err := z.File.WriteAt(zeros[:], z.end); err == nil {
			z.end += int64(n)
		}
	}
	n, err := z.File.Write(p)
	z.at += int64(n)
	z.end = max(z.end, z.at)
	return n, err
}
