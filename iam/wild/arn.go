package wild

import "strings"

// Parts is an ARN cut at its first five colons. OK is false if it has fewer.
type Parts struct {
	Part [6]string
	OK   bool
}

// Cut cuts s.
func Cut(s string) (p Parts) {
	for i := range 5 {
		before, after, ok := strings.Cut(s, ":")
		if !ok {
			return Parts{}
		}
		p.Part[i], s = before, after
	}
	p.Part[5], p.OK = s, true
	return p
}

// ARN is a compiled ARN pattern: six parts, each held against its own, so that
// no wildcard before the sixth reaches over a colon. A pattern of fewer parts
// matches nothing; "*" alone matches everything.
type ARN struct {
	// What it matches begins with lead and ends with tail. The last bytes of
	// lead and tail lie here, so that nearly all that do not match are refused
	// without a look at other memory.
	leadEnd, tailEnd word
	lead, tail       string
	exact            bool // it matches lead alone

	text  string
	part  []Pattern // six
	all   bool
	short bool
	vars  bool
}

// word is the last eight bytes of a text and its length; of a shorter text
// nothing is known.
type word struct {
	bytes uint64
	n     int
}

func wordOf(s string) word {
	if len(s) < 8 {
		return word{}
	}
	return word{last8(s), len(s)}
}

func last8(s string) uint64 {
	s = s[len(s)-8:]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// Vars says where an ARN pattern may have variables.
type Vars uint8

// The places.
const (
	NoVars    Vars = iota
	LastPart       // in the sixth part, as Resource elements have them
	EveryPart      // anywhere, as the values of ARN operators have them
)

// CompileARN compiles s.
func CompileARN(s string, vars Vars) ARN {
	a := ARN{text: s, all: s != "" && strings.Trim(s, "*") == ""}
	if a.all {
		return a
	}
	var cut Parts
	if vars == EveryPart {
		cut = cutOutside(s)
	} else {
		cut = Cut(s)
	}
	if !cut.OK {
		a.short = true
		return a
	}
	a.part, a.exact = make([]Pattern, 6), true
	for i, part := range cut.Part {
		a.part[i] = Compile(part, vars == EveryPart || vars == LastPart && i == 5)
		p := &a.part[i]
		a.vars = a.vars || p.Variables()
		if _, ok := p.Exact(); a.exact {
			a.lead += p.Lead()
			if a.exact = ok; ok && i < 5 {
				a.lead += ":"
			}
		}
	}
	for i := 5; i >= 0 && !a.exact; i-- {
		p := &a.part[i]
		a.tail = p.tail() + a.tail
		if _, ok := p.Exact(); !ok {
			break
		}
		a.tail = ":" + a.tail
	}
	a.leadEnd, a.tailEnd = wordOf(a.lead), wordOf(a.tail)
	return a
}

// cutOutside cuts at the first five colons that are not inside of ${…}.
func cutOutside(s string) (p Parts) {
	n, from := 0, 0
	for i := 0; i < len(s) && n < 5; i++ {
		switch {
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			if end := strings.IndexByte(s[i:], '}'); end > 0 {
				i += end
			}
		case s[i] == ':':
			p.Part[n] = s[from:i]
			n, from = n+1, i+1
		}
	}
	if n < 5 {
		return Parts{}
	}
	p.Part[5], p.OK = s[from:], true
	return p
}

// String is the pattern as it was written.
func (a *ARN) String() string { return a.text }

// All reports whether a is "*".
func (a *ARN) All() bool { return a.all }

// Match reports whether a matches the string s, of which p are the parts. What
// is no ARN is matched by "*" only, or by itself.
func (a *ARN) Match(s string, p *Parts, get Values) bool {
	if n := a.leadEnd.n; n > 0 && (len(s) < n || last8(s[:n]) != a.leadEnd.bytes) {
		return false
	}
	if n := a.tailEnd.n; n > 0 && (len(s) < n || last8(s) != a.tailEnd.bytes) {
		return false
	}
	if a.all {
		return true
	}
	if !p.OK || a.short {
		return !p.OK && a.short && a.text == s
	}
	if !strings.HasPrefix(s, a.lead) || !strings.HasSuffix(s, a.tail) {
		return false
	}
	if a.exact {
		return len(s) == len(a.lead)
	}
	for i := range a.part {
		pt := &a.part[i]
		switch pt.kind {
		case isExact:
			if p.Part[i] != pt.exact {
				return false
			}
		case isAll:
		case isPrefix:
			if !strings.HasPrefix(p.Part[i], pt.exact) {
				return false
			}
		case isGlob:
			if !glob(pt.pieces, p.Part[i]) {
				return false
			}
		case isVariable:
			r, ok := pt.Resolve(get)
			if !ok || !r.Match(p.Part[i]) {
				return false
			}
		}
	}
	return true
}

// Overlap reports whether there is an ARN that two patterns both match.
func Overlap(a, b string) bool {
	x, y := Cut(a), Cut(b)
	if a == "*" || b == "*" {
		return true
	}
	if !x.OK || !y.OK {
		return false
	}
	for i := range x.Part {
		if !meet(x.Part[i], y.Part[i]) {
			return false
		}
	}
	return true
}

// meet reports whether there is a text that two globs both match: row[j] says
// it of what has been read of a and the first j bytes of b.
func meet(a, b string) bool {
	row := make([]bool, len(b)+1)
	row[0] = true
	for j := range b {
		row[j+1] = row[j] && b[j] == '*'
	}
	for i := range a {
		diagonal := row[0]
		row[0] = row[0] && a[i] == '*'
		for j := range b {
			above := row[j+1]
			switch {
			case a[i] == '*':
				row[j+1] = above || row[j]
			case b[j] == '*':
				row[j+1] = above || row[j]
			default:
				row[j+1] = diagonal && (a[i] == b[j] || a[i] == '?' || b[j] == '?')
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
