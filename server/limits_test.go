package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokaido/flow"
)

// Limits are AWS's where nothing is said, and 0 is none.
func TestLimits(t *testing.T) {
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if got := *c.Limits.flow(); got != flow.AWSLimits() {
		t.Errorf("%+v", got)
	}
	file := filepath.Join(t.TempDir(), "tokaido.yaml")
	if err := os.WriteFile(file, []byte("limits:\n  events: 0\n  dataSize: 1048576\n  expressDuration: 15m\n  mapIterations: 4\n  mapRunChildren: 5\n  mapRunRedrives: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Read(file); err != nil {
		t.Fatal(err)
	}
	want := flow.AWSLimits()
	want.Standard.Events, want.Standard.DataSize, want.Express.DataSize, want.Express.Duration = 0, 1<<20, 1<<20, 15*time.Minute
	want.Standard.Iterations, want.Standard.Children, want.Standard.RunRedrives = 4, 5, 0
	want.Express.Iterations, want.Express.Children, want.Express.RunRedrives = 4, 5, 0
	if got := *c.Limits.flow(); got != want {
		t.Errorf("%+v", got)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	b, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"limits:", "  events: 0", "  dataSize: 1048576", "  duration: 8760h0m0s", "  expressDuration: 15m0s", "  stateMachines: 100000", "  retention: 2160h0m0s"} {
		if !strings.Contains(string(b), line+"\n") {
			t.Errorf("%q is not in\n%s", line, b)
		}
	}
	for _, bad := range []string{"events: -1", "events: 3", "dataSize: 5000000", "retention: -1h", "mapRunChildren: -1", "eventz: 1"} {
		if err := os.WriteFile(file, []byte("limits:\n  "+bad+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := Default()
		err := c.Read(file)
		if err == nil {
			err = c.Check()
		}
		if err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
