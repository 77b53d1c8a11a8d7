package jsonata

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tokaido/value"
)

// benchCases are the five kinds of expression that bench/jsonata compares with
// the npm package, over its document.
func benchCases(b *testing.B) (cases []benchCase, states value.Value) {
	dir := filepath.Join("..", "bench", "jsonata")
	read := func(name string) value.Value {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			b.Skip(err)
		}
		v, err := value.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	for _, c := range read("cases.json").Items() {
		cases = append(cases, benchCase{c.Get("name").Str(), c.Get("expr").Str()})
	}
	return cases, read("input.json")
}

type benchCase struct{ name, expr string }

func BenchmarkEval(b *testing.B) {
	cases, states := benchCases(b)
	env := &Env{Now: time.Unix(0, 0), Var: func(name string) (value.Value, bool) { return states, name == "states" }}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			e, err := Compile(c.expr, States)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if v, err := e.Eval(env); err != nil || v.IsUndefined() {
					b.Fatal(v, err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	cases, _ := benchCases(b)
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(c.expr, States); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPass is a document that is passed through: it costs no allocation.
func BenchmarkPass(b *testing.B) {
	_, states := benchCases(b)
	env := &Env{Var: func(name string) (value.Value, bool) { return states, name == "states" }}
	e, err := Compile("$states.input.items", States)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v, err := e.Eval(env); err != nil || v.Len() != 100 {
			b.Fatal(v, err)
		}
	}
}
