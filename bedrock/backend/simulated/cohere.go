package simulated

import (
	"iter"
	"strings"

	"tokaido/bedrock"
	"tokaido/value"
)

// cohere writes as Cohere's Command R models do.
type cohere struct{}

func (cohere) parse(v value.Value) (*request, error) {
	if err := checkMembers(v, "message", "chat_history", "preamble", "documents", "max_tokens", "temperature", "p", "k", "stop_sequences", "tools", "tool_results"); err != nil {
		return nil, err
	}
	q := &request{said: v.Get("message").Str()}
	if !v.Get("message").IsString() {
		return nil, malformed("#: required key [message] not found")
	}
	q.input = bedrock.EstimateTokens(q.said) + bedrock.EstimateTokens(v.Get("preamble").Str())
	for i, m := range v.Get("chat_history").Items() {
		switch m.Get("role").Str() {
		case "USER", "CHATBOT", "SYSTEM", "TOOL":
		default:
			return nil, malformed("#/chat_history/%d/role: %s is not a valid enum value", i, m.Get("role"))
		}
		q.input += bedrock.EstimateTokens(m.Get("message").Str())
	}
	for _, d := range v.Get("documents").Items() {
		q.input += bedrock.EstimateTokens(d.Get("snippet").Str())
	}
	if x := v.Get("max_tokens"); !x.IsUndefined() {
		n, ok := x.Int()
		if !ok || n < 1 {
			return nil, malformed("#/max_tokens: %s is not greater or equal to 1", x)
		}
		q.maxTokens = int(min(n, 1<<30))
	}
	for _, s := range v.Get("stop_sequences").Items() {
		q.stops = append(q.stops, s.Str())
	}
	for _, t := range v.Get("tools").Items() {
		q.tools = append(q.tools, tool{t.Get("name").Str(), cohereSchema(t)})
		q.input += bedrock.EstimateTokens(t.JSON())
	}
	for _, r := range v.Get("tool_results").Items() {
		var s strings.Builder
		for _, o := range r.Get("outputs").Items() {
			if t := o.Get("text"); o.Len() == 1 && t.IsString() {
				s.WriteString(t.Str())
			} else {
				s.WriteString(o.JSON())
			}
		}
		q.toolSaid = s.String()
		q.input += bedrock.EstimateTokens(q.toolSaid)
	}
	return q, nil
}

// cohereSchema is the JSON Schema that a list of parameters means.
func cohereSchema(t value.Value) value.Value {
	types := map[string]string{"str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array", "dict": "object"}
	properties := value.Object()
	var required []value.Value
	for name, p := range t.Get("parameter_definitions").Members() {
		properties = properties.With(name, obj(m("type", str(types[p.Get("type").Str()]))))
		if p.Get("required").Bool() {
			required = append(required, str(name))
		}
	}
	return obj(m("type", str("object")), m("properties", properties), m("required", value.Array(required...)))
}

func cohereFinish(r *reply) value.Value {
	return str([...]string{"COMPLETE", "MAX_TOKENS", "STOP_SEQUENCE", "COMPLETE"}[r.stop])
}

func cohereCalls(r *reply) value.Value {
	if r.call == nil {
		return value.Value{}
	}
	return value.Array(obj(m("name", str(r.call.name)), m("parameters", r.args)))
}

func (cohere) whole(c bedrock.Call, q *request, r *reply) value.Value {
	return obj(m("response_id", str(ident("", c, 22))), m("generation_id", str(ident("g", c, 22))), m("text", str(r.text)), m("tool_calls", cohereCalls(r)), m("finish_reason", cohereFinish(r)),
		m("meta", obj(m("billed_units", obj(m("input_tokens", num(q.input)), m("output_tokens", num(r.tokens)))))))
}

func (f cohere) chunks(c bedrock.Call, q *request, r *reply) iter.Seq[value.Value] {
	return func(yield func(value.Value) bool) {
		event := func(name string, last bool, members ...value.Member) bool {
			return yield(obj(append([]value.Member{m("event_type", str(name)), m("is_finished", value.Bool(last))}, members...)...))
		}
		if !event("stream-start", false, m("generation_id", str(ident("g", c, 22)))) {
			return
		}
		for _, p := range pieces(r.text) {
			if !event("text-generation", false, m("text", str(p))) {
				return
			}
		}
		if r.call != nil && !event("tool-calls-generation", false, m("tool_calls", cohereCalls(r))) {
			return
		}
		event("stream-end", true, m("finish_reason", cohereFinish(r)), m("response", f.whole(c, q, r)))
	}
}
