package connector

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"time"

	"tokaido/bedrock"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// bedrockSource is CloudTrail's eventSource of every call here.
const bedrockSource = "bedrock.amazonaws.com"

// Inference is the way to a model: a plan, the gate, and the run, for Tasks and
// for clients alike.
type Inference struct {
	Gate    *gate.Gate
	Runtime *bedrock.Runtime

	Logs     *InvocationLogs // nil: none are kept
	Receipts *trail.Receipts // nil: none are made
	Observer Observer        // nil: nobody is told
	Tracer   flow.Tracer     // nil: nobody is told of calls that are traced
}

// exchange is what a receipt covers besides the Result: the body as the model
// got it, and its own answer, of a stream all chunks one after the other.
type exchange struct {
	request  []byte
	response *trail.Digest
	finish   func() error // what is told only if the receipt is good; nil: nothing
	log      *logged      // nil: the call is not logged
	metadata value.Value  // requestMetadata, for the log
}

// From is who calls, and from where.
type From struct {
	By       *principal.Principal
	Region   string
	Account  string
	Context  iam.Context
	Meta     gate.Meta
	Workflow gate.Workflow

	// Bearer is the kind of API key that the call came with, SHORT_TERM or
	// LONG_TERM, which has to be allowed too; "": it was signed.
	Bearer string

	// Trace is the trace header that the call came with; "": it is not traced.
	Trace string

	// Here wants the answer from Region, whatever the catalog says of a model's
	// bare id: another node routed the call.
	Here bool

	// Unsupported is what the front door found in the request that nothing acts
	// on, whatever its operation; nil: nothing.
	Unsupported error
}

// Invoke is InvokeModel.
func (in *Inference) Invoke(ctx context.Context, from From, modelID string, r bedrock.Request) (*bedrock.Result, error) {
	return in.act(ctx, from, "InvokeModel", bedrock.ActionInvoke, modelID,
		func(*bedrock.Plan) error { return r.Check() },
		func(ctx context.Context, p *bedrock.Plan, _ *gate.Act, x *exchange) (*bedrock.Result, error) {
			x.log.asked(r.Body)
			res, err := in.Runtime.Invoke(ctx, p, r)
			if err == nil {
				x.log.answered(res.Body)
				x.request = r.Body
				x.response.Add(res.Body)
			}
			return res, err
		})
}

// InvokeStream is InvokeModelWithResponseStream. begun, if not nil, is called
// before the first chunk.
func (in *Inference) InvokeStream(ctx context.Context, from From, modelID string, r bedrock.Request, begun func(bedrock.Begun), chunk func([]byte) error) (*bedrock.Result, error) {
	return in.act(ctx, from, "InvokeModelWithResponseStream", bedrock.ActionStream, modelID,
		func(*bedrock.Plan) error { return r.Check() },
		func(ctx context.Context, p *bedrock.Plan, _ *gate.Act, x *exchange) (*bedrock.Result, error) {
			x.request = r.Body
			x.log.asked(r.Body)
			r.Native = x.response.Add
			return in.Runtime.InvokeStream(ctx, p, r, begun, func(b []byte) error {
				x.log.piece(b)
				if in.withholds() && bytes.Contains(b, []byte(bedrock.MetricsMember)) {
					return x.later(func() error { return chunk(b) })
				}
				return chunk(b)
			})
		})
}

// Converse is Converse; request is its body.
func (in *Inference) Converse(ctx context.Context, from From, modelID string, request value.Value) (out value.Value, res *bedrock.Result, err error) {
	var c *bedrock.Prepared
	res, err = in.act(ctx, from, "Converse", bedrock.ActionInvoke, modelID,
		func(p *bedrock.Plan) (err error) { c, err = in.Runtime.Prepare(p, request); return err },
		func(ctx context.Context, p *bedrock.Plan, a *gate.Act, x *exchange) (res *bedrock.Result, err error) {
			noteMetadata(a, c)
			x.metadata = c.Conversation.Metadata
			x.log.said(request)
			if out, res, err = in.Runtime.Converse(ctx, c); err == nil {
				x.log.heard(out)
				x.request = c.Body
				x.response.Add(res.Body) // the model's own, as the node that served it has it
			}
			return res, err
		})
	return out, res, err
}

// ConverseStream is ConverseStream; emit gets its events.
func (in *Inference) ConverseStream(ctx context.Context, from From, modelID string, request value.Value, begun func(bedrock.Begun), emit func(string, value.Value) error) (*bedrock.Result, error) {
	var c *bedrock.Prepared
	return in.act(ctx, from, "ConverseStream", bedrock.ActionStream, modelID,
		func(p *bedrock.Plan) (err error) { c, err = in.Runtime.PrepareStream(p, request); return err },
		func(ctx context.Context, p *bedrock.Plan, a *gate.Act, x *exchange) (*bedrock.Result, error) {
			noteMetadata(a, c)
			x.metadata = c.Conversation.Metadata
			x.log.said(request)
			x.request = c.Body
			c.Native = x.response.Add
			return in.Runtime.ConverseStream(ctx, c, begun, func(name string, payload value.Value) error {
				x.log.event(name, payload)
				if in.withholds() && (name == "messageStop" || name == "metadata") {
					return x.later(func() error { return emit(name, payload) })
				}
				return emit(name, payload)
			})
		})
}

// CountTokens is CountTokens. body makes the request in the model's own form for a plan.
func (in *Inference) CountTokens(ctx context.Context, from From, modelID string, body func(*bedrock.Plan) (bedrock.Request, error)) (int, error) {
	var b bedrock.Request
	n := 0
	_, err := in.act(ctx, from, "CountTokens", bedrock.ActionCount, modelID,
		func(p *bedrock.Plan) (err error) { b, err = body(p); return err },
		func(ctx context.Context, p *bedrock.Plan, a *gate.Act, _ *exchange) (*bedrock.Result, error) {
			var region string
			var err error
			if n, region, err = in.Runtime.CountTokens(ctx, p, b); region != "" {
				a.Note(value.Member{Key: "inferenceRegion", Value: value.String(region)})
			}
			return nil, err
		})
	return n, err
}

func noteMetadata(a *gate.Act, c *bedrock.Prepared) {
	if m := c.Conversation.Metadata; m.Len() > 0 {
		a.Note(value.Member{Key: "requestMetadata", Value: m})
	}
}

// act is the corridor. A request that no model could be sent still has to be
// allowed and is recorded, but is no inference: nothing leaves. Somebody who is
// not allowed learns that first, and only then what is wrong with the request.
func (in *Inference) act(ctx context.Context, from From, name, action, modelID string,
	prepare func(*bedrock.Plan) error, run func(context.Context, *bedrock.Plan, *gate.Act, *exchange) (*bedrock.Result, error)) (*bedrock.Result, error) {
	call := gate.Call{
		By: from.By, Source: bedrockSource, Name: name, Region: from.Region, Context: from.Context, ReadOnly: true,
		Request: value.Object(value.Member{Key: "modelId", Value: value.String(modelID)}), Meta: from.Meta, Workflow: from.Workflow,
	}
	resolve := in.Runtime.Plan
	if from.Here {
		resolve = in.Runtime.PlanHere
	}
	plan, wrong := resolve(from.Region, from.Account, modelID)
	if wrong == nil {
		call.Needs, call.Model = plan.Needs(action), plan.Shape()
		if wrong = from.Unsupported; wrong == nil {
			wrong = prepare(plan)
		}
		call.Inference = wrong == nil
	}
	if from.Bearer != "" {
		call.Needs = append([]iam.Authorization{principal.WithBearer(from.Bearer)}, call.Needs...)
	}
	began := time.Now()
	res, err := gate.Do(ctx, in.Gate, call, func(ctx context.Context, a *gate.Act) (*bedrock.Result, error) {
		if wrong != nil {
			return nil, wrong
		}
		x := &exchange{response: trail.NewDigest()}
		if action == bedrock.ActionCount { // counts tokens, and runs nothing
			return run(ctx, plan, a, x)
		}
		x.log = in.Logs.begin(from)
		res, err := in.observed(plan, func() (*bedrock.Result, error) { return run(ctx, plan, a, x) })
		if res != nil {
			note(a, plan, res)
		}
		if lerr := x.log.end(from, name, modelID, plan.Model, res, x.metadata, faultCode(err)); lerr != nil {
			a.Note(value.Member{Key: "invocationLog", Value: value.String("not written")})
			in.Logs.logger.ErrorContext(ctx, "an invocation is not logged", "request", from.Meta.RequestID, "err", lerr)
		}
		if err == nil && res != nil {
			err = in.receipt(ctx, a, from, plan, res, x)
		}
		if err == nil && x.finish != nil {
			err = x.finish()
		}
		return res, err
	})
	in.span(from, name, modelID, began, plan, res, err)
	return res, err
}

// withholds reports whether the end of a stream waits for a good receipt: an
// answer that is refused for its receipt must not look complete.
func (in *Inference) withholds() bool { return in.Receipts != nil && in.Receipts.Require }

// later puts off what is told at the end of a stream.
func (x *exchange) later(tell func() error) error {
	if before := x.finish; before != nil {
		x.finish = func() error {
			if err := before(); err != nil {
				return err
			}
			return tell()
		}
		return nil
	}
	x.finish = tell
	return nil
}

// receipt puts the receipt of the Region that answered into the record, or what
// is wrong with it. Where receipts are required a bad one refuses the answer.
func (in *Inference) receipt(ctx context.Context, a *gate.Act, from From, p *bedrock.Plan, res *bedrock.Result, x *exchange) error {
	if in.Receipts == nil {
		return nil
	}
	at, region := time.Now(), res.Region
	of := func() trail.Claim {
		return trail.Claim{
			RequestID: from.Meta.RequestID, Region: region, Model: p.ModelID,
			Request: sha256.Sum256(x.request), Response: x.response.Sum(), Time: at,
		}
	}
	if !res.Remote && !from.Here && !in.Receipts.Require { // nobody waits for the signature
		a.Later(func() []value.Member {
			members, _ := in.Receipts.For(context.WithoutCancel(ctx), of(), true, "") // what is wrong is one of them
			return members
		})
		return nil
	}
	claim := of()
	header, remote := res.Receipt, res.Remote
	members, err := in.Receipts.For(ctx, claim, !remote, header)
	a.Note(members...)
	for _, m := range members {
		if !from.Here || m.Key != trail.ReceiptMember { // only another node wants to know
			continue
		}
		if r, bad := trail.ReceiptFrom(m.Value); bad == nil {
			res.Receipt = r.Header()
		}
	}
	if errors.Is(err, trail.ErrReceipt) {
		return bedrock.Fault("ServiceUnavailableException", "The answer was refused: %v", trail.ErrReceipt)
	}
	return err
}

// note records which Region answered, always, and what was tried before.
func note(a *gate.Act, p *bedrock.Plan, res *bedrock.Result) {
	m := make([]value.Member, 0, 7)
	add := func(key string, v value.Value) { m = append(m, value.Member{Key: key, Value: v}) }
	switch {
	case res.Region != "":
		add("inferenceRegion", value.String(res.Region))
	case len(res.Within) > 0: // somebody else routed it, and does not say where to
		regions := make([]value.Value, len(res.Within))
		for i, r := range res.Within {
			regions[i] = value.String(r)
		}
		add("inferenceRegions", value.Array(regions...))
	}
	if u := res.Usage; u != (bedrock.Usage{}) {
		add("inputTokens", value.Int(int64(u.Input)))
		add("outputTokens", value.Int(int64(u.Output)))
		if u.CacheRead > 0 || u.CacheWrite > 0 {
			add("cacheReadInputTokens", value.Int(int64(u.CacheRead)))
			add("cacheWriteInputTokens", value.Int(int64(u.CacheWrite)))
		}
	}
	if res.Rerouted(p) {
		add("attempts", attempts(res.Attempts))
	}
	if res.Region != "" && res.Latency > 0 {
		add("latencyMs", value.Int(res.Latency.Milliseconds()))
	}
	if p.Application != nil && len(p.Application.Tags) > 0 { // by which costs are counted, as they are now
		add("costTags", costTags(p.Application.Tags))
	}
	a.Note(m...)
}

func costTags(tags map[string]string) value.Value {
	m := make([]value.Member, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		m = append(m, value.Member{Key: k, Value: value.String(tags[k])})
	}
	return value.Object(m...)
}

func attempts(list []bedrock.Attempt) value.Value {
	out := make([]value.Value, len(list))
	for i, a := range list {
		m := []value.Member{{Key: "region", Value: value.String(a.Region)}, {Key: "outcome", Value: value.String(string(a.Outcome))}}
		if a.Latency > 0 {
			m = append(m, value.Member{Key: "latencyMs", Value: value.Int(a.Latency.Milliseconds())})
		}
		if code := faultCode(a.Err); code != "" {
			m = append(m, value.Member{Key: "error", Value: value.String(code)})
		}
		out[i] = value.Object(m...)
	}
	return value.Array(out...)
}
