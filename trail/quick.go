package trail

import (
	"strings"
	"time"
	"unsafe"

	"tokaido/value"
)

// quickRecord reads a record's stored form as appendRecord writes it, in one
// pass; nil where it is written in another way, or not at all: that is for
// decodeRecord to say. The record keeps a copy of body, of which its texts are
// parts.
func quickRecord(body []byte) *Record {
	s := string(body)
	q := quick{cursor: cursor{b: unsafe.Slice(unsafe.StringData(s), len(s))}, s: s}
	r := new(Record)
	q.begin()
	if !q.key(`"v":`) {
		return nil
	}
	q.word("1") // format
	q.text(`"id":`, &r.EventID)
	q.time(`"time":`, &r.Time)
	if q.key(`"phase":`) {
		q.phase(&r.Phase)
	}
	q.text(`"intent":`, &r.IntentID)
	q.text(`"source":`, &r.Source)
	q.text(`"name":`, &r.Name)
	q.text(`"region":`, &r.Region)
	q.text(`"account":`, &r.Account)
	if q.key(`"identity":`) {
		q.identity(&r.Identity)
	}
	q.text(`"sourceIP":`, &r.SourceIP)
	q.text(`"userAgent":`, &r.UserAgent)
	q.text(`"host":`, &r.Host)
	q.flag(`"tls":`, &r.TLS)
	q.text(`"request":`, &r.RequestID)
	q.flag(`"readOnly":`, &r.ReadOnly)
	q.value(`"parameters":`, &r.Request)
	q.value(`"response":`, &r.Response)
	q.value(`"additional":`, &r.Additional)
	if q.key(`"resources":`) {
		r.Resources = q.resources()
	}
	q.text(`"errorCode":`, &r.ErrorCode)
	q.text(`"errorMessage":`, &r.ErrorMessage)
	q.value(`"decisions":`, &r.Decisions)
	q.text(`"execution":`, &r.ExecutionARN)
	q.text(`"state":`, &r.State)
	q.end()
	if q.err != nil || q.i != len(s) {
		return nil
	}
	return r
}

// quick reads members in the order in which it is asked for them.
type quick struct {
	cursor
	s     string // what the cursor reads
	first bool   // no member of the object has come
}

func (q *quick) begin() {
	q.next('{')
	q.first = true
}

func (q *quick) end() {
	q.next('}')
	q.first = false // the object was a member
}

// key takes the key of a member that may be there, with the comma before it.
func (q *quick) key(k string) bool {
	i := q.i
	if !q.first {
		if i >= len(q.s) || q.s[i] != ',' {
			return false
		}
		i++
	}
	if !strings.HasPrefix(q.s[i:], k) {
		return false
	}
	q.i, q.first = i+len(k), false
	return true
}

func (q *quick) text(k string, to *string) {
	if q.key(k) {
		*to = q.string()
	}
}

// string reads a text.
func (q *quick) string() string {
	from := q.i
	s := q.str()
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	v, err := value.ParseString(q.s[from:q.i])
	if err != nil {
		q.fail("%v", err)
	}
	return v.Str()
}

func (q *quick) time(k string, to *time.Time) {
	if !q.key(k) {
		return
	}
	t, err := time.Parse(time.RFC3339Nano, q.plain())
	if err != nil {
		q.fail("%v", err)
	}
	*to = t.UTC()
}

func (q *quick) phase(to *Phase) {
	s := q.plain()
	for p, name := range phases {
		if s == name {
			*to = Phase(p)
			return
		}
	}
	q.fail("unknown phase")
}

func (q *quick) flag(k string, to *bool) {
	if q.key(k) {
		q.word("true")
		*to = true
	}
}

func (q *quick) value(k string, to *value.Value) {
	if !q.key(k) {
		return
	}
	from := q.i
	if q.any(0); q.err != nil {
		return
	}
	v, err := value.ParseString(q.s[from:q.i])
	if err != nil {
		q.fail("%v", err)
	}
	*to = v
}

func (q *quick) identity(id *Identity) {
	q.begin()
	q.text(`"type":`, &id.Type)
	q.text(`"principalId":`, &id.PrincipalID)
	q.text(`"arn":`, &id.ARN)
	q.text(`"account":`, &id.Account)
	q.text(`"accessKey":`, &id.AccessKeyID)
	q.text(`"user":`, &id.UserName)
	q.text(`"invokedBy":`, &id.InvokedBy)
	q.time(`"issued":`, &id.IssuedAt)
	if q.key(`"issuer":`) {
		x := new(Issuer)
		q.begin()
		q.text(`"type":`, &x.Type)
		q.text(`"principalId":`, &x.PrincipalID)
		q.text(`"arn":`, &x.ARN)
		q.text(`"account":`, &x.Account)
		q.text(`"user":`, &x.UserName)
		q.end()
		id.Issuer = x
	}
	q.end()
}

func (q *quick) resources() (all []Resource) {
	q.next('[')
	for q.err == nil && q.peek() != ']' {
		if len(all) > 0 {
			q.next(',')
		}
		var x Resource
		q.begin()
		q.text(`"type":`, &x.Type)
		q.text(`"name":`, &x.Name)
		q.end()
		all = append(all, x)
	}
	q.next(']')
	return all
}
