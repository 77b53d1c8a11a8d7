// Package principal knows who exists: accounts, users, roles, access keys and
// sessions, and the policies that bind them. It hands out Principals; it
// decides only whether a role may be assumed, and records nothing (trail).
//
// The contract: a change is durable in the Store, all of it or none, before
// anybody can see it; reading never waits for a writer; and what a Directory
// hands out is never changed afterwards. Secrets are shown by no String, no
// format verb and no log.
package principal

import (
	"strconv"
	"strings"
	"time"

	"tokaido/iam"
)

// Type is what a Principal is, in the words of aws:PrincipalType.
type Type string

// The types.
const (
	Root        Type = "Account"
	User        Type = "User"
	AssumedRole Type = "AssumedRole"
	Service     Type = "Service" // an AWS service principal, e.g. states.amazonaws.com
)

// Tag is a name and a value on a user, role or policy, or of a session.
type Tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// Principal is an authenticated caller with everything that binds it. It must
// not be changed: many requests may share it.
type Principal struct {
	Type        Type
	Account     string
	ARN         string // arn:aws:iam::…:user/…, arn:aws:sts::…:assumed-role/ROLE/SESSION, …
	ID          string // AIDA…, AROA…:session, the account for its root
	Name        string // user's or role's name, without path
	RoleARN     string // AssumedRole: the role, with path
	SessionName string
	AccessKeyID string
	IssuedAt    time.Time // of temporary credentials
	Expires     time.Time // of temporary credentials
	AssumedBy   string    // AssumedRole: the service that assumed it, e.g. "states.amazonaws.com"; "" for a client
	Chained     bool      // AssumedRole: assumed with the credentials of another role

	Tags           []Tag // of the user or role, overridden by those of the session
	TransitiveTags []string
	SourceIdentity string
	Organization   string // its account's place in an organization, o-…/r-…/; "": in none
	Policies       iam.Policies
}

// Temporary reports whether p calls with temporary credentials.
func (p *Principal) Temporary() bool { return !p.IssuedAt.IsZero() }

// Caller is p as iam matches it.
func (p *Principal) Caller() iam.Caller {
	c := iam.Caller{
		Type: string(p.Type), ARN: p.ARN, Account: p.Account, ID: p.ID,
		RoleARN: p.RoleARN, SessionName: p.SessionName, Root: p.Type == Root,
	}
	if p.Type == Service {
		c.Service = p.Name
	}
	return c
}

// Context is the condition keys that follow from who p is (iam.md, section 5).
func (p *Principal) Context() iam.Context {
	one := func(key, v string) iam.Attribute { return iam.Attribute{Key: key, Values: []string{v}} }
	c := make(iam.Context, 0, 24+len(p.Tags)) // with room for the request's
	c = append(c, one("aws:PrincipalType", string(p.Type)))
	if p.Type == Service {
		return append(c, one("aws:PrincipalIsAWSService", "true"), one("aws:PrincipalServiceName", p.Name),
			iam.Attribute{Key: "aws:PrincipalServiceNamesList", Values: []string{p.Name}, Multi: true})
	}
	arn := p.ARN
	if p.Type == AssumedRole {
		arn = p.RoleARN
	}
	c = append(c, one("aws:PrincipalArn", arn), one("aws:PrincipalAccount", p.Account), one("aws:userid", p.ID),
		one("aws:PrincipalIsAWSService", "false"), one("aws:ViaAWSService", "false"))
	if p.Type == User {
		c = append(c, one("aws:username", p.Name))
	}
	if id, _, ok := strings.Cut(p.Organization, "/"); ok {
		c = append(c, one("aws:PrincipalOrgID", id), iam.Attribute{Key: "aws:PrincipalOrgPaths", Values: []string{p.Organization}, Multi: true})
	}
	for _, t := range p.Tags {
		c = append(c, one("aws:PrincipalTag/"+t.Key, t.Value))
	}
	if p.Temporary() {
		c = append(c, one("aws:TokenIssueTime", p.IssuedAt.UTC().Format(time.RFC3339)))
		if p.AssumedBy == "" {
			c = append(c, one("aws:MultiFactorAuthPresent", strconv.FormatBool(false)))
		}
	}
	if p.SourceIdentity != "" {
		c = append(c, one("aws:SourceIdentity", p.SourceIdentity))
	}
	return c
}

// Bearer is who an API key of Bedrock's stands for.
type Bearer struct {
	Principal *Principal
	Region    string // the only one that the key is good for; "": any
	Kind      string // SHORT_TERM or LONG_TERM, as in bedrock:bearerTokenType
}

// WithBearer is what a call that comes with an API key of a kind needs, besides
// what it needs anyway.
func WithBearer(kind string) iam.Authorization {
	return iam.Authorization{
		Action: "bedrock:CallWithBearerToken", Resource: "*",
		Context: iam.Context{{Key: "bedrock:bearerTokenType", Values: []string{kind}}},
	}
}
