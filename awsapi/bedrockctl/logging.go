package bedrockctl

import (
	"context"

	"tokaido/awsapi"
	"tokaido/connector"
	"tokaido/iam"
	"tokaido/value"
)

// LoggingOps are the operations on the configuration of invocation logs.
func LoggingOps(logs *connector.InvocationLogs) []awsapi.Op {
	const route = " /logging/modelinvocations"
	op := func(name, method string, handle func(context.Context, *awsapi.Request) (*awsapi.Response, error)) awsapi.Op {
		return awsapi.Op{
			Service: service, Source: source, Name: name, Protocol: awsapi.RESTJSON, Route: method + route, ReadOnly: method == "GET",
			Needs: func(context.Context, *awsapi.Request) ([]iam.Authorization, error) {
				return []iam.Authorization{{Action: "bedrock:" + name, Resource: "*"}}, nil
			},
			Handle: handle,
		}
	}
	return []awsapi.Op{
		op("PutModelInvocationLoggingConfiguration", "PUT", func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			if err := r.Refuse("loggingConfig"); err != nil {
				return nil, err
			}
			c, err := connector.ReadLogConfig(r.Input.Get("loggingConfig"))
			if err != nil {
				return nil, err
			}
			return awsapi.OK(), logs.Put(ctx, r.Region, r.Account, c)
		}),
		op("GetModelInvocationLoggingConfiguration", "GET", func(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			if err := r.Refuse(); err != nil {
				return nil, err
			}
			if c := logs.Get(r.Region, r.Account); c != nil {
				return awsapi.OK(value.Member{Key: "loggingConfig", Value: c.Value()}), nil
			}
			return awsapi.OK(), nil
		}),
		op("DeleteModelInvocationLoggingConfiguration", "DELETE", func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			if err := r.Refuse(); err != nil {
				return nil, err
			}
			return awsapi.OK(), logs.Put(ctx, r.Region, r.Account, nil)
		}),
	}
}
