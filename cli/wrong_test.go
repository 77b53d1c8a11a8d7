package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Every wrong use is refused with the status that the help promises, and says
// which word, with its value, is wrong.
func TestWrongUses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"TOKAIDO_LISTEN", "TOKAIDO_STORE", "TOKAIDO_ACCOUNT", "TOKAIDO_REGION", "TOKAIDO_DEV", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "") // put back at the end
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TOKAIDO_DATA_DIR", "data")
	for name, text := range map[string]string{
		"m.json":      `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`,
		"broken.json": `{"StartAt":`,
		"policy.json": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:ListStateMachines","Resource":"*"}]}`,
		"keys.yaml":   "listen: 127.0.0.1:0\nfoo: bar\nbedrock:\n  bar: 1\n",
		"types.yaml":  "limits:\n  events: many\n  duration: 5\ntracing: [x]\nmetrics: {from: {}, off: perhaps}\nlisten: {}\n",
		"values.yaml": "limits: {tags: -1, duration: -5m}\ntracing: {sampleRatio: 3}\nmetrics: {from: [x]}\nregion: mars\nlogFiles: {keep: -1}\n",
		"two.yaml":    "store: memory\n---\nstore: pebble\n",
		"twice.yaml":  "store: memory\nstore: pebble\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const machine = "policy generate m.json --region us-east-1 --account 111122223333 "
	for _, c := range []struct {
		line   string
		status int
		says   []string
	}{
		{"frobnicate", 2, []string{`unknown command "frobnicate" for "tokaido"`, "See 'tokaido --help'"}},
		{"serv", 2, []string{`unknown command "serv"`, `did you mean "serve"?`}},
		{"policy explian", 2, []string{`unknown command "explian" for "tokaido policy"`, `"explain"`}},
		{"serve x", 2, []string{`"x" is one argument too many`, "See 'tokaido serve --help'"}},
		{"serve --lisen x", 2, []string{"unknown flag: --lisen"}},
		{"serve --listen 4566", 1, []string{`listen: "4566" is not host:port`}},
		{"serve --dev --listen 0.0.0.0:0", 1, []string{"dev:", "loopback", `"0.0.0.0:0"`}},
		{"serve --store disk", 1, []string{`store: "disk"`, "pebble", "memory"}},
		{"serve --account 12", 1, []string{`account: "12" is not twelve digits`}},
		{"serve --config none.yaml", 1, []string{"none.yaml"}},
		{"serve --data-dir m.json", 1, []string{"dataDir: m.json is not a directory"}},

		{"config check --config keys.yaml", 1, []string{`keys.yaml: line 2: there is no key "foo"`, `keys.yaml: line 4: there is no key "bar"`}},
		{"config check --config types.yaml", 1, []string{
			`line 2: "many" is not a whole number`, `line 3: "5" is not a duration like 30s`, "line 4: a list is not a mapping", "line 5: a mapping is not a list",
			`line 5: "perhaps" is not true or false`, "line 6: a mapping is not a text"}},
		{"config check --config values.yaml", 1, []string{
			"limits.tags: -1 is negative", "limits.duration: -5m0s is negative", "tracing.sampleRatio: 3", `metrics.from: "x"`, `region: there is no Region "mars"`, "logFiles.keep: -1"}},
		{"config check --config two.yaml", 1, []string{"two.yaml: a second document"}},
		{"config check --config twice.yaml", 1, []string{`twice.yaml: line 2: mapping key "store" already defined at line 1`}},
		{"config check --config broken.json", 1, []string{"broken.json", "line 1"}},

		{"run", 2, []string{"FILE is missing", "See 'tokaido run --help'"}},
		{"run m.json m.json", 2, []string{`"m.json" is one argument too many`}},
		{"run none.json", 1, []string{"none.json"}},
		{"run broken.json", 1, []string{"InvalidDefinition"}},
		{"run m.json --input {", 1, []string{"--input: invalid JSON at offset 1"}},
		{"run m.json --input @none", 1, []string{"--input:", "none"}},
		{"run m.json --mock none", 1, []string{"--mock:", "none"}},
		{"run m.json --mock broken.json", 1, []string{"--mock: broken.json: invalid JSON"}},
		{"run m.json --case X", 2, []string{`--case is "X"`, "no --mock"}},
		{"run m.json --policy none", 1, []string{"--policy:", "none"}},
		{"run m.json --policy broken.json", 1, []string{"policy of the role", "MalformedPolicyDocument"}},
		{"run m.json --region mars", 2, []string{`--region: there is no Region "mars"`}},

		{"validate", 2, []string{"FILE… is missing"}},
		{"validate none", 1, []string{"none"}},
		{"validate broken.json", 1, []string{"INVALID_JSON_DESCRIPTION"}},
		{"validate m.json --format xml", 2, []string{`--format is "xml", want text, json or github`}},

		{"eval", 2, []string{"EXPR is missing"}},
		{"eval 1+", 1, []string{"S0207"}},
		{"eval 1 --var x", 2, []string{`--var is "x", want NAME=JSON`}},
		{"eval 1 --var x={", 1, []string{"--var x: invalid JSON"}},
		{"eval 1 --plain --result 1", 2, []string{"--result", "--plain"}},
		{"eval 1 --var states=1", 2, []string{"--var states is reserved"}},

		{"policy generate m.json", 2, []string{"--region is missing"}},
		{"policy generate m.json --region us-east-1", 2, []string{"--account is missing"}},
		{"policy generate m.json --region mars --account 111122223333", 1, []string{`Region "mars"`}},
		{machine + "--format x", 2, []string{`--format is "x", want json, terraform, cloudformation or cdk`}},
		{machine + "--lang fr", 2, []string{`--lang is "fr", want en or ja`}},
		{machine + "--resource r", 2, []string{`--resource is "r"`, "m.json is a definition"}},
		{machine + "--kms-key x", 1, []string{`KMS key ARN "x"`}},
		{machine + "--application x", 2, []string{`--application is "x", want ARN=ID`}},
		{machine + "--value x", 2, []string{`--value is "x", want STATE.FIELD=VALUE`}},
		{machine + "--value Q.F=1", 2, []string{`--value is "Q.F=1"`, "no state of that name"}},
		{machine + "--value P.F=1", 1, []string{"values of P.F", "no computed field"}},

		{"policy check policy.json --type x", 2, []string{`--type is "x", want identity, trust, resource, boundary, session, scp or rcp`}},
		{"policy check policy.json --format x", 2, []string{`--format is "x", want text, json, sarif or github`}},
		{"policy check policy.json --role r", 2, []string{"--role", "needs --for"}},
		{"policy check policy.json --logging", 2, []string{"--logging", "needs --for"}},
		{"policy check m.json", 1, []string{"m.json:1:1: neither a policy"}},
		{"policy explain", 2, []string{"--event is missing"}},
		{"policy explain nonsense", 2, []string{`"nonsense" holds no request id`}},
		{"policy explain x --event y", 2, []string{"exclude each other"}},
		{"policy explain --event m.json", 1, []string{"m.json: event 0"}},

		{"residency report --boundary mars", 2, []string{`--boundary: "mars"`}},
		{"residency report --by x", 2, []string{`--by: "x" is none of profile`}},
		{"residency report --since yesterday", 2, []string{`--since: "yesterday"`}},
		{"residency report --format x", 2, []string{`--format is "x", want text, json, csv or html`}},
		{"residency report none", 1, []string{"none"}},

		{"catalog list --region mars", 2, []string{`--region: there is no Region "mars"`}},
		{"catalog list --type x", 2, []string{`--type is "x", want on-demand or profile`}},
		{"catalog list --lifecycle x", 2, []string{`--lifecycle is "x", want active, legacy or gone`}},
		{"catalog list --provider x", 2, []string{`--provider: no model is of "x"`}},
		{"catalog show x", 1, []string{`no model or inference profile "x"`, "tokaido catalog list"}},
	} {
		t.Run(c.line, func(t *testing.T) {
			var out, errs bytes.Buffer
			got := Main(strings.Fields(c.line), strings.NewReader(""), &out, &errs)
			if got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
			text := out.String() + errs.String() // findings are answers
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in: %s", want, text)
				}
			}
			if strings.Contains(text, "server.") || strings.Contains(text, "arg(s)") {
				t.Errorf("speaks of our source or another's: %s", text)
			}
		})
	}
}

func TestVersionFlag(t *testing.T) {
	for _, word := range []string{"version", "--version"} {
		var out bytes.Buffer
		if status := Main([]string{word}, strings.NewReader(""), &out, &out); status != 0 || out.String() != "tokaido "+version+"\n" {
			t.Errorf("%s: %d %s", word, status, out.String())
		}
	}
}
