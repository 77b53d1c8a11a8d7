package jsonata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tokaido/internal/conform"
	"tokaido/value"
)

// nodeModules names the folder with the npm package jsonata (version 2); the
// differential tests are skipped without it.
const nodeModules = "TOKAIDO_JSONATA_NODE_MODULES"

// question is one expression to put to both sides.
type question struct {
	expr            string
	input, bindings value.Value
}

// ask evaluates questions with the npm package.
func ask(t *testing.T, list []question) []value.Value {
	dir := os.Getenv(nodeModules)
	if dir == "" {
		t.Skipf("set %s to a node_modules folder with the npm package jsonata in it", nodeModules)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not there")
	}
	var in bytes.Buffer
	for _, q := range list {
		v := value.Object(value.Member{Key: "expr", Value: value.String(q.expr)},
			value.Member{Key: "input", Value: q.input}, value.Member{Key: "bindings", Value: q.bindings})
		in.WriteString(v.Compact().JSON())
		in.WriteByte('\n')
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "--max-old-space-size=1024", filepath.Join("testdata", "reference.js"), dir)
	cmd.Stdin = &in
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the reference did not get through: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(list) {
		t.Fatalf("%d answers to %d questions", len(lines), len(list))
	}
	answers := make([]value.Value, len(lines))
	for i, l := range lines {
		if answers[i], err = value.ParseString(l); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
	}
	return answers
}

// differ says how our answer differs from the reference's; "" if it does not.
func differ(q question, want value.Value) string {
	env := &Env{Input: q.input, Now: time.Unix(1500000000, 0), Rand: rand.New(rand.NewPCG(1, 2)).Uint64}
	env.Var = func(name string) (value.Value, bool) {
		v := q.bindings.Get(name)
		return v, !v.IsUndefined()
	}
	env.Budget.Steps = 2_000_000
	var got value.Value
	e, err := Compile(q.expr, Plain)
	if err == nil {
		got, err = e.Eval(env)
	}
	if want.Has("unprintable") || want.Get("error").Get("code").Str() == "" && want.Has("error") {
		return "" // the reference fell over
	}
	switch code := want.Get("error").Get("code").Str(); code {
	case "D1011", "D1012", "D2015":
		return "" // its own limits
	}
	if x, ok := errors.AsType[*Error](err); ok {
		if x.Limit != NoLimit {
			return ""
		}
		w := want.Get("error")
		if w.IsUndefined() {
			return fmt.Sprintf("ours fails: %v; reference: %s", err, short(want))
		}
		if w.Get("code").Str() != x.Code {
			if strings.ContainsAny(q.expr, "[{") {
				return "" // the reference evaluates the parts of an array or an object at once: either may fail first
			}
			return fmt.Sprintf("ours fails: %v; reference: %s", err, short(want))
		}
		pos, _ := w.Get("position").Int()
		if strings.ContainsAny(q.expr, "[{") && int(pos) != x.Position {
			return "" // as above
		}
		if strings.HasPrefix(x.Token, "/") {
			return "" // a regular expression as a token: JavaScript's way to print one
		}
		if int(pos) != x.Position || w.Get("token").Str() != x.Token {
			return fmt.Sprintf("%s: ours at %d %q, reference at %d %q", x.Code, x.Position, x.Token, pos, w.Get("token").Str())
		}
		return ""
	}
	switch {
	case errors.Is(err, ErrFunction):
		if !want.Has("function") && !strings.ContainsAny(q.expr, "$/λ") {
			return "ours is a function; reference: " + short(want)
		}
	case got.IsUndefined():
		if !want.Has("nothing") {
			return "ours is nothing; reference: " + short(want)
		}
	case !sameNumbers(got, want.Get("result")):
		return fmt.Sprintf("ours %s; reference: %s", short(got), short(want))
	}
	return ""
}

// sameNumbers is equality in which what JSON cannot show counts as null.
func sameNumbers(a, b value.Value) bool {
	x, err := value.ParseString(a.JSON())
	return err == nil && value.Equal(x, b)
}

// TestDifferentialCases holds the conformance cases to the reference in what
// they do not say: positions and tokens of errors.
func TestDifferentialCases(t *testing.T) {
	dir := conform.Dir(t, "jsonata")
	read := func(name string) value.Value {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return value.MustParse(string(b))
	}
	datasets := read("datasets.json")
	var list []question
	for _, group := range read("cases.json").Members() {
		for _, c := range group.Items() {
			if c.Has("timelimit") {
				continue
			}
			src := c.Get("expr").Str()
			for _, s := range []string{"$now", "$millis", "$random", "$shuffle", "\uFFFD"} {
				if strings.Contains(src, s) {
					src = ""
				}
			}
			if src == "" {
				continue
			}
			in := c.Get("data")
			if d := c.Get("dataset"); d.IsString() {
				in = datasets.Get(d.Str())
			}
			list = append(list, question{src, in, c.Get("bindings")})
		}
	}
	report(t, list, ask(t, list))
}

func report(t *testing.T, list []question, answers []value.Value) {
	bad := 0
	for i, q := range list {
		if msg := differ(q, answers[i]); msg != "" {
			if bad++; bad <= 60 {
				t.Errorf("%s\n\tover %s\n\t%s", q.expr, short(q.input), msg)
			}
		}
	}
	t.Logf("%d of %d differ", bad, len(list))
}

// TestDifferential puts random expressions over random documents to both sides.
func TestDifferential(t *testing.T) {
	n, seed := 3000, uint64(1)
	if s := os.Getenv("TOKAIDO_JSONATA_RANDOM"); s != "" { // "count,seed"
		c, d, _ := strings.Cut(s, ",")
		n, _ = strconv.Atoi(c)
		seed, _ = strconv.ParseUint(d, 10, 64)
	}
	const batch = 500 // an expression that the reference cannot finish takes its batch with it
	for b := 0; b*batch < n; b++ {
		t.Run(fmt.Sprintf("batch%d", b), func(t *testing.T) {
			g := &generator{r: rand.New(rand.NewPCG(seed, uint64(b)))}
			var list []question
			for range batch {
				g.vars = nil
				list = append(list, question{g.expr(4), g.doc(3), value.Object()})
			}
			report(t, list, ask(t, list))
		})
	}
}

// TestDifferentialFunctions puts functions with random arguments to both sides:
// pictures above all.
func TestDifferentialFunctions(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	if s := os.Getenv("TOKAIDO_JSONATA_RANDOM"); s != "" {
		_, d, _ := strings.Cut(s, ",")
		seed, _ := strconv.ParseUint(d, 10, 64)
		r = rand.New(rand.NewPCG(seed, 12))
	}
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	some := func(n int, list ...string) string {
		var s strings.Builder
		for range 1 + r.IntN(n) {
			s.WriteString(pick(list...))
		}
		return s.String()
	}
	number := func() string {
		switch r.IntN(6) {
		case 0:
			return strconv.Itoa(r.IntN(100) - 50)
		case 1:
			return strconv.Itoa(r.IntN(1_000_000_000))
		case 2:
			return strconv.FormatFloat(r.Float64()*1000-500, 'f', r.IntN(6), 64)
		case 3:
			return strconv.FormatFloat(r.NormFloat64()*1e9, 'g', -1, 64)
		case 4:
			return pick("0", "0.5", "1.5", "2.5", "-0.5", "1e21", "1e-7", "123456789012", "99.995", "1e15", "4", "1000", "1000000")
		}
		return strconv.FormatFloat(r.ExpFloat64(), 'g', 4, 64)
	}
	millis := func() string { return strconv.FormatInt(r.Int64N(4e12)-1e12, 10) }
	text := func() string {
		return "'" + some(6, "a", "b", "É", "ß", "😀", " ", "x", "1", "-", ",", "é") + "'"
	}
	marker := func() string {
		return "[" + pick("Y", "M", "D", "d", "F", "W", "w", "X", "x", "H", "h", "P", "m", "s", "f", "Z", "z", "C", "E", "Y", "M", "D", "H", "m") +
			pick("", "", "1", "01", "0001", "n", "N", "Nn", "1o", "I", "i", "w", "Ww", "a", "001", "#1") + pick("", "", "", "", ",2-2", ",3-3", ",*-4", ",2") + "]"
	}
	picture := func() string {
		var s strings.Builder
		for range 1 + r.IntN(5) {
			s.WriteString(marker() + pick("", "-", "/", " ", ":", "T", ", ", "of"))
		}
		return "'" + s.String() + "'"
	}
	const batch = 6000
	var list []question
	for range batch {
		var e string
		switch r.IntN(14) {
		case 0, 1:
			e = "$formatNumber(" + number() + ",'" + pick("", "", "", "x") + some(6, "0", "#", ",", "0", "#") + pick("", ".", "."+some(4, "0", "#")) + pick("", "", "e0", "%", "‰", ";(0)", "e") + "'" +
				pick("", "", ",{'decimal-separator':',','grouping-separator':'.'}", ",{'zero-digit':'٠'}") + ")"
		case 2, 3, 4:
			e = "$fromMillis(" + millis() + "," + picture() + pick("", "", ",'+0100'", ",'-0500'", ",'+0530'", ",'0000'") + ")"
		case 5:
			e = "$formatInteger(" + strings.TrimPrefix(number(), "x") + ",'" + pick("w", "W", "Ww", "a", "A", "I", "i", "1", "01", "#,##0", "0001;o", "w;o", "Ww;o", "#:##:00", "１", "#,##0,0") + "')"
			if strings.Contains(e, "'i'") || strings.Contains(e, "'I'") {
				e = "$formatInteger(" + strconv.Itoa(r.IntN(5000)) + ",'I')"
			}
		case 6:
			p := pick("'w'", "'Ww;o'", "'I'", "'a'", "'#,##0'", "'1;o'")
			e = "$parseInteger($formatInteger(" + strconv.Itoa(r.IntN(100000)) + "," + p + ")," + p + ")"
		case 7, 8:
			p := picture()
			if r.IntN(3) > 0 {
				p = "'" + pick("[Y0001]-[M01]-[D01]", "[D1o] [MNn] [Y]", "[Y]/[d]", "[M01]/[D01]/[Y0001]") + pick("", " [H01]:[m01]:[s01]", " [h]:[m01] [P]", "T[H01]:[m01]:[s01].[f001][Z01:01]") + "'"
			}
			e = "$toMillis($fromMillis(" + millis() + "," + p + ")," + p + ")"
		case 9:
			e = "$toMillis('" + pick("2018", "2018-02", "2018-02-30", "2018-13-01", "2018-02-28T12:30:00", "2018-02-28T24:00:00Z", "2018-02-28T12:30:00.1234Z", "2018-02-28T12:30:00+0530", "2018-02-28T12:30:00-01:00", "0050-01-01", "2018-1-1", "x") + "')"
		case 10:
			e = pick("$substring", "$substring") + "(" + text() + "," + strconv.Itoa(r.IntN(12)-6) + pick("", ","+strconv.Itoa(r.IntN(8)-1), ",1.5") + ")"
		case 11:
			e = pick("$uppercase", "$lowercase", "$length", "$trim", "$base64encode", "$encodeUrlComponent", "$encodeUrl", "$string") + "(" + text() + ")"
		case 12:
			e = pick("$round("+number()+","+strconv.Itoa(r.IntN(8)-3)+")", "$string("+number()+"*"+number()+")", "$power("+strconv.Itoa(r.IntN(20))+","+strconv.Itoa(r.IntN(10))+")",
				"$formatBase("+strconv.Itoa(r.IntN(1_000_000_000)-1000)+","+strconv.Itoa(r.IntN(35)+2)+")", "$number('"+number()+"')", "$sqrt($abs("+number()+"))", number()+" % "+number(), "$power($abs("+number()+"),0.5)")
		case 13:
			e = pick("$split("+text()+",'')", "$pad("+text()+","+strconv.Itoa(r.IntN(20)-10)+","+text()+")", "$match("+text()+",/[^a]/)", "$replace("+text()+",/(.)/,'<$1>')", "$split("+text()+",/[a ]/)",
				text()+" < "+text(), "$sort(["+text()+","+text()+","+text()+"])", "$join(["+text()+","+text()+"],'-')", "$contains("+text()+",/^\\w+$/i)", "$match("+text()+",/é|É/i)")
		}
		list = append(list, question{e, value.Null(), value.Object()})
	}
	report(t, list, ask(t, list))
}

// generator makes random documents and expressions.
type generator struct {
	r    *rand.Rand
	vars []string
}

func (g *generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *generator) doc(depth int) value.Value {
	k := g.r.IntN(10)
	if depth == 0 {
		k = g.r.IntN(5)
	} else if depth == 3 {
		k = 5 + g.r.IntN(5)
	}
	switch k {
	case 0:
		return value.Null()
	case 1:
		return value.Bool(g.r.IntN(2) == 0)
	case 2, 3:
		return value.MustParse(g.pick("0", "1", "2", "-3", "2.5", "10", "0.1", "100", "1e3"))
	case 4:
		return value.String(g.pick("", "a", "b", "abc", "hello world", "10", "é😀x", "a,b,c"))
	case 5, 6:
		items := make([]value.Value, g.r.IntN(4))
		if depth == 3 && len(items) == 0 { // the reference may change an empty input
			return g.doc(depth)
		}
		for i := range items {
			items[i] = g.doc(depth - 1)
		}
		return value.Array(items...)
	}
	var members []value.Member
	for _, key := range []string{"a", "b", "c", "d"} {
		if g.r.IntN(3) > 0 {
			members = append(members, value.Member{Key: key, Value: g.doc(depth - 1)})
		}
	}
	return value.Object(members...)
}

func (g *generator) name() string { return g.pick("a", "b", "c", "d", "a", "b", "`a`") }

func (g *generator) literal() string {
	return g.pick("1", "2", "0", "-1", "2.5", "3", "'a'", "'abc'", `"b"`, "true", "false", "null", "[]", "{}", "[1,2,3]", "'10'", "'hello world'", "[1..3]", "['a','b']", "[[1,2],[3]]", `{"a":1}`, "/[a-c]/", "1e-7", "0.1")
}

func (g *generator) variable() string {
	if len(g.vars) > 0 && g.r.IntN(3) > 0 {
		return "$" + g.vars[g.r.IntN(len(g.vars))]
	}
	return g.pick("$", "$$", "$x", "$v")
}

func (g *generator) step(d int) string {
	s := ""
	switch g.r.IntN(14) {
	case 0:
		s = "*"
	case 1:
		s = "**"
	case 2:
		s = "(" + g.expr(d-1) + ")"
	case 3:
		s = "[" + g.expr(d-1) + "]"
	case 4:
		s = "{" + g.key(d-1) + ":" + g.expr(d-1) + "}"
	case 5:
		s = g.call(d - 1)
	case 6:
		s = "%"
	case 7:
		s = g.variable()
	default:
		s = g.name()
	}
	for g.r.IntN(4) == 0 {
		switch g.r.IntN(9) {
		case 0:
			s += "[]"
		case 1:
			v := g.pick("v", "i", "x")
			g.vars = append(g.vars, v)
			s += "#$" + v
		case 2:
			v := g.pick("v", "e", "x")
			g.vars = append(g.vars, v)
			s += "@$" + v
		case 3, 4:
			s += g.pick("[0]", "[-1]", "[1]", "[[0,1]]", "[0..1]")
		default:
			s += "[" + g.expr(d-1) + "]"
		}
	}
	return s
}

func (g *generator) key(d int) string {
	if g.r.IntN(2) == 0 {
		return g.pick(`"k"`, `"a"`, `"b"`)
	}
	return "$string(" + g.expr(d) + ")"
}

func (g *generator) path(d int) string {
	var s strings.Builder
	s.WriteString(g.step(d))
	for range g.r.IntN(3) {
		s.WriteString("." + g.step(d))
	}
	switch g.r.IntN(12) {
	case 0:
		s.WriteString("^(" + g.pick("", "<", ">") + g.expr(d-1) + ")")
	case 1:
		s.WriteString("^(" + g.pick("", "<", ">") + g.name() + ")")
	case 2:
		s.WriteString("{" + g.key(d-1) + ":" + g.expr(d-1) + "}")
	}
	return s.String()
}

func (g *generator) lambda(d int, params ...string) string {
	old := len(g.vars)
	g.vars = append(g.vars, params...)
	s := g.pick("function", "λ") + "($" + strings.Join(params, ",$") + "){" + g.expr(d) + "}"
	g.vars = g.vars[:old]
	return s
}

func (g *generator) call(d int) string {
	x := func() string { return g.expr(d - 1) }
	switch g.r.IntN(30) {
	case 0:
		return "$map(" + x() + "," + g.lambda(d-1, g.pick("v", "p")) + ")"
	case 1:
		return "$filter(" + x() + "," + g.lambda(d-1, "v", "i") + ")"
	case 2:
		return "$reduce(" + x() + "," + g.lambda(d-1, "p", "v") + ")"
	case 3:
		return "$sort(" + x() + "," + g.lambda(d-1, "p", "q") + ")"
	case 4:
		return "$each(" + x() + "," + g.lambda(d-1, "v", "k") + ")"
	case 5:
		return "$sift(" + x() + "," + g.lambda(d-1, "v") + ")"
	case 6:
		return g.lambda(d-1, "v") + "(" + x() + ")"
	case 7:
		return "$substring(" + x() + "," + x() + ")"
	case 8:
		return "$split(" + x() + "," + g.pick("','", "' '", "''", "/[ ,]/", "/./") + ")"
	case 9:
		if g.r.IntN(3) == 0 {
			return "$replace(" + x() + ",/[a-z]/," + g.lambda(d-1, "m") + ")"
		}
		return "$replace(" + x() + "," + g.pick("'a'", "/[a-z]/", "/(l)(o)?/") + "," + g.pick("'X'", "'$1'", "'$0$0'") + ")"
	case 10:
		return "$join(" + x() + "," + g.pick("','", "''") + ")"
	case 11:
		return "$append(" + x() + "," + x() + ")"
	case 12:
		return "$merge(" + x() + ")"
	case 13:
		return "$zip(" + x() + "," + x() + ")"
	case 14:
		return "$lookup(" + x() + "," + g.pick("'a'", "'b'") + ")"
	case 15:
		return "$match(" + x() + "," + g.pick("/a/", "/[a-z]+/", "/(b)(c)?/") + ")"
	case 16:
		return "$round(" + x() + "," + g.pick("0", "1", "2", "-1") + ")"
	case 17:
		return "$formatNumber(" + x() + "," + g.pick("'#,##0.00'", "'0.0'", "'#'", "'00.###e0'", "'0%'") + ")"
	case 18:
		return "$contains(" + x() + "," + g.pick("'a'", "/l+/", "'1'") + ")"
	case 19:
		return "$pad(" + x() + "," + g.pick("5", "-5", "0") + g.pick("", ",'#'", ",'ab'") + ")"
	}
	f := g.pick("sum", "count", "max", "min", "average", "string", "length", "lowercase", "uppercase", "trim", "number", "floor", "ceil", "abs", "sqrt",
		"boolean", "not", "keys", "spread", "reverse", "exists", "type", "distinct", "sort", "single", "substringBefore", "formatBase", "clone", "base64encode",
		"encodeUrl", "encodeUrlComponent", "power", "round", "formatInteger", "string")
	switch f {
	case "substringBefore":
		return "$substringAfter(" + x() + "," + g.pick("'b'", "'l'", "''") + ")"
	case "power":
		return "$power(" + x() + "," + g.pick("2", "0", "0.5", "3") + ")"
	case "formatInteger":
		return "$formatInteger(" + x() + "," + g.pick("'w'", "'I'", "'a'", "'#,##0'", "'Ww;o'", "'1;o'") + ")"
	case "formatBase":
		return "$formatBase(" + x() + "," + g.pick("2", "16", "36") + ")"
	}
	if g.r.IntN(6) == 0 {
		return x() + " ~> $" + f + "()"
	}
	if g.r.IntN(12) == 0 {
		return "$" + f + "()"
	}
	return "$" + f + "(" + x() + ")"
}

func (g *generator) expr(d int) string {
	if d <= 0 {
		switch g.r.IntN(4) {
		case 0:
			return g.literal()
		case 1:
			return g.variable()
		}
		return g.name()
	}
	switch g.r.IntN(24) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		return g.path(d - 1)
	case 8, 9, 10, 11, 12:
		return g.call(d)
	case 13, 14:
		return g.expr(d-1) + g.pick(" + ", " - ", " * ", " / ", " % ", " & ") + g.expr(d-1)
	case 15:
		return g.expr(d-1) + g.pick(" = ", " != ", " < ", " <= ", " > ", " >= ", " in ") + g.expr(d-1)
	case 16:
		return g.expr(d-1) + g.pick(" and ", " or ") + g.expr(d-1)
	case 17:
		return g.expr(d-1) + " ? " + g.expr(d-1) + g.pick("", " : "+g.expr(d-1))
	case 18:
		v := g.pick("x", "v", "y")
		rhs := g.expr(d - 1)
		old := len(g.vars)
		g.vars = append(g.vars, v)
		body := g.expr(d - 1)
		g.vars = g.vars[:old]
		return "($" + v + " := " + rhs + "; " + body + ")"
	case 19:
		return "[" + g.expr(d-1) + g.pick("", ", "+g.expr(d-1)) + "]"
	case 20:
		return "{" + g.key(d-1) + ": " + g.expr(d-1) + g.pick("", ", 'z': "+g.expr(d-1)) + "}"
	case 21:
		return g.expr(d-1) + g.pick(" ?: ", " ?? ") + g.expr(d-1)
	case 22:
		return g.expr(d-1) + " ~> |" + g.pick("a", "$", "*", "b.c", "d") + "|{" + g.key(d-1) + ":" + g.expr(d-1) + "}" + g.pick("", ",'a'", ",['a','b']") + "|"
	}
	return "-" + g.expr(d-1)
}
