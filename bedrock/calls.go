package bedrock

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tokaido/value"
)

// This file is calls of tools as prompted models write them into their text.

// call is a model's call of a tool.
type call struct {
	name string
	args value.Value // an object
}

// callForm is how a model writes calls.
type callForm uint8

const (
	noCalls     callForm = iota
	jsonCalls            // {"type": "function", "name": "f", "parameters": {"a": "b"}}
	pythonCalls          // [f(a="b"), g()]
)

const (
	maxCallTries  = 16 // places in a text where calls may begin
	maxLiteral    = 64 // depth of a Python literal
	callSeparator = "; "
)

// write is how a model would have written the calls.
func (f callForm) write(calls []call) string {
	var b strings.Builder
	if f == pythonCalls {
		b.WriteByte('[')
	}
	for i, c := range calls {
		switch {
		case f == pythonCalls && i > 0:
			b.WriteString(", ")
		case i > 0:
			b.WriteString(callSeparator)
		}
		if f == jsonCalls {
			b.WriteString(object(kind("function"), member("name", text(c.name)), member("parameters", c.args)).JSON())
			continue
		}
		b.WriteString(c.name + "(")
		n := 0
		rest := object() // arguments that no name of Python's can say
		for name, x := range c.args.Members() {
			if !isPythonName(name) {
				rest = rest.With(name, x)
				continue
			}
			if n++; n > 1 {
				b.WriteString(", ")
			}
			b.WriteString(name + "=")
			python(&b, x)
		}
		if rest.Len() > 0 {
			if n > 0 {
				b.WriteString(", ")
			}
			b.WriteString("**")
			python(&b, rest)
		}
		b.WriteByte(')')
	}
	if f == pythonCalls {
		b.WriteByte(']')
	}
	return b.String()
}

// findCalls finds calls of tools at the end of what a model said, after the text
// before them. There are none unless all that is there is calls, and of tools
// that the model was told of: JSON or a list may be just what it was asked for.
// mark stands before calls; the models write it or not. Without it they begin in a
// line of their own; middle says that s begins in the middle of a line.
func findCalls(s, mark string, tools []Tool, middle bool) (said string, calls []call) {
	if before, after, found := strings.Cut(s, mark); found {
		if calls := parseCalls(after, tools); calls != nil {
			return strings.TrimRight(before, " \n\r\t"), calls
		}
		s = before + strings.ReplaceAll(after, mark, "")
	}
	tries := 0
	for at := 0; at < len(s) && tries < maxCallTries; {
		rest := strings.TrimLeft(s[at:], " \t\r")
		if !(middle && at == 0) && rest != "" && (rest[0] == '{' || rest[0] == '[') {
			if calls := parseCalls(rest, tools); calls != nil {
				return strings.TrimRight(s[:at], " \n\r\t"), calls
			}
			tries++
		}
		n := strings.IndexByte(s[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	return s, nil
}

// mayCall reports whether a text that goes on may become calls as parseCalls
// reads them.
func mayCall(s string, tools []Tool) bool {
	s = strings.TrimLeft(s, " \t\r\n")
	if s == "" {
		return true
	}
	if s[0] != '{' && s[0] != '[' {
		return false
	}
	rest := strings.TrimLeft(s[1:], " \t\r\n")
	either := func(word string) bool { return strings.HasPrefix(rest, word) || strings.HasPrefix(word, rest) }
	if s[0] == '[' {
		if strings.HasPrefix(rest, "{") {
			return mayCall(rest, tools)
		}
		return slices.ContainsFunc(tools, func(t Tool) bool { return either(t.Name + "(") })
	}
	return slices.ContainsFunc([]string{`"name"`, `"type"`, `"function"`, `"parameters"`, `"arguments"`}, either)
}

// parseCalls reads a text that is calls of the tools and nothing else; nil if it
// is not.
func parseCalls(s string, tools []Tool) []call {
	s = strings.TrimSpace(s)
	for _, end := range []string{"<|eom_id|>", "<|eot_id|>", "<|eom|>", "<|eot|>"} { // servers leave them out
		s = strings.TrimSpace(strings.TrimSuffix(s, end))
	}
	var calls []call
	switch {
	case strings.HasPrefix(s, "{"):
		calls = parseJSONCalls(s)
	case strings.HasPrefix(s, "["):
		if calls = parsePythonCalls(s); calls == nil {
			calls = parseJSONList(s)
		}
	}
	for _, c := range calls {
		if !slices.ContainsFunc(tools, func(t Tool) bool { return t.Name == c.name }) {
			return nil
		}
	}
	return calls
}

// objects reads JSON values that stand one after the other, with white space,
// commas or semicolons between them; nil if anything else is there.
func objects(s string) (out []value.Value) {
	for s = strings.TrimLeft(s, betweenJSON); s != ""; s = strings.TrimLeft(s, betweenJSON) {
		dec := json.NewDecoder(strings.NewReader(s))
		var raw json.RawMessage
		if dec.Decode(&raw) != nil {
			return nil
		}
		v, err := value.Parse(raw)
		if err != nil {
			return nil
		}
		out = append(out, v)
		s = s[dec.InputOffset():]
	}
	return out
}

const betweenJSON = " \t\r\n;,"

func parseJSONCalls(s string) (out []call) {
	for _, v := range objects(s) {
		c, ok := jsonCall(v)
		if !ok {
			return nil
		}
		out = append(out, c)
	}
	return out
}

func parseJSONList(s string) (out []call) {
	v, err := value.ParseString(s)
	if err != nil {
		return nil
	}
	for _, x := range v.Items() {
		c, ok := jsonCall(x)
		if !ok {
			return nil
		}
		out = append(out, c)
	}
	return out
}

// jsonCall reads a call in the forms that models write: the function's name
// beside its parameters, or both within it.
func jsonCall(v value.Value) (c call, ok bool) {
	if !v.IsObject() {
		return c, false
	}
	if f := v.Get("function"); f.IsObject() {
		v = f
	}
	for name := range v.Members() {
		if !slices.Contains([]string{"type", "name", "function", "parameters", "arguments", "id"}, name) {
			return c, false
		}
	}
	if c.name = v.Get("name").Str(); c.name == "" {
		c.name = v.Get("function").Str()
	}
	if c.args = v.Get("parameters"); c.args.IsUndefined() {
		c.args = v.Get("arguments")
	}
	if c.args.IsUndefined() || c.args.IsNull() {
		c.args = object()
	}
	return c, c.name != "" && c.args.IsObject()
}

func isPythonName(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return s != ""
}

// python writes a value as Python does.
func python(b *strings.Builder, v value.Value) {
	switch {
	case v.IsObject():
		b.WriteByte('{')
		n := 0
		for k, x := range v.Members() {
			if n++; n > 1 {
				b.WriteString(", ")
			}
			b.WriteString(text(k).JSON() + ": ")
			python(b, x)
		}
		b.WriteByte('}')
	case v.IsArray():
		b.WriteByte('[')
		for i, x := range v.Items() {
			if i > 0 {
				b.WriteString(", ")
			}
			python(b, x)
		}
		b.WriteByte(']')
	case v.Bool():
		b.WriteString("True")
	case v.Kind() == value.KindBool:
		b.WriteString("False")
	case v.IsNull():
		b.WriteString("None")
	default:
		b.WriteString(v.JSON()) // a number, or a string: JSON's escapes are Python's
	}
}

// pythonReader reads calls and literals. After what it cannot read, bad is true.
type pythonReader struct {
	s   string
	bad bool
}

// parsePythonCalls reads [f(a="b"), g(**{"c-d": 1})]; nil if it is anything else.
func parsePythonCalls(s string) (out []call) {
	r := &pythonReader{s: s}
	r.expect("[")
	for !r.bad {
		c := call{name: r.word("-."), args: object()}
		r.bad = r.bad || !strings.HasPrefix(r.s, "(") // so that mayCall need not think of white space
		r.expect("(")
		for !r.bad && !r.take(")") {
			if r.take("**") {
				for k, x := range r.literal(0).Members() {
					c.args = c.args.With(k, x)
				}
			} else {
				name := r.word("")
				r.expect("=")
				c.args = c.args.With(name, r.literal(0))
			}
			if !r.take(",") {
				r.expect(")")
				break
			}
		}
		out = append(out, c)
		if !r.take(",") {
			break
		}
	}
	r.expect("]")
	if r.space(); r.bad || r.s != "" {
		return nil
	}
	return out
}

func (r *pythonReader) space() { r.s = strings.TrimLeft(r.s, " \t\r\n") }

func (r *pythonReader) take(s string) bool {
	r.space()
	rest, ok := strings.CutPrefix(r.s, s)
	if ok && !r.bad {
		r.s = rest
	}
	return ok && !r.bad
}

func (r *pythonReader) expect(s string) {
	if !r.take(s) {
		r.bad = true
	}
}

// word is a name; also says what it may have besides a Python name's characters.
func (r *pythonReader) word(also string) string {
	r.space()
	n := 0
	for n < len(r.s) && (r.s[n] == '_' || r.s[n] >= 'a' && r.s[n] <= 'z' || r.s[n] >= 'A' && r.s[n] <= 'Z' || r.s[n] >= '0' && r.s[n] <= '9' || strings.IndexByte(also, r.s[n]) >= 0) {
		n++
	}
	w := r.s[:n]
	r.s = r.s[n:]
	r.bad = r.bad || n == 0
	return w
}

func (r *pythonReader) literal(depth int) value.Value {
	r.space()
	if r.bad || r.s == "" || depth > maxLiteral {
		r.bad = true
		return value.Null()
	}
	switch c := r.s[0]; {
	case c == '"' || c == '\'':
		return text(r.quoted())
	case c == '[' || c == '(':
		return r.sequence(depth)
	case c == '{':
		return r.dict(depth)
	case c == '-' || c >= '0' && c <= '9':
		n := 1
		for n < len(r.s) && (r.s[n] >= '0' && r.s[n] <= '9' || strings.IndexByte("+-.eE", r.s[n]) >= 0) {
			n++
		}
		v, err := value.ParseString(r.s[:n])
		r.bad = r.bad || err != nil
		r.s = r.s[n:]
		return v
	}
	switch r.word("") {
	case "True", "true":
		return value.Bool(true)
	case "False", "false":
		return value.Bool(false)
	case "None", "null":
		return value.Null()
	}
	r.bad = true
	return value.Null()
}

func (r *pythonReader) sequence(depth int) value.Value {
	shut := "]"
	if r.s[0] == '(' {
		shut = ")"
	}
	r.s = r.s[1:]
	items := []value.Value{}
	for !r.bad && !r.take(shut) {
		items = append(items, r.literal(depth+1))
		if !r.take(",") {
			r.expect(shut)
			break
		}
	}
	return value.Array(items...)
}

func (r *pythonReader) dict(depth int) value.Value {
	r.s = r.s[1:]
	out := object()
	for !r.bad && !r.take("}") {
		k := r.literal(depth + 1)
		r.expect(":")
		x := r.literal(depth + 1)
		r.bad = r.bad || !k.IsString()
		if r.bad {
			break
		}
		out = out.With(k.Str(), x)
		if !r.take(",") {
			r.expect("}")
			break
		}
	}
	return out
}

var pythonEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': `"`, '/': "/", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '0': "\x00", '\n': "",
}

// quoted reads a string. \/ is JSON's, and models write it.
func (r *pythonReader) quoted() string {
	quote := r.s[0]
	var b strings.Builder
	s := r.s[1:]
	for s != "" && s[0] != quote {
		if s[0] != '\\' {
			c, n := utf8.DecodeRuneInString(s)
			b.WriteRune(c)
			s = s[n:]
			continue
		}
		if len(s) < 2 {
			break
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
		switch plain, ok := pythonEscapes[s[1]]; {
		case ok:
			b.WriteString(plain)
			s = s[2:]
		case digits > 0 && len(s) >= 2+digits:
			c, err := strconv.ParseUint(s[2:2+digits], 16, 32)
			r.bad = r.bad || err != nil
			s = s[2+digits:]
			low, pair := uint64(0), false
			if c >= 0xD800 && c < 0xDC00 && strings.HasPrefix(s, `\u`) && len(s) >= 6 { // JSON's way of what is above U+FFFF
				low, err = strconv.ParseUint(s[2:6], 16, 32)
				pair = err == nil && low >= 0xDC00 && low < 0xE000
			}
			if pair {
				c, s = 0x10000+(c-0xD800)<<10+low-0xDC00, s[6:]
			}
			b.WriteRune(rune(c)) //nolint:gosec // what is no character becomes U+FFFD
		default: // Python leaves what is no escape as it is
			b.WriteByte('\\')
			s = s[1:]
		}
	}
	if s == "" {
		r.bad = true
		return ""
	}
	r.s = s[1:]
	return b.String()
}
