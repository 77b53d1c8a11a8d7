package iam

import (
	"strings"

	"tokaido/iam/wild"
)

// ParseCaller makes a Caller of what messages and records call a principal: an
// ARN of IAM or STS, or a service's name. A role's path is not in a session's
// ARN; RoleARN is then the role without one. ok is false for anything else.
func ParseCaller(s string) (c Caller, ok bool) {
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
