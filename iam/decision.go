package iam

import (
	"fmt"

	"tokaido/value"
)

// Layer is a stage of evaluation that can refuse, or that allowed.
type Layer uint8

// The layers, in the order in which they are evaluated and named.
const (
	NoLayer Layer = iota
	LayerSCP
	LayerRCP
	LayerResource
	LayerTrust
	LayerIdentity
	LayerBoundary
	LayerSession
	LayerRoot         // allowed: the account's root user needs no policy
	LayerBoth         // allowed across accounts: by identity and by resource
	LayerUnrestricted // allowed: the action needs no permission
	numLayers
)

var layerNames = [numLayers]string{"", "scp", "rcp", "resource", "trust", "identity", "boundary", "session", "root", "identity+resource", "unrestricted"}

func (l Layer) String() string {
	if l < numLayers {
		return layerNames[l]
	}
	return fmt.Sprintf("Layer(%d)", uint8(l))
}

// Test is a part of a statement that a request is held against.
type Test uint8

// The tests in the order in which they are made. Matched: none failed.
const (
	Matched Test = iota
	FailedPrincipal
	FailedAction
	FailedResource
	FailedCondition
	numTests
)

// Reason is what one statement said to a request.
type Reason struct {
	Layer     Layer
	Level     int    // of an SCP or RCP: 0 is the root
	Policy    string // its name
	ARN       string // "" if inline
	Owner     string
	Statement int    // from 0
	Sid       string
	Allow     bool
	Failed    Test   // Matched: it applied
	Condition string // FailedCondition: the operator and key that failed, e.g. "StringEquals aws:RequestedRegion"
}

// Decision is the answer to a Request.
type Decision struct {
	Request   Request
	Allowed   bool
	Explicit  bool   // denied by a Deny statement
	Layer     Layer  // which allowed, or which refused
	PolicyARN string // of a Deny: the managed policy it stands in; "" if inline
	By        Reason // the first statement that decided; zero if none did

	policies *Policies
	reasons  []Reason // of a decision that came from the trail
}

// Message is AWS's AccessDenied text for a refusal; "" if d allowed.
func (d *Decision) Message() string { return "" }

// Reasons lists every statement that was looked at, in order of the layers,
// with the first test it failed. It is made when asked for.
func (d *Decision) Reasons() []Reason { return nil }

// Value is d as the trail keeps it.
func (d *Decision) Value() value.Value { return value.Null() }

// DecisionFromValue reads what Value made.
func DecisionFromValue(v value.Value) (Decision, error) { return Decision{}, nil }

// Evaluate decides one request.
func Evaluate(p *Policies, r *Request) Decision { return Decision{Request: *r} }

// EvaluateAll decides every authorization of a call, also those after a
// refused one.
func EvaluateAll(p *Policies, by Caller, needs []Authorization, global Context) []Decision {
	ds := make([]Decision, len(needs))
	for i, n := range needs {
		r := Request{By: by, Authorization: n, Global: global}
		ds[i] = Evaluate(p, &r)
	}
	return ds
}
