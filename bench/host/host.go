// Package host starts the servers that are measured, and reads what the kernel
// counts for a process and says of the machine: Linux's /proc, as the figures are
// of Linux.
package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tokaido/awsapi/sigv4"
)

// DevKey is the key of every server that Serve starts.
var DevKey = sigv4.Credentials{AccessKeyID: "test", Secret: "test"}

// ready is how long a server may take until it answers.
const ready = 30 * time.Second

// Options say which server to start.
type Options struct {
	Binary  string
	Dir     string   // its data directory; empty: a temporary one, removed by Stop
	Config  string   // the text of its tokaido.yaml; may be empty
	Profile string   // file for a CPU profile; may be empty
	Env     []string // besides this process's
}

// Server is a process of its own: `tokaido serve --dev` on a free loopback port.
type Server struct {
	Endpoint string
	cmd      *exec.Cmd
	remove   string
}

// Serve starts a server and returns once it answers. What it says is told only
// if it does not.
func Serve(o Options) (*Server, error) {
	s := new(Server)
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "tokaido-bench-"); err != nil {
			return nil, err
		}
		s.remove = dir
	}
	endpoint := filepath.Join(dir, "endpoint")
	args := []string{"serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", dir, "--endpoint-file", endpoint}
	if err := os.Remove(endpoint); err != nil && !errors.Is(err, os.ErrNotExist) { // an earlier server's
		return nil, err
	}
	if o.Config != "" {
		file := filepath.Join(dir, "tokaido.yaml")
		if err := os.WriteFile(file, []byte(o.Config), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config", file)
	}
	if o.Profile != "" {
		args = append(args, "--cpu-profile", o.Profile)
	}
	s.cmd = exec.Command(o.Binary, args...)
	var said bytes.Buffer
	s.cmd.Stderr, s.cmd.Env = &said, append(os.Environ(), o.Env...)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(ready); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(endpoint); err == nil && bytes.HasSuffix(b, []byte("\n")) {
			s.Endpoint = strings.TrimSpace(string(b))
			return s, nil
		}
	}
	s.Stop()
	return nil, fmt.Errorf("%s serve was not ready in %v:\n%s", o.Binary, ready, said.String())
}

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the server, and waits until it has ended.
func (s *Server) Stop() {
	s.cmd.Process.Signal(os.Interrupt)
	s.cmd.Wait()
	if s.remove != "" {
		os.RemoveAll(s.remove)
	}
}

// tick is the unit of the kernel's accounts of processes (USER_HZ) wherever Go
// runs on Linux.
const tick = 10 * time.Millisecond

// CPU is the processor time that a process has had.
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from the state on
	if len(f) < 13 {
		return 0, fmt.Errorf("process %d: %q", pid, b)
	}
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// Used is the processor time that this process has had, to the microsecond.
func Used() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u) // does not fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Resident is the memory that a process has, in bytes.
func Resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, fmt.Errorf("process %d: %q", pid, b)
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return n * int64(os.Getpagesize()), err
}

// Load is the machine's, which others may share: of the last minute, five and
// fifteen.
func Load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

// At is the quantile q of durations in rising order.
func At(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(float64(len(sorted)-1)*q)].Round(time.Microsecond)
}
