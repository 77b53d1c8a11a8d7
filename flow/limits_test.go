package flow_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/fault"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
)

// The quotas of an account are settings, said before they are reached.
func TestLimits(t *testing.T) {
	s := memory.New()
	var log bytes.Buffer
	l := flow.AWSLimits()
	l.Machines, l.Activities, l.Versions, l.Aliases, l.Tags, l.Standard.DataSize = 5, 5, 5, 5, 2, 100
	lib := flow.NewLibrary(s.Flow())
	d, err := journal.Open(context.Background(), journal.Config{Log: s.Journal(), Programs: lib, Limits: &l})
	if err != nil {
		t.Fatal(err)
	}
	f, err := flow.Open(context.Background(), flow.Config{Store: s.Flow(), Library: lib, Driver: d, Limits: &l, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{f, d}
	defer p.close(t)
	versions := []string{}
	for i := range 6 {
		c := create(fmt.Sprint("m", i), pass)
		_, err := p.CreateStateMachine(t.Context(), c)
		if want := map[bool]string{true: "StateMachineLimitExceeded"}[i == 5]; fault.Code(err) != want {
			t.Errorf("machine %d: %v", i, err)
		}
		_, err = p.CreateActivity(t.Context(), scope, fmt.Sprint("a", i), nil)
		if want := map[bool]string{true: "ActivityLimitExceeded"}[i == 5]; fault.Code(err) != want {
			t.Errorf("activity %d: %v", i, err)
		}
		if _, err := p.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn("m0"), Definition: new(strings.ReplaceAll(pass, `"A"`, fmt.Sprintf(`"A%d"`, i)))}); err != nil {
			t.Fatal(err)
		}
		v, _, err := p.PublishStateMachineVersion(t.Context(), arn("m0"), "", "")
		if want := map[bool]string{true: "ServiceQuotaExceededException"}[i == 5]; fault.Code(err) != want {
			t.Errorf("version %d: %v", i, err)
		}
		if err == nil {
			versions = append(versions, v)
		}
		_, _, err = p.CreateStateMachineAlias(t.Context(), fmt.Sprint("alias", i), "", []flow.Route{{VersionARN: versions[0], Weight: 100}})
		if want := map[bool]string{true: "ServiceQuotaExceededException"}[i == 5]; fault.Code(err) != want {
			t.Errorf("alias %d: %v", i, err)
		}
	}
	if err := p.Retag(t.Context(), arn("m0"), []flow.Tag{{Key: "a"}, {Key: "b"}, {Key: "c"}}, nil); fault.Code(err) != "TooManyTags" {
		t.Error(err)
	}
	if _, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m0"), Input: new(fmt.Sprintf("%q", strings.Repeat("x", 100)))}); fault.Code(err) != "InvalidExecutionInput" {
		t.Error(err)
	}
	for _, what := range []string{`limit="state machines" of="the account"`, `limit=activities of="the account"`, "limit=versions of=" + arn("m0"), "limit=aliases of=" + arn("m0")} {
		if n := strings.Count(log.String(), what+" value=4 max=5 percent=80"); n != 1 {
			t.Errorf("%s is said %d times: %s", what, n, log.String())
		}
	}
}

// Only so many Standard executions may be open.
func TestOpenExecutions(t *testing.T) {
	synctest.Test(t, testOpenExecutions)
}

func testOpenExecutions(t *testing.T) {
	s := memory.New()
	l := flow.AWSLimits()
	l.Open = 2
	lib := flow.NewLibrary(s.Flow())
	d, err := journal.Open(context.Background(), journal.Config{Log: s.Journal(), Programs: lib, Limits: &l})
	if err != nil {
		t.Fatal(err)
	}
	f, err := flow.Open(context.Background(), flow.Config{Store: s.Flow(), Library: lib, Driver: d, Limits: &l})
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{f, d}
	defer p.close(t)
	c := create("e", pass)
	c.Express = true
	for _, c := range []flow.CreateStateMachine{create("m", wait), c} {
		if _, err := p.CreateStateMachine(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(machine, name, code string) string {
		t.Helper()
		x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn(machine), Name: name})
		if fault.Code(err) != code {
			t.Errorf("%s: %v", name, err)
		}
		return x.ARN
	}
	a := begin("m", "a", "")
	begin("m", "b", "")
	begin("m", "c", "ExecutionLimitExceeded")
	begin("m", "a", "") // it is there
	begin("e", "express", "")
	if _, err := p.StopExecution(t.Context(), a, nil, nil); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // it is no longer counted
	begin("m", "c", "")
	if _, err := p.RedriveExecution(t.Context(), a, ""); fault.Code(err) != "ExecutionLimitExceeded" {
		t.Error(err)
	}
}

func TestNearTo(t *testing.T) {
	for _, c := range []struct{ of, want int64 }{{25_000, 20_000}, {256 << 10, 209_715}, {1, 0}, {5, 4}, {int64(365 * 24 * time.Hour), int64(292 * 24 * time.Hour)}} {
		if got := flow.NearTo(c.of); got != c.want {
			t.Errorf("near to %d: %d", c.of, got)
		}
	}
}
