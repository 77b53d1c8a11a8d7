package jsonata

import (
	"errors"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"

	"tokaido/value"
)

// Limits of regular expressions, which backtrack.
const (
	// MaxMatchTime is how long one match may take.
	MaxMatchTime = 500 * time.Millisecond
	// maxBacktrack is how many places one match may remember to come back to.
	maxBacktrack = 1 << 20
)

// regex is a regular expression as JavaScript has them.
type regex struct {
	source string
	re     *regexp2.Regexp
	opts   regexp2.RegexOptions
}

// flags are those that the reference matches with, as JavaScript prints them.
func (r *regex) flags() string {
	s := "g"
	if r.opts&regexp2.IgnoreCase != 0 {
		s += "i"
	}
	if r.opts&regexp2.Multiline != 0 {
		s += "m"
	}
	return s
}

// compileRegex compiles a pattern with the flags i and m. Matching goes by
// UTF-16 units, so a character outside of the basic plane is two of them in the
// pattern too.
func compileRegex(pattern, flags string) (*regex, error) {
	opts := regexp2.ECMAScript
	for _, f := range flags {
		switch f {
		case 'i':
			opts |= regexp2.IgnoreCase
		case 'm':
			opts |= regexp2.Multiline
		}
	}
	text := pattern
	for _, r := range pattern {
		if r >= 0x10000 {
			var b strings.Builder
			for _, u := range units(pattern) {
				if u >= 0xD800 && u < 0xE000 {
					b.WriteString(`\u`)
					for shift := 12; shift >= 0; shift -= 4 {
						b.WriteByte("0123456789abcdef"[u>>shift&15])
					}
				} else {
					b.WriteRune(u)
				}
			}
			text = b.String()
			break
		}
	}
	re, err := regexp2.Compile(text, opts, regexp2.OptionMaxBacktrackingStackSize(maxBacktrack))
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = MaxMatchTime
	return &regex{source: pattern, re: re, opts: opts}, nil
}

// subject is a string that is being matched.
type subject struct {
	s     string
	units []rune
	ascii bool
}

func newSubject(s string) *subject {
	return &subject{s: s, units: units(s), ascii: isASCII(s)}
}

// slice is the part of the string between two places counted in units.
func (t *subject) slice(m *machine, from, to int) string {
	if t.ascii {
		return t.s[from:to]
	}
	return m.fromUnits(t.units[from:to])
}

// match is one match; places count units.
type match struct {
	start, end int
	text       string
	groups     []val // undefined for a group that took no part
}

// find matches re from a place on.
func (m *machine) find(re *regex, t *subject, from int) (match, bool) {
	m.spend(1 + len(t.units)/16)
	if m.env.Expired != nil && m.env.Expired() { // a match may take its time, whatever its steps
		panic(m.limit(LimitTime))
	}
	if from > len(t.units) {
		return match{}, false
	}
	f, err := re.re.FindRunesMatchStartingAt(t.units, from)
	if err != nil {
		if errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
			panic(m.limit(LimitMemory))
		}
		panic(m.limit(LimitTime))
	}
	if f == nil {
		return match{}, false
	}
	r := match{start: f.RuneIndex, end: f.RuneIndex + f.RuneLength}
	r.text = t.slice(m, r.start, r.end)
	groups := f.Groups()
	if len(groups) > 1 {
		r.groups = m.slice(len(groups) - 1)
		for i := range groups[1:] {
			g := &groups[i+1]
			if len(g.Captures) == 0 {
				r.groups = append(r.groups, val{})
				continue
			}
			r.groups = append(r.groups, str(t.slice(m, g.RuneIndex, g.RuneIndex+g.RuneLength)))
		}
	}
	return r, true
}

// matcher steps through the matches that a regular expression, or a function
// that behaves like one, finds in a string.
type matcher struct {
	m    *machine
	re   *regex
	text *subject
	end  int
	next *function // of a function's last match
}

// first returns the first match of fn in s.
func (m *machine) first(fn *function, s string) (*matcher, match, bool) {
	w := &matcher{m: m}
	if fn.kind == fnRegex {
		w.re, w.text = fn.re, newSubject(s)
		r, ok := m.find(w.re, w.text, 0)
		w.end = r.end
		return w, r, ok
	}
	w.text = newSubject(s)
	r, ok := w.judge(m.applyInside(fn, []val{str(s)}, val{}))
	return w, r, ok
}

// following returns the match after the last.
func (w *matcher) following() (match, bool) {
	if w.re == nil {
		if w.next == nil {
			panic(&Error{Code: "T1010"})
		}
		return w.judge(w.m.applyInside(w.next, nil, val{}))
	}
	if w.end >= len(w.text.units) {
		return match{}, false
	}
	r, ok := w.m.find(w.re, w.text, w.end)
	if ok && r.text == "" {
		panic(&Error{Code: "D1004", Value: value.String(w.re.source)})
	}
	w.end = r.end
	return r, ok
}

// judge reads the object that a matching function returned.
func (w *matcher) judge(a val) (match, bool) {
	if a.undefined() {
		return match{}, false
	}
	start, end, groups, next := a.get("start"), a.get("end"), a.get("groups"), a.get("next")
	if !a.isObject() || !start.isNumber() && !end.isNumber() && !groups.isArray() && next.fn() == nil {
		panic(&Error{Code: "T1010"})
	}
	place := func(v val) int { return int(min(max(v.v.Float(), 0), float64(len(w.text.units)))) }
	r := match{start: place(start), end: place(end), text: a.get("match").v.Str()}
	if groups.isArray() {
		r.groups = w.m.items(groups)
	}
	w.next = next.fn()
	return r, true
}

// matchObject is what a regular expression called as a function returns.
func (m *machine) matchObject(fn *function, t *subject, r match) val {
	groups := r.groups
	if groups == nil {
		groups = []val{}
	}
	return val{x: &box{kind: boxObject,
		keys: []string{"match", "start", "end", "groups", "next"},
		items: []val{str(r.text), num(float64(r.start)), num(float64(r.end)), array(groups),
			fromFunction(&function{kind: fnNext, re: fn.re, text: t, from: r.end})},
	}}
}

// callRegex is a regular expression applied as a function.
func (m *machine) callRegex(fn *function, args []val) val {
	if len(args) == 0 || !args[0].isString() {
		return val{}
	}
	from := 0
	if len(args) > 1 && args[1].isNumber() {
		from = int(min(max(args[1].v.Float(), 0), 1<<31))
	}
	t := newSubject(args[0].v.Str())
	r, ok := m.find(fn.re, t, from)
	if !ok {
		return val{}
	}
	return m.matchObject(fn, t, r)
}

// nextMatch is the next of a match.
func (m *machine) nextMatch(fn *function) val {
	if fn.from >= len(fn.text.units) {
		return val{}
	}
	r, ok := m.find(fn.re, fn.text, fn.from)
	if !ok {
		return val{}
	}
	if r.text == "" {
		panic(&Error{Code: "D1004", Value: value.String(fn.re.source)})
	}
	return m.matchObject(fn, fn.text, r)
}

func regexMatch(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return val{}
	}
	limit, limited := limitOf(args, 2, "D3040")
	out := newSequence()
	if limited && limit <= 0 {
		return val{x: out}
	}
	w, r, ok := m.first(args[1].fn(), args[0].v.Str())
	for n := 0; ok && (!limited || float64(n) < limit); n++ {
		groups := r.groups
		if groups == nil {
			groups = []val{}
		}
		m.charge(200)
		m.push(out, val{x: &box{kind: boxObject, keys: []string{"match", "index", "groups"},
			items: []val{str(r.text), num(float64(r.start)), array(groups)}}})
		r, ok = w.following()
	}
	return val{x: out}
}

// limitOf reads an optional count that must not be negative.
func limitOf(args []val, i int, code string) (limit float64, ok bool) {
	if i >= len(args) || args[i].undefined() {
		return 0, false
	}
	limit = args[i].v.Float()
	if limit < 0 {
		panic(&Error{Code: code, Value: args[i].v, Index: i + 1})
	}
	return limit, true
}

func contains(m *machine, args []val, in val) val {
	if args[0].undefined() || args[1].undefined() {
		return val{}
	}
	s := args[0].v.Str()
	if fn := args[1].fn(); fn != nil {
		_, _, ok := m.first(fn, s)
		return boolean(ok)
	}
	return boolean(strings.Contains(s, args[1].v.Str()))
}

func split(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return val{}
	}
	limit, limited := limitOf(args, 2, "D3020")
	if limited && limit <= 0 {
		return array(nil)
	}
	s := args[0].v.Str()
	out := &box{kind: boxList, items: []val{}}
	if fn := args[1].fn(); fn != nil {
		w, r, ok := m.first(fn, s)
		if !ok {
			m.push(out, args[0])
			return val{x: out}
		}
		start, n := 0, 0
		for ; ok && (!limited || float64(n) < limit); n++ {
			m.push(out, str(w.text.slice(m, min(start, r.start), r.start)))
			start = r.end
			r, ok = w.following()
		}
		if !limited || float64(n) < limit {
			m.push(out, str(w.text.slice(m, start, len(w.text.units))))
		}
		return val{x: out}
	}
	if args[1].undefined() { // the reference splits at nothing then
		m.push(out, args[0])
		return val{x: out}
	}
	sep := args[1].v.Str()
	most := m.maxItems + 1
	if limited {
		most = int(min(limit, float64(most)))
	}
	if sep == "" {
		for i, u := range units(s) {
			if i >= most {
				break
			}
			m.push(out, str(m.fromUnits([]rune{u})))
		}
		return val{x: out}
	}
	for n := 0; n < most; n++ {
		i := strings.Index(s, sep)
		if i < 0 {
			m.push(out, str(s))
			break
		}
		m.push(out, str(s[:i]))
		s = s[i+len(sep):]
	}
	return val{x: out}
}

func replace(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return val{}
	}
	if args[1].isString() && args[1].v.Str() == "" {
		panic(&Error{Code: "D3010", Value: args[1].v, Index: 2})
	}
	limit, limited := limitOf(args, 3, "D3011")
	if limited && limit <= 0 {
		return args[0]
	}
	s := args[0].v.Str()
	var b []byte
	add := func(t string) {
		if len(b)+len(t) > m.maxBytes {
			panic(m.limit(LimitMemory))
		}
		if m.lone && startsLow(t) {
			b = mergeLow(b, t)
		} else {
			b = append(b, t...)
		}
	}
	fn := args[1].fn()
	if fn == nil {
		pattern := args[1].v.Str()
		with := m.text(args[2])
		if args[2].fn() != nil {
			// A function is no replacement for plain text.
			panic(&Error{Code: "D3012", Value: m.show(args[2])})
		}
		for n := 0; !limited || float64(n) < limit; n++ {
			i := -1
			if pattern != "" {
				i = strings.Index(s, pattern)
			}
			if i < 0 {
				break
			}
			m.spend(1)
			add(s[:i])
			add(with.v.Str())
			s = s[i+len(pattern):]
		}
		add(s)
		m.charge(len(b))
		return str(bytesToString(b))
	}
	w, r, ok := m.first(fn, s)
	if !ok {
		return args[0]
	}
	at := 0
	for n := 0; ok && (!limited || float64(n) < limit); n++ {
		add(w.text.slice(m, min(at, r.start), r.start))
		if f := args[2].fn(); f != nil {
			k := m.mark()
			a := m.args(1)
			a[0] = m.replacerArgument(fn, w, r)
			with := m.applyInside(f, a, val{})
			m.release(k)
			if !with.isString() {
				panic(&Error{Code: "D3012", Value: m.show(with)})
			}
			add(with.v.Str())
		} else {
			add(substitute(args[2].v.Str(), r))
		}
		at = min(r.start+unitLen(r.text), len(w.text.units))
		r, ok = w.following()
	}
	add(w.text.slice(m, at, len(w.text.units)))
	m.charge(len(b))
	return str(bytesToString(b))
}

func (m *machine) replacerArgument(fn *function, w *matcher, r match) val {
	o := m.matchObject(fn, w.text, r)
	if fn.kind != fnRegex {
		o.x.items[4] = fromFunction(&function{kind: fnNative, impl: func(m *machine, args []val, in val) val { return val{} }})
	}
	return o
}

// substitute puts the parts of a match into a replacement: $0 is the whole, $1
// to $n the groups, $$ a dollar.
func substitute(t string, r match) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(t, '$')
		if i < 0 {
			b.WriteString(t)
			return b.String()
		}
		b.WriteString(t[:i])
		t = t[i+1:]
		if t != "" && t[0] == '$' {
			b.WriteByte('$')
			t = t[1:]
			continue
		}
		if t != "" && t[0] == '0' {
			b.WriteString(r.text)
			t = t[1:]
			continue
		}
		most := 1
		for n := len(r.groups); n >= 10; n /= 10 {
			most++
		}
		number := func(most int) (n, digits int) {
			for digits < most && digits < len(t) && t[digits] >= '0' && t[digits] <= '9' {
				n = n*10 + int(t[digits]-'0')
				digits++
			}
			return n, digits
		}
		n, digits := number(most)
		if most > 1 && digits > 0 && n > len(r.groups) {
			n, digits = number(most - 1)
		}
		if digits == 0 {
			b.WriteByte('$')
			continue
		}
		if n >= 1 && n <= len(r.groups) {
			b.WriteString(r.groups[n-1].v.Str())
		}
		t = t[digits:]
	}
}
