package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/value"
)

// Executions are what a Task can do with machines; flow.Service does it.
type Executions interface {
	StartExecution(ctx context.Context, in flow.StartExecution) (flow.Started, error)
	StopExecution(ctx context.Context, arn string, errName, cause *string) (time.Time, error)
	DescribeExecution(ctx context.Context, arn string) (flow.ExecutionDescription, error)
	DescribeStateMachine(ctx context.Context, arn string) (flow.Described, error)
	// Await waits until a Standard execution has ended.
	Await(ctx context.Context, arn string) (flow.Outcome, error)
	Tags(ctx context.Context, arn string) ([]flow.Tag, error)
}

// States performs Tasks that start executions: states:startExecution, alone,
// with .sync and .sync:2, and with a token.
type States struct {
	Gate  *gate.Gate
	Roles Roles

	executions Executions
	bound      chan struct{} // closed when executions is set
}

// NewStates makes one. Its Tasks wait until Bind says where executions are:
// those are made of a driver, which performs Tasks already while it opens.
func NewStates(g *gate.Gate, roles Roles) *States {
	return &States{Gate: g, Roles: roles, bound: make(chan struct{})}
}

// Bind says where executions are. It must be called once.
func (s *States) Bind(x Executions) {
	s.executions = x
	close(s.bound)
}

// AddTo puts the integration in a table.
func (s *States) AddTo(t Table) {
	t["states:startExecution"] = job{tokened{integration{unusable: startable, perform: s.start}}, s.await, []asl.Pattern{asl.Sync, asl.Sync2}, childOf}
}

const (
	statesHost = "states.{region}.amazonaws.com"
	// stopTimeout is how long ending an execution that nobody waits for may take.
	stopTimeout = 10 * time.Second
)

// startable says what keeps arguments from being a StartExecution request.
func startable(args value.Value) string {
	return cmp.Or(
		only(args, "StateMachineArn", "Name", "Input", "TraceHeader"),
		missing(args, "StateMachineArn"),
		wrong(args, "StateMachineArn", "Name", "TraceHeader"))
}

// start is arn:aws:states:::states:startExecution and the call of its patterns.
func (s *States) start(ctx context.Context, t *flow.Task) (value.Value, error) {
	by, err := s.ready(ctx, t)
	if err != nil {
		return value.Value{}, err
	}
	in := flow.StartExecution{
		ARN: t.Args.Get("StateMachineArn").Str(), Name: t.Args.Get("Name").Str(), Trace: cmp.Or(t.Args.Get("TraceHeader").Str(), t.Trace), Origin: t.ID,
	}
	if in.Name == "" {
		// Whoever performs the task again, finds the execution that it has started.
		in.Name = uuid.NewSHA1(executionNames, []byte(t.ID)).String()
	}
	switch v := t.Args.Get("Input"); {
	case v.IsUndefined() || v.IsNull():
	case v.IsString(): // the text itself
		in.Input = new(v.Str())
	default:
		in.Input = new(compact(v))
	}
	target, testCase := flow.CutTestCase(in.ARN)
	ref, err := flow.ParseMachineARN(target)
	id := uuid.NewString()
	if err != nil {
		return value.Value{}, s.failed(err, id)
	}
	c := s.call(t, by, id, "StartExecution", ref.Unqualified)
	if ref.Qualifier != "" {
		c.Needs[0].Context = append(c.Needs[0].Context, iam.Attribute{Key: "states:StateMachineQualifier", Values: []string{ref.Qualifier}, Multi: true})
	}
	if tags, err := s.executions.Tags(ctx, ref.Unqualified); err == nil {
		for _, tag := range tags {
			c.Needs[0].Context = append(c.Needs[0].Context, iam.Attribute{Key: "aws:ResourceTag/" + tag.Key, Values: []string{tag.Value}})
		}
	}
	c.Request = value.Object(value.Member{Key: "stateMachineArn", Value: value.String(in.ARN)}, value.Member{Key: "name", Value: value.String(in.Name)})
	began, err := gate.Do(ctx, s.Gate, c, func(ctx context.Context, a *gate.Act) (flow.Started, error) {
		if waits(t) {
			// Nobody could say how an Express execution ended. That there is no such
			// machine is StartExecution's to say.
			if m, err := s.executions.DescribeStateMachine(ctx, ref.Unqualified); err == nil && m.Express {
				return flow.Started{}, fault.Newf("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")
			}
		}
		// Once it is asked for, it is to be known what it is: it may have to be ended.
		began, err := s.executions.StartExecution(context.WithoutCancel(ctx), in)
		if err == nil {
			a.Respond(value.Object(value.Member{Key: "executionArn", Value: value.String(began.ARN)}))
			if testCase != "" {
				a.Note(value.Member{Key: "testCase", Value: value.String(testCase)})
			}
		}
		return began, err
	})
	if err != nil {
		return value.Value{}, s.failed(err, id)
	}
	body := value.Object(value.Member{Key: "ExecutionArn", Value: value.String(began.ARN)}, value.Member{Key: "StartDate", Value: value.Int(began.Started.UnixMilli())})
	h := http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "Content-Length": {strconv.Itoa(len(body.JSON()))},
		"Date": {began.Started.Format(http.TimeFormat)}, "X-Amzn-Requestid": {id},
	}
	return value.Object(
		body.Member(0),
		value.Member{Key: "SdkHttpMetadata", Value: httpMetadata(http.StatusOK, h)},
		value.Member{Key: "SdkResponseMetadata", Value: responseMetadata(id)},
		body.Member(1)), nil
}

// executionNames is the name space of the names of executions that a task did
// not name.
var executionNames = uuid.MustParse("6f0b2a53-8a0e-5d3f-9a55-1f4b8b1f7c1d")

func waits(t *flow.Task) bool { return t.Part.Pattern == asl.Sync || t.Part.Pattern == asl.Sync2 }

// await is the rest of .sync and .sync:2: the end of the execution that was
// started.
func (s *States) await(ctx context.Context, t *flow.Task, job value.Value) (value.Value, error) {
	child := childOf(job)
	cancelled := func() bool { return errors.Is(context.Cause(ctx), flow.ErrCancelled) }
	select {
	case <-s.bound:
	case <-ctx.Done():
		if !cancelled() {
			return value.Value{}, context.Cause(ctx)
		}
		// It is to be stopped, which those that come up yet can do in a moment.
		select {
		case <-s.bound:
		case <-time.After(stopTimeout):
			return value.Value{}, context.Cause(ctx)
		}
	}
	err := s.ended(ctx, child)
	switch {
	case ctx.Err() == nil && err == nil:
		return s.result(ctx, t, child)
	case ctx.Err() == nil:
		return value.Value{}, s.failed(err, uuid.NewString())
	case cancelled():
		return value.Value{}, s.stop(ctx, t, child)
	}
	return value.Value{}, context.Cause(ctx)
}

// childOf is the execution that a job is.
func childOf(job value.Value) string { return job.Get("ExecutionArn").Str() }

func (s *States) ended(ctx context.Context, child string) error {
	_, err := s.executions.Await(ctx, child)
	return err
}

// result is what the task gets of an execution that has ended.
func (s *States) result(ctx context.Context, t *flow.Task, child string) (value.Value, error) {
	by, err := assume(ctx, s.Gate, s.Roles, t)
	if err != nil {
		return value.Value{}, err
	}
	id := uuid.NewString()
	c := s.call(t, by, id, "DescribeExecution", child)
	c.ReadOnly = true
	d, err := gate.Do(ctx, s.Gate, c, func(ctx context.Context, _ *gate.Act) (flow.ExecutionDescription, error) {
		return s.executions.DescribeExecution(ctx, child)
	})
	if err != nil {
		return value.Value{}, s.failed(err, id)
	}
	if d.Status != engine.Succeeded {
		// The texts are texts here, also for .sync:2.
		return value.Value{}, &flow.TaskError{Name: "States.TaskFailed", Cause: described(&d, false).JSON()}
	}
	return described(&d, t.Part.Pattern == asl.Sync2), nil
}

// stop ends the execution of a task that nobody waits for. A role that may not
// stop it leaves it running.
func (s *States) stop(ctx context.Context, t *flow.Task, child string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	by, err := assume(ctx, s.Gate, s.Roles, t)
	if err != nil {
		return err
	}
	c := s.call(t, by, uuid.NewString(), "StopExecution", child)
	c.Request = value.Object(value.Member{Key: "executionArn", Value: value.String(child)})
	_, err = gate.Do(ctx, s.Gate, c, func(ctx context.Context, _ *gate.Act) (time.Time, error) {
		return s.executions.StopExecution(ctx, child, nil, nil)
	})
	return err
}

// ready waits until there are executions, and assumes the task's role.
func (s *States) ready(ctx context.Context, t *flow.Task) (*principal.Principal, error) {
	select {
	case <-s.bound:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return assume(ctx, s.Gate, s.Roles, t)
}

func (s *States) call(t *flow.Task, by *principal.Principal, id, name, resource string) gate.Call {
	return gate.Call{
		By: by, Source: statesService, Name: name, Region: t.Region,
		Needs:    []iam.Authorization{{Action: "states:" + name, Resource: resource}},
		Meta:     meta(t, statesHost, id),
		Workflow: gate.Workflow{ExecutionARN: t.ExecutionARN, State: t.State},
	}
}

func (s *States) failed(err error, id string) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return classicFailure(f, "StepFunctions", "AWSStepFunctions", statesFaults, id)
	}
	return err
}

// statesFaults are the errors of StartExecution and DescribeExecution that AWS's
// SDK for Java has exceptions for.
var statesFaults = names(`
	ExecutionAlreadyExistsException ExecutionDoesNotExistException ExecutionLimitExceededException InvalidArnException InvalidExecutionInputException
	InvalidNameException KmsAccessDeniedException KmsInvalidStateException KmsThrottlingException StateMachineDeletingException
	StateMachineDoesNotExistException StateMachineTypeNotSupportedException ValidationException`)

// described is an execution that has ended, as DescribeExecution's answer is in a
// workflow: members in order of their names, times in milliseconds. The output
// and input are texts, or what they say.
func described(d *flow.ExecutionDescription, parsed bool) value.Value {
	m := make([]value.Member, 0, 18)
	add := func(key string, v value.Value) { m = append(m, value.Member{Key: key, Value: v}) }
	text := func(key, s string) {
		if s != "" {
			add(key, value.String(s))
		}
	}
	document := func(key string, v value.Value) {
		if !parsed {
			v = value.String(compact(v))
		}
		add(key, v)
		add(key+"Details", value.Object(value.Member{Key: "Included", Value: value.Bool(true)}))
	}
	if d.Cause != nil {
		add("Cause", value.String(*d.Cause))
	}
	if d.Error != nil {
		add("Error", value.String(*d.Error))
	}
	text("ExecutionArn", d.ARN)
	document("Input", d.Input)
	text("Name", d.Name)
	if d.Status == engine.Succeeded {
		document("Output", d.Output)
	}
	add("RedriveCount", value.Int(d.RedriveCount))
	if !d.Redriven.IsZero() {
		add("RedriveDate", value.Int(d.Redriven.UnixMilli()))
	}
	status, reason := d.RedriveStatus()
	text("RedriveStatus", status)
	text("RedriveStatusReason", reason)
	add("StartDate", value.Int(d.Started.UnixMilli()))
	text("StateMachineAliasArn", d.AliasARN)
	text("StateMachineArn", d.MachineARN)
	text("StateMachineVersionArn", d.VersionARN)
	text("Status", d.Status.String())
	add("StopDate", value.Int(d.Stopped.UnixMilli()))
	text("TraceHeader", d.Trace)
	return value.Object(m...)
}

// --- what the integrations that AWS made by hand have in common

// compact is v's text without white space. A document that was put together may
// have it in the parts that came with it, which Compact does not look into.
func compact(v value.Value) string {
	s := v.JSON()
	whole, err := value.ParseString(s)
	if err != nil {
		return s // what was put together is JSON: not reached
	}
	return whole.Compact().JSON()
}

// tokened is an integration that has .waitForTaskToken too: its call is the
// same, and who answers is somebody else's.
type tokened struct{ integration }

func (tokened) takes(p asl.Pattern) bool {
	return p == asl.RequestResponse || p == asl.WaitForTaskToken
}

// job is an integration whose call starts something that can be awaited.
type job struct {
	tokened
	await func(ctx context.Context, t *flow.Task, job value.Value) (value.Value, error)
	sync  []asl.Pattern // of .sync and .sync:2 those that it has

	// child is the ARN of the execution that a job is.
	child func(job value.Value) string
}

func (j job) takes(p asl.Pattern) bool { return j.tokened.takes(p) || slices.Contains(j.sync, p) }

// Await implements [flow.Awaiter].
func (j job) Await(ctx context.Context, t flow.Task, submitted value.Value) (value.Value, error) {
	return j.await(ctx, &t, submitted)
}

// Watched implements [flow.Watcher].
func (t Table) Watched(task flow.Task, submitted value.Value) string {
	if j, ok := t[task.Part.Service+":"+task.Part.Action].(job); ok {
		return j.child(submitted)
	}
	return ""
}

// Job implements [flow.Watcher].
func (t Table) Job(_ flow.Task, execution string) value.Value {
	return value.Object(value.Member{Key: "ExecutionArn", Value: value.String(execution)})
}

// Await implements [flow.Awaiter].
func (t Table) Await(ctx context.Context, task flow.Task, submitted value.Value) (value.Value, error) {
	p, ok := t[task.Part.Service+":"+task.Part.Action].(flow.Awaiter)
	switch {
	case ok && waits(&task):
		return p.Await(ctx, task, submitted)
	case task.Part.Pattern == asl.WaitForTaskToken: // in an execution with a test case: the answer comes by the token
		<-ctx.Done()
		return value.Value{}, context.Cause(ctx)
	}
	return value.Value{}, fmt.Errorf("%s cannot be awaited", task.Part.Resource)
}

// sdkClient is the exception of requests that got no answer.
const sdkClient = "SdkClientException"

// classicFailure is a fault as a workflow sees it in these integrations: in the
// words of the first version of AWS's SDK for Java. An error that the SDK has no
// exception for is the service's own.
func classicFailure(f *fault.Error, prefix, service string, known map[string]bool, requestID string) error {
	if f.Code == sdkClient {
		return &flow.TaskError{Name: prefix + "." + sdkClient, Cause: f.Message}
	}
	if id, ok := f.Detail.(remoteID); ok {
		requestID = cmp.Or(string(id), "null")
	}
	name := f.Code
	if !strings.HasSuffix(name, "Exception") {
		name += "Exception"
	}
	if f.Auth || !known[name] {
		name = service + "Exception"
	}
	return &flow.TaskError{
		Name:  prefix + "." + name,
		Cause: fmt.Sprintf("%s (Service: %s; Status Code: %d; Error Code: %s; Request ID: %s; Proxy: null)", f.Message, service, status(f), f.Code, requestID),
	}
}

// httpMetadata is SdkHttpMetadata: an answer's headers twice, and its status.
func httpMetadata(status int, h http.Header) value.Value {
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	all, one := make([]value.Member, 0, len(keys)), make([]value.Member, 0, len(keys))
	for _, k := range keys {
		name, list := spelled(k), make([]value.Value, 0, 1)
		for _, v := range h[k] {
			list = append(list, value.String(v))
		}
		all = append(all, value.Member{Key: name, Value: value.Array(list...)})
		one = append(one, value.Member{Key: name, Value: value.String(h.Get(k))})
	}
	return value.Object(
		value.Member{Key: "AllHttpHeaders", Value: value.Object(all...)},
		value.Member{Key: "HttpHeaders", Value: value.Object(one...)},
		value.Member{Key: "HttpStatusCode", Value: value.Int(int64(status))})
}

// spelled is a header's name as AWS spells it; net/http has only one spelling.
func spelled(name string) string {
	switch name {
	case "X-Amzn-Requestid":
		return "x-amzn-RequestId"
	case "X-Amzn-Remapped-Content-Length":
		return "x-amzn-Remapped-Content-Length"
	}
	return name
}

// responseMetadata is SdkResponseMetadata.
func responseMetadata(requestID string) value.Value {
	return value.Object(value.Member{Key: "RequestId", Value: value.String(requestID)})
}
