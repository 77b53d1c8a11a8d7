package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/amazon"
	"tokaido/bedrock/backend/anthropic"
	"tokaido/bedrock/backend/openai"
	"tokaido/bedrock/backend/probe"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
)

// BackendConfig is something that models run on. Which keys count follows from
// the type; one that does not is refused.
type BackendConfig struct {
	Type string `yaml:"type"` // openai, anthropic, amazon or simulated
	URL  string `yaml:"url,omitempty"`

	// A key is never in the file itself: it is read from a variable or another file.
	APIKeyEnv  string `yaml:"apiKeyEnv,omitempty"`
	APIKeyFile string `yaml:"apiKeyFile,omitempty"`

	// Models says what a model of the catalog is called there, by id or pattern. A
	// model that is not in it is not there; empty: all are, by their usual names.
	Models map[string]string `yaml:"models,omitempty"`

	Timeout     time.Duration `yaml:"timeout,omitempty"`     // of a whole answer, and until a stream begins
	IdleTimeout time.Duration `yaml:"idleTimeout,omitempty"` // between two pieces of a stream

	// ProbeInterval is from one question whether it is there to the next; not set:
	// 10s, 0: it is not asked. ProbeTimeout is how long an answer may take; not set: 3s.
	ProbeInterval *time.Duration `yaml:"probeInterval,omitempty"`
	ProbeTimeout  time.Duration  `yaml:"probeTimeout,omitempty"`

	CAFile   string `yaml:"caFile,omitempty"`   // certificates, PEM, that the other end is trusted by
	CertFile string `yaml:"certFile,omitempty"` // certificate, PEM, that we show it; read again when it changes
	KeyFile  string `yaml:"keyFile,omitempty"`  // its key, PEM

	CompletionTokens bool `yaml:"completionTokens,omitempty"` // openai: max_completion_tokens, not max_tokens

	// amazon: which Region's signature all calls get; empty: that of the Region that
	// each is for. Credentials are AWS's ordinary chain, or an access key.
	Region        string `yaml:"region,omitempty"`
	Profile       string `yaml:"profile,omitempty"` // of the shared credential files
	AccessKeyID   string `yaml:"accessKeyId,omitempty"`
	SecretKeyEnv  string `yaml:"secretKeyEnv,omitempty"`
	SecretKeyFile string `yaml:"secretKeyFile,omitempty"`
}

// RouteConfig sends models of a Region to a backend.
type RouteConfig struct {
	Models  string `yaml:"models"` // an id or a pattern; "*" stands for any text
	Backend string `yaml:"backend"`
}

// ProfileConfig is an inference profile of the operator's own: a boundary.
type ProfileConfig struct {
	ID     string              `yaml:"id"`
	Name   string              `yaml:"name"`
	Model  string              `yaml:"model"`
	Routes map[string][]string `yaml:"routes"` // from a Region to those that may answer
}

// ModelConfig is a model of the operator's own.
type ModelConfig struct {
	ID            string   `yaml:"id"`
	Name          string   `yaml:"name"`
	Provider      string   `yaml:"provider"`
	Input         []string `yaml:"input"`   // TEXT, IMAGE, …; empty: TEXT
	Output        []string `yaml:"output"`  // empty: TEXT
	Regions       []string `yaml:"regions"` // in which its own id can be called; empty: only through a profile
	ContextWindow int      `yaml:"contextWindow"`
	MaxOutput     int      `yaml:"maxOutput"`
}

// everywhere is the key of bedrock.regions for Regions that have none of their own.
const everywhere = "*"

// matches reports whether a pattern fits an id: "*" stands for any text.
func matches(pattern, id string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == id
	}
	id, ok := strings.CutPrefix(id, first)
	if !ok {
		return false
	}
	for {
		part, more, wild := strings.Cut(rest, "*")
		if !wild {
			return strings.HasSuffix(id, part)
		}
		i := strings.Index(id, part)
		if i < 0 {
			return false
		}
		id, rest = id[i+len(part):], more
	}
}

// pick returns what a map from patterns has for an id: the id itself, else the
// longest pattern that fits.
func pick[V any](m map[string]V, id string) (v V, ok bool) {
	best := ""
	for pattern, to := range m {
		if matches(pattern, id) && (!ok || pattern == id || best != id && (len(pattern) > len(best) || len(pattern) == len(best) && pattern > best)) {
			best, v, ok = pattern, to, true
		}
	}
	return v, ok
}

// catalog is base with what the operator added.
func (c *BedrockConfig) catalog(base *catalog.Catalog) (*catalog.Catalog, error) {
	if len(c.Models) == 0 && len(c.Profiles) == 0 {
		return base, nil
	}
	var a catalog.Addition
	for i, m := range c.Models {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("bedrock.models[%d].%w", i, err)
		}
		a.Models = append(a.Models, catalog.NewModel{OnDemand: m.Regions, Model: catalog.Model{
			ID: m.ID, Name: cmp.Or(m.Name, m.ID), Provider: cmp.Or(m.Provider, "Operator"), Streaming: true, Endpoints: []string{"bedrock-runtime"},
			Input: orText(m.Input), Output: orText(m.Output), ContextWindow: m.ContextWindow, MaxOutput: m.MaxOutput,
		}})
	}
	for i, p := range c.Profiles {
		if p.ID == "" || p.Model == "" || len(p.Routes) == 0 {
			return nil, fmt.Errorf("bedrock.profiles[%d]: needs id, model and routes", i)
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("bedrock.profiles[%d].%w", i, err)
		}
		a.Profiles = append(a.Profiles, catalog.NewProfile{ID: p.ID, Name: cmp.Or(p.Name, p.ID), Model: p.Model, To: p.Routes})
	}
	out, err := base.With(a)
	if err != nil {
		return nil, fmt.Errorf("bedrock: %w", err)
	}
	return out, nil
}

func orText(list []string) []string {
	if len(list) == 0 {
		return []string{"TEXT"}
	}
	return list
}

var backendTypes = []string{"openai", "anthropic", "amazon", "simulated"}

// check says everything that is wrong with c, but for what only a connection shows.
func (c *BedrockConfig) check(base *catalog.Catalog, bad func(format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		b := c.Backends[name]
		at := "bedrock.backends." + name + "."
		if !slices.Contains(backendTypes, b.Type) {
			bad("%stype: %q is none of %s", at, b.Type, strings.Join(backendTypes, ", "))
			continue
		}
		for _, k := range []struct {
			key   string
			set   bool
			types string
		}{
			{"url", b.URL != "", "openai anthropic amazon"},
			{"apiKeyEnv", b.APIKeyEnv != "", "openai anthropic"},
			{"apiKeyFile", b.APIKeyFile != "", "openai anthropic"},
			{"models", len(b.Models) > 0, "openai anthropic amazon"},
			{"timeout", b.Timeout != 0, "openai anthropic amazon"},
			{"idleTimeout", b.IdleTimeout != 0, "openai anthropic amazon"},
			{"probeInterval", b.ProbeInterval != nil, "openai anthropic amazon"},
			{"probeTimeout", b.ProbeTimeout != 0, "openai anthropic amazon"},
			{"caFile", b.CAFile != "", "openai anthropic amazon"},
			{"certFile", b.CertFile != "", "openai anthropic amazon"},
			{"keyFile", b.KeyFile != "", "openai anthropic amazon"},
			{"completionTokens", b.CompletionTokens, "openai"},
			{"region", b.Region != "", "amazon"},
			{"profile", b.Profile != "", "amazon"},
			{"accessKeyId", b.AccessKeyID != "", "amazon"},
			{"secretKeyEnv", b.SecretKeyEnv != "", "amazon"},
			{"secretKeyFile", b.SecretKeyFile != "", "amazon"},
		} {
			if k.set && !slices.Contains(strings.Fields(k.types), b.Type) {
				bad("%s%s: a backend of type %s has none", at, k.key, b.Type)
			}
		}
		if b.Type == "openai" && b.URL == "" {
			bad("%surl: is missing; it is what stands before /chat/completions, like http://127.0.0.1:11434/v1", at)
		}
		if b.APIKeyEnv != "" && b.APIKeyFile != "" {
			bad("%sapiKeyEnv: %q, and there is also apiKeyFile", at, b.APIKeyEnv)
		}
		if (b.CertFile != "") != (b.KeyFile != "") {
			bad("%scertFile: %q, and keyFile: %q: one needs the other", at, b.CertFile, b.KeyFile)
		}
		if b.Timeout < 0 || b.IdleTimeout < 0 {
			bad("%stimeout: a time is negative: %v, %v", at, b.Timeout, b.IdleTimeout)
		}
		if d := b.ProbeInterval; d != nil && *d != 0 && *d < shortestProbes {
			bad("%sprobeInterval: %v is less than %v; 0 is never", at, *d, shortestProbes)
		}
		if b.ProbeTimeout < 0 {
			bad("%sprobeTimeout: is negative: %v", at, b.ProbeTimeout)
		}
		if n := len(slices.DeleteFunc([]string{b.SecretKeyEnv, b.SecretKeyFile}, func(s string) bool { return s == "" })); (b.AccessKeyID != "") != (n == 1) {
			bad("%saccessKeyId: %q needs exactly one of secretKeyEnv and secretKeyFile", at, b.AccessKeyID)
		}
		if b.AccessKeyID != "" && b.Profile != "" {
			bad("%sprofile: %q, and there is also accessKeyId", at, b.Profile)
		}
	}
	known, err := c.catalog(base)
	if err != nil {
		bad("%v", err)
		known = base
	}
	if c.HedgeAfter < 0 {
		bad("bedrock.hedgeAfter: is negative: %v", c.HedgeAfter)
	}
	c.checkLimits(known, bad)
	c.checkSimulated(known, bad)
	for _, region := range slices.Sorted(maps.Keys(c.Regions)) {
		if _, ok := known.Region(region); !ok && region != everywhere {
			bad("bedrock.regions: there is no Region %q", region)
		}
		for i, r := range c.Regions[region] {
			at := fmt.Sprintf("bedrock.regions.%s[%d].", region, i)
			if _, ok := c.Backends[r.Backend]; !ok {
				bad("%sbackend: there is no backend %q in bedrock.backends", at, r.Backend)
			}
			if !slices.ContainsFunc(known.Models, func(m *catalog.Model) bool { return matches(r.Models, m.ID) }) {
				bad("%smodels: %q fits no model; tokaido's are those of AWS and of bedrock.models", at, r.Models)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		if c.Backends[name].Type != "amazon" {
			continue
		}
		for _, pattern := range slices.Sorted(maps.Keys(c.Backends[name].Models)) {
			id := c.Backends[name].Models[pattern]
			_, isModel := known.Model(id)
			_, isProfile := known.Profile(id)
			if !isModel && !isProfile {
				// Where else it might run could not be told.
				bad("bedrock.backends.%s.models.%s: %q is neither a model nor an inference profile", name, pattern, id)
			}
		}
	}
}

func (c *BedrockConfig) checkLimits(known *catalog.Catalog, bad func(format string, args ...any)) {
	for _, region := range slices.Sorted(maps.Keys(c.Limits)) {
		if _, ok := known.Region(region); !ok {
			bad("bedrock.limits: there is no Region %q", region)
		}
		negative := func(l ModelLimits) bool { return l.Concurrency < 0 || l.RequestsPerMinute < 0 || l.TokensPerMinute < 0 }
		if negative(c.Limits[region].ModelLimits) {
			bad("bedrock.limits.%s: a limit is negative", region)
		}
		models := c.Limits[region].Models
		for _, pattern := range slices.Sorted(maps.Keys(models)) {
			if negative(models[pattern]) {
				bad("bedrock.limits.%s.models.%s: a limit is negative", region, pattern)
			}
			if !slices.ContainsFunc(known.Models, func(m *catalog.Model) bool { return matches(pattern, m.ID) }) {
				bad("bedrock.limits.%s.models: %q fits no model", region, pattern)
			}
		}
	}
}

func (c *BedrockConfig) checkSimulated(known *catalog.Catalog, bad func(format string, args ...any)) {
	for _, region := range slices.Sorted(maps.Keys(c.Simulated.Regions)) {
		at := "bedrock.simulated.regions." + region
		if _, ok := known.Region(region); !ok {
			bad("%s: there is no such Region", at)
		}
		r := c.Simulated.Regions[region]
		if r.Latency < 0 || r.Pace < 0 {
			bad("%s: a time is negative: %v, %v", at, r.Latency, r.Pace)
		}
		if r.CutAfter < 0 || r.Concurrency < 0 || r.RequestsPerMinute < 0 {
			bad("%s: a number is negative: %d, %d, %d", at, r.CutAfter, r.Concurrency, r.RequestsPerMinute)
		}
		if r.Error != "" && !bedrock.IsFault(r.Error) {
			bad("%s.error: %q is none of Bedrock's, like ModelTimeoutException", at, r.Error)
		}
	}
}

// backend is one that was built.
type backend struct {
	name    string
	config  BackendConfig
	serves  bedrock.Backend
	url     string
	regions []string // that lead to it
}

// has says whether a model is there, and what it is called; "": by its usual name.
func (b *backend) has(m *catalog.Model) (string, bool) {
	if len(b.config.Models) == 0 {
		return "", true
	}
	return pick(b.config.Models, m.ID)
}

// backends are all, built, and who answers in each Region.
type backends struct {
	config   *BedrockConfig
	all      map[string]*backend // by name
	simulate *simulated.Backend
}

// newBackends builds what the configuration names. Nothing is connected to.
func newBackends(ctx context.Context, cfg *Config, known *catalog.Catalog) (*backends, error) {
	c := &cfg.Bedrock
	out := &backends{config: c, all: map[string]*backend{}, simulate: simulated.New(cfg.simulated())}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		b := &backend{name: name, config: c.Backends[name]}
		for _, r := range known.Regions {
			if slices.ContainsFunc(out.routes(r.Code), func(x RouteConfig) bool { return x.Backend == name }) {
				b.regions = append(b.regions, r.Code)
			}
		}
		if err := b.build(ctx, cfg, known, out.simulate); err != nil {
			errs = append(errs, fmt.Errorf("bedrock.backends.%s: %w", name, err))
		}
		out.all[name] = b
	}
	return out, errors.Join(errs...)
}

// shortestProbes is the least time between two probes: they are to be a burden to
// nobody.
const shortestProbes = time.Second

// probed are the backends that are asked on a timer whether they are there.
func (b *backends) probed() []probe.Target {
	var out []probe.Target
	for _, name := range slices.Sorted(maps.Keys(b.all)) {
		x := b.all[name]
		t := probe.Target{Name: name, Backend: x.serves, Regions: x.regions, Every: probe.DefaultEvery, Timeout: cmp.Or(x.config.ProbeTimeout, probe.DefaultTimeout)}
		if d := x.config.ProbeInterval; d != nil {
			t.Every = *d
		}
		if t.Every > 0 {
			out = append(out, t)
		}
	}
	return out
}

// routes are those of a Region.
func (b *backends) routes(region string) []RouteConfig {
	if r, ok := b.config.Regions[region]; ok {
		return r
	}
	return b.config.Regions[everywhere]
}

// For is who answers for a model in a Region; nil: nobody. The simulated backend
// answers everywhere where no Region is configured, and else only where it is
// said to: somebody who has real models must not get simulated answers unasked.
func (b *backends) For(region string, m *catalog.Model) bedrock.Backend {
	if len(b.config.Regions) == 0 {
		return b.simulate
	}
	for _, r := range b.routes(region) {
		if !matches(r.Models, m.ID) {
			continue
		}
		if x := b.all[r.Backend]; x != nil {
			if _, ok := x.has(m); ok {
				return x.serves
			}
		}
	}
	return nil
}

// secret reads a key from a variable or a file.
func secret(key, env, file string) (string, error) {
	switch {
	case env != "":
		s := os.Getenv(env)
		if s == "" {
			return "", fmt.Errorf("%sEnv: the variable %s is not set", key, env)
		}
		return s, nil
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%sFile: %w", key, err)
		}
		s := strings.TrimSpace(string(b))
		if s == "" || strings.ContainsAny(s, "\n\r") {
			return "", fmt.Errorf("%sFile: %s does not hold one line", key, file)
		}
		return s, nil
	}
	return "", nil
}

func (b *backend) build(ctx context.Context, cfg *Config, known *catalog.Catalog, sim *simulated.Backend) error {
	c := b.config
	if c.Type == "simulated" {
		b.serves = sim
		return nil
	}
	if len(b.regions) == 0 {
		return fmt.Errorf("no Region in bedrock.regions leads to it")
	}
	conn := upstream.Config{Name: b.name, URL: c.URL, Timeout: c.Timeout, Idle: c.IdleTimeout, CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile, Header: http.Header{}}
	key, err := secret("apiKey", c.APIKeyEnv, c.APIKeyFile)
	if err != nil {
		return err
	}
	named := func(m *catalog.Model) string { s, _ := b.has(m); return s }
	or := func(usual func(*catalog.Model) string) func(*catalog.Model) string {
		return func(m *catalog.Model) string { return cmp.Or(named(m), usual(m)) }
	}
	switch c.Type {
	case "openai":
		b.url = c.URL
		b.serves, err = openai.New(openai.Config{Connection: conn, Key: key, CompletionTokens: c.CompletionTokens, Model: or(func(m *catalog.Model) string { return m.ID })})
	case "anthropic":
		b.url = cmp.Or(c.URL, anthropic.DefaultURL)
		b.serves, err = anthropic.New(anthropic.Config{Connection: conn, Key: key, Model: or(bedrock.ShortName)})
	case "amazon":
		conn.URL = cmp.Or(c.URL, cfg.bedrockEndpoint)
		b.url = cmp.Or(conn.URL, "Amazon Bedrock")
		a := amazon.Config{Connection: conn, Region: c.Region, Model: named, Catalog: known}
		if c.AccessKeyID != "" {
			s, err := secret("secretKey", c.SecretKeyEnv, c.SecretKeyFile)
			if err != nil {
				return err
			}
			a.Credentials = func(context.Context) (sigv4.Credentials, error) {
				return sigv4.Credentials{AccessKeyID: c.AccessKeyID, Secret: s}, nil
			}
		} else if a.Credentials, err = amazon.Chain(ctx, cmp.Or(c.Region, b.regions[0]), c.Profile); err != nil {
			return err
		}
		b.serves, err = amazon.New(a, b.regions)
	}
	return err
}

// ollama is where an Ollama usually listens.
const ollama = "http://127.0.0.1:11434"

const (
	checkTimeout = 3 * time.Second
	knockTimeout = 300 * time.Millisecond
	namedModels  = 5 // of an Ollama's, in what is printed
)

// Answering says what models run on, in lines for whoever started the server. It
// asks every backend whether it is there.
func (s *Server) Answering(ctx context.Context) []string {
	b := s.backends
	if len(b.config.Regions) == 0 {
		return append([]string{"Models are simulated: answers say so."}, knock(ctx, ollama)...)
	}
	names := slices.Sorted(maps.Keys(b.all))
	out := make([]string, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		x := b.all[name]
		wg.Go(func() {
			state := "answers: each says that it is simulated"
			if c, ok := x.serves.(bedrock.Checker); ok {
				ctx, cancel := context.WithTimeout(ctx, checkTimeout)
				defer cancel()
				state = "answers"
				if err := c.Check(ctx); err != nil {
					state = "DOES NOT ANSWER: " + err.Error()
				}
			}
			where := strings.Join(x.regions, ", ")
			if n := len(x.regions); n > namedModels {
				where = fmt.Sprintf("%d Regions", n)
			}
			what := x.config.Type
			if x.url != "" {
				what += " at " + x.url
			}
			out[i] = fmt.Sprintf("Models of %s run on %s (%s), which %s", where, name, what, state)
		})
	}
	wg.Wait()
	return out
}

// knock says how to use an Ollama, if there is one. Nothing uses it unasked.
func knock(ctx context.Context, url string) []string {
	b, err := openai.New(openai.Config{Connection: upstream.Config{Name: "ollama", URL: url + "/v1"}})
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	models, err := b.Models(ctx)
	if err != nil || len(models) == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf("An Ollama answers at %s (%s). To let a model of it answer for Claude, put this into tokaido.yaml:", url, strings.Join(models[:min(len(models), namedModels)], ", ")),
		"  bedrock:",
		"    backends:",
		"      ollama: {type: openai, url: " + url + "/v1, models: {\"anthropic.*\": \"" + models[0] + "\"}}",
		"    regions:",
		"      \"*\": [{models: \"anthropic.*\", backend: ollama}]",
	}
}
