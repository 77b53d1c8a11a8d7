package openai

import (
	"context"
	"fmt"

	"tokaido/bedrock"
	"tokaido/value"
)

const embeddingsPath = "/embeddings"

// embed answers for a model that makes vectors.
func (b *Backend) embed(ctx context.Context, c bedrock.Call) (*bedrock.Answer, error) {
	e, err := bedrock.ParseEmbedding(c.Model, c.Body)
	if err != nil {
		return nil, err
	}
	texts := make([]value.Value, len(e.Texts))
	for i, s := range e.Texts {
		texts[i] = value.String(s)
	}
	body := value.Object(
		value.Member{Key: "model", Value: value.String(b.c.Model(c.Model))},
		value.Member{Key: "input", Value: value.Array(texts...)},
		value.Member{Key: "encoding_format", Value: value.String("float")})
	if e.Dimensions > 0 {
		body = body.With("dimensions", value.Int(int64(e.Dimensions)))
	}
	v, err := b.ask(ctx, embeddingsPath, body.AppendJSON(nil))
	if err != nil {
		return nil, err
	}
	vectors, err := readVectors(v, len(e.Texts))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.http.URL(), err)
	}
	u, ok := usage(v)
	if !ok {
		for _, s := range e.Texts {
			u.Input += bedrock.EstimateTokens(s)
		}
	}
	u.Output = 0
	out, err := e.Answer(vectors, u.Input+u.CacheRead, v.Get("id").Str())
	if err != nil {
		return nil, err
	}
	return &bedrock.Answer{Body: out, ContentType: "application/json", Usage: u}, nil
}

// readVectors are the vectors of n texts, in the order of the texts: a server may
// send them in any.
func readVectors(v value.Value, n int) ([][]float64, error) {
	vectors := make([][]float64, n)
	for _, d := range v.Get("data").Items() {
		i, ok := d.Get("index").Int()
		if !ok || i < 0 || i >= int64(n) || vectors[i] != nil {
			return nil, fmt.Errorf("a vector of text %.40s, of %d", d.Get("index").JSON(), n)
		}
		list := d.Get("embedding")
		vectors[i] = make([]float64, 0, list.Len())
		for _, x := range list.Items() {
			if !x.IsNumber() {
				return nil, fmt.Errorf("a vector that is no list of numbers: of text %d", i)
			}
			vectors[i] = append(vectors[i], x.Float())
		}
	}
	for i := range vectors {
		if len(vectors[i]) == 0 {
			return nil, fmt.Errorf("no vector of text %d", i)
		}
	}
	return vectors, nil
}
