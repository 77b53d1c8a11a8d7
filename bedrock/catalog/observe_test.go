package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// As the aws CLI writes them: epoch seconds never, offsets in times.
const tokyoModels = `{
 "modelSummaries": [
  {"modelArn": "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0", "modelId": "anthropic.claude-sonnet-4-20250514-v1:0",
   "modelName": "Claude Sonnet 4", "providerName": "Anthropic", "inputModalities": ["TEXT", "IMAGE"], "outputModalities": ["TEXT"], "responseStreamingSupported": true,
   "customizationsSupported": [], "inferenceTypesSupported": ["INFERENCE_PROFILE"],
   "modelLifecycle": {"status": "LEGACY", "startOfLifeTime": "2025-05-22T00:00:00+00:00", "endOfLifeTime": "2026-10-14T00:00:00Z", "legacyTime": "2026-04-14T00:00:00Z"}},
  {"modelArn": "arn:aws:bedrock:ap-northeast-1::foundation-model/acme.poet-v2:0", "modelId": "acme.poet-v2:0", "modelName": "Poet 2", "providerName": "Acme",
   "inputModalities": ["TEXT"], "outputModalities": ["TEXT"], "responseStreamingSupported": null, "customizationsSupported": ["FINE_TUNING"],
   "inferenceTypesSupported": ["ON_DEMAND"], "modelLifecycle": {"status": "ACTIVE", "startOfLifeTime": 1764547200}},
  {"modelArn": "arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.titan-text-express-v1:0:8k", "modelId": "amazon.titan-text-express-v1:0:8k", "modelName": "Titan",
   "providerName": "Amazon", "inferenceTypesSupported": ["PROVISIONED"], "modelLifecycle": {"status": "ACTIVE"}, "somethingNew": 1}
 ]}
`

const tokyoProfiles = `{
 "inferenceProfileSummaries": [
  {"inferenceProfileName": "JP Poet", "description": "Routes requests to Poet in ap-northeast-1 and ap-northeast-3.", "createdAt": "2025-09-29T00:00:00+00:00",
   "inferenceProfileArn": "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/jp.acme.poet-v2:0",
   "models": [{"modelArn": "arn:aws:bedrock:ap-northeast-3::foundation-model/acme.poet-v2:0"}, {"modelArn": "arn:aws:bedrock:ap-northeast-1::foundation-model/acme.poet-v2:0"}],
   "inferenceProfileId": "jp.acme.poet-v2:0", "status": "ACTIVE", "type": "SYSTEM_DEFINED"},
  {"inferenceProfileName": "GLOBAL Poet", "inferenceProfileArn": "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/global.acme.poet-v2:0",
   "models": [{"modelArn": "arn:aws:bedrock:::foundation-model/acme.poet-v2:0"}, {"modelArn": "arn:aws:bedrock:ap-northeast-1::foundation-model/acme.poet-v2:0"}],
   "inferenceProfileId": "global.acme.poet-v2:0", "status": "ACTIVE", "type": "SYSTEM_DEFINED"},
  {"inferenceProfileName": "mine", "inferenceProfileArn": "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/abcdefghij01",
   "models": [], "inferenceProfileId": "abcdefghij01", "status": "ACTIVE", "type": "APPLICATION"}
 ]}
`

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func seen(t *testing.T, docs ...string) *Seen {
	t.Helper()
	s := NewSeen()
	for _, d := range docs {
		if _, err := s.Add("", []byte(d), noon); err != nil {
			t.Fatal(err)
		}
	}
	b, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSeen(b)
	if err != nil {
		t.Fatalf("what was written cannot be read: %v\n%s", err, b)
	}
	if b2, _ := again.JSON(); string(b2) != string(b) {
		t.Errorf("printed again:\n%s\nwas\n%s", b2, b)
	}
	return again
}

func TestAdd(t *testing.T) {
	s := NewSeen()
	notes, err := s.Add("", []byte(tokyoModels+tokyoProfiles), noon)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"modelSummaries[].somethingNew is not read",
		"amazon.titan-text-express-v1:0:8k is left out: it is for provisioned throughput only",
		"abcdefghij01 is left out: it is an application inference profile",
	}
	if !slices.Equal(notes, want) {
		t.Errorf("notes: %q", notes)
	}
	v := s.Regions["ap-northeast-1"]
	if v == nil || len(s.Regions) != 1 || len(v.Models) != 2 || len(v.Profiles) != 2 || v.ModelsAt != "2026-11-22T12:00:00Z" || v.ProfilesAt != v.ModelsAt {
		t.Fatalf("%+v", v)
	}
	if m := v.Models[0]; m.ID != "acme.poet-v2:0" || !m.OnDemand || m.Streaming || m.Launch != "2025-12-01" || m.Status != "ACTIVE" || !slices.Equal(m.Customizations, []string{"FINE_TUNING"}) {
		t.Errorf("%+v", m)
	}
	if m := v.Models[1]; m.OnDemand || !m.Streaming || m.EndOfLife != "2026-10-14" || m.Status != "LEGACY" {
		t.Errorf("%+v", m)
	}
	if p := v.Profiles[0]; p.ID != "global.acme.poet-v2:0" || p.To != nil || p.Model != "acme.poet-v2:0" {
		t.Errorf("%+v", p)
	}
	if p := v.Profiles[1]; !slices.Equal(p.To, []string{"ap-northeast-1", "ap-northeast-3"}) {
		t.Errorf("%+v", p)
	}
}

// Pages follow one another; half a list is none.
func TestAddPages(t *testing.T) {
	page := func(id, token string) string {
		return `{"inferenceProfileSummaries":[{"inferenceProfileArn":"arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.` + id + `","inferenceProfileId":"us.` + id +
			`","models":[{"modelArn":"arn:aws:bedrock:us-east-1::foundation-model/` + id + `"}],"status":"ACTIVE","type":"SYSTEM_DEFINED"}]` + token + `}`
	}
	s := NewSeen()
	if _, err := s.Add("us-east-1", []byte(page("a.b", `,"nextToken":"x"`)+page("a.c", "")), noon); err != nil || len(s.Regions["us-east-1"].Profiles) != 2 {
		t.Errorf("%v, %+v", err, s.Regions["us-east-1"])
	}
	for name, text := range map[string]string{
		"first-only": page("a.b", `,"nextToken":"x"`),
		"cli":        page("a.b", `,"NextToken":"x"`),
		"other-kind": page("a.b", `,"nextToken":"x"`) + tokyoModels,
	} {
		if _, err := NewSeen().Add("", []byte(text), noon); err == nil || !strings.Contains(err.Error(), "only a part") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A Region that was asked may have nothing.
	if _, err := s.Add("me-south-1", []byte(`{"modelSummaries":[]}`), noon); err != nil || s.Regions["me-south-1"].ModelsAt == "" {
		t.Errorf("%v", err)
	}
}

func TestAddRefuses(t *testing.T) {
	swap := func(text, old, with string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%s is not there", old)
		}
		return strings.ReplaceAll(text, old, with)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", "is empty"},
		"no-json":      {"hello", "is no JSON"},
		"other":        {`{"Roles": []}`, "an answer of neither"},
		"both":         {`{"modelSummaries": [], "inferenceProfileSummaries": []}`, "an answer of neither"},
		"nobody":       {`{"modelSummaries": []}`, "which Region it is of cannot be told"},
		"arn":          {swap(tokyoModels, "arn:aws:bedrock:ap-northeast-1::foundation-model/acme", "acme"), `modelSummaries[1].modelArn: "acme.poet-v2:0" is no ARN of Bedrock`},
		"kind":         {swap(tokyoModels, "foundation-model/acme", "custom-model/acme"), "is not the ARN of a foundation-model"},
		"partition":    {swap(tokyoModels, "arn:aws:bedrock", "arn:aws-cn:bedrock"), "has another partition than its Region"},
		"two-regions":  {swap(tokyoModels, "ap-northeast-1::foundation-model/acme", "ap-northeast-3::foundation-model/acme"), "is in another Region than what stands before it"},
		"id":           {swap(tokyoModels, `"modelId": "acme.poet-v2:0"`, `"modelId": "acme.poet-v3:0"`), `modelSummaries[1].modelId: "acme.poet-v3:0" is not the id in modelArn`},
		"type":         {swap(tokyoModels, `"ON_DEMAND"`, `"FREE"`), `inferenceTypesSupported: "FREE" is none of`},
		"status":       {swap(tokyoModels, `"status": "LEGACY"`, `"status": "OLD"`), `ap-northeast-1.models[1].status: "OLD" is neither ACTIVE nor LEGACY`},
		"modality":     {swap(tokyoModels, `["TEXT", "IMAGE"]`, `["text"]`), `input: "text" is not a word in capitals`},
		"time":         {swap(tokyoModels, `"2026-10-14T00:00:00Z"`, `"soon"`), `"soon" is not a time`},
		"seconds":      {swap(tokyoModels, `1764547200`, `-4`), `-4 is not a time`},
		"name":         {swap(tokyoModels, `"Poet 2"`, `"Poet\n2"`), "is no name"},
		"profile-type": {swap(tokyoProfiles, `"type": "SYSTEM_DEFINED"`, `"type": "MINE"`), `type: "MINE" is neither`},
		"inactive":     {swap(tokyoProfiles, `"status": "ACTIVE", "type": "SYSTEM_DEFINED"`, `"status": "OFF", "type": "SYSTEM_DEFINED"`), `status: "OFF" is not ACTIVE`},
		"two-models":   {swap(tokyoProfiles, "ap-northeast-3::foundation-model/acme.poet-v2:0", "ap-northeast-3::foundation-model/acme.poet-v1:0"), "is another model than"},
		"profile-id":   {swap(tokyoProfiles, "jp.acme.poet-v2:0", "jp.acme.verse-v2:0"), "does not end in the id of its model"},
		"abroad":       {swap(tokyoProfiles, "ap-northeast-3", "us-gov-west-1"), "us-gov-west-1 is in another partition"},
		"twice":        {swap(tokyoProfiles, "ap-northeast-3", "ap-northeast-1"), "a Region is there twice"},
	} {
		s := NewSeen()
		if _, err := s.Add("", []byte(c.text), noon); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if len(s.Regions) != 0 {
			t.Errorf("%s: something was added", name)
		}
	}
}

func TestParseSeenRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"version":  {`{"version":2}`, "version: is 2, want 1"},
		"unknown":  {`{"version":1,"more":1}`, `unknown field "more"`},
		"region":   {`{"version":1,"regions":{"moon":{}}}`, `"moon" is not a Region`},
		"null":     {`{"version":1,"regions":{"us-east-1":null}}`, "is null"},
		"time":     {`{"version":1,"regions":{"us-east-1":{"modelsAt":"now"}}}`, `"now" is not a time`},
		"no-time":  {`{"version":1,"regions":{"us-east-1":{"models":[]}}}`, "without the time"},
		"model":    {`{"version":1,"regions":{"us-east-1":{"modelsAt":"2026-11-22T12:00:00Z","models":[{"id":"x"}]}}}`, `regions.us-east-1.models[0].id: "x" is not a model's id`},
		"global":   {`{"version":1,"regions":{"us-east-1":{"profilesAt":"2026-11-22T12:00:00Z","profiles":[{"id":"us.a.b","name":"","model":"a.b"}]}}}`, "a global profile, and no other"},
		"date":     {`{"version":1,"regions":{"us-east-1":{"modelsAt":"2026-11-22T12:00:00Z","models":[{"id":"a.b","status":"ACTIVE","launch":"2026-13-01"}]}}}`, "is not a date"},
		"trailing": {`{"version":1}{}`, "goes on"},
	} {
		if _, err := ParseSeen([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestObserve(t *testing.T) {
	base := Load()
	s := seen(t, tokyoModels, tokyoProfiles)
	c, notes, err := base.Observe(s)
	if err != nil {
		t.Fatal(err)
	}
	poet, ok := c.Model("acme.poet-v2:0")
	if !ok || !poet.OnDemand("ap-northeast-1") || poet.OnDemand("ap-northeast-3") || poet.Name != "Poet 2" || len(poet.Profiles()) != 2 {
		t.Errorf("%+v", poet)
	}
	jp, _ := c.Profile("jp.acme.poet-v2:0")
	if jp == nil || jp.Prefix != "jp" || jp.Global || !slices.Equal(jp.Destinations("ap-northeast-1"), []string{"ap-northeast-1", "ap-northeast-3"}) || jp.Destinations("ap-northeast-3") != nil {
		t.Errorf("%+v", jp)
	}
	g, _ := c.Profile("global.acme.poet-v2:0")
	if g == nil || !g.Global || !slices.Equal(g.Destinations("ap-northeast-1"), []string{"ap-northeast-1"}) {
		t.Errorf("%+v", g)
	}
	// What Tokyo lists no more stays, and what other Regions have is not touched.
	nova, _ := c.Model("amazon.nova-lite-v1:0")
	if !nova.OnDemand("ap-northeast-1") || nova.Status != "ACTIVE" || !slices.Contains(notes, "amazon.nova-lite-v1:0 is not listed in ap-northeast-1 any more and stays callable there") ||
		!slices.Contains(notes, "apac.amazon.nova-lite-v1:0 is not listed in ap-northeast-1 any more and stays callable there") {
		t.Errorf("%+v; notes %q", nova, notes)
	}
	if m, _ := c.Model("anthropic.claude-sonnet-4-20250514-v1:0"); m.Status != Legacy || m.Launch != "2025-05-22" || len(m.Profiles()) != 4 {
		t.Errorf("%+v", m)
	}
	if _, ok := base.Model("acme.poet-v2:0"); ok {
		t.Error("Observe changed the catalog that it started from")
	}

	s.Forget = true
	c, notes, err = base.Observe(s)
	if err != nil || len(notes) != 0 {
		t.Fatal(err, notes)
	}
	nova, _ = c.Model("amazon.nova-lite-v1:0")
	apac, _ := c.Profile("apac.amazon.nova-lite-v1:0")
	if nova.OnDemand("ap-northeast-1") || !nova.OnDemand("us-east-1") || apac.Destinations("ap-northeast-1") != nil || apac.Destinations("ap-northeast-2") == nil {
		t.Errorf("forgotten: %v, %v", nova.OnDemandRegions(), apac.Sources())
	}
	// A model that could only be called from Tokyo is gone.
	only := Addition{Models: []NewModel{{Model: Model{ID: "acme.old-v1:0"}, OnDemand: []string{"ap-northeast-1"}}}}
	more, err := base.With(only)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err = more.Observe(seen(t, tokyoModels))
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := c.Model("acme.old-v1:0"); m.Status != Gone || !m.OnDemand("ap-northeast-1") {
		t.Errorf("%+v", m)
	}
	if _, _, err := base.Observe(seen(t, tokyoProfiles)); err == nil || !strings.Contains(err.Error(), "the profile global.acme.poet-v2:0 is of the model acme.poet-v2:0, which no Region lists") {
		t.Error(err)
	}
	// A Region that the program does not know yet.
	r := strings.NewReplacer("ap-northeast-1", "ap-northeast-9", "ap-northeast-3", "ap-northeast-8")
	c, _, err = base.Observe(seen(t, r.Replace(tokyoModels), r.Replace(tokyoProfiles)))
	if err != nil {
		t.Fatal(err)
	}
	if x, ok := c.Region("ap-northeast-8"); !ok || x.Partition != "aws" || !slices.Contains(c.Together("us-east-1"), "ap-northeast-9") {
		t.Errorf("%+v", x)
	}
}

// What a Region says today changes nothing tomorrow.
func TestObserveAgain(t *testing.T) {
	s := seen(t, tokyoModels, tokyoProfiles)
	once, _, err := Load().Observe(s)
	if err != nil {
		t.Fatal(err)
	}
	twice, _, err := once.Observe(s)
	if err != nil {
		t.Fatal(err)
	}
	if d := twice.Diff(once); len(d) != 0 {
		t.Errorf("%v", d)
	}
	if none, _, err := Load().Observe(NewSeen()); err != nil || len(none.Diff(Load())) != 0 {
		t.Errorf("without observations: %v, %v", err, none.Diff(Load()))
	}
}

func TestDiff(t *testing.T) {
	base := Load()
	c, _, err := base.Observe(seen(t, tokyoModels, tokyoProfiles))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range c.Diff(base) {
		got = append(got, d.String())
	}
	want := []string{
		"+ model acme.poet-v2:0  Acme Poet 2, ACTIVE, on demand in ap-northeast-1",
		"~ model anthropic.claude-sonnet-4-20250514-v1:0  launch: - → 2025-05-22",
		"+ profile global.acme.poet-v2:0  GLOBAL Poet, from ap-northeast-1",
		"+ profile jp.acme.poet-v2:0  JP Poet, from ap-northeast-1",
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s is not in\n%s", w, strings.Join(got, "\n"))
		}
	}
	for _, d := range base.Diff(c) {
		if d.What == added {
			t.Errorf("the other way round something came: %s", d)
		}
	}
	s := seen(t, tokyoModels, tokyoProfiles)
	s.Regions["ap-northeast-1"].Profiles[1].To = []string{"ap-northeast-1", "ap-northeast-2"}
	s.Regions["ap-northeast-1"].Models[0].OnDemand = false
	next, _, err := c.Observe(s)
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for _, d := range next.Diff(c) {
		got = append(got, d.String())
	}
	if want := []string{
		"~ model acme.poet-v2:0  on demand: -ap-northeast-1 → -",
		"~ profile jp.acme.poet-v2:0  from ap-northeast-1: ap-northeast-1, ap-northeast-3 → ap-northeast-1, ap-northeast-2",
	}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func FuzzSeen(f *testing.F) {
	f.Add([]byte(`{"version":1,"regions":{"us-east-1":{"modelsAt":"2026-11-22T12:00:00Z","models":[{"id":"a.b","provider":"A","name":"B","status":"ACTIVE","onDemand":true}]}}}`))
	f.Add([]byte(`{"version":1,"regions":{"us-east-1":{"profilesAt":"2026-11-22T12:00:00Z","profiles":[{"id":"us.amazon.nova-lite-v1:0","name":"","model":"amazon.nova-lite-v1:0","to":["us-east-1"]}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSeen(b)
		if err != nil {
			return
		}
		held(t, s)
	})
}

func FuzzAdd(f *testing.F) {
	f.Add([]byte(tokyoModels))
	f.Add([]byte(tokyoProfiles))
	f.Add([]byte(tokyoModels + tokyoProfiles))
	f.Add([]byte(`{"modelSummaries":[],"nextToken":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewSeen()
		if _, err := s.Add("", b, noon); err != nil {
			if len(s.Regions) != 0 {
				t.Fatal("an error, and something was added")
			}
			return
		}
		out, err := s.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSeen(out)
		if err != nil {
			t.Fatalf("what was added is not accepted: %v\n%s", err, out)
		}
		held(t, again)
	})
}

// held says what must be true of any catalog that observations make.
func held(t *testing.T, s *Seen) {
	t.Helper()
	c, _, err := Load().Observe(s)
	if err != nil {
		return
	}
	for _, p := range c.Profiles {
		if p.Model == nil || len(p.Sources()) == 0 {
			t.Fatalf("%s: no model, or from nowhere", p.ID)
		}
		for _, src := range p.Sources() {
			d := p.Destinations(src)
			if len(d) == 0 || !slices.IsSorted(d) {
				t.Fatalf("%s from %s: %v", p.ID, src, d)
			}
			for _, r := range append(d, src) {
				if _, ok := c.Region(r); !ok {
					t.Fatalf("%s: no Region %s", p.ID, r)
				}
			}
		}
	}
	for _, m := range c.Models {
		for _, r := range m.OnDemandRegions() {
			if _, ok := c.Region(r); !ok {
				t.Fatalf("%s: no Region %s", m.ID, r)
			}
		}
	}
	for _, d := range c.Diff(Load()) {
		if _, err := json.Marshal(d); err != nil || d.String() == "" {
			t.Fatal(fmt.Sprint(d, err))
		}
	}
}
