package flow

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/fault"
)

// Alias is a name for one or two versions.
type Alias struct {
	Name        string
	Description string
	Routes      []Route
	Created     time.Time
	Updated     time.Time
}

// Route sends a part of the starts to a version.
type Route struct {
	VersionARN string
	Weight     int // of 100
}

func versionARN(machine string, n int64) string { return machine + ":" + strconv.FormatInt(n, 10) }

func tooMany(what string, n int) error {
	return fault.Newf("ServiceQuotaExceededException", "The maximum number of %s has been reached. Maximum: %d", what, n)
}

func noReference() error {
	return fault.Newf("ResourceNotFound", "Request references a resource that does not exist.")
}

// publish adds a version of the current revision. m is the caller's own.
func (m *Machine) publish(description string, at time.Time) Version {
	m.LastVersion++
	v := Version{Number: m.LastVersion, Revision: m.Revision, Description: description, Created: at}
	m.Versions = append(m.Versions, v)
	return v
}

// version is the newest version of a revision.
func (m *Machine) version(revision string) (Version, bool) {
	for _, v := range slices.Backward(m.Versions) {
		if v.Revision == revision {
			return v, true
		}
	}
	return Version{}, false
}

// change reads a machine, changes a copy, and saves it; f returns false if there
// is nothing to save.
func (s *Service) change(ctx context.Context, arn string, missing func() error, f func(m *Machine) (bool, error)) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	old, err := s.current(ctx, arn)
	if err != nil {
		return err
	}
	if old == nil {
		return missing()
	}
	m := old.clone()
	save, err := f(m)
	if err != nil || !save {
		return err
	}
	return s.save(ctx, arn, m)
}

// PublishStateMachineVersion publishes the current revision, or finds the
// version that it has already. revision, if not "", must be its revisionId.
func (s *Service) PublishStateMachineVersion(ctx context.Context, arn, revision, description string) (versionArn string, created time.Time, err error) {
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return "", created, err
	}
	if err := unlabelled(ref, arn); err != nil {
		return "", created, err
	}
	if ref.Qualifier != "" {
		return "", created, noMachine(arn)
	}
	err = s.change(ctx, ref.Unqualified, func() error { return noMachine(arn) }, func(m *Machine) (bool, error) {
		if m.Deleting {
			return false, deleting(arn)
		}
		current := cmp.Or(m.ID, "INITIAL")
		if revision != "" && revision != current {
			return false, fault.Newf("ConflictException", "Failed to publish the State Machine version for revision %s. The current State Machine revision is %s.", revision, current)
		}
		v, there := m.version(m.Revision)
		if !there {
			if over(len(m.Versions), s.limits.Versions) {
				return false, tooMany("versions", s.limits.Versions)
			}
			v = m.publish(description, now())
			s.counted("versions", m.ARN, len(m.Versions), s.limits.Versions)
		}
		versionArn, created = versionARN(m.ARN, v.Number), v.Created
		return !there, nil
	})
	return versionArn, created, err
}

// DeleteStateMachineVersion deletes a version that no alias refers to.
func (s *Service) DeleteStateMachineVersion(ctx context.Context, arn string) error {
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return err
	}
	n, ok := ref.Version()
	if !ok {
		return invalidARN("Resource type not valid in this context: %s", arn)
	}
	return s.change(ctx, ref.Unqualified, func() error { return nil }, func(m *Machine) (bool, error) {
		var by []string
		for _, a := range m.Aliases {
			if slices.ContainsFunc(a.Routes, func(r Route) bool { return r.VersionARN == arn }) {
				by = append(by, a.Name)
			}
		}
		if len(by) > 0 {
			return false, fault.Newf("ConflictException", "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [%s]", strings.Join(by, ", "))
		}
		before := len(m.Versions)
		m.Versions = slices.DeleteFunc(m.Versions, func(v Version) bool { return v.Number == n })
		return len(m.Versions) != before, nil
	})
}

// ListStateMachineVersions lists versions, the newest first.
func (s *Service) ListStateMachineVersions(ctx context.Context, arn string, p Page) (Listing[Version], error) {
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return Listing[Version]{}, err
	}
	call := []string{"ListStateMachineVersions", arn}
	after, err := p.place(call...)
	if err != nil {
		return Listing[Version]{}, err
	}
	last := int64(-1)
	if after != "" {
		if last, err = strconv.ParseInt(after, 10, 64); err != nil {
			return Listing[Version]{}, fault.Newf("InvalidToken", "Invalid Token: 'Invalid token'")
		}
	}
	var l Listing[Version]
	m := s.machine(ref.Unqualified)
	if m == nil {
		return l, nil // AWS lists nothing rather than refusing
	}
	for _, v := range slices.Backward(m.Versions) {
		if last >= 0 && v.Number >= last {
			continue
		}
		if len(l.Items) == p.size() {
			l.Next = token(strconv.FormatInt(l.Items[len(l.Items)-1].Number, 10), call...)
			break
		}
		l.Items = append(l.Items, v)
	}
	return l, nil
}

// CreateStateMachineAlias makes an alias for versions of the machine that they
// belong to, or finds the same one.
func (s *Service) CreateStateMachineAlias(ctx context.Context, name, description string, routes []Route) (arn string, created time.Time, err error) {
	machine, err := checkRoutes(routes)
	if err != nil {
		return "", created, err
	}
	err = s.change(ctx, machine, noReference, func(m *Machine) (bool, error) {
		if m.Deleting {
			return false, deleting(machine)
		}
		if err := m.checkVersions(routes); err != nil {
			return false, err
		}
		arn = machine + ":" + name
		if i := m.alias(name); i >= 0 {
			a := m.Aliases[i]
			if a.Description != description || !slices.Equal(a.Routes, routes) {
				return false, fault.Newf("ConflictException", "Failed to create alias because an alias with the same name and a different routing configuration already exists.")
			}
			created = a.Created
			return false, nil
		}
		if over(len(m.Aliases), s.limits.Aliases) {
			return false, tooMany("aliases", s.limits.Aliases)
		}
		s.counted("aliases", m.ARN, len(m.Aliases)+1, s.limits.Aliases)
		created = now()
		m.Aliases = append(m.Aliases, Alias{Name: name, Description: description, Routes: routes, Created: created, Updated: created})
		return true, nil
	})
	return arn, created, err
}

// checkRoutes returns the machine that the routes' versions belong to.
func checkRoutes(routes []Route) (machine string, err error) {
	var arns []string
	var weights []string
	sum, versions, same := 0, true, true
	for _, r := range routes {
		ref, err := ParseMachineARN(r.VersionARN)
		if err != nil {
			return "", err
		}
		if _, ok := ref.Version(); !ok {
			versions = false
		}
		if machine != "" && machine != ref.Unqualified {
			same = false
		}
		machine = ref.Unqualified
		arns = append(arns, r.VersionARN)
		weights = append(weights, strconv.Itoa(r.Weight))
		sum += r.Weight
	}
	list := "[" + strings.Join(arns, ", ") + "]"
	reason := func(format string, args ...any) error {
		f := fault.Newf("ValidationException", format, args...)
		return withReason(f, "INVALID_ROUTING_CONFIGURATION")
	}
	switch {
	case !versions:
		return "", reason("Routing configuration must contain state machine version ARNs. Received: %s", list)
	case len(routes) == 2 && arns[0] == arns[1]:
		return "", reason("Routing configuration must contain distinct state machine version ARNs. Received: %s", list)
	case !same:
		return "", reason("Routing configuration must contain versions of the same state machine. Received: %s", list)
	case sum != 100:
		return "", reason("Sum of routing configuration weights must equal 100. Received: [%s]", strings.Join(weights, ", "))
	}
	return machine, nil
}

func (m *Machine) alias(name string) int {
	return slices.IndexFunc(m.Aliases, func(a Alias) bool { return a.Name == name })
}

func (m *Machine) checkVersions(routes []Route) error {
	for _, r := range routes {
		ref, err := ParseMachineARN(r.VersionARN)
		if err != nil {
			return err
		}
		if _, ok := m.qualified(ref); !ok {
			return noReference()
		}
	}
	return nil
}

// parseAlias is an alias's ARN.
func parseAlias(arn string) (MachineARN, error) {
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return ref, err
	}
	if _, version := ref.Version(); ref.Qualifier == "" || version {
		return ref, invalidARN("Resource type not valid in this context: %s", arn)
	}
	return ref, nil
}

// UpdateStateMachineAlias changes an alias; nil members stay.
func (s *Service) UpdateStateMachineAlias(ctx context.Context, arn string, description *string, routes []Route) (updated time.Time, err error) {
	ref, err := parseAlias(arn)
	if err != nil {
		return updated, err
	}
	if description == nil && routes == nil {
		f := fault.Newf("ValidationException", "Either the description or the routing configuration must be specified")
		return updated, withReason(f, "MISSING_REQUIRED_PARAMETER")
	}
	if routes != nil {
		machine, err := checkRoutes(routes)
		if err != nil {
			return updated, err
		}
		if machine != ref.Unqualified {
			return updated, noReference()
		}
	}
	err = s.change(ctx, ref.Unqualified, noReference, func(m *Machine) (bool, error) {
		i := m.alias(ref.Qualifier)
		if i < 0 {
			return false, noReference()
		}
		if m.Deleting {
			return false, deleting(arn)
		}
		a := &m.Aliases[i]
		if routes != nil {
			if err := m.checkVersions(routes); err != nil {
				return false, err
			}
			a.Routes = routes
		}
		if description != nil {
			a.Description = *description
		}
		updated = now()
		a.Updated = updated
		return true, nil
	})
	return updated, err
}

// DeleteStateMachineAlias deletes an alias, if there is one.
func (s *Service) DeleteStateMachineAlias(ctx context.Context, arn string) error {
	ref, err := parseAlias(arn)
	if err != nil {
		return err
	}
	return s.change(ctx, ref.Unqualified, func() error { return nil }, func(m *Machine) (bool, error) {
		i := m.alias(ref.Qualifier)
		if i < 0 {
			return false, nil
		}
		m.Aliases = slices.Delete(m.Aliases, i, i+1)
		return true, nil
	})
}

// DescribeStateMachineAlias describes an alias.
func (s *Service) DescribeStateMachineAlias(ctx context.Context, arn string) (Alias, error) {
	ref, err := parseAlias(arn)
	if err != nil {
		return Alias{}, err
	}
	if m := s.machine(ref.Unqualified); m != nil {
		if i := m.alias(ref.Qualifier); i >= 0 {
			return m.Aliases[i], nil
		}
	}
	return Alias{}, noReference()
}

// ListStateMachineAliases lists a machine's or a version's aliases, the oldest
// first.
func (s *Service) ListStateMachineAliases(ctx context.Context, arn string, p Page) (Listing[Alias], error) {
	var l Listing[Alias]
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return l, err
	}
	call := []string{"ListStateMachineAliases", arn}
	after, err := p.place(call...)
	if err != nil {
		return l, err
	}
	m := s.machine(ref.Unqualified)
	if m == nil {
		return l, noMachine(arn)
	}
	if m.Deleting {
		return l, deleting(arn)
	}
	if ref.Qualifier != "" {
		if _, ok := m.qualified(ref); !ok {
			return l, noReference()
		}
	}
	for _, a := range m.Aliases {
		at := fmt.Sprintf("%020d %s", a.Created.UnixNano(), a.Name)
		if at <= after || ref.Qualifier != "" && !slices.ContainsFunc(a.Routes, func(r Route) bool { return r.VersionARN == arn }) {
			continue
		}
		if len(l.Items) == p.size() {
			last := l.Items[len(l.Items)-1]
			l.Next = token(fmt.Sprintf("%020d %s", last.Created.UnixNano(), last.Name), call...)
			break
		}
		l.Items = append(l.Items, a)
	}
	return l, nil
}

// target is what a start is sent to.
type target struct {
	machine           *Machine
	revision          string
	version, aliasARN string
}

// resolve finds the revision that an unqualified, a version's or an alias's ARN
// means now.
func (s *Service) resolve(arn string) (target, error) {
	ref, err := ParseMachineARN(arn)
	if err != nil {
		return target{}, err
	}
	if err := unlabelled(ref, arn); err != nil {
		return target{}, err
	}
	m := s.machine(ref.Unqualified)
	if m == nil {
		return target{}, noMachine(arn)
	}
	if m.Deleting {
		return target{}, deleting(arn)
	}
	t := target{machine: m, revision: m.Revision}
	if ref.Qualifier == "" {
		return t, nil
	}
	if _, version := ref.Version(); !version {
		i := m.alias(ref.Qualifier)
		if i < 0 {
			return target{}, noMachine(arn)
		}
		t.aliasARN = arn
		at := rand.IntN(100)
		for _, r := range m.Aliases[i].Routes {
			if t.version = r.VersionARN; at < r.Weight {
				break
			}
			at -= r.Weight
		}
		if ref, err = ParseMachineARN(t.version); err != nil {
			return target{}, err
		}
	} else {
		t.version = arn
	}
	v, ok := m.qualified(ref)
	if !ok {
		return target{}, noMachine(arn)
	}
	t.revision = v.Revision
	return t, nil
}
