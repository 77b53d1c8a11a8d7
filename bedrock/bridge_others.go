package bedrock

import (
	"errors"
	"fmt"
	"strings"

	"tokaido/value"
)

// This file is the other half of nova and the prompted families: requests are
// read, and answers written.

func malformed(at, format string, args ...any) error {
	return invalidf("Malformed input request: "+at+": "+format+", please reformat your input and try again.", args...)
}

// parse reads a body that differs from a Converse request in a few names.
func (nova) parse(v value.Value) (*Conversation, error) {
	in := value.Object()
	var topK value.Value
	for name, x := range v.Members() {
		switch name {
		case "schemaVersion":
			if x.Str() != "messages-v1" {
				return nil, malformed("#/schemaVersion", "%s is not a valid enum value", short(x.JSON()))
			}
		case "messages", "system", "toolConfig":
			in = in.With(name, x)
		case "inferenceConfig":
			c := value.Object()
			for k, y := range x.Members() {
				switch k {
				case "maxTokens", "max_new_tokens":
					c = c.With("maxTokens", y)
				case "topP", "top_p":
					c = c.With("topP", y)
				case "topK", "top_k":
					topK = y
				case "temperature", "stopSequences":
					c = c.With(k, y)
				default:
					return nil, malformed("#/inferenceConfig", "extraneous key [%s] is not permitted", short(k))
				}
			}
			in = in.With(name, c)
		default:
			return nil, malformed("#", "extraneous key [%s] is not permitted", short(name))
		}
	}
	c, err := ParseConversation(in)
	if err != nil {
		return nil, err
	}
	c.topK = topK
	return c, nil
}

func (nova) whole(r *reply) (value.Value, error) {
	return object(
		member("output", object(member("message", object(member("content", value.Array(r.content...)), member("role", text("assistant")))))),
		member("stopReason", text(r.stop)),
		member("usage", novaUsage(r.usage))), nil
}

func novaUsage(u Usage) value.Value {
	return object(member("inputTokens", number(int64(u.Input))), member("outputTokens", number(int64(u.Output))), member("totalTokens", number(int64(u.Input+u.Output))),
		member("cacheReadInputTokenCount", number(int64(u.CacheRead))), member("cacheWriteInputTokenCount", number(int64(u.CacheWrite))))
}

func (nova) chunks(Head) chunker { return novaChunks{} }

type novaChunks struct{}

func (novaChunks) event(name string, p value.Value, emit func(value.Value) error) error {
	return emit(object(member(name, p)))
}

func (novaChunks) end(u Usage, emit func(value.Value) error) error {
	return emit(object(member("metadata", object(member("usage", novaUsage(u)), member("metrics", object()), member("trace", object())))))
}

// parse reads a prompt's turns back; one without marks, or with others than a
// conversation has, is a single turn of the user.
func (f *prompted) parse(v value.Value) (*Conversation, error) {
	c := &Conversation{}
	var images []Block
	for name, x := range v.Members() {
		switch {
		case name == "images" && f.images:
			for i, s := range x.Items() {
				b, ok := imageOf(s.Str())
				if !ok {
					return nil, malformed(fmt.Sprintf("#/images/%d", i), "expected base64 of a PNG, JPEG, GIF or WebP")
				}
				images = append(images, b)
			}
		case name == "prompt":
			if !x.IsString() || x.Str() == "" {
				return nil, malformed("#/prompt", "expected type: String")
			}
			said, ok := f.read(x.Str())
			if !ok {
				said = &Conversation{Messages: []Message{{false, []Block{{Kind: Text, Text: x.Str()}}}}}
			}
			c.System, c.Messages, c.Tools = said.System, said.Messages, said.Tools
			f.tools = c.Tools
		case name == f.limit:
			n, ok := x.Int()
			if !ok || n < 1 || n > 1<<31-1 {
				return nil, malformed("#/"+f.limit, "%s is not greater or equal to 1", short(x.JSON()))
			}
			c.MaxTokens = int(n)
		case name == "temperature":
			c.Temperature = x
		case name == "top_p":
			c.TopP = x
		case name == "top_k" && f.stops:
			c.topK = x
		case name == "stop" && f.stops:
			for _, s := range x.Items() {
				if s.Str() == "" {
					return nil, malformed("#/stop", "expected minLength: 1")
				}
				c.Stops = append(c.Stops, s.Str())
			}
		default:
			return nil, malformed("#", "extraneous key [%s] is not permitted", short(name))
		}
	}
	if len(c.Messages) == 0 {
		return nil, malformed("#", "required key [prompt] not found")
	}
	return c, c.placeImages(images)
}

// placeImages puts images where a prompt has marks for them.
func (c *Conversation) placeImages(images []Block) error {
	n := 0
	for i := range c.Messages {
		m := &c.Messages[i]
		var out []Block
		for _, b := range m.Content {
			for !m.Assistant && b.Kind == Text && n < len(images) {
				before, after, found := strings.Cut(b.Text, imageMark)
				if !found {
					break
				}
				if strings.TrimSpace(before) != "" {
					out = append(out, Block{Kind: Text, Text: before})
				}
				out, b.Text = append(out, images[n]), after
				n++
			}
			if b.Kind != Text || b.Text != "" {
				out = append(out, b)
			}
		}
		m.Content = out
	}
	if n != len(images) {
		return malformed("#/images", "%d images, and %s %d times in the prompt", len(images), imageMark, n)
	}
	return nil
}

// imageOf is an image whose format its first bytes tell.
func imageOf(data string) (Block, bool) {
	for begin, format := range map[string]string{"iVBORw0KGgo": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"} {
		if strings.HasPrefix(data, begin) {
			return Block{Kind: Image, Format: format, Data: data}, isBase64(data)
		}
	}
	return Block{}, false
}

func (f *prompted) whole(r *reply) (value.Value, error) {
	var said strings.Builder
	var calls []call
	for _, b := range r.content {
		switch m := first(b); {
		case m.Key == "text" && calls == nil:
			said.WriteString(m.Value.Str())
		case m.Key == "toolUse" && f.form != noCalls:
			calls = append(calls, call{m.Value.Get("name").Str(), m.Value.Get("input")})
		default:
			return value.Value{}, badAnswer(errors.New("an answer with a block " + m.Key))
		}
	}
	said.WriteString(f.called(calls, said.Len() > 0))
	return f.said(said.String(), text(chatLength(r.stop)), &r.usage), nil
}

// called is calls as the model would have said them; after says that it has said
// something before.
func (f *prompted) called(calls []call, after bool) string {
	switch {
	case len(calls) == 0:
		return ""
	case after:
		return "\n\n" + f.tag + f.form.write(calls)
	}
	return f.tag + f.form.write(calls)
}

func chatLength(stop string) string {
	if stop == "max_tokens" {
		return "length"
	}
	return "stop"
}

func (f *prompted) chunks(Head) chunker { return &promptChunks{family: f} }

type promptChunks struct {
	family *prompted
	stop   string
	said   bool
	calls  []call
	inputs strings.Builder // of the last call
}

func (w *promptChunks) event(name string, p value.Value, emit func(value.Value) error) error {
	switch name {
	case "contentBlockStart":
		if w.family.form == noCalls {
			return badAnswer(errors.New("a call of a tool"))
		}
		w.calls = append(w.calls, call{name: p.Get("start").Get("toolUse").Get("name").Str()})
		w.inputs.Reset()
	case "contentBlockDelta":
		if s := p.Get("delta").Get("toolUse").Get("input"); s.IsString() && len(w.calls) > 0 {
			w.inputs.WriteString(s.Str())
		}
		t := p.Get("delta").Get("text")
		if !t.IsString() {
			return nil // reasoning has no place here
		}
		w.said = w.said || t.Str() != ""
		return emit(w.family.said(t.Str(), value.Null(), nil))
	case "contentBlockStop":
		if n := len(w.calls); n > 0 && w.calls[n-1].args.IsUndefined() {
			args, err := arguments(w.inputs.String())
			if err != nil {
				return badAnswer(err)
			}
			w.calls[n-1].args = args
		}
	case "messageStop":
		w.stop = p.Get("stopReason").Str()
	}
	return nil
}

func (w *promptChunks) end(u Usage, emit func(value.Value) error) error {
	for i := range w.calls {
		if w.calls[i].args.IsUndefined() {
			w.calls[i].args = object()
		}
	}
	if s := w.family.called(w.calls, w.said); s != "" {
		if err := emit(w.family.said(s, value.Null(), nil)); err != nil {
			return err
		}
	}
	return emit(w.family.said("", text(chatLength(w.stop)), &u))
}
