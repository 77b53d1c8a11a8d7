package jsonata

import (
	"strconv"
	"strings"

	"tokaido/value"
)

// messages say what the codes mean. {value}, {value2}, {token}, {type} and
// {exp} stand for JSON texts, {index} for a number, {name} and {function} for
// bare words.
var messages = map[string]string{
	"S0101": "String literal must be terminated by a matching quote",
	"S0102": "Number out of range: {token}",
	"S0103": "Unsupported escape sequence: \\{token}",
	"S0104": "The escape sequence \\u must be followed by 4 hex digits",
	"S0105": "Quoted property name must be terminated with a backquote (`)",
	"S0106": "Comment has no closing tag",
	"S0201": "Syntax error: {token}",
	"S0202": "Expected {value}, got {token}",
	"S0203": "Expected {value} before end of expression",
	"S0204": "Unknown operator: {token}",
	"S0206": "Unknown expression type: {token}",
	"S0207": "Unexpected end of expression",
	"S0208": "Parameter {value} of function definition must be a variable name (start with $)",
	"S0209": "A predicate cannot follow a grouping expression in a step",
	"S0210": "Each step can only have one grouping expression",
	"S0211": "The symbol {token} cannot be used as a unary operator",
	"S0212": "The left side of := must be a variable name (start with $)",
	"S0213": "The literal value {value} cannot be used as a step within a path expression",
	"S0214": "The right side of {token} must be a variable name (start with $)",
	"S0215": "A context variable binding must precede any predicates on a step",
	"S0216": "A context variable binding must precede the 'order-by' clause on a step",
	"S0217": "The object representing the 'parent' cannot be derived from this expression",
	"S0301": "Empty regular expressions are not allowed",
	"S0302": "No terminating / in regular expression",
	"S0401": "Type parameters can only be applied to functions and arrays",
	"S0402": "Choice groups containing parameterized types are not supported",

	"T0410": "Argument {index} of function {token} does not match function signature",
	"T0411": "Context value is not a compatible type with argument {index} of function {token}",
	"T0412": "Argument {index} of function {token} must be an array of {type}",
	"T1003": "Key in object structure must evaluate to a string; got: {value}",
	"T1005": "Attempted to invoke a non-function. Did you mean ${name}?",
	"T1006": "Attempted to invoke a non-function",
	"T1007": "Attempted to partially apply a non-function. Did you mean ${name}?",
	"T1008": "Attempted to partially apply a non-function",
	"T1010": "The matcher function argument passed to function {token} does not return the correct object structure",
	"T2001": "The left side of the {token} operator must evaluate to a number",
	"T2002": "The right side of the {token} operator must evaluate to a number",
	"T2003": "The left side of the range operator (..) must evaluate to an integer",
	"T2004": "The right side of the range operator (..) must evaluate to an integer",
	"T2006": "The right side of the function application operator ~> must be a function",
	"T2007": "Type mismatch when comparing values {value} and {value2} in order-by clause",
	"T2008": "The expressions within an order-by clause must evaluate to numeric or string values",
	"T2009": "The values {value} and {value2} either side of operator {token} must be of the same data type",
	"T2010": "The expressions either side of operator {token} must evaluate to numeric or string values",
	"T2011": "The insert/update clause of the transform expression must evaluate to an object: {value}",
	"T2012": "The delete clause of the transform expression must evaluate to a string or array of strings: {value}",
	"T2013": "The transform expression copies its input with $clone(), which is not a function in this scope",

	"D1001": "Number out of range: {value}",
	"D1002": "Cannot negate a non-numeric value: {value}",
	"D1004": "Regular expression matches zero length string",
	"D1009": "Multiple key definitions evaluate to same key: {value}",
	"D1013": "A name beginning with _jsonata_ is reserved: {value}",
	"D2014": "The range operator (..) makes sequences of at most 1e7 items; asked for {value}",
	"D2015": "A sequence would have more than {value} items",
	"D3001": "Attempting to invoke string function on Infinity or NaN",
	"D3010": "Second argument of replace function cannot be an empty string",
	"D3011": "Fourth argument of replace function must evaluate to a positive number",
	"D3012": "Attempted to replace a matched string with a non-string value",
	"D3020": "Third argument of split function must evaluate to a positive number",
	"D3030": "Unable to cast value to a number: {value}",
	"D3040": "Third argument of match function must evaluate to a positive number",
	"D3050": "The second argument of reduce function must be a function with at least two arguments",
	"D3060": "The sqrt function cannot be applied to a negative number: {value}",
	"D3061": "The power function has no result that is a JSON number: base={value}, exponent={exp}",
	"D3070": "Without a comparison function, sort takes an array of strings or an array of numbers",
	"D3080": "A number picture has at most two sub-pictures",
	"D3081": "A sub-picture has at most one decimal separator",
	"D3082": "A sub-picture has at most one percent character",
	"D3083": "A sub-picture has at most one per-mille character",
	"D3084": "A sub-picture has a percent or a per-mille character, not both",
	"D3085": "The mantissa of a sub-picture needs at least one digit character",
	"D3086": "A sub-picture has no passive character between active ones",
	"D3087": "A sub-picture has no grouping separator beside its decimal separator",
	"D3088": "The integer part of a sub-picture does not end in a grouping separator",
	"D3089": "A sub-picture has no two grouping separators side by side",
	"D3090": "In the integer part of a sub-picture no mandatory digit precedes an optional one",
	"D3091": "In the fractional part of a sub-picture no optional digit precedes a mandatory one",
	"D3092": "A sub-picture with a percent or per-mille character has no exponent",
	"D3093": "The exponent of a sub-picture consists of mandatory digits, at least one",
	"D3100": "The radix of formatBase is between 2 and 36, not {value}",
	"D3110": "The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given {value}",
	"D3120": "Syntax error in expression passed to function eval: {value}",
	"D3121": "Dynamic error evaluating the expression passed to function eval: {value}",
	"D3130": "Formatting or parsing an integer as a sequence starting with {value} is not supported",
	"D3131": "All digits of a decimal digit pattern must be of one family",
	"D3132": "Unknown component specifier {value} in date/time picture string",
	"D3133": "Only months and days have names in a date/time picture string, not {value}",
	"D3134": "The time zone's integer format has at most four digits",
	"D3135": "No matching closing bracket ']' in date/time picture string",
	"D3136": "The date/time picture string lacks components that the timestamp cannot be read without",
	"D3138": "The $single() function expected exactly 1 matching result.  Instead it matched more.",
	"D3139": "The $single() function expected exactly 1 matching result.  Instead it matched 0.",
	"D3140": "Malformed URL passed to ${function}(): {value}",
}

// explain fills the message in.
func (e *Error) explain() {
	for _, v := range [...]*value.Value{&e.Value, &e.Value2} {
		if s := v.Str(); s != "" {
			*v = value.String(wellFormed(s))
		}
	}
	t, ok := messages[e.Code]
	if !ok || e.Message != "" {
		return
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(t, '{')
		if i < 0 {
			break
		}
		b.WriteString(t[:i])
		t = t[i+1:]
		end := strings.IndexByte(t, '}')
		switch t[:end] {
		case "value":
			writeJSON(&b, e.Value)
		case "value2":
			writeJSON(&b, e.Value2)
		case "token":
			writeJSON(&b, value.String(e.Token))
		case "type":
			writeJSON(&b, value.String(e.wanted))
		case "exp":
			b.WriteString(e.other)
		case "index":
			b.WriteString(strconv.Itoa(e.Index))
		case "name":
			b.WriteString(e.Token)
		case "function":
			b.WriteString(e.Function)
		}
		t = t[end+1:]
	}
	b.WriteString(t)
	e.Message = b.String()
}

func writeJSON(b *strings.Builder, v value.Value) {
	if v.IsUndefined() {
		b.WriteString("undefined")
		return
	}
	b.WriteString(v.JSON())
}

// maxShown is the number of items above which a value is left out of an error.
const maxShown = 1000

// show turns a value into what an error carries: nothing if it is no document,
// or a long one.
func (m *machine) show(a val) value.Value {
	if a.x == nil {
		return a.v
	}
	if a.x.kind == boxFunction || a.length() > maxShown {
		return value.Value{}
	}
	v, err := m.export(a, 0)
	if err != nil {
		return value.Value{}
	}
	return v
}
