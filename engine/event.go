package engine

import (
	"time"

	"tokaido/value"
)

// Event is one thing that happened to an execution. Events are the truth: an
// Execution is what its events make of it, and GetExecutionHistory is a
// projection of those that have an ID.
type Event struct {
	Seq    int64 // 1, 2, 3, … without gaps: the order in the journal
	ID     int64 // in the history, from 1 without gaps; 0: the engine's own, not shown
	Prev   int64 // previousEventId
	At     int64 // milliseconds of the Unix epoch; never less than the event's before
	Ref    int64 // the task (its outcomes), the timer, the thread of the state (a Map iteration) or the Map Run that it is about
	Thread int32 // the top level is 0; every branch and iteration has its own, never used twice
	Index  int32 // of a Map iteration; of a Map Run's child; of the retrier (RetryScheduled); number of branches (ParallelStateStarted); 1: from the beginning (ExecutionRedriven)
	Type   EventType
	State  string      // name of the state it is about, "" if none
	Data   value.Value // input, output or parameters, whichever the type has; a Map's items or the branches' input, if not the state's own
	More   *Detail     // what few types have; events may share one, nobody changes it
}

// Time is At as a time.
func (e *Event) Time() time.Time { return time.UnixMilli(e.At).UTC() }

// Detail is what few event types have.
type Detail struct {
	Error, Cause     *string
	Location         string      // EvaluationFailed
	Vars             value.Value // assigned variables: an object
	ResourceType     string
	Resource         string
	Region           string
	TimeoutSeconds   int64 // 0: not declared
	HeartbeatSeconds int64
	RoleARN          string // Credentials
	Worker           string
	Length           int64 // of a Map's items
	MapRunARN        string
	RedriveCount     int64

	// The engine's own.
	Due   int64        // when a timer is to fire: milliseconds of the Unix epoch
	Token string       // of a task; the client's, of an ExecutionRedriven
	Run   *RunSettings // MapRunStarted, MapRunUpdated
}

// RunSettings are what a Map Run goes by. All but the batches can be changed
// while it runs.
type RunSettings struct {
	MaxConcurrency      int64   // 0: its own limit
	ToleratedCount      int64   // of failed items
	ToleratedPercentage float64 // of failed items

	BatchItems int64       // in one child at most; 0: as many as fit
	BatchBytes int64       // of a child's input at most; 0: not batched
	BatchInput value.Value // what every batch has besides its items
}

// EventType is an event's type. Those with a name of AWS's are HistoryEventType;
// the engine's own come after them and are never shown. The numbers are stored:
// new types go to the end.
type EventType uint8

// AWS's event types. Those of tasks that call a service have the prefix Service
// here, because TaskFailed and its like are Inputs; AWS has it without.
const (
	ActivityFailed EventType = iota + 1
	ActivityScheduled
	ActivityScheduleFailed
	ActivityStarted
	ActivitySucceeded
	ActivityTimedOut
	ChoiceStateEntered
	ChoiceStateExited
	ExecutionAborted
	ExecutionFailed
	ExecutionStarted
	ExecutionSucceeded
	ExecutionTimedOut
	FailStateEntered
	LambdaFunctionFailed
	LambdaFunctionScheduled
	LambdaFunctionScheduleFailed
	LambdaFunctionStarted
	LambdaFunctionStartFailed
	LambdaFunctionSucceeded
	LambdaFunctionTimedOut
	MapIterationAborted
	MapIterationFailed
	MapIterationStarted
	MapIterationSucceeded
	MapStateAborted
	MapStateEntered
	MapStateExited
	MapStateFailed
	MapStateStarted
	MapStateSucceeded
	ParallelStateAborted
	ParallelStateEntered
	ParallelStateExited
	ParallelStateFailed
	ParallelStateStarted
	ParallelStateSucceeded
	PassStateEntered
	PassStateExited
	SucceedStateEntered
	SucceedStateExited
	ServiceTaskFailed
	ServiceTaskScheduled
	ServiceTaskStarted
	ServiceTaskStartFailed
	TaskStateAborted
	TaskStateEntered
	TaskStateExited
	ServiceTaskSubmitFailed
	ServiceTaskSubmitted
	ServiceTaskSucceeded
	ServiceTaskTimedOut
	WaitStateAborted
	WaitStateEntered
	WaitStateExited
	MapRunAborted
	MapRunFailed
	MapRunStarted
	MapRunSucceeded
	ExecutionRedriven
	MapRunRedriven
	EvaluationFailed
)

// The engine's own event types, from 128 on so that AWS may add to its own.
const (
	// WaitScheduled says until when a Wait state waits (More.Due).
	WaitScheduled EventType = iota + 128
	// RetryScheduled says when a failed state's work is done again (More.Due).
	RetryScheduled
	// TaskBeat is a sign of life of a task: its next one is due at More.Due.
	TaskBeat
	// BranchSucceeded is the end of a Parallel state's branch.
	BranchSucceeded
	// ChildStarted says that a Map Run's child (Index) is to run, for More.Length
	// items (1 without More) if it never did. Ref is the run: the Seq of its
	// MapRunStarted.
	ChildStarted
	// These are how a child ended. Data is its output, unless the outputs have
	// become too large together.
	ChildSucceeded
	ChildFailed
	ChildTimedOut
	ChildAborted
	// MapRunUpdated says what a Map Run goes by from now on (More.Run).
	MapRunUpdated
)

var typeNames = [...]string{
	ActivityFailed:               "ActivityFailed",
	ActivityScheduled:            "ActivityScheduled",
	ActivityScheduleFailed:       "ActivityScheduleFailed",
	ActivityStarted:              "ActivityStarted",
	ActivitySucceeded:            "ActivitySucceeded",
	ActivityTimedOut:             "ActivityTimedOut",
	ChoiceStateEntered:           "ChoiceStateEntered",
	ChoiceStateExited:            "ChoiceStateExited",
	ExecutionAborted:             "ExecutionAborted",
	ExecutionFailed:              "ExecutionFailed",
	ExecutionStarted:             "ExecutionStarted",
	ExecutionSucceeded:           "ExecutionSucceeded",
	ExecutionTimedOut:            "ExecutionTimedOut",
	FailStateEntered:             "FailStateEntered",
	LambdaFunctionFailed:         "LambdaFunctionFailed",
	LambdaFunctionScheduled:      "LambdaFunctionScheduled",
	LambdaFunctionScheduleFailed: "LambdaFunctionScheduleFailed",
	LambdaFunctionStarted:        "LambdaFunctionStarted",
	LambdaFunctionStartFailed:    "LambdaFunctionStartFailed",
	LambdaFunctionSucceeded:      "LambdaFunctionSucceeded",
	LambdaFunctionTimedOut:       "LambdaFunctionTimedOut",
	MapIterationAborted:          "MapIterationAborted",
	MapIterationFailed:           "MapIterationFailed",
	MapIterationStarted:          "MapIterationStarted",
	MapIterationSucceeded:        "MapIterationSucceeded",
	MapStateAborted:              "MapStateAborted",
	MapStateEntered:              "MapStateEntered",
	MapStateExited:               "MapStateExited",
	MapStateFailed:               "MapStateFailed",
	MapStateStarted:              "MapStateStarted",
	MapStateSucceeded:            "MapStateSucceeded",
	ParallelStateAborted:         "ParallelStateAborted",
	ParallelStateEntered:         "ParallelStateEntered",
	ParallelStateExited:          "ParallelStateExited",
	ParallelStateFailed:          "ParallelStateFailed",
	ParallelStateStarted:         "ParallelStateStarted",
	ParallelStateSucceeded:       "ParallelStateSucceeded",
	PassStateEntered:             "PassStateEntered",
	PassStateExited:              "PassStateExited",
	SucceedStateEntered:          "SucceedStateEntered",
	SucceedStateExited:           "SucceedStateExited",
	ServiceTaskFailed:            "TaskFailed",
	ServiceTaskScheduled:         "TaskScheduled",
	ServiceTaskStarted:           "TaskStarted",
	ServiceTaskStartFailed:       "TaskStartFailed",
	TaskStateAborted:             "TaskStateAborted",
	TaskStateEntered:             "TaskStateEntered",
	TaskStateExited:              "TaskStateExited",
	ServiceTaskSubmitFailed:      "TaskSubmitFailed",
	ServiceTaskSubmitted:         "TaskSubmitted",
	ServiceTaskSucceeded:         "TaskSucceeded",
	ServiceTaskTimedOut:          "TaskTimedOut",
	WaitStateAborted:             "WaitStateAborted",
	WaitStateEntered:             "WaitStateEntered",
	WaitStateExited:              "WaitStateExited",
	MapRunAborted:                "MapRunAborted",
	MapRunFailed:                 "MapRunFailed",
	MapRunStarted:                "MapRunStarted",
	MapRunSucceeded:              "MapRunSucceeded",
	ExecutionRedriven:            "ExecutionRedriven",
	MapRunRedriven:               "MapRunRedriven",
	EvaluationFailed:             "EvaluationFailed",

	WaitScheduled:   "WaitScheduled",
	RetryScheduled:  "RetryScheduled",
	TaskBeat:        "TaskBeat",
	BranchSucceeded: "BranchSucceeded",
	ChildStarted:    "ChildStarted",
	ChildSucceeded:  "ChildSucceeded",
	ChildFailed:     "ChildFailed",
	ChildTimedOut:   "ChildTimedOut",
	ChildAborted:    "ChildAborted",
	MapRunUpdated:   "MapRunUpdated",
}

// String is the type's name as AWS spells it.
func (t EventType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// Internal reports whether the type is the engine's own, which no history shows.
func (t EventType) Internal() bool { return t >= WaitScheduled }

// known reports whether there is such a type.
func (t EventType) known() bool { return t.String() != "" }

// Closes reports whether an event of the type ends the execution.
func (t EventType) Closes() bool {
	switch t {
	case ExecutionSucceeded, ExecutionFailed, ExecutionTimedOut, ExecutionAborted:
		return true
	}
	return false
}
