package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"

	"tokaido/asl"
	"tokaido/value"
)

// snapshotVersion is the first byte of a snapshot.
const snapshotVersion = 2

// maxSpan is how far the ids of the threads in a snapshot may be apart: the
// size of the table that finds them.
const maxSpan = 1 << 22

// AppendSnapshot appends what the execution is to b, so that a driver need not
// replay a long history to go on. It holds nothing that the events do not say:
// losing one costs time only, and a new version of the engine may refuse it.
func (x *Execution) AppendSnapshot(b []byte) []byte {
	b = append(b, snapshotVersion, byte(x.status))
	for _, n := range []int64{x.seq, x.id, x.last, x.started, x.deadline, x.redrives, x.redriven} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = appendMaybe(b, x.input)
	b = appendMaybe(b, x.output)
	b = appendPtr(b, x.err)
	b = appendPtr(b, x.cause)
	b = binary.AppendUvarint(b, uint64(x.nextThread()))
	b = binary.AppendUvarint(b, uint64(x.live.n))
	for th := x.live.head; th != nil; th = th.next {
		b = th.append(b)
	}
	for _, q := range []*queue{&x.ready, &x.starting} {
		n := 0
		for th := q.head; th != nil; th = th.qnext {
			n++
		}
		b = binary.AppendUvarint(b, uint64(n))
		for th := q.head; th != nil; th = th.qnext {
			b = binary.AppendUvarint(b, uint64(th.id))
		}
	}
	return b
}

// appendMaybe writes a value that may be Undefined: an empty text.
func appendMaybe(b []byte, v value.Value) []byte {
	if v.IsUndefined() {
		return append(b, 0)
	}
	return appendValue(b, v)
}

func appendPtr(b []byte, s *string) []byte {
	if s == nil {
		return append(b, 0)
	}
	return appendText(append(b, 1), *s)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (th *thread) append(b []byte) []byte {
	parent := int32(0)
	if th.parent != nil {
		parent = th.parent.id
	}
	b = append(b, byte(th.phase))
	for _, n := range []int64{int64(th.id), int64(parent), int64(th.index), th.entered, th.before, th.enteredAt, th.cursor,
		int64(th.retried), th.timer, th.due} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	if th.state == nil {
		b = appendText(b, "")
	} else {
		b = appendText(b, th.state.Name)
	}
	b = appendMaybe(b, th.input)
	b = binary.AppendUvarint(b, uint64(len(th.retries)))
	for _, n := range th.retries {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(th.vars)))
	for _, v := range th.vars {
		b = appendValue(appendText(b, v.name), v.v)
	}
	t := &th.task
	b = binary.AppendUvarint(b, uint64(t.id))
	if t.id != 0 {
		b = appendDetail(appendMaybe(b, t.args), t.more)
		b = binary.AppendUvarint(b, uint64(t.due))
		b = binary.AppendUvarint(b, uint64(t.beat))
		b = appendBool(appendBool(b, t.started), t.submitted)
		b = appendMaybe(b, t.job)
	}
	c := th.comp
	if b = appendBool(b, c != nil); c == nil {
		return b
	}
	b = appendMaybe(b, c.items)
	for _, n := range []int64{c.started, int64(c.next), int64(c.live), int64(c.done), int64(len(c.results))} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, v := range c.results {
		b = appendMaybe(b, v)
	}
	if b = appendBool(b, c.run != nil); c.run != nil {
		b = c.run.append(b)
	}
	return b
}

func (r *mapRun) append(b []byte) []byte {
	for _, n := range []int64{r.id, r.event, r.started, int64(r.next), int64(r.from), r.redrives, r.failed} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = appendSettings(appendText(b, r.arn), &r.set)
	for _, v := range []bool{r.large, r.over, r.anew, r.revived} {
		b = appendBool(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(r.kids)))
	for i := range r.kids {
		k := &r.kids[i]
		b = binary.AppendUvarint(append(b, byte(k.state)), uint64(k.items))
		b = binary.AppendUvarint(b, uint64(k.attempt))
		b = appendMaybe(b, k.result)
	}
	return b
}

// mapRun reads what append wrote, for n items; what the kids say is mostly counted anew.
func (d *decoder) mapRun(n int) (*mapRun, error) {
	r := &mapRun{}
	var next, from int64
	for _, p := range []*int64{&r.id, &r.event, &r.started, &next, &from, &r.redrives, &r.failed} {
		*p = d.int(math.MaxInt64)
	}
	r.arn = d.text()
	r.set = *d.settings()
	for _, p := range []*bool{&r.large, &r.over, &r.anew, &r.revived} {
		*p = d.byte() == 1
	}
	for kids := d.int(int64(len(d.b))); kids > 0 && d.err == nil; kids-- {
		k := kid{state: kidState(d.byte()), first: int32(r.next), items: int32(d.int(math.MaxInt32)), attempt: int32(d.int(math.MaxInt32))}
		if k.result = d.maybe(); k.state > kidAgain || k.items == 0 || int(k.items) > n-r.next {
			return nil, errSnapshot
		}
		if k.state == kidSucceeded && k.result.IsUndefined() != r.large {
			return nil, errSnapshot
		}
		switch k.state {
		case kidRuns:
			r.running++
		case kidAgain:
			r.again++
		case kidSucceeded:
			if !r.large {
				r.bytes += atLeast(k.result)
			}
		}
		r.next += int(k.items)
		r.kids = append(r.kids, k)
	}
	if d.err != nil {
		return nil, d.err
	}
	if r.id == 0 || int64(r.next) != next || from > int64(len(r.kids)) || (r.over || r.revived) && r.running+r.again > 0 {
		return nil, errSnapshot
	}
	r.from = int(from)
	for i := range r.from {
		if r.kids[i].state == kidAgain {
			return nil, errSnapshot
		}
	}
	return r, nil
}

// errSnapshot says that a snapshot is not one of an execution of the program.
var errSnapshot = errors.New("engine: impossible snapshot")

// Restore is Replay from a snapshot: events are those after it. An error means
// that the snapshot is of no use; the whole history still is.
func Restore(cfg Config, snapshot []byte, events iter.Seq2[Event, error]) (*Execution, error) {
	x, err := decodeSnapshot(cfg, snapshot)
	if err != nil {
		return nil, err
	}
	for e, err := range events {
		if err != nil {
			return nil, err
		}
		if err := x.apply(&e); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func decodeSnapshot(cfg Config, snapshot []byte) (*Execution, error) {
	d := decoder{b: snapshot}
	if v := d.byte(); d.err == nil && v != snapshotVersion {
		return nil, fmt.Errorf("engine: snapshot of version %d", v)
	}
	x := New(cfg)
	x.status = Status(d.byte())
	for _, n := range []*int64{&x.seq, &x.id, &x.last, &x.started, &x.deadline, &x.redrives, &x.redriven} {
		*n = d.int(math.MaxInt64)
	}
	x.input, x.output = d.maybe(), d.maybe()
	x.err, x.cause = d.ptr(), d.ptr()
	next, n := d.int(math.MaxInt32), d.int(maxSpan)
	if d.err != nil {
		return nil, d.err
	}
	if x.status > PendingRedrive || x.seq < x.id || next == 0 || n > int64(len(d.b)) || n == 0 && x.status == Running {
		return nil, errSnapshot
	}
	x.threads, x.live = nil, list{}
	if n == 0 {
		x.base = int32(next) + 1
	}
	for range n {
		if err := x.decodeThread(&d, int32(next)); err != nil {
			return nil, err
		}
	}
	for x.threads != nil && x.nextThread() < int32(next) { // those that have ended since the last one here began
		if len(x.threads) == 1 {
			x.base = int32(next)
			break
		}
		if len(x.threads) > maxSpan {
			return nil, errSnapshot
		}
		x.threads = append(x.threads, nil)
	}
	for i, q := range []*queue{&x.ready, &x.starting} {
		for n := d.int(maxSpan); n > 0 && d.err == nil; n-- {
			th := x.thread(int32(d.int(math.MaxInt32)))
			if th == nil || th.q != nil || (th.phase == scheduled) != (i == 1) || i == 0 && th.phase != arriving && th.phase != entered && th.phase != mapping {
				return nil, errSnapshot
			}
			q.push(th)
		}
	}
	if d.err != nil || len(d.b) != 0 {
		return nil, errors.Join(d.err, errSnapshot)
	}
	return x, nil
}

func (d *decoder) maybe() value.Value {
	s := d.text()
	if d.err != nil || s == "" {
		return value.Value{}
	}
	v, err := value.ParseString(s)
	if err != nil {
		d.err = fmt.Errorf("engine: document of a snapshot: %w", err)
	}
	return v
}

func (d *decoder) ptr() *string {
	if d.byte() == 0 {
		return nil
	}
	return d.textPtr()
}

// decodeThread reads the next thread: they come in the order of their ids.
func (x *Execution) decodeThread(d *decoder, next int32) error {
	th := &thread{phase: phase(d.byte())}
	id, parent, index := int32(d.int(math.MaxInt32)), int32(d.int(math.MaxInt32)), int32(d.int(math.MaxInt32))
	th.id, th.index = id, index
	for _, n := range []*int64{&th.entered, &th.before, &th.enteredAt, &th.cursor} {
		*n = d.int(math.MaxInt64)
	}
	th.retried = int(d.int(math.MaxInt32))
	th.timer, th.due = d.int(math.MaxInt64), d.int(math.MaxInt64)
	if name := d.text(); name != "" {
		if th.state = x.cfg.Program.State(name); th.state == nil {
			return errSnapshot
		}
	}
	th.input = d.maybe()
	for n := d.int(int64(len(d.b))); n > 0 && d.err == nil; n-- {
		th.retries = append(th.retries, int32(d.int(math.MaxInt32)))
	}
	for n := d.int(int64(len(d.b))); n > 0 && d.err == nil; n-- {
		name := d.text()
		th.vars = append(th.vars, variable{name, d.value()})
	}
	if t := &th.task; d.err == nil {
		if t.id = d.int(math.MaxInt64); t.id != 0 {
			t.args, t.more = d.maybe(), d.detail()
			t.due, t.beat = d.int(math.MaxInt64), d.int(math.MaxInt64)
			t.started, t.submitted = d.byte() == 1, d.byte() == 1
			t.job = d.maybe()
		}
	}
	if d.byte() == 1 {
		c := &composite{items: d.maybe(), started: d.int(math.MaxInt64)}
		c.next, c.live, c.done = int(d.int(math.MaxInt32)), int(d.int(math.MaxInt32)), int(d.int(math.MaxInt32))
		for n := d.int(int64(len(d.b))); n > 0 && d.err == nil; n-- {
			c.results = append(c.results, d.maybe())
		}
		if d.byte() == 1 && d.err == nil {
			var err error
			if c.run, err = d.mapRun(c.items.Len()); err != nil {
				return err
			}
		}
		th.comp = c
	}
	if d.err != nil {
		return d.err
	}
	if id >= next || !x.fits(th, parent) || !th.possible() {
		return errSnapshot
	}
	if id == 0 {
		x.threads = append(make([]*thread, 0, 8), th)
	} else {
		if len(x.threads) == 1 {
			x.base = id
		}
		if int(id-x.base) > maxSpan {
			return errSnapshot
		}
		for x.nextThread() < id {
			x.threads = append(x.threads, nil)
		}
		x.threads = append(x.threads, th)
	}
	x.live.push(th)
	return nil
}

// fits reports whether th can come next, inside of the thread with the id parent.
func (x *Execution) fits(th *thread, parent int32) bool {
	if th.id == 0 {
		return x.threads == nil && parent == 0 && th.index == 0
	}
	if x.threads == nil || th.id <= x.live.tail.id {
		return false
	}
	p := x.thread(parent)
	if p == nil || p.comp == nil || int(th.index) >= len(p.comp.results) {
		return false
	}
	th.parent = p
	return true
}

// possible reports whether th's parts go together.
func (th *thread) possible() bool {
	st := th.state
	switch th.phase {
	case between, arriving:
		if th.comp != nil && th.phase == arriving {
			return false
		}
	case entered, backoff:
		if st == nil || th.comp != nil {
			return false
		}
	case waiting:
		if st == nil || st.Type != asl.Wait {
			return false
		}
	case scheduled, active:
		if st == nil || st.Type != asl.Task || th.task.id == 0 {
			return false
		}
	case children:
		if th.comp == nil {
			return false
		}
	case mapping:
		if th.comp == nil || th.comp.run == nil {
			return false
		}
	default:
		return false
	}
	if st != nil && len(th.retries) != 0 && len(th.retries) != len(st.Retry) {
		return false
	}
	c := th.comp
	if c == nil {
		return true
	}
	if st == nil || c.next > len(c.results) || c.live > len(c.results) || c.done > len(c.results) {
		return false
	}
	switch st.Type {
	case asl.Parallel:
		return len(c.results) == len(st.Branches)
	case asl.Map:
		if st.Map.Distributed {
			return len(c.results) == 0 && c.live == 0
		}
		return len(c.results) == c.items.Len() && c.run == nil
	}
	return false
}
