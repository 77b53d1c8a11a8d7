package jsonpath

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tokaido/value"
)

// parser reads paths and intrinsic calls. After the first error everything
// stops at the end of the text.
type parser struct {
	src   string
	i     int
	whole bool // the path is the whole text: a name in it may hold ) and ,
	depth int
	calls int
	err   *SyntaxError
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &SyntaxError{p.src, p.i, fmt.Sprintf(format, args...)}
	}
	p.i = len(p.src)
}

func (p *parser) peek() byte {
	if p.i < len(p.src) {
		return p.src[p.i]
	}
	return 0
}

func (p *parser) space() {
	for p.i < len(p.src) && (p.src[p.i] == ' ' || p.src[p.i] == '\t' || p.src[p.i] == '\n' || p.src[p.i] == '\r') {
		p.i++
	}
}

func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.src[p.i:], s) {
		p.i += len(s)
		return true
	}
	return false
}

func (p *parser) expect(s string) {
	if !p.take(s) {
		p.fail("expected %q", s)
	}
}

// path reads a path that starts with $.
func (p *parser) path() *Path {
	start := p.i
	if len(p.src) > MaxSource {
		p.fail("longer than %d bytes", MaxSource)
		return nil
	}
	if !p.take("$") {
		p.fail("a path starts with $")
		return nil
	}
	out := &Path{}
	switch {
	case p.take("$"):
		out.root = Context
	default:
		if n := identifier(p.src[p.i:]); n > 0 {
			out.root, out.name = Variable, p.src[p.i:p.i+n]
			p.i += n
		}
	}
	out.tokens = p.tokens()
	out.src = p.src[start:p.i]
	out.settle()
	return out
}

// identifier returns the length of the variable name at the start of s.
func identifier(s string) int {
	for i, r := range s {
		if i == 0 && !IDStart(r) || i > 0 && !IDContinue(r) {
			return i
		}
	}
	return len(s)
}

// IDStart reports whether a variable's name may start with r (UAX #31; so not with _).
func IDStart(r rune) bool {
	return unicode.IsLetter(r) || unicode.In(r, unicode.Nl, unicode.Other_ID_Start)
}

// IDContinue reports whether a variable's name may go on with r.
func IDContinue(r rune) bool {
	return IDStart(r) || unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc, unicode.Other_ID_Continue)
}

// settle finds out whether the path is definite.
func (p *Path) settle() {
	for i := range p.tokens {
		switch p.tokens[i].kind {
		case indexesToken, sliceToken, wildToken, filterToken, scanToken:
			p.fuzzy = true
		case propsToken: // at the end it means one object
			p.fuzzy = p.fuzzy || i < len(p.tokens)-1
		}
	}
}

func (p *parser) tokens() []token {
	var out []token
	for p.err == nil && p.i < len(p.src) {
		if len(out) > MaxTokens {
			p.fail("more than %d steps", MaxTokens)
			break
		}
		switch p.src[p.i] {
		case '[':
			out = append(out, p.bracket())
		case '.':
			p.i++
			if p.take(".") {
				out = append(out, token{kind: scanToken})
			}
			switch c := p.peek(); {
			case c == '[':
				out = append(out, p.bracket())
			case p.take("*"):
				out = append(out, token{kind: wildToken})
			default:
				out = append(out, p.name())
			}
		default:
			return out
		}
	}
	return out
}

// name reads a member's name after a dot.
func (p *parser) name() token {
	start := p.i
loop:
	for p.i < len(p.src) {
		switch c := p.src[p.i]; c {
		case '.', '[':
			break loop
		case ' ', '\t', '\n', '\r':
			if p.whole {
				p.fail("use ['a name'] for a name that contains white space")
			}
			break loop
		case '(', ')', ',', '=', '<', '>', '!', '&', '|', '~', ']':
			// A function call is taken for a name, as AWS takes it, which then is not found.
			if !p.whole || c == ']' {
				break loop
			}
		}
		p.i++
	}
	if p.err == nil && p.i == start {
		p.fail("a name is missing")
	}
	if p.err != nil {
		return token{}
	}
	return token{name: p.src[start:p.i]}
}

func (p *parser) bracket() token {
	p.i++
	p.space()
	t := token{}
	switch c := p.peek(); {
	case c == '\'' || c == '"':
		names := []string{p.quoted()}
		for p.space(); p.take(","); p.space() {
			p.space()
			names = append(names, p.quoted())
		}
		if t.kind, t.name = propToken, names[0]; len(names) > 1 {
			t = token{kind: propsToken, names: names}
		}
	case p.take("*"):
		t.kind = wildToken
	case p.take("?"):
		t = p.filter()
	default:
		t = p.indexes()
	}
	p.space()
	p.expect("]")
	return t
}

// quoted reads a name in quotes.
func (p *parser) quoted() string {
	q := p.peek()
	if q != '\'' && q != '"' {
		p.fail("expected a name in quotes")
		return ""
	}
	var b []byte
	for i := p.i + 1; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == q:
			s := p.src[p.i+1 : i]
			if b != nil {
				s = string(b)
			}
			p.i = i + 1
			return s
		case c == '\\' && i+1 < len(p.src):
			if b == nil {
				b = append(make([]byte, 0, i-p.i+16), p.src[p.i+1:i]...)
			}
			i++
			switch c := p.src[i]; c {
			case 'n':
				b = append(b, '\n')
			case 't':
				b = append(b, '\t')
			case 'r':
				b = append(b, '\r')
			case 'b':
				b = append(b, '\b')
			case 'f':
				b = append(b, '\f')
			case 'u':
				if i+5 > len(p.src) {
					p.fail(`\u without four hexadecimal digits`)
					return ""
				}
				u, err := strconv.ParseUint(p.src[i+1:i+5], 16, 32)
				if err != nil {
					p.fail(`\u without four hexadecimal digits`)
					return ""
				}
				b = utf8.AppendRune(b, rune(u))
				i += 4
			default:
				b = append(b, c)
			}
		case b != nil:
			b = append(b, c)
		}
	}
	p.fail("a name without its closing quote")
	return ""
}

// indexes reads what numbers may stand in brackets: an index, several, a slice.
func (p *parser) indexes() token {
	n, ok := p.int()
	p.space()
	if p.take(":") {
		t := token{kind: sliceToken, from: n, hasFrom: ok}
		p.space()
		t.to, t.hasTo = p.int()
		if !t.hasFrom && !t.hasTo {
			p.fail("a slice needs a beginning or an end")
		}
		return t
	}
	if !ok {
		p.fail("expected a name in quotes, a number, * or ?")
		return token{}
	}
	if p.peek() != ',' {
		return token{kind: indexToken, index: n}
	}
	t := token{kind: indexesToken, indexes: []int{n}}
	for p.take(",") {
		p.space()
		n, ok := p.int()
		if !ok {
			p.fail("expected a number")
			break
		}
		t.indexes = append(t.indexes, n)
		p.space()
	}
	return t
}

func (p *parser) int() (n int, ok bool) {
	start := p.i
	if p.peek() == '-' {
		p.i++
	}
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.i++
	}
	if p.i == start {
		return 0, false
	}
	i, err := strconv.ParseInt(p.src[start:p.i], 10, 32)
	if err != nil {
		p.fail("not an index: %s", p.src[start:p.i])
	}
	return int(i), true
}

// number reads a JSON number.
func (p *parser) number() (value.Value, bool) {
	start := p.i
	for p.i < len(p.src) && strings.IndexByte("+-.eE0123456789", p.src[p.i]) >= 0 {
		p.i++
	}
	v, err := value.ParseString(p.src[start:p.i])
	if p.i == start || err != nil || !v.IsNumber() {
		p.i = start
		return value.Value{}, false
	}
	return v, true
}
