// Package iam decides whether a request is allowed, and says why.
//
// It is pure: policies come in as documents and are compiled once, a request
// comes in with its complete context, and the decision that comes out can give
// the reason of every statement. It knows nothing of who exists (principal) or
// of what was done (trail).
//
// The contract: Evaluate looks at every statement of every policy, whatever the
// ones before it said, so that its answer depends on the set of statements and
// never on their order. A Policy is immutable and may be shared; a Decision
// keeps the Policies it was made with, which must not be changed afterwards.
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

// Kind is what a policy is attached to, which decides what it may contain.
type Kind uint8

// The kinds.
const (
	IdentityPolicy Kind = iota + 1
	TrustPolicy
	ResourcePolicy
	ServiceControlPolicy
	ResourceControlPolicy
	SessionPolicy
	Boundary
)

// Bound is a policy and where it comes from.
type Bound struct {
	Policy *Policy
	Name   string
	ARN    string // "" if inline
	Owner  string // ARN of the user or role that carries it, or of the organizational unit
}

// Policies are all that bind one request. They must not be changed once a
// request was evaluated with them.
type Policies struct {
	Identity []Bound
	Boundary *Bound
	Session  []Bound   // nil: no session policy; empty: one that allows nothing
	SCP      [][]Bound // levels from the root down; none: not in an organization
	RCP      [][]Bound // AWS's RCPFullAWSAccess is implied
	Resource *Bound    // the resource's own policy; for sts:AssumeRole… the trust policy
}

// Caller is who asks: enough to match a Principal element.
type Caller struct {
	Type        string // in the words of aws:PrincipalType: Account, User, AssumedRole, FederatedUser, Anonymous; "Service" for an AWS service
	ARN         string
	Account     string
	ID          string // aws:userid
	RoleARN     string // of an assumed role: the role, with its path
	SessionName string
	Service     string // of an AWS service: its principal, e.g. states.amazonaws.com
	Root        bool   // the account's root user
}

// Request is one question. Context of the Authorization goes before Global
// where both have a key. The two together are complete: Evaluate adds nothing but
// aws:ResourceAccount, of a resource whose ARN has an account.
type Request struct {
	By Caller
	Authorization
	ResourceAccount string // the resource's owner; "": the account in its ARN, else the caller's
	Global          Context
}
