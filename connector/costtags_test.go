package connector

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/gate"
	"tokaido/trail"
)

type noProfiles struct{}

func (noProfiles) Load(context.Context) iter.Seq2[bedrock.Entry, error] {
	return func(func(bedrock.Entry, error) bool) {}
}
func (noProfiles) Save(context.Context, ...bedrock.Change) error { return nil }

// A call through an application inference profile has the profile's tags in its
// record: by them its costs are counted.
func TestCostTags(t *testing.T) {
	apps, err := bedrock.OpenProfiles(t.Context(), noProfiles{}, catalog.Load())
	if err != nil {
		t.Fatal(err)
	}
	made := func(tags map[string]string) string {
		a, err := apps.Create(t.Context(), bedrock.NewApplication{Region: "ap-northeast-1", Account: account, Name: "p", CopyFrom: bedrock.ProfileARN("ap-northeast-1", account, jp45), Tags: tags}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return a.ARN()
	}
	log := &recorder{}
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For, Applications: apps})
	table := Table{}
	(&Bedrock{Inference: &Inference{Gate: gate.New(log, nil), Runtime: rt}, Roles: &roles{policy: allowAll}}).AddTo(table)
	for _, c := range []struct{ id, want string }{
		{made(map[string]string{"team": "poets", "centre": "7"}), `{"centre":"7","team":"poets"}`},
		{made(nil), ""},
		{jp45, ""},
	} {
		log.records = nil
		if _, err := table.Invoke(t.Context(), task("bedrock", "invokeModel", strings.Replace(claudeArgs, sonnet4, c.id, 1))); err != nil {
			t.Fatal(err)
		}
		r := log.records[len(log.records)-1]
		got := ""
		if v := r.Additional.Get("costTags"); !v.IsUndefined() {
			got = v.JSON()
		}
		if r.Phase != trail.Outcome || got != c.want || r.Request.Get("modelId").Str() != c.id {
			t.Errorf("%s: costTags %s, want %s", c.id, got, c.want)
		}
	}
}
