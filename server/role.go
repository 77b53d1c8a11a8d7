package server

import (
	"context"
	"strings"
	"time"

	"tokaido/arn"
	"tokaido/asl"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/iam"
	"tokaido/policygen"
)

// checkRole is what Step Functions checks when a machine gets a role: that it
// can assume it for this machine, and that the role may do what has to be
// prepared before any execution runs, which is to listen for the end of .sync
// jobs and to deliver logs.
func (s *Server) checkRole(ctx context.Context, c flow.RoleCheck) error {
	by, err := s.people.AssumeForService(ctx, c.RoleARN, "states.amazonaws.com", c.MachineARN, s.Account, "CreateStateMachine", time.Now())
	if err != nil || c.Program == nil || !c.Logging && !syncs(c.Program) {
		return err
	}
	a, err := arn.Parse(c.MachineARN)
	if err != nil {
		return err
	}
	res, err := policygen.Generate(policygen.Machine{
		Program: c.Program, Name: strings.TrimPrefix(a.Resource, "stateMachine:"), Region: a.Region, Account: a.Account, Logging: c.Logging,
	}, policygen.Options{})
	if err != nil {
		return err
	}
	for _, kind := range []struct{ prefix, refusal string }{
		{"events:", "'" + c.RoleARN + "' is not authorized to create managed-rule."},
		{"logs:", "The state machine IAM Role is not authorized to access the Log Destination"},
	} {
		var needs []iam.Authorization
		for _, n := range res.Needs {
			if strings.HasPrefix(n.Action, kind.prefix) && (n.Sync || n.State == "") {
				needs = append(needs, n.Authorization)
			}
		}
		ds := iam.EvaluateAll(&by.Policies, by.Caller(), needs, by.Context())
		for i := range ds {
			if !ds[i].Allowed {
				return &fault.Error{Kind: fault.Client, Code: "AccessDeniedException", Message: kind.refusal, Detail: ds}
			}
		}
	}
	return nil
}

// syncs reports whether any task waits for a job's end.
func syncs(p *asl.Program) bool {
	for st := range p.All() {
		if t := st.Task; t != nil && (t.Pattern == asl.Sync || t.Pattern == asl.Sync2) {
			return true
		}
	}
	return false
}
