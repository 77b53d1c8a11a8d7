package journal

import (
	"context"
	"errors"
	"iter"
	"time"

	"tokaido/engine"
)

// Log is what the driver needs of a store: histories to append to, and an index
// of executions that changes in the same atomic write.
type Log interface {
	// Append writes rows in their order, all or none. They must be durable when it
	// returns nil. A New row must fail with ErrUnfit if its ARN (unless Absent) or its ID is taken,
	// and an Events row if it does not continue its execution's history without a
	// gap: then nothing is written. After any other error it must be unknown only
	// whether the rows were written, never which of them. They are appended again
	// then, and what comes of that must be durable as well: nil if they had not been
	// written, ErrUnfit if they had. A log that cannot tell must go on failing.
	Append(ctx context.Context, rows ...Row) error
	// Find returns the entry of an execution, or flow.ErrNotFound.
	Find(ctx context.Context, arn string) (Entry, error)
	// Running returns the entry of an execution that has not ended, by its ID, or
	// flow.ErrNotFound.
	Running(ctx context.Context, id uint64) (Entry, error)
	// Read returns an execution's event rows in order of From, beginning with the
	// row that has event number from (0: the first). With reverse, it goes
	// downwards from there (0: the last). An execution that is not there has none.
	Read(ctx context.Context, id uint64, from int64, reverse bool) iter.Seq2[Events, error]
	// Load returns what is needed to go on with an execution: the last snapshot, if
	// there is one, as a row whose From is 0 and whose To is the number of the last
	// event in it, and the event rows after that; else all of them.
	Load(ctx context.Context, id uint64) iter.Seq2[Events, error]
	// Open returns the entries of all executions that have not ended, in order of ID.
	Open(ctx context.Context) iter.Seq2[Entry, error]
	// CountOpen returns how many there are.
	CountOpen(ctx context.Context) (int, error)
	// List returns the entries filed under an ARN, newest first (by Started, then
	// by ID); status nil means any, after the last one that was seen.
	List(ctx context.Context, under string, status *engine.Status, after *Place) iter.Seq2[Entry, error]
	// Expire deletes at most limit executions that ended before a time, with their
	// events, and returns how many there were.
	Expire(ctx context.Context, before time.Time, limit int) (int, error)
	// LastID returns an ID that is at least that of any execution there; 0 if there
	// never was one.
	LastID(ctx context.Context) (uint64, error)
}

// ErrUnfit says that rows do not fit to what a log has: our mistake, which
// appending them again would not mend.
var ErrUnfit = errors.New("rows that do not fit")

// Place is where an entry stands in a list.
type Place struct {
	Started int64
	ID      uint64
}

// Entry is what the index holds about an execution.
type Entry struct {
	ID      uint64 // of the execution in this log; later ones are higher
	ARN     string
	Under   []string // the ARNs that it is listed under; never changes
	Status  engine.Status
	Started int64  // milliseconds of the Unix epoch; never changes
	Stopped int64  // 0 while it runs
	Data    []byte // the rest, as the driver has it
}

// Events are the encoded events of one Step.
type Events struct {
	From int64  // number of the first
	To   int64  // number of the last
	Data []byte // must not be changed
}

// Row is one thing to append: events, a change of the index, or both.
type Row struct {
	ID     uint64
	Events Events        // From 0: none
	Entry  *Entry        // nil: the index does not change
	New    bool          // the execution begins with this row
	Absent bool          // New: the caller has found that its ARN is not taken, and lets nobody else take it, so that need not be looked up again
	Was    engine.Status // the status so far, if Entry is set and New is not

	// Snapshot is what the execution is after Events, in place of an earlier one.
	// nil: that stays; empty: it goes.
	Snapshot []byte
}
