package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// What the recorded executions and API calls must reach: what is missing is in
// docs/divergence.md (recordings older than fields that AWS answers with today).
const (
	wantResult = 0.98
	wantFull   = 0.96
)

// TestConformanceASLServer runs everything that was recorded from AWS against a
// server over HTTP, with the cases' own runner.
func TestConformanceASLServer(t *testing.T) {
	root := os.Getenv("TOKAIDO_CONFORMANCE")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "conformance")
	}
	runner := filepath.Join(root, "asl", "run.py")
	if _, err := os.Stat(runner); err != nil {
		t.Skipf("no recorded cases at %s: set TOKAIDO_CONFORMANCE to the folder that holds them", runner)
	}
	python := boto3(t, "the recorded cases did not run")
	port := freePort(t)
	t.Setenv("AWS_ENDPOINT_URL_LAMBDA", fmt.Sprintf("http://127.0.0.1:%d", port))
	s := start(t, "")
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(python, runner, "--endpoint", s.Endpoint, "--lambda-port", strconv.Itoa(port), "--json", report,
		"--cases", filepath.Join(root, "asl"), "--access-key", s.Key.AccessKeyID, "--secret-key", s.Key.SecretAccessKey)
	out, _ := cmd.CombinedOutput() // its status says whether all passed; the report says which
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("the runner left no report: %v\n%s", err, out)
	}
	var rep struct {
		Cases []struct {
			Area, ID     string
			Result, Full bool
			Why          []string
		}
	}
	if err := json.Unmarshal(b, &rep); err != nil {
		t.Fatal(err)
	}
	cases := rep.Cases
	if len(cases) == 0 {
		t.Fatalf("the runner found no case in %s\n%s", root, out)
	}
	result, full := 0, 0
	for _, c := range cases {
		if c.Result {
			result++
		}
		if c.Full {
			full++
		} else {
			t.Logf("%s: %q", c.ID, c.Why)
		}
	}
	fmt.Printf("asl over HTTP, by result: %d passed, %d failed, 0 skipped\n", result, len(cases)-result)
	fmt.Printf("asl over HTTP, in full: %d passed, %d failed, 0 skipped\n", full, len(cases)-full)
	if got := float64(result) / float64(len(cases)); got < wantResult {
		t.Errorf("%.1f %% of %d cases have AWS's result, want %.0f %%", 100*got, len(cases), 100*wantResult)
	}
	if got := float64(full) / float64(len(cases)); got < wantFull {
		t.Errorf("%.1f %% of %d cases are AWS's in full, want %.0f %%", 100*got, len(cases), 100*wantFull)
	}
}

// freePort is a loopback port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
