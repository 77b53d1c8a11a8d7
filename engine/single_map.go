package engine

import (
	"tokaido/asl"
	"tokaido/value"
)

// AWS's words for a distributed Map of which too many iterations failed.
const (
	thresholdError = "States.ExceedToleratedFailureThreshold"
	thresholdCause = "The specified tolerated failure threshold was exceeded"
)

func (s *Single) mapState() {
	m, see := s.th.state.Map, &s.out.Inspection
	if s.cfg.Mock == nil {
		s.fail(failure{err: new(runtimeError), cause: new("A Map state cannot be tried without a mock."), runtime: true})
		return
	}
	steps := []func() *asl.Failure{
		s.items,
		s.selectItems,
		s.batch,
		func() *asl.Failure {
			n, fail := m.MaxConcurrency.EvalInt(s.x.see(s.th, s.eff))
			if fail == nil {
				see.MaxConcurrency = &n
			}
			return fail
		},
		func() *asl.Failure {
			n, fail := m.ToleratedFailureCount.EvalInt(s.x.see(s.th, s.eff))
			if fail == nil && m.ToleratedFailureCount != nil {
				see.ToleratedFailureCount = &n
			}
			return fail
		},
		func() *asl.Failure {
			n, fail := m.ToleratedFailurePercentage.EvalFloat(s.x.see(s.th, s.eff))
			if fail == nil && m.ToleratedFailurePercentage != nil {
				see.ToleratedFailurePercentage = &n
			}
			return fail
		},
	}
	for _, step := range steps {
		if fail := step(); fail != nil {
			s.failField(fail)
			return
		}
	}
	if s.cfg.Mock.Failure == nil && s.exceeds() {
		s.fail(failure{err: new(thresholdError), cause: new(thresholdCause)})
		return
	}
	s.mocked()
}

// exceeds reports whether more iterations failed than are tolerated. AWS's
// TestState looks at no threshold that is not declared.
func (s *Single) exceeds() bool {
	see, n := &s.out.Inspection, s.cfg.Failures
	if most := see.ToleratedFailureCount; most != nil && n > *most {
		return true
	}
	most := see.ToleratedFailurePercentage
	return most != nil && s.iterations > 0 && 100*float64(n)/float64(s.iterations) > *most
}

// items finds what the Map goes over.
func (s *Single) items() *asl.Failure {
	st, see := s.th.state, &s.out.Inspection
	items := s.cfg.Items
	if r := st.Map.ItemReader; r != nil {
		if _, fail := r.Arguments.Eval(s.x.see(s.th, s.eff)); fail != nil {
			return fail
		}
		most, fail := r.MaxItems.EvalInt(s.x.see(s.th, s.eff))
		if fail != nil {
			return fail
		}
		if items.IsUndefined() {
			return nil
		}
		if r.Config.Has("ItemsPointer") {
			see.AfterItemsPointer = items
		}
		if !items.IsArray() && !items.IsObject() {
			return &asl.Failure{Error: "States.ItemReaderFailed", Cause: "Attempting to map over non-iterable node."}
		}
		items = first(items, most)
	} else {
		var fail *asl.Failure
		if items, fail = st.Map.Items.EvalArray(s.x.see(s.th, s.eff)); fail != nil {
			return fail
		}
		if st.Language == asl.JSONPath {
			see.AfterItemsPath = items
		}
	}
	s.iterations = items.Len()
	s.th.comp = &composite{items: items}
	return nil
}

// first is at most n of the items; all of them if n is 0.
func first(items value.Value, n int64) value.Value {
	if n <= 0 || n >= int64(items.Len()) {
		return items
	}
	if items.IsObject() {
		m := make([]value.Member, n)
		for i := range m {
			m[i] = items.Member(i)
		}
		return value.Object(m...)
	}
	out := make([]value.Value, n)
	for i := range out {
		out[i] = items.At(i)
	}
	return value.Array(out...)
}

// selectItems computes what each iteration begins with.
func (s *Single) selectItems() *asl.Failure {
	sel := s.th.state.Map.ItemSelector
	if sel == nil || s.iterations < 0 {
		return nil
	}
	out := make([]value.Value, s.iterations)
	for i := range out {
		see := s.x.see(s.th, s.eff)
		s.x.item = i
		v, fail := sel.Eval(see)
		s.x.item = -1
		if fail != nil {
			return fail
		}
		out[i] = v
	}
	s.out.Inspection.AfterItemSelector = value.Array(out...)
	return nil
}

// batch computes what ItemBatcher makes of the items.
func (s *Single) batch() *asl.Failure {
	b := s.th.state.Map.Batcher
	if b == nil {
		return nil
	}
	var input value.Value
	var fail *asl.Failure
	if b.Input != nil {
		if input, fail = b.Input.Eval(s.x.see(s.th, s.eff)); fail != nil {
			return fail
		}
	}
	count, fail := b.MaxItems.EvalInt(s.x.see(s.th, s.eff))
	if fail != nil {
		return fail
	}
	bytes, fail := b.MaxBytes.EvalInt(s.x.see(s.th, s.eff))
	if fail != nil || s.iterations < 0 {
		return fail
	}
	item := s.th.comp.item
	if sel := s.out.Inspection.AfterItemSelector; !sel.IsUndefined() {
		item = sel.At
	}
	batches := []value.Value{}
	var group []value.Value
	flush := func() {
		if len(group) > 0 {
			batches = append(batches, value.Object(value.Member{Key: "BatchInput", Value: input}, value.Member{Key: "Items", Value: value.Array(group...)}))
			group = nil
		}
	}
	frame := int64(len(value.Object(value.Member{Key: "BatchInput", Value: input}, value.Member{Key: "Items", Value: value.Array()}).JSON()))
	size := frame
	for i := range s.iterations {
		v := item(i)
		n := int64(len(v.JSON())) + 1 // and a comma
		if count > 0 && int64(len(group)) >= count || bytes > 0 && size+n > bytes {
			flush()
			size = frame
		}
		group = append(group, v)
		size += n
	}
	flush()
	s.out.Inspection.AfterItemBatcher = value.Array(batches...)
	return nil
}
