package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

const (
	killsInCI = 8 // make kill does 100
	waiting   = 1 // seconds that the Wait state lasts
)

const waitDefinition = `{"QueryLanguage":"JSONata","StartAt":"Before","States":{
  "Before":{"Type":"Pass","Assign":{"n":"{% $states.input.n %}"},"Next":"Hold"},
  "Hold":{"Type":"Wait","Seconds":1,"Next":"After"},
  "After":{"Type":"Pass","Output":{"n":"{% $n %}"},"End":true}}}`

// whole is the history that every execution of waitDefinition must have.
var whole = []sf.HistoryEventType{
	sf.HistoryEventTypeExecutionStarted,
	sf.HistoryEventTypePassStateEntered, sf.HistoryEventTypePassStateExited,
	sf.HistoryEventTypeWaitStateEntered, sf.HistoryEventTypeWaitStateExited,
	sf.HistoryEventTypePassStateEntered, sf.HistoryEventTypePassStateExited,
	sf.HistoryEventTypeExecutionSucceeded,
}

// TestKill kills the server with SIGKILL at random moments while executions
// start and wait, starts it again over the same data, and looks for every
// execution that was acknowledged: it must end, once, with a whole history.
func TestKill(t *testing.T) {
	rounds := setting(t, "TOKAIDO_KILLS", killsInCI)
	ctx := context.WithoutCancel(t.Context())
	s := &mortal{t: t, dir: t.TempDir()}
	s.start()
	defer s.stop()
	machine := s.machine(waitDefinition)
	held, total := 0, 0
	for round := range rounds {
		acknowledged := load(ctx, s.Server, machine, round)
		s.start()
		bad := 0
		for arn, n := range acknowledged {
			if err := finished(ctx, s.Server, arn, n); err != nil {
				t.Errorf("round %d: %s: %v", round, arn, err)
				bad++
			}
		}
		if len(acknowledged) == 0 {
			t.Errorf("round %d: no execution was acknowledged before the kill", round)
			bad++
		}
		if bad == 0 {
			held++
		}
		total += len(acknowledged)
	}
	t.Logf("%d of %d kills: every acknowledged execution (%d in all) ended once, with a whole history", held, rounds, total)
}

// load starts executions from several clients until a random moment, kills the
// server then, and returns those that were acknowledged.
func load(ctx context.Context, s *harness.Server, machine string, round int) map[string]int {
	client := sfn.NewFromConfig(s.Config(story.Region))
	var (
		mu           sync.Mutex
		acknowledged = map[string]int{}
		wg           sync.WaitGroup
		first        = make(chan struct{})
		once         sync.Once
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				n := worker*1_000_000 + i
				x, err := client.StartExecution(ctx, &sfn.StartExecutionInput{
					StateMachineArn: &machine,
					Name:            aws.String(fmt.Sprintf("r%d-%d", round, n)),
					Input:           aws.String(fmt.Sprintf(`{"n":%d}`, n)),
				})
				if err != nil {
					return
				}
				mu.Lock()
				acknowledged[*x.ExecutionArn] = n
				mu.Unlock()
				once.Do(func() { close(first) })
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	select {
	case <-first:
	case <-time.After(5 * time.Second):
	}
	time.Sleep(rand.N(1500 * time.Millisecond))
	s.Kill()
	cancel()
	wg.Wait()
	return acknowledged
}

// finished waits for the end of an execution and checks it.
func finished(ctx context.Context, s *harness.Server, arn string, n int) error {
	client := sfn.NewFromConfig(s.Config(story.Region))
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var d *sfn.DescribeExecutionOutput
	for {
		var err error
		if d, err = client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn}); err != nil {
			return err
		}
		if d.Status != sf.ExecutionStatusRunning {
			break
		}
		select {
		case <-ctx.Done():
			return errors.New("still runs 20 s after the restart")
		case <-time.After(20 * time.Millisecond):
		}
	}
	if want := fmt.Sprintf(`{"n":%d}`, n); d.Status != sf.ExecutionStatusSucceeded || aws.ToString(d.Output) != want {
		return fmt.Errorf("ended %s with %s, want SUCCEEDED with %s", d.Status, aws.ToString(d.Output), want)
	}
	h, err := client.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: &arn})
	if err != nil {
		return err
	}
	if len(h.Events) != len(whole) {
		return fmt.Errorf("the history has %d events, want %d", len(h.Events), len(whole))
	}
	var entered, exited time.Time
	for i, e := range h.Events {
		if e.Type != whole[i] || e.Id != int64(i+1) || (i > 1 && e.PreviousEventId != int64(i)) {
			return fmt.Errorf("event %d is %s with id %d after %d, want %s", i+1, e.Type, e.Id, e.PreviousEventId, whole[i])
		}
		if i > 0 && e.Timestamp.Before(*h.Events[i-1].Timestamp) {
			return fmt.Errorf("event %d is earlier than the one before it", i+1)
		}
		switch e.Type {
		case sf.HistoryEventTypeWaitStateEntered:
			entered = *e.Timestamp
		case sf.HistoryEventTypeWaitStateExited:
			exited = *e.Timestamp
		}
	}
	if d := exited.Sub(entered); d < waiting*time.Second {
		return fmt.Errorf("waited only %v", d)
	}
	return nil
}
