package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"tokaido/internal/golden"

	"github.com/aymanbagabas/go-udiff"
)

// What Correct makes of each document that a rule points at.
func TestCorrect(t *testing.T) {
	var text strings.Builder
	for _, c := range lints {
		kind := c.kind
		if kind == 0 {
			kind = IdentityPolicy
		}
		p := MustParse(kind, c.doc)
		q := Correct(p, c.o)
		if q == p {
			continue
		}
		before, after := Check(p, c.o), Check(q, c.o)
		if len(after) > len(before) {
			t.Errorf("%s: %d findings became %d", c.name, len(before), len(after))
		}
		if Correct(q, c.o) != q {
			t.Errorf("%s: what was corrected is corrected again", c.name)
		}
		fmt.Fprintf(&text, "== %s\n%s", c.name, udiff.Unified("a", "b", Indent(p.doc), q.JSON()))
	}
	golden.Compare(t, text.String(), "correct.txt")
}

func TestRulesAreKnown(t *testing.T) {
	rs := Rules()
	// Those of the reference; BR23, BR24, and those that hold a policy to a definition.
	want := 22 + 8 + 8 + 2 + 4
	if len(rs) != want || !slices.IsSortedFunc(rs, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("%d rules, want %d", len(rs), want)
	}
	for _, r := range rs {
		if r.Severity == 0 || r.Title("en") == "" || r.Title("ja") == "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestExcess(t *testing.T) {
	p := MustParse(IdentityPolicy, document(`{"Effect":"Allow","Action":["lambda:InvokeFunction","lambda:DeleteFunction","sqs:*"],"Resource":["arn:aws:lambda:*:*:function:f","arn:aws:lambda:r:1:function:g","arn:aws:sqs:r:1:*"]},
		{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::x"}`))
	var got []string
	for _, u := range Excess(p, []Authorization{{Action: "lambda:InvokeFunction", Resource: "arn:aws:lambda:r:1:function:f"}, {Action: "sqs:SendMessage", Resource: "arn:aws:sqs:r:1:*"}}) {
		got = append(got, fmt.Sprint(u.Statement, " ", u.Element, " ", u.Value, " ", u.Needed))
	}
	want := []string{
		"0 Action lambda:DeleteFunction []", "0 Action sqs:* [sqs:SendMessage]",
		"0 Resource arn:aws:lambda:*:*:function:f [arn:aws:lambda:r:1:function:f]", "0 Resource arn:aws:lambda:r:1:function:g []",
		"1 Action s3:* []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
