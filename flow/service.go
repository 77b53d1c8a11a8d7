package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"tokaido/asl"
	"tokaido/fault"
)

// Config is what a Service is made of.
type Config struct {
	Store   Store
	Library *Library // of the same store
	Driver  Driver
	Logger  *slog.Logger // nil: slog.Default
	Logs    *Logs        // if set, what observes the driver: machines may then have logging levels
	Traces  *Traces      // if set, what observes the driver: machines may then be traced
	Invoker Invoker      // performs Tasks that TestState tests; nil: it tests them with mocks only

	// CheckRole, if set, must return a fault if Step Functions may not assume the
	// role for the machine, or the role lacks what AWS asks for when a machine is
	// made. It is asked when a machine gets a role, a definition or a logging
	// configuration.
	CheckRole func(ctx context.Context, c RoleCheck) error

	// TestCase, if set, must return a fault if executions of p, the machine called
	// name, cannot be started with a test case. nil: there are none.
	TestCase func(name, testCase string, p *asl.Program) error

	Limits *Limits // nil: AWS's
}

// RoleCheck is what a machine wants of a role.
type RoleCheck struct {
	RoleARN    string
	MachineARN string
	Program    *asl.Program // nil: a state that is tested
	Logging    bool         // events are logged
}

// Service answers for machines and executions, whatever drives them.
type Service struct {
	cfg    Config
	limits Limits

	writing sync.Mutex // held from reading what is to be changed until that is saved

	mu       sync.RWMutex
	machines map[string]*Machine  // guarded by mu; by ARN. What it points to never changes.
	sorted   []string             // guarded by mu: their ARNs
	acts     map[string]*Activity // guarded by mu; by ARN, never changed either
	actsBy   []string             // guarded by mu: their ARNs
	doubt    map[string]bool      // guarded by writing: keys whose last save failed, and may have happened

	tests atomic.Int64 // TestStates that wait for something

	stop context.CancelFunc
	ctx  context.Context // of work in the background
	wg   sync.WaitGroup
}

// Open reads the machines of a store.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	limits := AWSLimits()
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	s := &Service{cfg: cfg, limits: limits, machines: map[string]*Machine{}, acts: map[string]*Activity{}, doubt: map[string]bool{}}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	for e, err := range cfg.Store.Load(ctx, machinePrefix) {
		if err != nil {
			return nil, fmt.Errorf("read state machines: %w", err)
		}
		m := new(Machine)
		if err := json.Unmarshal(e.Data, m); err != nil {
			return nil, fmt.Errorf("read state machine %s: %w", e.Key, err)
		}
		s.machines[m.ARN] = m
		s.sorted = append(s.sorted, m.ARN)
	}
	for e, err := range cfg.Store.Load(ctx, activityPrefix) {
		if err != nil {
			return nil, fmt.Errorf("read activities: %w", err)
		}
		a := new(Activity)
		if err := json.Unmarshal(e.Data, a); err != nil {
			return nil, fmt.Errorf("read activity %s: %w", e.Key, err)
		}
		s.acts[a.ARN] = a
		s.actsBy = append(s.actsBy, a.ARN)
	}
	slices.Sort(s.sorted)
	slices.Sort(s.actsBy)
	for _, m := range s.machines {
		if m.Deleting {
			s.wg.Go(func() { s.vacate(m.ARN) })
		}
	}
	if cfg.Library != nil && cfg.Driver != nil {
		s.wg.Go(s.collect)
	}
	return s, nil
}

// Close ends work in the background. What it did not finish, the next Open does.
func (s *Service) Close() error {
	s.stop()
	s.wg.Wait()
	return nil
}

func (s *Service) machine(arn string) *Machine {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.machines[arn]
}

// save makes a machine (nil: its absence) and further changes durable, and then
// visible. s.writing is held.
func (s *Service) save(ctx context.Context, arn string, m *Machine, more ...Change) error {
	c := Change{Key: machinePrefix + arn}
	if m != nil {
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		c.Data = b
	}
	// The caller's going away must not leave us in doubt about what was saved.
	if err := s.cfg.Store.Save(context.WithoutCancel(ctx), append(more, c)...); err != nil {
		s.doubt[arn] = true
		return fmt.Errorf("save state machine %s: %w", arn, err)
	}
	s.show(arn, m)
	return nil
}

func (s *Service) show(arn string, m *Machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, there := slices.BinarySearch(s.sorted, arn)
	switch {
	case m == nil:
		delete(s.machines, arn)
		if there {
			s.sorted = slices.Delete(s.sorted, at, at+1)
		}
		return
	case !there:
		s.sorted = slices.Insert(s.sorted, at, arn)
	}
	s.machines[arn] = m
}

// current is the machine to change. If its last save failed, it is read first:
// that may have happened all the same. s.writing is held.
func (s *Service) current(ctx context.Context, arn string) (*Machine, error) {
	if s.doubt[arn] {
		var m *Machine
		switch b, err := s.cfg.Store.Get(ctx, machinePrefix+arn); {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("read state machine %s: %w", arn, err)
		default:
			m = new(Machine)
			if err := json.Unmarshal(b, m); err != nil {
				return nil, fmt.Errorf("read state machine %s: %w", arn, err)
			}
		}
		s.show(arn, m)
		delete(s.doubt, arn)
	}
	return s.machine(arn), nil
}

func newUID() string { return uuid.NewString() }

// now has the precision that AWS shows.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func withReason(f *fault.Error, reason string) *fault.Error {
	f.Members = append(f.Members, fault.Member{Name: "reason", Value: reason})
	return f
}

func noMachine(arn string) error {
	return fault.Newf("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", arn)
}

func deleting(arn string) error {
	return fault.Newf("StateMachineDeleting", "State Machine is being deleted: '%s'", arn)
}

func noExecution(arn string) error {
	return fault.Newf("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", arn)
}

func invalid(format string, args ...any) error {
	return fault.Newf("ValidationException", format, args...)
}

// within returns the ARNs of a sorted list that begin with prefix and come after
// another one.
func within(sorted []string, prefix, after string) []string {
	from, _ := slices.BinarySearch(sorted, prefix)
	if after != "" {
		at, there := slices.BinarySearch(sorted, after)
		if there {
			at++
		}
		from = max(from, at)
	}
	rest := sorted[from:]
	n := 0
	for n < len(rest) && n <= maxPage && strings.HasPrefix(rest[n], prefix) {
		n++
	}
	return slices.Clone(rest[:n])
}
