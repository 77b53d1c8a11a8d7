package s3_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/s3"
	"tokaido/awsapi/sigv4"
	"tokaido/delivery"
	"tokaido/fault"
	"tokaido/gate"
	"tokaido/principal"
	"tokaido/trail"
)

const account = "111122223333"

type directory struct{}

func (directory) Credential(_ context.Context, key, _ string, _ time.Time) (principal.Credential, error) {
	switch key {
	case "ROOT":
		return principal.Credential{Secret: "s", Principal: &principal.Principal{Type: principal.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account}}, nil
	case "USER":
		return principal.Credential{Secret: "s", Principal: &principal.Principal{Type: principal.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u", ID: "AIDAU", Name: "u"}}, nil
	}
	return principal.Credential{}, fault.Newf("UnrecognizedClientException", "The security token included in the request is invalid.")
}

// world is a front door before a bucket with three files.
func world(t *testing.T) (get func(key, method, target string, more ...string) (*http.Response, string), log *trail.Log) {
	dir := t.TempDir()
	log, err := trail.Open(filepath.Join(dir, "trail"), trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	d, err := delivery.Open(delivery.Config{Dir: filepath.Join(dir, "d"), Buckets: filepath.Join(dir, "b"), Account: account, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if _, err := d.Create(delivery.Trail{Name: "t", HomeRegion: "ap-northeast-1", Bucket: "logs"}); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"a b/1.json.gz": "one", "a b/.1.json.gz.metadata": `{"signature":"abc"}`, "a b/2.json": "two", "z": "three"} {
		p := filepath.Join(dir, "b", "logs", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	door, err := awsapi.New(awsapi.Config{Directory: directory{}, Gate: gate.New(log, nil), Ops: s3.Ops(d)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(door)
	t.Cleanup(srv.Close)
	return func(key, method, target string, more ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(target, "?")
		r.URL.Opaque, r.URL.RawQuery = path, query
		empty := sha256.Sum256(nil)
		headers := [][2]string{{"Host", r.Host}, {"X-Amz-Content-Sha256", hex.EncodeToString(empty[:])}}
		secret := "s"
		for i := 0; i+1 < len(more); i += 2 {
			if more[i] == "secret" {
				secret = more[i+1]
				continue
			}
			headers = append(headers, [2]string{more[i], more[i+1]})
		}
		add, err := sigv4.Sign(sigv4.Request{Method: method, Target: target, Headers: headers},
			sigv4.Options{Service: "s3", Region: "ap-northeast-1", Now: time.Now(), KeepPath: true, EncodeOnce: true, Unsigned: true}, sigv4.Credentials{AccessKeyID: key, Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range append(headers[1:], add...) {
			r.Header.Set(h[0], h[1])
		}
		r.Header.Set("Accept-Encoding", "identity") // Go would undo what it did not ask for
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}, log
}

func TestRead(t *testing.T) {
	get, log := world(t)
	resp, body := get("ROOT", "GET", "/logs/a%20b/1.json.gz")
	if resp.StatusCode != 200 || body != "one" || resp.Header["X-Amz-Meta-Signature"] == nil || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	if resp, body := get("ROOT", "GET", "/logs?location"); resp.StatusCode != 200 || !strings.Contains(body, ">ap-northeast-1</LocationConstraint>") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	var l struct {
		Contents    []struct{ Key string }
		IsTruncated bool
	}
	resp, body = get("ROOT", "GET", "/logs?encoding-type=url&marker=a%20b%2F1.json.gz&max-keys=1&prefix=")
	if err := xml.Unmarshal([]byte(body), &l); err != nil || resp.StatusCode != 200 || len(l.Contents) != 1 || l.Contents[0].Key != "a+b/2.json" || !l.IsTruncated {
		t.Errorf("%d %v %q", resp.StatusCode, err, body)
	}
	page, err := log.Lookup(t.Context(), trail.Query{})
	if err != nil || len(page.Records) != 1 || page.Records[0].Name != "GetBucketLocation" {
		t.Errorf("LookupEvents shows more than the management event: %v, %v", page.Records, err)
	}
}

// TestHead: HEAD tells all but the content, and a range is a part of it.
func TestHead(t *testing.T) {
	get, _ := world(t)
	head, body := get("ROOT", "HEAD", "/logs/a%20b/1.json.gz")
	if head.StatusCode != 200 || body != "" || head.ContentLength != 3 || head.Header["X-Amz-Meta-Signature"] == nil || head.Header.Get("Etag") == "" {
		t.Errorf("%d %q %d %v", head.StatusCode, body, head.ContentLength, head.Header)
	}
	for _, c := range [][4]string{
		{"bytes=0-2", "thr", "bytes 0-2/5", "GET"}, {"bytes=3-", "ee", "bytes 3-4/5", "GET"}, {"bytes=-2", "ee", "bytes 3-4/5", "GET"},
		{"bytes=-9", "three", "bytes 0-4/5", "GET"}, {"bytes=4-99", "e", "bytes 4-4/5", "GET"}, {"bytes=1-2", "", "bytes 1-2/5", "HEAD"},
	} {
		resp, body := get("ROOT", c[3], "/logs/z", "Range", c[0])
		if resp.StatusCode != 206 || body != c[1] || resp.Header.Get("Content-Range") != c[2] {
			t.Errorf("%v: %d %q %v", c, resp.StatusCode, body, resp.Header)
		}
	}
	resp, _ := get("ROOT", "GET", "/logs/z")
	tag := resp.Header.Get("Etag")
	if resp, body := get("ROOT", "GET", "/logs/z", "If-Match", tag); resp.StatusCode != 200 || body != "three" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, body := get("ROOT", "GET", "/logs/z", "If-None-Match", tag); resp.StatusCode != 304 || body != "" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	for target, want := range map[string]int{"/logs": 200, "/none": 404, "/logs/none": 404, "/logs/a%20b": 404} {
		if resp, _ := get("ROOT", "HEAD", target); resp.StatusCode != want {
			t.Errorf("HEAD %s: %d, want %d", target, resp.StatusCode, want)
		}
	}
	if resp, body := get("ROOT", "GET", "/?x-id=ListBuckets"); resp.StatusCode != 200 || !strings.Contains(body, "<Buckets><Bucket><Name>logs</Name>") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// TestLists: both versions list the same, whole and in pages, with groups.
func TestLists(t *testing.T) {
	get, _ := world(t)
	type answer struct {
		Contents              []struct{ Key string }
		CommonPrefixes        []struct{ Prefix string }
		IsTruncated           bool
		NextMarker            string
		NextContinuationToken string
		KeyCount              int
	}
	ask := func(query string) (a answer, listed string) {
		t.Helper()
		resp, body := get("ROOT", "GET", "/logs?"+query)
		if err := xml.Unmarshal([]byte(body), &a); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %v %q", query, resp.StatusCode, err, body)
		}
		for _, p := range a.CommonPrefixes {
			listed += p.Prefix + "* "
		}
		for _, c := range a.Contents {
			listed += c.Key + " "
		}
		return a, listed
	}
	for query, want := range map[string]string{
		"list-type=2": "a b/1.json.gz a b/2.json z ", "list-type=2&delimiter=/": "a b/* z ", "list-type=2&delimiter=/&prefix=a%20b/": "a b/1.json.gz a b/2.json ",
		"list-type=2&prefix=none": "", "list-type=2&start-after=a%20b/1.json.gz": "a b/2.json z ", "list-type=2&max-keys=0": "",
		"": "a b/1.json.gz a b/2.json z ", "delimiter=/": "a b/* z ", "delimiter=/&marker=a%20b/": "z ", "delimiter=json": "a b/1.json* a b/2.json* z ",
	} {
		if _, got := ask(query); got != want {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
	}
	for _, more := range []string{"", "&delimiter=/"} {
		whole, _ := ask("list-type=2" + more)
		got, pages := 0, 0
		for token := ""; ; pages++ {
			q := "list-type=2&max-keys=1" + more
			if token != "" {
				q += "&continuation-token=" + token
			}
			a, _ := ask(q)
			got += a.KeyCount
			if a.IsTruncated != (a.NextContinuationToken != "") {
				t.Errorf("%+v", a)
			}
			if token = a.NextContinuationToken; token == "" {
				break
			}
		}
		if got != whole.KeyCount || pages+1 != whole.KeyCount {
			t.Errorf("%q: %d in %d pages, want %d", more, got, pages+1, whole.KeyCount)
		}
	}
	if a, got := ask("delimiter=/&max-keys=1"); got != "a b/* " || a.NextMarker != "a b/" {
		t.Errorf("%q %+v", got, a)
	}
}

func TestRefused(t *testing.T) {
	get, _ := world(t)
	for _, c := range []struct {
		key, method, target string
		more                []string
		status              int
		code                string
	}{
		{"ROOT", "GET", "/logs/none", nil, 404, "NoSuchKey"},
		{"ROOT", "GET", "/logs/a%20b/.1.json.gz.metadata", nil, 404, "NoSuchKey"},
		{"ROOT", "GET", "/logs/../../trail/LOCK", nil, 404, "NoSuchKey"},
		{"ROOT", "GET", "/logs/%2e%2e/%2e%2e/d/trails.json", nil, 404, "NoSuchKey"},
		{"ROOT", "GET", "/none?location", nil, 404, "NoSuchBucket"},
		{"ROOT", "GET", "/..?location", nil, 404, "NoSuchBucket"},
		{"USER", "GET", "/", nil, 403, "AccessDenied"},
		{"ROOT", "GET", "/?max-buckets=5", nil, 501, "NotImplemented"},
		{"ROOT", "PUT", "/logs/x", nil, 501, "NotImplemented"},
		{"ROOT", "DELETE", "/logs/z", nil, 501, "NotImplemented"},
		{"ROOT", "GET", "/logs?list-type=3", nil, 400, "InvalidArgument"},
		{"ROOT", "GET", "/logs?list-type=2&continuation-token=!", nil, 400, "InvalidArgument"},
		{"ROOT", "GET", "/logs?list-type=2&fetch-owner=true", nil, 400, "NotImplemented"},
		{"ROOT", "GET", "/logs?list-type=2&marker=x", nil, 400, "NotImplemented"},
		{"USER", "GET", "/logs?list-type=2", nil, 403, "AccessDenied"},
		{"ROOT", "GET", "/logs?max-keys=x", nil, 400, "InvalidArgument"},
		{"ROOT", "GET", "/logs/z?versionId=1", nil, 400, "NotImplemented"},
		{"ROOT", "GET", "/logs/z", []string{"Range", "bytes=5-"}, 416, "InvalidRange"},
		{"ROOT", "GET", "/logs/z", []string{"Range", "bytes=-0"}, 416, "InvalidRange"},
		{"ROOT", "GET", "/logs/z", []string{"Range", "bytes=3-2"}, 416, "InvalidRange"},
		{"ROOT", "GET", "/logs/z", []string{"Range", "bytes=x-2"}, 416, "InvalidRange"},
		{"ROOT", "GET", "/logs/z", []string{"Range", "bytes=0-1,3-4"}, 400, "NotImplemented"},
		{"ROOT", "GET", "/logs/z", []string{"Range", "lines=0-1"}, 400, "NotImplemented"},
		{"ROOT", "GET", "/logs/z", []string{"If-Match", `"x"`}, 412, "PreconditionFailed"},
		{"ROOT", "GET", "/logs/z", []string{"If-Modified-Since", "Sun, 22 Nov 2026 00:00:00 GMT"}, 400, "NotImplemented"},
		{"USER", "GET", "/logs/z", nil, 403, "AccessDenied"},
		{"USER", "GET", "/logs", nil, 403, "AccessDenied"},
		{"USER", "GET", "/logs?location", nil, 403, "AccessDenied"},
		{"NOBODY", "GET", "/logs/z", nil, 403, "InvalidAccessKeyId"},
		{"ROOT", "GET", "/logs/z", []string{"secret", "wrong"}, 403, "SignatureDoesNotMatch"},
	} {
		resp, body := get(c.key, c.method, c.target, c.more...)
		var e struct{ Code, Message, RequestId string }
		err := xml.Unmarshal([]byte(body), &e)
		if c.code == "NotImplemented" {
			c.status = 501
		}
		if err != nil || resp.StatusCode != c.status || e.Code != c.code || e.Message == "" || e.RequestId == "" {
			t.Errorf("%s %s %s: %d %q (%v), want %d %s", c.key, c.method, c.target, resp.StatusCode, body, err, c.status, c.code)
		}
	}
}
