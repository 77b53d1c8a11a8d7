package awsapi

import (
	"sync"
	"testing"
	"time"
)

// Every request is told of once, with what it came to.
func TestAnswered(t *testing.T) {
	var mu sync.Mutex
	var all []Answered
	f := serve(t, func(c *Config) {
		c.OnAnswered = func(a Answered) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, a)
		}
	})
	wrong := f.json10("DescribeExecution", `{}`)
	wrong.key = rootKey
	wrong.key.Secret = "not it"
	mine := f.json10("DescribeExecution", `{}`)
	mine.key = userKey
	for _, c := range []struct {
		name string
		ask  ask
		op   string
		want Outcome
	}{
		{"ok", f.json10("DescribeExecution", `{}`), "DescribeExecution", OutcomeOK},
		{"open", f.json10("SendTaskSuccess", `{}`), "SendTaskSuccess", OutcomeOK},
		{"not-allowed", mine, "DescribeExecution", OutcomeDenied},
		{"bad-signature", wrong, "DescribeExecution", OutcomeDenied},
		{"fault", f.json10("DescribeExecution", `{"fail":"fault"}`), "DescribeExecution", OutcomeRefused},
		{"throttle", f.json10("DescribeExecution", `{"fail":"throttle"}`), "DescribeExecution", OutcomeThrottled},
		{"error", f.json10("DescribeExecution", `{"fail":"error"}`), "DescribeExecution", OutcomeFailed},
		{"panic", f.json10("DescribeExecution", `{"fail":"panic"}`), "DescribeExecution", OutcomeFailed},
		{"nowhere", f.json10("Nothing", `{}`), "", OutcomeRefused},
		{"stream", rest("/model/m/converse-stream", `{}`), "ConverseStream", OutcomeOK},
		{"stream-broken", rest("/model/m/converse-stream", `{"fail":"after"}`), "ConverseStream", OutcomeThrottled},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			f.send(c.ask)
			deadline := time.Now().Add(time.Minute)
			for { // the client may have its answer a moment before
				mu.Lock()
				got := all
				mu.Unlock()
				if len(got) == 0 && time.Now().Before(deadline) {
					time.Sleep(time.Millisecond)
					continue
				}
				name := ""
				if len(got) == 1 && got[0].Op != nil {
					name = got[0].Op.Name
				}
				if len(got) != 1 || name != c.op || got[0].Outcome != c.want || got[0].Took <= 0 {
					t.Errorf("%q %+v", name, got)
				}
				break
			}
			mu.Lock()
			all = nil
			mu.Unlock()
			if n := f.server.Stats().InFlight; n != 0 {
				t.Errorf("%d in flight", n)
			}
		})
	}
}
