package policyfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tokaido/iam"
	"tokaido/value"
)

// markup reads JSON and YAML: a policy, what generate writes, an answer of
// IAM's API, or a template.
func (f *File) markup(src []byte, fill *fill) error {
	f.json = json.Valid(src)
	root, err := parseMarkup(src, fill)
	if err != nil {
		return err
	}
	if root.kind != object {
		return failure(root, "neither a policy nor a template")
	}
	if root.get("Resources") != nil && root.get("Statement") == nil {
		return f.template(root)
	}
	if root.get("Statement") != nil {
		return f.add("", "", 0, root, []string{}...)
	}
	// Documents that stand in something: what generate writes, get-role-policy,
	// get-policy-version, get-role.
	found := false
	var look func(n *node, name string, path []string) error
	look = func(n *node, name string, path []string) error {
		for _, m := range n.members {
			at := append(slices.Clone(path), m.key)
			switch m.key {
			case "policy", "trust", "caller", "PolicyDocument", "Document", "AssumeRolePolicyDocument":
				if m.value.kind == scalar {
					continue
				}
				found = true
				if err := f.add(strings.TrimPrefix(name+"."+m.key, "."), "", 0, m.value, at...); err != nil {
					return err
				}
			case "managedPolicies", "targets", "PolicyVersion", "Role", "RolePolicyList":
				if m.value.kind == object {
					if err := look(m.value, m.key, at); err != nil {
						return err
					}
				}
				for i, x := range m.value.items {
					at := append(slices.Clone(at), index("", i))
					if x.get("Statement") != nil {
						found = true
						if err := f.add(index(m.key, i), "", 0, x, at...); err != nil {
							return err
						}
						continue
					}
					if err := look(x, index(m.key, i), at); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	if err := look(root, "", nil); err != nil {
		return err
	}
	if !found {
		return failure(root, "neither a policy (it has no Statement) nor a template (it has no Resources)")
	}
	return nil
}

// template reads a template of CloudFormation, SAM or the CDK.
func (f *File) template(root *node) error {
	for _, r := range root.get("Resources").members {
		props := r.value.get("Properties")
		if props == nil {
			continue
		}
		base := []string{"Resources", r.key, "Properties"}
		at := func(more ...string) []string { return append(slices.Clone(base), more...) }
		document := func(name string, kind iam.Kind, key string) error {
			if n := props.get(key); n != nil {
				return f.add(name, r.key, kind, n, at(key)...)
			}
			return nil
		}
		var err error
		switch r.value.get("Type").str() {
		case "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group":
			if err = document(r.key+".trust", iam.TrustPolicy, "AssumeRolePolicyDocument"); err != nil {
				return err
			}
			ps := props.get("Policies")
			if ps != nil && ps.kind != list {
				return failure(ps, "%s: Policies is no list that can be read", r.key)
			}
			if ps != nil {
				for i, p := range ps.items {
					name := p.get("PolicyName").str()
					if name == "" || strings.Contains(name, hole) {
						name = index("Policies", i)
					}
					d := p.get("PolicyDocument")
					if d == nil {
						return failure(p, "%s.%s has no PolicyDocument that can be read", r.key, name)
					}
					if err = f.add(r.key+"."+name, r.key, iam.IdentityPolicy, d, at("Policies", index("", i), "PolicyDocument")...); err != nil {
						return err
					}
				}
			}
		case "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy":
			before := len(f.Documents)
			if err = document(r.key, iam.IdentityPolicy, "PolicyDocument"); err != nil {
				return err
			}
			if roles := props.get("Roles"); len(f.Documents) > before && roles != nil {
				f.Documents[before].Role = ""
				for _, x := range roles.items {
					for _, h := range x.holes {
						f.Documents[before].Role = h
					}
				}
			}
		case "AWS::Serverless::StateMachine", "AWS::Serverless::Function":
			err = f.sam(r.key, props.get("Policies"), at("Policies"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sam reads SAM's Policies: documents, templates, names and ARNs.
func (f *File) sam(name string, ps *node, path []string) error {
	if ps == nil {
		return nil
	}
	role := name
	one := func(n *node, name string, path []string) error {
		switch {
		case n.get("Statement") != nil:
			return f.add(name, role, iam.IdentityPolicy, n, path...)
		case n.kind == object && len(n.members) == 1:
			f.Skipped = append(f.Skipped, fmt.Sprintf("%s: the policy template %s", name, n.members[0].key))
		case n.kind == text:
			f.Skipped = append(f.Skipped, fmt.Sprintf("%s: the managed policy %s", name, strings.Join(append(slices.Clone(n.holes), strings.Trim(n.text, hole)), "")))
		default:
			return failure(n, "%s: a policy that cannot be read", name)
		}
		return nil
	}
	if ps.kind != list {
		return one(ps, name, path)
	}
	for i, n := range ps.items {
		if err := one(n, name+"."+index("Policies", i), append(slices.Clone(path), index("", i))); err != nil {
			return err
		}
	}
	return nil
}

// parseMarkup reads YAML, of which JSON is a part.
func parseMarkup(src []byte, fill *fill) (*node, error) {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(src)).Decode(&doc); err != nil {
		return nil, fmt.Errorf("1:1: %w", err)
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("1:1: no document")
	}
	p := &yamlReader{fill: fill}
	n := p.node(doc.Content[0], 0)
	return n, p.err
}

// maxNodes bounds what aliases can blow up.
const maxNodes = 1 << 20

type yamlReader struct {
	fill  *fill // nil: intrinsic functions are not read
	nodes int
	err   error
}

func (p *yamlReader) node(y *yaml.Node, depth int) *node {
	n := &node{line: y.Line, column: y.Column}
	if p.nodes++; depth > maxDepth || p.nodes > maxNodes {
		if p.err == nil {
			p.err = failure(n, "nested more than %d deep, or more than %d values", maxDepth, maxNodes)
		}
		return n
	}
	if p.fill != nil && strings.HasPrefix(y.Tag, "!") && !strings.HasPrefix(y.Tag, "!!") {
		plain := *y
		plain.Tag = ""
		if y.Kind == yaml.ScalarNode {
			plain.Tag = "!!str"
		}
		name := strings.TrimPrefix(y.Tag, "!")
		if name != "Ref" && name != "Condition" {
			name = "Fn::" + name
		}
		return p.function(name, p.node(&plain, depth+1), n)
	}
	switch y.Kind {
	case yaml.AliasNode:
		return p.node(y.Alias, depth+1)
	case yaml.MappingNode:
		n.kind = object
		for i := 0; i+1 < len(y.Content); i += 2 {
			k, v := y.Content[i], p.node(y.Content[i+1], depth+1)
			if k.Tag == "!!merge" {
				n.members = append(n.members, v.members...)
				continue
			}
			n.members = append(n.members, member{k.Value, k.Line, k.Column, v})
		}
		if p.fill != nil && len(n.members) == 1 && (n.members[0].key == "Ref" || strings.HasPrefix(n.members[0].key, "Fn::")) {
			return p.function(n.members[0].key, n.members[0].value, n)
		}
		return n
	case yaml.SequenceNode:
		n.kind = list
		for _, c := range y.Content {
			n.items = append(n.items, p.node(c, depth+1))
		}
		return n
	}
	switch y.Tag {
	case "!!null":
		n.kind, n.scalar = scalar, value.Null()
	case "!!bool", "!!int", "!!float":
		if v, err := value.ParseString(strings.ToLower(y.Value)); err == nil {
			n.kind, n.scalar = scalar, v
			return n
		}
		n.text = y.Value
	case "!!timestamp", "!!str", "!!binary", "":
		// A policy's Version looks like a date.
		n.text = y.Value
	default:
		n.text = y.Value
	}
	return n
}

// function reads one of CloudFormation's functions; n is where it stands.
func (p *yamlReader) function(name string, arg, n *node) *node {
	at := func(x *node) *node { x.line, x.column = n.line, n.column; return x }
	whole := func() *node {
		var holes []string
		v := arg.value(&holes)
		as := strings.TrimPrefix(name, "Fn::") + " " + strings.Trim(v.Compact().JSON(), `"`)
		if arg.kind == text && len(arg.holes) == 0 {
			as = arg.text
		}
		return unknown(as, n.line, n.column)
	}
	switch name {
	case "Ref":
		if s, ok := p.fill.reference(arg.str()); ok {
			return at(&node{text: s})
		}
		return whole()
	case "Fn::Sub":
		in, vars := arg, (*node)(nil)
		if arg.kind == list && len(arg.items) == 2 {
			in, vars = arg.items[0], arg.items[1]
		}
		if in.kind != text {
			return whole()
		}
		return at(p.sub(in.text, vars))
	case "Fn::Join":
		if arg.kind != list || len(arg.items) != 2 || arg.items[0].kind != text || arg.items[1].kind != list {
			return whole()
		}
		out := &node{}
		for i, x := range arg.items[1].items {
			if x.kind != text {
				return whole()
			}
			if i > 0 {
				out.text += arg.items[0].text
			}
			out.text += x.text
			out.holes = append(out.holes, x.holes...)
		}
		return at(out)
	case "Fn::If":
		return &node{kind: opaque, why: "Fn::If chooses between policies", line: n.line, column: n.column}
	case "Fn::GetAtt":
		if arg.kind == list {
			var parts []string
			for _, x := range arg.items {
				parts = append(parts, x.text)
			}
			return unknown(strings.Join(parts, "."), n.line, n.column)
		}
	}
	return whole()
}

// sub reads Fn::Sub's text: ${Name}, and ${!Literal}.
func (p *yamlReader) sub(s string, vars *node) *node {
	out := &node{}
	for {
		before, rest, ok := strings.Cut(s, "${")
		out.text += before
		if !ok {
			return out
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			out.text += "${" + rest
			return out
		}
		s = after
		if lit, ok := strings.CutPrefix(name, "!"); ok {
			out.text += "${" + lit + "}"
			continue
		}
		if v := vars.get(name); v != nil && v.kind == text {
			out.text += v.text
			out.holes = append(out.holes, v.holes...)
			continue
		}
		if known, ok := p.fill.reference(name); ok {
			out.text += known
			continue
		}
		out.text += hole
		out.holes = append(out.holes, name)
	}
}
