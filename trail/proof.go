package trail

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A proof is text that convinces somebody who has the log's public key, and not
// the log: that a record is in it, or that it only grew since a checkpoint.
const (
	recordProof = "tokaido record proof v1"
	growthProof = "tokaido growth proof v1"
	inclusion   = "c2sp.org/tlog-proof@v1" // C2SP's form of an inclusion proof, within ours

	maxProof = 4 << 20 // bytes
)

// ErrNoCheckpoint says that no checkpoint covers what is to be proven.
var ErrNoCheckpoint = errors.New("no checkpoint covers it yet")

// Prove proves that the records of a request are in the log in dir: one proof
// for each. It reads the log twice.
func Prove(ctx context.Context, dir, requestID string) (proofs []string, err error) {
	last, err := latestIn(dir)
	if err != nil {
		return nil, err
	}
	type found struct {
		seq     uint64
		payload []byte
	}
	var all []found
	has := contains(requestID)
	if _, err := pass(ctx, dir, last.Records, nil, func(seq uint64, payload, body []byte) error {
		if !has(body) {
			return nil
		}
		r, err := parseBody(body)
		if err == nil && r.RequestID == requestID {
			all = append(all, found{seq, bytes.Clone(payload)})
		}
		return err
	}); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the first %d records, which the latest checkpoint covers, have no request %s: %w", last.Records, requestID, ErrNoCheckpoint)
	}
	for _, f := range all {
		var proof tlog.RecordProof
		prove := func(r tlog.HashReader) (err error) {
			proof, err = tlog.ProveRecord(int64(last.Records), int64(f.seq-1), r)
			return err
		}
		if err := collect(ctx, dir, last.Records, prove); err != nil {
			return nil, err
		}
		proofs = append(proofs, recordText(f.seq, f.payload, proof, last))
	}
	return proofs, nil
}

// ProveGrowth proves that the log in dir has all that it had at an earlier
// checkpoint, in the same places.
func ProveGrowth(ctx context.Context, dir string, since []byte) (string, error) {
	old, err := peekCheckpoint(since)
	if err != nil {
		return "", err
	}
	last, err := latestIn(dir)
	if err != nil {
		return "", err
	}
	if old.Records > last.Records || old.Records == 0 {
		return "", fmt.Errorf("the checkpoint given is of %d records, the log's latest of %d", old.Records, last.Records)
	}
	var proof tlog.TreeProof
	prove := func(r tlog.HashReader) (err error) {
		proof, err = tlog.ProveTree(int64(last.Records), int64(old.Records), r)
		return err
	}
	if err := collect(ctx, dir, last.Records, prove); err != nil {
		return "", err
	}
	return growthText(old.Records, proof, last), nil
}

// latestIn is the latest checkpoint of the log in dir, as published.
func latestIn(dir string) (*Checkpoint, error) {
	d, err := readFolder(dir)
	if err != nil {
		return nil, err
	}
	b, err := d.ReadFile(latestName)
	if errors.Is(err, os.ErrNotExist) {
		err = ErrNoCheckpoint
	}
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	return peekCheckpoint(b)
}

// collect runs prove with the hashes that it asks for.
func collect(ctx context.Context, dir string, records uint64, prove func(tlog.HashReader) error) error {
	w, err := ask(prove)
	if err != nil || len(w.want) == 0 {
		return err
	}
	if _, err := pass(ctx, dir, records, w.node, nil); err != nil {
		return err
	}
	return prove(w)
}

var errFar = errors.New("far enough")

// pass reads the first records of the log in dir.
func pass(ctx context.Context, dir string, records uint64, node func(int, int64, tlog.Hash), each func(seq uint64, payload, body []byte) error) (c chain, err error) {
	d, err := readFolder(dir)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	snap, err := standingTogether(d)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, snap.close()) }()
	if c, _, err = snap.begin(nil); err != nil {
		return c, err
	}
	if c.node = node; node != nil {
		c.tree.nodes(node)
	}
	for i := range snap.files {
		_, err := c.scan(&snap.files[i], func(at int64, body []byte) error {
			if c.next > records {
				return errFar
			}
			if c.next%checkEvery == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if each == nil {
				return nil
			}
			b, _ := appendFrame(nil, c.next, c.prev, body, false) // there is one way to write it
			return each(c.next, b[frameSize:], body)
		})
		if errors.Is(err, errFar) {
			return c, nil
		}
		if bad, ok := errors.AsType[*Corrupt](err); ok && bad.Torn && c.next > records {
			return c, nil // the half of a write, and all that is asked for lies before it
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// Proven is what a proof proves.
type Proven struct {
	Record     *Record // of a proof of a record
	Seq        uint64
	Since      uint64 // of a proof of growth: records of the earlier checkpoint
	Checkpoint *Checkpoint

	Receipt    *Receipt // that the record carries; nil if it has none
	ReceiptErr error    // why that is not good, or not known to be: see ErrReceiptKey
}

// CheckProof checks a proof. A proof of growth also needs the earlier checkpoint.
func CheckProof(proof []byte, keys *Ring, since []byte) (*Proven, error) {
	if len(proof) > maxProof {
		return nil, fmt.Errorf("proof: it has more than %d bytes", maxProof)
	}
	kind, rest, _ := strings.Cut(string(proof), "\n")
	switch kind {
	case recordProof:
		return checkRecord(rest, keys)
	case growthProof:
		return checkGrowth(rest, keys, since)
	}
	return nil, errors.New("proof: neither of a record nor of growth")
}

func checkRecord(rest string, keys *Ring) (*Proven, error) {
	bad := func(what string) (*Proven, error) { return nil, fmt.Errorf("proof: %s", what) }
	line, rest, _ := strings.Cut(rest, "\n\n")
	text, ok := strings.CutPrefix(line, "record ")
	payload, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil {
		return bad("it has no record")
	}
	seq, _, body, err := parsePayload(payload)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	p := &Proven{Seq: seq}
	if p.Record, err = parseBody(body); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	head, note, ok := strings.Cut(rest, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || lines[0] != inclusion {
		return bad("it is not complete")
	}
	if lines[1] != "index "+strconv.FormatUint(seq-1, 10) {
		return bad("it is of another record")
	}
	hashes, err := hashesOf(lines[2:])
	if err != nil {
		return nil, err
	}
	if p.Checkpoint, err = ParseCheckpoint([]byte(note), keys); err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(hashes, int64(p.Checkpoint.Records), p.Checkpoint.Root, int64(seq-1), leafHash(sum(payload))); err != nil {
		return bad("the record is not in the tree of the checkpoint")
	}
	if p.Receipt, err = p.Record.Receipt(); err == nil {
		_, err = p.Record.checkReceipt(keys)
	}
	p.ReceiptErr = err
	return p, nil
}

func checkGrowth(rest string, keys *Ring, since []byte) (*Proven, error) {
	if since == nil {
		return nil, errors.New("proof: it takes the earlier checkpoint to check that the log grew from it")
	}
	old, err := ParseCheckpoint(since, keys)
	if err != nil {
		return nil, err
	}
	head, note, ok := strings.Cut(rest, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != "old "+strconv.FormatUint(old.Records, 10) {
		return nil, errors.New("proof: it is of growth from another checkpoint")
	}
	hashes, err := hashesOf(lines[1:])
	if err != nil {
		return nil, err
	}
	p := &Proven{Since: old.Records}
	if p.Checkpoint, err = ParseCheckpoint([]byte(note), keys); err != nil {
		return nil, err
	}
	if p.Checkpoint.Origin != old.Origin {
		return nil, errors.New("proof: the checkpoints are of different logs")
	}
	if err := tlog.CheckTree(slices.Clone(hashes), int64(p.Checkpoint.Records), p.Checkpoint.Root, int64(old.Records), old.Root); err != nil {
		return nil, errors.New("proof: the log did not only grow since the checkpoint")
	}
	return p, nil
}

func hashesOf(lines []string) (all []tlog.Hash, err error) {
	for _, l := range lines {
		h, err := parseHash(l)
		if err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		all = append(all, h)
	}
	return all, nil
}
