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
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	ct "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
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

// TestActivityClientGone polls with a client that goes away: the task that comes
// after that is the next one's.
func TestActivityClientGone(t *testing.T) {
	s := start(t, "")
	api, audit := sfn.NewFromConfig(s.Config(story.Region)), cloudtrail.NewFromConfig(s.Config(story.Region))
	role := statesRole(t, s)
	a := must(api.CreateActivity(t.Context(), &sfn.CreateActivityInput{Name: aws.String("a")}))(t)
	m := must(api.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: aws.String("m"), RoleArn: &role,
		Definition: aws.String(`{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"` + *a.ActivityArn + `","End":true}}}`)}))(t)
	for i := range 3 {
		going, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, err := api.GetActivityTask(going, &sfn.GetActivityTaskInput{ActivityArn: a.ActivityArn}); err == nil {
			t.Error("a poll was answered without a task")
		}
		cancel()
		for polls := 0; polls <= 2*i; { // until the server knows: the poll is over then, and recorded
			out := must(audit.LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{LookupAttributes: []ct.LookupAttribute{{AttributeKey: ct.LookupAttributeKeyEventName, AttributeValue: aws.String("GetActivityTask")}}}))(t)
			polls = len(out.Events)
		}
		must(api.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn, Name: aws.String(fmt.Sprint(i))}))(t)
		k := must(api.GetActivityTask(t.Context(), &sfn.GetActivityTaskInput{ActivityArn: a.ActivityArn}))(t)
		if k.TaskToken == nil {
			t.Fatal("the task went to a client that had gone")
		}
		must(api.SendTaskSuccess(t.Context(), &sfn.SendTaskSuccessInput{TaskToken: k.TaskToken, Output: aws.String("1")}))(t)
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

// TestStatesAWSCLI calls every operation with the aws CLI.
func TestStatesAWSCLI(t *testing.T) {
	program, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws CLI is not installed: its calls of Step Functions were not made")
	}
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
	type answer struct {
		StateMachineArn, StateMachineVersionArn, StateMachineAliasArn, ExecutionArn, ActivityArn, MapRunArn string
		Name, Status, Output, Error, NextState, Result, TaskToken, Input                                    string
		MaxConcurrency                                                                                      int
		Executions, StateMachines, Activities                                                               []struct{ Name string }
		StateMachineVersions                                                                                []struct{ StateMachineVersionArn string }
		StateMachineAliases                                                                                 []struct{ StateMachineAliasArn string }
		RoutingConfiguration                                                                                []struct{ Weight int }
		MapRuns                                                                                             []struct{ MapRunArn string }
		Events                                                                                              []struct{ Type string }
		Tags                                                                                                []struct{ Key, Value string }
	}
	served := map[string]bool{}
	try := func(args ...string) (out answer, text string, err error) {
		cmd := exec.CommandContext(t.Context(), program, append([]string{"stepfunctions"}, args...)...)
		cmd.Env = append(s.Environ(story.Region), withoutPrefix)
		b, err := cmd.CombinedOutput()
		if err == nil {
			if served[args[0]] = true; len(b) > 0 {
				err = json.Unmarshal(b, &out)
			}
		}
		return out, string(b), err
	}
	call := func(args ...string) answer {
		t.Helper()
		out, text, err := try(args...)
		if err != nil {
			t.Fatalf("aws stepfunctions %s: %v\n%s", strings.Join(args, " "), err, text)
		}
		return out
	}
	until := func(arn, want string) answer {
		t.Helper()
		for {
			switch d := call("describe-execution", "--execution-arn", arn); d.Status {
			case want:
				return d
			case "RUNNING":
			default:
				t.Fatalf("%s ended %s %s, want %s", arn, d.Status, d.Error, want)
			}
		}
	}

	// State machines, versions, aliases, tags. What lists have is asked for an item
	// at a time: the CLI follows the tokens.
	same(t, "validate-state-machine-definition", call("validate-state-machine-definition", "--definition", file("pass.json", passMachine)).Result, "OK")
	m := call("create-state-machine", "--name", "m", "--role-arn", role, "--definition", file("hold.json", holdMachine), "--publish", "--tags", "key=team,value=a").StateMachineArn
	call("update-state-machine", "--state-machine-arn", m, "--definition", file("hold2.json", holdMachine+" "))
	version := call("publish-state-machine-version", "--state-machine-arn", m, "--description", "two").StateMachineVersionArn
	same(t, "publish-state-machine-version", version, m+":2")
	same(t, "list-state-machine-versions", len(call("list-state-machine-versions", "--state-machine-arn", m).StateMachineVersions), 2)
	alias := call("create-state-machine-alias", "--name", "live", "--routing-configuration",
		"stateMachineVersionArn="+m+":1,weight=50", "stateMachineVersionArn="+version+",weight=50").StateMachineAliasArn
	call("update-state-machine-alias", "--state-machine-alias-arn", alias, "--routing-configuration", "stateMachineVersionArn="+version+",weight=100")
	if r := call("describe-state-machine-alias", "--state-machine-alias-arn", alias).RoutingConfiguration; len(r) != 1 || r[0].Weight != 100 {
		t.Errorf("describe-state-machine-alias: %v", r)
	}
	same(t, "list-state-machine-aliases", len(call("list-state-machine-aliases", "--state-machine-arn", m).StateMachineAliases), 1)
	call("tag-resource", "--resource-arn", m, "--tags", "key=cost,value=")
	call("untag-resource", "--resource-arn", m, "--tag-keys", "team")
	if tags := call("list-tags-for-resource", "--resource-arn", m).Tags; len(tags) != 1 || tags[0].Key != "cost" {
		t.Errorf("list-tags-for-resource: %v", tags)
	}
	same(t, "describe-state-machine", call("describe-state-machine", "--state-machine-arn", m).Status, "ACTIVE")
	express := call("create-state-machine", "--name", "express", "--type", "EXPRESS", "--role-arn", role, "--definition", file("pass.json", passMachine)).StateMachineArn
	same(t, "list-state-machines", len(call("list-state-machines", "--page-size", "1").StateMachines), 2)

	// Executions.
	finished := call("start-sync-execution", "--state-machine-arn", express, "--input", `{"n": 1}`)
	same(t, "start-sync-execution", finished.Status+" "+finished.Output, `SUCCEEDED {"n": 1}`)
	test := call("test-state", "--definition", `{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"One"}],"Default":"Other"}`, "--input", `{"n":1}`)
	same(t, "test-state", test.Status+" "+test.NextState, "SUCCEEDED One")
	activity := call("create-activity", "--name", "a").ActivityArn
	same(t, "describe-activity", call("describe-activity", "--activity-arn", activity).Name, "a")
	same(t, "list-activities", len(call("list-activities", "--page-size", "1").Activities), 1)
	machine := call("create-state-machine", "--name", "work", "--role-arn", role, "--definition", file("work.json",
		`{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"`+activity+`","End":true}}}`)).StateMachineArn
	x := call("start-execution", "--state-machine-arn", machine, "--name", "実行", "--input", `{"n":1}`).ExecutionArn
	taken := call("get-activity-task", "--activity-arn", activity, "--worker-name", "w")
	same(t, "get-activity-task", taken.Input, `{"n":1}`)
	call("send-task-heartbeat", "--task-token", taken.TaskToken)
	call("send-task-success", "--task-token", taken.TaskToken, "--task-output", `{"done":true}`)
	same(t, "describe-execution", until(x, "SUCCEEDED").Output, `{"done":true}`)
	if _, text, err := try("send-task-success", "--task-token", taken.TaskToken, "--task-output", `1`); err == nil || !strings.Contains(text, "TaskTimedOut") {
		t.Errorf("a token that was answered: %s", text)
	}
	y := call("start-execution", "--state-machine-arn", machine, "--name", "failed").ExecutionArn
	call("send-task-failure", "--task-token", call("get-activity-task", "--activity-arn", activity).TaskToken, "--error", "E", "--cause", "C")
	same(t, "error", until(y, "FAILED").Error, "E")
	call("redrive-execution", "--execution-arn", y)
	call("stop-execution", "--execution-arn", y, "--error", "Stopped")
	same(t, "error", until(y, "ABORTED").Error, "Stopped")
	same(t, "describe-state-machine-for-execution", call("describe-state-machine-for-execution", "--execution-arn", y).StateMachineArn, machine)
	if l := call("list-executions", "--state-machine-arn", machine, "--page-size", "1").Executions; len(l) != 2 || l[0].Name != "failed" || l[1].Name != "実行" {
		t.Errorf("list-executions: %v", l)
	}
	if e := call("get-execution-history", "--execution-arn", x, "--page-size", "2").Events; len(e) != 7 || e[6].Type != "ExecutionSucceeded" {
		t.Errorf("get-execution-history: %v", e)
	}
	if e := call("get-execution-history", "--execution-arn", x, "--reverse-order", "--max-items", "1").Events; len(e) != 1 || e[0].Type != "ExecutionSucceeded" {
		t.Errorf("get-execution-history: %v", e)
	}

	// Map Runs. They wait long enough for the CLI to come.
	each := call("create-state-machine", "--name", "each", "--role-arn", role, "--definition", file("each.json", strings.Replace(mapMachine, `"Seconds":1`, `"Seconds":3600`, 1))).StateMachineArn
	z := call("start-execution", "--state-machine-arn", each, "--input", `[1,2,3]`).ExecutionArn
	var runs []struct{ MapRunArn string }
	for len(runs) == 0 && t.Context().Err() == nil {
		runs = call("list-map-runs", "--execution-arn", z).MapRuns
	}
	run := runs[0].MapRunArn
	call("update-map-run", "--map-run-arn", run, "--max-concurrency", "2")
	if r := call("describe-map-run", "--map-run-arn", run); r.Status != "RUNNING" || r.MaxConcurrency != 2 {
		t.Errorf("describe-map-run: %s %d", r.Status, r.MaxConcurrency)
	}
	call("stop-execution", "--execution-arn", z)

	// Away with it all.
	if _, text, err := try("delete-state-machine-version", "--state-machine-version-arn", version); err == nil || !strings.Contains(text, "ConflictException") {
		t.Errorf("deleting a version that an alias routes to: %s", text)
	}
	call("delete-state-machine-alias", "--state-machine-alias-arn", alias)
	call("delete-state-machine-version", "--state-machine-version-arn", version)
	call("delete-state-machine", "--state-machine-arn", m)
	call("delete-activity", "--activity-arn", activity)

	operations := 0
	for method := range reflect.TypeFor[*sfn.Client]().Methods() {
		if method.Name == "Options" {
			continue
		}
		operations++
		if name := kebab(method.Name); !served[name] {
			t.Errorf("aws stepfunctions %s was not called", name)
		}
	}
	t.Logf("%d of %d operations were called", len(served), operations)
}

// kebab is an operation's name as the CLI has it: start-execution.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
