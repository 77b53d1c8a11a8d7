package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// The AWS SDK for JavaScript, and the official clients of OpenAI and Anthropic:
// streams, tools, profiles as names of models.
func TestJavaScript(t *testing.T) {
	folder := npmClients(t)
	s := start(t, ownProfile)
	key := apiKey(t, s)
	run := func(t *testing.T, script string, more ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", script))
		cmd.Env = append(append(s.Environ(story.Region), "NODE_CLIENTS="+folder, "PROFILE="+story.Japan, "NODE_NO_WARNINGS=1"), more...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("node %s: %v\n%s", script, err, out)
		}
		t.Logf("%s", out)
	}
	t.Run("aws-sdk", func(t *testing.T) { run(t, "aws.mjs") })
	t.Run("openai-and-anthropic", func(t *testing.T) { run(t, "clients.mjs", "AWS_BEARER_TOKEN_BEDROCK="+key) })
}

// apiKey is a long-term key of Bedrock's of a user who may call and list models.
func apiKey(t *testing.T, s *harness.Server) string {
	t.Helper()
	c := iam.NewFromConfig(s.Config(story.Region))
	if _, err := c.CreateUser(t.Context(), &iam.CreateUserInput{UserName: new("caller")}); err != nil {
		t.Fatal(err)
	}
	_, err := c.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: new("caller"), PolicyName: new("p"), PolicyDocument: new(`{"Version":"2012-10-17","Statement":{"Effect":"Allow",
		"Action":["bedrock:CallWithBearerToken","bedrock:InvokeModel*","bedrock:CountTokens","bedrock:List*"],"Resource":"*"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.CreateServiceSpecificCredential(t.Context(), &iam.CreateServiceSpecificCredentialInput{UserName: new("caller"), ServiceName: new("bedrock.amazonaws.com"), CredentialAgeDays: new(int32(1))})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ServiceSpecificCredential.ServiceCredentialSecret
}

// npmClients is a folder in which the packages of testdata/js are installed:
// TOKAIDO_NODE_CLIENTS, or one in the user's cache, which is made if npm can.
func npmClients(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("TOKAIDO_NODE_CLIENTS"); dir != "" {
		return dir
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: the JavaScript clients did not run", name)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no folder to install npm packages in: the JavaScript clients did not run")
	}
	sum := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", "js", name))
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(b)
		files[name] = b
	}
	cache = filepath.Join(cache, "tokaido-e2e")
	dir := filepath.Join(cache, "js-"+hex.EncodeToString(sum.Sum(nil)[:8])) // other versions are another folder
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	tmp, err := os.MkdirTemp(cache, "installing-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(tmp, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install the JavaScript clients, which did not run: %v\n%s", err, out)
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, os.ErrExist) { // somebody else was quicker
		t.Fatal(err)
	}
	return dir
}
