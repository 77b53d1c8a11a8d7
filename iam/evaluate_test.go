package iam

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const sonnet45 = "anthropic.claude-sonnet-4-5-20250929-v1:0"

// many is p policies of s statements, one of which allows the request of the
// benchmark.
func many(tb testing.TB, p, s int) *Policies {
	tb.Helper()
	ps := &Policies{}
	for i := range p {
		var b strings.Builder
		b.WriteString(`{"Version":"2012-10-17","Statement":[`)
		for j := range s {
			if j > 0 {
				b.WriteByte(',')
			}
			switch {
			case i == p-1 && j == s-1:
				fmt.Fprintf(&b, `{"Effect":"Allow","Action":["bedrock:InvokeModel","bedrock:InvokeModelWithResponseStream"],"Resource":["arn:aws:bedrock:ap-northeast-1::foundation-model/%s","arn:aws:bedrock:ap-northeast-3::foundation-model/%[1]s"],"Condition":{"StringEquals":{"aws:RequestedRegion":["ap-northeast-1","ap-northeast-3"]}}}`, sonnet45)
			case j%4 == 0:
				fmt.Fprintf(&b, `{"Effect":"Allow","Action":["s3:GetObject","s3:Put*"],"Resource":"arn:aws:s3:::bucket-%d-%d/*"}`, i, j)
			case j%4 == 1:
				fmt.Fprintf(&b, `{"Effect":"Deny","Action":"bedrock:*","Resource":"arn:aws:bedrock:*:*:inference-profile/%d-%d.*"}`, i, j)
			case j%4 == 2:
				fmt.Fprintf(&b, `{"Effect":"Allow","Action":"bedrock:Invoke*","Resource":"arn:aws:bedrock:us-*::foundation-model/*","Condition":{"StringLike":{"aws:PrincipalTag/team":"t%d"}}}`, j)
			default:
				fmt.Fprintf(&b, `{"Effect":"Allow","Action":["states:StartExecution","states:Describe*","states:StopExecution"],"Resource":"arn:aws:states:*:111122223333:*:m%d*"}`, j)
			}
		}
		b.WriteString(`]}`)
		ps.Identity = append(ps.Identity, Bound{Policy: MustParse(IdentityPolicy, b.String()), Name: fmt.Sprint("p", i)})
	}
	return ps
}

func manyRequest() *Request {
	by, _ := ParseCaller("arn:aws:sts::111122223333:assumed-role/SfnExec/run-1")
	return &Request{
		By:            by,
		Authorization: Authorization{Action: "bedrock:InvokeModel", Resource: "arn:aws:bedrock:ap-northeast-3::foundation-model/" + sonnet45, Context: Context{{Key: "aws:RequestedRegion", Values: []string{"ap-northeast-3"}}}},
		Global: Context{
			{Key: "aws:PrincipalArn", Values: []string{by.RoleARN}}, {Key: "aws:PrincipalAccount", Values: []string{by.Account}}, {Key: "aws:PrincipalType", Values: []string{"AssumedRole"}},
			{Key: "aws:userid", Values: []string{"AROAEXAMPLEEXAMPLE:run-1"}}, {Key: "aws:SourceIp", Values: []string{"192.0.2.1"}}, {Key: "aws:SecureTransport", Values: []string{"true"}},
		},
	}
}

// BenchmarkEvaluate decides on 50 policies of 20 statements each.
func BenchmarkEvaluate(b *testing.B) {
	p, r := many(b, 50, 20), manyRequest()
	if d := Evaluate(p, r); !d.Allowed {
		b.Fatal(d.Message())
	}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(p, r)
	}
}

// A decision costs the same number of allocations whatever it is made from.
func TestEvaluateAllocatesNothingPerPolicy(t *testing.T) {
	r := manyRequest()
	small, large := many(t, 2, 4), many(t, 60, 20)
	a := testing.AllocsPerRun(100, func() { Evaluate(small, r) })
	b := testing.AllocsPerRun(100, func() { Evaluate(large, r) })
	if a != b {
		t.Errorf("%v allocations for 8 statements, %v for 1200", a, b)
	}
	d := Evaluate(large, r)
	if n := len(d.Reasons()); n != 1200 {
		t.Errorf("%d reasons for 1200 statements", n)
	}
}

func BenchmarkParse(b *testing.B) {
	doc := []byte(many(b, 1, 20).Identity[0].Policy.JSON())
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := Parse(IdentityPolicy, doc); err != nil {
			b.Fatal(err)
		}
	}
}

// random policies are made of parts that are likely to meet the requests.
type random struct{ *rand.Rand }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

func (r random) statement(effect string, kind Kind) string {
	var m []string
	add := func(format string, args ...any) { m = append(m, fmt.Sprintf(format, args...)) }
	add(`"Effect":%q`, effect)
	add(`%q:%q`, pick(r, "Action", "Action", "Action", "NotAction"), pick(r, "*", "sqs:*", "sqs:SendMessage", "sqs:Send?essage", "s3:*", "SQS:s*"))
	add(`%q:%q`, pick(r, "Resource", "Resource", "Resource", "NotResource"), pick(r, "*", "arn:aws:sqs:*:*:orders", "arn:aws:sqs:ap-*:111122223333:*", "arn:aws:sqs:us-east-1:111122223333:*", "arn:aws:sqs:*:*:${aws:username}"))
	if kind == ResourcePolicy {
		add(`"Principal":%s`, pick(r, `"*"`, `{"AWS":"111122223333"}`, `{"AWS":"arn:aws:iam::111122223333:user/alice"}`, `{"AWS":"arn:aws:iam::111122223333:role/R"}`, `{"AWS":"arn:aws:sts::111122223333:assumed-role/R/s"}`, `{"Service":"states.amazonaws.com"}`))
	}
	if r.IntN(2) == 0 {
		add(`"Condition":{%q:{"aws:RequestedRegion":["ap-northeast-1","%s"]}}`,
			pick(r, "StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists", "ForAnyValue:StringEquals", "ForAllValues:StringNotLike"), pick(r, "us-east-1", "ap-*", "*"))
	}
	return "{" + strings.Join(m, ",") + "}"
}

func (r random) document(kind Kind, extra ...string) []string {
	var s []string
	for range 1 + r.IntN(3) {
		s = append(s, r.statement(pick(r, "Allow", "Allow", "Deny"), kind))
	}
	return append(s, extra...)
}

func compiled(tb testing.TB, kind Kind, statements []string) Bound {
	tb.Helper()
	doc := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	p, err := Parse(kind, []byte(doc))
	if err != nil {
		tb.Fatalf("%s: %v", doc, err)
	}
	return Bound{Policy: p}
}

// texts of every layer, so that they can be changed and compiled again.
type layers struct {
	identity, boundary, session, scp, account, rcp, resource []string // scp is on the root, account on the account
}

func (r random) layers() layers {
	l := layers{identity: r.document(IdentityPolicy)}
	if r.IntN(3) == 0 {
		l.boundary = r.document(Boundary)
	}
	if r.IntN(3) == 0 {
		l.session = r.document(SessionPolicy)
	}
	if r.IntN(3) == 0 {
		l.scp, l.account = r.document(ServiceControlPolicy), r.document(ServiceControlPolicy)
	}
	if r.IntN(3) == 0 {
		l.rcp = []string{r.control()}
	}
	if r.IntN(2) == 0 {
		l.resource = r.document(ResourcePolicy)
	}
	return l
}

// control is a statement of a resource control policy, which can only deny.
func (r random) control() string {
	s := r.statement("Deny", ResourceControlPolicy)
	return `{"Principal":"*",` + strings.Replace(s[1:], `"NotAction"`, `"Action"`, 1)
}

// layerOf is one of the layers, and of which kind.
type layerOf struct {
	kind Kind
	text *[]string
}

func (l *layers) each() []layerOf {
	return []layerOf{
		{IdentityPolicy, &l.identity}, {Boundary, &l.boundary}, {SessionPolicy, &l.session}, {ServiceControlPolicy, &l.scp}, {ServiceControlPolicy, &l.account},
		{ResourceControlPolicy, &l.rcp}, {ResourcePolicy, &l.resource},
	}
}

func (l *layers) compile(tb testing.TB) *Policies {
	p := &Policies{Identity: []Bound{compiled(tb, IdentityPolicy, l.identity)}}
	if l.boundary != nil {
		p.Boundary = new(compiled(tb, Boundary, l.boundary))
	}
	if l.session != nil {
		p.Session = []Bound{compiled(tb, SessionPolicy, l.session)}
	}
	if l.scp != nil {
		p.SCP = [][]Bound{{compiled(tb, ServiceControlPolicy, l.scp)}, {compiled(tb, ServiceControlPolicy, l.account)}}
	}
	if l.rcp != nil {
		p.RCP = [][]Bound{{compiled(tb, ResourceControlPolicy, l.rcp)}}
	}
	if l.resource != nil {
		p.Resource = new(compiled(tb, ResourcePolicy, l.resource))
	}
	return p
}

func (r random) request() *Request {
	by, _ := ParseCaller(pick(r, "arn:aws:iam::111122223333:user/alice", "arn:aws:sts::111122223333:assumed-role/R/s", "arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:user/eve", "states.amazonaws.com"))
	q := &Request{By: by, Authorization: Authorization{Action: pick(r, "sqs:SendMessage", "sqs:ReceiveMessage"), Resource: pick(r, "arn:aws:sqs:ap-northeast-1:111122223333:orders", "arn:aws:sqs:us-east-1:111122223333:alice")}}
	if r.IntN(2) == 0 {
		q.Context = Context{{Key: "aws:RequestedRegion", Values: []string{pick(r, "ap-northeast-1", "us-east-1", "eu-west-1")}}}
	}
	if r.IntN(2) == 0 {
		q.Global = Context{{Key: "aws:username", Values: []string{pick(r, "alice", "*")}}}
	}
	return q
}

// The laws of evaluation, over random policies of every layer.
func TestEvaluateLaws(t *testing.T) {
	r := random{rand.New(rand.NewPCG(7, 11))}
	for range 1000 {
		l, q := r.layers(), r.request()
		before := Evaluate(l.compile(t), q)

		same := func(what string, d Decision) {
			t.Helper()
			if d.Allowed != before.Allowed || d.Explicit != before.Explicit || d.Layer != before.Layer {
				t.Fatalf("%s counted: %+v", what, l)
			}
		}
		for _, x := range l.each() {
			kind, doc := x.kind, x.text
			if *doc == nil {
				continue
			}
			old := *doc
			deny := r.statement("Deny", kind)
			if kind == ResourceControlPolicy {
				deny = r.control()
			}
			*doc = append(slices.Clone(old), deny)
			if d := Evaluate(l.compile(t), q); d.Allowed && !before.Allowed {
				t.Fatalf("a Deny allowed: %+v", l)
			}
			if kind != ResourceControlPolicy { // it can only deny
				*doc = append(slices.Clone(old), r.statement("Allow", kind))
				if d := Evaluate(l.compile(t), q); before.Allowed && !d.Allowed {
					t.Fatalf("an Allow denied: %+v", l)
				}
			}
			*doc = slices.Clone(old)
			slices.Reverse(*doc)
			same("the order of statements", Evaluate(l.compile(t), q))
			*doc = old
		}

		// Nor does it count how statements are spread over policies, how often one
		// is there, or which level of an organization is first.
		p := l.compile(t)
		for _, st := range l.identity[1:] {
			p.Identity = append([]Bound{compiled(t, IdentityPolicy, []string{st})}, p.Identity...)
		}
		same("a policy that is there twice, in parts", Evaluate(p, q))
		slices.Reverse(p.SCP)
		same("the order of levels", Evaluate(p, q))

		// A further level, boundary or session policy only takes away.
		for name, more := range map[string]func(*Policies){
			"level": func(p *Policies) {
				p.SCP = append(p.SCP, []Bound{compiled(t, ServiceControlPolicy, r.document(ServiceControlPolicy))})
			},
			"rcp": func(p *Policies) {
				p.RCP = append(p.RCP, []Bound{compiled(t, ResourceControlPolicy, []string{r.control()})})
			},
			"boundary": func(p *Policies) { p.Boundary = new(compiled(t, Boundary, r.document(Boundary))) },
			"session":  func(p *Policies) { p.Session = []Bound{compiled(t, SessionPolicy, r.document(SessionPolicy))} },
		} {
			p := l.compile(t)
			if name == "boundary" && p.Boundary != nil || name == "session" && p.Session != nil {
				continue
			}
			more(p)
			if d := Evaluate(p, q); d.Allowed && !before.Allowed {
				t.Fatalf("a further %s allowed: %+v", name, l)
			}
		}
	}
}

// What a caller may choose must not become a pattern.
func TestVariablesAreLiteral(t *testing.T) {
	p := &Policies{Identity: []Bound{compiled(t, IdentityPolicy, []string{
		`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::home/${aws:username}/*"}`,
		`{"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"StringLike":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}}`,
		`{"Effect":"Allow","Action":"sns:*","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:${aws:username}"}}}`,
	})}}
	by, _ := ParseCaller("arn:aws:iam::111122223333:user/x")
	for _, c := range []struct {
		action, resource, user, tag, source string
		want                                bool
	}{
		{"s3:GetObject", "arn:aws:s3:::home/bob/x", "*", "", "", false},
		{"s3:GetObject", "arn:aws:s3:::home/*/x", "*", "", "", true},
		{"s3:GetObject", "arn:aws:s3:::home/bob/x", "b?b", "", "", false},
		{"s3:GetObject", "arn:aws:s3:::home/bob/x", "${*}", "", "", false},
		{"s3:GetObject", "arn:aws:s3:::home/bob/x", "bob", "", "", true},
		{"sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:q", "x", "*", "", false},
		{"sns:Publish", "arn:aws:sns:us-east-1:111122223333:t", "*", "", "arn:aws:sns:us-east-1:111122223333:secret", false},
	} {
		ctx := Context{{Key: "aws:username", Values: []string{c.user}}, {Key: "aws:PrincipalTag/team", Values: []string{c.tag}}, {Key: "aws:ResourceTag/team", Values: []string{"blue"}}}
		if c.source != "" {
			ctx = append(ctx, Attribute{Key: "aws:SourceArn", Values: []string{c.source}})
		}
		d := Evaluate(p, &Request{By: by, Authorization: Authorization{Action: c.action, Resource: c.resource, Context: ctx}})
		if d.Allowed != c.want {
			t.Errorf("%+v: allowed %v", c, d.Allowed)
		}
	}
}
