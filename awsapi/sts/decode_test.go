package sts_test

import (
	"encoding/xml"
	"net/url"
	"strings"
	"testing"

	"tokaido/value"
)

// A refusal is decoded by its request id: AWS's members, and what would allow it.
func TestDecodeAuthorizationMessage(t *testing.T) {
	f := serve(t)
	may := f.User("reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:DecodeAuthorizationMessage","Resource":"*"}]}`)
	id := func(form string, who ...string) string {
		t.Helper()
		policy := ""
		if len(who) > 1 {
			policy = who[1]
		}
		f.ask(f.User(who[0], policy), form)
		return f.Log.Last().RequestID
	}
	decode := func(id string) value.Value {
		t.Helper()
		var out struct {
			Message string `xml:"DecodeAuthorizationMessageResult>DecodedMessage"`
		}
		body := f.expect(may, 200, "Action=DecodeAuthorizationMessage&EncodedMessage="+url.QueryEscape(id))
		if err := xml.Unmarshal([]byte(body), &out); err != nil {
			t.Fatal(err)
		}
		v, err := value.ParseString(out.Message)
		if err != nil {
			t.Fatalf("%v in %s", err, out.Message)
		}
		return v
	}
	const form = "Action=GetAccessKeyInfo&AccessKeyId=AKIAIOSFODNN7EXAMPLE"
	d := decode(id(form, "nobody"))
	for path, want := range map[string]string{
		"allowed": "false", "explicitDeny": "false", "matchedStatements": `{"items":[]}`, "failures": `{"items":[]}`,
		"context.action": `"sts:GetAccessKeyInfo"`, "context.resource": `"*"`, "context.principal.arn": `"arn:aws:iam::111122223333:user/nobody"`,
		"explanation.allowed": "false", "explanation.fixed": "true", "explanation.principal": `"arn:aws:iam::111122223333:user/nobody"`,
		"explanation.notRecorded": "[]",
	} {
		v := d
		for k := range strings.SplitSeq(path, ".") {
			v = v.Get(k)
		}
		if v.JSON() != want {
			t.Errorf("%s is %s, want %s", path, v.JSON(), want)
		}
	}
	for _, lang := range []string{"en", "ja"} {
		if text := d.Get("explanation").Get("text").Get(lang).Str(); !strings.Contains(text, "sts:GetAccessKeyInfo") {
			t.Errorf("the text in %s is %q", lang, text)
		}
	}
	fixes := d.Get("explanation").Get("fixes")
	for _, f := range fixes.Items() {
		if !strings.Contains(f.Get("after").Str(), "sts:GetAccessKeyInfo") || !strings.HasPrefix(f.Get("diff").Str(), "--- ") {
			t.Errorf("fix: %s", f)
		}
	}
	for _, p := range d.Get("explanation").Get("parts").Items() {
		if p.Get("conditions").Get("items").Len() == 0 {
			t.Errorf("part %s has no conditions to simulate it with", p)
		}
	}
	if n := fixes.Len(); n != 1 {
		t.Errorf("%d fixes", n)
	}

	d = decode(id(form, "denied", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Sid":"Never","Effect":"Deny","Action":["sts:GetAccessKeyInfo"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalType":["User"]}}}]}`))
	want := `{"items":[{"statementId":"Never","effect":"DENY","principals":{"items":[]},"actions":{"items":[{"value":"sts:GetAccessKeyInfo"}]},"resources":{"items":[{"value":"*"}]},` +
		`"conditions":{"items":[{"operator":"StringEquals","key":"aws:PrincipalType","values":{"items":[{"value":"User"}]}}]},"policy":"p"}]}`
	if got := d.Get("matchedStatements").JSON(); got != want || !d.Get("explicitDeny").Bool() {
		t.Errorf("matched %s\nwant    %s", got, want)
	}

	// What is no refusal cannot be decoded, and who may not decode learns nothing.
	allowed := f.Log.Last().RequestID
	f.expect(may, 400, "Action=DecodeAuthorizationMessage&EncodedMessage="+allowed, "InvalidAuthorizationMessageException", "was not refused")
	f.expect(may, 400, "Action=DecodeAuthorizationMessage&EncodedMessage=QUJD", "InvalidAuthorizationMessageException")
	f.expect(may, 400, "Action=DecodeAuthorizationMessage", "encodedMessage")
	f.expect(f.User("stranger", ""), 403, "Action=DecodeAuthorizationMessage&EncodedMessage="+allowed, "AccessDenied", "sts:DecodeAuthorizationMessage")
}
