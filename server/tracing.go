package server

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"

	"tokaido/telemetry"
)

// openTracing begins to send spans where the configuration says.
func (s *Server) openTracing(ctx context.Context, cfg *Config, logger *slog.Logger) (*telemetry.Tracing, error) {
	c := telemetry.TraceConfig{
		Endpoint: cfg.Tracing.Endpoint, Headers: cfg.Tracing.Headers, Ratio: 1, Version: cfg.Version, Logger: logger,
		File: cmp.Or(cfg.Tracing.File, filepath.Join(cfg.DataDir, tracesFile)), Limits: cfg.LogFiles.lines(),
	}
	if r := cfg.Tracing.SampleRatio; r != nil {
		c.Ratio = *r
	}
	t, err := telemetry.NewTracing(ctx, c)
	if err != nil {
		return nil, err
	}
	logger.InfoContext(ctx, "spans of traced state machines", "go to", t.Target)
	s.closers = append(s.closers, func() error {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return t.Close(ending)
	})
	return t, nil
}
