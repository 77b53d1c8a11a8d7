"""boto3 streams Converse with tools, signs in with an API key, and keeps application profiles."""
import base64, json, os

import boto3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

profile, region = os.environ["PROFILE"], os.environ["AWS_DEFAULT_REGION"]
tools = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}}]}


def converse(client, model):
    messages = [{"role": "user", "content": [{"text": "use weather"}]}]
    blocks, stop, usage, now = [], None, None, {}
    for e in client.converse_stream(modelId=model, messages=messages, toolConfig=tools)["stream"]:
        if "contentBlockStart" in e:
            now = {"toolUse": {**e["contentBlockStart"]["start"]["toolUse"], "input": ""}}
        elif "contentBlockDelta" in e:
            d = e["contentBlockDelta"]["delta"]
            if "text" in d:
                now["text"] = now.get("text", "") + d["text"]
            else:
                now["toolUse"]["input"] += d["toolUse"]["input"]
        elif "contentBlockStop" in e:
            if "toolUse" in now:
                now["toolUse"]["input"] = json.loads(now["toolUse"]["input"])
            blocks.append(now)
            now = {}
        elif "messageStop" in e:
            stop = e["messageStop"]["stopReason"]
        elif "metadata" in e:
            usage = e["metadata"]["usage"]
    assert stop == "tool_use" and usage["outputTokens"] > 0, (stop, usage)
    use = blocks[-1]["toolUse"]
    assert use["name"] == "weather" and use["input"]["city"], blocks
    messages += [{"role": "assistant", "content": blocks}, {"role": "user", "content": [{"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "it rains"}]}}]}]
    out = client.converse(modelId=model, messages=messages, toolConfig=tools)
    assert "it rains" in out["output"]["message"]["content"][0]["text"], out


runtime = boto3.client("bedrock-runtime")
converse(runtime, profile)

# Application inference profiles.
control = boto3.client("bedrock")
account = boto3.client("sts").get_caller_identity()["Account"]
if os.environ.get("AGAIN"):
    found = [p for p in control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"] if p["inferenceProfileName"] == "kept"]
    assert len(found) == 1 and control.list_tags_for_resource(resourceARN=found[0]["inferenceProfileArn"])["tags"] == [{"key": "team", "value": "poets"}], found
    converse(runtime, found[0]["inferenceProfileArn"])
    control.delete_inference_profile(inferenceProfileIdentifier=found[0]["inferenceProfileArn"])
    assert not control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    print("again: all good")
    raise SystemExit
made = control.create_inference_profile(inferenceProfileName="kept", modelSource={"copyFrom": f"arn:aws:bedrock:{region}:{account}:inference-profile/{profile}"}, tags=[{"key": "team", "value": "poets"}, {"key": "x", "value": "y"}])["inferenceProfileArn"]
got = control.get_inference_profile(inferenceProfileIdentifier=made)
assert got["type"] == "APPLICATION" and got["status"] == "ACTIVE" and len(got["models"]) == 2, got
control.untag_resource(resourceARN=made, tagKeys=["x"])
converse(runtime, made)

# A profile of the operator's own is listed and called like the others.
own = [p for p in control.list_inference_profiles(maxResults=100, typeEquals="SYSTEM_DEFINED")["inferenceProfileSummaries"] if p["inferenceProfileId"].startswith("centre.")]
assert len(own) == 1 and len(own[0]["models"]) == 2, own
converse(runtime, own[0]["inferenceProfileId"])

# Invocation logs.
logging = {"s3Config": {"bucketName": "logs"}, "textDataDeliveryEnabled": True}
control.put_model_invocation_logging_configuration(loggingConfig=logging)
assert control.get_model_invocation_logging_configuration()["loggingConfig"] == logging
converse(runtime, profile)
control.delete_model_invocation_logging_configuration()
assert "loggingConfig" not in control.get_model_invocation_logging_configuration()

# API keys: a long-term one of a user, and a short-term one as AWS's generators make them.
iam = boto3.client("iam")
iam.create_user(UserName="caller")
key = iam.create_service_specific_credential(UserName="caller", ServiceName="bedrock.amazonaws.com", CredentialAgeDays=1)["ServiceSpecificCredential"]
allow = lambda *actions: iam.put_user_policy(UserName="caller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": list(actions), "Resource": "*"}}))


def bearer(token):
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = token  # read when a call is signed
    return boto3.session.Session().client("bedrock-runtime")


allow("bedrock:InvokeModel*")
try:
    bearer(key["ServiceCredentialSecret"]).converse(modelId=profile, messages=[{"role": "user", "content": [{"text": "hello"}]}])
    raise AssertionError("nobody allowed bedrock:CallWithBearerToken")
except ClientError as e:
    assert e.response["Error"]["Code"] == "AccessDeniedException" and "bedrock:CallWithBearerToken" in str(e), e
allow("bedrock:InvokeModel*", "bedrock:CallWithBearerToken")
converse(bearer(key["ServiceCredentialSecret"]), profile)
access = iam.create_access_key(UserName="caller")["AccessKey"]
request = AWSRequest(method="POST", url="https://bedrock.amazonaws.com/", headers={"host": "bedrock.amazonaws.com"}, params={"Action": "CallWithBearerToken"})
SigV4QueryAuth(Credentials(access["AccessKeyId"], access["SecretAccessKey"]), "bedrock", region, expires=43200).add_auth(request)
converse(bearer("bedrock-api-key-" + base64.b64encode((request.url.removeprefix("https://") + "&Version=1").encode()).decode()), profile)
try:
    bearer("ABSKnothing").converse(modelId=profile, messages=[{"role": "user", "content": [{"text": "hello"}]}])
    raise AssertionError("a key that is none")
except ClientError as e:
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 403, e
print("tools: all good")
