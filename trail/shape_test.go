package trail

import (
	"reflect"
	"testing"

	"tokaido/iam"
)

// What is known of a refused call comes back from its record whole: the Regions
// that there are name what a wildcard covers besides.
func TestShapeRoundTrip(t *testing.T) {
	for _, s := range []*iam.CallShape{
		{Region: "ap-northeast-1", Account: "111122223333", Requested: "jp.m", Profile: "jp.m", ProfileARN: "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/jp.m",
			Model: "m", Destinations: []string{"ap-northeast-1", "ap-northeast-3"}, Regions: []string{"ap-east-2", "ap-northeast-1", "ap-northeast-3"}},
		{Region: "ap-northeast-1", Account: "111122223333", Requested: "m", Model: "m", Destinations: []string{"ap-northeast-1"}, Application: true},
	} {
		if got := shapeFrom(shapeValue(s)); !reflect.DeepEqual(got, s) {
			t.Errorf("%+v came back as %+v", s, got)
		}
	}
}
