package policygen

import (
	"slices"
	"strings"
	"unicode/utf8"

	"tokaido/asl"
	"tokaido/value"
)

// maxTexts bounds how many values of one field are followed.
const maxTexts = 32

// known is what can be said of a text before the state runs.
type known struct {
	texts  []string // every value that it can have; nil if they are not known
	prefix string   // what it begins with, where texts is nil
	source string   // as written, where it is computed
	field  string   // where it stands
	absent bool
}

func (k known) dynamic() bool { return !k.absent && k.texts == nil }

func texts(s ...string) known { return known{texts: s} }

// or is a text that is one of two.
func (k known) or(o known) known {
	if k.texts == nil || o.texts == nil || len(k.texts)+len(o.texts) > maxTexts {
		return known{prefix: common(append(slices.Clone(k.starts()), o.starts()...))}
	}
	out := slices.Clone(k.texts)
	for _, t := range o.texts {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return known{texts: out}
}

func (k known) starts() []string {
	if k.texts != nil {
		return k.texts
	}
	return []string{k.prefix}
}

// then is a text with another behind it.
func (k known) then(o known) known {
	if k.texts == nil {
		return known{prefix: k.prefix}
	}
	if o.texts == nil || len(k.texts)*len(o.texts) > maxTexts {
		var all []string
		for _, a := range k.texts {
			for _, b := range o.starts() {
				all = append(all, a+b)
			}
		}
		return known{prefix: common(all)}
	}
	var all []string
	for _, a := range k.texts {
		for _, b := range o.texts {
			all = append(all, a+b)
		}
	}
	return known{texts: all}
}

// common is what all of some texts begin with.
func common(all []string) string {
	if len(all) == 0 {
		return ""
	}
	p := all[0]
	for _, s := range all[1:] {
		for !strings.HasPrefix(s, p) {
			p = p[:len(p)-1]
		}
	}
	return strings.ToValidUTF8(p, "")
}

// reader reads what a definition writes. vars are the variables whose every
// assignment is known.
type reader struct {
	vars    map[string]known
	own     string // ARN of the machine itself
	unknown func(text string) (prefix string, unknown bool)
}

// newReader follows the variables of a definition: one that only constants are
// assigned to, wherever, can have no other value.
func newReader(p *asl.Program, own string, unknown func(string) (string, bool)) *reader {
	r := &reader{vars: map[string]known{}, own: own, unknown: unknown}
	note := func(lang asl.Language, as []asl.Assignment) {
		for _, a := range as {
			k := known{}
			if v, ok := a.Value.Constant(); ok && v.IsString() {
				k = r.constant(v.Str())
			} else if lang == asl.JSONata && a.Value.Template().IsString() {
				// What it depends on may not be followed yet: constants only.
				if e, ok := expression(a.Value.Template().Str()); ok {
					k = (&reader{vars: map[string]known{}}).jsonata(e)
				}
			}
			if old, ok := r.vars[a.Name]; ok {
				k = old.or(k)
			}
			r.vars[a.Name] = k
		}
	}
	for st := range p.All() {
		note(st.Language, st.Assign)
		for _, c := range st.Catch {
			note(st.Language, c.Assign)
		}
		if st.Choice != nil {
			for _, rule := range st.Choice.Rules {
				note(st.Language, rule.Assign)
			}
		}
	}
	return r
}

func (r *reader) constant(s string) known {
	if r.unknown != nil {
		if prefix, is := r.unknown(s); is {
			return known{prefix: prefix, source: s}
		}
	}
	return texts(s)
}

// args are the arguments of a task, or an object in them.
type args struct {
	r    *reader
	lang asl.Language
	v    value.Value // an object, or an expression
	at   string      // where they stand, ending in a dot; "" at the top
	all  string      // the expression that they are, if they are not an object
}

func (r *reader) args(lang asl.Language, f *asl.Field) args {
	a := args{r: r, lang: lang, v: f.Template()}
	switch {
	case f == nil && lang == asl.JSONPath:
		a.all = "$"
	case a.v.IsString():
		a.all = a.v.Str()
	}
	return a
}

// get is the text called name.
func (a args) get(name string) known {
	if a.all != "" {
		return known{source: a.all, field: a.at + name}
	}
	k := a.member(name)
	k.field = a.at + name
	return k
}

func (a args) member(name string) known {
	if v := a.v.Get(name); v.IsString() {
		if a.lang == asl.JSONata {
			if e, ok := expression(v.Str()); ok {
				k := a.r.jsonata(e)
				k.source = v.Str()
				return k
			}
		}
		return a.r.constant(v.Str())
	} else if !v.IsUndefined() && !v.IsNull() {
		return known{source: v.JSON()}
	}
	if v := a.v.Get(name + ".$"); a.lang == asl.JSONPath && v.IsString() {
		k := a.r.jsonpath(v.Str())
		k.source = v.Str()
		return k
	}
	return known{absent: true}
}

// has reports whether the member may be there.
func (a args) has(name string) bool { return !a.get(name).absent }

// sub is the object called name; ok is false if there is none.
func (a args) sub(name string) (args, bool) {
	if a.all != "" {
		return args{r: a.r, lang: a.lang, all: a.all, at: a.at + name + "."}, false
	}
	in := args{r: a.r, lang: a.lang, v: a.v.Get(name), at: a.at + name + "."}
	switch {
	case in.v.IsObject():
		return in, true
	case in.v.IsString() && a.lang == asl.JSONata:
		in.all = in.v.Str()
		return in, true
	case a.lang == asl.JSONPath && a.v.Has(name+".$"):
		in.all = a.v.Get(name + ".$").Str()
		return in, true
	}
	return in, false
}

// items are the objects of the list called name; whole is false if it is
// computed.
func (a args) items(name string) (list []args, whole bool) {
	if a.all != "" {
		return nil, false
	}
	v := a.v.Get(name)
	if !v.IsArray() {
		return nil, v.IsUndefined() && !a.v.Has(name+".$")
	}
	for _, x := range v.Items() {
		in := args{r: a.r, lang: a.lang, v: x, at: a.at + name + "[]."}
		if x.IsString() {
			in.all = x.Str()
		}
		list = append(list, in)
	}
	return list, true
}

// names are the members, without .$.
func (a args) names() (out []string) {
	for k := range a.v.Members() {
		out = append(out, strings.TrimSuffix(k, ".$"))
	}
	return out
}

// expression is what stands between {% and %}.
func expression(s string) (string, bool) {
	if e, ok := strings.CutPrefix(s, "{%"); ok {
		if e, ok = strings.CutSuffix(e, "%}"); ok {
			return strings.TrimSpace(e), true
		}
	}
	return "", false
}

// jsonpath reads what stands behind a name with .$: a path or an intrinsic
// function.
func (r *reader) jsonpath(s string) known {
	s = strings.TrimSpace(s)
	if s == "$$.StateMachine.Id" && r.own != "" {
		return texts(r.own)
	}
	if name, ok := strings.CutPrefix(s, "$"); ok && isName(name) {
		return r.vars[name]
	}
	if rest, ok := strings.CutPrefix(s, "States.Format("); ok {
		return r.format(strings.TrimSpace(rest))
	}
	return known{}
}

// format reads the template of States.Format as far as it is constant.
func (r *reader) format(s string) known {
	if !strings.HasPrefix(s, "'") {
		return known{}
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '\'':
			if strings.TrimSpace(s[i+1:]) == ")" {
				return texts(b.String())
			}
			return known{} // more arguments than braces: not what AWS takes
		case '{':
			return known{prefix: b.String()}
		default:
			b.WriteByte(c)
		}
	}
	return known{}
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < '0' || c > '9') && (c|32 < 'a' || c|32 > 'z') {
			return false
		}
	}
	return s != ""
}

// token is a piece of a JSONata expression outside of brackets.
type token struct {
	kind byte // s: text, g: in brackets, w: word, &, ?, :; 0: anything else
	text string
}

// Bounds of the expressions that are followed.
const (
	maxNesting    = 16
	maxExpression = 4096 // bytes
)

// jsonata reads an expression as far as it is made of constant texts, joined
// or chosen from. It knows no more of the language than that: whatever else
// is in an expression makes it unknown.
func (r *reader) jsonata(s string) known {
	if len(s) > maxExpression || !utf8.ValidString(s) {
		return known{}
	}
	return r.nested(s, 0)
}

func (r *reader) nested(s string, depth int) known {
	tokens, ok := scan(s)
	if !ok {
		return known{}
	}
	return r.choice(tokens, depth)
}

// choice reads COND ? A : B, which binds weaker than all else that is followed.
func (r *reader) choice(ts []token, depth int) known {
	if depth > maxNesting {
		return known{}
	}
	at := slices.IndexFunc(ts, func(t token) bool { return t.kind == '?' })
	if at < 0 {
		return r.joined(ts, depth)
	}
	if slices.ContainsFunc(ts[:at], func(t token) bool { return t.kind == 0 && strings.ContainsAny(t.text, ";,") || t.text == ":=" }) {
		return known{}
	}
	open := 0
	for i := at + 1; i < len(ts); i++ {
		switch ts[i].kind {
		case '?':
			open++
		case ':':
			if open == 0 {
				if i == at+1 {
					return known{} // ?: is another operator
				}
				return r.choice(ts[at+1:i], depth+1).or(r.choice(ts[i+1:], depth+1))
			}
			open--
		}
	}
	return known{} // without a colon the other value is none
}

// joined reads A & B & ….
func (r *reader) joined(ts []token, depth int) known {
	out := texts("")
	for len(ts) > 0 {
		end := slices.IndexFunc(ts, func(t token) bool { return t.kind == '&' })
		operand := ts
		if end >= 0 {
			operand, ts = ts[:end], ts[end+1:]
			if len(ts) == 0 {
				return known{}
			}
		} else {
			ts = nil
		}
		k, ok := r.operand(operand, depth)
		if !ok {
			return known{}
		}
		out = out.then(k)
	}
	return out
}

// operand reads one of them; ok is false if it may bind otherwise than it looks.
func (r *reader) operand(ts []token, depth int) (known, bool) {
	if len(ts) == 0 || slices.ContainsFunc(ts, func(t token) bool {
		return t.kind == 0 || t.kind == ':' || t.kind == '?' || t.kind == 'w' && (t.text == "and" || t.text == "or" || t.text == "in")
	}) {
		return known{}, false
	}
	if len(ts) == 1 {
		switch t := ts[0]; t.kind {
		case 's':
			return texts(t.text), true
		case 'g':
			if inner, ok := strings.CutPrefix(t.text, "("); ok {
				return r.nested(strings.TrimSuffix(inner, ")"), depth+1), true
			}
		case 'w':
			if name, ok := strings.CutPrefix(t.text, "$"); ok && isName(name) {
				return r.vars[name], true
			}
			if t.text == "$states.context.StateMachine.Id" && r.own != "" {
				return texts(r.own), true
			}
		}
	}
	return known{}, true
}

// scan cuts an expression into tokens. It gives up on what it cannot be sure
// of: comments, regular expressions, names in backticks.
func scan(s string) (ts []token, ok bool) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '/' || c == '`':
			return nil, false
		case c == '"' || c == '\'':
			text, end, ok := quoted(s, i)
			if !ok {
				return nil, false
			}
			ts, i = append(ts, token{'s', text}), end
		case c == '(' || c == '[' || c == '{':
			end, ok := group(s, i)
			if !ok {
				return nil, false
			}
			ts, i = append(ts, token{'g', s[i:end]}), end
		case c == ')' || c == ']' || c == '}':
			return nil, false
		case c == '&' || c == '?' || c == ':' && !strings.HasPrefix(s[i:], ":="):
			if strings.HasPrefix(s[i:], "??") {
				return nil, false
			}
			ts, i = append(ts, token{c, s[i : i+1]}), i+1
		case c == '$' || c == '_' || c == '.' || c >= '0' && c <= '9' || c|32 >= 'a' && c|32 <= 'z' || c >= 0x80:
			end := i
			for end < len(s) && (s[end] == '$' || s[end] == '_' || s[end] == '.' || s[end] >= '0' && s[end] <= '9' || s[end]|32 >= 'a' && s[end]|32 <= 'z' || s[end] >= 0x80) {
				end++
			}
			ts, i = append(ts, token{'w', s[i:end]}), end
		default:
			n := 1
			if strings.HasPrefix(s[i:], ":=") {
				n = 2
			}
			ts, i = append(ts, token{0, s[i : i+n]}), i+n
		}
	}
	return ts, true
}

// quoted reads a text that begins at i.
func quoted(s string, i int) (text string, end int, ok bool) {
	var b strings.Builder
	for j := i + 1; j < len(s); j++ {
		switch c := s[j]; c {
		case s[i]:
			return b.String(), j + 1, true
		case '\\':
			j++
			if j >= len(s) || !strings.ContainsRune(`"'\/`, rune(s[j])) {
				return "", 0, false // an escape that would have to be read
			}
			b.WriteByte(s[j])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

// group finds the end of what opens at i.
func group(s string, i int) (end int, ok bool) {
	var open []byte
	for j := i; j < len(s); j++ {
		switch c := s[j]; c {
		case '(':
			open = append(open, ')')
		case '[':
			open = append(open, ']')
		case '{':
			open = append(open, '}')
		case ')', ']', '}':
			if open[len(open)-1] != c {
				return 0, false
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return j + 1, true
			}
		case '"', '\'':
			_, to, ok := quoted(s, j)
			if !ok {
				return 0, false
			}
			j = to - 1
		case '/', '`':
			return 0, false
		}
	}
	return 0, false
}
