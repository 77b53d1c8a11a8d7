package policygen

import (
	"slices"
	"strings"

	"tokaido/arn"
	"tokaido/bedrock/catalog"
	"tokaido/iam"
)

// The actions that calls of models are authorized as.
const (
	invoke = "bedrock:InvokeModel"
	stream = "bedrock:InvokeModelWithResponseStream"
)

// Problem is what keeps a modelId from being known.
type Problem uint8

// The problems.
const (
	NoProblem      Problem = iota
	NotAModel              // no id or ARN that Bedrock could take
	OtherAccount           // an ARN of another account or Region
	NotHere                // a profile that cannot be called from this Region
	NotInCatalog           // of the right form, but not known here
	ProfileOnly            // a model whose bare id cannot be called here
	NotResolved            // an application inference profile of which is not known what it copies
	OtherResource          // a provisioned model, an imported one, a prompt …: authorized as itself
	longestModelID = 2048
)

// Shape is a call of a modelId from a Region, made of the catalog alone: what
// Bedrock's own plan of it needs. With ProfileOnly the shape is that of the
// direct call, which Bedrock refuses; with NotInCatalog, NotHere and
// NotResolved it lacks destinations or the model, as far as they are not known;
// with the others it is nil.
func Shape(c *catalog.Catalog, region, account, modelID string, application func(string) (string, bool)) (*iam.CallShape, Problem) {
	s := &iam.CallShape{Region: region, Account: account, Requested: modelID, Regions: c.Together(region)}
	if modelID == "" || len(modelID) > longestModelID {
		return nil, NotAModel
	}
	id := modelID
	if strings.HasPrefix(id, "arn:") {
		a, err := arn.Parse(id)
		if err != nil || a.Service != "bedrock" && a.Service != "sagemaker" {
			return nil, NotAModel
		}
		kind, rest, _ := strings.Cut(a.Resource, "/")
		switch {
		case a.Region != region || a.Partition != arn.PartitionOf(region):
			return nil, OtherAccount
		case kind == "foundation-model" && a.Account == "":
			id = rest
		case a.Service == "sagemaker" || kind != "inference-profile" && kind != "application-inference-profile":
			return nil, OtherResource
		case a.Account != account:
			return nil, OtherAccount
		case kind == "inference-profile":
			id = rest
		default:
			s.ProfileARN, s.Application = modelID, true
			copies, ok := "", false
			if application != nil {
				copies, ok = application(modelID)
			}
			if !ok {
				return s, NotResolved
			}
			id = copies
		}
	}
	if p, ok := c.Profile(id); ok {
		s.Profile, s.Model = p.ID, p.Model.ID
		if !s.Application {
			s.ProfileARN = arn.New("bedrock", region, account, "inference-profile/"+p.ID).String()
		}
		s.Destinations = p.Destinations(region)
		switch {
		case s.Destinations == nil:
			return s, NotHere
		case p.Global:
			s.Destinations = []string{""}
		}
		return s, NoProblem
	}
	if m, ok := c.Model(id); ok {
		s.Model, s.Destinations = m.ID, []string{region}
		if !m.OnDemand(region) && !s.Application {
			return s, ProfileOnly
		}
		return s, NoProblem
	}
	if strings.ContainsAny(id, "/: ") && !strings.Contains(id, ".") {
		return nil, NotAModel
	}
	if g, model, ok := strings.Cut(id, "."); ok && slices.Contains(geographies, g) {
		s.Profile, s.Model = id, model
		s.ProfileARN = arn.New("bedrock", region, account, "inference-profile/"+id).String()
	} else {
		s.Model, s.Destinations = id, []string{region}
	}
	return s, NotInCatalog
}

// geographies are the prefixes that ids of inference profiles begin with.
var geographies = []string{"us", "eu", "apac", "jp", "au", "ca", "in", "us-gov", "global"}

// model allows calling a model in whichever way its id says.
func (g *generator) model(k known, actions ...string) {
	k = g.values(k)
	if k.dynamic() {
		// What an id begins with says more of who made the model than of where
		// it runs, so the Region's models are all that can be assumed.
		pattern := g.arn("bedrock", g.m.Region, "", "foundation-model/"+iam.Literal(bareID(k.prefix))+"*")
		g.find("PG05", k, pattern)
		g.allow(false, iam.Grant{Name: "BedrockModel", Actions: actions, Resources: []string{pattern}})
		return
	}
	for _, id := range k.texts {
		s, problem := Shape(g.o.Catalog, g.m.Region, g.m.Account, id, g.o.Application)
		switch problem {
		case NotAModel, OtherAccount:
			g.find("PG06", k, id, g.m.Region, g.m.Account)
			continue
		case OtherResource:
			g.allow(true, iam.Grant{Name: "BedrockResource", Actions: actions, Resources: []string{id}})
			continue
		case NotHere:
			p, _ := g.o.Catalog.Profile(s.Profile)
			g.find("PG15", k, id, g.m.Region, strings.Join(p.Sources(), ", "))
			continue
		case ProfileOnly:
			var ids []string
			m, _ := g.o.Catalog.Model(s.Model)
			for _, p := range m.Profiles() {
				if p.Destinations(g.m.Region) != nil {
					ids = append(ids, p.ID)
				}
			}
			g.find("PG16", k, id, g.m.Region, strings.Join(ids, ", "))
		case NotResolved:
			pattern := "arn:" + g.partition + ":bedrock:*::foundation-model/*"
			g.find("PG17", k, id, pattern)
			g.need(true, false, nil, iam.Grant{Name: "BedrockProfile", Actions: actions, Resources: []string{id}})
			g.allow(false, iam.Grant{Name: "BedrockModels", Actions: actions, Resources: []string{pattern}, Condition: one("ArnEquals", "bedrock:InferenceProfileArn", id)})
			continue
		case NotInCatalog:
			if s.Profile != "" && !s.Global() {
				pattern := "arn:" + g.partition + ":bedrock:*::foundation-model/" + s.Model
				g.find("PG18", k, id, pattern)
				g.allow(true, iam.Grant{Name: "BedrockProfile", Actions: actions, Resources: []string{s.ProfileARN}})
				g.allow(false, iam.Grant{Name: "BedrockModels", Actions: actions, Resources: []string{pattern}, Condition: one("StringEquals", "bedrock:InferenceProfileArn", s.ProfileARN)})
				continue
			}
			g.find("PG18", k, id, "")
		}
		g.call(s, actions...)
	}
}

// call allows all parts of a call of which everything is known.
func (g *generator) call(s *iam.CallShape, actions ...string) {
	gs, err := s.Grants(actions...)
	if err != nil {
		panic("policygen: " + err.Error()) // Shape gave the parts
	}
	g.at.grants = append(g.at.grants, gs...)
	for _, a := range actions {
		for _, n := range s.Authorizations(a) {
			g.at.needs = append(g.at.needs, Need{State: g.state.Name, Authorization: n, Known: true, Call: s})
		}
	}
}

// bareID is an id without the geography that a profile's begins with.
func bareID(s string) string {
	if g, rest, ok := strings.Cut(s, "."); ok && slices.Contains(geographies, g) {
		return rest
	}
	for _, g := range geographies {
		if strings.HasPrefix(g+".", s) {
			return ""
		}
	}
	if strings.HasPrefix(s, "arn:") {
		return ""
	}
	return s
}

// invokeModel is bedrock:invokeModel and the SDK's InvokeModel.
func (g *generator) invokeModel(a args) {
	g.model(a.get("ModelId"), invoke)
	g.guardrail(a.get("GuardrailIdentifier"))
	if in, ok := a.sub("Input"); ok {
		if _, objects, sure := g.s3URI(in.get("S3Uri"), false); objects != nil {
			g.allow(sure, iam.Grant{Name: "BedrockInput", Actions: []string{"s3:GetObject"}, Resources: objects})
		}
	}
	if out, ok := a.sub("Output"); ok {
		if _, objects, sure := g.s3URI(out.get("S3Uri"), false); objects != nil {
			g.allow(sure, iam.Grant{Name: "BedrockOutput", Actions: []string{"s3:PutObject"}, Resources: objects})
		}
	}
}

func (g *generator) guardrail(k known) {
	if k.absent {
		return
	}
	resources, sure := g.resolve(k, g.named("bedrock", "guardrail/", ""))
	g.allow(sure, iam.Grant{Name: "ApplyGuardrail", Actions: []string{"bedrock:ApplyGuardrail"}, Resources: resources})
}

// customize is bedrock:createModelCustomizationJob.
func (g *generator) customize(a args, sync bool) {
	base, sure := g.resolve(a.get("BaseModelIdentifier"), func(s string) string {
		if strings.HasPrefix(s, "arn:") {
			return s
		}
		return g.arn("bedrock", g.m.Region, "", "foundation-model/"+s)
	})
	jobs := g.here("bedrock", "model-customization-job/*")
	g.allow(sure, iam.Grant{Name: "CustomizeModel", Actions: []string{"bedrock:CreateModelCustomizationJob"}, Resources: append(base, g.here("bedrock", "custom-model/*"), jobs)})
	g.pass(a.get("RoleArn"), "bedrock.amazonaws.com")
	if sync {
		g.need(true, true, nil, iam.Grant{Name: "CustomizationJobs", Actions: []string{"bedrock:GetModelCustomizationJob", "bedrock:StopModelCustomizationJob"}, Resources: []string{jobs}})
	}
}

// runtime is an operation of the SDK's Bedrock Runtime; ok is false for those
// that need nothing but what the reference says of them.
func (g *generator) runtime(operation string, a args) (ok bool) {
	switch operation {
	case "invokeModel":
		g.invokeModel(a)
	case "converse":
		g.model(a.get("ModelId"), invoke)
		if in, ok := a.sub("GuardrailConfig"); ok {
			g.guardrail(in.get("GuardrailIdentifier"))
		}
	case "applyGuardrail":
		g.guardrail(a.get("GuardrailIdentifier"))
	case "startAsyncInvoke":
		g.model(a.get("ModelId"), invoke)
		g.allow(true, iam.Grant{Name: "BedrockAsync", Actions: []string{invoke}, Resources: []string{g.here("bedrock", "async-invoke/*")}})
		if out, found := a.sub("OutputDataConfig"); found {
			if s3, found := out.sub("S3OutputDataConfig"); found {
				if _, objects, sure := g.s3URI(s3.get("S3Uri"), true); objects != nil {
					g.allow(sure, iam.Grant{Name: "BedrockOutput", Actions: []string{"s3:PutObject"}, Resources: objects})
				}
			}
		}
	case "countTokens":
		k := g.values(a.get("ModelId"))
		if k.dynamic() {
			g.model(k, "bedrock:CountTokens")
			break
		}
		for _, id := range k.texts {
			// It knows foundation models only, in each Region of the profile.
			s, problem := Shape(g.o.Catalog, g.m.Region, g.m.Account, id, g.o.Application)
			if s == nil || problem != NoProblem && problem != ProfileOnly {
				g.model(texts(id), "bedrock:CountTokens")
				continue
			}
			for _, n := range s.Authorizations("bedrock:CountTokens") {
				if n.Resource != s.ProfileARN {
					g.allow(true, iam.Grant{Name: "CountTokens", Actions: []string{n.Action}, Resources: []string{n.Resource}})
				}
			}
		}
	default:
		return false
	}
	return true
}
