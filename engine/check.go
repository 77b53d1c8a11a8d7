package engine

import (
	"fmt"
)

// CheckHistory says what is wrong with the events of one execution, from its
// first; nil if nothing. It knows what every history keeps to, whatever the
// definition: numbers, times, what refers to what, that states which are
// entered are left in order, that a task has one outcome, that nothing follows
// the end. An execution may still be running.
func CheckHistory(events []Event) error {
	c := checker{threads: map[int32]*checked{0: {outer: -1}}, seen: map[int64]bool{0: true}, next: 1}
	for i := range events {
		if err := c.event(&events[i]); err != nil {
			return fmt.Errorf("event %d (%s): %w", events[i].Seq, events[i].Type, err)
		}
	}
	return nil
}

type checker struct {
	seq, id, at int64
	ended       bool
	threads     map[int32]*checked
	seen        map[int64]bool // ids
	next        int32          // the next new thread
	redriven    bool           // at least once: states may begin their work again
	redrives    int64
}

// checked is a thread as far as its history tells.
type checked struct {
	state string // the state that it is in
	kind  EventType
	task  int64 // seq of the task under way
	tasks EventType
	over  bool
	begun bool
	inner map[int32]bool // branches and iterations that are under way
	first bool           // a Parallel or Map state's work is under way
	outer int32
	run   int64          // of a Map Run under way
	idle  bool           // it has ended, or the execution has, and may be redriven
	kids  map[int32]bool // its children: whether they run
}

func (c *checker) event(e *Event) error {
	switch {
	case e.Seq != c.seq+1:
		return fmt.Errorf("follows %d", c.seq)
	case c.ended != (e.Type == ExecutionRedriven):
		return fmt.Errorf("follows the end, or redrives what has not ended")
	case e.At < c.at || e.At <= 0:
		return fmt.Errorf("at %d, after %d", e.At, c.at)
	case e.Type.Internal() != (e.ID == 0):
		return fmt.Errorf("has the id %d", e.ID)
	case e.ID != 0 && e.ID != c.id+1:
		return fmt.Errorf("id %d follows %d", e.ID, c.id)
	case (e.Seq == 1) != (e.Type == ExecutionStarted):
		return fmt.Errorf("is not the first, or not the only one, of its type")
	case e.ID != 0 && e.Prev >= e.ID || !c.seen[e.Prev]:
		return fmt.Errorf("previousEventId %d", e.Prev)
	case e.Prev == 1:
		return fmt.Errorf("refers to ExecutionStarted, which nothing does")
	}
	c.seq, c.at = e.Seq, e.At
	if e.ID != 0 {
		c.id = e.ID
		c.seen[e.ID] = true
	}
	th := c.threads[e.Thread]
	if e.Type == MapIterationStarted {
		p := c.threads[int32(e.Ref)]
		if e.Thread != c.next || p == nil || !p.first || p.state != e.State {
			return fmt.Errorf("thread %d of thread %d", e.Thread, e.Ref)
		}
		c.begin(int32(e.Ref))
		return nil
	}
	if th == nil || th.over {
		return fmt.Errorf("of the thread %d, which is not there or over", e.Thread)
	}
	return c.change(th, e)
}

// begin adds a thread inside of outer.
func (c *checker) begin(outer int32) {
	p := c.threads[outer]
	if p.inner == nil {
		p.inner = map[int32]bool{}
	}
	p.inner[c.next] = true
	c.threads[c.next] = &checked{outer: outer}
	c.next++
}

// enters reports whether a state begins with the event.
func (t EventType) enters() bool {
	for _, e := range enteredTypes {
		if e == t && e != 0 {
			return true
		}
	}
	return false
}

// exits reports whether a state ends with the event.
func (t EventType) exits() bool {
	for _, e := range exitedTypes {
		if e == t && e != 0 {
			return true
		}
	}
	return false
}

func (c *checker) change(th *checked, e *Event) error {
	switch {
	case e.Type.enters():
		if th.state != "" {
			return fmt.Errorf("enters %q inside of %q", e.State, th.state)
		}
		if e.State == "" || e.Data.IsUndefined() {
			return fmt.Errorf("has no name or no input")
		}
		th.state, th.kind, th.begun = e.State, e.Type, true
		return nil
	case e.Type.exits():
		if th.state != e.State || enteredOf(e.Type) != th.kind {
			return fmt.Errorf("leaves %q inside of %q", e.State, th.state)
		}
		if th.task != 0 || e.Data.IsUndefined() {
			return fmt.Errorf("leaves a task under way, or has no output")
		}
		c.drop(th)
		th.state, th.first, th.run = "", false, 0
		return nil
	case e.Type.Closes():
		c.ended = true
		if e.Type == ExecutionSucceeded && (e.Thread != 0 || th.state != "" || !th.begun || e.Data.IsUndefined()) {
			return fmt.Errorf("the top level is still in %q, or there is no output", th.state)
		}
		// Only a full history fails an execution between two states.
		if e.Type == ExecutionFailed && th.state == "" && (e.More == nil || e.More.Error == nil || *e.More.Error != runtimeError) {
			return fmt.Errorf("no state has failed")
		}
		return nil
	}
	switch e.Type {
	case ExecutionStarted:
		if e.Data.IsUndefined() {
			return fmt.Errorf("has no input")
		}
	case ServiceTaskScheduled, LambdaFunctionScheduled, ActivityScheduled:
		if th.kind != TaskStateEntered || th.state == "" || th.task != 0 {
			return fmt.Errorf("in the state %q, with the task %d under way", th.state, th.task)
		}
		th.task, th.tasks = e.Seq, e.Type
	case ServiceTaskStarted, ServiceTaskSubmitted, ServiceTaskSucceeded, ServiceTaskFailed, ServiceTaskTimedOut,
		LambdaFunctionStarted, LambdaFunctionSucceeded, LambdaFunctionFailed, LambdaFunctionTimedOut,
		ActivityStarted, ActivitySucceeded, ActivityFailed, ActivityTimedOut:
		if th.task == 0 || e.Ref != th.task || family(e.Type) != th.tasks {
			return fmt.Errorf("of the task %d, but %d is under way", e.Ref, th.task)
		}
		switch e.Type {
		case ServiceTaskStarted, LambdaFunctionStarted, ActivityStarted, ServiceTaskSubmitted:
		default:
			th.task = 0
		}
	case TaskBeat:
		if th.task == 0 || e.Ref != th.task {
			return fmt.Errorf("of the task %d, but %d is under way", e.Ref, th.task)
		}
	case WaitScheduled:
		if th.kind != WaitStateEntered || th.state == "" {
			return fmt.Errorf("in the state %q", th.state)
		}
	case RetryScheduled:
		if th.state == "" || th.task != 0 {
			return fmt.Errorf("in the state %q, with the task %d under way", th.state, th.task)
		}
		c.drop(th)
		th.first, th.run = false, 0
	case ParallelStateStarted, MapStateStarted:
		want := ParallelStateEntered
		if e.Type == MapStateStarted {
			want = MapStateEntered
		}
		if th.kind != want || th.state == "" || th.first && !c.redriven {
			return fmt.Errorf("in the state %q", th.state)
		}
		th.first, th.run = true, 0
		if e.Type == ParallelStateStarted {
			for range e.Index {
				c.begin(e.Thread)
			}
		}
	case ParallelStateSucceeded, MapStateSucceeded:
		if !th.first || len(th.inner) > 0 || th.run != 0 && !th.idle {
			return fmt.Errorf("in the state %q, with %d branches or iterations under way", th.state, len(th.inner))
		}
	case ParallelStateAborted, MapStateAborted:
		if th.kind != ParallelStateEntered && th.kind != MapStateEntered || th.state == "" {
			return fmt.Errorf("in the state %q", th.state)
		}
	case ParallelStateFailed, MapStateFailed:
		if th.kind != ParallelStateEntered && th.kind != MapStateEntered || th.state == "" {
			return fmt.Errorf("in the state %q", th.state)
		}
	case TaskStateAborted:
		if th.kind != TaskStateEntered || th.state == "" {
			return fmt.Errorf("in the state %q", th.state)
		}
		th.task = 0
	case WaitStateAborted:
		if th.kind != WaitStateEntered || th.state == "" {
			return fmt.Errorf("in the state %q", th.state)
		}
	case BranchSucceeded, MapIterationSucceeded:
		if th.state != "" || !th.begun {
			return fmt.Errorf("in the state %q", th.state)
		}
		th.over = true
		c.left(th, e)
	case MapIterationFailed, MapIterationAborted:
		p := c.threads[th.outer]
		if p == nil || p.state != e.State || !p.inner[e.Thread] {
			return fmt.Errorf("of the thread %d of %d", e.Thread, th.outer)
		}
	case EvaluationFailed:
		if e.State == "" || e.More == nil || e.More.Error == nil {
			return fmt.Errorf("says nothing")
		}
	case MapRunStarted:
		if th.kind != MapStateEntered || !th.first || th.run != 0 || e.Ref != e.Seq || e.More == nil || e.More.MapRunARN == "" {
			return fmt.Errorf("in the state %q, with the Map Run %d", th.state, th.run)
		}
		th.run, th.idle, th.kids = e.Seq, false, map[int32]bool{}
	case MapRunSucceeded, MapRunFailed, MapRunAborted, MapRunUpdated, MapRunRedriven,
		ChildStarted, ChildSucceeded, ChildFailed, ChildTimedOut, ChildAborted:
		return c.run(th, e)
	case ExecutionRedriven:
		if e.More == nil || e.More.RedriveCount != c.redrives+1 {
			return fmt.Errorf("is not the next one")
		}
		c.ended, c.redriven, c.redrives = false, true, c.redrives+1
		for _, th := range c.threads {
			th.task, th.idle = 0, true
		}
		if e.Index == 1 {
			c.drop(c.threads[0])
			c.threads[0] = &checked{outer: -1}
		}
	default:
		return fmt.Errorf("is not of a type that happens")
	}
	return nil
}

// run checks an event of a Map Run.
func (c *checker) run(th *checked, e *Event) error {
	if th.run == 0 || e.Ref != th.run || th.idle != (e.Type == MapRunRedriven) {
		return fmt.Errorf("of the Map Run %d, but %d is under way (ended: %v)", e.Ref, th.run, th.idle)
	}
	running, known := th.kids[e.Index]
	switch e.Type {
	case ChildStarted:
		if running || !known && int(e.Index) != len(th.kids) {
			return fmt.Errorf("of the child %d", e.Index)
		}
		th.kids[e.Index] = true
	case ChildSucceeded, ChildFailed, ChildTimedOut, ChildAborted:
		if !running {
			return fmt.Errorf("of the child %d, which does not run", e.Index)
		}
		th.kids[e.Index] = false
	case MapRunRedriven:
		th.idle = false
		for i := range th.kids {
			th.kids[i] = false
		}
	case MapRunSucceeded:
		for i, running := range th.kids {
			if running {
				return fmt.Errorf("with the child %d under way", i)
			}
		}
		th.idle = true
	case MapRunFailed, MapRunAborted:
		th.idle = true
	}
	return nil
}

// left takes a thread out of the one around it.
func (c *checker) left(th *checked, e *Event) {
	if p := c.threads[th.outer]; p != nil {
		delete(p.inner, e.Thread)
	}
}

// drop ends what is inside of th.
func (c *checker) drop(th *checked) {
	for id := range th.inner {
		if in := c.threads[id]; in != nil && !in.over {
			in.over = true
			c.drop(in)
		}
	}
	clear(th.inner)
}

// enteredOf is the type of the event that enters the state which exit leaves.
func enteredOf(exit EventType) EventType {
	for i, t := range exitedTypes {
		if t == exit {
			return enteredTypes[i]
		}
	}
	return 0
}

// family is the Scheduled type that a task's event belongs to.
func family(t EventType) EventType {
	switch t {
	case LambdaFunctionStarted, LambdaFunctionSucceeded, LambdaFunctionFailed, LambdaFunctionTimedOut:
		return LambdaFunctionScheduled
	case ActivityStarted, ActivitySucceeded, ActivityFailed, ActivityTimedOut:
		return ActivityScheduled
	}
	return ServiceTaskScheduled
}
