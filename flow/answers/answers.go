// Package answers knows what the operations of AWS's services answer, as far as
// a mocked answer can be held to it: types, required members, bounds and
// enumerations.
//
// It refuses to know more than AWS's TestState checks: members that an operation
// does not have are welcome, and patterns are not looked at.
package answers

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tokaido/value"
)

// models has a file for each service, named by its service id in small letters
// and digits. A file's first line is its operations ("Name=shape", those without
// an answer have no shape), each further line a shape, which others call by its
// number from 0. Words are parted by tabs.
//
//	{	Name	Name=shape	Name!=shape	members, ! where required; texts without a shape
//	[shape	min:max                       a list
//	<shape	min:max                       a map
//	"	min:max                           a text, by its length
//	=	value	value                       a text of these
//	#	min:max                           a number
//
// s, n, b and a are a text, a number, a boolean and anything at all.
//
//go:generate go run gen.go
//go:embed answers.zip
var models []byte

// ErrUnknown says that there is no model of an operation.
var ErrUnknown = errors.New("no model of this operation")

const maxModel = 4 << 20 // bytes of a service's file

type kind uint8

const (
	anything kind = iota
	text
	number
	boolean
	structure
	list
	mapping
)

type shape struct {
	kind     kind
	elem     *shape // list, mapping
	members  []member
	enum     []string
	min, max float64
	hasMin   bool
	hasMax   bool
}

type member struct {
	name     string // as the model has it
	required bool
	shape    *shape
}

// Model is what one operation answers.
type Model struct {
	answer *shape // nil: nothing
	java   bool
	free   []string
}

// Spelling is how Step Functions spells the members of an answer.
type Spelling uint8

// The spellings.
const (
	Capital Spelling = iota // of its optimized integrations: the model's name with a capital first
	Java                    // of its SDK integrations: as the SDK for Java does, "SsekmsKeyId"
)

// Find returns the model of a service's operation, both as Task resources name
// them: "sfn", "startExecution". free are members of the answer that may be
// anything. The error is ErrUnknown if there is none.
func Find(service, action string, sp Spelling, free ...string) (*Model, error) {
	src, err := read(service)
	if err != nil {
		return nil, err
	}
	first, rest, _ := strings.Cut(src, "\n")
	for op := range strings.SplitSeq(first, "\t") {
		name, ref, answers := strings.Cut(op, "=")
		if !strings.EqualFold(name, action) {
			continue
		}
		m := &Model{java: sp == Java, free: free}
		if answers {
			if m.answer, err = parse(rest, ref); err != nil {
				return nil, fmt.Errorf("model of %s: %w", service, err)
			}
		}
		return m, nil
	}
	return nil, ErrUnknown
}

// read returns a service's file. AWS leaves "Service" out of some names.
func read(service string) (string, error) {
	z, err := zip.NewReader(bytes.NewReader(models), int64(len(models)))
	if err != nil {
		return "", err
	}
	f, err := z.Open(service)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = z.Open(service + "service")
	}
	if err != nil {
		return "", ErrUnknown // also what is no file name
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxModel))
	return string(b), err
}

// parse builds the shape called ref and those that it needs.
func parse(src, ref string) (*shape, error) {
	p := parser{lines: strings.Split(src, "\n"), made: map[string]*shape{
		"s": {kind: text}, "n": {kind: number}, "b": {kind: boolean}, "a": {},
	}}
	return p.shape(ref)
}

type parser struct {
	lines []string
	made  map[string]*shape
}

func (p *parser) shape(ref string) (*shape, error) {
	if s := p.made[ref]; s != nil {
		return s, nil
	}
	n, err := strconv.Atoi(ref)
	if err != nil || n < 0 || n >= len(p.lines) || p.lines[n] == "" {
		return nil, fmt.Errorf("no shape %q", ref)
	}
	s := new(shape)
	p.made[ref] = s // shapes may contain themselves
	words := strings.Split(p.lines[n], "\t")
	head, words := words[0], words[1:]
	switch head[0] {
	case '{':
		s.kind = structure
		for _, w := range words {
			name, ref, ok := strings.Cut(w, "=")
			if !ok {
				ref = "s"
			}
			m := member{}
			m.name, m.required = strings.CutSuffix(name, "!")
			if m.shape, err = p.shape(ref); err != nil {
				return nil, err
			}
			s.members = append(s.members, m)
		}
		return s, nil
	case '=':
		s.kind, s.enum = text, words
		return s, nil
	case '[', '<':
		s.kind = list
		if head[0] == '<' {
			s.kind = mapping
		}
		if s.elem, err = p.shape(head[1:]); err != nil {
			return nil, err
		}
	case '"':
		s.kind = text
	case '#':
		s.kind = number
	default:
		return nil, fmt.Errorf("shape %q", p.lines[n])
	}
	if len(words) == 1 {
		lo, hi, _ := strings.Cut(words[0], ":")
		if s.min, err = strconv.ParseFloat(lo, 64); err == nil {
			s.hasMin = true
		}
		if s.max, err = strconv.ParseFloat(hi, 64); err == nil {
			s.hasMax = true
		}
	}
	return s, nil
}

// Check says what is wrong with an answer, in AWS's words; "" if nothing is.
// If complete is set, required members must be there.
func (m *Model) Check(v value.Value, complete bool) string {
	if m.answer == nil {
		return ""
	}
	if !v.IsObject() {
		return "Mocked result must be a JSON object."
	}
	return m.check(m.answer, "", v, complete, m.free)
}

func (m *Model) check(s *shape, name string, v value.Value, complete bool, free []string) string {
	size, what, want := -1.0, "length", ""
	switch s.kind {
	case anything:
		return ""
	case text:
		if want = "a string"; v.IsString() {
			want, size = "", float64(utf8.RuneCountInString(v.Str()))
		}
	case number:
		if want = "a number"; v.IsNumber() {
			want, size, what = "", v.Float(), "value"
		}
	case boolean:
		if want = "a boolean"; v.Kind() == value.KindBool {
			return ""
		}
	case list:
		if want = "an array"; v.IsArray() {
			want, size = "", float64(v.Len())
		}
	case structure, mapping:
		if want = "an object"; v.IsObject() {
			want, size = "", float64(v.Len())
		}
	}
	switch {
	case want != "":
		return "Field '" + name + "' must be " + want
	case s.enum != nil && !slices.Contains(s.enum, v.Str()):
		return "Field '" + name + "' is not an expected value"
	case s.hasMax && size > s.max:
		return "Field '" + name + "' exceeds the maximum " + what
	case s.hasMin && size < s.min && what == "value":
		return "Field '" + name + "' is less than the minimum value"
	case s.hasMin && size < s.min:
		return "Field '" + name + "' is smaller than the minimum length"
	}
	switch s.kind {
	case list:
		for _, x := range v.Items() {
			if why := m.check(s.elem, name, x, complete, nil); why != "" {
				return why
			}
		}
	case mapping:
		for k, x := range v.Members() {
			if why := m.check(s.elem, k, x, complete, nil); why != "" {
				return why
			}
		}
	case structure:
		for i := range s.members {
			f := &s.members[i]
			name := m.spell(f.name)
			x := v.Get(name)
			switch {
			case x.IsUndefined() || x.IsNull():
				if f.required && complete {
					return "Required field '" + name + "' is missing"
				}
			case slices.Contains(free, name):
			default:
				if why := m.check(f.shape, name, x, complete, nil); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

func (m *Model) spell(name string) string {
	if m.java {
		return javaName(name)
	}
	return capital(name)
}

func capital(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(r)) + name[n:]
}

// javaName spells a member as the SDK for Java does: in words of which only the
// first letters are capitals, so that SSEKMSKeyId is SsekmsKeyId and ETag ETag.
func javaName(name string) string {
	var out strings.Builder
	rs := []rune(name)
	for i, r := range rs {
		upper := unicode.IsUpper(r)
		prev := func() rune { return rs[i-1] }
		next := func() rune {
			if i+1 < len(rs) {
				return rs[i+1]
			}
			return 0
		}
		starts := i == 0
		if !starts && upper {
			letterOrDigit := unicode.IsLetter(next()) || unicode.IsDigit(next())
			starts = unicode.IsLower(prev()) && letterOrDigit || // camelCase
				unicode.IsUpper(prev()) && unicode.IsLower(next()) // the word after an acronym
		}
		if !starts && unicode.IsLetter(r) {
			starts = unicode.IsDigit(prev()) // the word after a number
		}
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			continue
		case starts || i > 0 && !unicode.IsLetter(prev()) && !unicode.IsDigit(prev()):
			out.WriteRune(unicode.ToUpper(r))
		default:
			out.WriteRune(unicode.ToLower(r))
		}
	}
	return out.String()
}
