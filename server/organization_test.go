package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokaido/principal"
)

func TestOrganizationConfig(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "scp.json")
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(policy, document)
	file := filepath.Join(dir, "tokaido.yaml")
	write(file, "organization:\n  fullAWSAccess: false\n  policies:\n    - name: a\n      file: "+policy+"\n    - name: b\n      type: RESOURCE_CONTROL_POLICY\n      document: |\n        "+document+"\n")
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Read(file); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	got, err := c.Organization.control()
	if err != nil {
		t.Fatal(err)
	}
	if !got.Narrow || len(got.Policies) != 2 || got.Policies[0].Type != principal.ServiceControl || got.Policies[0].Document != document ||
		got.Policies[1].Type != principal.ResourceControl || strings.TrimSpace(got.Policies[1].Document) != document {
		t.Errorf("%+v", got)
	}

	c.Organization.Policies = []ControlConfig{{File: policy}, {Name: "t", Type: "TAG_POLICY", File: policy}, {Name: "n"}, {Name: "m", File: policy, Document: document}}
	err = c.Check()
	for _, want := range []string{"organization.policies[0]: it has no name", `organization.policies[1]: type "TAG_POLICY"`, "organization.policies[2]: it needs", "organization.policies[3]: it needs"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	c.Organization.Policies = []ControlConfig{{Name: "gone", File: filepath.Join(dir, "none.json")}}
	if _, err := c.Organization.control(); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a file that is not there: %v", err)
	}
}
