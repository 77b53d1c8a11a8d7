package jsonpath

import (
	"regexp"
	"strings"

	"tokaido/value"
)

// condition is the inside of a filter, [?(…)].
type condition interface {
	holds(w *walk, item value.Value) bool
}

type (
	both    struct{ a, b condition }
	either  struct{ a, b condition }
	not     struct{ c condition }
	exists  struct{ x operand }
	compare struct {
		op   string
		a, b operand
	}
	matches struct {
		a  operand
		re *regexp.Regexp
	}
)

// operand is a literal or a path from the item (@) or the document ($).
type operand struct {
	lit   value.Value
	path  *Path // nil for a literal
	local bool  // from the item
}

func (o operand) eval(w *walk, item value.Value) value.Value {
	if o.path == nil {
		return o.lit
	}
	root := w.doc
	if o.local {
		root = item
	}
	if o.path.fuzzy {
		in := walk{doc: w.doc, visits: w.visits}
		in.step(root, o.path.tokens)
		w.visits = in.visits
		return value.Array(in.out...)
	}
	v, err := o.path.Eval(root)
	if err != nil {
		return value.Value{}
	}
	return v
}

func (c both) holds(w *walk, x value.Value) bool   { return c.a.holds(w, x) && c.b.holds(w, x) }
func (c either) holds(w *walk, x value.Value) bool { return c.a.holds(w, x) || c.b.holds(w, x) }
func (c not) holds(w *walk, x value.Value) bool    { return !c.c.holds(w, x) }
func (c exists) holds(w *walk, x value.Value) bool { return !c.x.eval(w, x).IsUndefined() }

func (c matches) holds(w *walk, x value.Value) bool {
	v := c.a.eval(w, x)
	switch {
	case v.IsString():
		return c.re.MatchString(v.Str())
	case v.IsNumber():
		return c.re.MatchString(v.NumberText())
	}
	return false
}

func (c compare) holds(w *walk, x value.Value) bool {
	a, b := c.a.eval(w, x), c.b.eval(w, x)
	switch c.op { // those that look at every item of a list pay for it
	case "in", "nin", "contains":
		w.visits += a.Len() + b.Len()
	case "all", "subsetof", "anyof", "noneof":
		w.visits += a.Len() * b.Len()
	}
	if w.visits > maxVisits {
		return false
	}
	switch c.op {
	case "==", "===":
		return same(a, b)
	case "!=", "!==":
		return !same(a, b)
	case "<":
		n, ok := order(a, b)
		return ok && n < 0
	case "<=":
		n, ok := order(a, b)
		return ok && n <= 0
	case ">":
		n, ok := order(a, b)
		return ok && n > 0
	case ">=":
		n, ok := order(a, b)
		return ok && n >= 0
	case "in":
		return has(b, a)
	case "nin":
		return !has(b, a)
	case "contains":
		if a.IsString() && b.IsString() {
			return strings.Contains(a.Str(), b.Str())
		}
		return has(a, b)
	case "all":
		return a.IsArray() && subset(b, a)
	case "subsetof":
		return a.IsArray() && b.IsArray() && subset(a, b)
	case "anyof":
		return a.IsArray() && b.IsArray() && overlap(a, b)
	case "noneof":
		return a.IsArray() && b.IsArray() && !overlap(a, b)
	case "size":
		n, ok := b.Int()
		if a.IsString() {
			return ok && int64(len(a.Str())) == n
		}
		return ok && a.IsArray() && int64(a.Len()) == n
	case "empty":
		if a.IsString() {
			return (a.Str() == "") == b.Bool()
		}
		return a.IsArray() && (a.Len() == 0) == b.Bool()
	}
	return false
}

func same(a, b value.Value) bool { return !a.IsUndefined() && !b.IsUndefined() && value.Equal(a, b) }

func order(a, b value.Value) (n int, ok bool) {
	switch {
	case a.IsNumber() && b.IsNumber():
		x, y := a.Float(), b.Float()
		switch {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	case a.IsString() && b.IsString():
		return strings.Compare(a.Str(), b.Str()), true
	}
	return 0, false
}

func has(list, x value.Value) bool {
	for _, y := range list.Items() {
		if same(x, y) {
			return true
		}
	}
	return false
}

func subset(a, of value.Value) bool {
	for _, x := range a.Items() {
		if !has(of, x) {
			return false
		}
	}
	return true
}

func overlap(a, b value.Value) bool {
	for _, x := range a.Items() {
		if has(b, x) {
			return true
		}
	}
	return false
}

// filter reads what follows "[?".
func (p *parser) filter() token {
	p.space()
	if p.peek() != '(' {
		p.fail("expected ( after ?")
		return token{}
	}
	whole := p.whole
	p.whole = false
	p.i++
	c := p.anyOf()
	p.space()
	p.expect(")")
	p.whole = whole
	return token{kind: filterToken, filter: c}
}

func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nested more than %d deep", maxNesting)
	}
	return func() { p.depth-- }
}

func (p *parser) anyOf() condition {
	c := p.allOf()
	for p.space(); p.take("||"); p.space() {
		c = either{c, p.allOf()}
	}
	return c
}

func (p *parser) allOf() condition {
	c := p.oneOf()
	for p.space(); p.take("&&"); p.space() {
		c = both{c, p.oneOf()}
	}
	return c
}

func (p *parser) oneOf() condition {
	defer p.deeper()()
	p.space()
	switch {
	case p.take("!"):
		return not{p.oneOf()}
	case p.take("("):
		c := p.anyOf()
		p.space()
		p.expect(")")
		return c
	}
	a := p.operand()
	p.space()
	if p.take("=~") {
		p.space()
		return matches{a, p.regexp()}
	}
	for _, op := range [...]string{"===", "==", "!==", "!=", "<=", "<", ">=", ">"} {
		if p.take(op) {
			return compare{op, a, p.operand()}
		}
	}
	for _, op := range [...]string{"in", "nin", "contains", "all", "subsetof", "anyof", "noneof", "size", "empty"} {
		if n := len(op); len(p.src)-p.i > n && strings.EqualFold(p.src[p.i:p.i+n], op) &&
			strings.IndexByte(" \t\n\r[('\"@$", p.src[p.i+n]) >= 0 {
			p.i += n
			return compare{op, a, p.operand()}
		}
	}
	if a.path == nil {
		p.fail("expected an operator after a literal")
	}
	return exists{a}
}

func (p *parser) operand() operand {
	defer p.deeper()()
	p.space()
	switch c := p.peek(); c {
	case '@', '$':
		start := p.i
		p.i++
		path := &Path{tokens: p.tokens()}
		path.src = p.src[start:p.i]
		path.settle()
		return operand{path: path, local: c == '@'}
	}
	return operand{lit: p.literal()}
}

// literal reads a value; strings may be in either quotes.
func (p *parser) literal() value.Value {
	defer p.deeper()()
	p.space()
	switch c := p.peek(); {
	case p.err != nil:
		return value.Value{}
	case c == '\'' || c == '"':
		return value.String(p.quoted())
	case p.take("true"):
		return value.Bool(true)
	case p.take("false"):
		return value.Bool(false)
	case p.take("null"):
		return value.Null()
	case p.take("["):
		var items []value.Value
		for p.space(); !p.take("]"); {
			if len(items) > 0 {
				p.expect(",")
			}
			items = append(items, p.literal())
			if p.space(); p.err != nil {
				return value.Value{}
			}
		}
		return value.Array(items...)
	}
	v, ok := p.number()
	if !ok {
		p.fail("expected a value")
	}
	return v
}

// regexp reads /…/flags. Jayway wants all of a text to match.
func (p *parser) regexp() *regexp.Regexp {
	if !p.take("/") {
		p.fail("expected / and a regular expression")
		return nil
	}
	start := p.i
	for p.i < len(p.src) && p.src[p.i] != '/' {
		if p.src[p.i] == '\\' {
			p.i++
		}
		p.i++
	}
	if p.i >= len(p.src) {
		p.fail("a regular expression without its closing /")
		return nil
	}
	body := p.src[start:p.i]
	p.i++
	start = p.i
	for p.i < len(p.src) && strings.IndexByte("imsU", p.src[p.i]) >= 0 {
		p.i++
	}
	flags := strings.ReplaceAll(p.src[start:p.i], "U", "")
	if flags != "" {
		body = "(?" + flags + ":" + body + ")"
	}
	re, err := regexp.Compile(`^(?:` + strings.ReplaceAll(body, `\/`, "/") + `)$`)
	if err != nil {
		p.i = start
		p.fail("%v", err)
		return nil
	}
	return re
}
