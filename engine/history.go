package engine

import (
	"strings"

	"tokaido/value"
)

// Details is the part of an event that depends on its type, as
// GetExecutionHistory has it: the name of the member ("taskFailedEventDetails")
// and its object. The name is "" for types that have none. Documents are their
// JSON text in a string. Without data, inputs, outputs and assigned variables
// are left out.
func (c *Config) Details(e *Event, data bool) (name string, d value.Value) {
	b := details{e: e, data: data, more: e.More}
	if b.more == nil {
		b.more = &Detail{}
	}
	switch e.Type {
	case ExecutionStarted:
		b.doc("input")
		b.text("roleArn", c.RoleARN)
		b.text("stateMachineAliasArn", c.AliasARN)
		b.text("stateMachineVersionArn", c.VersionARN)
	case ExecutionRedriven:
		b.number("redriveCount", b.more.RedriveCount)
	case PassStateEntered, TaskStateEntered, ChoiceStateEntered, WaitStateEntered,
		SucceedStateEntered, FailStateEntered, ParallelStateEntered, MapStateEntered:
		b.text("name", e.State)
		b.doc("input")
	case PassStateExited, TaskStateExited, ChoiceStateExited, WaitStateExited,
		SucceedStateExited, ParallelStateExited, MapStateExited:
		b.text("name", e.State)
		b.doc("output")
		b.variables()
	case ServiceTaskScheduled:
		b.resource()
		b.text("region", b.more.Region)
		if data {
			b.add("parameters", value.String(e.Data.JSON()))
		}
		b.times()
	case ServiceTaskStarted:
		b.resource()
	case ServiceTaskSubmitted, ServiceTaskSucceeded:
		b.resource()
		b.doc("output")
	case ServiceTaskFailed, ServiceTaskTimedOut, ServiceTaskStartFailed, ServiceTaskSubmitFailed:
		b.resource()
		b.failure()
	case LambdaFunctionScheduled, ActivityScheduled:
		b.text("resource", b.more.Resource)
		b.doc("input")
		b.times()
	case ActivityStarted:
		b.text("workerName", b.more.Worker)
	case MapStateStarted:
		b.number("length", b.more.Length)
	case MapIterationStarted, MapIterationSucceeded, MapIterationFailed, MapIterationAborted:
		b.text("name", e.State)
		b.number("index", int64(e.Index))
	case MapRunStarted:
		b.text("mapRunArn", b.more.MapRunARN)
	case MapRunRedriven:
		b.text("mapRunArn", b.more.MapRunARN)
		b.number("redriveCount", b.more.RedriveCount)
	case EvaluationFailed:
		b.failure()
		b.text("location", b.more.Location)
		b.text("state", e.State)
	case ExecutionSucceeded, LambdaFunctionSucceeded, ActivitySucceeded:
		b.doc("output")
	case ExecutionFailed, ExecutionTimedOut, ExecutionAborted,
		LambdaFunctionFailed, LambdaFunctionTimedOut, LambdaFunctionScheduleFailed, LambdaFunctionStartFailed,
		ActivityFailed, ActivityTimedOut, ActivityScheduleFailed, MapRunFailed:
		b.failure()
	default:
		return "", value.Value{}
	}
	return detailsNames[e.Type], value.Object(b.m...)
}

// detailsNames are the members that the details of each type stand in.
var detailsNames = func() (names [len(typeNames)]string) {
	for i, name := range typeNames {
		switch t := EventType(i); {
		case name == "" || t.Internal():
			continue
		case t.enters():
			name = "StateEntered"
		case t.exits():
			name = "StateExited"
		}
		names[i] = strings.ToLower(name[:1]) + name[1:] + "EventDetails"
	}
	return names
}()

// details builds the object of Details.
type details struct {
	e    *Event
	more *Detail
	data bool
	m    []value.Member
}

func (b *details) add(key string, v value.Value) {
	b.m = append(b.m, value.Member{Key: key, Value: v})
}

// text adds a string that is there.
func (b *details) text(key, s string) {
	if s != "" {
		b.add(key, value.String(s))
	}
}

func (b *details) number(key string, n int64) { b.add(key, value.Int(n)) }

// whole says that a document is given in full, as the API always does.
func (b *details) whole(key string) {
	b.add(key, value.Object(value.Member{Key: "truncated", Value: value.Bool(false)}))
}

// doc adds the event's document.
func (b *details) doc(key string) {
	if b.data {
		b.add(key, value.String(b.e.Data.JSON()))
		b.whole(key + "Details")
	}
}

func (b *details) failure() {
	if b.more.Error != nil {
		b.add("error", value.String(*b.more.Error))
	}
	if b.more.Cause != nil {
		b.add("cause", value.String(*b.more.Cause))
	}
}

func (b *details) resource() {
	b.text("resourceType", b.more.ResourceType)
	b.text("resource", b.more.Resource)
}

// times adds what a task was scheduled with.
func (b *details) times() {
	if n := b.more.TimeoutSeconds; n != 0 {
		b.number("timeoutInSeconds", n)
	}
	if n := b.more.HeartbeatSeconds; n != 0 && b.e.Type != LambdaFunctionScheduled {
		b.number("heartbeatInSeconds", n)
	}
	if b.more.RoleARN != "" && b.e.Type != ActivityScheduled {
		b.add("taskCredentials", value.Object(value.Member{Key: "roleArn", Value: value.String(b.more.RoleARN)}))
	}
}

func (b *details) variables() {
	vars := b.more.Vars
	if !b.data || vars.Len() == 0 {
		return
	}
	m := make([]value.Member, 0, vars.Len())
	for name, v := range vars.Members() {
		m = append(m, value.Member{Key: name, Value: value.String(v.Compact().JSON())})
	}
	b.add("assignedVariables", value.Object(m...))
	b.whole("assignedVariablesDetails")
}
