package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A request is ended when its time is over, at most a little later; who asks for a
// short time gets that.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name     string
		shortest time.Duration
		play     func(l *limit) // what a caller does
		want     time.Duration  // since its beginning; 0: it is never ended
		late     time.Duration
	}{
		{"minutes", DefaultIdle, func(*limit) {}, 10 * time.Minute, mostLate},
		{"short", time.Second, func(*limit) {}, 10 * time.Minute, time.Second / fraction},
		{"goes-on", DefaultIdle, func(l *limit) { time.Sleep(9 * time.Minute); l.set(2 * time.Minute) }, 11 * time.Minute, mostLate},
		{"nearly-over", DefaultIdle, func(l *limit) { l.set(drainTime) }, drainTime, 0},
		{"nearly-over-and-not", DefaultIdle, func(l *limit) { l.set(drainTime); l.set(time.Minute) }, time.Minute, mostLate},
		{"stopped", DefaultIdle, func(l *limit) { time.Sleep(time.Minute); l.stop() }, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ls := newLimits(c.shortest)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				began := time.Now()
				l := ls.start(10*time.Minute, cancel)
				c.play(l)
				select {
				case <-ctx.Done():
					if took := time.Since(began); took < c.want || took > c.want+c.late || c.want == 0 || !errors.Is(context.Cause(ctx), errSlow) {
						t.Errorf("it was ended after %v with %v, want %v", took, context.Cause(ctx), c.want)
					}
					l.stop()
				case <-time.After(time.Hour):
					if c.want != 0 {
						t.Error("it was never ended")
					}
				}
				time.Sleep(2 * mostLate)
				ls.mu.Lock()
				defer ls.mu.Unlock()
				if ls.looking || len(ls.on) > 0 {
					t.Errorf("%d requests are still looked after, looking is %v", len(ls.on), ls.looking)
				}
			})
		})
	}
}
