package cloudtrail_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/cloudtrail"
	"tokaido/fault"
	"tokaido/trail"
	"tokaido/value"
)

// fixture is a log with events in two Regions, and the operation over it.
func fixture(t *testing.T) (ask func(region, input string) (value.Value, error), begin time.Time) {
	log, err := trail.Open(t.TempDir(), trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	begin = time.Date(2026, 11, 21, 1, 0, 0, 500_000_000, time.UTC)
	for i := range 60 {
		region, name := "ap-northeast-1", "Converse"
		if i%3 == 0 {
			region = "ap-northeast-3"
		}
		if i%2 == 0 {
			name = "InvokeModel"
		}
		r := &trail.Record{
			EventID: fmt.Sprintf("e%02d", i), Time: begin.Add(time.Duration(i) * time.Second), Source: "bedrock.amazonaws.com", Name: name, Region: region,
			Account: "111122223333", ReadOnly: true, RequestID: fmt.Sprint("r", i),
			Identity: trail.Identity{Type: "IAMUser", UserName: "u", ARN: "arn:aws:iam::111122223333:user/u", AccessKeyID: "AKIAX"},
			Request:  value.MustParse(`{"modelId":"jp.m"}`), Additional: value.MustParse(`{"inferenceRegion":"ap-northeast-3"}`),
			Resources: []trail.Resource{{Type: "AWS::Bedrock::InferenceProfile", Name: "arn:p"}},
		}
		if err := log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	op := cloudtrail.Ops(log, cloudtrail.Options{})[0]
	return func(region, input string) (value.Value, error) {
		r := &awsapi.Request{Op: &op, Region: region, Input: value.MustParse(input)}
		resp, err := op.Handle(context.Background(), r)
		if err != nil {
			return value.Value{}, err
		}
		return resp.Body, nil
	}, begin
}

func ids(v value.Value) string {
	var out []string
	for _, e := range v.Get("Events").Items() {
		out = append(out, e.Get("EventId").Str())
	}
	return strings.Join(out, " ")
}

func TestLookup(t *testing.T) {
	ask, begin := fixture(t)
	v, err := ask("ap-northeast-1", `{"MaxResults":2}`)
	if err != nil || ids(v) != "e59 e58" {
		t.Fatalf("%v %v", v, err)
	}
	e := v.Get("Events").At(0)
	if e.Get("EventTime").JSON() != fmt.Sprint(begin.Unix()+59) || e.Get("ReadOnly").Str() != "true" || e.Get("Username").Str() != "u" || e.Get("AccessKeyId").Str() != "AKIAX" ||
		e.Get("EventSource").Str() != "bedrock.amazonaws.com" || e.Get("Resources").JSON() != `[{"ResourceType":"AWS::Bedrock::InferenceProfile","ResourceName":"arn:p"}]` {
		t.Errorf("%s", e)
	}
	ev, err := value.ParseString(e.Get("CloudTrailEvent").Str())
	if err != nil || ev.Get("additionalEventData").Get("inferenceRegion").Str() != "ap-northeast-3" || ev.Get("requestParameters").Get("modelId").Str() != "jp.m" {
		t.Errorf("%s %v", ev, err)
	}
	next := v.Get("NextToken").JSON()
	if v, err = ask("ap-northeast-1", `{"MaxResults":2,"NextToken":`+next+`}`); err != nil || ids(v) != "e56 e55" {
		t.Errorf("%v %v", v, err)
	}
	for in, want := range map[string]string{
		`{"LookupAttributes":[{"AttributeKey":"EventId","AttributeValue":"e07"}]}`:                          "e07",
		`{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"InvokeModel"}],"MaxResults":1}`: "e58",
		fmt.Sprintf(`{"StartTime":%d,"EndTime":%d}`, begin.Unix()+3, begin.Unix()+5):                        "e05 e04",
		fmt.Sprintf(`{"EndTime":%q}`, begin.Add(2*time.Second).Format(time.RFC3339)):                        "e02 e01",
		fmt.Sprintf(`{"StartTime":%d.6}`, begin.Unix()+57):                                                  "e59 e58",
		`{"LookupAttributes":[]}`:     "",
		`{"EventCategory":"insight"}`: "",
		`{"LookupAttributes":[{"AttributeKey":"Username","AttributeValue":"nobody"}],"NextToken":null}`:             "",
		`{"LookupAttributes":[{"AttributeKey":"ReadOnly","AttributeValue":"false"}]}`:                               "",
		`{"LookupAttributes":[{"AttributeKey":"ResourceName","AttributeValue":"arn:p"}],"MaxResults":1}`:            "e59",
		`{"LookupAttributes":[{"AttributeKey":"EventSource","AttributeValue":"iam.amazonaws.com"}],"MaxResults":5}`: "",
	} {
		v, err := ask("ap-northeast-1", in)
		if err != nil || want != "" && ids(v) != want {
			t.Errorf("%s: %s %v, want %s", in, ids(v), err, want)
		}
	}
	if v, _ := ask("us-east-1", `{}`); v.Get("Events").Len() != 0 || !v.Get("NextToken").IsUndefined() {
		t.Errorf("another Region's log has %s", v)
	}
	if v, _ := ask("ap-northeast-3", `{}`); v.Get("Events").Len() != 20 {
		t.Errorf("Osaka's log has %d", v.Get("Events").Len())
	}
}

func TestRefused(t *testing.T) {
	ask, _ := fixture(t)
	for in, code := range map[string]string{
		`{"MaxResults":0}`:            "InvalidMaxResultsException",
		`{"MaxResults":51}`:           "InvalidMaxResultsException",
		`{"MaxResults":"5"}`:          "SerializationException",
		`{"NextToken":"x"}`:           "InvalidNextTokenException",
		`{"NextToken":""}`:            "InvalidNextTokenException",
		`{"NextToken":1}`:             "SerializationException",
		`{"StartTime":5,"EndTime":4}`: "InvalidTimeRangeException",
		`{"StartTime":-1}`:            "InvalidTimeRangeException",
		`{"StartTime":"yesterday"}`:   "SerializationException",
		`{"EventCategory":"data"}`:    "InvalidEventCategoryException",
		`{"LookupAttributes":"x"}`:    "SerializationException",
		`{"LookupAttributes":[{}]}`:   "InvalidLookupAttributesException",
		`{"LookupAttributes":[{"AttributeKey":"Nothing","AttributeValue":"x"}]}`:                                                     "InvalidLookupAttributesException",
		`{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":""}]}`:                                                    "InvalidLookupAttributesException",
		`{"LookupAttributes":[{"AttributeKey":"ReadOnly","AttributeValue":"yes"}]}`:                                                  "InvalidLookupAttributesException",
		`{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"` + strings.Repeat("_", 1001) + `"}]}`:                   "InvalidLookupAttributesException",
		`{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"x"},{"AttributeKey":"EventName","AttributeValue":"y"}]}`: "InvalidLookupAttributesException",
		`{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"x","Other":1}]}`:                                         "ValidationException",
		`{"Extra":1}`: "ValidationException",
	} {
		if _, err := ask("ap-northeast-1", in); fault.Code(err) != code {
			t.Errorf("%.80s: %v, want %s", in, err, code)
		}
	}
}

// TestPace: a Region answers as many lookups in a second as it may, and another
// one as many of its own.
func TestPace(t *testing.T) {
	log, err := trail.Open(t.TempDir(), trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	op := cloudtrail.Ops(log, cloudtrail.Options{LookupsPerSecond: 2})[0]
	begin := time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after  time.Duration
		region string
		ok     bool
	}{
		{0, "a", true}, {0, "a", true}, {0, "a", false}, {0, "b", true}, {400 * time.Millisecond, "a", false}, {500 * time.Millisecond, "a", true},
		{600 * time.Millisecond, "a", false}, {5 * time.Second, "a", true}, {5 * time.Second, "a", true}, {5 * time.Second, "a", false},
	} {
		_, err := op.Handle(t.Context(), &awsapi.Request{Op: &op, Region: c.region, Input: value.MustParse(`{}`), Time: begin.Add(c.after)})
		if ok := err == nil; ok != c.ok || !ok && fault.Code(err) != "ThrottlingException" {
			t.Errorf("%v in %s: %v", c.after, c.region, err)
		}
	}
}
