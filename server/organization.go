package server

import (
	"errors"
	"fmt"
	"os"

	"tokaido/principal"
)

// OrganizationConfig are policies of the organization that bind the account from
// the start, its root user too: they are attached to the organization's root and
// nobody can detach them. Without any there is an organization only if somebody
// made one (CreateOrganization).
type OrganizationConfig struct {
	// FullAWSAccess false takes AWS's policy of that name from the root: only what
	// the service control policies here allow is allowed.
	FullAWSAccess *bool           `yaml:"fullAWSAccess,omitempty"` // nil: true
	Policies      []ControlConfig `yaml:"policies,omitempty"`
}

// ControlConfig is one policy: its document stands in a file or right here.
type ControlConfig struct {
	Name     string `yaml:"name"`
	Type     string `yaml:"type,omitempty"` // SERVICE_CONTROL_POLICY, which is meant without it, or RESOURCE_CONTROL_POLICY
	File     string `yaml:"file,omitempty"`
	Document string `yaml:"document,omitempty"`
}

func (c *OrganizationConfig) check(bad func(string, ...any)) {
	for i, p := range c.Policies {
		at := fmt.Sprintf("organization.policies[%d]", i)
		switch t := principal.PolicyType(p.Type); {
		case p.Name == "":
			bad("%s: it has no name", at)
		case t != "" && t != principal.ServiceControl && t != principal.ResourceControl:
			bad("%s: type %q is neither SERVICE_CONTROL_POLICY nor RESOURCE_CONTROL_POLICY", at, p.Type)
		case (p.File == "") == (p.Document == ""):
			bad("%s: it needs either a file or a document", at)
		}
	}
}

// control reads the policies.
func (c *OrganizationConfig) control() (principal.ControlOptions, error) {
	out := principal.ControlOptions{Narrow: c.FullAWSAccess != nil && !*c.FullAWSAccess}
	var errs []error
	for _, p := range c.Policies {
		n := principal.ControlPolicy{Name: p.Name, Type: principal.PolicyType(p.Type), Document: p.Document}
		if n.Type == "" {
			n.Type = principal.ServiceControl
		}
		if p.File != "" {
			b, err := os.ReadFile(p.File)
			if err != nil {
				errs = append(errs, fmt.Errorf("policy %s of the organization: %w", p.Name, err))
				continue
			}
			n.Document = string(b)
		}
		out.Policies = append(out.Policies, n)
	}
	return out, errors.Join(errs...)
}
