package trail

import (
	"strings"
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

// eventVersion is that of the records AWS writes since 2025.
const eventVersion = "1.11"

// CloudTrail is the event as CloudTrail prints it: eventTime to the second, and
// null where a call had no parameters or no response. What AWS has no place for
// stands in additionalEventData: the workflow that made the call.
func (r *Record) CloudTrail() value.Value {
	m := make([]value.Member, 0, 24)
	add := func(key string, v value.Value) { m = append(m, value.Member{Key: key, Value: v}) }
	add("eventVersion", value.String(eventVersion))
	add("userIdentity", r.Identity.cloudTrail())
	add("eventTime", stamp(r.Time))
	add("eventSource", value.String(r.Source))
	add("eventName", value.String(r.Name))
	add("awsRegion", value.String(r.Region))
	add("sourceIPAddress", value.String(r.SourceIP))
	add("userAgent", text(r.UserAgent))
	add("errorCode", text(r.ErrorCode))
	add("errorMessage", text(r.ErrorMessage))
	add("requestParameters", orNull(r.Request))
	add("responseElements", orNull(r.Response))
	add("additionalEventData", r.additional())
	add("requestID", text(r.RequestID))
	add("eventID", value.String(r.EventID))
	add("readOnly", value.Bool(r.ReadOnly))
	if len(r.Resources) > 0 {
		all := make([]value.Value, len(r.Resources))
		for i, x := range r.Resources {
			all[i] = value.Object(
				value.Member{Key: "accountId", Value: text(r.Account)},
				value.Member{Key: "type", Value: text(x.Type)},
				value.Member{Key: "ARN", Value: value.String(x.Name)},
			)
		}
		add("resources", value.Array(all...))
	}
	add("eventType", value.String("AwsApiCall"))
	category := "Management"
	if r.Data() {
		category = "Data"
	}
	add("managementEvent", value.Bool(!r.Data()))
	add("recipientAccountId", text(r.Account))
	add("eventCategory", value.String(category))
	if r.Host != "" && r.TLS {
		add("tlsDetails", value.Object(value.Member{Key: "clientProvidedHostHeader", Value: value.String(r.Host)}))
	}
	return value.Object(m...)
}

// Data reports whether it is what CloudTrail calls a data event: what is done to
// objects in a bucket. LookupEvents does not show those.
func (r *Record) Data() bool {
	if r.Source != "s3.amazonaws.com" {
		return false
	}
	switch r.Name {
	case "GetBucketLocation", "HeadBucket", "ListBuckets":
		return false
	}
	return true
}

// additional is additionalEventData with the workflow's context.
func (r *Record) additional() value.Value {
	if r.ExecutionARN == "" && r.State == "" {
		return r.Additional
	}
	v := r.Additional
	if !v.IsObject() {
		v = value.Object()
	}
	v = v.With("executionArn", text(r.ExecutionARN))
	return v.With("state", text(r.State))
}

// Username is what LookupEvents calls the caller.
func (r *Record) Username() string {
	switch id := &r.Identity; {
	case id.UserName != "":
		return id.UserName
	case id.Type == "Root":
		return "root"
	case id.Type == "AssumedRole":
		if i := strings.LastIndexByte(id.ARN, '/'); i >= 0 {
			return id.ARN[i+1:]
		}
	}
	return r.Identity.InvokedBy
}

func (id *Identity) cloudTrail() value.Value {
	if id.Type == "AWSService" {
		return value.Object(
			value.Member{Key: "type", Value: value.String(id.Type)},
			value.Member{Key: "invokedBy", Value: text(id.InvokedBy)},
		)
	}
	m := []value.Member{
		{Key: "type", Value: value.String(id.Type)},
		{Key: "principalId", Value: text(id.PrincipalID)},
		{Key: "arn", Value: text(id.ARN)},
		{Key: "accountId", Value: text(id.Account)},
		{Key: "accessKeyId", Value: text(id.AccessKeyID)},
		{Key: "userName", Value: text(id.UserName)},
	}
	if !id.IssuedAt.IsZero() {
		var session []value.Member
		if s := id.Issuer; s != nil {
			session = append(session, value.Member{Key: "sessionIssuer", Value: value.Object(
				value.Member{Key: "type", Value: text(s.Type)},
				value.Member{Key: "principalId", Value: text(s.PrincipalID)},
				value.Member{Key: "arn", Value: text(s.ARN)},
				value.Member{Key: "accountId", Value: text(s.Account)},
				value.Member{Key: "userName", Value: text(s.UserName)},
			)})
		}
		session = append(session, value.Member{Key: "attributes", Value: value.Object(
			value.Member{Key: "creationDate", Value: stamp(id.IssuedAt)},
			value.Member{Key: "mfaAuthenticated", Value: value.String("false")},
		)})
		m = append(m, value.Member{Key: "sessionContext", Value: value.Object(session...)})
	}
	m = append(m, value.Member{Key: "invokedBy", Value: text(id.InvokedBy)})
	return value.Object(m...)
}

// text is a string, or no member at all where it is empty.
func text(s string) value.Value {
	if s == "" {
		return value.Value{}
	}
	return value.String(s)
}

func orNull(v value.Value) value.Value {
	if v.IsUndefined() {
		return value.Null()
	}
	return v
}

func stamp(t time.Time) value.Value { return value.String(t.UTC().Format("2006-01-02T15:04:05Z")) }
