package sfn

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"tokaido/awsapi"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/iam"
	"tokaido/store/memory"
	"tokaido/value"
)

const (
	account = "123456789012"
	region  = "us-east-1"
)

// api is the operations over a store in memory, without front door and gate.
type api struct {
	t   *testing.T
	svc *flow.Service
	ops map[string]*awsapi.Op
	// needs are those of the last call.
	needs []iam.Authorization
}

func newAPI(t *testing.T) *api {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	store := memory.New()
	lib := flow.NewLibrary(store.Flow())
	d, err := journal.Open(context.Background(), journal.Config{
		Log: store.Journal(), Programs: lib, Logger: logger,
		Invoker: flow.InvokerFunc(func(ctx context.Context, t flow.Task) (value.Value, error) { return t.Args, nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := flow.Open(context.Background(), flow.Config{Store: store.Flow(), Library: lib, Driver: d, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		svc.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		d.Close(ctx)
	})
	a := &api{t: t, svc: svc, ops: map[string]*awsapi.Op{}}
	for _, o := range Ops(svc) {
		a.ops[o.Name] = &o
	}
	return a
}

// call makes a call as the front door does.
func (a *api) call(op string, request any) (map[string]any, error) {
	in, err := value.Of(request)
	if err != nil {
		return nil, err
	}
	o := a.ops[op]
	r := &awsapi.Request{Op: o, Region: region, Account: account, Input: in}
	if a.needs, err = o.Needs(a.t.Context(), r); err != nil {
		return nil, err
	}
	if o.Params != nil {
		o.Params(r)
	}
	resp, err := o.Handle(a.t.Context(), r)
	if err != nil {
		return nil, err
	}
	if o.Result != nil {
		o.Result(r, resp)
	}
	var out map[string]any
	return out, json.Unmarshal([]byte(resp.Body.JSON()), &out)
}

func (a *api) must(op string, request any) map[string]any {
	a.t.Helper()
	out, err := a.call(op, request)
	if err != nil {
		a.t.Fatalf("%s: %v", op, err)
	}
	return out
}

type object = map[string]any

const (
	pass = `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`
	wait = `{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":3600,"End":true}}}`
	role = "arn:aws:iam::123456789012:role/r"
)

func machineARN(name string) string {
	return "arn:aws:states:us-east-1:123456789012:stateMachine:" + name
}

func TestFaults(t *testing.T) {
	a := newAPI(t)
	a.must("CreateStateMachine", object{"name": "m", "definition": pass, "roleArn": role})
	a.must("CreateStateMachine", object{"name": "x", "definition": pass, "roleArn": role, "type": "EXPRESS"})
	x := a.must("StartExecution", object{"stateMachineArn": machineARN("m"), "name": "n"})["executionArn"].(string)
	if _, err := a.svc.Await(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		op            string
		request       any
		code, message string
	}{
		{"CreateStateMachine", object{"name": "a b", "definition": pass, "roleArn": role}, "InvalidName", "Invalid Name: 'a b'"},
		{"CreateStateMachine", object{"name": "", "definition": pass}, "ValidationException",
			"2 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1; Value null at 'roleArn' failed to satisfy constraint: Member must not be null"},
		{"CreateStateMachine", object{"name": "a", "definition": pass, "roleArn": role, "type": "QUICK"}, "ValidationException",
			"1 validation error detected: Value 'QUICK' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [STANDARD, EXPRESS]"},
		{"CreateStateMachine", object{"name": 7, "definition": pass, "roleArn": role}, "SerializationException", "NUMBER_VALUE can not be converted to a String"},
		{"CreateStateMachine", object{"name": "a", "definition": pass, "roleArn": role, "shiny": true}, "ValidationException", "The parameter 'shiny' is refused: this server does not act on it."},
		{"CreateStateMachine", object{"name": "a", "definition": pass, "roleArn": role, "loggingConfiguration": object{"level": "ALL"}}, "InvalidLoggingConfiguration", "Invalid Logging Configuration: Must specify exactly one Log Destination."},
		{"CreateStateMachine", object{"name": "a", "definition": pass, "roleArn": role, "tracingConfiguration": object{"enabled": true}}, "InvalidTracingConfiguration", ""},
		{"CreateStateMachine", object{"name": "a", "definition": pass, "roleArn": role, "encryptionConfiguration": object{"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "k"}}, "InvalidEncryptionConfiguration", ""},
		{"CreateStateMachine", object{"name": "a", "definition": pass, "roleArn": role, "versionDescription": "d"}, "ValidationException", "Version description can only be set when publish is true"},
		{"CreateStateMachine", object{"name": "m", "definition": pass + " ", "roleArn": role}, "StateMachineAlreadyExists", "State Machine Already Exists: '" + machineARN("m") + "'"},
		{"UpdateStateMachine", object{"stateMachineArn": machineARN("m")}, "MissingRequiredParameter", "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified"},
		{"UpdateStateMachine", object{"stateMachineArn": machineARN("m:2"), "roleArn": role}, "StateMachineDoesNotExist", "State Machine Does Not Exist: '" + machineARN("m:2") + "'"},
		{"DescribeStateMachine", object{"stateMachineArn": "nope"}, "InvalidArn", "Invalid Arn: 'Invalid ARN prefix: nope'"},
		{"DescribeStateMachine", object{"stateMachineArn": x}, "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: execution'"},
		{"DescribeExecution", object{"executionArn": "arn:aws:states:us-east-1:123456789012:express:x:n:u"}, "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'"},
		{"StopExecution", object{"executionArn": "arn:aws:states:us-east-1:123456789012:express:x:n:u"}, "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'"},
		{"GetExecutionHistory", object{"executionArn": "arn:aws:states:us-east-1:123456789012:express:x:n:u"}, "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'"},
		{"StartExecution", object{"stateMachineArn": machineARN("m"), "name": "n"}, "ExecutionAlreadyExists", "Execution Already Exists: '" + x + "'"},
		{"StartExecution", object{"stateMachineArn": machineARN("m"), "name": "n/n"}, "InvalidName", "Invalid Name: 'n/n'"},
		{"StartExecution", object{"stateMachineArn": machineARN("m"), "input": strings.Repeat("1", 262145)}, "ValidationException", "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to 262144"},
		{"StartSyncExecution", object{"stateMachineArn": machineARN("m")}, "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"},
		{"ListExecutions", object{"stateMachineArn": machineARN("x")}, "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"},
		{"ListExecutions", object{"stateMachineArn": machineARN("m"), "statusFilter": "succeeded"}, "ValidationException", "1 validation error detected: Value 'succeeded' at 'statusFilter' failed to satisfy constraint: Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]"},
		{"ListExecutions", object{}, "ValidationException", ""},
		{"ListStateMachines", object{"maxResults": 1001}, "ValidationException", "1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		{"ListStateMachines", object{"nextToken": long}, "ValidationException", "1 validation error detected: Value '" + long + "' at 'nextToken' failed to satisfy constraint: Member must have length less than or equal to 1024"},
		{"ListStateMachines", object{"nextToken": "bogus"}, "InvalidToken", "Invalid Token: 'Invalid token'"},
		{"TagResource", object{"resourceArn": machineARN("m:1"), "tags": []any{}}, "ResourceNotFound", "Resource not found: '" + machineARN("m:1") + "'"},
		{"TagResource", object{"resourceArn": machineARN("m"), "tags": []any{object{"key": strings.Repeat("k", 129)}}}, "ValidationException",
			"1 validation error detected: Value '" + strings.Repeat("k", 129) + "' at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128"},
	} {
		_, err := a.call(c.op, c.request)
		f, _ := err.(*fault.Error)
		if f == nil {
			t.Errorf("%s: %v, not %s", c.op, err, c.code)
			continue
		}
		if f.Code != c.code || c.message != "" && f.Message != c.message {
			t.Errorf("%s: %s: %s\nnot %s: %s", c.op, f.Code, f.Message, c.code, c.message)
		}
	}
}

func TestNeeds(t *testing.T) {
	a := newAPI(t)
	a.must("CreateStateMachine", object{"name": "m", "definition": pass, "roleArn": role, "publish": true, "tags": []any{object{"key": "k", "value": "v"}}})
	var got []string
	for _, n := range a.needs {
		got = append(got, n.Action+" "+n.Resource)
	}
	want := "states:CreateStateMachine " + machineARN("m") + "|iam:PassRole " + role + "|states:TagResource " + machineARN("m") + "|states:PublishStateMachineVersion " + machineARN("m")
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("needs %s", s)
	}
	if c := a.needs[1].Context; c[0].Key != "iam:PassedToService" || c[0].Values[0] != "states.amazonaws.com" {
		t.Errorf("context of PassRole: %v", c)
	}
	a.must("StartExecution", object{"stateMachineArn": machineARN("m:1")})
	if n := a.needs[0]; n.Resource != machineARN("m") || len(a.needs) != 1 {
		t.Errorf("needs %+v", a.needs)
	}
	keys := map[string]string{}
	for _, c := range a.needs[0].Context {
		keys[c.Key] = c.Values[0]
	}
	if keys["states:StateMachineQualifier"] != "1" || keys["aws:ResourceTag/k"] != "v" {
		t.Errorf("context %v", keys)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	a := newAPI(t)
	o := a.ops["StartExecution"]
	v := o.Params(&awsapi.Request{Op: o, Input: value.MustParse(`{"stateMachineArn":"a","input":"{\"prompt\":\"x\"}"}`)})
	if s := v.JSON(); strings.Contains(s, "prompt") || !strings.Contains(s, "HIDDEN") {
		t.Error(s)
	}
}

func TestPages(t *testing.T) {
	a := newAPI(t)
	a.must("CreateStateMachine", object{"name": "m", "definition": wait, "roleArn": role})
	for i := range 7 {
		a.must("StartExecution", object{"stateMachineArn": machineARN("m"), "name": string(rune('a' + i))})
	}
	x := strings.Replace(machineARN("m"), "stateMachine", "execution", 1)
	a.must("StopExecution", object{"executionArn": x + ":c", "error": "E"})
	list := func(request object, op, member string) (all []any) {
		for {
			out := a.must(op, request)
			all = append(all, out[member].([]any)...)
			next, ok := out["nextToken"].(string)
			if !ok {
				return all
			}
			request["nextToken"] = next
			wrong := object{"stateMachineArn": machineARN("m"), "statusFilter": "ABORTED", "nextToken": next}
			if _, err := a.call("ListExecutions", wrong); fault.Code(err) != "InvalidToken" {
				t.Errorf("a token of another call: %v", err)
			}
		}
	}
	names := func(all []any) (s string) {
		for _, x := range all {
			s += x.(object)["name"].(string)
		}
		return s
	}
	if s := names(list(object{"stateMachineArn": machineARN("m"), "maxResults": 2}, "ListExecutions", "executions")); s != "gfedcba" {
		t.Errorf("listed %s", s)
	}
	if s := names(list(object{"stateMachineArn": machineARN("m"), "maxResults": 2, "statusFilter": "RUNNING"}, "ListExecutions", "executions")); s != "gfedba" {
		t.Errorf("listed %s", s)
	}
	for _, reverse := range []bool{false, true} {
		all := list(object{"executionArn": x + ":c", "maxResults": 1, "reverseOrder": reverse}, "GetExecutionHistory", "events")
		var types []string
		for _, e := range all {
			types = append(types, e.(object)["type"].(string))
		}
		want := "ExecutionStarted WaitStateEntered ExecutionAborted"
		if reverse {
			want = "ExecutionAborted WaitStateEntered ExecutionStarted"
		}
		if s := strings.Join(types, " "); s != want {
			t.Errorf("reverse %v: %s", reverse, s)
		}
	}
}

// A machine that has executions running is deleted when they are aborted.
func TestDeleteWhileRunning(t *testing.T) {
	a := newAPI(t)
	a.must("CreateStateMachine", object{"name": "m", "definition": wait, "roleArn": role})
	x := a.must("StartExecution", object{"stateMachineArn": machineARN("m")})["executionArn"].(string)
	a.must("DeleteStateMachine", object{"stateMachineArn": machineARN("m")})
	if o, err := a.svc.Await(t.Context(), x); err != nil || o.Status.String() != "ABORTED" {
		t.Errorf("%v, %v", o.Status, err)
	}
	for {
		_, err := a.call("StartExecution", object{"stateMachineArn": machineARN("m")})
		if fault.Code(err) == "StateMachineDoesNotExist" {
			break
		}
		if fault.Code(err) != "StateMachineDeleting" {
			t.Fatal(err)
		}
	}
	if d := a.must("DescribeStateMachineForExecution", object{"executionArn": x}); d["definition"] != wait {
		t.Error("its execution forgot what it ran")
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{}`, `{"name":"a","tags":[{"key":"k"}]}`, `{"tags":[null,1]}`, `{"routingConfiguration":[{"weight":101}]}`, `{"maxResults":1e99}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := value.ParseString(s)
		if err != nil || !v.IsObject() {
			return
		}
		for _, o := range operations {
			if err := check(v, o.in, data.max); err != nil && fault.Code(err) == "" {
				t.Error(err)
			}
		}
	})
}
