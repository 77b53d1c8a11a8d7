package jsonpath

import (
	"strings"
	"testing"

	"tokaido/value"
)

const doc = `{
	"store": {
		"book": [
			{"title": "A", "price": 8.95, "isbn": "0-1", "tags": ["x", "y"]},
			{"title": "B", "price": 12.99},
			{"title": "C", "price": 8.99, "isbn": "0-3", "tags": []},
			{"title": "D", "price": 22.99, "isbn": null}
		],
		"bicycle": {"color": "red", "price": 19.95}
	},
	"limit": 10,
	"delivery-partner": "fast",
	"a b": 1, "quo'te": 2, "nothing": null, "list": ["red", "blue"], "matrix": [[1, 2], [3]]
}`

func TestPath(t *testing.T) {
	root := value.MustParse(doc)
	for _, c := range []struct{ path, want string }{
		{"$", ""},
		{"$.limit", "10"},
		{"$.limit ", "10"},
		{"$['limit']", "10"},
		{`$["limit"]`, "10"},
		{"$.delivery-partner", `"fast"`},
		{"$['a b']", "1"},
		{`$['quo\'te']`, "2"},
		{`$["quo'te"]`, "2"},
		{"$.nothing", "null"},
		{"$.store.book[0].title", `"A"`},
		{"$.store.book[-1].title", `"D"`},
		{"$.store.book[1:3].title", `["B","C"]`},
		{"$.store.book[:1].title", `["A"]`},
		{"$.store.book[3:].title", `["D"]`},
		{"$.store.book[-2:].title", `["C","D"]`},
		{"$.store.book[0,2].title", `["A","C"]`},
		{"$.store.book[*].title", `["A","B","C","D"]`},
		{"$.store.book.*.title", `["A","B","C","D"]`},
		{"$.store..price", `[8.95,12.99,8.99,22.99,19.95]`},
		{"$..book[0].title", `["A"]`},
		{"$.store.book[0]['title','price']", `{"title":"A","price":8.95}`},
		{"$.store.book[*]['title','no']", `[{"title":"A"},{"title":"B"},{"title":"C"},{"title":"D"}]`},
		{"$.store.book[?(@.price < 10)].title", `["A","C"]`},
		{"$.store.book.[?(@.price < 10)].title", `["A","C"]`},
		{"$.store.book[?(@.price < $.limit)].title", `["A","C"]`},
		{"$.store.book[?(@.isbn)].title", `["A","C","D"]`},
		{"$.store.book[?(!@.isbn)].title", `["B"]`},
		{"$.store.book[?(@.isbn == null)].title", `["D"]`},
		{"$.store.book[?(@.title == 'B' || @.price == 8.950)].title", `["A","B"]`},
		{"$.store.book[?(@.isbn && @.price > 20)].title", `["D"]`},
		{"$.store.book[?((@.price > 20 || @.price < 8.96) && @.isbn != null)].title", `["A"]`},
		{"$.store.book[?(@.title =~ /[ab]/i)].title", `["A","B"]`},
		{"$.store.book[?(@.title in ['A', 'D'])].title", `["A","D"]`},
		{"$.store.book[?(@.title nin ['A', 'D'])].title", `["B","C"]`},
		{"$.store.book[?(@.tags contains 'x')].title", `["A"]`},
		{"$.store.book[?(@.tags size 2)].title", `["A"]`},
		{"$.store.book[?(@.tags empty true)].title", `["C"]`},
		{"$.store.book[?(@.tags subsetof ['x','y','z'])].title", `["A","C"]`},
		{"$.store.book[?(@.tags anyof ['y'])].title", `["A"]`},
		{"$.store.book[?(@.tags noneof ['y'])].title", `["C"]`},
		{"$.store.book[?('x' in @.tags)].title", `["A"]`},
		{"$..[?(@.color)].color", `["red"]`},
		{"$.list[?(@ == 'red')]", `["red"]`},
		{"$.matrix[*][0]", "[1,3]"},
		{"$.matrix[*][1]", "[2]"},
		{"$.no[*]", "[]"},
		{"$.no[1:].x", "[]"},
		{"$.no..x", "[]"},
		{"$.limit[?(@.a == 1)]", "[]"},
	} {
		p, err := Compile(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		got, err := p.Eval(root)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		want := root
		if c.want != "" {
			want = value.MustParse(c.want)
		}
		if !value.Equal(got, want) {
			t.Errorf("%s = %s, want %s", c.path, Text(got), Text(want))
		}
	}
}

func TestMissing(t *testing.T) {
	root := value.MustParse(`{"a":{"b":1},"l":[1],"n":null,"s":"x"}`)
	for _, c := range []struct{ path, want string }{
		{"$.x", "Invalid path '$.x' : No results for path: $['x']"},
		{"$.a.x", "Invalid path '$.a.x' : No results for path: $['a']['x']"},
		{"$.no.such.path", "Invalid path '$.no.such.path' : Missing property in path $['no']"},
		{"$.a.no.path", "Invalid path '$.a.no.path' : Missing property in path $['a']['no']"},
		{"$.l[1]", "Invalid path '$.l[1]' : No results for path: $['l'][1]"},
		{"$.l[1].x", "Invalid path '$.l[1].x' : No results for path: $['l'][1]['x']"},
		{"$.s[0]", `Invalid path '$.s[0]' : Filter: [0] can only be applied to arrays. Current context is: "x"`},
		{"$.n[0]", "Invalid path '$.n[0]' : The path $['n'] is null"},
		{"$.s.x", "Invalid path '$.s.x' : Expected to find an object with property ['x'] in path $['s']"},
		{"$.l.length()", "Invalid path '$.l.length()' : Expected to find an object with property ['length()'] in path $['l']"},
	} {
		p, err := Compile(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if v, err := p.Eval(root); err == nil || err.Error() != c.want {
			t.Errorf("%s = %v, %v\nwant %s", c.path, v, err, c.want)
		}
	}
}

func TestPathSyntax(t *testing.T) {
	for _, src := range []string{
		"", "a", "$.", "$..", "$.a.", "$[", "$[]", "$['a'", "$['a]", "$[a]", "$[:]", "$[1", "$a b", "$.a b", "$ .a", "$.a..", "$[?]", "$[?()]",
		"$[?(@.a ==)]", "$[?(@.a == 1]", "$[?(1)]", "$[1:2:3]", "$[?(@.a =~ /x)]", "$[?(@.a =~ /(/)]", "$1", "$[99999999999]", "$.a]", "@.a",
		"$" + strings.Repeat(".a", MaxTokens+2), "$[?(" + strings.Repeat("(", 100) + "@.a" + strings.Repeat(")", 100) + ")]", `$['\u12']`,
	} {
		if _, err := Compile(src); err == nil {
			t.Errorf("%q compiles", src)
		}
	}
}

func TestRoots(t *testing.T) {
	s := &Scope{
		Input:   value.MustParse(`{"a":1}`),
		Context: func() value.Value { return value.MustParse(`{"State":{"Name":"N"}}`) },
		Var: func(name string) (value.Value, bool) {
			if name == "v_1" {
				return value.MustParse(`{"x":[7]}`), true
			}
			return value.Value{}, false
		},
	}
	for src, want := range map[string]string{
		"$": `{"a":1}`, "$$": `{"State":{"Name":"N"}}`, "$$.State.Name": `"N"`, "$v_1": `{"x":[7]}`, "$v_1.x[0]": "7", "$$['State']['Name']": `"N"`,
	} {
		p, err := Compile(src)
		if err != nil {
			t.Fatal(src, err)
		}
		if v, err := p.Resolve(s); err != nil || Text(v) != want {
			t.Errorf("%s = %s, %v", src, Text(v), err)
		}
	}
	p, _ := Compile("$nope.x")
	if _, err := p.Resolve(s); err == nil {
		t.Error("a variable that is not set has a value")
	}
}

func TestReference(t *testing.T) {
	for _, c := range []struct{ doc, path, want string }{
		{`{}`, "$", `9`},
		{`{"a":1}`, "$.b", `{"a":1,"b":9}`},
		{`{"a":1}`, "$.a", `{"a":9}`},
		{`{"a":1}`, "$.b.c.d", `{"a":1,"b":{"c":{"d":9}}}`},
		{`{"a":[1,2]}`, "$.a[1]", `{"a":[1,9]}`},
		{`{"a":[{"x":1}]}`, "$.a[0].y", `{"a":[{"x":1,"y":9}]}`},
		{`{"a":1}`, "$['b c']", `{"a":1,"b c":9}`},
		{`{"a":1}`, "$.a.b", `Unable to apply step "b" to input {"a":1}`},
		{`"text"`, "$.a", `Unable to apply step "a" to input "text"`},
		{`{"a":[1]}`, "$.a[1]", `Unable to apply step "1" to input {"a":[1]}`},
		{`{}`, "$.a[0]", `Unable to apply step "0" to input {}`},
	} {
		r, err := CompileReference(c.path)
		if err != nil {
			t.Fatal(c.path, err)
		}
		v, err := r.Set(value.MustParse(c.doc), value.Int(9))
		got := Text(v)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.path, c.doc, got, c.want)
		}
	}
	for _, src := range []string{"$$.a", "$v", "$..a", "$.a[*]", "$[0,1]", "$[1:]", "$[-1]", "$['a','b']", "$[?(@.a)]"} {
		if _, err := CompileReference(src); err == nil {
			t.Errorf("%s is taken for a reference path", src)
		}
	}
}

func TestBudget(t *testing.T) {
	deep := strings.Repeat("[", 900) + strings.Repeat("]", 900)
	v := value.MustParse(deep)
	p, err := Compile("$..*..*..*..*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(v); err == nil || !strings.Contains(err.Error(), "values visited") {
		t.Errorf("no end to it: %v", err)
	}
}
