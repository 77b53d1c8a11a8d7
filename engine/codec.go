package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tokaido/value"
)

// eventVersion is the first byte of an event's durable form.
const eventVersion = 1

// Which parts an event's durable form has.
const (
	hasID = 1 << iota
	hasThread
	hasRef
	hasIndex
	hasState
	hasData
	hasMore
)

// Which parts a Detail's durable form has, in the order of the struct.
const (
	hasError = 1 << iota
	hasCause
	hasLocation
	hasVars
	hasResourceType
	hasResource
	hasRegion
	hasTimeout
	hasHeartbeat
	hasRoleARN
	hasWorker
	hasLength
	hasMapRunARN
	hasRedriveCount
	hasDue
	hasToken
	hasRun
	allDetails = 1<<iota - 1
)

// AppendEvent appends the event's durable form to b. It says where it ends, so
// events may stand one after the other.
//
//	version, type, flags: a byte each
//	seq, at: unsigned varints
//	id, prev: id, and how far prev is behind it
//	thread, ref, index: unsigned varints
//	state, data, details: length and text
func AppendEvent(b []byte, e *Event) []byte {
	var flags byte
	if e.ID != 0 {
		flags |= hasID
	}
	if e.Thread != 0 {
		flags |= hasThread
	}
	if e.Ref != 0 {
		flags |= hasRef
	}
	if e.Index != 0 {
		flags |= hasIndex
	}
	if e.State != "" {
		flags |= hasState
	}
	if !e.Data.IsUndefined() {
		flags |= hasData
	}
	if e.More != nil {
		flags |= hasMore
	}
	b = append(b, eventVersion, byte(e.Type), flags)
	b = binary.AppendUvarint(b, uint64(e.Seq))
	b = binary.AppendUvarint(b, uint64(e.At))
	if flags&hasID != 0 {
		b = binary.AppendUvarint(b, uint64(e.ID))
		b = binary.AppendUvarint(b, uint64(e.ID-e.Prev))
	} else {
		b = binary.AppendUvarint(b, uint64(e.Prev))
	}
	if flags&hasThread != 0 {
		b = binary.AppendUvarint(b, uint64(e.Thread))
	}
	if flags&hasRef != 0 {
		b = binary.AppendUvarint(b, uint64(e.Ref))
	}
	if flags&hasIndex != 0 {
		b = binary.AppendUvarint(b, uint64(e.Index))
	}
	if flags&hasState != 0 {
		b = appendText(b, e.State)
	}
	if flags&hasData != 0 {
		b = appendValue(b, e.Data)
	}
	if flags&hasMore != 0 {
		b = appendDetail(b, e.More)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendValue writes v's text after its length.
func appendValue(b []byte, v value.Value) []byte {
	if k := v.Kind(); k == value.KindArray || k == value.KindObject {
		return appendText(b, v.JSON()) // printed once and kept
	}
	at := len(b)
	b = v.AppendJSON(append(b, 0)) // most lengths take one byte
	n := len(b) - at - 1
	if n < 1<<7 {
		b[at] = byte(n)
		return b
	}
	var head [binary.MaxVarintLen64]byte
	h := binary.PutUvarint(head[:], uint64(n))
	b = append(b, head[1:h]...)
	copy(b[at+h:], b[at+1:at+1+n])
	copy(b[at:], head[:h])
	return b
}

func appendDetail(b []byte, d *Detail) []byte {
	var has uint64
	set := func(bit uint64, ok bool) {
		if ok {
			has |= bit
		}
	}
	set(hasError, d.Error != nil)
	set(hasCause, d.Cause != nil)
	set(hasLocation, d.Location != "")
	set(hasVars, !d.Vars.IsUndefined())
	set(hasResourceType, d.ResourceType != "")
	set(hasResource, d.Resource != "")
	set(hasRegion, d.Region != "")
	set(hasTimeout, d.TimeoutSeconds != 0)
	set(hasHeartbeat, d.HeartbeatSeconds != 0)
	set(hasRoleARN, d.RoleARN != "")
	set(hasWorker, d.Worker != "")
	set(hasLength, d.Length != 0)
	set(hasMapRunARN, d.MapRunARN != "")
	set(hasRedriveCount, d.RedriveCount != 0)
	set(hasDue, d.Due != 0)
	set(hasToken, d.Token != "")
	set(hasRun, d.Run != nil)
	b = binary.AppendUvarint(b, has)
	if d.Error != nil {
		b = appendText(b, *d.Error)
	}
	if d.Cause != nil {
		b = appendText(b, *d.Cause)
	}
	if d.Location != "" {
		b = appendText(b, d.Location)
	}
	if has&hasVars != 0 {
		b = appendValue(b, d.Vars)
	}
	if d.ResourceType != "" {
		b = appendText(b, d.ResourceType)
	}
	if d.Resource != "" {
		b = appendText(b, d.Resource)
	}
	if d.Region != "" {
		b = appendText(b, d.Region)
	}
	if d.TimeoutSeconds != 0 {
		b = binary.AppendUvarint(b, uint64(d.TimeoutSeconds))
	}
	if d.HeartbeatSeconds != 0 {
		b = binary.AppendUvarint(b, uint64(d.HeartbeatSeconds))
	}
	if d.RoleARN != "" {
		b = appendText(b, d.RoleARN)
	}
	if d.Worker != "" {
		b = appendText(b, d.Worker)
	}
	if d.Length != 0 {
		b = binary.AppendUvarint(b, uint64(d.Length))
	}
	if d.MapRunARN != "" {
		b = appendText(b, d.MapRunARN)
	}
	if d.RedriveCount != 0 {
		b = binary.AppendUvarint(b, uint64(d.RedriveCount))
	}
	if d.Due != 0 {
		b = binary.AppendUvarint(b, uint64(d.Due))
	}
	if d.Token != "" {
		b = appendText(b, d.Token)
	}
	if d.Run != nil {
		b = appendSettings(b, d.Run)
	}
	return b
}

func appendSettings(b []byte, r *RunSettings) []byte {
	for _, n := range []uint64{uint64(r.MaxConcurrency), uint64(r.ToleratedCount), math.Float64bits(r.ToleratedPercentage), uint64(r.BatchItems), uint64(r.BatchBytes)} {
		b = binary.AppendUvarint(b, n)
	}
	return appendMaybe(b, r.BatchInput)
}

// errShort says that an event's durable form is cut off.
var errShort = errors.New("engine: event cut short")

// DecodeEvent reads the durable form of one event and returns what follows it.
// It trusts nothing: bytes that AppendEvent did not write are an error.
func DecodeEvent(b []byte) (e Event, rest []byte, err error) {
	d := decoder{b: b}
	if v := d.byte(); d.err == nil && v != eventVersion {
		return Event{}, nil, fmt.Errorf("engine: event of version %d", v)
	}
	e.Type = EventType(d.byte())
	if d.err == nil && !e.Type.known() {
		return Event{}, nil, fmt.Errorf("engine: event of type %d", e.Type)
	}
	flags := d.byte()
	e.Seq = d.int(math.MaxInt64)
	e.At = d.int(math.MaxInt64)
	if flags&hasID != 0 {
		e.ID = d.int(math.MaxInt64)
		e.Prev = e.ID - d.int(e.ID)
	} else {
		e.Prev = d.int(math.MaxInt64)
	}
	if flags&hasThread != 0 {
		e.Thread = int32(d.int(math.MaxInt32))
	}
	if flags&hasRef != 0 {
		e.Ref = d.int(math.MaxInt64)
	}
	if flags&hasIndex != 0 {
		e.Index = int32(d.int(math.MaxInt32))
	}
	if flags&hasState != 0 {
		e.State = d.text()
	}
	if flags&hasData != 0 {
		e.Data = d.value()
	}
	if flags&hasMore != 0 {
		e.More = d.detail()
	}
	if d.err == nil && (flags >= hasMore<<1 || e.Seq == 0 || (e.ID != 0) == e.Type.Internal()) {
		d.err = errors.New("engine: event with impossible parts")
	}
	if d.err != nil {
		return Event{}, nil, d.err
	}
	return e, d.b, nil
}

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		if d.err == nil {
			d.err = errShort
		}
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

var errRange = errors.New("engine: number of an event out of range")

func (d *decoder) int(most int64) int64 {
	u := d.word()
	if u > uint64(most) && d.err == nil {
		d.err = errRange
	}
	if d.err != nil {
		return 0
	}
	return int64(u)
}

// word reads a varint of 64 bits.
func (d *decoder) word() uint64 {
	if d.err != nil {
		return 0
	}
	u, n := binary.Uvarint(d.b)
	switch {
	case n == 0:
		d.err = errShort
	case n < 0:
		d.err = errRange
	default:
		d.b = d.b[n:]
		return u
	}
	return 0
}

func (d *decoder) text() string {
	n := d.int(math.MaxInt32)
	if d.err == nil && n > int64(len(d.b)) {
		d.err = errShort
	}
	if d.err != nil {
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) textPtr() *string {
	s := d.text()
	return &s
}

func (d *decoder) value() value.Value {
	s := d.text()
	if d.err != nil {
		return value.Value{}
	}
	v, err := value.ParseString(s)
	if err != nil {
		d.err = fmt.Errorf("engine: document of an event: %w", err)
	}
	return v
}

func (d *decoder) detail() *Detail {
	has := d.int(allDetails)
	var m Detail
	if has&hasError != 0 {
		m.Error = d.textPtr()
	}
	if has&hasCause != 0 {
		m.Cause = d.textPtr()
	}
	if has&hasLocation != 0 {
		m.Location = d.text()
	}
	if has&hasVars != 0 {
		m.Vars = d.value()
	}
	if has&hasResourceType != 0 {
		m.ResourceType = d.text()
	}
	if has&hasResource != 0 {
		m.Resource = d.text()
	}
	if has&hasRegion != 0 {
		m.Region = d.text()
	}
	if has&hasTimeout != 0 {
		m.TimeoutSeconds = d.int(math.MaxInt64)
	}
	if has&hasHeartbeat != 0 {
		m.HeartbeatSeconds = d.int(math.MaxInt64)
	}
	if has&hasRoleARN != 0 {
		m.RoleARN = d.text()
	}
	if has&hasWorker != 0 {
		m.Worker = d.text()
	}
	if has&hasLength != 0 {
		m.Length = d.int(math.MaxInt64)
	}
	if has&hasMapRunARN != 0 {
		m.MapRunARN = d.text()
	}
	if has&hasRedriveCount != 0 {
		m.RedriveCount = d.int(math.MaxInt64)
	}
	if has&hasDue != 0 {
		m.Due = d.int(math.MaxInt64)
	}
	if has&hasToken != 0 {
		m.Token = d.text()
	}
	if has&hasRun != 0 {
		m.Run = d.settings()
	}
	return &m
}

func (d *decoder) settings() *RunSettings {
	r := &RunSettings{MaxConcurrency: d.int(math.MaxInt64), ToleratedCount: d.int(math.MaxInt64)}
	if r.ToleratedPercentage = math.Float64frombits(d.word()); !(r.ToleratedPercentage >= 0 && r.ToleratedPercentage <= 100) && d.err == nil {
		d.err = errors.New("engine: percentage of a Map Run out of range")
	}
	r.BatchItems, r.BatchBytes = d.int(math.MaxInt64), d.int(math.MaxInt64)
	r.BatchInput = d.maybe()
	return r
}
