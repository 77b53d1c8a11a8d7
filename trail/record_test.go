package trail

import (
	"testing"

	"tokaido/value"
)

// TestCloudTrail: the events as CloudTrail prints them (bedrock.md, section d).
func TestCloudTrail(t *testing.T) {
	role := record(1)
	role.EventID, role.ExecutionARN, role.State = "e-1", "arn:aws:states:ap-northeast-1:111122223333:execution:m:x", "Ask"
	role.Identity.InvokedBy = "states.amazonaws.com"
	denied := record(5)
	denied.EventID, denied.Identity, denied.Resources, denied.Additional, denied.TLS = "e-2", Identity{
		Type: "IAMUser", PrincipalID: "AIDAEXAMPLE", ARN: "arn:aws:iam::111122223333:user/ann", Account: "111122223333", AccessKeyID: "AKIAEXAMPLE", UserName: "ann",
	}, nil, value.Value{}, false
	root := record(7)
	root.EventID, root.Source, root.Name, root.Request, root.Additional, root.Resources = "e-3", "iam.amazonaws.com", "CreateRole", value.Value{}, value.Value{}, nil
	root.Response = value.MustParse(`{"role":{"roleName":"r"}}`)
	service := &Record{EventID: "e-4", Time: at0, Source: "sts.amazonaws.com", Name: "AssumeRole", Region: "ap-northeast-1", Account: "111122223333",
		Identity: Identity{Type: "AWSService", InvokedBy: "states.amazonaws.com"}, SourceIP: "states.amazonaws.com", ReadOnly: true}
	for _, c := range []struct {
		name, user, want string
		r                *Record
	}{
		{"role", "run", `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:run","arn":"arn:aws:sts::111122223333:assumed-role/flow/run","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/flow","accountId":"111122223333","userName":"flow"},"attributes":{"creationDate":"2026-10-01T12:00:00Z","mfaAuthenticated":"false"}},"invokedBy":"states.amazonaws.com"},"eventTime":"2026-10-01T12:00:01Z","eventSource":"bedrock.amazonaws.com","eventName":"Converse","awsRegion":"ap-northeast-1","sourceIPAddress":"127.0.0.1","userAgent":"aws-cli/2","requestParameters":{"modelId":"jp.anthropic.claude-sonnet-4-5-20250929-v1:0"},"responseElements":null,"additionalEventData":{"inferenceRegion":"ap-northeast-3","inputTokens":9,"executionArn":"arn:aws:states:ap-northeast-1:111122223333:execution:m:x","state":"Ask"},"requestID":"request-1","eventID":"e-1","readOnly":false,"resources":[{"accountId":"111122223333","type":"AWS::Bedrock::InferenceProfile","ARN":"arn:profile/1"}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"clientProvidedHostHeader":"bedrock-runtime.ap-northeast-1.amazonaws.com"}}`, role},
		{"user", "ann", `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::111122223333:user/ann","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE","userName":"ann"},"eventTime":"2026-10-01T12:00:05Z","eventSource":"bedrock.amazonaws.com","eventName":"InvokeModel","awsRegion":"ap-northeast-1","sourceIPAddress":"127.0.0.1","userAgent":"aws-cli/2","errorCode":"AccessDenied","errorMessage":"User: x is not authorized","requestParameters":{"modelId":"jp.anthropic.claude-sonnet-4-5-20250929-v1:0"},"responseElements":null,"requestID":"request-5","eventID":"e-2","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}`, denied},
		{"root", "root", `{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE"},"eventTime":"2026-10-01T12:00:07Z","eventSource":"iam.amazonaws.com","eventName":"CreateRole","awsRegion":"ap-northeast-3","sourceIPAddress":"127.0.0.1","userAgent":"aws-cli/2","requestParameters":null,"responseElements":{"role":{"roleName":"r"}},"requestID":"request-7","eventID":"e-3","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"clientProvidedHostHeader":"bedrock-runtime.ap-northeast-1.amazonaws.com"}}`, root},
		{"service", "states.amazonaws.com", `{"eventVersion":"1.11","userIdentity":{"type":"AWSService","invokedBy":"states.amazonaws.com"},"eventTime":"2026-10-01T12:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"ap-northeast-1","sourceIPAddress":"states.amazonaws.com","requestParameters":null,"responseElements":null,"eventID":"e-4","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}`, service},
	} {
		if got := c.r.CloudTrail().JSON(); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		if got := c.r.Username(); got != c.user {
			t.Errorf("%s: user %q, want %q", c.name, got, c.user)
		}
	}
}
