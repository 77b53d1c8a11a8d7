package iam

import (
	"fmt"
	"strings"
	"testing"

	"tokaido/value"
)

// Every operator against values it must and must not take. present is the
// request's value; "-" leaves the key out, and a list is multivalued.
func TestConditions(t *testing.T) {
	for _, c := range []struct {
		op, policy, present string
		want                bool
	}{
		{"StringEquals", `"a"`, "a", true}, {"StringEquals", `"A"`, "a", false}, {"StringEquals", `""`, "", true}, {"StringEquals", `"*"`, "a", false}, {"StringEquals", `"*"`, "*", true},
		{"StringEquals", `["a","b"]`, "b", true}, {"StringNotEquals", `["a","b"]`, "b", false}, {"StringNotEquals", `["a","b"]`, "c", true},
		{"StringEquals", `[]`, "a", false}, {"StringNotEquals", `[]`, "a", true},
		{"StringEqualsIgnoreCase", `"É"`, "é", true}, {"StringNotEqualsIgnoreCase", `"A"`, "a", false},
		{"StringLike", `"a?c*"`, "abcd", true}, {"StringLike", `"a?c"`, "ac", false}, {"StringLike", `"*"`, "", true}, {"StringLike", `"a:*:d/*"`, "a:b/c:d/e/f", true}, {"StringNotLike", `"a*"`, "b", true},
		{"StringEquals", `true`, "true", true}, {"StringEquals", `1.50`, "1.50", true}, {"StringEquals", `1.50`, "1.5", false},

		{"NumericEquals", `"10"`, "10.0", true}, {"NumericEquals", `10`, "10", true}, {"NumericNotEquals", `"10"`, "11", true}, {"NumericNotEquals", `"10"`, "10", false},
		{"NumericNotEquals", `"10"`, "ten", false}, {"NumericLessThan", `"0.1"`, "0.09999999999999999999", true}, {"NumericLessThan", `"9007199254740993"`, "9007199254740992", true},
		{"NumericGreaterThan", `"-5"`, "-4", true}, {"NumericGreaterThanEquals", `"5"`, "5", true}, {"NumericLessThanEquals", `"5"`, "5.1", false},
		{"NumericEquals", `"1e3"`, "1000", false}, {"NumericEquals", `"x"`, "x", false}, {"NumericEquals", `"0x10"`, "16", false},

		{"DateEquals", `"2026-11-21T00:00:00Z"`, "2026-11-21T09:00:00+09:00", true}, {"DateEquals", `"2026-11-21"`, "2026-11-21T00:00:00Z", true}, {"DateEquals", `"2026-11"`, "2026-11-01T00:00:00Z", true},
		{"DateEquals", `"2026"`, "2026-01-01T00:00:00Z", true}, {"DateEquals", `"2026-11-21T00:00Z"`, "1795219200", true}, {"DateEquals", `1795219200`, "2026-11-21T00:00:00.000Z", true},
		{"DateLessThan", `"2026-11-21T00:00:00.5Z"`, "2026-11-21T00:00:00.4Z", true}, {"DateGreaterThan", `"2026-11-21"`, "yesterday", false}, {"DateNotEquals", `"2026-11-21"`, "yesterday", false},
		{"DateGreaterThanEquals", `"2026-11-21"`, "2026-11-21", true}, {"DateLessThanEquals", `"2026-11-21"`, "2026-11-22", false}, {"DateNotEquals", `"2026-11-21"`, "2026-11-22", true},

		{"Bool", `"TRUE"`, "true", true}, {"Bool", `false`, "false", true}, {"Bool", `"false"`, "-", false}, {"Bool", `"yes"`, "yes", false}, {"BoolIfExists", `"false"`, "-", true},
		{"BinaryEquals", `"QQ=="`, "QQ==", true}, {"BinaryEquals", `"QQ=="`, "QR==", true}, {"BinaryEquals", `"QQ=="`, "!", false},

		{"IpAddress", `"192.0.2.0/24"`, "192.0.2.255", true}, {"IpAddress", `"192.0.2.17/24"`, "192.0.2.1", true}, {"IpAddress", `"192.0.2.1"`, "192.0.2.2", false}, {"IpAddress", `"192.0.2.0/33"`, "192.0.2.1", false},
		{"IpAddress", `"2001:db8::/32"`, "2001:DB8::1", true}, {"IpAddress", `"::/0"`, "192.0.2.1", false}, {"IpAddress", `"0.0.0.0/0"`, "2001:db8::1", false}, {"NotIpAddress", `"0.0.0.0/0"`, "2001:db8::1", true},
		{"IpAddress", `"192.0.2.1"`, "::ffff:192.0.2.1", true}, {"IpAddress", `"0.0.0.0/0"`, "states.amazonaws.com", false}, {"NotIpAddress", `"10.0.0.0/8"`, "states.amazonaws.com", true}, {"NotIpAddress", `"10.0.0.0/8"`, "-", true},

		{"ArnLike", `"arn:aws:states:*:*:stateMachine:*"`, "arn:aws:states:r:1:stateMachine:x:y", true}, {"ArnEquals", `"arn:aws:s3:::b*"`, "arn:aws:s3:::bucket/k", true}, {"ArnLike", `"arn:aws:states:*"`, "arn:aws:states:r:1:x", false},
		{"ArnLike", `"*"`, "arn:aws:states:r:1:x", true}, {"ArnNotLike", `"arn:aws:s3:::*"`, "not an arn", true}, {"ArnLike", `"arn:aws:iam::${aws:PrincipalAccount}:role/${aws:username}"`, "arn:aws:iam::111122223333:role/alice", true},
		{"ArnNotEquals", `"arn:aws:iam::${aws:missing}:role/*"`, "arn:aws:iam::111122223333:role/x", true}, {"ArnLike", `"arn:aws:iam::${aws:missing}:role/*"`, "arn:aws:iam::111122223333:role/x", false},

		{"Null", `"true"`, "-", true}, {"Null", `"true"`, "x", false}, {"Null", `"false"`, "x", true}, {"Null", `"false"`, "-", false}, {"Null", `"false"`, "[a,b]", true}, {"Null", `["true","false"]`, "-", true},

		{"StringEquals", `"a"`, "-", false}, {"StringNotEquals", `"a"`, "-", true}, {"StringLikeIfExists", `"a"`, "-", true}, {"StringNotEqualsIfExists", `"a"`, "-", true}, {"StringNotEqualsIfExists", `"a"`, "a", false},
		{"StringEquals", `"a"`, "[a]", false}, {"StringNotEquals", `"b"`, "[a]", false},
		{"ForAllValues:StringEquals", `["a","b"]`, "[a,b]", true}, {"ForAllValues:StringEquals", `["a","b"]`, "[a,c]", false}, {"ForAllValues:StringEquals", `"a"`, "-", true}, {"ForAllValues:StringEquals", `"a"`, "[]", true}, {"ForAllValues:StringNotEquals", `"a"`, "[b,a]", false},
		{"ForAnyValue:StringEquals", `"a"`, "[b,a]", true}, {"ForAnyValue:StringEquals", `"a"`, "-", false}, {"ForAnyValue:StringEqualsIfExists", `"a"`, "-", false}, {"ForAnyValue:StringNotEquals", `"a"`, "[a,b]", true}, {"ForAnyValue:StringNotEquals", `"a"`, "-", false}, {"ForAnyValue:StringEquals", `"a"`, "[]", false},
		{"ForAnyValue:StringEquals", `"a"`, "a", true}, {"FORANYVALUE:stringlikeIFEXISTS", `"a*"`, "[x,ab]", true},

		{"StringEquals", `"${aws:username}"`, "alice", true}, {"StringEquals", `"${AWS:UserName}-${*}"`, "alice-*", true}, {"StringLike", `"${aws:username}*"`, "alice2", true}, {"StringEquals", `"${aws:missing, 'd'}"`, "d", true},
		{"StringEqualsIgnoreCase", `"${aws:username}"`, "ALICE", true}, {"StringNotLike", `"${aws:missing}"`, "x", true}, {"StringEquals", `"${aws:TagKeys}"`, "t", false}, {"StringEquals", `"${aws:username"`, "${aws:username", true},
		{"NumericEquals", `"${aws:one}"`, "1", false},
	} {
		doc := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{"t:Key":%s}}}}`, c.op, c.policy)
		p, err := Parse(IdentityPolicy, []byte(doc))
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		ctx := Context{{Key: "aws:username", Values: []string{"alice"}}, {Key: "aws:PrincipalAccount", Values: []string{"111122223333"}}, {Key: "aws:one", Values: []string{"1"}}, {Key: "aws:TagKeys", Values: []string{"t"}, Multi: true}}
		switch {
		case c.present == "-":
		case strings.HasPrefix(c.present, "["):
			vs := strings.Split(strings.Trim(c.present, "[]"), ",")
			if c.present == "[]" {
				vs = []string{}
			}
			ctx = append(ctx, Attribute{Key: "T:KEY", Values: vs, Multi: true})
		default:
			ctx = append(ctx, Attribute{Key: "T:KEY", Values: []string{c.present}})
		}
		d := Evaluate(&Policies{Identity: []Bound{{Policy: p}}}, &Request{By: role(), Authorization: Authorization{Action: "a:b", Resource: "*", Context: ctx}})
		if d.Allowed != c.want {
			t.Errorf("%s %s, request %s: %v", c.op, c.policy, c.present, d.Allowed)
		}
	}
}

// The Authorization's own key goes before the call's.
func TestContextOrder(t *testing.T) {
	p := MustParse(IdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"osaka","aws:x":"y"}}}}`)
	r := &Request{By: role(), Authorization: Authorization{Action: "a:b", Resource: "*", Context: Context{{Key: "AWS:requestedregion", Values: []string{"osaka"}}}},
		Global: Context{{Key: "aws:RequestedRegion", Values: []string{"tokyo"}}, {Key: "aws:x", Values: []string{"y"}}}}
	if d := Evaluate(&Policies{Identity: []Bound{{Policy: p}}}, r); !d.Allowed {
		t.Error(d.Message())
	}
}

func TestPrincipals(t *testing.T) {
	const trust = `{"Version":"2012-10-17","Statement":{"Effect":%q,%s,"Action":"sts:AssumeRole"}}`
	session := role()
	session.ID, session.RoleARN = "AROAEXAMPLEEXAMPLE12:run-1", "arn:aws:iam::111122223333:role/path/BedrockWorkflow"
	user, _ := ParseCaller("arn:aws:iam::111122223333:user/alice")
	root, _ := ParseCaller("arn:aws:iam::111122223333:root")
	states, _ := ParseCaller("states.amazonaws.com")
	nobody := Caller{Type: "Anonymous"}
	for _, c := range []struct {
		by              Caller
		principal       string
		allowed, denied bool // by an Allow, and by a Deny beside an Allow of everything
	}{
		{session, `"Principal":{"AWS":"arn:aws:iam::111122223333:role/path/BedrockWorkflow"}`, true, true},
		{session, `"Principal":{"AWS":"arn:aws:iam::111122223333:role/BedrockWorkflow"}`, false, false},
		{session, `"Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/BedrockWorkflow/run-1"}`, true, true},
		{session, `"Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/BedrockWorkflow/run-2"}`, false, false},
		{session, `"Principal":{"AWS":"AROAEXAMPLEEXAMPLE12"}`, true, true},
		{session, `"Principal":{"AWS":"111122223333"}`, false, true},
		{user, `"Principal":{"AWS":["arn:aws:iam::111122223333:user/bob","arn:aws:iam::111122223333:user/alice"]}`, true, true},
		{user, `"Principal":{"Service":"states.amazonaws.com"}`, false, false},
		{root, `"Principal":{"AWS":"arn:aws:iam::111122223333:root"}`, true, true},
		{states, `"Principal":{"Service":"states.amazonaws.com"}`, true, true},
		{states, `"Principal":{"Service":"lambda.amazonaws.com"}`, false, false},
		{states, `"Principal":"*"`, true, true},
		{nobody, `"Principal":"*"`, true, true},
		{nobody, `"Principal":{"AWS":"111122223333"}`, false, false},
		{user, `"NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:user/alice"]}`, false, false},
		{user, `"NotPrincipal":{"AWS":["arn:aws:iam::111122223333:user/alice"]}`, true, true},
		{user, `"NotPrincipal":{"AWS":["111122223333"]}`, true, true},
		{session, `"NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/path/BedrockWorkflow","arn:aws:sts::111122223333:assumed-role/BedrockWorkflow/run-1"]}`, false, false},
		{session, `"NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/path/BedrockWorkflow"]}`, true, true},
		{states, `"NotPrincipal":{"Service":"states.amazonaws.com"}`, false, false},
	} {
		ask := func(doc string) Decision {
			p := MustParse(TrustPolicy, doc)
			return Evaluate(&Policies{Resource: &Bound{Policy: p}}, &Request{By: c.by, Authorization: Authorization{Action: "sts:AssumeRole", Resource: "arn:aws:iam::111122223333:role/Target"}})
		}
		if d := ask(fmt.Sprintf(trust, "Allow", c.principal)); d.Allowed != c.allowed {
			t.Errorf("%s, Allow %s: %v by %s", c.by.ARN+c.by.Service, c.principal, d.Allowed, d.Layer)
		}
		doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},{"Effect":"Deny",` + c.principal + `,"Action":"sts:AssumeRole"}]}`
		if d := ask(doc); d.Explicit != c.denied {
			t.Errorf("%s, Deny %s: %v by %s", c.by.ARN+c.by.Service, c.principal, d.Explicit, d.Layer)
		}
	}
}

// FuzzStatement takes the parts of a statement apart from JSON, so that fuzzing
// reaches what they mean: a Deny of the same never leaves an Allow standing.
func FuzzStatement(f *testing.F) {
	f.Add("bedrock:Invoke*", "arn:aws:bedrock:*::foundation-model/${aws:username}*", "StringLike", "aws:RequestedRegion", "ap-*", "ap-northeast-1")
	f.Add("*", "*", "NumericLessThanEqualsIfExists", "s3:max-keys", "-1.5", "1")
	f.Add("a:?", "arn:aws:s3:::b/${*}", "ForAllValues:ArnNotLike", "aws:SourceArn", "arn:*:*:*:*:*", "arn:a:b:c:d:e:f")
	f.Add("a:b", "*", "IpAddress", "aws:SourceIp", "::/0", "fe80::1%eth0")
	f.Add("a:b", "*", "DateLessThan", "aws:CurrentTime", "0001-01-01", "99999999999999999999")
	f.Fuzz(func(t *testing.T, action, resource, op, key, policy, request string) {
		if len(action)+len(resource)+len(op)+len(key)+len(policy)+len(request) > 1000 {
			t.Skip()
		}
		q := func(s string) string { return string(value.AppendQuoted(nil, s)) }
		doc := func(effect string) string {
			return escapeWide(`{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Action":` + q(action) + `,"Resource":` + q(resource) + `,"Condition":{` + q(op) + `:{` + q(key) + `:` + q(policy) + `}}}]}`)
		}
		allow, err := Parse(IdentityPolicy, []byte(doc("Allow")))
		if err != nil {
			return
		}
		deny := MustParse(IdentityPolicy, doc("Deny"))
		for _, res := range []string{"*", "arn:aws:bedrock:ap-northeast-1::foundation-model/m", resource, request} {
			for _, multi := range []bool{false, true} {
				r := &Request{By: role(), Authorization: Authorization{Action: "bedrock:InvokeModel", Resource: res, Context: Context{{Key: key, Values: []string{request}, Multi: multi}, {Key: "aws:username", Values: []string{request}}}}}
				one := Evaluate(&Policies{Identity: []Bound{{Policy: allow}}}, r)
				if one.Allowed == (one.Message() != "") {
					t.Fatal(one.Message())
				}
				both := Evaluate(&Policies{Identity: []Bound{{Policy: allow}, {Policy: deny}}}, r)
				if both.Allowed || both.Explicit != one.Allowed && one.Layer == LayerIdentity {
					t.Fatalf("%s: allowed %v alone, %v with its Deny", doc("Allow"), one.Allowed, both.Allowed)
				}
			}
		}
	})
}

func BenchmarkExplain(b *testing.B) {
	c := cases[0].call(b)
	b.ReportAllocs()
	for b.Loop() {
		Explain(c)
	}
}

// BenchmarkCall decides the nine authorizations of a call on 50 policies.
func BenchmarkCall(b *testing.B) {
	p, r := many(b, 50, 20), manyRequest()
	needs := apac().Authorizations(actionInvoke)
	b.ReportAllocs()
	for b.Loop() {
		EvaluateAll(p, r.By, needs, r.Global)
	}
}

// The account that owns a resource is known from its ARN, unless the request
// says otherwise; what nobody owns has none.
func TestResourceAccount(t *testing.T) {
	p := &Policies{Identity: []Bound{compiled(t, IdentityPolicy, []string{
		`{"Effect":"Allow","Action":"*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"},"Null":{"aws:ResourceAccount":"false"}}}`,
	})}}
	by, _ := ParseCaller("arn:aws:iam::111122223333:user/x")
	for _, c := range []struct {
		resource, owner string
		given           Context
		want            bool
	}{
		{"arn:aws:states:us-east-1:111122223333:stateMachine:m", "", nil, true},
		{"arn:aws:iam::444455556666:role/r", "444455556666", nil, false},
		{"arn:aws:s3:::b/k", "", nil, true},
		{"arn:aws:s3:::b/k", "444455556666", nil, false},
		{"arn:aws:bedrock:us-east-1::foundation-model/m", "", nil, true},
		{"*", "", nil, true},
		{"arn:aws:states:us-east-1:111122223333:stateMachine:m", "", Context{{Key: "AWS:resourceaccount", Values: []string{"444455556666"}}}, false},
	} {
		r := &Request{By: by, Authorization: Authorization{Action: "a:B", Resource: c.resource, Context: c.given}, ResourceAccount: c.owner,
			Global: Context{{Key: "aws:PrincipalAccount", Values: []string{by.Account}}}}
		q := *p
		if c.owner != "" { // whether the other account lets him in is not asked
			q.Resource = new(compiled(t, ResourcePolicy, []string{`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`}))
		}
		if d := Evaluate(&q, r); d.Allowed != c.want {
			t.Errorf("%s of %q: allowed %v by %v", c.resource, c.owner, d.Allowed, d.Layer)
		}
	}
}
