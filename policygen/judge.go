package policygen

import (
	"slices"
	"strings"

	"tokaido/iam"
	"tokaido/value"
)

// Judge holds policies that exist to what running a definition needs: what is
// missing, what is denied, and what is allowed besides. assumed says of a
// resource of a policy that it only stands for what is filled in later; nil:
// none does.
func (r *Result) Judge(policies []iam.Bound, assumed func(policy int, resource string) bool) []iam.Finding {
	var found []iam.Finding
	seen := map[string]bool{}
	add := func(f iam.Finding) {
		if k := f.Key(); !seen[k] {
			seen[k] = true
			found = append(found, f)
		}
	}
	calls := r.calls()
	for i := range policies {
		for _, f := range iam.Check(policies[i].Policy, iam.Options{Name: policies[i].Name, Account: r.Machine.Account, Workflow: true}) {
			if f.ID == "BR04" && len(calls) > 0 {
				continue // what the calls lack is told of all policies together
			}
			add(f)
		}
	}
	for _, c := range calls {
		e := iam.Explain(iam.Call{By: r.role(), Needs: c.needs, Policies: &iam.Policies{Identity: policies}, Model: c.shape})
		said := e.Allowed
		for _, f := range e.Findings {
			f.Layer = iam.NoLayer
			said = said || f.Severity == iam.Error
			add(f)
		}
		for i := range e.Parts {
			if p := &e.Parts[i]; !said && !p.Decision.Allowed {
				add(iam.NewFinding("FD01", p.Need.Action, p.Need.Resource, c.state))
			}
		}
	}
	rules := map[string]bool{}
	for i := range r.Needs {
		n := &r.Needs[i]
		if n.Call != nil {
			continue
		}
		d := r.decide(policies, n)
		switch {
		case d.Allowed:
		case d.Explicit:
			f := iam.NewFinding("FD04", n.Action, n.Resource, n.who())
			f.Policy, f.Statement, f.Sid, f.Element = d.By.Policy, d.By.Statement, d.By.Sid, "Statement"
			add(f)
		case !n.Known:
			if !slices.ContainsFunc(policies, func(b iam.Bound) bool { return b.Policy.MayAllow(n.Action, n.Resource) }) {
				add(iam.NewFinding("FD01/unknown", n.Action, n.Resource, n.who()))
			}
		case strings.Contains(n.Resource, ":rule/StepFunctionsGetEvent"):
			// The three actions are one thing to who reads of it.
			if rule := n.Resource[strings.LastIndexByte(n.Resource, '/')+1:]; !rules[rule] {
				rules[rule] = true
				var lacks []string
				for j := range r.Needs {
					if o := &r.Needs[j]; o.Resource == n.Resource && !slices.Contains(lacks, o.Action) && !r.allows(policies, o) {
						lacks = append(lacks, o.Action)
					}
				}
				add(iam.NewFinding("SF02", rule, strings.Join(lacks, ", ")))
			}
		default:
			if f, ok := qualifier(policies, n); ok {
				add(f)
			}
			add(iam.NewFinding("FD01", n.Action, n.Resource, n.who()))
		}
	}
	needs := make([]iam.Authorization, len(r.Needs))
	for i := range r.Needs {
		needs[i] = r.Needs[i].Authorization
	}
	for i := range policies {
		for _, u := range iam.Excess(policies[i].Policy, needs) {
			if assumed != nil && assumed(i, u.Value) {
				continue
			}
			// A rule may have said already that this very thing is wide, or that
			// the statement does not do what it is there for.
			if slices.ContainsFunc(found, func(f iam.Finding) bool {
				return f.ID != "" && f.ID[:2] != "FD" && f.Policy == policies[i].Name && f.Statement == u.Statement &&
					(f.Value == u.Value || f.Severity == iam.Error && len(u.Needed) == 0)
			}) {
				continue
			}
			f := iam.NewFinding("FD02")
			if len(u.Needed) > 0 {
				f = iam.NewFinding("FD03", some(u.Needed))
			}
			f.Policy, f.Statement, f.Sid, f.Element, f.Value = policies[i].Name, u.Statement, u.Sid, u.Element, u.Value
			add(f)
		}
	}
	return found
}

// JudgeLimit holds a policy that limits what others allow (a service control
// policy, a permissions boundary, a session policy) to what running the
// definition needs. Of a service control policy without an Allow, another on the
// same level is taken to allow everything, as FullAWSAccess does.
func (r *Result) JudgeLimit(b iam.Bound) []iam.Finding {
	everything := iam.Bound{Name: "everything", ARN: "arn:aws:iam::aws:policy/AdministratorAccess",
		Policy: iam.MustParse(iam.IdentityPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)}
	ps := &iam.Policies{Identity: []iam.Bound{everything}}
	allows := slices.ContainsFunc(b.Policy.Statements(), func(st value.Value) bool { return st.Get("Effect").Str() == "Allow" })
	switch b.Policy.Kind() {
	case iam.ServiceControlPolicy:
		ps.SCP = [][]iam.Bound{{b}}
		if !allows {
			ps.SCP[0] = append(ps.SCP[0], everything)
		}
	case iam.ResourceControlPolicy:
		ps.RCP = [][]iam.Bound{{b}}
	case iam.Boundary:
		ps.Boundary = &b
	case iam.SessionPolicy:
		ps.Session = []iam.Bound{b}
	default:
		return nil
	}
	var found []iam.Finding
	for _, c := range r.calls() {
		e := iam.Explain(iam.Call{By: r.role(), Needs: c.needs, Policies: ps, Model: c.shape})
		for _, f := range e.Findings {
			if f.Policy != everything.Name {
				found = append(found, f)
			}
		}
	}
	for i := range r.Needs {
		n := &r.Needs[i]
		if n.Call != nil || !n.Known {
			continue
		}
		d := iam.Evaluate(ps, &iam.Request{By: r.role(), Authorization: n.Authorization, ResourceAccount: r.Machine.Account})
		switch {
		case d.Allowed:
		case d.Explicit:
			f := iam.NewFinding("FD04", n.Action, n.Resource, n.who())
			f.Policy, f.Statement, f.Sid, f.Element = d.By.Policy, d.By.Statement, d.By.Sid, "Statement"
			found = append(found, f)
		default:
			f := iam.NewFinding("FD01", n.Action, n.Resource, n.who())
			f.Policy = b.Name
			found = append(found, f)
		}
	}
	return found
}

// maxShown is how many of many a finding names.
const maxShown = 8

func some(s []string) string {
	if len(s) > maxShown {
		return strings.Join(s[:maxShown], ", ") + ", …"
	}
	return strings.Join(s, ", ")
}

// who is what a need is of.
func (n *Need) who() string {
	if n.State == "" {
		return "LoggingConfiguration/TracingConfiguration/EncryptionConfiguration"
	}
	return n.State
}

// modelCall is one way in which the definition calls a model.
type modelCall struct {
	state string // the first of those that make it
	shape *iam.CallShape
	needs []iam.Authorization
}

func (r *Result) calls() (out []modelCall) {
	type key struct{ id, action string }
	seen := map[key]bool{}
	for i := range r.Needs {
		n := &r.Needs[i]
		if n.Call == nil || seen[key{n.Call.Requested, n.Action}] {
			continue
		}
		seen[key{n.Call.Requested, n.Action}] = true
		out = append(out, modelCall{n.State, n.Call, n.Call.Authorizations(n.Action)})
	}
	return out
}

// role is the machine's role at work.
func (r *Result) role() iam.Caller {
	by, _ := iam.ParseCaller("arn:aws:sts::" + r.Machine.Account + ":assumed-role/" + r.Machine.RoleName() + "/" + "execution")
	return by
}

// decide asks the role's policies alone: whether another account lets it in is
// not theirs to say.
func (r *Result) decide(policies []iam.Bound, n *Need) iam.Decision {
	return iam.Evaluate(&iam.Policies{Identity: policies}, &iam.Request{By: r.role(), Authorization: n.Authorization, ResourceAccount: r.Machine.Account})
}

func (r *Result) allows(policies []iam.Bound, n *Need) bool {
	d := r.decide(policies, n)
	return d.Allowed
}

// qualifier finds a resource that names the same function with another version
// or alias, or without one.
func qualifier(policies []iam.Bound, n *Need) (iam.Finding, bool) {
	_, rest, ok := strings.Cut(n.Resource, ":function:")
	if n.Action != "lambda:InvokeFunction" || !ok {
		return iam.Finding{}, false
	}
	name, _, _ := strings.Cut(rest, ":")
	for _, b := range policies {
		for i, st := range b.Policy.Statements() {
			for _, res := range list(st.Get("Resource")) {
				_, has, ok := strings.Cut(res, ":function:")
				if hasName, _, _ := strings.Cut(has, ":"); ok && hasName == name {
					f := iam.NewFinding("SF08", n.Resource)
					f.Policy, f.Statement, f.Sid, f.Element, f.Value, f.Want = b.Name, i, st.Get("Sid").Str(), "Resource", res, n.Resource
					return f, true
				}
			}
		}
	}
	return iam.Finding{}, false
}

func list(v value.Value) (out []string) {
	if v.IsString() {
		return []string{v.Str()}
	}
	for _, x := range v.Items() {
		out = append(out, x.Str())
	}
	return out
}

// Fix changes policies so that they allow what the definition needs: what can
// never match is put right, and what is missing is added. Nothing is taken away.
// The policies keep their order; new ones come behind. whole is false if
// something still is not allowed, as where a Deny stands.
func (r *Result) Fix(policies []iam.Bound) (fixed []iam.Bound, whole bool) {
	fixed = slices.Clone(policies)
	for i := range fixed {
		fixed[i].Policy = iam.Correct(fixed[i].Policy, iam.Options{Account: r.Machine.Account, Workflow: true})
	}
	apply := func(e iam.Explanation) {
		for _, f := range e.Fixes {
			p, err := iam.Parse(iam.IdentityPolicy, []byte(f.After))
			if err != nil {
				continue
			}
			at := slices.IndexFunc(fixed, func(b iam.Bound) bool { return b.Name == f.Policy && b.ARN == f.ARN })
			if f.New || at < 0 {
				fixed = append(fixed, iam.Bound{Policy: p, Name: f.Policy})
			} else {
				fixed[at].Policy = p
			}
		}
	}
	for _, c := range r.calls() {
		apply(iam.Explain(iam.Call{By: r.role(), Needs: c.needs, Policies: &iam.Policies{Identity: fixed}, Model: c.shape}))
	}
	var grants []iam.Grant
	for i := range r.Needs {
		n := &r.Needs[i]
		if n.Call != nil || r.allows(fixed, n) || !n.Known && slices.ContainsFunc(fixed, func(b iam.Bound) bool { return b.Policy.MayAllow(n.Action, n.Resource) }) {
			continue
		}
		grants = append(grants, r.grantsOf(n)...)
	}
	if len(grants) > 0 {
		if p, err := iam.Merge(grants); err == nil {
			// Into the policy that says most already, else one of its own.
			at := -1
			for i := range fixed {
				if !strings.Contains(fixed[i].ARN, "::aws:policy/") && (at < 0 || fixed[i].Policy.Len() > fixed[at].Policy.Len()) {
					at = i
				}
			}
			if at < 0 {
				fixed = append(fixed, iam.Bound{Policy: p, Name: "Execution"})
			} else if q, err := join(fixed[at].Policy, p); err == nil {
				fixed[at].Policy = q
			}
		}
	}
	whole = true
	for i := range r.Needs {
		if n := &r.Needs[i]; !r.allows(fixed, n) && n.Known {
			whole = false
		}
	}
	return fixed, whole
}

// grantsOf are the grants of which the need came, for its action and resource.
func (r *Result) grantsOf(n *Need) []iam.Grant {
	for _, st := range r.Policy.Statements() {
		as, rs := list(st.Get("Action")), list(st.Get("Resource"))
		p, err := iam.Document(iam.IdentityPolicy, st)
		if err != nil || !slices.Contains(as, n.Action) || !r.allows([]iam.Bound{{Policy: p}}, n) {
			continue
		}
		if slices.Contains(rs, n.Resource) {
			rs = []string{n.Resource}
		}
		return []iam.Grant{{Name: strings.TrimRight(st.Get("Sid").Str(), "0123456789"), Actions: []string{n.Action}, Resources: rs, Condition: st.Get("Condition")}}
	}
	return nil
}

// join puts the statements of one document behind those of another.
func join(p, more *iam.Policy) (*iam.Policy, error) {
	doc := value.MustParse(p.JSON())
	all := p.Statements()
	taken := map[string]bool{}
	for _, st := range all {
		taken[st.Get("Sid").Str()] = true
	}
	for _, st := range more.Statements() {
		for sid := st.Get("Sid").Str(); taken[sid]; {
			sid += "2"
			st = st.With("Sid", value.String(sid))
		}
		taken[st.Get("Sid").Str()] = true
		all = append(all, st)
	}
	return iam.Parse(p.Kind(), []byte(iam.Indent(doc.With("Statement", value.Array(all...)))))
}
