package telemetry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	process "github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/probe"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow/journal"
	"tokaido/gate"
	"tokaido/trail"
)

// Metrics counts what the server does, for Prometheus. Labels are names that the
// server knows (models, system-defined and operator-defined profiles, Regions,
// operations) and constants of ours: never anything that a client can make up,
// and never a prompt.
//
// What rooms count by themselves is read when somebody asks; only what nobody
// counts yet is counted here, as it happens.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	seconds   *prometheus.HistogramVec
	firstByte *prometheus.HistogramVec
	requests  *prometheus.CounterVec
	tokens    *prometheus.CounterVec
	throttled *prometheus.CounterVec
	rerouted  *prometheus.CounterVec
	inFlight  *prometheus.GaugeVec

	calls       *prometheus.CounterVec
	callSeconds *prometheus.HistogramVec

	appendSeconds *prometheus.HistogramVec
	denied        *prometheus.CounterVec

	routes cache[routeKey, *routeSeries]
	ops    cache[callKey, callSeries]
	kept   cache[string, prometheus.Counter] // denied, by service
	waited [2]prometheus.Observer            // appendSeconds: relaxed, durable
}

// MaxSeries is how many combinations of labels one part of the metrics keeps.
// Calls beyond it are counted under the label "other".
const MaxSeries = 4096

const other = "other"

// noProfile is the profile of a model that is called by its own id.
const noProfile = "none"

// maxScrapes is how many scrapes are answered at a time.
const maxScrapes = 4

// Bounds of histograms, in seconds.
var (
	inferenceBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}
	callBuckets      = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 300}
	appendBuckets    = []float64{.00001, .0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 10, 30}
)

// Sources is what Metrics reads when it is asked. Each may be nil.
type Sources struct {
	Version string
	Lanes   func() []bedrock.Stats
	Probes  func() []probe.Stats
	Journal func() journal.Stats
	Trail   func() trail.Head
	API     func() awsapi.Stats

	// Unobserved is how many events were left out of execution logs and of traces,
	// because what writes them was too slow.
	Unobserved func() (logs, traces int64)
}

// NewMetrics makes the metrics of one server.
func NewMetrics(from Sources) *Metrics {
	route := []string{"model", "profile", "region"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		requests: counter("tokaido_bedrock_requests_total",
			"Inferences by model, profile, source Region, the Region that answered, and outcome. CloudWatch: Invocations (served), InvocationClientErrors (refused), InvocationServerErrors (failed, cut).",
			append(route, "inference_region", "outcome")...),
		tokens: counter("tokaido_bedrock_tokens_total",
			"Tokens by kind: input, output, cache_read, cache_write. CloudWatch: InputTokenCount, OutputTokenCount, CacheReadInputTokenCount, CacheWriteInputTokenCount.",
			append(route, "kind")...),
		throttled: counter("tokaido_bedrock_throttles_total",
			"Inferences that were answered with throttling because every Region of the profile was full. CloudWatch: InvocationThrottles.", route...),
		rerouted: counter("tokaido_bedrock_reroutes_total",
			"Inferences that involved another Region than the source Region: it was tried, or passed over.", route...),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tokaido_bedrock_in_flight", Help: "Inferences under way."}, route),
		seconds: histogram("tokaido_bedrock_request_seconds",
			"Time of a served inference from the first attempt to the last byte. CloudWatch: InvocationLatency, in milliseconds.", inferenceBuckets, route...),
		firstByte: histogram("tokaido_bedrock_first_byte_seconds",
			"Time of a served stream from the first attempt to the first chunk. CloudWatch: TimeToFirstToken, in milliseconds.", inferenceBuckets, route...),

		calls: counter("tokaido_api_requests_total",
			"Requests to the AWS APIs by service, operation and outcome: ok, denied, throttled, refused, failed, gone.", "service", "operation", "outcome"),
		callSeconds: histogram("tokaido_api_request_seconds",
			"Time of a request to the AWS APIs, from its headers to the last byte of the answer.", callBuckets, "service", "operation"),

		appendSeconds: histogram("tokaido_trail_append_seconds",
			"Time that a call waited for its record: until it was on the disk, or (relaxed) until it had its place in the log.", appendBuckets, "waits_for"),
		denied: counter("tokaido_denied_total", "Calls that IAM policies did not allow, by service; Tasks' calls too.", "service"),
	}
	m.waited = [2]prometheus.Observer{m.appendSeconds.WithLabelValues("place"), m.appendSeconds.WithLabelValues("disk")}

	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tokaido_build_info", Help: "1, labelled with the version of the program.", ConstLabels: prometheus.Labels{"version": from.Version},
	})
	build.Set(1)
	r.MustRegister(m.requests, m.tokens, m.throttled, m.rerouted, m.inFlight, m.seconds, m.firstByte,
		m.calls, m.callSeconds, m.appendSeconds, m.denied, build, newReader(from),
		process.NewBuildInfoCollector(), process.NewGoCollector(), process.NewProcessCollector(process.ProcessCollectorOpts{}))
	m.registry = r
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	return m
}

// ServeHTTP answers a scrape.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// cache finds the series of a key without making them again for every call.
type cache[K comparable, V any] struct {
	mu  sync.RWMutex
	all map[K]V // guarded by mu
}

// get returns what make makes for k; for rest if there are too many.
func (c *cache[K, V]) get(k, rest K, make func(K) V) V {
	c.mu.RLock()
	v, ok := c.all[k]
	c.mu.RUnlock()
	if ok {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.all[k]; ok {
		return v
	}
	if len(c.all) >= MaxSeries {
		k = rest
		if v, ok := c.all[k]; ok {
			return v
		}
	}
	if c.all == nil {
		c.all = map[K]V{}
	}
	v = make(k)
	c.all[k] = v
	return v
}

type routeKey struct{ model, profile, region string }

// routeSeries are the series of a model through a profile from a Region.
type routeSeries struct {
	inFlight            prometheus.Gauge
	seconds, firstByte  prometheus.Observer
	throttled, rerouted prometheus.Counter
	tokens              [4]prometheus.Counter // in the order of a bedrock.Usage
	ended               cache[endKey, prometheus.Counter]
}

type endKey struct {
	region  string
	outcome string
}

func keyOf(p *bedrock.Plan) routeKey {
	k := routeKey{p.ModelID, noProfile, p.Region}
	if p.Profile != nil {
		k.profile = p.Profile.ID
	}
	return k
}

func (m *Metrics) route(p *bedrock.Plan) (routeKey, *routeSeries) {
	k := keyOf(p)
	return k, m.routes.get(k, routeKey{other, other, other}, func(k routeKey) *routeSeries {
		s := &routeSeries{
			inFlight: m.inFlight.WithLabelValues(k.model, k.profile, k.region),
			seconds:  m.seconds.WithLabelValues(k.model, k.profile, k.region), firstByte: m.firstByte.WithLabelValues(k.model, k.profile, k.region),
			throttled: m.throttled.WithLabelValues(k.model, k.profile, k.region), rerouted: m.rerouted.WithLabelValues(k.model, k.profile, k.region),
		}
		for i, kind := range []string{"input", "output", "cache_read", "cache_write"} {
			s.tokens[i] = m.tokens.WithLabelValues(k.model, k.profile, k.region, kind)
		}
		return s
	})
}

// Began implements [connector.Observer].
func (m *Metrics) Began(p *bedrock.Plan) {
	_, s := m.route(p)
	s.inFlight.Inc()
}

// Ended implements [connector.Observer].
func (m *Metrics) Ended(p *bedrock.Plan, r *bedrock.Result, err error) {
	k, s := m.route(p)
	s.inFlight.Dec()
	if r == nil {
		r = &bedrock.Result{}
	}
	how := outcomeOf(r, err)
	s.ended.get(endKey{r.Region, how}, endKey{other, how}, func(e endKey) prometheus.Counter {
		return m.requests.WithLabelValues(k.model, k.profile, k.region, e.region, e.outcome)
	}).Inc()
	switch how {
	case "throttled":
		s.throttled.Inc()
	case "served":
		s.seconds.Observe(r.Latency.Seconds())
		if r.FirstByte > 0 {
			s.firstByte.Observe(r.FirstByte.Seconds())
		}
	}
	if r.Rerouted(p) {
		s.rerouted.Inc()
	}
	for i, n := range [...]int{r.Usage.Input, r.Usage.Output, r.Usage.CacheRead, r.Usage.CacheWrite} {
		if n > 0 {
			s.tokens[i].Add(float64(n))
		}
	}
}

// outcomeOf says how an inference ended.
func outcomeOf(r *bedrock.Result, err error) string {
	if err == nil {
		return "served"
	}
	if slices.ContainsFunc(r.Attempts, func(a bedrock.Attempt) bool { return a.Outcome == bedrock.Cut }) { // with hedging it need not be the last
		return "cut"
	}
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case ok && f.Kind == fault.Throttle:
		return "throttled"
	case ok && f.Kind == fault.Client, errors.Is(err, context.Canceled):
		return "refused"
	}
	return "failed"
}

type callKey struct{ service, operation, outcome string }

type callSeries struct {
	count   prometheus.Counter
	seconds prometheus.Observer
}

// Answered counts a request to the AWS APIs.
func (m *Metrics) Answered(a awsapi.Answered) {
	k := callKey{"unknown", "unknown", string(a.Outcome)}
	if a.Op != nil {
		k.service, k.operation = a.Op.Service, a.Op.Name
	}
	s := m.ops.get(k, callKey{other, other, k.outcome}, func(k callKey) callSeries {
		return callSeries{m.calls.WithLabelValues(k.service, k.operation, k.outcome), m.callSeconds.WithLabelValues(k.service, k.operation)}
	})
	s.count.Inc()
	s.seconds.Observe(a.Took.Seconds())
}

// Recorder is a log whose appends are measured.
func (m *Metrics) Recorder(log gate.Recorder) gate.Recorder { return recorder{m, log} }

type recorder struct {
	m   *Metrics
	log gate.Recorder
}

// Append implements [gate.Recorder].
func (r recorder) Append(ctx context.Context, rec *trail.Record) error {
	began := time.Now()
	err := r.log.Append(ctx, rec)
	i := 1
	if rec.Relaxed {
		i = 0
	}
	r.m.waited[i].Observe(time.Since(began).Seconds())
	if rec.ErrorCode == "AccessDenied" && rec.Phase != trail.Outcome {
		r.m.kept.get(strings.TrimSuffix(rec.Source, ".amazonaws.com"), other, func(service string) prometheus.Counter {
			return r.m.denied.WithLabelValues(service)
		}).Inc()
	}
	return err
}

// reader turns what rooms count by themselves into metrics when asked.
type reader struct {
	from  Sources
	descs map[string]*prometheus.Desc
}

func newReader(from Sources) *reader {
	r := &reader{from: from, descs: map[string]*prometheus.Desc{}}
	add := func(name, help string, labels ...string) { r.descs[name] = prometheus.NewDesc(name, help, labels, nil) }
	add(laneAttempts, "Attempts to run an inference in a Region, by how they ended; full: there was no room when a call was routed.", "model", "inference_region", "outcome")
	add(laneTokens, "Tokens that a model used in a Region, by kind: input, output.", "model", "inference_region", "kind")
	add(laneInFlight, "Attempts under way in a Region.", "model", "inference_region")
	add(laneLatency, "How long a model took in a Region of late, as routing weighs it: to the first chunk for streams.", "model", "inference_region")
	add(laneOut, "1 while a Region is passed over because it throttled or failed, or does not answer probes.", "model", "inference_region")
	add(backendUp, "1 while a backend answers probes of a Region, 0 while it does not.", "backend", "inference_region")
	add(probesMade, "Probes of a backend, by outcome: answered, failed.", "backend", "outcome")
	add(executionsOpen, "Executions that have not ended, in memory or not.")
	add(executionsLive, "Executions in memory.")
	add(executionsStarted, "Executions begun by this process. CloudWatch: ExecutionsStarted.")
	add(executionsEnded, "Executions that ended, by status; redriven ones count each time. CloudWatch: ExecutionsSucceeded, ExecutionsFailed, ExecutionsTimedOut, ExecutionsAborted.", "status")
	add(flowTimers, "Timers that are set.")
	add(flowTasks, "Tasks under way, or waiting for a slot.")
	add(flowEvents, "Events that were decided.")
	add(flowCommits, "Durable writes of the journal.")
	add(flowUnobserved, "Events that execution logs or traces left out because what writes them was too slow.", "of")
	add(flowRows, "Rows in durable writes of the journal.")
	add(trailRecords, "Number of the last durable record of the trail, those of earlier processes included: its rate is records per second.")
	add(apiInFlight, "Requests to the AWS APIs under way.")
	add(apiHeld, "Bytes of request bodies in memory.")
	add(apiRejected, "Requests whose signature or key was not accepted.")
	return r
}

// What reader gives.
const (
	laneAttempts      = "tokaido_bedrock_attempts_total"
	laneTokens        = "tokaido_bedrock_region_tokens_total"
	laneInFlight      = "tokaido_bedrock_region_in_flight"
	laneLatency       = "tokaido_bedrock_region_latency_seconds"
	laneOut           = "tokaido_bedrock_region_out"
	backendUp         = "tokaido_bedrock_backend_up"
	probesMade        = "tokaido_bedrock_probes_total"
	executionsOpen    = "tokaido_executions_open"
	executionsLive    = "tokaido_executions_in_memory"
	executionsStarted = "tokaido_executions_started_total"
	executionsEnded   = "tokaido_executions_ended_total"
	flowTimers        = "tokaido_flow_timers"
	flowTasks         = "tokaido_flow_tasks"
	flowEvents        = "tokaido_flow_events_total"
	flowCommits       = "tokaido_flow_commits_total"
	flowUnobserved    = "tokaido_flow_events_left_out_total"
	flowRows          = "tokaido_flow_rows_total"
	trailRecords      = "tokaido_trail_records_total"
	apiInFlight       = "tokaido_api_in_flight"
	apiHeld           = "tokaido_api_held_bytes"
	apiRejected       = "tokaido_api_rejected_total"
)

// Describe implements [prometheus.Collector].
func (r *reader) Describe(out chan<- *prometheus.Desc) {
	for _, d := range r.descs {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (r *reader) Collect(out chan<- prometheus.Metric) {
	give := func(name string, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(r.descs[name], kind, v, labels...)
	}
	count := func(name string, n int64, labels ...string) {
		give(name, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(name string, v float64, labels ...string) { give(name, prometheus.GaugeValue, v, labels...) }
	if r.from.Lanes != nil {
		// Models and Regions of the catalog: the calls for others find no lane.
		for _, s := range r.from.Lanes() {
			for _, by := range [...]struct {
				how bedrock.Outcome
				n   int64
			}{
				{bedrock.Served, s.Served}, {bedrock.Throttled, s.Throttled}, {bedrock.Failed, s.Failed},
				{bedrock.Refused, s.Refused}, {bedrock.Cut, s.Cut}, {bedrock.Lost, s.Lost}, {bedrock.Full, s.Full},
			} {
				count(laneAttempts, by.n, s.Model, s.Region, string(by.how))
			}
			count(laneTokens, s.InputTokens, s.Model, s.Region, "input")
			count(laneTokens, s.OutputTokens, s.Model, s.Region, "output")
			gauge(laneInFlight, float64(s.InFlight), s.Model, s.Region)
			gauge(laneLatency, s.Latency.Seconds(), s.Model, s.Region)
			out := 0.0
			if s.Out {
				out = 1
			}
			gauge(laneOut, out, s.Model, s.Region)
		}
	}
	if r.from.Probes != nil {
		type made struct{ answered, failed int64 }
		all := map[string]made{} // by backend; one may be several servers
		for _, s := range r.from.Probes() {
			m := all[s.Backend]
			all[s.Backend] = made{m.answered + s.Answered, m.failed + s.Failed}
			up := 1.0
			if s.Down {
				up = 0
			}
			for _, region := range s.Regions {
				gauge(backendUp, up, s.Backend, region)
			}
		}
		for backend, m := range all {
			count(probesMade, m.answered, backend, "answered")
			count(probesMade, m.failed, backend, "failed")
		}
	}
	if r.from.Journal != nil {
		s := r.from.Journal()
		gauge(executionsOpen, float64(s.Opened))
		gauge(executionsLive, float64(s.Live))
		count(executionsStarted, s.Started)
		for status := engine.Succeeded; status <= engine.PendingRedrive; status++ {
			count(executionsEnded, s.EndedAs[status], status.String())
		}
		gauge(flowTimers, float64(s.Timers))
		gauge(flowTasks, float64(s.Tasks))
		count(flowEvents, s.Events)
		count(flowCommits, s.Commits)
		count(flowRows, s.Rows)
	}
	if r.from.Unobserved != nil {
		logs, traces := r.from.Unobserved()
		count(flowUnobserved, logs, "logs")
		count(flowUnobserved, traces, "traces")
	}
	if r.from.Trail != nil {
		give(trailRecords, prometheus.CounterValue, float64(r.from.Trail().Records))
	}
	if r.from.API != nil {
		s := r.from.API()
		gauge(apiInFlight, float64(s.InFlight))
		gauge(apiHeld, float64(s.Held))
		count(apiRejected, s.Rejected)
	}
}
