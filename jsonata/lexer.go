package jsonata

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"tokaido/value"
)

// tokenKind is the class of a token.
type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokOp
	tokName
	tokVar
	tokStr
	tokNum
	tokWord // true, false, null
	tokRegex
)

type token struct {
	kind tokenKind
	text string // operator, name without quotes, variable without $, string's content
	num  float64
	word value.Value
	re   *regex
	pos  int // of its end, in UTF-16 units: that is where the reference sees a token
}

// lexer takes a source apart. Whether a slash divides or begins a regular
// expression depends on what came before, so the parser says which.
type lexer struct {
	src   string
	at    int // in bytes
	ascii bool

	// The last place whose position was asked for: positions are counted on
	// from there, so that long sources stay linear.
	seenAt, seenPos int

	lone bool // a string holds a lone surrogate
}

func newLexer(src string) lexer {
	l := lexer{src: src, ascii: true}
	for i := 0; i < len(src); i++ {
		if src[i] >= utf8.RuneSelf {
			l.ascii = false
			if isLone(src, i) {
				l.lone = true
			}
		}
	}
	return l
}

// pos converts a byte offset to UTF-16 units.
func (l *lexer) pos(at int) int {
	if l.ascii {
		return at
	}
	if at < l.seenAt {
		l.seenAt, l.seenPos = 0, 0
	}
	l.seenPos += unitLen(l.src[l.seenAt:at])
	l.seenAt = at
	return l.seenPos
}

// unitLen is the length of s in UTF-16 units.
func unitLen(s string) int {
	n := 0
	for i := 0; i < len(s); n++ {
		r, k := nextRune(s, i)
		if r >= 0x10000 {
			n++
		}
		i += k
	}
	return n
}

// isLong reports whether two characters are one operator.
func isLong(a, b byte) bool {
	switch b {
	case '.':
		return a == '.'
	case '=':
		return a == ':' || a == '!' || a == '>' || a == '<'
	case '*':
		return a == '*'
	case '>':
		return a == '~'
	case ':', '?':
		return a == '?'
	}
	return false
}

// The classes of characters that end a name.
const (
	classOperator = 1 + iota
	classSpace
)

var classes = func() (t [256]byte) {
	for _, c := range ".[]{}(),@#;:?+-*/%|=<>^&!~" {
		t[c] = classOperator
	}
	for _, c := range " \t\n\r\v" {
		t[c] = classSpace
	}
	return t
}()

// isOperator reports whether c alone is an operator or ends a name as one.
func isOperator(c byte) bool { return classes[c] == classOperator }

func isSpace(c byte) bool { return classes[c] == classSpace }

func fail(code string, pos int, tok string) *Error {
	return &Error{Code: code, Position: pos, Token: tok}
}

// next returns the next token. infix says that an operator may follow here, so
// that a slash is a division.
func (l *lexer) next(infix bool) token {
	s := l.src
	for {
		for l.at < len(s) && isSpace(s[l.at]) {
			l.at++
		}
		if l.at+1 >= len(s) || s[l.at] != '/' || s[l.at+1] != '*' {
			break
		}
		end := strings.Index(s[l.at+2:], "*/")
		if end < 0 {
			panic(fail("S0106", l.pos(l.at), ""))
		}
		l.at += 2 + end + 2
	}
	if l.at >= len(s) {
		return token{kind: tokEnd, text: "(end)", pos: l.pos(len(s))}
	}
	start := l.at
	c := s[start]
	if c == '/' && !infix {
		l.at++
		re := l.regex()
		return token{kind: tokRegex, re: re, text: "/" + re.source + "/" + re.flags(), pos: l.pos(l.at)}
	}
	switch {
	case isOperator(c):
		l.at++
		if l.at < len(s) && isLong(c, s[l.at]) {
			l.at++
		}
		return token{kind: tokOp, text: s[start:l.at], pos: l.pos(l.at)}
	case c == '"' || c == '\'':
		return l.str(c)
	case c >= '0' && c <= '9':
		return l.number()
	case c == '`':
		end := strings.IndexByte(s[start+1:], '`')
		if end < 0 {
			panic(fail("S0105", l.pos(len(s)), ""))
		}
		l.at = start + 1 + end + 1
		return token{kind: tokName, text: s[start+1 : l.at-1], pos: l.pos(l.at)}
	}
	for l.at < len(s) && classes[s[l.at]] == 0 {
		l.at++
	}
	t := token{text: s[start:l.at], pos: l.pos(l.at)}
	if c == '$' {
		t.kind, t.text = tokVar, t.text[1:]
		return t
	}
	switch t.text {
	case "or", "in", "and":
		t.kind = tokOp
	case "true", "false":
		t.kind, t.word = tokWord, value.Bool(t.text == "true")
	case "null":
		t.kind, t.word = tokWord, value.Null()
	default:
		t.kind = tokName
	}
	return t
}

func (l *lexer) number() token {
	s, start := l.src, l.at
	i := start
	digits := func(j int) int {
		for j < len(s) && s[j] >= '0' && s[j] <= '9' {
			j++
		}
		return j
	}
	if s[i] == '0' {
		i++
	} else {
		i = digits(i)
	}
	if i < len(s) && s[i] == '.' {
		if j := digits(i + 1); j > i+1 {
			i = j
		}
	}
	if i < len(s) && s[i]|32 == 'e' {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if k := digits(j); k > j {
			i = k
		}
	}
	f, err := strconv.ParseFloat(s[start:i], 64)
	if err != nil && math.IsInf(f, 0) {
		panic(fail("S0102", l.pos(start), s[start:i]))
	}
	l.at = i
	return token{kind: tokNum, num: f, text: s[start:i], pos: l.pos(i)}
}

func (l *lexer) str(quote byte) token {
	s := l.src
	start := l.at + 1
	i := start
	for i < len(s) && s[i] != quote && s[i] != '\\' {
		i++
	}
	if i < len(s) && s[i] == quote { // nothing to decode
		l.at = i + 1
		return token{kind: tokStr, text: s[start:i], pos: l.pos(l.at)}
	}
	b := append(make([]byte, 0, len(s)-start), s[start:i]...)
	for i < len(s) {
		switch c := s[i]; {
		case c == quote:
			l.at = i + 1
			return token{kind: tokStr, text: string(b), pos: l.pos(l.at)}
		case c != '\\':
			b = append(b, c)
			i++
		default:
			i++
			if i >= len(s) {
				panic(fail("S0103", l.pos(i), ""))
			}
			switch s[i] {
			case '"', '\\', '/':
				b = append(b, s[i])
			case 'b':
				b = append(b, '\b')
			case 'f':
				b = append(b, '\f')
			case 'n':
				b = append(b, '\n')
			case 'r':
				b = append(b, '\r')
			case 't':
				b = append(b, '\t')
			case 'u':
				end := min(i+5, len(s))
				u, err := strconv.ParseUint(s[i+1:end], 16, 16)
				if err != nil || strings.ContainsAny(s[i+1:end], "+-_") {
					panic(fail("S0104", l.pos(i), ""))
				}
				b = appendUnit(b, uint16(u))
				if u >= 0xD800 && u < 0xE000 {
					l.lone = true
				}
				i = end - 1
			default:
				_, n := utf8.DecodeRuneInString(s[i:])
				panic(fail("S0103", l.pos(i), s[i:i+n]))
			}
			i++
		}
	}
	panic(fail("S0101", l.pos(len(s)), ""))
}

// regex reads a regular expression after its first slash. It ends at a slash
// that is outside of any bracket and has no odd number of backslashes before.
func (l *lexer) regex() *regex {
	s, start := l.src, l.at
	depth := 0
	for i := start; i < len(s); i++ {
		switch s[i] {
		case '/':
			if depth != 0 {
				break
			}
			back := 0
			for i-1-back >= 0 && s[i-1-back] == '\\' {
				back++
			}
			if back%2 != 0 {
				break
			}
			if i == start {
				panic(fail("S0301", l.pos(i), ""))
			}
			end := i + 1
			for end < len(s) && (s[end] == 'i' || s[end] == 'm') {
				end++
			}
			l.at = end
			re, err := compileRegex(s[start:i], s[i+1:end])
			if err != nil {
				panic(&Error{Position: l.pos(start), Token: s[start:i], Message: "Invalid regular expression: /" + s[start:i] + "/: " + err.Error()})
			}
			return re
		case '(', '[', '{':
			if s[i-1] != '\\' {
				depth++
			}
		case ')', ']', '}':
			if s[i-1] != '\\' {
				depth--
			}
		}
	}
	panic(fail("S0302", l.pos(len(s)), ""))
}
