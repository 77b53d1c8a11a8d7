package jsonata

import (
	"math"

	"tokaido/value"
)

// path is a compiled path.
type path struct {
	steps    []step
	variable bool // begins with a variable: the context is one item even if it is an array
	keepOne  bool // a [] at one of its steps
	keep     bool // a [] after the whole
	group    *grouping

	// For a stream of tuples:
	from  int    // the step that begins it
	scope *scope // what the tuples hold
	raw   bool   // the result is the stream itself, for the path around
}

// step is one step of a path.
type step struct {
	name    string // a name and nothing else
	run     code
	filters []filter
	sort    *sorting
	cons    bool
	*binds  // in a stream of tuples
}

// binds is what a step of a stream of tuples binds: slots, -1 for none.
type binds struct {
	focus, index, ancestor int
	own                    *scope // variables that the step's expression binds for itself
}

// filter is a predicate, or the binding of an index in a stream of tuples.
type filter struct {
	run    code
	fixed  bool // a number that is written there
	number int
	index  int // the slot of the index; -1 for a predicate
	own    *scope
}

func (c *compiler) filters(stages []stage, sc *scope) []filter {
	out := make([]filter, len(stages))
	for i, s := range stages {
		f := &out[i]
		f.index = -1
		if s.expr == nil {
			f.index = sc.find(s.index)
			continue
		}
		if s.expr.kind == nNum && len(s.expr.predicate) == 0 {
			f.fixed = true
			f.number = int(max(min(math.Floor(s.expr.num), 1<<53), -1<<53))
		}
		f.run = c.node(s.expr, sc)
	}
	return out
}

// apply filters a value outside of a stream of tuples. What comes out is a
// sequence, or an array that an index picked.
func (p *filter) apply(m *machine, f *frame, in val) val {
	if in.x != nil && in.x.stamp {
		return p.tuples(m, f, in, nil)
	}
	if !in.isArray() {
		// One item, which may be nothing: passed through or not.
		if p.fixed {
			if p.number != 0 && p.number != -1 || in.undefined() {
				return none
			}
			return in
		}
		r := p.run(m, f, in)
		if r.x == nil && r.v.Kind() == value.KindBool && !in.undefined() {
			if r.v.Bool() {
				return in
			}
			return none
		}
		out := newSequence()
		p.holds(m, r, 0, 1, out, in)
		return val{x: out}
	}
	n := in.length()
	if p.fixed {
		i := p.number
		if i < 0 {
			i += n
		}
		if i < 0 || i >= n {
			return none
		}
		if it := in.at(i); !it.undefined() {
			return it
		}
		return none
	}
	m.spend(n)
	out := newSequence()
	for i := range n {
		it := in.at(i)
		r := p.run(m, f, it)
		if r.x == nil && r.v.Kind() == value.KindBool { // the usual case
			if r.v.Bool() {
				m.push(out, it)
			}
			continue
		}
		p.holds(m, r, i, n, out, it)
	}
	return val{x: out}
}

// none is the sequence of nothing.
var none = val{x: &box{kind: boxList, seq: true, items: []val{}}}

// holds decides about item i of n: by its index if r is a number or an array of
// numbers, else by truth. It adds the item to out as often as an index names it.
func (p *filter) holds(m *machine, r val, i, n int, out *box, it val) {
	hit := func(f float64) {
		f = math.Floor(f)
		if f < 0 {
			f += float64(n)
		}
		if f == float64(i) {
			m.push(out, it)
		}
	}
	if f, ok := m.numeric(r); ok {
		hit(f)
	} else if r.isArray() && m.allNumbers(r) {
		k := r.length()
		m.spend(k)
		for j := range k {
			hit(r.at(j).v.Float())
		}
	} else if m.truth(r) {
		m.push(out, it)
	}
}

func (m *machine) allNumbers(a val) bool {
	n := a.length()
	m.spend(n)
	for i := range n {
		if _, ok := m.numeric(a.at(i)); !ok {
			return false
		}
	}
	return true
}

func (c *compiler) path(n *node, sc *scope) code {
	if s := n.list[0]; len(n.list) == 1 && s.kind == nName && n.group == nil && !n.keepOne && !n.keepArray && !s.keepArray && !s.tuple && s.stages == nil {
		return name(s.text)
	}
	p := c.steps(n, sc)
	if p.from >= 0 {
		return p.stream
	}
	return p.run
}

// steps compiles a path's steps.
func (c *compiler) steps(n *node, sc *scope) *path {
	p := &path{keepOne: n.keepOne, keep: n.keepArray, from: -1, raw: n.tuple}
	p.variable = n.list[0].kind == nVar
	for i, s := range n.list {
		if s.tuple {
			p.from = i
			break
		}
	}
	inner := sc
	if p.from >= 0 {
		p.scope = &scope{parent: sc}
		p.scope.tuples(n)
		inner = p.scope
	}
	p.steps = make([]step, len(n.list))
	for i, s := range n.list {
		st := &p.steps[i]
		st.cons = s.cons
		streamed := p.from >= 0 && i >= p.from
		at := sc
		if streamed {
			st.binds = &binds{focus: -1, index: -1, ancestor: -1}
			if s.focus != "" {
				st.focus = inner.find(s.focus)
			}
			if s.index != "" {
				st.index = inner.find(s.index)
			}
			if s.ancestor != nil {
				st.ancestor = inner.find(s.ancestor.label)
			}
			st.own = &scope{parent: inner}
			st.own.bindings(s)
			at = st.own
		}
		switch {
		case s.kind == nSort:
			st.sort = c.sorting(s, sc, inner, p.from >= 0 && i > p.from)
		case s.kind == nName && !s.keepArray && s.group == nil:
			st.name = s.text
		default:
			st.run = c.node(s, at)
		}
		if !streamed {
			st.filters = c.filters(s.stages, sc)
		} else {
			for _, g := range s.stages {
				own := &scope{parent: inner}
				own.bindings(g.expr)
				var fl filter
				if g.expr == nil {
					fl = filter{index: inner.find(g.index)}
				} else {
					fl = c.filters([]stage{g}, own)[0]
					fl.own = own
				}
				st.filters = append(st.filters, fl)
			}
		}
	}
	if n.group != nil {
		if p.from >= 0 {
			p.group = c.tupleGrouping(n.group, inner)
		} else {
			p.group = c.grouping(n.group, sc)
		}
	}
	return p
}

// name is a path of one name.
func name(key string) code {
	return func(m *machine, f *frame, in val) val {
		m.enter()
		m.leaf()
		m.depth--
		if in.x == nil {
			if in.v.IsObject() {
				return val{v: in.v.Get(key)}
			}
			if !in.v.IsArray() {
				return val{}
			}
		} else if in.x.kind != boxList {
			r := collapse(in.get(key))
			if r.undefined() {
				return r
			}
			return collapse(m.single(r, 1))
		}
		return collapse(m.lookupItems(in, key))
	}
}

// lookupItems is a step that is a name, and the last one, on the items of an
// array: unlike lookup it goes only one array deep by itself, so that a single
// array comes out as it is.
func (m *machine) lookupItems(in val, key string) val {
	var first val
	n, seen := in.length(), 0
	m.spend(n)
	var out *box
	for i := range n {
		r := collapse(m.lookup(in.at(i), key))
		if r.undefined() {
			continue
		}
		if seen++; seen == 1 {
			first = r
			continue
		}
		if seen == 2 {
			out = newSequence()
			m.spread(out, first)
		}
		m.spread(out, r)
	}
	if seen <= 1 {
		return m.single(first, seen)
	}
	return val{x: out}
}

// single is what the last step yields for one result, or none.
func (m *machine) single(r val, seen int) val {
	switch {
	case seen == 0:
		return none
	case !r.isArray():
		return r
	case !r.isSequence() || !r.x.keep:
		return r
	}
	out := newSequence()
	m.spread(out, r)
	return val{x: out}
}

// spread adds a result of a step to the step's sequence: the items of an
// array, unless it was made to stay one.
func (m *machine) spread(out *box, r val) {
	if !r.isArray() || r.x != nil && r.x.cons {
		m.push(out, r)
		return
	}
	if n := r.length(); len(out.items)+n > cap(out.items) && n > 4 {
		m.reserve(out, n)
	}
	for i := range r.length() {
		m.push(out, r.at(i))
	}
}

// reserve makes room for n more items.
func (m *machine) reserve(b *box, n int) {
	n += len(b.items)
	if n > m.maxItems {
		m.tooMany()
	}
	c := min(max(n, 2*len(b.items)), m.maxItems)
	m.charge(c * valSize)
	items := make([]val, len(b.items), c)
	copy(items, b.items)
	b.items = items
}

// value evaluates one step, which is no sort, on one item.
func (s *step) value(m *machine, f *frame, in val) val {
	if s.run != nil {
		return s.run(m, f, in)
	}
	if in.x == nil && in.v.IsObject() {
		return val{v: in.v.Get(s.name)}
	}
	m.leaf()
	return collapse(m.lookup(in, s.name))
}

// eval is value with the step's filters.
func (s *step) eval(m *machine, f *frame, in val) val {
	r := s.value(m, f, in)
	for i := range s.filters {
		r = s.filters[i].apply(m, f, r)
	}
	return r
}

// run evaluates a path that is no stream of tuples.
func (p *path) run(m *machine, f *frame, in val) val {
	m.enter()
	cur, many := p.walk(m, f, in, len(p.steps), true)
	if p.keepOne || p.keep {
		cur, many = p.kept(cur, many)
	}
	if p.group != nil {
		if !many && cur.isArray() {
			cur = oneItem(cur)
		}
		cur = p.group.apply(m, f, cur)
		many = false
	}
	m.depth--
	if many && cur.x != nil && cur.x.seq {
		return collapse(cur)
	}
	return cur
}

// oneItem is the sequence of one item.
func oneItem(a val) val {
	return val{x: &box{kind: boxList, seq: true, items: []val{a}}}
}

// walk takes the context through the first n steps; whole says that the last of
// them is the last of the path. cur is the sequence that goes from step to step:
// the items of an array if many is set, else one item.
func (p *path) walk(m *machine, f *frame, in val, n int, whole bool) (cur val, many bool) {
	cur, many = in, !p.variable && in.isArray()
	for i := range n {
		s := &p.steps[i]
		switch {
		case i == 0 && s.cons:
			if !many {
				cur = oneItem(cur)
			}
			cur, many = s.run(m, f, cur), true
			if !cur.isArray() && !cur.undefined() && len(p.steps) > 1 && p.steps[1].sort != nil {
				many = false // sorting leaves alone what is no array
				break
			}
			cur = m.listed(cur)
		case s.sort != nil:
			switch {
			case !many:
				cur = oneItem(cur)
			case cur.length() == 1 && (!cur.isSequence() || cur.x.keep) && !(i == 1 && p.steps[0].cons):
				cur = oneItem(cur.at(0))
			}
			cur, many = s.sort.apply(m, f, cur), true
			for j := range s.filters {
				cur = s.filters[j].apply(m, f, cur)
				many = cur.isArray()
			}
		default:
			cur, many = p.step(s, m, f, cur, many, whole && i == n-1)
		}
		if many && cur.length() == 0 {
			break
		}
	}
	return cur, many
}

// listed is the sequence that the reference sees in what an array constructor
// with filters came to: the characters of a string, nothing of other scalars.
func (m *machine) listed(a val) val {
	if a.isArray() {
		return a
	}
	if !a.isString() {
		return none
	}
	out := newSequence()
	for _, u := range units(a.v.Str()) {
		m.push(out, str(m.fromUnits([]rune{u})))
	}
	return val{x: out}
}

// kept makes a result stay an array.
func (p *path) kept(cur val, many bool) (val, bool) {
	if !many || p.keepOne && cur.x != nil && cur.x.cons && !cur.x.seq {
		return val{x: &box{kind: boxList, seq: true, keep: true, items: []val{cur}}}, true
	}
	return keepOne(cur), true
}

// step takes the sequence through one step.
func (p *path) step(s *step, m *machine, f *frame, cur val, many, last bool) (val, bool) {
	if !many {
		return p.one(s, m, s.eval(m, f, cur), last)
	}
	var first val
	var out *box
	seen, n := 0, cur.length()
	m.spend(n)
	for i := range n {
		var it val
		if cur.x == nil {
			it.v = cur.v.At(i)
		} else {
			it = cur.x.at(i)
		}
		r := s.eval(m, f, it)
		if r.undefined() {
			continue
		}
		switch seen++; seen {
		case 1:
			first = r
			continue
		case 2:
			out = newSequence()
			m.reserve(out, min(n-i+2, 1<<10))
			m.spread(out, first)
		}
		if r.isArray() {
			m.spread(out, r)
		} else {
			m.push(out, r)
		}
	}
	switch seen {
	case 0:
		return none, true
	case 1:
		return p.one(s, m, first, last)
	}
	return val{x: out}, true
}

// one makes a sequence of the only result of a step.
func (p *path) one(s *step, m *machine, r val, last bool) (val, bool) {
	switch {
	case r.undefined():
		return none, true
	case !r.isArray():
		return r, false
	case r.x != nil && r.x.seq:
		if last && (r.x.keep || p.keepOne || p.keep) {
			out := newSequence()
			m.spread(out, r)
			r = val{x: out}
		}
		return r, true
	case last:
		return r, true
	case r.x != nil && r.x.cons:
		return r, false
	case r.length() == 0:
		return none, true
	}
	return r, true
}
