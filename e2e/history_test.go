package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// terminal are the events that end an execution.
var terminal = []sf.HistoryEventType{
	sf.HistoryEventTypeExecutionSucceeded, sf.HistoryEventTypeExecutionFailed,
	sf.HistoryEventTypeExecutionTimedOut, sf.HistoryEventTypeExecutionAborted,
}

// outcomes are the events that end one performance of a task.
var outcomes = []sf.HistoryEventType{
	sf.HistoryEventTypeTaskSucceeded, sf.HistoryEventTypeTaskFailed, sf.HistoryEventTypeTaskTimedOut,
	sf.HistoryEventTypeTaskSubmitFailed, sf.HistoryEventTypeTaskStartFailed,
	sf.HistoryEventTypeLambdaFunctionSucceeded, sf.HistoryEventTypeLambdaFunctionFailed, sf.HistoryEventTypeLambdaFunctionTimedOut,
	sf.HistoryEventTypeActivitySucceeded, sf.HistoryEventTypeActivityFailed, sf.HistoryEventTypeActivityTimedOut,
}

// illFormed says what is wrong with the history of an execution that has ended,
// whatever its definition: the rules that every history of Step Functions keeps.
// One that was redriven has an end before each ExecutionRedriven, too.
func illFormed(events []sf.HistoryEvent) (wrong []string) {
	bad := func(e sf.HistoryEvent, format string, a ...any) {
		wrong = append(wrong, fmt.Sprintf("event %d, %s: ", e.Id, e.Type)+fmt.Sprintf(format, a...))
	}
	if len(events) == 0 {
		return []string{"the history is empty"}
	}
	type follow struct {
		class string
		prev  int64
	}
	type iteration struct {
		started int64 // the MapStateStarted that it belongs to
		what    string
		index   int32
	}
	var (
		followed   = map[follow]int64{}    // what may follow an event at most once
		iterations = map[iteration]int64{} // what may happen to an iteration at most once
		open       = map[string]int{}      // states of a kind and name that were entered and not yet exited
		owner      = map[int64]int64{}     // the MapStateStarted that an event of an iteration leads back to
		disturbed  = false                 // something failed or was aborted: not every state is exited
	)
	for i, e := range events {
		if e.Id != int64(i+1) {
			bad(e, "is at place %d", i+1)
			return wrong // nothing below holds
		}
		if e.Timestamp == nil || e.Timestamp.IsZero() {
			bad(e, "has no timestamp")
		} else if i > 0 && events[i-1].Timestamp != nil && e.Timestamp.Before(*events[i-1].Timestamp) {
			bad(e, "is earlier than the event before it: %v, %v", e.Timestamp, events[i-1].Timestamp)
		}
		if e.PreviousEventId < 0 || e.PreviousEventId >= e.Id {
			bad(e, "has the previous event %d", e.PreviousEventId)
			continue
		}
		if (i == 0) != (e.Type == sf.HistoryEventTypeExecutionStarted) {
			bad(e, "is at place %d", i+1)
		}
		last := i == len(events)-1 || events[i+1].Type == sf.HistoryEventTypeExecutionRedriven
		if last != slices.Contains(terminal, e.Type) {
			bad(e, "is at place %d of %d", i+1, len(events))
		}
		redriven := e.Type == sf.HistoryEventTypeExecutionRedriven
		if redriven && events[i-1].Type == sf.HistoryEventTypeExecutionSucceeded {
			bad(e, "follows a success")
		}
		if e.PreviousEventId > 0 {
			prev := events[e.PreviousEventId-1]
			if slices.Contains(terminal, prev.Type) && !redriven {
				bad(e, "follows the end")
			}
			owner[e.Id] = owner[prev.Id]
			switch e.Type {
			case sf.HistoryEventTypeMapStateSucceeded, sf.HistoryEventTypeMapStateFailed, sf.HistoryEventTypeMapStateExited, sf.HistoryEventTypeMapStateStarted:
				if prev.Type != sf.HistoryEventTypeMapStateFailed && prev.Type != sf.HistoryEventTypeMapStateEntered {
					owner[e.Id] = owner[owner[prev.Id]] // out of the Map, or its next attempt
				}
			default:
				if prev.Type == sf.HistoryEventTypeMapStateStarted {
					owner[e.Id] = prev.Id
				}
			}
		}
		once := func(class string) {
			f := follow{class, e.PreviousEventId}
			if first, ok := followed[f]; ok {
				bad(e, "event %d already is the %s of event %d", first, class, e.PreviousEventId)
			}
			followed[f] = e.Id
		}
		after := func(types ...sf.HistoryEventType) {
			if e.PreviousEventId == 0 || !slices.Contains(types, events[e.PreviousEventId-1].Type) {
				bad(e, "has the previous event %d, want one of %v", e.PreviousEventId, types)
			}
		}
		name := string(e.Type)
		switch {
		case strings.HasSuffix(name, "StateEntered"):
			if e.StateEnteredEventDetails == nil {
				bad(e, "has no details")
				continue
			}
			open[strings.TrimSuffix(name, "Entered")+" "+aws.ToString(e.StateEnteredEventDetails.Name)]++
		case strings.HasSuffix(name, "StateExited"):
			if e.StateExitedEventDetails == nil {
				bad(e, "has no details")
				continue
			}
			once("exit")
			state := strings.TrimSuffix(name, "Exited") + " " + aws.ToString(e.StateExitedEventDetails.Name)
			if open[state]--; open[state] < 0 {
				bad(e, "%s was not entered", state)
			}
			if e.Type == sf.HistoryEventTypeWaitStateExited {
				after(sf.HistoryEventTypeWaitStateEntered)
			}
		case slices.Contains(outcomes, e.Type):
			once("outcome")
			after(sf.HistoryEventTypeTaskStarted, sf.HistoryEventTypeTaskSubmitted, sf.HistoryEventTypeTaskScheduled,
				sf.HistoryEventTypeLambdaFunctionStarted, sf.HistoryEventTypeLambdaFunctionScheduled,
				sf.HistoryEventTypeActivityStarted, sf.HistoryEventTypeActivityScheduled)
		}
		switch e.Type {
		case sf.HistoryEventTypeTaskScheduled, sf.HistoryEventTypeLambdaFunctionScheduled, sf.HistoryEventTypeActivityScheduled:
			once("schedule")
		case sf.HistoryEventTypeTaskStarted:
			once("start")
			after(sf.HistoryEventTypeTaskScheduled)
		case sf.HistoryEventTypeLambdaFunctionStarted:
			once("start")
			after(sf.HistoryEventTypeLambdaFunctionScheduled)
		case sf.HistoryEventTypeActivityStarted:
			once("start")
			after(sf.HistoryEventTypeActivityScheduled)
		case sf.HistoryEventTypeTaskSubmitted:
			once("submission")
			after(sf.HistoryEventTypeTaskStarted)
		case sf.HistoryEventTypeMapStateStarted, sf.HistoryEventTypeParallelStateStarted:
			once("start")
		case sf.HistoryEventTypeMapRunStarted:
			once("start")
			after(sf.HistoryEventTypeMapStateStarted)
		case sf.HistoryEventTypeMapStateSucceeded, sf.HistoryEventTypeParallelStateSucceeded:
			once("join")
		case sf.HistoryEventTypeMapIterationStarted, sf.HistoryEventTypeMapIterationSucceeded,
			sf.HistoryEventTypeMapIterationFailed, sf.HistoryEventTypeMapIterationAborted:
			d := e.MapIterationStartedEventDetails
			what := "end"
			switch e.Type {
			case sf.HistoryEventTypeMapIterationStarted:
				what = "start"
			case sf.HistoryEventTypeMapIterationSucceeded:
				d = e.MapIterationSucceededEventDetails
			case sf.HistoryEventTypeMapIterationFailed:
				d = e.MapIterationFailedEventDetails
			default:
				d = e.MapIterationAbortedEventDetails
			}
			if d == nil {
				bad(e, "has no details")
				continue
			}
			if e.Type == sf.HistoryEventTypeMapIterationAborted {
				break // refers to what failed, which may be another iteration's
			}
			it := iteration{owner[e.Id], what, d.Index}
			if first, ok := iterations[it]; ok {
				bad(e, "event %d already is the %s of iteration %d", first, what, d.Index)
			}
			iterations[it] = e.Id
			if _, ok := iterations[iteration{owner[e.Id], "start", d.Index}]; !ok {
				bad(e, "iteration %d was not started", d.Index)
			}
		}
		if strings.HasSuffix(name, "Failed") || strings.HasSuffix(name, "Aborted") || strings.HasSuffix(name, "TimedOut") {
			disturbed = disturbed || !slices.Contains(outcomes, e.Type)
		}
	}
	if !disturbed {
		for state, n := range open {
			if n > 0 {
				wrong = append(wrong, fmt.Sprintf("%s was not exited", state))
			}
		}
	}
	return wrong
}

// tellHistory writes a history for people, an event a line.
func tellHistory(events []sf.HistoryEvent) string {
	var b strings.Builder
	for _, e := range events {
		details := map[string]any{}
		if j, err := json.Marshal(e); err == nil && json.Unmarshal(j, &details) == nil {
			for k, v := range details {
				if v == nil || !strings.HasSuffix(k, "EventDetails") {
					delete(details, k)
				}
			}
		}
		text, _ := json.Marshal(details)
		if len(text) > 300 {
			text = append(text[:300], "…"...)
		}
		fmt.Fprintf(&b, "  %d<%d %s %s %s\n", e.Id, e.PreviousEventId, aws.ToTime(e.Timestamp).UTC().Format("15:04:05.000"), e.Type, text)
	}
	return b.String()
}

// The checker finds what it is there to find.
func TestIllFormed(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	entered := &sf.StateEnteredEventDetails{Name: aws.String("A")}
	exited := &sf.StateExitedEventDetails{Name: aws.String("A")}
	good := func() []sf.HistoryEvent {
		return []sf.HistoryEvent{
			{Id: 1, Type: sf.HistoryEventTypeExecutionStarted},
			{Id: 2, PreviousEventId: 0, Type: sf.HistoryEventTypeTaskStateEntered, StateEnteredEventDetails: entered},
			{Id: 3, PreviousEventId: 2, Type: sf.HistoryEventTypeTaskScheduled},
			{Id: 4, PreviousEventId: 3, Type: sf.HistoryEventTypeTaskStarted},
			{Id: 5, PreviousEventId: 4, Type: sf.HistoryEventTypeTaskSucceeded},
			{Id: 6, PreviousEventId: 5, Type: sf.HistoryEventTypeTaskStateExited, StateExitedEventDetails: exited},
			{Id: 7, PreviousEventId: 6, Type: sf.HistoryEventTypeExecutionSucceeded},
		}
	}
	for _, c := range []struct {
		name string
		harm func(h []sf.HistoryEvent) []sf.HistoryEvent
		want string // in what is found; empty: nothing is
	}{
		{"whole", func(h []sf.HistoryEvent) []sf.HistoryEvent { return h }, ""},
		{"empty", func([]sf.HistoryEvent) []sf.HistoryEvent { return nil }, "is empty"},
		{"gap", func(h []sf.HistoryEvent) []sf.HistoryEvent { return append(h[:3], h[4:]...) }, "is at place 4"},
		{"unfinished", func(h []sf.HistoryEvent) []sf.HistoryEvent { return h[:6] }, "is at place 6 of 6"},
		{"two-ends", func(h []sf.HistoryEvent) []sf.HistoryEvent {
			return append(h, sf.HistoryEvent{Id: 8, PreviousEventId: 6, Type: sf.HistoryEventTypeExecutionSucceeded})
		}, "is at place 7 of 8"},
		{"redriven", func(h []sf.HistoryEvent) []sf.HistoryEvent {
			h[6].Type = sf.HistoryEventTypeExecutionFailed
			return append(h, sf.HistoryEvent{Id: 8, PreviousEventId: 7, Type: sf.HistoryEventTypeExecutionRedriven}, sf.HistoryEvent{Id: 9, PreviousEventId: 8, Type: sf.HistoryEventTypeExecutionSucceeded})
		}, ""},
		{"redriven-while-it-ran", func(h []sf.HistoryEvent) []sf.HistoryEvent {
			return slices.Concat(h[:6], []sf.HistoryEvent{{Id: 7, PreviousEventId: 6, Type: sf.HistoryEventTypeExecutionRedriven}, {Id: 8, PreviousEventId: 7, Type: sf.HistoryEventTypeExecutionSucceeded}})
		}, "event 6, TaskStateExited: is at place 6 of 8"},
		{"forward", func(h []sf.HistoryEvent) []sf.HistoryEvent { h[3].PreviousEventId = 5; return h }, "has the previous event 5"},
		{"back-in-time", func(h []sf.HistoryEvent) []sf.HistoryEvent {
			h[4].Timestamp = aws.Time(at.Add(-time.Millisecond))
			return h
		}, "is earlier than"},
		{"no-exit", func(h []sf.HistoryEvent) []sf.HistoryEvent {
			h[5] = sf.HistoryEvent{Id: 6, PreviousEventId: 5, Type: sf.HistoryEventTypeExecutionSucceeded}
			return h[:6]
		}, "TaskState A was not exited"},
		{"other-exit", func(h []sf.HistoryEvent) []sf.HistoryEvent {
			h[5].Type = sf.HistoryEventTypePassStateExited
			return h
		}, "PassState A was not entered"},
		{"applied-twice", func(h []sf.HistoryEvent) []sf.HistoryEvent {
			h = slices.Insert(h, 5, sf.HistoryEvent{PreviousEventId: 4, Type: sf.HistoryEventTypeTaskSucceeded})
			for i := range h {
				h[i].Id = int64(i + 1)
			}
			return h
		}, "event 5 already is the outcome of event 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := good()
			for i := range h {
				h[i].Timestamp = &at
			}
			h = c.harm(h)
			for i := range h {
				if h[i].Timestamp == nil {
					h[i].Timestamp = &at
				}
			}
			got := strings.Join(illFormed(h), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
