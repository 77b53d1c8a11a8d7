package trail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokaido/internal/durable"
)

// BenchmarkAppend is of durable records; p99 is of one Append's time.
func BenchmarkAppend(b *testing.B) {
	for _, producers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			l := mustOpen(b, b.TempDir(), Options{Sync: true})
			defer mustClose(b, l)
			times := make([][]time.Duration, producers)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			began := time.Now()
			var wg sync.WaitGroup
			for p := range producers {
				wg.Go(func() {
					r := record(p)
					for left.Add(-1) >= 0 {
						r.EventID = ""
						t := time.Now()
						if err := l.Append(b.Context(), r); err != nil {
							b.Error(err)
							return
						}
						times[p] = append(times[p], time.Since(t))
					}
				})
			}
			wg.Wait()
			took := time.Since(began)
			b.StopTimer()
			all := slices.Concat(times...)
			slices.Sort(all)
			b.ReportMetric(float64(len(all))/took.Seconds(), "records/s")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkDisk is the limit for what BenchmarkAppend does: one writer, the
// bytes of a group of records, and a sync.
func BenchmarkDisk(b *testing.B) {
	size := len(appendRecord(nil, record(1))) + frameSize + maxEnvelope
	for _, group := range []int{1, 32, 64, 1024} {
		b.Run(fmt.Sprint("group=", group), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "x"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			buf := make([]byte, group*size)
			at := int64(0)
			for b.Loop() {
				if _, err := f.WriteAt(buf, at); err != nil {
					b.Fatal(err)
				}
				if err := durable.Datasync(f); err != nil {
					b.Fatal(err)
				}
				at += int64(len(buf))
			}
			b.ReportMetric(float64(group*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// filled is a log of n records.
func filled(b *testing.B, dir string, n int) *Log {
	l := mustOpen(b, dir, Options{})
	for i := range n {
		r := record(i)
		r.Relaxed = true
		if err := l.Append(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, l)
	return mustOpen(b, dir, Options{})
}

const benchRecords = 200_000

func BenchmarkLookup(b *testing.B) {
	l := filled(b, b.TempDir(), benchRecords)
	defer mustClose(b, l)
	for name, q := range map[string]Query{
		"newest": {},
		"name":   {Region: "ap-northeast-1", Attribute: ByEventName, Value: "InvokeModel"},
		"rare":   {Attribute: ByResourceName, Value: "arn:profile/2", Start: at0, End: at0.Add(time.Hour)}, // the oldest
		"none":   {Attribute: ByEventName, Value: "Nothing"},
		"oldest": {End: at0.Add(time.Minute)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Lookup(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("find", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if rs, err := l.Find(b.Context(), "request-17"); err != nil || len(rs) != 1 {
				b.Fatal(len(rs), err)
			}
		}
	})
}

// BenchmarkOpen is of a log whose last segment is nearly full: as it was closed,
// as a crash leaves it at worst, and without its index.
func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct {
		name  string
		after func(dir string)
	}{
		{"closed", func(string) {}},
		{"crashed", nil},
		{"withoutIndex", func(dir string) { os.Remove(filepath.Join(dir, indexName(segmentName(1)))) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			const size = 127 << 20
			l := mustOpen(b, dir, Options{})
			r := record(1)
			n := 0
			var crashed string
			for l.Head().Records == 0 || bytesIn(b, dir) < size {
				for i := range 1000 {
					r := *r
					r.EventID, r.RequestID, r.Relaxed = "", fmt.Sprint("request-", n), i < 999
					if err := l.Append(b.Context(), &r); err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			if c.after == nil { // what a process leaves that is killed
				crashed = b.TempDir()
				for _, name := range []string{segmentName(1), indexName(segmentName(1))} {
					data, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						b.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(crashed, name), data, 0o600); err != nil {
						b.Fatal(err)
					}
				}
			}
			mustClose(b, l)
			if crashed != "" {
				dir = crashed
			}
			for b.Loop() {
				if c.after != nil {
					c.after(dir)
				}
				l := mustOpen(b, dir, Options{})
				b.StopTimer()
				l.opts.partEvery = 1 << 40 // leave it as it is
				mustClose(b, l)
				b.StartTimer()
			}
			b.ReportMetric(float64(n), "records")
		})
	}
}

func bytesIn(b *testing.B, dir string) int64 {
	info, err := os.Stat(filepath.Join(dir, segmentName(1)))
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	mustClose(b, filled(b, dir, benchRecords))
	for b.Loop() {
		if _, err := Verify(b.Context(), dir, Check{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchRecords*b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkCheck is what verifying takes of a core, without reading: checksums,
// form and hashes of each record, and the tree of all.
func BenchmarkCheck(b *testing.B) {
	const records = 500
	var buf []byte
	c := chain{next: 1}
	for i := range records {
		r := record(i)
		r.EventID = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		var sum hash
		buf, sum = appendFrame(buf, c.next, c.prev, appendRecord(nil, r), false)
		c.record(sum)
	}
	of := &segmentFile{name: segmentName(1), size: int64(len(buf)), last: true}
	rep := new(findings)
	p := new(piece)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		*p = piece{of: of, b: buf, frames: p.frames[:0]}
		p.check(nil)
		rep.c = chain{next: 1}
		if err := rep.add(p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkDecode is what reports, searches and exports take of a core for each record.
func BenchmarkDecode(b *testing.B) {
	r := record(1)
	r.EventID = "00000000-0000-4000-8000-000000000000"
	body := appendRecord(nil, r)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseBody(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	r := record(1)
	r.EventID = "00000000-0000-4000-8000-000000000000"
	buf := appendRecord(nil, r)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = appendRecord(buf[:0], r)
	}
}

// BenchmarkSortLinks is of a quarter of a segment's records.
func BenchmarkSortLinks(b *testing.B) {
	l := newLive()
	for i := range 32_000 {
		r := record(i)
		r.EventID = fmt.Sprint("event-", i)
		m := metaOf(r)
		l.add(&m)
	}
	b.ReportAllocs()
	for b.Loop() {
		sortLinks(l.links)
	}
}

// BenchmarkIndex is of adding records to the index of a segment, up to its end.
func BenchmarkIndex(b *testing.B) {
	metas := make([]meta, 100_000)
	for i := range metas {
		r := record(i)
		r.EventID = fmt.Sprint("event-", i)
		metas[i] = metaOf(r)
	}
	l, i := newLive(), 0
	b.ReportAllocs()
	for b.Loop() {
		if i == len(metas) {
			b.StopTimer()
			l, i = newLive(), 0
			b.StartTimer()
		}
		l.add(&metas[i])
		i++
	}
}
