package sfn

import (
	"context"
	"math"
	"strconv"
	"strings"

	"tokaido/awsapi"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/iam"
	"tokaido/value"
)

var (
	mockError = shape{kind: structure, name: "MockErrorOutput", members: []member{{"error", false, errorShape}, {"cause", false, causeShape}}}
	mock      = shape{kind: structure, name: "MockInput", members: []member{
		{"result", false, data},
		{"errorOutput", false, mockError},
		{"fieldValidationMode", false, shape{enum: []string{"STRICT", "PRESENT", "NONE"}}},
	}}
	testedName         = shape{min: 1, max: 80, secret: true}
	count              = shape{kind: integer, max: math.MaxInt32, bounded: true}
	stateConfiguration = shape{kind: structure, name: "TestStateConfiguration", members: []member{
		{"retrierRetryCount", false, count},
		{"errorCausedByState", false, testedName},
		{"mapIterationFailureCount", false, count},
		{"mapItemReaderData", false, data},
	}}
)

var testState = operation{"TestState", false, []member{
	{"definition", true, definition}, {"roleArn", false, arnShape}, {"input", false, data},
	{"inspectionLevel", false, shape{enum: []string{"INFO", "DEBUG", "TRACE"}}}, {"revealSecrets", false, flag}, {"variables", false, data},
	{"stateName", false, testedName}, {"mock", false, mock}, {"context", false, data}, {"stateConfiguration", false, stateConfiguration},
}, (*handlers).needsTest, (*handlers).testState}

// needsTest: with a mock no role is passed on.
func (h *handlers) needsTest(r *awsapi.Request) ([]iam.Authorization, error) {
	needs := []iam.Authorization{{Action: action(r), Resource: "*"}}
	if role := str(r, "roleArn"); role != "" && !r.Input.Get("mock").IsObject() {
		needs = append(needs, iam.Authorization{Action: "iam:PassRole", Resource: role, Context: iam.Context{attribute("iam:PassedToService", servicePrincipal)}})
	}
	if r.Input.Get("revealSecrets").Bool() {
		needs = append(needs, iam.Authorization{Action: "states:RevealSecrets", Resource: "*"})
	}
	return needs, nil
}

func (h *handlers) testState(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	in := flow.TestState{
		Scope: scope(r), Definition: str(r, "definition"), StateName: str(r, "stateName"), RoleARN: str(r, "roleArn"), Input: optional(r, "input"),
		Variables: optional(r, "variables"), Context: optional(r, "context"), RevealSecrets: r.Input.Get("revealSecrets").Bool(),
	}
	if v := r.Input.Get("mock"); v.IsObject() {
		in.Mock = &flow.Mock{Result: textOf(v, "result"), Mode: v.Get("fieldValidationMode").Str()}
		if e := v.Get("errorOutput"); e.IsObject() {
			in.Mock.Error = &flow.MockError{Error: textOf(e, "error"), Cause: textOf(e, "cause")}
		}
	}
	if v := r.Input.Get("stateConfiguration"); v.IsObject() {
		in.RetryCount, in.IterationFailures = intOf(v, "retrierRetryCount"), intOf(v, "mapIterationFailureCount")
		in.ErrorCausedBy, in.ReaderData = textOf(v, "errorCausedByState"), textOf(v, "mapItemReaderData")
	}
	t, err := h.svc.TestState(ctx, in)
	if err != nil {
		return nil, err
	}
	answer := []value.Member{document("output", t.Output), ptr("error", t.Error), ptr("cause", t.Cause)}
	switch str(r, "inspectionLevel") {
	case "DEBUG":
		answer = append(answer, m("inspectionData", value.Object(inspection(&t.Tried)...)))
	case "TRACE":
		answer = append(answer, m("inspectionData", value.Object(append(inspection(&t.Tried), exchange(&t)...)...)))
	}
	return awsapi.OK(append(answer, s("nextState", t.Next), s("status", t.Status.String()))...), nil
}

// exchange is what an HTTP Task sent and got, as TRACE shows it.
func exchange(t *flow.Tested) (members []value.Member) {
	if q := t.Request; q != nil {
		members = append(members, m("request", value.Object(
			s("protocol", q.Protocol), s("method", q.Method), s("url", q.URL), s("headers", q.Headers), s("body", q.Body))))
	}
	if a := t.Response; a != nil {
		members = append(members, m("response", value.Object(
			s("protocol", a.Protocol), s("statusCode", a.StatusCode), s("statusMessage", a.StatusMessage), s("headers", a.Headers), s("body", a.Body))))
	}
	return members
}

// inspection is the members of AWS's InspectionData.
func inspection(t *engine.Tried) []value.Member {
	see := &t.Inspection
	members := []value.Member{
		document("input", see.Input),
		document("afterInputPath", see.AfterInputPath),
		document("afterParameters", see.AfterParameters),
		document("afterArguments", see.AfterArguments),
		document("result", see.Result),
		document("afterResultSelector", see.AfterResultSelector),
		document("afterResultPath", see.AfterResultPath),
		document("variables", t.Variables),
		document("afterItemsPath", see.AfterItemsPath),
		document("afterItemsPointer", see.AfterItemsPointer),
		document("afterItemSelector", see.AfterItemSelector),
		document("afterItemBatcher", see.AfterItemBatcher),
	}
	if n := see.MaxConcurrency; n != nil {
		members = append(members, m("maxConcurrency", value.Int(*n)))
	}
	if n := see.ToleratedFailureCount; n != nil {
		members = append(members, m("toleratedFailureCount", value.Int(*n)))
	}
	if n := see.ToleratedFailurePercentage; n != nil {
		members = append(members, m("toleratedFailurePercentage", float(*n)))
	}
	var details []value.Member
	if i := see.Catcher; i != nil {
		details = append(details, m("catchIndex", value.Int(int64(*i))))
	}
	if i := see.Retrier; i != nil {
		details = append(details, m("retryIndex", value.Int(int64(*i))))
		if t.Status == engine.SingleRetriable {
			details = append(details, m("retryBackoffIntervalSeconds", value.Int(int64(see.Backoff.Seconds()))))
		}
	}
	if details != nil {
		members = append(members, m("errorDetails", value.Object(details...)))
	}
	return members
}

// float is a number as AWS prints one of that type: 1.0.
func float(f float64) value.Value {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return value.MustParse(text)
}

func textOf(v value.Value, key string) *string {
	if v = v.Get(key); !v.IsString() {
		return nil
	}
	return new(v.Str())
}

func intOf(v value.Value, key string) *int64 {
	n, ok := v.Get(key).Int()
	if !ok {
		return nil
	}
	return &n
}
