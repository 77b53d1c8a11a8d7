package bedrock

import (
	"context"
	"errors"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tokaido/fault"
	"tokaido/value"
)

// MaxBody is the largest body of a request to a model: AWS's limit.
const MaxBody = 25_000_000

const (
	jsonType = "application/json"
	blobType = "application/octet-stream" // what some SDKs say of any body if they are told nothing
)

func acceptsJSON(media string) bool {
	m, _, err := mime.ParseMediaType(strings.TrimSpace(media))
	return err == nil && (m == jsonType || m == "*/*" || m == "application/*")
}

// Check refuses a request that cannot be sent to any model. Its error is in
// AWS's words where they are known. The body is read once, however often it is
// asked.
func (r *Request) Check() error {
	if r.Unsupported != nil {
		return r.Unsupported
	}
	if r.ContentType != "" && r.ContentType != jsonType { // what nearly all say
		if m, _, err := mime.ParseMediaType(r.ContentType); err != nil || m != jsonType && m != blobType {
			return invalidf("Content-Type %q is not supported: the models of this server read %s", short(r.ContentType), jsonType)
		}
	}
	if r.Accept != "" && !slices.ContainsFunc(strings.Split(r.Accept, ","), acceptsJSON) {
		return invalidf("Accept %q is not supported: the models of this server write %s", short(r.Accept), jsonType)
	}
	if len(r.Body) > MaxBody {
		return invalidf("1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to %d", MaxBody)
	}
	if r.document.IsUndefined() {
		v, err := value.ParseOwned(r.Body)
		if err != nil || !v.IsObject() {
			return invalidf("Malformed input request, please reformat your input and try again.")
		}
		r.document = v
	}
	return nil
}

// call is the request's attempt in a lane.
func (r *Request) call(p *Plan, l *lane) Call {
	return Call{Region: l.region, Model: p.Model, Body: r.Body, Accept: r.Accept, Hops: r.Hops, document: r.document}
}

// Invoke runs a request whole: the model family's body in, its body out. The
// Result is there, with what was tried, also when there is an error.
func (rt *Runtime) Invoke(ctx context.Context, p *Plan, r Request) (*Result, error) {
	if err := r.Check(); err != nil {
		return &Result{}, err
	}
	res, out, err := rt.run(ctx, p, p.cost(r.document), func(ctx context.Context, l *lane, _ func() bool) (served, error) {
		a, err := l.backend.Invoke(ctx, r.call(p, l))
		if err == nil && a == nil {
			err = errors.New("a backend without an answer")
		}
		if err != nil {
			return served{}, err
		}
		return served{usage: a.Usage, region: a.Region, answer: a}, nil
	})
	if err == nil {
		a := out.answer
		res.Body, res.ContentType, res.Receipt = a.Body, a.ContentType, a.Receipt
		if res.ContentType == "" {
			res.ContentType = jsonType
		}
	}
	return res, err
}

// Begun is what is known of a stream when its first chunk is there.
type Begun struct {
	Region string   // "" if it is one of Within
	Within []string // as in a Result
}

// InvokeStream runs a request and passes on each chunk as it comes. begun, if
// not nil, is called before the first. The last chunk carries AWS's invocation
// metrics. An error of chunk ends the stream; the Region is not blamed for it.
func (rt *Runtime) InvokeStream(ctx context.Context, p *Plan, r Request, begun func(Begun), chunk func([]byte) error) (*Result, error) {
	if err := r.Check(); err != nil {
		return &Result{}, err
	}
	return rt.stream(ctx, p, r, begun, func(c Chunk, took, first time.Duration) error {
		if c.Usage == nil {
			return chunk(c.Body)
		}
		return chunk(withMetrics(c.Body, *c.Usage, took, first))
	})
}

// stream passes on chunks with the times since the call began.
func (rt *Runtime) stream(ctx context.Context, p *Plan, r Request, begun func(Begun), chunk func(c Chunk, took, first time.Duration) error) (*Result, error) {
	if !p.Model.Streaming && p.Model.Input != nil { // without modalities nothing is known of it
		return &Result{}, invalidf("The model %s doesn't support response streaming.", p.ModelID)
	}
	start := rt.now()
	var consumer error // an error of chunk
	res, out, err := rt.run(ctx, p, p.cost(r.document), func(ctx context.Context, l *lane, claim func() bool) (out served, err error) {
		began := rt.now()
		last := false
		for c, err := range l.backend.Stream(ctx, r.call(p, l)) {
			if err != nil {
				return out, err
			}
			if last {
				return out, errors.New("a backend that goes on after its last chunk")
			}
			now := rt.now()
			if !out.begun {
				if !claim() {
					return out, errLost
				}
				out.begun, out.firstByte, out.region = true, max(now-began, 1), c.Region
				var where Result
				if err := where.ran(l, c.Region); err != nil {
					return out, err
				}
				if begun != nil {
					begun(Begun{Region: where.Region, Within: where.Within})
				}
			}
			if r.Native != nil {
				r.Native(c.Body)
			}
			if c.Usage != nil {
				out.usage, last = *c.Usage, true
				out.receipt = c.Receipt
			}
			if consumer = chunk(c, now-start, began-start+out.firstByte); consumer != nil {
				out.left = true
				return out, consumer
			}
		}
		if !last {
			return out, errors.New("a stream without an end")
		}
		return out, nil
	})
	if out.receipt != nil {
		res.Receipt = *out.receipt
	}
	if consumer != nil {
		return res, consumer
	}
	return res, err
}

// MetricsMember is the name of what AWS adds to the last chunk of
// InvokeModelWithResponseStream, at its end.
const MetricsMember = "amazon-bedrock-invocationMetrics"

// withMetrics adds them.
func withMetrics(body []byte, u Usage, took, first time.Duration) []byte {
	n := len(body)
	for n > 0 && body[n-1] != '}' {
		n--
	}
	if n == 0 {
		return body
	}
	b := make([]byte, n-1, n+160)
	copy(b, body)
	if v, err := value.Parse(body); err == nil && v.Len() > 0 {
		b = append(b, ',')
	}
	b = append(b, `"`+MetricsMember+`":{"inputTokenCount":`...)
	b = strconv.AppendInt(b, int64(u.Input), 10)
	b = append(b, `,"outputTokenCount":`...)
	b = strconv.AppendInt(b, int64(u.Output), 10)
	b = append(b, `,"invocationLatency":`...)
	b = strconv.AppendInt(b, took.Milliseconds(), 10)
	b = append(b, `,"firstByteLatency":`...)
	b = strconv.AppendInt(b, first.Milliseconds(), 10)
	if u.CacheRead > 0 || u.CacheWrite > 0 {
		b = append(b, `,"cacheReadInputTokenCount":`...)
		b = strconv.AppendInt(b, int64(u.CacheRead), 10)
		b = append(b, `,"cacheWriteInputTokenCount":`...)
		b = strconv.AppendInt(b, int64(u.CacheWrite), 10)
	}
	return append(b, "}}"...)
}

// CountTokens counts a body's input tokens where the plan's first Region that
// can count is, or the next one if that one fails. Nothing runs.
func (rt *Runtime) CountTokens(ctx context.Context, p *Plan, r Request) (n int, region string, err error) {
	if err := r.Check(); err != nil {
		return 0, "", err
	}
	var last error
	for _, l := range p.route.lanes {
		c, ok := l.backend.(Counter)
		if !ok {
			continue
		}
		n, err := c.CountTokens(ctx, r.call(p, l))
		switch outcome(ctx, err, false) {
		case Served:
			return n, l.region, nil
		case Refused:
			return 0, l.region, err
		}
		region, last = l.region, err
	}
	if f, ok := errors.AsType[*fault.Error](last); ok {
		return 0, region, f
	}
	if last != nil {
		f := Fault("ServiceUnavailableException", "Bedrock is unable to process your request.")
		f.Err = last
		return 0, region, f
	}
	return 0, "", invalidf("The provided model doesn't support counting tokens.")
}

// cost is what a request takes from a tokens-per-minute limit before it is run:
// about its input, and all the output that it asks for.
func (p *Plan) cost(v value.Value) int {
	if !p.route.counted {
		return 0
	}
	return estimate(v) + maxTokens(v)
}

const (
	mediaTokens  = 1600 // about what an image counts
	shortestBlob = 2048 // bytes of base64 that are taken for one
)

// estimate counts a body's texts; what looks like a picture or a document in
// base64 counts for one, however large it is.
func estimate(v value.Value) int {
	n := 0
	switch v.Kind() {
	case value.KindString:
		if IsMedia(v.Str()) {
			return mediaTokens
		}
		return EstimateTokens(v.Str())
	case value.KindArray:
		for _, x := range v.Items() {
			n += estimate(x)
		}
	case value.KindObject:
		for _, x := range v.Members() {
			n += estimate(x)
		}
	}
	return n
}

// IsMedia reports whether a text in a body is, by its looks, a picture or a
// document in base64.
func IsMedia(s string) bool { return len(s) >= shortestBlob && isBase64(s) }

// EstimateBody is EstimateTokens of all that a body says, for those who are not
// told what it counted.
func EstimateBody(body []byte) int {
	v, err := value.Parse(body)
	if err != nil {
		return 0
	}
	return estimate(v)
}

// EstimateTokens is a rough count of a text's tokens that is the same
// everywhere: four ASCII characters, or one other, to a token.
func EstimateTokens(s string) int {
	ascii, other := 0, 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			ascii++
			i++
			continue
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		other++
		i += n
	}
	return (ascii+3)/4 + other
}

// maxTokens finds the output limit in a body of any family.
func maxTokens(v value.Value) int {
	for _, x := range []value.Value{
		v.Get("max_tokens"),
		v.Get("inferenceConfig").Get("maxTokens"),
		v.Get("inferenceConfig").Get("max_new_tokens"),
		v.Get("max_gen_len"),
		v.Get("textGenerationConfig").Get("maxTokenCount"),
		v.Get("max_completion_tokens"),
	} {
		if n, ok := x.Int(); ok && n > 0 && n < 1<<31 {
			return int(n)
		}
	}
	return 0
}
