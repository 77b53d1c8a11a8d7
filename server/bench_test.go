package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi/sigv4"
)

// benchServer is a development server with a machine of ten Pass states, and a
// function that makes signed requests of Step Functions' operations.
func benchServer(b *testing.B, kind string) (s *Server, machine string, request func(op, body string) *http.Request) {
	b.Helper()
	s = newServer(b, Config{DataDir: b.TempDir(), Dev: true, Region: "us-east-1"}, slog.DiscardHandler)
	var keys sigv4.KeyCache
	signed := func(service, kind string, headers [][2]string, body string) *http.Request {
		headers = append(headers, [2]string{"Host", "localhost"}, [2]string{"Content-Type", kind})
		more, err := sigv4.Sign(sigv4.Request{Method: "POST", Target: "/", Headers: headers, Body: []byte(body)},
			sigv4.Options{Service: service, Region: "us-east-1", Now: time.Now(), Keys: &keys}, sigv4.Credentials{AccessKeyID: devKey, Secret: devSecret})
		if err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequestWithContext(context.Background(), "POST", "/", strings.NewReader(body))
		r.Host = "localhost"
		for _, h := range append(headers[:len(headers):len(headers)], more...) {
			if h[0] != "Host" {
				r.Header.Set(h[0], h[1])
			}
		}
		return r
	}
	request = func(op, body string) *http.Request {
		return signed("states", "application/x-amz-json-1.0", [][2]string{{"X-Amz-Target", "AWSStepFunctions." + op}}, body)
	}
	perform(b, s, signed("iam", "application/x-www-form-urlencoded", nil,
		`Action=CreateRole&Version=2010-05-08&RoleName=bench&AssumeRolePolicyDocument={"Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}],"Version":"2012-10-17"}`))
	var def strings.Builder
	def.WriteString(`{"StartAt":"P0","States":{`)
	for i := range 9 {
		fmt.Fprintf(&def, `"P%d":{"Type":"Pass","Next":"P%d"},`, i, i+1)
	}
	def.WriteString(`"P9":{"Type":"Pass","End":true}}}`)
	body, err := json.Marshal(map[string]string{"name": "bench", "type": kind, "definition": def.String(), "roleArn": "arn:aws:iam::" + s.Account + ":role/bench"})
	if err != nil {
		b.Fatal(err)
	}
	var made struct{ StateMachineArn string }
	if err := json.Unmarshal(perform(b, s, request("CreateStateMachine", string(body))), &made); err != nil {
		b.Fatal(err)
	}
	return s, made.StateMachineArn, request
}

// perform is the body of a request's answer, which must be a good one.
func perform(b *testing.B, s *Server, r *http.Request) []byte {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

const benchInput = `{"order":{"id":"0f9d","items":[{"sku":"A-1","qty":3},{"sku":"B-2","qty":1}]},"total":450}`

// BenchmarkStandard starts an execution and describes it when it has ended, all
// but the network: what one costs the server.
func BenchmarkStandard(b *testing.B) {
	s, machine, request := benchServer(b, "STANDARD")
	start, err := json.Marshal(map[string]string{"stateMachineArn": machine, "input": benchInput})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			var x struct{ ExecutionArn string }
			if err := json.Unmarshal(perform(b, s, request("StartExecution", string(start))), &x); err != nil {
				b.Error(err)
				return
			}
			for ended := false; !ended; {
				ended = bytes.Contains(perform(b, s, request("DescribeExecution", `{"executionArn":"`+x.ExecutionArn+`"}`)), []byte("SUCCEEDED"))
			}
		}
	})
}

// BenchmarkSync is StartSyncExecution, all but the network.
func BenchmarkSync(b *testing.B) {
	s, machine, request := benchServer(b, "EXPRESS")
	body, err := json.Marshal(map[string]string{"stateMachineArn": machine, "input": benchInput})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if got := perform(b, s, request("StartSyncExecution", string(body))); !bytes.Contains(got, []byte("SUCCEEDED")) {
				b.Errorf("%s", got)
				return
			}
		}
	})
}
