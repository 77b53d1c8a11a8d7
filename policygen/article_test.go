package policygen

import (
	"fmt"
	"strings"
	"testing"

	"tokaido/asl"
	"tokaido/iam"
	"tokaido/internal/golden"
)

// The policies of the article: a workflow in Tokyo calls Claude Sonnet 4 through
// apac., and what people gave its role. What is said of each is kept word for
// word, in both languages, with what Fix makes of it.
func TestArticle(t *testing.T) {
	const (
		model   = "anthropic.claude-sonnet-4-20250514-v1:0"
		profile = "arn:aws:bedrock:ap-northeast-1:" + account + ":inference-profile/apac." + model
	)
	p, diagnostics := asl.Parse([]byte(`{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel","Parameters":{"ModelId":"apac.` + model + `","Body":{}},"End":true}}}`))
	if p == nil {
		t.Fatal(diagnostics)
	}
	res, err := Generate(Machine{Program: p, Name: "Ask", Region: "ap-northeast-1", Account: account}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	models := func(regions ...string) (out []string) {
		for _, r := range regions {
			out = append(out, "arn:aws:bedrock:"+r+"::foundation-model/"+model)
		}
		return out
	}
	eight := []string{"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-4"}
	for _, c := range []struct {
		name      string
		resources []string
		errors    int
	}{
		{"a-generated", nil, 0},
		{"b-by-the-console", []string{"arn:aws:bedrock:ap-northeast-1::foundation-model/apac." + model}, 3},
		{"c-profile-only", []string{profile}, 1},
		{"d-tokyo-only", append([]string{profile}, models("ap-northeast-1")...), 1},
		{"e-eight-regions", append([]string{profile}, models(eight...)...), 0},
		{"f-eight-regions-without-the-profile", models(eight...), 1},
		{"g-ap-wildcard", []string{"arn:aws:bedrock:ap-*::foundation-model/" + model, "arn:aws:bedrock:ap-*:*:inference-profile/apac." + model}, 0},
	} {
		policy := res.Policy
		if c.resources != nil {
			if policy, err = iam.Merge([]iam.Grant{{Name: "InvokeModel1", Actions: []string{"bedrock:InvokeModel"}, Resources: c.resources}}); err != nil {
				t.Fatal(err)
			}
		}
		bounds := []iam.Bound{{Policy: policy, Name: "InvokeModel"}}
		found := res.Judge(bounds, nil)
		errs := 0
		for _, f := range found {
			if f.Severity == iam.Error {
				errs++
			}
		}
		if errs != c.errors {
			t.Errorf("%s: %d errors, want %d", c.name, errs, c.errors)
		}
		fixed, whole := res.Fix(bounds)
		if !whole || len(fixed) != 1 {
			t.Errorf("%s: not repaired: %v, %d policies", c.name, whole, len(fixed))
		}
		for _, lang := range []string{"en", "ja"} {
			var b strings.Builder
			for _, f := range found {
				fmt.Fprintf(&b, "%s %s %s\n", f.Severity, f.ID, f.Where(lang))
				if f.Value != "" {
					fmt.Fprintf(&b, "    %s\n", f.Value)
				}
				fmt.Fprintf(&b, "  %s\n", f.Text(lang))
			}
			fmt.Fprintf(&b, "==\n%s", fixed[0].Policy.JSON())
			golden.Compare(t, b.String(), "article", c.name+"."+lang+".txt")
		}
	}
}
