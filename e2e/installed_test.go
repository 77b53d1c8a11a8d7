package e2e

import (
	"os/exec"
	"testing"
)

// boto3 returns a python that has boto3; where there is none the test is
// skipped, and what says what does not run. The tests of the main module have
// the same in internal/installed, which this module does not know.
func boto3(t *testing.T, what string) (python string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("python3 with boto3 is not installed: " + what)
	}
	return python
}

// awsCLI is the same for the aws CLI.
func awsCLI(t *testing.T, what string) (cli string) {
	t.Helper()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws CLI is not installed: " + what)
	}
	return cli
}
