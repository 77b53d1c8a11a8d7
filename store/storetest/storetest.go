// Package storetest says what every store must do: one function for each
// interface that rooms declare, in which every case says why. A store is done
// when it passes them.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/principal"
)

// Principals runs the contract of [principal.Store]. open must return an empty
// store, and a function that closes it and opens it again (for a store that
// keeps nothing: that returns the same one).
func Principals(t *testing.T, open func(*testing.T) (s principal.Store, again func() principal.Store)) {
	load := func(t *testing.T, s principal.Store) map[string]string {
		t.Helper()
		got := map[string]string{}
		for e, err := range s.Load(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := got[e.Key]; ok {
				t.Errorf("%q came twice", e.Key)
			}
			got[e.Key] = string(e.Data)
		}
		return got
	}
	for _, c := range []struct {
		name, why string
		run       func(t *testing.T, s principal.Store, again func() principal.Store)
	}{
		{"kept", "a role that was made is there after a restart", func(t *testing.T, s principal.Store, again func() principal.Store) {
			want := map[string]string{}
			for i := range 100 {
				k, v := fmt.Sprintf("role/%03d", i), strings.Repeat("x", i)
				want[k] = v
				if err := s.Save(t.Context(), principal.Change{Key: k, Data: []byte(v)}); err != nil {
					t.Fatal(err)
				}
			}
			if got := load(t, again()); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v", got)
			}
		}},
		{"together", "a change of several entries is seen as one", func(t *testing.T, s principal.Store, again func() principal.Store) {
			err := s.Save(t.Context(), principal.Change{Key: "a", Data: []byte("1")}, principal.Change{Key: "b", Data: []byte("2")})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Save(t.Context(), principal.Change{Key: "a"}, principal.Change{Key: "b", Data: []byte("3")}, principal.Change{Key: "absent"}); err != nil {
				t.Fatal(err)
			}
			if got := load(t, again()); len(got) != 1 || got["b"] != "3" {
				t.Errorf("got %v", got)
			}
		}},
		{"empty", "an entry without data is an entry: only nil deletes", func(t *testing.T, s principal.Store, again func() principal.Store) {
			if err := s.Save(t.Context(), principal.Change{Key: "a", Data: []byte{}}); err != nil {
				t.Fatal(err)
			}
			if got := load(t, again()); len(got) != 1 {
				t.Errorf("got %v", got)
			}
		}},
		{"own", "what the caller does to its bytes later changes nothing", func(t *testing.T, s principal.Store, again func() principal.Store) {
			b := []byte("before")
			if err := s.Save(t.Context(), principal.Change{Key: "a", Data: b}); err != nil {
				t.Fatal(err)
			}
			copy(b, "after!")
			if got := load(t, again()); got["a"] != "before" {
				t.Errorf("got %v", got)
			}
		}},
		{"cancelled", "a caller that has gone does not change anything", func(t *testing.T, s principal.Store, again func() principal.Store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Save(ctx, principal.Change{Key: "a", Data: []byte("1")}); err == nil {
				t.Error("saved")
			}
			if got := load(t, s); len(got) != 0 {
				t.Errorf("got %v", got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, again := open(t)
			c.run(t, s, again)
			because(t, c.why)
		})
	}
}

func because(t *testing.T, why string) {
	if t.Failed() {
		t.Log("because", why)
	}
}

// Flow runs the contract of [flow.Store]; open is as for Principals.
func Flow(t *testing.T, open func(*testing.T) (s flow.Store, again func() flow.Store)) {
	load := func(t *testing.T, s flow.Store, prefix string) string {
		t.Helper()
		var got []string
		for e, err := range s.Load(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Key+"="+string(e.Data))
		}
		return strings.Join(got, " ")
	}
	save := func(t *testing.T, s flow.Store, kv ...string) {
		t.Helper()
		var cs []flow.Change
		for _, x := range kv {
			k, v, ok := strings.Cut(x, "=")
			c := flow.Change{Key: k}
			if ok {
				c.Data = []byte(v)
			}
			cs = append(cs, c)
		}
		if err := s.Save(t.Context(), cs...); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, why string
		run       func(t *testing.T, s flow.Store, again func() flow.Store)
	}{
		{"prefix", "machines are loaded without their definitions", func(t *testing.T, s flow.Store, again func() flow.Store) {
			save(t, s, "machine/b=2", "machine/a=1", "definition/x=big", "machinery=no")
			s = again()
			if got := load(t, s, "machine/"); got != "machine/a=1 machine/b=2" {
				t.Errorf("got %s", got)
			}
			if got := load(t, s, "none/"); got != "" {
				t.Errorf("got %s", got)
			}
		}},
		{"prefix-of-high-bytes", "a key may hold any bytes, and so may a prefix", func(t *testing.T, s flow.Store, again func() flow.Store) {
			save(t, s, "\xff\xff=1", "\xff=2", "a=3")
			if got := load(t, s, "\xff"); got != "\xff=2 \xff\xff=1" {
				t.Errorf("got %q", got)
			}
		}},
		{"get", "a definition is read when it is needed", func(t *testing.T, s flow.Store, again func() flow.Store) {
			save(t, s, "definition/x=text", "empty=")
			s = again()
			if b, err := s.Get(t.Context(), "definition/x"); err != nil || string(b) != "text" {
				t.Errorf("got %q, %v", b, err)
			}
			if b, err := s.Get(t.Context(), "empty"); err != nil || b == nil || len(b) != 0 {
				t.Errorf("got %q, %v", b, err)
			}
			if _, err := s.Get(t.Context(), "definition/y"); !errors.Is(err, flow.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}},
		{"together", "a machine and its revision are there together or not at all", func(t *testing.T, s flow.Store, again func() flow.Store) {
			save(t, s, "a=1", "b=2")
			save(t, s, "a", "b=3", "c=4")
			if got := load(t, again(), ""); got != "b=3 c=4" {
				t.Errorf("got %s", got)
			}
		}},
		{"cancelled", "a caller that has gone does not change anything", func(t *testing.T, s flow.Store, again func() flow.Store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Save(ctx, flow.Change{Key: "a", Data: []byte("1")}); err == nil {
				t.Error("saved")
			}
			if got := load(t, s, ""); got != "" {
				t.Errorf("got %s", got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, again := open(t)
			c.run(t, s, again)
			because(t, c.why)
		})
	}
}

// Journal runs the contract of [journal.Log]; open is as for Principals.
func Journal(t *testing.T, open func(*testing.T) (l journal.Log, again func() journal.Log)) {
	events := func(from, to int64) journal.Events {
		return journal.Events{From: from, To: to, Data: fmt.Appendf(nil, "%d-%d", from, to)}
	}
	entry := func(id uint64, started int64, s engine.Status) *journal.Entry {
		e := &journal.Entry{ID: id, ARN: fmt.Sprint("x", id), Under: []string{"m", "m:1"}, Status: s, Started: started, Data: fmt.Appendf(nil, "%v", s)}
		if s != engine.Running {
			e.Stopped = started + 1000
		}
		return e
	}
	begin := func(id uint64, started int64) journal.Row {
		return journal.Row{ID: id, Events: events(1, 2), Entry: entry(id, started, engine.Running), New: true}
	}
	end := func(id uint64, started, from int64, s engine.Status) journal.Row {
		return journal.Row{ID: id, Events: events(from, from), Entry: entry(id, started, s), Was: engine.Running}
	}
	must := func(t *testing.T, l journal.Log, rows ...journal.Row) {
		t.Helper()
		if err := l.Append(t.Context(), rows...); err != nil {
			t.Fatal(err)
		}
	}
	read := func(t *testing.T, l journal.Log, id uint64, from int64, reverse bool) string {
		t.Helper()
		var got []string
		for e, err := range l.Read(t.Context(), id, from, reverse) {
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Data) != fmt.Sprintf("%d-%d", e.From, e.To) {
				t.Errorf("events %d to %d hold %q", e.From, e.To, e.Data)
			}
			got = append(got, string(e.Data))
		}
		return strings.Join(got, " ")
	}
	arns := func(t *testing.T, seq func(func(journal.Entry, error) bool)) string {
		t.Helper()
		var got []string
		for e, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.ARN)
		}
		return strings.Join(got, " ")
	}
	refused := func(t *testing.T, l journal.Log, what string, rows ...journal.Row) {
		t.Helper()
		if err := l.Append(t.Context(), rows...); !errors.Is(err, journal.ErrUnfit) {
			t.Errorf("appended %s: %v", what, err)
		}
	}
	running, failed := engine.Running, engine.Failed

	for _, c := range []struct {
		name, why string
		run       func(t *testing.T, l journal.Log, again func() journal.Log)
	}{
		{"kept", "what was acknowledged is there after a restart", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(1, 5000), journal.Row{ID: 1, Events: events(3, 7)})
			must(t, l, journal.Row{ID: 1, Events: events(8, 8)})
			l = again()
			if got := read(t, l, 1, 0, false); got != "1-2 3-7 8-8" {
				t.Errorf("read %s", got)
			}
			e, err := l.Find(t.Context(), "x1")
			if err != nil || e.ID != 1 || e.ARN != "x1" || e.Status != running || e.Started != 5000 || e.Stopped != 0 ||
				string(e.Data) != "RUNNING" || !slices.Equal(e.Under, []string{"m", "m:1"}) {
				t.Errorf("found %+v, %v", e, err)
			}
		}},
		{"gap", "a history with a hole cannot be replayed", func(t *testing.T, l journal.Log, again func() journal.Log) {
			refused(t, l, "event 2 to an empty history", journal.Row{ID: 1, Events: events(2, 2), Entry: entry(1, 1, running), New: true})
			must(t, l, begin(1, 1))
			refused(t, l, "event 4 after event 2", journal.Row{ID: 1, Events: events(4, 4)})
			l = again()
			refused(t, l, "event 4 after event 2, when opened again", journal.Row{ID: 1, Events: events(4, 4)})
			refused(t, l, "event 2 again", journal.Row{ID: 1, Events: events(2, 3)})
			must(t, l, journal.Row{ID: 1, Events: events(3, 3)})
		}},
		{"nobody", "events belong to an execution", func(t *testing.T, l journal.Log, again func() journal.Log) {
			refused(t, l, "events of nobody", journal.Row{ID: 9, Events: events(1, 1)})
		}},
		{"taken", "a name stands for one execution, whoever comes at the same time", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(1, 1))
			r := begin(2, 1)
			r.Entry.ARN = "x1"
			refused(t, l, "a second x1", r)
			r1, r2 := begin(3, 1), begin(4, 1)
			r1.Entry.ARN, r2.Entry.ARN = "y", "y"
			refused(t, l, "two of y at once", r1, r2)
			refused(t, l, "number 1 again", begin(1, 1))
			again1 := begin(1, 1) // a write that failed, and is tried again although it happened
			again1.Absent = true
			refused(t, l, "number 1 again, whose ARN need not be looked up", again1)
			fresh := begin(9, 1)
			fresh.Absent = true
			must(t, l, fresh)
			refused(t, l, "that again", fresh)
			if _, err := l.Find(t.Context(), "y"); !errors.Is(err, flow.ErrNotFound) {
				t.Errorf("half of a refused append is there: %v", err)
			}
		}},
		{"all-or-none", "a batch is the work of many executions; a part of it would be a lie about the rest", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(1, 1))
			refused(t, l, "a batch with a gap", journal.Row{ID: 1, Events: events(3, 3)}, begin(2, 2), journal.Row{ID: 1, Events: events(5, 5)})
			l = again()
			if got := read(t, l, 1, 0, false) + "|" + read(t, l, 2, 0, false); got != "1-2|" {
				t.Errorf("read %s", got)
			}
			if _, err := l.Find(t.Context(), "x2"); !errors.Is(err, flow.ErrNotFound) {
				t.Errorf("x2: %v", err)
			}
			must(t, l, journal.Row{ID: 1, Events: events(3, 3)}, begin(2, 2)) // and the log goes on
		}},
		{"read", "a page of history begins anywhere and goes either way", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(1, 1), journal.Row{ID: 1, Events: events(3, 7)}, journal.Row{ID: 1, Events: events(8, 8)}, begin(2, 1))
			for _, c := range []struct {
				from    int64
				reverse bool
				want    string
			}{
				{0, false, "1-2 3-7 8-8"}, {1, false, "1-2 3-7 8-8"}, {2, false, "1-2 3-7 8-8"}, {3, false, "3-7 8-8"},
				{5, false, "3-7 8-8"}, {8, false, "8-8"}, {9, false, ""},
				{0, true, "8-8 3-7 1-2"}, {8, true, "8-8 3-7 1-2"}, {7, true, "3-7 1-2"}, {4, true, "3-7 1-2"},
				{3, true, "3-7 1-2"}, {2, true, "1-2"}, {1, true, "1-2"}, {99, true, "8-8 3-7 1-2"},
			} {
				if got := read(t, l, 1, c.from, c.reverse); got != c.want {
					t.Errorf("from %d, reverse %v: %s, not %s", c.from, c.reverse, got, c.want)
				}
			}
			for range l.Read(t.Context(), 1, 0, false) {
				break // a reader may stop early
			}
		}},
		{"snapshot", "an execution goes on from its last snapshot, and its history stays whole", func(t *testing.T, l journal.Log, again func() journal.Log) {
			load := func(id uint64) string {
				var got []string
				for e, err := range l.Load(t.Context(), id) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprint(e.From, "-", e.To, "=", string(e.Data)))
				}
				return strings.Join(got, " ")
			}
			snap := func(from, to int64, s []byte) journal.Row {
				return journal.Row{ID: 1, Events: events(from, to), Snapshot: s}
			}
			refused(t, l, "a snapshot of nothing", begin(1, 1), journal.Row{ID: 1, Entry: entry(1, 1, running), Snapshot: []byte("s")})
			must(t, l, begin(1, 1), snap(3, 7, []byte("seven")), journal.Row{ID: 1, Events: events(8, 8)}, begin(2, 1))
			for _, c := range []struct {
				row  journal.Row
				want string
			}{
				{snap(9, 9, nil), "0-7=seven 8-8=8-8 9-9=9-9"},
				{snap(10, 12, []byte("twelve")), "0-12=twelve"},
				{snap(13, 13, []byte{}), "1-2=1-2 3-7=3-7 8-8=8-8 9-9=9-9 10-12=10-12 13-13=13-13"},
				{snap(14, 14, []byte("fourteen")), "0-14=fourteen"},
			} {
				must(t, l, c.row)
				l = again()
				if got := load(1); got != c.want {
					t.Errorf("loaded %s, not %s", got, c.want)
				}
			}
			if got := load(2); got != "1-2=1-2" {
				t.Errorf("loaded %s", got)
			}
			if got := load(3); got != "" {
				t.Errorf("loaded %s of nobody", got)
			}
			const all = "1-2 3-7 8-8 9-9 10-12 13-13 14-14"
			if got := read(t, l, 1, 0, false); got != all {
				t.Errorf("read %s", got)
			}
			if got := read(t, l, 1, 1, false); got != all {
				t.Errorf("read %s", got)
			}
			if got := read(t, l, 1, 1, true); got != "1-2" {
				t.Errorf("read %s", got)
			}
			must(t, l, end(1, 1, 15, failed))
			if n, err := l.Expire(t.Context(), time.UnixMilli(1<<40), 10); n != 1 || err != nil {
				t.Errorf("expired %d, %v", n, err)
			}
			if got := load(1); got != "" {
				t.Errorf("loaded %s of one that is gone", got)
			}
		}},
		{"open", "recovery finds what runs, and only that", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(3, 9), begin(1, 1), begin(2, 1))
			must(t, l, end(1, 1, 3, failed))
			must(t, l, journal.Row{ID: 4, Events: events(1, 9), Entry: entry(4, 1, failed), New: true}) // over at once
			l = again()
			if got := arns(t, l.Open(t.Context())); got != "x2 x3" {
				t.Errorf("open: %s", got)
			}
			if e, err := l.Running(t.Context(), 3); err != nil || e.ARN != "x3" || e.ID != 3 || e.Started != 9 {
				t.Errorf("number 3: %+v, %v", e, err)
			}
			for _, id := range []uint64{1, 4, 99} {
				if _, err := l.Running(t.Context(), id); !errors.Is(err, flow.ErrNotFound) {
					t.Errorf("number %d runs: %v", id, err)
				}
			}
			redriven := journal.Row{ID: 1, Events: events(4, 4), Entry: entry(1, 1, running), Was: failed}
			must(t, l, redriven)
			if got := arns(t, l.Open(t.Context())); got != "x1 x2 x3" {
				t.Errorf("open after a redrive: %s", got)
			}
			if n, err := l.CountOpen(t.Context()); n != 3 || err != nil {
				t.Errorf("%d are open, %v", n, err)
			}
		}},
		{"list", "lists are newest first, by status too, under each ARN, from any place on", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(1, 100), begin(2, 300), begin(3, 200), begin(4, 300))
			must(t, l, end(2, 300, 3, failed))
			other := begin(5, 400)
			other.Entry.Under = []string{"m2"}
			must(t, l, other)
			l = again()
			for _, c := range []struct {
				under  string
				status *engine.Status
				after  *journal.Place
				want   string
			}{
				{"m", nil, nil, "x4 x2 x3 x1"}, {"m:1", nil, nil, "x4 x2 x3 x1"}, {"m2", nil, nil, "x5"}, {"m3", nil, nil, ""}, {"m:", nil, nil, ""},
				{"m", &running, nil, "x4 x3 x1"}, {"m", &failed, nil, "x2"},
				{"m", nil, &journal.Place{Started: 300, ID: 4}, "x2 x3 x1"},
				{"m", nil, &journal.Place{Started: 300, ID: 3}, "x2 x3 x1"}, // it is gone: go on behind it
				{"m", nil, &journal.Place{Started: 100, ID: 1}, ""},
				{"m", &running, &journal.Place{Started: 300, ID: 2}, "x3 x1"},
			} {
				if got := arns(t, l.List(t.Context(), c.under, c.status, c.after)); got != c.want {
					t.Errorf("under %s, status %v, after %v: %s, not %s", c.under, c.status, c.after, got, c.want)
				}
			}
		}},
		{"expire", "what ended long ago goes away whole, and its name is free again", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(1, 1000), begin(2, 1000), begin(3, 9000))
			must(t, l, end(1, 1000, 3, failed), end(3, 9000, 3, failed))
			if n, err := l.Expire(t.Context(), time.UnixMilli(2001), 10); n != 1 || err != nil {
				t.Errorf("expired %d, %v", n, err)
			}
			l = again()
			if got := arns(t, l.List(t.Context(), "m", nil, nil)); got != "x3 x2" {
				t.Errorf("left: %s", got)
			}
			if got := read(t, l, 1, 0, false); got != "" {
				t.Errorf("its events: %s", got)
			}
			if _, err := l.Find(t.Context(), "x1"); !errors.Is(err, flow.ErrNotFound) {
				t.Error(err)
			}
			r := begin(7, 10000)
			r.Entry.ARN = "x1"
			must(t, l, r)
			if n, err := l.Expire(t.Context(), time.UnixMilli(1<<40), 1); n != 1 || err != nil {
				t.Errorf("expired %d, %v", n, err)
			}
		}},
		{"redriven-stays", "an execution that was redriven ends when it ends again", func(t *testing.T, l journal.Log, again func() journal.Log) {
			must(t, l, begin(1, 1000))
			must(t, l, end(1, 1000, 3, failed))
			must(t, l, journal.Row{ID: 1, Events: events(4, 4), Entry: entry(1, 1000, running), Was: failed})
			if n, err := l.Expire(t.Context(), time.UnixMilli(1<<40), 10); n != 0 || err != nil {
				t.Errorf("expired %d of the running ones, %v", n, err)
			}
			again1 := end(1, 1000, 5, failed)
			again1.Entry.Stopped = 1 << 30
			must(t, l, again1)
			if n, err := l.Expire(t.Context(), time.UnixMilli(1<<29), 10); n != 0 || err != nil {
				t.Errorf("expired %d that ended later, %v", n, err)
			}
		}},
		{"last-id", "numbers are not given twice", func(t *testing.T, l journal.Log, again func() journal.Log) {
			if id, err := l.LastID(t.Context()); id != 0 || err != nil {
				t.Errorf("of an empty log: %d, %v", id, err)
			}
			must(t, l, begin(5, 1), begin(1<<40, 1))
			if id, err := again().LastID(t.Context()); id != 1<<40 || err != nil {
				t.Errorf("%d, %v", id, err)
			}
		}},
		{"own", "what the caller does to its bytes later changes nothing", func(t *testing.T, l journal.Log, again func() journal.Log) {
			r := begin(1, 1)
			must(t, l, r)
			clear(r.Events.Data)
			clear(r.Entry.Data)
			r.Entry.Status = failed
			if e, _ := l.Find(t.Context(), "x1"); string(e.Data) != "RUNNING" || e.Status != running {
				t.Errorf("entry is %+v", e)
			}
			read(t, l, 1, 0, false)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, again := open(t)
			c.run(t, l, again)
			because(t, c.why)
		})
	}
}

// Same holds a store to another by doing the same random things to both.
func Same(t *testing.T, a, b journal.Log, seed uint64, steps int) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	type x struct {
		entry journal.Entry
		seq   int64
	}
	var all []*x
	for range steps {
		var rows []journal.Row
		for range 1 + rnd.IntN(4) {
			if len(all) == 0 || rnd.IntN(3) == 0 {
				id := uint64(len(all) + 1)
				e := journal.Entry{ID: id, ARN: fmt.Sprint("x", id), Under: []string{fmt.Sprint("m", rnd.IntN(3))}, Started: rnd.Int64N(5)}
				n := 1 + rnd.Int64N(3)
				rows = append(rows, journal.Row{ID: id, Entry: &e, New: true, Events: journal.Events{From: 1, To: n, Data: []byte{byte(n)}}})
				all = append(all, &x{e, n})
				continue
			}
			o := all[rnd.IntN(len(all))]
			r := journal.Row{ID: o.entry.ID, Was: o.entry.Status}
			if rnd.IntN(2) == 0 {
				o.entry.Status = engine.Status(rnd.IntN(4))
				o.entry.Stopped = 0
				if o.entry.Status != engine.Running {
					o.entry.Stopped = o.entry.Started + rnd.Int64N(5)
				}
				r.Entry = new(o.entry)
			}
			if r.Entry == nil || rnd.IntN(2) == 0 {
				r.Events = journal.Events{From: o.seq + 1, To: o.seq + 1 + rnd.Int64N(3), Data: []byte("e")}
				o.seq = r.Events.To
				if rnd.IntN(3) == 0 {
					r.Snapshot = []byte(strings.Repeat("s", rnd.IntN(3)))
				}
			}
			rows = append(rows, r)
		}
		if ea, eb := a.Append(t.Context(), rows...), b.Append(t.Context(), rows...); ea != nil || eb != nil {
			t.Fatalf("seed %d: append: %v, %v", seed, ea, eb)
		}
		st := engine.Status(rnd.IntN(4))
		under := fmt.Sprint("m", rnd.IntN(3))
		after := &journal.Place{Started: rnd.Int64N(5), ID: uint64(rnd.IntN(len(all) + 1))}
		who := uint64(1 + rnd.IntN(len(all)))
		from, reverse := rnd.Int64N(10), rnd.IntN(2) == 0
		for _, q := range []struct {
			name string
			ask  func(l journal.Log) string
		}{
			{"list", func(l journal.Log) string { return dump(l.List(t.Context(), under, nil, nil)) }},
			{"list by status", func(l journal.Log) string { return dump(l.List(t.Context(), under, &st, nil)) }},
			{"list after", func(l journal.Log) string { return dump(l.List(t.Context(), under, nil, after)) }},
			{"list by status after", func(l journal.Log) string { return dump(l.List(t.Context(), under, &st, after)) }},
			{"open", func(l journal.Log) string { return dump(l.Open(t.Context())) }},
			{"load", func(l journal.Log) string {
				var b bytes.Buffer
				for e, err := range l.Load(t.Context(), who) {
					fmt.Fprint(&b, e.From, e.To, string(e.Data), err, ";")
				}
				return b.String()
			}},
			{"read", func(l journal.Log) string {
				var b bytes.Buffer
				for e, err := range l.Read(t.Context(), who, from, reverse) {
					fmt.Fprint(&b, e.From, e.To, string(e.Data), err, ";")
				}
				return b.String()
			}},
		} {
			if ga, gb := q.ask(a), q.ask(b); ga != gb {
				t.Fatalf("seed %d: %s (under %s, status %v, after %v, of %d from %d): \n%s\n%s", seed, q.name, under, st, *after, who, from, ga, gb)
			}
		}
	}
}

func dump(seq func(func(journal.Entry, error) bool)) string {
	var b bytes.Buffer
	for e, err := range seq {
		fmt.Fprintf(&b, "%+v %v\n", e, err)
	}
	return b.String()
}

// Faulty is a log whose appends fail as Fail says.
type Faulty struct {
	journal.Log
	// Fail is asked before each append. before: the append fails and does not
	// happen. after: it happens, and fails all the same.
	Fail func() (before, after error)
}

// Append implements [journal.Log].
func (f *Faulty) Append(ctx context.Context, rows ...journal.Row) error {
	before, after := f.Fail()
	if before != nil {
		return before
	}
	if err := f.Log.Append(ctx, rows...); err != nil {
		return err
	}
	return after
}
