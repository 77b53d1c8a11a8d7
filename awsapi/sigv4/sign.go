package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Credentials are what a caller signs with.
type Credentials struct{ AccessKeyID, Secret, SessionToken string }

// unsignable headers change on the way, or carry the signature.
var unsignable = []string{"authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"}

// Sign returns the headers to add to r so that Verify with the same Options
// holds: X-Amz-Date, X-Amz-Security-Token if there is one, Authorization. All
// headers of r are signed but those that change on the way. r must have a Host
// and none of the headers that Sign returns; the Region is opt.Region, the time
// opt.Now.
func Sign(r Request, opt Options, c Credentials) ([][2]string, error) {
	if err := signable(&r, opt); err != nil {
		return nil, err
	}
	a := &auth{date: opt.Now.UTC().Format(timeFormat), token: c.SessionToken}
	add := [][2]string{{"X-Amz-Date", a.date}}
	if c.SessionToken != "" {
		add = append(add, [2]string{"X-Amz-Security-Token", c.SessionToken})
	}
	r.Headers = append(slices.Clip(r.Headers), add...)
	for _, h := range r.Headers {
		if name := strings.ToLower(h[0]); !slices.Contains(unsignable, name) {
			a.signed = append(a.signed, name)
		}
	}
	slices.Sort(a.signed)
	a.signed = slices.Compact(a.signed)
	path, raw, _ := strings.Cut(r.Target, "?")
	query, f := parseQuery(raw)
	if f != nil {
		return nil, f
	}
	scope := Scope{a.date[:8], opt.Region, opt.Service}
	signature, err := a.sign(&r, path, query, opt, scope, c.Secret)
	if err != nil {
		return nil, err
	}
	return append(add, [2]string{"Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		Algorithm, c.AccessKeyID, scope, strings.Join(a.signed, ";"), signature)}), nil
}

// Presign returns the target of r with a signature in its query that lasts for
// the given time, at most MaxExpires seconds. The headers of r are signed.
func Presign(r Request, opt Options, c Credentials, lasts time.Duration) (target string, err error) {
	if err := signable(&r, opt); err != nil {
		return "", err
	}
	seconds := int(lasts / time.Second)
	if seconds < 1 || seconds > MaxExpires {
		return "", fmt.Errorf("presign: a signature cannot last %v", lasts)
	}
	a := &auth{query: true, date: opt.Now.UTC().Format(timeFormat), token: c.SessionToken}
	for _, h := range r.Headers {
		if name := strings.ToLower(h[0]); !slices.Contains(unsignable, name) {
			a.signed = append(a.signed, name)
		}
	}
	slices.Sort(a.signed)
	a.signed = slices.Compact(a.signed)
	path, raw, _ := strings.Cut(r.Target, "?")
	query, f := parseQuery(raw)
	if f != nil {
		return "", f
	}
	scope := Scope{a.date[:8], opt.Region, opt.Service}
	extra := []param{
		{"X-Amz-Algorithm", Algorithm}, {"X-Amz-Credential", c.AccessKeyID + "/" + scope.String()}, {"X-Amz-Date", a.date},
		{"X-Amz-Expires", strconv.Itoa(seconds)}, {"X-Amz-SignedHeaders", strings.Join(a.signed, ";")},
	}
	if c.SessionToken != "" {
		extra = append(extra, param{"X-Amz-Security-Token", c.SessionToken})
	}
	signature, err := a.sign(&r, path, append(query, extra...), opt, scope, c.Secret)
	if err != nil {
		return "", err
	}
	b := []byte(r.Target)
	sep := byte('?')
	if raw != "" {
		sep = '&'
	} else {
		b = []byte(path)
	}
	for _, p := range append(extra, param{"X-Amz-Signature", signature}) {
		b = append(b, sep)
		b = append(b, p.name...)
		b = append(b, '=')
		b = appendEncoded(b, p.value, false)
		sep = '&'
	}
	return string(b), nil
}

func signable(r *Request, opt Options) error {
	if _, n := find(r.Headers, "host"); n != 1 {
		return fmt.Errorf("sign: the request needs one Host header, it has %d", n)
	}
	for _, name := range [...]string{"authorization", "x-amz-date", "x-amz-security-token"} {
		if _, n := find(r.Headers, name); n > 0 {
			return fmt.Errorf("sign: the request has a header %s already", name)
		}
	}
	if opt.Region == "" || opt.Service == "" {
		return fmt.Errorf("sign: a Region and a service are needed, not %q and %q", opt.Region, opt.Service)
	}
	return nil
}

func (a *auth) sign(r *Request, path string, query []param, opt Options, scope Scope, secret string) (string, error) {
	hash, f := payloadHash(r, a.query, opt)
	if f != nil {
		return "", f
	}
	canonical, f := a.canonical(r, path, query, hash, opt)
	if f != nil {
		return "", f
	}
	sum := opt.Keys.sign(secret, scope, stringToSign(a.date, scope, canonical))
	return hex.EncodeToString(sum[:]), nil
}

// maxKeys is how many signing keys a KeyCache holds before it starts anew.
const maxKeys = 4096

// KeyCache remembers signing keys by secret, date and scope; deriving one takes
// four HMACs of the five that a signature needs. It may be shared. The zero
// KeyCache is ready; a nil one remembers nothing.
type KeyCache struct {
	mu sync.RWMutex
	m  map[keyID][sha256.Size]byte // guarded by mu
}

type keyID struct {
	secret string
	scope  Scope
}

func (k *KeyCache) sign(secret string, s Scope, data []byte) (sum [sha256.Size]byte) {
	key := k.key(secret, s)
	h := hmac.New(sha256.New, key[:])
	h.Write(data)
	h.Sum(sum[:0])
	return sum
}

func (k *KeyCache) key(secret string, s Scope) (key [sha256.Size]byte) {
	if k == nil {
		return derive(secret, s)
	}
	id := keyID{secret, s}
	k.mu.RLock()
	key, ok := k.m[id]
	k.mu.RUnlock()
	if ok {
		return key
	}
	key = derive(secret, s)
	// The strings of the scope are cut from the request, which would stay alive.
	id.scope = Scope{strings.Clone(s.Date), strings.Clone(s.Region), strings.Clone(s.Service)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m == nil || len(k.m) >= maxKeys {
		k.m = make(map[keyID][sha256.Size]byte)
	}
	k.m[id] = key
	return key
}

func derive(secret string, s Scope) (key [sha256.Size]byte) {
	k := hmac256([]byte("AWS4"+secret), s.Date)
	k = hmac256(k, s.Region)
	k = hmac256(k, s.Service)
	copy(key[:], hmac256(k, terminator))
	return key
}
