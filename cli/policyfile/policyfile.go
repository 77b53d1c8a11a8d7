// Package policyfile finds the policies in files that people keep them in: IAM
// documents, what `tokaido policy generate` writes, CloudFormation, SAM and CDK
// templates, and Terraform configuration.
//
// It reads, it does not run: what a template or a configuration fills in later
// is taken for whatever fits and listed (Holes), and a policy that is computed
// in a way that it does not follow is an error with its line, never left out.
package policyfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"tokaido/iam"
	"tokaido/value"
)

// Limits of what is read.
const (
	MaxFile      = 8 << 20 // bytes
	MaxDocuments = 2000
	maxDepth     = 200 // of nesting
)

// Options say what the well-known references stand for.
type Options struct {
	Region  string // "": any
	Account string // "": any
}

// File is a file with its policies.
type File struct {
	Documents []Document
	Skipped   []string // what there is of policies that is none of a document, as SAM's policy templates and managed ones

	src  []byte
	json bool
}

// Document is one policy.
type Document struct {
	Name  string // as the file calls it; "" if the file is the policy
	Kind  iam.Kind
	Role  string      // whose it is, as the file calls that; "" if it does not say
	Value value.Value // with patterns where Holes are
	Holes []string    // what is filled in later

	// Filled are the resources that stand where something is filled in later.
	Filled []string

	root *node
	path []string // of members and items, where the file is JSON
}

// Place is where an element of a statement stands; 1-based, 0 if not known.
func (d *Document) Place(statement int, element, says string) (line, column int) {
	if d.root == nil {
		return 0, 0
	}
	return d.root.place(statement, element, says)
}

// Read finds the policies in a file. name says by its ending what it is; what
// has no telling ending is JSON, or YAML if it is not that.
func Read(name string, src []byte, o Options) (*File, error) {
	if len(src) > MaxFile {
		return nil, fmt.Errorf("%s: %d bytes; the limit is %d", name, len(src), MaxFile)
	}
	f := &File{src: src}
	fill := &fill{o.Region, o.Account, "aws"}
	var err error
	switch strings.ToLower(filepath.Ext(name)) {
	case ".tf":
		err = f.terraform(src, fill)
	default:
		err = f.markup(src, fill)
	}
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	if len(f.Documents) > MaxDocuments {
		return nil, fmt.Errorf("%s: %d policies; the limit is %d", name, len(f.Documents), MaxDocuments)
	}
	return f, nil
}

// failure is what cannot be read, with its line.
func failure(n *node, format string, args ...any) error {
	line, column := 1, 1
	if n != nil && n.line > 0 {
		line, column = n.line, n.column
	}
	return fmt.Errorf("%d:%d: %s", line, column, fmt.Sprintf(format, args...))
}

// add keeps a document. kind 0 is told from what is in it.
func (f *File) add(name, role string, kind iam.Kind, n *node, path ...string) error {
	if n.kind == text && !strings.Contains(n.text, hole) {
		// A document as text, as AWS's own answers and heredocs have it.
		if in, err := parseMarkup([]byte(n.text), nil); err == nil && in.kind == object {
			moved(in, n.line)
			n, path = in, nil
		}
	}
	if x := n.unreadable(); x != nil || n.kind != object {
		if x == nil {
			return failure(n, "%s: the policy is not a document that can be read", called(name))
		}
		return failure(x, "%s: the policy cannot be read: %s", called(name), x.why)
	}
	d := Document{Name: name, Role: role, Kind: kind, root: n, path: path}
	d.Value = n.value(&d.Holes)
	if !d.Value.Has("Statement") {
		return failure(n, "%s: the policy has no Statement", called(name))
	}
	if d.Kind == 0 {
		d.Kind = kindOf(d.Value)
	}
	for _, a := range actions(d.Value) {
		if strings.Contains(a, hole) {
			return failure(n, "%s: an action is filled in later (%s): the policy cannot be judged", called(name), strings.Join(d.Holes, ", "))
		}
	}
	if len(d.Holes) > 0 {
		d.Value = settle(d.Value, &d.Filled)
		if strings.Contains(d.Value.JSON(), hole) {
			return failure(n, "%s: what the policy says is filled in later: %s", called(name), strings.Join(d.Holes, ", "))
		}
		slices.Sort(d.Holes)
		d.Holes = slices.Compact(d.Holes)
	}
	f.Documents = append(f.Documents, d)
	return nil
}

func called(name string) string {
	if name == "" {
		return "the file"
	}
	return name
}

// moved puts what was parsed from a text at the text's lines.
func moved(n *node, line int) {
	if line == 0 {
		return
	}
	n.line += line - 1
	for i := range n.members {
		n.members[i].line += line - 1
		moved(n.members[i].value, line)
	}
	for _, x := range n.items {
		moved(x, line)
	}
}

func statements(doc value.Value) (out []value.Value) {
	st := doc.Get("Statement")
	if st.IsObject() {
		return []value.Value{st}
	}
	for _, s := range st.Items() {
		out = append(out, s)
	}
	return out
}

func texts(v value.Value) (out []string) {
	if v.IsString() {
		return []string{v.Str()}
	}
	for _, x := range v.Items() {
		out = append(out, x.Str())
	}
	return out
}

func actions(doc value.Value) (out []string) {
	for _, st := range statements(doc) {
		out = append(out, texts(st.Get("Action"))...)
		out = append(out, texts(st.Get("NotAction"))...)
	}
	return out
}

// kindOf tells a document's kind: one with principals belongs to a resource,
// and if it is only about assuming, to a role.
func kindOf(doc value.Value) iam.Kind {
	principals, trust := false, true
	for _, st := range statements(doc) {
		principals = principals || st.Has("Principal") || st.Has("NotPrincipal")
		trust = trust && !st.Has("Resource") && !st.Has("NotResource")
	}
	for _, a := range actions(doc) {
		trust = trust && (strings.HasPrefix(strings.ToLower(a), "sts:") || a == "*")
	}
	switch {
	case principals && trust:
		return iam.TrustPolicy
	case principals:
		return iam.ResourcePolicy
	}
	return iam.IdentityPolicy
}

// CanRewrite reports whether documents of the file can be put back: only JSON
// is printed as it was read, and only a document without holes is whole.
func (f *File) CanRewrite(d *Document) bool { return f.json && d.path != nil && len(d.Holes) == 0 }

// Rewrite is the file with changed documents in it, by their index.
func (f *File) Rewrite(changed map[int]value.Value) ([]byte, error) {
	v, err := value.Parse(f.src)
	if err != nil {
		return nil, err
	}
	for i := range f.Documents {
		d, ok := changed[i]
		if !ok {
			continue
		}
		if !f.CanRewrite(&f.Documents[i]) {
			return nil, fmt.Errorf("%s cannot be put back", called(f.Documents[i].Name))
		}
		v = with(v, f.Documents[i].path, d)
	}
	indent := "  "
	for line := range bytes.Lines(f.src) {
		if n := len(line) - len(bytes.TrimLeft(line, " \t")); n > 0 {
			indent = string(line[:n])
			break
		}
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(v.Compact().JSON()), "", indent); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// with is v with x at a path.
func with(v value.Value, path []string, x value.Value) value.Value {
	if len(path) == 0 {
		return x
	}
	if v.IsArray() {
		for i := range v.Len() {
			if index("", i) == path[0] {
				return v.WithItem(i, with(v.At(i), path[1:], x))
			}
		}
		return v
	}
	return v.With(path[0], with(v.Get(path[0]), path[1:], x))
}
