package cli_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokaido/cli"
)

// What SARIF 2.1.0 requires is there, also where nothing is found and where a
// file's name needs escapes.
func TestSARIF(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	bad := write("a role#1.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:Converse","Resource":"arn:aws:bedrock:ap-northeast-1::foundation-model/jp.anthropic.claude-sonnet-4-5-20250929-v1:0"}]}`)
	good := write("good.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0"}]}`)
	for _, c := range []struct {
		file    string
		code    int
		results int
	}{{bad, 1, 2}, {good, 0, 0}} {
		var out, info bytes.Buffer
		if code := cli.Main([]string{"policy", "check", c.file, "--format", "sarif"}, strings.NewReader(""), &out, &info); code != c.code {
			t.Fatalf("%s: %d %s", c.file, code, info.String())
		}
		var log struct {
			Schema  string `json:"$schema"`
			Version string
			Runs    []struct {
				Tool struct {
					Driver struct {
						Name  string
						Rules []struct {
							ID                   string
							ShortDescription     struct{ Text string }
							DefaultConfiguration struct{ Level string }
						}
					}
				}
				Results []struct {
					RuleID    string
					Level     string
					Message   struct{ Text string }
					Locations []struct {
						PhysicalLocation struct {
							ArtifactLocation struct{ URI string }
							Region           struct{ StartLine, StartColumn int }
						}
					}
				}
			}
		}
		if err := json.Unmarshal(out.Bytes(), &log); err != nil {
			t.Fatal(err)
		}
		if log.Version != "2.1.0" || log.Schema == "" || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name == "" {
			t.Fatalf("%+v", log)
		}
		if !strings.Contains(out.String(), `"results": [`) {
			t.Error("results is no list")
		}
		run := log.Runs[0]
		levels := []string{"none", "note", "warning", "error"}
		seen := map[string]bool{}
		for _, r := range run.Tool.Driver.Rules {
			if r.ID == "" || seen[r.ID] || r.ShortDescription.Text == "" || !slices.Contains(levels, r.DefaultConfiguration.Level) {
				t.Errorf("rule %+v", r)
			}
			seen[r.ID] = true
		}
		if len(seen) < 38 {
			t.Errorf("%d rules", len(seen))
		}
		if len(run.Results) != c.results {
			t.Errorf("%s: %d results, want %d: %s", c.file, len(run.Results), c.results, out.String())
		}
		for _, r := range run.Results {
			if !seen[r.RuleID] || !slices.Contains(levels, r.Level) || r.Message.Text == "" || len(r.Locations) != 1 {
				t.Fatalf("%+v", r)
			}
			p := r.Locations[0].PhysicalLocation
			u, err := url.Parse(p.ArtifactLocation.URI)
			if err != nil || u.Path != filepath.ToSlash(c.file) || u.Fragment != "" || strings.Contains(p.ArtifactLocation.URI, " ") || p.Region.StartLine < 1 || p.Region.StartColumn < 1 {
				t.Errorf("%+v, %v", p, err)
			}
		}
	}
}
