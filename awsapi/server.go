package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/value"
)

// Limits of a request's body, in bytes, where its Op sets none.
const (
	MaxJSONBody = 8 << 20  // a definition of 1 MiB, every character escaped
	MaxFormBody = 1 << 20  // a policy of 128 KiB, form-encoded, and the rest
	MaxRESTBody = 25 << 20 // what Bedrock takes for a conversation with documents
)

// readAtOnce is how much is set aside for a body before any of it has come.
const readAtOnce = 64 << 10

// DefaultMaxHeld is how many bytes of bodies are held at once where Config does
// not say.
const DefaultMaxHeld = 1 << 30

// Directory knows who an access key belongs to. If it has a method
//
//	Bearer(ctx context.Context, token string, now time.Time) (principal.Bearer, error)
//
// API keys of Bedrock are taken too; they are refused otherwise. A key that names
// no Region is for the one that the host begins with, as those of AWS's endpoints
// do (bedrock-runtime.ap-northeast-1.…), else for Config's DefaultRegion.
type Directory interface {
	// Credential must compare the session token in constant time. Its faults are
	// UnrecognizedClientException and ExpiredTokenException.
	Credential(ctx context.Context, accessKeyID, sessionToken string, now time.Time) (principal.Credential, error)
}

type bearer interface {
	Bearer(ctx context.Context, token string, now time.Time) (principal.Bearer, error)
}

// Config of a Server.
type Config struct {
	Directory     Directory
	Gate          *gate.Gate
	Logger        *slog.Logger // nil: none
	Ops           []Op
	DefaultRegion string           // of bearer tokens, which name none; "": us-east-1
	Now           func() time.Time // nil: time.Now
	Skew          time.Duration    // 0: sigv4.DefaultSkew
	ValidRegion   func(string) bool
	MaxHeld       int64 // bytes of bodies that are held at once; 0: DefaultMaxHeld

	// OnRejected, if set, is told of the sign-ins that failed, before the answer is
	// written: of all but those that Stats counts as Untold.
	OnRejected func(context.Context, Rejected)

	// OnAnswered, if set, is told of every request once it is over. It must be quick.
	OnAnswered func(Answered)
}

// Answered is a request that is over.
type Answered struct {
	Op      *Op // nil: none was found
	Outcome Outcome
	Took    time.Duration
}

// Outcome is what a request came to.
type Outcome string

// The outcomes.
const (
	OutcomeOK        Outcome = "ok"
	OutcomeDenied    Outcome = "denied" // by policies, or for want of a good signature
	OutcomeThrottled Outcome = "throttled"
	OutcomeRefused   Outcome = "refused" // for another fault of the caller's
	OutcomeFailed    Outcome = "failed"
	OutcomeGone      Outcome = "gone" // the client did not wait for the answer
)

// Rejected is a sign-in that failed.
type Rejected struct {
	Op          *Op
	AccessKeyID string // as claimed
	Region      string // as claimed
	Meta        gate.Meta
	Time        time.Time
	Fault       *fault.Error
}

// Server is the front door. It must see targets as they came: a ServeMux in
// front of it would redirect paths that are not clean.
type Server struct {
	cfg   Config
	table *table
	ops   []Op
	keys  sigv4.KeyCache
	fails failures
	held  atomic.Int64 // bytes of bodies
	stats stats
}

type stats struct{ calls, faults, internal, rejected, untold, inFlight atomic.Int64 }

// Stats are a Server's counts since it began.
type Stats struct {
	Calls    int64 // requests, all of them
	Faults   int64 // answered with a caller's fault, sign-ins included
	Internal int64 // answered with a fault of ours
	Rejected int64 // sign-ins that failed
	Untold   int64 // of these, what OnRejected was spared because there were too many
	Held     int64 // bytes of bodies held now
	InFlight int64 // requests under way
}

// New makes a Server. It refuses operations that nobody could reach, that two
// are reached alike, and that say neither what they need nor why not.
func New(cfg Config) (*Server, error) {
	if cfg.Directory == nil || cfg.Gate == nil {
		return nil, errors.New("awsapi: a Directory and a Gate are needed")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.DefaultRegion = cmp.Or(cfg.DefaultRegion, "us-east-1")
	cfg.MaxHeld = cmp.Or(cfg.MaxHeld, DefaultMaxHeld)
	s := &Server{cfg: cfg, ops: slices.Clone(cfg.Ops)}
	t, err := newTable(s.ops)
	if err != nil {
		return nil, fmt.Errorf("awsapi: %w", err)
	}
	s.table = t
	return s, nil
}

// Ops lists the operations. It must not be changed.
func (s *Server) Ops() []Op { return s.ops }

// Stats returns the counts.
func (s *Server) Stats() Stats {
	return Stats{s.stats.calls.Load(), s.stats.faults.Load(), s.stats.internal.Load(), s.stats.rejected.Load(), s.stats.untold.Load(), s.held.Load(), s.stats.inFlight.Load()}
}

// call is one request on its way through.
type call struct {
	s         *Server
	w         *watched
	r         *http.Request
	id        string
	now       time.Time
	target    string         // path and query as received
	headers   [][2]string    // as a signature may name them
	claim     sigv4.Identity // not proven
	meta      gate.Meta
	op        *Op // nil until it is known
	protocol  Protocol
	namespace string
	held      int64 // bytes set aside for the body
	req       *Request
	outcome   Outcome
	stranger  bool // the sign-in failed
}

// watched notes whether an answer has begun.
type watched struct {
	http.ResponseWriter
	begun bool
}

func (w *watched) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets a ResponseController reach the connection.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.stats.calls.Add(1)
	s.stats.inFlight.Add(1)
	began := time.Now()
	c := &call{
		s: s, w: &watched{ResponseWriter: w}, r: r, id: uuid.NewString(), now: s.cfg.Now(),
		target: requestTarget(r), headers: headersOf(r), protocol: RESTJSON, namespace: wire.EdgeNamespace, outcome: OutcomeOK,
	}
	c.meta = metaOf(r, c.id)
	c.claim = sigv4.Claimed(sigv4.Request{Target: c.target, Headers: c.headers})
	defer func() { // also of a handler that is aborted
		s.stats.inFlight.Add(-1)
		if s.cfg.OnAnswered != nil {
			s.cfg.OnAnswered(Answered{c.op, c.outcome, time.Since(began)})
		}
	}()
	w.Header().Set("X-Amzn-Requestid", c.id)
	w.Header().Set("X-Amz-Request-Id", c.id)
	defer func() {
		s.held.Add(-c.held)
		if x := recover(); x != nil {
			if x == http.ErrAbortHandler { //nolint:errorlint // it is compared so by net/http
				c.outcome = OutcomeGone
				panic(x)
			}
			c.fail(fmt.Errorf("panic: %v\n%s", x, debug.Stack()))
		}
	}()
	if err := c.serve(r.Context()); err != nil {
		c.fail(err)
	}
}

// requestTarget is the request's target without scheme and host, which proxies send.
func requestTarget(r *http.Request) string {
	t := r.RequestURI
	if t == "" {
		t = r.URL.RequestURI()
	}
	if i := strings.Index(t, "://"); i > 0 && t[0] != '/' {
		t = t[i+3:]
		if j := strings.IndexAny(t, "/?"); j >= 0 {
			t = t[j:]
		} else {
			t = ""
		}
	}
	if t == "" || t[0] == '?' {
		t = "/" + t
	}
	return t
}

func (c *call) serve(ctx context.Context) error {
	path := sigv4.Path(c.target)
	fields, ok := sigv4.Query(c.target)
	if !ok {
		return fault.Newf("ValidationException", "The query string has more than %d parameters.", sigv4.MaxParameters)
	}
	if coding := c.r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return &fault.Error{
			Kind: fault.Client, Code: "ValidationException", Status: http.StatusUnsupportedMediaType,
			Message: fmt.Sprintf("Content-Encoding %.64q is not supported.", coding),
		}
	}
	labels, form, body, err := c.findFor(path, fields)
	if err != nil {
		return err
	}
	if body == nil {
		if body, err = c.body(cmp.Or(c.op.MaxBody, limitOf(c.op.Protocol))); err != nil {
			return err
		}
	}
	by, region, bearer, err := c.signIn(ctx, body)
	if err != nil {
		return err
	}
	req := &Request{
		Op: c.op, By: by, Region: region, Bearer: bearer, Account: by.Account, Meta: c.meta,
		Path: labels, Header: c.r.Header, Raw: body, Input: form.Input, Time: c.now,
	}
	req.Context = c.context(req)
	if c.protocol != Query {
		req.Query = make(url.Values, len(fields))
		for _, f := range fields {
			if !strings.HasPrefix(f[0], "X-Amz-") {
				req.Query[f[0]] = append(req.Query[f[0]], f[1])
			}
		}
		req.Input = value.Object()
		if c.protocol == S3 && len(body) > 0 {
			return fault.Newf("InvalidRequest", "%s takes no body.", c.op.Name)
		}
		if !c.op.Blob && c.protocol != S3 {
			if req.Input, err = wire.DecodeJSON(body); err != nil {
				return err
			}
		}
	}
	c.req = req
	return c.perform(ctx)
}

// findFor finds the operation: of S3 if the request was signed for it, whose
// paths could mean anything else.
func (c *call) findFor(path string, fields [][2]string) (labels map[string]string, form wire.Form, body []byte, err error) {
	if c.claim.Scope.Service == s3Service {
		labels, err = c.findObject(fields)
		return labels, form, nil, err
	}
	return c.find(path, fields)
}

// find finds the operation. The Query protocol names it in the body, which is
// read then.
func (c *call) find(path string, fields [][2]string) (labels map[string]string, form wire.Form, body []byte, err error) {
	t := c.s.table
	switch targets := c.r.Header.Values("X-Amz-Target"); {
	case len(targets) > 0:
		c.protocol = JSON10
		if strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/x-amz-json-1.1") {
			c.protocol = JSON11
		}
		op, f := t.targeted(targets)
		if f != nil {
			return nil, form, nil, f
		}
		if c.r.Method != http.MethodPost || path != "/" {
			return nil, form, nil, fault.Newf("UnknownOperationException", "%s is reached by POST /, not by %s %.128s.", op.Name, c.r.Method, path)
		}
		c.use(op)
		return nil, form, nil, nil
	case path == "/" && c.isQuery(fields):
		c.protocol = Query
		var all [][2]string
		for _, f := range fields {
			if !strings.HasPrefix(f[0], "X-Amz-") {
				all = append(all, f)
			}
		}
		if body, err = c.body(MaxFormBody); err != nil {
			return nil, form, nil, err
		}
		more, err := wire.FormFields(string(body))
		if err != nil {
			return nil, form, nil, err
		}
		if form, err = wire.FoldFields(append(all, more...)); err != nil {
			return nil, form, nil, err
		}
		op, f := t.action(form.Version, form.Action)
		if f != nil {
			return nil, form, nil, f
		}
		c.use(op)
		return nil, form, body, nil
	}
	op, labels, allow := t.rest(c.r.Method, path)
	if op == nil {
		if len(allow) > 0 {
			c.w.Header().Set("Allow", strings.Join(allow, ", "))
		}
		return nil, form, nil, noRoute(c.r.Method, path, allow)
	}
	c.use(op)
	return labels, form, nil, nil
}

func (c *call) use(op *Op) {
	c.op, c.protocol = op, op.Protocol
	if op.Protocol == Query {
		c.namespace = wire.Namespace(op.Service, op.Version)
	}
}

func (c *call) isQuery(fields [][2]string) bool {
	switch c.r.Method {
	case http.MethodPost:
		if strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			return true
		}
	case http.MethodGet:
	default:
		return false
	}
	return slices.ContainsFunc(fields, func(f [2]string) bool { return f[0] == "Action" })
}

func limitOf(p Protocol) int64 {
	switch p {
	case RESTJSON:
		return MaxRESTBody
	case Query:
		return MaxFormBody
	default:
		return MaxJSONBody
	}
}

// body reads the request's body, never nil.
func (c *call) body(limit int64) ([]byte, error) {
	if c.r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	// What the client says of the length is believed only so far.
	b := make([]byte, 0, min(max(c.r.ContentLength, 0)+1, readAtOnce))
	in := http.MaxBytesReader(c.w, c.r.Body, limit)
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(len(b), readAtOnce))
		}
		if more := int64(cap(b)) - c.held; more > 0 {
			c.held += more
			if c.s.held.Add(more) > c.s.cfg.MaxHeld {
				return nil, c.busy()
			}
		}
		n, err := in.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF: //nolint:errorlint // Readers return it bare
			return b, nil
		case err != nil:
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return nil, tooLarge(limit)
			}
			return nil, errors.Join(errGone, err)
		}
	}
}

func tooLarge(limit int64) *fault.Error {
	return &fault.Error{
		Kind: fault.Client, Code: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("Request must be smaller than %d bytes", limit),
	}
}

// busy is the answer to a body that there is no room for now.
func (c *call) busy() *fault.Error {
	f := &fault.Error{Kind: fault.Server, Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "The service is unavailable. Please try again shortly."}
	if c.protocol != Query {
		f.Code = "ServiceUnavailableException"
	}
	return f
}

func metaOf(r *http.Request, id string) gate.Meta {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	host, _, _ = strings.Cut(host, "%") // the zone of a link-local address
	return gate.Meta{RequestID: id, SourceIP: host, UserAgent: r.UserAgent(), Host: r.Host, TLS: r.TLS != nil}
}

// context is the condition keys of the request as a whole (iam.md, section 5).
func (c *call) context(req *Request) iam.Context {
	one := func(key, v string) iam.Attribute { return iam.Attribute{Key: key, Values: []string{v}} }
	ctx := iam.Context{
		one("aws:CurrentTime", c.now.UTC().Format(time.RFC3339)),
		one("aws:EpochTime", strconv.FormatInt(c.now.Unix(), 10)),
		one("aws:SecureTransport", strconv.FormatBool(req.Meta.TLS)),
		one("aws:RequestedRegion", req.Region),
	}
	if net.ParseIP(req.Meta.SourceIP) != nil {
		ctx = append(ctx, one("aws:SourceIp", req.Meta.SourceIP))
	}
	if req.Meta.UserAgent != "" {
		ctx = append(ctx, one("aws:UserAgent", req.Meta.UserAgent))
	}
	if ref := c.r.Referer(); ref != "" {
		ctx = append(ctx, one("aws:Referer", ref))
	}
	return ctx
}

// perform does the operation, through the gate unless it is open, and answers.
func (c *call) perform(ctx context.Context) error {
	op, req := c.op, c.req
	var resp *Response
	handle := func(ctx context.Context) (err error) {
		defer func() {
			// Inside the gate a panic must leave a record like any other failure.
			if x := recover(); x != nil && x != http.ErrAbortHandler { //nolint:errorlint // as above
				err = fmt.Errorf("panic: %v\n%s", x, debug.Stack())
			} else if x != nil {
				panic(x)
			}
		}()
		if resp, err = op.Handle(ctx, req); err != nil {
			return err
		}
		if resp == nil {
			return fmt.Errorf("%s answers nothing", op.Name)
		}
		switch {
		case resp.Stream != nil:
			return c.stream(ctx, resp)
		case resp.Text != nil:
			return c.text(ctx, resp)
		}
		return nil
	}
	var err error
	if op.Needs == nil {
		err = handle(ctx)
	} else {
		err = c.gated(ctx, handle, &resp)
	}
	switch {
	case err != nil:
		return err
	case resp.Stream != nil, resp.Text != nil:
		return nil
	}
	if err := writeResponse(c.w, op, resp, c.id); err != nil {
		return errors.Join(errGone, err)
	}
	return nil
}

// gated runs handle inside the gate. A request that Needs cannot make sense of
// goes in too, needing nothing and doing nothing, so that it is recorded.
func (c *call) gated(ctx context.Context, handle func(context.Context) error, resp **Response) error {
	op, req := c.op, c.req
	needs, refused := op.Needs(ctx, req)
	if refused == nil && len(needs) == 0 {
		return fmt.Errorf("%s needs nothing, and is not open", op.Name)
	}
	if refused != nil {
		needs = nil
	} else if req.Bearer != "" {
		needs = append([]iam.Authorization{principal.WithBearer(req.Bearer)}, needs...)
	}
	params := op.Params
	if params == nil {
		params = Parameters
	}
	_, err := gate.Do(ctx, c.s.cfg.Gate, gate.Call{
		By: req.By, Source: op.Source, Name: op.Name, Region: req.Region,
		Needs: needs, Context: req.Context, Resource: req.Resource,
		Request: params(req), Resources: req.Resources, ReadOnly: op.ReadOnly, Volatile: op.Volatile, Meta: req.Meta,
	}, func(ctx context.Context, act *gate.Act) (struct{}, error) {
		if refused != nil {
			return struct{}{}, refused
		}
		req.Act = act
		err := handle(ctx)
		if err == nil && op.Result != nil {
			act.Respond(op.Result(req, *resp))
		}
		return struct{}{}, err
	})
	return err
}

// stream writes resp's events. An error is returned whether or not the client
// could be told, so that the record has it.
func (c *call) stream(ctx context.Context, resp *Response) error {
	s := &stream{w: c.w, flush: http.NewResponseController(c.w), header: resp.Header}
	err := resp.Stream(ctx, s)
	switch {
	case err == nil:
		return s.end(nil)
	case !s.started || s.failed != nil:
		return err
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		f = internal(RESTJSON)
	}
	if gone := s.end(f); gone != nil {
		return errors.Join(err, gone)
	}
	return err
}

// fail answers with err, if nothing was answered yet, and logs what is ours.
func (c *call) fail(err error) {
	ctx := c.r.Context()
	f, ok := errors.AsType[*fault.Error](err)
	gone := errors.Is(err, errGone) || ctx.Err() != nil && errors.Is(err, ctx.Err())
	name := ""
	if c.op != nil {
		name = c.op.Name
	}
	switch {
	case ok && f.Kind != fault.Server:
		c.outcome = c.refusal(f)
		c.s.stats.faults.Add(1)
		c.s.cfg.Logger.DebugContext(ctx, "refused", "op", name, "request", c.id, "code", f.Code)
	case gone && !ok:
		c.outcome = OutcomeGone
		c.s.cfg.Logger.DebugContext(ctx, "the client went away", "op", name, "request", c.id)
	default:
		c.outcome = OutcomeFailed
		c.s.stats.internal.Add(1)
		level := slog.LevelError
		if ok && f.Err == nil { // said on purpose, as when there is no room
			level = slog.LevelWarn
		}
		c.s.cfg.Logger.Log(ctx, level, "internal", "op", name, "method", c.r.Method, "request", c.id, "err", err)
		if !ok {
			f = internal(c.protocol)
		}
	}
	if c.w.begun || gone && !ok {
		return
	}
	if c.op != nil && c.op.Fail != nil {
		c.failAs(f)
		return
	}
	writeFault(c.w, c.protocol, c.namespace, f, c.id)
}

// refusal is the outcome of a caller's fault.
func (c *call) refusal(f *fault.Error) Outcome {
	switch {
	case f.Auth, c.stranger:
		return OutcomeDenied
	case f.Kind == fault.Throttle:
		return OutcomeThrottled
	}
	return OutcomeRefused
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
