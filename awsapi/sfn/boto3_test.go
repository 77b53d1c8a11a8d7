package sfn

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/gate"
	"tokaido/internal/installed"
	"tokaido/principal"
	"tokaido/trail"
)

type nobodyReads struct{}

func (nobodyReads) Append(context.Context, *trail.Record) error { return nil }

// root knows one key: that of the account's root.
type root struct{}

func (root) Credential(context.Context, string, string, time.Time) (principal.Credential, error) {
	return principal.Credential{Secret: "secret", Principal: &principal.Principal{
		Type: principal.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account}}, nil
}

// boto3 as it is makes the calls of every operation that is there: its models
// check what it sends, and its parsers what it gets.
const script = `
import sys, time, threading, datetime, json, boto3
from botocore.config import Config
c = boto3.client('stepfunctions', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='AKIAROOT', aws_secret_access_key='secret',
    config=Config(retries={'total_max_attempts': 1}, inject_host_prefix=False))
role = 'arn:aws:iam::123456789012:role/r'
def refused(code, f, **kw):
    try:
        f(**kw)
    except c.exceptions.ClientError as e:
        assert e.response['Error']['Code'] == code, e
        assert e.response['ResponseMetadata']['HTTPStatusCode'] == 400, e
        return e.response
    raise AssertionError('not refused: ' + code)

d = '{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":60,"Next":"B"},"B":{"Type":"Pass","End":true}}}'
m = c.create_state_machine(name='m', definition=d, roleArn=role, tags=[{'key': 'k', 'value': 'v'}], publish=True)
arn, version = m['stateMachineArn'], m['stateMachineVersionArn']
assert isinstance(m['creationDate'], datetime.datetime)
assert c.describe_state_machine(stateMachineArn=arn)['definition'] == d
assert c.describe_state_machine(stateMachineArn=arn, includedData='METADATA_ONLY')['definition'] == '{}'
assert [x['name'] for p in c.get_paginator('list_state_machines').paginate(maxResults=1) for x in p['stateMachines']] == ['m']
x = c.start_execution(stateMachineArn=version, name='東海道', input='{"n": 1}')['executionArn']
e = c.describe_execution(executionArn=x)
assert e['status'] == 'RUNNING' and e['input'] == '{"n": 1}' and e['stateMachineVersionArn'] == version, e
refused('ExecutionAlreadyExists', c.start_execution, stateMachineArn=arn, name='東海道', input='{}')
c.stop_execution(executionArn=x, error='E', cause='C')
e = c.describe_execution(executionArn=x)
assert e['status'] == 'ABORTED' and e['error'] == 'E' and e['redriveStatus'] == 'REDRIVABLE', e
h = [v for p in c.get_paginator('get_execution_history').paginate(executionArn=x, maxResults=1, reverseOrder=True) for v in p['events']]
assert [v['type'] for v in h] == ['ExecutionAborted', 'WaitStateEntered', 'ExecutionStarted'], h
assert h[0]['executionAbortedEventDetails'] == {'error': 'E', 'cause': 'C'}, h
assert [x['status'] for p in c.get_paginator('list_executions').paginate(stateMachineArn=arn, statusFilter='ABORTED') for x in p['executions']] == ['ABORTED']
assert c.describe_state_machine_for_execution(executionArn=x)['stateMachineArn'] == arn
u = c.update_state_machine(stateMachineArn=arn, definition=d + ' ', publish=True, versionDescription='two')
assert u['stateMachineVersionArn'] == arn + ':2'
assert [v['stateMachineVersionArn'] for v in c.list_state_machine_versions(stateMachineArn=arn)['stateMachineVersions']] == [arn + ':2', arn + ':1']
p = c.publish_state_machine_version(stateMachineArn=arn, revisionId=u['revisionId'])
assert p['stateMachineVersionArn'] == arn + ':2'
a = c.create_state_machine_alias(name='live', routingConfiguration=[{'stateMachineVersionArn': version, 'weight': 100}])['stateMachineAliasArn']
c.update_state_machine_alias(stateMachineAliasArn=a, description='d')
assert c.describe_state_machine_alias(stateMachineAliasArn=a)['description'] == 'd'
assert len(c.list_state_machine_aliases(stateMachineArn=arn)['stateMachineAliases']) == 1
refused('ConflictException', c.delete_state_machine_version, stateMachineVersionArn=version)
c.delete_state_machine_alias(stateMachineAliasArn=a)
c.delete_state_machine_version(stateMachineVersionArn=version)
c.tag_resource(resourceArn=arn, tags=[{'key': 'l', 'value': ''}])
c.untag_resource(resourceArn=arn, tagKeys=['k'])
assert c.list_tags_for_resource(resourceArn=arn)['tags'] == [{'key': 'l', 'value': ''}]
v = c.validate_state_machine_definition(definition='{}')
assert v['result'] == 'FAIL' and v['diagnostics'][0]['code'] == 'SCHEMA_VALIDATION_FAILED', v
r = refused('ValidationException', c.create_state_machine_alias, name='b', routingConfiguration=[{'stateMachineVersionArn': arn + ':2', 'weight': 1}])
assert r['reason'] == 'INVALID_ROUTING_CONFIGURATION', r

s = c.create_state_machine(name='s', definition='{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}', roleArn=role, type='EXPRESS')['stateMachineArn']
o = c.start_sync_execution(stateMachineArn=s, input='[1]')
assert o['status'] == 'SUCCEEDED' and o['output'] == '[1]' and o['executionArn'].split(':')[5] == 'express', o
c.start_execution(stateMachineArn=s)
o = c.test_state(definition='{"Type":"Map","ItemsPath":"$","ToleratedFailurePercentage":50,"MaxConcurrency":2,"Retry":[{"ErrorEquals":["States.ALL"]}],"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}},"Next":"N"}',
    input='[1, 2]', inspectionLevel='TRACE', mock={'result': '[3, 4]', 'fieldValidationMode': 'PRESENT'}, stateConfiguration={'mapIterationFailureCount': 2, 'retrierRetryCount': 1}, variables='{"v": 1}')
i = o['inspectionData']
assert o['status'] == 'RETRIABLE' and o['error'] == 'States.ExceedToleratedFailureThreshold' and 'output' not in o, o
assert i['toleratedFailurePercentage'] == 50.0 and i['maxConcurrency'] == 2 and i['errorDetails'] == {'retryIndex': 0, 'retryBackoffIntervalSeconds': 2} and i['variables'] == '{"v":1}', i
o = c.test_state(definition=d, stateName='B', input='{"a": 1}')
assert o['status'] == 'SUCCEEDED' and o['output'] == '{"a": 1}' and 'inspectionData' not in o and 'nextState' not in o, o
refused('InvalidDefinition', c.test_state, definition='{}')

t = c.create_activity(name='a')['activityArn']
assert c.describe_activity(activityArn=t)['name'] == 'a'
assert len(c.list_activities()['activities']) == 1
w = c.create_state_machine(name='w', definition=json.dumps({'StartAt': 'T', 'States': {'T': {'Type': 'Task', 'Resource': t, 'End': True}}}), roleArn=role)['stateMachineArn']
for fail in (False, True):
    x = c.start_execution(stateMachineArn=w, input='{"job": 1}')['executionArn']
    k = c.get_activity_task(activityArn=t, workerName='w')
    assert json.loads(k['input']) == {'job': 1}, k
    c.send_task_heartbeat(taskToken=k['taskToken'])
    if fail:
        c.send_task_failure(taskToken=k['taskToken'], error='E', cause='C')
    else:
        c.send_task_success(taskToken=k['taskToken'], output='{"done": true}')
    refused('TaskTimedOut', c.send_task_success, taskToken=k['taskToken'], output='1')
    e = c.describe_execution(executionArn=x)
    assert e['status'] == ('FAILED' if fail else 'SUCCEEDED'), e
refused('InvalidToken', c.send_task_success, taskToken='x', output='1')
refused('InvalidOutput', c.send_task_success, taskToken='x', output='nope')
c.delete_activity(activityArn=t)
refused('ActivityDoesNotExist', c.get_activity_task, activityArn=t)
for f in (arn, s, w):
    c.delete_state_machine(stateMachineArn=f)
refused('StateMachineDoesNotExist', c.start_execution, stateMachineArn=arn)
print('ok')
`

func TestBoto3(t *testing.T) {
	python := installed.Boto3(t, "the check with a real client did not run")
	a := newAPI(t)
	server, err := awsapi.New(awsapi.Config{
		Directory: root{}, Gate: gate.New(nobodyReads{}, nil), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Ops: Ops(a.svc),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server)
	defer h.Close()
	file := filepath.Join(t.TempDir(), "calls.py")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, file, h.URL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
