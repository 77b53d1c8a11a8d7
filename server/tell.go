package server

import (
	"context"
	"sync"
	"time"

	"tokaido/awsapi/bedrockctl"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/probe"
	"tokaido/bedrock/catalog"
)

// checkedFor is how long what a check found is believed: whoever asks often must
// not make backends answer as often.
const checkedFor = 10 * time.Second

// health is what checks of backends found. Its zero value is ready.
type health struct {
	mu    sync.Mutex
	found map[string]checked // by backend; guarded by mu
}

type checked struct {
	at   time.Time
	done chan struct{} // closed once down counts
	down bool
}

// down reports whether a backend was asked, lately or now, and did not answer.
func (h *health) down(ctx context.Context, name string, c bedrock.Checker) bool {
	h.mu.Lock()
	x, ok := h.found[name]
	if ok && time.Since(x.at) < checkedFor {
		h.mu.Unlock()
		select {
		case <-x.done:
		case <-ctx.Done():
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.found[name].down
	}
	if h.found == nil {
		h.found = map[string]checked{}
	}
	x = checked{at: time.Now(), done: make(chan struct{}), down: x.down}
	h.found[name] = x
	h.mu.Unlock()

	// Others wait for this check: it ends by its own deadline, whoever asked.
	checking, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	x.down = c.Check(checking) != nil
	h.mu.Lock()
	defer h.mu.Unlock()
	h.found[name] = x
	close(x.done)
	return x.down
}

// tell says who answers for a model in each of the Regions. Whom probes found gone
// is not asked again: who asks would wait.
func (b *backends) tell(h *health, probes *probe.Watch) bedrockctl.Backends {
	return func(ctx context.Context, m *catalog.Model, regions []string) []bedrockctl.Backend {
		var out []bedrockctl.Backend
		for _, region := range regions {
			serves := b.For(region, m)
			switch {
			case serves == nil:
			case serves == bedrock.Backend(b.simulate):
				out = append(out, bedrockctl.Backend{Region: region, Name: "simulated", Type: "simulated", Simulated: true})
			default:
				for _, x := range b.all {
					if x.serves == serves {
						out = append(out, bedrockctl.Backend{Region: region, Name: x.name, Type: x.config.Type})
						break
					}
				}
			}
		}
		var wg sync.WaitGroup
		for i, x := range out {
			if x.Simulated {
				continue
			}
			if probes.Down(x.Name, x.Region) {
				out[i].Down = true
				continue
			}
			if c, ok := b.all[x.Name].serves.(bedrock.Checker); ok {
				wg.Go(func() { out[i].Down = h.down(ctx, x.Name, c) })
			}
		}
		wg.Wait()
		return out
	}
}
