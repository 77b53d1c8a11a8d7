// Command bedrock holds InvokeModel and ConverseStream to a bare
// net/http/httputil.ReverseProxy in front of the same upstream, in one run, side
// by side:
//
//	go run ./bedrock               # both; about two minutes
//	go run ./bedrock -only invoke -for 10s
//
// The upstream is a server of chat completions on loopback that answers at once.
// Upstream, proxy and tokaido are processes of their own; this one is the load.
// What tokaido does for each call: SigV4, an IAM user's policy, two records in the
// trail, on the disk with others (trail.inferences: grouped) and, stated beside it,
// waited for (durable). CPU is what the kernel counts for the process.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/bench/host"
)

const (
	region = "ap-northeast-1"

	invoke = "/model/openai.gpt-oss-20b-1%3A0/invoke"
	stream = "/model/openai.gpt-oss-20b-1%3A0/converse-stream"

	completions = "/chat/completions" // the upstream's, which the proxy's streams ask for

	invokeBody = `{"messages":[{"role":"user","content":"hello there, how do you do?"}],"max_completion_tokens":100}`
	streamBody = `{"messages":[{"role":"user","content":[{"text":"hello there, how do you do?"}]}]}`
	proxyBody  = `{"model":"x","messages":[{"role":"user","content":"hello there, how do you do?"}],"stream":true,"stream_options":{"include_usage":true}}`

	pieces = 40 // of a stream
	pace   = 100 * time.Millisecond
)

func main() {
	log.SetFlags(0)
	binary := flag.String("tokaido", "../bin/tokaido", "the binary to start")
	length := flag.Duration("for", 5*time.Second, "how long each measurement takes")
	rounds := flag.Int("rounds", 3, "how often each is taken; the medians count")
	clients := flag.Int("clients", 64, "concurrent clients of InvokeModel")
	streams := flag.Int("streams", 500, "concurrent streams")
	only := flag.String("only", "", "invoke or streams")
	profile := flag.String("cpu-profile", "", "file for a CPU profile of the grouped server")
	role := flag.String("role", "", "what this process is: upstream or proxy (it starts them by itself)")
	to := flag.String("to", "", "upstream of the proxy")
	flag.Parse()
	if *role != "" {
		log.Fatal(play(*role, *to))
	}
	if *only != "" && *only != "invoke" && *only != "streams" {
		log.Fatalf("-only is %q, want invoke or streams", *only)
	}
	b := &bench{binary: *binary, length: *length, rounds: *rounds, clients: *clients, streams: *streams, profile: *profile}
	err := b.run(context.Background(), *only)
	b.stop()
	if err != nil {
		log.Fatal(err)
	}
}

// play is the process of a part.
func play(role, to string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var h http.Handler
	switch role {
	case "upstream":
		h = http.HandlerFunc(upstream)
	case "proxy":
		u, err := url.Parse(to)
		if err != nil {
			return err
		}
		p := &httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u) },
			Transport:     &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true},
			FlushInterval: -1,
		}
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == completions {
				// Without it the server takes the request's body away once the answer begins,
				// and the transport gives up the connection if it had not seen the body's end.
				if http.NewResponseController(w).EnableFullDuplex() != nil {
					return
				}
			}
			p.ServeHTTP(w, r)
		})
	default:
		return fmt.Errorf("-role is %q", role)
	}
	fmt.Println("http://" + l.Addr().String())
	go func() { // it ends with who started it
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(l, h)
}

var answer = []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("word ", 60) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":60,"total_tokens":69}}`)

// upstream answers at once, or in pieces that say when they were sent.
func upstream(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if !bytes.Contains(body, []byte(`"stream":true`)) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.Write(answer)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	next := time.NewTicker(pace)
	defer next.Stop()
	for range pieces {
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@%d \"}}]}\n\n", time.Now().UnixNano())
		if flush.Flush() != nil {
			return
		}
		select {
		case <-next.C:
		case <-r.Context().Done():
			return
		}
	}
	io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":40}}\n\ndata: [DONE]\n\n")
}

// part is a process that is measured.
type part struct {
	name string
	pid  int
	end  func()
	at   string // its URL
	key  sigv4.Credentials
}

type bench struct {
	binary, profile          string
	length                   time.Duration
	rounds, clients, streams int
	upstream                 *part
	proxy, grouped, durable  *part
	parts                    []*part
}

func (b *bench) stop() {
	for _, p := range slices.Backward(b.parts) {
		p.end()
	}
}

// role starts this program as something else.
func (b *bench) role(args ...string) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &part{name: args[1], pid: cmd.Process.Pid, end: func() { in.Close(); cmd.Wait() }}
	b.parts = append(b.parts, p)
	line, err := bufio.NewReader(out).ReadString('\n')
	p.at = strings.TrimSpace(line)
	return p, err
}

// serve starts a tokaido in front of the upstream, with a user of its own.
func (b *bench) serve(name, inferences, profile string, env ...string) (*part, error) {
	s, err := host.Serve(host.Options{Binary: b.binary, Profile: profile, Env: env,
		Config: fmt.Sprintf("trail: {inferences: %s}\nbedrock:\n  backends: {far: {type: openai, url: %q}}\n  regions: {%s: [{models: \"*\", backend: far}]}\n", inferences, b.upstream.at, region)})
	if err != nil {
		return nil, err
	}
	p := &part{name: name, pid: s.PID(), end: s.Stop, at: s.Endpoint, key: host.DevKey}
	b.parts = append(b.parts, p)
	return p, p.user()
}

// user makes an IAM user who may do what is measured, and becomes it.
func (p *part) user() error {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["bedrock:InvokeModel","bedrock:InvokeModelWithResponseStream"],"Resource":"arn:aws:bedrock:*::foundation-model/*"}]}`
	var made []byte
	for _, form := range []string{
		"Action=CreateUser&Version=2010-05-08&UserName=bench",
		"Action=PutUserPolicy&Version=2010-05-08&UserName=bench&PolicyName=p&PolicyDocument=" + url.QueryEscape(policy),
		"Action=CreateAccessKey&Version=2010-05-08&UserName=bench",
	} {
		r, err := p.request("iam", "/", form, "application/x-www-form-urlencoded")
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		made, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %d %s (%v)", form[:20], resp.StatusCode, made, err)
		}
	}
	between := func(tag string) string {
		_, rest, _ := strings.Cut(string(made), "<"+tag+">")
		s, _, _ := strings.Cut(rest, "</"+tag+">")
		return s
	}
	p.key = sigv4.Credentials{AccessKeyID: between("AccessKeyId"), Secret: between("SecretAccessKey")}
	return nil
}

// request is a request, signed if the part knows a key. It can be sent again and
// again for some minutes: the load must not cost more than what is measured.
func (p *part) request(service, target, body, media string) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, p.at+target, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", media)
	if p.key.AccessKeyID == "" {
		return r, nil
	}
	at := region
	if service == "iam" {
		at = "us-east-1"
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	add, err := sigv4.Sign(sigv4.Request{Method: r.Method, Target: target, Headers: [][2]string{{"Host", r.URL.Host}, {"Content-Type", media}}, Body: []byte(body)},
		sigv4.Options{Service: service, Region: at, Now: time.Now()}, p.key)
	for _, h := range add {
		r.Header.Set(h[0], h[1])
	}
	return r, err
}

func (b *bench) run(ctx context.Context, only string) (err error) {
	if b.upstream, err = b.role("-role", "upstream"); err != nil {
		return err
	}
	if b.proxy, err = b.role("-role", "proxy", "-to", b.upstream.at); err != nil {
		return err
	}
	b.proxy.name = "ReverseProxy"
	if b.grouped, err = b.serve("tokaido, grouped", "grouped", b.profile); err != nil {
		return err
	}
	if b.durable, err = b.serve("tokaido, durable", "durable", ""); err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, GOMAXPROCS %d, load %s\n", runtime.Version(), runtime.NumCPU(), runtime.GOMAXPROCS(0), host.Load())
	if only != "streams" {
		if err := b.invokes(ctx); err != nil {
			return err
		}
	}
	if only != "invoke" {
		return b.flows(ctx)
	}
	return nil
}

// figures are those of one measurement.
type figures struct {
	perSecond float64
	cpu       time.Duration // for a request
	p50, p99  time.Duration
}

func (b *bench) invokes(ctx context.Context) error {
	parts := []*part{b.upstream, b.proxy, b.grouped, b.durable}
	for _, clients := range []int{1, b.clients} {
		all := map[*part][]figures{}
		for _, p := range parts { // connections, caches
			if _, err := b.drive(ctx, p, clients, b.length/5); err != nil {
				return err
			}
		}
		for i := range b.rounds {
			order := slices.Clone(parts)
			if i%2 == 1 {
				slices.Reverse(order)
			}
			for _, p := range order {
				f, err := b.drive(ctx, p, clients, b.length)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				all[p] = append(all[p], f)
			}
		}
		fmt.Printf("\nInvokeModel, %d connections, medians of %d × %v, load %s\n", clients, b.rounds, b.length, host.Load())
		base, direct := median(all[b.proxy]), median(all[b.upstream])
		fmt.Printf("  %-17s %7.0f/s                                          p50 %7v\n", "the upstream", direct.perSecond, direct.p50.Round(time.Microsecond))
		for _, p := range parts[1:] {
			f := median(all[p])
			fmt.Printf("  %-17s %7.0f/s (%.2f×)  CPU %6v a request (%.2f×)  p50 %7v (%.2f×; added %v, %.2f×)  p99 %7v\n", p.name, f.perSecond, f.perSecond/base.perSecond,
				f.cpu.Round(100*time.Nanosecond), float64(f.cpu)/float64(base.cpu), f.p50.Round(time.Microsecond), float64(f.p50)/float64(base.p50),
				(f.p50 - direct.p50).Round(time.Microsecond), float64(f.p50-direct.p50)/float64(base.p50-direct.p50), f.p99.Round(time.Microsecond))
		}
	}
	fmt.Println("  bars, with the records grouped: CPU ≤ 1.5×, throughput ≥ 0.7×, p50 at one connection ≤ 1.3×")
	return nil
}

// median takes each figure's by itself.
func median(all []figures) figures {
	by := func(key func(figures) float64) float64 {
		v := make([]float64, len(all))
		for i, f := range all {
			v[i] = key(f)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return figures{
		by(func(f figures) float64 { return f.perSecond }),
		time.Duration(by(func(f figures) float64 { return float64(f.cpu) })),
		time.Duration(by(func(f figures) float64 { return float64(f.p50) })),
		time.Duration(by(func(f figures) float64 { return float64(f.p99) })),
	}
}

// drive sends requests for a while, each client one after the other.
func (b *bench) drive(ctx context.Context, p *part, clients int, length time.Duration) (figures, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: clients, MaxIdleConnsPerHost: clients, DisableCompression: true}}
	defer client.CloseIdleConnections()
	r, err := p.request("bedrock", invoke, invokeBody, "application/json")
	if err != nil {
		return figures{}, err
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		took   []time.Duration
		failed atomic.Pointer[error]
	)
	before, err := host.CPU(p.pid)
	if err != nil {
		return figures{}, err
	}
	began := time.Now()
	for range clients {
		wg.Go(func() {
			var mine []time.Duration
			for time.Since(began) < length && failed.Load() == nil {
				t0 := time.Now()
				x := r.Clone(ctx)
				x.Body, x.ContentLength = io.NopCloser(strings.NewReader(invokeBody)), int64(len(invokeBody))
				if err := once(client, x); err != nil {
					failed.Store(&err)
				}
				mine = append(mine, time.Since(t0))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	passed := time.Since(began)
	after, err := host.CPU(p.pid)
	if f := failed.Load(); f != nil {
		err = *f
	}
	if err != nil {
		return figures{}, err
	}
	slices.Sort(took)
	return figures{float64(len(took)) / passed.Seconds(), (after - before) / time.Duration(len(took)), host.At(took, .5), host.At(took, .99)}, nil
}

func once(client *http.Client, r *http.Request) error {
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("word word"))) {
		err = fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	return err
}

// flows holds streams open, and says how long their tokens took and what they
// cost in memory.
func (b *bench) flows(ctx context.Context) error {
	fmt.Printf("\nConverseStream, %d streams at once, a token every %v in each, load %s\n", b.streams, pace, host.Load())
	// What is in use, nearly without garbage: by itself a server lets that grow to
	// four times as much.
	lean, err := b.serve("tokaido, GOGC=10", "grouped", "", "GOGC=10")
	if err != nil {
		return err
	}
	for _, p := range []*part{b.proxy, b.grouped, b.durable, lean} {
		if _, _, _, err := b.flow(ctx, p, b.streams/5); err != nil { // connections, caches
			return fmt.Errorf("%s: %w", p.name, err)
		}
		before, err := host.Resident(p.pid)
		if err != nil {
			return err
		}
		first, later, open, err := b.flow(ctx, p, b.streams)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Printf("  %-17s first token p50 %v p99 %v; later ones p50 %v p99 %v; %d KiB of memory more for each stream\n", p.name,
			host.At(first, .5), host.At(first, .99), host.At(later, .5), host.At(later, .99),
			(open-before)/int64(b.streams)/1024)
	}
	fmt.Println("  from the upstream's write to this program's read; bars: first token p99 ≤ 1 ms, ≤ 64 KiB a stream")
	return nil
}

// flow opens n streams within a second.
func (b *bench) flow(ctx context.Context, p *part, n int) (first, later []time.Duration, open int64, err error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	defer client.CloseIdleConnections()
	target, body := stream, streamBody
	if p.key.AccessKeyID == "" {
		target, body = completions, proxyBody
	}
	r, err := p.request("bedrock", target, body, "application/json")
	if err != nil {
		return nil, nil, 0, err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for i := range n {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * time.Second / time.Duration(n)) // not all at one moment
			x := r.Clone(ctx)
			x.Body, x.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			took, err := tokens(client, x)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			first, later = append(first, took[0]), append(later, took[1:]...)
		})
	}
	time.Sleep(2 * time.Second) // all are open
	open, err = host.Resident(p.pid)
	wg.Wait()
	if err := errors.Join(err, errors.Join(errs...)); err != nil {
		return nil, nil, 0, err
	}
	slices.Sort(first)
	slices.Sort(later)
	return first, later, open, nil
}

// tokens reads a stream, and says how old each token was when it came. Whatever
// frames them, their text says when they were sent.
func tokens(client *http.Client, r *http.Request) ([]time.Duration, error) {
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	var took []time.Duration
	var left []byte
	chunk := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(chunk)
		now := time.Now()
		left = append(left, chunk[:n]...)
		for {
			i := bytes.IndexByte(left, '@')
			if i < 0 || len(left) < i+1+19 {
				break
			}
			sent, perr := strconv.ParseInt(string(left[i+1:i+1+19]), 10, 64)
			if left = left[i+1:]; perr == nil {
				took = append(took, now.Sub(time.Unix(0, sent)))
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(took) != pieces {
		return nil, fmt.Errorf("%d tokens, want %d", len(took), pieces)
	}
	return took, nil
}
