// Package sfn is the wire face of Step Functions: its operations, the shapes of
// their requests and answers, and what each needs to be allowed. The rules are
// flow's. It refuses parameters that nobody acts on.
package sfn

import (
	"context"
	"time"

	"tokaido/arn"
	"tokaido/awsapi"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/iam"
	"tokaido/value"
)

// servicePrincipal is whom roles are passed to.
const servicePrincipal = "states.amazonaws.com"

// operation is one row of the table.
type operation struct {
	name     string
	readOnly bool
	in       []member
	needs    func(h *handlers, r *awsapi.Request) ([]iam.Authorization, error)
	do       func(h *handlers, ctx context.Context, r *awsapi.Request) (*awsapi.Response, error)
}

type handlers struct{ svc *flow.Service }

// Ops lists the operations.
func Ops(svc *flow.Service) []awsapi.Op {
	h := &handlers{svc}
	var ops []awsapi.Op
	for _, o := range operations {
		op := awsapi.Op{
			Service:  "states",
			Source:   "states.amazonaws.com",
			Name:     o.name,
			Protocol: awsapi.JSON10,
			Target:   "AWSStepFunctions." + o.name,
			ReadOnly: o.readOnly,
			Volatile: o.name == "StartSyncExecution", // what its Tasks call is recorded by itself
			Needs: func(ctx context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
				if err := check(r.Input, o.in, h.svc.DataSize()); err != nil {
					return nil, err
				}
				return o.needs(h, r)
			},
			Params: func(r *awsapi.Request) value.Value { return hidden(r.Input, o.in) },
			Handle: func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) { return o.do(h, ctx, r) },
		}
		if !o.readOnly && o.name != "StartSyncExecution" && o.name != "TestState" && o.name != "GetActivityTask" { // whose answers are documents
			op.Result = awsapi.Elements
		}
		ops = append(ops, op)
	}
	return ops
}

var operations = []operation{
	{"CreateStateMachine", false, []member{
		{"name", true, nameShape}, {"definition", true, definition}, {"roleArn", true, arnShape}, {"type", false, machineType},
		{"loggingConfiguration", false, logging}, {"tags", false, tags}, {"tracingConfiguration", false, tracing}, {"publish", false, flag},
		{"versionDescription", false, description}, {"encryptionConfiguration", false, encryption},
	}, (*handlers).needsCreate, (*handlers).createStateMachine},
	{"UpdateStateMachine", false, []member{
		{"stateMachineArn", true, arnShape}, {"definition", false, definition}, {"roleArn", false, arnShape}, {"loggingConfiguration", false, logging},
		{"tracingConfiguration", false, tracing}, {"publish", false, flag}, {"versionDescription", false, description}, {"encryptionConfiguration", false, encryption},
	}, (*handlers).needsUpdate, (*handlers).updateStateMachine},
	{"DeleteStateMachine", false, []member{{"stateMachineArn", true, arnShape}}, machine("stateMachineArn"), (*handlers).deleteStateMachine},
	{"DescribeStateMachine", true, []member{{"stateMachineArn", true, arnShape}, {"includedData", false, includedData}}, machine("stateMachineArn"), (*handlers).describeStateMachine},
	{"ListStateMachines", true, []member{{"maxResults", false, pageSize}, {"nextToken", false, pageToken}}, everything, (*handlers).listStateMachines},
	{"DescribeStateMachineForExecution", true, []member{{"executionArn", true, arnShape}, {"includedData", false, includedData}}, execution("executionArn"), (*handlers).describeForExecution},
	{"ValidateStateMachineDefinition", true, []member{
		{"definition", true, definition}, {"type", false, machineType}, {"severity", false, shape{enum: []string{"ERROR", "WARNING"}}},
		{"maxResults", false, shape{kind: integer, max: 100, bounded: true}},
	}, everything, (*handlers).validate},
	generateRolePolicy,
	testState,

	{"PublishStateMachineVersion", false, []member{{"stateMachineArn", true, arnShape}, {"revisionId", false, anyText}, {"description", false, description}}, machine("stateMachineArn"), (*handlers).publish},
	{"ListStateMachineVersions", true, []member{{"stateMachineArn", true, arnShape}, {"nextToken", false, pageToken}, {"maxResults", false, pageSize}}, machine("stateMachineArn"), (*handlers).listVersions},
	{"DeleteStateMachineVersion", false, []member{{"stateMachineVersionArn", true, longARN}}, machine("stateMachineVersionArn"), (*handlers).deleteVersion},
	{"CreateStateMachineAlias", false, []member{{"description", false, description}, {"name", true, aliasName}, {"routingConfiguration", true, routes}}, (*handlers).needsAlias, (*handlers).createAlias},
	{"UpdateStateMachineAlias", false, []member{{"stateMachineAliasArn", true, arnShape}, {"description", false, description}, {"routingConfiguration", false, routes}}, machine("stateMachineAliasArn"), (*handlers).updateAlias},
	{"DescribeStateMachineAlias", true, []member{{"stateMachineAliasArn", true, arnShape}}, machine("stateMachineAliasArn"), (*handlers).describeAlias},
	{"DeleteStateMachineAlias", false, []member{{"stateMachineAliasArn", true, arnShape}}, machine("stateMachineAliasArn"), (*handlers).deleteAlias},
	{"ListStateMachineAliases", true, []member{{"stateMachineArn", true, arnShape}, {"nextToken", false, pageToken}, {"maxResults", false, pageSize}}, machine("stateMachineArn"), (*handlers).listAliases},

	{"StartExecution", false, []member{
		{"stateMachineArn", true, arnShape}, {"name", false, nameShape}, {"input", false, data}, {"traceHeader", false, trace},
	}, machine("stateMachineArn"), (*handlers).startExecution},
	{"StartSyncExecution", false, []member{
		{"stateMachineArn", true, arnShape}, {"name", false, nameShape}, {"input", false, data}, {"traceHeader", false, trace}, {"includedData", false, includedData},
	}, machine("stateMachineArn"), (*handlers).startSyncExecution},
	{"DescribeExecution", true, []member{{"executionArn", true, arnShape}, {"includedData", false, includedData}}, execution("executionArn"), (*handlers).describeExecution},
	{"ListExecutions", true, []member{
		{"stateMachineArn", false, arnShape}, {"statusFilter", false, status}, {"maxResults", false, pageSize}, {"nextToken", false, longPageToken},
		{"mapRunArn", false, longARN}, {"redriveFilter", false, redriveFilter},
	}, (*handlers).needsListExecutions, (*handlers).listExecutions},
	{"StopExecution", false, []member{{"executionArn", true, arnShape}, {"error", false, errorShape}, {"cause", false, causeShape}}, execution("executionArn"), (*handlers).stopExecution},
	{"RedriveExecution", false, []member{{"executionArn", true, arnShape}, {"clientToken", false, clientToken}}, execution("executionArn"), (*handlers).redriveExecution},
	{"GetExecutionHistory", true, []member{
		{"executionArn", true, arnShape}, {"maxResults", false, pageSize}, {"reverseOrder", false, flag}, {"nextToken", false, pageToken}, {"includeExecutionData", false, flag},
	}, execution("executionArn"), (*handlers).getExecutionHistory},

	{"ListMapRuns", true, []member{{"executionArn", true, arnShape}, {"maxResults", false, pageSize}, {"nextToken", false, pageToken}}, execution("executionArn"), (*handlers).listMapRuns},
	{"DescribeMapRun", true, []member{{"mapRunArn", true, longARN}}, resource("mapRunArn"), (*handlers).describeMapRun},
	{"UpdateMapRun", false, []member{
		{"mapRunArn", true, longARN}, {"maxConcurrency", false, shape{kind: integer}}, {"toleratedFailurePercentage", false, shape{kind: number, max: 100, bounded: true}},
		{"toleratedFailureCount", false, shape{kind: integer}},
	}, resource("mapRunArn"), (*handlers).updateMapRun},

	{"TagResource", false, []member{{"resourceArn", true, arnShape}, {"tags", true, tags}}, (*handlers).needsTags, (*handlers).tagResource},
	{"UntagResource", false, []member{{"resourceArn", true, arnShape}, {"tagKeys", true, tagKeys}}, (*handlers).needsTags, (*handlers).untagResource},
	{"ListTagsForResource", true, []member{{"resourceArn", true, arnShape}}, (*handlers).needsTags, (*handlers).listTags},

	{"CreateActivity", false, []member{{"name", true, nameShape}, {"tags", false, tags}, {"encryptionConfiguration", false, encryption}}, (*handlers).needsActivity, (*handlers).createActivity},
	{"DescribeActivity", true, []member{{"activityArn", true, arnShape}}, resource("activityArn"), (*handlers).describeActivity},
	{"DeleteActivity", false, []member{{"activityArn", true, arnShape}}, resource("activityArn"), (*handlers).deleteActivity},
	{"GetActivityTask", false, []member{{"activityArn", true, arnShape}, {"workerName", false, nameShape}}, resource("activityArn"), (*handlers).getActivityTask},
	{"SendTaskSuccess", false, []member{{"taskToken", true, taskToken}, {"output", true, data}}, everything, (*handlers).sendSuccess},
	{"SendTaskFailure", false, []member{{"taskToken", true, taskToken}, {"error", false, errorShape}, {"cause", false, causeShape}}, everything, (*handlers).sendFailure},
	{"SendTaskHeartbeat", false, []member{{"taskToken", true, taskToken}}, everything, (*handlers).sendHeartbeat},
	{"ListActivities", true, []member{{"maxResults", false, pageSize}, {"nextToken", false, pageToken}}, everything, (*handlers).listActivities},
}

// --- what must be allowed

func action(r *awsapi.Request) string { return "states:" + r.Op.Name }

func attribute(key string, values ...string) iam.Attribute {
	return iam.Attribute{Key: key, Values: values}
}

// everything is for operations that name no resource.
func everything(h *handlers, r *awsapi.Request) ([]iam.Authorization, error) {
	return []iam.Authorization{{Action: action(r), Resource: "*"}}, nil
}

// resource is for operations on the ARN that a member holds.
func resource(name string) func(*handlers, *awsapi.Request) ([]iam.Authorization, error) {
	return func(h *handlers, r *awsapi.Request) ([]iam.Authorization, error) {
		a := str(r, name)
		return []iam.Authorization{{Action: action(r), Resource: a, Context: h.tagged(r, a)}}, nil
	}
}

// execution is resource: the name says what the member holds.
var execution = resource

// machine is for operations on a state machine: the resource is its unqualified
// ARN, and a qualifier is a condition key.
func machine(name string) func(*handlers, *awsapi.Request) ([]iam.Authorization, error) {
	return func(h *handlers, r *awsapi.Request) ([]iam.Authorization, error) {
		target, _ := flow.CutTestCase(str(r, name))
		ref, err := flow.ParseMachineARN(target)
		if err != nil {
			return nil, err
		}
		c := h.tagged(r, ref.Unqualified)
		if ref.Qualifier != "" {
			c = append(c, iam.Attribute{Key: "states:StateMachineQualifier", Values: []string{ref.Qualifier}, Multi: true})
		}
		return []iam.Authorization{{Action: action(r), Resource: ref.Unqualified, Context: c}}, nil
	}
}

// tagged is the condition keys of a resource's tags, if it is there.
func (h *handlers) tagged(r *awsapi.Request, a string) iam.Context {
	tags, err := h.svc.Tags(context.Background(), a)
	if err != nil {
		return nil
	}
	var c iam.Context
	for _, t := range tags {
		c = append(c, attribute("aws:ResourceTag/"+t.Key, t.Value))
	}
	return c
}

// tagging is the condition keys of the tags in a request.
func tagging(in value.Value) iam.Context {
	var c iam.Context
	var keys []string
	for _, t := range in.Get("tags").Items() {
		k := t.Get("key").Str()
		keys = append(keys, k)
		c = append(c, attribute("aws:RequestTag/"+k, t.Get("value").Str()))
	}
	for _, k := range in.Get("tagKeys").Items() {
		keys = append(keys, k.Str())
	}
	if keys != nil {
		c = append(c, iam.Attribute{Key: "aws:TagKeys", Values: keys, Multi: true})
	}
	return c
}

// passRole is what giving a machine a role needs.
func passRole(role, machine string) iam.Authorization {
	return iam.Authorization{Action: "iam:PassRole", Resource: role, Context: iam.Context{
		attribute("iam:PassedToService", servicePrincipal), attribute("iam:AssociatedResourceArn", machine),
	}}
}

func made(r *awsapi.Request, kind, name string) string {
	return arn.New("states", r.Region, r.Account, kind+":"+name).String()
}

func (h *handlers) needsCreate(r *awsapi.Request) ([]iam.Authorization, error) {
	a := made(r, "stateMachine", str(r, "name"))
	c := tagging(r.Input)
	needs := []iam.Authorization{{Action: action(r), Resource: a, Context: c}, passRole(str(r, "roleArn"), a)}
	if r.Input.Get("tags").Len() > 0 {
		needs = append(needs, iam.Authorization{Action: "states:TagResource", Resource: a, Context: c})
	}
	if r.Input.Get("publish").Bool() {
		needs = append(needs, iam.Authorization{Action: "states:PublishStateMachineVersion", Resource: a})
	}
	return needs, nil
}

func (h *handlers) needsUpdate(r *awsapi.Request) ([]iam.Authorization, error) {
	needs, err := machine("stateMachineArn")(h, r)
	if err != nil {
		return nil, err
	}
	a := needs[0].Resource
	if role := str(r, "roleArn"); role != "" {
		needs = append(needs, passRole(role, a))
	}
	if r.Input.Get("publish").Bool() {
		needs = append(needs, iam.Authorization{Action: "states:PublishStateMachineVersion", Resource: a, Context: h.tagged(r, a)})
	}
	return needs, nil
}

func (h *handlers) needsAlias(r *awsapi.Request) ([]iam.Authorization, error) {
	var needs []iam.Authorization
	for _, x := range r.Input.Get("routingConfiguration").Items() {
		ref, err := flow.ParseMachineARN(x.Get("stateMachineVersionArn").Str())
		if err != nil {
			return nil, err
		}
		if len(needs) == 0 || needs[len(needs)-1].Resource != ref.Unqualified {
			c := append(h.tagged(r, ref.Unqualified), iam.Attribute{Key: "states:StateMachineQualifier", Values: []string{str(r, "name")}, Multi: true})
			needs = append(needs, iam.Authorization{Action: action(r), Resource: ref.Unqualified, Context: c})
		}
	}
	return needs, nil
}

func (h *handlers) needsListExecutions(r *awsapi.Request) ([]iam.Authorization, error) {
	m, run := str(r, "stateMachineArn"), str(r, "mapRunArn")
	switch {
	case (m == "") == (run == ""):
		return nil, fault.Newf("ValidationException", "Exactly one of stateMachineArn and mapRunArn must be specified")
	case run != "":
		return resource("mapRunArn")(h, r)
	}
	return machine("stateMachineArn")(h, r)
}

func (h *handlers) needsTags(r *awsapi.Request) ([]iam.Authorization, error) {
	a := str(r, "resourceArn")
	return []iam.Authorization{{Action: action(r), Resource: a, Context: append(h.tagged(r, a), tagging(r.Input)...)}}, nil
}

func (h *handlers) needsActivity(r *awsapi.Request) ([]iam.Authorization, error) {
	c := tagging(r.Input)
	a := made(r, "activity", str(r, "name"))
	needs := []iam.Authorization{{Action: action(r), Resource: a, Context: c}}
	if r.Input.Get("tags").Len() > 0 {
		needs = append(needs, iam.Authorization{Action: "states:TagResource", Resource: a, Context: c})
	}
	return needs, nil
}

// --- requests

func str(r *awsapi.Request, name string) string { return r.Input.Get(name).Str() }

// optional is a text that may be absent.
func optional(r *awsapi.Request, name string) *string {
	v := r.Input.Get(name)
	if !v.IsString() {
		return nil
	}
	return new(v.Str())
}

func page(r *awsapi.Request) flow.Page {
	n, _ := r.Input.Get("maxResults").Int()
	return flow.Page{Max: int(n), Token: str(r, "nextToken")}
}

func scope(r *awsapi.Request) flow.Scope { return flow.Scope{Region: r.Region, Account: r.Account} }

func tagsOf(r *awsapi.Request) []flow.Tag {
	var ts []flow.Tag
	for _, t := range r.Input.Get("tags").Items() {
		ts = append(ts, flow.Tag{Key: t.Get("key").Str(), Value: t.Get("value").Str()})
	}
	return ts
}

func routesOf(r *awsapi.Request) []flow.Route {
	var rs []flow.Route
	for _, x := range r.Input.Get("routingConfiguration").Items() {
		w, _ := x.Get("weight").Int()
		rs = append(rs, flow.Route{VersionARN: x.Get("stateMachineVersionArn").Str(), Weight: int(w)})
	}
	return rs
}

func loggingOf(r *awsapi.Request) *flow.Logging {
	v := r.Input.Get("loggingConfiguration")
	if !v.IsObject() {
		return nil
	}
	l := &flow.Logging{Level: v.Get("level").Str(), IncludeData: v.Get("includeExecutionData").Bool()}
	if ds := v.Get("destinations"); ds.IsArray() {
		l.Destinations = []string{}
		for _, d := range ds.Items() {
			l.Destinations = append(l.Destinations, d.Get("cloudWatchLogsLogGroup").Get("logGroupArn").Str())
		}
	}
	return l
}

// encryptionOf refuses every encryption but the one there is.
func encryptionOf(r *awsapi.Request) (given bool, err error) {
	v := r.Input.Get("encryptionConfiguration")
	if !v.IsObject() {
		return false, nil
	}
	bad := func(what string) error {
		return fault.Newf("InvalidEncryptionConfiguration", "Invalid Encryption Configuration: %s", what)
	}
	if t := v.Get("type").Str(); t != "AWS_OWNED_KEY" {
		return true, bad("type '" + t + "' is refused: this server has no KMS.")
	}
	for _, k := range []string{"kmsKeyId", "kmsDataKeyReusePeriodSeconds"} {
		if v.Has(k) {
			return true, bad(k + " cannot be set when type is AWS_OWNED_KEY")
		}
	}
	return true, nil
}

// --- answers

func m(key string, v value.Value) value.Member { return value.Member{Key: key, Value: v} }

// s is a text, or nothing where it is empty.
func s(key, v string) value.Member {
	if v == "" {
		return value.Member{Key: key}
	}
	return m(key, value.String(v))
}

// ptr is a text, or nothing where there is none.
func ptr(key string, v *string) value.Member {
	if v == nil {
		return value.Member{Key: key}
	}
	return m(key, value.String(*v))
}

// date is seconds of the Unix epoch with milliseconds, or nothing for no time.
func date(key string, t time.Time) value.Member {
	if t.IsZero() {
		return value.Member{Key: key}
	}
	return m(key, seconds(t.UnixMilli()))
}

func seconds(ms int64) value.Value { return value.Float(float64(ms) / 1000) }

// document is a JSON document as text.
func document(key string, v value.Value) value.Member {
	if v.IsUndefined() {
		return value.Member{Key: key}
	}
	return m(key, value.String(v.JSON()))
}

func items[T any](xs []T, f func(T) value.Value) value.Value {
	out := make([]value.Value, 0, len(xs))
	for _, x := range xs {
		out = append(out, f(x))
	}
	return value.Array(out...)
}

func typeOf(express bool) value.Member {
	if express {
		return s("type", "EXPRESS")
	}
	return s("type", "STANDARD")
}

// loggingAnswer is a logging configuration as Describe has it.
func loggingAnswer(l flow.Logging) value.Member {
	members := []value.Member{s("level", l.Level), m("includeExecutionData", value.Bool(l.IncludeData))}
	if l.Destinations != nil {
		members = append(members, m("destinations", items(l.Destinations, func(d string) value.Value {
			return value.Object(m("cloudWatchLogsLogGroup", value.Object(s("logGroupArn", d))))
		})))
	}
	return m("loggingConfiguration", value.Object(members...))
}

func configuration(d *flow.Described) []value.Member {
	ms := []value.Member{
		loggingAnswer(d.Logging),
		m("tracingConfiguration", value.Object(m("enabled", value.Bool(d.Tracing)))),
		m("encryptionConfiguration", value.Object(s("type", "AWS_OWNED_KEY"))),
		s("revisionId", d.Revision.ID),
	}
	if len(d.References) > 0 {
		refs := make([]value.Member, 0, len(d.References))
		for _, r := range d.References {
			refs = append(refs, m(r.State, items(r.Variables, value.String)))
		}
		ms = append(ms, m("variableReferences", value.Object(refs...)))
	}
	return ms
}

func metadataOnly(r *awsapi.Request) bool { return str(r, "includedData") == "METADATA_ONLY" }

// --- state machines

func (h *handlers) createStateMachine(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if _, err := encryptionOf(r); err != nil {
		return nil, err
	}
	out, err := h.svc.CreateStateMachine(ctx, flow.CreateStateMachine{
		Scope: scope(r), Name: str(r, "name"), Definition: str(r, "definition"), RoleARN: str(r, "roleArn"),
		Express: str(r, "type") == "EXPRESS", Logging: loggingOf(r), Tracing: r.Input.Get("tracingConfiguration").Get("enabled").Bool(),
		Publish: r.Input.Get("publish").Bool(), Description: str(r, "versionDescription"), Tags: tagsOf(r),
	})
	if err != nil {
		return nil, err
	}
	return awsapi.OK(s("stateMachineArn", out.ARN), date("creationDate", out.Created), s("stateMachineVersionArn", out.VersionARN)), nil
}

func (h *handlers) updateStateMachine(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	encryption, err := encryptionOf(r)
	if err != nil {
		return nil, err
	}
	in := flow.UpdateStateMachine{
		ARN: str(r, "stateMachineArn"), Definition: optional(r, "definition"), RoleARN: optional(r, "roleArn"), Logging: loggingOf(r),
		Encryption: encryption, Publish: r.Input.Get("publish").Bool(), Description: str(r, "versionDescription"),
	}
	if t := r.Input.Get("tracingConfiguration"); t.IsObject() {
		in.Tracing = new(t.Get("enabled").Bool())
	}
	out, err := h.svc.UpdateStateMachine(ctx, in)
	if err != nil {
		return nil, err
	}
	return awsapi.OK(date("updateDate", out.Updated), s("revisionId", out.RevisionID), s("stateMachineVersionArn", out.VersionARN)), nil
}

func (h *handlers) deleteStateMachine(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.DeleteStateMachine(ctx, str(r, "stateMachineArn")))
}

// done is an answer without members.
func done(err error) (*awsapi.Response, error) {
	if err != nil {
		return nil, err
	}
	return awsapi.OK(), nil
}

func (h *handlers) describeStateMachine(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	d, err := h.svc.DescribeStateMachine(ctx, str(r, "stateMachineArn"))
	if err != nil {
		return nil, err
	}
	state := "ACTIVE"
	if d.Deleting {
		state = "DELETING"
	}
	if metadataOnly(r) {
		d.Definition = "{}"
	}
	return awsapi.OK(append([]value.Member{
		s("stateMachineArn", d.ARN), s("name", d.Name), s("status", state), s("definition", d.Definition), s("roleArn", d.RoleARN),
		typeOf(d.Express), date("creationDate", d.Created), s("label", d.Label), s("description", d.Description),
	}, configuration(&d)...)...), nil
}

func (h *handlers) describeForExecution(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	d, err := h.svc.StateMachineForExecution(ctx, str(r, "executionArn"))
	if err != nil {
		return nil, err
	}
	if metadataOnly(r) {
		d.Definition = "{}"
	}
	return awsapi.OK(append([]value.Member{
		s("stateMachineArn", d.ARN), s("name", d.Name), s("definition", d.Definition), s("roleArn", d.RoleARN), date("updateDate", d.Updated),
		s("mapRunArn", d.MapRun), s("label", d.Label),
	}, configuration(&d)...)...), nil
}

func (h *handlers) listStateMachines(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	l, err := h.svc.ListStateMachines(ctx, scope(r), page(r))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(m("stateMachines", items(l.Items, func(x *flow.Machine) value.Value {
		return value.Object(s("stateMachineArn", x.ARN), s("name", x.Name), typeOf(x.Express), date("creationDate", x.Created))
	})), s("nextToken", l.Next)), nil
}

func (h *handlers) validate(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	n, _ := r.Input.Get("maxResults").Int()
	v := h.svc.ValidateStateMachineDefinition(ctx, str(r, "definition"), str(r, "type") == "EXPRESS", str(r, "severity") == "WARNING", int(n))
	result := "FAIL"
	if v.OK {
		result = "OK"
	}
	ds := make([]value.Value, 0, len(v.Diagnostics))
	for _, d := range v.Diagnostics {
		ds = append(ds, value.Object(s("severity", string(d.Severity)), s("code", d.Code), s("message", d.Message), s("location", d.Location)))
	}
	return awsapi.OK(s("result", result), m("diagnostics", value.Array(ds...)), m("truncated", value.Bool(v.Truncated))), nil
}

// --- versions and aliases

func (h *handlers) publish(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	a, at, err := h.svc.PublishStateMachineVersion(ctx, str(r, "stateMachineArn"), str(r, "revisionId"), str(r, "description"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(date("creationDate", at), s("stateMachineVersionArn", a)), nil
}

func (h *handlers) listVersions(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	l, err := h.svc.ListStateMachineVersions(ctx, str(r, "stateMachineArn"), page(r))
	if err != nil {
		return nil, err
	}
	ref, err := flow.ParseMachineARN(str(r, "stateMachineArn"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(m("stateMachineVersions", items(l.Items, func(v flow.Version) value.Value {
		return value.Object(s("stateMachineVersionArn", ref.Unqualified+":"+value.Int(v.Number).JSON()), date("creationDate", v.Created))
	})), s("nextToken", l.Next)), nil
}

func (h *handlers) deleteVersion(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.DeleteStateMachineVersion(ctx, str(r, "stateMachineVersionArn")))
}

func (h *handlers) createAlias(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	a, at, err := h.svc.CreateStateMachineAlias(ctx, str(r, "name"), str(r, "description"), routesOf(r))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(s("stateMachineAliasArn", a), date("creationDate", at)), nil
}

func (h *handlers) updateAlias(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	at, err := h.svc.UpdateStateMachineAlias(ctx, str(r, "stateMachineAliasArn"), optional(r, "description"), routesOf(r))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(date("updateDate", at)), nil
}

func (h *handlers) describeAlias(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	a, err := h.svc.DescribeStateMachineAlias(ctx, str(r, "stateMachineAliasArn"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(
		s("stateMachineAliasArn", str(r, "stateMachineAliasArn")), s("name", a.Name), s("description", a.Description),
		m("routingConfiguration", items(a.Routes, func(x flow.Route) value.Value {
			return value.Object(s("stateMachineVersionArn", x.VersionARN), m("weight", value.Int(int64(x.Weight))))
		})),
		date("creationDate", a.Created), date("updateDate", a.Updated),
	), nil
}

func (h *handlers) deleteAlias(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.DeleteStateMachineAlias(ctx, str(r, "stateMachineAliasArn")))
}

func (h *handlers) listAliases(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	l, err := h.svc.ListStateMachineAliases(ctx, str(r, "stateMachineArn"), page(r))
	if err != nil {
		return nil, err
	}
	ref, err := flow.ParseMachineARN(str(r, "stateMachineArn"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(m("stateMachineAliases", items(l.Items, func(a flow.Alias) value.Value {
		return value.Object(s("stateMachineAliasArn", ref.Unqualified+":"+a.Name), date("creationDate", a.Created))
	})), s("nextToken", l.Next)), nil
}

// --- executions

func start(r *awsapi.Request) flow.StartExecution {
	// AWS prefers the header of X-Ray over the member.
	t := r.Header.Get("X-Amzn-Trace-Id")
	if t == "" || len(t) > trace.max {
		t = str(r, "traceHeader")
	}
	return flow.StartExecution{ARN: str(r, "stateMachineArn"), Name: str(r, "name"), Input: optional(r, "input"), Trace: t}
}

func (h *handlers) startExecution(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	out, durable, err := h.svc.BeginExecution(ctx, start(r))
	if err != nil {
		return nil, err
	}
	if r.Act != nil {
		r.Act.Await(durable) // while the call is recorded
	} else if err := durable(ctx); err != nil {
		return nil, err
	}
	return awsapi.OK(s("executionArn", out.ARN), date("startDate", out.Started)), nil
}

func included() value.Value { return value.Object(m("included", value.Bool(true))) }

// billedMemory is what AWS bills at least, in MB.
const billedMemory = 64

func (h *handlers) startSyncExecution(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	o, err := h.svc.StartSyncExecution(ctx, start(r))
	if err != nil {
		return nil, err
	}
	took := o.Stopped.Sub(o.Started).Milliseconds()
	members := []value.Member{
		s("executionArn", o.ARN), s("stateMachineArn", o.MachineARN), s("name", o.Name), date("startDate", o.Started), date("stopDate", o.Stopped),
		s("status", o.Status.String()), s("traceHeader", o.Trace),
		m("billingDetails", value.Object(m("billedMemoryUsedInMB", value.Int(billedMemory)), m("billedDurationInMilliseconds", value.Int(max(1, (took+99)/100)*100)))),
	}
	if !metadataOnly(r) {
		members = append(members, document("input", o.Input), m("inputDetails", included()), m("outputDetails", included()), ptr("error", o.Error), ptr("cause", o.Cause))
		if o.Status == engine.Succeeded {
			members = append(members, document("output", o.Output))
		}
	}
	return awsapi.OK(members...), nil
}

func (h *handlers) describeExecution(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	d, err := h.svc.DescribeExecution(ctx, str(r, "executionArn"))
	if err != nil {
		return nil, err
	}
	members := []value.Member{
		s("executionArn", d.ARN), s("stateMachineArn", d.MachineARN), s("name", d.Name), s("status", d.Status.String()),
		date("startDate", d.Started), date("stopDate", d.Stopped),
		s("stateMachineVersionArn", d.VersionARN), s("stateMachineAliasArn", d.AliasARN), s("traceHeader", d.Trace),
		m("redriveCount", value.Int(d.RedriveCount)), redriveDate(&d.Execution), s("mapRunArn", d.Child.MapRun),
	}
	status, reason := d.RedriveStatus()
	members = append(members, s("redriveStatus", status), s("redriveStatusReason", reason))
	if !metadataOnly(r) {
		members = append(members, document("input", d.Input), m("inputDetails", included()), ptr("error", d.Error), ptr("cause", d.Cause))
		if d.Status == engine.Succeeded {
			members = append(members, document("output", d.Output), m("outputDetails", included()))
		}
	}
	return awsapi.OK(members...), nil
}

func (h *handlers) listExecutions(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	in := flow.ListExecutions{ARN: str(r, "stateMachineArn"), Page: page(r)}
	run := str(r, "mapRunArn")
	if run != "" {
		if err := flow.CheckMapRunARN(run); err != nil {
			return nil, err
		}
		in.ARN = run
	}
	if f := str(r, "redriveFilter"); f != "" {
		in.Redriven = new(f == "REDRIVEN")
	}
	if f := str(r, "statusFilter"); f != "" {
		for st := engine.Running; st <= engine.PendingRedrive; st++ {
			if st.String() == f {
				in.Status = new(st)
			}
		}
	}
	l, err := h.svc.ListExecutions(ctx, in)
	if err != nil {
		return nil, err
	}
	return awsapi.OK(m("executions", items(l.Items, func(x flow.Execution) value.Value {
		of := value.Member{Key: "itemCount"}
		if run != "" {
			of = m("itemCount", value.Int(x.Child.Items))
		}
		return value.Object(
			s("mapRunArn", x.Child.MapRun), of, s("executionArn", x.ARN), s("stateMachineArn", x.MachineARN), s("name", x.Name), s("status", x.Status.String()),
			date("startDate", x.Started), date("stopDate", x.Stopped), s("stateMachineVersionArn", x.VersionARN), s("stateMachineAliasArn", x.AliasARN),
			m("redriveCount", value.Int(x.RedriveCount)), redriveDate(&x),
		)
	})), s("nextToken", l.Next)), nil
}

func (h *handlers) stopExecution(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	at, err := h.svc.StopExecution(ctx, str(r, "executionArn"), optional(r, "error"), optional(r, "cause"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(date("stopDate", at)), nil
}

func (h *handlers) getExecutionHistory(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	data := true
	if v := r.Input.Get("includeExecutionData"); !v.IsUndefined() && !v.IsNull() {
		data = v.Bool()
	}
	p, err := h.svc.GetExecutionHistory(ctx, str(r, "executionArn"), r.Input.Get("reverseOrder").Bool(), page(r))
	if err != nil {
		return nil, err
	}
	events := make([]value.Value, 0, len(p.Events))
	for i := range p.Events {
		events = append(events, Event(&p.Config, &p.Events[i], data))
	}
	return awsapi.OK(m("events", value.Array(events...)), s("nextToken", p.Next)), nil
}

// Event is one event as GetExecutionHistory has it.
func Event(c *engine.Config, e *engine.Event, data bool) value.Value {
	members := []value.Member{
		m("timestamp", seconds(e.At)), s("type", e.Type.String()), m("id", value.Int(e.ID)), m("previousEventId", value.Int(e.Prev)),
	}
	if name, d := c.Details(e, data); name != "" {
		members = append(members, m(name, d))
	}
	return value.Object(members...)
}

// --- tags and activities

func (h *handlers) tagResource(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.Retag(ctx, str(r, "resourceArn"), tagsOf(r), nil))
}

func (h *handlers) untagResource(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	var keys []string
	for _, k := range r.Input.Get("tagKeys").Items() {
		keys = append(keys, k.Str())
	}
	return done(h.svc.Retag(ctx, str(r, "resourceArn"), nil, keys))
}

func (h *handlers) listTags(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	ts, err := h.svc.Tags(ctx, str(r, "resourceArn"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(m("tags", items(ts, func(t flow.Tag) value.Value {
		return value.Object(m("key", value.String(t.Key)), m("value", value.String(t.Value)))
	}))), nil
}

func (h *handlers) createActivity(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if _, err := encryptionOf(r); err != nil {
		return nil, err
	}
	a, err := h.svc.CreateActivity(ctx, scope(r), str(r, "name"), tagsOf(r))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(s("activityArn", a.ARN), date("creationDate", a.Created)), nil
}

func (h *handlers) describeActivity(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	a, err := h.svc.DescribeActivity(ctx, str(r, "activityArn"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(s("activityArn", a.ARN), s("name", a.Name), date("creationDate", a.Created),
		m("encryptionConfiguration", value.Object(s("type", "AWS_OWNED_KEY")))), nil
}

func (h *handlers) deleteActivity(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.DeleteActivity(ctx, str(r, "activityArn")))
}

func (h *handlers) listActivities(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	l, err := h.svc.ListActivities(ctx, scope(r), page(r))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(m("activities", items(l.Items, func(a *flow.Activity) value.Value {
		return value.Object(s("activityArn", a.ARN), s("name", a.Name), date("creationDate", a.Created))
	})), s("nextToken", l.Next)), nil
}

func (h *handlers) getActivityTask(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	t, ok, err := h.svc.GetActivityTask(ctx, str(r, "activityArn"), str(r, "workerName"))
	if err != nil || !ok {
		return done(err)
	}
	return awsapi.OK(s("taskToken", t.Token), document("input", t.Input)), nil
}

func (h *handlers) sendSuccess(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.SendTaskSuccess(ctx, str(r, "taskToken"), str(r, "output")))
}

func (h *handlers) sendFailure(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.SendTaskFailure(ctx, str(r, "taskToken"), optional(r, "error"), optional(r, "cause")))
}

func (h *handlers) sendHeartbeat(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return done(h.svc.SendTaskHeartbeat(ctx, str(r, "taskToken")))
}
