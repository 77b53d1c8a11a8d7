package bedrock

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// Embedding is a request for the vectors of texts, read from the body of a model
// that makes them: Amazon Titan's or Cohere's.
type Embedding struct {
	Texts      []string
	Dimensions int // of each vector; 0: the model's own

	normalize bool
	answer    func(vectors []value.Value, tokens int, id string) value.Value
}

// The limits of AWS's models.
const (
	maxTitanText   = 50_000 // characters
	maxCohereText  = 2_048  // of v3
	maxCohereTexts = 96
)

// IsEmbedding reports whether a model makes vectors of texts.
func IsEmbedding(m *catalog.Model) bool { return embeddings(m) != nil }

// embeddings reads the bodies of a model's family; nil: there is none.
func embeddings(m *catalog.Model) func(value.Value) (*Embedding, error) {
	switch {
	case strings.HasPrefix(m.ID, "amazon.titan-embed-text-v2"):
		return titanText2
	case strings.HasPrefix(m.ID, "amazon.titan-embed-text-v1"), strings.HasPrefix(m.ID, "amazon.titan-embed-g1-text"):
		return titanText
	case strings.HasPrefix(m.ID, "amazon.titan-embed-image"):
		return titanImage
	case strings.HasPrefix(m.ID, "cohere.embed-v4"):
		return func(v value.Value) (*Embedding, error) { return cohereEmbed(v, true) }
	case strings.HasPrefix(m.ID, "cohere.embed-"):
		return func(v value.Value) (*Embedding, error) { return cohereEmbed(v, false) }
	}
	return nil
}

// ParseEmbedding reads a model's own body. The error is a *fault.Error.
func ParseEmbedding(m *catalog.Model, body []byte) (*Embedding, error) {
	read := embeddings(m)
	if read == nil {
		return nil, invalidf("The model %s is not one that makes vectors of texts, and cannot be served in this way.", m.ID)
	}
	v, err := value.Parse(body)
	if err != nil || !v.IsObject() {
		return nil, invalidf("Malformed input request, please reformat your input and try again.")
	}
	return read(v)
}

// Answer is the model's own answer, of one vector for each text. tokens is what
// the texts counted, id is Cohere's.
func (e *Embedding) Answer(vectors [][]float64, tokens int, id string) ([]byte, error) {
	if len(vectors) != len(e.Texts) {
		return nil, fmt.Errorf("%d vectors of %d texts", len(vectors), len(e.Texts))
	}
	out := make([]value.Value, len(vectors))
	for i, v := range vectors {
		if len(v) == 0 || e.Dimensions > 0 && len(v) != e.Dimensions {
			return nil, invalidf("Malformed input request: the model behind this one makes vectors of %d dimensions, and not of %d, please reformat your input and try again.", len(v), e.Dimensions)
		}
		scale := 1.0
		if e.normalize {
			sum := 0.0
			for _, x := range v {
				sum += x * x
			}
			if sum > 0 {
				scale = 1 / math.Sqrt(sum)
			}
		}
		numbers := make([]value.Value, len(v))
		for j, x := range v {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("vector %d has %v in it", i, x)
			}
			numbers[j] = value.Float(x * scale)
		}
		out[i] = value.Array(numbers...)
	}
	return e.answer(out, tokens, id).AppendJSON(nil), nil
}

func permitted(v value.Value, at string, names ...string) error {
	for name := range v.Members() {
		if !slices.Contains(names, name) {
			return malformed(at, "extraneous key [%s] is not permitted", short(name))
		}
	}
	return nil
}

// titanInput reads the one text of a Titan model.
func titanInput(v value.Value) (*Embedding, error) {
	x := v.Get("inputText")
	switch n := utf8.RuneCountInString(x.Str()); {
	case x.IsUndefined():
		return nil, malformed("#", "required key [inputText] not found")
	case !x.IsString():
		return nil, malformed("#/inputText", "expected type: String, found: %s", short(x.JSON()))
	case n == 0:
		return nil, invalidf("Malformed input request: expected minLength: 1, actual: 0, please reformat your input and try again.")
	case n > maxTitanText:
		return nil, invalidf("Malformed input request: expected maxLength: %d, actual: %d, please reformat your input and try again.", maxTitanText, n)
	}
	return &Embedding{Texts: []string{x.Str()}}, nil
}

// dimensions reads a length that is one of several.
func dimensions(v value.Value, at string, those ...int64) (int, error) {
	if v.IsUndefined() {
		return 0, nil
	}
	n, ok := v.Int()
	if !ok || !slices.Contains(those, n) {
		return 0, malformed(at, "%s is not a valid enum value", short(v.JSON()))
	}
	return int(n), nil
}

func titanText(v value.Value) (*Embedding, error) {
	if err := permitted(v, "#", "inputText"); err != nil {
		return nil, err
	}
	e, err := titanInput(v)
	if err != nil {
		return nil, err
	}
	e.answer = func(vectors []value.Value, tokens int, _ string) value.Value {
		return object(member("embedding", vectors[0]), member("inputTextTokenCount", number(int64(tokens))))
	}
	return e, nil
}

func titanText2(v value.Value) (*Embedding, error) {
	if err := permitted(v, "#", "inputText", "dimensions", "normalize", "embeddingTypes"); err != nil {
		return nil, err
	}
	e, err := titanInput(v)
	if err != nil {
		return nil, err
	}
	if e.Dimensions, err = dimensions(v.Get("dimensions"), "#/dimensions", 256, 512, 1024); err != nil {
		return nil, err
	}
	if err := onlyFloats(v.Get("embeddingTypes"), "embeddingTypes"); err != nil {
		return nil, err
	}
	e.normalize = v.Get("normalize").IsUndefined() || v.Get("normalize").Bool()
	e.answer = func(vectors []value.Value, tokens int, _ string) value.Value {
		return object(member("embedding", vectors[0]), member("embeddingsByType", object(member("float", vectors[0]))), member("inputTextTokenCount", number(int64(tokens))))
	}
	return e, nil
}

func titanImage(v value.Value) (*Embedding, error) {
	if err := permitted(v, "#", "inputText", "inputImage", "embeddingConfig"); err != nil {
		return nil, err
	}
	if x := v.Get("inputImage"); !x.IsUndefined() {
		return nil, unsupported("inputImage", short(x.JSON()))
	}
	e, err := titanInput(v)
	if err != nil {
		return nil, err
	}
	c := v.Get("embeddingConfig")
	if err := permitted(c, "#/embeddingConfig", "outputEmbeddingLength"); err != nil {
		return nil, err
	}
	if e.Dimensions, err = dimensions(c.Get("outputEmbeddingLength"), "#/embeddingConfig/outputEmbeddingLength", 256, 384, 1024); err != nil {
		return nil, err
	}
	e.answer = func(vectors []value.Value, tokens int, _ string) value.Value {
		return object(member("embedding", vectors[0]), member("inputTextTokenCount", number(int64(tokens))), member("message", value.Null()))
	}
	return e, nil
}

// onlyFloats refuses vectors in other forms: how a model makes integers or bits of
// its numbers is its own.
func onlyFloats(v value.Value, name string) error {
	for _, x := range v.Items() {
		if x.Str() != "float" {
			return unsupported(name, short(x.JSON()))
		}
	}
	return nil
}

func cohereEmbed(v value.Value, four bool) (*Embedding, error) {
	known := []string{"texts", "input_type", "truncate", "embedding_types", "images"}
	if four {
		known = append(known, "inputs", "output_dimension", "max_tokens")
	}
	if err := permitted(v, "#", known...); err != nil {
		return nil, err
	}
	for _, name := range []string{"images", "inputs", "max_tokens"} {
		if x := v.Get(name); !x.IsUndefined() {
			return nil, unsupported(name, short(x.JSON()))
		}
	}
	texts := v.Get("texts")
	switch {
	case texts.IsUndefined():
		return nil, malformed("#", "required key [texts] not found")
	case !texts.IsArray() || texts.Len() == 0:
		return nil, malformed("#/texts", "expected minimum item count: 1, found: %d", texts.Len())
	case texts.Len() > maxCohereTexts:
		return nil, malformed("#/texts", "expected maximum item count: %d, found: %d", maxCohereTexts, texts.Len())
	}
	e := &Embedding{}
	for i, x := range texts.Items() {
		at := fmt.Sprintf("#/texts/%d", i)
		if !x.IsString() {
			return nil, malformed(at, "expected type: String, found: %s", short(x.JSON()))
		}
		if n := utf8.RuneCountInString(x.Str()); !four && n > maxCohereText {
			return nil, malformed(at, "expected maxLength: %d, actual: %d", maxCohereText, n)
		}
		e.Texts = append(e.Texts, x.Str())
	}
	if x := v.Get("input_type"); x.IsUndefined() {
		return nil, malformed("#", "required key [input_type] not found")
	} else if !slices.Contains([]string{"search_document", "search_query", "classification", "clustering"}, x.Str()) {
		return nil, malformed("#/input_type", "%s is not a valid enum value", short(x.JSON()))
	}
	// A text that is too long is refused by who counts its tokens, whatever this says.
	if x := v.Get("truncate"); !x.IsUndefined() && !slices.Contains([]string{"NONE", "START", "LEFT", "END", "RIGHT"}, x.Str()) {
		return nil, malformed("#/truncate", "%s is not a valid enum value", short(x.JSON()))
	}
	types := v.Get("embedding_types")
	if err := onlyFloats(types, "embedding_types"); err != nil {
		return nil, err
	}
	var err error
	if e.Dimensions, err = dimensions(v.Get("output_dimension"), "#/output_dimension", 256, 512, 1024, 1536); err != nil {
		return nil, err
	}
	e.answer = func(vectors []value.Value, _ int, id string) value.Value {
		list, kind := value.Array(vectors...), "embeddings_floats"
		if types.Len() > 0 {
			list, kind = object(member("float", list)), "embeddings_by_type"
		}
		return object(member("id", text(id)), member("texts", texts), member("embeddings", list), member("response_type", text(kind)))
	}
	return e, nil
}
