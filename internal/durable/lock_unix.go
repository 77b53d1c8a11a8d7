//go:build unix

package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Locked reports whether somebody has the file name from Lock now.
func Locked(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close() // and with it of what was locked
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// A process that was forked while the file was open has it too until it runs
// its own program, so a lock that was let go may be held for a moment more.
const (
	lockTries = 40
	lockWait  = 25 * time.Millisecond
)

// Lock takes the file name, which it makes if need be, for this process: until
// Close of what it returns, or the end of the process however it ends. If
// another process keeps it, that is an error.
func Lock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if try == lockTries || !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is in use by another process: %w", name, errors.Join(err, f.Close()))
		}
		time.Sleep(lockWait)
	}
}
