// Package wild matches strings and ARNs against the patterns of policies: *
// is any run of characters, ? is one, and, where the policy's version has
// them, ${key} is a value of the request.
//
// What a variable stands for is literal text, whatever it contains: a caller
// who may choose a name or a tag must not be able to widen a pattern with it.
package wild

import (
	"strings"
	"unicode/utf8"
)

// Values knows what variables stand for: Value returns the one value of a
// condition key; ok is false if it is absent or has several.
type Values interface {
	Value(key string) (v string, ok bool)
}

type op uint8

const (
	lit op = iota
	one
	star
	variable
)

type piece struct {
	op   op
	text string // lit: the text; variable: its key
	alt  string // variable: its default
	has  bool   // variable: it has a default
}

// Pattern is a compiled pattern. The zero Pattern matches only "".
type Pattern struct {
	pieces []piece
	text   string // as it was written
	exact  string // what it matches, if it has neither wildcard nor variable
	kind   kind
}

type kind uint8

const (
	isExact kind = iota
	isAll
	isPrefix // exact and then anything
	isGlob
	isVariable // must be resolved before it is matched
)

// Compile compiles s. Without vars ${…} is literal text.
func Compile(s string, vars bool) Pattern { return compile(s, true, vars) }

// CompileLiteral compiles s without wildcards: * and ? stand for themselves.
func CompileLiteral(s string, vars bool) Pattern { return compile(s, false, vars) }

func compile(s string, wildcards, vars bool) Pattern {
	p := Pattern{text: s}
	from := 0
	flush := func(to int) {
		if to > from {
			p.add(piece{op: lit, text: s[from:to]})
		}
	}
	for i := 0; i < len(s); {
		switch {
		case wildcards && s[i] == '*':
			flush(i)
			p.add(piece{op: star})
			i++
			from = i
		case wildcards && s[i] == '?':
			flush(i)
			p.add(piece{op: one})
			i++
			from = i
		case vars && s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				i++
				continue
			}
			flush(i)
			p.add(variablePiece(s[i+2 : i+end]))
			i += end + 1
			from = i
		default:
			i++
		}
	}
	flush(len(s))
	p.settle()
	return p
}

// variablePiece compiles what stands between ${ and }.
func variablePiece(s string) piece {
	switch s {
	case "*", "?", "$":
		return piece{op: lit, text: s}
	}
	key, alt, has := strings.Cut(s, ",")
	pc := piece{op: variable, text: strings.TrimSpace(key)}
	if has {
		alt = strings.TrimSpace(alt)
		if n := len(alt); n >= 2 && alt[0] == '\'' && alt[n-1] == '\'' {
			pc.alt, pc.has = alt[1:n-1], true
		}
	}
	return pc
}

// add appends a piece; literals beside each other become one, as do stars.
func (p *Pattern) add(pc piece) {
	if n := len(p.pieces); n > 0 {
		last := &p.pieces[n-1]
		switch {
		case pc.op == lit && last.op == lit:
			last.text += pc.text
			return
		case pc.op == star && last.op == star:
			return
		}
	}
	p.pieces = append(p.pieces, pc)
}

func (p *Pattern) settle() {
	p.kind, p.exact = isGlob, ""
	for _, pc := range p.pieces {
		if pc.op == variable {
			p.kind = isVariable
			return
		}
	}
	switch {
	case len(p.pieces) == 0:
		p.kind = isExact
	case len(p.pieces) == 1 && p.pieces[0].op == star:
		p.kind = isAll
	case len(p.pieces) == 1 && p.pieces[0].op == lit:
		p.kind, p.exact = isExact, p.pieces[0].text
	case len(p.pieces) == 2 && p.pieces[0].op == lit && p.pieces[1].op == star:
		p.kind, p.exact = isPrefix, p.pieces[0].text
	}
}

// String is the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// Lead is the literal text with which everything that p matches begins.
func (p *Pattern) Lead() string {
	if len(p.pieces) > 0 && p.pieces[0].op == lit {
		return p.pieces[0].text
	}
	return ""
}

func (p *Pattern) tail() string {
	if n := len(p.pieces); n > 0 && p.pieces[n-1].op == lit {
		return p.pieces[n-1].text
	}
	return ""
}

// Open reports whether p matches everything that begins with its Lead.
func (p *Pattern) Open() bool { return p.kind == isPrefix || p.kind == isAll }

// Exact returns the one string that p matches; ok is false if there may be
// others.
func (p *Pattern) Exact() (s string, ok bool) { return p.exact, p.kind == isExact }

// Variables reports whether p must be resolved.
func (p *Pattern) Variables() bool { return p.kind == isVariable }

// Resolve puts values for p's variables; ok is false if one has neither value
// nor default.
func (p *Pattern) Resolve(get Values) (r Pattern, ok bool) {
	if p.kind != isVariable {
		return *p, true
	}
	r.text = p.text
	r.pieces = make([]piece, 0, len(p.pieces))
	for _, pc := range p.pieces {
		if pc.op == variable {
			v, ok := get.Value(pc.text)
			if !ok {
				if !pc.has {
					return Pattern{}, false
				}
				v = pc.alt
			}
			if v == "" {
				continue
			}
			pc = piece{op: lit, text: v}
		}
		r.add(pc)
	}
	r.settle()
	return r, true
}

// Match reports whether p, which must have no variables left, matches all of s.
func (p *Pattern) Match(s string) bool {
	switch p.kind {
	case isExact:
		return s == p.exact
	case isAll:
		return true
	case isPrefix:
		return strings.HasPrefix(s, p.exact)
	case isVariable:
		return false
	}
	return glob(p.pieces, s)
}

// glob goes back to the last star only: an earlier one never needs to give up
// what it took, because the later can take any run.
func glob(ps []piece, s string) bool {
	i, at := 0, 0
	back, mark := -1, 0
	for {
		if i < len(ps) {
			switch pc := &ps[i]; pc.op {
			case star:
				if i == len(ps)-1 {
					return true
				}
				back, mark = i, at
				i++
				continue
			case one:
				if at < len(s) {
					at += runeLen(s[at:])
					i++
					continue
				}
			case lit:
				if strings.HasPrefix(s[at:], pc.text) {
					at += len(pc.text)
					i++
					continue
				}
			}
		} else if at == len(s) {
			return true
		}
		if back < 0 || mark >= len(s) {
			return false
		}
		mark += runeLen(s[mark:])
		if next := &ps[back+1]; next.op == lit {
			j := strings.Index(s[mark:], next.text)
			if j < 0 {
				return false
			}
			mark += j
		}
		at, i = mark, back+1
	}
}

func runeLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}
