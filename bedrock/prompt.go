package bedrock

import (
	"errors"
	"slices"
	"strings"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// prompted models are given one text. Turns are marked in it as the model was
// trained; what a user says cannot make marks of its own.
type prompted struct {
	limit    string   // the member for the output limit
	stops    bool     // it has a member for stop sequences
	images   bool     // it reads images, which stand in a list of their own
	marks    []string // never part of what somebody says
	write    func(c *Conversation) (string, error)
	generate func(body value.Value) (text, stop string, err error)
	read     func(prompt string) (system []Block, messages []Message) // the reverse of write; no messages: it is another's prompt
	said     func(text string, stop value.Value, u *Usage) value.Value
}

func (f prompted) request(c *Conversation, _ *catalog.Model) (value.Value, error) {
	if len(c.Tools) > 0 {
		return value.Value{}, invalidf("This model doesn't support tool use.")
	}
	if c.user != "" {
		return value.Value{}, unsupported("user", short(c.user))
	}
	if len(c.Stops) > 0 && !f.stops {
		return value.Value{}, invalidf("This model doesn't support the stopSequences field. Remove stopSequences and try again.")
	}
	var images []value.Value
	check := func(blocks []Block, user bool) error {
		for i := range blocks {
			if blocks[i].Kind == Image && f.images && user {
				images = append(images, text(blocks[i].Data))
				continue
			}
			if blocks[i].Kind != Text {
				return unsupportedBlock(blocks[i].Kind)
			}
			for _, m := range f.marks {
				if strings.Contains(blocks[i].Text, m) {
					return invalidf("The text contains %s, which has a meaning of its own for this model.", m)
				}
			}
		}
		return nil
	}
	if err := check(c.System, false); err != nil {
		return value.Value{}, err
	}
	for _, m := range c.Messages {
		if err := check(m.Content, !m.Assistant); err != nil {
			return value.Value{}, err
		}
	}
	prompt, err := f.write(c)
	if err != nil {
		return value.Value{}, err
	}
	var most value.Value
	if c.MaxTokens > 0 {
		most = number(int64(c.MaxTokens))
	}
	if !c.topK.IsUndefined() && !f.stops {
		return value.Value{}, unsupported("top_k for this model", short(c.topK.JSON()))
	}
	return object(member("prompt", text(prompt)), member(f.limit, most), member("temperature", c.Temperature), member("top_p", c.TopP), member("top_k", c.topK), member("stop", texts(c.Stops)), member("images", list(images))), nil
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

func (f prompted) answer(body value.Value) ([]value.Value, string, error) {
	s, stop, err := f.generate(body)
	if err != nil {
		return nil, "", err
	}
	return []value.Value{object(member("text", text(s)))}, promptStop(stop), nil
}

func promptStop(s string) string {
	if s == "length" {
		return "max_tokens"
	}
	return "end_turn"
}

func (f prompted) events() translator { return &promptEvents{family: f} }

type promptEvents struct {
	family prompted
	begun  bool
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
	index := member("contentBlockIndex", number(0))
	if s != "" {
		if err := emit("contentBlockDelta", object(member("delta", object(member("text", text(s)))), index)); err != nil {
			return err
		}
	}
	if stop == "" {
		return nil
	}
	t.seen = c
	if err := emit("contentBlockStop", object(index)); err != nil {
		return err
	}
	return emit("messageStop", object(member("stopReason", text(promptStop(stop)))))
}

// llama is Meta's form: Llama 3 and 4 mark turns differently.
func llama(m *catalog.Model) prompted {
	begin, open, shut, end := "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"
	if strings.HasPrefix(m.ID, "meta.llama4") {
		open, shut, end = "<|header_start|>", "<|header_end|>\n\n", "<|eot|>"
	}
	return prompted{
		limit:  "max_gen_len",
		marks:  []string{"<|"},
		images: slices.Contains(m.Input, "IMAGE"),
		read:   llamaRead(begin, open, shut, end),
		said:   llamaSaid,
		write: func(c *Conversation) (string, error) {
			var b strings.Builder
			b.WriteString(begin)
			turn := func(role, s string) { b.WriteString(open + role + shut + s + end) }
			if len(c.System) > 0 {
				turn("system", joined(c.System))
			}
			for _, m := range c.Messages {
				role := "user"
				if m.Assistant {
					role = "assistant"
				}
				turn(role, joined(m.Content))
			}
			b.WriteString(open + "assistant" + shut)
			return b.String(), nil
		},
		generate: func(v value.Value) (string, string, error) {
			if !v.Get("generation").IsString() {
				return "", "", errors.New("an answer without a generation")
			}
			return v.Get("generation").Str(), v.Get("stop_reason").Str(), nil
		},
	}
}

// mistral is the older form of Mistral's models.
func mistral(m *catalog.Model) prompted {
	bare := strings.HasPrefix(m.ID, "mistral.mistral-7b") || strings.HasPrefix(m.ID, "mistral.mixtral")
	return prompted{
		limit: "max_tokens",
		stops: true,
		marks: []string{"[INST]", "[/INST]", "<s>", "</s>"},
		read:  mistralRead,
		said:  mistralSaid,
		write: func(c *Conversation) (string, error) {
			if bare && len(c.System) > 0 {
				return "", invalidf("This model doesn't support system messages. Try again without a system message.")
			}
			var b strings.Builder
			b.WriteString("<s>")
			for i, m := range c.Messages {
				s := joined(m.Content)
				if m.Assistant {
					b.WriteString(" " + s + "</s>")
					continue
				}
				if i == 0 && len(c.System) > 0 {
					s = joined(c.System) + "\n\n" + s
				}
				b.WriteString("[INST] " + s + " [/INST]")
			}
			return b.String(), nil
		},
		generate: func(v value.Value) (string, string, error) {
			o := v.Get("outputs").At(0)
			if !o.Get("text").IsString() {
				return "", "", errors.New("an answer without outputs")
			}
			return o.Get("text").Str(), o.Get("stop_reason").Str(), nil
		},
	}
}
