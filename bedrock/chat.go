package bedrock

import (
	"errors"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// chat is OpenAI's chat completions, which most open models on Bedrock speak.
type chat struct{}

func (f chat) request(c *Conversation, m *catalog.Model) (value.Value, error) {
	var messages []value.Value
	if len(c.System) > 0 {
		var s strings.Builder
		for i, b := range c.System {
			if b.Kind != Text {
				return value.Value{}, unsupportedBlock(b.Kind)
			}
			if i > 0 {
				s.WriteString("\n\n")
			}
			s.WriteString(b.Text)
		}
		messages = append(messages, object(member("role", text("system")), member("content", text(s.String()))))
	}
	for _, msg := range c.Messages {
		var err error
		if msg.Assistant {
			messages, err = f.assistant(messages, msg.Content)
		} else {
			messages, err = f.user(messages, msg.Content)
		}
		if err != nil {
			return value.Value{}, err
		}
	}
	limit, most := "max_tokens", value.Value{}
	if strings.HasPrefix(m.ID, "openai.") {
		limit = "max_completion_tokens"
	}
	if c.MaxTokens > 0 {
		most = number(int64(c.MaxTokens))
	}
	var tools, choice value.Value
	if len(c.Tools) > 0 {
		list := make([]value.Value, len(c.Tools))
		for i, t := range c.Tools {
			if t.Cache != nil {
				return value.Value{}, unsupportedBlock(CachePoint)
			}
			list[i] = object(kind("function"), member("function", object(member("name", text(t.Name)), member("description", given(t.Description)), member("parameters", t.Schema))))
		}
		tools = value.Array(list...)
	}
	switch c.Choice {
	case "auto", "none":
		choice = text(c.Choice)
	case "any":
		choice = text("required")
	case "tool":
		choice = object(kind("function"), member("function", object(member("name", text(c.Chosen)))))
	}
	var parallel value.Value
	if c.serial {
		parallel = value.Bool(false)
	}
	return object(
		member("messages", value.Array(messages...)),
		member(limit, most),
		member("temperature", c.Temperature),
		member("top_p", c.TopP),
		member("top_k", c.topK),
		member("user", given(c.user)),
		member("parallel_tool_calls", parallel),
		member("stop", texts(c.Stops)),
		member("tools", tools),
		member("tool_choice", choice)), nil
}

// user adds a user's turn: results of tools are messages of their own, before
// what the user says besides.
func (chat) user(out []value.Value, content []Block) ([]value.Value, error) {
	var parts []value.Value
	images := false
	for i := range content {
		b := &content[i]
		switch b.Kind {
		case Text:
			parts = append(parts, object(kind("text"), member("text", text(b.Text))))
		case Document:
			t, err := b.asText()
			if err != nil {
				return nil, err
			}
			parts = append(parts, object(kind("text"), member("text", text(t.Text))))
		case Image:
			images = true
			parts = append(parts, object(kind("image_url"), member("image_url", object(member("url", text("data:image/"+b.Format+";base64,"+b.Data))))))
		case ToolResult:
			s, err := resultText(b)
			if err != nil {
				return nil, err
			}
			out = append(out, object(member("role", text("tool")), member("tool_call_id", text(b.ID)), member("content", text(s))))
		default:
			return nil, unsupportedBlock(b.Kind)
		}
	}
	switch {
	case len(parts) == 0:
		return out, nil
	case len(parts) == 1 && !images:
		return append(out, object(member("role", text("user")), member("content", parts[0].Get("text")))), nil
	}
	return append(out, object(member("role", text("user")), member("content", value.Array(parts...)))), nil
}

func resultText(b *Block) (string, error) {
	var s strings.Builder
	if b.Failed {
		s.WriteString("Error: ") // there is no other place to say it
	}
	for i, c := range b.Content {
		if i > 0 {
			s.WriteString("\n")
		}
		switch c.Kind {
		case Text:
			s.WriteString(c.Text)
		case JSON:
			s.WriteString(c.Value.JSON())
		default:
			return "", unsupportedBlock(c.Kind)
		}
	}
	return s.String(), nil
}

func (chat) assistant(out []value.Value, content []Block) ([]value.Value, error) {
	var said, thought strings.Builder
	var calls []value.Value
	for i := range content {
		b := &content[i]
		switch b.Kind {
		case Text:
			said.WriteString(b.Text)
		case Reasoning:
			thought.WriteString(b.Text)
		case ToolUse:
			calls = append(calls, object(member("id", text(b.ID)), kind("function"),
				member("function", object(member("name", text(b.Name)), member("arguments", text(b.Value.JSON()))))))
		default:
			return nil, unsupportedBlock(b.Kind)
		}
	}
	var list value.Value
	if calls != nil {
		list = value.Array(calls...)
	}
	return append(out, object(member("role", text("assistant")), member("content", given(said.String())),
		member("reasoning_content", given(thought.String())), member("tool_calls", list))), nil
}

// thoughts are the members that servers put reasoning in.
func thoughts(v value.Value) string {
	if s := v.Get("reasoning_content").Str(); s != "" {
		return s
	}
	return v.Get("reasoning").Str()
}

func (chat) answer(body value.Value) ([]value.Value, string, error) {
	choice := body.Get("choices").At(0)
	msg := choice.Get("message")
	if !msg.IsObject() {
		return nil, "", errors.New("an answer without a message")
	}
	var out []value.Value
	if s := thoughts(msg); s != "" {
		out = append(out, object(member("reasoningContent", object(member("reasoningText", object(member("text", text(s))))))))
	}
	if s := msg.Get("content").Str(); s != "" {
		out = append(out, object(member("text", text(s))))
	}
	for _, c := range msg.Get("tool_calls").Items() {
		f := c.Get("function")
		args, err := arguments(f.Get("arguments").Str())
		if err != nil {
			return nil, "", errors.New("a tool call whose arguments are no JSON object")
		}
		out = append(out, object(member("toolUse", object(member("toolUseId", c.Get("id")), member("name", f.Get("name")), member("input", args)))))
	}
	return out, chatStop(chatReasonOf(choice)), nil
}

func chatStop(s string) string {
	switch s {
	case "length":
		return "max_tokens"
	case "tool_calls":
		return "tool_use"
	case "content_filter":
		return "content_filtered"
	}
	return "end_turn"
}

func (chat) events() translator { return &chatEvents{open: noBlock, calls: map[int64]int64{}} }

// blocks that chat completions do not number: what is open now.
const (
	noBlock = iota
	textBlock
	thoughtBlock
	toolBlock
)

type chatEvents struct {
	begun bool
	open  int             // which kind of block is open
	index int64           // of the open block, or the next
	calls map[int64]int64 // tool calls by their number: the index of their block
	seen  value.Value
}

func (t *chatEvents) fields() value.Value { return t.seen }

// block closes what is open and makes place for a block of another kind.
func (t *chatEvents) block(kind int, emit func(string, value.Value) error) error {
	if t.open == kind && kind != toolBlock {
		return nil
	}
	if t.open != noBlock {
		if err := emit("contentBlockStop", object(member("contentBlockIndex", number(t.index)))); err != nil {
			return err
		}
		t.index++
	}
	t.open = kind
	return nil
}

func (t *chatEvents) event(c value.Value, emit func(string, value.Value) error) error {
	if !t.begun {
		t.begun = true
		if err := emit("messageStart", object(member("role", text("assistant")))); err != nil {
			return err
		}
	}
	choice := c.Get("choices").At(0)
	d := choice.Get("delta")
	if d.IsUndefined() {
		d = choice.Get("message") // Mistral's on AWS
	}
	send := func(kind int, v value.Value) error {
		if err := t.block(kind, emit); err != nil {
			return err
		}
		return emit("contentBlockDelta", object(member("delta", v), member("contentBlockIndex", number(t.index))))
	}
	if s := thoughts(d); s != "" {
		if err := send(thoughtBlock, object(member("reasoningContent", object(member("text", text(s)))))); err != nil {
			return err
		}
	}
	if s := d.Get("content").Str(); s != "" {
		if err := send(textBlock, object(member("text", text(s)))); err != nil {
			return err
		}
	}
	for _, call := range d.Get("tool_calls").Items() {
		if err := t.call(call, emit); err != nil {
			return err
		}
	}
	reason := chatReasonOf(choice)
	if reason == "" {
		return nil
	}
	t.seen = choice
	if err := t.block(noBlock, emit); err != nil {
		return err
	}
	return emit("messageStop", object(member("stopReason", text(chatStop(reason)))))
}

func (t *chatEvents) call(call value.Value, emit func(string, value.Value) error) error {
	n, _ := call.Get("index").Int()
	f := call.Get("function")
	at, known := t.calls[n]
	if !known {
		if err := t.block(toolBlock, emit); err != nil {
			return err
		}
		at = t.index
		t.calls[n] = at
		if err := emit("contentBlockStart", object(member("start", object(member("toolUse", object(member("toolUseId", call.Get("id")), member("name", f.Get("name")))))),
			member("contentBlockIndex", number(at)))); err != nil {
			return err
		}
	}
	if at != t.index || t.open != toolBlock {
		return errors.New("a tool call that goes on after its block has ended")
	}
	if s := f.Get("arguments").Str(); s != "" {
		return emit("contentBlockDelta", object(member("delta", object(member("toolUse", object(member("input", text(s)))))), member("contentBlockIndex", number(at))))
	}
	return nil
}
