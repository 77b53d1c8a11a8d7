package jsonpath

import (
	"errors"
	"strings"
	"testing"

	"tokaido/value"
)

func scope(input string) *Scope {
	n := uint64(0)
	return &Scope{
		Input:   value.MustParse(input),
		Context: func() value.Value { return value.MustParse(`{"Execution":{"Name":"run"},"Token":"t"}`) },
		Var: func(name string) (value.Value, bool) {
			return value.Int(42), name == "answer"
		},
		Rand: func() uint64 { n += 0x9E3779B97F4A7C15; return n },
	}
}

func TestTemplate(t *testing.T) {
	tmpl, err := CompileTemplate(value.MustParse(`{"keep":{"x":[1,{"y":"$.a"}]},"a.$":"$.a","n":[{"c.$":"$$.Execution.Name"},2],"v.$":"$answer","past.$":"$.list[5]","s":"States.UUID()"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.Eval(scope(`{"a":{"b":1},"list":[1]}`))
	want := `{"keep":{"x":[1,{"y":"$.a"}]},"a":{"b":1},"n":[{"c":"run"},2],"v":42,"past":null,"s":"States.UUID()"}`
	if err != nil || Text(got) != want {
		t.Errorf("%s, %v", Text(got), err)
	}
	if n := len(tmpl.Expressions()); n != 4 {
		t.Errorf("%d expressions", n)
	}
}

func TestTemplateErrors(t *testing.T) {
	_, err := CompileTemplate(value.MustParse(`{"a.$":"no","b":[{"c.$":5}],"d.$":"$.ok"}`))
	var bad FieldErrors
	if !errors.As(err, &bad) || len(bad) != 2 || bad[0].Field != "a.$" || bad[1].Field != "c.$" {
		t.Errorf("%v", err)
	}
}

func TestTemplateMissing(t *testing.T) {
	for _, c := range []struct{ src, cause string }{
		{"$.no", "The JSONPath '$.no' specified for the field 'x.$' could not be found in the input '{\"other\":1}'"},
		{"$$.no", "The JSONPath '$$.no' specified for the field 'x.$' could not be found in the input '{\"Execution\":{\"Name\":\"run\"},\"Token\":\"t\"}'"},
		{"States.Format('{}', $.nope)", "The function 'States.Format('{}', $.nope)' had the following error: The JsonPath argument for the field '$.nope' could not be found in the input '{\"other\":1}'"},
		{"States.Format('{}',$.nope)", "The function 'States.Format('{}',$.nope)' had the following error: The JsonPath argument for the field '$.nope' could not be found in the input '{\"other\":1}'"},
		{"States.Format('{}', States.Format('{}', $.a.b))", "The function 'States.Format('{}', States.Format('{}', $.a.b))' had the following error: The JsonPath argument for the field '$.a.b' could not be found in the input '{\"other\":1}'"},
		{"States.Format('{}', $.other[0])", "The function 'States.Format('{}', $.other[0])' had the following error: Filter: [0] can only be applied to arrays. Current context is: 1"},
		{"States.Format('{}', $$.Nope.Deep)", "The function 'States.Format('{}', $$.Nope.Deep)' had the following error: The JsonPath argument for the field '$.Nope.Deep' could not be found in the input '{\"other\":1}'"},
	} {
		tmpl, err := CompileTemplate(value.Object(value.Member{Key: "x.$", Value: value.String(c.src)}))
		if err != nil {
			t.Fatal(c.src, err)
		}
		_, err = tmpl.Eval(scope(`{"other": 1}`))
		var f *Failure
		if !errors.As(err, &f) || f.Name != "States.Runtime" || f.Cause != c.cause {
			t.Errorf("%s: %v", c.src, err)
		}
	}
}

func TestTemplateOfNothing(t *testing.T) {
	tmpl, err := CompileTemplate(value.MustParse(`{"x.$":"$"}`))
	if err != nil {
		t.Fatal(err)
	}
	var f *Failure
	if _, err := tmpl.Eval(scope(`null`)); !errors.As(err, &f) || f.Cause != "Unable to apply Path transformation to null or empty input." {
		t.Error(err)
	}
}

func TestIntrinsics(t *testing.T) {
	in := `{"u": {"k": "\u00e9\/\n"}, "n":null,"s":"a","num":1.50,"o":{"Arg1":1,"Arg2":[]},"l":[1,2,3,4,5],"t":"n={}","e":[],"d":[1,1.0,"1",[1],[1],{"a":1,"b":2},{"b":2,"a":1},null,null]}`
	for _, c := range []struct{ src, want string }{
		{"States.Array()", "[]"},
		{"States.Array(1, 'a', true, null, $.o, States.Array())", `[1,"a",true,null,{"Arg1":1,"Arg2":[]},[]]`},
		{"States.ArrayPartition($.l, 2)", "[[1,2],[3,4],[5]]"},
		{"States.ArrayPartition($.l, 1.6)", "[[1,2],[3,4],[5]]"},
		{"States.ArrayPartition($.l, 9)", "[[1,2,3,4,5]]"},
		{"States.ArrayPartition($.e, 2)", "[]"},
		{"States.ArrayPartition($.l, 0)", "!positive"},
		{"States.ArrayPartition($.s, 2)", "!an array"},
		{"States.ArrayContains($.l, 3)", "true"},
		{"States.ArrayContains($.e, null)", "false"},
		{"States.ArrayContains(States.Array(States.Array(1,2,3), 2), States.Array(1,2,3))", "true"},
		{"States.ArrayRange(0, 10, 3)", "[0,3,6,9]"},
		{"States.ArrayRange(1, 9, 9)", "[1]"},
		{"States.ArrayRange(5, 1, -2)", "[5,3,1]"},
		{"States.ArrayRange(1, 5, -1)", "[]"},
		{"States.ArrayRange(5, 1, 1)", "[]"},
		{"States.ArrayRange(1, 1, 5)", "[1]"},
		{"States.ArrayRange(0, 999, 1)", ""},
		{"States.ArrayRange(0, 1000, 1)", "!more than 1000"},
		{"States.ArrayRange(0, 1, 0)", "!zero"},
		{"States.ArrayGetItem($.l, 2)", "3"},
		{"States.ArrayGetItem($.l, 5)", "!out of bounds"},
		{"States.ArrayLength($.l)", "5"},
		{"States.ArrayLength($.s)", "!an array"},
		{"States.ArrayLength($.zz[*].q)", "0"},
		{"States.ArrayUnique($.d)", `[1,"1",[1],{"a":1,"b":2},null]`},
		{"States.Base64Encode('Data to encode')", `"RGF0YSB0byBlbmNvZGU="`},
		{"States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", `"Data to encode"`},
		{"States.Base64Encode('')", `""`},
		{"States.Hash('input data', 'MD5')", `"812f45842bc6d66ee14572ce20db8e86"`},
		{"States.Hash('input data', 'SHA-1')", `"aaff4a450a104cd177d28d18d74485e8cae074b7"`},
		{"States.Hash('x', 'SHA1')", "!one of"},
		{"States.JsonMerge($.o, States.StringToJson('{\"Arg1\":2,\"z\":3}'), false)", `{"Arg1":2,"Arg2":[],"z":3}`},
		{"States.JsonMerge($.o, $.o, true)", "!false"},
		{"States.StringToJson('')", "null"},
		{"States.StringToJson(' ')", "null"},
		{"States.StringToJson('-0')", "0"},
		{"States.StringToJson('{')", "!invalid JSON"},
		{"States.JsonToString($.o)", `"{\"Arg1\":1,\"Arg2\":[]}"`},
		{"States.JsonToString($.u)", `"{\"k\":\"é/\\n\"}"`},
		{"States.MathAdd(1.49, 1.5)", "3"},
		{"States.MathAdd(-1.5, 0)", "-1"},
		{"States.MathAdd(-2.5, 0)", "-2"},
		{"States.MathAdd(-0.5, 0.5)", "1"},
		{"States.MathAdd(2147483647, 1)", "!sum"},
		{"States.MathAdd('1', 1)", "!a number"},
		{"States.MathRandom(1, 2)", "1"},
		{"States.MathRandom(2, 2)", "!greater"},
		{"States.MathRandom(0, 100, 42)", "30"},
		{"States.MathRandom(0, 1024, 42)", "745"},
		{"States.StringSplit(',,,,', ',')", "[]"},
		{"States.StringSplit(' , ', ',')", `[" "," "]`},
		{"States.StringSplit('This.is+a,test=string', '.+,=')", `["This","is","a","test","string"]`},
		{"States.StringSplit('Hello\nWorld', '\n')", `["Hello","World"]`},
		{"States.Format('{} {} {} {} {}', $.n, $.num, $.s, $.o, $.l)", `"null 1.50 a {Arg1=1, Arg2=[]} [1, 2, 3, 4, 5]"`},
		{"States.Format($.t, 1)", `"n=1"`},
		{`States.Format('\{\} {} \'q\' \\', 1)`, `"{} 1 'q' \\"`},
		{"States.Format('{}')", "!arguments"},
		{"States.Format('x', 1)", "!arguments"},
		{"States.Format($.l, 1)", "!a string"},
		{"States.UUID()", ""},
	} {
		e, err := CompileExpression(c.src)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		v, err := e.Eval(scope(in))
		switch {
		case strings.HasPrefix(c.want, "!"):
			var f *Failure
			if !errors.As(err, &f) || f.Name != "States.IntrinsicFailure" || !strings.Contains(f.Cause, c.want[1:]) {
				t.Errorf("%s = %s, %v; want a failure with %q", c.src, Text(v), err, c.want[1:])
			}
		case err != nil:
			t.Errorf("%s: %v", c.src, err)
		case c.want != "" && Text(v) != c.want:
			t.Errorf("%s = %s, want %s", c.src, Text(v), c.want)
		}
	}
}

func TestExpressionSyntax(t *testing.T) {
	for _, src := range []string{
		"", "x", "States.Nope()", "States.Array(", "States.Array(1 2)", "States.Array('a)", `States.Format('a \"b\"')`, `States.Array('\n')`, "States.Array(1,)",
		"States.UUID(1)", "States.Hash('a')", "States.Array() x", "States.Array($.a b)", "States.Array(foo)",
		"States.Array(" + strings.Repeat("States.Array(", 10) + strings.Repeat(")", 11),
	} {
		if _, err := CompileExpression(src); err == nil {
			t.Errorf("%q compiles", src)
		}
	}
	if _, err := CompileExpression("States.Array(" + strings.Repeat("States.Array(", 9) + strings.Repeat(")", 10)); err != nil {
		t.Error(err)
	}
}

func TestUUIDForm(t *testing.T) {
	e, _ := CompileExpression("States.UUID()")
	v, err := e.Eval(scope("{}"))
	if s := v.Str(); err != nil || len(s) != 36 || s[14] != '4' || strings.IndexByte("89ab", s[19]) < 0 {
		t.Errorf("%q, %v", s, err)
	}
}
