package bedrock

import (
	"errors"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// nova is Amazon Nova's own form, which is nearly Converse's.
type nova struct{}

func (f nova) request(c *Conversation, _ *catalog.Model) (value.Value, error) {
	var system value.Value
	if len(c.System) > 0 {
		list, err := f.blocks(c.System)
		if err != nil {
			return system, err
		}
		system = value.Array(list...)
	}
	messages := make([]value.Value, len(c.Messages))
	for i, m := range c.Messages {
		content, err := f.blocks(m.Content)
		if err != nil {
			return system, err
		}
		role := "user"
		if m.Assistant {
			role = "assistant"
		}
		messages[i] = object(member("role", text(role)), member("content", value.Array(content...)))
	}
	if c.Choice == "none" || c.serial || c.user != "" {
		return system, unsupported("tool_choice none, one tool call at a time, or a user, for this model", c.Choice+c.user)
	}
	var most, config, tools value.Value
	if c.MaxTokens > 0 {
		most = number(int64(c.MaxTokens))
	}
	config = object(member("maxTokens", most), member("temperature", c.Temperature), member("topP", c.TopP), member("topK", c.topK), member("stopSequences", texts(c.Stops)))
	if config.Len() == 0 {
		config = value.Value{}
	}
	if len(c.Tools) > 0 {
		var list []value.Value
		for _, t := range c.Tools {
			list = append(list, object(member("toolSpec", object(member("name", text(t.Name)), member("description", given(t.Description)),
				member("inputSchema", object(member("json", t.Schema)))))))
			if t.Cache != nil {
				list = append(list, object(member("cachePoint", novaCache())))
			}
		}
		tools = object(member("tools", value.Array(list...)))
		if c.Choice != "" {
			tools = tools.With("toolChoice", object(member(c.Choice, object(member("name", given(c.Chosen))))))
		}
	}
	return object(
		member("schemaVersion", text("messages-v1")),
		member("messages", value.Array(messages...)),
		member("system", system),
		member("inferenceConfig", config),
		member("toolConfig", tools)), nil
}

func novaCache() value.Value { return object(member("type", text("default"))) }

func (f nova) blocks(in []Block) ([]value.Value, error) {
	out := make([]value.Value, 0, len(in))
	source := func(b *Block) value.Member { return member("source", object(member("bytes", text(b.Data)))) }
	for i := range in {
		b := &in[i]
		var v value.Value
		switch b.Kind {
		case Text:
			v = object(member("text", text(b.Text)))
		case Image:
			v = object(member("image", object(member("format", text(b.Format)), source(b))))
		case Video:
			v = object(member("video", object(member("format", text(b.Format)), source(b))))
		case Document:
			if b.Data == "" || b.Cite || b.Context != "" {
				return nil, unsupported("document with text, citations or context for this model", b.Name)
			}
			v = object(member("document", object(member("format", text(b.Format)), member("name", text(b.Name)), source(b))))
		case ToolUse:
			v = object(member("toolUse", object(member("toolUseId", text(b.ID)), member("name", text(b.Name)), member("input", b.Value))))
		case ToolResult:
			content, err := f.blocks(b.Content)
			if err != nil {
				return nil, err
			}
			status := "success"
			if b.Failed {
				status = "error"
			}
			v = object(member("toolResult", object(member("toolUseId", text(b.ID)), member("content", value.Array(content...)), member("status", text(status)))))
		case JSON:
			v = object(member("json", b.Value))
		case CachePoint:
			if b.TTL != "" && b.TTL != "5m" {
				return nil, unsupported("cachePoint.ttl for this model", b.TTL)
			}
			v = object(member("cachePoint", novaCache()))
		case Reasoning:
			v = object(member("reasoningContent", object(member("reasoningText", object(member("text", text(b.Text)), member("signature", given(b.Signature)))))))
		default:
			return nil, unsupportedBlock(b.Kind)
		}
		out = append(out, v)
	}
	return out, nil
}

func (nova) answer(body value.Value) ([]value.Value, string, error) {
	content := body.Get("output").Get("message").Get("content")
	if !content.IsArray() {
		return nil, "", errors.New("a message without content")
	}
	var out []value.Value
	for _, b := range content.Items() {
		out = append(out, b)
	}
	return out, body.Get("stopReason").Str(), nil
}

func (nova) events() translator { return &novaEvents{} }

type novaEvents struct{ seen value.Value }

func (t *novaEvents) fields() value.Value { return t.seen }

func (t *novaEvents) event(c value.Value, emit func(string, value.Value) error) error {
	for name, x := range c.Members() {
		switch name {
		case "messageStop":
			t.seen = x
			fallthrough
		case "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop":
			return emit(name, x)
		}
	}
	return nil // metadata comes from the runtime
}
