package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go/middleware"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// notServed are the operations of Step Functions that the server does not have, with the reason.
var notServed = map[string]string{}

const (
	passMachine = `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`
	holdMachine = `{"StartAt":"Hold","States":{"Hold":{"Type":"Wait","Seconds":1,"End":true}}}`
	mapMachine  = `{"QueryLanguage":"JSONata","StartAt":"Each","States":{"Each":{"Type":"Map","Label":"each","MaxConcurrency":1,"End":true,
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"Hold","States":{"Hold":{"Type":"Wait","Seconds":1,"End":true}}}}}}`
)

// TestStates calls every operation of Step Functions with the AWS SDK for Go.
// The SDK has paginators for five of them and no waiters.
func TestStates(t *testing.T) {
	s := start(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	role := statesRole(t, s)
	var (
		mu     sync.Mutex
		served = map[string]bool{}
	)
	cfg := s.Config(story.Region)
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("served", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, meta, err := next.HandleInitialize(ctx, in)
			if err == nil {
				mu.Lock()
				served[awsmiddleware.GetOperationName(ctx)] = true
				mu.Unlock()
			}
			return out, meta, err
		}), middleware.After)
	})
	// The SDK puts sync- before the host of StartSyncExecution and TestState: here
	// the name leads to the server, as in an installation whose DNS has it.
	cfg.HTTPClient = &http.Client{Transport: harness.InMemory{RoundTripper: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(address, "sync-"))
	}}}}
	api := sfn.NewFromConfig(cfg)

	// State machines, their versions, aliases and tags.
	m := must(api.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("m"), RoleArn: &role, Definition: aws.String(holdMachine), Publish: true, VersionDescription: aws.String("one"),
		Tags: []sf.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	}))(t)
	again := must(api.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("m"), RoleArn: &role, Definition: aws.String(holdMachine), Publish: true, VersionDescription: aws.String("one"),
		Tags: []sf.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	}))(t)
	same(t, "the machine that is created again", aws.ToString(again.StateMachineArn), *m.StateMachineArn)
	d := must(api.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: m.StateMachineArn}))(t)
	same(t, "definition", *d.Definition, holdMachine)
	same(t, "status", d.Status, sf.StateMachineStatusActive)
	u := must(api.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: m.StateMachineArn, Definition: aws.String(holdMachine + " ")}))(t)
	v := must(api.PublishStateMachineVersion(ctx, &sfn.PublishStateMachineVersionInput{StateMachineArn: m.StateMachineArn, RevisionId: u.RevisionId}))(t)
	same(t, "version", *v.StateMachineVersionArn, *m.StateMachineArn+":2")
	var versions []string
	for in := (&sfn.ListStateMachineVersionsInput{StateMachineArn: m.StateMachineArn, MaxResults: 1}); ; { // the SDK has no paginator for it
		p := must(api.ListStateMachineVersions(ctx, in))(t)
		for _, v := range p.StateMachineVersions {
			versions = append(versions, *v.StateMachineVersionArn)
		}
		if in.NextToken = p.NextToken; in.NextToken == nil {
			break
		}
	}
	same(t, "versions", strings.Join(versions, " "), *v.StateMachineVersionArn+" "+*m.StateMachineVersionArn)
	alias := must(api.CreateStateMachineAlias(ctx, &sfn.CreateStateMachineAliasInput{Name: aws.String("live"), RoutingConfiguration: []sf.RoutingConfigurationListItem{
		{StateMachineVersionArn: m.StateMachineVersionArn, Weight: 50}, {StateMachineVersionArn: v.StateMachineVersionArn, Weight: 50}}}))(t)
	must(api.UpdateStateMachineAlias(ctx, &sfn.UpdateStateMachineAliasInput{StateMachineAliasArn: alias.StateMachineAliasArn, Description: aws.String("all to two"),
		RoutingConfiguration: []sf.RoutingConfigurationListItem{{StateMachineVersionArn: v.StateMachineVersionArn, Weight: 100}}}))(t)
	da := must(api.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: alias.StateMachineAliasArn}))(t)
	same(t, "routes", len(da.RoutingConfiguration), 1)
	same(t, "aliases", len(must(api.ListStateMachineAliases(ctx, &sfn.ListStateMachineAliasesInput{StateMachineArn: m.StateMachineArn}))(t).StateMachineAliases), 1)
	must(api.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: m.StateMachineArn, Tags: []sf.Tag{{Key: aws.String("cost"), Value: aws.String("")}}}))(t)
	must(api.UntagResource(ctx, &sfn.UntagResourceInput{ResourceArn: m.StateMachineArn, TagKeys: []string{"team"}}))(t)
	tags := must(api.ListTagsForResource(ctx, &sfn.ListTagsForResourceInput{ResourceArn: m.StateMachineArn}))(t).Tags
	if len(tags) != 1 || *tags[0].Key != "cost" || aws.ToString(tags[0].Value) != "" {
		t.Errorf("tags are %v", tags)
	}
	check := must(api.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Definition: aws.String(`{"StartAt":"B","States":{"A":{"Type":"Pass","End":true}}}`)}))(t)
	if check.Result != sf.ValidateStateMachineDefinitionResultCodeFail || len(check.Diagnostics) == 0 {
		t.Errorf("a definition that starts nowhere is %v", check)
	}

	// Executions.
	until := func(arn *string, want sf.ExecutionStatus) *sfn.DescribeExecutionOutput {
		t.Helper()
		for {
			x := must(api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: arn}))(t)
			if x.Status == want {
				return x
			}
			if x.Status != sf.ExecutionStatusRunning {
				t.Fatalf("%s ended %s with %s: %s, want %s", *arn, x.Status, aws.ToString(x.Error), aws.ToString(x.Cause), want)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	x := must(api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: alias.StateMachineAliasArn, Name: aws.String("stopped"), Input: aws.String(`{"n":1}`)}))(t)
	must(api.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: x.ExecutionArn, Error: aws.String("E"), Cause: aws.String("C")}))(t)
	dx := until(x.ExecutionArn, sf.ExecutionStatusAborted)
	same(t, "error", aws.ToString(dx.Error), "E")
	same(t, "alias of the execution", aws.ToString(dx.StateMachineAliasArn), *alias.StateMachineAliasArn)
	same(t, "redrive status", dx.RedriveStatus, sf.ExecutionRedriveStatusRedrivable)
	must(api.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: x.ExecutionArn}))(t)
	same(t, "redrives", aws.ToInt32(until(x.ExecutionArn, sf.ExecutionStatusSucceeded).RedriveCount), 1)
	same(t, "machine of the execution", *must(api.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: x.ExecutionArn}))(t).StateMachineArn, *m.StateMachineArn)
	for range 2 {
		y := must(api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn}))(t)
		until(y.ExecutionArn, sf.ExecutionStatusSucceeded)
	}
	var types []string
	for pages := sfn.NewGetExecutionHistoryPaginator(api, &sfn.GetExecutionHistoryInput{ExecutionArn: x.ExecutionArn, MaxResults: 2}); pages.HasMorePages(); {
		for _, e := range must(pages.NextPage(ctx))(t).Events {
			types = append(types, string(e.Type))
		}
	}
	if first, last := types[0], types[len(types)-1]; first != "ExecutionStarted" || last != "ExecutionSucceeded" || !slices.Contains(types, "ExecutionRedriven") {
		t.Errorf("the redriven execution's history is %v", types)
	}
	var names []string
	for pages := sfn.NewListExecutionsPaginator(api, &sfn.ListExecutionsInput{StateMachineArn: m.StateMachineArn, StatusFilter: sf.ExecutionStatusSucceeded, MaxResults: 1}); pages.HasMorePages(); {
		for _, e := range must(pages.NextPage(ctx))(t).Executions {
			names = append(names, *e.Name)
		}
	}
	if len(names) != 3 || !slices.Contains(names, "stopped") {
		t.Errorf("listed as succeeded: %v", names)
	}
	express := must(api.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("express"), RoleArn: &role, Definition: aws.String(passMachine), Type: sf.StateMachineTypeExpress}))(t)
	finished := must(api.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: express.StateMachineArn, Input: aws.String(`{"n":[1]}`)}))(t)
	same(t, "status of the synchronous execution", finished.Status, sf.SyncExecutionStatusSucceeded)
	same(t, "output of the synchronous execution", aws.ToString(finished.Output), `{"n":[1]}`)
	test := must(api.TestState(ctx, &sfn.TestStateInput{
		Definition: aws.String(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"ResultPath":"$.got","Next":"N"}`),
		Input:      aws.String(`{"n":1}`), Mock: &sf.MockInput{Result: aws.String(`{"Payload":{"a":1},"StatusCode":200}`)}, InspectionLevel: sf.InspectionLevelDebug,
	}))(t)
	same(t, "next state", aws.ToString(test.NextState), "N")
	same(t, "output of the tested state", aws.ToString(test.Output), `{"n":1,"got":{"Payload":{"a":1},"StatusCode":200}}`)

	// Activities and their tokens.
	a := must(api.CreateActivity(ctx, &sfn.CreateActivityInput{Name: aws.String("a")}))(t)
	must(api.CreateActivity(ctx, &sfn.CreateActivityInput{Name: aws.String("b")}))(t)
	same(t, "activity", *must(api.DescribeActivity(ctx, &sfn.DescribeActivityInput{ActivityArn: a.ActivityArn}))(t).Name, "a")
	activities := 0
	for pages := sfn.NewListActivitiesPaginator(api, &sfn.ListActivitiesInput{MaxResults: 1}); pages.HasMorePages(); {
		activities += len(must(pages.NextPage(ctx))(t).Activities)
	}
	same(t, "activities", activities, 2)
	worker := must(api.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("worker"), RoleArn: &role,
		Definition: aws.String(`{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"` + *a.ActivityArn + `","End":true}}}`)}))(t)
	for _, fail := range []bool{false, true} {
		x := must(api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: worker.StateMachineArn, Input: aws.String(`{"job":1}`)}))(t)
		k := must(api.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: a.ActivityArn, WorkerName: aws.String("w")}))(t)
		same(t, "input of the task", aws.ToString(k.Input), `{"job":1}`)
		must(api.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: k.TaskToken}))(t)
		if fail {
			must(api.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: k.TaskToken, Error: aws.String("E"), Cause: aws.String("C")}))(t)
			same(t, "error", aws.ToString(until(x.ExecutionArn, sf.ExecutionStatusFailed).Error), "E")
		} else {
			must(api.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: k.TaskToken, Output: aws.String(`{"done":true}`)}))(t)
			same(t, "output", aws.ToString(until(x.ExecutionArn, sf.ExecutionStatusSucceeded).Output), `{"done":true}`)
		}
		_, err := api.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: k.TaskToken, Output: aws.String(`1`)})
		if _, ok := errors.AsType[*sf.TaskTimedOut](err); !ok {
			t.Errorf("a token that was answered: %v, want TaskTimedOut", err)
		}
	}

	// Map Runs.
	each := must(api.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("each"), RoleArn: &role, Definition: aws.String(mapMachine)}))(t)
	x = must(api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: each.StateMachineArn, Input: aws.String(`[1,2,3]`)}))(t)
	var run *string
	for run == nil && ctx.Err() == nil {
		for pages := sfn.NewListMapRunsPaginator(api, &sfn.ListMapRunsInput{ExecutionArn: x.ExecutionArn, MaxResults: 1}); pages.HasMorePages(); {
			for _, r := range must(pages.NextPage(ctx))(t).MapRuns {
				run = r.MapRunArn
			}
		}
	}
	must(api.UpdateMapRun(ctx, &sfn.UpdateMapRunInput{MapRunArn: run, MaxConcurrency: aws.Int32(3)}))(t)
	until(x.ExecutionArn, sf.ExecutionStatusSucceeded)
	r := must(api.DescribeMapRun(ctx, &sfn.DescribeMapRunInput{MapRunArn: run}))(t)
	if r.Status != sf.MapRunStatusSucceeded || r.MaxConcurrency != 3 || r.ItemCounts.Succeeded != 3 || r.ExecutionCounts.Succeeded != 3 {
		t.Errorf("the Map Run is %s with concurrency %d, %+v, %+v", r.Status, r.MaxConcurrency, r.ItemCounts, r.ExecutionCounts)
	}

	// Away with it all.
	machines := 0
	for pages := sfn.NewListStateMachinesPaginator(api, &sfn.ListStateMachinesInput{MaxResults: 1}); pages.HasMorePages(); {
		machines += len(must(pages.NextPage(ctx))(t).StateMachines)
	}
	same(t, "machines", machines, 4)
	_, err := api.DeleteStateMachineVersion(ctx, &sfn.DeleteStateMachineVersionInput{StateMachineVersionArn: v.StateMachineVersionArn})
	if _, ok := errors.AsType[*sf.ConflictException](err); !ok {
		t.Errorf("deleting a version that an alias routes to: %v, want ConflictException", err)
	}
	must(api.DeleteStateMachineAlias(ctx, &sfn.DeleteStateMachineAliasInput{StateMachineAliasArn: alias.StateMachineAliasArn}))(t)
	must(api.DeleteStateMachineVersion(ctx, &sfn.DeleteStateMachineVersionInput{StateMachineVersionArn: v.StateMachineVersionArn}))(t)
	must(api.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: m.StateMachineArn}))(t)
	must(api.DeleteActivity(ctx, &sfn.DeleteActivityInput{ActivityArn: a.ActivityArn}))(t)
	for ctx.Err() == nil {
		_, err = api.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: m.StateMachineArn})
		if err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond) // DELETING
	}
	if _, ok := errors.AsType[*sf.StateMachineDoesNotExist](err); !ok {
		t.Errorf("a deleted machine: %v, want StateMachineDoesNotExist", err)
	}

	operations := 0
	for method := range reflect.TypeFor[*sfn.Client]().Methods() {
		if method.Name == "Options" {
			continue
		}
		operations++
		if reason := notServed[method.Name]; served[method.Name] == (reason != "") {
			t.Errorf("%s was served: %t; the reason not to: %q", method.Name, served[method.Name], reason)
		}
	}
	t.Logf("%d of the %d operations of the SDK were served", len(served), operations)
}

// statesRole makes a role that Step Functions may take on.
func statesRole(t *testing.T, s *harness.Server) string {
	t.Helper()
	people := iam.NewFromConfig(s.Config(story.Region))
	role := must(people.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName:                 aws.String("states"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	}))(t)
	must(people.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String("states"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:*","Resource":"*"}]}`),
	}))(t)
	return *role.Role.Arn
}

// must is the answer of a call that has to succeed.
func must[T any](out T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// withoutPrefix tells boto3 and the aws CLI not to put sync- before the host.
const withoutPrefix = "AWS_DISABLE_HOST_PREFIX_INJECTION=true"

// TestStatesBoto3 calls every operation with boto3.
func TestStatesBoto3(t *testing.T) {
	python := boto3(t, "its calls of Step Functions were not made")
	s := start(t, "")
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "states.py"), statesRole(t, s))
	cmd.Env = append(s.Environ(story.Region), withoutPrefix)
	out, err := cmd.CombinedOutput()
	fmt.Print(string(out))
	if err != nil {
		t.Fatal(err)
	}
}

// TestStatesAWSCLI calls a handful of operations with the aws CLI.
func TestStatesAWSCLI(t *testing.T) {
	program := awsCLI(t, "its calls of Step Functions were not made")
	s := start(t, "")
	role := statesRole(t, s)
	dir := t.TempDir()
	file := func(name, text string) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + f
	}
	call := func(args ...string) (out struct {
		StateMachineArn, ExecutionArn, Status, Output, NextState, Result, TaskToken, ActivityArn string
		Executions                                                                               []struct{ Name string }
		Events                                                                                   []struct{ Type string }
	}) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"stepfunctions"}, args...)...)
		cmd.Env = append(s.Environ(story.Region), withoutPrefix)
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("aws stepfunctions %s: %v\n%s", strings.Join(args, " "), err, b)
		}
		if len(b) > 0 {
			if err := json.Unmarshal(b, &out); err != nil {
				t.Fatalf("aws stepfunctions %s: %v\n%s", strings.Join(args, " "), err, b)
			}
		}
		return out
	}
	same(t, "validate-state-machine-definition", call("validate-state-machine-definition", "--definition", file("pass.json", passMachine)).Result, "OK")
	express := call("create-state-machine", "--name", "express", "--type", "EXPRESS", "--role-arn", role, "--definition", file("pass.json", passMachine)).StateMachineArn
	finished := call("start-sync-execution", "--state-machine-arn", express, "--input", `{"n": 1}`)
	same(t, "start-sync-execution", finished.Status+" "+finished.Output, `SUCCEEDED {"n": 1}`)
	test := call("test-state", "--definition", `{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"One"}],"Default":"Other"}`, "--input", `{"n":1}`)
	same(t, "test-state", test.Status+" "+test.NextState, "SUCCEEDED One")
	activity := call("create-activity", "--name", "a").ActivityArn
	machine := call("create-state-machine", "--name", "m", "--role-arn", role, "--definition", file("work.json",
		`{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"`+activity+`","End":true}}}`)).StateMachineArn
	x := call("start-execution", "--state-machine-arn", machine, "--name", "実行", "--input", `{"n":1}`).ExecutionArn
	token := call("get-activity-task", "--activity-arn", activity).TaskToken
	call("send-task-success", "--task-token", token, "--task-output", `{"done":true}`)
	d := call("describe-execution", "--execution-arn", x)
	same(t, "describe-execution", d.Status+" "+d.Output, `SUCCEEDED {"done":true}`)
	if l := call("list-executions", "--state-machine-arn", machine, "--status-filter", "SUCCEEDED", "--page-size", "1").Executions; len(l) != 1 || l[0].Name != "実行" {
		t.Errorf("list-executions: %v", l)
	}
	if e := call("get-execution-history", "--execution-arn", x, "--reverse-order", "--max-items", "1").Events; len(e) != 1 || e[0].Type != "ExecutionSucceeded" {
		t.Errorf("get-execution-history: %v", e)
	}
}
