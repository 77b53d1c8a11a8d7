// Package bedrockrt is the wire face of Bedrock Runtime: Converse,
// ConverseStream, InvokeModel, InvokeModelWithResponseStream and CountTokens; and
// of what speaks OpenAI's and Anthropic's APIs at the same address.
//
// Its operations enter the gate by themselves, through connector.Inference,
// which is also what a Task that calls a model goes through: what they need is
// known only once the modelId is planned. It refuses every header and member
// that nothing here acts on.
package bedrockrt

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/connector"
	"tokaido/trail"
	"tokaido/value"
)

const (
	service = "bedrock"
	source  = "bedrock.amazonaws.com"
	open    = "what it needs follows from the plan of its modelId: connector.Inference enters the gate"

	// RegionHeader says which Region answered. In a request it says that the Region
	// of the signature must, for another node has routed it: one whose backends
	// lead here (bedrock/backend/amazon).
	RegionHeader = "X-Tokaido-Inference-Region"

	// ReceiptEvent ends a stream that another node asked for, with the receipt that
	// a whole answer has in a header. No other client gets it.
	ReceiptEvent = "tokaidoReceipt"

	// HopsHeader counts the nodes that passed a request on.
	HopsHeader = "X-Tokaido-Hops"

	prefix = "X-Amzn-Bedrock-"
)

// Ops lists the operations.
func Ops(in *connector.Inference) []awsapi.Op {
	h := handlers{in}
	op := func(name, path string, blob bool, handle func(context.Context, *awsapi.Request) (*awsapi.Response, error)) awsapi.Op {
		return awsapi.Op{
			Service: service, Source: source, Name: name, Protocol: awsapi.RESTJSON, Route: "POST /model/{modelId}/" + path,
			ReadOnly: true, Blob: blob, MaxBody: bedrock.MaxBody, Open: open, Handle: handle,
		}
	}
	return slices.Concat(openAIOps(in), anthropicOps(in), elsewhere(), []awsapi.Op{
		op("InvokeModel", "invoke", true, h.invoke),
		op("InvokeModelWithResponseStream", "invoke-with-response-stream", true, h.invokeStream),
		op("Converse", "converse", false, h.converse),
		op("ConverseStream", "converse-stream", false, h.converseStream),
		op("CountTokens", "count-tokens", false, h.countTokens),
	})
}

type handlers struct{ in *connector.Inference }

func from(r *awsapi.Request) connector.From {
	f := connector.From{By: r.By, Region: r.Region, Account: r.Account, Context: r.Context, Meta: r.Meta, Bearer: r.Bearer, Trace: r.Header.Get("X-Amzn-Trace-Id")}
	if where := r.Header.Get(RegionHeader); where == r.Region {
		f.Here = true
	} else if where != "" {
		f.Unsupported = bedrock.Fault("ValidationException", "%s: %.64s is not the Region of the signature, %s.", RegionHeader, where, r.Region)
	}
	return f
}

// settings are the headers of InvokeModel that change nothing with the one value
// that they may have here; echoed ones are said again in the answer. Every other
// value, and every other header of Bedrock's, is refused.
var settings = map[string]struct {
	only string
	echo bool
}{
	prefix + "Trace":                     {"DISABLED", false},
	prefix + "Performanceconfig-Latency": {"standard", true},
	prefix + "Service-Tier":              {"default", true},
}

// spelled is how AWS writes headers that Go writes otherwise.
var spelled = map[string]string{
	prefix + "Guardrailidentifier":       prefix + "GuardrailIdentifier",
	prefix + "Guardrailversion":          prefix + "GuardrailVersion",
	prefix + "Performanceconfig-Latency": prefix + "PerformanceConfig-Latency",
}

func request(r *awsapi.Request, accept string) (bedrock.Request, http.Header) {
	q := bedrock.Request{Body: r.Raw, ContentType: r.Header.Get("Content-Type"), Accept: r.Header.Get(accept)}
	out := http.Header{}
	if hops := r.Header.Get(HopsHeader); hops != "" {
		n, err := strconv.ParseUint(hops, 10, 16)
		if err != nil {
			q.Unsupported = bedrock.Fault("ValidationException", "%s: %.64s is not a number of nodes.", HopsHeader, hops)
		}
		q.Hops = int(n)
	}
	var names []string
	for name := range r.Header {
		if strings.HasPrefix(name, prefix) && name != accept {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v := r.Header.Get(name)
		s, ok := settings[name]
		if !ok || v != s.only {
			if as := spelled[name]; as != "" {
				name = as
			}
			q.Unsupported = bedrock.Fault("ValidationException", "%s: %.128s is not supported by this server.", name, v)
			break
		}
		if s.echo {
			out.Set(name, v)
		}
	}
	return q, out
}

func (h handlers) invoke(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	q, header := request(r, "Accept")
	res, err := h.in.Invoke(ctx, from(r), r.Path["modelId"], q)
	if err != nil {
		return nil, err
	}
	header.Set("Content-Type", res.ContentType)
	header.Set(RegionHeader, answered(res.Region, res.Within))
	header.Set(prefix+"Invocation-Latency", strconv.FormatInt(res.Latency.Milliseconds(), 10))
	header.Set(prefix+"Input-Token-Count", strconv.Itoa(res.Usage.Input))
	header.Set(prefix+"Output-Token-Count", strconv.Itoa(res.Usage.Output))
	if r.Header.Get(RegionHeader) != "" && res.Receipt != "" { // another node wants to know
		header.Set(trail.ReceiptHeader, res.Receipt)
	}
	if u := res.Usage; u.CacheRead > 0 || u.CacheWrite > 0 {
		header.Set(prefix+"Cache-Read-Input-Token-Count", strconv.Itoa(u.CacheRead))
		header.Set(prefix+"Cache-Write-Input-Token-Count", strconv.Itoa(u.CacheWrite))
	}
	return &awsapi.Response{Header: header, Raw: res.Body}, nil
}

func (h handlers) invokeStream(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	q, header := request(r, prefix+"Accept")
	header.Set(prefix+"Content-Type", "application/json")
	pad := padding{seed: r.Meta.RequestID}
	return &awsapi.Response{Header: header, Stream: func(ctx context.Context, w awsapi.EventWriter) error {
		res, err := h.in.InvokeStream(ctx, from(r), r.Path["modelId"], q, announce(header), func(chunk []byte) error {
			return w.Event("chunk", value.Object(
				value.Member{Key: "bytes", Value: value.String(base64.StdEncoding.EncodeToString(chunk))},
				pad.next()))
		})
		if err != nil || res.Receipt == "" || r.Header.Get(RegionHeader) == "" {
			return err
		}
		return w.Event(ReceiptEvent, value.Object(value.Member{Key: "receipt", Value: value.String(res.Receipt)})) // another node wants to know
	}}, nil
}

// announce puts the Region that answers into headers, which are written with
// the first event.
func announce(header http.Header) func(bedrock.Begun) {
	return func(b bedrock.Begun) { header.Set(RegionHeader, answered(b.Region, b.Within)) }
}

// answered is the Region that answered, or those of which one did.
func answered(region string, within []string) string {
	if region == "" {
		return strings.Join(within, " or ")
	}
	return region
}

func (h handlers) converse(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	out, res, err := h.in.Converse(ctx, from(r), r.Path["modelId"], r.Input)
	if err != nil {
		return nil, err
	}
	return &awsapi.Response{Header: http.Header{RegionHeader: {answered(res.Region, res.Within)}}, Body: out}, nil
}

func (h handlers) converseStream(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	header := http.Header{}
	pad := padding{seed: r.Meta.RequestID}
	return &awsapi.Response{Header: header, Stream: func(ctx context.Context, w awsapi.EventWriter) error {
		_, err := h.in.ConverseStream(ctx, from(r), r.Path["modelId"], r.Input, announce(header), func(name string, payload value.Value) error {
			p := pad.next()
			return w.Event(name, payload.With(p.Key, p.Value))
		})
		return err
	}}, nil
}

func (h handlers) countTokens(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	q, _ := request(r, "Accept")
	n, err := h.in.CountTokens(ctx, from(r), r.Path["modelId"], func(p *bedrock.Plan) (_ bedrock.Request, err error) {
		if q.Body, err = h.countBody(p, r.Input); err == nil {
			err = q.Check()
		}
		return q, err
	})
	if err != nil {
		return nil, err
	}
	return awsapi.OK(value.Member{Key: "inputTokens", Value: value.Int(int64(n))}), nil
}

// countBody is the body whose tokens are asked for.
func (h handlers) countBody(p *bedrock.Plan, v value.Value) ([]byte, error) {
	in := v.Get("input")
	if v.Len() != 1 || in.Len() != 1 || !in.IsObject() {
		return nil, bedrock.Fault("ValidationException", "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have exactly one of invokeModel, converse")
	}
	switch m := in.Member(0); m.Key {
	case "invokeModel":
		b, err := base64.StdEncoding.DecodeString(m.Value.Get("body").Str())
		if err != nil || m.Value.Len() != 1 {
			return nil, bedrock.Fault("ValidationException", "1 validation error detected: Value at 'input.invokeModel.body' failed to satisfy constraint: Member must be base64")
		}
		return b, nil
	case "converse":
		c, err := h.in.Runtime.Prepare(p, m.Value)
		if err != nil {
			return nil, err
		}
		return c.Body, nil
	default:
		return nil, bedrock.Fault("ValidationException", "Unknown member 'input.%.64s'", m.Key)
	}
}

// padding is what AWS adds to every event of a stream, so that the length of a
// message does not tell the length of its text: a slice of a fixed alphabet, of
// a length that follows from the request and the event's number.
type padding struct {
	seed string
	n    uint32
}

const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (p *padding) next() value.Member {
	p.n++
	h := uint32(2166136261) // FNV-1a
	for i := range len(p.seed) {
		h = (h ^ uint32(p.seed[i])) * 16777619
	}
	for n := p.n; n > 0; n >>= 8 {
		h = (h ^ n&0xff) * 16777619
	}
	return value.Member{Key: "p", Value: value.String(alphabet[:2+(h>>16)%uint32(len(alphabet)-1)])}
}
