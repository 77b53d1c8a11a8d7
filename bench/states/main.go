// Command states loads a Step Functions endpoint over HTTP and says what it
// takes. It signs as any client does, keeps its connections, and checks every
// execution that it counts.
//
//	go run ./states -mode standard -clients 32 -for 60s   # durable, each verified by DescribeExecution
//	go run ./states -mode sync -clients 32 -for 30s       # StartSyncExecution, as many as there can be
//	go run ./states -mode sync -clients 32 -rate 5000     # and at a rate that leaves room
//
// Without -endpoint it starts the binary given by -tokaido on a free loopback
// port with a temporary data directory, so that server and load share a machine.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
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
	passes = 10
	region = "us-east-1"
)

func main() {
	log.SetFlags(0)
	endpoint := flag.String("endpoint", "", "endpoint; empty: start one")
	binary := flag.String("tokaido", "../bin/tokaido", "the binary to start")
	mode := flag.String("mode", "standard", "standard or sync")
	clients := flag.Int("clients", 32, "concurrent clients")
	rate := flag.Float64("rate", 0, "executions to start per second, all clients together; 0: as many as there can be")
	length := flag.Duration("for", 20*time.Second, "how long")
	dataDir := flag.String("data-dir", "", "data directory of a started server; empty: a temporary one")
	profile := flag.String("cpu-profile", "", "file for a CPU profile of a started server")
	flag.Parse()
	server := func() (time.Duration, error) { return 0, nil }
	if *endpoint == "" {
		s, err := host.Serve(host.Options{Binary: *binary, Dir: *dataDir, Profile: *profile})
		if err != nil {
			log.Fatal(err)
		}
		defer s.Stop()
		*endpoint, server = s.Endpoint, func() (time.Duration, error) { return host.CPU(s.PID()) }
	}
	c := &client{endpoint: *endpoint, key: host.DevKey, http: &http.Client{Transport: &http.Transport{
		MaxIdleConns: *clients * 2, MaxIdleConnsPerHost: *clients * 2, DisableCompression: true,
	}}}
	if u, err := url.Parse(*endpoint); err == nil {
		c.host = u.Host
	}
	if err := run(c, *mode, *clients, *rate, *length, server); err != nil {
		log.Print(err)
	}
}

type client struct {
	endpoint, host string
	key            sigv4.Credentials
	keys           sigv4.KeyCache
	http           *http.Client
}

// line is one connection of one client. The load is made with as little as
// HTTP/1.1 needs, since it shares the machine with what it measures.
type line struct {
	c    *client
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func (c *client) dial() (*line, error) {
	conn, err := net.Dial("tcp", c.host)
	if err != nil {
		return nil, err
	}
	return &line{c: c, conn: conn, in: bufio.NewReader(conn)}, nil
}

// call makes one signed call of a JSON 1.0 operation.
func (l *line) call(op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	headers := [][2]string{
		{"Host", l.c.host}, {"Content-Type", "application/x-amz-json-1.0"}, {"X-Amz-Target", "AWSStepFunctions." + op},
	}
	add, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: "/", Headers: headers, Body: body},
		sigv4.Options{Service: "states", Region: region, Now: time.Now(), Keys: &l.c.keys}, l.c.key)
	if err != nil {
		return err
	}
	b := append(l.out[:0], "POST / HTTP/1.1\r\n"...)
	for _, h := range append(headers, add...) {
		b = append(append(append(append(b, h[0]...), ": "...), h[1]...), "\r\n"...)
	}
	b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
	l.out = append(b, body...)
	if _, err := l.conn.Write(l.out); err != nil {
		return err
	}
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s", op, resp.StatusCode, answer)
	}
	return json.Unmarshal(answer, out)
}

// machine makes the role and the machine that the load runs.
func (c *client) machine(ctx context.Context, l *line, kind string) (string, error) {
	if err := c.role(ctx); err != nil {
		return "", err
	}
	states := map[string]any{}
	for i := range passes {
		s := map[string]any{"Type": "Pass"}
		if i < passes-1 {
			s["Next"] = fmt.Sprintf("P%d", i+1)
		} else {
			s["End"] = true
		}
		states[fmt.Sprintf("P%d", i)] = s
	}
	def, err := json.Marshal(map[string]any{"StartAt": "P0", "States": states})
	if err != nil {
		return "", err
	}
	var out struct{ StateMachineArn string }
	err = l.call("CreateStateMachine", map[string]any{
		"name": fmt.Sprintf("bench-%d", time.Now().UnixNano()), "definition": string(def), "roleArn": c.roleARN(ctx), "type": kind,
	}, &out)
	return out.StateMachineArn, err
}

func (c *client) form(ctx context.Context, service, body string) ([]byte, error) {
	headers := [][2]string{{"Host", c.host}, {"Content-Type", "application/x-www-form-urlencoded"}}
	add, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: "/", Headers: headers, Body: []byte(body)},
		sigv4.Options{Service: service, Region: region, Now: time.Now()}, c.key)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", c.endpoint+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, h := range append(headers[1:], add...) {
		req.Header.Set(h[0], h[1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func (c *client) role(ctx context.Context) error {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	b, err := c.form(ctx, "iam", "Action=CreateRole&Version=2010-05-08&RoleName=bench&AssumeRolePolicyDocument="+url.QueryEscape(trust))
	if err != nil {
		return err
	}
	if !bytes.Contains(b, []byte("<Arn>")) && !bytes.Contains(b, []byte("EntityAlreadyExists")) {
		return fmt.Errorf("CreateRole: %s", b)
	}
	return nil
}

func (c *client) roleARN(ctx context.Context) string {
	b, err := c.form(ctx, "sts", "Action=GetCallerIdentity&Version=2011-06-15")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(b), "<Account>")
	account, _, _ := strings.Cut(rest, "</Account>")
	return "arn:aws:iam::" + account + ":role/bench"
}

func run(c *client, mode string, clients int, rate float64, length time.Duration, server func() (time.Duration, error)) error {
	ctx := context.Background()
	kind := map[string]string{"standard": "STANDARD", "sync": "EXPRESS"}[mode]
	if kind == "" {
		return fmt.Errorf("-mode is %q, want standard or sync", mode)
	}
	lines := make([]*line, clients)
	for i := range lines {
		l, err := c.dial()
		if err != nil {
			return err
		}
		defer l.conn.Close()
		lines[i] = l
	}
	machine, err := c.machine(ctx, lines[0], kind)
	if err != nil {
		return err
	}
	const input = `{"order":{"id":"0f9d","items":[{"sku":"A-1","qty":3},{"sku":"B-2","qty":1}]},"total":450}`
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		starts []time.Duration
		whole  []time.Duration
		failed atomic.Pointer[error]
		count  atomic.Int64
		asked  atomic.Int64 // DescribeExecution
	)
	one := map[string]func(l *line) (time.Duration, error){
		"sync": func(l *line) (time.Duration, error) {
			began := time.Now()
			var out struct{ Status, Output string }
			if err := l.call("StartSyncExecution", map[string]string{"stateMachineArn": machine, "input": input}, &out); err != nil {
				return 0, err
			}
			if out.Status != "SUCCEEDED" || out.Output != input {
				return 0, fmt.Errorf("ended %s with %s", out.Status, out.Output)
			}
			return time.Since(began), nil
		},
		"standard": func(l *line) (time.Duration, error) {
			began := time.Now()
			var x struct{ ExecutionArn string }
			if err := l.call("StartExecution", map[string]string{"stateMachineArn": machine, "input": input}, &x); err != nil {
				return 0, err
			}
			took := time.Since(began)
			for {
				asked.Add(1)
				var d struct{ Status, Output string }
				if err := l.call("DescribeExecution", map[string]string{"executionArn": x.ExecutionArn}, &d); err != nil {
					return 0, err
				}
				switch {
				case d.Status == "SUCCEEDED" && d.Output == input:
					return took, nil
				case d.Status != "RUNNING":
					return 0, fmt.Errorf("%s ended %s with %s", x.ExecutionArn, d.Status, d.Output)
				}
			}
		},
	}[mode]
	serverBefore, err := server()
	if err != nil {
		return err
	}
	clientBefore := host.Used()
	began := time.Now()
	for i, l := range lines {
		wg.Go(func() {
			var s, w []time.Duration
			// At a set rate each client has its own times to start at, and one that was
			// late counts as having begun when it should have.
			due := began.Add(time.Duration(float64(i) / max(rate, 1) * float64(time.Second)))
			for time.Since(began) < length && failed.Load() == nil {
				t0 := time.Now()
				late := time.Duration(0)
				if rate > 0 {
					time.Sleep(time.Until(due))
					t0 = due
					late = time.Since(due)
					due = due.Add(time.Duration(float64(clients) / rate * float64(time.Second)))
				}
				took, err := one(l)
				took += late
				if err != nil {
					failed.Store(&err)
					break
				}
				s, w = append(s, took), append(w, time.Since(t0))
				count.Add(1)
			}
			mu.Lock()
			starts, whole = append(starts, s...), append(whole, w...)
			mu.Unlock()
		})
	}
	wg.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return *err
	}
	serverAfter, err := server()
	if err != nil {
		return err
	}
	clientAfter := host.Used()
	n := count.Load()
	slices.Sort(starts)
	slices.Sort(whole)
	name := map[string]string{"standard": "StartExecution", "sync": "StartSyncExecution"}[mode]
	fmt.Printf("%s, %d clients, %d cores, %s: %d executions of %d Pass states, each checked\n", mode, clients, runtime.NumCPU(), took.Round(time.Millisecond), n, passes)
	fmt.Printf("  %.0f executions/s, %.0f transitions/s\n", float64(n)/took.Seconds(), float64(n*passes)/took.Seconds())
	fmt.Printf("  %s p50 %v p99 %v; start to verified p50 %v p99 %v\n", name, host.At(starts, .5), host.At(starts, .99), host.At(whole, .5), host.At(whole, .99))
	each := func(d time.Duration) time.Duration { return (d / time.Duration(n)).Round(time.Microsecond) }
	fmt.Printf("  CPU of each execution: server %v, load %v; cores busy: server %.2f, load %.2f; DescribeExecution asked %.2f times\n",
		each(serverAfter-serverBefore), each(clientAfter-clientBefore), (serverAfter-serverBefore).Seconds()/took.Seconds(),
		(clientAfter-clientBefore).Seconds()/took.Seconds(), float64(asked.Load())/float64(n))
	return nil
}
