package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"tokaido/arn"
	"tokaido/asl"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/value"
)

// Mocks are the test cases of a mock configuration file of Step Functions Local:
// what Tasks return or throw, by the state, in executions that were started as
// stateMachineArn#TestCase. A Task that is mocked calls nobody, so no role is
// assumed and nothing is recorded. nil has no test cases.
type Mocks struct {
	machines map[string]map[string][]mockedState // by the machine's name and the test case's
}

type mockedState struct {
	name     string
	named    string // the mocked response
	response *mockedResponse
}

// mockedResponse is what the invocations of a state get. They are numbered from
// 0; the spans are in order and leave none out.
type mockedResponse struct{ spans []mockedSpan }

type mockedSpan struct {
	first, last int
	out         value.Value
	fail        *flow.TaskError // nil: out
}

// Bounds of a mock file.
const (
	maxMocks       = 64 << 20  // bytes
	maxInvocations = 1_000_000 // that a response may count to
)

// ReadMocks reads a mock file.
func ReadMocks(file string) (*Mocks, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxMocks {
		return nil, fmt.Errorf("%s: has %d bytes, %d are read", file, info.Size(), maxMocks)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := ParseMocks(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// ParseMocks reads the text of a mock file. It reports everything that is wrong
// with it.
func ParseMocks(b []byte) (*Mocks, error) {
	v, err := value.Parse(b)
	if err != nil {
		return nil, err
	}
	p := mockParser{responses: map[string]*mockedResponse{}}
	p.unique(b)
	top := p.object("", v, "StateMachines", "MockedResponses")
	m := &Mocks{machines: map[string]map[string][]mockedState{}}
	for _, r := range p.members("MockedResponses", top["MockedResponses"]) {
		p.responses[r.Key] = p.response("MockedResponses."+r.Key, r.Value)
	}
	for _, machine := range p.members("StateMachines", top["StateMachines"]) {
		at := "StateMachines." + machine.Key
		cases := map[string][]mockedState{}
		m.machines[machine.Key] = cases
		at += ".TestCases"
		for _, c := range p.members(at, p.object("StateMachines."+machine.Key, machine.Value, "TestCases")["TestCases"]) {
			cases[c.Key] = p.testCase(at+"."+c.Key, c.Value)
		}
	}
	return m, errors.Join(p.errs...)
}

type mockParser struct {
	responses map[string]*mockedResponse
	errs      []error
}

func (p *mockParser) bad(at, format string, args ...any) {
	if at == "" {
		at = "the file"
	}
	p.errs = append(p.errs, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// unique refuses objects that have a member twice, of which a value has one.
func (p *mockParser) unique(b []byte) {
	type level struct {
		at   string
		seen map[string]bool // nil: of an array
		key  string
		next bool // a key comes next
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber() // of any size
	stack := []level{{}}
	for {
		token, err := dec.Token()
		if err != nil {
			return // the end: b is JSON
		}
		l := &stack[len(stack)-1]
		at := strings.Trim(l.at+"."+l.key, ".")
		switch token {
		case json.Delim('{'):
			l.next = l.seen != nil
			stack = append(stack, level{at: at, seen: map[string]bool{}, next: true})
		case json.Delim('['):
			l.next = l.seen != nil
			stack = append(stack, level{at: at})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		default:
			key, _ := token.(string)
			switch {
			case !l.next:
				l.next = l.seen != nil
			case l.seen[key]:
				p.bad(l.at, "has the member %q twice", key)
				fallthrough
			default:
				l.seen[key], l.key, l.next = true, key, false
			}
		}
	}
}

// members are those of an object.
func (p *mockParser) members(at string, v value.Value) (all []value.Member) {
	if v.IsUndefined() {
		return nil // object has said so
	}
	if !v.IsObject() {
		p.bad(at, "is not an object")
		return nil
	}
	for k, x := range v.Members() {
		all = append(all, value.Member{Key: k, Value: x})
	}
	return all
}

// object is an object that must have these members and no others.
func (p *mockParser) object(at string, v value.Value, names ...string) map[string]value.Value {
	m := map[string]value.Value{}
	for _, x := range p.members(at, v) {
		if !slices.Contains(names, x.Key) {
			p.bad(at, "the member %q is not known; it has %s", x.Key, strings.Join(names, " and "))
			continue
		}
		m[x.Key] = x.Value
	}
	for _, name := range names {
		if _, ok := m[name]; !ok && v.IsObject() {
			p.bad(at, "the member %q is missing", name)
		}
	}
	return m
}

func (p *mockParser) testCase(at string, v value.Value) (states []mockedState) {
	for _, s := range p.members(at, v) {
		at := at + "." + s.Key
		if !s.Value.IsString() {
			p.bad(at, "is not the name of a mocked response: %s", s.Value)
			continue
		}
		r, ok := p.responses[s.Value.Str()]
		if !ok {
			p.bad(at, "MockedResponses has no %q", s.Value.Str())
			continue
		}
		states = append(states, mockedState{s.Key, s.Value.Str(), r})
	}
	return states
}

func (p *mockParser) response(at string, v value.Value) *mockedResponse {
	r := new(mockedResponse)
	for _, x := range p.members(at, v) {
		at := at + "." + x.Key
		first, last, ok := span(x.Key)
		if !ok {
			p.bad(at, "%q is not the number of an invocation, like 0, or a range of them, like 1-2", x.Key)
			continue
		}
		s := mockedSpan{first: first, last: last}
		m := p.members(at, x.Value)
		switch {
		case !x.Value.IsObject():
			continue
		case len(m) != 1 || m[0].Key != "Return" && m[0].Key != "Throw":
			p.bad(at, "must have one member, Return or Throw")
			continue
		case m[0].Key == "Return":
			s.out = m[0].Value
		default:
			t := p.object(at+".Throw", m[0].Value, "Error", "Cause")
			for _, name := range [...]string{"Error", "Cause"} {
				if v, ok := t[name]; ok && !v.IsString() {
					p.bad(at+".Throw."+name, "is not a text: %s", v)
				}
			}
			s.fail = &flow.TaskError{Name: t["Error"].Str(), Cause: t["Cause"].Str()}
		}
		r.spans = append(r.spans, s)
	}
	slices.SortFunc(r.spans, func(a, b mockedSpan) int { return a.first - b.first })
	next := 0
	for _, s := range r.spans {
		switch {
		case s.first < next:
			p.bad(at, "has two responses for the invocation %d", s.first)
		case s.first > next:
			p.bad(at, "has no response for the invocation %d", next)
		}
		next = max(next, s.last+1)
	}
	if len(r.spans) == 0 && v.IsObject() && v.Len() == 0 {
		p.bad(at, "has no response for the invocation 0")
	}
	return r
}

// span reads "3" or "1-2".
func span(s string) (first, last int, ok bool) {
	a, b, ranged := strings.Cut(s, "-")
	if !ranged {
		b = a
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || strconv.Itoa(n) != s || n < 0 || n >= maxInvocations {
			return -1
		}
		return n
	}
	first, last = number(a), number(b)
	return first, last, first >= 0 && first <= last
}

// TestCase refuses a test case that an execution of p, the machine of that name,
// cannot be started with. It is flow.Config's.
func (m *Mocks) TestCase(name, testCase string, p *asl.Program) error {
	bad := func(format string, args ...any) error {
		return fault.Newf("InvalidName", "Invalid Name: '%s#%s': %s", name, testCase, fmt.Sprintf(format, args...))
	}
	if m == nil {
		return bad("there are no mocks: set mocks in tokaido.yaml, or SFN_MOCK_CONFIG")
	}
	cases, ok := m.machines[name]
	if !ok {
		return bad("the mocks have no state machine '%s'", name)
	}
	states, ok := cases[testCase]
	if !ok {
		return bad("the mocks have no such test case")
	}
	for _, s := range states {
		switch st := p.State(s.name); {
		case st == nil:
			return bad("the test case mocks the state '%s', which the definition does not have", s.name)
		case st.Task == nil:
			return bad("the test case mocks the state '%s', which is a %s state: only Task states can be mocked", s.name, st.Type)
		case st.Task.Kind == asl.ActivityTask:
			return bad("the test case mocks the state '%s', whose activity has workers: it cannot be mocked", s.name)
		}
	}
	return nil
}

// Over performs Tasks as the mocks say, and all others as t does.
func (m *Mocks) Over(t Table) flow.Invoker { return mocking{t, m} }

type mocking struct {
	Table
	mocks *Mocks
}

var _ flow.Watcher = mocking{}

// find is what a task's state is mocked with; nil if it is not. A test case that
// is no longer there fails the task: it may have been mocked, and must not be
// performed then.
func (m *Mocks) find(t *flow.Task) (*mockedState, error) {
	if t.TestCase == "" {
		return nil, nil
	}
	a, err := arn.Parse(t.MachineARN)
	if err != nil {
		return nil, err
	}
	_, name := a.Split()
	name, _, _ = strings.Cut(name, "/") // of the machine, in the children of its distributed Map too
	var states []mockedState
	there := false
	if m != nil {
		states, there = m.machines[name][t.TestCase]
	}
	if !there {
		return nil, &flow.TaskError{Name: "States.Runtime",
			Cause: fmt.Sprintf("The mocks no longer have the test case '%s' of the state machine '%s'.", t.TestCase, name)}
	}
	if i := slices.IndexFunc(states, func(s mockedState) bool { return s.name == t.State }); i >= 0 {
		return &states[i], nil
	}
	return nil, nil
}

// Invoke implements [flow.Invoker].
func (m mocking) Invoke(ctx context.Context, t flow.Task) (value.Value, error) {
	s, err := m.mocks.find(&t)
	switch {
	case err != nil:
		return value.Value{}, err
	case s == nil:
		return m.Table.Invoke(ctx, t)
	}
	for _, x := range s.response.spans {
		if t.Nth > x.last {
			continue
		}
		if x.fail != nil {
			return value.Value{}, x.fail
		}
		return x.out, nil
	}
	return value.Value{}, &flow.TaskError{Name: "States.Runtime",
		Cause: fmt.Sprintf("The mocked response '%s' of the state '%s' in the test case '%s' has nothing for the invocation %d.", s.named, t.State, t.TestCase, t.Nth)}
}

// Watched implements [flow.Watcher].
func (m mocking) Watched(t flow.Task, submitted value.Value) string {
	if s, err := m.mocks.find(&t); err != nil || s != nil {
		return ""
	}
	return m.Table.Watched(t, submitted)
}

// Await implements [flow.Awaiter]: what is mocked has ended already.
func (m mocking) Await(ctx context.Context, t flow.Task, submitted value.Value) (value.Value, error) {
	if s, err := m.mocks.find(&t); err != nil || s != nil {
		return submitted, err
	}
	return m.Table.Await(ctx, t, submitted)
}
