//go:build unix

package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The exit status says how a run ended; an interrupt stops the execution.
func TestRunStatus(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	file := func(name, text string) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	hold := `{"StartAt":"Hold","States":{"Hold":{"Type":"Wait","Seconds":600,"End":true}}}`
	for _, c := range []struct {
		name, definition string
		interrupt        bool
		status           int
		says             string
	}{
		{"good", `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`, false, 0, "✓ succeeded"},
		{"bad", `{"StartAt":"A","States":{"A":{"Type":"Fail","Error":"E"}}}`, false, 1, "the execution ended FAILED: E"},
		{"late", `{"TimeoutSeconds":1,` + hold[1:], false, exitTimedOut, "the execution ended TIMED_OUT"},
		{"stopped", hold, true, exitStopped, "the execution ended ABORTED: the run was interrupted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, w := io.Pipe()
			var said bytes.Buffer
			over := make(chan struct{})
			go func() {
				defer close(over)
				b := make([]byte, 4096)
				interrupted := !c.interrupt
				for {
					n, err := r.Read(b)
					if said.Write(b[:n]); err != nil {
						return
					}
					if !interrupted && strings.Contains(said.String(), "… Hold waits 10m") {
						interrupted = true
						if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
							t.Error(err)
						}
					}
				}
			}()
			got := Main([]string{"run", file(c.name+".asl.json", c.definition)}, strings.NewReader(""), io.Discard, w)
			w.Close()
			<-over
			if got != c.status || !strings.Contains(said.String(), c.says) {
				t.Errorf("status %d, want %d: %s", got, c.status, said.String())
			}
		})
	}
}
