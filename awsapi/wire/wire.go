// Package wire puts values on AWS's protocols and takes them off: JSON 1.0 and
// 1.1, REST-JSON, Query forms and their XML answers, error documents, and event
// streams.
//
// It is pure and knows no operation: which members a request may have is for
// the operation tables. It refuses what it cannot read with the code that AWS
// has for it, and never guesses at types: the leaves of a form are strings.
package wire

import (
	"fmt"
	"time"

	"tokaido/fault"
	"tokaido/value"
)

// Limits of what is read.
const (
	MaxFormFields = 10000 // name=value pairs of a form
	MaxFormDepth  = 16    // parts of a field's name
	MaxListIndex  = 10000 // of member.N
)

// DecodeJSON reads the body of a JSON request: an object, or nothing, which
// stands for an empty one.
func DecodeJSON(body []byte) (value.Value, error) {
	if len(body) == 0 {
		return value.Object(), nil
	}
	v, err := value.Parse(body)
	if err != nil {
		return value.Value{}, &fault.Error{Kind: fault.Client, Code: "SerializationException", Message: "Could not parse request body into json: " + err.Error(), Err: err}
	}
	if !v.IsObject() {
		return value.Value{}, fault.Newf("SerializationException", "Unexpected token: the request body must be a JSON object, it is a %s", v.Kind())
	}
	return v, nil
}

// EpochSeconds is a time as JSON protocols write it: seconds, with milliseconds
// as a fraction.
func EpochSeconds(t time.Time) value.Value {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return value.Int(ms / 1000)
	}
	return value.Float(float64(ms) / 1000)
}

// ISO8601 is a time as XML answers write it, to the second.
func ISO8601(t time.Time) value.Value {
	return value.String(t.UTC().Format("2006-01-02T15:04:05Z"))
}

// Error is what an error document says.
type Error struct {
	Code      string
	Message   string
	Auth      bool           // "Message" where services say "message"
	Server    bool           // ours, not the sender's
	Members   []value.Member // further members
	RequestID string
}

func (e *Error) members() []value.Member {
	key := "message"
	if e.Auth {
		key = "Message"
	}
	m := make([]value.Member, 0, 2+len(e.Members))
	m = append(m, value.Member{Key: key, Value: value.String(e.Message)})
	return append(m, e.Members...)
}

// JSON is the error document of JSON 1.0 and 1.1: __type and message.
func (e *Error) JSON() []byte {
	m := append([]value.Member{{Key: "__type", Value: value.String(e.Code)}}, e.members()...)
	return value.Object(m...).AppendJSON(nil)
}

// RESTJSON is the error document of REST-JSON, whose code stands in the header
// x-amzn-ErrorType. It is the payload of an exception in an event stream too.
func (e *Error) RESTJSON() []byte {
	return value.Object(e.members()...).AppendJSON(nil)
}

// XML is the error document of Query services.
func (e *Error) XML(namespace string) []byte {
	b := make([]byte, 0, 256+len(e.Message))
	b = append(b, `<ErrorResponse xmlns="`...)
	b = appendEscaped(b, namespace)
	b = append(b, "\">\n  <Error>\n    <Type>"...)
	if e.Server {
		b = append(b, "Receiver"...)
	} else {
		b = append(b, "Sender"...)
	}
	b = append(b, "</Type>\n    <Code>"...)
	b = appendEscaped(b, e.Code)
	b = append(b, "</Code>\n    <Message>"...)
	b = appendEscaped(b, e.Message)
	b = append(b, "</Message>\n"...)
	for _, m := range e.Members {
		b = append(b, "    "...)
		b = appendElement(b, m.Key, m.Value)
		b = append(b, '\n')
	}
	b = append(b, "  </Error>\n  <RequestId>"...)
	b = appendEscaped(b, e.RequestID)
	return append(b, "</RequestId>\n</ErrorResponse>\n"...)
}

// EdgeNamespace is that of errors said before a service is known.
const EdgeNamespace = "http://webservices.amazon.com/AWSFault/2005-15-09"

// Namespace returns the XML namespace of a Query service's version.
func Namespace(service, version string) string {
	return fmt.Sprintf("https://%s.amazonaws.com/doc/%s/", service, version)
}
