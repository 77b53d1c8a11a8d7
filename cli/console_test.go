package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokaido/server"
)

// TestConsoleLink gets a link from a server that runs, and signs in with it, once.
func TestConsoleLink(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	s, err := server.New(t.Context(), server.Config{Store: "pebble", DataDir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	run := func(args ...string) (status int, stdout, stderr string) {
		var out, diag bytes.Buffer
		status = Main(append([]string{"console", "--data-dir", dir}, args...), strings.NewReader(""), &out, &diag)
		return status, out.String(), diag.String()
	}
	signIn := func(link string) int {
		base, token, ok := strings.Cut(strings.TrimSpace(link), "/console/#signin=")
		if !ok || base != web.URL {
			t.Fatalf("the link is %q, want one of %s", link, web.URL)
		}
		body, err := json.Marshal(map[string]string{"token": token})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(base+"/console/signin", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}

	status, link, said := run("--endpoint", web.URL)
	if want := "signs in as arn:aws:iam::" + s.Account + ":root, once"; status != 0 || !strings.Contains(said, want) {
		t.Fatalf("status %d, said %q, want %q", status, said, want)
	}
	if got := signIn(link); got != http.StatusOK {
		t.Errorf("signing in: status %d", got)
	}
	if got := signIn(link); got == http.StatusOK {
		t.Error("the link works twice")
	}

	t.Setenv("AWS_ENDPOINT_URL", web.URL+"/")
	if status, link, said := run(); status != 0 || !strings.HasPrefix(link, web.URL+"/console/#signin=") {
		t.Errorf("with AWS_ENDPOINT_URL: status %d, %q, %q", status, link, said)
	}
	if status, _, said := run("--role", "arn:aws:iam::"+s.Account+":role/x"); status != 1 || !strings.Contains(said, "may not be assumed by root") {
		t.Errorf("as a role: status %d, said %q", status, said)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	if status, _, said := run(); status != 1 || !strings.Contains(said, "AWS_SECRET_ACCESS_KEY is not") {
		t.Errorf("with half a key: status %d, said %q", status, said)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if status, link, said := run(); status != 1 || link != "" || !strings.Contains(said, "with the key of AWS_ACCESS_KEY_ID: InvalidClientTokenId") {
		t.Errorf("with a wrong key: status %d, %q, said %q", status, link, said)
	}
}

func TestConsoleEndpoint(t *testing.T) {
	for _, c := range []struct{ asked, listen, want string }{
		{"", "127.0.0.1:4566", "http://127.0.0.1:4566"},
		{"", ":4566", "http://127.0.0.1:4566"},
		{"", "0.0.0.0:80", "http://127.0.0.1:80"},
		{"", "[::1]:80", "http://[::1]:80"},
		{"", "10.0.0.1:80", ""},
		{"http://localhost:1/", "", "http://localhost:1"},
		{"http://127.0.0.9", "", "http://127.0.0.9"},
		{"https://tokaido.example", "", "https://tokaido.example"},
		{"http://tokaido.example", "", ""},
		{"http://localhost.example", "", ""},
		{"http://a:b@localhost", "", ""},
		{"http://localhost/x", "", ""},
		{"ftp://localhost", "", ""},
		{"localhost:80", "", ""},
	} {
		got, err := consoleEndpoint(c.asked, c.listen)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("consoleEndpoint(%q, %q) = %q, %v, want %q", c.asked, c.listen, got, err, c.want)
		}
	}
}

func TestConsoleKey(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	dir := t.TempDir()
	if _, _, err := consoleKey(dir, none); err == nil {
		t.Error("a key from nowhere")
	}
	if err := os.WriteFile(filepath.Join(dir, server.RootKeyFile), []byte(`{"AccessKeyId":"A"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := consoleKey(dir, none); err == nil {
		t.Error("half a key")
	}
	if err := os.WriteFile(filepath.Join(dir, server.RootKeyFile), []byte(`{"AccessKeyId":"A","SecretAccessKey":"S"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, _, err := consoleKey(dir, none); err != nil || k.AccessKeyID != "A" || k.Secret != "S" {
		t.Errorf("consoleKey = %v, %v", k, err)
	}
}
