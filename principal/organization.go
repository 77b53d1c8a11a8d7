package principal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tokaido/fault"
	"tokaido/iam"
)

// The organization that the account may be in: one root, and under it the
// account. The account stands for both sides: organizations' own operations are
// those of a management account, and whoever else acts here is a member's, whom
// the policies bind, the root user too.

// PolicyType is a type of an organization's policies, in AWS's words.
type PolicyType string

// The types that decide something here.
const (
	ServiceControl  PolicyType = "SERVICE_CONTROL_POLICY"
	ResourceControl PolicyType = "RESOURCE_CONTROL_POLICY"
)

// PolicyTypes are all that there are.
var PolicyTypes = []PolicyType{ServiceControl, ResourceControl}

// kind is how such a policy is parsed.
func (t PolicyType) kind() iam.Kind {
	if t == ResourceControl {
		return iam.ResourceControlPolicy
	}
	return iam.ServiceControlPolicy
}

// known reports whether there is such a type.
func (t PolicyType) known() bool { return slices.Contains(PolicyTypes, t) }

// fullAccess is the id of AWS's policy that leaves all to the others.
func (t PolicyType) fullAccess() string {
	if t == ResourceControl {
		return "p-RCPFullAWSAccess"
	}
	return "p-FullAWSAccess"
}

// Limits of an organization (iam.md, section 10).
const (
	maxControlPolicies = 1000 // of an organization
	maxControlSize     = 5120 // bytes of a document, white space too
	maxControlName     = 128
	maxControlText     = 512 // characters of a description
	maxControlAttached = 5   // policies of one type on one target
)

const (
	organizationKey  = "organization"
	controlPolicyKey = "controlpolicy/"
)

// Organization is what the account is in. Its slices and maps are shared: who
// gets one must not change it.
type Organization struct {
	ID       string              `json:"id"`   // o-…
	Root     string              `json:"root"` // r-…
	Created  time.Time           `json:"created"`
	Enabled  []PolicyType        `json:"enabled,omitempty"`
	Attached map[string][]string `json:"attached,omitempty"` // ids of policies by target: the root or the account
	Tags     map[string][]Tag    `json:"tags,omitempty"`     // of the root and of the account
	Account  string              `json:"-"`                  // which it manages and which is its only member
}

// ARN names the organization.
func (o *Organization) ARN() string { return o.arn("organization/" + o.ID) }

// RootARN names its root.
func (o *Organization) RootARN() string { return o.arn("root/" + o.ID + "/" + o.Root) }

// AccountARN names the account as its member.
func (o *Organization) AccountARN() string { return o.arn("account/" + o.ID + "/" + o.Account) }

// Path is the account's place in it, as aws:PrincipalOrgPaths has it.
func (o *Organization) Path() string { return o.ID + "/" + o.Root + "/" }

func (o *Organization) arn(resource string) string {
	return "arn:aws:organizations::" + o.Account + ":" + resource
}

// ControlPolicy is a policy of an organization.
type ControlPolicy struct {
	ID          string     `json:"id"` // p-…
	ARN         string     `json:"arn"`
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Type        PolicyType `json:"type"`
	Document    string     `json:"document"`
	Tags        []Tag      `json:"tags,omitempty"`
	AWS         bool       `json:"-"` // managed by AWS
	Configured  bool       `json:"-"` // from the configuration: on the root, and not to be changed here
}

// ControlOptions are an organization's policies from the configuration.
type ControlOptions struct {
	Policies []ControlPolicy // Name, Type and Document count
	// Narrow leaves out AWS's FullAWSAccess at the root: only what the configured
	// service control policies allow is allowed.
	Narrow bool
}

// control is a ControlPolicy that was compiled. It never changes.
type control struct {
	ControlPolicy
	compiled *iam.Policy
}

// organization is an Organization with what follows from it. It never changes.
type organization struct {
	Organization
	controls map[string]*control // by id, also AWS's and configured ones
	scp, rcp [][]iam.Bound       // what binds the account; nil where the type is not enabled
}

// awsControls are the policies that AWS attaches by itself.
func awsControls() []*control {
	return []*control{
		{ControlPolicy{
			ID: ServiceControl.fullAccess(), ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", Name: "FullAWSAccess",
			Description: "Allows access to every operation", Type: ServiceControl, AWS: true,
			Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
		}, nil},
		{ControlPolicy{
			ID: ResourceControl.fullAccess(), ARN: "arn:aws:organizations::aws:policy/resource_control_policy/p-RCPFullAWSAccess", Name: "RCPFullAWSAccess",
			Description: "Allows access to every operation", Type: ResourceControl, AWS: true,
			Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
		}, nil},
	}
}

// compileControl compiles a policy as organizations would save it.
func compileControl(p ControlPolicy) (*control, error) {
	c, err := iam.Parse(p.Type.kind(), []byte(p.Document))
	if err != nil {
		return nil, err
	}
	return &control{p, c}, nil
}

// organization makes an organization of what is stored.
func (d *Directory) organization(o Organization, stored map[string]*control) *organization {
	x := &organization{Organization: o, controls: make(map[string]*control, len(stored)+len(d.controls)+2)}
	maps.Copy(x.controls, stored)
	for _, c := range d.controls {
		if !c.AWS {
			c = &control{c.ControlPolicy, c.compiled}
			c.ARN = x.policyARN(c.Type, c.ID)
		}
		x.controls[c.ID] = c
	}
	for _, t := range PolicyTypes {
		if !d.enabled(&x.Organization, t) {
			continue
		}
		levels := make([][]iam.Bound, 2)
		for i, target := range []string{o.Root, o.Account} {
			levels[i] = []iam.Bound{} // a level without policies allows nothing
			for _, id := range d.attached(x, t, target) {
				c := x.controls[id]
				if t == ResourceControl && c.AWS {
					continue // implied
				}
				levels[i] = append(levels[i], iam.Bound{Policy: c.compiled, Name: c.Name, ARN: c.ARN, Owner: x.targetARN(target)})
			}
		}
		if t == ServiceControl {
			x.scp = levels
		} else {
			x.rcp = levels
		}
	}
	return x
}

func (o *Organization) policyARN(t PolicyType, id string) string {
	return o.arn("policy/" + o.ID + "/" + strings.ToLower(string(t)) + "/" + id)
}

func (o *Organization) targetARN(target string) string {
	if target == o.Root {
		return o.RootARN()
	}
	return o.AccountARN()
}

// governed is what an organization's policies are to everybody in the account.
func (s *state) governed() iam.Policies {
	if s.org == nil {
		return iam.Policies{}
	}
	return iam.Policies{SCP: s.org.scp, RCP: s.org.rcp}
}

// orgPath is the account's place in its organization; "" if it is in none.
func (s *state) orgPath() string {
	if s.org == nil {
		return ""
	}
	return s.org.Path()
}

// enabled reports whether policies of a type bind: those of the configuration
// need no EnablePolicyType.
func (d *Directory) enabled(o *Organization, t PolicyType) bool {
	return slices.Contains(o.Enabled, t) || slices.ContainsFunc(d.controls, func(c *control) bool { return c.Configured && c.Type == t })
}

// attached lists what is attached to a target: what was, and what the
// configuration adds.
func (d *Directory) attached(o *organization, t PolicyType, target string) (ids []string) {
	given := slices.Contains(o.Enabled, t)
	for _, id := range o.Attached[target] {
		if c := o.controls[id]; c != nil && c.Type == t && !(c.AWS && t == ServiceControl && d.narrow && target == o.Root) {
			ids = append(ids, id)
		}
	}
	if !given && !(t == ServiceControl && d.narrow && target == o.Root) {
		ids = append(ids, t.fullAccess())
	}
	if target == o.Root {
		for _, c := range d.controls {
			if c.Configured && c.Type == t {
				ids = append(ids, c.ID)
			}
		}
	}
	return ids
}

// configure takes the policies of the configuration.
func (d *Directory) configure(opts ControlOptions) error {
	for _, c := range awsControls() {
		x, err := compileControl(c.ControlPolicy)
		if err != nil {
			return fmt.Errorf("AWS's policy %s: %w", c.Name, err)
		}
		d.controls = append(d.controls, x)
	}
	perType := map[PolicyType]int{}
	for _, p := range opts.Policies {
		// The same id at every start, so that records of different runs name the same.
		sum := sha256.Sum256([]byte(string(p.Type) + "/" + p.Name))
		p.ID, p.Configured, p.AWS = "p-c"+strings.ToLower(ids.EncodeToString(sum[:]))[:9], true, false
		p.Description = "from the configuration file"
		if f := checkControl(&p); f != nil {
			return fmt.Errorf("policy %s of the organization: %w", p.Name, f)
		}
		c, err := compileControl(p)
		if err != nil {
			return fmt.Errorf("policy %s of the organization: %w", p.Name, err)
		}
		if slices.ContainsFunc(d.controls, func(o *control) bool { return o.Type == p.Type && strings.EqualFold(o.Name, p.Name) }) {
			return fmt.Errorf("policy %s of the organization: there are two of that name", p.Name)
		}
		if perType[p.Type]++; perType[p.Type] > maxControlAttached {
			return fmt.Errorf("policy %s of the organization: the root takes at most %d of a type", p.Name, maxControlAttached)
		}
		d.controls = append(d.controls, c)
	}
	if d.narrow = opts.Narrow; d.narrow && perType[ServiceControl] == 0 {
		return fmt.Errorf("without FullAWSAccess and without a service control policy of its own the organization would allow nothing")
	}
	return nil
}

// controlID is a new id in AWS's form.
func controlID(prefix string, n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return prefix + string(b)
}

// Faults of organizations.

func orgFault(code, format string, args ...any) *fault.Error {
	return newFault(400, code, format, args...)
}

func noOrganization() *fault.Error {
	return orgFault("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
}

func noControlPolicy() *fault.Error {
	return orgFault("PolicyNotFoundException", "You specified a policy that doesn't exist.")
}

func noTarget() *fault.Error {
	return orgFault("TargetNotFoundException", "You specified a target that doesn't exist.")
}

// constraintOf is a limit that was reached; the reason is one of AWS's.
func constraintOf(reason, format string, args ...any) *fault.Error {
	f := orgFault("ConstraintViolationException", format, args...)
	f.Members = []fault.Member{{Name: "Reason", Value: reason}}
	return f
}

func invalidOrg(reason, format string, args ...any) *fault.Error {
	f := orgFault("InvalidInputException", format, args...)
	f.Members = []fault.Member{{Name: "Reason", Value: reason}}
	return f
}

// fixed refuses to change what is not ours to change.
func (c *control) fixed() *fault.Error {
	switch {
	case c.AWS:
		return invalidOrg("IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and cannot be changed: %s.", c.ID)
	case c.Configured:
		return invalidOrg("IMMUTABLE_POLICY", "The policy %s (%s) comes from the configuration file and is changed there.", c.Name, c.ID)
	}
	return nil
}

// checkControl holds a policy against organizations' limits.
func checkControl(p *ControlPolicy) *fault.Error {
	switch n := utf8.RuneCountInString(p.Name); {
	case !p.Type.known():
		return invalidOrg("INVALID_ENUM_POLICY_TYPE", "Policies of the type %.64q are not supported by this server; it has SERVICE_CONTROL_POLICY and RESOURCE_CONTROL_POLICY.", string(p.Type))
	case n == 0 || n > maxControlName:
		return invalidOrg("INVALID_PATTERN", "The name of a policy has between 1 and %d characters.", maxControlName)
	case utf8.RuneCountInString(p.Description) > maxControlText:
		return invalidOrg("MAX_LENGTH_EXCEEDED", "The description of a policy has at most %d characters.", maxControlText)
	case len(p.Document) > maxControlSize:
		return constraintOf("POLICY_CONTENT_LIMIT_EXCEEDED", "You have exceeded the maximum size of a policy: it has %d bytes, and the limit is %d.", len(p.Document), maxControlSize)
	}
	if f := checkTags(nil, p.Tags); f != nil {
		return invalidOrg("INVALID_PATTERN", "%s", f.Message)
	}
	return nil
}

// compileGiven is compileControl in the words of organizations.
func compileGiven(p ControlPolicy) (*control, error) {
	c, err := compileControl(p)
	if err != nil {
		f := orgFault("MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type.")
		f.Err = err
		return nil, f
	}
	return c, nil
}

// Organization returns the organization; AWSOrganizationsNotInUseException if
// the account is in none.
func (d *Directory) Organization() (Organization, error) {
	o := d.state.Load().org
	if o == nil {
		return Organization{}, noOrganization()
	}
	return o.Organization, nil
}

// EnabledTypes are the types of policies that bind.
func (d *Directory) EnabledTypes(o *Organization) (all []PolicyType) {
	for _, t := range PolicyTypes {
		if d.enabled(o, t) {
			all = append(all, t)
		}
	}
	return all
}

// updateOrganization changes an organization that is there.
func (d *Directory) updateOrganization(ctx context.Context, f func(c *change) error) error {
	return d.update(ctx, func(c *change) error {
		if c.org == nil {
			return noOrganization()
		}
		return f(c)
	})
}

// newOrganization makes an organization without any policy.
func (c *change) newOrganization() error {
	return c.putOrganization(Organization{ID: controlID("o-", 10), Root: controlID("r-", 4), Created: c.now, Account: c.account.ID})
}

// CreateOrganization makes the account an organization's.
func (d *Directory) CreateOrganization(ctx context.Context) (Organization, error) {
	var out Organization
	err := d.update(ctx, func(c *change) error {
		if c.org != nil {
			return orgFault("AlreadyInOrganizationException", "The AWS account is already a member of an organization.")
		}
		if err := c.newOrganization(); err != nil {
			return err
		}
		out = c.org.Organization
		return nil
	})
	return out, err
}

// DeleteOrganization ends it. Its policies must be gone.
func (d *Directory) DeleteOrganization(ctx context.Context) error {
	return d.updateOrganization(ctx, func(c *change) error {
		if len(c.stored) > 0 || slices.ContainsFunc(d.controls, func(x *control) bool { return x.Configured }) {
			return orgFault("OrganizationNotEmptyException", "The organization isn't empty. To delete an organization, you must first remove all accounts except the management account, delete all OUs, and delete all policies.")
		}
		c.org = nil
		c.saves = append(c.saves, Change{Key: organizationKey})
		return nil
	})
}

// putOrganization stores o and publishes what follows from it.
func (c *change) putOrganization(o Organization) error {
	c.org = c.d.organization(o, c.stored)
	return c.save(organizationKey, o)
}

// putControl stores p and publishes what follows from it.
func (c *change) putControl(p ControlPolicy) error {
	x, err := compileGiven(p)
	if err != nil {
		return err
	}
	c.own(int(numKinds)+3, func() { c.stored = maps.Clone(c.stored) })
	c.stored[p.ID] = x
	if err := c.save(controlPolicyKey+p.ID, x.ControlPolicy); err != nil {
		return err
	}
	return c.putOrganization(c.org.Organization)
}

// EnableType lets policies of a type bind. AWS's policy that allows everything is
// then attached everywhere.
func (d *Directory) EnableType(ctx context.Context, root string, t PolicyType) (Organization, error) {
	return d.setType(ctx, root, t, true)
}

// DisableType ends that, and detaches the policies of the type.
func (d *Directory) DisableType(ctx context.Context, root string, t PolicyType) (Organization, error) {
	return d.setType(ctx, root, t, false)
}

func (d *Directory) setType(ctx context.Context, root string, t PolicyType, on bool) (Organization, error) {
	var out Organization
	err := d.updateOrganization(ctx, func(c *change) error {
		o := c.org.Organization
		has := slices.Contains(o.Enabled, t)
		switch {
		case root != o.Root:
			return orgFault("RootNotFoundException", "You specified a root that doesn't exist.")
		case !t.known():
			return checkControl(&ControlPolicy{Name: "-", Type: t})
		case on && has:
			return orgFault("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.")
		case !on && !has && d.enabled(&o, t):
			return constraintOf("POLICY_TYPE_ENABLED_FOR_THIS_SERVICE", "The configuration file has policies of this type: they are taken away there.")
		case !on && !has:
			return orgFault("PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
		}
		o.Enabled, o.Attached = slices.Clone(o.Enabled), maps.Clone(o.Attached)
		if o.Attached == nil {
			o.Attached = map[string][]string{}
		}
		for _, target := range []string{o.Root, o.Account} {
			keep := slices.DeleteFunc(slices.Clone(o.Attached[target]), func(id string) bool {
				p := c.org.controls[id]
				return p == nil || p.Type == t
			})
			if on {
				keep = append(keep, t.fullAccess())
			}
			o.Attached[target] = keep
		}
		if on {
			o.Enabled = append(o.Enabled, t)
		} else {
			o.Enabled = slices.DeleteFunc(o.Enabled, func(x PolicyType) bool { return x == t })
		}
		out = o
		return c.putOrganization(o)
	})
	return out, err
}

// CreateControl makes a policy of the organization: Name, Description, Type,
// Document and Tags of p count.
func (d *Directory) CreateControl(ctx context.Context, p ControlPolicy) (ControlPolicy, error) {
	var out ControlPolicy
	err := d.updateOrganization(ctx, func(c *change) error {
		p := p
		p.AWS, p.Configured, p.Tags = false, false, slices.Clone(p.Tags)
		if f := checkControl(&p); f != nil {
			return f
		}
		if f := c.freeControl(&p); f != nil {
			return f
		}
		if len(c.stored) >= maxControlPolicies {
			return constraintOf("POLICY_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of policies that you can have in an organization: %d.", maxControlPolicies)
		}
		p.ID = controlID("p-", 8)
		p.ARN = c.org.policyARN(p.Type, p.ID)
		out = p
		return c.putControl(p)
	})
	return out, err
}

// freeControl refuses a name that another policy of the type has.
func (c *change) freeControl(p *ControlPolicy) *fault.Error {
	for _, o := range c.org.controls {
		if o.ID != p.ID && o.Type == p.Type && o.Name == p.Name {
			return orgFault("DuplicatePolicyException", "A policy with the same name already exists.")
		}
	}
	return nil
}

// editControl changes a copy of a policy of the organization.
func (d *Directory) editControl(ctx context.Context, id string, f func(c *change, p *ControlPolicy) error) (ControlPolicy, error) {
	var out ControlPolicy
	err := d.updateOrganization(ctx, func(c *change) error {
		old := c.org.controls[id]
		if old == nil {
			return noControlPolicy()
		}
		if f := old.fixed(); f != nil {
			return f
		}
		p := old.ControlPolicy
		if err := f(c, &p); err != nil {
			return err
		}
		if f := checkControl(&p); f != nil {
			return f
		}
		out = p
		return c.putControl(p)
	})
	return out, err
}

// UpdateControl changes a policy's name, description or document; what is nil
// stays.
func (d *Directory) UpdateControl(ctx context.Context, id string, name, description, document *string) (ControlPolicy, error) {
	return d.editControl(ctx, id, func(c *change, p *ControlPolicy) error {
		if name != nil {
			p.Name = *name
			if f := c.freeControl(p); f != nil {
				return f
			}
		}
		if description != nil {
			p.Description = *description
		}
		if document != nil {
			p.Document = *document
		}
		return nil
	})
}

// DeleteControl removes a policy that is attached nowhere.
func (d *Directory) DeleteControl(ctx context.Context, id string) error {
	return d.updateOrganization(ctx, func(c *change) error {
		p := c.org.controls[id]
		if p == nil {
			return noControlPolicy()
		}
		if f := p.fixed(); f != nil {
			return f
		}
		for _, all := range c.org.Attached {
			if slices.Contains(all, id) {
				return orgFault("PolicyInUseException", "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
			}
		}
		c.own(int(numKinds)+3, func() { c.stored = maps.Clone(c.stored) })
		delete(c.stored, id)
		c.saves = append(c.saves, Change{Key: controlPolicyKey + id})
		return c.putOrganization(c.org.Organization)
	})
}

// Control returns a policy of the organization.
func (d *Directory) Control(id string) (ControlPolicy, error) {
	o := d.state.Load().org
	if o == nil {
		return ControlPolicy{}, noOrganization()
	}
	if c := o.controls[id]; c != nil {
		return c.ControlPolicy, nil
	}
	return ControlPolicy{}, noControlPolicy()
}

// Controls lists the policies of a type, by id.
func (d *Directory) Controls(t PolicyType) ([]ControlPolicy, error) {
	o := d.state.Load().org
	if o == nil {
		return nil, noOrganization()
	}
	var all []ControlPolicy
	for _, c := range o.controls {
		if c.Type == t {
			all = append(all, c.ControlPolicy)
		}
	}
	slices.SortFunc(all, func(a, b ControlPolicy) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// ControlsOf lists the policies of a type that are attached to the root or to
// the account, by id.
func (d *Directory) ControlsOf(target string, t PolicyType) ([]ControlPolicy, error) {
	o := d.state.Load().org
	switch {
	case o == nil:
		return nil, noOrganization()
	case target != o.Root && target != o.Account:
		return nil, noTarget()
	case !d.enabled(&o.Organization, t):
		return nil, nil
	}
	var all []ControlPolicy
	for _, id := range d.attached(o, t, target) {
		all = append(all, o.controls[id].ControlPolicy)
	}
	slices.SortFunc(all, func(a, b ControlPolicy) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// ControlTargets lists what a policy is attached to: the root, the account.
func (d *Directory) ControlTargets(id string) ([]string, error) {
	o := d.state.Load().org
	if o == nil {
		return nil, noOrganization()
	}
	p := o.controls[id]
	if p == nil {
		return nil, noControlPolicy()
	}
	var all []string
	for _, target := range []string{o.Root, o.Account} {
		if d.enabled(&o.Organization, p.Type) && slices.Contains(d.attached(o, p.Type, target), id) {
			all = append(all, target)
		}
	}
	return all, nil
}

// AttachControl attaches a policy to the root or to the account.
func (d *Directory) AttachControl(ctx context.Context, id, target string) error {
	return d.attachment(ctx, id, target, func(o *organization, p *control, all []string) ([]string, error) {
		now := d.attached(o, p.Type, target)
		switch {
		case slices.Contains(now, id):
			return nil, orgFault("DuplicatePolicyAttachmentException", "The selected policy is already attached to the specified target.")
		case len(now) >= maxControlAttached:
			return nil, constraintOf("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You have attached the maximum number of policies of the specified type to the specified target: %d.", maxControlAttached)
		}
		return append(all, id), nil
	})
}

// DetachControl takes a policy from the root or from the account. One service
// control policy stays: nothing would be allowed without any.
func (d *Directory) DetachControl(ctx context.Context, id, target string) error {
	return d.attachment(ctx, id, target, func(o *organization, p *control, all []string) ([]string, error) {
		i := slices.Index(all, id)
		switch {
		case i < 0:
			return nil, orgFault("PolicyNotAttachedException", "The policy isn't attached to the specified target in the specified root.")
		case p.Type == ResourceControl && p.AWS:
			return nil, p.fixed()
		case p.Type == ServiceControl && len(d.attached(o, p.Type, target)) == 1:
			return nil, constraintOf("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You must have at least one policy of the specified type attached to the specified target.")
		}
		return slices.Delete(all, i, i+1), nil
	})
}

// attachment changes what is attached to a target.
func (d *Directory) attachment(ctx context.Context, id, target string, f func(o *organization, p *control, all []string) ([]string, error)) error {
	return d.updateOrganization(ctx, func(c *change) error {
		o := c.org.Organization
		p := c.org.controls[id]
		switch {
		case p == nil:
			return noControlPolicy()
		case target != o.Root && target != o.Account:
			return noTarget()
		case p.Configured:
			return p.fixed()
		case !slices.Contains(o.Enabled, p.Type):
			return orgFault("PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
		}
		all, err := f(c.org, p, slices.Clone(o.Attached[target]))
		if err != nil {
			return err
		}
		o.Attached = maps.Clone(o.Attached)
		if o.Attached == nil {
			o.Attached = map[string][]string{}
		}
		o.Attached[target] = all
		return c.putOrganization(o)
	})
}

// OrganizationTags are the tags of the root, of the account, or of a policy.
func (d *Directory) OrganizationTags(resource string) ([]Tag, error) {
	o := d.state.Load().org
	switch {
	case o == nil:
		return nil, noOrganization()
	case resource == o.Root || resource == o.Account:
		return o.Tags[resource], nil
	case o.controls[resource] != nil:
		return o.controls[resource].Tags, nil
	}
	return nil, noTarget()
}

// TagOrganization adds tags to the root, to the account, or to a policy.
func (d *Directory) TagOrganization(ctx context.Context, resource string, tags []Tag) error {
	return d.retag(ctx, resource, func(old []Tag) ([]Tag, error) {
		if f := checkTags(old, tags); f != nil {
			if f.Code == "LimitExceeded" {
				return nil, constraintOf("MAX_TAG_LIMIT_EXCEEDED", "%s", f.Message)
			}
			return nil, invalidOrg("INVALID_PATTERN", "%s", f.Message)
		}
		return setTags(old, tags), nil
	})
}

// UntagOrganization removes tags.
func (d *Directory) UntagOrganization(ctx context.Context, resource string, keys []string) error {
	return d.retag(ctx, resource, func(old []Tag) ([]Tag, error) { return dropTags(old, keys), nil })
}

func (d *Directory) retag(ctx context.Context, resource string, f func([]Tag) ([]Tag, error)) error {
	if o := d.state.Load().org; o != nil && resource != o.Root && resource != o.Account {
		_, err := d.editControl(ctx, resource, func(_ *change, p *ControlPolicy) (err error) {
			p.Tags, err = f(p.Tags)
			return err
		})
		if fault.Code(err) == "PolicyNotFoundException" {
			return noTarget()
		}
		return err
	}
	return d.updateOrganization(ctx, func(c *change) error {
		o := c.org.Organization
		tags, err := f(o.Tags[resource])
		if err != nil {
			return err
		}
		o.Tags = maps.Clone(o.Tags)
		if o.Tags == nil {
			o.Tags = map[string][]Tag{}
		}
		o.Tags[resource] = tags
		return c.putOrganization(o)
	})
}

// Ungoverned is p without what an organization's policies say: for
// organizations' own operations, which are the management account's, and whom
// they never bind.
func (p *Principal) Ungoverned() *Principal {
	if p.Policies.SCP == nil && p.Policies.RCP == nil {
		return p
	}
	q := *p
	q.Policies.SCP, q.Policies.RCP = nil, nil
	return &q
}
