package iam

import (
	"strings"

	"tokaido/iam/wild"
)

// ParseCaller makes a Caller of what messages and records call a principal: an
// ARN of IAM or STS, a service's name, or "anonymous". A role's path is not in a
// session's ARN; RoleARN is then the role without one. A role's own ARN is a
// session of it that has no name yet, as in a simulation. ok is false for
// anything else.
func ParseCaller(s string) (c Caller, ok bool) {
	if s == "anonymous" || s == "*" {
		return Caller{Type: "Anonymous"}, true
	}
	p := wild.Cut(s)
	if !p.OK {
		if strings.HasSuffix(s, ".amazonaws.com") && !strings.ContainsAny(s, " :/") {
			return Caller{Type: "Service", Service: s}, true
		}
		return Caller{}, false
	}
	if p.Part[0] != "arn" || !isAccount(p.Part[4]) {
		return Caller{}, false
	}
	c = Caller{ARN: s, Account: p.Part[4]}
	kind, rest, _ := strings.Cut(p.Part[5], "/")
	switch {
	case p.Part[2] == "iam" && p.Part[5] == "root":
		c.Type, c.Root, c.ID = "Account", true, c.Account
	case p.Part[2] == "iam" && kind == "user" && rest != "":
		c.Type = "User"
	case p.Part[2] == "iam" && kind == "role" && rest != "":
		c.Type, c.RoleARN = "AssumedRole", s
	case p.Part[2] == "sts" && kind == "assumed-role":
		role, session, ok := strings.Cut(rest, "/")
		if !ok || role == "" || session == "" {
			return Caller{}, false
		}
		c.Type, c.SessionName = "AssumedRole", session
		c.RoleARN = "arn:" + p.Part[1] + ":iam::" + c.Account + ":role/" + role
	case p.Part[2] == "sts" && kind == "federated-user" && rest != "":
		c.Type = "FederatedUser"
	default:
		return Caller{}, false
	}
	return c, true
}
