package bedrockrt

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"tokaido/arn"
	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/connector"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/value"
)

// foreign is an endpoint that speaks another company's API. Its model is an id,
// profile or ARN of Bedrock's; a call of it is an InvokeModel or an
// InvokeModelWithResponseStream in every respect but its form.
type foreign struct {
	in     *connector.Inference
	family bedrock.Family
	// clean makes the body of a call from the client's, for a model that speaks
	// the same; it must leave out what is about the transport.
	clean func(r *awsapi.Request, body value.Value) value.Value
}

// asked is a request to an endpoint.
type asked struct {
	model   string
	stream  bool
	usage   bool // at the end of a stream
	request bedrock.Request
	bridge  *bedrock.Bridge // nil: the model speaks the client's form
}

// read makes the model's own request of r. What is wrong with it is refused by
// the corridor, so that it is recorded, and only to who may call the model.
func (f foreign) read(r *awsapi.Request) asked {
	v := r.Input
	a := asked{model: v.Get("model").Str(), stream: v.Get("stream").Bool(), usage: v.Get("stream_options").Get("include_usage").Bool()}
	if strings.HasPrefix(a.model, "arn:") && !arn.Is(a.model) {
		a.model = "" // no model has such a name
	}
	body := f.clean(r, v)
	a.request = bedrock.Request{Body: body.AppendJSON(nil)}
	plan, err := f.in.Runtime.Plan(r.Region, r.Account, a.model)
	if err != nil {
		return a // the corridor makes the plan too, and refuses it
	}
	if family := bedrock.FamilyOf(plan.Model); family != f.family {
		if a.bridge, err = bedrock.NewBridge(f.family, family, plan.Model, body); err != nil {
			a.request.Unsupported = err
		} else {
			a.request.Body = a.bridge.Body().AppendJSON(nil)
		}
	}
	return a
}

func (f foreign) head(r *awsapi.Request, a asked) bedrock.Head {
	return bedrock.Head{ID: strings.ReplaceAll(r.Meta.RequestID, "-", ""), Model: a.model, Created: r.Time.Unix()}
}

// whole answers in one piece.
func (f foreign) whole(ctx context.Context, r *awsapi.Request, a asked) (value.Value, *bedrock.Result, error) {
	res, err := f.in.Invoke(ctx, from(r), a.model, a.request)
	if err != nil {
		return value.Value{}, nil, err
	}
	v, err := value.Parse(res.Body)
	if err == nil && a.bridge != nil {
		v, err = a.bridge.Answer(v, f.head(r, a), res.Usage)
	}
	return v, res, err
}

// streamed passes on a stream's chunks in the client's form, and after the last
// what the form ends with. The call is recorded before the end is told.
func (f foreign) streamed(ctx context.Context, r *awsapi.Request, a asked, header http.Header, emit func(value.Value) error) (*bedrock.Result, error) {
	var out *bedrock.BridgeStream
	if a.bridge != nil {
		out = a.bridge.Stream(f.head(r, a))
	}
	res, err := f.in.InvokeStream(ctx, from(r), a.model, a.request, announce(header), func(chunk []byte) error {
		v, err := value.Parse(chunk)
		if err != nil {
			return err
		}
		v = v.Without(bedrock.MetricsMember)
		if out != nil {
			return out.Chunk(v, emit)
		}
		return emit(v)
	})
	if err != nil || out == nil {
		return res, err
	}
	return res, out.End(res.Usage, emit)
}

// headers are those of an answer; begun adds which Region it is.
func headers(r *awsapi.Request, idName, contentType string) http.Header {
	h := http.Header{}
	h.Set(idName, r.Meta.RequestID)
	h.Set("Content-Type", contentType)
	if contentType == eventStream {
		h.Set("Cache-Control", "no-cache")
	}
	return h
}

const eventStream = "text/event-stream; charset=utf-8"

// told is what a client learns of an error in the middle of a stream.
func told(err error) *fault.Error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return bedrock.Fault("InternalServerException", "The request processing has failed because of an unknown error, exception or failure.")
}

// openAIOps are those of OpenAI's API.
func openAIOps(in *connector.Inference) []awsapi.Op {
	h := chatHandlers{foreign{in, bedrock.Chat, func(_ *awsapi.Request, v value.Value) value.Value {
		for name, x := range v.Members() {
			// null is as good as nothing in this API
			if name == "model" || name == "stream" || name == "stream_options" || x.IsNull() {
				v = v.Without(name)
			}
		}
		return v
	}}}
	op := func(name, route string) awsapi.Op {
		return awsapi.Op{Service: service, Source: source, Name: name, Protocol: awsapi.RESTJSON, Route: route, ReadOnly: true, MaxBody: bedrock.MaxBody, Fail: openAIError}
	}
	chat, models, model := op("ChatCompletions", "POST /openai/v1/chat/completions"), op("ListModels", "GET /openai/v1/models"), op("GetModel", "GET /openai/v1/models/{model}")
	chat.Open, chat.Handle = open, h.chat
	models.Needs, models.Handle = listing, h.models
	model.Needs, model.Handle = listing, h.model
	ops := []awsapi.Op{chat, models, model}
	for _, o := range [][2]string{{"CreateResponse", "responses"}, {"CreateCompletion", "completions"}, {"CreateEmbedding", "embeddings"}} {
		x := refused(o[0], "POST /openai/v1/"+o[1], "bedrock:InvokeModel", "", "", "/openai/v1/"+o[1]+" is not supported by this server: there is /openai/v1/chat/completions.")
		x.Fail = openAIError
		ops = append(ops, x)
	}
	return ops
}

type chatHandlers struct{ foreign }

func (h chatHandlers) chat(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	a := h.read(r)
	if !a.stream {
		header := headers(r, "X-Request-Id", "application/json")
		v, res, err := h.whole(ctx, r, a)
		if err != nil {
			return nil, err
		}
		header.Set(RegionHeader, answered(res.Region, res.Within))
		if v.Get("usage").IsUndefined() {
			v = v.With("usage", bedrock.ChatUsage(res.Usage))
		}
		return &awsapi.Response{Header: header, Body: v.With("model", value.String(a.model))}, nil
	}
	header := headers(r, "X-Request-Id", eventStream)
	return &awsapi.Response{Header: header, Text: func(ctx context.Context, w awsapi.TextWriter) error {
		var buf []byte
		begun := false
		var last value.Value
		send := func(v value.Value) error {
			begun = true
			buf = append(append(append(buf[:0], "data: "...), v.Compact().AppendJSON(nil)...), "\n\n"...)
			return w.WriteText(buf)
		}
		res, err := h.streamed(ctx, r, a, header, func(v value.Value) error {
			v = v.Without("usage").With("model", value.String(a.model))
			last = v
			if v.Get("choices").Len() == 0 {
				return nil // the usage that some servers send by itself
			}
			return send(v)
		})
		if err != nil {
			if begun {
				f := told(err)
				send(value.Object(value.Member{Key: "error", Value: openAIFault(f, f.Status)})) //nolint:errcheck // err is what matters
			}
			return err
		}
		if a.usage {
			if err := send(last.With("choices", value.Array()).With("usage", bedrock.ChatUsage(res.Usage))); err != nil {
				return err
			}
		}
		return w.WriteText([]byte("data: [DONE]\n\n"))
	}}, nil
}

func openAIError(f *fault.Error, status int, _ string) []byte {
	return value.Object(value.Member{Key: "error", Value: openAIFault(f, status)}).AppendJSON(nil)
}

func openAIFault(f *fault.Error, status int) value.Value {
	kind := "invalid_request_error"
	switch {
	case status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case status >= 500:
		kind = "server_error"
	}
	return value.Object(value.Member{Key: "message", Value: value.String(f.Message)}, value.Member{Key: "type", Value: value.String(kind)},
		value.Member{Key: "param", Value: value.Null()}, value.Member{Key: "code", Value: value.String(f.Code)})
}

// callable is a model, a profile or an application profile that may be called.
type callable struct {
	id, name, owner string
	launched        string // a date; "": not known
}

// callable lists what may be called from a Region, as other companies' clients
// list models.
func (f foreign) callable(r *awsapi.Request) []callable {
	var out []callable
	c := f.in.Runtime.Catalog()
	for _, m := range c.ModelsIn(r.Region) {
		if m.OnDemand(r.Region) && bedrock.FamilyOf(m) != bedrock.OtherFamily {
			out = append(out, callable{m.ID, m.Name, m.Provider, m.Launch})
		}
	}
	for _, p := range c.ProfilesFrom(r.Region) {
		if bedrock.FamilyOf(p.Model) != bedrock.OtherFamily {
			out = append(out, callable{p.ID, p.Name, p.Model.Provider, p.Model.Launch})
		}
	}
	for _, a := range f.in.Runtime.Applications().In(r.Region, r.Account) {
		out = append(out, callable{a.ARN(), a.Name, r.Account, a.Created.UTC().Format(time.DateOnly)})
	}
	return out
}

func (c callable) openAI() value.Value {
	return value.Object(value.Member{Key: "id", Value: value.String(c.id)}, value.Member{Key: "object", Value: value.String("model")},
		value.Member{Key: "created", Value: value.Int(c.time().Unix())}, value.Member{Key: "owned_by", Value: value.String(strings.ToLower(c.owner))})
}

// time is when it was launched; the beginning of all time if that is not known.
func (c callable) time() time.Time {
	t, err := time.Parse(time.DateOnly, c.launched)
	if err != nil {
		return time.Unix(0, 0).UTC()
	}
	return t
}

func (h chatHandlers) models(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	list := []value.Value{}
	for _, c := range h.callable(r) {
		list = append(list, c.openAI())
	}
	return awsapi.OK(value.Member{Key: "object", Value: value.String("list")}, value.Member{Key: "data", Value: value.Array(list...)}), nil
}

func (h chatHandlers) model(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	for _, c := range h.callable(r) {
		if c.id == r.Path["model"] {
			return &awsapi.Response{Body: c.openAI()}, nil
		}
	}
	return nil, noModel(r)
}

func noModel(r *awsapi.Request) error {
	return bedrock.Fault("ResourceNotFoundException", "The model '%.128s' does not exist in %s.", r.Path["model"], r.Region)
}

// listing is what whoever lists models must be allowed.
func listing(context.Context, *awsapi.Request) ([]iam.Authorization, error) {
	return []iam.Authorization{{Action: "bedrock:ListFoundationModels", Resource: "*"}, {Action: "bedrock:ListInferenceProfiles", Resource: "*"}}, nil
}
