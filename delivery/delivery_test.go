package delivery

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokaido/fault"
	"tokaido/trail"
	"tokaido/value"
)

const account = "111122223333"

// world is a log and the trails over it, at a time of the test's.
type world struct {
	*Service
	dir string
	log *trail.Log
	now time.Time
	n   int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), now: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)}
	log, err := trail.Open(filepath.Join(w.dir, "trail"), trail.Options{Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	t.Cleanup(func() { log.Close() })
	w.open(t)
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *world) open(t *testing.T) {
	t.Helper()
	s, err := Open(Config{
		Dir: filepath.Join(w.dir, "delivery"), Buckets: filepath.Join(w.dir, "buckets"), Account: account, Log: w.log,
		Every: time.Hour, DigestEvery: time.Hour, Now: func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
}

func (w *world) record(t *testing.T, name, region string, readOnly bool) {
	t.Helper()
	w.n++
	source := "bedrock.amazonaws.com"
	switch name {
	case "CreateRole":
		source = "iam.amazonaws.com"
	case "GetObject":
		source = "s3.amazonaws.com"
	}
	if err := w.log.Append(t.Context(), &trail.Record{
		EventID: fmt.Sprintf("e%d", w.n), Time: w.now, Source: source, Name: name, Region: region, Account: account, ReadOnly: readOnly,
		Request: value.MustParse(`{"modelId":"m"}`),
	}); err != nil {
		t.Fatal(err)
	}
}

// files reads the log files of a bucket: event ids by Region.
func (w *world) files(t *testing.T, bucket string) map[string]string {
	t.Helper()
	b, err := w.Bucket(bucket)
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := b.List("", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, o := range all {
		p := strings.Split(o.Key, "/")
		if p[2] != "CloudTrail" {
			continue
		}
		v := value.MustParse(string(unzip(t, b, o.Key)))
		for _, e := range v.Get("Records").Items() {
			out[p[3]] = strings.TrimSpace(out[p[3]] + " " + e.Get("eventID").Str())
		}
	}
	return out
}

func unzip(t *testing.T, b *Bucket, key string) []byte {
	t.Helper()
	o, err := b.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(o.Body))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

const home = "ap-northeast-1"

// TestDelivery: each event comes into one file of its Region, those that a trail
// does not select into none, and nothing twice, also after another start.
func TestDelivery(t *testing.T) {
	w := newWorld(t)
	w.record(t, "Converse", home, true) // before anything logs
	for _, x := range []Trail{
		{Name: "all", HomeRegion: home, Bucket: "all-events", MultiRegion: true, Global: true, Validation: true},
		{Name: "one", HomeRegion: home, Bucket: "one-region"},
		{Name: "writes", HomeRegion: home, Bucket: "only-writes", MultiRegion: true, Global: true},
	} {
		if _, err := w.Create(x); err != nil {
			t.Fatal(err)
		}
		if x.Name == "writes" {
			if err := w.Select(home, "writes", Selector{ReadWrite: "WriteOnly"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Start(home, x.Name); err != nil {
			t.Fatal(err)
		}
	}
	w.record(t, "Converse", home, true)                // e2
	w.record(t, "Converse", "ap-northeast-3", true)    // e3
	w.record(t, "CreateRole", "us-east-1", false)      // e4
	w.record(t, "GetObject", home, true)               // e5: a data event
	w.record(t, "CreateInferenceProfile", home, false) // e6
	if err := w.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	w.now = w.now.Add(time.Minute)
	w.record(t, "InvokeModel", home, true) // e7
	for range 2 {
		if err := w.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for bucket, want := range map[string]string{
		"all-events":  "map[ap-northeast-1:e2 e6 e7 ap-northeast-3:e3 us-east-1:e4]",
		"one-region":  "map[ap-northeast-1:e2 e6 e7]",
		"only-writes": "map[ap-northeast-1:e6 us-east-1:e4]",
	} {
		if got := fmt.Sprint(w.files(t, bucket)); got != want {
			t.Errorf("%s: %s, want %s", bucket, got, want)
		}
	}
	x, err := w.Get(home, "all")
	if err != nil || !x.Logging || x.LatestDelivery != w.now || x.LatestError != "" {
		t.Errorf("%+v, %v", x, err)
	}
}

// TestCrashWhileDelivering: a delivery that was planned and not finished is
// repeated under the same names, with the same records.
func TestCrashWhileDelivering(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Create(Trail{Name: "all", HomeRegion: home, Bucket: "all-events", MultiRegion: true, Global: true, Validation: true}); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(home, "all"); err != nil {
		t.Fatal(err)
	}
	w.record(t, "Converse", home, true)
	w.record(t, "Converse", "ap-northeast-3", true)
	folder := filepath.Join(w.dir, "buckets", "all-events", "AWSLogs", account, "CloudTrail", "ap-northeast-3")
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // a file where a folder must be
		t.Fatal(err)
	}
	if err := w.Deliver(t.Context()); err == nil {
		t.Fatal("delivered into a file")
	}
	if x, _ := w.Get(home, "all"); x.LatestError == "" {
		t.Error("the status says nothing")
	}
	os.Remove(folder)
	w.record(t, "Converse", home, true) // comes after what was planned
	w.open(t)                           // as after a crash: the state of before
	w.now = w.now.Add(time.Hour)
	if err := w.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.files(t, "all-events")); got != "map[ap-northeast-1:e1 e3 ap-northeast-3:e2]" {
		t.Error(got)
	}
}

// TestDigests follows the chain of digest files and checks it as AWS says.
func TestDigests(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Create(Trail{Name: "all", HomeRegion: home, Bucket: "all-events", Prefix: "audit/x", MultiRegion: true, Global: true, Validation: true}); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(home, "all"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.record(t, "Converse", home, true)
		w.now = w.now.Add(time.Hour)
		if err := w.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(time.Minute)
	if err := w.Stop(t.Context(), home, "all"); err != nil {
		t.Fatal(err)
	}
	keys := w.PublicKeys(w.now, w.now)
	if len(keys) != 1 || len(w.PublicKeys(w.now.AddDate(-1, 0, 0), w.now.AddDate(-1, 0, 0))) != 0 {
		t.Fatalf("%d keys", len(keys))
	}
	public, err := x509.ParsePKCS1PublicKey(keys[0].DER)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Bucket("all-events")
	if err != nil {
		t.Fatal(err)
	}
	digests, more, err := b.List("audit/x/AWSLogs/"+account+"/CloudTrail-Digest/"+home, "", 1000)
	if err != nil || more || len(digests) != 4 {
		t.Fatalf("%d digests, %v", len(digests), err)
	}
	var before *digestFile
	var signature, hash string
	logs := 0
	for _, o := range digests {
		body := unzip(t, b, o.Key)
		object, err := b.Get(o.Key)
		if err != nil {
			t.Fatal(err)
		}
		var d digestFile
		if err := json.Unmarshal(body, &d); err != nil {
			t.Fatal(err)
		}
		previous := "null"
		if before != nil {
			if previous = signature; d.PreviousDigestSignature == nil || *d.PreviousDigestSignature != signature || *d.PreviousDigestHashValue != hash || *d.PreviousDigestS3Object != before.DigestS3Object {
				t.Errorf("%s does not continue the one before", o.Key)
			}
		} else if d.PreviousDigestSignature != nil {
			t.Error("the first digest has one before it")
		}
		sum := sha256.Sum256(body)
		hash = hex.EncodeToString(sum[:])
		signed := sha256.Sum256([]byte(d.DigestEndTime + "\n" + d.DigestS3Bucket + "/" + o.Key + "\n" + hash + "\n" + previous))
		signature = object.Metadata["signature"]
		sig, err := hex.DecodeString(signature)
		if err != nil || rsa.VerifyPKCS1v15(public, crypto.SHA256, signed[:], sig) != nil || d.DigestPublicKeyFingerprint != keys[0].Fingerprint {
			t.Errorf("%s: the signature is wrong: %v", o.Key, err)
		}
		for _, f := range d.LogFiles {
			sum := sha256.Sum256(unzip(t, b, f.S3Object))
			if hex.EncodeToString(sum[:]) != f.HashValue {
				t.Errorf("%s: its hash is wrong", f.S3Object)
			}
			logs++
		}
		before = &d
	}
	if logs != 3 {
		t.Errorf("%d log files in digests", logs)
	}
	info, err := os.Stat(filepath.Join(w.dir, "delivery", keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v", info.Mode(), err)
	}
}

func TestTrailFaults(t *testing.T) {
	w := newWorld(t)
	base := Trail{Name: "all", HomeRegion: home, Bucket: "all-events", MultiRegion: true}
	if _, err := w.Create(base); err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]func() error{
		"TrailAlreadyExistsException": func() error { _, err := w.Create(base); return err },
		"TrailNotFoundException":      func() error { return w.Start(home, "none") },
		"InvalidHomeRegionException":  func() error { return w.Start("us-east-1", "all") },
		"InvalidS3BucketNameException": func() error {
			_, err := w.Create(Trail{Name: "x", HomeRegion: home, Bucket: "../up"})
			return err
		},
	} {
		if err := f(); fault.Code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	var full error
	for i := range MaxTrails {
		if _, full = w.Create(Trail{Name: fmt.Sprintf("t%d", i), HomeRegion: home, Bucket: "all-events"}); full != nil {
			break
		}
	}
	if fault.Code(full) != "MaximumNumberOfTrailsExceededException" {
		t.Errorf("more than %d trails: %v", MaxTrails, full)
	}
	if x, err := w.Get("us-east-1", "all"); err != nil || x.HomeRegion != home {
		t.Errorf("a trail of all Regions is not seen elsewhere: %v", err)
	}
	if err := w.Delete(home, "all"); err != nil {
		t.Error(err)
	}
	if n := len(w.List(home, true)); n != 4 {
		t.Errorf("%d trails", n)
	}
}

// TestBucketKeepsItsFolder: no name leads out of the folder, or to what is hidden.
func TestBucketKeepsItsFolder(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "b", "a"), 0o700)
	os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600)
	b := &Bucket{filepath.Join(dir, "b")}
	for _, k := range []string{"a/1", "a-b", "a/2", "b"} {
		if err := b.put(k, []byte(k), map[string]string{"k": k}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "b", "link")); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"../secret", "a/../../secret", "link", ".b.metadata", "a", "", "/", "a//1", "a/./1", "a\\..\\x"} {
		if o, err := b.Get(k); err == nil || !errors.Is(err, ErrNoKey) && k != "link" {
			t.Errorf("%q: %v, %v", k, o, err)
		}
	}
	keys := func(prefix, marker string, n int) string {
		all, more, err := b.List(prefix, marker, n)
		if err != nil {
			t.Fatal(err)
		}
		var s strings.Builder
		s.WriteString(fmt.Sprint(more))
		for _, o := range all {
			s.WriteString(" " + o.Key)
		}
		return s.String()
	}
	for _, c := range [][2]string{
		{keys("", "", 9), "false a-b a/1 a/2 b"}, {keys("a", "", 2), "true a-b a/1"}, {keys("a", "a/1", 2), "false a/2"}, {keys("a/", "", 9), "false a/1 a/2"}, {keys("z", "", 9), "false"},
	} {
		if c[0] != c[1] {
			t.Errorf("%q, want %q", c[0], c[1])
		}
	}
	if o, err := b.Get("a/1"); err != nil || string(o.Body) != "a/1" || o.Metadata["k"] != "a/1" {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestUpdate: a trail that is changed goes on where it was, in its new place; a
// chain of digests begins when validation does, and tags are kept.
func TestUpdate(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Create(Trail{Name: "audit", HomeRegion: home, Bucket: "first", Global: true, MultiRegion: true}); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(home, "audit"); err != nil {
		t.Fatal(err)
	}
	w.record(t, "Converse", home, true) // e1
	if err := w.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, on := "second", true
	got, err := w.Update(t.Context(), home, "audit", Update{Bucket: &second, Validation: &on})
	if err != nil || got.Bucket != second || !got.Validation || !got.MultiRegion {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := w.Select(home, "audit", Selector{Any: []Advanced{
		{Fields: []Field{{Field: "eventCategory", Equals: []string{"Management"}}, {Field: "readOnly", Equals: []string{"false"}}}},
		{Fields: []Field{{Field: "eventCategory", Equals: []string{"Management"}}, {Field: "eventSource", NotEquals: []string{"bedrock.amazonaws.com"}}}},
	}}); err != nil {
		t.Fatal(err)
	}
	w.record(t, "Converse", home, true)                // e2: neither
	w.record(t, "CreateInferenceProfile", home, false) // e3: it writes
	w.record(t, "CreateRole", "us-east-1", true)       // e4: another source
	if err := w.Tag(home, got.ARN, map[string]string{"team": "audit", "stage": "test"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Untag(home, got.ARN, map[string]string{"stage": ""}); err != nil {
		t.Fatal(err)
	}
	many := map[string]string{}
	for i := range MaxTags {
		many[fmt.Sprint(i)] = ""
	}
	if err := w.Tag(home, got.ARN, many); fault.Code(err) != "TagsLimitExceededException" {
		t.Errorf("%v", err)
	}
	w.now = w.now.Add(2 * time.Hour)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	if got, err := w.Get(home, "audit"); err != nil || fmt.Sprint(got.Tags) != "map[team:audit]" {
		t.Errorf("%v, %v", got.Tags, err)
	}
	for bucket, want := range map[string]string{"first": "map[ap-northeast-1:e1]", "second": "map[ap-northeast-1:e3 us-east-1:e4]"} {
		if got := fmt.Sprint(w.files(t, bucket)); got != want {
			t.Errorf("%s: %s, want %s", bucket, got, want)
		}
	}
	b, err := w.Bucket("second")
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := b.List("AWSLogs/"+account+"/CloudTrail-Digest/"+home, "", 1000)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d digests, %v", len(all), err)
	}
	d := value.MustParse(string(unzip(t, b, all[0].Key)))
	if d.Get("logFiles").Len() != 1 || !d.Get("previousDigestSignature").IsNull() {
		t.Errorf("%s", d)
	}
}
