package connector_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/connector"
	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/store/memory"
	"tokaido/trail"
	"tokaido/value"
)

const (
	home    = "123456789012"
	runRole = "arn:aws:iam::123456789012:role/run"
	machARN = "arn:aws:states:us-east-1:123456789012:stateMachine:"
	execARN = "arn:aws:states:us-east-1:123456789012:execution:"
)

var scope = flow.Scope{Region: "us-east-1", Account: home}

// people lets every role be assumed, with one policy.
type people struct{ policy string }

func (p *people) AssumeForService(_ context.Context, roleARN, service, _, _, session string, _ time.Time) (*principal.Principal, error) {
	doc, err := iam.Parse(iam.IdentityPolicy, []byte(p.policy))
	if err != nil {
		return nil, err
	}
	return &principal.Principal{
		Type: principal.AssumedRole, Account: home, ARN: "arn:aws:sts::" + home + ":assumed-role/run/" + session, ID: "AROAX:" + session,
		Name: "run", RoleARN: roleARN, SessionName: session, AssumedBy: service,
		Policies: iam.Policies{Identity: []iam.Bound{{Policy: doc, Name: "inline", Owner: roleARN}}},
	}, nil
}

func (p *people) AssumeForTask(ctx context.Context, _ *principal.Principal, roleARN, session string, _ iam.Context, now time.Time) (*principal.Principal, error) {
	return p.AssumeForService(ctx, roleARN, "states.amazonaws.com", "", "", session, now)
}

func allow(actions string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}]}`
}

type book struct {
	mu      sync.Mutex
	records []trail.Record
}

func (b *book) Append(_ context.Context, r *trail.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, *r)
	return nil
}

// calls are the records' names, with the error code of those that failed.
func (b *book) calls() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, r := range b.records {
		s := r.Name
		if r.ErrorCode != "" {
			s += "!" + r.ErrorCode
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

// platform is everything between a client's calls and the trail, without models.
type platform struct {
	*flow.Service
	driver *journal.Driver
	book   *book
	people *people
	echoes atomic.Int32 // tasks that were performed
}

// options are what differs between platforms; the zero one is ordinary.
type options struct {
	store *memory.Store
	mocks string
	tasks int
}

func build(t testing.TB, o options) *platform {
	t.Helper()
	if o.store == nil {
		o.store = memory.New()
	}
	var mocks *connector.Mocks
	if o.mocks != "" {
		var err error
		if mocks, err = connector.ParseMocks([]byte(o.mocks)); err != nil {
			t.Fatal(err)
		}
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	p := &platform{book: &book{}, people: &people{allow(`"states:*"`)}}
	nested := connector.NewStates(gate.New(p.book, logger), p.people)
	table := connector.Table{
		// Stands for any call: it takes a second and gives back its arguments.
		"sqs:sendMessage": flow.InvokerFunc(func(ctx context.Context, t flow.Task) (value.Value, error) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return value.Value{}, context.Cause(ctx)
			}
			p.echoes.Add(1)
			return t.Args, nil
		}),
	}
	nested.AddTo(table)
	lib := flow.NewLibrary(o.store.Flow())
	ctx := context.Background()
	var err error
	if p.driver, err = journal.Open(ctx, journal.Config{Log: o.store.Journal(), Programs: lib, Invoker: mocks.Over(table), Permit: nested.Permit, Logger: logger, Tasks: o.tasks}); err != nil {
		t.Fatal(err)
	}
	if p.Service, err = flow.Open(ctx, flow.Config{Store: o.store.Flow(), Library: lib, Driver: p.driver, Logger: logger, TestCase: mocks.TestCase}); err != nil {
		t.Fatal(err)
	}
	nested.Bind(p.Service)
	return p
}

func (p *platform) close(t testing.TB) {
	t.Helper()
	if err := errors.Join(p.Close(), p.driver.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

func (p *platform) create(t testing.TB, name, definition string) {
	t.Helper()
	if _, err := p.CreateStateMachine(t.Context(), flow.CreateStateMachine{Scope: scope, Name: name, Definition: definition, RoleARN: runRole}); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) start(t testing.TB, machine, name, input string) string {
	t.Helper()
	x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: machARN + machine, Name: name, Input: &input})
	if err != nil {
		t.Fatal(err)
	}
	return x.ARN
}

func (p *platform) end(t testing.TB, arn string) flow.Outcome {
	t.Helper()
	o, err := p.Await(t.Context(), arn)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// run is the outcome of an execution that starts now.
func (p *platform) run(t testing.TB, machine, input string) flow.Outcome {
	t.Helper()
	return p.end(t, p.start(t, machine, "", input))
}

// events are the types of an execution's events.
func (p *platform) events(t testing.TB, arn string) string {
	t.Helper()
	h, err := p.GetExecutionHistory(t.Context(), arn, false, flow.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range h.Events {
		all = append(all, e.Type.String())
	}
	return strings.Join(all, " ")
}

func (p *platform) children(t testing.TB, machine string) []flow.Execution {
	t.Helper()
	l, err := p.ListExecutions(t.Context(), flow.ListExecutions{ARN: machARN + machine})
	if err != nil {
		t.Fatal(err)
	}
	return l.Items
}

func text(p *string) string {
	if p == nil {
		return "<nil>"
	}
	return *p
}

// parent is a machine of one Task that starts the machine "child".
func parent(suffix, more string) string {
	return fmt.Sprintf(`{"StartAt":"P","States":{"P":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution%s",
		"Parameters":{"StateMachineArn":"%schild"%s},"End":true}}}`, suffix, machARN, more)
}

const (
	child = `{"StartAt":"C","States":{"C":{"Type":"Wait","Seconds":60,"Next":"D"},"D":{"Type":"Pass","Result":{"done":[1]},"End":true}}}`
	fails = `{"StartAt":"C","States":{"C":{"Type":"Fail","Error":"Boom","Cause":"why"}}}`
	task  = `{"StartAt":"C","States":{"C":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":"b"},"End":true}}}`
)

func TestNested(t *testing.T) {
	for _, c := range []struct {
		name, child, suffix, more string
		status                    engine.Status
		want                      string // output, or error and cause
		calls                     string
		took                      time.Duration
	}{
		{"request-response", child, "", `,"Name":"n","Input":{"a":1}`, engine.Succeeded,
			`{"ExecutionArn":"` + execARN + `child:n","SdkHttpMetadata":*,"SdkResponseMetadata":*,"StartDate":946684800000}`, "StartExecution", 0},
		{"sync", child, ".sync", `,"Name":"n","Input":{"a": 1}`, engine.Succeeded,
			`{"ExecutionArn":"` + execARN + `child:n","Input":"{\"a\":1}","InputDetails":{"Included":true},"Name":"n","Output":"{\"done\":[1]}","OutputDetails":{"Included":true},` +
				`"RedriveCount":0,"RedriveStatus":"NOT_REDRIVABLE","RedriveStatusReason":"Execution is SUCCEEDED and cannot be redriven","StartDate":946684800000,` +
				`"StateMachineArn":"` + machARN + `child","Status":"SUCCEEDED","StopDate":946684860000}`, "StartExecution DescribeExecution", time.Minute},
		{"sync2", child, ".sync:2", `,"Name":"n","Input":"{\"b\":2}"`, engine.Succeeded,
			`{"ExecutionArn":"` + execARN + `child:n","Input":{"b":2},"InputDetails":{"Included":true},"Name":"n","Output":{"done":[1]},"OutputDetails":{"Included":true},` +
				`"RedriveCount":0,"RedriveStatus":"NOT_REDRIVABLE","RedriveStatusReason":"Execution is SUCCEEDED and cannot be redriven","StartDate":946684800000,` +
				`"StateMachineArn":"` + machARN + `child","Status":"SUCCEEDED","StopDate":946684860000}`, "StartExecution DescribeExecution", time.Minute},
		{"failed", fails, ".sync:2", `,"Name":"n"`, engine.Failed,
			`States.TaskFailed {"Cause":"why","Error":"Boom","ExecutionArn":"` + execARN + `child:n","Input":"{}","InputDetails":{"Included":true},"Name":"n",` +
				`"RedriveCount":0,"RedriveStatus":"REDRIVABLE","StartDate":946684800000,"StateMachineArn":"` + machARN + `child","Status":"FAILED","StopDate":946684800000}`,
			"StartExecution DescribeExecution", 0},
		{"timed-out", `{"TimeoutSeconds":5,` + child[1:], ".sync", `,"Name":"n"`, engine.Failed,
			`States.TaskFailed {"ExecutionArn":"` + execARN + `child:n","Input":"{}","InputDetails":{"Included":true},"Name":"n",` +
				`"RedriveCount":0,"RedriveStatus":"REDRIVABLE","StartDate":946684800000,"StateMachineArn":"` + machARN + `child","Status":"TIMED_OUT","StopDate":946684805000}`,
			"StartExecution DescribeExecution", 5 * time.Second},
		{"bad-input", child, "", `,"Input":"nope"`, engine.Failed,
			`StepFunctions.InvalidExecutionInputException Invalid State Machine Execution Input: * (Service: AWSStepFunctions; Status Code: 400; Error Code: InvalidExecutionInput; Request ID: *; Proxy: null)`,
			"StartExecution!InvalidExecutionInput", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := build(t, options{})
				defer p.close(t)
				p.create(t, "child", c.child)
				p.create(t, "parent", parent(c.suffix, c.more))
				begun := time.Now()
				o := p.run(t, "parent", `{}`)
				got := o.Output.JSON()
				if o.Status != engine.Succeeded {
					got = text(o.Error) + " " + text(o.Cause)
				}
				if o.Status != c.status || !like(c.want, got) {
					t.Errorf("%v\n got %s\nwant %s", o.Status, got, c.want)
				}
				if took := time.Since(begun); took != c.took {
					t.Errorf("took %v", took)
				}
				if got := p.book.calls(); got != c.calls {
					t.Errorf("calls: %s", got)
				}
				for _, r := range p.book.records {
					if r.ExecutionARN != o.ARN || r.State != "P" || r.Source != "states.amazonaws.com" {
						t.Errorf("record %+v", r)
					}
				}
			})
		})
	}
}

// like matches a text in which each * stands for any.
func like(want, got string) bool {
	parts := strings.Split(want, "*")
	if len(parts) == 1 {
		return want == got
	}
	if !strings.HasPrefix(got, parts[0]) || !strings.HasSuffix(got, parts[len(parts)-1]) {
		return false
	}
	got = got[len(parts[0]):]
	for _, part := range parts[1:] {
		i := strings.Index(got, part)
		if i < 0 {
			return false
		}
		got = got[i+len(part):]
	}
	return true
}

// What the role may not do is not done, and the workflow can tell.
func TestNestedDenied(t *testing.T) {
	for _, c := range []struct{ name, actions, calls string }{
		{"start", `"states:Stop*"`, "StartExecution!AccessDenied"},
		{"describe", `"states:StartExecution"`, "StartExecution DescribeExecution!AccessDenied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := build(t, options{})
				defer p.close(t)
				p.people.policy = allow(c.actions)
				p.create(t, "child", child)
				p.create(t, "parent", parent(".sync", ""))
				o := p.run(t, "parent", `{}`)
				if text(o.Error) != "StepFunctions.AWSStepFunctionsException" || !strings.Contains(text(o.Cause), "is not authorized to perform: states:") ||
					!strings.Contains(text(o.Cause), "(Service: AWSStepFunctions; Status Code: 403; Error Code: AccessDeniedException; ") {
					t.Errorf("%s %s", text(o.Error), text(o.Cause))
				}
				if got := p.book.calls(); got != c.calls {
					t.Errorf("calls: %s", got)
				}
			})
		})
	}
}

// A child goes with the task that awaits it, however that ends, and no other does.
func TestNestedStops(t *testing.T) {
	const (
		timeout  = `,"TimeoutSeconds":5,"End":true`
		parallel = `{"StartAt":"Both","States":{"Both":{"Type":"Parallel","End":true,"Branches":[%s,{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":5,"Next":"F"},"F":{"Type":"Fail"}}}]}}}`
	)
	for _, c := range []struct {
		name, machine string
		stop          bool // the parent
		want          engine.Status
	}{
		{"parent-stopped", parent(".sync", ""), true, engine.Aborted},
		{"parent-stopped-alone", parent("", ""), true, engine.Succeeded},
		{"parent-timed-out", `{"TimeoutSeconds":5,` + parent(".sync:2", "")[1:], false, engine.Aborted},
		{"task-timed-out", strings.Replace(parent(".sync", ""), `,"End":true`, timeout, 1), false, engine.Aborted},
		{"sibling-failed", fmt.Sprintf(parallel, parent(".sync", "")), false, engine.Aborted},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := build(t, options{})
				defer p.close(t)
				p.create(t, "child", child)
				p.create(t, "parent", c.machine)
				x := p.start(t, "parent", "", `{}`)
				time.Sleep(2 * time.Second)
				if c.stop {
					p.StopExecution(t.Context(), x, nil, nil)
				}
				p.end(t, x)
				synctest.Wait()
				kids := p.children(t, "child")
				if len(kids) != 1 {
					t.Fatalf("%d children", len(kids))
				}
				if o := p.end(t, kids[0].ARN); o.Status != c.want {
					t.Errorf("the child: %v", o.Status)
				}
			})
		})
	}
}

// Whatever awaits goes on after a restart, with the child that there is.
func TestNestedSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		p := build(t, options{store: store})
		p.create(t, "child", child)
		p.create(t, "parent", parent(".sync:2", ""))
		var all []string
		for i := range 20 {
			all = append(all, p.start(t, "parent", fmt.Sprint("p", i), `{}`))
		}
		for range 5 {
			time.Sleep(7 * time.Second)
			begun := time.Now()
			p.close(t)
			if d := time.Since(begun); d != 0 {
				t.Errorf("closing waited %v for children", d)
			}
			p = build(t, options{store: store})
		}
		for _, x := range all {
			if o := p.end(t, x); o.Status != engine.Succeeded || o.Output.Get("Output").JSON() != `{"done":[1]}` {
				t.Errorf("%v %s %s", o.Status, text(o.Error), text(o.Cause))
			}
			if got := p.events(t, x); got != "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskStateExited ExecutionSucceeded" {
				t.Error(got)
			}
		}
		if n := len(p.children(t, "child")); n != 20 {
			t.Errorf("%d children of 20 parents", n)
		}
		p.close(t)
	})
}

// A task that is performed again finds what it has started, whatever became of
// it; another task that asks for its name does not.
func TestNestedAgain(t *testing.T) {
	for _, name := range []string{"", `,"Name":"given"`} {
		synctest.Test(t, func(t *testing.T) {
			p := build(t, options{})
			defer p.close(t)
			p.create(t, "child", fails)
			nested := connector.NewStates(gate.New(p.book, nil), p.people)
			nested.Bind(p.Service)
			table := connector.Table{}
			nested.AddTo(table)
			p.create(t, "parent", parent("", name))
			d, err := p.DescribeStateMachine(t.Context(), machARN+"parent")
			if err != nil {
				t.Fatal(err)
			}
			prog, _ := flow.Diagnose(d.Definition, false)
			tk := flow.Task{ID: "x#3", RoleARN: runRole, MachineARN: machARN + "parent", ExecutionARN: execARN + "parent:x", ExecutionName: "x", Region: "us-east-1", Account: home}
			tk.Part = prog.State("P").Task
			tk.Args = value.MustParse(`{"StateMachineArn":"` + machARN + `child"` + name + `}`)
			first, err := table.Invoke(t.Context(), tk)
			if err != nil {
				t.Fatal(err)
			}
			p.end(t, first.Get("ExecutionArn").Str())
			again, err := table.Invoke(t.Context(), tk)
			if err != nil || again.Get("ExecutionArn").Str() != first.Get("ExecutionArn").Str() {
				t.Errorf("%s, %v", again, err)
			}
			tk.ID = "x#9"
			other, err := table.Invoke(t.Context(), tk)
			e, failed := errors.AsType[*flow.TaskError](err)
			switch {
			case name == "" && (err != nil || other.Get("ExecutionArn").Str() == first.Get("ExecutionArn").Str()):
				t.Errorf("%s, %v", other, err)
			case name != "" && (!failed || e.Name != "StepFunctions.ExecutionAlreadyExistsException"):
				t.Errorf("%s, %v", other, err)
			}
		})
	}
}

// Children run although as many tasks await as there may be at a time.
func TestNestedNeedsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{tasks: 1})
		defer p.close(t)
		p.create(t, "child", task)
		p.create(t, "parent", parent(".sync", ""))
		a, b := p.start(t, "parent", "a", `{}`), p.start(t, "parent", "b", `{}`)
		for _, x := range []string{a, b} {
			if o := p.end(t, x); o.Status != engine.Succeeded {
				t.Errorf("%v %s", o.Status, text(o.Cause))
			}
		}
	})
}

func TestNestedWithToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{})
		defer p.close(t)
		p.create(t, "child", child)
		p.create(t, "parent", parent(".waitForTaskToken", `,"Name":"n","Input":{"token.$":"$$.Task.Token"}`))
		x := p.start(t, "parent", "", `{}`)
		time.Sleep(time.Second)
		d, err := p.DescribeExecution(t.Context(), execARN+"child:n")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SendTaskSuccess(t.Context(), d.Input.Get("token").Str(), `{"answer":1}`); err != nil {
			t.Fatal(err)
		}
		if o := p.end(t, x); o.Output.JSON() != `{"answer":1}` {
			t.Errorf("%v %s", o.Status, o.Output)
		}
		if o := p.end(t, execARN+"child:n"); o.Status != engine.Succeeded {
			t.Errorf("the child: %v", o.Status)
		}
	})
}

// An Express child can be started and not awaited.
func TestNestedExpress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{})
		defer p.close(t)
		if _, err := p.CreateStateMachine(t.Context(), flow.CreateStateMachine{Scope: scope, Name: "child", Definition: task, RoleARN: runRole, Express: true}); err != nil {
			t.Fatal(err)
		}
		p.create(t, "alone", parent("", ""))
		p.create(t, "awaits", parent(".sync", ""))
		if o := p.run(t, "alone", `{}`); o.Status != engine.Succeeded || !strings.Contains(o.Output.Get("ExecutionArn").Str(), ":express:child:") {
			t.Errorf("%v %s", o.Status, o.Output)
		}
		if o := p.run(t, "awaits", `{}`); text(o.Error) != "StepFunctions.StateMachineTypeNotSupportedException" {
			t.Errorf("%s %s", text(o.Error), text(o.Cause))
		}
		time.Sleep(2 * time.Second)
		if n := p.echoes.Load(); n != 1 {
			t.Errorf("%d children ran", n)
		}
	})
}

func TestNestedThroughAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{})
		defer p.close(t)
		p.create(t, "child", fails)
		v, _, err := p.PublishStateMachineVersion(t.Context(), machARN+"child", "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.CreateStateMachineAlias(t.Context(), "live", "", []flow.Route{{VersionARN: v, Weight: 100}}); err != nil {
			t.Fatal(err)
		}
		p.people.policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:StartExecution","Resource":"` + machARN + `child",
			"Condition":{"ForAnyValue:StringEquals":{"states:StateMachineQualifier":"live"}}},{"Effect":"Allow","Action":"states:DescribeExecution","Resource":"` + execARN + `child:*"}]}`
		p.create(t, "parent", strings.Replace(parent(".sync", ""), "stateMachine:child", "stateMachine:child:live", 1))
		o := p.run(t, "parent", `{}`)
		if !strings.Contains(text(o.Cause), `"StateMachineAliasArn":"`+machARN+`child:live","StateMachineArn":"`+machARN+`child","StateMachineVersionArn":"`+machARN+`child:1","Status":"FAILED"`) {
			t.Errorf("%s %s", text(o.Error), text(o.Cause))
		}
	})
}

func TestNestedMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, options{})
		defer p.close(t)
		p.create(t, "parent", parent(".sync", ""))
		o := p.run(t, "parent", `{}`)
		if !like("State Machine Does Not Exist: '"+machARN+"child' (Service: AWSStepFunctions; Status Code: 400; Error Code: StateMachineDoesNotExist; Request ID: *; Proxy: null)", text(o.Cause)) ||
			text(o.Error) != "StepFunctions.StateMachineDoesNotExistException" {
			t.Errorf("%s %s", text(o.Error), text(o.Cause))
		}
	})
}

// What a parent costs that waits for a .sync child: bytes of live memory, the
// child's and the store's included.
func BenchmarkNestedWaiting(b *testing.B) {
	const parents = 2000
	for b.Loop() {
		p := build(b, options{})
		p.create(b, "child", strings.Replace(child, "60", "86400", 1))
		p.create(b, "parent", parent(".sync", ""))
		p.create(b, "alone", strings.Replace(child, "60", "86400", 1))
		measure := func(machine string) (memory, goroutines float64) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			n := runtime.NumGoroutine()
			for i := range parents {
				p.start(b, machine, fmt.Sprint(machine, i), "{}")
			}
			for s := p.driver.Stats(); s.Live > 0 || s.Tasks > 0; s = p.driver.Stats() {
				time.Sleep(time.Millisecond)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			return float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse) / parents, float64(runtime.NumGoroutine() - n)
		}
		alone, _ := measure("alone") // an execution that waits, in the store in memory
		both, goroutines := measure("parent")
		b.ReportMetric(alone, "B/waiting")
		b.ReportMetric(both, "B/parent+child")
		b.ReportMetric(goroutines/parents, "goroutines/parent")
		p.close(b)
	}
}
