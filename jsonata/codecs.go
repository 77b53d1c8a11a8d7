package jsonata

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// base64Encode takes each UTF-16 unit as one byte, as the reference does.
func base64Encode(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := args[0].v.Str()
	b := make([]byte, 0, len(s))
	for _, u := range units(s) {
		b = append(b, byte(u))
	}
	m.grow(2 * len(b))
	return str(base64.StdEncoding.EncodeToString(b))
}

// base64Decode makes one character of each byte. The reference passes over
// what is not base64; AWS fails.
func base64Decode(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := args[0].v.Str()
	m.grow(2 * len(s))
	clean := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '-':
			c = '+'
		case c == '_':
			c = '/'
		}
		if c == '=' {
			break
		}
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
			clean = append(clean, c)
		}
	}
	if m.states {
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			panic(&Error{Message: "The text is not base64", Internal: true})
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, _ := base64.RawStdEncoding.Decode(out, clean)
	b := make([]byte, 0, n+n/4)
	for _, c := range out[:n] {
		b = utf8.AppendRune(b, rune(c))
	}
	return str(bytesToString(b))
}

// The characters that a URL keeps as they are, beside letters and digits.
const (
	urlMarks    = "-_.!~*'()"
	urlReserved = ";/?:@&=+$,#"
)

func badURL(name string, a val) *Error {
	return &Error{Code: "D3140", Function: name, Value: a.v}
}

func encode(m *machine, a val, keep, name string) val {
	if a.undefined() {
		return a
	}
	s := a.v.Str()
	m.grow(3 * len(s))
	b := make([]byte, 0, len(s)+len(s)/2)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c < utf8.RuneSelf && strings.IndexByte(keep, c) >= 0:
			b = append(b, c)
		case isLone(s, i):
			panic(badURL(name, a))
		default:
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return str(bytesToString(b))
}

func decode(m *machine, a val, leave, name string) val {
	if a.undefined() {
		return a
	}
	s := a.v.Str()
	m.grow(len(s))
	b := make([]byte, 0, len(s))
	octet := func(i int) (byte, bool) {
		if i+2 >= len(s) || s[i] != '%' {
			return 0, false
		}
		hi, ok1 := hexDigit(s[i+1])
		lo, ok2 := hexDigit(s[i+2])
		return hi<<4 | lo, ok1 && ok2
	}
	for i := 0; i < len(s); {
		if s[i] != '%' {
			b = append(b, s[i])
			i++
			continue
		}
		c, ok := octet(i)
		if !ok {
			panic(badURL(name, a))
		}
		if c < utf8.RuneSelf {
			if strings.IndexByte(leave, c) >= 0 {
				b = append(b, s[i:i+3]...)
			} else {
				b = append(b, c)
			}
			i += 3
			continue
		}
		n := 2
		switch {
		case c >= 0xF0:
			n = 4
		case c >= 0xE0:
			n = 3
		}
		var room [4]byte
		for j := range n {
			if room[j], ok = octet(i + 3*j); !ok {
				panic(badURL(name, a))
			}
		}
		if r, k := utf8.DecodeRune(room[:n]); r == utf8.RuneError && k <= 1 || k != n {
			panic(badURL(name, a))
		}
		b = append(b, room[:n]...)
		i += 3 * n
	}
	return str(bytesToString(b))
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|32 >= 'a' && c|32 <= 'f':
		return c | 32 - 'a' + 10, true
	}
	return 0, false
}

func encodeURLComponent(m *machine, args []val, in val) val {
	return encode(m, args[0], urlMarks, "encodeUrlComponent")
}

func encodeURL(m *machine, args []val, in val) val {
	return encode(m, args[0], urlMarks+urlReserved, "encodeUrl")
}

func decodeURLComponent(m *machine, args []val, in val) val {
	return decode(m, args[0], "", "decodeUrlComponent")
}

func decodeURL(m *machine, args []val, in val) val {
	return decode(m, args[0], urlReserved, "decodeUrl")
}
