package cloudtrail_test

import (
	"context"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/cloudtrail"
	"tokaido/delivery"
	"tokaido/fault"
	"tokaido/trail"
	"tokaido/value"
)

// trails calls the operations on trails over an empty log.
func trails(t *testing.T) func(name, region, input string) (value.Value, error) {
	dir := t.TempDir()
	log, err := trail.Open(filepath.Join(dir, "trail"), trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	d, err := delivery.Open(delivery.Config{Dir: filepath.Join(dir, "d"), Buckets: filepath.Join(dir, "b"), Account: "111122223333", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	ops := cloudtrail.TrailOps(d)
	return func(name, region, input string) (value.Value, error) {
		t.Helper()
		for i := range ops {
			if ops[i].Name != name {
				continue
			}
			r := &awsapi.Request{Op: &ops[i], Region: region, Input: value.MustParse(input), Time: time.Now()}
			needs, err := ops[i].Needs(context.Background(), r)
			if err != nil {
				return value.Value{}, err
			}
			if len(needs) != 1 || needs[0].Action != "cloudtrail:"+name {
				t.Errorf("%s needs %v", name, needs)
			}
			resp, err := ops[i].Handle(context.Background(), r)
			if err != nil {
				return value.Value{}, err
			}
			return resp.Body, nil
		}
		t.Fatalf("no operation %s", name)
		return value.Value{}, nil
	}
}

const home = "ap-northeast-1"

func TestTrails(t *testing.T) {
	call := trails(t)
	must := func(name, region, input string) value.Value {
		t.Helper()
		v, err := call(name, region, input)
		if err != nil {
			t.Fatalf("%s %s: %v", name, input, err)
		}
		return v
	}
	arn := must("CreateTrail", home, `{"Name":"audit","S3BucketName":"logs","S3KeyPrefix":"p","IsMultiRegionTrail":true,"EnableLogFileValidation":true}`).Get("TrailARN").Str()
	if arn != "arn:aws:cloudtrail:ap-northeast-1:111122223333:trail/audit" {
		t.Error(arn)
	}
	for _, name := range []string{"audit", arn} {
		if v := must("GetTrail", home, `{"Name":"`+name+`"}`).Get("Trail"); v.Get("HomeRegion").Str() != home || !v.Get("LogFileValidationEnabled").Bool() || v.Get("S3KeyPrefix").Str() != "p" {
			t.Error(v)
		}
	}
	if v := must("DescribeTrails", "us-east-1", `{}`).Get("trailList"); v.Len() != 1 {
		t.Errorf("a trail of all Regions is not seen in another: %v", v)
	}
	if v := must("DescribeTrails", "us-east-1", `{"includeShadowTrails":false}`).Get("trailList"); v.Len() != 0 {
		t.Error(v)
	}
	if v := must("DescribeTrails", home, `{"trailNameList":["none","audit"]}`).Get("trailList"); v.Len() != 1 {
		t.Error(v)
	}
	if v := must("ListTrails", home, `{}`).Get("Trails"); v.Len() != 1 || v.At(0).Get("TrailARN").Str() != arn {
		t.Error(v)
	}
	if v := must("GetTrailStatus", home, `{"Name":"audit"}`); v.Get("IsLogging").Bool() {
		t.Error(v)
	}
	must("StartLogging", home, `{"Name":"audit"}`)
	if v := must("GetTrailStatus", home, `{"Name":"audit"}`); !v.Get("IsLogging").Bool() || v.Get("TimeLoggingStarted").Str() == "" {
		t.Error(v)
	}
	must("StopLogging", home, `{"Name":"audit"}`)
	v := must("PutEventSelectors", home, `{"TrailName":"audit","EventSelectors":[{"ReadWriteType":"WriteOnly","IncludeManagementEvents":true,"DataResources":[],"ExcludeManagementEventSources":["kms.amazonaws.com"]}]}`)
	if got := must("GetEventSelectors", home, `{"TrailName":"audit"}`); got.JSON() != v.JSON() || got.Get("EventSelectors").At(0).Get("ReadWriteType").Str() != "WriteOnly" {
		t.Error(got)
	}
	advanced := `[{"Name":"writes","FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},{"Field":"readOnly","Equals":["false"]}]},{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},{"Field":"eventSource","NotEquals":["kms.amazonaws.com"]}]}]`
	must("PutEventSelectors", home, `{"TrailName":"audit","AdvancedEventSelectors":`+advanced+`}`)
	if got := must("GetEventSelectors", home, `{"TrailName":"audit"}`); got.Get("AdvancedEventSelectors").JSON() != advanced || got.Has("EventSelectors") {
		t.Error(got)
	}
	if got := must("UpdateTrail", home, `{"Name":"audit","S3BucketName":"other-logs","EnableLogFileValidation":false}`); got.Get("S3BucketName").Str() != "other-logs" ||
		got.Get("S3KeyPrefix").Str() != "p" || got.Get("LogFileValidationEnabled").Bool() || !got.Get("IsMultiRegionTrail").Bool() {
		t.Error(got)
	}
	must("AddTags", home, `{"ResourceId":"`+arn+`","TagsList":[{"Key":"team","Value":"audit"},{"Key":"stage"}]}`)
	must("AddTags", home, `{"ResourceId":"`+arn+`","TagsList":[{"Key":"stage","Value":"test"}]}`)
	must("RemoveTags", home, `{"ResourceId":"`+arn+`","TagsList":[{"Key":"team"},{"Key":"stage","Value":"other"},{"Key":"none"}]}`)
	if got := must("ListTags", home, `{"ResourceIdList":["`+arn+`"]}`).Get("ResourceTagList").JSON(); got != `[{"ResourceId":"`+arn+`","TagsList":[{"Key":"stage","Value":"test"}]}]` {
		t.Error(got)
	}
	k := must("ListPublicKeys", home, `{}`).Get("PublicKeyList")
	if der, err := base64.StdEncoding.DecodeString(k.At(0).Get("Value").Str()); k.Len() != 1 || err != nil || len(der) < 200 {
		t.Error(k)
	}
	if v := must("ListPublicKeys", home, `{"StartTime":1,"EndTime":2}`).Get("PublicKeyList"); v.Len() != 0 {
		t.Error(v)
	}
	must("DeleteTrail", home, `{"Name":"audit"}`)
	if v := must("ListTrails", home, `{}`).Get("Trails"); v.Len() != 0 {
		t.Error(v)
	}
}

// TestTrailsRefused: what cannot be acted on is refused by name.
func TestTrailsRefused(t *testing.T) {
	call := trails(t)
	if _, err := call("CreateTrail", home, `{"Name":"audit","S3BucketName":"logs"}`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, input, code, says string }{
		{"CreateTrail", `{"S3BucketName":"logs"}`, "InvalidTrailNameException", "blank"},
		{"CreateTrail", `{"Name":"a","S3BucketName":"logs"}`, "InvalidTrailNameException", "3 to 128"},
		{"CreateTrail", `{"Name":"a..b","S3BucketName":"logs"}`, "InvalidTrailNameException", ""},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"No"}`, "InvalidS3BucketNameException", ""},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","S3KeyPrefix":"../x"}`, "InvalidS3PrefixException", ""},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","SnsTopicName":"x"}`, "ValidationException", "SnsTopicName"},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","KmsKeyId":"x"}`, "ValidationException", "KmsKeyId"},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","IsOrganizationTrail":true}`, "OrganizationsNotInUseException", ""},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","IsMultiRegionTrail":true,"IncludeGlobalServiceEvents":false}`, "InvalidParameterCombinationException", ""},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","IsMultiRegionTrail":"yes"}`, "SerializationException", "IsMultiRegionTrail"},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","TagsList":[{"Key":"k"},{"Key":"k"}]}`, "InvalidTagParameterException", "twice"},
		{"CreateTrail", `{"Name":"abc","S3BucketName":"logs","TagsList":[{"Key":"aws:k"}]}`, "InvalidTagParameterException", ""},
		{"UpdateTrail", `{"Name":"none"}`, "TrailNotFoundException", ""},
		{"UpdateTrail", `{"Name":"audit","KmsKeyId":"x"}`, "ValidationException", "KmsKeyId"},
		{"UpdateTrail", `{"Name":"audit","S3BucketName":"No"}`, "InvalidS3BucketNameException", ""},
		{"UpdateTrail", `{"Name":"audit","S3KeyPrefix":"../x"}`, "InvalidS3PrefixException", ""},
		{"UpdateTrail", `{"Name":"audit","IsMultiRegionTrail":true,"IncludeGlobalServiceEvents":false}`, "InvalidParameterCombinationException", ""},
		{"AddTags", `{"ResourceId":"audit","TagsList":[]}`, "CloudTrailARNInvalidException", ""},
		{"AddTags", `{"ResourceId":"arn:aws:cloudtrail:ap-northeast-1:111122223333:eventdatastore/x","TagsList":[]}`, "ResourceTypeNotSupportedException", ""},
		{"AddTags", `{"ResourceId":"arn:aws:cloudtrail:ap-northeast-1:111122223333:trail/none","TagsList":[{"Key":"k"}]}`, "ResourceNotFoundException", "none"},
		{"AddTags", `{"ResourceId":"arn:aws:cloudtrail:ap-northeast-1:111122223333:trail/audit","TagsList":[{"Key":"k","More":"v"}]}`, "InvalidTagParameterException", "More"},
		{"ListTags", `{"ResourceIdList":[]}`, "ValidationException", "ResourceIdList"},
		{"PutEventSelectors", `{"TrailName":"audit","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Data"]}]}]}`, "InvalidEventSelectorsException", "eventCategory"},
		{"PutEventSelectors", `{"TrailName":"audit","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"readOnly","Equals":["true"]}]}]}`, "InvalidEventSelectorsException", "eventCategory"},
		{"PutEventSelectors", `{"TrailName":"audit","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"resources.ARN","StartsWith":["arn"]}]}]}`, "InvalidEventSelectorsException", "StartsWith"},
		{"PutEventSelectors", `{"TrailName":"audit","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventName","Equals":["Converse"]}]}]}`, "InvalidEventSelectorsException", "eventName"},
		{"PutEventSelectors", `{"TrailName":"audit","AdvancedEventSelectors":[],"EventSelectors":[]}`, "InvalidEventSelectorsException", "both"},
		{"CreateTrail", `{"Name":"audit","S3BucketName":"logs"}`, "TrailAlreadyExistsException", ""},
		{"GetTrail", `{"Name":"none"}`, "TrailNotFoundException", "Unknown trail: arn:aws:cloudtrail:ap-northeast-1:111122223333:trail/none for the user: 111122223333"},
		{"GetTrail", `{"Name":"arn:aws:iam::1:role/x"}`, "CloudTrailARNInvalidException", ""},
		{"StartLogging", `{"Name":"none"}`, "TrailNotFoundException", ""},
		{"StopLogging", `{"Name":"audit","More":1}`, "ValidationException", "More"},
		{"PutEventSelectors", `{"TrailName":"audit","AdvancedEventSelectors":[]}`, "InvalidEventSelectorsException", "AdvancedEventSelectors"},
		{"PutEventSelectors", `{"TrailName":"audit","EventSelectors":[]}`, "InvalidEventSelectorsException", ""},
		{"PutEventSelectors", `{"TrailName":"audit","EventSelectors":[{"IncludeManagementEvents":false}]}`, "InvalidEventSelectorsException", "IncludeManagementEvents"},
		{"PutEventSelectors", `{"TrailName":"audit","EventSelectors":[{"DataResources":[{"Type":"AWS::S3::Object"}]}]}`, "InvalidEventSelectorsException", "DataResources"},
		{"PutEventSelectors", `{"TrailName":"audit","EventSelectors":[{"ReadWriteType":"Some"}]}`, "InvalidEventSelectorsException", "ReadWriteType"},
		{"PutEventSelectors", `{"TrailName":"audit","EventSelectors":[{"ExcludeManagementEventSources":["bedrock.amazonaws.com"]}]}`, "InvalidEventSelectorsException", "bedrock.amazonaws.com"},
		{"ListPublicKeys", `{"StartTime":5,"EndTime":2}`, "InvalidTimeRangeException", ""},
		{"ListPublicKeys", `{"NextToken":"x"}`, "InvalidTokenException", ""},
		{"ListTrails", `{"NextToken":"x"}`, "InvalidNextTokenException", ""},
		{"DescribeTrails", `{"trailNameList":"audit"}`, "SerializationException", "trailNameList"},
	} {
		_, err := call(c.name, home, c.input)
		if fault.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: %v, want %s", c.name, c.input, err, c.code)
		}
	}
}

// TestInsights: no trail has any, and none can be asked for.
func TestInsights(t *testing.T) {
	call := trails(t)
	created, err := call("CreateTrail", home, `{"Name":"audit","S3BucketName":"logs","IsMultiRegionTrail":true}`)
	if err != nil {
		t.Fatal(err)
	}
	arn := created.Get("TrailARN").Str()
	if v, err := call("PutInsightSelectors", home, `{"TrailName":"audit","InsightSelectors":[]}`); err != nil || v.JSON() != `{"TrailARN":"`+arn+`","InsightSelectors":[]}` {
		t.Errorf("%s, %v", v, err)
	}
	for _, c := range []struct{ op, region, in, code, text string }{
		{"GetInsightSelectors", home, `{"TrailName":"audit"}`, "InsightNotEnabledException", "Trail " + arn + " does not have Insights enabled. Edit the trail settings to enable Insights, and then try the operation again."},
		{"GetInsightSelectors", home, `{"TrailName":"none"}`, "TrailNotFoundException", ""},
		{"GetInsightSelectors", home, `{"EventDataStore":"x"}`, "ValidationException", "EventDataStore"},
		{"PutInsightSelectors", home, `{"TrailName":"audit","InsightSelectors":[{"InsightType":"ApiCallRateInsight"}]}`, "UnsupportedOperationException", "ApiCallRateInsight"},
		{"PutInsightSelectors", home, `{"TrailName":"audit"}`, "SerializationException", "InsightSelectors"},
		{"PutInsightSelectors", home, `{"InsightSelectors":[]}`, "InvalidTrailNameException", ""},
		{"PutInsightSelectors", home, `{"TrailName":"none","InsightSelectors":[]}`, "TrailNotFoundException", ""},
		{"PutInsightSelectors", "us-east-1", `{"TrailName":"` + arn + `","InsightSelectors":[]}`, "InvalidHomeRegionException", ""},
		{"PutInsightSelectors", home, `{"TrailName":"audit","InsightSelectors":[],"InsightsDestination":"x"}`, "ValidationException", "InsightsDestination"},
	} {
		_, err := call(c.op, c.region, c.in)
		if fault.Code(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s %s: %v, want %s", c.op, c.in, err, c.code)
		}
	}
}
