package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"tokaido/fault"
	"tokaido/value"
)

var at0 = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

// record is one of many that differ in what Lookup searches by.
func record(i int) *Record {
	r := &Record{
		Time: at0.Add(time.Duration(i) * time.Second), Source: "bedrock.amazonaws.com", Name: "Converse", Region: "ap-northeast-1", Account: "111122223333",
		Identity: Identity{
			Type: "AssumedRole", PrincipalID: "AROAEXAMPLE:run", ARN: "arn:aws:sts::111122223333:assumed-role/flow/run", Account: "111122223333", AccessKeyID: "ASIAEXAMPLE",
			IssuedAt: at0, Issuer: &Issuer{Type: "Role", PrincipalID: "AROAEXAMPLE", ARN: "arn:aws:iam::111122223333:role/flow", Account: "111122223333", UserName: "flow"},
		},
		SourceIP: "127.0.0.1", UserAgent: "aws-cli/2", Host: "bedrock-runtime.ap-northeast-1.amazonaws.com", TLS: true,
		RequestID: fmt.Sprintf("request-%d", i), ReadOnly: i%2 == 0,
		Request:    value.MustParse(`{"modelId":"jp.anthropic.claude-sonnet-4-5-20250929-v1:0"}`),
		Additional: value.MustParse(`{"inferenceRegion":"ap-northeast-3","inputTokens":9}`),
		Resources:  []Resource{{"AWS::Bedrock::InferenceProfile", fmt.Sprintf("arn:profile/%d", i%3)}},
	}
	if i%5 == 0 {
		r.Name, r.ErrorCode, r.ErrorMessage = "InvokeModel", "AccessDenied", "User: x is not authorized"
		r.Decisions = value.MustParse(`[{"allowed":false}]`)
	}
	if i%7 == 0 {
		r.Region = "ap-northeast-3"
		r.Identity = Identity{Type: "Root", PrincipalID: "111122223333", ARN: "arn:aws:iam::111122223333:root", Account: "111122223333", AccessKeyID: "AKIAEXAMPLE"}
	}
	return r
}

func mustOpen(t testing.TB, dir string, opts Options) *Log {
	t.Helper()
	l, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// all returns every event, oldest first.
func all(t testing.TB, l *Log, q Query) (rs []*Record) {
	t.Helper()
	for {
		p, err := l.Lookup(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, p.Records...)
		if q.Token = p.Next; q.Token == "" {
			break
		}
	}
	for i, j := 0, len(rs)-1; i < j; i, j = i+1, j-1 {
		rs[i], rs[j] = rs[j], rs[i]
	}
	return rs
}

func TestAppendAndReopen(t *testing.T) {
	dir := t.TempDir()
	var want []*Record
	for round := range 3 {
		l := mustOpen(t, dir, Options{Sync: true, SegmentSize: 8 << 10})
		for i := range 40 {
			r := record(40*round + i)
			if err := l.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			want = append(want, r)
		}
		if h := l.Head(); h.Records != uint64(40*(round+1)) {
			t.Errorf("head is %d", h.Records)
		}
		if got := all(t, l, Query{}); !reflect.DeepEqual(plain(got), plain(want)) {
			t.Errorf("round %d: got other records than appended", round)
		}
		mustClose(t, l)
		rep, err := Verify(t.Context(), dir, Check{})
		if err != nil || rep.Head.Records != uint64(len(want)) || !rep.Marked || rep.Segments < round+2 {
			t.Errorf("verify: %+v, %v", rep, err)
		}
		if !rep.First.Equal(want[0].Time) || !rep.Last.Equal(want[len(want)-1].Time) {
			t.Errorf("verify: from %v to %v", rep.First, rep.Last)
		}
	}
}

// plain makes records comparable: values by their text.
func plain(rs []*Record) (all []string) {
	for _, r := range rs {
		all = append(all, string(appendRecord(nil, r)))
	}
	return all
}

func TestLookup(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{})
	defer mustClose(t, l)
	const n = 210
	var rs []*Record
	for i := range n {
		r := record(i)
		if err := l.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	for _, c := range []struct {
		name string
		q    Query
		fits func(i int, r *Record) bool
	}{
		{"all", Query{}, func(int, *Record) bool { return true }},
		{"region", Query{Region: "ap-northeast-3"}, func(i int, _ *Record) bool { return i%7 == 0 }},
		{"noRegion", Query{Region: "us-east-1"}, func(int, *Record) bool { return false }},
		{"name", Query{Attribute: ByEventName, Value: "InvokeModel"}, func(i int, _ *Record) bool { return i%5 == 0 }},
		{"nameAndRegion", Query{Region: "ap-northeast-1", Attribute: ByEventName, Value: "InvokeModel"}, func(i int, _ *Record) bool { return i%5 == 0 && i%7 != 0 }},
		{"readOnly", Query{Attribute: ByReadOnly, Value: "false"}, func(i int, _ *Record) bool { return i%2 == 1 }},
		{"session", Query{Attribute: ByUsername, Value: "run"}, func(i int, _ *Record) bool { return i%7 != 0 }},
		{"root", Query{Attribute: ByUsername, Value: "root"}, func(i int, _ *Record) bool { return i%7 == 0 }},
		{"key", Query{Attribute: ByAccessKeyID, Value: "AKIAEXAMPLE"}, func(i int, _ *Record) bool { return i%7 == 0 }},
		{"source", Query{Attribute: BySource, Value: "bedrock.amazonaws.com"}, func(int, *Record) bool { return true }},
		{"otherSource", Query{Attribute: BySource, Value: "iam.amazonaws.com"}, func(int, *Record) bool { return false }},
		{"resource", Query{Attribute: ByResourceName, Value: "arn:profile/2"}, func(i int, _ *Record) bool { return i%3 == 2 }},
		{"type", Query{Attribute: ByResourceType, Value: "AWS::Bedrock::InferenceProfile"}, func(int, *Record) bool { return true }},
		{"id", Query{Attribute: ByEventID, Value: rs[17].EventID}, func(i int, _ *Record) bool { return i == 17 }},
		{"time", Query{Start: at0.Add(20 * time.Second), End: at0.Add(120 * time.Second)}, func(i int, _ *Record) bool { return i >= 20 && i <= 120 }},
		{"timeAndName", Query{Start: at0.Add(20 * time.Second), End: at0.Add(120 * time.Second), Attribute: ByEventName, Value: "InvokeModel"}, func(i int, _ *Record) bool { return i >= 20 && i <= 120 && i%5 == 0 }},
		{"until", Query{End: at0}, func(i int, _ *Record) bool { return i == 0 }},
	} {
		for _, limit := range []int{0, 1, 7, 50} {
			t.Run(fmt.Sprintf("%s/%d", c.name, limit), func(t *testing.T) {
				var want []*Record
				for i, r := range rs {
					if c.fits(i, r) {
						want = append(want, r)
					}
				}
				q := c.q
				q.Limit = limit
				if got := all(t, l, q); !reflect.DeepEqual(plain(got), plain(want)) {
					t.Errorf("got %d records, want %d", len(got), len(want))
				}
			})
		}
	}
}

func TestLookupPagesDoNotMove(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{})
	defer mustClose(t, l)
	for i := range 20 {
		l.Append(t.Context(), record(i))
	}
	p, err := l.Lookup(t.Context(), Query{Limit: 10})
	if err != nil || len(p.Records) != 10 || p.Next == "" {
		t.Fatalf("%d records, %v", len(p.Records), err)
	}
	l.Append(t.Context(), record(20))
	p, err = l.Lookup(t.Context(), Query{Limit: 10, Token: p.Next})
	if err != nil || len(p.Records) != 10 || p.Next != "" || p.Records[0].RequestID != "request-9" {
		t.Errorf("second page: %d records, %q, %v", len(p.Records), p.Next, err)
	}
}

func TestLookupFaults(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{})
	defer mustClose(t, l)
	for i := range 60 {
		l.Append(t.Context(), record(i))
	}
	p, err := l.Lookup(t.Context(), Query{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code string
		q    Query
	}{
		{"InvalidMaxResultsException", Query{Limit: 51}},
		{"InvalidMaxResultsException", Query{Limit: -1}},
		{"InvalidLookupAttributesException", Query{Attribute: "Color", Value: "red"}},
		{"InvalidLookupAttributesException", Query{Attribute: ByEventName}},
		{"InvalidTimeRangeException", Query{Start: at0.Add(1), End: at0}},
		{"InvalidNextTokenException", Query{Token: "x"}},
		{"InvalidNextTokenException", Query{Token: p.Next + "AA"}},
		{"InvalidNextTokenException", Query{Token: p.Next, Region: "ap-northeast-1"}},
		{"InvalidNextTokenException", Query{Token: p.Next, Attribute: ByEventName, Value: "Converse"}},
		{"", Query{Token: p.Next, Limit: 5}},
	} {
		if _, err := l.Lookup(t.Context(), c.q); fault.Code(err) != c.code {
			t.Errorf("%+v: %v, want %s", c.q, err, c.code)
		}
	}
}

func TestIntents(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Sync: true})
	intent := func(id string) *Record {
		r := record(1)
		r.Phase, r.RequestID = Intent, id
		if err := l.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := intent("a"), intent("b")
	if got := all(t, l, Query{}); len(got) != 0 {
		t.Errorf("%d open intents show", len(got))
	}
	o := record(1)
	o.Phase, o.RequestID, o.IntentID = Outcome, "a", a.EventID
	if err := l.Append(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)

	for range 2 { // a second open finds nothing to close
		l = mustOpen(t, dir, Options{Sync: true})
		got := all(t, l, Query{})
		if len(got) != 2 || got[0].EventID != o.EventID || got[1].ErrorCode != OutcomeUnknown || got[1].IntentID != b.EventID || got[1].RequestID != "b" {
			t.Fatalf("events after restart: %q", plain(got))
		}
		both, err := l.Find(t.Context(), "b")
		if err != nil || len(both) != 2 || both[0].Phase != Intent || both[1].Phase != Outcome {
			t.Errorf("find b: %q, %v", plain(both), err)
		}
		mustClose(t, l)
	}
}

func TestFind(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{})
	defer mustClose(t, l)
	for i := range 10 {
		l.Append(t.Context(), record(i))
	}
	for _, c := range []struct {
		id string
		n  int
	}{{"request-3", 1}, {"request-33", 0}, {"", 0}} {
		if got, err := l.Find(t.Context(), c.id); err != nil || len(got) != c.n {
			t.Errorf("find %q: %d, %v", c.id, len(got), err)
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{})
	defer mustClose(t, l)
	big := record(1)
	big.ErrorMessage = string(make([]byte, MaxRecord))
	for name, r := range map[string]*Record{
		"big": big, "outcomeWithoutIntent": {Phase: Outcome}, "intentOfWhole": {IntentID: "x"}, "phase": {Phase: 7},
	} {
		if err := l.Append(t.Context(), r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if h := l.Head(); h.Records != 0 {
		t.Errorf("%d records", h.Records)
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("opened twice")
	}
	mustClose(t, l)
	if err := l.Append(t.Context(), record(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if err := l.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("close after close: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, segmentName(1)))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("segment: %v, %v; want mode 0600", info, err)
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Sync: true, SegmentSize: 64 << 10})
	const producers, each = 32, 30
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				r := record(p*each + i)
				r.Relaxed = i%3 == 0
				if err := l.Append(context.WithoutCancel(t.Context()), r); err != nil {
					t.Error(err)
					return
				}
				if r.Relaxed {
					continue
				}
				if got, err := l.Find(t.Context(), r.RequestID); err != nil || len(got) != 1 {
					t.Errorf("an acknowledged record is not found: %v", err)
				}
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			for range 20 {
				if _, err := l.Lookup(t.Context(), Query{Attribute: ByEventName, Value: "Converse"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustClose(t, l)
	rep, err := Verify(t.Context(), dir, Check{})
	if err != nil || rep.Head.Records != producers*each {
		t.Fatalf("verify: %+v, %v", rep, err)
	}
	l = mustOpen(t, dir, Options{})
	defer mustClose(t, l)
	if got := all(t, l, Query{}); len(got) != producers*each {
		t.Errorf("%d records after reopening", len(got))
	}
}

func TestRelaxedReachesTheDisk(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Sync: true})
	defer mustClose(t, l)
	r := record(1)
	r.Relaxed = true
	if err := l.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	await(t, "the mark, which says that it is durable", func() bool {
		rep, err := Verify(t.Context(), dir, Check{})
		return err == nil && rep.Head.Records == 1 && rep.Marked
	})
}

// await waits until something is so.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// awaitIndexes waits until every full segment has its index in a file, as a
// segment must that is to be removed.
func awaitIndexes(t testing.TB, l *Log) {
	t.Helper()
	await(t, "the indexes of full segments", func() bool {
		all := l.index.list()
		for _, s := range all[:len(all)-1] {
			if s.sealed == nil {
				return false
			}
		}
		return true
	})
}
