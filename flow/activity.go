package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/value"
)

// Activity is a queue that workers take tasks from.
type Activity struct {
	ARN, Name string
	Created   time.Time
	Tags      []Tag
}

func noActivity(arn string) error {
	return fault.Newf("ActivityDoesNotExist", "Activity Does Not Exist: '%s'", arn)
}

func (s *Service) saveActivity(ctx context.Context, arn string, a *Activity) error {
	c := Change{Key: activityPrefix + arn}
	if a != nil {
		b, err := json.Marshal(a)
		if err != nil {
			return err
		}
		c.Data = b
	}
	if err := s.cfg.Store.Save(context.WithoutCancel(ctx), c); err != nil {
		s.doubt[arn] = true
		return fmt.Errorf("save activity %s: %w", arn, err)
	}
	s.showActivity(arn, a)
	return nil
}

func (s *Service) showActivity(arn string, a *Activity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, there := slices.BinarySearch(s.actsBy, arn)
	switch {
	case a == nil:
		delete(s.acts, arn)
		if there {
			s.actsBy = slices.Delete(s.actsBy, at, at+1)
		}
		return
	case !there:
		s.actsBy = slices.Insert(s.actsBy, at, arn)
	}
	s.acts[arn] = a
}

// currentActivity is current for activities.
func (s *Service) currentActivity(ctx context.Context, arn string) (*Activity, error) {
	if s.doubt[arn] {
		var a *Activity
		switch b, err := s.cfg.Store.Get(ctx, activityPrefix+arn); {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("read activity %s: %w", arn, err)
		default:
			a = new(Activity)
			if err := json.Unmarshal(b, a); err != nil {
				return nil, fmt.Errorf("read activity %s: %w", arn, err)
			}
		}
		s.showActivity(arn, a)
		delete(s.doubt, arn)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.acts[arn], nil
}

// CreateActivity makes an activity, or finds the one of that name.
func (s *Service) CreateActivity(ctx context.Context, scope Scope, name string, tags []Tag) (*Activity, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := s.checkTags(tags); err != nil {
		return nil, err
	}
	arn := scope.activity(name)
	s.writing.Lock()
	defer s.writing.Unlock()
	a, err := s.currentActivity(ctx, arn)
	if err != nil || a != nil {
		return a, err
	}
	s.mu.RLock()
	n := len(s.acts)
	s.mu.RUnlock()
	if over(n, s.limits.Activities) {
		return nil, fault.Newf("ActivityLimitExceeded", "The maximum number of activities has been reached. Maximum: %d", s.limits.Activities)
	}
	s.counted("activities", "the account", n+1, s.limits.Activities)
	a = &Activity{ARN: arn, Name: name, Created: now(), Tags: tags}
	return a, s.saveActivity(ctx, arn, a)
}

// DescribeActivity describes an activity.
func (s *Service) DescribeActivity(ctx context.Context, arn string) (*Activity, error) {
	if _, _, _, err := parseARN(arn, "activity"); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if a := s.acts[arn]; a != nil {
		return a, nil
	}
	return nil, noActivity(arn)
}

// DeleteActivity deletes an activity, if there is one.
func (s *Service) DeleteActivity(ctx context.Context, arn string) error {
	if _, _, _, err := parseARN(arn, "activity"); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	a, err := s.currentActivity(ctx, arn)
	if err != nil || a == nil {
		return err
	}
	return s.saveActivity(ctx, arn, nil)
}

// ListActivities lists the activities of a scope by name.
func (s *Service) ListActivities(ctx context.Context, scope Scope, p Page) (Listing[*Activity], error) {
	call := []string{"ListActivities", scope.Region, scope.Account}
	after, err := p.place(call...)
	if err != nil {
		return Listing[*Activity]{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var l Listing[*Activity]
	arns := within(s.actsBy, scope.activity(""), after)
	for i, a := range arns {
		if i == p.size() {
			l.Next = token(arns[i-1], call...)
			break
		}
		l.Items = append(l.Items, s.acts[a])
	}
	return l, nil
}

// pollTime is how long GetActivityTask waits for a task.
const pollTime = 60 * time.Second

// GetActivityTask takes an activity's oldest task, waiting for one for a minute;
// ok is false if there was none.
func (s *Service) GetActivityTask(ctx context.Context, arn, worker string) (t ActivityTask, ok bool, err error) {
	if _, err := s.DescribeActivity(ctx, arn); err != nil {
		return t, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	t, ok, err = s.cfg.Driver.Poll(ctx, arn, worker)
	if errors.Is(err, ErrTooManyPollers) {
		return t, false, fault.Newf("ActivityWorkerLimitExceeded", "The maximum number of workers concurrently polling for activity tasks has been reached.")
	}
	return t, ok, err
}

// answer gives the task of a token an input.
func (s *Service) answer(ctx context.Context, token string, in func(task int64) engine.Input) error {
	switch err := s.cfg.Driver.Answer(ctx, token, in); {
	case errors.Is(err, ErrBadToken):
		return fault.Newf("InvalidToken", "Invalid Token: 'Invalid token'")
	case errors.Is(err, ErrTaskClosed):
		return fault.Newf("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
	default:
		return err
	}
}

// SendTaskSuccess answers a task with its output, a JSON text.
func (s *Service) SendTaskSuccess(ctx context.Context, token, output string) error {
	v, err := value.ParseString(output)
	if err != nil {
		why, _ := asl.JSONProblem(output, err)
		return fault.Newf("InvalidOutput", "Invalid Output: '%s'", why)
	}
	return s.answer(ctx, token, func(task int64) engine.Input { return engine.TaskDone{Task: task, Output: v} })
}

// SendTaskFailure answers a task with a failure.
func (s *Service) SendTaskFailure(ctx context.Context, token string, errName, cause *string) error {
	return s.answer(ctx, token, func(task int64) engine.Input {
		return engine.TaskFailed{Task: task, Failure: engine.Failure{Error: errName, Cause: cause}}
	})
}

// SendTaskHeartbeat says that a task's worker lives.
func (s *Service) SendTaskHeartbeat(ctx context.Context, token string) error {
	return s.answer(ctx, token, func(task int64) engine.Input { return engine.TaskHeartbeat{Task: task} })
}
