package flow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
)

// lines runs a definition with a logging level and returns what is logged.
func lines(t *testing.T, definition, level string, data, express bool) []map[string]any {
	t.Helper()
	s := memory.New()
	var out bytes.Buffer
	lib := flow.NewLibrary(s.Flow())
	logs := flow.NewLogs(lib, &out, slog.New(slog.DiscardHandler))
	d, err := journal.Open(context.Background(), journal.Config{Log: s.Journal(), Programs: lib, Observe: logs.Observe, Observes: logs.Wants})
	if err != nil {
		t.Fatal(err)
	}
	p, err := flow.Open(context.Background(), flow.Config{Store: s.Flow(), Library: lib, Driver: d, Logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	c := create("m", definition)
	c.Express = express
	c.Logging = &flow.Logging{Level: level, IncludeData: data, Destinations: []string{"arn:aws:logs:us-east-1:123456789012:log-group:g:*"}}
	if _, err := p.CreateStateMachine(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if express {
		_, err = p.StartSyncExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Input: new(`{"n":1}`)})
	} else {
		var x flow.Started
		if x, err = p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Input: new(`{"n":1}`)}); err == nil {
			_, err = p.Await(t.Context(), x.ARN)
		}
	}
	if err := errors.Join(err, p.Close(), d.Close(t.Context()), logs.Close()); err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(out.String()) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

func TestLogs(t *testing.T) {
	const failing = `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"F"},"F":{"Type":"Fail","Error":"E","Cause":"C"}}}`
	for _, c := range []struct {
		definition, level string
		want              string
	}{
		{pass, "ALL", "1 ExecutionStarted, 2 PassStateEntered, 3 PassStateExited, 4 ExecutionSucceeded"},
		{pass, "ERROR", ""},
		{pass, "OFF", ""},
		{failing, "ERROR", "4 FailStateEntered, 5 ExecutionFailed"},
		{failing, "FATAL", "5 ExecutionFailed"},
	} {
		for _, express := range []bool{false, true} {
			var got []string
			for _, l := range lines(t, c.definition, c.level, true, express) {
				got = append(got, l["id"].(string)+" "+l["type"].(string))
				if kind := strings.Split(l["execution_arn"].(string), ":")[5]; (kind == "express") != express {
					t.Error(kind)
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("level %s, express %v: %s", c.level, express, s)
			}
		}
	}
}

func TestLogsWithoutData(t *testing.T) {
	for _, data := range []bool{false, true} {
		l := lines(t, pass, "ALL", data, false)
		for i, k := range []string{"input", "input", "output", "output"} {
			d := l[i]["details"].(map[string]any)
			_, has := d[k]
			_, also := d[k+"Details"]
			if has != data || also != data {
				t.Errorf("data %v: %v", data, d)
			}
		}
		if l[0]["details"].(map[string]any)["roleArn"] != role || l[0]["redrive_count"] != "0" || l[0]["previous_event_id"] != "0" {
			t.Errorf("%v", l[0])
		}
	}
}

// A server that writes no logs does not pretend to.
func TestLevelWithoutLogs(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	c := create("m", pass)
	c.Logging = &flow.Logging{Level: "ALL", Destinations: []string{"arn:aws:logs:us-east-1:123456789012:log-group:g:*"}}
	if _, err := p.CreateStateMachine(t.Context(), c); fault.Code(err) != "InvalidLoggingConfiguration" {
		t.Error(err)
	}
	c.Logging.Level = "OFF"
	if _, err := p.CreateStateMachine(t.Context(), c); err != nil {
		t.Error(err)
	}
}
