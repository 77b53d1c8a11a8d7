package trail

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"tokaido/fault"
)

// Attribute is what LookupEvents can search by, in AWS's words.
type Attribute string

// The attributes.
const (
	ByEventID      Attribute = "EventId"
	ByEventName    Attribute = "EventName"
	ByReadOnly     Attribute = "ReadOnly" // "true" or "false"
	ByUsername     Attribute = "Username"
	ByResourceType Attribute = "ResourceType"
	ByResourceName Attribute = "ResourceName"
	BySource       Attribute = "EventSource"
	ByAccessKeyID  Attribute = "AccessKeyId"
)

func (a Attribute) known() bool {
	switch a {
	case "", ByEventID, ByEventName, ByReadOnly, ByUsername, ByResourceType, ByResourceName, BySource, ByAccessKeyID:
		return true
	}
	return false
}

// Query asks for events.
type Query struct {
	Region    string    // "": of every Region
	Attribute Attribute // "": every event
	Value     string    // of Attribute, exactly
	Start     time.Time // inclusive; zero: from the beginning
	End       time.Time // inclusive; zero: without end
	Limit     int       // 1 to MaxPage; 0: MaxPage
	Token     string    // of the page before; the rest of the Query but Limit must be the same
}

// MaxPage is the most events in a Page.
const MaxPage = 50

// Page is a piece of a Query's answer, newest first.
type Page struct {
	Records []*Record
	Next    string // Token of the next page; "" if there is none
}

// Lookup finds events, those recorded last first. Intents do not show; their
// Outcomes do. Events that are recorded meanwhile do not move a page: a Token
// stands for a place in the log. The faults are CloudTrail's.
func (l *Log) Lookup(ctx context.Context, q Query) (Page, error) {
	switch {
	case q.Limit < 0 || q.Limit > MaxPage:
		return Page{}, fault.Newf("InvalidMaxResultsException", "Results limit must be between 1 and %d.", MaxPage)
	case q.Limit == 0:
		q.Limit = MaxPage
	}
	if !q.Attribute.known() {
		return Page{}, fault.Newf("InvalidLookupAttributesException", "Lookup attribute key %s is not supported.", q.Attribute)
	}
	if (q.Attribute == "") != (q.Value == "") {
		return Page{}, fault.Newf("InvalidLookupAttributesException", "A lookup attribute must have a key and a value.")
	}
	if !q.Start.IsZero() && !q.End.IsZero() && q.Start.After(q.End) {
		return Page{}, fault.Newf("InvalidTimeRangeException", "Start time must be before or equal to end time.")
	}
	limit := l.Head().Records + 1 // what is behind is on its way to the disk
	if q.Token != "" {
		var ok bool
		if limit, ok = q.place(q.Token); !ok {
			return Page{}, fault.Newf("InvalidNextTokenException", "The token in the request is invalid.")
		}
	}
	var p Page
	for {
		if err := context.Cause(ctx); err != nil {
			return Page{}, err
		}
		// One more than asked for tells whether there is a next page. Equal
		// hashes of different values are dropped here, so that it may take more
		// than one search.
		want := q.Limit + 1 - len(p.Records)
		found, err := l.index.search(&q, limit, want)
		if err != nil {
			return Page{}, err
		}
		for _, seq := range found {
			if len(p.Records) == q.Limit {
				p.Next = q.token(limit)
				return p, nil
			}
			limit = seq
			r, err := l.index.read(seq)
			if gone(err) {
				continue
			}
			if err != nil {
				return Page{}, err
			}
			if q.matches(r) {
				p.Records = append(p.Records, r)
			}
		}
		if len(found) < want {
			return p, nil
		}
	}
}

// gone reports whether a record was removed, with its segment, while it was
// looked for.
func gone(err error) bool { return errors.Is(err, errGoneRecord) || errors.Is(err, os.ErrClosed) }

func (q *Query) matches(r *Record) bool {
	switch q.Attribute {
	case ByEventID:
		return r.EventID == q.Value
	case ByEventName:
		return r.Name == q.Value
	case ByReadOnly:
		return readOnlyText(r.ReadOnly) == q.Value
	case ByUsername:
		return r.Username() == q.Value
	case BySource:
		return r.Source == q.Value
	case ByAccessKeyID:
		return r.Identity.AccessKeyID == q.Value
	case ByResourceType, ByResourceName:
		for _, x := range r.Resources {
			if q.Attribute == ByResourceType && x.Type == q.Value || q.Attribute == ByResourceName && x.Name == q.Value {
				return true
			}
		}
		return false
	}
	return true
}

const tokenVersion = 1

// token stands for the records before sequence limit. It carries a digest of what
// was asked, so that it is refused with another question.
func (q *Query) token(limit uint64) string {
	sum := q.digest()
	b := append([]byte{tokenVersion}, sum[:8]...)
	return base64.RawURLEncoding.EncodeToString(binary.AppendUvarint(b, limit))
}

func (q *Query) place(token string) (limit uint64, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if sum := q.digest(); err != nil || len(b) < 10 || b[0] != tokenVersion || string(b[1:9]) != string(sum[:8]) {
		return 0, false
	}
	u, n := binary.Uvarint(b[9:])
	if n != len(b)-9 || u > MaxRecords {
		return 0, false
	}
	return u, true
}

func (q *Query) digest() [sha256.Size]byte {
	var b []byte
	for _, s := range []string{q.Region, string(q.Attribute), q.Value} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, t := range []time.Time{q.Start, q.End} {
		if t.IsZero() {
			b = append(b, 0)
			continue
		}
		b = binary.AppendVarint(append(b, 1), t.UnixNano())
	}
	return sha256.Sum256(b)
}

// Find returns every record of a request, oldest first: its Intent too.
func (l *Log) Find(ctx context.Context, requestID string) ([]*Record, error) {
	if requestID == "" {
		return nil, nil
	}
	found, err := l.index.request(requestID)
	if err != nil {
		return nil, err
	}
	var all []*Record
	end := l.Head().Records
	for _, seq := range found {
		if seq > end {
			break // on its way to the disk
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		r, err := l.index.read(seq)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.RequestID == requestID {
			all = append(all, r)
		}
	}
	return all, nil
}
