package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// waitingInCI is how many executions wait when the server is killed, if
// TOKAIDO_WAITING does not say otherwise.
const waitingInCI = 5000

// TestRestart kills a server in which many executions wait, and measures how long
// it takes until it is ready again and until it starts another execution. All
// that waited must be there. The times are told, not judged: they are the
// machine's.
func TestRestart(t *testing.T) {
	number := waitingInCI
	if n := os.Getenv("TOKAIDO_WAITING"); n != "" {
		var err error
		if number, err = strconv.Atoi(n); err != nil || number < 1 {
			t.Fatalf("TOKAIDO_WAITING is %q, want a number of executions", n)
		}
	}
	dir := t.TempDir()
	ctx := context.WithoutCancel(t.Context())
	s, err := harness.Start(ctx, binary, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	const workers = 16
	client := func() *sfn.Client {
		cfg := s.Config(story.Region)
		cfg.HTTPClient = &http.Client{Transport: harness.InMemory{RoundTripper: &http.Transport{MaxIdleConnsPerHost: workers}}}
		return sfn.NewFromConfig(cfg)
	}
	api := client()
	machine := must(api.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("waits"), RoleArn: aws.String(statesRole(t, s)),
		Definition: aws.String(`{"StartAt":"Hold","States":{"Hold":{"Type":"Wait","Seconds":86400,"End":true}}}`),
	}))(t).StateMachineArn
	began := time.Now()
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range workers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(number); i = next.Add(1) {
				if _, err := api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine, Name: aws.String(fmt.Sprint("w-", i)), Input: aws.String(`{"n":1}`)}); err != nil {
					t.Errorf("start %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	started := time.Since(began)
	s.Kill()

	began = time.Now()
	if s, err = harness.Start(ctx, binary, dir, ""); err != nil {
		t.Fatal(err)
	}
	ready := time.Since(began)
	api = client()
	call := time.Now()
	must(api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine, Name: aws.String("another")}))(t)
	answered := time.Since(call)
	t.Logf("%d executions started in %v; after a kill -9 ready in %v, one more started %v after that", number, started.Round(time.Millisecond), ready.Round(time.Millisecond), answered.Round(100*time.Microsecond))

	running := 0
	for pages := sfn.NewListExecutionsPaginator(api, &sfn.ListExecutionsInput{StateMachineArn: machine, StatusFilter: sf.ExecutionStatusRunning, MaxResults: 1000}); pages.HasMorePages(); {
		running += len(must(pages.NextPage(ctx))(t).Executions)
	}
	same(t, "executions that run after the restart", running, number+1)
}
