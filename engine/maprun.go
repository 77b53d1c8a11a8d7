package engine

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"tokaido/asl"
	"tokaido/value"
)

// mapRun is the work of a distributed Map state: executions of its processor,
// each for an item or a batch of items. What they start with is never kept: it
// can be computed again, from the state's input and the run's own seed.
type mapRun struct {
	id       int64 // seq of its MapRunStarted event
	event    int64 // id of the event that it goes on from: MapRunStarted, MapRunRedriven
	arn      string
	started  int64 // milliseconds of the Unix epoch
	set      RunSettings
	kids     []kid // those that were ever started; never two for one item
	next     int   // the first item that no kid has
	again    int   // kids that are to be redriven
	from     int   // no kid before this one is
	running  int
	failed   int64 // items of kids that did not succeed
	bytes    int   // of the results
	large    bool  // the results are too large together, and not kept
	over     bool  // nobody waits for it any more
	anew     bool  // a redrive begins another run
	revived  bool  // a redrive is to be told by MapRunRedriven
	redrives int64
}

// kid is a child of a Map Run.
type kid struct {
	first   int32 // item
	items   int32
	attempt int32
	state   kidState
	result  value.Value
}

type kidState uint8

const (
	kidRuns kidState = iota
	kidSucceeded
	kidFailed
	kidTimedOut
	kidAborted
	kidAgain // is to be redriven
)

// wants reports whether a kid is to be started now, where a run may have so many
// at a time (0: any number).
func (c *composite) wants(most int) bool {
	r := c.run
	room := (most == 0 || r.running < most) && (r.set.MaxConcurrency == 0 || int64(r.running) < r.set.MaxConcurrency)
	return !r.over && (r.revived || room && (r.again > 0 || r.next < c.items.Len()))
}

// finished reports whether every kid has come to its end.
func (c *composite) finished() bool {
	return c.run.running == 0 && c.run.again == 0 && c.run.next == c.items.Len()
}

// exceeds reports whether more has failed than is tolerated. A threshold of 0
// is none if there is another one, as AWS's defaults have it.
func (c *composite) exceeds() bool {
	r := c.run
	switch count, percent := r.set.ToleratedCount, r.set.ToleratedPercentage; {
	case r.failed == 0:
		return false
	case count == 0 && percent == 0:
		return true
	case count > 0 && r.failed > count:
		return true
	default:
		return percent > 0 && 100*float64(r.failed) > percent*float64(c.items.Len())
	}
}

// abandon makes the kids that run count as aborted.
func (r *mapRun) abandon() {
	for i := range r.kids {
		if k := &r.kids[i]; k.state == kidRuns || k.state == kidAgain {
			k.state = kidAborted
		}
	}
	r.running, r.again, r.over, r.revived = 0, 0, true, false
}

// redrive makes the kids that did not succeed run again.
func (r *mapRun) redrive() {
	r.redrives++
	r.over, r.revived, r.failed, r.from, r.again = false, false, 0, 0, 0
	for i := range r.kids {
		if k := &r.kids[i]; k.state != kidSucceeded {
			k.state = kidAgain
			r.again++
		}
	}
}

// distribute begins a distributed Map state's run: once for each attempt.
func (x *Execution) distribute(th *thread) {
	st := th.state
	m := st.Map
	items, most := value.Array(), int64(0)
	var fail *asl.Failure
	if m.ItemReader == nil {
		items, most, fail = x.items(th)
	} else {
		most, fail = x.most(th)
	}
	if fail != nil {
		x.failField(th, fail)
		return
	}
	n := items.Len()
	e := Event{Type: MapStateStarted, Thread: th.id, Prev: th.cursor, More: &Detail{Length: int64(n)}}
	if m.ItemReader != nil || !overInput(st) {
		e.Data = items
	}
	if !x.emit(e) {
		return
	}
	set, fail := x.settings(th)
	if fail != nil {
		x.failField(th, fail)
		return
	}
	set.MaxConcurrency = most
	arn := runARN(x.cfg.MachineARN, Label(st), x.runUUID(x.seq+1, -1))
	if !x.emit(Event{Type: MapRunStarted, Thread: th.id, Ref: x.seq + 1, Prev: th.cursor, State: st.Name,
		More: &Detail{MapRunARN: arn, Length: int64(n), Run: set}}) {
		return
	}
	if f, bad := unsupported(m); bad {
		x.runFailed(th, f)
	} else if n == 0 {
		x.runSucceeded(th)
	}
}

// unsupported is how a run fails that would need what is not there.
func unsupported(m *asl.MapPart) (failure, bool) {
	refuse := func(err, format string, args ...any) (failure, bool) {
		return failure{err: &err, cause: new(fmt.Sprintf(format, args...))}, true
	}
	if r := m.ItemReader; r != nil {
		return refuse("States.ItemReaderFailed", "The ItemReader with the resource '%s' is refused: this server cannot read items from S3.", r.Resource)
	}
	w := m.ResultWriter
	if w == nil {
		return failure{}, false
	}
	if w.Resource != "" {
		return refuse("States.ResultWriterFailed", "The ResultWriter with the resource '%s' is refused: this server cannot write results to S3.", w.Resource)
	}
	if t := w.Config.Get("Transformation").Str(); t != "COMPACT" && t != "FLATTEN" {
		return refuse("States.ResultWriterFailed", "The ResultWriter's Transformation '%s' is refused: without a Resource this server knows COMPACT and FLATTEN.", t)
	}
	if t := w.Config.Get("OutputType").Str(); t != "JSON" {
		return refuse("States.ResultWriterFailed", "The ResultWriter's OutputType '%s' is refused: without a Resource this server knows JSON.", t)
	}
	return failure{}, false
}

// most is how many iterations a Map state runs at a time.
func (x *Execution) most(th *thread) (int64, *asl.Failure) {
	eff, fail := x.effective(th)
	if fail != nil {
		return 0, fail
	}
	return th.state.Map.MaxConcurrency.EvalInt(x.see(th, eff))
}

// settings computes what a run goes by, but for its concurrency.
func (x *Execution) settings(th *thread) (*RunSettings, *asl.Failure) {
	m, set := th.state.Map, new(RunSettings)
	eff, fail := x.effective(th)
	if fail != nil {
		return nil, fail
	}
	if set.ToleratedCount, fail = m.ToleratedFailureCount.EvalInt(x.see(th, eff)); fail != nil {
		return nil, fail
	}
	if set.ToleratedPercentage, fail = m.ToleratedFailurePercentage.EvalFloat(x.see(th, eff)); fail != nil {
		return nil, fail
	}
	b := m.Batcher
	if b == nil {
		return set, nil
	}
	if set.BatchItems, fail = b.MaxItems.EvalInt(x.see(th, eff)); fail != nil {
		return nil, fail
	}
	if set.BatchBytes, fail = b.MaxBytes.EvalInt(x.see(th, eff)); fail != nil {
		return nil, fail
	}
	if set.BatchBytes == 0 {
		set.BatchBytes = asl.MaxBatchBytes
	}
	if b.Input != nil {
		set.BatchInput, fail = b.Input.Eval(x.see(th, eff))
	}
	return set, fail
}

// Label is the label of a distributed Map state, as it stands in ARNs: its own,
// or its name if that can be one.
func Label(st *asl.State) string {
	if l := st.Map.Label; l != "" {
		return l
	}
	bad := func(r rune) bool {
		return r <= 0x20 || r >= 0x7f && r <= 0xa0 || r >= 0xfff0 || strings.ContainsRune("?*<>{}[]\"#%\\^|~`$&,;:/", r)
	}
	if utf8.RuneCountInString(st.Name) <= asl.MaxLabel && !strings.ContainsFunc(st.Name, bad) {
		return st.Name
	}
	h := hash(st.Name)
	return uuidText(mix(h), mix(h+1))
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// runARN is a Map Run's ARN. A child's machine has a label already, which gives
// way.
func runARN(machine, label, id string) string {
	machine, _, _ = strings.Cut(machine, "/")
	return strings.Replace(machine, ":stateMachine:", ":mapRun:", 1) + "/" + label + ":" + id
}

// runUUID is the name of a run (child -1) or of one of its children: the same
// whenever it is asked for. One half is made of the execution's seed and one of
// its ARN, so that no two executions can have the same.
func (x *Execution) runUUID(run int64, child int) string {
	arn := mix(hash(x.cfg.ExecutionARN)+uint64(run)) + uint64(child+2)
	return uuidText(mix(x.runSeed(run, child)), mix(arn))
}

// runSeed is where chance begins for a run or one of its children.
func (x *Execution) runSeed(run int64, child int) uint64 {
	return mix(mix(x.cfg.Seed^mix(uint64(run)))+uint64(child+2)) ^ x.cfg.Seed
}

// uuidText is a random UUID of these bits.
func uuidText(hi, lo uint64) string {
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 1<<63
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

// dispatch starts the next child of th's run that may start.
func (x *Execution) dispatch(th *thread) {
	r := th.comp.run
	switch {
	case r.revived:
		if n := x.cfg.Limits.RunRedrives; n > 0 && r.redrives >= n {
			x.fail(th, failure{err: new(runtimeError), runtime: true, cause: new(x.prefix(th) + fmt.Sprintf(
				"The Map Run '%s' has been redriven %d times, which is the limit.", r.arn, n))})
			return
		}
		if x.emit(Event{Type: MapRunRedriven, Thread: th.id, Ref: r.id, Prev: th.cursor, State: th.state.Name,
			More: &Detail{MapRunARN: r.arn, RedriveCount: r.redrives + 1}}) && th.comp.finished() {
			x.runSucceeded(th)
		}
	case r.again > 0:
		i := r.from
		for r.kids[i].state != kidAgain {
			i++
		}
		x.startChild(th, i, int(r.kids[i].items), value.Value{})
	default:
		input, n, fail := x.batch(th, len(r.kids), r.next, 0)
		if fail != nil {
			x.runFailed(th, x.fieldFailure(th, th, fail))
			return
		}
		if x.tooLarge(input) {
			x.runFailed(th, parametersTooLarge(th.state.Name))
			return
		}
		x.bytes += size(input, asl.MaxBatchBytes)
		x.startChild(th, len(r.kids), n, input)
	}
}

// startChild lets child i run, which processes n items.
func (x *Execution) startChild(th *thread, i, n int, input value.Value) {
	r := th.comp.run
	e := Event{Type: ChildStarted, Thread: th.id, Ref: r.id, Prev: th.cursor, Index: int32(i)}
	if n != 1 {
		e.More = &Detail{Length: int64(n)}
	}
	if x.emit(e) {
		s := x.child(th, i)
		s.Input = input
		x.effect(s)
	}
}

// child asks for child i of th's run.
func (x *Execution) child(th *thread, i int) StartChild {
	r := th.comp.run
	k := &r.kids[i]
	return StartChild{
		Run: r.id, Child: int32(i), Attempt: k.attempt, State: th.state.Name, MapRunARN: r.arn, Label: Label(th.state),
		Name: x.runUUID(r.id, i), Items: int64(k.items),
	}
}

// ChildInput is what a child of a Map Run starts with; ok is false if nobody
// waits for the run any more.
func (x *Execution) ChildInput(run int64, child int32) (input value.Value, ok bool) {
	th := x.runThread(run)
	if th == nil || int(child) >= len(th.comp.run.kids) {
		return value.Value{}, false
	}
	k := &th.comp.run.kids[child]
	input, _, fail := x.batch(th, int(child), int(k.first), int(k.items))
	return input, fail == nil
}

// ChildRuns reports whether a Map Run waits for the end of a child's attempt.
func (x *Execution) ChildRuns(run int64, child, attempt int32) bool {
	th := x.runThread(run)
	if x.status != Running || th == nil || int(child) >= len(th.comp.run.kids) {
		return false
	}
	k := &th.comp.run.kids[child]
	return k.state == kidRuns && k.attempt == attempt
}

// batch is the input of child i, which begins with item first: n items, or (n
// is 0) as many as there may be.
func (x *Execution) batch(th *thread, i, first, n int) (input value.Value, items int, fail *asl.Failure) {
	at, random := x.at, x.random
	x.at, x.random = th.comp.run.started, x.runSeed(th.comp.run.id, i)
	defer func() { x.at, x.random = at, random }()
	set := &th.comp.run.set
	if set.BatchBytes == 0 {
		input, fail = x.itemInput(th, first)
		return input, 1, fail
	}
	last := th.comp.items.Len()
	if n > 0 {
		last = first + n
	} else if set.BatchItems > 0 {
		last = int(min(int64(last-first), set.BatchItems)) + first
	}
	var m []value.Member
	bytes := len(`{"Items":[]}`)
	if !set.BatchInput.IsUndefined() {
		m = append(m, value.Member{Key: "BatchInput", Value: set.BatchInput})
		bytes += len(`"BatchInput":,`) + len(set.BatchInput.JSON())
	}
	var batch []value.Value
	for j := first; j < last; j++ {
		v, fail := x.itemInput(th, j)
		if fail != nil {
			return v, 0, fail
		}
		bytes += len(v.JSON())
		if n == 0 && len(batch) > 0 && int64(bytes+len(batch)) > set.BatchBytes { // and a comma each
			break
		}
		batch = append(batch, v)
	}
	return value.Object(append(m, value.Member{Key: "Items", Value: value.Array(batch...)})...), len(batch), nil
}

// runThread finds the Map state whose run is under way; nil if there is none.
func (x *Execution) runThread(run int64) *thread {
	for th := x.live.head; th != nil; th = th.next {
		if th.comp != nil && th.comp.run != nil && th.comp.run.id == run && !th.comp.run.over {
			return th
		}
	}
	return nil
}

// childDone records how a child ended, and goes on.
func (x *Execution) childDone(in ChildDone) {
	th := x.runThread(in.Run)
	if th == nil || !x.ChildRuns(in.Run, in.Child, in.Attempt) {
		return
	}
	r := th.comp.run
	e := Event{Thread: th.id, Ref: r.id, Prev: th.cursor, Index: in.Child}
	switch in.Status {
	case Succeeded:
		e.Type = ChildSucceeded
		if n := x.cfg.Limits.DataSize; !r.large && (n == 0 || r.bytes+atLeast(in.Output) <= n) {
			e.Data = in.Output
		}
	case Failed:
		e.Type = ChildFailed
	case TimedOut:
		e.Type = ChildTimedOut
	case Aborted:
		e.Type = ChildAborted
	default:
		x.fault = fmt.Errorf("engine: a child ended %v", in.Status)
		return
	}
	if x.emit(e) {
		x.runOn(th)
	}
}

// atLeast is how many bytes v's text has, or fewer: what is refused because of it
// would be too large in any case.
func atLeast(v value.Value) int {
	if v.IsString() {
		return len(v.Str()) + 2
	}
	return len(v.JSON())
}

// runOn ends th's run if it has come to its end.
func (x *Execution) runOn(th *thread) {
	switch c := th.comp; {
	case c.exceeds():
		x.runFailed(th, failure{err: new(thresholdError), cause: new(thresholdCause)})
	case c.finished():
		x.runSucceeded(th)
	}
}

// runSucceeded ends th's run: every child has ended, and few enough failed.
func (x *Execution) runSucceeded(th *thread) {
	r := th.comp.run
	var results []value.Value
	flat := th.state.Map.ResultWriter != nil && th.state.Map.ResultWriter.Config.Get("Transformation").Str() == "FLATTEN"
	for i := range r.kids {
		switch k := &r.kids[i]; {
		case k.state != kidSucceeded:
			// AWS leaves out what is tolerated.
		case flat && k.result.IsArray():
			for _, v := range k.result.Items() {
				results = append(results, v)
			}
		default:
			results = append(results, k.result)
		}
	}
	result := value.Array(results...)
	if r.large || x.tooLarge(result) {
		x.runFailed(th, tooLargeFailure(th.state.Name))
		return
	}
	if x.emit(Event{Type: MapRunSucceeded, Thread: th.id, Ref: r.id, Prev: r.event}) &&
		x.emit(Event{Type: MapStateSucceeded, Thread: th.id, Prev: x.id}) {
		x.exit(th, result)
	}
}

// runFailed ends th's run, and lets its state fail.
func (x *Execution) runFailed(th *thread, f failure) {
	r := th.comp.run
	if r.running > 0 {
		x.effect(StopRun{r.id})
	}
	if x.emit(Event{Type: MapRunFailed, Thread: th.id, Ref: r.id, Prev: r.event, More: errorDetail(f.err, f.cause)}) {
		x.fail(th, f)
	}
}

// abortRun ends the run of a Map state that is aborted because of the event at.
func (x *Execution) abortRun(th *thread, at int64) {
	if th.phase != mapping {
		return
	}
	r := th.comp.run
	if r.running > 0 {
		x.effect(StopRun{r.id})
	}
	x.emit(Event{Type: MapRunAborted, Thread: th.id, Ref: r.id, Prev: at})
}

// updateRun changes what a run goes by.
func (x *Execution) updateRun(in UpdateRun) {
	th := x.runThread(in.Run)
	if th == nil {
		return
	}
	set := th.comp.run.set
	change(&set.MaxConcurrency, in.MaxConcurrency)
	change(&set.ToleratedCount, in.ToleratedCount)
	change(&set.ToleratedPercentage, in.ToleratedPercentage)
	if x.emit(Event{Type: MapRunUpdated, Thread: th.id, Ref: in.Run, Prev: th.cursor, More: &Detail{Run: &set}}) && th.comp.exceeds() {
		x.runOn(th)
	}
}

func change[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// applyRun makes an event of a Map Run part of x.
func (x *Execution) applyRun(th *thread, e *Event) error {
	if e.Type == MapRunStarted {
		c := th.comp
		if th.phase != children || c == nil || c.run != nil || !th.state.Map.Distributed || e.Ref != e.Seq ||
			e.More == nil || e.More.Run == nil || e.More.Length != int64(c.items.Len()) {
			return fmt.Errorf("no distributed Map state to run, or no details")
		}
		c.run = &mapRun{id: e.Seq, event: e.ID, arn: e.More.MapRunARN, started: e.At, set: *e.More.Run}
		th.cursor, th.phase = e.ID, mapping
		x.turn(th)
		return nil
	}
	if th.phase != mapping || th.comp.run.id != e.Ref {
		return fmt.Errorf("the Map Run %d is not under way", e.Ref)
	}
	c := th.comp
	r := c.run
	switch e.Type {
	case MapRunRedriven:
		if !r.revived {
			return fmt.Errorf("it has not ended")
		}
		r.redrive()
		r.event, th.cursor = e.ID, e.ID
	case MapRunUpdated:
		if e.More == nil || e.More.Run == nil {
			return fmt.Errorf("no details")
		}
		r.set = *e.More.Run
	case ChildStarted:
		if err := c.started1(e); err != nil {
			return err
		}
	case ChildSucceeded, ChildFailed, ChildTimedOut, ChildAborted:
		if int(e.Index) >= len(r.kids) || r.kids[e.Index].state != kidRuns {
			return fmt.Errorf("the child %d does not run", e.Index)
		}
		k := &r.kids[e.Index]
		r.running--
		if k.state = kidSucceeded + kidState(e.Type-ChildSucceeded); k.state != kidSucceeded {
			r.failed += int64(k.items)
			break
		}
		if e.Data.IsUndefined() && !r.large {
			r.large, r.bytes = true, 0
			for i := range r.kids {
				r.kids[i].result = value.Value{}
			}
		}
		if !r.large {
			k.result = e.Data
			r.bytes += atLeast(e.Data)
		}
	case MapRunSucceeded:
		if !c.finished() {
			return fmt.Errorf("children are under way")
		}
		// The cursor stays, as AWS's does since November 2024.
		r.over, r.anew, th.phase = true, true, between
	case MapRunFailed, MapRunAborted:
		r.abandon()
		th.phase = between
		if e.Type == MapRunFailed {
			th.cursor = e.ID
			r.anew = e.More != nil && e.More.Error != nil && (*e.More.Error == dataLimit || *e.More.Error == runtimeError)
		}
	}
	x.turn(th)
	return nil
}

// started1 makes a ChildStarted part of the run.
func (c *composite) started1(e *Event) error {
	r := c.run
	n := 1
	if e.More != nil {
		n = int(e.More.Length)
	}
	switch i := int(e.Index); {
	case r.revived:
		return fmt.Errorf("the redrive has not been told")
	case i < len(r.kids):
		k := &r.kids[i]
		if k.state != kidAgain || int(k.items) != n {
			return fmt.Errorf("the child %d is not to be redriven", i)
		}
		k.state = kidRuns
		k.attempt++
		r.again--
		r.from = i + 1
	case i == len(r.kids) && n > 0 && n <= c.items.Len()-r.next:
		r.kids = append(r.kids, kid{first: int32(r.next), items: int32(n)})
		r.next += n
	default:
		return fmt.Errorf("no child %d of %d items", i, n)
	}
	r.running++
	return nil
}

// turn puts th where its run says: among those that can go on, or not.
func (x *Execution) turn(th *thread) {
	if th.phase == mapping && th.comp.wants(x.cfg.Limits.Children) {
		x.ready.push(th)
	} else {
		th.leave()
	}
}

// OpenRun is a Map Run that is under way.
type OpenRun struct {
	Run       int64
	MapRunARN string
	Started   time.Time
}

// OpenRuns are the Map Runs that are under way. Of an execution that has ended
// they are those that ended with it.
func (x *Execution) OpenRuns() []OpenRun {
	var out []OpenRun
	for th := x.live.head; th != nil; th = th.next {
		if th.phase == mapping {
			r := th.comp.run
			out = append(out, OpenRun{r.id, r.arn, time.UnixMilli(r.started).UTC()})
		}
	}
	return out
}
