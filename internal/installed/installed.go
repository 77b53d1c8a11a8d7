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
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("python3 with boto3 is not installed: " + what)
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
