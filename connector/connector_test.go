package connector

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/asl"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

const (
	account = "111122223333"
	role    = "arn:aws:iam::111122223333:role/SfnExec"
	sonnet4 = "apac.anthropic.claude-sonnet-4-20250514-v1:0"
	jp45    = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
)

type recorder struct {
	mu      sync.Mutex
	records []trail.Record
	fail    func(*trail.Record) error
}

func (r *recorder) Append(_ context.Context, rec *trail.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		if err := r.fail(rec); err != nil {
			return err
		}
	}
	r.records = append(r.records, *rec)
	return nil
}

// roles hands out a role with one policy.
type roles struct {
	policy  string
	refused bool
	further string // a role that may not be assumed by another role
	session string
}

func (r *roles) AssumeForService(_ context.Context, roleARN, service, source, sourceAccount, session string, _ time.Time) (*principal.Principal, error) {
	if r.refused {
		return nil, fault.Newf("AccessDeniedException", "no")
	}
	r.session = session
	p, err := iam.Parse(iam.IdentityPolicy, []byte(r.policy))
	if err != nil {
		return nil, err
	}
	return &principal.Principal{
		Type: principal.AssumedRole, Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/SfnExec/" + session,
		ID: "AROAX:" + session, Name: "SfnExec", RoleARN: roleARN, SessionName: session, AssumedBy: service,
		Policies: iam.Policies{Identity: []iam.Bound{{Policy: p, Name: "inline", Owner: roleARN}}},
	}, nil
}

func (r *roles) AssumeForTask(ctx context.Context, _ *principal.Principal, roleARN, session string, _ iam.Context, now time.Time) (*principal.Principal, error) {
	if roleARN == r.further {
		return nil, fault.Newf("AccessDeniedException", "no")
	}
	return r.AssumeForService(ctx, roleARN, statesService, "", "", session, now)
}

const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:Invoke*","Resource":"*"}]}`

type world struct {
	table Table
	log   *recorder
	roles *roles
	seen  []bedrock.Call
}

func newWorld(policy string, o simulated.Options) *world {
	w := &world{table: Table{}, log: &recorder{}, roles: &roles{policy: policy}}
	o.Seen = func(c bedrock.Call) { w.seen = append(w.seen, c) }
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(o).For})
	b := &Bedrock{Inference: &Inference{Gate: gate.New(w.log, nil), Runtime: rt}, Roles: w.roles}
	b.AddTo(w.table)
	return w
}

func task(service, action, args string) flow.Task {
	return flow.Task{
		Invoke: engine.Invoke{Task: 1, State: "Ask", Args: value.MustParse(args),
			Part: &asl.TaskPart{Resource: "arn:aws:states:::" + service + ":" + action, Service: service, Action: action}},
		RoleARN: role, MachineARN: "arn:aws:states:ap-northeast-1:111122223333:stateMachine:m", ExecutionARN: "arn:aws:states:ap-northeast-1:111122223333:execution:m:run-1",
		ExecutionName: "run-1", Region: "ap-northeast-1", Account: account,
	}
}

const claudeArgs = `{"ModelId":"` + sonnet4 + `","Body":{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"こんにちは"}]}]}}`

func taskError(t *testing.T, err error) *flow.TaskError {
	t.Helper()
	f, ok := errors.AsType[*flow.TaskError](err)
	if !ok {
		t.Fatalf("not a task's failure: %v", err)
	}
	return f
}

func TestOptimizedInvokeModel(t *testing.T) {
	w := newWorld(allowAll, simulated.Options{})
	out, err := w.table.Invoke(t.Context(), task("bedrock", "invokeModel", claudeArgs))
	if err != nil {
		t.Fatal(err)
	}
	body := out.Get("Body")
	if body.Get("model").Str() != "claude-sonnet-4-20250514" || body.Get("content").At(0).Get("text").Str() != "[simulated Claude Sonnet 4] You said: こんにちは" || out.Get("ContentType").Str() != "application/json" || out.Len() != 2 {
		t.Errorf("output: %s", out)
	}
	if len(w.log.records) != 2 {
		t.Fatalf("%d records", len(w.log.records))
	}
	in, done := w.log.records[0], w.log.records[1]
	if in.Phase != trail.Intent || done.Phase != trail.Outcome || done.Name != "InvokeModel" || done.Source != "bedrock.amazonaws.com" ||
		done.Request.JSON() != `{"modelId":"`+sonnet4+`"}` || !done.ReadOnly || done.Region != "ap-northeast-1" ||
		done.SourceIP != "states.amazonaws.com" || done.ExecutionARN == "" || done.State != "Ask" || done.Host != "bedrock-runtime.ap-northeast-1.amazonaws.com" {
		t.Errorf("records: %+v\n%+v", in, done)
	}
	if a := done.Additional; a.Get("inferenceRegion").Str() != "ap-northeast-1" || !a.Has("inputTokens") || !a.Has("outputTokens") || a.Has("attempts") {
		t.Errorf("additionalEventData: %s", a)
	}
}

// The article's own policy names an ARN that cannot exist: the refusal is
// about the profile, and nothing is sent.
func TestArticlesDenial(t *testing.T) {
	w := newWorld(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"arn:aws:bedrock:ap-northeast-1::foundation-model/`+sonnet4+`"}]}`, simulated.Options{})
	_, err := w.table.Invoke(t.Context(), task("bedrock", "invokeModel", claudeArgs))
	f := taskError(t, err)
	want := regexp.MustCompile(`^User: arn:aws:sts::111122223333:assumed-role/SfnExec/run-1 is not authorized to perform: bedrock:InvokeModel on resource: ` +
		`arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/apac\.anthropic\.claude-sonnet-4-20250514-v1:0 because no identity-based policy allows the bedrock:InvokeModel action ` +
		`\(Service: BedrockRuntime, Status Code: 403, Request ID: [0-9a-f-]{36}\) \(SDK Attempt Count: 1\)$`)
	if f.Name != "Bedrock.AccessDeniedException" || !want.MatchString(f.Cause) {
		t.Errorf("%s\n%s", f.Name, f.Cause)
	}
	if len(w.seen) != 0 || len(w.log.records) != 1 || w.log.records[0].ErrorCode == "" || !strings.Contains(f.Cause, w.log.records[0].RequestID) {
		t.Errorf("%d calls sent, records %+v", len(w.seen), w.log.records)
	}
}

// The profile alone is not enough: the refusal names a model, every time.
func TestDestinationDenial(t *testing.T) {
	w := newWorld(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":[
	"arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/`+sonnet4+`","arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0"]}]}`, simulated.Options{})
	for range 5 {
		_, err := w.table.Invoke(t.Context(), task("bedrock", "invokeModel", claudeArgs))
		if f := taskError(t, err); !strings.Contains(f.Cause, "on resource: arn:aws:bedrock:ap-northeast-2::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0 because") {
			t.Error(f.Cause)
		}
	}
	if len(w.seen) != 0 {
		t.Errorf("%d calls sent", len(w.seen))
	}
}

func TestErrors(t *testing.T) {
	busy := simulated.Options{Others: simulated.Behaviour{Throttle: true}}
	down := simulated.Options{Others: simulated.Behaviour{Fail: true}}
	bare := strings.Replace(claudeArgs, "apac.", "", 1)
	for _, c := range []struct {
		name string
		o    simulated.Options
		args string
		want string // name and the beginning of the cause
	}{
		{"throttled", busy, claudeArgs, "Bedrock.ThrottlingException: Too many requests, please wait before trying again. (Service: BedrockRuntime, Status Code: 429, Request ID: "},
		{"down", down, claudeArgs, "Bedrock.ServiceUnavailableException: Bedrock is unable to process your request. (Service: BedrockRuntime, Status Code: 503, "},
		{"bare", simulated.Options{}, bare, "Bedrock.ValidationException: Invocation of model ID anthropic.claude-sonnet-4-20250514-v1:0 with on-demand throughput isn\u2019t supported."},
		{"bad-body", simulated.Options{}, `{"ModelId":"` + sonnet4 + `","Body":{"max_tokens":1}}`, "Bedrock.ValidationException: anthropic_version: Field required (Service: BedrockRuntime, Status Code: 400, "},
		{"no-body", simulated.Options{}, `{"ModelId":"x"}`, "States.Runtime: The Parameters '{\"ModelId\":\"x\"}' could not be used to start the Task: [The field 'Body' is required but was missing]"},
		{"no-model", simulated.Options{}, `{"Body":{}}`, "States.Runtime: The Parameters"},
		{"model-number", simulated.Options{}, `{"ModelId":1,"Body":{}}`, "States.Runtime: The Parameters"},
		{"guardrail", simulated.Options{}, `{"ModelId":"x","Body":{},"GuardrailIdentifier":"g"}`, `States.Runtime: The Parameters '{"ModelId":"x","Body":{},"GuardrailIdentifier":"g"}' could not be used to start the Task: [The field "GuardrailIdentifier" is not supported by this server]`},
		{"s3", simulated.Options{}, `{"ModelId":"x","Input":{"S3Uri":"s3://b/k"}}`, "States.Runtime: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newWorld(allowAll, c.o).table.Invoke(t.Context(), task("bedrock", "invokeModel", c.args))
			if f := taskError(t, err); !strings.HasPrefix(f.Name+": "+f.Cause, c.want) {
				t.Errorf("got %s: %s", f.Name, f.Cause)
			}
		})
	}
}

func TestRerouteIsRecorded(t *testing.T) {
	w := newWorld(allowAll, simulated.Options{Regions: map[string]simulated.Behaviour{"ap-northeast-1": {Throttle: true}}})
	args := strings.Replace(claudeArgs, sonnet4, jp45, 1)
	if _, err := w.table.Invoke(t.Context(), task("bedrock", "invokeModel", args)); err != nil {
		t.Fatal(err)
	}
	a := w.log.records[1].Additional
	if a.Get("inferenceRegion").Str() != "ap-northeast-3" || a.Get("attempts").At(0).Get("region").Str() != "ap-northeast-1" ||
		a.Get("attempts").At(0).Get("error").Str() != "ThrottlingException" || a.Get("attempts").At(1).Get("outcome").Str() != "served" {
		t.Errorf("additionalEventData: %s", a)
	}
}

// A request that cannot be understood is refused, recorded, and is no inference;
// who is not allowed learns only that.
func TestWrongRequests(t *testing.T) {
	w := newWorld(allowAll, simulated.Options{})
	if _, err := w.table.Invoke(t.Context(), task("aws-sdk:bedrockruntime", "converse", `{"ModelId":"`+jp45+`"}`)); err == nil {
		t.Error("a conversation without messages")
	}
	if r := w.log.records; len(r) != 1 || r[0].Phase != trail.Whole || r[0].ErrorCode != "ValidationException" || r[0].Name != "Converse" {
		t.Errorf("records: %+v", r)
	}
	w = newWorld(strings.Replace(allowAll, "Allow", "Deny", 1), simulated.Options{})
	_, err := w.table.Invoke(t.Context(), task("aws-sdk:bedrockruntime", "converse", `{"ModelId":"`+jp45+`"}`))
	if f := taskError(t, err); f.Name != "BedrockRuntime.AccessDeniedException" || !strings.Contains(f.Cause, "explicit deny") {
		t.Errorf("%v", f)
	}
}

// Fault pairs: the intent cannot be written, then the outcome cannot.
func TestUnrecorded(t *testing.T) {
	broken := errors.New("disk")
	w := newWorld(allowAll, simulated.Options{})
	w.log.fail = func(*trail.Record) error { return broken }
	if _, err := w.table.Invoke(t.Context(), task("bedrock", "invokeModel", claudeArgs)); !errors.Is(err, broken) || len(w.seen) != 0 {
		t.Errorf("%v, %d calls sent without a record", err, len(w.seen))
	}
	w.log.fail = func(r *trail.Record) error {
		if r.Phase == trail.Outcome {
			return broken
		}
		return nil
	}
	if _, err := w.table.Invoke(t.Context(), task("bedrock", "invokeModel", claudeArgs)); !errors.Is(err, broken) || len(w.seen) != 1 {
		t.Errorf("%v, %d calls sent", err, len(w.seen))
	}
}

func TestRolesAndTables(t *testing.T) {
	w := newWorld(allowAll, simulated.Options{})
	w.roles.refused = true
	k := task("bedrock", "invokeModel", claudeArgs)
	_, err := w.table.Invoke(t.Context(), k)
	if f := taskError(t, err); f.Name != "States.TaskFailed" || !strings.HasPrefix(f.Cause, "Neither the global service principal states.amazonaws.com") {
		t.Errorf("%v", f)
	}
	// Credentials: the machine's role assumes the other one, the service does not.
	const further = "arn:aws:iam::" + account + ":role/further"
	k.Invoke.RoleARN, k.RoleARN, k.MachineRole = further, further, role
	w.roles.refused, w.roles.further = false, further
	_, err = w.table.Invoke(t.Context(), k)
	if f := taskError(t, err); !strings.Contains(f.Cause, "is not authorized to assume the task state's role, "+further+".") {
		t.Errorf("%v", f)
	}
	_, err = w.table.Invoke(t.Context(), task("lambda", "invoke", `{}`))
	if f := taskError(t, err); f.Name != "States.TaskFailed" || f.Cause != "The resource 'arn:aws:states:::lambda:invoke' is not supported by this server." {
		t.Errorf("%v", f)
	}
	k = task("bedrock", "invokeModel", claudeArgs)
	k.Part.Pattern = asl.Sync
	if _, err = w.table.Invoke(t.Context(), k); err == nil {
		t.Error("a job of invokeModel")
	}
	k = task("bedrock", "invokeModel", `{"ModelId":"x"}`)
	if why := w.table.Refuse(k.Part, k.Args); why != `The Parameters '{"ModelId":"x"}' could not be used to start the Task: [The field 'Body' is required but was missing]` {
		t.Errorf("refused: %s", why)
	}
	k = task("bedrock", "invokeModel", claudeArgs)
	if why := w.table.Refuse(k.Part, k.Args); why != "" {
		t.Errorf("refused: %s", why)
	}
	k = task("lambda", "invoke", "{}")
	if why := w.table.Refuse(k.Part, k.Args); why != "" {
		t.Errorf("refused: %s", why)
	}
	for in, want := range map[string]string{"run-1": "run-1", "東京 1": "___1", "": "__", "x": "x_", strings.Repeat("a", 80): strings.Repeat("a", 64)} {
		if got := SessionName(in); got != want {
			t.Errorf("session of %q: %q", in, got)
		}
	}
}

func TestSDKConverse(t *testing.T) {
	w := newWorld(allowAll, simulated.Options{})
	args := `{"ModelId":"` + jp45 + `","System":[{"Text":"be brief"}],"Messages":[{"Role":"user","Content":[{"Text":"use f"}]}],"InferenceConfig":{"MaxTokens":100,"TopP":0.5},
	"ToolConfig":{"Tools":[{"ToolSpec":{"Name":"f","InputSchema":{"Json":{"type":"object","properties":{"CityName":{"type":"string"}},"required":["CityName"]}}}}]},"RequestMetadata":{"TeamName":"x"}}`
	out, err := w.table.Invoke(t.Context(), task("aws-sdk:bedrockruntime", "converse", args))
	if err != nil {
		t.Fatal(err)
	}
	content := out.Get("Output").Get("Message").Get("Content")
	if content.At(0).Get("Text").Str() != "[simulated Claude Sonnet 4.5] I am calling f." || out.Get("StopReason").Str() != "tool_use" ||
		content.At(1).Get("ToolUse").Get("Input").JSON() != `{"CityName":"use f"}` || !out.Get("Usage").Has("InputTokens") || !out.Get("Metrics").Has("LatencyMs") {
		t.Errorf("output: %s", out)
	}
	if got := w.log.records[1].Additional.Get("requestMetadata").JSON(); got != `{"TeamName":"x"}` {
		t.Errorf("requestMetadata: %s", got)
	}
	_, err = w.table.Invoke(t.Context(), task("aws-sdk:bedrockruntime", "converse", strings.Replace(args, `"System"`, `"system"`, 1)))
	if f := taskError(t, err); f.Name != "States.Runtime" || !strings.Contains(f.Cause, "capital letter") {
		t.Errorf("%v", f)
	}
	_, err = w.table.Invoke(t.Context(), task("aws-sdk:bedrockruntime", "converse", strings.Replace(args, jp45, "nobody.knows", 1)))
	if f := taskError(t, err); f.Name != "BedrockRuntime.ValidationException" || !strings.HasPrefix(f.Cause, "The provided model identifier is invalid. (Service: BedrockRuntime, Status Code: 400") {
		t.Errorf("%v", f)
	}
}

func TestSDKInvokeModel(t *testing.T) {
	w := newWorld(allowAll, simulated.Options{})
	v := value.MustParse(claudeArgs)
	for _, args := range []value.Value{v, v.With("Body", value.String(v.Get("Body").JSON()))} {
		out, err := w.table.Invoke(t.Context(), task("aws-sdk:bedrockruntime", "invokeModel", args.JSON()))
		if err != nil {
			t.Fatal(err)
		}
		if body := out.Get("Body"); !body.IsString() || !strings.Contains(body.Str(), "[simulated Claude Sonnet 4]") {
			t.Errorf("output: %s", out)
		}
	}
}

// Arguments come from a workflow: whatever they are, they are refused or run.
func FuzzArguments(f *testing.F) {
	f.Add(claudeArgs)
	f.Add(`{"ModelId":"` + jp45 + `","Messages":[{"Role":"user","Content":[{"Text":"x"},{"ToolUse":{"Input":{"A":1}}}]}]}`)
	f.Add(`{"ModelId":null,"Body":""}`)
	f.Add(`[]`)
	w := newWorld(allowAll, simulated.Options{})
	f.Fuzz(func(t *testing.T, args string) {
		if !value.Valid(args) {
			return
		}
		w.log.records, w.seen = nil, nil
		for _, k := range []flow.Task{task("bedrock", "invokeModel", args), task("aws-sdk:bedrockruntime", "invokeModel", args), task("aws-sdk:bedrockruntime", "converse", args)} {
			out, err := w.table.Invoke(t.Context(), k)
			if err == nil && !value.Valid(out.JSON()) {
				t.Errorf("not JSON: %s", out)
			}
			if err != nil {
				taskError(t, err)
			}
			if why := w.table.Refuse(k.Part, k.Args); why != "" && err == nil {
				t.Errorf("refused, and run: %s", why)
			}
		}
	})
}

type discard struct{}

func (discard) Append(context.Context, *trail.Record) error { return nil }

// instant answers without doing anything.
type instant struct{ simulated.Backend }

func (*instant) Invoke(context.Context, bedrock.Call) (*bedrock.Answer, error) {
	return &bedrock.Answer{Body: []byte("{}"), ContentType: "application/json", Usage: bedrock.Usage{Input: 1, Output: 1}}, nil
}

// The corridor alone: plan, decisions, two records thrown away, routing.
func BenchmarkInference(b *testing.B) {
	back := &instant{}
	in := &Inference{Gate: gate.New(discard{}, nil), Runtime: bedrock.New(bedrock.Config{Backend: func(string, *catalog.Model) bedrock.Backend { return back }})}
	r := &roles{policy: allowAll}
	by, err := r.AssumeForService(b.Context(), role, statesService, "", account, "run-1", time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	from := From{By: by, Region: "ap-northeast-1", Account: account}
	q := bedrock.Request{Body: []byte(value.MustParse(claudeArgs).Get("Body").JSON())}
	for _, id := range []string{jp45, sonnet4} {
		b.Run(id[:4], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := in.Invoke(b.Context(), from, id, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
