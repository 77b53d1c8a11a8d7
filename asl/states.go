package asl

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/jsonpath"
	"tokaido/value"
)

// types is a set of state types.
type types uint16

func of(ts ...Type) (s types) {
	for _, t := range ts {
		s |= 1 << t
	}
	return s
}

func (s types) has(t Type) bool { return s&(1<<t) != 0 }

// allowed says where a field may stand: on which types, and in one language
// only or in both.
type allowed struct {
	types types
	only  bool
	lang  Language
}

var (
	everyType = of(Pass, Task, Choice, Wait, Succeed, Fail, Parallel, Map)
	leaving   = of(Pass, Task, Wait, Parallel, Map) // with Next or End
	working   = of(Task, Parallel, Map)             // with a result of their own
)

// matrix is the language's table of fields.
var matrix = map[string]allowed{
	"Type": {types: everyType}, "Comment": {types: everyType}, "QueryLanguage": {types: everyType},
	"Next": {types: leaving}, "End": {types: leaving},

	"InputPath":      {everyType &^ of(Fail), true, JSONPath},
	"OutputPath":     {everyType &^ of(Fail), true, JSONPath},
	"Parameters":     {leaving &^ of(Wait), true, JSONPath},
	"Result":         {of(Pass), true, JSONPath},
	"ResultSelector": {working, true, JSONPath},
	"ResultPath":     {working | of(Pass), true, JSONPath},

	"Arguments": {of(Task, Parallel), true, JSONata},
	"Output":    {everyType &^ of(Fail), true, JSONata},

	"Assign": {types: leaving | of(Choice)},
	"Retry":  {types: working}, "Catch": {types: working},

	"Resource": {types: of(Task)}, "Credentials": {types: of(Task)},
	"TimeoutSeconds": {types: of(Task)}, "HeartbeatSeconds": {types: of(Task)},
	"TimeoutSecondsPath":   {of(Task), true, JSONPath},
	"HeartbeatSecondsPath": {of(Task), true, JSONPath},

	"Choices": {types: of(Choice)}, "Default": {types: of(Choice)},

	"Seconds": {types: of(Wait)}, "Timestamp": {types: of(Wait)},
	"SecondsPath":   {of(Wait), true, JSONPath},
	"TimestampPath": {of(Wait), true, JSONPath},

	"Error": {types: of(Fail)}, "Cause": {types: of(Fail)},
	"ErrorPath": {of(Fail), true, JSONPath},
	"CausePath": {of(Fail), true, JSONPath},

	"Branches": {types: of(Parallel)},

	"ItemProcessor": {types: of(Map)}, "Iterator": {types: of(Map)},
	"ItemsPath":    {of(Map), true, JSONPath},
	"Items":        {of(Map), true, JSONata},
	"ItemSelector": {types: of(Map)}, "ItemReader": {types: of(Map)}, "ItemBatcher": {types: of(Map)},
	"ResultWriter": {types: of(Map)}, "MaxConcurrency": {types: of(Map)}, "Label": {types: of(Map)},
	"ToleratedFailureCount": {types: of(Map)}, "ToleratedFailurePercentage": {types: of(Map)},
	"MaxConcurrencyPath":             {of(Map), true, JSONPath},
	"ToleratedFailureCountPath":      {of(Map), true, JSONPath},
	"ToleratedFailurePercentagePath": {of(Map), true, JSONPath},
}

// distributedOnly are the fields of a Map that do nothing unless the mode is
// DISTRIBUTED, though the result would be another one with them. (AWS takes a
// Label and tolerances in either mode.)
var distributedOnly = []string{"ItemReader", "ItemBatcher", "ResultWriter"}

// exclusive are fields of which a state may have one.
var exclusive = [][]string{
	{"TimeoutSeconds", "TimeoutSecondsPath"},
	{"HeartbeatSeconds", "HeartbeatSecondsPath"},
	{"Error", "ErrorPath"},
	{"Cause", "CausePath"},
	{"MaxConcurrency", "MaxConcurrencyPath"},
	{"ToleratedFailureCount", "ToleratedFailureCountPath"},
	{"ToleratedFailurePercentage", "ToleratedFailurePercentagePath"},
	{"ItemSelector", "Parameters"},
}

// frame is where the fields being compiled stand.
type frame struct {
	root   string // place of the state
	prefix string // of the part, relative to the state: "Catch[0]", or ""
	at     string // place of the part
	lang   Language
}

func (f *frame) where(name string) string {
	if f.prefix == "" {
		return name
	}
	return f.prefix + "/" + name
}

func (f *frame) part(name string) *frame {
	return &frame{f.root, f.where(name), f.root + "/" + f.where(name), f.lang}
}

var typeNames = []string{"Task", "Wait", "Pass", "Succeed", "Fail", "Choice", "Parallel", "Map"}

func typeNamed(s string) Type {
	for t := Pass; t <= Map; t++ {
		if t.String() == s {
			return t
		}
	}
	return 0
}

// compile compiles one state.
func (c *compiler) compile(g *graph, st *State, v value.Value, at string) {
	if !c.isObject(v, at) {
		g.whole = false
		return
	}
	if !c.required(v, at, "Type") {
		g.whole = false
		return
	}
	if st.Type = typeNamed(v.Get("Type").Str()); st.Type == 0 {
		c.schema(at+"/Type", "The field 'Type' should have one of these values: [%s]", strings.Join(typeNames, ", "))
		g.whole = false
		return
	}
	// A state has its own language, else the machine's; not that of the state around it.
	st.Language = c.language
	ql := v.Get("QueryLanguage")
	reverts := false
	if !ql.IsUndefined() {
		st.Language = JSONata
		if c.oneOf(ql, at+"/QueryLanguage", "JSONPath", "JSONata") && ql.Str() == "JSONPath" {
			st.Language = JSONPath
			if reverts = c.language == JSONata; reverts {
				c.schema(at, "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine")
			}
		}
	}
	read := c.read
	c.read = map[string]bool{}
	defer func() {
		if len(c.read) > 0 {
			names := make([]string, 0, len(c.read))
			for n := range c.read {
				names = append(names, n)
			}
			slices.Sort(names)
			c.program.References = append(c.program.References, StateReferences{st.Name, names})
		}
		c.read = read
	}()

	switch st.Type {
	case Task:
		st.Task = &TaskPart{}
	case Choice:
		st.Choice = &ChoicePart{}
	case Wait:
		st.Wait = &WaitPart{}
	case Fail:
		st.Fail = &FailPart{}
	case Map:
		st.Map = &MapPart{}
	}
	f := &frame{root: at, at: at, lang: st.Language}
	c.shape(g, f, st, v)
	for name, x := range v.Members() {
		rule, known := matrix[name]
		switch {
		case !known || !rule.types.has(st.Type):
			c.unsupported(at, name)
		case rule.only && rule.lang != st.Language:
			if !reverts {
				c.foreign(at, name, st.Language)
			}
		default:
			c.field(g, f, st, name, x)
		}
	}
	c.finish(f, st, v)
}

// shape checks which fields a state has, of those that depend on one another.
func (c *compiler) shape(g *graph, f *frame, st *State, v value.Value) {
	if leaving.has(st.Type) {
		end := v.Get("End")
		switch {
		case v.Has("Next") && end.Bool():
			c.schema(f.at, "There should only be one of the following fields: [Next, End]")
		case !v.Has("Next") && !end.Bool():
			if end.IsUndefined() || end.Kind() == value.KindBool {
				c.schema(f.at, "This object should have only one of the following fields: [Next, End]")
			}
			g.whole = false
		}
		g.ends = g.ends || end.Bool()
	}
	switch st.Type {
	case Succeed, Fail:
		g.ends = true
	case Task:
		c.required(v, f.at, "Resource")
	case Choice:
		g.whole = c.required(v, f.at, "Choices") && g.whole
	case Wait:
		c.exactlyOne(v, f.at, "SecondsPath", "Seconds", "TimestampPath", "Timestamp")
	case Parallel:
		c.required(v, f.at, "Branches")
	case Map:
		c.exactlyOne(v, f.at, "ItemProcessor", "Iterator")
		if !distributed(v) {
			for name := range v.Members() {
				if slices.Contains(distributedOnly, name) {
					c.unsupported(f.at, name)
				}
			}
		}
	}
	for _, names := range exclusive {
		c.atMostOne(v, f.at, names...)
	}
}

// distributed reports whether a Map's processor has that mode.
func distributed(v value.Value) bool {
	for _, name := range []string{"ItemProcessor", "Iterator"} {
		if v.Get(name).Get("ProcessorConfig").Get("Mode").Str() == "DISTRIBUTED" {
			return true
		}
	}
	return false
}

// field compiles one field that the state may have.
func (c *compiler) field(g *graph, f *frame, st *State, name string, v value.Value) {
	at := f.at + "/" + name
	a := available{result: working.has(st.Type)}
	switch name {
	case "Comment":
		c.isString(v, at)
	case "Next":
		st.Next = g.next(st, v, at)
	case "End":
		c.isBool(v, at)
	case "InputPath":
		st.InputPath = c.nullablePath(f, name, v)
	case "OutputPath":
		st.OutputPath = c.nullablePath(f, name, v)
	case "Parameters":
		if !c.isObject(v, at) {
			return
		}
		if p := c.template(f, name, v); st.Type == Map {
			st.Map.ItemSelector = p
		} else {
			st.Parameters = p
		}
	case "Result":
		st.Result = &Field{name: name, lit: v}
		c.static(v, at)
	case "ResultSelector":
		if c.isObject(v, at) {
			st.ResultSelector = c.template(f, name, v)
		}
	case "ResultPath":
		st.ResultPath = c.resultPath(f, v)
	case "Arguments":
		st.Arguments = c.any(f, name, v, available{})
	case "Output":
		st.Output = c.any(f, name, v, a)
	case "Assign":
		st.Assign = c.assign(f, v, a)
	case "Retry":
		st.Retry = c.retry(f, v)
	case "Catch":
		st.Catch = c.catch(g, f, st, v)

	case "Resource":
		c.resource(st, v, at)
	case "Credentials":
		c.credentials(f, st, v)
	case "TimeoutSeconds":
		st.Task.Timeout = c.number(f, name, v, 1, MaxSeconds, false)
	case "TimeoutSecondsPath":
		st.Task.Timeout = c.numberPath(f, name, v, 1, MaxSeconds)
	case "HeartbeatSeconds":
		st.Task.Heartbeat = c.number(f, name, v, 1, MaxSeconds, false)
	case "HeartbeatSecondsPath":
		st.Task.Heartbeat = c.numberPath(f, name, v, 1, MaxSeconds)

	case "Choices":
		c.choices(g, f, st, v)
	case "Default":
		st.Choice.Default = g.next(st, v, at)

	case "Seconds":
		st.Wait.Seconds = c.number(f, name, v, 0, MaxSeconds, false)
	case "SecondsPath":
		st.Wait.Seconds = c.numberPath(f, name, v, 0, noLimit)
	case "Timestamp":
		st.Wait.Timestamp = c.timestamp(f, name, v)
	case "TimestampPath":
		st.Wait.Timestamp = c.path(f, name, v, true)

	case "Error":
		st.Fail.Error = c.text(f, name, v)
	case "ErrorPath":
		st.Fail.Error = c.errorPath(f, name, v)
	case "Cause":
		st.Fail.Cause = c.text(f, name, v)
	case "CausePath":
		st.Fail.Cause = c.errorPath(f, name, v)

	case "Branches":
		if !c.isFilled(v, at) {
			return
		}
		st.Branches = make([]Machine, 0, v.Len())
		for i, b := range v.Items() {
			bat := at + "[" + strconv.Itoa(i) + "]"
			if !c.isObject(b, bat) {
				continue
			}
			c.required(b, bat, "States", "StartAt")
			c.only(b, bat, "StartAt", "States", "Comment")
			st.Branches = append(st.Branches, c.machine(b, bat, c.vars.inside(st.Name)))
		}

	case "ItemProcessor", "Iterator":
		c.processor(st, name, v, at)
	case "ItemsPath":
		st.Map.Items = c.path(f, name, v, true)
	case "Items":
		st.Map.Items = c.any(f, name, v, available{})
		if is, broken := isQuery(v.Str()); !is && !broken && !v.IsArray() && !v.IsObject() {
			c.schema(at, "Expected value of type [ARRAY]")
		}
	case "ItemSelector":
		st.Map.ItemSelector = c.templateOrQueries(f, name, v)
	case "MaxConcurrency":
		st.Map.MaxConcurrency = c.number(f, name, v, 0, noLimit, false)
	case "MaxConcurrencyPath":
		st.Map.MaxConcurrency = c.numberPath(f, name, v, 0, noLimit)
	case "ToleratedFailureCount": // AWS checks the range of the next two when the state runs
		st.Map.ToleratedFailureCount = c.atRun(c.number(f, name, v, -noLimit, noLimit, false), 0, noLimit)
	case "ToleratedFailureCountPath":
		st.Map.ToleratedFailureCount = c.numberPath(f, name, v, 0, noLimit)
	case "ToleratedFailurePercentage":
		st.Map.ToleratedFailurePercentage = c.atRun(c.number(f, name, v, -noLimit, 100, true), 0, 100)
	case "ToleratedFailurePercentagePath":
		st.Map.ToleratedFailurePercentage = c.numberPath(f, name, v, 0, 100)
	case "Label":
		c.label(st, v, at)
	case "ItemReader":
		st.Map.ItemReader = c.reader(f.part(name), v)
	case "ItemBatcher":
		st.Map.Batcher = c.batcher(f.part(name), v)
	case "ResultWriter":
		st.Map.ResultWriter = c.writer(f.part(name), v)
	}
}

func (c *compiler) atRun(f *Field, lo, hi int64) *Field {
	if f != nil {
		f.min, f.max = lo, hi
	}
	return f
}

// finish checks what can be said only when all fields are compiled.
func (c *compiler) finish(f *frame, st *State, v value.Value) {
	switch st.Type {
	case Task:
		c.parameters(f, st, v)
		if st.Task.Kind == ActivityTask && v.Has("Credentials") {
			c.schema(f.at+"/Credentials", "The field 'Credentials' is not supported for activities")
		}
		timeout, ok := st.Task.Timeout.Constant()
		heartbeat, both := st.Task.Heartbeat.Constant()
		if ok && both && heartbeat.Float() >= timeout.Float() {
			c.schema(f.at+"/HeartbeatSeconds", "HeartbeatSeconds must be smaller than TimeoutSeconds")
		}
	case Map:
		if st.Map.Items == nil && st.Map.ItemReader == nil {
			st.Map.Items = &Field{name: "Items", form: stateInput}
			if st.Language == JSONPath {
				e, _ := jsonpath.CompileExpression("$")
				st.Map.Items = &Field{name: "ItemsPath", lit: value.String("$"), form: path, expr: e}
			}
		}
	}
}

// templateOrQueries compiles a field that both languages have: a payload
// template in one, any JSON in the other.
func (c *compiler) templateOrQueries(f *frame, name string, v value.Value) *Field {
	if f.lang == JSONata {
		return c.any(f, name, v, available{})
	}
	if !c.isObject(v, f.at+"/"+name) {
		return nil
	}
	return c.template(f, name, v)
}

// static warns of a Result that looks as if it were meant to be computed.
func (c *compiler) static(v value.Value, at string) {
	warn := func(at string) {
		c.report(Warning, "PASS_RESULT_IS_STATIC", at, "Attempt to use a path in the result of a pass state.")
	}
	if v.IsString() && jsonpath.LooksDynamic(v.Str()) {
		warn(at)
	}
	for i, x := range v.Items() {
		c.static(x, at+"["+strconv.Itoa(i)+"]")
	}
	for k, x := range v.Members() {
		if strings.HasSuffix(k, jsonpath.Suffix) {
			warn(at + "/" + k)
			continue
		}
		c.static(x, at+"/"+k)
	}
}

// timestamp compiles Timestamp.
func (c *compiler) timestamp(f *frame, name string, v value.Value) *Field {
	at := f.at + "/" + name
	if !c.isString(v, at) {
		return nil
	}
	if is, broken := isQuery(v.Str()); f.lang == JSONata && (is || broken) {
		return c.any(f, name, v, available{})
	}
	if _, ok := ParseTime(v.Str()); !ok {
		c.schema(at, "String does not match RFC3339 timestamp")
	}
	return &Field{name: name, lit: v}
}

// resource compiles Resource.
func (c *compiler) resource(st *State, v value.Value, at string) {
	if !c.isString(v, at) {
		return
	}
	part, problem := parseResource(v.Str())
	t := st.Task
	if problem == resourceOK {
		*t = TaskPart{
			Resource: part.Resource, Kind: part.Kind, Service: part.Service, Action: part.Action, Pattern: part.Pattern,
			Timeout: t.Timeout, Heartbeat: t.Heartbeat, RoleArn: t.RoleArn,
		}
	}
	switch {
	case problem == notAnARN:
		c.schema(at, "Value is not a valid resource ARN")
	case problem == notRecognized:
		c.schema(at, "The resource provided %s is not recognized. The value is not a valid resource ARN, or the resource is not available in this region.", v.Str())
	case !c.express:
	case t.Kind == ActivityTask:
		c.schema(at, "Express state machine does not support Activity ARN")
	case t.Pattern == Sync || t.Pattern == Sync2:
		c.schema(at, "Express state machine does not support '.sync' service integration")
	case t.Pattern == WaitForTaskToken: // AWS's text ends with a space
		c.schema(at, "Express state machine does not support '.waitForTaskToken' service integration ")
	}
}

// parameters checks that an integration is given what it cannot be called
// without. What an expression will yield is not known here.
func (c *compiler) parameters(f *frame, st *State, v value.Value) {
	t := st.Task
	if t.Kind != ServiceTask || t.Service == "" {
		return
	}
	name, suffix := "Parameters", jsonpath.Suffix
	if f.lang == JSONata {
		name, suffix = "Arguments", ""
	}
	args := v.Get(name)
	if args.IsUndefined() {
		c.schema(f.at, "%s field is required for resource ARN: %s", name, t.Resource)
		return
	}
	if !args.IsObject() {
		return
	}
	for _, field := range required[t.Service+":"+t.Action] {
		if !args.Has(field) && !args.Has(field+suffix) {
			c.schema(f.at+"/"+name, "The field '%s' is required but was missing", field)
		}
	}
}

// credentials compiles Credentials.
func (c *compiler) credentials(f *frame, st *State, v value.Value) {
	at := f.at + "/Credentials"
	if !c.isObject(v, at) {
		return
	}
	found := false
	for key, x := range v.Members() {
		switch {
		case key == "RoleArn" && f.lang == JSONata:
			st.Task.RoleArn = c.text(f.part("Credentials"), key, x)
		case key == "RoleArn", key == "RoleArn.$" && f.lang == JSONPath:
			_, t, err := jsonpath.CompileMember(key, x)
			if err != nil {
				c.templateErrors(at, err)
			} else if key == "RoleArn.$" || c.isString(x, at+"/"+key) {
				st.Task.RoleArn = c.templated(f.where("Credentials/RoleArn"), x, t, at)
			}
		default:
			c.unsupported(at, key)
			continue
		}
		found = true
	}
	if !found {
		c.schema(at, "The field 'RoleArn' is required but was missing")
	}
	c.atMostOne(v, at, "RoleArn", "RoleArn.$")
}

// errorEquals compiles ErrorEquals of entry i of n.
func (c *compiler) errorEquals(o value.Value, at string, i, n int) []string {
	if !c.required(o, at, "ErrorEquals") {
		return nil
	}
	at += "/ErrorEquals"
	v := o.Get("ErrorEquals")
	if !c.isFilled(v, at) {
		return nil
	}
	names := make([]string, 0, v.Len())
	for j, x := range v.Items() {
		if c.isString(x, at+"["+strconv.Itoa(j)+"]") {
			names = append(names, x.Str())
		}
	}
	if slices.Contains(names, "States.ALL") && (len(names) > 1 || i < n-1) {
		c.schema(at, "States.ALL must appear alone and at end of list")
	}
	return names
}

// retry compiles Retry.
func (c *compiler) retry(f *frame, v value.Value) []Retrier {
	if !c.isArray(v, f.at+"/Retry") {
		return nil
	}
	out := make([]Retrier, 0, v.Len())
	for i, o := range v.Items() {
		at := f.at + "/Retry[" + strconv.Itoa(i) + "]"
		if !c.isObject(o, at) {
			continue
		}
		r := Retrier{Interval: time.Second, MaxAttempts: 3, BackoffRate: 2}
		r.ErrorEquals = c.errorEquals(o, at, i, v.Len())
		for name, x := range o.Members() {
			at := at + "/" + name
			switch name {
			case "ErrorEquals":
			case "Comment":
				c.isString(x, at)
			case "IntervalSeconds": // AWS takes 0
				if n, ok := c.integer(x, at, 0, MaxSeconds); ok {
					r.Interval = time.Duration(n) * time.Second
				}
			case "MaxAttempts":
				if n, ok := c.integer(x, at, 0, MaxSeconds); ok {
					r.MaxAttempts = int(n)
				}
			case "BackoffRate":
				if !x.IsNumber() {
					c.schema(at, "Expected value of type Float")
				} else if c.within(x, at, 1, noLimit) {
					r.BackoffRate = x.Float()
				}
			case "MaxDelaySeconds":
				if n, ok := c.integer(x, at, 1, MaxDelaySeconds); ok {
					r.MaxDelay = time.Duration(n) * time.Second
				}
			case "JitterStrategy":
				r.FullJitter = c.oneOf(x, at, "NONE", "FULL") && x.Str() == "FULL"
			default:
				c.unsupported(at[:len(at)-len(name)-1], name)
			}
		}
		out = append(out, r)
	}
	return out
}

// catch compiles Catch.
func (c *compiler) catch(g *graph, f *frame, st *State, v value.Value) []Catcher {
	if !c.isArray(v, f.at+"/Catch") {
		return nil
	}
	out := make([]Catcher, 0, v.Len())
	for i, o := range v.Items() {
		p := f.part("Catch[" + strconv.Itoa(i) + "]")
		if !c.isObject(o, p.at) {
			continue
		}
		var k Catcher
		k.ErrorEquals = c.errorEquals(o, p.at, i, v.Len())
		g.whole = c.required(o, p.at, "Next") && g.whole
		a := available{failure: true}
		for name, x := range o.Members() {
			at := p.at + "/" + name
			switch {
			case name == "ErrorEquals":
			case name == "Comment":
				c.isString(x, at)
			case name == "Next":
				k.Next = g.next(st, x, at)
			case name == "Assign":
				k.Assign = c.assign(p, x, a)
			case name == "ResultPath" && f.lang == JSONPath:
				k.ResultPath = c.resultPath(p, x)
			case name == "Output" && f.lang == JSONata:
				k.Output = c.any(p, name, x, a)
			case name == "ResultPath" || name == "Output":
				c.foreign(p.at, name, f.lang)
			default:
				c.unsupported(p.at, name)
			}
		}
		out = append(out, k)
	}
	return out
}
