package cli

import (
	"testing"

	"tokaido/iam"
)

func FuzzEvents(f *testing.F) {
	for _, s := range []string{
		`{"Records":[{"eventName":"Converse","eventSource":"bedrock.amazonaws.com","errorMessage":"User: arn:aws:sts::111122223333:assumed-role/R/s is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"}]}`,
		`{"Events":[{"CloudTrailEvent":"{\"eventName\":\"a\",\"eventSource\":\"b\"}"}]}`, `[{"eventName":"a","eventSource":"b"}]`, `{"eventName":"a","eventSource":"b"}`, `{"Events":[{"CloudTrailEvent":"{"}]}`, `[]`, `1`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		all, err := readEvents(src)
		if err != nil {
			return
		}
		for _, e := range all {
			if r, ok := iam.ParseMessage(e.Get("errorMessage").Str()); ok {
				x := &explainer{model: e.Get("requestParameters").Get("modelId").Str(), region: e.Get("awsRegion").Str()}
				reading := iam.Reading{Refusal: r, Calls: x.shapes(&r)}
				if reading.Text("en") == "" || reading.Text("ja") == "" {
					t.Fatal("nothing to say")
				}
			}
		}
	})
}
