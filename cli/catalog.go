package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tokaido/arn"
	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/server"
)

func catalogCommand() *cobra.Command {
	return group("catalog", "Models, inference profiles and their Regions", catalogList(), catalogShow(), catalogUpdate())
}

// What a model is called by: --type of catalog list.
const (
	typeOnDemand = "on-demand"
	typeProfile  = "profile"
)

// lifecycles are the values of --lifecycle.
var lifecycles = map[string]string{"active": catalog.Active, "legacy": catalog.Legacy, "gone": catalog.Gone}

// printedModel is a model in the JSON of catalog list and show.
type printedModel struct {
	ID             string   `json:"modelId"`
	Provider       string   `json:"provider"`
	Name           string   `json:"name"`
	Lifecycle      string   `json:"lifecycle"`
	Launch         string   `json:"launch,omitempty"`
	EndOfLife      string   `json:"endOfLife,omitempty"`
	Input          []string `json:"input,omitempty"`
	Output         []string `json:"output,omitempty"`
	Streaming      bool     `json:"streaming"`
	Customizations []string `json:"customizations,omitempty"`
	ContextWindow  int      `json:"contextWindow,omitempty"`
	MaxOutput      int      `json:"maxOutput,omitempty"`
	OnDemand       []string `json:"onDemand"` // Regions
	Profiles       []string `json:"profiles"`
}

func printModel(m *catalog.Model) printedModel {
	p := printedModel{
		ID: m.ID, Provider: m.Provider, Name: m.Name, Lifecycle: m.Status, Launch: m.Launch, EndOfLife: m.EndOfLife, Input: m.Input, Output: m.Output,
		Streaming: m.Streaming, Customizations: m.Customizations, ContextWindow: m.ContextWindow, MaxOutput: m.MaxOutput,
		OnDemand: slices.Concat([]string{}, m.OnDemandRegions()), Profiles: []string{},
	}
	for _, x := range m.Profiles() {
		p.Profiles = append(p.Profiles, x.ID)
	}
	return p
}

// printedProfile is a profile in the JSON of catalog list and show.
type printedProfile struct {
	ID        string              `json:"inferenceProfileId"`
	Name      string              `json:"name"`
	Model     string              `json:"modelId"`
	Lifecycle string              `json:"lifecycle"` // the model's
	Type      string              `json:"type"`      // geographic, global or operator
	Regions   map[string][]string `json:"regions"`   // from a Region to those that may answer
}

func printProfile(p *catalog.Profile) printedProfile {
	out := printedProfile{ID: p.ID, Name: p.Name, Model: p.Model.ID, Lifecycle: p.Model.Status, Type: profileType(p), Regions: map[string][]string{}}
	for _, src := range p.Sources() {
		out.Regions[src] = p.Destinations(src)
	}
	return out
}

func profileType(p *catalog.Profile) string {
	switch {
	case p.Operator:
		return "operator"
	case p.Global:
		return "global"
	}
	return "geographic"
}

func catalogList() *cobra.Command {
	var f configFlags
	var region, provider, how, life, format string
	var profiles bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List foundation models, or inference profiles",
		Long: `List the foundation models that are known, or with --profiles the inference profiles:
what came with the program, what 'tokaido catalog update' found since, and what the
configuration adds. With --region those that can be called from there.`,
		Example: `  tokaido catalog list --region ap-northeast-1 --provider anthropic --type profile
  tokaido catalog list --profiles --region ap-northeast-3`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			if how != "" {
				if err := oneOf("type", how, typeOnDemand, typeProfile); err != nil {
					return err
				}
			}
			if life != "" {
				if err := oneOf("lifecycle", life, "active", "legacy", "gone"); err != nil {
					return err
				}
			}
			_, all, err := f.catalog(c)
			if err != nil {
				return err
			}
			if _, ok := all.Region(region); !ok && region != "" {
				return usageError{fmt.Errorf("--region: there is no Region %q", region)}
			}
			if provider != "" && !slices.ContainsFunc(all.Models, func(m *catalog.Model) bool { return strings.EqualFold(m.Provider, provider) }) {
				return usageError{fmt.Errorf("--provider: no model is of %q", provider)}
			}
			fits := func(m *catalog.Model) bool {
				return (provider == "" || strings.EqualFold(provider, m.Provider)) && (life == "" || lifecycles[life] == m.Status)
			}
			out := c.OutOrStdout()
			if profiles {
				if how == typeOnDemand {
					return usageError{fmt.Errorf("--type %s and --profiles: a profile is none", how)}
				}
				list := []*catalog.Profile{}
				for _, p := range all.Profiles {
					if fits(p.Model) && (region == "" || p.Destinations(region) != nil) {
						list = append(list, p)
					}
				}
				return listProfiles(out, list, region, format)
			}
			list := []*catalog.Model{}
			for _, m := range all.Models {
				if direct, through := callable(m, region); fits(m) && (direct && how != typeProfile || through != nil && how != typeOnDemand || !direct && through == nil && how == "" && region == "") {
					list = append(list, m)
				}
			}
			return listModels(out, list, region, format)
		},
	}
	f.data(c)
	c.Flags().StringVar(&region, "region", "", "what can be called from a `Region`")
	c.Flags().StringVar(&provider, "provider", "", "models of a `provider`")
	c.Flags().StringVar(&how, "type", "", "models that can be called by their own id (on-demand) or through a profile (profile)")
	c.Flags().StringVar(&life, "lifecycle", "", "active, legacy, or gone: what AWS lists no more")
	c.Flags().BoolVar(&profiles, "profiles", false, "list inference profiles")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// callable says how a model can be called from a Region; from any if it is "".
func callable(m *catalog.Model, region string) (direct bool, through []*catalog.Profile) {
	for _, p := range m.Profiles() {
		if region == "" || p.Destinations(region) != nil {
			through = append(through, p)
		}
	}
	return region == "" && len(m.OnDemandRegions()) > 0 || m.OnDemand(region), through
}

func listModels(w io.Writer, list []*catalog.Model, region, format string) error {
	if format == "json" {
		out := make([]printedModel, len(list))
		for i, m := range list {
			out[i] = printModel(m)
		}
		return printIndented(w, out)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tPROVIDER\tLIFECYCLE\tENDS\tON DEMAND\tPROFILES")
	for _, m := range list {
		direct, through := callable(m, region)
		where := "-"
		switch n := len(m.OnDemandRegions()); {
		case direct && region != "":
			where = "yes"
		case direct && n == 1:
			where = "1 Region"
		case direct:
			where = fmt.Sprintf("%d Regions", n)
		}
		var prefixes []string
		for _, p := range through {
			prefixes = append(prefixes, p.Prefix)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Provider, m.Status, cmp.Or(m.EndOfLife, "-"), where, cmp.Or(strings.Join(prefixes, " "), "-"))
	}
	return t.Flush()
}

func listProfiles(w io.Writer, list []*catalog.Profile, region, format string) error {
	if format == "json" {
		out := make([]printedProfile, len(list))
		for i, p := range list {
			out[i] = printProfile(p)
		}
		return printIndented(w, out)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROFILE\tNAME\tTYPE\tLIFECYCLE\tMAY BE ANSWERED IN")
	for _, p := range list {
		where := fmt.Sprintf("from %d Regions", len(p.Sources()))
		switch {
		case p.Global:
			where = "any commercial Region"
		case region != "":
			where = strings.Join(p.Destinations(region), " ")
		case len(p.Sources()) == 1:
			where = "from 1 Region"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", p.ID, p.Name, profileType(p), p.Model.Status, where)
	}
	return t.Flush()
}

func printIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// catalog reads the configuration and the catalog that it makes.
func (f *configFlags) catalog(c *cobra.Command) (server.Config, *catalog.Catalog, error) {
	cfg, err := f.config(c)
	if err != nil {
		return cfg, nil, err
	}
	all, err := cfg.Catalog()
	return cfg, all, err
}

// models is the catalog for commands that need nothing of a server: where there
// is no home to look for data in, it is the one that came with the program.
func (f *configFlags) models(c *cobra.Command) (*catalog.Catalog, error) {
	if _, err := server.Default(); err != nil && f.file == "" && f.dataDir == "" {
		return catalog.Load(), nil
	}
	_, all, err := f.catalog(c)
	return all, err
}

// shown is what catalog show prints.
type shown struct {
	Model   *printedModel   `json:"model,omitempty"`
	Profile *printedProfile `json:"profile,omitempty"`
	ARN     string          `json:"arn,omitempty"` // in Region
	Region  string          `json:"region,omitempty"`
	Needs   []printedNeed   `json:"needs,omitempty"`   // of a call from Region
	Refused string          `json:"refused,omitempty"` // why there cannot be one
}

// printedNeed is one thing that must be allowed.
type printedNeed struct {
	Resource string            `json:"resource"`
	Context  map[string]string `json:"conditionKeys"`
}

func catalogShow() *cobra.Command {
	var f configFlags
	var region, account, format string
	c := &cobra.Command{
		Use:   "show MODEL|PROFILE",
		Short: "Show a model or an inference profile: Regions, ARNs, and what IAM must allow",
		Long: `Show a foundation model or an inference profile, by its id or ARN: from which Regions
it can be called, which may answer, its lifecycle, its ARNs, and what a call from a
Region needs to be allowed.`,
		Example: `  tokaido catalog show jp.anthropic.claude-sonnet-4-5-20250929-v1:0 --region ap-northeast-3`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			cfg, all, err := f.catalog(c)
			if err != nil {
				return err
			}
			if _, ok := all.Region(region); !ok && region != "" {
				return usageError{fmt.Errorf("--region: there is no Region %q", region)}
			}
			id := args[0]
			if a, err := arn.Parse(id); err == nil {
				kind, rest := a.Split()
				if a.Service != "bedrock" || kind != "foundation-model" && kind != "inference-profile" {
					return fmt.Errorf("%s is the ARN of neither a foundation model nor a system-defined inference profile", id)
				}
				id, region, account = rest, cmp.Or(region, a.Region), cmp.Or(account, a.Account)
			}
			account = cmp.Or(account, cfg.Account, "ACCOUNT")
			s := shown{Region: region}
			var sources []string
			if p, ok := all.Profile(id); ok {
				s.Profile, sources = new(printProfile(p)), p.Sources()
			} else if m, ok := all.Model(id); ok {
				s.Model, sources = new(printModel(m)), m.OnDemandRegions()
			} else {
				return fmt.Errorf("there is no model or inference profile %q; 'tokaido catalog list' has all", id)
			}
			if s.Region == "" {
				s.Region = usual(cfg.Region, sources)
			}
			s.needs(all, id, account)
			if format == "json" {
				return printIndented(c.OutOrStdout(), s)
			}
			return s.print(c.OutOrStdout(), all)
		},
	}
	f.data(c)
	c.Flags().StringVar(&region, "region", "", "`Region` of the call (default: the configuration's, else Tokyo, else the first)")
	c.Flags().StringVar(&account, "account", "", "`number` that stands in ARNs")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// usual is a Region to show a call from.
func usual(configured string, sources []string) string {
	for _, r := range []string{configured, "ap-northeast-1"} {
		if slices.Contains(sources, r) {
			return r
		}
	}
	if len(sources) > 0 {
		return sources[0]
	}
	return ""
}

// needs fills in what a call from s.Region needs.
func (s *shown) needs(all *catalog.Catalog, id, account string) {
	if s.Region == "" {
		return
	}
	rt := bedrock.New(bedrock.Config{Catalog: all, Backend: func(string, *catalog.Model) bedrock.Backend { return nil }})
	p, err := rt.Plan(s.Region, account, id)
	if err != nil {
		s.Refused = err.Error()
		return
	}
	if s.ARN = p.ProfileARN; s.ARN == "" {
		s.ARN = bedrock.ModelARN(s.Region, s.Region, id)
	}
	for _, n := range p.Needs(bedrock.ActionInvoke) {
		x := printedNeed{n.Resource, map[string]string{}}
		for _, a := range n.Context {
			x.Context[a.Key] = strings.Join(a.Values, ", ")
		}
		s.Needs = append(s.Needs, x)
	}
}

func (s *shown) print(w io.Writer, all *catalog.Catalog) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, value)
		}
	}
	named := func(code string) string {
		if r, ok := all.Region(code); ok && r.Short != code {
			return code + " " + r.Short
		}
		return code
	}
	model := s.Model
	if p := s.Profile; p != nil {
		line("PROFILE", p.ID)
		line("name", p.Name)
		line("type", p.Type)
		m, _ := all.Model(p.Model)
		model = new(printModel(m))
		line("model", fmt.Sprintf("%s (%s %s)", m.ID, m.Provider, m.Name))
	} else {
		line("MODEL", model.ID)
		line("name", strings.TrimSpace(model.Provider+" "+model.Name))
	}
	life := model.Lifecycle
	if model.Launch != "" {
		life += ", since " + model.Launch
	}
	if model.EndOfLife != "" {
		life += ", end of life " + model.EndOfLife
	}
	line("lifecycle", life)
	line("input", strings.Join(model.Input, " "))
	line("output", strings.Join(model.Output, " "))
	line("streaming", map[bool]string{true: "yes", false: "no"}[model.Streaming])
	if model.ContextWindow > 0 {
		line("context window", fmt.Sprintf("%d tokens", model.ContextWindow))
	}
	if model.MaxOutput > 0 {
		line("output limit", fmt.Sprintf("%d tokens", model.MaxOutput))
	}
	if s.Profile == nil {
		var where []string
		for _, r := range model.OnDemand {
			where = append(where, named(r))
		}
		line("on demand in", cmp.Or(strings.Join(where, ", "), "no Region"))
		for i, id := range model.Profiles {
			p, _ := all.Profile(id)
			key := ""
			if i == 0 {
				key = "profiles"
			}
			fmt.Fprintf(t, "%s\t%s, from %s\n", key, id, strings.Join(p.Sources(), " "))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if p := s.Profile; p != nil {
		fmt.Fprintln(w)
		t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "CALLED FROM\tMAY BE ANSWERED IN")
		for _, src := range slices.Sorted(maps.Keys(p.Regions)) {
			to := "any commercial Region"
			if p.Type != "global" {
				to = strings.Join(p.Regions[src], " ")
			}
			fmt.Fprintf(t, "%s\t%s\n", named(src), to)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	switch {
	case s.Region == "":
		return nil
	case s.Refused != "":
		_, err := fmt.Fprintf(w, "\nFrom %s: %s\n", named(s.Region), s.Refused)
		return err
	}
	fmt.Fprintf(w, "\nA call from %s needs bedrock:InvokeModel (of streams: bedrock:InvokeModelWithResponseStream) on\n", named(s.Region))
	for _, n := range s.Needs {
		fmt.Fprintf(w, "  %s\n", n.Resource)
		for _, k := range slices.Sorted(maps.Keys(n.Context)) {
			fmt.Fprintf(w, "      %s = %s\n", k, n.Context[k])
		}
	}
	return nil
}
