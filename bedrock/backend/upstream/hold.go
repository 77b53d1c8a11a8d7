package upstream

import (
	"tokaido/bedrock"
	"tokaido/value"
)

// Hold passes chunks on, at once those that cannot be the last, and one behind
// those that may be: which one is the last is known only when the stream ends.
// The zero value with a Yield is ready.
type Hold struct {
	Yield func(bedrock.Chunk, error) bool

	held []byte
	some bool
	gone bool // whoever takes the chunks takes no more
}

// Pass passes a chunk on that is not the last. It returns false if nobody takes
// any more.
func (h *Hold) Pass(v value.Value) bool {
	body := v.AppendJSON(nil)
	if h.some {
		return h.Add(body)
	}
	if !h.gone {
		h.gone = !h.Yield(bedrock.Chunk{Body: body}, nil)
	}
	return !h.gone
}

// Add holds a chunk that may be the last, and passes on the one before it. It
// returns false if nobody takes any more.
func (h *Hold) Add(body []byte) bool {
	if h.some && !h.gone {
		h.gone = !h.Yield(bedrock.Chunk{Body: h.held}, nil)
	}
	h.held, h.some = body, true
	return !h.gone
}

// AddValue adds a chunk that is not printed yet.
func (h *Hold) AddValue(v value.Value) bool { return h.Add(v.AppendJSON(nil)) }

// End passes on the last chunk.
func (h *Hold) End(u bedrock.Usage) {
	if h.some && !h.gone {
		h.Yield(bedrock.Chunk{Body: h.held, Usage: &u}, nil)
	}
}

// Fail ends the stream with an error. What was held comes before it.
func (h *Hold) Fail(err error) {
	if h.some && !h.gone {
		h.gone = !h.Yield(bedrock.Chunk{Body: h.held}, nil)
	}
	if !h.gone {
		h.Yield(bedrock.Chunk{}, err)
	}
}
