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

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	mustClose(b, filled(b, dir, benchRecords))
	for b.Loop() {
		mustClose(b, mustOpen(b, dir, Options{}))
	}
	b.ReportMetric(float64(benchRecords*b.N)/b.Elapsed().Seconds(), "records/s")
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
