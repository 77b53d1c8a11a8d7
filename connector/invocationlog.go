package connector

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/internal/durable"
	"tokaido/value"
)

// The numbers of invocation logs.
const (
	logEvery      = 5 * time.Second // between two files
	maxLogPending = 16 << 20        // bytes that wait; who brings more writes them
	mostLogWaits  = 64 << 20        // bytes that wait for a disk that takes none; what comes then is not logged
	maxLogBody    = 100 << 10       // bytes of a body in its record; a larger one is a file of its own
	maxLogBlocks  = 1024            // of a message
	maxLogStream  = 16 << 20        // bytes kept of a stream's answer; the rest is left out, and that is said
)

// LogConfig says what is logged of the calls of one account in one Region. The
// bucket is a folder.
type LogConfig struct {
	Bucket string
	Prefix string
	Text   bool // bodies of models that write text
	Media  bool // media in them
	Vector bool // bodies of models that write embeddings

	given value.Value // as it was put
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	keyPrefix  = regexp.MustCompile(`^[A-Za-z0-9!_.*'()/-]*$`)
)

// ReadLogConfig reads a loggingConfig as PutModelInvocationLoggingConfiguration
// has it.
func ReadLogConfig(v value.Value) (*LogConfig, error) {
	bad := func(format string, args ...any) error { return bedrock.Fault("ValidationException", format, args...) }
	c := &LogConfig{given: v, Text: true, Media: true, Vector: true}
	if !v.IsObject() {
		return nil, bad("1 validation error detected: Value at 'loggingConfig' failed to satisfy constraint: Member must not be null")
	}
	for name, x := range v.Members() {
		switch name {
		case "s3Config":
			for k, y := range x.Members() {
				switch k {
				case "bucketName":
					c.Bucket = y.Str()
				case "keyPrefix":
					c.Prefix = strings.Trim(y.Str(), "/")
				default:
					return nil, bad("Unknown member 'loggingConfig.s3Config.%.64s'", k)
				}
			}
			if !bucketName.MatchString(c.Bucket) || strings.Contains(c.Bucket, "..") {
				return nil, bad("1 validation error detected: Value at 'loggingConfig.s3Config.bucketName' failed to satisfy constraint: Member must be the name of a bucket")
			}
			if len(c.Prefix) > 1024 || !keyPrefix.MatchString(c.Prefix) || slices.ContainsFunc(strings.Split(c.Prefix, "/"), func(s string) bool { return s == ".." || s == "." }) {
				return nil, bad("1 validation error detected: Value at 'loggingConfig.s3Config.keyPrefix' failed to satisfy constraint: Member must be a prefix of keys")
			}
		case "textDataDeliveryEnabled", "imageDataDeliveryEnabled", "embeddingDataDeliveryEnabled", "videoDataDeliveryEnabled", "audioDataDeliveryEnabled":
			if x.Kind() != value.KindBool {
				return nil, bad("1 validation error detected: Value at 'loggingConfig.%s' failed to satisfy constraint: Member must be a boolean", name)
			}
		case "cloudWatchConfig":
			return nil, bad("loggingConfig.cloudWatchConfig is not supported by this server: %.64s", x.Get("logGroupName").Str())
		default:
			return nil, bad("Unknown member 'loggingConfig.%.64s'", name)
		}
	}
	if c.Bucket == "" {
		return nil, bad("1 validation error detected: Value at 'loggingConfig.s3Config' failed to satisfy constraint: Member must not be null")
	}
	on := func(name string) bool { x := v.Get(name); return x.IsUndefined() || x.Bool() }
	c.Text, c.Vector = on("textDataDeliveryEnabled"), on("embeddingDataDeliveryEnabled")
	c.Media = on("imageDataDeliveryEnabled") && on("videoDataDeliveryEnabled") && on("audioDataDeliveryEnabled")
	return c, nil
}

// Value is the configuration as it was put.
func (c *LogConfig) Value() value.Value { return c.given }

// LogStore keeps the configurations.
type LogStore interface {
	bedrock.Store
}

// InvocationLogs delivers records of models' calls, with what was asked and
// answered, where the account has asked for it: into a folder that stands for
// S3, in AWS's layout. What waits to be delivered is lost if the process dies;
// the trail, which has no bodies, is the proof.
type InvocationLogs struct {
	dir    string
	store  LogStore
	logger *slog.Logger
	most   int // bytes that may wait
	stop   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	configs map[string]*LogConfig // guarded by mu; by Region and account
	waiting map[string][]byte     // guarded by mu; lines, by the folder they are for
	size    int                   // guarded by mu
	failed  time.Time             // guarded by mu; when delivery failed last
}

// OpenInvocationLogs reads the configurations and begins to deliver into dir. It
// must be closed.
func OpenInvocationLogs(ctx context.Context, dir string, store LogStore, logger *slog.Logger) (*InvocationLogs, error) {
	l := &InvocationLogs{dir: dir, store: store, logger: logger, most: mostLogWaits, stop: make(chan struct{}), done: make(chan struct{}), configs: map[string]*LogConfig{}, waiting: map[string][]byte{}}
	for e, err := range store.Load(ctx) {
		if err != nil {
			return nil, fmt.Errorf("load logging configurations: %w", err)
		}
		v, err := value.Parse(e.Data)
		if err != nil {
			return nil, fmt.Errorf("logging configuration %s: %w", e.Key, err)
		}
		if l.configs[e.Key], err = ReadLogConfig(v); err != nil {
			return nil, fmt.Errorf("logging configuration %s: %w", e.Key, err)
		}
	}
	go l.deliver()
	return l, nil
}

func logKey(region, account string) string { return region + "/" + account }

// Get is the configuration of an account in a Region; nil if there is none.
func (l *InvocationLogs) Get(region, account string) *LogConfig {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.configs[logKey(region, account)]
}

// Put sets the configuration of an account in a Region; nil removes it.
func (l *InvocationLogs) Put(ctx context.Context, region, account string, c *LogConfig) error {
	key := logKey(region, account)
	var data []byte
	if c != nil {
		data = c.given.AppendJSON(nil)
	}
	if err := l.store.Save(ctx, bedrock.Change{Key: key, Data: data}); err != nil {
		return fmt.Errorf("save logging configuration %s: %w", key, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c == nil {
		delete(l.configs, key)
	} else {
		l.configs[key] = c
	}
	return nil
}

// Close delivers what waits.
func (l *InvocationLogs) Close() error {
	close(l.stop)
	<-l.done
	return l.flush()
}

func (l *InvocationLogs) deliver() {
	defer close(l.done)
	t := time.NewTicker(logEvery)
	defer t.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-t.C:
			if err := l.flush(); err != nil {
				l.logger.Error("invocation logs are not delivered", "err", err)
			}
		}
	}
}

// flush writes a file for each folder that something waits for. What cannot be
// written waits on.
func (l *InvocationLogs) flush() error {
	l.mu.Lock()
	all := l.waiting
	l.waiting, l.size = map[string][]byte{}, 0
	l.mu.Unlock()
	var errs []error
	for folder, lines := range all {
		if err := l.write(filepath.Join(folder, time.Now().UTC().Format("20060102T150405.000Z")+"_"+unique()+".json.gz"), lines); err != nil {
			errs = append(errs, err)
			l.mu.Lock()
			l.waiting[folder] = append(lines, l.waiting[folder]...)
			l.size += len(lines)
			l.failed = time.Now()
			l.mu.Unlock()
		}
	}
	return errors.Join(errs...)
}

func unique() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// write writes a compressed file; name is relative. AWS's names have no dot in
// their time.
func (l *InvocationLogs) write(name string, data []byte) error {
	dir, file := filepath.Split(name)
	if at, rest, ok := strings.Cut(file, "."); ok && len(at) == len("20060102T150405") {
		file = at + rest
	}
	dir = filepath.Join(l.dir, dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(data) //nolint:errcheck // into memory
	w.Close()     //nolint:errcheck // as above
	return durable.WriteFile(filepath.Join(dir, file), z.Bytes())
}

// logged is one call that is logged; nil if it is not.
type logged struct {
	logs   *InvocationLogs
	config *LogConfig
	began  time.Time

	input  value.Value
	output value.Value   // of a whole answer
	chunks []value.Value // of a stream
	size   int           // of chunks
	cut    bool          // chunks that came after the limit are left out
}

// begin is asked before a call.
func (l *InvocationLogs) begin(from From) *logged {
	c := l.Get(from.Region, from.Account)
	if c == nil {
		return nil
	}
	return &logged{logs: l, config: c, began: time.Now()}
}

// asked and answered are a call's body and its answer's.
func (x *logged) asked(body []byte) {
	if x != nil {
		x.input, _ = value.Parse(body) // a body that is no JSON never gets here
	}
}

func (x *logged) answered(body []byte) {
	if x != nil {
		x.output, _ = value.Parse(body)
	}
}

// said and heard are the same of a conversation.
func (x *logged) said(v value.Value) {
	if x != nil {
		x.input = v
	}
}

func (x *logged) heard(v value.Value) {
	if x != nil {
		x.output = v
	}
}

// piece and event are what streams are made of.
func (x *logged) piece(b []byte) {
	if x != nil {
		if v, err := value.Parse(b); err == nil {
			x.add(v, len(b))
		}
	}
}

func (x *logged) event(name string, v value.Value) {
	if x != nil {
		x.add(value.Object(value.Member{Key: name, Value: v}), len(name)+len(v.JSON()))
	}
}

func (x *logged) add(v value.Value, size int) {
	if x.size += size; x.size > maxLogStream {
		x.cut = true
		return
	}
	x.chunks = append(x.chunks, v)
}

// end writes the record of a call, however it ended.
func (x *logged) end(from From, name, modelID string, m *catalog.Model, res *bedrock.Result, metadata value.Value, code string) error {
	if x == nil {
		return nil
	}
	folder := filepath.Join(x.config.Bucket, filepath.FromSlash(x.config.Prefix), "AWSLogs", from.Account, "BedrockModelInvocationLogs", from.Region, x.began.UTC().Format("2006/01/02/15"))
	if x.chunks != nil {
		x.output = value.Array(x.chunks...)
		if strings.HasPrefix(name, "Converse") {
			x.output = assemble(x.chunks)
		}
	}
	full := x.config.Text
	if slices.Contains(m.Output, "EMBEDDING") {
		full = x.config.Vector
	}
	side := func(which string, body value.Value, counts ...value.Member) (value.Value, error) {
		out := []value.Member{{Key: which + "ContentType", Value: value.String("application/json")}}
		if full && !body.IsUndefined() {
			if !x.config.Media {
				body = withoutMedia(body)
			}
			body = body.Compact() // a record is one line
			if text := body.JSON(); len(text) <= maxLogBody {
				out = append(out, value.Member{Key: which + "BodyJson", Value: body})
			} else {
				file := filepath.Join(folder, "data", from.Meta.RequestID+"_"+which+".json.gz")
				if err := x.logs.write(file, []byte(text)); err != nil {
					return value.Value{}, err
				}
				key := strings.TrimPrefix(filepath.ToSlash(file), x.config.Bucket+"/")
				out = append(out, value.Member{Key: which + "BodyS3Path", Value: value.String("s3://" + x.config.Bucket + "/" + key)})
			}
		}
		return value.Object(append(out, counts...)...), nil
	}
	count := func(key string, n int) value.Member { return value.Member{Key: key, Value: value.Int(int64(n))} }
	var u bedrock.Usage
	region := ""
	if res != nil {
		u, region = res.Usage, cmp.Or(res.Region, strings.Join(res.Within, " or "))
	}
	in, err1 := side("input", x.input, count("inputTokenCount", u.Input), count("cacheReadInputTokenCount", u.CacheRead), count("cacheWriteInputTokenCount", u.CacheWrite))
	out, err2 := side("output", x.output, count("outputTokenCount", u.Output))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("invocation log of %s: %w", from.Meta.RequestID, err)
	}
	text := func(key, s string) value.Member {
		if s == "" {
			return value.Member{Key: key}
		}
		return value.Member{Key: key, Value: value.String(s)}
	}
	record := value.Object(
		text("timestamp", x.began.UTC().Format("2006-01-02T15:04:05Z")), text("accountId", from.Account),
		value.Member{Key: "identity", Value: value.Object(text("arn", from.By.ARN))},
		text("region", from.Region), text("requestId", from.Meta.RequestID), text("operation", name), text("modelId", modelID), text("inferenceRegion", region),
		value.Member{Key: "input", Value: in}, value.Member{Key: "output", Value: out}, value.Member{Key: "requestMetadata", Value: metadata.Compact()},
		text("errorCode", code), text("schemaType", "ModelInvocationLog"), text("schemaVersion", "1.0"))
	if x.cut {
		record = record.With("outputTruncated", value.Bool(true))
	}
	line := append(record.AppendJSON(nil), '\n')
	x.logs.mu.Lock()
	if x.logs.size+len(line) > x.logs.most {
		x.logs.mu.Unlock()
		return fmt.Errorf("invocation log of %s: %d bytes wait to be delivered already", from.Meta.RequestID, x.logs.most)
	}
	x.logs.waiting[folder] = append(x.logs.waiting[folder], line...)
	x.logs.size += len(line)
	much := x.logs.size > maxLogPending && time.Since(x.logs.failed) > logEvery
	x.logs.mu.Unlock()
	if much {
		return x.logs.flush()
	}
	return nil
}

// withoutMedia leaves out what looks like media in base64.
func withoutMedia(v value.Value) value.Value {
	switch v.Kind() {
	case value.KindString:
		if bedrock.IsMedia(v.Str()) {
			return value.String("")
		}
	case value.KindArray:
		items := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			items = append(items, withoutMedia(x))
		}
		return value.Array(items...)
	case value.KindObject:
		m := make([]value.Member, 0, v.Len())
		for k, x := range v.Members() {
			m = append(m, value.Member{Key: k, Value: withoutMedia(x)})
		}
		return value.Object(m...)
	}
	return v
}

// assemble is the message that ConverseStream's events make.
func assemble(events []value.Value) value.Value {
	type block struct {
		start, delta value.Value
		text, input  strings.Builder
	}
	var blocks []*block
	at := func(v value.Value) *block {
		n, _ := v.Get("contentBlockIndex").Int()
		n = min(max(n, 0), maxLogBlocks-1)
		for int64(len(blocks)) <= n {
			blocks = append(blocks, &block{})
		}
		return blocks[n]
	}
	var stop, usage, metrics value.Value
	for _, e := range events {
		m := e.Member(0)
		switch v := m.Value; m.Key {
		case "contentBlockStart":
			at(v).start = v.Get("start")
		case "contentBlockDelta":
			b, d := at(v), v.Get("delta")
			b.text.WriteString(d.Get("text").Str())
			b.text.WriteString(d.Get("reasoningContent").Get("text").Str())
			b.input.WriteString(d.Get("toolUse").Get("input").Str())
			if d.Has("reasoningContent") {
				b.delta = d
			}
		case "messageStop":
			stop = v.Get("stopReason")
		case "metadata":
			usage, metrics = v.Get("usage"), v.Get("metrics")
		}
	}
	content := make([]value.Value, len(blocks))
	object := func(key string, v value.Value) value.Value {
		return value.Object(value.Member{Key: key, Value: v})
	}
	for i, b := range blocks {
		text := object("text", value.String(b.text.String()))
		switch use := b.start.Get("toolUse"); {
		case !use.IsUndefined():
			in, err := value.ParseString(b.input.String())
			if err != nil {
				in = value.String(b.input.String())
			}
			content[i] = object("toolUse", use.With("input", in))
		case !b.delta.IsUndefined():
			content[i] = object("reasoningContent", object("reasoningText", text))
		default:
			content[i] = text
		}
	}
	message := value.Object(value.Member{Key: "role", Value: value.String("assistant")}, value.Member{Key: "content", Value: value.Array(content...)})
	return value.Object(value.Member{Key: "output", Value: object("message", message)}, value.Member{Key: "stopReason", Value: stop},
		value.Member{Key: "usage", Value: usage}, value.Member{Key: "metrics", Value: metrics})
}
