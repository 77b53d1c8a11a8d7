"""The road end to end with boto3; it fails with an AssertionError where a step does not do what it says."""

import json
import time

import boto3
from botocore.exceptions import ClientError

REGION = "ap-northeast-1"
MODEL = "anthropic.claude-sonnet-4-20250514-v1:0"
PROFILE = "apac." + MODEL
JAPAN = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"

iam, sfn = boto3.client("iam"), boto3.client("stepfunctions")
runtime, trail = boto3.client("bedrock-runtime"), boto3.client("cloudtrail")
account = boto3.client("sts").get_caller_identity()["Account"]

role = iam.create_role(
    RoleName="r",
    AssumeRolePolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }),
)["Role"]["Arn"]


def put(*resources):
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": list(resources)}],
    }))


put(f"arn:aws:bedrock:{REGION}::foundation-model/{PROFILE}")
assert iam.get_role_policy(RoleName="r", PolicyName="p")["PolicyDocument"]["Statement"][0]["Resource"][0].endswith(PROFILE)
machine = sfn.create_state_machine(name="m", roleArn=role, definition=json.dumps({
    "QueryLanguage": "JSONata",
    "StartAt": "Ask",
    "States": {"Ask": {
        "Type": "Task",
        "Resource": "arn:aws:states:::bedrock:invokeModel",
        "Arguments": {"ModelId": PROFILE, "Body": {
            "anthropic_version": "bedrock-2023-05-31", "max_tokens": 100,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "{% $states.input.prompt %}"}]}],
        }},
        "End": True,
    }},
}))["stateMachineArn"]


def run():
    arn = sfn.start_execution(stateMachineArn=machine, input=json.dumps({"prompt": "こんにちは"}))["executionArn"]
    while True:
        x = sfn.describe_execution(executionArn=arn)
        if x["status"] != "RUNNING":
            return x, sfn.get_execution_history(executionArn=arn)["events"]
        time.sleep(0.02)


x, events = run()
failed = [e for e in events if e["type"] == "TaskFailed"][0]["taskFailedEventDetails"]
assert x["status"] == "FAILED" and failed["error"] == "Bedrock.AccessDeniedException", x
assert f":{account}:inference-profile/{PROFILE} because no identity-based policy allows" in failed["cause"], failed

put(f"arn:aws:bedrock:ap-*::foundation-model/{MODEL}", f"arn:aws:bedrock:ap-*:{account}:inference-profile/{PROFILE}")
x, events = run()
assert x["status"] == "SUCCEEDED", x
body = json.loads(x["output"])["Body"]
assert body["model"] and "こんにちは" in body["content"][0]["text"], body

hello = [{"role": "user", "content": [{"text": "hello"}]}]
answer = runtime.converse(modelId=JAPAN, messages=hello)
assert answer["output"]["message"]["content"][0]["text"] and answer["usage"]["outputTokens"] > 0, answer
text = "".join(
    e["contentBlockDelta"]["delta"]["text"]
    for e in runtime.converse_stream(modelId=JAPAN, messages=hello)["stream"] if "contentBlockDelta" in e
)
assert text == answer["output"]["message"]["content"][0]["text"], text
raw = json.loads(runtime.invoke_model(modelId=JAPAN, body=json.dumps({
    "anthropic_version": "bedrock-2023-05-31", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}],
}))["body"].read())
assert raw["type"] == "message", raw
try:
    runtime.converse(modelId=JAPAN.removeprefix("jp."), messages=hello)
    raise AssertionError("the bare id was served")
except ClientError as e:
    assert e.response["Error"]["Code"] == "ValidationException" and "isn’t supported" in str(e), e

found = [json.loads(e["CloudTrailEvent"]) for p in trail.get_paginator("lookup_events").paginate() for e in p["Events"]]
served = {(e["eventName"], e["additionalEventData"]["inferenceRegion"]) for e in found
          if "errorCode" not in e and e["eventName"] in ("InvokeModel", "Converse", "ConverseStream")}
assert {n for n, _ in served} == {"InvokeModel", "Converse", "ConverseStream"}, served
assert any(e["eventName"] == "InvokeModel" and e.get("errorCode") == "AccessDenied" for e in found)
print("boto3", boto3.__version__, "walked the story; inferences ran in", sorted({r for _, r in served}))
