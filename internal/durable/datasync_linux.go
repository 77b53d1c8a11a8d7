package durable

import (
	"errors"
	"os"
	"syscall"
)

// Datasync makes what was written to f durable, with as much of its metadata as
// reading it back needs.
func Datasync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = c.Control(func(fd uintptr) {
		for {
			if serr = syscall.Fdatasync(int(fd)); serr != syscall.EINTR {
				return
			}
		}
	})
	if serr != nil {
		serr = &os.PathError{Op: "fdatasync", Path: f.Name(), Err: serr}
	}
	return errors.Join(err, serr)
}
