package jsonata

import (
	"math"
	"slices"

	"tokaido/value"
)

// code evaluates a node: f holds the variables, in is the context.
type code func(m *machine, f *frame, in val) val

// Expr is a compiled expression. It does not change and may be shared.
type Expr struct {
	src     string
	dialect Dialect
	run     code
	globals []string
	lone    bool // the source makes lone surrogates
}

// Compile checks and compiles src. The error is an *Error.
func Compile(src string, d Dialect) (e *Expr, err error) {
	if len(src) > MaxSource {
		return nil, &Error{Message: "The expression is too long", Limit: LimitMemory}
	}
	defer func() {
		if r := recover(); r != nil {
			x, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			x.explain()
			e, err = nil, x
		}
	}()
	n, p := parse(src)
	c := &compiler{dialect: d}
	e = &Expr{src: src, dialect: d, lone: p.lex.lone}
	sc := &scope{}
	sc.bindings(n)
	body := c.node(n, sc)
	e.run = body
	if len(sc.names) > 0 {
		e.run = func(m *machine, f *frame, in val) val { return body(m, m.frame(sc, f), in) }
	}
	e.globals = c.globals
	p.done()
	return e, nil
}

// Refs returns what the expression reads from outside, in the order of the
// source. It is for the door, not for every evaluation: it parses once more.
func (e *Expr) Refs() []Ref {
	n, p := parse(e.src)
	refs := references(n, functions[e.dialect])
	p.done()
	return refs
}

type compiler struct {
	dialect Dialect
	globals []string
	index   map[string]int // of the globals, when they are many
	dynamic bool           // for $eval: variables are looked up by name, without a table
}

func (c *compiler) nodes(list []*node, sc *scope) []code {
	out := make([]code, len(list))
	for i, n := range list {
		out[i] = c.node(n, sc)
	}
	return out
}

// node compiles n with its filters and its grouping, to code whose result has collapsed.
func (c *compiler) node(n *node, sc *scope) code {
	if n.kind == nPath {
		return c.path(n, sc)
	}
	run := c.bare(n, sc)
	if n.tail {
		return run // what stands after a call in tail position is lost, in the reference too
	}
	keep := n.keepArray
	if len(n.predicate) == 0 && n.group == nil {
		switch n.kind {
		case nBin:
			if n.text != ".." {
				return run
			}
		case nUnary, nStr, nNum, nWord, nRegex, nLambda, nTransform, nPartial:
			return run
		case nVar, nParent, nBlock, nCond, nBind:
			if !keep {
				return run // collapsed within
			}
		}
	}
	if len(n.predicate) > 0 {
		filters := c.filters(n.predicate, sc)
		inner := run
		run = func(m *machine, f *frame, in val) val {
			r := inner(m, f, in)
			for i := range filters {
				r = filters[i].apply(m, f, r)
			}
			if keep && !r.isArray() && !r.undefined() {
				return oneItem(r)
			}
			return r
		}
	}
	if n.group != nil {
		g := c.grouping(n.group, sc)
		inner := run
		run = func(m *machine, f *frame, in val) val { return g.apply(m, f, inner(m, f, in)) }
	}
	if keep {
		inner := run
		return func(m *machine, f *frame, in val) val { return collapse(keepOne(inner(m, f, in))) }
	}
	if n.kind == nFunc && len(n.predicate) == 0 && n.group == nil {
		return run // calls collapse their own results
	}
	inner := run
	return func(m *machine, f *frame, in val) val {
		r := inner(m, f, in)
		if r.x != nil && r.x.seq {
			return collapse(r)
		}
		return r
	}
}

// keepOne marks a sequence to stay an array when it has one item.
func keepOne(a val) val {
	if a.x != nil && a.x.seq && !a.x.stamp && a.x.length() == 1 {
		a.x.keep = true
	}
	return a
}

// bare compiles n alone.
func (c *compiler) bare(n *node, sc *scope) code {
	switch n.kind {
	case nStr:
		return constant(str(n.text))
	case nNum:
		return constant(num(n.num))
	case nWord:
		return constant(doc(n.word))
	case nRegex:
		return constant(fromFunction(&function{kind: fnRegex, re: n.re, arity: 2}))
	case nOp:
		panic(fail("S0201", n.pos, n.text)) // a ? outside of a call
	case nVar:
		return c.variable(n.text, sc)
	case nParent:
		return c.variable(n.slot.label, sc)
	case nWild:
		return wildcard
	case nDesc:
		return descendants
	case nName:
		name := n.text
		return func(m *machine, f *frame, in val) val {
			m.leaf()
			return m.lookup(in, name)
		}
	case nBin:
		return c.binary(n, sc)
	case nUnary:
		switch n.text {
		case "[":
			return c.array(n, sc)
		case "{":
			g := c.grouping(n, sc)
			return func(m *machine, f *frame, in val) val {
				m.enter()
				r := g.apply(m, f, in)
				m.depth--
				return r
			}
		}
		x, pos := c.node(n.lhs, sc), n.pos
		return func(m *machine, f *frame, in val) val {
			m.enter()
			r := x(m, f, in)
			m.depth--
			if r.undefined() {
				return r
			}
			v, ok := m.numeric(r)
			if !ok {
				panic(&Error{Code: "D1002", Position: pos, Token: "-", Value: m.show(r)})
			}
			return num(-v)
		}
	case nBlock:
		return c.block(n, sc)
	case nCond:
		return c.condition(n, sc)
	case nBind:
		return c.bind(n, sc)
	case nLambda:
		return c.lambda(n, sc)
	case nFunc:
		return c.call(n, sc, nil)
	case nPartial:
		return c.partial(n, sc)
	case nApply:
		return c.chain(n, sc)
	case nTransform:
		return c.transform(n, sc)
	}
	panic(fail("S0206", n.pos, n.text))
}

func constant(v val) code {
	return func(m *machine, f *frame, in val) val {
		m.leaf()
		return v
	}
}

// variable compiles the reading of $name.
func (c *compiler) variable(name string, sc *scope) code {
	if name == "" {
		return func(m *machine, f *frame, in val) val {
			m.leaf()
			if in.x == nil {
				return in
			}
			if in.x.outer && len(in.x.items) > 0 {
				return in.x.items[0]
			}
			return collapse(in)
		}
	}
	switch up, slot := sc.nearest(name); up {
	case 0:
		return func(m *machine, f *frame, in val) val {
			m.leaf()
			return collapse(f.slots[slot])
		}
	case 1:
		return func(m *machine, f *frame, in val) val {
			m.leaf()
			return collapse(f.parent.slots[slot])
		}
	}
	places := sc.resolve(name)
	at := c.global(name)
	if len(places) == 0 {
		return func(m *machine, f *frame, in val) val {
			m.leaf()
			return m.global(at, name)
		}
	}
	return func(m *machine, f *frame, in val) val {
		m.leaf()
		holder, up := f, 0
		for i := range places {
			p := &places[i]
			for ; up < p.up; up++ {
				holder = holder.parent
			}
			if v := holder.slots[p.slot]; v.x != unboundBox {
				return collapse(v)
			}
		}
		return m.global(at, name)
	}
}

// global is the number of a variable that no frame holds; -1 if it is to be
// looked up by its name each time.
func (c *compiler) global(name string) int {
	if c.dynamic {
		return -1
	}
	if c.index == nil && len(c.globals) >= indexed {
		c.index = make(map[string]int)
		for i, g := range c.globals {
			c.index[g] = i
		}
	}
	if c.index == nil {
		for i, g := range c.globals {
			if g == name {
				return i
			}
		}
	} else if i, ok := c.index[name]; ok {
		return i
	}
	c.globals = append(c.globals, name)
	if c.index != nil {
		c.index[name] = len(c.globals) - 1
	}
	return len(c.globals) - 1
}

// global reads a variable that no frame holds.
func (m *machine) global(at int, name string) val {
	if at < 0 {
		return m.outside(name)
	}
	g := &m.globals[at]
	if !g.known {
		g.val, g.known = m.outside(name), true
	}
	return g.val
}

// outside finds a variable that the expression did not bind.
func (m *machine) outside(name string) val {
	if name == "$" {
		return doc(m.env.Input)
	}
	if m.env.Var != nil {
		if v, ok := m.env.Var(name); ok {
			return doc(v)
		}
	}
	return m.functions[name]
}

func (c *compiler) bind(n *node, sc *scope) code {
	x := c.node(n.rhs, sc)
	slot := sc.find(n.lhs.text) // scope.bindings made room for it
	return func(m *machine, f *frame, in val) val {
		m.enter()
		v := x(m, f, in)
		m.depth--
		f.slots[slot] = v
		return v
	}
}

// closes reports whether evaluating n may make something that keeps the frames.
func closes(n *node) bool {
	if n == nil {
		return false
	}
	if n.closes == 0 {
		n.closes = 1
		if closing(n) {
			n.closes = 2
		}
	}
	return n.closes == 2
}

func closing(n *node) bool {
	switch n.kind {
	case nLambda, nPartial, nTransform:
		return true
	case nVar:
		if n.text == "eval" {
			return true
		}
	}
	if closes(n.lhs) || closes(n.rhs) || closes(n.els) || closes(n.group) {
		return true
	}
	if slices.ContainsFunc(n.list, closes) {
		return true
	}
	for _, p := range n.pairs {
		if closes(p[0]) || closes(p[1]) {
			return true
		}
	}
	for _, t := range n.terms {
		if closes(t.expr) {
			return true
		}
	}
	for _, s := range [...][]stage{n.predicate, n.stages} {
		for _, t := range s {
			if closes(t.expr) {
				return true
			}
		}
	}
	return false
}

func (c *compiler) block(n *node, outer *scope) code {
	sc := &scope{parent: outer}
	keeps := false
	for _, x := range n.list {
		sc.bindings(x)
		keeps = keeps || closes(x) || x.tuple
	}
	list := c.nodes(n.list, sc)
	if len(list) == 1 && len(sc.names) == 0 {
		x := list[0]
		return func(m *machine, f *frame, in val) val {
			m.enter()
			r := x(m, f, in)
			m.depth--
			return r
		}
	}
	framed := len(sc.names) > 0
	return func(m *machine, f *frame, in val) val {
		m.enter()
		own := f
		if framed {
			if keeps {
				own = m.frame(sc, f)
			} else {
				own = m.brief(sc, f)
			}
		}
		var r val
		for _, x := range list {
			r = x(m, own, in)
		}
		if framed && !keeps {
			m.drop(own)
		}
		m.depth--
		return r
	}
}

func (c *compiler) condition(n *node, sc *scope) code {
	no := constant(val{})
	if n.els != nil {
		no = c.node(n.els, sc)
	}
	if n.twice != condPlain {
		elvis := n.twice == condElvis
		if n.rhs.tail {
			test, yes := c.calls(n.rhs, sc, nil, true, true)
			return func(m *machine, f *frame, in val) val {
				m.enter()
				r := test(m, f, in)
				if elvis && !m.truth(r) || r.undefined() {
					r = no(m, f, in)
				} else {
					r = yes(m, f, in)
				}
				m.depth--
				return r
			}
		}
		yes := c.node(n.rhs, sc)
		return func(m *machine, f *frame, in val) val {
			m.enter()
			r := yes(m, f, in)
			if elvis && !m.truth(r) || r.undefined() {
				r = no(m, f, in)
			}
			m.depth--
			return r
		}
	}
	test, yes := c.node(n.lhs, sc), c.node(n.rhs, sc)
	return func(m *machine, f *frame, in val) val {
		m.enter()
		var r val
		if m.truth(test(m, f, in)) {
			r = yes(m, f, in)
		} else {
			r = no(m, f, in)
		}
		m.depth--
		return r
	}
}

func (c *compiler) array(n *node, sc *scope) code {
	list := c.nodes(n.list, sc)
	whole := make([]bool, len(list)) // an array constructor within keeps its array
	for i, x := range n.list {
		whole[i] = x.kind == nUnary && x.text == "["
	}
	cons := n.cons
	return func(m *machine, f *frame, in val) val {
		m.enter()
		depth := m.depth - 1
		if len(list) == 1 && !whole[0] {
			r := list[0](m, f, in)
			m.depth = depth
			switch {
			case r.undefined():
				return val{x: &box{kind: boxList, cons: cons, items: []val{}}}
			case !r.isArray():
				m.charge(100)
				return val{x: &box{kind: boxList, cons: cons, items: []val{r}}}
			case r.x == nil && !cons:
				return r
			case r.x != nil && !r.x.stamp:
				return val{x: &box{kind: boxList, cons: cons, items: r.x.items, more: r.x.more}}
			}
			return val{x: &box{kind: boxList, cons: cons, items: m.items(r)}}
		}
		out := &box{kind: boxList, cons: cons, items: m.slice(len(list))}
		for i, x := range list {
			r := x(m, f, in)
			switch {
			case r.undefined():
			case whole[i] || !r.isArray():
				m.push(out, r)
			default:
				for j := range r.length() {
					m.push(out, r.at(j))
				}
			}
		}
		m.depth = depth
		return val{x: out}
	}
}

func (c *compiler) binary(n *node, sc *scope) code {
	switch n.text {
	case "&":
		return c.concat(n, sc)
	case "and", "or":
		return c.logic(n, sc)
	}
	l, r := c.node(n.lhs, sc), c.node(n.rhs, sc)
	op, pos := n.text, n.pos
	switch op {
	case "+", "-", "*", "/", "%":
		return arithmetic(op[0], pos, l, r)
	case "=", "!=":
		same := op == "="
		return func(m *machine, f *frame, in val) val {
			m.enter()
			a := l(m, f, in)
			b := r(m, f, in)
			m.depth--
			if a.undefined() || b.undefined() {
				return boolean(false)
			}
			return boolean(m.equal(a, b) == same)
		}
	case "<", "<=", ">", ">=":
		return comparison(op, pos, l, r)
	case "in":
		return func(m *machine, f *frame, in val) val {
			m.enter()
			a := l(m, f, in)
			b := r(m, f, in)
			m.depth--
			if a.undefined() || b.undefined() {
				return boolean(false)
			}
			if !b.isArray() {
				return boolean(identical(b, a))
			}
			n := b.length()
			m.spend(n)
			for i := range n {
				if identical(b.at(i), a) {
					return boolean(true)
				}
			}
			return boolean(false)
		}
	case "..":
		return func(m *machine, f *frame, in val) val {
			m.enter()
			a := l(m, f, in)
			b := r(m, f, in)
			m.depth--
			return m.rangeOf(a, b, pos)
		}
	}
	panic(fail("S0204", pos, op))
}

func arithmetic(op byte, pos int, l, r code) code {
	return func(m *machine, f *frame, in val) val {
		m.enter()
		a := l(m, f, in)
		b := r(m, f, in)
		m.depth--
		if !a.isNumber() || !b.isNumber() {
			m.operand(0, a, op, pos)
			m.operand(1, b, op, pos)
			return val{}
		}
		x, y := a.v.Float(), b.v.Float()
		if x-x != 0 || y-y != 0 { // an infinity, or not a number
			m.operand(0, a, op, pos)
			m.operand(1, b, op, pos)
		}
		switch op {
		case '+':
			x += y
		case '-':
			x -= y
		case '*':
			x *= y
		case '/':
			x /= y
		default:
			x = math.Mod(x, y)
		}
		return num(x)
	}
}

// operand checks one side of an arithmetic operator; nothing may stand there.
func (m *machine) operand(side int, a val, op byte, pos int) {
	if a.undefined() {
		return
	}
	if a.isNumber() {
		f := a.v.Float()
		if math.IsInf(f, 0) {
			panic(&Error{Code: "D1001", Position: pos, Token: string(op), Value: value.Float(f)})
		}
		if f == f {
			return
		}
	}
	panic(&Error{Code: [...]string{"T2001", "T2002"}[side], Position: pos, Token: string(op), Value: m.show(a)})
}

func comparison(op string, pos int, l, r code) code {
	less, orEqual := op[0] == '<', len(op) == 2
	return func(m *machine, f *frame, in val) val {
		m.enter()
		a := l(m, f, in)
		b := r(m, f, in)
		m.depth--
		if a.isNumber() && b.isNumber() {
			x, y := a.v.Float(), b.v.Float()
			switch {
			case less && orEqual:
				return boolean(x <= y)
			case less:
				return boolean(x < y)
			case orEqual:
				return boolean(x >= y)
			}
			return boolean(x > y)
		}
		ka, kb := a.kind(), b.kind()
		okA := ka == kUndefined || ka == kString || ka == kNumber
		okB := kb == kUndefined || kb == kString || kb == kNumber
		if !okA || !okB {
			x := a
			if ka == kString || ka == kNumber {
				x = b
			}
			panic(&Error{Code: "T2010", Position: pos, Token: op, Value: m.show(x)})
		}
		if ka == kUndefined || kb == kUndefined {
			return val{}
		}
		if ka != kb {
			panic(&Error{Code: "T2009", Position: pos, Token: op, Value: m.show(a), Value2: m.show(b)})
		}
		m.work(a.v.Str())
		d := compareUnits(a.v.Str(), b.v.Str())
		if !less {
			d = -d
		}
		return boolean(d < 0 || orEqual && d == 0)
	}
}

func (c *compiler) logic(n *node, sc *scope) code {
	l, r := c.node(n.lhs, sc), c.node(n.rhs, sc)
	and := n.text == "and"
	at := site{pos: n.pos, name: n.text, force: true}
	return func(m *machine, f *frame, in val) val {
		m.enter()
		a := l(m, f, in)
		m.calls = append(m.calls, at)
		t := m.truth(a)
		if t == and {
			t = m.truth(r(m, f, in))
		}
		m.calls = m.calls[:len(m.calls)-1]
		m.depth--
		return boolean(t)
	}
}

// concat joins a whole chain of & at once.
func (c *compiler) concat(n *node, sc *scope) code {
	var parts []code
	var at []int
	var flatten func(n *node)
	flatten = func(n *node) {
		if l := n.lhs; l.kind == nBin && l.text == "&" && len(l.predicate) == 0 && l.group == nil {
			flatten(l)
		} else {
			parts = append(parts, c.node(l, sc))
			at = append(at, 0)
		}
		parts = append(parts, c.node(n.rhs, sc))
		at = append(at, n.pos)
	}
	flatten(n)
	at[0] = at[1]
	deep := len(parts) - 1
	return func(m *machine, f *frame, in val) val {
		m.depth += deep - 1
		m.enter()
		k := m.mark()
		vals := m.args(len(parts))
		size := 0
		for i, p := range parts {
			v := p(m, f, in)
			if !v.isString() {
				m.calls = append(m.calls, site{pos: at[i], name: "&", force: true})
				v = m.text(v)
				m.calls = m.calls[:len(m.calls)-1]
			}
			vals[i] = v
			size += len(v.v.Str())
		}
		m.depth -= deep
		r := m.join(vals, "", size)
		m.release(k)
		return r
	}
}

// join puts strings together, size bytes in all without the separators.
func (m *machine) join(vals []val, sep string, size int) val {
	if len(vals) == 1 {
		return vals[0]
	}
	if len(vals) > 1 {
		size += len(sep) * (len(vals) - 1)
	}
	if size == 0 {
		return str("")
	}
	m.grow(size)
	b := make([]byte, 0, size)
	for i, v := range vals {
		if i > 0 {
			b = append(b, sep...)
		}
		s := v.v.Str()
		if m.lone && startsLow(s) {
			b = mergeLow(b, s)
			continue
		}
		b = append(b, s...)
	}
	return str(bytesToString(b))
}

// grow takes a string of n bytes from the budget.
func (m *machine) grow(n int) {
	if n > m.maxBytes {
		panic(m.limit(LimitMemory))
	}
	m.charge(n)
}

// MaxRange is how long a range may be; the language's own limit.
const MaxRange = 10_000_000

func (m *machine) rangeOf(a, b val, pos int) val {
	check := func(x val, code string) float64 {
		if x.undefined() {
			return 0
		}
		f := x.v.Float()
		if !x.isNumber() || f != math.Trunc(f) || math.IsInf(f, 0) {
			panic(&Error{Code: code, Position: pos, Token: "..", Value: m.show(x)})
		}
		return f
	}
	lo, hi := check(a, "T2003"), check(b, "T2004")
	if a.undefined() || b.undefined() || lo > hi {
		return val{}
	}
	n := hi - lo + 1
	if n > MaxRange {
		panic(&Error{Code: "D2014", Position: pos, Token: "..", Value: value.Float(n)})
	}
	if int(n) > m.maxItems {
		m.tooMany()
	}
	return val{x: &box{kind: boxList, seq: true, more: &more{lo: lo, n: int(n)}}}
}

func wildcard(m *machine, f *frame, in val) val {
	m.leaf()
	if in.x != nil && in.x.outer && in.x.length() > 0 {
		in = in.x.at(0)
	}
	out := newSequence()
	add := func(x val) {
		if !x.isArray() {
			m.push(out, x)
			return
		}
		out.seq = false // what was joined is a plain array
		m.flatten(out, x, 0)
	}
	switch in.kind() {
	case kObject:
		n := in.length()
		m.spend(n)
		for i := range n {
			_, x := in.member(i)
			add(x)
		}
	case kArray:
		n := in.length()
		m.spend(n)
		for i := range n {
			add(in.at(i))
		}
	}
	return val{x: out}
}

// flatten adds what an array holds at any depth.
func (m *machine) flatten(out *box, a val, depth int) {
	if depth > maxExport {
		panic(m.limit(LimitDepth))
	}
	n := a.length()
	m.spend(n)
	for i := range n {
		x := a.at(i)
		if x.isArray() {
			m.flatten(out, x, depth+1)
		} else {
			m.push(out, x)
		}
	}
}

func descendants(m *machine, f *frame, in val) val {
	m.leaf()
	if in.undefined() {
		return in
	}
	out := newSequence()
	m.descend(out, in, 0)
	if len(out.items) == 1 {
		return out.items[0] // no sequence: [] after ** has nothing to keep
	}
	return val{x: out}
}

func (m *machine) descend(out *box, a val, depth int) {
	if depth > maxExport {
		panic(m.limit(LimitDepth))
	}
	m.spend(1)
	switch a.kind() {
	case kArray:
		for i := range a.length() {
			m.descend(out, a.at(i), depth+1)
		}
		return
	case kObject:
		m.push(out, a)
		for i := range a.length() {
			_, x := a.member(i)
			m.descend(out, x, depth+1)
		}
		return
	}
	m.push(out, a)
}
