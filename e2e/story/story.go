// Package story walks the road end to end with the AWS SDK for Go: a workflow
// in Tokyo calls Claude through a cross-Region inference profile, is refused,
// has the refusal explained, gets the corrected policy, is answered, and the
// trail says which Region answered. Every step checks what it says.
package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	rt "github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	ct "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"tokaido/e2e/harness"
)

// What the two articles used.
const (
	Region  = "ap-northeast-1"
	Osaka   = "ap-northeast-3"
	Model   = "anthropic.claude-sonnet-4-20250514-v1:0"
	Profile = "apac." + Model
	Newer   = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	Japan   = "jp." + Newer

	role   = "StepFunctionsBedrockRole"
	policy = "InvokeModel"
	prompt = "こんにちは"
)

// Destinations are where the profile may run a call that is made in Tokyo.
var Destinations = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
	"ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-4",
}

// Config makes Tokyo small enough that Osaka is needed, and slow enough that
// two calls meet.
const Config = `
bedrock:
  limits:
    ap-northeast-1:
      concurrency: 1
  simulated:
    regions:
      ap-northeast-1:
        latency: 150ms
`

const definition = `{
  "QueryLanguage": "JSONata",
  "StartAt": "Ask Claude",
  "States": {
    "Ask Claude": {
      "Type": "Task",
      "Resource": "arn:aws:states:::bedrock:invokeModel",
      "Arguments": {
        "ModelId": %q,
        "Body": {
          "anthropic_version": "bedrock-2023-05-31",
          "max_tokens": 200,
          "messages": [
            {"role": "user", "content": [{"type": "text", "text": "{%% $states.input.prompt %%}"}]}
          ]
        }
      },
      "End": true
    }
  }
}`

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// Teller hears the story.
type Teller interface {
	Step(n int, title string)    // a step begins
	Command(line string)         // the aws command that does the same
	Say(format string, a ...any) // what happened and why
	Quote(text string)           // what the server said
}

// Stage is where the story is played.
type Stage struct {
	Server *harness.Server
	Tell   Teller

	iam     *iam.Client
	sfn     *sfn.Client
	runtime *bedrockruntime.Client
	trail   *cloudtrail.Client

	account string
	roleARN string
	machine string
	fix     string // the corrected policy that explain proposed
	refused string // request id of the first refusal
}

// Run plays steps 1 to 9. The error says what did not happen.
func (s *Stage) Run(ctx context.Context) error {
	cfg := s.Server.Config(Region)
	s.iam, s.sfn = iam.NewFromConfig(cfg), sfn.NewFromConfig(cfg)
	s.runtime, s.trail = bedrockruntime.NewFromConfig(cfg), cloudtrail.NewFromConfig(cfg)
	id, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil {
		return fmt.Errorf("sts GetCallerIdentity: %w", err)
	}
	s.account = *id.Account
	for i, step := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"A role, with the policy that the console generates", s.createRole},
		{"The article's workflow: one Task, one cross-Region inference profile", s.createMachine},
		{"Run it: refused", s.refusal},
		{"Why? Ask", s.explain},
		{"Allow the profile alone: refused again, every time", s.profileOnly},
		{"Put the corrected policy: answered", s.corrected},
		{"The ap-* wildcard policy, and the profile by its ARN: answered", s.wildcard},
		{"Claude Sonnet 4.5, pinned to Japan: Converse and ConverseStream", s.japan},
		{"Where did it run? CloudTrail says", s.where},
	} {
		s.Tell.Step(i+1, step.title)
		if err := step.play(ctx); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func policyDocument(resources ...string) string {
	b, _ := json.MarshalIndent(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Sid": "InvokeModel1", "Effect": "Allow", "Action": []string{"bedrock:InvokeModel"}, "Resource": resources,
		}},
	}, "", "  ")
	return string(b)
}

func (s *Stage) profileARN() string {
	return "arn:aws:bedrock:" + Region + ":" + s.account + ":inference-profile/" + Profile
}

func (s *Stage) putPolicy(ctx context.Context, doc string) error {
	_, err := s.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(role), PolicyName: aws.String(policy), PolicyDocument: &doc})
	return err
}

func (s *Stage) createRole(ctx context.Context) error {
	s.Tell.Command("aws iam create-role --role-name " + role + " --assume-role-policy-document file://trust.json")
	r, err := s.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(role), AssumeRolePolicyDocument: aws.String(trust)})
	if err != nil {
		return err
	}
	s.roleARN = *r.Role.Arn
	wrong := "arn:aws:bedrock:" + Region + "::foundation-model/" + Profile
	s.Tell.Command("aws iam put-role-policy --role-name " + role + " --policy-name " + policy + " --policy-document file://generated.json")
	if err := s.putPolicy(ctx, policyDocument(wrong)); err != nil {
		return err
	}
	got, err := s.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String(role), PolicyName: aws.String(policy)})
	if err != nil {
		return err
	}
	if doc, err := url.QueryUnescape(*got.PolicyDocument); err != nil || !strings.Contains(doc, wrong) {
		return fmt.Errorf("GetRolePolicy gave %q, %v", *got.PolicyDocument, err)
	}
	s.Tell.Say("It allows bedrock:InvokeModel on %s.", wrong)
	return nil
}

func (s *Stage) createMachine(ctx context.Context) error {
	s.Tell.Command("aws stepfunctions create-state-machine --name ask-claude --definition file://ask.asl.json --role-arn " + s.roleARN)
	m, err := s.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("ask-claude"), RoleArn: &s.roleARN, Definition: aws.String(fmt.Sprintf(definition, Profile)),
	})
	if err != nil {
		return err
	}
	s.machine = *m.StateMachineArn
	s.Tell.Say("ModelId: %s", Profile)
	return nil
}

// run starts an execution and waits for its end.
func (s *Stage) run(ctx context.Context) (*sfn.DescribeExecutionOutput, []sf.HistoryEvent, error) {
	input, _ := json.Marshal(map[string]string{"prompt": prompt})
	x, err := s.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &s.machine, Input: aws.String(string(input))})
	if err != nil {
		return nil, nil, fmt.Errorf("StartExecution: %w", err)
	}
	for {
		d, err := s.sfn.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn})
		if err != nil {
			return nil, nil, fmt.Errorf("DescribeExecution: %w", err)
		}
		if d.Status != sf.ExecutionStatusRunning {
			h, err := s.sfn.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: x.ExecutionArn})
			if err != nil {
				return nil, nil, fmt.Errorf("GetExecutionHistory: %w", err)
			}
			return d, h.Events, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("execution %s still runs: %w", *x.ExecutionArn, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

var causeForm = regexp.MustCompile(`^User: (\S+) is not authorized to perform: bedrock:InvokeModel on resource: (\S+) ` +
	`because no identity-based policy allows the bedrock:InvokeModel action ` +
	`\(Service: BedrockRuntime, Status Code: 403, Request ID: ([0-9a-f-]{36})\) \(SDK Attempt Count: 1\)$`)

// refuse runs the workflow, which must be refused, and returns the resource that
// the refusal names and its request id.
func (s *Stage) refuse(ctx context.Context) (resource, requestID, cause string, err error) {
	d, events, err := s.run(ctx)
	if err != nil {
		return "", "", "", err
	}
	if d.Status != sf.ExecutionStatusFailed || aws.ToString(d.Error) != "Bedrock.AccessDeniedException" {
		return "", "", "", fmt.Errorf("execution ended %s with %q, want FAILED with Bedrock.AccessDeniedException", d.Status, aws.ToString(d.Error))
	}
	i := slices.IndexFunc(events, func(e sf.HistoryEvent) bool { return e.Type == sf.HistoryEventTypeTaskFailed })
	if i < 0 {
		return "", "", "", errors.New("the history has no TaskFailed")
	}
	f := events[i].TaskFailedEventDetails
	if aws.ToString(f.Error) != "Bedrock.AccessDeniedException" || aws.ToString(f.Resource) != "invokeModel" || aws.ToString(f.ResourceType) != "bedrock" {
		return "", "", "", fmt.Errorf("TaskFailed carries error %q, resource %q, resourceType %q", aws.ToString(f.Error), aws.ToString(f.Resource), aws.ToString(f.ResourceType))
	}
	m := causeForm.FindStringSubmatch(aws.ToString(f.Cause))
	if m == nil {
		return "", "", "", fmt.Errorf("the cause is not in AWS's words: %s", aws.ToString(f.Cause))
	}
	if want := "arn:aws:sts::" + s.account + ":assumed-role/" + role + "/"; !strings.HasPrefix(m[1], want) {
		return "", "", "", fmt.Errorf("the user is %s, want %s…", m[1], want)
	}
	return m[2], m[3], *f.Cause, nil
}

func (s *Stage) refusal(ctx context.Context) error {
	s.Tell.Command(`aws stepfunctions start-execution --state-machine-arn ` + s.machine + ` --input '{"prompt": "` + prompt + `"}'`)
	resource, id, cause, err := s.refuse(ctx)
	if err != nil {
		return err
	}
	if resource != s.profileARN() {
		return fmt.Errorf("the refusal names %s, want the profile %s", resource, s.profileARN())
	}
	s.refused = id
	s.Tell.Say("FAILED: Bedrock.AccessDeniedException")
	s.Tell.Quote(cause)
	return nil
}

func (s *Stage) explain(ctx context.Context) error {
	s.Tell.Command("tokaido policy explain " + s.refused)
	text, err := s.Server.Run(ctx, "policy", "explain", s.refused)
	if err != nil {
		return err
	}
	s.Tell.Quote(text)
	missing := []string{s.profileARN(), "this never matches", "foundation-model/" + Profile}
	for _, r := range Destinations {
		missing = append(missing, "arn:aws:bedrock:"+r+"::foundation-model/"+Model)
	}
	missing = append(missing, "\n-", "\n+")
	for _, want := range missing {
		if !strings.Contains(text, want) {
			return fmt.Errorf("the explanation does not say %q", want)
		}
	}
	out, err := s.Server.Run(ctx, "policy", "explain", "--format", "json", s.refused)
	if err != nil {
		return err
	}
	var e struct {
		Fixed bool
		Fixes []struct{ Policy, After string }
	}
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		return fmt.Errorf("--format json: %w", err)
	}
	if !e.Fixed || len(e.Fixes) != 1 || e.Fixes[0].Policy != policy {
		return fmt.Errorf("the explanation has no proven fix of %s: %s", policy, out)
	}
	s.fix = e.Fixes[0].After
	return nil
}

func (s *Stage) profileOnly(ctx context.Context) error {
	s.Tell.Command("aws iam put-role-policy … # only " + s.profileARN())
	if err := s.putPolicy(ctx, policyDocument(s.profileARN())); err != nil {
		return err
	}
	const tries = 5
	named := ""
	for range tries {
		resource, _, _, err := s.refuse(ctx)
		if err != nil {
			return err
		}
		region, ok := destination(resource)
		if !ok || !slices.Contains(Destinations, region) {
			return fmt.Errorf("the refusal names %s, want the model in a destination Region", resource)
		}
		named = resource
	}
	s.Tell.Say("%d of %d runs refused, naming %s:", tries, tries, named)
	s.Tell.Say("the model must be allowed in every destination Region, so a partial policy never works \"sometimes\".")
	return nil
}

// destination returns the Region of the model's ARN.
func destination(resource string) (region string, ok bool) {
	rest, ok := strings.CutPrefix(resource, "arn:aws:bedrock:")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "::foundation-model/"+Model)
}

// succeed runs the workflow, which must succeed, and returns the answer's text.
func (s *Stage) succeed(ctx context.Context) (string, error) {
	d, events, err := s.run(ctx)
	if err != nil {
		return "", err
	}
	if d.Status != sf.ExecutionStatusSucceeded {
		return "", fmt.Errorf("execution ended %s: %s %s", d.Status, aws.ToString(d.Error), aws.ToString(d.Cause))
	}
	last := events[len(events)-1]
	if last.Type != sf.HistoryEventTypeExecutionSucceeded || aws.ToString(last.ExecutionSucceededEventDetails.Output) != aws.ToString(d.Output) {
		return "", fmt.Errorf("the history ends with %s and another output than DescribeExecution's", last.Type)
	}
	var out struct {
		Body struct {
			Model   string
			Content []struct{ Text string }
		}
	}
	if err := json.Unmarshal([]byte(*d.Output), &out); err != nil {
		return "", err
	}
	if out.Body.Model == "" || len(out.Body.Content) == 0 || out.Body.Content[0].Text == "" {
		return "", fmt.Errorf("the output lacks Body.model or Body.content[0].text: %s", *d.Output)
	}
	return out.Body.Model + ": " + out.Body.Content[0].Text, nil
}

func (s *Stage) corrected(ctx context.Context) error {
	s.Tell.Command("aws iam put-role-policy … --policy-document file://corrected.json")
	if err := s.putPolicy(ctx, s.fix); err != nil {
		return err
	}
	text, err := s.succeed(ctx)
	if err != nil {
		return err
	}
	s.Tell.Say("SUCCEEDED")
	s.Tell.Quote(text)
	return nil
}

func (s *Stage) wildcard(ctx context.Context) error {
	doc := policyDocument("arn:aws:bedrock:ap-*::foundation-model/"+Model, "arn:aws:bedrock:ap-*:"+s.account+":inference-profile/"+Profile)
	if err := s.putPolicy(ctx, doc); err != nil {
		return err
	}
	if _, err := s.succeed(ctx); err != nil {
		return fmt.Errorf("with ap-*: %w", err)
	}
	s.Tell.Say("SUCCEEDED with arn:aws:bedrock:ap-*::foundation-model/%s", Model)
	s.Tell.Command("aws stepfunctions update-state-machine … # ModelId: " + s.profileARN())
	if _, err := s.sfn.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{
		StateMachineArn: &s.machine, Definition: aws.String(fmt.Sprintf(definition, s.profileARN())),
	}); err != nil {
		return err
	}
	if _, err := s.succeed(ctx); err != nil {
		return fmt.Errorf("with the profile's ARN: %w", err)
	}
	s.Tell.Say("SUCCEEDED with the profile's ARN")
	return nil
}

func message(text string) []rt.Message {
	return []rt.Message{{Role: rt.ConversationRoleUser, Content: []rt.ContentBlock{&rt.ContentBlockMemberText{Value: text}}}}
}

func (s *Stage) converse(ctx context.Context, model string) (string, error) {
	out, err := s.runtime.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: &model, Messages: message(prompt)})
	if err != nil {
		return "", err
	}
	m, ok := out.Output.(*rt.ConverseOutputMemberMessage)
	if !ok || len(m.Value.Content) == 0 {
		return "", errors.New("the answer of Converse has no message")
	}
	text, ok := m.Value.Content[0].(*rt.ContentBlockMemberText)
	if !ok || text.Value == "" || aws.ToInt32(out.Usage.OutputTokens) == 0 || out.StopReason != rt.StopReasonEndTurn {
		return "", fmt.Errorf("the answer of Converse has no text, tokens or end_turn: %+v", out)
	}
	return text.Value, nil
}

func (s *Stage) converseStream(ctx context.Context, model string) (text string, pieces int, err error) {
	out, err := s.runtime.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: &model, Messages: message(prompt)})
	if err != nil {
		return "", 0, err
	}
	stream := out.GetStream()
	defer stream.Close()
	var stopped, usage bool
	for e := range stream.Events() {
		switch e := e.(type) {
		case *rt.ConverseStreamOutputMemberContentBlockDelta:
			if d, ok := e.Value.Delta.(*rt.ContentBlockDeltaMemberText); ok {
				text += d.Value
				pieces++
			}
		case *rt.ConverseStreamOutputMemberMessageStop:
			stopped = e.Value.StopReason == rt.StopReasonEndTurn
		case *rt.ConverseStreamOutputMemberMetadata:
			usage = aws.ToInt32(e.Value.Usage.OutputTokens) > 0
		}
	}
	if err := stream.Err(); err != nil {
		return "", 0, err
	}
	if text == "" || !stopped || !usage {
		return "", 0, fmt.Errorf("the stream ended with text %q, stop %v, usage %v", text, stopped, usage)
	}
	return text, pieces, nil
}

func (s *Stage) japan(ctx context.Context) error {
	s.Tell.Command("aws bedrock-runtime converse --model-id " + Japan + ` --messages '[{"role":"user","content":[{"text":"` + prompt + `"}]}]'`)
	text, err := s.converse(ctx, Japan)
	if err != nil {
		return fmt.Errorf("converse: %w", err)
	}
	s.Tell.Quote(text)
	streamed, pieces, err := s.converseStream(ctx, Japan)
	if err != nil {
		return fmt.Errorf("ConverseStream: %w", err)
	}
	if streamed != text {
		return fmt.Errorf("the stream said %q, Converse %q", streamed, text)
	}
	s.Tell.Say("ConverseStream: the same, in %d pieces", pieces)

	_, err = s.converse(ctx, Newer)
	want := "Invocation of model ID " + Newer + " with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || api.ErrorCode() != "ValidationException" || api.ErrorMessage() != want {
		return fmt.Errorf("the bare id was answered with %v, want ValidationException: %s", err, want)
	}
	s.Tell.Say("The bare id %s:", Newer)
	s.Tell.Quote(want)

	// Two at a time: Tokyo has room for one, so Osaka takes the other.
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.converse(ctx, Japan) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("concurrent Converse: %w", err)
	}
	s.Tell.Say("%d more at once: Tokyo has room for one at a time here.", len(errs))
	return nil
}

// Event is what the story looks at in a CloudTrail event.
type Event struct {
	EventName, EventTime, ErrorCode, AwsRegion string
	UserIdentity                               struct{ Type, Arn string }
	RequestParameters                          struct{ ModelId string }
	AdditionalEventData                        struct{ InferenceRegion string }
}

// Inferences reads all events of the given name, newest first.
func Inferences(ctx context.Context, client *cloudtrail.Client, name string) (events []Event, err error) {
	p := cloudtrail.NewLookupEventsPaginator(client, &cloudtrail.LookupEventsInput{
		LookupAttributes: []ct.LookupAttribute{{AttributeKey: ct.LookupAttributeKeyEventName, AttributeValue: &name}},
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("LookupEvents: %w", err)
		}
		for _, e := range page.Events {
			var x Event
			if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &x); err != nil {
				return nil, fmt.Errorf("event %s: %w", *e.EventId, err)
			}
			events = append(events, x)
		}
	}
	return events, nil
}

func (s *Stage) where(ctx context.Context) error {
	s.Tell.Command("aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=Converse")
	used := map[string]int{}
	for _, c := range []struct {
		name            string
		served, refused int
	}{{"InvokeModel", 3, 6}, {"Converse", 5, 1}, {"ConverseStream", 1, 0}} {
		events, err := Inferences(ctx, s.trail, c.name)
		if err != nil {
			return err
		}
		served, refused := 0, 0
		for _, e := range events {
			where := e.AdditionalEventData.InferenceRegion
			if e.UserIdentity.Arn == "" || e.RequestParameters.ModelId == "" || e.AwsRegion != Region {
				return fmt.Errorf("%s at %s has principal %q, model %q, Region %q", c.name, e.EventTime, e.UserIdentity.Arn, e.RequestParameters.ModelId, e.AwsRegion)
			}
			if e.ErrorCode != "" {
				refused++
				if where != "" {
					return fmt.Errorf("%s was refused with %s and yet ran in %s", c.name, e.ErrorCode, where)
				}
				continue
			}
			served++
			if where == "" {
				return fmt.Errorf("%s at %s does not say where it ran", c.name, e.EventTime)
			}
			if c.name != "InvokeModel" {
				if where != Region && where != Osaka {
					return fmt.Errorf("%s with %s ran in %s: outside Japan", c.name, e.RequestParameters.ModelId, where)
				}
				used[where]++
			}
			s.Tell.Say("%s  %-14s %-45s %s", e.EventTime, c.name, shorten(e.RequestParameters.ModelId), where)
		}
		if served != c.served || refused != c.refused {
			return fmt.Errorf("%s: %d served and %d refused are recorded, want %d and %d", c.name, served, refused, c.served, c.refused)
		}
	}
	if used[Region] == 0 || used[Osaka] == 0 {
		return fmt.Errorf("the jp. calls ran in %v, want both Tokyo and Osaka", used)
	}
	s.Tell.Say("Of the jp. calls, %d ran in Tokyo and %d in Osaka; none left Japan. Seven refusals are recorded too.", used[Region], used[Osaka])
	return nil
}

// shorten leaves the account out of a profile's ARN.
func shorten(id string) string {
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		return "…/" + id[i+1:]
	}
	return id
}
