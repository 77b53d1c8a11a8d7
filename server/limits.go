package server

import (
	"time"

	"tokaido/engine"
	"tokaido/flow"
)

// LimitsConfig are the limits of Step Functions. What is not set is AWS's value;
// 0 is no limit. At 80 % of one a warning is logged.
type LimitsConfig struct {
	Events          *int64         `yaml:"events"`          // in the history of a Standard execution
	DataSize        *int           `yaml:"dataSize"`        // bytes of an input or output, of a state, a task or an execution
	Duration        *time.Duration `yaml:"duration"`        // of a Standard execution
	ExpressDuration *time.Duration `yaml:"expressDuration"` // of an Express execution

	// Whatever a Map's MaxConcurrency says:
	MapIterations  *int   `yaml:"mapIterations"`  // of an inline Map at a time
	MapRunChildren *int   `yaml:"mapRunChildren"` // executions of a Map Run at a time
	MapRunRedrives *int64 `yaml:"mapRunRedrives"`

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
		MapIterations: &l.Standard.Iterations, MapRunChildren: &l.Standard.Children, MapRunRedrives: &l.Standard.RunRedrives,
		OpenExecutions: &l.Open, StateMachines: &l.Machines, Activities: &l.Activities, Versions: &l.Versions, Aliases: &l.Aliases, Tags: &l.Tags, Pollers: &l.Pollers,
		Redrivable: &l.Redrivable, Retention: &l.Retention,
	}
}

// flow is what is in force.
func (c *LimitsConfig) flow() *flow.Limits {
	l := flow.AWSLimits()
	set(&l.Standard.Events, c.Events)
	set(&l.Standard.Duration, c.Duration)
	set(&l.Express.Duration, c.ExpressDuration)
	for _, e := range []*engine.Limits{&l.Standard, &l.Express} {
		set(&e.DataSize, c.DataSize)
		set(&e.Iterations, c.MapIterations)
		set(&e.Children, c.MapRunChildren)
		set(&e.RunRedrives, c.MapRunRedrives)
	}
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
	notNegative(bad, "events", l.Standard.Events)
	notNegative(bad, "dataSize", l.Standard.DataSize)
	notNegative(bad, "duration", l.Standard.Duration)
	notNegative(bad, "expressDuration", l.Express.Duration)
	notNegative(bad, "mapIterations", l.Standard.Iterations)
	notNegative(bad, "mapRunChildren", l.Standard.Children)
	notNegative(bad, "mapRunRedrives", l.Standard.RunRedrives)
	notNegative(bad, "openExecutions", l.Open)
	notNegative(bad, "stateMachines", l.Machines)
	notNegative(bad, "activities", l.Activities)
	notNegative(bad, "versions", l.Versions)
	notNegative(bad, "aliases", l.Aliases)
	notNegative(bad, "tags", l.Tags)
	notNegative(bad, "pollers", l.Pollers)
	notNegative(bad, "redrivable", l.Redrivable)
	notNegative(bad, "retention", l.Retention)
	if n := l.Standard.Events; n > 0 && n < minEvents {
		bad("limits.events: %d events are too few for any execution, %d are the least", n, minEvents)
	}
	if n := l.Standard.DataSize; n > maxDataSize {
		bad("limits.dataSize: %d bytes are more than the %d that a request has room for", n, maxDataSize)
	}
}

func notNegative[T int | int64 | time.Duration](bad func(string, ...any), name string, n T) {
	if n < 0 {
		bad("limits.%s: %v is negative; 0 is no limit", name, n)
	}
}

// minEvents is the history of an execution with one state, and room for its end.
const minEvents = 10
