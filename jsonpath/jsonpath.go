// Package jsonpath is the JSONPath side of the Amazon States Language: paths,
// reference paths, payload templates and intrinsic functions. Everything is
// compiled once and evaluated any number of times, from any number of
// goroutines, over documents that stay as they are.
//
// The paths are those of AWS, which are Jayway's: its grammar, its results, and
// the words it fails with, because users read those words in histories. What
// AWS does not have (functions such as length(), script expressions) is not
// here either.
//
// The package refuses to run away: a path that visits too much and a call whose
// result grows too large are failures.
package jsonpath

import (
	"strconv"
	"strings"

	"tokaido/value"
)

// Limits.
const (
	MaxSource  = 1 << 20 // bytes of a path or an expression
	MaxTokens  = 1000    // steps of a path
	maxVisits  = 1 << 23 // values that one evaluation may look at
	maxResults = 1 << 20 // results of one path
	maxNesting = 64      // parentheses, lists and calls in one another
)

// Scope is what one evaluation sees. Every field may be left out.
type Scope struct {
	Input   value.Value        // $
	Context func() value.Value // makes $$, if it is asked for
	Var     func(name string) (v value.Value, ok bool)
	Rand    func() uint64 // States.MathRandom and States.UUID need it
}

// Root says what a path starts from.
type Root uint8

// The roots.
const (
	Document Root = iota // $
	Context              // $$
	Variable             // $name
)

// Path is a compiled path. It does not change and may be shared.
type Path struct {
	src    string
	root   Root
	name   string // of the variable
	tokens []token
	fuzzy  bool // may have any number of results: they come as an array
}

type tokenKind uint8

const (
	propToken tokenKind = iota
	propsToken
	indexToken
	indexesToken
	sliceToken
	wildToken
	filterToken
	scanToken
)

type token struct {
	kind     tokenKind
	name     string
	names    []string
	index    int
	indexes  []int
	from, to int
	hasFrom  bool
	hasTo    bool
	filter   condition
}

// SyntaxError says why a text is no path, template or expression.
type SyntaxError struct {
	Source string
	Offset int
	Msg    string
}

func (e *SyntaxError) Error() string {
	return "invalid path " + strconv.Quote(e.Source) + " at offset " + strconv.Itoa(e.Offset) + ": " + e.Msg
}

// Compile compiles a path. The error is a *SyntaxError.
func Compile(src string) (*Path, error) {
	p := parser{src: strings.TrimRight(src, " \t\r\n"), whole: true}
	path := p.path()
	if p.err == nil && p.i != len(p.src) {
		p.fail("unexpected %q", p.src[p.i:])
	}
	if p.err != nil {
		return nil, p.err
	}
	path.src = src
	return path, nil
}

// Source returns the text that was compiled.
func (p *Path) Source() string { return p.src }

// Root returns what the path starts from, and the name if that is a variable.
func (p *Path) Root() (Root, string) { return p.root, p.name }

// Identity reports whether the path is its root and nothing more.
func (p *Path) Identity() bool { return len(p.tokens) == 0 }

// Definite reports whether the path means one value; the result of one that
// does not is an array.
func (p *Path) Definite() bool { return !p.fuzzy }

// String is the path as Jayway prints it: $['a'][0].
func (p *Path) String() string { return string(appendTokens([]byte{'$'}, p.tokens)) }

func appendTokens(b []byte, tokens []token) []byte {
	for i := range tokens {
		b = tokens[i].append(b)
	}
	return b
}

func appendName(b []byte, name string) []byte {
	b = append(b, '\'')
	b = append(b, name...)
	return append(b, '\'')
}

func (t *token) append(b []byte) []byte {
	switch t.kind {
	case propToken:
		b = append(appendName(append(b, '['), t.name), ']')
	case propsToken:
		b = append(b, '[')
		for i, n := range t.names {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendName(b, n)
		}
		b = append(b, ']')
	case indexToken:
		b = append(strconv.AppendInt(append(b, '['), int64(t.index), 10), ']')
	case indexesToken:
		b = append(b, '[')
		for i, n := range t.indexes {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(n), 10)
		}
		b = append(b, ']')
	case sliceToken:
		b = append(b, '[')
		if t.hasFrom {
			b = strconv.AppendInt(b, int64(t.from), 10)
		}
		b = append(b, ':')
		if t.hasTo {
			b = strconv.AppendInt(b, int64(t.to), 10)
		}
		b = append(b, ']')
	case wildToken:
		b = append(b, "[*]"...)
	case filterToken:
		b = append(b, "[?]"...)
	case scanToken:
		b = append(b, ".."...)
	}
	return b
}

// Missing says that a path has no result.
type Missing struct {
	Path string // as written
	Why  string // Jayway's words, e.g. "No results for path: $['x']"
	// PastEnd says that all there is wrong is an array index at the end of the
	// path that is beyond the array: a payload template takes that for null.
	PastEnd bool
	// NotArray says that Why is about an index into something that is no array.
	NotArray bool
}

func (e *Missing) Error() string { return "Invalid path '" + e.Path + "' : " + e.Why }

// TooMuch says that a path looked at more values than one evaluation may.
type TooMuch struct{ Path string }

func (e *TooMuch) Error() string {
	return "Invalid path '" + e.Path + "' : more than " + strconv.Itoa(maxVisits) + " values visited"
}

// Eval follows the path from root, whatever the path says that it starts from.
// A path that is not definite always has a result, perhaps an empty array. The
// error is a *Missing or a *TooMuch.
func (p *Path) Eval(root value.Value) (value.Value, error) {
	if p.fuzzy {
		w := walk{doc: root}
		w.step(root, p.tokens)
		if w.visits > maxVisits {
			return value.Value{}, &TooMuch{p.src}
		}
		return value.Array(w.out...), nil
	}
	v := root
	for i := range p.tokens {
		t := &p.tokens[i]
		var next value.Value
		switch t.kind {
		case propToken:
			next = v.Get(t.name)
		case indexToken:
			n := t.index
			if n < 0 {
				n += v.Len()
			}
			next = v.At(n)
		case propsToken: // the last one, or the path would not be definite
			if v.IsObject() {
				next = pick(v, t.names)
			}
		}
		if next.IsUndefined() {
			return value.Value{}, p.missing(v, i)
		}
		v = next
	}
	return v, nil
}

// pick is what several names mean at the end of a path: one object of those
// that are there.
func pick(v value.Value, names []string) value.Value {
	m := make([]value.Member, 0, len(names))
	for _, n := range names {
		if x := v.Get(n); !x.IsUndefined() {
			m = append(m, value.Member{Key: n, Value: x})
		}
	}
	return value.Object(m...)
}

// missing says why token i has no result in v.
func (p *Path) missing(v value.Value, i int) error {
	t := &p.tokens[i]
	at := func(n int) string { return string(appendTokens([]byte{'$'}, p.tokens[:n])) }
	last := i == len(p.tokens)-1
	switch {
	case t.kind == indexToken && v.IsNull():
		return &Missing{Path: p.src, Why: "The path " + at(i) + " is null"}
	case t.kind == indexToken && !v.IsArray():
		return &Missing{Path: p.src, NotArray: true, Why: "Filter: " + string(t.append(nil)) +
			" can only be applied to arrays. Current context is: " + Text(v)}
	case t.kind == indexToken:
		return &Missing{Path: p.src, PastEnd: last, Why: "No results for path: " + p.String()}
	case !v.IsObject():
		return &Missing{Path: p.src, Why: "Expected to find an object with property " + string(t.append(nil)) +
			" in path " + at(i)}
	case last:
		return &Missing{Path: p.src, Why: "No results for path: " + p.String()}
	}
	return &Missing{Path: p.src, Why: "Missing property in path " + at(i+1)}
}

// walk collects the results of a path that is not definite.
type walk struct {
	doc    value.Value
	out    []value.Value
	visits int
}

func (w *walk) step(v value.Value, tokens []token) {
	if w.visits++; w.visits > maxVisits {
		return
	}
	if len(tokens) == 0 {
		if w.out = append(w.out, v); len(w.out) > maxResults {
			w.visits = maxVisits + 1
		}
		return
	}
	t, rest := &tokens[0], tokens[1:]
	switch t.kind {
	case propToken:
		if x := v.Get(t.name); !x.IsUndefined() {
			w.step(x, rest)
		}
	case propsToken:
		if len(rest) == 0 {
			if v.IsObject() {
				w.step(pick(v, t.names), nil)
			}
			return
		}
		for _, n := range t.names {
			if x := v.Get(n); !x.IsUndefined() {
				w.step(x, rest)
			}
		}
	case indexToken:
		w.item(v, t.index, rest)
	case indexesToken:
		for _, n := range t.indexes {
			w.item(v, n, rest)
		}
	case sliceToken:
		from, to := t.bounds(v.Len())
		for i := from; i < to; i++ {
			w.step(v.At(i), rest)
		}
	case wildToken:
		w.children(v, func(x value.Value) { w.step(x, rest) })
	case filterToken:
		if v.IsArray() {
			for _, x := range v.Items() {
				if w.visits++; w.visits > maxVisits {
					return
				}
				if t.filter.holds(w, x) {
					w.step(x, rest)
				}
			}
		} else if v.IsObject() && t.filter.holds(w, v) {
			w.step(v, rest)
		}
	case scanToken:
		w.scan(v, rest)
	}
}

func (w *walk) children(v value.Value, f func(value.Value)) {
	for _, x := range v.Items() {
		f(x)
	}
	for _, x := range v.Members() {
		f(x)
	}
}

func (w *walk) item(v value.Value, n int, rest []token) {
	if n < 0 {
		n += v.Len()
	}
	if x := v.At(n); !x.IsUndefined() {
		w.step(x, rest)
	}
}

// scan applies tokens to v and to everything in it that holds values, parents
// first. A filter is asked about objects only, each once: the array that holds
// one would ask again.
func (w *walk) scan(v value.Value, tokens []token) {
	if w.visits++; w.visits > maxVisits || !v.IsArray() && !v.IsObject() {
		return
	}
	if tokens[0].kind == filterToken && v.IsArray() {
		for _, x := range v.Items() {
			if !x.IsObject() && !x.IsArray() && tokens[0].filter.holds(w, x) {
				w.step(x, tokens[1:])
			}
		}
	} else {
		w.step(v, tokens)
	}
	w.children(v, func(x value.Value) { w.scan(x, tokens) })
}

// bounds makes a slice's ends those of an array of n items.
func (t *token) bounds(n int) (from, to int) {
	to = n
	if t.hasFrom {
		from = clip(t.from, n)
	}
	if t.hasTo {
		to = clip(t.to, n)
	}
	return from, to
}

func clip(i, n int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
}

// Resolve evaluates the path in a scope. A variable that is not set has no
// result, like a member that is not there.
func (p *Path) Resolve(s *Scope) (value.Value, error) {
	root := s.Input
	switch p.root {
	case Context:
		root = value.Value{}
		if s.Context != nil {
			root = s.Context()
		}
	case Variable:
		var ok bool
		if s.Var != nil {
			root, ok = s.Var(p.name)
		}
		if !ok {
			return value.Value{}, &Missing{Path: p.src, Why: "No results for path: " + p.src}
		}
	}
	if len(p.tokens) == 0 {
		return root, nil
	}
	return p.Eval(root)
}

// Text is v's JSON text as AWS writes it: without white space, and with nothing
// escaped in it that need not be.
func Text(v value.Value) string {
	s := v.Compact().JSON()
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return string(appendText(make([]byte, 0, len(s)), v))
}

func appendText(b []byte, v value.Value) []byte {
	n := 0
	switch {
	case v.IsArray():
		b = append(b, '[')
		for i, x := range v.Items() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, x)
		}
		return append(b, ']')
	case v.IsObject():
		b = append(b, '{')
		for k, x := range v.Members() {
			if n++; n > 1 {
				b = append(b, ',')
			}
			b = appendText(append(value.AppendQuoted(b, k), ':'), x)
		}
		return append(b, '}')
	case v.IsString():
		return value.AppendQuoted(b, v.Str())
	}
	return v.AppendJSON(b)
}

// Reference is a path that means one place: it can be written to.
type Reference struct{ path *Path }

// CompileReference compiles a reference path: names and indexes only, from the
// document. The error is a *SyntaxError.
func CompileReference(src string) (*Reference, error) {
	p, err := Compile(src)
	if err != nil {
		return nil, err
	}
	if p.root != Document {
		return nil, &SyntaxError{src, 0, "a reference path starts from the document"}
	}
	if err := p.reference(); err != nil {
		return nil, err
	}
	return &Reference{p}, nil
}

// IsReference reports whether the path has only names and indexes, so that it
// means one place, whatever it starts from.
func (p *Path) IsReference() bool { return p.reference() == nil }

func (p *Path) reference() error {
	for i := range p.tokens {
		if t := &p.tokens[i]; t.kind != propToken && (t.kind != indexToken || t.index < 0) {
			return &SyntaxError{p.src, 0, "a reference path has no " + string(t.append(nil))}
		}
	}
	return nil
}

// Path returns the reference as a path to read from.
func (r *Reference) Path() *Path { return r.path }

// Conflict says that a reference path does not fit a document.
type Conflict struct {
	Step  string // the step that cannot be made
	Input value.Value
}

func (e *Conflict) Error() string {
	return "Unable to apply step " + strconv.Quote(e.Step) + " to input " + Text(e.Input)
}

// Set returns doc with v at the place the reference means. Objects that are not
// there on the way are made; an item of an array must be there. The error is a
// *Conflict.
func (r *Reference) Set(doc, v value.Value) (value.Value, error) {
	out, bad := set(doc, r.path.tokens, v)
	if bad != nil {
		return value.Value{}, &Conflict{bad.step(), doc}
	}
	return out, nil
}

// Step is how AWS's message names a step: a name without quotes, an index as it is.
func (t *token) step() string {
	if t.kind == propToken {
		return t.name
	}
	return strconv.Itoa(t.index)
}

// Conflict is how a failure to follow a reference path reads: the step of p at
// which doc has nothing. It returns nil if doc has it all.
func (p *Path) Conflict(doc value.Value) *Conflict {
	v := doc
	for i := range p.tokens {
		t := &p.tokens[i]
		if t.kind == propToken {
			v = v.Get(t.name)
		} else {
			v = v.At(t.index)
		}
		if v.IsUndefined() {
			return &Conflict{t.step(), doc}
		}
	}
	return nil
}

func set(doc value.Value, tokens []token, v value.Value) (value.Value, *token) {
	if len(tokens) == 0 {
		return v, nil
	}
	t := &tokens[0]
	if t.kind == propToken {
		if !doc.IsObject() && !doc.IsUndefined() {
			return doc, t
		}
		x, bad := set(doc.Get(t.name), tokens[1:], v)
		if bad != nil {
			return doc, bad
		}
		return doc.With(t.name, x), nil
	}
	if t.index >= doc.Len() || !doc.IsArray() {
		return doc, t
	}
	x, bad := set(doc.At(t.index), tokens[1:], v)
	if bad != nil {
		return doc, bad
	}
	return doc.WithItem(t.index, x), nil
}

// LooksDynamic reports whether a text looks as if its author meant a path or a
// call of an intrinsic function.
func LooksDynamic(s string) bool {
	switch {
	case strings.HasPrefix(s, "States."):
		e, err := CompileExpression(s)
		return err == nil && e.call != nil
	case s == "$" || s == "$$" || strings.HasPrefix(s, "$.") || strings.HasPrefix(s, "$[") || strings.HasPrefix(s, "$$."):
		_, err := Compile(s)
		return err == nil
	}
	return false
}
