"""A guard on Regions by service control policy, over a restart."""
import json
import os
import subprocess
import sys

import boto3
from botocore.exceptions import ClientError

PROFILE = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
org, runtime = boto3.client("organizations"), boto3.client("bedrock-runtime")


def guard(**more):
    condition = {"StringNotEquals": {"aws:RequestedRegion": "ap-northeast-1"}, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "Tokyo", "Effect": "Deny", "NotAction": ["iam:*", "organizations:*", "sts:*"], "Resource": "*", "Condition": condition}]})


def ask():
    return runtime.converse(modelId=PROFILE, messages=[{"role": "user", "content": [{"text": "hi"}]}])


def refusal():
    try:
        ask()
    except ClientError as e:
        assert e.response["Error"]["Code"] == "AccessDeniedException", e
        return e.response
    raise AssertionError("the guard does not bind")


if sys.argv[1] == "begin":
    ask()
    org.create_organization()
    root = org.list_roots()["Roots"][0]["Id"]
    org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    p = org.create_policy(Name="guard", Description="", Type="SERVICE_CONTROL_POLICY", Content=guard())["Policy"]["PolicySummary"]
    org.attach_policy(PolicyId=p["Id"], TargetId=root)
    r = refusal()
    text = r["Error"]["Message"]
    assert "ap-northeast-3::foundation-model/" in text and text.endswith("with an explicit deny in a service control policy: " + p["Arn"]), text
    explained = subprocess.run([os.environ["TOKAIDO"], "policy", "explain", "--data-dir", os.environ["DATA"], "--lang", "en", r["ResponseMetadata"]["RequestId"]],
        capture_output=True, text=True, check=True).stdout
    for part in ("[BR08]", "ap-northeast-3 (Osaka)", "ArnNotEquals", p["Arn"], "Evaluated again"):
        assert part in explained, explained
else:
    refusal()
    p = next(x for x in org.list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"] if x["Name"] == "guard")
    profile = f"arn:aws:bedrock:ap-northeast-1:{p['Arn'].split(':')[4]}:inference-profile/{PROFILE}"
    # what was proposed: to spare this profile
    org.update_policy(PolicyId=p["Id"], Content=guard(ArnNotEquals={"bedrock:InferenceProfileArn": profile}))
    assert ask()["output"]["message"]["content"][0]["text"]
    root = org.list_roots()["Roots"][0]["Id"]
    org.update_policy(PolicyId=p["Id"], Content=guard())
    refusal()
    org.detach_policy(PolicyId=p["Id"], TargetId=root)
    ask()
