// Package iam decides whether a request is allowed, and says why.
//
// It is pure: policies come in as documents and are compiled once, a request
// comes in with its complete context, and the decision that comes out carries
// the reason of every statement. It knows nothing of who exists (principal) or
// of what was done (trail).
package iam

// Authorization is one thing that must be allowed: an action on a resource,
// with the condition keys that belong to this resource (aws:RequestedRegion of
// a destination, bedrock:InferenceProfileArn, …). A call often needs several.
type Authorization struct {
	Action   string
	Resource string
	Context  Context
}

// Context holds condition keys and their values; a key that is not there is
// absent. Names are compared without regard to case.
type Context []Attribute

// Attribute is one condition key. Multi marks a multivalued key.
type Attribute struct {
	Key    string
	Values []string
	Multi  bool
}
