package trail

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"tokaido/iam"
	"tokaido/value"
)

const (
	// maxDocuments is how many bytes of policy documents the record of a denied
	// call carries. A policy beyond that is there by name and digest only.
	maxDocuments = 256 << 10
	// maxDecisions is how many bytes of decisions it carries. Beyond that they
	// are there without what each statement said.
	maxDecisions = 128 << 10
)

// evidenceVersion is of the form that Evidence writes.
const evidenceVersion = 1

func member(key string, v value.Value) value.Member { return value.Member{Key: key, Value: v} }

// Brief is Record.Decisions of an allowed call: what allowed it.
func Brief(ds []iam.Decision) value.Value {
	if len(ds) == 0 {
		return value.Value{}
	}
	all := make([]value.Value, len(ds))
	for i := range ds {
		d := &ds[i]
		all[i] = value.Object(
			member("action", value.String(d.Request.Action)), member("resource", value.String(d.Request.Resource)), member("allowed", value.Bool(d.Allowed)),
			member("layer", text(d.Layer.String())), member("policy", text(d.By.Policy)), member("sid", text(d.By.Sid)),
		)
	}
	return value.Object(member("v", value.Int(evidenceVersion)), member("brief", value.Bool(true)), member("decisions", value.Array(all...)))
}

// Evidence is Record.Decisions of a denied call: every decision, and the
// policies as they were, so that the refusal can be explained when they have
// changed. Caller and global context, the same in all, are there once. p and
// shape may be nil.
func Evidence(ds []iam.Decision, p *iam.Policies, shape *iam.CallShape) value.Value {
	if len(ds) == 0 {
		return value.Value{}
	}
	var caller, global value.Value
	all, size := make([]value.Value, len(ds)), 0
	for i := range ds {
		v := ds[i].Value()
		if i == 0 {
			caller, global = v.Get("caller"), v.Get("global")
		}
		all[i] = v.Without("caller").Without("global")
		if size += len(all[i].JSON()); size > maxDecisions {
			all[i] = all[i].Without("reasons")
		}
	}
	m := []value.Member{
		member("v", value.Int(evidenceVersion)),
		member("caller", caller), member("global", global), member("decisions", value.Array(all...)),
	}
	if p != nil {
		m = append(m, member("policies", policiesValue(p)))
	}
	if shape != nil {
		m = append(m, member("model", shapeValue(shape)))
	}
	return value.Object(m...)
}

func policiesValue(p *iam.Policies) value.Value {
	room := maxDocuments
	one := func(b *iam.Bound) value.Value {
		if b == nil || b.Policy == nil {
			return value.Value{}
		}
		doc := b.Policy.JSON()
		sum := sha256.Sum256([]byte(doc))
		m := []value.Member{
			member("name", text(b.Name)), member("arn", text(b.ARN)), member("owner", text(b.Owner)),
			member("kind", value.Int(int64(b.Policy.Kind()))), member("sha256", value.String(hex.EncodeToString(sum[:]))),
		}
		if len(doc) <= room {
			room -= len(doc)
			m = append(m, member("document", value.String(doc)))
		}
		return value.Object(m...)
	}
	list := func(bs []iam.Bound) value.Value {
		if bs == nil {
			return value.Value{}
		}
		vs := make([]value.Value, len(bs))
		for i := range bs {
			vs[i] = one(&bs[i])
		}
		return value.Array(vs...)
	}
	levels := func(ls [][]iam.Bound) value.Value {
		if ls == nil {
			return value.Value{}
		}
		vs := make([]value.Value, len(ls))
		for i := range ls {
			vs[i] = list(append([]iam.Bound{}, ls[i]...))
		}
		return value.Array(vs...)
	}
	return value.Object(
		member("identity", list(p.Identity)), member("boundary", one(p.Boundary)), member("session", list(p.Session)),
		member("scp", levels(p.SCP)), member("rcp", levels(p.RCP)), member("resource", one(p.Resource)),
	)
}

func shapeValue(s *iam.CallShape) value.Value {
	list := func(regions []string) value.Value {
		vs := make([]value.Value, len(regions))
		for i, r := range regions {
			vs[i] = value.String(r)
		}
		return value.Array(vs...)
	}
	var all value.Value
	if s.Regions != nil {
		all = list(s.Regions)
	}
	return value.Object(
		member("region", text(s.Region)), member("account", text(s.Account)), member("requested", text(s.Requested)),
		member("profile", text(s.Profile)), member("profileArn", text(s.ProfileARN)), member("application", value.Bool(s.Application)),
		member("model", text(s.Model)), member("destinations", list(s.Destinations)), member("regions", all),
	)
}

// ErrNoEvidence says that a record is not that of a denied call.
var ErrNoEvidence = errors.New("the record holds no refusal to explain")

// Refusal is what the record of a denied call tells.
type Refusal struct {
	Decisions []iam.Decision
	Call      iam.Call // what iam.Explain needs
	// Missing names the policies whose documents were too large for the record.
	// If there are any, Call.Policies is not all that bound the caller.
	Missing []string
}

// Refusal rebuilds what was decided from the record of a denied call. It fails
// with ErrNoEvidence if r is none.
func (r *Record) Refusal() (Refusal, error) {
	e := r.Decisions
	if !e.IsObject() || e.Get("brief").Bool() {
		return Refusal{}, ErrNoEvidence
	}
	if v, ok := e.Get("v").Int(); !ok || v != evidenceVersion {
		return Refusal{}, fmt.Errorf("decisions of form %s; this program reads %d", e.Get("v").JSON(), evidenceVersion)
	}
	var out Refusal
	for _, v := range e.Get("decisions").Items() {
		d, err := iam.DecisionFromValue(v.With("caller", e.Get("caller")).With("global", e.Get("global")))
		if err != nil {
			return Refusal{}, err
		}
		out.Decisions = append(out.Decisions, d)
		out.Call.Needs = append(out.Call.Needs, d.Request.Authorization)
	}
	if len(out.Decisions) == 0 {
		return Refusal{}, ErrNoEvidence
	}
	out.Call.By, out.Call.Global = out.Decisions[0].Request.By, out.Decisions[0].Request.Global
	out.Call.Model = shapeFrom(e.Get("model"))
	if p := e.Get("policies"); p.IsObject() {
		var err error
		if out.Call.Policies, err = out.policies(p); err != nil {
			return Refusal{}, err
		}
	}
	return out, nil
}

func (r *Refusal) policies(v value.Value) (*iam.Policies, error) {
	var err error
	one := func(v value.Value) *iam.Bound {
		if !v.IsObject() || err != nil {
			return nil
		}
		b := &iam.Bound{Name: v.Get("name").Str(), ARN: v.Get("arn").Str(), Owner: v.Get("owner").Str()}
		doc := v.Get("document")
		if !doc.IsString() {
			r.Missing = append(r.Missing, b.Name)
			return nil
		}
		kind, _ := v.Get("kind").Int()
		sum := sha256.Sum256([]byte(doc.Str()))
		if hex.EncodeToString(sum[:]) != v.Get("sha256").Str() {
			err = fmt.Errorf("policy %s: the document does not have its digest", b.Name)
			return nil
		}
		if b.Policy, err = iam.Parse(iam.Kind(kind), []byte(doc.Str())); err != nil {
			err = fmt.Errorf("policy %s: %w", b.Name, err)
			return nil
		}
		return b
	}
	list := func(v value.Value) []iam.Bound {
		if !v.IsArray() {
			return nil
		}
		bs := make([]iam.Bound, 0, v.Len()) // not nil: no session policy is not the same as one that allows nothing
		for _, x := range v.Items() {
			if b := one(x); b != nil {
				bs = append(bs, *b)
			}
		}
		return bs
	}
	levels := func(v value.Value) (ls [][]iam.Bound) {
		for _, x := range v.Items() {
			ls = append(ls, list(x))
		}
		return ls
	}
	p := &iam.Policies{
		Identity: list(v.Get("identity")), Boundary: one(v.Get("boundary")), Session: list(v.Get("session")),
		SCP: levels(v.Get("scp")), RCP: levels(v.Get("rcp")), Resource: one(v.Get("resource")),
	}
	return p, err
}

func shapeFrom(v value.Value) *iam.CallShape {
	if !v.IsObject() {
		return nil
	}
	s := &iam.CallShape{
		Region: v.Get("region").Str(), Account: v.Get("account").Str(), Requested: v.Get("requested").Str(),
		Profile: v.Get("profile").Str(), ProfileARN: v.Get("profileArn").Str(), Application: v.Get("application").Bool(),
		Model: v.Get("model").Str(),
	}
	for _, r := range v.Get("destinations").Items() {
		s.Destinations = append(s.Destinations, r.Str())
	}
	for _, r := range v.Get("regions").Items() {
		s.Regions = append(s.Regions, r.Str())
	}
	return s
}
