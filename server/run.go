package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/principal"
	"tokaido/trail"
)

// Once is one run of a definition in this process, without a server. Everything
// that a server checks is checked, and it leaves nothing behind.
type Once struct {
	Name       string // of the machine: what a mock file calls it
	Definition string
	Input      string
	Region     string
	Policy     string // of the role that it runs as; "": one that allows everything
	TestCase   string // of the mock file that the Config names; "": none

	// Event, if set, is told of every event of the history as it becomes true, one
	// at a time, and of every Wait and retry when it begins: those have no ID. It
	// must be quick.
	Event func(Progress)
}

// Progress is one event of a run.
type Progress struct {
	engine.Event
	Execution string // its ARN: a nested execution's events come too
	In        string // the state that it happened in
	// InferenceRegion is where the inference ran whose task has just succeeded.
	InferenceRegion string
}

const everything = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

const statesTrust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}}`

// Run runs a definition to its end. When ctx is done the execution is stopped,
// and the outcome says so.
func Run(ctx context.Context, cfg Config, once Once, logger *slog.Logger) (out flow.Outcome, err error) {
	if cfg.DataDir, err = os.MkdirTemp("", "tokaido-run-"); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cfg.DataDir)) }()
	cfg.Store = "memory"
	var s *Server
	ready := make(chan struct{})
	type thread struct {
		execution string
		no        int32
	}
	var mu sync.Mutex
	in := map[thread]string{} // the state that each thread is in; guarded by mu
	cfg.observe = func(x *flow.Execution, events []engine.Event) {
		<-ready
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			if once.Event == nil || e.ID == 0 && e.Type != engine.WaitScheduled && e.Type != engine.RetryScheduled {
				continue
			}
			p, at := Progress{Event: e, Execution: x.ARN}, thread{x.ARN, e.Thread}
			if e.State != "" {
				in[at] = e.State
			}
			if !strings.HasPrefix(e.Type.String(), "Execution") {
				p.In = in[at]
			}
			if e.Type == engine.ServiceTaskSucceeded {
				p.InferenceRegion = s.inferenceRegion(ctx, x.ARN, p.In)
			}
			once.Event(p)
		}
	}
	if s, err = New(ctx, cfg, logger); err != nil {
		return out, err
	}
	close(ready)
	defer func() { err = errors.Join(err, s.Close()) }()

	role, err := s.people.Create(ctx, principal.NewEntity{Kind: principal.KindRole, Name: "run", Trust: statesTrust})
	if err != nil {
		return out, err
	}
	policy := once.Policy
	if policy == "" {
		policy = everything
	}
	if err := s.people.PutInline(ctx, principal.KindRole, "run", "run", policy); err != nil {
		return out, fmt.Errorf("policy of the role: %w", err)
	}
	m, err := s.machines.CreateStateMachine(ctx, flow.CreateStateMachine{
		Scope: flow.Scope{Region: once.Region, Account: s.Account}, Name: once.Name, Definition: once.Definition, RoleARN: role.ARN,
	})
	if err != nil {
		return out, err
	}
	start := m.ARN
	if once.TestCase != "" {
		start += "#" + once.TestCase
	}
	x, err := s.machines.StartExecution(ctx, flow.StartExecution{ARN: start, Input: &once.Input})
	if err != nil {
		return out, err
	}
	lasting := context.WithoutCancel(ctx)
	stop := context.AfterFunc(ctx, func() {
		cause := "the run was interrupted"
		if _, err := s.machines.StopExecution(lasting, x.ARN, nil, &cause); err != nil {
			logger.Error("the execution cannot be stopped", "execution", x.ARN, "err", err)
		}
	})
	defer stop()
	return s.machines.Await(lasting, x.ARN)
}

// inferenceRegion looks up where a state's last inference ran; "" if it made none.
func (s *Server) inferenceRegion(ctx context.Context, execution, state string) string {
	page, err := s.audit.Lookup(ctx, trail.Query{Attribute: trail.BySource, Value: "bedrock.amazonaws.com"})
	if err != nil {
		return ""
	}
	for _, r := range page.Records {
		if r.ExecutionARN == execution && r.State == state {
			return r.Additional.Get("inferenceRegion").Str()
		}
	}
	return ""
}
