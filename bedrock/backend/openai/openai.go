// Package openai is a backend that speaks OpenAI's chat completions: vLLM,
// llama.cpp, Ollama, OpenAI itself, and whatever else is compatible.
//
// A model of the catalog whose family speaks chat completions is passed on
// nearly as it is; one of another family is translated, both ways, so that
// InvokeModel with Claude's body works on a model that never heard of it. What
// cannot be said in chat completions is refused. A model that makes vectors is
// answered for by the server's /embeddings.
package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/value"
)

var (
	_ bedrock.Backend = (*Backend)(nil)
	_ bedrock.Checker = (*Backend)(nil)
	_ bedrock.Prober  = (*Backend)(nil)
)

// Config of a Backend.
type Config struct {
	Connection upstream.Config // URL is that before /chat/completions: …/v1
	Key        string          // "": none

	// Model is the server's name of a model of the catalog. nil: the model's id.
	Model func(*catalog.Model) string

	// CompletionTokens says the output limit as max_completion_tokens, which newer
	// models of OpenAI insist on, and not as max_tokens, which all others know.
	CompletionTokens bool
}

// Backend answers with a server of chat completions. It may be shared.
type Backend struct {
	c    Config
	http *upstream.Client
}

// New checks a Config.
func New(c Config) (*Backend, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	if c.Key != "" {
		h.Set("Authorization", "Bearer "+c.Key)
	}
	maps.Copy(h, c.Connection.Header)
	c.Connection.Header = h
	u, err := upstream.New(c.Connection)
	if err != nil {
		return nil, err
	}
	if c.Model == nil {
		c.Model = func(m *catalog.Model) string { return m.ID }
	}
	return &Backend{c, u}, nil
}

// request is a call in the server's words. bridge is nil where the caller's own
// words are the server's.
func (b *Backend) request(c bedrock.Call, stream bool) (body []byte, bridge *bedrock.Bridge, err error) {
	v, err := c.Document()
	if err != nil || !v.IsObject() {
		return nil, nil, bedrock.Fault("ValidationException", "Malformed input request, please reformat your input and try again.")
	}
	switch f := bedrock.FamilyOf(c.Model); f {
	case bedrock.Chat:
		v = v.Without("stream").Without("stream_options")
	default:
		if bridge, err = bedrock.NewBridge(f, bedrock.Chat, c.Model, v); err != nil {
			return nil, nil, err
		}
		v = bridge.Body()
	}
	from, to := "max_completion_tokens", "max_tokens"
	if b.c.CompletionTokens {
		from, to = to, from
	}
	if most := v.Get(from); !most.IsUndefined() {
		v = v.Without(from).With(to, most)
	}
	v = v.With("model", value.String(b.c.Model(c.Model)))
	if stream {
		v = v.With("stream", value.Bool(true)).With("stream_options", value.Object(value.Member{Key: "include_usage", Value: value.Bool(true)}))
	}
	return v.AppendJSON(nil), bridge, nil
}

const path = "/chat/completions"

// Invoke implements [bedrock.Backend].
func (b *Backend) Invoke(ctx context.Context, c bedrock.Call) (*bedrock.Answer, error) {
	if bedrock.IsEmbedding(c.Model) {
		return b.embed(ctx, c)
	}
	body, bridge, err := b.request(c, false)
	if err != nil {
		return nil, err
	}
	v, err := b.ask(ctx, path, body)
	if err != nil {
		return nil, err
	}
	u, ok := usage(v)
	if !ok {
		u = guess(c.Body, v.Get("choices").At(0).Get("message").JSON())
	}
	if bridge == nil {
		v = v.With("model", value.String(c.Model.ID))
	} else if v, err = bridge.Answer(v, head(c.Model, v), u); err != nil {
		return nil, err
	}
	return &bedrock.Answer{Body: v.AppendJSON(nil), ContentType: "application/json", Usage: u}, nil
}

// ask sends a body and reads the whole answer.
func (b *Backend) ask(ctx context.Context, path string, body []byte) (value.Value, error) {
	doc, _, err := b.http.Whole(ctx, upstream.Request{Path: path, Body: body})
	if err != nil {
		return value.Value{}, b.fault(err)
	}
	v, err := value.ParseOwned(doc)
	if err != nil {
		return v, fmt.Errorf("%s: an answer that is not JSON: %w", b.http.URL(), err)
	}
	return v, b.said(v)
}

// Stream implements [bedrock.Backend].
func (b *Backend) Stream(ctx context.Context, c bedrock.Call) iter.Seq2[bedrock.Chunk, error] {
	return func(yield func(bedrock.Chunk, error) bool) {
		body, bridge, err := b.request(c, true)
		if err != nil {
			yield(bedrock.Chunk{}, err)
			return
		}
		resp, err := b.http.Do(ctx, upstream.Request{Path: path, Body: body}, true)
		if err != nil {
			yield(bedrock.Chunk{}, b.fault(err))
			return
		}
		defer resp.Body.Close()
		s := &stream{b: b, call: c, bridge: bridge, out: upstream.Hold{Yield: yield}}
		for e, err := range upstream.Events(resp.Body) {
			if err != nil {
				s.out.Fail(err)
				return
			}
			if more, err := s.event(e.Data); err != nil {
				s.out.Fail(err)
				return
			} else if !more {
				return
			}
		}
		s.end()
	}
}

// stream is one streamed answer.
type stream struct {
	b        *Backend
	call     bedrock.Call
	bridge   *bedrock.Bridge
	chunks   *bedrock.BridgeStream // of the bridge, once the first chunk is there
	out      upstream.Hold
	usage    bedrock.Usage
	counted  bool // the server said the usage
	finished bool // the message is complete
	said     int  // tokens, estimated
}

var errGone = errors.New("nobody takes the chunks")

// event takes one event; more is false when the stream is over.
func (s *stream) event(data string) (more bool, err error) {
	if data == "[DONE]" {
		s.end()
		return false, nil
	}
	v, err := value.ParseString(data)
	if err != nil {
		return false, fmt.Errorf("%s: a chunk that is not JSON: %w", s.b.http.URL(), err)
	}
	if err := s.b.said(v); err != nil {
		return false, err
	}
	if u, ok := usage(v); ok {
		s.usage, s.counted = u, true
	}
	choice := v.Get("choices").At(0)
	d := choice.Get("delta")
	for _, t := range []string{d.Get("content").Str(), d.Get("reasoning_content").Str(), d.Get("tool_calls").At(0).Get("function").Get("arguments").Str()} {
		s.said += bedrock.EstimateTokens(t)
	}
	s.finished = s.finished || choice.Get("finish_reason").Str() != ""
	if s.bridge == nil {
		if v = v.With("model", value.String(s.call.Model.ID)); s.finished {
			return s.out.AddValue(v), nil
		}
		return s.out.Pass(v), nil
	}
	if s.chunks == nil {
		s.chunks = s.bridge.Stream(head(s.call.Model, v))
	}
	if err := s.chunks.Chunk(v, s.pass); errors.Is(err, errGone) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// pass and emit send a chunk; what pass sends is not the last, for a bridge's end
// adds one.
func (s *stream) pass(v value.Value) error {
	if !s.out.Pass(v) {
		return errGone
	}
	return nil
}

func (s *stream) emit(v value.Value) error {
	if !s.out.AddValue(v) {
		return errGone
	}
	return nil
}

// end writes what comes last, if the message is complete. Some servers end
// without saying [DONE].
func (s *stream) end() {
	if !s.finished {
		s.out.Fail(fmt.Errorf("%s: the stream ended before the message did", s.b.http.URL()))
		return
	}
	if !s.counted {
		s.usage = bedrock.Usage{Input: bedrock.EstimateBody(s.call.Body), Output: s.said}
	}
	if s.chunks != nil {
		if err := s.chunks.End(s.usage, s.emit); errors.Is(err, errGone) {
			return
		} else if err != nil {
			s.out.Fail(err)
			return
		}
	}
	s.out.End(s.usage)
}

// Check implements [bedrock.Checker].
func (b *Backend) Check(ctx context.Context) error {
	_, _, err := b.http.Whole(ctx, upstream.Request{Method: http.MethodGet, Path: "/models"})
	return err
}

// Probes implements [bedrock.Prober]. The list of models costs nothing. llama.cpp
// gives it also while it is still loading one, and vLLM when its engine has died;
// both say so at /health.
func (b *Backend) Probes() []bedrock.Probe {
	root := b.http.At(strings.TrimSuffix(b.http.Path(), "/v1"))
	return []bedrock.Probe{{Ask: func(ctx context.Context) error {
		doc, err := b.http.Reach(ctx, "/models")
		if err != nil {
			return err
		}
		v, err := value.Parse(doc) // whatever it is, somebody is there
		if owner := v.Get("data").At(0).Get("owned_by").Str(); err == nil && slices.Contains(withHealth, owner) {
			_, err = root.Reach(ctx, "/health")
			return err
		}
		return nil
	}}}
}

// withHealth are the servers that have a /health, as their lists of models call
// them.
var withHealth = []string{"llamacpp", "vllm"}

// fault reads a refusal's document.
func (b *Backend) fault(err error) error {
	r, ok := errors.AsType[*upstream.Refusal](err)
	if !ok {
		return err
	}
	return b.http.Fault(r, message(r.Body))
}

// message is what an error document says; servers differ in its form.
func message(doc []byte) string {
	v, err := value.Parse(doc)
	if err != nil {
		return ""
	}
	e := v.Get("error")
	return cmp.Or(e.Get("message").Str(), e.Str(), v.Get("message").Str(), v.Get("detail").Str())
}

// said finds an error in an answer whose status is 200, or in a stream.
func (b *Backend) said(v value.Value) error {
	e := v.Get("error")
	if e.IsUndefined() || e.IsNull() {
		return nil
	}
	status := http.StatusInternalServerError
	if n, ok := e.Get("code").Int(); ok && n >= 400 && n < 600 {
		status = int(n)
	}
	return b.http.Fault(&upstream.Refusal{Status: status, Body: []byte(v.JSON())}, cmp.Or(e.Get("message").Str(), e.Str()))
}

// usage reads what a server counted.
func usage(v value.Value) (u bedrock.Usage, ok bool) {
	x := v.Get("usage")
	in, ok1 := x.Get("prompt_tokens").Int()
	out, ok2 := x.Get("completion_tokens").Int()
	if !ok1 && !ok2 {
		return u, false
	}
	cached, _ := x.Get("prompt_tokens_details").Get("cached_tokens").Int()
	cached = min(max(cached, 0), in)
	return bedrock.Usage{Input: int(in - cached), Output: int(out), CacheRead: int(cached)}, true
}

// guess counts for servers that do not.
func guess(asked []byte, said string) bedrock.Usage {
	return bedrock.Usage{Input: bedrock.EstimateBody(asked), Output: bedrock.EstimateTokens(said)}
}

func head(m *catalog.Model, v value.Value) bedrock.Head {
	h := bedrock.Head{ID: v.Get("id").Str(), Model: bedrock.ShortName(m)}
	var ok bool
	if h.Created, ok = v.Get("created").Int(); !ok {
		h.Created = time.Now().Unix()
	}
	return h
}

// Models lists the names of the server's models.
func (b *Backend) Models(ctx context.Context) ([]string, error) {
	doc, _, err := b.http.Whole(ctx, upstream.Request{Method: http.MethodGet, Path: "/models"})
	if err != nil {
		return nil, err
	}
	var list struct{ Data []struct{ ID string } }
	if err := json.Unmarshal(doc, &list); err != nil {
		return nil, fmt.Errorf("%s/models: %w", b.http.URL(), err)
	}
	out := make([]string, len(list.Data))
	for i, m := range list.Data {
		out[i] = m.ID
	}
	return out, nil
}
