package trail

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Files of a log besides its segments.
const (
	latestName = "checkpoint" // the last checkpoint, for whoever takes it elsewhere
	baseName   = "base"       // the checkpoint that stands for segments that were removed
)

// publish writes each checkpoint where the world finds the latest. A reader may
// find an older one than the log holds, never a newer one.
func (l *Log) publish() {
	for p := range l.latest {
		if err := l.disk.WriteFile(latestName, p.Note); err == nil {
			l.published.Store(p.Records)
		} else if !errors.Is(err, errNoAux) {
			l.opts.Logger.Error("trail: the latest checkpoint could not be published", "err", err)
		}
	}
}

// checkLatest refuses a log that ends before what was signed and published, and
// publishes what a crash kept from it.
func (l *Log) checkLatest() error {
	if l.opts.Signer == nil {
		return nil
	}
	b, err := l.disk.ReadFile(latestName)
	if errors.Is(err, os.ErrNotExist) {
		l.publishLast()
		return nil
	}
	if err != nil {
		return err
	}
	p, err := peekCheckpoint(b)
	if err != nil {
		return &Corrupt{File: latestName, Reason: err.Error()}
	}
	l.published.Store(p.Records)
	if have := l.chain.next - 1; p.Records > have {
		return &Corrupt{File: l.index.last().name, Offset: l.at, Reason: fmt.Sprintf("the log ends with record %d, but a checkpoint of %d records was signed: its end was cut off", have, p.Records)}
	}
	if p.Records < l.chain.signed {
		l.publishLast()
	}
	if p.Records == l.chain.signed && !bytes.Equal(p.Note, l.chain.note) && l.chain.note != nil {
		return &Corrupt{File: latestName, Reason: fmt.Sprintf("the log holds another checkpoint of %d records", p.Records)}
	}
	return nil
}

// publishLast has the last checkpoint of the log published, which is durable.
func (l *Log) publishLast() {
	if l.chain.note != nil {
		l.latest <- &Checkpoint{Records: l.chain.signed, Note: l.chain.note}
	}
}

// rebase starts the chain at the base, if there is one, and removes what should
// have been removed with it. It returns the segments that are left.
func (l *Log) rebase(names []string) ([]string, error) {
	b, err := l.disk.ReadFile(baseName)
	if errors.Is(err, os.ErrNotExist) {
		return names, nil
	}
	if err != nil {
		return nil, err
	}
	if l.opts.Signer == nil {
		return nil, errors.New("trail: segments of the log were removed: it takes the log's key to open it")
	}
	verifier, err := verifierOf(l.opts.Signer)
	if err != nil {
		return nil, err
	}
	c, _, err := readBase(b, verifier)
	if err != nil {
		return nil, err
	}
	l.chain = c
	kept := names[:0:0]
	for _, name := range names {
		if firstOf(name) >= c.next {
			kept = append(kept, name)
			continue
		}
		if err := errors.Join(l.disk.Remove(name), l.removeIndex(name)); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func (l *Log) removeIndex(segment string) error {
	if err := l.disk.Remove(indexName(segment)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// readBase checks a base. keys nil: its signature cannot be checked.
func readBase(b []byte, keys *Ring) (chain, *Checkpoint, error) {
	var p *Checkpoint
	var err error
	if keys == nil {
		p, err = peekCheckpoint(b)
	} else {
		p, err = ParseCheckpoint(b, keys)
	}
	var c chain
	if err == nil {
		c, err = p.base()
	}
	if _, signatures, _ := bytes.Cut(b, []byte("\n\n")); err == nil && bytes.Count(signatures, []byte("\n")) != 1 {
		err = errors.New("it has more than the log's own signature")
	}
	if err != nil {
		return chain{}, nil, &Corrupt{File: baseName, Reason: err.Error()}
	}
	c.signed = p.Records
	return c, p, nil
}

// verifierOf is the public half of a key of ours.
func verifierOf(s note.Signer) (*Ring, error) {
	// A note.Signer does not tell its public key. What it signs can be checked by
	// what it signs again: Ed25519 gives the same signature for the same text.
	return &Ring{byName: map[string]ringKey{keyID(s.Name(), s.KeyHash()): {Verifier: again{s}}}}, nil
}

// again checks a signature by making it once more.
type again struct{ note.Signer }

func (a again) Verify(msg, sig []byte) bool {
	mine, err := a.Sign(msg)
	return err == nil && bytes.Equal(mine, sig)
}

// firstOf is the sequence in a segment's name; 0 if it has none.
func firstOf(name string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(name, suffix), 10, 64)
	return n
}

// retain removes the oldest segments that need not be kept. The base that takes
// their place is durable before the first of them goes.
func (l *Log) retain() {
	if l.opts.RetainFor == 0 && l.opts.RetainBytes == 0 {
		return
	}
	segments := l.index.list()
	var total int64
	for _, s := range segments {
		n, err := bytesOnDisk(s.file)
		if err != nil {
			l.opts.Logger.Error("trail: no segment is removed", "err", err)
			return
		}
		total += n
	}
	oldest := l.opts.Now().Add(-l.opts.RetainFor).UnixNano()
	n := 0
	for n < len(segments)-1 && segments[n].sealed != nil { // the last one is being written
		s := &segments[n]
		if s.first-1+uint64(s.sealed.Records) > l.published.Load() {
			break // what is published must not be older than the base
		}
		size, _ := bytesOnDisk(s.file)
		if (l.opts.RetainFor == 0 || s.sealed.To >= oldest) && (l.opts.RetainBytes == 0 || total <= l.opts.RetainBytes) {
			break
		}
		total -= size
		n++
	}
	if n == 0 {
		return
	}
	if err := l.remove(n); err != nil {
		l.opts.Logger.Error("trail: segments that need not be kept could not be removed", "err", err)
	}
}

// remove removes the first n segments, which have their indexes.
func (l *Log) remove(n int) error {
	l.names.Lock()
	defer l.names.Unlock()
	segments := l.index.list()
	// Where the chain and the tree stood at the end of what goes. The checkpoint
	// that ends a segment has signed it already; the base adds the subtrees.
	last := segments[n-1].sealed
	t, err := treeOf(last.First-1+uint64(last.Records), last.Tree)
	if err != nil {
		return err
	}
	p := Checkpoint{Records: t.n, Root: t.root(), Chain: last.After, Time: l.opts.Now(), Roots: t.roots}
	if err := p.sign(l.opts.Signer); err != nil {
		return err
	}
	if err := l.disk.WriteFile(baseName, p.Note); err != nil {
		return err
	}
	for range n {
		s := l.index.dropFirst()
		err := errors.Join(s.close(), l.disk.Remove(s.name), l.removeIndex(s.name))
		if err != nil {
			return err
		}
		l.opts.Logger.Info("trail: a segment was removed; a signed checkpoint stands for it", "file", s.name)
	}
	return l.disk.Sync()
}
