package bedrock

import (
	"slices"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// prompted models are given one text. Turns are marked in it as the model was
// trained; what a user says cannot make marks of its own. It is of one call: it
// remembers which tools the model was told of, to know a call in what it says.
type prompted struct {
	limit      string   // the member for the output limit
	stops      bool     // it has a member for stop sequences
	images     bool     // it reads images, which stand in a list of their own
	form       callForm // how it calls tools
	tag        string   // what it may write before calls
	blindCalls bool     // it cannot call tools and see images at once
	marks      []string // never part of what somebody says
	write      func(c *Conversation) (string, error)
	generate   func(body value.Value) (text, stop string, err error)
	read       func(prompt string) (c *Conversation, ok bool) // the reverse of write; not ok: it is another's prompt
	said       func(text string, stop value.Value, u *Usage) value.Value

	tools []Tool // that the model was told of in this call
	calls int    // of tools, in the conversation so far
}

func (f *prompted) request(c *Conversation, _ *catalog.Model) (value.Value, error) {
	uses := 0
	for _, m := range c.Messages {
		for i := range m.Content {
			if m.Content[i].Kind == ToolUse {
				uses++
			}
		}
	}
	switch {
	case (len(c.Tools) > 0 || slices.ContainsFunc(c.Messages, Message.usesTools)) && f.form == noCalls:
		return value.Value{}, invalidf("This model doesn't support tool use.")
	case c.Choice == "any" || c.Choice == "tool":
		return value.Value{}, refusedChoice(c.Choice)
	case c.serial && f.form == pythonCalls:
		return value.Value{}, unsupported("parallel_tool_calls for this model", "false")
	case c.user != "":
		return value.Value{}, unsupported("user", short(c.user))
	case len(c.Stops) > 0 && !f.stops:
		return value.Value{}, invalidf("This model doesn't support the stopSequences field. Remove stopSequences and try again.")
	case !c.topK.IsUndefined() && !f.stops:
		return value.Value{}, unsupported("top_k for this model", short(c.topK.JSON()))
	}
	images, err := f.check(c)
	if err != nil {
		return value.Value{}, err
	}
	if len(images) > 0 && len(c.Tools) > 0 && f.blindCalls {
		return value.Value{}, invalidf("This model doesn't support images together with tool use.")
	}
	prompt, err := f.write(c)
	if err != nil {
		return value.Value{}, err
	}
	if f.calls = uses; c.Choice != "none" {
		f.tools = c.Tools
	}
	var most value.Value
	if c.MaxTokens > 0 {
		most = number(int64(c.MaxTokens))
	}
	return object(member("prompt", text(prompt)), member(f.limit, most), member("temperature", c.Temperature), member("top_p", c.TopP), member("top_k", c.topK), member("stop", texts(c.Stops)), member("images", list(images))), nil
}

// refusedChoice is AWS's answer to a toolChoice that a model does not take.
func refusedChoice(choice string) error {
	return invalidf("This model doesn't support the toolConfig.toolChoice.%s field. Remove toolConfig.toolChoice.%s and try again.", choice, choice)
}

// check refuses what a prompt cannot say, and takes the images out. Documents
// whose format is text become text.
func (f *prompted) check(c *Conversation) (images []value.Value, err error) {
	blocks := func(in []Block, user bool) error {
		for i := range in {
			b := &in[i]
			said := b.Text
			switch {
			case b.Kind == Text:
			case b.Kind == Image && f.images && user:
				images = append(images, text(b.Data))
				continue
			case b.Kind == Document && user:
				t, err := b.asText()
				if err != nil {
					return err
				}
				*b, said = t, t.Text
			case b.Kind == ToolUse && f.form != noCalls:
				said = b.Value.JSON()
			case b.Kind == ToolResult && f.form != noCalls:
				if said, err = resultText(b); err != nil {
					return err
				}
			default:
				return unsupportedBlock(b.Kind)
			}
			if err := f.marked(said); err != nil {
				return err
			}
		}
		return nil
	}
	if err := blocks(c.System, false); err != nil {
		return nil, err
	}
	for _, m := range c.Messages {
		if err := blocks(m.Content, !m.Assistant); err != nil {
			return nil, err
		}
	}
	for _, t := range c.Tools {
		if t.Cache != nil {
			return nil, unsupportedBlock(CachePoint)
		}
		if err := f.marked(t.described(false).JSON()); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func (f *prompted) marked(s string) error {
	for _, m := range f.marks {
		if strings.Contains(s, m) {
			return invalidf("The text contains %s, which has a meaning of its own for this model.", m)
		}
	}
	return nil
}

const imageMark = "<|image|>" // where an image stands in a prompt

func joined(blocks []Block) string {
	var s strings.Builder
	for i := range blocks {
		switch {
		case blocks[i].Kind == Image:
			s.WriteString(imageMark)
			continue
		case i > 0 && blocks[i-1].Kind != Image:
			s.WriteString("\n\n")
		}
		s.WriteString(blocks[i].Text)
	}
	return s.String()
}

func (f *prompted) answer(body value.Value) ([]value.Value, string, error) {
	s, stop, err := f.generate(body)
	if err != nil {
		return nil, "", err
	}
	said, calls := s, []call(nil)
	if len(f.tools) > 0 {
		said, calls = findCalls(s, pythonTag, f.tools, false)
	}
	if calls == nil {
		return []value.Value{object(member("text", text(said)))}, promptStop(stop), nil
	}
	var out []value.Value
	if said != "" {
		out = append(out, object(member("text", text(said))))
	}
	for i, c := range calls {
		out = append(out, object(member("toolUse", object(append(f.started(c, i), member("input", c.args))...))))
	}
	return out, "tool_use", nil
}

// started is what a call of an answer, its nth, has besides its input. The models
// give calls no ids; within a conversation no two have the same.
func (f *prompted) started(c call, n int) []value.Member {
	return []value.Member{member("toolUseId", text(callID(c.name, f.calls+n+1))), member("name", text(c.name))}
}

func promptStop(s string) string {
	if s == "length" {
		return "max_tokens"
	}
	return "end_turn"
}

func (f *prompted) events() translator { return &promptEvents{family: f} }

type promptEvents struct {
	family *prompted
	begun  bool
	said   bool   // text has been passed on
	held   []byte // what may be calls of tools
	calls  bool   // held begins as calls do
	seen   value.Value
}

func (t *promptEvents) fields() value.Value { return t.seen }

func (t *promptEvents) event(c value.Value, emit func(string, value.Value) error) error {
	s, stop, err := t.family.generate(c)
	if err != nil {
		return badAnswer(err)
	}
	if !t.begun {
		t.begun = true
		if err := emit("messageStart", object(member("role", text("assistant")))); err != nil {
			return err
		}
	}
	if len(t.family.tools) > 0 {
		s = t.hold(s)
	}
	if err := t.say(s, emit); err != nil || stop == "" {
		return err
	}
	t.seen = c
	return t.end(stop, emit)
}

// hold keeps what may be calls, and returns what is certainly text. It looks at
// each byte of a long answer a few times only.
func (t *promptEvents) hold(s string) string {
	t.held = append(t.held, s...)
	if head := strings.TrimSpace(string(t.held[:min(len(t.held), callHead)])); t.calls && (strings.HasPrefix(head, pythonTag) || mayCall(head, t.family.tools)) {
		return ""
	}
	all := string(t.held)
	n := 0
	n, t.calls = certain(all, pythonTag, t.family.tools, t.said)
	t.held = append(t.held[:0], all[n:]...)
	return all[:n]
}

// callHead is how much of a text tells whether it begins as a call does.
const callHead = 256

func (t *promptEvents) say(s string, emit func(string, value.Value) error) error {
	if s == "" {
		return nil
	}
	t.said = true
	return emit("contentBlockDelta", object(member("delta", object(member("text", text(s)))), member("contentBlockIndex", number(0))))
}

func (t *promptEvents) end(stop string, emit func(string, value.Value) error) error {
	said, calls := string(t.held), []call(nil)
	if said != "" {
		said, calls = findCalls(said, pythonTag, t.family.tools, t.said)
	}
	if err := t.say(said, emit); err != nil {
		return err
	}
	index := 0
	if t.said || calls == nil {
		if err := emit("contentBlockStop", object(member("contentBlockIndex", number(0)))); err != nil {
			return err
		}
		index++
	}
	for i, c := range calls {
		at := member("contentBlockIndex", number(int64(index+i)))
		for _, e := range []struct {
			name    string
			payload value.Value
		}{
			{"contentBlockStart", object(member("start", object(member("toolUse", object(t.family.started(c, i)...)))), at)},
			{"contentBlockDelta", object(member("delta", object(member("toolUse", object(member("input", text(c.args.JSON())))))), at)},
			{"contentBlockStop", object(at)},
		} {
			if err := emit(e.name, e.payload); err != nil {
				return err
			}
		}
	}
	reason := promptStop(stop)
	if calls != nil {
		reason = "tool_use"
	}
	return emit("messageStop", object(member("stopReason", text(reason))))
}

// certain is how much of a text that goes on can be no part of calls of tools, as
// findCalls finds them, and stands before them as it is; calls says that the rest
// begins as they do, white space aside. middle is findCalls'.
func certain(s, mark string, tools []Tool, middle bool) (n int, calls bool) {
	const blank = " \n\r\t"
	if before, _, ok := strings.Cut(s, mark); ok {
		return len(strings.TrimRight(before, blank)), true
	}
	end := len(s)
	for n := min(len(mark)-1, len(s)); n > 0; n-- { // the mark may be half there
		if strings.HasSuffix(s, mark[:n]) {
			end -= n
			break
		}
	}
	for at := 0; at < end; {
		first := len(s) - len(strings.TrimLeft(s[at:], blank)) // of the line, or of one after it
		if (!middle || strings.Contains(s[:first], "\n")) && first < end && mayCall(s[first:], tools) {
			end, calls = first, true
			break
		}
		n := strings.IndexByte(s[first:], '\n')
		if n < 0 {
			break
		}
		at, middle = first+n+1, false
	}
	return len(strings.TrimRight(s[:end], blank)), calls
}
