package iamctl_test

import (
	"fmt"
	"slices"
	"testing"

	"tokaido/principal"
)

func TestSimulateCustom(t *testing.T) {
	f := serve(t)
	const doc = `{"Version":"2012-10-17","Statement":[
  {"Sid":"Models","Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"arn:aws:bedrock:*::foundation-model/*","Condition":{"StringEquals":{"aws:RequestedRegion":"ap-northeast-1"}}},
  {"Effect":"Deny","Action":"bedrock:*","Resource":"arn:aws:bedrock:us-*::foundation-model/*"}]}`
	const tokyo, oregon = "arn:aws:bedrock:ap-northeast-1::foundation-model/m", "arn:aws:bedrock:us-west-2::foundation-model/m"
	r := f.must("SimulateCustomPolicy", "PolicyInputList.member.1", doc, "ActionNames.member.1", "bedrock:InvokeModel",
		"ResourceArns.member.1", tokyo, "ResourceArns.member.2", oregon,
		"ContextEntries.member.1.ContextKeyName", "aws:RequestedRegion", "ContextEntries.member.1.ContextKeyType", "string", "ContextEntries.member.1.ContextKeyValues.member.1", "ap-northeast-1")
	if got := r.names("EvaluationResults", "EvalDecision"); !slices.Equal(got, []string{"allowed", "explicitDeny"}) {
		t.Fatalf("%v", got)
	}
	one := r.at("EvaluationResults").Nodes[0]
	if one.text("EvalActionName") != "bedrock:InvokeModel" || one.text("EvalResourceName") != tokyo || one.text("MatchedStatements/member/SourcePolicyId") != "PolicyInputList.1" ||
		one.text("MatchedStatements/member/SourcePolicyType") != "IAM Policy" ||
		one.text("MatchedStatements/member/StartPosition/Line") != "2" || one.text("MatchedStatements/member/StartPosition/Column") != "3" ||
		one.text("MatchedStatements/member/EndPosition/Line") != "2" ||
		one.text("ResourceSpecificResults/member/EvalResourceDecision") != "allowed" || r.text("IsTruncated") != "false" {
		t.Errorf("%+v", one)
	}
	if got := r.at("EvaluationResults").Nodes[1].text("MatchedStatements/member/StartPosition/Line"); got != "3" {
		t.Error(got)
	}
	// What the policy asks for and was not given, with * and with a resource.
	r = f.must("SimulateCustomPolicy", "PolicyInputList.member.1", doc, "ActionNames.member.1", "bedrock:InvokeModel")
	if got := r.names("EvaluationResults", "EvalDecision"); !slices.Equal(got, []string{"implicitDeny"}) || r.text("EvaluationResults/member/EvalResourceName") != "*" {
		t.Error(got)
	}
	if got := r.names("EvaluationResults/member/MissingContextValues", ""); !slices.Equal(got, []string{"aws:RequestedRegion"}) {
		t.Error(got)
	}
	r = f.must("SimulateCustomPolicy", "PolicyInputList.member.1", doc, "ActionNames.member.1", "bedrock:InvokeModel", "ResourceArns.member.1", tokyo)
	if got := r.names("EvaluationResults/member/ResourceSpecificResults/member/MissingContextValues", ""); !slices.Equal(got, []string{"aws:RequestedRegion"}) {
		t.Error(got)
	}
	// A boundary.
	const s3 = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	r = f.must("SimulateCustomPolicy", "PolicyInputList.member.1", allow, "PermissionsBoundaryPolicyInputList.member.1", s3, "ActionNames.member.1", "bedrock:InvokeModel", "ActionNames.member.2", "s3:GetObject")
	if got := r.names("EvaluationResults", "EvalDecision"); !slices.Equal(got, []string{"implicitDeny", "implicitDeny"}) {
		t.Error(got)
	}
	for i, want := range []string{"false", "true"} {
		if got := r.at("EvaluationResults").Nodes[i].text("PermissionsBoundaryDecisionDetail/AllowedByPermissionsBoundary"); got != want {
			t.Errorf("%d: %s", i, got)
		}
	}
	// A resource's policy, and another account's resource.
	const queue = "arn:aws:sqs:ap-northeast-1:222222222222:q"
	const shared = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/u"},"Action":"sqs:*","Resource":"` + queue + `"}]}`
	const sqs = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"*"}]}`
	for doc, want := range map[string]string{sqs: "allowed", s3: "implicitDeny"} {
		r = f.must("SimulateCustomPolicy", "PolicyInputList.member.1", doc, "ActionNames.member.1", "sqs:SendMessage", "ResourceArns.member.1", queue,
			"ResourcePolicy", shared, "CallerArn", "arn:aws:iam::"+account+":user/u", "ResourceOwner", "222222222222")
		if got := r.text("EvaluationResults/member/EvalDecision"); got != want {
			t.Errorf("%s: %s", doc, got)
		}
		// What each side says, of a call across accounts.
		sides := map[string]string{}
		for _, e := range r.at("EvaluationResults/member/EvalDecisionDetails").Nodes {
			sides[e.text("key")] = e.text("value")
		}
		if len(sides) != 2 || sides["IAM Policy"] != want || sides["Resource Policy"] != "allowed" {
			t.Errorf("%s: %v", doc, sides)
		}
	}
	r = f.must("SimulateCustomPolicy", "PolicyInputList.member.1", allow, "ActionNames.member.1", "bedrock:InvokeModel", "ResourceArns.member.1", tokyo)
	if d := r.at("EvaluationResults/member/EvalDecisionDetails"); d.XMLName.Local == "" || len(d.Nodes) != 0 {
		t.Errorf("within one account: %+v", d)
	}
	r = f.must("SimulateCustomPolicy", "PolicyInputList.member.1", allow, "ActionNames.member.1", "bedrock:InvokeModel")
	if d := r.at("EvaluationResults/member/EvalDecisionDetails"); d.XMLName.Local != "" {
		t.Errorf("without a resource: %+v", d)
	}
	if got := f.must("GetContextKeysForCustomPolicy", "PolicyInputList.member.1", doc).names("ContextKeyNames", ""); !slices.Equal(got, []string{"aws:RequestedRegion"}) {
		t.Error(got)
	}

	// Pages.
	params := []string{"PolicyInputList.member.1", allow, "MaxItems", "2"}
	for i := range 5 {
		params = append(params, fmt.Sprintf("ActionNames.member.%d", i+1), fmt.Sprintf("bedrock:Get%d", i))
	}
	var names []string
	for marker := ""; ; {
		p := params
		if marker != "" {
			p = append(slices.Clone(params), "Marker", marker)
		}
		r := f.must("SimulateCustomPolicy", p...)
		names = append(names, r.names("EvaluationResults", "EvalActionName")...)
		if r.text("IsTruncated") != "true" {
			break
		}
		marker = r.text("Marker")
	}
	if len(names) != 5 || names[4] != "bedrock:Get4" {
		t.Error(names)
	}

	// What is wrong is refused.
	f.refused(400, "InvalidInput", "PolicyInputList.1: ", "SimulateCustomPolicy", "PolicyInputList.member.1", "{}", "ActionNames.member.1", "a:B")
	f.refused(400, "InvalidInput", "Invalid action name", "SimulateCustomPolicy", "PolicyInputList.member.1", allow, "ActionNames.member.1", "nonsense")
	f.refused(400, "InvalidInput", "ContextEntries.1", "SimulateCustomPolicy", "PolicyInputList.member.1", allow, "ActionNames.member.1", "a:B",
		"ContextEntries.member.1.ContextKeyName", "aws:x", "ContextEntries.member.1.ContextKeyType", "colour")
	f.refused(400, "InvalidInput", "CallerArn is required", "SimulateCustomPolicy", "PolicyInputList.member.1", allow, "ActionNames.member.1", "a:B", "ResourcePolicy", shared)
	f.refused(400, "ValidationError", "", "SimulateCustomPolicy", "ActionNames.member.1", "a:B")
	if status, _ := f.ask("SimulateCustomPolicy", "PolicyInputList.member.1", allow, "ActionNames.member.1", "a:B", "ResourceHandlingOption", "EC2-VPC-EBS"); status != 400 {
		t.Errorf("ResourceHandlingOption: %d", status)
	}
}

func TestSimulatePrincipal(t *testing.T) {
	f := serve(t)
	f.must("CreateUser", "UserName", "u")
	const own = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/${aws:username}/*"}]}`
	f.must("PutUserPolicy", "UserName", "u", "PolicyName", "own", "PolicyDocument", own)
	f.must("CreateGroup", "GroupName", "g")
	f.must("PutGroupPolicy", "GroupName", "g", "PolicyName", "models", "PolicyDocument", allow)
	f.must("AddUserToGroup", "GroupName", "g", "UserName", "u")
	user, group := "arn:aws:iam::"+account+":user/u", "arn:aws:iam::"+account+":group/g"
	r := f.must("SimulatePrincipalPolicy", "PolicySourceArn", user, "ActionNames.member.1", "s3:GetObject", "ActionNames.member.2", "bedrock:InvokeModel", "ActionNames.member.3", "sqs:SendMessage",
		"ResourceArns.member.1", "arn:aws:s3:::home/u/x")
	if got := r.names("EvaluationResults", "EvalDecision"); !slices.Equal(got, []string{"allowed", "allowed", "implicitDeny"}) {
		t.Error(got)
	}
	if got := r.text("EvaluationResults/member/MatchedStatements/member/SourcePolicyId"); got != "own" {
		t.Error(got)
	}
	// More policies, a boundary that the user has, and a group.
	r = f.must("SimulatePrincipalPolicy", "PolicySourceArn", user, "ActionNames.member.1", "sqs:SendMessage",
		"PolicyInputList.member.1", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`)
	if got := r.text("EvaluationResults/member/EvalDecision"); got != "allowed" {
		t.Error(got)
	}
	f.must("PutUserPermissionsBoundary", "UserName", "u", "PermissionsBoundary", "arn:aws:iam::aws:policy/AmazonBedrockFullAccess")
	r = f.must("SimulatePrincipalPolicy", "PolicySourceArn", user, "ActionNames.member.1", "s3:GetObject", "ResourceArns.member.1", "arn:aws:s3:::home/u/x")
	if r.text("EvaluationResults/member/EvalDecision") != "implicitDeny" || r.text("EvaluationResults/member/PermissionsBoundaryDecisionDetail/AllowedByPermissionsBoundary") != "false" {
		t.Errorf("%+v", r)
	}
	r = f.must("SimulatePrincipalPolicy", "PolicySourceArn", group, "ActionNames.member.1", "bedrock:InvokeModel", "ActionNames.member.2", "s3:GetObject")
	if got := r.names("EvaluationResults", "EvalDecision"); !slices.Equal(got, []string{"allowed", "implicitDeny"}) {
		t.Error(got)
	}
	if got := f.must("GetContextKeysForPrincipalPolicy", "PolicySourceArn", user).names("ContextKeyNames", ""); !slices.Equal(got, []string{"aws:username"}) {
		t.Error(got)
	}
	f.must("CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trust)
	r = f.must("SimulatePrincipalPolicy", "PolicySourceArn", "arn:aws:iam::"+account+":role/r", "ActionNames.member.1", "s3:GetObject")
	if got := r.text("EvaluationResults/member/EvalDecision"); got != "implicitDeny" {
		t.Error(got)
	}
	f.refused(404, "NoSuchEntity", "", "SimulatePrincipalPolicy", "PolicySourceArn", user+"x", "ActionNames.member.1", "a:B")
	f.refused(404, "NoSuchEntity", "", "SimulatePrincipalPolicy", "PolicySourceArn", group+"x", "ActionNames.member.1", "a:B")
}

// What an organization says is part of a simulation of a principal.
func TestSimulateOrganization(t *testing.T) {
	f := serve(t)
	f.must("CreateUser", "UserName", "u")
	f.must("PutUserPolicy", "UserName", "u", "PolicyName", "p", "PolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	simulate := func(action string) (decision, organization, kind string) {
		t.Helper()
		r := f.must("SimulatePrincipalPolicy", "PolicySourceArn", "arn:aws:iam::"+account+":user/u", "ActionNames.member.1", action)
		one := r.at("EvaluationResults").Nodes[0]
		return one.text("EvalDecision"), one.text("OrganizationsDecisionDetail/AllowedByOrganizations"), one.text("MatchedStatements/member/SourcePolicyType")
	}
	if d, o, _ := simulate("s3:GetObject"); d != "allowed" || o != "" {
		t.Errorf("in no organization: %s, %q", d, o)
	}
	ctx := t.Context()
	org, err := f.Dir.CreateOrganization(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []principal.ControlPolicy{
		{Name: "scp", Type: principal.ServiceControl, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`},
		{Name: "rcp", Type: principal.ResourceControl, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}]}`},
	} {
		if _, err := f.Dir.EnableType(ctx, org.Root, p.Type); err != nil {
			t.Fatal(err)
		}
		made, err := f.Dir.CreateControl(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Dir.AttachControl(ctx, made.ID, org.Root); err != nil {
			t.Fatal(err)
		}
	}
	for action, want := range map[string][3]string{
		"s3:GetObject":    {"explicitDeny", "false", "Service Control Policy"},
		"sqs:SendMessage": {"explicitDeny", "false", "Resource Control Policy"},
		"sns:Publish":     {"allowed", "true", "IAM Policy"},
	} {
		d, o, k := simulate(action)
		if got := [3]string{d, o, k}; got != want {
			t.Errorf("%s: %v, want %v", action, got, want)
		}
	}
	// Without the type nothing of it is left.
	if _, err := f.Dir.DisableType(ctx, org.Root, principal.ServiceControl); err != nil {
		t.Fatal(err)
	}
	if d, o, _ := simulate("s3:GetObject"); d != "allowed" || o != "true" {
		t.Errorf("%s, %q", d, o)
	}
}
