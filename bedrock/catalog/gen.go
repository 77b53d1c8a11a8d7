//go:build ignore

// Gen writes catalog.txt from the gathered JSON files: regions.json,
// foundation-models.json and inference-profiles.json in the folder named by
// -in, else by TOKAIDO_DATA, else ../shared/data beside the module's root.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type region struct {
	Code, NameEn, ShortNameEn, NameJa, LongNameJa, Geography, Partition string
	OptIn                                                               bool
}

type model struct {
	ModelID                    string `json:"modelId"`
	ProviderName, ModelName    string
	InputModalities            []string
	OutputModalities           []string
	ResponseStreamingSupported bool
	CustomizationsSupported    []string
	ModelLifecycle             struct{ Status, Eol, Launch, EolNoSoonerThan string }
	Endpoints                  []string
	ContextWindow              int
	MaxOutputTokens            int
	Regions                    map[string]struct{ InRegion bool }
}

type profile struct {
	ID, Name, Prefix, Scope string
	ModelID                 string `json:"modelId"`
	Sources                 map[string][]string
}

func main() {
	log.SetFlags(0)
	dir := os.Getenv("TOKAIDO_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	in := flag.String("in", dir, "folder of the JSON files")
	out := flag.String("out", "catalog.txt", "file to write")
	flag.Parse()

	var rs struct{ Regions []region }
	var ms struct{ Models []model }
	var ps struct {
		Generated string
		Profiles  []profile
	}
	read(*in, "regions.json", &rs)
	read(*in, "foundation-models.json", &ms)
	read(*in, "inference-profiles.json", &ps)

	var sets bytes.Buffer
	names := map[string]string{}
	set := func(regions []string) string {
		if len(regions) == 0 {
			return "-"
		}
		slices.Sort(regions)
		key := strings.Join(regions, " ")
		if key == "*" {
			return "*"
		}
		n, ok := names[key]
		if !ok {
			n = fmt.Sprintf("s%d", len(names)+1)
			names[key] = n
			fmt.Fprintf(&sets, "set\t%s\t%s\n", n, key)
		}
		return n
	}

	var lines bytes.Buffer
	row := func(kind string, cells ...string) {
		lines.WriteString(kind)
		for _, c := range cells {
			if strings.ContainsAny(c, "\t\n") {
				log.Fatalf("%s %q: a cell with a tab or a line break", kind, cells)
			}
			if c == "" {
				c = "-"
			}
			lines.WriteString("\t" + c)
		}
		lines.WriteByte('\n')
	}
	var regions bytes.Buffer
	for _, r := range rs.Regions {
		row("region", r.Code, r.NameEn, r.ShortNameEn, r.NameJa, r.LongNameJa, r.Geography, r.Partition, flagged(r.OptIn, "opt-in"))
	}
	regions.Write(lines.Bytes())
	lines.Reset()
	slices.SortFunc(ms.Models, func(a, b model) int { return strings.Compare(a.ModelID, b.ModelID) })
	for _, m := range ms.Models {
		var onDemand []string
		for r, v := range m.Regions { // set sorts
			if v.InRegion {
				onDemand = append(onDemand, r)
			}
		}
		l := m.ModelLifecycle
		row("model", m.ModelID, m.ProviderName, m.ModelName,
			strings.Join(m.InputModalities, ","), strings.Join(m.OutputModalities, ","),
			flagged(m.ResponseStreamingSupported, "stream"), strings.Join(m.CustomizationsSupported, ","),
			l.Status, l.Launch, l.Eol, l.EolNoSoonerThan, strings.Join(m.Endpoints, ","),
			number(m.ContextWindow), number(m.MaxOutputTokens), set(onDemand))
	}
	slices.SortFunc(ps.Profiles, func(a, b profile) int { return strings.Compare(a.ID, b.ID) })
	for _, p := range ps.Profiles {
		if p.ID != p.Prefix+"."+p.ModelID || (p.Scope == "global") != (p.Prefix == "global") {
			log.Fatalf("profile %s: the id does not follow from prefix and model", p.ID)
		}
		// Sources that share their destinations share a row.
		to := map[string][]string{}
		for _, src := range slices.Sorted(maps.Keys(p.Sources)) {
			d := set(p.Sources[src])
			to[d] = append(to[d], src)
		}
		var rows []string
		for _, d := range slices.Sorted(maps.Keys(to)) {
			rows = append(rows, set(to[d])+">"+d)
		}
		row("profile", p.ID, p.Name, p.ModelID, strings.Join(rows, " "))
	}

	var b bytes.Buffer
	fmt.Fprintf(&b, "# Regions, foundation models and system-defined inference profiles of Amazon Bedrock.\n")
	fmt.Fprintf(&b, "# Made by gen.go from data gathered on %s: GetInferenceProfile and ListFoundationModels\n", ps.Generated)
	fmt.Fprintf(&b, "# answers published by others, AWS's user guide tables and model cards. Do not edit.\n")
	fmt.Fprintf(&b, "# region: code, English, short, Japanese, long Japanese, geography, partition, opt-in\n")
	fmt.Fprintf(&b, "# set: name, Regions\n")
	fmt.Fprintf(&b, "# model: id, provider, name, input, output, stream, customizations, status, launch, end of life,\n")
	fmt.Fprintf(&b, "#   no end of life before, endpoints, context window, output limit, set where the bare id is on demand\n")
	fmt.Fprintf(&b, "# profile: id, name, model, rows of source set > destination set (*: any supported commercial Region)\n")
	b.Write(regions.Bytes())
	b.Write(sets.Bytes())
	b.Write(lines.Bytes())
	if err := os.WriteFile(*out, b.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	log.Printf("%s: %d Regions, %d models, %d profiles, %d sets, %d bytes", *out, len(rs.Regions), len(ms.Models), len(ps.Profiles), len(names), b.Len())
}

func flagged(on bool, name string) string {
	if on {
		return name
	}
	return ""
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func read(dir, name string, into any) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		log.Fatal(name, ": ", err)
	}
}
