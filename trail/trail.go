// Package trail keeps the audit log: an append-only chain of records in
// CloudTrail's shape, in which each record commits to the one before it.
//
// Append returns when the record is durable. Prompts and answers never come
// here; digests may.
package trail

import (
	"context"
	"errors"
	"time"
)

// Options of a Log.
type Options struct {
	SegmentSize int64            // bytes after which a new file is begun; 0: DefaultSegmentSize
	Sync        bool             // wait for the disk; without it a crash of the machine may lose records
	Now         func() time.Time // nil: time.Now
}

// Log is an audit log in a directory.
type Log struct{}

var errTODO = errors.New("trail: not yet")

// Open opens the log in dir, or begins one.
func Open(dir string, opts Options) (*Log, error) { return nil, errTODO }

// Append adds r at the end and returns when it is durable (see Record.Relaxed).
// It fills in EventID and Time if they are empty.
func (l *Log) Append(ctx context.Context, r *Record) error { return errTODO }

// Close makes everything durable and ends the log.
func (l *Log) Close() error { return errTODO }

// Query asks for events. One of Attribute and none is allowed.
type Query struct {
	Region    string
	Attribute Attribute // zero: every event
	Value     string
	Start     time.Time // zero: from the beginning
	End       time.Time // inclusive; zero: until now
	Limit     int       // 1 to MaxPage; 0: MaxPage
	Token     string    // of the page before; the rest of the Query must be the same
}

// MaxPage is the most events in a Page.
const MaxPage = 50

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

// Page is a piece of a Query's answer, newest first.
type Page struct {
	Records []*Record
	Next    string // Token of the next page; "" if there is none
}

// Lookup finds events, newest first. Intents do not show; their outcomes do.
func (l *Log) Lookup(ctx context.Context, q Query) (Page, error) { return Page{}, errTODO }

// Find returns every record of a request, oldest first.
func (l *Log) Find(ctx context.Context, requestID string) ([]*Record, error) { return nil, errTODO }
