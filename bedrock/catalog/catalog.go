// Package catalog is what is known of Amazon Bedrock's Regions, foundation
// models and inference profiles: which ids there are, where a model answers to
// its bare id, and to which Regions a profile may send a call that was made in
// a given Region.
//
// It is data with lookups. It does not decide who may call (iam), where a call
// goes (bedrock) or who answers it (bedrock/backend). Nothing here expires: a
// model past its end of life stays, with the date, for a backend may have it.
//
// What is handed out is shared and must not be changed.
package catalog

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run gen.go

//go:embed catalog.txt
var text string

// Region is one Region that Bedrock is offered in.
type Region struct {
	Code      string // "ap-northeast-1"
	Name      string // "Asia Pacific (Tokyo)"
	Short     string // "Tokyo"
	NameJA    string // "アジアパシフィック (東京)"
	ShortJA   string // "東京"
	Geography string // "apac"
	Partition string // "aws"
	OptIn     bool
}

// Model is one foundation model.
type Model struct {
	ID             string
	Provider       string
	Name           string
	Input          []string // TEXT, IMAGE, …; nil if not known
	Output         []string
	Streaming      bool
	Customizations []string
	Status         string // ACTIVE, LEGACY, or GONE_FROM_LIST: AWS lists it no more
	Launch         string // dates as 2026-10-14, "" if not known
	EndOfLife      string
	EndNotBefore   string
	Endpoints      []string // bedrock-runtime, bedrock-mantle
	ContextWindow  int      // tokens; 0 if not known
	MaxOutput      int      // tokens; 0 if not known

	onDemand []string
	profiles []*Profile
}

// OnDemand reports whether the bare id can be called in a Region.
func (m *Model) OnDemand(region string) bool { return slices.Contains(m.onDemand, region) }

// OnDemandRegions are the Regions in which the bare id can be called, sorted.
func (m *Model) OnDemandRegions() []string { return m.onDemand }

// Profiles are the profiles that contain the model, by id.
func (m *Model) Profiles() []*Profile { return m.profiles }

// Profile is one inference profile: a model, and for each Region that it can be
// called from the Regions that may answer.
type Profile struct {
	ID       string
	Name     string
	Model    *Model
	Prefix   string // "apac", "jp", "global", …: the id before the model's
	Global   bool   // authorized without a Region; destinations are not published
	Operator bool   // defined by the operator of this server, not by AWS

	sources []string
	to      map[string][]string
}

// Destinations are the Regions that may answer a call made in source, sorted;
// nil if the profile cannot be called there. Of a global profile, whose list
// AWS does not publish, they are the Regions that it can be called from.
func (p *Profile) Destinations(source string) []string { return p.to[source] }

// Sources are the Regions that the profile can be called from, sorted.
func (p *Profile) Sources() []string { return p.sources }

// Catalog holds everything, by id.
type Catalog struct {
	Regions  []Region   // as AWS groups them
	Models   []*Model   // by id
	Profiles []*Profile // by id

	regions  map[string]*Region
	models   map[string]*Model
	profiles map[string]*Profile
	from     map[string][]*Profile
	in       map[string][]*Model
	together map[string][]string // partition to Regions, sorted
}

// Load returns the catalog that came with the program. It is read once.
var Load = sync.OnceValue(func() *Catalog {
	c, err := parse(text)
	if err != nil {
		panic("bedrock/catalog: " + err.Error()) // the file is embedded, and a test reads it
	}
	return c
})

// Region returns a Region by its code.
func (c *Catalog) Region(code string) (*Region, bool) { r, ok := c.regions[code]; return r, ok }

// Together are the Regions of a Region's partition, itself included, sorted:
// all that a wildcard can cover. nil if there is no such Region.
func (c *Catalog) Together(region string) []string {
	if r := c.regions[region]; r != nil {
		return c.together[r.Partition]
	}
	return nil
}

// Model returns a model by its id.
func (c *Catalog) Model(id string) (*Model, bool) { m, ok := c.models[id]; return m, ok }

// Profile returns a profile by its id.
func (c *Catalog) Profile(id string) (*Profile, bool) { p, ok := c.profiles[id]; return p, ok }

// ProfilesFrom returns the profiles that can be called from a Region, by id.
func (c *Catalog) ProfilesFrom(region string) []*Profile { return c.from[region] }

// ModelsIn returns the models that can be called from a Region, by their bare
// id or through a profile, by id.
func (c *Catalog) ModelsIn(region string) []*Model { return c.in[region] }

// Addition is what an operator adds to the catalog.
type Addition struct {
	Regions  []Region
	Models   []NewModel
	Profiles []NewProfile
}

// NewModel is a model of the operator's own.
type NewModel struct {
	Model
	OnDemand []string // Regions in which the bare id can be called
}

// NewProfile is a profile of the operator's own: a boundary.
type NewProfile struct {
	ID, Name string
	Model    string              // a model's id
	To       map[string][]string // source Region to destination Regions
}

// With returns a catalog with more in it. It refuses an id that is taken and a
// Region or model that does not exist; c stays as it is.
func (c *Catalog) With(a Addition) (*Catalog, error) {
	n := &Catalog{Regions: slices.Clone(c.Regions)}
	for _, r := range a.Regions {
		if r.Code == "" || slices.ContainsFunc(n.Regions, func(x Region) bool { return x.Code == r.Code }) {
			return nil, fmt.Errorf("Region %q: no code, or one that exists", r.Code)
		}
		n.Regions = append(n.Regions, r)
	}
	known := make(map[string]bool, len(n.Regions))
	for _, r := range n.Regions {
		known[r.Code] = true
	}
	list := func(what string, regions []string) ([]string, error) {
		if len(regions) == 0 {
			return nil, fmt.Errorf("%s: no Regions", what)
		}
		for _, r := range regions {
			if !known[r] {
				return nil, fmt.Errorf("%s: there is no Region %q", what, r)
			}
		}
		return slices.Compact(slices.Sorted(slices.Values(regions))), nil
	}
	models := make(map[string]*Model, len(c.Models)+len(a.Models))
	for _, m := range c.Models {
		x := *m
		x.profiles = nil // index fills it
		models[m.ID] = &x
		n.Models = append(n.Models, &x)
	}
	for _, m := range a.Models {
		x := m.Model
		switch {
		case x.ID == "":
			return nil, errors.New("a model has no id")
		case models[x.ID] != nil:
			return nil, fmt.Errorf("model %s: there is one of that id already", x.ID)
		}
		if len(m.OnDemand) > 0 {
			var err error
			if x.onDemand, err = list("model "+x.ID, m.OnDemand); err != nil {
				return nil, err
			}
		}
		if x.Status == "" {
			x.Status = "ACTIVE"
		}
		models[x.ID] = &x
		n.Models = append(n.Models, &x)
	}
	taken := make(map[string]bool, len(c.Profiles)+len(a.Profiles))
	for _, p := range c.Profiles {
		x := *p
		x.Model = models[p.Model.ID]
		taken[x.ID] = true
		n.Profiles = append(n.Profiles, &x)
	}
	for _, p := range a.Profiles {
		m := models[p.Model]
		switch {
		case m == nil:
			return nil, fmt.Errorf("profile %s: there is no model %q", p.ID, p.Model)
		case p.ID == "":
			return nil, fmt.Errorf("a profile of %s has no id", p.Model)
		case taken[p.ID] || models[p.ID] != nil:
			return nil, fmt.Errorf("profile %s: there is a model or a profile of that id already", p.ID)
		case len(p.To) == 0:
			return nil, fmt.Errorf("profile %s: no Regions to call it from", p.ID)
		}
		taken[p.ID] = true
		x := &Profile{ID: p.ID, Name: p.Name, Model: m, Operator: true, to: make(map[string][]string, len(p.To))}
		x.Prefix, _ = strings.CutSuffix(p.ID, "."+m.ID)
		for src, dst := range p.To {
			if !known[src] {
				return nil, fmt.Errorf("profile %s: there is no Region %q", p.ID, src)
			}
			d, err := list("profile "+p.ID+" from "+src, dst)
			if err != nil {
				return nil, err
			}
			x.to[src] = d
			x.sources = append(x.sources, src)
		}
		slices.Sort(x.sources)
		n.Profiles = append(n.Profiles, x)
	}
	slices.SortFunc(n.Models, func(a, b *Model) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(n.Profiles, func(a, b *Profile) int { return strings.Compare(a.ID, b.ID) })
	n.index()
	return n, nil
}

// index makes the lookups from Regions, Models and Profiles, which are sorted.
func (c *Catalog) index() {
	c.regions = make(map[string]*Region, len(c.Regions))
	c.together = map[string][]string{}
	for i := range c.Regions {
		r := &c.Regions[i]
		c.regions[r.Code] = r
		c.together[r.Partition] = append(c.together[r.Partition], r.Code)
	}
	for _, rs := range c.together {
		slices.Sort(rs)
	}
	c.profiles = make(map[string]*Profile, len(c.Profiles))
	c.from = make(map[string][]*Profile, len(c.Regions))
	for _, p := range c.Profiles {
		c.profiles[p.ID] = p
		p.Model.profiles = append(p.Model.profiles, p)
		for _, r := range p.sources {
			c.from[r] = append(c.from[r], p)
		}
	}
	c.models = make(map[string]*Model, len(c.Models))
	c.in = make(map[string][]*Model, len(c.Regions))
	for _, m := range c.Models {
		c.models[m.ID] = m
		add := func(regions []string) {
			for _, r := range regions {
				if in := c.in[r]; len(in) == 0 || in[len(in)-1] != m {
					c.in[r] = append(in, m)
				}
			}
		}
		add(m.onDemand)
		for _, p := range m.profiles {
			add(p.sources)
		}
	}
}

func parse(text string) (*Catalog, error) {
	c := &Catalog{models: map[string]*Model{}}
	sets := map[string][]string{"-": nil}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		var cells [16]string
		n := 0
		for cell := range strings.SplitSeq(line, "\t") {
			if n == len(cells) {
				return nil, fmt.Errorf("a line of more than %d cells: %q", len(cells), line)
			}
			if cell != "-" {
				cells[n] = cell
			}
			n++
		}
		f := cells[1:n]
		switch {
		case cells[0] == "region" && n == 9:
			c.Regions = append(c.Regions, Region{Code: f[0], Name: f[1], Short: f[2], ShortJA: f[3], NameJA: f[4], Geography: f[5], Partition: f[6], OptIn: f[7] != ""})
		case cells[0] == "set" && n == 3:
			sets[f[0]] = strings.Split(f[1], " ")
		case cells[0] == "model" && n == 16:
			m := &Model{ID: f[0], Provider: f[1], Name: f[2], Input: list(f[3]), Output: list(f[4]),
				Streaming: f[5] != "", Customizations: list(f[6]), Status: f[7], Launch: f[8], EndOfLife: f[9],
				EndNotBefore: f[10], Endpoints: list(f[11]), ContextWindow: count(f[12]), MaxOutput: count(f[13])}
			m.onDemand = sets[f[14]]
			c.Models = append(c.Models, m)
			c.models[m.ID] = m
		case cells[0] == "profile" && n == 5:
			m := c.models[f[2]]
			if m == nil {
				return nil, fmt.Errorf("profile %s: no model %q", f[0], f[2])
			}
			p := &Profile{ID: f[0], Name: f[1], Model: m, to: map[string][]string{}}
			p.Prefix = strings.TrimSuffix(p.ID, "."+m.ID)
			p.Global = p.Prefix == "global"
			for row := range strings.SplitSeq(f[3], " ") {
				src, dst, _ := strings.Cut(row, ">")
				from, to := sets[src], sets[dst]
				if dst == "*" {
					to = from
				}
				if from == nil || to == nil {
					return nil, fmt.Errorf("profile %s: bad row %q", p.ID, row)
				}
				for _, r := range from {
					p.to[r] = to
				}
				p.sources = append(p.sources, from...)
			}
			slices.Sort(p.sources)
			c.Profiles = append(c.Profiles, p)
		default:
			return nil, fmt.Errorf("not a line of the catalog: %q", line)
		}
	}
	c.index()
	return c, nil
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func count(s string) int {
	n, _ := strconv.Atoi(s) // "" is 0: not known
	return n
}
