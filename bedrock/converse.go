package bedrock

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// family translates between Converse and what a group of models writes.
type family interface {
	// request is the body for a conversation.
	request(c *Conversation, m *catalog.Model) (value.Value, error)
	// answer is the message and stop reason in a whole answer.
	answer(body value.Value) (content []value.Value, stop string, err error)
	// events translates one stream's chunks.
	events() translator

	// The reverse, for a Bridge: parse reads a body that somebody wrote in this
	// form, whole and chunks write an answer.
	parse(body value.Value) (*Conversation, error)
	whole(r *reply) (value.Value, error)
	chunks(h Head) chunker
}

// translator turns chunks into ConverseStream's events, all but the metadata at
// the end. It holds one stream's state.
type translator interface {
	event(chunk value.Value, emit func(name string, payload value.Value) error) error
	// fields is what additionalModelResponseFieldPaths point into.
	fields() value.Value
}

// Family names the form in which a model is spoken to and answers.
type Family string

// The families.
const (
	Anthropic   Family = "anthropic" // Messages
	Nova        Family = "nova"
	Llama       Family = "llama"   // a prompt, in Meta's form
	Mistral     Family = "mistral" // a prompt, in Mistral's older form
	Cohere      Family = "cohere"  // Command R
	Chat        Family = "chat"    // OpenAI's chat completions: most open models
	OtherFamily Family = ""        // not text in, text out; or not known
)

// FamilyOf returns a model's family. It follows from the id and from what goes
// in and comes out.
func FamilyOf(m *catalog.Model) Family {
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(m.ID, p) })
	}
	textual := m.Output == nil || len(m.Output) == 1 && m.Output[0] == "TEXT" && slices.Contains(m.Input, "TEXT")
	switch {
	case has("anthropic."):
		return Anthropic
	case !textual || has("twelvelabs."):
		return OtherFamily
	case has("amazon.nova-"):
		return Nova
	case has("cohere.command-r"):
		return Cohere
	case has("amazon."), has("cohere."):
		return OtherFamily
	case has("meta.llama"):
		return Llama
	case has("mistral.mistral-7b", "mistral.mixtral", "mistral.mistral-large-2402", "mistral.mistral-small-2402"):
		return Mistral
	}
	return Chat
}

func familyOf(m *catalog.Model) family { return named(FamilyOf(m), m) }

// Prepared is a conversation ready to be run.
type Prepared struct {
	Conversation *Conversation
	Body         []byte            // in the model family's own form
	Native       func(body []byte) // as a Request's
	document     value.Value       // Body
	plan         *Plan
	family       family
}

// Models whose tools AWS's Converse refuses, and those that it takes them for in
// whole answers only (Amazon Bedrock user guide, "Supported models and model
// features"; Llama 3.3 is not in its table, and answers so).
var (
	withoutTools = []string{"meta.llama3-8b-", "meta.llama3-70b-", "meta.llama3-2-1b-", "meta.llama3-2-3b-", "mistral.mistral-7b-", "mistral.mixtral-", "deepseek.r1-"}
	wholeTools   = []string{"meta.llama3-1-", "meta.llama3-2-", "meta.llama3-3-", "meta.llama4-", "mistral.mistral-large-2402-", "mistral.mistral-large-2407-", "mistral.mistral-small-2402-", "mistral.pixtral-large-2502-", "writer.palmyra-x"}
)

// checkTools refuses tools as AWS does.
func (c *Conversation) checkTools(m *catalog.Model, stream bool) error {
	is := func(p string) bool { return strings.HasPrefix(m.ID, p) }
	switch {
	case len(c.Tools) == 0:
	case slices.ContainsFunc(withoutTools, is):
		return invalidf("This model doesn't support tool use.")
	case stream && slices.ContainsFunc(wholeTools, is):
		return invalidf("This model doesn't support tool use in streaming mode.")
	}
	return nil
}

// Prepare reads a Converse request and writes it in the words of the plan's
// model. It calls nobody.
func (rt *Runtime) Prepare(p *Plan, request value.Value) (*Prepared, error) {
	return rt.prepare(p, request, false)
}

// PrepareStream is Prepare for ConverseStream.
func (rt *Runtime) PrepareStream(p *Plan, request value.Value) (*Prepared, error) {
	return rt.prepare(p, request, true)
}

func (rt *Runtime) prepare(p *Plan, request value.Value, stream bool) (*Prepared, error) {
	c, err := ParseConversation(request)
	if err != nil {
		return nil, err
	}
	if err := c.checkTools(p.Model, stream); err != nil {
		return nil, err
	}
	f := familyOf(p.Model)
	if f == nil {
		return nil, invalidf("Converse is not supported by this server for the model %s; use InvokeModel with the model's own body.", p.ModelID)
	}
	if most := p.Model.MaxOutput; most > 0 && c.MaxTokens > most {
		return nil, invalidf("The maximum tokens you requested exceeds the model limit of %d. Try again with a maximum tokens value that is lower than %d.", most, most)
	}
	body, err := f.request(c, p.Model)
	if err != nil {
		return nil, err
	}
	if body, err = merge(body, c.Additional, "additionalModelRequestFields"); err != nil {
		return nil, err
	}
	prepared := &Prepared{Conversation: c, Body: body.AppendJSON(nil), plan: p, family: f}
	if prepared.document, err = value.ParseOwned(prepared.Body); err != nil { // so that the text is there once
		return nil, err
	}
	return prepared, nil
}

// Converse runs a conversation whole. The answer is the operation's, as clients
// read it.
func (rt *Runtime) Converse(ctx context.Context, c *Prepared) (value.Value, *Result, error) {
	res, err := rt.Invoke(ctx, c.plan, Request{Body: c.Body, document: c.document})
	if err != nil {
		return value.Value{}, res, said(err)
	}
	body, err := value.Parse(res.Body)
	if err != nil {
		return value.Value{}, res, badAnswer(err)
	}
	content, stop, err := c.family.answer(body)
	if err != nil {
		return value.Value{}, res, badAnswer(err)
	}
	out := object(
		member("output", object(member("message", object(member("role", text("assistant")), member("content", value.Array(content...)))))),
		member("stopReason", text(stop)),
		member("usage", res.Usage.value()),
		member("metrics", object(member("latencyMs", number(res.Latency.Milliseconds())))),
		member("additionalModelResponseFields", pick(body, c.Conversation.ResponsePaths)))
	return c.settings(out), res, nil
}

// settings repeats what the request asked for and the answer says again.
func (c *Prepared) settings(v value.Value) value.Value {
	if l := c.Conversation.Latency; l != "" {
		v = v.With("performanceConfig", object(member("latency", text(l))))
	}
	if t := c.Conversation.Tier; t != "" {
		v = v.With("serviceTier", object(member("type", text(t))))
	}
	return v
}

// ConverseStream runs a conversation and passes on ConverseStream's events as
// they come. begun, if not nil, is called before the first.
func (rt *Runtime) ConverseStream(ctx context.Context, c *Prepared, begun func(Begun), emit func(name string, payload value.Value) error) (*Result, error) {
	t := c.family.events()
	// messageStop comes with the fields that the paths point at, which are
	// complete only then.
	pass := func(name string, payload value.Value) error {
		if name == "messageStop" {
			payload = payload.With("additionalModelResponseFields", pick(t.fields(), c.Conversation.ResponsePaths))
		}
		return emit(name, payload)
	}
	res, err := rt.stream(ctx, c.plan, Request{Body: c.Body, Native: c.Native, document: c.document}, begun, func(k Chunk, took, _ time.Duration) error {
		v, err := value.Parse(k.Body)
		if err != nil {
			return badAnswer(err)
		}
		if err := t.event(v, pass); err != nil || k.Usage == nil {
			return err
		}
		return emit("metadata", c.settings(object(
			member("usage", k.Usage.value()),
			member("metrics", object(member("latencyMs", number(took.Milliseconds())))))))
	})
	return res, said(err)
}

// said marks a model's refusal as Converse does.
func said(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != "ValidationException" {
		return err
	}
	x := *f
	x.Message = "The model returned the following errors: " + f.Message
	return &x
}

func badAnswer(err error) error {
	f := Fault("ModelErrorException", "The model's answer could not be read. Retry your request.")
	f.Err = err
	return f
}

func (u Usage) value() value.Value {
	return object(
		member("inputTokens", number(int64(u.Input))),
		member("outputTokens", number(int64(u.Output))),
		member("totalTokens", number(int64(u.Input+u.Output+u.CacheRead+u.CacheWrite))),
		member("cacheReadInputTokens", number(int64(u.CacheRead))),
		member("cacheWriteInputTokens", number(int64(u.CacheWrite))))
}

func member(key string, v value.Value) value.Member { return value.Member{Key: key, Value: v} }

func object(members ...value.Member) value.Value { return value.Object(members...) }

func text(s string) value.Value { return value.String(s) }

func number(n int64) value.Value { return value.Int(n) }

// given is text that is left out where it is empty.
func given(s string) value.Value {
	if s == "" {
		return value.Value{}
	}
	return value.String(s)
}

func texts(list []string) value.Value {
	if len(list) == 0 {
		return value.Value{}
	}
	items := make([]value.Value, len(list))
	for i, s := range list {
		items[i] = value.String(s)
	}
	return value.Array(items...)
}
