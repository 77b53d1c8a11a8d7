package simulated

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"unicode"

	"tokaido/bedrock"
)

// vectorLength is that of a vector of which the caller says nothing.
const vectorLength = 1024

// embed makes vectors by hashing words: the same text has the same one, and texts
// that share words are nearer to each other than those that do not. They mean
// nothing else, and have no place to say so.
func (b *Backend) embed(ctx context.Context, c bedrock.Call) (*bedrock.Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e, err := bedrock.ParseEmbedding(c.Model, c.Body)
	if err != nil {
		return nil, err
	}
	n := e.Dimensions
	if n == 0 {
		n = vectorLength
	}
	vectors := make([][]float64, len(e.Texts))
	tokens := 0
	for i, s := range e.Texts {
		tokens += bedrock.EstimateTokens(s)
		vectors[i] = hashed(s, n)
	}
	out, err := e.Answer(vectors, tokens, ident("", c, 22))
	if err != nil {
		return nil, err
	}
	return &bedrock.Answer{Body: out, ContentType: "application/json", Usage: bedrock.Usage{Input: tokens}}, nil
}

// hashed is a vector of length 1: each word adds to one place of it, or takes from it.
func hashed(s string, n int) []float64 {
	v := make([]float64, n)
	h := fnv.New64a()
	for w := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }) {
		h.Reset()
		h.Write([]byte(w))
		x := h.Sum64()
		v[(x>>1)%uint64(n)] += 1 - 2*float64(x&1)
	}
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	if sum == 0 {
		v[0], sum = 1, 1 // no words, or words that cancel out
	}
	for i := range v {
		v[i] /= math.Sqrt(sum)
	}
	return v
}
