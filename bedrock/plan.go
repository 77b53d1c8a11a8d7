package bedrock

import (
	"slices"
	"strings"

	"tokaido/arn"
	"tokaido/bedrock/catalog"
	"tokaido/iam"
)

// The actions that a call of the runtime API needs.
const (
	ActionInvoke = "bedrock:InvokeModel"                   // InvokeModel, Converse
	ActionStream = "bedrock:InvokeModelWithResponseStream" // their streams
	ActionCount  = "bedrock:CountTokens"
)

const maxModelID = 2048 // bytes; AWS's limit

// Plan is where one call may run and what it needs.
type Plan struct {
	Requested string // the modelId as the caller gave it
	Region    string // in which the call was made: the source Region
	Account   string // the caller's

	Profile     *catalog.Profile // nil: the model is called by its own id
	Application *Application     // set if the profile, or the model, was called through one
	ProfileARN  string           // of the profile called, system-defined or application; "" if none
	Model       *catalog.Model
	ModelID     string

	// Regions may answer; the source Region is first where it is one of them.
	// The slice is shared.
	Regions []string

	route    *route
	together []string // all Regions of the partition
}

// Plan resolves a modelId in any of the forms that AWS accepts. It calls nobody.
// The error is a *fault.Error in AWS's words.
func (rt *Runtime) Plan(region, account, modelID string) (*Plan, error) {
	p := &Plan{Requested: modelID, Region: region, Account: account, together: rt.catalog.Together(region)}
	if modelID == "" || len(modelID) > maxModelID {
		return nil, invalidModel()
	}
	id, byARN := modelID, false
	if strings.HasPrefix(modelID, "arn:") {
		a, err := arn.Parse(modelID)
		if err != nil || a.Partition != arn.PartitionOf(region) || a.Region != region {
			return nil, invalidModel()
		}
		kind, rest, _ := strings.Cut(a.Resource, "/")
		switch {
		case a.Service == "sagemaker" && kind == "endpoint",
			a.Service == "bedrock" && slices.Contains(elsewhere, kind):
			return nil, unsupported("modelId with a resource of the kind "+kind, modelID)
		case a.Service != "bedrock":
			return nil, invalidModel()
		case kind == "foundation-model" && a.Account == "":
			if m, ok := rt.catalog.Model(rest); ok {
				return rt.direct(p, m)
			}
			return nil, invalidModel()
		case a.Account != account:
			return nil, invalidModel()
		case kind == "inference-profile":
			id, byARN = rest, true
		case kind == "application-inference-profile":
			app, ok := rt.config.Applications.Get(region, account, rest)
			if !ok {
				return nil, invalidModel()
			}
			p.Application, p.ProfileARN = app, modelID
			id = app.Copy
		default:
			return nil, invalidModel()
		}
	}
	if s, ok := rt.catalog.Profile(id); ok {
		if s.Destinations(region) == nil {
			return nil, invalidModel()
		}
		p.Profile, p.Model, p.ModelID = s, s.Model, s.Model.ID
		if p.Application == nil {
			p.ProfileARN = ProfileARN(region, account, s.ID)
		}
		return rt.routed(p, s.ID), nil
	}
	if m, ok := rt.catalog.Model(id); ok && !byARN {
		return rt.direct(p, m)
	}
	return nil, invalidModel()
}

// elsewhere are resources that AWS would invoke and that this server never has.
var elsewhere = []string{"custom-model", "custom-model-deployment", "imported-model", "provisioned-model", "prompt", "prompt-router", "default-prompt-router"}

func (rt *Runtime) direct(p *Plan, m *catalog.Model) (*Plan, error) {
	if !m.OnDemand(p.Region) {
		for _, s := range m.Profiles() {
			if s.Destinations(p.Region) != nil {
				// U+2019 in isn’t: clients match the text literally.
				return nil, invalidf("Invocation of model ID %s with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.", m.ID)
			}
		}
		return nil, invalidModel()
	}
	p.Model, p.ModelID = m, m.ID
	return rt.routed(p, m.ID), nil
}

// PlanHere resolves the id or ARN of a model for a call that another node has
// routed: only this Region may answer.
func (rt *Runtime) PlanHere(region, account, modelID string) (*Plan, error) {
	id := modelID
	if a, err := arn.Parse(modelID); err == nil && a.Service == "bedrock" && a.Region == region {
		id = strings.TrimPrefix(a.Resource, "foundation-model/")
	}
	m, ok := rt.catalog.Model(id)
	if !ok || rt.catalog.Together(region) == nil {
		return nil, invalidModel()
	}
	return rt.routed(&Plan{Requested: modelID, Region: region, Account: account, together: rt.catalog.Together(region), Model: m, ModelID: m.ID}, m.ID), nil
}

func (rt *Runtime) routed(p *Plan, id string) *Plan {
	p.route = rt.routeOf(p, id)
	p.Regions = p.route.regions
	return p
}

func invalidModel() error { return invalidf("The provided model identifier is invalid.") }

// ModelARN is a foundation model's ARN in a Region; in the empty Region it is
// the one that a global profile is authorized on, in the partition of source.
func ModelARN(source, region, model string) string {
	return "arn:" + arn.PartitionOf(source) + ":bedrock:" + region + "::foundation-model/" + model
}

// ProfileARN is a system-defined profile's ARN.
func ProfileARN(region, account, id string) string {
	return arn.New("bedrock", region, account, "inference-profile/"+id).String()
}

// ApplicationARN is an application inference profile's ARN.
func ApplicationARN(region, account, id string) string {
	return arn.New("bedrock", region, account, "application-inference-profile/"+id).String()
}

// Needs lists what must be allowed before a call is sent anywhere: the profile,
// the model in the source Region, and the model in every other Region that may
// answer (of a global profile: in none, which is "unspecified"). The list is
// shared and must not be changed.
func (p *Plan) Needs(action string) []iam.Authorization {
	if p.Application != nil { // its tags may change
		return p.needs(action)
	}
	r, key := p.route, needsKey{p.Account, action}
	r.mu.RLock()
	needs := r.needs[key]
	r.mu.RUnlock()
	if needs != nil {
		return needs
	}
	needs = p.needs(action)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.needs == nil || len(r.needs) >= maxNeeds {
		r.needs = map[needsKey][]iam.Authorization{}
	}
	r.needs[key] = needs
	return needs
}

type needsKey struct{ account, action string }

const maxNeeds = 64 // lists kept for a route: accounts times actions

func (p *Plan) needs(action string) []iam.Authorization {
	needs := make([]iam.Authorization, 0, len(p.Regions)+2)
	var via []string
	if p.ProfileARN != "" {
		via = []string{p.ProfileARN}
		if action != ActionCount { // the action knows foundation models only
			c := iam.Context{{Key: "aws:RequestedRegion", Values: []string{p.Region}}}
			if p.Application != nil {
				for _, t := range sortTags(p.Application.Tags) {
					c = append(c, iam.Attribute{Key: "aws:ResourceTag/" + t[0], Values: []string{t[1]}})
				}
			}
			needs = append(needs, iam.Authorization{Action: action, Resource: p.ProfileARN, Context: c})
		}
	}
	model := func(region, requested string) {
		c := iam.Context{{Key: "aws:RequestedRegion", Values: []string{requested}}}
		if via != nil {
			c = append(c, iam.Attribute{Key: "bedrock:InferenceProfileArn", Values: via})
		}
		needs = append(needs, iam.Authorization{Action: action, Resource: ModelARN(p.Region, region, p.ModelID), Context: c})
	}
	model(p.Region, p.Region)
	if p.Profile != nil && p.Profile.Global {
		model("", "unspecified")
		return slices.Clip(needs)
	}
	for _, r := range p.Regions {
		if r != p.Region {
			model(r, r)
		}
	}
	return slices.Clip(needs)
}

// Shape is the plan as an explanation of a refusal wants it.
func (p *Plan) Shape() *iam.CallShape {
	s := &iam.CallShape{Region: p.Region, Account: p.Account, Requested: p.Requested, ProfileARN: p.ProfileARN,
		Application: p.Application != nil, Model: p.ModelID, Destinations: p.Regions, Regions: p.together}
	switch {
	case p.Profile == nil:
	case p.Profile.Global:
		s.Profile, s.Destinations = p.Profile.ID, []string{""}
	default:
		s.Profile = p.Profile.ID
	}
	return s
}
