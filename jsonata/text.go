package jsonata

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"tokaido/value"
)

// Strings are UTF-8. The reference's are UTF-16, in which half of a character
// outside of the basic plane can stand alone; such a lone surrogate is held as
// the three bytes that UTF-8 would use for its number if it allowed it. The
// machine knows whether there may be any (machine.lone).

func bytesToString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// isLone reports whether a lone surrogate begins at byte i of s.
func isLone(s string, i int) bool {
	return i+2 < len(s) && s[i] == 0xED && s[i+1] >= 0xA0 && s[i+1] < 0xC0
}

// startsLow reports whether s begins with the second half of a character.
func startsLow(s string) bool { return isLone(s, 0) && s[1] >= 0xB0 }

// endsHigh reports whether b ends with the first half of a character.
func endsHigh(b []byte) bool {
	n := len(b)
	return n >= 3 && b[n-3] == 0xED && b[n-2] >= 0xA0 && b[n-2] < 0xB0
}

// mergeLow appends s, which begins with a second half, to b.
func mergeLow(b []byte, s string) []byte {
	if !endsHigh(b) {
		return append(b, s...)
	}
	lo := rune(0xD000) | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F)
	return append(appendUnit(b, uint16(lo)), s[3:]...)
}

// appendUnit appends one UTF-16 unit; the second half of a character completes
// a first half that b ends with.
func appendUnit(b []byte, u uint16) []byte {
	if u < 0xD800 || u >= 0xE000 {
		return utf8.AppendRune(b, rune(u))
	}
	if u >= 0xDC00 && endsHigh(b) {
		n := len(b)
		hi := rune(0xD000) | rune(b[n-2]&0x3F)<<6 | rune(b[n-1]&0x3F)
		return utf8.AppendRune(b[:n-3], (hi-0xD800)<<10+rune(u-0xDC00)+0x10000)
	}
	return append(b, 0xED, byte(u>>6)&0x3F|0x80, byte(u)&0x3F|0x80)
}

// next decodes the character, or the lone surrogate, at byte i.
func nextRune(s string, i int) (r rune, size int) {
	if c := s[i]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	if isLone(s, i) {
		return rune(0xD000) | rune(s[i+1]&0x3F)<<6 | rune(s[i+2]&0x3F), 3
	}
	return utf8.DecodeRuneInString(s[i:])
}

// count is the number of characters in s.
func count(s string) int {
	n := 0
	for i := 0; i < len(s); n++ {
		_, k := nextRune(s, i)
		i += k
	}
	return n
}

// units are the UTF-16 units of s.
func units(s string) []rune {
	out := make([]rune, 0, len(s))
	for i := 0; i < len(s); {
		r, n := nextRune(s, i)
		i += n
		if r >= 0x10000 {
			r -= 0x10000
			out = append(out, 0xD800+r>>10, 0xDC00+r&0x3FF)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// fromUnits makes a string of UTF-16 units, and notes lone surrogates.
func (m *machine) fromUnits(u []rune) string {
	b := make([]byte, 0, len(u))
	for _, r := range u {
		if r >= 0xD800 && r < 0xE000 {
			m.lone = true
		}
		b = appendUnit(b, uint16(r))
	}
	return bytesToString(b)
}

// compareUnits orders strings as JavaScript does, by their UTF-16 units.
func compareUnits(a, b string) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	if i == n {
		return len(a) - len(b)
	}
	x, y := a[i], b[i]
	// A character outside of the basic plane (a lead of 0xF0 and more) begins
	// with a unit that is below U+E000 to U+FFFF (0xEE, 0xEF).
	if x >= 0xF0 && (y == 0xEE || y == 0xEF) {
		return -1
	}
	if y >= 0xF0 && (x == 0xEE || x == 0xEF) {
		return 1
	}
	return int(x) - int(y)
}

// round15 rounds to fifteen significant digits, as $string does with numbers
// that are not whole.
func round15(f float64) float64 {
	if isWhole(f) {
		return f
	}
	var room [32]byte
	b := strconv.AppendFloat(room[:0], f, 'e', 14, 64)
	g, err := strconv.ParseFloat(bytesToString(b), 64)
	if err != nil {
		return f
	}
	return g
}

func isWhole(f float64) bool { return f == math.Trunc(f) }

func appendNumber(b []byte, f float64) []byte {
	return value.Float(round15(f)).AppendJSON(b)
}

// text is $string without a second argument; nothing becomes "".
func (m *machine) text(a val) val {
	if a.x == nil {
		switch a.v.Kind() {
		case value.KindUndefined:
			return str("")
		case value.KindString:
			return a
		case value.KindBool:
			if a.v.Bool() {
				return str("true")
			}
			return str("false")
		case value.KindNull:
			return str("null")
		case value.KindNumber:
			f := a.v.Float()
			if f-f != 0 {
				panic(&Error{Code: "D3001", Value: a.v})
			}
			var room [32]byte
			s := string(appendNumber(room[:0], f))
			m.grow(len(s))
			return str(s)
		}
	}
	return m.print(a, -1)
}

// print writes a value as JSON text, on several lines if indent is not negative.
func (m *machine) print(a val, indent int) val {
	switch a.kind() {
	case kUndefined, kString:
		return a
	case kFunction:
		return str("")
	case kNumber:
		return m.text(a)
	}
	if a.x != nil && a.x.outer && a.length() > 0 {
		a = a.at(0)
	}
	w := printer{m: m, indent: indent}
	w.value(a, 0)
	m.charge(len(w.b))
	return str(bytesToString(w.b))
}

type printer struct {
	m      *machine
	b      []byte
	indent int
}

func (w *printer) line(depth int) {
	if w.indent < 0 {
		return
	}
	w.b = append(w.b, '\n')
	for range depth * w.indent {
		w.b = append(w.b, ' ')
	}
}

func (w *printer) value(a val, depth int) {
	if depth > maxExport {
		panic(w.m.limit(LimitDepth))
	}
	if len(w.b) > w.m.maxBytes {
		panic(w.m.limit(LimitMemory))
	}
	switch a.kind() {
	case kUndefined, kNull:
		w.b = append(w.b, "null"...)
	case kBool:
		if a.v.Bool() {
			w.b = append(w.b, "true"...)
		} else {
			w.b = append(w.b, "false"...)
		}
	case kNumber:
		if f := a.v.Float(); w.m.finite(f) {
			w.b = appendNumber(w.b, f)
		} else {
			w.b = append(w.b, "null"...)
		}
	case kString:
		w.quote(a.v.Str())
	case kFunction:
		w.b = append(w.b, `""`...)
	case kArray:
		n := a.length()
		w.m.spend(n)
		w.b = append(w.b, '[')
		for i := range n {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.line(depth + 1)
			w.value(a.at(i), depth+1)
		}
		if n > 0 {
			w.line(depth)
		}
		w.b = append(w.b, ']')
	case kObject:
		n := a.length()
		w.m.spend(n)
		w.b = append(w.b, '{')
		for i := range n {
			key, x := a.member(i)
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.line(depth + 1)
			w.quote(key)
			w.b = append(w.b, ':')
			if w.indent >= 0 {
				w.b = append(w.b, ' ')
			}
			w.value(x, depth+1)
		}
		if n > 0 {
			w.line(depth)
		}
		w.b = append(w.b, '}')
	}
}

// quote writes a string; a lone surrogate is escaped.
func (w *printer) quote(s string) {
	if !w.m.lone || utf8.ValidString(s) {
		w.b = value.AppendQuoted(w.b, s)
		return
	}
	w.b = append(w.b, '"')
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && !isLone(s, j) {
			j++
		}
		if j > i {
			q := value.AppendQuoted(nil, s[i:j])
			w.b = append(w.b, q[1:len(q)-1]...)
		}
		if i = j; i < len(s) {
			r, n := nextRune(s, i)
			w.b = append(w.b, `\u`...)
			w.b = strconv.AppendInt(w.b, int64(r), 16)
			i += n
		}
	}
	w.b = append(w.b, '"')
}

// The characters whose upper case is several characters, as Unicode's
// SpecialCasing has them without conditions. The Greek ones with an iota below
// are computed.
var longUpper = map[rune]string{
	'ß': "SS", 'ŉ': "ʼN", 'ǰ': "J\u030c", 'ΐ': "Ι\u0308\u0301", 'ΰ': "Υ\u0308\u0301", 'և': "ԵՒ",
	'ẖ': "H\u0331", 'ẗ': "T\u0308", 'ẘ': "W\u030a", 'ẙ': "Y\u030a", 'ẚ': "Aʾ",
	'ὐ': "Υ\u0313", 'ὒ': "Υ\u0313\u0300", 'ὔ': "Υ\u0313\u0301", 'ὖ': "Υ\u0313\u0342",
	0x1fb2: "\u1fbaΙ", 0x1fb3: "ΑΙ", 0x1fb4: "ΆΙ", 0x1fb6: "Α\u0342", 0x1fb7: "Α\u0342Ι", 0x1fbc: "ΑΙ",
	0x1fc2: "\u1fcaΙ", 0x1fc3: "ΗΙ", 0x1fc4: "ΉΙ", 0x1fc6: "Η\u0342", 0x1fc7: "Η\u0342Ι", 0x1fcc: "ΗΙ",
	0x1fd2: "Ι\u0308\u0300", 0x1fd3: "Ι\u0308\u0301", 0x1fd6: "Ι\u0342", 0x1fd7: "Ι\u0308\u0342",
	0x1fe2: "Υ\u0308\u0300", 0x1fe3: "Υ\u0308\u0301", 0x1fe4: "Ρ\u0313", 0x1fe6: "Υ\u0342", 0x1fe7: "Υ\u0308\u0342",
	0x1ff2: "\u1ffaΙ", 0x1ff3: "ΩΙ", 0x1ff4: "ΏΙ", 0x1ff6: "Ω\u0342", 0x1ff7: "Ω\u0342Ι", 0x1ffc: "ΩΙ",
	0xfb00: "FF", 0xfb01: "FI", 0xfb02: "FL", 0xfb03: "FFI", 0xfb04: "FFL", 0xfb05: "ST", 0xfb06: "ST",
	0xfb13: "ՄՆ", 0xfb14: "ՄԵ", 0xfb15: "ՄԻ", 0xfb16: "ՎՆ", 0xfb17: "ՄԽ",
}

func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := nextRune(s, i)
		switch {
		case n == 3 && isLone(s, i):
			b.WriteString(s[i : i+3])
		case r >= 0x1f80 && r < 0x1fb0:
			base := [...]rune{0x1f08, 0x1f28, 0x1f68}[(r-0x1f80)>>4]
			b.WriteRune(base + r&7)
			b.WriteRune('Ι')
		default:
			if long, ok := longUpper[r]; ok {
				b.WriteString(long)
			} else {
				b.WriteRune(unicode.ToUpper(r))
			}
		}
		i += n
	}
	return b.String()
}

func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := nextRune(s, i)
		switch {
		case n == 3 && isLone(s, i):
			b.WriteString(s[i : i+3])
		case r == 'İ':
			b.WriteString("i\u0307")
		case r == 'Σ' && finalSigma(s, i, i+n):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
		i += n
	}
	return b.String()
}

// finalSigma is Unicode's condition Final_Sigma: a cased letter before, none after.
func finalSigma(s string, at, after int) bool {
	ignorable := func(r rune) bool {
		return r == '\'' || r == '.' || r == ':' || r == '·' || r == '’' || r == '^' || r == '`' || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
	}
	cased := func(r rune) bool { return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt) }
	before := false
	for at > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:at])
		at -= n
		if !ignorable(r) {
			before = cased(r)
			break
		}
	}
	if !before {
		return false
	}
	for after < len(s) {
		r, n := utf8.DecodeRuneInString(s[after:])
		after += n
		if !ignorable(r) {
			return !cased(r)
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
