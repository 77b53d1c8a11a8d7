package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tokaido/arn"
)

// Statuses of a model.
const (
	Active = "ACTIVE"
	Legacy = "LEGACY"
	Gone   = "GONE_FROM_LIST" // AWS lists it no more; it is served where a backend has it
)

const globalPrefix = "global"

// Observe returns the catalog as it looks after what was seen: for every Region
// in s what it listed, for the others what c says. Where Regions say different
// things of one model, the latest observation counts.
//
// What a Region does not list any more stays callable from there, because a
// backend may have it, and notes say so; a model that no Region lists is marked
// as gone. With s.Forget it can no longer be called from there.
func (c *Catalog) Observe(s *Seen) (out *Catalog, notes []string, err error) {
	n := &Catalog{Regions: slices.Clone(c.Regions)}
	region := func(code string) {
		if slices.ContainsFunc(n.Regions, func(r Region) bool { return r.Code == code }) {
			return
		}
		n.Regions = append(n.Regions, Region{Code: code, Name: code, Short: code, NameJA: code, ShortJA: code, Partition: arn.PartitionOf(code)})
	}
	models := make(map[string]*Model, len(c.Models))
	for _, m := range c.Models {
		x := *m
		x.profiles, x.onDemand = nil, slices.Clone(m.onDemand)
		models[m.ID] = &x
	}
	profiles := make(map[string]*Profile, len(c.Profiles))
	for _, p := range c.Profiles {
		x := *p
		x.Model, x.to = models[p.Model.ID], maps.Clone(p.to)
		profiles[p.ID] = &x
	}

	type place struct{ id, region string }
	listed := map[place]bool{} // models and profiles, whose ids differ
	anywhere := map[string]bool{}
	codes := slices.SortedFunc(maps.Keys(s.Regions), func(x, y string) int { // the latest last
		return cmp.Or(strings.Compare(s.Regions[x].ModelsAt, s.Regions[y].ModelsAt), strings.Compare(x, y))
	})
	for _, code := range codes {
		region(code)
		for _, seen := range s.Regions[code].Models {
			m := models[seen.ID]
			if m == nil {
				m = &Model{ID: seen.ID, Endpoints: []string{"bedrock-runtime"}}
				models[seen.ID] = m
			}
			m.take(seen, code)
			listed[place{m.ID, code}], anywhere[m.ID] = true, true
		}
	}
	for _, code := range codes {
		for _, seen := range s.Regions[code].Profiles {
			m := models[seen.Model]
			if m == nil {
				return nil, nil, fmt.Errorf("regions.%s: the profile %s is of the model %s, which no Region lists: its models are needed too", code, seen.ID, seen.Model)
			}
			p := profiles[seen.ID]
			if p == nil {
				p = &Profile{ID: seen.ID, Model: m, Prefix: strings.TrimSuffix(seen.ID, "."+seen.Model), to: map[string][]string{}}
				p.Global = p.Prefix == globalPrefix
				profiles[p.ID] = p
			}
			if p.Model != m {
				return nil, nil, fmt.Errorf("regions.%s: the profile %s is of the model %s, and was of %s", code, p.ID, m.ID, p.Model.ID)
			}
			p.Name = cmp.Or(seen.Name, p.Name)
			p.to[code] = slices.Sorted(slices.Values(seen.To))
			for _, r := range seen.To {
				region(r)
			}
			listed[place{p.ID, code}] = true
		}
	}

	// What is not listed any more.
	for _, id := range slices.Sorted(maps.Keys(models)) {
		m := models[id]
		unseen, callable := false, slices.Clone(m.onDemand)
		for _, p := range c.profilesOf(id) {
			callable = append(callable, p.sources...)
		}
		for _, code := range slices.Compact(slices.Sorted(slices.Values(callable))) {
			v := s.Regions[code]
			switch {
			case v == nil || v.ModelsAt == "":
				unseen = true
			case !listed[place{id, code}] && m.OnDemand(code):
				if s.Forget {
					m.onDemand = slices.DeleteFunc(m.onDemand, func(r string) bool { return r == code })
				} else {
					notes = append(notes, fmt.Sprintf("%s is not listed in %s any more and stays callable there", id, code))
				}
			}
		}
		if len(callable) > 0 && !unseen && !anywhere[id] {
			m.Status = Gone
		}
	}
	for _, id := range slices.Sorted(maps.Keys(profiles)) {
		p := profiles[id]
		for _, code := range slices.Sorted(maps.Keys(p.to)) {
			if v := s.Regions[code]; v == nil || v.ProfilesAt == "" || listed[place{id, code}] {
				continue
			}
			if s.Forget {
				delete(p.to, code)
			} else {
				notes = append(notes, fmt.Sprintf("%s is not listed in %s any more and stays callable there", id, code))
			}
		}
		if p.sources = slices.Sorted(maps.Keys(p.to)); len(p.sources) == 0 {
			delete(profiles, id)
		}
		if p.Global { // whose destinations AWS does not publish
			for code := range p.to {
				p.to[code] = p.sources
			}
		}
	}
	n.Models = slices.SortedFunc(maps.Values(models), func(a, b *Model) int { return strings.Compare(a.ID, b.ID) })
	n.Profiles = slices.SortedFunc(maps.Values(profiles), func(a, b *Profile) int { return strings.Compare(a.ID, b.ID) })
	n.index()
	return n, notes, nil
}

// profilesOf are the profiles of a model; none if it is not known.
func (c *Catalog) profilesOf(id string) []*Profile {
	if m := c.models[id]; m != nil {
		return m.profiles
	}
	return nil
}

// take makes m what a Region said of it.
func (m *Model) take(seen SeenModel, region string) {
	m.Provider, m.Name = cmp.Or(seen.Provider, m.Provider), cmp.Or(seen.Name, m.Name, m.ID)
	if seen.Input != nil {
		m.Input = seen.Input
	}
	if seen.Output != nil {
		m.Output = seen.Output
	}
	m.Streaming, m.Customizations, m.Status = seen.Streaming, seen.Customizations, seen.Status
	m.Launch, m.EndOfLife = cmp.Or(seen.Launch, m.Launch), cmp.Or(seen.EndOfLife, m.EndOfLife)
	m.onDemand = slices.DeleteFunc(m.onDemand, func(r string) bool { return r == region })
	if seen.OnDemand {
		m.onDemand = append(m.onDemand, region)
		slices.Sort(m.onDemand)
	}
}

// Change is one difference between two catalogs.
type Change struct {
	Kind string `json:"kind"` // region, model or profile
	ID   string `json:"id"`
	What string `json:"what"` // added, removed, or the name of what differs
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// String is a line for people.
func (c Change) String() string {
	switch c.What {
	case added:
		return fmt.Sprintf("+ %s %s  %s", c.Kind, c.ID, c.New)
	case removed:
		return fmt.Sprintf("- %s %s  %s", c.Kind, c.ID, c.Old)
	}
	return fmt.Sprintf("~ %s %s  %s: %s → %s", c.Kind, c.ID, c.What, cmp.Or(c.Old, "-"), cmp.Or(c.New, "-"))
}

const added, removed = "added", "removed"

// Diff lists what a catalog has differently from an older one, in order.
func (c *Catalog) Diff(old *Catalog) []Change {
	var out []Change
	for _, r := range c.Regions {
		if _, ok := old.Region(r.Code); !ok {
			out = append(out, Change{Kind: "region", ID: r.Code, What: added})
		}
	}
	differ := func(kind, id, what, a, b string) {
		if a != b {
			out = append(out, Change{kind, id, what, a, b})
		}
	}
	join := func(list []string) string { return strings.Join(list, ", ") }
	for _, id := range both(old.models, c.models) {
		a, b := old.models[id], c.models[id]
		describe := func(m *Model) string {
			return strings.TrimSpace(fmt.Sprintf("%s %s, %s, on demand in %s", m.Provider, m.Name, m.Status, cmp.Or(join(m.onDemand), "no Region")))
		}
		switch {
		case a == nil:
			out = append(out, Change{Kind: "model", ID: id, What: added, New: describe(b)})
			continue
		case b == nil:
			out = append(out, Change{Kind: "model", ID: id, What: removed, Old: describe(a)})
			continue
		}
		differ("model", id, "provider", a.Provider, b.Provider)
		differ("model", id, "name", a.Name, b.Name)
		differ("model", id, "input", join(a.Input), join(b.Input))
		differ("model", id, "output", join(a.Output), join(b.Output))
		differ("model", id, "streaming", fmt.Sprint(a.Streaming), fmt.Sprint(b.Streaming))
		differ("model", id, "customizations", join(a.Customizations), join(b.Customizations))
		differ("model", id, "status", a.Status, b.Status)
		differ("model", id, "launch", a.Launch, b.Launch)
		differ("model", id, "endOfLife", a.EndOfLife, b.EndOfLife)
		gone, come := apart(a.onDemand, b.onDemand)
		differ("model", id, "on demand", signed("-", gone), signed("+", come))
	}
	for _, id := range both(old.profiles, c.profiles) {
		a, b := old.profiles[id], c.profiles[id]
		switch {
		case a == nil:
			out = append(out, Change{Kind: "profile", ID: id, What: added, New: b.Name + ", from " + join(b.sources)})
			continue
		case b == nil:
			out = append(out, Change{Kind: "profile", ID: id, What: removed, Old: a.Name + ", from " + join(a.sources)})
			continue
		}
		differ("profile", id, "name", a.Name, b.Name)
		if b.Global {
			gone, come := apart(a.sources, b.sources)
			differ("profile", id, "sources", signed("-", gone), signed("+", come))
			continue
		}
		for _, src := range both(a.to, b.to) {
			differ("profile", id, "from "+src, join(a.to[src]), join(b.to[src]))
		}
	}
	return out
}

// both are the keys of either map, sorted.
func both[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// apart are what only a has and what only b has.
func apart(a, b []string) (onlyA, onlyB []string) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			onlyA = append(onlyA, x)
		}
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			onlyB = append(onlyB, x)
		}
	}
	return onlyA, onlyB
}

func signed(sign string, list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = sign + s
	}
	return strings.Join(out, " ")
}
