package jsonpath

import (
	"errors"

	"tokaido/value"
)

// MaxCalls is how many intrinsic calls one expression may hold.
const MaxCalls = 10

// Expression is what a field may compute: a path, or a call of an intrinsic
// function. It does not change and may be shared.
type Expression struct {
	src  string
	path *Path // nil for a call
	call *call
}

// call is one call of an intrinsic function.
type call struct {
	f    *function
	args []argument
}

type argument struct {
	lit    value.Value
	braces []int // of a string: where in it an unescaped {} stands
	path   *Path
	call   *call
}

// CompileExpression compiles a path ($…, $$…, $name…) or an intrinsic call. The
// error is a *SyntaxError.
func CompileExpression(src string) (*Expression, error) {
	if len(src) > 0 && src[0] == '$' {
		p, err := Compile(src)
		if err != nil {
			return nil, err
		}
		return p.Expression(), nil
	}
	p := parser{src: src}
	if len(src) > MaxSource {
		p.fail("longer than %d bytes", MaxSource)
	}
	p.space()
	c := p.callOf()
	if p.space(); p.i != len(src) {
		p.fail("unexpected %q", src[p.i:])
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Expression{src: src, call: c}, nil
}

// Expression returns the expression that is the path.
func (p *Path) Expression() *Expression { return &Expression{src: p.src, path: p} }

// Source returns the text that was compiled.
func (e *Expression) Source() string { return e.src }

// Path returns the path that the expression is; nil if it is a call.
func (e *Expression) Path() *Path { return e.path }

// Function returns the name of the function that the expression calls; "" if
// it is a path.
func (e *Expression) Function() string {
	if e.call == nil {
		return ""
	}
	return e.call.f.name
}

// Paths calls f for every path that the expression reads, in order.
func (e *Expression) Paths(f func(*Path)) {
	if e.path != nil {
		f(e.path)
		return
	}
	e.call.paths(f)
}

func (c *call) paths(f func(*Path)) {
	for i := range c.args {
		if c.args[i].path != nil {
			f(c.args[i].path)
		} else if c.args[i].call != nil {
			c.args[i].call.paths(f)
		}
	}
}

// Failure is why an expression could not be computed, in AWS's words.
type Failure struct {
	Name  string // States.Runtime or States.IntrinsicFailure
	Cause string
	Err   error
}

func (f *Failure) Error() string { return f.Name + ": " + f.Cause }

func (f *Failure) Unwrap() error { return f.Err }

// Eval computes the expression. The error is a *Missing or *TooMuch for a path,
// and a *Failure for a call.
func (e *Expression) Eval(s *Scope) (value.Value, error) {
	if e.path != nil {
		return e.path.Resolve(s)
	}
	return e.eval(s)
}

// Field computes the expression as the value of a template's field (or of
// ErrorPath, CausePath). A path whose last step is beyond an array's end is
// null. The error is a *Failure.
func (e *Expression) Field(s *Scope, field string) (value.Value, error) {
	if e.path != nil && e.path.root == Document && (s.Input.IsNull() || s.Input.IsUndefined()) {
		return value.Value{}, &Failure{Name: "States.Runtime", Cause: "Unable to apply Path transformation to null or empty input."}
	}
	v, err := e.Eval(s)
	if err == nil {
		return v, nil
	}
	switch err := err.(type) {
	case *Missing:
		if err.PastEnd {
			return value.Null(), nil
		}
		in := s.Input
		if e.path.root == Context && s.Context != nil {
			in = s.Context()
		}
		return value.Value{}, &Failure{"States.Runtime", "The JSONPath '" + e.src + "' specified for the field '" + field +
			"' could not be found in the input '" + Text(in) + "'", err}
	case *Failure:
		return value.Value{}, err
	}
	return value.Value{}, &Failure{"States.Runtime", err.Error(), err}
}

func (e *Expression) eval(s *Scope) (value.Value, error) {
	v, err := e.call.eval(s)
	if err == nil {
		return v, nil
	}
	f := &Failure{Name: "States.IntrinsicFailure", Cause: err.Error(), Err: err}
	var m *Missing
	var big *TooMuch
	switch {
	case errors.As(err, &m):
		f.Name = "States.Runtime"
		f.Cause = m.Why
		if !m.NotArray {
			path := m.Path
			if len(path) > 1 && path[:2] == "$$" { // AWS names it as a path of the object it searched, and the input beside
				path = path[1:]
			}
			f.Cause = "The JsonPath argument for the field '" + path + "' could not be found in the input '" + Text(s.Input) + "'"
		}
	case errors.As(err, &big):
		f.Name = "States.Runtime"
	}
	f.Cause = "The function '" + e.src + "' had the following error: " + f.Cause
	return value.Value{}, f
}

func (a *argument) eval(s *Scope) (value.Value, error) {
	switch {
	case a.path != nil:
		return a.path.Resolve(s)
	case a.call != nil:
		return a.call.eval(s)
	}
	return a.lit, nil
}

func (c *call) eval(s *Scope) (value.Value, error) {
	var few [4]value.Value
	args := few[:0]
	if len(c.args) > len(few) {
		args = make([]value.Value, 0, len(c.args))
	}
	for i := range c.args {
		v, err := c.args[i].eval(s)
		if err != nil {
			return value.Value{}, err
		}
		args = append(args, v)
	}
	return c.f.run(s, c, args)
}

// callOf reads States.Name(…).
func (p *parser) callOf() *call {
	defer p.deeper()()
	if p.calls++; p.calls > MaxCalls {
		p.fail("more than %d calls", MaxCalls)
		return nil
	}
	start := p.i
	for c := p.peek(); c == '.' || c >= '0' && c <= '9' || c|32 >= 'a' && c|32 <= 'z'; c = p.peek() {
		p.i++
	}
	name := p.src[start:p.i]
	f := functionNamed(name)
	if f == nil {
		p.i = start
		p.fail("%q is no intrinsic function", name)
		return nil
	}
	c := &call{f: f}
	p.space()
	p.expect("(")
	for p.space(); p.err == nil && !p.take(")"); p.space() {
		if len(c.args) > 0 {
			p.expect(",")
			p.space()
		}
		c.args = append(c.args, p.argument())
	}
	if p.err == nil && (len(c.args) < f.min || f.max >= 0 && len(c.args) > f.max) {
		p.fail("%s does not take %d arguments", name, len(c.args))
	}
	return c
}

func (p *parser) argument() argument {
	switch c := p.peek(); {
	case c == '$':
		start := p.i
		path := p.path()
		if p.err == nil {
			path.src = p.src[start:p.i]
		}
		return argument{path: path}
	case c == '\'':
		return p.text()
	case p.take("true"):
		return argument{lit: value.Bool(true)}
	case p.take("false"):
		return argument{lit: value.Bool(false)}
	case p.take("null"):
		return argument{lit: value.Null()}
	case c == 'S':
		return argument{call: p.callOf()}
	}
	v, ok := p.number()
	if !ok {
		p.fail("expected an argument")
	}
	return argument{lit: v}
}

// text reads a string in single quotes. A backslash escapes a quote, a brace
// or a backslash, and nothing else.
func (p *parser) text() argument {
	var a argument
	b := make([]byte, 0, 32)
	for p.i++; p.i < len(p.src); p.i++ {
		switch c := p.src[p.i]; c {
		case '\'':
			p.i++
			a.lit = value.String(string(b))
			return a
		case '\\':
			p.i++
			switch c := p.peek(); c {
			case '\'', '{', '}', '\\':
				b = append(b, c)
			default:
				p.fail("unknown escape \\%c", c)
				return a
			}
		case '{':
			if p.i+1 < len(p.src) && p.src[p.i+1] == '}' {
				a.braces = append(a.braces, len(b))
				b = append(b, '{', '}')
				p.i++
				continue
			}
			b = append(b, c)
		default:
			b = append(b, c)
		}
	}
	p.fail("a string without its closing quote")
	return a
}
