package jsonata

import (
	"tokaido/value"
)

// grouping is an object constructor, or the grouping of a sequence: pairs of
// a name and a value, the items with one name together making one value.
type grouping struct {
	pairs []pair
	pos   int
	// simple says that every name is a string that is written there, and no two
	// are the same: one context makes one object.
	simple bool
}

type pair struct {
	key, val       code
	name           string // a key that is written there
	keyOwn, valOwn *scope // for streams of tuples
}

func (c *compiler) grouping(n *node, sc *scope) *grouping {
	g := &grouping{pos: n.pos, simple: true, pairs: make([]pair, len(n.pairs))}
	for i, x := range n.pairs {
		p := &g.pairs[i]
		p.key, p.val = c.node(x[0], sc), c.node(x[1], sc)
		if x[0].kind != nStr || len(x[0].predicate) > 0 || x[0].group != nil || reserved(x[0].text) {
			g.simple = false
			continue
		}
		p.name = x[0].text
	}
	if g.simple && len(g.pairs) < indexed {
		for i := range g.pairs {
			for j := range i {
				if g.pairs[j].name == g.pairs[i].name {
					g.simple = false
				}
			}
		}
	} else if g.simple {
		seen := make(map[string]bool, len(g.pairs))
		for i := range g.pairs {
			if name := g.pairs[i].name; seen[name] {
				g.simple = false
			} else {
				seen[name] = true
			}
		}
	}
	return g
}

// reserved names mark the reference's own objects.
func reserved(name string) bool {
	return name == "_jsonata_lambda" || name == "_jsonata_function"
}

func (c *compiler) tupleGrouping(n *node, inner *scope) *grouping {
	g := &grouping{pos: n.pos, pairs: make([]pair, len(n.pairs))}
	for i, x := range n.pairs {
		p := &g.pairs[i]
		p.keyOwn, p.valOwn = &scope{parent: inner}, &scope{parent: inner}
		p.keyOwn.bindings(x[0])
		p.valOwn.bindings(x[1])
		p.key, p.val = c.node(x[0], p.keyOwn), c.node(x[1], p.valOwn)
	}
	return g
}

// object makes an object of names and values. One of a few scalars is a
// document at once; what holds others is not, so that export counts each as
// often as it will be printed.
func (m *machine) object(keys []string, vals []val) val {
	m.charge(len(keys) * 48)
	plain := len(keys) < indexed // a large object gets its index only if somebody asks
	for i := range vals {
		if vals[i].x != nil {
			plain = false
			break
		}
		switch vals[i].v.Kind() {
		case value.KindArray, value.KindObject:
			plain = false
		case value.KindNumber:
			if m.states { // an infinity has yet to become a text
				f := vals[i].v.Float()
				plain = plain && f-f == 0
			}
		}
	}
	if !plain {
		return val{x: &box{kind: boxObject, keys: keys, items: append(m.slice(len(vals)), vals...)}}
	}
	members := make([]value.Member, len(keys))
	for i := range members {
		members[i] = value.Member{Key: keys[i], Value: vals[i].v}
	}
	return val{v: value.Object(members...)}
}

func (g *grouping) apply(m *machine, f *frame, in val) val {
	if g.simple && !in.isArray() {
		k := m.mark()
		vals := m.args(len(g.pairs))
		keys := make([]string, 0, len(g.pairs))
		for i := range g.pairs {
			p := &g.pairs[i]
			if v := p.val(m, f, in); !v.undefined() {
				vals[len(keys)] = v
				keys = append(keys, p.name)
			}
		}
		r := m.object(keys, vals[:len(keys)])
		m.release(k)
		return r
	}
	type group struct {
		key  string
		pair int
		data val
		list *box // the data once it is an array that grows here
	}
	var groups []group
	var index map[string]int
	n := 1
	if in.isArray() {
		n = max(in.length(), 1) // nothing counts as one item
	}
	m.spend(n)
	for i := range n {
		it := in
		if in.isArray() {
			it = val{}
			if i < in.length() {
				it = in.at(i)
			}
		}
		for j := range g.pairs {
			key, ok := g.key(m, g.pairs[j].key(m, f, it))
			if !ok {
				continue
			}
			at := -1
			if index != nil {
				if k, ok := index[key]; ok {
					at = k
				}
			} else {
				for k := range groups {
					if groups[k].key == key {
						at = k
						break
					}
				}
			}
			if at < 0 {
				m.charge(96 + len(key))
				if len(groups) >= m.maxItems {
					m.tooMany()
				}
				groups = append(groups, group{key: key, pair: j, data: it})
				if index != nil {
					index[key] = len(groups) - 1
				} else if len(groups) == indexed {
					index = make(map[string]int)
					for k := range groups {
						index[groups[k].key] = k
					}
				}
				continue
			}
			e := &groups[at]
			if e.pair != j {
				panic(&Error{Code: "D1009", Position: g.pos, Value: value.String(key)})
			}
			if it.undefined() {
				continue
			}
			if e.data.undefined() {
				e.data = it
				continue
			}
			if e.list == nil {
				e.list = &box{kind: boxList, items: m.extend(m.slice(max(4, e.data.length()+4)), e.data)}
				e.data = val{x: e.list}
			}
			if it.isArray() {
				for k := range it.length() {
					m.push(e.list, it.at(k))
				}
			} else {
				m.push(e.list, it)
			}
		}
	}
	keys := make([]string, 0, len(groups))
	vals := m.slice(len(groups))
	for i := range groups {
		e := &groups[i]
		if v := g.pairs[e.pair].val(m, f, e.data); !v.undefined() {
			keys = append(keys, e.key)
			vals = append(vals, v)
		}
	}
	return m.object(keys, vals)
}

// key checks what a name came out as; ok is false if there is none.
func (g *grouping) key(m *machine, k val) (string, bool) {
	if k.undefined() {
		return "", false
	}
	if !k.isString() {
		panic(&Error{Code: "T1003", Position: g.pos, Value: m.show(k)})
	}
	if s := k.v.Str(); !reserved(s) {
		return s, true
	}
	panic(&Error{Code: "D1013", Position: g.pos, Value: k.v})
}

// applyTuples groups a stream of tuples. What the tuples of one group bind
// becomes arrays, as their items do.
func (g *grouping) applyTuples(m *machine, f *frame, list []*frame) val {
	type group struct {
		key    string
		pair   int
		tuples []*frame
	}
	var groups []group
	index := make(map[string]int)
	for _, t := range list {
		m.spend(1)
		for j := range g.pairs {
			p := &g.pairs[j]
			key, ok := g.key(m, p.key(m, m.ownFrame(p.keyOwn, t), t.at))
			if !ok {
				continue
			}
			at, ok := index[key]
			if !ok {
				m.charge(96 + len(key))
				index[key] = len(groups)
				groups = append(groups, group{key, j, []*frame{t}})
				continue
			}
			if groups[at].pair != j {
				panic(&Error{Code: "D1009", Position: g.pos, Value: value.String(key)})
			}
			groups[at].tuples = append(groups[at].tuples, t)
		}
	}
	keys := make([]string, 0, len(groups))
	vals := m.slice(len(groups))
	for _, e := range groups {
		t := e.tuples[0]
		if len(e.tuples) > 1 {
			t = m.frame(t.scope, t.parent)
			t.at = m.gather(e.tuples, func(x *frame) val { return x.at })
			for i := range t.slots {
				for _, x := range e.tuples {
					if x.slots[i].x != unboundBox {
						t.slots[i] = m.gather(e.tuples, func(x *frame) val {
							if x.slots[i].x == unboundBox {
								return val{}
							}
							return x.slots[i]
						})
						break
					}
				}
			}
		}
		p := &g.pairs[e.pair]
		if v := p.val(m, m.ownFrame(p.valOwn, t), t.at); !v.undefined() {
			keys = append(keys, e.key)
			vals = append(vals, v)
		}
	}
	return m.object(keys, vals)
}

// gather joins what the tuples have, as $append would one by one.
func (m *machine) gather(list []*frame, of func(*frame) val) val {
	var r val
	var out *box
	for _, t := range list {
		x := of(t)
		switch {
		case x.undefined():
		case r.undefined():
			r = x
		default:
			if out == nil {
				out = &box{kind: boxList}
				m.addAll(out, r)
				r = val{x: out}
			}
			m.addAll(out, x)
		}
	}
	return r
}

// addAll adds a value, or all that an array holds.
func (m *machine) addAll(out *box, x val) {
	if !x.isArray() {
		m.push(out, x)
		return
	}
	for i := range x.length() {
		m.push(out, x.at(i))
	}
}
