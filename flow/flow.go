// Package flow keeps state machines and their executions: it creates, versions,
// starts, stops and describes them, with AWS's rules and words. What makes an
// execution move is a [Driver]; what it does outside is an [Invoker]'s.
//
// The package refuses to know how it is called (awsapi/sfn), who is allowed to
// (gate), and where anything is kept (store).
package flow

import (
	"context"
	"errors"
	"iter"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/value"
)

// Store keeps definitions and what belongs to them, under rising or scattered
// keys of any bytes.
type Store interface {
	// Load returns every entry whose key begins with prefix, in order of keys.
	Load(ctx context.Context, prefix string) iter.Seq2[Entry, error]
	// Get returns what is stored under key, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Save makes all changes or none; they must be durable when it returns nil.
	// After an error it must be unknown only whether they were made, never which.
	Save(ctx context.Context, changes ...Change) error
}

// Entry is one thing stored. Data must not be changed.
type Entry struct {
	Key  string
	Data []byte
}

// Change sets or, where Data is nil, deletes one entry.
type Change struct {
	Key  string
	Data []byte
}

// ErrNotFound says that a store or a driver does not have what was asked for.
var ErrNotFound = errors.New("not found")

// ErrClosed says that a driver is shutting down, or has had to stop because its
// store failed; nothing that it had not acknowledged is promised.
var ErrClosed = errors.New("closed")

// ErrFull says that a store has no room for more executions, or takes nothing at
// present; those that run go on, or will.
var ErrFull = errors.New("no room")

// ErrTooManyOpen says that as many executions are open as may.
var ErrTooManyOpen = errors.New("too many open executions")

// ErrBadToken says that a text is not a task token of ours.
var ErrBadToken = errors.New("not a task token")

// ErrTaskClosed says that a task is over: answered, timed out, or its execution
// has ended.
var ErrTaskClosed = errors.New("task is closed")

// ErrTooManyPollers says that as many wait for an activity's tasks as may.
var ErrTooManyPollers = errors.New("too many pollers")

// ActivityTask is a task that a worker has taken.
type ActivityTask struct {
	Token string
	Input value.Value
}

// Execution is what is known about one execution besides its events.
type Execution struct {
	ARN        string
	Name       string
	Revision   string // of which machine, and which definition and role: [Library.Revision]
	MachineARN string // without qualifier
	VersionARN string // "" if not started through one
	AliasARN   string // "" if not started through one
	Express    bool   // in memory only
	Sync       bool   // StartSyncExecution
	Region     string
	Account    string
	Seed       uint64
	Trace      string // trace header
	TestCase   string // of the mocks, "" if none: it was started as machine#TestCase
	Origin     string // the [Task.ID] that started it, "" if a client did

	Status  engine.Status
	Started time.Time
	Stopped time.Time // zero while it runs

	RedriveCount int64
	Redriven     time.Time

	Child Child // zero for all but children of a Map Run
}

// Outcome is how an execution ended.
type Outcome struct {
	Execution
	Output       value.Value // Succeeded
	Error, Cause *string
}

// Query selects executions for [Driver.List].
type Query struct {
	Under  string         // the ARN of a machine, a version, an alias or a Map Run
	Status *engine.Status // nil: any
	After  *Mark          // nil: from the newest
}

// Mark is a place in a list of executions.
type Mark struct {
	Started time.Time
	ID      uint64
}

// Driver makes executions move and survive restarts. An execution's Express
// ones it may keep in memory.
type Driver interface {
	// Start begins x, which must have an ARN, a Name, a Revision and a Seed, with
	// an input. The execution is durable when it returns nil (an Express one: has
	// begun). If there is an execution of that ARN, it returns that one and exists.
	Start(ctx context.Context, x Execution, input value.Value) (got Execution, exists bool, err error)
	// Begin is Start in two halves: the execution is durable (an Express one: has
	// begun) when durable returns nil, and nobody must be told of it before.
	// durable is nil if the execution exists.
	Begin(ctx context.Context, x Execution, input value.Value) (got Execution, exists bool, durable func(context.Context) error, err error)
	// Run begins an Express execution and waits until it has ended.
	Run(ctx context.Context, x Execution, input value.Value) (Outcome, error)
	// Feed gives an execution an input: a Stop, or what became of a task. It is
	// durable when Feed returns nil. ErrNotFound: no such execution. An input that
	// no longer matters is ignored, as the engine has it; for an execution that
	// has ended, ended is true.
	Feed(ctx context.Context, arn string, in engine.Input) (x Execution, ended bool, err error)
	// Answer gives the task of a token an input. It is durable when Answer returns
	// nil. ErrBadToken: it is no token; ErrTaskClosed: nobody waits for an answer.
	Answer(ctx context.Context, token string, in func(task int64) engine.Input) error
	// Poll takes the oldest task of an activity, waiting until there is one or ctx
	// is done (ok false). That a worker has it is durable when Poll returns.
	Poll(ctx context.Context, activity, worker string) (t ActivityTask, ok bool, err error)
	// Await waits until an execution has ended, or ctx is done.
	Await(ctx context.Context, arn string) (Outcome, error)
	// Redrive lets an execution go on that ended without success; token is to stand
	// in its history. It is durable when Redrive returns nil. ErrNotFound: there is
	// no such execution; NotRedrivable: it cannot be redriven.
	Redrive(ctx context.Context, arn, token string) (Execution, error)
	MapRuns
	// Describe returns what is known about an execution, or ErrNotFound.
	Describe(ctx context.Context, arn string) (Execution, error)
	// Ends returns what is known about an execution with its first event, and the
	// last it has so far, or ErrNotFound.
	Ends(ctx context.Context, arn string) (x Execution, first, last engine.Event, err error)
	// List returns executions, the newest first, each with its place.
	List(ctx context.Context, q Query) iter.Seq2[Listed, error]
	// History returns an execution's events in order of Seq, those of the engine's
	// own included, from the one numbered from on (forward), or from it downwards.
	// from 0 means the first, or the last.
	History(ctx context.Context, arn string, from int64, reverse bool) iter.Seq2[engine.Event, error]
}

// Listed is an execution with its place in a list.
type Listed struct {
	Execution
	Mark Mark
}

// Programs gives drivers what an execution runs.
type Programs interface {
	// Program returns a revision's program and role. It must be the same for ever.
	Program(ctx context.Context, revision string) (Revision, *asl.Program, error)
}

// Secrets is what Programs may have besides: the key that task tokens are sealed
// with. It must be the same for ever.
type Secrets interface {
	Secret(ctx context.Context) ([]byte, error)
}

// Refuser is what Programs and Invokers may be besides: they may say why a task
// cannot be scheduled, as [engine.Config.Refuse] has it.
type Refuser interface {
	Refuse(part *asl.TaskPart, args value.Value) string
}
