package asl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tokaido/jsonpath"
	"tokaido/value"
)

var sprintf = fmt.Sprintf

// compiler checks one definition and builds its Program.
type compiler struct {
	express  bool // what is compiled now runs as an EXPRESS machine
	bare     bool // the definition is one state, and what it goes on to is not there
	program  *Program
	language Language // the machine's
	labels   map[string]bool
	diags    []Diagnostic

	vars  *scope
	read  map[string]bool // variables that the state being compiled reads
	depth int             // of machines in one another
}

// scope is where variables live: the machine, a branch, or an iteration.
type scope struct {
	names map[string]bool // that some state of the scope assigns
	outer *scope          // nil: nothing outside can be seen

	// A scope within a state of around: some names around may be set when it is
	// entered, and no state of it may assign those. They are found when asked for.
	around *scope
	state  string
	known  map[string]bool

	assigns map[string][]string // state: the names that it assigns
	from    map[string][]string // state: the states that lead to it
}

// inside is s as the scope within its state called name sees it.
func (s *scope) inside(name string) *scope {
	return &scope{names: s.names, outer: s.outer, around: s, state: name}
}

// taken are the names that may be set outside when s is entered: those that have
// been assigned on some way to the state that s is in, and to those around it.
func (s *scope) taken() map[string]bool {
	switch {
	case s == nil:
		return nil
	case s.around == nil || s.known != nil:
		return s.known
	}
	s.known = map[string]bool{}
	for n := range s.around.outer.taken() {
		s.known[n] = true
	}
	if len(s.around.names) == 0 {
		return s.known
	}
	from := s.around.from
	seen := map[string]bool{}
	for todo := slices.Clone(from[s.state]); len(todo) > 0; {
		st := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[st] {
			continue
		}
		seen[st] = true
		for _, n := range s.around.assigns[st] {
			s.known[n] = true
		}
		todo = append(todo, from[st]...)
	}
	return s.known
}

func (c *compiler) report(sev Severity, code, at, format string, args ...any) {
	c.diags = append(c.diags, Diagnostic{sev, code, sprintf(format, args...), at})
}

func (c *compiler) schema(at, format string, args ...any) {
	c.report(Error, "SCHEMA_VALIDATION_FAILED", at, format, args...)
}

// reads notes that the state reads a variable.
func (c *compiler) reads(name, at string) {
	if c.read != nil {
		c.read[name] = true
	}
	for s := c.vars; s != nil; s = s.outer {
		if s.names[name] {
			return
		}
	}
	c.report(Warning, "POSSIBLY_UNDEFINED_VARIABLE", at, "Variable '%s' is possibly not defined.", name)
}

// Checks of single values. Each reports what is wrong and says whether nothing is.

func (c *compiler) isString(v value.Value, at string) bool {
	if !v.IsString() {
		c.schema(at, "Expected value of type [STRING]")
	}
	return v.IsString()
}

func (c *compiler) isObject(v value.Value, at string) bool {
	if !v.IsObject() {
		c.schema(at, "Expected value of type [OBJECT]")
	}
	return v.IsObject()
}

func (c *compiler) isBool(v value.Value, at string) bool {
	if v.Kind() != value.KindBool {
		c.schema(at, "Expected value of type [BOOLEAN]")
	}
	return v.Kind() == value.KindBool
}

func (c *compiler) isArray(v value.Value, at string) bool {
	if !v.IsArray() {
		c.schema(at, "Expected value of type [ARRAY]")
	}
	return v.IsArray()
}

func (c *compiler) isFilled(v value.Value, at string) bool {
	if !c.isArray(v, at) {
		return false
	}
	if v.Len() == 0 {
		c.schema(at, "Value cannot be empty")
	}
	return v.Len() > 0
}

func (c *compiler) oneOf(v value.Value, at string, allowed ...string) bool {
	if !c.isString(v, at) {
		return false
	}
	if !slices.Contains(allowed, v.Str()) {
		c.schema(at, "Value should be one of the following: [%s]", strings.Join(allowed, ", "))
		return false
	}
	return true
}

// required reports which of the fields o does not have.
func (c *compiler) required(o value.Value, at string, fields ...string) bool {
	var missing []string
	for _, f := range fields {
		if !o.Has(f) {
			missing = append(missing, f)
		}
	}
	if missing != nil {
		c.schema(at, "These fields are required: [%s]", strings.Join(missing, ", "))
	}
	return missing == nil
}

func count(o value.Value, fields []string) (n int) {
	for _, f := range fields {
		if o.Has(f) {
			n++
		}
	}
	return n
}

// atMostOne reports if o has several of the fields; exactlyOne also if it has none.
func (c *compiler) atMostOne(o value.Value, at string, fields ...string) bool {
	if count(o, fields) > 1 {
		c.schema(at, "There should only be one of the following fields: [%s]", strings.Join(fields, ", "))
		return false
	}
	return true
}

func (c *compiler) exactlyOne(o value.Value, at string, fields ...string) bool {
	if count(o, fields) == 0 {
		c.schema(at, "This object should have only one of the following fields: [%s]", strings.Join(fields, ", "))
		return false
	}
	return c.atMostOne(o, at, fields...)
}

// only reports the fields of o that are not among those allowed.
func (c *compiler) only(o value.Value, at string, allowed ...string) {
	for name := range o.Members() {
		if !slices.Contains(allowed, name) {
			c.unsupported(at, name)
		}
	}
}

func (c *compiler) unsupported(at, field string) {
	c.schema(at, "Field '%s' is not supported", field)
}

// foreign reports a field of the other query language.
func (c *compiler) foreign(at, field string, lang Language) {
	other := JSONata
	if lang == JSONata {
		other = JSONPath
	}
	c.schema(at, "The QueryLanguage is set to '%s', but field '%s' is only supported for the '%s' QueryLanguage", lang, field, other)
}

// top compiles the definition itself.
func (c *compiler) top(o value.Value) {
	p := c.program
	c.required(o, "/", "States", "StartAt")
	for name, v := range o.Members() {
		at := "/" + name
		switch name {
		case "StartAt", "States":
		case "Comment":
			c.isString(v, at)
		case "Version":
			c.oneOf(v, at, "1.0")
		case "QueryLanguage":
			if c.oneOf(v, at, "JSONPath", "JSONata") && v.Str() == "JSONata" || !v.IsString() {
				p.Language = JSONata
			}
		case "TimeoutSeconds":
			if n, ok := c.integer(v, at, 0, MaxSeconds); ok {
				p.Timeout = time.Duration(n) * time.Second
			}
		default:
			c.unsupported("/", name)
		}
	}
	c.language = p.Language
	p.Machine = c.machine(o, "", nil)
	slices.SortStableFunc(p.References, func(a, b StateReferences) int { return strings.Compare(a.State, b.State) })
}

// machine compiles StartAt and States of o. at is the place of o, "" for the
// definition; outer is the scope around it.
func (c *compiler) machine(o value.Value, at string, outer *scope) Machine {
	var m Machine
	if c.depth++; c.depth > maxMachinesDepth {
		c.report(Error, "TOO_DEEPLY_NESTED", at, "States are nested more than %d deep", maxMachinesDepth)
		c.depth--
		return m
	}
	saved := c.vars
	defer func() { c.vars = saved; c.depth-- }()

	states := o.Get("States")
	start := o.Get("StartAt")
	startOK := !start.IsUndefined() && c.isString(start, at+"/StartAt")
	if states.IsUndefined() || !c.isObject(states, at+"/States") {
		return m
	}
	if states.Len() == 0 {
		c.schema(at+"/States", "Value cannot be empty")
		return m
	}
	c.vars = newScope(states, outer)

	g := graph{c: c, at: at, byName: make(map[string]int, states.Len()), whole: startOK}
	m.States = make([]*State, 0, states.Len())
	for name := range states.Members() { // names first: transitions may go forward
		g.byName[name] = len(m.States)
		m.States = append(m.States, &State{Name: name})
	}
	g.states = m.States
	if startOK {
		m.StartAt = g.target(start.Str(), at+"/StartAt")
	}
	for i := range m.States {
		st := m.States[i]
		sat := at + "/States/" + st.Name
		switch n := utf8.RuneCountInString(st.Name); {
		case n == 0:
			c.report(Error, "INVALID_STATE_NAME", sat, "Invalid State name: State name must not be empty")
		case n > MaxStateName:
			c.report(Error, "INVALID_STATE_NAME", sat, "Invalid State name: State exceeds the %d-character limit allowed by the service", MaxStateName)
		}
		if c.program.byName[st.Name] != nil {
			c.report(Error, "DUPLICATE_STATE_NAME", sat, "Duplicate State name: %s", st.Name)
		} else {
			c.program.byName[st.Name] = st
		}
		c.compile(&g, st, states.Member(i).Value, sat)
	}
	g.check(m.StartAt)
	return m
}

// graph collects the transitions of one machine.
type graph struct {
	c      *compiler
	at     string
	states []*State
	byName map[string]int
	edges  [][2]string // from, to
	late   []Diagnostic
	ends   bool // some state is terminal
	whole  bool // every state's transitions could be read
}

// target finds a state of the machine.
func (g *graph) target(name, at string) *State {
	if i, ok := g.byName[name]; ok {
		return g.states[i]
	}
	if g.loose() {
		return &State{Name: name}
	}
	g.late = append(g.late, Diagnostic{Error, "MISSING_TRANSITION_TARGET", "Missing 'Next' target: " + name, at})
	return nil
}

// loose reports whether the states around those of g are not known.
func (g *graph) loose() bool { return g.c.bare && g.at == "" }

// next compiles a transition of the state from.
func (g *graph) next(from *State, v value.Value, at string) *State {
	if !g.c.isString(v, at) {
		g.whole = false
		return nil
	}
	g.edges = append(g.edges, [2]string{from.Name, v.Str()})
	return g.target(v.Str(), at)
}

// check reports targets that do not exist, then a machine without an end or
// the states that nothing leads to. Where the states themselves are broken the
// last two would only repeat that.
func (g *graph) check(start *State) {
	g.c.diags = append(g.c.diags, g.late...)
	if !g.whole || g.loose() {
		return
	}
	if !g.ends {
		g.c.report(Error, "MISSING_END_STATE", "", "Workflow has no terminal state")
		return
	}
	if start == nil {
		return
	}
	out := make(map[string][]string, len(g.states))
	for _, e := range g.edges {
		out[e[0]] = append(out[e[0]], e[1])
	}
	seen := map[string]bool{start.Name: true}
	for todo := []string{start.Name}; len(todo) > 0; {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, to := range out[name] {
			if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	for _, st := range g.states {
		if !seen[st.Name] {
			g.c.report(Error, "MISSING_TRANSITION_TARGET", g.at+"/States/"+st.Name, `State "%s" is not reachable.`, st.Name)
		}
	}
}

// newScope finds out what the states assign, and where they lead.
func newScope(states value.Value, outer *scope) *scope {
	s := &scope{names: map[string]bool{}, outer: outer, assigns: map[string][]string{}, from: map[string][]string{}}
	for name, st := range states.Members() {
		look := func(o value.Value) {
			for k := range o.Get("Assign").Members() {
				k = strings.TrimSuffix(k, jsonpath.Suffix)
				s.names[k] = true
				s.assigns[name] = append(s.assigns[name], k)
			}
			for _, field := range []string{"Next", "Default"} {
				if to := o.Get(field); to.IsString() {
					s.from[to.Str()] = append(s.from[to.Str()], name)
				}
			}
		}
		look(st)
		for _, list := range []string{"Choices", "Catch"} {
			for _, x := range st.Get(list).Items() {
				look(x)
			}
		}
	}
	return s
}

// integer checks a constant.
func (c *compiler) integer(v value.Value, at string, lo, hi int64) (int64, bool) {
	n, ok := v.Int()
	if !ok {
		c.schema(at, "Expected value of type Integer")
		return 0, false
	}
	return n, c.within(v, at, lo, hi)
}

func (c *compiler) within(v value.Value, at string, lo, hi int64) bool {
	switch f := v.Float(); {
	case f < float64(lo):
		c.schema(at, "Minimum value is %d", lo)
	case hi != noLimit && f > float64(hi):
		c.schema(at, "Maximum value is %d", hi)
	default:
		return true
	}
	return false
}

// Fields. at is the place of the state (or of the part of it), name the
// field's; where is the place relative to the state that failures name.

// number compiles a field that is a number, or in JSONata an expression.
func (c *compiler) number(f *frame, name string, v value.Value, lo, hi int64, float bool) *Field {
	at := f.at + "/" + name
	out := &Field{name: f.where(name), lit: v, min: lo, max: hi}
	if f.lang == JSONata && v.IsString() {
		if is, broken := isQuery(v.Str()); is || broken {
			return c.queries(f, out, v, name, available{})
		}
	}
	if float && v.IsNumber() {
		if !c.within(v, at, lo, hi) {
			return nil
		}
		return out
	}
	if hi == noLimit && v.IsNumber() && v.Float() > noLimit { // AWS takes any number of digits
		out.lit = value.Int(noLimit)
		return out
	}
	if _, ok := c.integer(v, at, lo, hi); !ok {
		return nil
	}
	return out
}

// text compiles a field that is a string, or in JSONata an expression.
func (c *compiler) text(f *frame, name string, v value.Value) *Field {
	if !c.isString(v, f.at+"/"+name) {
		return nil
	}
	out := &Field{name: f.where(name), lit: v}
	if f.lang == JSONata {
		return c.queries(f, out, v, name, available{})
	}
	if jsonpath.LooksDynamic(v.Str()) {
		c.report(Warning, "NO_PATH", f.at+"/"+name, "Field value looks like a path, but field name does not end with 'Path'.")
	}
	return out
}

// queries compiles a field of a JSONata state, whatever JSON it is.
func (c *compiler) queries(f *frame, out *Field, v value.Value, name string, a available) *Field {
	out.tree = c.tree(v, f.root, f.where(name), a)
	out.form = queries
	if out.tree.constant() {
		out.form = constant
	}
	return out
}

// any is queries for a field that is not of a certain type.
func (c *compiler) any(f *frame, name string, v value.Value, a available) *Field {
	return c.queries(f, &Field{name: f.where(name), lit: v}, v, name, a)
}

// path compiles a field that is a path; with reference, one to a single place.
func (c *compiler) path(f *frame, name string, v value.Value, reference bool) *Field {
	at := f.at + "/" + name
	if !c.isString(v, at) {
		return nil
	}
	p, err := jsonpath.Compile(v.Str())
	if err != nil {
		c.schema(at, "Value must be a valid JSONPath.")
		return nil
	}
	if reference && !p.IsReference() {
		c.schema(at, "Value is not a Reference Path")
		return nil
	}
	c.pathReads(p, at)
	return &Field{name: f.where(name), lit: v, form: path, expr: p.Expression(), max: noLimit}
}

// numberPath is path for one that leads to a number.
func (c *compiler) numberPath(f *frame, name string, v value.Value, lo, hi int64) *Field {
	out := c.path(f, name, v, true)
	if out != nil {
		out.min, out.max = lo, hi
	}
	return out
}

// nullablePath is path for one that may be null.
func (c *compiler) nullablePath(f *frame, name string, v value.Value) *Field {
	if v.IsNull() {
		return &Field{name: f.where(name), lit: v}
	}
	return c.path(f, name, v, false)
}

// errorPath compiles ErrorPath and CausePath.
func (c *compiler) errorPath(f *frame, name string, v value.Value) *Field {
	at := f.at + "/" + name
	if !c.isString(v, at) {
		return nil
	}
	e, err := jsonpath.CompileExpression(v.Str())
	if err == nil && e.Path() == nil && !slices.Contains(errorFunctions, e.Function()) || err == nil && e.Path() != nil && !e.Path().IsReference() {
		err = &jsonpath.SyntaxError{}
	}
	if err != nil {
		c.schema(at, "The value for the field '%s' must be a valid JSONPath or a valid intrinsic function call", name)
		return nil
	}
	e.Paths(func(p *jsonpath.Path) { c.pathReads(p, at) })
	return &Field{name: name, lit: v, form: path, expr: e}
}

// errorFunctions are those that return texts, which ErrorPath and CausePath may call.
var errorFunctions = []string{
	"States.Format", "States.JsonToString", "States.ArrayGetItem", "States.Base64Encode", "States.Base64Decode", "States.Hash", "States.UUID",
}

func (c *compiler) pathReads(p *jsonpath.Path, at string) {
	if root, name := p.Root(); root == jsonpath.Variable {
		c.reads(name, at)
	}
}

// template compiles a payload template.
func (c *compiler) template(f *frame, name string, v value.Value) *Field {
	at := f.at + "/" + name
	t, err := jsonpath.CompileTemplate(v)
	if err != nil {
		c.templateErrors(at, err)
		return nil
	}
	return c.templated(f.where(name), v, t, at)
}

func (c *compiler) templateErrors(at string, err error) {
	bad, _ := err.(jsonpath.FieldErrors)
	for _, e := range bad {
		c.schema(at, "%s", e.Error())
	}
}

func (c *compiler) templated(name string, v value.Value, t *jsonpath.Template, at string) *Field {
	for _, e := range t.Expressions() {
		e.Paths(func(p *jsonpath.Path) { c.pathReads(p, at) })
	}
	c.undollared(v, at)
	out := &Field{name: name, lit: v, form: payload, tmpl: t}
	if t.Constant() {
		out.form, out.tmpl = constant, nil
	}
	return out
}

// undollared warns of members that look as if their .$ were forgotten.
func (c *compiler) undollared(v value.Value, at string) {
	for i, x := range v.Items() {
		c.undollared(x, at+"["+strconv.Itoa(i)+"]")
	}
	for k, x := range v.Members() {
		if strings.HasSuffix(k, jsonpath.Suffix) {
			continue
		}
		if x.IsString() && jsonpath.LooksDynamic(x.Str()) {
			c.report(Warning, "NO_DOLLAR", at+"/"+k, "No .$ on a field that appears to be a JSONPath or Intrinsic Function.")
		}
		c.undollared(x, at+"/"+k)
	}
}

// resultPath compiles ResultPath.
func (c *compiler) resultPath(f *frame, v value.Value) *ResultPath {
	at := f.at + "/ResultPath"
	if v.IsNull() {
		return &ResultPath{}
	}
	if !c.isString(v, at) {
		return nil
	}
	ref, err := jsonpath.CompileReference(v.Str())
	if err == nil {
		return &ResultPath{ref}
	}
	if _, err := jsonpath.Compile(v.Str()); err != nil {
		c.schema(at, "Value must be a valid JSONPath.")
	} else {
		c.schema(at, "Value is not a Reference Path")
	}
	return nil
}

// assign compiles Assign.
func (c *compiler) assign(f *frame, v value.Value, a available) []Assignment {
	at := f.at + "/Assign"
	if !c.isObject(v, at) {
		return nil
	}
	out := make([]Assignment, 0, v.Len())
	seen := map[string]bool{}
	for key, x := range v.Members() {
		as := Assignment{Name: key}
		kat := at + "/" + key
		if f.lang == JSONPath {
			name, t, err := jsonpath.CompileMember(key, x)
			as.Name = name
			if err != nil {
				c.templateErrors(at, err)
			} else {
				as.Value = c.templated(f.where("Assign/"+name), x, t, at)
			}
		} else {
			as.Value = c.any(f, "Assign/"+key, x, a)
		}
		c.variableName(as.Name, kat)
		if seen[as.Name] {
			c.report(Error, "DUPLICATE_VARIABLE_NAME", kat, "The variable name '%s' was already defined in this Assign.", as.Name)
		}
		seen[as.Name] = true
		out = append(out, as)
	}
	return out
}

func (c *compiler) variableName(name, at string) {
	ok := name != ""
	for i, r := range name {
		ok = ok && (i == 0 && jsonpath.IDStart(r) || i > 0 && jsonpath.IDContinue(r))
	}
	switch {
	case name == "states":
		c.report(Error, "RESERVED_VARIABLE_NAME", at, "Cannot assign to reserved variable '$states'.")
		return
	case !ok:
		c.report(Error, "INVALID_VARIABLE_NAME", at, "Invalid variable name '%s': the variable name contains invalid characters.", name)
		return
	case utf8.RuneCountInString(name) > MaxVariableName:
		c.report(Error, "INVALID_VARIABLE_NAME", at, "Invalid variable name '%s': the variable name exceeds the %d-character limit allowed by the service.", name, MaxVariableName)
		return
	}
	if c.vars.outer.taken()[name] {
		c.report(Error, "DUPLICATE_VARIABLE_NAME", at, "The variable name '%s' was already defined in a parent scope.", name)
	}
}
