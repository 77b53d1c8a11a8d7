package policyfile

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"tokaido/value"
)

// The part of HCL that policies are written in: blocks, attributes, and of
// expressions the literals, templates, lists, objects, references and calls.
// Anything else is skipped to its end and kept as an expression that is not
// known.

type tokenKind uint8

const (
	endOfFile tokenKind = iota
	newline
	ident
	number
	quote   // a text with its templates; parts holds them
	symbol  // one character, or two as == && => …
	invalid // what is no token
)

type token struct {
	kind         tokenKind
	text         string
	parts        []part
	line, column int
	from, to     int
}

// part is a piece of a template: text, or an expression.
type part struct {
	text, expr   string
	line, column int
}

type lexer struct {
	src       string
	i         int
	line      int
	lineStart int
	tokens    []token
	err       error
}

// maxTokens bounds a file.
const maxTokens = 1 << 20

// lex cuts HCL into tokens.
func lex(src string, line, column int) ([]token, error) {
	l := &lexer{src: src, line: line, lineStart: 1 - column}
	for l.next() {
		if len(l.tokens) > maxTokens {
			l.fail("more than %d tokens", maxTokens)
		}
		if l.err != nil {
			return nil, l.err
		}
	}
	l.add(endOfFile, "", l.i)
	return l.tokens, l.err
}

func (l *lexer) fail(format string, args ...any) {
	if l.err == nil {
		l.err = failure(&node{line: l.line, column: max(l.i-l.lineStart+1, 1)}, format, args...)
	}
}

func (l *lexer) add(k tokenKind, text string, from int) *token {
	l.tokens = append(l.tokens, token{kind: k, text: text, line: l.line, column: from - l.lineStart + 1, from: from, to: l.i})
	return &l.tokens[len(l.tokens)-1]
}

func (l *lexer) newline() {
	l.line++
	l.lineStart = l.i
}

// next reads one token; false at the end.
func (l *lexer) next() bool {
	for l.i < len(l.src) && (l.src[l.i] == ' ' || l.src[l.i] == '\t' || l.src[l.i] == '\r') {
		l.i++
	}
	if l.i >= len(l.src) {
		return false
	}
	from, rest := l.i, l.src[l.i:]
	switch c := rest[0]; {
	case c == '\n':
		l.i++
		l.add(newline, "\n", from)
		l.newline()
	case c == '#' || strings.HasPrefix(rest, "//"):
		for l.i < len(l.src) && l.src[l.i] != '\n' {
			l.i++
		}
	case strings.HasPrefix(rest, "/*"):
		end := strings.Index(rest[2:], "*/")
		if end < 0 {
			l.fail("a comment without an end")
			return false
		}
		stop := l.i + 2 + end + 2
		for ; l.i < stop; l.i++ {
			if l.src[l.i] == '\n' {
				l.line++
				l.lineStart = l.i + 1
			}
		}
	case strings.HasPrefix(rest, "<<"):
		l.heredoc()
	case c == '"':
		l.quoted()
	case c >= '0' && c <= '9':
		for l.i < len(l.src) && (l.src[l.i] >= '0' && l.src[l.i] <= '9' || l.src[l.i] == '.' && l.i+1 < len(l.src) && l.src[l.i+1] >= '0' && l.src[l.i+1] <= '9') {
			l.i++
		}
		l.add(number, l.src[from:l.i], from)
	case c == '_' || c|32 >= 'a' && c|32 <= 'z' || c >= 0x80:
		for l.i < len(l.src) {
			c := l.src[l.i]
			if c != '_' && c != '-' && (c < '0' || c > '9') && (c|32 < 'a' || c|32 > 'z') && c < 0x80 {
				break
			}
			l.i++
		}
		l.add(ident, l.src[from:l.i], from)
	default:
		n := 1
		for _, two := range []string{"==", "!=", "<=", ">=", "&&", "||", "=>", "..."} {
			if strings.HasPrefix(rest, two) {
				n = len(two)
			}
		}
		l.i += n
		l.add(symbol, rest[:n], from)
	}
	return l.err == nil
}

// quoted reads "…" with its templates.
func (l *lexer) quoted() {
	from, line, column := l.i, l.line, l.i-l.lineStart+1
	l.i++
	parts, ok := l.template(func() bool { return l.src[l.i] == '"' }, true)
	if !ok {
		l.fail("a text without an end")
		return
	}
	l.i++
	t := l.add(quote, l.src[from:l.i], from)
	t.parts, t.line, t.column = parts, line, column
}

// template reads texts and ${…} until stop.
func (l *lexer) template(stop func() bool, escapes bool) (parts []part, ok bool) {
	var b strings.Builder
	line, column := l.line, l.i-l.lineStart+1
	flush := func() {
		if b.Len() > 0 {
			parts = append(parts, part{text: b.String(), line: line, column: column})
			b.Reset()
		}
	}
	for l.i < len(l.src) {
		rest := l.src[l.i:]
		switch c := rest[0]; {
		case stop():
			flush()
			return parts, true
		case strings.HasPrefix(rest, "$${") || strings.HasPrefix(rest, "%%{"):
			b.WriteString(rest[1:3])
			l.i += 3
		case strings.HasPrefix(rest, "${") || strings.HasPrefix(rest, "%{"):
			flush()
			end, ok := closing(l.src, l.i+1)
			if !ok {
				return nil, false
			}
			expr := l.src[l.i+2 : end-1]
			if c == '%' {
				expr = "%{" + expr // a directive: not known
			}
			parts = append(parts, part{expr: strings.Trim(expr, "~"), line: l.line, column: l.i - l.lineStart + 1})
			for ; l.i < end; l.i++ {
				if l.src[l.i] == '\n' {
					l.line++
					l.lineStart = l.i + 1
				}
			}
			line, column = l.line, l.i-l.lineStart+1
		case c == '\n':
			if escapes {
				return nil, false
			}
			b.WriteByte(c)
			l.i++
			l.newline()
		case c == '\\' && escapes:
			n := l.escape(&b, rest)
			if n == 0 {
				return nil, false
			}
			l.i += n
		default:
			_, n := utf8.DecodeRuneInString(rest)
			b.WriteString(rest[:n])
			l.i += n
		}
	}
	flush()
	return parts, stop == nil
}

func (l *lexer) escape(b *strings.Builder, s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case '"', '\\':
		b.WriteByte(s[1])
	case 'u', 'U':
		n := 4
		if s[1] == 'U' {
			n = 8
		}
		if len(s) < 2+n {
			return 0
		}
		r, err := strconv.ParseUint(s[2:2+n], 16, 32)
		if err != nil {
			return 0
		}
		b.WriteRune(rune(r))
		return 2 + n
	default:
		return 0
	}
	return 2
}

// maxTemplates bounds templates in templates.
const maxTemplates = 16

// closing finds the end of the bracket that opens at i, past texts in it.
func closing(s string, i int) (end int, ok bool) { return closingIn(s, i, 0) }

func closingIn(s string, i, outer int) (end int, ok bool) {
	if outer > maxTemplates {
		return 0, false
	}
	depth := 0
	for j := i; j < len(s); j++ {
		switch s[j] {
		case '{', '(', '[':
			depth++
			if depth > maxDepth {
				return 0, false
			}
		case '}', ')', ']':
			if depth--; depth == 0 {
				return j + 1, true
			}
		case '"':
			for j++; j < len(s) && s[j] != '"'; j++ {
				if s[j] == '\\' {
					j++
				} else if strings.HasPrefix(s[j:], "${") {
					inner, ok := closingIn(s, j+1, outer+1)
					if !ok {
						return 0, false
					}
					j = inner - 1
				}
			}
		}
	}
	return 0, false
}

// heredoc reads <<NAME … NAME, and <<-NAME with its margin taken off.
func (l *lexer) heredoc() {
	from := l.i
	l.i += 2
	dedent := false
	if l.i < len(l.src) && l.src[l.i] == '-' {
		dedent = true
		l.i++
	}
	end := strings.IndexByte(l.src[l.i:], '\n')
	if end < 0 {
		l.fail("a heredoc without an end")
		return
	}
	name := strings.TrimSpace(l.src[l.i : l.i+end])
	l.i += end + 1
	line, column := l.line, from-l.lineStart+1
	l.newline()
	at := l.i
	atEnd := func() bool {
		if l.i != at && l.src[l.i-1] != '\n' {
			return false
		}
		word, _, _ := strings.Cut(l.src[l.i:], "\n")
		return strings.TrimSpace(word) == name && name != ""
	}
	parts, ok := l.template(atEnd, false)
	if !ok {
		l.fail("a heredoc %q without an end", name)
		return
	}
	if dedent {
		outdent(parts)
	}
	l.i += strings.Index(l.src[l.i:], name) + len(name)
	t := l.add(quote, "", from)
	t.parts, t.line, t.column = parts, line, column
}

// outdent takes the margin off that all lines have.
func outdent(parts []part) {
	least, begin := -1, true
	for _, p := range parts {
		if p.expr != "" {
			if begin && least != 0 {
				least = 0
			}
			begin = false
			continue
		}
		for text := p.text; text != ""; {
			line, rest, nl := strings.Cut(text, "\n")
			if begin && strings.TrimSpace(line) != "" {
				if n := len(line) - len(strings.TrimLeft(line, " \t")); least < 0 || n < least {
					least = n
				}
			}
			begin, text = nl, rest
		}
	}
	if least <= 0 {
		return
	}
	begin = true
	for i, p := range parts {
		if p.expr != "" {
			begin = false
			continue
		}
		var b strings.Builder
		for text := p.text; text != ""; {
			line, rest, nl := strings.Cut(text, "\n")
			if begin {
				line = line[min(least, len(line)-len(strings.TrimLeft(line, " \t"))):]
			}
			b.WriteString(line)
			if nl {
				b.WriteByte('\n')
			}
			begin, text = nl, rest
		}
		parts[i].text = b.String()
	}
}

// block is one of HCL's, or the file.
type block struct {
	kind         string
	labels       []string
	attributes   []attribute
	blocks       []*block
	line, column int
}

type attribute struct {
	name         string
	line, column int
	expr         *expr
}

func (b *block) attribute(name string) *expr {
	for i := range b.attributes {
		if b.attributes[i].name == name {
			return b.attributes[i].expr
		}
	}
	return nil
}

// expr is an expression; it is made a node when all definitions are known.
type expr struct {
	kind         exprKind
	text         string // of a literal, of a reference, a function's name; as written, of others
	parts        []part
	items        []*expr // of a list; arguments
	keys         []*expr // of an object
	line, column int
}

type exprKind uint8

const (
	literal exprKind = iota // number, true, false, null
	templ
	tuple
	mapping
	reference
	call
	other
)

type parser struct {
	src   string
	toks  []token
	i     int
	depth int
	err   error
}

func parseHCL(src string) (*block, error) {
	toks, err := lex(src, 1, 1)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, toks: toks}
	b := &block{}
	p.body(b, true)
	return b, p.err
}

// parseExpr reads the expression in a template.
func parseExpr(src string, line, column int) (*expr, error) {
	toks, err := lex(src, line, column)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, toks: toks}
	p.skipLines()
	e := p.expr()
	p.skipLines()
	if p.err == nil && p.peek().kind != endOfFile {
		p.fail("more than an expression")
	}
	return e, p.err
}

func (p *parser) peek() *token { return &p.toks[p.i] }

func (p *parser) take() *token {
	t := &p.toks[p.i]
	if t.kind != endOfFile {
		p.i++
	}
	return t
}

func (p *parser) is(s string) bool { t := p.peek(); return t.kind == symbol && t.text == s }

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		t := p.peek()
		p.err = failure(&node{line: t.line, column: t.column}, format, args...)
	}
}

func (p *parser) skipLines() {
	for p.peek().kind == newline {
		p.i++
	}
}

// body reads attributes and blocks up to } or the end.
func (p *parser) body(b *block, top bool) {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	for p.err == nil {
		p.skipLines()
		t := p.peek()
		switch {
		case t.kind == endOfFile && top:
			return
		case p.is("}") && !top:
			p.take()
			return
		case t.kind != ident:
			p.fail("expected the name of an attribute or a block")
			return
		}
		p.take()
		if p.is("=") {
			p.take()
			b.attributes = append(b.attributes, attribute{t.text, t.line, t.column, p.expr()})
			if n := p.peek(); p.err == nil && n.kind != newline && n.kind != endOfFile && !p.is("}") {
				p.fail("expected the end of the line")
			}
			continue
		}
		in := &block{kind: t.text, line: t.line, column: t.column}
		for p.peek().kind == quote || p.peek().kind == ident {
			l := p.take()
			name := l.text
			if l.kind == quote {
				name = ""
				for _, x := range l.parts {
					name += x.text
				}
			}
			in.labels = append(in.labels, name)
		}
		if !p.is("{") {
			p.fail("expected = or {")
			return
		}
		p.take()
		p.body(in, false)
		b.blocks = append(b.blocks, in)
	}
}

// expr reads an expression. What follows its first term makes it one that is
// not known, and is skipped to where the expression must end.
func (p *parser) expr() *expr {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	start := p.i
	t := p.peek()
	e := p.term()
	if p.err != nil {
		return e
	}
	if n := p.peek(); n.kind == newline || n.kind == endOfFile || n.kind == symbol && strings.Contains(",}])", n.text) || p.is(":") || p.is("=") || p.is("=>") {
		return e
	}
	p.i = start
	p.skip()
	return &expr{kind: other, text: p.source(start), line: t.line, column: t.column}
}

// source is what was taken since token start.
func (p *parser) source(start int) string {
	if p.i <= start {
		return ""
	}
	return strings.TrimSpace(p.src[p.toks[start].from:p.toks[p.i-1].to])
}

// skip goes to the end of an expression.
func (p *parser) skip() {
	p.skipTo(func(t *token) bool { return t.kind == newline || t.kind == symbol && t.text == "," })
}

// skipIn goes to the end of what stands in a bracket.
func (p *parser) skipIn() { p.skipTo(func(*token) bool { return false }) }

// skipTo goes to the first token outside brackets that ends what is skipped, or
// that closes the bracket around it.
func (p *parser) skipTo(ends func(*token) bool) {
	for depth := 0; ; p.i++ {
		t := p.peek()
		switch {
		case t.kind == endOfFile:
			if depth > 0 {
				p.fail("a bracket without an end")
			}
			return
		case depth == 0 && ends(t):
			return
		case t.kind != symbol:
		case t.text == "(" || t.text == "[" || t.text == "{":
			depth++
		case t.text == ")" || t.text == "]" || t.text == "}":
			if depth == 0 {
				return
			}
			depth--
		}
	}
}

func (p *parser) term() *expr {
	t := p.take()
	e := &expr{line: t.line, column: t.column}
	switch {
	case t.kind == quote:
		e.kind, e.parts = templ, t.parts
	case t.kind == number:
		e.text = t.text
	case p.err == nil && t.kind == symbol && t.text == "(":
		p.skipLines()
		in := p.expr()
		p.skipLines()
		if !p.is(")") {
			p.fail("expected )")
			return e
		}
		p.take()
		return in
	case t.kind == symbol && t.text == "[":
		return p.tuple(e)
	case t.kind == symbol && t.text == "{":
		return p.mapping(e)
	case t.kind == ident:
		switch t.text {
		case "true", "false", "null":
			e.text = t.text
			return e
		}
		if p.is("(") {
			e.kind, e.text = call, t.text
			p.take()
			for p.err == nil {
				p.skipLines()
				if p.is(")") {
					p.take()
					return e
				}
				e.items = append(e.items, p.expr())
				if p.is("...") {
					p.take()
				}
				p.skipLines()
				if p.is(",") {
					p.take()
				} else if !p.is(")") {
					p.fail("expected , or )")
				}
			}
			return e
		}
		e.kind, e.text = reference, t.text
		for p.err == nil {
			switch {
			case p.is("."):
				p.take()
				n := p.take()
				e.text += "." + n.text
			case p.is("["):
				from := p.i
				p.take()
				p.skipIn()
				if !p.is("]") {
					p.fail("expected ]")
					return e
				}
				p.take()
				e.text += p.source(from)
			default:
				return e
			}
		}
	case t.kind == symbol && (t.text == "!" || t.text == "-"):
		e.kind, e.text = other, t.text
		p.skip()
	default:
		p.i = max(p.i-1, 0)
		p.fail("expected an expression")
	}
	return e
}

func (p *parser) tuple(e *expr) *expr {
	start := p.i - 1
	e.kind = tuple
	p.skipLines()
	if t := p.peek(); t.kind == ident && t.text == "for" {
		return p.comprehension(e, start, "]")
	}
	for p.err == nil {
		p.skipLines()
		if p.is("]") {
			p.take()
			return e
		}
		e.items = append(e.items, p.expr())
		p.skipLines()
		if p.is(",") {
			p.take()
		} else if !p.is("]") {
			p.fail("expected , or ]")
		}
	}
	return e
}

func (p *parser) comprehension(e *expr, start int, end string) *expr {
	p.skipIn()
	if !p.is(end) {
		p.fail("expected %s", end)
		return e
	}
	p.take()
	e.kind, e.text = other, p.source(start)
	return e
}

func (p *parser) mapping(e *expr) *expr {
	start := p.i - 1
	e.kind = mapping
	p.skipLines()
	if t := p.peek(); t.kind == ident && t.text == "for" {
		if n := p.toks[min(p.i+1, len(p.toks)-1)]; n.kind == ident {
			return p.comprehension(e, start, "}")
		}
	}
	for p.err == nil {
		p.skipLines()
		if p.is("}") {
			p.take()
			return e
		}
		k := p.term()
		if k.kind == reference { // a bare word is a text here
			k = &expr{kind: templ, parts: []part{{text: k.text, line: k.line, column: k.column}}, line: k.line, column: k.column}
		}
		p.skipLines()
		if !p.is("=") && !p.is(":") {
			p.fail("expected = or :")
			return e
		}
		p.take()
		p.skipLines()
		e.keys, e.items = append(e.keys, k), append(e.items, p.expr())
		if p.is(",") {
			p.take()
		} else if n := p.peek(); p.err == nil && n.kind != newline && !p.is("}") {
			p.fail("expected the end of the line, a comma or }")
		}
	}
	return e
}

// literalValue is a number, a boolean or null.
func literalValue(s string) (value.Value, bool) {
	v, err := value.ParseString(s)
	return v, err == nil
}
