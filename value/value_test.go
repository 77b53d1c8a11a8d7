package value_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tokaido/value"
)

func parse(t testing.TB, s string) value.Value {
	t.Helper()
	v, err := value.ParseString(s)
	if err != nil {
		t.Fatalf("parse %s: %v", s, err)
	}
	return v
}

func TestParsedTextIsKept(t *testing.T) {
	for _, s := range []string{
		`null`, `true`, `0`, `-0`, `1.50`, `1E5`, `12345678901234567890123`, `"x"`,
		`{"b": 1,  "a":[ 1,2 ] }`, `[]`, `{}`, `{"":{"":[]}}`,
	} {
		if got := parse(t, " "+s+"\n").JSON(); got != s {
			t.Errorf("JSON() = %s, want %s", got, s)
		}
	}
}

func TestLookingIn(t *testing.T) {
	v := parse(t, `{"a":{"b":[1,"zw\u00f6lf",null,{"c":true}]},"n":-12.5,"a b":""}`)
	if got := v.Get("a").Get("b").At(1).Str(); got != "zwölf" {
		t.Errorf("string = %q", got)
	}
	if !v.Get("a").Get("b").At(3).Get("c").Bool() {
		t.Error("c is not true")
	}
	if f := v.Get("n").Float(); f != -12.5 {
		t.Errorf("n = %v", f)
	}
	if v.Get("a").Get("b").At(2).Kind() != value.KindNull || !v.Get("a").Get("b").At(4).IsUndefined() {
		t.Error("null and absent are not told apart")
	}
	if !v.Get("x").IsUndefined() || !v.Get("n").Get("x").IsUndefined() || !v.At(0).IsUndefined() || v.Get("n").Len() != 0 {
		t.Error("looking for what is not there found something")
	}
	if !v.Has("a b") || v.Has("b") || v.Len() != 3 || v.Member(2).Key != "a b" {
		t.Error("members are wrong")
	}
	var keys []string
	for k := range v.Members() {
		keys = append(keys, k)
	}
	if fmt.Sprint(keys) != "[a n a b]" {
		t.Errorf("order = %v", keys)
	}
}

func TestLastDuplicateCounts(t *testing.T) {
	var many strings.Builder
	many.WriteString(`{"k0":0`)
	for i := 1; i < 40; i++ {
		many.WriteString(fmt.Sprintf(`,"k%d":%d`, i%20, i))
	}
	for _, s := range []string{`{"a":1,"b":2,"a":3}`, `{"a":1,"a":2,"a":3,"b":2}`} {
		v := parse(t, s)
		if i, _ := v.Get("a").Int(); i != 3 || v.Len() != 2 || v.Member(0).Key != "a" {
			t.Errorf("%s: a = %d of %d members", s, i, v.Len())
		}
	}
	v := parse(t, many.String()+"}")
	if i, _ := v.Get("k7").Int(); i != 27 || v.Len() != 20 || v.Member(7).Key != "k7" {
		t.Errorf("k7 = %d of %d members", i, v.Len())
	}
	o := value.Object(value.Member{Key: "a", Value: value.Int(1)}, value.Member{Key: "u"}, value.Member{Key: "a", Value: value.Int(2)})
	if o.JSON() != `{"a":2}` {
		t.Errorf("built = %s", o)
	}
}

func TestWith(t *testing.T) {
	v := parse(t, `{"a":1, "b":2}`)
	for _, c := range []struct {
		got  value.Value
		want string
	}{
		{v.With("a", value.String("x")), `{"a":"x","b":2}`},
		{v.With("c", value.Null()), `{"a":1,"b":2,"c":null}`},
		{v.With("a", value.Value{}), `{"b":2}`},
		{v.Without("b"), `{"a":1}`},
		{v.Without("z"), `{"a":1, "b":2}`},
		{value.Null().With("a", value.Bool(true)), `{"a":true}`},
		{parse(t, `[1,2,3]`).WithItem(1, value.Array()), `[1,[],3]`},
		{v, `{"a":1, "b":2}`},
	} {
		if got := c.got.JSON(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestEqual(t *testing.T) {
	same := [][2]string{
		{`1`, `1.0`}, {`100`, `1e2`}, {`{"a":1,"b":[2]}`, `{"b":[2.0], "a":1}`}, {`"\u0061"`, `"a"`}, {`[]`, `[ ]`}, {`0`, `-0`},
	}
	for _, p := range same {
		if !value.Equal(parse(t, p[0]), parse(t, p[1])) {
			t.Errorf("%s and %s differ", p[0], p[1])
		}
	}
	differ := [][2]string{{`1`, `"1"`}, {`null`, `false`}, {`[1]`, `[1,2]`}, {`{"a":1}`, `{"b":1}`}, {`{"a":null}`, `{}`}, {`[1,2]`, `[2,1]`}}
	for _, p := range differ {
		if value.Equal(parse(t, p[0]), parse(t, p[1])) {
			t.Errorf("%s and %s are equal", p[0], p[1])
		}
	}
	if value.Equal(value.Value{}, value.Null()) || !value.Equal(value.Value{}, value.Value{}) {
		t.Error("undefined is not itself alone")
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		f    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {1, "1"}, {-1.5, "-1.5"}, {1e20, "100000000000000000000"}, {1e21, "1e+21"},
		{1e-6, "0.000001"}, {1e-7, "1e-7"}, {1.5e300, "1.5e+300"}, {0.1, "0.1"}, {1 << 53, "9007199254740992"}, {math.Inf(1), "null"}, {math.NaN(), "null"},
	} {
		if got := value.Float(c.f).JSON(); got != c.want {
			t.Errorf("%v prints as %s, want %s", c.f, got, c.want)
		}
	}
	for _, c := range []struct {
		text string
		i    int64
		ok   bool
	}{
		{"9223372036854775807", math.MaxInt64, true}, {"9223372036854775808", 0, false}, {"1e3", 1000, true}, {"1.0", 1, true}, {"1.5", 0, false}, {"-7", -7, true},
	} {
		if i, ok := parse(t, c.text).Int(); i != c.i || ok != c.ok {
			t.Errorf("%s is %d %v, want %d %v", c.text, i, ok, c.i, c.ok)
		}
	}
	if got := value.Int(math.MaxInt64).JSON(); got != "9223372036854775807" {
		t.Errorf("MaxInt64 prints as %s", got)
	}
	if i, ok := value.Int(-42).Int(); i != -42 || !ok {
		t.Errorf("-42 is %d", i)
	}
	if f := parse(t, "-0").Float(); !math.Signbit(f) {
		t.Error("-0 lost its sign")
	}
}

func TestFloatIsExact(t *testing.T) {
	for _, s := range []string{
		"0", "-0", "1", "-12.25", "0.1", "123456789.12345", "9999999999999.9", "0.000000000000001", "1e5", "-1.5E-3",
		"12345678901234567890", "-999999999999999", "9007199254740993", "0.1234567890123456", "-0.0", "123456789012345.6",
	} {
		want, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(t, s).Float(); math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s is %v, want %v", s, got, want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		in     string
		offset int
	}{
		{``, 0}, {`{`, 1}, {`{"a"}`, 4}, {`{"a":}`, 5}, {`[1,]`, 3}, {`[1 2]`, 3}, {`01`, 1}, {`"a`, 2}, {`"\x"`, 2}, {"\"\n\"", 1},
		{`nul`, 0}, {`1 2`, 2}, {`{"a":1,}`, 7}, {`-`, 0}, {`1.`, 2}, {`1e`, 2}, {"\"\xff\"", 1}, {`"\u12g4"`, 2}, {`{a:1}`, 1},
	} {
		_, err := value.ParseString(c.in)
		se, ok := err.(*value.SyntaxError)
		if !ok || se.Offset != c.offset {
			t.Errorf("%q: %v, want an error at %d", c.in, err, c.offset)
		}
	}
	deep := strings.Repeat("[", value.MaxDepth+2) + strings.Repeat("]", value.MaxDepth+2)
	if _, err := value.ParseString(deep); err == nil {
		t.Error("nesting has no limit")
	}
}

func TestQuoting(t *testing.T) {
	in := "a\"\\\n\t\r\b\f\x01 こ😀\xff"
	got := value.String(in).JSON()
	if want := `"a\"\\\n\t\r\b\f\u0001 こ😀` + "\uFFFD" + `"`; got != want {
		t.Errorf("quoted %s, want %s", got, want)
	}
	if s := parse(t, `"\ud83d\ude00\ud83d x\/"`).Str(); s != "😀\uFFFD x/" {
		t.Errorf("unescaped %q", s)
	}
}

// A value may be looked into and printed from many goroutines at once.
func TestShared(t *testing.T) {
	v := parse(t, `{"a":[{"b":{"c":[1,2,3]}},{"b":{"c":[4]}}]}`)
	w := v.With("x", v)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if i, _ := w.Get("x").Get("a").At(1).Get("b").Get("c").At(0).Int(); i != 4 {
					t.Error("lost a member")
				}
				if len(w.JSON()) == 0 {
					t.Error("lost the text")
				}
			}
		})
	}
	wg.Wait()
}

func TestCompact(t *testing.T) {
	if got := parse(t, "{ \"a b\" : [ 1 , \"x \\\" y\" ] }").Compact().JSON(); got != `{"a b":[1,"x \" y"]}` {
		t.Errorf("compact = %s", got)
	}
	built := value.Array(parse(t, `{ "a": 1 }`))
	if got := built.Compact().JSON(); got != `[{"a":1}]` {
		t.Errorf("a built value's compact = %s", got)
	}
}

// FuzzParse holds the scanner and the lazy levels to encoding/json.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9",null,true,{}],"a":2}`, ` [ ] `, `"\ud800"`, `-0.0e-1`, `{"a":{"b":{"c":[[[]]]}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := value.Parse(b)
		valid := json.Valid(b)
		if err != nil {
			// encoding/json lets bytes that are not UTF-8 pass, and nests deeper.
			if valid && bytes.Equal(bytes.ToValidUTF8(b, nil), b) && bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) <= value.MaxDepth {
				t.Fatalf("refused %q: %v", b, err)
			}
			return
		}
		if !valid {
			t.Fatalf("accepted %q", b)
		}
		var want, got any
		if err := json.Unmarshal(b, &want); err != nil {
			return // a number beyond float64
		}
		built := rebuild(v)
		if err := json.Unmarshal([]byte(built.JSON()), &got); err != nil {
			t.Fatalf("printed %s of %q: %v", built, b, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %s", b, built)
		}
		if !value.Equal(v, built) {
			t.Fatalf("%s is not equal to its copy", v)
		}
	})
}

// rebuild copies every node of v, so that nothing of its text is left.
func rebuild(v value.Value) value.Value {
	switch v.Kind() {
	case value.KindArray:
		items := []value.Value{}
		for _, x := range v.Items() {
			items = append(items, rebuild(x))
		}
		return value.Array(items...)
	case value.KindObject:
		var m []value.Member
		for k, x := range v.Members() {
			m = append(m, value.Member{Key: k, Value: rebuild(x)})
		}
		return value.Object(m...)
	case value.KindString:
		return value.String(v.Str())
	}
	return v
}

var doc = `{"id":"0f9d","customer":{"name":"山田","tags":["a","b","c"],"address":{"city":"Tokyo","zip":"100-0001"}},` +
	`"items":[` + strings.Repeat(`{"sku":"A-1","price":12.5,"qty":3,"note":"x"},`, 12) + `{}],"total":450.0,"ok":true}`

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := value.ParseString(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndLook(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		v, _ := value.ParseString(doc)
		if v.Get("customer").Get("address").Get("city").Str() != "Tokyo" {
			b.Fatal("lost")
		}
	}
}

func BenchmarkWithAndPrint(b *testing.B) {
	v := parse(b, doc)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = v.With("total", value.Float(7)).AppendJSON(buf[:0])
	}
}

func BenchmarkPassThrough(b *testing.B) {
	v := parse(b, doc)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = v.AppendJSON(buf[:0])
	}
}

// A document that is kept beside the bytes it came in need not be there twice.
func TestParseOwned(t *testing.T) {
	for _, in := range []string{`{"a":[1,"x"]}`, ` "é" `, ``, `{`, `[1] 2`} {
		got, err := value.ParseOwned([]byte(in))
		want, werr := value.Parse([]byte(in))
		if (err == nil) != (werr == nil) || err == nil && got.JSON() != want.JSON() {
			t.Errorf("%q: %s %v, want %s %v", in, got, err, want, werr)
		}
	}
	b := []byte(`{"blob":"` + strings.Repeat("x", 1<<20) + `"}`)
	if n := testing.AllocsPerRun(10, func() { value.ParseOwned(b) }); n > 1 { //nolint:errcheck // it is JSON
		t.Errorf("%v allocations, want the node's", n)
	}
}

// What a body of 1 MiB costs to be read, copied and not.
func BenchmarkParseBody(b *testing.B) {
	body := []byte(`{"blob":"` + strings.Repeat("x", 1<<20) + `"}`)
	for name, parse := range map[string]func([]byte) (value.Value, error){"Parse": value.Parse, "ParseOwned": value.ParseOwned} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
