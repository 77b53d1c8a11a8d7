package catalog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCounts(t *testing.T) {
	c := Load()
	if len(c.Regions) != 35 || len(c.Models) != 147 || len(c.Profiles) != 142 {
		t.Errorf("%d Regions, %d models, %d profiles; want 35, 147, 142", len(c.Regions), len(c.Models), len(c.Profiles))
	}
	for _, p := range c.Profiles {
		if len(p.Sources()) == 0 {
			t.Errorf("%s can be called from nowhere", p.ID)
		}
		for _, s := range p.Sources() {
			d := p.Destinations(s)
			if len(d) == 0 || !slices.IsSorted(d) {
				t.Errorf("%s from %s: destinations %v", p.ID, s, d)
			}
			for _, r := range d {
				if _, ok := c.Region(r); !ok {
					t.Errorf("%s from %s: no Region %q", p.ID, s, r)
				}
			}
		}
		if !slices.Contains(p.Model.Profiles(), p) {
			t.Errorf("%s is not among the profiles of %s", p.ID, p.Model.ID)
		}
	}
}

func TestTokyo(t *testing.T) {
	c := Load()
	apac, ok := c.Profile("apac.anthropic.claude-sonnet-4-20250514-v1:0")
	want := []string{"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-4"}
	if !ok || !slices.Equal(apac.Destinations("ap-northeast-1"), want) || apac.Global || apac.Prefix != "apac" {
		t.Errorf("apac. Sonnet 4 from Tokyo: %v", apac.Destinations("ap-northeast-1"))
	}
	if n := len(apac.Destinations("ap-southeast-3")); n != 9 {
		t.Errorf("apac. Sonnet 4 from Jakarta: %d destinations, want 9", n)
	}
	if n := len(apac.Destinations("ap-east-2")); n != 10 {
		t.Errorf("apac. Sonnet 4 from Taipei: %d destinations, want 10", n)
	}
	if apac.Destinations("us-east-1") != nil {
		t.Error("apac. can be called from the US")
	}
	jp, _ := c.Profile("jp.anthropic.claude-sonnet-4-5-20250929-v1:0")
	if !slices.Equal(jp.Destinations("ap-northeast-3"), []string{"ap-northeast-1", "ap-northeast-3"}) {
		t.Errorf("jp. from Osaka: %v", jp.Destinations("ap-northeast-3"))
	}
	g, _ := c.Profile("global.anthropic.claude-sonnet-4-5-20250929-v1:0")
	if !g.Global || len(g.Destinations("ap-northeast-1")) != 33 {
		t.Errorf("global: %v, %d destinations", g.Global, len(g.Destinations("ap-northeast-1")))
	}
	m, _ := c.Model("amazon.nova-lite-v1:0")
	if !m.OnDemand("ap-northeast-1") || m.OnDemand("ap-northeast-2") {
		t.Error("Nova Lite is on demand in Tokyo and not in Seoul")
	}
	if r, _ := c.Region("ap-northeast-3"); r.Short != "Osaka" || r.ShortJA != "大阪" || r.NameJA != "アジアパシフィック (大阪)" {
		t.Errorf("Osaka: %+v", r)
	}
	in := c.ModelsIn("ap-northeast-1")
	if !slices.Contains(in, m) || !slices.Contains(in, jp.Model) || !slices.IsSortedFunc(in, func(a, b *Model) int { return cmpString(a.ID, b.ID) }) {
		t.Errorf("ModelsIn Tokyo: %d models", len(in))
	}
	if from := c.ProfilesFrom("ap-northeast-1"); !slices.Contains(from, jp) || !slices.Contains(from, apac) {
		t.Errorf("ProfilesFrom Tokyo: %d profiles", len(from))
	}
}

func cmpString(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestWith(t *testing.T) {
	base := Load()
	a := Addition{
		Regions:  []Region{{Code: "dc-east-1", Name: "Our east", Partition: "aws"}},
		Models:   []NewModel{{Model: Model{ID: "house.llm-v1", Name: "House"}, OnDemand: []string{"dc-east-1"}}},
		Profiles: []NewProfile{{ID: "ours.house.llm-v1", Name: "Ours", Model: "house.llm-v1", To: map[string][]string{"ap-northeast-1": {"dc-east-1", "ap-northeast-1"}}}},
	}
	c, err := base.With(a)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := c.Profile("ours.house.llm-v1")
	if !ok || !p.Operator || !slices.Equal(p.Destinations("ap-northeast-1"), []string{"ap-northeast-1", "dc-east-1"}) {
		t.Errorf("the profile: %+v", p)
	}
	if m, _ := c.Model("anthropic.claude-sonnet-4-20250514-v1:0"); len(m.Profiles()) != 4 {
		t.Errorf("Sonnet 4 has %d profiles, want 4", len(m.Profiles()))
	}
	if _, ok := base.Profile("ours.house.llm-v1"); ok || len(base.Models) != 147 {
		t.Error("With changed the catalog it started from")
	}
	for name, bad := range map[string]Addition{
		"region-taken":   {Regions: []Region{{Code: "ap-northeast-1"}}},
		"model-taken":    {Models: []NewModel{{Model: Model{ID: "amazon.nova-lite-v1:0"}}}},
		"no-such-region": {Models: []NewModel{{Model: Model{ID: "x.y"}, OnDemand: []string{"moon-1"}}}},
		"no-such-model":  {Profiles: []NewProfile{{ID: "p", Model: "x.y", To: map[string][]string{"ap-northeast-1": {"ap-northeast-1"}}}}},
		"profile-taken":  {Profiles: []NewProfile{{ID: p.Model.ID, Model: "amazon.nova-lite-v1:0"}, {ID: "apac.amazon.nova-lite-v1:0", Model: "amazon.nova-lite-v1:0"}}},
		"no-destination": {Profiles: []NewProfile{{ID: "p", Model: "amazon.nova-lite-v1:0", To: map[string][]string{"ap-northeast-1": nil}}}},
	} {
		if _, err := base.With(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The embedded text says what the gathered files say, where they are there.
func TestMatchesData(t *testing.T) {
	dir := os.Getenv("TOKAIDO_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, "inference-profiles.json"))
	if err != nil {
		t.Skip("the gathered data is not here: ", err)
	}
	var in struct {
		Profiles []struct {
			ID, Name string
			Sources  map[string][]string
		}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		t.Fatal(err)
	}
	c := Load()
	for _, want := range in.Profiles {
		p, ok := c.Profile(want.ID)
		if !ok || p.Name != want.Name || len(p.Sources()) != len(want.Sources) {
			t.Errorf("%s: %v, %d sources, want %d", want.ID, ok, len(p.Sources()), len(want.Sources))
			continue
		}
		for src, dst := range want.Sources {
			slices.Sort(dst)
			if dst[0] != "*" && !slices.Equal(p.Destinations(src), dst) {
				t.Errorf("%s from %s: %v, want %v", want.ID, src, p.Destinations(src), dst)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, bad := range []string{"nonsense", "model\tx", "profile\tp\tP\tno.such\ts1>s1", "set\ta\tb\tc"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("parsed %q", bad)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDestinations(b *testing.B) {
	c := Load()
	b.ReportAllocs()
	for b.Loop() {
		p, _ := c.Profile("apac.anthropic.claude-sonnet-4-20250514-v1:0")
		if len(p.Destinations("ap-northeast-1")) != 8 {
			b.Fatal("destinations")
		}
	}
}
