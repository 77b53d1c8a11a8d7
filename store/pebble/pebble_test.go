package pebble

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/principal"
	"tokaido/store/memory"
	"tokaido/store/storetest"
)

// opened is a store that can be closed and opened again.
func opened(t *testing.T) (s *Store, again func() *Store) {
	dir := t.TempDir()
	open := func() *Store {
		var err error
		s, err = Open(dir, Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Cache: 1 << 20, MemTable: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Cleanup(func() { s.Close() })
	return open(), func() *Store {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return open()
	}
}

func TestPrincipals(t *testing.T) {
	storetest.Principals(t, func(t *testing.T) (principal.Store, func() principal.Store) {
		s, again := opened(t)
		return s.Principals(), func() principal.Store { return again().Principals() }
	})
}

func TestFlow(t *testing.T) {
	storetest.Flow(t, func(t *testing.T) (flow.Store, func() flow.Store) {
		s, again := opened(t)
		return s.Flow(), func() flow.Store { return again().Flow() }
	})
}

func TestJournal(t *testing.T) {
	storetest.Journal(t, func(t *testing.T) (journal.Log, func() journal.Log) {
		s, again := opened(t)
		return s.Journal(), func() journal.Log { return again().Journal() }
	})
}

// Pebble, which is fast, is held to memory, which is plain.
func TestSameAsMemory(t *testing.T) {
	for seed := range uint64(5) {
		s, _ := opened(t)
		storetest.Same(t, s.Journal(), memory.New().Journal(), seed, 60)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(appendEntry(nil, &journal.Entry{ARN: "x", Under: []string{"m", "m:1"}, Started: 1, Status: engine.Failed, Stopped: 9, Data: []byte("d")}))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1}, 40))
	f.Add(bytes.Repeat([]byte{2}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(7, b)
		if err != nil {
			return
		}
		again, err := decodeEntry(7, appendEntry(nil, &e))
		if err != nil || !reflect.DeepEqual(e, again) && !(len(e.Data) == 0 && len(again.Data) == 0) {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

// A database whose keys mean something else is refused, not misread.
func TestForeignFormat(t *testing.T) {
	for name, prepare := range map[string]func(db *pebble.DB) error{
		"before-formats": func(db *pebble.DB) error { return db.Set([]byte("aarn"), []byte("x"), pebble.Sync) },
		"later":          func(db *pebble.DB) error { return db.Set([]byte{keyFormat}, []byte{format + 1}, pebble.Sync) },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			db, err := pebble.Open("db", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: (*logger)(&Store{})})
			if err == nil {
				err = prepare(db)
			}
			if err != nil || db.Close() != nil {
				t.Fatal(err)
			}
			if _, err := Open("db", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "for") {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("rows=", n), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			l := s.Journal()
			data := bytes.Repeat([]byte("x"), 400)
			var id uint64
			b.ReportAllocs()
			for b.Loop() {
				rows := make([]journal.Row, n)
				for i := range rows {
					id++
					rows[i] = journal.Row{ID: id, New: true, Events: journal.Events{From: 1, To: 22, Data: data},
						Entry: &journal.Entry{ARN: fmt.Sprint("arn:aws:states:us-east-1:123456789012:execution:m:", id), Under: []string{"arn:aws:states:us-east-1:123456789012:stateMachine:m"}, Status: engine.Succeeded, Started: int64(id), Stopped: int64(id), Data: data[:100]}}
				}
				if err := l.Append(b.Context(), rows...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}
