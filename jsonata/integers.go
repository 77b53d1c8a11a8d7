package jsonata

import (
	"math"
	"strconv"
	"strings"

	"tokaido/value"
)

// Integer pictures, as XPath's format-integer has them: decimal patterns,
// letters, roman numerals and words.

type letterCase uint8

const (
	lowerCase letterCase = iota
	upperCase
	titleCase
)

type integerStyle uint8

const (
	styleDecimal integerStyle = iota
	styleLetters
	styleRoman
	styleWords
	styleSequence // anything else; refused when it is used
)

// integerPicture is a picture taken apart.
type integerPicture struct {
	style     integerStyle
	letters   letterCase
	ordinal   bool
	zero      rune // of the decimal digits
	mandatory int
	optional  int
	seps      []separator // from the right
	every     int         // their distance if it is regular; then seps[0] has the character
	token     string      // of a sequence
	width     int         // digits to read, if another number follows at once
}

type separator struct {
	at   int // digits to the right of it
	char rune
}

// decimalZeros are the zeros of Unicode's decimal digits within the basic plane.
var decimalZeros = [...]rune{0x30, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
	0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900,
	0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10}

func parseIntegerPicture(text string) *integerPicture {
	p := &integerPicture{}
	if i := strings.LastIndexByte(text, ';'); i >= 0 {
		p.ordinal = strings.HasPrefix(text[i+1:], "o")
		text = text[:i]
	}
	switch text {
	case "A", "a":
		p.style = styleLetters
	case "I", "i":
		p.style = styleRoman
	case "W", "w":
		p.style = styleWords
	case "Ww":
		p.style, p.letters = styleWords, titleCase
	default:
		p.pattern(text)
		return p
	}
	if text[0] < 'a' && len(text) == 1 {
		p.letters = upperCase
	}
	return p
}

// pattern reads a decimal digit pattern.
func (p *integerPicture) pattern(text string) {
	list := []rune(text)
	places := 0
	for i := len(list) - 1; i >= 0; i-- {
		r := list[i]
		digit := false
		for _, zero := range decimalZeros {
			if r >= zero && r <= zero+9 {
				if p.mandatory > 0 && zero != p.zero {
					panic(&Error{Code: "D3131"})
				}
				p.zero, digit = zero, true
				p.mandatory++
				places++
				break
			}
		}
		switch {
		case digit:
		case r == '#':
			places++
			p.optional++
		default:
			p.seps = append(p.seps, separator{places, r})
		}
	}
	if p.mandatory == 0 {
		p.style, p.token = styleSequence, text
		return
	}
	if len(p.seps) == 0 {
		return
	}
	distances := make([]int, len(p.seps))
	for i, s := range p.seps {
		if s.char != p.seps[0].char {
			return
		}
		distances[i] = s.at
	}
	if p.every = regular(distances); p.every < 0 {
		p.every = 0
	}
}

func formatInteger(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	m.grow(2 * len(args[1].v.Str()))
	p := parseIntegerPicture(args[1].v.Str())
	return str(p.format(math.Floor(args[0].v.Float())))
}

// format prints a whole number.
func (p *integerPicture) format(f float64) string {
	negative := f < 0
	f = math.Abs(f)
	var s string
	switch p.style {
	case styleLetters:
		s = toLetters(f, p.letters == upperCase)
	case styleRoman:
		s = toRoman(f)
		if p.letters == upperCase {
			s = strings.ToUpper(s)
		}
	case styleWords:
		s = toWords(f, p.ordinal)
		switch p.letters {
		case upperCase:
			s = strings.ToUpper(s)
		case lowerCase:
			s = strings.ToLower(s)
		}
	case styleDecimal:
		s = p.decimal(f)
	default:
		panic(&Error{Code: "D3130", Value: value.String(p.token)})
	}
	if negative {
		s = "-" + s
	}
	return s
}

func (p *integerPicture) decimal(f float64) string {
	digits := jsNumber(f)
	if n := p.mandatory - len(digits); n > 0 {
		digits = strings.Repeat("0", min(n, maxPad)) + digits
	}
	list := make([]rune, 0, len(digits)+len(digits)/2)
	for _, c := range digits {
		if p.zero != '0' {
			c += p.zero - '0'
		}
		list = append(list, c)
	}
	put := func(at int, c rune) {
		if at < 0 { // so the reference counts, and loses digits
			list = append([]rune{c}, list[max(len(list)+at, 0):]...)
			return
		}
		list = append(list[:at], append([]rune{c}, list[at:]...)...)
	}
	if p.every > 0 {
		// From the left: a separator that is in place does not move those to
		// the right of it, which are counted from the end.
		for k := (len(list) - 1) / p.every; k > 0; k-- {
			put(len(list)-k*p.every, p.seps[0].char)
		}
	} else {
		for i := len(p.seps) - 1; i >= 0; i-- {
			put(len(list)-p.seps[i].at, p.seps[i].char)
		}
	}
	if p.ordinal {
		suffix := "th"
		n := len(list)
		switch list[n-1] {
		case '1':
			suffix = "st"
		case '2':
			suffix = "nd"
		case '3':
			suffix = "rd"
		}
		if n > 1 && list[n-2] == '1' {
			suffix = "th"
		}
		return string(list) + suffix
	}
	return string(list)
}

// maxPad bounds the zeros that a picture can ask for.
const maxPad = 1 << 16

// jsNumber prints a number as JavaScript's String does.
func jsNumber(f float64) string {
	switch {
	case f != f:
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return value.Float(f).NumberText()
}

func toLetters(f float64, up bool) string {
	first := 'a'
	if up {
		first = 'A'
	}
	var out []rune
	for f > 0 && len(out) < 300 {
		out = append(out, first+rune(math.Mod(f-1, 26)))
		f = math.Floor((f - 1) / 26)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

func fromLetters(s string, up bool) float64 {
	first := 'a'
	if up {
		first = 'A'
	}
	f := 0.0
	for _, c := range s {
		f = f*26 + float64(c-first+1)
	}
	return f
}

var romans = [...]struct {
	n int
	s string
}{{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"}, {40, "xl"}, {10, "x"}, {9, "ix"}, {5, "v"}, {4, "iv"}, {1, "i"}}

// maxRoman bounds a numeral, which grows by a letter for every thousand.
const maxRoman = 10_000_000

func toRoman(f float64) string {
	if f > maxRoman {
		panic(&Error{Message: "The number is too large for a roman numeral"})
	}
	n := int(f)
	var b strings.Builder
	for _, r := range romans {
		for n >= r.n {
			b.WriteString(r.s)
			n -= r.n
		}
	}
	return b.String()
}

func fromRoman(s string) float64 {
	n, most := 0, 1
	for i := len(s) - 1; i >= 0; i-- {
		v := map[byte]int{'M': 1000, 'D': 500, 'C': 100, 'L': 50, 'X': 10, 'V': 5, 'I': 1}[s[i]]
		if v == 0 {
			return math.NaN()
		}
		if v < most {
			n -= v
		} else {
			most = v
			n += v
		}
	}
	return float64(n)
}

var (
	units20  = strings.Fields("Zero One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Fourteen Fifteen Sixteen Seventeen Eighteen Nineteen")
	ordinals = strings.Fields("Zeroth First Second Third Fourth Fifth Sixth Seventh Eighth Ninth Tenth Eleventh Twelfth Thirteenth Fourteenth Fifteenth Sixteenth Seventeenth Eighteenth Nineteenth")
	tens     = strings.Fields("Twenty Thirty Forty Fifty Sixty Seventy Eighty Ninety")
	powers   = strings.Fields("Thousand Million Billion Trillion")
)

// toWords spells a number out in English.
func toWords(f float64, ordinal bool) string {
	if f-f != 0 {
		panic(&Error{Code: "D1001", Value: value.Float(f)})
	}
	return spell(f, false, ordinal)
}

// spell spells f; follows says that something larger came before.
func spell(f float64, follows, ordinal bool) string {
	switch {
	case f <= 19:
		s := units20[int(f)]
		if ordinal {
			s = ordinals[int(f)]
		}
		if follows {
			return " and " + s
		}
		return s
	case f < 100:
		s := tens[int(f)/10-2]
		if follows {
			s = " and " + s
		}
		if r := int(f) % 10; r > 0 {
			s += "-" + spell(float64(r), false, ordinal)
		} else if ordinal {
			s = s[:len(s)-1] + "ieth"
		}
		return s
	}
	unit, name := 100.0, "Hundred"
	if f >= 1000 {
		p := 1
		for unit = 1000; p < len(powers) && f >= unit*1000; p++ {
			unit *= 1000
		}
		name = powers[p-1]
	}
	n := math.Floor(f / unit)
	s := spell(n, false, false) + " " + name
	if follows {
		s = ", " + s
	}
	if r := f - n*unit; r > 0 {
		s += spell(r, true, ordinal)
	} else if ordinal {
		s += "th"
	}
	return s
}

// wordValues says what the words of a spelled number stand for.
var wordValues = func() map[string]float64 {
	t := map[string]float64{"hundred": 100, "hundredth": 100}
	for i, w := range units20 {
		t[strings.ToLower(w)] = float64(i)
	}
	for i, w := range ordinals {
		t[strings.ToLower(w)] = float64(i)
	}
	for i, w := range tens {
		w = strings.ToLower(w)
		t[w] = float64(10 * (i + 2))
		t[w[:len(w)-1]+"ieth"] = t[w]
	}
	for i, w := range powers {
		w = strings.ToLower(w)
		t[w] = math.Pow(1000, float64(i+1))
		t[w+"th"] = t[w]
	}
	return t
}()

// fromWords reads a spelled number.
func fromWords(s string) float64 {
	s = strings.NewReplacer(", ", " ", " and ", " ", "-", " ", "\\", " ", "\t", " ", "\n", " ").Replace(s)
	segments := []float64{0}
	for w := range strings.SplitSeq(s, " ") {
		v, ok := wordValues[w]
		if !ok {
			return math.NaN()
		}
		last := len(segments) - 1
		top := segments[last]
		switch {
		case v >= 100:
			segments[last] = top * v
		case top >= 1000:
			segments = append(segments, v)
		default:
			segments[last] = top + v
		}
	}
	total := 0.0
	for _, x := range segments {
		total += x
	}
	return total
}

func parseInteger(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	m.grow(2 * len(args[1].v.Str()))
	p := parseIntegerPicture(args[1].v.Str())
	return num(p.parse(args[0].v.Str()))
}

// parse reads what format prints. What it cannot read is no number.
func (p *integerPicture) parse(s string) float64 {
	switch p.style {
	case styleLetters:
		return fromLetters(s, p.letters == upperCase)
	case styleRoman:
		if p.letters != upperCase {
			s = strings.ToUpper(s)
		}
		return fromRoman(s)
	case styleWords:
		return fromWords(strings.ToLower(s))
	case styleSequence:
		panic(&Error{Code: "D3130", Value: value.String(p.token)})
	}
	if p.ordinal && len(s) >= 2 {
		s = s[:len(s)-2]
	}
	if p.every > 0 {
		s = strings.ReplaceAll(s, ",", "")
	} else {
		for _, sep := range p.seps {
			s = strings.ReplaceAll(s, string(sep.char), "")
		}
	}
	if p.zero != '0' {
		s = strings.Map(func(r rune) rune { return r - p.zero + '0' }, s)
	}
	return leadingInteger(s)
}

// leadingInteger is JavaScript's parseInt.
func leadingInteger(s string) float64 {
	s = strings.TrimLeft(s, " \t\n\r\v\f\u00a0\ufeff\u2028\u2029")
	sign := 1.0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if len(s) > 2 && s[0] == '0' && s[1]|32 == 'x' {
		f, n := 0.0, 0
		for _, c := range []byte(s[2:]) {
			d, ok := hexDigit(c)
			if !ok {
				break
			}
			f = f*16 + float64(d)
			n++
		}
		if n == 0 {
			return math.NaN()
		}
		return sign * f
	}
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == 0 {
		return math.NaN()
	}
	f, _ := strconv.ParseFloat(s[:n], 64)
	return sign * f
}
