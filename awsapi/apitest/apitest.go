// Package apitest serves operation tables to their tests, and calls them as any
// client does: signed. Only tests import it.
package apitest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/sigv4"
	"tokaido/gate"
	"tokaido/principal"
	"tokaido/store/memory"
	"tokaido/trail"
)

// Account is the account of every server.
const Account = "111122223333"

// Records keeps what a gate records, in memory.
type Records struct {
	mu  sync.Mutex
	all []trail.Record // guarded by mu
}

// Append implements [gate.Log].
func (r *Records) Append(_ context.Context, rec *trail.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, *rec)
	return nil
}

// All are the records so far.
func (r *Records) All() []trail.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// Find returns the records of a request, as [trail.Log] does.
func (r *Records) Find(_ context.Context, requestID string) (found []*trail.Record, err error) {
	for _, rec := range r.All() {
		if rec.RequestID == requestID {
			found = append(found, &rec)
		}
	}
	return found, nil
}

// Lookup finds the records of an access key, the newest first, in one page.
func (r *Records) Lookup(_ context.Context, q trail.Query) (p trail.Page, err error) {
	if q.Attribute != trail.ByAccessKeyID {
		return p, errors.New("apitest: records are looked up by key only")
	}
	for _, rec := range slices.Backward(r.All()) {
		if rec.Identity.AccessKeyID == q.Value {
			p.Records = append(p.Records, &rec)
		}
	}
	return p, nil
}

// Last is the newest record; there must be one.
func (r *Records) Last() trail.Record {
	all := r.All()
	return all[len(all)-1]
}

// Server is a front door over a directory of its own.
type Server struct {
	URL  string
	Dir  *principal.Directory
	Log  *Records
	Root sigv4.Credentials
	t    testing.TB
}

// Serve serves operations until the test ends. The directory has its root user
// and nobody else.
func Serve(t testing.TB, control principal.ControlOptions, ops func(*principal.Directory, *gate.Gate, *Records) []awsapi.Op) *Server {
	t.Helper()
	dir, err := principal.Open(t.Context(), memory.New().Principals(), principal.Options{Account: Account, Control: control})
	if err != nil {
		t.Fatal(err)
	}
	id, secret, _, err := dir.Bootstrap(t.Context(), func(string, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	log := new(Records)
	g := gate.New(log, nil)
	door, err := awsapi.New(awsapi.Config{Directory: dir, Gate: g, Ops: ops(dir, g, log)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(door)
	t.Cleanup(srv.Close)
	return &Server{URL: srv.URL, Dir: dir, Log: log, Root: sigv4.Credentials{AccessKeyID: id, Secret: secret}, t: t}
}

// User makes a user with a policy, or with none, and a key for it.
func (s *Server) User(name, policy string) sigv4.Credentials {
	s.t.Helper()
	ctx := s.t.Context()
	if _, err := s.Dir.Create(ctx, principal.NewEntity{Kind: principal.KindUser, Name: name}); err != nil {
		s.t.Fatal(err)
	}
	if policy != "" {
		if err := s.Dir.PutInline(ctx, principal.KindUser, name, "p", policy); err != nil {
			s.t.Fatal(err)
		}
	}
	k, err := s.Dir.CreateKey(ctx, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return sigv4.Credentials{AccessKeyID: k.ID, Secret: string(k.Secret)}
}

// Form is the header of a Query operation's call.
var Form = [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}

// Call is a request to sign.
type Call struct {
	Method  string // POST where it is empty
	Target  string // "/" where it is empty
	Headers [][2]string
	Body    string
	Key     sigv4.Credentials
	Options sigv4.Options // Now is set
}

// Send signs a call, makes it and returns the status, the headers and the body.
func Send(t testing.TB, endpoint string, c Call) (int, http.Header, []byte) {
	t.Helper()
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	if c.Target == "" {
		c.Target = "/"
	}
	r, err := http.NewRequestWithContext(t.Context(), c.Method, endpoint, strings.NewReader(c.Body))
	if err != nil {
		t.Fatal(err)
	}
	if r.URL, err = url.Parse(endpoint + c.Target); err != nil {
		t.Fatal(err)
	}
	c.Options.Now = time.Now()
	add, err := sigv4.Sign(sigv4.Request{Method: c.Method, Target: c.Target, Headers: append([][2]string{{"Host", r.URL.Host}}, c.Headers...), Body: []byte(c.Body)}, c.Options, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range slices.Concat(c.Headers, add) {
		r.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, b
}
