package bedrockrt

import (
	"context"
	"strings"

	"tokaido/arn"
	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/iam"
)

// elsewhere are operations of Bedrock Runtime that this server does not perform.
// Whoever is allowed to call one is told so by its name, and the call is recorded;
// a path that is not known would tell less.
func elsewhere() []awsapi.Op {
	op := func(name, route, action, param, kind string) awsapi.Op {
		return refused(name, route, action, param, kind, name+" is not supported by this server.")
	}
	return []awsapi.Op{
		op("ApplyGuardrail", "POST /guardrail/{guardrailIdentifier}/version/{guardrailVersion}/apply", "bedrock:ApplyGuardrail", "guardrailIdentifier", "guardrail"),
		op("StartAsyncInvoke", "POST /async-invoke", "bedrock:InvokeModel", "", ""),
		op("ListAsyncInvokes", "GET /async-invoke", "bedrock:ListAsyncInvokes", "", ""),
		op("GetAsyncInvoke", "GET /async-invoke/{invocationArn}", "bedrock:GetAsyncInvoke", "invocationArn", "async-invoke"),
		op("InvokeModelWithBidirectionalStream", "POST /model/{modelId}/invoke-with-bidirectional-stream", "bedrock:InvokeModel", "modelId", "foundation-model"),
	}
}

// refused is an operation that is answered with a text. Its resource is what the
// parameter of its path names, of a kind; without one it is all.
func refused(name, route, action, param, kind, text string) awsapi.Op {
	return awsapi.Op{
		Service: service, Source: source, Name: name, Protocol: awsapi.RESTJSON, Route: route, ReadOnly: true, Blob: true, MaxBody: bedrock.MaxBody,
		Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
			resource := "*"
			if id := r.Path[param]; strings.HasPrefix(id, "arn:") && arn.Is(id) {
				resource = id
			} else if id != "" {
				resource = arn.New("bedrock", r.Region, r.Account, kind+"/"+id).String()
			}
			return []iam.Authorization{{Action: action, Resource: resource}}, nil
		},
		Handle: func(context.Context, *awsapi.Request) (*awsapi.Response, error) {
			return nil, bedrock.Fault("ValidationException", "%s", text)
		},
	}
}
