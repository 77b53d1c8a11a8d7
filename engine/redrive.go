package engine

import "tokaido/value"

// redrive lets an execution go on that ended without success.
func (x *Execution) redrive(in Redrive) {
	if !x.Room() {
		return
	}
	e := Event{Type: ExecutionRedriven, Prev: x.id, More: &Detail{RedriveCount: x.redrives + 1, Token: in.Token}}
	if x.cfg.Express { // whose redrive is another start
		e.Index = 1
	}
	if !x.emit(e) {
		return
	}
	x.run()
	x.askDeadline()
}

// Room reports whether the history has room for a redrive: its event, and one
// more besides the one that a full history ends with.
func (x *Execution) Room() bool {
	n := x.cfg.Limits.Events
	return n <= 0 || x.id < n-1
}

// revive makes an execution run again: what has succeeded stays, and every
// thread begins the state anew that it did not come through.
func (x *Execution) revive(e *Event) {
	x.status, x.err, x.cause = Running, nil, nil
	x.redrives, x.redriven = x.redrives+1, e.At
	x.context = value.Value{}
	x.ready, x.starting, x.free = queue{}, queue{}, nil
	x.setDeadline(e.At)
	if e.Index == 1 {
		for th := x.live.tail; th.parent != nil; th = x.live.tail {
			x.end(th)
		}
		root := x.live.head
		*root = thread{phase: arriving, input: x.input, retries: root.retries[:0], cursor: e.ID}
		x.ready.push(root)
		return
	}
	for th := x.live.head; th != nil; th = th.next {
		th.q, th.qprev, th.qnext = nil, nil, nil
	}
	for th := x.live.head; th != nil; th = th.next {
		th.cursor = e.ID
		x.resume(th)
	}
}

// resume puts a thread back to where it can go on.
func (x *Execution) resume(th *thread) {
	th.timer, th.due = 0, 0
	if th.phase == arriving {
		x.ready.push(th)
		return
	}
	c := th.comp
	switch {
	case c == nil:
	case c.run != nil && !c.run.anew:
		c.run.abandon()
		c.run.revived, c.run.over = true, false
		th.phase = mapping
		x.ready.push(th)
		return
	case c.run == nil && c.live > 0: // what is inside goes on
		th.phase = children
		return
	}
	th.comp, th.task = nil, task{same: th.task.same}
	th.retries, th.retried = th.retries[:0], 0
	th.phase = entered
	x.ready.push(th)
}
