// Package awsapi is the front door: it finds the operation, learns who is
// calling, and turns faults into the error documents that AWS's clients expect.
//
// It ignores the host that a client names: which service and Region are meant
// stands in the signature's scope, and which operation in X-Amz-Target, in the
// path, or in Action. It reads paths and queries exactly as the signature does.
package awsapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"tokaido/fault"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// Protocol is how an operation is put on the wire.
type Protocol uint8

// The protocols.
const (
	JSON10 Protocol = iota + 1 // X-Amz-Target, application/x-amz-json-1.0
	JSON11
	RESTJSON
	Query // Action=… in a form, XML answers
	S3    // a bucket, an object and a query in the target, XML answers; found by the service in the signature
)

// Op is one operation of one service.
type Op struct {
	Service  string // the name in signatures: "states", "bedrock", "iam", "sts", "cloudtrail"
	Source   string // CloudTrail's eventSource: "states.amazonaws.com"
	Name     string // "StartExecution"
	Protocol Protocol
	Target   string // JSON10, JSON11: "AWSStepFunctions.StartExecution"
	Route    string // RESTJSON: a ServeMux pattern, "POST /model/{modelId}/converse"; S3: "GET /", "GET /{Bucket}", "GET /{Bucket}/{Key}", the latter with "?parameter" too
	Version  string // Query: "2010-05-08"; the XML namespace follows from Service and Version
	ReadOnly bool
	Volatile bool   // see gate.Call
	Region   string // where the service lives if it is in one Region only: "us-east-1" for IAM; "": where the signature says
	MaxBody  int64  // bytes of the body; 0: the protocol's limit
	Blob     bool   // RESTJSON: the body is no document; Input stays empty and Raw has it

	// Needs says what must be allowed. It may refuse a request that cannot be
	// understood, which is recorded. It may also set Resource and Resources of
	// the Request. An Op without Needs must say why in Open; one with Needs has
	// no Open.
	Needs func(context.Context, *Request) ([]iam.Authorization, error)
	Open  string // why nobody needs permission, or why Handle enters the gate by itself

	// KeyHeader is a header that an API key may stand in, besides Authorization;
	// "": none.
	KeyHeader string

	// Fail writes a fault's document, for clients that are not AWS's; nil: that of
	// the Protocol. The status is what the Protocol has for it.
	Fail func(f *fault.Error, status int, requestID string) []byte

	// Params returns the requestParameters of the record, without prompts and
	// secrets; nil stands for the whole Input, with Path and Query where the
	// protocol has them.
	Params func(*Request) value.Value

	// Result returns the responseElements of the record, without secrets; nil
	// records none. See Elements.
	Result func(*Request, *Response) value.Value

	// Handle performs the operation. Unless Open is set it runs inside the gate,
	// and so does the Stream of its Response.
	Handle func(context.Context, *Request) (*Response, error)
}

// Request is a call whose caller is known and whose body is read.
type Request struct {
	Op      *Op
	By      *principal.Principal
	Region  string // of the signature's scope; of an API key, see Directory
	Account string // the caller's
	Bearer  string // the kind of API key it came with, SHORT_TERM or LONG_TERM; "": it is signed
	Meta    gate.Meta
	Context iam.Context // condition keys of the request: aws:SourceIp, aws:SecureTransport, …

	Path   map[string]string // RESTJSON, S3: decoded segments, by the names in Route
	Query  url.Values
	Header http.Header
	Raw    []byte      // the body as it came
	Input  value.Value // the body as an object: parsed JSON, or the form of a Query call
	Time   time.Time   // when it came

	// Needs may set these for the gate.
	Resource  *iam.Bound       // the policy of the resource itself
	Resources []trail.Resource // what the call is about

	// Act takes what is to be recorded besides; nil where the gate is not
	// entered by the server.
	Act *gate.Act
}

// Response is an answer.
type Response struct {
	Status int         // 0: 200
	Header http.Header // further headers
	Body   value.Value // JSON, or what the XML of a Query answer is made of
	Raw    []byte      // instead of Body: written as it is, with Header's Content-Type

	// Stream, if set, writes an event stream; an error before the first event is
	// an ordinary error answer, one after it an exception event. It must end soon
	// after its context does: the client is gone then.
	Stream func(context.Context, EventWriter) error

	// Text, if set, writes a body in pieces, with Header's Content-Type. It must
	// say by itself, in its own form, what goes wrong after the first piece; before
	// it an error is an ordinary error answer.
	Text func(context.Context, TextWriter) error
}

// TextWriter sends a body in pieces. Each is flushed at once.
type TextWriter interface {
	WriteText(b []byte) error
}

// EventWriter sends the events of a stream. Each is flushed at once.
type EventWriter interface {
	// Event sends one event with a JSON payload.
	Event(name string, payload value.Value) error
}

// OK is an answer with a JSON or XML body made of members.
func OK(members ...value.Member) *Response {
	return &Response{Body: value.Object(members...)}
}
