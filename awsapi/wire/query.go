package wire

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tokaido/fault"
	"tokaido/value"
)

// Form is a Query request.
type Form struct {
	Action, Version string
	Input           value.Value // an object; its leaves are strings
}

// FormFields reads a form's names and values, in order.
func FormFields(body string) ([][2]string, error) {
	if n := strings.Count(body, "&") + 1; n > MaxFormFields {
		return nil, fault.Newf("MalformedInput", "The request has %d parameters, more than %d.", n, MaxFormFields)
	}
	var fields [][2]string
	for part := range strings.SplitSeq(body, "&") {
		if part == "" {
			continue
		}
		name, v, _ := strings.Cut(part, "=")
		var f [2]string
		var err error
		if f[0], err = url.QueryUnescape(name); err == nil {
			f[1], err = url.QueryUnescape(v)
		}
		if err != nil {
			return nil, fault.Newf("MalformedQueryString", "The parameter %.64q is not form-encoded: %v", part, err)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// FoldFields makes a Form of fields that are decoded already. Members of lists
// are called NAME.member.N, those of maps NAME.entry.N.key and .value, those of
// structures NAME.MEMBER.
func FoldFields(fields [][2]string) (Form, error) {
	if len(fields) > MaxFormFields {
		return Form{}, fault.Newf("MalformedInput", "The request has %d parameters, more than %d.", len(fields), MaxFormFields)
	}
	var f Form
	root := new(fieldTree)
	for _, kv := range fields {
		name, v := kv[0], kv[1]
		if !utf8.ValidString(name) || !utf8.ValidString(v) {
			return Form{}, fault.Newf("MalformedQueryString", "The parameter %.64q is not UTF-8.", name)
		}
		switch name {
		case "Action", "Version":
			at := &f.Action
			if name == "Version" {
				at = &f.Version
			}
			if *at != "" {
				return Form{}, fault.Newf("MalformedInput", "The parameter %s is given more than once.", name)
			}
			*at = v
			continue
		}
		if err := root.put(name, v); err != nil {
			return Form{}, err
		}
	}
	in, err := root.value("")
	f.Input = in
	return f, err
}

// fieldTree is a form's fields by the parts of their names, in the order in which they
// came.
type fieldTree struct {
	set   bool
	leaf  string
	names []string
	kids  map[string]*fieldTree
}

func (t *fieldTree) put(name, v string) error {
	if n := strings.Count(name, ".") + 1; n > MaxFormDepth {
		return fault.Newf("MalformedInput", "The parameter %.64q has more than %d parts.", name, MaxFormDepth)
	}
	at := t
	for part := range strings.SplitSeq(name, ".") {
		if part == "" {
			return fault.Newf("MalformedInput", "The parameter %.64q has an empty part.", name)
		}
		next := at.kids[part]
		if next == nil {
			if at.kids == nil {
				at.kids = make(map[string]*fieldTree)
			}
			next = new(fieldTree)
			at.kids[part] = next
			at.names = append(at.names, part)
		}
		at = next
	}
	if at.set {
		return fault.Newf("MalformedInput", "The parameter %.64q is given more than once.", name)
	}
	at.set, at.leaf = true, v
	return nil
}

func (t *fieldTree) value(name string) (value.Value, error) {
	switch {
	case t.set && len(t.kids) > 0:
		if t.leaf != "" {
			return value.Value{}, fault.Newf("MalformedInput", "The parameter %.64q is both a value and a structure.", name)
		}
	case t.set:
		return value.String(t.leaf), nil
	}
	if len(t.names) == 1 && name != "" {
		only := t.kids[t.names[0]]
		switch t.names[0] {
		case "member":
			if items, ok := only.numbered(); ok {
				return list(items, name)
			}
		case "entry":
			if items, ok := only.numbered(); ok {
				return mapping(items, name)
			}
		}
	}
	members := make([]value.Member, 0, len(t.names))
	for _, n := range t.names {
		v, err := t.kids[n].value(join(name, n))
		if err != nil {
			return value.Value{}, err
		}
		members = append(members, value.Member{Key: n, Value: v})
	}
	return value.Object(members...), nil
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

type numberedField struct {
	n int
	t *fieldTree
}

// numbered returns the children in the order of their numbers, if all of them
// are numbers.
func (t *fieldTree) numbered() ([]numberedField, bool) {
	if t.set || len(t.names) == 0 {
		return nil, false
	}
	out := make([]numberedField, 0, len(t.names))
	for _, name := range t.names {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > MaxListIndex || strconv.Itoa(n) != name {
			return nil, false
		}
		out = append(out, numberedField{n, t.kids[name]})
	}
	slices.SortFunc(out, func(a, b numberedField) int { return a.n - b.n })
	return out, true
}

func list(items []numberedField, name string) (value.Value, error) {
	out := make([]value.Value, 0, len(items))
	for _, it := range items {
		v, err := it.t.value(name + ".member." + strconv.Itoa(it.n))
		if err != nil {
			return value.Value{}, err
		}
		out = append(out, v)
	}
	return value.Array(out...), nil
}

func mapping(items []numberedField, name string) (value.Value, error) {
	out := make([]value.Member, 0, len(items))
	for _, it := range items {
		at := name + ".entry." + strconv.Itoa(it.n)
		k, v := it.t.kids["key"], it.t.kids["value"]
		if k == nil || !k.set || v == nil || len(it.t.names) != 2 {
			return value.Value{}, fault.Newf("MalformedInput", "The parameter %.64q needs a key and a value.", at)
		}
		x, err := v.value(at + ".value")
		if err != nil {
			return value.Value{}, err
		}
		out = append(out, value.Member{Key: k.leaf, Value: x})
	}
	return value.Object(out...), nil
}

// XML is the answer of a Query operation. The members of body become the
// children of OpResult, lists of key and value the entries of a map; an Undefined body leaves it out, as operations without
// output do.
func XML(op, namespace, requestID string, body value.Value) []byte {
	b := make([]byte, 0, 512)
	b = append(b, '<')
	b = append(b, op...)
	b = append(b, `Response xmlns="`...)
	b = appendEscaped(b, namespace)
	b = append(b, "\">\n  "...)
	if !body.IsUndefined() {
		b = appendElement(b, op+"Result", body)
		b = append(b, "\n  "...)
	}
	b = append(b, "<ResponseMetadata>\n    <RequestId>"...)
	b = appendEscaped(b, requestID)
	b = append(b, "</RequestId>\n  </ResponseMetadata>\n</"...)
	b = append(b, op...)
	return append(b, "Response>\n"...)
}

// appendElement appends <name>v</name>; nothing for null and for no value.
func appendElement(b []byte, name string, v value.Value) []byte {
	if v.IsUndefined() || v.IsNull() {
		return b
	}
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, '>')
	switch v.Kind() {
	case value.KindObject:
		for k, x := range v.Members() {
			b = appendElement(b, k, x)
		}
	case value.KindArray:
		for _, x := range v.Items() {
			item := "member"
			if x.Len() == 2 && x.Has("key") && x.Has("value") { // of a map
				item = "entry"
			}
			b = appendElement(b, item, x)
		}
	case value.KindString:
		b = appendEscaped(b, v.Str())
	default:
		b = v.AppendJSON(b)
	}
	b = append(b, '<', '/')
	b = append(b, name...)
	return append(b, '>')
}

// appendEscaped appends s as XML text, or as an attribute if it has no quotes.
// What XML 1.0 cannot hold becomes U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		esc := ""
		switch {
		case r == '&':
			esc = "&amp;"
		case r == '<':
			esc = "&lt;"
		case r == '>':
			esc = "&gt;"
		case r == '\r':
			esc = "&#xD;" // a parser makes \n of a bare one
		case r == '\t', r == '\n':
		case r < 0x20, r == 0xFFFE, r == 0xFFFF, r == utf8.RuneError && n == 1:
			esc = "\uFFFD"
		}
		if esc != "" {
			b = append(b, s[from:i]...)
			b = append(b, esc...)
			from = i + n
		}
		i += n
	}
	return append(b, s[from:]...)
}
