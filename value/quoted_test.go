package value

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestAppendQuoted: each byte, at each place among plain ones, is escaped as
// encoding/json does it, but for what JSON does not demand.
func TestAppendQuoted(t *testing.T) {
	for c := range 256 {
		for n := range 20 {
			for at := range n {
				s := strings.Repeat("p", at) + string([]byte{byte(c)}) + strings.Repeat("q", n-at-1)
				got := AppendQuoted([]byte("x"), s)
				var b bytes.Buffer
				e := json.NewEncoder(&b)
				e.SetEscapeHTML(false)
				if err := e.Encode(strings.ToValidUTF8(s, "\uFFFD")); err != nil {
					t.Fatal(err)
				}
				if want := "x" + strings.TrimSuffix(b.String(), "\n"); string(got) != want {
					t.Fatalf("%q: %s, want %s", s, got, want)
				}
			}
		}
	}
}

func FuzzAppendQuoted(f *testing.F) {
	for _, s := range []string{"", "plain and more", "a\"b\\c\nd\x00e\x7f", "東京\u2028\xff\xc0東", "12345678\x1f2345678\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendQuoted(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%s: %v", b, err)
		}
		var want strings.Builder
		for _, r := range s {
			want.WriteRune(r)
		}
		if got != want.String() {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func BenchmarkAppendQuoted(b *testing.B) {
	for _, n := range []int{4, 12, 36, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, out := strings.Repeat("abc-", n/4), make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				out = AppendQuoted(out[:0], s)
			}
		})
	}
}
