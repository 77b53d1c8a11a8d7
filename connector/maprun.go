package connector

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/gate"
	"tokaido/value"
)

// Permit decides and records that a Map Run starts executions of its own
// machine, as the machine's role: once for each run. It is what a driver asks
// before the first child.
func (s *States) Permit(ctx context.Context, r flow.RunStart) error {
	t := &flow.Task{
		Invoke: engine.Invoke{State: r.State}, ID: r.MapRunARN, RoleARN: r.RoleARN,
		MachineARN: r.MachineARN, ExecutionARN: r.ExecutionARN, ExecutionName: r.ExecutionName, Region: r.Region, Account: r.Account,
	}
	by, err := assume(ctx, s.Gate, s.Roles, t)
	if err == nil {
		c := s.call(t, by, uuid.NewString(), "StartExecution", r.MachineARN)
		c.Request = value.Object(
			value.Member{Key: "stateMachineArn", Value: value.String(r.MachineARN)},
			value.Member{Key: "mapRunArn", Value: value.String(r.MapRunARN)})
		_, err = gate.Do(ctx, s.Gate, c, func(context.Context, *gate.Act) (struct{}, error) { return struct{}{}, nil })
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return &flow.TaskError{Name: "States.Permissions", Cause: f.Message}
	}
	return err
}
