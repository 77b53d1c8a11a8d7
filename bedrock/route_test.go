package bedrock

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

func TestRank(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name  string
		views []view
		first int
		want  []int
	}{
		{"source-first", []view{{inFlight: 9, latency: 90 * ms}, {}, {}}, 0, []int{0, 1, 2}},
		{"source-full", []view{{room: noRequests}, {inFlight: 3, latency: ms}, {inFlight: 1, latency: ms}}, 0, []int{2, 1}},
		{"source-out", []view{{out: 5}, {latency: ms}, {}}, 0, []int{1, 2, 0}},
		{"latency-counts", []view{{room: noTokens}, {latency: 10 * ms}, {inFlight: 2, latency: 3 * ms}}, 0, []int{2, 1}},
		{"no-source", []view{{inFlight: 2}, {inFlight: 1}}, -1, []int{1, 0}},
		{"all-out", []view{{out: 9}, {out: 3}, {out: 6}}, 0, []int{1, 2, 0}},
		{"all-full", []view{{room: noTokens}, {room: noRequests}}, 0, nil},
		{"source-in-the-middle", []view{{}, {inFlight: 9}, {}}, 1, []int{1, 0, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := make([]int, len(c.views))
			if got := dst[:rank(dst, c.views, c.first)]; !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// fake is a backend made of functions.
type fake struct {
	invoke func(context.Context, Call) (*Answer, error)
	stream func(context.Context, Call) iter.Seq2[Chunk, error]
}

func (f fake) Invoke(ctx context.Context, c Call) (*Answer, error) { return f.invoke(ctx, c) }
func (f fake) Stream(ctx context.Context, c Call) iter.Seq2[Chunk, error] {
	return f.stream(ctx, c)
}

var okBody = []byte(`{"max_tokens":10}`)

func only(b Backend) func(string, *catalog.Model) Backend {
	return func(string, *catalog.Model) Backend { return b }
}

// Whatever happens, no request goes to a Region outside the plan, none is sent
// on after its first byte, and everything that was tried is reported.
func TestNeverOutsideThePlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	cat := catalog.Load()
	errs := []error{
		Fault("ThrottlingException", "busy"), Fault("ServiceUnavailableException", "down"), Fault("InternalServerException", "oops"),
		Fault("ValidationException", "no"), Fault("ModelErrorException", "model"), errors.New("connection reset"), nil, nil, nil,
	}
	for round := range 400 {
		var sent []string // Regions in order
		firstByte := ""
		limits := map[string]Limits{}
		for _, r := range cat.Regions {
			limits[r.Code] = Limits{Concurrent: rng.IntN(3), RequestsPerMinute: rng.IntN(4), TokensPerMinute: rng.IntN(3) * 40}
		}
		missing := rng.IntN(4) == 0
		b := &fake{
			invoke: func(_ context.Context, c Call) (*Answer, error) {
				sent = append(sent, c.Region)
				if err := errs[rng.IntN(len(errs))]; err != nil {
					return nil, err
				}
				return &Answer{Body: []byte(`{}`), Usage: Usage{Input: rng.IntN(50), Output: rng.IntN(50)}}, nil
			},
			stream: func(_ context.Context, c Call) iter.Seq2[Chunk, error] {
				return func(yield func(Chunk, error) bool) {
					sent = append(sent, c.Region)
					if firstByte != "" {
						t.Errorf("sent to %s after the first byte of %s", c.Region, firstByte)
					}
					for i := range 4 {
						if err := errs[rng.IntN(len(errs))]; err != nil {
							yield(Chunk{}, err)
							return
						}
						firstByte = c.Region
						k := Chunk{Body: []byte(`{}`)}
						if i == 3 {
							k.Usage = &Usage{Output: 3}
						}
						if !yield(k, nil) {
							return
						}
					}
				}
			},
		}
		rt := New(Config{
			Backend: func(region string, _ *catalog.Model) Backend {
				if missing && len(region)%2 == 0 {
					return nil
				}
				return b
			},
			Limits: func(region string, _ *catalog.Model) Limits { return limits[region] },
		})
		prof := cat.Profiles[rng.IntN(len(cat.Profiles))]
		source := prof.Sources()[rng.IntN(len(prof.Sources()))]
		p, err := rt.Plan(source, account, prof.ID)
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			sent, firstByte = nil, ""
			switch some := cat.Regions[rng.IntN(len(cat.Regions))].Code; rng.IntN(6) { // whatever probes say
			case 0:
				rt.Unwell(b, []string{source, some}, time.Now())
			case 1:
				rt.Well(b, []string{source, some})
			}
			var res *Result
			if rng.IntN(2) == 0 {
				res, err = rt.Invoke(t.Context(), p, Request{Body: okBody})
			} else {
				chunks := 0
				res, err = rt.InvokeStream(t.Context(), p, Request{Body: okBody}, nil, func([]byte) error { chunks++; return nil })
				if (chunks > 0) != (firstByte != "") {
					t.Errorf("%d chunks", chunks)
				}
			}
			var reported []string
			for _, a := range res.Attempts {
				if a.Outcome != Full && a.Outcome != Out {
					reported = append(reported, a.Region)
				}
				if !slices.Contains(prof.Destinations(source), a.Region) && a.Region != source {
					t.Fatalf("round %d: reported %s for %s from %s", round, a.Region, prof.ID, source)
				}
			}
			for _, r := range sent {
				if !slices.Contains(prof.Destinations(source), r) {
					t.Fatalf("round %d: %s from %s was sent to %s", round, prof.ID, source, r)
				}
			}
			if !slices.Equal(sent, reported) {
				t.Fatalf("round %d: sent to %v, reported %v", round, sent, reported)
			}
			if err == nil && res.Region != sent[len(sent)-1] {
				t.Fatalf("round %d: served by %s, said %s", round, sent[len(sent)-1], res.Region)
			}
			if err != nil && fault.Code(err) == "" {
				t.Fatalf("round %d: an error that is no fault: %v", round, err)
			}
		}
		for _, l := range p.route.lanes {
			if l.inFlight != 0 {
				t.Fatalf("round %d: %d requests left in %s", round, l.inFlight, l.region)
			}
		}
	}
}

func regionsOf(res *Result) string {
	var s strings.Builder
	for _, a := range res.Attempts {
		s.WriteString(fmt.Sprintf("%s:%s ", a.Region, a.Outcome))
	}
	return s.String() + "-> " + res.Region
}

func TestFullSourceGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fake{invoke: func(context.Context, Call) (*Answer, error) { return &Answer{Body: []byte(`{}`)}, nil }}
		rt := New(Config{Backend: only(b), Limits: func(r string, _ *catalog.Model) Limits {
			if r == "ap-northeast-1" {
				return Limits{RequestsPerMinute: 2}
			}
			return Limits{RequestsPerMinute: 1}
		}})
		p, err := rt.Plan("ap-northeast-1", account, jp45)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{
			"ap-northeast-1:served -> ap-northeast-1",
			"ap-northeast-1:served -> ap-northeast-1",
			"ap-northeast-1:full ap-northeast-3:served -> ap-northeast-3",
		} {
			res, err := rt.Invoke(t.Context(), p, Request{Body: okBody})
			if err != nil || regionsOf(res) != want {
				t.Errorf("call %d: %s, %v; want %s", i, regionsOf(res), err, want)
			}
			if res.Rerouted(p) != (i == 2) {
				t.Errorf("call %d: rerouted %v", i, res.Rerouted(p))
			}
		}
		_, err = rt.Invoke(t.Context(), p, Request{Body: okBody})
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Code != "ThrottlingException" || f.Message != "Too many requests, please wait before trying again." || f.Status != 429 {
			t.Errorf("all full: %v", err)
		}
		time.Sleep(30 * time.Second) // half a minute gives Tokyo one request back
		if res, err := rt.Invoke(t.Context(), p, Request{Body: okBody}); err != nil || res.Region != "ap-northeast-1" {
			t.Errorf("after 30 s: %v, %v", regionsOf(res), err)
		}
		want := []Stats{{Region: "ap-northeast-1", Model: bare45, Served: 3, Full: 2}, {Region: "ap-northeast-3", Model: bare45, Served: 1, Full: 2}}
		got := rt.Stats()
		for i := range got {
			got[i].Latency = 0
		}
		if !slices.Equal(got, want) {
			t.Errorf("stats: %+v", got)
		}
	})
}

func TestTokensPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fake{invoke: func(context.Context, Call) (*Answer, error) {
			return &Answer{Body: []byte(`{}`), Usage: Usage{Input: 10, Output: 2}}, nil // 2 × 5 for output
		}}
		rt := New(Config{Backend: only(b), Limits: func(string, *catalog.Model) Limits { return Limits{TokensPerMinute: 120} }})
		p, _ := rt.Plan("ap-northeast-1", account, jp45)
		body := []byte(`{"max_tokens":95,"prompt":"twenty characters ok"}`) // 5 tokens
		for i := range 2 {
			if res, err := rt.Invoke(t.Context(), p, Request{Body: body}); err != nil || res.Region != "ap-northeast-1" {
				t.Fatalf("call %d: %v, %v", i, regionsOf(res), err) // what was not used is given back
			}
		}
		if res, err := rt.Invoke(t.Context(), p, Request{Body: body}); err != nil || res.Region != "ap-northeast-3" {
			t.Fatalf("%v, %v", regionsOf(res), err)
		}
		_, err := rt.Invoke(t.Context(), p, Request{Body: []byte(`{"max_tokens":500}`)})
		if f, _ := errors.AsType[*fault.Error](err); f == nil || f.Message != "Too many tokens, please wait before trying again." {
			t.Errorf("more tokens than a minute has: %v", err)
		}
	})
}

func TestFailuresGoOnAndCallersErrorsDoNot(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
		code string
	}{
		{"throttled", Fault("ThrottlingException", "x"), "ap-northeast-1:throttled ap-northeast-3:served -> ap-northeast-3", ""},
		{"down", Fault("ServiceUnavailableException", "x"), "ap-northeast-1:failed ap-northeast-3:served -> ap-northeast-3", ""},
		{"broken", errors.New("reset"), "ap-northeast-1:failed ap-northeast-3:served -> ap-northeast-3", ""},
		{"refused", Fault("ValidationException", "x"), "ap-northeast-1:refused -> ap-northeast-1", "ValidationException"},
		{"timeout", Fault("ModelTimeoutException", "x"), "ap-northeast-1:refused -> ap-northeast-1", "ModelTimeoutException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := fake{invoke: func(_ context.Context, k Call) (*Answer, error) {
				if k.Region == "ap-northeast-1" {
					return nil, c.err
				}
				return &Answer{Body: []byte(`{}`)}, nil
			}}
			rt := New(Config{Backend: only(b)})
			p, _ := rt.Plan("ap-northeast-1", account, jp45)
			res, err := rt.Invoke(t.Context(), p, Request{Body: okBody})
			if regionsOf(res) != c.want || fault.Code(err) != c.code {
				t.Errorf("%s, %v; want %s", regionsOf(res), err, c.want)
			}
		})
	}
}

func TestAllFail(t *testing.T) {
	for _, c := range []struct {
		name string
		errs map[string]error
		code string
	}{
		{"throttle-wins", map[string]error{"ap-northeast-1": Fault("ThrottlingException", "x"), "ap-northeast-3": errors.New("x")}, "ThrottlingException"},
		{"both-broken", map[string]error{"ap-northeast-1": errors.New("x"), "ap-northeast-3": errors.New("x")}, "ServiceUnavailableException"},
		{"said-so", map[string]error{"ap-northeast-1": Fault("InternalServerException", "x"), "ap-northeast-3": Fault("InternalServerException", "y")}, "InternalServerException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := New(Config{Backend: only(fake{invoke: func(_ context.Context, k Call) (*Answer, error) { return nil, c.errs[k.Region] }})})
			p, _ := rt.Plan("ap-northeast-1", account, jp45)
			res, err := rt.Invoke(t.Context(), p, Request{Body: okBody})
			if fault.Code(err) != c.code || len(res.Attempts) != 2 {
				t.Errorf("%s: %v", regionsOf(res), err)
			}
		})
	}
}

// A Region that fails is left alone for a while, then comes back slowly.
func TestEjectionAndRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := true
		tokyo := 0
		hold := time.Duration(0)
		b := fake{invoke: func(_ context.Context, k Call) (*Answer, error) {
			if k.Region == "ap-northeast-1" {
				tokyo++
				time.Sleep(hold)
				if bad {
					return nil, errors.New("down")
				}
			}
			return &Answer{Body: []byte(`{}`)}, nil
		}}
		rt := New(Config{Backend: only(b)})
		p, _ := rt.Plan("ap-northeast-1", account, jp45)
		call := func() string {
			res, err := rt.Invoke(t.Context(), p, Request{Body: okBody})
			if err != nil {
				t.Error(err)
			}
			return res.Region
		}
		for range 10 {
			call()
		}
		if tokyo != failuresToEject {
			t.Errorf("Tokyo was asked %d times while down, want %d", tokyo, failuresToEject)
		}
		time.Sleep(failurePause)
		call() // one request tries it again, and it is out for longer
		if tokyo != failuresToEject+1 {
			t.Errorf("asked %d times", tokyo)
		}
		time.Sleep(failurePause)
		if call(); tokyo != failuresToEject+1 {
			t.Errorf("the second pause is not longer than the first")
		}
		bad = false
		time.Sleep(failurePause)
		hold = time.Second
		done := make(chan string, 3)
		for range 3 {
			go func() { done <- call() }()
			synctest.Wait()
		}
		got := []string{<-done, <-done, <-done}
		slices.Sort(got)
		if want := []string{"ap-northeast-1", "ap-northeast-3", "ap-northeast-3"}; !slices.Equal(got, want) {
			t.Errorf("three at once while it recovers: %v, want %v", got, want)
		}
		for range 6 {
			if r := call(); r != "ap-northeast-1" {
				t.Errorf("recovered, and served by %s", r)
			}
		}
	})
}

func TestStreamCut(t *testing.T) {
	b := fake{stream: func(context.Context, Call) iter.Seq2[Chunk, error] {
		return func(yield func(Chunk, error) bool) {
			if yield(Chunk{Body: []byte(`{"a":1}`)}, nil) {
				yield(Chunk{}, errors.New("reset by peer"))
			}
		}
	}}
	rt := New(Config{Backend: only(b)})
	p, _ := rt.Plan("ap-northeast-1", account, jp45)
	n := 0
	res, err := rt.InvokeStream(t.Context(), p, Request{Body: okBody}, func(b Begun) {
		if b.Region != "ap-northeast-1" {
			t.Errorf("begun in %s", b.Region)
		}
	}, func([]byte) error { n++; return nil })
	if fault.Code(err) != "ModelStreamErrorException" || n != 1 || regionsOf(res) != "ap-northeast-1:cut -> ap-northeast-1" {
		t.Errorf("%v, %d chunks, %s", err, n, regionsOf(res))
	}
}

func TestClientLeaves(t *testing.T) {
	b := fake{stream: func(context.Context, Call) iter.Seq2[Chunk, error] {
		return func(yield func(Chunk, error) bool) {
			for yield(Chunk{Body: []byte(`{}`)}, nil) {
			}
		}
	}}
	rt := New(Config{Backend: only(b)})
	p, _ := rt.Plan("ap-northeast-1", account, jp45)
	gone := errors.New("gone")
	for range failuresToEject + 1 {
		res, err := rt.InvokeStream(t.Context(), p, Request{Body: okBody}, nil, func([]byte) error { return gone })
		if !errors.Is(err, gone) || res.Region != "ap-northeast-1" {
			t.Errorf("%v, %s: a Region was blamed for its client", err, regionsOf(res))
		}
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fake{invoke: func(ctx context.Context, _ Call) (*Answer, error) { <-ctx.Done(); return nil, ctx.Err() }}
		rt := New(Config{Backend: only(b)})
		p, _ := rt.Plan("ap-northeast-1", account, jp45)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := rt.Invoke(ctx, p, Request{Body: okBody})
		if fault.Code(err) != "ModelTimeoutException" || len(res.Attempts) != 1 {
			t.Errorf("%v, %s", err, regionsOf(res))
		}
	})
}

func TestRequestCheck(t *testing.T) {
	for _, c := range []struct {
		name, contentType, accept, body string
		ok                              bool
	}{
		{"plain", "", "", "{}", true},
		{"json", "application/json; charset=utf-8", "application/json", "{}", true},
		{"sdk-default", "application/octet-stream", "*/*", "{}", true},
		{"list", "", "text/plain, application/json;q=0.5", "{}", true},
		{"image", "image/png", "", "{}", false},
		{"audio", "", "audio/mpeg", "{}", false},
		{"nonsense", "a b", "", "{}", false},
		{"no-json", "", "", "hello", false},
		{"array", "", "", "[]", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&Request{Body: []byte(c.body), ContentType: c.contentType, Accept: c.accept}).Check()
			if (err == nil) != c.ok || err != nil && fault.Code(err) != "ValidationException" {
				t.Error(err)
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	picture := strings.Repeat("AAAA", 1<<18)
	if n := estimate(value.MustParse(`{"a":["` + picture + `","four char"]}`)); n != mediaTokens+3 {
		t.Errorf("a picture and three tokens count %d", n)
	}
}

func TestNoBackend(t *testing.T) {
	rt := planner()
	p, _ := rt.Plan("ap-northeast-1", account, jp45)
	if _, err := rt.Invoke(t.Context(), p, Request{Body: okBody}); fault.Code(err) != "ServiceUnavailableException" {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"message_stop"}`: `{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":1,"outputTokenCount":2,"invocationLatency":7,"firstByteLatency":3}}`,
		`{ }`:                     `{ "amazon-bedrock-invocationMetrics":{"inputTokenCount":1,"outputTokenCount":2,"invocationLatency":7,"firstByteLatency":3}}`,
	} {
		if got := string(withMetrics([]byte(in), Usage{Input: 1, Output: 2}, 7*time.Millisecond, 3*time.Millisecond)); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
}

// counter is a backend that only counts.
type counter struct {
	Backend
	count func(Call) (int, error)
}

func (c counter) CountTokens(_ context.Context, k Call) (int, error) { return c.count(k) }

// Counting goes on to the next Region where one fails, and knows how many nodes
// the question has passed.
func TestCountTokensGoesOn(t *testing.T) {
	const tokyo, osaka = "ap-northeast-1", "ap-northeast-3"
	for name, c := range map[string]struct {
		errs map[string]error
		want string // Region
		code string
	}{
		"first":   {nil, tokyo, ""},
		"next":    {map[string]error{tokyo: errors.New("down")}, osaka, ""},
		"busy":    {map[string]error{tokyo: Fault("ThrottlingException", "x")}, osaka, ""},
		"refused": {map[string]error{tokyo: Fault("ValidationException", "x")}, tokyo, "ValidationException"},
		"nobody":  {map[string]error{tokyo: errors.New("down"), osaka: errors.New("down")}, osaka, "ServiceUnavailableException"},
		"last":    {map[string]error{tokyo: errors.New("down"), osaka: Fault("ThrottlingException", "x")}, osaka, "ThrottlingException"},
	} {
		rt := New(Config{Backend: only(counter{count: func(k Call) (int, error) {
			if k.Hops != 2 {
				t.Errorf("%s: %d hops", name, k.Hops)
			}
			return 7, c.errs[k.Region]
		}})})
		p, err := rt.Plan(tokyo, account, jp45)
		if err != nil {
			t.Fatal(err)
		}
		n, region, err := rt.CountTokens(t.Context(), p, Request{Body: okBody, Hops: 2})
		if fault.Code(err) != c.code || region != c.want || c.code == "" && n != 7 {
			t.Errorf("%s: %d, %s, %v", name, n, region, err)
		}
	}
	rt := New(Config{Backend: only(fake{})})
	p, _ := rt.Plan(tokyo, account, jp45)
	if _, _, err := rt.CountTokens(t.Context(), p, Request{Body: okBody}); fault.Code(err) != "ValidationException" {
		t.Errorf("who cannot count: %v", err)
	}
}

// decider makes routing decisions for plans that come one after the other.
func decider(tb testing.TB, rt *Runtime, ids ...string) func() {
	plans := make([]*Plan, len(ids))
	for i, id := range ids {
		p, err := rt.Plan("ap-northeast-1", account, id)
		if err != nil {
			tb.Fatal(err)
		}
		plans[i] = p
		for i, l := range p.route.lanes {
			l.latency = time.Duration(i*7919%13+1) * time.Millisecond
			l.inFlight = i * 31 % 7
		}
	}
	n := 0
	return func() {
		p := plans[n%len(plans)]
		n++
		var dst [stackRoute]int
		var views [stackRoute]view
		order, _ := p.route.candidates(rt.now(), 0, dst[:], views[:0])
		if order[0] != p.route.first {
			tb.Fatal("not the source Region")
		}
	}
}

func routing(cat *catalog.Catalog) *Runtime {
	return New(Config{Catalog: cat, Backend: only(fake{}), Limits: func(string, *catalog.Model) Limits {
		return Limits{Concurrent: 100, RequestsPerMinute: 1000, TokensPerMinute: 1e6}
	}})
}

// profiles makes so many of an operator's own, of two to eight Regions, and a
// catalog that has them besides the others.
func profiles(tb testing.TB, n int) (*catalog.Catalog, []string) {
	tb.Helper()
	regions := []string{"ap-northeast-1", "ap-northeast-3", "ap-northeast-2", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-4"}
	var a catalog.Addition
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("own%d.%s", i, bare45)
		a.Profiles = append(a.Profiles, catalog.NewProfile{ID: ids[i], Name: ids[i], Model: bare45, To: map[string][]string{"ap-northeast-1": regions[:2+i%7]}})
	}
	cat, err := catalog.Load().With(a)
	if err != nil {
		tb.Fatal(err)
	}
	return cat, ids
}

func benchmarkRoute(b *testing.B, rt *Runtime, ids ...string) {
	decide := decider(b, rt, ids...)
	b.ReportAllocs()
	for b.Loop() {
		decide()
	}
}

func BenchmarkRouteJP(b *testing.B)     { benchmarkRoute(b, routing(nil), jp45) }
func BenchmarkRouteAPAC(b *testing.B)   { benchmarkRoute(b, routing(nil), sonnet4) }
func BenchmarkRouteGlobal(b *testing.B) { benchmarkRoute(b, routing(nil), "global."+bare45) }

// All profiles that Tokyo can call, one after the other, of the 142 that AWS has.
func BenchmarkRoute142Profiles(b *testing.B) {
	var ids []string
	for _, p := range catalog.Load().ProfilesFrom("ap-northeast-1") {
		if p.Destinations("ap-northeast-1")[0] != "" && slices.Contains(p.Destinations("ap-northeast-1"), "ap-northeast-1") {
			ids = append(ids, p.ID)
		}
	}
	benchmarkRoute(b, routing(nil), ids...)
}

func BenchmarkRoute10000Profiles(b *testing.B) {
	cat, ids := profiles(b, 10_000)
	benchmarkRoute(b, routing(cat), ids...)
}

// A decision allocates nothing, with however many profiles.
func TestRoutingAllocatesNothing(t *testing.T) {
	cat, ids := profiles(t, 100)
	for name, decide := range map[string]func(){
		"global": decider(t, routing(nil), "global."+bare45),
		"own":    decider(t, routing(cat), ids...),
	} {
		if n := testing.AllocsPerRun(200, decide); n != 0 {
			t.Errorf("%s: a decision allocates %v times", name, n)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	rt := New(Config{Backend: only(fake{})})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.Plan("ap-northeast-1", account, sonnet4); err != nil {
			b.Fatal(err)
		}
	}
}
