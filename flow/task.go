package flow

import (
	"context"

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

	MachineARN    string // without qualifier
	ExecutionARN  string
	ExecutionName string
	Region        string
	Account       string
}

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
	// perhaps by a process that is gone. It must give up when ctx is done.
	Await(ctx context.Context, t Task, job value.Value) (value.Value, error)
}

// InvokerFunc is a function as an Invoker.
type InvokerFunc func(context.Context, Task) (value.Value, error)

// Invoke calls f.
func (f InvokerFunc) Invoke(ctx context.Context, t Task) (value.Value, error) { return f(ctx, t) }
