package amazon

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"

	"tokaido/awsapi/sigv4"
)

// Chain is AWS's ordinary credential chain: environment, shared files, SSO, and
// what the machine itself has. profile is one of the shared files'; "": the
// default. It refreshes what expires.
func Chain(ctx context.Context, region, profile string) (Credentials, error) {
	opts := []func(*config.LoadOptions) error{config.WithRegion(region)}
	if profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(profile))
	}
	c, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("AWS's configuration: %w", err)
	}
	return func(ctx context.Context) (sigv4.Credentials, error) {
		k, err := c.Credentials.Retrieve(ctx)
		return sigv4.Credentials{AccessKeyID: k.AccessKeyID, Secret: k.SecretAccessKey, SessionToken: k.SessionToken}, err
	}, nil
}
