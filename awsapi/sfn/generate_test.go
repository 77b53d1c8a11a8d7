package sfn

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/iam"
)

const asksModel = `{"QueryLanguage":"JSONata","StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel",
	"Arguments":{"ModelId":"us.anthropic.claude-sonnet-4-5-20250929-v1:0","Body":{}},"End":true}}}`

func TestGenerateStateMachineRolePolicy(t *testing.T) {
	a := newAPI(t)
	got, err := a.call("GenerateStateMachineRolePolicy", map[string]any{"definition": asksModel, "name": "ask"})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.needs) != 1 || a.needs[0].Action != "states:GenerateStateMachineRolePolicy" || a.needs[0].Resource != "*" {
		t.Errorf("needs %+v", a.needs)
	}
	if got["roleName"] != "StepFunctions-ask" {
		t.Errorf("roleName is %v", got["roleName"])
	}
	policy, _ := got["policy"].(string)
	if _, err := iam.Parse(iam.IdentityPolicy, []byte(policy)); err != nil {
		t.Errorf("policy %s: %v", policy, err)
	}
	for _, want := range []string{"inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy lacks %s: %s", want, policy)
		}
	}
	trust, _ := got["trustPolicy"].(string)
	if _, err := iam.Parse(iam.TrustPolicy, []byte(trust)); err != nil || !strings.Contains(trust, ":stateMachine:ask") {
		t.Errorf("trust policy %s: %v", trust, err)
	}
	if _, ok := got["findings"].([]any); !ok {
		t.Errorf("findings are %v", got["findings"])
	}

	t.Run("logging is part of it", func(t *testing.T) {
		got, err := a.call("GenerateStateMachineRolePolicy", map[string]any{
			"definition": `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`, "name": "quiet", "loggingConfiguration": map[string]any{"level": "ALL"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if policy, _ := got["policy"].(string); !strings.Contains(policy, "logs:CreateLogDelivery") {
			t.Errorf("policy is %s", policy)
		}
	})
	t.Run("what needs nothing has no policy", func(t *testing.T) {
		got, err := a.call("GenerateStateMachineRolePolicy", map[string]any{"definition": `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`, "name": "quiet"})
		if err != nil || got["policy"] != nil || got["trustPolicy"] == nil {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("findings are in the language that is asked for", func(t *testing.T) {
		def := strings.Replace(asksModel, `"us.anthropic.claude-sonnet-4-5-20250929-v1:0"`, `"{% $states.input.model %}"`, 1)
		said := map[string]string{}
		for _, lang := range []string{"en", "ja"} {
			got, err := a.call("GenerateStateMachineRolePolicy", map[string]any{"definition": def, "name": "x", "language": lang})
			if err != nil {
				t.Fatal(err)
			}
			b, _ := json.Marshal(got["findings"])
			said[lang] = string(b)
		}
		if !strings.Contains(said["en"], "PG05") || !strings.Contains(said["ja"], "モデル") || said["en"] == said["ja"] {
			t.Errorf("findings are %v", said)
		}
	})
	for name, c := range map[string]struct {
		in   map[string]any
		code string
	}{
		"invalid":  {map[string]any{"definition": `{"StartAt":"A","States":{}}`, "name": "x"}, "InvalidDefinition"},
		"language": {map[string]any{"definition": asksModel, "name": "x", "language": "fr"}, "ValidationException"},
		"missing":  {map[string]any{"definition": asksModel}, "ValidationException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.call("GenerateStateMachineRolePolicy", c.in)
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}
