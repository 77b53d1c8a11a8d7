// Package delivery keeps trails in CloudTrail's sense: it writes the events of
// the log as log files in a folder, in AWS's layout, and digest files that sign
// them, so that `aws cloudtrail validate-logs` can tell whether they are whole.
//
// The files are copies: the truth is the log of package trail. Every event comes
// into exactly one file of a trail. What was planned is stored before it is
// written, so that a crash in between repeats the same file under the same name.
package delivery

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/fault"
	"tokaido/internal/durable"
	"tokaido/trail"
)

// How often files are delivered where Config does not say; AWS's own pace.
const (
	DefaultEvery       = 5 * time.Minute
	DefaultDigestEvery = time.Hour
)

// Limits of trails and files.
const (
	MaxTrails  = 5      // in a Region
	maxRecords = 10_000 // of one log file
)

// Log is the log that events are taken from.
type Log interface {
	// After must return up to n records that come after a sequence, oldest first,
	// and the sequence of the last one looked at.
	After(ctx context.Context, seq uint64, n int) (all []*trail.Record, last uint64, err error)
	Head() trail.Head
}

// Config of a Service.
type Config struct {
	Dir         string // state and key
	Buckets     string // a folder for each bucket
	Account     string
	Log         Log
	Every       time.Duration // 0: DefaultEvery
	DigestEvery time.Duration // 0: DefaultDigestEvery
	Now         func() time.Time
	Logger      *slog.Logger
}

// Trail is what CreateTrail makes.
type Trail struct {
	Name, ARN, HomeRegion     string
	Bucket, Prefix            string
	MultiRegion               bool // events of every Region, not of the home Region only
	Global                    bool // events of IAM too
	Validation                bool // digest files are delivered
	Selector                  Selector
	HasSelector               bool
	Logging                   bool
	Started, Stopped          time.Time
	LatestDelivery, LatestTry time.Time
	LatestDigest              time.Time
	LatestError               string
	Tags                      map[string]string `json:",omitempty"`
}

// state is a Trail with how far it was delivered.
type state struct {
	Trail
	Seq     uint64                  // of the last record delivered or passed over
	Plan    *plan                   `json:",omitempty"`
	Regions map[string]*regionState // by Region
}

// plan is a delivery that has begun.
type plan struct {
	From, To uint64
	Time     time.Time
	Unique   string
}

// regionState is one chain of digests.
type regionState struct {
	Files []logFile // delivered and not yet in a digest
	Since time.Time // when the next digest begins
	Last  *digestRef
}

type logFile struct {
	Bucket, Key, Hash string
	Oldest, Newest    time.Time
}

type digestRef struct {
	Bucket, Key, Hash, Signature string
}

// Service keeps trails. Its methods may be called from many goroutines.
type Service struct {
	cfg  Config
	key  *signingKey
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex        // held while anything is delivered
	trails map[string]*state // by ARN; guarded by mu
}

const stateFile = "trails.json"

// Open opens the trails in a directory and begins to deliver.
func Open(cfg Config) (*Service, error) {
	cfg.Every = cmp.Or(cfg.Every, DefaultEvery)
	cfg.DigestEvery = cmp.Or(cfg.DigestEvery, DefaultDigestEvery)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for _, dir := range []string{cfg.Dir, cfg.Buckets} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	s := &Service{cfg: cfg, trails: map[string]*state{}}
	var err error
	if s.key, err = openKey(filepath.Join(cfg.Dir, keyFile), cfg.Now); err != nil {
		return nil, fmt.Errorf("the key of digest files: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(cfg.Dir, stateFile))
	if err == nil {
		err = json.Unmarshal(b, &s.trails)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("the trails: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wg.Go(func() { s.run(ctx) })
	return s, nil
}

// run delivers again and again.
func (s *Service) run(ctx context.Context) {
	tick := time.NewTicker(min(s.cfg.Every, s.cfg.DigestEvery))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Deliver(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Logger.Error("delivery: log files could not be delivered", "err", err)
			}
		}
	}
}

// Close delivers what there is, with digests, and ends.
func (s *Service) Close() error {
	s.stop()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, t := range s.sorted() {
		if t.Logging {
			errs = append(errs, s.deliver(context.Background(), t, true))
		}
	}
	return errors.Join(errs...)
}

// save makes the state durable.
func (s *Service) save() error {
	b, err := json.MarshalIndent(s.trails, "", " ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(s.cfg.Dir, stateFile), b)
}

func (s *Service) sorted() []*state {
	var all []*state
	for _, arn := range slices.Sorted(maps.Keys(s.trails)) {
		all = append(all, s.trails[arn])
	}
	return all
}

// arnOf is the ARN of a trail of this account.
func (s *Service) arnOf(region, name string) string {
	return fmt.Sprintf("arn:aws:cloudtrail:%s:%s:trail/%s", region, s.cfg.Account, name)
}

// ARN is the ARN that a name, or an ARN, stands for in a Region.
func (s *Service) ARN(region, nameOrARN string) string {
	if strings.HasPrefix(nameOrARN, "arn:") {
		return nameOrARN
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.named(region, nameOrARN); t != nil {
		return t.ARN
	}
	return s.arnOf(region, nameOrARN)
}

// named finds a trail by name: of the Region, or one of all Regions.
func (s *Service) named(region, name string) *state {
	if t := s.trails[s.arnOf(region, name)]; t != nil {
		return t
	}
	for _, t := range s.sorted() {
		if t.MultiRegion && t.Name == name {
			return t
		}
	}
	return nil
}

func (s *Service) find(region, nameOrARN string) (*state, error) {
	t := s.trails[nameOrARN]
	if t == nil && !strings.HasPrefix(nameOrARN, "arn:") {
		t = s.named(region, nameOrARN)
	}
	if t == nil {
		arn := nameOrARN
		if !strings.HasPrefix(arn, "arn:") {
			arn = s.arnOf(region, nameOrARN)
		}
		return nil, fault.Newf("TrailNotFoundException", "Unknown trail: %s for the user: %s", arn, s.cfg.Account)
	}
	return t, nil
}

// Create makes a trail, which does not log yet. Its bucket is a folder of this
// server's, made if need be.
func (s *Service) Create(t Trail) (Trail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ARN = s.arnOf(t.HomeRegion, t.Name)
	if s.named(t.HomeRegion, t.Name) != nil {
		return Trail{}, fault.Newf("TrailAlreadyExistsException", "Trail %s already exists for customer: %s", t.Name, s.cfg.Account)
	}
	n := 0
	for _, x := range s.trails {
		if x.HomeRegion == t.HomeRegion || x.MultiRegion {
			n++
		}
	}
	if n >= MaxTrails {
		return Trail{}, fault.Newf("MaximumNumberOfTrailsExceededException", "User: %s already has %d trails in %s.", s.cfg.Account, n, t.HomeRegion)
	}
	if err := s.makeBucket(t.Bucket); err != nil {
		return Trail{}, err
	}
	t.Selector = Selector{ReadWrite: "All"}
	s.trails[t.ARN] = &state{Trail: t, Regions: map[string]*regionState{}}
	if err := s.save(); err != nil {
		delete(s.trails, t.ARN)
		return Trail{}, err
	}
	return t, nil
}

// Get returns a trail by name or ARN.
func (s *Service) Get(region, nameOrARN string) (Trail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.find(region, nameOrARN)
	if err != nil {
		return Trail{}, err
	}
	return t.shown(), nil
}

// shown is the trail for others, who must not change what is ours.
func (t *state) shown() Trail {
	x := t.Trail
	x.Tags = maps.Clone(x.Tags)
	return x
}

// List returns the trails that a Region shows: its own, and with shadows those of
// other Regions that log it too. region "": all.
func (s *Service) List(region string, shadows bool) (all []Trail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.sorted() {
		if region == "" || t.HomeRegion == region || shadows && t.MultiRegion {
			all = append(all, t.shown())
		}
	}
	return all
}

// change changes a trail, durably or not at all.
func (s *Service) change(region, nameOrARN string, f func(*state) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.find(region, nameOrARN)
	if err != nil {
		return err
	}
	if t.HomeRegion != region {
		return fault.Newf("InvalidHomeRegionException", "Trail %s must be changed in its home region, %s.", t.ARN, t.HomeRegion)
	}
	before := *t
	if err = f(t); err == nil {
		err = s.save()
	}
	if err != nil {
		*t = before
	}
	return err
}

// Delete removes a trail. Its files stay.
func (s *Service) Delete(region, nameOrARN string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.find(region, nameOrARN)
	if err != nil {
		return err
	}
	if t.HomeRegion != region {
		return fault.Newf("InvalidHomeRegionException", "Trail %s must be changed in its home region, %s.", t.ARN, t.HomeRegion)
	}
	delete(s.trails, t.ARN)
	if err := s.save(); err != nil {
		s.trails[t.ARN] = t
		return err
	}
	return nil
}

// Start begins logging: with the events from now on.
func (s *Service) Start(region, nameOrARN string) error {
	return s.change(region, nameOrARN, func(t *state) error {
		if t.Logging {
			return nil
		}
		now := s.cfg.Now().UTC()
		t.Logging, t.Started, t.Seq = true, now, s.cfg.Log.Head().Records
		t.region(t.HomeRegion, now)
		for _, r := range t.Regions {
			r.Since = now
		}
		return nil
	})
}

// Stop delivers what there is, with its digests, and ends logging.
func (s *Service) Stop(ctx context.Context, region, nameOrARN string) error {
	var failed error
	err := s.change(region, nameOrARN, func(t *state) error {
		if t.Logging {
			failed = s.deliver(ctx, t, true)
			t.Logging, t.Stopped = false, s.cfg.Now().UTC()
		}
		return nil
	})
	if failed != nil {
		s.cfg.Logger.Error("delivery: the last log files of a trail that was stopped could not be delivered", "trail", nameOrARN, "err", failed)
	}
	return err
}

// Select sets which events are delivered.
func (s *Service) Select(region, nameOrARN string, sel Selector) error {
	return s.change(region, nameOrARN, func(t *state) error {
		t.Selector, t.HasSelector = sel, true
		return nil
	})
}

// region returns the state of a Region's chain, which begins now if it is new.
func (t *state) region(region string, now time.Time) *regionState {
	r := t.Regions[region]
	if r == nil {
		r = &regionState{Since: now}
		t.Regions[region] = r
	}
	return r
}

// Deliver writes the log files that are due, and digests.
func (s *Service) Deliver(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, t := range s.sorted() {
		if t.Logging {
			errs = append(errs, s.deliver(ctx, t, false))
		}
	}
	return errors.Join(errs...)
}

// deliver brings one trail up to now. With all set digests are made though they
// are not due.
func (s *Service) deliver(ctx context.Context, t *state, all bool) (err error) {
	t.LatestTry = s.cfg.Now().UTC()
	defer func() {
		if t.LatestError = ""; err != nil {
			t.LatestError = err.Error()
			err = fmt.Errorf("trail %s: %w", t.Name, err)
		}
		err = errors.Join(err, s.save())
	}()
	for end := s.cfg.Log.Head().Records; t.Plan != nil || t.Seq < end; {
		if err := s.step(ctx, t); err != nil {
			return err
		}
	}
	if !t.Validation {
		for _, r := range t.Regions {
			r.Files = nil
		}
		return nil
	}
	for _, region := range slices.Sorted(maps.Keys(t.Regions)) {
		if r := t.Regions[region]; all || s.cfg.Now().Sub(r.Since) >= s.cfg.DigestEvery {
			if err := s.digest(t, region, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// step delivers one batch of records.
func (s *Service) step(ctx context.Context, t *state) error {
	from := t.Seq
	if t.Plan != nil {
		from = t.Plan.From
	}
	want := maxRecords
	if t.Plan != nil {
		want = int(t.Plan.To - t.Plan.From)
	}
	records, last, err := s.cfg.Log.After(ctx, from, want)
	if err != nil {
		return err
	}
	byRegion := map[string][]*trail.Record{}
	for _, r := range records {
		if t.takes(r) {
			byRegion[r.Region] = append(byRegion[r.Region], r)
		}
	}
	if t.Plan == nil {
		t.Plan = &plan{From: from, To: last, Time: s.cfg.Now().UTC(), Unique: unique()}
		if len(byRegion) > 0 { // nothing is written otherwise
			if err := s.save(); err != nil {
				t.Plan = nil
				return err
			}
		}
	}
	for _, region := range slices.Sorted(maps.Keys(byRegion)) {
		f, err := s.write(t, region, byRegion[region])
		if err != nil {
			return err
		}
		r := t.region(region, t.Plan.Time)
		if !slices.ContainsFunc(r.Files, func(x logFile) bool { return x.Key == f.Key }) {
			r.Files = append(r.Files, f)
		}
		t.LatestDelivery = t.Plan.Time
	}
	t.Seq, t.Plan = t.Plan.To, nil
	return s.save()
}

// takes reports whether an event belongs into the files of a trail.
func (t *state) takes(r *trail.Record) bool {
	switch {
	case r.Phase == trail.Intent, r.Data(), r.Source == "", r.Region == "":
		return false
	case !t.MultiRegion && r.Region != t.HomeRegion:
		return false
	case !t.Global && r.Source == "iam.amazonaws.com":
		return false
	}
	return t.Selector.takes(r)
}

// write writes one log file.
func (s *Service) write(t *state, region string, records []*trail.Record) (logFile, error) {
	b := []byte(`{"Records":[`)
	f := logFile{Bucket: t.Bucket}
	for i, r := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.CloudTrail().AppendJSON(b)
		if at := r.Time.Truncate(time.Second); i == 0 || at.Before(f.Oldest) {
			f.Oldest = at
		}
		if at := r.Time.Truncate(time.Second); i == 0 || at.After(f.Newest) {
			f.Newest = at
		}
	}
	b = append(b, "]}"...)
	at := t.Plan.Time
	f.Key = t.key("AWSLogs/%[1]s/CloudTrail/%[2]s/%[3]s/%[1]s_CloudTrail_%[2]s_%[4]s_%[5]s.json.gz",
		s.cfg.Account, region, at.Format("2006/01/02"), at.Format("20060102T1504Z"), t.Plan.Unique)
	sum := sha256.Sum256(b)
	f.Hash = hex.EncodeToString(sum[:])
	zipped, err := pack(b)
	if err != nil {
		return f, err
	}
	return f, (&Bucket{dir: filepath.Join(s.cfg.Buckets, t.Bucket)}).put(f.Key, zipped, nil)
}

func (t *state) key(format string, args ...any) string {
	k := fmt.Sprintf(format, args...)
	if t.Prefix != "" {
		k = t.Prefix + "/" + k
	}
	return k
}

// pack compresses: the same content to the same bytes.
func pack(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// unique is what makes a log file's name so.
func unique() string {
	var b [16]byte
	rand.Read(b[:])
	for i, c := range b {
		b[i] = alphanumeric[int(c)%len(alphanumeric)]
	}
	return string(b[:])
}
