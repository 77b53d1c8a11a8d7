package flow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/store/memory"
)

const many = `{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Label":"L","MaxConcurrency":2,"Items":[1,2,3],"ItemProcessor":{
	"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}},"End":true}}}`

const alwaysFails = `{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E"}}}`

// begin creates a machine and starts one execution of it.
func (p *platform) begin(t testing.TB, name, definition string) string {
	t.Helper()
	if _, err := p.CreateStateMachine(t.Context(), create(name, definition)); err != nil {
		t.Fatal(err)
	}
	x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn(name)})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return x.ARN
}

func reason(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		for _, m := range f.Members {
			if m.Name == "reason" {
				return fmt.Sprint(f.Code, " ", m.Value)
			}
		}
		return f.Code
	}
	return ""
}

func TestMapRunOfAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		x := p.begin(t, "m", many)
		l, err := p.ListMapRuns(t.Context(), x, flow.Page{})
		if err != nil || len(l.Items) != 1 || l.Next != "" {
			t.Fatalf("%+v, %v", l, err)
		}
		run := l.Items[0].MapRunARN
		page := func(in flow.ListExecutions) []flow.Execution {
			t.Helper()
			in.ARN = run
			var all []flow.Execution
			for {
				l, err := p.ListExecutions(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, l.Items...)
				if in.Token = l.Next; l.Next == "" {
					return all
				}
			}
		}
		kids := page(flow.ListExecutions{Page: flow.Page{Max: 1}})
		if len(kids) != 2 || len(page(flow.ListExecutions{Status: new(engine.Succeeded)})) != 0 || len(page(flow.ListExecutions{Redriven: new(true)})) != 0 {
			t.Errorf("%+v", kids)
		}
		kid := kids[0]
		d, err := p.DescribeExecution(t.Context(), kid.ARN)
		if err != nil || d.Child.MapRun != run || d.Input.JSON() != "2" {
			t.Errorf("%+v, %v", d, err)
		}
		m, err := p.StateMachineForExecution(t.Context(), kid.ARN)
		if want := `{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}},"QueryLanguage":"JSONata"}`; err != nil ||
			m.Definition != want || m.ARN != arn("m")+"/L" || m.Label != "L" || m.MapRun != run || !m.Express {
			t.Errorf("%+v, %v", m, err)
		}
		// What AWS keeps of Express executions is not for these calls.
		if _, err := p.GetExecutionHistory(t.Context(), kid.ARN, false, flow.Page{}); fault.Code(err) != "InvalidArn" {
			t.Error(err)
		}
		if _, err := p.StopExecution(t.Context(), kid.ARN, nil, nil); fault.Code(err) != "InvalidArn" {
			t.Error(err)
		}
		if d, err := p.DescribeStateMachine(t.Context(), arn("m")+"/L"); err != nil || d.Label != "L" {
			t.Errorf("%+v, %v", d, err)
		}

		if err := p.UpdateMapRun(t.Context(), flow.UpdateMapRun{ARN: run}); reason(err) != "ValidationException MISSING_REQUIRED_PARAMETER" {
			t.Error(err)
		}
		if err := p.UpdateMapRun(t.Context(), flow.UpdateMapRun{ARN: run, MaxConcurrency: new(int64(3))}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(page(flow.ListExecutions{Status: new(engine.Running)})); n != 3 {
			t.Errorf("%d run", n)
		}
		if _, err := p.StopExecution(t.Context(), x, nil, nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(page(flow.ListExecutions{Status: new(engine.Aborted)})); n != 3 {
			t.Errorf("%d were aborted", n)
		}
		if err := p.UpdateMapRun(t.Context(), flow.UpdateMapRun{ARN: run, MaxConcurrency: new(int64(3))}); reason(err) != "ValidationException CANNOT_UPDATE_COMPLETED_MAP_RUN" {
			t.Error(err)
		}
		if d, err := p.DescribeExecution(t.Context(), kid.ARN); err != nil {
			t.Error(err)
		} else if st, why := d.RedriveStatus(); st != "REDRIVABLE_BY_MAP_RUN" || why != "" {
			t.Error(st, why)
		}

		// Those that have no place yet are pending.
		if _, err := p.RedriveExecution(t.Context(), x, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := p.UpdateMapRun(t.Context(), flow.UpdateMapRun{ARN: run, MaxConcurrency: new(int64(1))}); err != nil {
			t.Error(err)
		}
		if _, err := p.StopExecution(t.Context(), x, nil, nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if _, err := p.RedriveExecution(t.Context(), x, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if a, b := len(page(flow.ListExecutions{Status: new(engine.PendingRedrive)})), len(page(flow.ListExecutions{Redriven: new(true), Status: new(engine.Running)})); a != 2 || b != 1 {
			t.Errorf("%d are to be redriven, %d run", a, b)
		}
		if o, err := p.Await(t.Context(), x); err != nil || o.Output.JSON() != "[1,2,3]" {
			t.Errorf("%v %v", o, err)
		}

		for _, c := range []struct{ run, code string }{
			{run + "x", "ResourceNotFound"}, {x, "InvalidArn"}, {"x", "InvalidArn"},
		} {
			if _, err := p.DescribeMapRun(t.Context(), c.run); fault.Code(err) != c.code {
				t.Errorf("%s: %v", c.run, err)
			}
			if err := p.UpdateMapRun(t.Context(), flow.UpdateMapRun{ARN: c.run, MaxConcurrency: new(int64(1))}); fault.Code(err) != c.code {
				t.Errorf("%s: %v", c.run, err)
			}
		}
		if _, err := p.ListExecutions(t.Context(), flow.ListExecutions{ARN: run + "x"}); fault.Code(err) != "ResourceNotFound" {
			t.Error(err)
		}
		if _, err := p.ListExecutions(t.Context(), flow.ListExecutions{ARN: arn("m"), Redriven: new(true)}); fault.Code(err) != "ValidationException" {
			t.Error(err)
		}
		if _, err := p.ListMapRuns(t.Context(), x+"x", flow.Page{}); fault.Code(err) != "ExecutionDoesNotExist" {
			t.Error(err)
		}
		if _, err := p.ListMapRuns(t.Context(), x, flow.Page{Token: "x"}); fault.Code(err) != "InvalidToken" {
			t.Error(err)
		}
		p.close(t)
	})
}

func TestRedriveOfAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		x := p.begin(t, "m", alwaysFails)
		says := func(arn, want string) {
			t.Helper()
			d, err := p.DescribeExecution(t.Context(), arn)
			if err != nil {
				t.Fatal(err)
			}
			st, why := d.RedriveStatus()
			if got := strings.TrimSpace(st + " " + why); got != want {
				t.Error(got)
			}
			_, err = p.RedriveExecution(t.Context(), arn, "")
			if f, ok := errors.AsType[*fault.Error](err); (st != "REDRIVABLE") != (ok && f.Code == "ExecutionNotRedrivable" && f.Message == why) {
				t.Errorf("%s, and then: %v", want, err)
			}
		}
		waits := p.begin(t, "w", wait)
		says(waits, "NOT_REDRIVABLE Execution is RUNNING and cannot be redriven")
		passed := p.begin(t, "p", pass)
		says(passed, "NOT_REDRIVABLE Execution is SUCCEEDED and cannot be redriven")
		says(x, "REDRIVABLE")

		// A token stands for the redrive that it came with: the last ten, for 15 minutes.
		at, err := p.RedriveExecution(t.Context(), x, "mine")
		if err != nil || !at.Equal(time.Now()) {
			t.Error(at, err)
		}
		time.Sleep(time.Minute)
		for range 9 {
			if _, err := p.RedriveExecution(t.Context(), x, ""); err != nil {
				t.Error(err)
			}
		}
		if again, err := p.RedriveExecution(t.Context(), x, "mine"); err != nil || !again.Equal(at) {
			t.Error(again, err)
		}
		if d, _ := p.DescribeExecution(t.Context(), x); d.RedriveCount != 11 || d.Redriven.Equal(at) {
			t.Errorf("%+v", d)
		}
		if _, err := p.RedriveExecution(t.Context(), x, ""); err != nil {
			t.Error(err)
		}
		if again, err := p.RedriveExecution(t.Context(), x, "mine"); err != nil || again.Equal(at) {
			t.Error(again, err)
		}
		time.Sleep(15 * time.Minute)
		if again, err := p.RedriveExecution(t.Context(), x, "mine"); err != nil || !again.Equal(time.Now()) {
			t.Error(again, err)
		}

		if _, err := p.RedriveExecution(t.Context(), x+"x", ""); fault.Code(err) != "ExecutionDoesNotExist" {
			t.Error(err)
		}
		for _, bad := range []string{"x", arn("m"), "arn:aws:states:us-east-1:123456789012:express:m:a:b"} {
			if _, err := p.RedriveExecution(t.Context(), bad, ""); fault.Code(err) != "InvalidArn" {
				t.Errorf("%s: %v", bad, err)
			}
		}
		time.Sleep(14 * 24 * time.Hour)
		says(x, "NOT_REDRIVABLE Execution redrivable period exceeded")
		x = p.begin(t, "d", alwaysFails)
		if err := p.DeleteStateMachine(t.Context(), arn("d")); err != nil {
			t.Error(err)
		}
		says(x, "NOT_REDRIVABLE State machine is in DELETING status")
		p.close(t)
	})
}

// A page of a large run that a filter leaves little of looks at so many children
// and no more; the pages together have all.
func TestFilteredPagesOfALargeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const children = 9000
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		x := p.begin(t, "m", fmt.Sprintf(`{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Items":"{%% [1..%d] %%}",
			"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"Output":1,"End":true}}}`, children))
		if o, err := p.Await(t.Context(), x); err != nil || o.Status != engine.Succeeded {
			t.Fatalf("%v, %v", o.Status, err)
		}
		l, err := p.ListMapRuns(t.Context(), x, flow.Page{})
		if err != nil || len(l.Items) != 1 {
			t.Fatalf("%+v, %v", l, err)
		}
		for _, redriven := range []bool{true, false} {
			in := flow.ListExecutions{ARN: l.Items[0].MapRunARN, Redriven: &redriven, Page: flow.Page{Max: 1000}}
			pages, seen := 0, 0
			for {
				l, err := p.ListExecutions(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				seen += len(l.Items)
				pages++
				if in.Token = l.Next; l.Next == "" {
					break
				}
			}
			if want := map[bool][2]int{true: {3, 0}, false: {9, children}}[redriven]; pages != want[0] || seen != want[1] {
				t.Errorf("redriven %v: %d in %d pages", redriven, seen, pages)
			}
		}
		p.close(t)
	})
}
