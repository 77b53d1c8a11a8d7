package pebble

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const mountEnv = "TOKAIDO_FULL_DIR"

// TestRealDiskFull fills a real file system: a small tmpfs that only a child
// process of ours sees.
func TestRealDiskFull(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRealDiskFullChild$", "-test.v")
	cmd.Env = append(os.Environ(), mountEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	switch exit, ran := err.(*exec.ExitError); {
	case err == nil:
	case !ran:
		t.Skipf("this machine makes no user namespaces, so no real disk was filled: %v", err)
	case exit.ExitCode() == noMount:
		t.Skip("this machine mounts nothing for ordinary users, so no real disk was filled")
	default:
		t.Error(err)
	}
}

// noMount is the exit status of the child that could not mount.
const noMount = 77

// TestRealDiskFullChild is what TestRealDiskFull runs where it may mount.
func TestRealDiskFullChild(t *testing.T) {
	dir := os.Getenv(mountEnv)
	if dir == "" {
		t.Skip("only for TestRealDiskFull")
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Log(err)
		os.Exit(noMount)
	}
	// One byte in reserve: the disk is to be full to the last.
	s, err := Open(filepath.Join(dir, "db"), Options{Reserve: 1, Cache: 1 << 20, MemTable: 256 << 10, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	full := func() {
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for b := make([]byte, 4096); err == nil; {
			_, err = f.Write(b)
		}
	}
	fill(t, s, []string{"pass", "task", "wait", "both"}, full, func() { os.Remove(ballast) })
}
