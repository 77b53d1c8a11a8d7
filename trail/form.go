package trail

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"tokaido/value"
)

// checkForm checks that a record's stored form is one that decodeRecord takes,
// with its members in the order in which appendRecord writes them, and makes
// nothing of it. It is what Verify does with every record. It returns what
// stands as additionalEventData.
func checkForm(body []byte) (f recordParts, err error) {
	c := cursor{b: body}
	c.object(recordForm, true)
	if c.err == nil && c.i != len(body) {
		c.fail("something follows the record")
	}
	return recordParts{body[c.from:c.to], c.request, c.failed}, c.err
}

// recordParts is what Verify wants to know of a record.
type recordParts struct {
	additional []byte // additionalEventData
	request    string // its request id, as it stands between its quotes; good while the body is
	failed     bool   // it has an errorCode
}

// form says what a member is.
type form uint8

const (
	isText form = iota
	isFlag
	isTime
	isPhase
	isFormat
	isAny
	isAdditional
	isRequest
	isError
	isIdentity
	isIssuer
	isResources
)

type known struct {
	key    string
	form   form
	prefix string // the key as it is written
}

// withPrefixes fills in how the keys are written.
func withPrefixes(all ...known) []known {
	for i := range all {
		all[i].prefix = `"` + all[i].key + `":`
	}
	return all
}

// The members of each object, in their order.
var (
	recordForm = withPrefixes([]known{
		{key: "v", form: isFormat}, {key: "id"}, {key: "time", form: isTime}, {key: "phase", form: isPhase}, {key: "intent"}, {key: "source"},
		{key: "name"}, {key: "region"}, {key: "account"}, {key: "identity", form: isIdentity}, {key: "sourceIP"}, {key: "userAgent"}, {key: "host"},
		{key: "tls", form: isFlag}, {key: "request", form: isRequest}, {key: "readOnly", form: isFlag}, {key: "parameters", form: isAny}, {key: "response", form: isAny},
		{key: "additional", form: isAdditional}, {key: "resources", form: isResources}, {key: "errorCode", form: isError}, {key: "errorMessage"},
		{key: "decisions", form: isAny}, {key: "execution"}, {key: "state"},
	}...)
	identityForm = withPrefixes([]known{
		{key: "type"}, {key: "principalId"}, {key: "arn"}, {key: "account"}, {key: "accessKey"}, {key: "user"},
		{key: "invokedBy"}, {key: "issued", form: isTime}, {key: "issuer", form: isIssuer},
	}...)
	issuerForm   = withPrefixes([]known{{key: "type"}, {key: "principalId"}, {key: "arn"}, {key: "account"}, {key: "user"}}...)
	resourceForm = withPrefixes([]known{{key: "type"}, {key: "name"}}...)
)

// cursor reads JSON as appendRecord writes it.
type cursor struct {
	b        []byte
	i        int
	from, to int    // of the additional
	request  string // as it stands
	failed   bool   // there is an errorCode
	err      error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("byte %d of the record: %s", c.i, fmt.Sprintf(format, args...))
	}
	c.i = len(c.b)
}

// next takes one byte that must be ch.
func (c *cursor) next(ch byte) bool {
	if c.i < len(c.b) && c.b[c.i] == ch {
		c.i++
		return true
	}
	c.fail("expected %q", ch)
	return false
}

func (c *cursor) peek() byte {
	if c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0
}

// object reads an object of known members. first: its first member must be there.
func (c *cursor) object(members []known, first bool) {
	if !c.next('{') {
		return
	}
	at := 0
	for more := c.peek() != '}'; more && c.err == nil; {
		rest := c.b[c.i:]
		for at < len(members) && !strings.HasPrefix(unsafe.String(unsafe.SliceData(rest), len(rest)), members[at].prefix) {
			if first && at == 0 {
				break
			}
			at++
		}
		if at == len(members) || first && at == 0 && !bytes.HasPrefix(rest, []byte(members[0].prefix)) {
			if k := c.str(); c.err == nil {
				c.fail("member %q is unknown, or not in its place", k)
			}
			return
		}
		c.i += len(members[at].prefix)
		c.member(members[at].form)
		at++
		if more = c.peek() == ','; more {
			c.i++
		}
	}
	if c.err == nil && first && at == 0 {
		c.fail("the record is empty")
	}
	if c.err == nil {
		c.next('}')
	}
}

func (c *cursor) member(f form) {
	switch f {
	case isText:
		c.str()
	case isTime:
		if _, err := time.Parse(time.RFC3339Nano, c.plain()); c.err == nil && err != nil {
			c.fail("%v", err)
		}
	case isPhase:
		if s := c.plain(); c.err == nil && !slices.Contains(phases[:], s) {
			c.fail("unknown phase %q", s)
		}
	case isFlag:
		c.word("true")
	case isFormat:
		c.word("1") // format
	case isAny:
		c.any(0)
	case isError:
		c.failed = true
		c.str()
	case isRequest:
		c.request = c.str()
	case isAdditional:
		c.from = c.i
		c.any(0)
		c.to = c.i
	case isIdentity:
		c.object(identityForm, false)
	case isIssuer:
		c.object(issuerForm, false)
	case isResources:
		if !c.next('[') {
			return
		}
		for more := c.peek() != ']'; more && c.err == nil; {
			c.object(resourceForm, false)
			if more = c.peek() == ','; more {
				c.i++
			}
		}
		if c.err == nil {
			c.next(']')
		}
	}
}

func (c *cursor) word(w string) {
	if len(c.b)-c.i >= len(w) && string(c.b[c.i:c.i+len(w)]) == w {
		c.i += len(w)
		return
	}
	c.fail("expected %s", w)
}

// plain is a string that needs no escapes.
func (c *cursor) plain() string {
	s := c.str()
	for i := range len(s) {
		if s[i] == '\\' {
			c.fail("an escape where none is needed")
		}
	}
	return s
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str reads a string and returns what is between its quotes, as it stands. It
// is good until the buffer changes.
func (c *cursor) str() string {
	if !c.next('"') {
		return ""
	}
	b, i, ascii := c.b, c.i, true
	for {
		for i+8 <= len(b) { // eight bytes that need no look
			x := binary.LittleEndian.Uint64(b[i:])
			quote := x ^ '"'*ones
			slash := x ^ '\\'*ones
			// Of each byte the top bit: it is a quote, a backslash, a control
			// character or not ASCII. A borrow may add bits above a true one, never alone.
			odd := ((quote - ones) &^ quote) | ((slash - ones) &^ slash) | ((x - 0x20*ones) &^ x) | x
			if odd &= highs; odd != 0 {
				i += bits.TrailingZeros64(odd) >> 3 // the lowest is a true one
				break
			}
			i += 8
		}
		if i >= len(b) {
			c.i = i
			c.fail("a string without an end")
			return ""
		}
		switch ch := b[i]; {
		case ch == '"':
			s := unsafe.String(unsafe.SliceData(b[c.i:]), i-c.i)
			if !ascii && !utf8.ValidString(s) {
				c.fail("a string that is not UTF-8")
				return ""
			}
			c.i = i + 1
			return s
		case ch == '\\':
			n := escape(b[i+1:])
			if n == 0 {
				c.i = i
				c.fail("an unknown escape")
				return ""
			}
			i += 1 + n
		case ch < 0x20:
			c.i = i
			c.fail("control character %#02x in a string", ch)
			return ""
		default:
			ascii = ascii && ch < utf8.RuneSelf
			i++
		}
	}
}

// escape is the length of what follows a backslash; 0 if that is no escape.
func escape(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		if len(b) < 5 {
			return 0
		}
		for _, ch := range b[1:5] {
			if !(ch >= '0' && ch <= '9' || ch|32 >= 'a' && ch|32 <= 'f') {
				return 0
			}
		}
		return 5
	}
	return 0
}

// any reads a value of any kind.
func (c *cursor) any(depth int) {
	if depth > value.MaxDepth {
		c.fail("nested more than %d deep", value.MaxDepth)
		return
	}
	c.space()
	switch c.peek() {
	case '{':
		c.i++
		for c.space(); c.peek() != '}'; c.space() {
			if c.str(); c.err != nil {
				return
			}
			if c.space(); !c.next(':') {
				return
			}
			if c.any(depth + 1); c.err != nil {
				return
			}
			if c.space(); c.peek() == ',' {
				c.i++
				if c.space(); c.peek() == '}' {
					c.fail("a comma before the end of an object")
				}
			} else if c.peek() != '}' {
				c.fail("expected ',' or '}'")
				return
			}
		}
		c.i++
	case '[':
		c.i++
		for c.space(); c.peek() != ']'; c.space() {
			if c.any(depth + 1); c.err != nil {
				return
			}
			if c.space(); c.peek() == ',' {
				c.i++
				if c.space(); c.peek() == ']' {
					c.fail("a comma before the end of an array")
				}
			} else if c.peek() != ']' {
				c.fail("expected ',' or ']'")
				return
			}
		}
		c.i++
	case '"':
		c.str()
	case 't':
		c.word("true")
	case 'f':
		c.word("false")
	case 'n':
		c.word("null")
	default:
		c.number()
	}
}

func (c *cursor) space() {
	for c.i < len(c.b) && (c.b[c.i] == ' ' || c.b[c.i] == '\n' || c.b[c.i] == '\t' || c.b[c.i] == '\r') {
		c.i++
	}
}

func (c *cursor) digits() {
	from := c.i
	for c.i < len(c.b) && c.b[c.i] >= '0' && c.b[c.i] <= '9' {
		c.i++
	}
	if c.i == from {
		c.fail("a digit is missing")
	}
}

func (c *cursor) number() {
	if c.peek() == '-' {
		c.i++
	}
	if c.peek() == '0' {
		c.i++
	} else {
		c.digits()
	}
	if c.peek() == '.' {
		c.i++
		c.digits()
	}
	if c.peek()|0x20 == 'e' {
		c.i++
		if c.peek() == '+' || c.peek() == '-' {
			c.i++
		}
		c.digits()
	}
}
