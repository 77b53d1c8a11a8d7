package jsonata

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"math"

	"tokaido/value"
)

// What Step Functions adds to the language. $eval is taken away.
var statesDefinitions = []struct {
	name  string
	sig   string
	arity int
	impl  func(m *machine, args []val, in val) val
}{
	{"partition", "<an:a<a>>", 2, partition},
	{"range", "<nnn:a<n>>", 3, rangeStep},
	{"hash", "<ss:s>", 2, hash},
	{"random", "<n?:n>", 1, seededRandom},
	{"uuid", "<:s>", 0, uuid},
	{"parse", "<s-:x>", 1, parseJSON},
}

func statesError(text string) *Error { return &Error{Code: "D3137", Message: text} }

// partition cuts an array into pieces of a length, which is cut to a whole
// number towards zero.
func partition(m *machine, args []val, in val) val {
	if args[0].undefined() || args[1].undefined() {
		return val{}
	}
	size := whole(args[1].v.Float())
	if !(size > 0) {
		panic(statesError("The second argument of $partition must be a positive number"))
	}
	n := args[0].length()
	m.spend(n)
	out := &box{kind: boxList, items: []val{}}
	for i := 0; i < n; {
		k := int(min(size, float64(n-i)))
		piece := m.slice(k)
		for range k {
			piece = append(piece, args[0].at(i))
			i++
		}
		m.charge(100)
		m.push(out, array(piece))
	}
	return val{x: out}
}

// rangeStep is $range(first, last, step), the last included. One number comes
// out alone, as from any sequence.
func rangeStep(m *machine, args []val, in val) val {
	for _, a := range args {
		if a.undefined() {
			return val{}
		}
	}
	first, last, step := whole(args[0].v.Float()), whole(args[1].v.Float()), whole(args[2].v.Float())
	if step == 0 {
		panic(statesError("The third argument of $range must not be zero"))
	}
	n := math.Floor((last-first)/step) + 1
	if !(n > 0) {
		return val{x: newSequence()}
	}
	if n > float64(m.maxItems) {
		m.tooMany()
	}
	if step == 1 {
		return val{x: &box{kind: boxList, seq: true, more: &more{lo: first, n: int(n)}}}
	}
	out := &box{kind: boxList, seq: true, items: m.slice(int(n))}
	m.spend(int(n))
	for i := range int(n) {
		out.items = append(out.items, num(first+float64(i)*step))
	}
	return val{x: out}
}

func hash(m *machine, args []val, in val) val {
	if args[0].undefined() || args[1].undefined() {
		return val{}
	}
	b := []byte(args[0].v.Str())
	m.spend(len(b) / 64)
	var sum []byte
	switch args[1].v.Str() {
	case "MD5":
		s := md5.Sum(b)
		sum = s[:]
	case "SHA-1":
		s := sha1.Sum(b)
		sum = s[:]
	case "SHA-256":
		s := sha256.Sum256(b)
		sum = s[:]
	case "SHA-384":
		s := sha512.Sum384(b)
		sum = s[:]
	case "SHA-512":
		s := sha512.Sum512(b)
		sum = s[:]
	default:
		panic(statesError("The second argument of $hash must be MD5, SHA-1, SHA-256, SHA-384 or SHA-512"))
	}
	return str(hex.EncodeToString(sum))
}

// seededRandom is $random([seed]); a seed gives what java.util.Random gives.
func seededRandom(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return num(m.random())
	}
	return num(JavaRandom(int64(max(min(args[0].v.Float(), math.MaxInt64/2), math.MinInt64/2))))
}

// JavaRandom is the first double of a java.util.Random made with seed.
func JavaRandom(seed int64) float64 {
	const (
		multiplier = 0x5DEECE66D
		mask       = 1<<48 - 1
	)
	s := (uint64(seed) ^ multiplier) & mask
	next := func(bits uint) uint64 {
		s = (s*multiplier + 0xB) & mask
		return s >> (48 - bits)
	}
	hi := next(26)
	return float64(hi<<27+next(27)) / (1 << 53)
}

// uuid is a random (version 4) UUID.
func uuid(m *machine, args []val, in val) val {
	if m.env.Rand == nil {
		panic(&Error{Message: "There is no source of random numbers"})
	}
	var b [16]byte
	for i := 0; i < 16; i += 8 {
		u := m.env.Rand()
		for j := range 8 {
			b[i+j] = byte(u >> (8 * j))
		}
	}
	b[6] = b[6]&0x0F | 0x40
	b[8] = b[8]&0x3F | 0x80
	h := hex.EncodeToString(b[:])
	return str(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

func parseJSON(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := args[0].v.Str()
	m.charge(len(s))
	v, err := value.ParseString(s)
	if err != nil {
		panic(statesError("The argument of $parse is not JSON: " + err.Error()))
	}
	if v.IsNumber() && v.Float() == 0 {
		return num(0) // "-0" is zero
	}
	return doc(v)
}
