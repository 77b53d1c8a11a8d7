package bedrock

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/bedrock/catalog"
)

// two is a runtime of a jp. profile whose Regions have a backend each.
func two(t *testing.T) (rt *Runtime, p *Plan, tokyo, osaka *fake) {
	t.Helper()
	ok := func(context.Context, Call) (*Answer, error) { return &Answer{Body: []byte(`{}`)}, nil }
	tokyo, osaka = &fake{invoke: ok}, &fake{invoke: ok}
	rt = New(Config{Backend: func(region string, _ *catalog.Model) Backend {
		if region == "ap-northeast-1" {
			return tokyo
		}
		return osaka
	}})
	p, err := rt.Plan("ap-northeast-1", account, "jp.anthropic.claude-sonnet-4-5-20250929-v1:0")
	if err != nil {
		t.Fatal(err)
	}
	return rt, p, tokyo, osaka
}

var inTokyo = []string{"ap-northeast-1"}

// went is where a call went, Region by Region.
func went(t *testing.T, rt *Runtime, p *Plan) (all []string) {
	t.Helper()
	res, err := rt.Invoke(t.Context(), p, Request{Body: okBody})
	for _, a := range res.Attempts {
		all = append(all, a.Region[len("ap-northeast-"):]+" "+string(a.Outcome))
	}
	if err != nil {
		all = append(all, err.Error())
	}
	return all
}

// A Region that probes say is gone is passed over, whether or not a call had gone
// there before, until a probe is answered; then it comes back slowly.
func TestProbesPutOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, known := range []bool{true, false} {
			rt, p, tokyo, osaka := two(t)
			want := func(why string, want ...string) {
				t.Helper()
				if got := went(t, rt, p); !slices.Equal(got, want) {
					t.Errorf("known %v: %s: it went to %q, want %q", known, why, got, want)
				}
			}
			if known {
				want("before", "1 served")
			}
			time.Sleep(time.Minute)
			since := time.Now()
			rt.Unwell(tokyo, inTokyo, since)
			if !known {
				var err error
				if p, err = rt.Plan("ap-northeast-1", account, "jp.anthropic.claude-haiku-4-5-20251001-v1:0"); err != nil {
					t.Fatal(err)
				}
			}
			want("gone", "1 out", "3 served")
			time.Sleep(time.Hour)
			want("gone still", "1 out", "3 served")
			rt.Unwell(osaka, []string{"ap-northeast-3"}, time.Now().Add(-time.Second))
			want("somebody served after the probe", "1 out", "3 served")
			rt.Well(osaka, inTokyo) // nobody's
			want("another's Regions", "1 out", "3 served")
			rt.Well(tokyo, inTokyo)
			want("back", "1 served")

			// One at a time at first.
			rt.Unwell(tokyo, inTokyo, time.Now())
			rt.Well(tokyo, inTokyo)
			l := p.route.lanes[p.route.first]
			l.enter(rt.now(), 0)
			want("one is on its way", "1 out", "3 served")
			l.leave(rt.now(), 0, 0, Usage{}, time.Millisecond, Served)
			want("it was served", "1 served")
		}
	})
}

// What really happened counts more than a probe, in both directions.
func TestProbesAndTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, p, tokyo, osaka := two(t)
		want := func(why string, want ...string) {
			t.Helper()
			if got := went(t, rt, p); !slices.Equal(got, want) {
				t.Errorf("%s: it went to %q, want %q", why, got, want)
			}
		}
		since := time.Now()
		time.Sleep(time.Second)
		want("the probe began before", "1 served")
		rt.Unwell(tokyo, inTokyo, since)
		want("served since the probe that failed", "1 served")
		time.Sleep(time.Second)
		rt.Unwell(tokyo, inTokyo, time.Now())
		want("nothing served since", "1 out", "3 served")

		// When everybody else fails it is tried, and if it serves, it is back.
		served := osaka.invoke
		osaka.invoke = func(context.Context, Call) (*Answer, error) { return nil, Fault("ServiceUnavailableException", "down") }
		want("the last resort", "1 out", "3 failed", "1 served")
		want("it has served", "1 served")
		osaka.invoke = served

		// Somebody who answers probes may still fail.
		tokyo.invoke = func(context.Context, Call) (*Answer, error) { return nil, Fault("ServiceUnavailableException", "down") }
		for range failuresToEject {
			went(t, rt, p)
		}
		rt.Well(tokyo, inTokyo)
		want("out by its own failures", "1 out", "3 served")
	})
}

// With one Region, a probe refuses nothing that the backend might have served.
func TestProbesRefuseNothing(t *testing.T) {
	rt, _, tokyo, _ := two(t)
	p, err := rt.Plan("ap-northeast-1", account, "anthropic.claude-3-haiku-20240307-v1:0")
	if err != nil {
		t.Fatal(err)
	}
	rt.Unwell(tokyo, inTokyo, time.Now())
	if got := went(t, rt, p); !slices.Equal(got, []string{"1 served"}) {
		t.Errorf("it went to %q", got)
	}
	for _, s := range rt.Stats() {
		if s.Model == p.ModelID && s.Out {
			t.Errorf("%+v", s)
		}
	}
}
