package flow

import (
	_ "embed"
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"

	"tokaido/asl"
	"tokaido/value"
)

// answersJSON is what the operations of some services answer: types, bounds,
// enumerations and required members, as AWS's published service models (those of
// botocore 1.43) have them. Member names begin with a capital, as in Step
// Functions. One bound is older there than in the models, as recordings show: the
// MemorySize of a Lambda function.
//
//go:embed answers.json
var answersJSON []byte

// answerShape is the type of one part of an answer.
type answerShape struct {
	Type     string            `json:"type"` // string, number, boolean, array, map, object
	Fields   map[string]string `json:"fields"`
	Required []string          `json:"required"`
	Item     string            `json:"item"`
	Enum     []string          `json:"enum"`
	Min      *float64          `json:"min"`
	Max      *float64          `json:"max"`
}

type serviceAnswers struct {
	Operations map[string]string      `json:"operations"`
	Shapes     map[string]answerShape `json:"shapes"`
}

var answers = sync.OnceValue(func() map[string]serviceAnswers {
	var all map[string]serviceAnswers
	if err := json.Unmarshal(answersJSON, &all); err != nil {
		panic(err) // it is ours
	}
	for _, s := range all {
		s.Shapes["s"], s.Shapes["n"], s.Shapes["b"] = answerShape{Type: "string"}, answerShape{Type: "number"}, answerShape{Type: "boolean"}
	}
	return all
})

// answerOf finds what a task's service answers; ok is false if that is not known.
func answerOf(t *asl.TaskPart) (s serviceAnswers, shape string, free []string, ok bool) {
	service, sdk := strings.CutPrefix(t.Service, "aws-sdk:")
	action := t.Action
	if !sdk {
		switch service {
		case "states":
			service = "sfn"
			if t.Pattern == asl.Sync || t.Pattern == asl.Sync2 {
				action = "describeExecution" // what it polls is what is mocked
			}
		case "lambda":
			free = []string{"Payload"} // a document here, not a blob
		}
		if t.Pattern != asl.RequestResponse && service != "sfn" {
			return s, "", nil, false
		}
		if t.Pattern == asl.Sync2 {
			free = []string{"Input", "Output"}
		}
	}
	s, ok = answers()[service]
	if ok {
		shape, ok = s.Operations[action]
	}
	return s, shape, free, ok
}

// checkAnswer holds a mocked result to what the service answers. strict asks for
// required members too. It returns what is wrong, "" if nothing is.
func (s serviceAnswers) check(v value.Value, shape, name string, strict bool, free []string) string {
	sh := s.Shapes[shape]
	kind := func(ok bool, want string) string {
		if ok {
			return ""
		}
		return "Field '" + name + "' must be " + want
	}
	switch sh.Type {
	case "string":
		switch t := v.Str(); {
		case !v.IsString():
			return kind(false, "a string")
		case sh.Enum != nil && !contains(sh.Enum, t):
			return "Field '" + name + "' is not an expected value"
		case sh.Min != nil && float64(utf8.RuneCountInString(t)) < *sh.Min:
			return "Field '" + name + "' is smaller than the minimum length"
		}
	case "number":
		switch {
		case !v.IsNumber():
			return kind(false, "a number")
		case sh.Max != nil && v.Float() > *sh.Max:
			return "Field '" + name + "' exceeds the maximum value"
		case sh.Min != nil && v.Float() < *sh.Min:
			return "Field '" + name + "' is less than the minimum value"
		}
	case "boolean":
		return kind(v.Kind() == value.KindBool, "a boolean")
	case "array":
		if !v.IsArray() {
			return kind(false, "an array")
		}
		for _, x := range v.Items() {
			if why := s.check(x, sh.Item, name, strict, nil); why != "" {
				return why
			}
		}
	case "map":
		if !v.IsObject() {
			return kind(false, "an object")
		}
		for k, x := range v.Members() {
			if why := s.check(x, sh.Item, k, strict, nil); why != "" {
				return why
			}
		}
	case "object":
		if !v.IsObject() {
			return kind(false, "an object")
		}
		if strict {
			for _, r := range sh.Required {
				if !v.Has(r) {
					return "Required field '" + r + "' is missing"
				}
			}
		}
		for k, x := range v.Members() {
			if f, ok := sh.Fields[k]; ok && !contains(free, k) && !x.IsNull() {
				if why := s.check(x, f, k, strict, nil); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

func contains(ss []string, s string) bool {
	for _, x := range ss {
		if x == s {
			return true
		}
	}
	return false
}
