package engine

import (
	"tokaido/asl"
	"tokaido/value"
)

// parallel begins a Parallel state's branches: once for each attempt.
func (x *Execution) parallel(th *thread) {
	args, _, fail := x.arguments(th)
	if fail != nil {
		x.failField(th, fail)
		return
	}
	st := th.state
	e := Event{Type: ParallelStateStarted, Thread: th.id, Prev: th.cursor, Index: int32(len(st.Branches))}
	if st.Arguments != nil || st.Parameters != nil || st.InputPath != nil {
		e.Data = args
	}
	if x.tooLarge(args) {
		x.fail(th, parametersTooLarge(st.Name))
		return
	}
	if x.emit(e) && len(st.Branches) == 0 {
		x.completed(th)
	}
}

// mapState begins a Map state's iterations: once for each attempt.
func (x *Execution) mapState(th *thread) {
	st := th.state
	if st.Map.Distributed {
		x.distribute(th)
		return
	}
	items, most, fail := x.items(th)
	if fail != nil {
		x.failField(th, fail)
		return
	}
	n := items.Len()
	e := Event{Type: MapStateStarted, Thread: th.id, Prev: th.cursor, More: &Detail{Length: int64(n)}}
	if !overInput(st) {
		e.Data = items
	}
	if !x.emit(e) {
		return
	}
	if n == 0 {
		x.completed(th)
		return
	}
	slots := n
	for _, limit := range [...]int64{int64(x.cfg.Limits.Iterations), most} {
		if limit > 0 {
			slots = int(min(int64(slots), limit))
		}
	}
	slots = max(1, min(slots, MaxThreads-x.live.n))
	for range slots {
		if !x.iterate(th, th.comp.started) {
			return
		}
	}
}

// overInput reports whether a Map state goes over its input as it is, so that
// the events need not say the items once more.
func overInput(st *asl.State) bool {
	t := st.Map.Items.Template() // Undefined if nothing is declared
	return st.InputPath == nil && (t.IsUndefined() || t.Str() == "$")
}

// items is what a Map state goes over, and how many at a time (0: its own limit).
func (x *Execution) items(th *thread) (items value.Value, most int64, fail *asl.Failure) {
	st := th.state
	eff, fail := x.effective(th)
	if fail != nil {
		return eff, 0, fail
	}
	if most, fail = st.Map.MaxConcurrency.EvalInt(x.see(th, eff)); fail != nil {
		return eff, 0, fail
	}
	items, fail = st.Map.Items.EvalArray(x.see(th, eff))
	return items, most, fail
}

// iterate begins the next iteration of p's Map state, after the event prev.
func (x *Execution) iterate(p *thread, prev int64) bool {
	return x.emit(Event{
		Type: MapIterationStarted, Thread: x.nextThread(), Ref: int64(p.id), Prev: prev, Index: int32(p.comp.next), State: p.state.Name,
	})
}

// itemInput is what iteration i of p's Map state begins with, or what item i is
// for the children of its run.
func (x *Execution) itemInput(p *thread, i int) (value.Value, *asl.Failure) {
	item := p.comp.item(i)
	sel := p.state.Map.ItemSelector
	if sel == nil {
		return item, nil
	}
	eff, fail := x.effective(p)
	if fail != nil {
		return eff, fail
	}
	s := x.see(p, eff)
	x.item = i
	v, fail := sel.Eval(s)
	x.item = -1
	return v, fail
}

// item is item i: of an object, the value of its member i.
func (c *composite) item(i int) value.Value {
	if c.items.IsObject() {
		return c.items.Member(i).Value
	}
	return c.items.At(i)
}

// iterationFailed makes an iteration fail that has no input.
func (x *Execution) iterationFailed(th *thread, fail *asl.Failure) {
	f := x.fieldFailure(th, th.parent, fail)
	x.fail(th, f)
}

// iterationOver ends an iteration that has run through; its place goes to the
// next one.
func (x *Execution) iterationOver(th *thread) {
	p, last := th.parent, th.cursor
	if !x.emit(Event{Type: MapIterationSucceeded, Thread: th.id, Prev: last, Index: th.index, State: p.state.Name}) {
		return
	}
	if p.comp.next < len(p.comp.results) {
		x.iterate(p, last)
	} else if p.comp.done == len(p.comp.results) {
		x.completed(p)
	}
}

// completed ends the work of a Parallel or Map state all of whose parts have
// succeeded.
func (x *Execution) completed(th *thread) {
	result := value.Array(th.comp.results...)
	if x.tooLarge(result) {
		x.fail(th, tooLargeFailure(th.state.Name))
		return
	}
	t := MapStateSucceeded
	if th.state.Type == asl.Parallel {
		t = ParallelStateSucceeded
	}
	if x.emit(Event{Type: t, Thread: th.id, Prev: th.cursor}) {
		x.exit(th, result)
	}
}
