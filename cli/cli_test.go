package cli_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tokaido/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tokaido": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// Each script in testdata is a session with the command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.Getenv("WORK"))
			e.Setenv("LANG", "C.UTF-8")
			return nil
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
