package jsonpath

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"tokaido/value"
)

// Limits of intrinsic functions.
const (
	MaxRange  = 1000    // items that States.ArrayRange makes
	MaxText   = 10_000  // characters that Base64Encode, Base64Decode and Hash take
	maxFormat = 4 << 20 // bytes that Format and JsonToString make
)

// function is one intrinsic function. max < 0 means any number of arguments.
type function struct {
	name     string
	min, max int
	run      func(s *Scope, c *call, a []value.Value) (value.Value, error)
}

func functionNamed(name string) *function {
	for i := range functions {
		if functions[i].name == name {
			return &functions[i]
		}
	}
	return nil
}

var functions = [...]function{
	{"States.Format", 1, -1, format},
	{"States.StringToJson", 1, 1, stringToJSON},
	{"States.JsonToString", 1, 1, jsonToString},
	{"States.Array", 0, -1, array},
	{"States.ArrayPartition", 2, 2, arrayPartition},
	{"States.ArrayContains", 2, 2, arrayContains},
	{"States.ArrayRange", 3, 3, arrayRange},
	{"States.ArrayGetItem", 2, 2, arrayGetItem},
	{"States.ArrayLength", 1, 1, arrayLength},
	{"States.ArrayUnique", 1, 1, arrayUnique},
	{"States.Base64Encode", 1, 1, base64Encode},
	{"States.Base64Decode", 1, 1, base64Decode},
	{"States.Hash", 2, 2, hash},
	{"States.JsonMerge", 3, 3, jsonMerge},
	{"States.MathRandom", 2, 3, mathRandom},
	{"States.MathAdd", 2, 2, mathAdd},
	{"States.StringSplit", 2, 2, stringSplit},
	{"States.UUID", 0, 0, uuid},
}

func wrong(f *function, i int, want string, v value.Value) error {
	return fmt.Errorf("argument %d of %s must be %s but was: %s", i+1, f.name, want, Text(v))
}

func isArray(c *call, a []value.Value, i int) error {
	if !a[i].IsArray() {
		return wrong(c.f, i, "an array", a[i])
	}
	return nil
}

func text(c *call, a []value.Value, i int) (string, error) {
	if !a[i].IsString() {
		return "", wrong(c.f, i, "a string", a[i])
	}
	return a[i].Str(), nil
}

func shortText(c *call, a []value.Value, i int) (string, error) {
	s, err := text(c, a, i)
	if err == nil && len(s) > MaxText && utf8.RuneCountInString(s) > MaxText {
		return "", fmt.Errorf("argument %d of %s is longer than %d characters", i+1, c.f.name, MaxText)
	}
	return s, err
}

// whole is Java's Math.round: half goes up, whatever the sign.
func whole(c *call, a []value.Value, i int) (int64, error) {
	if !a[i].IsNumber() {
		return 0, wrong(c.f, i, "a number", a[i])
	}
	f := math.Floor(a[i].Float() + 0.5)
	if f < math.MinInt32 || f > math.MaxInt32 {
		return 0, wrong(c.f, i, "between -2147483648 and 2147483647", a[i])
	}
	return int64(f), nil
}

func array(_ *Scope, _ *call, a []value.Value) (value.Value, error) {
	return value.Array(append([]value.Value(nil), a...)...), nil
}

func arrayPartition(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	if err := isArray(c, a, 0); err != nil {
		return value.Value{}, err
	}
	n, err := whole(c, a, 1)
	if err != nil {
		return value.Value{}, err
	}
	if n < 1 {
		return value.Value{}, wrong(c.f, 1, "positive", a[1])
	}
	size, length := int(n), a[0].Len()
	out := make([]value.Value, 0, (length+size-1)/size)
	for i := 0; i < length; i += size {
		chunk := make([]value.Value, 0, min(size, length-i))
		for j := i; j < min(i+size, length); j++ {
			chunk = append(chunk, a[0].At(j))
		}
		out = append(out, value.Array(chunk...))
	}
	return value.Array(out...), nil
}

func arrayContains(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	if err := isArray(c, a, 0); err != nil {
		return value.Value{}, err
	}
	return value.Bool(has(a[0], a[1])), nil
}

func arrayRange(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	var n [3]int64
	for i := range n {
		var err error
		if n[i], err = whole(c, a, i); err != nil {
			return value.Value{}, err
		}
	}
	first, last, step := n[0], n[1], n[2]
	if step == 0 {
		return value.Value{}, wrong(c.f, 2, "other than zero", a[2])
	}
	size := (last-first)/step + 1
	if last != first && (last > first) != (step > 0) {
		size = 0
	}
	if size > MaxRange {
		return value.Value{}, fmt.Errorf("%s would return more than %d items", c.f.name, MaxRange)
	}
	out := make([]value.Value, 0, size)
	for i := range size {
		out = append(out, value.Int(first+i*step))
	}
	return value.Array(out...), nil
}

func arrayGetItem(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	if err := isArray(c, a, 0); err != nil {
		return value.Value{}, err
	}
	n, ok := a[1].Int()
	if !ok {
		return value.Value{}, wrong(c.f, 1, "a whole number", a[1])
	}
	if n < 0 || n >= int64(a[0].Len()) {
		return value.Value{}, fmt.Errorf("index %d is out of bounds for an array of %d items", n, a[0].Len())
	}
	return a[0].At(int(n)), nil
}

func arrayLength(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	return value.Int(int64(a[0].Len())), isArray(c, a, 0)
}

func arrayUnique(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	if err := isArray(c, a, 0); err != nil {
		return value.Value{}, err
	}
	out := make([]value.Value, 0, a[0].Len())
	seen := make(map[string]int, a[0].Len()) // texts first: equal values may differ in text
	for _, x := range a[0].Items() {
		key := canonical(x)
		if _, ok := seen[key]; !ok {
			seen[key] = len(out)
			out = append(out, x)
		}
	}
	return value.Array(out...), nil
}

// canonical is a text that two values share exactly if they are equal.
func canonical(v value.Value) string {
	return string(appendCanonical(nil, v))
}

func appendCanonical(b []byte, v value.Value) []byte {
	switch {
	case v.IsNumber():
		return value.Float(v.Float()).AppendJSON(b)
	case v.IsArray():
		b = append(b, '[')
		for _, x := range v.Items() {
			b = append(appendCanonical(b, x), ',')
		}
		return append(b, ']')
	case v.IsObject():
		keys := make([]string, 0, v.Len())
		for k := range v.Members() {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b = append(b, '{')
		for _, k := range keys {
			b = append(value.AppendQuoted(b, k), ':')
			b = append(appendCanonical(b, v.Get(k)), ',')
		}
		return append(b, '}')
	}
	return v.AppendJSON(b)
}

func base64Encode(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	s, err := shortText(c, a, 0)
	if err != nil {
		return value.Value{}, err
	}
	return value.String(base64.StdEncoding.EncodeToString([]byte(s))), nil
}

// base64Decode takes what MIME's decoder takes: characters that are not of the
// alphabet are passed over.
func base64Decode(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	s, err := shortText(c, a, 0)
	if err != nil {
		return value.Value{}, err
	}
	s = strings.Map(func(r rune) rune {
		if r == '+' || r == '/' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return value.Value{}, errors.New("the argument is not base64")
	}
	return value.String(strings.ToValidUTF8(string(b), "\uFFFD")), nil
}

func hash(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	alg, err := text(c, a, 1)
	if err != nil {
		return value.Value{}, err
	}
	s := a[0].Str()
	if !a[0].IsString() {
		s = Text(a[0])
	}
	if len(s) > MaxText && utf8.RuneCountInString(s) > MaxText {
		return value.Value{}, fmt.Errorf("argument 1 of %s is longer than %d characters", c.f.name, MaxText)
	}
	var sum []byte
	switch data := []byte(s); alg {
	case "MD5":
		h := md5.Sum(data)
		sum = h[:]
	case "SHA-1":
		h := sha1.Sum(data)
		sum = h[:]
	case "SHA-256":
		h := sha256.Sum256(data)
		sum = h[:]
	case "SHA-384":
		h := sha512.Sum384(data)
		sum = h[:]
	case "SHA-512":
		h := sha512.Sum512(data)
		sum = h[:]
	default:
		return value.Value{}, wrong(c.f, 1, "one of MD5, SHA-1, SHA-256, SHA-384, SHA-512", a[1])
	}
	return value.String(hex.EncodeToString(sum)), nil
}

func jsonMerge(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	for i := range 2 {
		if !a[i].IsObject() {
			return value.Value{}, wrong(c.f, i, "an object", a[i])
		}
	}
	if a[2].Kind() != value.KindBool || a[2].Bool() {
		return value.Value{}, wrong(c.f, 2, "false", a[2])
	}
	m := make([]value.Member, 0, a[0].Len()+a[1].Len())
	for _, o := range a[:2] {
		for k, x := range o.Members() {
			m = append(m, value.Member{Key: k, Value: x})
		}
	}
	return value.Object(m...), nil
}

func stringToJSON(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	s, err := text(c, a, 0)
	if err != nil {
		return value.Value{}, err
	}
	if strings.TrimSpace(s) == "" {
		return value.Null(), nil
	}
	v, err := value.ParseString(s)
	if err != nil {
		return value.Value{}, err
	}
	if strings.Contains(s, "-0") {
		v = unsignedZero(v)
	}
	return v, nil
}

// unsignedZero makes the integer -0 be 0, as Java's integers are.
func unsignedZero(v value.Value) value.Value {
	switch {
	case v.IsNumber():
		if v.NumberText() == "-0" {
			return value.Int(0)
		}
	case v.IsArray():
		items := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			items = append(items, unsignedZero(x))
		}
		return value.Array(items...)
	case v.IsObject():
		m := make([]value.Member, 0, v.Len())
		for k, x := range v.Members() {
			m = append(m, value.Member{Key: k, Value: unsignedZero(x)})
		}
		return value.Object(m...)
	}
	return v
}

func jsonToString(_ *Scope, _ *call, a []value.Value) (value.Value, error) {
	s := Text(a[0])
	if len(s) > maxFormat { // calls in one another double what they escape
		return value.Value{}, errTooLong
	}
	return value.String(s), nil
}

var errTooLong = fmt.Errorf("the text is longer than %d bytes", maxFormat)

func mathAdd(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	x, err := whole(c, a, 0)
	if err != nil {
		return value.Value{}, err
	}
	y, err := whole(c, a, 1)
	if err != nil {
		return value.Value{}, err
	}
	if n := x + y; n < math.MinInt32 || n > math.MaxInt32 {
		return value.Value{}, errors.New("the sum is not between -2147483648 and 2147483647")
	}
	return value.Int(x + y), nil
}

func mathRandom(s *Scope, c *call, a []value.Value) (value.Value, error) {
	first, err := whole(c, a, 0)
	if err != nil {
		return value.Value{}, err
	}
	end, err := whole(c, a, 1)
	if err != nil {
		return value.Value{}, err
	}
	if first >= end {
		return value.Value{}, wrong(c.f, 1, "greater than the start", a[1])
	}
	span := uint64(end - first)
	if len(a) == 3 {
		seed, err := whole(c, a, 2)
		if err != nil {
			return value.Value{}, err
		}
		return value.Int(first + javaRandom(seed, span)), nil
	}
	if s.Rand == nil {
		return value.Value{}, errors.New("no source of random numbers")
	}
	limit := -span % span // what would make the first few more likely
	x := s.Rand()
	for x < limit {
		x = s.Rand()
	}
	return value.Int(first + int64(x%span)), nil
}

// javaRandom is java.util.Random(seed).nextInt(n), which gives the same number
// for the same seed everywhere.
func javaRandom(seed int64, n uint64) int64 {
	const mask = 1<<48 - 1
	state := (uint64(seed) ^ 0x5DEECE66D) & mask
	next := func(bits uint) int32 {
		state = (state*0x5DEECE66D + 0xB) & mask
		return int32(state >> (48 - bits))
	}
	if n > math.MaxInt32 {
		hi, lo := int64(next(32)), int64(next(32))
		return int64(uint64(hi<<32+lo) % n)
	}
	bound := int32(n)
	if bound&-bound == bound {
		return int64(bound) * int64(next(31)) >> 31
	}
	for {
		bits := next(31)
		x := bits % bound
		if bits-x+(bound-1) >= 0 {
			return int64(x)
		}
	}
}

func stringSplit(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	s, err := text(c, a, 0)
	if err != nil {
		return value.Value{}, err
	}
	delims, err := text(c, a, 1)
	if err != nil {
		return value.Value{}, err
	}
	out := []value.Value{}
	for tok := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(delims, r) }) {
		out = append(out, value.String(tok))
	}
	return value.Array(out...), nil
}

func uuid(s *Scope, _ *call, _ []value.Value) (value.Value, error) {
	if s.Rand == nil {
		return value.Value{}, errors.New("no source of random numbers")
	}
	hi, lo := s.Rand(), s.Rand()
	hi = hi&^0xF000 | 0x4000
	lo = lo&^(3<<62) | 1<<63
	return value.String(fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xFFFF, hi&0xFFFF, lo>>48, lo&0xFFFFFFFFFFFF)), nil
}

func format(_ *Scope, c *call, a []value.Value) (value.Value, error) {
	tmpl, err := text(c, a, 0)
	if err != nil {
		return value.Value{}, err
	}
	braces := c.args[0].braces
	if c.args[0].path != nil || c.args[0].call != nil {
		for i := 0; ; {
			n := strings.Index(tmpl[i:], "{}")
			if n < 0 {
				break
			}
			braces = append(braces, i+n)
			i += n + 2
		}
	}
	if len(braces) != len(a)-1 {
		return value.Value{}, fmt.Errorf("the template has %d {} but there are %d arguments for them", len(braces), len(a)-1)
	}
	b := make([]byte, 0, len(tmpl)+16*len(braces))
	from := 0
	for i, at := range braces {
		b = append(b, tmpl[from:at]...)
		if b = appendJava(b, a[i+1]); len(b) > maxFormat {
			return value.Value{}, errTooLong
		}
		from = at + 2
	}
	return value.String(string(append(b, tmpl[from:]...))), nil
}

// appendJava prints v as Java prints maps, lists and what is in them.
func appendJava(b []byte, v value.Value) []byte {
	switch {
	case v.IsString():
		return append(b, v.Str()...)
	case v.IsArray():
		b = append(b, '[')
		for i, x := range v.Items() {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendJava(b, x)
		}
		return append(b, ']')
	case v.IsObject():
		b = append(b, '{')
		n := 0
		for k, x := range v.Members() {
			if n++; n > 1 {
				b = append(b, ", "...)
			}
			b = appendJava(append(append(b, k...), '='), x)
		}
		return append(b, '}')
	}
	return v.AppendJSON(b)
}
