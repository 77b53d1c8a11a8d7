package jsonata

import (
	"tokaido/value"
)

// sorting is the order-by operator.
type sorting struct {
	terms []term
	pos   int
}

type term struct {
	run  code
	down bool
	own  *scope
}

func (c *compiler) sorting(n *node, sc, inner *scope, tuples bool) *sorting {
	s := &sorting{pos: n.pos}
	for _, t := range n.terms {
		x := term{down: t.down}
		if tuples {
			x.own = &scope{parent: inner}
			x.own.bindings(t.expr)
			x.run = c.node(t.expr, x.own)
		} else {
			x.run = c.node(t.expr, sc)
		}
		s.terms = append(s.terms, x)
	}
	return s
}

// keyed is an item with its sort keys, each computed when it is first needed.
type keyed struct {
	at    int // of the item
	known int // how many keys there are
	keys  [2]val
	rest  []val
}

// order sorts n items by their keys and returns where each comes from.
func (s *sorting) order(m *machine, n int, key func(item, term int) val) []keyed {
	m.charge(n * 120)
	list := make([]keyed, n)
	for i := range list {
		list[i].at = i
	}
	get := func(k *keyed, t int) val {
		if t >= k.known {
			v := key(k.at, t)
			if t < len(k.keys) {
				k.keys[t] = v
			} else {
				k.rest = append(k.rest, v)
			}
			k.known++
		}
		if t < len(k.keys) {
			return k.keys[t]
		}
		return k.rest[t-len(k.keys)]
	}
	mergeSort(m, list, make([]keyed, n), func(a, b *keyed) bool {
		for t := range s.terms {
			x := get(a, t)
			y := get(b, t)
			if d := s.compare(m, x, y); d != 0 {
				// What is missing sorts last either way.
				if s.terms[t].down && !x.undefined() && !y.undefined() {
					d = -d
				}
				return d > 0
			}
		}
		return false
	})
	return list
}

func (s *sorting) compare(m *machine, a, b val) int {
	switch {
	case a.isNumber() && b.isNumber():
		x, y := a.v.Float(), b.v.Float()
		switch {
		case x == y:
			return 0
		case x < y:
			return -1
		}
		return 1
	case a.isString() && b.isString():
		return compareUnits(a.v.Str(), b.v.Str())
	case a.undefined():
		if b.undefined() {
			return 0
		}
		return 1
	case b.undefined():
		return -1
	}
	okA, okB := a.isNumber() || a.isString(), b.isNumber() || b.isString()
	if !okA || !okB {
		x := a
		if okA {
			x = b
		}
		panic(&Error{Code: "T2008", Position: s.pos, Value: m.show(x)})
	}
	panic(&Error{Code: "T2007", Position: s.pos, Value: m.show(a), Value2: m.show(b)})
}

// apply sorts a sequence.
func (s *sorting) apply(m *machine, f *frame, in val) val {
	n := in.length()
	if n <= 1 {
		return in
	}
	order := s.order(m, n, func(i, t int) val { return s.terms[t].run(m, f, in.at(i)) })
	out := m.slice(n)
	for i := range order {
		out = append(out, in.at(order[i].at))
	}
	return array(out)
}

// tuples sorts a stream of tuples.
func (s *sorting) tuples(m *machine, f *frame, list []*frame) []*frame {
	if len(list) <= 1 {
		return list
	}
	order := s.order(m, len(list), func(i, t int) val {
		x := &s.terms[t]
		return x.run(m, m.ownFrame(x.own, list[i]), list[i].at)
	})
	out := make([]*frame, len(list))
	for i := range order {
		out[i] = list[order[i].at]
	}
	return out
}

// mergeSort sorts list with room for as many. after says that a belongs after
// b; it is asked in the order in which the reference asks, because what it is
// asked may fail, or may be no order at all.
func mergeSort[T any](m *machine, list, room []T, after func(a, b *T) bool) {
	if len(list) <= 1 {
		return
	}
	m.spend(len(list))
	mid := len(list) / 2
	mergeSort(m, list[:mid], room[:mid], after)
	mergeSort(m, list[mid:], room[mid:], after)
	copy(room, list)
	l, r := room[:mid], room[mid:]
	for i := range list {
		switch {
		case len(l) == 0:
			list[i], r = r[0], r[1:]
		case len(r) == 0:
			list[i], l = l[0], l[1:]
		case after(&l[0], &r[0]):
			list[i], r = r[0], r[1:]
		default:
			list[i], l = l[0], l[1:]
		}
	}
}

// sortValues is $sort without a comparator.
func (m *machine) sortValues(a val) val {
	n := a.length()
	numbers, strings := true, true
	for i := range n {
		it := a.at(i)
		if numbers {
			if _, ok := m.numeric(it); !ok {
				numbers = false
			}
		}
		strings = strings && it.isString()
	}
	if !numbers && !strings {
		panic(&Error{Code: "D3070", Index: 1})
	}
	out := append(m.slice(n), m.items(a)...)
	room := m.slice(n)[:n]
	if numbers {
		mergeSort(m, out, room, func(a, b *val) bool { return a.v.Float() > b.v.Float() })
	} else {
		mergeSort(m, out, room, func(a, b *val) bool { return compareUnits(a.v.Str(), b.v.Str()) > 0 })
	}
	return array(out)
}

// jsTruth is what JavaScript makes of a value in a condition; the comparator
// of $sort is judged by it.
func jsTruth(a val) bool {
	if a.x != nil {
		return true
	}
	switch a.v.Kind() {
	case value.KindUndefined, value.KindNull:
		return false
	case value.KindBool:
		return a.v.Bool()
	case value.KindNumber:
		f := a.v.Float()
		return f != 0 && f == f
	case value.KindString:
		return a.v.Str() != ""
	}
	return true
}
