package trail

import (
	"time"

	"tokaido/value"
)

// Phase says which part of a call a record tells of.
type Phase uint8

// The phases.
const (
	Whole   Phase = iota // all of it
	Intent               // it is about to happen
	Outcome              // what came of an Intent
)

// Record is one audited call. Who holds one must not change it.
type Record struct {
	EventID  string    // a UUID
	Time     time.Time // when the call came
	Source   string    // eventSource, e.g. "bedrock.amazonaws.com"
	Name     string    // eventName, e.g. "Converse"
	Region   string
	Account  string // whose trail it belongs to
	Identity Identity

	SourceIP  string // or the name of the service that called
	UserAgent string
	Host      string // as the client sent it
	TLS       bool
	RequestID string
	ReadOnly  bool

	Request    value.Value // requestParameters: no prompt, no secret
	Response   value.Value // responseElements, of calls that change something
	Additional value.Value // additionalEventData: an object
	Resources  []Resource

	ErrorCode    string // "" for success
	ErrorMessage string

	Phase     Phase
	IntentID  string      // Outcome: EventID of its Intent
	Decisions value.Value // what was decided and from what, for `policy explain`

	ExecutionARN string // of the workflow that made the call
	State        string // name of its state

	// Relaxed lets Append return when the record has its place in the log but
	// may not be on the disk yet. A record that comes later and is not relaxed
	// makes it durable, as does the passing of FlushEvery. It is not stored.
	Relaxed bool
}

// Resource is something that a call was about.
type Resource struct {
	Type string // e.g. "AWS::IAM::Role"
	Name string // its ARN
}

// Identity is who called, in CloudTrail's words.
type Identity struct {
	Type        string // Root, IAMUser, AssumedRole, AWSService, AWSAccount, Unknown
	PrincipalID string
	ARN         string
	Account     string
	AccessKeyID string
	UserName    string
	InvokedBy   string    // the service that called for it
	IssuedAt    time.Time // of temporary credentials
	Issuer      *Issuer   // of temporary credentials
}

// Issuer is who temporary credentials come from.
type Issuer struct {
	Type        string // Role, IAMUser, Root
	PrincipalID string
	ARN         string
	Account     string
	UserName    string
}

// CloudTrail is the event as CloudTrail prints it.
func (r *Record) CloudTrail() value.Value { return value.Object() }
