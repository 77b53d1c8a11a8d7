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
	At     int64 // milliseconds of the Unix epoch
	Thread int32 // the top level is 0; every branch and iteration has its own
	Type   EventType
	State  string      // name of the state it is about, "" if none
	Data   value.Value // input, output or parameters, whichever the type has
	More   *Detail     // what few types have
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
	RoleARN          string // Credentials, or the execution's
	Worker           string
	Index            int64 // of a Map iteration
	Length           int64 // of a Map's items
	MapRunARN        string
	RedriveCount     int64

	// The engine's own.
	Ref   int64 // the task, timer or thread that it is about
	Due   int64 // when a timer is to fire: milliseconds of the Unix epoch
	Token string
}

// EventType is an event's type. Those with a name of AWS's are HistoryEventType;
// the engine's own come after them and are never shown.
type EventType uint8
