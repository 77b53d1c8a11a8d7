package bedrockctl_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tokaido/awsapi"
	"tokaido/awsapi/bedrockctl"
	"tokaido/connector"
	"tokaido/gate"
	"tokaido/iam"
)

// openLogs is the logging operations and nothing else.
func openLogs(t *testing.T) *plane {
	t.Helper()
	logs, err := connector.OpenInvocationLogs(t.Context(), t.TempDir(), keep{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
	})
	lists, err := iam.Parse(iam.IdentityPolicy, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"bedrock:List*","Resource":"*"}}`))
	if err != nil {
		t.Fatal(err)
	}
	api, err := awsapi.New(awsapi.Config{Directory: people{lists}, Gate: gate.New(noLog{}, nil), Ops: bedrockctl.LoggingOps(logs)})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	return &plane{t, s, nil}
}

// Invocation logging is off until it is put, of one Region and no other, comes back
// as it was put, and can be taken away twice.
func TestLoggingConfiguration(t *testing.T) {
	p := openLogs(t)
	const target = "/logging/modelinvocations"
	expect := func(a answer, want string) {
		t.Helper()
		if a.status != http.StatusOK || a.text != want {
			t.Errorf("%d %s, want %s", a.status, a.text, want)
		}
	}
	expect(p.call(tokyo, "GET", target, ""), "{}")
	const config = `{"loggingConfig":{"s3Config":{"bucketName":"my-logs","keyPrefix":"bedrock"},"textDataDeliveryEnabled":true,"imageDataDeliveryEnabled":false,"embeddingDataDeliveryEnabled":true,"videoDataDeliveryEnabled":false,"audioDataDeliveryEnabled":false}}`
	expect(p.call(tokyo, "PUT", target, config), "{}")
	expect(p.call(tokyo, "GET", target, ""), config)
	expect(p.call(osaka, "GET", target, ""), "{}")
	expect(p.call(tokyo, "PUT", target, strings.Replace(config, "my-logs", "other", 1)), "{}")
	expect(p.call(tokyo, "GET", target, ""), strings.Replace(config, "my-logs", "other", 1))
	expect(p.call(tokyo, "DELETE", target, ""), "{}")
	expect(p.call(tokyo, "GET", target, ""), "{}")
	expect(p.call(tokyo, "DELETE", target, ""), "{}")
	for body, text := range map[string]string{
		`{}`:                                "Value at 'loggingConfig' failed to satisfy constraint: Member must not be null",
		`{"loggingConfig":{}}`:              "Value at 'loggingConfig.s3Config' failed to satisfy constraint: Member must not be null",
		`{"loggingConfig":{},"x":1}`:        "The parameter x is not supported by PutModelInvocationLoggingConfiguration.",
		`{"loggingConfig":{"s3Config":{}}}`: "loggingConfig.s3Config.bucketName",
		`{"loggingConfig":{"cloudWatchConfig":{"logGroupName":"g","roleArn":"r","largeDataDeliveryS3Config":{"bucketName":"b"}}}}`: "loggingConfig.cloudWatchConfig is not supported by this server: g",
	} {
		p.refused(p.call(tokyo, "PUT", target, body), 400, "ValidationException", text)
	}
	for method, action := range map[string]string{"GET": "Get", "PUT": "Put", "DELETE": "Delete"} {
		body := ""
		if method == "PUT" {
			body = config
		}
		want := "User: arn:aws:iam::111122223333:user/u is not authorized to perform: bedrock:" + action + "ModelInvocationLoggingConfiguration on resource: * because no identity-based policy allows the bedrock:" + action + "ModelInvocationLoggingConfiguration action"
		if a := p.call(tokyo, method, target, body, "AKIAUSER"); a.status != http.StatusForbidden || a.body.Get("Message").Str() != want {
			t.Errorf("%s: %d %s", method, a.status, a.text)
		}
	}
}
