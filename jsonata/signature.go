package jsonata

import (
	"strings"

	"tokaido/value"
)

// signature says what arguments a function takes.
type signature struct {
	params []param
}

// param is one of a signature's parameters.
type param struct {
	accepts  string // the symbols of the types it takes
	typ      byte   // 'a' for an array
	sub      string // an array's items
	hasSub   bool
	optional bool
	many     bool
	context  bool // takes the context if it is missing
}

// The symbols of types: s n b l(null) a o f, and m for a missing one.
func symbol(a val) byte {
	switch a.kind() {
	case kNull:
		return 'l'
	case kBool:
		return 'b'
	case kNumber:
		return 'n'
	case kString:
		return 's'
	case kArray:
		return 'a'
	case kObject:
		return 'o'
	case kFunction:
		return 'f'
	}
	return 'm'
}

func mustSignature(s string) *signature {
	sig, err := parseSignature(s)
	if err != nil {
		panic(err)
	}
	return sig
}

// bracketEnd returns where the bracket that opened at i closes.
func bracketEnd(s string, i int, open, end byte) int {
	depth := 1
	for i < len(s) {
		i++
		if i >= len(s) {
			break
		}
		if s[i] == end {
			if depth--; depth == 0 {
				break
			}
		} else if s[i] == open {
			depth++
		}
	}
	return i
}

// parseSignature reads <...>. An error's position is within s.
func parseSignature(s string) (*signature, *Error) {
	sig := &signature{}
	last := func() *param {
		if len(sig.params) == 0 {
			return &param{} // a modifier of nothing modifies nothing
		}
		return &sig.params[len(sig.params)-1]
	}
	for i := 1; i < len(s) && s[i] != ':'; i++ {
		switch c := s[i]; c {
		case 's', 'n', 'b', 'l', 'o':
			sig.params = append(sig.params, param{typ: c, accepts: string(c) + "m"})
		case 'a':
			sig.params = append(sig.params, param{typ: c, accepts: "asnblfom"})
		case 'f':
			sig.params = append(sig.params, param{typ: c, accepts: "f"})
		case 'j':
			sig.params = append(sig.params, param{typ: c, accepts: "asnblom"})
		case 'x':
			sig.params = append(sig.params, param{typ: c, accepts: "asnblfom"})
		case '-':
			last().context, last().optional = true, true
		case '?':
			last().optional = true
		case '+':
			last().many = true
		case '(':
			end := bracketEnd(s, i, '(', ')')
			choice := s[i+1 : min(end, len(s))]
			if strings.Contains(choice, "<") {
				return nil, &Error{Code: "S0402", Position: i, Value: value.String(choice)}
			}
			sig.params = append(sig.params, param{typ: '(', accepts: choice + "m"})
			i = end
		case '<':
			p := last()
			if p.typ != 'a' && p.typ != 'f' {
				e := &Error{Code: "S0401", Position: i}
				if p.typ != 0 {
					e.Value = value.String(string(p.typ))
				}
				return nil, e
			}
			end := bracketEnd(s, i, '<', '>')
			p.sub, p.hasSub = s[i+1:min(end, len(s))], true
			i = end
		}
	}
	return sig, nil
}

// maxTry bounds the search for a way to give arguments to parameters, of which
// several may take any number.
const maxTry = 10_000

// match gives the arguments from i on to the parameters from p on, as a
// regular expression would: greedily, with second thoughts. took is how many
// each parameter takes.
func (s *signature) match(args []val, i, p int, took []int, tries *int) bool {
	if p == len(s.params) {
		return i == len(args)
	}
	if *tries++; *tries > maxTry {
		return false
	}
	q := &s.params[p]
	fits := func(i int) bool {
		return i < len(args) && strings.IndexByte(q.accepts, symbol(args[i])) >= 0
	}
	n := 0
	if q.many {
		for fits(i + n) {
			n++
		}
	} else if fits(i) {
		n = 1
	}
	low := 1
	if q.optional {
		low = 0
	}
	for ; n >= low; n-- {
		took[p] = n
		if s.match(args, i+n, p+1, took, tries) {
			return true
		}
	}
	return false
}

// validate checks arguments, puts the context where one is missing, and makes
// arrays where the function wants them.
func (s *signature) validate(m *machine, args []val, in val) []val {
	// The usual case: one argument each, of a right type.
	if len(args) == len(s.params) {
		plain := true
		for i := range s.params {
			p := &s.params[i]
			k := symbol(args[i])
			if strings.IndexByte(p.accepts, k) < 0 || p.typ == 'a' && (k != 'a' && k != 'm' || p.hasSub && k == 'a') {
				plain = false
				break
			}
		}
		if plain {
			return args
		}
	}
	var room [8]int
	took := room[:]
	if len(s.params) > len(room) {
		took = make([]int, len(s.params))
	}
	tries := 0
	if !s.match(args, 0, 0, took, &tries) {
		s.refuse(m, args)
	}
	out := m.args(max(len(args), len(s.params)) + len(s.params))[:0]
	at := 0
	for i := range s.params {
		p := &s.params[i]
		if took[i] == 0 {
			if p.context {
				if strings.IndexByte(p.accepts, symbol(in)) < 0 {
					panic(&Error{Code: "T0411", Value: m.show(in), Index: at + 1})
				}
				out = append(out, in)
				continue
			}
			var a val
			if at < len(args) {
				a = args[at]
			}
			out = append(out, a)
			at++
			continue
		}
		for range took[i] {
			var a val // the reference counts on past what was left out
			if at < len(args) {
				a = args[at]
			}
			if p.typ == 'a' {
				a = s.array(m, p, a, at, took[i])
			}
			out = append(out, a)
			at++
		}
	}
	return out
}

// array checks an argument that is to be an array and makes one of it.
func (s *signature) array(m *machine, p *param, a val, at, took int) val {
	k := symbol(a)
	if k == 'm' {
		return a
	}
	if p.hasSub {
		ok := true
		if k != 'a' {
			ok = took == 1 && p.sub == string(k)
		} else if n := a.length(); n > 0 {
			m.spend(n)
			first := symbol(a.at(0))
			ok = p.sub != "" && first == p.sub[0]
			for i := 1; ok && i < n; i++ {
				ok = symbol(a.at(i)) == first
			}
		}
		if !ok {
			e := &Error{Code: "T0412", Value: m.show(a), Index: at + 1}
			e.wanted = map[string]string{"a": "arrays", "b": "booleans", "f": "functions", "n": "numbers", "o": "objects", "s": "strings"}[p.sub]
			panic(e)
		}
	}
	if k != 'a' {
		m.charge(valSize)
		return array([]val{a})
	}
	return a
}

// refuse says which argument is the first that does not fit.
func (s *signature) refuse(m *machine, args []val) {
	good := 0
	for n := 1; n <= len(s.params); n++ {
		// How far do the first n parameters reach?
		to := s.reach(args, n)
		if to < 0 {
			break
		}
		good = to
	}
	e := &Error{Code: "T0410", Index: good + 1}
	if good < len(args) {
		e.Value = m.show(args[good])
	}
	panic(e)
}

// reach is how many arguments the first n parameters take; -1 if they cannot.
func (s *signature) reach(args []val, n int) int {
	part := signature{params: s.params[:n]}
	took := make([]int, n)
	tries := 0
	var try func(i, p int) int
	try = func(i, p int) int {
		if p == n {
			return i
		}
		if tries++; tries > maxTry {
			return -1
		}
		q := &part.params[p]
		k := 0
		for i+k < len(args) && strings.IndexByte(q.accepts, symbol(args[i+k])) >= 0 {
			k++
			if !q.many {
				break
			}
		}
		low := 1
		if q.optional {
			low = 0
		}
		for ; k >= low; k-- {
			took[p] = k
			if r := try(i+k, p+1); r >= 0 {
				return r
			}
		}
		return -1
	}
	return try(0, 0)
}
