package jsonata

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"tokaido/value"
)

// TestLargeSources: no source takes long to refuse or to compile.
func TestLargeSources(t *testing.T) {
	many := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	const deep = 200_000
	for name, src := range map[string]string{
		"parentheses": strings.Repeat("(", deep) + strings.Repeat(")", deep),
		"brackets":    strings.Repeat("[", deep),
		"minus":       strings.Repeat("-", deep) + "1",
		"sum":         strings.Repeat("1+", deep) + "1",
		"path":        strings.Repeat("a.", deep) + "a",
		"filters":     "a" + strings.Repeat("[0]", deep),
		"calls":       "$f" + strings.Repeat("()", deep),
		"coalescing":  strings.Repeat("a??", deep) + "a",
		"lambdas":     strings.Repeat("function(){", 50_000) + strings.Repeat("}", 50_000),
		"nested":      strings.Repeat("($sum(a.b);", 2900) + "1" + strings.Repeat(")", 2900),
		"tails":       strings.Repeat("function($x){$f(", 900) + "1" + strings.Repeat(")??1}", 900),
		"parents":     "a" + strings.Repeat(".%", deep),
		"variables":   "(" + many(40_000, func(i int) string { return fmt.Sprintf("$v%d:=$w%d;", i, i) }) + ")",
		"members":     "{" + many(50_000, func(i int) string { return fmt.Sprintf("'k%d':%d,", i, i) }) + "'z':1}",
		"names":       strings.Repeat("x", MaxSource),
		"tuples":      "a" + strings.Repeat("@$x.a#$i", 20_000),
		"comments":    strings.Repeat("/**/", deep) + "1",
		"signature":   "function($x)<" + strings.Repeat("a+", 2000) + ">{1}(1,2,3,4,5,6,7,8,9)",
		"too long":    strings.Repeat("a", MaxSource+1),
		"multibyte":   "'" + strings.Repeat("é", 100_000) + "'" + strings.Repeat("&'é'", 900),
	} {
		start := time.Now()
		e, err := Compile(src, Plain)
		if err == nil {
			_, err = e.Eval(&Env{Input: value.MustParse(`{"a":[1,2]}`)})
		}
		if x, ok := errors.AsType[*Error](err); err != nil && !errors.Is(err, ErrFunction) && (!ok || x.Message == "") {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(start); d > 300*time.Millisecond {
			t.Logf("%s took %v", name, d)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

// TestRunaways: what would not end, or would take all memory, ends with its limit.
func TestRunaways(t *testing.T) {
	budget := Budget{Steps: 3_000_000, Depth: 1000, Items: 1_000_000, Bytes: 4 << 20, Memory: 64 << 20}
	for expr, want := range map[string]Limit{
		"($f := function($x){$f($x)}; $f(1))":                         LimitTime,
		"($f := function($x){[$f($x)]}; $f(1))":                       LimitDepth,
		"($f := function($s){$f($s & $s)}; $f('ab'))":                 LimitMemory,
		"($f := function($s){$f($append($s, $s))}; $f([1,2]))":        LimitMemory,
		"($f := function($s){$f([[$s],[$s]])}; $f(1))":                LimitTime | LimitMemory,
		"[1..900000].[1..900000]":                                     LimitTime | LimitMemory,
		"($s := $pad('a', 1e6); [1..1000].($s))":                      LimitMemory,
		"($o := {'s': $pad('a', 1e5)}; [1..5000].($o))":               LimitMemory,
		"$map([1..900000], function($x){[1..900000]})":                LimitTime | LimitMemory,
		"$string($reduce([1..60], function($a,$b){{'a':$a,'b':$a}}))": LimitTime | LimitMemory | LimitDepth,
		"$reduce([1..60], function($a,$b){{'a':$a,'b':$a}})":          LimitTime | LimitMemory | LimitDepth,
		"$pad('a', 1e12)": LimitMemory,
		"$pad('a', 1e6, $pad('b', 1e6)) & $pad('a', 4e6)":                                          LimitMemory,
		"$join($map([1..100000], function($x){'abcdefghijklmnopqrstuvwxyz1234567890abcdefghij'}))": LimitMemory,
		"$replace($pad('a', 1e6, 'a'), /a/, 'aaaaaaaaaaaaaaaaaaaa')":                               LimitTime | LimitMemory,
		"$replace($pad('a', 1e6, 'a'), 'a', 'aaaaaaaaaaaaaaaaaaaa')":                               LimitMemory,
		"$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /(a*)*$/)":                           LimitTime | LimitMemory,
		"$formatInteger(1e9, 'I')":                                                                 NoLimit,
		"{'a':{}} ~> |a|{'b':$}|":                                                                  LimitDepth | LimitMemory,
		"$sort([1..300000], function($a,$b){true})":                                                LimitTime,
		"($o := {'a':1}; $merge($map([1..500000], function($i){{$string($i):$o}})))":               LimitMemory | LimitTime,
	} {
		e, err := Compile(expr, Plain)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		v, err := e.Eval(&Env{Budget: budget})
		if d := time.Since(start); d > 300*time.Millisecond {
			t.Logf("%s took %v", expr, d)
		}
		runtime.ReadMemStats(&after)
		x, ok := errors.AsType[*Error](err)
		if !ok || x.Limit&want == 0 && want != x.Limit {
			t.Errorf("%s: got %s and %v, want limit %d", expr, short(v), err, want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 4*uint64(budget.Memory) {
			t.Errorf("%s: %d bytes made", expr, used)
		}
	}
}
