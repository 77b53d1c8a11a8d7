// Package amazon is a backend that speaks Bedrock Runtime: real Amazon Bedrock,
// or another Tokaido node, for the API is the protocol between nodes too.
//
// A call goes to the Region that the router chose, and says so in a header that
// another node obeys: it runs the call there and routes no further. Real Bedrock
// does not know the header. Where a model is called there through one of AWS's
// profiles, AWS routes by itself; Reach then says where to, so that a plan that
// has not all of these Regions never comes here.
package amazon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/wire"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

var (
	_ bedrock.Backend = (*Backend)(nil)
	_ bedrock.Counter = (*Backend)(nil)
	_ bedrock.Reacher = (*Backend)(nil)
	_ bedrock.Checker = (*Backend)(nil)
	_ bedrock.Prober  = (*Backend)(nil)
)

// Headers between nodes. The first is also in answers, where it says which
// Region it was.
const (
	RegionHeader = "X-Tokaido-Inference-Region"
	HopsHeader   = "X-Tokaido-Hops"

	// ReceiptHeader is in answers of nodes that make receipts.
	ReceiptHeader = "X-Tokaido-Receipt"

	// ReceiptEvent comes after a stream's last chunk, from such nodes, and has the
	// same in its member "receipt". Clients of AWS's never see it: it is only in
	// answers to requests that have RegionHeader.
	ReceiptEvent = "tokaidoReceipt"
)

// MaxHops is how many nodes may pass a call on: one that comes back to where it
// was ends there.
const MaxHops = 3

const (
	service  = "bedrock"
	readSize = 32 << 10

	// receiptWait is how long a receipt may take after the last chunk: the other
	// node makes its record durable before.
	receiptWait = 10 * time.Second
)

// Credentials are asked for before each request; they must be kept as long as
// they are good.
type Credentials func(ctx context.Context) (sigv4.Credentials, error)

// Config of a Backend.
type Config struct {
	Connection  upstream.Config // URL may hold {region}; "": AWS's own
	Region      string          // "": the Region of each call; else all calls are signed for this one
	Credentials Credentials

	// Model is the id that a model of the catalog is called by there: a model's or
	// one of AWS's profiles. nil, or "": the model's own id.
	Model func(*catalog.Model) string

	// Catalog knows what Model returns.
	Catalog *catalog.Catalog
}

// Backend answers with Bedrock Runtime. It may be shared.
type Backend struct {
	c       Config
	clients map[string]*upstream.Client // by Region
	keys    sigv4.KeyCache
	first   *upstream.Client
	region  string // of first
}

// New checks a Config. regions are those that the backend is for.
func New(c Config, regions []string) (*Backend, error) {
	if c.Credentials == nil {
		return nil, errors.New("credentials: there are none")
	}
	c.Connection.URL = cmp.Or(c.Connection.URL, "https://bedrock-runtime.{region}.amazonaws.com")
	b := &Backend{c: c, clients: map[string]*upstream.Client{}}
	shared := map[string]*upstream.Client{} // by URL
	for _, r := range regions {
		conn := c.Connection
		conn.URL = strings.ReplaceAll(conn.URL, "{region}", cmp.Or(c.Region, r))
		if strings.HasPrefix(cmp.Or(c.Region, r), "cn-") {
			conn.URL = strings.Replace(conn.URL, ".amazonaws.com", ".amazonaws.com.cn", 1)
		}
		u := shared[conn.URL]
		if u == nil {
			var err error
			if u, err = upstream.New(conn); err != nil {
				return nil, err
			}
			shared[conn.URL] = u
		}
		b.clients[r] = u
		if b.first == nil {
			b.first, b.region = u, cmp.Or(c.Region, r)
		}
	}
	if b.first == nil {
		return nil, errors.New("no Region uses it")
	}
	return b, nil
}

// id is what a model is called by there; own says that it is its bare id.
func (b *Backend) id(m *catalog.Model) (id string, own bool) {
	if b.c.Model != nil {
		id = b.c.Model(m)
	}
	id = cmp.Or(id, m.ID)
	return id, id == m.ID
}

// Reach implements [bedrock.Reacher].
func (b *Backend) Reach(region string, m *catalog.Model) []string {
	id, own := b.id(m)
	signed := cmp.Or(b.c.Region, region)
	if own || b.c.Catalog == nil {
		return []string{signed}
	}
	if p, ok := b.c.Catalog.Profile(id); ok {
		if to := p.Destinations(signed); to != nil {
			return to
		}
		return []string{"a Region that " + id + " cannot be called from"} // in no plan
	}
	return []string{signed}
}

// send signs and sends a request for a call.
func (b *Backend) request(ctx context.Context, c bedrock.Call, operation string, body []byte, accept http.Header) (*upstream.Client, upstream.Request, error) {
	u := b.clients[c.Region]
	if u == nil {
		return nil, upstream.Request{}, fmt.Errorf("no endpoint for the Region %s", c.Region)
	}
	if c.Hops >= MaxHops {
		return nil, upstream.Request{}, fmt.Errorf("the call has been passed on by %d nodes already: do their backends lead in a circle?", c.Hops)
	}
	id, own := b.id(c.Model)
	region := cmp.Or(b.c.Region, c.Region)
	h := http.Header{"Content-Type": {"application/json"}, HopsHeader: {strconv.Itoa(c.Hops + 1)}}
	maps.Copy(h, accept)
	if own {
		h.Set(RegionHeader, region)
	}
	creds, err := b.c.Credentials(ctx)
	if err != nil {
		return nil, upstream.Request{}, fmt.Errorf("credentials of %s: %w", u.URL(), err)
	}
	path := "/model/" + strings.ReplaceAll(url.PathEscape(id), ":", "%3A") + "/" + operation
	return u, upstream.Request{Path: path, Header: h, Body: body, Sign: func(r *http.Request) error { return b.sign(r, region, body, creds) }}, nil
}

// sign adds a signature over the headers that matter.
func (b *Backend) sign(r *http.Request, region string, body []byte, c sigv4.Credentials) error {
	headers := [][2]string{{"Host", cmp.Or(r.Host, r.URL.Host)}}
	for k := range r.Header {
		if k == "Content-Type" || k == "Accept" || strings.HasPrefix(k, "X-") {
			headers = append(headers, [2]string{k, r.Header.Get(k)})
		}
	}
	add, err := sigv4.Sign(sigv4.Request{Method: r.Method, Target: r.URL.RequestURI(), Headers: headers, Body: body},
		sigv4.Options{Service: service, Region: region, Now: time.Now(), Keys: &b.keys}, c)
	for _, h := range add {
		r.Header.Set(h[0], h[1])
	}
	return err
}

// Invoke implements [bedrock.Backend].
func (b *Backend) Invoke(ctx context.Context, c bedrock.Call) (*bedrock.Answer, error) {
	u, r, err := b.request(ctx, c, "invoke", c.Body, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return nil, err
	}
	doc, h, err := u.Whole(ctx, r)
	if err != nil {
		return nil, b.fault(u, err)
	}
	a := &bedrock.Answer{Body: doc, ContentType: h.Get("Content-Type"), Region: h.Get(RegionHeader), Receipt: h.Get(ReceiptHeader)}
	const prefix = "X-Amzn-Bedrock-"
	for name, to := range map[string]*int{
		"Input-Token-Count": &a.Usage.Input, "Output-Token-Count": &a.Usage.Output,
		"Cache-Read-Input-Token-Count": &a.Usage.CacheRead, "Cache-Write-Input-Token-Count": &a.Usage.CacheWrite,
	} {
		*to, _ = strconv.Atoi(h.Get(prefix + name)) // 0 where it does not say
	}
	return a, nil
}

// Stream implements [bedrock.Backend].
func (b *Backend) Stream(ctx context.Context, c bedrock.Call) iter.Seq2[bedrock.Chunk, error] {
	return func(yield func(bedrock.Chunk, error) bool) {
		u, r, err := b.request(ctx, c, "invoke-with-response-stream", c.Body, http.Header{"X-Amzn-Bedrock-Accept": {"application/json"}})
		if err != nil {
			yield(bedrock.Chunk{}, err)
			return
		}
		resp, err := u.Do(ctx, r, true)
		if err != nil {
			yield(bedrock.Chunk{}, b.fault(u, err))
			return
		}
		defer resp.Body.Close()
		region := resp.Header.Get(RegionHeader)
		node := region != "" // a receipt may follow
		var receipt *string  // once the last chunk is passed on
		for m, err := range eventStream(resp.Body) {
			if receipt != nil {
				// The answer is complete. What else comes, or goes wrong, changes nothing of it.
				if err != nil || m.Header(":message-type") != "event" {
					return
				}
				if m.Header(":event-type") == ReceiptEvent {
					v, _ := value.Parse(m.Payload)
					*receipt = v.Get("receipt").Str()
				}
				continue
			}
			var chunk bedrock.Chunk
			if err == nil {
				chunk, err = b.chunk(u, m)
			}
			if err != nil {
				yield(bedrock.Chunk{}, err)
				return
			}
			if chunk.Body == nil {
				continue // an event of a kind that is new
			}
			chunk.Region, region = region, ""
			if chunk.Usage != nil && node {
				receipt = new(string)
				chunk.Receipt = receipt
			}
			if !yield(chunk, nil) || chunk.Usage != nil && !node {
				return
			}
			if receipt != nil {
				resp.Within(receiptWait)
			}
		}
		if receipt != nil {
			return
		}
		yield(bedrock.Chunk{}, fmt.Errorf("%s: the stream ended before the message did", u.URL()))
	}
}

// eventStream reads messages of AWS's framing.
func eventStream(in io.Reader) iter.Seq2[wire.Message, error] {
	return func(yield func(wire.Message, error) bool) {
		buf := make([]byte, 0, readSize)
		for {
			m, rest, err := wire.DecodeMessage(buf)
			switch {
			case err == nil:
				if !yield(m, nil) {
					return
				}
				buf = append(buf[:0], rest...) // the message is not used any more
				continue
			case !errors.Is(err, wire.ErrShort):
				yield(m, err)
				return
			}
			if len(buf) == cap(buf) {
				buf = slices.Grow(buf, len(buf))
			}
			n, err := in.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
			switch {
			case n > 0:
			case err == io.EOF && len(buf) == 0: //nolint:errorlint // Readers return it bare
				return
			case err == io.EOF: //nolint:errorlint // as above
				yield(m, io.ErrUnexpectedEOF)
				return
			case err != nil:
				yield(m, err)
				return
			}
		}
	}
}

// chunk reads one message of a stream.
func (b *Backend) chunk(u *upstream.Client, m wire.Message) (c bedrock.Chunk, err error) {
	switch m.Header(":message-type") {
	case "exception":
		code := m.Header(":exception-type")
		if code != "" {
			code = strings.ToUpper(code[:1]) + code[1:]
		}
		return c, b.known(u, code, &upstream.Refusal{Status: http.StatusInternalServerError, Body: m.Payload})
	case "error":
		return c, fmt.Errorf("%s: %s: %s", u.URL(), m.Header(":error-code"), m.Header(":error-message"))
	}
	if m.Header(":event-type") != "chunk" {
		return c, nil
	}
	v, err := value.Parse(m.Payload)
	if err != nil {
		return c, fmt.Errorf("%s: a chunk that is not JSON: %w", u.URL(), err)
	}
	if c.Body, err = base64.StdEncoding.DecodeString(v.Get("bytes").Str()); err != nil || len(c.Body) == 0 {
		return c, fmt.Errorf("%s: a chunk without bytes", u.URL())
	}
	if !bytes.Contains(c.Body, []byte(bedrock.MetricsMember)) {
		return c, nil
	}
	if v, err = value.Parse(c.Body); err != nil {
		return c, fmt.Errorf("%s: a chunk that is not JSON: %w", u.URL(), err)
	}
	// The runtime adds metrics of its own: those of the whole way.
	x := v.Get(bedrock.MetricsMember)
	if x.IsUndefined() {
		return c, nil // somebody speaks of it
	}
	n := func(name string) int { i, _ := x.Get(name).Int(); return int(i) }
	c.Usage = &bedrock.Usage{Input: n("inputTokenCount"), Output: n("outputTokenCount"), CacheRead: n("cacheReadInputTokenCount"), CacheWrite: n("cacheWriteInputTokenCount")}
	c.Body = withoutMetrics(c.Body, v)
	return c, nil
}

// withoutMetrics is a last chunk as it was before its metrics were added, to the
// byte where they stand at its end, for a receipt is of that.
func withoutMetrics(body []byte, v value.Value) []byte {
	i := bytes.LastIndex(body, []byte(`"`+bedrock.MetricsMember+`":`))
	if i > 0 && v.Member(v.Len()-1).Key == bedrock.MetricsMember {
		before := body[:i]
		if comma := bytes.LastIndexByte(before, ','); comma > 0 && v.Len() > 1 {
			before = before[:comma]
		}
		before = append(bytes.Clone(before), '}')
		if w, err := value.Parse(before); err == nil && w.Len() == v.Len()-1 {
			return before
		}
	}
	return v.Without(bedrock.MetricsMember).AppendJSON(nil)
}

// CountTokens implements [bedrock.Counter].
func (b *Backend) CountTokens(ctx context.Context, c bedrock.Call) (int, error) {
	in := value.Object(value.Member{Key: "input", Value: value.Object(value.Member{Key: "invokeModel", Value: value.Object(
		value.Member{Key: "body", Value: value.String(base64.StdEncoding.EncodeToString(c.Body))})})})
	u, r, err := b.request(ctx, c, "count-tokens", in.AppendJSON(nil), nil)
	if err != nil {
		return 0, err
	}
	doc, _, err := u.Whole(ctx, r)
	if err != nil {
		return 0, b.fault(u, err)
	}
	v, err := value.Parse(doc)
	n, ok := v.Get("inputTokens").Int()
	if err != nil || !ok {
		return 0, fmt.Errorf("%s: an answer without inputTokens", u.URL())
	}
	return int(n), nil
}

// Check implements [bedrock.Checker]: it asks for a model that there is not, so
// that nothing runs, and sees whether the answer is about the model or about us.
func (b *Backend) Check(ctx context.Context) error {
	creds, err := b.c.Credentials(ctx)
	if err != nil {
		return fmt.Errorf("credentials of %s: %w", b.first.URL(), err)
	}
	body := []byte("{}")
	_, _, err = b.first.Whole(ctx, upstream.Request{Path: "/model/tokaido.health/invoke", Body: body,
		Header: http.Header{"Content-Type": {"application/json"}},
		Sign:   func(r *http.Request) error { return b.sign(r, b.region, body, creds) }})
	if r, ok := errors.AsType[*upstream.Refusal](err); ok && (r.Status == http.StatusBadRequest || r.Status == http.StatusNotFound) {
		return nil
	}
	return err
}

// Probes implements [bedrock.Prober]. Another node says at /readyz whether it
// takes calls, also that it is ending; AWS has nothing there, and so answers with
// a refusal, which shows that it can be reached. Nothing is signed: no key is
// used, nothing is billed, and neither writes a record.
func (b *Backend) Probes() []bedrock.Probe {
	var out []bedrock.Probe
	at := map[*upstream.Client]int{}
	for _, region := range slices.Sorted(maps.Keys(b.clients)) {
		u := b.clients[region]
		i, ok := at[u]
		if !ok {
			i = len(out)
			at[u] = i
			out = append(out, bedrock.Probe{Ask: func(ctx context.Context) error {
				_, err := u.Reach(ctx, "/readyz")
				return err
			}})
		}
		out[i].Regions = append(out[i].Regions, region)
	}
	return out
}

// fault reads a refusal's document.
func (b *Backend) fault(u *upstream.Client, err error) error {
	r, ok := errors.AsType[*upstream.Refusal](err)
	if !ok {
		return err
	}
	code, _, _ := strings.Cut(r.Header.Get("X-Amzn-Errortype"), ":")
	return b.known(u, code, r)
}

// passed are the codes that are about the call, and so the caller's to know.
// What is about our key is not.
var passed = []string{
	"ModelErrorException", "ModelNotReadyException", "ModelStreamErrorException", "ModelTimeoutException", "ServiceQuotaExceededException",
	"ServiceUnavailableException", "InternalServerException", "ThrottlingException", "ValidationException",
}

// modelMembers are what ModelErrorException and ModelStreamErrorException say
// besides their message.
func modelMembers(v value.Value) (out []fault.Member) {
	for _, name := range []string{"originalStatusCode", "originalMessage", "resourceName"} {
		switch x := v.Get(name); {
		case x.IsString():
			out = append(out, fault.Member{Name: name, Value: x.Str()})
		case x.IsNumber():
			if n, ok := x.Int(); ok {
				out = append(out, fault.Member{Name: name, Value: n})
			}
		}
	}
	return out
}

// known is the fault of one of Bedrock's codes.
func (b *Backend) known(u *upstream.Client, code string, r *upstream.Refusal) error {
	message := ""
	if v, err := value.Parse(r.Body); err == nil {
		message = cmp.Or(v.Get("message").Str(), v.Get("Message").Str())
		code = cmp.Or(code, v.Get("__type").Str())
	}
	if !slices.Contains(passed, code) {
		if r.Status < 500 && code != "" {
			r = &upstream.Refusal{Status: http.StatusServiceUnavailable, Header: r.Header, Body: r.Body}
		}
		return u.Fault(r, message)
	}
	f := bedrock.Fault(code, "%s", message)
	if v, err := value.Parse(r.Body); err == nil && strings.HasPrefix(code, "Model") {
		f.Members = modelMembers(v)
	}
	if f.Kind == fault.Server {
		f.Err = fmt.Errorf("%s: %w", u.URL(), r)
	}
	return f
}
