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
// on by a Continue effect, which the driver answers with the Continue input.
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
}

// Limits are AWS's quotas, each a setting.
type Limits struct {
	Events   int64         // history events; 0: none
	DataSize int           // bytes of a task's, state's or execution's input and output
	Duration time.Duration // of the execution
}

// Input is something that happened outside.
//
//sumtype:decl
type Input interface{ input() }

type (
	// Start begins the execution.
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
	// TaskHeartbeat is a sign of life of a task.
	TaskHeartbeat struct{ Task int64 }
	// TimerFired says that the time of a Sleep has come.
	TimerFired struct{ Timer int64 }
	// Continue answers a Continue effect.
	Continue struct{}
	// Stop is StopExecution.
	Stop struct{ Error, Cause *string }
)

func (Start) input()         {}
func (TaskStarted) input()   {}
func (TaskSubmitted) input() {}
func (TaskDone) input()      {}
func (TaskFailed) input()    {}
func (TaskHeartbeat) input() {}
func (TimerFired) input()    {}
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
		RoleARN string // of Credentials; "" for the machine's own
		Token   string // task token, where the pattern has one
		Attempt int    // 0 first
	}
	// Sleep asks for TimerFired at a time.
	Sleep struct {
		Timer int64
		Until time.Time
	}
	// Cancel says that nobody waits for these any more: a task's work may be
	// stopped, a timer forgotten. An outcome that comes all the same is ignored.
	Cancel struct{ Task, Timer int64 } // one of them is 0
	// Again asks for a Continue input: the run is longer than one Step may be.
	Again struct{}
	// Finish says that the execution has ended; nothing follows.
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
}
