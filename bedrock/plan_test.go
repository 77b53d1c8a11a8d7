package bedrock

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/internal/conform"
)

const (
	account = "111122223333"
	sonnet4 = "apac.anthropic.claude-sonnet-4-20250514-v1:0"
	jp45    = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
	bare45  = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	lite    = "amazon.nova-lite-v1:0"

	sonnet35 = "anthropic.claude-3-5-sonnet-20240620-v1:0"
)

func planner() *Runtime {
	app := &Application{ID: "abcdefghij12", Region: "ap-northeast-1", Account: account, Copy: jp45, Tags: map[string]string{"team": "x"}}
	return New(Config{
		Backend:      func(string, *catalog.Model) Backend { return nil },
		Applications: &Profiles{catalog: catalog.Load(), all: map[string]*Application{app.key(): app}},
	})
}

func TestPlanForms(t *testing.T) {
	const invalid = "The provided model identifier is invalid."
	const tokyo = "ap-northeast-1"
	onDemand := "Invocation of model ID " + bare45 + " with on-demand throughput isn\u2019t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
	for _, c := range []struct {
		name, region, id string
		model, first     string // expected
		regions          int
		err              string
	}{
		{"profile", tokyo, sonnet4, "anthropic.claude-sonnet-4-20250514-v1:0", tokyo, 8, ""},
		{"profile-osaka", "ap-northeast-3", jp45, bare45, "ap-northeast-3", 2, ""},
		{"profile-arn", tokyo, "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + jp45, bare45, tokyo, 2, ""},
		{"global", tokyo, "global." + bare45, bare45, tokyo, 33, ""},
		{"not-a-destination", "us-east-2", "us." + sonnet35, sonnet35, "us-east-1", 2, ""},
		{"model", tokyo, lite, lite, tokyo, 1, ""},
		{"model-arn", tokyo, "arn:aws:bedrock:ap-northeast-1::foundation-model/" + lite, lite, tokyo, 1, ""},
		{"application", tokyo, "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/abcdefghij12", bare45, tokyo, 2, ""},
		{"gov", "us-gov-west-1", "arn:aws-us-gov:bedrock:us-gov-west-1:111122223333:inference-profile/us-gov." + bare45, bare45, "us-gov-west-1", -1, ""},

		{"bare", tokyo, bare45, "", "", 0, onDemand},
		{"bare-arn", tokyo, "arn:aws:bedrock:ap-northeast-1::foundation-model/" + bare45, "", "", 0, onDemand},
		{"empty", tokyo, "", "", "", 0, invalid},
		{"unknown", tokyo, "anthropic.claude-99", "", "", 0, invalid},
		{"other-geography", tokyo, "us.anthropic.claude-sonnet-4-20250514-v1:0", "", "", 0, invalid},
		{"seoul-has-no-jp", "ap-northeast-2", jp45, "", "", 0, invalid},
		{"not-here-at-all", tokyo, "ai21.jamba-1-5-large-v1:0", "", "", 0, invalid},
		{"article-arn", tokyo, "arn:aws:bedrock:ap-northeast-1::foundation-model/" + sonnet4, "", "", 0, invalid},
		{"other-account", tokyo, "arn:aws:bedrock:ap-northeast-1:999999999999:inference-profile/" + jp45, "", "", 0, invalid},
		{"other-region", tokyo, "arn:aws:bedrock:ap-northeast-3:111122223333:inference-profile/" + jp45, "", "", 0, invalid},
		{"model-as-profile", tokyo, "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + lite, "", "", 0, invalid},
		{"no-account", tokyo, "arn:aws:bedrock:ap-northeast-1::inference-profile/" + jp45, "", "", 0, invalid},
		{"unknown-application", tokyo, "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/zzzzzzzzzzzz", "", "", 0, invalid},
		{"other-service", tokyo, "arn:aws:s3:ap-northeast-1:111122223333:inference-profile/" + jp45, "", "", 0, invalid},
		{"provisioned", tokyo, "arn:aws:bedrock:ap-northeast-1:111122223333:provisioned-model/abcdefghij12", "", "", 0, "not supported by this server"},
		{"endpoint", tokyo, "arn:aws:sagemaker:ap-northeast-1:111122223333:endpoint/x", "", "", 0, "not supported by this server"},
		{"long", tokyo, strings.Repeat("x", 2049), "", "", 0, invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := planner().Plan(c.region, account, c.id)
			if c.err != "" {
				if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.ModelID != c.model || p.Regions[0] != c.first || c.regions >= 0 && len(p.Regions) != c.regions || p.Requested != c.id {
				t.Errorf("model %s, Regions %v", p.ModelID, p.Regions)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	rt := planner()
	lines := func(p *Plan, action string) (out []string) {
		for _, n := range p.Needs(action) {
			var s strings.Builder
			s.WriteString(n.Action + " " + n.Resource)
			for _, a := range n.Context {
				s.WriteString(" " + a.Key + "=" + strings.Join(a.Values, "|"))
			}
			out = append(out, s.String())
		}
		return out
	}
	check := func(id, action string, want ...string) {
		t.Helper()
		p, err := rt.Plan("ap-northeast-1", account, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(p, action); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", id, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	const via = " bedrock:InferenceProfileArn=arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/"
	check(jp45, ActionInvoke,
		"bedrock:InvokeModel arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/"+jp45+" aws:RequestedRegion=ap-northeast-1",
		"bedrock:InvokeModel arn:aws:bedrock:ap-northeast-1::foundation-model/"+bare45+" aws:RequestedRegion=ap-northeast-1"+via+jp45,
		"bedrock:InvokeModel arn:aws:bedrock:ap-northeast-3::foundation-model/"+bare45+" aws:RequestedRegion=ap-northeast-3"+via+jp45)
	check("global."+bare45, ActionStream,
		"bedrock:InvokeModelWithResponseStream arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/global."+bare45+" aws:RequestedRegion=ap-northeast-1",
		"bedrock:InvokeModelWithResponseStream arn:aws:bedrock:ap-northeast-1::foundation-model/"+bare45+" aws:RequestedRegion=ap-northeast-1"+via+"global."+bare45,
		"bedrock:InvokeModelWithResponseStream arn:aws:bedrock:::foundation-model/"+bare45+" aws:RequestedRegion=unspecified"+via+"global."+bare45)
	check(lite, ActionInvoke, "bedrock:InvokeModel arn:aws:bedrock:ap-northeast-1::foundation-model/"+lite+" aws:RequestedRegion=ap-northeast-1")
	check(jp45, ActionCount,
		"bedrock:CountTokens arn:aws:bedrock:ap-northeast-1::foundation-model/"+bare45+" aws:RequestedRegion=ap-northeast-1"+via+jp45,
		"bedrock:CountTokens arn:aws:bedrock:ap-northeast-3::foundation-model/"+bare45+" aws:RequestedRegion=ap-northeast-3"+via+jp45)
	const app = "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/abcdefghij12"
	check(app, ActionInvoke,
		"bedrock:InvokeModel "+app+" aws:RequestedRegion=ap-northeast-1 aws:ResourceTag/team=x",
		"bedrock:InvokeModel arn:aws:bedrock:ap-northeast-1::foundation-model/"+bare45+" aws:RequestedRegion=ap-northeast-1 bedrock:InferenceProfileArn="+app,
		"bedrock:InvokeModel arn:aws:bedrock:ap-northeast-3::foundation-model/"+bare45+" aws:RequestedRegion=ap-northeast-3 bedrock:InferenceProfileArn="+app)
	p, _ := rt.Plan("ap-northeast-1", account, sonnet4)
	if n := len(p.Needs(ActionInvoke)); n != 9 {
		t.Errorf("apac. Sonnet 4 in Tokyo needs %d parts, want 9", n)
	}
	other, _ := rt.Plan("ap-northeast-1", "222222222222", jp45)
	if got := other.Needs(ActionInvoke)[0].Resource; got != ProfileARN("ap-northeast-1", "222222222222", jp45) {
		t.Errorf("another account's part: %s", got)
	}
	// The source Region is authorized also where it is no destination.
	p, err := rt.Plan("us-east-2", account, "us."+sonnet35)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(p.Regions, "us-east-2") {
		t.Error("Ohio is no destination of this profile")
	}
	if got := p.Needs(ActionInvoke); len(got) != 4 || got[1].Resource != "arn:aws:bedrock:us-east-2::foundation-model/"+sonnet35 {
		t.Errorf("parts: %v", got)
	}
}

func FuzzPlan(f *testing.F) {
	for _, id := range []string{sonnet4, bare45, lite, "global." + bare45, "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + jp45,
		"arn:aws:bedrock:ap-northeast-1::foundation-model/" + lite, "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/abcdefghij12", "arn:aws:sagemaker:x:y:endpoint/z", "arn:", "arn:::::"} {
		f.Add("ap-northeast-1", id)
	}
	rt := planner()
	f.Fuzz(func(t *testing.T, region, id string) {
		p, err := rt.Plan(region, account, id)
		if err != nil {
			if fault.Code(err) != "ValidationException" {
				t.Errorf("%v", err)
			}
			return
		}
		if _, ok := rt.Catalog().Region(region); !ok || len(p.Regions) == 0 || len(p.Needs(ActionInvoke)) == 0 {
			t.Errorf("a plan in %q for %q", region, id)
		}
		if p.Profile != nil {
			for _, r := range p.Regions {
				if !slices.Contains(p.Profile.Destinations(region), r) {
					t.Errorf("%s is no destination of %s", r, p.Profile.ID)
				}
			}
		}
	})
}

// The parts of every call in the IAM vectors are those that a Plan lists.
func TestConformanceBedrockCall(t *testing.T) {
	dir := conform.Dir(t, "iam")
	b, err := os.ReadFile(filepath.Join(dir, "bedrockcall.json"))
	if err != nil {
		t.Skip("the parts of calls were not compared with those of the IAM vectors: ", err)
	}
	var cases []struct {
		ID         string
		Confidence string
		Request    struct {
			API     string `json:"api"`
			Region  string
			ModelID string `json:"modelId"`
			Account string
		}
		Authorizations []struct {
			Action, Resource string
			Context          map[string]any
		}
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	var pass, fail, skip int
	rt := planner()
	for _, c := range cases {
		p, err := rt.Plan(c.Request.Region, c.Request.Account, c.Request.ModelID)
		if err != nil {
			t.Logf("%s: %s in %s: %v", c.ID, c.Request.ModelID, c.Request.Region, err)
			skip++
			continue
		}
		action := ActionInvoke
		if strings.HasSuffix(c.Request.API, "Stream") {
			action = ActionStream
		}
		needs, ok := p.Needs(action), true
		if ok = len(needs) == len(c.Authorizations); ok {
			for _, w := range c.Authorizations {
				ok = ok && slices.ContainsFunc(needs, func(n iam.Authorization) bool {
					if n.Action != w.Action || n.Resource != w.Resource {
						return false
					}
					for _, a := range n.Context {
						if w.Context[a.Key] != a.Values[0] {
							return false
						}
					}
					return true
				})
			}
		}
		if ok {
			pass++
			continue
		}
		fail++
		t.Errorf("%s: %s in %s needs %v, want %v", c.ID, c.Request.ModelID, c.Request.Region, needs, c.Authorizations)
	}
	t.Logf("bedrockcall parts: %d passed, %d failed, %d skipped", pass, fail, skip)
}

// A shape names the Regions of its partition: what a wildcard covers besides.
func TestShapeNamesRegions(t *testing.T) {
	for region, want := range map[string]string{"ap-northeast-1": "ap-east-2", "us-gov-west-1": "us-gov-east-1"} {
		id := jp45
		if region == "us-gov-west-1" {
			id = "us-gov." + bare45
		}
		p, err := planner().Plan(region, account, id)
		if err != nil {
			t.Fatal(err)
		}
		rs := p.Shape().Regions
		if !slices.IsSorted(rs) || !slices.Contains(rs, want) || slices.Contains(rs, "us-gov-west-1") != (region == "us-gov-west-1") {
			t.Errorf("%s: %v", region, rs)
		}
	}
}
