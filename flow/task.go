package flow

import (
	"context"
	"errors"

	"tokaido/engine"
	"tokaido/value"
)

// Task is one call that an execution wants made on behalf of its role.
type Task struct {
	engine.Invoke

	// ID is the same each time this task is performed, also after a restart: the
	// execution's ARN and the number of the task. It is the idempotency token for
	// a service that takes one; each attempt of a retried state has its own.
	ID string

	// RoleARN is the role to act as: that of the state's Credentials if it has
	// them, otherwise the machine's. It hides Invoke.RoleARN on purpose.
	RoleARN string

	// MachineRole is the machine's. Where a state's Credentials name another role,
	// it is this one that must be able to assume it.
	MachineRole string

	MachineARN    string // without qualifier
	ExecutionARN  string
	ExecutionName string
	Region        string
	Account       string

	// TestCase is that of the execution. If there is one, Nth is how many tasks of
	// this state the execution has had before this one, retries included; it is 0
	// otherwise.
	TestCase string
	Nth      int

	// Trace is the trace header for what the task calls; "": it is not traced.
	Trace string
}

// ErrCancelled is the cause of a task's context when its workflow no longer
// waits for it: it timed out, or its state or execution has ended without it.
// What a .sync task has started is then to be ended too. Any other cause says
// that this process ends, and the next one goes on.
var ErrCancelled = errors.New("nobody waits for this task any more")

// TaskError is a task's failure as the workflow sees it, for Retry and Catch.
type TaskError struct {
	Name  string // "Bedrock.AccessDeniedException"
	Cause string
}

func (e *TaskError) Error() string { return e.Name + ": " + e.Cause }

// Invoker performs tasks.
type Invoker interface {
	// Invoke performs one task and returns its output. For .sync and
	// .waitForTaskToken it returns what the submitting call answered; the result
	// comes later, through [Service.SendTaskSuccess] and its kin.
	//
	// It must give up when ctx is done. A failure that the workflow should see
	// must be a *TaskError; any other error is ours: it is logged, and the
	// workflow sees States.TaskFailed without its text. Invoke may be called
	// again for a task that it has performed before (the process died before the
	// outcome was durable): Task.ID is the same then.
	Invoke(ctx context.Context, t Task) (value.Value, error)
}

// Awaiter is an Invoker that can wait for the jobs of .sync tasks.
type Awaiter interface {
	Invoker
	// Await waits until a job has ended, and returns what the task's output is to
	// be, or a *TaskError. job is what Invoke returned when it was submitted,
	// perhaps by a process that is gone. It must give up when ctx is done, and end
	// the job if the cause is ErrCancelled; that may be so when it is called.
	//
	// In an execution with a test case it is called for .waitForTaskToken too: what
	// it returns then counts like an answer through the token.
	Await(ctx context.Context, t Task, job value.Value) (value.Value, error)
}

// Watcher is an Awaiter of whose jobs some are executions of the same driver: it
// is the driver that waits for their end then, and calls Await after it.
type Watcher interface {
	Awaiter
	// Watched is the ARN of the execution whose end a job is; "": it is something
	// else, which Await waits for.
	Watched(t Task, job value.Value) string
	// Job is the job that an execution is which t has started, as Invoke returns it
	// as far as Await needs it: where the process died before it could be noted.
	Job(t Task, execution string) value.Value
}

// InvokerFunc is a function as an Invoker.
type InvokerFunc func(context.Context, Task) (value.Value, error)

// Invoke calls f.
func (f InvokerFunc) Invoke(ctx context.Context, t Task) (value.Value, error) { return f(ctx, t) }
