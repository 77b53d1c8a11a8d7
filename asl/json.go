package asl

import (
	"strconv"
	"unicode/utf8"

	"tokaido/value"
)

// JSONProblem says why a text is no JSON in the words of AWS's parser, and
// where as it says it: [Source: (String)"…"; line: 1, column: 4]. err is what
// value.Parse said of the same text.
func JSONProblem(text string, err error) (msg, at string) {
	p := problem{s: text}
	i, msg := p.value(0, 0)
	if msg == "" {
		if i = p.space(i); i < len(text) {
			if i, msg = p.value(i, 0); msg == "" {
				msg = "Trailing token found after value"
			}
		} else { // no JSON by other rules than the parser's: text that is not UTF-8
			msg = err.Error()
		}
	}
	return msg, p.at(i)
}

// problem finds the first thing in a text that is not JSON. Its methods return
// where they stopped and, if that is at a problem, what it is.
type problem struct{ s string }

const (
	maxSnippet = 500 // characters of the source that a location quotes
	wanted     = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
)

// at is a location. Lines and columns count from 1.
func (p *problem) at(i int) string {
	line, col := 1, 1
	for _, r := range p.s[:min(i, len(p.s))] {
		col++
		if r == '\n' {
			line++
			col = 1
		}
	}
	snippet, more := p.s, ""
	if n := utf8.RuneCountInString(p.s); n > maxSnippet {
		r := []rune(p.s)
		snippet, more = string(r[:maxSnippet]), "[truncated "+strconv.Itoa(n-maxSnippet)+" chars]"
	}
	return `[Source: (String)"` + snippet + `"` + more + "; line: " + strconv.Itoa(line) + ", column: " + strconv.Itoa(col) + "]"
}

func (p *problem) space(i int) int {
	for i < len(p.s) && (p.s[i] == ' ' || p.s[i] == '\n' || p.s[i] == '\t' || p.s[i] == '\r') {
		i++
	}
	return i
}

func (p *problem) unexpected(i int, what string) (int, string) {
	r, n := utf8.DecodeRuneInString(p.s[i:])
	return i + n, "Unexpected character ('" + string(r) + "' (code " + strconv.Itoa(int(r)) + ")): " + what
}

func (p *problem) value(i, depth int) (int, string) {
	i = p.space(i)
	if i >= len(p.s) {
		return i, "Unexpected end-of-input"
	}
	if depth > value.MaxDepth {
		return i, "Document nesting depth (" + strconv.Itoa(depth) + ") exceeds the maximum allowed (" + strconv.Itoa(value.MaxDepth) + ")"
	}
	switch c := p.s[i]; {
	case c == '{':
		return p.object(i, depth)
	case c == '[':
		return p.array(i, depth)
	case c == '"':
		return p.text(i, "in VALUE_STRING")
	case c == '-' || c >= '0' && c <= '9':
		return p.number(i)
	case c == '_' || c == '$' || c|32 >= 'a' && c|32 <= 'z' || c >= utf8.RuneSelf:
		j := i
		for j < len(p.s) && (p.s[j] == '_' || p.s[j] == '$' || p.s[j]|32 >= 'a' && p.s[j]|32 <= 'z' || p.s[j] >= '0' && p.s[j] <= '9' || p.s[j] >= utf8.RuneSelf) {
			j++
		}
		switch word := p.s[i:j]; word {
		case "true", "false", "null":
			return j, ""
		default:
			return j, "Unrecognized token '" + word + "': was expecting " + wanted
		}
	}
	return p.unexpected(i, "expected a valid value "+wanted)
}

func (p *problem) object(start, depth int) (int, string) {
	i := p.space(start + 1)
	for first := true; ; first = false {
		if i >= len(p.s) {
			return i, "Unexpected end-of-input: expected close marker for Object (start marker at " + p.at(start) + ")"
		}
		if p.s[i] == '}' && first {
			return i + 1, ""
		}
		if p.s[i] != '"' {
			return p.unexpected(i, "was expecting double-quote to start field name")
		}
		var msg string
		if i, msg = p.text(i, "in field name"); msg != "" {
			return i, msg
		}
		if i = p.space(i); i >= len(p.s) {
			return i, "Unexpected end-of-input within/between Object entries"
		}
		if p.s[i] != ':' {
			return p.unexpected(i, "was expecting a colon to separate field name and value")
		}
		if i = p.space(i + 1); i >= len(p.s) {
			return i, "Unexpected end-of-input within/between Object entries"
		}
		if i, msg = p.value(i, depth+1); msg != "" {
			return i, msg
		}
		if i = p.space(i); i >= len(p.s) {
			continue
		}
		if p.s[i] == '}' {
			return i + 1, ""
		}
		if p.s[i] != ',' {
			return p.unexpected(i, "was expecting comma to separate Object entries")
		}
		i = p.space(i + 1)
	}
}

func (p *problem) array(start, depth int) (int, string) {
	i := p.space(start + 1)
	for first := true; ; first = false {
		if i >= len(p.s) {
			return i, "Unexpected end-of-input: expected close marker for Array (start marker at " + p.at(start) + ")"
		}
		if p.s[i] == ']' && first {
			return i + 1, ""
		}
		var msg string
		if i, msg = p.value(i, depth+1); msg != "" {
			return i, msg
		}
		if i = p.space(i); i >= len(p.s) {
			continue
		}
		if p.s[i] == ']' {
			return i + 1, ""
		}
		if p.s[i] != ',' {
			return p.unexpected(i, "was expecting comma to separate Array entries")
		}
		i = p.space(i + 1)
	}
}

func (p *problem) text(i int, where string) (int, string) {
	for i++; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			return i + 1, ""
		case c < 0x20:
			return i + 1, "Illegal unquoted character ((CTRL-CHAR, code " + strconv.Itoa(int(c)) +
				")): has to be escaped using backslash to be included in string value"
		case c == '\\':
			if i++; i >= len(p.s) {
				break
			}
			switch e := p.s[i]; e {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(p.s) {
						break
					}
					if h := p.s[i]; (h < '0' || h > '9') && (h|32 < 'a' || h|32 > 'f') {
						return p.unexpected(i, "expected a hex-digit for character escape sequence")
					}
				}
			default:
				r, n := utf8.DecodeRuneInString(p.s[i:])
				return i + n, "Unrecognized character escape '" + string(r) + "' (code " + strconv.Itoa(int(r)) + ")"
			}
		}
	}
	return len(p.s), "Unexpected end-of-input " + where
}

func (p *problem) number(i int) (int, string) {
	if p.s[i] == '-' {
		if i++; i >= len(p.s) {
			return i, "Unexpected end-of-input: was expecting a digit"
		}
		if p.s[i] < '0' || p.s[i] > '9' {
			return p.unexpected(i, "expected digit (0-9) to follow minus sign, for valid numeric value")
		}
	}
	if p.s[i] == '0' && i+1 < len(p.s) && p.s[i+1] >= '0' && p.s[i+1] <= '9' {
		return i + 1, "Invalid numeric value: Leading zeroes not allowed"
	}
	digits := func(what string) string {
		start := i
		for i < len(p.s) && p.s[i] >= '0' && p.s[i] <= '9' {
			i++
		}
		if i > start {
			return ""
		}
		if i >= len(p.s) {
			return "Unexpected end-of-input in numeric value"
		}
		_, msg := p.unexpected(i, what)
		return msg
	}
	if msg := digits("expected digit"); msg != "" {
		return i, msg
	}
	if i < len(p.s) && p.s[i] == '.' {
		i++
		if msg := digits("Decimal point not followed by a digit"); msg != "" {
			return i, msg
		}
	}
	if i < len(p.s) && p.s[i]|32 == 'e' {
		if i++; i < len(p.s) && (p.s[i] == '+' || p.s[i] == '-') {
			i++
		}
		if msg := digits("Exponent indicator not followed by a digit"); msg != "" {
			return i, msg
		}
	}
	return i, ""
}
