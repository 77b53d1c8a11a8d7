package asl

import (
	"iter"
	"time"

	"tokaido/value"
)

// Program is a checked definition. Everything in it has been resolved: every
// Next is a state that exists, every expression is compiled, every constant is
// in its range. It never changes, so any number of executions may share it.
type Program struct {
	Machine
	Language Language
	Timeout  time.Duration // 0: none declared

	// References lists, for each state, the variables that it reads, sorted by
	// state and by name: DescribeStateMachine's variableReferences.
	References []StateReferences

	byName map[string]*State
}

// State returns the state called name, at whatever depth; names are unique in
// a definition.
func (p *Program) State(name string) *State { return p.byName[name] }

// All yields every state at whatever depth, in the order of the document: a
// state comes before those inside of it.
func (p *Program) All() iter.Seq[*State] {
	return func(yield func(*State) bool) { p.Machine.all(yield) }
}

func (m *Machine) all(yield func(*State) bool) bool {
	for _, st := range m.States {
		if !yield(st) {
			return false
		}
		for i := range st.Branches {
			if !st.Branches[i].all(yield) {
				return false
			}
		}
		if st.Map != nil && !st.Map.Processor.all(yield) {
			return false
		}
	}
	return true
}

// Child returns the machine that the iterations of the distributed Map st run
// as executions of their own.
func (p *Program) Child(st *State) *Program {
	return &Program{Machine: st.Map.Processor, Language: p.Language, References: p.References, byName: p.byName}
}

// StateReferences are the variables that one state reads.
type StateReferences struct {
	State     string
	Variables []string
}

// Machine is a set of states with an entrance: the definition itself, a branch
// of a Parallel state, or the processor of a Map state.
type Machine struct {
	StartAt *State
	States  []*State // in the order of the document
}

// Language is a state's query language.
type Language uint8

// The query languages.
const (
	JSONPath Language = iota
	JSONata
)

func (l Language) String() string {
	if l == JSONata {
		return "JSONata"
	}
	return "JSONPath"
}

// Type is a state's type.
type Type uint8

// The state types.
const (
	Pass Type = iota + 1
	Task
	Choice
	Wait
	Succeed
	Fail
	Parallel
	Map
)

func (t Type) String() string {
	return [...]string{"", "Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"}[t]
}

// State is one state. A nil *Field, slice or part means that the definition
// does not have it; which ones a Type may have is the matrix of the language
// (DESIGN of the field matrix: Parse refuses the rest).
type State struct {
	Name     string
	Type     Type
	Language Language
	Next     *State // nil: the state ends its Machine (or is a Choice)

	// JSONPath.
	InputPath      *Field
	Parameters     *Field // Map: the deprecated spelling of ItemSelector is in Map.ItemSelector
	Result         *Field // Pass: a constant
	ResultSelector *Field
	ResultPath     *ResultPath
	OutputPath     *Field

	// JSONata.
	Arguments *Field
	Output    *Field

	// Both.
	Assign []Assignment
	Retry  []Retrier
	Catch  []Catcher

	Task   *TaskPart
	Choice *ChoicePart
	Wait   *WaitPart
	Fail   *FailPart

	Branches []Machine // Parallel
	Map      *MapPart
}

// Assignment sets one variable.
type Assignment struct {
	Name  string
	Value *Field
}

// Retrier is one entry of Retry.
type Retrier struct {
	ErrorEquals []string
	Interval    time.Duration // default 1 s
	MaxAttempts int           // default 3; 0 means never
	BackoffRate float64       // default 2.0
	MaxDelay    time.Duration // 0: none
	FullJitter  bool
}

// Catcher is one entry of Catch.
type Catcher struct {
	ErrorEquals []string
	Next        *State
	ResultPath  *ResultPath // JSONPath
	Output      *Field      // JSONata
	Assign      []Assignment
}

// Pattern is how a Task waits for what it calls.
type Pattern uint8

// The integration patterns.
const (
	RequestResponse  Pattern = iota
	Sync                     // .sync
	Sync2                    // .sync:2
	WaitForTaskToken         // .waitForTaskToken
)

// TaskPart is what only a Task has.
type TaskPart struct {
	Resource string // as written
	Kind     TaskKind
	Service  string // "bedrock", "lambda", "aws-sdk:bedrockruntime": the resourceType of history events
	Action   string // "invokeModel", without the pattern's suffix
	Pattern  Pattern

	Timeout   *Field // TimeoutSeconds or TimeoutSecondsPath
	Heartbeat *Field // HeartbeatSeconds or HeartbeatSecondsPath
	RoleArn   *Field // Credentials
}

// TaskKind says which family of history events a Task writes.
type TaskKind uint8

// The kinds of tasks.
const (
	ServiceTask  TaskKind = iota // arn:aws:states:::…
	LambdaTask                   // a bare function ARN
	ActivityTask                 // an activity ARN
)

// ChoicePart is what only a Choice has.
type ChoicePart struct {
	Rules   []Rule
	Default *State // nil: no rule matching is an error
}

// Rule is one way out of a Choice.
type Rule struct {
	Condition *Condition
	Next      *State
	Assign    []Assignment
	Output    *Field
}

// WaitPart is what only a Wait has: exactly one of its fields, in whichever
// form (constant, path or expression).
type WaitPart struct {
	Seconds   *Field
	Timestamp *Field
}

// FailPart is what only a Fail has.
type FailPart struct{ Error, Cause *Field }

// MapPart is what only a Map has.
type MapPart struct {
	Processor   Machine
	Distributed bool
	Express     bool // ExecutionType of a distributed Map's children

	Items          *Field // Items, or ItemsPath
	ItemSelector   *Field
	MaxConcurrency *Field
	Label          string

	ItemReader                 *Reader
	Batcher                    *Batcher
	ToleratedFailureCount      *Field
	ToleratedFailurePercentage *Field
	ResultWriter               *Writer
}

// Reader is ItemReader.
type Reader struct {
	Resource  string
	Arguments *Field // Parameters in JSONPath
	Config    value.Value
	MaxItems  *Field
}

// Batcher is ItemBatcher.
type Batcher struct {
	MaxItems *Field // MaxItemsPerBatch
	MaxBytes *Field // MaxInputBytesPerBatch
	Input    *Field // BatchInput
}

// Writer is ResultWriter.
type Writer struct {
	Resource  string
	Arguments *Field
	Config    value.Value
}
