package bedrock

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
)

// wait is time that a backend takes; it stops when ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// With hedging, too, no request goes to a Region outside the plan; all that were
// asked are reported, no more than two at once; what is passed on is one Region's
// words, and the others are told to stop.
func TestHedgingNeverOutsideThePlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	cat := catalog.Load()
	errs := []error{
		Fault("ThrottlingException", "busy"), Fault("ServiceUnavailableException", "down"),
		Fault("ValidationException", "no"), errors.New("connection reset"), nil, nil, nil, nil, nil,
	}
	hedged := 0
	for round := range 300 {
		prof := cat.Profiles[rng.IntN(len(cat.Profiles))]
		source := prof.Sources()[rng.IntN(len(prof.Sources()))]
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var sent []string
			running, most := 0, 0
			// begin says how a call will go.
			begin := func(c Call) (took time.Duration, end func(), err error) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, c.Region)
				running++
				most = max(most, running)
				return time.Duration(rng.IntN(4000)) * time.Millisecond, func() {
					mu.Lock()
					running--
					mu.Unlock()
				}, errs[rng.IntN(len(errs))]
			}
			b := fake{
				invoke: func(ctx context.Context, c Call) (*Answer, error) {
					took, end, err := begin(c)
					defer end()
					if err := errors.Join(wait(ctx, took), err); err != nil {
						return nil, err
					}
					return &Answer{Body: []byte(c.Region)}, nil
				},
				stream: func(ctx context.Context, c Call) iter.Seq2[Chunk, error] {
					return func(yield func(Chunk, error) bool) {
						took, end, err := begin(c)
						defer end()
						for i := range 4 {
							e := wait(ctx, took)
							if i >= 2 && e == nil {
								e = err
							}
							if e != nil {
								yield(Chunk{}, e)
								return
							}
							k := Chunk{Body: []byte(c.Region), Region: c.Region}
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
			limits := map[string]Limits{}
			for _, r := range cat.Regions {
				limits[r.Code] = Limits{Concurrent: rng.IntN(3), RequestsPerMinute: rng.IntN(4)}
			}
			rt := New(Config{Hedge: time.Second, Backend: only(b), Limits: func(r string, _ *catalog.Model) Limits { return limits[r] }})
			p, err := rt.Plan(source, account, prof.ID)
			if err != nil {
				t.Fatal(err)
			}
			for range 6 {
				sent, most = nil, 0
				var res *Result
				var heard []string
				if rng.IntN(2) == 0 {
					if res, err = rt.Invoke(t.Context(), p, Request{Body: okBody}); err == nil {
						heard = append(heard, string(res.Body))
					}
				} else {
					begun := ""
					res, err = rt.stream(t.Context(), p, Request{Body: okBody, Native: func([]byte) {}}, func(b Begun) { begun += b.Region }, func(c Chunk, _, _ time.Duration) error {
						heard = append(heard, string(c.Body))
						return nil
					})
					if len(heard) > 0 && begun != heard[0] {
						t.Errorf("round %d: begun in %q, heard %v", round, begun, heard)
					}
				}
				if running != 0 || most > mostAtOnce {
					t.Errorf("round %d: %d go on, %d at once", round, running, most)
				}
				if most > 1 {
					hedged++
				}
				for _, r := range sent {
					if !slices.Contains(prof.Destinations(source), r) {
						t.Errorf("round %d: %s from %s was sent to %s", round, prof.ID, source, r)
					}
				}
				var reported []string
				served := 0
				for _, a := range res.Attempts {
					if a.Outcome == "" {
						t.Errorf("round %d: an attempt in %s without an outcome", round, a.Region)
					}
					if a.Outcome != Full && a.Outcome != Out {
						reported = append(reported, a.Region)
					}
					if a.Outcome == Served {
						served++
					}
				}
				if !slices.Equal(sent, reported) {
					t.Errorf("round %d: sent to %v, reported %v", round, sent, reported)
				}
				if (served == 1) != (err == nil) || served > 1 {
					t.Errorf("round %d: %d served, %v", round, served, err)
				}
				if len(slices.Compact(heard)) > 1 || err == nil && res.Region != heard[0] {
					t.Errorf("round %d: %s answered, heard %v", round, res.Region, heard)
				}
				if err != nil && fault.Code(err) == "" {
					t.Errorf("round %d: an error that is no fault: %v", round, err)
				}
			}
			for _, l := range p.route.lanes {
				if l.inFlight != 0 {
					t.Errorf("round %d: %d requests left in %s", round, l.inFlight, l.region)
				}
			}
		})
		if t.Failed() {
			break
		}
	}
	if hedged < 100 {
		t.Errorf("only %d requests were hedged", hedged)
	}
}

// What hedging does, move by move: who is asked when, and who is told to stop.
func TestHedging(t *testing.T) {
	const tokyo, osaka = "ap-northeast-1", "ap-northeast-3"
	type how struct {
		took time.Duration
		err  error
	}
	for _, c := range []struct {
		name  string
		hedge time.Duration
		how   map[string]how
		want  string
		took  time.Duration
		code  string
	}{
		{"off", 0, map[string]how{tokyo: {took: 9 * time.Second}}, "ap-northeast-1:served -> ap-northeast-1", 9 * time.Second, ""},
		{"in-time", time.Second, map[string]how{tokyo: {took: 900 * time.Millisecond}}, "ap-northeast-1:served -> ap-northeast-1", 900 * time.Millisecond, ""},
		{"rival-wins", time.Second, map[string]how{tokyo: {took: 9 * time.Second}, osaka: {took: time.Second}},
			"ap-northeast-1:lost ap-northeast-3:served -> ap-northeast-3", 2 * time.Second, ""},
		{"first-wins-all-the-same", time.Second, map[string]how{tokyo: {took: 1500 * time.Millisecond}, osaka: {took: time.Second}},
			"ap-northeast-1:served ap-northeast-3:lost -> ap-northeast-1", 1500 * time.Millisecond, ""},
		{"rival-fails", time.Second, map[string]how{tokyo: {took: 3 * time.Second}, osaka: {0, errors.New("down")}},
			"ap-northeast-1:served ap-northeast-3:failed -> ap-northeast-1", 3 * time.Second, ""},
		{"both-fail", time.Second, map[string]how{tokyo: {3 * time.Second, errors.New("down")}, osaka: {0, Fault("ThrottlingException", "busy")}},
			"ap-northeast-1:failed ap-northeast-3:throttled -> ", 3 * time.Second, "ThrottlingException"},
		{"refused-ends-both", time.Second, map[string]how{tokyo: {3 * time.Second, nil}, osaka: {time.Second, Fault("ValidationException", "no")}},
			"ap-northeast-1:lost ap-northeast-3:refused -> ap-northeast-3", 2 * time.Second, "ValidationException"},
	} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s-%v", c.name, streamed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					one := func(ctx context.Context, k Call) error {
						if err := wait(ctx, c.how[k.Region].took); err != nil {
							return err
						}
						return c.how[k.Region].err
					}
					b := fake{
						invoke: func(ctx context.Context, k Call) (*Answer, error) {
							return &Answer{Body: []byte(`{}`)}, one(ctx, k)
						},
						stream: func(ctx context.Context, k Call) iter.Seq2[Chunk, error] {
							return func(yield func(Chunk, error) bool) {
								if err := one(ctx, k); err != nil {
									yield(Chunk{}, err)
									return
								}
								yield(Chunk{Body: []byte(`{}`), Usage: &Usage{Output: 1}}, nil)
							}
						},
					}
					rt := New(Config{Backend: only(b), Hedge: c.hedge})
					p, _ := rt.Plan(tokyo, account, jp45)
					began := time.Now()
					var res *Result
					var err error
					if streamed {
						res, err = rt.InvokeStream(t.Context(), p, Request{Body: okBody}, nil, func([]byte) error { return nil })
					} else {
						res, err = rt.Invoke(t.Context(), p, Request{Body: okBody})
					}
					if regionsOf(res) != c.want || fault.Code(err) != c.code || time.Since(began) != c.took {
						t.Errorf("%s, %v after %v; want %s after %v", regionsOf(res), err, time.Since(began), c.want, c.took)
					}
				})
			})
		}
	}
}

// A client that leaves ends both attempts, and no third is begun.
func TestHedgingClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fake{invoke: func(ctx context.Context, _ Call) (*Answer, error) { return nil, wait(ctx, time.Hour) }}
		rt := New(Config{Backend: only(b), Hedge: time.Second})
		p, _ := rt.Plan("ap-northeast-1", account, sonnet4)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		res, err := rt.Invoke(ctx, p, Request{Body: okBody})
		if fault.Code(err) != "ModelTimeoutException" || len(res.Attempts) != mostAtOnce || !strings.Contains(regionsOf(res), ":refused") {
			t.Errorf("%s, %v", regionsOf(res), err)
		}
	})
}

// A backend that panics does so where its caller sees it.
func TestPanic(t *testing.T) {
	t.Run("hedging", func(t *testing.T) { panics(t, time.Second) })
	t.Run("alone", func(t *testing.T) { panics(t, 0) })
}

func panics(t *testing.T, hedge time.Duration) {
	rt := New(Config{Backend: only(fake{invoke: func(context.Context, Call) (*Answer, error) { panic("oops") }}), Hedge: hedge})
	p, _ := rt.Plan("ap-northeast-1", account, jp45)
	defer func() {
		if r := recover(); r != "oops" {
			t.Errorf("recovered %v", r)
		}
		if n := p.route.lanes[0].inFlight; n != 0 {
			t.Errorf("%d requests left", n)
		}
	}()
	rt.Invoke(t.Context(), p, Request{Body: okBody}) //nolint:errcheck // it does not return
	t.Error("it returned")
}
