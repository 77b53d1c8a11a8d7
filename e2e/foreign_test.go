package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

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

// boto3: tools in streams, API keys, and profiles that outlive a restart.
func TestBoto3Bedrock(t *testing.T) {
	python := boto3(t, "its calls of Bedrock did not run")
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
	t.Log(run(t, s, python, []string{script}))
	s.Kill()
	t.Log(run(t, serve(), python, []string{script}, "AGAIN=1"))
}
