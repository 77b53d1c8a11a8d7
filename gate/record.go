package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"tokaido/arn"
	"tokaido/fault"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// What a record may hold; CloudTrail's limits for its own.
const (
	maxParameters = 100 << 10 // bytes of requestParameters, and of responseElements
	maxText       = 1 << 10   // bytes of errorMessage, and of what a client says of itself
)

// bounded is v, or in its place the note that CloudTrail makes of one too large.
func bounded(name string, v value.Value) value.Value {
	if v.IsUndefined() {
		return v
	}
	n := len(v.JSON())
	if n <= maxParameters {
		return v
	}
	return value.Object(
		value.Member{Key: "omitted", Value: value.Bool(true)},
		value.Member{Key: "originalSize", Value: value.Int(int64(n))},
		value.Member{Key: "reason", Value: value.String(name + " too large")},
	)
}

// outcome is errorCode and errorMessage. What is not a fault is ours: its text
// is for our logs, and could hold anything.
func outcome(err error) (code, message string) {
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case err == nil:
		return "", ""
	case ok:
		code, message = f.Code, f.Message
		if f.Auth && code == "AccessDeniedException" {
			code = "AccessDenied" // as the log calls what IAM denied, whatever the service calls it
		}
	case errors.Is(err, context.Canceled):
		return "RequestCanceled", "The caller went away before the call ended."
	case errors.Is(err, context.DeadlineExceeded):
		return "RequestTimeout", "The call took longer than it may."
	default:
		return "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."
	}
	return code, cut(message)
}

// cut is s, or as much of it as a record holds.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// identity is p in CloudTrail's words.
func identity(p *principal.Principal) trail.Identity {
	id := trail.Identity{
		PrincipalID: p.ID, ARN: p.ARN, Account: p.Account, AccessKeyID: p.AccessKeyID,
		InvokedBy: p.AssumedBy, IssuedAt: p.IssuedAt,
	}
	switch p.Type {
	case principal.Root:
		id.Type = "Root"
	case principal.User:
		id.Type, id.UserName = "IAMUser", p.Name
	case principal.AssumedRole:
		id.Type = "AssumedRole"
		role, _, _ := strings.Cut(p.ID, ":")
		id.Issuer = &trail.Issuer{Type: "Role", PrincipalID: role, ARN: p.RoleARN, Account: p.Account, UserName: p.Name}
	case principal.Service:
		id = trail.Identity{Type: "AWSService", InvokedBy: p.Name}
	default:
		id.Type = "Unknown"
	}
	return id
}

// resources is what the Needs of c name. Of an inference only the first is what
// the caller asked for; the others are where it may run.
func resources(c *Call) (all []trail.Resource) {
	for i, n := range c.Needs {
		if n.Resource == "*" || strings.HasSuffix(n.Resource, "/*") || c.Inference && i > 0 {
			continue
		}
		r := trail.Resource{Type: resourceType(n.Resource), Name: n.Resource}
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// resourceTypes are CloudTrail's names for what ARNs name.
var resourceTypes = map[string]string{
	"bedrock:inference-profile":             "AWS::Bedrock::InferenceProfile",
	"bedrock:application-inference-profile": "AWS::Bedrock::ApplicationInferenceProfile",
	"bedrock:foundation-model":              "AWS::Bedrock::Model",
	"iam:role":                              "AWS::IAM::Role",
	"iam:user":                              "AWS::IAM::User",
	"iam:group":                             "AWS::IAM::Group",
	"iam:policy":                            "AWS::IAM::Policy",
	"states:stateMachine":                   "AWS::StepFunctions::StateMachine",
	"states:execution":                      "AWS::StepFunctions::Execution",
	"states:express":                        "AWS::StepFunctions::Execution",
	"states:activity":                       "AWS::StepFunctions::Activity",
	"cloudtrail:trail":                      "AWS::CloudTrail::Trail",
	"lambda:function":                       "AWS::Lambda::Function",
}

func resourceType(name string) string {
	a, err := arn.Parse(name)
	if err != nil {
		return ""
	}
	kind, _ := a.Split()
	return resourceTypes[a.Service+":"+kind]
}
