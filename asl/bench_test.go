package asl

import (
	"fmt"
	"strings"
	"testing"

	"tokaido/value"
)

// large is a definition of n states of the usual kinds.
func large(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"StartAt":"S0","States":{`)
	for i := range n {
		fmt.Fprintf(&b, `"S%d":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload":{"a.$":"$.x","b.$":"States.Format('{}', $.y)"}},`+
			`"ResultSelector":{"r.$":"$.Payload"},"ResultPath":"$.r%d","Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":2}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"End"}],"Next":"S%d"},`, i, i, i+1)
	}
	fmt.Fprintf(&b, `"S%d":{"Type":"Choice","Choices":[{"Variable":"$.x","NumericGreaterThan":1,"Next":"End"}],"Default":"End"},"End":{"Type":"Succeed"}}}`, n)
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{10, 1000} {
		src := large(n)
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if p, diags := Parse(src); p == nil {
					b.Fatal(diags)
				}
			}
		})
	}
}

func BenchmarkField(b *testing.B) {
	p, diags := Parse([]byte(`{"StartAt":"P","States":{"P":{"Type":"Pass","InputPath":"$","OutputPath":"$.a.b","Parameters":{"x.$":"$.a","y":1},"ResultSelector":{},"Next":"C"},` +
		`"C":{"Type":"Choice","Choices":[{"Variable":"$.a.b","NumericGreaterThan":1,"Next":"E"}]},"E":{"Type":"Succeed"}}}`))
	if p != nil {
		b.Fatal("a Pass state has no ResultSelector", diags)
	}
	p, diags = Parse([]byte(`{"StartAt":"P","States":{"P":{"Type":"Pass","InputPath":"$","OutputPath":"$.a.b","ResultPath":"$.r","Parameters":{"x.$":"$.a","y":1},"Next":"C"},` +
		`"C":{"Type":"Choice","Choices":[{"Variable":"$.a.b","NumericGreaterThan":1,"Next":"E"}]},"E":{"Type":"Succeed"}}}`))
	if p == nil {
		b.Fatal(diags)
	}
	st, choice := p.State("P"), p.State("C")
	s := &Scope{Input: value.MustParse(`{"a":{"b":5},"c":[1,2,3]}`)}
	run := func(name string, f func() *Failure) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if fail := f(); fail != nil {
					b.Fatal(fail)
				}
			}
		})
	}
	run("Identity", func() *Failure { _, fail := st.InputPath.Eval(s); return fail })
	run("Path", func() *Failure { _, fail := st.OutputPath.Eval(s); return fail })
	run("Template", func() *Failure { _, fail := st.Parameters.Eval(s); return fail })
	run("ResultPath", func() *Failure { _, fail := st.ResultPath.Apply(s.Input, s.Input); return fail })
	run("Condition", func() *Failure { _, fail := choice.Choice.Rules[0].Condition.Eval(s); return fail })
}
