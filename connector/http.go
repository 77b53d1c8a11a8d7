package connector

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/value"
)

// HTTP performs HTTP Tasks, http:invoke. A Task goes where its connection lets it
// and nowhere else, redirects included: whoever can write a definition must not
// reach the network that the server stands in.
type HTTP struct {
	Connections map[string]*Connection // by name
	Gate        *gate.Gate
	Roles       Roles

	client *http.Client
}

// Connection is what AWS keeps in EventBridge: credentials and what is added to
// each request. Here it also says what they are good for.
type Connection struct {
	Endpoints []*url.URL // a Task may go to these and to what is below them
	Auth      Auth

	// What is added to each request; it counts more than what the Task says.
	Headers, Query map[string]string
	Body           value.Value // an object, or Undefined
}

// Auth adds credentials to requests: [BasicAuth], [KeyAuth], [*OAuth].
type Auth interface {
	authorize(ctx context.Context, c *http.Client, r *http.Request) error
}

// BasicAuth is a name and a password.
type BasicAuth struct{ User, Password string }

func (a BasicAuth) authorize(_ context.Context, _ *http.Client, r *http.Request) error {
	r.SetBasicAuth(a.User, a.Password)
	return nil
}

// KeyAuth is a key in a header.
type KeyAuth struct{ Header, Value string }

func (a KeyAuth) authorize(_ context.Context, _ *http.Client, r *http.Request) error {
	r.Header.Set(a.Header, a.Value)
	return nil
}

// OAuth asks for a token with a client's credentials (RFC 6749, section 4.4), and
// keeps it while it is good.
type OAuth struct {
	OAuthClient
	turn  chan struct{} // holds one: whose turn it is to look at what follows
	token string
	until time.Time
}

// OAuthClient is who asks for tokens, and where.
type OAuthClient struct {
	Endpoint   string
	ID, Secret string
	Parameters map[string]string // of the request for a token: scope, audience
}

// NewOAuth makes the credentials of a client.
func NewOAuth(c OAuthClient) *OAuth { return &OAuth{OAuthClient: c, turn: make(chan struct{}, 1)} }

const (
	// httpLongest is how long a call may take; AWS's limit.
	httpLongest = 60 * time.Second
	// httpConnections are kept at most.
	httpConnections = 256
	// maxHTTPAnswer is how much of an answer is taken: what the Range that is asked
	// for has, as on AWS.
	maxHTTPAnswer  = 256<<10 + 1
	maxTokenAnswer = 64 << 10
	// tokenMargin is how long before its end a token is not used any more.
	tokenMargin = 30 * time.Second
	// tokenLife is how long a token is kept that does not say.
	tokenLife = 5 * time.Minute
)

// AddTo puts the integration in a table.
func (h *HTTP) AddTo(t Table) {
	h.client = newClient(httpConnections, httpLongest)
	h.client.Timeout = httpLongest // with the answer's body
	lacks := ""
	if len(h.Connections) == 0 {
		lacks = "There are no connections for HTTP Tasks: name one under connections in tokaido.yaml."
	}
	t["http:invoke"] = integration{httpUnusable, h.invoke, lacks}
}

var (
	httpMethods = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"}
	httpArrays  = []string{"INDICES", "REPEAT", "COMMAS", "BRACKETS"}

	connectionARN = regexp.MustCompile(`^arn:aws[a-z-]*:events:([a-z0-9-]+):(\d{12}):connection/([.\-_A-Za-z0-9]{1,64})/([\-A-Za-z0-9]{1,64})$`)

	// forbiddenHeaders a Task may not set: AWS's, and those that would say how long
	// the body is, what of the answer is wanted, or who asks.
	forbiddenHeaders = names(`a-im accept-charset accept-datetime accept-encoding authorization cache-control connection content-encoding
		content-length content-md5 date expect forwarded from host http2-settings if-match if-modified-since if-none-match if-range
		if-unmodified-since max-forwards origin pragma proxy-authorization range referer server te trailer transfer-encoding upgrade
		user-agent via warning`)
)

func forbidden(name string) bool {
	name = strings.ToLower(name)
	return forbiddenHeaders[name] || strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-amzn-")
}

// httpUnusable says what keeps arguments from being a request.
func httpUnusable(args value.Value) string {
	why := cmp.Or(
		only(args, "ApiEndpoint", "Method", "Authentication", "InvocationConfig", "Headers", "QueryParameters", "RequestBody", "Transform"),
		missing(args, "ApiEndpoint", "Method"),
		wrong(args, "ApiEndpoint", "Method"))
	if why != "" {
		return why
	}
	if m := args.Get("Method").Str(); !slices.Contains(httpMethods, m) {
		return fmt.Sprintf("The value of the field 'Method' is %q, which is none of %s", m, strings.Join(httpMethods, ", "))
	}
	auth, config := args.Get("Authentication"), args.Get("InvocationConfig")
	for _, p := range []struct {
		name string
		v    value.Value
	}{{"Authentication", auth}, {"InvocationConfig", config}} {
		if p.v.IsUndefined() {
			continue
		}
		if why := cmp.Or(only(p.v, "ConnectionArn"), missing(p.v, "ConnectionArn"), wrong(p.v, "ConnectionArn")); why != "" {
			return p.name + ": " + why
		}
	}
	arn := connectionOf(args)
	switch {
	case arn == "":
		return "The field 'Authentication' is required but was missing"
	case !auth.IsUndefined() && !config.IsUndefined() && auth.Get("ConnectionArn").Str() != config.Get("ConnectionArn").Str():
		return "The fields 'Authentication' and 'InvocationConfig' name two connections"
	case connectionARN.FindStringSubmatch(arn) == nil:
		return fmt.Sprintf("The value of the field 'ConnectionArn' is %q, which is no connection's ARN", arn)
	}
	if _, err := Endpoint(args.Get("ApiEndpoint").Str()); err != nil {
		return fmt.Sprintf("The value of the field 'ApiEndpoint' has an invalid format: %v", err)
	}
	return cmp.Or(headersUnusable(args.Get("Headers")), queryUnusable(args.Get("QueryParameters")), transformUnusable(args.Get("Transform"), args.Get("RequestBody")))
}

func headersUnusable(v value.Value) string {
	if v.IsUndefined() || v.IsNull() {
		return ""
	}
	if !v.IsObject() {
		return "The value of the field 'Headers' has an invalid format"
	}
	for name, x := range v.Members() {
		switch {
		case forbidden(name):
			return fmt.Sprintf("The header %q is set by the service and cannot be set", name)
		case !x.IsString() || !HeaderName(name) || strings.ContainsFunc(x.Str(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return fmt.Sprintf("The header %q cannot be sent", name)
		}
	}
	return ""
}

// HeaderName reports whether s can be the name of a header that is added (RFC 9110,
// section 5.6.2): those of the connection itself follow from the request.
func HeaderName(s string) bool {
	switch strings.ToLower(s) {
	case "host", "content-length", "transfer-encoding", "connection", "trailer":
		return false
	}
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r < utf8.RuneSelf && strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func queryUnusable(v value.Value) string {
	if v.IsUndefined() || v.IsNull() || v.IsString() || v.IsObject() || v.IsArray() {
		return ""
	}
	return "The value of the field 'QueryParameters' has an invalid format"
}

func transformUnusable(v, body value.Value) string {
	if v.IsUndefined() || v.IsNull() {
		return ""
	}
	if why := cmp.Or(only(v, "RequestBodyEncoding", "RequestEncodingOptions"), wrong(v, "RequestBodyEncoding")); why != "" {
		return "Transform: " + why
	}
	encoding := v.Get("RequestBodyEncoding").Str()
	if encoding != "" && encoding != "NONE" && encoding != "URL_ENCODED" {
		return fmt.Sprintf("The value of the field 'RequestBodyEncoding' is %q, which is neither NONE nor URL_ENCODED", encoding)
	}
	if encoding == "URL_ENCODED" && !body.IsUndefined() && !body.IsObject() {
		return "The field 'RequestBody' must be an object to be encoded as URL_ENCODED"
	}
	o := v.Get("RequestEncodingOptions")
	if o.IsUndefined() {
		return ""
	}
	if why := cmp.Or(only(o, "ArrayFormat"), wrong(o, "ArrayFormat")); why != "" {
		return "Transform.RequestEncodingOptions: " + why
	}
	if f := o.Get("ArrayFormat").Str(); f != "" && !slices.Contains(httpArrays, f) {
		return fmt.Sprintf("The value of the field 'ArrayFormat' is %q, which is none of %s", f, strings.Join(httpArrays, ", "))
	}
	return ""
}

func connectionOf(args value.Value) string {
	return cmp.Or(args.Get("Authentication").Get("ConnectionArn").Str(), args.Get("InvocationConfig").Get("ConnectionArn").Str())
}

// Endpoint reads the address of an HTTP Task. One that different programs read
// differently is none: it would pass for what it is not.
func Endpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("it is no URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Opaque != "":
		return nil, errors.New("it is no https URL")
	case u.User != nil:
		return nil, errors.New("it has a user")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("its host is not written in ASCII")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("it has a fragment")
	}
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		p, err := url.PathUnescape(part)
		if err != nil || p == "." || p == ".." || strings.ContainsAny(p, "/\\") || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("its path has the part %q", part)
		}
	}
	return u, nil
}

// below reports whether u is at or below base: the same scheme, host and port,
// and base's path with whatever follows.
func below(u, base *url.URL) bool {
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	}
	path, root := u.EscapedPath(), strings.TrimSuffix(base.EscapedPath(), "/")
	return u.Scheme == base.Scheme && strings.EqualFold(u.Hostname(), base.Hostname()) && port(u) == port(base) &&
		(path == root || strings.HasPrefix(path, root+"/"))
}

// may reports whether the connection is for an address.
func (c *Connection) may(u *url.URL) bool {
	return slices.ContainsFunc(c.Endpoints, func(base *url.URL) bool { return below(u, base) })
}

// invoke is arn:aws:states:::http:invoke.
func (h *HTTP) invoke(ctx context.Context, t *flow.Task) (value.Value, error) {
	arn := connectionOf(t.Args)
	part := connectionARN.FindStringSubmatch(arn)
	endpoint, err := Endpoint(t.Args.Get("ApiEndpoint").Str())
	if err != nil || part == nil { // [httpUnusable] has said so
		return value.Value{}, &flow.TaskError{Name: "States.Runtime", Cause: "The Task cannot be started with its arguments."}
	}
	by, err := assume(ctx, h.Gate, h.Roles, t)
	if err != nil {
		return value.Value{}, err
	}
	method := t.Args.Get("Method").Str()
	plain := *endpoint
	plain.RawQuery = ""
	machine, _, _ := strings.Cut(t.MachineARN, "/")
	before, _, _ := strings.Cut(arn, ":connection/")
	secret := strings.Replace(before, ":events:", ":secretsmanager:", 1) + ":secret:events!connection/" + part[3] + "/" + part[4]
	call := gate.Call{
		By: by, Source: statesService, Name: "InvokeHTTPEndpoint", Region: t.Region,
		Needs: []iam.Authorization{
			{Action: "states:InvokeHTTPEndpoint", Resource: machine, Context: iam.Context{
				{Key: "states:HTTPMethod", Values: []string{method}}, {Key: "states:HTTPEndpoint", Values: []string{plain.String()}}}},
			{Action: "events:RetrieveConnectionCredentials", Resource: arn},
			{Action: "secretsmanager:DescribeSecret", Resource: secret},
			{Action: "secretsmanager:GetSecretValue", Resource: secret},
		},
		Request: value.Object(
			value.Member{Key: "apiEndpoint", Value: value.String(plain.String())}, value.Member{Key: "method", Value: value.String(method)},
			value.Member{Key: "connectionArn", Value: value.String(arn)}),
		Meta: meta(t, statesHost, uuid.NewString()), Workflow: gate.Workflow{ExecutionARN: t.ExecutionARN, State: t.State},
	}
	// What the other side answers is no error of the call: the record has its status.
	type outcome struct {
		out    value.Value
		failed *flow.TaskError
	}
	r, err := gate.Do(ctx, h.Gate, call, func(ctx context.Context, a *gate.Act) (outcome, error) {
		c := h.Connections[part[3]]
		if c == nil || part[2] != t.Account {
			return outcome{}, fault.Newf("ResourceNotFound", "Connection '%s' does not exist.", arn)
		}
		if !c.may(endpoint) {
			return outcome{}, fault.Newf("EndpointNotAllowed", "The connection %s is not for the endpoint '%s': connections.%[1]s.endpoints in tokaido.yaml says what it is for.", part[3], plain.String())
		}
		out, status, err := h.do(ctx, t, c, endpoint, method)
		if status != 0 {
			a.Note(value.Member{Key: "statusCode", Value: value.Int(int64(status))})
		}
		if f, ok := errors.AsType[*flow.TaskError](err); ok {
			a.Note(value.Member{Key: "error", Value: value.String(f.Name)})
			return outcome{failed: f}, nil
		}
		return outcome{out: out}, err
	})
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case ok && f.Code == "ResourceNotFound":
		return value.Value{}, &flow.TaskError{Name: "Events.ConnectionResource.ResourceNotFound", Cause: f.Message}
	case ok && f.Auth && !strings.Contains(f.Message, "states:InvokeHTTPEndpoint"):
		return value.Value{}, &flow.TaskError{Name: "Events.ConnectionResource.AccessDenied", Cause: f.Message}
	case ok:
		return value.Value{}, &flow.TaskError{Name: "States.TaskFailed", Cause: f.Message}
	case err == nil && r.failed != nil:
		return value.Value{}, r.failed
	}
	return r.out, err
}

// do makes the request.
func (h *HTTP) do(ctx context.Context, t *flow.Task, c *Connection, endpoint *url.URL, method string) (out value.Value, status int, err error) {
	r, err := c.request(ctx, t, endpoint, method)
	if err != nil {
		return out, 0, err
	}
	if err := c.Auth.authorize(ctx, h.client, r); err != nil {
		return out, 0, err
	}
	resp, err := h.client.Do(r)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxHTTPAnswer+1))
		resp.Body.Close()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return out, 0, errors.Join(context.Canceled, context.Cause(ctx))
	case err != nil:
		return out, 0, &flow.TaskError{Name: "States.Http.Socket", Cause: socket(err)}
	case len(body) > maxHTTPAnswer:
		return out, resp.StatusCode, &flow.TaskError{Name: "States.DataLimitExceeded",
			Cause: "The state/task 'http' returned a result with a size exceeding the maximum number of bytes service limit."}
	}
	if o, ok := c.Auth.(*OAuth); ok && resp.StatusCode == http.StatusUnauthorized {
		o.forget(r)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return out, resp.StatusCode, &flow.TaskError{
			Name: fmt.Sprintf("States.Http.StatusCode.%d", resp.StatusCode), Cause: cmp.Or(strings.ToValidUTF8(string(body), "\uFFFD"), http.StatusText(resp.StatusCode))}
	}
	out, err = httpAnswer(resp, body)
	return out, resp.StatusCode, err
}

// socket is what went wrong below HTTP, without the address, which the history has.
func socket(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return fmt.Sprintf("The call took longer than %v.", httpLongest)
		}
		err = u.Err
	}
	return "The endpoint could not be called: " + err.Error()
}

// request is what a Task's arguments and its connection amount to. What the
// connection says counts more; the whole is encoded then.
func (c *Connection) request(ctx context.Context, t *flow.Task, endpoint *url.URL, method string) (*http.Request, error) {
	invalid := func(format string, args ...any) error {
		return &flow.TaskError{Name: "States.Runtime", Cause: fmt.Sprintf(format, args...)}
	}
	u := *endpoint
	fields, err := c.query(u.RawQuery, t.Args.Get("QueryParameters"))
	if err != nil {
		return nil, invalid("The query parameters cannot be sent: %v.", err)
	}
	u.RawQuery = strings.Join(fields, "&")
	content := t.Args.Get("RequestBody")
	if content.IsNull() {
		content = value.Value{}
	}
	if c.Body.Len() > 0 {
		if !content.IsUndefined() && !content.IsObject() {
			return nil, invalid("The connection adds to the request's body, which must be an object for that.")
		}
		if content.IsUndefined() {
			content = value.Object()
		}
		for k, v := range c.Body.Members() {
			content = content.With(k, v)
		}
	}
	var body []byte
	kind := ""
	transform := t.Args.Get("Transform")
	switch {
	case content.IsUndefined():
	case content.IsString():
		body, kind = []byte(content.Str()), "text/plain; charset=utf-8"
	case transform.Get("RequestBodyEncoding").Str() == "URL_ENCODED":
		body = []byte(strings.Join(flow.AppendForm(nil, "", content, transform.Get("RequestEncodingOptions").Get("ArrayFormat").Str()), "&"))
		kind = "application/x-www-form-urlencoded"
	default:
		body, kind = []byte(compact(content)), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, invalid("The request cannot be made: %v", err)
	}
	for name, v := range t.Args.Get("Headers").Members() {
		r.Header.Set(name, v.Str())
	}
	for name, v := range c.Headers {
		r.Header.Set(name, v)
	}
	if kind != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("User-Agent", "Amazon|StepFunctions|HttpInvoke|"+t.Region)
	r.Header.Set("Range", "bytes=0-262144")
	return r, nil
}

// query is the fields of the endpoint's query, the Task's and the connection's,
// of which the connection's replace those of the same name.
func (c *Connection) query(own string, v value.Value) ([]string, error) {
	var all []string
	add := func(text string) error {
		for part := range strings.SplitSeq(text, "&") {
			if part == "" {
				continue
			}
			name, x, has := strings.Cut(part, "=")
			n, err1 := url.QueryUnescape(name)
			y, err2 := url.QueryUnescape(x)
			if err1 != nil || err2 != nil {
				return fmt.Errorf("%q is not encoded as one", part)
			}
			if _, replaced := c.Query[n]; replaced {
				continue
			}
			if part = escape(n); has {
				part += "=" + escape(y)
			}
			all = append(all, part)
		}
		return nil
	}
	if err := add(own); err != nil {
		return nil, err
	}
	switch {
	case v.IsString():
		if err := add(v.Str()); err != nil {
			return nil, err
		}
	case v.IsArray():
		for _, x := range v.Items() {
			if !x.IsString() {
				return nil, errors.New("a list of them must hold texts")
			}
			if err := add(x.Str()); err != nil {
				return nil, err
			}
		}
	case v.IsObject():
		if err := add(strings.Join(flow.AppendForm(nil, "", v, "REPEAT"), "&")); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Query)) {
		all = append(all, escape(name)+"="+escape(c.Query[name]))
	}
	return all, nil
}

// httpAnswer is the Task's result.
func httpAnswer(resp *http.Response, body []byte) (value.Value, error) {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind, _, _ = strings.Cut(resp.Header.Get("Content-Type"), ";")
	}
	kind = strings.ToLower(strings.TrimSpace(kind))
	family, _, _ := strings.Cut(kind, "/")
	if kind == "application/octet-stream" || family == "image" || family == "video" || family == "audio" || !utf8.Valid(body) {
		return value.Value{}, &flow.TaskError{Name: "States.Runtime", Cause: fmt.Sprintf("The response's content type '%s' is not supported: only text is.", kind)}
	}
	content := value.String(string(body))
	if kind == "application/json" || strings.HasSuffix(kind, "+json") {
		if v, err := value.Parse(body); err == nil {
			content = v
		}
	}
	var headers []value.Member
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		var all []value.Value
		for _, v := range resp.Header[name] {
			all = append(all, value.String(strings.ToValidUTF8(v, "\uFFFD")))
		}
		headers = append(headers, value.Member{Key: strings.ToLower(name), Value: value.Array(all...)})
	}
	return value.Object(
		value.Member{Key: "Headers", Value: value.Object(headers...)},
		value.Member{Key: "ResponseBody", Value: content},
		value.Member{Key: "StatusCode", Value: value.Int(int64(resp.StatusCode))},
		value.Member{Key: "StatusText", Value: value.String(http.StatusText(resp.StatusCode))},
	), nil
}

// forget drops a token that was not accepted, unless it is another by now.
func (a *OAuth) forget(r *http.Request) {
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	if r.Header.Get("Authorization") == bearer+a.token {
		a.token = ""
	}
}

const bearer = "Bearer "

// authorize implements [Auth]. One call asks for a token while others wait for it.
func (a *OAuth) authorize(ctx context.Context, c *http.Client, r *http.Request) error {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return errors.Join(context.Canceled, context.Cause(ctx))
	}
	defer func() { <-a.turn }()
	if a.token == "" || time.Now().After(a.until) {
		if err := a.ask(ctx, c); err != nil {
			return err
		}
	}
	r.Header.Set("Authorization", bearer+a.token)
	return nil
}

// ask gets a token. It is the caller's turn.
func (a *OAuth) ask(ctx context.Context, c *http.Client) error {
	failed := func(format string, args ...any) error {
		return &flow.TaskError{Name: "Events.ConnectionResource.AuthorizationFailed", Cause: "The connection could not be authorized: " + fmt.Sprintf(format, args...)}
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	for k, v := range a.Parameters {
		form.Set(k, v)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("token endpoint: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.SetBasicAuth(url.QueryEscape(a.ID), url.QueryEscape(a.Secret)) // RFC 6749, section 2.3.1
	resp, err := c.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return errors.Join(context.Canceled, context.Cause(ctx))
		}
		return failed("%s", socket(err))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if err != nil {
		return failed("%s", socket(err))
	}
	v, err := value.Parse(b)
	token := v.Get("access_token")
	// The answer may hold secrets: it is not repeated.
	if resp.StatusCode != http.StatusOK || err != nil || !token.IsString() || token.Str() == "" || textproto.TrimString(token.Str()) != token.Str() ||
		strings.ContainsFunc(token.Str(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return failed("its token endpoint answered %d without a token.", resp.StatusCode)
	}
	a.token, a.until = token.Str(), time.Now().Add(tokenLife)
	if n, ok := v.Get("expires_in").Int(); ok && n > 0 {
		a.until = time.Now().Add(time.Duration(min(n, int64(24*time.Hour/time.Second))) * time.Second)
	}
	a.until = a.until.Add(-tokenMargin)
	return nil
}
