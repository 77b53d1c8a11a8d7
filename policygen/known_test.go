package policygen

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/asl"
	"tokaido/jsonata"
	"tokaido/jsonpath"
	"tokaido/value"
)

func TestKnown(t *testing.T) {
	r := &reader{vars: map[string]known{"m": texts("x", "y"), "p": {prefix: "pre-"}}, own: "arn:own"}
	for _, c := range []struct {
		in     string
		texts  string
		prefix string
	}{
		{`'a'`, "a", ""},
		{`"a" & 'b'`, "ab", ""},
		{`'job-' & $states.input.x`, "", "job-"},
		{`('job-' & $x) & 'y'`, "", "job-"},
		{`$m`, "x y", ""},
		{`'a-' & $m & '-z'`, "a-x-z a-y-z", ""},
		{`$p & 'x'`, "", "pre-"},
		{`$states.input.fast ? 'a' : 'b'`, "a b", ""},
		{`$a = 1 ? 'a' : $b = 2 ? 'b' : 'c'`, "a b c", ""},
		{`($a ? 'ab' : 'ac') & $x`, "", "a"},
		{`$states.context.StateMachine.Id`, "arn:own", ""},
		{`'a' = $x ? 'b' : 'c'`, "b c", ""},
		// Not followed.
		{`'a' & $x = 'b'`, "", ""}, {`'a' ~> $uppercase()`, "", ""}, {`/* ' */ 'a'`, "", ""}, {`$x ?: 'a'`, "", ""}, {`$x ?? 'a'`, "", ""},
		{`'a' and 'b'`, "", ""}, {`($x := 'a'; $x)`, "", ""}, {`'a'[0]`, "", ""}, {`$x ? 'a'`, "", ""}, {`'a\u0041'`, "", ""}, {`['a','b']`, "", ""},
		{"`a` & 'b'", "", ""}, {`'a' & `, "", ""}, {``, "", ""}, {`(`, "", ""}, {`'`, "", ""},
	} {
		k := r.jsonata(c.in)
		if strings.Join(k.texts, " ") != c.texts || k.prefix != c.prefix {
			t.Errorf("%s: %q, %q", c.in, k.texts, k.prefix)
		}
	}
	for in, want := range map[string]known{
		`$$.StateMachine.Id`:              texts("arn:own"),
		`$m`:                              texts("x", "y"),
		`$.m`:                             {},
		`States.Format('a-{}', $.x)`:      {prefix: "a-"},
		`States.Format('a\'\{b{}', $.x)`:  {prefix: "a'{b"},
		`States.Format('whole')`:          texts("whole"),
		`States.Format($.t, $.x)`:         {},
		`States.Format('broken`:           {},
		`States.Format('a', $.x)`:         {},
		`States.JsonToString($.x)`:        {},
		`States.Format( 'b-{}-{}',$.x,1)`: {prefix: "b-"},
	} {
		if k := r.jsonpath(in); !slices.Equal(k.texts, want.texts) || k.prefix != want.prefix {
			t.Errorf("%s: %q, %q", in, k.texts, k.prefix)
		}
	}
}

// What is said of an expression holds whenever it yields a text.
func FuzzKnown(f *testing.F) {
	for _, s := range []string{`'a'`, `'a' & $x`, `$x ? 'a' : 'b'`, `('a' & 'b') & $y`, `$x = 'a' ? 'b' & $x : 'c'`, `"a\"b" & $z`, `'a' & $x.y[0] & 'b'`, `$string(1) & 'x'`,
		`$x ? $y ? 'a' : 'b' : 'c'`, `'a' & -1`, `'a' . 'b'`, `'a' ? : 'b'`, `$m & '/'`, `'a' & function($x){'b'}('c')`, `'x' & {'a':'b'}.a`, `'a' & 1 & 'b'`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 200 {
			return // long ones make the evaluation slow, not the reading better
		}
		r := &reader{vars: map[string]known{"m": texts("one", "two")}}
		k := r.jsonata(src)
		if k.texts == nil && k.prefix == "" {
			return
		}
		e, err := jsonata.Compile(src, jsonata.States)
		if err != nil {
			return
		}
		for _, x := range []value.Value{value.String("a"), value.String(""), value.Int(1), value.Bool(true), {}} {
			for _, m := range []string{"one", "two"} {
				v, err := e.Eval(&jsonata.Env{Now: time.Unix(0, 0), Rand: func() uint64 { return 1 }, Budget: jsonata.Budget{Steps: 10000, Bytes: 1 << 16},
					Var: func(name string) (value.Value, bool) {
						if name == "m" {
							return value.String(m), true
						}
						return x, !x.IsUndefined()
					}})
				if err != nil || !v.IsString() {
					continue
				}
				if k.texts != nil && !slices.Contains(k.texts, v.Str()) || k.texts == nil && !strings.HasPrefix(v.Str(), k.prefix) {
					t.Fatalf("%s yields %q; known: %q, %q", src, v.Str(), k.texts, k.prefix)
				}
			}
		}
	})
}

// The same for what stands behind a name with .$.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{`States.Format('a-{}', $.x)`, `States.Format('a\'\{b{}', $.x)`, `States.Format('whole')`, `States.Format('{}{}', $.x, 'y')`, `$.x`, `States.Format('a\\{}', $.x)`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		k := (&reader{}).jsonpath(src)
		if k.texts == nil && k.prefix == "" {
			return
		}
		e, err := jsonpath.CompileExpression(src)
		if err != nil {
			return
		}
		v, err := e.Field(&jsonpath.Scope{Input: value.MustParse(`{"x":"y"}`)}, "x")
		if err != nil || !v.IsString() {
			return
		}
		if k.texts != nil && !slices.Contains(k.texts, v.Str()) || k.texts == nil && !strings.HasPrefix(v.Str(), k.prefix) {
			t.Fatalf("%s yields %q; known: %q, %q", src, v.Str(), k.texts, k.prefix)
		}
	})
}

// Whatever definition is accepted, a policy can be made of it.
func FuzzGenerate(f *testing.F) {
	for _, r := range roles(f) {
		f.Add([]byte(r.section("definition")))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, _ := asl.Parse(src)
		if p == nil {
			return
		}
		for _, unknown := range []func(string) (string, bool){nil, func(s string) (string, bool) { return "", strings.Contains(s, "x") }} {
			res, err := Generate(Machine{Program: p, Name: "Flow", Region: "ap-northeast-1", Account: account}, Options{Unknown: unknown})
			if err != nil {
				continue
			}
			for _, format := range Formats {
				if _, err := res.Render(format, "ja"); err != nil {
					t.Fatal(err)
				}
			}
			for _, n := range res.Needs {
				if !allowed(res.Policy, n.Authorization) && strings.HasPrefix(n.Resource, "arn:") {
					t.Fatalf("%s on %s is not allowed by\n%s", n.Action, n.Resource, res.Policy.JSON())
				}
			}
		}
	})
}
