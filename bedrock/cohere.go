package bedrock

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// cohere is the form of Cohere's Command R models: what the user said last, and
// apart from it what was said before. AWS's catalog has none of them any more;
// an operator's may.
type cohere struct{}

func (f cohere) request(c *Conversation, _ *catalog.Model) (value.Value, error) {
	var none value.Value
	if c.Choice == "any" || c.Choice == "tool" {
		return none, invalidf("This model doesn't support the toolConfig.toolChoice.%s field. Remove toolConfig.toolChoice.%[1]s and try again.", c.Choice)
	}
	if c.Choice == "none" || c.serial || c.user != "" {
		return none, unsupported("tool_choice none, one tool call at a time, or a user, for this model", c.Choice+c.user)
	}
	for _, b := range c.System {
		if b.Kind != Text {
			return none, unsupportedBlock(b.Kind)
		}
	}
	// The open turn is the user's last text and all calls of tools since.
	open := len(c.Messages) - 1
	for open > 0 && (c.Messages[open].Assistant || !slices.ContainsFunc(c.Messages[open].Content, func(b Block) bool { return b.Kind == Text })) {
		open--
	}
	if n := len(c.Messages); n > 0 && c.Messages[n-1].Assistant {
		return none, invalidf("A conversation must end with a user message. Try again with a conversation that ends with a user message.")
	}
	if len(c.Messages) == 0 || c.Messages[open].Assistant {
		return none, invalidf("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
	}
	w := cohereWriter{calls: map[string]value.Value{}}
	var history []value.Value
	for _, m := range c.Messages[:open] {
		list, err := w.turn(m)
		if err != nil {
			return none, err
		}
		history = append(history, list...)
	}
	message, documents, results, err := w.open(c.Messages[open:])
	if err != nil {
		return none, err
	}
	tools := make([]value.Value, len(c.Tools))
	for i, t := range c.Tools {
		if t.Cache != nil {
			return none, unsupportedBlock(CachePoint)
		}
		if tools[i], err = cohereTool(t); err != nil {
			return none, err
		}
	}
	var most value.Value
	if c.MaxTokens > 0 {
		most = number(int64(c.MaxTokens))
	}
	return object(
		member("message", text(message)),
		member("chat_history", list(history)),
		member("preamble", given(joined(c.System))),
		member("documents", list(documents)),
		member("max_tokens", most),
		member("temperature", c.Temperature),
		member("p", c.TopP),
		member("k", c.topK),
		member("stop_sequences", texts(c.Stops)),
		member("tools", list(tools)),
		member("tool_results", list(results))), nil
}

// list is an array that is left out where it is empty.
func list(items []value.Value) value.Value {
	if len(items) == 0 {
		return value.Value{}
	}
	return value.Array(items...)
}

// cohereWriter writes turns; results name the call that they are of, not its id.
type cohereWriter struct{ calls map[string]value.Value }

func cohereCall(b *Block) value.Value {
	return object(member("name", text(b.Name)), member("parameters", b.Value))
}

// turn writes what was said before.
func (w *cohereWriter) turn(m Message) ([]value.Value, error) {
	var said strings.Builder
	var calls, results []value.Value
	for i := range m.Content {
		switch b := &m.Content[i]; b.Kind {
		case Text:
			said.WriteString(b.Text)
		case ToolUse:
			w.calls[b.ID] = cohereCall(b)
			calls = append(calls, w.calls[b.ID])
		case ToolResult:
			r, err := w.result(b)
			if err != nil {
				return nil, err
			}
			results = append(results, r)
		default:
			return nil, unsupportedBlock(b.Kind)
		}
	}
	var out []value.Value
	if results != nil {
		out = append(out, object(member("role", text("TOOL")), member("tool_results", value.Array(results...))))
	}
	role := "USER"
	if m.Assistant {
		role = "CHATBOT"
	}
	if said.Len() > 0 || calls != nil {
		out = append(out, object(member("role", text(role)), member("message", text(said.String())), member("tool_calls", list(calls))))
	}
	return out, nil
}

// open writes the open turn: the user's text and documents, and what tools
// answered since. What the model said beside its calls has no place there.
func (w *cohereWriter) open(turns []Message) (message string, documents, results []value.Value, err error) {
	var said []Block
	for i, m := range turns {
		for j := range m.Content {
			b := &m.Content[j]
			switch {
			case b.Kind == Text && i == 0:
				said = append(said, *b)
			case b.Kind == Text && m.Assistant:
			case b.Kind == Document && i == 0:
				s, ok := b.textOf()
				if b.Parts != nil {
					s, ok = strings.Join(b.Parts, "\n"), true
				}
				if !ok || b.Cite || b.Context != "" {
					return "", nil, nil, unsupported("document other than text, with citations or with context, for this model", b.Name)
				}
				documents = append(documents, object(member("title", text(b.Name)), member("snippet", text(s))))
			case b.Kind == ToolUse:
				w.calls[b.ID] = cohereCall(b)
			case b.Kind == ToolResult:
				r, err := w.result(b)
				if err != nil {
					return "", nil, nil, err
				}
				results = append(results, r)
			default:
				return "", nil, nil, unsupportedBlock(b.Kind)
			}
		}
	}
	return joined(said), documents, results, nil
}

func (w *cohereWriter) result(b *Block) (value.Value, error) {
	call, ok := w.calls[b.ID]
	if !ok {
		return call, invalidf("The toolUseId %s of a toolResult is that of no toolUse before it.", short(b.ID))
	}
	var outputs []value.Value
	for i := range b.Content {
		switch c := &b.Content[i]; {
		case c.Kind == JSON && c.Value.IsObject():
			outputs = append(outputs, c.Value)
		case c.Kind == JSON:
			outputs = append(outputs, object(member("text", text(c.Value.JSON()))))
		case c.Kind == Text:
			outputs = append(outputs, object(member("text", text(c.Text))))
		default:
			return call, unsupportedBlock(c.Kind)
		}
	}
	if b.Failed {
		outputs = append([]value.Value{object(member("error", value.Bool(true)))}, outputs...) // there is no other place to say it
	}
	return object(member("call", call), member("outputs", value.Array(outputs...))), nil
}

// cohereTypes are the types of parameters, JSON Schema's first.
var cohereTypes = [][2]string{{"string", "str"}, {"integer", "int"}, {"number", "float"}, {"boolean", "bool"}, {"array", "list"}, {"object", "dict"}}

// cohereTool writes a tool whose parameters are a flat list; what a schema says of
// one besides its type is kept in its description.
func cohereTool(t Tool) (value.Value, error) {
	if k := t.Schema.Get("type"); !k.IsUndefined() && k.Str() != "object" {
		return value.Value{}, unsupported("an input schema that is no object, for this model", short(k.JSON()))
	}
	params := value.Object()
	for name, x := range t.Schema.Get("properties").Members() {
		i := slices.IndexFunc(cohereTypes, func(p [2]string) bool { return p[0] == x.Get("type").Str() })
		if i < 0 {
			return value.Value{}, unsupported("a tool's parameter of another type than JSON's, for this model", short(x.JSON()))
		}
		d := x.Get("description").Str()
		if more := x.Without("type").Without("description"); more.Len() > 0 {
			d = strings.TrimSpace(d + " JSON Schema: " + more.JSON())
		}
		required := slices.ContainsFunc(slices.Collect(values(t.Schema.Get("required"))), func(r value.Value) bool { return r.Str() == name })
		params = params.With(name, object(member("description", given(d)), member("type", text(cohereTypes[i][1])), member("required", value.Bool(required))))
	}
	return object(member("name", text(t.Name)), member("description", text(t.Description)), member("parameter_definitions", params)), nil
}

func values(v value.Value) func(func(value.Value) bool) {
	return func(yield func(value.Value) bool) {
		for _, x := range v.Items() {
			if !yield(x) {
				return
			}
		}
	}
}

func cohereStop(finish string, calls bool) string {
	switch {
	case calls:
		return "tool_use"
	case finish == "MAX_TOKENS":
		return "max_tokens"
	case finish == "STOP_SEQUENCE":
		return "stop_sequence"
	case finish == "ERROR_TOXIC":
		return "content_filtered"
	case finish == "ERROR_LIMIT":
		return "model_context_window_exceeded"
	}
	return "end_turn"
}

func cohereFinish(stop string) string {
	switch stop {
	case "max_tokens":
		return "MAX_TOKENS"
	case "stop_sequence":
		return "STOP_SEQUENCE"
	case "content_filtered":
		return "ERROR_TOXIC"
	case "model_context_window_exceeded":
		return "ERROR_LIMIT"
	}
	return "COMPLETE"
}

// callID is the id of a model's nth call of a tool in an answer: Cohere's have none.
func callID(answer string, n int) string {
	return fmt.Sprintf("tooluse_%.48s_%d", strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, answer), n)
}

func (cohere) answer(body value.Value) ([]value.Value, string, error) {
	if !body.Get("text").IsString() {
		return nil, "", errors.New("an answer without text")
	}
	var out []value.Value
	if s := body.Get("text"); s.Str() != "" {
		out = append(out, object(member("text", s)))
	}
	calls := body.Get("tool_calls")
	for i, c := range calls.Items() {
		if !c.Get("parameters").IsObject() {
			return nil, "", errors.New("a tool call without parameters")
		}
		out = append(out, object(member("toolUse", object(member("toolUseId", text(callID(body.Get("generation_id").Str(), i))), member("name", c.Get("name")), member("input", c.Get("parameters"))))))
	}
	return out, cohereStop(body.Get("finish_reason").Str(), calls.Len() > 0), nil
}

func (cohere) events() translator { return &cohereEvents{} }

type cohereEvents struct {
	begun, open, calls bool // open: a block of text
	id                 string
	index              int64
	seen               value.Value
}

func (t *cohereEvents) fields() value.Value { return t.seen }

func (t *cohereEvents) event(c value.Value, emit func(string, value.Value) error) error {
	if !t.begun {
		t.begun = true
		if err := emit("messageStart", object(member("role", text("assistant")))); err != nil {
			return err
		}
	}
	stop := func() error {
		i := t.index
		t.index++
		return emit("contentBlockStop", object(member("contentBlockIndex", number(i))))
	}
	if s := c.Get("generation_id").Str(); s != "" {
		t.id = s
	}
	switch c.Get("event_type").Str() {
	case "text-generation":
		if c.Get("text").Str() == "" {
			return nil
		}
		t.open = true
		return emit("contentBlockDelta", object(member("delta", object(member("text", c.Get("text")))), member("contentBlockIndex", number(t.index))))
	case "tool-calls-generation":
		if t.open {
			t.open = false
			if err := stop(); err != nil {
				return err
			}
		}
		for i, call := range c.Get("tool_calls").Items() {
			t.calls = true
			at := member("contentBlockIndex", number(t.index))
			if err := emit("contentBlockStart", object(member("start", object(member("toolUse", object(member("toolUseId", text(callID(t.id, i))), member("name", call.Get("name")))))), at)); err != nil {
				return err
			}
			if err := emit("contentBlockDelta", object(member("delta", object(member("toolUse", object(member("input", text(call.Get("parameters").JSON())))))), at)); err != nil {
				return err
			}
			if err := stop(); err != nil {
				return err
			}
		}
	case "stream-end":
		t.seen = c.Get("response")
		if t.open {
			if err := stop(); err != nil {
				return err
			}
		}
		return emit("messageStop", object(member("stopReason", text(cohereStop(c.Get("finish_reason").Str(), t.calls)))))
	}
	return nil // stream-start, citations, and what may come
}

// parse reads a body. A result of a tool names the call that it is of; the call
// is put before it where it was not said.
func (f cohere) parse(v value.Value) (*Conversation, error) {
	c := &Conversation{}
	r := cohereReader{c: c}
	for _, name := range []string{"chat_history", "message", "documents", "tool_results"} {
		if err := r.read(name, v.Get(name)); err != nil {
			return nil, err
		}
	}
	for name, x := range v.Members() {
		switch name {
		case "chat_history", "message", "documents", "tool_results":
		case "preamble":
			if x.Str() != "" {
				c.System = []Block{{Kind: Text, Text: x.Str()}}
			}
		case "max_tokens":
			n, ok := x.Int()
			if !ok || n < 1 || n > 1<<31-1 {
				return nil, malformed("#/max_tokens", "%s is not greater or equal to 1", short(x.JSON()))
			}
			c.MaxTokens = int(n)
		case "temperature":
			c.Temperature = x
		case "p":
			c.TopP = x
		case "k":
			c.topK = x
		case "stop_sequences":
			for _, s := range x.Items() {
				if s.Str() == "" {
					return nil, malformed("#/stop_sequences", "expected minLength: 1")
				}
				c.Stops = append(c.Stops, s.Str())
			}
		case "tools":
			for i, t := range x.Items() {
				tool, err := cohereReadTool(t, fmt.Sprintf("#/tools/%d", i))
				if err != nil {
					return nil, err
				}
				c.Tools = append(c.Tools, tool)
			}
		default:
			return nil, malformed("#", "extraneous key [%s] is not permitted", short(name))
		}
	}
	if len(c.Messages) == 0 {
		return nil, malformed("#", "required key [message] not found")
	}
	c.Messages = merged(c.Messages)
	return c, nil
}

type cohereReader struct {
	c    *Conversation
	n    int     // calls so far
	open []Block // calls whose results are not there yet
}

func (r *cohereReader) say(assistant bool, b ...Block) {
	if len(b) > 0 {
		r.c.Messages = append(r.c.Messages, Message{assistant, b})
	}
}

func (r *cohereReader) call(v value.Value, at string) (Block, error) {
	b := Block{Kind: ToolUse, ID: fmt.Sprintf("call_%d", r.n), Name: v.Get("name").Str(), Value: v.Get("parameters")}
	if len(b.Name) > maxToolName || !toolName.MatchString(b.Name) || !b.Value.IsObject() {
		return b, malformed(at, "expected a call with a name and parameters")
	}
	r.n++
	return b, nil
}

func (r *cohereReader) read(name string, v value.Value) error {
	at := "#/" + name
	switch name {
	case "message":
		if !v.IsUndefined() && !v.IsString() {
			return malformed(at, "expected type: String, found: %s", short(v.JSON()))
		}
		if v.Str() != "" {
			r.say(false, Block{Kind: Text, Text: v.Str()})
		}
	case "documents":
		var docs []Block
		for i, d := range v.Items() {
			b := Block{Kind: Document, Format: "txt", Name: d.Get("title").Str(), Text: d.Get("snippet").Str()}
			if b.Text == "" || len(d.Get("title").Str()) > maxDocumentName {
				return malformed(fmt.Sprintf("%s/%d", at, i), "expected a title and a snippet")
			}
			if b.Name == "" {
				b.Name = fmt.Sprintf("document %d", i+1)
			}
			docs = append(docs, b)
		}
		r.say(false, docs...)
	case "tool_results":
		return r.results(v, at)
	case "chat_history":
		for i, m := range v.Items() {
			at := fmt.Sprintf("%s/%d", at, i)
			for k := range m.Members() {
				if !slices.Contains([]string{"role", "message", "tool_calls", "tool_results"}, k) {
					return malformed(at, "extraneous key [%s] is not permitted", short(k))
				}
			}
			said := m.Get("message").Str()
			var b []Block
			if said != "" {
				b = append(b, Block{Kind: Text, Text: said})
			}
			switch role := m.Get("role").Str(); strings.ToUpper(role) {
			case "USER":
				r.say(false, b...)
			case "SYSTEM":
				r.c.System = append(r.c.System, b...)
			case "CHATBOT":
				for _, x := range m.Get("tool_calls").Items() {
					call, err := r.call(x, at+"/tool_calls")
					if err != nil {
						return err
					}
					b, r.open = append(b, call), append(r.open, call)
				}
				r.say(true, b...)
			case "TOOL":
				if err := r.results(m.Get("tool_results"), at+"/tool_results"); err != nil {
					return err
				}
			default:
				return malformed(at+"/role", "%s is not a valid enum value", short(m.Get("role").JSON()))
			}
		}
	}
	return nil
}

func (r *cohereReader) results(v value.Value, at string) error {
	var calls, out []Block
	for i, x := range v.Items() {
		at := fmt.Sprintf("%s/%d", at, i)
		call, err := r.call(x.Get("call"), at+"/call")
		if err != nil {
			return err
		}
		if j := slices.IndexFunc(r.open, func(b Block) bool { return b.Name == call.Name && value.Equal(b.Value, call.Value) }); j >= 0 {
			call = r.open[j]
			r.open = slices.Delete(r.open, j, j+1)
		} else {
			calls = append(calls, call)
		}
		res := Block{Kind: ToolResult, ID: call.ID}
		for _, o := range x.Get("outputs").Items() {
			switch {
			case o.Len() == 1 && o.Get("error").Bool():
				res.Failed = true
			case o.Len() == 1 && o.Get("text").Str() != "":
				res.Content = append(res.Content, Block{Kind: Text, Text: o.Get("text").Str()})
			default:
				res.Content = append(res.Content, Block{Kind: JSON, Value: o})
			}
		}
		out = append(out, res)
	}
	r.say(true, calls...)
	r.say(false, out...)
	return nil
}

func cohereReadTool(v value.Value, at string) (Tool, error) {
	t := Tool{Name: v.Get("name").Str(), Description: v.Get("description").Str()}
	if len(t.Name) > maxToolName || !toolName.MatchString(t.Name) {
		return t, malformed(at, "expected a name")
	}
	properties := value.Object()
	var required []value.Value
	for name, p := range v.Get("parameter_definitions").Members() {
		i := slices.IndexFunc(cohereTypes, func(k [2]string) bool { return k[0] == p.Get("type").Str() || k[1] == p.Get("type").Str() })
		if i < 0 {
			return t, malformed(at+"/parameter_definitions/"+short(name), "%s is not a valid type", short(p.Get("type").JSON()))
		}
		properties = properties.With(name, object(member("type", text(cohereTypes[i][0])), member("description", given(p.Get("description").Str()))))
		if p.Get("required").Bool() {
			required = append(required, text(name))
		}
	}
	t.Schema = object(kind("object"), member("properties", properties), member("required", list(required)))
	return t, nil
}

func (cohere) whole(r *reply) (value.Value, error) {
	said, calls, err := cohereSaid(r.content)
	if err != nil {
		return value.Value{}, err
	}
	return cohereResponse(r.ID, said, calls, r.stop, r.usage), nil
}

func cohereSaid(content []value.Value) (string, []value.Value, error) {
	var said strings.Builder
	var calls []value.Value
	for _, b := range content {
		switch m := first(b); m.Key {
		case "text":
			said.WriteString(m.Value.Str())
		case "toolUse":
			calls = append(calls, object(member("name", m.Value.Get("name")), member("parameters", m.Value.Get("input"))))
		case "reasoningContent": // has no place here
		default:
			return "", nil, badAnswer(errors.New("a block " + m.Key))
		}
	}
	return said.String(), calls, nil
}

func cohereResponse(id, said string, calls []value.Value, stop string, u Usage) value.Value {
	return object(member("response_id", text(id)), member("generation_id", text(id)), member("text", text(said)), member("tool_calls", list(calls)), member("finish_reason", text(cohereFinish(stop))),
		member("meta", object(member("billed_units", object(member("input_tokens", number(int64(u.Input))), member("output_tokens", number(int64(u.Output))))))))
}

func (cohere) chunks(h Head) chunker {
	return &cohereChunks{head: h, input: map[int64]*strings.Builder{}}
}

type cohereChunks struct {
	head  Head
	said  strings.Builder
	names []value.Value
	input map[int64]*strings.Builder // of tools, by block
	order []int64
	stop  string
}

func (w *cohereChunks) event(name string, p value.Value, emit func(value.Value) error) error {
	index, _ := p.Get("contentBlockIndex").Int()
	switch name {
	case "messageStart":
		return emit(object(member("event_type", text("stream-start")), member("is_finished", value.Bool(false)), member("generation_id", text(w.head.ID))))
	case "contentBlockStart":
		w.names = append(w.names, p.Get("start").Get("toolUse").Get("name"))
		w.order = append(w.order, index)
		w.input[index] = new(strings.Builder)
	case "contentBlockDelta":
		switch m := first(p.Get("delta")); m.Key {
		case "text":
			w.said.WriteString(m.Value.Str())
			return emit(object(member("event_type", text("text-generation")), member("is_finished", value.Bool(false)), member("text", m.Value)))
		case "toolUse":
			if b := w.input[index]; b != nil {
				b.WriteString(m.Value.Get("input").Str())
			}
		}
	case "messageStop":
		w.stop = p.Get("stopReason").Str()
	}
	return nil
}

func (w *cohereChunks) end(u Usage, emit func(value.Value) error) error {
	var calls []value.Value
	for i, at := range w.order {
		in, err := arguments(w.input[at].String())
		if err != nil {
			return badAnswer(err)
		}
		calls = append(calls, object(member("name", w.names[i]), member("parameters", in)))
	}
	if calls != nil {
		if err := emit(object(member("event_type", text("tool-calls-generation")), member("is_finished", value.Bool(false)), member("tool_calls", value.Array(calls...)))); err != nil {
			return err
		}
	}
	return emit(object(member("event_type", text("stream-end")), member("is_finished", value.Bool(true)), member("finish_reason", text(cohereFinish(w.stop))),
		member("response", cohereResponse(w.head.ID, w.said.String(), calls, w.stop, u))))
}
