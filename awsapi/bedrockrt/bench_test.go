package bedrockrt_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/bedrockrt"
	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/wire"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/openai"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/connector"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/value"
)

// far is a server of chat completions that answers at once; streams take their
// time where pace is set.
func far(t testing.TB, pace time.Duration) *httptest.Server {
	answer := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("word ", 60) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":60,"total_tokens":69}}`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !bytes.Contains(body, []byte(`"stream":true`)) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(answer)
			return
		}
		for range 20 {
			// The time stands in the text, for those who measure.
			fmt.Fprintf(w, "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@%d \"}}]}\n\n", time.Now().UnixNano())
			w.(http.Flusher).Flush()
			time.Sleep(pace)
		}
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":20}}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(s.Close)
	return s
}

// near is the front door before it: signatures, a policy's decision, and records
// that are kept in memory.
func near(t testing.TB, url string) *server {
	policy, err := iam.Parse(iam.IdentityPolicy, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	back, err := openai.New(openai.Config{Connection: upstream.Config{Name: "far", URL: url}})
	if err != nil {
		t.Fatal(err)
	}
	log := &recorder{}
	g := gate.New(log, nil)
	rt := bedrock.New(bedrock.Config{Backend: func(string, *catalog.Model) bedrock.Backend { return back }})
	s, err := awsapi.New(awsapi.Config{Directory: directory{policy}, Gate: g, Ops: bedrockrt.Ops(&connector.Inference{Gate: g, Runtime: rt})})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &server{h, log}
}

const benchBody = `{"messages":[{"role":"user","content":"hello there, how do you do?"}],"max_completion_tokens":100}`

// signed is a request that can be sent again and again within some minutes.
func signed(t testing.TB, base, target, body string) *http.Request {
	r, err := http.NewRequest("POST", base+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	add, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: target, Headers: [][2]string{{"Host", r.URL.Host}}, Body: []byte(body)},
		sigv4.Options{Service: "bedrock", Region: "ap-northeast-1", Now: time.Now()}, sigv4.Credentials{AccessKeyID: "AKIAUSER", Secret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range add {
		r.Header.Set(h[0], h[1])
	}
	return r
}

func drive(b *testing.B, base, target, body string, log *recorder) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := signed(b, base, target, body)
		for pb.Next() {
			x := r.Clone(b.Context())
			x.Body, x.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			resp, err := client.Do(x)
			if err != nil {
				b.Error(err)
				return
			}
			if out, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
				b.Errorf("%d %s", resp.StatusCode, out)
				return
			}
			resp.Body.Close()
			if log != nil {
				log.mu.Lock()
				log.records = log.records[:0]
				log.mu.Unlock()
			}
		}
	})
}

// BenchmarkInvoke compares an InvokeModel with a bare reverse proxy to the same
// upstream: both calls end to end over loopback, client included.
func BenchmarkInvoke(b *testing.B) {
	b.Run("proxy", func(b *testing.B) {
		to, _ := url.Parse(far(b, 0).URL)
		p := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
		s := httptest.NewServer(p)
		defer s.Close()
		drive(b, s.URL, "/chat/completions", benchBody, nil)
	})
	b.Run("tokaido", func(b *testing.B) {
		s := near(b, far(b, 0).URL)
		drive(b, s.URL, "/model/openai.gpt-oss-20b-1%3A0/invoke", benchBody, s.log)
	})
}

// BenchmarkStreams holds 500 streams open and measures how long a token takes
// through the server, and what an open stream costs in memory.
func BenchmarkStreams(b *testing.B) {
	streams := 500
	if testing.Short() {
		streams = 20
	}
	s := near(b, far(b, 100*time.Millisecond).URL)
	target, body := "/model/openai.gpt-oss-20b-1%3A0/converse-stream", `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: streams}}
	var mu sync.Mutex
	var first, all []time.Duration
	var before, open runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		var wg sync.WaitGroup
		for i := range streams {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond / 5) // not all at one moment
				r := signed(b, s.URL, target, body)
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
				resp, err := client.Do(r)
				if err != nil {
					b.Error(err)
					return
				}
				defer resp.Body.Close()
				var buf []byte
				chunk := make([]byte, 4096)
				tokens := 0
				for {
					n, err := resp.Body.Read(chunk)
					now := time.Now()
					buf = append(buf, chunk[:n]...)
					for {
						m, rest, derr := wire.DecodeMessage(buf)
						if derr != nil {
							break
						}
						buf = rest
						v, _ := value.Parse(m.Payload)
						var sent int64
						if _, serr := fmt.Sscanf(v.Get("delta").Get("text").Str(), "@%d", &sent); serr == nil {
							mu.Lock()
							if d := now.Sub(time.Unix(0, sent)); tokens == 0 {
								first = append(first, d)
							} else {
								all = append(all, d)
							}
							mu.Unlock()
							tokens++
						}
					}
					if err != nil {
						break
					}
				}
				if tokens != 20 {
					b.Errorf("%d tokens", tokens)
				}
			})
		}
		time.Sleep(time.Second)
		runtime.GC()
		runtime.ReadMemStats(&open)
		wg.Wait()
	}
	slices.Sort(first)
	slices.Sort(all)
	b.ReportMetric(float64(first[len(first)*99/100].Microseconds()), "first-p99-µs")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "token-p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "token-p99-µs")
	b.ReportMetric(float64(open.HeapInuse+open.StackInuse-before.HeapInuse-before.StackInuse)/float64(streams)/1024, "KiB/stream-with-both-ends")
}
