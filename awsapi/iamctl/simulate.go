package iamctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"tokaido/arn"
	"tokaido/awsapi"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/value"
)

var simulations = []operation{
	{"SimulateCustomPolicy", true, simulateCustom},
	{"SimulatePrincipalPolicy", true, simulatePrincipal},
	{"GetContextKeysForCustomPolicy", true, keysOfCustom},
	{"GetContextKeysForPrincipalPolicy", true, keysOfPrincipal},
}

// Limits of a simulation.
const (
	maxSimulated   = 1000 // of actions, of resources
	maxEvaluations = 20_000
	maxInputs      = 100 // policies
	maxContext     = 200 // entries, and values of one
)

// simulation is a request to simulate.
type simulation struct {
	policies  iam.Policies
	by        iam.Caller
	global    iam.Context
	actions   []string
	resources []string
	specific  bool   // resources were named
	owner     string // account of the resources
	page      page
	org       bool // the principal's organization has a say
}

// readPolicies reads a list of documents. IAM calls them by their place.
func readPolicies(a *awsapi.Args, name string, kind iam.Kind) (out []iam.Bound, err error) {
	for i, doc := range a.Strings(name, maxInputs) {
		p, e := iam.Parse(kind, []byte(doc))
		if e != nil && err == nil {
			err = fault.Newf("InvalidInput", "%s.%d: %s", name, i+1, e.Error())
			continue
		}
		out = append(out, iam.Bound{Policy: p, Name: fmt.Sprintf("%s.%d", name, i+1)})
	}
	return out, err
}

// contextTypes are IAM's; those of lists make a key multivalued.
var contextTypes = []string{"string", "stringList", "numeric", "numericList", "boolean", "booleanList", "ip", "ipList", "binary", "binaryList", "date", "dateList"}

// readSimulation reads what both operations have.
func (t *table) readSimulation(a *awsapi.Args) (s simulation, err error) {
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	s.actions = a.Strings("ActionNames", maxSimulated)
	a.Check(len(s.actions) > 0, "ActionNames", "not be null")
	for _, n := range s.actions {
		service, action, ok := strings.Cut(n, ":")
		if !ok || service == "" || action == "" || len(n) > 128 || strings.ContainsAny(n, "*? ") {
			keep(fault.Newf("InvalidInput", "Invalid action name: %.128q", n))
		}
	}
	s.resources = a.Strings("ResourceArns", maxSimulated)
	for _, r := range s.resources {
		a.Check(r != "" && len(r) <= 2048, "ResourceArns", "have length between 1 and 2048")
	}
	s.specific = len(s.resources) > 0
	if !s.specific {
		s.resources = []string{"*"}
	}
	if len(s.actions)*len(s.resources) > maxEvaluations {
		keep(fault.Newf("InvalidInput", "%d actions on %d resources are more than %d evaluations", len(s.actions), len(s.resources), maxEvaluations))
	}
	boundary, e := readPolicies(a, "PermissionsBoundaryPolicyInputList", iam.Boundary)
	keep(e)
	a.Check(len(boundary) <= 1, "PermissionsBoundaryPolicyInputList", "have length less than or equal to 1")
	if len(boundary) == 1 {
		s.policies.Boundary = &boundary[0]
	}
	for i, v := range a.List("ContextEntries", maxContext) {
		key, kind := v.Get("ContextKeyName"), v.Get("ContextKeyType").Str()
		vs := v.Get("ContextKeyValues")
		if vs.IsString() && vs.Str() == "" {
			vs = value.Array()
		}
		ok := v.IsObject() && len(key.Str()) >= 5 && len(key.Str()) <= 256 && slices.Contains(contextTypes, kind) && vs.IsArray() && vs.Len() <= maxContext
		for k := range v.Members() {
			ok = ok && (k == "ContextKeyName" || k == "ContextKeyType" || k == "ContextKeyValues")
		}
		at := iam.Attribute{Key: key.Str(), Values: []string{}, Multi: strings.HasSuffix(kind, "List")}
		for _, x := range vs.Items() {
			ok = ok && x.IsString()
			at.Values = append(at.Values, x.Str())
		}
		if !at.Multi && len(at.Values) != 1 {
			ok = false
		}
		if !ok {
			keep(fault.Newf("InvalidInput", "ContextEntries.%d needs ContextKeyName, ContextKeyType (one of %s) and ContextKeyValues, of which only the list types have several", i+1, strings.Join(contextTypes, ", ")))
			continue
		}
		s.global = append(s.global, at)
	}
	resource := a.String("ResourcePolicy")
	caller := a.String("CallerArn")
	owner := a.String("ResourceOwner")
	if resource != "" {
		p, e := iam.Parse(iam.ResourcePolicy, []byte(resource))
		if e != nil {
			keep(fault.Newf("InvalidInput", "ResourcePolicy: %s", e.Error()))
		} else {
			s.policies.Resource = &iam.Bound{Policy: p, Name: "ResourcePolicy"}
		}
	}
	s.by = iam.Caller{Type: "User", Account: t.account()}
	if caller != "" {
		by, ok := iam.ParseCaller(caller)
		if !ok || by.Type != "User" {
			keep(fault.Newf("InvalidInput", "CallerArn %.256q is not the ARN of a user", caller))
		}
		s.by = by
	}
	if owner != "" {
		by, ok := iam.ParseCaller(owner)
		if !ok && len(owner) == 12 && strings.Trim(owner, "0123456789") == "" {
			by, ok = iam.Caller{Account: owner}, true
		}
		if !ok {
			keep(fault.Newf("InvalidInput", "ResourceOwner %.256q is neither an account nor an ARN of one", owner))
		}
		s.owner = by.Account
	}
	s.page = readPage(a)
	return s, err
}

func simulateCustom(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	s, err := t.readSimulation(a)
	ps, e := readPolicies(a, "PolicyInputList", iam.IdentityPolicy)
	a.Check(len(ps) > 0 || e != nil, "PolicyInputList", "not be null")
	if err == nil {
		err = e
	}
	if err == nil && s.policies.Resource != nil && s.by.ARN == "" {
		err = fault.Newf("InvalidInput", "CallerArn is required if ResourcePolicy is given")
	}
	s.policies.Identity = ps
	return call{resource: "*", do: func(context.Context) (value.Value, error) {
		if err != nil {
			return none, err
		}
		return s.run()
	}}
}

func simulatePrincipal(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	source := a.Need("PolicySourceArn")
	s, err := t.readSimulation(a)
	more, e := readPolicies(a, "PolicyInputList", iam.IdentityPolicy)
	if err == nil {
		err = e
	}
	named := s.by.ARN != ""
	return call{resource: source, context: t.keysOf(source), do: func(context.Context) (value.Value, error) {
		if err != nil {
			return none, err
		}
		by, policies, keys, err := t.source(source)
		if err != nil {
			return none, err
		}
		if !named {
			s.by = by
			for _, k := range keys {
				// What is given for the simulation goes first.
				if !slices.ContainsFunc(s.global, func(o iam.Attribute) bool { return strings.EqualFold(o.Key, k.Key) }) {
					s.global = append(s.global, k)
				}
			}
		}
		s.policies.Identity = append(slices.Clone(policies.Identity), more...)
		if s.policies.Boundary == nil {
			s.policies.Boundary = policies.Boundary
		}
		s.policies.SCP, s.policies.RCP, s.org = policies.SCP, policies.RCP, policies.SCP != nil || policies.RCP != nil
		return s.run()
	}}
}

// keysOf are the condition keys of the tags of a user or role.
func (t *table) keysOf(arn string) iam.Context {
	p, err := t.dir.Principal(arn)
	if err != nil {
		return nil
	}
	return resourceTags(p.Tags)
}

// source is what binds a user, a role or a group.
func (t *table) source(arn string) (by iam.Caller, ps iam.Policies, keys iam.Context, err error) {
	if p, err := t.dir.Principal(arn); err == nil {
		return p.Caller(), p.Policies, p.Context(), nil
	} else if !strings.Contains(arn, ":group/") {
		return by, ps, nil, err
	}
	g, err := t.dir.Get(principal.KindGroup, arn[strings.LastIndexByte(arn, '/')+1:])
	if err != nil {
		return by, ps, nil, err
	}
	for _, in := range g.Inline {
		p, err := iam.Parse(iam.IdentityPolicy, []byte(in.Document))
		if err != nil {
			return by, ps, nil, fmt.Errorf("policy %s of group %s: %w", in.Name, g.Name, err)
		}
		ps.Identity = append(ps.Identity, iam.Bound{Policy: p, Name: in.Name, Owner: g.ARN})
	}
	for _, name := range g.Attached {
		m, err := t.dir.Policy(name)
		if err != nil {
			return by, ps, nil, err
		}
		if v, ok := m.Version(m.Default); ok {
			p, err := iam.Parse(iam.IdentityPolicy, []byte(v.Document))
			if err != nil {
				return by, ps, nil, fmt.Errorf("policy %s: %w", name, err)
			}
			ps.Identity = append(ps.Identity, iam.Bound{Policy: p, Name: m.Name, ARN: name, Owner: g.ARN})
		}
	}
	return iam.Caller{Type: "User", Account: t.account()}, ps, nil, nil
}

// evaluation is one action on one resource.
type evaluation struct {
	index            int
	action, resource string
}

func (s *simulation) run() (value.Value, error) {
	var all []evaluation
	for _, a := range s.actions {
		for _, r := range s.resources {
			all = append(all, evaluation{len(all), a, r})
		}
	}
	return listing(s.page, "EvaluationResults", all, func(e evaluation) string { return fmt.Sprintf("%08d", e.index) }, s.result)
}

func (s *simulation) result(e evaluation) value.Value {
	r := iam.Request{By: s.by, Authorization: iam.Authorization{Action: e.action, Resource: e.resource}, Global: s.global, ResourceAccount: s.owner}
	if r.ResourceAccount == "" && s.policies.Resource == nil {
		r.ResourceAccount = s.by.Account // whether another account lets the caller in is not asked
	}
	d := iam.Evaluate(&s.policies, &r)
	decision := word(&d)
	var missing []value.Value
	for _, k := range iam.MissingKeys(&s.policies, &r) {
		missing = append(missing, str(k))
	}
	matched := s.matched(&d)
	m := []value.Member{
		member("EvalActionName", str(e.action)), member("EvalResourceName", str(e.resource)), member("EvalDecision", str(decision)),
		member("MatchedStatements", matched),
	}
	details := s.details(&r)
	m = append(m, member("EvalDecisionDetails", details))
	// Without resources of its own the whole is what lacks the keys.
	if s.specific {
		m = append(m, member("MissingContextValues", value.Array()))
	} else {
		m = append(m, member("MissingContextValues", value.Array(missing...)))
	}
	if s.org {
		m = append(m, member("OrganizationsDecisionDetail", value.Object(member("AllowedByOrganizations", value.Bool(s.layer(&r, iam.Policies{SCP: s.policies.SCP, RCP: s.policies.RCP, Identity: everything}))))))
	}
	var boundary value.Value
	if s.policies.Boundary != nil {
		boundary = value.Object(member("AllowedByPermissionsBoundary", value.Bool(s.layer(&r, iam.Policies{Boundary: s.policies.Boundary, Identity: everything}))))
		m = append(m, member("PermissionsBoundaryDecisionDetail", boundary))
	}
	if s.specific {
		m = append(m, member("ResourceSpecificResults", value.Array(value.Object(
			member("EvalResourceName", str(e.resource)), member("EvalResourceDecision", str(decision)), member("MatchedStatements", matched),
			member("MissingContextValues", value.Array(missing...)), member("EvalDecisionDetails", details),
			member("PermissionsBoundaryDecisionDetail", boundary)))))
	}
	return value.Object(m...)
}

// word is a decision as IAM calls it.
func word(d *iam.Decision) string {
	switch {
	case d.Allowed:
		return "allowed"
	case d.Explicit:
		return "explicitDeny"
	}
	return "implicitDeny"
}

// details say what each side of a call across accounts decides. Within one
// account there is nothing to say, and without a resource not even that.
func (s *simulation) details(r *iam.Request) value.Value {
	named := ""
	if a, err := arn.Parse(r.Resource); err == nil && a.Account != "aws" {
		named = a.Account
	}
	owner := cmp.Or(r.ResourceAccount, named, r.By.Account)
	switch {
	case !s.specific:
		return none
	case owner == r.By.Account || s.policies.Resource == nil:
		return value.Array()
	}
	mine, theirs := *r, *r
	mine.ResourceAccount, theirs.ResourceAccount = r.By.Account, owner
	own := s.policies
	own.Resource = nil
	a, b := iam.Evaluate(&own, &mine), iam.Evaluate(&iam.Policies{Identity: everything, Resource: s.policies.Resource}, &theirs)
	entry := func(key string, d *iam.Decision) value.Value {
		return value.Object(member("key", str(key)), member("value", str(word(d))))
	}
	return value.Array(entry("IAM Policy", &a), entry("Resource Policy", &b))
}

// everything is a policy beside which only the others count.
var everything = []iam.Bound{{Name: "everything", Policy: iam.MustParse(iam.IdentityPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)}}

// layer reports whether the request passes what else binds it.
func (s *simulation) layer(r *iam.Request, p iam.Policies) bool {
	q := *r
	q.ResourceAccount = q.By.Account
	d := iam.Evaluate(&p, &q)
	return d.Allowed
}

// matched lists the statements that decided: those that deny, else those that
// allow.
func (s *simulation) matched(d *iam.Decision) value.Value {
	var out []value.Value
	for _, r := range d.Reasons() {
		if r.Failed != iam.Matched || r.Allow == d.Explicit || !r.Allow && !d.Explicit || r.Allow && r.Layer != iam.LayerIdentity && r.Layer != iam.LayerResource {
			continue
		}
		kind, bound := "IAM Policy", s.bound(r)
		switch r.Layer {
		case iam.LayerResource, iam.LayerTrust:
			kind = "Resource Policy"
		case iam.LayerSCP:
			kind = "Service Control Policy"
		case iam.LayerRCP:
			kind = "Resource Control Policy"
		case iam.LayerBoundary:
			kind = "Permissions Boundary Policy"
		}
		m := []value.Member{member("SourcePolicyId", str(r.Policy)), member("SourcePolicyType", str(kind))}
		if bound != nil {
			from, to := bound.Policy.Span(r.Statement)
			place := func(p iam.Position) value.Value {
				return value.Object(member("Line", value.Int(int64(p.Line))), member("Column", value.Int(int64(p.Column))))
			}
			m = append(m, member("StartPosition", place(from)), member("EndPosition", place(to)))
		}
		out = append(out, value.Object(m...))
	}
	return value.Array(out...)
}

// bound is the policy of a reason.
func (s *simulation) bound(r iam.Reason) *iam.Bound {
	var in []iam.Bound
	switch r.Layer {
	case iam.LayerIdentity:
		in = s.policies.Identity
	case iam.LayerBoundary:
		return s.policies.Boundary
	case iam.LayerResource, iam.LayerTrust:
		return s.policies.Resource
	case iam.LayerSCP:
		in = s.policies.SCP[r.Level]
	case iam.LayerRCP:
		in = s.policies.RCP[r.Level]
	}
	for i := range in {
		if in[i].Name == r.Policy && in[i].ARN == r.ARN && in[i].Owner == r.Owner {
			return &in[i]
		}
	}
	return nil
}

func keyNames(ps []iam.Bound) (value.Value, error) {
	var keys []string
	for _, b := range ps {
		for _, k := range b.Policy.Keys() {
			if !slices.ContainsFunc(keys, func(o string) bool { return strings.EqualFold(o, k) }) {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	out := make([]value.Value, len(keys))
	for i, k := range keys {
		out[i] = str(k)
	}
	return value.Object(member("ContextKeyNames", value.Array(out...))), nil
}

func keysOfCustom(_ *table, _ *awsapi.Request, a *awsapi.Args) call {
	ps, err := readPolicies(a, "PolicyInputList", iam.IdentityPolicy)
	a.Check(len(ps) > 0 || err != nil, "PolicyInputList", "not be null")
	return call{resource: "*", do: func(context.Context) (value.Value, error) {
		if err != nil {
			return none, err
		}
		return keyNames(ps)
	}}
}

func keysOfPrincipal(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	source := a.Need("PolicySourceArn")
	more, err := readPolicies(a, "PolicyInputList", iam.IdentityPolicy)
	return call{resource: source, context: t.keysOf(source), do: func(context.Context) (value.Value, error) {
		if err != nil {
			return none, err
		}
		_, ps, _, err := t.source(source)
		if err != nil {
			return none, err
		}
		return keyNames(append(slices.Clone(ps.Identity), more...))
	}}
}
