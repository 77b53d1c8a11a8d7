"""What Terraform's AWS provider calls for IAM and Step Functions, replayed."""
import json
import time

import boto3
from botocore.exceptions import ClientError

iam, sts, sfn, org = (boto3.client(s) for s in ("iam", "sts", "stepfunctions", "organizations"))
A = sts.get_caller_identity()["Account"]  # how the provider is configured


def refused(code, f, **kw):
    try:
        f(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError("not refused: " + code)


def doc(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


TRUST = doc({"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"})
MODELS = doc({"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": "*"})
TAGS = [{"Key": "team", "Value": "a"}]


def role_read(name):
    r = iam.get_role(RoleName=name)["Role"]
    inline = [p for page in iam.get_paginator("list_role_policies").paginate(RoleName=name) for p in page["PolicyNames"]]
    docs = {p: iam.get_role_policy(RoleName=name, PolicyName=p)["PolicyDocument"] for p in inline}
    attached = [p["PolicyArn"] for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name) for p in page["AttachedPolicies"]]
    return r, docs, attached


# aws_iam_role
r = iam.create_role(RoleName="flow", Path="/", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=3600, Tags=TAGS)["Role"]
got, docs, attached = role_read("flow")
assert got["Arn"] == r["Arn"] and got["AssumeRolePolicyDocument"] == json.loads(TRUST) and got["Tags"] == TAGS and not docs and not attached, got
assert got["RoleId"].startswith("AROA") and got["RoleLastUsed"] == {} and got["MaxSessionDuration"] == 3600, got
iam.update_assume_role_policy(RoleName="flow", PolicyDocument=TRUST)
iam.update_role(RoleName="flow", MaxSessionDuration=7200)
iam.update_role_description(RoleName="flow", Description="changed")
iam.put_role_permissions_boundary(RoleName="flow", PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")
iam.untag_role(RoleName="flow", TagKeys=["team"])
iam.tag_role(RoleName="flow", Tags=[{"Key": "env", "Value": "ci"}])
got, _, _ = role_read("flow")
assert (got["MaxSessionDuration"], got["Description"], got["Tags"]) == (7200, "changed", [{"Key": "env", "Value": "ci"}]), got
assert got["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith("AdministratorAccess"), got
iam.delete_role_permissions_boundary(RoleName="flow")

# aws_iam_role_policy
iam.put_role_policy(RoleName="flow", PolicyName="models", PolicyDocument=MODELS)
assert role_read("flow")[1] == {"models": json.loads(MODELS)}

# aws_iam_policy
p = iam.create_policy(PolicyName="calls", Path="/", PolicyDocument=MODELS, Description="d", Tags=TAGS)["Policy"]


def policy_read(arn):
    p = iam.get_policy(PolicyArn=arn)["Policy"]
    return p, iam.get_policy_version(PolicyArn=arn, VersionId=p["DefaultVersionId"])["PolicyVersion"]


got, v = policy_read(p["Arn"])
assert got["Tags"] == TAGS and got["Description"] == "d" and v["Document"] == json.loads(MODELS), got
for n in range(6):  # each change makes room first when there are five versions
    versions = iam.list_policy_versions(PolicyArn=p["Arn"])["Versions"]
    if len(versions) >= 5:
        oldest = min((x for x in versions if not x["IsDefaultVersion"]), key=lambda x: int(x["VersionId"][1:]))
        iam.delete_policy_version(PolicyArn=p["Arn"], VersionId=oldest["VersionId"])
    iam.create_policy_version(PolicyArn=p["Arn"], PolicyDocument=MODELS, SetAsDefault=True)
assert policy_read(p["Arn"])[0]["DefaultVersionId"] == "v7"
refused("LimitExceeded", iam.create_policy_version, PolicyArn=p["Arn"], PolicyDocument=MODELS)
iam.tag_policy(PolicyArn=p["Arn"], Tags=[{"Key": "env", "Value": "ci"}])
iam.untag_policy(PolicyArn=p["Arn"], TagKeys=["team"])
assert iam.list_policy_tags(PolicyArn=p["Arn"])["Tags"] == [{"Key": "env", "Value": "ci"}]

# aws_iam_role_policy_attachment, aws_iam_policy_attachment
iam.attach_role_policy(RoleName="flow", PolicyArn=p["Arn"])
assert role_read("flow")[2] == [p["Arn"]]
entities = [x["RoleName"] for page in iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=p["Arn"]) for x in page["PolicyRoles"]]
assert entities == ["flow"], entities
refused("DeleteConflict", iam.delete_policy, PolicyArn=p["Arn"])

# aws_sfn_state_machine
DEFINITION = json.dumps({"StartAt": "First", "States": {"First": {"Type": "Pass", "End": True}}})
m = sfn.create_state_machine(name="flow", definition=DEFINITION, roleArn=r["Arn"], type="STANDARD", publish=True, tags=[{"key": "team", "value": "a"}],
    loggingConfiguration={"level": "OFF", "includeExecutionData": False}, tracingConfiguration={"enabled": False})


def machine_read(arn):
    d = sfn.describe_state_machine(stateMachineArn=arn)
    return d, sfn.list_tags_for_resource(resourceArn=arn)["tags"], sfn.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]


d, tags, versions = machine_read(m["stateMachineArn"])
assert d["status"] == "ACTIVE" and d["definition"] == DEFINITION and tags == [{"key": "team", "value": "a"}] and len(versions) == 1, d
assert d["loggingConfiguration"]["level"] == "OFF" and d["tracingConfiguration"] == {"enabled": False} and d["encryptionConfiguration"]["type"] == "AWS_OWNED_KEY", d
u = sfn.update_state_machine(stateMachineArn=m["stateMachineArn"], definition=DEFINITION.replace("First", "Second"), roleArn=r["Arn"], publish=True,
    loggingConfiguration={"level": "OFF", "includeExecutionData": False}, tracingConfiguration={"enabled": False})
assert u["stateMachineVersionArn"].endswith(":2"), u
sfn.untag_resource(resourceArn=m["stateMachineArn"], tagKeys=["team"])
sfn.tag_resource(resourceArn=m["stateMachineArn"], tags=[{"key": "env", "value": "ci"}])
d, tags, versions = machine_read(m["stateMachineArn"])
assert d["definition"] == DEFINITION.replace("First", "Second") and tags == [{"key": "env", "value": "ci"}] and len(versions) == 2
sfn.delete_state_machine(stateMachineArn=m["stateMachineArn"])
deadline = time.monotonic() + 60
while True:  # the provider waits until it is gone
    try:
        assert sfn.describe_state_machine(stateMachineArn=m["stateMachineArn"])["status"] == "DELETING"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    except ClientError as e:
        assert e.response["Error"]["Code"] == "StateMachineDoesNotExist", e
        break

# aws_iam_role, destroyed with force_detach_policies
assert iam.list_instance_profiles_for_role(RoleName="flow")["InstanceProfiles"] == []
refused("DeleteConflict", iam.delete_role, RoleName="flow")
for arn in role_read("flow")[2]:
    iam.detach_role_policy(RoleName="flow", PolicyArn=arn)
for name in role_read("flow")[1]:
    iam.delete_role_policy(RoleName="flow", PolicyName=name)
iam.delete_role(RoleName="flow")
refused("NoSuchEntity", iam.get_role, RoleName="flow")
for v in iam.list_policy_versions(PolicyArn=p["Arn"])["Versions"]:
    if not v["IsDefaultVersion"]:
        iam.delete_policy_version(PolicyArn=p["Arn"], VersionId=v["VersionId"])
iam.delete_policy(PolicyArn=p["Arn"])
refused("NoSuchEntity", iam.get_policy, PolicyArn=p["Arn"])

# aws_iam_user, aws_iam_access_key, aws_iam_group, aws_iam_user_group_membership
iam.create_user(UserName="ci", Path="/", Tags=TAGS)
assert iam.get_user(UserName="ci")["User"]["Tags"] == TAGS
k = iam.create_access_key(UserName="ci")["AccessKey"]
assert [x["AccessKeyId"] for x in iam.list_access_keys(UserName="ci")["AccessKeyMetadata"]] == [k["AccessKeyId"]]
last = iam.get_access_key_last_used(AccessKeyId=k["AccessKeyId"])
assert last["UserName"] == "ci" and last["AccessKeyLastUsed"]["ServiceName"] == "N/A", last
iam.update_access_key(UserName="ci", AccessKeyId=k["AccessKeyId"], Status="Inactive")
iam.create_access_key(UserName="ci")
refused("LimitExceeded", iam.create_access_key, UserName="ci")
iam.create_group(GroupName="team", Path="/")
iam.add_user_to_group(GroupName="team", UserName="ci")
assert [u["UserName"] for u in iam.get_group(GroupName="team")["Users"]] == ["ci"]
assert [g["GroupName"] for g in iam.list_groups_for_user(UserName="ci")["Groups"]] == ["team"]
iam.update_user(UserName="ci", NewUserName="ci2", NewPath="/app/")
assert iam.get_user(UserName="ci2")["User"]["Arn"] == f"arn:aws:iam::{A}:user/app/ci2"
refused("EntityAlreadyExists", iam.create_user, UserName="CI2")
# destroyed with force_destroy: everything that a user can have is asked for
refused("DeleteConflict", iam.delete_user, UserName="ci2")
for g in iam.list_groups_for_user(UserName="ci2")["Groups"]:
    iam.remove_user_from_group(GroupName=g["GroupName"], UserName="ci2")
for x in iam.list_access_keys(UserName="ci2")["AccessKeyMetadata"]:
    iam.delete_access_key(UserName="ci2", AccessKeyId=x["AccessKeyId"])
assert iam.list_ssh_public_keys(UserName="ci2")["SSHPublicKeys"] == []
assert iam.list_virtual_mfa_devices(AssignmentStatus="Any")["VirtualMFADevices"] == []
assert iam.list_mfa_devices(UserName="ci2")["MFADevices"] == []
refused("NoSuchEntity", iam.delete_login_profile, UserName="ci2")
assert iam.list_signing_certificates(UserName="ci2")["Certificates"] == []
assert iam.list_service_specific_credentials(UserName="ci2")["ServiceSpecificCredentials"] == []
iam.delete_user(UserName="ci2")
refused("NoSuchEntity", iam.get_user, UserName="ci2")
iam.delete_group(GroupName="team")

# aws_iam_account_alias, data aws_iam_account_alias
iam.create_account_alias(AccountAlias="tokai")
assert iam.list_account_aliases()["AccountAliases"] == ["tokai"]
iam.delete_account_alias(AccountAlias="tokai")

# aws_organizations_organization, aws_organizations_policy, aws_organizations_policy_attachment
refused("AWSOrganizationsNotInUseException", org.describe_organization)
o = org.create_organization(FeatureSet="ALL")["Organization"]
root = org.list_roots()["Roots"][0]
org.enable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")
assert org.list_accounts()["Accounts"][0]["Id"] == A and org.list_aws_service_access_for_organization()["EnabledServicePrincipals"] == []
s = org.create_policy(Name="guard", Description="", Type="SERVICE_CONTROL_POLICY", Content=doc({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}), Tags=TAGS)["Policy"]["PolicySummary"]
assert org.describe_policy(PolicyId=s["Id"])["Policy"]["PolicySummary"] == s and org.list_tags_for_resource(ResourceId=s["Id"])["Tags"] == TAGS
org.attach_policy(PolicyId=s["Id"], TargetId=root["Id"])
assert [t["TargetId"] for page in org.get_paginator("list_targets_for_policy").paginate(PolicyId=s["Id"]) for t in page["Targets"]] == [root["Id"]]
org.detach_policy(PolicyId=s["Id"], TargetId=root["Id"])
org.delete_policy(PolicyId=s["Id"])
org.disable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")
org.delete_organization()
refused("AWSOrganizationsNotInUseException", org.describe_organization)
