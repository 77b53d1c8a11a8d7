package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"tokaido/awsapi/sigv4"
	"tokaido/bedrock/catalog"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/internal/linefile"
)

// Config is everything that can be set: tokaido.yaml, where every key is
// optional and an unknown one is refused; TOKAIDO_… variables override it, and
// flags override both.
type Config struct {
	Listen  string `yaml:"listen"`  // host:port; port 0 takes a free one
	DataDir string `yaml:"dataDir"` // database, trail and root key
	Store   string `yaml:"store"`   // pebble, or memory: forgets all but the trail
	Account string `yaml:"account"` // twelve digits; empty: made on first start
	Dev     bool   `yaml:"dev"`     // accepts the key test/test; loopback only

	// ExecutionLogs is where the events of machines with a logging level go, as
	// CloudWatch has them, a JSON line each: a file or stdout. Empty: executions.jsonl
	// in the data directory.
	ExecutionLogs string `yaml:"executionLogs"`

	LogFiles LogFilesConfig `yaml:"logFiles"` // ExecutionLogs and Tracing.File

	// InvocationLogs is the folder that stands for S3 where an account has asked for
	// invocation logs; empty: a folder of dataDir.
	InvocationLogs string `yaml:"invocationLogs"`

	Region  string        `yaml:"region"` // of calls with an API key that names none; TOKAIDO_REGION; empty: DefaultRegion
	Bedrock BedrockConfig `yaml:"bedrock"`

	Trail TrailConfig `yaml:"trail"`

	Organization OrganizationConfig `yaml:"organization"`

	Metrics MetricsConfig `yaml:"metrics"`

	Tracing TracingConfig `yaml:"tracing"`

	Limits LimitsConfig `yaml:"limits"`

	Endpoints Endpoints `yaml:"endpoints"`

	Connections map[string]ConnectionConfig `yaml:"connections,omitempty"` // of HTTP Tasks, by name

	Mocks string `yaml:"mocks"` // a mock configuration file of Step Functions Local; SFN_MOCK_CONFIG

	Version string `yaml:"-"` // of the program; the console shows it

	observe     func(*flow.Execution, []engine.Event) // of [Run]; nil otherwise
	credentials sigv4.Credentials                     // AWS_ACCESS_KEY_ID and its kin: of calls to Endpoints

	// bedrockEndpoint is AWS_ENDPOINT_URL_BEDROCK_RUNTIME or AWS_ENDPOINT_URL: of
	// backends of type amazon that have no url.
	bedrockEndpoint string
}

// LogFilesConfig bounds files of lines. One that others rename or remove, as
// logrotate does, is made anew.
type LogFilesConfig struct {
	MaxBytes int64 `yaml:"maxBytes"` // a file that would become larger is renamed to FILE.1; 0: it grows
	Keep     int   `yaml:"keep"`     // how many of those there are, FILE.1 the newest
}

func (c LogFilesConfig) lines() linefile.Limits {
	return linefile.Limits{Bytes: c.MaxBytes, Keep: c.Keep}
}

func (c LogFilesConfig) check(bad func(string, ...any)) {
	if c.MaxBytes < 0 {
		bad("logFiles.maxBytes: %d is negative; 0 lets the files grow", c.MaxBytes)
	}
	if c.Keep < 0 || c.Keep > maxKept {
		bad("logFiles.keep: %d is not between 0 and %d", c.Keep, maxKept)
	}
}

// maxKept is the most that logFiles.keep may be: each is renamed when one is full.
const maxKept = 1000

// TracingConfig says where the spans of traced state machines go.
type TracingConfig struct {
	// Endpoint is the URL of an OTLP collector, over HTTP: http://127.0.0.1:4318.
	// Empty: what OpenTelemetry's OTEL_EXPORTER_OTLP_… variables say, and if they say
	// nothing, File.
	Endpoint    string   `yaml:"endpoint"`
	Headers     secrets  `yaml:"headers"`     // of every request to it
	SampleRatio *float64 `yaml:"sampleRatio"` // of traces that are kept, 0 to 1, where a trace header does not say
	File        string   `yaml:"file"`        // OTLP's lines of JSON, or stdout; empty: traces.jsonl in the data directory
}

// secrets are not shown.
type secrets map[string]string

// MarshalYAML implements [yaml.Marshaler].
func (s secrets) MarshalYAML() (any, error) {
	shown := make(map[string]string, len(s))
	for k := range s {
		shown[k] = "(not shown)"
	}
	return shown, nil
}

// Endpoints are where Tasks find the services that are not ours, as URLs.
type Endpoints struct {
	// Lambda is any server of Lambda's Invoke API; AWS_ENDPOINT_URL_LAMBDA. {region}
	// stands for the execution's Region: https://lambda.{region}.amazonaws.com.
	Lambda string `yaml:"lambda"`
}

// BedrockConfig says what models there are and what they run on. Where no Region
// is configured every model is simulated.
type BedrockConfig struct {
	// Catalog is a file that `tokaido catalog update` wrote: what Regions of AWS list
	// today. Empty: catalog.json in the data directory, if it is there.
	Catalog string `yaml:"catalog,omitempty"`

	Backends map[string]BackendConfig `yaml:"backends,omitempty"` // by a name of the operator's
	Regions  map[string][]RouteConfig `yaml:"regions,omitempty"`  // by Region, or "*" for all others; the first route that fits counts
	Profiles []ProfileConfig          `yaml:"profiles,omitempty"`
	Models   []ModelConfig            `yaml:"models,omitempty"`

	Simulated SimulatedConfig         `yaml:"simulated"`
	Limits    map[string]RegionLimits `yaml:"limits"` // by Region

	// HedgeAfter is how long a call waits for the beginning of its answer before the
	// next Region of its profile is asked too; 0: it waits.
	HedgeAfter time.Duration `yaml:"hedgeAfter"`
}

// ModelLimits are what one model takes in one Region before calls go on to the
// next Region.
type ModelLimits struct {
	Concurrency       int `yaml:"concurrency"`       // calls at once; 0: any number
	RequestsPerMinute int `yaml:"requestsPerMinute"` // 0: any number
	TokensPerMinute   int `yaml:"tokensPerMinute"`   // 0: any number
}

// RegionLimits are those of each model of a Region; Models has those that are
// other, by id or pattern.
type RegionLimits struct {
	ModelLimits `yaml:",inline"`

	Models map[string]ModelLimits `yaml:"models,omitempty"`
}

// SimulatedConfig shapes the simulated backend.
type SimulatedConfig struct {
	Regions map[string]SimulatedRegion `yaml:"regions"`
}

// SimulatedRegion is how the simulated backend behaves in one Region.
type SimulatedRegion struct {
	Latency  time.Duration `yaml:"latency"`  // before the first byte
	Pace     time.Duration `yaml:"pace"`     // between two pieces of a stream
	Fail     bool          `yaml:"fail"`     // answers with ServiceUnavailableException
	Throttle bool          `yaml:"throttle"` // answers with ThrottlingException
	Error    string        `yaml:"error"`    // answers with a fault of that code, ModelTimeoutException or another
	Break    bool          `yaml:"break"`    // hangs up, as if the connection were lost
	CutAfter int           `yaml:"cutAfter"` // streams break after so many pieces; 0: never

	Concurrency       int `yaml:"concurrency"`       // calls at once, beyond which it throttles; 0: any number
	RequestsPerMinute int `yaml:"requestsPerMinute"` // 0: any number
}

// DefaultRegion is where a server is unless it is told: what it tells its first
// users to set, and where API keys that name no Region are used.
const DefaultRegion = "ap-northeast-1"

// Default is the configuration where nothing is said.
func Default() (Config, error) {
	c := Config{Listen: "127.0.0.1:4566", Store: "pebble", Region: DefaultRegion, LogFiles: LogFilesConfig{MaxBytes: 256 << 20, Keep: 3},
		Trail: defaultTrail(), Tracing: TracingConfig{SampleRatio: new(1.0)}, Limits: defaultLimits()}
	home, err := os.UserHomeDir()
	if err != nil {
		return c, fmt.Errorf("no home directory for the data: say where with --data-dir: %w", err)
	}
	c.DataDir = filepath.Join(home, ".tokaido")
	return c, nil
}

// Read adds a configuration file to c.
func (c *Config) Read(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	err = dec.Decode(c)
	if err == nil && !errors.Is(dec.Decode(new(yaml.Node)), io.EOF) {
		err = errors.New("a second document: a configuration is one")
	}
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		var all []error
		for _, text := range wrong.Errors {
			all = append(all, fmt.Errorf("%s: %s", file, plainly(text)))
		}
		return errors.Join(all...)
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: an empty file
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

var (
	noField   = regexp.MustCompile(`^(line \d+): field (.*) not found in type .*$`)
	wrongType = regexp.MustCompile("(?s)^(line \\d+): cannot unmarshal !!(\\w+)(?: `(.*)`)? into (.*)$")
)

// plainly says what the decoder found without the names of our types.
func plainly(text string) string {
	if m := noField.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s: there is no key %q", m[1], m[2])
	}
	m := wrongType.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	is := strconv.Quote(m[3])
	switch m[2] {
	case "seq":
		is = "a list"
	case "map":
		is = "a mapping"
	}
	want := "a mapping"
	switch t := m[4]; {
	case t == "time.Duration":
		want = "a duration like 30s, 5m or 24h"
	case t == "bool":
		want = "true or false"
	case t == "string":
		want = "a text"
	case strings.HasPrefix(t, "int"):
		want = "a whole number"
	case strings.HasPrefix(t, "float"):
		want = "a number"
	case strings.HasPrefix(t, "[]"):
		want = "a list"
	}
	return fmt.Sprintf("%s: %s is not %s", m[1], is, want)
}

// Environ adds TOKAIDO_… variables to c. lookup is os.LookupEnv.
func (c *Config) Environ(lookup func(string) (string, bool)) error {
	for _, v := range []struct {
		name string
		text *string
	}{
		{"TOKAIDO_LISTEN", &c.Listen},
		{"TOKAIDO_DATA_DIR", &c.DataDir},
		{"TOKAIDO_STORE", &c.Store},
		{"TOKAIDO_ACCOUNT", &c.Account},
		{"TOKAIDO_REGION", &c.Region},
		{"AWS_ENDPOINT_URL_LAMBDA", &c.Endpoints.Lambda},
		{"SFN_MOCK_CONFIG", &c.Mocks},
	} {
		if s, ok := lookup(v.name); ok {
			*v.text = s
		}
	}
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"} { // the second counts more
		if s, _ := lookup(name); s != "" {
			c.bedrockEndpoint = s
		}
	}
	c.credentials = sigv4.Credentials{AccessKeyID: devKey, Secret: devSecret} // any will do for most emulators
	if id, _ := lookup("AWS_ACCESS_KEY_ID"); id != "" {
		c.credentials.AccessKeyID = id
		c.credentials.Secret, _ = lookup("AWS_SECRET_ACCESS_KEY")
		c.credentials.SessionToken, _ = lookup("AWS_SESSION_TOKEN")
	}
	if s, ok := lookup("TOKAIDO_DEV"); ok {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("TOKAIDO_DEV is %q, want true or false", s)
		}
		c.Dev = b
	}
	return nil
}

// Check says everything that is wrong with c.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		bad("listen: %q is not host:port", c.Listen)
	} else if c.Dev && !loopback(host) {
		bad("dev: accepts the well-known key test/test, so listen must be a loopback address, not %q", c.Listen)
	}
	if c.Store != "pebble" && c.Store != "memory" {
		bad("store: %q is neither pebble nor memory", c.Store)
	}
	if c.DataDir == "" {
		bad("dataDir: is empty")
	} else if info, err := os.Stat(c.DataDir); err == nil && !info.IsDir() {
		bad("dataDir: %s is not a directory", c.DataDir)
	}
	if c.Account != "" && !account(c.Account) {
		bad("account: %q is not twelve digits", c.Account)
	}
	if e := c.Endpoints.Lambda; e != "" {
		u, err := url.Parse(strings.ReplaceAll(e, "{region}", "us-east-1"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			bad("endpoints.lambda: %q is not the URL of a server, like http://127.0.0.1:3001", e)
		}
	}
	c.Limits.check(bad)
	c.LogFiles.check(bad)
	c.checkConnections(bad)
	if e := c.Tracing.Endpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			bad("tracing.endpoint: %q is not the URL of a server, like http://127.0.0.1:4318", e)
		}
	}
	if r := c.Tracing.SampleRatio; r != nil && !(*r >= 0 && *r <= 1) {
		bad("tracing.sampleRatio: %v is not between 0 and 1", *r)
	}
	base, err := c.base()
	if err != nil {
		bad("%v", err)
		base = catalog.Load()
	}
	if _, ok := base.Region(c.Region); !ok && c.Region != "" {
		bad("region: there is no Region %q", c.Region)
	}
	c.Metrics.networks(bad)
	c.Bedrock.check(base, bad)
	c.Organization.check(bad)
	if err := c.Trail.check(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func account(s string) bool {
	if len(s) != 12 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// YAML prints c as a configuration file.
func (c *Config) YAML() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}
