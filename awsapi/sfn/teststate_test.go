package sfn

import (
	"slices"
	"testing"

	"tokaido/awsapi"
	"tokaido/fault"
	"tokaido/value"
)

func TestTestStateNeeds(t *testing.T) {
	const role = "arn:aws:iam::" + account + ":role/r"
	a := newAPI(t)
	for _, c := range []struct {
		name string
		more object
		want []string
	}{
		{"plain", object{}, []string{"states:TestState *"}},
		{"role", object{"roleArn": role}, []string{"states:TestState *", "iam:PassRole " + role}},
		{"mocked", object{"roleArn": role, "mock": object{"result": "1"}}, []string{"states:TestState *"}},
		{"secrets", object{"revealSecrets": true}, []string{"states:TestState *", "states:RevealSecrets *"}},
	} {
		c.more["definition"] = `{"Type":"Succeed"}`
		a.call("TestState", c.more)
		var got []string
		for _, n := range a.needs {
			got = append(got, n.Action+" "+n.Resource)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The record has no document of a test.
func TestTestStateRecord(t *testing.T) {
	a := newAPI(t)
	in, err := value.Of(object{
		"definition": "d", "input": "i", "variables": "v", "context": "c", "stateName": "n", "inspectionLevel": "DEBUG",
		"mock":               object{"result": "r", "errorOutput": object{"error": "e", "cause": "c"}, "fieldValidationMode": "NONE"},
		"stateConfiguration": object{"errorCausedByState": "s", "mapItemReaderData": "d", "retrierRetryCount": 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	op := a.ops["TestState"]
	const h = `"HIDDEN_DUE_TO_SECURITY_REASONS"`
	got := op.Params(&awsapi.Request{Op: op, Input: in})
	want := value.MustParse(`{"context":` + h + `,"definition":` + h + `,"input":` + h + `,"inspectionLevel":"DEBUG","mock":{"errorOutput":{"cause":` + h + `,"error":` + h + `},"fieldValidationMode":"NONE","result":` + h +
		`},"stateConfiguration":{"errorCausedByState":` + h + `,"mapItemReaderData":` + h + `,"retrierRetryCount":1},"stateName":` + h + `,"variables":` + h + `}`)
	if !value.Equal(got, want) {
		t.Errorf("%s", got)
	}
	if op.Result != nil || op.ReadOnly {
		t.Error("answers of tests are recorded, or a test is taken for a read")
	}
}

func TestTestStateShapes(t *testing.T) {
	a := newAPI(t)
	for _, c := range []struct {
		in         object
		code, text string
	}{
		{object{}, "ValidationException", "1 validation error detected: Value null at 'definition' failed to satisfy constraint: Member must not be null"},
		{object{"definition": "{}", "inspectionLevel": "ALL"}, "ValidationException", "1 validation error detected: Value 'ALL' at 'inspectionLevel' failed to satisfy constraint: Member must satisfy enum value set: [INFO, DEBUG, TRACE]"},
		{object{"definition": "{}", "mock": object{"fieldValidationMode": "x"}}, "ValidationException", "1 validation error detected: Value 'x' at 'mock.fieldValidationMode' failed to satisfy constraint: Member must satisfy enum value set: [STRICT, PRESENT, NONE]"},
		{object{"definition": "{}", "stateConfiguration": object{"retrierRetryCount": -1}}, "ValidationException", "1 validation error detected: Value '-1' at 'stateConfiguration.retrierRetryCount' failed to satisfy constraint: Member must have value greater than or equal to 0"},
		{object{"definition": "{}", "mock": object{"results": "1"}}, "ValidationException", "The parameter 'mock.results' is refused: this server does not act on it."},
	} {
		_, err := a.call("TestState", c.in)
		if fault.Code(err) != c.code || err.Error() != c.code+": "+c.text {
			t.Errorf("%v: %v", c.in, err)
		}
	}
}

func TestFloat(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 1: "1.0", 33.25: "33.25", 100: "100.0", 0.000001: "0.000001"} {
		if got := float(f).JSON(); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
}

// What each level shows. The HTTP Task is that of AWS's guide, without what its
// connection adds.
func TestTestStateLevels(t *testing.T) {
	a := newAPI(t)
	const parameters = `{"Method":"GET","Authentication":{"ConnectionArn":"arn:aws:events:ap-northeast-1:111122223333:connection/c/a59c10f0-a315-4c1f-be6a-559b9a0c6250"},
		"ApiEndpoint":"https://httpbin.org/get","Headers":{"definitionHeader":"h1"},"RequestBody":{"message":"Hello from Step Functions!"},"QueryParameters":{"queryParam":"q 1"}}`
	const state = `{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":` + parameters + `,"End":true}`
	const result = `{"Headers":{"date":["Tue, 21 Nov 2023 00:06:17 GMT"],"x":["a","b"]},"ResponseBody":{"args":{}},"StatusCode":200,"StatusText":"OK"}`
	const request = `{"protocol":"https","method":"GET","url":"https://httpbin.org/get?queryParam=q%201","headers":"[definitionHeader: h1, User-Agent: Amazon|StepFunctions|HttpInvoke|` + region + `, Range: bytes=0-262144]","body":"{\"message\":\"Hello from Step Functions!\"}"}`
	const response = `{"protocol":"https","statusCode":"200","statusMessage":"OK","headers":"[date: Tue, 21 Nov 2023 00:06:17 GMT, x: a, b]","body":"{\"args\":{}}"}`
	for _, c := range []struct {
		level, definition string
		mock              object
		data              bool
		request, response string
	}{
		{"", state, object{"result": result}, false, "", ""},
		{"INFO", state, object{"result": result}, false, "", ""},
		{"DEBUG", state, object{"result": result}, true, "", ""},
		{"TRACE", state, object{"result": result}, true, request, response},
		{"TRACE", state, object{"errorOutput": object{"error": "States.Http.StatusCode.404"}}, true, request, ""},
		{"TRACE", `{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":"b"},"End":true}`, object{"result": `{"MessageId":"1","MD5OfMessageBody":"x"}`}, true, "", ""},
	} {
		in := object{"definition": c.definition, "mock": c.mock, "input": "{}"}
		if c.level != "" {
			in["inspectionLevel"] = c.level
		}
		out, err := a.call("TestState", in)
		if err != nil {
			t.Fatal(err)
		}
		see, data := out["inspectionData"].(map[string]any)
		if data != c.data || c.data && see["afterParameters"] == nil {
			t.Errorf("%s: %v", c.level, out)
		}
		for name, want := range map[string]string{"request": c.request, "response": c.response} {
			got, there := see[name]
			if there != (want != "") {
				t.Errorf("%s: %s is there: %v", c.level, name, there)
			} else if there {
				v, err := value.Of(got)
				if err != nil || !value.Equal(v, value.MustParse(want)) {
					t.Errorf("%s: %s is %s, want %s", c.level, name, v, want)
				}
			}
		}
	}
}
