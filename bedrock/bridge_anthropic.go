package bedrock

import (
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// This file is the other half of anthropic: requests are read, and answers
// written. Refusals are in the words of the Messages API.

func (f anthropic) parse(v value.Value) (*Conversation, error) {
	c := &Conversation{}
	for name, x := range v.Members() {
		var err error
		switch name {
		case "anthropic_version":
			if x.Str() != anthropicVersion {
				err = invalidf("anthropic_version: Input should be '%s'", anthropicVersion)
			}
		case "max_tokens":
			n, ok := x.Int()
			if !ok || n < 1 || n > 1<<31-1 {
				err = invalidf("max_tokens: Input should be greater than or equal to 1")
			}
			c.MaxTokens = int(n)
		case "system":
			c.System, err = f.content(x, "system")
		case "messages":
			err = f.messages(c, x)
		case "temperature", "top_p":
			if n := x.Float(); !x.IsNumber() || n < 0 || n > 1 {
				err = invalidf("%s: Input should be a number from 0 to 1", name)
			}
			if name == "top_p" {
				c.TopP = x
			} else {
				c.Temperature = x
			}
		case "top_k":
			if n, ok := x.Int(); !ok || n < 0 {
				err = invalidf("top_k: Input should be greater than or equal to 0")
			}
			c.topK = x
		case "stop_sequences":
			for i, s := range x.Items() {
				if s.Str() == "" {
					err = invalidf("stop_sequences.%d: Input should be a valid string", i)
				}
				c.Stops = append(c.Stops, s.Str())
			}
		case "tools":
			err = f.readTools(c, x)
		case "tool_choice":
			err = f.readChoice(c, x)
		case "thinking":
			if x.Get("type").Str() != "disabled" {
				err = unsupported("thinking", short(x.JSON()))
			}
		case "metadata":
			c.user = x.Get("user_id").Str()
			if x.Len() > 1 || x.Len() == 1 && !x.Has("user_id") {
				err = invalidf("metadata: Extra inputs are not permitted")
			}
		case "anthropic_beta":
			if x.Len() > 0 {
				err = unsupported("anthropic_beta", short(x.JSON()))
			}
		case "stream":
			c.stream = x.Bool()
		default:
			err = invalidf("%s: Extra inputs are not permitted", short(name))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"max_tokens", "messages"} {
		if !v.Has(name) {
			return nil, invalidf("%s: Field required", name)
		}
	}
	return c, nil
}

func (f anthropic) messages(c *Conversation, v value.Value) error {
	if !v.IsArray() {
		return invalidf("messages: Input should be a valid list")
	}
	for i, m := range v.Items() {
		at := "messages." + strconv.Itoa(i)
		role := m.Get("role").Str()
		if role != "user" && role != "assistant" {
			return invalidf("%s.role: Input should be 'user' or 'assistant'", at)
		}
		for name := range m.Members() {
			if name != "role" && name != "content" {
				return invalidf("%s.%s: Extra inputs are not permitted", at, short(name))
			}
		}
		content, err := f.content(m.Get("content"), at+".content")
		if err != nil {
			return err
		}
		if len(content) == 0 {
			return invalidf("%s.content: at least one content block is required", at)
		}
		c.Messages = append(c.Messages, Message{role == "assistant", content})
	}
	c.Messages = merged(c.Messages)
	return nil
}

// content reads a text or a list of blocks.
func (f anthropic) content(v value.Value, at string) ([]Block, error) {
	if v.IsString() && v.Str() != "" {
		return []Block{{Kind: Text, Text: v.Str()}}, nil
	}
	if v.IsString() {
		return nil, nil
	}
	if !v.IsArray() {
		return nil, invalidf("%s: Input should be a valid string or a list of blocks", at)
	}
	var out []Block
	for i, x := range v.Items() {
		at := at + "." + strconv.Itoa(i)
		b, err := f.read(x, at)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
		if mark := x.Get("cache_control"); mark.IsObject() {
			p, err := readCache(mark, at)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
	}
	return out, nil
}

func readCache(v value.Value, at string) (Block, error) {
	b := Block{Kind: CachePoint, TTL: v.Get("ttl").Str()}
	if v.Get("type").Str() != "ephemeral" || b.TTL != "" && b.TTL != "5m" && b.TTL != "1h" {
		return b, invalidf("%s.cache_control: Input should be {\"type\": \"ephemeral\"} with a ttl of 5m or 1h", at)
	}
	return b, nil
}

// anthropicMembers are what a block of each type may have, besides type and
// cache_control.
var anthropicMembers = map[string][]string{
	"text":              {"text", "citations"},
	"image":             {"source"},
	"document":          {"source", "title", "context", "citations"},
	"tool_use":          {"id", "name", "input"},
	"tool_result":       {"tool_use_id", "content", "is_error"},
	"thinking":          {"thinking", "signature"},
	"redacted_thinking": {"data"},
	"search_result":     {"source", "title", "content", "citations"},
}

func (f anthropic) read(v value.Value, at string) (b Block, err error) {
	kind := v.Get("type").Str()
	known, ok := anthropicMembers[kind]
	if !ok {
		return b, invalidf("%s: Input tag '%s' found using 'type' is not supported by this server", at, short(kind))
	}
	for name, x := range v.Members() {
		if name != "type" && name != "cache_control" && !slices.Contains(known, name) && !x.IsNull() {
			return b, invalidf("%s.%s.%s: Extra inputs are not permitted", at, kind, short(name))
		}
	}
	need := func(name string) string {
		x := v.Get(name)
		if !x.IsString() && err == nil {
			err = invalidf("%s.%s.%s: Field required", at, kind, name)
		}
		return x.Str()
	}
	source := v.Get("source")
	switch kind {
	case "text":
		b = Block{Kind: Text, Text: need("text")}
		if err == nil && b.Text == "" {
			return b, invalidf("messages: text content blocks must be non-empty")
		}
		if v.Get("citations").Len() > 0 {
			return b, unsupported(at+".text.citations", short(v.Get("citations").JSON()))
		}
	case "image":
		b = Block{Kind: Image, Data: source.Get("data").Str()}
		b.Format, ok = strings.CutPrefix(source.Get("media_type").Str(), "image/")
		if t := source.Get("type").Str(); t != "base64" {
			return b, unsupported(at+".image.source.type", short(t))
		}
		if !ok || !isBase64(b.Data) {
			return b, invalidf("%s.image.source: Input should have a media_type of image/… and base64 data", at)
		}
	case "document":
		b = Block{Kind: Document, Name: v.Get("title").Str(), Context: v.Get("context").Str(), Cite: v.Get("citations").Get("enabled").Bool()}
		switch t := source.Get("type").Str(); t {
		case "base64":
			b.Format, b.Data = "pdf", source.Get("data").Str()
			if source.Get("media_type").Str() != "application/pdf" || !isBase64(b.Data) {
				return b, invalidf("%s.document.source: Input should have the media_type application/pdf and base64 data", at)
			}
		case "text":
			b.Format, b.Text = "txt", source.Get("data").Str()
		case "content":
			b.Format = "txt"
			parts, err := f.content(source.Get("content"), at+".document.source.content")
			if err != nil {
				return b, err
			}
			for _, p := range parts {
				if p.Kind != Text {
					return b, unsupported(at+".document.source.content", blockNames[p.Kind])
				}
				b.Parts = append(b.Parts, p.Text)
			}
		default:
			return b, unsupported(at+".document.source.type", short(t))
		}
	case "tool_use":
		b = Block{Kind: ToolUse, ID: need("id"), Name: need("name"), Value: v.Get("input")}
		if !b.Value.IsObject() {
			return b, invalidf("%s.tool_use.input: Input should be a valid dictionary", at)
		}
	case "tool_result":
		b = Block{Kind: ToolResult, ID: need("tool_use_id"), Failed: v.Get("is_error").Bool()}
		if x := v.Get("content"); err == nil && !x.IsUndefined() && !x.IsNull() {
			b.Content, err = f.content(x, at+".tool_result.content")
		}
	case "thinking":
		b = Block{Kind: Reasoning, Text: need("thinking"), Signature: v.Get("signature").Str()}
	case "redacted_thinking":
		b = Block{Kind: Redacted, Data: base64.StdEncoding.EncodeToString([]byte(need("data")))}
	case "search_result":
		b = Block{Kind: SearchResult, Source: need("source"), Name: need("title"), Cite: v.Get("citations").Get("enabled").Bool()}
		for _, p := range v.Get("content").Items() {
			b.Parts = append(b.Parts, p.Get("text").Str())
		}
	}
	return b, err
}

func (f anthropic) readTools(c *Conversation, v value.Value) error {
	for i, x := range v.Items() {
		at := "tools." + strconv.Itoa(i)
		var t Tool
		for name, m := range x.Members() {
			switch name {
			case "type":
				if !m.IsNull() && m.Str() != "custom" {
					return unsupported(at+".type", short(m.Str()))
				}
			case "name":
				t.Name = m.Str()
			case "description":
				t.Description = m.Str()
			case "input_schema":
				t.Schema = m
			case "cache_control":
				if m.IsNull() {
					continue
				}
				p, err := readCache(m, at)
				if err != nil {
					return err
				}
				t.Cache = &p
			default:
				return invalidf("%s.%s: Extra inputs are not permitted", at, short(name))
			}
		}
		if t.Name == "" || len(t.Name) > 2*maxToolName || !toolName.MatchString(t.Name) {
			return invalidf("%s.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", at)
		}
		if !t.Schema.IsObject() {
			return invalidf("%s.input_schema: Field required", at)
		}
		c.Tools = append(c.Tools, t)
	}
	return nil
}

func (f anthropic) readChoice(c *Conversation, v value.Value) error {
	for name, x := range v.Members() {
		switch name {
		case "type":
			switch x.Str() {
			case "auto", "any", "tool", "none":
				c.Choice = x.Str()
			default:
				return invalidf("tool_choice: Input tag '%s' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'", short(x.Str()))
			}
		case "name":
			c.Chosen = x.Str()
		case "disable_parallel_tool_use":
			c.serial = x.Bool()
		default:
			return invalidf("tool_choice.%s: Extra inputs are not permitted", short(name))
		}
	}
	if c.Choice == "tool" && c.Chosen == "" {
		return invalidf("tool_choice.tool.name: Field required")
	}
	return nil
}

// withPrefix is an id as a family writes them.
func withPrefix(prefix, id string) string {
	if strings.HasPrefix(id, prefix) {
		return id
	}
	return prefix + strings.TrimPrefix(strings.TrimPrefix(id, "chatcmpl-"), "msg_")
}

func (anthropic) message(h Head, content []value.Value, stop value.Value, u Usage) value.Value {
	return object(
		member("id", text(withPrefix("msg_", h.ID))), kind("message"), member("role", text("assistant")), member("model", text(h.Model)),
		member("content", value.Array(content...)), member("stop_reason", stop), member("stop_sequence", value.Null()), member("usage", anthropicUsage(u)))
}

func anthropicUsage(u Usage) value.Value {
	return object(
		member("input_tokens", number(int64(u.Input))),
		member("cache_creation_input_tokens", number(int64(u.CacheWrite))),
		member("cache_read_input_tokens", number(int64(u.CacheRead))),
		member("output_tokens", number(int64(u.Output))))
}

func (f anthropic) whole(r *reply) (value.Value, error) {
	content := make([]value.Value, 0, len(r.content))
	for _, b := range r.content {
		switch m := first(b); m.Key {
		case "text":
			content = append(content, object(kind("text"), m))
		case "toolUse":
			content = append(content, object(kind("tool_use"), member("id", m.Value.Get("toolUseId")), member("name", m.Value.Get("name")), member("input", m.Value.Get("input"))))
		case "reasoningContent":
			t := m.Value.Get("reasoningText")
			content = append(content, object(kind("thinking"), member("thinking", t.Get("text")), member("signature", text(t.Get("signature").Str()))))
		default:
			return value.Value{}, badAnswer(errors.New("a block " + m.Key))
		}
	}
	return f.message(r.Head, content, text(anthropicReason(r.stop)), r.usage), nil
}

// anthropicReason is the reverse of anthropicStop.
func anthropicReason(stop string) string {
	if stop == "content_filtered" {
		return "refusal"
	}
	return stop
}

func (anthropic) chunks(h Head) chunker { return &anthropicChunks{head: h, open: -1} }

type anthropicChunks struct {
	head Head
	open int64 // the block that is open; -1: none
	stop string
}

func (w *anthropicChunks) event(name string, p value.Value, emit func(value.Value) error) error {
	index := p.Get("contentBlockIndex")
	at := member("index", index)
	start := func(block ...value.Member) error {
		w.open, _ = index.Int()
		return emit(object(kind("content_block_start"), at, member("content_block", object(block...))))
	}
	// begin opens a block that Converse's streams do not announce.
	begin := func(block ...value.Member) error {
		if n, _ := index.Int(); n == w.open {
			return nil
		}
		return start(block...)
	}
	delta := func(m ...value.Member) error {
		return emit(object(kind("content_block_delta"), at, member("delta", object(m...))))
	}
	empty := text("")
	switch name {
	case "messageStart":
		return emit(object(kind("message_start"), member("message", anthropic{}.message(w.head, nil, value.Null(), Usage{}))))
	case "contentBlockStart":
		t := p.Get("start").Get("toolUse")
		return start(kind("tool_use"), member("id", t.Get("toolUseId")), member("name", t.Get("name")), member("input", object()))
	case "contentBlockDelta":
		switch m := first(p.Get("delta")); m.Key {
		case "text":
			if err := begin(kind("text"), member("text", empty)); err != nil {
				return err
			}
			return delta(kind("text_delta"), m)
		case "toolUse":
			return delta(kind("input_json_delta"), member("partial_json", m.Value.Get("input")))
		case "reasoningContent":
			if err := begin(kind("thinking"), member("thinking", empty), member("signature", empty)); err != nil {
				return err
			}
			if s := m.Value.Get("signature"); s.IsString() {
				return delta(kind("signature_delta"), member("signature", s))
			}
			return delta(kind("thinking_delta"), member("thinking", m.Value.Get("text")))
		default:
			return badAnswer(errors.New("a delta " + m.Key))
		}
	case "contentBlockStop":
		w.open = -1
		return emit(object(kind("content_block_stop"), at))
	case "messageStop":
		w.stop = p.Get("stopReason").Str()
	}
	return nil
}

func (w *anthropicChunks) end(u Usage, emit func(value.Value) error) error {
	if err := emit(object(kind("message_delta"),
		member("delta", object(member("stop_reason", text(anthropicReason(w.stop))), member("stop_sequence", value.Null()))),
		member("usage", anthropicUsage(u)))); err != nil {
		return err
	}
	return emit(object(kind("message_stop")))
}

var shortName = regexp.MustCompile(`^anthropic\.(.*?)(-v[0-9]+(:[0-9]+)?)?$`)

// ShortName is a model's name as answers give it: Anthropic's without what AWS
// puts around it, others as their id.
func ShortName(m *catalog.Model) string {
	if s := shortName.FindStringSubmatch(m.ID); s != nil {
		return s[1]
	}
	return m.ID
}
