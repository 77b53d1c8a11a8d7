package gate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Who waits for a record has recordTimeout from then on, whatever becomes of the
// caller; who does not wait sets no timer.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		call, gone := context.WithCancel(context.WithValue(t.Context(), key{}, "x"))
		gone()
		p := &patience{Context: context.WithoutCancel(call)}
		defer p.end()
		if p.Err() != nil || context.Cause(p) != nil || p.Value(key{}) != "x" || p.timed != nil {
			t.Errorf("before anybody waits: %v %v %v %v", p.Err(), context.Cause(p), p.Value(key{}), p.timed)
		}
		time.Sleep(recordTimeout) // spent on something else
		began := time.Now()
		<-p.Done()
		if took := time.Since(began); took != recordTimeout {
			t.Errorf("the waiting ended after %v, want %v", took, recordTimeout)
		}
		if at, ok := p.Deadline(); !ok || !at.Equal(time.Now()) {
			t.Errorf("the deadline is %v %v", at, ok)
		}
		if !errors.Is(p.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(p), errNoTrail) || p.Value(key{}) != "x" {
			t.Errorf("after it: %v, because of %v; %v", p.Err(), context.Cause(p), p.Value(key{}))
		}
	})
}
