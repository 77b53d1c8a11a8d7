package jsonpath

import (
	"testing"

	"tokaido/value"
)

// FuzzPath: a path that compiles is evaluated over any document without harm,
// is printed as a path that means the same, and what a reference sets it reads.
func FuzzPath(f *testing.F) {
	for _, src := range []string{
		"$", "$$.a", "$v.x[0]", "$.a.b", "$['a b'][0,1]", "$..a", "$.a[1:-1]", "$[?(@.a == 'x' && !(@.b > 1 || @.c in [1,'2',null]))].d",
		"$.x[?(@ =~ /a.*b/i)]", "$['a','b']", "$.*", "$..*", "$[?(@.a size 2)]", `$['\u0041\'']`, "$.[?(@.year < 1999)].name",
	} {
		f.Add(src, `{"a":{"b":[1,2,{"x":null}]},"x":["ab"],"year":1}`)
	}
	f.Fuzz(func(t *testing.T, src, doc string) {
		v, err := value.ParseString(doc)
		if err != nil || len(doc) > 1000 || len(src) > 200 {
			return
		}
		p, err := Compile(src)
		if err != nil {
			return
		}
		got, err := p.Eval(v)
		if (err == nil) == got.IsUndefined() {
			t.Fatalf("%s: %v and %v", src, got, err)
		}
		if !p.Definite() && err == nil && !got.IsArray() {
			t.Fatalf("%s is not definite, but no array: %v", src, got)
		}
		r, err := CompileReference(src)
		if err != nil {
			return
		}
		if set, err := r.Set(v, value.Int(7)); err == nil {
			if back, err := r.Path().Eval(set); err != nil || !value.Equal(back, value.Int(7)) {
				t.Fatalf("%s in %s: set, but reads %v, %v", src, doc, back, err)
			}
		}
	})
}

// FuzzTemplate: a template that compiles is evaluated without harm.
func FuzzTemplate(f *testing.F) {
	for _, src := range []string{
		`{"a.$":"$.a","b":[{"c.$":"$$.x"}]}`, `{"a.$":"States.Format('{} {}', $.a, States.Array(1,'x',$v))"}`, `{".$":"$"}`,
		`{"a.$":"States.StringToJson('{\"a\":-0}')","b.$":"States.ArrayRange(1, 9, 2)","c.$":"States.MathRandom(1, 5, 3)"}`,
	} {
		f.Add(src, `{"a":[1,2]}`)
	}
	f.Fuzz(func(t *testing.T, src, doc string) {
		tmpl, err := value.ParseString(src)
		if err != nil {
			return
		}
		v, err := value.ParseString(doc)
		if err != nil {
			return
		}
		c, err := CompileTemplate(tmpl)
		if err != nil {
			return
		}
		n := uint64(1)
		s := &Scope{
			Input: v, Context: func() value.Value { return v },
			Var:  func(string) (value.Value, bool) { return v, true },
			Rand: func() uint64 { n = n*6364136223846793005 + 1; return n },
		}
		out, err := c.Eval(s)
		if err == nil && !value.Valid(out.JSON()) {
			t.Fatalf("%s makes %q", src, out.JSON())
		}
		if c.Constant() && !value.Equal(out, tmpl) {
			t.Fatalf("%s is constant, but makes %s", src, out)
		}
	})
}

// FuzzExpression: an intrinsic call that compiles is evaluated without harm.
func FuzzExpression(f *testing.F) {
	for _, src := range []string{
		"States.Format('a{}b', $.x)", "States.ArrayPartition($.l, 2)", "States.Hash('x', 'MD5')", "States.StringSplit('a,b', ',')",
		"States.JsonMerge($, $, false)", "States.MathAdd(1e9, -1.5)", "States.UUID()", "States.ArrayUnique($.l)", "States.Base64Decode('YQ')",
	} {
		f.Add(src)
	}
	v := value.MustParse(`{"x":"y","l":[1,2,2,[3],{"a":null}]}`)
	f.Fuzz(func(t *testing.T, src string) {
		e, err := CompileExpression(src)
		if err != nil {
			return
		}
		n := uint64(1)
		_, _ = e.Field(&Scope{Input: v, Rand: func() uint64 { n = n*6364136223846793005 + 1; return n }}, "f.$")
	})
}
