package jsonata

// A stream of tuples carries, beside each item, the variables that the steps
// of its path have bound to it: @$v, #$i, and the objects that a % means. A
// tuple is a frame, so that the expressions of later steps read them as any
// variable.

// stream evaluates a path from some step of which on there are tuples.
func (p *path) stream(m *machine, f *frame, in val) val {
	m.enter()
	cur, many := p.walk(m, f, in, p.from, false)
	ended := p.from > 0 && many && cur.length() == 0
	if ended && p.group == nil {
		m.depth--
		if p.keepOne || p.keep {
			cur, _ = p.kept(cur, many)
		}
		return collapse(cur)
	}
	var tuples []*frame
	if ended {
		tuples = []*frame{m.frame(p.scope, f)} // nothing counts as one item
	} else {
		tuples = p.tuples(m, f, cur, many)
	}
	m.depth--
	made := val{x: &box{kind: boxList, seq: true, stamp: true, more: &more{tuples: tuples}}}
	if p.group != nil {
		return p.group.applyTuples(m, f, tuples)
	}
	if p.raw {
		return made
	}
	out := newSequence()
	m.reserve(out, len(tuples))
	for _, t := range tuples {
		m.push(out, t.at)
	}
	r := val{x: out}
	if p.keepOne || p.keep {
		return collapse(keepOne(r))
	}
	return collapse(r)
}

// tuples takes a sequence through the steps that make tuples.
func (p *path) tuples(m *machine, f *frame, cur val, many bool) []*frame {
	var list []*frame
	started := false
	for i := p.from; i < len(p.steps); i++ {
		s := &p.steps[i]
		if i == 0 && s.cons {
			all := cur
			if !many {
				all = oneItem(cur)
			}
			made := m.listed(s.run(m, m.ownFrame(s.own, m.frame(p.scope, f)), all))
			if s.focus < 0 { // the reference forgets the array that has a focus
				cur, many = made, true
			}
			continue
		}
		if s.sort != nil {
			if started {
				list = s.sort.tuples(m, f, list)
			} else {
				if !many {
					cur = oneItem(cur)
				}
				sorted := s.sort.apply(m, f, cur)
				list = list[:0:0]
				for j := range sorted.length() {
					t := m.frame(p.scope, f)
					t.at = sorted.at(j)
					if s.index >= 0 {
						t.slots[s.index] = num(float64(j))
					}
					list = append(list, t)
				}
			}
			started = true
			list = s.stages(m, f, list)
			continue
		}
		if !started {
			started = true
			if many {
				for j := range cur.length() {
					t := m.frame(p.scope, f)
					t.at = cur.at(j)
					list = append(list, t)
				}
			} else {
				t := m.frame(p.scope, f)
				t.at = cur
				list = append(list, t)
			}
		}
		var out []*frame
		for _, t := range list {
			r := s.value(m, m.ownFrame(s.own, t), t.at)
			if r.undefined() {
				continue
			}
			stream := r.x != nil && r.x.stamp
			n := 1
			if r.isArray() {
				n = r.length()
			}
			m.spend(n)
			for j := range n {
				nt := m.frame(p.scope, f)
				copy(nt.slots, t.slots)
				nt.at = t.at
				switch {
				case stream:
					from := r.x.more.tuples[j]
					for k, name := range from.scope.names {
						if v := from.slots[k]; v.x != unboundBox {
							nt.slots[p.scope.find(name)] = v
						}
					}
					nt.at = from.at
				default:
					item := r
					if r.isArray() {
						item = r.at(j)
					}
					if s.focus >= 0 {
						nt.slots[s.focus] = item
					} else {
						nt.at = item
					}
					if s.index >= 0 {
						nt.slots[s.index] = num(float64(j))
					}
					if s.ancestor >= 0 {
						nt.slots[s.ancestor] = t.at
					}
				}
				out = append(out, nt)
			}
			if len(out) > m.maxItems {
				m.tooMany()
			}
		}
		list = s.stages(m, f, out)
	}
	return list
}

// ownFrame is the frame for an expression within a tuple: the tuple's, or one
// inside of it if the expression binds variables, which must not reach the tuple.
func (m *machine) ownFrame(own *scope, t *frame) *frame {
	if own == nil || len(own.names) == 0 {
		return t
	}
	return m.frame(own, t)
}

// stages applies the filters of a step, and binds its indices.
func (s *step) stages(m *machine, f *frame, list []*frame) []*frame {
	for i := range s.filters {
		p := &s.filters[i]
		if p.run == nil && p.index >= 0 {
			for j, t := range list {
				t.slots[p.index] = num(float64(j))
			}
			continue
		}
		list = p.tuples(m, f, val{}, list).x.more.tuples
	}
	return list
}

// tuples filters a stream.
func (p *filter) tuples(m *machine, f *frame, in val, list []*frame) val {
	if in.x != nil {
		list = in.x.more.tuples
	}
	made := &box{kind: boxList, seq: true, stamp: true, more: &more{}}
	n := len(list)
	m.spend(n)
	if p.fixed {
		i := p.number
		if i < 0 {
			i += n
		}
		if i >= 0 && i < n {
			made.more.tuples = list[i : i+1 : i+1]
		}
		return val{x: made}
	}
	for i, t := range list {
		var one box
		r := p.run(m, m.ownFrame(p.own, t), t.at)
		p.holds(m, r, i, n, &one, t.at)
		for range one.items {
			made.more.tuples = append(made.more.tuples, t)
		}
	}
	return val{x: made}
}
