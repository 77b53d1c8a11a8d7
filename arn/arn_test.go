package arn_test

import (
	"testing"

	"tokaido/arn"
)

func TestParse(t *testing.T) {
	const s = "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/apac.anthropic.claude-sonnet-4-20250514-v1:0"
	a, err := arn.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	want := arn.ARN{Partition: "aws", Service: "bedrock", Region: "ap-northeast-1", Account: "111122223333", Resource: "inference-profile/apac.anthropic.claude-sonnet-4-20250514-v1:0"}
	if a != want || a.String() != s {
		t.Errorf("parsed %#v", a)
	}
	if kind, rest := a.Split(); kind != "inference-profile" || rest != "apac.anthropic.claude-sonnet-4-20250514-v1:0" {
		t.Errorf("split %q %q", kind, rest)
	}
	for _, bad := range []string{"", "arn:aws:iam::1", "arn:aws:iam::1:", "x:aws:iam:::role/a", "arn::iam:::a", "arn:aws::::a"} {
		if arn.Is(bad) {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestPartitions(t *testing.T) {
	for region, want := range map[string]string{"": "aws", "ap-northeast-3": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		if got := arn.New("states", region, "1", "stateMachine:a").Partition; got != want {
			t.Errorf("%s is in %s, want %s", region, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:states:ap-northeast-1:111122223333:execution:a:b")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := arn.Parse(s); err == nil && a.String() != s {
			t.Errorf("%q prints as %q", s, a)
		}
	})
}
