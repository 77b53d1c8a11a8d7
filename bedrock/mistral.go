package bedrock

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// This file is the bodies of Mistral's older models. AWS documents two (Amazon
// Bedrock user guide, "Mistral AI text completion" and "Mistral AI chat
// completion"): a prompt, which all of them take, and, for those that call tools,
// messages with tools, tool_choice, max_tokens, top_p and temperature, which are
// those of chat completions but for tool_choice "any" and for stop_reason in an
// answer. How its chunks look is not documented: they are taken as "message" or
// "delta", and written as "message".

// mistral is the older form of Mistral's models. It is of one call: an answer has
// the form of the request.
type mistral struct {
	*prompted
	tools    bool // the model calls tools, and has the form with messages
	messages bool // this call has it
}

func newMistral(m *catalog.Model) *mistral {
	bare := strings.HasPrefix(m.ID, "mistral.mistral-7b") || strings.HasPrefix(m.ID, "mistral.mixtral")
	return &mistral{tools: !bare, prompted: &prompted{
		limit: "max_tokens",
		stops: true,
		marks: []string{"[INST]", "[/INST]", "<s>", "</s>"},
		read:  mistralRead,
		said:  mistralSaid,
		write: func(c *Conversation) (string, error) {
			if bare && len(c.System) > 0 {
				return "", invalidf("This model doesn't support system messages. Try again without a system message.")
			}
			var b strings.Builder
			b.WriteString("<s>")
			for i, m := range c.Messages {
				s := joined(m.Content)
				if m.Assistant {
					b.WriteString(" " + s + "</s>")
					continue
				}
				if i == 0 && len(c.System) > 0 {
					s = joined(c.System) + "\n\n" + s
				}
				b.WriteString("[INST] " + s + " [/INST]")
			}
			return b.String(), nil
		},
		generate: func(v value.Value) (string, string, error) {
			o := v.Get("outputs").At(0)
			if !o.Get("text").IsString() {
				return "", "", errors.New("an answer without outputs")
			}
			return o.Get("text").Str(), o.Get("stop_reason").Str(), nil
		},
	}}
}

func (f *mistral) request(c *Conversation, m *catalog.Model) (value.Value, error) {
	if !f.tools || len(c.Tools) == 0 && !slices.ContainsFunc(c.Messages, Message.usesTools) {
		return f.prompted.request(c, m)
	}
	f.messages = true
	switch {
	case c.Choice == "tool":
		return value.Value{}, refusedChoice(c.Choice)
	case len(c.Stops) > 0:
		return value.Value{}, unsupported("stop sequences together with tools for this model", short(c.Stops[0]))
	case !c.topK.IsUndefined():
		return value.Value{}, unsupported("top_k together with tools for this model", short(c.topK.JSON()))
	case c.user != "":
		return value.Value{}, unsupported("user", short(c.user))
	case c.serial:
		return value.Value{}, unsupported("parallel_tool_calls for this model", "false")
	}
	v, err := chat{}.request(c, m)
	if err != nil {
		return v, err
	}
	if c.Choice == "any" {
		v = v.With("tool_choice", text("any"))
	}
	// Its calls have no type, and a message always has content.
	messages := make([]value.Value, 0, v.Get("messages").Len())
	for _, x := range v.Get("messages").Items() {
		if calls := x.Get("tool_calls"); calls.Len() > 0 {
			list := make([]value.Value, 0, calls.Len())
			for _, k := range calls.Items() {
				list = append(list, k.Without("type"))
			}
			x = object(member("role", x.Get("role")), member("content", text(x.Get("content").Str())), member("tool_calls", value.Array(list...)))
		}
		messages = append(messages, x)
	}
	return v.With("messages", value.Array(messages...)), nil
}

func (f *mistral) parse(v value.Value) (*Conversation, error) {
	if f.messages = f.tools && v.Has("messages"); !f.messages {
		return f.prompted.parse(v)
	}
	for name, x := range v.Members() {
		if !slices.Contains([]string{"messages", "tools", "tool_choice", "max_tokens", "top_p", "temperature"}, name) {
			return nil, malformed("#", "extraneous key [%s] is not permitted", short(name))
		}
		if name == "tool_choice" && x.Str() == "any" {
			v = v.With(name, text("required"))
		}
	}
	return chat{}.parse(v)
}

func (f *mistral) answer(body value.Value) ([]value.Value, string, error) {
	if body.Has("choices") {
		return chat{}.answer(body)
	}
	return f.prompted.answer(body)
}

func (f *mistral) events() translator {
	return &mistralEvents{prompt: f.prompted.events(), chat: chat{}.events()}
}

// mistralEvents reads chunks of either form.
type mistralEvents struct{ prompt, chat, last translator }

func (t *mistralEvents) fields() value.Value {
	if t.last == nil {
		return value.Value{}
	}
	return t.last.fields()
}

func (t *mistralEvents) event(c value.Value, emit func(string, value.Value) error) error {
	if t.last == nil {
		if t.last = t.prompt; c.Has("choices") {
			t.last = t.chat
		}
	}
	return t.last.event(c, emit)
}

func (f *mistral) whole(r *reply) (value.Value, error) {
	if !f.messages {
		return f.prompted.whole(r)
	}
	v, err := chat{}.whole(r)
	if err != nil {
		return v, err
	}
	return object(member("choices", value.Array(mistralChoice(v.Get("choices").At(0), "message")))), nil
}

// mistralChoice is a choice of chat completions in Mistral's words.
func mistralChoice(c value.Value, from string) value.Value {
	said := c.Get(from)
	msg := object(member("role", text("assistant")), member("content", text(said.Get("content").Str())))
	if calls := said.Get("tool_calls"); calls.Len() > 0 {
		list := make([]value.Value, 0, calls.Len())
		for _, k := range calls.Items() {
			list = append(list, k.Without("type"))
		}
		msg = msg.With("tool_calls", value.Array(list...))
	}
	reason := c.Get("finish_reason")
	if reason.Str() == "content_filter" {
		reason = text("stop")
	}
	return object(member("index", number(0)), member("message", msg), member("stop_reason", reason))
}

func (f *mistral) chunks(h Head) chunker {
	if !f.messages {
		return f.prompted.chunks(h)
	}
	return &mistralChunks{chat: chat{}.chunks(h)}
}

type mistralChunks struct{ chat chunker }

func (w *mistralChunks) pass(emit func(value.Value) error) func(value.Value) error {
	return func(v value.Value) error {
		return emit(object(member("choices", value.Array(mistralChoice(v.Get("choices").At(0), "delta")))))
	}
}

func (w *mistralChunks) event(name string, p value.Value, emit func(value.Value) error) error {
	return w.chat.event(name, p, w.pass(emit))
}

func (w *mistralChunks) end(u Usage, emit func(value.Value) error) error {
	return w.chat.end(u, w.pass(emit))
}

func mistralSaid(s string, stop value.Value, _ *Usage) value.Value {
	return object(member("outputs", value.Array(object(member("text", text(s)), member("stop_reason", stop)))))
}

// mistralRead splits a prompt as mistral writes it.
func mistralRead(prompt string) (*Conversation, bool) {
	c := &Conversation{}
	rest := strings.TrimPrefix(strings.TrimSpace(prompt), "<s>")
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		after, ok := strings.CutPrefix(rest, "[INST]")
		said, next, closed := strings.Cut(after, "[/INST]")
		if !ok || !closed {
			return nil, false
		}
		c.Messages = append(c.Messages, Message{false, []Block{{Kind: Text, Text: strings.TrimSpace(said)}}})
		if strings.TrimSpace(next) == "" {
			break
		}
		answer, more, ended := strings.Cut(next, "</s>")
		if !ended {
			return nil, false
		}
		c.Messages = append(c.Messages, Message{true, []Block{{Kind: Text, Text: strings.TrimSpace(answer)}}})
		rest = more
	}
	return c, len(c.Messages) > 0
}

// chatReasonOf is why a choice ended: Mistral's models on AWS call it stop_reason.
func chatReasonOf(choice value.Value) string {
	return cmp.Or(choice.Get("finish_reason").Str(), choice.Get("stop_reason").Str())
}
