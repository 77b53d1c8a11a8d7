package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tokaido/gate"
	"tokaido/principal"
	"tokaido/store/memory"
	"tokaido/trail"
)

const account = "111122223333"

type recorder struct{ records []trail.Record }

func (r *recorder) Append(_ context.Context, rec *trail.Record) error {
	r.records = append(r.records, *rec)
	return nil
}

type fixture struct {
	t   *testing.T
	c   *Console
	dir *principal.Directory
	log *recorder
	now time.Time
}

func packed(text string) *fstest.MapFile {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return &fstest.MapFile{Data: b.Bytes()}
}

const script = "console.log('いらっしゃいませ')"

func app() fstest.MapFS {
	return fstest.MapFS{
		"index.html":       {Data: []byte(`<!doctype html><meta name="settings" content="__CONSOLE_SETTINGS__"><style nonce="__CSP_NONCE__"></style><script type="module" src="/console/assets/a.js"></script>`)},
		"assets/a.js.gz":   packed(script),
		"assets/p.png":     {Data: []byte("PNG")},
		"assets/bad.js.gz": {Data: []byte("no gzip")},
	}
}

func open(t *testing.T, dev bool, files fstest.MapFS) *fixture {
	t.Helper()
	f := &fixture{t: t, log: &recorder{}, now: time.Now()}
	var err error
	if f.dir, err = principal.Open(t.Context(), memory.New().Principals(), principal.Options{Account: account}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := f.dir.Bootstrap(t.Context(), func(string, string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Directory: f.dir, Gate: gate.New(f.log, nil), Version: `v1 "<`, Now: func() time.Time { return f.now }}
	if dev {
		cfg.Dev = root
	}
	if f.c, err = newConsole(cfg, files); err != nil {
		t.Fatal(err)
	}
	return f
}

const root = "arn:aws:iam::" + account + ":root"

func (f *fixture) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.c.ServeHTTP(w, r)
	return w
}

func (f *fixture) get(target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return f.do(r)
}

// enter asks to be signed in as the console's own page does.
func enter(body string, headers ...string) *http.Request {
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/console/signin", strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

var nonce = regexp.MustCompile(`'nonce-([^']+)'`)

func TestPages(t *testing.T) {
	f := open(t, false, app())
	var seen []string
	for _, target := range []string{"/console/", "/console/executions/arn%3Aaws%3Astates", "/console/state-machines/a.b"} {
		w := f.get(target)
		csp := w.Header().Get("Content-Security-Policy")
		m := nonce.FindStringSubmatch(csp)
		if w.Code != 200 || m == nil || !strings.Contains(w.Body.String(), `nonce="`+m[1]+`"`) || strings.Contains(w.Body.String(), "__") {
			t.Fatalf("%s: %d %q\n%s", target, w.Code, csp, w.Body)
		}
		seen = append(seen, m[1])
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("policy: %s", csp)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
		if !strings.Contains(w.Body.String(), `content="{&quot;dev&quot;:false,&quot;version&quot;:&quot;v1 \&quot;\u003c&quot;}"`) {
			t.Errorf("settings: %s", w.Body)
		}
	}
	if seen[0] == seen[1] || seen[1] == seen[2] {
		t.Errorf("a nonce came twice: %v", seen)
	}
	if w := f.get("/console"); w.Code != http.StatusPermanentRedirect || w.Header().Get("Location") != "/console/" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := f.do(httptest.NewRequest("DELETE", "/console/", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", w.Code)
	}
}

func TestAssets(t *testing.T) {
	f := open(t, false, app())
	w := f.get("/console/assets/a.js", "Accept-Encoding", "br, gzip;q=0.5")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%v", w.Header())
	}
	for _, accept := range []string{"", "br", "gzip;q=0"} {
		w = f.get("/console/assets/a.js", "Accept-Encoding", accept)
		if w.Body.String() != script || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%q: %v %q", accept, w.Header(), w.Body)
		}
	}
	if w := f.get("/console/assets/p.png"); w.Body.String() != "PNG" || w.Header().Get("Content-Type") != "image/png" {
		t.Errorf("%v", w.Header())
	}
	for _, name := range []string{"assets/none.js", "assets/x", "assets/a.js.gz", "assets/bad.js"} {
		w := f.get("/console/" + name)
		if w.Code != 404 || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

func TestNotBuilt(t *testing.T) {
	f := open(t, false, fstest.MapFS{})
	w := f.get("/console/")
	if w.Code != 404 || f.c.Built() || !strings.Contains(w.Body.String(), "make build") || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What is embedded in this very binary is served, or said to be missing.
func TestEmbedded(t *testing.T) {
	f := open(t, false, nil)
	c, err := New(f.c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.c = c
	w := f.get("/console/")
	if want := map[bool]int{true: 200, false: 404}[c.Built()]; w.Code != want {
		t.Fatalf("%d, want %d", w.Code, want)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(/console/assets/[^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		if a := f.get(m[1]); a.Code != 200 || a.Body.Len() == 0 {
			t.Errorf("%s: %d", m[1], a.Code)
		}
	}
}

func TestMine(t *testing.T) {
	for p, want := range map[string]bool{"/console": true, "/console/": true, "/console/x": true, "/consolex": false, "/": false, "/model/console/converse": false} {
		if Mine(p) != want {
			t.Errorf("%s", p)
		}
	}
}

func TestLink(t *testing.T) {
	f := open(t, false, app())
	link := func() string {
		l, err := f.c.Link(root)
		if err != nil {
			t.Fatal(err)
		}
		_, token, ok := strings.Cut(l, "/console/#signin=")
		if !ok {
			t.Fatal(l)
		}
		return token
	}
	body := func(token string) string { return `{"token":"` + token + `"}` }

	token := link()
	w := f.do(enter(body(token)))
	var got session
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Set-Cookie") != "" {
		t.Fatalf("%d %s %v", w.Code, w.Body, err)
	}
	cred, err := f.dir.Credential(t.Context(), got.AccessKeyID, got.SessionToken, f.now)
	if err != nil || string(cred.Secret) != got.Secret || cred.Principal.ARN != root || got.ARN != root || got.Account != account || got.Expiration.Sub(f.now) > sessionLife {
		t.Errorf("%v %+v", err, cred)
	}
	rec := f.log.records[0]
	if len(f.log.records) != 1 || rec.Name != "ConsoleLogin" || rec.Source != "signin.amazonaws.com" || rec.Response.Get("ConsoleLogin").Str() != "Success" || rec.SourceIP != "127.0.0.1" || rec.Identity.Type != "Root" {
		t.Errorf("%+v", f.log.records)
	}
	if j := rec.Response.JSON() + rec.Additional.JSON(); strings.Contains(j, got.Secret) || strings.Contains(j, token) {
		t.Errorf("recorded a secret: %s", j)
	}

	if w := f.do(enter(body(token))); w.Code != 403 {
		t.Errorf("used twice: %d", w.Code)
	}
	if w := f.do(enter(body("AAAA"))); w.Code != 403 {
		t.Errorf("made up: %d", w.Code)
	}
	token = link()
	f.now = f.now.Add(ticketLife)
	if w := f.do(enter(body(token))); w.Code != 403 {
		t.Errorf("too old: %d", w.Code)
	}
	token = link()
	for _, r := range []*http.Request{
		enter(body(token), "Sec-Fetch-Site", "cross-site"), enter(body(token), "Sec-Fetch-Site", "same-site"), enter(body(token), "Content-Type", "text/plain"),
		enter(`{"token":"` + token + `","dev":true}`), enter(`{}`), enter(`{"tokens":1}`), enter(`{`), enter(body(token) + body(token)), enter(`{"token":"` + strings.Repeat("x", maxSignIn) + `"}`),
	} {
		if w := f.do(r); w.Code < 400 || w.Code >= 500 || !strings.Contains(w.Body.String(), `"message"`) {
			t.Errorf("%v: %d %s", r.Header, w.Code, w.Body)
		}
	}
	if w := f.get("/console/signin"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	if w := f.do(enter(body(token))); w.Code != 200 {
		t.Errorf("what was refused before used the token up: %d %s", w.Code, w.Body)
	}

	for range maxTickets {
		link()
	}
	if _, err := f.c.Link(root); err == nil {
		t.Error("more tokens wait than may")
	}
	f.now = f.now.Add(ticketLife)
	link()
}

func TestDev(t *testing.T) {
	const body = `{"dev":true}`
	f := open(t, true, app())
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"own-page":       {func(*http.Request) {}, 200},
		"localhost":      {func(r *http.Request) { r.Host = "localhost:4566" }, 200},
		"ipv6":           {func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:4566", "[::1]:9" }, 200},
		"rebinding":      {func(r *http.Request) { r.Host = "evil.example:4566" }, 403},
		"other-loopback": {func(r *http.Request) { r.Host = "127.0.0.2" }, 403},
		"remote":         {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, 403},
		"no-browser":     {func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, 403},
		"cross-site":     {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"typed":          {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := enter(body)
			c.change(r)
			if w := f.do(r); w.Code != c.status {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	if rec := f.log.records[0]; rec.Additional.Get("Development").Str() != "Yes" {
		t.Errorf("%s", rec.Additional)
	}
	if w := open(t, false, app()).do(enter(body)); w.Code != 403 {
		t.Errorf("no development: %d", w.Code)
	}
}

func TestFederation(t *testing.T) {
	f := open(t, false, app())
	by, err := f.dir.Principal(root)
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.dir.SessionToken(t.Context(), by, 0, f.now)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(form url.Values) *httptest.ResponseRecorder {
		return f.get("/console/federation?" + form.Encode())
	}
	session := func(id, key, token string) string {
		b, _ := json.Marshal(map[string]string{"sessionId": id, "sessionKey": key, "sessionToken": token})
		return string(b)
	}
	good := session(s.AccessKeyID, string(s.Secret), string(s.Token))
	w := ask(url.Values{"Action": {"getSigninToken"}, "SessionType": {"json"}, "Session": {good}})
	var got struct{ SigninToken string }
	if json.Unmarshal(w.Body.Bytes(), &got) != nil || w.Code != 200 || got.SigninToken == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, bad := range []url.Values{
		{"Action": {"getSigninToken"}, "Session": {session(s.AccessKeyID, "wrong", string(s.Token))}},
		{"Action": {"getSigninToken"}, "Session": {session(s.AccessKeyID, string(s.Secret), "wrong")}},
		{"Action": {"getSigninToken"}, "Session": {session("AKIAX", "x", "x")}},
		{"Action": {"getSigninToken"}, "Session": {"{}"}},
		{"Action": {"getSigninToken"}, "Session": {good}, "SessionDuration": {"1800"}},
		{"Action": {"getSigninToken"}, "Session": {good}, "SessionType": {"xml"}},
		{"Action": {"logout"}}, {},
		{"Action": {"login"}}, {"Action": {"login"}, "SigninToken": {"a&b"}},
		{"Action": {"login"}, "SigninToken": {"a"}, "Issuer": {"javascript:alert(1)"}},
	} {
		if w := ask(bad); w.Code != 400 {
			t.Errorf("%v: %d %s", bad, w.Code, w.Body)
		}
	}
	for destination, want := range map[string]string{
		"":                                 "/console/#signin=",
		"/console/executions/a%3Ab?tab=x":  "/console/executions/a:b?tab=x#signin=",
		"http://example.com/console/":      "/console/#signin=", // httptest's host
		"https://evil.example/console/":    "",
		"//evil.example/console/":          "",
		"/console/../x":                    "",
		"/console/..//evil.example":        "",
		"javascript:alert(1)//console/":    "",
		"http://u@example.com/console/":    "",
		`/\evil.example/console/`:          "",
		"https:///console/":                "",
		"/model/a/converse":                "",
		"/console/x/../../console/y?a=b#c": "/console/y?a=b#signin=",
	} {
		w := ask(url.Values{"Action": {"login"}, "Destination": {destination}, "SigninToken": {got.SigninToken}})
		if location := w.Header().Get("Location"); want == "" && w.Code != 400 || want != "" && (w.Code != 302 || location != want+got.SigninToken) {
			t.Errorf("%q: %d %q, want %q", destination, w.Code, location, want)
		}
	}
	w = ask(url.Values{"Action": {"login"}, "Issuer": {"https://a.example/?x=1&y"}, "SigninToken": {got.SigninToken}})
	if !strings.HasSuffix(w.Header().Get("Location"), "&issuer=https%3A%2F%2Fa.example%2F%3Fx%3D1%26y") {
		t.Errorf("%v", w.Header())
	}
	w = f.do(enter(`{"token":"` + got.SigninToken + `"}`))
	if w.Code != 200 || !strings.Contains(w.Body.String(), s.AccessKeyID) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := f.do(httptest.NewRequest("PUT", "/console/federation", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", w.Code)
	}
}

// FuzzLoginTarget holds login to pages of the console, whatever is asked.
func FuzzLoginTarget(f *testing.F) {
	for _, s := range []string{"", "/console/", "//x/console/", `/\x`, "http://example.com/console/a?b", "/console/%2e%2e/x", "javascript:x"} {
		f.Add(s, "abc", "https://a.example")
	}
	f.Fuzz(func(t *testing.T, destination, token, issuer string) {
		r := httptest.NewRequest("GET", "/console/federation", nil)
		r.Form = url.Values{"Action": {"login"}, "Destination": {destination}, "SigninToken": {token}, "Issuer": {issuer}}
		to, err := loginTarget(r)
		if err != nil {
			return
		}
		u, err := url.Parse(to)
		if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(to, Prefix) || strings.ContainsAny(to, "\r\n") {
			t.Fatalf("%q leads to %q (%v)", destination, to, err)
		}
	})
}
