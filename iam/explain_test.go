package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tokaido/internal/golden"
	"tokaido/value"
)

const (
	account = "111122223333"
	sonnet4 = "anthropic.claude-sonnet-4-20250514-v1:0"
)

var (
	asia = []string{"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-4"}
	// the commercial Regions that have Bedrock, as far as the tests need them
	regions = []string{"ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2",
		"ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7", "ca-central-1", "eu-central-1", "eu-west-1", "us-east-1", "us-west-2"}
)

func shape(profile, model string, destinations ...string) *CallShape {
	s := &CallShape{Region: "ap-northeast-1", Account: account, Requested: profile, Profile: profile, Model: model, Destinations: destinations, Regions: regions}
	s.ProfileARN = "arn:aws:bedrock:ap-northeast-1:" + account + ":inference-profile/" + profile
	return s
}

func apac() *CallShape   { return shape("apac."+sonnet4, sonnet4, asia...) }
func jp() *CallShape     { return shape("jp."+sonnet45, sonnet45, "ap-northeast-1", "ap-northeast-3") }
func global() *CallShape { return shape("global."+sonnet45, sonnet45) }

func bare() *CallShape {
	return &CallShape{Region: "ap-northeast-1", Account: account, Requested: "amazon.nova-pro-v1:0", Model: "amazon.nova-pro-v1:0", Destinations: []string{"ap-northeast-1"}}
}

const applicationARN = "arn:aws:bedrock:ap-northeast-1:" + account + ":application-inference-profile/abc123def456"

func application() *CallShape {
	s := jp()
	s.Requested, s.ProfileARN, s.Application = applicationARN, applicationARN, true
	return s
}

// allowing is a policy as the console prints it.
func allowing(action string, resources ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      \"Sid\": \"InvokeModel1\",\n      \"Effect\": \"Allow\",\n      \"Action\": [\n        %q\n      ],\n      \"Resource\": [", action)
	for i, r := range resources {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n        %q", r)
	}
	b.WriteString("\n      ]\n    }\n  ]\n}\n")
	return b.String()
}

func models(model string, in ...string) []string {
	var s []string
	for _, r := range in {
		s = append(s, "arn:aws:bedrock:"+r+"::foundation-model/"+model)
	}
	return s
}

const (
	fullAccess  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	allBedrock  = `{"Version":"2012-10-17","Statement":[{"Sid":"Bedrock","Effect":"Allow","Action":"bedrock:*","Resource":"*"}]}`
	tokyoGuard  = `{"Version":"2012-10-17","Statement":[{"Sid":"TokyoOnly","Effect":"Deny","Action":"bedrock:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["ap-northeast-1"]}}}]}`
	tokyoLimits = `{"Version":"2012-10-17","Statement":[{"Sid":"Tokyo","Effect":"Allow","Action":"bedrock:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"ap-northeast-1"}}}]}`
)

type explained struct {
	name     string
	shape    *CallShape
	action   string
	identity []string
	more     func(*Policies)
	extra    []Authorization
	allowed  bool
	fixed    bool
	ids      []string // of the findings that must be there
	wider    bool     // the fix allows something besides, and says so
}

func role() Caller {
	by, _ := ParseCaller("arn:aws:sts::" + account + ":assumed-role/BedrockWorkflow/run-1")
	return by
}

func (x *explained) call(tb testing.TB) Call {
	c := Call{By: role(), Policies: &Policies{}, Model: x.shape}
	action := x.action
	if action == "" {
		action = actionInvoke
	}
	c.Needs = append(x.shape.Authorizations(action), x.extra...)
	for i, doc := range x.identity {
		p, err := Parse(IdentityPolicy, []byte(doc))
		if err != nil {
			tb.Fatalf("%s: %v", doc, err)
		}
		name := "InvokeModel"
		if i > 0 {
			name = fmt.Sprint("InvokeModel", i+1)
		}
		c.Policies.Identity = append(c.Policies.Identity, Bound{Policy: p, Name: name, Owner: c.By.RoleARN})
	}
	if x.more != nil {
		x.more(c.Policies)
	}
	return c
}

var (
	apacProfile   = "arn:aws:bedrock:ap-northeast-1:" + account + ":inference-profile/apac." + sonnet4
	jpProfile     = "arn:aws:bedrock:ap-northeast-1:" + account + ":inference-profile/jp." + sonnet45
	globalProfile = "arn:aws:bedrock:ap-northeast-1:" + account + ":inference-profile/global." + sonnet45
)

var cases = []explained{
	{name: "a-generated-by-the-console", shape: apac(), fixed: true, ids: []string{"BR01", "BR05", "BR04"},
		identity: []string{allowing(actionInvoke, "arn:aws:bedrock:ap-northeast-1::foundation-model/apac."+sonnet4)}},
	{name: "b-profile-only", shape: apac(), fixed: true, ids: []string{"BR04"},
		identity: []string{allowing(actionInvoke, apacProfile)}},
	{name: "c-tokyo-only", shape: apac(), fixed: true, ids: []string{"BR06"},
		identity: []string{allowing(actionInvoke, append([]string{apacProfile}, models(sonnet4, "ap-northeast-1")...)...)}},
	{name: "d-eight-regions-without-the-profile", shape: apac(), fixed: true, ids: []string{"BR05"},
		identity: []string{allowing(actionInvoke, models(sonnet4, asia...)...)}},
	{name: "e-eight-regions-and-the-profile", shape: apac(), allowed: true,
		identity: []string{allowing(actionInvoke, append([]string{apacProfile}, models(sonnet4, asia...)...)...)}},
	{name: "f-region-wildcard", shape: apac(), allowed: true, ids: []string{"BR22"},
		identity: []string{allowing(actionInvoke, "arn:aws:bedrock:ap-*::foundation-model/"+sonnet4, "arn:aws:bedrock:ap-*:*:inference-profile/apac."+sonnet4)}},
	{name: "g-jp-without-osaka", shape: jp(), fixed: true, ids: []string{"BR06"},
		identity: []string{allowing(actionInvoke, append([]string{jpProfile}, models(sonnet45, "ap-northeast-1")...)...)}},
	{name: "h-global-without-the-regionless-model", shape: global(), fixed: true, ids: []string{"BR07"},
		identity: []string{allowing(actionInvoke, append([]string{globalProfile}, models(sonnet45, "ap-northeast-1")...)...)}},
	{name: "h2-global-with-a-region-wildcard", shape: global(), fixed: true, ids: []string{"BR07"},
		identity: []string{allowing(actionInvoke, append([]string{globalProfile}, models(sonnet45, "ap-*")...)...)}},
	{name: "h3-global-without-unspecified", shape: global(), fixed: true, ids: []string{"BR08"},
		identity: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":["` + globalProfile + `","arn:aws:bedrock:*::foundation-model/` + sonnet45 + `"],"Condition":{"StringEquals":{"aws:RequestedRegion":["ap-northeast-1","us-east-1"]}}}]}`}},
	{name: "h4-global-in-a-boundary", shape: global(), fixed: true, ids: []string{"BR07"}, identity: []string{allBedrock},
		more: func(p *Policies) {
			p.Boundary = &Bound{Policy: MustParse(Boundary, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:*","Resource":["arn:aws:bedrock:*:*:inference-profile/*","arn:aws:bedrock:ap-*::foundation-model/*"]}]}`), Name: "Limits", ARN: "arn:aws:iam::" + account + ":policy/Limits"}
		}},
	{name: "v-condition-on-purpose", shape: jp(), ids: []string{""},
		identity: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":["` + jpProfile + `","arn:aws:bedrock:ap-northeast-*::foundation-model/` + sonnet45 + `"],"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}`}},
	{name: "w-dead-among-others", shape: jp(), fixed: true, ids: []string{"BR01"},
		identity: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:*","Resource":["arn:aws:bedrock:ap-northeast-1::foundation-model/jp.` + sonnet45 + `","arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-pro-v1:0"]}]}`}},
	{name: "x-bare-model", shape: bare(), fixed: true,
		identity: []string{allowing(actionInvoke, "arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0")}},
	{name: "x2-bare-model-cut-short", shape: bare(), fixed: true, ids: []string{"BR20"},
		identity: []string{allowing(actionInvoke, "arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-pro-v1")}},
	{name: "y-application-profile", shape: application(), fixed: true, ids: []string{"BR04"},
		identity: []string{allowing(actionInvoke, applicationARN)}},
	{name: "y2-application-profile-of-the-copied-one", shape: application(), fixed: true, ids: []string{"BR05"},
		identity: []string{allowing(actionInvoke, append([]string{jpProfile}, models(sonnet45, "ap-northeast-1", "ap-northeast-3")...)...)}},
	{name: "i-scp-region-guard", shape: jp(), fixed: true, wider: true, ids: []string{"BR08"}, identity: []string{allBedrock},
		more: func(p *Policies) {
			p.SCP = [][]Bound{{{Policy: MustParse(ServiceControlPolicy, fullAccess), Name: "FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"},
				{Policy: MustParse(ServiceControlPolicy, tokyoGuard), Name: "TokyoOnly", ARN: "arn:aws:organizations::999988887777:policy/o-example/service_control_policy/p-tokyo"}}}
		}},
	{name: "i2-scp-deny", shape: jp(), ids: []string{"GN08"}, identity: []string{allBedrock},
		more: func(p *Policies) {
			p.SCP = [][]Bound{{{Policy: MustParse(ServiceControlPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"NoJapanProfiles","Effect":"Deny","Action":"bedrock:*","Resource":"arn:aws:bedrock:*:*:inference-profile/jp.*"}]}`), Name: "Guardrails", ARN: "arn:aws:organizations::999988887777:policy/o-example/service_control_policy/p-guard"}}}
		}},
	{name: "i3-scp-silent", shape: jp(), fixed: true, ids: []string{"BR06"}, identity: []string{allBedrock},
		more: func(p *Policies) {
			p.SCP = [][]Bound{{{Policy: MustParse(ServiceControlPolicy, fullAccess), Name: "FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"}},
				{{Policy: MustParse(ServiceControlPolicy, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:*","states:*"],"Resource":"*"}}`), Name: "Workflows", ARN: "arn:aws:organizations::999988887777:policy/o-example/service_control_policy/p-workflows"}}}
		}},
	{name: "i4-two-silent-levels", shape: jp(), fixed: true, ids: []string{"BR06"}, identity: []string{allBedrock},
		more: func(p *Policies) {
			s3 := MustParse(ServiceControlPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","states:*"],"Resource":"*"}]}`)
			p.SCP = [][]Bound{{{Policy: s3, Name: "Root", ARN: "arn:aws:organizations::999988887777:policy/o-example/service_control_policy/p-root"}},
				{{Policy: s3, Name: "Unit", ARN: "arn:aws:organizations::999988887777:policy/o-example/service_control_policy/p-unit"}}}
		}},
	{name: "z-guardrail-besides", shape: jp(), fixed: true, ids: []string{"BR06"},
		extra:    []Authorization{{Action: "bedrock:ApplyGuardrail", Resource: "arn:aws:bedrock:ap-northeast-1:" + account + ":guardrail/gr123", Context: Context{{Key: "aws:RequestedRegion", Values: []string{"ap-northeast-1"}}}}},
		identity: []string{allowing(actionInvoke, append([]string{jpProfile}, models(sonnet45, "ap-northeast-1")...)...)}},
	{name: "j-boundary", shape: jp(), fixed: true, ids: []string{"BR08"}, identity: []string{allBedrock},
		more: func(p *Policies) {
			p.Boundary = &Bound{Policy: MustParse(Boundary, tokyoLimits), Name: "Limits", ARN: "arn:aws:iam::" + account + ":policy/Limits"}
		}},
	{name: "k-converse-is-no-action", shape: jp(), fixed: true, ids: []string{"BR09"},
		identity: []string{allowing("bedrock:Converse", append([]string{jpProfile}, models(sonnet45, "ap-northeast-1", "ap-northeast-3")...)...)}},
	{name: "l-streaming", shape: jp(), action: actionStream, fixed: true, wider: false, ids: []string{"BR15"},
		identity: []string{allowing(actionInvoke, append([]string{jpProfile}, models(sonnet45, "ap-northeast-1", "ap-northeast-3")...)...)}},
	{name: "m-account-in-the-model", shape: jp(), fixed: true, ids: []string{"BR02"},
		identity: []string{allowing(actionInvoke, jpProfile, "arn:aws:bedrock:ap-northeast-1:"+account+":foundation-model/"+sonnet45, "arn:aws:bedrock:ap-northeast-3:"+account+":foundation-model/"+sonnet45)}},
	{name: "n-colon-short", shape: jp(), fixed: true, ids: []string{"GN07"},
		identity: []string{allowing(actionInvoke, jpProfile, "arn:aws:bedrock:*:foundation-model/"+sonnet45)}},
	{name: "o-model-id-as-profile", shape: jp(), fixed: true, ids: []string{"BR23", "BR03"},
		identity: []string{allowing(actionInvoke, append([]string{"arn:aws:bedrock:ap-northeast-1:" + account + ":inference-profile/" + sonnet45, "arn:aws:bedrock:ap-northeast-1::inference-profile/jp." + sonnet45}, models(sonnet45, "ap-northeast-*")...)...)}},
	{name: "p-stringequals-with-a-star", shape: jp(), fixed: true, ids: []string{"BR12"},
		identity: []string{`{"Version":"2012-10-17","Statement":[{"Sid":"Profile","Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"` + jpProfile + `"},{"Sid":"Models","Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"arn:aws:bedrock:*::foundation-model/` + sonnet45 + `","Condition":{"StringEquals":{"bedrock:InferenceProfileArn":"arn:aws:bedrock:*:*:inference-profile/jp.*"}}}]}`}},
	{name: "q-no-policy", shape: jp(), fixed: true, ids: []string{"BR05"}},
	{name: "r-identity-and-boundary", shape: jp(), fixed: true, ids: []string{"BR06", "BR08"},
		identity: []string{allowing(actionInvoke, append([]string{jpProfile}, models(sonnet45, "ap-northeast-1")...)...)},
		more: func(p *Policies) {
			p.Boundary = &Bound{Policy: MustParse(Boundary, tokyoLimits), Name: "Limits", ARN: "arn:aws:iam::" + account + ":policy/Limits"}
		}},
	{name: "s-managed-by-aws", shape: jp(), fixed: true, ids: []string{"BR05"},
		more: func(p *Policies) {
			p.Identity = []Bound{{Policy: MustParse(IdentityPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["bedrock:Get*","bedrock:List*"],"Resource":"*"}]}`), Name: "AmazonBedrockReadOnly", ARN: "arn:aws:iam::aws:policy/AmazonBedrockReadOnly"}}
		}},
	{name: "t-both-actions", shape: jp(), fixed: true, wider: true, ids: []string{"BR06"},
		identity: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["bedrock:InvokeModel","bedrock:InvokeModelWithResponseStream"],"Resource":["` + jpProfile + `","arn:aws:bedrock:ap-northeast-1::foundation-model/` + sonnet45 + `"]}]}`}},
	{name: "u-condition-on-profile-and-models", shape: jp(), fixed: true, ids: []string{"BR14"},
		identity: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":["` + jpProfile + `","arn:aws:bedrock:ap-northeast-1::foundation-model/` + sonnet45 + `","arn:aws:bedrock:ap-northeast-3::foundation-model/` + sonnet45 + `"],"Condition":{"StringEquals":{"bedrock:InferenceProfileArn":"` + jpProfile + `"}}}]}`}},
}

func TestExplain(t *testing.T) {
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			c := x.call(t)
			e := Explain(c)
			if e.Allowed != x.allowed || e.Fixed != x.fixed || len(e.Wider) > 0 != x.wider {
				t.Errorf("allowed %v, fixed %v, wider %v", e.Allowed, e.Fixed, e.Wider)
			}
			for _, id := range x.ids {
				if !slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.ID == id }) {
					t.Errorf("no finding %s", id)
				}
			}
			if e.Refused >= 0 && e.Parts[e.Refused].Decision.Message() == "" {
				t.Error("a refusal without a text")
			}
			if !value.Valid(e.Value().JSON()) {
				t.Error("the data is no JSON")
			}
			for _, lang := range []string{"en", "ja"} {
				got := e.Text(lang)
				if strings.Contains(got, "%!") {
					t.Errorf("a hole in the text:\n%s", got)
				}
				golden.Compare(t, got, "explain", x.name+"."+lang+".txt")
			}
		})
	}
}

// A policy that was put right needs no further change, and its parts stand
// alone: without any of the resources that came in, the call is refused.
func TestFixIsLeast(t *testing.T) {
	for _, x := range cases {
		if !x.fixed {
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			c := x.call(t)
			e := Explain(c)
			b := &bench{e: &e, p: c.Policies.clone()}
			apply(t, b.p, e.Fixes)
			again := c
			again.Policies = b.p
			if r := Explain(again); !r.Allowed {
				t.Fatalf("refused after the fix:\n%s", r.Text("en"))
			}
			for _, f := range e.Fixes {
				p := MustParse(IdentityPolicy, f.After)
				for i := range p.statements {
					st := sourceOf(p.doc, i)
					rs := texts(st.Get("Resource"))
					for k, r := range rs {
						if strings.Contains(f.Before, `"`+r+`"`) || len(rs) == 1 {
							continue
						}
						g := f
						g.After = Indent(withStatement(p.doc, i, st.With("Resource", strs(slices.Delete(slices.Clone(rs), k, k+1)))))
						w := &bench{e: &e, p: b.p.clone()}
						apply(t, w.p, []Fix{g})
						less := c
						less.Policies = w.p
						if got := Explain(less); got.Allowed {
							t.Errorf("%s is not needed", r)
						}
					}
				}
			}
		})
	}
}

// apply puts fixed documents into policies.
func apply(t *testing.T, p *Policies, fixes []Fix) {
	t.Helper()
	for _, f := range fixes {
		done := false
		for _, l := range p.all() {
			if l.layer == f.Layer && l.bound.Name == f.Policy && l.bound.ARN == f.ARN {
				n, err := Parse(l.bound.Policy.kind, []byte(f.After))
				if err != nil {
					t.Fatal(err)
				}
				l.bound.Policy, done = n, true
			}
		}
		if !done && f.New && f.Layer == LayerIdentity {
			p.Identity = append(p.Identity, Bound{Policy: MustParse(IdentityPolicy, f.After), Name: f.Policy})
			done = true
		}
		if !done {
			t.Fatalf("no policy %q", f.Policy)
		}
	}
}

func TestGrantsOfACall(t *testing.T) {
	for _, s := range []*CallShape{apac(), jp(), global(), application(), {Region: "ap-northeast-1", Account: account, Model: "amazon.nova-pro-v1:0"}} {
		for _, actions := range [][]string{nil, {actionInvoke, actionStream}} {
			gs, err := s.Grants(actions...)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Merge(gs)
			if err != nil {
				t.Fatal(err)
			}
			if actions == nil {
				actions = []string{actionInvoke}
			}
			full := &Policies{Identity: []Bound{{Policy: p}}}
			for _, a := range actions {
				for _, d := range EvaluateAll(full, role(), s.Authorizations(a), nil) {
					if !d.Allowed {
						t.Errorf("%s", d.Message())
					}
				}
			}
			if fs := Check(p, Options{Account: account, Call: s}); len(fs) > 0 {
				t.Errorf("%s: %v", s.Profile, fs)
			}
			for i := range p.statements {
				st := p.doc.Get("Statement")
				var rest []value.Value
				for k, x := range st.Items() {
					if k != i {
						rest = append(rest, x)
					}
				}
				if len(rest) == 0 {
					continue
				}
				less := &Policies{Identity: []Bound{{Policy: MustParse(IdentityPolicy, p.doc.With("Statement", value.Array(rest...)).JSON())}}}
				if !slices.ContainsFunc(EvaluateAll(less, role(), s.Authorizations(actions[0]), nil), func(d Decision) bool { return !d.Allowed }) {
					t.Errorf("%s: statement %d is not needed", s.Profile, i)
				}
			}
		}
	}
	if _, err := (&CallShape{Region: "r", Model: "m", Profile: "jp.m", ProfileARN: "x"}).Grants(); err == nil {
		t.Error("granted for unknown destinations")
	}
}

func TestParseMessage(t *testing.T) {
	for i, x := range cases {
		c := x.call(t)
		for _, d := range EvaluateAll(c.Policies, c.By, c.Needs, nil) {
			if d.Allowed {
				continue
			}
			text := "The state failed. " + d.Message() + " (Service: BedrockRuntime, Status Code: 403, Request ID: 1) (SDK Attempt Count: 1)"
			r, ok := ParseMessage(text)
			if !ok || r.Action != d.Request.Action || r.Resource != d.Request.Resource || r.Layer != d.Layer || r.Explicit != d.Explicit || r.PolicyARN != d.PolicyARN || r.By.ARN != c.By.ARN {
				t.Errorf("%d %s: %+v, %v", i, text, r, ok)
			}
		}
	}
	for _, s := range []string{"", "User: ", "User: x is not authorized to perform: y", "access denied", "User: arn:aws:iam::111122223333:user/a is not authorized to perform: nothing special"} {
		if r, ok := ParseMessage(s); ok {
			t.Errorf("%q: %+v", s, r)
		}
	}
}
