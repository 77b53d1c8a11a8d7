package jsonata

import (
	"math"
	"strings"
	"sync"
	"unicode/utf8"

	"tokaido/value"
)

// machine is one evaluation.
type machine struct {
	fuel   int // steps until somebody looks at the rest and at the time
	depth  int
	memory int // bytes left

	maxDepth int
	maxItems int
	maxBytes int
	steps    int // left after fuel

	env       *Env
	functions map[string]val
	states    bool
	parts     int  // containers of documents in the result so far
	lone      bool // there may be lone surrogates
	globals   []global
	calls     []site // calls that an error passes through on its way out

	stack []val // arguments, and frames that nothing keeps
	sp    int
	high  int // how far the stack has been used, for wiping
	free  []*frame

	// A call in tail position leaves what is to be called here and returns
	// tailMark; the loop in apply goes on with it.
	tailFn   *function
	tailArgs []val
	tailSite site
	evalAt   *frame // where $eval was called
}

// site is a call: its position, and the name it used.
type site struct {
	pos   int
	name  string
	force bool // replaces a token that is there already
	weak  bool // sets nothing that is set already: the call itself has returned
}

// global is a variable that no frame binds, once it has been looked up.
type global struct {
	known bool
	val   val
}

// frame holds the variables of a block, a function's call or a tuple.
type frame struct {
	parent *frame
	scope  *scope
	slots  []val
	at     val // a tuple's item
	own    [3]val
}

var (
	unboundBox = &box{kind: boxList}
	tailBox    = &box{kind: boxList}

	unbound  = val{x: unboundBox} // a variable of the scope that has no value yet
	tailMark = val{x: tailBox}
)

// fuelSize is how many steps pass between two looks at the time.
const fuelSize = 4096

// enter counts one node that is evaluated inside of another.
func (m *machine) enter() {
	m.fuel--
	m.depth++
	if m.fuel < 0 || m.depth > m.maxDepth {
		m.check()
	}
}

func (m *machine) check() {
	if m.depth > m.maxDepth {
		panic(m.limit(LimitDepth))
	}
	m.spend(0)
}

// leaf is enter for a node that has none below it.
func (m *machine) leaf() {
	if m.depth >= m.maxDepth {
		panic(m.limit(LimitDepth))
	}
}

// spend takes n steps.
func (m *machine) spend(n int) {
	if m.fuel -= n; m.fuel >= 0 {
		return
	}
	if m.steps += m.fuel; m.steps < 0 {
		panic(m.limit(LimitTime))
	}
	m.fuel = min(fuelSize, m.steps)
	m.steps -= m.fuel
	if m.env.Expired != nil && m.env.Expired() {
		panic(m.limit(LimitTime))
	}
}

// work takes steps for going through a string.
func (m *machine) work(s string) {
	if len(s) >= 64 {
		m.spend(len(s) >> 6)
	}
}

// limit makes the error for a limit that was met.
func (m *machine) limit(l Limit) *Error {
	e := &Error{Limit: l}
	switch l {
	case LimitDepth:
		e.Message = "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive."
	case LimitTime:
		e.Message = "Expression evaluation timeout: Check for infinite loop"
	default:
		e.Message = "Expression evaluation memory limit exceeded: Check for excessive memory usage"
	}
	if !m.states {
		e.Code = "U1001"
	}
	return e
}

// args takes n values from the stack; release gives them back.
func (m *machine) args(n int) []val {
	if m.sp+n > len(m.stack) {
		// The part in use stays with those who use it.
		m.charge((len(m.stack) + n) * valSize)
		m.stack = make([]val, 2*len(m.stack)+n)
		m.sp, m.high = 0, 0
	}
	a := m.stack[m.sp : m.sp+n : m.sp+n]
	m.sp += n
	if m.sp > m.high {
		m.high = m.sp
	}
	return a
}

// mark is a place on the stack to go back to.
type mark struct {
	stack []val
	sp    int
}

func (m *machine) mark() mark { return mark{m.stack, m.sp} }

func (m *machine) release(k mark) {
	m.sp = 0 // the stack was replaced meanwhile, and nobody's values are on the new one
	if len(k.stack) == len(m.stack) {
		m.sp = k.sp
	}
}

// frame makes a frame that may outlive the call.
func (m *machine) frame(sc *scope, parent *frame) *frame {
	f := &frame{parent: parent, scope: sc}
	n := len(sc.names)
	m.charge(200 + n*valSize)
	if n <= len(f.own) {
		f.slots = f.own[:n]
	} else {
		f.slots = make([]val, n)
	}
	for i := range f.slots {
		f.slots[i] = unbound
	}
	return f
}

// brief makes a frame that drop takes back.
func (m *machine) brief(sc *scope, parent *frame) *frame {
	n := len(sc.names)
	if k := len(m.free); k > 0 {
		f := m.free[k-1]
		m.free = m.free[:k-1]
		f.parent, f.scope = parent, sc
		if cap(f.slots) >= n {
			f.slots = f.slots[:n]
		} else {
			f.slots = make([]val, n)
		}
		for i := range f.slots {
			f.slots[i] = unbound
		}
		return f
	}
	return m.frame(sc, parent)
}

func (m *machine) drop(f *frame) {
	f.parent = nil
	m.free = append(m.free, f)
}

var machines = sync.Pool{New: func() any {
	return &machine{stack: make([]val, 64)}
}}

// Eval evaluates the expression. Undefined means that it returned nothing. The
// error is an *Error or [ErrFunction].
func (e *Expr) Eval(env *Env) (out value.Value, err error) {
	if env == nil {
		env = &Env{}
	}
	m := machines.Get().(*machine)
	b := &env.Budget
	d := &budgets[e.dialect]
	m.env = env
	m.states = e.dialect == States
	m.functions = functions[e.dialect]
	m.lone = e.lone
	m.depth, m.sp, m.fuel, m.parts = 0, 0, 0, 0
	m.steps = or(b.Steps, d.Steps)
	m.maxDepth = or(b.Depth, d.Depth)
	m.maxItems = or(b.Items, d.Items)
	m.maxBytes = or(b.Bytes, d.Bytes)
	m.memory = or(b.Memory, d.Memory)
	if n := len(e.globals); n <= cap(m.globals) {
		m.globals = m.globals[:n]
		clear(m.globals)
	} else {
		m.globals = make([]global, n)
	}
	defer func() {
		if r := recover(); r != nil {
			x, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			m.locate(x)
			x.explain()
			out, err = value.Value{}, x
			return // the machine is in an unknown state: it is not kept
		}
	}()
	in := val{v: env.Input}
	if env.Input.IsArray() {
		in = val{x: &box{kind: boxList, seq: true, outer: true, items: []val{in}}}
	}
	r := e.run(m, nil, in)
	if r.x == nil {
		out = r.v
		if m.states || m.lone {
			out, err = m.export(r, 0)
		}
	} else {
		out, err = m.export(r, 0)
	}
	clear(m.stack[:m.high])
	m.high, m.sp = 0, 0
	m.env = nil
	m.calls = m.calls[:0]
	clear(m.globals)
	if m.tailArgs != nil {
		clear(m.tailArgs[:cap(m.tailArgs)])
	}
	m.tailFn = nil
	for _, f := range m.free {
		clear(f.slots[:cap(f.slots)])
	}
	if len(m.stack) <= 1<<14 && len(m.free) <= 1<<10 {
		machines.Put(m)
	}
	return out, err
}

func or(a, b int) int {
	if a > 0 {
		return a
	}
	return b
}

var budgets = [...]Budget{DefaultBudget(Plain), DefaultBudget(States)}

// locate gives an error the position and the token that it takes on its way
// out through the calls.
func (m *machine) locate(e *Error) {
	for i := len(m.calls) - 1; i >= 0; i-- {
		c := &m.calls[i]
		if e.Token == "" || c.force {
			e.Token = c.name
		}
		if c.pos != 0 && (!c.weak || e.Position == 0) {
			e.Position = c.pos
		}
	}
	m.calls = m.calls[:0]
}

// maxExport is how deep a result may nest; a document could not be read back
// if it were deeper.
const maxExport = value.MaxDepth

// export turns a result into a document.
func (m *machine) export(a val, depth int) (value.Value, error) {
	if depth > maxExport {
		return value.Value{}, m.limit(LimitDepth)
	}
	if a.x == nil {
		switch a.v.Kind() {
		case value.KindNumber:
			if m.states {
				switch f := a.v.Float(); {
				case math.IsInf(f, 1):
					return value.String("Infinity"), nil
				case math.IsInf(f, -1):
					return value.String("-Infinity"), nil
				case f != f:
					return value.String("NaN"), nil
				}
			}
		case value.KindString:
			if m.lone && !utf8.ValidString(a.v.Str()) {
				return value.String(wellFormed(a.v.Str())), nil
			}
		}
		return a.v, nil
	}
	switch a.x.kind {
	case boxFunction:
		return value.Value{}, ErrFunction
	case boxList:
		n := a.x.length()
		if a.x.outer && n == 1 {
			return m.export(a.x.at(0), depth)
		}
		m.spend(n)
		m.charge(n * 24)
		out := make([]value.Value, n)
		for i := range n {
			it := a.x.at(i)
			m.printed(it)
			if it.x == nil && !m.states && !m.lone && !it.v.IsUndefined() {
				out[i] = it.v
				continue
			}
			v, err := m.export(it, depth+1)
			if err != nil {
				return v, err
			}
			if v.IsUndefined() {
				v = value.Null()
			}
			out[i] = v
		}
		return value.Array(out...), nil
	}
	out := make([]value.Member, len(a.x.keys))
	m.spend(len(out))
	m.charge(len(out) * 40)
	for i, k := range a.x.keys {
		m.printed(a.x.items[i])
		v, err := m.export(a.x.items[i], depth+1)
		if err != nil {
			return v, err
		}
		if m.lone {
			k = wellFormed(k)
		}
		out[i] = value.Member{Key: k, Value: v}
	}
	return value.Object(out...), nil
}

// freeParts is how many containers of documents a result may hold before their
// texts are counted.
const freeParts = 256

// printed counts the text of a part of a result that is a document, or of one:
// a result that holds the same large part many times is as large as it prints.
func (m *machine) printed(a val) {
	if a.x != nil {
		return
	}
	switch a.v.Kind() {
	case value.KindString:
		m.charge(len(a.v.Str()))
	case value.KindArray, value.KindObject:
		if m.parts++; m.parts > freeParts {
			m.charge(len(a.v.JSON()))
		}
	}
}

// wellFormed replaces what is not UTF-8, each lone surrogate by one U+FFFD.
func wellFormed(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if isLone(s, i) {
			b.WriteRune(utf8.RuneError)
			i += 3
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		b.WriteRune(r)
		i += n
	}
	return b.String()
}
