package bedrockctl

import (
	"context"
	"iter"
	"net/url"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

const (
	account = "111122223333"
	jp45    = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
	prefix  = "arn:aws:bedrock:ap-northeast-1:111122223333:"
)

type store struct{}

func (store) Load(context.Context) iter.Seq2[bedrock.Entry, error] {
	return func(func(bedrock.Entry, error) bool) {}
}
func (store) Save(context.Context, ...bedrock.Change) error { return nil }

// world is the operations, called without a front door.
func world(t *testing.T, keeps bool) (map[string]*awsapi.Op, *bedrock.Profiles) {
	t.Helper()
	var apps *bedrock.Profiles
	if keeps {
		var err error
		if apps, err = bedrock.OpenProfiles(t.Context(), store{}, catalog.Load()); err != nil {
			t.Fatal(err)
		}
	}
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For, Applications: apps})
	ops := map[string]*awsapi.Op{}
	for _, op := range Ops(rt) {
		ops[op.Name] = &op
	}
	return ops, apps
}

func request(op *awsapi.Op, label, query, body string) *awsapi.Request {
	r := &awsapi.Request{Op: op, Region: "ap-northeast-1", Account: account, Path: map[string]string{}, Input: value.Object(), Time: time.Now()}
	if i := strings.Index(op.Route, "{"); i >= 0 {
		r.Path[strings.Trim(op.Route[i:], "{}")] = label
	}
	if body != "" {
		r.Input = value.MustParse(body)
	}
	r.Query, _ = url.ParseQuery(query)
	return r
}

// What each operation must be allowed, in the words of a policy.
func TestNeeds(t *testing.T) {
	ops, apps := world(t, true)
	a, err := apps.Create(t.Context(), bedrock.NewApplication{Region: "ap-northeast-1", Account: account, Name: "mine",
		CopyFrom: prefix + "inference-profile/" + jp45, Tags: map[string]string{"team": "one"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ op, label, body, want string }{
		{"ListFoundationModels", "", "", "bedrock:ListFoundationModels *"},
		{"GetFoundationModel", "x.y", "", "bedrock:GetFoundationModel arn:aws:bedrock:ap-northeast-1::foundation-model/x.y"},
		{"GetFoundationModelAvailability", "x.y", "", "bedrock:GetFoundationModelAvailability *"},
		{"ListInferenceProfiles", "", "", "bedrock:ListInferenceProfiles *"},
		{"GetInferenceProfile", jp45, "", "bedrock:GetInferenceProfile " + prefix + "inference-profile/" + jp45},
		{"GetInferenceProfile", prefix + "inference-profile/" + jp45, "", "bedrock:GetInferenceProfile " + prefix + "inference-profile/" + jp45},
		{"GetInferenceProfile", a.ID, "", "bedrock:GetInferenceProfile " + a.ARN() + " aws:ResourceTag/team=one"},
		{"CreateInferenceProfile", "", `{"modelSource":{"copyFrom":"` + prefix + `inference-profile/x"}}`,
			"bedrock:CreateInferenceProfile " + prefix + "inference-profile/x; bedrock:CreateInferenceProfile " + prefix + "application-inference-profile/*"},
		{"CreateInferenceProfile", "", `{"modelSource":{"copyFrom":"arn:aws:bedrock:ap-northeast-1::foundation-model/x"},"tags":[{"key":"b","value":"2"},{"key":"a","value":"1"}]}`,
			"bedrock:CreateInferenceProfile arn:aws:bedrock:ap-northeast-1::foundation-model/x aws:TagKeys=a|b aws:RequestTag/a=1 aws:RequestTag/b=2; " +
				"bedrock:CreateInferenceProfile " + prefix + "application-inference-profile/* aws:TagKeys=a|b aws:RequestTag/a=1 aws:RequestTag/b=2; " +
				"bedrock:TagResource " + prefix + "application-inference-profile/* aws:TagKeys=a|b aws:RequestTag/a=1 aws:RequestTag/b=2"},
		{"DeleteInferenceProfile", a.ARN(), "", "bedrock:DeleteInferenceProfile " + a.ARN() + " aws:ResourceTag/team=one"},
		{"TagResource", "", `{"resourceARN":"` + a.ARN() + `","tags":[{"key":"x","value":"y"}]}`, "bedrock:TagResource " + a.ARN() + " aws:ResourceTag/team=one aws:TagKeys=x aws:RequestTag/x=y"},
		{"UntagResource", "", `{"resourceARN":"` + a.ARN() + `","tagKeys":["x"]}`, "bedrock:UntagResource " + a.ARN() + " aws:ResourceTag/team=one aws:TagKeys=x"},
		{"ListTagsForResource", "", `{"resourceARN":"` + a.ARN() + `"}`, "bedrock:ListTagsForResource " + a.ARN() + " aws:ResourceTag/team=one"},
	} {
		op := ops[c.op]
		needs, err := op.Needs(t.Context(), request(op, c.label, "", c.body))
		var got []string
		for _, n := range needs {
			var s strings.Builder
			s.WriteString(n.Action + " " + n.Resource)
			for _, x := range n.Context {
				s.WriteString(" " + x.Key + "=" + strings.Join(x.Values, "|"))
			}
			got = append(got, s.String())
		}
		if err != nil || strings.Join(got, "; ") != c.want {
			t.Errorf("%s %s %s: %v\n%s\nwant\n%s", c.op, c.label, c.body, err, strings.Join(got, "; "), c.want)
		}
	}
}

// A server that keeps no application profiles says so, and still lists AWS's.
func TestWithoutApplications(t *testing.T) {
	ops, _ := world(t, false)
	for _, c := range []struct{ op, label, body string }{
		{"CreateInferenceProfile", "", `{"inferenceProfileName":"x","modelSource":{"copyFrom":"arn:aws:bedrock:ap-northeast-1::foundation-model/x"}}`},
		{"DeleteInferenceProfile", "abcdefghij12", ""},
		{"TagResource", "", `{"resourceARN":"` + prefix + `application-inference-profile/x","tags":[]}`},
	} {
		op := ops[c.op]
		_, err := op.Handle(t.Context(), request(op, c.label, "", c.body))
		if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), c.op+" is not supported by this server") {
			t.Errorf("%s: %v", c.op, err)
		}
	}
	op := ops["ListInferenceProfiles"]
	for query, want := range map[string]bool{"": true, "type=APPLICATION": false} {
		resp, err := op.Handle(t.Context(), request(op, "", query, ""))
		if err != nil || (resp.Body.Get("inferenceProfileSummaries").Len() > 0) != want {
			t.Errorf("list %s: %v", query, err)
		}
	}
}

// In every Region, what is listed can be planned, and the other way round.
func TestListedIsCallable(t *testing.T) {
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For})
	ops := Ops(rt)
	handle := func(name, region string) value.Value {
		for i := range ops {
			if ops[i].Name == name {
				r := request(&ops[i], "", "", "")
				r.Region = region
				resp, err := ops[i].Handle(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				return resp.Body
			}
		}
		t.Fatal("no operation ", name)
		return value.Value{}
	}
	profiles := 0
	for _, region := range rt.Catalog().Regions {
		for _, p := range handle("ListInferenceProfiles", region.Code).Get("inferenceProfileSummaries").Items() {
			profiles++
			plan, err := rt.Plan(region.Code, account, p.Get("inferenceProfileArn").Str())
			if err != nil {
				t.Errorf("%s lists %s: %v", region.Code, p.Get("inferenceProfileId").Str(), err)
				continue
			}
			if n := p.Get("models").Len(); !plan.Profile.Global && n != len(plan.Regions) {
				t.Errorf("%s: %d models of %s, %d Regions planned", region.Code, n, plan.Profile.ID, len(plan.Regions))
			}
		}
		for _, m := range handle("ListFoundationModels", region.Code).Get("modelSummaries").Items() {
			_, err := rt.Plan(region.Code, account, m.Get("modelArn").Str())
			if onDemand := strings.Contains(m.Get("inferenceTypesSupported").JSON(), "ON_DEMAND"); (err == nil) != onDemand {
				t.Errorf("%s lists %s as %s: %v", region.Code, m.Get("modelId").Str(), m.Get("inferenceTypesSupported"), err)
			}
		}
	}
	if profiles < 1000 {
		t.Errorf("%d profiles in all Regions", profiles)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("maxResults=1&nextToken=YWI&type=APPLICATION")
	f.Add("byProvider=x&byOutputModality=TEXT")
	f.Add("nextToken=%00&maxResults=-1")
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For})
	ops := Ops(rt)
	f.Fuzz(func(t *testing.T, query string) {
		for i := range ops {
			if ops[i].Name != "ListInferenceProfiles" && ops[i].Name != "ListFoundationModels" {
				continue
			}
			if _, err := ops[i].Handle(t.Context(), request(&ops[i], "", query, "")); err != nil && fault.Code(err) != "ValidationException" {
				t.Errorf("%s?%s: %v", ops[i].Name, query, err)
			}
		}
	})
}
