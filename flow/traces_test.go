package flow_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/fault"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

// spans keeps what it is told.
type spans struct {
	mu  sync.Mutex
	all []flow.Span // guarded by mu
}

func (s *spans) Record(x flow.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, x)
}

// tree prints the spans as they are inside each other, by their starts.
func (s *spans) tree() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := map[flow.SpanID]bool{}
	for _, x := range s.all {
		there[x.ID] = true
	}
	var b strings.Builder
	var print func(parent flow.SpanID, depth int)
	print = func(parent flow.SpanID, depth int) {
		var lines []flow.Span
		for _, x := range s.all {
			if x.Parent == parent || depth == 0 && !there[x.Parent] {
				lines = append(lines, x)
			}
		}
		slices.SortFunc(lines, func(a, b flow.Span) int {
			if c := a.Start.Compare(b.Start); c != 0 {
				return c
			}
			return strings.Compare(a.Name, b.Name)
		})
		for _, x := range lines {
			fmt.Fprintf(&b, "%s%s %s", strings.Repeat("  ", depth), x.Name, x.End.Sub(x.Start))
			if x.Failed {
				fmt.Fprintf(&b, " failed: %s", x.Error)
			}
			b.WriteString("\n")
			if x.ID != (flow.SpanID{}) {
				print(x.ID, depth+1)
			}
		}
	}
	print(flow.SpanID{}, 0)
	return b.String()
}

// traced is a platform that tells tracer.
func traced(t testing.TB, s *memory.Store, tracer flow.Tracer, invoke flow.InvokerFunc) (p *platform, end func()) {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	lib := flow.NewLibrary(s.Flow())
	traces := flow.NewTraces(lib, tracer, logger)
	d, err := journal.Open(context.Background(), journal.Config{Log: s.Journal(), Programs: lib, Logger: logger, Invoker: invoke,
		Observe: traces.Observe, Observes: traces.Wants})
	if err != nil {
		t.Fatal(err)
	}
	traces.Bind(d)
	f, err := flow.Open(context.Background(), flow.Config{Store: s.Flow(), Library: lib, Driver: d, Logger: logger, Traces: traces})
	if err != nil {
		t.Fatal(err)
	}
	p = &platform{f, d}
	return p, func() {
		t.Helper()
		p.close(t)
		if err := traces.Close(); err != nil {
			t.Error(err)
		}
		if n := traces.Dropped(); n > 0 {
			t.Errorf("%d events were dropped", n)
		}
	}
}

func createTraced(t testing.TB, p *platform, definition string, express bool) {
	t.Helper()
	c := create("m", definition)
	c.Tracing, c.Express = true, express
	if _, err := p.CreateStateMachine(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

const tracedDefinition = `{"StartAt":"Ask","States":{
 "Ask":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},
   "Retry":[{"ErrorEquals":["E"],"IntervalSeconds":2}],"Next":"Both"},
 "Both":{"Type":"Parallel","ResultPath":null,"Next":"Each","Branches":[
   {"StartAt":"L","States":{"L":{"Type":"Wait","Seconds":5,"End":true}}},
   {"StartAt":"R","States":{"R":{"Type":"Pass","End":true}}}]},
 "Each":{"Type":"Map","ItemsPath":"$.items","Next":"Nap","ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Wait","Seconds":1,"End":true}}}},
 "Nap":{"Type":"Wait","Seconds":3600,"Next":"Bad"},
 "Bad":{"Type":"Fail","Error":"Custom","Cause":"what somebody said"}}}`

// failsFirst fails the first call.
func failsFirst() flow.InvokerFunc {
	n := 0
	return func(_ context.Context, t flow.Task) (value.Value, error) {
		if h, ok := flow.ParseTraceHeader(t.Trace); !ok || h.Parent != flow.SpanOf(t.ID) {
			return value.Value{}, fmt.Errorf("trace header %q", t.Trace)
		}
		if n++; n == 1 {
			return value.Value{}, &flow.TaskError{Name: "E", Cause: "what somebody said"}
		}
		return value.ParseString(`{"items":[1,2]}`)
	}
}

const tracedTree = `m 1h0m8s failed: Custom
  Ask 2s
    lambda:invoke 0s failed: E
    lambda:invoke 0s
  Both 5s
    L 5s
    R 0s
  Each 1s
    Each[0] 1s
      I 1s
    Each[1] 1s
      I 1s
  Nap 1h0m0s
  Bad 0s failed: Custom
`

// The spans of an execution are inside each other as its states are, and no
// restart of the process changes them: it ends in the middle of Nap here.
func TestTraces(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, got := memory.New(), new(spans)
			p, end := traced(t, s, got, failsFirst())
			createTraced(t, p, tracedDefinition, false)
			const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
			x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Trace: header})
			if err != nil {
				t.Fatal(err)
			}
			if restart {
				synctest.Wait()
				time.Sleep(time.Minute) // Nap has begun
				synctest.Wait()
				end()
				p, end = traced(t, s, got, failsFirst())
			}
			if _, err := p.Await(t.Context(), x.ARN); err != nil {
				t.Fatal(err)
			}
			d, err := p.DescribeExecution(t.Context(), x.ARN)
			if err != nil || d.Trace != header {
				t.Errorf("DescribeExecution has the trace header %q, %v", d.Trace, err)
			}
			end()
			if s := got.tree(); s != tracedTree {
				t.Errorf("restart %v:\n%s", restart, s)
			}
			h, _ := flow.ParseTraceHeader(header)
			seen := map[flow.SpanID]bool{}
			for _, x := range got.all {
				if x.Trace != h.Trace || x.Sampled == nil || !*x.Sampled || x.ID == (flow.SpanID{}) || seen[x.ID] {
					t.Errorf("span %s: %x %x %v", x.Name, x.Trace, x.ID, x.Sampled)
				}
				seen[x.ID] = true
				if x.Name == "m" && x.Parent != h.Parent {
					t.Errorf("the execution's parent is %x", x.Parent)
				}
				for _, a := range x.Attributes {
					if strings.Contains(a.String(), "somebody") {
						t.Errorf("span %s tells %v", x.Name, a)
					}
				}
			}
		})
	}
}

// An execution that nobody gave a trace gets one, and its Map Runs' children and
// redrives are in it.
func TestTracesOfChildrenAndRedrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got := memory.New(), new(spans)
		n := 0
		var mu sync.Mutex
		p, end := traced(t, s, got, func(_ context.Context, task flow.Task) (value.Value, error) {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == 1 {
				return value.Value{}, &flow.TaskError{Name: "E"}
			}
			return value.Object(), nil
		})
		createTraced(t, p, `{"StartAt":"Each","States":{"Each":{"Type":"Map","Label":"L","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
		  "StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"End":true}}},"End":true}}}`, false)
		x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Input: new("[1]")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Await(t.Context(), x.ARN); err != nil {
			t.Fatal(err)
		}
		if _, err := p.RedriveExecution(t.Context(), x.ARN, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Await(t.Context(), x.ARN); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d, err := p.DescribeExecution(t.Context(), x.ARN)
		if err != nil {
			t.Fatal(err)
		}
		end()
		h, ok := flow.ParseTraceHeader(d.Trace)
		if !ok || h.Sampled != nil {
			t.Errorf("trace header %q", d.Trace)
		}
		// A child belongs to its run, which was begun once.
		const want = `m 0s failed: States.ExceedToleratedFailureThreshold
  Each 0s failed: States.ExceedToleratedFailureThreshold
    MapRun 0s failed: States.ExceedToleratedFailureThreshold
      m/L 0s failed: E
        T 0s failed: E
          lambda:invoke 0s failed: E
      m/L 0s
        T 0s
          lambda:invoke 0s
m 0s
  Each 0s
    MapRun 0s
`
		if tree := got.tree(); tree != want {
			t.Errorf("%s", tree)
		}
		for _, x := range got.all {
			if x.Trace != h.Trace {
				t.Errorf("%s is of the trace %x", x.Name, x.Trace)
			}
		}
	})
}

// Express executions have no history: what they are is in the events alone. One
// that is not sampled is not followed.
func TestTracesExpress(t *testing.T) {
	s, got := memory.New(), new(spans)
	p, end := traced(t, s, got, nil)
	createTraced(t, p, pass, true)
	for _, header := range []string{"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0", "Root=1-5759e988-bd862e3fe1be46a994272794;Sampled=1"} {
		o, err := p.StartSyncExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Trace: header})
		if err != nil || o.Trace != header {
			t.Errorf("%v %q", err, o.Trace)
		}
	}
	end()
	if len(got.all) != 2 || got.all[1].Name != "m" || got.all[1].Trace[15] != 0x94 { // the sampled one's
		t.Errorf("%+v", got.all)
	}
}

// What is refused without, is not refused with; and a machine's tracing is part
// of what makes two requests the same.
func TestTracingConfiguration(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	c := create("m", pass)
	c.Tracing = true
	if _, err := p.CreateStateMachine(t.Context(), c); fault.Code(err) != "InvalidTracingConfiguration" {
		t.Error(err)
	}
	p.close(t)
	p, end := traced(t, s, new(spans), nil)
	defer end()
	if _, err := p.CreateStateMachine(t.Context(), c); err != nil {
		t.Error(err)
	}
	c.Tracing = false
	if _, err := p.CreateStateMachine(t.Context(), c); fault.Code(err) != "StateMachineAlreadyExists" {
		t.Error(err)
	}
	if d, err := p.DescribeStateMachine(t.Context(), arn("m")); err != nil || !d.Tracing {
		t.Error(err)
	}
	if _, err := p.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn("m"), Tracing: new(false)}); err != nil {
		t.Error(err)
	}
	if d, err := p.DescribeStateMachine(t.Context(), arn("m")); err != nil || d.Tracing {
		t.Error(err)
	}
	x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m")})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := p.DescribeExecution(t.Context(), x.ARN); err != nil || d.Trace != "" {
		t.Error(err, d.Trace)
	}
}

func TestTraceHeader(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"},
		{"Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678", "Root=1-67891233-abcdef012345678912345678"},
		{" sampled=0 ; root=1-5759e988-bd862e3fe1be46a994272793", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"},
		{"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=xyz;Sampled=?", "Root=1-5759e988-bd862e3fe1be46a994272793"},
	} {
		h, ok := flow.ParseTraceHeader(c.in)
		if !ok || h.String() != c.want {
			t.Errorf("%q: %v %q", c.in, ok, h.String())
		}
	}
	for _, bad := range []string{"", "x", "Root=", "Root=1-5759e988-bd862e3fe1be46a99427279", "Root=2-5759e988-bd862e3fe1be46a994272793",
		"Root=1-00000000-000000000000000000000000", "Parent=53995c3f42cd8ad8", strings.Repeat("x", 300)} {
		if h, ok := flow.ParseTraceHeader(bad); ok || h.Trace != (flow.TraceID{}) || h.Parent != (flow.SpanID{}) {
			t.Errorf("%q: %v", bad, h)
		}
	}
}

// What is read is what is printed.
func FuzzTraceHeader(f *testing.F) {
	f.Add("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	f.Add("Sampled=0;Root=1-5759e988-bd862e3fe1be46a994272793;;=;Root=")
	f.Fuzz(func(t *testing.T, s string) {
		h, ok := flow.ParseTraceHeader(s)
		if !ok {
			return
		}
		again, ok := flow.ParseTraceHeader(h.String())
		if !ok || again.Trace != h.Trace || again.Parent != h.Parent || (again.Sampled == nil) != (h.Sampled == nil) || h.Sampled != nil && *h.Sampled != *again.Sampled {
			t.Errorf("%q: %v, again %v", s, h, again)
		}
	})
}

// What observing costs a driver where no machine is traced: asking whether one is.
func BenchmarkTracesOff(b *testing.B) {
	traces := flow.NewTraces(flow.NewLibrary(memory.New().Flow()), new(spans), nil)
	defer traces.Close()
	b.ReportAllocs()
	for b.Loop() {
		if traces.Wants(flow.Revision{}) {
			b.Fatal("it wants it")
		}
	}
}

// What a step costs where it is.
func BenchmarkExpress(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("traced=%v", on), func(b *testing.B) {
			s := memory.New()
			p, end := traced(b, s, nothing{}, nil)
			defer end()
			c := create("m", pass)
			c.Tracing, c.Express = on, true
			if _, err := p.CreateStateMachine(b.Context(), c); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.StartSyncExecution(b.Context(), flow.StartExecution{ARN: arn("m")}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type nothing struct{}

func (nothing) Record(flow.Span) {}
