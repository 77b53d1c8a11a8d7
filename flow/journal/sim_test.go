package journal_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

var (
	simulations = flag.Int("simulations", 8, "how many seeds TestSimulation runs")
	firstSeed   = flag.Uint64("seed", 0, "the first of them")
)

// TestSimulation runs everything that a journal does at once: tasks that fail
// and are retried, tokens and activities answered by others, Parallel and Map
// states, Map Runs of both kinds, nested executions, stops and redrives, over a
// log that fails now and then ("failed" and "failed but happened") or cannot be
// read, in a process that ends or dies again and again. What was acknowledged must be there in the
// end, nothing twice, and every history well-formed.
//
// A failure names its seed: go test ./flow/journal -run Simulation -seed N -simulations 1.
func TestSimulation(t *testing.T) {
	n := *simulations
	if testing.Short() {
		n = min(n, 3)
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint("seed=", *firstSeed+seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { simulate(t, *firstSeed+seed) })
		})
	}
}

const invoke = `"Type":"Task","Resource":"arn:aws:states:::bedrock:invokeModel"`

// simMachines are the definitions, by the kind of execution.
func simMachines(t testing.TB) sealed {
	p := programs{}
	for name, def := range map[string]string{
		"plain": `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"W"},"W":{"Type":"Wait","Seconds":3,"Next":"T"},
			"T":{` + invoke + `,"Parameters":{"ModelId":"m","Body":{}},"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"MaxAttempts":2,"JitterStrategy":"FULL"}],"Next":"X"},
			"X":{"Type":"Wait","Seconds":2,"End":true}}}`,
		"parallel": `{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[
			{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":5,"Next":"T"},"T":{` + invoke + `,"Parameters":{"ModelId":"m","Body":{}},"End":true}}},
			{"StartAt":"U","States":{"U":{` + invoke + `,"TimeoutSeconds":4,"Parameters":{"ModelId":"m","Body":{}},"End":true}}}],
			"Retry":[{"ErrorEquals":["States.Timeout"],"MaxAttempts":1}],"Catch":[{"ErrorEquals":["Odd"],"Next":"C"}],"End":true},"C":{"Type":"Pass","End":true}}}`,
		"map": `{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Items":"{% [1..7] %}","MaxConcurrency":3,"ItemProcessor":{"StartAt":"T","States":{
			"T":{` + invoke + `,"Arguments":{"ModelId":"m","Body":"{% $states.input %}"},"Retry":[{"ErrorEquals":["Odd"],"IntervalSeconds":1,"MaxAttempts":3}],"Next":"W"},
			"W":{"Type":"Wait","Seconds":"{% $states.input = 'none' ? 1 : 2 %}","End":true}}},"End":true}}}`,
		"token": `{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken",
			"Arguments":{"QueueUrl":"q","MessageBody":{"token":"{% $states.context.Task.Token %}"}},"TimeoutSeconds":300,"Next":"U"},
			"U":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken",
			"Arguments":{"QueueUrl":"q","MessageBody":{"token":"{% $states.context.Task.Token %}"}},"HeartbeatSeconds":200,"End":true}}}`,
		"activity": `{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":"` + activity + `","Arguments":{"execution":"{% $states.context.Execution.Id %}"},
			"TimeoutSeconds":600,"Retry":[{"ErrorEquals":["States.Timeout"]}],"End":true}}}`,
		"nested": `{"StartAt":"N","States":{"N":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2",
			"Parameters":{"StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:plain"},"Next":"W"},"W":{"Type":"Wait","Seconds":1,"End":true}}}`,
		"loop": `{"QueryLanguage":"JSONata","StartAt":"P","States":{"P":{"Type":"Pass","Output":{"n":"{% $states.input.n + 1 %}"},"Next":"C"},
			"C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.n > 800 %}","Next":"E"}],"Default":"P"},"E":{"Type":"Wait","Seconds":1,"End":true}}}`,
	} {
		p[name] = parse(t, def)
	}
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		p["run"+kind] = parse(t, `{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Items":"{% [1..9] %}","MaxConcurrency":4,
			"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"`+kind+`"},"StartAt":"T","States":{
				"T":{`+invoke+`,"Arguments":{"ModelId":"m","Body":"{% $states.input %}"},"Next":"W"},"W":{"Type":"Wait","Seconds":2,"End":true}}},"End":true}}}`)
	}
	return sealed{p}
}

// simLong is more than anything takes in a simulated world that is well.
const simLong = 12 * time.Hour

// world is what a process and those who call it find when it comes back.
type world struct {
	t    *testing.T
	seed uint64
	ctx  context.Context // of those who call
	wg   sync.WaitGroup  // of them
	d    atomic.Pointer[journal.Driver]

	mu       sync.Mutex
	rnd      *rand.Rand
	gave     map[string]map[string]bool // guarded by mu: what performances of a task came to, by task
	sent     map[string]string          // guarded by mu: answers for tokens, and of which execution
	answers  map[string]string          // guarded by mu: those of them that were acknowledged
	calm     bool                       // guarded by mu: tasks no longer fail
	started  []string                   // guarded by mu: executions that were acknowledged
	maybe    []string                   // guarded by mu: those that were not
	stopped  map[string]bool            // guarded by mu: executions whose stop was acknowledged
	redriven map[string]int64           // guarded by mu: redrives that were acknowledged
	number   int                        // guarded by mu
}

func (w *world) errorf(format string, args ...any) {
	w.t.Errorf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func (w *world) intn(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.IntN(n)
}

// pause waits for up to most, and reports whether the world still turns.
func (w *world) pause(ctx context.Context, most time.Duration) bool {
	select {
	case <-time.After(time.Duration(w.intn(int(most)))):
		return true
	case <-ctx.Done():
		return false
	}
}

// result is one that nobody has given yet.
func (w *world) result() value.Value {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number++
	return value.String(fmt.Sprint("result ", w.number))
}

// Invoke performs tasks, now and then badly.
func (w *world) Invoke(ctx context.Context, t flow.Task) (value.Value, error) {
	switch {
	case t.Part.Pattern == asl.Sync2:
		x := execution("plain", "of-"+strings.NewReplacer(":", "-", "#", "-").Replace(t.ID))
		x.Origin = t.ID
		got, exists, err := w.d.Load().Start(ctx, x, value.Object())
		if err == nil && exists && got.Origin != t.ID {
			w.errorf("%s is somebody else's", x.ARN)
		}
		return value.String(x.ARN), err
	case t.Token != "":
		w.wg.Go(func() { w.answer(t.Token, t.ExecutionARN, 40*time.Second) })
		return value.Null(), nil
	}
	if !w.pause(ctx, 6*time.Second) {
		return value.Value{}, ctx.Err()
	}
	w.mu.Lock()
	fails := !w.calm && w.rnd.IntN(8) == 0
	w.mu.Unlock()
	if fails {
		return value.Value{}, &flow.TaskError{Name: "Odd", Cause: "so it is"}
	}
	out := w.result()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gave[t.ID] == nil {
		w.gave[t.ID] = map[string]bool{}
	}
	w.gave[t.ID][out.Str()] = true
	return out, nil
}

// Watched implements [flow.Watcher].
func (w *world) Watched(_ flow.Task, job value.Value) string { return job.Str() }

// Await implements [flow.Awaiter].
func (w *world) Await(ctx context.Context, t flow.Task, job value.Value) (value.Value, error) {
	if errors.Is(context.Cause(ctx), flow.ErrCancelled) {
		w.d.Load().Feed(context.Background(), job.Str(), engine.Stop{})
		return value.Value{}, context.Cause(ctx)
	}
	o, err := w.d.Load().Await(ctx, job.Str())
	if err == nil && o.Status != engine.Succeeded {
		err = &flow.TaskError{Name: "States.TaskFailed", Cause: o.Status.String()}
	}
	return o.Output, err
}

// answer answers for a token until it is known what came of that, and then once
// more: nobody may wait for that.
func (w *world) answer(token, execution string, within time.Duration) {
	if !w.pause(w.ctx, within) {
		return
	}
	out := w.result()
	for {
		w.mu.Lock()
		w.sent[out.Str()] = execution
		w.mu.Unlock()
		ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
		err := w.d.Load().Answer(ctx, token, func(task int64) engine.Input { return engine.TaskDone{Task: task, Output: out} })
		cancel()
		switch {
		case err == nil:
			w.mu.Lock()
			w.answers[out.Str()] = execution
			w.mu.Unlock()
			out = w.result() // which comes too late
		case errors.Is(err, flow.ErrTaskClosed):
			return
		case !refusal(err) && w.ctx.Err() == nil:
			w.errorf("answer for a task of %s: %v", execution, err)
			return
		}
		if !w.pause(w.ctx, 5*time.Second) {
			return
		}
	}
}

// work takes an activity's tasks.
func (w *world) work(worker string) {
	for w.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		task, ok, err := w.d.Load().Poll(ctx, activity, worker)
		cancel()
		switch {
		case err != nil:
			if !refusal(err) && w.ctx.Err() == nil {
				w.errorf("poll: %v", err)
			}
			w.pause(w.ctx, time.Second)
		case ok && w.intn(8) > 0: // else it dies, and the task times out
			w.answer(task.Token, task.Input.Get("execution").Str(), 10*time.Second)
		}
	}
}

// begin starts executions, and stops some of them.
func (w *world) begin(kinds []string, until <-chan struct{}) {
	for n := 0; ; n++ {
		kind := kinds[w.intn(len(kinds))]
		w.mu.Lock()
		w.number++
		x := execution(kind, fmt.Sprint(kind, "-", w.number))
		x.Seed = w.rnd.Uint64()
		w.mu.Unlock()
		for tries := 0; ; tries++ {
			ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
			_, exists, err := w.d.Load().Start(ctx, x, value.MustParse(`{"n":0}`))
			cancel()
			if err == nil {
				if exists && tries == 0 {
					w.errorf("%s was there before", x.ARN)
				}
				w.mu.Lock()
				w.started = append(w.started, x.ARN)
				w.mu.Unlock()
				break
			}
			if !refusal(err) && w.ctx.Err() == nil {
				w.errorf("start %s: %v", x.ARN, err)
			}
			if w.intn(3) == 0 { // gives it up, without knowing
				w.mu.Lock()
				w.maybe = append(w.maybe, x.ARN)
				w.mu.Unlock()
				break
			}
			w.pause(w.ctx, time.Second)
		}
		if (kind == "plain" || kind == "parallel" || kind == "runSTANDARD") && w.intn(6) == 0 {
			w.wg.Go(func() { w.stop(x.ARN) })
		}
		select {
		case <-time.After(time.Duration(w.intn(int(4 * time.Second)))):
		case <-until:
			return
		}
	}
}

func (w *world) stop(arn string) {
	w.pause(w.ctx, 8*time.Second)
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	x, ended, err := w.d.Load().Feed(ctx, arn, engine.Stop{})
	switch {
	case err == nil && !ended:
		w.errorf("stop %s: it is %v", arn, x.Status)
	case err == nil && x.Status == engine.Aborted && x.RedriveCount == 0:
		w.mu.Lock()
		w.stopped[arn] = true
		w.mu.Unlock()
	case err != nil && !refusal(err) && !errors.Is(err, flow.ErrNotFound) && w.ctx.Err() == nil:
		w.errorf("stop %s: %v", arn, err)
	}
}

// redrive lets some go on that have failed.
func (w *world) redrive(until <-chan struct{}) {
	for {
		select {
		case <-time.After(time.Duration(w.intn(int(10 * time.Second)))):
		case <-until:
			return
		}
		w.mu.Lock()
		arn := ""
		if len(w.started) > 0 {
			arn = w.started[w.rnd.IntN(len(w.started))]
		}
		no := arn == "" || w.stopped[arn]
		w.mu.Unlock()
		if no {
			continue
		}
		w.again(arn)
	}
}

// again redrives an execution, and reports whether it was.
func (w *world) again(arn string) bool {
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	_, err := w.d.Load().Redrive(ctx, arn, "")
	if err == nil {
		w.mu.Lock()
		w.redriven[arn]++
		w.mu.Unlock()
		return true
	}
	if _, no := errors.AsType[flow.NotRedrivable](err); !no && !refusal(err) && w.ctx.Err() == nil {
		w.errorf("redrive %s: %v", arn, err)
	}
	return false
}

func simulate(t *testing.T, seed uint64) {
	ctx, cancel := context.WithCancel(t.Context())
	rnd := rand.New(rand.NewPCG(seed, 11))
	w := &world{
		t: t, seed: seed, ctx: ctx, rnd: rand.New(rand.NewPCG(seed, 12)), gave: map[string]map[string]bool{}, sent: map[string]string{}, answers: map[string]string{},
		stopped: map[string]bool{}, redriven: map[string]int64{},
	}
	p := simMachines(t)
	kinds := make([]string, 0, len(p.programs))
	for k := range p.programs {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	store := memory.New().Journal()
	drive := func(l journal.Log) *journal.Driver {
		d := open(t, journal.SnapshotAfter(journal.Config{Log: l, Programs: p, Invoker: w, Logger: discard(), Shards: 1 + rnd.IntN(3)}, []int{1, 500, 0}[rnd.IntN(3)]))
		w.d.Store(d)
		return d
	}
	d := drive(store)
	done := make(chan struct{})
	var making sync.WaitGroup
	for range 3 {
		making.Go(func() { w.begin(kinds, done) })
	}
	making.Go(func() { w.redrive(done) })
	for _, worker := range []string{"anna", "bert"} {
		w.wg.Go(func() { w.work(worker) })
	}
	for range 10 {
		time.Sleep(time.Duration(rnd.IntN(10_000)) * time.Millisecond)
		leave(t, d, time.Duration(rnd.IntN(3000))*time.Millisecond)
		l := withSpells(store, rnd, 5+rnd.IntN(100))
		eyes := &blind{Log: l}
		d = drive(eyes)
		time.Sleep(time.Duration(rnd.IntN(15_000)) * time.Millisecond)
		eyes.now.Store(rnd.IntN(3) == 0)
		time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
		eyes.now.Store(false)
		time.Sleep(time.Duration(rnd.IntN(15_000)) * time.Millisecond)
		if rnd.IntN(2) == 0 {
			l.kill.Store(true)
		}
	}
	leave(t, d, time.Second)
	// What is lost now, no restart finds.
	eyes := &blind{Log: withSpells(store, rnd, 20)}
	d = drive(eyes)
	for range 3 {
		time.Sleep(time.Duration(rnd.IntN(10_000)) * time.Millisecond)
		eyes.now.Store(true)
		time.Sleep(time.Duration(rnd.IntN(6000)) * time.Millisecond)
		eyes.now.Store(false)
	}
	close(done)
	making.Wait()
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()

	for _, arn := range w.maybe {
		if _, err := d.Describe(ctx, arn); err == nil {
			w.started = append(w.started, arn)
		}
	}
	for _, arn := range w.started {
		w.verify(d, arn)
	}
	time.Sleep(simLong) // those that nobody asked about end, too
	cancel()
	w.wg.Wait()
	synctest.Wait()
	if s := d.Stats(); s.Live != 0 || s.Opened != 0 || s.Tasks != 0 || s.Timers != 0 && s.Timers > 1024 {
		w.errorf("left: %+v", s)
	}
	for e := range store.Open(t.Context()) {
		w.errorf("%s is still open", e.ARN)
	}
	w.acknowledged(d)
	closed(t, d)
}

// verify waits for an execution's end, redriving it until it is well, and checks
// what it leaves.
func (w *world) verify(d *journal.Driver, arn string) {
	ctx, cancel := context.WithTimeout(w.ctx, simLong)
	defer cancel()
	var o flow.Outcome
	for tries := 0; ; tries++ {
		var err error
		if o, err = d.Await(ctx, arn); err != nil {
			w.errorf("%s: %v", arn, err)
			return
		}
		if o.Status == engine.Succeeded || w.stopped[arn] {
			break
		}
		if tries == 20 {
			_, err := d.Redrive(ctx, arn, "")
			w.errorf("%s: still %v: %s (redrive: %v; redriven %d times)", arn, o.Status, *o.Error, err, o.RedriveCount)
			return
		}
		if !w.again(arn) {
			time.Sleep(10 * time.Second) // the log takes nothing
		}
	}
	if w.stopped[arn] && o.Status != engine.Aborted {
		w.errorf("%s was stopped, and is %v", arn, o.Status)
	}
	if n := w.redriven[arn]; o.RedriveCount < n {
		w.errorf("%s was redriven %d times, and says %d", arn, n, o.RedriveCount)
	}
	w.history(d, arn)
	for l, err := range d.MapRuns(ctx, arn, nil) {
		if err != nil {
			w.errorf("%v", err)
			return
		}
		r, err := d.MapRun(ctx, l.MapRunARN)
		if err != nil || o.Status == engine.Succeeded && (r.Status != engine.Succeeded || r.Items.Succeeded != 9) {
			w.errorf("%s: %+v, %v", arn, r, err)
		}
		seen := map[int32]bool{}
		for x, err := range d.List(ctx, flow.Query{Under: l.MapRunARN}) {
			if err != nil || seen[x.Child.Index] || x.Child.Parent != arn || x.Status == engine.Running && r.Status != engine.Running && o.Status == engine.Succeeded {
				w.errorf("%s: child %+v, %v", arn, x.Execution, err)
			}
			seen[x.Child.Index] = true
			w.history(d, x.ARN)
		}
	}
}

// history checks a history, and that results of tasks are those of performances
// of these tasks.
func (w *world) history(d *journal.Driver, arn string) {
	scheduled := map[int32]int64{} // the last one, by thread
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range check(w.t, d, arn) {
		switch e.Type {
		case engine.ServiceTaskScheduled:
			scheduled[e.Thread] = e.Seq
		case engine.ServiceTaskSucceeded:
			if s := e.Data.Str(); strings.HasPrefix(s, "result ") && w.sent[s] != arn && !strings.Contains(arn, ":nested:") {
				id := fmt.Sprint(arn, "#", scheduled[e.Thread])
				if !w.gave[id][s] {
					w.errorf("%s: event %d has %q, of which %s knows nothing", arn, e.Seq, s, id)
				}
			}
		}
	}
}

// acknowledged checks that each answer that was acknowledged stands in its
// execution's history, once.
func (w *world) acknowledged(d *journal.Driver) {
	by := map[string][]string{} // results by execution
	for result, arn := range w.answers {
		by[arn] = append(by[arn], result)
	}
	for arn, results := range by {
		counts := map[string]int{}
		for _, e := range check(w.t, d, arn) {
			if e.Type == engine.ServiceTaskSucceeded || e.Type == engine.ActivitySucceeded {
				counts[e.Data.Str()]++
			}
		}
		for _, r := range results {
			if counts[r] != 1 {
				w.errorf("%s: the answer %q was acknowledged, and stands in its history %d times", arn, r, counts[r])
			}
		}
	}
	if len(w.answers) == 0 || len(w.started) < 20 {
		w.errorf("only %d answers and %d executions", len(w.answers), len(w.started))
	}
	w.t.Logf("%d executions, %d answers, %d stopped, %d redriven", len(w.started), len(w.answers), len(w.stopped), len(w.redriven))
}
