package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokaido/flow"
)

// The events that machines log are in files of the size that the configuration
// gives them, and no line is lost between two.
func TestLogFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := New(t.Context(), Config{Store: "memory", DataDir: dir, LogFiles: LogFilesConfig{MaxBytes: 4 << 10, Keep: 100}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{
		Scope: flow.Scope{Region: "us-east-1", Account: s.Account}, Name: "m", RoleARN: s.testingOnlyRole(t, "run", statesTrust, everything),
		Definition: `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`,
		Logging:    &flow.Logging{Level: "ALL", Destinations: []string{"arn:aws:logs:us-east-1:" + s.Account + ":log-group:g:*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const runs = 20
	for range runs {
		x, err := s.machines.StartExecution(t.Context(), flow.StartExecution{ARN: m.ARN})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.machines.Await(t.Context(), x.ARN); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil { // what is queued is written
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, executionLogs+"*"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 4<<10 {
			t.Errorf("%s has %d bytes", name, len(b))
		}
		n += strings.Count(string(b), "\n")
	}
	if len(files) < 2 || n != 4*runs {
		t.Errorf("%d files have %d lines, want several with %d", len(files), n, 4*runs)
	}
}
