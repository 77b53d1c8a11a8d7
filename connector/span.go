package connector

import (
	"log/slog"
	"time"

	"tokaido/bedrock"
	"tokaido/flow"
)

// span tells the tracer of an inference that came with a trace header: what was
// asked for, where it was answered, and what it used. What was said to the model
// and by it is nobody's business.
func (in *Inference) span(from From, name, modelID string, began time.Time, p *bedrock.Plan, res *bedrock.Result, err error) {
	if in.Tracer == nil || from.Trace == "" {
		return
	}
	h, ok := flow.ParseTraceHeader(from.Trace)
	if !ok {
		return // it names no trace
	}
	code := faultCode(err)
	if err != nil && code == "" {
		code = "InternalFailure"
	}
	attrs := []slog.Attr{
		slog.String("gen_ai.provider.name", "aws.bedrock"),
		slog.String("gen_ai.operation.name", name),
		slog.String("gen_ai.request.model", modelID),
		slog.String("cloud.region", from.Region),
		slog.String("aws.request_id", from.Meta.RequestID),
	}
	text := func(key, v string) {
		if v != "" {
			attrs = append(attrs, slog.String(key, v))
		}
	}
	if p != nil {
		text("gen_ai.response.model", p.ModelID)
		text("aws.bedrock.inference_profile.arn", p.ProfileARN)
	}
	if res != nil {
		text("aws.bedrock.inference_region", res.Region)
		attrs = append(attrs,
			slog.Int64("gen_ai.usage.input_tokens", int64(res.Usage.Input)),
			slog.Int64("gen_ai.usage.output_tokens", int64(res.Usage.Output)),
			slog.Int64("aws.bedrock.attempts", int64(len(res.Attempts))))
	}
	in.Tracer.Record(flow.Span{
		Trace: h.Trace, ID: flow.NewSpanID(), Parent: h.Parent, Sampled: h.Sampled, Name: "bedrock " + name, Kind: flow.SpanCalled,
		Start: began, End: time.Now(), Failed: err != nil, Error: code, Attributes: attrs,
	})
}
