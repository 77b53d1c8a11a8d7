// Package installed finds the programs that tests use where a machine has them.
// A test on a machine without one is skipped, saying what did not run.
package installed

import (
	"os/exec"
	"testing"
)

// Boto3 returns a python that has boto3; what says what does not run without.
func Boto3(t testing.TB, what string) (python string) {
	t.Helper()
	return python3(t, "boto3", what)
}

// Botocore returns a python that has botocore, which holds AWS's own models.
func Botocore(t testing.TB, what string) (python string) {
	t.Helper()
	return python3(t, "botocore", what)
}

func python3(t testing.TB, module, what string) (python string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import "+module).Run() != nil {
		t.Skipf("python3 with %s is not installed: %s", module, what)
	}
	return python
}

// AWS returns the aws CLI; what says what does not run without.
func AWS(t testing.TB, what string) (cli string) {
	t.Helper()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws CLI is not installed: " + what)
	}
	return cli
}
