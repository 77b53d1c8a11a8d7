// Package upstream is what backends behind HTTP share: connections that are kept
// and bounded, timeouts, reading of streams, and what a status means. It knows
// no provider and reads no body.
package upstream

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokaido/bedrock"
	"tokaido/fault"
)

// The numbers of a connection.
const (
	DefaultTimeout = 10 * time.Minute // models may think for long
	DefaultIdle    = 2 * time.Minute
	dialTimeout    = 5 * time.Second
	keepAlive      = 30 * time.Second
	idleConns      = 256
	idleTime       = 90 * time.Second

	MaxAnswer  = 64 << 20              // bytes of a whole answer
	atOnce     = 1 << 20               // bytes that are set aside because a server announces them
	maxRefusal = 64 << 10              // bytes of an error document that are read
	maxDrain   = 16 << 10              // bytes read from an answer nobody wants, to keep its connection
	drainTime  = 50 * time.Millisecond // for that, of a stream: its end follows at once, or it is not wanted
)

// Config is how somebody is reached.
type Config struct {
	Name    string        // in errors
	URL     string        // what paths are added to
	Header  http.Header   // of every request
	Timeout time.Duration // of a whole answer, and until a stream begins; 0: DefaultTimeout
	Idle    time.Duration // between two pieces of a stream; 0: DefaultIdle
	CAFile  string        // PEM; "": the system's

	// CertFile and KeyFile are what we show who asks for a certificate, PEM; "": we
	// have none. They are read again when they change.
	CertFile, KeyFile string
}

// Client reaches one server. It may be shared.
type Client struct {
	c    Config
	base *url.URL

	// No http.Client: a redirect is not followed, a key goes where it was meant to go.
	http   *http.Transport
	direct *direct // nil: there is no such way
	limits *limits
}

// New checks a Config. It connects to nobody.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("url: %q is not a URL that begins with http:// or https://", c.URL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("url: %q has more than a host and a path", u.Redacted())
	}
	c.Timeout, c.Idle = cmp.Or(c.Timeout, DefaultTimeout), cmp.Or(c.Idle, DefaultIdle)
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   dialTimeout,
		MaxIdleConns:          idleConns,
		MaxIdleConnsPerHost:   idleConns,
		IdleConnTimeout:       idleTime,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // answers are small, and streams must not wait
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("caFile: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("caFile: %s has no certificate", c.CAFile)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if c.CertFile != "" || c.KeyFile != "" {
		own := &certificate{certFile: c.CertFile, keyFile: c.KeyFile}
		if _, err := own.get(nil); err != nil {
			return nil, err
		}
		t.TLSClientConfig.GetClientCertificate = own.get
	}
	return &Client{c: c, base: u, http: t, direct: directTo(u, t, dialer), limits: newLimits(min(c.Timeout, c.Idle))}, nil
}

// certificate is one in files that may change, as who renews it does.
type certificate struct {
	certFile, keyFile string

	mu     sync.Mutex
	loaded *tls.Certificate // guarded by mu
	at     time.Time        // guarded by mu; when the file was written
}

// get implements tls.Config's GetClientCertificate. A file that was changed and
// cannot be read does not replace what was read before.
func (c *certificate) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.certFile)
	if err == nil && (c.loaded == nil || !info.ModTime().Equal(c.at)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.loaded, c.at = &pair, info.ModTime()
		}
	}
	if c.loaded == nil {
		return nil, fmt.Errorf("certFile: %w", err)
	}
	return c.loaded, nil
}

// URL is where the server is.
func (c *Client) URL() string { return c.base.Redacted() }

// Request is one request. Sign, if not nil, is called with it as it will be
// sent.
type Request struct {
	Method string // "": POST
	Path   string // escaped, with a slash at the beginning
	Header http.Header
	Body   []byte
	Sign   func(*http.Request) error
}

// Response is an answer whose status is 200. Body must be closed.
type Response struct {
	Header http.Header
	Body   io.ReadCloser
	length int64 // as the server says; -1: it does not
}

// Within says that the rest of a stream must go on within d, and not within Idle.
func (r *Response) Within(d time.Duration) {
	if b, ok := r.Body.(*body); ok && b.idle > 0 {
		b.idle = d
		b.limit.set(d)
	}
}

// Refusal is an answer with any other status.
type Refusal struct {
	Status int
	Header http.Header
	Body   []byte // the beginning of it
}

func (r *Refusal) Error() string {
	const most = 300
	return fmt.Sprintf("status %d: %.*s", r.Status, most, bytes.TrimSpace(r.Body))
}

var errSlow = errors.New("no answer in time")

// Do sends a request. Its error is a *Refusal, a fault where time ran out, or
// one of the connection. A stream must go on within Idle after its beginning;
// a whole answer must be complete within Timeout.
func (c *Client) Do(ctx context.Context, r Request, stream bool) (*Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	limit := c.limits.start(c.c.Timeout, cancel)
	end := func() {
		limit.stop()
		cancel(nil)
	}
	u := *c.base
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + r.Path
	var err error
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		end()
		return nil, fmt.Errorf("%s: path %q: %w", c.c.Name, r.Path, err)
	}
	req := (&http.Request{Method: cmp.Or(r.Method, http.MethodPost), URL: &u, Header: make(http.Header, 8)}).WithContext(ctx)
	if len(r.Body) > 0 {
		req.ContentLength = int64(len(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		req.Body, _ = req.GetBody()
	}
	maps.Copy(req.Header, c.c.Header)
	maps.Copy(req.Header, r.Header)
	req.Header.Set("User-Agent", "tokaido")
	// Some servers close a connection that they said they would keep, llama.cpp's
	// after each stream. A request that meets that, and not one byte of an answer,
	// goes out again on a new connection; this header, which is not sent, allows it.
	req.Header["Idempotency-Key"] = nil
	if r.Sign != nil {
		if err := r.Sign(req); err != nil {
			end()
			return nil, fmt.Errorf("%s: %w", c.c.Name, err)
		}
	}
	var way http.RoundTripper = c.http
	if c.direct != nil && len(r.Body) <= maxDirect {
		way = c.direct
	}
	resp, err := way.RoundTrip(req)
	if err != nil {
		err = c.explain(ctx, err)
		end()
		return nil, err
	}
	b := &body{c: c, ctx: ctx, in: resp.Body, limit: limit, end: end}
	if stream {
		b.idle = c.c.Idle
		limit.set(b.idle)
	}
	if resp.StatusCode != http.StatusOK {
		defer b.Close()
		doc, err := io.ReadAll(io.LimitReader(b, maxRefusal))
		if err != nil && len(doc) == 0 {
			doc = []byte(err.Error())
		}
		return nil, &Refusal{resp.StatusCode, resp.Header, doc}
	}
	return &Response{resp.Header, b, resp.ContentLength}, nil
}

// explain makes a fault of time that ran out here; other errors are those of a
// Region that failed.
func (c *Client) explain(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSlow) {
		f := bedrock.Fault("ModelTimeoutException", "The request took too long to process. Processing time exceeded the model timeout length.")
		f.Err = fmt.Errorf("%s at %s: %w", c.c.Name, c.URL(), errSlow)
		return f
	}
	return fmt.Errorf("%s at %s: %w", c.c.Name, c.URL(), err)
}

// body is an answer that is being read.
type body struct {
	c     *Client
	ctx   context.Context //nolint:containedctx // the request's own, to tell why reading failed
	in    io.ReadCloser
	limit *limit
	idle  time.Duration // 0: no stream
	end   func()
	done  atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if b.idle > 0 && n > 0 {
		b.limit.set(b.idle)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // Readers return it bare
		err = b.c.explain(b.ctx, err)
	}
	return n, err
}

func (b *body) Close() error {
	if b.done.Swap(true) {
		return nil
	}
	if b.idle > 0 {
		b.limit.set(drainTime) // it ends the request where it had not ended
	}
	if b.ctx.Err() == nil { // what is left of an answer that was read is little, if anything
		io.CopyN(io.Discard, b.in, maxDrain) //nolint:errcheck // it is thrown away
	}
	err := b.in.Close()
	b.end()
	return err
}

// Whole sends a request and reads its answer.
func (c *Client) Whole(ctx context.Context, r Request) ([]byte, http.Header, error) {
	resp, err := c.Do(ctx, r, false)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.Grow(int(min(max(resp.length, 0), atOnce)) + bytes.MinRead) // and its end is seen without growing
	if _, err := b.ReadFrom(io.LimitReader(resp.Body, MaxAnswer+1)); err != nil {
		return nil, nil, err
	}
	if b.Len() > MaxAnswer {
		return nil, nil, fmt.Errorf("%s at %s: an answer of more than %d bytes", c.c.Name, c.URL(), MaxAnswer)
	}
	return b.Bytes(), resp.Header, nil
}

// Fault is what a refusal means for the caller of a model. message is what the
// refusal's document says, "" for what stands in it. Where the server does not
// take our key, or knows nothing of the model, that is no mistake of the
// caller's: it is told that the service is unavailable, and the log why.
func (c *Client) Fault(r *Refusal, message string) error {
	if message == "" {
		message = string(bytes.TrimSpace(r.Body[:min(len(r.Body), 1000)]))
	}
	why := fmt.Errorf("%s at %s: %w", c.c.Name, c.URL(), r)
	var f *fault.Error
	switch r.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return bedrock.Fault("ValidationException", "%s", message)
	case http.StatusTooManyRequests:
		f = bedrock.Fault("ThrottlingException", "Too many requests, please wait before trying again.")
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		f = bedrock.Fault("ModelTimeoutException", "The request took too long to process. Processing time exceeded the model timeout length.")
	default:
		f = bedrock.Fault("ServiceUnavailableException", "Bedrock is unable to process your request.")
	}
	f.Err = why
	return f
}
