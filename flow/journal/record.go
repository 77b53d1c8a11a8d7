package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"tokaido/engine"
	"tokaido/flow"
)

// recordVersion is the form of an Entry's Data. Version 1 had no TestCase and no
// Origin.
const recordVersion = 2

// entryOf is what the index holds about x.
func entryOf(id uint64, x *flow.Execution) *Entry {
	e := &Entry{
		ID:      id,
		ARN:     x.ARN,
		Under:   append(make([]string, 0, 3), x.MachineARN),
		Status:  x.Status,
		Started: x.Started.UnixMilli(),
		Data:    appendRecord(make([]byte, 0, 256), x),
	}
	if x.Child.MapRun != "" {
		e.Under = append(e.Under, x.Child.MapRun)
	}
	if x.VersionARN != "" {
		e.Under = append(e.Under, x.VersionARN)
	}
	if x.AliasARN != "" {
		e.Under = append(e.Under, x.AliasARN)
	}
	if !x.Stopped.IsZero() {
		e.Stopped = x.Stopped.UnixMilli()
	}
	return e
}

// executionOf is the inverse of entryOf.
func executionOf(e *Entry) (flow.Execution, error) {
	x, err := decodeRecord(e.Data)
	if err != nil {
		return x, fmt.Errorf("record of %s: %w", e.ARN, err)
	}
	x.ARN, x.Status, x.Started = e.ARN, e.Status, time.UnixMilli(e.Started).UTC()
	if e.Stopped != 0 {
		x.Stopped = time.UnixMilli(e.Stopped).UTC()
	}
	return x, nil
}

// texts are the parts of a record that are texts, in their order.
func texts(x *flow.Execution) [10]*string {
	return [...]*string{&x.Name, &x.Revision, &x.MachineARN, &x.VersionARN, &x.AliasARN, &x.Region, &x.Account, &x.Trace, &x.TestCase, &x.Origin}
}

// childVersion is the form of the record of a Map Run's child: what others have,
// and then what Child says, and whether it is Express.
const childVersion = 3

// childTexts and childNumbers are the parts of it.
func childTexts(c *flow.Child) [4]*string {
	return [...]*string{&c.MapRun, &c.Parent, &c.State, &c.Label}
}

// texts1 is how many of them version 1 had.
const texts1 = 8

func appendRecord(b []byte, x *flow.Execution) []byte {
	if x.Child.MapRun == "" {
		b = append(b, recordVersion)
	} else {
		b = append(b, childVersion)
	}
	b = binary.BigEndian.AppendUint64(b, x.Seed)
	b = binary.AppendUvarint(b, uint64(x.RedriveCount))
	var redriven int64
	if !x.Redriven.IsZero() {
		redriven = x.Redriven.UnixMilli()
	}
	b = binary.AppendUvarint(b, uint64(redriven))
	for _, t := range texts(x) {
		b = appendText(b, *t)
	}
	if c := x.Child; c.MapRun != "" {
		for _, t := range childTexts(&c) {
			b = appendText(b, *t)
		}
		var express uint64
		if x.Express {
			express = 1
		}
		for _, n := range []uint64{uint64(c.Items), c.Of, uint64(c.Run), uint64(c.Index), express} {
			b = binary.AppendUvarint(b, n)
		}
	}
	return b
}

func appendText(b []byte, t string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(t))), t...)
}

var errShort = errors.New("cut short")

func decodeRecord(b []byte) (x flow.Execution, err error) {
	if len(b) < 9 {
		return x, errShort
	}
	known := texts(&x)
	have := known[:]
	switch b[0] {
	case recordVersion, childVersion:
	case 1:
		have = known[:texts1]
	default:
		return x, fmt.Errorf("version %d, which this program does not know", b[0])
	}
	child := b[0] == childVersion
	x.Seed = binary.BigEndian.Uint64(b[1:])
	b = b[9:]
	next := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			err = errShort
			return 0
		}
		b = b[k:]
		return n
	}
	x.RedriveCount = int64(next())
	if at := int64(next()); at != 0 {
		x.Redriven = time.UnixMilli(at).UTC()
	}
	text := func(t *string) {
		n := next()
		if err != nil || n > uint64(len(b)) {
			err = errShort
			return
		}
		*t, b = string(b[:n]), b[n:]
	}
	for _, t := range have {
		text(t)
	}
	if c := &x.Child; child {
		for _, t := range childTexts(c) {
			text(t)
		}
		c.Items, c.Of, c.Run = int64(next()), next(), int64(next())
		n, express := next(), next()
		x.Express = express == 1
		if c.Index = int32(n); n > math.MaxInt32 || express > 1 || c.MapRun == "" || c.Items < 0 || c.Run < 0 {
			err = errShort
		}
	}
	if err != nil {
		return flow.Execution{}, err
	}
	if len(b) != 0 {
		return x, errors.New("something after its end")
	}
	return x, err
}

// decode is the events in rows.
func decode(rows iter.Seq2[Events, error]) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for r, err := range rows {
			if err != nil {
				yield(engine.Event{}, err)
				return
			}
			for b := r.Data; len(b) > 0; {
				var e engine.Event
				e, b, err = engine.DecodeEvent(b)
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}
