package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"tokaido/fault"
	"tokaido/gate"
	"tokaido/principal"
	"tokaido/value"
)

// Directory is who is asked for credentials.
type Directory interface {
	Principal(arn string) (*principal.Principal, error)
	SessionToken(ctx context.Context, by *principal.Principal, life time.Duration, now time.Time) (principal.Assumed, error)
	Credential(ctx context.Context, accessKeyID, sessionToken string, now time.Time) (principal.Credential, error)
}

// Limits of signing in.
const (
	ticketLife  = 15 * time.Minute // of a one-time link, and of a sign-in token at AWS
	maxTickets  = 1000             // that wait to be used
	sessionLife = time.Hour        // of what a link or a development server gives
	maxSignIn   = 64 << 10         // bytes of a request: a session token has at most 16 KiB
	maxIssuer   = 2048
)

// region is where a sign-in is recorded: AWS does so in us-east-1 too.
const region = "us-east-1"

// tickets are the one-time tokens that were given out. Only their hashes are
// kept. The zero value is ready.
type tickets struct {
	mu   sync.Mutex
	wait map[[sha256.Size]byte]ticket // guarded by mu
}

// ticket says what a token gives.
type ticket struct {
	arn     string       // a session of this principal is made when it is used
	given   *credentials // or these are handed on
	expires time.Time
}

// credentials are what the page gets.
type credentials struct {
	AccessKeyID  string    `json:"accessKeyId"`
	Secret       string    `json:"secretAccessKey"`
	SessionToken string    `json:"sessionToken"`
	Expiration   time.Time `json:"expiration"`
}

// session is who signed in, and with what: what GetCallerIdentity would tell
// the page, without the call.
type session struct {
	credentials
	ARN     string `json:"arn"`
	Account string `json:"account"`
}

var errTooMany = errors.New("too many sign-in tokens wait to be used")

func (t *tickets) add(k ticket, now time.Time) (string, error) {
	b := make([]byte, 32)
	rand.Read(b)
	token := base64.RawURLEncoding.EncodeToString(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.wait) >= maxTickets {
		for id, w := range t.wait {
			if !now.Before(w.expires) {
				delete(t.wait, id)
			}
		}
	}
	if len(t.wait) >= maxTickets {
		return "", errTooMany
	}
	if t.wait == nil {
		t.wait = make(map[[sha256.Size]byte]ticket)
	}
	t.wait[sha256.Sum256([]byte(token))] = k
	return token, nil
}

// take returns what token gives, once. Tokens are found by their hash, so time
// tells nothing about them.
func (t *tickets) take(token string, now time.Time) (ticket, bool) {
	id := sha256.Sum256([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.wait[id]
	delete(t.wait, id)
	return k, ok && now.Before(k.expires)
}

// Link makes a path that signs in, once and within a quarter of an hour, as the
// user with an ARN.
func (c *Console) Link(arn string) (string, error) {
	now := c.cfg.Now()
	token, err := c.tickets.add(ticket{arn: arn, expires: now.Add(ticketLife)}, now)
	return Prefix + "#signin=" + token, err
}

// refused is a sign-in that the caller may be told about.
type refused struct {
	status int
	text   string
}

func (r *refused) Error() string { return r.text }

// signIn exchanges a one-time token, or being at a development server's machine,
// for temporary credentials.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "signing in is a POST", http.StatusMethodNotAllowed)
		return
	}
	got, err := c.enter(w, r)
	c.answer(w, r, got, err)
}

func (c *Console) enter(w http.ResponseWriter, r *http.Request) (*session, error) {
	// A page of another origin can send neither this type nor our origin, and so
	// signs nobody in to somebody else's session.
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return nil, &refused{http.StatusForbidden, "a page of another origin asked"}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &refused{http.StatusUnsupportedMediaType, "Content-Type must be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSignIn))
	if err != nil {
		return nil, &refused{http.StatusRequestEntityTooLarge, "the request is too large"}
	}
	var in struct {
		Token string `json:"token"`
		Dev   bool   `json:"dev"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if dec.Decode(&in) != nil || dec.More() || (in.Token != "") == in.Dev {
		return nil, &refused{http.StatusBadRequest, `want {"token": "…"} or {"dev": true}`}
	}
	now := c.cfg.Now()
	k := ticket{arn: c.cfg.Dev}
	if in.Dev {
		if err := c.mayDev(r); err != nil {
			return nil, err
		}
	} else {
		var ok bool
		if k, ok = c.tickets.take(in.Token, now); !ok {
			return nil, &refused{http.StatusForbidden, "this sign-in link was used already, is too old, or is from before the server's last start"}
		}
	}
	return c.admit(r, k, in.Dev, now)
}

// mayDev refuses development's sign-in to all but a page of this console in a
// browser on this machine that was opened under the machine's own name: a name
// of somebody else's that resolves to 127.0.0.1 (DNS rebinding) is not one.
func (c *Console) mayDev(r *http.Request) error {
	switch host := hostname(r.Host); {
	case c.cfg.Dev == "":
		return &refused{http.StatusForbidden, "this is no development server: sign in with a link or an access key"}
	case !loopback(sourceIP(r)):
		return &refused{http.StatusForbidden, "development's sign-in is for browsers on the server's machine"}
	case host != "localhost" && host != "127.0.0.1" && host != "::1":
		return &refused{http.StatusForbidden, "development's sign-in is for http://127.0.0.1 and http://localhost"}
	case r.Header.Get("Sec-Fetch-Site") != "same-origin":
		return &refused{http.StatusForbidden, "development's sign-in is for the console's own page"}
	}
	return nil
}

// admit records the sign-in and hands out its credentials.
func (c *Console) admit(r *http.Request, k ticket, dev bool, now time.Time) (*session, error) {
	var by *principal.Principal
	var err error
	if k.given != nil {
		var cred principal.Credential
		cred, err = c.cfg.Directory.Credential(r.Context(), k.given.AccessKeyID, k.given.SessionToken, now)
		by = cred.Principal
	} else {
		by, err = c.cfg.Directory.Principal(k.arn)
	}
	if err != nil {
		return nil, err
	}
	note := []value.Member{
		{Key: "LoginTo", Value: value.String(Prefix)},
		{Key: "MobileVersion", Value: value.String("No")},
		{Key: "MFAUsed", Value: value.String("No")},
	}
	if dev {
		note = append(note, value.Member{Key: "Development", Value: value.String("Yes")})
	}
	return gate.Do(r.Context(), c.cfg.Gate, gate.Call{
		By: by, Source: "signin.amazonaws.com", Name: "ConsoleLogin", Region: region, Meta: meta(r),
	}, func(ctx context.Context, act *gate.Act) (*session, error) {
		act.Note(note...)
		out := k.given
		if out == nil {
			s, err := c.cfg.Directory.SessionToken(ctx, by, sessionLife, now)
			if err != nil {
				return nil, err
			}
			out = &credentials{s.AccessKeyID, string(s.Secret), string(s.Token), s.Expires}
		}
		act.Respond(value.Object(value.Member{Key: "ConsoleLogin", Value: value.String("Success")}))
		return &session{*out, by.ARN, by.Account}, nil
	})
}

// federation speaks AWS's protocol for custom identity brokers: getSigninToken
// takes temporary credentials and gives a one-time token, login takes the token
// to the console.
func (c *Console) federation(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "federation is asked with GET or POST", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxSignIn)
	if err := r.ParseForm(); err != nil || len(r.URL.RawQuery) > maxSignIn {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	switch action := r.Form.Get("Action"); action {
	case "getSigninToken":
		token, err := c.signinToken(r)
		c.answer(w, r, map[string]string{"SigninToken": token}, err)
	case "login":
		to, err := loginTarget(r)
		if err != nil {
			c.answer(w, r, nil, err)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	default:
		c.answer(w, r, nil, &refused{http.StatusBadRequest, fmt.Sprintf("Action is %.64q, want getSigninToken or login", action)})
	}
}

// only refuses parameters that are not acted on.
func only(form url.Values, names ...string) error {
next:
	for got, vs := range form {
		for _, name := range names {
			if got == name && len(vs) == 1 {
				continue next
			}
		}
		return &refused{http.StatusBadRequest, fmt.Sprintf("the parameter %.64q is not supported, or given twice", got)}
	}
	return nil
}

func (c *Console) signinToken(r *http.Request) (string, error) {
	if err := only(r.Form, "Action", "Session", "SessionType"); err != nil {
		return "", err
	}
	if t := r.Form.Get("SessionType"); t != "" && t != "json" {
		return "", &refused{http.StatusBadRequest, fmt.Sprintf("SessionType is %.64q, want json", t)}
	}
	var in struct {
		ID    string `json:"sessionId"`
		Key   string `json:"sessionKey"`
		Token string `json:"sessionToken"`
	}
	if json.Unmarshal([]byte(r.Form.Get("Session")), &in) != nil || in.ID == "" || in.Key == "" || in.Token == "" {
		return "", &refused{http.StatusBadRequest, "Session must be an object with sessionId, sessionKey and sessionToken: temporary credentials"}
	}
	now := c.cfg.Now()
	cred, err := c.cfg.Directory.Credential(r.Context(), in.ID, in.Token, now)
	if _, ok := errors.AsType[*fault.Error](err); ok || err == nil && subtle.ConstantTimeCompare([]byte(cred.Secret), []byte(in.Key)) != 1 {
		return "", &refused{http.StatusBadRequest, "the credentials in Session are not valid, or expired"}
	}
	if err != nil {
		return "", err
	}
	given := &credentials{in.ID, in.Key, in.Token, cred.Expires}
	return c.tickets.add(ticket{given: given, expires: now.Add(ticketLife)}, now)
}

// loginTarget is where login goes to: a page of the console, never elsewhere.
// The token is in the fragment, which browsers send to nobody.
func loginTarget(r *http.Request) (string, error) {
	if err := only(r.Form, "Action", "Issuer", "Destination", "SigninToken"); err != nil {
		return "", err
	}
	token := r.Form.Get("SigninToken")
	if token == "" || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return "", &refused{http.StatusBadRequest, "SigninToken is missing, or not one of getSigninToken"}
	}
	to := &url.URL{Path: Prefix}
	if d := r.Form.Get("Destination"); d != "" {
		u, err := url.Parse(d)
		if err != nil || u.User != nil || u.Opaque != "" || u.Host != "" && u.Host != r.Host || u.Host == "" && u.Scheme != "" || !Mine(path.Clean(u.Path)) {
			return "", &refused{http.StatusBadRequest, "Destination must be a page of this console"}
		}
		to = &url.URL{Path: path.Clean(u.Path), RawQuery: u.RawQuery}
		if !strings.HasPrefix(to.Path, Prefix) {
			to.Path = Prefix
		}
	}
	fragment := "signin=" + token
	if i := r.Form.Get("Issuer"); i != "" {
		u, err := url.Parse(i)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(i) > maxIssuer {
			return "", &refused{http.StatusBadRequest, "Issuer must be the URL of the page that signs in"}
		}
		fragment += "&issuer=" + url.QueryEscape(i)
	}
	return to.String() + "#" + fragment, nil
}

// answer writes what came of signing in.
func (c *Console) answer(w http.ResponseWriter, r *http.Request, body any, err error) {
	status := http.StatusOK
	if err != nil {
		status, body = http.StatusInternalServerError, map[string]string{"message": "internal error"}
		if no, ok := errors.AsType[*refused](err); ok {
			status, body = no.status, map[string]string{"message": no.text}
		} else if f, ok := errors.AsType[*fault.Error](err); ok {
			status, body = http.StatusForbidden, map[string]string{"message": f.Message}
		} else if errors.Is(err, errTooMany) {
			status, body = http.StatusServiceUnavailable, map[string]string{"message": errTooMany.Error()}
		} else {
			c.cfg.Logger.ErrorContext(r.Context(), "console sign-in", "path", r.URL.Path, "err", err)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) //nolint:errcheck // the client is gone
}

func meta(r *http.Request) gate.Meta {
	return gate.Meta{RequestID: uuid.NewString(), SourceIP: sourceIP(r), UserAgent: r.UserAgent(), Host: r.Host, TLS: r.TLS != nil}
}

func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func loopback(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.IsLoopback()
}

// hostname is a Host header without its port.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}
