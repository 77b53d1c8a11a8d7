//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// tells says that quiet can tell.
const tells = true

// quiet reports whether a connection that nobody uses is as it was left: open, and
// nothing has come on it. What came would be taken for the answer to what is
// asked next.
func quiet(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, err := syscall.Read(int(fd), b[:])
		nothing = err == syscall.EAGAIN //nolint:errorlint // it is an Errno
		return true                     // do not wait for more
	})
	return err == nil && nothing
}
