package server

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"tokaido/delivery"
	"tokaido/trail"
)

// More of what the data directory holds.
const (
	KeysDir     = "keys"     // of checkpoints and receipts
	deliveryDir = "delivery" // trails in CloudTrail's sense, and the key of their digest files
	bucketsDir  = "buckets"  // what these deliver
)

// TrailConfig says how calls are recorded.
type TrailConfig struct {
	// Inferences says when an inference's records are on the disk: durable, before it
	// leaves and before it is answered; or grouped, at most a tenth of a second later,
	// so that a crash can lose the last of them. Empty: durable.
	Inferences string `yaml:"inferences,omitempty"`

	CheckpointEvery time.Duration `yaml:"checkpointEvery"` // how long a record waits for a signature; 0: 10s
	RetainFor       time.Duration `yaml:"retainFor"`       // what is older may be removed; 0: nothing is
	RetainBytes     int64         `yaml:"retainBytes"`     // what is beyond may be removed; 0: nothing is
	CompressAfter   time.Duration `yaml:"compressAfter"`   // how old records are when their segment, which is full, is compressed; 0: none is
	RequireReceipts bool          `yaml:"requireReceipts"` // refuse an answer without a good receipt
	PeerKeys        []string      `yaml:"peerKeys"`        // public keys that other nodes sign receipts with
	DeliverEvery    time.Duration `yaml:"deliverEvery"`    // log files of CreateTrail's trails; 0: 5m
	DigestEvery     time.Duration `yaml:"digestEvery"`     // and their digest files; 0: 1h
	// LookupsPerSecond is how many LookupEvents a Region answers in a second; AWS
	// answers 2. 0: there is no limit.
	LookupsPerSecond float64 `yaml:"lookupsPerSecond"`
}

// The values of TrailConfig.Inferences.
const (
	inferencesDurable = "durable"
	inferencesGrouped = "grouped"
)

const (
	// defaultCompressAfter: compressed, a segment takes a tenth of the disk and is searched and
	// verified as fast, so it should not take somebody to ask for it. In a day a copy of
	// new files elsewhere has them as they were written, and copies each once more.
	defaultCompressAfter = 24 * time.Hour
	// minCompressAfter is the least that can be meant.
	minCompressAfter = time.Second
)

// defaultTrail is what is in force where nothing is said.
func defaultTrail() TrailConfig {
	return TrailConfig{
		Inferences: inferencesDurable, CheckpointEvery: trail.DefaultCheckpointEvery, CompressAfter: defaultCompressAfter,
		DeliverEvery: delivery.DefaultEvery, DigestEvery: delivery.DefaultDigestEvery,
	}
}

// gatherFor is how long records wait in memory for others where inferences are
// grouped.
const gatherFor = 5 * time.Millisecond

// check says what is wrong with the configuration.
func (c *TrailConfig) check() error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"checkpointEvery": c.CheckpointEvery, "retainFor": c.RetainFor, "compressAfter": c.CompressAfter, "deliverEvery": c.DeliverEvery, "digestEvery": c.DigestEvery,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("trail.%s: is negative: %v", name, d))
		}
	}
	if d := c.CompressAfter; d > 0 && d < minCompressAfter {
		errs = append(errs, fmt.Errorf("trail.compressAfter: is %v, must be 0s (segments are not compressed) or at least %v", d, minCompressAfter))
	}
	if c.Inferences != "" && c.Inferences != inferencesDurable && c.Inferences != inferencesGrouped {
		errs = append(errs, fmt.Errorf("trail.inferences: %q is neither %s nor %s", c.Inferences, inferencesDurable, inferencesGrouped))
	}
	if n := c.LookupsPerSecond; n != 0 && !(n >= 0.001 && n <= 1e6) {
		errs = append(errs, fmt.Errorf("trail.lookupsPerSecond: is %v, must be 0 or between 0.001 and 1000000", n))
	}
	if c.RetainBytes < 0 {
		errs = append(errs, fmt.Errorf("trail.retainBytes: is negative: %d", c.RetainBytes))
	}
	if _, err := trail.NewRing(c.PeerKeys...); err != nil {
		errs = append(errs, fmt.Errorf("trail.peerKeys: %w", err))
	}
	return errors.Join(errs...)
}

// openTrail opens the log and the keys that it is signed with.
func (s *Server) openTrail(cfg Config, logger *slog.Logger) (*trail.Log, *trail.Receipts, error) {
	keys, err := trail.OpenKeys(filepath.Join(cfg.DataDir, KeysDir), "tokaido/"+s.Account)
	if err != nil {
		return nil, nil, err
	}
	signer, err := keys.Log()
	if err != nil {
		return nil, nil, err
	}
	peers, err := trail.NewRing(cfg.Trail.PeerKeys...)
	if err != nil {
		return nil, nil, err
	}
	var gather time.Duration
	if cfg.Trail.Inferences == inferencesGrouped {
		gather = gatherFor
	}
	audit, err := trail.Open(filepath.Join(cfg.DataDir, TrailDir), trail.Options{
		Sync: true, Logger: logger, Signer: signer, Gather: gather,
		CheckpointEvery: cfg.Trail.CheckpointEvery, RetainFor: cfg.Trail.RetainFor, RetainBytes: cfg.Trail.RetainBytes, CompressAfter: cfg.Trail.CompressAfter,
	})
	return audit, &trail.Receipts{Keys: keys, Peers: peers, Require: cfg.Trail.RequireReceipts}, err
}

// openDelivery opens the trails that deliver log files.
func (s *Server) openDelivery(cfg Config, audit *trail.Log, logger *slog.Logger) (*delivery.Service, error) {
	return delivery.Open(delivery.Config{
		Dir: filepath.Join(cfg.DataDir, deliveryDir), Buckets: filepath.Join(cfg.DataDir, bucketsDir), Account: s.Account,
		Log: audit, Every: cfg.Trail.DeliverEvery, DigestEvery: cfg.Trail.DigestEvery, Logger: logger,
	})
}

// publicKeys are those that what is in the trail is signed with.
func publicKeys(receipts *trail.Receipts, cfg Config) func() (own, peers []string, err error) {
	return func() (own, peers []string, err error) {
		own, err = trail.Public(receipts.Keys.Dir())
		return own, cfg.Trail.PeerKeys, err
	}
}
