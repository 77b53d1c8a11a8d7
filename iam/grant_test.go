package iam

import (
	"fmt"
	"strings"
	"testing"

	"tokaido/value"
)

func TestMerge(t *testing.T) {
	cond := value.MustParse(`{"StringEquals":{"bedrock:InferenceProfileArn":"p"}}`)
	p, err := Merge([]Grant{
		{Name: "Lambda", Actions: []string{"lambda:InvokeFunction"}, Resources: []string{"arn:aws:lambda:r:1:function:a"}},
		{Name: "Lambda", Actions: []string{"lambda:InvokeFunction"}, Resources: []string{"arn:aws:lambda:r:1:function:b", "arn:aws:lambda:r:1:function:a"}},
		{Name: "Models", Actions: []string{"bedrock:InvokeModel"}, Resources: []string{"arn:aws:bedrock:r::foundation-model/m"}, Condition: cond},
		{Name: "Model", Actions: []string{"bedrock:InvokeModel"}, Resources: []string{"arn:aws:bedrock:r::foundation-model/*"}},
		{Name: "Runs", Actions: []string{"states:StopExecution", "states:DescribeExecution"}, Resources: []string{"arn:aws:states:r:1:execution:m:*"}},
		{Name: "Runs", Actions: []string{"states:DescribeExecution", "states:StopExecution"}, Resources: []string{"arn:aws:states:r:1:execution:n:*"}},
		{Name: "Lambda", Actions: []string{"lambda:GetFunction"}, Resources: []string{"arn:aws:lambda:r:1:function:a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, st := range p.Statements() {
		got = append(got, strings.Join([]string{st.Get("Sid").Str(), st.Get("Action").Compact().JSON(), st.Get("Resource").Compact().JSON()}, " "))
	}
	want := `Lambda ["lambda:InvokeFunction","lambda:GetFunction"] "arn:aws:lambda:r:1:function:a"
Lambda2 "lambda:InvokeFunction" "arn:aws:lambda:r:1:function:b"
Model "bedrock:InvokeModel" "arn:aws:bedrock:r::foundation-model/*"
Runs ["states:StopExecution","states:DescribeExecution"] ["arn:aws:states:r:1:execution:m:*","arn:aws:states:r:1:execution:n:*"]`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("%s\nwant\n%s", s, want)
	}
	if _, err := Merge(nil); err == nil {
		t.Error("a policy of nothing")
	}
}

func TestSplit(t *testing.T) {
	var gs []Grant
	for i := range 40 {
		gs = append(gs, Grant{Name: "S", Actions: []string{"a:B"}, Resources: []string{"arn:aws:s3:::" + strings.Repeat("x", 600) + fmt.Sprint(i)},
			Condition: value.MustParse(`{"StringEquals":{"aws:PrincipalTag/n":"` + fmt.Sprint(i) + `"}}`)})
	}
	p, err := Merge(gs)
	if err != nil {
		t.Fatal(err)
	}
	ps, err := p.Split()
	if err != nil || len(ps) < 4 {
		t.Fatalf("%d policies, %v", len(ps), err)
	}
	n := 0
	for _, q := range ps {
		n += q.Len()
		if q.Size() > MaxManaged {
			t.Errorf("%d characters", q.Size())
		}
	}
	if n != p.Len() {
		t.Errorf("%d statements of %d", n, p.Len())
	}
}

func TestTrust(t *testing.T) {
	p, err := Trust("states.amazonaws.com", "arn:aws:states:ap-northeast-1:111122223333:stateMachine:m", "111122223333")
	if err != nil || len(Check(p, Options{})) != 0 {
		t.Fatalf("%v %v", err, Check(p, Options{}))
	}
	allowed := func(source string) bool {
		d := Evaluate(&Policies{Resource: &Bound{Policy: p}}, &Request{By: Caller{Type: "Service", Service: "states.amazonaws.com"},
			Authorization: Authorization{Action: "sts:AssumeRole", Resource: "arn:aws:iam::111122223333:role/r", Context: Context{
				{Key: "aws:SourceArn", Values: []string{source}}, {Key: "aws:SourceAccount", Values: []string{"111122223333"}}}}})
		return d.Allowed
	}
	if !allowed("arn:aws:states:ap-northeast-1:111122223333:stateMachine:m") || allowed("arn:aws:states:ap-northeast-1:111122223333:stateMachine:other") {
		t.Error("it trusts somebody else, or not the machine")
	}
}
