package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tokaido/arn"
)

// What answers of Amazon Bedrock's control plane are read of. Members that are
// not here are told of in notes, so that nobody thinks they were kept.
type (
	answer struct {
		Models    *[]modelSummary   `json:"modelSummaries"`
		Profiles  *[]profileSummary `json:"inferenceProfileSummaries"`
		NextToken string            `json:"nextToken"`
	}
	modelSummary struct {
		Arn            string    `json:"modelArn"`
		ID             string    `json:"modelId"`
		Name           string    `json:"modelName"`
		Provider       string    `json:"providerName"`
		Input          []string  `json:"inputModalities"`
		Output         []string  `json:"outputModalities"`
		Streaming      bool      `json:"responseStreamingSupported"`
		Customizations []string  `json:"customizationsSupported"`
		Types          []string  `json:"inferenceTypesSupported"`
		Life           lifecycle `json:"modelLifecycle"`
	}
	lifecycle struct {
		Status string `json:"status"`
		Start  stamp  `json:"startOfLifeTime"`
		End    stamp  `json:"endOfLifeTime"`
		Legacy stamp  `json:"legacyTime"`               // not kept
		Public stamp  `json:"publicExtendedAccessTime"` // not kept
	}
	profileSummary struct {
		Name        string `json:"inferenceProfileName"`
		Description string `json:"description"` // not kept
		CreatedAt   stamp  `json:"createdAt"`   // not kept
		UpdatedAt   stamp  `json:"updatedAt"`   // not kept
		Arn         string `json:"inferenceProfileArn"`
		Models      []struct {
			Arn string `json:"modelArn"`
		} `json:"models"`
		ID     string `json:"inferenceProfileId"`
		Status string `json:"status"`
		Type   string `json:"type"`
	}
)

// stamp is a time as the API or the aws CLI writes it: text, or epoch seconds.
type stamp string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *stamp) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var text string
	var seconds float64
	switch {
	case json.Unmarshal(b, &text) == nil:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("%q is not a time", short(text))
		}
		*s = stamp(t.UTC().Format(time.DateOnly))
	case json.Unmarshal(b, &seconds) == nil && seconds >= 0 && seconds < 1<<33:
		*s = stamp(time.Unix(int64(seconds), 0).UTC().Format(time.DateOnly))
	default:
		return fmt.Errorf("%s is not a time", short(string(b)))
	}
	return nil
}

// NewSeen is without observations.
func NewSeen() *Seen { return &Seen{Version: fileVersion, Regions: map[string]*View{}} }

// Add reads what ListFoundationModels and ListInferenceProfiles answered, one
// document after the other, as the API or the aws CLI writes it, into s in place
// of what was seen of the same Region before. pages says that the documents are
// all pages of a list, where the API leaves more to ask for.
//
// region is the Region that was asked; where it is "", the ARNs in the answers
// tell, and an empty list is refused.
//
// notes are what was left out on purpose. An error says all that is wrong, and
// nothing was added.
func (s *Seen) Add(region string, b []byte, at time.Time) (notes []string, err error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("has %d bytes, more than %d", len(b), MaxFile)
	}
	type part struct {
		region string
		view   View
	}
	var parts []part
	when := at.UTC().Format(time.RFC3339)
	note := func(format string, args ...any) {
		if n := fmt.Sprintf(format, args...); !slices.Contains(notes, n) {
			notes = append(notes, n)
		}
	}
	open := "" // the list that goes on in the next document
	for dec := json.NewDecoder(bytes.NewReader(b)); ; {
		var raw json.RawMessage
		if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("is no JSON: %w", err)
		}
		var a answer
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, err
		}
		if (a.Models == nil) == (a.Profiles == nil) {
			return nil, errors.New("is an answer of neither ListFoundationModels nor ListInferenceProfiles: it needs modelSummaries or inferenceProfileSummaries")
		}
		unknown(raw, note)
		p, kind := part{region: region}, "models"
		if a.Models != nil {
			p.view.ModelsAt, p.view.Models = when, []SeenModel{}
			err = readModels(*a.Models, &p.region, &p.view, note)
		} else {
			kind = "profiles"
			p.view.ProfilesAt, p.view.Profiles = when, []SeenProfile{}
			err = readProfiles(*a.Profiles, &p.region, &p.view, note)
		}
		if err != nil {
			return nil, err
		}
		if open == kind && len(parts) > 0 && parts[len(parts)-1].region == p.region {
			last := &parts[len(parts)-1].view
			last.Models, last.Profiles = append(last.Models, p.view.Models...), append(last.Profiles, p.view.Profiles...)
		} else if open != "" {
			break
		} else {
			parts = append(parts, p)
		}
		if open = ""; a.NextToken != "" {
			open = kind
		}
	}
	if open != "" {
		return nil, fmt.Errorf("has only a part of the list of %s: its nextToken leads to more, which must follow", open)
	}
	if len(parts) == 0 {
		return nil, errors.New("is empty")
	}
	var errs []error
	for i := range parts {
		p := &parts[i]
		slices.SortFunc(p.view.Models, func(a, b SeenModel) int { return strings.Compare(a.ID, b.ID) })
		slices.SortFunc(p.view.Profiles, func(a, b SeenProfile) int { return strings.Compare(a.ID, b.ID) })
		p.view.check(p.region, p.region, func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i := range parts {
		s.Merge(&Seen{Regions: map[string]*View{parts[i].region: &parts[i].view}})
	}
	return notes, nil
}

// NextToken is that of an answer; "" if there is no more.
func NextToken(b []byte) string {
	var a struct{ NextToken string }
	_ = json.Unmarshal(b, &a) // Add says what is wrong with it
	return a.NextToken
}

// Merge puts what another has seen in place of what s has of the same Regions.
func (s *Seen) Merge(with *Seen) {
	for region, v := range with.Regions {
		to := s.Regions[region]
		if to == nil {
			to = &View{}
			s.Regions[region] = to
		}
		if v.ModelsAt != "" {
			to.ModelsAt, to.Models = v.ModelsAt, v.Models
		}
		if v.ProfilesAt != "" {
			to.ProfilesAt, to.Profiles = v.ProfilesAt, v.Profiles
		}
	}
}

// known are the members of an answer, by the list that they are in.
var known = map[string][]string{
	"":                          {"modelSummaries", "inferenceProfileSummaries", "nextToken", "NextToken"},
	"modelSummaries":            {"modelArn", "modelId", "modelName", "providerName", "inputModalities", "outputModalities", "responseStreamingSupported", "customizationsSupported", "inferenceTypesSupported", "modelLifecycle"},
	"inferenceProfileSummaries": {"inferenceProfileName", "description", "createdAt", "updatedAt", "inferenceProfileArn", "models", "inferenceProfileId", "status", "type"},
}

// unknown notes the members that nothing here reads.
func unknown(raw json.RawMessage, note func(string, ...any)) {
	var top map[string]json.RawMessage
	if json.Unmarshal(raw, &top) != nil {
		return
	}
	for name, in := range top {
		if !slices.Contains(known[""], name) {
			note("%s is not read", short(name))
		}
		var list []map[string]json.RawMessage
		if known[name] == nil || json.Unmarshal(in, &list) != nil {
			continue
		}
		for _, x := range list {
			for member := range x {
				if !slices.Contains(known[name], member) {
					note("%s[].%s is not read", name, short(member))
				}
			}
		}
	}
}

// in notes a Region, which must be that of all others in the document.
func in(at, s string, kind string, region *string) (rest string, err error) {
	a, err := arn.Parse(s)
	if err != nil || a.Service != "bedrock" {
		return "", fmt.Errorf("%s: %q is no ARN of Bedrock", at, short(s))
	}
	rest, ok := strings.CutPrefix(a.Resource, kind+"/")
	switch {
	case !ok:
		return "", fmt.Errorf("%s: %q is not the ARN of a %s", at, short(s), kind)
	case !regionCode.MatchString(a.Region):
		return "", fmt.Errorf("%s: %q has no Region", at, short(s))
	case a.Partition != arn.PartitionOf(a.Region):
		return "", fmt.Errorf("%s: %q has another partition than its Region", at, short(s))
	case *region != "" && *region != a.Region:
		return "", fmt.Errorf("%s: %q is in another Region than what stands before it, %s", at, short(s), *region)
	}
	*region = a.Region
	return rest, nil
}

func readModels(list []modelSummary, region *string, v *View, note func(string, ...any)) error {
	var errs []error
	for i, m := range list {
		at := fmt.Sprintf("modelSummaries[%d]", i)
		id, err := in(at+".modelArn", m.Arn, "foundation-model", region)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if id != m.ID {
			errs = append(errs, fmt.Errorf("%s.modelId: %q is not the id in modelArn, %q", at, short(m.ID), short(id)))
			continue
		}
		for _, t := range m.Types {
			if !slices.Contains([]string{onDemand, provisioned, byProfile}, t) {
				errs = append(errs, fmt.Errorf("%s.inferenceTypesSupported: %q is none of %s, %s, %s", at, short(t), onDemand, provisioned, byProfile))
			}
		}
		if len(m.Types) > 0 && !slices.Contains(m.Types, onDemand) && !slices.Contains(m.Types, byProfile) {
			note("%s is left out: it is for provisioned throughput only", short(m.ID))
			continue
		}
		for _, list := range [][]string{m.Input, m.Output, m.Customizations} { // AWS's order says nothing
			slices.Sort(list)
		}
		v.Models = append(v.Models, SeenModel{
			ID: m.ID, Provider: m.Provider, Name: m.Name, Input: m.Input, Output: m.Output, Streaming: m.Streaming, Customizations: m.Customizations,
			Status: m.Life.Status, Launch: string(m.Life.Start), EndOfLife: string(m.Life.End), OnDemand: slices.Contains(m.Types, onDemand),
		})
	}
	if *region == "" && errs == nil {
		errs = append(errs, errors.New("modelSummaries: is empty, and which Region it is of cannot be told"))
	}
	return errors.Join(errs...)
}

// How models can be called.
const (
	onDemand    = "ON_DEMAND"
	provisioned = "PROVISIONED"
	byProfile   = "INFERENCE_PROFILE"
)

func readProfiles(list []profileSummary, region *string, v *View, note func(string, ...any)) error {
	var errs []error
	for i, p := range list {
		at := fmt.Sprintf("inferenceProfileSummaries[%d]", i)
		bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(at+format, args...)) }
		if p.Type == "APPLICATION" {
			if _, err := in(at+".inferenceProfileArn", p.Arn, "application-inference-profile", region); err != nil {
				errs = append(errs, err)
			}
			note("%s is left out: it is an application inference profile", short(p.ID))
			continue
		}
		id, err := in(at+".inferenceProfileArn", p.Arn, "inference-profile", region)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case p.Type != "SYSTEM_DEFINED":
			bad(".type: %q is neither SYSTEM_DEFINED nor APPLICATION", short(p.Type))
		case p.Status != "ACTIVE":
			bad(".status: %q is not ACTIVE", short(p.Status))
		case id != p.ID:
			bad(".inferenceProfileId: %q is not the id in inferenceProfileArn, %q", short(p.ID), short(id))
		case len(p.Models) == 0:
			bad(".models: is empty")
		}
		x := SeenProfile{ID: p.ID, Name: p.Name}
		global := false
		for j, m := range p.Models {
			at := fmt.Sprintf(".models[%d].modelArn", j)
			a, err := arn.Parse(m.Arn)
			model, ok := strings.CutPrefix(a.Resource, "foundation-model/")
			if err != nil || a.Service != "bedrock" || !ok {
				bad("%s: %q is not the ARN of a foundation model", at, short(m.Arn))
				continue
			}
			if x.Model == "" {
				x.Model = model
			}
			if x.Model != model {
				bad("%s: %q is another model than %q", at, short(model), short(x.Model))
			}
			if a.Region == "" {
				global = true
			} else {
				x.To = append(x.To, a.Region)
			}
		}
		slices.Sort(x.To)
		if global { // it also names the source Region, and no destination
			x.To = nil
		}
		v.Profiles = append(v.Profiles, x)
	}
	if *region == "" && errs == nil {
		errs = append(errs, errors.New("inferenceProfileSummaries: is empty, and which Region it is of cannot be told"))
	}
	return errors.Join(errs...)
}
