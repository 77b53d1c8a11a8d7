package jsonata

// references walks a settled tree for what it reads from outside: free
// variables that are no functions, and the input of the expression by any name.
func references(n *node, functions map[string]val) []Ref {
	w := &refWalker{functions: functions}
	top := &refScope{}
	top.names.bindings(n)
	w.walk(n, top, true, false)
	return w.out
}

type refScope struct {
	parent *refScope
	names  scope
}

func (s *refScope) has(name string) bool {
	for ; s != nil; s = s.parent {
		if s.names.find(name) >= 0 {
			return true
		}
	}
	return false
}

type refWalker struct {
	functions map[string]val
	out       []Ref
}

// walk visits n. top says that the context is the input of the expression.
func (w *refWalker) walk(n *node, s *refScope, top, lambda bool) {
	if n == nil {
		return
	}
	switch n.kind {
	case nPath:
		w.path(n, s, top, lambda)
		return
	case nVar:
		w.variable(n, s, top, lambda, nil)
	case nName, nWild, nDesc:
		if top {
			w.out = append(w.out, Ref{Kind: RefField, Name: n.text, Position: n.pos, Lambda: lambda})
		}
	case nBlock:
		in := &refScope{parent: s}
		for _, x := range n.list {
			in.names.bindings(x)
		}
		for _, x := range n.list {
			w.walk(x, in, top, lambda)
		}
	case nLambda:
		in := &refScope{parent: s}
		for _, a := range n.list {
			in.names.add(a.text)
		}
		in.names.bindings(n.rhs)
		w.walk(n.rhs, in, top, true)
	case nTransform:
		w.walk(n.lhs, s, false, lambda)
		w.walk(n.rhs, s, false, lambda)
		w.walk(n.els, s, false, lambda)
	case nBind:
		w.walk(n.rhs, s, top, lambda)
	case nApply:
		w.walk(n.lhs, s, top, lambda)
		w.walk(n.rhs, s, top, lambda)
	default:
		w.walk(n.lhs, s, top, lambda)
		w.walk(n.rhs, s, top, lambda)
		w.walk(n.els, s, top, lambda)
		for _, x := range n.list {
			w.walk(x, s, top, lambda)
		}
		for _, p := range n.pairs {
			w.walk(p[0], s, top, lambda)
			w.walk(p[1], s, top, lambda)
		}
	}
	for _, t := range n.predicate {
		w.walk(t.expr, s, false, lambda)
	}
	w.group(n.group, s, lambda)
}

func (w *refWalker) group(g *node, s *refScope, lambda bool) {
	if g == nil {
		return
	}
	for _, p := range g.pairs {
		w.walk(p[0], s, false, lambda)
		w.walk(p[1], s, false, lambda)
	}
}

func (w *refWalker) path(n *node, s *refScope, top, lambda bool) {
	in := s
	for _, step := range n.list {
		if step.tuple {
			in = &refScope{parent: s}
			in.names.tuples(n)
			break
		}
	}
	for i, step := range n.list {
		at := in
		if in != s {
			at = &refScope{parent: in}
			at.names.bindings(step)
		}
		switch {
		case i == 0 && step.kind == nVar && len(step.predicate) == 0 && len(step.stages) == 0:
			var fields []string
			for _, next := range n.list[1:] {
				if next.kind != nName {
					break
				}
				fields = append(fields, next.text)
				if len(next.stages) > 0 {
					break
				}
			}
			w.variable(step, at, top, lambda, fields)
			w.group(step.group, at, lambda)
		case step.kind == nSort:
			for _, t := range step.terms {
				w.walk(t.expr, at, false, lambda)
			}
		default:
			w.walk(step, at, top && i == 0, lambda)
		}
		for _, t := range step.stages {
			w.walk(t.expr, at, false, lambda)
		}
	}
	w.group(n.group, in, lambda)
}

func (w *refWalker) variable(n *node, s *refScope, top, lambda bool, fields []string) {
	switch {
	case n.text == "":
		if top {
			w.out = append(w.out, Ref{Kind: RefInput, Path: fields, Position: n.pos, Lambda: lambda})
		}
	case n.text == "$":
		w.out = append(w.out, Ref{Kind: RefRoot, Path: fields, Position: n.pos, Lambda: lambda})
	case s.has(n.text):
	default:
		if _, ok := w.functions[n.text]; ok {
			return
		}
		w.out = append(w.out, Ref{Kind: RefVariable, Name: n.text, Path: fields, Position: n.pos, Lambda: lambda})
	}
}
