package asl

import (
	"strings"
	"time"
	"unicode/utf16"

	"tokaido/jsonpath"
	"tokaido/value"
)

// Condition is the test of a Choice rule.
type Condition struct {
	field *Field // JSONata: a boolean or an expression
	rule  *rule  // JSONPath
}

// Eval reports whether the rule applies.
func (c *Condition) Eval(s *Scope) (bool, *Failure) {
	if c.rule != nil {
		return c.rule.eval(s)
	}
	v, fail := c.field.Eval(s)
	if fail != nil {
		return false, fail
	}
	if v.Kind() != value.KindBool {
		return false, c.field.query().wrongType("boolean", v)
	}
	return v.Bool(), nil
}

// rule is a comparison, or rules combined.
type rule struct {
	kind     ruleKind
	kids     []*rule // and, or: any number; not: one
	variable *jsonpath.Path
	op       *operator
	operand  value.Value    // a constant
	time     time.Time      // the constant of a timestamp operator
	path     *jsonpath.Path // of a Path operator
}

type ruleKind uint8

const (
	test ruleKind = iota
	and
	or
	not
)

// family is the type of an operator's operands.
type family uint8

const (
	textual family = iota
	pattern
	numeric
	boolean
	temporal
	typed // IsString and its kin: the operand is a boolean
)

// relation is how an operator compares.
type relation uint8

const (
	equal relation = iota
	less
	greater
	atMost
	atLeast
)

type operator struct {
	name     string
	family   family
	relation relation
	path     bool // the operand is a path
}

// operators are all there are, in the order of the language's specification.
var operators = allOperators()

func allOperators() []operator {
	var out []operator
	for _, f := range []struct {
		name   string
		family family
	}{{"String", textual}, {"Numeric", numeric}, {"Boolean", boolean}, {"Timestamp", temporal}} {
		for _, r := range []struct {
			name     string
			relation relation
		}{{"Equals", equal}, {"LessThan", less}, {"GreaterThan", greater}, {"LessThanEquals", atMost}, {"GreaterThanEquals", atLeast}} {
			if f.family == boolean && r.relation != equal {
				break
			}
			out = append(out,
				operator{f.name + r.name, f.family, r.relation, false},
				operator{f.name + r.name + "Path", f.family, r.relation, true})
		}
		if f.family == textual {
			out = append(out, operator{name: "StringMatches", family: pattern})
		}
	}
	for _, name := range []string{"IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"} {
		out = append(out, operator{name: name, family: typed})
	}
	return out
}

func operatorNamed(name string) *operator {
	for i := range operators {
		if operators[i].name == name {
			return &operators[i]
		}
	}
	return nil
}

func (r *rule) eval(s *Scope) (bool, *Failure) {
	switch r.kind {
	case and, or:
		for _, k := range r.kids {
			if ok, fail := k.eval(s); fail != nil || ok == (r.kind == or) {
				return ok, fail
			}
		}
		return r.kind == and, nil
	case not:
		ok, fail := r.kids[0].eval(s)
		return !ok, fail
	}
	v, err := s.follow(r.variable)
	if r.op.name == "IsPresent" {
		return (err == nil) == r.operand.Bool(), nil
	}
	if err != nil {
		return false, invalidVariable(r.variable)
	}
	want, at := r.operand, r.time
	if r.path != nil {
		if want, err = s.follow(r.path); err != nil {
			return false, invalidVariable(r.path)
		}
		if r.op.family == temporal {
			var ok bool
			if at, ok = ParseTime(want.Str()); !ok {
				return false, nil
			}
		}
	}
	return r.op.holds(v, want, at), nil
}

func invalidVariable(p *jsonpath.Path) *Failure {
	return runtimeFailure("Invalid path '" + p.Source() + "': The choice state's condition path references an invalid value.")
}

// holds compares. Values of the wrong type compare false, and are no error.
func (o *operator) holds(v, want value.Value, at time.Time) bool {
	n := 0
	switch o.family {
	case textual:
		if !v.IsString() || !want.IsString() {
			return false
		}
		if o.relation == equal {
			return v.Str() == want.Str()
		}
		n = compareUTF16(v.Str(), want.Str())
	case pattern:
		return v.IsString() && like(v.Str(), want.Str())
	case numeric:
		if !v.IsNumber() || !want.IsNumber() {
			return false
		}
		a, b := v.Float(), want.Float()
		switch {
		case a < b:
			n = -1
		case a > b:
			n = 1
		}
	case boolean:
		return v.Kind() == value.KindBool && want.Kind() == value.KindBool && v.Bool() == want.Bool()
	case temporal:
		t, ok := ParseTime(v.Str())
		if !ok {
			return false
		}
		n = t.Compare(at)
	case typed:
		return o.is(v) == want.Bool()
	}
	switch o.relation {
	case less:
		return n < 0
	case greater:
		return n > 0
	case atMost:
		return n <= 0
	case atLeast:
		return n >= 0
	}
	return n == 0
}

func (o *operator) is(v value.Value) bool {
	switch o.name {
	case "IsNull":
		return v.IsNull()
	case "IsNumeric":
		return v.IsNumber()
	case "IsString":
		return v.IsString()
	case "IsBoolean":
		return v.Kind() == value.KindBool
	}
	_, ok := ParseTime(v.Str())
	return ok
}

// compareUTF16 compares as Java does: by UTF-16 code units, in which characters
// beyond the basic plane come before some that are in it.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		if a[0] == b[0] && a[0] < 0x80 {
			a, b = a[1:], b[1:]
			continue
		}
		x, y := []rune(a), []rune(b)
		for i := range min(len(x), len(y)) {
			if x[i] != y[i] {
				if (x[i] > 0xFFFF) != (y[i] > 0xFFFF) {
					return int(unit(x[i])) - int(unit(y[i]))
				}
				return int(x[i]) - int(y[i])
			}
		}
		return len(x) - len(y)
	}
	return len(a) - len(b)
}

// unit is the first UTF-16 code unit of r.
func unit(r rune) rune {
	if hi, _ := utf16.EncodeRune(r); r > 0xFFFF {
		return hi
	}
	return r
}

// like matches s with a pattern in which * stands for any characters and a
// backslash makes * and backslash ordinary.
func like(s, pattern string) bool {
	// After a star that matched too little, go on from it: one star back is enough.
	i, p, starP, starI := 0, 0, -1, 0
	for i < len(s) {
		c, width, star := byte(0), 0, false
		if p < len(pattern) {
			c, width = pattern[p], 1
			if c == '\\' && p+1 < len(pattern) && (pattern[p+1] == '*' || pattern[p+1] == '\\') {
				c, width = pattern[p+1], 2
			} else {
				star = c == '*'
			}
		}
		switch {
		case star:
			starP, starI = p+1, i
			p++
		case width > 0 && c == s[i]:
			p += width
			i++
		case starP >= 0:
			starI++
			p, i = starP, starI
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
