package simulated

import (
	"iter"
	"regexp"
	"slices"
	"strings"

	"tokaido/bedrock"
	"tokaido/value"
)

// anthropic writes Anthropic's Messages, as Claude does on Bedrock.
type anthropic struct{}

const (
	anthropicVersion = "bedrock-2023-05-31"
	imageTokens      = 1000 // what an image counts, whatever is on it
)

// anthropicMembers are what a body may have.
var anthropicMembers = []string{
	"anthropic_version", "anthropic_beta", "max_tokens", "messages", "system", "temperature", "top_p", "top_k",
	"stop_sequences", "tools", "tool_choice", "thinking", "metadata",
}

func (anthropic) parse(v value.Value) (*request, error) {
	for _, name := range []string{"anthropic_version", "max_tokens", "messages"} {
		if !v.Has(name) {
			return nil, refuse("%s: Field required", name)
		}
	}
	for name := range v.Members() {
		if !slices.Contains(anthropicMembers, name) {
			return nil, refuse("%s: Extra inputs are not permitted", name)
		}
	}
	if s := v.Get("anthropic_version").Str(); s != anthropicVersion {
		return nil, refuse("anthropic_version: Input should be '%s'", anthropicVersion)
	}
	max, ok := v.Get("max_tokens").Int()
	if !ok || max < 1 {
		return nil, refuse("max_tokens: Input should be greater than or equal to 1")
	}
	q := &request{maxTokens: int(min(max, 1<<30))}
	if err := q.number(v, "temperature", 0, 1); err != nil {
		return nil, err
	}
	if err := q.number(v, "top_p", 0, 1); err != nil {
		return nil, err
	}
	for _, s := range v.Get("stop_sequences").Items() {
		q.stops = append(q.stops, s.Str())
	}
	switch s := v.Get("system"); {
	case s.IsString():
		q.input += bedrock.EstimateTokens(s.Str())
	case s.IsArray():
		for _, b := range s.Items() {
			q.input += bedrock.EstimateTokens(b.Get("text").Str())
		}
	case !s.IsUndefined():
		return nil, refuse("system: Input should be a valid string or a list of text blocks")
	}
	msgs := v.Get("messages")
	if !msgs.IsArray() {
		return nil, refuse("messages: Input should be a valid list")
	}
	if msgs.Len() == 0 {
		return nil, refuse("messages: at least one message is required")
	}
	for i, msg := range msgs.Items() {
		role := msg.Get("role").Str()
		if role != "user" && role != "assistant" {
			return nil, refuse("messages.%d.role: Input should be 'user' or 'assistant'", i)
		}
		if i == 0 && role != "user" {
			return nil, refuse("messages: first message must use the \"user\" role")
		}
		if role == "user" {
			q.toolSaid = ""
		}
		content := msg.Get("content")
		if content.IsString() {
			q.text(role, content.Str())
			continue
		}
		if !content.IsArray() {
			return nil, refuse("messages.%d.content: Input should be a valid list", i)
		}
		if content.Len() == 0 && i < msgs.Len()-1 {
			return nil, refuse("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		for j, b := range content.Items() {
			switch kind := b.Get("type").Str(); kind {
			case "text":
				if b.Get("text").Str() == "" {
					return nil, refuse("messages: text content blocks must be non-empty")
				}
				q.text(role, b.Get("text").Str())
			case "image":
				q.input += imageTokens
			case "document":
				q.input += bedrock.EstimateTokens(b.Get("source").Get("data").Str())
			case "tool_use", "thinking", "redacted_thinking", "search_result":
				q.input += bedrock.EstimateTokens(b.JSON())
			case "tool_result":
				var s strings.Builder
				s.WriteString(b.Get("content").Str())
				for _, c := range b.Get("content").Items() {
					s.WriteString(c.Get("text").Str())
				}
				q.toolSaid = s.String()
				q.input += bedrock.EstimateTokens(s.String())
			default:
				return nil, refuse("messages.%d.content.%d: Input tag '%s' found using 'type' does not match any of the expected tags: 'document', 'image', 'redacted_thinking', 'search_result', 'text', 'thinking', 'tool_result', 'tool_use'", i, j, kind)
			}
		}
	}
	for i, t := range v.Get("tools").Items() {
		if t.Get("name").Str() == "" {
			return nil, refuse("tools.%d.custom.name: Field required", i)
		}
		if !t.Has("input_schema") {
			return nil, refuse("tools.%d.custom.input_schema: Field required", i)
		}
		q.tools = append(q.tools, tool{t.Get("name").Str(), t.Get("input_schema")})
		q.input += bedrock.EstimateTokens(t.JSON())
	}
	switch c := v.Get("tool_choice"); c.Get("type").Str() {
	case "any", "none":
		q.choice = c.Get("type").Str()
	case "tool":
		q.choice = c.Get("name").Str()
	}
	switch t := v.Get("thinking"); t.Get("type").Str() {
	case "enabled":
		if n, ok := t.Get("budget_tokens").Int(); !ok || n < 1024 {
			return nil, refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
		} else if n >= max {
			return nil, refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")
		}
		q.thinking = true
	case "adaptive":
		q.thinking = true
	}
	return q, nil
}

func (q *request) text(role, s string) {
	q.input += bedrock.EstimateTokens(s)
	if role == "user" {
		q.said = s
	}
}

func (q *request) number(v value.Value, name string, low, high float64) error {
	switch x := v.Get(name); {
	case x.IsUndefined():
		return nil
	case !x.IsNumber():
		return refuse("%s: Input should be a valid number", name)
	case x.Float() < low || x.Float() > high:
		return refuse("%s: range: %g..%g", name, low, high)
	}
	return nil
}

var versionSuffix = regexp.MustCompile(`-v\d+(:\d+)?$`)

// plainName is the model's name as Claude gives it: claude-sonnet-4-20250514.
func plainName(id string) string {
	return versionSuffix.ReplaceAllString(strings.TrimPrefix(id, "anthropic."), "")
}

func anthropicStop(r *reply) (reason, sequence value.Value) {
	sequence = value.Null()
	if r.stop == stopped {
		sequence = str(r.sequence)
	}
	return str([...]string{"end_turn", "max_tokens", "stop_sequence", "tool_use"}[r.stop]), sequence
}

func anthropicUsage(q *request, out int) value.Value {
	return obj(
		m("input_tokens", num(q.input)),
		m("cache_creation_input_tokens", num(0)),
		m("cache_read_input_tokens", num(0)),
		m("cache_creation", obj(m("ephemeral_5m_input_tokens", num(0)), m("ephemeral_1h_input_tokens", num(0)))),
		m("output_tokens", num(out)))
}

// blocks are the content of an answer; empty has their texts and inputs left out.
func (anthropic) blocks(c bedrock.Call, r *reply, empty bool) []value.Value {
	text := func(s string) value.Value {
		if empty {
			s = ""
		}
		return str(s)
	}
	var out []value.Value
	if r.thinking != "" {
		out = append(out, obj(m("type", str("thinking")), m("thinking", text(r.thinking)), m("signature", text(ident("sig", c, 40)))))
	}
	out = append(out, obj(m("type", str("text")), m("text", text(r.text))))
	if r.call != nil {
		args := r.args
		if empty {
			args = obj()
		}
		out = append(out, obj(m("type", str("tool_use")), m("id", str(ident("toolu_bdrk_01", c, 22))), m("name", str(r.call.name)), m("input", args)))
	}
	return out
}

func (anthropic) message(c bedrock.Call, content value.Value, reason, sequence, usage value.Value) value.Value {
	return obj(
		m("id", str(ident("msg_bdrk_01", c, 22))),
		m("type", str("message")),
		m("role", str("assistant")),
		m("model", str(plainName(c.Model.ID))),
		m("content", content),
		m("stop_reason", reason),
		m("stop_sequence", sequence),
		m("usage", usage))
}

func (a anthropic) whole(c bedrock.Call, q *request, r *reply) value.Value {
	reason, sequence := anthropicStop(r)
	return a.message(c, value.Array(a.blocks(c, r, false)...), reason, sequence, anthropicUsage(q, r.tokens))
}

func (a anthropic) chunks(c bedrock.Call, q *request, r *reply) iter.Seq[value.Value] {
	return func(yield func(value.Value) bool) {
		if !yield(obj(m("type", str("message_start")), m("message", a.message(c, value.Array(), value.Null(), value.Null(), anthropicUsage(q, 1))))) {
			return
		}
		full := a.blocks(c, r, false)
		for i, b := range a.blocks(c, r, true) {
			if !yield(obj(m("type", str("content_block_start")), m("index", num(i)), m("content_block", b))) {
				return
			}
			delta := func(kind, member, s string) bool {
				return yield(obj(m("type", str("content_block_delta")), m("index", num(i)),
					m("delta", obj(m("type", str(kind)), m(member, str(s))))))
			}
			var kind, member, all string
			switch b.Get("type").Str() {
			case "text":
				kind, member, all = "text_delta", "text", full[i].Get("text").Str()
			case "thinking":
				kind, member, all = "thinking_delta", "thinking", full[i].Get("thinking").Str()
			case "tool_use":
				kind, member, all = "input_json_delta", "partial_json", full[i].Get("input").JSON()
				if !delta(kind, member, "") {
					return
				}
			}
			for _, p := range pieces(all) {
				if !delta(kind, member, p) {
					return
				}
			}
			if kind == "thinking_delta" && !delta("signature_delta", "signature", full[i].Get("signature").Str()) {
				return
			}
			if !yield(obj(m("type", str("content_block_stop")), m("index", num(i)))) {
				return
			}
		}
		reason, sequence := anthropicStop(r)
		if !yield(obj(m("type", str("message_delta")), m("delta", obj(m("stop_reason", reason), m("stop_sequence", sequence))),
			m("usage", obj(m("output_tokens", num(r.tokens)))))) {
			return
		}
		yield(obj(m("type", str("message_stop"))))
	}
}
