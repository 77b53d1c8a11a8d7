// Package principal knows who exists: accounts, users, roles, access keys and
// sessions, and the policies that bind them. It hands out Principals; it
// decides nothing (iam) and records nothing (trail).
package principal

import "time"

// Type is what a Principal is, in the words of aws:PrincipalType.
type Type string

// The types.
const (
	Root        Type = "Account"
	User        Type = "User"
	AssumedRole Type = "AssumedRole"
	Service     Type = "Service" // an AWS service principal, e.g. states.amazonaws.com
)

// Principal is an authenticated caller with everything that binds it.
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
}
