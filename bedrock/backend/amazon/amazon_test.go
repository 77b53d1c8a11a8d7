package amazon_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/wire"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/amazon"
	"tokaido/bedrock/backend/backendtest"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// server speaks Bedrock Runtime and checks signatures; what it says is the
// simulated backend's.
func server(t *testing.T, b backendtest.Behaviour) *httptest.Server {
	sim := simulated.New(simulated.Options{Others: simulated.Behaviour{Latency: b.Latency, CutAfter: b.CutAfter, Pace: b.Pace}})
	refuse := func(w http.ResponseWriter, status int, code, text string) {
		w.Header().Set("X-Amzn-Errortype", code+":http://internal.amazon.com/coral/com.amazon.bedrock/")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"message":%s}`, value.String(text).JSON())
	}
	s := httptest.NewServer(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		headers := [][2]string{{"Host", r.Host}}
		for k := range r.Header {
			headers = append(headers, [2]string{k, r.Header.Get(k)})
		}
		_, err := sigv4.Verify(sigv4.Request{Method: r.Method, Target: r.RequestURI, Headers: headers, Body: body},
			sigv4.Options{Service: "bedrock", Region: backendtest.Region, Now: time.Now()}, func(id, _ string) (string, error) {
				if id != "AKID" {
					return "", sigv4.ErrInvalidToken
				}
				return "secret", nil
			})
		if err != nil {
			refuse(w, 403, "UnrecognizedClientException", err.Error())
			return
		}
		parts := strings.Split(r.URL.EscapedPath(), "/")
		id, _ := url.PathUnescape(parts[2])
		m, ok := backendtest.Catalog().Model(id)
		switch {
		case !ok:
			refuse(w, 400, "ValidationException", "The provided model identifier is invalid.")
			return
		case r.Header.Get(amazon.RegionHeader) != backendtest.Region:
			refuse(w, 400, "ValidationException", "no Region is asked for")
			return
		case b.Throttle:
			refuse(w, 429, "ThrottlingException", "Too many requests, please wait before trying again.")
			return
		case b.Fail:
			refuse(w, 503, "ServiceUnavailableException", "Bedrock is unable to process your request.")
			return
		case b.Break:
			panic(http.ErrAbortHandler)
		}
		call := bedrock.Call{Region: backendtest.Region, Model: m, Body: body}
		w.Header().Set(amazon.RegionHeader, backendtest.Region)
		switch parts[3] {
		case "count-tokens":
			io.WriteString(w, `{"inputTokens":7}`)
		case "invoke":
			a, err := sim.Invoke(r.Context(), call)
			if f, ok := errors.AsType[*fault.Error](err); ok {
				refuse(w, 400, f.Code, f.Message)
				return
			}
			if err != nil {
				return
			}
			w.Header().Set("X-Amzn-Bedrock-Input-Token-Count", fmt.Sprint(a.Usage.Input))
			w.Header().Set("X-Amzn-Bedrock-Output-Token-Count", fmt.Sprint(a.Usage.Output))
			w.Write(a.Body)
		case "invoke-with-response-stream":
			for k, err := range sim.Stream(r.Context(), call) {
				if f, ok := errors.AsType[*fault.Error](err); ok {
					refuse(w, 400, f.Code, f.Message)
					return
				}
				if err != nil {
					panic(http.ErrAbortHandler)
				}
				if k.Usage != nil {
					v, _ := value.Parse(k.Body)
					x, _ := value.ParseString(fmt.Sprintf(`{"inputTokenCount":%d,"outputTokenCount":%d,"invocationLatency":1,"firstByteLatency":1}`, k.Usage.Input, k.Usage.Output))
					k.Body = v.With("amazon-bedrock-invocationMetrics", x).AppendJSON(nil)
				}
				payload := fmt.Sprintf(`{"bytes":%q,"p":"abc"}`, base64.StdEncoding.EncodeToString(k.Body))
				msg, _ := wire.AppendEvent(nil, "chunk", []byte(payload))
				w.Write(msg)
				w.(http.Flusher).Flush()
			}
		}
	})))
	t.Cleanup(s.Close)
	return s
}

func keys(id string) amazon.Credentials {
	return func(context.Context) (sigv4.Credentials, error) {
		return sigv4.Credentials{AccessKeyID: id, Secret: "secret"}, nil
	}
}

func open(t *testing.T, url, key string) *amazon.Backend {
	t.Helper()
	b, err := amazon.New(amazon.Config{Connection: upstream.Config{Name: "test", URL: url}, Credentials: keys(key)}, []string{backendtest.Region})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	behaving := func(t *testing.T, b backendtest.Behaviour) bedrock.Backend {
		return open(t, server(t, b).URL, "AKID")
	}
	backendtest.Test(t, behaving)
	backendtest.Embeddings(t, behaving)
}

func haiku(t *testing.T) *catalog.Model {
	m, ok := catalog.Load().Model("anthropic.claude-3-haiku-20240307-v1:0")
	if !ok {
		t.Fatal("no model")
	}
	return m
}

const hello = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":200,"messages":[{"role":"user","content":"hello"}]}`

func TestCheckAndCount(t *testing.T) {
	s := server(t, backendtest.Behaviour{})
	b := open(t, s.URL, "AKID")
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, s.URL, "OTHER").Check(t.Context()); err == nil {
		t.Error("a key that is not known passes")
	}
	n, err := b.CountTokens(t.Context(), bedrock.Call{Region: backendtest.Region, Model: haiku(t), Body: []byte(hello)})
	if err != nil || n != 7 {
		t.Errorf("%d %v", n, err)
	}
}

func TestOurKeyIsNotTheCallersFault(t *testing.T) {
	_, err := open(t, server(t, backendtest.Behaviour{}).URL, "OTHER").Invoke(t.Context(), bedrock.Call{Region: backendtest.Region, Model: haiku(t), Body: []byte(hello)})
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "ServiceUnavailableException" || strings.Contains(f.Message, "token") {
		t.Errorf("%v", err)
	}
}

// A circle of nodes ends.
func TestHops(t *testing.T) {
	b := open(t, server(t, backendtest.Behaviour{}).URL, "AKID")
	c := bedrock.Call{Region: backendtest.Region, Model: haiku(t), Body: []byte(hello), Hops: amazon.MaxHops}
	if _, err := b.Invoke(t.Context(), c); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("%v", err)
	}
}

// A backend that hands calls to one of AWS's profiles serves only plans that
// contain every Region that AWS may choose.
func TestReach(t *testing.T) {
	const sonnet, japan = "anthropic.claude-sonnet-4-5-20250929-v1:0", "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
	b, err := amazon.New(amazon.Config{
		Connection: upstream.Config{Name: "test", URL: "http://127.0.0.1:1"}, Credentials: keys("AKID"), Catalog: catalog.Load(),
		Model: func(*catalog.Model) string { return japan },
	}, []string{"ap-northeast-1"})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := catalog.Load().Model(sonnet)
	if got := b.Reach("ap-northeast-1", m); len(got) != 2 {
		t.Errorf("it reaches %v", got)
	}
	rt := bedrock.New(bedrock.Config{Backend: func(region string, _ *catalog.Model) bedrock.Backend {
		if region == "ap-northeast-1" {
			return b
		}
		return nil
	}})
	for _, c := range []struct {
		plan func() (*bedrock.Plan, error)
		want string
	}{
		{func() (*bedrock.Plan, error) { return rt.Plan("ap-northeast-1", "123456789012", japan) }, "Bedrock is unable to process your request."},
		{func() (*bedrock.Plan, error) { return rt.PlanHere("ap-northeast-1", "123456789012", sonnet) }, "No backend of this server has"},
	} {
		p, err := c.plan()
		if err != nil {
			t.Fatal(err)
		}
		_, err = rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(hello)})
		if f, ok := errors.AsType[*fault.Error](err); !ok || !strings.HasPrefix(f.Message, c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// Whoever answers in a Region that was not asked is not believed.
func TestAnswerFromElsewhere(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(amazon.RegionHeader, "us-east-1")
		io.WriteString(w, `{"content":[]}`)
	}))
	defer s.Close()
	b := open(t, s.URL, "AKID")
	rt := bedrock.New(bedrock.Config{Backend: func(string, *catalog.Model) bedrock.Backend { return b }})
	p, err := rt.PlanHere(backendtest.Region, "123456789012", haiku(t).ID)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(hello)})
	if err == nil || res.Region != "us-east-1" || res.Body != nil {
		t.Errorf("%+v %v", res, err)
	}
}

// A receipt follows a stream's last chunk; a node that dies before it is sent
// leaves a whole answer without one.
func TestReceiptOfStream(t *testing.T) {
	const last = `{"type":"message_stop", "a":[1, 2]  }`
	event := func(name, payload string) []byte {
		b, err := wire.AppendEvent(nil, name, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	chunk := func(s string) []byte {
		return event("chunk", `{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(s))+`"}`)
	}
	for name, c := range map[string]struct {
		tail   []byte
		abort  bool
		last   string // with metrics
		native string
		want   string
	}{
		"sent":      {event(amazon.ReceiptEvent, `{"receipt":"abc"}`), false, last[:len(last)-1] + `,"` + bedrock.MetricsMember + `":{"inputTokenCount":3}}`, last, "abc"},
		"bare":      {event(amazon.ReceiptEvent, `{"receipt":"abc"}`), false, `{"` + bedrock.MetricsMember + `":{"inputTokenCount":3}}`, `{}`, "abc"},
		"elsewhere": {event(amazon.ReceiptEvent, `{"receipt":"abc"}`), false, `{"` + bedrock.MetricsMember + `":{"inputTokenCount":3},"x":1}`, `{"x":1}`, "abc"},
		"none":      {nil, false, last[:len(last)-1] + `,"` + bedrock.MetricsMember + `":{"inputTokenCount":3}}`, last, ""},
		"other":     {event("somethingNew", `{}`), false, last[:len(last)-1] + `,"` + bedrock.MetricsMember + `":{"inputTokenCount":3}}`, last, ""},
		"cut":       {event(amazon.ReceiptEvent, `{"receipt":"abc"}`)[:20], true, last[:len(last)-1] + `,"` + bedrock.MetricsMember + `":{"inputTokenCount":3}}`, last, ""},
		"garbage":   {[]byte("not a message at all, but long enough to be read as one"), false, last[:len(last)-1] + `,"` + bedrock.MetricsMember + `":{"inputTokenCount":3}}`, last, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(amazon.RegionHeader, backendtest.Region)
				w.Write(chunk(`{"type":"message_start"}`))
				w.Write(chunk(c.last))
				w.Write(c.tail)
				if c.abort {
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
			}))
			defer s.Close()
			var receipt *string
			n := 0
			for k, err := range open(t, s.URL, "AKID").Stream(t.Context(), bedrock.Call{Region: backendtest.Region, Model: haiku(t), Body: []byte(hello)}) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n < 2 {
					continue
				}
				if k.Usage == nil || k.Usage.Input != 3 || string(k.Body) != c.native {
					t.Errorf("the last chunk is %s, %+v", k.Body, k.Usage)
				}
				receipt = k.Receipt
			}
			if n != 2 || receipt == nil || *receipt != c.want {
				t.Errorf("%d chunks, then %v", n, receipt)
			}
		})
	}
}

// AWS itself does not say where it ran a call of a model's own id: there is one
// Region that it can have been.
func TestAnswerWithoutRegion(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"content":[]}`) }))
	defer s.Close()
	b := open(t, s.URL, "AKID")
	rt := bedrock.New(bedrock.Config{Backend: func(string, *catalog.Model) bedrock.Backend { return b }})
	p, err := rt.PlanHere(backendtest.Region, "123456789012", haiku(t).ID)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(hello)})
	if err != nil || res.Region != backendtest.Region || res.Within != nil || !res.Remote {
		t.Errorf("%+v %v", res, err)
	}
}

// Each place is asked once, for the Regions whose calls go there, without a
// signature; another node says that it is ending.
func TestProbe(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	status := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		if body, _ := io.ReadAll(r.Body); r.Header.Get("Authorization") != "" || len(body) > 0 {
			t.Errorf("it is signed, or has a body: %q %q", r.Header, body)
		}
		w.WriteHeader(status[r.URL.Path])
	}))
	defer s.Close()
	made := func(url, region string) *amazon.Backend {
		b, err := amazon.New(amazon.Config{Connection: upstream.Config{Name: "test", URL: url}, Region: region, Credentials: keys("AKID")}, []string{"ap-northeast-3", "ap-northeast-1"})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	each := made(s.URL+"/{region}", "").Probes()
	if len(each) != 2 || !slices.Equal(each[0].Regions, []string{"ap-northeast-1"}) || !slices.Equal(each[1].Regions, []string{"ap-northeast-3"}) {
		t.Fatalf("%+v", each)
	}
	for _, one := range [][]bedrock.Probe{made(s.URL, "").Probes(), made(s.URL+"/{region}", "us-east-1").Probes()} {
		if len(one) != 1 || !slices.Equal(one[0].Regions, []string{"ap-northeast-1", "ap-northeast-3"}) {
			t.Errorf("%+v", one)
		}
	}
	for _, c := range []struct {
		status int
		want   bool
	}{{200, true}, {403, true}, {404, true}, {503, false}, {500, false}} { // as nodes answer, AWS, and nodes that are ending
		mu.Lock()
		status["/ap-northeast-3/readyz"], status["/ap-northeast-1/readyz"] = c.status, 500
		mu.Unlock()
		if err := each[1].Ask(t.Context()); (err == nil) != c.want {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if got := slices.Compact(asked); !slices.Equal(got, []string{"GET /ap-northeast-3/readyz"}) {
		t.Errorf("asked %q", got)
	}
}

// What AWS says of a model's error besides its message reaches the caller, whole
// and within a stream.
func TestModelErrorsMembers(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "stream") {
			w.Header().Set("X-Amzn-Errortype", "ModelErrorException")
			w.WriteHeader(http.StatusFailedDependency)
			io.WriteString(w, `{"message":"it fell","originalStatusCode":500,"resourceName":"arn:x"}`)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		b, err := wire.AppendEvent(nil, "chunk", []byte(`{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(`{"type":"message_start","message":{}}`))+`","p":"ab"}`))
		if err != nil {
			t.Error(err)
		}
		if b, err = wire.AppendException(b, "modelStreamErrorException", []byte(`{"message":"it broke","originalStatusCode":424,"originalMessage":"o"}`)); err != nil {
			t.Error(err)
		}
		w.Write(b)
	}))
	defer s.Close()
	c := bedrock.Call{Region: backendtest.Region, Model: haiku(t), Body: []byte(hello)}
	said := func(err error) string {
		f, ok := errors.AsType[*fault.Error](err)
		if !ok {
			return fmt.Sprint(err)
		}
		return fmt.Sprint(f.Code, " ", f.Message, " ", f.Members)
	}
	_, err := open(t, s.URL, "AKID").Invoke(t.Context(), c)
	if got := said(err); got != "ModelErrorException it fell [{originalStatusCode 500} {resourceName arn:x}]" {
		t.Error(got)
	}
	for _, e := range open(t, s.URL, "AKID").Stream(t.Context(), c) {
		err = e
	}
	if got := said(err); got != "ModelStreamErrorException it broke [{originalStatusCode 424} {originalMessage o}]" {
		t.Error(got)
	}
}
