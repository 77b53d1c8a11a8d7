package iam

import (
	"fmt"
	"strings"
	"testing"
	"tokaido/internal/golden"
)

// What is said of a refusal of which only the text is known.
func TestReading(t *testing.T) {
	const user = "User: arn:aws:sts::111122223333:assumed-role/BedrockWorkflow/run-1 is not authorized to perform: bedrock:InvokeModel on resource: "
	var text strings.Builder
	for _, c := range []struct {
		name, text string
		calls      []*CallShape
	}{
		{"profile", user + jpProfile + " because no identity-based policy allows the bedrock:InvokeModel action", []*CallShape{jp()}},
		{"osaka", user + "arn:aws:bedrock:ap-northeast-3::foundation-model/" + sonnet45 + " because no identity-based policy allows the bedrock:InvokeModel action", []*CallShape{jp(), global()}},
		{"scp", user + "arn:aws:bedrock:ap-northeast-3::foundation-model/" + sonnet45 + " with an explicit deny in a service control policy: arn:aws:organizations::999988887777:policy/o-x/service_control_policy/p-y", []*CallShape{jp()}},
		{"global", user + "arn:aws:bedrock:::foundation-model/" + sonnet45 + " because no permissions boundary allows the bedrock:InvokeModel action", []*CallShape{global()}},
		{"model", user + "arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-pro-v1:0", []*CallShape{bare()}},
		{"no-model", "User: arn:aws:iam::111122223333:user/u is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/*\" because no identity-based policy allows the s3:GetObject action", nil},
		{"deny", "User: arn:aws:iam::111122223333:user/u is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" with an explicit deny in an identity-based policy", nil},
		{"trust", "User: arn:aws:iam::111122223333:user/u is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/r because no role trust policy allows the sts:AssumeRole action", nil},
	} {
		x, ok := ParseMessage(c.text)
		if !ok {
			t.Fatalf("%s: not read", c.name)
		}
		r := Reading{Refusal: x, Calls: c.calls}
		fmt.Fprintf(&text, "== %s\n%s\n%s\n%s\n", c.name, r.Text("en"), r.Text("ja"), r.Value().Compact().JSON())
		// The policy that is offered allows the call where it is missing.
		if !x.Explicit && x.Layer != LayerTrust {
			p, err := Merge(r.Grants())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range EvaluateAll(&Policies{Identity: []Bound{{Policy: p}}}, x.By, r.Needs(), nil) {
				if !d.Allowed && d.Layer == LayerIdentity {
					t.Errorf("%s: %s", c.name, d.Message())
				}
			}
		}
	}
	if strings.Contains(text.String(), "%!") {
		t.Error("a hole in a text")
	}
	golden.Compare(t, text.String(), "reading.txt")
}
