package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

const (
	crashesInCI  = 6   // make crash does 1000
	mostOpen     = 150 // executions that may be open at a time
	mostFails    = 3   // of a function that fails before it answers
	itemsOfMap   = 5
	drainLimit   = 3 * time.Minute  // for all executions to end after the last crash
	drainFailed  = 15 * time.Second // the same, where something is wrong already
	startSlack   = time.Second      // between an execution's start date and its first event
	mostReported = 8                // problems that are told with their histories
)

// The definitions of the load. FUNCTION, ACTIVITY and CHILD stand for ARNs.
var crashMachines = []struct {
	kind       string
	often      int // its share of the executions
	definition string
}{
	{"wait", 4, `{"StartAt":"Before","States":{
		"Before":{"Type":"Pass","Assign":{"n":"{% $states.input.n %}"},"Next":"Hold"},
		"Hold":{"Type":"Wait","Seconds":1,"Next":"After"},
		"After":{"Type":"Pass","Output":{"n":"{% $n %}"},"End":true}}}`},
	{"retry", 4, `{"StartAt":"Call","States":{"Call":` + flakyCall("$states.context.Execution.Name") + `}}`},
	{"arn", 2, `{"StartAt":"Call","States":{"Call":{"Type":"Task","Resource":"FUNCTION",
		"Arguments":{"key":"{% $states.context.Execution.Name %}","fails":"{% $states.input.fails %}"},` + flakyRetry + `,"End":true}}}`},
	{"token", 4, `{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
		"Arguments":{"FunctionName":"ask","Payload":{"key":"{% $states.context.Execution.Name %}","token":"{% $states.context.Task.Token %}"}},` + toldRetry + `"End":true}}}`},
	{"activity", 2, `{"StartAt":"Work","States":{"Work":{"Type":"Task","Resource":"ACTIVITY","TimeoutSeconds":6,"HeartbeatSeconds":4,
		"Arguments":{"key":"{% $states.context.Execution.Name %}"},` + toldRetry + `"End":true}}}`},
	{"fan", 3, `{"StartAt":"Fan","States":{"Fan":{"Type":"Parallel","End":true,"Branches":[
		{"StartAt":"Hold","States":{"Hold":{"Type":"Wait","Seconds":1,"Output":"held","End":true}}},
		{"StartAt":"Call","States":{"Call":` + flakyCall("$states.context.Execution.Name & '/b'") + `}},
		{"StartAt":"Each","States":{"Each":{"Type":"Map","MaxConcurrency":2,"Items":"{% $states.input.items %}",
			"ItemSelector":{"i":"{% $states.context.Map.Item.Value %}","fails":0},
			"ItemProcessor":{"StartAt":"Item","States":{"Item":` + flakyCall("$states.context.Execution.Name & '/' & $states.input.i") + `}},"End":true}}}]}}}`},
	{"nested", 3, `{"StartAt":"Run","States":{"Run":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2",
		"Arguments":{"StateMachineArn":"CHILD","Input":{"n":"{% $states.input.n %}","fails":"{% $states.input.fails %}"}},"End":true}}}`},
	{"distributed", 1, `{"StartAt":"Each","States":{"Each":{"Type":"Map","MaxConcurrency":3,"Items":"{% $states.input.items %}",
			"ItemSelector":{"i":"{% $states.context.Map.Item.Value %}","name":"{% $states.context.Execution.Name %}","fails":1},
			"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"Call","States":{"Call":` +
		flakyCall("$states.input.name & '/' & $states.input.i") + `}},"End":true}}}`},
	{"redrive", 2, `{"StartAt":"Call","States":{"Call":{"Type":"Task","Resource":"FUNCTION",
		"Arguments":{"key":"{% $states.context.Execution.Name %}","fails":"{% $states.input.fails %}"},"End":true}}}`},
	{"stop", 1, `{"StartAt":"Hold","States":{"Hold":{"Type":"Wait","Seconds":86400,"End":true}}}`},
}

const childDefinition = `{"StartAt":"Hold","States":{
	"Hold":{"Type":"Wait","Seconds":1,"Output":{"n":"{% $states.input.n %}"},"Next":"After"},
	"After":{"Type":"Pass","End":true}}}`

const (
	flakyRetry = `"Retry":[{"ErrorEquals":["Flaky"],"IntervalSeconds":1,"BackoffRate":1,"MaxAttempts":3}]`
	toldRetry  = `"Retry":[{"ErrorEquals":["Told"],"IntervalSeconds":1,"BackoffRate":1,"MaxAttempts":1000},
		{"ErrorEquals":["States.Timeout"],"IntervalSeconds":1,"BackoffRate":1,"MaxAttempts":1000}],`
)

// flakyCall is a Task that calls a function, which fails as often for a key as it is told.
func flakyCall(key string) string {
	return `{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"flaky",
		"Payload":{"key":"{% ` + key + ` %}","fails":"{% $states.input.fails %}"}},` + flakyRetry + `,"Output":"{% $states.result.Payload %}","End":true}`
}

// TestCrash kills the server with SIGKILL at random moments, some of them while
// it starts, under a load of everything that is durable. Whatever was
// acknowledged must be there and end once, each result must be applied once, and
// every history must be well-formed.
//
// TOKAIDO_CRASHES is the number of kills. TOKAIDO_SEED makes the test draw the
// same load and the same moments again; what runs at a moment differs still.
func TestCrash(t *testing.T) {
	rounds := setting(t, "TOKAIDO_CRASHES", crashesInCI)
	seed := rand.Uint64()
	if n := os.Getenv("TOKAIDO_SEED"); n != "" {
		var err error
		if seed, err = strconv.ParseUint(n, 10, 64); err != nil {
			t.Fatalf("TOKAIDO_SEED is %q, want a number", n)
		}
	}
	dir, err := os.MkdirTemp("", "tokaido-crash-")
	if err != nil {
		t.Fatal(err)
	}
	c := newCrasher(t, seed, dir)
	began := time.Now()
	defer func() {
		c.die()
		if t.Failed() && c.server != nil {
			t.Logf("the server's log ended:\n%s", c.server.Log())
			t.Logf("again with: TOKAIDO_CRASHES=%d TOKAIDO_SEED=%d go test -run TestCrash .\nthe data is kept in %s", rounds, seed, dir)
			return
		}
		os.RemoveAll(dir)
	}()
	c.rebirth()
	c.deploy()
	early := 0
	for c.round = 1; c.round <= rounds && !t.Failed(); c.round++ {
		if c.round%10 == 0 {
			t.Logf("%v: %d kills, %s", time.Since(began).Round(time.Second), c.round-1, c.tally())
		}
		c.live(50*time.Millisecond + time.Duration(c.draw.Int64N(int64(450*time.Millisecond))))
		if c.draw.IntN(4) == 0 {
			early++
			c.stillborn(time.Duration(c.draw.Int64N(int64(120 * time.Millisecond))))
		}
		c.rebirth()
		c.afterRestart()
	}
	c.round--
	c.drain()
	c.audit()
	t.Logf("%d kills and %d more while starting, in %v, seed %d: %s; slowest start %v",
		c.round, early, time.Since(began).Round(time.Second), seed, c.tally(), c.slowest.Round(time.Millisecond))
}

// crasher is the load and what is known about it.
type crasher struct {
	t        *testing.T
	seed     uint64
	dir      string
	ctx      context.Context
	draw     *rand.Rand // of the test's own goroutine
	round    int
	machines map[string]string // ARN by kind
	activity string
	child    string

	server  *harness.Server
	api     atomic.Pointer[sfn.Client] // nil while the server is down
	end     context.CancelFunc         // kills the server
	slowest time.Duration              // of the starts

	serial atomic.Int64 // of executions, calls and answers

	mu       sync.Mutex
	runs     []*run          // every execution that was asked for
	open     map[string]*run // acknowledged and not seen ended, by ARN
	unsure   []*run          // asked for, and the answer was lost
	calls    map[string]*called
	answers  map[string]*answer // by mark
	tokens   map[string]*token
	asked    []*token          // to be answered
	applied  map[string]string // mark of a result: where it is in a history
	children map[string]string // ARN of a nested execution: of its parent
	reported int
	counts   map[string]int
}

// run is an execution that was asked for.
type run struct {
	kind, name, arn, input string
	n, fails               int
	stop                   bool // StopExecution was acknowledged
	redrives, unsure       int  // of RedriveExecution: acknowledged, and those of which the answer was lost
	asked                  int  // the round in which it was
	ended                  *ending
}

// ending is how an execution was when it was first seen ended.
type ending struct {
	status sf.ExecutionStatus
	output string
	stop   time.Time
	events int
}

// called is what a function knows about a key.
type called struct {
	times int
	marks []string
}

// token is a task's, which somebody else answers.
type token struct {
	key, token string
	activity   bool
	marks      []string // of all answers that were sent
	accepted   string   // the mark of the one that was acknowledged
	lost       bool     // an answer to an answer was lost: it may have counted
	closed     bool     // refused as no longer there
}

type answer struct{ token *token }

func newCrasher(t *testing.T, seed uint64, dir string) *crasher {
	c := &crasher{
		t: t, seed: seed, dir: dir, ctx: context.WithoutCancel(t.Context()), draw: rand.New(rand.NewPCG(seed, 0)),
		machines: map[string]string{}, open: map[string]*run{}, calls: map[string]*called{}, answers: map[string]*answer{},
		tokens: map[string]*token{}, applied: map[string]string{}, children: map[string]string{}, counts: map[string]int{},
	}
	lambda := httptest.NewServer(http.HandlerFunc(c.function))
	t.Cleanup(lambda.Close)
	t.Setenv("AWS_ENDPOINT_URL_LAMBDA", lambda.URL)
	return c
}

// mark is a text that is in one answer only.
func (c *crasher) mark(kind string) string { return fmt.Sprintf("%s#%d;", kind, c.serial.Add(1)) }

var marks = regexp.MustCompile(`(call|answer)#\d+;`)

// function is the endpoint of Lambda: flaky fails as often for a key as its
// payload says and answers then; ask takes a token for somebody to answer.
func (c *crasher) function(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server was killed meanwhile
	}
	var p struct {
		Key, Token string
		Fails      int
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Key == "" {
		c.problem(nil, "Lambda was called with %s at %s: %v", body, r.URL, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[p.Key]
	if call == nil {
		call = &called{}
		c.calls[p.Key] = call
	}
	call.times++
	mark := c.mark("call")
	call.marks = append(call.marks, mark)
	switch {
	case strings.Contains(r.URL.Path, "ask"):
		if c.tokens[p.Token] == nil { // a performance that is repeated has the same token
			k := &token{key: p.Key, token: p.Token}
			c.tokens[p.Token] = k
			c.asked = append(c.asked, k)
		}
		fmt.Fprintf(w, `{"taken":%q}`, mark)
	case call.times <= p.Fails:
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		fmt.Fprintf(w, `{"errorType":"Flaky","errorMessage":%q}`, mark)
	default:
		fmt.Fprintf(w, `{"key":%q,"mark":%q}`, p.Key, mark)
	}
}

// rebirth starts the server over the data and waits until it is ready.
func (c *crasher) rebirth() {
	c.t.Helper()
	began := time.Now()
	ctx, end := context.WithCancel(c.ctx)
	s, err := harness.Start(ctx, binary, c.dir, "")
	if err != nil {
		end()
		c.t.Fatalf("round %d: start: %v", c.round, err)
	}
	c.slowest = max(c.slowest, time.Since(began))
	c.server, c.end = s, end
	cfg := s.Config(story.Region)
	cfg.HTTPClient = &http.Client{Transport: harness.InMemory{RoundTripper: &http.Transport{MaxIdleConnsPerHost: 16}}}
	c.api.Store(sfn.NewFromConfig(cfg))
}

// stillborn starts the server and kills it after a moment, ready or not.
func (c *crasher) stillborn(after time.Duration) {
	ctx, end := context.WithCancel(c.ctx)
	timer := time.AfterFunc(after, end)
	defer timer.Stop()
	defer end()
	if s, err := harness.Start(ctx, binary, c.dir, ""); err == nil {
		s.Kill()
	}
}

// die kills the server.
func (c *crasher) die() {
	if c.api.Swap(nil) != nil {
		c.server.Kill()
		c.end()
	}
}

// deploy makes the role, the activity and the machines.
func (c *crasher) deploy() {
	people, api := iam.NewFromConfig(c.server.Config(story.Region)), c.api.Load()
	role, err := people.CreateRole(c.ctx, &iam.CreateRoleInput{
		RoleName:                 aws.String("crash"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := people.PutRolePolicy(c.ctx, &iam.PutRolePolicyInput{
		RoleName: aws.String("crash"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:InvokeFunction","states:*","events:*"],"Resource":"*"}]}`),
	}); err != nil {
		c.t.Fatal(err)
	}
	a, err := api.CreateActivity(c.ctx, &sfn.CreateActivityInput{Name: aws.String("work")})
	if err != nil {
		c.t.Fatal(err)
	}
	c.activity = *a.ActivityArn
	function := strings.Replace(strings.Replace(c.activity, ":states:", ":lambda:", 1), ":activity:work", ":function:flaky", 1)
	create := func(name, definition string) string {
		definition = `{"QueryLanguage":"JSONata",` + strings.NewReplacer("FUNCTION", function, "ACTIVITY", c.activity, "CHILD", c.child).Replace(definition)[1:]
		m, err := api.CreateStateMachine(c.ctx, &sfn.CreateStateMachineInput{Name: &name, RoleArn: role.Role.Arn, Definition: &definition})
		if err != nil {
			c.t.Fatalf("create %s: %v", name, err)
		}
		return *m.StateMachineArn
	}
	c.child = create("child", childDefinition)
	for _, m := range crashMachines {
		c.machines[m.kind] = create(m.kind, m.definition)
	}
}

// live puts the load on the server and kills it after a while.
func (c *crasher) live(d time.Duration) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() { c.start(ctx, rand.New(rand.NewPCG(c.seed, uint64(c.round*10+worker)))) })
	}
	c.helpers(ctx, &wg)
	time.Sleep(d)
	c.die()
	cancel()
	wg.Wait()
}

// helpers answer tasks and look after executions until ctx ends.
func (c *crasher) helpers(ctx context.Context, wg *sync.WaitGroup) {
	for worker := range 2 {
		draw := rand.New(rand.NewPCG(c.seed, uint64(c.round*10+5+worker)))
		wg.Go(func() { c.reply(ctx, draw) })
		wg.Go(func() { c.work(ctx) })
		wg.Go(func() { c.watch(ctx) })
	}
}

// lost reports whether a call has no answer, as when the server is killed. An
// answer that says the server failed is a problem of its own.
func (c *crasher) lost(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return true
	}
	if api.ErrorFault() == smithy.FaultServer || strings.HasPrefix(api.ErrorCode(), "Internal") {
		c.problem(nil, "the server answered %v", err)
	}
	return false
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// start asks for executions, first again for those of which the answer was lost.
func (c *crasher) start(ctx context.Context, draw *rand.Rand) {
	api := c.api.Load()
	all := 0
	for _, m := range crashMachines {
		all += m.often
	}
	for ctx.Err() == nil && api != nil {
		c.mu.Lock()
		var x *run
		again := len(c.unsure) > 0
		if again {
			x, c.unsure = c.unsure[0], c.unsure[1:]
		} else if len(c.open) >= mostOpen {
			c.mu.Unlock()
			pause(ctx, 5*time.Millisecond)
			continue
		} else {
			pick := draw.IntN(all)
			for _, m := range crashMachines {
				if pick -= m.often; pick < 0 {
					x = &run{kind: m.kind, n: int(c.serial.Add(1)), fails: draw.IntN(mostFails + 1), asked: c.round}
					break
				}
			}
			x.name = fmt.Sprintf("%s-r%d-%d", x.kind, c.round, x.n)
			x.arn = strings.Replace(c.machines[x.kind], ":stateMachine:", ":execution:", 1) + ":" + x.name
			x.input = fmt.Sprintf(`{"n":%d,"fails":%d,"items":[0,1,2,3,4]}`, x.n, x.fails)
			c.runs = append(c.runs, x)
		}
		c.mu.Unlock()
		out, err := api.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(c.machines[x.kind]), Name: &x.name, Input: &x.input})
		switch {
		case err == nil && *out.ExecutionArn != x.arn:
			c.problem(x, "StartExecution answered with %s", *out.ExecutionArn)
		case err == nil, again && code(err) == "ExecutionAlreadyExists":
			c.mu.Lock()
			c.open[x.arn] = x
			c.mu.Unlock()
		case c.lost(err):
			c.mu.Lock()
			c.unsure = append(c.unsure, x)
			c.mu.Unlock()
			return
		default:
			c.problem(x, "StartExecution: %v", err)
		}
		if !again {
			pause(ctx, time.Duration(draw.Int64N(int64(8*time.Millisecond))))
		}
	}
}

// reply answers tokens, most of them twice.
func (c *crasher) reply(ctx context.Context, draw *rand.Rand) {
	api := c.api.Load()
	for ctx.Err() == nil && api != nil {
		c.mu.Lock()
		if len(c.asked) == 0 {
			c.mu.Unlock()
			pause(ctx, 3*time.Millisecond)
			continue
		}
		i := draw.IntN(len(c.asked))
		k := c.asked[i]
		c.asked = append(c.asked[:i], c.asked[i+1:]...)
		c.mu.Unlock()
		pause(ctx, time.Duration(draw.Int64N(int64(10*time.Millisecond))))
		times := 1 + draw.IntN(2)
		for n := 0; n < times || !k.closed && k.accepted == ""; n++ {
			if !c.send(ctx, api, k, draw) {
				c.mu.Lock()
				c.asked = append(c.asked, k)
				c.mu.Unlock()
				break
			}
		}
	}
}

// send sends one answer to a token and takes note of what came of it: false if
// nothing did.
func (c *crasher) send(ctx context.Context, api *sfn.Client, k *token, draw *rand.Rand) bool {
	c.mu.Lock()
	mark := c.mark("answer")
	k.marks = append(k.marks, mark)
	c.answers[mark] = &answer{k}
	c.mu.Unlock()
	var err error
	if k.activity && draw.IntN(3) == 0 {
		if _, err := api.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &k.token}); err != nil && c.lost(err) {
			return false
		}
	}
	if draw.IntN(5) == 0 {
		_, err = api.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: &k.token, Error: aws.String("Told"), Cause: &mark})
	} else {
		_, err = api.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &k.token, Output: aws.String(fmt.Sprintf(`{"key":%q,"mark":%q}`, k.key, mark))})
	}
	switch {
	case err == nil && k.accepted != "":
		c.problem(nil, "the task of %s took two answers: %s and %s", k.key, k.accepted, mark)
	case err == nil && k.closed:
		c.problem(nil, "the task of %s took %s after it was closed", k.key, mark)
	case err == nil:
		c.mu.Lock()
		k.accepted = mark
		c.mu.Unlock()
	case c.lost(err):
		k.lost = true
		return false
	case code(err) == "TaskTimedOut":
		if k.accepted == "" && !k.lost && !k.activity {
			c.problem(nil, "the task of %s, which has no timeout, was closed before anybody answered: %v", k.key, err)
		}
		k.closed = true
	default:
		c.problem(nil, "the answer to the task of %s: %v", k.key, err)
		k.closed = true
	}
	return true
}

// work takes tasks of the activity.
func (c *crasher) work(ctx context.Context) {
	api := c.api.Load()
	for ctx.Err() == nil && api != nil {
		out, err := api.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: &c.activity, WorkerName: aws.String("w")})
		if err != nil {
			if !c.lost(err) {
				c.problem(nil, "GetActivityTask: %v", err)
			}
			return
		}
		if aws.ToString(out.TaskToken) == "" {
			continue
		}
		var p struct{ Key string }
		if err := json.Unmarshal([]byte(aws.ToString(out.Input)), &p); err != nil {
			c.problem(nil, "GetActivityTask answered %v", aws.ToString(out.Input))
		}
		c.mu.Lock()
		if c.tokens[*out.TaskToken] != nil {
			c.mu.Unlock()
			c.problem(nil, "a task of the activity was handed out twice: of %s", p.Key)
			continue
		}
		k := &token{key: p.Key, token: *out.TaskToken, activity: true}
		c.tokens[k.token] = k
		c.asked = append(c.asked, k)
		c.mu.Unlock()
	}
}

// watch looks after open executions: it stops those that are there to be
// stopped and checks those that have ended.
func (c *crasher) watch(ctx context.Context) {
	api := c.api.Load()
	for ctx.Err() == nil && api != nil {
		c.mu.Lock()
		var some []*run
		for _, x := range c.open { // in no order: the watchers differ
			if some = append(some, x); len(some) == 20 {
				break
			}
		}
		c.mu.Unlock()
		for _, x := range some {
			if !c.look(ctx, api, x) {
				return
			}
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// look looks at one open execution; false if the server is gone.
func (c *crasher) look(ctx context.Context, api *sfn.Client, x *run) bool {
	if x.kind == "stop" {
		_, err := api.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: &x.arn, Error: aws.String("Enough"), Cause: &x.name})
		switch {
		case err == nil:
			c.mu.Lock()
			x.stop = true
			c.mu.Unlock()
		case c.lost(err):
			return false
		default:
			c.problem(x, "StopExecution: %v", err)
		}
	}
	d, err := api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &x.arn})
	if err != nil {
		if c.lost(err) {
			return false
		}
		c.problem(x, "an acknowledged execution: %v", err)
		c.forget(x)
		return true
	}
	if d.Status == sf.ExecutionStatusRunning {
		if x.kind == "stop" {
			c.mu.Lock()
			stopped := x.stop
			c.mu.Unlock()
			if stopped {
				c.problem(x, "still runs after StopExecution was acknowledged")
			}
		}
		return true
	}
	if x.kind == "redrive" && d.Status == sf.ExecutionStatusFailed {
		c.mu.Lock()
		x.unsure++ // until there is an answer: it may end before that
		c.mu.Unlock()
		_, err := api.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: &x.arn})
		if err != nil && c.lost(err) {
			return false
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		x.unsure--
		switch {
		case err == nil:
			x.redrives++
		case code(err) != "ExecutionNotRedrivable": // it is when the other watcher was faster
			c.problem(x, "RedriveExecution: %v", err)
		}
		return true
	}
	events, err := historyOf(ctx, api, x.arn)
	if err != nil {
		if c.lost(err) {
			return false
		}
		c.problem(x, "its history: %v", err)
		return true
	}
	c.mu.Lock()
	if x.ended != nil { // another watcher was faster
		c.mu.Unlock()
		return true
	}
	x.ended = &ending{d.Status, aws.ToString(d.Output), aws.ToTime(d.StopDate), len(events)}
	delete(c.open, x.arn)
	c.counts[x.kind]++
	c.counts["events"] += len(events)
	c.mu.Unlock()
	for _, w := range illFormed(events) {
		c.problem(x, "%s\n%s", w, tellHistory(events))
	}
	for _, w := range c.mistakes(x, d, events) {
		c.problem(x, "%s\n%s", w, tellHistory(events))
	}
	return true
}

func (c *crasher) forget(x *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, x.arn)
}

// historyOf is the whole history of an execution.
func historyOf(ctx context.Context, api *sfn.Client, arn string) (events []sf.HistoryEvent, err error) {
	pages := sfn.NewGetExecutionHistoryPaginator(api, &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: 1000})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		events = append(events, p.Events...)
	}
	return events, nil
}

// mistakes says what is wrong with an execution that has ended, by what it was to do.
func (c *crasher) mistakes(x *run, d *sfn.DescribeExecutionOutput, events []sf.HistoryEvent) (wrong []string) {
	bad := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	if want := sf.ExecutionStatusSucceeded; x.kind == "stop" {
		if d.Status != sf.ExecutionStatusAborted || aws.ToString(d.Error) != "Enough" || aws.ToString(d.Cause) != x.name {
			bad("ended %s with %s, %s", d.Status, aws.ToString(d.Error), aws.ToString(d.Cause))
		}
	} else if d.Status != want {
		bad("ended %s with %s, %s", d.Status, aws.ToString(d.Error), aws.ToString(d.Cause))
		return wrong
	}
	if aws.ToString(d.Input) != x.input {
		bad("has the input %s, want %s", aws.ToString(d.Input), x.input)
	}
	wrong = append(wrong, c.apply(x.arn, events)...)
	n := map[sf.HistoryEventType]int{}
	var entered, exited, started time.Time
	for _, e := range events {
		n[e.Type]++
		switch e.Type {
		case sf.HistoryEventTypeExecutionStarted:
			started = *e.Timestamp
		case sf.HistoryEventTypeWaitStateEntered:
			entered = *e.Timestamp
		case sf.HistoryEventTypeWaitStateExited:
			exited = *e.Timestamp
		}
	}
	if last := *events[len(events)-1].Timestamp; started.Sub(aws.ToTime(d.StartDate)).Abs() > startSlack || !last.Equal(aws.ToTime(d.StopDate)) {
		bad("started and stopped %v and %v, by its history %v and %v", d.StartDate, d.StopDate, started, last)
	}
	if !exited.IsZero() && exited.Sub(entered) < time.Second {
		bad("waited only %v", exited.Sub(entered))
	}
	want := func(t sf.HistoryEventType, least, most int) {
		if n[t] < least || n[t] > most {
			bad("has %d %s, want %d to %d", n[t], t, least, most)
		}
	}
	output := aws.ToString(d.Output)
	key := func(key string) {
		if !strings.Contains(output, strconv.Quote(key)) {
			bad("its output has no answer for %s: %s", key, output)
		}
	}
	switch x.kind {
	case "wait":
		want(sf.HistoryEventTypeWaitStateExited, 1, 1)
		want(sf.HistoryEventTypePassStateExited, 2, 2)
		if o := fmt.Sprintf(`{"n":%d}`, x.n); output != o {
			bad("its output is %s, want %s", output, o)
		}
	case "retry":
		want(sf.HistoryEventTypeTaskSucceeded, 1, 1)
		want(sf.HistoryEventTypeTaskFailed, 0, x.fails) // a failure that a crash swallowed is not there
		key(x.name)
	case "arn":
		want(sf.HistoryEventTypeLambdaFunctionSucceeded, 1, 1)
		want(sf.HistoryEventTypeLambdaFunctionFailed, 0, x.fails)
		key(x.name)
	case "redrive":
		want(sf.HistoryEventTypeLambdaFunctionSucceeded, 1, 1)
		want(sf.HistoryEventTypeLambdaFunctionFailed, 0, x.fails)
		c.mu.Lock()
		least, most := x.redrives, x.redrives+x.unsure
		c.mu.Unlock()
		want(sf.HistoryEventTypeExecutionRedriven, least, most)
		want(sf.HistoryEventTypeExecutionFailed, least, most)
		if n := int(aws.ToInt32(d.RedriveCount)); n < least || n > most {
			bad("was redriven %d times, want %d to %d", n, least, most)
		}
		key(x.name)
	case "token":
		want(sf.HistoryEventTypeTaskSucceeded, 1, 1)
		want(sf.HistoryEventTypeTaskTimedOut, 0, 0)
		key(x.name)
	case "activity":
		want(sf.HistoryEventTypeActivitySucceeded, 1, 1)
		key(x.name)
	case "fan":
		want(sf.HistoryEventTypeTaskSucceeded, 1+itemsOfMap, 1+itemsOfMap)
		want(sf.HistoryEventTypeMapIterationSucceeded, itemsOfMap, itemsOfMap)
		want(sf.HistoryEventTypeWaitStateExited, 1, 1)
		key(x.name + "/b")
		at := -1
		for i := range itemsOfMap {
			k := fmt.Sprintf("%s/%d", x.name, i)
			key(k)
			if j := strings.Index(output, strconv.Quote(k)); j < at {
				bad("its items are not in order: %s", output)
			} else {
				at = j
			}
		}
	case "nested":
		want(sf.HistoryEventTypeTaskSucceeded, 1, 1)
		wrong = append(wrong, c.nested(x, output)...)
	case "distributed":
		want(sf.HistoryEventTypeMapRunStarted, 1, 1)
		want(sf.HistoryEventTypeMapRunSucceeded, 1, 1)
		for i := range itemsOfMap {
			key(fmt.Sprintf("%s/%d", x.name, i))
		}
	}
	return wrong
}

// apply takes note of the results in a history: each may be there once, and it
// must be one that was given.
func (c *crasher) apply(arn string, events []sf.HistoryEvent) (wrong []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		var result *string
		switch {
		case e.TaskSucceededEventDetails != nil && aws.ToString(e.TaskSucceededEventDetails.ResourceType) != "states": // a child's results are in its history
			result = e.TaskSucceededEventDetails.Output
		case e.TaskFailedEventDetails != nil:
			result = e.TaskFailedEventDetails.Cause
		case e.LambdaFunctionSucceededEventDetails != nil:
			result = e.LambdaFunctionSucceededEventDetails.Output
		case e.LambdaFunctionFailedEventDetails != nil:
			result = e.LambdaFunctionFailedEventDetails.Cause
		case e.ActivitySucceededEventDetails != nil:
			result = e.ActivitySucceededEventDetails.Output
		case e.ActivityFailedEventDetails != nil:
			result = e.ActivityFailedEventDetails.Cause
		default:
			continue
		}
		mark := marks.FindString(aws.ToString(result))
		here := fmt.Sprintf("%s event %d", arn, e.Id)
		if mark == "" {
			wrong = append(wrong, fmt.Sprintf("event %d has the result %q, which nobody gave", e.Id, aws.ToString(result)))
			continue
		}
		if there, ok := c.applied[mark]; ok {
			wrong = append(wrong, fmt.Sprintf("event %d applies %s again, which is at %s", e.Id, mark, there))
		}
		c.applied[mark] = here
	}
	return wrong
}

// nested checks the child of an execution.
func (c *crasher) nested(x *run, output string) (wrong []string) {
	var o struct {
		ExecutionArn, Status string
		Output               struct{ N int }
	}
	if err := json.Unmarshal([]byte(output), &o); err != nil || o.Status != "SUCCEEDED" || o.Output.N != x.n {
		return []string{fmt.Sprintf("its output is %s: %v", output, err)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, ok := c.children[o.ExecutionArn]; ok {
		wrong = append(wrong, fmt.Sprintf("its child %s is that of %s, too", o.ExecutionArn, other))
	}
	c.children[o.ExecutionArn] = x.arn
	return wrong
}

// afterRestart looks for what was acknowledged before the crash: all open
// executions, and some of those that had ended.
func (c *crasher) afterRestart() {
	api := c.api.Load()
	var look []*run
	c.mu.Lock()
	for _, x := range c.open {
		look = append(look, x)
	}
	for range min(20, len(c.runs)) {
		if x := c.runs[c.draw.IntN(len(c.runs))]; x.ended != nil {
			look = append(look, x)
		}
	}
	c.mu.Unlock()
	c.each(look, func(x *run) {
		d, err := api.DescribeExecution(c.ctx, &sfn.DescribeExecutionInput{ExecutionArn: &x.arn})
		if err != nil {
			c.problem(x, "an acknowledged execution, after the restart: %v", err)
			return
		}
		c.same(x, d)
	})
}

// same checks that an execution that was seen ended is as it was then.
func (c *crasher) same(x *run, d *sfn.DescribeExecutionOutput) {
	c.mu.Lock()
	was := x.ended
	stopped := x.stop
	c.mu.Unlock()
	if stopped && d.Status != sf.ExecutionStatusAborted {
		c.problem(x, "StopExecution was acknowledged, and it is %s", d.Status)
	}
	if was != nil && (d.Status != was.status || aws.ToString(d.Output) != was.output || !aws.ToTime(d.StopDate).Equal(was.stop)) {
		c.problem(x, "ended %s at %v with %s, and now is %s at %v with %s", was.status, was.stop, was.output, d.Status, d.StopDate, aws.ToString(d.Output))
	}
}

// each calls f for executions, several at a time.
func (c *crasher) each(runs []*run, f func(x *run)) {
	var wg sync.WaitGroup
	next := make(chan *run)
	for range 4 {
		wg.Go(func() {
			for x := range next {
				f(x)
			}
		})
	}
	for _, x := range runs {
		next <- x
	}
	close(next)
	wg.Wait()
}

// drain starts nothing new and waits until all executions have ended.
func (c *crasher) drain() {
	limit := drainLimit
	if c.t.Failed() {
		limit = drainFailed
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	settle, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { // those of which the answer was lost
		for settle.Err() == nil {
			c.mu.Lock()
			if len(c.unsure) == 0 {
				c.mu.Unlock()
				return
			}
			x := c.unsure[0]
			c.unsure = c.unsure[1:]
			c.mu.Unlock()
			_, err := c.api.Load().StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(c.machines[x.kind]), Name: &x.name, Input: &x.input})
			if err != nil && code(err) != "ExecutionAlreadyExists" {
				c.problem(x, "StartExecution again: %v", err)
				continue
			}
			c.mu.Lock()
			c.open[x.arn] = x
			c.mu.Unlock()
		}
	})
	c.helpers(settle, &wg)
	for ctx.Err() == nil {
		c.mu.Lock()
		left := len(c.open) + len(c.unsure)
		if len(c.asked) > 0 {
			left++
		}
		c.mu.Unlock()
		if left == 0 {
			break
		}
		pause(ctx, 20*time.Millisecond)
	}
	stop()
	wg.Wait()
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	for _, x := range open {
		events, err := historyOf(c.ctx, c.api.Load(), x.arn)
		c.problem(x, "did not end within %v of the last restart (%v)\n%s", limit, err, tellHistory(events))
	}
}

// audit looks at everything once more when all has ended, after one more crash.
func (c *crasher) audit() {
	c.die()
	c.rebirth()
	api := c.api.Load()
	c.each(c.runs, func(x *run) {
		d, err := api.DescribeExecution(c.ctx, &sfn.DescribeExecutionInput{ExecutionArn: &x.arn})
		if err != nil {
			c.problem(x, "at the end: %v", err)
			return
		}
		c.same(x, d)
		events, err := historyOf(c.ctx, api, x.arn)
		if err != nil || x.ended != nil && len(events) != x.ended.events {
			c.problem(x, "its history has %d events, had %d when it ended (%v)\n%s", len(events), x.ended.events, err, tellHistory(events))
		}
		if x.kind == "distributed" {
			c.mapRun(x, api)
		}
	})
	asked := map[string]int{}
	for _, x := range c.runs {
		asked[x.kind]++
	}
	for kind, machine := range c.machines {
		if n := c.count(api, &sfn.ListExecutionsInput{StateMachineArn: &machine}, nil); n != asked[kind] {
			c.problem(nil, "%d executions of %s are listed, %d were started", n, kind, asked[kind])
		}
	}
	children := c.count(api, &sfn.ListExecutionsInput{StateMachineArn: &c.child}, func(l sf.ExecutionListItem) {
		if c.children[*l.ExecutionArn] == "" {
			c.problem(nil, "%s is nobody's child", *l.ExecutionArn)
		}
		c.whole(*l.ExecutionArn, api)
	})
	if children != asked["nested"] {
		c.problem(nil, "%d children are listed, want the %d of their parents", children, asked["nested"])
	}
	for _, k := range c.tokens {
		if k.accepted != "" && c.applied[k.accepted] == "" {
			c.problem(nil, "%s was acknowledged for %s and is in no history", k.accepted, k.key)
		}
		for _, m := range k.marks {
			if at := c.applied[m]; at != "" && k.accepted != m && (k.accepted != "" || !k.lost) {
				c.problem(nil, "%s was not acknowledged (%q was) and is at %s", m, k.accepted, at)
			}
		}
		c.counts["answers"] += len(k.marks)
	}
	for key, call := range c.calls {
		c.counts["calls"] += call.times
		if len(call.marks) != call.times {
			c.problem(nil, "%s: %d calls, %d marks", key, call.times, len(call.marks))
		}
	}
}

// mapRun checks the one Map Run of an execution and its children.
func (c *crasher) mapRun(x *run, api *sfn.Client) {
	l, err := api.ListMapRuns(c.ctx, &sfn.ListMapRunsInput{ExecutionArn: &x.arn})
	if err != nil || len(l.MapRuns) != 1 {
		c.problem(x, "has the Map Runs %v, want one (%v)", l, err)
		return
	}
	arn := l.MapRuns[0].MapRunArn
	d, err := api.DescribeMapRun(c.ctx, &sfn.DescribeMapRunInput{MapRunArn: arn})
	if err != nil {
		c.problem(x, "its Map Run: %v", err)
		return
	}
	if d.Status != sf.MapRunStatusSucceeded || d.ItemCounts.Total != itemsOfMap || d.ItemCounts.Succeeded != itemsOfMap ||
		d.ExecutionCounts.Total != itemsOfMap || d.ExecutionCounts.Succeeded != itemsOfMap {
		c.problem(x, "its Map Run is %s with %+v, %+v", d.Status, *d.ItemCounts, *d.ExecutionCounts)
	}
	if n := c.count(api, &sfn.ListExecutionsInput{MapRunArn: arn}, func(l sf.ExecutionListItem) { c.whole(*l.ExecutionArn, api) }); n != itemsOfMap {
		c.problem(x, "its Map Run has %d executions, want %d", n, itemsOfMap)
	}
}

// whole checks an execution that another one started.
func (c *crasher) whole(arn string, api *sfn.Client) {
	events, err := historyOf(c.ctx, api, arn)
	wrong := illFormed(events)
	if err != nil {
		wrong = []string{err.Error()}
	} else if last := events[len(events)-1]; last.Type != sf.HistoryEventTypeExecutionSucceeded {
		wrong = append(wrong, "ended with "+string(last.Type))
	}
	wrong = append(wrong, c.apply(arn, events)...)
	for _, w := range wrong {
		c.problem(nil, "%s: %s\n%s", arn, w, tellHistory(events))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts["children"]++
	c.counts["events"] += len(events)
}

// count counts what ListExecutions lists: each once.
func (c *crasher) count(api *sfn.Client, in *sfn.ListExecutionsInput, each func(sf.ExecutionListItem)) int {
	in.MaxResults = 1000
	seen := map[string]bool{}
	for pages := sfn.NewListExecutionsPaginator(api, in); pages.HasMorePages(); {
		p, err := pages.NextPage(c.ctx)
		if err != nil {
			c.problem(nil, "ListExecutions: %v", err)
			break
		}
		for _, l := range p.Executions {
			if seen[*l.ExecutionArn] {
				c.problem(nil, "%s is listed twice", *l.ExecutionArn)
			}
			seen[*l.ExecutionArn] = true
			if each != nil {
				each(l)
			}
		}
	}
	return len(seen)
}

// problem fails the test with what is needed to look into it.
func (c *crasher) problem(x *run, format string, a ...any) {
	c.t.Helper()
	c.reportMu(func() {
		where := ""
		if x != nil {
			where = fmt.Sprintf(" %s, started in round %d with %s:", x.arn, x.asked, x.input)
		}
		c.t.Errorf("round %d, seed %d:%s %s", c.round, c.seed, where, fmt.Sprintf(format, a...))
	})
}

var reporting sync.Mutex // guards crasher.reported: problems are found with mu held, too

func (c *crasher) reportMu(f func()) {
	reporting.Lock()
	defer reporting.Unlock()
	if c.reported++; c.reported <= mostReported {
		f()
	} else {
		c.t.Fail()
	}
}

func (c *crasher) tally() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d executions", len(c.runs))
	for _, m := range crashMachines {
		fmt.Fprintf(&b, ", %d %s", c.counts[m.kind], m.kind)
	}
	fmt.Fprintf(&b, " ended and are whole; %d results in histories, %d events, %d open", len(c.applied), c.counts["events"], len(c.open))
	return b.String()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
