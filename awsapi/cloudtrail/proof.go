package cloudtrail

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"tokaido/awsapi"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/trail"
	"tokaido/value"
)

// Prover proves what is in the log. trail.Prover is one.
type Prover interface {
	// Latest must return the latest checkpoint, nil if there is none.
	Latest() (*trail.Checkpoint, error)
	CheckpointEvery() time.Duration
	// Find must return nil if there is no such event.
	Find(ctx context.Context, region, eventID string) (*trail.Place, error)
	// Record and Growth return a *trail.Reading where they need more time.
	Record(ctx context.Context, c *trail.Checkpoint, of *trail.Place) (string, error)
	Growth(ctx context.Context, c, since *trail.Checkpoint) (string, error)
}

// Keys returns the public keys that checkpoints and receipts are signed with: of
// this node and of other nodes.
type Keys func() (own, peers []string, err error)

const (
	maxEventID    = 128
	maxCheckpoint = 16 << 10
)

// What has come of a proof.
const (
	complete   = "COMPLETE"
	pending    = "PENDING_CHECKPOINT" // no checkpoint covers the event yet
	inProgress = "IN_PROGRESS"        // the log is being read for it: ask again
	impossible = "IMPOSSIBLE"         // Reason says why
)

// ProofOps is GetEventProof, which AWS does not have: CloudTrail's own proof of
// what happened is the digest file, of a trail that delivers, an hour later. It
// answers with the log's latest signed checkpoint, the public keys and, where an
// event is named, the proof that its record is in the log, as `tokaido trail
// prove` makes it and `tokaido trail verify --proof` checks it: whoever asks need
// not believe the answer. With an earlier checkpoint it proves that the log has all
// that it had then.
//
// The proof holds the record as it is stored: the record of a refusal has the
// policies that were decided with, so it also takes the permission to have a
// refusal explained.
func ProofOps(p Prover, keys Keys) []awsapi.Op {
	h := proofs{p, keys}
	return []awsapi.Op{{
		Service: "cloudtrail", Source: "cloudtrail.amazonaws.com", Name: "GetEventProof", Protocol: awsapi.JSON11, Target: target + "GetEventProof", ReadOnly: true,
		Needs: h.needs, Params: params, Handle: h.get,
	}}
}

type proofs struct {
	prover Prover
	keys   Keys
}

func (h proofs) needs(ctx context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
	all := []iam.Authorization{{Action: "cloudtrail:GetEventProof", Resource: "*"}}
	id, err := optional(r, "EventId", maxEventID)
	if err != nil || id == "" {
		return all, err
	}
	of, err := h.prover.Find(ctx, r.Region, id)
	if err != nil {
		return nil, err
	}
	if of != nil {
		if _, err := of.Record.Refusal(); !errors.Is(err, trail.ErrNoEvidence) {
			all = append(all, iam.Authorization{Action: "sts:DecodeAuthorizationMessage", Resource: "*"})
		}
	}
	return all, nil
}

// optional reads a text that may be absent, but not empty.
func optional(r *awsapi.Request, member string, most int) (string, error) {
	v := r.Input.Get(member)
	switch {
	case !given(v):
		return "", nil
	case !v.IsString():
		return "", wrongType(member, "a string", v)
	case v.Str() == "" || len(v.Str()) > most:
		return "", fault.Newf("InvalidParameterException", "%s must have between 1 and %d characters.", member, most)
	}
	return v.Str(), nil
}

func (h proofs) get(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("EventId", "EarlierCheckpoint"); err != nil {
		return nil, err
	}
	id, err := optional(r, "EventId", maxEventID)
	if err != nil {
		return nil, err
	}
	since, err := earlier(r)
	if err != nil {
		return nil, err
	}
	known, err := h.publicKeys()
	if err != nil {
		return nil, err
	}
	c, err := h.prover.Latest()
	if err != nil {
		return nil, err
	}
	var note string
	if c != nil {
		note = string(c.Note)
	}
	answer := []value.Member{
		{Key: "Checkpoint", Value: text(note)},
		{Key: "CheckpointIntervalSeconds", Value: value.Int(int64((h.prover.CheckpointEvery() + time.Second - 1) / time.Second))},
		{Key: "PublicKeys", Value: known},
	}
	if id != "" {
		of, err := h.prover.Find(ctx, r.Region, id)
		if err != nil {
			return nil, err
		}
		if of == nil {
			return nil, notFound(id, r.Region)
		}
		v, err := h.event(ctx, c, of)
		if err != nil {
			return nil, err
		}
		answer = append(answer, value.Member{Key: "EventProof", Value: v})
	}
	if since != nil {
		v, err := h.growth(ctx, c, since)
		if err != nil {
			return nil, err
		}
		answer = append(answer, value.Member{Key: "ConsistencyProof", Value: v})
	}
	return awsapi.OK(answer...), nil
}

func notFound(id, region string) error {
	return fault.Newf("EventNotFoundException", "Event %.128s was not found in %s. An event is found in the Region that its record names, unless it is no longer kept.", id, region)
}

// earlier reads the checkpoint that somebody kept. Who signed it is for the asker
// to check.
func earlier(r *awsapi.Request) (*trail.Checkpoint, error) {
	s, err := optional(r, "EarlierCheckpoint", maxCheckpoint)
	if err != nil || s == "" {
		return nil, err
	}
	c, err := trail.PeekCheckpoint([]byte(s))
	if err == nil && c.Records == 0 {
		err = errors.New("it is of no records")
	}
	if err != nil {
		return nil, fault.Newf("InvalidParameterException", "EarlierCheckpoint is not a checkpoint as the log signs them: %.200s", err)
	}
	return c, nil
}

func (h proofs) event(ctx context.Context, c *trail.Checkpoint, of *trail.Place) (value.Value, error) {
	var proof string
	err := trail.ErrNoCheckpoint
	if c != nil {
		proof, err = h.prover.Record(ctx, c, of)
	}
	hash, leaf := of.Hash(), of.Leaf()
	m := []value.Member{
		{Key: "EventId", Value: value.String(of.Record.EventID)},
		{Key: "EventSequence", Value: value.Int(int64(of.Seq))},
		{Key: "RecordHash", Value: value.String(hex.EncodeToString(hash[:]))},
		{Key: "LeafHash", Value: value.String(base64.StdEncoding.EncodeToString(leaf[:]))},
	}
	switch damage, _ := errors.AsType[*trail.Corrupt](err); {
	case errors.Is(err, trail.ErrRemoved):
		return value.Value{}, notFound(of.Record.EventID, of.Record.Region)
	case damage != nil, errors.Is(err, trail.ErrNotInTree):
		m, err = append(m, value.Member{Key: "Status", Value: value.String(impossible)}, value.Member{Key: "Reason", Value: value.String(err.Error())}), nil
	default:
		m, err = outcome(m, proof, err)
	}
	if err != nil {
		return value.Value{}, err
	}
	receipt, err := of.Record.Receipt()
	if err == nil && receipt != nil {
		var signed string
		if signed, err = receipt.Signed(); err == nil {
			m = append(m, value.Member{Key: "Receipt", Value: value.Object(
				value.Member{Key: "Region", Value: value.String(receipt.Region)},
				value.Member{Key: "KeyName", Value: value.String(receipt.Key)},
				value.Member{Key: "SignedText", Value: value.String(signed)},
				value.Member{Key: "Signature", Value: value.String(base64.StdEncoding.EncodeToString(receipt.Signature))},
			)})
		}
	}
	// What was wrong with a receipt was recorded with it.
	if problem := of.Record.Additional.Get(trail.ProblemMember); problem.IsString() {
		m = append(m, value.Member{Key: "ReceiptProblem", Value: problem})
	} else if err != nil {
		m = append(m, value.Member{Key: "ReceiptProblem", Value: value.String(err.Error())})
	}
	return value.Object(m...), nil
}

func (h proofs) growth(ctx context.Context, c, since *trail.Checkpoint) (value.Value, error) {
	head := []value.Member{{Key: "EarlierRecords", Value: value.Int(int64(since.Records))}}
	no := func(format string, args ...any) (value.Value, error) {
		return value.Object(append(head, value.Member{Key: "Status", Value: value.String(impossible)}, value.Member{Key: "Reason", Value: value.String(fmt.Sprintf(format, args...))})...), nil
	}
	switch {
	case c == nil:
		return no("the log has no checkpoint")
	case c.Origin != since.Origin:
		return no("the checkpoint given is of the log %s, this one is %s", since.Origin, c.Origin)
	case c.Records < since.Records:
		return no("the log's latest checkpoint is of %d records, the one given of %d: the end of the log was cut off", c.Records, since.Records)
	}
	proof, err := h.prover.Growth(ctx, c, since)
	switch {
	case errors.Is(err, trail.ErrOtherLog):
		return no("the first %d records of the log are not those that the checkpoint given signs", since.Records)
	case errors.Is(err, trail.ErrRemoved):
		return no("records of that time are no longer kept, and with them what the proof needs; a checkpoint of more records than were removed can be compared")
	}
	m, err := outcome(head, proof, err)
	return value.Object(m...), err
}

// outcome adds what came of a proof.
func outcome(m []value.Member, proof string, err error) ([]value.Member, error) {
	status := func(s string) { m = append(m, value.Member{Key: "Status", Value: value.String(s)}) }
	var more *trail.Reading
	switch {
	case errors.As(err, &more):
		status(inProgress)
		return append(m, value.Member{Key: "RecordsRead", Value: value.Int(int64(more.Done))}, value.Member{Key: "RecordsToRead", Value: value.Int(int64(more.Total))}), nil
	case errors.Is(err, trail.ErrNoCheckpoint):
		status(pending)
		return m, nil
	case err != nil:
		return nil, err
	}
	status(complete)
	return append(m, value.Member{Key: "Proof", Value: value.String(proof)}), nil
}

// regionPart is what comes before the Region in the name of a key for receipts.
const regionPart = "/region/"

func (h proofs) publicKeys() (value.Value, error) {
	own, peers, err := h.keys()
	if err != nil {
		return value.Value{}, err
	}
	var all []value.Value
	for _, from := range []struct {
		source string
		keys   []string
	}{{"NODE", own}, {"PEER", peers}} {
		for _, k := range from.keys {
			name, _, _ := strings.Cut(k, "+")
			use := "CHECKPOINT"
			_, region, ok := strings.Cut(name, regionPart)
			if ok {
				use = "RECEIPT"
			}
			all = append(all, value.Object(
				value.Member{Key: "PublicKey", Value: value.String(k)},
				value.Member{Key: "Use", Value: value.String(use)},
				value.Member{Key: "Region", Value: text(region)},
				value.Member{Key: "Source", Value: value.String(from.source)},
			))
		}
	}
	return value.Array(all...), nil
}
