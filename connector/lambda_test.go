package connector

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"tokaido/asl"
	"tokaido/awsapi/sigv4"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/value"
)

const (
	allowLambda = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:ap-northeast-1:111122223333:function:f"}]}`
	functionF   = "arn:aws:lambda:ap-northeast-1:111122223333:function:f"
)

// functions is a Lambda that answers with what a test says, and keeps what it
// was asked.
type functions struct {
	*httptest.Server
	answer func(w http.ResponseWriter, body string)
	conns  atomic.Int32

	mu     sync.Mutex // for those whose answer is not waited for
	asked  []*http.Request
	bodies []string
}

func newFunctions(t testing.TB, answer func(w http.ResponseWriter, body string)) *functions {
	f := &functions{answer: answer}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.asked, f.bodies = append(f.asked, r), append(f.bodies, string(b))
		f.mu.Unlock()
		w.Header().Set("X-Amzn-Requestid", "req-1")
		f.answer(w, string(b))
	}))
	f.Server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			f.conns.Add(1)
		}
	}
	f.Start()
	t.Cleanup(f.Close)
	return f
}

func echoes(w http.ResponseWriter, body string) {
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	if body == "" {
		body = "{}"
	}
	io.WriteString(w, body)
}

func fails(kind, body string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, _ string) {
		w.Header().Set("X-Amz-Function-Error", kind)
		io.WriteString(w, body)
	}
}

var lambdaKey = sigv4.Credentials{AccessKeyID: "AKID", Secret: "secret", SessionToken: "token"}

// lambdaWorld is a table with functions behind it.
func lambdaWorld(endpoint, policy string) *world {
	w := &world{table: Table{}, log: &recorder{}, roles: &roles{policy: policy}}
	(&Lambda{Endpoint: endpoint, Credentials: lambdaKey, Gate: gate.New(w.log, nil), Roles: w.roles}).AddTo(w.table)
	return w
}

func direct(args string) flow.Task {
	t := task("lambda", "", args)
	t.Part = &asl.TaskPart{Kind: asl.LambdaTask, Service: "lambda", Resource: functionF}
	return t
}

func TestLambdaInvoke(t *testing.T) {
	f := newFunctions(t, func(w http.ResponseWriter, body string) {
		w.Header().Set("X-Amz-Log-Result", "bG9n")
		echoes(w, body)
	})
	w := lambdaWorld(f.URL+"/base", strings.Replace(allowLambda, "function:f", "function:f:live", 1))
	out, err := w.table.Invoke(t.Context(), task("lambda", "invoke",
		`{"FunctionName":"f","Payload": {"a": 1.50, "b": [ ]},"InvocationType":"RequestResponse","LogType":"Tail","ClientContext":"e30=","Qualifier":"live"}`))
	if err != nil {
		t.Fatal(err)
	}
	r := f.asked[0]
	if r.Method != "POST" || r.RequestURI != "/base/2015-03-31/functions/f/invocations?Qualifier=live" || f.bodies[0] != `{"a":1.50,"b":[]}` {
		t.Errorf("%s %s %s", r.Method, r.RequestURI, f.bodies[0])
	}
	for name, want := range map[string]string{"X-Amz-Invocation-Type": "RequestResponse", "X-Amz-Log-Type": "Tail", "X-Amz-Client-Context": "e30=", "X-Amz-Security-Token": "token"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	headers := [][2]string{{"Host", r.Host}}
	for k, v := range r.Header {
		headers = append(headers, [2]string{k, v[0]})
	}
	if _, err := sigv4.Verify(sigv4.Request{Method: r.Method, Target: r.RequestURI, Headers: headers, Body: []byte(f.bodies[0])},
		sigv4.Options{Service: "lambda", Region: "ap-northeast-1", Now: time.Now(), Skew: time.Minute},
		func(id, token string) (string, error) { return lambdaKey.Secret, nil }); err != nil {
		t.Errorf("signature: %v", err)
	}
	var keys strings.Builder
	for k := range out.Members() {
		keys.WriteString(k + " ")
	}
	if keys.String() != "ExecutedVersion LogResult Payload SdkHttpMetadata SdkResponseMetadata StatusCode " {
		t.Error(keys.String())
	}
	if out.Get("ExecutedVersion").Str() != "$LATEST" || out.Get("LogResult").Str() != "bG9n" || out.Get("Payload").JSON() != `{"a":1.50,"b":[]}` ||
		out.Get("SdkResponseMetadata").JSON() != `{"RequestId":"req-1"}` || out.Get("StatusCode").JSON() != "200" {
		t.Error(out)
	}
	h := out.Get("SdkHttpMetadata")
	if h.Get("HttpStatusCode").JSON() != "200" || h.Get("AllHttpHeaders").Get("x-amzn-RequestId").JSON() != `["req-1"]` || h.Get("HttpHeaders").Get("x-amzn-RequestId").Str() != "req-1" {
		t.Error(h)
	}
	rec := w.log.records[0]
	if rec.Source != "lambda.amazonaws.com" || rec.Name != "Invoke" || rec.State != "Ask" || !strings.HasSuffix(rec.ExecutionARN, ":run-1") ||
		rec.Request.JSON() != `{"functionName":"f","qualifier":"live","invocationType":"RequestResponse","logType":"Tail"}` || rec.Resources[0].Name != functionF+":live" {
		t.Errorf("%+v", rec)
	}
}

// A function that a traced execution calls gets the trace, of which its caller's
// span is the parent; the signature does not cover it.
func TestLambdaTrace(t *testing.T) {
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	f := newFunctions(t, echoes)
	w := lambdaWorld(f.URL, allowLambda)
	for _, trace := range []string{"", header} {
		call := task("lambda", "invoke", `{"FunctionName":"f"}`)
		call.Trace = trace
		if _, err := w.table.Invoke(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		r := f.asked[len(f.asked)-1]
		if got := r.Header.Get("X-Amzn-Trace-Id"); got != trace || strings.Contains(strings.ToLower(r.Header.Get("Authorization")), "x-amzn-trace-id") {
			t.Errorf("trace %q: %q, %s", trace, got, r.Header.Get("Authorization"))
		}
	}
}

func TestLambdaPayloads(t *testing.T) {
	f := newFunctions(t, echoes)
	w := lambdaWorld(f.URL, allowLambda)
	for _, c := range []struct{ args, sent, want string }{
		{`{"FunctionName":"f"}`, ``, `{}`},
		{`{"FunctionName":"f","Payload":null}`, ``, `{}`},
		{`{"FunctionName":"f","Payload":"0.0"}`, `0.0`, `0.0`},
		{`{"FunctionName":"f","Payload":"\"x\""}`, `"x"`, `"x"`},
		{`{"FunctionName":"f","Payload":{"x": 1}}`, `{"x":1}`, `{"x":1}`},
		{`{"FunctionName":"f","Payload":[1, 2]}`, `[1,2]`, `[1,2]`},
		{`{"FunctionName":"f","Payload":false}`, `false`, `false`},
		{`{"FunctionName":"f","Payload":"not JSON"}`, `not JSON`, `"not JSON"`},
	} {
		out, err := w.table.Invoke(t.Context(), task("lambda", "invoke", c.args))
		if err != nil || f.bodies[len(f.bodies)-1] != c.sent || out.Get("Payload").JSON() != c.want {
			t.Errorf("%s: sent %q, got %s, %v", c.args, f.bodies[len(f.bodies)-1], out, err)
		}
	}
	for _, args := range []string{`0`, `"x"`, `null`, `{"FunctionName":"g"}`, `true`} {
		out, err := w.table.Invoke(t.Context(), direct(args))
		if err != nil || out.JSON() != args || f.bodies[len(f.bodies)-1] != args {
			t.Errorf("%s: %s, %v", args, out, err)
		}
	}
	if got := f.asked[len(f.asked)-1].RequestURI; got != "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aap-northeast-1%3A111122223333%3Afunction%3Af/invocations" {
		t.Error(got)
	}
	if n := f.conns.Load(); n != 1 {
		t.Errorf("%d connections for calls one after the other", n)
	}
	f.answer = func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusAccepted) }
	out, err := w.table.Invoke(t.Context(), task("lambda", "invoke", `{"FunctionName":"f","InvocationType":"Event"}`))
	if err != nil || out.Has("Payload") || out.Get("StatusCode").JSON() != "202" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestLambdaFunctionErrors(t *testing.T) {
	const said = `{"errorMessage": "no", "errorType": "Custom", "stackTrace": []}`
	for _, c := range []struct{ name, kind, body, err, direct, invoke string }{
		{"typed", "Unhandled", said, "Custom", said, `{"errorMessage":"no","errorType":"Custom","stackTrace":[]}`},
		{"handled", "Handled", said, "Custom", said, `{"errorMessage":"no","errorType":"Custom","stackTrace":[]}`},
		{"untyped", "Unhandled", `{"errorMessage":"Task timed out"}`, "Lambda.Unknown",
			`The cause could not be determined because Lambda did not return an error type. Returned payload: {"errorMessage":"Task timed out"}`, "="},
		{"number", "Unhandled", `{"errorType":1}`, "Lambda.Unknown",
			`The cause could not be determined because Lambda did not return an error type. Returned payload: {"errorType":1}`, "="},
		{"text", "Unhandled", "oops \xff", "Lambda.Unknown",
			"The cause could not be determined because Lambda did not return an error type. Returned payload: oops \uFFFD", "="},
		{"nothing", "Unhandled", "", "Lambda.Unknown", "The cause could not be determined because Lambda did not return an error type.", "="},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFunctions(t, fails(c.kind, c.body))
			w := lambdaWorld(f.URL, allowLambda)
			_, err := w.table.Invoke(t.Context(), direct("{}"))
			if e := taskError(t, err); e.Name != c.err || e.Cause != c.direct {
				t.Errorf("direct: %v", e)
			}
			if c.invoke == "=" {
				c.invoke = c.direct
			}
			_, err = w.table.Invoke(t.Context(), task("lambda", "invoke", `{"FunctionName":"f"}`))
			if e := taskError(t, err); e.Name != c.err || e.Cause != c.invoke {
				t.Errorf("invoke: %v", e)
			}
			// The call itself went well, and that is what is on record.
			if rec := w.log.records[0]; rec.ErrorCode != "" || rec.Additional.Get("functionError").Str() != c.kind {
				t.Errorf("record: %s %s", rec.ErrorCode, rec.Additional)
			}
		})
	}
}

func TestLambdaServiceErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		kind   string
		body   string
		err    string
		cause  string
	}{
		{"missing", 404, "ResourceNotFoundException", `{"Type":"User","Message":"Function not found: x:$LATEST"}`, "Lambda.ResourceNotFoundException",
			"Function not found: x:$LATEST (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: req-1; Proxy: null)"},
		{"throttled", 429, "TooManyRequestsException:http://internal", `{"message":"Rate Exceeded."}`, "Lambda.TooManyRequestsException",
			"Rate Exceeded. (Service: AWSLambda; Status Code: 429; Error Code: TooManyRequestsException; Request ID: req-1; Proxy: null)"},
		{"denied", 403, "AccessDeniedException", `{"Message":"no"}`, "Lambda.AWSLambdaException",
			"no (Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException; Request ID: req-1; Proxy: null)"},
		{"typed-body", 400, "", `{"__type":"com.amazonaws.lambda#InvalidRequestContentException","message":"bad"}`, "Lambda.InvalidRequestContentException",
			"bad (Service: AWSLambda; Status Code: 400; Error Code: InvalidRequestContentException; Request ID: req-1; Proxy: null)"},
		{"html", 502, "", `<html>`, "Lambda.AWSLambdaException",
			"<html> (Service: AWSLambda; Status Code: 502; Error Code: null; Request ID: req-1; Proxy: null)"},
		{"redirect", 307, "", ``, "Lambda.AWSLambdaException",
			"null (Service: AWSLambda; Status Code: 307; Error Code: null; Request ID: req-1; Proxy: null)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFunctions(t, func(w http.ResponseWriter, _ string) {
				if c.kind != "" {
					w.Header().Set("X-Amzn-ErrorType", c.kind)
				}
				w.Header().Set("Location", "http://192.0.2.1/")
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			w := lambdaWorld(f.URL, allowLambda)
			_, err := w.table.Invoke(t.Context(), direct("{}"))
			if e := taskError(t, err); e.Name != c.err || e.Cause != c.cause {
				t.Errorf("%v", e)
			}
			if w.log.records[0].ErrorCode == "" {
				t.Error("the record says that it went well")
			}
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		f := newFunctions(t, echoes)
		f.Close()
		_, err := lambdaWorld(f.URL, allowLambda).table.Invoke(t.Context(), direct("{}"))
		if e := taskError(t, err); e.Name != "Lambda.SdkClientException" || !strings.HasPrefix(e.Cause, "Unable to execute HTTP request: dial tcp") {
			t.Errorf("%v", e)
		}
	})
	t.Run("endless", func(t *testing.T) {
		f := newFunctions(t, func(w http.ResponseWriter, _ string) { w.Write(make([]byte, maxLambdaAnswer+1)) })
		w := lambdaWorld(f.URL, allowLambda)
		_, err := w.table.Invoke(t.Context(), direct("{}"))
		if e := taskError(t, err); e.Name != "States.DataLimitExceeded" || e.Cause != "The state/task '"+functionF+"' returned a result with a size exceeding the maximum number of bytes service limit." {
			t.Errorf("%v", e)
		}
		_, err = w.table.Invoke(t.Context(), task("lambda", "invoke", `{"FunctionName":"f"}`))
		if e := taskError(t, err); !strings.HasPrefix(e.Cause, "The state/task 'lambda' returned") {
			t.Errorf("%v", e)
		}
	})
}

// A role that may not call a function reaches nobody, and is on record.
func TestLambdaDenied(t *testing.T) {
	f := newFunctions(t, echoes)
	w := lambdaWorld(f.URL, strings.Replace(allowLambda, "function:f", "function:other", 1))
	_, err := w.table.Invoke(t.Context(), task("lambda", "invoke", `{"FunctionName":"f"}`))
	e := taskError(t, err)
	if e.Name != "Lambda.AWSLambdaException" || len(f.asked) > 0 || !strings.HasPrefix(e.Cause, "User: arn:aws:sts::111122223333:assumed-role/SfnExec/run-1 is not authorized to perform: lambda:InvokeFunction on resource: "+functionF+" because no identity-based policy allows the lambda:InvokeFunction action (Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException; Request ID: ") {
		t.Errorf("%v, asked %d", e, len(f.asked))
	}
	if rec := w.log.records[0]; rec.ErrorCode != "AccessDenied" || rec.State != "Ask" {
		t.Errorf("%+v", rec)
	}
}

func TestLambdaRefusals(t *testing.T) {
	w := lambdaWorld("", allowLambda)
	_, err := w.table.Invoke(t.Context(), task("lambda", "invoke", `{"FunctionName":"f"}`))
	if e := taskError(t, err); e.Name != "States.TaskFailed" || !strings.Contains(e.Cause, "endpoints.lambda") || !strings.Contains(e.Cause, "AWS_ENDPOINT_URL_LAMBDA") {
		t.Errorf("%v", e)
	}
	for args, want := range map[string]string{
		`{}`: "'FunctionName' is required", `{"FunctionName":1}`: "'FunctionName' has an invalid format", `{"FunctionName":"f","Nope":1}`: `"Nope" is not supported`,
		`{"FunctionName":"f","InvocationType":{}}`: "'InvocationType' has an invalid format",
	} {
		tk := task("lambda", "invoke", args)
		if why := w.table.Refuse(tk.Part, tk.Args); !strings.Contains(why, want) {
			t.Errorf("%s: %q", args, why)
		}
	}
	tk := task("lambda", "invoke", `{"FunctionName":"f"}`)
	tk.Part.Pattern = asl.Sync
	_, err = w.table.Invoke(t.Context(), tk)
	if e := taskError(t, err); !strings.Contains(e.Cause, "integration pattern") {
		t.Errorf("%v", e)
	}
}

func TestFunctionARN(t *testing.T) {
	tk := task("lambda", "invoke", "{}")
	const base = "arn:aws:lambda:ap-northeast-1:111122223333:function:"
	for _, c := range [][3]string{
		{"f", "", base + "f"},
		{"f:live", "", base + "f:live"},
		{"f", "1", base + "f:1"},
		{"f:live", "live", base + "f:live"},
		{"999999999999:function:f", "", "arn:aws:lambda:ap-northeast-1:999999999999:function:f"},
		{functionF, "", functionF},
		{functionF, "live", functionF + ":live"},
		{functionF + ":1", "", functionF + ":1"},
	} {
		if got := functionARN(&tk, c[0], c[1]); got != c[2] {
			t.Errorf("%q %q: %s", c[0], c[1], got)
		}
	}
}

// Nobody waits for a function whose task is over.
func TestLambdaCancelled(t *testing.T) {
	begun, gone := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		close(begun)
		<-r.Context().Done()
		close(gone)
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-begun
		cancel(flow.ErrCancelled)
	}()
	w := lambdaWorld(srv.URL, allowLambda)
	if _, err := w.table.Invoke(ctx, direct("{}")); !errors.Is(err, flow.ErrCancelled) {
		t.Error(err)
	}
	<-gone
	if len(w.log.records) != 1 || w.log.records[0].ErrorCode != "RequestCanceled" {
		t.Errorf("%+v", w.log.records)
	}
}

// A kept connection that the other side has closed costs nobody a failure.
func TestLambdaKeptConnection(t *testing.T) {
	var count atomic.Int32
	f := newFunctions(t, func(w http.ResponseWriter, body string) {
		if n := count.Add(1); n == 2 || n > 3 {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
			return
		}
		echoes(w, body)
	})
	w := lambdaWorld(f.URL, allowLambda)
	for i := range 2 {
		if out, err := w.table.Invoke(t.Context(), direct(`{"a":1}`)); err != nil || out.JSON() != `{"a":1}` {
			t.Errorf("%d: %s, %v", i, out, err)
		}
	}
	f.mu.Lock()
	if f.bodies[1] != `{"a":1}` || f.bodies[2] != `{"a":1}` || f.asked[1].Header.Get("Authorization") != f.asked[2].Header.Get("Authorization") {
		t.Errorf("sent %q", f.bodies)
	}
	f.mu.Unlock()
	_, err := w.table.Invoke(t.Context(), direct(`{}`))
	if e := taskError(t, err); e.Name != "Lambda.SdkClientException" || count.Load() != 5 {
		t.Errorf("%v after %d requests", e, count.Load())
	}
}

func FuzzLambdaAnswer(f *testing.F) {
	f.Add([]byte(`{"errorType":"E"}`), 200, "")
	f.Add([]byte(`{"Message":"m"}`), 404, "X:y")
	f.Add([]byte("\xff\x00"), 500, "#")
	f.Add([]byte(nil), 302, "")
	f.Fuzz(func(t *testing.T, body []byte, status int, kind string) {
		r := &invoked{status: status, body: body, header: http.Header{}}
		if v := r.result(); !utf8.ValidString(v.JSON()) || !value.Valid(v.JSON()) {
			t.Errorf("result %q", v.JSON())
		}
		for _, compact := range []bool{true, false} {
			if e := taskError(t, r.failure(compact)); e.Name == "" || !utf8.ValidString(e.Cause) {
				t.Errorf("failure %v", e)
			}
		}
		res := &http.Response{StatusCode: status, Header: http.Header{"X-Amzn-Errortype": {kind}}}
		if err := serviceFault(res, body); faultCode(err) == "" {
			t.Errorf("%v has no code", err)
		}
	})
}

func BenchmarkLambdaInvoke(b *testing.B) {
	f := newFunctions(b, echoes)
	w := lambdaWorld(f.URL, allowLambda)
	tk := task("lambda", "invoke", `{"FunctionName":"f","Payload":{"a":1}}`)
	b.ReportAllocs()
	for b.Loop() {
		f.asked, f.bodies = nil, nil
		w.log.records = nil
		if _, err := w.table.Invoke(b.Context(), tk); err != nil {
			b.Fatal(err)
		}
	}
}
