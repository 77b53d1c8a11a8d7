package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tokaido/flow"
	"tokaido/gate"
	"tokaido/trail"
	"tokaido/value"
)

const (
	billing   = "arn:aws:events:ap-northeast-1:111122223333:connection/billing/0f8b5c1e"
	allowHTTP = `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"states:InvokeHTTPEndpoint","Resource":"arn:aws:states:ap-northeast-1:111122223333:stateMachine:m","Condition":{"StringEquals":{"states:HTTPMethod":["GET","POST"]},"StringLike":{"states:HTTPEndpoint":"http*/v1*"}}},
		{"Effect":"Allow","Action":"events:RetrieveConnectionCredentials","Resource":"arn:aws:events:ap-northeast-1:111122223333:connection/billing/*"},
		{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:DescribeSecret"],"Resource":"arn:aws:secretsmanager:*:*:secret:events!connection/billing/*"}]}`
)

// site is an API that keeps what it was asked.
type site struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []*http.Request
	bodies []string
}

func newSite(t *testing.T, h http.HandlerFunc) *site {
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.asked, s.bodies = append(s.asked, r), append(s.bodies, string(b))
		s.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// last is the newest request and its body, and how many there were.
func (s *site) last() (*http.Request, string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		return nil, "", 0
	}
	return s.asked[len(s.asked)-1], s.bodies[len(s.bodies)-1], len(s.asked)
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := Endpoint(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func httpWorld(policy string, c *Connection) *world {
	w := &world{table: Table{}, log: &recorder{}, roles: &roles{policy: policy}}
	(&HTTP{Connections: map[string]*Connection{"billing": c}, Gate: gate.New(w.log, nil), Roles: w.roles}).AddTo(w.table)
	return w
}

// ask is a task with a connection; more are further members.
func ask(method, endpoint string, more ...string) flow.Task {
	return task("http", "invoke", fmt.Sprintf(`{"Method":%q,"ApiEndpoint":%q,"Authentication":{"ConnectionArn":%q}%s}`, method, endpoint, billing, strings.Join(more, "")))
}

func okay(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Add("X-Two", "a")
	w.Header().Add("X-Two", "b")
	io.WriteString(w, `{"id": 1.50}`)
}

// What is sent, what the connection adds, and what comes back.
func TestHTTPInvoke(t *testing.T) {
	s := newSite(t, okay)
	c := &Connection{
		Endpoints: []*url.URL{mustURL(t, s.URL+"/v1")}, Auth: BasicAuth{"user", "pass word"},
		Headers: map[string]string{"X-Team": "connection"}, Query: map[string]string{"key": "connection&"}, Body: value.MustParse(`{"tenant":"t1"}`),
	}
	w := httpWorld(allowHTTP, c)
	out, err := w.table.Invoke(t.Context(), ask("POST", s.URL+"/v1/orders?key=own&own=1%202",
		`,"Headers":{"X-Team":"task","x-other":"o"},"QueryParameters":{"a b":["x","y"],"key":"task"},"RequestBody":{"n": 1.50,"tenant":"task"}`))
	if err != nil {
		t.Fatal(err)
	}
	r, body, _ := s.last()
	user, pass, _ := r.BasicAuth()
	if r.Method != "POST" || r.RequestURI != "/v1/orders?own=1%202&a%20b=x&a%20b=y&key=connection%26" || body != `{"n":1.50,"tenant":"t1"}` || user != "user" || pass != "pass word" {
		t.Errorf("%s %s %s as %s %s", r.Method, r.RequestURI, body, user, pass)
	}
	for name, want := range map[string]string{
		"X-Team": "connection", "X-Other": "o", "Content-Type": "application/json", "User-Agent": "Amazon|StepFunctions|HttpInvoke|ap-northeast-1", "Range": "bytes=0-262144", "Accept-Encoding": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if out.Get("StatusCode").JSON() != "200" || out.Get("StatusText").Str() != "OK" || out.Get("ResponseBody").Get("id").JSON() != "1.50" || out.Get("Headers").Get("x-two").JSON() != `["a","b"]` {
		t.Errorf("%s", out)
	}
	last := w.log.records[len(w.log.records)-1]
	if last.Name != "InvokeHTTPEndpoint" || last.Additional.Get("statusCode").JSON() != "200" || strings.Contains(last.Request.JSON()+last.Additional.JSON(), "own") || last.Request.Get("connectionArn").Str() != billing {
		t.Errorf("recorded %s %s %s", last.Name, last.Request, last.Additional)
	}

	form := ask("POST", s.URL+"/v1", `,"RequestBody":{"list":[1,2],"deep":{"k":"ü&"}},"Transform":{"RequestBodyEncoding":"URL_ENCODED","RequestEncodingOptions":{"ArrayFormat":"BRACKETS"}}`)
	if _, err := w.table.Invoke(t.Context(), form); err != nil {
		t.Fatal(err)
	}
	if r, body, _ := s.last(); body != "list[]=1&list[]=2&deep[k]=%C3%BC%26&tenant=t1" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("%s %s", body, r.Header)
	}
	_, err = w.table.Invoke(t.Context(), ask("POST", s.URL+"/v1", `,"RequestBody":"text"`))
	if f := taskError(t, err); f.Name != "States.Runtime" {
		t.Errorf("a text and what the connection adds: %v", f)
	}
}

// What an API answers besides a yes.
func TestHTTPAnswers(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/404":
			http.Error(w, `{"why":"gone"}`, http.StatusNotFound)
		case "/v1/302":
			http.Redirect(w, r, "/v1/elsewhere", http.StatusFound)
		case "/v1/png":
			w.Header().Set("Content-Type", "image/png")
		case "/v1/bytes":
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte{0xff})
		case "/v1/long":
			io.WriteString(w, strings.Repeat("x", maxHTTPAnswer+1))
		case "/v1/cut":
			panic(http.ErrAbortHandler)
		case "/v1/empty":
			w.WriteHeader(http.StatusNoContent)
		default:
			io.WriteString(w, "{no json")
		}
	})
	w := httpWorld(allowHTTP, &Connection{Endpoints: []*url.URL{mustURL(t, s.URL)}, Auth: KeyAuth{"X-Key", "k"}})
	for path, want := range map[string]string{
		"404": "States.Http.StatusCode.404", "302": "States.Http.StatusCode.302", "png": "States.Runtime", "bytes": "States.Runtime",
		"long": "States.DataLimitExceeded", "cut": "States.Http.Socket",
	} {
		_, err := w.table.Invoke(t.Context(), ask("GET", s.URL+"/v1/"+path))
		if f := taskError(t, err); f.Name != want {
			t.Errorf("%s: %v, want %s", path, f, want)
		} else if strings.Contains(f.Cause, s.URL) {
			t.Errorf("%s names the address: %s", path, f.Cause)
		}
	}
	for path, want := range map[string]string{"empty": `""`, "text": `"{no json"`} {
		out, err := w.table.Invoke(t.Context(), ask("GET", s.URL+"/v1/"+path))
		if err != nil || out.Get("ResponseBody").JSON() != want {
			t.Errorf("%s: %s %v", path, out, err)
		}
	}
	r, _, _ := s.last()
	if r.Header.Get("X-Key") != "k" {
		t.Errorf("%v", r.Header)
	}
	for _, rec := range w.log.records {
		if rec.ErrorCode != "" {
			t.Errorf("what the API answered counts as an error of the call: %+v", rec)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(flow.ErrCancelled)
	if _, err := w.table.Invoke(ctx, ask("GET", s.URL+"/v1")); !errors.Is(err, flow.ErrCancelled) && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A Task goes where its connection lets it, and nowhere else.
func TestHTTPGoesNowhereElse(t *testing.T) {
	s := newSite(t, okay)
	other := newSite(t, okay)
	everything := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	w := httpWorld(everything, &Connection{Endpoints: []*url.URL{mustURL(t, s.URL+"/v1/")}, Auth: KeyAuth{"X-Key", "k"}})
	host := strings.TrimPrefix(s.URL, "http://")
	for _, to := range []string{
		other.URL + "/v1/", s.URL + "/", s.URL + "/v10", s.URL + "/v2/", "https://" + host + "/v1/", s.URL + "/v1/../admin", s.URL + "/v1/%2e%2e/admin", s.URL + "/v1/..%2fadmin",
		s.URL + "/v1/..%5cadmin", s.URL + "/v1/.", s.URL + "/v1\\..\\admin", "http://" + host + "@" + strings.TrimPrefix(other.URL, "http://") + "/v1/", "http://user@" + host + "/v1/",
		s.URL + "/v1/#@" + host, "file:///v1/", "gopher://" + host + "/v1/", "//" + host + "/v1/", "http:" + host + "/v1/", "http:///v1/", s.URL + "/v1/\n", "http://" + host + ".evil.example/v1/",
		"http://169.254.169.254/v1/", "http://localhost:" + mustURL(t, s.URL).Port() + "/v1/", "http://127.1:" + mustURL(t, s.URL).Port() + "/v1/", "",
	} {
		_, err := w.table.Invoke(t.Context(), task("http", "invoke", value.Object(
			value.Member{Key: "Method", Value: value.String("GET")}, value.Member{Key: "ApiEndpoint", Value: value.String(to)},
			value.Member{Key: "Authentication", Value: value.MustParse(`{"ConnectionArn":"` + billing + `"}`)}).JSON()))
		if f := taskError(t, err); f.Name != "States.TaskFailed" && f.Name != "States.Runtime" {
			t.Errorf("%q: %v", to, f)
		}
	}
	if _, _, n := s.last(); n > 0 {
		t.Errorf("%d requests went out", n)
	}
	if _, _, n := other.last(); n > 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
	for _, to := range []string{s.URL + "/v1", s.URL + "/v1/", s.URL + "/v1/a%20b?x=/../..", strings.ToUpper(s.URL[:4]) + s.URL[4:] + "/v1/x"} {
		if _, err := w.table.Invoke(t.Context(), ask("GET", to)); err != nil {
			t.Errorf("%q: %v", to, err)
		}
	}
	elsewhere := strings.Replace(billing, "billing", "other", 1)
	for arn, name := range map[string]string{
		elsewhere: "Events.ConnectionResource.ResourceNotFound",
		strings.Replace(billing, "111122223333", "999999999999", 1):       "Events.ConnectionResource.AccessDenied",
		"arn:aws:events:ap-northeast-1:111122223333:connection/billing":   "States.Runtime",
		"arn:aws:events:ap-northeast-1:111122223333:event-bus/billing/id": "States.Runtime",
	} {
		x := ask("GET", s.URL+"/v1")
		x.Args = x.Args.With("Authentication", value.MustParse(`{"ConnectionArn":"`+arn+`"}`))
		_, err := w.table.Invoke(t.Context(), x)
		if f := taskError(t, err); f.Name != name {
			t.Errorf("%s: %v, want %s", arn, f, name)
		}
	}
}

// Each part of the call is decided as the role, before anything is sent.
func TestHTTPIsAuthorized(t *testing.T) {
	s := newSite(t, okay)
	c := &Connection{Endpoints: []*url.URL{mustURL(t, s.URL)}, Auth: KeyAuth{"X-Key", "k"}}
	for _, x := range []struct{ policy, method, path, want string }{
		{strings.Replace(allowHTTP, "InvokeHTTPEndpoint", "StartExecution", 1), "GET", "/v1", "States.TaskFailed"},
		{allowHTTP, "DELETE", "/v1", "States.TaskFailed"},
		{allowHTTP, "GET", "/v2", "States.TaskFailed"},
		{strings.Replace(allowHTTP, "RetrieveConnectionCredentials", "PutEvents", 1), "GET", "/v1", "Events.ConnectionResource.AccessDenied"},
		{strings.Replace(allowHTTP, `"secretsmanager:GetSecretValue",`, "", 1), "GET", "/v1", "Events.ConnectionResource.AccessDenied"},
		{strings.Replace(allowHTTP, `,"secretsmanager:DescribeSecret"`, "", 1), "GET", "/v1", "Events.ConnectionResource.AccessDenied"},
	} {
		w := httpWorld(x.policy, c)
		_, err := w.table.Invoke(t.Context(), ask(x.method, s.URL+x.path))
		if f := taskError(t, err); f.Name != x.want || !strings.Contains(f.Cause, "is not authorized to perform") {
			t.Errorf("%s %s: %v, want %s", x.method, x.path, f, x.want)
		}
		if r := w.log.records[len(w.log.records)-1]; r.ErrorCode != "AccessDenied" {
			t.Errorf("recorded %q", r.ErrorCode)
		}
	}
	if _, _, n := s.last(); n > 0 {
		t.Errorf("%d requests went out", n)
	}
	w := httpWorld(allowHTTP, c)
	w.log.fail = func(*trail.Record) error { return errors.New("the disk is full") }
	if _, err := w.table.Invoke(t.Context(), ask("GET", s.URL+"/v1")); err == nil {
		t.Error("a call without a record succeeded")
	}
}

// Arguments that no request can be made of are refused before anything is
// scheduled, naming the field.
func TestHTTPArguments(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{`{}`, "ApiEndpoint"},
		{`{"ApiEndpoint":"https://x"}`, "Method"},
		{`{"ApiEndpoint":"https://x","Method":"TRACE"}`, `"TRACE"`},
		{`{"ApiEndpoint":"https://x","Method":"GET"}`, "Authentication"},
		{`{"ApiEndpoint":"https://x","Method":"GET","Authentication":{"ConnectionArn":"x"}}`, `"x"`},
		{`{"ApiEndpoint":"https://x","Method":"GET","Authentication":{"ConnectionArn":"` + billing + `","More":1}}`, `"More"`},
		{`{"ApiEndpoint":"https://x","Method":"GET","Authentication":{"ConnectionArn":"` + billing + `"},"InvocationConfig":{"ConnectionArn":"` + billing + `2"}}`, "two connections"},
		{`{"ApiEndpoint":"x","Method":"GET","Authentication":{"ConnectionArn":"` + billing + `"}}`, "ApiEndpoint"},
	} {
		if why := httpUnusable(value.MustParse(c.args)); !strings.Contains(why, c.says) {
			t.Errorf("%s: %q, want %s", c.args, why, c.says)
		}
	}
	with := func(name, v string) string {
		return httpUnusable(ask("GET", "https://x").Args.With(name, value.MustParse(v)))
	}
	for _, c := range []struct{ name, v, says string }{
		{"Headers", `[]`, "Headers"}, {"Headers", `{"Host":"evil"}`, `"Host"`}, {"Headers", `{"x-AMZ-a":"b"}`, `"x-AMZ-a"`}, {"Headers", `{"X-Forwarded-For":"b"}`, "X-Forwarded-For"},
		{"Headers", `{"Authorization":"b"}`, "Authorization"}, {"Headers", `{"a b":"c"}`, `"a b"`}, {"Headers", `{"a":"b\r\nc: d"}`, `"a"`}, {"Headers", `{"a":1}`, `"a"`}, {"Headers", `{"":"b"}`, `""`},
		{"Headers", `{"Content-Length":"1"}`, "Content-Length"}, {"QueryParameters", `1`, "QueryParameters"}, {"Transform", `{"RequestBodyEncoding":"XML"}`, `"XML"`}, {"Transform", `{"X":1}`, `"X"`},
		{"Transform", `{"RequestEncodingOptions":{"ArrayFormat":"X"}}`, `"X"`}, {"Extra", `1`, `"Extra"`},
	} {
		if why := with(c.name, c.v); !strings.Contains(why, c.says) {
			t.Errorf("%s %s: %q, want %s", c.name, c.v, why, c.says)
		}
	}
	if why := httpUnusable(ask("POST", "https://x", `,"RequestBody":"x","Transform":{"RequestBodyEncoding":"URL_ENCODED"}`).Args); !strings.Contains(why, "RequestBody") {
		t.Error(why)
	}
	if why := with("Headers", `{"X-Api":"v","content-type":"a/b"}`); why != "" {
		t.Error(why)
	}
	for _, bad := range []string{`"a=%zz"`, `[1]`} {
		if _, err := new(Connection).query("", value.MustParse(bad)); err == nil {
			t.Errorf("%s is a query", bad)
		}
	}
	table := Table{}
	new(HTTP).AddTo(table)
	if why := table.Unable(ask("GET", "https://x").Part); !strings.Contains(why, "connections in tokaido.yaml") {
		t.Error(why)
	}
}

// One token serves many calls; one that is refused is not used again.
func TestHTTPOAuth(t *testing.T) {
	var tokens atomic.Int64
	issuer := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "client" || secret != "s%3A" {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"invalid_client","hint":"s:"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":3600}`, tokens.Add(1))
	})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer t1" && r.URL.Path == "/v1/stale" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	client := OAuthClient{Endpoint: issuer.URL + "/token", ID: "client", Secret: "s:", Parameters: map[string]string{"scope": "read"}}
	auth := NewOAuth(client)
	w := httpWorld(allowHTTP, &Connection{Endpoints: []*url.URL{mustURL(t, s.URL)}, Auth: auth})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := httptest.NewRequest("GET", s.URL+"/v1", nil)
			if err := auth.authorize(t.Context(), http.DefaultClient, r); err != nil || r.Header.Get("Authorization") != "Bearer t1" {
				t.Error(err, r.Header)
			}
		})
	}
	wg.Wait()
	if _, err := w.table.Invoke(t.Context(), ask("GET", s.URL+"/v1")); err != nil {
		t.Error(err)
	}
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens for calls at the same time, want 1", n)
	}
	if r, body, _ := issuer.last(); body != "grant_type=client_credentials&scope=read" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("asked with %s", body)
	}
	_, err := w.table.Invoke(t.Context(), ask("GET", s.URL+"/v1/stale"))
	if f := taskError(t, err); f.Name != "States.Http.StatusCode.401" {
		t.Errorf("%v", f)
	}
	if _, err := w.table.Invoke(t.Context(), ask("GET", s.URL+"/v1/stale")); err != nil {
		t.Errorf("with another token: %v", err)
	}
	client.Secret = "wrong"
	w = httpWorld(allowHTTP, &Connection{Endpoints: []*url.URL{mustURL(t, s.URL)}, Auth: NewOAuth(client)})
	_, err = w.table.Invoke(t.Context(), ask("GET", s.URL+"/v1"))
	if f := taskError(t, err); f.Name != "Events.ConnectionResource.AuthorizationFailed" || strings.Contains(f.Cause, "invalid_client") || strings.Contains(f.Cause, "wrong") {
		t.Errorf("%v", f)
	}
}

// An address that is let through is, as a request, at or below what lets it.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"https://api.example/v1", "https://api.example/v1/x?y#z", "https://api.example:443/v1/%2e%2e/", "https://a@api.example/v1", "http://api.example\\@evil/v1", "https://API.example/v1//x", "https://api.example/v1/;x"} {
		f.Add(s)
	}
	base, err := Endpoint("https://api.example/v1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Endpoint(s)
		if err != nil || !below(u, base) {
			return
		}
		r, err := http.NewRequest("GET", u.String(), nil)
		if err != nil {
			return
		}
		if !strings.EqualFold(r.URL.Hostname(), "api.example") || r.URL.Scheme != "https" || r.URL.User != nil {
			t.Errorf("%q goes to %s", s, r.URL)
		}
		if p := r.URL.JoinPath().Path; p != "/v1" && !strings.HasPrefix(p, "/v1/") {
			t.Errorf("%q goes to the path %s", s, p)
		}
	})
}

func FuzzHTTPArguments(f *testing.F) {
	f.Add(`{"Method":"POST","ApiEndpoint":"https://api.example/v1","Authentication":{"ConnectionArn":"` + billing + `"},"Headers":{"a":"b"},"QueryParameters":{"a":[1,{"b":"c"}]},"RequestBody":{"x":[1]},"Transform":{"RequestBodyEncoding":"URL_ENCODED"}}`)
	f.Add(`{"Method":"GET","ApiEndpoint":"https://api.example/v1","Authentication":{"ConnectionArn":"` + billing + `"},"QueryParameters":"a=%zz&b"}`)
	f.Fuzz(func(t *testing.T, s string) {
		args, err := value.ParseString(s)
		if err != nil || httpUnusable(args) != "" {
			return
		}
		u, err := Endpoint(args.Get("ApiEndpoint").Str())
		if err != nil {
			t.Fatalf("usable, but %v", err)
		}
		c := &Connection{Query: map[string]string{"q": "1"}, Headers: map[string]string{"X-C": "c"}}
		r, err := c.request(t.Context(), &flow.Task{Region: "r", Invoke: task("http", "invoke", s).Invoke}, u, args.Get("Method").Str())
		if err != nil {
			if _, ok := errors.AsType[*flow.TaskError](err); !ok {
				t.Fatalf("not a task's failure: %v", err)
			}
			return
		}
		if r.URL.Host != u.Host || r.URL.EscapedPath() != u.EscapedPath() || r.Header.Get("X-C") != "c" || r.Host != u.Host {
			t.Errorf("%s became %s for %s", s, r.URL, r.Host)
		}
	})
}
