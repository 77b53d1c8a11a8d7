package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/probe"
	"tokaido/bedrock/catalog"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow/journal"
	"tokaido/trail"
)

var (
	line  = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	label = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

// scrape reads /metrics: samples by name and labels as they are written, and the
// names of the labels of each.
func scrape(t testing.TB, m *Metrics) (samples map[string]float64, labels map[string]map[string]bool) {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %s", w.Code, w.Header())
	}
	samples, labels = map[string]float64{}, map[string]map[string]bool{}
	helped := map[string]bool{}
	for l := range strings.Lines(w.Body.String()) {
		l = strings.TrimSuffix(l, "\n")
		if rest, ok := strings.CutPrefix(l, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			helped[name] = help != ""
			continue
		}
		if strings.HasPrefix(l, "#") {
			continue
		}
		p := line.FindStringSubmatch(l)
		if p == nil {
			t.Fatalf("not a sample: %s", l)
		}
		v, err := strconv.ParseFloat(p[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		key := p[1]
		if p[2] != "" {
			key += "{" + p[2] + "}"
		}
		samples[key] = v
		if labels[p[1]] == nil {
			labels[p[1]] = map[string]bool{}
		}
		for _, x := range label.FindAllStringSubmatch(p[2], -1) {
			labels[p[1]][x[1]] = true
		}
		base := p[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if b, ok := strings.CutSuffix(base, suffix); ok && helped[b] {
				base = b
			}
		}
		if !helped[base] {
			t.Errorf("%s has no HELP", base)
		}
	}
	return samples, labels
}

func plans(t testing.TB, ids ...string) []*bedrock.Plan {
	t.Helper()
	rt := bedrock.New(bedrock.Config{Backend: func(string, *catalog.Model) bedrock.Backend { return nil }})
	out := make([]*bedrock.Plan, len(ids))
	for i, id := range ids {
		p, err := rt.Plan("ap-northeast-1", "111122223333", id)
		if err != nil {
			t.Fatal(id, err)
		}
		out[i] = p
	}
	return out
}

const (
	claude = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	nova   = "amazon.nova-lite-v1:0"
)

func TestInferences(t *testing.T) {
	m := NewMetrics(Sources{Version: "1.2.3"})
	p := plans(t, "jp."+claude, nova)
	tokyo, osaka := []bedrock.Attempt{{Region: "ap-northeast-1", Outcome: bedrock.Served}}, []bedrock.Attempt{{Region: "ap-northeast-1", Outcome: bedrock.Throttled}, {Region: "ap-northeast-3", Outcome: bedrock.Served}}
	end := func(p *bedrock.Plan, r *bedrock.Result, err error) {
		m.Began(p)
		m.Ended(p, r, err)
	}
	end(p[0], &bedrock.Result{Region: "ap-northeast-1", Attempts: tokyo, Latency: 40 * time.Millisecond, Usage: bedrock.Usage{Input: 3, Output: 5, CacheRead: 7, CacheWrite: 9}}, nil)
	end(p[0], &bedrock.Result{Region: "ap-northeast-3", Attempts: osaka, Latency: 2 * time.Second, FirstByte: 200 * time.Millisecond, Usage: bedrock.Usage{Input: 10, Output: 100}}, nil)
	end(p[0], &bedrock.Result{Attempts: osaka[:1]}, bedrock.Fault("ThrottlingException", "Too many requests, please wait before trying again."))
	end(p[0], &bedrock.Result{Region: "ap-northeast-1", Attempts: []bedrock.Attempt{{Region: "ap-northeast-1", Outcome: bedrock.Cut}}}, bedrock.Fault("ModelStreamErrorException", "cut"))
	end(p[1], &bedrock.Result{}, bedrock.Fault("ValidationException", "the prompt said SECRET"))
	end(p[1], &bedrock.Result{}, context.Canceled)
	end(p[1], nil, errors.New("SECRET: panicked"))
	end(p[1], &bedrock.Result{}, bedrock.Fault("ServiceUnavailableException", "later"))
	m.Began(p[1])

	got, labels := scrape(t, m)
	jp := `model="` + claude + `",profile="jp.` + claude + `",region="ap-northeast-1"`
	own := `model="` + nova + `",profile="none",region="ap-northeast-1"`
	requests := func(inference, outcome, rest string) string {
		model, rest, _ := strings.Cut(rest, ",")
		return `tokaido_bedrock_requests_total{inference_region="` + inference + `",` + model + `,outcome="` + outcome + `",` + rest + `}`
	}
	tokens := func(kind string) string { return `tokaido_bedrock_tokens_total{kind="` + kind + `",` + jp + `}` }
	for key, want := range map[string]float64{
		requests("ap-northeast-1", "served", jp):                         1,
		requests("ap-northeast-3", "served", jp):                         1,
		requests("", "throttled", jp):                                    1,
		requests("ap-northeast-1", "cut", jp):                            1,
		requests("", "refused", own):                                     2,
		requests("", "failed", own):                                      2,
		tokens("input"):                                                  13,
		tokens("output"):                                                 105,
		tokens("cache_read"):                                             7,
		tokens("cache_write"):                                            9,
		`tokaido_bedrock_throttles_total{` + jp + `}`:                    1,
		`tokaido_bedrock_reroutes_total{` + jp + `}`:                     1,
		`tokaido_bedrock_in_flight{` + jp + `}`:                          0,
		`tokaido_bedrock_in_flight{` + own + `}`:                         1,
		`tokaido_bedrock_request_seconds_count{` + jp + `}`:              2,
		`tokaido_bedrock_request_seconds_sum{` + jp + `}`:                2.04,
		`tokaido_bedrock_request_seconds_bucket{` + jp + `,le="0.05"}`:   1,
		`tokaido_bedrock_first_byte_seconds_count{` + jp + `}`:           1,
		`tokaido_bedrock_first_byte_seconds_bucket{` + jp + `,le="0.1"}`: 0,
		`tokaido_build_info{version="1.2.3"}`:                            1,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", key, v, ok, want)
		}
	}
	known := map[string]string{
		"tokaido_bedrock_requests_total":            "inference_region model outcome profile region",
		"tokaido_bedrock_tokens_total":              "kind model profile region",
		"tokaido_bedrock_throttles_total":           "model profile region",
		"tokaido_bedrock_reroutes_total":            "model profile region",
		"tokaido_bedrock_in_flight":                 "model profile region",
		"tokaido_bedrock_request_seconds_bucket":    "le model profile region",
		"tokaido_bedrock_first_byte_seconds_bucket": "le model profile region",
	}
	for name, want := range known {
		if got := fmt.Sprint(labels[name]); got != "map["+strings.ReplaceAll(want, " ", ":true ")+":true]" {
			t.Errorf("labels of %s: %s", name, got)
		}
	}
	for key := range got {
		if strings.Contains(key, "SECRET") {
			t.Errorf("what a caller said is in a metric: %s", key)
		}
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total", "go_build_info"} {
		found := false
		for key := range got {
			found = found || strings.HasPrefix(key, name)
		}
		if !found {
			t.Errorf("no %s", name)
		}
	}
}

// What rooms count is read when asked, and says what they say.
func TestSources(t *testing.T) {
	m := NewMetrics(Sources{
		Lanes: func() []bedrock.Stats {
			return []bedrock.Stats{{Region: "ap-northeast-3", Model: claude, Served: 1, Throttled: 2, Failed: 3, Refused: 4, Cut: 5, Full: 6, InputTokens: 7, OutputTokens: 8, InFlight: 9, Latency: time.Second, Out: true}}
		},
		Journal: func() journal.Stats {
			s := journal.Stats{Opened: 1, Live: 2, Started: 3, Timers: 4, Tasks: 5, Events: 6, Commits: 7, Rows: 8}
			s.EndedAs[engine.TimedOut] = 9
			return s
		},
		Probes: func() []probe.Stats {
			return []probe.Stats{{Backend: "lab", Regions: []string{"ap-northeast-1", "us-east-1"}, Answered: 15, Failed: 1}, {Backend: "lab", Regions: []string{"ap-northeast-3"}, Down: true, Answered: 1, Failed: 16}}
		},
		Trail:      func() trail.Head { return trail.Head{Records: 11} },
		API:        func() awsapi.Stats { return awsapi.Stats{InFlight: 12, Held: 13, Rejected: 14} },
		Unobserved: func() (int64, int64) { return 18, 19 },
	})
	got, _ := scrape(t, m)
	lane := `inference_region="ap-northeast-3",model="` + claude + `"`
	for key, want := range map[string]float64{
		`tokaido_bedrock_attempts_total{` + lane + `,outcome="served"}`:                                               1,
		`tokaido_bedrock_attempts_total{` + lane + `,outcome="throttled"}`:                                            2,
		`tokaido_bedrock_attempts_total{` + lane + `,outcome="failed"}`:                                               3,
		`tokaido_bedrock_attempts_total{` + lane + `,outcome="refused"}`:                                              4,
		`tokaido_bedrock_attempts_total{` + lane + `,outcome="cut"}`:                                                  5,
		`tokaido_bedrock_attempts_total{` + lane + `,outcome="full"}`:                                                 6,
		`tokaido_bedrock_region_tokens_total{inference_region="ap-northeast-3",kind="input",model="` + claude + `"}`:  7,
		`tokaido_bedrock_region_tokens_total{inference_region="ap-northeast-3",kind="output",model="` + claude + `"}`: 8,
		`tokaido_bedrock_region_in_flight{` + lane + `}`:                                                              9,
		`tokaido_bedrock_region_latency_seconds{` + lane + `}`:                                                        1,
		`tokaido_bedrock_region_out{` + lane + `}`:                                                                    1,
		`tokaido_bedrock_backend_up{backend="lab",inference_region="ap-northeast-1"}`:                                 1,
		`tokaido_bedrock_backend_up{backend="lab",inference_region="us-east-1"}`:                                      1,
		`tokaido_bedrock_backend_up{backend="lab",inference_region="ap-northeast-3"}`:                                 0,
		`tokaido_bedrock_probes_total{backend="lab",outcome="answered"}`:                                              16,
		`tokaido_bedrock_probes_total{backend="lab",outcome="failed"}`:                                                17,
		`tokaido_executions_open`:                            1,
		`tokaido_executions_in_memory`:                       2,
		`tokaido_executions_started_total`:                   3,
		`tokaido_executions_ended_total{status="TIMED_OUT"}`: 9,
		`tokaido_executions_ended_total{status="SUCCEEDED"}`: 0,
		`tokaido_flow_timers`:                                4,
		`tokaido_flow_tasks`:                                 5,
		`tokaido_flow_events_total`:                          6,
		`tokaido_flow_commits_total`:                         7,
		`tokaido_flow_rows_total`:                            8,
		`tokaido_flow_events_left_out_total{of="logs"}`:      18,
		`tokaido_flow_events_left_out_total{of="traces"}`:    19,
		`tokaido_trail_records_total`:                        11,
		`tokaido_api_in_flight`:                              12,
		`tokaido_api_held_bytes`:                             13,
		`tokaido_api_rejected_total`:                         14,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", key, v, ok, want)
		}
	}
}

func TestCalls(t *testing.T) {
	m := NewMetrics(Sources{})
	op := &awsapi.Op{Service: "states", Name: "StartExecution"}
	m.Answered(awsapi.Answered{Op: op, Outcome: awsapi.OutcomeOK, Took: 3 * time.Millisecond})
	m.Answered(awsapi.Answered{Op: op, Outcome: awsapi.OutcomeDenied, Took: time.Millisecond})
	m.Answered(awsapi.Answered{Outcome: awsapi.OutcomeRefused, Took: time.Millisecond})
	got, _ := scrape(t, m)
	for key, want := range map[string]float64{
		`tokaido_api_requests_total{operation="StartExecution",outcome="ok",service="states"}`:       1,
		`tokaido_api_requests_total{operation="StartExecution",outcome="denied",service="states"}`:   1,
		`tokaido_api_requests_total{operation="unknown",outcome="refused",service="unknown"}`:        1,
		`tokaido_api_request_seconds_count{operation="StartExecution",service="states"}`:             2,
		`tokaido_api_request_seconds_bucket{operation="StartExecution",service="states",le="0.001"}`: 1,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", key, v, ok, want)
		}
	}
}

type records struct {
	mu   sync.Mutex
	list []*trail.Record
	err  error
}

func (r *records) Append(_ context.Context, rec *trail.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, rec)
	return r.err
}

func TestRecorder(t *testing.T) {
	m := NewMetrics(Sources{})
	log := &records{}
	r := m.Recorder(log)
	for _, rec := range []*trail.Record{
		{Source: "bedrock.amazonaws.com", Phase: trail.Intent},
		{Source: "bedrock.amazonaws.com", ErrorCode: "AccessDenied"},
		{Source: "states.amazonaws.com", Relaxed: true},
	} {
		if err := r.Append(t.Context(), rec); err != nil {
			t.Error(err)
		}
	}
	log.err = errors.New("the disk is full")
	if err := r.Append(t.Context(), &trail.Record{}); !errors.Is(err, log.err) || len(log.list) != 4 {
		t.Error(err, len(log.list))
	}
	got, _ := scrape(t, m)
	for key, want := range map[string]float64{
		`tokaido_trail_append_seconds_count{waits_for="disk"}`:  3,
		`tokaido_trail_append_seconds_count{waits_for="place"}`: 1,
		`tokaido_denied_total{service="bedrock"}`:               1,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

// However many combinations there are, only so many series are kept.
func TestBounded(t *testing.T) {
	m := NewMetrics(Sources{})
	for i := range MaxSeries + 10 {
		m.Answered(awsapi.Answered{Op: &awsapi.Op{Service: "s", Name: strconv.Itoa(i)}, Outcome: awsapi.OutcomeOK, Took: 1})
	}
	got, _ := scrape(t, m)
	n := 0
	for key := range got {
		if strings.HasPrefix(key, "tokaido_api_requests_total{") {
			n++
		}
	}
	if v := got[`tokaido_api_requests_total{operation="other",outcome="ok",service="other"}`]; n != MaxSeries+1 || v != 10 {
		t.Errorf("%d series, %v in the last", n, v)
	}
}

// Names and texts follow Prometheus' rules.
func TestLint(t *testing.T) {
	m := NewMetrics(Sources{Lanes: func() []bedrock.Stats { return []bedrock.Stats{{}} }, Journal: func() journal.Stats { return journal.Stats{} },
		Probes: func() []probe.Stats { return []probe.Stats{{Backend: "x", Regions: []string{"y"}}} }, Trail: func() trail.Head { return trail.Head{} }, API: func() awsapi.Stats { return awsapi.Stats{} },
		Unobserved: func() (int64, int64) { return 0, 0 }})
	p := plans(t, nova)[0]
	m.Began(p)
	m.Ended(p, &bedrock.Result{}, &fault.Error{Kind: fault.Throttle})
	m.Answered(awsapi.Answered{Outcome: awsapi.OutcomeOK})
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestConcurrent(t *testing.T) {
	m := NewMetrics(Sources{})
	p := plans(t, "jp."+claude, "apac.anthropic.claude-sonnet-4-20250514-v1:0", nova)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 300 {
				m.Began(p[i%3])
				m.Ended(p[i%3], &bedrock.Result{Region: "ap-northeast-1", Latency: time.Millisecond}, nil)
			}
		})
	}
	wg.Wait()
	got, _ := scrape(t, m)
	for _, x := range p {
		k := keyOf(x)
		if v := got[fmt.Sprintf("tokaido_bedrock_request_seconds_count{model=%q,profile=%q,region=%q}", k.model, k.profile, k.region)]; v != 800 {
			t.Errorf("%v: %v", k, v)
		}
	}
}

// BenchmarkRequest is all that one InvokeModel costs: the inference, the request
// and two records.
func BenchmarkRequest(b *testing.B) {
	m := NewMetrics(Sources{})
	p := plans(b, "jp."+claude)[0]
	res := &bedrock.Result{Region: "ap-northeast-1", Attempts: []bedrock.Attempt{{Region: "ap-northeast-1", Outcome: bedrock.Served}}, Latency: 40 * time.Millisecond, FirstByte: time.Millisecond, Usage: bedrock.Usage{Input: 3, Output: 5}}
	answered := awsapi.Answered{Op: &awsapi.Op{Service: "bedrock", Name: "InvokeModel"}, Outcome: awsapi.OutcomeOK, Took: time.Millisecond}
	r := m.Recorder(nothing{})
	intent, outcome := &trail.Record{Phase: trail.Intent}, &trail.Record{Phase: trail.Outcome}
	b.ReportAllocs()
	for b.Loop() {
		m.Began(p)
		r.Append(b.Context(), intent)
		r.Append(b.Context(), outcome)
		m.Ended(p, res, nil)
		m.Answered(answered)
	}
}

type nothing struct{}

func (nothing) Append(context.Context, *trail.Record) error { return nil }
