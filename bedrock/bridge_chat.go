package bedrock

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tokaido/value"
)

// This file is the other half of chat: requests are read, and answers written.

// neutral are settings of chat completions that no other family has, with the
// values that mean what happens anyway.
var neutral = map[string]func(value.Value) bool{
	"n":                 func(v value.Value) bool { n, ok := v.Int(); return ok && n == 1 },
	"frequency_penalty": func(v value.Value) bool { return v.IsNumber() && v.Float() == 0 },
	"presence_penalty":  func(v value.Value) bool { return v.IsNumber() && v.Float() == 0 },
	"logprobs":          func(v value.Value) bool { return !v.Bool() },
	"store":             func(v value.Value) bool { return !v.Bool() },
	"logit_bias":        func(v value.Value) bool { return v.Len() == 0 },
	"response_format":   func(v value.Value) bool { return v.Get("type").Str() == "text" },
	"service_tier":      func(v value.Value) bool { return v.Str() == "auto" || v.Str() == "default" },
	"modalities":        func(v value.Value) bool { return v.Len() == 1 && v.At(0).Str() == "text" },
}

func (f chat) parse(v value.Value) (*Conversation, error) {
	c := &Conversation{}
	for name, x := range v.Members() {
		if x.IsNull() { // as if it were not there, says the API
			continue
		}
		var err error
		switch name {
		case "model":
		case "messages":
			err = f.readMessages(c, x)
		case "max_tokens", "max_completion_tokens":
			n, ok := x.Int()
			if !ok || n < 1 || n > 1<<31-1 || c.MaxTokens > 0 {
				err = invalidf("%s: must be an integer of at least 1, given once", name)
			}
			c.MaxTokens = int(n)
		case "temperature", "top_p":
			if !x.IsNumber() || x.Float() < 0 {
				err = invalidf("%s: must be a number of at least 0", name)
			}
			if name == "top_p" {
				c.TopP = x
			} else {
				c.Temperature = x
			}
		case "top_k":
			c.topK = x
		case "stop":
			if x.IsString() {
				x = value.Array(x)
			}
			for i, s := range x.Items() {
				if s.Str() == "" {
					err = invalidf("stop[%d]: must be a text", i)
				}
				c.Stops = append(c.Stops, s.Str())
			}
		case "tools":
			err = f.readTools(c, x)
		case "tool_choice":
			err = f.readChoice(c, x)
		case "parallel_tool_calls":
			c.serial = !x.Bool()
		case "user":
			c.user = x.Str()
		case "stream":
			c.stream = x.Bool()
		case "stream_options":
			for k, o := range x.Members() {
				if k != "include_usage" {
					err = unsupported("stream_options."+short(k), short(o.JSON()))
				}
			}
			c.usage = x.Get("include_usage").Bool()
		default:
			if same := neutral[name]; same == nil || !same(x) {
				err = unsupported(short(name), short(x.JSON()))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (f chat) readMessages(c *Conversation, v value.Value) error {
	if !v.IsArray() || v.Len() == 0 {
		return invalidf("messages: must be a list of at least one")
	}
	for i, m := range v.Items() {
		at := "messages[" + strconv.Itoa(i) + "]"
		var content []Block
		var err error
		for name, x := range m.Members() {
			switch name {
			case "role", "content", "tool_calls", "tool_call_id", "reasoning_content":
			case "name", "refusal", "audio", "annotations", "function_call":
				if !x.IsNull() && x.Len() != 0 || x.Str() != "" {
					return unsupported(at+"."+name, short(x.JSON()))
				}
			default:
				return unsupported(at+"."+short(name), short(x.JSON()))
			}
		}
		if content, err = f.content(m.Get("content"), at+".content"); err != nil {
			return err
		}
		switch role := m.Get("role").Str(); role {
		case "system", "developer":
			c.System = append(c.System, content...)
			continue
		case "user":
			c.Messages = append(c.Messages, Message{false, content})
		case "tool":
			id := m.Get("tool_call_id").Str()
			if id == "" {
				return invalidf("%s.tool_call_id: is missing", at)
			}
			c.Messages = append(c.Messages, Message{false, []Block{{Kind: ToolResult, ID: id, Content: content}}})
		case "assistant":
			if s := m.Get("reasoning_content").Str(); s != "" {
				content = append([]Block{{Kind: Reasoning, Text: s}}, content...)
			}
			for j, call := range m.Get("tool_calls").Items() {
				fn := call.Get("function")
				args, err := arguments(fn.Get("arguments").Str())
				if err != nil || call.Get("id").Str() == "" || fn.Get("name").Str() == "" {
					return invalidf("%s.tool_calls[%d]: must have an id, and a function with a name and arguments that are a JSON object", at, j)
				}
				content = append(content, Block{Kind: ToolUse, ID: call.Get("id").Str(), Name: fn.Get("name").Str(), Value: args})
			}
			c.Messages = append(c.Messages, Message{true, content})
		default:
			return unsupported(at+".role", short(role))
		}
		if len(content) == 0 && m.Get("role").Str() != "tool" {
			return invalidf("%s.content: is empty", at)
		}
	}
	c.Messages = merged(c.Messages)
	return nil
}

// arguments are a tool call's; models leave them empty where a tool takes none.
func arguments(s string) (value.Value, error) {
	if strings.TrimSpace(s) == "" {
		return value.Object(), nil
	}
	v, err := value.ParseString(s)
	if err == nil && !v.IsObject() {
		err = errors.New("arguments that are no JSON object")
	}
	return v, err
}

func (f chat) content(v value.Value, at string) ([]Block, error) {
	if v.IsString() {
		if v.Str() == "" {
			return nil, nil
		}
		return []Block{{Kind: Text, Text: v.Str()}}, nil
	}
	var out []Block
	for i, p := range v.Items() {
		at := fmt.Sprintf("%s[%d]", at, i)
		switch t := p.Get("type").Str(); t {
		case "text":
			if s := p.Get("text").Str(); s != "" {
				out = append(out, Block{Kind: Text, Text: s})
			}
		case "image_url":
			media, data, ok := dataURL(p.Get("image_url").Get("url").Str())
			format, isImage := strings.CutPrefix(media, "image/")
			if !ok || !isImage {
				return nil, unsupported(at+".image_url.url, which must be data:image/…;base64,…", short(p.Get("image_url").Get("url").Str()))
			}
			if d := p.Get("image_url").Get("detail").Str(); d != "" && d != "auto" {
				return nil, unsupported(at+".image_url.detail", short(d))
			}
			out = append(out, Block{Kind: Image, Format: format, Data: data})
		case "file":
			media, data, ok := dataURL(p.Get("file").Get("file_data").Str())
			if !ok || media != "application/pdf" {
				return nil, unsupported(at+".file.file_data, which must be data:application/pdf;base64,…", short(p.Get("file").Get("file_data").Str()))
			}
			out = append(out, Block{Kind: Document, Format: "pdf", Name: p.Get("file").Get("filename").Str(), Data: data})
		default:
			return nil, unsupported(at+".type", short(t))
		}
	}
	return out, nil
}

func dataURL(s string) (media, data string, ok bool) {
	s, ok = strings.CutPrefix(s, "data:")
	if !ok {
		return "", "", false
	}
	media, data, ok = strings.Cut(s, ";base64,")
	return media, data, ok && isBase64(data)
}

func (f chat) readTools(c *Conversation, v value.Value) error {
	for i, t := range v.Items() {
		at := fmt.Sprintf("tools[%d]", i)
		fn := t.Get("function")
		if k := t.Get("type").Str(); k != "function" {
			return unsupported(at+".type", short(k))
		}
		for name, x := range fn.Members() {
			switch name {
			case "name", "description", "parameters":
			case "strict":
				if x.Bool() {
					return unsupported(at+".function.strict", "true")
				}
			default:
				return unsupported(at+".function."+short(name), short(x.JSON()))
			}
		}
		tool := Tool{Name: fn.Get("name").Str(), Description: fn.Get("description").Str(), Schema: fn.Get("parameters")}
		if tool.Schema.IsUndefined() || tool.Schema.IsNull() {
			tool.Schema = object(kind("object"), member("properties", object()))
		}
		if len(tool.Name) > maxToolName || !toolName.MatchString(tool.Name) || !tool.Schema.IsObject() {
			return invalidf("%s.function: must have a name of 1 to %d of the characters [a-zA-Z0-9_-], and parameters that are a JSON Schema", at, maxToolName)
		}
		c.Tools = append(c.Tools, tool)
	}
	return nil
}

func (f chat) readChoice(c *Conversation, v value.Value) error {
	switch s := v.Str(); {
	case s == "auto" || s == "none":
		c.Choice = s
	case s == "required":
		c.Choice = "any"
	case v.Get("function").Get("name").Str() != "":
		c.Choice, c.Chosen = "tool", v.Get("function").Get("name").Str()
	default:
		return unsupported("tool_choice", short(v.JSON()))
	}
	return nil
}

func chatReason(stop string) string {
	switch stop {
	case "max_tokens":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "content_filtered":
		return "content_filter"
	}
	return "stop"
}

// ChatUsage is usage as chat completions have it: what was read from a cache
// counts as input there.
func ChatUsage(u Usage) value.Value {
	in := u.Input + u.CacheRead + u.CacheWrite
	v := object(member("prompt_tokens", number(int64(in))), member("completion_tokens", number(int64(u.Output))), member("total_tokens", number(int64(in+u.Output))))
	if u.CacheRead > 0 {
		v = v.With("prompt_tokens_details", object(member("cached_tokens", number(int64(u.CacheRead)))))
	}
	return v
}

func (h Head) chat(name string, choice value.Value) value.Value {
	return object(member("id", text(withPrefix("chatcmpl-", h.ID))), member("object", text(name)), member("created", number(h.Created)), member("model", text(h.Model)),
		member("choices", value.Array(choice)))
}

func toolCall(id, name value.Value, args string, more ...value.Member) value.Value {
	return object(append(more, member("id", id), kind("function"), member("function", object(member("name", name), member("arguments", text(args)))))...)
}

func (chat) whole(r *reply) (value.Value, error) {
	var said, thought strings.Builder
	var calls []value.Value
	for _, b := range r.content {
		switch m := first(b); m.Key {
		case "text":
			said.WriteString(m.Value.Str())
		case "citationsContent":
			for _, p := range m.Value.Get("content").Items() {
				said.WriteString(p.Get("text").Str())
			}
		case "toolUse":
			calls = append(calls, toolCall(m.Value.Get("toolUseId"), m.Value.Get("name"), m.Value.Get("input").JSON()))
		case "reasoningContent":
			thought.WriteString(m.Value.Get("reasoningText").Get("text").Str())
		default:
			return value.Value{}, badAnswer(errors.New("a block " + m.Key))
		}
	}
	content := value.Null()
	if said.Len() > 0 || calls == nil {
		content = text(said.String())
	}
	var list value.Value
	if calls != nil {
		list = value.Array(calls...)
	}
	msg := object(member("role", text("assistant")), member("content", content), member("reasoning_content", given(thought.String())), member("tool_calls", list), member("refusal", value.Null()))
	return r.chat("chat.completion", object(member("index", number(0)), member("message", msg), member("logprobs", value.Null()), member("finish_reason", text(chatReason(r.stop))))).
		With("usage", ChatUsage(r.usage)), nil
}

func (chat) chunks(h Head) chunker { return &chatChunks{head: h, calls: map[int64]int64{}} }

type chatChunks struct {
	head  Head
	calls map[int64]int64 // blocks that are tool calls: the call's number
	stop  string
}

func (w *chatChunks) event(name string, p value.Value, emit func(value.Value) error) error {
	send := func(m ...value.Member) error {
		return emit(w.head.chat("chat.completion.chunk", object(member("index", number(0)), member("delta", object(m...)), member("finish_reason", value.Null()))))
	}
	index, _ := p.Get("contentBlockIndex").Int()
	switch name {
	case "messageStart":
		return send(member("role", text("assistant")), member("content", text("")))
	case "contentBlockStart":
		n := int64(len(w.calls))
		w.calls[index] = n
		t := p.Get("start").Get("toolUse")
		return send(member("tool_calls", value.Array(toolCall(t.Get("toolUseId"), t.Get("name"), "", member("index", number(n))))))
	case "contentBlockDelta":
		switch m := first(p.Get("delta")); m.Key {
		case "text":
			return send(member("content", m.Value))
		case "toolUse":
			return send(member("tool_calls", value.Array(object(member("index", number(w.calls[index])),
				member("function", object(member("arguments", m.Value.Get("input"))))))))
		case "reasoningContent":
			if s := m.Value.Get("text"); s.IsString() {
				return send(member("reasoning_content", s))
			}
		}
		return nil // signatures and citations have no place here
	case "messageStop":
		w.stop = p.Get("stopReason").Str()
	}
	return nil
}

func (w *chatChunks) end(u Usage, emit func(value.Value) error) error {
	return emit(w.head.chat("chat.completion.chunk", object(member("index", number(0)), member("delta", object()), member("finish_reason", text(chatReason(w.stop))))).
		With("usage", ChatUsage(u)))
}
