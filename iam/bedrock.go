package iam

import (
	"fmt"
	"slices"
	"strings"

	"tokaido/arn"
	"tokaido/iam/wild"
	"tokaido/value"
)

// CallShape is what is known of a Bedrock call besides its authorizations.
type CallShape struct {
	Region       string   // in which the call was made: the source Region
	Account      string   // of the caller
	Requested    string   // the modelId as the client gave it
	Profile      string   // id of AWS's inference profile, also of the one that an application profile copies; "" if there is none
	ProfileARN   string   // of the profile that is called, in the source Region; "" for a bare model
	Application  bool     // it is an application inference profile
	Model        string   // id of the foundation model, without a geography's prefix
	Destinations []string // Regions that the profile may route to from Region; none for a global one
	Regions      []string // all there are, to name those that a wildcard covers besides; may be nil
}

// Global reports whether the profile is one of the global ones, which route to
// Regions that are not told.
func (s *CallShape) Global() bool { return strings.HasPrefix(s.Profile, "global.") }

// through is the id of the profile that is called, as its ARN has it; "" for a
// bare model.
func (s *CallShape) through() string {
	_, id, _ := strings.Cut(lastPart(s.ProfileARN), "/")
	return id
}

// ModelRegions are the Regions in which the model must be allowed, the source
// first; "" stands for the Region-less ARN of a global profile.
func (s *CallShape) ModelRegions() []string {
	rs := []string{s.Region}
	switch {
	case s.ProfileARN == "":
	case s.Global():
		rs = append(rs, "")
	default:
		for _, d := range s.Destinations {
			if !slices.Contains(rs, d) {
				rs = append(rs, d)
			}
		}
	}
	return rs
}

// unspecified is the aws:RequestedRegion of a global profile's model.
const unspecified = "unspecified"

// Authorizations are what the call needs for action: the profile, the model in
// the source Region, and the model in every destination, in the order in which
// AWS names them when it refuses.
func (s *CallShape) Authorizations(action string) []Authorization {
	key := func(k, v string) Attribute { return Attribute{Key: k, Values: []string{v}} }
	var as []Authorization
	if s.ProfileARN != "" {
		as = append(as, Authorization{action, s.ProfileARN, Context{key("aws:RequestedRegion", s.Region)}})
	}
	for _, r := range s.ModelRegions() {
		a := Authorization{Action: action, Resource: s.modelARN(r), Context: Context{key("aws:RequestedRegion", r)}}
		if r == "" {
			a.Context[0].Values[0] = unspecified
		}
		if s.ProfileARN != "" {
			a.Context = append(a.Context, key("bedrock:InferenceProfileArn", s.ProfileARN))
		}
		as = append(as, a)
	}
	return as
}

func (s *CallShape) modelARN(region string) string {
	return "arn:" + arn.PartitionOf(s.Region) + ":bedrock:" + region + "::foundation-model/" + s.Model
}

// PartKind is what an authorization of a Bedrock call is about.
type PartKind uint8

// The parts of a call.
const (
	PartOther       PartKind = iota // a guardrail, an S3 object, or no call of Bedrock's
	PartProfile                     // the inference profile in the source Region
	PartModel                       // the model of a call without a profile
	PartSource                      // the model in the source Region
	PartDestination                 // the model in another Region
	PartGlobal                      // the Region-less model of a global profile
)

var partNames = []string{"other", "profile", "model", "source-model", "destination-model", "global-model"}

func (k PartKind) String() string { return partNames[k] }

// part says what a resource is to the call.
func (s *CallShape) part(resource string) (PartKind, string) {
	p := wild.Cut(resource)
	if s == nil || !p.OK || p.Part[2] != "bedrock" {
		return PartOther, ""
	}
	kind, _, _ := strings.Cut(p.Part[5], "/")
	region := p.Part[3]
	switch {
	case kind == "inference-profile" || kind == "application-inference-profile":
		return PartProfile, region
	case kind != "foundation-model":
		return PartOther, region
	case s.ProfileARN == "":
		return PartModel, region
	case region == "":
		return PartGlobal, ""
	case region == s.Region:
		return PartSource, region
	}
	return PartDestination, region
}

// geographies are the prefixes of inference profile ids.
var geographies = []string{"us-gov", "us", "eu", "apac", "jp", "au", "ca", "in", "global"}

// geography returns the prefix of a profile's id; "" for a bare model's.
func geography(id string) string {
	first, _, ok := strings.Cut(id, ".")
	if ok && slices.Contains(geographies, first) {
		return first
	}
	return ""
}

// The actions that the calls of Bedrock's runtime are authorized as.
const (
	actionInvoke = "bedrock:InvokeModel"
	actionStream = "bedrock:InvokeModelWithResponseStream"
)

// aliases are operations that people take for actions.
var aliases = map[string]string{
	"bedrock:converse":                              actionInvoke,
	"bedrock:conversestream":                        actionStream,
	"bedrock-runtime:converse":                      actionInvoke,
	"bedrock-runtime:conversestream":                actionStream,
	"bedrock-runtime:invokemodel":                   actionInvoke,
	"bedrock-runtime:invokemodelwithresponsestream": actionStream,
	"bedrock-runtime:*":                             actionInvoke,
}

// Grants are what the call needs for actions (bedrock:InvokeModel if none are
// given). A profile and its models stand in separate statements: the condition
// that ties the models to the profile would make the profile's own statement
// dead, since the key is absent there. It fails if the shape lacks what a
// policy must name.
func (s *CallShape) Grants(actions ...string) ([]Grant, error) {
	if s.Region == "" || s.Model == "" || s.Profile != "" && s.ProfileARN == "" {
		return nil, fmt.Errorf("iam: generate: Region, Model or ProfileARN is missing: %+v", *s)
	}
	if s.ProfileARN != "" && !s.Global() && len(s.Destinations) == 0 {
		return nil, fmt.Errorf("iam: generate: the destinations of %s from %s are not known", s.through(), s.Region)
	}
	if len(actions) == 0 {
		actions = []string{actionInvoke}
	}
	if s.ProfileARN == "" {
		return []Grant{{Name: "BedrockModel", Actions: actions, Resources: []string{s.modelARN(s.Region)}}}, nil
	}
	equals := func(m ...value.Member) value.Value {
		return value.Object(value.Member{Key: "StringEquals", Value: value.Object(m...)})
	}
	through := value.Member{Key: "bedrock:InferenceProfileArn", Value: value.String(s.ProfileARN)}
	var models []string
	for _, r := range s.ModelRegions() {
		if r != "" {
			models = append(models, s.modelARN(r))
		}
	}
	gs := []Grant{
		{Name: "BedrockProfile", Actions: actions, Resources: []string{s.ProfileARN}},
		{Name: "BedrockModels", Actions: actions, Resources: models, Condition: equals(through)},
	}
	if s.Global() {
		gs = append(gs, Grant{Name: "BedrockGlobalModel", Actions: actions, Resources: []string{s.modelARN("")},
			Condition: equals(value.Member{Key: "aws:RequestedRegion", Value: value.String(unspecified)}, through)})
	}
	return gs, nil
}

// strs is one string bare, several as a list.
func strs(s []string) value.Value {
	if len(s) == 1 {
		return value.String(s[0])
	}
	vs := make([]value.Value, len(s))
	for i := range s {
		vs[i] = value.String(s[i])
	}
	return value.Array(vs...)
}

// Indent prints a document with two spaces for each level, as people keep
// policies, and characters beyond U+00FF, which IAM does not take, as escapes.
func Indent(v value.Value) string {
	var b []byte
	var in func(v value.Value, margin string)
	in = func(v value.Value, margin string) {
		inner := margin + "  "
		n := 0
		sep := func() {
			if n > 0 {
				b = append(b, ',')
			}
			n++
			b = append(append(b, '\n'), inner...)
		}
		switch {
		case v.IsObject() && v.Len() > 0:
			b = append(b, '{')
			for k, x := range v.Members() {
				sep()
				b = append(value.AppendQuoted(b, k), ": "...)
				in(x, inner)
			}
			b = append(append(append(b, '\n'), margin...), '}')
		case v.IsArray() && v.Len() > 0:
			b = append(b, '[')
			for _, x := range v.Items() {
				sep()
				in(x, inner)
			}
			b = append(append(append(b, '\n'), margin...), ']')
		default:
			b = v.AppendJSON(b)
		}
	}
	in(v, "")
	return escapeWide(string(append(b, '\n')))
}

func escapeWide(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r > 0xFF }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r <= 0xFF:
			b.WriteRune(r)
		case r > 0xFFFF:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
