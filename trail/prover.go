package trail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// keptLevel is the level of the tree from which on its nodes stay in memory: a
	// quarter of a byte for each record. What is below is made from the records,
	// 256 of them at most for each end of a proof.
	keptLevel = 8
	// proverPatience is how long one question may read the log. What was read stays.
	proverPatience = 2 * time.Second
	// candidates is how many records with one hash of an id are looked at at once.
	candidates = 16
)

// Prover proves what [Prove] and [ProveGrowth] do, of a Log that is being
// written, again and again: it reads the log once, as far as it is asked for,
// and keeps the large nodes of its tree. It writes nothing.
type Prover struct {
	log      *Log
	patience time.Duration

	turn chan struct{} // whoever took what is in it owns read
	read reading
	done atomic.Uint64 // records that were read
}

// reading is how far the log was read, and the nodes that came of it.
type reading struct {
	chain chain
	first uint64 // record that the segment begins with in which the chain stands; 0: nothing was read
	at    int64  // where it stands there; 0: before the header

	removed uint64              // records before the first that was read
	roots   map[int64]tlog.Hash // of the subtrees that those make, by stored index
	from    [64]int64           // by level: number of the first node in nodes
	nodes   [64][]tlog.Hash     // by level, from keptLevel on
}

// NewProver returns a Prover of l.
func NewProver(l *Log) *Prover {
	p := &Prover{log: l, patience: proverPatience, turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

// Reading says that the log has to be read before something can be proven, and
// how far that has come. Who asks again gets on.
type Reading struct{ Done, Total uint64 } // records

func (e *Reading) Error() string {
	return fmt.Sprintf("%d of %d records have been read for the proof", e.Done, e.Total)
}

// Latest is the latest checkpoint, as published; nil if there is none. Its
// signature is not checked.
func (p *Prover) Latest() (*Checkpoint, error) {
	b, err := p.log.disk.ReadFile(latestName)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errNoAux) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return peekCheckpoint(b)
}

// CheckpointEvery is how long a record waits for a checkpoint that covers it.
func (p *Prover) CheckpointEvery() time.Duration { return p.log.opts.CheckpointEvery }

// Place is a record where it stands in the log.
type Place struct {
	Seq     uint64
	Record  *Record
	Payload []byte // as it is hashed
}

// Hash is the record's hash, to which the record after it commits.
func (p *Place) Hash() [32]byte { return sum(p.Payload) }

// Leaf is the record's leaf in the tree.
func (p *Place) Leaf() tlog.Hash { return leafHash(sum(p.Payload)) }

// Find finds the event that Lookup shows under an id in a Region; nil if there
// is none.
func (p *Prover) Find(ctx context.Context, region, eventID string) (*Place, error) {
	q := Query{Region: region, Attribute: ByEventID, Value: eventID}
	limit := p.log.Head().Records + 1
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		found, err := p.log.index.search(&q, limit, candidates)
		if err != nil {
			return nil, err
		}
		for _, seq := range found {
			payload, err := p.payload(seq)
			if gone(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			_, _, body, err := parsePayload(payload)
			var r *Record
			if err == nil {
				r, err = parseBody(body)
			}
			if err != nil {
				return nil, fmt.Errorf("trail: record %d: %w", seq, err)
			}
			if q.matches(r) { // the index knows hashes
				return &Place{seq, r, payload}, nil
			}
		}
		if len(found) < candidates {
			return nil, nil
		}
		limit = found[len(found)-1]
	}
}

func (p *Prover) payload(seq uint64) ([]byte, error) {
	f, at, err := p.log.index.find(seq)
	if err != nil {
		return nil, err
	}
	b, err := readPayload(f, at)
	if err != nil {
		return nil, fmt.Errorf("trail: read record %d at offset %d of its segment: %w", seq, at, err)
	}
	return b, nil
}

// Record proves that a record is in the log as it stood at the checkpoint c,
// which [Prover.Latest] gave: the text that [CheckProof] takes. The error is a
// *[Reading] where that takes longer, ErrNoCheckpoint where c does not cover the
// record, and a *[Corrupt] or ErrNotInTree where the log is damaged.
func (p *Prover) Record(ctx context.Context, c *Checkpoint, of *Place) (string, error) {
	if of.Seq > c.Records {
		return "", ErrNoCheckpoint
	}
	var proof tlog.RecordProof
	err := p.with(ctx, c.Records, func(r tlog.HashReader) (err error) {
		proof, err = tlog.ProveRecord(int64(c.Records), int64(of.Seq-1), r)
		return err
	})
	if err != nil {
		return "", err
	}
	if err := tlog.CheckRecord(proof, int64(c.Records), c.Root, int64(of.Seq-1), of.Leaf()); err != nil {
		return "", fmt.Errorf("trail: record %d: %w of %d records", of.Seq, ErrNotInTree, c.Records)
	}
	return recordText(of.Seq, of.Payload, proof, c), nil
}

// Growth proves that the log at the checkpoint c has all that it had at an
// earlier one, in the same places. The error is a *[Reading] where that takes
// longer.
func (p *Prover) Growth(ctx context.Context, c, since *Checkpoint) (string, error) {
	if since.Records > c.Records || since.Records == 0 {
		return "", fmt.Errorf("the checkpoint given is of %d records, the log's latest of %d", since.Records, c.Records)
	}
	var proof tlog.TreeProof
	err := p.with(ctx, c.Records, func(r tlog.HashReader) (err error) {
		proof, err = tlog.ProveTree(int64(c.Records), int64(since.Records), r)
		return err
	})
	if err != nil {
		return "", err
	}
	if err := tlog.CheckTree(slices.Clone(proof), int64(c.Records), c.Root, int64(since.Records), since.Root); err != nil {
		return "", ErrOtherLog
	}
	return growthText(since.Records, proof, c), nil
}

// ErrOtherLog says that a checkpoint is not of this log, or that the log is no
// longer what the checkpoint signs.
var ErrOtherLog = errors.New("the log did not grow from that checkpoint")

// ErrNotInTree says that the log is not what its own checkpoint signs.
var ErrNotInTree = errors.New("the log does not have the tree of its checkpoint")

// ErrRemoved says that a proof would need hashes of records that were removed.
var ErrRemoved = errors.New("records that the proof needs are no longer kept")

// with runs prove with the hashes of the log's first records.
func (p *Prover) with(ctx context.Context, records uint64, prove func(tlog.HashReader) error) error {
	deadline := time.NewTimer(p.patience)
	defer deadline.Stop()
	select {
	case <-p.turn:
	default:
		select {
		case <-p.turn:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return &Reading{min(p.done.Load(), records), records} // somebody else is at it
		}
	}
	defer func() { p.turn <- struct{}{} }()
	for try := 1; ; try++ {
		err := p.readTo(ctx, records, deadline.C)
		if err == nil {
			err = prove(tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return p.hashes(indexes, records) }))
		}
		if !gone(err) || try == offlineTries { // gone: segments were removed meanwhile
			return err
		}
	}
}

// readTo reads the log up to where it has so many records. Where it finds damage,
// or segments gone, it begins anew the next time.
func (p *Prover) readTo(ctx context.Context, records uint64, deadline <-chan time.Time) (err error) {
	r := &p.read
	defer func() {
		var more *Reading
		if err != nil && !errors.As(err, &more) && ctx.Err() == nil {
			p.read = reading{}
		}
	}()
	if r.first == 0 {
		if err := p.begin(); err != nil {
			return err
		}
	}
	begun := r.chain.next
	each := func(int64, []byte) error {
		switch {
		case r.chain.next > records:
			return errFar
		case r.chain.next%checkEvery != 0 || r.chain.next == begun: // each question gets on
			return nil
		}
		p.done.Store(r.chain.next - 1)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return &Reading{r.chain.next - 1, records}
		default:
			return nil
		}
	}
	for r.chain.next <= records {
		segments := p.log.index.list()
		i := slices.IndexFunc(segments, func(s indexed) bool { return s.first == r.first })
		if i < 0 {
			return errGoneRecord
		}
		s := &segments[i]
		last := i == len(segments)-1
		size, err := sizeOf(s.file, last)
		if err != nil {
			return err
		}
		done, err := r.chain.scan(&segmentFile{name: s.name, f: s.file, size: size, last: last, from: r.at}, each)
		if done.end > 0 {
			r.at = done.end
		}
		switch bad, _ := errors.AsType[*Corrupt](err); {
		case errors.Is(err, errFar), bad != nil && bad.Torn && r.chain.next > records: // the half of a write lies behind
			return nil
		case err != nil:
			return err
		case r.chain.next > records:
			return nil
		case last:
			return fmt.Errorf("trail: the log ends with record %d, its checkpoint is of %d", r.chain.next-1, records)
		}
		r.first, r.at = segments[i+1].first, 0
	}
	return nil
}

// begin stands before the first record that is kept.
func (p *Prover) begin() error {
	p.read = reading{roots: map[int64]tlog.Hash{}}
	c, err := p.rebase()
	if err != nil {
		return err
	}
	p.read.chain, p.read.first = c, c.next
	p.read.chain.node = p.read.keep
	return nil
}

// rebase takes up which records were removed. What it knows besides stays true.
func (p *Prover) rebase() (chain, error) {
	c := chain{next: 1}
	b, err := p.log.disk.ReadFile(baseName)
	if err == nil {
		c, _, err = readBase(b, nil)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errNoAux) {
		return c, err
	}
	p.read.removed = c.next - 1
	c.tree.nodes(func(level int, n int64, h tlog.Hash) { p.read.roots[tlog.StoredHashIndex(level, n)] = h })
	return c, nil
}

// keep keeps a node if it is a large one. Nodes of a level come in order.
func (r *reading) keep(level int, n int64, h tlog.Hash) {
	if level < keptLevel {
		return
	}
	if len(r.nodes[level]) == 0 {
		r.from[level] = n
	}
	r.nodes[level] = append(r.nodes[level], h)
}

// hashes gives tlog what it asks for of the tree of so many records.
func (p *Prover) hashes(indexes []int64, records uint64) ([]tlog.Hash, error) {
	if p.log.index.firstRecord()-1 > p.read.removed {
		if _, err := p.rebase(); err != nil {
			return nil, err
		}
	}
	out := make([]tlog.Hash, len(indexes))
	small := map[int64]map[int64]tlog.Hash{} // by block of records
	for i, x := range indexes {
		level, n := tlog.SplitStoredHashIndex(x)
		if level >= keptLevel {
			at := n - p.read.from[level]
			if at >= 0 && at < int64(len(p.read.nodes[level])) {
				out[i] = p.read.nodes[level][at]
				continue
			}
		}
		if h, ok := p.read.roots[x]; ok {
			out[i] = h
			continue
		}
		if level >= keptLevel {
			return nil, ErrRemoved
		}
		block := n >> (keptLevel - level)
		if small[block] == nil {
			nodes, err := p.block(block, records)
			if err != nil {
				return nil, err
			}
			small[block] = nodes
		}
		h, ok := small[block][x]
		if !ok {
			return nil, ErrRemoved
		}
		out[i] = h
	}
	return out, nil
}

// block makes the small nodes over the records of a block, those that are kept
// and count.
func (p *Prover) block(block int64, records uint64) (map[int64]tlog.Hash, error) {
	first, end := uint64(block)<<keptLevel, min(uint64(block+1)<<keptLevel, records)
	nodes := map[int64]tlog.Hash{}
	var t tree // of the block alone
	put := func(level int, n int64, h tlog.Hash) {
		nodes[tlog.StoredHashIndex(level, n+block<<(keptLevel-level))] = h
	}
	if removed := p.read.removed; removed > first { // the subtrees of what is not kept of it
		if removed >= end {
			return nodes, nil
		}
		t.n = removed - first
		for level, at := keptLevel-1, first; level >= 0; level-- {
			if t.n>>level&1 == 1 {
				t.roots = append(t.roots, p.read.roots[tlog.StoredHashIndex(level, int64(at>>level))])
				at += 1 << level
			}
		}
		t.nodes(put)
	}
	for seq := first + t.n + 1; seq <= end; seq++ {
		payload, err := p.payload(seq)
		if err != nil {
			return nil, err
		}
		t.add(leafHash(sum(payload)), put)
	}
	return nodes, nil
}

// recordText is a proof of a record as CheckProof takes it.
func recordText(seq uint64, payload []byte, proof tlog.RecordProof, c *Checkpoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nrecord %s\n\n%s\nindex %d\n", recordProof, base64.StdEncoding.EncodeToString(payload), inclusion, seq-1)
	for _, h := range proof {
		fmt.Fprintln(&b, h)
	}
	return b.String() + "\n" + string(c.Note)
}

// growthText is a proof of growth as CheckProof takes it.
func growthText(since uint64, proof tlog.TreeProof, c *Checkpoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nold %d\n", growthProof, since)
	for _, h := range proof {
		fmt.Fprintln(&b, h)
	}
	return b.String() + "\n" + string(c.Note)
}

// Signed is the text that the receipt's signature is of.
func (r *Receipt) Signed() (string, error) {
	b, err := r.text()
	return string(b), err
}

// PeekCheckpoint reads a checkpoint and leaves who signed it to somebody else.
func PeekCheckpoint(b []byte) (*Checkpoint, error) { return peekCheckpoint(b) }
