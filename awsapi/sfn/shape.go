package sfn

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"tokaido/fault"
	"tokaido/value"
)

// kind is the JSON type of a shape.
type kind uint8

const (
	text kind = iota
	integer
	number
	boolean
	list
	structure
)

// shape is what a member of a request may be.
type shape struct {
	kind     kind
	name     string // structure: as AWS's messages print it
	min, max int    // length or value; max 0: none (see bounded)
	bounded  bool   // integer: max is a bound even if it is 0
	pattern  string
	enum     []string // in the order of AWS's messages
	secret   bool     // messages and records do not show the value
	sized    bool     // max is what the server's limit of data says
	elem     *shape   // list
	members  []member // structure
}

type member struct {
	name     string
	required bool
	shape
}

// The shapes of Step Functions' model.
var (
	arnShape      = shape{min: 1, max: 256}
	longARN       = shape{min: 1, max: 2000}
	nameShape     = shape{min: 1, max: 80}
	definition    = shape{min: 1, max: 1 << 20, secret: true}
	data          = shape{max: 256 << 10, secret: true, sized: true}
	errorShape    = shape{max: 256, secret: true}
	causeShape    = shape{max: 32768, secret: true}
	pageSize      = shape{kind: integer, max: 1000, bounded: true}
	pageToken     = shape{min: 1, max: 1024}
	longPageToken = shape{min: 1, max: 3096}
	flag          = shape{kind: boolean}
	description   = shape{max: 256, secret: true}
	trace         = shape{max: 256, pattern: `\p{ASCII}*`}
	taskToken     = shape{min: 1, max: 2048, secret: true}
	machineType   = shape{enum: []string{"STANDARD", "EXPRESS"}}
	includedData  = shape{enum: []string{"ALL_DATA", "METADATA_ONLY"}}
	status        = shape{enum: []string{"SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING"}}
	redriveFilter = shape{enum: []string{"REDRIVEN", "NOT_REDRIVEN"}}
	aliasName     = shape{min: 1, max: 80, pattern: `^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$`}
	anyText       = shape{}
	clientToken   = shape{min: 1, max: 64, pattern: `[!-~]+`}

	tag = shape{kind: structure, name: "Tag", members: []member{
		{"key", false, shape{min: 1, max: 128}},
		{"value", false, shape{max: 256}},
	}}
	tags    = shape{kind: list, elem: &tag}
	tagKeys = shape{kind: list, elem: &shape{min: 1, max: 128}}

	logGroup = shape{kind: structure, name: "CloudWatchLogsLogGroup", members: []member{{"logGroupArn", false, arnShape}}}
	logDest  = shape{kind: structure, name: "LogDestination", members: []member{{"cloudWatchLogsLogGroup", false, logGroup}}}
	logging  = shape{kind: structure, name: "LoggingConfiguration", members: []member{
		{"level", false, shape{enum: []string{"ALL", "ERROR", "FATAL", "OFF"}}},
		{"includeExecutionData", false, flag},
		{"destinations", false, shape{kind: list, elem: &logDest}},
	}}
	tracing    = shape{kind: structure, name: "TracingConfiguration", members: []member{{"enabled", false, flag}}}
	encryption = shape{kind: structure, name: "EncryptionConfiguration", members: []member{
		{"kmsKeyId", false, shape{min: 1, max: 2048}},
		{"kmsDataKeyReusePeriodSeconds", false, shape{kind: integer, min: 60, max: 900, bounded: true}},
		{"type", true, shape{enum: []string{"AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"}}},
	}}
	route = shape{kind: structure, name: "RoutingConfigurationListItem", members: []member{
		{"stateMachineVersionArn", true, arnShape},
		{"weight", true, shape{kind: integer, max: 100, bounded: true}},
	}}
	routes = shape{kind: list, min: 1, max: 2, elem: &route}
)

// patterns are the regular expressions of shapes in Go's syntax, which has no
// lookahead; a match must be of the whole text.
var patterns = map[string][]*regexp.Regexp{
	aliasName.pattern:   {regexp.MustCompile(`^[a-zA-Z0-9_\-.]+$`), regexp.MustCompile(`[a-zA-Z_\-.]`)},
	clientToken.pattern: {regexp.MustCompile(`^[!-~]+$`)},
	trace.pattern:       {regexp.MustCompile(`^[\x00-\x7f]*$`)},
}

// problems are what is wrong with a request, in AWS's words.
type problems struct {
	all  []string
	most int // see check
}

func (p *problems) add(v value.Value, s *shape, path, what string) {
	shown := "Value '" + show(v, s) + "'"
	switch {
	case s.secret:
		shown = "Value"
	case v.IsUndefined() || v.IsNull():
		shown = "Value null"
	}
	p.all = append(p.all, shown+" at '"+path+"' failed to satisfy constraint: "+what)
}

// check is the fault of a request that does not have the shape that members
// say; nil if it has. most is how long data may be, 0: of any length.
func check(in value.Value, members []member, most int) error {
	if err := wrongType(in, &shape{kind: structure, members: members}, ""); err != nil {
		return err
	}
	p := problems{most: most}
	p.members(in, members, "")
	switch len(p.all) {
	case 0:
		return nil
	case 1:
		return fault.Newf("ValidationException", "1 validation error detected: %s", p.all[0])
	}
	return fault.Newf("ValidationException", "%d validation errors detected: %s", len(p.all), strings.Join(p.all, "; "))
}

// wrongType is what AWS's parser says of a request that it cannot read, and what
// we say of a member that nobody would act on.
func wrongType(v value.Value, s *shape, path string) error {
	wrong := func(as string) error {
		have := map[value.Kind]string{
			value.KindBool: "BOOLEAN_VALUE", value.KindNumber: "NUMBER_VALUE", value.KindString: "STRING_VALUE",
			value.KindArray: "START_ARRAY", value.KindObject: "START_OBJECT",
		}[v.Kind()]
		if v.Kind() == value.KindBool {
			have = strings.ToUpper(strconv.FormatBool(v.Bool())) + "_VALUE"
		}
		return fault.Newf("SerializationException", "%s can not be converted to %s", have, as)
	}
	if v.IsUndefined() || v.IsNull() {
		return nil
	}
	switch s.kind {
	case text:
		if !v.IsString() {
			return wrong("a String")
		}
	case integer:
		if _, ok := v.Int(); !ok {
			return wrong("an Integer")
		}
	case number:
		if !v.IsNumber() {
			return wrong("a Double")
		}
	case boolean:
		if v.Kind() != value.KindBool {
			return wrong("a Boolean")
		}
	case list:
		if !v.IsArray() {
			return wrong("a List")
		}
		for i, x := range v.Items() {
			if err := wrongType(x, s.elem, path+"."+strconv.Itoa(i+1)+".member"); err != nil {
				return err
			}
		}
	case structure:
		if !v.IsObject() {
			return wrong("a Structure")
		}
	next:
		for k, x := range v.Members() {
			for i := range s.members {
				if s.members[i].name == k {
					if err := wrongType(x, &s.members[i].shape, strings.TrimPrefix(path+"."+k, ".")); err != nil {
						return err
					}
					continue next
				}
			}
			return fault.Newf("ValidationException", "The parameter '%s' is refused: this server does not act on it.", strings.TrimPrefix(path+"."+k, "."))
		}
	}
	return nil
}

func (p *problems) members(in value.Value, members []member, path string) {
	for i := range members {
		m := &members[i]
		v, at := in.Get(m.name), m.name
		if path != "" {
			at = path + "." + m.name
		}
		if v.IsUndefined() || v.IsNull() {
			if m.required {
				p.add(value.Null(), &shape{}, at, "Member must not be null")
			}
			continue
		}
		p.check(v, &m.shape, at)
	}
}

func (p *problems) check(v value.Value, s *shape, path string) {
	most := s.max
	if s.sized {
		most = p.most
	}
	length := func(n int) {
		if most > 0 && n > most {
			p.add(v, s, path, "Member must have length less than or equal to "+strconv.Itoa(most))
		}
		if n < s.min {
			p.add(v, s, path, "Member must have length greater than or equal to "+strconv.Itoa(s.min))
		}
	}
	switch s.kind {
	case text:
		t := v.Str()
		if s.pattern != "" {
			for _, r := range patterns[s.pattern] {
				if !r.MatchString(t) {
					p.add(v, s, path, "Member must satisfy regular expression pattern: "+s.pattern)
					break
				}
			}
		}
		if len(t) > most || s.min > 0 {
			length(utf16Len(t))
		}
		if s.enum != nil && !contains(s.enum, t) {
			p.add(v, s, path, "Member must satisfy enum value set: ["+strings.Join(s.enum, ", ")+"]")
		}
	case integer:
		n, _ := v.Int()
		if s.bounded && n > int64(s.max) {
			p.add(v, s, path, "Member must have value less than or equal to "+strconv.Itoa(s.max))
		}
		if n < int64(s.min) {
			p.add(v, s, path, "Member must have value greater than or equal to "+strconv.Itoa(s.min))
		}
	case number:
		if f := v.Float(); s.bounded && f > float64(s.max) {
			p.add(v, s, path, "Member must have value less than or equal to "+strconv.Itoa(s.max))
		} else if f < float64(s.min) {
			p.add(v, s, path, "Member must have value greater than or equal to "+strconv.Itoa(s.min))
		}
	case list:
		length(v.Len())
		for i, x := range v.Items() {
			p.check(x, s.elem, path+"."+strconv.Itoa(i+1)+".member")
		}
	case structure:
		p.members(v, s.members, path)
	}
}

func contains(ss []string, s string) bool {
	return slices.Contains(ss, s)
}

// utf16Len is the length that AWS's constraints count.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// show prints a value as AWS's messages do: in Java's way.
func show(v value.Value, s *shape) string {
	switch {
	case v.IsUndefined() || v.IsNull():
		return "null"
	case s.secret:
		return "***Sensitive Data Redacted***"
	case v.IsString():
		return v.Str()
	case v.IsArray() && s.elem != nil:
		var parts []string
		for _, x := range v.Items() {
			parts = append(parts, show(x, s.elem))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.IsObject():
		var parts []string
		for i := range s.members {
			if m := &s.members[i]; v.Has(m.name) {
				parts = append(parts, m.name+"="+show(v.Get(m.name), &m.shape))
			}
		}
		return s.name + "(" + strings.Join(parts, ", ") + ")"
	}
	return v.JSON()
}

// hidden is a request as the record has it: secrets are replaced, as AWS does.
func hidden(in value.Value, members []member) value.Value {
	for i := range members {
		switch m, v := &members[i], in.Get(members[i].name); {
		case m.secret && v.IsString():
			in = in.With(m.name, value.String("HIDDEN_DUE_TO_SECURITY_REASONS"))
		case m.kind == structure && v.IsObject():
			in = in.With(m.name, hidden(v, m.members))
		}
	}
	return in
}
