package jsonata

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Number pictures, as XPath's format-number has them.

// symbols are the characters of a picture that mean something.
type symbols struct {
	decimal, grouping, exponent, digit, pattern string
	infinity, minus, nan, percent, perMille     string
	zero                                        rune
}

// family reports whether c is one of the ten digits.
func (s *symbols) family(c string) bool {
	r, n := utf8.DecodeRuneInString(c)
	return n == len(c) && r >= s.zero && r < s.zero+10
}

// active reports whether c is a digit or a sign that the picture acts on.
func (s *symbols) active(c string) bool {
	return s.family(c) || c == s.decimal || c == s.exponent || c == s.grouping || c == s.digit || c == s.pattern
}

// subPicture is one half of a picture, taken apart.
type subPicture struct {
	text, prefix, suffix      string
	whole, fraction, exponent []string
	active, mantissa          []string
	hasExponent               bool

	groups         []int // places of grouping separators, in digits from the point
	every          int   // a regular distance of them; 0 if irregular
	fractionGroups []int
	minWhole       int
	minFraction    int
	maxFraction    int
	minExponent    int
	scale          int
}

// chars splits s into characters.
func chars(s string) []string {
	out := make([]string, 0, len(s))
	for i := 0; i < len(s); {
		_, n := nextRune(s, i)
		out = append(out, s[i:i+n])
		i += n
	}
	return out
}

func indexOf(list []string, c string) int {
	for i, x := range list {
		if x == c {
			return i
		}
	}
	return -1
}

func (s *symbols) parse(text string) *subPicture {
	p := &subPicture{text: text}
	all := chars(text)
	from, to := 0, len(all)
	prefixed := false
	for i, c := range all {
		if s.active(c) && c != s.exponent {
			from, prefixed = i, true
			break
		}
	}
	if !prefixed {
		from = 0
	}
	for i := len(all) - 1; i >= 0; i-- {
		if s.active(all[i]) && all[i] != s.exponent {
			to = i + 1
			break
		}
	}
	p.prefix = strings.Join(all[:from], "")
	suffix := all[to:]
	p.suffix = strings.Join(suffix, "")
	p.active = all[from:to]
	p.mantissa = p.active
	exp := -1
	if s.exponent != "" {
		for i := from; i < len(all); i++ {
			if all[i] == s.exponent {
				exp = i
				break
			}
		}
	}
	if exp >= 0 && exp <= len(all)-len(suffix) {
		// The reference counts from the beginning of the picture here.
		p.mantissa = p.active[:min(exp, len(p.active))]
		p.exponent = p.active[min(exp+1, len(p.active)):]
		p.hasExponent = true
	}
	if i := indexOf(p.mantissa, s.decimal); i >= 0 {
		p.whole, p.fraction = p.mantissa[:i], p.mantissa[i+1:]
	} else {
		p.whole, p.fraction = p.mantissa, suffix
	}
	return p
}

func (s *symbols) digits(list []string, optional bool) int {
	n := 0
	for _, c := range list {
		if s.family(c) || optional && c == s.digit {
			n++
		}
	}
	return n
}

// check returns the code of what is wrong; the last rule that is broken counts.
func (s *symbols) check(p *subPicture) string {
	code := ""
	all := chars(p.text)
	if strings.Count(p.text, s.decimal) > 1 {
		code = "D3081"
	}
	percent, perMille := strings.Count(p.text, s.percent), strings.Count(p.text, s.perMille)
	if percent > 1 {
		code = "D3082"
	}
	if perMille > 1 {
		code = "D3083"
	}
	if percent > 0 && perMille > 0 {
		code = "D3084"
	}
	if s.digits(p.mantissa, true) == 0 {
		code = "D3085"
	}
	for _, c := range p.active {
		if !s.active(c) {
			code = "D3086"
			break
		}
	}
	if i := indexOf(all, s.decimal); i >= 0 {
		if i > 0 && all[i-1] == s.grouping || i+1 < len(all) && all[i+1] == s.grouping {
			code = "D3087"
		}
	} else if n := len(p.whole); n > 0 && p.whole[n-1] == s.grouping {
		code = "D3088"
	}
	if strings.Contains(p.text, s.grouping+s.grouping) {
		code = "D3089"
	}
	if i := indexOf(p.whole, s.digit); i >= 0 && s.digits(p.whole[:i], false) > 0 {
		code = "D3090"
	}
	for i := len(p.fraction) - 1; i >= 0; i-- {
		if p.fraction[i] == s.digit {
			if s.digits(p.fraction[i:], false) > 0 {
				code = "D3091"
			}
			break
		}
	}
	if p.hasExponent && len(p.exponent) > 0 && (percent > 0 || perMille > 0) {
		code = "D3092"
	}
	if p.hasExponent && (len(p.exponent) == 0 || s.digits(p.exponent, false) < len(p.exponent)) {
		code = "D3093"
	}
	return code
}

func (s *symbols) analyse(p *subPicture) {
	for i, c := range p.whole {
		if c == s.grouping {
			p.groups = append(p.groups, s.digits(p.whole[i:], true))
		}
	}
	p.every = regular(p.groups)
	// The reference goes on with the separators of the integer part here.
	for i := indexOf(p.fraction, s.grouping); i >= 0; {
		p.fractionGroups = append(p.fractionGroups, s.digits(p.fraction[:min(i, len(p.fraction))], true))
		next := -1
		for j := i + 1; j < len(p.whole); j++ {
			if p.whole[j] == s.grouping {
				next = j
				break
			}
		}
		i = next
	}
	p.minWhole = s.digits(p.whole, false)
	p.scale = p.minWhole
	p.minFraction = s.digits(p.fraction, false)
	p.maxFraction = s.digits(p.fraction, true)
	if p.minWhole == 0 && p.maxFraction == 0 {
		if p.hasExponent {
			p.minFraction, p.maxFraction = 1, 1
		} else {
			p.minWhole = 1
		}
	}
	if p.hasExponent && p.minWhole == 0 && indexOf(p.whole, s.digit) >= 0 {
		p.minWhole = 1
	}
	if p.minWhole == 0 && p.minFraction == 0 {
		p.minFraction = 1
	}
	if p.hasExponent {
		p.minExponent = s.digits(p.exponent, false)
	}
}

// regular is the distance at which separators stand, if they all do.
func regular(places []int) int {
	if len(places) == 0 {
		return 0
	}
	g := places[0]
	for _, p := range places[1:] {
		for b := p; b != 0; {
			g, b = b, g%b
		}
	}
	for i := 1; i <= len(places); i++ {
		found := false
		for _, p := range places {
			found = found || p == i*g
		}
		if !found {
			return 0
		}
	}
	return g
}

// maxDigits is how many digits a picture may ask for; JavaScript's limit.
const maxDigits = 100

func formatNumber(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := &symbols{decimal: ".", grouping: ",", exponent: "e", infinity: "Infinity", minus: "-", nan: "NaN",
		percent: "%", perMille: "‰", zero: '0', digit: "#", pattern: ";"}
	if o := args[2]; o.isObject() {
		for i := range o.length() {
			key, x := o.member(i)
			t := x.v.Str()
			switch key {
			case "decimal-separator":
				s.decimal = t
			case "grouping-separator":
				s.grouping = t
			case "exponent-separator":
				s.exponent = t
			case "infinity":
				s.infinity = t
			case "minus-sign":
				s.minus = t
			case "NaN":
				s.nan = t
			case "percent":
				s.percent = t
			case "per-mille":
				s.perMille = t
			case "zero-digit":
				if t != "" {
					s.zero, _ = nextRune(t, 0)
				}
			case "digit":
				s.digit = t
			case "pattern-separator":
				s.pattern = t
			}
		}
	}
	text := args[1].v.Str()
	m.grow(4 * len(text))
	parts := []string{text}
	if s.pattern != "" {
		parts = strings.Split(text, s.pattern)
	}
	if len(parts) > 2 {
		panic(&Error{Code: "D3080"})
	}
	pics := make([]*subPicture, 0, 2)
	for _, t := range parts {
		pics = append(pics, s.parse(t))
	}
	for _, p := range pics {
		if code := s.check(p); code != "" {
			panic(&Error{Code: code})
		}
	}
	for _, p := range pics {
		s.analyse(p)
	}
	if len(pics) == 1 {
		negative := *pics[0]
		negative.prefix = s.minus + negative.prefix
		pics = append(pics, &negative)
	}
	f := args[0].v.Float()
	p := pics[1]
	if f >= 0 {
		p = pics[0]
	}
	return str(s.format(f, p))
}

func (s *symbols) format(f float64, p *subPicture) string {
	switch {
	case strings.Contains(p.text, s.percent):
		f *= 100
	case strings.Contains(p.text, s.perMille):
		f *= 1000
	}
	exponent := 0
	if p.minExponent > 0 && f != 0 && f-f == 0 {
		low, high := math.Pow(10, float64(p.scale-1)), math.Pow(10, float64(p.scale))
		for math.Abs(f) < low {
			f *= 10
			exponent--
		}
		for math.Abs(f) > high {
			f /= 10
			exponent++
		}
	}
	if p.maxFraction > maxDigits {
		panic(&Error{Message: "A number picture has at most 100 digits after the decimal separator"})
	}
	f = roundTo(f, float64(p.maxFraction))
	whole, fraction, _ := strings.Cut(fixed(math.Abs(f), p.maxFraction), ".")
	whole = strings.TrimLeft(whole, "0")
	fraction = strings.TrimRight(fraction, "0")
	if n := p.minWhole - len(whole); n > 0 {
		whole = strings.Repeat("0", n) + whole
	}
	if n := p.minFraction - len(fraction); n > 0 {
		fraction += strings.Repeat("0", n)
	}
	point := len(whole)
	list := s.localize(whole)
	list = append(append(list, s.decimal), s.localize(fraction)...)
	if p.every > 0 {
		for g := 1; g <= (point-1)/p.every; g++ {
			list = insert(list, point-g*p.every, s.grouping)
		}
	} else {
		for i, at := range p.groups {
			list = insert(list, point+i-at, s.grouping)
		}
	}
	point = indexOf(list, s.decimal)
	for _, at := range p.fractionGroups {
		list = insert(list, at+point+1, s.grouping)
	}
	if point = indexOf(list, s.decimal); point == len(list)-1 || !strings.Contains(p.text, s.decimal) {
		list = list[:len(list)-1]
	}
	var b strings.Builder
	b.WriteString(p.prefix)
	b.WriteString(strings.Join(list, ""))
	if p.minExponent > 0 {
		e := strconv.Itoa(max(exponent, -exponent))
		if n := p.minExponent - len(e); n > 0 {
			e = strings.Repeat("0", n) + e
		}
		b.WriteString(s.exponent)
		if exponent < 0 {
			b.WriteString(s.minus)
		}
		b.WriteString(strings.Join(s.localize(e), ""))
	}
	b.WriteString(p.suffix)
	return b.String()
}

// insert puts sep before item i of list. A negative place counts from the end,
// as in JavaScript, which the reference relies on for short numbers.
func insert(list []string, i int, sep string) []string {
	if i < 0 {
		i = max(len(list)+i, 0)
	}
	i = min(i, len(list))
	out := make([]string, 0, len(list)+1)
	return append(append(append(out, list[:i]...), sep), list[i:]...)
}

// localize replaces digits by those of the family.
func (s *symbols) localize(t string) []string {
	out := make([]string, len(t))
	for i := range out {
		c := t[i]
		if s.zero != '0' && c >= '0' && c <= '9' {
			out[i] = string(s.zero + rune(c-'0'))
		} else {
			out[i] = t[i : i+1]
		}
	}
	return out
}

// fixed prints f with n decimals, as JavaScript's toFixed does.
func fixed(f float64, n int) string {
	switch {
	case f != f:
		return "NaN"
	case math.IsInf(f, 0):
		return "Infinity"
	case f >= 1e21:
		s := strconv.FormatFloat(f, 'g', -1, 64)
		return s
	}
	return strconv.FormatFloat(f, 'f', n, 64)
}
