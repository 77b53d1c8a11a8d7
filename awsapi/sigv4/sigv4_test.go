package sigv4

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokaido/internal/conform"
)

// vector is one case of conformance/sigv4.
type vector struct {
	ID, Service, Protocol, Region string
	Now                           time.Time
	SkewMinutes                   int
	Normalize, DoubleEncode       bool
	TokenOutsideSignature         bool
	QueryPayloadHash              string
	Credentials                   map[string]struct {
		Secret, Token string
		Expires       time.Time
	}
	Request struct {
		Method, Target, Body string
		Headers              [][2]string
	}
	Expect, Message string
	Errors          struct {
		Code   string
		Status int
	}
	CanonicalRequest, StringToSign, Signature string
}

func (v *vector) request() Request {
	return Request{Method: v.Request.Method, Target: v.Request.Target, Headers: v.Request.Headers, Body: []byte(v.Request.Body)}
}

func (v *vector) options() Options {
	return Options{
		Service: v.Service, Region: v.Region, Now: v.Now, Skew: time.Duration(v.SkewMinutes) * time.Minute,
		KeepPath: !v.Normalize, EncodeOnce: !v.DoubleEncode, Unsigned: !v.DoubleEncode,
		TokenOutside: v.TokenOutsideSignature,
	}
}

func (v *vector) lookup(key, token string) (string, error) {
	c, ok := v.Credentials[key]
	switch {
	case !ok || c.Token != token:
		return "", ErrInvalidToken
	case !c.Expires.IsZero() && !v.Now.Before(c.Expires):
		return "", ErrTokenExpired
	}
	return c.Secret, nil
}

func (v *vector) protocol() Protocol {
	switch v.Protocol {
	case "rest-json":
		return RESTJSON
	case "query":
		return QueryXML
	case "s3":
		return S3
	}
	return JSON
}

func vectors(t testing.TB) map[string][]vector {
	files, err := filepath.Glob(filepath.Join(conform.Dir(t, "sigv4"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]vector{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vs []vector
		if err := json.Unmarshal(b, &vs); err != nil {
			continue // errors.json is a table, read by TestConformanceErrorTable
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = vs
	}
	return all
}

func TestConformanceSigV4(t *testing.T) {
	for group, vs := range vectors(t) {
		passed, failed := 0, 0
		for _, v := range vs {
			if t.Run(group+"/"+v.ID, func(t *testing.T) { check(t, &v) }) {
				passed++
			} else {
				failed++
			}
		}
		fmt.Printf("sigv4 %s: %d passed, %d failed, 0 skipped\n", group, passed, failed)
	}
}

func check(t *testing.T, v *vector) {
	id, err := Verify(v.request(), v.options(), v.lookup)
	if v.Expect == "ok" {
		if err != nil {
			t.Fatal(err)
		}
		if id.Signature != v.Signature || id.Scope.Region != v.Region || id.Scope.Service != v.Service {
			t.Errorf("got %+v", id)
		}
		return
	}
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		t.Fatalf("got %v, want %s", err, v.Expect)
	}
	if f.Kind.String() != v.Expect {
		t.Errorf("got kind %v, want %s", f.Kind, v.Expect)
	}
	if f.Message != v.Message {
		t.Errorf("got message %q, want %q", f.Message, v.Message)
	}
	if code, status := f.On(v.protocol()); code != v.Errors.Code || status != v.Errors.Status {
		t.Errorf("got %s %d, want %s %d", code, status, v.Errors.Code, v.Errors.Status)
	}
}

// The table says code and status of every kind in every protocol.
func TestConformanceErrorTable(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(conform.Dir(t, "sigv4"), "errors.json"))
	if err != nil {
		t.Skip("the folder of cases has no table of errors: ", err)
	}
	var table struct {
		Kinds map[string]map[string][2]any
	}
	if err := json.Unmarshal(b, &table); err != nil {
		t.Fatal(err)
	}
	protocols := map[string]Protocol{"json": JSON, "rest-json": RESTJSON, "query": QueryXML, "s3": S3}
	passed := 0
	for k := SignatureMismatch; k <= IncompleteSignature; k++ {
		for name, want := range table.Kinds[k.String()] {
			code, status := (&Failure{Kind: k}).On(protocols[name])
			if code != want[0] || float64(status) != want[1] {
				t.Errorf("%v on %s: got %s %d, want %v", k, name, code, status, want)
				continue
			}
			passed++
		}
	}
	if want := 4 * len(table.Kinds); passed != want {
		t.Errorf("%d of %d entries hold", passed, want)
	}
	fmt.Printf("sigv4 errors: %d passed, %d failed, 0 skipped\n", passed, 4*len(table.Kinds)-passed)
}

var (
	testCreds   = Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	testSession = Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", Secret: "s", SessionToken: "to/k+en=="}
	testNow     = time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC)
)

func testRequest() Request {
	return Request{
		Method: "POST", Target: "/model/arn%3Aaws%3Abedrock%3A%3Aap%2Fx/converse?b=2&a=1%2B&flag",
		Headers: [][2]string{{"Host", "127.0.0.1:4566"}, {"Content-Type", "application/json"}, {"X-Amz-Target", "A.B"}, {"User-Agent", "x"}},
		Body:    []byte(`{"a":1}`),
	}
}

func testOptions() Options {
	return Options{Service: "bedrock", Region: "ap-northeast-1", Now: testNow, MustSign: []string{"x-amz-target"}, Keys: new(KeyCache)}
}

func lookupOf(c Credentials) Lookup {
	return func(key, token string) (string, error) {
		if key != c.AccessKeyID || token != c.SessionToken {
			return "", ErrInvalidToken
		}
		return c.Secret, nil
	}
}

func TestSignThenVerify(t *testing.T) {
	for _, c := range []Credentials{testCreds, testSession} {
		r, opt := testRequest(), testOptions()
		add, err := Sign(r, opt, c)
		if err != nil {
			t.Fatal(err)
		}
		signed := r
		signed.Headers = append(signed.Headers, add...)
		id, err := Verify(signed, opt, lookupOf(c))
		if err != nil {
			t.Fatal(err)
		}
		if id.AccessKeyID != c.AccessKeyID || id.Scope != (Scope{"20261121", "ap-northeast-1", "bedrock"}) || !id.Time.Equal(testNow) || id.Query {
			t.Errorf("got %+v", id)
		}
		if s := Claimed(signed); s.Scope != id.Scope || s.AccessKeyID != c.AccessKeyID {
			t.Errorf("Claimed says %v", s)
		}

		target, err := Presign(r, opt, c, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		pre := r
		pre.Target = target
		if id, err = Verify(pre, opt, lookupOf(c)); err != nil || !id.Query {
			t.Fatalf("presigned: %+v, %v", id, err)
		}
		if s := Claimed(pre); s.Scope != id.Scope || !s.Query {
			t.Errorf("Claimed says %v", s)
		}
		opt.Now = testNow.Add(61 * time.Second)
		if _, err := Verify(pre, opt, lookupOf(c)); err == nil || err.(*Failure).Kind != Expired {
			t.Errorf("after its end: %v", err)
		}
	}
}

// Whatever is changed after signing is noticed.
func TestTampering(t *testing.T) {
	r, opt := testRequest(), testOptions()
	add, err := Sign(r, opt, testSession)
	if err != nil {
		t.Fatal(err)
	}
	r.Headers = append(r.Headers, add...)
	for name, change := range map[string]func(*Request){
		"method":        func(r *Request) { r.Method = "PUT" },
		"path":          func(r *Request) { r.Target = strings.Replace(r.Target, "/converse", "/invoke", 1) },
		"escapedslash":  func(r *Request) { r.Target = strings.Replace(r.Target, "%2F", "/", 1) },
		"doublydecoded": func(r *Request) { r.Target = strings.Replace(r.Target, "%3A", ":", 1) },
		"query":         func(r *Request) { r.Target += "x" },
		"queryadded":    func(r *Request) { r.Target += "&z=1" },
		"body":          func(r *Request) { r.Body = []byte(`{"a":2}`) },
		"host":          func(r *Request) { r.Headers[0][1] = "example.com" },
		"target":        func(r *Request) { r.Headers[2][1] = "A.C" },
		"secondtarget":  func(r *Request) { r.Headers = append(r.Headers, [2]string{"x-amz-target", "A.C"}) },
		"secondhost":    func(r *Request) { r.Headers = append(r.Headers, [2]string{"host", "evil"}) },
		"seconddate":    func(r *Request) { r.Headers = append(r.Headers, [2]string{"x-amz-date", "20261121T010203Z"}) },
		"secondauth":    func(r *Request) { r.Headers = append(r.Headers, r.Headers[len(r.Headers)-1]) },
		"secondtoken":   func(r *Request) { r.Headers = append(r.Headers, [2]string{"x-amz-security-token", "to/k+en=="}) },
		"unsignedhashclaim": func(r *Request) {
			r.Body = nil
			r.Headers = append(r.Headers, [2]string{"x-amz-content-sha256", UnsignedPayload})
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := r
			x.Headers = append([][2]string(nil), r.Headers...)
			change(&x)
			if _, err := Verify(x, opt, lookupOf(testSession)); err == nil {
				t.Error("accepted")
			}
		})
	}
	// What does not change the meaning changes nothing.
	x := r
	x.Headers = append([][2]string{{"X-Forwarded-For", "10.0.0.1"}}, r.Headers...)
	x.Target = strings.Replace(r.Target, "b=2&a=1%2B&flag", "flag&a=1%2B&b=2", 1)
	if _, err := Verify(x, opt, lookupOf(testSession)); err != nil {
		t.Error(err)
	}
}

// A header that decides which operation runs must be covered.
func TestUnsignedTargetHeader(t *testing.T) {
	r, opt := testRequest(), testOptions()
	target := r.Headers[2]
	r.Headers = r.Headers[:2:2]
	add, err := Sign(r, opt, testCreds)
	if err != nil {
		t.Fatal(err)
	}
	r.Headers = append(append(r.Headers, add...), target)
	_, err = Verify(r, opt, lookupOf(testCreds))
	if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != InvalidSignature {
		t.Errorf("got %v", err)
	}
}

// A plus sign and %2B share a signature, so they must be read alike.
func TestQueryPlus(t *testing.T) {
	for _, target := range []string{"/?a=1+2", "/?a=1%2B2", "/?a=1%2b2"} {
		q, ok := Query(target)
		if !ok || len(q) != 1 || q[0] != [2]string{"a", "1+2"} {
			t.Errorf("%s: %q", target, q)
		}
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"": "/", "/": "/", "//": "/", "/a//b/": "/a/b/", "/a/./b": "/a/b", "/a/../b": "/b", "/../..": "/", "/a/..": "/", "/a/b/..": "/a/",
		"/a%2F..%2Fb": "/a%2F..%2Fb", "/.well": "/.well", "/a?x=/../y": "/a",
	} {
		if got := Path(in); got != want {
			t.Errorf("Path(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIsRegion(t *testing.T) {
	for s, want := range map[string]bool{
		"ap-northeast-1": true, "us-gov-west-1": true, "us-east-1": true, "eu-isoe-west-1": true,
		"": false, "tokyo": false, "us-east": false, "-east-1": false, "us--1": false, "US-EAST-1": false, "us-east-1/../x": false, "us_east-1": false,
	} {
		if IsRegion(s) != want {
			t.Errorf("IsRegion(%q) = %v", s, !want)
		}
	}
}

func TestScopeSaysAllThatIsWrong(t *testing.T) {
	r, opt := testRequest(), testOptions()
	add, _ := Sign(r, opt, testCreds)
	add[1][1] = strings.Replace(add[1][1], "20261121/ap-northeast-1/bedrock/aws4_request", "20261120/mars/moon/x", 1)
	r.Headers = append(r.Headers, add...)
	opt.Region = ""
	_, err := Verify(r, opt, lookupOf(testCreds))
	want := "BadScope: Credential should be scoped to a valid region. Credential should be scoped to correct service: 'bedrock'. " +
		"Credential should be scoped with a valid terminator: 'aws4_request', not 'x'. " +
		"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261120' != '20261121', from '20261121T010203Z'."
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// An error of the lookup that is no Failure is ours and stays what it is.
func TestLookupError(t *testing.T) {
	r, opt := testRequest(), testOptions()
	add, _ := Sign(r, opt, testCreds)
	r.Headers = append(r.Headers, add...)
	boom := errors.New("disk")
	if _, err := Verify(r, opt, func(string, string) (string, error) { return "", boom }); err != boom {
		t.Errorf("got %v", err)
	}
}

func FuzzAuthorization(f *testing.F) {
	r, opt := testRequest(), testOptions()
	add, _ := Sign(r, opt, testCreds)
	f.Add(add[1][1], "20261121T010203Z", r.Target)
	f.Add("AWS4-HMAC-SHA256 FooBar, BazBurp", "", "/")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;;host, Signature=0", "2026", "/?X-Amz-Algorithm=x")
	f.Add("", "", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20261121%2Fap-northeast-1%2Fbedrock%2Faws4_request&X-Amz-Date=20261121T010203Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Expires=-1")
	good := add[1][1]
	f.Fuzz(func(t *testing.T, authorization, date, target string) {
		x := r
		x.Target = target
		if authorization != "" {
			x.Headers = append([][2]string{{"Authorization", authorization}, {"X-Amz-Date", date}}, r.Headers...)
		}
		id, err := Verify(x, opt, lookupOf(testCreds))
		if err == nil {
			// Only the signed request itself, up to what signatures do not see.
			if id.AccessKeyID != testCreds.AccessKeyID || Path(target) != Path(r.Target) || !strings.HasSuffix(good, id.Signature) {
				t.Errorf("accepted %q %q %q", authorization, date, target)
			}
			return
		}
		fl, ok := errors.AsType[*Failure](err)
		if !ok {
			t.Fatalf("%T", err)
		}
		for p := JSON; p <= S3; p++ {
			if code, status := fl.On(p); code == "" || status < 400 {
				t.Errorf("%v has no answer", fl.Kind)
			}
		}
		Claimed(x)
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/a//b/../c/", "", "/%2e%2e/x", "a/b", "/..//.//x?y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := Path(s)
		if p == "" || p[0] != '/' || strings.Contains(p, "//") || strings.Contains(p, "?") {
			t.Fatalf("Path(%q) = %q", s, p)
		}
		if again := Path(p); again != p {
			t.Fatalf("Path is not stable: %q, %q", p, again)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r, opt := testRequest(), testOptions()
	add, err := Sign(r, opt, testSession)
	if err != nil {
		b.Fatal(err)
	}
	r.Headers = append(r.Headers, add...)
	look := lookupOf(testSession)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(r, opt, look); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyWithoutCache(b *testing.B) {
	r, opt := testRequest(), testOptions()
	add, err := Sign(r, opt, testSession)
	if err != nil {
		b.Fatal(err)
	}
	r.Headers = append(r.Headers, add...)
	opt.Keys = nil
	look := lookupOf(testSession)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(r, opt, look); err != nil {
			b.Fatal(err)
		}
	}
}
