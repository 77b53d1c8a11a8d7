package openai

import (
	"strings"
	"testing"

	"tokaido/value"
)

func TestReadVectors(t *testing.T) {
	for _, c := range []struct {
		in, want string // "": it is taken
	}{
		{`{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}]}`, ""},
		{`{"data":[{"index":0,"embedding":[1]}]}`, "no vector of text 1"},
		{`{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`, "a vector of text 0, of 2"},
		{`{"data":[{"index":2,"embedding":[1]}]}`, "a vector of text 2, of 2"},
		{`{"data":[{"index":-1,"embedding":[1]}]}`, "a vector of text -1"},
		{`{"data":[{"embedding":[1]}]}`, "a vector of text"},
		{`{"data":[{"index":0,"embedding":["a"]}]}`, "no list of numbers"},
		{`{"data":[{"index":0,"embedding":"AAAA"},{"index":1,"embedding":[1]}]}`, "no vector of text 0"},
		{`{}`, "no vector of text 0"},
	} {
		v, err := readVectors(value.MustParse(c.in), 2)
		if c.want == "" && (err != nil || v[0][1] != 2 || v[1][0] != 3) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, %v", c.in, v, err)
		}
	}
}

func FuzzReadVectors(f *testing.F) {
	f.Add(`{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2e400]}]}`)
	f.Add(`{"data":{"index":0}}`)
	f.Fuzz(func(t *testing.T, in string) {
		v, err := value.ParseString(in)
		if err != nil {
			return
		}
		if out, err := readVectors(v, 2); err == nil && (len(out) != 2 || len(out[0]) == 0 || len(out[1]) == 0) {
			t.Errorf("%v", out)
		}
	})
}
