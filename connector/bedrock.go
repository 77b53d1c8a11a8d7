package connector

import (
	"context"

	"github.com/google/uuid"

	"tokaido/bedrock"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/value"
)

// Bedrock performs Tasks that call models: the optimized integration
// bedrock:invokeModel, and Converse and InvokeModel of the SDK integration.
type Bedrock struct {
	Inference *Inference
	Roles     Roles
}

// AddTo puts the integrations in a table.
func (b *Bedrock) AddTo(t Table) {
	t["bedrock:invokeModel"] = flow.InvokerFunc(b.optimized)
	t["aws-sdk:bedrockruntime:invokeModel"] = flow.InvokerFunc(b.invokeModel)
	t["aws-sdk:bedrockruntime:converse"] = flow.InvokerFunc(b.converse)
}

const (
	runtimeService = "BedrockRuntime" // in the SDK's words
	runtimeHost    = "bedrock-runtime.{region}.amazonaws.com"
)

func faultCode(err error) string { return fault.Code(err) }

// from assumes the task's role and says where its call comes from.
func (b *Bedrock) from(ctx context.Context, t *flow.Task) (From, error) {
	by, err := assume(ctx, b.Roles, t)
	if err != nil {
		return From{}, err
	}
	return From{
		By: by, Region: t.Region, Account: t.Account, Meta: meta(t, runtimeHost, uuid.NewString()),
		Workflow: gate.Workflow{ExecutionARN: t.ExecutionARN, State: t.State},
	}, nil
}

// optimized is arn:aws:states:::bedrock:invokeModel. Its Body is JSON in the
// result; errors begin with "Bedrock.".
func (b *Bedrock) optimized(ctx context.Context, t flow.Task) (value.Value, error) {
	if err := only(&t, "ModelId", "Body", "ContentType", "Accept"); err != nil {
		return value.Value{}, err
	}
	res, err := b.invoke(ctx, &t, "Bedrock")
	if err != nil {
		return value.Value{}, err
	}
	body, err := value.Parse(res.Body)
	if err != nil {
		body = value.String(string(res.Body))
	}
	return value.Object(value.Member{Key: "Body", Value: body}, value.Member{Key: "ContentType", Value: value.String(res.ContentType)}), nil
}

// invokeModel is arn:aws:states:::aws-sdk:bedrockruntime:invokeModel: the Body
// of its result is text.
func (b *Bedrock) invokeModel(ctx context.Context, t flow.Task) (value.Value, error) {
	if err := only(&t, "ModelId", "Body", "ContentType", "Accept"); err != nil {
		return value.Value{}, err
	}
	res, err := b.invoke(ctx, &t, runtimeService)
	if err != nil {
		return value.Value{}, err
	}
	return value.Object(value.Member{Key: "Body", Value: value.String(string(res.Body))}, value.Member{Key: "ContentType", Value: value.String(res.ContentType)}), nil
}

func (b *Bedrock) invoke(ctx context.Context, t *flow.Task, prefix string) (*bedrock.Result, error) {
	id, err := text(t, "ModelId")
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, unusable(t, "The field 'ModelId' is required but was missing")
	}
	var r bedrock.Request
	if r.ContentType, err = text(t, "ContentType"); err != nil {
		return nil, err
	}
	if r.Accept, err = text(t, "Accept"); err != nil {
		return nil, err
	}
	switch body := t.Args.Get("Body"); {
	case body.IsUndefined():
		return nil, unusable(t, "The field 'Body' is required but was missing")
	case body.IsString():
		r.Body = []byte(body.Str())
	default:
		r.Body = body.AppendJSON(nil)
	}
	from, err := b.from(ctx, t)
	if err != nil {
		return nil, err
	}
	res, err := b.Inference.Invoke(ctx, from, id, r)
	if err != nil {
		return nil, failed(err, prefix, runtimeService, from.Meta.RequestID)
	}
	return res, nil
}

// text returns a member that must be a string if it is there.
func text(t *flow.Task, name string) (string, error) {
	v := t.Args.Get(name)
	if !v.IsUndefined() && !v.IsString() {
		return "", unusable(t, "The value of the field '%s' has an invalid format", name)
	}
	return v.Str(), nil
}

// converse is arn:aws:states:::aws-sdk:bedrockruntime:converse: members are
// spelled with a capital letter, in and out.
func (b *Bedrock) converse(ctx context.Context, t flow.Task) (value.Value, error) {
	if !t.Args.IsObject() {
		return value.Value{}, unusable(&t, "The parameters are not an object")
	}
	id, err := text(&t, "ModelId")
	if err != nil {
		return value.Value{}, err
	}
	if id == "" {
		return value.Value{}, unusable(&t, "The field 'ModelId' is required but was missing")
	}
	for name := range t.Args.Members() {
		if name == "" || name[0] < 'A' || name[0] > 'Z' {
			return value.Value{}, unusable(&t, "The field %q is not supported by this server: members begin with a capital letter", name)
		}
	}
	request := respell(t.Args.Without("ModelId"), lower)
	from, err := b.from(ctx, &t)
	if err != nil {
		return value.Value{}, err
	}
	out, _, err := b.Inference.Converse(ctx, from, id, request)
	if err != nil {
		return value.Value{}, failed(err, runtimeService, runtimeService, from.Meta.RequestID)
	}
	return respell(out, upper), nil
}

func lower(s string) string {
	if s != "" && s[0] >= 'A' && s[0] <= 'Z' {
		return string(s[0]|0x20) + s[1:]
	}
	return s
}

func upper(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]&^0x20) + s[1:]
	}
	return s
}

// documents are members of Converse's shapes, as they are spelled in its API,
// whose insides belong to the caller or the model and are left alone.
var documents = map[string]bool{
	"json": true, "input": true, "additionalModelRequestFields": true, "additionalModelResponseFields": true,
	"requestMetadata": true, "promptVariables": true,
}

// respell changes how the members of v's shapes are spelled.
func respell(v value.Value, spell func(string) string) value.Value {
	switch v.Kind() {
	case value.KindObject:
		m := make([]value.Member, 0, v.Len())
		for k, x := range v.Members() {
			if !documents[lower(k)] {
				x = respell(x, spell)
			}
			m = append(m, value.Member{Key: spell(k), Value: x})
		}
		return value.Object(m...)
	case value.KindArray:
		items := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			items = append(items, respell(x, spell))
		}
		return value.Array(items...)
	}
	return v
}
