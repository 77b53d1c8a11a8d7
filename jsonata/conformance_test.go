package jsonata

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/internal/conform"
	"tokaido/value"
)

// skipped are the cases that we do not pass, each with the reason.
var skipped = map[string]string{}

func TestConformanceJSONata(t *testing.T) {
	dir := conform.Dir(t, "jsonata")
	datasets := value.MustParse("{}")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "datasets.json")); err == nil {
		if datasets, err = value.Parse(b); err != nil {
			t.Fatal(err)
		}
	}
	var passed, failed, left int
	for _, file := range files {
		if filepath.Base(file) == "datasets.json" {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := value.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name, cases := range groups.Members() {
			p, f, s := 0, 0, 0
			for i, c := range cases.Items() {
				id := c.Get("id").Str()
				if id == "" {
					id = fmt.Sprintf("%s#%d", name, i)
				}
				if why, ok := skipped[id]; ok {
					t.Logf("skipped %s: %s", id, why)
					s++
					continue
				}
				if msg := runCase(c, datasets); msg != "" {
					f++
					t.Errorf("%s: %s\n\t%s", id, c.Get("expr"), msg)
				} else {
					p++
				}
			}
			fmt.Printf("%s: %d passed, %d failed, %d skipped\n", name, p, f, s)
			passed, failed, left = passed+p, failed+f, left+s
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, left)
}

// runCase returns what is wrong with a case, or "".
func runCase(c, datasets value.Value) (msg string) {
	env := &Env{Input: c.Get("data"), Now: time.Now()}
	r := rand.New(rand.NewPCG(1, 2))
	env.Rand = r.Uint64
	if d := c.Get("dataset"); d.IsString() {
		env.Input = datasets.Get(d.Str())
		if env.Input.IsUndefined() {
			return "no dataset " + d.Str()
		}
	}
	bindings := c.Get("bindings")
	env.Var = func(name string) (value.Value, bool) {
		v := bindings.Get(name)
		return v, !v.IsUndefined()
	}
	if n, ok := c.Get("depth").Int(); ok {
		env.Budget.Depth = int(n)
	}
	if n, ok := c.Get("timelimit").Int(); ok {
		end := time.Now().Add(time.Duration(n) * time.Millisecond)
		env.Expired = func() bool { return time.Now().After(end) }
	}
	var got value.Value
	src := c.Get("expr").Str()
	if strings.ContainsRune(src, 0xFFFD) {
		// A Go string of JSON has no lone surrogates; the language's texts do.
		src = strings.ReplaceAll(src, "\uFFFD", "\xED\xA0\x80")
	}
	e, err := Compile(src, Plain)
	if err == nil {
		got, err = e.Eval(env)
	}
	want := c.Get("error")
	if code := c.Get("code"); code.IsString() {
		want = value.Object(value.Member{Key: "code", Value: code}, value.Member{Key: "token", Value: c.Get("token")})
	}
	if !want.IsUndefined() {
		x, ok := errors.AsType[*Error](err)
		if !ok {
			return fmt.Sprintf("got %v (%v), want the error %v", got, err, want)
		}
		have := value.Object(
			value.Member{Key: "code", Value: value.String(x.Code)},
			value.Member{Key: "token", Value: value.String(x.Token)},
			value.Member{Key: "position", Value: value.Int(int64(x.Position))},
			value.Member{Key: "message", Value: value.String(x.Message)},
			value.Member{Key: "functionName", Value: value.String(x.Function)},
			value.Member{Key: "value", Value: x.Value},
			value.Member{Key: "index", Value: value.Int(int64(x.Index))},
		)
		for key, v := range want.Members() {
			if !value.Equal(v, have.Get(key)) {
				return fmt.Sprintf("got the error %v, want %v", have, want)
			}
		}
		return ""
	}
	if err != nil {
		return "unexpected error " + err.Error()
	}
	if c.Get("undefinedResult").Bool() {
		if !got.IsUndefined() {
			return fmt.Sprintf("got %v, want nothing", got)
		}
		return ""
	}
	result := c.Get("result")
	if c.Get("unordered").Bool() && got.IsArray() && result.IsArray() {
		list := func(v value.Value) []string {
			var out []string
			for _, x := range v.Items() {
				out = append(out, x.Compact().JSON())
			}
			slices.Sort(out)
			return out
		}
		if !slices.Equal(list(got), list(result)) {
			return fmt.Sprintf("got %v, want in any order %v", got, result)
		}
		return ""
	}
	if !value.Equal(got, result) {
		return fmt.Sprintf("got  %s\n\twant %s", short(got), short(result))
	}
	return ""
}

func short(v value.Value) string {
	s := v.JSON()
	if v.IsUndefined() {
		return "nothing"
	}
	if len(s) > 600 {
		return s[:600] + "…"
	}
	return strings.TrimSpace(s)
}
