package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/apitest"
	"tokaido/awsapi/sigv4"
	"tokaido/bedrock"
	"tokaido/flow"
	"tokaido/iam"
	"tokaido/principal"
)

// powerless is a server with one thing of each kind, all tagged team=a, and a
// user who may do nothing.
type powerless struct {
	*Server
	t           *testing.T
	url         string
	key         sigv4.Credentials
	application string // ARN
	policy      string // id of the organization's
	root        string // of the organization
}

const (
	authRegion  = "ap-northeast-1"
	authProfile = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
)

func openPowerless(t *testing.T) *powerless {
	s := begin(t)
	p := &powerless{Server: s, t: t}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	tags := []principal.Tag{{Key: "team", Value: "a"}}
	_, err := s.people.CreatePolicy(ctx, principal.NewPolicy{Name: "m", Document: everything, Tags: tags})
	must(err)
	for _, n := range []principal.NewEntity{
		{Kind: principal.KindUser, Name: "nobody"}, {Kind: principal.KindUser, Name: "u", Tags: tags, Boundary: arnOf("iam", "policy/m")},
		{Kind: principal.KindRole, Name: "r", Trust: statesTrust, Tags: tags, Boundary: arnOf("iam", "policy/m")}, {Kind: principal.KindGroup, Name: "g"},
	} {
		_, err := s.people.Create(ctx, n)
		must(err)
	}
	k, err := s.people.CreateKey(ctx, "nobody")
	must(err)
	p.key = sigv4.Credentials{AccessKeyID: k.ID, Secret: string(k.Secret)}
	must(s.people.PutInline(ctx, principal.KindRole, "r", "p", everything))
	scope := flow.Scope{Region: authRegion, Account: testAccount}
	m, err := s.machines.CreateStateMachine(ctx, flow.CreateStateMachine{Scope: scope, Name: "m", RoleARN: arnOf("iam", "role/r"),
		Definition: `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`, Publish: true, Tags: []flow.Tag{{Key: "team", Value: "a"}}})
	must(err)
	_, _, err = s.machines.CreateStateMachineAlias(ctx, "PROD", "", []flow.Route{{VersionARN: m.VersionARN, Weight: 100}})
	must(err)
	_, err = s.machines.CreateActivity(ctx, scope, "a", []flow.Tag{{Key: "team", Value: "a"}})
	must(err)
	app, err := s.runtime.Applications().Create(ctx, bedrock.NewApplication{Region: authRegion, Account: testAccount, Name: "app", Tags: map[string]string{"team": "a"},
		CopyFrom: "arn:aws:bedrock:" + authRegion + ":" + testAccount + ":inference-profile/" + authProfile}, time.Now())
	must(err)
	p.application = app.ARN()
	o, err := s.people.CreateOrganization(ctx)
	must(err)
	p.root = o.Root
	_, err = s.people.EnableType(ctx, o.Root, principal.ServiceControl)
	must(err)
	c, err := s.people.CreateControl(ctx, principal.ControlPolicy{Name: "c", Type: principal.ServiceControl, Document: everything, Tags: tags})
	must(err)
	p.policy = c.ID
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func arnOf(service, resource string) string {
	region := authRegion
	if service == "iam" {
		region = ""
	}
	return "arn:aws:" + service + ":" + region + ":" + testAccount + ":" + resource
}

// ask calls an operation with members of its request: those that its path has
// go there.
func (p *powerless) ask(op *awsapi.Op, in map[string]any) (status int, id, body string) {
	p.t.Helper()
	method, target, text := http.MethodPost, "/", ""
	var headers [][2]string
	switch op.Protocol {
	case awsapi.JSON10, awsapi.JSON11:
		b, err := json.Marshal(in)
		if err != nil {
			p.t.Fatal(err)
		}
		text = string(b)
		headers = append(headers, [2]string{"X-Amz-Target", op.Target}, [2]string{"Content-Type", "application/x-amz-json-1." + map[awsapi.Protocol]string{awsapi.JSON10: "0", awsapi.JSON11: "1"}[op.Protocol]})
	case awsapi.Query:
		form := url.Values{"Action": {op.Name}, "Version": {op.Version}}
		flatten(form, "", in)
		text = form.Encode()
		headers = append(headers, [2]string{"Content-Type", "application/x-www-form-urlencoded"})
	default:
		var path string
		method, path, _ = strings.Cut(op.Route, " ")
		rest := map[string]any{}
		for k, v := range in {
			if label := "{" + k + "}"; strings.Contains(path, label) {
				path = strings.Replace(path, label, url.PathEscape(fmt.Sprint(v)), 1)
			} else {
				rest[k] = v
			}
		}
		target = path
		if len(rest) > 0 && method != http.MethodGet {
			b, err := json.Marshal(rest)
			if err != nil {
				p.t.Fatal(err)
			}
			text = string(b)
		}
		headers = append(headers, [2]string{"Content-Type", "application/json"})
	}
	status, header, b := apitest.Send(p.t, p.url, apitest.Call{Method: method, Target: target, Headers: headers, Body: text, Key: p.key,
		Options: sigv4.Options{Service: op.Service, Region: authRegion, KeepPath: op.Protocol == awsapi.S3, EncodeOnce: op.Protocol == awsapi.S3}})
	return status, header.Get("X-Amzn-Requestid"), string(b)
}

// flatten writes members as a form has them.
func flatten(form url.Values, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if name != "" {
				k = name + "." + k
			}
			flatten(form, k, x)
		}
	case []any:
		for i, x := range v {
			flatten(form, fmt.Sprintf("%s.member.%d", name, i+1), x)
		}
	default:
		form.Set(name, fmt.Sprint(v))
	}
}

// sample is a value for a member of a request, wherever it is asked for.
func (p *powerless) sample(op *awsapi.Op, name string) (any, bool) {
	lower := strings.ToLower(name[:1]) + name[1:]
	if v, ok := p.special(op)[lower]; ok {
		return v, true
	}
	v, ok := map[string]any{
		"roleName": "r", "userName": "u", "groupName": "g", "policyName": "p", "policyArn": arnOf("iam", "policy/m"), "policyDocument": everything,
		"assumeRolePolicyDocument": statesTrust, "versionId": "v1", "accessKeyId": p.key.AccessKeyID, "description": "d", "permissionsBoundary": arnOf("iam", "policy/m"),
		"policySourceArn": arnOf("iam", "user/u"), "actionNames": []any{"s3:GetObject"}, "policyInputList": []any{everything}, "serviceName": "bedrock.amazonaws.com",
		"serviceSpecificCredentialId": "ACCAAAAAAAAAAAAAAAAAA", "accountAlias": "alias", "aWSServiceName": "states.amazonaws.com",

		"stateMachineArn": arnOf("states", "stateMachine:m"), "executionArn": arnOf("states", "execution:m:x"), "mapRunArn": arnOf("states", "mapRun:m/l:11111111-1111-1111-1111-111111111111"),
		"stateMachineVersionArn": arnOf("states", "stateMachine:m:1"), "stateMachineAliasArn": arnOf("states", "stateMachine:m:PROD"), "activityArn": arnOf("states", "activity:a"),
		"definition": `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`, "roleArn": arnOf("iam", "role/r"), "name": "n", "taskToken": "t", "output": "{}",
		"resourceArn": arnOf("states", "stateMachine:m"), "tagKeys": []any{"team"}, "routingConfiguration": []any{map[string]any{"stateMachineVersionArn": arnOf("states", "stateMachine:m:1"), "weight": 100}},

		"policyId": p.policy, "targetId": p.root, "rootId": p.root, "policyType": "SERVICE_CONTROL_POLICY", "filter": "SERVICE_CONTROL_POLICY", "accountId": testAccount, "parentId": p.root,
		"childId": testAccount, "childType": "ACCOUNT", "resourceId": p.policy, "content": everything, "type": "SERVICE_CONTROL_POLICY",

		"modelId": authProfile, "modelIdentifier": "amazon.nova-lite-v1:0", "inferenceProfileIdentifier": p.application, "resourceARN": p.application,
		"status": "Active", "roleSessionName": "session", "resourceIdList": []any{"arn:aws:cloudtrail:" + authRegion + ":" + testAccount + ":trail/t"}, "model": authProfile,
		"bucket": "b", "key": "k", "encodedMessage": "m", "trailName": "t", "guardrailIdentifier": "g",
	}[lower]
	return v, ok
}

// special are the members of some operations that have their own form.
func (p *powerless) special(op *awsapi.Op) map[string]any {
	tags := []any{map[string]any{"Key": "team", "Value": "a"}}
	small := []any{map[string]any{"key": "team", "value": "a"}}
	qualified := arnOf("states", "stateMachine:m:PROD")
	boundary := arnOf("iam", "policy/m")
	profile := "arn:aws:bedrock:" + authRegion + ":" + testAccount + ":inference-profile/" + authProfile
	messages := []any{map[string]any{"role": "user", "content": "hi"}}
	if op.Service == "cloudtrail" && !strings.HasPrefix(op.Name, "List") && !strings.HasPrefix(op.Name, "Describe") && op.Name != "LookupEvents" {
		return map[string]any{"name": "trail", "trailName": "trail", "resourceId": arnOf("cloudtrail", "trail/trail"), "tagsList": tags}
	}
	return map[string]map[string]any{
		"states:TagResource":             {"tags": small},
		"states:CreateActivity":          {"tags": small},
		"states:CreateStateMachine":      {"tags": small, "publish": true},
		"states:UpdateStateMachine":      {"roleArn": arnOf("iam", "role/r"), "publish": true},
		"states:ListExecutions":          {"stateMachineArn": qualified},
		"states:StartExecution":          {"stateMachineArn": qualified},
		"states:StartSyncExecution":      {"stateMachineArn": qualified},
		"states:DescribeStateMachine":    {"stateMachineArn": qualified},
		"states:ListStateMachineAliases": {"stateMachineArn": arnOf("states", "stateMachine:m:1")},
		"states:TestState":               {"roleArn": arnOf("iam", "role/r")},

		"iam:TagRole": {"tags": tags}, "iam:TagUser": {"tags": tags}, "iam:TagPolicy": {"tags": tags},
		"iam:CreateRole":                      {"tags": tags, "roleName": "new", "permissionsBoundary": boundary},
		"iam:CreateUser":                      {"tags": tags, "userName": "new", "permissionsBoundary": boundary},
		"iam:CreatePolicy":                    {"tags": tags, "policyName": "new"},
		"iam:CreateServiceSpecificCredential": {"credentialAgeDays": 1},

		"sts:AssumeRole": {"externalId": "external", "sourceIdentity": "someone", "tags": tags, "transitiveTagKeys": []any{"team"}},

		"organizations:TagResource": {"tags": tags}, "organizations:CreatePolicy": {"tags": tags},

		"bedrock:CreateInferenceProfile": {"inferenceProfileName": "n", "modelSource": map[string]any{"copyFrom": profile}, "tags": small},
		"bedrock:TagResource":            {"resourceARN": p.application, "tags": small},
		"bedrock:UntagResource":          {"resourceARN": p.application, "tagKeys": []any{"team"}},
		"bedrock:ListTagsForResource":    {"resourceARN": p.application},
		"bedrock:ChatCompletions":        {"model": authProfile, "messages": messages},
		"bedrock:Messages":               {"model": authProfile, "messages": messages, "max_tokens": 1},
		"bedrock:CountMessageTokens":     {"model": authProfile, "messages": messages},

		"cloudtrail:ListTags": {"resourceIdList": []any{arnOf("cloudtrail", "trail/trail")}},
	}[op.Service+":"+op.Name]
}

// open are the operations that nobody needs permission for, and why.
var open = map[string]string{
	"sts:GetCallerIdentity": "whoever can sign may ask who he is",
	"sts:GetSessionToken":   "it gives nobody more than he has",
}

var missingMember = regexp.MustCompile(`at '([A-Za-z]+)' failed to satisfy constraint: Member must not be null`)

// Every operation of every service refuses a caller who may do nothing, before
// it does anything, and asks for what AWS asks for.
func TestEveryOperationIsAuthorized(t *testing.T) {
	p := openPowerless(t)
	known := awsAuthorizations(t)
	for i := range p.api.Ops() {
		op := &p.api.Ops()[i]
		t.Run(op.Service+"/"+op.Name, func(t *testing.T) {
			p.t = t
			in := map[string]any{}
			for k, v := range p.special(op) {
				if op.Protocol == awsapi.Query || op.Protocol == awsapi.JSON11 { // these spell members with a capital letter
					k = strings.ToUpper(k[:1]) + k[1:]
				}
				in[k] = v
			}
			for _, label := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(op.Route, -1) {
				v, ok := p.sample(op, label[1])
				if !ok {
					v = "x"
				}
				in[label[1]] = v
			}
			var status int
			var id, body string
			for range 20 {
				status, id, body = p.ask(op, in)
				added := false
				for _, m := range missingMember.FindAllStringSubmatch(body, -1) {
					name := m[1]
					if op.Protocol == awsapi.Query || op.Protocol == awsapi.JSON11 {
						name = strings.ToUpper(name[:1]) + name[1:]
					}
					if v, ok := p.sample(op, name); ok && in[name] == nil {
						in[name], added = v, true
					}
				}
				if !added {
					break
				}
			}
			if why := open[op.Service+":"+op.Name]; why != "" {
				if status != http.StatusOK {
					t.Errorf("%d %s, but %s", status, body, why)
				}
				return
			}
			records, err := p.audit.Find(t.Context(), id)
			if err != nil || len(records) != 1 || records[0].ErrorCode != "AccessDenied" || status < 400 {
				t.Fatalf("%v: %d %s: %d records, %v", in, status, body, len(records), err)
			}
			refusal, err := records[0].Refusal()
			if err != nil {
				t.Fatal(err)
			}
			if known != nil {
				p.verify(op, known, in, refusal.Decisions)
			}
		})
	}
}

// verify holds what was decided against what AWS documents.
func (p *powerless) verify(op *awsapi.Op, known *authorizations, in map[string]any, decisions []iam.Decision) {
	var actions []string
	for i := range decisions {
		r := decisions[i].Request
		service, name, _ := strings.Cut(r.Action, ":")
		actions = append(actions, r.Action)
		s, ok := known.Services[service]
		if !ok {
			if why := undocumented[service]; why == "" {
				p.t.Errorf("%s: the gathered actions have no service %s", r.Action, service)
			}
			continue
		}
		a, ok := s.Actions[name]
		if !ok && slices.Contains(ours, r.Action) {
			continue
		}
		if !ok {
			p.t.Errorf("AWS has no action %s", r.Action)
			continue
		}
		keys := a.Keys
		matched := len(a.Types) == 0 && (r.Resource == "*" || listsIAM(r.Action, r.Resource))
		for _, kind := range a.Types {
			if t := s.Resources[kind]; t.matches(r.Resource) {
				matched = true
				keys = append(slices.Clone(keys), t.Keys...)
			}
		}
		if !matched && !slices.Contains(refusedAnyway, op.Service+":"+op.Name) {
			p.t.Errorf("%s on %s, which is none of %v", r.Action, r.Resource, a.Types)
		}
		for _, k := range keys {
			if matched {
				p.verifyKey(op, k, in, &r)
			}
		}
	}
	want := []string{op.Service + ":" + op.Name}
	for _, client := range []string{op.Service, "bedrock-runtime"} {
		if o, ok := known.Operations[client+":"+op.Name]; ok && (client == op.Service || op.Service == "bedrock") {
			want = o.Actions
		}
	}
	if v, ok := otherActions[op.Service+":"+op.Name]; ok {
		want = v
	}
	for _, w := range want {
		if !slices.Contains(actions, w) {
			p.t.Errorf("asks for %v, not for %s", actions, w)
		}
	}
	for _, a := range actions {
		if !slices.Contains(want, a) && !slices.Contains(besides, a) {
			p.t.Errorf("asks for %s, besides %v", a, want)
		}
	}
}

// undocumented are the services of which the actions were not gathered.
var undocumented = map[string]string{
	"organizations":   "its authorizations are those of AWS's Service Authorization Reference, from memory",
	"access-analyzer": "one operation without a resource",
}

// otherActions are operations that are authorized under another name.
var otherActions = map[string][]string{
	"bedrock:ChatCompletions":    {"bedrock:InvokeModel"},
	"bedrock:Messages":           {"bedrock:InvokeModel"},
	"bedrock:CountMessageTokens": {"bedrock:CountTokens"},
	"bedrock:ListModels":         {"bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles"},
	"bedrock:GetModel":           {"bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles"},
	"bedrock:ListMessageModels":  {"bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles"},
	"bedrock:GetMessageModel":    {"bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles"},
	"bedrock:CreateResponse":     {"bedrock:InvokeModel"},
	"bedrock:CreateCompletion":   {"bedrock:InvokeModel"},
	"bedrock:CreateEmbedding":    {"bedrock:InvokeModel"},
	"sts:AssumeRole":             {"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"},
}

// refusedAnyway are operations that whoever may call them is told of that they
// are not here: what exactly they would be about is not worked out.
var refusedAnyway = []string{
	"bedrock:StartAsyncInvoke", "bedrock:InvokeModelWithBidirectionalStream", "bedrock:CreateResponse", "bedrock:CreateCompletion", "bedrock:CreateEmbedding",
}

// ours are operations that AWS does not have.
var ours = []string{"states:GenerateStateMachineRolePolicy", "cloudtrail:GetEventProof"}

// besides are actions that an operation needs for some of its members.
var besides = []string{"states:TagResource", "states:PublishStateMachineVersion", "bedrock:TagResource"}

// listsIAM is how IAM names what a List operation is about, though none of these
// actions has a type of resource.
func listsIAM(action, resource string) bool {
	return strings.HasPrefix(action, "iam:List") && strings.HasPrefix(resource, "arn:aws:iam::"+testAccount+":") && strings.HasSuffix(resource, "/*")
}

// notPassed are the keys that are documented and not passed, and why.
var notPassed = map[string]string{
	"bedrock:GuardrailIdentifier": "calls with a guardrail are refused", "bedrock:PromptRouterArn": "there are no prompt routers",
	"bedrock:ProjectArn": "there are no projects", "bedrock:ModelArn": "it belongs to projects", "bedrock:ServiceTier": "tiers other than the default are refused",
	"iam:RoleTemplateARN":        "there are no role templates",
	"s3:AccessGrantsInstanceArn": "there are no access grants", "s3:BucketTag/${TagKey}": "buckets have no tags", "s3:ExistingObjectTag/<key>": "objects have no tags",
	"s3:ResourceAccount": "one account", "s3:TlsVersion": "not told to rooms", "s3:authType": "not told to rooms", "s3:signatureAge": "not told to rooms",
	"s3:signatureversion": "not told to rooms", "s3:x-amz-content-sha256": "not told to rooms", "s3:delimiter": "divergence.md", "s3:max-keys": "divergence.md",
}

// verifyKey reports a condition key that AWS documents, that follows from the
// request, and that was not passed.
func (p *powerless) verifyKey(op *awsapi.Op, key string, in map[string]any, r *iam.Request) {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return in[n] != nil || in[strings.ToUpper(n[:1])+n[1:]] != nil })
	}
	var want bool
	name := key
	switch key {
	case "aws:RequestTag/${TagKey}":
		name, want = "aws:RequestTag/team", has("tags", "tagsList")
	case "aws:TagKeys":
		want = has("tags", "tagsList", "tagKeys")
	case "aws:ResourceTag/${TagKey}", "iam:ResourceTag/${TagKey}":
		name = strings.Replace(key, "${TagKey}", "team", 1)
		want = slices.ContainsFunc([]string{
			arnOf("iam", "user/u"), arnOf("iam", "role/r"), arnOf("iam", "policy/m"), arnOf("states", "stateMachine:m"), arnOf("states", "activity:a"), p.application,
		}, func(arn string) bool { return arn == r.Resource }) && r.Action != "iam:PassRole"
	case "states:StateMachineQualifier":
		for _, v := range in {
			text, _ := v.(string)
			want = want || strings.Count(text, ":") == 7 && strings.Contains(text, ":stateMachine:")
		}
		want = want || r.Action == "states:CreateStateMachineAlias"
	case "iam:PermissionsBoundary":
		want = true
	case "iam:PolicyARN":
		want = true
	case "iam:AssociatedResourceArn":
		want = op.Name != "TestState" // there is no machine
	case "iam:PassedToService", "iam:AWSServiceName", "iam:ServiceSpecificCredentialServiceName", "sts:RoleSessionName", "s3:prefix":
		want = true
	case "iam:ServiceSpecificCredentialAgeDays":
		want = has("credentialAgeDays")
	case "sts:ExternalId", "sts:SourceIdentity", "sts:TransitiveTagKeys":
		want = r.Action == "sts:AssumeRole"
	case "bedrock:InferenceProfileArn":
		want = strings.Contains(r.Resource, ":foundation-model/")
	default:
		if notPassed[key] == "" && !strings.HasPrefix(key, "saml:") { // there is no SAML
			p.t.Errorf("%s documents the key %s: pass it, or say here why not", r.Action, key)
		}
	}
	if want && !slices.ContainsFunc(slices.Concat(r.Context, r.Global), func(a iam.Attribute) bool { return strings.EqualFold(a.Key, name) }) {
		p.t.Errorf("%s on %s: %s is not passed: %v", r.Action, r.Resource, name, r.Context)
	}
}

// authorizations is what was gathered of AWS's.
type authorizations struct {
	Services map[string]struct {
		Actions   map[string]awsAction
		Resources map[string]awsResource
	}
	Operations map[string]struct{ Actions []string }
}

type awsAction struct{ Types, Keys []string }

func (a *awsAction) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{new(string), &a.Types, &a.Keys, new([]string)})
}

type awsResource struct {
	ARN  *regexp.Regexp
	Keys []string
}

func (r *awsResource) UnmarshalJSON(b []byte) error {
	var pattern string
	if err := json.Unmarshal(b, &[]any{&pattern, &r.Keys}); err != nil {
		return err
	}
	parts := strings.SplitN(pattern, ":", 6)
	for i, s := range parts {
		s = regexp.QuoteMeta(s)
		any := "[^:]*"
		if i == 5 {
			any = ".+"
		}
		parts[i] = regexp.MustCompile(`\\\$\\\{\w+\\\}`).ReplaceAllString(s, any)
	}
	r.ARN = regexp.MustCompile("^" + strings.Join(parts, ":") + "$")
	return nil
}

func (r *awsResource) matches(arn string) bool { return r.ARN != nil && r.ARN.MatchString(arn) }

func awsAuthorizations(t *testing.T) *authorizations {
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "iam-authorization.json"))
	if err != nil {
		t.Log("the gathered actions of AWS are not beside the project: what is asked for was not held against them: ", err)
		return nil
	}
	a := new(authorizations)
	if err := json.Unmarshal(b, a); err != nil {
		t.Fatal(err)
	}
	return a
}
