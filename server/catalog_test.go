package server

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What `tokaido catalog update` wrote is what the server knows.
func TestServesWhatWasSeen(t *testing.T) {
	dir := t.TempDir()
	text := `{"version":1,"regions":{"ap-northeast-1":{"modelsAt":"2026-11-22T12:00:00Z","models":[{"id":"acme.poet-v2:0","provider":"Acme","name":"Poet","status":"ACTIVE"}],
		"profilesAt":"2026-11-22T12:00:00Z","profiles":[{"id":"jp.acme.poet-v2:0","name":"JP Poet","model":"acme.poet-v2:0","to":["ap-northeast-1","ap-northeast-3"]}]}}}`
	if err := os.WriteFile(filepath.Join(dir, catalogFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{Listen: "127.0.0.1:0", Store: "memory", DataDir: dir, Bedrock: BedrockConfig{
		Profiles: []ProfileConfig{{ID: "centre.acme.poet-v2:0", Model: "acme.poet-v2:0", Routes: map[string][]string{"ap-northeast-1": {"ap-northeast-1"}}}},
	}}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	all, err := c.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"jp.acme.poet-v2:0", "centre.acme.poet-v2:0", "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"} {
		if p, ok := all.Profile(id); !ok || p.Destinations("ap-northeast-1") == nil {
			t.Errorf("%s is not known", id)
		}
	}
	s := serverOver(t, c)
	w := ask(t, s, "bedrock", "/model/jp.acme.poet-v2%3A0/converse", `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`)
	if w.Code != http.StatusBadRequest && w.Code != http.StatusOK || strings.Contains(w.Body.String(), "identifier is invalid") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOperatorsModelsAreChecked(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"model-id":    {`{bedrock: {models: [{id: "a b"}]}}`, `bedrock.models[0].id: "a b" is not a model's id`},
		"model-none":  {`{bedrock: {models: [{name: x}]}}`, `bedrock.models[0].id: is missing`},
		"model-taken": {`{bedrock: {models: [{id: amazon.nova-lite-v1:0}]}}`, `of that id already`},
		"twice":       {`{bedrock: {models: [{id: own.a}, {id: own.a}]}}`, `of that id already`},
		"modality":    {`{bedrock: {models: [{id: own.a, input: [text]}]}}`, `bedrock.models[0].input: "text" is not a modality`},
		"tokens":      {`{bedrock: {models: [{id: own.a, maxOutput: -1}]}}`, `bedrock.models[0].contextWindow: a number of tokens is negative`},
		"region":      {`{bedrock: {models: [{id: own.a, regions: [mars-1]}]}}`, `there is no Region "mars-1"`},
		"name":        {`{bedrock: {models: [{id: own.a, name: "a\nb"}]}}`, `bedrock.models[0].name:`},
		"profile-id":  {`{bedrock: {profiles: [{id: "own x", model: amazon.nova-lite-v1:0, routes: {us-east-1: [us-east-1]}}]}}`, `bedrock.profiles[0].id: "own x" is not a profile's id`},
		"taken":       {`{bedrock: {profiles: [{id: us.amazon.nova-lite-v1:0, model: amazon.nova-lite-v1:0, routes: {us-east-1: [us-east-1]}}]}}`, `of that id already`},
		"global":      {`{bedrock: {profiles: [{id: global.amazon.nova-lite-v1:0, model: amazon.nova-lite-v1:0, routes: {us-east-1: [us-east-1]}}]}}`, `begins with global.`},
		"from":        {`{bedrock: {profiles: [{id: own.amazon.nova-lite-v1:0, model: amazon.nova-lite-v1:0, routes: {mars-1: [us-east-1]}}]}}`, `there is no Region "mars-1"`},
		"to":          {`{bedrock: {profiles: [{id: own.amazon.nova-lite-v1:0, model: amazon.nova-lite-v1:0, routes: {us-east-1: [mars-1]}}]}}`, `there is no Region "mars-1"`},
		"to-nowhere":  {`{bedrock: {profiles: [{id: own.amazon.nova-lite-v1:0, model: amazon.nova-lite-v1:0, routes: {us-east-1: []}}]}}`, `no Regions`},
	} {
		if err := parse(t, c.text).Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
