package flow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

const (
	pass = `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`
	also = `{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}`
	wait = `{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":3600,"End":true}}}`
	role = "arn:aws:iam::123456789012:role/r"
)

var scope = flow.Scope{Region: "us-east-1", Account: "123456789012"}

// platform is a service over a store, with its driver.
type platform struct {
	*flow.Service
	driver *journal.Driver
}

func open(t testing.TB, log journal.Log, store flow.Store) *platform {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	lib := flow.NewLibrary(store)
	d, err := journal.Open(context.Background(), journal.Config{Log: log, Programs: lib, Logger: logger,
		Invoker: flow.InvokerFunc(func(ctx context.Context, t flow.Task) (value.Value, error) { return t.Args, nil })})
	if err != nil {
		t.Fatal(err)
	}
	s, err := flow.Open(context.Background(), flow.Config{Store: store, Library: lib, Driver: d, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	return &platform{s, d}
}

func (p *platform) close(t testing.TB) {
	t.Helper()
	if err := errors.Join(p.Close(), p.driver.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

func create(name, definition string) flow.CreateStateMachine {
	return flow.CreateStateMachine{Scope: scope, Name: name, Definition: definition, RoleARN: role}
}

func arn(name string) string { return "arn:aws:states:us-east-1:123456789012:stateMachine:" + name }

// What a machine was, a running execution keeps: across updates, its machine's
// deletion, and restarts.
func TestRevisionsOutliveTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		if _, err := p.CreateStateMachine(t.Context(), create("m", wait)); err != nil {
			t.Fatal(err)
		}
		x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn("m"), Definition: new(pass)}); err != nil {
			t.Fatal(err)
		}
		p.close(t)
		p = open(t, s.Journal(), s.Flow())
		d, err := p.StateMachineForExecution(t.Context(), x.ARN)
		if err != nil || d.Definition != wait || d.Revision.ID != "" {
			t.Errorf("%+v, %v", d, err)
		}
		if o, err := p.Await(t.Context(), x.ARN); err != nil || o.Status != engine.Succeeded {
			t.Errorf("%v, %v", o.Status, err)
		}
		if err := p.DeleteStateMachine(t.Context(), arn("m")); err != nil {
			t.Error(err)
		}
		p.close(t)
		p = open(t, s.Journal(), s.Flow())
		if d, err := p.StateMachineForExecution(t.Context(), x.ARN); err != nil || d.Definition != wait {
			t.Errorf("%+v, %v", d, err)
		}
		if _, err := p.DescribeStateMachine(t.Context(), arn("m")); fault.Code(err) != "StateMachineDoesNotExist" {
			t.Error(err)
		}
		p.close(t)
	})
}

// The same start is one start: while it runs, with the same input.
func TestStartIsIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		p.CreateStateMachine(t.Context(), create("m", wait))
		start := func(input string) (flow.Started, error) {
			return p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Name: "n", Input: &input})
		}
		first, err := start(`{"a":1}`)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if again, err := start(`{"a":1}`); err != nil || again != first {
			t.Errorf("%v, %v, not %v", again, err, first)
		}
		if _, err := start(`{"a":2}`); fault.Code(err) != "ExecutionAlreadyExists" {
			t.Error(err)
		}
		at, err := p.StopExecution(t.Context(), first.ARN, new("E"), nil)
		if err != nil || at.Sub(first.Started) != time.Minute {
			t.Errorf("stopped %v, %v", at, err)
		}
		if again, err := p.StopExecution(t.Context(), first.ARN, nil, nil); err != nil || !again.Equal(at) {
			t.Errorf("stopped again %v, %v", again, err)
		}
		if _, err := start(`{"a":1}`); fault.Code(err) != "ExecutionAlreadyExists" {
			t.Error(err)
		}
		time.Sleep(91 * 24 * time.Hour)
		if _, err := start(`{"a":1}`); err != nil {
			t.Errorf("after 90 days: %v", err)
		}
		p.close(t)
	})
}

// An alias sends starts where its weights say.
func TestAliasWeights(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	c := create("m", pass)
	c.Publish = true
	if _, err := p.CreateStateMachine(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if u, err := p.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn("m"), Definition: new(also), Publish: true}); err != nil || u.VersionARN != arn("m:2") {
		t.Fatal(u, err)
	}
	a, _, err := p.CreateStateMachineAlias(t.Context(), "live", "", []flow.Route{{VersionARN: arn("m:1"), Weight: 80}, {VersionARN: arn("m:2"), Weight: 20}})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for range 500 {
		x, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: a})
		if err != nil {
			t.Fatal(err)
		}
		d, err := p.DescribeExecution(t.Context(), x.ARN)
		if err != nil || d.AliasARN != a || d.MachineARN != arn("m") {
			t.Fatalf("%+v, %v", d, err)
		}
		count[d.VersionARN]++
	}
	if n := count[arn("m:2")]; n < 50 || n > 160 || count[arn("m:1")] != 500-n {
		t.Errorf("%v", count)
	}
	for under, n := range map[string]int{a: 500, arn("m:1"): count[arn("m:1")], arn("m"): 500} {
		l, err := p.ListExecutions(t.Context(), flow.ListExecutions{ARN: under, Page: flow.Page{Max: 1000}})
		if err != nil || len(l.Items) != n {
			t.Errorf("%d under %s, %v", len(l.Items), under, err)
		}
	}
}

// faulty fails saves, before or after they happen.
type faulty struct {
	flow.Store
	fail func() (before, after error)
}

func (f *faulty) Save(ctx context.Context, c ...flow.Change) error {
	before, after := f.fail()
	if before != nil {
		return before
	}
	if err := f.Store.Save(ctx, c...); err != nil {
		return err
	}
	return after
}

// A save fails, and sometimes it has happened: what is seen afterwards is what
// is stored, and doing it again works.
func TestSaveFails(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	s := memory.New()
	broken := false
	store := &faulty{s.Flow(), func() (error, error) {
		if !broken {
			return nil, nil
		}
		err := errors.New("disk broke")
		if rnd.IntN(2) == 0 {
			return err, nil
		}
		return nil, err
	}}
	p := open(t, s.Journal(), store)
	defer p.close(t)
	for i := range 200 {
		name := fmt.Sprint("m", rnd.IntN(4))
		do := func() error {
			switch i % 4 {
			case 0:
				_, err := p.CreateStateMachine(t.Context(), create(name, pass))
				return err
			case 1:
				_, err := p.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn(name), Definition: new([]string{pass, also}[rnd.IntN(2)])})
				return err
			case 2:
				_, _, err := p.PublishStateMachineVersion(t.Context(), arn(name), "", "")
				return err
			}
			return p.DeleteStateMachine(t.Context(), arn(name))
		}
		broken = true
		err := do()
		broken = false
		if err != nil && fault.Code(err) == "" { // ours: try again
			if err := do(); err != nil && fault.Code(err) == "" {
				t.Fatal(err)
			}
		}
		// Whoever opens the store sees the same.
		q := open(t, memory.New().Journal(), s.Flow())
		for j := range 4 {
			a := arn(fmt.Sprint("m", j))
			dp, ep := p.DescribeStateMachine(t.Context(), a)
			dq, eq := q.DescribeStateMachine(t.Context(), a)
			if fault.Code(ep) != fault.Code(eq) || dp.Definition != dq.Definition || dp.Revision.ID != dq.Revision.ID {
				t.Fatalf("step %d: %s: %v %v, stored %v %v", i, a, dp.Revision.ID, ep, dq.Revision.ID, eq)
			}
			vp, _ := p.ListStateMachineVersions(t.Context(), a, flow.Page{})
			vq, _ := q.ListStateMachineVersions(t.Context(), a, flow.Page{})
			if len(vp.Items) != len(vq.Items) {
				t.Fatalf("step %d: %s: %d versions, stored %d", i, a, len(vp.Items), len(vq.Items))
			}
		}
		q.close(t)
	}
}

func TestInputComplaints(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	p.CreateStateMachine(t.Context(), create("m", pass))
	for input, want := range map[string]string{
		"not some json":  "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
		"{'not': 'json'": "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
		"":               "Invalid execution input.",
		"  ":             "Invalid execution input.",
	} {
		_, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Input: &input})
		f, _ := err.(*fault.Error)
		if f == nil || f.Code != "InvalidExecutionInput" || f.Message != "Invalid State Machine Execution Input: '"+want+"'" {
			t.Errorf("%q: %v", input, err)
		}
	}
}

func TestNames(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	for _, good := range []string{"a", "A.b-c_d", "東海道", strings.Repeat("x", 80), strings.Repeat("道", 80)} {
		if _, err := p.CreateActivity(t.Context(), scope, good, nil); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a b", "a\tb", "a:b", "a/b", "a\x00", "a\u0085", "a\u3000b", strings.Repeat("x", 81), "a\uffff", "a😀,"} {
		if _, err := p.CreateActivity(t.Context(), scope, bad, nil); fault.Code(err) != "InvalidName" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseARN(f *testing.F) {
	for _, s := range []string{"", "arn:", arn("m"), arn("m:1"), arn("m/l:2"), arn(""), arn("m:"), arn("m:a:b"), strings.Replace(arn("m:n"), "stateMachine", "execution", 1), "arn:aws:iam::1:role/r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := flow.ParseMachineARN(s); err == nil {
			again := m.Unqualified
			if m.Label != "" {
				again += "/" + m.Label
			}
			if m.Qualifier != "" {
				again += ":" + m.Qualifier
			}
			if again != s {
				t.Errorf("%q became %q", s, again)
			}
		} else if fault.Code(err) != "InvalidArn" {
			t.Error(err)
		}
		if _, err := flow.ParseExecutionARN(s); err != nil && fault.Code(err) != "InvalidArn" {
			t.Error(err)
		}
	})
}

func FuzzPageToken(f *testing.F) {
	s := memory.New()
	p := open(f, s.Journal(), s.Flow())
	p.CreateStateMachine(f.Context(), create("m", pass))
	for range 3 {
		p.StartExecution(f.Context(), flow.StartExecution{ARN: arn("m")})
	}
	l, err := p.ListExecutions(f.Context(), flow.ListExecutions{ARN: arn("m"), Page: flow.Page{Max: 1}})
	if err != nil || l.Next == "" {
		f.Fatal(l, err)
	}
	f.Add(l.Next)
	f.Add("e30")
	f.Fuzz(func(t *testing.T, token string) {
		for _, err := range []error{
			second(p.ListExecutions(t.Context(), flow.ListExecutions{ARN: arn("m"), Page: flow.Page{Token: token}})),
			second(p.ListStateMachines(t.Context(), scope, flow.Page{Token: token})),
			second(p.ListStateMachineVersions(t.Context(), arn("m"), flow.Page{Token: token})),
		} {
			if err != nil && fault.Code(err) != "InvalidToken" {
				t.Error(err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func BenchmarkStartSyncExecution(b *testing.B) {
	s := memory.New()
	p := open(b, s.Journal(), s.Flow())
	var def strings.Builder
	def.WriteString(`{"StartAt":"S0","States":{`)
	for i := range 10 {
		if i < 9 {
			fmt.Fprintf(&def, `"S%d":{"Type":"Pass","Next":"S%d"},`, i, i+1)
		} else {
			fmt.Fprintf(&def, `"S%d":{"Type":"Pass","End":true}}}`, i)
		}
	}
	c := create("x", def.String())
	c.Express = true
	if _, err := p.CreateStateMachine(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	input := `{"n":1}`
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := p.StartSyncExecution(context.Background(), flow.StartExecution{ARN: arn("x"), Input: &input}); err != nil || r.Status != engine.Succeeded {
				b.Error(r.Status, err)
			}
		}
	})
	b.ReportMetric(float64(10*b.N)/b.Elapsed().Seconds(), "transitions/s")
	p.close(b)
}
