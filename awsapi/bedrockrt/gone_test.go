package bedrockrt_test

import (
	"bufio"
	"context"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/amazon"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
)

// endless is a backend that answers for ever, or not at all, and says when it
// was told to stop.
type endless struct {
	bedrock.Backend // simulated
	asked, stopped  chan string
}

func (e endless) Invoke(ctx context.Context, _ bedrock.Call) (*bedrock.Answer, error) {
	e.asked <- "whole"
	<-ctx.Done()
	e.stopped <- "whole"
	return nil, ctx.Err()
}

func (e endless) Stream(ctx context.Context, c bedrock.Call) iter.Seq2[bedrock.Chunk, error] {
	return func(yield func(bedrock.Chunk, error) bool) {
		e.asked <- "stream"
		defer func() { e.stopped <- "stream" }()
		var piece []byte
		for k, err := range e.Backend.Stream(ctx, c) {
			if err != nil {
				yield(bedrock.Chunk{}, err)
				return
			}
			if piece == nil || strings.Contains(string(k.Body), "text_delta") {
				piece = k.Body
			}
			if k.Usage == nil && !yield(bedrock.Chunk{Body: k.Body}, nil) {
				return
			}
			if strings.Contains(string(k.Body), "text_delta") {
				break
			}
		}
		for yield(bedrock.Chunk{Body: piece}, nil) {
			select {
			case <-ctx.Done():
				yield(bedrock.Chunk{}, ctx.Err())
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
}

// A client that goes away ends its call everywhere: at the node that it asked, at
// the node that this one asked, and where the model runs; and both nodes say so in
// their records.
func TestClientGoes(t *testing.T) {
	for _, op := range []string{"invoke", "converse", "invoke-with-response-stream", "converse-stream"} {
		t.Run(op, func(t *testing.T) {
			e := endless{simulated.New(simulated.Options{}), make(chan string, 4), make(chan string, 4)}
			far := node(t, func(string, *catalog.Model) bedrock.Backend { return e }, nil)
			b, err := amazon.New(amazon.Config{Connection: upstream.Config{Name: "far", URL: far.URL},
				Credentials: func(context.Context) (sigv4.Credentials, error) {
					return sigv4.Credentials{AccessKeyID: "AKIAROOT", Secret: "secret"}, nil
				}}, []string{"ap-northeast-1"})
			if err != nil {
				t.Fatal(err)
			}
			near := node(t, func(string, *catalog.Model) bedrock.Backend { return b }, nil)
			body := calls[op].body
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "POST", near.URL+path(jp45, op), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			add, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: path(jp45, op), Headers: [][2]string{{"Host", strings.TrimPrefix(near.URL, "http://")}}, Body: []byte(body)},
				sigv4.Options{Service: "bedrock", Region: "ap-northeast-1", Now: time.Now()}, sigv4.Credentials{AccessKeyID: "AKIAROOT", Secret: "secret"})
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range add {
				r.Header.Set(h[0], h[1])
			}
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					return
				}
				defer resp.Body.Close()
				bufio.NewReader(resp.Body).ReadByte() //nolint:errcheck // the answer has begun
				cancel()
			}()
			<-e.asked
			if !strings.Contains(op, "stream") {
				cancel()
			}
			<-gone
			select {
			case <-e.stopped:
			case <-time.After(time.Minute):
				t.Fatal("the model runs on for nobody")
			}
			for name, s := range map[string]*server{"the node that was asked": near, "the node that served": far} {
				for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
					s.log.mu.Lock()
					n := len(s.log.records)
					s.log.mu.Unlock()
					if n >= 2 { // the intent, and what came of it
						break
					}
					if time.Now().After(end) {
						t.Fatalf("%s recorded nothing", name)
					}
				}
				rec := s.log.last()
				if rec.ErrorCode != "RequestCanceled" {
					t.Errorf("%s recorded %q: %s", name, rec.ErrorCode, rec.ErrorMessage)
				}
				if got := rec.Additional.Get("inferenceRegion").Str(); got != "ap-northeast-1" {
					t.Errorf("%s recorded it in %q", name, got)
				}
			}
		})
	}
}
