"""Every operation of Step Functions with boto3; it fails with an AssertionError where one does not do what AWS's does."""

import json
import sys
import time

import boto3

role = sys.argv[1]
c = boto3.client("stepfunctions")
served = set()
c.meta.events.register("after-call.stepfunctions", lambda model, http_response, **_: http_response.status_code == 200 and served.add(model.name))


def refused(code, call, **args):
    try:
        call(**args)
    except c.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError(f"not refused with {code}")


def ended(arn):
    while True:
        x = c.describe_execution(executionArn=arn)
        if x["status"] != "RUNNING":
            return x
        time.sleep(0.01)


def pages(operation, member, **args):
    return [i for p in c.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1}, **args) for i in p[member]]


hold = json.dumps({"StartAt": "Hold", "States": {"Hold": {"Type": "Wait", "Seconds": 1, "End": True}}})
one = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})

# State machines, their versions, aliases and tags.
m = c.create_state_machine(name="m", definition=hold, roleArn=role, publish=True, tags=[{"key": "k", "value": "v"}])
machine, first = m["stateMachineArn"], m["stateMachineVersionArn"]
assert c.describe_state_machine(stateMachineArn=machine)["definition"] == hold
revision = c.update_state_machine(stateMachineArn=machine, definition=hold + " ")["revisionId"]
second = c.publish_state_machine_version(stateMachineArn=machine, revisionId=revision)["stateMachineVersionArn"]
assert [v["stateMachineVersionArn"] for v in c.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]] == [second, first]
alias = c.create_state_machine_alias(name="live", routingConfiguration=[{"stateMachineVersionArn": first, "weight": 100}])["stateMachineAliasArn"]
c.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=[{"stateMachineVersionArn": second, "weight": 100}])
assert c.describe_state_machine_alias(stateMachineAliasArn=alias)["routingConfiguration"][0]["stateMachineVersionArn"] == second
assert len(c.list_state_machine_aliases(stateMachineArn=machine)["stateMachineAliases"]) == 1
c.tag_resource(resourceArn=machine, tags=[{"key": "l", "value": ""}])
c.untag_resource(resourceArn=machine, tagKeys=["k"])
assert c.list_tags_for_resource(resourceArn=machine)["tags"] == [{"key": "l", "value": ""}]
assert c.validate_state_machine_definition(definition=one)["result"] == "OK"

# Executions.
x = c.start_execution(stateMachineArn=alias, name="東海道", input='{"n": 1}')["executionArn"]
c.stop_execution(executionArn=x, error="E", cause="C")
assert ended(x)["status"] == "ABORTED"
c.redrive_execution(executionArn=x)
d = ended(x)
assert d["status"] == "SUCCEEDED" and d["redriveCount"] == 1 and d["stateMachineAliasArn"] == alias, d
assert c.describe_state_machine_for_execution(executionArn=x)["stateMachineArn"] == machine
types = [e["type"] for e in pages("get_execution_history", "events", executionArn=x)]
assert types[0] == "ExecutionStarted" and types[-1] == "ExecutionSucceeded" and "ExecutionRedriven" in types, types
assert [e["name"] for e in pages("list_executions", "executions", stateMachineArn=machine, statusFilter="SUCCEEDED")] == ["東海道"]
express = c.create_state_machine(name="express", definition=one, roleArn=role, type="EXPRESS")["stateMachineArn"]
s = c.start_sync_execution(stateMachineArn=express, input="[1]")
assert s["status"] == "SUCCEEDED" and s["output"] == "[1]", s
s = c.test_state(definition='{"Type":"Fail","Error":"E","Cause":"C"}', inspectionLevel="TRACE")
assert s["status"] == "FAILED" and s["error"] == "E" and s["cause"] == "C", s

# Activities and their tokens.
activity = c.create_activity(name="a")["activityArn"]
assert c.describe_activity(activityArn=activity)["name"] == "a"
assert len(pages("list_activities", "activities")) == 1
worker = c.create_state_machine(
    name="w", definition=json.dumps({"StartAt": "W", "States": {"W": {"Type": "Task", "Resource": activity, "End": True}}}), roleArn=role
)["stateMachineArn"]
for fail in (False, True):
    x = c.start_execution(stateMachineArn=worker, input='{"job": 1}')["executionArn"]
    k = c.get_activity_task(activityArn=activity, workerName="w")
    assert json.loads(k["input"]) == {"job": 1}, k
    c.send_task_heartbeat(taskToken=k["taskToken"])
    if fail:
        c.send_task_failure(taskToken=k["taskToken"], error="E", cause="C")
    else:
        c.send_task_success(taskToken=k["taskToken"], output='{"done": true}')
    refused("TaskTimedOut", c.send_task_success, taskToken=k["taskToken"], output="1")
    assert ended(x)["status"] == ("FAILED" if fail else "SUCCEEDED")

# Map Runs.
each = c.create_state_machine(name="each", roleArn=role, definition=json.dumps({
    "StartAt": "Each",
    "States": {"Each": {
        "Type": "Map", "MaxConcurrency": 1, "End": True,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **json.loads(hold)},
    }},
}))["stateMachineArn"]
x = c.start_execution(stateMachineArn=each, input="[1, 2]")["executionArn"]
while not (runs := pages("list_map_runs", "mapRuns", executionArn=x)):
    time.sleep(0.01)
run = runs[0]["mapRunArn"]
c.update_map_run(mapRunArn=run, maxConcurrency=2)
assert ended(x)["status"] == "SUCCEEDED"
r = c.describe_map_run(mapRunArn=run)
assert r["status"] == "SUCCEEDED" and r["maxConcurrency"] == 2 and r["itemCounts"]["succeeded"] == 2, r

# Away with it all.
assert len(pages("list_state_machines", "stateMachines")) == 4
refused("ConflictException", c.delete_state_machine_version, stateMachineVersionArn=second)
c.delete_state_machine_alias(stateMachineAliasArn=alias)
c.delete_state_machine_version(stateMachineVersionArn=second)
c.delete_state_machine(stateMachineArn=machine)
c.delete_activity(activityArn=activity)

operations = set(c.meta.service_model.operation_names)
assert served == operations, f"not served: {sorted(operations - served)}"
assert not c.waiter_names, "boto3 has waiters for Step Functions now: call them here"
print("boto3", boto3.__version__, "called all", len(served), "operations of Step Functions")
