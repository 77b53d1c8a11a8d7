package iam

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"tokaido/internal/golden"
)

type checked struct {
	name string
	kind Kind
	doc  string
	o    Options
	want []string // IDs, in order
}

func document(s string) string { return `{"Version":"2012-10-17","Statement":[` + s + `]}` }

func invoke(resources string) string {
	return document(`{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":` + resources + `}`)
}

var lints = []checked{
	{"prefix-in-a-model", 0, invoke(`"arn:aws:bedrock:*::foundation-model/us.anthropic.*"`), Options{Account: account}, []string{"BR01"}},
	{"prefix-and-account-in-a-model", 0, invoke(`"arn:aws:bedrock:ap-northeast-1:111122223333:foundation-model/jp.anthropic.claude-sonnet-4-5-20250929-v1:0"`), Options{Account: account}, []string{"BR01", "BR02"}},
	{"leading-star", 0, invoke(`"arn:aws:bedrock:*::foundation-model/*amazon.nova-pro-v1:0"`), Options{}, nil},
	{"profile-without-account", 0, invoke(`["arn:aws:bedrock:*::inference-profile/jp.*","arn:aws:bedrock:*::foundation-model/*"]`), Options{}, []string{"BR03"}},
	{"profile-of-another-account", 0, invoke(`["arn:aws:bedrock:*:999999999999:inference-profile/jp.*","arn:aws:bedrock:*::foundation-model/*"]`), Options{Account: account}, []string{"BR03"}},
	{"profile-alone", 0, invoke(`"arn:aws:bedrock:*:*:inference-profile/*"`), Options{}, []string{"BR04"}},
	{"converse", 0, document(`{"Effect":"Allow","Action":["bedrock:Converse","bedrock:ConverseStream","bedrock-runtime:*"],"Resource":"*"}`), Options{}, []string{"BR09", "BR09", "BR09"}},
	{"kinds-that-are-none", 0, invoke(`["arn:aws:bedrock-runtime:*::foundation-model/*","arn:aws:bedrock:*::model/x","arn:aws:bedrock:*::foundation-model:x"]`), Options{}, []string{"BR10", "BR10", "BR10"}},
	{"profile-of-another-region", 0, invoke(`["arn:aws:bedrock:ap-northeast-3:111122223333:inference-profile/jp.` + sonnet45 + `"]`), Options{Account: account, Call: jp()}, []string{"BR11"}},
	{"stringequals-with-a-star", 0, document(`{"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"StringEquals":{"aws:SourceArn":"arn:aws:states:*:*:stateMachine:*"}}}`), Options{}, []string{"BR12"}},
	{"ifexists-on-the-profile", 0, document(`{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"arn:aws:bedrock:*::foundation-model/*","Condition":{"ArnLikeIfExists":{"bedrock:InferenceProfileArn":"arn:aws:bedrock:*:*:inference-profile/jp.*"}}}`), Options{}, []string{"BR13"}},
	{"one-condition-for-both", 0, document(`{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":["arn:aws:bedrock:*:*:application-inference-profile/*","arn:aws:bedrock:*::foundation-model/*"],"Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}`), Options{}, []string{"BR14"}},
	{"deny-of-one-path", 0, document(`{"Effect":"Deny","Action":"bedrock:InvokeModel","Resource":"arn:aws:bedrock:*::foundation-model/anthropic.*"}`), Options{}, []string{"BR15"}},
	{"deny-of-both-paths", 0, document(`{"Effect":"Deny","Action":"bedrock:InvokeModel","Resource":"*"},{"Effect":"Deny","Action":"bedrock:InvokeModelWithResponseStream","Resource":"*"}`), Options{}, nil},
	{"every-model", 0, invoke(`["` + jpProfile + `","arn:aws:bedrock:ap-northeast-1::foundation-model/*","arn:aws:bedrock:ap-northeast-3::foundation-model/*"]`), Options{Account: account, Call: jp()}, []string{"BR16", "BR16"}},
	{"every-resource", 0, document(`{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}`), Options{Account: account, Call: jp()}, []string{"BR16"}},
	{"application-profiles", 0, invoke(`["arn:aws:bedrock:*:*:application-inference-profile/*"]`), Options{Account: account, Call: jp()}, []string{"BR17"}},
	{"guardrail-without-version", 0, document(`{"Effect":"Deny","Action":["bedrock:InvokeModel","bedrock:InvokeModelWithResponseStream"],"Resource":"*","Condition":{"StringNotEquals":{"bedrock:GuardrailIdentifier":"arn:aws:bedrock:ap-northeast-1:111122223333:guardrail/gr123"}}}`), Options{}, []string{"BR18"}},
	{"list-with-an-arn", 0, document(`{"Effect":"Allow","Action":"bedrock:ListInferenceProfiles","Resource":"arn:aws:bedrock:*:*:inference-profile/*"}`), Options{}, []string{"BR19"}},
	{"id-cut-short", 0, invoke(`"arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-5-20250929"`), Options{}, []string{"BR20"}},
	{"id-cut-short-of-a-call", 0, invoke(`["` + jpProfile[:len(jpProfile)-2] + `","arn:aws:bedrock:ap-northeast-*::foundation-model/` + sonnet45 + `"]`), Options{Account: account, Call: jp()}, []string{"BR20", "BR22"}},
	{"setting-up", 0, document(`{"Effect":"Allow","Action":"bedrock:CreateInferenceProfile","Resource":"*"}`), Options{Call: jp()}, []string{"BR21"}},
	{"setting-up-in-a-workflow", 0, document(`{"Effect":"Allow","Action":"bedrock:CreateInferenceProfile","Resource":"*"}`), Options{Workflow: true}, []string{"BR21"}},
	{"wildcard-of-unknown-width", 0, invoke(`["` + jpProfile + `","arn:aws:bedrock:*::foundation-model/` + sonnet45 + `"]`), Options{Account: account, Call: &CallShape{Region: "ap-northeast-1", Profile: "jp." + sonnet45, ProfileARN: jpProfile, Model: sonnet45, Destinations: []string{"ap-northeast-1", "ap-northeast-3"}}}, []string{"BR22"}},
	{"model-as-profile", 0, invoke(`["arn:aws:bedrock:*:*:inference-profile/anthropic.claude-sonnet-4-5-20250929-v1:0","arn:aws:bedrock:*::foundation-model/*"]`), Options{}, []string{"BR23"}},
	{"another-case", 0, invoke(`["arn:aws:bedrock:*:*:inference-profile/JP.` + sonnet45 + `"]`), Options{Account: account, Call: jp()}, []string{"BR24"}},
	{"passrole", 0, document(`{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::111122223333:role/r"}`), Options{}, []string{"SF01"}},
	{"passrole-to-a-service", 0, document(`{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::111122223333:role/r","Condition":{"StringEquals":{"iam:PassedToService":"states.amazonaws.com"}}}`), Options{}, nil},
	{"rule-name", 0, document(`{"Effect":"Allow","Action":["events:PutRule","events:PutTargets","events:DescribeRule"],"Resource":"arn:aws:events:ap-northeast-1:111122223333:rule/StepFunctionsGetEventForStepFunctionsExecutionRule"}`), Options{}, []string{"SF02"}},
	{"log-delivery", 0, document(`{"Effect":"Allow","Action":"logs:CreateLogDelivery","Resource":"arn:aws:logs:*:*:log-group:/aws/vendedlogs/states/x"}`), Options{}, []string{"SF03"}},
	{"start-an-execution", 0, document(`{"Effect":"Allow","Action":"states:StartExecution","Resource":"arn:aws:states:*:*:execution:m:*"}`), Options{}, []string{"SF04"}},
	{"stop-a-machine", 0, document(`{"Effect":"Allow","Action":"states:StopExecution","Resource":"arn:aws:states:*:*:stateMachine:m"}`), Options{}, []string{"SF04"}},
	{"qualified-machine", 0, document(`{"Effect":"Allow","Action":"states:StartExecution","Resource":"arn:aws:states:ap-northeast-1:111122223333:stateMachine:m:PROD"}`), Options{}, []string{"SF05"}},
	{"bare-trust", TrustPolicy, document(`{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}`), Options{}, []string{"SF06"}},
	{"trust-of-an-execution", TrustPolicy, document(`{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:states:*:111122223333:execution:*"}}}`), Options{}, []string{"SF07"}},
	{"variables-in-2008", 0, `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::home/${aws:username}/*"}}`, Options{}, []string{"GN01"}},
	{"forallvalues", 0, document(`{"Effect":"Allow","Action":"states:TagResource","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}`), Options{}, []string{"GN02"}},
	{"forallvalues-guarded", 0, document(`{"Effect":"Allow","Action":"states:TagResource","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"Null":{"aws:TagKeys":"false"}}}`), Options{}, nil},
	{"mfa", 0, document(`{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}`), Options{}, []string{"GN03"}},
	{"multivalued", 0, document(`{"Effect":"Allow","Action":"states:StartExecution","Resource":"*","Condition":{"StringEquals":{"states:StateMachineQualifier":"PROD"}}}`), Options{}, []string{"GN04"}},
	{"notprincipal", ResourcePolicy, document(`{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"sqs:*","Resource":"*"}`), Options{}, []string{"GN05"}},
	{"notaction", 0, document(`{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:s3:::b"}`), Options{}, []string{"GN06"}},
	{"short-arn", 0, document(`{"Effect":"Allow","Action":"states:*","Resource":"arn:aws:states:*"}`), Options{}, []string{"GN07"}},
	{"colon-short", 0, invoke(`["arn:aws:bedrock:*:foundation-model/*","arn:aws:bedrock:*:inference-profile/*"]`), Options{Account: account}, []string{"GN07", "GN07"}},
	{"dead-allow", 0, document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"},{"Effect":"Deny","Action":"s3:*","Resource":"*"}`), Options{}, []string{"GN08"}},
	{"clean", 0, invoke(`["` + jpProfile + `","arn:aws:bedrock:ap-northeast-1::foundation-model/` + sonnet45 + `","arn:aws:bedrock:ap-northeast-3::foundation-model/` + sonnet45 + `"]`), Options{Account: account, Call: jp()}, nil},
}

func TestCheck(t *testing.T) {
	var text strings.Builder
	for _, c := range lints {
		kind := c.kind
		if kind == 0 {
			kind = IdentityPolicy
		}
		p, err := Parse(kind, []byte(c.doc))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		c.o.Name = c.name
		fs := Check(p, c.o)
		var ids []string
		fmt.Fprintf(&text, "== %s\n", c.name)
		for _, f := range fs {
			ids = append(ids, f.ID)
			fmt.Fprintf(&text, "%s %s %s\n  %s\n", f.ID, f.Severity, f.Where("en"), f.Value)
			if f.Want != "" {
				fmt.Fprintf(&text, "  -> %s\n", f.Want)
			}
			fmt.Fprintf(&text, "  %s\n  %s\n", f.Text("en"), f.Text("ja"))
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("%s: %v, want %v", c.name, ids, c.want)
		}
	}
	if strings.Contains(text.String(), "%!") {
		t.Error("a hole in a text")
	}
	golden.Compare(t, text.String(), "check.txt")
}

// Every rule is shown by a case, here or in what Explain finds, and no text
// asks for an argument that it does not get.
func TestEveryRuleHasACase(t *testing.T) {
	seen := map[string]bool{}
	note := func(fs []Finding) {
		for _, f := range fs {
			key := f.variant
			if key == "" {
				key = f.ID
			}
			seen[key] = true
		}
	}
	for _, c := range lints {
		kind := c.kind
		if kind == 0 {
			kind = IdentityPolicy
		}
		note(Check(MustParse(kind, c.doc), c.o))
	}
	for _, x := range cases {
		note(Explain(x.call(t)).Findings)
	}
	for _, c := range generic {
		note(Explain(c.call()).Findings)
	}
	// policygen knows the definitions that these are about.
	note([]Finding{NewFinding("SF02", "rule", "events:PutRule"), NewFinding("SF08", "arn"), NewFinding("FD01", "", "", ""), NewFinding("FD01/unknown", "", "", ""),
		NewFinding("FD02"), NewFinding("FD03", ""), NewFinding("FD04", "", "", "")})
	for key := range rules {
		if id, _, _ := strings.Cut(key, "/"); id != "near" && titles[id].en == "" {
			t.Errorf("no title for %s", key)
		}
		if !seen[key] {
			t.Errorf("no case for %s", key)
		}
	}
	arg := regexp.MustCompile(`%\[(\d)\]s`)
	for key, r := range rules {
		en, ja := map[string]bool{}, map[string]bool{}
		for _, m := range arg.FindAllString(r.en, -1) {
			en[m] = true
		}
		for _, m := range arg.FindAllString(r.ja, -1) {
			ja[m] = true
		}
		if len(en) != len(ja) && key != "BR06" {
			t.Errorf("%s: the languages say different things: %v, %v", key, en, ja)
		}
	}
}

// Explanations of calls that are none of Bedrock's.
type plain struct {
	name     string
	action   string
	resource string
	context  Context
	identity string
	more     func(*Policies)
	fixed    bool
}

func (x *plain) call() Call {
	c := Call{By: role(), Needs: []Authorization{{Action: x.action, Resource: x.resource, Context: x.context}}, Policies: &Policies{}}
	if x.identity != "" {
		c.Policies.Identity = []Bound{{Policy: MustParse(IdentityPolicy, x.identity), Name: "Workflow", Owner: c.By.RoleARN}}
	}
	if x.more != nil {
		x.more(c.Policies)
	}
	return c
}

var generic = []plain{
	{name: "another-queue", action: "sqs:SendMessage", resource: "arn:aws:sqs:ap-northeast-1:111122223333:orders-2", fixed: true,
		identity: document(`{"Sid":"Queue","Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:ap-northeast-1:111122223333:orders"}`)},
	{name: "condition", action: "s3:PutObject", resource: "arn:aws:s3:::out/r.json", context: Context{{Key: "aws:RequestedRegion", Values: []string{"ap-northeast-3"}}, {Key: "s3:x-amz-acl", Values: []string{"public-read"}}},
		identity: document(`{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::out/*","Condition":{"StringEquals":{"s3:x-amz-acl":"private"}}}`)},
	{name: "nothing", action: "lambda:InvokeFunction", resource: "arn:aws:lambda:ap-northeast-1:111122223333:function:f", fixed: true},
	{name: "boundary", action: "lambda:InvokeFunction", resource: "arn:aws:lambda:ap-northeast-1:111122223333:function:f", fixed: true, identity: fullAccess,
		more: func(p *Policies) {
			p.Boundary = &Bound{Policy: MustParse(Boundary, allBedrock), Name: "Limits", ARN: "arn:aws:iam::111122223333:policy/Limits"}
		}},
	{name: "an-object-called-star", action: "s3:GetObject", resource: "arn:aws:s3:::bucket/*?$x", fixed: true,
		identity: document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/a"}`)},
	{name: "a-star-in-2008", action: "s3:GetObject", resource: "arn:aws:s3:::bucket/*", fixed: true,
		identity: `{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/a"}}`},
	{name: "list", action: "iam:ListRoles", resource: "arn:aws:iam::111122223333:role/*", fixed: true},
	{name: "deny", action: "lambda:InvokeFunction", resource: "arn:aws:lambda:ap-northeast-1:111122223333:function:f",
		identity: document(`{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"NoLambda","Effect":"Deny","Action":"lambda:*","Resource":"*"}`)},
	{name: "trust", action: "sts:AssumeRole", resource: "arn:aws:iam::111122223333:role/Target", identity: fullAccess,
		more: func(p *Policies) {
			p.Resource = &Bound{Policy: MustParse(TrustPolicy, document(`{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}`)), Name: "trust"}
		}},
}

func TestExplainOthers(t *testing.T) {
	var text strings.Builder
	for _, x := range generic {
		e := Explain(x.call())
		if e.Allowed || e.Fixed != x.fixed || len(e.Wider) > 0 {
			t.Errorf("%s: allowed %v, fixed %v, wider %v", x.name, e.Allowed, e.Fixed, e.Wider)
		}
		fmt.Fprintf(&text, "== %s\n%s\n%s\n", x.name, e.Text("en"), e.Text("ja"))
	}
	golden.Compare(t, text.String(), "others.txt")
}
