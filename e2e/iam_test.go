package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"tokaido/e2e/harness"
)

// The calls that Terraform's AWS provider makes for IAM and Step Functions, in
// its order: create, read, update, read, delete, read. The provider itself is
// not run: it comes from a registry that tests do not reach.
func TestTerraformsCalls(t *testing.T) {
	python := boto3(t, "Terraform's calls of IAM were not replayed")
	s := start(t, "")
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "terraform.py"))
	cmd.Env = s.Environ("ap-northeast-1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// A guard on Regions by organizations' API: it binds at once, outlives a restart,
// is explained, and is taken away again.
func TestServiceControlPolicies(t *testing.T) {
	python := boto3(t, "service control policies were not tried with a client")
	dir := t.TempDir()
	for _, step := range []string{"begin", "again"} {
		s, err := harness.Start(context.WithoutCancel(t.Context()), binary, dir, "")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "organization.py"), step)
		cmd.Env = append(s.Environ("ap-northeast-1"), "TOKAIDO="+binary, "DATA="+dir)
		out, err := cmd.CombinedOutput()
		s.Kill()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", step, err, out, s.Log())
		}
	}
}
