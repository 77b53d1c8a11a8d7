package policygen

import (
	"fmt"
	"strings"

	"tokaido/iam"
	"tokaido/value"
)

// Formats are what Render writes.
var Formats = []string{"json", "terraform", "cloudformation", "cdk"}

// Render writes the role with its policies in one of Formats; lang is the
// language of the findings within, "ja" or English.
func (r *Result) Render(format, lang string) (string, error) {
	switch format {
	case "json":
		return iam.Indent(r.Value(lang)), nil
	case "terraform":
		return r.terraform(), nil
	case "cloudformation":
		return r.cloudFormation(), nil
	case "cdk":
		return r.cdk(), nil
	}
	return "", fmt.Errorf("no format %q; formats are %s", format, strings.Join(Formats, ", "))
}

// document is a policy as a value; undefined if there is none.
func document(p *iam.Policy) value.Value {
	if p == nil {
		return value.Value{}
	}
	return value.MustParse(p.JSON())
}

func str(s string) value.Value { return value.String(s) }

func member(k string, v value.Value) value.Member { return value.Member{Key: k, Value: v} }

// Value is all of the result as data.
func (r *Result) Value(lang string) value.Value {
	var findings, targets, split []value.Value
	for i := range r.Findings {
		f := &r.Findings[i]
		findings = append(findings, value.Object(
			member("id", str(f.ID)), member("severity", str(f.Severity.String())), member("where", str(f.Where())), member("source", text(f.Source)),
			member("text", str(f.Text(lang)))))
	}
	for _, t := range r.Targets {
		targets = append(targets, value.Object(member("role", str(t.Role)), member("policy", document(t.Policy))))
	}
	for _, p := range r.Policies {
		split = append(split, document(p))
	}
	list := func(vs []value.Value) value.Value {
		if vs == nil {
			return value.Value{}
		}
		return value.Array(vs...)
	}
	policy := document(r.Policy)
	if split != nil {
		policy = value.Value{}
	}
	return value.Object(
		member("stateMachineArn", str(r.Machine.ARN())), member("policy", policy), member("managedPolicies", list(split)),
		member("trust", document(r.Trust)), member("caller", document(r.Caller)), member("targets", list(targets)), member("findings", list(findings)))
}

func text(s string) value.Value {
	if s == "" {
		return value.Value{}
	}
	return value.String(s)
}

// documents are the role's policies by what they are called.
func (r *Result) documents() (names []string, docs []value.Value) {
	if r.Policies != nil {
		for i, p := range r.Policies {
			names, docs = append(names, fmt.Sprintf("Execution%d", i+1)), append(docs, document(p))
		}
	} else if r.Policy != nil {
		names, docs = []string{"Execution"}, []value.Value{document(r.Policy)}
	}
	return names, docs
}

// word is a name that every format takes.
func word(s string) string {
	w := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
	if w == "" || w[0] >= '0' && w[0] <= '9' {
		w = "Machine" + w
	}
	return strings.ToUpper(w[:1]) + w[1:]
}

// comment is what the roles of Credentials need, for a reader.
func (r *Result) comment(mark string) string {
	var b strings.Builder
	for _, t := range r.Targets {
		fmt.Fprintf(&b, "%s The role %s, which the state machine assumes for some of its tasks, needs:\n", mark, t.Role)
		if t.Policy == nil {
			fmt.Fprintf(&b, "%s   nothing\n", mark)
			continue
		}
		for line := range strings.Lines(t.Policy.JSON()) {
			b.WriteString(mark + "   " + line)
		}
	}
	return b.String()
}

func (r *Result) terraform() string {
	name := strings.ToLower(word(r.Machine.Name))
	var b strings.Builder
	fmt.Fprintf(&b, "resource \"aws_iam_role\" %q {\n  name = %q\n\n  assume_role_policy = jsonencode(%s)\n}\n", name, r.Machine.RoleName(), hcl(document(r.Trust), "  "))
	names, docs := r.documents()
	for i, n := range names {
		if r.Policies == nil {
			fmt.Fprintf(&b, "\nresource \"aws_iam_role_policy\" %q {\n  name = %q\n  role = aws_iam_role.%s.id\n\n  policy = jsonencode(%s)\n}\n", name, n, name, hcl(docs[i], "  "))
			continue
		}
		at := fmt.Sprintf("%s_%d", name, i+1)
		fmt.Fprintf(&b, "\nresource \"aws_iam_policy\" %q {\n  name = %q\n\n  policy = jsonencode(%s)\n}\n", at, r.Machine.RoleName()+"-"+n, hcl(docs[i], "  "))
		fmt.Fprintf(&b, "\nresource \"aws_iam_role_policy_attachment\" %q {\n  role       = aws_iam_role.%s.name\n  policy_arn = aws_iam_policy.%s.arn\n}\n", at, name, at)
	}
	return b.String() + r.comment("#")
}

// hcl writes a value as an expression.
func hcl(v value.Value, margin string) string {
	inner := margin + "  "
	switch {
	case v.IsObject() && v.Len() > 0:
		width := 0
		for k := range v.Members() {
			width = max(width, len(hclKey(k)))
		}
		var b strings.Builder
		b.WriteString("{\n")
		for k, x := range v.Members() {
			fmt.Fprintf(&b, "%s%-*s = %s\n", inner, width, hclKey(k), hcl(x, inner))
		}
		return b.String() + margin + "}"
	case v.IsArray() && v.Len() > 0:
		var b strings.Builder
		b.WriteString("[\n")
		for _, x := range v.Items() {
			b.WriteString(inner + hcl(x, inner) + ",\n")
		}
		return b.String() + margin + "]"
	case v.IsString():
		return hclString(v.Str())
	}
	return v.JSON()
}

func hclString(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(value.String(s).JSON())
}

func hclKey(k string) string {
	if word(k) == k {
		return k
	}
	return hclString(k)
}

func (r *Result) cloudFormation() string {
	name := word(r.Machine.Name) + "Role"
	var b strings.Builder
	fmt.Fprintf(&b, "Resources:\n  %s:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument:\n%s", name, yamlOf(document(r.Trust), "        "))
	names, docs := r.documents()
	if r.Policies == nil && names != nil {
		fmt.Fprintf(&b, "      Policies:\n        - PolicyName: %s\n          PolicyDocument:\n%s", names[0], yamlOf(docs[0], "            "))
	}
	if r.Policies != nil {
		for i, n := range names {
			fmt.Fprintf(&b, "  %s%s:\n    Type: AWS::IAM::ManagedPolicy\n    Properties:\n      Roles:\n        - !Ref %s\n      PolicyDocument:\n%s", name, n, name, yamlOf(docs[i], "        "))
		}
	}
	return b.String() + r.comment("#")
}

// yamlOf writes a value as a block; texts are quoted as JSON has them, which
// YAML has too.
func yamlOf(v value.Value, margin string) string {
	var b strings.Builder
	entry := func(head string, x value.Value) {
		switch {
		case (x.IsObject() || x.IsArray()) && x.Len() > 0:
			b.WriteString(head + "\n" + yamlOf(x, margin+"  "))
		default:
			b.WriteString(head + " " + x.JSON() + "\n")
		}
	}
	for k, x := range v.Members() {
		if word(k) != k {
			k = value.String(k).JSON()
		}
		entry(margin+k+":", x)
	}
	for _, x := range v.Items() {
		if x.IsObject() && x.Len() > 0 {
			b.WriteString(margin + "- " + strings.TrimPrefix(yamlOf(x, margin+"  "), margin+"  "))
			continue
		}
		entry(margin+"-", x)
	}
	return b.String()
}

func (r *Result) cdk() string {
	name := word(r.Machine.Name)
	var b strings.Builder
	b.WriteString("import * as iam from 'aws-cdk-lib/aws-iam';\n\n")
	cond := document(r.Trust).Get("Statement").At(0).Get("Condition")
	fmt.Fprintf(&b, "const role = new iam.Role(this, %s, {\n  assumedBy: new iam.ServicePrincipal('%s', {\n    conditions: %s,\n  }),\n", ts(name+"Role"), servicePrincipal, indented(cond, "    "))
	names, docs := r.documents()
	if r.Policies == nil && names != nil {
		fmt.Fprintf(&b, "  inlinePolicies: {\n    %s: iam.PolicyDocument.fromJson(%s),\n  },\n", names[0], indented(docs[0], "    "))
	}
	b.WriteString("});\n")
	if r.Policies != nil {
		for i, n := range names {
			fmt.Fprintf(&b, "\nnew iam.ManagedPolicy(this, %s, {\n  roles: [role],\n  document: iam.PolicyDocument.fromJson(%s),\n});\n", ts(name+n), indented(docs[i], "  "))
		}
	}
	return b.String() + r.comment("//")
}

func ts(s string) string { return "'" + s + "'" }

func indented(v value.Value, margin string) string {
	return strings.ReplaceAll(strings.TrimSuffix(iam.Indent(v), "\n"), "\n", "\n"+margin)
}
