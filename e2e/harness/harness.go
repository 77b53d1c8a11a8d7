// Package harness starts a real tokaido binary on a free loopback port and
// makes AWS SDK clients for it.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Server is a running tokaido.
type Server struct {
	Binary   string
	DataDir  string
	Endpoint string // http://127.0.0.1:PORT
	Key      aws.Credentials

	cmd    *exec.Cmd
	exited chan struct{}
	stderr *tail
}

// Start runs `tokaido serve` over the data directory and waits until it is
// ready. config is the text of its tokaido.yaml, or "".
func Start(ctx context.Context, binary, dataDir, config string) (*Server, error) {
	s := &Server{Binary: binary, DataDir: dataDir, exited: make(chan struct{}), stderr: new(tail)}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, err
	}
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir, "--endpoint-file", filepath.Join(dataDir, "endpoint")}
	if config != "" {
		file := filepath.Join(dataDir, "tokaido.yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config", file)
	}
	endpointFile := filepath.Join(dataDir, "endpoint")
	if err := os.Remove(endpointFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, binary, args...)
	s.cmd.Stderr = s.stderr
	s.cmd.Stdout = io.Discard
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			return nil, fmt.Errorf("tokaido serve ended at once:\n%s", s.Log())
		case <-time.After(5 * time.Millisecond):
		}
		b, err := os.ReadFile(endpointFile)
		if err != nil || len(b) == 0 || b[len(b)-1] != '\n' {
			continue
		}
		s.Endpoint = strings.TrimSpace(string(b))
		if resp, err := http.Get(s.Endpoint + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s, s.readKey()
			}
		}
	}
	s.Kill()
	return nil, fmt.Errorf("tokaido serve was not ready in time:\n%s", s.Log())
}

// readKey reads the root key that the first start stored.
func (s *Server) readKey() error {
	b, err := os.ReadFile(filepath.Join(s.DataDir, "root-key.json"))
	if err != nil {
		return err
	}
	var k struct{ AccessKeyId, SecretAccessKey string }
	if err := json.Unmarshal(b, &k); err != nil {
		return fmt.Errorf("root-key.json: %w", err)
	}
	s.Key = aws.Credentials{AccessKeyID: k.AccessKeyId, SecretAccessKey: k.SecretAccessKey}
	return nil
}

// Config is an SDK configuration for the server in a Region.
func (s *Server) Config(region string) aws.Config {
	return aws.Config{
		Region:           region,
		BaseEndpoint:     &s.Endpoint,
		Credentials:      credentials.StaticCredentialsProvider{Value: s.Key},
		RetryMaxAttempts: 1,
		HTTPClient:       &http.Client{Transport: InMemory{&http.Transport{MaxIdleConnsPerHost: 16}}},
	}
}

// InMemory hands the transport each request's body in a form that it knows.
// smithy-go closes its own kind of body once there is an answer. A server that
// answers while the transport still looks for the body's end makes it give up the
// connection with an error, in the middle of the answer: https://github.com/aws/aws-sdk-go-v2/issues/2737.
type InMemory struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t InMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return t.RoundTripper.RoundTrip(r)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(b))
	return t.RoundTripper.RoundTrip(r)
}

// Environ is an environment for the aws CLI and boto3.
func (s *Server) Environ(region string) []string {
	return append(os.Environ(),
		"AWS_ENDPOINT_URL="+s.Endpoint, "AWS_ACCESS_KEY_ID="+s.Key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+s.Key.SecretAccessKey,
		"AWS_SESSION_TOKEN=", "AWS_DEFAULT_REGION="+region, "AWS_REGION="+region, "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_MAX_ATTEMPTS=1", "LANG=C.UTF-8", "PYTHONIOENCODING=utf-8")
}

// Run runs another command of the binary over the same data directory.
func (s *Server) Run(ctx context.Context, args ...string) (stdout string, err error) {
	cmd := exec.CommandContext(ctx, s.Binary, args...)
	cmd.Env = append(os.Environ(), "TOKAIDO_DATA_DIR="+s.DataDir, "LANG=C.UTF-8")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("tokaido %s: %w\n%s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), nil
}

// Kill ends the server as kill -9 does and waits until it is gone.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// Stop asks the server to end and waits for it.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.Kill()
		return fmt.Errorf("tokaido serve did not end within 20 s of an interrupt:\n%s", s.Log())
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("tokaido serve ended with status %d:\n%s", code, s.Log())
	}
	return nil
}

// Log returns the last of what the server wrote to standard error, without the
// lines that sign somebody in: logs of failed runs are kept by others.
func (s *Server) Log() string {
	var b strings.Builder
	for line := range strings.Lines(s.stderr.String()) {
		if !strings.Contains(line, "AWS_SECRET_ACCESS_KEY") && !strings.Contains(line, "/console") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// tail keeps the last of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
