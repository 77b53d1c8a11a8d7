package asl

import (
	"errors"
	"strconv"
	"strings"

	"tokaido/jsonata"
	"tokaido/jsonpath"
	"tokaido/value"
)

// query is one JSONata expression of a definition.
type query struct {
	expr  *jsonata.Expr
	src   string // between {% and %}, trimmed
	where string // relative to the state: "Output/values[0]"
	uses  uses
}

// uses says which parts of $states an expression reads; the others are not made.
type uses uint8

const (
	usesInput uses = 1 << iota
	usesResult
	usesError
	usesContext
	usesAll = usesInput | usesResult | usesError | usesContext
)

// isQuery reports whether a text is an expression, or tries to be one: only a
// whole text is, with nothing before {% and nothing after %}.
func isQuery(s string) (is, broken bool) {
	opens, closes := strings.HasPrefix(s, "{%"), strings.HasSuffix(s, "%}")
	if opens && closes && len(s) >= 4 {
		return true, false
	}
	return false, opens || closes
}

func (q *query) eval(s *Scope) (value.Value, *Failure) {
	env := jsonata.Env{Now: s.Now, Rand: s.Rand, Expired: s.Expired, Var: func(name string) (value.Value, bool) {
		if name == "states" {
			return q.states(s), true
		}
		if s.Var == nil {
			return value.Value{}, false
		}
		return s.Var(name)
	}}
	v, err := q.expr.Eval(&env)
	if err != nil {
		return value.Value{}, q.fail(err)
	}
	if v.IsUndefined() {
		return v, q.failure("returned nothing (undefined).")
	}
	return v, nil
}

// states makes $states, as far as the expression reads it.
func (q *query) states(s *Scope) value.Value {
	m := make([]value.Member, 0, 4)
	if q.uses&usesInput != 0 {
		m = append(m, value.Member{Key: "input", Value: s.Input})
	}
	if q.uses&usesResult != 0 {
		m = append(m, value.Member{Key: "result", Value: s.Result})
	}
	if q.uses&usesError != 0 {
		m = append(m, value.Member{Key: "errorOutput", Value: s.Error})
	}
	if q.uses&usesContext != 0 && s.Context != nil {
		m = append(m, value.Member{Key: "context", Value: s.Context()})
	}
	return value.Object(m...)
}

func (q *query) fail(err error) *Failure {
	if errors.Is(err, jsonata.ErrFunction) {
		return q.failure("returned an unsupported result type.")
	}
	var e *jsonata.Error
	if errors.As(err, &e) && e.Code != "" {
		return q.failure("threw an error during evaluation. " + e.Code + ": " + e.Message)
	}
	return q.failure("threw an error during evaluation: " + err.Error())
}

// failure says what became of the expression.
func (q *query) failure(what string) *Failure {
	return &Failure{
		Error:      "States.QueryEvaluationError",
		Cause:      "The JSONata expression '" + q.src + "' specified for the field '" + q.where + "' " + what,
		Field:      q.where,
		Evaluation: true,
	}
}

func (q *query) wrongType(want string, v value.Value) *Failure {
	return q.failure("returned an unexpected result type. Expected '" + want + "', but was '" + v.Kind().String() +
		"' for value: " + jsonpath.Text(v))
}

// tree is a literal with expressions in it. One without keeps its value.
type tree struct {
	lit  value.Value
	q    *query
	keys []string // of an object
	kids []tree
}

func (t *tree) constant() bool { return t.q == nil && t.kids == nil }

func (t *tree) eval(s *Scope) (value.Value, *Failure) {
	switch {
	case t.q != nil:
		return t.q.eval(s)
	case t.kids == nil:
		return t.lit, nil
	case t.keys == nil:
		items := make([]value.Value, len(t.kids))
		for i := range t.kids {
			v, fail := t.kids[i].eval(s)
			if fail != nil {
				return v, fail
			}
			items[i] = v
		}
		return value.Array(items...), nil
	}
	m := make([]value.Member, len(t.kids))
	for i := range t.kids {
		v, fail := t.kids[i].eval(s)
		if fail != nil {
			return v, fail
		}
		m[i] = value.Member{Key: t.keys[i], Value: v}
	}
	return value.Object(m...), nil
}

// available says which parts of $states a field may read.
type available struct{ result, failure bool }

// tree compiles the value of a field of a JSONata state. where is its place
// relative to the state, at that of the state.
func (c *compiler) tree(v value.Value, at, where string, a available) tree {
	t := tree{lit: v}
	dynamic := false
	switch {
	case v.IsString():
		t.q = c.query(v.Str(), at, where, a)
	case v.IsArray():
		t.kids = make([]tree, 0, v.Len())
		for i, x := range v.Items() {
			kid := c.tree(x, at, where+"["+strconv.Itoa(i)+"]", a)
			dynamic = dynamic || !kid.constant()
			t.kids = append(t.kids, kid)
		}
	case v.IsObject():
		t.kids = make([]tree, 0, v.Len())
		t.keys = make([]string, 0, v.Len())
		for k, x := range v.Members() {
			kid := c.tree(x, at, where+"/"+k, a)
			dynamic = dynamic || !kid.constant()
			t.kids = append(t.kids, kid)
			t.keys = append(t.keys, k)
		}
	}
	if !dynamic {
		t.kids, t.keys = nil, nil
	}
	return t
}

// query compiles s if it is an expression; nil if it is a literal, or wrong.
func (c *compiler) query(s, at, where string, a available) *query {
	is, broken := isQuery(s)
	if broken {
		c.schema(at+"/"+where, "JSONata string must start with {%% and end with %%}")
	}
	if !is {
		return nil
	}
	q := &query{src: strings.TrimSpace(s[2 : len(s)-2]), where: where}
	expr, err := jsonata.Compile(q.src, jsonata.States)
	if err != nil {
		msg := err.Error()
		var e *jsonata.Error
		if errors.As(err, &e) {
			msg = e.Message
		}
		c.report(Error, "INVALID_JSONATA_EXPRESSION", at+"/"+where, "%s", msg)
		return nil
	}
	q.expr = expr
	said := map[string]bool{}
	unsupported := func(format string, args ...any) {
		d := Diagnostic{Severity: Error, Code: "UNSUPPORTED_JSONATA_EXPRESSION", Location: at + "/" + where}
		if d.Message = sprintf(format, args...); !said[d.Message] {
			said[d.Message] = true
			c.diags = append(c.diags, d)
		}
	}
	for _, r := range expr.Refs() {
		switch r.Kind {
		case jsonata.RefField:
			unsupported("Reference to '%s' at the top level is not supported.", r.Name)
		case jsonata.RefInput:
			unsupported("Reference to '$' at the top level is not supported.")
		case jsonata.RefRoot:
			unsupported("Reference to '$$' is not supported.")
		case jsonata.RefVariable:
			if r.Name != "states" {
				c.reads(r.Name, at+"/"+where)
				continue
			}
			if len(r.Path) == 0 {
				q.uses = usesAll
				continue
			}
			switch field := r.Path[0]; {
			case field == "input":
				q.uses |= usesInput
			case field == "context":
				q.uses |= usesContext
			case field == "result" && a.result:
				q.uses |= usesResult
			case field == "errorOutput" && a.failure:
				q.uses |= usesError
			default:
				unsupported("Field '$states.%s' does not exist.", field)
			}
		}
	}
	return q
}
