package jsonata

import (
	"tokaido/value"
)

// change is the compiled transform |pattern|update,delete|.
type change struct {
	pattern, update, del code
	clone                code
	pos, updateAt, delAt int
}

func (c *compiler) transform(n *node, sc *scope) code {
	t := &change{pos: n.pos, updateAt: n.rhs.pos}
	t.pattern = c.node(n.lhs, sc)
	t.update = c.node(n.rhs, sc)
	if n.els != nil {
		t.del, t.delAt = c.node(n.els, sc), n.els.pos
	}
	t.clone = c.variable("clone", sc)
	return func(m *machine, f *frame, in val) val {
		m.leaf()
		m.charge(300)
		return fromFunction(&function{kind: fnChange, arity: 1, sig: transformSignature, change: t, env: f})
	}
}

var transformSignature = mustSignature("<(oa):o>")

// transform changes a copy of its argument. The copy is made of boxes, so that
// what the pattern finds in it can be changed where it is.
func (m *machine) transform(fn *function, args []val) val {
	if len(args) == 0 || args[0].undefined() {
		return val{}
	}
	t := fn.change
	clone := t.clone(m, fn.env, val{})
	cf := clone.fn()
	if cf == nil {
		panic(&Error{Code: "T2013", Position: t.pos})
	}
	var root val
	if cf.kind == fnNative && cf.name == "clone" {
		root = m.clone(args[0], 0)
	} else {
		root = m.clone(m.invoke(cf, args[0]), 0)
	}
	matches := t.pattern(m, fn.env, root)
	if matches.undefined() {
		return root
	}
	n := 1
	if matches.isArray() {
		n = matches.length()
	}
	for i := range n {
		match := matches
		if matches.isArray() {
			match = matches.at(i)
		}
		m.spend(1)
		update := t.update(m, fn.env, match)
		if !update.undefined() {
			if !update.isObject() {
				panic(&Error{Code: "T2011", Position: t.updateAt, Value: m.show(update)})
			}
			if match.x != nil && match.x.kind == boxObject {
				k := update.length()
				m.charge(k * 48)
				for j := range k {
					key, x := update.member(j)
					match.x.set(key, x)
				}
			}
		}
		if t.del == nil {
			continue
		}
		d := t.del(m, fn.env, match)
		if d.undefined() {
			continue
		}
		k := 1
		if d.isArray() {
			k = d.length()
		}
		for j := range k {
			if x := d; d.isArray() {
				x = d.at(j)
				if !x.isString() {
					panic(&Error{Code: "T2012", Position: t.delAt, Value: m.show(d)})
				}
			} else if !x.isString() {
				panic(&Error{Code: "T2012", Position: t.delAt, Value: m.show(d)})
			}
		}
		if match.x == nil || match.x.kind != boxObject {
			continue
		}
		for j := range k {
			x := d
			if d.isArray() {
				x = d.at(j)
			}
			m.spend(len(match.x.keys))
			match.x.remove(x.v.Str())
		}
	}
	return root
}

// clone copies a value as text would: functions become "", and what a sequence
// was marked with is gone.
func (m *machine) clone(a val, depth int) val {
	if depth > maxExport {
		panic(m.limit(LimitDepth))
	}
	switch a.kind() {
	case kArray:
		if a.x != nil && a.x.outer && a.length() > 0 {
			return m.clone(a.at(0), depth+1)
		}
		n := a.length()
		m.spend(n)
		out := m.slice(n)
		for i := range n {
			x := a.at(i)
			if x.undefined() {
				x.v = value.Null()
			}
			out = append(out, m.clone(x, depth+1))
		}
		return array(out)
	case kObject:
		n := a.length()
		m.spend(n)
		m.charge(n * 16)
		out := &box{kind: boxObject, keys: make([]string, n), items: m.slice(n)}
		for i := range n {
			key, x := a.member(i)
			out.keys[i] = key
			out.items = append(out.items, m.clone(x, depth+1))
		}
		return val{x: out}
	case kFunction:
		return str("")
	case kNumber:
		f := a.v.Float()
		if !m.finite(f) {
			return doc(value.Null())
		}
		if g := round15(f); g != f {
			return num(g)
		}
	}
	return a
}
