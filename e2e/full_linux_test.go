package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"tokaido/e2e/story"
)

// fullDir is where the child of TestExecutionsOnAFullDisk mounts its small disk.
const fullDir = "TOKAIDO_FULL_DIR"

// noMount is the exit status of a child that could not.
const noMount = 77

// TestExecutionsOnAFullDisk fills the disk of a server: starts are refused, what runs waits
// or goes on, and all is well again when there is room, in the same process. The
// disk is a tmpfs that only a child process sees.
func TestExecutionsOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestExecutionsOnAFullDiskChild$", "-test.v")
	cmd.Env = append(os.Environ(), fullDir+"="+dir, "TOKAIDO_BIN="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	exit, ran := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
	case !ran:
		t.Skipf("no user namespace can be made here, so no disk was filled: %v", err)
	case exit.ExitCode() == noMount:
		t.Skipf("nothing can be mounted here, so no disk was filled: %s", out)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}

// TestExecutionsOnAFullDiskChild is what TestExecutionsOnAFullDisk runs where it may mount.
func TestExecutionsOnAFullDiskChild(t *testing.T) {
	dir := os.Getenv(fullDir)
	if dir == "" {
		t.Skip("only for TestExecutionsOnAFullDisk")
	}
	// More than what a server keeps in reserve, which is 128 MiB.
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=400m"); err != nil {
		t.Log(err)
		os.Exit(noMount)
	}
	s := &mortal{t: t, dir: filepath.Join(dir, "data")}
	s.start()
	defer s.stop()
	api := sfn.NewFromConfig(s.Config(story.Region), func(o *sfn.Options) { o.RetryMaxAttempts = 1 })
	machine := s.machine(waitDefinition)
	ctx := t.Context()
	start := func() (string, error) {
		x, err := api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Input: aws.String(`{"n":7}`)})
		if err != nil {
			return "", err
		}
		return *x.ExecutionArn, nil
	}
	var all []string
	for range 10 {
		all = append(all, must(start())(t))
	}

	ballast := filepath.Join(dir, "ballast")
	fill := func(leave uint64) {
		f, err := os.OpenFile(ballast, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for b := make([]byte, 64<<10); ; {
			var st syscall.Statfs_t
			if err := syscall.Statfs(dir, &st); err != nil {
				t.Fatal(err)
			}
			if st.Bavail*uint64(st.Bsize) <= leave {
				return
			}
			if _, err := f.Write(b); err != nil {
				return
			}
		}
	}
	fill(60 << 20)
	_, err := start()
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "ServiceUnavailable" || !strings.Contains(e.ErrorMessage(), "disk is full") {
		t.Errorf("with little room left: %v", err)
	}
	fill(0)
	if _, err := start(); err == nil {
		t.Error("started with no room left")
	}
	// What is asked cannot be recorded either, so nothing is answered; meanwhile Waits
	// come to their end.
	time.Sleep(2 * waiting * time.Second)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		arn, err := start()
		if err == nil {
			all = append(all, arn)
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline.Done():
			t.Fatalf("a minute after there was room: %v", err)
		}
	}
	for _, arn := range all {
		if err := finished(ctx, s.Server, arn, 7); err != nil {
			t.Errorf("%s: %v", arn, err)
		}
	}
	for _, x := range must(api.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine, StatusFilter: sf.ExecutionStatusRunning}))(t).Executions {
		t.Errorf("still runs: %s", *x.ExecutionArn)
	}
}
