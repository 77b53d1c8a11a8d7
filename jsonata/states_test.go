package jsonata

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tokaido/value"
)

// run evaluates src with the bindings of a typical state.
func run(t *testing.T, d Dialect, src string) (value.Value, error) {
	t.Helper()
	e, err := Compile(src, d)
	if err != nil {
		return value.Value{}, err
	}
	states := value.MustParse(`{"input":{"name":"Edo","n":3,"items":[{"a":1,"b":"x"},{"a":2,"b":"y"}],"big":12345678901234567890}}`)
	i := uint64(0)
	return e.Eval(&Env{
		Now:  time.UnixMilli(1500000000000),
		Rand: func() uint64 { i++; return i * 0x9E3779B97F4A7C15 },
		Var: func(name string) (value.Value, bool) {
			switch name {
			case "states":
				return states, true
			case "city":
				return value.String("Kyoto"), true
			}
			return value.Value{}, false
		},
	})
}

func TestStates(t *testing.T) {
	for _, c := range []struct{ name, expr, want string }{
		{"variable", "$city & '-' & $states.input.name", `"Kyoto-Edo"`},
		{"digits kept", "$states.input.big", `12345678901234567890`},
		{"collapse", "$states.input.items[a=1].b", `"x"`},
		{"kept array", "[$states.input.items[a=1].b]", `["x"]`},
		{"partition", "$partition([1,2,3,4,5],2)", `[[1,2],[3,4],[5]]`},
		{"partition of one", "$partition([0],1)", `[[0]]`},
		{"partition truncates", "$partition([1,2,3],2.9)", `[[1,2],[3]]`},
		{"range", "$range(1,9,2)", `[1,3,5,7,9]`},
		{"range down", "$range(5,1,-2)", `[5,3,1]`},
		{"range of one", "$range(1,9,9)", `1`},
		{"range truncates", "$range(1.9,-1.9,-1.9)", `[1,0,-1]`},
		{"range of many", "$count($range(1,200000,1))", `200000`},
		{"hash md5", "$hash('input','MD5')", `"a43c1b0aa53a0c908810c06ab1ff3967"`},
		{"hash sha1", "$hash('input','SHA-1')", `"140f86aae51ab9e1cda9b4254fe98a74eb54c1a1"`},
		{"hash sha256", "$hash('','SHA-256')", `"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`},
		{"seed", "$random(42)", `0.7275636800328681`},
		{"seed truncates", "$random(42.9)", `0.7275636800328681`},
		{"uuid", "$match($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/).index", `0`},
		{"parse", `$parse('{"a":[1,2.50]}').a`, `[1,2.50]`},
		{"parse minus zero", "$parse('-0')", `0`},
		{"infinity", "[1/0, -1/0]", `["Infinity","-Infinity"]`},
		{"infinity alone", "1/0", `"Infinity"`},
		{"infinity in an object", "{'a':1/0}", `{"a":"Infinity"}`},
		{"now", "$now()", `"2017-07-14T02:40:00.000Z"`},
		{"millis", "$millis()", `1500000000000`},
		{"coalescing", "$nothing ?? 'x'", `"x"`},
		{"elvis", "'' ?: 'x'", `"x"`},
		{"regex", "$match('ababbabbcc', /a(b+)/).match", `["ab","abb","abb"]`},
		{"quoting", `$states.input.name = '"'`, `false`},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			v, err := run(t, States, c.expr)
			if err != nil || v.JSON() != c.want {
				t.Errorf("%s = %s (%v), want %s", c.expr, v.JSON(), err, c.want)
			}
		})
	}
}

func TestStatesErrors(t *testing.T) {
	sum200 := strings.Repeat("1+", 199) + "1"
	for _, c := range []struct {
		name, expr, want string
		limit            Limit
	}{
		{"eval", "$eval('1')", "T1006: Attempted to invoke a non-function", NoLimit},
		{"unknown", "$randomSeeded(1)", "T1006: Attempted to invoke a non-function", NoLimit},
		{"undefined call", "$sum(1)(2)", "T1006: Attempted to invoke a non-function", NoLimit},
		{"memory", "[1..873783]", "Expression evaluation memory limit exceeded: Check for excessive memory usage", LimitMemory},
		{"text", "$pad('', 8388608)", "Expression evaluation memory limit exceeded: Check for excessive memory usage", LimitMemory},
		{"depth", sum200, "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive.", LimitDepth},
		{"recursion", "($f := function($x){1 + $f($x)}; $f(1))", "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive.", LimitDepth},
		{"time", "($f := function($x){$f($x)}; $f(1))", "Expression evaluation timeout: Check for infinite loop", LimitTime},
		{"regex", "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /(a+)+$/)", "Expression evaluation timeout: Check for infinite loop", LimitTime},
		{"range step", "$range(1,2,0)", "D3137: The third argument of $range must not be zero", NoLimit},
		{"partition", "$partition([1],-1)", "D3137: The second argument of $partition must be a positive number", NoLimit},
		{"algorithm", "$hash('x','MD4')", "D3137: The second argument of $hash must be MD5, SHA-1, SHA-256, SHA-384 or SHA-512", NoLimit},
		{"parse", "$parse('{')", "D3137: The argument of $parse is not JSON: invalid JSON at offset 1: expected a member name in quotes", NoLimit},
		{"base64", "$base64decode('*')", "The text is not base64", NoLimit},
		{"arguments", "$partition('x')", `T0410: Argument 2 of function "partition" does not match function signature`, NoLimit},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			v, err := run(t, States, c.expr)
			x, ok := errors.AsType[*Error](err)
			if !ok || err.Error() != c.want || x.Limit != c.limit {
				t.Errorf("got %s and %v, want %s", short(v), err, c.want)
			}
		})
	}
	for _, ok := range []string{"[1..873782]", "$pad('', 4194304)", strings.Repeat("1+", 100) + "1"} {
		if _, err := run(t, States, ok); err != nil {
			t.Errorf("%.20s…: %v", ok, err)
		}
	}
}

func TestFunctionResult(t *testing.T) {
	for _, expr := range []string{"$sum", "function($x){$x}", "{'f':$sum}", "[$sum]", "/a/", "$sum(?)", "$sum ~> $count"} {
		if v, err := run(t, States, expr); !errors.Is(err, ErrFunction) {
			t.Errorf("%s = %v (%v), want ErrFunction", expr, v, err)
		}
	}
}

func TestTailCalls(t *testing.T) {
	for _, expr := range []string{
		"($f := function($n,$s){$n = 0 ? $s : $f($n-1, $s+1)}; $f(300000, 0))",
		"($e := function($n){$n = 0 ? 300000 : $o($n-1)}; $o := function($n){$n = 0 ? 300001 : $e($n-1)}; $e(300000))",
		"($f := function($n){($m := $n - 1; $m < 0 ? 300000 : $f($m))}; $f(300000))",
	} {
		v, err := run(t, States, expr)
		if err != nil || v.Float() != 300000 {
			t.Errorf("%s = %v (%v)", expr, v, err)
		}
	}
}

func TestRefs(t *testing.T) {
	kinds := map[RefKind]string{RefVariable: "$", RefField: "", RefInput: "<in>", RefRoot: "<root>"}
	for _, c := range []struct{ expr, want string }{
		{"$states.result.x & $foo", "$states.result.x@7 $foo@23"},
		{"phone", "phone@5"},
		{"$", "<in>@1"},
		{"$$.a", "<root>.a@2"},
		{"$states.input.items[$ > 1].b", "$states.input.items@7"},
		{"$sum(x)", "x@6"},
		{"($x := 1; $x + $y)", "$y@17"},
		{"$map($states.input.a, function($v){ $v.b + $z })", "$states.input.a@12 $z@45λ"},
		{"function($x){ phone }", "phone@19λ"},
		{"$states.input.(a + $b)", "$states.input@7 $b@21"},
		{"{'a': $states.context.Execution.Id}", "$states.context.Execution.Id@13"},
		{"$states.input.a@$v.{'x':$v, 'y':$w}", "$states.input.a@7 $w@34"},
		{"$unknown(1)", "$unknown@8"},
		{"a ?? $b", "a@1 $b@7"},
		{"$states.input{name: $q}", "$states.input@7 $q@22"},
		{"*", "*@1"},
		{"$states.input ~> |a|{'b': c}|", "$states.input@7"},
	} {
		e, err := Compile(c.expr, States)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		var got []string
		for _, r := range e.Refs() {
			s := kinds[r.Kind] + strings.Join(append([]string{r.Name}, r.Path...), ".") + fmt.Sprintf("@%d", r.Position)
			if r.Lambda {
				s += "λ"
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %s, want %s", c.expr, s, c.want)
		}
	}
}

func TestErrorPlaces(t *testing.T) {
	for _, c := range []struct {
		expr, code, token string
		pos               int
	}{
		{"1 + 'a'", "T2002", "+", 3},
		{"'é😀' & (1 - 'a')", "T2002", "-", 12},
		{"a.b[", "S0203", "(end)", 4},
		{"$sum('x')", "T0412", "sum", 5},
		{"true and $number('x')", "D3030", "and", 8},
		{"($f := function($x){$x + 'a'}; $f(1))", "T2002", "+", 34},
		{"'abc", "S0101", "", 4},
		{"/a", "S0302", "", 2},
		{"a := 1", "S0212", "a", 1},
		{"(1).5", "S0213", "", 5},
	} {
		_, err := run(t, Plain, c.expr)
		x, ok := errors.AsType[*Error](err)
		if !ok || x.Code != c.code || x.Token != c.token || x.Position != c.pos {
			t.Errorf("%s: got %+v, want %s at %d %q", c.expr, x, c.code, c.pos, c.token)
		}
	}
}

// TestConcurrent: a compiled expression is shared.
func TestConcurrent(t *testing.T) {
	e, err := Compile("$sum($map([1..100], function($x){$x * n})) & $string($$)", Plain)
	if err != nil {
		t.Fatal(err)
	}
	in := value.MustParse(`{"n":2,"a":[1,{"b":2}]}`)
	done := make(chan error)
	for range 8 {
		go func() {
			for range 200 {
				if v, err := e.Eval(&Env{Input: in}); err != nil || v.Str() != `10100{"n":2,"a":[1,{"b":2}]}` {
					done <- fmt.Errorf("%v %w", v, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
