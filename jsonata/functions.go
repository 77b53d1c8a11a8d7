package jsonata

import (
	"strings"

	"tokaido/value"
)

// The functions of the language. An entry is name, signature, how many
// arguments its definition declares (which is what $map and its like go by),
// and the function itself, whose arguments the signature has checked: there
// are as many as it has parameters, save where + repeats one.
var definitions = []struct {
	name  string
	sig   string
	arity int
	impl  func(m *machine, args []val, in val) val
}{
	{"sum", "<a<n>:n>", 1, sum},
	{"count", "<a:n>", 1, countItems},
	{"max", "<a<n>:n>", 1, largest},
	{"min", "<a<n>:n>", 1, smallest},
	{"average", "<a<n>:n>", 1, average},
	{"string", "<x-b?:s>", 1, toString},
	{"substring", "<s-nn?:s>", 3, substring},
	{"substringBefore", "<s-s:s>", 2, substringBefore},
	{"substringAfter", "<s-s:s>", 2, substringAfter},
	{"lowercase", "<s-:s>", 1, lowercase},
	{"uppercase", "<s-:s>", 1, uppercase},
	{"length", "<s-:n>", 1, length},
	{"trim", "<s-:s>", 1, trim},
	{"pad", "<s-ns?:s>", 3, pad},
	{"match", "<s-f<s:o>n?:a<o>>", 3, regexMatch},
	{"contains", "<s-(sf):b>", 2, contains},
	{"replace", "<s-(sf)(sf)n?:s>", 4, replace},
	{"split", "<s-(sf)n?:a<s>>", 3, split},
	{"join", "<a<s>s?:s>", 2, join},
	{"formatNumber", "<n-so?:s>", 3, formatNumber},
	{"formatBase", "<n-n?:s>", 2, formatBase},
	{"formatInteger", "<n-s:s>", 2, formatInteger},
	{"parseInteger", "<s-s:n>", 2, parseInteger},
	{"number", "<(nsb)-:n>", 1, toNumber},
	{"floor", "<n-:n>", 1, floor},
	{"ceil", "<n-:n>", 1, ceil},
	{"round", "<n-n?:n>", 2, round},
	{"abs", "<n-:n>", 1, abs},
	{"sqrt", "<n-:n>", 1, sqrt},
	{"power", "<n-n:n>", 2, power},
	{"random", "<:n>", 0, random},
	{"boolean", "<x-:b>", 1, toBoolean},
	{"not", "<x-:b>", 1, not},
	{"map", "<af>", 2, mapItems},
	{"zip", "<a+>", 0, zip},
	{"filter", "<af>", 2, filterItems},
	{"single", "<af?>", 2, single},
	{"reduce", "<afj?:j>", 3, reduce},
	{"sift", "<o-f?:o>", 2, sift},
	{"keys", "<x-:a<s>>", 1, keys},
	{"lookup", "<x-s:x>", 2, lookupKey},
	{"append", "<xx:a>", 2, appendItems},
	{"exists", "<x:b>", 1, exists},
	{"spread", "<x-:a<o>>", 1, spread},
	{"merge", "<a<o>:o>", 1, merge},
	{"reverse", "<a:a>", 1, reverse},
	{"each", "<o-f:a>", 2, each},
	{"error", "<s?:x>", 1, raise},
	{"assert", "<bs?:x>", 2, assert},
	{"type", "<x:s>", 1, typeOf},
	{"sort", "<af?:a>", 2, sortItems},
	{"shuffle", "<a:a>", 1, shuffle},
	{"distinct", "<x:x>", 1, distinct},
	{"base64encode", "<s-:s>", 1, base64Encode},
	{"base64decode", "<s-:s>", 1, base64Decode},
	{"encodeUrlComponent", "<s-:s>", 1, encodeURLComponent},
	{"encodeUrl", "<s-:s>", 1, encodeURL},
	{"decodeUrlComponent", "<s-:s>", 1, decodeURLComponent},
	{"decodeUrl", "<s-:s>", 1, decodeURL},
	{"toMillis", "<s-s?:n>", 2, toMillis},
	{"fromMillis", "<n-s?s?:s>", 3, fromMillis},
	{"clone", "<(oa)-:o>", 1, cloneValue},
	{"now", "<s?s?:s>", 2, now},
	{"millis", "<:n>", 0, millis},
}

var functions = [...]map[string]val{Plain: table(Plain), States: table(States)}

func table(d Dialect) map[string]val {
	t := make(map[string]val, len(definitions)+8)
	for _, x := range definitions {
		t[x.name] = fromFunction(&function{kind: fnNative, name: x.name, arity: x.arity, sig: mustSignature(x.sig), impl: x.impl})
	}
	if d == States {
		for _, x := range statesDefinitions {
			t[x.name] = fromFunction(&function{kind: fnNative, name: x.name, arity: x.arity, sig: mustSignature(x.sig), impl: x.impl})
		}
		return t
	}
	// The one function that needs to know the variables where it is called.
	t["eval"] = fromFunction(&function{kind: fnNative, name: "eval", arity: 2, sig: mustSignature("<sx?:x>"), frame: true})
	return t
}

// numbers calls do for each number of an array.
func numbers(m *machine, a val, do func(float64)) int {
	n := a.length()
	m.spend(n)
	if a.x == nil {
		for i := range n {
			do(a.v.At(i).Float())
		}
		return n
	}
	for i := range n {
		do(a.x.at(i).v.Float())
	}
	return n
}

func sum(m *machine, args []val, in val) val {
	a := args[0]
	if a.undefined() {
		return a
	}
	total := 0.0
	n := a.length()
	m.spend(n)
	switch {
	case a.x == nil:
		for i := range n {
			total += a.v.At(i).Float()
		}
	case a.x.items != nil:
		for i := range a.x.items {
			total += a.x.items[i].v.Float()
		}
	default:
		for i := range n {
			total += a.x.at(i).v.Float()
		}
	}
	return num(total)
}

func countItems(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return num(0)
	}
	return num(float64(args[0].length()))
}

func largest(m *machine, args []val, in val) val {
	if args[0].undefined() || args[0].length() == 0 {
		return val{}
	}
	r := args[0].at(0).v.Float()
	numbers(m, args[0], func(f float64) { r = max(r, f) })
	return num(r)
}

func smallest(m *machine, args []val, in val) val {
	if args[0].undefined() || args[0].length() == 0 {
		return val{}
	}
	r := args[0].at(0).v.Float()
	numbers(m, args[0], func(f float64) { r = min(r, f) })
	return num(r)
}

func average(m *machine, args []val, in val) val {
	if args[0].undefined() || args[0].length() == 0 {
		return val{}
	}
	total := 0.0
	n := numbers(m, args[0], func(f float64) { total += f })
	return num(total / float64(n))
}

func toBoolean(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return boolean(m.truth(args[0]))
}

func not(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return boolean(!m.truth(args[0]))
}

func exists(m *machine, args []val, in val) val { return boolean(!args[0].undefined()) }

func typeOf(m *machine, args []val, in val) val {
	switch args[0].kind() {
	case kUndefined:
		return val{}
	case kNumber:
		m.finite(args[0].v.Float())
		return str("number")
	case kFunction:
		return str("function")
	}
	if args[0].x == nil {
		return str(args[0].v.Kind().String())
	}
	if args[0].isArray() {
		return str("array")
	}
	return str("object")
}

func raise(m *machine, args []val, in val) val {
	text := "$error() function evaluated"
	if s := args[0].v.Str(); s != "" {
		text = s
	}
	panic(&Error{Code: "D3137", Message: text})
}

func assert(m *machine, args []val, in val) val {
	if args[0].v.Bool() {
		return val{}
	}
	text := "$assert() statement failed"
	if s := args[1].v.Str(); s != "" {
		text = s
	}
	panic(&Error{Code: "D3141", Message: text})
}

// Functions that take functions.

func mapItems(m *machine, args []val, in val) val {
	a, fn := args[0], args[1].fn()
	if a.undefined() {
		return a
	}
	out := newSequence()
	n := a.length()
	m.spend(n)
	if n > 0 {
		m.reserve(out, min(n, 1<<10))
	}
	for i := range n {
		if r := m.invoke(fn, a.at(i), num(float64(i)), a); !r.undefined() {
			m.push(out, r)
		}
	}
	return val{x: out}
}

func filterItems(m *machine, args []val, in val) val {
	a, fn := args[0], args[1].fn()
	if a.undefined() {
		return a
	}
	out := newSequence()
	n := a.length()
	m.spend(n)
	for i := range n {
		it := a.at(i)
		if m.truth(m.invoke(fn, it, num(float64(i)), a)) {
			m.push(out, it)
		}
	}
	return val{x: out}
}

func single(m *machine, args []val, in val) val {
	a, fn := args[0], args[1].fn()
	if a.undefined() {
		return a
	}
	var found val
	seen := false
	n := a.length()
	m.spend(n)
	for i := range n {
		it := a.at(i)
		if fn != nil && !m.truth(m.invoke(fn, it, num(float64(i)), a)) {
			continue
		}
		if seen {
			panic(&Error{Code: "D3138", Index: i})
		}
		found, seen = it, true
	}
	if !seen {
		panic(&Error{Code: "D3139"})
	}
	return found
}

func reduce(m *machine, args []val, in val) val {
	a, fn, r := args[0], args[1].fn(), args[2]
	if a.undefined() {
		return a
	}
	if fn.arity < 2 {
		panic(&Error{Code: "D3050", Index: 1})
	}
	n := a.length()
	m.spend(n)
	i := 0
	if r.undefined() && n > 0 {
		r, i = a.at(0), 1
	}
	for ; i < n; i++ {
		r = m.invoke(fn, r, a.at(i), num(float64(i)), a)
	}
	return r
}

func sift(m *machine, args []val, in val) val {
	o, fn := args[0], args[1].fn()
	if fn == nil {
		panic(&Error{Code: "T1006"})
	}
	var ks []string
	var vs []val
	if o.isObject() {
		n := o.length()
		m.spend(n)
		for i := range n {
			k, x := o.member(i)
			if m.truth(m.invoke(fn, x, str(k), o)) {
				ks, vs = append(ks, k), append(vs, x)
			}
		}
	}
	if len(ks) == 0 {
		return val{}
	}
	return m.object(ks, vs)
}

func each(m *machine, args []val, in val) val {
	o, fn := args[0], args[1].fn()
	out := newSequence()
	if o.isObject() {
		n := o.length()
		m.spend(n)
		for i := range n {
			k, x := o.member(i)
			if r := m.invoke(fn, x, str(k), o); !r.undefined() {
				m.push(out, r)
			}
		}
	}
	return val{x: out}
}

func sortItems(m *machine, args []val, in val) val {
	a := args[0]
	if a.undefined() || a.length() <= 1 {
		return a
	}
	fn := args[1].fn()
	if fn == nil {
		return m.sortValues(a)
	}
	n := a.length()
	out := append(m.slice(n), m.items(a)...)
	mergeSort(m, out, m.slice(n)[:n], func(x, y *val) bool {
		k := m.mark()
		two := m.args(2)
		two[0], two[1] = *x, *y
		r := jsTruth(m.applyInside(fn, two, val{v: value.Null()}))
		m.release(k)
		return r
	})
	return array(out)
}

// Arrays and objects.

func zip(m *machine, args []val, in val) val {
	if len(args) == 0 {
		return array(nil)
	}
	n := -1
	for _, a := range args {
		k := 0
		if a.isArray() {
			k = a.length()
		}
		if n < 0 || k < n {
			n = k
		}
	}
	out := m.slice(n)
	for i := range n {
		row := m.slice(len(args))
		for _, a := range args {
			row = append(row, a.at(i))
		}
		m.charge(100)
		out = append(out, array(row))
	}
	return array(out)
}

func keys(m *machine, args []val, in val) val {
	out := newSequence()
	if !args[0].isArray() {
		m.addKeys(args[0], nil, out, 0)
		return val{x: out}
	}
	m.addKeys(args[0], make(map[string]bool), out, 0)
	return val{x: out}
}

func (m *machine) addKeys(a val, seen map[string]bool, out *box, depth int) {
	if depth > maxExport {
		panic(m.limit(LimitDepth))
	}
	switch a.kind() {
	case kArray:
		n := a.length()
		m.spend(n)
		for i := range n {
			m.addKeys(a.at(i), seen, out, depth+1)
		}
	case kObject:
		n := a.length()
		m.spend(n)
		for i := range n {
			k, _ := a.member(i)
			if seen != nil {
				if seen[k] {
					continue
				}
				seen[k] = true
			}
			m.push(out, str(k))
		}
	}
}

func lookupKey(m *machine, args []val, in val) val {
	return m.lookup(args[0], args[1].v.Str())
}

func appendItems(m *machine, args []val, in val) val { return m.appendTo(args[0], args[1]) }

func spread(m *machine, args []val, in val) val { return m.spreadOut(args[0], 0) }

func (m *machine) spreadOut(a val, depth int) val {
	if depth > maxExport {
		panic(m.limit(LimitDepth))
	}
	switch a.kind() {
	case kArray:
		n := a.length()
		m.spend(n)
		out := newSequence()
		for i := range n {
			x := m.spreadOut(a.at(i), depth+1)
			if x.undefined() {
				continue
			}
			out.seq = false
			m.addAll(out, x)
		}
		return val{x: out}
	case kObject:
		n := a.length()
		m.spend(n)
		out := newSequence()
		for i := range n {
			k, x := a.member(i)
			m.push(out, m.object([]string{k}, []val{x}))
		}
		return val{x: out}
	}
	return a
}

func merge(m *machine, args []val, in val) val {
	a := args[0]
	if a.undefined() {
		return a
	}
	out := &box{kind: boxObject}
	n := a.length()
	for i := range n {
		o := a.at(i)
		k := o.length()
		m.spend(k + 1)
		m.charge(k * 48)
		if k > 0 && !o.isObject() {
			continue
		}
		for j := range k {
			out.set(o.member(j))
		}
	}
	if len(out.keys) < indexed {
		return m.object(out.keys, out.items)
	}
	return val{x: out}
}

func reverse(m *machine, args []val, in val) val {
	a := args[0]
	if a.undefined() || a.length() <= 1 {
		return a
	}
	n := a.length()
	out := m.slice(n)
	for i := n - 1; i >= 0; i-- {
		out = append(out, a.at(i))
	}
	return array(out)
}

func shuffle(m *machine, args []val, in val) val {
	a := args[0]
	if a.undefined() || a.length() <= 1 {
		return a
	}
	n := a.length()
	out := m.slice(n)[:n]
	for i := range n {
		j := int(m.random() * float64(i+1))
		out[i] = out[j]
		out[j] = a.at(i)
	}
	return array(out)
}

func distinct(m *machine, args []val, in val) val {
	a := args[0]
	if !a.isArray() || a.length() <= 1 {
		return a
	}
	out := &box{kind: boxList, seq: a.isSequence(), items: []val{}}
	n := a.length()
	m.spend(n)
	type scalar struct {
		kind kind
		f    float64
		s    string
	}
	seen := make(map[scalar]bool)
	var others []val
	for i := range n {
		x := a.at(i)
		k := x.kind()
		if k == kArray || k == kObject || k == kFunction {
			found := false
			for _, y := range others {
				m.spend(1)
				if m.equal(x, y) {
					found = true
					break
				}
			}
			if !found {
				others = append(others, x)
				m.push(out, x)
			}
			continue
		}
		key := scalar{kind: k, s: x.v.Str()}
		switch k {
		case kNumber:
			key.f = x.v.Float()
		case kBool:
			if x.v.Bool() {
				key.f = 1
			}
		}
		if !seen[key] || key.f != key.f {
			seen[key] = true
			m.charge(64)
			m.push(out, x)
		}
	}
	return val{x: out}
}

func cloneValue(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return m.clone(args[0], 0)
}

// Strings.

func toString(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	if args[1].v.Bool() {
		return m.print(args[0], 2)
	}
	return m.text(args[0])
}

// whole turns a number into an integer as JavaScript does for an index.
func whole(f float64) float64 {
	if f != f {
		return 0
	}
	if f < 0 {
		return -float64(floor64(-f))
	}
	return floor64(f)
}

func substring(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := args[0].v.Str()
	start := args[1].v.Float()
	if args[1].undefined() {
		start = 0
	}
	n := float64(count(s))
	if n+start < 0 {
		start = 0
	}
	end := n
	if !args[2].undefined() {
		k := args[2].v.Float()
		if k <= 0 {
			return str("")
		}
		if start >= 0 {
			end = start + k
		} else {
			end = n + start + k
		}
	}
	clamp := func(f float64) int {
		if f = whole(f); f < 0 {
			f = max(n+f, 0)
		}
		return int(min(f, n))
	}
	return str(cut(s, clamp(start), clamp(end), int(n)))
}

// cut returns the characters from a up to b of s, which has n.
func cut(s string, a, b, n int) string {
	if a >= b {
		return ""
	}
	if n == len(s) {
		return s[a:b]
	}
	from, i := len(s), 0
	for at := 0; at < len(s); i++ {
		if i == a {
			from = at
		}
		if i == b {
			return s[from:at]
		}
		_, k := nextRune(s, at)
		at += k
	}
	return s[from:]
}

func substringBefore(m *machine, args []val, in val) val {
	if args[0].undefined() || args[1].undefined() {
		return args[0]
	}
	before, _, _ := strings.Cut(args[0].v.Str(), args[1].v.Str())
	return str(before)
}

func substringAfter(m *machine, args []val, in val) val {
	if args[0].undefined() || args[1].undefined() {
		return args[0]
	}
	if _, after, ok := strings.Cut(args[0].v.Str(), args[1].v.Str()); ok {
		return str(after)
	}
	return args[0]
}

func lowercase(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	m.charge(len(args[0].v.Str()))
	return str(lower(args[0].v.Str()))
}

func uppercase(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	m.charge(len(args[0].v.Str()))
	return str(upper(args[0].v.Str()))
}

func length(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return num(float64(count(args[0].v.Str())))
}

func trim(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := args[0].v.Str()
	m.charge(len(s))
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\n', '\r':
			if len(b) > 0 && b[len(b)-1] != ' ' {
				b = append(b, ' ')
			}
		default:
			b = append(b, s[i])
		}
	}
	return str(strings.TrimSuffix(bytesToString(b), " "))
}

func pad(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := args[0].v.Str()
	width := whole(args[1].v.Float())
	with := args[2].v.Str()
	if with == "" {
		with = " "
	}
	need := max(width, -width) - float64(count(s))
	if need <= 0 {
		return args[0]
	}
	if need > float64(m.maxBytes) {
		panic(m.limit(LimitMemory))
	}
	n := int(need)
	per := count(with)
	m.grow(len(s) + (n/per+1)*len(with))
	fill := strings.Repeat(with, n/per) + cut(with, 0, n%per, per)
	if width > 0 {
		return str(s + fill)
	}
	return str(fill + s)
}

func join(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	list := m.items(args[0])
	m.spend(len(list))
	size := 0
	for i := range list {
		size += len(list[i].v.Str())
	}
	if len(list) == 0 {
		return str("")
	}
	return m.join(list, args[1].v.Str(), size)
}
