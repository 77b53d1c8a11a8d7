package asl

import (
	"strings"
	"testing"
)

func TestParseState(t *testing.T) {
	p, ds := ParseState([]byte(`{"Type":"Choice","QueryLanguage":"JSONata","Choices":[{"Condition":true,"Next":"There"}],"Default":"StateName"}`))
	if p == nil {
		t.Fatal(ds)
	}
	st := p.State(BareState)
	if st.Choice.Rules[0].Next.Name != "There" || st.Choice.Default != st {
		t.Errorf("leads to %q and %p, not to There and itself", st.Choice.Rules[0].Next.Name, st.Choice.Default)
	}
	// A name that a nested machine has too is another state.
	p, ds = ParseState([]byte(`{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"A"}],"Next":"A"}`))
	if p == nil {
		t.Fatal(ds)
	}
	if st := p.State(BareState); st.Next == p.State("A") || st.Next.Type != 0 || st.Catch[0].Next.Name != "A" {
		t.Errorf("leads to %+v", st.Next)
	}
}

func TestParseStateDiagnostics(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`[]`, "SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object"},
		{``, "SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object"},
		{`{"Type":"Nap"}`, "SCHEMA_VALIDATION_FAILED: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/StateName/Type"},
		{`{"Type":"Parallel","Branches":[],"End":true}`, "SCHEMA_VALIDATION_FAILED: Value cannot be empty at /States/StateName/Branches"},
		{`{"Type":"Pass"}`, "SCHEMA_VALIDATION_FAILED: This object should have only one of the following fields: [Next, End] at /States/StateName"},
		// Inside of it everything must be there.
		{`{"Type":"Parallel","End":true,"Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}]}`, "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/StateName/Branches[0]/States/A/Next"},
	} {
		p, ds := ParseState([]byte(c.src))
		if p != nil || len(ds) == 0 || ds[0].String() != c.want {
			t.Errorf("%s: %v, want %s", c.src, ds, c.want)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(`{"Type":"Pass","Next":"A"}`)
	f.Add(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"A"}],"End":true}`)
	f.Add(`{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"Next":"A"}`)
	f.Fuzz(func(t *testing.T, src string) {
		p, ds := ParseState([]byte(src))
		if p == nil {
			if len(ds) == 0 {
				t.Error("neither a program nor a diagnostic")
			}
			return
		}
		st := p.State(BareState)
		if st == nil {
			t.Fatal("no state")
		}
		if st.Next != nil && st.Next.Name == "" && !strings.Contains(src, `""`) {
			t.Error("leads nowhere")
		}
	})
}
