package principal

import (
	"context"
	"embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed managed/*.json
var managedFiles embed.FS

// awsSince is the date that AWS's policies bear here.
var awsSince = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

// awsManaged are the policies managed by AWS that there are here.
func awsManaged() []Policy {
	files, err := managedFiles.ReadDir("managed")
	if err != nil {
		panic(err) // they are in the program
	}
	var all []Policy
	for i, f := range files {
		doc, err := managedFiles.ReadFile(path.Join("managed", f.Name()))
		if err != nil {
			panic(err)
		}
		name := strings.TrimSuffix(f.Name(), ".json")
		all = append(all, Policy{
			Name: name, Path: "/", ID: fmt.Sprintf("ANPATOKAIDOAWS%07d", i+1), ARN: "arn:aws:iam::aws:policy/" + name,
			Created: awsSince, Updated: awsSince, Default: "v1", Last: 1, AWS: true,
			Versions: []Version{{ID: "v1", Document: string(doc), Created: awsSince}},
		})
	}
	return all
}

// NewPolicy is what CreatePolicy makes.
type NewPolicy struct {
	Name        string
	Path        string // "": "/"
	Description string
	Document    string
	Tags        []Tag
}

// CreatePolicy makes a managed policy.
func (d *Directory) CreatePolicy(ctx context.Context, n NewPolicy) (Policy, error) {
	var out Policy
	err := d.update(ctx, func(c *change) error {
		if n.Path == "" {
			n.Path = "/"
		}
		if f := checkName(n.Name, "policyName", 128); f != nil {
			return f
		}
		if f := checkPath(n.Path); f != nil {
			return f
		}
		if f := checkText(n.Description, "description", maxDescription); f != nil {
			return f
		}
		if f := checkTags(nil, n.Tags); f != nil {
			return f
		}
		if err := checkManaged(n.Document); err != nil {
			return err
		}
		for _, p := range c.policies {
			if strings.EqualFold(p.Name, n.Name) {
				return alreadyExists("A policy called %s already exists. Duplicate names are not allowed.", n.Name)
			}
		}
		if len(c.policies) >= maxPolicies {
			return limitExceeded("Cannot exceed quota for PoliciesPerAccount: %d", maxPolicies)
		}
		out = Policy{
			Name: n.Name, Path: n.Path, ID: newID("ANPA"), ARN: "arn:aws:iam::" + c.account.ID + ":policy" + n.Path + n.Name,
			Description: n.Description, Created: c.now, Updated: c.now, Default: "v1", Last: 1, Tags: slices.Clone(n.Tags),
			Versions: []Version{{ID: "v1", Document: n.Document, Created: c.now}},
		}
		return c.putPolicy(out)
	})
	return out, err
}

func checkManaged(document string) error {
	if err := checkDocument(document); err != nil {
		return err
	}
	if nonSpace(document) > maxManagedSize {
		return limitExceeded("Cannot exceed quota for PolicySize: %d", maxManagedSize)
	}
	return nil
}

// Policy returns a managed policy, AWS's too.
func (d *Directory) Policy(arn string) (Policy, error) {
	s := d.state.Load()
	p := d.policy(s, arn)
	if p == nil {
		return Policy{}, noSuchEntity("Policy %s was not found.", arn)
	}
	out := p.Policy
	for _, es := range s.entities {
		for _, e := range es {
			if slices.Contains(e.Attached, arn) {
				out.Attachments++
			}
			if e.Boundary == arn {
				out.Boundaries++
			}
		}
	}
	return out, nil
}

// Scope says whose managed policies are meant.
type Scope uint8

// The scopes.
const (
	AllPolicies Scope = iota
	AWSPolicies
	LocalPolicies
)

// ListPolicies returns managed policies under a path, by name.
func (d *Directory) ListPolicies(scope Scope, pathPrefix string) []Policy {
	s := d.state.Load()
	attached, boundary := map[string]int{}, map[string]int{}
	for _, es := range s.entities {
		for _, e := range es {
			for _, arn := range e.Attached {
				attached[arn]++
			}
			boundary[e.Boundary]++
		}
	}
	var all []Policy
	add := func(ps map[string]*policy) {
		for _, p := range ps {
			if strings.HasPrefix(p.Path, pathPrefix) {
				out := p.Policy
				out.Attachments, out.Boundaries = attached[p.ARN], boundary[p.ARN]
				all = append(all, out)
			}
		}
	}
	if scope != AWSPolicies {
		add(s.policies)
	}
	if scope != LocalPolicies {
		add(d.aws)
	}
	slices.SortFunc(all, func(a, b Policy) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ARN, b.ARN)
	})
	return all
}

// PolicyEntities returns who a managed policy is attached to, and whose
// boundary it is, each by kind and name.
func (d *Directory) PolicyEntities(arn string) (attached, bounded []Entity, err error) {
	s := d.state.Load()
	if d.policy(s, arn) == nil {
		return nil, nil, noSuchEntity("Policy %s was not found.", arn)
	}
	for k := KindUser; k < numKinds; k++ {
		for _, e := range s.list(k, "/") {
			if slices.Contains(e.Attached, arn) {
				attached = append(attached, e)
			}
			if e.Boundary == arn {
				bounded = append(bounded, e)
			}
		}
	}
	return attached, bounded, nil
}

// editPolicy changes a copy of a customer's managed policy.
func (d *Directory) editPolicy(ctx context.Context, arn string, f func(c *change, p *Policy) error) error {
	return d.update(ctx, func(c *change) error {
		if d.aws[arn] != nil {
			return denied("%s is managed by AWS and cannot be changed.", arn)
		}
		old := c.policies[arn]
		if old == nil {
			return noSuchEntity("Policy %s was not found.", arn)
		}
		p := old.Policy
		if err := f(c, &p); err != nil {
			return err
		}
		return c.putPolicy(p)
	})
}

// CreateVersion adds a version to a managed policy and, if so wanted, puts it
// in force.
func (d *Directory) CreateVersion(ctx context.Context, arn, document string, setDefault bool) (Version, error) {
	var v Version
	err := d.editPolicy(ctx, arn, func(c *change, p *Policy) error {
		if err := checkManaged(document); err != nil {
			return err
		}
		if len(p.Versions) >= maxVersions {
			return limitExceeded("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		p.Last++
		v = Version{ID: "v" + strconv.Itoa(p.Last), Document: document, Created: c.now}
		p.Versions = append(slices.Clip(p.Versions), v)
		p.Updated = c.now
		if setDefault {
			p.Default = v.ID
		}
		return nil
	})
	return v, err
}

func noVersion(arn, id string) error {
	return noSuchEntity("Policy %s version %s does not exist or is not attachable.", arn, id)
}

// PolicyVersion returns a version of a managed policy.
func (d *Directory) PolicyVersion(arn, id string) (v Version, isDefault bool, err error) {
	p := d.policy(d.state.Load(), arn)
	if p == nil {
		return Version{}, false, noSuchEntity("Policy %s was not found.", arn)
	}
	v, ok := p.Version(id)
	if !ok {
		return Version{}, false, noVersion(arn, id)
	}
	return v, id == p.Default, nil
}

// SetDefaultVersion puts a version of a managed policy in force.
func (d *Directory) SetDefaultVersion(ctx context.Context, arn, id string) error {
	return d.editPolicy(ctx, arn, func(c *change, p *Policy) error {
		if _, ok := p.Version(id); !ok {
			return noVersion(arn, id)
		}
		p.Default, p.Updated = id, c.now
		return nil
	})
}

// DeleteVersion removes a version that is not in force.
func (d *Directory) DeleteVersion(ctx context.Context, arn, id string) error {
	return d.editPolicy(ctx, arn, func(c *change, p *Policy) error {
		i := slices.IndexFunc(p.Versions, func(v Version) bool { return v.ID == id })
		switch {
		case i < 0:
			return noVersion(arn, id)
		case id == p.Default:
			return deleteConflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(slices.Clone(p.Versions), i, i+1)
		return nil
	})
}

// DeletePolicy removes a managed policy that nobody has and that has only the
// version in force.
func (d *Directory) DeletePolicy(ctx context.Context, arn string) error {
	return d.update(ctx, func(c *change) error {
		p := c.policies[arn]
		switch {
		case d.aws[arn] != nil:
			return denied("%s is managed by AWS and cannot be changed.", arn)
		case p == nil:
			return noSuchEntity("Policy %s was not found.", arn)
		case len(p.Versions) > 1:
			return deleteConflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		for _, es := range c.entities {
			for _, e := range es {
				if slices.Contains(e.Attached, arn) || e.Boundary == arn {
					return deleteConflict("Cannot delete a policy attached to entities.")
				}
			}
		}
		c.removePolicy(arn)
		return nil
	})
}

// TagPolicy adds tags to a managed policy, or changes their values.
func (d *Directory) TagPolicy(ctx context.Context, arn string, tags []Tag) error {
	return d.editPolicy(ctx, arn, func(c *change, p *Policy) error {
		if f := checkTags(p.Tags, tags); f != nil {
			return f
		}
		p.Tags = setTags(p.Tags, tags)
		return nil
	})
}

// UntagPolicy removes tags from a managed policy.
func (d *Directory) UntagPolicy(ctx context.Context, arn string, keys []string) error {
	return d.editPolicy(ctx, arn, func(c *change, p *Policy) error {
		p.Tags = dropTags(p.Tags, keys)
		return nil
	})
}
