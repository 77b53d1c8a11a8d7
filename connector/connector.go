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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tokaido/asl"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// Table says who performs a Task, by the service and the action of its resource:
// "bedrock:invokeModel", "aws-sdk:bedrockruntime:converse".
type Table map[string]flow.Invoker

var (
	_ flow.Invoker = Table(nil)
	_ flow.Unabler = Table(nil)
)

// Invoke implements [flow.Invoker].
func (t Table) Invoke(ctx context.Context, task flow.Task) (value.Value, error) {
	if task.Part == nil {
		return value.Value{}, errors.New("a task without its part of the program")
	}
	if why := t.Unable(task.Part); why != "" {
		return value.Value{}, &flow.TaskError{Name: "States.TaskFailed", Cause: why}
	}
	return t[task.Part.Service+":"+task.Part.Action].Invoke(ctx, task)
}

// Unable implements [flow.Unabler].
func (t Table) Unable(part *asl.TaskPart) string {
	p, ok := t[part.Service+":"+part.Action]
	if !ok {
		return fmt.Sprintf("The resource '%s' is not supported by this server.", part.Resource)
	}
	if w, ok := p.(interface{ takes(asl.Pattern) bool }); part.Pattern != asl.RequestResponse && (!ok || !w.takes(part.Pattern)) {
		return fmt.Sprintf("The integration pattern of '%s' is not supported by this server.", part.Resource)
	}
	if l, ok := p.(interface{ missing() string }); ok {
		return l.missing()
	}
	return ""
}

// Roles assumes execution roles; principal.Directory does.
type Roles interface {
	// AssumeForService returns who a service is once it has assumed a role, if the
	// role trusts it. Its faults are those of sts:AssumeRole.
	AssumeForService(ctx context.Context, roleARN, service, sourceARN, sourceAccount, session string, now time.Time) (*principal.Principal, error)

	// AssumeForTask returns who by is once it has assumed a further role, if its
	// policies and the role's trust let it. Its faults are those of sts:AssumeRole;
	// a refusal has the decisions.
	AssumeForTask(ctx context.Context, by *principal.Principal, roleARN, session string, global iam.Context, now time.Time) (*principal.Principal, error)
}

const statesService = "states.amazonaws.com"

// assume is the principal that a task acts as: the machine's role, which the
// service assumes, or the one that the state's Credentials name, which the
// machine's role assumes. The service never assumes that one itself: whoever may
// make a machine with one role could act as every other that trusts the service.
func assume(ctx context.Context, g *gate.Gate, roles Roles, t *flow.Task) (*principal.Principal, error) {
	role, session := t.RoleARN, SessionName(t.ExecutionName)
	if t.Invoke.RoleARN != "" {
		role = t.MachineRole
	}
	machine, _, _ := strings.Cut(t.MachineARN, "/") // without the label of a Map Run: the role is the machine's
	by, err := roles.AssumeForService(ctx, role, statesService, machine, t.Account, session, time.Now())
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return nil, &flow.TaskError{Name: "States.TaskFailed",
			Cause: fmt.Sprintf("Neither the global service principal %s, nor the regional one is authorized to assume the provided role.", statesService)}
	}
	if err != nil || t.Invoke.RoleARN == "" {
		return by, err
	}
	// Needs is empty: AssumeForTask decides, which has the role's trust, and what it
	// decided is recorded here.
	as, err := gate.Do(ctx, g, gate.Call{
		By: by, Source: "sts.amazonaws.com", Name: "AssumeRole", Region: t.Region, Meta: meta(t, stsHost, uuid.NewString()),
		Request: value.Object(
			value.Member{Key: "roleArn", Value: value.String(t.RoleARN)}, value.Member{Key: "roleSessionName", Value: value.String(session)}),
		Resources: []trail.Resource{{Type: "AWS::IAM::Role", Name: t.RoleARN}},
		Workflow:  gate.Workflow{ExecutionARN: t.ExecutionARN, State: t.State},
	}, func(ctx context.Context, a *gate.Act) (*principal.Principal, error) {
		as, err := roles.AssumeForTask(ctx, by, t.RoleARN, session, global(t), time.Now())
		if err == nil {
			a.Respond(value.Object(value.Member{Key: "assumedRoleUser", Value: value.Object(
				value.Member{Key: "assumedRoleId", Value: value.String(as.ID)}, value.Member{Key: "arn", Value: value.String(as.ARN)})}))
		}
		return as, err
	})
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return nil, &flow.TaskError{Name: "States.TaskFailed", Cause: fmt.Sprintf("The role is not authorized to assume the task state's role, %s.", t.RoleARN)}
	}
	return as, err
}

const stsHost = "sts.{region}.amazonaws.com"

// global is what is known of every call that a task makes.
func global(t *flow.Task) iam.Context {
	now := time.Now()
	return append(slices.Clone(secure),
		iam.Attribute{Key: "aws:RequestedRegion", Values: []string{t.Region}},
		iam.Attribute{Key: "aws:CurrentTime", Values: []string{now.UTC().Format(time.RFC3339)}},
		iam.Attribute{Key: "aws:EpochTime", Values: []string{strconv.FormatInt(now.Unix(), 10)}})
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

// integration is what a resource does, and which arguments it cannot do it with.
type integration struct {
	// unusable says what is wrong with arguments, or "". It must follow from them
	// alone: the engine asks when it decides.
	unusable func(args value.Value) string
	perform  func(context.Context, *flow.Task) (value.Value, error)
	lacks    string // of the server's configuration, what it cannot do without; "": nothing
}

// missing is what keeps the integration from doing anything.
func (i integration) missing() string { return i.lacks }

// Invoke implements [flow.Invoker].
func (i integration) Invoke(ctx context.Context, t flow.Task) (value.Value, error) {
	if why := i.Refuse(t.Part, t.Args); why != "" {
		return value.Value{}, &flow.TaskError{Name: "States.Runtime", Cause: why}
	}
	return i.perform(ctx, &t)
}

// Refuse says in AWS's words why a task cannot be started with its arguments.
func (i integration) Refuse(_ *asl.TaskPart, args value.Value) string {
	why := i.unusable(args)
	if why == "" {
		return ""
	}
	return fmt.Sprintf("The Parameters '%s' could not be used to start the Task: [%s]", args.JSON(), why)
}

// Refuse says why a task cannot be scheduled with its arguments, or "".
func (t Table) Refuse(part *asl.TaskPart, args value.Value) string {
	if r, ok := t[part.Service+":"+part.Action].(interface {
		Refuse(part *asl.TaskPart, args value.Value) string
	}); ok {
		return r.Refuse(part, args)
	}
	return ""
}

// only says which member is not acted on.
func only(args value.Value, known ...string) string {
	if !args.IsObject() {
		return "The parameters are not an object"
	}
	for name := range args.Members() {
		if !slices.Contains(known, name) {
			return fmt.Sprintf("The field %q is not supported by this server", name)
		}
	}
	return ""
}

// missing says which member is not there, and wrong which is no string.
func missing(args value.Value, names ...string) string {
	for _, name := range names {
		if v := args.Get(name); v.IsUndefined() || v.IsNull() || v.IsString() && v.Str() == "" {
			return fmt.Sprintf("The field '%s' is required but was missing", name)
		}
	}
	return ""
}

func wrong(args value.Value, names ...string) string {
	for _, name := range names {
		if v := args.Get(name); !v.IsUndefined() && !v.IsString() {
			return fmt.Sprintf("The value of the field '%s' has an invalid format", name)
		}
	}
	return ""
}

// meta is where a Task's call comes from: a request of its own.
func meta(t *flow.Task, host, requestID string) gate.Meta {
	return gate.Meta{
		RequestID: requestID, SourceIP: statesService, UserAgent: statesService, TLS: true,
		Host: strings.ReplaceAll(host, "{region}", t.Region),
	}
}
