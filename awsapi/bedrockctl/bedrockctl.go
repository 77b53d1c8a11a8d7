// Package bedrockctl is the wire face of Bedrock's control plane: foundation
// models and inference profiles, as they are seen from the Region of the call.
//
// It answers from the catalog that the runtime plans with: what is listed is what
// a call may name, whether or not a backend has it.
package bedrockctl

import (
	"context"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tokaido/arn"
	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/value"
)

const (
	service = "bedrock"
	source  = "bedrock.amazonaws.com"

	maxPage = 1000 // of ListInferenceProfiles; AWS's limit
)

// Ops lists the operations.
func Ops(rt *bedrock.Runtime) []awsapi.Op {
	c := ctl{rt.Catalog(), rt.Applications()}
	op := func(name, route string, needs func(*awsapi.Request) (string, error), handle func(*awsapi.Request) (value.Value, error)) awsapi.Op {
		return awsapi.Op{
			Service: service, Source: source, Name: name, Protocol: awsapi.RESTJSON, Route: route, ReadOnly: true,
			Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
				res, err := needs(r)
				if err != nil {
					return nil, err
				}
				need := iam.Authorization{Action: "bedrock:" + name, Resource: res}
				if id, ok := strings.CutPrefix(res, bedrock.ApplicationARN(r.Region, r.Account, "")); ok {
					need.Context = c.resourceTags(r.Region, r.Account, id)
				}
				return []iam.Authorization{need}, nil
			},
			Handle: func(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
				if err := r.Refuse(); err != nil { // these operations have no body
					return nil, err
				}
				v, err := handle(r)
				if err != nil {
					return nil, err
				}
				return &awsapi.Response{Body: v}, nil
			},
		}
	}
	return append(c.applicationOps(),
		op("ListFoundationModels", "GET /foundation-models", anything, c.listModels),
		op("GetFoundationModel", "GET /foundation-models/{modelIdentifier}", c.modelARN, c.getModel),
		op("GetFoundationModelAvailability", "GET /foundation-model-availability/{modelId}", anything, c.availability),
		op("ListInferenceProfiles", "GET /inference-profiles", anything, c.listProfiles),
		op("GetInferenceProfile", "GET /inference-profiles/{inferenceProfileIdentifier}", c.profileARN, c.getProfile),
	)
}

func anything(*awsapi.Request) (string, error) { return "*", nil }

type ctl struct {
	catalog *catalog.Catalog
	apps    *bedrock.Profiles // nil: none are kept
}

func invalidf(format string, args ...any) *fault.Error {
	return bedrock.Fault("ValidationException", format, args...)
}

func notFound(format string, args ...any) *fault.Error {
	return bedrock.Fault("ResourceNotFoundException", format, args...)
}

// query returns the parameters of a query string, refusing those that are not
// known and those given twice.
func query(q url.Values, known ...string) (map[string]string, error) {
	out := make(map[string]string, len(q))
	for k, vs := range q {
		if !slices.Contains(known, k) {
			return nil, invalidf("Unknown query parameter '%.64s'", k)
		}
		if len(vs) > 1 {
			return nil, invalidf("The query parameter '%s' is given more than once", k)
		}
		out[k] = vs[0]
	}
	return out, nil
}

func enum(q map[string]string, name string, allowed ...string) error {
	if s, ok := q[name]; ok && !slices.Contains(allowed, s) {
		return invalidf("1 validation error detected: Value '%.64s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]", s, name, strings.Join(allowed, ", "))
	}
	return nil
}

var provider = regexp.MustCompile(`^[A-Za-z0-9-. ]{1,63}$`) // a point too: Z.AI

// inferenceTypes are how a model can be called in a Region.
func inferenceTypes(m *catalog.Model, region string) []string {
	var t []string
	if m.OnDemand(region) {
		t = append(t, "ON_DEMAND")
	}
	if slices.ContainsFunc(m.Profiles(), func(p *catalog.Profile) bool { return p.Destinations(region) != nil }) {
		t = append(t, "INFERENCE_PROFILE")
	}
	return t
}

func (c ctl) listModels(r *awsapi.Request) (value.Value, error) {
	q, err := query(r.Query, "byProvider", "byCustomizationType", "byOutputModality", "byInferenceType")
	if err != nil {
		return value.Value{}, err
	}
	for _, e := range []error{
		enum(q, "byCustomizationType", "FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"),
		enum(q, "byOutputModality", "TEXT", "IMAGE", "EMBEDDING"),
		enum(q, "byInferenceType", "ON_DEMAND", "PROVISIONED"),
	} {
		if e != nil {
			return value.Value{}, e
		}
	}
	if s, ok := q["byProvider"]; ok && !provider.MatchString(s) {
		return value.Value{}, invalidf("1 validation error detected: Value at 'byProvider' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9- ]{1,63}")
	}
	list := []value.Value{}
	for _, m := range c.catalog.ModelsIn(r.Region) {
		types := inferenceTypes(m, r.Region)
		pass := func(name string, has func(string) bool) bool {
			s, ok := q[name]
			return !ok || has(s)
		}
		in := func(l []string) func(string) bool { return func(s string) bool { return slices.Contains(l, s) } }
		if pass("byProvider", func(s string) bool { return strings.EqualFold(s, m.Provider) }) &&
			pass("byCustomizationType", in(m.Customizations)) && pass("byOutputModality", in(m.Output)) && pass("byInferenceType", in(types)) {
			list = append(list, model(m, r.Region))
		}
	}
	return object("modelSummaries", value.Array(list...)), nil
}

// model is a model as it is described in a Region.
func model(m *catalog.Model, region string) value.Value {
	status := m.Status
	if status != "ACTIVE" {
		status = "LEGACY" // also what AWS lists no more: it is still served here
	}
	life := object("status", str(status), "startOfLifeTime", date(m.Launch), "endOfLifeTime", date(m.EndOfLife))
	v := object(
		"modelArn", str(bedrock.ModelARN(region, region, m.ID)),
		"modelId", str(m.ID),
		"modelName", str(m.Name),
		"providerName", str(m.Provider))
	if m.Input != nil {
		v = v.With("inputModalities", list(textFirst(m.Input))).With("outputModalities", list(textFirst(m.Output))).With("responseStreamingSupported", value.Bool(m.Streaming))
	}
	return v.With("customizationsSupported", list(m.Customizations)).With("inferenceTypesSupported", list(inferenceTypes(m, region))).With("modelLifecycle", life)
}

// textFirst is modalities in the order that AWS gives them.
func textFirst(all []string) []string {
	i := slices.Index(all, "TEXT")
	if i <= 0 {
		return all
	}
	return slices.Concat([]string{"TEXT"}, all[:i], all[i+1:])
}

// find is the model that an id or an ARN of this Region names, and can be
// called from it.
func (c ctl) find(r *awsapi.Request, id string) (*catalog.Model, error) {
	name := id
	if a, err := arn.Parse(id); err == nil {
		if a.Service != service || a.Region != r.Region || a.Account != "" || a.Partition != arn.PartitionOf(r.Region) {
			return nil, invalidf("The provided model identifier is invalid.")
		}
		var ok bool
		if name, ok = strings.CutPrefix(a.Resource, "foundation-model/"); !ok {
			return nil, invalidf("The provided model identifier is invalid.")
		}
	}
	m, ok := c.catalog.Model(name)
	if !ok || len(inferenceTypes(m, r.Region)) == 0 {
		return nil, notFound("Could not resolve the foundation model from the model identifier: '%.256s'.", id)
	}
	return m, nil
}

// modelARN is what reading a model is authorized on; of one that does not
// exist too, so that who may not read learns nothing.
func (c ctl) modelARN(r *awsapi.Request) (string, error) {
	id := r.Path["modelIdentifier"]
	if arn.Is(id) {
		return id, nil
	}
	return bedrock.ModelARN(r.Region, r.Region, id), nil
}

func (c ctl) getModel(r *awsapi.Request) (value.Value, error) {
	if _, err := query(r.Query); err != nil {
		return value.Value{}, err
	}
	m, err := c.find(r, r.Path["modelIdentifier"])
	if err != nil {
		return value.Value{}, err
	}
	return object("modelDetails", model(m, r.Region)), nil
}

func (c ctl) availability(r *awsapi.Request) (value.Value, error) {
	if _, err := query(r.Query); err != nil {
		return value.Value{}, err
	}
	id := r.Path["modelId"]
	m, ok := c.catalog.Model(id)
	if !ok {
		return value.Value{}, notFound("Could not resolve the foundation model from the model identifier: '%.256s'.", id)
	}
	region := "AVAILABLE"
	if len(inferenceTypes(m, r.Region)) == 0 {
		region = "NOT_AVAILABLE"
	}
	return object(
		"modelId", str(m.ID),
		"agreementAvailability", object("status", str("AVAILABLE")), // there are no agreements to make with this server
		"authorizationStatus", str("AUTHORIZED"),
		"entitlementAvailability", str("AVAILABLE"),
		"regionAvailability", str(region)), nil
}

func (c ctl) listProfiles(r *awsapi.Request) (value.Value, error) {
	q, err := query(r.Query, "maxResults", "nextToken", "type")
	if err == nil {
		err = enum(q, "type", "SYSTEM_DEFINED", "APPLICATION")
	}
	if err != nil {
		return value.Value{}, err
	}
	most := maxPage
	if s, ok := q["maxResults"]; ok {
		if most, err = strconv.Atoi(s); err != nil || most < 1 || most > maxPage {
			return value.Value{}, invalidf("1 validation error detected: Value '%.20s' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and %d", s, maxPage)
		}
	}
	after := ""
	if s, ok := q["nextToken"]; ok {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if after = string(b); err != nil || after == "" {
			return value.Value{}, invalidf("The provided next token is invalid.")
		}
	}
	// System-defined profiles first, then the account's own, each by id. A place
	// in the list is a letter for the group, and the id.
	type listed struct {
		place string
		value func() value.Value
	}
	var all []listed
	if q["type"] != "APPLICATION" {
		for _, p := range c.catalog.ProfilesFrom(r.Region) {
			all = append(all, listed{"a" + p.ID, func() value.Value { return profile(p, r) }})
		}
	}
	if q["type"] != "SYSTEM_DEFINED" {
		for _, a := range c.apps.In(r.Region, r.Account) {
			all = append(all, listed{"b" + a.ID, func() value.Value { return c.application(a, r) }})
		}
	}
	out, next, last := []value.Value{}, value.Value{}, ""
	for _, l := range all {
		if l.place <= after {
			continue
		}
		if len(out) == most {
			next = str(base64.RawURLEncoding.EncodeToString([]byte(last)))
			break
		}
		out, last = append(out, l.value()), l.place
	}
	return object("inferenceProfileSummaries", value.Array(out...), "nextToken", next), nil
}

// models are the foundation models behind a profile in a Region.
func models(p *catalog.Profile, region string) value.Value {
	var out []value.Value
	add := func(in string) {
		out = append(out, object("modelArn", str(bedrock.ModelARN(region, in, p.Model.ID))))
	}
	if p.Global {
		add("")
		add(region)
	} else {
		for _, d := range p.Destinations(region) {
			add(d)
		}
	}
	return value.Array(out...)
}

// profile is a profile as it is described in a Region that it can be called from.
func profile(p *catalog.Profile, r *awsapi.Request) value.Value {
	where := " globally across all supported AWS Regions."
	if !p.Global {
		where = " in " + series(p.Destinations(r.Region)) + "."
	}
	return object(
		"inferenceProfileName", str(p.Name),
		"description", str("Routes requests to "+strings.TrimSpace(p.Model.Provider+" "+p.Model.Name)+where),
		"inferenceProfileArn", str(bedrock.ProfileARN(r.Region, r.Account, p.ID)),
		"models", models(p, r.Region),
		"inferenceProfileId", str(p.ID),
		"status", str("ACTIVE"),
		"type", str("SYSTEM_DEFINED"))
}

// series is "a, b and c".
func series(s []string) string {
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}

// profileARN is what reading a profile is authorized on; of one that does not
// exist too.
func (c ctl) profileARN(r *awsapi.Request) (string, error) {
	id := r.Path["inferenceProfileIdentifier"]
	if arn.Is(id) {
		return id, nil
	}
	if _, ok := c.apps.Get(r.Region, r.Account, id); ok {
		return bedrock.ApplicationARN(r.Region, r.Account, id), nil
	}
	return bedrock.ProfileARN(r.Region, r.Account, id), nil
}

func (c ctl) getProfile(r *awsapi.Request) (value.Value, error) {
	if _, err := query(r.Query); err != nil {
		return value.Value{}, err
	}
	id := r.Path["inferenceProfileIdentifier"]
	if a, ok := c.apps.Get(r.Region, r.Account, strings.TrimPrefix(id, bedrock.ApplicationARN(r.Region, r.Account, ""))); ok {
		return c.application(a, r), nil
	}
	name := id
	if rest, ok := strings.CutPrefix(id, bedrock.ProfileARN(r.Region, r.Account, "")); ok {
		name = rest
	}
	p, ok := c.catalog.Profile(name)
	if !ok || p.Destinations(r.Region) == nil {
		return value.Value{}, notFound("Could not resolve the inference profile from the provided identifier: '%.256s'.", id)
	}
	return profile(p, r), nil
}

func str(s string) value.Value { return value.String(s) }

func date(s string) value.Value {
	if s == "" {
		return value.Value{}
	}
	return value.String(s + "T00:00:00Z")
}

func list(s []string) value.Value {
	out := make([]value.Value, len(s))
	for i, x := range s {
		out[i] = value.String(x)
	}
	return value.Array(out...)
}

// object is an object of names and values in turn; undefined ones are left out.
func object(pairs ...any) value.Value {
	m := make([]value.Member, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m = append(m, value.Member{Key: pairs[i].(string), Value: pairs[i+1].(value.Value)})
	}
	return value.Object(m...)
}
