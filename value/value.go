// Package value holds JSON documents the way workflows see them: immutable,
// with the order of members and the digits of numbers kept.
//
// A document that nobody looks into is never taken apart: Parse checks the
// text once and keeps it, a level is split only when something asks for one of
// its members, and printing an untouched part copies its text. Values may be
// shared between goroutines; nothing that the package exports changes one.
//
// The package refuses to guess: text that is not JSON is an error with its
// offset, and a number keeps the digits it came with until it is computed with.
package value

import (
	"iter"
	"math"
	"strconv"
	"sync/atomic"
	"unsafe"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds. Undefined is the zero Value: no value at all, as JSONata and an
// absent member have it; it is not JSON's null.
const (
	KindUndefined Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// String is the name that AWS's messages use for the kind.
func (k Kind) String() string {
	switch k {
	case KindNull:
		return "null"
	case KindBool:
		return "boolean"
	case KindNumber:
		return "number"
	case KindString:
		return "string"
	case KindArray:
		return "array"
	case KindObject:
		return "object"
	default:
		return "undefined"
	}
}

// Value is one JSON value, or none (the zero Value). It is three words, passed
// by value; numbers, booleans and strings need no allocation of their own.
type Value struct {
	p unsafe.Pointer // string: its bytes; number held as text: its digits; array, object: *node
	n uint64         // string, number text: length; number: float64 bits; boolean: 0 or 1
	k Kind
	t bool // number: p and n are its text
}

// Member is one name and value of an object.
type Member struct {
	Key   string
	Value Value
}

// node is an array or an object. A parsed one has text and gets its level when
// it is first looked into; a built one has its level and gets its text when it
// is first printed. Both are published once, so readers need no lock: two that
// race make the same thing twice and one of them is kept.
type node struct {
	text    string // never changes; "" if built
	level   atomic.Pointer[level]
	printed atomic.Pointer[string]
}

// level is what a container holds directly.
type level struct {
	items   []Value  // an array's
	members []Member // an object's, keys distinct
	index   atomic.Pointer[map[string]int]
}

// indexed is the number of members from which Get uses a map.
const indexed = 12

// Null is JSON's null.
func Null() Value { return Value{k: KindNull} }

// Bool is true or false.
func Bool(b bool) Value {
	v := Value{k: KindBool}
	if b {
		v.n = 1
	}
	return v
}

// Float is a number. JSON has no infinities and no NaN; they print as null.
func Float(f float64) Value { return Value{k: KindNumber, n: math.Float64bits(f)} }

// Int is a whole number. One too large for a float64 keeps its digits.
func Int(i int64) Value {
	if i > 1<<53 || i < -1<<53 {
		return numberText(strconv.FormatInt(i, 10))
	}
	return Float(float64(i))
}

// String is a string.
func String(s string) Value {
	return Value{k: KindString, p: unsafe.Pointer(unsafe.StringData(s)), n: uint64(len(s))}
}

func numberText(s string) Value {
	return Value{k: KindNumber, t: true, p: unsafe.Pointer(unsafe.StringData(s)), n: uint64(len(s))}
}

// Array is an array of items. It owns the slice from here on.
func Array(items ...Value) Value {
	n := new(node)
	n.level.Store(&level{items: items})
	return Value{k: KindArray, p: unsafe.Pointer(n)}
}

// Object is an object of members. It owns the slice from here on. Members
// whose value is Undefined are left out; of several with one key the last
// counts, at the place of the first.
func Object(members ...Member) Value {
	n := new(node)
	l := &level{members: members}
	l.settle(true)
	n.level.Store(l)
	return Value{k: KindObject, p: unsafe.Pointer(n)}
}

// settle makes keys distinct and, if drop is set, leaves undefined members out.
func (l *level) settle(drop bool) {
	m := l.members
	if drop {
		keep := m[:0]
		for i := range m {
			if m[i].Value.k != KindUndefined {
				keep = append(keep, m[i])
			}
		}
		m = keep
	}
	if len(m) < indexed {
		for i := 1; i < len(m); i++ {
			for j := range i {
				if m[j].Key == m[i].Key {
					m[j].Value = m[i].Value
					m = append(m[:i], m[i+1:]...)
					i--
					break
				}
			}
		}
		l.members = m
		return
	}
	idx := make(map[string]int, len(m))
	keep := m[:0]
	for i := range m {
		if at, ok := idx[m[i].Key]; ok {
			keep[at].Value = m[i].Value
			continue
		}
		idx[m[i].Key] = len(keep)
		keep = append(keep, m[i])
	}
	l.members = keep
	l.index.Store(&idx)
}

// Kind reports what v is.
func (v Value) Kind() Kind { return v.k }

// IsUndefined reports whether v is no value at all.
func (v Value) IsUndefined() bool { return v.k == KindUndefined }

// IsNull reports whether v is JSON's null.
func (v Value) IsNull() bool { return v.k == KindNull }

// IsArray reports whether v is an array.
func (v Value) IsArray() bool { return v.k == KindArray }

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return v.k == KindObject }

// IsString reports whether v is a string.
func (v Value) IsString() bool { return v.k == KindString }

// IsNumber reports whether v is a number.
func (v Value) IsNumber() bool { return v.k == KindNumber }

// Bool returns the boolean that v holds; false if it holds none.
func (v Value) Bool() bool { return v.k == KindBool && v.n == 1 }

// Str returns the string that v holds; "" if it holds none.
func (v Value) Str() string {
	if v.k != KindString {
		return ""
	}
	return v.bytes()
}

func (v Value) bytes() string { return unsafe.String((*byte)(v.p), int(v.n)) }

// Float returns the number that v holds; 0 if it holds none. A number whose
// text is beyond a float64 is an infinity.
func (v Value) Float() float64 {
	switch {
	case v.k != KindNumber:
		return 0
	case !v.t:
		return math.Float64frombits(v.n)
	}
	s := v.bytes()
	if f, ok := shortFloat(s); ok {
		return f
	}
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// shortFloat reads a number of at most 15 digits and no exponent: it is a
// quotient of two numbers that are exact, and so exact itself.
func shortFloat(s string) (f float64, ok bool) {
	if len(s) > 16 {
		return 0, false
	}
	whole, digits, scale, i := int64(0), 0, -1, 0
	if s[0] == '-' {
		i++
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			whole = whole*10 + int64(c-'0')
			digits++
			if scale >= 0 {
				scale++
			}
		case c == '.':
			scale = 0
		default:
			return 0, false
		}
	}
	if digits > 15 {
		return 0, false
	}
	f = float64(whole)
	if scale > 0 {
		f /= tens[scale]
	}
	if s[0] == '-' {
		f = -f
	}
	return f, true
}

var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// Int returns the whole number that v holds; ok is false if v is not a number,
// has a fraction, or is beyond an int64. 1.0 and 1e3 are whole.
func (v Value) Int() (i int64, ok bool) {
	if v.k != KindNumber {
		return 0, false
	}
	if v.t {
		if i, err := strconv.ParseInt(v.bytes(), 10, 64); err == nil {
			return i, true
		}
	}
	f := v.Float()
	if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// NumberText returns the digits of a number: as they came, or as JavaScript
// prints one that was computed.
func (v Value) NumberText() string {
	switch {
	case v.k != KindNumber:
		return ""
	case v.t:
		return v.bytes()
	}
	return string(appendFloat(nil, math.Float64frombits(v.n)))
}

func (v Value) node() *node { return (*node)(v.p) }

func (v Value) level() *level {
	n := v.node()
	if l := n.level.Load(); l != nil {
		return l
	}
	l := split(n.text)
	n.level.CompareAndSwap(nil, l)
	return l
}

// Len returns the number of an array's items or of an object's members, and 0
// for everything else.
func (v Value) Len() int {
	switch v.k {
	case KindArray:
		return len(v.level().items)
	case KindObject:
		return len(v.level().members)
	}
	return 0
}

// At returns item i of an array; Undefined if v is none or has no such item.
func (v Value) At(i int) Value {
	if v.k != KindArray {
		return Value{}
	}
	if l := v.level(); i >= 0 && i < len(l.items) {
		return l.items[i]
	}
	return Value{}
}

// Get returns the member called key; Undefined if there is none.
func (v Value) Get(key string) Value {
	if v.k != KindObject {
		return Value{}
	}
	l := v.level()
	if i := l.find(key); i >= 0 {
		return l.members[i].Value
	}
	return Value{}
}

// Has reports whether v is an object with a member called key.
func (v Value) Has(key string) bool { return !v.Get(key).IsUndefined() }

// Member returns member i of an object, in the order of the document.
func (v Value) Member(i int) Member { return v.level().members[i] }

func (l *level) find(key string) int {
	if len(l.members) < indexed {
		for i := range l.members {
			if l.members[i].Key == key {
				return i
			}
		}
		return -1
	}
	idx := l.index.Load()
	if idx == nil {
		m := make(map[string]int, len(l.members))
		for i := range l.members {
			m[l.members[i].Key] = i
		}
		idx = &m
		l.index.Store(idx)
	}
	if i, ok := (*idx)[key]; ok {
		return i
	}
	return -1
}

// Items yields an array's items in order; nothing for everything else.
func (v Value) Items() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.k != KindArray {
			return
		}
		for i, x := range v.level().items {
			if !yield(i, x) {
				return
			}
		}
	}
}

// Members yields an object's members in the order of the document; nothing for
// everything else.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.k != KindObject {
			return
		}
		for _, m := range v.level().members {
			if !yield(m.Key, m.Value) {
				return
			}
		}
	}
}

// With returns v with the member key set to x: at its place if it is there,
// else at the end. A v that is no object counts as an empty one; an Undefined x
// takes the member away.
func (v Value) With(key string, x Value) Value {
	if x.k == KindUndefined {
		return v.Without(key)
	}
	var old []Member
	at := -1
	if v.k == KindObject {
		l := v.level()
		old, at = l.members, l.find(key)
	}
	m := make([]Member, len(old), len(old)+1)
	copy(m, old)
	if at >= 0 {
		m[at].Value = x
	} else {
		m = append(m, Member{key, x})
	}
	n := new(node)
	n.level.Store(&level{members: m})
	return Value{k: KindObject, p: unsafe.Pointer(n)}
}

// Without returns v without the member key.
func (v Value) Without(key string) Value {
	if v.k != KindObject {
		return v
	}
	l := v.level()
	at := l.find(key)
	if at < 0 {
		return v
	}
	m := make([]Member, 0, len(l.members)-1)
	m = append(append(m, l.members[:at]...), l.members[at+1:]...)
	n := new(node)
	n.level.Store(&level{members: m})
	return Value{k: KindObject, p: unsafe.Pointer(n)}
}

// WithItem returns the array v with item i, which it must have, set to x.
func (v Value) WithItem(i int, x Value) Value {
	old := v.level().items
	items := make([]Value, len(old))
	copy(items, old)
	items[i] = x
	return Array(items...)
}

// Equal reports whether a and b are the same JSON value: numbers by their
// value, objects whatever the order of their members. Undefined equals only
// Undefined.
func Equal(a, b Value) bool {
	if a.k != b.k {
		return false
	}
	switch a.k {
	case KindBool:
		return a.n == b.n
	case KindNumber:
		if a.t && b.t && a.bytes() == b.bytes() {
			return true
		}
		return a.Float() == b.Float()
	case KindString:
		return a.bytes() == b.bytes()
	case KindArray:
		if a.p == b.p {
			return true
		}
		x, y := a.level().items, b.level().items
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !Equal(x[i], y[i]) {
				return false
			}
		}
	case KindObject:
		if a.p == b.p {
			return true
		}
		x, y := a.level(), b.level()
		if len(x.members) != len(y.members) {
			return false
		}
		for i := range x.members {
			at := i // the same order is the usual case
			if y.members[i].Key != x.members[i].Key {
				if at = y.find(x.members[i].Key); at < 0 {
					return false
				}
			}
			if !Equal(x.members[i].Value, y.members[at].Value) {
				return false
			}
		}
	}
	return true
}
