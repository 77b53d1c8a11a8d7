package jsonata

import (
	"math"
	"strconv"
	"strings"

	"tokaido/value"
)

func floor64(f float64) float64 { return math.Floor(f) }

// toNumber is $number.
func toNumber(m *machine, args []val, in val) val {
	a := args[0]
	switch a.kind() {
	case kUndefined, kNumber:
		return a
	case kBool:
		if a.v.Bool() {
			return num(1)
		}
		return num(0)
	case kString:
		s := a.v.Str()
		if decimal(s) {
			if f, _ := strconv.ParseFloat(s, 64); !math.IsInf(f, 0) {
				return num(f)
			}
		} else if radixLike(s) {
			return num(radixNumber(s))
		}
	}
	panic(&Error{Code: "D3030", Value: m.show(a), Index: 1})
}

// decimal reports whether s is a number as JSON writes it, leading zeros allowed.
func decimal(s string) bool {
	digits := func() bool {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		s = s[n:]
		return n > 0
	}
	s = strings.TrimPrefix(s, "-")
	if !digits() {
		return false
	}
	if strings.HasPrefix(s, ".") {
		if s = s[1:]; !digits() {
			return false
		}
	}
	if s != "" && s[0]|32 == 'e' {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}

// radixLike reports what the reference's pattern accepts: text that begins with
// a hexadecimal number, contains an octal one, or ends in a binary one.
func radixLike(s string) bool {
	is := func(i int, mark byte) bool { return i+2 < len(s) && s[i] == '0' && s[i+1]|32 == mark }
	if is(0, 'x') {
		if _, ok := hexDigit(s[2]); ok {
			return true
		}
	}
	for i := range len(s) {
		if is(i, 'o') && s[i+2] >= '0' && s[i+2] <= '7' {
			return true
		}
		if is(i, 'b') && strings.Trim(s[i+2:], "01") == "" {
			return true
		}
	}
	return false
}

// radixNumber is what JavaScript's Number makes of such a text.
func radixNumber(s string) float64 {
	if len(s) < 3 || s[0] != '0' {
		return math.NaN()
	}
	base := map[byte]float64{'x': 16, 'o': 8, 'b': 2}[s[1]|32]
	f := 0.0
	for i := 2; i < len(s); i++ {
		d, ok := hexDigit(s[i])
		if !ok || float64(d) >= base {
			return math.NaN()
		}
		f = f*base + float64(d)
	}
	return f
}

func floor(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return num(math.Floor(args[0].v.Float()))
}

func ceil(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return num(math.Ceil(args[0].v.Float()))
}

func abs(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return num(math.Abs(args[0].v.Float()))
}

func sqrt(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	f := args[0].v.Float()
	if f < 0 {
		panic(&Error{Code: "D3060", Value: args[0].v, Index: 1})
	}
	return num(math.Sqrt(f))
}

func power(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	x, y := args[0].v.Float(), args[1].v.Float()
	if args[1].undefined() {
		y = math.NaN()
	}
	f := pow(x, y)
	if f-f != 0 {
		e := &Error{Code: "D3061", Value: args[0].v, Index: 1, other: "undefined"}
		if !args[1].undefined() {
			e.other = args[1].v.JSON()
		}
		panic(e)
	}
	return num(f)
}

// pow is JavaScript's, which says that 1 to an infinite power is no number.
func pow(x, y float64) float64 {
	if y != y || math.Abs(x) == 1 && math.IsInf(y, 0) {
		return math.NaN()
	}
	return math.Pow(x, y)
}

func round(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	places := 0.0
	if !args[1].undefined() {
		places = args[1].v.Float()
	}
	return num(roundTo(args[0].v.Float(), places))
}

// roundTo rounds half to even, in the decimal digits that the number prints.
func roundTo(f, places float64) float64 {
	if places != 0 {
		f = shift(f, places)
	}
	r := math.Floor(f)
	if f-r >= 0.5 {
		r++
	}
	if math.Abs(r-f) == 0.5 && math.Mod(math.Abs(r), 2) == 1 {
		r--
	}
	if places != 0 {
		r = shift(r, -places)
	}
	if r == 0 {
		return 0
	}
	return r
}

// shift moves the decimal point of the number's digits.
func shift(f, places float64) float64 {
	if f-f != 0 {
		if places != math.Trunc(places) {
			return math.NaN()
		}
		return f
	}
	if places != math.Trunc(places) || math.Abs(places) > 1e6 {
		if places != math.Trunc(places) {
			return math.NaN()
		}
		places = math.Copysign(1e6, places)
	}
	digits, exp, found := strings.Cut(value.Float(f).NumberText(), "e")
	e := 0
	if found {
		e, _ = strconv.Atoi(exp)
	}
	r, _ := strconv.ParseFloat(digits+"e"+strconv.Itoa(e+int(places)), 64)
	return r
}

func formatBase(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	f := roundTo(args[0].v.Float(), 0)
	radix := 10.0
	if !args[1].undefined() {
		radix = roundTo(args[1].v.Float(), 0)
	}
	if radix < 2 || radix > 36 {
		panic(&Error{Code: "D3100", Value: value.Float(radix)})
	}
	return str(inRadix(f, radix))
}

func inRadix(f, radix float64) string {
	switch {
	case radix == 10 || f != f || math.IsInf(f, 0):
		return jsNumber(f)
	case math.Abs(f) < 1<<53:
		return strconv.FormatInt(int64(f), int(radix))
	}
	// Digits that a float64 does not have are zeros.
	x, zeros := math.Abs(f), 0
	for x >= 1<<53 {
		x /= radix
		zeros++
	}
	s := strconv.FormatInt(int64(x), int(radix)) + strings.Repeat("0", zeros)
	if f < 0 {
		return "-" + s
	}
	return s
}

// random is 53 of the caller's random bits, as JavaScript's Math.random has them.
func (m *machine) random() float64 {
	if m.env.Rand == nil {
		panic(&Error{Message: "There is no source of random numbers"})
	}
	return float64(m.env.Rand()>>11) / (1 << 53)
}

func random(m *machine, args []val, in val) val { return num(m.random()) }
