package journal

// alarm says that execution id may have something to do at a time. Two words,
// because there is one for each execution that waits.
type alarm struct {
	due int64 // milliseconds of the Unix epoch
	id  uint64
}

// timers is a heap of alarms, the earliest first. An alarm that is no longer
// meant stays until it rings, finds nothing to do, and goes; drop counts them,
// and when they are more than half, sweep takes them out.
type timers struct {
	heap  []alarm
	stale map[alarm]int // how many alarms of that kind nobody means any more
	count int           // sum of stale
}

// sweepFrom is the number of stale alarms from which sweeping is considered.
const sweepFrom = 1024

func (t *timers) add(a alarm) {
	if n := t.stale[a]; n > 0 { // one that was meant to go is meant again
		t.forgive(a, n)
		return
	}
	t.heap = append(t.heap, a)
	for i := len(t.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if t.heap[up].due <= t.heap[i].due {
			break
		}
		t.heap[up], t.heap[i] = t.heap[i], t.heap[up]
		i = up
	}
}

func (t *timers) forgive(a alarm, n int) {
	t.count--
	if n == 1 {
		delete(t.stale, a)
	} else {
		t.stale[a] = n - 1
	}
}

// drop says that an alarm that was added is no longer meant.
func (t *timers) drop(a alarm) {
	if t.stale == nil {
		t.stale = map[alarm]int{}
	}
	t.stale[a]++
	t.count++
	if t.count >= sweepFrom && t.count > len(t.heap)/2 {
		t.sweep()
	}
}

func (t *timers) sweep() {
	keep := t.heap[:0]
	for _, a := range t.heap {
		if n := t.stale[a]; n > 0 {
			t.forgive(a, n)
			continue
		}
		keep = append(keep, a)
	}
	t.heap = keep
	clear(t.stale)
	t.count = 0
	for i := len(t.heap)/2 - 1; i >= 0; i-- {
		t.down(i)
	}
}

// next is when the earliest alarm rings.
func (t *timers) next() (due int64, ok bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.heap[0].due, true
}

// pop takes the earliest alarm if it rings at now or before; meant is false for
// one that was dropped.
func (t *timers) pop(now int64) (a alarm, meant, ok bool) {
	if len(t.heap) == 0 || t.heap[0].due > now {
		return alarm{}, false, false
	}
	a = t.heap[0]
	last := len(t.heap) - 1
	t.heap[0] = t.heap[last]
	t.heap = t.heap[:last]
	t.down(0)
	if n := t.stale[a]; n > 0 {
		t.forgive(a, n)
		return a, false, true
	}
	return a, true, true
}

func (t *timers) down(i int) {
	h := t.heap
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].due < h[c].due {
			c++
		}
		if h[i].due <= h[c].due {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
