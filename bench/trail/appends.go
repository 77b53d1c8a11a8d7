package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"tokaido/trail"
)

// round is what producers got in a while.
type round struct {
	rate     float64 // records a second
	group    float64 // records of one write and sync
	p50, p99 time.Duration
	used     time.Duration // processor time of one append
	size     int           // bytes of one record in the log
}

// disk is what one thread gets that writes as many bytes as a group has, syncs,
// and does nothing else.
type disk struct {
	name  string
	group func(round) float64
	zeros bool // over zeros that were written ahead, as the log does
	rates []float64
	ratio []float64 // to the log's, round by round
}

// appends measures durable appends and the disk in turns, so that who else uses
// the machine uses it under both, and prints the medians.
func appends(work string, producers, rounds int, lasting time.Duration) {
	dir := filepath.Join(work, "appends")
	defer os.RemoveAll(dir)
	k, _ := keys(work)
	signer, err := k.Log()
	check(err)
	l, err := trail.Open(dir, trail.Options{Sync: true, Signer: signer})
	check(err)
	// Making records is not what is measured: each producer has some of its own.
	made := make([][]*trail.Record, producers)
	for p := range made {
		for i := range 64 {
			made[p] = append(made[p], record(p*64+i))
		}
	}
	mean := func(r round) float64 { return r.group }
	disks := []*disk{
		{name: "the same bytes, over zeros ahead as the log", group: mean, zeros: true},
		{name: "the same bytes, a file that grows", group: mean},
	}
	if producers > 1 {
		all := func(round) float64 { return float64(producers) }
		disks = append(disks,
			&disk{name: fmt.Sprintf("%d records at once, over zeros ahead", producers), group: all, zeros: true},
			&disk{name: fmt.Sprintf("%d records at once, a file that grows", producers), group: all})
	}
	var ours []round
	for range rounds {
		r := produce(l, dir, made, lasting)
		ours = append(ours, r)
		for _, d := range disks {
			rate := limit(filepath.Join(work, "disk"), d.group(r), r.size, d.zeros, lasting/2)
			d.rates, d.ratio = append(d.rates, rate), append(d.ratio, rate/r.rate)
		}
	}
	check(l.Close())
	of := func(f func(round) float64) []float64 {
		var all []float64
		for _, r := range ours {
			all = append(all, f(r))
		}
		return all
	}
	rates := of(func(r round) float64 { return r.rate })
	fmt.Printf("append, %d producers: %.0f durable records/s (%.0f to %.0f, %d rounds), p50 %.2f ms, p99 %.2f ms; %.1f records of %d bytes in a write and sync, %.1f µs of processor time each\n",
		producers, median(rates), slices.Min(rates), slices.Max(rates), rounds, median(of(func(r round) float64 { return r.p50.Seconds() * 1e3 })), median(of(func(r round) float64 { return r.p99.Seconds() * 1e3 })),
		median(of(mean)), ours[0].size, median(of(func(r round) float64 { return r.used.Seconds() * 1e6 })))
	for _, d := range disks {
		fmt.Printf("  the disk, %s: %.0f records/s: %.2f times (%.2f to %.2f)\n", d.name, median(d.rates), median(d.ratio), slices.Min(d.ratio), slices.Max(d.ratio))
	}
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// produce has all producers append for a while.
func produce(l *trail.Log, dir string, made [][]*trail.Record, lasting time.Duration) (r round) {
	times := make([][]time.Duration, len(made))
	groups, head, size, used := l.Groups(), l.Head().Records, written(dir), cpuTime()
	began := time.Now()
	end := began.Add(lasting)
	var wg sync.WaitGroup
	for p := range made {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := made[p][i%len(made[p])]
				r.EventID = ""
				t := time.Now()
				check(l.Append(context.Background(), r))
				now := time.Now()
				times[p] = append(times[p], now.Sub(t))
				if now.After(end) {
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	n := l.Head().Records - head
	all := slices.Sorted(slices.Values(slices.Concat(times...)))
	return round{
		rate: float64(len(all)) / took.Seconds(), group: float64(n) / float64(l.Groups()-groups), p50: all[len(all)/2], p99: all[len(all)*99/100],
		used: (cpuTime() - used) / time.Duration(n), size: int((written(dir) - size) / int64(n)),
	}
}

// written is how many bytes the log has, without the zeros ahead.
func written(dir string) (n int64) {
	names, err := filepath.Glob(filepath.Join(dir, "*.trail"))
	check(err)
	for _, name := range names {
		f, err := os.Open(name)
		check(err)
		info, err := f.Stat()
		check(err)
		size := info.Size()
		b := make([]byte, 8<<20)
		from := max(0, size-int64(len(b)))
		got, err := f.ReadAt(b[:size-from], from)
		check(err)
		n += from + int64(len(bytes.TrimRight(b[:got], "\x00")))
		check(f.Close())
	}
	return n
}

const (
	diskAhead = 4 << 20 // bytes of zeros, in pieces as the log's
	diskPiece = 64 << 10
)

// limit is how many records a second the disk takes in groups of some. Half of a
// record is half of its bytes.
func limit(name string, group float64, size int, zeros bool, lasting time.Duration) float64 {
	f, err := os.Create(name)
	check(err)
	defer os.Remove(name)
	defer f.Close()
	buf := bytes.Repeat([]byte("x"), int(group*float64(size)))
	var ahead int64 // where zeros end
	var more chan int64
	writes := 0
	began := time.Now()
	for at := int64(0); time.Since(began) < lasting; at += int64(len(buf)) {
		if zeros {
			if more == nil && ahead-at < diskAhead/2 {
				more = make(chan int64, 1)
				go func(from, to int64) {
					zero := make([]byte, diskPiece)
					for ; from < to; from += diskPiece {
						_, err := f.WriteAt(zero, from)
						check(err)
					}
					more <- to
				}(max(ahead, at), max(ahead, at)+diskAhead)
			}
			if at+int64(len(buf)) > ahead || len(more) > 0 {
				ahead, more = <-more, nil
			}
		}
		_, err := f.WriteAt(buf, at)
		check(err)
		check(syscall.Fdatasync(int(f.Fd())))
		writes++
	}
	took := time.Since(began)
	if more != nil {
		<-more
	}
	return float64(writes) * group / took.Seconds()
}
