package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokaido/asl"
	"tokaido/cli"
	"tokaido/iam"
	"tokaido/policygen"
)

// A definition runs with its generated policy, with every part decided as on
// AWS, and with any one statement less it does not.
func TestGeneratedPoliciesRun(t *testing.T) {
	const account = "111122223333"
	dir := t.TempDir()
	config := filepath.Join(dir, "tokaido.yaml")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config, "account: \""+account+"\"\ndataDir: "+filepath.Join(dir, "data")+"\n")
	for name, ids := range map[string][]string{
		"model": {"amazon.nova-lite-v1:0"}, "jp": {"jp.anthropic.claude-sonnet-4-5-20250929-v1:0"}, "apac": {"apac.anthropic.claude-sonnet-4-20250514-v1:0"},
		"global":  {"global.anthropic.claude-sonnet-4-5-20250929-v1:0"},
		"several": {"jp.anthropic.claude-sonnet-4-5-20250929-v1:0", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			var states []string
			for i, id := range ids {
				next := `"End":true`
				if i+1 < len(ids) {
					next = fmt.Sprintf(`"Next":"S%d"`, i+1)
				}
				states = append(states, fmt.Sprintf(`"S%d":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:bedrockruntime:converse","Arguments":{"ModelId":%q,"Messages":[{"Role":"user","Content":[{"Text":"hi"}]}]},%s}`, i, id, next))
			}
			definition := `{"QueryLanguage":"JSONata","StartAt":"S0","States":{` + strings.Join(states, ",") + `}}`
			file, policy := filepath.Join(dir, name+".asl.json"), filepath.Join(dir, name+".json")
			write(file, definition)
			p, _ := asl.Parse([]byte(definition))
			res, err := policygen.Generate(policygen.Machine{Program: p, Name: "Flow", Region: "ap-northeast-1", Account: account}, policygen.Options{})
			if err != nil {
				t.Fatal(err)
			}
			run := func(p *iam.Policy) (int, string) {
				write(policy, p.JSON())
				var out, info bytes.Buffer
				code := cli.Main([]string{"run", file, "--config", config, "--region", "ap-northeast-1", "--policy", policy}, strings.NewReader(""), &out, &info)
				return code, info.String()
			}
			if code, info := run(res.Policy); code != 0 {
				t.Fatalf("with\n%s\n%s", res.Policy.JSON(), info)
			}
			all := res.Policy.Statements()
			for i := range all {
				rest := slices.Delete(slices.Clone(all), i, i+1)
				if len(rest) == 0 {
					continue
				}
				p, err := iam.Document(iam.IdentityPolicy, rest...)
				if err != nil {
					t.Fatal(err)
				}
				if code, info := run(p); code != 1 || !strings.Contains(info, "AccessDenied") {
					t.Errorf("without statement %d: %d\n%s", i, code, info)
				}
			}
		})
	}
}
