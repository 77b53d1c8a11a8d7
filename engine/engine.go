// Package engine runs a Program. It does no I/O, starts no goroutine and reads
// no clock: a driver feeds it Inputs and carries out the Effects it returns.
//
// The contract, for every Batch that Step returns:
//
//  1. append Batch.Events to durable storage, all or none;
//  2. only then perform Batch.Effects, in any order, at least once each;
//  3. feed what came of them back through Step.
//
// Step decides; apply changes. Nothing but apply writes to an Execution, so
// replaying the events rebuilds it exactly, and the effects that have no
// outcome yet can be asked for again (Execution.Pending).
//
// Every Step is bounded in events, effects and bytes. A run that is longer goes
// on by an Again effect, which the driver answers with the Continue input.
//
// A batch that could not be made durable is as if it had never been: the driver
// drops the Execution and replays what the storage has. It must do so too after
// an error of Step, which is a bug of ours and never a workflow's failure.
package engine

import (
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// Config is what stays the same for the whole life of an execution.
type Config struct {
	Program *asl.Program

	ExecutionARN string
	Name         string // of the execution
	MachineARN   string // without qualifier
	MachineName  string
	VersionARN   string // "" if not started through one
	AliasARN     string // "" if not started through one
	RoleARN      string
	Express      bool
	Sync         bool // StartSyncExecution: the context object has no RedriveCount

	Seed   uint64 // of $random, $uuid and jitter
	Limits Limits

	// Token makes the task token of task. It must be a function of its argument and of what the
	// execution is, and hard to guess. nil: tokens made of Seed, for tests and runs in process.
	Token func(task int64) string

	// Refuse says why a task cannot even be scheduled with these arguments: the words of a States.Runtime
	// ("The Parameters '…' could not be used to start the Task: […]", "The activity … does not exist."), or ""
	// if it can. It is asked when a Step decides, never on replay. nil: every task can.
	Refuse func(part *asl.TaskPart, args value.Value) string
}

// Limits are AWS's quotas, each a setting.
// 0 means that there is none.
type Limits struct {
	Events   int64         // history events
	DataSize int           // bytes of a task's, state's or execution's input and output
	Duration time.Duration // of the execution

	// Whatever a Map's MaxConcurrency says:
	Iterations  int   // of one inline Map at a time
	Children    int   // of one Map Run at a time
	RunRedrives int64 // of one Map Run
}

// StandardLimits are AWS's limits of a Standard execution.
func StandardLimits() Limits {
	return mapLimits(Limits{Events: 25_000, DataSize: 256 << 10, Duration: 365 * 24 * time.Hour})
}

// ExpressLimits are AWS's limits of an Express execution.
func ExpressLimits() Limits {
	return mapLimits(Limits{DataSize: 256 << 10, Duration: 5 * time.Minute})
}

// mapLimits is l with AWS's limits of Maps, which are the same for all.
func mapLimits(l Limits) Limits {
	l.Iterations, l.Children, l.RunRedrives = 40, 10_000, 1000
	return l
}

// What one Step may do before it asks to be continued. Ending a Parallel or Map
// state early is one act, which may add two events for each of its threads.
const (
	MaxStepEvents  = 1024
	MaxStepEffects = 128
	MaxStepBytes   = 4 << 20 // of the documents in the events
)

// MaxThreads is how many branches and iterations may run at a time before every
// further Map state runs its iterations one after the other, whatever the limits.
const MaxThreads = 4096

// Input is something that happened outside.
//
//sumtype:decl
type Input interface{ input() }

type (
	// Start begins the execution. Without input it is {}.
	Start struct{ Input value.Value }
	// TaskStarted says that a worker took an activity's task.
	TaskStarted struct {
		Task   int64
		Worker string
	}
	// TaskSubmitted says that a .sync or .waitForTaskToken call went out.
	TaskSubmitted struct {
		Task   int64
		Output value.Value
	}
	// TaskDone is a task's success.
	TaskDone struct {
		Task   int64
		Output value.Value
	}
	// TaskFailed is a task's failure.
	TaskFailed struct {
		Task    int64
		Failure Failure
	}
	// TaskHeartbeat is a sign of life of a task. It counts only where the state
	// has HeartbeatSeconds.
	TaskHeartbeat struct{ Task int64 }
	// TimerFired says that the time of a Sleep has come.
	TimerFired struct{ Timer int64 }
	// ChildDone says how a child of a Map Run ended. It counts only for the
	// attempt that is under way.
	ChildDone struct {
		Run     int64
		Child   int32
		Attempt int32
		Status  Status
		Output  value.Value // Succeeded
	}
	// RunFailed says that a Map Run cannot go on.
	RunFailed struct {
		Run     int64
		Failure Failure
	}
	// UpdateRun is UpdateMapRun. A nil member stays as it is.
	UpdateRun struct {
		Run                 int64
		MaxConcurrency      *int64
		ToleratedCount      *int64
		ToleratedPercentage *float64
	}
	// Continue answers a Continue effect.
	Continue struct{}
	// Stop is StopExecution.
	Stop struct{ Error, Cause *string }
	// Redrive lets an execution that ended without success go on where it failed.
	// Token is the client's, to be found in the ExecutionRedriven event.
	Redrive struct{ Token string }
)

func (Start) input()         {}
func (TaskStarted) input()   {}
func (TaskSubmitted) input() {}
func (TaskDone) input()      {}
func (TaskFailed) input()    {}
func (TaskHeartbeat) input() {}
func (TimerFired) input()    {}
func (ChildDone) input()     {}
func (RunFailed) input()     {}
func (UpdateRun) input()     {}
func (Redrive) input()       {}
func (Continue) input()      {}
func (Stop) input()          {}

// Effect is work the driver must do once the batch is durable.
//
//sumtype:decl
type Effect interface{ effect() }

type (
	// Invoke performs a task. Task is unique in the execution, and with the
	// execution's ARN the stable id of the effect: its idempotency token.
	Invoke struct {
		Task    int64
		State   string
		Part    *asl.TaskPart
		Args    value.Value
		RoleARN string    // of Credentials; "" for the machine's own
		Token   string    // task token, where the pattern has one or the arguments name it
		Attempt int       // 0 first
		Until   time.Time // when it times out; zero: not at all

		// What is already known, when Pending asks again: a worker has taken an activity's task; the call
		// went out and answered Job, so that only the job's end or the token's answer is awaited.
		Started   bool
		Submitted bool
		Job       value.Value
	}
	// Sleep asks for TimerFired at a time. One with a Timer that is already
	// asleep moves it. TimerFired may come late, and is harmless when early.
	Sleep struct {
		Timer int64
		Until time.Time
	}
	// Cancel says that nobody waits for these any more: a task's work may be
	// stopped, a timer forgotten. An outcome that comes all the same is ignored.
	Cancel struct{ Task, Timer int64 } // one of them is 0
	// StartChild has an item, or a batch of them, of a distributed Map processed
	// by an execution of its own, whose end comes back as ChildDone. Its ARN,
	// which the driver makes of MapRunARN and Name, is the stable id of the effect.
	StartChild struct {
		Run       int64 // unique in the execution
		Child     int32 // unique in the run
		Attempt   int32 // 0: it is to be started; else it is to be redriven for that time
		State     string
		MapRunARN string
		Label     string
		Name      string // of the child
		Items     int64
		// Input is what it starts with; Undefined if it has been asked for before, so
		// that only a driver that finds no such execution has to ask ChildInput.
		Input value.Value
	}
	// StopRun says that nobody waits for a Map Run's children any more: those that
	// run are to be stopped.
	StopRun struct{ Run int64 }
	// Again asks for a Continue input: the run is longer than one Step may be.
	// It is the last effect of its batch.
	Again struct{}
	// Finish says that the execution has ended; nothing follows unless it is
	// redriven, and what is still under way is cancelled by it.
	Finish struct {
		Status Status
		Output value.Value // Succeeded
		Error  *string
		Cause  *string
	}
)

func (Invoke) effect() {}
func (Sleep) effect()  {}
func (Cancel) effect() {}

func (StartChild) effect() {}
func (StopRun) effect()    {}

func (Again) effect()  {}
func (Finish) effect() {}

// Status is an execution's status.
type Status uint8

// The statuses.
const (
	Running Status = iota
	Succeeded
	Failed
	TimedOut
	Aborted
	PendingRedrive
)

func (s Status) String() string {
	return [...]string{"RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"}[s]
}

// Failure is how a workflow fails: data, not a Go error. A nil member is one
// that was not given.
type Failure struct{ Error, Cause *string }

// Batch is what one Step decided.
type Batch struct {
	Events  []Event
	Effects []Effect

	// Largest is the size in bytes, near enough, of the largest document that was
	// held against Limits.DataSize.
	Largest int
}
