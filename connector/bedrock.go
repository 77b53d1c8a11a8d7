package connector

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"tokaido/bedrock"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/iam"
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
	t["bedrock:invokeModel"] = integration{unusable: invokable, perform: b.optimized}
	t["aws-sdk:bedrockruntime:invokeModel"] = integration{unusable: invokable, perform: b.invokeModel}
	t["aws-sdk:bedrockruntime:converse"] = integration{unusable: conversable, perform: b.converse}
}

// invokable says what keeps arguments from being an InvokeModel request.
func invokable(args value.Value) string {
	return cmp.Or(
		only(args, "ModelId", "Body", "ContentType", "Accept"),
		missing(args, "ModelId", "Body"),
		wrong(args, "ModelId", "ContentType", "Accept"))
}

// conversable says what keeps arguments from being a Converse request. What is
// inside the members the operation itself refuses.
func conversable(args value.Value) string {
	if !args.IsObject() {
		return "The parameters are not an object"
	}
	for name := range args.Members() {
		if name == "" || name[0] < 'A' || name[0] > 'Z' {
			return fmt.Sprintf("The field %q is not supported by this server: members begin with a capital letter", name)
		}
	}
	return cmp.Or(missing(args, "ModelId"), wrong(args, "ModelId"))
}

const (
	runtimeService = "BedrockRuntime" // in the SDK's words
	runtimeHost    = "bedrock-runtime.{region}.amazonaws.com"
)

func faultCode(err error) string { return fault.Code(err) }

// secure is what is known of a Task's request: it leaves no process in the clear.
var secure = iam.Context{{Key: "aws:SecureTransport", Values: []string{"true"}}}

// from assumes the task's role and says where its call comes from.
func (b *Bedrock) from(ctx context.Context, t *flow.Task) (From, error) {
	by, err := assume(ctx, b.Inference.Gate, b.Roles, t)
	if err != nil {
		return From{}, err
	}
	return From{
		By: by, Region: t.Region, Account: t.Account, Context: secure, Meta: meta(t, runtimeHost, uuid.NewString()),
		Workflow: gate.Workflow{ExecutionARN: t.ExecutionARN, State: t.State}, Trace: t.Trace,
	}, nil
}

// optimized is arn:aws:states:::bedrock:invokeModel. Its Body is JSON in the
// result; errors begin with "Bedrock.".
func (b *Bedrock) optimized(ctx context.Context, t *flow.Task) (value.Value, error) {
	res, err := b.invoke(ctx, t, "Bedrock")
	if err != nil {
		return value.Value{}, err
	}
	body, err := value.Parse(res.Body)
	if err != nil {
		body = value.String(string(res.Body))
	}
	return answer(body, res), nil
}

// invokeModel is arn:aws:states:::aws-sdk:bedrockruntime:invokeModel: the Body
// of its result is text.
func (b *Bedrock) invokeModel(ctx context.Context, t *flow.Task) (value.Value, error) {
	res, err := b.invoke(ctx, t, runtimeService)
	if err != nil {
		return value.Value{}, err
	}
	return answer(value.String(string(res.Body)), res), nil
}

func answer(body value.Value, res *bedrock.Result) value.Value {
	return value.Object(value.Member{Key: "Body", Value: body}, value.Member{Key: "ContentType", Value: value.String(res.ContentType)})
}

func (b *Bedrock) invoke(ctx context.Context, t *flow.Task, prefix string) (*bedrock.Result, error) {
	r := bedrock.Request{ContentType: t.Args.Get("ContentType").Str(), Accept: t.Args.Get("Accept").Str()}
	if body := t.Args.Get("Body"); body.IsString() {
		r.Body = []byte(body.Str())
	} else {
		r.Body = body.AppendJSON(nil)
	}
	from, err := b.from(ctx, t)
	if err != nil {
		return nil, err
	}
	res, err := b.Inference.Invoke(ctx, from, t.Args.Get("ModelId").Str(), r)
	if err != nil {
		return nil, failed(err, prefix, runtimeService, from.Meta.RequestID)
	}
	return res, nil
}

// converse is arn:aws:states:::aws-sdk:bedrockruntime:converse: members are
// spelled with a capital letter, in and out.
func (b *Bedrock) converse(ctx context.Context, t *flow.Task) (value.Value, error) {
	request := respell(t.Args.Without("ModelId"), lower)
	from, err := b.from(ctx, t)
	if err != nil {
		return value.Value{}, err
	}
	out, _, err := b.Inference.Converse(ctx, from, t.Args.Get("ModelId").Str(), request)
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
