// Package residency answers where inferences ran: it counts calls by the Region
// that served them, and names every call that left a boundary. It reads records
// of our own trail and CloudTrail's events alike.
//
// It says what it does not know: a call that failed was served nowhere; one
// whose outcome nobody saw may have been served in any Region of its profile;
// and where AWS's event names no Region it means the one that was called.
package residency

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"tokaido/arn"
	"tokaido/bedrock/catalog"
	"tokaido/trail"
	"tokaido/value"
)

// Call is one inference, or the attempt at one.
type Call struct {
	Time      time.Time
	RequestID string
	Event     string // "Converse"
	Source    string // Region in which the call was made
	Profile   string // inference profile, "" if the model itself was called
	Model     string
	Principal string // ARN: of a session its role's
	Workflow  string // ARN of the state machine; "" for a client's own call
	Execution string // ARN

	Region  string   // that served it; "" if none did, or if it is not known
	Assumed bool     // the event names no Region: Source served it
	Reached []string // further Regions that got the request, and did not answer it
	May     []string // Regions of which one may have served it, where that is not known
	Failed  string   // error code
	Input   int64    // tokens
	Output  int64
}

// events are the names of calls that give a prompt to a model.
var events = map[string]bool{
	"InvokeModel": true, "InvokeModelWithResponseStream": true, "InvokeModelWithBidirectionalStream": true,
	"Converse": true, "ConverseStream": true, "StartAsyncInvoke": true, "CountTokens": true,
}

const source = "bedrock.amazonaws.com"

// unknownOutcomes are error codes of calls that may have been served all the same.
var unknownOutcomes = map[string]bool{trail.OutcomeUnknown: true}

// Reader makes Calls of records and events.
type Reader struct{ Catalog *catalog.Catalog }

// Record makes a Call of a record of our own trail, if it is one.
func (rd Reader) Record(r *trail.Record) (Call, bool) {
	if r.Source != source || !events[r.Name] || r.Phase == trail.Intent {
		return Call{}, false
	}
	c := Call{
		Time: r.Time, RequestID: r.RequestID, Event: r.Name, Source: r.Region, Principal: r.Identity.ARN, Execution: r.ExecutionARN, Failed: r.ErrorCode,
	}
	if s := r.Identity.Issuer; s != nil {
		c.Principal = s.ARN
	}
	rd.fill(&c, r.Request, r.Additional, r.Phase == trail.Outcome)
	return c, true
}

// Event makes a Call of an event as CloudTrail writes it, if it is one.
func (rd Reader) Event(v value.Value) (Call, bool) {
	if v.Get("eventSource").Str() != source || !events[v.Get("eventName").Str()] {
		return Call{}, false
	}
	at, err := time.Parse(time.RFC3339, v.Get("eventTime").Str())
	if err != nil {
		return Call{}, false
	}
	id := v.Get("userIdentity")
	extra := v.Get("additionalEventData")
	c := Call{
		Time: at, RequestID: v.Get("requestID").Str(), Event: v.Get("eventName").Str(), Source: v.Get("awsRegion").Str(),
		Principal: cmp.Or(id.Get("sessionContext").Get("sessionIssuer").Get("arn").Str(), id.Get("arn").Str(), id.Get("invokedBy").Str()),
		Execution: extra.Get("executionArn").Str(), Failed: v.Get("errorCode").Str(),
	}
	rd.fill(&c, v.Get("requestParameters"), extra, true)
	return c, true
}

// fill reads what both forms have alike. left says that the request went out.
func (rd Reader) fill(c *Call, params, extra value.Value, left bool) {
	rd.model(c, params.Get("modelId").Str(), extra.Get(trail.ReceiptMember).Get("model").Str())
	c.Workflow = machineOf(c.Execution)
	if n, ok := extra.Get("inputTokens").Int(); ok {
		c.Input = n
	}
	if n, ok := extra.Get("outputTokens").Int(); ok {
		c.Output = n
	}
	c.Region = extra.Get("inferenceRegion").Str()
	for _, a := range extra.Get("attempts").Items() {
		region := a.Get("region").Str()
		switch a.Get("outcome").Str() {
		case "full", "out": // passed over: it got nothing
		default:
			if region != c.Region && region != "" && !slices.Contains(c.Reached, region) {
				c.Reached = append(c.Reached, region)
			}
		}
	}
	for _, r := range extra.Get("inferenceRegions").Items() {
		c.May = append(c.May, r.Str())
	}
	switch {
	case c.Region != "" || len(c.May) > 0:
	case unknownOutcomes[c.Failed] && left:
		c.May = rd.destinations(c)
	case c.Failed != "":
	default: // "if the request was processed without being re-routed" it is absent
		c.Region, c.Assumed = c.Source, true
	}
}

// destinations are the Regions that a call may run in.
func (rd Reader) destinations(c *Call) []string {
	if rd.Catalog != nil && c.Profile != "" {
		if p, ok := rd.Catalog.Profile(c.Profile); ok {
			if to := p.Destinations(c.Source); len(to) > 0 {
				return to
			}
		}
		return []string{Anywhere}
	}
	return []string{c.Source}
}

// Anywhere stands for Regions that are not known.
const Anywhere = "?"

// geographies begin the ids of AWS's profiles that the catalog may not know yet.
var geographies = []string{"us-gov.", "us.", "eu.", "apac.", "jp.", "au.", "ca.", "global."}

// model takes what the caller passed apart: a model, a profile, or an ARN.
func (rd Reader) model(c *Call, id, served string) {
	name := id
	if a, err := arn.Parse(id); err == nil {
		kind, rest := a.Split()
		name = rest
		if kind == "application-inference-profile" {
			c.Profile, c.Model = id, served
			return
		}
	}
	if rd.Catalog != nil {
		if p, ok := rd.Catalog.Profile(name); ok {
			c.Profile, c.Model = name, p.Model.ID
			return
		}
		if _, ok := rd.Catalog.Model(name); ok {
			c.Model = name
			return
		}
	}
	for _, g := range geographies {
		if rest, ok := strings.CutPrefix(name, g); ok {
			c.Profile, c.Model = name, rest
			return
		}
	}
	if served != "" && served != name { // a profile of the operator's own
		c.Profile, c.Model = name, served
		return
	}
	c.Model = name
}

// machineOf is the state machine of an execution's ARN.
func machineOf(execution string) string {
	p := strings.Split(execution, ":")
	if len(p) < 8 || p[2] != "states" || p[5] != "execution" && p[5] != "express" {
		return ""
	}
	name, _, _ := strings.Cut(p[6], "/") // a Map Run's children
	p[5], p[6] = "stateMachine", name
	return strings.Join(p[:7], ":")
}

// By is what calls are counted by.
type By string

// What calls can be counted by.
const (
	ByProfile   By = "profile"
	ByModel     By = "model"
	ByPrincipal By = "principal"
	ByWorkflow  By = "workflow"
	ByEvent     By = "event"
	BySource    By = "source"
	ByMonth     By = "month"
	ByDay       By = "day"
	ByHour      By = "hour"
)

// Bys lists them.
var Bys = []By{ByProfile, ByModel, ByPrincipal, ByWorkflow, ByEvent, BySource, ByMonth, ByDay, ByHour}

// ParseBy reads a list such as "profile,month".
func ParseBy(s string) (all []By, err error) {
	for part := range strings.SplitSeq(s, ",") {
		b := By(strings.TrimSpace(part))
		if !slices.Contains(Bys, b) {
			return nil, fmt.Errorf("%q is none of %s", b, join(Bys))
		}
		if !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all, nil
}

func join(bys []By) string {
	var s []string
	for _, b := range bys {
		s = append(s, string(b))
	}
	return strings.Join(s, ", ")
}

// of is what a call has there.
func (b By) of(c *Call) string {
	switch b {
	case ByProfile:
		return c.Profile
	case ByModel:
		return c.Model
	case ByPrincipal:
		return c.Principal
	case ByWorkflow:
		return c.Workflow
	case ByEvent:
		return c.Event
	case BySource:
		return c.Source
	case ByMonth:
		return c.Time.UTC().Format("2006-01")
	case ByDay:
		return c.Time.UTC().Format("2006-01-02")
	case ByHour:
		return c.Time.UTC().Format("2006-01-02T15")
	}
	return ""
}

// Options of a Report.
type Options struct {
	By       []By // empty: ByProfile
	Since    time.Time
	Until    time.Time // exclusive
	Profile  string    // only calls through profiles like this, in which * stands for anything; "": all
	Boundary *Boundary // nil: none
}

// Cell counts calls.
type Cell struct {
	Calls, Input, Output int64
}

func (c *Cell) add(x *Call) {
	c.Calls++
	c.Input += x.Input
	c.Output += x.Output
}

// Row is one line of a report.
type Row struct {
	Key     []string         // one for each of By
	Regions map[string]*Cell // served calls by Region
	Served  Cell             // their sum
	Failed  int64            // served nowhere
	Unsure  int64            // nobody knows which Region served them, or whether one did
	Outside int64            // left the boundary
}

// Left is a call that left the boundary, or may have.
type Left struct {
	Call    Call
	Regions []string // outside the boundary
	May     bool     // it is not known whether it did
}

// MaxLeft is how many of the calls that left a Report lists; it counts them all.
const MaxLeft = 10_000

// MaxRows is how many rows a Report has. Calls beyond are counted in Rest.
const MaxRows = 100_000

// Report is the answer.
type Report struct {
	Options
	Rows    []*Row // by Key
	Total   Row
	Rest    Row // of calls whose row is beyond MaxRows
	Days    map[string]map[string]int64
	First   time.Time // of the calls counted
	Last    time.Time
	Assumed int64 // served where they were made, because the event names no Region

	Left      []Left // by time
	LeftCount int64
	MayCount  int64 // of those that may have left; they are in Left too

	rows map[string]*Row
}

// New begins a report.
func New(o Options) *Report {
	if len(o.By) == 0 {
		o.By = []By{ByProfile}
	}
	return &Report{Options: o, Days: map[string]map[string]int64{}, rows: map[string]*Row{}, Total: newRow(nil), Rest: newRow(nil)}
}

func newRow(key []string) Row { return Row{Key: key, Regions: map[string]*Cell{}} }

// Add counts a call.
func (r *Report) Add(c *Call) {
	if !r.Since.IsZero() && c.Time.Before(r.Since) || !r.Until.IsZero() && !c.Time.Before(r.Until) {
		return
	}
	if r.Profile != "" && !Like(r.Profile, c.Profile) {
		return
	}
	if r.First.IsZero() || c.Time.Before(r.First) {
		r.First = c.Time
	}
	if c.Time.After(r.Last) {
		r.Last = c.Time
	}
	if c.Assumed {
		r.Assumed++
	}
	left := r.left(c)
	row := r.row(c)
	for _, row := range []*Row{row, &r.Total} {
		switch {
		case c.Region != "":
			cell := row.Regions[c.Region]
			if cell == nil {
				cell = new(Cell)
				row.Regions[c.Region] = cell
			}
			cell.add(c)
			row.Served.add(c)
		case len(c.May) > 0:
			row.Unsure++
		default:
			row.Failed++
		}
		if left {
			row.Outside++
		}
	}
	if c.Region != "" {
		day := ByDay.of(c)
		if r.Days[day] == nil {
			r.Days[day] = map[string]int64{}
		}
		r.Days[day][c.Region]++
	}
}

// Like reports whether s is what a pattern says, in which * stands for anything.
func Like(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return s == pattern
	}
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		if _, s, ok = strings.Cut(s, p); !ok {
			return false
		}
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

func (r *Report) row(c *Call) *Row {
	key := make([]string, len(r.By))
	for i, b := range r.By {
		key[i] = b.of(c)
	}
	id := strings.Join(key, "\x00")
	if row := r.rows[id]; row != nil {
		return row
	}
	if len(r.rows) >= MaxRows {
		return &r.Rest
	}
	row := newRow(key)
	r.rows[id] = &row
	return &row
}

// left notes a call that left the boundary, and reports whether it did.
func (r *Report) left(c *Call) bool {
	if r.Boundary == nil {
		return false
	}
	var out []string
	for _, region := range append([]string{c.Region}, c.Reached...) {
		if region != "" && !r.Boundary.Has(region) {
			out = append(out, region)
		}
	}
	l := Left{Call: *c, Regions: out}
	if out == nil {
		for _, region := range c.May {
			if !r.Boundary.Has(region) {
				l.Regions = append(l.Regions, region)
			}
		}
		if l.Regions == nil {
			return false
		}
		l.May = true
		r.MayCount++
	} else {
		r.LeftCount++
	}
	if len(r.Left) < MaxLeft {
		r.Left = append(r.Left, l)
	}
	return out != nil
}

// End sorts what was counted.
func (r *Report) End() {
	r.Rows = r.Rows[:0]
	for _, id := range slices.Sorted(maps.Keys(r.rows)) {
		r.Rows = append(r.Rows, r.rows[id])
	}
	slices.SortStableFunc(r.Left, func(a, b Left) int { return a.Call.Time.Compare(b.Call.Time) })
}

// line is what of a row one Region served, or what became of the rest of it.
type line struct {
	keys   []string // of the row; nil: of the calls beyond MaxRows
	first  bool     // of its row
	region string   // "": none
	status string   // served, failed or unknown
	cell   Cell
	share  float64
}

// What became of calls.
const (
	served  = "served"
	failed  = "failed"
	unknown = "unknown"
)

// lines takes a row apart.
func (row *Row) lines() iter.Seq[line] {
	return func(yield func(line) bool) {
		first := true
		for _, name := range row.RegionNames() {
			if !yield(line{row.Key, first, name, served, *row.Regions[name], row.Share(name)}) {
				return
			}
			first = false
		}
		for _, x := range []struct {
			n      int64
			status string
		}{{row.Failed, failed}, {row.Unsure, unknown}} {
			if x.n > 0 {
				if !yield(line{row.Key, first, "", x.status, Cell{Calls: x.n}, 0}) {
					return
				}
				first = false
			}
		}
	}
}

// rest is the row of calls beyond MaxRows; nil if there are none.
func (r *Report) rest() []*Row {
	if r.Rest.Served.Calls+r.Rest.Failed+r.Rest.Unsure == 0 {
		return nil
	}
	return []*Row{&r.Rest}
}

// Kept reports whether every call is known to have stayed within the boundary.
func (r *Report) Kept() bool { return r.LeftCount == 0 && r.MayCount == 0 }

// RegionNames are the Regions of a row, those with most calls first.
func (row *Row) RegionNames() []string {
	return slices.SortedFunc(maps.Keys(row.Regions), func(a, b string) int {
		return cmp.Or(cmp.Compare(row.Regions[b].Calls, row.Regions[a].Calls), cmp.Compare(a, b))
	})
}

// Share is the part of a row's served calls that a Region served.
func (row *Row) Share(region string) float64 {
	if c := row.Regions[region]; c != nil && row.Served.Calls > 0 {
		return float64(c.Calls) / float64(row.Served.Calls)
	}
	return 0
}
