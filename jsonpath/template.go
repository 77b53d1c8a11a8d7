package jsonpath

import (
	"strings"

	"tokaido/value"
)

// Suffix marks the members of a payload template whose value is computed.
const Suffix = ".$"

// Template is a compiled payload template. It does not change and may be
// shared.
type Template struct {
	root  node
	exprs []*Expression // in the order of the document
}

// node is a part of a template. One that has nothing to compute keeps the
// value that was written, and copying it costs nothing.
type node struct {
	lit   value.Value
	expr  *Expression
	field string   // the member's name with its suffix, for messages
	keys  []string // object
	kids  []node   // object and array
}

func (n *node) constant() bool { return n.expr == nil && n.kids == nil }

// FieldError says which member of a template is no path and no call.
type FieldError struct {
	Field string // with its suffix
	Err   error
}

func (e *FieldError) Error() string {
	return "The value for the field '" + e.Field + "' must be a valid JSONPath or a valid intrinsic function call"
}

func (e *FieldError) Unwrap() error { return e.Err }

// FieldErrors are all that is wrong with a template, in the order of the document.
type FieldErrors []*FieldError

func (e FieldErrors) Error() string {
	s := make([]string, len(e))
	for i := range e {
		s[i] = e[i].Error()
	}
	return strings.Join(s, ", ")
}

// CompileTemplate compiles a payload template. The error is a FieldErrors.
func CompileTemplate(v value.Value) (*Template, error) {
	t := &Template{}
	var bad FieldErrors
	t.root = t.compile(v, &bad)
	if bad != nil {
		return nil, bad
	}
	return t, nil
}

// CompileMember compiles one member of a template, as an Assign field has them.
// name is the member's name without the suffix.
func CompileMember(key string, v value.Value) (name string, t *Template, err error) {
	t = &Template{}
	var bad FieldErrors
	name, t.root = t.member(key, v, &bad)
	if bad != nil {
		return name, nil, bad
	}
	return name, t, nil
}

func (t *Template) member(key string, v value.Value, bad *FieldErrors) (string, node) {
	name, ok := strings.CutSuffix(key, Suffix)
	if !ok {
		return key, t.compile(v, bad)
	}
	n := node{field: key, lit: v}
	if !v.IsString() {
		*bad = append(*bad, &FieldError{key, &SyntaxError{Text(v), 0, "not a string"}})
		return name, n
	}
	e, err := CompileExpression(v.Str())
	if err != nil {
		*bad = append(*bad, &FieldError{key, err})
		return name, n
	}
	n.expr = e
	t.exprs = append(t.exprs, e)
	return name, n
}

func (t *Template) compile(v value.Value, bad *FieldErrors) node {
	n := node{lit: v}
	dynamic := false
	switch {
	case v.IsObject():
		n.keys = make([]string, 0, v.Len())
		n.kids = make([]node, 0, v.Len())
		for key, x := range v.Members() {
			name, kid := t.member(key, x, bad)
			n.keys = append(n.keys, name)
			n.kids = append(n.kids, kid)
			dynamic = dynamic || !kid.constant()
		}
	case v.IsArray():
		n.kids = make([]node, 0, v.Len())
		for _, x := range v.Items() {
			kid := t.compile(x, bad)
			n.kids = append(n.kids, kid)
			dynamic = dynamic || !kid.constant()
		}
	}
	if !dynamic {
		n.keys, n.kids = nil, nil
	}
	return n
}

// Constant reports whether there is nothing to compute.
func (t *Template) Constant() bool { return t.root.constant() }

// Expressions returns the template's expressions in the order of the document.
func (t *Template) Expressions() []*Expression { return t.exprs }

// Eval computes the template. The error is a *Failure.
func (t *Template) Eval(s *Scope) (value.Value, error) { return t.root.eval(s) }

func (n *node) eval(s *Scope) (value.Value, error) {
	switch {
	case n.expr != nil:
		return n.expr.Field(s, n.field)
	case n.kids == nil:
		return n.lit, nil
	case n.keys == nil:
		items := make([]value.Value, len(n.kids))
		for i := range n.kids {
			v, err := n.kids[i].eval(s)
			if err != nil {
				return value.Value{}, err
			}
			items[i] = v
		}
		return value.Array(items...), nil
	}
	m := make([]value.Member, len(n.kids))
	for i := range n.kids {
		v, err := n.kids[i].eval(s)
		if err != nil {
			return value.Value{}, err
		}
		m[i] = value.Member{Key: n.keys[i], Value: v}
	}
	return value.Object(m...), nil
}
