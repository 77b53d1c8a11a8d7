package openai_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// This file makes a model for llama.cpp: a few hundred kilobytes of random
// weights in its GGUF format. What it says follows from how the last layer is
// put together from the first: each word of a chain is followed by the next.

// Its vocabulary besides the bytes. A chain that ends is a whole answer; the
// ring never ends.
var (
	song = []string{"sing", "one", "two", "three", "four"} // then the end
	ring = []string{"count", "again", "more"}
)

// After this word a tool is called: the beginning of a call follows it, and what
// then comes a grammar decides, to the last bracket.
const (
	caller   = "call"
	toolCall = "<tool_call>"
)

const (
	width  = 64 // of an embedding
	layers = 2
	heads  = 4
	hidden = 128 // of a layer's inner part
	window = 8192

	// What the model sees ends in the user's last word. Tools are called as the
	// Hermes models do, from which the server derives its grammar.
	chatForm = `{%- if tools %}<tools>{% for t in tools %}{{ t | tojson }} {% endfor %}</tools> {% endif %}
{%- for m in messages %}
{%- if m.role == "assistant" and m.tool_calls %}{{ m.content or "" }}{% for c in m.tool_calls %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}
{%- elif m.role == "tool" %}<tool_response>{{ m.content }}</tool_response>
{%- else %}{{ m.content }}{% endif %}
{%- if not loop.last %} {% endif %}
{%- endfor %}`
)

// The kinds of tokens and values that the format numbers.
const (
	normalToken, unknownToken, controlToken, ownToken, byteToken = 1, 2, 3, 4, 6

	kindUint32, kindFloat32, kindBool, kindString, kindArray = 4, 6, 7, 8, 9
	kindInt32                                                = 5
)

type gguf struct {
	meta    bytes.Buffer
	metas   uint64
	infos   bytes.Buffer
	tensors uint64
	data    bytes.Buffer
}

func put(b *bytes.Buffer, v any) { binary.Write(b, binary.LittleEndian, v) } //nolint:errcheck // a Buffer takes all

func putString(b *bytes.Buffer, s string) {
	put(b, uint64(len(s)))
	b.WriteString(s)
}

func (g *gguf) key(k string, kind uint32) {
	g.metas++
	putString(&g.meta, k)
	put(&g.meta, kind)
}

func (g *gguf) set(k string, v any) {
	switch v := v.(type) {
	case string:
		g.key(k, kindString)
		putString(&g.meta, v)
	case uint32:
		g.key(k, kindUint32)
		put(&g.meta, v)
	case float32:
		g.key(k, kindFloat32)
		put(&g.meta, v)
	case bool:
		g.key(k, kindBool)
		put(&g.meta, v)
	case []string:
		g.array(k, kindString, len(v))
		for _, s := range v {
			putString(&g.meta, s)
		}
	case []float32:
		g.array(k, kindFloat32, len(v))
		put(&g.meta, v)
	case []int32:
		g.array(k, kindInt32, len(v))
		put(&g.meta, v)
	default:
		panic(k)
	}
}

func (g *gguf) array(k string, kind uint32, n int) {
	g.key(k, kindArray)
	put(&g.meta, kind)
	put(&g.meta, uint64(n))
}

const alignment = 32

// tensor adds a matrix of float32 with rows of so many columns; rows 0: a vector.
func (g *gguf) tensor(name string, columns, rows int, v []float32) {
	g.tensors++
	putString(&g.infos, name)
	if rows == 0 {
		put(&g.infos, uint32(1))
		put(&g.infos, uint64(columns))
	} else {
		put(&g.infos, uint32(2))
		put(&g.infos, uint64(columns))
		put(&g.infos, uint64(rows))
	}
	put(&g.infos, uint32(0)) // F32
	put(&g.infos, uint64(g.data.Len()))
	put(&g.data, v)
	pad(&g.data)
}

func pad(b *bytes.Buffer) {
	for b.Len()%alignment != 0 {
		b.WriteByte(0)
	}
}

func (g *gguf) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("GGUF")
	put(&b, uint32(3))
	put(&b, g.tensors)
	put(&b, g.metas)
	b.Write(g.meta.Bytes())
	b.Write(g.infos.Bytes())
	pad(&b)
	b.Write(g.data.Bytes())
	return b.Bytes()
}

// vocabulary lists the tokens: what the format wants, all bytes, and the words
// with each of their beginnings, by which the tokenizer finds them.
func vocabulary() (tokens []string, kinds []int32, ids map[string]int) {
	ids = map[string]int{}
	add := func(s string, kind int32) {
		if _, ok := ids[s]; !ok {
			ids[s] = len(tokens)
			tokens, kinds = append(tokens, s), append(kinds, kind)
		}
	}
	add("<unk>", unknownToken)
	add("<s>", controlToken)
	add("</s>", controlToken)
	const digits = "0123456789ABCDEF"
	for i := range 256 {
		add("<0x"+string(digits[i>>4])+string(digits[i&15])+">", byteToken)
	}
	const blank = "\u2581" // how a tokenizer of this kind writes it
	add(toolCall, ownToken)
	for _, w := range slices.Concat([]string{"", caller}, song, ring) {
		for n := range len(w) + 1 {
			add(blank+w[:n], normalToken)
		}
	}
	return tokens, kinds, ids
}

// tinyModel writes the model to a file.
func tinyModel(t *testing.T, path string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(53, 1601))
	random := func(n int, scale float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64() * scale)
		}
		return v
	}
	ones := make([]float32, width)
	for i := range ones {
		ones[i] = 1
	}
	tokens, kinds, ids := vocabulary()
	scores := make([]float32, len(tokens))
	for i := range scores {
		scores[i] = -float32(i)
	}

	g := &gguf{}
	g.set("general.architecture", "llama")
	g.set("general.name", "tokaido's test")
	g.set("llama.block_count", uint32(layers))
	g.set("llama.context_length", uint32(window))
	g.set("llama.embedding_length", uint32(width))
	g.set("llama.feed_forward_length", uint32(hidden))
	g.set("llama.attention.head_count", uint32(heads))
	g.set("llama.attention.head_count_kv", uint32(heads))
	g.set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	g.set("llama.rope.dimension_count", uint32(width/heads))
	g.set("llama.vocab_size", uint32(len(tokens)))
	g.set("tokenizer.ggml.model", "llama")
	g.set("tokenizer.ggml.tokens", tokens)
	g.set("tokenizer.ggml.scores", scores)
	g.set("tokenizer.ggml.token_type", kinds)
	g.set("tokenizer.ggml.unknown_token_id", uint32(ids["<unk>"]))
	g.set("tokenizer.ggml.bos_token_id", uint32(ids["<s>"]))
	g.set("tokenizer.ggml.eos_token_id", uint32(ids["</s>"]))
	g.set("tokenizer.chat_template", chatForm)

	embed := random(len(tokens)*width, 1)
	head := random(len(tokens)*width, 0.05) // says nothing of itself
	row := func(m []float32, id int) []float32 { return m[id*width : (id+1)*width] }
	id := func(word string) int { return ids["\u2581"+word] }
	follows := func(next, word int) {
		for i, x := range row(embed, word) {
			row(head, next)[i] += x
		}
	}
	for i := 1; i < len(song); i++ {
		follows(id(song[i]), id(song[i-1]))
	}
	follows(ids["</s>"], id(song[len(song)-1]))
	follows(ids[toolCall], id(caller))
	follows(ids["<0x0A>"], ids[toolCall])
	follows(ids["</s>"], ids["<0x3E>"]) // a bracket
	for i := range ring {
		follows(id(ring[(i+1)%len(ring)]), id(ring[i]))
	}
	g.tensor("token_embd.weight", width, len(tokens), embed)
	small := func(n int) []float32 { return random(n, 0.02/math.Sqrt2) }
	for i := range layers {
		at := "blk." + string(rune('0'+i)) + "."
		g.tensor(at+"attn_norm.weight", width, 0, ones)
		for _, n := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
			g.tensor(at+n+".weight", width, width, small(width*width))
		}
		g.tensor(at+"ffn_norm.weight", width, 0, ones)
		g.tensor(at+"ffn_gate.weight", width, hidden, small(width*hidden))
		g.tensor(at+"ffn_up.weight", width, hidden, small(width*hidden))
		g.tensor(at+"ffn_down.weight", hidden, width, small(width*hidden))
	}
	g.tensor("output_norm.weight", width, 0, ones)
	g.tensor("output.weight", width, len(tokens), head)
	if err := os.WriteFile(path, g.bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
