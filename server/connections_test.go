package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/policygen"
)

// A machine whose role has the policy that is generated for it calls an API
// through a connection of the configuration, and not without that policy.
func TestConnection(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "between us" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"path":%q,"got":%s}`, r.URL.Path, b)
	}))
	t.Cleanup(api.Close)
	t.Setenv("TEST_API_KEY", "between us")
	c := parse(t, fmt.Sprintf("store: memory\naccount: %q\nconnections:\n  billing: {endpoints: [%q], auth: apiKey, header: X-Api-Key, secretEnv: TEST_API_KEY}\n", testAccount, api.URL+"/v1"))
	c.DataDir = t.TempDir()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if text, err := c.YAML(); err != nil || strings.Contains(string(text), "between us") {
		t.Errorf("printed %s, %v", text, err)
	}
	s := newServer(t, *c, slog.DiscardHandler)
	definition := fmt.Sprintf(`{"QueryLanguage":"JSONata","StartAt":"Call","States":{"Call":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Arguments":{
		"ApiEndpoint":%q,"Method":"POST","Authentication":{"ConnectionArn":"arn:aws:events:us-east-1:%s:connection/billing/1"},"RequestBody":{"n":"{%% $states.input.n %%}"}},
		"Output":"{%% $states.result.ResponseBody %%}","End":true}}}`, api.URL+"/v1/orders", testAccount)
	program, diagnostics := asl.Parse([]byte(definition))
	if program == nil {
		t.Fatal(diagnostics)
	}
	least, err := policygen.Generate(policygen.Machine{Program: program, Name: "m", Region: "us-east-1", Account: testAccount}, policygen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run := func(name, policy string) flow.Outcome {
		t.Helper()
		m, err := s.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{
			Scope: flow.Scope{Region: "us-east-1", Account: testAccount}, Name: name, RoleARN: s.testingOnlyRole(t, name, statesTrust, policy), Definition: definition})
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.machines.StartExecution(t.Context(), flow.StartExecution{ARN: m.ARN, Input: new(`{"n":1}`)})
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.machines.Await(t.Context(), x.ARN)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := run("m", least.Policy.JSON()); o.Status != engine.Succeeded || o.Output.Compact().JSON() != `{"path":"/v1/orders","got":{"n":1}}` {
		t.Errorf("%s %s %v %v", o.Status, o.Output, o.Error, o.Cause)
	}
	// The machine that the policy was made for has another name.
	if o := run("other", least.Policy.JSON()); o.Status != engine.Failed || !strings.Contains(*o.Cause, "states:InvokeHTTPEndpoint") {
		t.Errorf("%s %s", o.Status, o.Output)
	}
}

func TestConnectionConfig(t *testing.T) {
	const good = `endpoints: ["https://api.example/v1"], auth: basic, username: u, secretEnv: X`
	for _, c := range []struct{ name, text, says string }{
		{"none", `{auth: basic, username: u, secretEnv: X}`, "connections.x.endpoints: there are none"},
		{"query", `{endpoints: ["https://a/?b"], auth: basic, username: u, secretEnv: X}`, "has a query"},
		{"url", `{endpoints: ["ftp://a"], auth: basic, username: u, secretEnv: X}`, `connections.x.endpoints: "ftp://a"`},
		{"auth", `{endpoints: ["https://a"], auth: digest, secretEnv: X}`, `connections.x.auth: "digest"`},
		{"user", `{endpoints: ["https://a"], auth: basic, secretEnv: X}`, "connections.x.username: basic needs it"},
		{"other", `{` + good + `, header: H}`, "connections.x.header: basic does not know it"},
		{"token", `{` + good + `, token: {scope: a}}`, "connections.x.token: basic does not know it"},
		{"header", `{endpoints: ["https://a"], auth: apiKey, header: "a b", secretEnv: X}`, `connections.x.header: "a b"`},
		{"endpoint", `{endpoints: ["https://a"], auth: oauth, tokenEndpoint: a, clientId: c, secretEnv: X}`, "connections.x.tokenEndpoint"},
		{"secret", `{endpoints: ["https://a"], auth: basic, username: u}`, "connections.x.secretEnv"},
		{"two", `{` + good + `, secretFile: f}`, "connections.x.secretEnv"},
		{"host", `{` + good + `, headers: {hOST: c}}`, `connections.x.headers: "hOST"`},
		{"added", `{` + good + `, headers: {"a b": c}}`, `connections.x.headers: "a b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := parse(t, "connections:\n  x: "+c.text+"\n")
			if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %s", err, c.says)
			}
		})
	}
	cfg := parse(t, "connections:\n  x: {"+good+"}\n  \"a/b\": {"+good+"}\n")
	if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), `"a/b"`) || strings.Contains(err.Error(), "connections.x") {
		t.Errorf("%v", err)
	}
	cfg = parse(t, "connections:\n  x: {"+strings.Replace(good, "secretEnv: X", "secretEnv: TOKAIDO_TEST_NOT_SET", 1)+"}\n")
	if _, err := cfg.connections(); err == nil || !strings.Contains(err.Error(), "TOKAIDO_TEST_NOT_SET") {
		t.Errorf("a variable that is not set: %v", err)
	}
	cfg = parse(t, "connections:\n  x: {endpoints: [\"https://a\"], auth: oauth, tokenEndpoint: \"https://t/token\", clientId: c, token: {scope: s}, secretEnv: PATH, body: {k: v}}\n")
	all, err := cfg.connections()
	if err := cfg.Check(); err != nil {
		t.Error(err)
	}
	if err != nil || all["x"].Auth == nil || all["x"].Body.JSON() != `{"k":"v"}` {
		t.Errorf("%+v, %v", all["x"], err)
	}
}
