package simulated

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/value"
)

func malformed(format string, args ...any) error {
	return refuse("Malformed input request: %s, please reformat your input and try again.", fmt.Sprintf(format, args...))
}

func checkMembers(v value.Value, known ...string) error {
	for name := range v.Members() {
		if !slices.Contains(known, name) {
			return malformed("#: extraneous key [%s] is not permitted", name)
		}
	}
	return nil
}

// nova writes Amazon Nova's messages.
type nova struct{}

func (nova) parse(v value.Value) (*request, error) {
	if err := checkMembers(v, "schemaVersion", "messages", "system", "inferenceConfig", "toolConfig"); err != nil {
		return nil, err
	}
	if s := v.Get("schemaVersion"); !s.IsUndefined() && s.Str() != "messages-v1" {
		return nil, malformed("#/schemaVersion: %s is not a valid enum value", s)
	}
	if v.Get("messages").Len() == 0 {
		return nil, malformed("#: required key [messages] not found")
	}
	q := &request{}
	for _, b := range v.Get("system").Items() {
		q.input += bedrock.EstimateTokens(b.Get("text").Str())
	}
	for i, msg := range v.Get("messages").Items() {
		role := msg.Get("role").Str()
		if role != "user" && role != "assistant" {
			return nil, malformed("#/messages/%d/role: %s is not a valid enum value", i, msg.Get("role"))
		}
		if role == "user" {
			q.toolSaid = ""
		}
		for j, b := range msg.Get("content").Items() {
			if b.Len() == 0 {
				return nil, malformed("#/messages/%d/content/%d: required key [text] not found", i, j)
			}
			switch x := b.Member(0); x.Key {
			case "text":
				q.text(role, x.Value.Str())
			case "image", "video", "audio":
				q.input += imageTokens
			case "toolResult":
				var s strings.Builder
				for _, c := range x.Value.Get("content").Items() {
					s.WriteString(c.Get("text").Str())
					if c.Has("json") {
						s.WriteString(c.Get("json").JSON())
					}
				}
				q.toolSaid = s.String()
				q.input += bedrock.EstimateTokens(s.String())
			case "document", "toolUse", "cachePoint", "reasoningContent":
				q.input += bedrock.EstimateTokens(x.Value.JSON())
			default:
				return nil, malformed("#/messages/%d/content/%d: extraneous key [%s] is not permitted", i, j, x.Key)
			}
		}
	}
	c := v.Get("inferenceConfig")
	if err := checkMembers(c, "maxTokens", "max_new_tokens", "temperature", "topP", "top_p", "topK", "top_k", "stopSequences", "reasoningConfig"); err != nil {
		return nil, err
	}
	for _, name := range []string{"maxTokens", "max_new_tokens"} {
		if x := c.Get(name); !x.IsUndefined() {
			n, ok := x.Int()
			if !ok || n < 1 {
				return nil, malformed("#/inferenceConfig/%s: %s is not greater or equal to 1", name, x)
			}
			q.maxTokens = int(min(n, 1<<30))
		}
	}
	for _, s := range c.Get("stopSequences").Items() {
		q.stops = append(q.stops, s.Str())
	}
	for _, t := range v.Get("toolConfig").Get("tools").Items() {
		spec := t.Get("toolSpec")
		if spec.IsUndefined() {
			continue // a cache point
		}
		q.tools = append(q.tools, tool{spec.Get("name").Str(), spec.Get("inputSchema").Get("json")})
		q.input += bedrock.EstimateTokens(t.JSON())
	}
	switch c := v.Get("toolConfig").Get("toolChoice"); {
	case c.Has("any"):
		q.choice = "any"
	case c.Has("tool"):
		q.choice = c.Get("tool").Get("name").Str()
	}
	return q, nil
}

func novaStop(r *reply) value.Value {
	return str([...]string{"end_turn", "max_tokens", "stop_sequence", "tool_use"}[r.stop])
}

func novaUsage(q *request, r *reply) value.Value {
	return obj(m("inputTokens", num(q.input)), m("outputTokens", num(r.tokens)), m("totalTokens", num(q.input+r.tokens)),
		m("cacheReadInputTokenCount", num(0)), m("cacheWriteInputTokenCount", num(0)))
}

func (nova) whole(c bedrock.Call, q *request, r *reply) value.Value {
	content := []value.Value{obj(m("text", str(r.text)))}
	if r.call != nil {
		content = append(content, obj(m("toolUse", obj(m("name", str(r.call.name)), m("toolUseId", str(ident("", c, 22))), m("input", r.args)))))
	}
	return obj(
		m("output", obj(m("message", obj(m("content", value.Array(content...)), m("role", str("assistant")))))),
		m("stopReason", novaStop(r)),
		m("usage", novaUsage(q, r)))
}

func (nova) chunks(c bedrock.Call, q *request, r *reply) iter.Seq[value.Value] {
	return func(yield func(value.Value) bool) {
		event := func(name string, members ...value.Member) bool { return yield(obj(m(name, obj(members...)))) }
		if !event("messageStart", m("role", str("assistant"))) {
			return
		}
		for _, p := range pieces(r.text) {
			if !event("contentBlockDelta", m("delta", obj(m("text", str(p)))), m("contentBlockIndex", num(0))) {
				return
			}
		}
		if !event("contentBlockStop", m("contentBlockIndex", num(0))) {
			return
		}
		if r.call != nil {
			if !event("contentBlockStart", m("start", obj(m("toolUse", obj(m("toolUseId", str(ident("", c, 22))), m("name", str(r.call.name)))))), m("contentBlockIndex", num(1))) ||
				!event("contentBlockDelta", m("delta", obj(m("toolUse", obj(m("input", str(r.args.JSON())))))), m("contentBlockIndex", num(1))) ||
				!event("contentBlockStop", m("contentBlockIndex", num(1))) {
				return
			}
		}
		if !event("messageStop", m("stopReason", novaStop(r))) {
			return
		}
		event("metadata", m("usage", novaUsage(q, r)), m("metrics", obj()), m("trace", obj()))
	}
}

// prompted reads the bodies of models that are given one text.
func prompted(v value.Value, limit string, known ...string) (*request, error) {
	if err := checkMembers(v, append(known, "prompt", limit)...); err != nil {
		return nil, err
	}
	p := v.Get("prompt")
	if !p.IsString() {
		return nil, malformed("#: required key [prompt] not found")
	}
	q := &request{said: lastTurn(p.Str()), input: bedrock.EstimateTokens(p.Str())}
	if x := v.Get(limit); !x.IsUndefined() {
		n, ok := x.Int()
		if !ok || n < 1 {
			return nil, malformed("#/%s: %s is not greater or equal to 1", limit, x)
		}
		q.maxTokens = int(min(n, 1<<30))
	}
	for _, s := range v.Get("stop").Items() {
		q.stops = append(q.stops, s.Str())
	}
	return q, nil
}

// turns are the marks around what a user says, in the forms that prompts have.
var turns = [][2]string{
	{"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
	{"<|header_start|>user<|header_end|>\n\n", "<|eot|>"},
	{"[INST] ", " [/INST]"},
}

// lastTurn is what the user said last in a prompt; all of one without marks.
func lastTurn(prompt string) string {
	for _, t := range turns {
		if i := strings.LastIndex(prompt, t[0]); i >= 0 {
			said, _, _ := strings.Cut(prompt[i+len(t[0]):], t[1])
			return said
		}
	}
	return prompt
}

// llama writes as Meta's models do.
type llama struct{}

func (llama) parse(v value.Value) (*request, error) {
	q, err := prompted(v, "max_gen_len", "temperature", "top_p", "images")
	if err != nil {
		return nil, err
	}
	q.input += imageTokens * v.Get("images").Len()
	q.said = strings.ReplaceAll(q.said, "<|image|>", "")
	return q, nil
}

func llamaPart(text string, in value.Value, out int, stop value.Value) value.Value {
	return obj(m("generation", str(text)), m("prompt_token_count", in), m("generation_token_count", num(out)), m("stop_reason", stop))
}

func llamaStop(r *reply) value.Value {
	if r.stop == ranOut {
		return str("length")
	}
	return str("stop")
}

func (llama) whole(_ bedrock.Call, q *request, r *reply) value.Value {
	return llamaPart(r.text, num(q.input), r.tokens, llamaStop(r))
}

func (llama) chunks(_ bedrock.Call, q *request, r *reply) iter.Seq[value.Value] {
	return func(yield func(value.Value) bool) {
		in := num(q.input) // in the first chunk only
		for i, p := range pieces(r.text) {
			if !yield(llamaPart(p, in, i+1, value.Null())) {
				return
			}
			in = value.Null()
		}
		yield(llamaPart("", in, r.tokens, llamaStop(r)))
	}
}

// mistral writes as Mistral's older models do.
type mistral struct{}

func (mistral) parse(v value.Value) (*request, error) {
	return prompted(v, "max_tokens", "temperature", "top_p", "top_k", "stop")
}

func mistralPart(text string, stop value.Value) value.Value {
	return obj(m("outputs", value.Array(obj(m("text", str(text)), m("stop_reason", stop)))))
}

func (mistral) whole(_ bedrock.Call, _ *request, r *reply) value.Value {
	return mistralPart(r.text, llamaStop(r))
}

func (mistral) chunks(_ bedrock.Call, _ *request, r *reply) iter.Seq[value.Value] {
	return func(yield func(value.Value) bool) {
		for _, p := range pieces(r.text) {
			if !yield(mistralPart(p, value.Null())) {
				return
			}
		}
		yield(mistralPart("", llamaStop(r)))
	}
}

// chat writes OpenAI's chat completions, as most other families on Bedrock do.
type chat struct{}

func (chat) parse(v value.Value) (*request, error) {
	if err := checkMembers(v, "messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop",
		"tools", "tool_choice", "frequency_penalty", "presence_penalty", "reasoning_effort", "seed", "stream"); err != nil {
		return nil, err
	}
	if v.Get("messages").Len() == 0 {
		return nil, malformed("#: required key [messages] not found")
	}
	q := &request{}
	for _, msg := range v.Get("messages").Items() {
		var s strings.Builder
		s.WriteString(msg.Get("content").Str())
		for _, p := range msg.Get("content").Items() {
			s.WriteString(p.Get("text").Str())
			if p.Get("type").Str() == "image_url" {
				q.input += imageTokens
			}
		}
		q.input += bedrock.EstimateTokens(s.String())
		switch msg.Get("role").Str() {
		case "user":
			q.said, q.toolSaid = s.String(), ""
		case "tool":
			q.toolSaid = s.String()
		}
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if n, ok := v.Get(name).Int(); ok && n > 0 {
			q.maxTokens = int(min(n, 1<<30))
		}
	}
	if s := v.Get("stop"); s.IsString() {
		q.stops = []string{s.Str()}
	}
	for _, s := range v.Get("stop").Items() {
		q.stops = append(q.stops, s.Str())
	}
	for _, t := range v.Get("tools").Items() {
		f := t.Get("function")
		q.tools = append(q.tools, tool{f.Get("name").Str(), f.Get("parameters")})
		q.input += bedrock.EstimateTokens(t.JSON())
	}
	switch c := v.Get("tool_choice"); {
	case c.Str() == "required":
		q.choice = "any"
	case c.Str() == "none":
		q.choice = "none"
	case c.IsObject():
		q.choice = c.Get("function").Get("name").Str()
	}
	return q, nil
}

func chatStop(r *reply) value.Value {
	return str([...]string{"stop", "length", "stop", "tool_calls"}[r.stop])
}

func (chat) envelope(c bedrock.Call, object string, choice value.Value, usage value.Value) value.Value {
	return obj(m("id", str(ident("chatcmpl-", c, 24))), m("object", str(object)), m("created", num(0)), m("model", str(c.Model.ID)),
		m("choices", value.Array(choice)), m("usage", usage))
}

func (chat) usage(q *request, r *reply) value.Value {
	return obj(m("prompt_tokens", num(q.input)), m("completion_tokens", num(r.tokens)), m("total_tokens", num(q.input+r.tokens)))
}

func (f chat) call(c bedrock.Call, r *reply, more ...value.Member) value.Value {
	if r.call == nil {
		return value.Value{}
	}
	return value.Array(obj(append(more, m("id", str(ident("call_", c, 24))), m("type", str("function")),
		m("function", obj(m("name", str(r.call.name)), m("arguments", str(r.args.JSON())))))...))
}

func (f chat) whole(c bedrock.Call, q *request, r *reply) value.Value {
	msg := obj(m("role", str("assistant")), m("content", str(r.text)), m("tool_calls", f.call(c, r)))
	return f.envelope(c, "chat.completion", obj(m("index", num(0)), m("message", msg), m("finish_reason", chatStop(r))), f.usage(q, r))
}

func (f chat) chunks(c bedrock.Call, q *request, r *reply) iter.Seq[value.Value] {
	return func(yield func(value.Value) bool) {
		part := func(delta, stop, usage value.Value) bool {
			return yield(f.envelope(c, "chat.completion.chunk", obj(m("index", num(0)), m("delta", delta), m("finish_reason", stop)), usage))
		}
		if !part(obj(m("role", str("assistant")), m("content", str(""))), value.Null(), value.Value{}) {
			return
		}
		for _, p := range pieces(r.text) {
			if !part(obj(m("content", str(p))), value.Null(), value.Value{}) {
				return
			}
		}
		if r.call != nil && !part(obj(m("tool_calls", f.call(c, r, m("index", num(0))))), value.Null(), value.Value{}) {
			return
		}
		part(obj(), chatStop(r), f.usage(q, r))
	}
}

// bridged answers as chat completions do, in another form.
type bridged struct {
	chat
	bridge *bedrock.Bridge
}

// tellsOfTools is who answers a model's request if it is one of those that tell
// of tools in their prompts, or in a second form, and this request does; nil if not.
func tellsOfTools(m *catalog.Model, v value.Value) *bridged {
	f := bedrock.FamilyOf(m)
	if f != bedrock.Llama && (f != bedrock.Mistral || !v.Has("messages")) {
		return nil
	}
	b, err := bedrock.NewBridge(f, bedrock.Chat, m, v)
	if err != nil || f == bedrock.Llama && !b.Body().Has("tools") {
		return nil
	}
	return &bridged{bridge: b}
}

func head(c bedrock.Call) bedrock.Head {
	return bedrock.Head{ID: ident("", c, 24), Model: bedrock.ShortName(c.Model)}
}

func (f *bridged) whole(c bedrock.Call, q *request, r *reply) value.Value {
	v, err := f.bridge.Answer(f.chat.whole(c, q, r), head(c), usage(q, r))
	if err != nil {
		panic(err) // what this package wrote, the bridge reads
	}
	return v
}

func (f *bridged) chunks(c bedrock.Call, q *request, r *reply) iter.Seq[value.Value] {
	return func(yield func(value.Value) bool) {
		errEnough := errors.New("nobody takes the chunks")
		emit := func(v value.Value) error {
			if !yield(v) {
				return errEnough
			}
			return nil
		}
		s := f.bridge.Stream(head(c))
		for v := range f.chat.chunks(c, q, r) {
			if err := s.Chunk(v, emit); errors.Is(err, errEnough) {
				return
			} else if err != nil {
				panic(err)
			}
		}
		if err := s.End(usage(q, r), emit); err != nil && !errors.Is(err, errEnough) {
			panic(err)
		}
	}
}
