package principal

import (
	"context"
	"iter"
)

// Entry is one stored thing.
type Entry struct {
	Key  string
	Data []byte
}

// Change sets an Entry, or removes it if Data is nil.
type Change struct {
	Key  string
	Data []byte
}

// Store keeps a Directory's entries.
type Store interface {
	// Load must yield every entry once, in any order, and stop at the first
	// error. The entries' Data must not be changed afterwards.
	Load(ctx context.Context) iter.Seq2[Entry, error]

	// Save must apply all changes or none, and be durable when it returns nil.
	// When it returns an error it may have happened all the same. It must not
	// keep or change the Data.
	Save(ctx context.Context, changes ...Change) error
}
