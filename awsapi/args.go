package awsapi

import (
	"fmt"
	"strconv"
	"strings"

	"tokaido/fault"
	"tokaido/value"
)

// Args reads the members of an Input one by one. It notes what is wrong, and
// End tells all of it at once, in the words of AWS's request validation; so that
// nothing is accepted and ignored, End also refuses what nobody has read.
type Args struct {
	r        *Request
	read     []string
	problems []string
}

// Args begins to read r's Input.
func (r *Request) Args() *Args { return &Args{r: r} }

func (a *Args) get(name string) value.Value {
	a.read = append(a.read, name)
	v := a.r.Input.Get(name)
	if v.IsNull() {
		return value.Value{}
	}
	return v
}

// maxShown is how much of a value an error repeats.
const maxShown = 64

func (a *Args) fail(shown, name, format string, args ...any) {
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + "…"
	}
	a.problems = append(a.problems, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", shown, camel(name), fmt.Sprintf(format, args...)))
}

func camel(name string) string {
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		return name
	}
	return string(name[0]|0x20) + name[1:]
}

func quoted(v value.Value) string {
	if v.IsString() {
		return "'" + v.Str() + "'"
	}
	return "'" + v.JSON() + "'"
}

// Has reports whether the member is there, and counts it as read.
func (a *Args) Has(name string) bool { return !a.get(name).IsUndefined() }

// String returns a string; "" if it is absent.
func (a *Args) String(name string) string {
	v := a.get(name)
	if !v.IsUndefined() && !v.IsString() {
		a.fail(quoted(v), name, "be a string")
	}
	return v.Str()
}

// Need returns a string that must be there.
func (a *Args) Need(name string) string {
	if a.get(name).IsUndefined() {
		a.fail("null", name, "not be null")
		return ""
	}
	return a.String(name)
}

// Enum returns a string that must be one of several; "" if it is absent.
func (a *Args) Enum(name string, of ...string) string {
	s := a.String(name)
	if s != "" && !contains(of, s) || s == "" && a.Has(name) {
		a.fail("'"+s+"'", name, "satisfy enum value set: [%s]", strings.Join(of, ", "))
	}
	return s
}

// Check notes, unless ok, what a member must do.
func (a *Args) Check(ok bool, name, must string) {
	if !ok {
		a.fail(quoted(a.get(name)), name, "%s", must)
	}
}

// Int returns a whole number between least and most; absent if it is absent.
func (a *Args) Int(name string, least, most, absent int64) int64 {
	v := a.get(name)
	if v.IsUndefined() {
		return absent
	}
	n, ok := v.Int()
	if v.IsString() && a.r.Op.Protocol == Query {
		var err error
		n, err = strconv.ParseInt(v.Str(), 10, 64)
		ok = err == nil
	}
	switch {
	case !ok:
		a.fail(quoted(v), name, "be an integer")
	case n < least:
		a.fail(quoted(v), name, "have value greater than or equal to %d", least)
	case n > most:
		a.fail(quoted(v), name, "have value less than or equal to %d", most)
	default:
		return n
	}
	return absent
}

// Bool returns a boolean; false if it is absent.
func (a *Args) Bool(name string) bool {
	v := a.get(name)
	switch {
	case v.IsUndefined():
		return false
	case v.Kind() == value.KindBool:
		return v.Bool()
	case a.r.Op.Protocol == Query && (v.Str() == "true" || v.Str() == "false"):
		return v.Str() == "true"
	}
	a.fail(quoted(v), name, "be a boolean")
	return false
}

// List returns the items of a list with at most so many; nil if it is absent.
// In forms an empty list is an empty string.
func (a *Args) List(name string, most int) []value.Value {
	v := a.get(name)
	switch {
	case v.IsUndefined(), v.IsString() && v.Str() == "" && a.r.Op.Protocol == Query:
		return nil
	case !v.IsArray():
		a.fail(quoted(v), name, "be a list")
		return nil
	case v.Len() > most:
		a.fail(fmt.Sprintf("'[%d items]'", v.Len()), name, "have length less than or equal to %d", most)
		return nil
	}
	out := make([]value.Value, 0, v.Len())
	for _, x := range v.Items() {
		out = append(out, x)
	}
	return out
}

// Strings returns a list of strings.
func (a *Args) Strings(name string, most int) []string {
	var out []string
	for i, v := range a.List(name, most) {
		if !v.IsString() {
			a.fail(quoted(v), fmt.Sprintf("%s.%d.member", name, i+1), "be a string")
			continue
		}
		out = append(out, v.Str())
	}
	return out
}

// Structs returns a list of structures that have these string members and no
// others; the ones whose names end in "?" may be absent.
func (a *Args) Structs(name string, most int, members ...string) [][]string {
	var out [][]string
	for i, v := range a.List(name, most) {
		at := fmt.Sprintf("%s.%d.member", name, i+1)
		if !v.IsObject() {
			a.fail(quoted(v), at, "be a structure")
			continue
		}
		row := make([]string, len(members))
		for j, m := range members {
			m, optional := strings.CutSuffix(m, "?")
			x := v.Get(m)
			if x.IsUndefined() && !optional {
				a.fail("null", at+"."+camel(m), "not be null")
			} else if !x.IsUndefined() && !x.IsString() {
				a.fail(quoted(x), at+"."+camel(m), "be a string")
			}
			row[j] = x.Str()
		}
		for k := range v.Members() {
			if !contains(members, k) && !contains(members, k+"?") {
				a.fail(quoted(v.Get(k)), at+"."+camel(k), "be absent: it is not supported by %s", a.r.Op.Name)
			}
		}
		out = append(out, row)
	}
	return out
}

// End returns what is wrong, nil if nothing is.
func (a *Args) End() error {
	if err := a.r.Refuse(a.read...); err != nil {
		return err
	}
	if len(a.problems) == 0 {
		return nil
	}
	code := "ValidationException"
	if a.r.Op.Protocol == Query {
		code = "ValidationError"
	}
	s := ""
	if len(a.problems) > 1 {
		s = "s"
	}
	return fault.Newf(code, "%d validation error%s detected: %s", len(a.problems), s, strings.Join(a.problems, "; "))
}
