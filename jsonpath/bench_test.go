package jsonpath

import (
	"testing"

	"tokaido/value"
)

func BenchmarkPath(b *testing.B) {
	root := value.MustParse(doc)
	for _, src := range []string{"$", "$.store.bicycle.color", "$.store.book[2].title", "$.store.book[*].title", "$.store.book[?(@.price < 10)].title", "$..price"} {
		p, err := Compile(src)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	for name, src := range map[string]string{
		"Constant": `{"FunctionName":"f","Payload":{"a":[1,2,3]}}`,
		"Paths":    `{"FunctionName":"f","Payload":{"a.$":"$.limit","b.$":"$.store.bicycle","c":{"d.$":"$$.Execution.Name"}}}`,
		"Format":   `{"x.$":"States.Format('{} of {}', $.limit, $.store.bicycle.color)"}`,
	} {
		t, err := CompileTemplate(value.MustParse(src))
		if err != nil {
			b.Fatal(err)
		}
		s := scope(doc)
		ctx := s.Context()
		s.Context = func() value.Value { return ctx }
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.Eval(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile("$.store.book[?(@.price < 10)].title"); err != nil {
			b.Fatal(err)
		}
	}
}
