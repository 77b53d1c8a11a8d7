package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"tokaido/arn"
)

// Limits of what is read from outside.
const (
	MaxFile  = 64 << 20 // bytes of a file of observations, or of one answer
	MaxSeen  = 10_000   // models, and profiles, of one Region
	maxID    = 256
	maxText  = 1024 // of a name
	maxLists = 64   // members of a list in a model
)

// fileVersion is that of [Seen]'s form.
const fileVersion = 1

// Seen is what the control planes of Regions said: what `tokaido catalog update`
// keeps in a file, and [Catalog.Observe] puts over the catalog.
type Seen struct {
	Version int              `json:"version"`
	Forget  bool             `json:"forget,omitempty"` // what a Region lists no more cannot be called from there
	Regions map[string]*View `json:"regions"`          // by Region
}

// View is what was seen from one Region.
type View struct {
	ModelsAt   string        `json:"modelsAt,omitempty"` // when; "": Models was not asked for
	Models     []SeenModel   `json:"models,omitempty"`   // by id
	ProfilesAt string        `json:"profilesAt,omitempty"`
	Profiles   []SeenProfile `json:"profiles,omitempty"`
}

// SeenModel is a model as a Region lists it.
type SeenModel struct {
	ID             string   `json:"id"`
	Provider       string   `json:"provider"`
	Name           string   `json:"name"`
	Input          []string `json:"input,omitempty"`
	Output         []string `json:"output,omitempty"`
	Streaming      bool     `json:"streaming,omitempty"`
	Customizations []string `json:"customizations,omitempty"`
	Status         string   `json:"status"`
	Launch         string   `json:"launch,omitempty"` // a date
	EndOfLife      string   `json:"endOfLife,omitempty"`
	OnDemand       bool     `json:"onDemand,omitempty"` // the bare id can be called there
}

// SeenProfile is a system-defined profile as a Region lists it.
type SeenProfile struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Model string   `json:"model"`
	To    []string `json:"to,omitempty"` // Regions that may answer; empty: it is global
}

// ParseSeen reads a file of observations, and says all that is wrong with it.
func ParseSeen(b []byte) (*Seen, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("has %d bytes, more than %d", len(b), MaxFile)
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	s := &Seen{}
	if err := dec.Decode(s); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("goes on after its end")
	}
	return s, s.check()
}

// JSON prints s as a file, the same for the same observations.
func (s *Seen) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", " ")
	return append(b, '\n'), err
}

func (s *Seen) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Version != fileVersion {
		bad("version: is %d, want %d", s.Version, fileVersion)
	}
	for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
		at := "regions." + region
		if !regionCode.MatchString(region) {
			bad("regions: %q is not a Region", short(region))
			continue
		}
		v := s.Regions[region]
		if v == nil {
			bad("%s: is null", at)
			continue
		}
		for name, t := range map[string]string{".modelsAt": v.ModelsAt, ".profilesAt": v.ProfilesAt} {
			if _, err := time.Parse(time.RFC3339, t); t != "" && err != nil {
				bad("%s%s: %q is not a time", at, name, short(t))
			}
		}
		if v.ModelsAt == "" && v.Models != nil || v.ProfilesAt == "" && v.Profiles != nil {
			bad("%s: has models or profiles without the time at which they were seen", at)
		}
		v.check(at, region, bad)
	}
	return errors.Join(errs...)
}

var (
	regionCode = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$`)
	modelID    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.[a-zA-Z0-9][a-zA-Z0-9._-]*(:[a-zA-Z0-9._-]+)*$`)
	profileID  = regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-zA-Z0-9][a-zA-Z0-9._:-]*$`)
	constant   = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
	date       = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
)

// CheckModelID says what keeps an id from being a model's; "" for nothing.
func CheckModelID(id string) string {
	if len(id) > maxID || !modelID.MatchString(id) {
		return fmt.Sprintf("%q is not a model's id, like provider.model-v1:0", short(id))
	}
	return ""
}

// CheckProfileID says what keeps an id from being a profile's; "" for nothing.
func CheckProfileID(id string) string {
	if len(id) > maxID || !profileID.MatchString(id) {
		return fmt.Sprintf("%q is not a profile's id, like prefix.provider.model-v1:0", short(id))
	}
	return ""
}

func short(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// check says what is wrong with a view, whoever it comes from.
func (v *View) check(at, region string, bad func(format string, args ...any)) {
	if len(v.Models) > MaxSeen || len(v.Profiles) > MaxSeen {
		bad("%s: has %d models and %d profiles; %d of each are read at most", at, len(v.Models), len(v.Profiles), MaxSeen)
		return
	}
	text := func(at, s string) {
		if len(s) > maxText || strings.ContainsAny(s, "\t\n\r\x00") {
			bad("%s: %q is no name", at, short(s))
		}
	}
	words := func(at string, list []string) {
		if len(list) > maxLists {
			bad("%s: has %d members, more than %d", at, len(list), maxLists)
			return
		}
		for _, s := range list {
			if !constant.MatchString(s) {
				bad("%s: %q is not a word in capitals, like TEXT", at, short(s))
			}
		}
	}
	day := func(at, s string) {
		if _, err := time.Parse(time.DateOnly, s); s != "" && (err != nil || !date.MatchString(s)) {
			bad("%s: %q is not a date", at, short(s))
		}
	}
	seen := map[string]bool{}
	for i := range v.Models {
		m := &v.Models[i]
		at := fmt.Sprintf("%s.models[%d]", at, i)
		if why := CheckModelID(m.ID); why != "" {
			bad("%s.id: %s", at, why)
		}
		if seen[m.ID] {
			bad("%s.id: %q is there twice", at, short(m.ID))
		}
		seen[m.ID] = true
		text(at+".provider", m.Provider)
		text(at+".name", m.Name)
		words(at+".input", m.Input)
		words(at+".output", m.Output)
		words(at+".customizations", m.Customizations)
		if m.Status != Active && m.Status != Legacy {
			bad("%s.status: %q is neither %s nor %s", at, short(m.Status), Active, Legacy)
		}
		day(at+".launch", m.Launch)
		day(at+".endOfLife", m.EndOfLife)
	}
	clear(seen)
	for i := range v.Profiles {
		p := &v.Profiles[i]
		at := fmt.Sprintf("%s.profiles[%d]", at, i)
		if why := CheckProfileID(p.ID); why != "" {
			bad("%s.id: %s", at, why)
		}
		if seen[p.ID] {
			bad("%s.id: %q is there twice", at, short(p.ID))
		}
		seen[p.ID] = true
		if why := CheckModelID(p.Model); why != "" {
			bad("%s.model: %s", at, why)
		} else if !strings.HasSuffix(p.ID, "."+p.Model) {
			bad("%s.id: %q does not end in the id of its model, %q", at, short(p.ID), short(p.Model))
		}
		text(at+".name", p.Name)
		if global := strings.HasPrefix(p.ID, globalPrefix+"."); global != (len(p.To) == 0) {
			bad("%s.to: is %s; a global profile, and no other, has no list of Regions", at, short(strings.Join(p.To, ", ")))
		}
		if len(p.To) > maxLists {
			bad("%s.to: has %d Regions, more than %d", at, len(p.To), maxLists)
			continue
		}
		for _, r := range p.To {
			if !regionCode.MatchString(r) {
				bad("%s.to: %q is not a Region", at, short(r))
			} else if arn.PartitionOf(r) != arn.PartitionOf(region) {
				bad("%s.to: %s is in another partition than %s", at, r, region)
			}
		}
		if len(slices.Compact(slices.Sorted(slices.Values(p.To)))) != len(p.To) {
			bad("%s.to: a Region is there twice", at)
		}
	}
}
