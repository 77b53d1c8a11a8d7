// Package pebble is every room's storage interface on Pebble: one database in
// the data directory, one write-ahead log, one fsync for all that is committed
// together.
//
// Whatever it acknowledges is on the disk. While the disk is full, writes wait
// (see roomFS). When it fails, the write that found out and all later ones
// return errors (or the process ends, if Pebble finds out by itself): nobody is
// told that something is kept that may not be.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/principal"
)

// What a store holds in memory at most, in bytes, unless Options say otherwise.
const (
	defaultCache    = 48 << 20
	defaultMemTable = 32 << 20 // of which there may be memTables at once
	memTables       = 4
	maxOpenFiles    = 500
	// maxTable bounds a table, and with it the Bloom filter that is read whole to
	// ask whether an ARN is taken.
	maxTable = 16 << 20
)

// The kinds of keys. Rows of one kind lie together; those of the journal rise,
// except the index by ARN, whose rows are small and written once: what changes,
// and what is read in pages, is found by number.
const (
	keyFormat    = 'v' // : format
	keyPrincipal = 'p' // + key
	keyFlow      = 'f' // + key
	keyARN       = 'a' // + ARN of an execution: ID
	keyEntry     = 'i' // + ID
	keyOpen      = 'o' // + ID, of those that have not ended
	keyEvents    = 'e' // + ID, number of the first event; 0: the snapshot
	keyList      = 'l' // + ARN listed under, 0, class, ^start, ^ID
	keyEnded     = 't' // + end, ID
)

// format is the form of all keys together.
const format = 2

// anyStatus is the class of keyList in which all executions are; the others are
// the statuses.
const anyStatus = 0xff

// Options of a Store; the zero Options are what serve uses.
type Options struct {
	Logger   *slog.Logger // nil: slog.Default
	Cache    int64        // bytes of the block cache, besides those of two memtables
	MemTable uint64       // bytes of one memtable
	Reserve  uint64       // bytes of disk below which no execution may start; 0: defaultReserve
	FS       vfs.FS       // nil: the operating system's
}

// defaultReserve is what must be left on the disk for executions that run
// already, the trail, and Pebble's compactions.
const defaultReserve = 128 << 20

// Store is an open database.
type Store struct {
	db      *pebble.DB
	fs      *roomFS
	dir     string
	reserve uint64
	logger  *slog.Logger

	failed atomic.Pointer[error]

	mu     sync.Mutex       // held from check to commit of an Append
	tips   map[uint64]int64 // guarded by mu: number of the last event, of executions that were appended to lately
	lastID uint64           // guarded by mu: no lower than any number given; 0: not read yet
	unused map[uint64]bool  // guarded by mu: numbers below lastID that are known not to be given
}

// tipsKept is how many tips are remembered; the others are read when needed.
const tipsKept = 1 << 16

// unusedKept is how many unused numbers are remembered.
const unusedKept = 1 << 12

// Open opens the database in dir, making it if there is none. Only one process
// may have it open.
func Open(dir string, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Cache == 0 {
		o.Cache = defaultCache
	}
	if o.MemTable == 0 {
		o.MemTable = defaultMemTable
	}
	if o.Reserve == 0 {
		o.Reserve = defaultReserve
	}
	s := &Store{
		fs: newRoomFS(zeroedFS{o.FS}, o.Logger), dir: dir, reserve: o.Reserve, logger: o.Logger,
		tips: map[uint64]int64{}, unused: map[uint64]bool{},
	}
	opts := &pebble.Options{
		FS:                 s.fs,
		Logger:             (*logger)(s),
		FormatMajorVersion: pebble.FormatNewest,
		// Pebble takes its memtables out of the cache, of which nothing would be left:
		// one that is written and one that is flushed are the rule.
		CacheSize:                   o.Cache + 2*int64(o.MemTable),
		MemTableSize:                o.MemTable,
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                maxOpenFiles,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	opts.EnsureDefaults()
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // every start asks whether its ARN is taken
	}
	for i := range opts.TargetFileSizes {
		opts.TargetFileSizes[i] = min(opts.TargetFileSizes[i], maxTable)
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", dir, err)
	}
	s.db = db
	if err := s.checkFormat(); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", dir, err), db.Close())
	}
	s.fs.patient.Store(true)
	return s, nil
}

// checkFormat refuses a database whose keys mean something else, and marks one
// that is new.
func (s *Store) checkFormat() error {
	v, err := s.get([]byte{keyFormat})
	switch {
	case err == nil && len(v) == 1 && v[0] == format:
		return nil
	case err == nil:
		return fmt.Errorf("its format is %x, which this program does not know", v)
	case !errors.Is(err, flow.ErrNotFound):
		return err
	}
	for _, err := range s.scan(context.Background(), nil, false) {
		if err == nil {
			err = errors.New("a development version before the first release made it; use another data directory")
		}
		return err
	}
	return s.db.Set([]byte{keyFormat}, []byte{format}, pebble.Sync)
}

// Close writes what is in memory and lets go of the directory. Nobody may be
// using the store. If the disk is full it leaves everything as it is: the log
// has what was acknowledged.
func (s *Store) Close() error {
	if !s.failed.CompareAndSwap(nil, &errClosed) {
		return s.err() // Pebble's commit pipeline no longer moves: the log has what was acknowledged
	}
	if s.fs.waiting.Load() > 0 {
		return fmt.Errorf("close database: %w", flow.ErrFull)
	}
	return s.db.Close()
}

var errClosed = errors.New("database is closed")

// Principals is the store as principal's.
func (s *Store) Principals() principal.Store { return principals{s} }

// Flow is the store as flow's.
func (s *Store) Flow() flow.Store { return flows{s} }

// Journal is the store as the journal's log.
func (s *Store) Journal() journal.Log { return (*log)(s) }

func (s *Store) err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Room returns flow.ErrFull if the disk has less left than the reserve.
func (s *Store) Room() error {
	if s.fs.waiting.Load() > 0 {
		return fmt.Errorf("%w: the disk of %s is full", flow.ErrFull, s.dir)
	}
	u, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return nil // a file system that cannot tell
	}
	if u.AvailBytes < s.reserve {
		return fmt.Errorf("%w: %d MiB left in %s, and %d MiB are kept in reserve", flow.ErrFull, u.AvailBytes>>20, s.dir, s.reserve>>20)
	}
	return nil
}

// fatal is what Pebble's Fatalf becomes: it must not return, and a commit that
// fails must come back as an error.
type fatal struct{ error }

// commit makes a batch durable. It takes the batch. If ctx is done first, the
// store takes no more: what becomes of the batch, the next Open finds out.
func (s *Store) commit(ctx context.Context, b *pebble.Batch) error {
	if ctx.Done() == nil {
		return s.write(b)
	}
	done := make(chan error, 1)
	go func() { done <- s.write(b) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		err := fmt.Errorf("database was left while it wrote: %w", context.Cause(ctx))
		s.failed.CompareAndSwap(nil, &err)
		return err
	}
}

func (s *Store) write(b *pebble.Batch) (err error) {
	if err := s.err(); err != nil {
		return errors.Join(err, b.Close())
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fatal:
			err = fmt.Errorf("database failed: %w", r.error)
		case error: // Pebble panics when its log cannot be written
			err = fmt.Errorf("database failed: %w", r)
		default:
			panic(r)
		}
		if err != nil {
			s.failed.CompareAndSwap(nil, &err)
		}
	}()
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}

// get returns a copy of what is under key.
func (s *Store) get(key []byte) ([]byte, error) {
	if err := s.err(); err == errClosed {
		return nil, err
	}
	v, done, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, flow.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, len(v)), v...)
	return b, done.Close()
}

// scan returns the rows with a prefix, in order of keys. Neither key nor value
// outlives its turn.
func (s *Store) scan(ctx context.Context, o *pebble.IterOptions, reverse bool) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		if err := s.err(); err == errClosed {
			yield(row{}, err)
			return
		}
		it, err := s.db.NewIterWithContext(ctx, o)
		if err != nil {
			yield(row{}, err)
			return
		}
		defer it.Close()
		next, ok := it.Next, false
		if reverse {
			ok, next = it.Last(), it.Prev
		} else {
			ok = it.First()
		}
		for ; ok; ok = next() {
			v, err := it.ValueAndErr()
			if err == nil {
				err = ctx.Err()
			}
			if !yield(row{it.Key(), v}, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(row{}, err)
		}
	}
}

type row struct{ key, value []byte }

// under is the bounds of all keys that begin with prefix.
func under(prefix []byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)}
}

// after is the first key that comes after all that begin with prefix; nil if
// there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			u := append([]byte(nil), prefix[:i+1]...)
			u[i]++
			return u
		}
	}
	return nil
}

type principals struct{ s *Store }

func (p principals) Load(ctx context.Context) iter.Seq2[principal.Entry, error] {
	return func(yield func(principal.Entry, error) bool) {
		for r, err := range p.s.scan(ctx, under([]byte{keyPrincipal}), false) {
			var e principal.Entry
			if err == nil {
				e = principal.Entry{Key: string(r.key[1:]), Data: append(make([]byte, 0, len(r.value)), r.value...)}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (p principals) Save(ctx context.Context, changes ...principal.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := p.s.db.NewBatch()
	for _, c := range changes {
		if err := set(b, keyPrincipal, c.Key, c.Data); err != nil {
			return err
		}
	}
	return p.s.commit(context.WithoutCancel(ctx), b)
}

func set(b *pebble.Batch, kind byte, key string, data []byte) error {
	k := append([]byte{kind}, key...)
	if data == nil {
		return b.Delete(k, nil)
	}
	return b.Set(k, data, nil)
}

type flows struct{ s *Store }

func (f flows) Load(ctx context.Context, prefix string) iter.Seq2[flow.Entry, error] {
	return func(yield func(flow.Entry, error) bool) {
		for r, err := range f.s.scan(ctx, under(append([]byte{keyFlow}, prefix...)), false) {
			var e flow.Entry
			if err == nil {
				e = flow.Entry{Key: string(r.key[1:]), Data: append(make([]byte, 0, len(r.value)), r.value...)}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (f flows) Get(ctx context.Context, key string) ([]byte, error) {
	return f.s.get(append([]byte{keyFlow}, key...))
}

func (f flows) Save(ctx context.Context, changes ...flow.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := f.s.db.NewBatch()
	for _, c := range changes {
		if err := set(b, keyFlow, c.Key, c.Data); err != nil {
			return err
		}
	}
	return f.s.commit(context.WithoutCancel(ctx), b)
}

// logger is a Store as Pebble's logger. What Pebble says in passing is noise.
type logger Store

func (l *logger) Infof(string, ...any) {}

func (l *logger) Errorf(format string, args ...any) {
	l.logger.Error("pebble", "message", fmt.Sprintf(format, args...))
}

func (l *logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.logger.Error("pebble cannot go on", "err", err)
	failed := error(fatal{err})
	l.failed.CompareAndSwap(nil, &failed)
	panic(fatal{err})
}
