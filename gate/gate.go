// Package gate is the only way to do something on somebody's behalf: decide,
// perform, record.
//
// Invariants: nothing is performed without an allowing decision; no decision
// goes unrecorded; an inference is recorded before it leaves and after it came
// back; a call whose record cannot be written fails.
package gate

import (
	"context"
	"errors"
	"log/slog"

	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// Call is an intention: who wants what. Every one of Needs must be allowed.
type Call struct {
	By     *principal.Principal
	Source string // CloudTrail's eventSource, e.g. "bedrock.amazonaws.com"
	Name   string // CloudTrail's eventName, e.g. "Converse"
	Region string // in which the call was made

	Needs    []iam.Authorization // empty: nothing needs to be allowed (GetCallerIdentity)
	Context  iam.Context         // condition keys of the request as a whole
	Resource *iam.Bound          // the resource's own policy, e.g. a role's trust policy; nil: it has none
	Model    *iam.CallShape      // what an explanation should know of a Bedrock call; nil otherwise

	Request   value.Value // requestParameters: never a prompt, never a secret
	Resources []trail.Resource
	ReadOnly  bool
	Inference bool // recorded before as well as after
	Meta      Meta
	Workflow  Workflow
}

// Meta is where a request came from.
type Meta struct {
	RequestID string
	SourceIP  string // or a service's name
	UserAgent string
	Host      string // as the client sent it
	TLS       bool
}

// Workflow is the Task that a call was made for; zero for a client's own calls.
type Workflow struct {
	ExecutionARN string
	State        string
}

// Recorder is the log. Append must not return nil before the record is durable,
// unless the record is Relaxed.
type Recorder interface {
	Append(ctx context.Context, r *trail.Record) error
}

// Gate decides, and ties what is done to the log.
type Gate struct {
	log    Recorder
	logger *slog.Logger
}

// New is a gate that records in log. logger may be nil.
func New(log Recorder, logger *slog.Logger) *Gate { return &Gate{log, logger} }

// Act is a call that was allowed and is being performed. It must be ended.
type Act struct{}

// Begin decides c. A call that is not allowed is recorded and refused; one that
// is goes on to Act.End.
func (g *Gate) Begin(ctx context.Context, c Call) (*Act, error) {
	return nil, errors.New("gate: not yet")
}

// Note adds members to the record's additionalEventData.
func (a *Act) Note(members ...value.Member) {}

// Respond sets the record's responseElements: of calls that change something.
func (a *Act) Respond(v value.Value) {}

// End records what came of the call. Its error is that of the record.
func (a *Act) End(ctx context.Context, err error) error { return nil }

// Do performs fn if c is allowed, and records what came of it.
func Do[T any](ctx context.Context, g *Gate, c Call, fn func(context.Context, *Act) (T, error)) (T, error) {
	var out T
	a, err := g.Begin(ctx, c)
	if err != nil {
		return out, err
	}
	out, err = fn(ctx, a)
	return out, errors.Join(err, a.End(ctx, err))
}
