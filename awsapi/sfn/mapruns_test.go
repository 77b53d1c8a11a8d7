package sfn

import (
	"fmt"
	"testing"
	"testing/synctest"

	"tokaido/fault"
)

// The wire shapes of Map Runs and redrives.
func TestMapRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.must("CreateStateMachine", object{"name": "m", "roleArn": role, "definition": `{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","MaxConcurrency":1,"ToleratedFailurePercentage":2.5,
			"ItemBatcher":{"MaxItemsPerBatch":2},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"F","States":{"F":{"Type":"Fail"}}},"End":true}}}`})
		x := a.must("StartExecution", object{"stateMachineArn": machineARN("m"), "name": "x", "input": "[1,2,3]"})["executionArn"]
		synctest.Wait()
		runs := a.must("ListMapRuns", object{"executionArn": x})["mapRuns"].([]any)
		if len(runs) != 1 {
			t.Fatal(runs)
		}
		listed := runs[0].(object)
		run := listed["mapRunArn"]
		if got, want := fmt.Sprint(listed), fmt.Sprintf("map[executionArn:%s mapRunArn:%s startDate:9.466848e+08 stateMachineArn:%s/L stopDate:9.466848e+08]", x, run, machineARN("m")); got != want {
			t.Errorf("listed:\n%s\n%s", got, want)
		}
		counts := func(total, pending, failed int) string {
			return fmt.Sprintf("map[aborted:0 failed:%d failuresNotRedrivable:0 pending:%d pendingRedrive:0 resultsWritten:0 running:0 succeeded:0 timedOut:0 total:%d]", failed, pending, total)
		}
		if got, want := fmt.Sprint(a.must("DescribeMapRun", object{"mapRunArn": run})), fmt.Sprintf("map[executionArn:%s executionCounts:%s itemCounts:%s mapRunArn:%s maxConcurrency:1 redriveCount:0 "+
			"startDate:9.466848e+08 status:FAILED stopDate:9.466848e+08 toleratedFailureCount:0 toleratedFailurePercentage:2.5]", x, counts(2, 1, 1), counts(3, 1, 2), run); got != want {
			t.Errorf("described:\n%s\n%s", got, want)
		}
		if n := a.needs[0]; n.Action != "states:DescribeMapRun" || n.Resource != run {
			t.Errorf("needs %+v", n)
		}
		kids := a.must("ListExecutions", object{"mapRunArn": run, "statusFilter": "FAILED", "redriveFilter": "NOT_REDRIVEN"})["executions"].([]any)
		if len(kids) != 1 || kids[0].(object)["itemCount"] != 2.0 || kids[0].(object)["mapRunArn"] != run {
			t.Errorf("children %v", kids)
		}
		kid := kids[0].(object)["executionArn"]
		if d := a.must("DescribeExecution", object{"executionArn": kid}); d["mapRunArn"] != run || d["redriveStatus"] != "REDRIVABLE_BY_MAP_RUN" || d["input"] != `{"Items":[1,2]}` {
			t.Errorf("child %v", d)
		}
		if d := a.must("DescribeStateMachineForExecution", object{"executionArn": kid}); d["mapRunArn"] != run || d["label"] != "L" || d["stateMachineArn"] != machineARN("m")+"/L" {
			t.Errorf("of the child %v", d)
		}

		at := a.must("RedriveExecution", object{"executionArn": x, "clientToken": "t"})["redriveDate"]
		if n := a.needs[0]; n.Action != "states:RedriveExecution" || n.Resource != x {
			t.Errorf("needs %+v", n)
		}
		synctest.Wait()
		if d := a.must("DescribeExecution", object{"executionArn": x}); d["redriveCount"] != 1.0 || d["redriveDate"] != at || at == nil || d["redriveStatus"] != "REDRIVABLE" {
			t.Errorf("redriven %v", d)
		}
		if d := a.must("DescribeMapRun", object{"mapRunArn": run}); d["redriveCount"] != 1.0 || d["redriveDate"] != at {
			t.Errorf("redriven %v", d)
		}
		for _, c := range []struct {
			op   string
			in   object
			code string
		}{
			{"RedriveExecution", object{"executionArn": x, "clientToken": "a b"}, "ValidationException"},
			{"RedriveExecution", object{"executionArn": x, "clientToken": ""}, "ValidationException"},
			{"RedriveExecution", object{"executionArn": kid}, "ExecutionNotRedrivable"},
			{"UpdateMapRun", object{"mapRunArn": run, "maxConcurrency": 1}, "ValidationException"},
			{"UpdateMapRun", object{"mapRunArn": run, "maxConcurrency": -1}, "ValidationException"},
			{"UpdateMapRun", object{"mapRunArn": run, "toleratedFailurePercentage": 101}, "ValidationException"},
			{"UpdateMapRun", object{"mapRunArn": run, "toleratedFailureCount": -1}, "ValidationException"},
			{"DescribeMapRun", object{"mapRunArn": x}, "InvalidArn"},
			{"ListExecutions", object{"mapRunArn": x}, "InvalidArn"},
			{"ListExecutions", object{"mapRunArn": run, "nextToken": "x"}, "InvalidToken"},
		} {
			if _, err := a.call(c.op, c.in); fault.Code(err) != c.code {
				t.Errorf("%s %v: %v", c.op, c.in, err)
			}
		}
	})
}
