package flow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/fault"
)

// Machine is a state machine. A *Machine that others may see never changes.
type Machine struct {
	ARN      string
	Name     string
	Express  bool
	Created  time.Time
	Updated  time.Time // zero before the first update
	Revision string    // UID of the current one
	ID       string    // its revisionId; "" before the first update
	Digest   string    // of its definition
	RoleARN  string
	Logging  Logging
	Tracing  bool
	Deleting bool

	Published   bool   // at creation; what the idempotency of CreateStateMachine looks at
	Description string // of the version published then

	LastVersion int64
	Versions    []Version // oldest first
	Aliases     []Alias   // oldest first
	Tags        []Tag
}

// clone is a copy to change.
func (m *Machine) clone() *Machine {
	c := *m
	c.Versions = slices.Clone(m.Versions)
	c.Aliases = slices.Clone(m.Aliases)
	c.Tags = slices.Clone(m.Tags)
	return &c
}

// Tag is one tag.
type Tag struct{ Key, Value string }

// Version is a published revision.
type Version struct {
	Number      int64
	Revision    string // UID
	Description string
	Created     time.Time
}

// CreateStateMachine is what a machine is made of.
type CreateStateMachine struct {
	Scope
	Name        string
	Definition  string
	RoleARN     string
	Express     bool
	Logging     *Logging
	Tracing     bool
	Publish     bool
	Description string // of the version
	Tags        []Tag
}

// Created is what creating a machine answers.
type Created struct {
	ARN        string
	Created    time.Time
	VersionARN string // "" if nothing was published
}

// versionWithoutPublish is AWS's refusal of a description for nothing.
func versionWithoutPublish(publish bool, description string) error {
	if description != "" && !publish {
		return invalid("Version description can only be set when publish is true")
	}
	return nil
}

// checkLogging is what a logging configuration must be.
func (s *Service) checkLogging(l *Logging) error {
	bad := func(format string, args ...any) error {
		return fault.Newf("InvalidLoggingConfiguration", "Invalid Logging Configuration: "+format, args...)
	}
	if l == nil {
		return nil
	}
	off := l.Level == "" || l.Level == "OFF"
	if len(l.Destinations) > 1 || !off && len(l.Destinations) != 1 {
		return bad("Must specify exactly one Log Destination.")
	}
	for _, d := range l.Destinations {
		if !strings.HasPrefix(d, "arn:") || !strings.Contains(d, ":logs:") || !strings.HasSuffix(d, ":*") {
			return bad("Log Destination not found.")
		}
	}
	if !off && s.cfg.Logs == nil {
		return bad("level '%s' is refused: this server is not set up to write execution logs.", l.Level)
	}
	return nil
}

// Diagnose returns what is wrong with a definition.
func Diagnose(definition string, express bool) (*asl.Program, []asl.Diagnostic) {
	if express {
		return asl.ParseExpress([]byte(definition))
	}
	return asl.Parse([]byte(definition))
}

// ParseDefinition is Diagnose for those that need the program.
func ParseDefinition(definition string, express bool) (*asl.Program, error) {
	p, ds := Diagnose(definition, express)
	if p != nil {
		return p, nil
	}
	return nil, invalidDefinition(ds)
}

// invalidDefinition is the fault of a definition with diagnostics.
func invalidDefinition(ds []asl.Diagnostic) error {
	var texts []string
	for _, d := range ds {
		if d.Severity == asl.Error {
			texts = append(texts, d.String())
		}
	}
	return fault.Newf("InvalidDefinition", "Invalid State Machine Definition: '%s'", strings.Join(texts, ", "))
}

// normal is a logging configuration with its defaults.
func (l *Logging) normal() Logging {
	if l == nil {
		return Logging{Level: "OFF"}
	}
	n := *l
	if n.Level == "" {
		n.Level = "OFF"
	}
	return n
}

// on reports whether any event is logged.
func (l Logging) on() bool { return l.Level != "" && l.Level != "OFF" }

func (l Logging) equal(o Logging) bool {
	return l.Level == o.Level && l.IncludeData == o.IncludeData && slices.Equal(l.Destinations, o.Destinations)
}

// checkTracing refuses tracing where nobody would get the spans.
func (s *Service) checkTracing(enabled bool) error {
	if enabled && s.cfg.Traces == nil {
		return fault.Newf("InvalidTracingConfiguration", "Invalid Tracing Configuration: 'enabled' true is refused: this server is not set up to trace executions.")
	}
	return nil
}

// CreateStateMachine makes a machine, or finds the one that the same request
// made before.
func (s *Service) CreateStateMachine(ctx context.Context, in CreateStateMachine) (Created, error) {
	if err := checkName(in.Name); err != nil {
		return Created{}, err
	}
	if err := versionWithoutPublish(in.Publish, in.Description); err != nil {
		return Created{}, err
	}
	if err := s.checkLogging(in.Logging); err != nil {
		return Created{}, err
	}
	if err := s.checkTracing(in.Tracing); err != nil {
		return Created{}, err
	}
	if err := s.checkTags(in.Tags); err != nil {
		return Created{}, err
	}
	p, err := ParseDefinition(in.Definition, in.Express)
	if err != nil {
		return Created{}, err
	}
	arn := in.machine(in.Name)
	logging := in.Logging.normal()
	if err := s.checkRole(ctx, RoleCheck{RoleARN: in.RoleARN, MachineARN: arn, Program: p, Logging: logging.on()}); err != nil {
		return Created{}, err
	}

	s.writing.Lock()
	defer s.writing.Unlock()
	old, err := s.current(ctx, arn)
	if err != nil {
		return Created{}, err
	}
	if old != nil {
		if old.Deleting {
			return Created{}, deleting(arn)
		}
		if old.Digest != digest(in.Definition) || old.Express != in.Express || !old.Logging.equal(logging) || old.Tracing != in.Tracing ||
			old.Published != in.Publish || old.Description != in.Description {
			return Created{}, fault.Newf("StateMachineAlreadyExists", "State Machine Already Exists: '%s'", arn)
		}
		out := Created{ARN: arn, Created: old.Created}
		if in.Publish {
			for _, v := range old.Versions {
				if v.Revision == old.Revision {
					out.VersionARN = versionARN(arn, v.Number)
				}
			}
		}
		return out, nil
	}
	if n := s.limits.Machines; over(s.count(), n) {
		return Created{}, fault.Newf("StateMachineLimitExceeded", "The maximum number of state machines has been reached. Maximum: %d", n)
	}
	at := now()
	r := &Revision{
		UID: newUID(), MachineARN: arn, MachineName: in.Name, Digest: digest(in.Definition), RoleARN: in.RoleARN,
		Express: in.Express, Logging: logging, Tracing: in.Tracing, Updated: at, definition: in.Definition, program: p,
	}
	m := &Machine{
		ARN: arn, Name: in.Name, Express: in.Express, Created: at, Revision: r.UID, Digest: r.Digest,
		RoleARN: in.RoleARN, Logging: logging, Tracing: in.Tracing, Tags: in.Tags, Published: in.Publish, Description: in.Description,
	}
	out := Created{ARN: arn, Created: at}
	if in.Publish {
		out.VersionARN = versionARN(arn, m.publish(in.Description, at).Number)
	}
	more, err := s.cfg.Library.add(r)
	if err != nil {
		return Created{}, err
	}
	if err := s.save(ctx, arn, m, more...); err != nil {
		return Created{}, err
	}
	s.cfg.Library.put(r)
	s.warnUnable(arn, p)
	s.counted("state machines", "the account", s.count(), s.limits.Machines)
	return out, nil
}

func (s *Service) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.machines)
}

func (s *Service) checkRole(ctx context.Context, c RoleCheck) error {
	if !strings.HasPrefix(c.RoleARN, "arn:") {
		return invalidARN("Invalid ARN prefix: %s", c.RoleARN)
	}
	if s.cfg.CheckRole == nil {
		return nil
	}
	return s.cfg.CheckRole(ctx, c)
}

// UpdateStateMachine is what to change; nil members stay.
type UpdateStateMachine struct {
	ARN         string
	Definition  *string
	RoleARN     *string
	Logging     *Logging
	Tracing     *bool
	Encryption  bool // an encryption configuration was given: the one there is
	Publish     bool
	Description string
}

// Updated is what updating a machine answers.
type Updated struct {
	Updated    time.Time
	RevisionID string
	VersionARN string
}

// UpdateStateMachine changes a machine. Executions that run keep what they
// started with.
func (s *Service) UpdateStateMachine(ctx context.Context, in UpdateStateMachine) (Updated, error) {
	ref, err := ParseMachineARN(in.ARN)
	if err != nil {
		return Updated{}, err
	}
	if err := unlabelled(ref, in.ARN); err != nil {
		return Updated{}, err
	}
	if in.Definition == nil && in.RoleARN == nil && in.Logging == nil && in.Tracing == nil && !in.Encryption {
		return Updated{}, fault.Newf("MissingRequiredParameter", "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified")
	}
	if err := versionWithoutPublish(in.Publish, in.Description); err != nil {
		return Updated{}, err
	}
	if err := s.checkLogging(in.Logging); err != nil {
		return Updated{}, err
	}
	if in.Tracing != nil {
		if err := s.checkTracing(*in.Tracing); err != nil {
			return Updated{}, err
		}
	}
	if ref.Qualifier != "" {
		return Updated{}, noMachine(in.ARN)
	}

	s.writing.Lock()
	defer s.writing.Unlock()
	old, err := s.current(ctx, ref.Unqualified)
	if err != nil {
		return Updated{}, err
	}
	if old == nil {
		return Updated{}, noMachine(in.ARN)
	}
	if old.Deleting {
		return Updated{}, deleting(in.ARN)
	}
	before, err := s.cfg.Library.revision(ctx, old.Revision)
	if err != nil {
		return Updated{}, err
	}
	m, r := old.clone(), *before
	if in.Definition != nil && *in.Definition != r.definition {
		if r.program, err = ParseDefinition(*in.Definition, m.Express); err != nil {
			return Updated{}, err
		}
		r.definition, r.Digest = *in.Definition, digest(*in.Definition)
	} else if in.Definition != nil {
		if _, err := ParseDefinition(*in.Definition, m.Express); err != nil {
			return Updated{}, err
		}
	}
	if in.RoleARN != nil {
		r.RoleARN = *in.RoleARN
	}
	if in.Logging != nil {
		r.Logging = in.Logging.normal()
	}
	if in.Tracing != nil {
		r.Tracing = *in.Tracing
	}
	if in.RoleARN != nil || in.Logging != nil || r.Digest != before.Digest {
		if err := s.checkRole(ctx, RoleCheck{RoleARN: r.RoleARN, MachineARN: ref.Unqualified, Program: r.program, Logging: r.Logging.on()}); err != nil {
			return Updated{}, err
		}
	}
	at := now()
	var more []Change
	changed := r.Digest != before.Digest || r.RoleARN != before.RoleARN || !r.Logging.equal(before.Logging) || r.Tracing != before.Tracing
	if changed {
		r.UID, r.ID, r.Updated = newUID(), newUID(), at
		m.Revision, m.ID, m.Digest, m.RoleARN, m.Logging, m.Tracing, m.Updated = r.UID, r.ID, r.Digest, r.RoleARN, r.Logging, r.Tracing, at
		if more, err = s.cfg.Library.add(&r); err != nil {
			return Updated{}, err
		}
	}
	out := Updated{Updated: at, RevisionID: m.ID}
	if in.Publish {
		v, ok := m.version(m.Revision)
		if !ok {
			if over(len(m.Versions), s.limits.Versions) {
				return Updated{}, tooMany("versions", s.limits.Versions)
			}
			v = m.publish(in.Description, at)
			s.counted("versions", m.ARN, len(m.Versions), s.limits.Versions)
		}
		out.VersionARN = versionARN(m.ARN, v.Number)
	}
	if changed || in.Publish {
		if err := s.save(ctx, m.ARN, m, more...); err != nil {
			return Updated{}, err
		}
		if changed {
			s.cfg.Library.put(&r)
		}
		if r.Digest != before.Digest {
			s.warnUnable(m.ARN, r.program)
		}
	}
	return out, nil
}

// DeleteStateMachine deletes a machine, its versions and its aliases. Its
// executions that still run are aborted; until that is done the machine is
// DELETING.
func (s *Service) DeleteStateMachine(ctx context.Context, arn string) error {
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return err
	}
	if err := unlabelled(ref, arn); err != nil {
		return err
	}
	if ref.Qualifier != "" {
		return invalidARN("Resource type not valid in this context: %s", arn)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	old, err := s.current(ctx, ref.Unqualified)
	if err != nil || old == nil || old.Deleting {
		return err
	}
	running := false
	for _, err := range s.cfg.Driver.List(ctx, Query{Under: old.ARN, Status: new(engine.Running)}) {
		if err != nil {
			return fmt.Errorf("delete %s: %w", arn, err)
		}
		running = true
		break
	}
	if !running {
		return s.save(ctx, old.ARN, nil)
	}
	m := old.clone()
	m.Deleting = true
	if err := s.save(ctx, m.ARN, m); err != nil {
		return err
	}
	s.wg.Go(func() { s.vacate(m.ARN) })
	return nil
}

// vacate aborts the executions of a machine that is being deleted, and then
// deletes it. If it cannot, the next Open tries again.
func (s *Service) vacate(arn string) {
	for {
		var running []string
		for x, err := range s.cfg.Driver.List(s.ctx, Query{Under: arn, Status: new(engine.Running)}) {
			if err != nil {
				s.cfg.Logger.ErrorContext(s.ctx, "cannot delete state machine", "arn", arn, "err", err)
				return
			}
			if running = append(running, x.ARN); len(running) == maxPage {
				break
			}
		}
		for _, x := range running {
			if _, _, err := s.cfg.Driver.Feed(s.ctx, x, engine.Stop{}); err != nil {
				s.cfg.Logger.ErrorContext(s.ctx, "cannot delete state machine", "arn", arn, "execution", x, "err", err)
				return
			}
		}
		if len(running) == 0 {
			break
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.save(s.ctx, arn, nil); err != nil {
		s.cfg.Logger.ErrorContext(s.ctx, "cannot delete state machine", "arn", arn, "err", err)
	}
}

// Described is a machine as DescribeStateMachine has it.
type Described struct {
	ARN         string // as it was asked for
	Name        string
	Label       string
	Express     bool
	Deleting    bool
	Created     time.Time
	Description string // of the version
	Definition  string
	MapRun      string // of a child: the ARN of its run
	Revision
	References []asl.StateReferences
}

// DescribeStateMachine describes a machine or one of its versions.
func (s *Service) DescribeStateMachine(ctx context.Context, arn string) (Described, error) {
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return Described{}, err
	}
	m := s.machine(ref.Unqualified)
	if m == nil {
		return Described{}, noMachine(arn)
	}
	d := Described{ARN: arn, Name: m.Name, Label: ref.Label, Express: m.Express, Deleting: m.Deleting, Created: m.Created}
	uid := m.Revision
	if ref.Qualifier != "" {
		v, ok := m.qualified(ref)
		if !ok {
			return Described{}, noMachine(arn)
		}
		uid, d.Created, d.Description = v.Revision, v.Created, v.Description
	}
	r, err := s.cfg.Library.revision(ctx, uid)
	if err != nil {
		return Described{}, err
	}
	if ref.Label != "" && !hasLabel(&r.program.Machine, ref.Label) {
		return Described{}, noMachine(arn)
	}
	d.Revision, d.Definition, d.References = *r, r.definition, r.program.References
	return d, nil
}

func hasLabel(m *asl.Machine, label string) bool {
	for _, st := range m.States {
		if st.Map != nil && (st.Map.Distributed && engine.Label(st) == label || hasLabel(&st.Map.Processor, label)) {
			return true
		}
		for i := range st.Branches {
			if hasLabel(&st.Branches[i], label) {
				return true
			}
		}
	}
	return false
}

// qualified is the version that a qualifier names: itself, not an alias's.
func (m *Machine) qualified(ref MachineARN) (Version, bool) {
	n, ok := ref.Version()
	if !ok {
		return Version{}, false
	}
	i := slices.IndexFunc(m.Versions, func(v Version) bool { return v.Number == n })
	if i < 0 {
		return Version{}, false
	}
	return m.Versions[i], true
}

// Listing is a page of a list.
type Listing[T any] struct {
	Items []T
	Next  string // token of the next page; "" if there is none
}

// ListStateMachines lists the machines of a scope by name.
func (s *Service) ListStateMachines(ctx context.Context, scope Scope, p Page) (Listing[*Machine], error) {
	call := []string{"ListStateMachines", scope.Region, scope.Account}
	after, err := p.place(call...)
	if err != nil {
		return Listing[*Machine]{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var l Listing[*Machine]
	arns := within(s.sorted, scope.machine(""), after)
	for i, a := range arns {
		if i == p.size() {
			l.Next = token(arns[i-1], call...)
			break
		}
		l.Items = append(l.Items, s.machines[a])
	}
	return l, nil
}

func (s *Service) checkTags(tags []Tag) error {
	if n := s.limits.Tags; n > 0 && len(tags) > n {
		return fault.Newf("TooManyTags", "The number of tags exceeds the limit of %d", n)
	}
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalid("Tag keys starting with 'aws:' are reserved for AWS use: '%s'", t.Key)
		}
	}
	return nil
}

// merge adds tags to others; a key that is there gets the new value.
func merge(tags, more []Tag) []Tag {
	out := slices.Clone(tags)
	for _, t := range more {
		if i := slices.IndexFunc(out, func(o Tag) bool { return o.Key == t.Key }); i >= 0 {
			out[i].Value = t.Value
		} else {
			out = append(out, t)
		}
	}
	return out
}

func noResource(arn string) error {
	return fault.Newf("ResourceNotFound", "Resource not found: '%s'", arn)
}

// Tags lists the tags of a machine or an activity.
func (s *Service) Tags(ctx context.Context, arn string) ([]Tag, error) {
	_, kind, _, err := parseARN(arn, "stateMachine", "activity")
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if kind == "activity" {
		if a := s.acts[arn]; a != nil {
			return a.Tags, nil
		}
	} else if m := s.machines[arn]; m != nil {
		return m.Tags, nil
	}
	return nil, noResource(arn)
}

// Retag changes the tags of a machine or an activity.
func (s *Service) Retag(ctx context.Context, arn string, add []Tag, remove []string) error {
	_, kind, _, err := parseARN(arn, "stateMachine", "activity")
	if err != nil {
		return err
	}
	if err := s.checkTags(add); err != nil {
		return err
	}
	change := func(tags []Tag) ([]Tag, error) {
		tags = slices.DeleteFunc(merge(tags, add), func(t Tag) bool { return slices.Contains(remove, t.Key) })
		return tags, s.checkTags(tags)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if kind == "activity" {
		a, err := s.currentActivity(ctx, arn)
		if err != nil {
			return err
		}
		if a == nil {
			return noResource(arn)
		}
		c := *a
		if c.Tags, err = change(a.Tags); err != nil {
			return err
		}
		return s.saveActivity(ctx, arn, &c)
	}
	m, err := s.current(ctx, arn)
	if err != nil {
		return err
	}
	if m == nil {
		return noResource(arn)
	}
	c := m.clone()
	if c.Tags, err = change(m.Tags); err != nil {
		return err
	}
	return s.save(ctx, arn, c)
}
