package connector_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"tokaido/engine"
)

const spread = `{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":1,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
	"StartAt":"P","States":{"P":{"Type":"Wait","Seconds":1,"End":true}}},"End":true}}}`

// A Map Run starts executions as the machine's role: that is decided and
// recorded once, and a role that may not makes the run fail.
func TestMapRunIsPermitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{})
		defer p.close(t)
		p.create(t, "m", spread)
		if o := p.run(t, "m", `[1,2,3]`); o.Status != engine.Succeeded || o.Output.JSON() != `[1,2,3]` {
			t.Errorf("%v %s %s", o.Status, o.Output, text(o.Cause))
		}
		if got := p.book.calls(); got != "StartExecution" {
			t.Errorf("recorded: %s", got)
		}
		p.people.policy = allow(`"states:DescribeExecution"`)
		o := p.run(t, "m", `[1,2,3]`)
		if o.Status != engine.Failed || text(o.Error) != "States.Permissions" || !strings.Contains(text(o.Cause), "is not authorized to perform: states:StartExecution on resource: "+machARN+"m because") {
			t.Errorf("%v %s %s", o.Status, text(o.Error), text(o.Cause))
		}
		if got := p.events(t, o.ARN); got != "ExecutionStarted MapStateEntered MapStateStarted MapRunStarted MapRunFailed MapStateFailed ExecutionFailed" {
			t.Error(got)
		}
		if got := p.book.calls(); got != "StartExecution StartExecution!AccessDeniedException" && got != "StartExecution StartExecution!AccessDenied" {
			t.Errorf("recorded: %s", got)
		}
		// Once it may, a redrive starts what never was.
		p.people.policy = allow(`"states:*"`)
		if _, err := p.RedriveExecution(t.Context(), o.ARN, ""); err != nil {
			t.Fatal(err)
		}
		if o := p.end(t, o.ARN); o.Status != engine.Succeeded || o.Output.JSON() != `[1,2,3]` {
			t.Errorf("%v %s %s", o.Status, o.Output, text(o.Cause))
		}
	})
}
