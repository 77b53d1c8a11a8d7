package jsonata

import (
	"math"

	"tokaido/value"
)

// val is a value during evaluation: what a document holds (x is nil), or
// something that an evaluation made. Sequences, arrays and objects that are
// made stay outside of value.Value until the end, because they carry marks
// that decide how they collapse, and may hold functions.
type val struct {
	v value.Value
	x *box
}

type boxKind uint8

const (
	boxList boxKind = iota
	boxObject
	boxFunction
)

// box is a list, an object or a function that an evaluation made.
type box struct {
	kind  boxKind
	seq   bool // a sequence: collapses when it has one item or none
	keep  bool // a sequence that keeps its single item
	outer bool // the wrapper around an input that is an array
	cons  bool // an array that a path does not take apart
	stamp bool // the items are tuples: see tuples

	items []val    // a list's items, an object's values
	keys  []string // an object's names, distinct
	more  *more
}

// more is what few boxes have.
type more struct {
	fn     *function
	tuples []*frame       // the bindings of a tuple stream; at is the item
	lo     float64        // a range that has not been written out
	n      int            // its length
	index  map[string]int // of a large object
}

// kind is the type of a val as the language sees it.
type kind uint8

const (
	kUndefined kind = iota
	kNull
	kBool
	kNumber
	kString
	kArray
	kObject
	kFunction
)

func (a val) kind() kind {
	if a.x != nil {
		switch a.x.kind {
		case boxList:
			return kArray
		case boxObject:
			return kObject
		}
		return kFunction
	}
	return kind(a.v.Kind())
}

func num(f float64) val     { return val{v: value.Float(f)} }
func str(s string) val      { return val{v: value.String(s)} }
func boolean(b bool) val    { return val{v: value.Bool(b)} }
func doc(v value.Value) val { return val{v: v} }

func (a val) undefined() bool { return a.x == nil && a.v.IsUndefined() }
func (a val) isNumber() bool  { return a.x == nil && a.v.IsNumber() }
func (a val) isString() bool  { return a.x == nil && a.v.IsString() }
func (a val) isArray() bool {
	if a.x != nil {
		return a.x.kind == boxList
	}
	return a.v.IsArray()
}
func (a val) isObject() bool {
	if a.x != nil {
		return a.x.kind == boxObject
	}
	return a.v.IsObject()
}
func (a val) fn() *function {
	if a.x != nil && a.x.kind == boxFunction {
		return a.x.more.fn
	}
	return nil
}
func (a val) isSequence() bool { return a.x != nil && a.x.seq }

// length is the number of an array's items or an object's members.
func (a val) length() int {
	if a.x == nil {
		return a.v.Len()
	}
	return a.x.length()
}

func (b *box) length() int {
	if b.more != nil {
		if b.stamp {
			return len(b.more.tuples)
		}
		if b.items == nil {
			return b.more.n
		}
	}
	return len(b.items)
}

// at is item i of an array, which it must have.
func (a val) at(i int) val {
	if a.x == nil {
		return val{v: a.v.At(i)}
	}
	return a.x.at(i)
}

func (b *box) at(i int) val {
	if b.items == nil && b.more != nil {
		if b.stamp {
			return b.more.tuples[i].at
		}
		return num(b.more.lo + float64(i))
	}
	return b.items[i]
}

// get is the member called key of an object.
func (a val) get(key string) val {
	if a.x == nil {
		return val{v: a.v.Get(key)}
	}
	if a.x.kind != boxObject {
		return val{}
	}
	if i := a.x.find(key); i >= 0 {
		return a.x.items[i]
	}
	return val{}
}

// indexed is the number of members from which find uses a map.
const indexed = 16

func (b *box) find(key string) int {
	if len(b.keys) < indexed {
		for i := range b.keys {
			if b.keys[i] == key {
				return i
			}
		}
		return -1
	}
	if b.more == nil {
		b.more = &more{index: make(map[string]int, len(b.keys))}
		for i, k := range b.keys {
			b.more.index[k] = i
		}
	}
	if i, ok := b.more.index[key]; ok {
		return i
	}
	return -1
}

// set gives the object the member key. An Undefined x is kept out.
func (b *box) set(key string, x val) {
	if i := b.find(key); i >= 0 {
		b.items[i] = x
		return
	}
	if b.more != nil {
		b.more.index[key] = len(b.keys)
	}
	b.keys = append(b.keys, key)
	b.items = append(b.items, x)
}

func (b *box) remove(key string) {
	i := b.find(key)
	if i < 0 {
		return
	}
	b.keys = append(b.keys[:i:i], b.keys[i+1:]...)
	b.items = append(b.items[:i:i], b.items[i+1:]...)
	b.more = nil
}

// member is member i of an object.
func (a val) member(i int) (string, val) {
	if a.x == nil {
		m := a.v.Member(i)
		return m.Key, val{v: m.Value}
	}
	return a.x.keys[i], a.x.items[i]
}

func fromFunction(f *function) val {
	return val{x: &box{kind: boxFunction, more: &more{fn: f}}}
}

// array is a plain array that owns items.
func array(items []val) val {
	if items == nil {
		items = []val{}
	}
	return val{x: &box{kind: boxList, items: items}}
}

func newSequence() *box { return &box{kind: boxList, seq: true} }

// push adds an item to a list that the caller has just made.
func (m *machine) push(b *box, x val) {
	if len(b.items) == cap(b.items) {
		m.roomFor(b)
	}
	b.items = append(b.items, x)
}

// roomFor makes the list larger, within the budget.
func (m *machine) roomFor(b *box) {
	n := len(b.items)
	if n >= m.maxItems {
		m.tooMany()
	}
	c := min(max(4, 2*n), m.maxItems)
	m.charge(c * valSize)
	items := make([]val, n, c)
	copy(items, b.items)
	b.items = items
}

const valSize = 32

// charge takes n bytes from the budget of memory.
func (m *machine) charge(n int) {
	if m.memory -= n; m.memory < 0 {
		panic(m.limit(LimitMemory))
	}
}

func (m *machine) tooMany() {
	if m.states {
		panic(m.limit(LimitMemory))
	}
	panic(&Error{Code: "D2015", Value: value.Int(int64(m.maxItems)), Limit: LimitMemory})
}

// slice returns an empty slice with room for n items.
func (m *machine) slice(n int) []val {
	if n > m.maxItems {
		m.tooMany()
	}
	m.charge(n * valSize)
	return make([]val, 0, n)
}

// items returns an array's items; the caller must not change them.
func (m *machine) items(a val) []val {
	if a.x != nil {
		b := a.x
		if b.items == nil && b.more != nil {
			n := b.length()
			if b.stamp {
				out := m.slice(n)
				for i := range n {
					out = append(out, b.at(i))
				}
				return out
			}
			s := m.slice(n)
			for i := range n {
				s = append(s, num(b.more.lo+float64(i)))
			}
			b.items = s
		}
		return b.items
	}
	n := a.v.Len()
	s := m.slice(n)
	for _, x := range a.v.Items() {
		s = append(s, val{v: x})
	}
	return s
}

// collapse is what the language does to every sequence that an expression
// yields: none of nothing, one of one.
func collapse(a val) val {
	if a.x == nil || !a.x.seq || a.x.stamp {
		return a
	}
	switch a.x.length() {
	case 0:
		return val{}
	case 1:
		if !a.x.keep {
			return a.x.at(0)
		}
	}
	return a
}

// appendTo joins two values into an array, as the language's $append does.
// What is joined is a plain array, whatever its parts were.
func (m *machine) appendTo(a, b val) val {
	if a.undefined() {
		return b
	}
	if b.undefined() {
		return a
	}
	n := 2
	if a.isArray() {
		n += a.length() - 1
	}
	if b.isArray() {
		n += b.length() - 1
	}
	s := m.slice(n)
	s = m.extend(s, a)
	return array(m.extend(s, b))
}

// extend appends a, or the items of the array a, to s.
func (m *machine) extend(s []val, a val) []val {
	if !a.isArray() {
		return append(s, a)
	}
	if a.x != nil && a.x.items != nil {
		return append(s, a.x.items...)
	}
	for i := range a.length() {
		s = append(s, a.at(i))
	}
	return s
}

// lookup is the step name applied to a value: a member, or the members of all
// that an array holds.
func (m *machine) lookup(in val, key string) val {
	if in.x == nil {
		switch in.v.Kind() {
		case value.KindObject:
			return val{v: in.v.Get(key)}
		case value.KindArray:
		default:
			return val{}
		}
	} else if in.x.kind != boxList {
		return in.get(key)
	}
	out := newSequence()
	m.lookupAll(out, in, key, 0)
	return val{x: out}
}

func (m *machine) lookupAll(out *box, in val, key string, depth int) {
	if depth > maxExport {
		panic(m.limit(LimitDepth))
	}
	n := in.length()
	m.spend(n)
	for i := range n {
		it := in.at(i)
		if it.isArray() {
			m.lookupAll(out, it, key, depth+1)
			continue
		}
		r := it.get(key)
		switch {
		case r.undefined():
		case r.isArray():
			for j := range r.length() {
				m.push(out, r.at(j))
			}
		default:
			m.push(out, r)
		}
	}
}

// truth is what $boolean makes of a value; nothing counts as false.
func (m *machine) truth(a val) bool {
	if a.x == nil {
		switch a.v.Kind() {
		case value.KindBool:
			return a.v.Bool()
		case value.KindNumber:
			f := a.v.Float()
			return m.finite(f) && f != 0
		case value.KindString:
			return a.v.Str() != ""
		case value.KindObject:
			return a.v.Len() > 0
		case value.KindArray:
		default:
			return false
		}
	} else if a.x.kind != boxList {
		return a.x.kind == boxObject && len(a.x.keys) > 0
	}
	n := a.length()
	m.spend(n)
	for i := range n {
		if m.truth(a.at(i)) {
			if n > 1 {
				// The reference looks at every item, so that an infinite one is
				// an error wherever it stands.
				for j := i + 1; j < n; j++ {
					m.truth(a.at(j))
				}
			}
			return true
		}
	}
	return false
}

// finite reports whether f is a number as the language has them; an infinity is an error.
func (m *machine) finite(f float64) bool {
	if math.IsInf(f, 0) {
		panic(&Error{Code: "D1001", Value: value.Float(f)})
	}
	return f == f
}

// numeric returns the number that a holds.
func (m *machine) numeric(a val) (float64, bool) {
	if a.x != nil || !a.v.IsNumber() {
		return 0, false
	}
	f := a.v.Float()
	return f, m.finite(f)
}

// equal is deep equality. Functions equal themselves.
func (m *machine) equal(a, b val) bool {
	if a.x == nil && b.x == nil {
		switch a.v.Kind() {
		case value.KindString:
			m.work(a.v.Str())
		case value.KindArray, value.KindObject:
			m.spend(8 * a.v.Len())
		}
		return value.Equal(a.v, b.v)
	}
	if a.x != nil && a.x == b.x {
		return true
	}
	k := a.kind()
	if k != b.kind() {
		return false
	}
	switch k {
	case kArray, kObject:
		n := a.length()
		if n != b.length() {
			return false
		}
		m.enter()
		m.spend(n)
		same := true
		for i := 0; i < n && same; i++ {
			if k == kArray {
				same = m.equal(a.at(i), b.at(i))
				continue
			}
			key, x := a.member(i)
			y := b.get(key)
			same = !y.undefined() && m.equal(x, y)
		}
		m.depth--
		return same
	case kFunction:
		return a.x.more.fn == b.x.more.fn
	}
	return false
}

// identical is JavaScript's ===: containers are only themselves.
func identical(a, b val) bool {
	if a.x != nil || b.x != nil {
		if f := a.fn(); f != nil {
			return f == b.fn()
		}
		return a.x == b.x
	}
	switch a.v.Kind() {
	case value.KindArray, value.KindObject:
		return a.v == b.v
	case value.KindNumber:
		return b.v.IsNumber() && a.v.Float() == b.v.Float()
	}
	return value.Equal(a.v, b.v)
}
