package policygen

import (
	"slices"
	"testing"

	"tokaido/iam"
)

func bound(p *iam.Policy) []iam.Bound {
	if p == nil {
		return nil
	}
	return []iam.Bound{{Policy: p, Name: "Execution"}}
}

// A generated policy lacks nothing and has nothing to spare; without one of its
// statements it lacks something, and is repaired so that it does not.
func TestJudgeGenerated(t *testing.T) {
	for _, r := range roles(t) {
		res, err := Generate(r.machine, r.options)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Judge(bound(res.Policy), nil) {
			// What stands for any model is wide, and that is worth saying.
			if f.ID == "BR16" || f.ID == "BR22" {
				continue
			}
			t.Errorf("%s: %s %s %s: %s", r.name, f.ID, f.Where("en"), f.Value, f.Text("en"))
		}
		if res.Policy == nil {
			continue
		}
		errors := func(fs []iam.Finding) bool {
			return slices.ContainsFunc(fs, func(f iam.Finding) bool { return f.Severity == iam.Error })
		}
		if !errors(res.Judge(nil, nil)) {
			t.Errorf("%s: nothing at all is enough", r.name)
		}
		if fixed, whole := res.Fix(nil); !whole || errors(res.Judge(fixed, nil)) {
			t.Errorf("%s: from nothing: %v", r.name, whole)
			for _, b := range fixed {
				t.Log(b.Name, b.Policy.JSON())
			}
			for _, f := range res.Judge(fixed, nil) {
				t.Log(f.ID, f.Text("en"))
			}
		}
		if res.Policy.Len() < 2 {
			continue
		}
		for i := range res.Policy.Statements() {
			p, err := iam.Document(iam.IdentityPolicy, slices.Delete(res.Policy.Statements(), i, i+1)...)
			if err != nil {
				t.Fatal(err)
			}
			if !errors(res.Judge(bound(p), nil)) {
				t.Errorf("%s: statement %d is not missed", r.name, i)
			}
			fixed, whole := res.Fix(bound(p))
			if !whole || errors(res.Judge(fixed, nil)) {
				t.Errorf("%s: without statement %d it is not repaired: %v\n%s", r.name, i, whole, fixed[0].Policy.JSON())
			}
		}
	}
}

func judged(t *testing.T, definition, doc string) (ids []string) {
	t.Helper()
	r := definitionOf(t, definition)
	p, err := iam.Parse(iam.IdentityPolicy, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Judge(bound(p), nil) {
		ids = append(ids, f.ID)
	}
	return ids
}

func definitionOf(t *testing.T, name string) *Result {
	t.Helper()
	for _, r := range roles(t) {
		if r.name == name {
			res, err := Generate(r.machine, r.options)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
	}
	t.Fatal("no definition ", name)
	return nil
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, definition, policy string
		want                     []string
	}{
		{"qualifier", "lambda", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":["arn:aws:lambda:ap-northeast-1:111122223333:function:f","arn:aws:lambda:ap-northeast-1:111122223333:function:g","arn:aws:lambda:ap-northeast-1:111122223333:function:h:3"]}]}`,
			[]string{"SF08", "FD01"}},
		{"rule", "states-dynamic", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:*","Resource":"arn:aws:states:ap-northeast-1:111122223333:*"}]}`,
			[]string{"SF02", "FD03", "FD03"}},
		{"wide", "dynamodb", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:PutItem","dynamodb:UpdateItem","dynamodb:DeleteItem","dynamodb:Query"],"Resource":"*"}]}`,
			[]string{"FD02", "FD03"}},
		{"deny", "glue", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"glue:*","Resource":"*"},{"Effect":"Deny","Action":"glue:BatchStopJobRun","Resource":"*"}]}`,
			[]string{"FD04", "FD03", "FD03"}},
		{"the-console", "bedrock-jp", `{"Version":"2012-10-17","Statement":[{"Sid":"InvokeModel1","Effect":"Allow","Action":["bedrock:InvokeModel"],"Resource":["arn:aws:bedrock:ap-northeast-1::foundation-model/jp.anthropic.claude-sonnet-4-5-20250929-v1:0"]}]}`,
			[]string{"BR01", "BR05", "BR04"}},
		{"every-model", "bedrock-jp", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"*"}]}`, []string{"BR16"}},
		{"setting-up", "bedrock-model", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["bedrock:InvokeModel","bedrock:CreateInferenceProfile"],"Resource":"arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0"}]}`,
			[]string{"BR21"}},
		{"dynamic", "lambda-dynamic", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:ap-northeast-1:111122223333:function:only-this"}]}`, []string{"FD01"}},
	} {
		if got := judged(t, c.definition, c.policy); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
