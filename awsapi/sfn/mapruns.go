package sfn

import (
	"context"

	"tokaido/awsapi"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/value"
)

// redriveDate is when an execution was redriven. AWS has none for Express ones:
// a Map Run starts them anew.
func redriveDate(x *flow.Execution) value.Member {
	if x.Express {
		return value.Member{Key: "redriveDate"}
	}
	return date("redriveDate", x.Redriven)
}

func (h *handlers) redriveExecution(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	at, err := h.svc.RedriveExecution(ctx, str(r, "executionArn"), str(r, "clientToken"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(date("redriveDate", at)), nil
}

func (h *handlers) describeMapRun(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	d, err := h.svc.DescribeMapRun(ctx, str(r, "mapRunArn"))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(
		s("mapRunArn", d.MapRunARN), s("executionArn", d.ExecutionARN), s("status", d.Status.String()),
		date("startDate", d.Started), date("stopDate", d.Stopped),
		m("maxConcurrency", value.Int(d.Settings.MaxConcurrency)),
		m("toleratedFailurePercentage", float(d.Settings.ToleratedPercentage)),
		m("toleratedFailureCount", value.Int(d.Settings.ToleratedCount)),
		m("itemCounts", counts(&d.Items)), m("executionCounts", counts(&d.Children)),
		m("redriveCount", value.Int(d.Redrives)), date("redriveDate", d.Redriven),
	), nil
}

// counts are one of a Map Run's counts. AWS counts as written, too, what became
// part of the state's output.
func counts(c *engine.Counts) value.Value {
	n := func(key string, v int64) value.Member { return m(key, value.Int(v)) }
	return value.Object(
		n("pending", c.Pending), n("running", c.Running), n("succeeded", c.Succeeded), n("failed", c.Failed), n("timedOut", c.TimedOut),
		n("aborted", c.Aborted), n("total", c.Total), n("resultsWritten", c.Succeeded), n("failuresNotRedrivable", 0), n("pendingRedrive", c.PendingRedrive),
	)
}

func (h *handlers) listMapRuns(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	l, err := h.svc.ListMapRuns(ctx, str(r, "executionArn"), page(r))
	if err != nil {
		return nil, err
	}
	return awsapi.OK(m("mapRuns", items(l.Items, func(x flow.ListedRun) value.Value {
		return value.Object(s("executionArn", x.ExecutionARN), s("mapRunArn", x.MapRunARN), s("stateMachineArn", x.MachineARN),
			date("startDate", x.Started), date("stopDate", x.Stopped))
	})), s("nextToken", l.Next)), nil
}

func (h *handlers) updateMapRun(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	in := flow.UpdateMapRun{ARN: str(r, "mapRunArn")}
	whole := func(name string) *int64 {
		n, ok := r.Input.Get(name).Int()
		if !ok {
			return nil
		}
		return &n
	}
	in.MaxConcurrency, in.ToleratedCount = whole("maxConcurrency"), whole("toleratedFailureCount")
	if v := r.Input.Get("toleratedFailurePercentage"); v.IsNumber() {
		in.ToleratedPercentage = new(v.Float())
	}
	return done(h.svc.UpdateMapRun(ctx, in))
}
