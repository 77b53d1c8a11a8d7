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
func (f prompted) parse(v value.Value) (*Conversation, error) {
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
			c.System, c.Messages = f.read(x.Str())
			if len(c.Messages) == 0 {
				c.System, c.Messages = nil, []Message{{false, []Block{{Kind: Text, Text: x.Str()}}}}
			}
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
			for !m.Assistant && n < len(images) {
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
			if b.Text != "" {
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

func (f prompted) whole(r *reply) (value.Value, error) {
	s, ok := joinedText(r.content)
	if !ok {
		return value.Value{}, badAnswer(errors.New("an answer that is not only text"))
	}
	return f.said(s, text(chatLength(r.stop)), &r.usage), nil
}

func chatLength(stop string) string {
	if stop == "max_tokens" {
		return "length"
	}
	return "stop"
}

func (f prompted) chunks(Head) chunker { return &promptChunks{family: f} }

type promptChunks struct {
	family prompted
	stop   string
}

func (w *promptChunks) event(name string, p value.Value, emit func(value.Value) error) error {
	switch name {
	case "contentBlockDelta":
		t := p.Get("delta").Get("text")
		if !t.IsString() {
			return nil // reasoning has no place here
		}
		return emit(w.family.said(t.Str(), value.Null(), nil))
	case "messageStop":
		w.stop = p.Get("stopReason").Str()
	}
	return nil
}

func (w *promptChunks) end(u Usage, emit func(value.Value) error) error {
	return emit(w.family.said("", text(chatLength(w.stop)), &u))
}

func llamaSaid(s string, stop value.Value, u *Usage) value.Value {
	in, out := value.Null(), value.Null()
	if u != nil {
		in, out = number(int64(u.Input)), number(int64(u.Output))
	}
	return object(member("generation", text(s)), member("prompt_token_count", in), member("generation_token_count", out), member("stop_reason", stop))
}

func mistralSaid(s string, stop value.Value, _ *Usage) value.Value {
	return object(member("outputs", value.Array(object(member("text", text(s)), member("stop_reason", stop)))))
}

// llamaRead splits a prompt as llama writes it; no messages if it is another.
func llamaRead(begin, open, shut, end string) func(string) ([]Block, []Message) {
	return func(prompt string) (system []Block, messages []Message) {
		rest := strings.TrimPrefix(strings.TrimSpace(prompt), begin)
		for rest != "" {
			rest = strings.TrimLeft(rest, "\n")
			after, ok := strings.CutPrefix(rest, open)
			role, after, ok2 := strings.Cut(after, shut)
			if !ok || !ok2 {
				// The end: what is open is the answer's own header, its blank lines trimmed.
				if ok && after == "" && strings.TrimSpace(shut) != "" && strings.HasSuffix(rest, strings.TrimSpace(shut)) {
					return system, messages
				}
				return nil, nil
			}
			said, next, closed := strings.Cut(after, end)
			if !closed && role == "assistant" && strings.TrimSpace(said) == "" {
				return system, messages
			}
			b := []Block{{Kind: Text, Text: said}}
			switch role {
			case "system":
				system = append(system, b...)
			case "user", "assistant":
				messages = append(messages, Message{role == "assistant", b})
			default:
				return nil, nil
			}
			rest = next
		}
		return system, messages
	}
}

// mistralRead splits a prompt as mistral writes it.
func mistralRead(prompt string) (_ []Block, messages []Message) {
	rest := strings.TrimPrefix(strings.TrimSpace(prompt), "<s>")
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		after, ok := strings.CutPrefix(rest, "[INST]")
		said, next, closed := strings.Cut(after, "[/INST]")
		if !ok || !closed {
			return nil, nil
		}
		messages = append(messages, Message{false, []Block{{Kind: Text, Text: strings.TrimSpace(said)}}})
		if strings.TrimSpace(next) == "" {
			return nil, messages
		}
		answer, more, ended := strings.Cut(next, "</s>")
		if !ended {
			return nil, nil
		}
		messages = append(messages, Message{true, []Block{{Kind: Text, Text: strings.TrimSpace(answer)}}})
		rest = more
	}
	return nil, messages
}
