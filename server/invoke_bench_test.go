package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi/sigv4"
)

// BenchmarkInvokeModel is what a call of a simulated model costs here, without the
// network: signature, plan, decision, two records, receipt.
func BenchmarkInvokeModel(b *testing.B) {
	for _, how := range []string{inferencesGrouped, inferencesDurable} {
		b.Run(how, func(b *testing.B) {
			s, err := New(b.Context(), Config{DataDir: b.TempDir(), Dev: true, Trail: TrailConfig{Inferences: how}}, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			const target, body = "/model/openai.gpt-oss-20b-1%3A0/invoke", `{"messages":[{"role":"user","content":"hello there, how do you do?"}],"max_completion_tokens":100}`
			add, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: target, Headers: [][2]string{{"Host", "localhost"}}, Body: []byte(body)},
				sigv4.Options{Service: "bedrock", Region: "ap-northeast-1", Now: time.Now()}, sigv4.Credentials{AccessKeyID: devKey, Secret: devSecret})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), "POST", target, strings.NewReader(body))
				r.Host = "localhost"
				for _, h := range add {
					r.Header.Set(h[0], h[1])
				}
				w := httptest.NewRecorder()
				if s.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}
