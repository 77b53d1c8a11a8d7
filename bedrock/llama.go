package bedrock

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// This file is Meta's prompts. AWS's body for Llama has a prompt and images
// (Amazon Bedrock user guide, "Meta Llama models"), and says nothing of tools; how
// a prompt tells of tools and a text calls them, Meta publishes for each
// generation, in prompt_format.md of the repository meta-llama/llama-models:
//
//   - 3.1 (models/llama3_1, "JSON based tool calling"): "Environment: ipython" begins
//     the system message; the functions stand, as JSON with name, description and
//     parameters, in a message of the user's before the others; a call is
//     <|python_tag|> and JSON with name and parameters, ended by <|eom_id|>, one at a
//     time; what came of it is a message of the role ipython. The vision models of
//     3.2 do the same (models/llama3_2/vision_prompt_format.md), not with images.
//   - 3.3 (models/llama3_3) and 4 (models/llama4), "Zero shot function calling": the
//     functions stand in the system message, as a JSON array; calls, any number, are
//     a list as Python writes it. The whole walk, with <|python_tag|> before the list
//     and ipython after it, is in models/llama3_2/text_prompt_format.md ("E2E format").
//     Llama 4 has no <|python_tag|>; its role ipython is that of the chat template
//     published with the model.
//
// The sentences around the functions are our own.

// llama is Meta's form: Llama 3 and 4 mark turns differently.
func llama(m *catalog.Model) *prompted {
	l := &llamaForm{begin: "<|begin_of_text|>", open: "<|start_header_id|>", shut: "<|end_header_id|>\n\n", end: "<|eot_id|>", more: "<|eom_id|>", tag: pythonTag}
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(m.ID, p) })
	}
	f := &prompted{
		limit:  "max_gen_len",
		marks:  []string{"<|"},
		images: slices.Contains(m.Input, "IMAGE"),
		tag:    pythonTag,
		said:   llamaSaid,
	}
	switch {
	case has("meta.llama4"):
		l.open, l.shut, l.end, l.more, l.tag = "<|header_start|>", "<|header_end|>\n\n", "<|eot|>", "<|eom|>", ""
		f.form = pythonCalls
	case has("meta.llama3-3"):
		f.form = pythonCalls
	case has("meta.llama3-1", "meta.llama3-2"):
		f.form = jsonCalls
		f.blindCalls = f.images
	}
	f.write = func(c *Conversation) (string, error) { return l.write(c, f.form) }
	f.read = func(prompt string) (*Conversation, bool) { return l.read(prompt, f.form) }
	f.generate = func(v value.Value) (string, string, error) {
		if !v.Get("generation").IsString() {
			return "", "", errors.New("an answer without a generation")
		}
		return v.Get("generation").Str(), v.Get("stop_reason").Str(), nil
	}
	return f
}

const (
	pythonTag   = "<|python_tag|>"
	environment = "Environment: ipython"

	jsonIntro = "These functions may be called where they help to answer. Each is described in JSON:\n"
	jsonOutro = "\n\nTo call one, answer with JSON and nothing else, one call at a time: {\"type\": \"function\", \"name\": the name of the function, \"parameters\": an object with its parameters}"

	pythonIntro = "These functions may be called where they help to answer. They are described in JSON:\n"
	pythonOutro = "\nTo call some, answer with a list of calls and nothing else: [first_function(first_parameter=value, second_parameter=value), second_function()]"
)

// llamaForm is how turns are marked.
type llamaForm struct {
	begin, open, shut string
	end, more         string // of a turn; of one that a tool's result follows
	tag               string // before calls
}

func (t Tool) described(wrapped bool) value.Value {
	v := object(member("name", text(t.Name)), member("description", given(t.Description)), member("parameters", t.Schema))
	if wrapped {
		return object(kind("function"), member("function", v))
	}
	return v
}

// toolsJSON is how a prompt tells of tools.
func toolsJSON(tools []Tool, form callForm) string {
	list := make([]string, len(tools))
	for i, t := range tools {
		list[i] = t.described(form == jsonCalls).JSON()
	}
	if form == jsonCalls {
		return jsonIntro + strings.Join(list, "\n") + jsonOutro
	}
	return pythonIntro + "[" + strings.Join(list, ",\n") + "]" + pythonOutro
}

// readTools is the reverse of toolsJSON; before is what stands before it.
func readTools(s string, form callForm) (before string, tools []Tool) {
	intro, outro := jsonIntro, jsonOutro
	if form == pythonCalls {
		intro, outro = pythonIntro, pythonOutro
	}
	s, ok := strings.CutSuffix(s, outro)
	at := strings.LastIndex(s, intro)
	if !ok || at < 0 {
		return "", nil
	}
	list := objects(s[at+len(intro):])
	if form == pythonCalls {
		if len(list) != 1 {
			return "", nil
		}
		var items []value.Value
		for _, x := range list[0].Items() {
			items = append(items, x)
		}
		list = items
	}
	for _, x := range list {
		if form == jsonCalls {
			x = x.Get("function")
		}
		t := Tool{Name: x.Get("name").Str(), Description: x.Get("description").Str(), Schema: x.Get("parameters")}
		if !toolName.MatchString(t.Name) || !t.Schema.IsObject() {
			return "", nil
		}
		tools = append(tools, t)
	}
	return s[:at], tools
}

// write is the prompt of a conversation.
func (l *llamaForm) write(c *Conversation, form callForm) (string, error) {
	var b strings.Builder
	b.WriteString(l.begin)
	turn := func(role, s, end string) { b.WriteString(l.open + role + l.shut + s + end) }
	told := len(c.Tools) > 0 && c.Choice != "none"
	system := joined(c.System)
	between := func(a, b string) string {
		if a == "" || b == "" {
			return a + b
		}
		return a + "\n\n" + b
	}
	switch {
	case told && form == jsonCalls:
		system = between(environment, system)
	case told:
		system = between(system, toolsJSON(c.Tools, form))
	}
	if system != "" {
		turn("system", system, l.end)
	}
	if told && form == jsonCalls {
		turn("user", toolsJSON(c.Tools, form), l.end)
	}
	var open []Block // calls whose results must be in the next message
	for i := range c.Messages {
		m := &c.Messages[i]
		said, calls, results, err := l.parts(m.Content, i)
		if err != nil {
			return "", err
		}
		if !m.Assistant {
			if len(results) != len(open) && len(results) > 0 {
				return "", invalidf("messages.%d: %d toolResult blocks, and the message before it has %d toolUse blocks", i, len(results), len(open))
			}
			if len(said) > 0 {
				turn("user", joined(said), l.end)
			}
			continue
		}
		open = calls
		if len(calls) == 0 {
			turn("assistant", joined(said), l.end)
			continue
		}
		var answers map[string]string
		if i+1 < len(c.Messages) {
			if _, _, answers, err = l.parts(c.Messages[i+1].Content, i+1); err != nil {
				return "", err
			}
		}
		for len(calls) > 0 {
			now := calls[:1]
			if form == pythonCalls {
				now = calls
			}
			text := joined(said)
			if form == pythonCalls && l.tag == "" && text != "" {
				text += "\n\n"
			}
			end := l.end
			if form == jsonCalls {
				end = l.more
			}
			turn("assistant", text+l.tag+form.write(made(now)), end)
			for _, u := range now {
				r, ok := answers[u.ID]
				if !ok && answers != nil && len(answers) > 0 {
					return "", invalidf("messages.%d: there is no toolResult for the toolUse %s", i+1, short(u.ID))
				}
				if ok {
					turn("ipython", r, l.end)
				}
			}
			said, calls = nil, calls[len(now):]
		}
	}
	b.WriteString(l.open + "assistant" + l.shut)
	return b.String(), nil
}

// made are the calls in blocks of the kind ToolUse.
func made(blocks []Block) []call {
	out := make([]call, len(blocks))
	for i, b := range blocks {
		out[i] = call{b.Name, b.Value}
	}
	return out
}

// parts are what a message says, its calls, and its results by the calls' ids.
func (l *llamaForm) parts(content []Block, at int) (said, calls []Block, results map[string]string, err error) {
	for i := range content {
		switch b := &content[i]; b.Kind {
		case ToolUse:
			calls = append(calls, *b)
		case ToolResult:
			s, err := resultText(b)
			if err != nil {
				return nil, nil, nil, err
			}
			if results == nil {
				results = map[string]string{}
			}
			if _, twice := results[b.ID]; twice {
				return nil, nil, nil, invalidf("messages.%d: two toolResult blocks have the toolUseId %s", at, short(b.ID))
			}
			results[b.ID] = s
		default:
			said = append(said, *b)
		}
	}
	return said, calls, results, nil
}

// llamaTurn is one message of a prompt.
type llamaTurn struct{ role, text string }

// turns splits a prompt as write makes it; ok is false if it is another. What is
// open at the end is the answer's own.
func (l *llamaForm) turns(prompt string) (out []llamaTurn, ok bool) {
	rest := strings.TrimPrefix(strings.TrimSpace(prompt), l.begin)
	for rest != "" {
		rest = strings.TrimLeft(rest, "\n")
		after, ok := strings.CutPrefix(rest, l.open)
		role, after, ok2 := strings.Cut(after, l.shut)
		if !ok || !ok2 {
			// The end: what is open is the answer's own header, its blank lines trimmed.
			return out, ok && after == "" && strings.HasSuffix(rest, strings.TrimSpace(l.shut))
		}
		end, size := strings.Index(after, l.end), len(l.end)
		if i := strings.Index(after, l.more); i >= 0 && (end < 0 || i < end) {
			end, size = i, len(l.more)
		}
		if end < 0 {
			if role == "assistant" && strings.TrimSpace(after) == "" {
				return out, true
			}
			end, size = len(after), 0
		}
		if !slices.Contains([]string{"system", "user", "assistant", "ipython", "tool"}, role) {
			return nil, false
		}
		out = append(out, llamaTurn{role, after[:end]})
		rest = after[end+size:]
	}
	return out, true
}

// read is the reverse of write. Tools are found where they are told of as write
// does it; results of tools in another prompt are what the user says.
func (l *llamaForm) read(prompt string, form callForm) (*Conversation, bool) {
	turns, ok := l.turns(prompt)
	if !ok {
		return nil, false
	}
	c := &Conversation{}
	plain := func(s string) []Block { return []Block{{Kind: Text, Text: s}} }
	c.Tools, turns = l.told(turns, form)
	var open []string // ids of calls without a result
	n := 0
	for _, t := range turns {
		switch t.role {
		case "system":
			c.System = append(c.System, plain(t.text)...)
		case "user":
			c.Messages = append(c.Messages, Message{false, plain(t.text)})
		case "assistant":
			said, calls := findCalls(t.text, pythonTag, c.Tools, false)
			m := Message{Assistant: true}
			if said != "" || calls == nil {
				m.Content = plain(said)
			}
			open = nil
			for _, k := range calls {
				n++
				id := fmt.Sprintf("call_%d", n)
				open = append(open, id)
				m.Content = append(m.Content, Block{Kind: ToolUse, ID: id, Name: k.name, Value: k.args})
			}
			c.Messages = append(c.Messages, m)
		default:
			b := plain(t.text)
			if len(open) > 0 {
				b, open = []Block{{Kind: ToolResult, ID: open[0], Content: b}}, open[1:]
			}
			c.Messages = append(c.Messages, Message{false, b})
		}
	}
	if len(c.Tools) > 0 {
		c.Messages = merged(c.Messages)
	}
	return c, len(c.Messages) > 0
}

// told finds what turns say of tools, and returns the others.
func (l *llamaForm) told(turns []llamaTurn, form callForm) ([]Tool, []llamaTurn) {
	if len(turns) == 0 || turns[0].role != "system" {
		return nil, turns
	}
	system := turns[0].text
	switch form {
	case jsonCalls:
		rest, ok := strings.CutPrefix(system, environment)
		if !ok || len(turns) < 2 || turns[1].role != "user" {
			return nil, turns
		}
		before, tools := readTools(turns[1].text, form)
		if tools == nil || before != "" {
			return nil, turns
		}
		system, turns = strings.TrimPrefix(rest, "\n\n"), turns[2:]
		return tools, withSystem(system, turns)
	case pythonCalls:
		before, tools := readTools(system, form)
		if tools == nil {
			return nil, turns
		}
		return tools, withSystem(strings.TrimSuffix(before, "\n\n"), turns[1:])
	}
	return nil, turns
}

func withSystem(system string, turns []llamaTurn) []llamaTurn {
	if system == "" {
		return turns
	}
	return append([]llamaTurn{{"system", system}}, turns...)
}

func llamaSaid(s string, stop value.Value, u *Usage) value.Value {
	in, out := value.Null(), value.Null()
	if u != nil {
		in, out = number(int64(u.Input)), number(int64(u.Output))
	}
	return object(member("generation", text(s)), member("prompt_token_count", in), member("generation_token_count", out), member("stop_reason", stop))
}
