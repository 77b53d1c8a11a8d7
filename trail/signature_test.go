package trail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// message is a key, a text and a signature of it, good or not.
type message struct{ key, text, sig []byte }

// agree holds checkSigned to crypto/ed25519, for many at once.
func agree(t *testing.T, all []message) (good int) {
	t.Helper()
	var many []signed
	var room []byte
	for _, m := range all {
		var s signed
		s, room = newSigned(newPublicKey(m.key), m.text, [ed25519.SignatureSize]byte(m.sig), room)
		many = append(many, s)
	}
	checkSigned(many)
	for i, m := range all {
		want := ed25519.Verify(m.key, m.text, m.sig)
		if want {
			good++
		}
		if !many[i].bad != want {
			t.Errorf("%d of %d: key %x, text %q, signature %x: good is %v, crypto/ed25519 says %v", i, len(all), m.key, m.text, m.sig, !many[i].bad, want)
		}
	}
	return good
}

func keyOf(i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Append(nil, "key ", i))
	return ed25519.NewKeyFromSeed(seed[:])
}

// TestSignaturesAgree: checked together, signatures are as good as crypto/ed25519
// finds each, whatever was done to them and whichever are beside them.
func TestSignaturesAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	keys := []ed25519.PrivateKey{keyOf(1), keyOf(2)}
	var all []message
	for i := range 70 {
		k := keys[i%2]
		text := fmt.Appendf(nil, "text %d", i)
		all = append(all, message{k.Public().(ed25519.PublicKey), text, ed25519.Sign(k, text)})
	}
	if good := agree(t, all); good != len(all) {
		t.Fatalf("%d of %d are good", good, len(all))
	}
	for n := range 4 { // and any number of them
		agree(t, all[:n])
	}
	for range 6 {
		some := slices.Clone(all)
		for i := range some {
			m := &some[i]
			switch r.IntN(4) {
			case 0:
				m.sig = bytes.Clone(m.sig)
				m.sig[r.IntN(len(m.sig))] ^= 1 << r.IntN(8)
			case 1:
				m.text = append(bytes.Clone(m.text), 'x')
			case 2:
				m.sig = all[r.IntN(len(all))].sig
			}
		}
		agree(t, some)
	}
}

// TestOddSignaturesAgree: so it is with points of small order, encodings that are
// not canonical, and scalars beyond the group's order.
func TestOddSignaturesAgree(t *testing.T) {
	var points [][]byte
	for _, s := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000", "0000000000000000000000000000000000000000000000000000000000000080",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"0100000000000000000000000000000000000000000000000000000000000080", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0200000000000000000000000000000000000000000000000000000000000000", // on no curve
		"5866666666666666666666666666666666666666666666666666666666666666", // the base point
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, b)
	}
	order, err := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	if err != nil {
		t.Fatal(err)
	}
	below := bytes.Clone(order)
	below[0]--
	scalars := [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...), below, order, bytes.Repeat([]byte{0xff}, 32)}
	good := 0
	var all []message
	for _, key := range points {
		for _, r := range points {
			for i, s := range scalars {
				all = append(all, message{key, fmt.Append(nil, "text ", i, len(all)), slices.Concat(r, s)})
			}
		}
	}
	good += agree(t, all)
	k := keyOf(1)
	text := []byte("text")
	sig := ed25519.Sign(k, text)
	sig[32], sig[63] = sig[32]+0xed, sig[63]|0x10 // s and something
	agree(t, []message{{k.Public().(ed25519.PublicKey), text, sig}, {k.Public().(ed25519.PublicKey), text, ed25519.Sign(k, text)}})
	if good == 0 {
		t.Error("of all these not one is good: they test nothing")
	}
}

// FuzzSignatures holds checkSigned to crypto/ed25519.
func FuzzSignatures(f *testing.F) {
	k := keyOf(1)
	f.Add([]byte(k.Public().(ed25519.PublicKey)), []byte("text"), ed25519.Sign(k, []byte("text")))
	f.Add(make([]byte, 32), []byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, key, text, sig []byte) {
		if len(key) != ed25519.PublicKeySize || len(sig) != ed25519.SignatureSize {
			return
		}
		agree(t, []message{{k.Public().(ed25519.PublicKey), text, ed25519.Sign(k, text)}, {key, text, sig}})
	})
}

// receiptLog is a log of n records, each with a receipt, as change leaves them, and
// where each of its records begins.
func receiptLog(t testing.TB, k *Keys, n int, change func(i int, body []byte) []byte) (segment []byte, starts []int64) {
	t.Helper()
	out := appendHeader(nil, 1, hash{})
	c := chain{next: 1}
	for i := range n {
		r := served(t, k, i+1)
		r.EventID = fmt.Sprint("event-", i)
		body := appendRecord(nil, r)
		if change != nil {
			body = change(i, body)
		}
		starts = append(starts, int64(len(out)))
		var h hash
		out, h = appendFrame(out, c.next, c.prev, body, true)
		c.record(h)
	}
	return append(out, mark[:]...), starts
}

// TestFlippedReceipts is the property: any byte of any receipt is changed, in a log
// that is chained right all the same, and the right record is named, whichever
// receipts are checked beside it.
func TestFlippedReceipts(t *testing.T) {
	k, ringOf := keyring(t)
	const n = 70 // more than are checked at once
	r := rand.New(rand.NewPCG(5, 5))
	whole, _ := receiptLog(t, k, n, nil)
	ring := ringOf()
	dir := t.TempDir()
	verify := func(b []byte) (*findings, error) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		return verifyDir(t.Context(), dir, Check{Keys: ring})
	}
	if rep, err := verify(whole); err != nil || rep.Receipts.Good != n {
		t.Fatalf("%+v, %v", rep.Receipts, err)
	}
	rounds := 250
	if testing.Short() {
		rounds = 50
	}
	for range rounds {
		victims := map[int]bool{}
		for range 1 + r.IntN(3) {
			victims[r.IntN(n)] = true
		}
		what := ""
		b, starts := receiptLog(t, k, n, func(i int, body []byte) []byte {
			if !victims[i] {
				return body
			}
			from := bytes.Index(body, receiptKey)
			to := from + bytes.IndexByte(body[from:], '}')
			at := from + len(receiptKey) - 1 + r.IntN(to-from-len(receiptKey)+2)
			body = bytes.Clone(body)
			body[at] ^= 1 << r.IntN(8)
			what += fmt.Sprintf("record %d, byte %d: %s\n", i+1, at-from, body[from:to+1])
			return body
		})
		rep, err := verify(b)
		first := slices.Sorted(maps.Keys(victims))
		if bad, ok := errors.AsType[*Corrupt](err); ok { // no JSON any more
			if i := slices.Index(starts, bad.Offset); !victims[i] {
				t.Fatalf("%s: %v", what, err)
			}
			continue
		}
		bad, ok := errors.AsType[*BadReceipts](err)
		if !ok {
			t.Fatalf("%snobody noticed: %+v, %v", what, rep.Receipts, err)
		}
		var named []int
		for _, b := range bad.All {
			named = append(named, int(b.Record)-1)
			if b.Offset != starts[b.Record-1] || b.Request == "" {
				t.Errorf("%s: %+v", what, b)
			}
		}
		// One whose member has another name now is none.
		if rep.Receipts.Good != n-len(victims) || rep.Receipts.Missing == 0 && !slices.Equal(named, first) {
			t.Fatalf("%snamed are %v: %+v", what, named, rep.Receipts)
		}
	}
}

// TestQuickReceipts: what the quick way takes is what the whole way takes, and what
// is written as records are goes the quick way.
func TestQuickReceipts(t *testing.T) {
	k, ringOf := keyring(t)
	r := served(t, k, 1)
	ring := ringOf()
	quickly := func(body []byte) (bool, bool) {
		parts, err := checkForm(body)
		if err != nil {
			return false, false
		}
		key, sig, text, ok := quickReceipt(parts, ring, nil)
		if !ok {
			return false, false
		}
		s, _ := newSigned(key, text, sig, nil)
		all := []signed{s}
		checkSigned(all)
		return !all[0].bad, true
	}
	body := string(appendRecord(nil, r))
	if good, ok := quickly([]byte(body)); !good || !ok {
		t.Fatalf("good %v, quick %v: %s", good, ok, body)
	}
	for _, c := range []struct {
		name, old, new string
		quick          bool
	}{
		{"escapedName", `"receipt":`, `"rec\u0065ipt":`, false},
		{"escapedText", `{"requestId":"request-1"`, `{"requestId":"\u0072equest-1"`, false},
		{"space", `"receipt":{`, `"receipt": {`, false},
		{"twice", `"receipt":{`, `"receipt":{"requestId":"x"},"receipt":{`, false},
		{"order", `"region":"ap-northeast-3","model"`, `"model":"m","region":"ap-northeast-3","mode"`, false},
		{"more", `"signature":`, `"more":1,"signature":`, false},
		{"otherRegion", `"inferenceRegion":"ap-northeast-3"`, `"inferenceRegion":"ap-northeast-1"`, false},
		{"otherRequest", `"request":"request-1"`, `"request":"request-2"`, false},
		{"served", `"request":"request-1"`, `"request":"request-2","additional":{"servedRequestId":"request-1",`, true},
		{"fraction", `"time":"2026-10-01T12:00:01Z","key"`, `"time":"2026-10-01T12:00:01.0Z","key"`, false},
		{"capitals", `sha256:`, `SHA256:`, false},
		{"otherKey", `/region/ap-northeast-3+`, `/region/ap-northeast-1+`, false},
		{"model", `"model":"anthropic`, `"model":"anthropi`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(body, c.old, c.new, 1)
			if c.name == "served" {
				changed = strings.Replace(strings.Replace(body, c.old, `"request":"request-2"`, 1), `"additional":{`, `"additional":{"servedRequestId":"request-1",`, 1)
			}
			if changed == body {
				t.Fatalf("%s is not in %s", c.old, body)
			}
			good, quick := quickly([]byte(changed))
			has, err := false, errors.New("no record")
			if parsed, perr := parseBody([]byte(changed)); perr == nil {
				has, err = parsed.checkReceipt(ring)
			}
			if quick != c.quick || quick && good != (has && err == nil) {
				t.Errorf("quick %v, good %v; the whole way: %v, %v", quick, good, has, err)
			}
		})
	}
}

// BenchmarkSignatures is what a signature takes, checked with so many others.
func BenchmarkSignatures(b *testing.B) {
	k := keyOf(1)
	text := bytes.Repeat([]byte("x"), 330) // a receipt's
	sig := ed25519.Sign(k, text)
	b.Run("one", func(b *testing.B) { // crypto/ed25519
		b.ReportAllocs()
		for b.Loop() {
			if !ed25519.Verify(k.Public().(ed25519.PublicKey), text, sig) {
				b.Fatal("bad")
			}
		}
	})
	for _, c := range []struct{ n, keys int }{{1, 1}, {8, 1}, {64, 1}, {700, 1}, {700, 3}} {
		n := c.n
		b.Run(fmt.Sprintf("together=%d/keys=%d", n, c.keys), func(b *testing.B) {
			many := make([]signed, n)
			keys := make([]*publicKey, c.keys)
			for i := range keys {
				keys[i] = newPublicKey(keyOf(i).Public().(ed25519.PublicKey))
			}
			texts, sigs := make([][]byte, n), make([][]byte, n)
			for i := range n {
				texts[i] = append(fmt.Append(nil, i), text...)
				sigs[i] = ed25519.Sign(keyOf(i%c.keys), texts[i])
			}
			var room []byte
			b.ReportAllocs()
			for b.Loop() {
				for i := range many {
					many[i], room = newSigned(keys[i%len(keys)], texts[i], [ed25519.SignatureSize]byte(sigs[i]), room)
				}
				checkSigned(many)
			}
			for i := range many {
				if many[i].bad {
					b.Fatal(i)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/signature")
		})
	}
	b.Run("table", func(b *testing.B) { // of a key, once
		for b.Loop() {
			newPublicKey(k.Public().(ed25519.PublicKey)).table()
		}
	})
}

// BenchmarkCheckReceipts is BenchmarkCheck with a receipt on each record.
func BenchmarkCheckReceipts(b *testing.B) {
	k, ringOf := keyring(b)
	const records = 500
	buf, _ := receiptLog(b, k, records, nil)
	buf = buf[headerSize:]
	ring := ringOf()
	of := &segmentFile{name: segmentName(1), size: headerSize + int64(len(buf)), last: true}
	p := new(piece)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		*p = piece{of: of, at: headerSize, b: buf, frames: p.frames[:0], claims: p.claims[:0], signed: p.signed[:0], text: p.text, room: p.room}
		p.check(ring)
		if p.bad != nil || p.receipts.Good != records {
			b.Fatal(p.bad, p.receipts)
		}
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}
