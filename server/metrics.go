package server

import (
	"net"
	"net/http"
	"net/netip"

	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/probe"
	"tokaido/flow/journal"
	"tokaido/gate"
	"tokaido/telemetry"
	"tokaido/trail"
)

// metricsPath is where Prometheus looks.
const metricsPath = "/metrics"

// MetricsConfig says who may read /metrics.
type MetricsConfig struct {
	Off bool `yaml:"off"` // nothing is counted, and there is no /metrics

	// From are addresses, or networks as 10.1.0.0/16, that may read them; empty: this
	// machine only.
	From []string `yaml:"from"`
}

// networks are those of From.
func (c *MetricsConfig) networks(bad func(string, ...any)) (all []netip.Prefix) {
	for _, s := range c.From {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			bad("metrics.from: %q is neither an address nor a network like 10.1.0.0/16", s)
			continue
		}
		all = append(all, p.Masked())
	}
	return all
}

// metrics are the metrics and who may read them.
type metrics struct {
	*telemetry.Metrics
	from []netip.Prefix
}

// openMetrics makes the metrics of s, whose rooms are asked when somebody reads
// them; nil if they are off.
func (s *Server) openMetrics(cfg Config) *metrics {
	if cfg.Metrics.Off {
		return nil
	}
	return &metrics{
		Metrics: telemetry.NewMetrics(telemetry.Sources{
			Version:    cfg.Version,
			Lanes:      func() []bedrock.Stats { return s.runtime.Stats() },
			Probes:     func() []probe.Stats { return s.probes.Stats() },
			Journal:    func() journal.Stats { return s.driver.Stats() },
			Trail:      func() trail.Head { return s.audit.Head() },
			API:        func() awsapi.Stats { return s.api.Stats() },
			Unobserved: func() (int64, int64) { return s.logs.Dropped(), s.traces.Dropped() },
		}),
		from: cfg.Metrics.networks(func(string, ...any) {}), // [Config.Check] has said what is wrong
	}
}

// recorder is log, measured.
func (m *metrics) recorder(log gate.Recorder) gate.Recorder {
	if m == nil {
		return log
	}
	return m.Recorder(log)
}

// may reports whether who sent r may read the metrics. A proxy on this machine
// speaks for somebody else.
func (m *metrics) may(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, p := range m.from {
		if p.Contains(a) {
			return true
		}
	}
	if len(m.from) > 0 || !a.IsLoopback() {
		return false
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	return true
}

// ServeHTTP answers a scrape of who may.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !m.may(r):
		http.Error(w, "Only this machine, or what metrics.from names, may read the metrics.", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The metrics are read with GET.", http.StatusMethodNotAllowed)
	default:
		m.Metrics.ServeHTTP(w, r)
	}
}
