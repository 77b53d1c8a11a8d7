package bedrock

import (
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/value"
)

// What AWS's models refuse, in their words, and what nothing here makes.
func TestEmbeddingRefusals(t *testing.T) {
	const v1, v2, image, three, four = "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0", "amazon.titan-embed-image-v1", "cohere.embed-multilingual-v3", "cohere.embed-v4:0"
	list := func(s string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`"`+s+`",`, n), ",") + "]"
	}
	for _, c := range []struct{ name, model, body, want string }{
		{"no-text", v1, `{}`, "Malformed input request: #: required key [inputText] not found, please reformat your input and try again."},
		{"empty", v1, `{"inputText":""}`, "Malformed input request: expected minLength: 1, actual: 0, please reformat your input and try again."},
		{"too-long", v2, `{"inputText":"` + strings.Repeat("あ", 52611) + `"}`, "Malformed input request: expected maxLength: 50000, actual: 52611, please reformat your input and try again."},
		{"no-string", v1, `{"inputText":["a"]}`, "#/inputText: expected type: String"},
		{"unknown", v1, `{"inputText":"a","dimensions":256}`, "extraneous key [dimensions] is not permitted"},
		{"dimensions", v2, `{"inputText":"a","dimensions":100}`, "#/dimensions: 100 is not a valid enum value"},
		{"bits", v2, `{"inputText":"a","embeddingTypes":["binary"]}`, "embeddingTypes is not supported by this server"},
		{"image", image, `{"inputText":"a","inputImage":"AAAA"}`, "inputImage is not supported by this server"},
		{"image-length", image, `{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":512}}`, "outputEmbeddingLength: 512 is not a valid enum value"},
		{"no-texts", three, `{"input_type":"clustering"}`, "required key [texts] not found"},
		{"many-texts", three, `{"texts":` + list("a", 97) + `,"input_type":"clustering"}`, "#/texts: expected maximum item count: 96, found: 97"},
		{"long-text", three, `{"texts":["` + strings.Repeat("a", 2049) + `"],"input_type":"clustering"}`, "#/texts/0: expected maxLength: 2048, actual: 2049"},
		{"no-type", three, `{"texts":["a"]}`, "required key [input_type] not found"},
		{"type", three, `{"texts":["a"],"input_type":"image"}`, `#/input_type: "image" is not a valid enum value`},
		{"truncate", three, `{"texts":["a"],"input_type":"clustering","truncate":"MIDDLE"}`, `#/truncate: "MIDDLE" is not a valid enum value`},
		{"int8", four, `{"texts":["a"],"input_type":"clustering","embedding_types":["float","int8"]}`, `embedding_types is not supported by this server: "int8"`},
		{"inputs", four, `{"inputs":[],"input_type":"clustering"}`, "inputs is not supported by this server"},
		{"not-of-three", three, `{"texts":["a"],"input_type":"clustering","output_dimension":256}`, "extraneous key [output_dimension]"},
		{"array", v1, `[]`, "Malformed input request, please reformat your input and try again."},
		{"chat", "openai.gpt-oss-20b-1:0", `{}`, "not one that makes vectors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseEmbedding(modelOf(t, c.model), []byte(c.body))
			if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	e, err := ParseEmbedding(modelOf(t, v2), []byte(`{"inputText":"a","dimensions":256}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Answer([][]float64{{1, 2}}, 1, ""); fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), "of 2 dimensions, and not of 256") {
		t.Errorf("a vector of another length: %v", err)
	}
	if _, err := e.Answer(nil, 1, ""); err == nil {
		t.Error("no vectors at all")
	}
	e, _ = ParseEmbedding(modelOf(t, v2), []byte(`{"inputText":"a","normalize":false}`))
	if b, err := e.Answer([][]float64{{3, 4}}, 7, ""); err != nil || string(b) != `{"embedding":[3,4],"embeddingsByType":{"float":[3,4]},"inputTextTokenCount":7}` {
		t.Errorf("%s %v", b, err)
	}
	e, _ = ParseEmbedding(modelOf(t, v2), []byte(`{"inputText":"a"}`))
	if b, err := e.Answer([][]float64{{3, 4}}, 7, ""); err != nil || !strings.HasPrefix(string(b), `{"embedding":[0.6`) {
		t.Errorf("%s %v", b, err)
	}
}

func FuzzParseEmbedding(f *testing.F) {
	models := []string{"amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0", "amazon.titan-embed-image-v1", "cohere.embed-english-v3", "cohere.embed-v4:0"}
	f.Add(0, `{"inputText":"a"}`)
	f.Add(1, `{"inputText":"a","dimensions":256,"embeddingTypes":["float"],"normalize":false}`)
	f.Add(2, `{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":384}}`)
	f.Add(3, `{"texts":["a","b"],"input_type":"clustering","truncate":"END"}`)
	f.Add(4, `{"texts":["a"],"input_type":"search_query","embedding_types":["float"],"output_dimension":256}`)
	f.Fuzz(func(t *testing.T, which int, body string) {
		e, err := ParseEmbedding(modelOf(t, models[uint(which)%uint(len(models))]), []byte(body))
		if err != nil {
			if fault.Code(err) != "ValidationException" {
				t.Errorf("%v", err)
			}
			return
		}
		vectors := make([][]float64, len(e.Texts))
		for i := range vectors {
			vectors[i] = make([]float64, max(e.Dimensions, 3))
			vectors[i][0] = 1
		}
		b, err := e.Answer(vectors, 1, "id")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := value.Parse(b); err != nil {
			t.Errorf("%v: %s", err, b)
		}
	})
}
