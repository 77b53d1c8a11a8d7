package bedrock

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/arn"
	"tokaido/bedrock/catalog"
)

// Store keeps application inference profiles.
type Store interface {
	// Load must yield every entry once, in any order, and stop at the first
	// error. The entries' Data must not be changed afterwards.
	Load(ctx context.Context) iter.Seq2[Entry, error]

	// Save must apply all changes or none, and be durable when it returns nil.
	// When it returns an error it may have happened all the same. It must not
	// keep or change the Data.
	Save(ctx context.Context, changes ...Change) error
}

// Entry is one stored thing.
type Entry struct {
	Key  string
	Data []byte
}

// Change sets an Entry, or removes it if Data is nil.
type Change struct {
	Key  string
	Data []byte
}

// The limits of application inference profiles.
const (
	MaxApplications = 1000 // in an account and Region
	MaxTags         = 50   // on one
	maxName         = 64
	maxDescription  = 200
	maxTagKey       = 128
	maxTagValue     = 256
	idLength        = 12
)

// Application is an application inference profile: an account's own name for a
// model or a system-defined profile, by which it counts costs. It must not be
// changed.
type Application struct {
	ID          string            `json:"id"`
	Region      string            `json:"region"`
	Account     string            `json:"account"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitzero"`
	Copy        string            `json:"copy"` // id of the foundation model or system-defined profile
	Tags        map[string]string `json:"tags,omitzero"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
	Token       string            `json:"token,omitzero"` // of the client that made it
}

// ARN is how the profile is called.
func (a *Application) ARN() string { return ApplicationARN(a.Region, a.Account, a.ID) }

func (a *Application) key() string { return a.Region + "/" + a.Account + "/" + a.ID }

// Profiles keeps application inference profiles.
type Profiles struct {
	store   Store
	catalog *catalog.Catalog

	writing sync.Mutex // held by whoever changes something, over the Save too
	mu      sync.RWMutex
	all     map[string]*Application // by key; guarded by mu
	unsure  error                   // guarded by writing: a Save that may have happened
}

// OpenProfiles reads what a store has.
func OpenProfiles(ctx context.Context, store Store, c *catalog.Catalog) (*Profiles, error) {
	p := &Profiles{store: store, catalog: c}
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Profiles) load(ctx context.Context) error {
	all := map[string]*Application{}
	for e, err := range p.store.Load(ctx) {
		if err != nil {
			return fmt.Errorf("load inference profiles: %w", err)
		}
		a := &Application{}
		if err := json.Unmarshal(e.Data, a); err != nil || a.key() != e.Key {
			return fmt.Errorf("inference profile %q is damaged: %w", e.Key, err)
		}
		all[e.Key] = a
	}
	p.mu.Lock()
	p.all = all
	p.mu.Unlock()
	return nil
}

// Get returns a profile by the id at the end of its ARN.
func (p *Profiles) Get(region, account, id string) (*Application, bool) {
	if p == nil {
		return nil, false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	a, ok := p.all[region+"/"+account+"/"+id]
	return a, ok
}

// In lists the profiles of an account in a Region, by id.
func (p *Profiles) In(region, account string) []*Application {
	if p == nil {
		return nil
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []*Application
	for _, a := range p.all {
		if a.Region == region && a.Account == account {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *Application) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// changeLocked writes one profile, or removes it if to is nil, and publishes it once
// it is durable. If it is not known whether a write happened, the store is read
// again before the next: what is served is what is stored.
func (p *Profiles) changeLocked(ctx context.Context, key string, to *Application) error {
	var data []byte
	if to != nil {
		var err error
		if data, err = json.Marshal(to); err != nil {
			return fmt.Errorf("inference profile %s: %w", key, err)
		}
	}
	if err := p.store.Save(ctx, Change{key, data}); err != nil {
		p.unsure = err
		return fmt.Errorf("save inference profile %s: %w", key, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if to == nil {
		delete(p.all, key)
	} else {
		p.all[key] = to
	}
	return nil
}

// sureLocked reads the store again after a write that may have happened.
func (p *Profiles) sureLocked(ctx context.Context) error {
	if p.unsure == nil {
		return nil
	}
	if err := p.load(ctx); err != nil {
		return err
	}
	p.unsure = nil
	return nil
}

var (
	profileName        = regexp.MustCompile(`^([0-9a-zA-Z][ _-]?)+$`)
	profileDescription = regexp.MustCompile(`^([0-9a-zA-Z:.][ _-]?)+$`)
	clientToken        = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`)
	tagText            = regexp.MustCompile(`^[a-zA-Z0-9\s._:/=+@-]*$`)
)

// NewApplication is what CreateInferenceProfile asks for.
type NewApplication struct {
	Region, Account   string
	Name, Description string
	CopyFrom          string // ARN of a foundation model or system-defined profile
	Token             string // "": none
	Tags              map[string]string
}

// Create makes a profile. A second request with one token returns what the
// first made.
func (p *Profiles) Create(ctx context.Context, n NewApplication, now time.Time) (*Application, error) {
	switch {
	case len(n.Name) > maxName || !profileName.MatchString(n.Name):
		return nil, constraint("inferenceProfileName", "satisfy regular expression pattern: ([0-9a-zA-Z][ _-]?)+ and have length between 1 and %d", maxName)
	case n.Description != "" && (len(n.Description) > maxDescription || !profileDescription.MatchString(n.Description)):
		return nil, constraint("description", "satisfy regular expression pattern: ([0-9a-zA-Z:.][ _-]?)+ and have length between 1 and %d", maxDescription)
	case n.Token != "" && (len(n.Token) > 256 || !clientToken.MatchString(n.Token)):
		return nil, constraint("clientRequestToken", "satisfy regular expression pattern: [a-zA-Z0-9]([-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?")
	}
	if err := checkTags(n.Tags); err != nil {
		return nil, err
	}
	copied, err := p.source(n.Region, n.Account, n.CopyFrom)
	if err != nil {
		return nil, err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.sureLocked(ctx); err != nil {
		return nil, err
	}
	here := p.In(n.Region, n.Account)
	for _, a := range here {
		if n.Token == "" || a.Token != n.Token {
			continue
		}
		if a.Name == n.Name && a.Description == n.Description && a.Copy == copied {
			return a, nil
		}
		return nil, Fault("ConflictException", "The client request token %s was used for another inference profile.", n.Token)
	}
	if len(here) >= MaxApplications {
		return nil, Fault("ServiceQuotaExceededException", "The account has %d application inference profiles in this Region, which is the limit.", MaxApplications)
	}
	a := &Application{ID: newID(), Region: n.Region, Account: n.Account, Name: n.Name, Description: n.Description, Copy: copied,
		Tags: n.Tags, Created: now.UTC(), Updated: now.UTC(), Token: n.Token}
	for slices.ContainsFunc(here, func(x *Application) bool { return x.ID == a.ID }) {
		a.ID = newID()
	}
	return a, p.changeLocked(ctx, a.key(), a)
}

// source is the id behind a copyFrom, which must be callable in the Region.
func (p *Profiles) source(region, account, copyFrom string) (string, error) {
	a, err := arn.Parse(copyFrom)
	if err != nil || a.Service != "bedrock" || a.Region != region || a.Partition != arn.PartitionOf(region) {
		return "", invalidModel()
	}
	kind, id := a.Split()
	switch {
	case kind == "foundation-model" && a.Account == "":
		if m, ok := p.catalog.Model(id); ok && m.OnDemand(region) {
			return id, copyable(m)
		}
	case kind == "inference-profile" && a.Account == account:
		if s, ok := p.catalog.Profile(id); ok && s.Destinations(region) != nil {
			return id, copyable(s.Model)
		}
	}
	return "", invalidModel()
}

// copyable refuses models of which AWS makes no application profiles.
func copyable(m *catalog.Model) error {
	if slices.Contains(m.Output, "EMBEDDING") {
		return invalidf("The model %s doesn't support application inference profiles.", m.ID)
	}
	return nil
}

func newID() string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	var b [idLength]byte
	for i := range b {
		for { // no letter more often than another
			var x [1]byte
			_, _ = rand.Read(x[:]) // never fails
			if n := int(x[0]); n < 256-256%len(letters) {
				b[i] = letters[n%len(letters)]
				break
			}
		}
	}
	return string(b[:])
}

func checkTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return Fault("TooManyTagsException", "A resource can have at most %d tags.", MaxTags)
	}
	for k, v := range tags {
		if k == "" || len(k) > maxTagKey || len(v) > maxTagValue || !tagText.MatchString(k) || !tagText.MatchString(v) {
			return constraint("tags", "have keys of 1 to %d and values of at most %d of the characters [a-zA-Z0-9\\s._:/=+@-]", maxTagKey, maxTagValue)
		}
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return invalidf("The tag key %s is reserved: it begins with aws:", k)
		}
	}
	return nil
}

// update changes a profile by a function of what it is; nil removes it.
func (p *Profiles) update(ctx context.Context, region, account, id string, change func(Application) (*Application, error)) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.sureLocked(ctx); err != nil {
		return err
	}
	a, ok := p.Get(region, account, id)
	if !ok {
		return Fault("ResourceNotFoundException", "The application inference profile %s does not exist.", short(id))
	}
	to, err := change(*a)
	if err != nil {
		return err
	}
	return p.changeLocked(ctx, a.key(), to)
}

// Delete removes a profile.
func (p *Profiles) Delete(ctx context.Context, region, account, id string) error {
	return p.update(ctx, region, account, id, func(Application) (*Application, error) { return nil, nil })
}

// Tag adds tags to a profile and takes the keys in without away.
func (p *Profiles) Tag(ctx context.Context, region, account, id string, tags map[string]string, without []string, now time.Time) error {
	return p.update(ctx, region, account, id, func(a Application) (*Application, error) {
		all := make(map[string]string, len(a.Tags)+len(tags))
		for k, v := range a.Tags {
			if !slices.Contains(without, k) {
				all[k] = v
			}
		}
		maps.Copy(all, tags)
		if err := checkTags(all); err != nil {
			return nil, err
		}
		a.Tags, a.Updated = all, now.UTC()
		return &a, nil
	})
}

// Source is the model behind a profile, and the system-defined profile that it
// was made from, if it was.
func (p *Profiles) Source(a *Application) (*catalog.Model, *catalog.Profile) {
	if s, ok := p.catalog.Profile(a.Copy); ok {
		return s.Model, s
	}
	m, _ := p.catalog.Model(a.Copy)
	return m, nil
}

// sortTags is tags by key.
func sortTags(tags map[string]string) [][2]string {
	out := make([][2]string, 0, len(tags))
	for k, v := range tags {
		out = append(out, [2]string{k, v})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	return out
}
