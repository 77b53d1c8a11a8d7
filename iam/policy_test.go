package iam

import (
	"errors"
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/value"
)

func TestParseRefuses(t *testing.T) {
	st := func(s string) string { return `{"Version":"2012-10-17","Statement":[` + s + `]}` }
	for _, c := range []struct {
		name string
		kind Kind
		doc  string
		want string
		why  string // part of the Problem
	}{
		{"no-json", IdentityPolicy, `{`, textSyntax, "offset"},
		{"no-object", IdentityPolicy, `[]`, textSyntax, ""},
		{"two-texts", IdentityPolicy, `{} {}`, textSyntax, ""},
		{"duplicate-key", IdentityPolicy, st(`{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}`), textSyntax, `Statement[0]: the key "Effect" is there twice`},
		{"duplicate-key-escaped", IdentityPolicy, st(`{"Effect":"Allow","\u0045ffect":"Deny","Action":"*","Resource":"*"}`), textSyntax, "twice"},
		{"duplicate-condition-key", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:a":"true","aws:a":"false"}}}`), textSyntax, "Condition.Bool"},
		{"case-of-element", IdentityPolicy, st(`{"effect":"Allow","Action":"*","Resource":"*"}`), textSyntax, "Statement[0].effect"},
		{"case-of-effect", IdentityPolicy, st(`{"Effect":"allow","Action":"*","Resource":"*"}`), textSyntax, "Effect"},
		{"no-effect", IdentityPolicy, st(`{"Action":"*","Resource":"*"}`), textSyntax, "Effect"},
		{"unknown-top", IdentityPolicy, `{"Version":"2012-10-17","Comment":"x","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, textSyntax, "Comment"},
		{"no-statement", IdentityPolicy, `{"Version":"2012-10-17"}`, textSyntax, "Statement"},
		{"empty-statement-list", IdentityPolicy, `{"Version":"2012-10-17","Statement":[]}`, textSyntax, "empty"},
		{"unknown-version", IdentityPolicy, `{"Version":"2013-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, textSyntax, "Version"},
		{"sid-with-space", IdentityPolicy, st(`{"Sid":"a b","Effect":"Allow","Action":"*","Resource":"*"}`), textSyntax, "Sid"},
		{"sid-twice", IdentityPolicy, st(`{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}`), textSid, ""},
		{"both-actions", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","NotAction":"iam:*","Resource":"*"}`), textSyntax, "exclude"},
		{"no-action", IdentityPolicy, st(`{"Effect":"Allow","Resource":"*"}`), textNoAction, ""},
		{"empty-action", IdentityPolicy, st(`{"Effect":"Allow","Action":[],"Resource":"*"}`), textNoAction, ""},
		{"no-resource", IdentityPolicy, st(`{"Effect":"Allow","Action":"s3:*"}`), textNoResource, ""},
		{"empty-resource", IdentityPolicy, st(`{"Effect":"Allow","Action":"s3:*","Resource":[]}`), textNoResource, ""},
		{"number-as-action", IdentityPolicy, st(`{"Effect":"Allow","Action":1,"Resource":"*"}`), textSyntax, "Action"},
		{"action-without-vendor", IdentityPolicy, st(`{"Effect":"Allow","Action":"GetObject","Resource":"*"}`), textVendorPrefix, ""},
		{"action-with-two-colons", IdentityPolicy, st(`{"Effect":"Allow","Action":"s3:Get:Object","Resource":"*"}`), textOneColon, ""},
		{"vendor-with-space", IdentityPolicy, st(`{"Effect":"Allow","Action":"s 3:Get","Resource":"*"}`), "Vendor s 3 is not valid", ""},
		{"resource-no-arn", IdentityPolicy, st(`{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}`), `Resource bucket must be in ARN format or "*".`, ""},
		{"resource-vendor-regex", IdentityPolicy, st(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s*:::b"}`), textVendorRegex, ""},
		{"resource-partition", IdentityPolicy, st(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:amazon:s3:::b"}`), `Partition "amazon" is not valid for resource "arn:amazon:s3:::b".`, ""},
		{"iam-region", IdentityPolicy, st(`{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam:us-east-1:111122223333:role/r"}`), "IAM resource arn:aws:iam:us-east-1:111122223333:role/r cannot contain region information.", ""},
		{"iam-path", IdentityPolicy, st(`{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::111122223333:u*"}`), textIAMPath, ""},
		{"unknown-operator", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringMatches":{"aws:a":"b"}}}`), textSyntax, "StringMatches"},
		{"null-ifexists", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NullIfExists":{"aws:a":"true"}}}`), textSyntax, ""},
		{"null-value", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:a":null}}}`), textSyntax, ""},
		{"object-value", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:a":[{}]}}}`), textSyntax, ""},
		{"key-without-vendor", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"MultiFactor":"true"}}}`), textVendorPrefix, ""},
		{"no-date", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}}`), textLegacy, "no date"},
		{"japanese", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"東京"}}}`), textSyntax, "U+6771"},
		{"principal-in-identity", IdentityPolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}`), textPrincipal, ""},
		{"principal-missing", ResourcePolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*"}`), textNoPrincipal, ""},
		{"principal-partial", ResourcePolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Principal":{"AWS":"arn:aws:iam::111122223333:role/*"}}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/*"`, ""},
		{"principal-type", ResourcePolicy, st(`{"Effect":"Allow","Action":"*","Resource":"*","Principal":{"aws":"*"}}`), textSyntax, ""},
		{"principal-group", TrustPolicy, st(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::111122223333:group/g"}}`), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:group/g"`, ""},
		{"principal-service", TrustPolicy, st(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"states"}}`), `Invalid principal in policy: "SERVICE":"states"`, ""},
		{"trust-resource", TrustPolicy, st(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Principal":"*"}`), "Has prohibited field Resource.", ""},
		{"trust-action", TrustPolicy, st(`{"Effect":"Allow","Action":"s3:GetObject","Principal":"*"}`), textTrustAction, ""},
		{"scp-principal", ServiceControlPolicy, st(`{"Effect":"Deny","Action":"*","Resource":"*","Principal":"*"}`), textOrganization, ""},
		{"rcp-allow", ResourceControlPolicy, st(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"}`), textOrganization, ""},
		{"rcp-principal", ResourceControlPolicy, st(`{"Effect":"Deny","Action":"s3:*","Resource":"*","Principal":{"AWS":"111122223333"}}`), textOrganization, ""},
		{"too-long", IdentityPolicy, strings.Repeat(" ", MaxDocument+1), textSyntax, "limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.kind, []byte(c.doc))
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Code != "MalformedPolicyDocument" || f.Message != c.want {
				t.Fatalf("%v\nwant %s", err, c.want)
			}
			p, ok := f.Detail.(Problem)
			if !ok || !strings.Contains(p.Error(), c.why) {
				t.Errorf("because %v, want %q", f.Detail, c.why)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		kind Kind
		doc  string
	}{
		"bare":            {IdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`},
		"lists":           {IdentityPolicy, `{"Version":"2008-10-17","Id":"x","Statement":[{"Effect":"Allow","Action":["*"],"Resource":["*"]}]}`},
		"unquoted":        {IdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true},"NumericLessThan":{"s3:max-keys":10}}}}`},
		"escaped":         {IdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/t":"\u6771"}}}}`},
		"latin-1":         {IdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::é/*"}}`},
		"short-arn":       {IdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:bedrock:*:foundation-model/*"}}`},
		"trust":           {TrustPolicy, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":["states.amazonaws.com","lambda.amazonaws.com"],"AWS":["*","111122223333","arn:aws:iam::111122223333:role/path/r","arn:aws:sts::111122223333:assumed-role/r/s","AROAEXAMPLEEXAMPLE12"]},"Action":["sts:AssumeRole","sts:TagSession"]}}`},
		"rcp-full":        {ResourceControlPolicy, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`},
		"resource-sid":    {ResourcePolicy, `{"Statement":{"Sid":"a b-c","Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"sqs:*","Resource":"*"}}`},
		"operators":       {IdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"forallvalues:stringlikeifexists":{"aws:TagKeys":[]},"DateLessThan":{"aws:CurrentTime":["2026-01-01","2026-01-01T00:00:00.5Z","1767225600",1767225600]}}}}`},
		"empty-condition": {SessionPolicy, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(c.kind, []byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			if p.JSON() != c.doc || p.Kind() != c.kind || p.Len() != 1 {
				t.Errorf("%d statements of kind %d: %s", p.Len(), p.Kind(), p.JSON())
			}
		})
	}
	if p := MustParse(IdentityPolicy, "{ \"Statement\":\n\t{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}"); p.Size() != 60 || p.version != "" {
		t.Errorf("size %d, version %s", p.Size(), p.version)
	}
	if _, err := Parse(0, []byte(`{}`)); err == nil || fault.Code(err) != "" {
		t.Errorf("a kind that is none: %v", err)
	}
}

// FuzzParse: whatever is accepted can be printed and read again as the same,
// decided with, checked and explained.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		fullAccess, allBedrock, tokyoGuard, tokyoLimits, `{"Statement":[{}]}`, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"a:*","NotResource":"arn:aws:s3:::${aws:username, 'x'}${*}/*","Condition":{"ForAnyValue:StringLike":{"aws:TagKeys":["a*",true,1.50]}}}}`,
		allowing(actionInvoke, "arn:aws:bedrock:ap-northeast-1::foundation-model/apac."+sonnet4, "arn:aws:bedrock:*:foundation-model/x", "arn:aws:bedrock:::model/y"),
		`{"Statement":{"Effect":"Deny","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateGreaterThan":{"aws:CurrentTime":"2026"},"NumericEquals":{"s3:max-keys":"1e9"},"BinaryEquals":{"k:k":"QQ=="},"ArnLike":{"aws:SourceArn":"arn:aws:states:*:${aws:PrincipalAccount}:*"},"Null":{"aws:x":"true"}}}}`,
	} {
		for k := IdentityPolicy; k <= Boundary; k++ {
			f.Add(uint8(k), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, doc []byte) {
		if len(doc) > 4096 {
			t.Skip()
		}
		k := Kind(kind%7) + 1
		p, err := Parse(k, doc)
		if err != nil {
			if fault.Code(err) != "MalformedPolicyDocument" {
				t.Fatalf("%v", err)
			}
			return
		}
		q, err := Parse(k, []byte(Indent(p.doc)))
		if err != nil || !value.Equal(p.doc, q.doc) || len(p.statements) != len(q.statements) {
			t.Fatalf("printed %s: %v", Indent(p.doc), err)
		}
		by := role()
		ps := &Policies{}
		switch b := (Bound{Policy: p, Name: "p"}); k {
		case TrustPolicy, ResourcePolicy:
			ps.Resource = &b
		case ServiceControlPolicy:
			ps.SCP = [][]Bound{{b}}
		case ResourceControlPolicy:
			ps.RCP = [][]Bound{{b}}
		default:
			ps.Identity = []Bound{b}
		}
		for _, n := range jp().Authorizations(actionInvoke) {
			n.Context = append(n.Context, Attribute{Key: "aws:SourceIp", Values: []string{"10.1.2.3"}}, Attribute{Key: "aws:TagKeys", Values: []string{"a", "b"}, Multi: true}, Attribute{Key: "s3:max-keys", Values: []string{"7"}}, Attribute{Key: "aws:CurrentTime", Values: []string{"2026-11-21T00:00:00Z"}})
			d := Evaluate(ps, &Request{By: by, Authorization: n})
			if d.Allowed == (d.Message() != "") || len(d.Reasons()) != p.Len() && d.Layer != LayerUnrestricted {
				t.Fatalf("%+v", d)
			}
			e, err := DecisionFromValue(d.Value())
			if err != nil || e.Message() != d.Message() {
				t.Fatalf("%v", err)
			}
		}
		for _, f := range Check(p, Options{Name: "p", Account: account, Call: apac()}) {
			if s := f.Text("en") + f.Text("ja") + f.Where("ja"); strings.Contains(s, "%!") && !strings.Contains(string(doc), "%!") {
				t.Fatalf("%s: %s", f.ID, s)
			}
		}
		e := Explain(Call{By: by, Needs: jp().Authorizations(actionInvoke), Policies: ps, Model: jp()})
		if e.Text("en") == "" || e.Text("ja") == "" {
			t.Fatal("no text")
		}
		for _, f := range e.Fixes {
			if _, err := Parse(k, []byte(f.After)); err != nil && !f.New && f.Layer != LayerIdentity {
				t.Fatalf("a fix that cannot be saved: %v\n%s", err, f.After)
			}
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	f.Add("User: arn:aws:sts::111122223333:assumed-role/R/s is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:ap-northeast-1::foundation-model/m because no identity-based policy allows the bedrock:InvokeModel action (Service: BedrockRuntime, Status Code: 403)")
	f.Add(`User: arn:aws:iam::111122223333:user/a is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k" with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-x/service_control_policy/p-x`)
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := ParseMessage(s)
		if ok && (r.Action == "" || r.Resource == "" || r.By.ARN == "" && r.By.Service == "") {
			t.Errorf("%q: %+v", s, r)
		}
	})
}

func FuzzDecision(f *testing.F) {
	c := cases[0].call(f)
	for _, d := range EvaluateAll(c.Policies, c.By, c.Needs, nil) {
		f.Add([]byte(d.Value().JSON()))
	}
	f.Add([]byte(`{"action":"a:b","resource":"*","allowed":true,"layer":"root","context":{"k":["a"]},"reasons":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := value.Parse(b)
		if err != nil {
			return
		}
		d, err := DecisionFromValue(v)
		if err != nil {
			return
		}
		e, err := DecisionFromValue(d.Value())
		if err != nil || !value.Equal(e.Value(), d.Value()) {
			t.Errorf("%v\n%s\n%s", err, d.Value(), e.Value())
		}
	})
}

func TestParseCaller(t *testing.T) {
	for s, want := range map[string]Caller{
		"arn:aws:iam::111122223333:root":                {Type: "Account", ARN: "arn:aws:iam::111122223333:root", Account: account, ID: account, Root: true},
		"arn:aws:iam::111122223333:user/path/alice":     {Type: "User", ARN: "arn:aws:iam::111122223333:user/path/alice", Account: account},
		"arn:aws:iam::111122223333:role/path/r":         {Type: "AssumedRole", ARN: "arn:aws:iam::111122223333:role/path/r", Account: account, RoleARN: "arn:aws:iam::111122223333:role/path/r"},
		"arn:aws-cn:sts::111122223333:assumed-role/r/s": {Type: "AssumedRole", ARN: "arn:aws-cn:sts::111122223333:assumed-role/r/s", Account: account, RoleARN: "arn:aws-cn:iam::111122223333:role/r", SessionName: "s"},
		"arn:aws:sts::111122223333:federated-user/f":    {Type: "FederatedUser", ARN: "arn:aws:sts::111122223333:federated-user/f", Account: account},
		"states.amazonaws.com":                          {Type: "Service", Service: "states.amazonaws.com"},
		"anonymous":                                     {Type: "Anonymous"},
		"":                                              {},
		"alice":                                         {},
		"arn:aws:sts::111122223333:assumed-role/r":      {},
		"arn:aws:sts::111122223333:assumed-role//s":     {},
		"arn:aws:iam::1234:user/a":                      {},
		"arn:aws:s3:::b":                                {},
		"x y.amazonaws.com":                             {},
		"arn:aws:iam::111122223333:user/":               {},
		"arn:aws:iam::111122223333:group/g":             {},
		"not:aws:iam::111122223333:user/x":              {},
		"arn:aws:sts::111122223333:federated-user/":     {},
		"arn:aws:iam::111122223333:role/":               {},
		"arn:aws:sts::111122223333:assumed-role/r/":     {},
	} {
		if got, ok := ParseCaller(s); got != want || ok != (want != Caller{}) {
			t.Errorf("%q: %+v, %v", s, got, ok)
		}
	}
}

func TestMessageWording(t *testing.T) {
	user, _ := ParseCaller("arn:aws:iam::111122223333:user/alice")
	for _, c := range []struct{ action, resource, want string }{
		{"s3:GetObject", "arn:aws:s3:::b/k", `User: arn:aws:iam::111122223333:user/alice is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k" because no identity-based policy allows the s3:GetObject action`},
		{"sqs:ListQueues", "arn:aws:sqs:us-east-1:111122223333:*", "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sqs:listqueues on resource: arn:aws:sqs:us-east-1:111122223333:* because no identity-based policy allows the sqs:listqueues action"},
		{"sns:Publish", "arn:aws:sns:us-east-1:111122223333:t", "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: SNS:Publish on resource: arn:aws:sns:us-east-1:111122223333:t because no identity-based policy allows the SNS:Publish action"},
		{"iam:GetUser", "arn:aws:iam::111122223333:user/path/bob", "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: iam:GetUser on resource: user bob because no identity-based policy allows the iam:GetUser action"},
		{"iam:ListRoles", "arn:aws:iam::111122223333:role/*", "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: iam:ListRoles on resource: arn:aws:iam::111122223333:role/* because no identity-based policy allows the iam:ListRoles action"},
		{"iam:PassRole", "arn:aws:iam::111122223333:role/r", "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111122223333:role/r because no identity-based policy allows the iam:PassRole action"},
		{"bedrock:ListFoundationModels", "*", "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: bedrock:ListFoundationModels on resource: * because no identity-based policy allows the bedrock:ListFoundationModels action"},
	} {
		d := Evaluate(&Policies{}, &Request{By: user, Authorization: Authorization{Action: c.action, Resource: c.resource}})
		if d.Message() != c.want {
			t.Errorf("%s\nwant %s", d.Message(), c.want)
		}
	}
}

// Each layer's words, with and without the ARN of the policy that denies.
func TestMessageLayers(t *testing.T) {
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"sqs:SendMessage","Resource":"*"}]}`
	attached := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}]}`
	silent := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	b := func(kind Kind, doc, arn string) Bound {
		return Bound{Policy: MustParse(kind, doc), Name: "P", ARN: arn}
	}
	allow := b(IdentityPolicy, fullAccess, "")
	head := "User: arn:aws:sts::111122223333:assumed-role/BedrockWorkflow/run-1 is not authorized to perform: sqs:sendmessage on resource: arn:aws:sqs:us-east-1:111122223333:q"
	for _, c := range []struct {
		p    *Policies
		want string
	}{
		{&Policies{Identity: []Bound{b(IdentityPolicy, deny, "")}}, " with an explicit deny in an identity-based policy"},
		{&Policies{Identity: []Bound{b(IdentityPolicy, deny, "arn:aws:iam::111122223333:policy/P")}}, " with an explicit deny in an identity-based policy: arn:aws:iam::111122223333:policy/P"},
		{&Policies{Identity: []Bound{allow}, Boundary: new(b(Boundary, deny, "arn:aws:iam::111122223333:policy/P"))}, " with an explicit deny in a permissions boundary: arn:aws:iam::111122223333:policy/P"},
		{&Policies{Identity: []Bound{allow}, Boundary: new(b(Boundary, silent, "arn:aws:iam::111122223333:policy/P"))}, " because no permissions boundary allows the sqs:sendmessage action"},
		{&Policies{Identity: []Bound{allow}, Session: []Bound{b(SessionPolicy, deny, "")}}, " with an explicit deny in a session policy"},
		{&Policies{Identity: []Bound{allow}, Session: []Bound{}}, " because no session policy allows the sqs:sendmessage action"},
		{&Policies{Identity: []Bound{allow}, SCP: [][]Bound{{b(ServiceControlPolicy, deny, "arn:aws:organizations::1:policy/o-x/service_control_policy/p-x")}}}, " with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-x/service_control_policy/p-x"},
		{&Policies{Identity: []Bound{allow}, SCP: [][]Bound{{b(ServiceControlPolicy, silent, "x")}}}, " because no service control policy allows the sqs:sendmessage action"},
		{&Policies{Identity: []Bound{allow}, RCP: [][]Bound{{b(ResourceControlPolicy, attached, "arn:aws:organizations::1:policy/o-x/resource_control_policy/p-x")}}}, " with an explicit deny in a resource control policy: arn:aws:organizations::1:policy/o-x/resource_control_policy/p-x"},
		{&Policies{Identity: []Bound{allow}, Resource: new(b(ResourcePolicy, attached, ""))}, " with an explicit deny in a resource-based policy"},
	} {
		d := Evaluate(c.p, &Request{By: role(), Authorization: Authorization{Action: "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-1:111122223333:q"}})
		if d.Message() != head+c.want {
			t.Errorf("%s\nwant %s%s", d.Message(), head, c.want)
		}
	}
}
