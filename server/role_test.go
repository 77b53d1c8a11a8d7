package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/principal"
	"tokaido/trail"
)

const testAccount = "111122223333"

// begin is a server that keeps everything in memory but the trail.
func begin(t *testing.T) *Server {
	t.Helper()
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	c.DataDir, c.Store, c.Account = t.TempDir(), "memory", testAccount
	return newServer(t, c, slog.DiscardHandler)
}

// newServer is a server until the test ends.
func newServer(t testing.TB, c Config, log slog.Handler) *Server {
	t.Helper()
	s, err := New(t.Context(), c, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *Server) testingOnlyRole(t *testing.T, name, trust, policy string) string {
	t.Helper()
	e, err := s.people.Create(t.Context(), principal.NewEntity{Kind: principal.KindRole, Name: name, Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	if policy != "" {
		if err := s.people.PutInline(t.Context(), principal.KindRole, name, "p", policy); err != nil {
			t.Fatal(err)
		}
	}
	return e.ARN
}

// A state's Credentials are a role that the machine's role assumes. Who may make
// a machine with one role must not act as every role that trusts the service.
func TestCredentialsAreAssumedByTheMachinesRole(t *testing.T) {
	const model = `"arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-lite-v1:0"`
	const models = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":` + model + `}}`
	const assume = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::111122223333:role/worker"}}`
	trusts := func(who string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":` + who + `,"Action":"sts:AssumeRole"}}`
	}
	for _, c := range []struct {
		name, trust, policy string
		want                engine.Status
	}{
		{"service", `{"Service":"states.amazonaws.com"}`, assume, engine.Failed},
		{"account", `{"AWS":"arn:aws:iam::111122223333:root"}`, assume, engine.Succeeded},
		{"accountAlone", `{"AWS":"arn:aws:iam::111122223333:root"}`, "", engine.Failed},
		{"role", `{"AWS":"arn:aws:iam::111122223333:role/machine"}`, "", engine.Succeeded}, // named directly: its own policies need not
		{"other", `{"AWS":"arn:aws:iam::111122223333:role/stranger"}`, assume, engine.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t)
			s.testingOnlyRole(t, "stranger", statesTrust, "")
			machine := s.testingOnlyRole(t, "machine", statesTrust, c.policy)
			worker := s.testingOnlyRole(t, "worker", trusts(c.trust), models)
			m, err := s.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{
				Scope: flow.Scope{Region: "ap-northeast-1", Account: testAccount}, Name: "m", RoleARN: machine,
				Definition: fmt.Sprintf(`{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:bedrockruntime:converse","Credentials":{"RoleArn":%q},
					"Parameters":{"ModelId":"amazon.nova-lite-v1:0","Messages":[{"Role":"user","Content":[{"Text":"hi"}]}]},"End":true}}}`, worker),
			})
			if err != nil {
				t.Fatal(err)
			}
			out := s.testingOnlyRun(t, m.ARN)
			if out.Status != c.want {
				t.Errorf("%v, want %v: %+v", out.Status, c.want, out)
			}
			if c.want == engine.Failed && (out.Cause == nil || !strings.Contains(*out.Cause, "The role is not authorized to assume the task state's role, "+worker)) {
				t.Errorf("%+v", out)
			}
			page, err := s.audit.Lookup(t.Context(), trail.Query{Attribute: trail.ByEventName, Value: "AssumeRole"})
			if err != nil || len(page.Records) != 1 {
				t.Fatalf("%d records of AssumeRole, %v", len(page.Records), err)
			}
			if r := page.Records[0]; (r.ErrorCode == "AccessDenied") != (c.want == engine.Failed) || !strings.HasPrefix(r.Identity.ARN, "arn:aws:sts::111122223333:assumed-role/machine/") {
				t.Errorf("%+v", r)
			}
		})
	}
}

func (s *Server) testingOnlyRun(t *testing.T, machine string) flow.Outcome {
	t.Helper()
	x, err := s.machines.StartExecution(t.Context(), flow.StartExecution{ARN: machine, Input: new("{}")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := s.machines.Await(ctx, x.ARN)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What Step Functions prepares with a role when a machine is made, the role must
// be allowed then.
func TestRoleIsCheckedAtCreation(t *testing.T) {
	const (
		waits  = `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Parameters":{"StateMachineArn":"arn:aws:states:ap-northeast-1:111122223333:stateMachine:child"},"End":true}}}`
		passes = `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`
		rule   = `{"Effect":"Allow","Action":["events:PutTargets","events:PutRule","events:DescribeRule"],"Resource":"arn:aws:events:ap-northeast-1:111122223333:rule/%s"}`
		logs   = `{"Effect":"Allow","Action":["logs:CreateLogDelivery","logs:GetLogDelivery","logs:UpdateLogDelivery","logs:DeleteLogDelivery","logs:ListLogDeliveries","logs:PutResourcePolicy","logs:DescribeResourcePolicies","logs:DescribeLogGroups"],"Resource":"%s"}`

		noRule = "'arn:aws:iam::111122223333:role/machine' is not authorized to create managed-rule."
		noLogs = "The state machine IAM Role is not authorized to access the Log Destination"
	)
	logging := &flow.Logging{Level: "ALL", Destinations: []string{"arn:aws:logs:ap-northeast-1:111122223333:log-group:g:*"}}
	for _, c := range []struct {
		name, definition, statement, want string
		logging                           *flow.Logging
	}{
		{"nothing", passes, "", "", nil},
		{"syncWithout", waits, "", noRule, nil},
		{"sync", waits, fmt.Sprintf(rule, "StepFunctionsGetEventsForStepFunctionsExecutionRule"), "", nil},
		{"otherRule", waits, fmt.Sprintf(rule, "StepFunctionsGetEventForStepFunctionsExecutionRule"), noRule, nil},
		{"logsWithout", passes, "", noLogs, logging},
		{"logs", passes, fmt.Sprintf(logs, "*"), "", logging},
		{"logsOnAGroup", passes, fmt.Sprintf(logs, "arn:aws:logs:ap-northeast-1:111122223333:log-group:g:*"), noLogs, logging}, // none of the actions has a resource
		{"logsOff", passes, "", "", &flow.Logging{Level: "OFF"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t)
			policy := ""
			if c.statement != "" {
				policy = `{"Version":"2012-10-17","Statement":[` + c.statement + `]}`
			}
			role := s.testingOnlyRole(t, "machine", statesTrust, policy)
			scope := flow.Scope{Region: "ap-northeast-1", Account: testAccount}
			_, err := s.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{Scope: scope, Name: "m", Definition: c.definition, RoleARN: role, Logging: c.logging})
			same := func(op string, err error) {
				t.Helper()
				if c.want == "" && err != nil || c.want != "" && (fault.Code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("%s: %v, want %q", op, err, c.want)
				}
			}
			same("CreateStateMachine", err)
			m, err := s.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{Scope: scope, Name: "n", Definition: strings.Replace(passes, `"A"`, `"B"`, 2), RoleARN: role})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.machines.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: m.ARN, Definition: &c.definition, Logging: c.logging})
			same("UpdateStateMachine", err)
		})
	}
}
