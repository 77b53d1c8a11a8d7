// Package organizations is the operation table of AWS Organizations over
// principal, so far as one account and one root need: service control policies
// and resource control policies, and what they are attached to.
//
// The account is both the organization's management account and its only member:
// these operations are not bound by the organization's own policies, as those of
// a management account are not, so nobody can lock the organization for good;
// everything else that is done in the account is. There are no organizational
// units, and no other accounts can join: those operations are not here.
package organizations

import (
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

const (
	source = "organizations.amazonaws.com"
	target = "AWSOrganizationsV20161128."
	region = "us-east-1" // where organizations lives, whoever calls from wherever
)

// Limits of a request; principal knows the others.
const (
	maxPage = 20
	maxTags = 50
	maxBody = 1 << 20
)

// call is a request that was read: what it needs, and what it does.
type call struct {
	resources []string // ARNs; none: "*"
	context   iam.Context
	do        func(context.Context) (value.Value, error)
}

// build reads the arguments of one operation. It must have no effect: it runs
// once to decide and once to perform.
type build func(t *table, a *awsapi.Args) (call, error)

type table struct{ dir *principal.Directory }

type operation struct {
	name  string
	read  bool
	build build
}

var operations = []operation{
	{"CreateOrganization", false, createOrganization},
	{"DescribeOrganization", true, describeOrganization},
	{"DeleteOrganization", false, deleteOrganization},
	{"ListRoots", true, listRoots},
	{"EnablePolicyType", false, setType((*principal.Directory).EnableType)},
	{"DisablePolicyType", false, setType((*principal.Directory).DisableType)},

	{"CreatePolicy", false, createPolicy},
	{"DescribePolicy", true, describePolicy},
	{"UpdatePolicy", false, updatePolicy},
	{"DeletePolicy", false, deletePolicy},
	{"ListPolicies", true, listPolicies},
	{"AttachPolicy", false, attachment((*principal.Directory).AttachControl)},
	{"DetachPolicy", false, attachment((*principal.Directory).DetachControl)},
	{"ListPoliciesForTarget", true, listPoliciesForTarget},
	{"ListTargetsForPolicy", true, listTargetsForPolicy},

	{"ListAccounts", true, listAccounts},
	{"DescribeAccount", true, describeAccount},
	{"ListAccountsForParent", true, listAccountsForParent},
	{"ListOrganizationalUnitsForParent", true, listUnits},
	{"ListParents", true, listParents},
	{"ListChildren", true, listChildren},
	{"ListAWSServiceAccessForOrganization", true, listServiceAccess},
	{"ListDelegatedAdministrators", true, listDelegates},

	{"TagResource", false, tagResource},
	{"UntagResource", false, untagResource},
	{"ListTagsForResource", true, listTags},
}

// Ops are the operations.
func Ops(dir *principal.Directory) []awsapi.Op {
	t := &table{dir}
	ops := make([]awsapi.Op, 0, len(operations))
	for _, o := range operations {
		ops = append(ops, t.op(o))
	}
	return ops
}

func (t *table) op(o operation) awsapi.Op {
	op := awsapi.Op{
		Service: "organizations", Source: source, Name: o.name, Protocol: awsapi.JSON11, Target: target + o.name,
		Region: region, ReadOnly: o.read, MaxBody: maxBody,
		Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
			r.By = r.By.Ungoverned()
			a := r.Args()
			c, err := o.build(t, a)
			if e := a.End(); e != nil {
				return nil, e
			}
			if err != nil {
				return nil, err
			}
			if len(c.resources) == 0 {
				return []iam.Authorization{{Action: "organizations:" + o.name, Resource: "*", Context: c.context}}, nil
			}
			var needs []iam.Authorization
			for _, arn := range c.resources {
				needs = append(needs, iam.Authorization{Action: "organizations:" + o.name, Resource: arn, Context: c.context})
				r.Resources = append(r.Resources, trail.Resource{Name: arn})
			}
			return needs, nil
		},
		Handle: func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			c, err := o.build(t, r.Args())
			if err != nil {
				return nil, err
			}
			body, err := c.do(ctx)
			if err != nil {
				return nil, err
			}
			return &awsapi.Response{Body: body}, nil
		},
	}
	if !o.read {
		op.Result = func(_ *awsapi.Request, resp *awsapi.Response) value.Value {
			if resp.Body.Len() == 0 {
				return value.Value{}
			}
			return awsapi.LowerFirst(resp.Body)
		}
	}
	return op
}

func member(key string, v value.Value) value.Member { return value.Member{Key: key, Value: v} }

func str(s string) value.Value { return value.String(s) }

func list[T any](items []T, show func(T) value.Value) value.Value {
	out := make([]value.Value, len(items))
	for i, x := range items {
		out[i] = show(x)
	}
	return value.Array(out...)
}

// The forms of ids.
var (
	rootID   = regexp.MustCompile(`^r-[0-9a-z]{4,32}$`)
	policyID = regexp.MustCompile(`^p-[0-9a-zA-Z_]{8,128}$`)
	account  = regexp.MustCompile(`^\d{12}$`)
	unitID   = regexp.MustCompile(`^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$`)
)

func badPattern(reason string) error {
	return &fault.Error{
		Kind: fault.Client, Code: "InvalidInputException", Message: "You provided a value that does not match the required pattern.",
		Members: []fault.Member{{Name: "Reason", Value: reason}},
	}
}

// need reads an id that has one of these forms.
func need(a *awsapi.Args, name, reason string, forms ...*regexp.Regexp) (string, error) {
	s := a.Need(name)
	for _, f := range forms {
		if s == "" || f.MatchString(s) {
			return s, nil
		}
	}
	return s, badPattern(reason)
}

// needTarget reads the id of a root, an organizational unit or an account.
func needTarget(a *awsapi.Args) (string, error) {
	return need(a, "TargetId", "INVALID_PATTERN_TARGET_ID", rootID, account, unitID)
}

// policyTypes are AWS's; principal refuses those that decide nothing here.
var policyTypes = []string{
	"SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY", "TAG_POLICY", "BACKUP_POLICY", "AISERVICES_OPT_OUT_POLICY", "CHATBOT_POLICY",
	"DECLARATIVE_POLICY_EC2", "SECURITYHUB_POLICY", "INSPECTOR_POLICY", "UPGRADE_ROLLOUT_POLICY", "BEDROCK_POLICY", "S3_POLICY",
	"NETWORK_SECURITY_DIRECTOR_POLICY",
}

func needType(a *awsapi.Args, name string) principal.PolicyType {
	a.Need(name)
	return principal.PolicyType(a.Enum(name, policyTypes...))
}

func ofType(t principal.PolicyType) iam.Attribute {
	return iam.Attribute{Key: "organizations:PolicyType", Values: []string{string(t)}}
}

// policyARN is the ARN of a policy with the key that its type gives; one that is
// not there has the ARN that it would have.
func (t *table) policyARN(id string) (string, iam.Context) {
	if p, err := t.dir.Control(id); err == nil {
		return p.ARN, append(tagged(p.Tags), ofType(p.Type))
	}
	return t.arn("policy", "*/"+id), nil
}

// arn is the ARN of something of the organization.
func (t *table) arn(kind, rest string) string {
	o, err := t.dir.Organization()
	if err != nil {
		o.ID = "*"
	}
	return "arn:aws:organizations::" + t.dir.Account() + ":" + kind + "/" + o.ID + "/" + rest
}

// targetARN is the ARN of a root, an organizational unit or an account, with the
// keys that its tags give.
func (t *table) targetARN(id string) (string, iam.Context) {
	kind := "account"
	switch {
	case rootID.MatchString(id):
		kind = "root"
	case unitID.MatchString(id):
		kind = "ou"
	}
	tags, _ := t.dir.OrganizationTags(id)
	return t.arn(kind, id), tagged(tags)
}

func tagged(tags []principal.Tag) (out iam.Context) {
	for _, t := range tags {
		out = append(out, iam.Attribute{Key: "aws:ResourceTag/" + t.Key, Values: []string{t.Value}})
	}
	return out
}

func requestTags(tags []principal.Tag) (out iam.Context) {
	var keys []string
	for _, t := range tags {
		out = append(out, iam.Attribute{Key: "aws:RequestTag/" + t.Key, Values: []string{t.Value}})
		keys = append(keys, t.Key)
	}
	return append(out, tagKeys(keys)...)
}

func tagKeys(keys []string) iam.Context {
	if len(keys) == 0 {
		return nil
	}
	return iam.Context{{Key: "aws:TagKeys", Values: keys, Multi: true}}
}

// page is the piece of a list that a request asks for.
type page struct {
	token string
	size  int
}

func readPage(a *awsapi.Args) page {
	return page{a.String("NextToken"), int(a.Int("MaxResults", 1, maxPage, maxPage))}
}

// listing is the answer of a List operation. The items must be in the order of
// their keys: a token is the key of the last one seen.
func listing[T any](p page, name string, items []T, key func(T) string, show func(T) value.Value) (value.Value, error) {
	if p.token != "" {
		b, err := base64.RawURLEncoding.DecodeString(p.token)
		last, ok := strings.CutPrefix(string(b), "1:")
		if err != nil || !ok {
			return value.Value{}, &fault.Error{Kind: fault.Client, Code: "InvalidInputException", Message: "You provided an invalid NextToken.",
				Members: []fault.Member{{Name: "Reason", Value: "INVALID_NEXT_TOKEN"}}}
		}
		items = slices.DeleteFunc(slices.Clone(items), func(x T) bool { return key(x) <= last })
	}
	var next value.Value
	if len(items) > p.size {
		items = items[:p.size]
		next = str(base64.RawURLEncoding.EncodeToString([]byte("1:" + key(items[p.size-1]))))
	}
	return value.Object(member(name, list(items, show)), member("NextToken", next)), nil
}

func self(s string) string { return s }

// --- the organization

func createOrganization(t *table, a *awsapi.Args) (call, error) {
	set := a.Enum("FeatureSet", "ALL", "CONSOLIDATED_BILLING")
	a.Check(set != "CONSOLIDATED_BILLING", "FeatureSet", "be ALL: nothing is billed by this server")
	return call{do: func(ctx context.Context) (value.Value, error) {
		o, err := t.dir.CreateOrganization(ctx)
		if err != nil {
			return value.Value{}, err
		}
		return t.organization(&o), nil
	}}, nil
}

func describeOrganization(t *table, _ *awsapi.Args) (call, error) {
	return call{do: func(context.Context) (value.Value, error) {
		o, err := t.dir.Organization()
		if err != nil {
			return value.Value{}, err
		}
		return t.organization(&o), nil
	}}, nil
}

func (t *table) organization(o *principal.Organization) value.Value {
	return value.Object(member("Organization", value.Object(
		member("Id", str(o.ID)), member("Arn", str(o.ARN())), member("FeatureSet", str("ALL")),
		member("MasterAccountArn", str(o.AccountARN())), member("MasterAccountId", str(o.Account)), member("MasterAccountEmail", str(email(o))),
		member("AvailablePolicyTypes", t.types(o)),
	)))
}

// email is the account's; nobody reads it.
func email(o *principal.Organization) string { return "root@" + o.Account + ".invalid" }

func (t *table) types(o *principal.Organization) value.Value {
	return list(t.dir.EnabledTypes(o), func(p principal.PolicyType) value.Value {
		return value.Object(member("Type", str(string(p))), member("Status", str("ENABLED")))
	})
}

func deleteOrganization(t *table, _ *awsapi.Args) (call, error) {
	return call{do: func(ctx context.Context) (value.Value, error) { return value.Value{}, t.dir.DeleteOrganization(ctx) }}, nil
}

func (t *table) root(o *principal.Organization) value.Value {
	return value.Object(member("Id", str(o.Root)), member("Arn", str(o.RootARN())), member("Name", str("Root")), member("PolicyTypes", t.types(o)))
}

func listRoots(t *table, a *awsapi.Args) (call, error) {
	p := readPage(a)
	return call{do: func(context.Context) (value.Value, error) {
		o, err := t.dir.Organization()
		if err != nil {
			return value.Value{}, err
		}
		return listing(p, "Roots", []string{o.Root}, self, func(string) value.Value { return t.root(&o) })
	}}, nil
}

func setType(f func(*principal.Directory, context.Context, string, principal.PolicyType) (principal.Organization, error)) build {
	return func(t *table, a *awsapi.Args) (call, error) {
		root, err := need(a, "RootId", "INVALID_PATTERN", rootID)
		kind := needType(a, "PolicyType")
		arn, keys := t.targetARN(root)
		return call{resources: []string{arn}, context: append(keys, ofType(kind)), do: func(ctx context.Context) (value.Value, error) {
			o, err := f(t.dir, ctx, root, kind)
			if err != nil {
				return value.Value{}, err
			}
			return value.Object(member("Root", t.root(&o))), nil
		}}, err
	}
}

// --- policies

func summary(p principal.ControlPolicy) value.Value {
	return value.Object(member("Id", str(p.ID)), member("Arn", str(p.ARN)), member("Name", str(p.Name)), member("Description", str(p.Description)),
		member("Type", str(string(p.Type))), member("AwsManaged", value.Bool(p.AWS)))
}

func whole(p principal.ControlPolicy) value.Value {
	return value.Object(member("Policy", value.Object(member("PolicySummary", summary(p)), member("Content", str(p.Document)))))
}

func readTags(a *awsapi.Args) (tags []principal.Tag) {
	for _, t := range a.Structs("Tags", maxTags, "Key", "Value") {
		tags = append(tags, principal.Tag{Key: t[0], Value: t[1]})
	}
	return tags
}

func createPolicy(t *table, a *awsapi.Args) (call, error) {
	p := principal.ControlPolicy{
		Name: a.Need("Name"), Description: a.Need("Description"), Document: a.Need("Content"), Type: needType(a, "Type"), Tags: readTags(a),
	}
	return call{context: append(requestTags(p.Tags), ofType(p.Type)), do: func(ctx context.Context) (value.Value, error) {
		p, err := t.dir.CreateControl(ctx, p)
		if err != nil {
			return value.Value{}, err
		}
		return whole(p), nil
	}}, nil
}

// onPolicy is a call that is about the policy which PolicyId names.
func onPolicy(t *table, a *awsapi.Args) (string, call, error) {
	id, err := need(a, "PolicyId", "INVALID_PATTERN_POLICY_ID", policyID)
	arn, keys := t.policyARN(id)
	return id, call{resources: []string{arn}, context: keys}, err
}

func describePolicy(t *table, a *awsapi.Args) (call, error) {
	id, c, err := onPolicy(t, a)
	c.do = func(context.Context) (value.Value, error) {
		p, err := t.dir.Control(id)
		if err != nil {
			return value.Value{}, err
		}
		return whole(p), nil
	}
	return c, err
}

func updatePolicy(t *table, a *awsapi.Args) (call, error) {
	id, c, err := onPolicy(t, a)
	given := func(name string) *string {
		if !a.Has(name) {
			return nil
		}
		return new(a.String(name))
	}
	name, description, content := given("Name"), given("Description"), given("Content")
	c.do = func(ctx context.Context) (value.Value, error) {
		p, err := t.dir.UpdateControl(ctx, id, name, description, content)
		if err != nil {
			return value.Value{}, err
		}
		return whole(p), nil
	}
	return c, err
}

func deletePolicy(t *table, a *awsapi.Args) (call, error) {
	id, c, err := onPolicy(t, a)
	c.do = func(ctx context.Context) (value.Value, error) { return value.Value{}, t.dir.DeleteControl(ctx, id) }
	return c, err
}

func listPolicies(t *table, a *awsapi.Args) (call, error) {
	kind, p := needType(a, "Filter"), readPage(a)
	return call{context: iam.Context{ofType(kind)}, do: func(context.Context) (value.Value, error) {
		all, err := t.dir.Controls(kind)
		if err != nil {
			return value.Value{}, err
		}
		return listing(p, "Policies", all, func(p principal.ControlPolicy) string { return p.ID }, summary)
	}}, nil
}

func attachment(f func(d *principal.Directory, ctx context.Context, id, target string) error) build {
	return func(t *table, a *awsapi.Args) (call, error) {
		id, c, err := onPolicy(t, a)
		to, e := needTarget(a)
		if err == nil {
			err = e
		}
		arn, keys := t.targetARN(to)
		c.resources = append(c.resources, arn)
		// The keys of the two resources' tags would be taken for one another.
		c.context = append(slices.DeleteFunc(c.context, func(x iam.Attribute) bool { return x.Key != "organizations:PolicyType" }), keys...)
		c.do = func(ctx context.Context) (value.Value, error) { return value.Value{}, f(t.dir, ctx, id, to) }
		return c, err
	}
}

func listPoliciesForTarget(t *table, a *awsapi.Args) (call, error) {
	to, err := needTarget(a)
	kind, p := needType(a, "Filter"), readPage(a)
	arn, keys := t.targetARN(to)
	return call{resources: []string{arn}, context: append(keys, ofType(kind)), do: func(context.Context) (value.Value, error) {
		all, err := t.dir.ControlsOf(to, kind)
		if err != nil {
			return value.Value{}, err
		}
		return listing(p, "Policies", all, func(p principal.ControlPolicy) string { return p.ID }, summary)
	}}, err
}

func listTargetsForPolicy(t *table, a *awsapi.Args) (call, error) {
	id, c, err := onPolicy(t, a)
	p := readPage(a)
	c.do = func(context.Context) (value.Value, error) {
		o, err := t.dir.Organization()
		if err != nil {
			return value.Value{}, err
		}
		all, err := t.dir.ControlTargets(id)
		if err != nil {
			return value.Value{}, err
		}
		slices.Sort(all)
		return listing(p, "Targets", all, self, func(id string) value.Value {
			arn, name, kind := o.AccountARN(), accountName, "ACCOUNT"
			if id == o.Root {
				arn, name, kind = o.RootARN(), "Root", "ROOT"
			}
			return value.Object(member("TargetId", str(id)), member("Arn", str(arn)), member("Name", str(name)), member("Type", str(kind)))
		})
	}
	return c, err
}

// --- what there is to attach them to

// accountName is what the one account is called.
const accountName = "management"

func showAccount(o *principal.Organization) value.Value {
	return value.Object(
		member("Id", str(o.Account)), member("Arn", str(o.AccountARN())), member("Email", str(email(o))), member("Name", str(accountName)),
		member("Status", str("ACTIVE")), member("State", str("ACTIVE")), member("Paths", value.Array(str(o.Path()+o.Account+"/"))),
		member("JoinedMethod", str("INVITED")), member("JoinedTimestamp", wire.EpochSeconds(o.Created)),
	)
}

func listAccounts(t *table, a *awsapi.Args) (call, error) {
	p := readPage(a)
	return call{do: func(context.Context) (value.Value, error) {
		o, err := t.dir.Organization()
		if err != nil {
			return value.Value{}, err
		}
		return listing(p, "Accounts", []string{o.Account}, self, func(string) value.Value { return showAccount(&o) })
	}}, nil
}

func describeAccount(t *table, a *awsapi.Args) (call, error) {
	id, err := need(a, "AccountId", "INVALID_PATTERN", account)
	arn, keys := t.targetARN(id)
	return call{resources: []string{arn}, context: keys, do: func(context.Context) (value.Value, error) {
		o, err := t.dir.Organization()
		if err != nil {
			return value.Value{}, err
		}
		if id != o.Account {
			return value.Value{}, fault.Newf("AccountNotFoundException", "You specified an account that doesn't exist.")
		}
		return value.Object(member("Account", showAccount(&o))), nil
	}}, err
}

// underParent is a List operation of what stands under the root.
func underParent(read func(a *awsapi.Args) func(o *principal.Organization, p page) (value.Value, error)) build {
	return func(t *table, a *awsapi.Args) (call, error) {
		id, err := need(a, "ParentId", "INVALID_PATTERN", rootID, unitID)
		p, show := readPage(a), read(a)
		arn, keys := t.targetARN(id)
		return call{resources: []string{arn}, context: keys, do: func(context.Context) (value.Value, error) {
			o, err := t.dir.Organization()
			if err != nil {
				return value.Value{}, err
			}
			if id != o.Root {
				return value.Value{}, fault.Newf("ParentNotFoundException", "You specified parent that doesn't exist.")
			}
			return show(&o, p)
		}}, err
	}
}

var listAccountsForParent = underParent(func(*awsapi.Args) func(*principal.Organization, page) (value.Value, error) {
	return func(o *principal.Organization, p page) (value.Value, error) {
		return listing(p, "Accounts", []string{o.Account}, self, func(string) value.Value { return showAccount(o) })
	}
})

var listUnits = underParent(func(*awsapi.Args) func(*principal.Organization, page) (value.Value, error) {
	return func(_ *principal.Organization, p page) (value.Value, error) {
		return listing(p, "OrganizationalUnits", []string(nil), self, str)
	}
})

var listChildren = underParent(func(a *awsapi.Args) func(*principal.Organization, page) (value.Value, error) {
	a.Need("ChildType")
	kind := a.Enum("ChildType", "ACCOUNT", "ORGANIZATIONAL_UNIT")
	return func(o *principal.Organization, p page) (value.Value, error) {
		var all []string
		if kind == "ACCOUNT" {
			all = []string{o.Account}
		}
		return listing(p, "Children", all, self, func(id string) value.Value {
			return value.Object(member("Id", str(id)), member("Type", str(kind)))
		})
	}
})

func listParents(t *table, a *awsapi.Args) (call, error) {
	id, err := need(a, "ChildId", "INVALID_PATTERN", account, unitID)
	p := readPage(a)
	arn, keys := t.targetARN(id)
	return call{resources: []string{arn}, context: keys, do: func(context.Context) (value.Value, error) {
		o, err := t.dir.Organization()
		if err != nil {
			return value.Value{}, err
		}
		if id != o.Account {
			return value.Value{}, fault.Newf("ChildNotFoundException", "You specified a child that doesn't exist.")
		}
		return listing(p, "Parents", []string{o.Root}, self, func(id string) value.Value {
			return value.Object(member("Id", str(id)), member("Type", str("ROOT")))
		})
	}}, err
}

// nothing is a List operation of what there is none of here.
func nothing(name string) build {
	return func(t *table, a *awsapi.Args) (call, error) {
		p := readPage(a)
		if name == "DelegatedAdministrators" {
			a.String("ServicePrincipal")
		}
		return call{do: func(context.Context) (value.Value, error) {
			if _, err := t.dir.Organization(); err != nil {
				return value.Value{}, err
			}
			return listing(p, name, []string(nil), self, str)
		}}, nil
	}
}

var (
	listServiceAccess = nothing("EnabledServicePrincipals")
	listDelegates     = nothing("DelegatedAdministrators")
)

// --- tags

// onTagged is a call that is about whatever ResourceId names.
func onTagged(t *table, a *awsapi.Args) (string, call, error) {
	id, err := need(a, "ResourceId", "INVALID_PATTERN", rootID, account, unitID, policyID)
	c := call{}
	if policyID.MatchString(id) {
		arn, keys := t.policyARN(id)
		c.resources, c.context = []string{arn}, slices.DeleteFunc(keys, func(x iam.Attribute) bool { return x.Key == "organizations:PolicyType" })
	} else {
		arn, keys := t.targetARN(id)
		c.resources, c.context = []string{arn}, keys
	}
	return id, c, err
}

func tagResource(t *table, a *awsapi.Args) (call, error) {
	id, c, err := onTagged(t, a)
	a.Check(a.Has("Tags"), "Tags", "not be null")
	tags := readTags(a)
	c.context = append(c.context, requestTags(tags)...)
	c.do = func(ctx context.Context) (value.Value, error) {
		return value.Value{}, t.dir.TagOrganization(ctx, id, tags)
	}
	return c, err
}

func untagResource(t *table, a *awsapi.Args) (call, error) {
	id, c, err := onTagged(t, a)
	a.Check(a.Has("TagKeys"), "TagKeys", "not be null")
	keys := a.Strings("TagKeys", maxTags)
	c.context = append(c.context, tagKeys(keys)...)
	c.do = func(ctx context.Context) (value.Value, error) {
		return value.Value{}, t.dir.UntagOrganization(ctx, id, keys)
	}
	return c, err
}

func listTags(t *table, a *awsapi.Args) (call, error) {
	id, c, err := onTagged(t, a)
	p := page{a.String("NextToken"), maxTags}
	c.do = func(context.Context) (value.Value, error) {
		tags, err := t.dir.OrganizationTags(id)
		if err != nil {
			return value.Value{}, err
		}
		tags = slices.SortedFunc(slices.Values(tags), func(x, y principal.Tag) int { return strings.Compare(x.Key, y.Key) })
		return listing(p, "Tags", tags, func(t principal.Tag) string { return t.Key }, func(t principal.Tag) value.Value {
			return value.Object(member("Key", str(t.Key)), member("Value", str(t.Value)))
		})
	}
	return c, err
}
