package server

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/probe"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
)

// remote is a backend that can be down.
type remote struct {
	bedrock.Backend
	checks atomic.Int64
	down   atomic.Bool
}

func (r *remote) Check(ctx context.Context) error {
	r.checks.Add(1)
	time.Sleep(time.Second)
	if r.down.Load() {
		return errors.New("down")
	}
	return nil
}

// What models run on is told plainly, and a backend is asked once for many who want to know.
func TestTellBackends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := catalog.Load()
		m, ok := known.Model("anthropic.claude-sonnet-4-5-20250929-v1:0")
		if !ok {
			t.Fatal("no model")
		}
		r := &remote{}
		b := &backends{
			config: &BedrockConfig{Regions: map[string][]RouteConfig{
				"ap-northeast-1": {{Models: "*", Backend: "lab"}}, "ap-northeast-3": {{Models: "*", Backend: "made-up"}},
			}},
			simulate: simulated.New(simulated.Options{}),
		}
		b.all = map[string]*backend{
			"lab":     {name: "lab", config: BackendConfig{Type: "openai"}, serves: r},
			"made-up": {name: "made-up", config: BackendConfig{Type: "simulated"}, serves: b.simulate},
		}
		tell := b.tell(new(health), probe.Start(t.Context(), nil, nil, nil))
		ask := func(wantDown bool) {
			t.Helper()
			got := tell(t.Context(), m, []string{"ap-northeast-1", "ap-northeast-3", "us-east-1"})
			if len(got) != 2 || got[0].Name != "lab" || got[0].Type != "openai" || got[0].Simulated || got[0].Down != wantDown || !got[1].Simulated || got[1].Region != "ap-northeast-3" {
				t.Errorf("told %+v", got)
			}
		}
		for range 5 {
			go ask(false)
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := r.checks.Load(); n != 1 {
			t.Errorf("checked %d times for five who asked at once", n)
		}
		r.down.Store(true)
		ask(false) // believed for a while
		time.Sleep(checkedFor)
		ask(true)
		if n := r.checks.Load(); n != 2 {
			t.Errorf("checked %d times", n)
		}
	})
}
