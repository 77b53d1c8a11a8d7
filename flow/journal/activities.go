package journal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"tokaido/engine"
	"tokaido/flow"
)

// Tokens name a task of an execution of this log. They are sealed, so that
// nobody answers for a task whose token was not given to them.
const (
	tokenVersion = 1
	tokenSeal    = 16
	tokenLen     = 1 + 8 + 8 + tokenSeal
)

func (d *Driver) token(id uint64, task int64) string {
	b := make([]byte, 0, tokenLen)
	b = append(b, tokenVersion)
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint64(b, uint64(task))
	return base64.RawURLEncoding.EncodeToString(append(b, d.seal(b)...))
}

func (d *Driver) seal(b []byte) []byte {
	h := hmac.New(sha256.New, d.secret)
	h.Write(b)
	return h.Sum(nil)[:tokenSeal]
}

func (d *Driver) parseToken(s string) (id uint64, task int64, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != tokenLen || b[0] != tokenVersion || !hmac.Equal(b[tokenLen-tokenSeal:], d.seal(b[:tokenLen-tokenSeal])) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b[1:]), int64(binary.BigEndian.Uint64(b[9:])), true
}

// Answer implements [flow.Driver].
func (d *Driver) Answer(ctx context.Context, token string, in func(task int64) engine.Input) error {
	id, task, ok := d.parseToken(token)
	if !ok {
		return flow.ErrBadToken
	}
	if err := d.down(); err != nil {
		return err
	}
	ack := make(chan error, 1)
	d.shard(id).send(message{kind: feed, id: id, task: task, in: in(task), ack: ack})
	return d.wait(ctx, ack)
}

// ticket is a task in an activity's queue.
type ticket struct {
	id   uint64
	task int64

	// started says that it was given to a worker already, who had gone before it
	// got there.
	started bool
}

// queues are the tasks of activities that no worker has taken, in their order.
// They are rebuilt when the log is opened.
type queues struct {
	mu sync.Mutex
	by map[string]*queue // guarded by mu, like what it leads to
}

type queue struct {
	tickets []ticket
	waiting []chan struct{} // each closed to say that there may be a ticket
}

func (q *queues) get(activity string) *queue {
	if q.by == nil {
		q.by = map[string]*queue{}
	}
	a := q.by[activity]
	if a == nil {
		a = &queue{}
		q.by[activity] = a
	}
	return a
}

func (q *queues) push(activity string, t ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.get(activity)
	a.tickets = append(a.tickets, t)
	a.wake()
}

// back puts a ticket before all others.
func (q *queues) back(activity string, t ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.get(activity)
	a.tickets = append([]ticket{t}, a.tickets...)
	a.wake()
}

func (a *queue) wake() {
	if len(a.waiting) > 0 {
		close(a.waiting[0])
		a.waiting = a.waiting[1:]
	}
}

// pop takes the first ticket; if there is none, it returns what to wait for.
func (q *queues) pop(activity string, most int) (t ticket, wait chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.get(activity)
	if len(a.tickets) > 0 {
		t = a.tickets[0]
		if a.tickets = a.tickets[1:]; len(a.tickets) == 0 {
			a.tickets = nil
		}
		return t, nil, nil
	}
	if most > 0 && len(a.waiting) >= most {
		return t, nil, flow.ErrTooManyPollers
	}
	wait = make(chan struct{})
	a.waiting = append(a.waiting, wait)
	return t, wait, nil
}

// leave is for those that no longer wait. One that was woken all the same wakes
// the next.
func (q *queues) leave(activity string, wait chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.get(activity)
	if i := slices.Index(a.waiting, wait); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	} else if len(a.tickets) > 0 {
		a.wake()
	}
	if len(a.tickets) == 0 && len(a.waiting) == 0 {
		delete(q.by, activity)
	}
}

// Poll implements [flow.Driver].
func (d *Driver) Poll(ctx context.Context, activity, worker string) (flow.ActivityTask, bool, error) {
	for {
		if ctx.Err() != nil {
			return flow.ActivityTask{}, false, nil // a task would be given to nobody
		}
		t, wait, err := d.queues.pop(activity, d.limits.Pollers)
		if err != nil {
			return flow.ActivityTask{}, false, err
		}
		if wait != nil {
			select {
			case <-wait:
				d.queues.leave(activity, wait)
				continue
			case <-ctx.Done():
				d.queues.leave(activity, wait)
				return flow.ActivityTask{}, false, nil
			case <-d.quit:
				return flow.ActivityTask{}, false, flow.ErrClosed
			}
		}
		got := new(flow.ActivityTask)
		ack := make(chan error, 1)
		m := message{kind: hand, id: t.id, task: t.task, in: engine.TaskStarted{Task: t.task, Worker: worker}, got: got, ack: ack}
		if t.started {
			m.kind = handAgain
		}
		d.shard(t.id).send(m)
		// From here on the task may be this worker's, so its going away is no
		// reason to stop half-way.
		switch err := d.wait(context.WithoutCancel(ctx), ack); {
		case err == flow.ErrTaskClosed:
			continue // timed out, or stopped
		case err != nil:
			if _, ok := errors.AsType[unread](err); ok {
				d.queues.back(activity, t)
			}
			return flow.ActivityTask{}, false, err
		}
		if ctx.Err() != nil { // gone meanwhile: the next one gets it, as this one's
			t.started = true
			d.queues.back(activity, t)
			return flow.ActivityTask{}, false, nil
		}
		return *got, true, nil
	}
}
