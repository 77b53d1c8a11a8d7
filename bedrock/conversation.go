package bedrock

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tokaido/value"
)

// Conversation is a Converse request that was understood: every member of it is
// acted on, and what this server does not act on was refused.
type Conversation struct {
	System      []Block
	Messages    []Message
	MaxTokens   int         // 0: not given
	Temperature value.Value // a number as it was written; Undefined: not given
	TopP        value.Value
	Stops       []string
	Tools       []Tool
	Choice      string // "": not given; "auto", "any" or "tool"; "none" never from Converse
	Chosen      string // Choice "tool": its name

	Additional    value.Value // additionalModelRequestFields: an object, or Undefined
	ResponsePaths []string    // JSON pointers into the model's own answer
	Metadata      value.Value // requestMetadata, for records
	Tier          string      // "": not given; "default"
	Latency       string      // "": not given; "standard"

	// What Converse has no word for, of requests in other forms.
	topK   value.Value // a number; Undefined: not given
	serial bool        // one tool call at a time
	user   string      // who the request is for, as the caller tells the model
	stream bool        // an answer in chunks is asked for
	usage  bool        // with the usage at its end
}

// Message is one turn.
type Message struct {
	Assistant bool
	Content   []Block
}

// BlockKind is what a Block is.
type BlockKind uint8

// The kinds of blocks.
const (
	Text BlockKind = iota
	Image
	Document
	Video
	ToolUse
	ToolResult
	JSON // in a tool's result
	CachePoint
	Reasoning
	Redacted // reasoning that only the model can read
	Citations
	SearchResult
)

// Block is a piece of content. Which fields count follows from its Kind.
type Block struct {
	Kind      BlockKind
	Text      string      // Text, Reasoning; Document given as text
	Format    string      // Image, Document, Video
	Data      string      // Image, Document, Video: base64; Redacted: base64
	Name      string      // Document; ToolUse: the tool's; SearchResult: title
	Context   string      // Document
	Source    string      // SearchResult
	Cite      bool        // Document, SearchResult: citations are wanted
	Parts     []string    // Document given in parts, SearchResult, Citations: texts
	ID        string      // ToolUse, ToolResult
	Value     value.Value // ToolUse: input; JSON; Citations: as given
	Content   []Block     // ToolResult
	Failed    bool        // ToolResult
	Signature string      // Reasoning
	TTL       string      // CachePoint: "", 5m or 1h
}

// Tool is a function that the model may ask for, or a cache point after one.
type Tool struct {
	Name        string
	Description string
	Schema      value.Value
	Cache       *Block
}

// The limits of a Converse request.
const (
	maxStops         = 2500
	maxResponsePaths = 10
	maxMetadata      = 16
	maxToolName      = 64
	maxDocumentName  = 200
)

var (
	toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	toolID   = regexp.MustCompile(`^[a-zA-Z0-9_.:-]+$`)
)

func constraint(at, rule string, args ...any) error {
	return invalidf("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must %s", at, fmt.Sprintf(rule, args...))
}

func unknownMember(at, name string) error {
	if at != "" {
		name = at + "." + name
	}
	return invalidf("Unknown member '%s'", short(name))
}

// ParseConversation reads a Converse request as clients send it, without its
// modelId.
func ParseConversation(v value.Value) (*Conversation, error) {
	if !v.IsObject() {
		return nil, invalidf("Malformed input request, please reformat your input and try again.")
	}
	c := &Conversation{}
	for name, x := range v.Members() {
		var err error
		switch name {
		case "messages":
			err = c.messages(x)
		case "system":
			c.System, err = blocks(x, "system", systemContent)
		case "inferenceConfig":
			err = c.inference(x)
		case "toolConfig":
			err = c.tools(x)
		case "additionalModelRequestFields":
			if !x.IsNull() {
				if !x.IsObject() {
					err = constraint(name, "be a JSON object")
				}
				c.Additional = x
			}
		case "additionalModelResponseFieldPaths":
			err = c.paths(x)
		case "requestMetadata":
			err = c.metadata(x)
		case "performanceConfig":
			c.Latency, err = one(x, name, "latency", "standard")
		case "serviceTier":
			c.Tier, err = one(x, name, "type", "default")
		case "guardrailConfig", "promptVariables", "outputConfig":
			err = unsupported(name, short(x.JSON()))
		default:
			err = unknownMember("", name)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(c.Messages) == 0 || c.Messages[0].Assistant {
		return nil, invalidf("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
	}
	for i := 1; i < len(c.Messages); i++ {
		if c.Messages[i].Assistant == c.Messages[i-1].Assistant {
			return nil, invalidf("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.")
		}
	}
	if len(c.Tools) == 0 && slices.ContainsFunc(c.Messages, Message.usesTools) {
		return nil, invalidf("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
	}
	return c, nil
}

func (m Message) usesTools() bool {
	return slices.ContainsFunc(m.Content, func(b Block) bool { return b.Kind == ToolUse || b.Kind == ToolResult })
}

// one reads an object with a single member of which we act on one value.
func one(v value.Value, at, name, want string) (string, error) {
	for k := range v.Members() {
		if k != name {
			return "", unknownMember(at, k)
		}
	}
	x := v.Get(name)
	if !v.IsObject() || !x.IsString() && !x.IsUndefined() {
		return "", constraint(at+"."+name, "be a string")
	}
	if x.IsString() && x.Str() != want {
		return "", unsupported(at+"."+name, x.Str())
	}
	return x.Str(), nil
}

func (c *Conversation) messages(v value.Value) error {
	if !v.IsArray() {
		return constraint("messages", "be a list")
	}
	c.Messages = make([]Message, 0, v.Len())
	for i, x := range v.Items() {
		at := "messages." + strconv.Itoa(i)
		var m Message
		for name := range x.Members() {
			if name != "role" && name != "content" {
				return unknownMember(at, name)
			}
		}
		switch x.Get("role").Str() {
		case "user":
		case "assistant":
			m.Assistant = true
		default:
			return constraint(at+".role", "satisfy enum value set: [user, assistant]")
		}
		var err error
		if m.Content, err = blocks(x.Get("content"), at+".content", messageContent); err != nil {
			return err
		}
		if len(m.Content) == 0 {
			return invalidf("The content field in the Message object at %s is empty. Add a ContentBlock object to the content field and try again.", at)
		}
		c.Messages = append(c.Messages, m)
	}
	return nil
}

func (c *Conversation) inference(v value.Value) error {
	const at = "inferenceConfig"
	if !v.IsObject() {
		return constraint(at, "be an object")
	}
	for name, x := range v.Members() {
		switch name {
		case "maxTokens":
			n, ok := x.Int()
			if !ok || n < 1 || n > 1<<31-1 {
				return constraint(at+".maxTokens", "have value greater than or equal to 1")
			}
			c.MaxTokens = int(n)
		case "temperature", "topP":
			if f := x.Float(); !x.IsNumber() || f < 0 || f > 1 {
				if f > 1 {
					return constraint(at+"."+name, "have value less than or equal to 1")
				}
				return constraint(at+"."+name, "have value greater than or equal to 0")
			}
			if name == "topP" {
				c.TopP = x
			} else {
				c.Temperature = x
			}
		case "stopSequences":
			if !x.IsArray() || x.Len() > maxStops {
				return constraint(at+".stopSequences", "be a list of at most %d", maxStops)
			}
			for i, s := range x.Items() {
				if s.Str() == "" {
					return constraint(at+".stopSequences."+strconv.Itoa(i), "have length greater than or equal to 1")
				}
				c.Stops = append(c.Stops, s.Str())
			}
		default:
			return unknownMember(at, name)
		}
	}
	return nil
}

func (c *Conversation) tools(v value.Value) error {
	const at = "toolConfig"
	for name := range v.Members() {
		if name != "tools" && name != "toolChoice" {
			return unknownMember(at, name)
		}
	}
	list := v.Get("tools")
	if list.Len() == 0 || !list.IsArray() {
		return constraint(at+".tools", "have length greater than or equal to 1")
	}
	for i, x := range list.Items() {
		at := at + ".tools." + strconv.Itoa(i)
		if x.Len() != 1 || !x.IsObject() {
			return constraint(at, "have exactly one of toolSpec, cachePoint")
		}
		switch m := x.Member(0); m.Key {
		case "toolSpec":
			t, err := toolSpec(m.Value, at+".toolSpec")
			if err != nil {
				return err
			}
			c.Tools = append(c.Tools, t)
		case "cachePoint":
			b, err := cachePoint(m.Value, at+".cachePoint")
			if err != nil {
				return err
			}
			if len(c.Tools) == 0 || c.Tools[len(c.Tools)-1].Cache != nil {
				return invalidf("The cachePoint at %s follows no tool.", at)
			}
			c.Tools[len(c.Tools)-1].Cache = &b
		case "systemTool":
			return unsupported(at+".systemTool", short(m.Value.JSON()))
		default:
			return unknownMember(at, m.Key)
		}
	}
	choice := v.Get("toolChoice")
	if choice.IsUndefined() {
		return nil
	}
	if choice.Len() != 1 || !choice.IsObject() {
		return constraint(at+".toolChoice", "have exactly one of auto, any, tool")
	}
	switch m := choice.Member(0); m.Key {
	case "auto", "any":
		c.Choice = m.Key
	case "tool":
		c.Choice, c.Chosen = "tool", m.Value.Get("name").Str()
		if !slices.ContainsFunc(c.Tools, func(t Tool) bool { return t.Name == c.Chosen }) {
			return invalidf("The tool %q in toolConfig.toolChoice is not among toolConfig.tools.", short(c.Chosen))
		}
	default:
		return unknownMember(at+".toolChoice", m.Key)
	}
	return nil
}

func toolSpec(v value.Value, at string) (t Tool, err error) {
	for name, x := range v.Members() {
		switch name {
		case "name":
			t.Name = x.Str()
		case "description":
			if t.Description = x.Str(); t.Description == "" {
				return t, constraint(at+".description", "have length greater than or equal to 1")
			}
		case "inputSchema":
			if t.Schema = x.Get("json"); !t.Schema.IsObject() || x.Len() != 1 {
				return t, constraint(at+".inputSchema.json", "be a JSON object")
			}
		case "strict":
			if x.Bool() {
				return t, unsupported(at+".strict", "true")
			}
		default:
			return t, unknownMember(at, name)
		}
	}
	if len(t.Name) > maxToolName || !toolName.MatchString(t.Name) {
		return t, constraint(at+".name", "satisfy regular expression pattern: [a-zA-Z0-9_-]+ and have length between 1 and %d", maxToolName)
	}
	if t.Schema.IsUndefined() {
		return t, constraint(at+".inputSchema", "not be null")
	}
	return t, nil
}

func (c *Conversation) paths(v value.Value) error {
	const at = "additionalModelResponseFieldPaths"
	if !v.IsArray() || v.Len() > maxResponsePaths {
		return constraint(at, "be a list of at most %d", maxResponsePaths)
	}
	for i, x := range v.Items() {
		if s := x.Str(); len(s) < 2 || len(s) > 256 || s[0] != '/' {
			return constraint(at+"."+strconv.Itoa(i), "be a JSON pointer")
		}
		c.ResponsePaths = append(c.ResponsePaths, x.Str())
	}
	return nil
}

func (c *Conversation) metadata(v value.Value) error {
	if !v.IsObject() || v.Len() < 1 || v.Len() > maxMetadata {
		return constraint("requestMetadata", "have between 1 and %d members", maxMetadata)
	}
	for k, x := range v.Members() {
		if !x.IsString() || k == "" || len(k) > 256 || len(x.Str()) > 256 {
			return constraint("requestMetadata", "have names and values of at most 256 characters")
		}
	}
	c.Metadata = v
	return nil
}

// place is where blocks stand, which decides what they may be.
type place uint8

const (
	messageContent place = 1 << iota
	systemContent
	resultContent
)

var places = map[string]place{
	"text":             messageContent | systemContent | resultContent,
	"image":            messageContent | resultContent,
	"document":         messageContent | resultContent,
	"video":            messageContent | resultContent,
	"searchResult":     messageContent | resultContent,
	"cachePoint":       messageContent | systemContent,
	"toolUse":          messageContent,
	"toolResult":       messageContent,
	"reasoningContent": messageContent,
	"citationsContent": messageContent,
	"json":             resultContent,
}

func blocks(v value.Value, at string, where place) ([]Block, error) {
	if !v.IsArray() {
		return nil, constraint(at, "be a list")
	}
	out := make([]Block, 0, v.Len())
	for i, x := range v.Items() {
		at := at + "." + strconv.Itoa(i)
		if !x.IsObject() || x.Len() != 1 {
			return nil, constraint(at, "have exactly one member")
		}
		m := x.Member(0)
		if places[m.Key]&where == 0 {
			if m.Key == "guardContent" || m.Key == "audio" {
				return nil, unsupported(at+"."+m.Key, short(m.Value.JSON()))
			}
			return nil, unknownMember(at, m.Key)
		}
		b, err := block(m.Key, m.Value, at)
		if err != nil {
			return nil, err
		}
		if b.Kind == CachePoint && (i == 0 || out[i-1].Kind == CachePoint) {
			return nil, invalidf("The cachePoint at %s follows no content.", at)
		}
		out = append(out, b)
	}
	return out, nil
}

func block(kind string, v value.Value, at string) (b Block, err error) {
	if kind == "text" {
		if !v.IsString() || strings.TrimSpace(v.Str()) == "" {
			return b, invalidf("The text field in the ContentBlock object at %s is blank. Add text to the text field, and try again.", at)
		}
		return Block{Kind: Text, Text: v.Str()}, nil
	}
	if kind == "json" {
		return Block{Kind: JSON, Value: v}, nil
	}
	at += "." + kind
	if !v.IsObject() {
		return b, constraint(at, "be an object")
	}
	switch kind {
	case "image":
		return media(Image, v, at, "png", "jpeg", "gif", "webp")
	case "video":
		return media(Video, v, at, "mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")
	case "document":
		return document(v, at)
	case "cachePoint":
		return cachePoint(v, at)
	case "toolUse":
		b.Kind = ToolUse
		for name, x := range v.Members() {
			switch name {
			case "toolUseId":
				b.ID = x.Str()
			case "name":
				b.Name = x.Str()
			case "input":
				b.Value = x
			default:
				return b, unknownMember(at, name)
			}
		}
		if len(b.Name) > maxToolName || !toolName.MatchString(b.Name) {
			return b, constraint(at+".name", "satisfy regular expression pattern: [a-zA-Z0-9_-]+")
		}
		if !b.Value.IsObject() {
			return b, invalidf("The format of the value at %s.input is invalid. Provide a json object for the field and try again.", at)
		}
		return b, checkID(b.ID, at)
	case "toolResult":
		b.Kind = ToolResult
		for name, x := range v.Members() {
			switch name {
			case "toolUseId":
				b.ID = x.Str()
			case "content":
				if b.Content, err = blocks(x, at+".content", resultContent); err != nil {
					return b, err
				}
			case "status":
				if s := x.Str(); s != "success" && s != "error" {
					return b, constraint(at+".status", "satisfy enum value set: [success, error]")
				}
				b.Failed = x.Str() == "error"
			default:
				return b, unknownMember(at, name)
			}
		}
		if !v.Has("content") {
			return b, constraint(at+".content", "not be null")
		}
		return b, checkID(b.ID, at)
	case "reasoningContent":
		return reasoning(v, at)
	case "citationsContent":
		b.Kind = Citations
		for name, x := range v.Members() {
			switch name {
			case "content":
				for _, p := range x.Items() {
					b.Parts = append(b.Parts, p.Get("text").Str())
				}
			case "citations":
				b.Value = x
			default:
				return b, unknownMember(at, name)
			}
		}
		if strings.Join(b.Parts, "") == "" {
			return b, constraint(at+".content", "hold text")
		}
		return b, nil
	case "searchResult":
		b.Kind = SearchResult
		for name, x := range v.Members() {
			switch name {
			case "source":
				b.Source = x.Str()
			case "title":
				b.Name = x.Str()
			case "content":
				for _, p := range x.Items() {
					b.Parts = append(b.Parts, p.Get("text").Str())
				}
			case "citations":
				b.Cite = x.Get("enabled").Bool()
			default:
				return b, unknownMember(at, name)
			}
		}
		if b.Source == "" || b.Name == "" || len(b.Parts) == 0 {
			return b, constraint(at, "have source, title and content")
		}
		return b, nil
	}
	return b, unknownMember(at, kind)
}

func checkID(id, at string) error {
	if len(id) > 64 || !toolID.MatchString(id) {
		return constraint(at+".toolUseId", "satisfy regular expression pattern: [a-zA-Z0-9_.:-]+ and have length between 1 and 64")
	}
	return nil
}

func cachePoint(v value.Value, at string) (Block, error) {
	b := Block{Kind: CachePoint}
	for name, x := range v.Members() {
		switch name {
		case "type":
			if x.Str() != "default" {
				return b, constraint(at+".type", "satisfy enum value set: [default]")
			}
		case "ttl":
			if b.TTL = x.Str(); b.TTL != "5m" && b.TTL != "1h" {
				return b, constraint(at+".ttl", "satisfy enum value set: [5m, 1h]")
			}
		default:
			return b, unknownMember(at, name)
		}
	}
	if !v.Has("type") {
		return b, constraint(at+".type", "not be null")
	}
	return b, nil
}

func media(kind BlockKind, v value.Value, at string, formats ...string) (Block, error) {
	b := Block{Kind: kind}
	for name, x := range v.Members() {
		switch name {
		case "format":
			b.Format = x.Str()
		case "source":
			var err error
			if b.Data, err = bytesSource(x, at+".source"); err != nil {
				return b, err
			}
		default:
			return b, unknownMember(at, name)
		}
	}
	if !slices.Contains(formats, b.Format) {
		return b, constraint(at+".format", "satisfy enum value set: [%s]", strings.Join(formats, ", "))
	}
	if b.Data == "" {
		return b, constraint(at+".source", "not be null")
	}
	return b, nil
}

// bytesSource reads {"bytes": base64}.
func bytesSource(v value.Value, at string) (string, error) {
	if v.Len() != 1 || !v.IsObject() {
		return "", constraint(at, "have exactly one member")
	}
	m := v.Member(0)
	switch m.Key {
	case "bytes":
		if !isBase64(m.Value.Str()) {
			return "", constraint(at+".bytes", "be base64 of at least one byte")
		}
		return m.Value.Str(), nil
	case "s3Location":
		return "", unsupported(at+".s3Location", short(m.Value.Get("uri").Str()))
	}
	return "", unknownMember(at, m.Key)
}

func isBase64(s string) bool {
	body := strings.TrimRight(s, "=")
	if s == "" || len(s)%4 != 0 || len(s)-len(body) > 2 {
		return false
	}
	for i := range len(body) {
		c := body[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}

var documentFormats = []string{"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}

func document(v value.Value, at string) (Block, error) {
	b := Block{Kind: Document, Format: "txt"}
	for name, x := range v.Members() {
		switch name {
		case "format":
			if b.Format = x.Str(); !slices.Contains(documentFormats, b.Format) {
				return b, constraint(at+".format", "satisfy enum value set: [%s]", strings.Join(documentFormats, ", "))
			}
		case "name":
			b.Name = x.Str()
		case "context":
			b.Context = x.Str()
		case "citations":
			b.Cite = x.Get("enabled").Bool()
		case "source":
			switch {
			case x.Len() == 1 && x.Get("text").Str() != "":
				b.Text = x.Get("text").Str()
			case x.Len() == 1 && x.Get("content").Len() > 0:
				for _, p := range x.Get("content").Items() {
					b.Parts = append(b.Parts, p.Get("text").Str())
				}
			default:
				var err error
				if b.Data, err = bytesSource(x, at+".source"); err != nil {
					return b, err
				}
			}
		default:
			return b, unknownMember(at, name)
		}
	}
	if b.Name == "" || len(b.Name) > maxDocumentName {
		return b, constraint(at+".name", "have length between 1 and %d", maxDocumentName)
	}
	if b.Data == "" && b.Text == "" && b.Parts == nil {
		return b, constraint(at+".source", "not be null")
	}
	return b, nil
}

func reasoning(v value.Value, at string) (Block, error) {
	if v.Len() != 1 {
		return Block{}, constraint(at, "have exactly one member")
	}
	m := v.Member(0)
	switch m.Key {
	case "reasoningText":
		for name := range m.Value.Members() {
			if name != "text" && name != "signature" {
				return Block{}, unknownMember(at+".reasoningText", name)
			}
		}
		if !m.Value.Get("text").IsString() {
			return Block{}, constraint(at+".reasoningText.text", "not be null")
		}
		return Block{Kind: Reasoning, Text: m.Value.Get("text").Str(), Signature: m.Value.Get("signature").Str()}, nil
	case "redactedContent":
		if !isBase64(m.Value.Str()) {
			return Block{}, constraint(at+".redactedContent", "be base64")
		}
		return Block{Kind: Redacted, Data: m.Value.Str()}, nil
	}
	return Block{}, unknownMember(at, m.Key)
}

// textOf is a document's text, if its format is one that is read as text.
func (b *Block) textOf() (string, bool) {
	switch {
	case b.Text != "":
		return b.Text, true
	case b.Data == "" || !slices.Contains([]string{"txt", "md", "csv", "html"}, b.Format):
		return "", false
	}
	t, err := base64.StdEncoding.DecodeString(b.Data)
	if err != nil || !utf8.Valid(t) {
		return "", false
	}
	return string(t), true
}

// asText is a document as a block of text, for models that read no documents: what
// else there is to it, and formats that are not text, are refused.
func (b *Block) asText() (Block, error) {
	s, ok := b.textOf()
	if len(b.Parts) > 0 {
		s, ok = strings.Join(b.Parts, "\n"), true
	}
	switch {
	case !ok:
		return Block{}, unsupportedBlock(Document)
	case b.Cite:
		return Block{}, unsupported("document.citations for this model", "enabled")
	}
	head := "Document: " + b.Name + "\n"
	if b.Context != "" {
		head += "Context: " + b.Context + "\n"
	}
	return Block{Kind: Text, Text: head + "\n" + s}, nil
}

// merge adds extra to v, which it must not contradict, object by object.
func merge(v, extra value.Value, at string) (value.Value, error) {
	for name, x := range extra.Members() {
		have := v.Get(name)
		switch {
		case have.IsUndefined():
		case have.IsObject() && x.IsObject():
			var err error
			if x, err = merge(have, x, at+"."+name); err != nil {
				return v, err
			}
		default:
			return v, invalidf("The member '%s.%s' is already set by another member of the request.", at, short(name))
		}
		v = v.With(name, x)
	}
	return v, nil
}

// pick returns what JSON pointers find in v, in the same nesting; Undefined if
// they find nothing.
func pick(v value.Value, pointers []string) value.Value {
	var out value.Value
	for _, p := range pointers {
		keys := strings.Split(p[1:], "/")
		x := v
		for i, k := range keys {
			keys[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(k)
			if n, err := strconv.Atoi(k); err == nil && x.IsArray() {
				x = x.At(n)
			} else {
				x = x.Get(keys[i])
			}
		}
		if !x.IsUndefined() {
			out = nest(out, keys, x)
		}
	}
	return out
}

func nest(v value.Value, keys []string, x value.Value) value.Value {
	if len(keys) == 0 {
		return x
	}
	return v.With(keys[0], nest(v.Get(keys[0]), keys[1:], x))
}
