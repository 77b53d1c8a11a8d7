package sfn

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/value"
)

// violation is a value that breaks one constraint of a shape, and what AWS says.
type violation struct {
	v    value.Value
	path string // of what is wrong inside of v, "" if v itself
	says string
}

// violations are values that break each constraint of a shape, one at a time.
func violations(s *shape) (all []violation) {
	add := func(v value.Value, format string, args ...any) {
		all = append(all, violation{v, "", fmt.Sprintf("failed to satisfy constraint: Member must "+format, args...)})
	}
	inside := func(at string, wrap func(value.Value) value.Value, in []violation) {
		for _, x := range in {
			all = append(all, violation{wrap(x.v), strings.TrimSuffix(at+"."+x.path, "."), x.says})
		}
	}
	switch s.kind {
	case text:
		if s.max > 0 {
			add(value.String(strings.Repeat("a", s.max+1)), "have length less than or equal to %d", s.max)
		}
		if s.min > 0 {
			add(value.String(""), "have length greater than or equal to %d", s.min)
		}
		if s.enum != nil {
			add(value.String("NONE OF THEM"), "satisfy enum value set: [%s]", strings.Join(s.enum, ", "))
		}
		if s.pattern != "" {
			add(value.String("é 1"), "satisfy regular expression pattern: %s", s.pattern)
		}
	case integer, number:
		if s.bounded && s.max < math.MaxInt32 {
			add(value.Int(int64(s.max)+1), "have value less than or equal to %d", s.max)
		}
		add(value.Int(int64(s.min)-1), "have value greater than or equal to %d", s.min)
	case list:
		one := value.Object()
		if s.elem.kind == text {
			one = value.String("a")
		}
		if s.max > 0 {
			many := make([]value.Value, s.max+1)
			for i := range many {
				many[i] = one
			}
			add(value.Array(many...), "have length less than or equal to %d", s.max)
		}
		if s.min > 0 {
			add(value.Array(), "have length greater than or equal to %d", s.min)
		}
		inside("1.member", func(v value.Value) value.Value { return value.Array(v) }, violations(s.elem))
	case structure:
		for i := range s.members {
			m := &s.members[i]
			if m.required {
				all = append(all, violation{value.Object(), m.name, "failed to satisfy constraint: Member must not be null"})
			}
			inside(m.name, func(v value.Value) value.Value { return value.Object(value.Member{Key: m.name, Value: v}) }, violations(&m.shape))
		}
	}
	return all
}

// What breaks a constraint of any member of any request is refused in AWS's words,
// which name its path.
func TestConstraints(t *testing.T) {
	n := 0
	for _, o := range operations {
		for _, x := range violations(&shape{kind: structure, members: o.in}) {
			n++
			err := check(x.v, o.in, data.max)
			said := " at '" + x.path + "' " + x.says
			if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), said) {
				t.Errorf("%s: %v does not say%s", o.name, err, said)
			}
			first := "1 validation error detected: "
			if i := strings.Count(err.Error(), "failed to satisfy"); i > 1 {
				first = fmt.Sprintf("%d validation errors detected: ", i)
			}
			if !strings.HasPrefix(err.Error(), "ValidationException: "+first) {
				t.Errorf("%s: %v", o.name, err)
			}
		}
	}
	if n < 100 {
		t.Errorf("%d constraints were tried", n)
	}
}
