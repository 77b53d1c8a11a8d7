package trail

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"time"
	"unsafe"
)

// receiptClaim is a receipt of a record that says what the record says, and whose
// signature is still to be checked.
type receiptClaim struct {
	seq   uint64
	at    int64
	body  []byte
	noted bool
}

// quickReceipt reads the receipt of a record in one pass that makes nothing of it,
// and appends what is signed to text. ok is false where it is written in another way
// than Value writes it, does not fit the record, or names no key that is known: what
// is so, [Record.checkReceipt] says.
func quickReceipt(parts recordParts, keys *Ring, text []byte) (key *publicKey, sig [ed25519.SignatureSize]byte, signs []byte, ok bool) {
	receipt, served, region := receiptMembers(parts.additional)
	q := quick{cursor: cursor{b: receipt}, s: unsafe.String(unsafe.SliceData(receipt), len(receipt))}
	member := func(k string) string {
		if !q.key(k) {
			q.fail("no %s", k)
			return ""
		}
		return q.plain()
	}
	q.begin()
	request, ran, model := member(`"requestId":`), member(`"region":`), member(`"model":`)
	asked, answered := member(`"requestDigest":`), member(`"responseDigest":`)
	at, by, signature := member(`"time":`), member(`"key":`), member(`"signature":`)
	q.end()
	if q.err != nil || q.i != len(receipt) || request == "" || ran == "" || model == "" {
		return nil, sig, text, false
	}
	asked, okAsked := plainDigest(asked)
	answered, okAnswered := plainDigest(answered)
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || !okAsked || !okAnswered || ran != region || request != parts.request && request != served {
		return nil, sig, text, false
	}
	k := keys.byID(by)
	if k.many == nil || !k.of(ran) || len(signature) != base64.StdEncoding.EncodedLen(len(sig)) {
		return nil, sig, text, false
	}
	var b [len(sig) + 2]byte // padding stands for up to two
	if n, err := base64.StdEncoding.Strict().Decode(b[:], unsafe.Slice(unsafe.StringData(signature), len(signature))); err != nil || n != len(sig) {
		return nil, sig, text, false
	}
	from := len(text)
	for _, line := range [...]string{receiptVersion, request, ran, model, asked, answered} {
		text = append(append(text, line...), '\n')
	}
	stamp := len(text)
	text = append(t.UTC().AppendFormat(text, time.RFC3339Nano), '\n')
	if string(text[stamp:len(text)-1]) != at {
		return nil, sig, text[:from], false
	}
	return k.many, [ed25519.SignatureSize]byte(b[:]), text, true
}

// receiptMembers takes from additionalEventData what tells of the receipt: that
// itself, and two texts. Nothing, if it is not written as records are.
func receiptMembers(additional []byte) (receipt []byte, served, region string) {
	c := cursor{b: additional}
	var got [3][]byte
	c.next('{')
	for more := c.peek() != '}'; more && c.err == nil; {
		k := c.plain()
		c.next(':')
		from := c.i
		if c.any(0); c.err != nil {
			break
		}
		which := -1
		switch k {
		case ReceiptMember:
			which = 0
		case ServedMember:
			which = 1
		case "inferenceRegion":
			which = 2
		}
		if which >= 0 && got[which] != nil {
			return nil, "", "" // twice
		}
		if which >= 0 {
			got[which] = additional[from:c.i]
		}
		if more = c.peek() == ','; more {
			c.i++
		}
	}
	if c.err == nil {
		c.next('}')
	}
	if c.err != nil || c.i != len(additional) {
		return nil, "", ""
	}
	return got[0], plainText(got[1]), plainText(got[2])
}

// plainText is the text of a string without escapes; "" of anything else.
func plainText(b []byte) string {
	if len(b) < 2 || b[0] != '"' || bytes.IndexByte(b, '\\') >= 0 {
		return ""
	}
	return unsafe.String(&b[1], len(b)-2)
}

// plainDigest is the hexadecimal digits of a digest as Value writes it.
func plainDigest(s string) (digits string, ok bool) {
	digits, ok = strings.CutPrefix(s, digestPrefix)
	var h hash
	return digits, ok && len(digits) == 2*len(h) && parseHex(&h, unsafe.Slice(unsafe.StringData(digits), len(digits)))
}
