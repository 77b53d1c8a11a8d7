// Package golden holds what a test produced to a file under testdata, and writes
// the file anew under -rewrite, so that the diff of the file is the review.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/aymanbagabas/go-udiff"
)

// Rewrite says whether files are written anew: for a test that keeps them in its
// own way.
var Rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// Compare fails the test unless the file, named by the parts of its path below
// testdata, holds got.
func Compare(t testing.TB, got string, path ...string) {
	t.Helper()
	file := filepath.Join(append([]string{"testdata"}, path...)...)
	if *Rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v; -rewrite writes it", err)
		return
	}
	if got != string(want) {
		t.Errorf("%s differs; -rewrite writes it anew:\n%s", file, udiff.Unified("want", "got", string(want), got))
	}
}
