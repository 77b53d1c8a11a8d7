package iam

import (
	"fmt"
	"slices"
	"strings"

	"tokaido/iam/wild"
	"tokaido/value"
)

// maxCorrections bounds how often a document is looked at again.
const maxCorrections = 100

// Correct repairs what the rules know the right form of: names, ARNs and
// operators that can never match as they stand. It adds nothing that the author
// did not mean; where that cannot be said the finding stays. It returns p itself
// if there is nothing to repair.
func Correct(p *Policy, o Options) *Policy {
	for range maxCorrections {
		next := correctOne(p, o)
		if next == nil {
			break
		}
		p = next
	}
	return p
}

// correctOne repairs the first finding that can be; nil if there is none.
func correctOne(p *Policy, o Options) *Policy {
	for _, f := range Check(p, o) {
		doc := p.doc
		if f.Statement < 0 {
			if f.ID != "GN01" {
				continue
			}
			doc = withVersion(doc)
		} else {
			st, more, ok := correctStatement(sourceOf(p.doc, f.Statement), &f, o)
			if !ok {
				continue
			}
			doc = withStatement(doc, f.Statement, st)
			for _, m := range more {
				doc = appendStatement(doc, m)
			}
		}
		if value.Equal(doc, p.doc) {
			continue
		}
		q, err := Parse(p.kind, []byte(Indent(doc)))
		if err != nil || len(Check(q, o)) >= len(Check(p, o)) && f.ID != "SF03" && f.ID != "BR19" {
			continue // it would be refused, or be no better
		}
		return q
	}
	return nil
}

// withVersion puts the version first, as people write it.
func withVersion(doc value.Value) value.Value {
	m := []value.Member{{Key: "Version", Value: value.String(version2012)}}
	for k, v := range doc.Members() {
		if k != "Version" {
			m = append(m, value.Member{Key: k, Value: v})
		}
	}
	return value.Object(m...)
}

func correctStatement(st value.Value, f *Finding, o Options) (out value.Value, more []value.Value, ok bool) {
	if name, rest, ok := strings.Cut(f.Element, "."); ok && name == "Condition" {
		out, ok = correctCondition(st, f, rest)
		return out, nil, ok
	}
	switch {
	case f.ID == "BR19" || f.ID == "SF03":
		return unscope(st, f)
	case f.ID == "SF05":
		return requalify(st, f)
	case f.ID == "SF06" && o.Account != "":
		cond := st.Get("Condition")
		if cond.IsUndefined() {
			cond = value.Object()
		}
		keys := cond.Get("StringEquals")
		if keys.IsUndefined() {
			keys = value.Object()
		}
		return st.With("Condition", cond.With("StringEquals", keys.With("aws:SourceAccount", value.String(o.Account)))), nil, true
	case f.Want == "" || f.Value == "" || !st.Has(f.Element):
		return st, nil, false
	}
	was := st.Get(f.Element)
	var now []string
	for _, t := range texts(was) {
		if t == f.Value {
			t = f.Want
		}
		if !slices.Contains(now, t) {
			now = append(now, t)
		}
	}
	return st.With(f.Element, list(was, now)), nil, true
}

// unscope gives actions without resource types the only resource that allows
// them, in a statement of their own if there are others.
func unscope(st value.Value, f *Finding) (out value.Value, more []value.Value, ok bool) {
	if !st.Has("Action") || !st.Has("Resource") {
		return st, nil, false
	}
	var own, rest []string
	for _, a := range texts(st.Get("Action")) {
		if low := strings.ToLower(a); unscoped[low] || logDelivery[low] {
			own = append(own, a)
		} else {
			rest = append(rest, a)
		}
	}
	if len(rest) == 0 {
		return st.With("Resource", value.String("*")), nil, true
	}
	extra := st.With("Action", strs(own)).With("Resource", value.String("*"))
	if extra.Has("Sid") {
		extra = extra.With("Sid", value.String(f.Sid+"Unscoped"))
	}
	return st.With("Action", list(st.Get("Action"), rest)), []value.Value{extra}, true
}

// requalify moves the version or alias of a machine from its ARN to the key
// that holds it, where the statement is about nothing else.
func requalify(st value.Value, f *Finding) (out value.Value, more []value.Value, ok bool) {
	rs, as := texts(st.Get("Resource")), texts(st.Get("Action"))
	if len(rs) != 1 || len(as) != 1 || st.Has("Condition") {
		return st, nil, false
	}
	qualifier := f.Value[strings.LastIndexByte(f.Value, ':')+1:]
	return st.With("Resource", list(st.Get("Resource"), []string{f.Want})).With("Condition",
		value.Object(value.Member{Key: "ForAnyValue:StringEquals", Value: value.Object(value.Member{Key: "states:StateMachineQualifier", Value: value.String(qualifier)})})), nil, true
}

// correctCondition gives a condition the operator that it wants, or the guard.
func correctCondition(st value.Value, f *Finding, rest string) (value.Value, bool) {
	op, key, ok := strings.Cut(rest, ".")
	cond := st.Get("Condition")
	v := cond.Get(op).Get(key)
	if !ok || v.IsUndefined() {
		return st, false
	}
	put := func(cond value.Value, op, key string, v value.Value) (value.Value, bool) {
		keys := cond.Get(op)
		if keys.IsUndefined() {
			keys = value.Object()
		}
		if keys.Has(key) {
			return cond, false
		}
		return cond.With(op, keys.With(key, v)), true
	}
	if f.ID == "GN02" {
		cond, ok = put(cond, "Null", key, value.String("false"))
		return st.With("Condition", cond), ok
	}
	if f.ID != "BR12" && f.ID != "GN03" && f.ID != "GN04" || f.Want == "" {
		return st, false
	}
	if _, known := parseOperator(f.Want); !known {
		return st, false
	}
	if keys := cond.Get(op); keys.Len() == 1 && !cond.Has(f.Want) {
		// Only the operator's name changes: it keeps its place.
		var m []value.Member
		for name, x := range cond.Members() {
			if name == op {
				name = f.Want
			}
			m = append(m, value.Member{Key: name, Value: x})
		}
		return st.With("Condition", value.Object(m...)), true
	}
	cond = cond.With(op, cond.Get(op).Without(key))
	if cond.Get(op).Len() == 0 {
		cond = cond.Without(op)
	}
	cond, ok = put(cond, f.Want, key, v)
	return st.With("Condition", cond), ok
}

// Unused is a part of an Allow statement that nothing needs.
type Unused struct {
	Statement int
	Sid       string
	Element   string   // Action or Resource
	Value     string   // what stands there
	Needed    []string // what of it is needed; none: nothing
}

// within reports whether what is needed is a pattern that covers all of r.
func within(r *wild.ARN, need string) bool {
	text := r.String()
	p, parts := wild.CompileARN(need, wild.NoVars), wild.Cut(text)
	return text == need || p.Match(text, &parts, none{})
}

// Excess finds what a policy allows beyond needs: actions that nobody asks for,
// and wildcards that cover more than is asked for. Statements with NotAction or
// NotResource are not looked at: rules are about those.
func Excess(p *Policy, needs []Authorization) (out []Unused) {
	for i := range p.statements {
		s := &p.statements[i]
		if !s.allow || s.notAction || s.notResource {
			continue
		}
		var covered []Authorization
		for _, n := range needs {
			q := new(query)
			q.init(&Request{Authorization: n})
			if s.touches(n.Action) && slices.ContainsFunc(s.resources, func(r wild.ARN) bool { return r.Match(n.Resource, &q.parts, q) || within(&r, n.Resource) }) {
				covered = append(covered, n)
			}
		}
		for j := range s.actions {
			text := texts(sourceOf(p.doc, i).Get("Action"))[j]
			var used []string
			for _, n := range covered {
				if s.actions[j].Match(strings.ToLower(n.Action)) && !slices.Contains(used, n.Action) {
					used = append(used, n.Action)
				}
			}
			if len(used) == 0 || strings.ContainsAny(text, "*?") {
				out = append(out, Unused{i, s.sid, "Action", text, used})
			}
		}
		if len(covered) == 0 {
			continue // it has been said of the actions
		}
		for j := range s.resources {
			r := &s.resources[j]
			var used []string
			exact := false
			for _, n := range covered {
				q := new(query)
				q.init(&Request{Authorization: n})
				in := within(r, n.Resource)
				if (in || r.Match(n.Resource, &q.parts, q)) && !slices.Contains(used, n.Resource) {
					used = append(used, n.Resource)
					exact = exact || in
				}
			}
			if len(used) == 0 || !exact && strings.ContainsAny(r.String(), "*?") {
				out = append(out, Unused{i, s.sid, "Resource", r.String(), used})
			}
		}
	}
	return out
}

// Key is the same for findings that say the same.
func (f *Finding) Key() string {
	return fmt.Sprint(f.ID, "\x00", f.Policy, "\x00", f.Statement, "\x00", f.Element, "\x00", f.Value, "\x00", f.variant, "\x00", f.Args)
}

// NewFinding makes a finding of a rule that only a definition can tell: SF02 of
// a rule that is missing (its name, the action), SF08 (the ARN that is called),
// FD01 to FD04 (the action, the resource, who needs it).
func NewFinding(id string, args ...string) Finding {
	if id == "SF02" {
		id = "SF02/missing"
	}
	return newFinding(id, args...)
}

// MayAllow reports whether an Allow statement covers the action on something
// that a resource pattern covers too.
func (p *Policy) MayAllow(action, pattern string) bool {
	for i := range p.statements {
		s := &p.statements[i]
		if !s.allow || !s.touches(action) {
			continue
		}
		if s.notResource || slices.ContainsFunc(s.resources, func(r wild.ARN) bool { return wild.Overlap(r.String(), pattern) }) {
			return true
		}
	}
	return false
}
