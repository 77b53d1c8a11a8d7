package trail

import (
	"crypto/ed25519"
	"crypto/sha512"
	"sync"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Many signatures by few keys are checked faster than one by one, and with the
// same answer: crypto/ed25519's. A signature (R, s) of a message by the key A is
// good if s is below the group's order, and R is the encoding of [s]B - [k]A with
// k = SHA-512(R, A, message). crypto/ed25519 finds that point by doubling and
// adding. Here a key that has signed many things gets a table of its multiples, as
// the base point B has one, so that only additions are left: 64 of them, mixed ones
// of 7 multiplications each; and the points' encodings share one inversion.
//
// A batch in the usual sense (the sum of all, weighted at random, is zero) takes as
// long, and decides by another rule: it must let pass what differs by a point of
// small order only. So it could take a signature that crypto/ed25519 refuses.
//
// Nothing here is secret, so that time may depend on it.

const (
	windowBits = 8
	windowHalf = 1 << (windowBits - 1)
	windows    = 256 / windowBits // scalars are below 2^253
)

// multiples are those of a point: in row i, j times 2^(8i) times the point at j-1.
type multiples [windows][windowHalf]multiple

// multiple is a point (x, y) as it is added: y+x, y-x and 2dxy.
type multiple struct{ plus, minus, twist field.Element }

// twist2d is 2d, of the curve's d = -121665/121666.
var twist2d = func() *field.Element {
	d := new(field.Element).Mult32(new(field.Element).One(), 121666)
	d.Invert(d)
	d.Mult32(d, 121665)
	d.Negate(d)
	return d.Add(d, d)
}()

// multiplesOf makes the table of p: some 490 KB, in some milliseconds.
func multiplesOf(p *edwards25519.Point) *multiples {
	t := new(multiples)
	base := new(edwards25519.Point).Set(p)
	var points [windowHalf]edwards25519.Point
	var zs, parts [windowHalf]field.Element
	for i := range t {
		at := edwards25519.NewIdentityPoint()
		for j := range points {
			at.Add(at, base)
			points[j].Set(at)
			_, _, z, _ := at.ExtendedCoordinates()
			zs[j].Set(z)
		}
		invertAll(zs[:], parts[:])
		for j := range points {
			x, y, _, _ := points[j].ExtendedCoordinates()
			x.Multiply(x, &zs[j])
			y.Multiply(y, &zs[j])
			m := &t[i][j]
			m.plus.Add(y, x)
			m.minus.Subtract(y, x)
			m.twist.Multiply(x, y)
			m.twist.Multiply(&m.twist, twist2d)
		}
		base.Add(at, at)
	}
	return t
}

// invertAll inverts each of all, none of which is zero, at the price of one
// inversion. parts is room for as many.
func invertAll(all, parts []field.Element) {
	product := new(field.Element).One()
	for i := range all {
		parts[i].Set(product)
		product.Multiply(product, &all[i])
	}
	product.Invert(product)
	for i := len(all) - 1; i >= 0; i-- {
		parts[i].Multiply(&parts[i], product)
		product.Multiply(product, &all[i])
		all[i].Set(&parts[i])
	}
}

// baseMultiples is the table of the base point.
var baseMultiples = sync.OnceValue(func() *multiples { return multiplesOf(edwards25519.NewGeneratorPoint()) })

// sumPoint is a point in extended coordinates: x = X/Z, y = Y/Z, T = XY/Z.
type sumPoint struct{ x, y, z, t field.Element }

func (p *sumPoint) zero() {
	p.x.Zero()
	p.y.One()
	p.z.One()
	p.t.Zero()
}

// add adds m, or takes it away. The formulas are those of Hisil, Wong, Carter and
// Dawson (2008) for a = -1; they hold for any two points of the curve.
func (p *sumPoint) add(m *multiple, away bool) {
	var a, b, c, d, e, f, g, h field.Element
	plus, minus := &m.plus, &m.minus
	if away {
		plus, minus = minus, plus
	}
	a.Subtract(&p.y, &p.x)
	a.Multiply(&a, minus)
	b.Add(&p.y, &p.x)
	b.Multiply(&b, plus)
	c.Multiply(&p.t, &m.twist)
	d.Add(&p.z, &p.z)
	e.Subtract(&b, &a)
	h.Add(&b, &a)
	if away {
		f.Add(&d, &c)
		g.Subtract(&d, &c)
	} else {
		f.Subtract(&d, &c)
		g.Add(&d, &c)
	}
	p.x.Multiply(&e, &f)
	p.y.Multiply(&g, &h)
	p.t.Multiply(&e, &h)
	p.z.Multiply(&f, &g)
}

// addMultiple adds s times the point of t. s is little-endian and below 2^253.
func (p *sumPoint) addMultiple(t *multiples, s []byte) {
	carry := 0
	for i := range t {
		n := int(s[i]) + carry
		carry = 0
		if n > windowHalf {
			n -= 2 * windowHalf
			carry = 1
		}
		switch {
		case n > 0:
			p.add(&t[i][n-1], false)
		case n < 0:
			p.add(&t[i][-n-1], true)
		}
	}
}

// publicKey is an Ed25519 key that may have signed many things.
type publicKey struct {
	bytes [ed25519.PublicKeySize]byte
	// table is of the key's negative: [k](-A) is added. nil: the bytes are no point
	// of the curve, and no signature is good.
	table func() *multiples
}

func newPublicKey(b []byte) *publicKey {
	k := &publicKey{bytes: [ed25519.PublicKeySize]byte(b)}
	if p, err := new(edwards25519.Point).SetBytes(b); err == nil {
		k.table = sync.OnceValue(func() *multiples { return multiplesOf(p.Negate(p)) })
	}
	return k
}

// signed is one of many signatures to check. The message is in k.
type signed struct {
	key *publicKey
	sig [ed25519.SignatureSize]byte
	k   [sha512.Size]byte // SHA-512 of R, the key and the message
	bad bool              // as checkSigned finds
}

// newSigned begins the check of a signature over a message. room may be used to
// put together what is hashed; it is returned for the next one.
func newSigned(key *publicKey, message []byte, sig [ed25519.SignatureSize]byte, room []byte) (signed, []byte) {
	room = append(append(append(room[:0], sig[:32]...), key.bytes[:]...), message...)
	return signed{key: key, sig: sig, k: sha512.Sum512(room)}, room
}

// checkAtOnce is how many signatures share an inversion.
const checkAtOnce = 64

// checkSigned checks many signatures: each as crypto/ed25519 would.
func checkSigned(all []signed) {
	for len(all) > 0 {
		n := min(checkAtOnce, len(all))
		checkSome(all[:n])
		all = all[n:]
	}
}

func checkSome(all []signed) {
	var points [checkAtOnce]sumPoint
	var zs, parts [checkAtOnce]field.Element
	var s, k edwards25519.Scalar
	base := baseMultiples()
	for i := range all {
		x, p := &all[i], &points[i]
		p.zero()
		_, serr := s.SetCanonicalBytes(x.sig[32:])
		_, kerr := k.SetUniformBytes(x.k[:])
		if x.bad = serr != nil || kerr != nil || x.key.table == nil; !x.bad {
			p.addMultiple(base, x.sig[32:])
			p.addMultiple(x.key.table(), k.Bytes())
		}
		zs[i].Set(&p.z)
	}
	invertAll(zs[:len(all)], parts[:len(all)])
	for i := range all {
		p := &points[i]
		p.x.Multiply(&p.x, &zs[i])
		p.y.Multiply(&p.y, &zs[i])
		r := p.y.Bytes()
		r[31] |= byte(p.x.IsNegative() << 7)
		all[i].bad = all[i].bad || string(r) != string(all[i].sig[:32])
	}
}
