package iam

import (
	"encoding/json"
	"slices"
	"strings"
)

// Position is a place in a document, both counted from 1.
type Position struct{ Line, Column int }

// Span is where statement i stands in the document as it was given: from its
// first character to behind its last.
func (p *Policy) Span(i int) (from, to Position) {
	d := json.NewDecoder(strings.NewReader(p.text))
	depth, n := 0, -1
	inStatement := false
	for {
		t, err := d.Token()
		if err != nil {
			return from, to
		}
		at := int(d.InputOffset())
		switch t {
		case json.Delim('{'):
			if inStatement {
				if n++; n == i {
					from = p.position(at - 1)
				}
				// The statement's own members are passed over.
				for in := 1; in > 0; {
					t, err := d.Token()
					if err != nil {
						return from, to
					}
					switch t {
					case json.Delim('{'), json.Delim('['):
						in++
					case json.Delim('}'), json.Delim(']'):
						in--
					}
				}
				if n == i {
					return from, p.position(int(d.InputOffset()))
				}
				continue
			}
			depth++
		case json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			if depth--; depth <= 1 {
				inStatement = false
			}
		default:
			if s, ok := t.(string); ok && depth == 1 && !inStatement {
				inStatement = s == "Statement"
				if !inStatement && (s == "Version" || s == "Id") {
					if _, err := d.Token(); err != nil { // its value
						return from, to
					}
				}
			}
		}
	}
}

func (p *Policy) position(offset int) Position {
	before := p.text[:offset]
	line := strings.Count(before, "\n")
	return Position{line + 1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1}
}

// MissingKeys are the condition keys, variables included, that statements about
// the request's action name and the request has not, sorted.
func MissingKeys(ps *Policies, r *Request) []string {
	var q query
	q.init(r)
	var out []string
	note := func(key string) {
		if q.attribute(key) == nil && !slices.ContainsFunc(out, func(k string) bool { return strings.EqualFold(k, key) }) {
			out = append(out, key)
		}
	}
	for _, l := range ps.all() {
		for i := range l.bound.Policy.statements {
			s := &l.bound.Policy.statements[i]
			if !s.touches(r.Action) {
				continue
			}
			for j := range s.conditions {
				note(s.conditions[j].key)
				for _, v := range s.conditions[j].values {
					variables(v.text, note)
				}
			}
			for j := range s.resources {
				if l.bound.Policy.version == version2012 {
					variables(s.resources[j].String(), note)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// variables finds the policy variables of a text.
func variables(s string, note func(string)) {
	for {
		_, rest, ok := strings.Cut(s, "${")
		if !ok {
			return
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return
		}
		s = after
		name, _, _ = strings.Cut(name, ",")
		if name = strings.TrimSpace(name); strings.Contains(name, ":") {
			note(name)
		}
	}
}

// Keys are the condition keys and variables that the document names, in order.
func (p *Policy) Keys() []string {
	var out []string
	note := func(key string) {
		if !slices.ContainsFunc(out, func(k string) bool { return strings.EqualFold(k, key) }) {
			out = append(out, key)
		}
	}
	for i := range p.statements {
		s := &p.statements[i]
		for j := range s.resources {
			if p.version == version2012 {
				variables(s.resources[j].String(), note)
			}
		}
		for j := range s.conditions {
			note(s.conditions[j].key)
			for _, v := range s.conditions[j].values {
				variables(v.text, note)
			}
		}
	}
	return out
}
