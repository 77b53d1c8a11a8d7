package probe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/probe"
)

// probed is a backend of two places.
type probed struct {
	bedrock.Backend
	mu    sync.Mutex
	err   error           // of Tokyo's probes; guarded by mu
	hangs bool            // they do not end by themselves; guarded by mu
	asked []time.Duration // guarded by mu
	since time.Time
}

func (p *probed) Probes() []bedrock.Probe {
	return []bedrock.Probe{
		{Regions: []string{"ap-northeast-1", "us-east-1"}, Ask: func(ctx context.Context) error {
			p.mu.Lock()
			p.asked = append(p.asked, time.Since(p.since))
			err, hangs := p.err, p.hangs
			p.mu.Unlock()
			if hangs {
				<-ctx.Done()
				return ctx.Err()
			}
			return err
		}},
		{Regions: []string{"ap-northeast-3"}, Ask: func(context.Context) error { return nil }},
	}
}

func (p *probed) set(err error, hangs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.hangs = err, hangs
}

// router writes down what it is told.
type router struct {
	mu   sync.Mutex
	told []string
	from time.Time
}

func (r *router) Unwell(_ bedrock.Backend, regions []string, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf("%v unwell %v since %v", time.Since(r.from), regions, since.Sub(r.from)))
}

func (r *router) Well(_ bedrock.Backend, regions []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf("%v well %v", time.Since(r.from), regions))
}

// A backend is down after two failures, and well after one answer; the second
// probe comes soon; each change is logged once.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t0 := time.Now()
		b := &probed{since: t0}
		r := &router{from: t0}
		var log bytes.Buffer
		w := probe.Start(t.Context(), r, []probe.Target{
			{Name: "lab", Backend: b, Regions: []string{"ap-northeast-1", "ap-northeast-3"}, Every: 10 * time.Second, Timeout: 3 * time.Second},
			{Name: "none", Backend: struct{ bedrock.Backend }{}, Regions: []string{"ap-northeast-1"}, Every: time.Second, Timeout: time.Second},
		}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})))
		gone := errors.New("nobody is there")
		time.Sleep(15 * time.Second) // probes at 0 and 10
		b.set(gone, false)
		time.Sleep(6 * time.Second) // 20
		b.set(nil, false)
		time.Sleep(10 * time.Second) // 22; one failure is none
		if w.Down("lab", "ap-northeast-1") {
			t.Error("down after one failure")
		}
		b.set(gone, true)           // 32 to 35, 37 to 40, 50 to 53
		time.Sleep(time.Minute / 2) // 61
		synctest.Wait()
		if !w.Down("lab", "ap-northeast-1") || w.Down("lab", "ap-northeast-3") || w.Down("lab", "us-east-1") || w.Down("other", "ap-northeast-1") {
			t.Error("who is down is not said")
		}
		b.set(nil, false) // 63
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if w.Down("lab", "ap-northeast-1") {
			t.Error("still down")
		}
		got := w.Stats()
		if len(got) != 2 || !slices.Equal(got[0].Regions, []string{"ap-northeast-1"}) || got[0].Answered != 4 || got[0].Failed != 4 || got[1].Failed != 0 || got[1].Answered != 8 {
			t.Errorf("%+v", got)
		}
		b.set(nil, true)
		time.Sleep(time.Second * 3 / 2) // one is under way
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		asked := len(b.asked)
		time.Sleep(time.Minute)
		if len(b.asked) != asked {
			t.Error("it goes on after its end")
		}
		const told = `40s unwell [ap-northeast-1] since 32s
53s unwell [ap-northeast-1] since 37s
1m3s well [ap-northeast-1]`
		if s := strings.Join(r.told, "\n"); s != told {
			t.Errorf("told\n%s\nwant\n%s", s, told)
		}
		const logged = `level=WARN msg="a backend does not answer" backend=lab regions=ap-northeast-1 err="context deadline exceeded"
level=INFO msg="a backend answers again" backend=lab regions=ap-northeast-1 after=31s
`
		if log.String() != logged {
			t.Errorf("logged\n%s", log.String())
		}
	})
}
