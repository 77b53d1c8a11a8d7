package asl

import (
	"slices"
	"strconv"
	"strings"

	"tokaido/jsonpath"
	"tokaido/value"
)

// choices compiles Choices.
func (c *compiler) choices(g *graph, f *frame, st *State, v value.Value) {
	if !c.isFilled(v, f.at+"/Choices") {
		g.whole = false
		return
	}
	for i, o := range v.Items() {
		p := f.part("Choices[" + strconv.Itoa(i) + "]")
		if !c.isObject(o, p.at) {
			g.whole = false
			continue
		}
		r := Rule{Condition: &Condition{}}
		g.whole = c.required(o, p.at, "Next") && g.whole
		if f.lang == JSONata {
			c.required(o, p.at, "Condition")
		} else {
			r.Condition.rule = c.rule(p, o, p.at, true)
		}
		for name, x := range o.Members() {
			at := p.at + "/" + name
			switch {
			case name == "Next":
				r.Next = g.next(st, x, at)
			case name == "Assign":
				r.Assign = c.assign(p, x, available{})
			case name == "Comment":
				c.isString(x, at)
			case name == "Output" && f.lang == JSONPath, name == "Condition" && f.lang == JSONPath:
				c.foreign(p.at, name, f.lang)
			case name == "Output":
				r.Output = c.any(p, name, x, available{})
			case name == "Condition":
				r.Condition.field = c.condition(p, x)
			case f.lang == JSONata && (slices.Contains(selectors, name) || operatorNamed(name) != nil):
				c.foreign(p.at, name, f.lang)
			case f.lang == JSONata:
				c.unsupported(p.at, name)
			}
		}
		st.Choice.Rules = append(st.Choice.Rules, r)
	}
}

// condition compiles Condition of a JSONata rule.
func (c *compiler) condition(p *frame, v value.Value) *Field {
	at := p.at + "/Condition"
	if v.Kind() == value.KindBool {
		return &Field{name: p.where("Condition"), lit: v}
	}
	if !c.isString(v, at) {
		return nil
	}
	if is, broken := isQuery(v.Str()); !is && !broken {
		c.schema(at, "JSONata string must start with {%% and end with %%}")
		return nil
	}
	return c.any(p, "Condition", v, available{})
}

var selectors = []string{"And", "Or", "Not", "Variable", "Condition"}

// rule compiles a rule of JSONPath; the outermost one has fields that nested ones have not.
func (c *compiler) rule(p *frame, o value.Value, at string, outermost bool) *rule {
	if count(o, selectors) != 1 {
		c.schema(at, "The object must have only one of the following fields, [%s]", strings.Join(selectors, ", "))
		return nil
	}
	r := &rule{}
	for name, x := range o.Members() {
		at := at + "/" + name
		op := operatorNamed(name)
		switch {
		case name == "And" || name == "Or":
			r.kind = and
			if name == "Or" {
				r.kind = or
			}
			if !c.isFilled(x, at) {
				continue
			}
			for i, k := range x.Items() {
				kat := at + "[" + strconv.Itoa(i) + "]"
				if c.isObject(k, kat) {
					r.kids = append(r.kids, c.rule(p, k, kat, false))
				}
			}
		case name == "Not":
			r.kind = not
			if c.isObject(x, at) {
				r.kids = append(r.kids, c.rule(p, x, at, false))
			}
		case name == "Variable":
			r.variable = c.choicePath(x, at)
		case op != nil && o.Has("Variable"):
			r.op = op
			c.operand(r, x, at)
		case name == "Comment" && !outermost:
			c.isString(x, at)
		case outermost && (name == "Next" || name == "Assign" || name == "Output" || name == "Condition" || name == "Comment"):
			// compiled, or refused, by choices
		case name == "Condition":
			c.foreign(at[:len(at)-len(name)-1], name, p.lang)
		default:
			c.unsupported(at[:len(at)-len(name)-1], name)
		}
	}
	if !o.Has("Variable") {
		return r
	}
	names := make([]string, len(operators))
	for i := range operators {
		names[i] = operators[i].name
	}
	c.exactlyOne(o, at, names...)
	return r
}

// choicePath compiles Variable and the operand of a Path operator.
func (c *compiler) choicePath(v value.Value, at string) *jsonpath.Path {
	if !c.isString(v, at) {
		return nil
	}
	if !strings.HasPrefix(v.Str(), "$") {
		c.schema(at, "Value is not a Reference Path: Reference path didn't start with '$'")
		return nil
	}
	p, err := jsonpath.Compile(v.Str())
	if err != nil {
		c.schema(at, "Value is not a Reference Path")
		return nil
	}
	c.pathReads(p, at)
	return p
}

// operand compiles what an operator compares with.
func (c *compiler) operand(r *rule, v value.Value, at string) {
	if r.op.path {
		r.path = c.choicePath(v, at)
		return
	}
	r.operand = v
	switch r.op.family {
	case textual, pattern:
		if c.isString(v, at) && jsonpath.LooksDynamic(v.Str()) {
			c.report(Warning, "NO_PATH", at, "Field value looks like a path, but field name does not end with 'Path'.")
		}
	case numeric:
		if !v.IsNumber() {
			c.schema(at, "Expected value of type Number")
		}
	case boolean, typed:
		c.isBool(v, at)
	case temporal:
		var ok bool
		if !c.isString(v, at) {
			return
		}
		if r.time, ok = ParseTime(v.Str()); !ok {
			c.schema(at, "String does not match RFC3339 timestamp")
		}
	}
}
