package bedrock

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// anthropic is the Messages API as Claude speaks it on Bedrock.
type anthropic struct{}

const (
	anthropicVersion = "bedrock-2023-05-31"
	defaultMaxTokens = 4096 // where the model's own limit is not known; Messages wants one
)

func (f anthropic) request(c *Conversation, m *catalog.Model) (value.Value, error) {
	most := c.MaxTokens
	if most == 0 {
		if most = m.MaxOutput; most == 0 {
			most = defaultMaxTokens
		}
	}
	var system value.Value
	if len(c.System) > 0 {
		b, err := f.blocks(c.System)
		if err != nil {
			return system, err
		}
		system = value.Array(b...)
	}
	messages := make([]value.Value, len(c.Messages))
	for i, msg := range c.Messages {
		b, err := f.blocks(msg.Content)
		if err != nil {
			return system, err
		}
		role := "user"
		if msg.Assistant {
			role = "assistant"
		}
		messages[i] = object(member("role", text(role)), member("content", value.Array(b...)))
	}
	var tools, choice value.Value
	if len(c.Tools) > 0 {
		list := make([]value.Value, len(c.Tools))
		for i, t := range c.Tools {
			list[i] = object(member("name", text(t.Name)), member("description", given(t.Description)), member("input_schema", t.Schema))
			if t.Cache != nil {
				list[i] = list[i].With("cache_control", cacheControl(t.Cache))
			}
		}
		tools = value.Array(list...)
	}
	if c.Choice != "" {
		choice = object(member("type", text(c.Choice)), member("name", given(c.Chosen)))
	}
	if c.serial {
		if choice.IsUndefined() {
			choice = object(kind("auto"))
		}
		if c.Choice != "none" {
			choice = choice.With("disable_parallel_tool_use", value.Bool(true))
		}
	}
	var user value.Value
	if c.user != "" {
		user = object(member("user_id", text(c.user)))
	}
	return object(
		member("anthropic_version", text(anthropicVersion)),
		member("max_tokens", number(int64(most))),
		member("system", system),
		member("messages", value.Array(messages...)),
		member("temperature", c.Temperature),
		member("top_p", c.TopP),
		member("top_k", c.topK),
		member("metadata", user),
		member("stop_sequences", texts(c.Stops)),
		member("tools", tools),
		member("tool_choice", choice)), nil
}

func cacheControl(b *Block) value.Value {
	return object(member("type", text("ephemeral")), member("ttl", given(b.TTL)))
}

func kind(s string) value.Member { return member("type", text(s)) }

// blocks writes content; a cache point becomes a mark on the block before it.
func (f anthropic) blocks(in []Block) ([]value.Value, error) {
	out := make([]value.Value, 0, len(in))
	for i := range in {
		b := &in[i]
		if b.Kind == CachePoint && len(out) > 0 {
			out[len(out)-1] = out[len(out)-1].With("cache_control", cacheControl(b))
			continue
		}
		v, err := f.block(b)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (f anthropic) block(b *Block) (v value.Value, err error) {
	switch b.Kind {
	case Text:
		return object(kind("text"), member("text", text(b.Text))), nil
	case Image:
		return object(kind("image"), member("source", object(kind("base64"), member("media_type", text("image/"+b.Format)), member("data", text(b.Data))))), nil
	case Document:
		return f.document(b)
	case ToolUse:
		return object(kind("tool_use"), member("id", text(b.ID)), member("name", text(b.Name)), member("input", b.Value)), nil
	case ToolResult:
		content, err := f.blocks(b.Content)
		if err != nil {
			return v, err
		}
		v = object(kind("tool_result"), member("tool_use_id", text(b.ID)), member("content", value.Array(content...)))
		if b.Failed {
			v = v.With("is_error", value.Bool(true))
		}
		return v, nil
	case JSON:
		return object(kind("text"), member("text", text(b.Value.JSON()))), nil
	case Reasoning:
		return object(kind("thinking"), member("thinking", text(b.Text)), member("signature", text(b.Signature))), nil
	case Redacted:
		data, err := base64.StdEncoding.DecodeString(b.Data)
		if err != nil {
			return v, constraint("redactedContent", "be base64")
		}
		return object(kind("redacted_thinking"), member("data", text(string(data)))), nil
	case Citations:
		v = object(kind("text"), member("text", text(strings.Join(b.Parts, ""))))
		var list []value.Value
		for _, c := range b.Value.Items() {
			x, err := uncite(c)
			if err != nil {
				return v, err
			}
			list = append(list, x)
		}
		if list != nil {
			v = v.With("citations", value.Array(list...))
		}
		return v, nil
	case SearchResult:
		return object(kind("search_result"), member("source", text(b.Source)), member("title", text(b.Name)),
			member("content", textBlocks(b.Parts)), member("citations", cite(b))), nil
	}
	return v, unsupportedBlock(b.Kind)
}

var blockNames = map[BlockKind]string{
	Text: "text", Image: "image", Document: "document", Video: "video", ToolUse: "toolUse", ToolResult: "toolResult", JSON: "json", CachePoint: "cachePoint",
	Reasoning: "reasoningContent", Redacted: "reasoningContent", Citations: "citationsContent", SearchResult: "searchResult",
}

// unsupportedBlock refuses content that a model does not read, in AWS's words.
func unsupportedBlock(k BlockKind) error {
	return invalidf("This model doesn't support the %s content block that you provided. Update your content and try again.", blockNames[k])
}

func textBlocks(parts []string) value.Value {
	list := make([]value.Value, len(parts))
	for i, s := range parts {
		list[i] = object(kind("text"), member("text", text(s)))
	}
	return value.Array(list...)
}

func cite(b *Block) value.Value {
	if !b.Cite {
		return value.Value{}
	}
	return object(member("enabled", value.Bool(true)))
}

func (anthropic) document(b *Block) (value.Value, error) {
	var source value.Value
	s, isText := b.textOf()
	switch {
	case b.Parts != nil:
		source = object(kind("content"), member("content", textBlocks(b.Parts)))
	case isText:
		source = object(kind("text"), member("media_type", text("text/plain")), member("data", text(s)))
	case b.Format == "pdf":
		source = object(kind("base64"), member("media_type", text("application/pdf")), member("data", text(b.Data)))
	default:
		return source, unsupported("document.format", b.Format)
	}
	return object(kind("document"), member("source", source), member("title", given(b.Name)), member("context", given(b.Context)), member("citations", cite(b))), nil
}

func (f anthropic) answer(body value.Value) ([]value.Value, string, error) {
	if !body.Get("content").IsArray() {
		return nil, "", errors.New("a message without content")
	}
	var out []value.Value
	for _, b := range body.Get("content").Items() {
		v, err := f.said(b)
		if err != nil {
			return nil, "", err
		}
		out = append(out, v)
	}
	return out, anthropicStop(body.Get("stop_reason").Str()), nil
}

// said is one block of an answer, in Converse's words.
func (anthropic) said(b value.Value) (value.Value, error) {
	switch k := b.Get("type").Str(); k {
	case "text":
		if b.Get("citations").Len() == 0 {
			return object(member("text", b.Get("text"))), nil
		}
		var list []value.Value
		for _, c := range b.Get("citations").Items() {
			list = append(list, citation(c))
		}
		return object(member("citationsContent", object(
			member("content", value.Array(object(member("text", b.Get("text"))))),
			member("citations", value.Array(list...))))), nil
	case "tool_use":
		return object(member("toolUse", object(member("toolUseId", b.Get("id")), member("name", b.Get("name")), member("input", b.Get("input"))))), nil
	case "thinking":
		return object(member("reasoningContent", object(member("reasoningText", object(member("text", b.Get("thinking")), member("signature", b.Get("signature"))))))), nil
	case "redacted_thinking":
		return object(member("reasoningContent", redacted(b))), nil
	default:
		return value.Value{}, fmt.Errorf("a block of type %q", k)
	}
}

// redacted carries Anthropic's opaque text as the bytes that Converse has there.
func redacted(b value.Value) value.Value {
	return object(member("redactedContent", text(base64.StdEncoding.EncodeToString([]byte(b.Get("data").Str())))))
}

func anthropicStop(s string) string {
	switch s {
	case "end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded":
		return s
	case "refusal":
		return "content_filtered"
	}
	return "end_turn" // pause_turn, and what may come
}

// locations maps Anthropic's kinds of citation to Converse's: the member of
// location, and the names of document index, start and end.
var locations = []struct{ kind, member, index, index2, start, end string }{
	{"page_location", "documentPage", "document_index", "documentIndex", "start_page_number", "end_page_number"},
	{"char_location", "documentChar", "document_index", "documentIndex", "start_char_index", "end_char_index"},
	{"content_block_location", "documentChunk", "document_index", "documentIndex", "start_block_index", "end_block_index"},
	{"search_result_location", "searchResultLocation", "search_result_index", "searchResultIndex", "start_block_index", "end_block_index"},
}

func citation(c value.Value) value.Value {
	title := c.Get("document_title")
	if !title.IsString() {
		title = c.Get("title")
	}
	if !title.IsString() {
		title = value.Value{}
	}
	v := object(member("title", title), member("source", c.Get("source")))
	if s := c.Get("cited_text"); s.IsString() {
		v = v.With("sourceContent", value.Array(object(member("text", s))))
	}
	for _, l := range locations {
		if c.Get("type").Str() == l.kind {
			v = v.With("location", object(member(l.member, object(
				member(l.index2, c.Get(l.index)), member("start", c.Get(l.start)), member("end", c.Get(l.end))))))
		}
	}
	return v
}

func uncite(c value.Value) (value.Value, error) {
	quoted := c.Get("sourceContent").At(0).Get("text")
	for _, l := range locations {
		x := c.Get("location").Get(l.member)
		if x.IsUndefined() {
			continue
		}
		title := "document_title"
		if l.member == "searchResultLocation" {
			title = "title"
		}
		return object(kind(l.kind), member("cited_text", quoted), member(l.index, x.Get(l.index2)), member(title, c.Get("title")),
			member("source", c.Get("source")), member(l.start, x.Get("start")), member(l.end, x.Get("end"))), nil
	}
	return value.Value{}, unsupported("citationsContent.citations.location", short(c.Get("location").JSON()))
}

func (anthropic) events() translator { return &anthropicEvents{} }

type anthropicEvents struct {
	seen value.Value // message and delta members so far
}

func (t *anthropicEvents) fields() value.Value { return t.seen }

func (t *anthropicEvents) event(c value.Value, emit func(string, value.Value) error) error {
	index := member("contentBlockIndex", c.Get("index"))
	delta := func(d ...value.Member) error {
		return emit("contentBlockDelta", object(member("delta", object(d...)), index))
	}
	switch k := c.Get("type").Str(); k {
	case "message_start":
		t.seen = c.Get("message")
		return emit("messageStart", object(member("role", text("assistant"))))
	case "content_block_start":
		switch b := c.Get("content_block"); b.Get("type").Str() {
		case "tool_use":
			return emit("contentBlockStart", object(member("start", object(member("toolUse",
				object(member("toolUseId", b.Get("id")), member("name", b.Get("name")))))), index))
		case "redacted_thinking":
			return delta(member("reasoningContent", redacted(b)))
		}
		return nil // Bedrock has no start for text and reasoning
	case "content_block_delta":
		switch d := c.Get("delta"); d.Get("type").Str() {
		case "text_delta":
			return delta(member("text", d.Get("text")))
		case "input_json_delta":
			return delta(member("toolUse", object(member("input", d.Get("partial_json")))))
		case "thinking_delta":
			return delta(member("reasoningContent", object(member("text", d.Get("thinking")))))
		case "signature_delta":
			return delta(member("reasoningContent", object(member("signature", d.Get("signature")))))
		case "citations_delta":
			return delta(member("citation", citation(d.Get("citation"))))
		}
		return nil
	case "content_block_stop":
		return emit("contentBlockStop", object(index))
	case "message_delta":
		for name, x := range c.Get("delta").Members() {
			t.seen = t.seen.With(name, x)
		}
		return nil
	case "message_stop":
		return emit("messageStop", object(member("stopReason", text(anthropicStop(t.seen.Get("stop_reason").Str())))))
	case "error":
		return Fault("ModelStreamErrorException", "%s", c.Get("error").Get("message").Str())
	}
	return nil // ping, and what may come
}
