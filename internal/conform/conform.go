// Package conform finds the conformance cases, which live beside the project
// and not in it.
package conform

import (
	"os"
	"path/filepath"
	"testing"
)

// Env names the variable that says where the cases are.
const Env = "TOKAIDO_CONFORMANCE"

// Dir returns the folder of one kind of cases (jsonata, asl, iam, sigv4). A
// test on a machine without them is skipped, saying so.
func Dir(t testing.TB, kind string) string {
	t.Helper()
	root := os.Getenv(Env)
	if root == "" {
		root = filepath.Join(moduleRoot(t), "..", "shared", "conformance")
	}
	dir := filepath.Join(root, kind)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Skipf("no %s conformance cases at %s: set %s to the folder that holds them", kind, dir, Env)
	}
	return dir
}

// moduleRoot is the nearest folder upwards with a go.mod.
func moduleRoot(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d
		}
		if d == filepath.Dir(d) {
			t.Fatalf("no go.mod above %s", dir)
		}
	}
}
