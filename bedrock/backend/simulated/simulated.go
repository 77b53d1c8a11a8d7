// Package simulated is a backend that answers from its arguments alone: the
// same call has the same answer, everywhere. It is what serves when no other
// backend is configured, and in tests.
//
// It never looks like real inference: every text begins with the words
// "[simulated", and the model's name. (A vector cannot say so.) It checks bodies as the model families
// do, counts tokens by a fixed rule, and can be scripted, Region by Region, to
// be slow, full, throttled, failing, or cut off in the middle of a stream.
package simulated

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"math/big"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/value"
)

var (
	_ bedrock.Backend = (*Backend)(nil)
	_ bedrock.Counter = (*Backend)(nil)
	_ bedrock.Prober  = (*Backend)(nil)
)

// Options script the backend. The zero Options answer at once, always.
type Options struct {
	Regions map[string]Behaviour // by Region
	Others  Behaviour            // of Regions that are not in Regions
	Pace    time.Duration        // between two chunks of a stream, where the Region has none

	// Seen, if not nil, is called with every call that comes in, also with those
	// that are throttled or fail.
	Seen func(bedrock.Call)
}

// Behaviour is how one Region behaves. A Region that is full answers as AWS
// does: ThrottlingException.
type Behaviour struct {
	Latency           time.Duration // before the first byte
	Pace              time.Duration // between two chunks of a stream; 0: Options' Pace
	Concurrent        int           // requests at once; 0: any number
	RequestsPerMinute int           // 0: any number
	Throttle          bool          // every call
	Fail              bool          // every call: ServiceUnavailableException
	Error             string        // every call: a fault of that code
	Break             bool          // every call: an error that is nobody's words, as of a lost connection
	CutAfter          int           // streams end in an error after that many chunks; 0: never
}

// Backend answers. It may be shared.
type Backend struct {
	o  Options
	mu sync.Mutex
	at map[string]*use // by Region; guarded by mu
}

type use struct {
	inFlight int
	level    float64
	filled   time.Time
}

// New is a Backend with a script.
func New(o Options) *Backend { return &Backend{o: o, at: map[string]*use{}} }

// For is New's backend as [bedrock.Config] wants it: in every Region, for every
// model.
func (b *Backend) For(string, *catalog.Model) bedrock.Backend { return b }

// Probes implements [bedrock.Prober]: it is always there, whatever its script says
// of calls.
func (*Backend) Probes() []bedrock.Probe { return nil }

func (b *Backend) behaviour(region string) Behaviour {
	if v, ok := b.o.Regions[region]; ok {
		return v
	}
	return b.o.Others
}

// enter waits as long as the Region takes and refuses what it has no room for.
// leave must be called if err is nil.
func (b *Backend) enter(ctx context.Context, c bedrock.Call) (leave func(), err error) {
	if b.o.Seen != nil {
		b.o.Seen(c)
	}
	v := b.behaviour(c.Region)
	switch {
	case v.Throttle:
		return nil, busy()
	case v.Fail:
		return nil, bedrock.Fault("ServiceUnavailableException", "Bedrock is unable to process your request.")
	case v.Error != "":
		return nil, bedrock.Fault(v.Error, "The simulated backend was told to answer so.")
	case v.Break:
		return nil, errors.New("connection lost (simulated)")
	}
	if !b.take(c.Region, v) {
		return nil, busy()
	}
	leave = func() {
		b.mu.Lock()
		b.at[c.Region].inFlight--
		b.mu.Unlock()
	}
	if err := sleep(ctx, v.Latency); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

func (b *Backend) take(region string, v Behaviour) bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.at[region]
	if u == nil {
		u = &use{level: float64(v.RequestsPerMinute), filled: now}
		b.at[region] = u
	}
	if v.Concurrent > 0 && u.inFlight >= v.Concurrent {
		return false
	}
	if n := float64(v.RequestsPerMinute); n > 0 {
		u.level = min(n, u.level+n*now.Sub(u.filled).Minutes())
		u.filled = now
		if u.level < 1 {
			return false
		}
		u.level--
	}
	u.inFlight++
	return true
}

func busy() error {
	return bedrock.Fault("ThrottlingException", "Too many requests, please wait before trying again.")
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Invoke implements [bedrock.Backend].
func (b *Backend) Invoke(ctx context.Context, c bedrock.Call) (*bedrock.Answer, error) {
	leave, err := b.enter(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	if bedrock.IsEmbedding(c.Model) {
		return b.embed(ctx, c)
	}
	f, q, err := parse(c)
	if err != nil {
		return nil, err
	}
	r := compose(c.Model, q)
	return &bedrock.Answer{Body: []byte(f.whole(c, q, r).JSON()), ContentType: "application/json", Usage: usage(q, r)}, nil
}

// Stream implements [bedrock.Backend].
func (b *Backend) Stream(ctx context.Context, c bedrock.Call) iter.Seq2[bedrock.Chunk, error] {
	return func(yield func(bedrock.Chunk, error) bool) {
		leave, err := b.enter(ctx, c)
		if err != nil {
			yield(bedrock.Chunk{}, err)
			return
		}
		defer leave()
		f, q, err := parse(c)
		if err != nil {
			yield(bedrock.Chunk{}, err)
			return
		}
		r := compose(c.Model, q)
		v := b.behaviour(c.Region)
		cut, n, pace := v.CutAfter, 0, cmp.Or(v.Pace, b.o.Pace)
		var held []byte // the last chunk is known when there is no other
		send := func(usage *bedrock.Usage) bool {
			if n > 0 {
				if err := sleep(ctx, pace); err != nil {
					yield(bedrock.Chunk{}, err)
					return false
				}
			}
			if n++; cut > 0 && n > cut {
				yield(bedrock.Chunk{}, errors.New("stream cut (simulated)"))
				return false
			}
			return yield(bedrock.Chunk{Body: held, Usage: usage}, nil)
		}
		for v := range f.chunks(c, q, r) {
			if held != nil && !send(nil) {
				return
			}
			held = []byte(v.JSON())
		}
		u := usage(q, r)
		send(&u)
	}
}

// CountTokens implements [bedrock.Counter].
func (b *Backend) CountTokens(_ context.Context, c bedrock.Call) (int, error) {
	_, q, err := parse(c)
	if err != nil {
		return 0, err
	}
	return q.input, nil
}

func usage(q *request, r *reply) bedrock.Usage {
	return bedrock.Usage{Input: q.input, Output: r.tokens}
}

// request is what the simulation looks at in a body.
type request struct {
	said      string // the newest text of the user
	toolSaid  string // the newest tool result, if that is what came last
	input     int    // tokens
	maxTokens int    // 0: none asked for
	stops     []string
	tools     []tool
	choice    string // "": the model decides; "any"; "none"; or a tool's name
	thinking  bool
}

type tool struct {
	name   string
	schema value.Value
}

// reply is an answer before a family gives it its form.
type reply struct {
	thinking string
	text     string
	call     *tool       // a tool to be called
	args     value.Value // its input
	stop     stop
	sequence string // the stop sequence that ended it
	tokens   int
}

type stop uint8

const (
	ended stop = iota
	ranOut
	stopped
	calls
)

// family is how a group of models writes.
type family interface {
	// parse checks a body and reads it; errors are in the family's words.
	parse(body value.Value) (*request, error)
	whole(c bedrock.Call, q *request, r *reply) value.Value
	chunks(c bedrock.Call, q *request, r *reply) iter.Seq[value.Value]
}

func parse(c bedrock.Call) (family, *request, error) {
	var f family
	switch bedrock.FamilyOf(c.Model) {
	case bedrock.Anthropic:
		f = anthropic{}
	case bedrock.Nova:
		f = nova{}
	case bedrock.Llama:
		f = llama{}
	case bedrock.Mistral:
		f = mistral{}
	case bedrock.Cohere:
		f = cohere{}
	case bedrock.Chat:
		f = chat{}
	default:
		return nil, nil, refuse("The simulated backend has no answers for %s.", c.Model.ID)
	}
	v, err := c.Document()
	if err != nil || !v.IsObject() {
		return nil, nil, refuse("Malformed input request, please reformat your input and try again.")
	}
	if _, claude := f.(anthropic); claude && v.Has("prompt") && !v.Has("messages") { // a body of the models before Claude 3
		return nil, nil, refuse("%q is not supported on this API. Please use the Messages API instead.", bedrock.ShortName(c.Model))
	}
	if told := tellsOfTools(c.Model, v); told != nil {
		f, v = told, told.bridge.Body()
	}
	q, err := f.parse(v)
	if err == nil && c.Model.ContextWindow > 0 && q.input > c.Model.ContextWindow {
		err = refuse("Input is too long for requested model.")
	}
	return f, q, err
}

func refuse(format string, args ...any) error {
	return bedrock.Fault("ValidationException", format, args...)
}

// compose makes the answer to a request.
func compose(m *catalog.Model, q *request) *reply {
	r := &reply{}
	name := "[simulated " + m.Name + "] "
	if q.thinking {
		r.thinking = name + "The user said something; I will repeat it."
		r.tokens += bedrock.EstimateTokens(r.thinking)
	}
	if t := q.wanted(); t != nil {
		r.call, r.args, r.stop = t, example(t.schema, q.said, 0), calls
		r.text = name + "I am calling " + t.name + "."
		r.tokens += bedrock.EstimateTokens(r.text) + bedrock.EstimateTokens(r.args.JSON())
		return r
	}
	switch {
	case q.toolSaid != "":
		r.text = name + "The tool said: " + q.toolSaid
	default:
		r.text = name + "You said: " + q.said
	}
	for _, s := range q.stops {
		if i := strings.Index(r.text, s); i >= 0 && s != "" {
			r.text, r.stop, r.sequence = r.text[:i], stopped, s
		}
	}
	if room := q.maxTokens - r.tokens; q.maxTokens > 0 && bedrock.EstimateTokens(r.text) > room {
		r.text, r.stop, r.sequence = cutText(r.text, max(room, 0)), ranOut, ""
	}
	r.tokens += bedrock.EstimateTokens(r.text)
	return r
}

// wanted is the tool to call: the one that the caller insists on, or one that
// the user speaks of by name.
func (q *request) wanted() *tool {
	if q.choice == "none" || len(q.tools) == 0 {
		return nil
	}
	for i, t := range q.tools {
		if q.choice == t.name || q.choice == "any" || q.choice == "" && q.toolSaid == "" && strings.Contains(q.said, t.name) {
			return &q.tools[i]
		}
	}
	return nil
}

// example is an input that a schema asks for; strings are what the user said.
func example(schema value.Value, said string, depth int) value.Value {
	const deep = 8
	if e := schema.Get("enum"); e.Len() > 0 {
		return e.At(0)
	}
	kind := schema.Get("type").Str()
	if kind == "" && schema.Has("properties") {
		kind = "object"
	}
	switch kind {
	case "object":
		var m []value.Member
		for _, name := range schema.Get("required").Items() {
			if depth < deep {
				m = append(m, value.Member{Key: name.Str(), Value: example(schema.Get("properties").Get(name.Str()), said, depth+1)})
			}
		}
		return value.Object(m...)
	case "array":
		if depth < deep && schema.Has("items") {
			return value.Array(example(schema.Get("items"), said, depth+1))
		}
		return value.Array()
	case "integer", "number":
		return value.Int(1)
	case "boolean":
		return value.Bool(true)
	case "null":
		return value.Null()
	case "":
		if depth == 0 {
			return value.Object()
		}
	}
	return value.String(said)
}

// cutText is as much of s as is worth n tokens.
func cutText(s string, n int) string {
	end := 0
	for _, p := range pieces(s) {
		if bedrock.EstimateTokens(s[:end+len(p)]) > n {
			break
		}
		end += len(p)
	}
	return s[:end]
}

// pieces takes a text apart as models stream it: words with the blank after
// them, and two characters at a time where there are no blanks.
func pieces(s string) []string {
	var out []string
	from, wide := 0, 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if r >= 0x2E80 { // where scripts without blanks begin
			wide++
		}
		if r == ' ' || r == '\n' || wide == 2 {
			out = append(out, s[from:i])
			from, wide = i, 0
		}
	}
	if from < len(s) {
		out = append(out, s[from:])
	}
	return out
}

// ident is an id that follows from the call.
func ident(prefix string, c bedrock.Call, n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	h := sha256.New()
	h.Write([]byte(prefix + "\x00" + c.Region + "\x00" + c.Model.ID + "\x00"))
	h.Write(c.Body)
	x := new(big.Int).SetBytes(h.Sum(nil))
	base, d := big.NewInt(int64(len(digits))), new(big.Int)
	b := []byte(prefix)
	for range n {
		x.DivMod(x, base, d)
		b = append(b, digits[d.Int64()])
	}
	return string(b)
}

func m(key string, v value.Value) value.Member { return value.Member{Key: key, Value: v} }

func str(s string) value.Value { return value.String(s) }

func num(n int) value.Value { return value.Int(int64(n)) }

func obj(members ...value.Member) value.Value { return value.Object(members...) }
