package value

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// MaxDepth is how deep arrays and objects may nest in a text; the limit of
// AWS's own parser.
const MaxDepth = 1000

// SyntaxError says where a text stops being JSON.
type SyntaxError struct {
	Offset int // in bytes
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at offset %d: %s", e.Offset, e.Msg)
}

// Parse reads one JSON text. The error is a *SyntaxError.
func Parse(b []byte) (Value, error) { return ParseString(string(b)) }

// ParseOwned is Parse for bytes that nobody changes any more: the Value shares
// them. It is for bodies, which may be large and are kept beside it.
func ParseOwned(b []byte) (Value, error) {
	return ParseString(unsafe.String(unsafe.SliceData(b), len(b)))
}

// ParseString is Parse for a string, which the Value shares.
func ParseString(s string) (Value, error) {
	p := scanner{s: s}
	i := p.space(0)
	j := p.skip(i, 0)
	if p.err != nil {
		return Value{}, p.err
	}
	if k := p.space(j); k != len(s) {
		return Value{}, &SyntaxError{k, "text after the value"}
	}
	var n *node
	if s[i] == '{' || s[i] == '[' {
		n = new(node)
	}
	return leaf(s[i:j], n), nil
}

// MustParse is ParseString for texts that a program holds; it panics.
func MustParse(s string) Value {
	v, err := ParseString(s)
	if err != nil {
		panic(err)
	}
	return v
}

// Valid reports whether s is one JSON text.
func Valid(s string) bool {
	p := scanner{s: s}
	j := p.skip(p.space(0), 0)
	return p.err == nil && p.space(j) == len(s)
}

// leaf makes the value of the valid text t; a container uses n.
func leaf(t string, n *node) Value {
	switch t[0] {
	case '{', '[':
		n.text = t
		if t[0] == '{' {
			return Value{k: KindObject, p: unsafe.Pointer(n)}
		}
		return Value{k: KindArray, p: unsafe.Pointer(n)}
	case '"':
		return String(unquote(t))
	case 't':
		return Bool(true)
	case 'f':
		return Bool(false)
	case 'n':
		return Null()
	}
	return numberText(t)
}

// scanner checks a text without building anything.
type scanner struct {
	s   string
	err *SyntaxError
}

func (p *scanner) fail(i int, format string, args ...any) int {
	if p.err == nil {
		p.err = &SyntaxError{i, fmt.Sprintf(format, args...)}
	}
	return len(p.s)
}

func (p *scanner) space(i int) int { return space(p.s, i) }

func space(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// skip checks one value at i and returns its end.
func (p *scanner) skip(i, depth int) int {
	s := p.s
	if i >= len(s) {
		return p.fail(i, "a value is missing")
	}
	if depth > MaxDepth {
		return p.fail(i, "nested more than %d deep", MaxDepth)
	}
	switch s[i] {
	case '{':
		i = p.space(i + 1)
		if i < len(s) && s[i] == '}' {
			return i + 1
		}
		for {
			if i >= len(s) || s[i] != '"' {
				return p.fail(i, "expected a member name in quotes")
			}
			i = p.space(p.str(i))
			if p.err != nil {
				return i
			}
			if i >= len(s) || s[i] != ':' {
				return p.fail(i, "expected ':' after a member name")
			}
			i = p.skip(p.space(i+1), depth+1)
			if p.err != nil {
				return i
			}
			i = p.space(i)
			if i < len(s) && s[i] == '}' {
				return i + 1
			}
			if i >= len(s) || s[i] != ',' {
				return p.fail(i, "expected ',' or '}' in an object")
			}
			i = p.space(i + 1)
		}
	case '[':
		i = p.space(i + 1)
		if i < len(s) && s[i] == ']' {
			return i + 1
		}
		for {
			i = p.skip(i, depth+1)
			if p.err != nil {
				return i
			}
			i = p.space(i)
			if i < len(s) && s[i] == ']' {
				return i + 1
			}
			if i >= len(s) || s[i] != ',' {
				return p.fail(i, "expected ',' or ']' in an array")
			}
			i = p.space(i + 1)
		}
	case '"':
		return p.str(i)
	case 't':
		return p.word(i, "true")
	case 'f':
		return p.word(i, "false")
	case 'n':
		return p.word(i, "null")
	}
	return p.number(i)
}

func (p *scanner) word(i int, w string) int {
	if len(p.s)-i >= len(w) && p.s[i:i+len(w)] == w {
		return i + len(w)
	}
	return p.fail(i, "unexpected character %q", p.at(i))
}

func (p *scanner) at(i int) rune {
	r, _ := utf8.DecodeRuneInString(p.s[i:])
	return r
}

func (p *scanner) str(i int) int {
	s, start, ascii := p.s, i+1, true
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if !ascii && !utf8.ValidString(s[start:i]) {
				return p.fail(start, "a string that is not UTF-8")
			}
			return i + 1
		case c == '\\':
			i++
			if i >= len(s) {
				return p.fail(i, "a string without an end")
			}
			switch s[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for k := 1; k <= 4; k++ {
					if i+k >= len(s) || !isHex(s[i+k]) {
						return p.fail(i, `\u without four hexadecimal digits`)
					}
				}
				i += 4
			default:
				return p.fail(i, "unknown escape %q", p.at(i))
			}
		case c < 0x20:
			return p.fail(i, "control character %#02x in a string", c)
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return p.fail(i, "a string without an end")
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|32 >= 'a' && c|32 <= 'f' }

func (p *scanner) number(i int) int {
	s, start := p.s, i
	digits := func() bool {
		j := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > j
	}
	if s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return p.fail(start, "unexpected character %q", p.at(start))
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return p.fail(i, "a number without digits after the point")
		}
	}
	if i < len(s) && s[i]|32 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return p.fail(i, "a number without digits in its exponent")
		}
	}
	return i
}

// pass returns the end of the value at i of a text known to be valid.
func pass(s string, i int) int {
	switch s[i] {
	case '{', '[':
		for depth := 0; ; i++ {
			switch s[i] {
			case '"':
				i = passStr(s, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	case '"':
		return passStr(s, i)
	}
	for i < len(s) && s[i] != ',' && s[i] != '}' && s[i] != ']' && s[i] > ' ' {
		i++
	}
	return i
}

func passStr(s string, i int) int {
	for i++; ; i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

// split takes one level of a container's valid text apart. It counts first, so
// that one slab holds the values and one the containers among them.
func split(s string) *level {
	n, inner := 0, 0
	object := s[0] == '{'
	last := s[0] + 2 // '{' and '}', '[' and ']' are two apart
	for i := space(s, 1); s[i] != last; n++ {
		if object {
			i = space(s, space(s, passStr(s, i))+1)
		}
		if s[i] == '{' || s[i] == '[' {
			inner++
		}
		if i = space(s, pass(s, i)); s[i] == ',' {
			i = space(s, i+1)
		}
	}
	l := new(level)
	nodes := make([]node, inner)
	if object {
		l.members = make([]Member, n)
	} else {
		l.items = make([]Value, n)
	}
	n, inner = 0, 0
	for i := space(s, 1); s[i] != last; n++ {
		var key string
		if object {
			j := passStr(s, i)
			key = unquote(s[i:j])
			i = space(s, space(s, j)+1)
		}
		j := pass(s, i)
		var nd *node
		if s[i] == '{' || s[i] == '[' {
			nd = &nodes[inner]
			inner++
		}
		if v := leaf(s[i:j], nd); object {
			l.members[n] = Member{key, v}
		} else {
			l.items[n] = v
		}
		if i = space(s, j); s[i] == ',' {
			i = space(s, i+1)
		}
	}
	if object {
		l.settle(false)
	}
	return l
}

func unquote(t string) string {
	for i := 1; i < len(t)-1; i++ {
		if t[i] == '\\' {
			return string(unescape(t[1 : len(t)-1]))
		}
	}
	return t[1 : len(t)-1]
}

// unescape decodes the inside of a valid string. A lone surrogate becomes
// U+FFFD: a Go string holds no surrogates.
func unescape(t string) []byte {
	b := make([]byte, 0, len(t))
	for i := 0; i < len(t); i++ {
		if t[i] != '\\' {
			b = append(b, t[i])
			continue
		}
		i++
		switch t[i] {
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
			u, _ := strconv.ParseUint(t[i+1:i+5], 16, 32)
			i += 4
			if u >= 0xD800 && u < 0xDC00 && i+6 < len(t) && t[i+1] == '\\' && t[i+2] == 'u' {
				if lo, _ := strconv.ParseUint(t[i+3:i+7], 16, 32); lo >= 0xDC00 && lo < 0xE000 {
					u = (u-0xD800)<<10 + (lo - 0xDC00) + 0x10000
					i += 6
				}
			}
			b = utf8.AppendRune(b, rune(u))
		default:
			b = append(b, t[i])
		}
	}
	return b
}

// JSON returns v's text: what was parsed, or a compact one that is made once.
// Undefined has none: "".
func (v Value) JSON() string {
	switch v.k {
	case KindUndefined:
		return ""
	case KindArray, KindObject:
		n := v.node()
		if n.text != "" {
			return n.text
		}
		if s := n.printed.Load(); s != nil {
			return *s
		}
		b := v.append(make([]byte, 0, v.size()))
		s := unsafe.String(unsafe.SliceData(b), len(b))
		n.printed.Store(&s)
		return s
	}
	return string(v.AppendJSON(nil))
}

// String is JSON, for fmt.
func (v Value) String() string { return v.JSON() }

// AppendJSON appends v's text to b; null where v is Undefined.
func (v Value) AppendJSON(b []byte) []byte {
	if b == nil {
		b = make([]byte, 0, v.size())
	}
	return v.append(b)
}

func (v Value) size() int {
	switch v.k {
	case KindString:
		return int(v.n) + 2
	case KindNumber:
		if v.t {
			return int(v.n)
		}
		return 8
	case KindArray, KindObject:
		n := v.node()
		if n.text != "" {
			return len(n.text)
		}
		if s := n.printed.Load(); s != nil {
			return len(*s)
		}
		l, sum := n.level.Load(), 2
		for _, x := range l.items {
			sum += 1 + x.size()
		}
		for i := range l.members {
			sum += len(l.members[i].Key) + 4 + l.members[i].Value.size()
		}
		return sum
	}
	return 5
}

func (v Value) append(b []byte) []byte {
	switch v.k {
	case KindBool:
		return strconv.AppendBool(b, v.n == 1)
	case KindNumber:
		if v.t {
			return append(b, v.bytes()...)
		}
		return appendFloat(b, math.Float64frombits(v.n))
	case KindString:
		return AppendQuoted(b, v.bytes())
	case KindArray, KindObject:
		n := v.node()
		if n.text != "" {
			return append(b, n.text...)
		}
		if s := n.printed.Load(); s != nil {
			return append(b, *s...)
		}
		l := n.level.Load()
		if v.k == KindArray {
			b = append(b, '[')
			for i, x := range l.items {
				if i > 0 {
					b = append(b, ',')
				}
				b = x.append(b)
			}
			return append(b, ']')
		}
		b = append(b, '{')
		for i := range l.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendQuoted(b, l.members[i].Key)
			b = append(b, ':')
			b = l.members[i].Value.append(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// appendFloat prints f as JavaScript does.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(b, "null"...)
	case f == 0: // also -0
		return append(b, '0')
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return strconv.AppendInt(b, int64(f), 10)
	}
	abs := math.Abs(f)
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); n >= 4 && b[n-2] == '0' && (b[n-3] == '-' || b[n-3] == '+') {
		b[n-2] = b[n-1] // e-07 is e-7
		b = b[:n-1]
	}
	return b
}

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as a JSON string. Only what JSON demands is escaped;
// bytes that are not UTF-8 become U+FFFD.
func AppendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := plainEnd(s, 0); i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[from:i]...)
				b = append(b, "\uFFFD"...)
				from = i + 1
			}
			i = plainEnd(s, i+n)
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		default:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
		from = i + 1
		i = plainEnd(s, from)
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// plainEnd returns an index from i on before which nothing has to be escaped: s is
// looked at eight bytes at a time, as far as all of them are plain.
func plainEnd(s string, i int) int {
	const each, top = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(s); i += 8 {
		p := s[i : i+8]
		w := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 | uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
		quote, slash := w^'"'*each, w^'\\'*each
		// A byte's top bit is set where it is not ASCII, below a space, a quote or a
		// backslash; perhaps also behind such a byte.
		if (w|(w-' '*each)|(quote-each)&^quote|(slash-each)&^slash)&top != 0 {
			break
		}
	}
	return i
}

// MarshalJSON implements [json.Marshaler].
func (v Value) MarshalJSON() ([]byte, error) { return v.append(nil), nil }

// UnmarshalJSON implements [json.Unmarshaler].
func (v *Value) UnmarshalJSON(b []byte) error {
	x, err := Parse(b)
	*v = x
	return err
}

// IsZero reports whether v is Undefined, for omitzero.
func (v Value) IsZero() bool { return v.k == KindUndefined }

// Of makes a Value of what [json.Marshal] accepts. It is for edges and tests:
// the constructors are direct.
func Of(x any) (Value, error) {
	if v, ok := x.(Value); ok {
		return v, nil
	}
	b, err := json.Marshal(x)
	if err != nil {
		return Value{}, fmt.Errorf("value of %T: %w", x, err)
	}
	return Parse(b)
}

// Compact returns v with no white space between its tokens. A text that has
// none is kept.
func (v Value) Compact() Value {
	if v.k != KindArray && v.k != KindObject {
		return v
	}
	t := v.JSON() // of a built value too: parts of it may be parsed
	b := make([]byte, 0, len(t))
	for i := 0; i < len(t); {
		switch t[i] {
		case ' ', '\n', '\t', '\r':
			i++
		case '"':
			j := passStr(t, i)
			b = append(b, t[i:j]...)
			i = j
		default:
			b = append(b, t[i])
			i++
		}
	}
	if len(b) == len(t) {
		return v
	}
	n := &node{text: string(b)}
	return Value{k: v.k, p: unsafe.Pointer(n)}
}
