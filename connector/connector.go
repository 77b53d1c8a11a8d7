// Package connector performs Tasks: it says what each Task resource does, and
// does it as the execution's role, through the gate.
//
// What a Task needs that a client's own call needs too is written once, here:
// Inference is also what awsapi/bedrockrt calls. The package refuses a Task
// whose integration, or a member of whose arguments, it does not act on.
package connector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"tokaido/asl"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/principal"
	"tokaido/value"
)

// Table says who performs a Task, by the service and the action of its resource:
// "bedrock:invokeModel", "aws-sdk:bedrockruntime:converse".
type Table map[string]flow.Invoker

var _ flow.Invoker = Table(nil)

// Invoke implements [flow.Invoker].
func (t Table) Invoke(ctx context.Context, task flow.Task) (value.Value, error) {
	if task.Part == nil {
		return value.Value{}, errors.New("a task without its part of the program")
	}
	p, ok := t[task.Part.Service+":"+task.Part.Action]
	if !ok {
		return value.Value{}, &flow.TaskError{Name: "States.TaskFailed", Cause: fmt.Sprintf("The resource '%s' is not supported by this server.", task.Part.Resource)}
	}
	if task.Part.Pattern != asl.RequestResponse {
		return value.Value{}, &flow.TaskError{Name: "States.TaskFailed", Cause: fmt.Sprintf("The integration pattern of '%s' is not supported by this server.", task.Part.Resource)}
	}
	return p.Invoke(ctx, task)
}

// Roles assumes execution roles; principal.Directory does.
type Roles interface {
	// AssumeForService returns who a service is once it has assumed a role, if the
	// role trusts it. Its faults are those of sts:AssumeRole.
	AssumeForService(ctx context.Context, roleARN, service, sourceARN, sourceAccount, session string, now time.Time) (*principal.Principal, error)
}

const statesService = "states.amazonaws.com"

// assume is the principal that a task acts as.
func assume(ctx context.Context, roles Roles, t *flow.Task) (*principal.Principal, error) {
	by, err := roles.AssumeForService(ctx, t.RoleARN, statesService, t.MachineARN, t.Account, SessionName(t.ExecutionName), time.Now())
	if _, ok := errors.AsType[*fault.Error](err); ok {
		cause := fmt.Sprintf("Neither the global service principal %s, nor the regional one is authorized to assume the provided role.", statesService)
		if t.Invoke.RoleARN != "" { // of the state's Credentials
			cause = fmt.Sprintf("The role is not authorized to assume the task state's role, %s.", t.RoleARN)
		}
		return nil, &flow.TaskError{Name: "States.TaskFailed", Cause: cause}
	}
	return by, err
}

var notSession = regexp.MustCompile(`[^\w+=,.@-]`)

const maxSession = 64 // characters in the name of a role's session

// SessionName is an execution's name as the name of its role's session, which
// has fewer characters and is shorter.
func SessionName(execution string) string {
	s := notSession.ReplaceAllString(execution, "_")
	if len(s) > maxSession {
		s = s[:maxSession]
	}
	if len(s) < 2 {
		s += "__"[len(s):]
	}
	return s
}

// failed is a fault as a workflow sees it: the exception's name after the
// integration's prefix, and the words of AWS's SDK for Java.
func failed(err error, prefix, service, requestID string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	return &flow.TaskError{
		Name:  prefix + "." + f.Code,
		Cause: fmt.Sprintf("%s (Service: %s, Status Code: %d, Request ID: %s) (SDK Attempt Count: 1)", f.Message, service, status(f), requestID),
	}
}

func status(f *fault.Error) int {
	switch {
	case f.Auth:
		return http.StatusForbidden
	case f.Status != 0:
		return f.Status
	case f.Kind == fault.Server:
		return http.StatusInternalServerError
	case f.Kind == fault.Throttle:
		return http.StatusTooManyRequests
	}
	return http.StatusBadRequest
}

// unusable refuses arguments that no request can be made of.
func unusable(t *flow.Task, format string, args ...any) error {
	return &flow.TaskError{
		Name:  "States.Runtime",
		Cause: fmt.Sprintf("The Parameters '%s' could not be used to start the Task: [%s]", t.Args.JSON(), fmt.Sprintf(format, args...)),
	}
}

// only refuses members that are not acted on.
func only(t *flow.Task, known ...string) error {
	if !t.Args.IsObject() {
		return unusable(t, "The parameters are not an object")
	}
next:
	for name := range t.Args.Members() {
		for _, k := range known {
			if name == k {
				continue next
			}
		}
		return unusable(t, "The field %q is not supported by this server", name)
	}
	return nil
}

// meta is where a Task's call comes from: a request of its own.
func meta(t *flow.Task, host, requestID string) gate.Meta {
	return gate.Meta{
		RequestID: requestID, SourceIP: statesService, UserAgent: statesService, TLS: true,
		Host: strings.ReplaceAll(host, "{region}", t.Region),
	}
}
