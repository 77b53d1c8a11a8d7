package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// smallTrail is a program that runs tokaido with the trail's directory on a disk
// of 512 KB, half of which is taken by a file called ballast. Only the server
// sees that disk; %[3]s gets the id of its process.
const smallTrail = `#!/bin/sh
[ "$1" = serve ] || exec %[1]q "$@"
exec unshare -Urm sh -c '
	mount -t tmpfs -o size=512k,mode=700 none %[2]q && head -c 262144 /dev/zero > %[2]q/ballast && echo $$ > %[3]q && exec %[1]q "$@"' sh "$@"
`

// TestFullDisk: while the trail's disk is full nothing reaches a model that is
// not recorded, nothing is answered that is not, and nothing is changed; with
// room again the server goes on by itself.
func TestFullDisk(t *testing.T) {
	if out, err := exec.Command("unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here, so that a full one was not tried: %v %s", err, out)
	}
	var asked atomic.Int64
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/chat/completions") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
	}))
	defer model.Close()
	dir, wrapper, pidFile := t.TempDir(), filepath.Join(t.TempDir(), "tokaido"), filepath.Join(t.TempDir(), "pid")
	inside := filepath.Join(dir, "trail")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wrapper, fmt.Appendf(nil, smallTrail, binary, inside, pidFile), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	s, err := harness.Start(ctx, wrapper, dir, fmt.Sprintf(`
trail:
  checkpointEvery: 100ms
bedrock:
  backends:
    gpu: {type: openai, url: %q, models: {"*": m}}
  regions:
    "*": [{models: "*", backend: gpu}]
`, model.URL+"/v1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server's log ended:\n%s", s.Log())
		}
	}()
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	seen := fmt.Sprintf("/proc/%s/root%s", bytes.TrimSpace(pid), inside) // the disk as the server has it
	if _, err := os.Stat(filepath.Join(seen, "ballast")); err != nil {
		t.Skipf("another process's files cannot be seen here, so that a full disk was not tried: %v", err)
	}
	people := iam.NewFromConfig(s.Config(story.Region))

	var answered []string
	refused, atOnce := 0, 0 // atOnce: before the model was asked, one after the other
	for n := 0; atOnce < 10; n++ {
		if n == 5000 {
			t.Fatal("the disk does not fill")
		}
		before := asked.Load()
		id, err := converse(ctx, s, "hello")
		switch {
		case err == nil:
			answered = append(answered, id)
			atOnce = 0
		case asked.Load() == before:
			refused++
			atOnce++
		default: // the intent had room, and the outcome had not
			refused++
			atOnce = 0
		}
	}
	if len(answered) == 0 {
		t.Fatal("nothing was answered before")
	}
	name := "while-full"
	if _, err := people.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err == nil {
		// It may be smaller than an inference's intent.
		t.Log("a smaller record had room")
	}
	if got, intents := asked.Load(), count(t, seen, `"phase":"intent"`); got > int64(intents) {
		t.Errorf("the model was asked %d times, %d intents are recorded", got, intents)
	}
	if err := os.Remove(filepath.Join(seen, "ballast")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		id, err := converse(ctx, s, "hello")
		if err != nil {
			t.Fatalf("there is room again: %v", err)
		}
		answered = append(answered, id)
	}
	if _, err := people.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("afterwards")}); err != nil {
		t.Error(err)
	}
	if out, err := s.Run(ctx, "trail", "verify", "--trail", seen); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	found, err := s.Run(ctx, "trail", "search", "--trail", seen, "--event", "Converse")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range answered {
		if !strings.Contains(found, id) {
			t.Errorf("%s was answered and is not recorded", id)
		}
	}
	t.Logf("%d answered, %d refused, the model was asked %d times", len(answered), refused, asked.Load())
}

// count is how often a text is in the segments of a log.
func count(t *testing.T, dir, text string) (n int) {
	t.Helper()
	for _, name := range below(t, dir, ".trail") {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte(text))
	}
	return n
}
