package server

import (
	"time"

	"tokaido/flow"
)

// LimitsConfig are the limits of Step Functions. What is not set is AWS's value;
// 0 is no limit. At 80 % of one a warning is logged.
type LimitsConfig struct {
	Events          *int64         `yaml:"events"`          // in the history of a Standard execution
	DataSize        *int           `yaml:"dataSize"`        // bytes of an input or output, of a state, a task or an execution
	Duration        *time.Duration `yaml:"duration"`        // of a Standard execution
	ExpressDuration *time.Duration `yaml:"expressDuration"` // of an Express execution

	OpenExecutions *int `yaml:"openExecutions"` // Standard ones; 0, unlike AWS's 1,000,000, unless it is set

	StateMachines *int `yaml:"stateMachines"`
	Activities    *int `yaml:"activities"`
	Versions      *int `yaml:"versions"` // of a state machine
	Aliases       *int `yaml:"aliases"`  // of a state machine
	Tags          *int `yaml:"tags"`     // of a state machine or an activity
	Pollers       *int `yaml:"pollers"`  // that wait for the tasks of one activity

	Redrivable *time.Duration `yaml:"redrivable"` // after an execution's end
	Retention  *time.Duration `yaml:"retention"`  // of executions that have ended
}

// maxDataSize is the most that dataSize may be: what fits into a request beside
// the text that it is written as.
const maxDataSize = 4 << 20

// defaultLimits says AWS's values.
func defaultLimits() LimitsConfig {
	l := flow.AWSLimits()
	return LimitsConfig{
		Events: &l.Standard.Events, DataSize: &l.Standard.DataSize, Duration: &l.Standard.Duration, ExpressDuration: &l.Express.Duration,
		OpenExecutions: &l.Open, StateMachines: &l.Machines, Activities: &l.Activities, Versions: &l.Versions, Aliases: &l.Aliases, Tags: &l.Tags, Pollers: &l.Pollers,
		Redrivable: &l.Redrivable, Retention: &l.Retention,
	}
}

// flow is what is in force.
func (c *LimitsConfig) flow() *flow.Limits {
	l := flow.AWSLimits()
	set(&l.Standard.Events, c.Events)
	set(&l.Standard.DataSize, c.DataSize)
	set(&l.Express.DataSize, c.DataSize)
	set(&l.Standard.Duration, c.Duration)
	set(&l.Express.Duration, c.ExpressDuration)
	set(&l.Open, c.OpenExecutions)
	set(&l.Machines, c.StateMachines)
	set(&l.Activities, c.Activities)
	set(&l.Versions, c.Versions)
	set(&l.Aliases, c.Aliases)
	set(&l.Tags, c.Tags)
	set(&l.Pollers, c.Pollers)
	set(&l.Redrivable, c.Redrivable)
	set(&l.Retention, c.Retention)
	return &l
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (c *LimitsConfig) check(bad func(string, ...any)) {
	l := c.flow()
	for _, n := range []struct {
		name string
		n    int64
	}{
		{"events", l.Standard.Events}, {"dataSize", int64(l.Standard.DataSize)}, {"duration", int64(l.Standard.Duration)},
		{"expressDuration", int64(l.Express.Duration)}, {"openExecutions", int64(l.Open)}, {"stateMachines", int64(l.Machines)}, {"activities", int64(l.Activities)},
		{"versions", int64(l.Versions)}, {"aliases", int64(l.Aliases)}, {"tags", int64(l.Tags)}, {"pollers", int64(l.Pollers)},
		{"redrivable", int64(l.Redrivable)}, {"retention", int64(l.Retention)},
	} {
		if n.n < 0 {
			bad("limits.%s: is negative", n.name)
		}
	}
	if n := l.Standard.Events; n > 0 && n < minEvents {
		bad("limits.events: %d events are too few for any execution, %d are the least", n, minEvents)
	}
	if n := l.Standard.DataSize; n > maxDataSize {
		bad("limits.dataSize: %d bytes are more than the %d that a request has room for", n, maxDataSize)
	}
}

// minEvents is the history of an execution with one state, and room for its end.
const minEvents = 10
