package server

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// The environment overrides the file.
func TestEndpointsAndMocks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokaido.yaml")
	if err := os.WriteFile(file, []byte("endpoints:\n  lambda: http://127.0.0.1:3001\nmocks: a.json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := c.Read(file); err != nil {
		t.Fatal(err)
	}
	if err := c.Environ(env()); err != nil || c.Endpoints.Lambda != "http://127.0.0.1:3001" || c.Mocks != "a.json" || c.credentials.AccessKeyID != "test" {
		t.Errorf("%+v, %v", c, err)
	}
	err := c.Environ(env("AWS_ENDPOINT_URL_LAMBDA", "https://lambda.{region}.amazonaws.com", "SFN_MOCK_CONFIG", "b.json",
		"AWS_ACCESS_KEY_ID", "A", "AWS_SECRET_ACCESS_KEY", "S", "AWS_SESSION_TOKEN", "T"))
	if err != nil || c.Endpoints.Lambda != "https://lambda.{region}.amazonaws.com" || c.Mocks != "b.json" || c.credentials.Secret != "S" || c.credentials.SessionToken != "T" {
		t.Errorf("%+v, %v", c, err)
	}
	if b, err := c.YAML(); err != nil || strings.Contains(string(b), "secret") || strings.Contains(string(b), "S\n") {
		t.Errorf("%s, %v", b, err)
	}
}

func TestEndpointsAreChecked(t *testing.T) {
	for _, s := range []string{"127.0.0.1:3001", "ftp://x", "http://", "http://u:p@x", "http://x?a=b", "http://x#y", "http://%"} {
		c := Config{Listen: "127.0.0.1:0", Store: "memory", DataDir: "d", Endpoints: Endpoints{Lambda: s}}
		if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "endpoints.lambda: ") {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"", "http://127.0.0.1:3001", "https://lambda.{region}.amazonaws.com/base/"} {
		c := Config{Listen: "127.0.0.1:0", Store: "memory", DataDir: "d", Endpoints: Endpoints{Lambda: s}}
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// A server with a mock file that is wrong does not start, and says what is wrong.
func TestBadMocks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mocks.json")
	if err := os.WriteFile(file, []byte(`{"StateMachines":{"m":{"TestCases":{"c":{"S":"R"}}}},"MockedResponses":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(context.Background(), Config{Store: "memory", DataDir: t.TempDir(), Mocks: file}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasSuffix(err.Error(), `mocks.json: StateMachines.m.TestCases.c.S: MockedResponses has no "R"`) {
		t.Error(err)
	}
}
