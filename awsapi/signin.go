package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/fault"
	"tokaido/principal"
)

// signIn learns who is calling, and for which Region.
func (c *call) signIn(ctx context.Context, body []byte) (by *principal.Principal, region, bearer string, err error) {
	r := sigv4.Request{Method: c.r.Method, Target: c.target, Headers: c.headers, Body: body}
	if c.s.fails.full(c.claim.AccessKeyID, c.meta.SourceIP, c.now) {
		c.s.stats.rejected.Add(1)
		c.s.stats.untold.Add(1)
		return nil, "", "", c.tooOften()
	}
	if token, ok := c.apiKey(); ok {
		key, err := c.bearer(ctx, token)
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return nil, "", "", c.rejected(ctx, f, "", "")
		}
		return key.Principal, cmp.Or(key.Region, c.hostRegion(), c.s.cfg.DefaultRegion), key.Kind, err
	}
	var cred principal.Credential
	s3 := c.protocol == S3
	id, err := sigv4.Verify(r, sigv4.Options{
		// A global service's clients sign for us-east-1 at AWS, but for their own
		// Region where an endpoint is configured; all of these are taken.
		Service: c.op.Service, ValidRegion: c.s.cfg.ValidRegion,
		Now: c.now, Skew: c.s.cfg.Skew, MustSign: mustSign, Keys: &c.s.keys,
		KeepPath: s3, EncodeOnce: s3, Unsigned: s3,
	}, func(key, token string) (string, error) {
		var err error
		cred, err = c.s.cfg.Directory.Credential(ctx, key, token, c.now)
		switch fault.Code(err) {
		case "UnrecognizedClientException", "InvalidClientTokenId":
			return "", sigv4.ErrInvalidToken
		case "ExpiredTokenException", "ExpiredToken":
			return "", sigv4.ErrTokenExpired
		}
		return cred.Secret, err
	})
	if err == nil {
		return cred.Principal, cmp.Or(c.op.Region, id.Scope.Region), "", nil
	}
	if bad, ok := errors.AsType[*sigv4.Failure](err); ok {
		code, status := bad.On(signProtocol(c.protocol))
		return nil, "", "", c.rejected(ctx, &fault.Error{Kind: fault.Client, Code: code, Status: status, Message: bad.Message}, c.claim.AccessKeyID, c.claim.Scope.Region)
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return nil, "", "", c.rejected(ctx, f, c.claim.AccessKeyID, c.claim.Scope.Region)
	}
	return nil, "", "", fmt.Errorf("credential of %s: %w", c.claim.AccessKeyID, err)
}

// mustSign are headers that change what a request means.
var mustSign = []string{"x-amz-target"}

func (c *call) rejected(ctx context.Context, f *fault.Error, key, region string) error {
	c.stranger = true
	c.s.stats.rejected.Add(1)
	if !c.s.fails.add(key, c.meta.SourceIP, c.now) {
		c.s.stats.untold.Add(1)
		return f
	}
	if on := c.s.cfg.OnRejected; on != nil {
		on(ctx, Rejected{Op: c.op, AccessKeyID: key, Region: region, Meta: c.meta, Time: c.now, Fault: f})
	}
	return f
}

// tooOften is the answer to who failed to sign in again and again.
func (c *call) tooOften() *fault.Error {
	f := &fault.Error{Kind: fault.Throttle, Code: "ThrottlingException", Message: "Rate exceeded: too many requests with this access key and address could not be authenticated"}
	if c.protocol == Query {
		f.Code = "Throttling"
	}
	return f
}

func signProtocol(p Protocol) sigv4.Protocol {
	switch p {
	case RESTJSON:
		return sigv4.RESTJSON
	case Query, S3:
		return sigv4.QueryXML
	default:
		return sigv4.JSON
	}
}

// headersOf lists a request's headers as a signature may name them. net/http
// keeps some of them elsewhere.
func headersOf(r *http.Request) [][2]string {
	out := make([][2]string, 0, len(r.Header)+2)
	out = append(out, [2]string{"Host", r.Host})
	for name, vs := range r.Header {
		for _, v := range vs {
			out = append(out, [2]string{name, v})
		}
	}
	if r.ContentLength >= 0 && r.Header["Content-Length"] == nil {
		out = append(out, [2]string{"Content-Length", strconv.FormatInt(r.ContentLength, 10)})
	}
	if len(r.TransferEncoding) > 0 {
		out = append(out, [2]string{"Transfer-Encoding", strings.Join(r.TransferEncoding, ",")})
	}
	return out
}

// Failed sign-ins are slowed down, each key from each address by itself, so
// that nobody can lock out others.
const (
	failBurst   = 20          // failures in a row that are answered as usual
	failEvery   = time.Second // after which one more is
	tellBurst   = 100         // failures from one address that OnRejected is told of in a row
	tellEvery   = time.Second
	maxFailures = 10000 // buckets; when there are more, all are emptied
)

// failures counts failed sign-ins. The zero value is ready.
type failures struct {
	mu sync.Mutex
	m  map[[2]string]*bucket // guarded by mu; by access key and address
}

// bucket is a token bucket that is told the time.
type bucket struct {
	used float64
	at   time.Time
}

// drain lets go of what time has brought back.
func (b *bucket) drain(now time.Time, every time.Duration) {
	if d := now.Sub(b.at); d > 0 {
		b.used = max(0, b.used-d.Seconds()/every.Seconds())
		b.at = now
	}
}

// full reports whether key from address has failed too often.
func (f *failures) full(key, address string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.m[[2]string{key, address}]
	if b == nil || key == "" { // requests without a key are everybody's
		return false
	}
	b.drain(now, failEvery)
	return b.used > failBurst-1
}

// add counts a failure, and reports whether it is to be told.
func (f *failures) add(key, address string, now time.Time) (tell bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.m) >= maxFailures {
		f.m = nil
	}
	if f.m == nil {
		f.m = make(map[[2]string]*bucket)
	}
	get := func(key string, every time.Duration) *bucket {
		b := f.m[[2]string{key, address}]
		if b == nil {
			b = &bucket{at: now}
			f.m[[2]string{strings.Clone(key), address}] = b
		}
		b.drain(now, every)
		return b
	}
	get(key, failEvery).used++
	all := get("*", tellEvery) // no access key is called so
	if all.used > tellBurst-1 {
		return false
	}
	all.used++
	return true
}
