// Command trail measures the audit log: durable appends beside what the disk
// can do in the same minute, and opening, looking up, verifying and reporting
// over many records. It prints text for bench/results.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/residency"
	"tokaido/trail"
	"tokaido/value"
)

const segmentRegion = "ap-northeast-1"

// record is one of many, as a call of a workflow's task leaves it.
func record(i int) *trail.Record {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 20 * time.Millisecond)
	run := fmt.Sprintf("run-%d", i/4)
	r := &trail.Record{
		EventID: eventID(i), Time: at, Source: "bedrock.amazonaws.com", Name: "Converse", Region: segmentRegion, Account: "111122223333", Phase: trail.Whole,
		Identity: trail.Identity{
			Type: "AssumedRole", PrincipalID: "AROAEXAMPLE:" + run, ARN: "arn:aws:sts::111122223333:assumed-role/flow/" + run, Account: "111122223333",
			AccessKeyID: fmt.Sprintf("ASIA%012d", i/4), IssuedAt: at, InvokedBy: "states.amazonaws.com",
			Issuer: &trail.Issuer{Type: "Role", PrincipalID: "AROAEXAMPLE", ARN: "arn:aws:iam::111122223333:role/flow", Account: "111122223333", UserName: "flow"},
		},
		SourceIP: "states.amazonaws.com", UserAgent: "states.amazonaws.com", RequestID: fmt.Sprintf("5a1ec37b-9554-413d-aba7-%012d", i), ReadOnly: true,
		Request:      value.MustParse(`{"modelId":"jp.anthropic.claude-sonnet-4-5-20250929-v1:0"}`),
		Additional:   value.MustParse(fmt.Sprintf(`{"inferenceRegion":"ap-northeast-%d","inputTokens":%d,"outputTokens":%d}`, 1+2*(i%2), i%900, i%300)),
		Resources:    []trail.Resource{{Type: "AWS::Bedrock::InferenceProfile", Name: fmt.Sprintf("arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/p%d", i%1000)}},
		ExecutionARN: "arn:aws:states:ap-northeast-1:111122223333:execution:review:" + run, State: "Ask",
	}
	if i%50 == 0 {
		r.Name, r.ErrorCode, r.ErrorMessage, r.ReadOnly = "InvokeModel", "AccessDenied", "User is not authorized", false
	}
	return r
}

// eventID is a UUID that follows from a record's number.
func eventID(i int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	n := flag.Int("records", 1_000_000, "records of the large log; 0: none")
	dir := flag.String("dir", "", "directory to work in (default: a temporary one, removed)")
	producers := flag.Int("producers", 64, "of durable appends")
	rounds := flag.Int("rounds", 5, "of appends, and of the disk beside them")
	lasting := flag.Duration("for", 2*time.Second, "of each of them")
	flag.Parse()
	debug.SetGCPercent(400) // as the commands do
	work := *dir
	if work == "" {
		var err error
		work, err = os.MkdirTemp("", "tokaido-bench-trail-")
		check(err)
		defer os.RemoveAll(work)
	}
	fmt.Printf("%s, %s, %d cores, go %s\n", time.Now().UTC().Format(time.RFC3339), cpu(), runtime.NumCPU(), runtime.Version())
	fmt.Printf("load before: %s\n\n", load())
	for _, p := range []int{*producers, 1} {
		appends(work, p, *rounds, *lasting)
	}
	if *n > 0 {
		large(work, *n)
	}
	fmt.Printf("\nload after: %s\n", load())
}

func keys(dir string) (*trail.Keys, *trail.Ring) {
	k, err := trail.OpenKeys(filepath.Join(dir, "keys"), "tokaido/111122223333")
	check(err)
	_, err = k.Log()
	check(err)
	public, err := trail.Public(filepath.Join(dir, "keys"))
	check(err)
	ring, err := trail.NewRing(public...)
	check(err)
	return k, ring
}

func large(work string, n int) {
	dir := filepath.Join(work, "large")
	k, ring := keys(work)
	signer, err := k.Log()
	check(err)
	opts := trail.Options{Signer: signer}
	if _, err := os.Stat(dir); err != nil {
		l, err := trail.Open(dir, opts)
		check(err)
		began := time.Now()
		for i := range n {
			r := record(i)
			r.Relaxed = true
			check(l.Append(context.Background(), r))
		}
		check(l.Close())
		fmt.Printf("\nlarge log: %d records, %.1f GB, written in %v without waiting for the disk\n", n, float64(bytesOf(dir))/1e9, time.Since(began).Round(100*time.Millisecond))
	}
	used(dir, opts, ring, n)
	began, cpu := time.Now(), cpuTime()
	c, err := trail.Compress(context.Background(), dir, nil)
	check(err)
	took, cpu := time.Since(began), cpuTime()-cpu
	if c.Segments > 0 {
		fmt.Printf("\ncompressed: %d full segments, %.2f GB to %.2f GB (1:%.1f), %.0f MB/s, %.0f MB/s of processor time; read back and compared\n", c.Segments, float64(c.Before)/1e9, float64(c.After)/1e9,
			float64(c.Before)/float64(c.After), float64(c.Before)/1e6/took.Seconds(), float64(c.Before)/1e6/cpu.Seconds())
		used(dir, opts, ring, n)
	}
	fmt.Println()
	receipts(work, k)
}

// used measures what is done with a log that is there.
func used(dir string, opts trail.Options, ring *trail.Ring, n int) {
	before := heap()
	began := time.Now()
	l, err := trail.Open(dir, opts)
	check(err)
	took := time.Since(began)
	fmt.Printf("open: %v, with indexes in files of %.1f bytes a record; in memory %.1f bytes a record\n", took.Round(time.Millisecond), float64(indexBytes(dir))/float64(n), float64(heap()-before)/float64(n))
	for _, q := range []struct {
		name string
		q    trail.Query
	}{
		{"newest", trail.Query{}},
		{"EventId", trail.Query{Attribute: trail.ByEventID, Value: eventID(n / 3)}},
		{"EventId, none", trail.Query{Attribute: trail.ByEventID, Value: eventID(-1)}},
		{"EventName, many", trail.Query{Attribute: trail.ByEventName, Value: "Converse"}},
		{"EventName, some", trail.Query{Attribute: trail.ByEventName, Value: "InvokeModel"}},
		{"EventName, none", trail.Query{Attribute: trail.ByEventName, Value: "Nothing"}},
		{"ReadOnly", trail.Query{Attribute: trail.ByReadOnly, Value: "false"}},
		{"Username, 4 events", trail.Query{Attribute: trail.ByUsername, Value: fmt.Sprintf("run-%d", n/8)}},
		{"ResourceType", trail.Query{Attribute: trail.ByResourceType, Value: "AWS::Bedrock::InferenceProfile"}},
		{"ResourceName, 1 in 1000", trail.Query{Attribute: trail.ByResourceName, Value: record(17).Resources[0].Name}},
		{"EventSource", trail.Query{Attribute: trail.BySource, Value: "bedrock.amazonaws.com"}},
		{"AccessKeyId, 4 events", trail.Query{Attribute: trail.ByAccessKeyID, Value: record(n / 2).Identity.AccessKeyID}},
		{"an hour, long ago", trail.Query{Start: record(n / 10).Time, End: record(n / 10).Time.Add(time.Hour)}},
		{"EventName in an hour, long ago", trail.Query{Attribute: trail.ByEventName, Value: "InvokeModel", Start: record(n / 10).Time, End: record(n / 10).Time.Add(time.Hour)}},
		{"EventName, before all", trail.Query{Attribute: trail.ByEventName, Value: "Converse", End: record(0).Time.Add(-time.Hour)}},
	} {
		q.q.Region = segmentRegion
		const times = 200
		var all []time.Duration
		found := 0
		for range times {
			t := time.Now()
			p, err := l.Lookup(context.Background(), q.q)
			check(err)
			all = append(all, time.Since(t))
			found = len(p.Records)
		}
		slices.Sort(all)
		fmt.Printf("lookup %-30s %2d events: p50 %8v, p99 %8v\n", q.name, found, all[times/2].Round(10*time.Microsecond), all[times*99/100].Round(10*time.Microsecond))
	}
	check(l.Close())
	for _, workers := range []int{1, runtime.NumCPU()} {
		cpu := cpuTime()
		began = time.Now()
		rep, err := trail.Verify(context.Background(), dir, trail.Check{Keys: ring, Workers: workers})
		check(err)
		took := time.Since(began)
		used := cpuTime() - cpu
		fmt.Printf("verify, %d workers: %d records in %v: %.0f records/s; %.2f µs of processor time each, so %.0f records/s and core\n",
			workers, rep.Head.Records, took.Round(10*time.Millisecond), float64(n)/took.Seconds(), float64(used.Microseconds())/float64(n), float64(n)/used.Seconds())
	}
	reader := residency.Reader{Catalog: catalog.Load()}
	boundary, err := residency.ParseBoundary("jp", reader.Catalog)
	check(err)
	r := residency.New(residency.Options{By: []residency.By{residency.ByProfile, residency.ByDay}, Boundary: boundary})
	began, used := time.Now(), cpuTime()
	for batch, err := range trail.Walk(context.Background(), dir, trail.Events, nil, func(s trail.Stored) (residency.Call, bool) { return reader.Record(s.Record) }) {
		check(err)
		for i := range batch {
			r.Add(&batch[i])
		}
	}
	r.End()
	took, used = time.Since(began), cpuTime()-used
	fmt.Printf("residency report, by profile and day, with a boundary: %d calls in %v: %.0f records/s; %.2f µs of processor time each\n",
		r.Total.Served.Calls+r.Total.Failed, took.Round(10*time.Millisecond), float64(n)/took.Seconds(), float64(used.Microseconds())/float64(n))
}

// receipts measures signing and checking, a core each, and verifying a log in
// which each record has one, and one in which every other has.
func receipts(work string, k *trail.Keys) {
	s, err := k.Region("ap-northeast-3")
	check(err)
	c := trail.Claim{RequestID: "r", Region: "ap-northeast-3", Model: "m", Time: time.Now()}
	const n = 5000
	began := time.Now()
	var p *trail.Receipt
	for range n {
		p, err = c.Sign(s)
		check(err)
	}
	signing := time.Since(began) / n
	public, err := trail.Public(k.Dir())
	check(err)
	ring, err := trail.NewRing(public...)
	check(err)
	began = time.Now()
	for range n {
		check(p.Check(ring))
	}
	fmt.Printf("receipts: %v to sign one, %v to check one by itself\n", signing.Round(100*time.Nanosecond), (time.Since(began) / n).Round(100*time.Nanosecond))
	for _, each := range []int{1, 2} {
		verifyReceipts(work, k, each)
	}
}

// verifyReceipts verifies a log in which each so-and-so-many-th record has a receipt.
func verifyReceipts(work string, k *trail.Keys, each int) {
	const n = 50_000
	dir := filepath.Join(work, fmt.Sprint("receipts", each))
	signer, err := k.Log()
	check(err)
	l, err := trail.Open(dir, trail.Options{Signer: signer})
	check(err)
	for i := range n {
		r := record(i)
		r.ErrorCode, r.ErrorMessage, r.Relaxed = "", "", true
		if i%each == 0 {
			c := trail.Claim{RequestID: r.RequestID, Region: r.Additional.Get("inferenceRegion").Str(), Model: "anthropic.claude-sonnet-4-5-20250929-v1:0", Time: r.Time}
			s, err := k.Region(c.Region)
			check(err)
			p, err := c.Sign(s)
			check(err)
			r.Additional = r.Additional.With(trail.ReceiptMember, p.Value())
		}
		check(l.Append(context.Background(), r))
	}
	check(l.Close())
	public, err := trail.Public(k.Dir())
	check(err)
	ring, err := trail.NewRing(public...)
	check(err)
	for _, workers := range []int{1, runtime.NumCPU()} {
		began, before := time.Now(), cpuTime()
		rep, err := trail.Verify(context.Background(), dir, trail.Check{Keys: ring, Workers: workers})
		check(err)
		if rep.Receipts.Good != n/each {
			log.Fatalf("%+v", rep.Receipts)
		}
		took, used := time.Since(began), cpuTime()-before
		fmt.Printf("verify, %d workers, a receipt on 1 of %d records: %.0f records/s; %.1f µs of processor time each, so %.0f records/s and core\n",
			workers, each, n/took.Seconds(), float64(used.Microseconds())/n, n/used.Seconds())
	}
}

func bytesOf(dir string) (n int64) { return sizes(dir, ".trail") }

func indexBytes(dir string) (n int64) { return sizes(dir, ".index") }

func sizes(dir, suffix string) (n int64) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	check(err)
	for _, name := range names {
		info, err := os.Stat(name)
		check(err)
		n += info.Size()
	}
	return n
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func cpu() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("model name\t: ")); ok {
			return string(bytes.TrimSpace(rest))
		}
	}
	return "unknown processor"
}

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(b))
}
