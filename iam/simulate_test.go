package iam

import (
	"slices"
	"strings"
	"testing"
)

func TestSpan(t *testing.T) {
	for _, doc := range []string{
		`{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"a:b","Resource":"*"},{"Effect":"Deny","Action":["a:c"],"Resource":["*"],"Condition":{"Bool":{"a:b":"true"}}}],"Id":"Statement"}`,
		"{\n  \"Id\": \"Statement\",\n  \"Statement\": {\n    \"Effect\": \"Allow\", \"Action\": \"a:b\", \"Resource\": \"*\" }\n}",
		"{\"Statement\": [\n\t{\"Effect\":\"Allow\",\"Action\":\"a:b\",\"Resource\":\"arn:aws:s3:::\u00e9\"},\n\t{\"Effect\":\"Allow\",\"Action\":\"a:c\",\"Resource\":\"*\"}]}",
	} {
		p := MustParse(IdentityPolicy, doc)
		lines := strings.Split(doc, "\n")
		for i := range p.Len() {
			from, to := p.Span(i)
			if from.Line < 1 || to.Line < 1 {
				t.Fatalf("%s: statement %d: %v %v", doc, i, from, to)
			}
			first, last := []rune(lines[from.Line-1])[from.Column-1], []rune(lines[to.Line-1])[to.Column-2]
			if first != '{' || last != '}' {
				t.Errorf("%s: statement %d: %v %v: %c %c", doc, i, from, to, first, last)
			}
			if i > 0 {
				if _, before := p.Span(i - 1); before == to {
					t.Errorf("%s: two statements end at %v", doc, to)
				}
			}
		}
	}
}

func TestMissingKeys(t *testing.T) {
	p := MustParse(IdentityPolicy, document(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::home/${aws:username}/*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringEquals":{"aws:PrincipalTag/t":"${aws:PrincipalTag/u, 'x'}"}}},
		{"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`))
	ps := &Policies{Identity: []Bound{{Policy: p}}}
	r := &Request{Authorization: Authorization{Action: "s3:GetObject", Resource: "*", Context: Context{{Key: "AWS:sourceip", Values: []string{"10.1.1.1"}}}}}
	if got := MissingKeys(ps, r); !slices.Equal(got, []string{"aws:PrincipalTag/t", "aws:PrincipalTag/u", "aws:username"}) {
		t.Errorf("%q", got)
	}
	if got := p.Keys(); !slices.Equal(got, []string{"aws:username", "aws:SourceIp", "aws:PrincipalTag/t", "aws:PrincipalTag/u", "aws:SecureTransport"}) {
		t.Errorf("%q", got)
	}
}
