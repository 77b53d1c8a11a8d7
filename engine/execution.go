package engine

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// Execution is one run of a Program. It is not safe for concurrent use. Its
// size depends on what is under way, not on how much has happened.
type Execution struct {
	cfg    Config
	region string

	// What the events have made of it: written by apply and nothing else.
	status   Status
	seq      int64 // of the last event
	id       int64 // of the last event that the history shows
	last     int64 // when it happened
	started  int64
	deadline int64 // of the execution; 0: none
	input    value.Value
	output   value.Value
	err      *string
	cause    *string
	redrives int64
	redriven int64     // when it last was; 0: never
	threads  []*thread // the top level, then those with the ids from base on; nil: ended
	base     int32
	live     list  // every thread that has not ended, in the order of their ids
	ready    queue // threads that can go on at once
	starting queue // threads whose task has been scheduled and not started

	// The Step under way.
	b     *Batch
	at    int64
	bytes int
	hint  *asl.State // the state that the next event names: spares looking it up
	fault error      // what broke the execution

	scope      asl.Scope // made anew for each field; here so that it costs nothing
	cur        *thread   // whose scope it is
	item       int       // of the Map state whose ItemSelector is computed; -1: none
	token      string    // of the task whose arguments are computed
	scheduling bool
	random     uint64
	context    value.Value // the Execution part of the context object, once made
	free       *thread     // ended threads, to be used again
}

// phase is what a thread is at.
type phase uint8

const (
	between  phase = iota // inside of a Step only
	arriving              // has its input, and its first state is to be entered
	entered               // a state is entered, its work is to be done
	scheduled
	active // a task is under way
	waiting
	backoff // a state's work is to be done again later
	children
	mapping // a Map Run is under way
)

// thread is a line of states that follow one another: the top level, a branch,
// or an iteration.
type thread struct {
	id     int32
	index  int32 // of the branch or the iteration
	phase  phase
	parent *thread

	state     *asl.State
	input     value.Value // of the state; its output, once it has exited
	entered   int64       // id of the StateEntered event
	before    int64       // the cursor before it
	enteredAt int64
	cursor    int64   // the previousEventId of what comes next
	retries   []int32 // of each retrier, in this visit
	retried   int     // the sum of them

	timer int64 // seq of the WaitScheduled or RetryScheduled event
	due   int64

	task task
	comp *composite
	vars []variable

	prev, next   *thread // in live
	qprev, qnext *thread // in q
	q            *queue
}

// task is a Task state's work under way. Its id is the seq of its Scheduled event.
type task struct {
	id        int64
	args      value.Value
	more      *Detail // of the Scheduled event
	due       int64   // of the timeout; 0: none
	beat      int64   // of the heartbeat; 0: none
	started   bool
	submitted bool
	job       value.Value
	same      *Detail // what the task's further events share
}

// composite is a Parallel or Map state's work under way.
type composite struct {
	started int64 // id of the Started event

	items   value.Value
	results []value.Value
	next    int // first iteration that has not started
	live    int
	done    int

	run *mapRun // of a distributed Map state, once there is one
}

type variable struct {
	name string
	v    value.Value
}

// New returns an execution that has not started.
func New(cfg Config) *Execution {
	x := &Execution{cfg: cfg, region: field(cfg.MachineARN, 3), base: 1, item: -1}
	root := &thread{}
	x.threads = append(make([]*thread, 0, 8), root)
	x.live.push(root)
	return x
}

// field is the n-th part of an ARN, from 0; "" if there is none.
func field(arn string, n int) string {
	from := 0
	for i := range len(arn) {
		if arn[i] != ':' {
			continue
		}
		if n == 0 {
			return arn[from:i]
		}
		n--
		from = i + 1
	}
	return ""
}

// Replay rebuilds an execution from its events, in the order of their Seq. An
// execution without events is one that has not started. An error means that
// the events are not those of an execution of cfg.Program.
func Replay(cfg Config, events iter.Seq2[Event, error]) (*Execution, error) {
	x := New(cfg)
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

// Status says how the execution is. One that has not started is Running.
func (x *Execution) Status() Status { return x.status }

// Seq is the number of the last event; 0 before the start.
func (x *Execution) Seq() int64 { return x.seq }

// Events is the number of events that the history shows.
func (x *Execution) Events() int64 { return x.id }

// Last is when the last event happened: the execution's end if it has ended.
func (x *Execution) Last() time.Time { return time.UnixMilli(x.last).UTC() }

// Outcome is how the execution ended; ok is false while it has not.
func (x *Execution) Outcome() (f Finish, ok bool) { return x.finish(), x.status != Running }

// Redriven is how often the execution was redriven, and when last.
func (x *Execution) Redriven() (count int64, at time.Time) {
	if x.redriven != 0 {
		at = time.UnixMilli(x.redriven).UTC()
	}
	return x.redrives, at
}

// Input is what the execution started with.
func (x *Execution) Input() value.Value { return x.input }

// Step decides what in means for the execution at the given time, which may be
// any; events never go back behind those before them. An input that no longer
// matters (a second answer, a late timer) yields an empty batch. The batch is
// the caller's.
func (x *Execution) Step(at time.Time, in Input) (Batch, error) {
	var b Batch
	err := x.StepInto(&b, at, in)
	return b, err
}

// StepInto is Step for callers that are done with the last batch: it uses b's
// slices again.
func (x *Execution) StepInto(b *Batch, at time.Time, in Input) error {
	clear(b.Events)
	clear(b.Effects)
	b.Events, b.Effects, b.Largest = b.Events[:0], b.Effects[:0], 0
	if x.fault != nil {
		return x.fault
	}
	again, redrive := in.(Redrive)
	if (x.status != Running) != redrive || x.status == Succeeded {
		return nil
	}
	x.b, x.at, x.bytes = b, max(at.UnixMilli(), x.last, 1), 0
	x.random = x.cfg.Seed ^ mix(uint64(x.seq)+1)
	defer func() { x.b = nil }()
	if redrive {
		x.redrive(again)
		return x.fault
	}
	if s, ok := in.(Start); ok {
		if x.seq == 0 {
			if s.Input.IsUndefined() {
				s.Input = value.Object()
			}
			x.emit(Event{Type: ExecutionStarted, Data: s.Input})
			x.run()
			x.askDeadline()
		}
		return x.fault
	}
	if x.seq == 0 {
		return fmt.Errorf("engine: %T before the start of %s", in, x.cfg.ExecutionARN)
	}
	if _, stop := in.(Stop); !stop && x.deadline != 0 && x.at >= x.deadline {
		x.at = max(x.deadline, x.last)
		x.timedOut()
		return x.fault
	}
	switch in := in.(type) {
	case TaskStarted:
		x.taskStarted(in)
	case TaskSubmitted:
		x.taskSubmitted(in)
	case TaskDone:
		x.taskDone(in)
	case TaskFailed:
		x.taskFailed(in)
	case TaskHeartbeat:
		x.taskBeat(in)
	case TimerFired:
		x.fired(in.Timer)
	case ChildDone:
		x.childDone(in)
	case RunFailed:
		if th := x.runThread(in.Run); th != nil {
			x.runFailed(th, failure{err: clip(in.Failure.Error, maxError), cause: clip(in.Failure.Cause, maxCause)})
		}
	case UpdateRun:
		x.updateRun(in)
	case Continue:
	case Stop:
		x.emit(Event{Type: ExecutionAborted, More: errorDetail(in.Error, in.Cause)})
	default:
		return fmt.Errorf("engine: unknown input %T", in)
	}
	x.run()
	return x.fault
}

// askDeadline asks to be woken at the execution's own time limit.
func (x *Execution) askDeadline() {
	if x.status != Running || x.deadline == 0 {
		return
	}
	x.effect(Sleep{timerID(1, deadlineTimer), time.UnixMilli(x.deadline).UTC()})
	ef := x.b.Effects
	if n := len(ef); n > 1 && ef[n-2] == (Again{}) {
		ef[n-2], ef[n-1] = ef[n-1], ef[n-2]
	}
}

// setDeadline is called when the execution begins, or begins again: TimeoutSeconds
// counts from then, the limit of all executions from the first start.
func (x *Execution) setDeadline(at int64) {
	x.deadline = 0
	if d := x.cfg.Limits.Duration; d > 0 {
		if x.deadline = x.started + d.Milliseconds(); x.cfg.Express {
			x.deadline = at + d.Milliseconds()
		}
	}
	if t := x.cfg.Program.Timeout; t > 0 && (x.deadline == 0 || at+t.Milliseconds() < x.deadline) {
		x.deadline = at + t.Milliseconds()
	}
}

// timedOut ends the execution at its own time limit.
func (x *Execution) timedOut() {
	x.emit(Event{Type: ExecutionTimedOut, More: errorDetail(new("States.Timeout"), nil)})
}

// run goes on with whatever can go on, until nothing can or the Step has done
// enough.
func (x *Execution) run() {
	for x.status == Running && x.fault == nil {
		th, tk := x.ready.head, x.starting.head
		if th == nil && tk == nil {
			return
		}
		if len(x.b.Events) >= MaxStepEvents || len(x.b.Effects) >= MaxStepEffects || x.bytes >= MaxStepBytes {
			x.effect(Again{})
			return
		}
		switch {
		case th == nil:
			x.startTask(tk)
		case th.phase == arriving:
			x.arrive(th)
		case th.phase == mapping:
			x.dispatch(th)
		default:
			x.work(th)
		}
	}
}

// emit records that e happens. The event's numbers and time are emit's.
// It reports whether the execution goes on as the caller meant it.
func (x *Execution) emit(e Event) bool {
	if x.status != Running && e.Type != ExecutionRedriven || x.fault != nil {
		return false
	}
	e.Seq, e.At = x.seq+1, x.at
	if !e.Type.Internal() {
		e.ID = x.id + 1
		if n := x.cfg.Limits.Events; n > 0 && e.ID >= n && !e.Type.Closes() {
			e = Event{
				Seq: e.Seq, ID: e.ID, Prev: x.id, At: e.At, Type: ExecutionFailed,
				More: errorDetail(new("States.Runtime"), new(fmt.Sprintf("The execution reached the maximum number of history events (%d).", n))),
			}
		}
	}
	switch e.Data.Kind() {
	case value.KindArray, value.KindObject:
		x.bytes += len(e.Data.JSON())
	case value.KindString:
		x.bytes += len(e.Data.Str())
	}
	x.b.Events = append(x.b.Events, e)
	if err := x.apply(&x.b.Events[len(x.b.Events)-1]); err != nil {
		x.fault = err
		return false
	}
	if x.status != Running {
		x.b.Effects = append(x.b.Effects, x.finish())
		return false
	}
	return true
}

// effect asks the driver for something; nothing is asked of it after the end.
func (x *Execution) effect(e Effect) {
	if x.status == Running && x.fault == nil {
		x.b.Effects = append(x.b.Effects, e)
	}
}

func (x *Execution) finish() Finish {
	return Finish{Status: x.status, Output: x.output, Error: x.err, Cause: x.cause}
}

// errorDetail is the detail of a failure; nil if it says nothing.
func errorDetail(err, cause *string) *Detail {
	if err == nil && cause == nil {
		return nil
	}
	return &Detail{Error: err, Cause: cause}
}

// The kinds of timers. A timer's number is the seq of the event that it comes
// from, and its kind.
const (
	stateTimer = iota // of a Wait state or a retry
	taskTimer
	beatTimer
	deadlineTimer
	timerKinds
)

func timerID(seq int64, kind int) int64 { return seq*timerKinds + int64(kind) }

// Pending is what has been asked of the driver and has no outcome yet: the
// effects to perform after a restart. Of an execution that has ended it is its
// Finish.
func (x *Execution) Pending() []Effect {
	if x.seq == 0 {
		return nil
	}
	if x.status != Running {
		return []Effect{x.finish()}
	}
	var out []Effect
	for th := x.live.head; th != nil; th = th.next {
		switch th.phase {
		case waiting, backoff:
			out = append(out, th.sleep())
		case active:
			out = append(out, x.invoke(th))
			out = th.appendTimers(out)
		case mapping:
			for i := range th.comp.run.kids {
				if th.comp.run.kids[i].state == kidRuns {
					out = append(out, x.child(th, i))
				}
			}
		}
	}
	if x.deadline != 0 {
		out = append(out, Sleep{timerID(1, deadlineTimer), time.UnixMilli(x.deadline).UTC()})
	}
	if x.ready.head != nil || x.starting.head != nil {
		out = append(out, Again{})
	}
	return out
}

func (th *thread) sleep() Sleep {
	return Sleep{timerID(th.timer, stateTimer), time.UnixMilli(th.due).UTC()}
}

func (th *thread) appendTimers(out []Effect) []Effect {
	if t := &th.task; t.due != 0 {
		out = append(out, Sleep{timerID(t.id, taskTimer), time.UnixMilli(t.due).UTC()})
	}
	if t := &th.task; t.beat != 0 {
		out = append(out, Sleep{timerID(t.id, beatTimer), time.UnixMilli(t.beat).UTC()})
	}
	return out
}

// thread finds a thread by its id; nil if it has ended.
func (x *Execution) thread(id int32) *thread {
	i := 0
	if id != 0 {
		if i = int(id-x.base) + 1; id < x.base {
			return nil
		}
	}
	if i < len(x.threads) {
		return x.threads[i]
	}
	return nil
}

// nextThread is the id that the next new thread has.
func (x *Execution) nextThread() int32 { return x.base + int32(len(x.threads)) - 1 }

// list is the live threads in the order of their ids.
type list struct {
	head, tail *thread
	n          int
}

func (l *list) push(th *thread) {
	th.prev, th.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = th
	} else {
		l.head = th
	}
	l.tail = th
	l.n++
}

func (l *list) remove(th *thread) {
	if th.prev != nil {
		th.prev.next = th.next
	} else {
		l.head = th.next
	}
	if th.next != nil {
		th.next.prev = th.prev
	} else {
		l.tail = th.prev
	}
	th.prev, th.next = nil, nil
	l.n--
}

// queue is threads in the order in which they came to something; a thread is in
// one queue at most.
type queue struct{ head, tail *thread }

func (q *queue) push(th *thread) {
	if th.q == q {
		return // keeps its place
	}
	th.leave()
	th.q, th.qprev = q, q.tail
	if q.tail != nil {
		q.tail.qnext = th
	} else {
		q.head = th
	}
	q.tail = th
}

// leave takes th out of the queue that it is in.
func (th *thread) leave() {
	q := th.q
	if q == nil {
		return
	}
	if th.qprev != nil {
		th.qprev.qnext = th.qnext
	} else {
		q.head = th.qnext
	}
	if th.qnext != nil {
		th.qnext.qprev = th.qprev
	} else {
		q.tail = th.qprev
	}
	th.q, th.qprev, th.qnext = nil, nil, nil
}

var errNotStarted = errors.New("engine: an event before ExecutionStarted")
