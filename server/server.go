// Package server builds every room from one Config and owns their lifetimes. It
// is the only package that knows all of them.
package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/accessanalyzer"
	"tokaido/awsapi/bedrockctl"
	"tokaido/awsapi/bedrockrt"
	"tokaido/awsapi/cloudtrail"
	"tokaido/awsapi/iamctl"
	"tokaido/awsapi/organizations"
	"tokaido/awsapi/s3"
	"tokaido/awsapi/sfn"
	"tokaido/awsapi/sts"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/probe"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/connector"
	"tokaido/console"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/gate"
	"tokaido/internal/durable"
	"tokaido/internal/linefile"
	"tokaido/principal"
	"tokaido/store/memory"
	"tokaido/store/pebble"
	"tokaido/telemetry"
	"tokaido/trail"
	"tokaido/value"
)

// What the data directory holds.
const (
	RootKeyFile = "root-key.json"
	TrailDir    = "trail"
	databaseDir = "db"

	invocationsDir = "invocation-logs"

	executionLogs = "executions.jsonl"
	tracesFile    = "traces.jsonl"
)

// The well-known key of a development server.
const devKey, devSecret = "test", "test"

// closeTimeout is how long tasks that run may take to end at the end.
const closeTimeout = 10 * time.Second

// store is what every room keeps.
type store interface {
	Principals() principal.Store
	Flow() flow.Store
	Journal() journal.Log
	Close() error
}

// Key is an access key.
type Key struct {
	AccessKeyID string `json:"AccessKeyId"`
	Secret      string `json:"SecretAccessKey"`
}

// Server is everything, built.
type Server struct {
	Account string
	RootKey Key  // set if NewKey
	NewKey  bool // the root key was made by this start

	people   *principal.Directory
	audit    *trail.Log
	backends *backends
	probes   *probe.Watch
	runtime  *bedrock.Runtime
	machines *flow.Service
	api      *awsapi.Server
	metrics  *metrics // nil: off
	console  *console.Console
	driver   *journal.Driver
	logs     *flow.Logs
	traces   *flow.Traces
	draining atomic.Bool
	closers  []func() error // in order of building
}

// New builds the server and lets the executions that it finds go on.
func New(ctx context.Context, cfg Config, logger *slog.Logger) (s *Server, err error) {
	s = new(Server)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return s, err
	}
	kept, err := openStore(cfg, logger)
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, kept.Close)

	control, err := cfg.Organization.control()
	if err != nil {
		return s, err
	}
	people, err := principal.Open(ctx, kept.Principals(), principal.Options{Account: cfg.Account, Control: control})
	if err != nil {
		return s, err
	}
	s.people, s.Account = people, people.Account()
	if err := s.bootstrap(ctx, people, cfg); err != nil {
		return s, err
	}

	audit, receipts, err := s.openTrail(cfg, logger)
	if err != nil {
		return s, err
	}
	s.audit = audit
	s.closers = append(s.closers, audit.Close)
	files, err := s.openDelivery(cfg, audit, logger)
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, files.Close)
	s.metrics = s.openMetrics(cfg)
	guard := gate.New(s.metrics.recorder(audit), logger)
	if cfg.Trail.Inferences == inferencesGrouped {
		guard.GroupInferences()
		s.closers = append(s.closers, func() error { guard.Wait(); return nil }) // before the trail is closed
	}

	models, err := cfg.Catalog()
	if err != nil {
		return s, err
	}
	inference, tracing, err := s.openInference(ctx, &cfg, kept, models, receipts, guard, logger)
	if err != nil {
		return s, err
	}
	if err := s.openFlow(ctx, &cfg, kept, inference, tracing, logger); err != nil {
		return s, err
	}

	var answered func(awsapi.Answered)
	if s.metrics != nil {
		answered = s.metrics.Answered
	}
	s.api, err = awsapi.New(awsapi.Config{
		OnAnswered:    answered,
		Directory:     people,
		Gate:          guard,
		Logger:        logger,
		DefaultRegion: cmp.Or(cfg.Region, DefaultRegion),
		ValidRegion:   func(region string) bool { _, ok := models.Region(region); return ok },
		OnRejected:    func(ctx context.Context, r awsapi.Rejected) { reject(ctx, audit, logger, s.Account, r) },
		Ops: slices.Concat(
			sfn.Ops(s.machines), bedrockrt.Ops(inference), bedrockctl.Telling(bedrockctl.Ops(s.runtime), models, s.backends.tell(new(health), s.probes)), bedrockctl.LoggingOps(inference.Logs),
			iamctl.Ops(people, audit), organizations.Ops(people), sts.Ops(people, guard), sts.DecodeOps(audit), accessanalyzer.Ops(),
			cloudtrail.Ops(audit, cloudtrail.Options{LookupsPerSecond: cfg.Trail.LookupsPerSecond}), cloudtrail.TrailOps(files), cloudtrail.ProofOps(trail.NewProver(audit), publicKeys(receipts, cfg)), s3.Ops(files),
		),
	})
	if err != nil {
		return s, err
	}
	page := console.Config{Directory: people, Gate: guard, Logger: logger, Version: cfg.Version}
	if cfg.Dev {
		page.Dev = s.root() // whom test/test stands for
	}
	s.console, err = console.New(page)
	return s, err
}

// openInference makes what models are called with, for clients and Tasks alike.
func (s *Server) openInference(ctx context.Context, cfg *Config, kept store, models *catalog.Catalog, receipts *trail.Receipts, guard *gate.Gate, logger *slog.Logger) (
	*connector.Inference, *telemetry.Tracing, error,
) {
	var err error
	if s.backends, err = newBackends(ctx, cfg, models); err != nil {
		return nil, nil, err
	}
	applications, err := bedrock.OpenProfiles(ctx, part{kept.Flow(), profilePrefix}, models)
	if err != nil {
		return nil, nil, err
	}
	s.runtime = bedrock.New(bedrock.Config{Catalog: models, Backend: s.backends.For, Limits: cfg.limits, Hedge: cfg.Bedrock.HedgeAfter, Applications: applications})
	s.probes = probe.Start(ctx, s.runtime, s.backends.probed(), logger)
	s.closers = append(s.closers, s.probes.Close)
	invocations, err := connector.OpenInvocationLogs(ctx, cmp.Or(cfg.InvocationLogs, filepath.Join(cfg.DataDir, invocationsDir)), part{kept.Flow(), loggingPrefix}, logger)
	if err != nil {
		return nil, nil, err
	}
	s.closers = append(s.closers, invocations.Close)
	tracing, err := s.openTracing(ctx, cfg, logger)
	if err != nil {
		return nil, nil, err
	}
	inference := &connector.Inference{Gate: guard, Runtime: s.runtime, Logs: invocations, Receipts: receipts, Tracer: tracing}
	if s.metrics != nil {
		inference.Observer = s.metrics
	}
	return inference, tracing, nil
}

// openFlow makes what machines and executions need, and lets the executions that
// it finds go on.
func (s *Server) openFlow(ctx context.Context, cfg *Config, kept store, inference *connector.Inference, tracing *telemetry.Tracing, logger *slog.Logger) error {
	tasks := connector.Table{}
	(&connector.Bedrock{Inference: inference, Roles: s.people}).AddTo(tasks)
	(&connector.Lambda{Endpoint: cfg.Endpoints.Lambda, Credentials: cfg.credentials, Gate: inference.Gate, Roles: s.people}).AddTo(tasks)
	connections, err := cfg.connections()
	if err != nil {
		return err
	}
	(&connector.HTTP{Connections: connections, Gate: inference.Gate, Roles: s.people}).AddTo(tasks)
	nested := connector.NewStates(inference.Gate, s.people)
	nested.AddTo(tasks)
	var mocks *connector.Mocks
	if cfg.Mocks != "" {
		if mocks, err = connector.ReadMocks(cfg.Mocks); err != nil {
			return fmt.Errorf("mocks: %w", err)
		}
	}

	library := flow.NewLibrary(kept.Flow())
	logged, err := s.executionLogs(*cfg)
	if err != nil {
		return err
	}
	s.logs = flow.NewLogs(library, logged, logger)
	s.closers = append(s.closers, s.logs.Close)
	s.traces = flow.NewTraces(library, tracing, logger)
	s.closers = append(s.closers, s.traces.Close)
	s.driver, err = journal.Open(ctx, journal.Config{
		Log: kept.Journal(), Programs: library, Invoker: mocks.Over(tasks), Permit: nested.Permit, Logger: logger, Limits: cfg.Limits.flow(),
		Observe: func(x *flow.Execution, events []engine.Event) {
			if cfg.observe != nil {
				cfg.observe(x, events)
			}
			s.logs.Observe(x, events)
			s.traces.Observe(x, events)
		},
		Observes: func(r flow.Revision) bool { return cfg.observe != nil || s.logs.Wants(r) || s.traces.Wants(r) },
	})
	if err != nil {
		return err
	}
	s.traces.Bind(s.driver)
	s.closers = append(s.closers, func() error {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return s.driver.Close(ending)
	})
	s.machines, err = flow.Open(ctx, flow.Config{
		Store: kept.Flow(), Library: library, Driver: s.driver, Invoker: tasks, Logs: s.logs, Traces: s.traces, Limits: cfg.Limits.flow(), Logger: logger, TestCase: mocks.TestCase,
		CheckRole: s.checkRole,
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.machines.Close)
	nested.Bind(s.machines)
	return nil
}

func (s *Server) root() string { return "arn:aws:iam::" + s.Account + ":root" }

// ConsolePath is what a browser opens to use the console as the root user: at a
// development server just the console, else a path that signs in once, within
// the next minutes. It is "" where the console was not built.
func (s *Server) ConsolePath(dev bool) (string, error) {
	switch {
	case !s.console.Built():
		return "", nil
	case dev:
		return console.Prefix, nil
	}
	return s.console.Link(s.root())
}

// executionLogs opens what the events of executions are logged to.
func (s *Server) executionLogs(cfg Config) (io.Writer, error) {
	f, err := linefile.Open(cmp.Or(cfg.ExecutionLogs, filepath.Join(cfg.DataDir, executionLogs)), cfg.LogFiles.lines())
	if err != nil {
		return nil, fmt.Errorf("executionLogs: %w", err)
	}
	s.closers = append(s.closers, f.Close)
	return f, nil
}

func openStore(cfg Config, logger *slog.Logger) (store, error) {
	if cfg.Store == "memory" {
		return memory.New(), nil
	}
	return pebble.Open(filepath.Join(cfg.DataDir, databaseDir), pebble.Options{Logger: logger})
}

// bootstrap makes sure that somebody can sign in.
func (s *Server) bootstrap(ctx context.Context, people *principal.Directory, cfg Config) error {
	id, secret, created, err := people.Bootstrap(ctx, func(id, secret string) error {
		if cfg.Store == "memory" { // the file is that of an account that is kept
			return nil
		}
		b, err := json.MarshalIndent(Key{id, secret}, "", "  ")
		if err != nil {
			return err
		}
		return durable.WriteFile(filepath.Join(cfg.DataDir, RootKeyFile), append(b, '\n'))
	})
	if err != nil {
		return fmt.Errorf("make the root key: %w", err)
	}
	if created {
		s.NewKey, s.RootKey = true, Key{id, secret}
	}
	if cfg.Dev {
		return people.AddKey(ctx, devKey, devSecret)
	}
	return nil
}

// reject records a sign-in that failed: nobody is known to have made the call.
func reject(ctx context.Context, audit *trail.Log, logger *slog.Logger, account string, r awsapi.Rejected) {
	rec := &trail.Record{
		Time: r.Time.UTC(), Account: account, Region: r.Region, SourceIP: r.Meta.SourceIP, UserAgent: r.Meta.UserAgent,
		Host: r.Meta.Host, TLS: r.Meta.TLS, RequestID: r.Meta.RequestID, ErrorCode: r.Fault.Code, ErrorMessage: r.Fault.Message,
		Identity: trail.Identity{Type: "Unknown", AccessKeyID: r.AccessKeyID}, Relaxed: true,
	}
	if r.Op != nil {
		rec.Source, rec.Name, rec.ReadOnly = r.Op.Source, r.Op.Name, r.Op.ReadOnly
	}
	if err := audit.Append(ctx, rec); err != nil {
		logger.ErrorContext(ctx, "a failed sign-in is not recorded", "request", r.Meta.RequestID, "err", err)
	}
}

// simulated is the script of the simulated backend.
func (c *Config) simulated() simulated.Options {
	o := simulated.Options{Regions: map[string]simulated.Behaviour{}}
	for region, r := range c.Bedrock.Simulated.Regions {
		o.Regions[region] = simulated.Behaviour{
			Latency: r.Latency, Pace: r.Pace, Fail: r.Fail, Throttle: r.Throttle, Error: r.Error, Break: r.Break, CutAfter: r.CutAfter,
			Concurrent: r.Concurrency, RequestsPerMinute: r.RequestsPerMinute,
		}
	}
	return o
}

// limits are what a model can take in a Region.
func (c *Config) limits(region string, m *catalog.Model) bedrock.Limits {
	l := c.Bedrock.Limits[region].ModelLimits
	if own, ok := pick(c.Bedrock.Limits[region].Models, m.ID); ok {
		l = own
	}
	return bedrock.Limits{Concurrent: l.Concurrency, RequestsPerMinute: l.RequestsPerMinute, TokensPerMinute: l.TokensPerMinute}
}

// ServeHTTP answers the AWS APIs, the console, /metrics, /healthz and /readyz. There is no
// ServeMux: the signatures of the APIs are over targets as they came.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		s.health(w, s.driver.Err())
	case "/readyz":
		err := s.driver.Err()
		if err == nil && s.draining.Load() {
			err = errors.New("ending")
		}
		s.health(w, err)
	default:
		if r.URL.Path == metricsPath && s.metrics != nil {
			s.metrics.ServeHTTP(w, r)
			return
		}
		if console.Mine(r.URL.Path) {
			s.console.ServeHTTP(w, r)
			return
		}
		s.api.ServeHTTP(w, r)
	}
}

func (s *Server) health(w http.ResponseWriter, err error) {
	body := value.Object(value.Member{Key: "status", Value: value.String("ok")})
	status := http.StatusOK
	if err != nil {
		body = value.Object(value.Member{Key: "status", Value: value.String("failing")}, value.Member{Key: "error", Value: value.String(err.Error())})
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body.AppendJSON(nil), '\n'))
}

// Drain makes /readyz say that the server is ending.
func (s *Server) Drain() { s.draining.Store(true) }

// Close ends every room, the last built first.
func (s *Server) Close() error {
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	s.closers = nil
	return errors.Join(errs...)
}
