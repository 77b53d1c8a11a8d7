package iam

import (
	"strings"

	"tokaido/iam/wild"
)

// query is a request made ready to be held against statements.
type query struct {
	r       *Request
	action  string // lower case, as compiled actions are
	head    uint64 // its first bytes
	parts   wild.Parts
	account string // the resource's owner

	owner Attribute // aws:ResourceAccount, once it was asked for
}

func (q *query) init(r *Request) {
	q.r = r
	q.action = strings.ToLower(r.Action)
	q.head, _ = firstBytes(q.action)
	q.parts = wild.Cut(r.Resource)
	q.account = r.ResourceAccount
	if q.account == "" && q.parts.OK && isAccount(q.parts.Part[4]) { // "aws" owns managed policies
		q.account = q.parts.Part[4]
	}
	if q.account == "" {
		q.account = r.By.Account
	}
}

// attribute finds a condition key, in any case; nil if it is absent.
func (q *query) attribute(key string) *Attribute {
	if a := find(q.r.Context, key); a != nil {
		return a
	}
	if a := find(q.r.Global, key); a != nil {
		return a
	}
	if strings.EqualFold(key, resourceAccount) && (q.r.ResourceAccount != "" || q.parts.OK && isAccount(q.parts.Part[4])) {
		q.owner = Attribute{Key: resourceAccount, Values: []string{q.account}}
		return &q.owner
	}
	return nil
}

// resourceAccount is the one condition key that follows from the resource. It is
// absent for what no account owns, such as foundation models.
const resourceAccount = "aws:ResourceAccount"

func find(c Context, key string) *Attribute {
	for i := range c {
		if len(c[i].Key) == len(key) && strings.EqualFold(c[i].Key, key) {
			if c[i].Values == nil {
				return nil
			}
			return &c[i]
		}
	}
	return nil
}

// Value is what a policy variable stands for.
func (q *query) Value(key string) (string, bool) {
	a := q.attribute(key)
	if a == nil || a.Multi || len(a.Values) != 1 {
		return "", false
	}
	return a.Values[0], true
}

// naming is how a statement of a resource's policy names the caller, which
// decides what else must allow.
type naming uint8

const (
	notNamed     naming = iota
	namedAccount        // the account, which hands the decision to its identity policies
	namedRole           // the role, whose sessions stay within boundary and session policy
	namedSelf           // the user, the session or everyone: nothing else need allow
)

// match holds q against a statement: the first test it fails, and, if that is
// the condition, which one.
func (s *statement) match(q *query) (failed Test, cond int, how naming) {
	if s.principals != nil {
		if how = s.names(q); how == notNamed {
			return FailedPrincipal, 0, how
		}
	}
	hit := false
	if q.head&s.mask == s.head && (len(s.lead) <= 8 || strings.HasPrefix(q.action, s.lead)) {
		hit = s.open
		for i := 0; i < len(s.actions) && !hit; i++ {
			hit = s.actions[i].Match(q.action)
		}
	}
	if hit == s.notAction {
		return FailedAction, 0, how
	}
	if s.resources != nil {
		hit = false
		for i := range s.resources {
			if s.resources[i].Match(q.r.Resource, &q.parts, q) {
				hit = true
				break
			}
		}
		if hit == s.notResource {
			return FailedResource, 0, how
		}
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(q) {
			return FailedCondition, i, how
		}
	}
	return Matched, 0, how
}

// names says how the statement's principals name the caller, at their closest.
func (s *statement) names(q *query) naming {
	how := notNamed
	by := &q.r.By
	if s.notPrincipal {
		// Everyone but the listed, and whoever is to be spared must be listed
		// whole: the account, the role behind a session, and itself.
		spared := [...]bool{by.Account == "", by.RoleARN == "", false}
		for i := range s.principals {
			switch h := s.principals[i].names(q); h {
			case namedAccount:
				spared[0] = true
			case namedRole:
				spared[1] = true
			case namedSelf:
				spared[2] = true
				if s.principals[i].kind == byService || s.principals[i].kind == anyone {
					return notNamed
				}
			}
		}
		if by.Root && spared[0] || spared[0] && spared[1] && spared[2] {
			return notNamed
		}
		return namedSelf
	}
	for i := range s.principals {
		how = max(how, s.principals[i].names(q))
	}
	return how
}

func (p *principal) names(q *query) naming {
	by := &q.r.By
	hit, how := false, namedSelf
	switch p.kind {
	case anyone:
		hit = true
	case byAccount:
		hit, how = by.Account == p.value && by.Service == "", namedAccount
	case byRole:
		hit, how = by.RoleARN == p.value, namedRole
	case byARN, bySession:
		hit = by.ARN == p.value
	case byID:
		id, _, session := strings.Cut(by.ID, ":")
		hit = id == p.value
		if session {
			how = namedRole
		}
	case byService:
		hit = by.Service == p.value
	case byFederation:
		a := q.attribute("aws:FederatedProvider")
		hit = a != nil && len(a.Values) == 1 && a.Values[0] == p.value
	case byCanonicalUser:
		hit = by.ID == p.value
	}
	if !hit {
		return notNamed
	}
	return how
}

// verdict is what the statements of one layer said together.
type verdict struct {
	allow, deny bool
	allowed     place // of the first Allow that matched
	denied      place // of the first Deny that matched
	how         naming
}

// place is where a statement stands.
type place struct {
	bound *Bound
	level int
	index int
}

// tally adds what the policies of one layer say.
func (v *verdict) tally(q *query, layer Layer, level int, bounds []Bound, record *[]Reason) {
	for i := range bounds {
		v.add(q, layer, level, &bounds[i], record)
	}
}

// add looks at every statement: do not stop at the first that matches, record
// must see them all.
func (v *verdict) add(q *query, layer Layer, level int, b *Bound, record *[]Reason) {
	if b == nil || b.Policy == nil {
		return
	}
	ss := b.Policy.statements
	for i := range ss {
		s := &ss[i]
		failed, cond, how := s.match(q)
		if failed == Matched {
			switch {
			case !s.allow && !v.deny:
				v.deny, v.denied = true, place{b, level, i}
			case s.allow && (!v.allow || how > v.how):
				v.allow, v.allowed, v.how = true, place{b, level, i}, how
			}
		}
		if record != nil {
			r := place{b, level, i}.reason(layer)
			r.Failed = failed
			if failed == FailedCondition {
				r.Condition = s.conditions[cond].name + " " + s.conditions[cond].key
			}
			*record = append(*record, r)
		}
	}
}

func (p place) reason(layer Layer) Reason {
	if p.bound == nil {
		return Reason{}
	}
	s := &p.bound.Policy.statements[p.index]
	return Reason{
		Layer: layer, Level: p.level, Policy: p.bound.Name, ARN: p.bound.ARN, Owner: p.bound.Owner,
		Statement: p.index, Sid: s.sid, Allow: s.allow,
	}
}

// Evaluate decides one request.
//
// Explicit denials come first, in the order of the layers; then the first layer
// that should have allowed and did not; AWS names one only.
func Evaluate(p *Policies, r *Request) Decision {
	if p == nil {
		p = &Policies{}
	}
	return evaluate(p, r, nil)
}

func evaluate(p *Policies, r *Request, record *[]Reason) Decision {
	d := Decision{Request: *r, policies: p}
	if r.Action == "sts:GetCallerIdentity" || r.Action == "sts:GetSessionToken" {
		d.Allowed, d.Layer = true, LayerUnrestricted
		return d
	}
	var q query
	q.init(r)
	by := &r.By
	assume := isAssume(q.action)
	resourceLayer := LayerResource
	if assume && (p.Resource == nil || p.Resource.Policy == nil || p.Resource.Policy.kind == TrustPolicy) {
		resourceLayer = LayerTrust
	}

	// An organization's policies do not bind service-linked roles, and its SCPs
	// bind principals of its accounts, which a service is not.
	linked := strings.Contains(by.RoleARN, ":role/aws-service-role/")
	var rs, is, bs, ss, scp, rcp verdict
	scpSilent := false
	if by.Service == "" && !linked {
		for level, bounds := range p.SCP {
			v := verdict{}
			v.tally(&q, LayerSCP, level, bounds, record)
			scpSilent = scpSilent || !v.allow
			if v.deny && !scp.deny {
				scp.deny, scp.denied = true, v.denied
			}
		}
	}
	if !linked {
		for level, bounds := range p.RCP {
			rcp.tally(&q, LayerRCP, level, bounds, record)
		}
	}
	rs.add(&q, resourceLayer, 0, p.Resource, record)
	is.tally(&q, LayerIdentity, 0, p.Identity, record)
	bs.add(&q, LayerBoundary, 0, p.Boundary, record)
	ss.tally(&q, LayerSession, 0, p.Session, record)

	for _, e := range [...]struct {
		v     *verdict
		layer Layer
	}{{&scp, LayerSCP}, {&rcp, LayerRCP}, {&rs, resourceLayer}, {&is, LayerIdentity}, {&bs, LayerBoundary}, {&ss, LayerSession}} {
		if e.v.deny {
			d.Explicit, d.Layer, d.By = true, e.layer, e.v.denied.reason(e.layer)
			if e.layer != LayerResource && e.layer != LayerTrust {
				d.PolicyARN = d.By.ARN
			}
			return d
		}
	}
	if scpSilent {
		d.Layer = LayerSCP
		return d
	}
	if by.Service != "" || by.Type == "Anonymous" {
		// They have no policies of their own: they act
		// with what the resource grants, and nothing else.
		d.Allowed, d.Layer = rs.allow, resourceLayer
		if rs.allow {
			d.Layer, d.By = LayerResource, rs.allowed.reason(resourceLayer)
		}
		return d
	}
	foreign := q.account != by.Account
	if (foreign || p.Resource != nil && (assume || strings.HasPrefix(q.action, "kms:"))) && !rs.allow {
		d.Layer = resourceLayer
		return d
	}
	granted := rs.allow && !foreign && rs.how >= namedRole
	if granted && rs.how == namedSelf {
		d.Allowed, d.Layer, d.By = true, LayerResource, rs.allowed.reason(resourceLayer)
		return d
	}
	switch {
	case !granted && !is.allow && !by.Root:
		d.Layer = LayerIdentity
	case p.Boundary != nil && !bs.allow:
		d.Layer = LayerBoundary
	case p.Session != nil && !ss.allow:
		d.Layer = LayerSession
	default:
		d.Allowed = true
		switch {
		case granted:
			d.Layer, d.By = LayerResource, rs.allowed.reason(resourceLayer)
		case is.allow:
			d.Layer, d.By = LayerIdentity, is.allowed.reason(LayerIdentity)
			if foreign {
				d.Layer = LayerBoth
			}
		default:
			d.Layer = LayerRoot
		}
	}
	return d
}

func isAssume(action string) bool {
	switch action {
	case "sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext":
		return true
	}
	return false
}

// EvaluateAll decides every authorization of a call, also those after a
// refused one.
func EvaluateAll(p *Policies, by Caller, needs []Authorization, global Context) []Decision {
	ds := make([]Decision, len(needs))
	for i, n := range needs {
		r := Request{By: by, Authorization: n, Global: global}
		ds[i] = Evaluate(p, &r)
	}
	return ds
}
