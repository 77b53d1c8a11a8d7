package engine

import (
	"reflect"
	"strings"
	"testing"

	"tokaido/value"
)

// full is an event with every part that the codec knows.
func full() Event {
	return Event{
		Seq: 300, ID: 200, Prev: 199, At: 1_700_000_000_123, Ref: 77, Thread: 4, Index: 9, Type: ServiceTaskScheduled,
		State: "Ask 東海道", Data: value.MustParse(`{"a":[1,2.50,"x"],"b":null}`),
		More: &Detail{
			Error: new("E"), Cause: new(""), Location: "Output/a", Vars: value.MustParse(`{"v":1}`), ResourceType: "lambda",
			Resource: "invoke", Region: "ap-northeast-1", TimeoutSeconds: 300, HeartbeatSeconds: 10, RoleARN: "arn:r", Worker: "w",
			Length: 3, MapRunARN: "arn:m", RedriveCount: 1, Due: 1_700_000_300_000, Token: "t",
			Run: &RunSettings{7, 8, 9.5, 10, 11, value.MustParse(`{"k":1}`)},
		},
	}
}

func TestCodec(t *testing.T) {
	long := strings.Repeat("x", 300)
	events := []Event{
		full(),
		{Seq: 1, ID: 1, At: 1, Type: ExecutionStarted, Data: value.Null()},
		{Seq: 2, ID: 2, At: 1, Type: PassStateEntered, State: "A", Data: value.String(long)},
		{Seq: 3, ID: 3, Prev: 2, At: 1, Type: PassStateExited, State: "A", Data: value.MustParse(`12345678901234567890.10`)},
		{Seq: 4, ID: 4, At: 1, Type: ExecutionFailed},
		{Seq: 5, Prev: 4, At: 1, Type: WaitScheduled, More: &Detail{Due: 5}},
		{Seq: 6, ID: 5, At: 1, Type: EvaluationFailed, More: &Detail{}},
		{Seq: 7, Prev: 2, At: 1, Type: BranchSucceeded, Data: value.Bool(true)},
	}
	var b []byte
	for i := range events {
		b = AppendEvent(b, &events[i])
	}
	all := b
	for i := range events {
		got, rest, err := DecodeEvent(b)
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if !sameEvent(&got, &events[i]) {
			t.Errorf("event %d: %+v became %+v", i, events[i], got)
		}
		b = rest
	}
	if len(b) != 0 {
		t.Errorf("%d bytes left", len(b))
	}
	one := AppendEvent(nil, &events[0])
	for i := range one { // any cut is noticed
		if _, _, err := DecodeEvent(one[:i]); err == nil {
			t.Errorf("decoded %d of %d bytes", i, len(one))
		}
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"version", append([]byte{eventVersion + 1}, one[1:]...)},
		{"type", append([]byte{eventVersion, 100}, one[2:]...)},
		{"flags", append([]byte{eventVersion, one[1], 0xff}, one[3:]...)},
		{"internalWithID", append([]byte{eventVersion, byte(WaitScheduled)}, one[2:]...)},
		{"hugeLength", []byte{eventVersion, byte(PassStateEntered), hasID | hasState, 1, 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 7}},
		{"notJSON", []byte{eventVersion, byte(PassStateEntered), hasID | hasData, 1, 1, 1, 0, 1, '{'}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if e, _, err := DecodeEvent(c.b); err == nil {
				t.Errorf("decoded %+v", e)
			}
		})
	}
	if len(all) > 900 {
		t.Errorf("%d bytes for %d small events", len(all), len(events))
	}
}

// TestCodecKnowsEveryPart fails when a part is added to Event or Detail and not
// to the codec, or not to full.
func TestCodecKnowsEveryPart(t *testing.T) {
	e := full()
	for _, v := range []reflect.Value{reflect.ValueOf(e), reflect.ValueOf(*e.More), reflect.ValueOf(*e.More.Run)} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("full has no %s", v.Type().Field(i).Name)
			}
		}
	}
}

func sameEvent(a, b *Event) bool {
	x, y := *a, *b
	if !sameValue(x.Data, y.Data) || (x.More == nil) != (y.More == nil) {
		return false
	}
	x.Data, y.Data = value.Value{}, value.Value{}
	if x.More != nil {
		m, n := *x.More, *y.More
		if !sameValue(m.Vars, n.Vars) {
			return false
		}
		m.Vars, n.Vars = value.Value{}, value.Value{}
		if m.Run != nil && n.Run != nil {
			r, q := *m.Run, *n.Run
			if !sameValue(r.BatchInput, q.BatchInput) {
				return false
			}
			r.BatchInput, q.BatchInput = value.Value{}, value.Value{}
			m.Run, n.Run = &r, &q
		}
		if !reflect.DeepEqual(m, n) {
			return false
		}
	}
	x.More, y.More = nil, nil
	return x == y
}

func sameValue(a, b value.Value) bool { return a.Kind() == b.Kind() && a.JSON() == b.JSON() }

func FuzzDecodeEvent(f *testing.F) {
	e := full()
	f.Add(AppendEvent(nil, &e))
	e = Event{Seq: 1, ID: 1, At: 1, Type: ExecutionStarted, Data: value.MustParse(`{"a":1}`)}
	f.Add(AppendEvent(nil, &e))
	e = Event{Seq: 5, Prev: 4, At: 1, Type: RetryScheduled, Index: 2, More: &Detail{Due: 5}}
	f.Add(AppendEvent(nil, &e))
	f.Add([]byte{eventVersion, byte(PassStateEntered), hasID | hasData, 1, 1, 1, 0, 1, '{'})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, rest, err := DecodeEvent(b)
		if err != nil {
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("read nothing")
		}
		again, rest, err := DecodeEvent(AppendEvent(nil, &e))
		if err != nil || len(rest) != 0 || !sameEvent(&e, &again) {
			t.Fatalf("%+v became %+v, %d left: %v", e, again, len(rest), err)
		}
		cfg := Config{}
		cfg.Details(&e, true) // must not panic, whatever the parts
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	e := full()
	buf := AppendEvent(nil, &e)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendEvent(buf[:0], &e)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecodeEvent(b *testing.B) {
	e := full()
	buf := AppendEvent(nil, &e)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodeEvent(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func TestEventTypes(t *testing.T) {
	n, seen := 0, map[string]bool{}
	for i := range 256 {
		typ := EventType(i)
		s := typ.String()
		if s == "" {
			continue
		}
		if seen[s] {
			t.Errorf("two types are called %s", s)
		}
		seen[s] = true
		if !typ.Internal() {
			n++
		}
	}
	if n != 62 {
		t.Errorf("%d types of AWS's, want 62", n)
	}
}
