package policyfile

import (
	"strconv"
	"strings"

	"tokaido/value"
)

// node is a value of a file with the place at which it stands.
type node struct {
	kind         kind
	line, column int

	text    string      // texts: hole where something is filled in later
	scalar  value.Value // booleans, numbers, null
	members []member    // objects
	items   []*node     // lists

	holes []string // what is filled in later, as the file writes it
	why   string   // of what cannot be read
}

type kind uint8

const (
	text kind = iota
	scalar
	object
	list
	opaque // computed: nothing is known of it, or it cannot be read
)

type member struct {
	key          string
	line, column int
	value        *node
}

// hole stands in a text for what is filled in later. No document has the
// character: IAM refuses it.
const hole = "\u2026"

func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if n.members[i].key == key {
			return n.members[i].value
		}
	}
	return nil
}

// str is a text without holes; "" if n is none.
func (n *node) str() string {
	if n == nil || n.kind != text {
		return ""
	}
	return n.text
}

// unknown is something that is filled in later.
func unknown(as string, line, column int) *node {
	return &node{kind: text, text: hole, holes: []string{as}, line: line, column: column}
}

// value is n as a document has it; holes are collected.
func (n *node) value(holes *[]string) value.Value {
	if n == nil {
		return value.Value{}
	}
	*holes = append(*holes, n.holes...)
	switch n.kind {
	case text:
		return value.String(n.text)
	case object:
		m := make([]value.Member, len(n.members))
		for i, x := range n.members {
			m[i] = value.Member{Key: x.key, Value: x.value.value(holes)}
		}
		return value.Object(m...)
	case list:
		items := make([]value.Value, len(n.items))
		for i, x := range n.items {
			items[i] = x.value(holes)
		}
		return value.Array(items...)
	case scalar:
		return n.scalar
	}
	return value.Value{}
}

// unreadable finds the first part that cannot be read.
func (n *node) unreadable() *node {
	if n == nil || n.kind == opaque {
		return n
	}
	for _, m := range n.members {
		if x := m.value.unreadable(); x != nil {
			return x
		}
	}
	for _, x := range n.items {
		if x := x.unreadable(); x != nil {
			return x
		}
	}
	return nil
}

// place finds where an element of a statement stands: the item of it that says
// this, else the element, else the statement.
func (n *node) place(statement int, element, says string) (line, column int) {
	line, column = n.line, n.column
	if statement < 0 {
		return line, column
	}
	st := n.get("Statement")
	if st == nil {
		return line, column
	}
	if st.kind == list {
		if statement >= len(st.items) {
			return line, column
		}
		st = st.items[statement]
	}
	line, column = st.line, st.column
	at := st
	for element != "" {
		found := false
		for _, m := range at.members {
			if rest, ok := strings.CutPrefix(element, m.key); ok && (rest == "" || rest[0] == '.') {
				line, column, at, element, found = m.line, m.column, m.value, strings.TrimPrefix(rest, "."), true
				break
			}
		}
		if !found {
			return line, column
		}
	}
	for _, x := range at.items {
		if x.str() == says {
			return x.line, x.column
		}
	}
	return line, column
}

// fill puts what is known, or a pattern, where the holes are.
type fill struct {
	region, account, partition string
}

// reference is what a well-known reference stands for; ok is false for others.
func (f *fill) reference(name string) (string, bool) {
	star := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	switch name {
	case "AWS::Region":
		return star(f.region), true
	case "AWS::AccountId":
		return star(f.account), true
	case "AWS::Partition":
		return f.partition, true
	case "AWS::URLSuffix":
		return "amazonaws.com", true
	case "AWS::StackName", "AWS::StackId", "AWS::NoValue":
		return "", false
	}
	p := strings.Split(name, ".")
	if len(p) == 4 && p[0] == "data" {
		switch p[1] + "." + p[3] {
		case "aws_region.name", "aws_region.id", "aws_region.region":
			return star(f.region), true
		case "aws_caller_identity.account_id", "aws_caller_identity.id":
			return star(f.account), true
		case "aws_partition.partition", "aws_partition.id":
			return f.partition, true
		case "aws_partition.dns_suffix":
			return "amazonaws.com", true
		}
	}
	return "", false
}

// settle makes a policy of a document with holes: what is filled in later is
// taken for whatever fits. A whole resource becomes a pattern of the service
// that the statement's first action is of. filled are the resources made so.
func settle(doc value.Value, filled *[]string) value.Value {
	st := doc.Get("Statement")
	if st.IsObject() {
		return doc.With("Statement", settleStatement(st, filled))
	}
	for i, s := range st.Items() {
		st = st.WithItem(i, settleStatement(s, filled))
	}
	return doc.With("Statement", st)
}

func settleStatement(st value.Value, filled *[]string) value.Value {
	service := "aws"
	for _, k := range []string{"Action", "NotAction"} {
		a := st.Get(k)
		if a.IsArray() && a.Len() > 0 {
			a = a.At(0)
		}
		if s, _, ok := strings.Cut(a.Str(), ":"); ok && s != "*" {
			service = s
		}
	}
	for _, k := range []string{"Resource", "NotResource"} {
		v := st.Get(k)
		if v.IsString() {
			st = st.With(k, value.String(settleResource(v.Str(), service, filled)))
		}
		if v.IsArray() {
			for i, x := range v.Items() {
				if x.IsString() {
					v = v.WithItem(i, value.String(settleResource(x.Str(), service, filled)))
				}
			}
			st = st.With(k, v)
		}
	}
	// What is left stands where no pattern can: in actions, which then name
	// nothing, in conditions and principals.
	return replace(st, func(s string) string { return strings.ReplaceAll(s, hole, unfilled) })
}

// unfilled stands in conditions for what is filled in later.
const unfilled = "unfilled"

func settleResource(s, service string, filled *[]string) (pattern string) {
	if !strings.Contains(s, hole) {
		return s
	}
	defer func() { *filled = append(*filled, pattern) }()
	whole := "arn:aws:" + service + ":*:*:*"
	if service == "aws" {
		whole = "*"
	}
	if rest, ok := strings.CutPrefix(s, hole); ok {
		if rest == "" {
			return whole
		}
		switch service { // an ARN with something behind it
		case "s3":
			return "arn:aws:s3:::*" + strings.ReplaceAll(rest, hole, "*")
		case "aws":
			return "*"
		}
		return "arn:aws:" + service + ":*:*:*" + strings.ReplaceAll(rest, hole, "*")
	}
	return strings.ReplaceAll(s, hole, "*")
}

func replace(v value.Value, f func(string) string) value.Value {
	switch {
	case v.IsString():
		if strings.Contains(v.Str(), hole) {
			return value.String(f(v.Str()))
		}
	case v.IsObject():
		for k, x := range v.Members() {
			if y := replace(x, f); !value.Equal(x, y) {
				v = v.With(k, y)
			}
		}
	case v.IsArray():
		for i, x := range v.Items() {
			if y := replace(x, f); !value.Equal(x, y) {
				v = v.WithItem(i, y)
			}
		}
	}
	return v
}

func index(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }
