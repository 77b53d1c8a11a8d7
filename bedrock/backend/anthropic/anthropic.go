// Package anthropic is a backend that speaks Anthropic's Messages API. The body
// of a Claude model is that of Messages but for three members, so it is passed on
// nearly as it is; a model of another family is translated, both ways.
package anthropic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"strings"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/value"
)

var (
	_ bedrock.Backend = (*Backend)(nil)
	_ bedrock.Counter = (*Backend)(nil)
	_ bedrock.Checker = (*Backend)(nil)
	_ bedrock.Prober  = (*Backend)(nil)
)

// DefaultURL is Anthropic's own.
const DefaultURL = "https://api.anthropic.com"

const version = "2023-06-01"

// Config of a Backend.
type Config struct {
	Connection upstream.Config // URL is that before /v1/messages; "": DefaultURL
	Key        string

	// Model is the API's name of a model of the catalog. nil: what AWS made its id
	// from, claude-sonnet-4-5-20250929.
	Model func(*catalog.Model) string
}

// Backend answers with the Messages API. It may be shared.
type Backend struct {
	c    Config
	http *upstream.Client
}

// New checks a Config.
func New(c Config) (*Backend, error) {
	h := http.Header{"Content-Type": {"application/json"}, "Anthropic-Version": {version}}
	if c.Key != "" {
		h.Set("X-Api-Key", c.Key)
	}
	maps.Copy(h, c.Connection.Header)
	c.Connection.Header = h
	c.Connection.URL = cmp.Or(c.Connection.URL, DefaultURL)
	u, err := upstream.New(c.Connection)
	if err != nil {
		return nil, err
	}
	if c.Model == nil {
		c.Model = bedrock.ShortName
	}
	return &Backend{c, u}, nil
}

// request is a call in the API's words. bridge is nil where the caller's own
// words are the API's.
func (b *Backend) request(c bedrock.Call, path string, more ...value.Member) (r upstream.Request, bridge *bedrock.Bridge, err error) {
	v, err := c.Document()
	if err != nil || !v.IsObject() {
		return r, nil, bedrock.Fault("ValidationException", "Malformed input request, please reformat your input and try again.")
	}
	if f := bedrock.FamilyOf(c.Model); f != bedrock.Anthropic {
		if bridge, err = bedrock.NewBridge(f, bedrock.Anthropic, c.Model, v); err != nil {
			return r, nil, err
		}
		v = bridge.Body()
	} else if !v.Has("anthropic_version") {
		return r, nil, bedrock.Fault("ValidationException", "anthropic_version: Field required")
	} else if s := v.Get("anthropic_version").Str(); s != "bedrock-2023-05-31" {
		return r, nil, bedrock.Fault("ValidationException", "anthropic_version: Input should be 'bedrock-2023-05-31'")
	}
	for _, name := range []string{"model", "stream"} {
		if bridge == nil && v.Has(name) {
			return r, nil, bedrock.Fault("ValidationException", "%s: Extra inputs are not permitted", name)
		}
	}
	r = upstream.Request{Path: path, Header: http.Header{}}
	var beta []string
	for _, s := range v.Get("anthropic_beta").Items() {
		beta = append(beta, s.Str())
	}
	if beta != nil {
		r.Header.Set("Anthropic-Beta", strings.Join(beta, ","))
	}
	v = v.Without("anthropic_version").Without("anthropic_beta").With("model", value.String(b.c.Model(c.Model)))
	for _, m := range more {
		v = v.With(m.Key, m.Value)
	}
	r.Body = v.AppendJSON(nil)
	return r, bridge, nil
}

const messages = "/v1/messages"

// Invoke implements [bedrock.Backend].
func (b *Backend) Invoke(ctx context.Context, c bedrock.Call) (*bedrock.Answer, error) {
	r, bridge, err := b.request(c, messages)
	if err != nil {
		return nil, err
	}
	doc, _, err := b.http.Whole(ctx, r)
	if err != nil {
		return nil, b.fault(err)
	}
	v, err := value.Parse(doc)
	if err != nil || !v.Get("content").IsArray() {
		return nil, fmt.Errorf("%s: an answer that is no message", b.http.URL())
	}
	var u bedrock.Usage
	count(&u, v.Get("usage"))
	if bridge != nil {
		if v, err = bridge.Answer(v, head(c.Model, v), u); err != nil {
			return nil, err
		}
		doc = v.AppendJSON(nil)
	}
	return &bedrock.Answer{Body: doc, ContentType: "application/json", Usage: u}, nil
}

// Stream implements [bedrock.Backend].
func (b *Backend) Stream(ctx context.Context, c bedrock.Call) iter.Seq2[bedrock.Chunk, error] {
	return func(yield func(bedrock.Chunk, error) bool) {
		out := upstream.Hold{Yield: yield}
		r, bridge, err := b.request(c, messages, value.Member{Key: "stream", Value: value.Bool(true)})
		if err != nil {
			out.Fail(err)
			return
		}
		resp, err := b.http.Do(ctx, r, true)
		if err != nil {
			out.Fail(b.fault(err))
			return
		}
		defer resp.Body.Close()
		var u bedrock.Usage
		var chunks *bedrock.BridgeStream
		errGone := errors.New("nobody takes the chunks")
		send := func(how func(value.Value) bool) func(value.Value) error {
			return func(v value.Value) error {
				if !how(v) {
					return errGone
				}
				return nil
			}
		}
		pass, emit := send(out.Pass), send(out.AddValue) // a bridge's end adds the last chunk
		for e, err := range upstream.Events(resp.Body) {
			var v value.Value
			if err == nil {
				v, err = value.ParseString(e.Data)
			}
			if err != nil {
				out.Fail(fmt.Errorf("%s: %w", b.http.URL(), err))
				return
			}
			kind := v.Get("type").Str()
			switch kind {
			case "error":
				out.Fail(b.http.Fault(&upstream.Refusal{Status: statusOf(v), Body: []byte(e.Data)}, v.Get("error").Get("message").Str()))
				return
			case "message_start":
				count(&u, v.Get("message").Get("usage"))
				if bridge != nil {
					chunks = bridge.Stream(head(c.Model, v.Get("message")))
				}
			case "message_delta":
				count(&u, v.Get("usage"))
			}
			switch {
			case bridge == nil:
				// Its end is its last event: there is nothing to hold back.
				last := kind == "message_stop"
				chunk := bedrock.Chunk{Body: []byte(e.Data)}
				if last {
					chunk.Usage = &u
				}
				if !yield(chunk, nil) || last {
					return
				}
				continue
			case chunks == nil:
				continue // a ping before the message
			}
			if err = chunks.Chunk(v, pass); err == nil && kind == "message_stop" {
				if err = chunks.End(u, emit); err == nil {
					out.End(u)
					return
				}
			}
			if errors.Is(err, errGone) {
				return
			} else if err != nil {
				out.Fail(err)
				return
			}
		}
		out.Fail(fmt.Errorf("%s: the stream ended before the message did", b.http.URL()))
	}
}

// CountTokens implements [bedrock.Counter].
func (b *Backend) CountTokens(ctx context.Context, c bedrock.Call) (int, error) {
	r, _, err := b.request(c, messages+"/count_tokens")
	if err != nil {
		return 0, err
	}
	v, err := value.Parse(r.Body)
	if err != nil {
		return 0, err
	}
	// What only running a request takes, counting one refuses.
	for _, name := range []string{"max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "metadata"} {
		v = v.Without(name)
	}
	r.Body = v.AppendJSON(nil)
	doc, _, err := b.http.Whole(ctx, r)
	if err != nil {
		return 0, b.fault(err)
	}
	if v, err = value.Parse(doc); err != nil {
		return 0, fmt.Errorf("%s: an answer that is not JSON: %w", b.http.URL(), err)
	}
	n, ok := v.Get("input_tokens").Int()
	if !ok {
		return 0, fmt.Errorf("%s: an answer without input_tokens", b.http.URL())
	}
	return int(n), nil
}

// Check implements [bedrock.Checker].
func (b *Backend) Check(ctx context.Context) error {
	_, _, err := b.http.Whole(ctx, upstream.Request{Method: http.MethodGet, Path: "/v1/models"})
	return err
}

// Probes implements [bedrock.Prober]: the list of models costs nothing.
func (b *Backend) Probes() []bedrock.Probe {
	return []bedrock.Probe{{Ask: func(ctx context.Context) error {
		_, err := b.http.Reach(ctx, "/v1/models")
		return err
	}}}
}

// fault reads a refusal's document.
func (b *Backend) fault(err error) error {
	r, ok := errors.AsType[*upstream.Refusal](err)
	if !ok {
		return err
	}
	message := ""
	if v, err := value.Parse(r.Body); err == nil {
		message = v.Get("error").Get("message").Str()
	}
	return b.http.Fault(r, message)
}

// statusOf is the status of an error that comes in a stream.
func statusOf(v value.Value) int {
	switch v.Get("error").Get("type").Str() {
	case "invalid_request_error", "request_too_large":
		return http.StatusBadRequest
	case "rate_limit_error":
		return http.StatusTooManyRequests
	case "timeout_error":
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// count takes over what a usage says; in a stream later ones replace it.
func count(u *bedrock.Usage, v value.Value) {
	for name, to := range map[string]*int{
		"input_tokens": &u.Input, "output_tokens": &u.Output,
		"cache_read_input_tokens": &u.CacheRead, "cache_creation_input_tokens": &u.CacheWrite,
	} {
		if n, ok := v.Get(name).Int(); ok {
			*to = int(n)
		}
	}
}

func head(m *catalog.Model, v value.Value) bedrock.Head {
	return bedrock.Head{ID: v.Get("id").Str(), Model: bedrock.ShortName(m), Created: time.Now().Unix()}
}
