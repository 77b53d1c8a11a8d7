package jsonata

// scope lists, at compile time, the variables that a frame holds at run time.
// A scope without variables has no frame.
type scope struct {
	parent *scope
	names  []string
	params int // how many of them are always bound, from the first
	index  map[string]int
}

func (s *scope) add(name string) {
	if s.find(name) >= 0 {
		return
	}
	s.names = append(s.names, name)
	if s.index != nil {
		s.index[name] = len(s.names) - 1
	} else if len(s.names) > indexed {
		s.index = make(map[string]int)
		for i, n := range s.names {
			s.index[n] = i
		}
	}
}

func (s *scope) find(name string) int {
	if s.index != nil {
		if i, ok := s.index[name]; ok {
			return i
		}
		return -1
	}
	for i, n := range s.names {
		if n == name {
			return i
		}
	}
	return -1
}

// place is where a variable may be found: so many frames up, in that slot.
type place struct {
	up, slot int
}

// nearest is the first place of a variable, if it is bound as soon as the
// frame is there; else up is -1.
func (s *scope) nearest(name string) (up, slot int) {
	for ; s != nil; s = s.parent {
		if len(s.names) == 0 {
			continue
		}
		if i := s.find(name); i >= 0 {
			if i < s.params {
				return up, i
			}
			return -1, 0
		}
		up++
	}
	return -1, 0
}

// resolve lists the places of a variable, the innermost first.
func (s *scope) resolve(name string) []place {
	var out []place
	up := 0
	for ; s != nil; s = s.parent {
		if len(s.names) == 0 {
			continue
		}
		if i := s.find(name); i >= 0 {
			out = append(out, place{up, i})
			if i < s.params {
				break
			}
		}
		up++
	}
	return out
}

// bindings collects the variables that evaluating n binds in its own frame,
// that is, outside of the blocks, functions and tuples within.
func (s *scope) bindings(n *node) {
	if n == nil {
		return
	}
	switch n.kind {
	case nBind:
		s.add(n.lhs.text)
		s.bindings(n.rhs)
	case nBlock, nLambda:
	case nPath:
		tuple := false
		for _, step := range n.list {
			if tuple = tuple || step.tuple; tuple {
				break
			}
			s.bindings(step)
			for _, t := range step.stages {
				s.bindings(t.expr)
			}
		}
		if !tuple {
			s.bindings(n.group)
		}
	default:
		s.bindings(n.lhs)
		s.bindings(n.rhs)
		s.bindings(n.els)
		for _, x := range n.list {
			s.bindings(x)
		}
		for _, p := range n.pairs {
			s.bindings(p[0])
			s.bindings(p[1])
		}
		for _, t := range n.terms {
			s.bindings(t.expr)
		}
	}
	if n.kind != nPath {
		for _, t := range n.predicate {
			s.bindings(t.expr)
		}
		s.bindings(n.group)
	}
}

// tuples collects the names that the tuples of a path hold, those of the
// streams that its steps yield included.
func (s *scope) tuples(n *node) {
	switch n.kind {
	case nPath:
		on := false
		for _, step := range n.list {
			if on = on || step.tuple; !on {
				continue
			}
			if step.focus != "" {
				s.add(step.focus)
			}
			if step.index != "" {
				s.add(step.index)
			}
			if step.ancestor != nil {
				s.add(step.ancestor.label)
			}
			for _, t := range step.stages {
				if t.expr == nil {
					s.add(t.index)
				}
			}
			s.tuples(step)
		}
	case nBlock:
		for _, x := range n.list {
			s.tuples(x)
		}
	case nCond:
		s.tuples(n.rhs)
		if n.els != nil {
			s.tuples(n.els)
		}
	}
}
