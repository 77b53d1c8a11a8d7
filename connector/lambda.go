package connector

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"tokaido/arn"
	"tokaido/asl"
	"tokaido/awsapi/sigv4"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/value"
)

// Lambda performs Tasks that call functions: lambda:invoke, with its token too,
// and Resources that are a function's ARN.
type Lambda struct {
	// Endpoint is where functions are: any server of Lambda's Invoke API. {region}
	// in it stands for the Region of the execution. "": there is none, and every
	// call fails saying so.
	Endpoint string
	// Credentials sign the requests. The server behind Endpoint knows nothing of
	// our roles: whether a role may call the function is decided here, by Gate.
	Credentials sigv4.Credentials
	Gate        *gate.Gate
	Roles       Roles

	client *http.Client
	keys   sigv4.KeyCache
}

const (
	lambdaSource  = "lambda.amazonaws.com"
	lambdaHost    = "lambda.{region}.amazonaws.com"
	invokeVersion = "/2015-03-31/functions/"

	// maxLambdaAnswer is how much of a function's result is read; Lambda's own
	// limit. What a workflow can take is far less, and the engine's to say.
	maxLambdaAnswer = 6 << 20
	// maxLambdaError is how much of an answer that is no JSON is shown.
	maxLambdaError = 1 << 10

	// lambdaLongest is how long an answer may take: a function has 15 minutes.
	lambdaLongest = 16 * time.Minute
	// lambdaConnections are kept at most: as many as tasks are performed at a time.
	lambdaConnections = 1024
)

// AddTo puts the integrations in a table.
func (l *Lambda) AddTo(t Table) {
	l.client = newClient(lambdaConnections, lambdaLongest)
	lacks := ""
	if l.Endpoint == "" {
		lacks = "There is no Lambda endpoint to call functions at: set endpoints.lambda in tokaido.yaml, or AWS_ENDPOINT_URL_LAMBDA."
	}
	t["lambda:invoke"] = tokened{integration{callable, l.invoke, lacks}}
	t["lambda:"] = integration{func(value.Value) string { return "" }, l.call, lacks}
}

// callable says what keeps arguments from being an Invoke request.
func callable(args value.Value) string {
	return cmp.Or(
		only(args, "FunctionName", "Payload", "InvocationType", "ClientContext", "LogType", "Qualifier"),
		missing(args, "FunctionName"),
		wrong(args, "FunctionName", "InvocationType", "ClientContext", "LogType", "Qualifier"))
}

// invoke is arn:aws:states:::lambda:invoke.
func (l *Lambda) invoke(ctx context.Context, t *flow.Task) (value.Value, error) {
	c := invocation{
		function: t.Args.Get("FunctionName").Str(), qualifier: t.Args.Get("Qualifier").Str(), kind: t.Args.Get("InvocationType").Str(),
		log: t.Args.Get("LogType").Str(), context: t.Args.Get("ClientContext").Str(),
	}
	// A text is the payload itself, whatever else is made JSON. No payload and a
	// null one are the same: the function gets {}.
	switch p := t.Args.Get("Payload"); {
	case p.IsUndefined() || p.IsNull():
	case p.IsString():
		c.payload = []byte(p.Str())
	default:
		c.payload = []byte(compact(p))
	}
	r, err := l.do(ctx, t, c)
	if err != nil {
		return value.Value{}, err
	}
	if r.failed {
		return value.Value{}, r.failure(true)
	}
	m := make([]value.Member, 0, 6)
	add := func(key string, v value.Value) { m = append(m, value.Member{Key: key, Value: v}) }
	if v := r.header.Get("X-Amz-Executed-Version"); v != "" {
		add("ExecutedVersion", value.String(v))
	}
	if v := r.header.Get("X-Amz-Log-Result"); v != "" {
		add("LogResult", value.String(v))
	}
	if len(r.body) > 0 {
		add("Payload", r.result())
	}
	add("SdkHttpMetadata", httpMetadata(r.status, r.header))
	add("SdkResponseMetadata", responseMetadata(r.requestID))
	add("StatusCode", value.Int(int64(r.status)))
	return value.Object(m...), nil
}

// call is a Task whose Resource is a function's ARN: its arguments are the
// payload, its result is the function's.
func (l *Lambda) call(ctx context.Context, t *flow.Task) (value.Value, error) {
	r, err := l.do(ctx, t, invocation{function: t.Part.Resource, payload: []byte(compact(t.Args))})
	switch {
	case err != nil:
		return value.Value{}, err
	case r.failed:
		return value.Value{}, r.failure(false)
	}
	return r.result(), nil
}

// invocation is one Invoke request.
type invocation struct {
	function, qualifier string
	kind, log, context  string // InvocationType, LogType, ClientContext
	payload             []byte
}

// invoked is what was answered to one.
type invoked struct {
	status    int
	requestID string
	header    http.Header
	body      []byte
	failed    bool // the function did, not the call
}

// result is what the function returned. Runtimes return JSON; what is none is
// taken as text, so that nothing is lost.
func (r *invoked) result() value.Value {
	if len(r.body) == 0 {
		return value.Null()
	}
	v, err := value.Parse(r.body)
	if err != nil {
		return value.String(strings.ToValidUTF8(string(r.body), "\uFFFD"))
	}
	return v
}

// failure is the function's error: its type, and its text as the cause, which
// the integration, but not the ARN, gives without white space.
func (r *invoked) failure(compact bool) error {
	body := strings.ToValidUTF8(string(r.body), "\uFFFD")
	v, err := value.ParseString(body)
	name := v.Get("errorType")
	if err != nil || !name.IsString() || name.Str() == "" {
		cause := "The cause could not be determined because Lambda did not return an error type."
		if body != "" {
			cause += " Returned payload: " + body
		}
		return &flow.TaskError{Name: "Lambda.Unknown", Cause: cause}
	}
	if compact {
		body = v.Compact().JSON()
	}
	return &flow.TaskError{Name: name.Str(), Cause: body}
}

// do calls a function as the task's role.
func (l *Lambda) do(ctx context.Context, t *flow.Task, c invocation) (*invoked, error) {
	by, err := assume(ctx, l.Gate, l.Roles, t)
	if err != nil {
		return nil, err
	}
	id := uuid.NewString()
	params := []value.Member{{Key: "functionName", Value: value.String(c.function)}}
	for _, p := range []struct{ name, text string }{{"qualifier", c.qualifier}, {"invocationType", c.kind}, {"logType", c.log}} {
		if p.text != "" {
			params = append(params, value.Member{Key: p.name, Value: value.String(p.text)})
		}
	}
	call := gate.Call{
		By: by, Source: lambdaSource, Name: "Invoke", Region: t.Region,
		Needs:   []iam.Authorization{{Action: "lambda:InvokeFunction", Resource: functionARN(t, c.function, c.qualifier)}},
		Request: value.Object(params...), Meta: meta(t, lambdaHost, id),
		Workflow: gate.Workflow{ExecutionARN: t.ExecutionARN, State: t.State},
	}
	r, err := gate.Do(ctx, l.Gate, call, func(ctx context.Context, a *gate.Act) (*invoked, error) {
		r, err := l.send(ctx, t, c)
		if r != nil {
			a.Note(value.Member{Key: "statusCode", Value: value.Int(int64(r.status))})
			if r.failed {
				a.Note(value.Member{Key: "functionError", Value: value.String(r.header.Get("X-Amz-Function-Error"))})
			}
		}
		return r, err
	})
	if errors.Is(err, errLambdaAnswer) {
		name := t.Part.Service
		if t.Part.Kind == asl.LambdaTask {
			name = t.Part.Resource
		}
		return nil, &flow.TaskError{Name: "States.DataLimitExceeded",
			Cause: fmt.Sprintf("The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", name)}
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return nil, classicFailure(f, "Lambda", "AWSLambda", lambdaFaults, id)
	}
	return r, err
}

// errLambdaAnswer says that a function's result is longer than Lambda allows.
var errLambdaAnswer = errors.New("the answer is too long")

// functionARN is what a function's name, partial ARN or ARN names; with the
// qualifier, which IAM sees as part of the resource.
func functionARN(t *flow.Task, function, qualifier string) string {
	full := function
	if !strings.HasPrefix(full, "arn:") {
		account, name := t.Account, full
		if before, after, ok := strings.Cut(full, ":function:"); ok { // 111122223333:function:name
			account, name = before, after
		}
		full = arn.New("lambda", t.Region, account, "function:"+name).String()
	}
	if qualifier == "" {
		return full
	}
	if _, after, ok := strings.Cut(full, ":function:"); ok && strings.Contains(after, ":") {
		return full // it has one; the endpoint says if they differ
	}
	return full + ":" + qualifier
}

// send makes the request. A service's error is a fault; what the function did
// wrong is not.
func (l *Lambda) send(ctx context.Context, t *flow.Task, c invocation) (*invoked, error) {
	region := t.Region
	base, err := url.Parse(strings.TrimRight(strings.ReplaceAll(l.Endpoint, "{region}", region), "/"))
	if err != nil {
		return nil, fmt.Errorf("endpoints.lambda: %w", err)
	}
	target := base.EscapedPath() + invokeVersion + escape(c.function) + "/invocations"
	u := *base
	if u.Path, err = url.PathUnescape(target); err != nil {
		return nil, fmt.Errorf("endpoints.lambda: %w", err)
	}
	u.RawPath = target
	if c.qualifier != "" {
		u.RawQuery = "Qualifier=" + escape(c.qualifier)
		target += "?" + u.RawQuery
	}
	headers := [][2]string{{"Host", u.Host}, {"Content-Type", "application/json"}}
	for _, h := range [][2]string{
		{"X-Amz-Invocation-Type", cmp.Or(c.kind, "RequestResponse")}, {"X-Amz-Log-Type", cmp.Or(c.log, "None")}, {"X-Amz-Client-Context", c.context},
	} {
		if h[1] != "" {
			if strings.ContainsFunc(h[1], func(r rune) bool { return r < ' ' || r > '~' }) {
				return nil, fault.Newf("ValidationException", "The value of %s cannot be sent in a header", h[0])
			}
			headers = append(headers, h)
		}
	}
	signed, err := sigv4.Sign(sigv4.Request{Method: http.MethodPost, Target: target, Headers: headers, Body: c.payload},
		sigv4.Options{Service: "lambda", Region: region, Now: time.Now(), Keys: &l.keys}, l.Credentials)
	if err != nil {
		return nil, fmt.Errorf("sign the call of %s: %w", c.function, err)
	}
	if t.Trace != "" { // not signed: who passes the call on may add to it
		signed = append(signed, [2]string{"X-Amzn-Trace-Id", t.Trace})
	}
	res, err := l.post(ctx, u.String(), slices.Concat(headers[1:], signed), c.payload)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(res.Body, maxLambdaAnswer+1))
		res.Body.Close()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, errors.Join(context.Canceled, context.Cause(ctx)) // which the record calls cancelled
	case err != nil:
		return nil, unreachable(err)
	case len(body) > maxLambdaAnswer:
		return nil, errLambdaAnswer
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil, serviceFault(res, body)
	}
	return &invoked{
		status: res.StatusCode, header: res.Header, body: body, failed: res.Header.Get("X-Amz-Function-Error") != "",
		requestID: res.Header.Get("X-Amzn-Requestid"),
	}, nil
}

// post sends a signed request. If a connection that was kept turns out to be
// closed, it tries once more with another, as AWS's clients do.
func (l *Lambda) post(ctx context.Context, to string, headers [][2]string, body []byte) (*http.Response, error) {
	for first := true; ; first = false {
		kept := false
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { kept = i.Reused }}
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		for _, h := range headers {
			req.Header.Set(h[0], h[1])
		}
		req.Header.Set("User-Agent", statesService)
		res, err := l.client.Do(req)
		if err == nil || !first || !kept || ctx.Err() != nil || !closedByPeer(err) {
			return res, err
		}
	}
}

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), "server closed idle connection") // net/http does not export it
}

func unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the address of the function, which the history has
	}
	return &fault.Error{Kind: fault.Server, Code: sdkClient, Message: "Unable to execute HTTP request: " + err.Error()}
}

// serviceFault is an error that the service answered with.
func serviceFault(res *http.Response, body []byte) error {
	v, err := value.Parse(body)
	if err != nil {
		v = value.Object()
	}
	code := cmp.Or(res.Header.Get("X-Amzn-Errortype"), v.Get("__type").Str(), v.Get("code").Str())
	code, _, _ = strings.Cut(code, ":") // "ResourceNotFoundException:http://…"
	if i := strings.LastIndexByte(code, '#'); i >= 0 {
		code = code[i+1:]
	}
	message := cmp.Or(v.Get("Message").Str(), v.Get("message").Str(), v.Get("errorMessage").Str())
	if message == "" && err != nil {
		message = strings.ToValidUTF8(string(body[:min(len(body), maxLambdaError)]), "\uFFFD")
	}
	return &fault.Error{
		Kind: fault.Client, Code: cmp.Or(code, "null"), Message: cmp.Or(message, "null"), Status: res.StatusCode,
		Detail: remoteID(res.Header.Get("X-Amzn-Requestid")),
	}
}

// remoteID is the request's id where a call went.
type remoteID string

// escape encodes everything that is not unreserved, as AWS's clients do.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// lambdaFaults are the errors of Invoke that AWS's SDK for Java has exceptions
// for. Any other becomes Lambda.AWSLambdaException, a denial too.
var lambdaFaults = names(`
	EC2AccessDeniedException EC2ThrottledException EC2UnexpectedException EFSIOException EFSMountConnectivityException EFSMountFailureException
	EFSMountTimeoutException ENILimitReachedException InvalidParameterValueException InvalidRequestContentException InvalidRuntimeException
	InvalidSecurityGroupIDException InvalidSubnetIDException InvalidZipFileException KMSAccessDeniedException KMSDisabledException
	KMSInvalidStateException KMSNotFoundException RecursiveInvocationException RequestTooLargeException ResourceConflictException
	ResourceNotFoundException ResourceNotReadyException ServiceException SnapStartException SnapStartNotReadyException SnapStartTimeoutException
	SubnetIPAddressLimitReachedException TooManyRequestsException UnsupportedMediaTypeException`)

func names(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}
