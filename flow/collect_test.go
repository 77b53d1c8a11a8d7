package flow_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/store/memory"
)

// count is how many entries a store has under a prefix.
func count(t *testing.T, s *memory.Store, prefix string) (n int) {
	t.Helper()
	for _, err := range s.Flow().Load(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Revisions stay as long as a machine or an execution that is kept refers to
// them, and no longer; a definition as long as a revision has it.
func TestRevisionsAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		p := open(t, s.Journal(), s.Flow())
		want := func(when string, revisions, definitions int) {
			t.Helper()
			time.Sleep(3 * time.Hour)
			synctest.Wait()
			if r, d := count(t, s, "revision/"), count(t, s, "definition/"); r != revisions || d != definitions {
				t.Errorf("%s: %d revisions and %d definitions, not %d and %d", when, r, d, revisions, definitions)
			}
		}
		other := strings.Replace(wait, "3600", "7200", 1)
		for name, def := range map[string]string{"m": wait, "same": wait} {
			c := create(name, def)
			c.Publish = name == "same"
			if _, err := p.CreateStateMachine(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		want("created", 2, 1)
		for _, def := range []string{other, pass} {
			if _, err := p.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn("m"), Definition: &def}); err != nil {
				t.Fatal(err)
			}
			if def == other {
				if _, err := p.StartExecution(t.Context(), flow.StartExecution{ARN: arn("m"), Name: "x"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		// Of m, the first revision is needed by nobody, the second by x.
		want("updated", 3, 3)
		x := strings.Replace(arn("m"), "stateMachine", "execution", 1) + ":x"
		if o, err := p.Await(t.Context(), x); err != nil || o.Status != engine.Succeeded {
			t.Errorf("%v, %v", o.Status, err)
		}
		if err := p.DeleteStateMachine(t.Context(), arn("m")); err != nil {
			t.Fatal(err)
		}
		want("deleted", 2, 2)
		if d, err := p.StateMachineForExecution(t.Context(), x); err != nil || d.Definition != other {
			t.Errorf("%+v, %v", d, err)
		}
		if _, err := p.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn("same"), Definition: new(pass)}); err != nil {
			t.Fatal(err)
		}
		want("a version refers to its revision", 3, 3)
		time.Sleep(91 * 24 * time.Hour)
		want("its executions are forgotten", 2, 2)
		if d, err := p.DescribeStateMachine(t.Context(), arn("same")+":1"); err != nil || d.Definition != wait {
			t.Errorf("%+v, %v", d, err)
		}
		p.close(t)
	})
}
