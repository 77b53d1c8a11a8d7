package accessanalyzer

import (
	"strings"
	"testing"

	"tokaido/awsapi"
	"tokaido/awsapi/apitest"
	"tokaido/awsapi/sigv4"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/value"
)

// serve is a server, and a way to call it as the root user.
func serve(t *testing.T) (*apitest.Records, func(target, body string) (int, value.Value)) {
	s := apitest.Serve(t, principal.ControlOptions{}, func(*principal.Directory, *gate.Gate, *apitest.Records) []awsapi.Op { return Ops() })
	return s.Log, func(target, body string) (int, value.Value) {
		t.Helper()
		status, _, b := apitest.Send(t, s.URL, apitest.Call{Target: target, Headers: [][2]string{{"Content-Type", "application/json"}}, Body: body, Key: s.Root,
			Options: sigv4.Options{Service: service, Region: "ap-northeast-1"}})
		v, err := value.Parse(b)
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		return status, v
	}
}

func request(doc string, more ...value.Member) string {
	return value.Object(append([]value.Member{{Key: "policyDocument", Value: value.String(doc)}, {Key: "policyType", Value: value.String("IDENTITY_POLICY")}}, more...)...).JSON()
}

// The article's role: an ARN that cannot exist.
const pasted = `{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": "arn:aws:bedrock:ap-northeast-1::foundation-model/jp.anthropic.claude-sonnet-4-5-20250929-v1:0"}
  ]
}`

func TestValidatePolicy(t *testing.T) {
	log, ask := serve(t)
	status, v := ask("/policy/validation", request(pasted))
	if status != 200 || v.Get("findings").Len() != 1 {
		t.Fatalf("%d %s", status, v)
	}
	f := v.Get("findings").At(0)
	if f.Get("issueCode").Str() != "BR01" || f.Get("findingType").Str() != "ERROR" || !strings.Contains(f.Get("findingDetails").Str(), "jp.anthropic") {
		t.Errorf("found %s", f)
	}
	where := f.Get("locations").At(0)
	if got, want := where.Get("path").JSON(), `[{"value":"Statement"},{"index":0},{"value":"Resource"}]`; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	from, _ := where.Get("span").Get("start").Get("offset").Int()
	till, _ := where.Get("span").Get("end").Get("offset").Int()
	if got := pasted[from:till]; got != `"arn:aws:bedrock:ap-northeast-1::foundation-model/jp.anthropic.claude-sonnet-4-5-20250929-v1:0"` {
		t.Errorf("the span is %q", got)
	}
	if line, _ := where.Get("span").Get("start").Get("line").Int(); line != 4 {
		t.Errorf("it is in line %d, want 4", line)
	}
	if r := log.Last(); r.Name != "ValidatePolicy" || strings.Contains(r.Request.JSON(), "jp.anthropic") {
		t.Errorf("recorded %s with %s", r.Name, r.Request)
	}

	_, ja := ask("/policy/validation", request(pasted, value.Member{Key: "locale", Value: value.String("JA")}))
	if d := ja.Get("findings").At(0).Get("findingDetails").Str(); !strings.ContainsRune(d, 'の') {
		t.Errorf("in Japanese: %s", d)
	}
	_, broken := ask("/policy/validation", request(`{"Version": `))
	if c := broken.Get("findings").At(0).Get("issueCode").Str(); c != "JSON_SYNTAX_ERROR" {
		t.Errorf("half a document: %s", broken)
	}
	_, broken = ask("/policy/validation", request(`{"Version": "2012-10-17", "Statement": {"Effect": "Perhaps"}}`))
	if c := broken.Get("findings").At(0).Get("issueCode").Str(); c != "MALFORMED_POLICY" {
		t.Errorf("a malformed document: %s", broken)
	}
	_, good := ask("/policy/validation", request(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:ListStateMachines","Resource":"*"}]}`))
	if good.Get("findings").Len() != 0 {
		t.Errorf("a good policy: %s", good)
	}
}

// Findings come in pages.
func TestValidatePolicyPages(t *testing.T) {
	_, ask := serve(t)
	two := strings.Replace(pasted, `"Resource": "`, `"Resource": "arn:aws:bedrock:ap-northeast-1:111122223333:foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"}, {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": "`, 1)
	_, whole := ask("/policy/validation", request(two))
	target, n := "/policy/validation?maxResults=1", 0
	for range whole.Get("findings").Len() + 1 {
		status, v := ask(target, request(two))
		if status != 200 || v.Get("findings").Len() != 1 || !value.Equal(v.Get("findings").At(0), whole.Get("findings").At(n)) {
			t.Fatalf("page %d: %d %s", n, status, v)
		}
		n++
		next := v.Get("nextToken")
		if !next.IsString() {
			break
		}
		target = "/policy/validation?maxResults=1&nextToken=" + next.Str()
	}
	if n != whole.Get("findings").Len() || n < 2 {
		t.Errorf("%d pages of %d findings", n, whole.Get("findings").Len())
	}
}

func TestValidatePolicyRefuses(t *testing.T) {
	_, ask := serve(t)
	member := func(k, s string) value.Member { return value.Member{Key: k, Value: value.String(s)} }
	for _, c := range []struct{ name, target, body, want string }{
		{"no_document", "", `{"policyType":"IDENTITY_POLICY"}`, "policyDocument"},
		{"type", "", `{"policyType":"SESSION","policyDocument":"{}"}`, "SESSION"},
		{"locale", "", request("{}", member("locale", "FR")), "FR"},
		{"resource_type_of_identity", "", request("{}", member("validatePolicyResourceType", trustDocument)), "validatePolicyResourceType"},
		{"unknown_member", "", request("{}", member("colour", "red")), "colour"},
		{"page_size", "?maxResults=0", request("{}"), "maxResults"},
		{"token", "?nextToken=abc", request("{}"), "nextToken"},
		{"parameter", "?a=1", request("{}"), "'a'"},
		{"long", "", request(strings.Repeat(" ", maxDocument+1)), "policyDocument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, v := ask("/policy/validation"+c.target, c.body)
			if status != 400 || !strings.Contains(v.JSON(), c.want) {
				t.Errorf("%d %s", status, v)
			}
		})
	}
	for _, kind := range []string{"RESOURCE_POLICY", "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"} {
		if status, v := ask("/policy/validation", value.Object(member("policyType", kind), member("policyDocument", "{}")).JSON()); status != 200 {
			t.Errorf("%s: %d %s", kind, status, v)
		}
	}
	trust := value.Object(member("policyType", "RESOURCE_POLICY"), member("validatePolicyResourceType", trustDocument),
		member("policyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`))
	if status, v := ask("/policy/validation", trust.JSON()); status != 200 || v.Get("findings").At(0).Get("issueCode").Str() != "SF06" {
		t.Errorf("a trust policy without a source: %d %s", status, v)
	}
}

// Whatever the document, findings are within it.
func FuzzFindings(f *testing.F) {
	f.Add(pasted, false)
	f.Add(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"Version":"2012-10-17"}`, true)
	f.Add("{\"Version\":\"2012-10-17\",\n\"Statement\":[{\"Sid\":\"日本語😀\",\"Effect\":\"Allow\",\"NotAction\":\"iam:*\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"aws:PrincipalTag/a.b\":\"*\"}}}]}", false)
	f.Add(`{"Version":`, false)
	f.Fuzz(func(t *testing.T, doc string, trust bool) {
		v := validation{document: doc, kind: iam.IdentityPolicy, lang: "en", account: apitest.Account, most: maxPage}
		if trust {
			v.kind = iam.TrustPolicy
		}
		for _, x := range v.findings() {
			span := x.Get("locations").At(0).Get("span")
			from, ok := span.Get("start").Get("offset").Int()
			till, ok2 := span.Get("end").Get("offset").Int()
			if !ok || !ok2 || from < 0 || till < from || till > units(doc) {
				t.Fatalf("the span of %s in %q", x, doc)
			}
			if x.Get("findingDetails").Str() == "" || x.Get("issueCode").Str() == "" {
				t.Fatalf("says nothing: %s", x)
			}
		}
	})
}
