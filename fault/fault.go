// Package fault is the error that a caller of our API can act on.
//
// Anything that is not a fault is ours: the front door logs it in full and
// tells the caller only the request id.
package fault

import (
	"errors"
	"fmt"
)

// Kind says whose mistake it was.
type Kind int

// The kinds.
const (
	Client   Kind = iota + 1 // the caller's: retrying the same is useless
	Throttle                 // too much at once: retrying later may help
	Server                   // ours, in words that AWS has for it
)

// Error carries the code that AWS clients switch on.
type Error struct {
	Kind    Kind
	Code    string // as AWS spells it, e.g. "ExecutionDoesNotExist"
	Message string
	Status  int      // HTTP status if the protocol's usual one does not apply, else 0
	Members []Member // further members of the error document
	Auth    bool     // said by the authorization layer, which writes "Message" where services write "message"
	Detail  any      // for rooms above, never for the wire: the iam.Decision behind a denial
	Err     error    // cause, for our logs only
}

// Member is a further member of an error document: a string, a number or a bool.
type Member struct {
	Name  string
	Value any
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return e.Code + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Newf returns a client's fault.
func Newf(code, format string, args ...any) *Error {
	return &Error{Kind: Client, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Code returns the code of the fault that err is or wraps; "" if it is none.
func Code(err error) string {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Code
	}
	return ""
}
