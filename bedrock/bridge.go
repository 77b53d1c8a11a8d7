package bedrock

import (
	"errors"
	"slices"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// Bridge carries one call between two families: somebody wrote the request in
// the form of one, and who answers speaks the other. What the other cannot say
// is refused, never dropped; of a cache point, which changes no answer, nothing
// is left where the other has none.
type Bridge struct {
	from, to family
	model    *catalog.Model
	body     value.Value // in to's form
	stream   bool        // the request asks for a stream, in a form that says so in its body
	usage    bool        // and for the usage at its end
}

// Head is what an answer says of itself besides what was said.
type Head struct {
	ID      string // as far as a family has one; its prefix is added where missing
	Model   string
	Created int64 // Unix seconds
}

// NewBridge reads a body in the form of from, which is somebody's request to the
// model m, and writes it in the form of to. The error is a *fault.Error.
func NewBridge(from, to Family, m *catalog.Model, body value.Value) (*Bridge, error) {
	b := &Bridge{from: named(from, m), to: named(to, m), model: m}
	if b.from == nil || b.to == nil {
		return nil, invalidf("The model %s is not one that text is exchanged with, and cannot be served in this way.", m.ID)
	}
	if !body.IsObject() {
		return nil, invalidf("Malformed input request, please reformat your input and try again.")
	}
	c, err := b.from.parse(body)
	if err != nil {
		return nil, err
	}
	if len(c.Messages) == 0 {
		return nil, invalidf("messages: at least one message is required")
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		m.Content = slices.DeleteFunc(m.Content, func(b Block) bool { return b.Kind == Text && b.Text == "" })
		if len(m.Content) == 0 {
			return nil, invalidf("messages: all messages must have non-empty content")
		}
	}
	if to == Chat {
		c.forgetCache()
	}
	if b.body, err = b.to.request(c, m); err != nil {
		return nil, err
	}
	b.stream, b.usage = c.stream, c.usage
	return b, nil
}

// named is the family called f, for a model.
func named(f Family, m *catalog.Model) family {
	switch f {
	case Anthropic:
		return anthropic{}
	case Nova:
		return nova{}
	case Chat:
		return chat{}
	case Cohere:
		return cohere{}
	case Llama:
		return llama(m)
	case Mistral:
		return newMistral(m)
	}
	return nil
}

// forgetCache removes cache points: those who speak chat completions cache by
// themselves, and say so in their usage.
func (c *Conversation) forgetCache() {
	isCache := func(b Block) bool { return b.Kind == CachePoint }
	c.System = slices.DeleteFunc(c.System, isCache)
	for i := range c.Messages {
		c.Messages[i].Content = slices.DeleteFunc(c.Messages[i].Content, isCache)
	}
	for i := range c.Tools {
		c.Tools[i].Cache = nil
	}
}

// Body is the request in the form of who answers.
func (b *Bridge) Body() value.Value { return b.body }

// Answer turns a whole answer into the form of who asked.
func (b *Bridge) Answer(body value.Value, h Head, u Usage) (value.Value, error) {
	content, stop, err := b.to.answer(body)
	if err != nil {
		return value.Value{}, badAnswer(err)
	}
	return b.from.whole(&reply{Head: h, content: content, stop: stop, usage: u})
}

// Stream turns the chunks of a streamed answer into those of who asked.
func (b *Bridge) Stream(h Head) *BridgeStream {
	return &BridgeStream{read: b.to.events(), write: b.from.chunks(h)}
}

// BridgeStream is one streamed answer on its way.
type BridgeStream struct {
	read    translator
	write   chunker
	stopped bool
}

// Chunk turns one chunk into any number of them.
func (s *BridgeStream) Chunk(chunk value.Value, emit func(value.Value) error) error {
	return s.read.event(chunk, func(name string, payload value.Value) error {
		s.stopped = s.stopped || name == "messageStop"
		return s.write.event(name, payload, emit)
	})
}

// End writes what ends the answer; the last chunk is among it.
func (s *BridgeStream) End(u Usage, emit func(value.Value) error) error {
	if !s.stopped {
		return errors.New("a stream that ends before the message does")
	}
	return s.write.end(u, emit)
}

// reply is a whole answer before a family gives it its form.
type reply struct {
	Head
	content []value.Value // Converse's content blocks
	stop    string        // Converse's stopReason
	usage   Usage
}

// chunker writes a stream in a family's form from ConverseStream's events.
type chunker interface {
	event(name string, payload value.Value, emit func(value.Value) error) error
	end(u Usage, emit func(value.Value) error) error
}

// first is the member of an object that has one; empty if it has none.
func first(v value.Value) value.Member {
	if !v.IsObject() || v.Len() == 0 {
		return value.Member{}
	}
	return v.Member(0)
}

// merged puts turns of one side that follow each other into one: families differ
// in whether they take several.
func merged(in []Message) []Message {
	var out []Message
	for _, m := range in {
		if n := len(out); n > 0 && out[n-1].Assistant == m.Assistant {
			out[n-1].Content = append(out[n-1].Content, m.Content...)
			continue
		}
		out = append(out, m)
	}
	return out
}
