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

// mortal is a server that is killed and started again over the same data.
type mortal struct {
	*harness.Server
	t   *testing.T
	dir string
}

func (m *mortal) start() {
	m.t.Helper()
	m.Server = must(harness.Start(context.WithoutCancel(m.t.Context()), binary, m.dir, ""))(m.t)
}

func (m *mortal) stop() {
	if err := m.Stop(); err != nil {
		m.t.Error(err)
	}
}

// machine is the ARN of a new machine called waits.
func (m *mortal) machine(definition string) string {
	m.t.Helper()
	return *must(sfn.NewFromConfig(m.Config(story.Region)).CreateStateMachine(m.t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("waits"), RoleArn: aws.String(statesRole(m.t, m.Server)), Definition: &definition,
	}))(m.t).StateMachineArn
}

// setting is the number that an environment variable has, or the usual one.
func setting(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number from 1 on", name, text)
	}
	return n
}

// TestRestart kills a server in which many executions wait, and measures how long
// it takes until it is ready again and until it starts another execution. All
// that waited must be there. The times are told, not judged: they are the
// machine's.
func TestRestart(t *testing.T) {
	number := setting(t, "TOKAIDO_WAITING", waitingInCI)
	ctx := context.WithoutCancel(t.Context())
	s := &mortal{t: t, dir: t.TempDir()}
	s.start()
	defer s.stop()
	const workers = 16
	client := func() *sfn.Client {
		cfg := s.Config(story.Region)
		cfg.HTTPClient = &http.Client{Transport: harness.InMemory{RoundTripper: &http.Transport{MaxIdleConnsPerHost: workers}}}
		return sfn.NewFromConfig(cfg)
	}
	api := client()
	machine := aws.String(s.machine(`{"StartAt":"Hold","States":{"Hold":{"Type":"Wait","Seconds":86400,"End":true}}}`))
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
	s.start()
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
