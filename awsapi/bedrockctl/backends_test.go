package bedrockctl

import (
	"context"
	"net/url"
	"slices"
	"testing"

	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
)

// A client learns who would answer, in the Regions that a call may run in and in no other.
func TestTelling(t *testing.T) {
	rt := bedrock.New(bedrock.Config{})
	const id = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	var asked []string
	ops := Telling(Ops(rt), rt.Catalog(), func(_ context.Context, m *catalog.Model, regions []string) []Backend {
		if m.ID != id {
			t.Errorf("asked for %s", m.ID)
		}
		asked = regions
		return []Backend{{Region: "ap-northeast-1", Name: "lab", Type: "openai", Down: true}, {Region: "ap-northeast-3", Name: "simulated", Type: "simulated", Simulated: true}}
	})
	i := slices.IndexFunc(ops, func(o awsapi.Op) bool { return o.Name == "GetFoundationModelAvailability" })
	out, err := ops[i].Handle(t.Context(), &awsapi.Request{Op: &ops[i], Region: "ap-northeast-1", Path: map[string]string{"modelId": id}, Query: url.Values{}})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"region":"ap-northeast-1","name":"lab","type":"openai","simulated":false,"status":"NOT_AVAILABLE"},{"region":"ap-northeast-3","name":"simulated","type":"simulated","simulated":true,"status":"AVAILABLE"}]`
	if got := out.Body.Get("backends").JSON(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if !slices.Contains(asked, "ap-northeast-3") || !slices.IsSorted(asked) || len(slices.Compact(slices.Clone(asked))) != len(asked) {
		t.Errorf("asked about %q", asked)
	}
	if got := out.Body.Get("regionAvailability").Str(); got != "AVAILABLE" {
		t.Errorf("AWS's own members are gone: %s", out.Body)
	}
	if _, err := ops[i].Handle(t.Context(), &awsapi.Request{Op: &ops[i], Region: "ap-northeast-1", Path: map[string]string{"modelId": "no.such"}, Query: url.Values{}}); err == nil {
		t.Error("told of a model that there is not")
	}
}
