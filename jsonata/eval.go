package jsonata

import (
	"tokaido/value"
)

// evaluate is $eval: its text sees the variables that are bound where it is
// called, and binds its own for itself.
func (m *machine) evaluate(args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	at := m.evalAt
	if !args[1].undefined() {
		in = args[1]
		if in.isArray() && !in.isSequence() {
			in = val{x: &box{kind: boxList, seq: true, outer: true, items: []val{in}}}
		}
	}
	src := args[0].v.Str()
	m.charge(100 * len(src))
	m.spend(10 * len(src))
	sc := &scope{}
	for f, s := at, sc; f != nil; f = f.parent {
		s.parent = &scope{names: f.scope.names, params: f.scope.params}
		s = s.parent
	}
	run := compileEval(src, sc, m)
	own := at
	if len(sc.names) > 0 {
		own = m.frame(sc, at)
	}
	calls := len(m.calls)
	defer func() {
		if r := recover(); r != nil {
			x, ok := r.(*Error)
			if !ok || x.Limit != NoLimit {
				panic(r)
			}
			outer := m.calls[:calls]
			m.calls = m.calls[calls:]
			m.locate(x)
			x.explain()
			m.calls = outer
			panic(&Error{Code: "D3121", Value: value.String(x.Message)})
		}
	}()
	m.enter()
	r := run(m, own, in)
	m.depth--
	return r
}

func compileEval(src string, sc *scope, m *machine) code {
	defer func() {
		if r := recover(); r != nil {
			x, ok := r.(*Error)
			if !ok || x.Limit != NoLimit {
				panic(r)
			}
			x.explain()
			panic(&Error{Code: "D3120", Value: value.String(x.Message)})
		}
	}()
	if len(src) > MaxSource {
		panic(&Error{Code: "D3120", Value: value.String("The expression is too long")})
	}
	n, p := parse(src)
	m.lone = m.lone || p.lex.lone
	sc.bindings(n)
	c := &compiler{dialect: Plain, dynamic: true}
	run := c.node(n, sc)
	p.done()
	return run
}
