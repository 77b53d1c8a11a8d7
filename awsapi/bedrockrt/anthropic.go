package bedrockrt

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/connector"
	"tokaido/fault"
	"tokaido/value"
)

const bedrockVersion = "bedrock-2023-05-31" // of the API, in a body

// messagesVersions are those of the API in its header. A conversation is the same
// in all of them.
var messagesVersions = []string{"", "2023-06-01", "2026-10-21"}

// anthropicOps are those of Anthropic's API.
func anthropicOps(in *connector.Inference) []awsapi.Op {
	h := messageHandlers{foreign{in, bedrock.Anthropic, func(r *awsapi.Request, v value.Value) value.Value {
		v = v.Without("model").Without("stream").With("anthropic_version", value.String(bedrockVersion))
		var betas []value.Value
		for _, line := range r.Header.Values("Anthropic-Beta") {
			for b := range strings.SplitSeq(line, ",") {
				if b = strings.TrimSpace(b); b != "" {
					betas = append(betas, value.String(b))
				}
			}
		}
		if betas != nil {
			v = v.With("anthropic_beta", value.Array(betas...))
		}
		return v
	}}}
	op := func(name, route string, handle func(context.Context, *awsapi.Request) (*awsapi.Response, error)) awsapi.Op {
		return awsapi.Op{
			Service: service, Source: source, Name: name, Protocol: awsapi.RESTJSON, Route: route, ReadOnly: true, MaxBody: bedrock.MaxBody,
			KeyHeader: "X-Api-Key", Fail: anthropicError, Open: open, Handle: handle,
		}
	}
	list := func(name, route string, handle func(context.Context, *awsapi.Request) (*awsapi.Response, error)) awsapi.Op {
		o := op(name, route, handle)
		o.Open, o.Needs = "", listing
		return o
	}
	return []awsapi.Op{
		op("Messages", "POST /anthropic/v1/messages", h.messages),
		op("CountMessageTokens", "POST /anthropic/v1/messages/count_tokens", h.count),
		list("ListMessageModels", "GET /anthropic/v1/models", h.models),
		list("GetMessageModel", "GET /anthropic/v1/models/{model}", h.model),
	}
}

type messageHandlers struct{ foreign }

// read refuses a version of the API that is not known, besides what every
// foreign endpoint refuses.
func (h messageHandlers) read(r *awsapi.Request) asked {
	a := h.foreign.read(r)
	if v := r.Header.Get("Anthropic-Version"); !slices.Contains(messagesVersions, v) && a.request.Unsupported == nil {
		a.request.Unsupported = bedrock.Fault("ValidationException", "anthropic-version: %.64q is not a valid version", v)
	}
	return a
}

func (h messageHandlers) messages(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	a := h.read(r)
	if !a.stream {
		header := headers(r, "Request-Id", "application/json")
		v, res, err := h.whole(ctx, r, a)
		if err != nil {
			return nil, err
		}
		header.Set(RegionHeader, answered(res.Region, res.Within))
		return &awsapi.Response{Header: header, Body: v}, nil
	}
	header := headers(r, "Request-Id", eventStream)
	return &awsapi.Response{Header: header, Text: func(ctx context.Context, w awsapi.TextWriter) error {
		var buf []byte
		begun := false
		send := func(v value.Value) error {
			begun = true
			buf = append(append(append(buf[:0], "event: "...), v.Get("type").Str()...), "\ndata: "...)
			buf = append(append(buf, v.Compact().AppendJSON(nil)...), "\n\n"...)
			return w.WriteText(buf)
		}
		_, err := h.streamed(ctx, r, a, header, send)
		if err != nil && begun {
			f := told(err)
			v, _ := value.Parse(anthropicError(f, f.Status, r.Meta.RequestID))
			send(v) //nolint:errcheck // err is what matters
		}
		return err
	}}, nil
}

func (h messageHandlers) count(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if !r.Input.Has("max_tokens") { // it is not asked for here, and every body needs one
		r.Input = r.Input.With("max_tokens", value.Int(1))
	}
	a := h.read(r)
	n, err := h.in.CountTokens(ctx, from(r), a.model, func(*bedrock.Plan) (bedrock.Request, error) {
		return a.request, a.request.Check()
	})
	if err != nil {
		return nil, err
	}
	return &awsapi.Response{Header: headers(r, "Request-Id", "application/json"), Body: value.Object(value.Member{Key: "input_tokens", Value: value.Int(int64(n))})}, nil
}

func (c callable) anthropic() value.Value {
	return value.Object(value.Member{Key: "type", Value: value.String("model")}, value.Member{Key: "id", Value: value.String(c.id)},
		value.Member{Key: "display_name", Value: value.String(c.name)}, value.Member{Key: "created_at", Value: value.String(c.time().Format(time.RFC3339))})
}

// The pages of a list of models, as the API has them.
const (
	modelsPage     = 20
	mostModelsPage = 1000
)

func (h messageHandlers) models(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	all := h.callable(r)
	find := func(name string) (int, error) {
		i := slices.IndexFunc(all, func(c callable) bool { return c.id == r.Query.Get(name) })
		if i < 0 {
			return 0, bedrock.Fault("ValidationException", "%s: there is no model %.128q", name, r.Query.Get(name))
		}
		return i, nil
	}
	limit, from, to, last := modelsPage, 0, len(all), false
	for name, vs := range r.Query {
		var err error
		switch name {
		case "limit":
			if limit, err = strconv.Atoi(vs[0]); err != nil || limit < 1 || limit > mostModelsPage {
				err = bedrock.Fault("ValidationException", "limit: must be between 1 and %d", mostModelsPage)
			}
		case "after_id":
			from, err = find(name)
			from++
		case "before_id": // the page that ends before it
			to, err = find(name)
			last = true
		default:
			err = bedrock.Fault("ValidationException", "%.64s: Extra inputs are not permitted", name)
		}
		if err != nil {
			return nil, err
		}
	}
	page := all[min(from, to):to]
	more := len(page) > limit
	if more && last {
		page = page[len(page)-limit:]
	} else if more {
		page = page[:limit]
	}
	list := make([]value.Value, len(page))
	first, end := value.Null(), value.Null()
	for i, c := range page {
		list[i] = c.anthropic()
	}
	if len(page) > 0 {
		first, end = value.String(page[0].id), value.String(page[len(page)-1].id)
	}
	return &awsapi.Response{Header: headers(r, "Request-Id", "application/json"), Body: value.Object(value.Member{Key: "data", Value: value.Array(list...)},
		value.Member{Key: "has_more", Value: value.Bool(more)}, value.Member{Key: "first_id", Value: first}, value.Member{Key: "last_id", Value: end})}, nil
}

func (h messageHandlers) model(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	for _, c := range h.callable(r) {
		if c.id == r.Path["model"] {
			return &awsapi.Response{Header: headers(r, "Request-Id", "application/json"), Body: c.anthropic()}, nil
		}
	}
	return nil, noModel(r)
}

func anthropicError(f *fault.Error, status int, requestID string) []byte {
	kind := "api_error"
	switch status {
	case http.StatusBadRequest:
		kind = "invalid_request_error"
	case http.StatusUnauthorized:
		kind = "authentication_error"
	case http.StatusForbidden:
		kind = "permission_error"
	case http.StatusNotFound:
		kind = "not_found_error"
	case http.StatusRequestEntityTooLarge:
		kind = "request_too_large"
	case http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case http.StatusRequestTimeout:
		kind = "timeout_error"
	case http.StatusServiceUnavailable:
		kind = "overloaded_error"
	}
	return value.Object(value.Member{Key: "type", Value: value.String("error")},
		value.Member{Key: "error", Value: value.Object(value.Member{Key: "type", Value: value.String(kind)}, value.Member{Key: "message", Value: value.String(f.Message)})},
		value.Member{Key: "request_id", Value: value.String(requestID)}).AppendJSON(nil)
}
