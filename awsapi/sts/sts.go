// Package sts is STS's operation table over principal.
//
// AssumeRole and GetSessionToken are decided by principal, which holds both
// sides of the decision; GetCallerIdentity is open to everybody. All of them
// enter the gate needing nothing, so that they are recorded like the rest.
package sts

import (
	"context"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

const (
	version = "2011-06-15"
	source  = "sts.amazonaws.com"
)

// Limits of lists in a request; principal knows the others.
const (
	maxPolicyARNs = 10
	maxTags       = 50
)

// Directory is who is asked.
type Directory interface {
	AssumeRole(ctx context.Context, by *principal.Principal, in principal.AssumeRole, global iam.Context, now time.Time) (principal.Assumed, error)
	SessionToken(ctx context.Context, by *principal.Principal, life time.Duration, now time.Time) (principal.Assumed, error)
}

// Ops are the operations.
func Ops(dir Directory, g *gate.Gate) []awsapi.Op {
	t := table{dir, g}
	return []awsapi.Op{
		t.open("GetCallerIdentity", "whoever can sign may ask who he is", t.callerIdentity, true),
		t.open("AssumeRole", "principal decides, by the caller's policies and the role's trust", t.assumeRole, false),
		t.open("GetSessionToken", "no permission is needed, and none can be refused", t.sessionToken, false),
		{
			Service: "sts", Source: source, Name: "GetAccessKeyInfo", Protocol: awsapi.Query, Version: version, ReadOnly: true,
			Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
				a := r.Args()
				a.Need("AccessKeyId")
				return []iam.Authorization{{Action: "sts:GetAccessKeyInfo", Resource: "*"}}, a.End()
			},
			Handle: accessKeyInfo,
		},
	}
}

type table struct {
	dir  Directory
	gate *gate.Gate
}

// handler performs a call inside the gate. elements is what the record may
// hold of the answer.
type handler func(ctx context.Context, r *awsapi.Request) (body, elements value.Value, err error)

func (t table) open(name, why string, h handler, readOnly bool) awsapi.Op {
	return awsapi.Op{
		Service: "sts", Source: source, Name: name, Protocol: awsapi.Query, Version: version, ReadOnly: readOnly, Open: why,
		Handle: func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			var resources []trail.Resource
			if role := r.Input.Get("RoleArn").Str(); role != "" {
				resources = []trail.Resource{{Type: "AWS::IAM::Role", Name: role}}
			}
			return gate.Do(ctx, t.gate, gate.Call{
				By: r.By, Source: source, Name: name, Region: r.Region, Context: r.Context, Request: parameters(r), Resources: resources,
				ReadOnly: readOnly, Meta: r.Meta,
			}, func(ctx context.Context, act *gate.Act) (*awsapi.Response, error) {
				body, elements, err := h(ctx, r)
				if err != nil {
					return nil, err
				}
				act.Respond(elements)
				return &awsapi.Response{Body: body}, nil
			})
		},
	}
}

// parameters leaves out what authenticates: one-time codes.
func parameters(r *awsapi.Request) value.Value {
	v := awsapi.Parameters(r)
	if v.Has("tokenCode") {
		v = v.Without("tokenCode")
	}
	return v
}

func (t table) callerIdentity(_ context.Context, r *awsapi.Request) (body, elements value.Value, err error) {
	if err := r.Refuse(); err != nil {
		return body, elements, err
	}
	return value.Object(
		value.Member{Key: "Arn", Value: value.String(r.By.ARN)},
		value.Member{Key: "UserId", Value: value.String(r.By.ID)},
		value.Member{Key: "Account", Value: value.String(r.By.Account)},
	), elements, nil
}

func (t table) assumeRole(ctx context.Context, r *awsapi.Request) (body, elements value.Value, err error) {
	a := r.Args()
	in := principal.AssumeRole{
		RoleARN: a.Need("RoleArn"), SessionName: a.Need("RoleSessionName"), Policy: a.String("Policy"),
		Duration: time.Duration(a.Int("DurationSeconds", 900, 43200, 0)) * time.Second, TransitiveTags: a.Strings("TransitiveTagKeys", maxTags),
		ExternalID: a.String("ExternalId"), SourceIdentity: a.String("SourceIdentity"),
	}
	for _, p := range a.Structs("PolicyArns", maxPolicyARNs, "arn") {
		in.PolicyARNs = append(in.PolicyARNs, p[0])
	}
	for _, tag := range a.Structs("Tags", maxTags, "Key", "Value") {
		in.Tags = append(in.Tags, principal.Tag{Key: tag[0], Value: tag[1]})
	}
	// SerialNumber, TokenCode and ProvidedContexts are refused: there are no MFA
	// devices and no context providers.
	if err := a.End(); err != nil {
		return body, elements, err
	}
	out, err := t.dir.AssumeRole(ctx, r.By, in, r.Context, r.Time)
	if err != nil {
		return body, elements, err
	}
	user := value.Object(
		value.Member{Key: "AssumedRoleId", Value: value.String(out.ID)},
		value.Member{Key: "Arn", Value: value.String(out.ARN)},
	)
	m := []value.Member{{Key: "AssumedRoleUser", Value: user}}
	if in.Policy != "" || len(in.PolicyARNs)+len(in.Tags) > 0 {
		m = append(m, value.Member{Key: "PackedPolicySize", Value: value.Int(int64(out.PackedSize))})
	}
	if in.SourceIdentity != "" {
		m = append(m, value.Member{Key: "SourceIdentity", Value: value.String(in.SourceIdentity)})
	}
	body, elements = issued(&out, m)
	return body, elements, nil
}

func (t table) sessionToken(ctx context.Context, r *awsapi.Request) (body, elements value.Value, err error) {
	a := r.Args()
	life := time.Duration(a.Int("DurationSeconds", 900, 129600, 0)) * time.Second
	if err := a.End(); err != nil {
		return body, elements, err
	}
	out, err := t.dir.SessionToken(ctx, r.By, life, r.Time)
	if err != nil {
		return body, elements, err
	}
	body, elements = issued(&out, nil)
	return body, elements, nil
}

// issued is the answer that hands out credentials, and what is recorded of it:
// neither the secret nor the token.
func issued(out *principal.Assumed, more []value.Member) (body, elements value.Value) {
	known := []value.Member{
		{Key: "AccessKeyId", Value: value.String(out.AccessKeyID)},
		{Key: "Expiration", Value: wire.ISO8601(out.Expires)},
	}
	all := []value.Member{
		known[0],
		{Key: "SecretAccessKey", Value: value.String(string(out.Secret))},
		{Key: "SessionToken", Value: value.String(string(out.Token))},
		known[1],
	}
	with := func(c value.Value) value.Value {
		return value.Object(append([]value.Member{{Key: "Credentials", Value: c}}, more...)...)
	}
	return with(value.Object(all...)), awsapi.LowerFirst(with(value.Object(known...)))
}

func accessKeyInfo(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	id := r.Input.Get("AccessKeyId").Str()
	account, ok := principal.AccountOfKey(id)
	if !ok {
		return nil, fault.Newf("ValidationError", "Invalid access key: %.128s", id)
	}
	return awsapi.OK(value.Member{Key: "Account", Value: value.String(account)}), nil
}
