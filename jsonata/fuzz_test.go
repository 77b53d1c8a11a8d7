package jsonata

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"tokaido/value"
)

// seeds are expressions of every kind, and hostile ones.
var seeds = []string{
	"", "a.b[0].c", "$sum(a.b)", "$.{'a':$}", "a^(<b,>c)", "a@$x.b#$i.{'x':$x,'i':$i,'p':%.a}", "**[a=1]", "|a|{'b':1},'c'|",
	"($f := function($n){$n<=1?1:$n*$f($n-1)};$f(5))", "function($x)<n-:n>{$x}", "$map([1..3],function($v,$i){$v*$i})", "/a(b)?/i",
	"$replace('abc',/b/,'$0$0')", "$fromMillis(0,'[Y0001]-[M01]-[D01] [Fn] [W]')", "$toMillis('12 May 2018','[D] [MNn] [Y]')", "$formatNumber(1234.5,'#,##0.00')",
	"$formatInteger(1999,'I')", "a ?? b ?: c", "a ~> $f ~> $g", "$f(?,1)", "`a b`.\"c\"", "[1..10000000]", "($f:=function(){$f()};$f())",
	"($f:=function($x){$f($x & $x)};$f('a'))", "$reduce([1..1000],function($a,$b){[$a,$a]})", "$pad('a',1e9)", "$match('aaaa!',/(a+)?$/)",
	"$partition([1..5],2)", "$range(1,9,2)", "$hash('a','MD5')", "$uuid()", "$parse('[1]')", "$random(42)", "$eval('1+1')", "((((((((((1))))))))))", "----1",
	"{'a':1,'a':2}", "$spread({'a':[1,2]})", "*.%.%", "a.%[b=1]", "\"\\ud83d\" & '\\ude00'", "/[/]/", "'\\u12", "/* c */1", "a[[0..1]]", "$string({'a':1/0})",
	"$merge([{'a':1},{'b':2}])", "$ ~> |**|{'x':$}|", "$sort([3,1,2],function($a,$b){$a>$b})", "$each({'a':1},function($v,$k){$k})",
	"a.(b;c)[d]{e:f}", "!", "a:=", "λ($x){$x}(1)", "$zip([1,2],[3])", "%", "$$.a", "$", "(a)[]^(b)[0]", "$formatBase(255,16)", "1e400", "$parseInteger('twelve','w')",
}

// smallBudget keeps the fuzzer fast.
var smallBudget = Budget{Steps: 200_000, Depth: 300, Items: 50_000, Bytes: 1 << 20, Memory: 32 << 20}

func FuzzCompile(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, d := range []Dialect{Plain, States} {
			e, err := Compile(src, d)
			if err != nil {
				x, ok := errors.AsType[*Error](err)
				if !ok || x.Message == "" {
					t.Fatalf("%q: %v is no good error", src, err)
				}
				if x.Position < 0 || x.Position > len(src) {
					t.Fatalf("%q: position %d is outside", src, x.Position)
				}
				continue
			}
			for _, r := range e.Refs() {
				if r.Position < 0 || r.Position > len(src) {
					t.Fatalf("%q: reference at %d is outside", src, r.Position)
				}
			}
		}
	})
}

func FuzzEval(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, `{"a":[{"b":1,"c":"x"},{"b":2}],"b":"y","d":null}`)
		f.Add(s, `[1,"2",[3]]`)
	}
	f.Fuzz(func(t *testing.T, src, input string) {
		in, err := value.ParseString(input)
		if err != nil || len(input) > 1<<12 {
			return
		}
		for _, d := range []Dialect{Plain, States} {
			e, err := Compile(src, d)
			if err != nil {
				continue
			}
			r := rand.New(rand.NewPCG(1, 2))
			asked := 0
			env := &Env{Input: in, Rand: r.Uint64, Now: time.Unix(0, 0), Budget: smallBudget,
				Var: func(name string) (value.Value, bool) { return in, name == "x" }, Expired: func() bool { asked++; return false }}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			watch := time.AfterFunc(30*time.Second, func() { panic(src + " over " + input + " does not end") })
			v, err := e.Eval(env)
			watch.Stop()
			runtime.ReadMemStats(&after)
			// Every 4,096 steps somebody is asked, so steps that are not counted show.
			if most := smallBudget.Steps/fuelSize + 2 + smallBudget.Steps; asked > most {
				t.Fatalf("%q: asked %d times", src, asked)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(smallBudget.Memory) {
				t.Fatalf("%q over %q: %d bytes made within a budget of %d", src, input, used, smallBudget.Memory)
			}
			if err != nil {
				if x, ok := errors.AsType[*Error](err); !errors.Is(err, ErrFunction) && (!ok || x.Message == "") {
					t.Fatalf("%q: %v is no good error", src, err)
				}
				continue
			}
			if !v.IsUndefined() && !value.Valid(v.JSON()) {
				t.Fatalf("%q: %s is no JSON", src, v.JSON())
			}
			v2, err2 := e.Eval(&Env{Input: in, Rand: rand.New(rand.NewPCG(1, 2)).Uint64, Now: env.Now, Budget: smallBudget, Var: env.Var})
			if err2 != nil || v2.JSON() != v.JSON() {
				t.Fatalf("%q over %q: %v (%v) at first and %v (%v) then", src, input, v, err, v2, err2)
			}
		}
	})
}

// TestCuts compiles and evaluates pieces of the seeds: nothing may panic.
func TestCuts(t *testing.T) {
	for _, s := range seeds {
		for i := range s {
			for _, src := range []string{s[:i], s[i:]} {
				e, err := Compile(src, Plain)
				if err != nil {
					continue
				}
				if _, err := e.Eval(&Env{Input: value.MustParse(`{"a":[{"b":1}]}`), Budget: smallBudget}); err != nil {
					if x, ok := errors.AsType[*Error](err); ok && strings.Contains(x.Message, "{") && !strings.Contains(src, "{") {
						t.Errorf("%q: the message has a hole: %s", src, x.Message)
					}
				}
			}
		}
	}
}
