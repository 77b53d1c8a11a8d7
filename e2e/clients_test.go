package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// The story with the aws CLI, as the README shows it.
func TestAWSCLI(t *testing.T) {
	aws := awsCLI(t, "its part of the story did not run")
	s := start(t, story.Config)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + file
	}
	call := func(args ...string) string {
		t.Helper()
		out, err := tryCommand(s, aws, args...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(out)
	}
	account := call("sts", "get-caller-identity", "--query", "Account", "--output", "text")
	roleARN := call("iam", "create-role", "--role-name", "r", "--query", "Role.Arn", "--output", "text",
		"--assume-role-policy-document", write("trust.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`))
	if want := "arn:aws:iam::" + account + ":role/r"; roleARN != want {
		t.Fatalf("role is %s, want %s", roleARN, want)
	}
	put := func(resources ...string) {
		t.Helper()
		doc, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": map[string]any{"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": resources}})
		call("iam", "put-role-policy", "--role-name", "r", "--policy-name", "p", "--policy-document", write("policy.json", string(doc)))
	}
	put("arn:aws:bedrock:" + story.Region + "::foundation-model/" + story.Profile)
	machine := call("stepfunctions", "create-state-machine", "--name", "m", "--role-arn", roleARN, "--query", "stateMachineArn", "--output", "text",
		"--definition", write("ask.asl.json", `{"QueryLanguage":"JSONata","StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel",
"Arguments":{"ModelId":"`+story.Profile+`","Body":{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"{% $states.input.prompt %}"}]}]}},"End":true}}}`))
	run := func() (status, errorName, output string) {
		t.Helper()
		x := call("stepfunctions", "start-execution", "--state-machine-arn", machine, "--input", `{"prompt":"こんにちは"}`, "--query", "executionArn", "--output", "text")
		for {
			var d struct{ Status, Error, Output string }
			if err := json.Unmarshal([]byte(call("stepfunctions", "describe-execution", "--execution-arn", x)), &d); err != nil {
				t.Fatal(err)
			}
			if d.Status != "RUNNING" {
				return d.Status, d.Error, d.Output
			}
		}
	}
	if status, name, _ := run(); status != "FAILED" || name != "Bedrock.AccessDeniedException" {
		t.Fatalf("with the generated policy: %s %s", status, name)
	}
	put("arn:aws:bedrock:ap-*::foundation-model/"+story.Model, "arn:aws:bedrock:ap-*:"+account+":inference-profile/"+story.Profile)
	if status, name, output := run(); status != "SUCCEEDED" || !strings.Contains(output, `"model"`) {
		t.Fatalf("with the corrected policy: %s %s %s", status, name, output)
	}
	text := call("bedrock-runtime", "converse", "--model-id", story.Japan, "--messages", `[{"role":"user","content":[{"text":"hello"}]}]`, "--query", "output.message.content[0].text", "--output", "text")
	if text == "" {
		t.Error("converse answered nothing")
	}
	if out, err := tryCommand(s, aws, "bedrock-runtime", "converse", "--model-id", story.Newer, "--messages", `[{"role":"user","content":[{"text":"hello"}]}]`); err == nil || !strings.Contains(out, "with on-demand throughput isn’t supported") {
		t.Errorf("the bare id: %v %s", err, out)
	}
	regions := call("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=InvokeModel", "--query", "Events[].CloudTrailEvent", "--output", "json")
	var events []string
	if err := json.Unmarshal([]byte(regions), &events); err != nil || len(events) != 2 {
		t.Fatalf("lookup-events: %v %s", err, regions)
	}
	if !strings.Contains(events[0], `"inferenceRegion"`) || !strings.Contains(events[1], `"errorCode"`) {
		t.Errorf("newest first, the served and the refused call: %s", events)
	}
}

// tryCommand runs a client against the server and returns what it wrote.
func tryCommand(s *harness.Server, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = s.Environ(story.Region)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The story with boto3.
func TestBoto3(t *testing.T) {
	python := boto3(t, "its part of the story did not run")
	s := start(t, story.Config)
	out, err := tryCommand(s, python, filepath.Join("testdata", "story.py"))
	fmt.Print(out)
	if err != nil {
		t.Fatal(err)
	}
}
