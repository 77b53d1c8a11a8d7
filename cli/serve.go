package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokaido/server"
)

// How long a server waits: for a client's headers, for its own end.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 15 * time.Second
)

func serveCommand() *cobra.Command {
	var f configFlags
	var endpointFile, cpuProfile string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the AWS APIs",
		Long: `Serve Step Functions, Bedrock, Bedrock Runtime, IAM, STS and CloudTrail on one port.

The first start makes an account and a root access key, stores the key in
root-key.json in the data directory, and prints it once. Point any AWS client at it:

  export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=ap-northeast-1
  aws sts get-caller-identity`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			if cpuProfile != "" {
				stop, err := profile(cpuProfile)
				if err != nil {
					return err
				}
				defer stop()
			}
			return serve(c.Context(), cfg, endpointFile, c.ErrOrStderr())
		},
	}
	f.all(c)
	c.Flags().StringVar(&cpuProfile, "cpu-profile", "", "`file` to write a CPU profile of the whole run to")
	c.Flags().StringVar(&endpointFile, "endpoint-file", "", "`file` to write the endpoint's URL to once it listens")
	return c
}

func serve(ctx context.Context, cfg server.Config, endpointFile string, stderr io.Writer) (err error) {
	tuneMemory()
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	cfg.Version = version
	s, err := server.New(ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	endpoint := "http://" + listener.Addr().String()
	fmt.Fprintf(stderr, "Tokaido %s at %s, account %s, data in %s\n", version, endpoint, s.Account, cfg.DataDir)
	if s.NewKey {
		fmt.Fprintf(stderr, "A root access key was made (it is printed only now, and kept in %s):\n", filepath.Join(cfg.DataDir, server.RootKeyFile))
		fmt.Fprintf(stderr, "  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n", s.RootKey.AccessKeyID, s.RootKey.Secret)
	}
	if cfg.Dev {
		fmt.Fprintln(stderr, "Development: the key test/test is the account's root user.")
	}
	go func() { // those that models run on may be slow to say that they are there
		fmt.Fprintln(stderr, strings.Join(s.Answering(ctx), "\n"))
	}()
	switch path, err := s.ConsolePath(cfg.Dev); {
	case err != nil:
		return err
	case path == "":
		fmt.Fprintln(stderr, "Console: not in this binary; `make build` adds it where Node 20.19 or newer is.")
	case cfg.Dev:
		fmt.Fprintf(stderr, "Console: %s%s\n", endpoint, path)
	default:
		fmt.Fprintf(stderr, "Console (the link signs in as root, once, within 15 minutes): %s%s\n", endpoint, path)
	}
	region := cmp.Or(cfg.Region, server.DefaultRegion)
	fmt.Fprintf(stderr, "  export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_DEFAULT_REGION=%[2]s\n", endpoint, region)

	// The AWS SDK for JavaScript speaks HTTP/2 to Bedrock Runtime, and to an endpoint
	// with http:// at once, without asking: https://github.com/aws/aws-sdk-js-v3,
	// NodeHttp2Handler.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	web := &http.Server{
		Handler:           s,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	if endpointFile != "" {
		if err := writeEndpoint(endpointFile, endpoint); err != nil {
			return err
		}
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(stderr, "Ending: finishing what has begun; executions go on at the next start.")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	s.Drain()
	if err := web.Shutdown(ending); err != nil {
		return fmt.Errorf("requests still ran after %v: %w", drainTimeout, errors.Join(err, web.Close()))
	}
	return nil
}

// profile begins a CPU profile; stop ends it.
func profile(file string) (stop func(), err error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// writeEndpoint writes the file whole: whoever waits for it sees a line or nothing.
func writeEndpoint(file, endpoint string) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, []byte(endpoint+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// memoryShare is how much of the machine's memory the collector may let the
// process grow to before it works hard.
const memoryShare = 0.6

// tuneMemory lets garbage grow while there is memory for it: the collector is
// the limit of the hot path. GOGC and GOMEMLIMIT, where set, count instead.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if total := machineMemory(); total > 0 {
			debug.SetMemoryLimit(int64(float64(total) * memoryShare))
		}
	}
}

// machineMemory is the machine's memory in bytes; 0 where it cannot be told.
func machineMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}
