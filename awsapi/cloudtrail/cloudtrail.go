// Package cloudtrail is CloudTrail's operation table over trail.
//
// It answers from the log of the Region that the signature names, as CloudTrail
// does, and refuses what the log cannot be asked.
package cloudtrail

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/trail"
	"tokaido/value"
)

// Log is what is looked into.
type Log interface {
	Lookup(ctx context.Context, q trail.Query) (trail.Page, error)
}

// maxToken is the longest NextToken that is looked at.
const maxToken = 4096

// maxAttribute is how long a lookup attribute's value may be.
const maxAttribute = 2000

// Options of the operations.
type Options struct {
	// LookupsPerSecond is how many LookupEvents a Region answers in a second, as
	// AWS does with 2; 0: there is no limit.
	LookupsPerSecond float64
}

// Ops are the operations.
func Ops(log Log, opts Options) []awsapi.Op {
	limit := pace{every: opts.LookupsPerSecond, next: map[string]time.Time{}}
	return []awsapi.Op{{
		Service: "cloudtrail", Source: "cloudtrail.amazonaws.com", Name: "LookupEvents", Protocol: awsapi.JSON11,
		Target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents", ReadOnly: true,
		Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
			return []iam.Authorization{{Action: "cloudtrail:LookupEvents", Resource: "*"}}, nil
		},
		Params: params,
		Handle: func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			if !limit.take(r.Region, r.Time) {
				return nil, &fault.Error{Kind: fault.Throttle, Code: "ThrottlingException", Message: "Rate exceeded"}
			}
			return lookup(ctx, log, r)
		},
	}}
}

// pace lets so many calls through in a second, for each Region.
type pace struct {
	every float64 // a second; 0: all

	mu   sync.Mutex
	next map[string]time.Time // by Region: when the calls let through so far are paid for; guarded by mu
}

// take reports whether a call may go on. A second's calls may come at once.
func (p *pace) take(region string, now time.Time) bool {
	if p.every == 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	each := time.Duration(float64(time.Second) / p.every)
	next := p.next[region]
	if next.Before(now) {
		next = now
	}
	if next = next.Add(each); next.Sub(now) > max(time.Second, each) {
		return false
	}
	p.next[region] = next
	return true
}

var keys = []trail.Attribute{
	trail.ByEventID, trail.ByEventName, trail.ByReadOnly, trail.ByUsername,
	trail.ByResourceType, trail.ByResourceName, trail.BySource, trail.ByAccessKeyID,
}

func lookup(ctx context.Context, log Log, r *awsapi.Request) (*awsapi.Response, error) {
	q, insight, err := query(r)
	if err != nil {
		return nil, err
	}
	if insight { // there are none: nothing here looks for unusual activity
		return awsapi.OK(value.Member{Key: "Events", Value: value.Array()}), nil
	}
	page, err := log.Lookup(ctx, q)
	if err != nil {
		return nil, err
	}
	events := make([]value.Value, len(page.Records))
	for i, rec := range page.Records {
		events[i] = event(rec)
	}
	return awsapi.OK(
		value.Member{Key: "Events", Value: value.Array(events...)},
		value.Member{Key: "NextToken", Value: text(page.Next)},
	), nil
}

// query reads and checks the parameters.
func query(r *awsapi.Request) (q trail.Query, insight bool, err error) {
	if err := r.Refuse("LookupAttributes", "StartTime", "EndTime", "EventCategory", "MaxResults", "NextToken"); err != nil {
		return q, false, err
	}
	in := r.Input
	q = trail.Query{Region: r.Region, Limit: trail.MaxPage}
	if v := in.Get("MaxResults"); given(v) {
		n, ok := v.Int()
		if !ok {
			return q, false, wrongType("MaxResults", "an integer", v)
		}
		if n < 1 || n > trail.MaxPage {
			return q, false, fault.Newf("InvalidMaxResultsException", "Results limit must be between 1 and %d.", trail.MaxPage)
		}
		q.Limit = int(n)
	}
	if v := in.Get("NextToken"); given(v) {
		if !v.IsString() {
			return q, false, wrongType("NextToken", "a string", v)
		}
		if q.Token = v.Str(); q.Token == "" || len(q.Token) > maxToken {
			return q, false, fault.Newf("InvalidNextTokenException", "The token in the request is invalid.")
		}
	}
	if v := in.Get("EventCategory"); given(v) {
		if v.Str() != "insight" {
			return q, false, fault.Newf("InvalidEventCategoryException", "The event category %.64s is not valid.", v)
		}
		insight = true
	}
	if q.Start, err = moment(in, "StartTime"); err != nil {
		return q, false, err
	}
	if q.End, err = moment(in, "EndTime"); err != nil {
		return q, false, err
	}
	if !q.Start.IsZero() && !q.End.IsZero() && q.Start.After(q.End) {
		return q, false, fault.Newf("InvalidTimeRangeException", "Start time must be before or equal to end time.")
	}
	if !q.End.IsZero() && q.End.Nanosecond() == 0 {
		q.End = q.End.Add(time.Second - 1) // events are shown to the second, and those of the last one count
	}
	v := in.Get("LookupAttributes")
	switch {
	case !given(v):
		return q, insight, nil
	case !v.IsArray():
		return q, false, wrongType("LookupAttributes", "a list", v)
	case v.Len() > 1:
		return q, false, fault.Newf("InvalidLookupAttributesException", "You can only use one lookup attribute per request.")
	case v.Len() == 0:
		return q, insight, nil
	}
	a := v.At(0)
	for k := range a.Members() {
		if k != "AttributeKey" && k != "AttributeValue" {
			return q, false, fault.Newf("ValidationException", "The parameter LookupAttributes[0].%.64s is not supported by LookupEvents.", k)
		}
	}
	q.Attribute, q.Value = trail.Attribute(a.Get("AttributeKey").Str()), a.Get("AttributeValue").Str()
	known := false
	var names []string
	for _, k := range keys {
		known = known || k == q.Attribute
		names = append(names, string(k))
	}
	if !known {
		return q, false, fault.Newf("InvalidLookupAttributesException",
			"1 validation error detected: Value '%.64s' at 'lookupAttributes.1.member.attributeKey' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
			q.Attribute, strings.Join(names, ", "))
	}
	if q.Value == "" || cost(q.Value) > maxAttribute {
		return q, false, fault.Newf("InvalidLookupAttributesException", "The value of the lookup attribute %s must have between 1 and %d characters.", q.Attribute, maxAttribute)
	}
	if q.Attribute == trail.ByReadOnly && q.Value != "true" && q.Value != "false" {
		return q, false, fault.Newf("InvalidLookupAttributesException", "The value of the lookup attribute ReadOnly must be true or false.")
	}
	return q, insight, nil
}

// cost counts a value as AWS documents it: some characters count twice.
func cost(s string) (n int) {
	for _, c := range s {
		n++
		if strings.ContainsRune("_ ,\n", c) {
			n++
		}
	}
	return n
}

// moment reads a time: seconds since 1970, or a text in ISO 8601.
func moment(in value.Value, name string) (time.Time, error) {
	v := in.Get(name)
	switch {
	case !given(v):
		return time.Time{}, nil
	case v.IsString():
		if t, err := time.Parse(time.RFC3339Nano, v.Str()); err == nil {
			return t, nil
		}
	case v.IsNumber():
		s, frac := math.Modf(v.Float())
		if s >= 0 && s < 1<<40 {
			return time.Unix(int64(s), int64(frac*1e9)), nil
		}
		return time.Time{}, fault.Newf("InvalidTimeRangeException", "The time range is outside the range of possible values.")
	}
	return time.Time{}, wrongType(name, "a timestamp", v)
}

func given(v value.Value) bool { return !v.IsUndefined() && !v.IsNull() }

func wrongType(name, want string, v value.Value) *fault.Error {
	return fault.Newf("SerializationException", "%s must be %s, it is a %s", name, want, v.Kind())
}

func event(r *trail.Record) value.Value {
	resources := make([]value.Value, len(r.Resources))
	for i, x := range r.Resources {
		resources[i] = value.Object(
			value.Member{Key: "ResourceType", Value: text(x.Type)},
			value.Member{Key: "ResourceName", Value: text(x.Name)},
		)
	}
	return value.Object(
		value.Member{Key: "EventId", Value: value.String(r.EventID)},
		value.Member{Key: "EventName", Value: value.String(r.Name)},
		value.Member{Key: "ReadOnly", Value: value.String(fmt.Sprint(r.ReadOnly))},
		value.Member{Key: "AccessKeyId", Value: text(r.Identity.AccessKeyID)},
		value.Member{Key: "EventTime", Value: wire.EpochSeconds(r.Time.Truncate(time.Second))},
		value.Member{Key: "EventSource", Value: value.String(r.Source)},
		value.Member{Key: "Username", Value: text(r.Username())},
		value.Member{Key: "Resources", Value: value.Array(resources...)},
		value.Member{Key: "CloudTrailEvent", Value: value.String(r.CloudTrail().JSON())},
	)
}

// text is a string, or no member where it is empty.
func text(s string) value.Value {
	if s == "" {
		return value.Value{}
	}
	return value.String(s)
}
