package policyfile

import (
	"strings"

	"tokaido/iam"
)

// terraform reads the policies of a Terraform file: those of IAM's resources,
// and the documents of the data source aws_iam_policy_document.
func (f *File) terraform(src []byte, fill *fill) error {
	file, err := parseHCL(string(src))
	if err != nil {
		return err
	}
	t := &terraform{fill: fill, locals: map[string]*expr{}, data: map[string]*block{}, used: map[string]bool{}}
	for _, b := range file.blocks {
		switch {
		case b.kind == "locals":
			for _, a := range b.attributes {
				t.locals["local."+a.name] = a.expr
			}
		case b.kind == "variable" && len(b.labels) == 1:
			if e := b.attribute("default"); e != nil && (e.kind == templ || e.kind == literal) {
				t.locals["var."+b.labels[0]] = e
			}
		case b.kind == "data" && len(b.labels) == 2 && b.labels[0] == "aws_iam_policy_document":
			t.data["data.aws_iam_policy_document."+b.labels[1]] = b
		}
	}
	for _, b := range file.blocks {
		if b.kind != "resource" || len(b.labels) != 2 {
			continue
		}
		name := b.labels[0] + "." + b.labels[1]
		add := func(name, role string, kind iam.Kind, e *expr) error {
			n := t.node(e, 0)
			if t.err != nil {
				return t.err
			}
			return f.add(name, role, kind, n)
		}
		switch b.labels[0] {
		case "aws_iam_role":
			if e := b.attribute("assume_role_policy"); e != nil {
				if err := add(name+".assume_role_policy", name, iam.TrustPolicy, e); err != nil {
					return err
				}
			}
			for _, in := range b.blocks {
				if in.kind == "dynamic" && len(in.labels) == 1 && in.labels[0] == "inline_policy" {
					return failure(&node{line: in.line, column: in.column}, "%s: inline policies are computed", name)
				}
				if e := in.attribute("policy"); in.kind == "inline_policy" && e != nil {
					if err := add(name+".inline_policy", name, iam.IdentityPolicy, e); err != nil {
						return err
					}
				}
			}
		case "aws_iam_policy", "aws_iam_role_policy", "aws_iam_user_policy", "aws_iam_group_policy":
			e := b.attribute("policy")
			if e == nil {
				return failure(&node{line: b.line, column: b.column}, "%s has no policy", name)
			}
			role := ""
			if r := b.attribute("role"); r != nil && r.kind == reference {
				role = strings.Join(strings.SplitN(r.text, ".", 3)[:min(2, strings.Count(r.text, ".")+1)], ".")
			}
			if err := add(name, role, iam.IdentityPolicy, e); err != nil {
				return err
			}
		}
	}
	// Documents that no IAM resource of the file uses are policies, too.
	for _, b := range file.blocks {
		if b.kind != "data" || len(b.labels) != 2 || b.labels[0] != "aws_iam_policy_document" {
			continue
		}
		if name := "data.aws_iam_policy_document." + b.labels[1]; !t.used[name] {
			n := t.document(name, 0)
			if t.err != nil {
				return t.err
			}
			if err := f.add(name, "", 0, n); err != nil {
				return err
			}
		}
	}
	return nil
}

type terraform struct {
	fill   *fill
	locals map[string]*expr
	data   map[string]*block
	used   map[string]bool
	err    error
	nodes  int
}

// node evaluates an expression as far as the file says what it is.
func (t *terraform) node(e *expr, depth int) *node {
	n := &node{line: e.line, column: e.column}
	at := func(x *node) *node { x.line, x.column = e.line, e.column; return x }
	opaqueNode := func(why string) *node { n.kind, n.why = opaque, why; return n }
	if t.nodes++; depth > maxDepth || t.nodes > maxNodes {
		if t.err == nil {
			t.err = failure(n, "references nest more than %d deep, or lead to more than %d values", maxDepth, maxNodes)
		}
		return n
	}
	switch e.kind {
	case literal:
		v, ok := literalValue(e.text)
		if !ok {
			return opaqueNode("no number: " + e.text)
		}
		n.kind, n.scalar = scalar, v
		return n
	case templ:
		if len(e.parts) == 1 && e.parts[0].expr != "" {
			return at(t.part(e.parts[0], depth))
		}
		for _, p := range e.parts {
			if p.expr == "" {
				n.text += p.text
				continue
			}
			x := t.part(p, depth)
			if x.kind != text {
				x = unknown(p.expr, p.line, p.column)
			}
			n.text += x.text
			n.holes = append(n.holes, x.holes...)
		}
		return n
	case tuple:
		n.kind = list
		for _, x := range e.items {
			n.items = append(n.items, t.node(x, depth+1))
		}
		return n
	case mapping:
		n.kind = object
		for i, k := range e.keys {
			key := t.node(k, depth+1)
			if key.kind != text || len(key.holes) > 0 {
				return opaqueNode("a key that is computed")
			}
			n.members = append(n.members, member{key.text, k.line, k.column, t.node(e.items[i], depth+1)})
		}
		return n
	case reference:
		if s, ok := t.fill.reference(strings.ReplaceAll(e.text, "[0]", "")); ok {
			n.text = s
			return n
		}
		if base, ok := strings.CutSuffix(e.text, ".json"); ok && strings.HasPrefix(base, "data.aws_iam_policy_document.") {
			if d := t.document(strings.ReplaceAll(base, "[0]", ""), depth+1); d != nil {
				return d
			}
			return opaqueNode(e.text + " is not in this file")
		}
		if l, ok := t.locals[e.text]; ok {
			return at(t.node(l, depth+1))
		}
		return unknown(e.text, e.line, e.column)
	case call:
		return t.call(e, n, depth)
	}
	return unknown(e.text, e.line, e.column)
}

func (t *terraform) part(p part, depth int) *node {
	if strings.HasPrefix(p.expr, "%{") {
		return unknown(p.expr+"}", p.line, p.column)
	}
	e, err := parseExpr(p.expr, p.line, p.column)
	if err != nil {
		if t.err == nil {
			t.err = err
		}
		return &node{}
	}
	return t.node(e, depth+1)
}

// call evaluates the functions that policies are made with.
func (t *terraform) call(e *expr, n *node, depth int) *node {
	arg := func(i int) *node {
		if i < len(e.items) {
			return t.node(e.items[i], depth+1)
		}
		return &node{kind: opaque, why: e.text + " without its argument", line: e.line, column: e.column}
	}
	switch e.text {
	case "jsonencode", "tolist", "toset", "tostring", "sort", "distinct", "compact", "sensitive", "nonsensitive":
		return arg(0)
	case "concat", "flatten", "setunion":
		n.kind = list
		add := func(x *node) {
			if x.kind == list {
				n.items = append(n.items, x.items...)
			} else {
				n.items = append(n.items, x)
			}
		}
		for i := range e.items {
			x := arg(i)
			if e.text != "flatten" || x.kind != list {
				add(x)
				continue
			}
			for _, y := range x.items {
				add(y)
			}
		}
		return n
	case "file", "templatefile":
		n.kind, n.why = opaque, e.text+"(…) reads another file: check that one"
		return n
	}
	return unknown(e.text+"(…)", e.line, e.column)
}

// document makes a policy of a data source aws_iam_policy_document; nil if there
// is none of that name.
func (t *terraform) document(name string, depth int) *node {
	b := t.data[name]
	if b == nil {
		return nil
	}
	t.used[name] = true
	n := &node{kind: object, line: b.line, column: b.column}
	refuse := func(line, column int, why string) *node {
		return &node{kind: opaque, why: name + ": " + why, line: line, column: column}
	}
	put := func(to *node, key string, a *attribute, x *node) {
		line, column := to.line, to.column
		if a != nil {
			line, column = a.line, a.column
		}
		to.members = append(to.members, member{key, line, column, x})
	}
	version := &node{text: "2012-10-17", line: b.line, column: b.column}
	for i := range b.attributes {
		a := &b.attributes[i]
		switch a.name {
		case "version":
			version = t.node(a.expr, depth+1)
		case "policy_id":
			put(n, "Id", a, t.node(a.expr, depth+1))
		case "count", "for_each", "provider", "depends_on":
		default:
			return refuse(a.line, a.column, a.name+" adds documents that are not followed")
		}
	}
	n.members = append([]member{{"Version", version.line, version.column, version}}, n.members...)
	all := &node{kind: list, line: b.line, column: b.column}
	for _, s := range b.blocks {
		if s.kind != "statement" {
			return refuse(s.line, s.column, "a block "+strings.TrimSpace(s.kind+" "+strings.Join(s.labels, " "))+" that is not followed")
		}
		st := &node{kind: object, line: s.line, column: s.column}
		names := map[string]string{"sid": "Sid", "effect": "Effect", "actions": "Action", "not_actions": "NotAction", "resources": "Resource", "not_resources": "NotResource"}
		if s.attribute("effect") == nil {
			put(st, "Effect", nil, &node{text: "Allow", line: s.line, column: s.column})
		}
		for i := range s.attributes {
			a := &s.attributes[i]
			key, ok := names[a.name]
			if !ok {
				return refuse(a.line, a.column, "no attribute "+a.name+" is known in a statement")
			}
			put(st, key, a, t.node(a.expr, depth+1))
		}
		cond := &node{kind: object, line: s.line, column: s.column}
		for _, in := range s.blocks {
			get := func(name string) *node {
				if e := in.attribute(name); e != nil {
					return t.node(e, depth+1)
				}
				return &node{kind: opaque, why: in.kind + " has no " + name, line: in.line, column: in.column}
			}
			switch in.kind {
			case "principals", "not_principals":
				key := "Principal"
				if in.kind == "not_principals" {
					key = "NotPrincipal"
				}
				to := st.get(key)
				if to == nil {
					to = &node{kind: object, line: in.line, column: in.column}
					st.members = append(st.members, member{key, in.line, in.column, to})
				}
				kind := get("type")
				if kind.str() == "" {
					return refuse(in.line, in.column, "principals without a type")
				}
				if kind.str() == "*" {
					*to = node{text: "*", line: in.line, column: in.column}
					continue
				}
				ids := get("identifiers")
				if old := to.get(kind.str()); old != nil && old.kind == list && ids.kind == list {
					old.items = append(old.items, ids.items...)
					continue
				}
				to.members = append(to.members, member{kind.str(), in.line, in.column, ids})
			case "condition":
				test, variable := get("test"), get("variable")
				if test.str() == "" || variable.str() == "" {
					return refuse(in.line, in.column, "a condition without test or variable")
				}
				op := cond.get(test.str())
				if op == nil {
					op = &node{kind: object, line: in.line, column: in.column}
					cond.members = append(cond.members, member{test.str(), in.line, in.column, op})
				}
				op.members = append(op.members, member{variable.str(), in.line, in.column, get("values")})
			default:
				return refuse(in.line, in.column, "a block "+strings.TrimSpace(in.kind+" "+strings.Join(in.labels, " "))+" that is not followed")
			}
		}
		if len(cond.members) > 0 {
			put(st, "Condition", nil, cond)
		}
		all.items = append(all.items, st)
	}
	n.members = append(n.members, member{"Statement", b.line, b.column, all})
	return n
}
