package flow

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tokaido/arn"
	"tokaido/fault"
)

// Scope is where something is made: whose, and in which Region.
type Scope struct{ Region, Account string }

func (s Scope) machine(name string) string {
	return arn.New("states", s.Region, s.Account, "stateMachine:"+name).String()
}

func (s Scope) activity(name string) string {
	return arn.New("states", s.Region, s.Account, "activity:"+name).String()
}

// maxName is the length of a machine's, an execution's and an activity's name.
const maxName = 80

// checkName refuses what AWS refuses in names.
func checkName(name string) error {
	bad := name == "" || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, func(r rune) bool {
		switch {
		case r <= 0x20, r >= 0x7f && r <= 0x9f, r == 0xfffe, r == 0xffff, r == 0xfffd, r >= 0x10ffff:
			return true
		case r == 0x85 || r == 0xa0 || r == 0x1680 || r >= 0x2000 && r <= 0x200a || r == 0x2028 || r == 0x2029 || r == 0x202f || r == 0x205f || r == 0x3000:
			return true // white space
		}
		return strings.ContainsRune("?*<>{}[]\"#%\\^|~`$&,;:/", r)
	})
	if bad {
		return fault.Newf("InvalidName", "Invalid Name: '%s'", name)
	}
	return nil
}

func invalidARN(format string, args ...any) error {
	return fault.Newf("InvalidArn", "Invalid Arn: '"+format+"'", args...)
}

// parseARN is an ARN of Step Functions whose resource is of one of the kinds.
func parseARN(s string, kinds ...string) (a arn.ARN, kind, rest string, err error) {
	if !strings.HasPrefix(s, "arn:") {
		return a, "", "", invalidARN("Invalid ARN prefix: %s", s)
	}
	a, perr := arn.Parse(s)
	if perr != nil {
		return a, "", "", invalidARN("Invalid ARN: %s", s)
	}
	if a.Service != "states" {
		return a, "", "", invalidARN("Invalid ARN service: %s", s)
	}
	kind, rest, _ = strings.Cut(a.Resource, ":")
	if slices.Contains(kinds, kind) {
		return a, kind, rest, nil
	}
	return a, kind, rest, invalidARN("Resource type not valid in this context: %s", kind)
}

// MachineARN is the parts of a machine's ARN.
type MachineARN struct {
	Unqualified string // without label and qualifier
	Name        string
	Label       string // of a distributed Map: …:stateMachine:name/label
	Qualifier   string // a version's number or an alias's name, "" if none
}

// Version is the qualifier as a version's number; ok is false for an alias.
func (m MachineARN) Version() (n int64, ok bool) {
	n, err := strconv.ParseInt(m.Qualifier, 10, 64)
	return n, err == nil && n > 0
}

// ParseMachineARN takes a machine's, a version's or an alias's ARN apart.
func ParseMachineARN(s string) (MachineARN, error) {
	a, _, rest, err := parseARN(s, "stateMachine")
	if err != nil {
		return MachineARN{}, err
	}
	name, qualifier, qualified := strings.Cut(rest, ":")
	name, label, labelled := strings.Cut(name, "/")
	if name == "" || qualified && (qualifier == "" || strings.Contains(qualifier, ":")) || labelled && label == "" {
		return MachineARN{}, invalidARN("Invalid ARN: %s", s)
	}
	a.Resource = "stateMachine:" + name
	return MachineARN{Unqualified: a.String(), Name: name, Label: label, Qualifier: qualifier}, nil
}

// unlabelled refuses ARNs that name a distributed Map.
func unlabelled(m MachineARN, s string) error {
	if m.Label == "" {
		return nil
	}
	f := fault.Newf("ValidationException", "The operation is not supported for labelled state machine ARNs: '%s'", s)
	return withReason(f, "API_DOES_NOT_SUPPORT_LABELED_ARNS")
}

// ExecutionARN is the parts of a Standard execution's ARN.
type ExecutionARN struct {
	Machine string // the machine's ARN
	Name    string
}

// ParseExecutionARN takes a Standard execution's ARN apart.
func ParseExecutionARN(s string) (ExecutionARN, error) {
	a, _, rest, err := parseARN(s, "execution")
	if err != nil {
		return ExecutionARN{}, err
	}
	machine, name, ok := strings.Cut(rest, ":")
	if !ok || machine == "" || name == "" {
		return ExecutionARN{}, invalidARN("Invalid ARN: %s", s)
	}
	a.Resource = "stateMachine:" + machine
	return ExecutionARN{Machine: a.String(), Name: name}, nil
}

// executionARN is the ARN of a machine's execution; unique is the last part of
// an Express one's.
func executionARN(machine, name, unique string) string {
	kind, tail := ":execution:", name
	if unique != "" {
		kind, tail = ":express:", name+":"+unique
	}
	return strings.Replace(machine, ":stateMachine:", kind, 1) + ":" + tail
}

// CheckMapRunARN refuses what is not the ARN of a Map Run.
func CheckMapRunARN(s string) error {
	_, _, _, err := parseARN(s, "mapRun")
	return err
}
