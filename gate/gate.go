// Package gate is the only way to do something on somebody's behalf: decide,
// perform, record.
//
// Invariants: nothing is performed without an allowing decision; no decision
// goes unrecorded; an inference is recorded before it leaves and after it came
// back; a call whose record cannot be written fails.
package gate

import (
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/value"
)

// Call is an intention: who wants what. Every one of Needs must be allowed.
type Call struct {
	By     *principal.Principal
	Source string // CloudTrail's eventSource, e.g. "bedrock.amazonaws.com"
	Name   string // CloudTrail's eventName, e.g. "Converse"
	Region string // in which the call was made

	Needs   []iam.Authorization // empty: nothing needs to be allowed (GetCallerIdentity)
	Context iam.Context         // condition keys of the request as a whole

	Request   value.Value // requestParameters: never a prompt, never a secret
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
