package jsonata

import (
	"strconv"

	"tokaido/value"
)

// settle gives the parser's tree its meaning: chains of dots become paths with
// steps, filters and groupings move to the step that they belong to, and every
// % finds the step whose input it is.
func (p *parser) settle(n *node) *node {
	var r *node
	switch n.kind {
	case nBin:
		r = p.settleBinary(n)
	case nUnary:
		r = p.node(node{kind: nUnary, text: n.text, pos: n.pos})
		switch n.text {
		case "[":
			r.list = n.list
			for i, x := range r.list {
				r.list[i] = p.settle(x)
				r.inherit(r.list[i])
			}
		case "{":
			r.pairs = n.pairs
			for i := range r.pairs {
				r.pairs[i][0] = p.settle(r.pairs[i][0])
				r.inherit(r.pairs[i][0])
				r.pairs[i][1] = p.settle(r.pairs[i][1])
				r.inherit(r.pairs[i][1])
			}
		default:
			r.lhs = p.settle(n.lhs)
			if r.lhs.kind == nNum {
				r = r.lhs
				r.num = -r.num
			} else {
				r.inherit(r.lhs)
			}
		}
	case nFunc, nPartial:
		r = p.node(node{kind: n.kind, text: n.text, pos: n.pos, list: n.list})
		for i, x := range r.list {
			r.list[i] = p.settle(x)
			r.inherit(r.list[i])
		}
		r.lhs = p.settle(n.lhs)
	case nLambda:
		r = p.node(node{kind: nLambda, pos: n.pos, list: n.list, sig: n.sig})
		r.rhs = markTail(p.settle(n.rhs))
	case nCond:
		r = p.node(node{kind: nCond, pos: n.pos, twice: n.twice})
		if n.twice == condPlain {
			r.lhs = p.settle(n.lhs)
			r.inherit(r.lhs)
		}
		r.rhs = p.settle(n.rhs)
		r.inherit(r.rhs)
		if n.els != nil {
			r.els = p.settle(n.els)
			r.inherit(r.els)
		}
	case nTransform:
		r = p.node(node{kind: nTransform, pos: n.pos})
		r.lhs = p.settle(n.lhs)
		r.rhs = p.settle(n.rhs)
		if n.els != nil {
			r.els = p.settle(n.els)
		}
	case nBlock:
		r = p.node(node{kind: nBlock, pos: n.pos, list: n.list})
		for i, x := range r.list {
			x = p.settle(x)
			r.list[i] = x
			r.inherit(x)
			if x.cons || x.kind == nPath && x.list[0].cons {
				r.cons = true
			}
		}
	case nName:
		r = p.fresh()
		r.kind, r.pos, r.keepOne = nPath, n.pos, n.keepArray
		r.list = append(p.list(), n)
	case nParent:
		r = p.node(node{kind: nParent, pos: n.pos, slot: &slot{label: "!" + strconv.Itoa(p.slots), level: 1}})
		p.slots++
	case nStr, nNum, nWord, nWild, nDesc, nVar, nRegex:
		r = n
	case nOp:
		switch n.text {
		case "and", "or", "in":
			n.kind = nName
			return p.settle(n)
		}
		r = n
	default:
		panic(fail("S0207", n.pos, n.text))
	}
	if n.keepArray {
		r.keepArray = true
	}
	return r
}

func (p *parser) settleBinary(n *node) *node {
	switch n.text {
	case ".":
		return p.settleDot(n)
	case "[":
		r := p.settle(n.lhs)
		step, stages := r, &r.predicate
		if r.kind == nPath {
			step = r.last()
			stages = &step.stages
		}
		if step.group != nil {
			panic(fail("S0209", n.pos, ""))
		}
		f := p.settle(n.rhs)
		if f.seeking != nil {
			for _, s := range f.seeking {
				if s.level == 1 {
					p.seek(step, s)
				} else {
					s.level--
				}
			}
			step.inherit(f)
		}
		*stages = append(*stages, stage{expr: f})
		return r
	case "{":
		r := p.settle(n.lhs)
		if r.group != nil {
			panic(fail("S0210", n.pos, ""))
		}
		g := p.node(node{kind: nUnary, text: "{", pos: n.pos, pairs: n.pairs})
		for i := range g.pairs {
			g.pairs[i][0] = p.settle(g.pairs[i][0])
			g.pairs[i][1] = p.settle(g.pairs[i][1])
		}
		r.group = g
		return r
	case "^":
		r := p.settle(n.lhs)
		if r.kind != nPath {
			r = p.node(node{kind: nPath, list: []*node{r}})
		}
		s := p.node(node{kind: nSort, pos: n.pos, terms: n.terms})
		for i := range s.terms {
			s.terms[i].expr = p.settle(s.terms[i].expr)
			s.inherit(s.terms[i].expr)
		}
		r.list = append(r.list, s)
		p.ancestry(r)
		return r
	case ":=":
		r := p.node(node{kind: nBind, text: n.text, pos: n.pos})
		r.lhs = p.settle(n.lhs)
		r.rhs = p.settle(n.rhs)
		r.inherit(r.rhs)
		return r
	case "@":
		r := p.settle(n.lhs)
		step := r
		if r.kind == nPath {
			step = r.last()
		}
		if step.stages != nil || step.predicate != nil {
			panic(fail("S0215", n.pos, ""))
		}
		if step.kind == nSort {
			panic(fail("S0216", n.pos, ""))
		}
		if n.keepArray {
			step.keepArray = true
		}
		step.focus = n.rhs.text
		step.tuple = true
		return r
	case "#":
		r := p.settle(n.lhs)
		step := r
		if r.kind == nPath {
			step = r.last()
		} else {
			r = p.node(node{kind: nPath, list: []*node{step}})
			step.stages, step.predicate = step.predicate, nil
		}
		if step.stages == nil {
			step.index = n.rhs.text
		} else {
			step.stages = append(step.stages, stage{index: n.rhs.text})
		}
		step.tuple = true
		return r
	case "~>":
		r := p.node(node{kind: nApply, text: n.text, pos: n.pos})
		r.lhs = p.settle(n.lhs)
		r.rhs = p.settle(n.rhs)
		r.keepArray = r.lhs.keepArray || r.rhs.keepArray
		return r
	}
	r := p.fresh()
	r.kind, r.text, r.pos = nBin, n.text, n.pos
	r.lhs = p.settle(n.lhs)
	r.rhs = p.settle(n.rhs)
	r.inherit(r.lhs)
	r.inherit(r.rhs)
	return r
}

func (n *node) last() *node { return n.list[len(n.list)-1] }

func (p *parser) settleDot(n *node) *node {
	l := p.settle(n.lhs)
	r := l
	if l.kind != nPath {
		r = p.fresh()
		r.kind, r.list = nPath, append(p.list(), l)
		if l.kind == nParent {
			r.seeking = []*slot{l.slot}
		}
	}
	rest := n.rhs
	if rest.kind != nName { // a name would only become a path of itself
		rest = p.settle(rest)
	}
	if rest.kind == nPath {
		r.list = append(r.list, rest.list...)
	} else {
		if rest.predicate != nil {
			rest.stages, rest.predicate = rest.predicate, nil
		}
		r.list = append(r.list, rest)
	}
	for _, s := range r.list[r.checked:] {
		switch s.kind {
		case nNum:
			panic(&Error{Code: "S0213", Position: s.pos, Value: value.Float(s.num)})
		case nWord:
			panic(&Error{Code: "S0213", Position: s.pos, Value: s.word})
		case nStr:
			s.kind = nName
		}
		if s.keepArray {
			r.keepOne = true
		}
	}
	r.checked = len(r.list)
	for _, s := range [...]*node{r.list[0], r.last()} {
		if s.kind == nUnary && s.text == "[" {
			s.cons = true
		}
	}
	p.ancestry(r)
	return r
}

// inherit takes over what the part below is still seeking.
func (n *node) inherit(part *node) {
	if part.seeking == nil && part.kind != nParent {
		return
	}
	n.seeking = append(n.seeking, part.seeking...)
	if part.kind == nParent {
		n.seeking = append(n.seeking, part.slot)
	}
}

// ancestry finds the steps for what the last step of a path is seeking.
func (p *parser) ancestry(path *node) {
	last := path.last()
	slots := last.seeking
	if last.kind == nParent {
		slots = append(slots, last.slot)
	}
	for _, s := range slots {
		i := len(path.list) - 2
		for s.level > 0 {
			if i < 0 {
				path.seeking = append(path.seeking, s)
				break
			}
			step := path.list[i]
			i--
			for i >= 0 && step.focus != "" && path.list[i].focus != "" {
				step = path.list[i]
				i--
			}
			p.seek(step, s)
		}
	}
}

// seek tries a step as the object of a %.
func (p *parser) seek(n *node, s *slot) {
	switch n.kind {
	case nName, nWild:
		if s.level--; s.level == 0 {
			if n.ancestor != nil {
				s.label = n.ancestor.label
			}
			n.ancestor = s
			n.tuple = true
		}
	case nParent:
		s.level++
	case nBlock:
		if len(n.list) > 0 {
			n.tuple = true
			p.seek(n.list[len(n.list)-1], s)
		}
	case nPath:
		n.tuple = true
		i := len(n.list) - 1
		p.seek(n.list[i], s)
		for i--; s.level > 0 && i >= 0; i-- {
			p.seek(n.list[i], s)
		}
	default:
		panic(fail("S0217", n.pos, n.typeName()))
	}
}

// markTail marks the calls whose value is the value of the function: they are
// made after it has returned, so that recursion there needs no stack.
func markTail(n *node) *node {
	switch {
	case n.kind == nFunc && n.predicate == nil:
		n.tail = true
	case n.predicate != nil || n.group != nil:
	case n.kind == nCond:
		// The first branch of ?: and ?? is evaluated as the test before.
		if n.twice == condPlain || n.rhs.kind == nFunc {
			markTail(n.rhs)
		}
		if n.els != nil {
			markTail(n.els)
		}
	case n.kind == nBlock:
		if len(n.list) > 0 {
			markTail(n.list[len(n.list)-1])
		}
	}
	return n
}
