package iam

import (
	"fmt"
	"slices"
	"strings"

	"tokaido/iam/wild"
	"tokaido/value"
)

// Grant is something that a policy is to allow: actions on resources, under a
// condition if there is one.
type Grant struct {
	Name      string   // of its statement: letters and digits
	Actions   []string // e.g. lambda:InvokeFunction
	Resources []string // patterns
	Condition value.Value
}

// Literal is a text as a pattern that matches it and nothing else: whoever may
// name an object b/* must not get a policy that allows all of b.
func Literal(s string) string {
	if !strings.ContainsAny(s, "*?$") {
		return s
	}
	return strings.NewReplacer("$", "${$}", "*", "${*}", "?", "${?}").Replace(s)
}

// Plain is the text of which Literal made a pattern; what was none stays.
func Plain(pattern string) string {
	if !strings.Contains(pattern, "${") {
		return pattern
	}
	return strings.NewReplacer("${$}", "$", "${*}", "*", "${?}", "?").Replace(pattern)
}

// atom is one action on one resource under one condition.
type atom struct {
	name, action, resource, condition string
	cond                              value.Value
}

// covers reports whether nothing is left of b where a is allowed.
func (a *atom) covers(b *atom) bool {
	if a.action != b.action || a.condition != "" && a.condition != b.condition {
		return false
	}
	if a.resource == b.resource {
		return true
	}
	// A pattern is matched as if it were an ARN: * matches *.
	p, parts := wild.CompileARN(a.resource, wild.NoVars), wild.Cut(b.resource)
	return p.Match(b.resource, &parts, none{})
}

// Merge is the least document that allows all grants: what another grant allows
// already is left out, and what shares its actions, or its resources, and its
// condition stands in one statement. The order is that of the grants.
func Merge(grants []Grant) (*Policy, error) {
	var atoms []atom
	for _, g := range grants {
		condition := ""
		if !g.Condition.IsUndefined() {
			condition = g.Condition.Compact().JSON()
		}
		for _, a := range g.Actions {
			for _, r := range g.Resources {
				atoms = append(atoms, atom{g.Name, a, r, condition, g.Condition})
			}
		}
	}
	// Of two that cover each other the first stays.
	var least []atom
	for i := range atoms {
		covered := false
		for j := range atoms {
			if i != j && atoms[j].covers(&atoms[i]) && (j < i || !atoms[i].covers(&atoms[j])) {
				covered = true
				break
			}
		}
		if !covered {
			least = append(least, atoms[i])
		}
	}
	if len(least) == 0 {
		return nil, fmt.Errorf("iam: merge: nothing is to be allowed")
	}
	// The actions of each resource, then the resources of each set of actions.
	type row struct {
		name      string
		actions   []string
		resources []string
		cond      value.Value
		key       string
	}
	var rows []row
	for _, a := range least {
		service, _, _ := strings.Cut(a.action, ":")
		key := service + "\x00" + a.name + "\x00" + a.condition
		at := slices.IndexFunc(rows, func(r row) bool { return r.key == key && r.resources[0] == a.resource })
		if at < 0 {
			at, rows = len(rows), append(rows, row{name: a.name, resources: []string{a.resource}, cond: a.cond, key: key})
		}
		if !slices.Contains(rows[at].actions, a.action) {
			rows[at].actions = append(rows[at].actions, a.action)
		}
	}
	var merged []row
	for _, r := range rows {
		same := func(o row) bool {
			x, y := slices.Sorted(slices.Values(o.actions)), slices.Sorted(slices.Values(r.actions))
			return o.key == r.key && slices.Equal(x, y)
		}
		if at := slices.IndexFunc(merged, same); at >= 0 {
			merged[at].resources = append(merged[at].resources, r.resources...)
			continue
		}
		merged = append(merged, r)
	}
	taken := map[string]bool{}
	var statements []value.Value
	for _, r := range merged {
		sid := r.name
		for n := 2; taken[sid]; n++ {
			sid = fmt.Sprint(r.name, n)
		}
		taken[sid] = true
		m := []value.Member{
			{Key: "Sid", Value: value.String(sid)}, {Key: "Effect", Value: value.String("Allow")},
			{Key: "Action", Value: strs(r.actions)}, {Key: "Resource", Value: strs(r.resources)},
		}
		if !r.cond.IsUndefined() {
			m = append(m, value.Member{Key: "Condition", Value: r.cond})
		}
		statements = append(statements, value.Object(m...))
	}
	return Document(IdentityPolicy, statements...)
}

// Document is a policy of the current version with these statements.
func Document(kind Kind, statements ...value.Value) (*Policy, error) {
	doc := value.Object(value.Member{Key: "Version", Value: value.String(version2012)}, value.Member{Key: "Statement", Value: value.Array(statements...)})
	return Parse(kind, []byte(Indent(doc)))
}

// Statements are those of the document, in order.
func (p *Policy) Statements() []value.Value {
	out := make([]value.Value, len(p.statements))
	for i := range out {
		out[i] = sourceOf(p.doc, i)
	}
	return out
}

// The sizes that IAM allows, in characters that are not white space.
const (
	MaxInline  = 10240 // of a role's inline policies together
	MaxManaged = 6144  // of a managed policy
)

// Split makes managed policies of one that is too large to be inline; each
// statement stays whole. It fails if one of them alone is too large.
func (p *Policy) Split() ([]*Policy, error) {
	var out []*Policy
	var held []value.Value
	var last *Policy
	for _, st := range p.Statements() {
		q, err := Document(p.kind, append(slices.Clone(held), st)...)
		if err != nil {
			return nil, err
		}
		if q.Size() > MaxManaged && last != nil {
			out, held = append(out, last), nil
			if q, err = Document(p.kind, st); err != nil {
				return nil, err
			}
		}
		if q.Size() > MaxManaged {
			return nil, fmt.Errorf("statement %q alone has %d characters; a managed policy holds %d", st.Get("Sid").Str(), q.Size(), MaxManaged)
		}
		held, last = append(held, st), q
	}
	return append(out, last), nil
}

// Trust is the trust policy of a role that a service may assume for one
// resource of its own, and for nobody else's.
func Trust(service, sourceARN, sourceAccount string) (*Policy, error) {
	str := value.String
	obj := func(k string, v value.Value) value.Value { return value.Object(value.Member{Key: k, Value: v}) }
	return Document(TrustPolicy, value.Object(
		value.Member{Key: "Effect", Value: str("Allow")},
		value.Member{Key: "Principal", Value: obj("Service", str(service))},
		value.Member{Key: "Action", Value: str("sts:AssumeRole")},
		value.Member{Key: "Condition", Value: value.Object(
			value.Member{Key: "ArnLike", Value: obj("aws:SourceArn", str(sourceARN))},
			value.Member{Key: "StringEquals", Value: obj("aws:SourceAccount", str(sourceAccount))},
		)},
	))
}
