package iam

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tokaido/value"
)

// Call is a whole call: its authorizations in order, with the policies that
// bind the caller.
type Call struct {
	By       Caller
	Needs    []Authorization
	Global   Context
	Policies *Policies  // nil: not known, as when a refusal's text is all there is
	Model    *CallShape // nil if the call is none of Bedrock's
}

// Part is one authorization of a call and how it fared.
type Part struct {
	Kind     PartKind
	Region   string // of the resource; "" if it has none
	Need     Authorization
	Decision Decision
	Silent   []Layer  // the layers that should allow it and do not, in their order
	Denies   []Reason // the Deny statements that match
}

// Explanation says why a call was refused and what would allow it.
type Explanation struct {
	Call     Call
	Allowed  bool
	Parts    []Part
	Refused  int   // the part that AWS names in its refusal; -1 if there is none
	Next     []int // the parts that would be refused next, one after the other
	Findings []Finding
	Fixes    []Fix
	Fixed    bool            // with Fixes every part was evaluated again and is allowed
	Probed   int             // neighbouring requests that were evaluated before and after
	Wider    []Authorization // those of them that Fixes allow besides

	checked []Finding // of the rules
}

// Fix is the least change of one policy.
type Fix struct {
	Layer  Layer
	Policy string // its name
	ARN    string
	Owner  string
	New    bool   // there was no policy that could be changed
	Before string // both documents with two spaces for each level; "" if New
	After  string
	Diff   string // unified
}

// Explain looks at a whole call: every part, every layer, every statement.
func Explain(c Call) Explanation {
	if c.Policies == nil {
		c.Policies = &Policies{}
	}
	e := Explanation{Call: c, Allowed: true, Refused: -1}
	e.Parts = c.parts(c.Policies)
	for i := range e.Parts {
		if e.Parts[i].Decision.Allowed {
			continue
		}
		e.Allowed = false
		if e.Refused < 0 {
			e.Refused = i
		} else {
			e.Next = append(e.Next, i)
		}
	}
	e.Findings = e.findings()
	if !e.Allowed {
		e.repair()
	}
	return e
}

func (c *Call) parts(p *Policies) []Part {
	ps := make([]Part, len(c.Needs))
	ds := EvaluateAll(p, c.By, c.Needs, c.Global)
	for i, n := range c.Needs {
		ps[i] = Part{Need: n, Decision: ds[i]}
		ps[i].Kind, ps[i].Region = c.Model.part(n.Resource)
		if !ds[i].Allowed {
			ps[i].Silent, ps[i].Denies = standing(p, &ds[i])
		}
	}
	return ps
}

// standing says which layers refuse, where a Decision names the first alone.
func standing(p *Policies, d *Decision) (silent []Layer, denies []Reason) {
	var allows [numLayers]bool
	levels := make([]bool, len(p.SCP))
	for _, r := range d.Reasons() {
		switch {
		case r.Failed != Matched:
		case !r.Allow:
			denies = append(denies, r)
		case r.Layer == LayerSCP:
			levels[r.Level] = true
		default:
			allows[r.Layer] = true
		}
	}
	by := &d.Request.By
	if by.Service == "" && slices.Contains(levels, false) {
		silent = append(silent, LayerSCP)
	}
	if d.Layer == LayerResource || d.Layer == LayerTrust {
		if !d.Explicit {
			silent = append(silent, d.Layer)
		}
	}
	if by.Service != "" {
		return silent, denies
	}
	if !allows[LayerIdentity] && !by.Root {
		silent = append(silent, LayerIdentity)
	}
	if p.Boundary != nil && !allows[LayerBoundary] {
		silent = append(silent, LayerBoundary)
	}
	if p.Session != nil && !allows[LayerSession] {
		silent = append(silent, LayerSession)
	}
	return silent, denies
}

// layered is a policy and where it binds.
type layered struct {
	layer Layer
	level int
	bound *Bound
}

// all lists the policies in the order in which people should read of them.
func (p *Policies) all() []layered {
	var ls []layered
	add := func(layer Layer, level int, bs []Bound) {
		for i := range bs {
			if bs[i].Policy != nil {
				ls = append(ls, layered{layer, level, &bs[i]})
			}
		}
	}
	add(LayerIdentity, 0, p.Identity)
	if p.Boundary != nil && p.Boundary.Policy != nil {
		ls = append(ls, layered{LayerBoundary, 0, p.Boundary})
	}
	add(LayerSession, 0, p.Session)
	for i := range p.SCP {
		add(LayerSCP, i, p.SCP[i])
	}
	for i := range p.RCP {
		add(LayerRCP, i, p.RCP[i])
	}
	if p.Resource != nil && p.Resource.Policy != nil {
		layer := LayerResource
		if p.Resource.Policy.kind == TrustPolicy {
			layer = LayerTrust
		}
		ls = append(ls, layered{layer, 0, p.Resource})
	}
	return ls
}

func (e *Explanation) options(name string) Options {
	return Options{Name: name, Account: e.Call.By.Account, Call: e.Call.Model}
}

// concerns reports whether a finding of Check has to do with the call.
func (f *Finding) concerns(c *Call, s *statement) bool {
	touches := slices.ContainsFunc(c.Needs, func(n Authorization) bool { return s.touches(n.Action) })
	switch f.ID {
	case "BR09":
		return slices.ContainsFunc(c.Needs, func(n Authorization) bool { return aliases[strings.ToLower(f.Value)] == n.Action })
	case "BR12", "BR14", "GN03", "GN04":
		return touches
	case "BR22", "BR16", "BR17":
		return touches
	case "GN01":
		return true
	}
	return f.meant
}

func (e *Explanation) findings() []Finding {
	c := &e.Call
	var fs []Finding
	for _, l := range c.Policies.all() {
		if l.bound.Name == assumed {
			continue // nobody wrote it
		}
		for _, f := range Check(l.bound.Policy, e.options(l.bound.Name)) {
			var s *statement
			if f.Statement >= 0 {
				s = &l.bound.Policy.statements[f.Statement]
				// Layers other than identity-based are wide on purpose, and so
				// are Deny statements.
				if (l.layer != LayerIdentity || !s.allow) && f.Severity < Error {
					continue
				}
			} else if f.ID != "GN01" {
				continue
			}
			if s != nil && !f.concerns(c, s) || e.Allowed && f.Severity >= Error && !f.meant {
				continue
			}
			f.Layer = l.layer
			fs = append(fs, f)
		}
	}
	if e.Allowed {
		return fs
	}
	e.checked = fs
	fs = append(fs, e.denials()...)
	done := map[Layer]bool{}
	for i := range e.Parts {
		for _, layer := range e.Parts[i].Silent {
			if !done[layer] {
				done[layer] = true
				fs = append(fs, e.silence(layer)...)
			}
		}
	}
	return fs
}

// denials explains the Deny statements, each once.
func (e *Explanation) denials() []Finding {
	var fs []Finding
	type key struct {
		layer     Layer
		level     int
		policy    string
		statement int
	}
	seen := map[key]int{}
	for i := range e.Parts {
		p := &e.Parts[i]
		for _, r := range p.Denies {
			k := key{r.Layer, r.Level, r.Policy + r.ARN, r.Statement}
			region := requested(&p.Decision.Request)
			if at, ok := seen[k]; ok {
				if f := &fs[at]; f.ID == "BR08" && !strings.Contains(f.Args[1], city(region)) {
					f.Args[1] += ", " + city(region)
				}
				continue
			}
			s := e.statement(r)
			if s == nil {
				continue
			}
			seen[k] = len(fs)
			f := newFinding("GN08/call")
			if g := s.regionGuard(); g != nil {
				f = newFinding("BR08", g.list(), city(region))
				f.Element = "Condition." + g.name + "." + g.key
			}
			f.Layer, f.Policy, f.Statement, f.Sid = r.Layer, r.Policy, r.Statement, r.Sid
			fs = append(fs, f)
		}
	}
	return fs
}

// statement finds the statement of a reason.
func (e *Explanation) statement(r Reason) *statement {
	for _, l := range e.Call.Policies.all() {
		if l.layer == r.Layer && l.level == r.Level && l.bound.Name == r.Policy && l.bound.ARN == r.ARN && r.Statement < len(l.bound.Policy.statements) {
			return &l.bound.Policy.statements[r.Statement]
		}
	}
	return nil
}

// regionGuard is a condition by which a Deny spares some Regions.
func (s *statement) regionGuard() *condition {
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.negated && strings.EqualFold(c.key, "aws:RequestedRegion") {
			return c
		}
	}
	return nil
}

func (c *condition) list() string {
	var t []string
	for _, v := range c.values {
		t = append(t, v.text)
	}
	return strings.Join(t, ", ")
}

func requested(r *Request) string {
	if a := find(r.Context, "aws:RequestedRegion"); a != nil && len(a.Values) == 1 {
		return a.Values[0]
	}
	if a := find(r.Global, "aws:RequestedRegion"); a != nil && len(a.Values) == 1 {
		return a.Values[0]
	}
	return "-"
}

// city is a Region as the texts write it: the Japanese ones are told apart
// by a digit, so both languages add the city.
func city(region string) string {
	switch region {
	case "ap-northeast-1":
		return "ap-northeast-1 (Tokyo)"
	case "ap-northeast-3":
		return "ap-northeast-3 (Osaka)"
	case "":
		return "(no Region)"
	}
	return region
}

func places(regions []string) string {
	s := make([]string, len(regions))
	for i, r := range regions {
		s[i] = city(r)
	}
	return strings.Join(s, ", ")
}

// maxNamed is how many of those that a role trusts are named.
const maxNamed = 5

// stranger reports whether no statement of a role's trust policy is about the
// caller, and whom they are about.
func (e *Explanation) stranger(layer Layer, p *Part) (named string, ok bool) {
	if layer != LayerTrust || e.Call.Policies.Resource == nil || e.Call.Policies.Resource.Policy == nil {
		return "", false
	}
	for _, r := range p.Decision.Reasons() {
		if r.Layer == LayerTrust && r.Allow && r.Failed != FailedPrincipal {
			return "", false
		}
	}
	var all []string
	for i := range e.Call.Policies.Resource.Policy.statements {
		s := &e.Call.Policies.Resource.Policy.statements[i]
		for _, x := range s.principals {
			if s.allow && !s.notPrincipal && x.value != "" && !slices.Contains(all, x.value) {
				all = append(all, x.value)
			}
		}
	}
	if len(all) == 0 {
		return "", false
	}
	if len(all) > maxNamed {
		all = append(all[:maxNamed], "…")
	}
	return strings.Join(all, ", "), true
}

// who is the caller as a trust policy names it: of a session the role.
func (c *Call) who() string {
	return cmp.Or(c.By.RoleARN, c.By.ARN, c.By.Service)
}

// silence explains what a layer does not allow.
func (e *Explanation) silence(layer Layer) []Finding {
	var missing []*Part
	for i := range e.Parts {
		if p := &e.Parts[i]; slices.Contains(p.Silent, layer) {
			missing = append(missing, p)
		}
	}
	var fs []Finding
	add := func(key string, args ...string) {
		f := newFinding(key, args...)
		f.Layer = layer
		if layer != LayerIdentity {
			f.Policy = e.names(layer, missing)
		}
		fs = append(fs, f)
	}
	model := e.Call.Model
	var regions []string
	profile, global, other := false, false, []*Part(nil)
	near, told := e.near(layer, missing)
	for _, p := range missing {
		if layer == LayerIdentity && told[p] {
			continue // a statement is about it: what it lacks is told of that one
		}
		switch p.Kind {
		case PartProfile:
			profile = true
		case PartGlobal:
			global = true
		case PartSource, PartDestination, PartModel:
			regions = append(regions, p.Region)
		default:
			other = append(other, p)
		}
	}
	if layer != LayerIdentity {
		for _, p := range missing {
			switch p.Kind {
			case PartProfile:
				add("BR05/layer", p.Need.Resource)
			case PartGlobal:
				add("BR07/layer", p.Need.Resource)
			case PartOther:
				if named, ok := e.stranger(layer, p); ok {
					add("near/trust", e.Call.who(), named)
					continue
				}
				add("near/layer", p.Need.Action, p.Need.Resource)
			}
		}
		if len(regions) > 0 {
			add("BR06/layer", places(regions))
		}
		return append(fs, near...)
	}
	if e.streamOnly(missing) {
		add("BR15/stream", missing[0].Need.Action, otherInvoke(missing[0].Need.Action))
		return fs
	}
	if profile {
		add("BR05", model.ProfileARN)
	}
	if len(regions) > 0 {
		total := len(model.ModelRegions())
		if model.Global() {
			total--
		}
		switch {
		case model.ProfileARN == "":
			add("near/none", missing[0].Need.Action, missing[0].Need.Resource)
		case len(regions) < total && geography(model.Profile) == "jp":
			add("BR06/jp", fmt.Sprint(len(regions)), fmt.Sprint(total), model.Region, places(regions))
		case len(regions) < total:
			add("BR06", fmt.Sprint(len(regions)), fmt.Sprint(total), city(model.Region), places(regions))
		case profile:
			add("BR04/none", places(regions))
		default:
			add("BR04", places(regions))
		}
	}
	if global && !slices.ContainsFunc(e.checked, func(f Finding) bool { return f.variant == "BR07/pattern" }) {
		add("BR07", model.modelARN(""))
	}
	for _, p := range other {
		add("near/none", p.Need.Action, p.Need.Resource)
	}
	return append(near, fs...)
}

func otherInvoke(action string) string {
	if strings.EqualFold(action, actionStream) {
		return actionInvoke
	}
	return actionStream
}

// streamOnly reports whether everything that is missing would be allowed for
// the other of the two actions that call a model.
func (e *Explanation) streamOnly(missing []*Part) bool {
	for _, p := range missing {
		if !strings.EqualFold(p.Need.Action, actionInvoke) && !strings.EqualFold(p.Need.Action, actionStream) {
			return false
		}
		r := p.Decision.Request
		r.Action = otherInvoke(r.Action)
		if d := Evaluate(e.Call.Policies, &r); !d.Allowed {
			return false
		}
	}
	return len(missing) > 0
}

// maxNear bounds how many statements that came near are told of.
const maxNear = 3

// names are the policies of a layer; of SCPs, those on the level that is silent.
func (e *Explanation) names(layer Layer, missing []*Part) string {
	var names []string
	for _, l := range e.Call.Policies.all() {
		if l.layer != layer || layer == LayerSCP && !e.silentLevel(l.level, missing) {
			continue
		}
		names = append(names, l.bound.Name)
	}
	return strings.Join(names, ", ")
}

func (e *Explanation) silentLevel(level int, missing []*Part) bool {
	for _, p := range missing {
		allowed := slices.ContainsFunc(p.Decision.Reasons(), func(r Reason) bool {
			return r.Layer == LayerSCP && r.Level == level && r.Allow && r.Failed == Matched
		})
		if !allowed {
			return true
		}
	}
	return false
}

// near finds the Allow statements of a layer that came nearest to what is
// missing: those that fail only on a condition, and, for calls of which nothing
// else is known, on their resource. told are the parts that the former are
// about.
func (e *Explanation) near(layer Layer, missing []*Part) (fs []Finding, told map[*Part]bool) {
	told = map[*Part]bool{}
	seen := map[string]bool{}
	for _, want := range []Test{FailedCondition, FailedResource} {
		for _, p := range missing {
			for _, r := range p.Decision.Reasons() {
				if r.Layer != layer || !r.Allow || r.Failed != want || want == FailedResource && (p.Kind != PartOther || len(fs) > 0) {
					continue
				}
				s := e.statement(r)
				if s == nil {
					continue
				}
				if want == FailedCondition {
					told[p] = true
				}
				id := fmt.Sprint(r.Level, r.Policy, r.Statement, want)
				if seen[id] || len(fs) >= maxNear {
					continue
				}
				seen[id] = true
				var f Finding
				if want == FailedResource {
					f = newFinding("near/resource", p.Need.Resource)
					f.Element = "Resource"
				} else {
					f = e.unmet(layer, s, r, missing)
				}
				f.Layer, f.Policy, f.Statement, f.Sid = layer, r.Policy, r.Statement, r.Sid
				// A rule may have said already what is wrong with the condition.
				if f.ID != "" || !slices.ContainsFunc(e.checked, func(o Finding) bool {
					return o.Layer == layer && o.Policy == f.Policy && o.Statement == f.Statement && o.Element == f.Element && o.Severity == Error
				}) {
					fs = append(fs, f)
				}
			}
		}
	}
	return fs, told
}

// unmet explains the condition that a statement failed on.
func (e *Explanation) unmet(layer Layer, s *statement, r Reason, missing []*Part) Finding {
	op, key, _ := strings.Cut(r.Condition, " ")
	var c *condition
	for i := range s.conditions {
		if s.conditions[i].name == op && s.conditions[i].key == key {
			c = &s.conditions[i]
		}
	}
	var covered, regions, has []string
	for _, p := range missing {
		for _, q := range p.Decision.Reasons() {
			if q.Layer != layer || q.Policy != r.Policy || q.Level != r.Level || q.Statement != r.Statement || q.Failed != FailedCondition {
				continue
			}
			covered = append(covered, p.Need.Resource)
			regions = append(regions, requested(&p.Decision.Request))
			req := p.Decision.Request
			v := "-"
			if a := find(req.Context, key); a != nil {
				v = strings.Join(a.Values, ", ")
			} else if a := find(req.Global, key); a != nil {
				v = strings.Join(a.Values, ", ")
			}
			if !slices.Contains(has, v) {
				has = append(has, v)
			}
		}
	}
	f := newFinding("near/condition", strings.Join(covered, ", "), r.Condition, strings.Join(has, ", "))
	if c != nil && strings.EqualFold(key, "aws:RequestedRegion") && !c.negated {
		f = newFinding("BR08/allow", c.list(), places(regions))
	}
	f.Element = "Condition." + op + "." + key
	return f
}

// Refusal is what the text of an AccessDenied says.
type Refusal struct {
	By        Caller
	Action    string
	Resource  string
	Layer     Layer // NoLayer: the text does not say
	Explicit  bool
	PolicyARN string
}

// ParseMessage reads an AccessDenied text, also within a longer one, as in the
// cause of a failed Task. ok is false if there is none.
func ParseMessage(text string) (r Refusal, ok bool) {
	_, rest, ok := strings.Cut(text, "User: ")
	if !ok {
		return r, false
	}
	user, rest, ok := strings.Cut(rest, " is not authorized to perform: ")
	if !ok {
		return r, false
	}
	if r.By, ok = ParseCaller(strings.TrimSpace(user)); !ok {
		return r, false
	}
	if i := strings.Index(rest, " (Service: "); i >= 0 {
		rest = rest[:i]
	}
	rest, _, _ = strings.Cut(rest, "\n")
	cut := func(words string) (string, bool) {
		head, tail, ok := strings.Cut(rest, words)
		if ok {
			rest = head
		}
		return tail, ok
	}
	if tail, ok := cut(" with an explicit deny in "); ok {
		r.Explicit = true
		words, arn, _ := strings.Cut(tail, ": ")
		for l, w := range layerWords {
			if w.deny != "" && strings.HasPrefix(words, w.deny) {
				r.Layer = Layer(l)
			}
		}
		r.PolicyARN = strings.TrimSpace(arn)
	} else if tail, ok := cut(" because no "); ok {
		for l, w := range layerWords {
			if w.silent != "" && strings.HasPrefix(tail, w.silent) {
				r.Layer = Layer(l)
			}
		}
	}
	action, resource, _ := strings.Cut(rest, " on resource: ")
	r.Action = strings.TrimSpace(action)
	r.Resource = strings.Trim(strings.TrimSpace(resource), `"`)
	if r.Resource == "" {
		r.Resource = "*"
	}
	return r, strings.Contains(r.Action, ":") && !strings.Contains(r.Action, " ")
}

// Value is the explanation as data, for --json and the console.
func (e *Explanation) Value() value.Value {
	var parts, findings, fixes, wider []value.Value
	str := func(s string) value.Value {
		if s == "" {
			return value.Value{}
		}
		return value.String(s)
	}
	for i := range e.Parts {
		p := &e.Parts[i]
		parts = append(parts, value.Object(
			value.Member{Key: "part", Value: value.String(p.Kind.String())},
			value.Member{Key: "region", Value: str(p.Region)},
			value.Member{Key: "action", Value: value.String(p.Need.Action)},
			value.Member{Key: "resource", Value: value.String(p.Need.Resource)},
			value.Member{Key: "allowed", Value: value.Bool(p.Decision.Allowed)},
			value.Member{Key: "explicit", Value: truth(p.Decision.Explicit)},
			value.Member{Key: "layer", Value: str(p.Decision.Layer.String())},
			value.Member{Key: "message", Value: str(p.Decision.Message())},
		))
	}
	for i := range e.Findings {
		findings = append(findings, e.Findings[i].value())
	}
	for _, f := range e.Fixes {
		fixes = append(fixes, value.Object(
			value.Member{Key: "layer", Value: value.String(f.Layer.String())},
			value.Member{Key: "policy", Value: value.String(f.Policy)},
			value.Member{Key: "arn", Value: str(f.ARN)},
			value.Member{Key: "owner", Value: str(f.Owner)},
			value.Member{Key: "new", Value: truth(f.New)},
			value.Member{Key: "before", Value: str(f.Before)},
			value.Member{Key: "after", Value: str(f.After)},
			value.Member{Key: "diff", Value: str(f.Diff)},
		))
	}
	for _, a := range e.Wider {
		wider = append(wider, value.Object(value.Member{Key: "action", Value: value.String(a.Action)}, value.Member{Key: "resource", Value: value.String(a.Resource)}))
	}
	return value.Object(
		value.Member{Key: "allowed", Value: value.Bool(e.Allowed)},
		value.Member{Key: "parts", Value: value.Array(parts...)},
		value.Member{Key: "findings", Value: value.Array(findings...)},
		value.Member{Key: "fixes", Value: value.Array(fixes...)},
		value.Member{Key: "fixed", Value: value.Bool(e.Fixed)},
		value.Member{Key: "probed", Value: value.Int(int64(e.Probed))},
		value.Member{Key: "wider", Value: value.Array(wider...)},
	)
}
