package bedrockrt_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tokaido/awsapi"
	"tokaido/awsapi/bedrockrt"
	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/wire"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/amazon"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/connector"
	"tokaido/gate"
	"tokaido/trail"
	"tokaido/value"
)

// node is a server of its own, with backends and receipts as given.
func node(t *testing.T, backend func(string, *catalog.Model) bedrock.Backend, receipts *trail.Receipts) *server {
	t.Helper()
	return of(t, bedrock.Config{Backend: backend}, receipts)
}

// limited is a server whose models take so much in each Region.
func limited(t *testing.T, l bedrock.Limits) *server {
	t.Helper()
	return of(t, bedrock.Config{Backend: simulated.New(simulated.Options{}).For, Limits: func(string, *catalog.Model) bedrock.Limits { return l }}, nil)
}

func of(t *testing.T, c bedrock.Config, receipts *trail.Receipts) *server {
	t.Helper()
	log := &recorder{}
	g := gate.New(log, nil)
	rt := bedrock.New(c)
	s, err := awsapi.New(awsapi.Config{Directory: directory{}, Gate: g, Ops: bedrockrt.Ops(&connector.Inference{Gate: g, Runtime: rt, Receipts: receipts})})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &server{h, log}
}

func keysOf(t *testing.T, name string) (*trail.Keys, *trail.Ring) {
	t.Helper()
	keys, err := trail.OpenKeys(t.TempDir(), "tokaido/"+name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Region("ap-northeast-1"); err != nil {
		t.Fatal(err)
	}
	public, err := trail.Public(keys.Dir())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := trail.NewRing(public...)
	if err != nil {
		t.Fatal(err)
	}
	return keys, ring
}

// calls are the ways in which a client asks, and what each has if it got the
// whole answer.
var calls = map[string]struct{ body, complete string }{
	"invoke":                      {claude, "stop_reason"},
	"converse":                    {converse, "stopReason"},
	"invoke-with-response-stream": {claude, "message_stop"},
	"converse-stream":             {converse, "metadata"},
}

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Error(err)
	}
	return b
}

// said is a whole answer, or a stream's events, one on each line.
func said(t *testing.T, a answer) (all string, exception string) {
	t.Helper()
	if a.header.Get("Content-Type") != "application/vnd.amazon.eventstream" {
		return string(a.body), ""
	}
	var b strings.Builder
	for rest := a.body; len(rest) > 0; {
		m, more, err := wire.DecodeMessage(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = more
		b.WriteString(m.Header(":event-type") + " ")
		if m.Header(":message-type") == "exception" {
			exception = m.Header(":exception-type")
		}
		v, err := value.Parse(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if in := v.Get("bytes").Str(); in != "" {
			b.Write(decode(t, in))
		} else {
			b.Write(m.Payload)
		}
		b.WriteString("\n")
	}
	return b.String(), exception
}

// A node signs for what it served, whole and streamed; the node that asked
// stores that and checks it, and where receipts are required an answer without a
// good one does not become complete.
func TestReceiptsBetweenNodes(t *testing.T) {
	ownKeys, _ := keysOf(t, "asked")
	keys, ring := keysOf(t, "served")
	_, stranger := keysOf(t, "served")
	signs := &trail.Receipts{Keys: keys, Peers: ring}
	// An answer on the way is changed.
	forge := func(to string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Scheme, r.URL.Host, r.RequestURI = "http", strings.TrimPrefix(to, "http://"), ""
			u, err := url.Parse(to + r.URL.EscapedPath())
			if err != nil {
				t.Error(err)
				return
			}
			r.URL = u
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			for k, v := range resp.Header {
				if k != "Content-Length" {
					w.Header()[k] = v
				}
			}
			b, _ := io.ReadAll(resp.Body)
			if !strings.Contains(resp.Header.Get("Content-Type"), "eventstream") {
				io.WriteString(w, strings.Replace(string(b), "hi there", "hi THERE", 1))
				return
			}
			for rest := b; len(rest) > 0; {
				m, more, err := wire.DecodeMessage(rest)
				if err != nil {
					t.Error(err)
					return
				}
				v, _ := value.Parse(m.Payload)
				if c := v.Get("bytes").Str(); c != "" {
					text := strings.Replace(string(decode(t, c)), "there", "THERE", 1)
					v = v.With("bytes", value.String(base64.StdEncoding.EncodeToString([]byte(text))))
				}
				out, err := wire.AppendEvent(nil, m.Header(":event-type"), v.AppendJSON(nil))
				if err != nil {
					t.Error(err)
				}
				w.Write(out)
				rest = more
			}
		}))
		t.Cleanup(s.Close)
		return s
	}
	for _, c := range []struct {
		name    string
		serving *trail.Receipts
		asking  *trail.Receipts
		forged  bool
		problem string // "": none
		refused bool
	}{
		{"good", signs, &trail.Receipts{Keys: ownKeys, Peers: ring, Require: true}, false, "", false},
		{"none", nil, &trail.Receipts{Keys: ownKeys, Peers: ring}, false, "sent none", false},
		{"none-required", nil, &trail.Receipts{Keys: ownKeys, Peers: ring, Require: true}, false, "sent none", true},
		{"unknown-key", signs, &trail.Receipts{Keys: ownKeys, Peers: stranger}, false, "key is not known", false},
		{"unknown-key-required", signs, &trail.Receipts{Keys: ownKeys, Peers: stranger, Require: true}, false, "key is not known", true},
		{"changed", signs, &trail.Receipts{Keys: ownKeys, Peers: ring}, true, "another answer", false},
		{"changed-required", signs, &trail.Receipts{Keys: ownKeys, Peers: ring, Require: true}, true, "another answer", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			far := node(t, simulated.New(simulated.Options{}).For, c.serving)
			to := far.URL
			if c.forged {
				to = forge(far.URL).URL
			}
			b, err := amazon.New(amazon.Config{Connection: upstream.Config{Name: "far", URL: to},
				Credentials: func(context.Context) (sigv4.Credentials, error) {
					return sigv4.Credentials{AccessKeyID: "AKIAROOT", Secret: "secret"}, nil
				}}, []string{"ap-northeast-1"})
			if err != nil {
				t.Fatal(err)
			}
			near := node(t, func(region string, _ *catalog.Model) bedrock.Backend {
				if region != "ap-northeast-1" {
					return nil
				}
				return b
			}, c.asking)
			for op, call := range calls {
				a := near.ask(t, "POST", path(jp45, op), call.body)
				text, exception := said(t, a)
				whole := strings.Contains(text, call.complete)
				switch {
				case c.refused && whole:
					t.Errorf("%s: a refused answer looks complete: %s", op, text)
				case c.refused && strings.Contains(op, "stream") && (exception != "serviceUnavailableException" || !strings.Contains(text, "there") && !strings.Contains(text, "THERE")):
					t.Errorf("%s: the stream ends in %q after %s", op, exception, text)
				case c.refused && !strings.Contains(op, "stream") && a.status != 503:
					t.Errorf("%s: %d %s", op, a.status, text)
				case !c.refused && (a.status != 200 || !whole || exception != ""):
					t.Errorf("%s: %d %q %s", op, a.status, exception, text)
				}
				if strings.Contains(text, bedrockrt.ReceiptEvent) || a.header.Get(trail.ReceiptHeader) != "" {
					t.Errorf("%s: a client was told of receipts: %s", op, text)
				}
				rec := near.log.last()
				problem := rec.Additional.Get(trail.ProblemMember).Str()
				if c.problem == "" && problem != "" || !strings.Contains(problem, c.problem) {
					t.Errorf("%s: recorded problem %q, want %q", op, problem, c.problem)
				}
				r, err := rec.Receipt()
				if err != nil || (r != nil) != (c.serving != nil) {
					t.Errorf("%s: recorded receipt %v, %v", op, r, err)
					continue
				}
				if r != nil {
					if r.Region != "ap-northeast-1" || r.RequestID == rec.RequestID || rec.Additional.Get(trail.ServedMember).Str() != r.RequestID {
						t.Errorf("%s: receipt %+v of request %s", op, r.Claim, rec.RequestID)
					}
					if err := r.Check(ring); err != nil {
						t.Errorf("%s: %v", op, err)
					}
				}
				if (rec.ErrorCode != "") != c.refused {
					t.Errorf("%s: recorded as %q", op, rec.ErrorCode)
				}
			}
		})
	}
}
