package principal

import (
	"fmt"
	"net/http"

	"tokaido/fault"
)

// Faults of IAM and STS, in AWS's words (iam.md, section 13). All have a status
// of their own in the Query protocol.

func newFault(status int, code, format string, args ...any) *fault.Error {
	return &fault.Error{Kind: fault.Client, Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

func noSuchEntity(format string, args ...any) *fault.Error {
	return newFault(http.StatusNotFound, "NoSuchEntity", format, args...)
}

func alreadyExists(format string, args ...any) *fault.Error {
	return newFault(http.StatusConflict, "EntityAlreadyExists", format, args...)
}

func limitExceeded(format string, args ...any) *fault.Error {
	return newFault(http.StatusConflict, "LimitExceeded", format, args...)
}

func deleteConflict(format string, args ...any) *fault.Error {
	return newFault(http.StatusConflict, "DeleteConflict", format, args...)
}

func invalidInput(format string, args ...any) *fault.Error {
	return newFault(http.StatusBadRequest, "InvalidInput", format, args...)
}

func validation(format string, args ...any) *fault.Error {
	return newFault(http.StatusBadRequest, "ValidationError", format, args...)
}

// constraint is how AWS's request validation says what is wrong with a member.
func constraint(v any, member, format string, args ...any) *fault.Error {
	return validation("1 validation error detected: Value '%v' at '%s' failed to satisfy constraint: Member must %s", v, member, fmt.Sprintf(format, args...))
}

func malformed(format string, args ...any) *fault.Error {
	return newFault(http.StatusBadRequest, "MalformedPolicyDocument", format, args...)
}

func denied(format string, args ...any) *fault.Error {
	return newFault(http.StatusForbidden, "AccessDenied", format, args...)
}

// invalidToken and expiredToken have no status: it depends on the protocol.
func invalidToken() *fault.Error {
	return fault.Newf("UnrecognizedClientException", "The security token included in the request is invalid.")
}

func expiredToken() *fault.Error {
	return fault.Newf("ExpiredTokenException", "The security token included in the request is expired")
}
