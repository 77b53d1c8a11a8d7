package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tokaido/iam"
)

// What docs/organizations.md shows is a configuration and a policy that are taken.
func TestOrganizationDocs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "organizations.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindSubmatch(b)
		if m == nil {
			t.Fatalf("no block of %s", kind)
		}
		return string(m[1])
	}
	if _, err := iam.Parse(iam.ServiceControlPolicy, []byte(block("json"))); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	policy := filepath.Join(dir, "guard.json")
	if err := os.WriteFile(policy, []byte(block("json")), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tokaido.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(block("yaml"), "guard.json", policy, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Read(file); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if got, err := c.Organization.control(); err != nil || len(got.Policies) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
