package trail

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	digest "hash"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tokaido/value"
)

// Receipt is the statement of the node that served an inference: this request
// was answered so, by this model, in this Region. It is signed with the Region's
// key and kept in the record, in additionalEventData. It has digests of what was
// asked and answered and nothing of the text.
type Receipt struct {
	Claim
	Key       string // name and hash of the key: "tokaido/111122223333/region/ap-northeast-3+0a1b2c3d"
	Signature []byte
}

// Claim is what a receipt says.
type Claim struct {
	RequestID string
	Region    string // where it ran
	Model     string
	Request   [sha256.Size]byte // of the body as it was given to the model
	Response  [sha256.Size]byte // of the answer's body; of a stream, of all its chunks, one after the other
	Time      time.Time         // when the answer was complete
}

// ReceiptMember is the name of the receipt in additionalEventData, and
// ProblemMember that of what was wrong with it, or of why there is none.
const (
	ReceiptMember = "receipt"
	ProblemMember = "receiptProblem"
	// ServedMember is the id that the request had on the node that served it, if
	// that is another.
	ServedMember = "servedRequestId"
)

// ReceiptHeader is the header in which a node hands its receipt to another.
const ReceiptHeader = "X-Tokaido-Receipt"

const (
	receiptVersion = "tokaido receipt v1"
	digestPrefix   = "sha256:"
)

// text is what is signed.
func (c *Claim) text() ([]byte, error) {
	lines := []string{
		receiptVersion, c.RequestID, c.Region, c.Model, hex.EncodeToString(c.Request[:]), hex.EncodeToString(c.Response[:]),
		c.Time.UTC().Format(time.RFC3339Nano),
	}
	for _, l := range lines {
		if l == "" || strings.ContainsAny(l, "\n\r") {
			return nil, fmt.Errorf("a receipt cannot say %q", l)
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// Sign makes the receipt of a claim.
func (c Claim) Sign(s note.Signer) (*Receipt, error) {
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	sig, err := s.Sign(text)
	if err != nil {
		return nil, err
	}
	return &Receipt{c, keyID(s.Name(), s.KeyHash()), sig}, nil
}

// Errors of a receipt that can be told apart.
var (
	ErrReceiptKey       = errors.New("its key is not known")
	ErrReceiptSignature = errors.New("its signature is wrong")
)

// Check checks the signature, and that the key is one for the Region.
func (r *Receipt) Check(keys *Ring) error {
	v := keys.byID(r.Key)
	if v.Verifier == nil {
		return fmt.Errorf("receipt: %w: %s", ErrReceiptKey, r.Key)
	}
	if !v.of(r.Region) {
		return fmt.Errorf("receipt: the key %s is not one for %s", r.Key, r.Region)
	}
	text, err := r.text()
	if err != nil {
		return err
	}
	if !v.Verify(text, r.Signature) {
		return errSignature
	}
	return nil
}

var errSignature = fmt.Errorf("receipt: %w", ErrReceiptSignature)

// of reports whether a key signs receipts for a Region.
func (k *ringKey) of(region string) bool {
	name, ok := strings.CutSuffix(k.Name(), region)
	return ok && region != "" && strings.HasSuffix(name, "/region/")
}

// Value is the receipt as a record has it.
func (r *Receipt) Value() value.Value {
	str := func(k, s string) value.Member { return value.Member{Key: k, Value: value.String(s)} }
	return value.Object(
		str("requestId", r.RequestID), str("region", r.Region), str("model", r.Model),
		str("requestDigest", digestPrefix+hex.EncodeToString(r.Request[:])), str("responseDigest", digestPrefix+hex.EncodeToString(r.Response[:])),
		str("time", r.Time.UTC().Format(time.RFC3339Nano)), str("key", r.Key), str("signature", base64.StdEncoding.EncodeToString(r.Signature)),
	)
}

const maxReceipt = 4 << 10 // bytes

// ReceiptFrom reads what Value made, and nothing else.
func ReceiptFrom(v value.Value) (*Receipt, error) {
	r := new(Receipt)
	d := decoder{}
	digestOf := func(k string, m value.Value) (h [sha256.Size]byte) {
		s, ok := strings.CutPrefix(d.str(k, m), digestPrefix)
		b, err := hex.DecodeString(s)
		if !ok || err != nil || len(b) != len(h) {
			d.fail("%s is no SHA-256 digest", k)
			return h
		}
		return [sha256.Size]byte(b)
	}
	for k, m := range d.object("receipt", v) {
		switch k {
		case "requestId":
			r.RequestID = d.str(k, m)
		case "region":
			r.Region = d.str(k, m)
		case "model":
			r.Model = d.str(k, m)
		case "requestDigest":
			r.Request = digestOf(k, m)
		case "responseDigest":
			r.Response = digestOf(k, m)
		case "time":
			r.Time = d.time(k, m)
		case "key":
			r.Key = d.str(k, m)
		case "signature":
			b, err := base64.StdEncoding.Strict().DecodeString(d.str(k, m))
			if err != nil {
				d.fail("signature: %w", err)
			}
			r.Signature = b
		default:
			d.fail("unknown member %q of a receipt", k)
		}
	}
	if d.err == nil && r.Value().JSON() != v.Compact().JSON() {
		d.fail("a receipt is not written as receipts are")
	}
	if d.err != nil {
		return nil, fmt.Errorf("receipt: %w", d.err)
	}
	return r, nil
}

// Header is the receipt as the value of ReceiptHeader.
func (r *Receipt) Header() string { return base64.StdEncoding.EncodeToString([]byte(r.Value().JSON())) }

// ParseReceipt reads the value of ReceiptHeader.
func ParseReceipt(header string) (*Receipt, error) {
	if len(header) > 2*maxReceipt {
		return nil, fmt.Errorf("receipt: %d bytes are more than a receipt has", len(header))
	}
	b, err := base64.StdEncoding.Strict().DecodeString(header)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	v, err := value.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return ReceiptFrom(v)
}

// Receipt is the receipt that a record carries; nil if it has none.
func (r *Record) Receipt() (*Receipt, error) {
	if v := r.Additional.Get(ReceiptMember); !v.IsUndefined() {
		return ReceiptFrom(v)
	}
	return nil, nil
}

// checkReceipt checks the receipt that a record carries, if it does: that it is
// good, and that it is of this call.
func (r *Record) checkReceipt(keys *Ring) (has bool, err error) {
	p, err := r.Receipt()
	if p == nil {
		return err != nil, err
	}
	switch {
	case p.RequestID != r.RequestID && p.RequestID != r.Additional.Get(ServedMember).Str():
		return true, fmt.Errorf("receipt: it is of request %s, the record of %s", p.RequestID, r.RequestID)
	case p.Region != r.Additional.Get("inferenceRegion").Str():
		return true, fmt.Errorf("receipt: it says %s, the record %s", p.Region, r.Additional.Get("inferenceRegion").Str())
	}
	return true, p.Check(keys)
}

// Digest makes the digest of an answer that comes in pieces.
type Digest struct{ h digest.Hash }

// NewDigest begins a digest.
func NewDigest() *Digest { return &Digest{sha256.New()} }

// Add adds a piece.
func (d *Digest) Add(b []byte) { d.h.Write(b) }

// Sum is the digest of what was added.
func (d *Digest) Sum() (s [sha256.Size]byte) { d.h.Sum(s[:0]); return s }

// Receipts are those of this node: it signs for what it serves itself, and
// checks those of other nodes.
type Receipts struct {
	Keys  *Keys
	Peers *Ring // public keys of other nodes
	// Require refuses an answer that comes without a good receipt. It was served
	// all the same, and is recorded so.
	Require bool
}

// ErrReceipt says that an answer was refused for its receipt.
var ErrReceipt = errors.New("the answer has no good receipt of the Region that served it")

// For returns what to put into the record of an inference: the receipt, or what
// is wrong with it. header is what the other node that served it sent; local
// says that there is none, because it ran here. With Require set, a problem is
// also an error.
func (rs *Receipts) For(_ context.Context, c Claim, local bool, header string) (members []value.Member, err error) {
	if rs == nil {
		return nil, nil
	}
	r, err := rs.receipt(c, local, header)
	if r != nil {
		members = append(members, value.Member{Key: ReceiptMember, Value: r.Value()})
		if r.RequestID != c.RequestID {
			members = append(members, value.Member{Key: ServedMember, Value: value.String(r.RequestID)})
		}
	}
	if err != nil {
		members = append(members, value.Member{Key: ProblemMember, Value: value.String(err.Error())})
		if rs.Require {
			return members, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
	}
	return members, nil
}

func (rs *Receipts) receipt(c Claim, local bool, header string) (*Receipt, error) {
	if c.Region == "" {
		return nil, errors.New("receipt: which Region answered is not known")
	}
	if local {
		s, err := rs.Keys.Region(c.Region)
		if err != nil {
			return nil, err
		}
		return c.Sign(s)
	}
	if header == "" {
		return nil, errors.New("receipt: the node that served the answer sent none")
	}
	r, err := ParseReceipt(header)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Region != c.Region || r.Model != c.Model:
		err = fmt.Errorf("receipt: it is of %s in %s, asked for was %s in %s", r.Model, r.Region, c.Model, c.Region)
	case r.Request != c.Request:
		err = errors.New("receipt: it is of another request")
	case r.Response != c.Response:
		err = errors.New("receipt: it is of another answer")
	default:
		err = r.Check(rs.Peers)
	}
	return r, err
}
