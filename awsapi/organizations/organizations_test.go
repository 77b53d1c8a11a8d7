package organizations_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/apitest"
	"tokaido/awsapi/iamctl"
	"tokaido/awsapi/organizations"
	"tokaido/awsapi/sigv4"
	"tokaido/gate"
	"tokaido/internal/installed"
	"tokaido/principal"
	"tokaido/value"
)

const account = apitest.Account

type fixture struct {
	*apitest.Server
	t *testing.T
}

func serve(t *testing.T, control principal.ControlOptions) *fixture {
	return &fixture{apitest.Serve(t, control, func(dir *principal.Directory, _ *gate.Gate, log *apitest.Records) []awsapi.Op {
		return append(organizations.Ops(dir), iamctl.Ops(dir, log)...)
	}), t}
}

// ask calls an operation and returns the status and the answer.
func (f *fixture) ask(key sigv4.Credentials, name, input string) (int, value.Value) {
	f.t.Helper()
	status, _, b := apitest.Send(f.t, f.URL, apitest.Call{
		Headers: [][2]string{{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", "AWSOrganizationsV20161128." + name}}, Body: input, Key: key,
		Options: sigv4.Options{Service: "organizations", Region: "us-east-1"},
	})
	if len(b) == 0 {
		return status, value.Value{}
	}
	v, err := value.Parse(b)
	if err != nil {
		f.t.Fatalf("%s: %s: %v", name, b, err)
	}
	return status, v
}

func (f *fixture) must(name, input string) value.Value {
	f.t.Helper()
	status, v := f.ask(f.Root, name, input)
	if status != http.StatusOK {
		f.t.Fatalf("%s %s: %d %s", name, input, status, v.JSON())
	}
	return v
}

const denyIAM = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`

// Nobody can lock the organization for good: its own operations are the
// management account's.
func TestNobodyIsLockedOut(t *testing.T) {
	f := serve(t, principal.ControlOptions{})
	f.must("CreateOrganization", `{"FeatureSet":"ALL"}`)
	root := f.must("ListRoots", `{}`).Get("Roots").At(0).Get("Id").Str()
	f.must("EnablePolicyType", `{"RootId":"`+root+`","PolicyType":"SERVICE_CONTROL_POLICY"}`)
	id := f.must("CreatePolicy", value.Object(
		value.Member{Key: "Name", Value: value.String("nothing")}, value.Member{Key: "Description", Value: value.String("")},
		value.Member{Key: "Type", Value: value.String("SERVICE_CONTROL_POLICY")}, value.Member{Key: "Content", Value: value.String(denyIAM)},
	).JSON()).Get("Policy").Get("PolicySummary").Get("Id").Str()
	f.must("AttachPolicy", `{"PolicyId":"`+id+`","TargetId":"`+root+`"}`)
	c, err := f.Dir.Credential(t.Context(), f.Root.AccessKeyID, "", time.Now())
	if err != nil || len(c.Principal.Policies.SCP) != 2 {
		t.Fatalf("%+v, %v", c.Principal.Policies.SCP, err)
	}
	f.must("DetachPolicy", `{"PolicyId":"`+id+`","TargetId":"`+root+`"}`)

	// But identity-based policies bind there too.
	status, v := f.ask(f.User("u", ""), "AttachPolicy", `{"PolicyId":"`+id+`","TargetId":"`+root+`"}`)
	want := "User: arn:aws:iam::" + account + ":user/u is not authorized to perform: organizations:AttachPolicy on resource: arn:aws:organizations::" + account + ":policy/"
	if status != 400 || v.Get("__type").Str() != "AccessDeniedException" || !strings.HasPrefix(v.Get("Message").Str(), want) {
		t.Errorf("%d %s", status, v.JSON())
	}
	if status, v := f.ask(f.Root, "CreatePolicy", `{"Name":"x","Nmae":"y"}`); status != 400 || v.Get("__type").Str() != "ValidationException" {
		t.Errorf("%d %s", status, v.JSON())
	}
	last := f.Log.Last()
	if last.Source != "organizations.amazonaws.com" || last.Region != "us-east-1" || last.ErrorCode == "" {
		t.Errorf("%+v", last)
	}
}

func run(t *testing.T, f *fixture, program string, args ...string) string {
	cmd := exec.CommandContext(t.Context(), program, args...)
	none := filepath.Join(t.TempDir(), "none")
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+f.URL, "AWS_ACCESS_KEY_ID="+f.Root.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+f.Root.Secret,
		"AWS_REGION=ap-northeast-1", "AWS_DEFAULT_REGION=ap-northeast-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+none,
		"AWS_SHARED_CREDENTIALS_FILE="+none, "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "AWS_SESSION_TOKEN=", "NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestBoto3(t *testing.T) {
	python := installed.Boto3(t, "the check with a real client did not run")
	f := serve(t, principal.ControlOptions{Policies: []principal.ControlPolicy{{Name: "configured", Type: principal.ResourceControl, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}`}}})
	const script = `
import boto3, json
from botocore.exceptions import ClientError
A = '111122223333'
o, iam = boto3.client('organizations'), boto3.client('iam')
def refused(code, f, reason=None, **kw):
    try: f(**kw)
    except ClientError as e:
        assert e.response['Error']['Code'] == code and (reason is None or e.response.get('Reason') == reason), e.response
        return
    raise AssertionError('not refused: ' + code)
refused('AlreadyInOrganizationException', o.create_organization) # the configuration has a policy
org = o.describe_organization()['Organization']
assert org['MasterAccountId'] == A and org['Arn'] == 'arn:aws:organizations::%s:organization/%s' % (A, org['Id']) and org['FeatureSet'] == 'ALL', org
root = o.list_roots()['Roots'][0]
assert root['Name'] == 'Root' and root['PolicyTypes'] == [{'Type': 'RESOURCE_CONTROL_POLICY', 'Status': 'ENABLED'}], root
assert o.enable_policy_type(RootId=root['Id'], PolicyType='SERVICE_CONTROL_POLICY')['Root']['PolicyTypes'][0]['Type'] == 'SERVICE_CONTROL_POLICY'
refused('PolicyTypeAlreadyEnabledException', o.enable_policy_type, RootId=root['Id'], PolicyType='SERVICE_CONTROL_POLICY')
refused('InvalidInputException', o.enable_policy_type, RootId=root['Id'], PolicyType='TAG_POLICY')
doc = lambda *st: json.dumps({'Version': '2012-10-17', 'Statement': list(st)})
deny = doc({'Effect': 'Deny', 'Action': 'iam:CreateUser', 'Resource': '*'})
p = o.create_policy(Name='no-users', Description='d', Type='SERVICE_CONTROL_POLICY', Content=deny, Tags=[{'Key': 'k', 'Value': 'v'}])['Policy']
s = p['PolicySummary']
assert s['Arn'] == 'arn:aws:organizations::%s:policy/%s/service_control_policy/%s' % (A, org['Id'], s['Id']) and not s['AwsManaged'] and p['Content'] == deny, p
refused('DuplicatePolicyException', o.create_policy, Name='no-users', Description='d', Type='SERVICE_CONTROL_POLICY', Content=deny)
refused('MalformedPolicyDocumentException', o.create_policy, Name='x', Description='d', Type='SERVICE_CONTROL_POLICY', Content='{}')
assert [x['Name'] for x in o.list_policies(Filter='SERVICE_CONTROL_POLICY')['Policies']] == sorted(['FullAWSAccess', 'no-users'], key=lambda n: 'p-FullAWSAccess' if n == 'FullAWSAccess' else s['Id'])
for i in range(4): o.create_policy(Name='p%d' % i, Description='', Type='SERVICE_CONTROL_POLICY', Content=deny)
paged = [x['Name'] for page in o.get_paginator('list_policies').paginate(Filter='SERVICE_CONTROL_POLICY', PaginationConfig={'PageSize': 2}) for x in page['Policies']]
assert sorted(paged) == ['FullAWSAccess', 'no-users', 'p0', 'p1', 'p2', 'p3'], paged
refused('InvalidInputException', o.list_policies, Filter='SERVICE_CONTROL_POLICY', NextToken='%%')
iam.create_user(UserName='before')
o.attach_policy(PolicyId=s['Id'], TargetId=root['Id'])
refused('DuplicatePolicyAttachmentException', o.attach_policy, PolicyId=s['Id'], TargetId=root['Id'])
refused('TargetNotFoundException', o.attach_policy, PolicyId=s['Id'], TargetId='999999999999')
refused('InvalidInputException', o.attach_policy, reason='INVALID_PATTERN_TARGET_ID', PolicyId=s['Id'], TargetId='nobody')
refused('PolicyNotFoundException', o.attach_policy, PolicyId='p-00000000', TargetId=root['Id'])
assert [(t['TargetId'], t['Type']) for t in o.list_targets_for_policy(PolicyId=s['Id'])['Targets']] == [(root['Id'], 'ROOT')]
assert sorted(x['Name'] for x in o.list_policies_for_target(TargetId=root['Id'], Filter='SERVICE_CONTROL_POLICY')['Policies']) == ['FullAWSAccess', 'no-users']
assert [x['Name'] for x in o.list_policies_for_target(TargetId=A, Filter='SERVICE_CONTROL_POLICY')['Policies']] == ['FullAWSAccess']
assert sorted(x['Name'] for x in o.list_policies_for_target(TargetId=root['Id'], Filter='RESOURCE_CONTROL_POLICY')['Policies']) == ['RCPFullAWSAccess', 'configured']
# it binds the root user
try: iam.create_user(UserName='after'); assert False
except ClientError as e: assert e.response['Error']['Message'] == 'User: arn:aws:iam::%s:root is not authorized to perform: iam:CreateUser on resource: user after with an explicit deny in a service control policy: %s' % (A, s['Arn']), e
# and simulations show it
sim = iam.simulate_principal_policy(PolicySourceArn='arn:aws:iam::%s:user/before' % A, ActionNames=['iam:CreateUser', 'iam:GetUser'],
    PolicyInputList=[doc({'Effect': 'Allow', 'Action': 'iam:*', 'Resource': '*'})])['EvaluationResults']
assert [(r['EvalDecision'], r['OrganizationsDecisionDetail']['AllowedByOrganizations']) for r in sim] == [('explicitDeny', False), ('allowed', True)], sim
assert sim[0]['MatchedStatements'][0]['SourcePolicyId'] == 'no-users', sim
u = o.update_policy(PolicyId=s['Id'], Name='renamed', Content=doc({'Effect': 'Deny', 'Action': 'iam:CreateGroup', 'Resource': '*'}))['Policy']
assert u['PolicySummary']['Name'] == 'renamed' and u['PolicySummary']['Description'] == 'd'
assert o.describe_policy(PolicyId=s['Id'])['Policy'] == u
iam.create_user(UserName='after')
refused('PolicyInUseException', o.delete_policy, PolicyId=s['Id'])
o.tag_resource(ResourceId=s['Id'], Tags=[{'Key': 'a', 'Value': 'b'}]); o.untag_resource(ResourceId=s['Id'], TagKeys=['k'])
assert o.list_tags_for_resource(ResourceId=s['Id'])['Tags'] == [{'Key': 'a', 'Value': 'b'}]
o.tag_resource(ResourceId=root['Id'], Tags=[{'Key': 'a', 'Value': 'b'}])
assert o.list_tags_for_resource(ResourceId=root['Id'])['Tags'] == [{'Key': 'a', 'Value': 'b'}]
o.detach_policy(PolicyId=s['Id'], TargetId=root['Id'])
refused('PolicyNotAttachedException', o.detach_policy, PolicyId=s['Id'], TargetId=root['Id'])
refused('ConstraintViolationException', o.detach_policy, reason='MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED', PolicyId='p-FullAWSAccess', TargetId=root['Id'])
o.delete_policy(PolicyId=s['Id'])
a = o.list_accounts()['Accounts'][0]
assert a['Id'] == A and a['Status'] == 'ACTIVE' and a['JoinedTimestamp'].year >= 2024 and o.describe_account(AccountId=A)['Account'] == a, a
assert o.list_parents(ChildId=A)['Parents'] == [{'Id': root['Id'], 'Type': 'ROOT'}]
assert o.list_children(ParentId=root['Id'], ChildType='ACCOUNT')['Children'] == [{'Id': A, 'Type': 'ACCOUNT'}]
assert o.list_accounts_for_parent(ParentId=root['Id'])['Accounts'] == [a]
assert o.list_organizational_units_for_parent(ParentId=root['Id'])['OrganizationalUnits'] == []
assert o.list_aws_service_access_for_organization()['EnabledServicePrincipals'] == [] and o.list_delegated_administrators()['DelegatedAdministrators'] == []
refused('AccountNotFoundException', o.describe_account, AccountId='999999999999')
assert o.disable_policy_type(RootId=root['Id'], PolicyType='SERVICE_CONTROL_POLICY')['Root']['PolicyTypes'] == root['PolicyTypes']
refused('PolicyTypeNotEnabledException', o.disable_policy_type, RootId=root['Id'], PolicyType='SERVICE_CONTROL_POLICY')
refused('OrganizationNotEmptyException', o.delete_organization)
print('done')
`
	if out := run(t, f, python, "-c", script); out != "done" {
		t.Error(out)
	}
}

func TestAWSCLI(t *testing.T) {
	aws := installed.AWS(t, "the check with it did not run")
	if exec.Command(aws, "--version").Run() != nil {
		t.Skip("the aws CLI is installed and does not run: the check with it did not run")
	}
	f := serve(t, principal.ControlOptions{})
	command := func(args ...string) string { return run(t, f, aws, append([]string{"organizations"}, args...)...) }
	if out := command("create-organization", "--query", "Organization.MasterAccountId", "--output", "text"); out != account {
		t.Error(out)
	}
	root := command("list-roots", "--query", "Roots[0].Id", "--output", "text")
	command("enable-policy-type", "--root-id", root, "--policy-type", "SERVICE_CONTROL_POLICY")
	id := command("create-policy", "--name", "p", "--description", "d", "--type", "SERVICE_CONTROL_POLICY", "--content", denyIAM, "--query", "Policy.PolicySummary.Id", "--output", "text")
	command("attach-policy", "--policy-id", id, "--target-id", account)
	if out := command("list-policies-for-target", "--target-id", account, "--filter", "SERVICE_CONTROL_POLICY", "--query", "length(Policies)"); out != "2" {
		t.Error(out)
	}
}
