package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// A boundary of the operator's own besides AWS's profiles.
const ownProfile = `
region: ap-northeast-1
bedrock:
  profiles:
    - id: centre.` + story.Newer + `
      name: Our two data centres
      model: ` + story.Newer + `
      routes: {ap-northeast-1: [ap-northeast-1, ap-northeast-3]}
`

// boto3 and the official npm clients: tools in streams, API keys, and profiles
// that outlive a restart.
func TestClientsOfOthers(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("python3 with boto3 is not installed: it makes the API key that the clients need")
	}
	dir := t.TempDir()
	serve := func() *harness.Server {
		t.Helper()
		s, err := harness.Start(context.WithoutCancel(t.Context()), binary, dir, ownProfile)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.Kill()
			if t.Failed() {
				t.Logf("the server's log ended:\n%s", s.Log())
			}
		})
		return s
	}
	run := func(t *testing.T, s *harness.Server, name string, args []string, more ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(append(s.Environ(story.Region), "PROFILE="+story.Japan), more...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	s := serve()
	script := filepath.Join("testdata", "tools.py")
	out := run(t, s, python, []string{script})
	_, key, ok := strings.Cut(strings.TrimSpace(out), "key ")
	if !ok {
		t.Fatalf("no key: %s", out)
	}
	t.Run("npm", func(t *testing.T) {
		folder := npmClients(t)
		// models.list needs more than calling one.
		allow := `import boto3, json; boto3.client("iam").put_user_policy(UserName="caller", PolicyName="q", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["bedrock:List*", "bedrock:CountTokens"], "Resource": "*"}}))`
		run(t, s, python, []string{"-c", allow})
		t.Log(run(t, s, "node", []string{filepath.Join("testdata", "clients.mjs")}, "NODE_CLIENTS="+folder, "AWS_BEARER_TOKEN_BEDROCK="+key))
	})
	s.Kill()
	t.Log(run(t, serve(), python, []string{script}, "AGAIN=1"))
}

// npmClients is a folder in which the official clients are installed:
// TOKAIDO_NODE_CLIENTS, or one in the user's cache, which is made if npm can.
func npmClients(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("TOKAIDO_NODE_CLIENTS"); dir != "" {
		return dir
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: the clients of OpenAI and Anthropic did not run")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no folder to install npm packages in: the clients of OpenAI and Anthropic did not run")
	}
	dir := filepath.Join(cache, "tokaido-e2e", "clients")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "openai")); err == nil {
		return dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "openai@6", "@anthropic-ai/sdk@1")
	if out, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		t.Skipf("npm cannot install the clients of OpenAI and Anthropic, which did not run: %v\n%s", err, out)
	}
	return dir
}
