package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// binary is the tokaido under test: TOKAIDO_BIN, or one built here.
var binary string

func TestMain(m *testing.M) {
	code, err := prepare(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepare(m *testing.M) (int, error) {
	if binary = os.Getenv("TOKAIDO_BIN"); binary != "" {
		if _, err := os.Stat(binary); err != nil {
			return 1, fmt.Errorf("TOKAIDO_BIN: %w", err)
		}
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "tokaido-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tokaido")
	build := exec.Command("go", "build", "-o", binary, "./cmd/tokaido")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build tokaido: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// start runs a server for one test.
func start(t *testing.T, config string) *harness.Server {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // t's ends before its cleanups
	s, err := harness.Start(ctx, binary, t.TempDir(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server's log ended:\n%s", s.Log())
		}
	})
	return s
}

// The road end to end, with the AWS SDK for Go.
func TestStory(t *testing.T) {
	s := story.Stage{Server: start(t, story.Config), Tell: teller{t}}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// teller writes the story into the test's log.
type teller struct{ t *testing.T }

func (l teller) Step(n int, title string)    { l.t.Logf("%d. %s", n, title) }
func (l teller) Command(line string)         { l.t.Logf("$ %s", line) }
func (l teller) Say(format string, a ...any) { l.t.Logf(format, a...) }
func (l teller) Quote(text string)           { l.t.Log(text) }
