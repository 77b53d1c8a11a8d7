package jsonata

import (
	"tokaido/value"
)

type fnKind uint8

const (
	fnNative fnKind = iota
	fnLambda
	fnPartial
	fnRegex
	fnNext   // the next of a regular expression's match
	fnChain  // f ~> g
	fnChange // a transform
)

// function is a function as a value.
type function struct {
	kind  fnKind
	arity int // how many arguments it declares: what $map and its like pass
	name  string
	sig   *signature

	impl  func(m *machine, args []val, in val) val
	frame bool // needs to know the variables where it is called

	lambda *lambda
	env    *frame
	input  val

	base  *function // of a partial application, or the first of a chain
	then  *function
	fixed []val // a partial application's arguments, holes where unbound
	holes []int

	re   *regex
	text *subject // what a match's next goes on with
	from int

	change *change
}

// lambda is a compiled function definition.
type lambda struct {
	scope *scope
	slots []int // of the parameters
	body  code
	keeps bool // the frame may outlive the call
}

func (c *compiler) lambda(n *node, outer *scope) code {
	l := &lambda{scope: &scope{parent: outer, names: make([]string, 0, len(n.list)+1)}, slots: make([]int, 0, len(n.list))}
	for _, a := range n.list {
		l.scope.add(a.text)
	}
	l.scope.params = len(l.scope.names)
	for _, a := range n.list {
		l.slots = append(l.slots, l.scope.find(a.text))
	}
	l.scope.bindings(n.rhs)
	l.body = c.node(n.rhs, l.scope)
	l.keeps = closes(n.rhs)
	arity, sig := len(n.list), n.sig
	return func(m *machine, f *frame, in val) val {
		m.leaf()
		m.charge(300)
		return fromFunction(&function{kind: fnLambda, arity: arity, sig: sig, lambda: l, env: f, input: in})
	}
}

// applyInside is apply for a call that stands nowhere in the source.
func (m *machine) applyInside(fn *function, args []val, in val) val {
	m.calls = append(m.calls, site{})
	r := m.apply(fn, args, in)
	m.calls = m.calls[:len(m.calls)-1]
	return r
}

// apply calls a function, and whatever it calls in tail position. The top of
// calls is where this call stands.
func (m *machine) apply(fn *function, args []val, in val) val {
	r := m.once(fn, args, in)
	if r.x != tailBox {
		return r
	}
	k := m.mark()
	m.calls[len(m.calls)-1].weak = true
	for r.x == tailBox {
		m.spend(1)
		m.release(k)
		next := m.tailFn
		args := m.args(len(m.tailArgs))
		copy(args, m.tailArgs)
		m.calls = append(m.calls, m.tailSite)
		if next == nil {
			panic(&Error{Code: "T1006"})
		}
		r = m.once(next, args, in)
		m.calls = m.calls[:len(m.calls)-1]
	}
	m.release(k)
	return r
}

// once calls a function; the result may be tailMark.
func (m *machine) once(fn *function, args []val, in val) val {
	if fn.sig != nil {
		args = fn.sig.validate(m, args, in)
	}
	switch fn.kind {
	case fnNative:
		if fn.frame {
			return m.evaluate(args, in)
		}
		for i := range args {
			if args[i].isString() {
				m.work(args[i].v.Str())
			}
		}
		return fn.impl(m, args, in)
	case fnLambda:
		l := fn.lambda
		if len(l.scope.names) == 0 {
			return l.body(m, fn.env, fn.input)
		}
		var f *frame
		if l.keeps {
			f = m.frame(l.scope, fn.env)
		} else {
			f = m.brief(l.scope, fn.env)
		}
		for i, s := range l.slots {
			if i < len(args) {
				f.slots[s] = args[i]
			} else {
				f.slots[s] = val{}
			}
		}
		r := l.body(m, f, fn.input)
		if !l.keeps {
			m.drop(f)
		}
		return r
	case fnPartial:
		k := m.mark()
		all := m.args(len(fn.fixed))
		copy(all, fn.fixed)
		for i, h := range fn.holes {
			if i < len(args) {
				all[h] = args[i]
			} else {
				all[h] = val{}
			}
		}
		base := fn.base
		if base.kind == fnLambda && base.sig != nil {
			// The reference forgets the signature.
			plain := *base
			plain.sig = nil
			base = &plain
		}
		r := m.applyInside(base, all, val{})
		m.release(k)
		return r
	case fnRegex:
		return m.callRegex(fn, args)
	case fnNext:
		return m.nextMatch(fn)
	case fnChain:
		k := m.mark()
		one := m.args(1)
		if len(args) > 0 {
			one[0] = args[0]
		} else {
			one[0] = val{}
		}
		m.enter()
		one[0] = collapse(m.applyInside(fn.base, one, val{}))
		m.depth--
		// The second is in tail position.
		m.tailFn = fn.then
		m.tailArgs = append(m.tailArgs[:0], one[0])
		m.tailSite = site{}
		m.release(k)
		return tailMark
	}
	return m.transform(fn, args)
}

// procedure is what stands before the parenthesis of a call.
type procedure struct {
	run  code
	name string
	// hint is the variable of the same name, for a name without its $.
	hint code
}

func (c *compiler) procedure(n *node, sc *scope) procedure {
	p := procedure{run: c.node(n, sc)}
	switch n.kind {
	case nPath:
		p.name = n.list[0].text
		p.hint = c.variable(p.name, sc)
	case nVar:
		p.name = n.text
	case nFunc, nPartial:
		p.name = "("
	case nStr:
		p.name = n.text
	case nNum:
		p.name = jsNumber(n.num)
	case nWord:
		p.name = n.word.JSON()
	}
	return p
}

// call compiles a call. With first, the call has that argument before its own.
func (c *compiler) call(n *node, sc *scope, first code) code {
	plain, tail := c.calls(n, sc, first, !n.tail, n.tail)
	if n.tail {
		return tail
	}
	return plain
}

// calls compiles a call to code that makes it (now), and to code that leaves it
// to be made when the function has returned (late).
func (c *compiler) calls(n *node, sc *scope, first code, now, late bool) (plain, tail code) {
	p := c.procedure(n.lhs, sc)
	args := c.nodes(n.list, sc)
	if first != nil {
		args = append([]code{first}, args...)
	}
	at := site{pos: n.pos, name: p.name}
	after := site{pos: n.lhs.pos}
	if n.lhs.kind == nVar {
		after.name = n.lhs.text
	}
	if late {
		tail = func(m *machine, f *frame, in val) val {
			m.enter()
			k := m.mark()
			top := len(m.calls) - 1
			was := m.calls[top].weak
			m.calls[top].weak = true
			vals, fn := m.prepare(&p, args, at, f, in)
			m.calls[top].weak = was
			m.tailArgs = append(m.tailArgs[:0], vals...)
			m.tailFn = fn
			m.tailSite = after
			m.release(k)
			m.depth--
			return tailMark
		}
	}
	if !now {
		return nil, tail
	}
	keep := n.keepArray
	raw := len(n.predicate) > 0 || n.group != nil // collapses after these
	plain = func(m *machine, f *frame, in val) val {
		m.enter()
		k := m.mark()
		vals, fn := m.prepare(&p, args, at, f, in)
		m.calls = append(m.calls, at)
		if fn.kind == fnNative && fn.frame {
			m.evalAt = f
		}
		r := m.apply(fn, vals, in)
		m.calls = m.calls[:len(m.calls)-1]
		m.release(k)
		m.depth--
		if r.x != nil && r.x.seq && !raw {
			if keep {
				keepOne(r)
			}
			return collapse(r)
		}
		return r
	}
	if n.lhs.kind == nVar && n.lhs.text == "sum" && len(n.list) == 1 && first == nil {
		return c.sum(n, sc, p.run, plain), tail
	}
	return plain, tail
}

// sum compiles $sum of a path that ends in a name: the numbers are added where
// they are. Whatever is not that simple goes the ordinary way.
func (c *compiler) sum(n *node, sc *scope, proc, ordinary code) code {
	x := n.list[0]
	if x.kind != nPath || x.group != nil || len(x.list) < 2 {
		return ordinary
	}
	for i, s := range x.list {
		plain := s.kind == nName || i == 0 && s.kind == nVar
		if !plain || s.tuple || s.keepArray || s.stages != nil || s.predicate != nil || s.group != nil {
			return ordinary
		}
	}
	p := c.steps(x, sc)
	key := p.steps[len(p.steps)-1].name
	return func(m *machine, f *frame, in val) val {
		if fn := proc(m, f, in).fn(); fn == nil || fn.kind != fnNative || fn.name != "sum" {
			return ordinary(m, f, in)
		}
		m.enter()
		list, many := p.walk(m, f, in, len(p.steps)-1, false)
		m.depth--
		if !many || list.x != nil {
			return ordinary(m, f, in)
		}
		total, seen := 0.0, false
		m.spend(list.v.Len())
		for _, it := range list.v.Items() {
			v := it.Get(key)
			if !v.IsNumber() {
				if v.IsUndefined() && it.IsObject() {
					continue
				}
				return ordinary(m, f, in)
			}
			total += v.Float()
			seen = true
		}
		if !seen {
			return val{}
		}
		return num(total)
	}
}

// prepare evaluates what is called and its arguments, in this order.
func (m *machine) prepare(p *procedure, args []code, at site, f *frame, in val) ([]val, *function) {
	proc := p.run(m, f, in)
	fn := proc.fn()
	if fn == nil && proc.undefined() && p.hint != nil {
		if h := p.hint(m, f, in); jsTruth(h) {
			panic(&Error{Code: "T1005", Position: at.pos, Token: p.name})
		}
	}
	vals := m.args(len(args))
	for i, a := range args {
		vals[i] = a(m, f, in)
	}
	if fn == nil {
		panic(&Error{Code: "T1006", Position: at.pos, Token: at.name})
	}
	return vals, fn
}

func (c *compiler) partial(n *node, sc *scope) code {
	p := c.procedure(n.lhs, sc)
	var holes []int
	args := make([]code, len(n.list))
	for i, a := range n.list {
		if a.kind == nOp && a.text == "?" {
			holes = append(holes, i)
			continue
		}
		args[i] = c.node(a, sc)
	}
	pos := n.pos
	return func(m *machine, f *frame, in val) val {
		m.enter()
		fixed := m.slice(len(args))
		for _, a := range args {
			if a == nil {
				fixed = append(fixed, val{})
				continue
			}
			fixed = append(fixed, a(m, f, in))
		}
		proc := p.run(m, f, in)
		m.depth--
		fn := proc.fn()
		if fn == nil {
			if proc.undefined() && p.hint != nil && jsTruth(p.hint(m, f, in)) {
				panic(&Error{Code: "T1007", Position: pos, Token: p.name})
			}
			panic(&Error{Code: "T1008", Position: pos, Token: p.name})
		}
		m.charge(300)
		return fromFunction(&function{kind: fnPartial, arity: len(holes), base: fn, fixed: fixed, holes: holes})
	}
}

// chain compiles ~>.
func (c *compiler) chain(n *node, sc *scope) code {
	l := c.node(n.lhs, sc)
	if n.rhs.kind == nFunc {
		call := *n.rhs
		call.keepArray, call.tail = n.keepArray, false
		call.predicate, call.group = nil, nil // the reference does not look at them here
		return c.call(&call, sc, l)
	}
	r, pos := c.node(n.rhs, sc), n.pos
	return func(m *machine, f *frame, in val) val {
		m.enter()
		a := l(m, f, in)
		b := r(m, f, in)
		fn := b.fn()
		if fn == nil {
			panic(&Error{Code: "T2006", Position: pos, Value: m.show(b)})
		}
		if first := a.fn(); first != nil {
			m.depth--
			m.charge(300)
			return fromFunction(&function{kind: fnChain, arity: 1, base: first, then: fn})
		}
		k := m.mark()
		args := m.args(1)
		args[0] = a
		x := m.applyInside(fn, args, val{v: value.Null()})
		m.release(k)
		m.depth--
		return x
	}
}

// invoke calls a function for $map and its like, which pass as many arguments
// as it declares.
func (m *machine) invoke(fn *function, args ...val) val {
	k := m.mark()
	n := min(len(args), max(1, fn.arity))
	a := m.args(n)
	copy(a, args)
	r := m.applyInside(fn, a, val{v: value.Null()})
	m.release(k)
	return r
}
