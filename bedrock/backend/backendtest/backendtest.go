// Package backendtest is what every backend must do, as one test function. Each
// backend's own test says how to make one whose other end behaves as asked.
package backendtest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// Behaviour is how the other end behaves: it answers as the simulated backend
// does unless something is set.
type Behaviour struct {
	Latency  time.Duration // before the first byte
	Throttle bool
	Fail     bool // it says that it is unavailable
	Break    bool // it hangs up
	CutAfter int  // its streams break after so many chunks
	Down     bool // it answers whatever it is asked with status 503; a backend without another end takes no notice

	Pace time.Duration // between two chunks of a stream
}

// Handler is h, for which somebody else has stepped in where b is Down.
func (b Behaviour) Handler(h http.Handler) http.Handler {
	if b.Down {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	}
	return h
}

// Region is where all calls of the contract are made.
const Region = "ap-northeast-1"

// The models of the contract, one of each family that is text in and text out.
var models = map[bedrock.Family]string{
	bedrock.Anthropic: "anthropic.claude-3-haiku-20240307-v1:0",
	bedrock.Nova:      "amazon.nova-pro-v1:0",
	bedrock.Llama:     "meta.llama3-8b-instruct-v1:0",
	bedrock.Mistral:   "mistral.mistral-large-2402-v1:0",
	bedrock.Chat:      "openai.gpt-oss-20b-1:0",
	bedrock.Cohere:    commandR,
}

// commandR is an operator's: AWS has none of its family any more.
const commandR = "cohere.command-r-v1:0"

// Catalog is AWS's with a model of Cohere's besides.
var Catalog = sync.OnceValue(func() *catalog.Catalog {
	c, err := catalog.Load().With(catalog.Addition{Models: []catalog.NewModel{{OnDemand: []string{Region}, Model: catalog.Model{
		ID: commandR, Name: "Command R", Provider: "Cohere", Streaming: true, Input: []string{"TEXT"}, Output: []string{"TEXT"}, Endpoints: []string{"bedrock-runtime"},
	}}}})
	if err != nil {
		panic(err)
	}
	return c
})

func model(t *testing.T, f bedrock.Family) *catalog.Model {
	t.Helper()
	m, ok := Catalog().Model(models[f])
	if !ok || bedrock.FamilyOf(m) != f {
		t.Fatalf("the catalog has no %s of the family %s", models[f], f)
	}
	return m
}

// bodies are requests of each family that say hello.
var bodies = map[bedrock.Family]string{
	bedrock.Anthropic: `{"anthropic_version":"bedrock-2023-05-31","max_tokens":200,"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}`,
	bedrock.Nova:      `{"schemaVersion":"messages-v1","messages":[{"role":"user","content":[{"text":"hello"}]}],"inferenceConfig":{"maxTokens":200}}`,
	bedrock.Llama:     `{"prompt":"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n","max_gen_len":200}`,
	bedrock.Mistral:   `{"prompt":"<s>[INST] hello [/INST]","max_tokens":200}`,
	bedrock.Chat:      `{"messages":[{"role":"user","content":"hello"}],"max_completion_tokens":200}`,
	bedrock.Cohere:    `{"message":"hello","max_tokens":200}`,
}

// texts are where a whole answer of each family has its text.
var texts = map[bedrock.Family]func(value.Value) string{
	bedrock.Anthropic: func(v value.Value) string { return v.Get("content").At(0).Get("text").Str() },
	bedrock.Nova: func(v value.Value) string {
		return v.Get("output").Get("message").Get("content").At(0).Get("text").Str()
	},
	bedrock.Llama:   func(v value.Value) string { return v.Get("generation").Str() },
	bedrock.Mistral: func(v value.Value) string { return v.Get("outputs").At(0).Get("text").Str() },
	bedrock.Chat:    func(v value.Value) string { return v.Get("choices").At(0).Get("message").Get("content").Str() },
	bedrock.Cohere:  func(v value.Value) string { return v.Get("text").Str() },
}

// pieces are where a chunk of a streamed answer has its text.
var pieces = map[bedrock.Family]func(value.Value) string{
	bedrock.Anthropic: func(v value.Value) string { return v.Get("delta").Get("text").Str() },
	bedrock.Nova:      func(v value.Value) string { return v.Get("contentBlockDelta").Get("delta").Get("text").Str() },
	bedrock.Llama:     texts[bedrock.Llama],
	bedrock.Mistral:   texts[bedrock.Mistral],
	bedrock.Chat:      func(v value.Value) string { return v.Get("choices").At(0).Get("delta").Get("content").Str() },
	bedrock.Cohere: func(v value.Value) string {
		if v.Get("event_type").Str() != "text-generation" {
			return ""
		}
		return v.Get("text").Str()
	},
}

func call(t *testing.T, f bedrock.Family) bedrock.Call {
	return bedrock.Call{Region: Region, Model: model(t, f), Body: []byte(bodies[f])}
}

// Test runs the contract. make makes a backend whose other end behaves so; it
// must clean up with t.
func Test(t *testing.T, open func(t *testing.T, b Behaviour) bedrock.Backend) {
	for f := range models {
		t.Run("Family-"+string(f), func(t *testing.T) { family(t, open(t, Behaviour{}), f) })
	}
	for _, c := range []struct {
		name, why string
		run       func(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend)
	}{
		{"Converse", "a conversation must read the same whatever answers it", converse},
		{"Tools", "a call of a tool must come through whole, and its result go back", tools},
		{"Throttled", "the next Region is tried, and the caller told to slow down", throttled},
		{"Failed", "the next Region is tried", failed},
		{"Broken", "a lost connection is nobody's words", broken},
		{"Refused", "the caller must hear what is wrong, and no other Region is asked", refused},
		{"Cut", "half an answer must not look like one", cut},
		{"Cancelled", "nobody pays for an answer that nobody waits for", cancelled},
		{"Stopped", "a consumer may stop early", stopped},
		{"AtOnce", "nobody waits for a word that has come", atOnce},
		{"Together", "a backend is shared", together},
		{"BodyIsKept", "the body is the next Region's too", kept},
		{"Probed", "a Region that is gone is passed over before a caller finds out, and one that is there is not", probed},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, open)
			if t.Failed() {
				t.Log("because:", c.why)
			}
		})
	}
}

// collect reads a stream and holds it to the contract of chunks.
func collect(t *testing.T, b bedrock.Backend, c bedrock.Call) (chunks []value.Value, u bedrock.Usage, err error) {
	t.Helper()
	last := false
	for k, err := range b.Stream(t.Context(), c) {
		if err != nil {
			return chunks, u, err
		}
		if last {
			t.Error("a chunk after the last one")
		}
		v, err := value.Parse(k.Body)
		if err != nil {
			t.Fatalf("a chunk that is not JSON: %v: %q", err, k.Body)
		}
		chunks = append(chunks, v)
		if k.Usage != nil {
			u, last = *k.Usage, true
		}
	}
	if !last {
		t.Error("no chunk carries the usage")
	}
	return chunks, u, nil
}

func family(t *testing.T, b bedrock.Backend, f bedrock.Family) {
	a, err := b.Invoke(t.Context(), call(t, f))
	if err != nil {
		t.Fatal(err)
	}
	v, err := value.Parse(a.Body)
	if err != nil {
		t.Fatalf("%v: %q", err, a.Body)
	}
	whole := texts[f](v)
	if !strings.Contains(whole, "hello") {
		t.Errorf("it says %q: %s", whole, a.Body)
	}
	if a.Usage.Input <= 0 || a.Usage.Output <= 0 {
		t.Errorf("usage is %+v", a.Usage)
	}
	chunks, u, err := collect(t, b, call(t, f))
	if err != nil {
		t.Fatal(err)
	}
	var streamed strings.Builder
	for _, c := range chunks {
		streamed.WriteString(pieces[f](c))
	}
	if streamed.String() != whole {
		t.Errorf("streamed: %q, whole: %q", streamed.String(), whole)
	}
	if u != a.Usage {
		t.Errorf("streamed, usage is %+v; whole, %+v", u, a.Usage)
	}
}

func runtime(b bedrock.Backend) *bedrock.Runtime {
	return bedrock.New(bedrock.Config{Catalog: Catalog(), Backend: func(string, *catalog.Model) bedrock.Backend { return b }})
}

// talk has a conversation whole and as a stream, and returns what Converse
// answered and the same put together from the stream's events.
func talk(t *testing.T, b bedrock.Backend, m *catalog.Model, request string) (whole, streamed value.Value) {
	t.Helper()
	rt := runtime(b)
	p, err := rt.PlanHere(Region, "123456789012", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rt.Prepare(p, value.MustParse(request))
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err = rt.Converse(t.Context(), c)
	if err != nil {
		t.Fatalf("whole: %v", err)
	}
	var content []value.Value
	var text, input strings.Builder
	var tool value.Value
	stop, order := "", ""
	_, err = rt.ConverseStream(t.Context(), c, nil, func(name string, p value.Value) error {
		order += name + " "
		d := p.Get("delta")
		switch name {
		case "contentBlockStart":
			tool = p.Get("start").Get("toolUse")
		case "contentBlockDelta":
			text.WriteString(d.Get("text").Str())
			input.WriteString(d.Get("toolUse").Get("input").Str())
		case "contentBlockStop":
			if tool.IsUndefined() {
				content = append(content, value.MustParse(`{}`).With("text", value.String(text.String())))
			} else {
				in, err := value.ParseString(input.String())
				if err != nil {
					t.Errorf("a tool's input streamed as %q", input.String())
				}
				content = append(content, value.MustParse(`{}`).With("toolUse", tool.With("input", in)))
			}
			text.Reset()
			input.Reset()
			tool = value.Value{}
		case "messageStop":
			stop = p.Get("stopReason").Str()
		}
		return nil
	})
	if err != nil {
		t.Fatalf("stream: %v", err)
	}
	if !strings.HasPrefix(order, "messageStart contentBlock") || !strings.HasSuffix(order, "contentBlockStop messageStop metadata ") {
		t.Errorf("events come as %s", order)
	}
	return whole, value.Object(value.Member{Key: "content", Value: value.Array(content...)}, value.Member{Key: "stopReason", Value: value.String(stop)})
}

func converse(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{})
	for f := range models {
		whole, streamed := talk(t, b, model(t, f), `{"messages":[{"role":"user","content":[{"text":"hello"}]}],"inferenceConfig":{"maxTokens":200}}`)
		msg := whole.Get("output").Get("message")
		if s := msg.Get("content").At(0).Get("text").Str(); !strings.Contains(s, "hello") {
			t.Errorf("%s says %s", f, whole)
		}
		if got := whole.Get("stopReason").Str(); got != "end_turn" {
			t.Errorf("%s stops because of %s", f, got)
		}
		if !value.Equal(streamed.Get("content"), msg.Get("content")) || streamed.Get("stopReason").Str() != "end_turn" {
			t.Errorf("%s streams %s, whole it is %s", f, streamed, whole)
		}
		whole, _ = talk(t, b, model(t, f), `{"messages":[{"role":"user","content":[{"text":"hello you there, what do you say?"}]}],"inferenceConfig":{"maxTokens":3}}`)
		if got := whole.Get("stopReason").Str(); got != "max_tokens" {
			t.Errorf("%s, with three tokens, stops because of %s", f, got)
		}
	}
}

const toolConfig = `"toolConfig":{"tools":[{"toolSpec":{"name":"weather","description":"tells the weather","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}}]}`

// calling are models that call tools: one of each family, and of each way in which
// Llama is told of them.
func calling(t *testing.T) (out []*catalog.Model) {
	for _, id := range []string{
		models[bedrock.Anthropic], models[bedrock.Nova], models[bedrock.Chat], models[bedrock.Cohere], models[bedrock.Mistral],
		"meta.llama3-1-70b-instruct-v1:0", "meta.llama3-3-70b-instruct-v1:0", "meta.llama4-scout-17b-instruct-v1:0",
	} {
		m, ok := Catalog().Model(id)
		if !ok {
			t.Fatalf("the catalog has no %s", id)
		}
		out = append(out, m)
	}
	return out
}

func tools(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{})
	for _, f := range calling(t) {
		whole, streamed := talk(t, b, f, `{"messages":[{"role":"user","content":[{"text":"use weather for Tokyo"}]}],`+toolConfig+`}`)
		content := whole.Get("output").Get("message").Get("content")
		use := content.At(content.Len() - 1).Get("toolUse")
		if use.Get("name").Str() != "weather" || use.Get("input").Get("city").Str() == "" || whole.Get("stopReason").Str() != "tool_use" {
			t.Errorf("%s answers %s", f.ID, whole)
			continue
		}
		last := streamed.Get("content").At(streamed.Get("content").Len() - 1).Get("toolUse")
		if !value.Equal(last.Get("input"), use.Get("input")) || last.Get("name").Str() != "weather" || streamed.Get("stopReason").Str() != "tool_use" {
			t.Errorf("%s streams %s", f.ID, streamed)
		}
		whole, _ = talk(t, b, f, `{"messages":[{"role":"user","content":[{"text":"use weather for Tokyo"}]},{"role":"assistant","content":[{"toolUse":`+use.JSON()+`}]},
			{"role":"user","content":[{"toolResult":{"toolUseId":"`+use.Get("toolUseId").Str()+`","content":[{"text":"it rains"}]}}]}],`+toolConfig+`}`)
		if s := whole.Get("output").Get("message").Get("content").At(0).Get("text").Str(); !strings.Contains(s, "it rains") {
			t.Errorf("%s, given the result, answers %s", f.ID, whole)
		}
	}
}

func probed(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	ask := func(b Behaviour) (errs []error) {
		p, ok := open(t, b).(bedrock.Prober)
		if !ok {
			t.Fatal("it is no Prober")
		}
		for _, q := range p.Probes() {
			if q.Regions != nil && !slices.Contains(q.Regions, Region) {
				t.Errorf("a probe is for %q", q.Regions)
			}
			errs = append(errs, q.Ask(t.Context()))
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := q.Ask(ctx); err == nil {
				t.Error("a probe that was cancelled was answered")
			}
		}
		return errs
	}
	for _, err := range slices.Concat(ask(Behaviour{}), ask(Behaviour{Throttle: true})) {
		if err != nil {
			t.Errorf("somebody is there, and it says %v", err)
		}
	}
	for _, err := range ask(Behaviour{Down: true}) {
		if err == nil {
			t.Error("nobody is there, and it does not say so")
		}
	}
}

// errorsOf are what a whole call and a stream end in.
func errorsOf(t *testing.T, b bedrock.Backend, c bedrock.Call) []error {
	t.Helper()
	a, err := b.Invoke(t.Context(), c)
	if err == nil {
		t.Errorf("it answers %s", a.Body)
	}
	errs := []error{err}
	_, _, err = collect(t, b, c)
	return append(errs, err)
}

func throttled(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	for _, err := range errorsOf(t, open(t, Behaviour{Throttle: true}), call(t, bedrock.Anthropic)) {
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Throttle || f.Code != "ThrottlingException" {
			t.Errorf("it is %v", err)
		}
	}
}

func failed(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	for _, err := range errorsOf(t, open(t, Behaviour{Fail: true}), call(t, bedrock.Anthropic)) {
		if f, ok := errors.AsType[*fault.Error](err); err == nil || ok && f.Kind != fault.Server {
			t.Errorf("it is %v", err)
		}
	}
}

func broken(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	for _, err := range errorsOf(t, open(t, Behaviour{Break: true}), call(t, bedrock.Anthropic)) {
		if f, ok := errors.AsType[*fault.Error](err); err == nil || ok && f.Kind != fault.Server {
			t.Errorf("it is %v", err)
		}
	}
}

func refused(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	c := call(t, bedrock.Anthropic)
	c.Body = []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"nobody","content":[{"type":"text","text":"hello"}]}]}`)
	for _, err := range errorsOf(t, open(t, Behaviour{}), c) {
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Client || f.Code != "ValidationException" || f.Message == "" {
			t.Errorf("it is %v", err)
		}
	}
}

func cut(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{CutAfter: 4})
	for f := range models {
		var chunks int
		var err error
		for k, e := range b.Stream(t.Context(), call(t, f)) {
			if err = e; err == nil {
				chunks++
				if k.Usage != nil {
					t.Errorf("%s: a stream that was cut has a last chunk", f)
				}
			}
		}
		if err == nil || chunks == 0 {
			t.Errorf("%s: %d chunks, then %v", f, chunks, err)
		}
	}
}

func cancelled(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{Latency: time.Minute})
	for name, run := range map[string]func(context.Context) error{
		"Invoke": func(ctx context.Context) error {
			_, err := b.Invoke(ctx, call(t, bedrock.Anthropic))
			return err
		},
		"Stream": func(ctx context.Context) error {
			for _, err := range b.Stream(ctx, call(t, bedrock.Anthropic)) {
				return err
			}
			return nil
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		if err := run(ctx); err == nil {
			t.Errorf("%s answers", name)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("%s took %v", name, d)
		}
		cancel()
	}
}

func stopped(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{})
	for f := range models {
		for _, err := range b.Stream(t.Context(), call(t, f)) {
			if err != nil {
				t.Errorf("%s: %v", f, err)
			}
			break
		}
	}
}

// A word comes before the next one is said: the pace is far longer than a word
// takes on a machine that has much else to do.
func atOnce(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	const pace = 2 * time.Second
	b := open(t, Behaviour{Pace: pace})
	var wg sync.WaitGroup
	for f := range models {
		c := call(t, f)
		wg.Go(func() {
			began := time.Now()
			for k, err := range b.Stream(t.Context(), c) {
				if err != nil {
					t.Errorf("%s: %v", f, err)
					break
				}
				v, _ := value.Parse(k.Body)
				if pieces[f](v) == "" {
					continue
				}
				// The other end says the role first in some forms: then its first word is its second chunk.
				if d := time.Since(began); d > 5*pace/2 {
					t.Errorf("%s: the first word took %v", f, d)
				}
				break
			}
		})
	}
	wg.Wait()
}

func together(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{})
	var wg sync.WaitGroup
	for range 16 {
		for f := range models {
			wg.Go(func() {
				a, err := b.Invoke(t.Context(), call(t, f))
				if err != nil {
					t.Errorf("%s: %v", f, err)
					return
				}
				v, err := value.Parse(a.Body)
				if err != nil || !strings.Contains(texts[f](v), "hello") {
					t.Errorf("%s: %q %v", f, a.Body, err)
				}
			})
		}
	}
	wg.Wait()
}

func kept(t *testing.T, open func(*testing.T, Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{})
	for f := range models {
		c := call(t, f)
		was := bytes.Clone(c.Body)
		if _, err := b.Invoke(t.Context(), c); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if !bytes.Equal(was, c.Body) {
			t.Errorf("%s: the body was changed", f)
		}
	}
}

// Embeddings is the contract of a backend that makes vectors of texts: the same
// texts have the same vectors, in the order of the texts, in each model's own
// form, and what they count is said.
func Embeddings(t *testing.T, open func(t *testing.T, b Behaviour) bedrock.Backend) {
	b := open(t, Behaviour{})
	vector := func(v value.Value) (out []float64) {
		for _, x := range v.Items() {
			out = append(out, x.Float())
		}
		return out
	}
	one := func(v value.Value) [][]float64 { return [][]float64{vector(v.Get("embedding"))} }
	all := func(list func(value.Value) value.Value) func(value.Value) [][]float64 {
		return func(v value.Value) (out [][]float64) {
			for _, x := range list(v).Items() {
				out = append(out, vector(x))
			}
			return out
		}
	}
	for _, c := range []struct {
		model, body string
		vectors     func(value.Value) [][]float64
		texts, size int
		also        string // in the answer
	}{
		{"amazon.titan-embed-text-v1", `{"inputText":"good day"}`, one, 1, 0, `"inputTextTokenCount":`},
		{"amazon.titan-embed-text-v2:0", `{"inputText":"good day","dimensions":256,"normalize":true,"embeddingTypes":["float"]}`, one, 1, 256, `"embeddingsByType":{"float":[`},
		{"amazon.titan-embed-image-v1", `{"inputText":"good day","embeddingConfig":{"outputEmbeddingLength":384}}`, one, 1, 384, `"message":null`},
		{"cohere.embed-english-v3", `{"texts":["good day","good night","good day"],"input_type":"search_document"}`, all(func(v value.Value) value.Value { return v.Get("embeddings") }), 3, 0, `"response_type":"embeddings_floats"`},
		{"cohere.embed-v4:0", `{"texts":["good day","good night","good day"],"input_type":"search_query","embedding_types":["float"],"output_dimension":512}`,
			all(func(v value.Value) value.Value { return v.Get("embeddings").Get("float") }), 3, 512, `"response_type":"embeddings_by_type"`},
	} {
		t.Run("Embeddings-"+c.model, func(t *testing.T) {
			m, ok := catalog.Load().Model(c.model)
			if !ok {
				t.Fatal("no such model")
			}
			call := bedrock.Call{Region: Region, Model: m, Body: []byte(c.body)}
			a, err := b.Invoke(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			again, err := b.Invoke(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			v, err := value.Parse(a.Body)
			if err != nil || !strings.Contains(string(a.Body), c.also) {
				t.Fatalf("%v: %.300s", err, a.Body)
			}
			got := c.vectors(v)
			if len(got) != c.texts || c.size > 0 && len(got[0]) != c.size {
				t.Fatalf("%d vectors: %.300s", len(got), a.Body)
			}
			if w, _ := value.Parse(again.Body); !slices.Equal(c.vectors(w)[0], got[0]) {
				t.Error("the same text has another vector the second time")
			}
			length := 0.0
			for _, x := range got[0] {
				length += x * x
			}
			if length < 0.99 || length > 1.01 {
				t.Errorf("a vector of length %v", length)
			}
			if c.texts == 3 && (!slices.Equal(got[0], got[2]) || slices.Equal(got[0], got[1])) {
				t.Error("the vectors are not those of the texts, in their order")
			}
			if a.Usage.Input <= 0 || a.Usage.Output != 0 {
				t.Errorf("usage is %+v", a.Usage)
			}
			call.Body = []byte(`{"inputTexts":1}`)
			if _, err := b.Invoke(t.Context(), call); errCode(err) != "ValidationException" {
				t.Errorf("a body that is none: %v", err)
			}
		})
	}
}

func errCode(err error) string {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return ""
	}
	return f.Code
}
