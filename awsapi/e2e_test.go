package awsapi_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tokaido/awsapi"
	"tokaido/awsapi/cloudtrail"
	"tokaido/awsapi/iamctl"
	"tokaido/awsapi/sts"
	"tokaido/gate"
	"tokaido/internal/installed"
	"tokaido/principal"
	"tokaido/store/memory"
	"tokaido/trail"
)

// whole is a front door with everything behind it that IAM, STS and CloudTrail
// need.
func whole(t *testing.T) (url, key, secret string, logged *bytes.Buffer) {
	dir, err := principal.Open(t.Context(), memory.New().Principals(), principal.Options{Account: "111122223333"})
	if err != nil {
		t.Fatal(err)
	}
	key, secret, _, err = dir.Bootstrap(t.Context(), func(string, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	log, err := trail.Open(t.TempDir(), trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	g := gate.New(log, nil)
	ops := append(iamctl.Ops(dir, log), sts.Ops(dir, g)...)
	ops = append(ops, cloudtrail.Ops(log, cloudtrail.Options{})...)
	logged = &bytes.Buffer{}
	s, err := awsapi.New(awsapi.Config{Directory: dir, Gate: g, Ops: ops, Logger: slog.New(slog.NewTextHandler(logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.URL, key, secret, logged
}

// client runs a program as a client of the server.
func client(t *testing.T, url, key, secret, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	none := filepath.Join(t.TempDir(), "none")
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION=ap-northeast-1",
		"AWS_DEFAULT_REGION=ap-northeast-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none,
		"AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "AWS_SESSION_TOKEN=", "NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

func TestBoto3IAM(t *testing.T) {
	python := installed.Boto3(t, "the check with a real client did not run")
	url, key, secret, logged := whole(t)
	const script = `
import boto3, json
from botocore.exceptions import ClientError
A = '111122223333'
iam, sts = boto3.client('iam'), boto3.client('sts')
def refused(code, f, **kw):
    try: f(**kw)
    except ClientError as e:
        assert e.response['Error']['Code'] == code, e
        return e.response['Error']['Message']
    raise AssertionError('not refused: ' + code)
assert sts.get_caller_identity()['Arn'] == 'arn:aws:iam::%s:root' % A
doc = lambda *st: json.dumps({'Version': '2012-10-17', 'Statement': list(st)})
trust = doc({'Effect': 'Allow', 'Principal': {'Service': 'states.amazonaws.com', 'AWS': 'arn:aws:iam::%s:root' % A}, 'Action': 'sts:AssumeRole'})
# roles
r = iam.create_role(RoleName='r', Path='/app/', AssumeRolePolicyDocument=trust, Description='d', MaxSessionDuration=7200, Tags=[{'Key': 'k', 'Value': 'v w+&'}])['Role']
assert r['Arn'] == 'arn:aws:iam::%s:role/app/r' % A and r['AssumeRolePolicyDocument'] == json.loads(trust) and r['Tags'] == [{'Key': 'k', 'Value': 'v w+&'}], r
assert r['CreateDate'].year >= 2024 and r['MaxSessionDuration'] == 7200
policy = doc({'Effect': 'Allow', 'Action': 'bedrock:InvokeModel', 'Resource': 'arn:aws:bedrock:*::foundation-model/*'})
iam.put_role_policy(RoleName='r', PolicyName='p', PolicyDocument=policy)
assert iam.get_role_policy(RoleName='r', PolicyName='p')['PolicyDocument'] == json.loads(policy)
assert iam.list_role_policies(RoleName='r')['PolicyNames'] == ['p']
p = iam.create_policy(PolicyName='m', PolicyDocument=policy, Description='x')['Policy']
v2 = iam.create_policy_version(PolicyArn=p['Arn'], PolicyDocument=policy, SetAsDefault=True)['PolicyVersion']
assert v2['VersionId'] == 'v2' and v2['IsDefaultVersion'], v2
assert iam.get_policy_version(PolicyArn=p['Arn'], VersionId='v2')['PolicyVersion']['Document'] == json.loads(policy)
assert [v['VersionId'] for v in iam.list_policy_versions(PolicyArn=p['Arn'])['Versions']] == ['v2', 'v1']
iam.set_default_policy_version(PolicyArn=p['Arn'], VersionId='v1')
iam.delete_policy_version(PolicyArn=p['Arn'], VersionId='v2')
iam.attach_role_policy(RoleName='r', PolicyArn=p['Arn'])
assert iam.list_attached_role_policies(RoleName='r')['AttachedPolicies'] == [{'PolicyName': 'm', 'PolicyArn': p['Arn']}]
assert iam.get_policy(PolicyArn=p['Arn'])['Policy']['AttachmentCount'] == 1
assert [x['RoleName'] for x in iam.list_entities_for_policy(PolicyArn=p['Arn'])['PolicyRoles']] == ['r']
iam.tag_role(RoleName='r', Tags=[{'Key': 'a', 'Value': ''}]); iam.untag_role(RoleName='r', TagKeys=['k'])
assert iam.list_role_tags(RoleName='r')['Tags'] == [{'Key': 'a', 'Value': ''}]
assert iam.update_role(RoleName='r', Description='e')['ResponseMetadata']['HTTPStatusCode'] == 200
iam.update_assume_role_policy(RoleName='r', PolicyDocument=trust)
assert iam.get_role(RoleName='r')['Role']['Description'] == 'e'
for i in range(5): iam.create_role(RoleName='x%d' % i, AssumeRolePolicyDocument=trust)
names = [r['RoleName'] for page in iam.get_paginator('list_roles').paginate(PaginationConfig={'PageSize': 2}) for r in page['Roles']]
assert names == ['r'] + ['x%d' % i for i in range(5)], names
assert 'AmazonBedrockFullAccess' in [p['PolicyName'] for page in iam.get_paginator('list_policies').paginate(Scope='AWS') for p in page['Policies']]
assert refused('NoSuchEntity', iam.get_role, RoleName='nobody') == 'The role with name nobody cannot be found.'
assert isinstance(iam.exceptions.NoSuchEntityException, type)
try: iam.get_role(RoleName='nobody'); assert False
except iam.exceptions.NoSuchEntityException: pass
refused('EntityAlreadyExists', iam.create_role, RoleName='r', AssumeRolePolicyDocument=trust)
refused('MalformedPolicyDocument', iam.put_role_policy, RoleName='r', PolicyName='p', PolicyDocument='{')
refused('DeleteConflict', iam.delete_role, RoleName='r')
# users and keys
iam.create_user(UserName='u')
iam.put_user_policy(UserName='u', PolicyName='p', PolicyDocument=doc({'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Resource': '*'}))
k = iam.create_access_key(UserName='u')['AccessKey']
assert k['Status'] == 'Active' and iam.list_access_keys(UserName='u')['AccessKeyMetadata'][0]['AccessKeyId'] == k['AccessKeyId']
as_u = dict(aws_access_key_id=k['AccessKeyId'], aws_secret_access_key=k['SecretAccessKey'], aws_session_token='')
u = boto3.session.Session(k['AccessKeyId'], k['SecretAccessKey'])
assert u.client('sts').get_caller_identity()['Arn'] == 'arn:aws:iam::%s:user/u' % A
m = refused('AccessDenied', u.client('iam').create_user, UserName='w')
assert m == 'User: arn:aws:iam::%s:user/u is not authorized to perform: iam:CreateUser on resource: user w because no identity-based policy allows the iam:CreateUser action' % A, m
c = u.client('sts').assume_role(RoleArn=r['Arn'], RoleSessionName='s1', DurationSeconds=900)
assert c['AssumedRoleUser']['Arn'] == 'arn:aws:sts::%s:assumed-role/r/s1' % A, c
c = c['Credentials']
s = boto3.session.Session(c['AccessKeyId'], c['SecretAccessKey'], c['SessionToken'])
assert s.client('sts').get_caller_identity()['Arn'].endswith(':assumed-role/r/s1')
refused('AccessDenied', s.client('iam').list_roles)
bad = boto3.session.Session(c['AccessKeyId'], c['SecretAccessKey'], c['SessionToken'][:-4] + 'AAAA')
refused('InvalidClientTokenId', bad.client('sts').get_caller_identity)
t = u.client('sts').get_session_token(DurationSeconds=900)['Credentials']
assert boto3.session.Session(t['AccessKeyId'], t['SecretAccessKey'], t['SessionToken']).client('sts').get_caller_identity()['Arn'].endswith(':user/u')
assert sts.get_access_key_info(AccessKeyId=k['AccessKeyId'])['Account'] == A
iam.update_access_key(UserName='u', AccessKeyId=k['AccessKeyId'], Status='Inactive')
refused('InvalidClientTokenId', u.client('sts').get_caller_identity)
iam.delete_access_key(UserName='u', AccessKeyId=k['AccessKeyId'])
iam.delete_user_policy(UserName='u', PolicyName='p'); iam.delete_user(UserName='u')
iam.detach_role_policy(RoleName='r', PolicyArn=p['Arn']); iam.delete_role_policy(RoleName='r', PolicyName='p'); iam.delete_role(RoleName='r')
iam.delete_policy(PolicyArn=p['Arn'])
# the trail: IAM's events are in us-east-1, STS's where they were asked
ct = lambda region: boto3.client('cloudtrail', region_name=region)
events = [e for page in ct('us-east-1').get_paginator('lookup_events').paginate(PaginationConfig={'PageSize': 7}) for e in page['Events']]
created = [e for e in events if e['EventName'] == 'CreateRole']
assert len(created) == 7, len(created)
first = json.loads(created[-1]['CloudTrailEvent'])
assert first['userIdentity']['type'] == 'Root' and first['requestParameters']['roleName'] == 'r' and first['responseElements']['role']['arn'] == r['Arn'], first
assert first['eventSource'] == 'iam.amazonaws.com' and created[-1]['ReadOnly'] == 'false' and created[-1]['Resources'] == [{'ResourceType': 'AWS::IAM::Role', 'ResourceName': r['Arn']}]
denied = [json.loads(e['CloudTrailEvent']) for e in ct('us-east-1').lookup_events(LookupAttributes=[{'AttributeKey': 'Username', 'AttributeValue': 'u'}])['Events']]
assert [d['errorCode'] for d in denied] == ['AccessDenied'] and denied[0]['errorMessage'] == m, denied
sts_events = [e['EventName'] for e in ct('ap-northeast-1').lookup_events(LookupAttributes=[{'AttributeKey': 'EventSource', 'AttributeValue': 'sts.amazonaws.com'}])['Events']]
assert 'AssumeRole' in sts_events and 'GetCallerIdentity' in sts_events, sts_events
everything = json.dumps([e['CloudTrailEvent'] for r in ('us-east-1', 'ap-northeast-1') for page in ct(r).get_paginator('lookup_events').paginate() for e in page['Events']])
for hidden in (k['SecretAccessKey'], c['SecretAccessKey'], c['SessionToken'], t['SessionToken']): assert hidden not in everything
refused('InvalidTimeRangeException', ct('us-east-1').lookup_events, StartTime='2026-01-02T00:00:00Z', EndTime='2026-01-01T00:00:00Z')
print('done')
`
	if out := client(t, url, key, secret, python, "-c", script); out != "done\n" {
		t.Error(out)
	}
	if logged.Len() > 0 {
		t.Errorf("the server logged %s", logged)
	}
}

func TestAWSCLI(t *testing.T) {
	aws := installed.AWS(t, "the check with it did not run")
	if exec.Command(aws, "--version").Run() != nil {
		t.Skip("the aws CLI is installed and does not run: the check with it did not run")
	}
	url, key, secret, _ := whole(t)
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	for _, c := range []struct{ args, want string }{
		{"sts get-caller-identity --query Account --output text", "111122223333"},
		{"iam create-role --role-name r --assume-role-policy-document " + trust + " --query Role.Arn --output text", "arn:aws:iam::111122223333:role/r"},
		{"iam put-role-policy --role-name r --policy-name p --policy-document " + strings.NewReplacer(`"Principal":{"Service":"states.amazonaws.com"},`, `"Resource":"*",`).Replace(trust), ""},
		{"iam get-role-policy --role-name r --policy-name p --query PolicyDocument.Statement[0].Action --output text", "sts:AssumeRole"},
		{"cloudtrail lookup-events --region us-east-1 --lookup-attributes AttributeKey=EventName,AttributeValue=CreateRole --query Events[0].Resources[0].ResourceName --output text", "arn:aws:iam::111122223333:role/r"},
	} {
		if out := strings.TrimSpace(client(t, url, key, secret, aws, strings.Split(c.args, " ")...)); out != c.want {
			t.Errorf("aws %s: %q, want %q", c.args, out, c.want)
		}
	}
}
