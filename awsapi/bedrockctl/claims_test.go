package bedrockctl_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/bedrockctl"
	"tokaido/awsapi/sigv4"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// What AWS's documents and answers say of the control plane, claim by claim, over
// HTTP and with signatures.

const (
	account = "111122223333"
	tokyo   = "ap-northeast-1"
	osaka   = "ap-northeast-3"
	mine    = "arn:aws:bedrock:ap-northeast-1:111122223333:"
	sonnet  = "anthropic.claude-sonnet-4-5-20250929-v1:0"
)

type noLog struct{}

func (noLog) Append(context.Context, *trail.Record) error { return nil }

type keep struct{}

func (keep) Load(context.Context) iter.Seq2[bedrock.Entry, error] {
	return func(func(bedrock.Entry, error) bool) {}
}
func (keep) Save(context.Context, ...bedrock.Change) error { return nil }

// people has the root user, and a user who may only list.
type people struct{ lists *iam.Policy }

func (p people) Credential(_ context.Context, key, _ string, _ time.Time) (principal.Credential, error) {
	switch key {
	case "AKIAROOT":
		return principal.Credential{Secret: "secret", Principal: &principal.Principal{Type: principal.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account}}, nil
	case "AKIAUSER":
		by := &principal.Principal{Type: principal.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u", ID: "AIDAU", Name: "u",
			Policies: iam.Policies{Identity: []iam.Bound{{Policy: p.lists, Name: "lists", Owner: "arn:aws:iam::" + account + ":user/u"}}}}
		return principal.Credential{Secret: "secret", Principal: by}, nil
	}
	return principal.Credential{}, fault.Newf("UnrecognizedClientException", "The security token included in the request is invalid.")
}

type plane struct {
	t    *testing.T
	s    *httptest.Server
	apps *bedrock.Profiles
}

func open(t *testing.T, add catalog.Addition) *plane {
	t.Helper()
	c, err := catalog.Load().With(add)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := iam.Parse(iam.IdentityPolicy, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"bedrock:List*","Resource":"*"}}`))
	if err != nil {
		t.Fatal(err)
	}
	apps, err := bedrock.OpenProfiles(t.Context(), keep{}, c)
	if err != nil {
		t.Fatal(err)
	}
	rt := bedrock.New(bedrock.Config{Catalog: c, Backend: simulated.New(simulated.Options{}).For, Applications: apps})
	api, err := awsapi.New(awsapi.Config{Directory: people{lists}, Gate: gate.New(noLog{}, nil), Ops: bedrockctl.Ops(rt)})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	return &plane{t, s, apps}
}

type answer struct {
	status int
	kind   string // x-amzn-errortype
	body   value.Value
	text   string
}

// call makes a call as the root user, or as the one that may only list.
func (p *plane) call(region, method, target, body string, as ...string) answer {
	p.t.Helper()
	key := "AKIAROOT"
	if len(as) > 0 {
		key = as[0]
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.s.URL+target, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	add, err := sigv4.Sign(sigv4.Request{Method: method, Target: target, Headers: [][2]string{{"Host", r.URL.Host}}, Body: []byte(body)},
		sigv4.Options{Service: "bedrock", Region: region, Now: time.Now()}, sigv4.Credentials{AccessKeyID: key, Secret: "secret"})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, h := range add {
		r.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	v, err := value.Parse(b)
	if err != nil {
		p.t.Fatalf("%s %s: %d %s", method, target, resp.StatusCode, b)
	}
	if len(resp.Header.Get("X-Amzn-Requestid")) != 36 || resp.Header.Get("Content-Type") != "application/json" {
		p.t.Errorf("%s %s: %v", method, target, resp.Header)
	}
	return answer{resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), v, string(b)}
}

func (p *plane) get(region, target string) value.Value {
	p.t.Helper()
	a := p.call(region, "GET", target, "")
	if a.status != http.StatusOK {
		p.t.Fatalf("GET %s in %s: %d %s", target, region, a.status, a.text)
	}
	return a.body
}

// refused expects one refusal, with the small m of the service's own errors.
func (p *plane) refused(a answer, status int, code, text string) {
	p.t.Helper()
	if a.status != status || a.kind != code || !strings.Contains(a.body.Get("message").Str(), text) || !a.body.Get("Message").IsUndefined() {
		p.t.Errorf("%d %s %s\nwant %d %s %q", a.status, a.kind, a.text, status, code, text)
	}
}

func ids(list value.Value, name string) (out []string) {
	for _, x := range list.Items() {
		out = append(out, x.Get(name).Str())
	}
	return out
}

func strs(v value.Value) (out []string) {
	for _, x := range v.Items() {
		out = append(out, x.Str())
	}
	return out
}

// ListFoundationModels: what each filter leaves, against the answer without it.
func TestListFoundationModels(t *testing.T) {
	p := open(t, catalog.Addition{})
	for _, region := range []string{tokyo, osaka, "us-east-1"} {
		all := p.get(region, "/foundation-models").Get("modelSummaries")
		if all.Len() == 0 {
			t.Fatal("no models in ", region)
		}
		for _, c := range []struct {
			query string
			keep  func(value.Value) bool
		}{
			{"byProvider=Anthropic", func(m value.Value) bool { return m.Get("providerName").Str() == "Anthropic" }},
			{"byProvider=anthropic", func(m value.Value) bool { return m.Get("providerName").Str() == "Anthropic" }},
			{"byProvider=Nobody", func(value.Value) bool { return false }},
			{"byOutputModality=TEXT", func(m value.Value) bool { return slices.Contains(strs(m.Get("outputModalities")), "TEXT") }},
			{"byOutputModality=IMAGE", func(m value.Value) bool { return slices.Contains(strs(m.Get("outputModalities")), "IMAGE") }},
			{"byOutputModality=EMBEDDING", func(m value.Value) bool { return slices.Contains(strs(m.Get("outputModalities")), "EMBEDDING") }},
			{"byInferenceType=ON_DEMAND", func(m value.Value) bool { return slices.Contains(strs(m.Get("inferenceTypesSupported")), "ON_DEMAND") }},
			{"byInferenceType=PROVISIONED", func(value.Value) bool { return false }}, // none is sold here
			{"byCustomizationType=FINE_TUNING", func(m value.Value) bool {
				return slices.Contains(strs(m.Get("customizationsSupported")), "FINE_TUNING")
			}},
			{"byCustomizationType=CONTINUED_PRE_TRAINING", func(m value.Value) bool {
				return slices.Contains(strs(m.Get("customizationsSupported")), "CONTINUED_PRE_TRAINING")
			}},
			{"byCustomizationType=DISTILLATION", func(m value.Value) bool {
				return slices.Contains(strs(m.Get("customizationsSupported")), "DISTILLATION")
			}},
			{"byProvider=Amazon&byOutputModality=TEXT&byInferenceType=ON_DEMAND", func(m value.Value) bool {
				return m.Get("providerName").Str() == "Amazon" && slices.Contains(strs(m.Get("outputModalities")), "TEXT") && slices.Contains(strs(m.Get("inferenceTypesSupported")), "ON_DEMAND")
			}},
		} {
			var want []string
			for _, m := range all.Items() {
				if c.keep(m) {
					want = append(want, m.Get("modelId").Str())
				}
			}
			if got := ids(p.get(region, "/foundation-models?"+c.query).Get("modelSummaries"), "modelId"); !slices.Equal(got, want) {
				t.Errorf("%s in %s: %q, want %q", c.query, region, got, want)
			}
		}
	}
	for query, text := range map[string]string{
		"byOutputModality=TASTE":                 "Value 'TASTE' at 'byOutputModality' failed to satisfy constraint: Member must satisfy enum value set: [TEXT, IMAGE, EMBEDDING]",
		"byInferenceType=FREE":                   "Value 'FREE' at 'byInferenceType'",
		"byCustomizationType=X":                  "Value 'X' at 'byCustomizationType'",
		"byColour=red":                           "byColour",
		"byProvider=Amazon&byProvider=Anthropic": "more than once",
		"byProvider=" + strings.Repeat("x", 64):  "Value at 'byProvider' failed to satisfy constraint",
		"byProvider=":                            "Value at 'byProvider' failed to satisfy constraint",
	} {
		p.refused(p.call(tokyo, "GET", "/foundation-models?"+query, ""), 400, "ValidationException", text)
	}
}

// In Tokyo the in-Region models are on demand; the rest says INFERENCE_PROFILE
// only, and every summary has what the shape has.
func TestModelsOfARegion(t *testing.T) {
	p := open(t, catalog.Addition{})
	direct, through := 0, 0
	for _, m := range p.get(tokyo, "/foundation-models").Get("modelSummaries").Items() {
		id, types := m.Get("modelId").Str(), strs(m.Get("inferenceTypesSupported"))
		if m.Get("modelArn").Str() != "arn:aws:bedrock:ap-northeast-1::foundation-model/"+id || m.Get("modelName").Str() == "" || m.Get("providerName").Str() == "" ||
			!slices.Contains([]string{"ACTIVE", "LEGACY"}, m.Get("modelLifecycle").Get("status").Str()) || !m.Get("customizationsSupported").IsArray() || len(types) == 0 {
			t.Errorf("%s", m)
		}
		if in := strs(m.Get("inputModalities")); slices.Index(in, "TEXT") > 0 {
			t.Errorf("%s reads %q", id, in)
		}
		if slices.Contains(types, "ON_DEMAND") {
			direct++
		} else if slices.Equal(types, []string{"INFERENCE_PROFILE"}) {
			through++
		} else {
			t.Errorf("%s: %v", id, types)
		}
		if d := p.get(tokyo, "/foundation-models/"+strings.ReplaceAll(id, ":", "%3A")).Get("modelDetails"); d.JSON() != m.JSON() {
			t.Errorf("GetFoundationModel says of %s\n%s, the list\n%s", id, d, m)
		}
	}
	if direct < 10 || through < 10 {
		t.Errorf("%d on demand, %d through profiles", direct, through)
	}
	m := p.get(tokyo, "/foundation-models/arn%3Aaws%3Abedrock%3Aap-northeast-1%3A%3Afoundation-model%2Fanthropic.claude-sonnet-4-20250514-v1%3A0").Get("modelDetails")
	if life := m.Get("modelLifecycle"); life.Get("status").Str() != "LEGACY" || life.Get("endOfLifeTime").Str() != "2026-10-14T00:00:00Z" {
		t.Errorf("%s", m)
	}
	for _, id := range []string{"no.such-model", "arn%3Aaws%3Abedrock%3Aap-northeast-1%3A%3Afoundation-model%2Fno.such"} {
		p.refused(p.call(tokyo, "GET", "/foundation-models/"+id, ""), 404, "ResourceNotFoundException", "Could not resolve the foundation model from the model identifier")
	}
	// Another Region's ARN, and what is no model.
	for _, id := range []string{"arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Famazon.nova-lite-v1%3A0", "arn%3Aaws%3Abedrock%3Aap-northeast-1%3A111122223333%3Ainference-profile%2Fx"} {
		p.refused(p.call(tokyo, "GET", "/foundation-models/"+id, ""), 400, "ValidationException", "The provided model identifier is invalid.")
	}
}

func TestAvailability(t *testing.T) {
	p := open(t, catalog.Addition{})
	for region, want := range map[string]string{tokyo: "AVAILABLE", "us-gov-west-1": "NOT_AVAILABLE"} {
		v := p.get(region, "/foundation-model-availability/anthropic.claude-sonnet-4-20250514-v1%3A0")
		if v.JSON() != `{"modelId":"anthropic.claude-sonnet-4-20250514-v1:0","agreementAvailability":{"status":"AVAILABLE"},"authorizationStatus":"AUTHORIZED","entitlementAvailability":"AVAILABLE","regionAvailability":"`+want+`"}` {
			t.Errorf("%s: %s", region, v)
		}
	}
	p.refused(p.call(tokyo, "GET", "/foundation-model-availability/no.such", ""), 404, "ResourceNotFoundException", "Could not resolve")
}

var (
	routesTo = regexp.MustCompile(`^Routes requests to .+ in [a-z0-9-]+(, [a-z0-9-]+)*( and [a-z0-9-]+)?\.$`)
	globally = regexp.MustCompile(`^Routes requests to .+ globally across all supported AWS Regions\.$`)
)

// ListInferenceProfiles returns only what can be called from the Region, and
// GetInferenceProfile says the same of each: one model for each destination of
// this source Region; of a global profile exactly two.
func TestProfilesOfARegion(t *testing.T) {
	p := open(t, catalog.Addition{})
	counts := map[string]int{}
	for _, r := range catalog.Load().Regions {
		list := p.get(r.Code, "/inference-profiles").Get("inferenceProfileSummaries")
		counts[r.Code] = list.Len()
		for _, s := range list.Items() {
			id := s.Get("inferenceProfileId").Str()
			known, _ := catalog.Load().Profile(id)
			to := known.Destinations(r.Code)
			if to == nil {
				t.Errorf("%s is listed in %s and cannot be called there", id, r.Code)
			}
			global, models := strings.HasPrefix(id, "global."), ids(s.Get("models"), "modelArn")
			partition := r.Partition
			var want []string
			if global {
				want = []string{"arn:" + partition + ":bedrock:::foundation-model/" + known.Model.ID, "arn:" + partition + ":bedrock:" + r.Code + "::foundation-model/" + known.Model.ID}
			} else {
				for _, d := range to {
					want = append(want, "arn:"+partition+":bedrock:"+d+"::foundation-model/"+known.Model.ID)
				}
			}
			text := routesTo
			if global {
				text = globally
			}
			if !slices.Equal(models, want) || s.Get("status").Str() != "ACTIVE" || s.Get("type").Str() != "SYSTEM_DEFINED" || !text.MatchString(s.Get("description").Str()) ||
				s.Get("inferenceProfileArn").Str() != "arn:"+partition+":bedrock:"+r.Code+":"+account+":inference-profile/"+id || s.Get("inferenceProfileName").Str() != known.Name {
				t.Errorf("%s in %s: %s", id, r.Code, s)
			}
			if r.Code != tokyo && r.Code != "us-west-1" {
				continue
			}
			for _, name := range []string{id, s.Get("inferenceProfileArn").Str()} {
				if one := p.get(r.Code, "/inference-profiles/"+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(name)); one.JSON() != s.JSON() {
					t.Errorf("GetInferenceProfile %s: %s", name, one)
				}
			}
		}
	}
	if counts["us-east-1"] < 40 || counts["eu-west-1"] < 20 || counts["ap-southeast-1"] < 10 {
		t.Errorf("profiles by Region: %v", counts)
	}
	// The list of destinations follows from the source Region.
	if n := p.get("us-west-1", "/inference-profiles/us."+strings.ReplaceAll(sonnet, ":", "%3A")).Get("models").Len(); n != 4 {
		t.Errorf("us. from us-west-1: %d models, want us-west-1 besides the three", n)
	}
	for _, id := range []string{"us." + sonnet, "nothing", sonnet, mine + "inference-profile/us." + sonnet, "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us." + sonnet, mine + "application-inference-profile/abcdefghij01"} {
		p.refused(p.call(tokyo, "GET", "/inference-profiles/"+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(id), ""), 404, "ResourceNotFoundException", "Could not resolve the inference profile")
	}
}

func (p *plane) create(body string) answer {
	p.t.Helper()
	return p.call(tokyo, "POST", "/inference-profiles", body)
}

// typeEquals (type in the query) and paging: every profile once, in an order that
// does not change, whatever the size of a page.
func TestPages(t *testing.T) {
	p := open(t, catalog.Addition{})
	for i := range 5 {
		if a := p.create(fmt.Sprintf(`{"inferenceProfileName":"p%d","modelSource":{"copyFrom":"%sinference-profile/jp.%s"}}`, i, mine, sonnet)); a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	list := func(query string) (all []string, pages int) {
		token := ""
		for {
			target := "/inference-profiles?" + query
			if token != "" {
				target += "&nextToken=" + token
			}
			v := p.get(tokyo, target)
			all, pages = append(all, ids(v.Get("inferenceProfileSummaries"), "inferenceProfileId")...), pages+1
			if token = v.Get("nextToken").Str(); token == "" {
				return all, pages
			}
		}
	}
	whole, _ := list("maxResults=1000")
	system, _ := list("type=SYSTEM_DEFINED&maxResults=1000")
	own, _ := list("type=APPLICATION&maxResults=1000")
	if !slices.Equal(whole, slices.Concat(system, own)) || len(own) != 5 || len(system) < 10 {
		t.Errorf("%d in all, %d system-defined, %d applications", len(whole), len(system), len(own))
	}
	for _, size := range []int{1, 2, 7, len(whole) - 1, len(whole)} {
		got, pages := list(fmt.Sprint("maxResults=", size))
		if !slices.Equal(got, whole) || pages != (len(whole)+size-1)/size {
			t.Errorf("pages of %d: %d pages, %d profiles", size, pages, len(got))
		}
	}
	// What is deleted between two pages takes nothing else away.
	v := p.get(tokyo, "/inference-profiles?type=APPLICATION&maxResults=2")
	second := v.Get("inferenceProfileSummaries").At(1).Get("inferenceProfileArn").Str()
	if a := p.call(tokyo, "DELETE", "/inference-profiles/"+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(second), ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.text)
	}
	rest := ids(p.get(tokyo, "/inference-profiles?type=APPLICATION&nextToken="+v.Get("nextToken").Str()).Get("inferenceProfileSummaries"), "inferenceProfileId")
	if !slices.Equal(rest, own[2:]) {
		t.Errorf("after a deletion: %q, want %q", rest, own[2:])
	}
	for query, text := range map[string]string{
		"maxResults=0": "'maxResults'", "maxResults=1001": "'maxResults'", "maxResults=x": "'maxResults'", "nextToken=!": "next token", "nextToken=": "next token",
		"type=OTHER": "Member must satisfy enum value set: [SYSTEM_DEFINED, APPLICATION]", "typeEquals=APPLICATION": "typeEquals",
	} {
		p.refused(p.call(tokyo, "GET", "/inference-profiles?"+query, ""), 400, "ValidationException", text)
	}
}

// An application inference profile from its creation to its end.
func TestApplicationProfile(t *testing.T) {
	p := open(t, catalog.Addition{})
	began := time.Now().Add(-time.Second)
	a := p.create(`{"inferenceProfileName":"Team One-a_b","description":"Costs of team 1","clientRequestToken":"t-1","modelSource":{"copyFrom":"` + mine + `inference-profile/jp.` + sonnet + `"},"tags":[{"key":"team","value":"one"}]}`)
	arn := a.body.Get("inferenceProfileArn").Str()
	if a.status != http.StatusCreated || a.body.Len() != 2 || a.body.Get("status").Str() != "ACTIVE" || !regexp.MustCompile(`^`+mine+`application-inference-profile/[0-9a-z]{12}$`).MatchString(arn) {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if again := p.create(`{"inferenceProfileName":"Team One-a_b","description":"Costs of team 1","clientRequestToken":"t-1","modelSource":{"copyFrom":"` + mine + `inference-profile/jp.` + sonnet + `"},"tags":[{"key":"team","value":"one"}]}`); again.body.Get("inferenceProfileArn").Str() != arn {
		t.Errorf("the same token made another: %s", again.text)
	}
	path := "/inference-profiles/" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(arn)
	v := p.get(tokyo, path)
	created, err := time.Parse(time.RFC3339Nano, v.Get("createdAt").Str())
	if err != nil || created.Before(began) || v.Get("updatedAt").Str() != v.Get("createdAt").Str() || v.Get("inferenceProfileName").Str() != "Team One-a_b" || v.Get("description").Str() != "Costs of team 1" ||
		v.Get("type").Str() != "APPLICATION" || v.Get("status").Str() != "ACTIVE" || v.Get("inferenceProfileId").Str() != arn[len(arn)-12:] || v.Get("inferenceProfileArn").Str() != arn ||
		!slices.Equal(ids(v.Get("models"), "modelArn"), []string{"arn:aws:bedrock:ap-northeast-1::foundation-model/" + sonnet, "arn:aws:bedrock:ap-northeast-3::foundation-model/" + sonnet}) {
		t.Errorf("%v %s", err, v)
	}
	// A copy of a model is for one Region.
	a = p.create(`{"inferenceProfileName":"one","modelSource":{"copyFrom":"arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0"}}`)
	if m := p.get(tokyo, "/inference-profiles/"+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(a.body.Get("inferenceProfileArn").Str())).Get("models"); m.JSON() != `[{"modelArn":"arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0"}]` {
		t.Errorf("%s", m)
	}
	// It belongs to its Region.
	p.refused(p.call(osaka, "GET", path, ""), 404, "ResourceNotFoundException", "")

	tags := func() string {
		a := p.call(tokyo, "POST", "/listTagsForResource", `{"resourceARN":"`+arn+`"}`)
		if a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.text)
		}
		return a.text
	}
	if got := tags(); got != `{"tags":[{"key":"team","value":"one"}]}` {
		t.Error(got)
	}
	if a := p.call(tokyo, "POST", "/tagResource", `{"resourceARN":"`+arn+`","tags":[{"key":"team","value":"two"},{"key":"a","value":""}]}`); a.status != http.StatusOK || a.text != "{}" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if got := tags(); got != `{"tags":[{"key":"a","value":""},{"key":"team","value":"two"}]}` {
		t.Error(got)
	}
	if a := p.call(tokyo, "POST", "/untagResource", `{"resourceARN":"`+arn+`","tagKeys":["team","none"]}`); a.status != http.StatusOK || a.text != "{}" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if got := tags(); got != `{"tags":[{"key":"a","value":""}]}` {
		t.Error(got)
	}
	if a := p.call(tokyo, "DELETE", path, ""); a.status != http.StatusOK || a.text != "{}" {
		t.Errorf("%d %s", a.status, a.text)
	}
	p.refused(p.call(tokyo, "GET", path, ""), 404, "ResourceNotFoundException", "")
	p.refused(p.call(tokyo, "DELETE", path, ""), 404, "ResourceNotFoundException", "")
	p.refused(p.call(tokyo, "POST", "/listTagsForResource", `{"resourceARN":"`+arn+`"}`), 404, "ResourceNotFoundException", "")
}

// CreateInferenceProfile and its kin refuse, with AWS's codes and statuses.
func TestApplicationRefusals(t *testing.T) {
	p := open(t, catalog.Addition{})
	good := `{"inferenceProfileName":"one","description":"two","clientRequestToken":"three","modelSource":{"copyFrom":"` + mine + `inference-profile/jp.` + sonnet + `"},"tags":[{"key":"k","value":"v"}]}`
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf(`{"key":"k%d","value":""}`, i)
	}
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatal(old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		text   string
	}{
		"no-name":          {swap(`"inferenceProfileName":"one",`, ""), 400, "ValidationException", "'inferenceProfileName'"},
		"name":             {swap(`"one"`, `"-one"`), 400, "ValidationException", "([0-9a-zA-Z][ _-]?)+"},
		"long-name":        {swap(`"one"`, `"`+strings.Repeat("x", 65)+`"`), 400, "ValidationException", "'inferenceProfileName'"},
		"name-type":        {swap(`"one"`, `1`), 400, "ValidationException", "'inferenceProfileName'"},
		"description":      {swap(`"two"`, `"a, b"`), 400, "ValidationException", "'description'"},
		"description-type": {swap(`"two"`, `2`), 400, "ValidationException", "'description'"},
		"long-description": {swap(`"two"`, `"`+strings.Repeat("x", 201)+`"`), 400, "ValidationException", "'description'"},
		"token":            {swap(`"three"`, `"-"`), 400, "ValidationException", "'clientRequestToken'"},
		"token-type":       {swap(`"three"`, `3`), 400, "ValidationException", "'clientRequestToken'"},
		"no-source":        {`{"inferenceProfileName":"one"}`, 400, "ValidationException", "'modelSource.copyFrom'"},
		"source-id":        {swap(mine+"inference-profile/jp."+sonnet, "jp."+sonnet), 400, "ValidationException", "'modelSource.copyFrom'"},
		"source-member":    {swap(`"copyFrom"`, `"x":1,"copyFrom"`), 400, "ValidationException", "'modelSource'"},
		"source-abroad":    {swap(mine, "arn:aws:bedrock:us-east-1:111122223333:"), 400, "ValidationException", "The provided model identifier is invalid."},
		"source-unknown":   {swap("jp."+sonnet, "jp.nothing"), 400, "ValidationException", "The provided model identifier is invalid."},
		"source-own":       {swap("inference-profile/jp."+sonnet, "application-inference-profile/abcdefghij01"), 400, "ValidationException", "The provided model identifier is invalid."},
		"source-profile":   {swap(mine+"inference-profile/jp."+sonnet, "arn:aws:bedrock:ap-northeast-1::foundation-model/"+sonnet), 400, "ValidationException", "The provided model identifier is invalid."},
		"tag-list":         {swap(`[{"key":"k","value":"v"}]`, `{"k":"v"}`), 400, "ValidationException", "'tags'"},
		"tag-form":         {swap(`{"key":"k","value":"v"}`, `{"Key":"k","Value":"v"}`), 400, "ValidationException", "'tags'"},
		"tag-twice":        {swap(`{"key":"k","value":"v"}`, `{"key":"k","value":"v"},{"key":"k","value":"w"}`), 400, "ValidationException", "more than once"},
		"tag-reserved":     {swap(`"k"`, `"AWS:k"`), 400, "ValidationException", "reserved"},
		"tags":             {swap(`{"key":"k","value":"v"}`, strings.Join(many, ",")), 400, "TooManyTagsException", ""},
		"unknown":          {swap(`"tags"`, `"colour":"red","tags"`), 400, "ValidationException", "colour"},
		"no-object":        {`[]`, 400, "SerializationException", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			p.refused(p.create(c.body), c.status, c.code, c.text)
		})
	}
	p.t = t
	if got := p.get(tokyo, "/inference-profiles?type=APPLICATION").Get("inferenceProfileSummaries").Len(); got != 0 {
		t.Errorf("%d profiles were made", got)
	}
	if a := p.create(good); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.text)
	}
	p.refused(p.create(swap(`"one"`, `"other"`)), 400, "ConflictException", "client request token")
	// A system-defined profile is nobody's to delete or to tag.
	p.refused(p.call(tokyo, "DELETE", "/inference-profiles/jp."+strings.ReplaceAll(sonnet, ":", "%3A"), ""), 400, "ValidationException", "system-defined")
	p.refused(p.call(tokyo, "POST", "/tagResource", `{"resourceARN":"`+mine+`inference-profile/jp.`+sonnet+`","tags":[]}`), 400, "ValidationException", "is not an application inference profile")
	p.refused(p.call(tokyo, "POST", "/tagResource", `{"resourceARN":"x","tags":[]}`), 400, "ValidationException", "'resourceARN'")
	own := p.get(tokyo, "/inference-profiles?type=APPLICATION").Get("inferenceProfileSummaries").At(0).Get("inferenceProfileArn").Str()
	p.refused(p.call(tokyo, "POST", "/tagResource", `{"resourceARN":"`+own+`"}`), 400, "ValidationException", "'tags'")
	p.refused(p.call(tokyo, "POST", "/untagResource", `{"resourceARN":"`+own+`"}`), 400, "ValidationException", "'tagKeys'")
	p.refused(p.call(tokyo, "POST", "/untagResource", `{"resourceARN":"`+own+`","tagKeys":"k"}`), 400, "ValidationException", "'tagKeys'")
	p.refused(p.call(tokyo, "POST", "/untagResource", `{"resourceARN":"`+own+`","tagKeys":[1]}`), 400, "ValidationException", "'tagKeys'")
	p.refused(p.call(tokyo, "POST", "/tagResource", `{"resourceARN":"`+own+`","tags":[`+strings.Join(many, ",")+`]}`), 400, "TooManyTagsException", "")
}

// Who may list and nothing else is refused by the authorization layer: a capital
// Message, AWS's sentence, and the resource that is meant.
func TestDenials(t *testing.T) {
	p := open(t, catalog.Addition{})
	if a := p.call(tokyo, "GET", "/inference-profiles", "", "AKIAUSER"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}
	user := "User: arn:aws:iam::111122223333:user/u is not authorized to perform: "
	for _, c := range []struct{ method, target, body, want string }{
		{"GET", "/inference-profiles/jp.x", "", user + "bedrock:GetInferenceProfile on resource: " + mine + "inference-profile/jp.x because no identity-based policy allows the bedrock:GetInferenceProfile action"},
		{"GET", "/foundation-models/x.y", "", user + "bedrock:GetFoundationModel on resource: arn:aws:bedrock:ap-northeast-1::foundation-model/x.y because no identity-based policy allows the bedrock:GetFoundationModel action"},
		{"DELETE", "/inference-profiles/abcdefghij01", "", user + "bedrock:DeleteInferenceProfile on resource: " + mine + "application-inference-profile/abcdefghij01 because no identity-based policy allows the bedrock:DeleteInferenceProfile action"},
		{"POST", "/inference-profiles", `{"inferenceProfileName":"x","modelSource":{"copyFrom":"` + mine + `inference-profile/jp.x"}}`,
			user + "bedrock:CreateInferenceProfile on resource: " + mine + "inference-profile/jp.x because no identity-based policy allows the bedrock:CreateInferenceProfile action"},
	} {
		a := p.call(tokyo, c.method, c.target, c.body, "AKIAUSER")
		if a.status != http.StatusForbidden || a.kind != "AccessDeniedException" || a.body.Get("Message").Str() != c.want || !a.body.Get("message").IsUndefined() {
			t.Errorf("%s %s: %d %s %s", c.method, c.target, a.status, a.kind, a.text)
		}
	}
	if a := p.call(tokyo, "GET", "/inference-profiles", "", "AKIANOBODY"); a.status != http.StatusForbidden || a.kind != "UnrecognizedClientException" || a.body.Get("message").Str() != "The security token included in the request is invalid." {
		t.Errorf("%d %s %s", a.status, a.kind, a.text)
	}
}

// An operator's profile is listed, described and copied like AWS's own.
func TestOperatorsProfile(t *testing.T) {
	p := open(t, catalog.Addition{Profiles: []catalog.NewProfile{{ID: "centre." + sonnet, Name: "Our two data centres", Model: sonnet, To: map[string][]string{tokyo: {tokyo, osaka}}}}})
	v := p.get(tokyo, "/inference-profiles/centre."+strings.ReplaceAll(sonnet, ":", "%3A"))
	if v.Get("type").Str() != "SYSTEM_DEFINED" || v.Get("models").Len() != 2 || v.Get("inferenceProfileName").Str() != "Our two data centres" {
		t.Errorf("%s", v)
	}
	if !slices.Contains(ids(p.get(tokyo, "/inference-profiles").Get("inferenceProfileSummaries"), "inferenceProfileId"), "centre."+sonnet) ||
		slices.Contains(ids(p.get(osaka, "/inference-profiles").Get("inferenceProfileSummaries"), "inferenceProfileId"), "centre."+sonnet) {
		t.Error("it is listed where it can be called, and nowhere else")
	}
	if a := p.create(`{"inferenceProfileName":"one","modelSource":{"copyFrom":"` + mine + `inference-profile/centre.` + sonnet + `"}}`); a.status != http.StatusCreated {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// An application profile can be made wherever Bedrock is, of a model on demand there
// or of a profile that can be called from there; not of a model that makes vectors,
// and no more of them than an account has room for.
func TestApplicationProfilesEverywhere(t *testing.T) {
	p := open(t, catalog.Addition{})
	made := 0
	for _, r := range catalog.Load().Regions {
		list := p.get(r.Code, "/inference-profiles?type=SYSTEM_DEFINED&maxResults=1").Get("inferenceProfileSummaries")
		source := list.At(0).Get("inferenceProfileArn").Str()
		if list.Len() == 0 {
			for _, m := range p.get(r.Code, "/foundation-models?byOutputModality=TEXT&byInferenceType=ON_DEMAND").Get("modelSummaries").Items() {
				source = m.Get("modelArn").Str()
				break
			}
		}
		if source == "" {
			t.Logf("nothing can be called from %s", r.Code)
			continue
		}
		a := p.call(r.Code, "POST", "/inference-profiles", `{"inferenceProfileName":"one","modelSource":{"copyFrom":"`+source+`"}}`)
		if a.status != http.StatusCreated || !strings.HasPrefix(a.body.Get("inferenceProfileArn").Str(), "arn:"+r.Partition+":bedrock:"+r.Code+":"+account+":application-inference-profile/") {
			t.Errorf("%s, of %s: %d %s", r.Code, source, a.status, a.text)
			continue
		}
		made++
	}
	if made < 33 {
		t.Errorf("made in %d Regions", made)
	}
	p.refused(p.create(`{"inferenceProfileName":"v","modelSource":{"copyFrom":"arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.titan-embed-text-v2:0"}}`), 400, "ValidationException", "")
	for i := range bedrock.MaxApplications {
		if _, err := p.apps.Create(t.Context(), bedrock.NewApplication{Region: osaka, Account: account, Name: fmt.Sprint("p", i), CopyFrom: "arn:aws:bedrock:ap-northeast-3:" + account + ":inference-profile/jp." + sonnet}, time.Now()); err != nil {
			if i < bedrock.MaxApplications-1 { // one is there already
				t.Fatal(i, err)
			}
		}
	}
	p.refused(p.call(osaka, "POST", "/inference-profiles", `{"inferenceProfileName":"more","modelSource":{"copyFrom":"arn:aws:bedrock:ap-northeast-3:`+account+`:inference-profile/jp.`+sonnet+`"}}`), 400, "ServiceQuotaExceededException", "1000 application inference profiles")
}
