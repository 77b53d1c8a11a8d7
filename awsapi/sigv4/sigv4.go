// Package sigv4 checks and makes AWS Signatures Version 4, in a header and in
// a query string.
//
// It is pure: the request comes in as it was on the wire, the time and the
// secrets are arguments. It refuses to repair a request: what was signed is the
// target as received, so a caller that routes must route on [Path] and [Query],
// which see exactly what the signature covers. It knows keys only through the
// lookup it is given, and nothing of what a principal may do.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of what is read.
const (
	MaxAuthorization = 16 << 10 // bytes of an Authorization header
	MaxSignedHeaders = 128      // names in SignedHeaders
	MaxExpires       = 604800   // seconds that a signature in a query may last
	MaxParameters    = 1000     // parameters of a query string
)

// DefaultSkew is how far the clocks of caller and server may be apart.
const DefaultSkew = 5 * time.Minute

// UnsignedPayload stands for the hash of a body that the signature does not
// cover; only services of S3's kind take it.
const UnsignedPayload = "UNSIGNED-PAYLOAD"

// Algorithm is the only one there is here.
const Algorithm = "AWS4-HMAC-SHA256"

const (
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
)

// Request is what was received.
type Request struct {
	Method  string
	Target  string      // as on the request line: path and query, not decoded
	Headers [][2]string // in the order of the wire, with Host; names in any case
	Body    []byte
	// PayloadHash is the SHA-256 of Body in lower-case hex, if it is known; ""
	// makes Verify and Sign compute it.
	PayloadHash string
}

// Options say what a signature is checked against.
type Options struct {
	Service string    // the signing name, "states"
	Region  string    // "" accepts every Region for which ValidRegion holds
	Now     time.Time // when the request arrived
	Skew    time.Duration

	// ValidRegion is asked when Region is "". nil accepts what has a Region's form.
	ValidRegion func(string) bool

	KeepPath   bool // dot segments and empty ones are part of the path (S3)
	EncodeOnce bool // the canonical path is encoded once (S3)
	// Unsigned accepts UNSIGNED-PAYLOAD, makes it the rule for signatures in a
	// query, and takes x-amz-content-sha256 for the hash after checking it (S3).
	Unsigned bool
	// TokenOutside leaves X-Amz-Security-Token out of a signed query, as the
	// clients of a few services do.
	TokenOutside bool
	// MustSign names headers, in lower case, that the signature must cover if
	// they are there.
	MustSign []string

	Keys *KeyCache // nil derives the signing key each time
}

// Scope is what a signature is good for.
type Scope struct{ Date, Region, Service string }

func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// Identity is what a good signature proves.
type Identity struct {
	AccessKeyID string
	Scope       Scope
	Time        time.Time // at which the caller signed, by his clock
	Signature   string
	Query       bool // it came in the query string
}

// Lookup returns the secret of an access key that was used with a session
// token ("" for none). It must compare tokens in constant time. An error that
// is a *Failure (ErrInvalidToken, ErrTokenExpired) is the caller's, any other
// is passed through Verify as it is.
type Lookup func(accessKeyID, sessionToken string) (secret string, err error)

// Verify checks the signature of r. The error is a *Failure unless lookup
// returned another. The order of the checks is AWS's.
func Verify(r Request, opt Options, lookup Lookup) (Identity, error) {
	path, rawQuery, _ := strings.Cut(r.Target, "?")
	query, f := parseQuery(rawQuery)
	if f != nil {
		return Identity{}, f
	}
	a, f := authorization(&r, query)
	if f != nil {
		return Identity{}, f
	}
	if f := a.checkTime(opt); f != nil {
		return Identity{}, f
	}
	if f := a.checkForm(&r, opt); f != nil {
		return Identity{}, f
	}
	id, f := a.checkScope(opt)
	if f != nil {
		return Identity{}, f
	}
	secret, err := lookup(id.AccessKeyID, a.token)
	if err != nil {
		return Identity{}, err
	}
	hash, f := payloadHash(&r, a.query, opt)
	if f != nil {
		return Identity{}, f
	}
	canonical, f := a.canonical(&r, path, query, hash, opt)
	if f != nil {
		return Identity{}, f
	}
	toSign := stringToSign(a.date, id.Scope, canonical)
	var want [64]byte
	sum := opt.Keys.sign(secret, id.Scope, toSign)
	hex.Encode(want[:], sum[:])
	if subtle.ConstantTimeCompare(want[:], []byte(a.signature)) != 1 {
		return Identity{}, mismatch(canonical, toSign)
	}
	id.Time, id.Signature, id.Query = a.time, a.signature, a.query
	return id, nil
}

// auth is what a request says about its signature.
type auth struct {
	query                           bool
	algorithm, credential, headers  string
	signature, date, token, expires string
	time                            time.Time
	signed                          []string // lower case, sorted
}

// authorization reads the parameters from the header or the query.
func authorization(r *Request, query []param) (*auth, *Failure) {
	header, n := find(r.Headers, "authorization")
	inQuery := false
	for _, p := range query {
		if p.name == "X-Amz-Algorithm" {
			inQuery = true
		}
	}
	switch {
	case n > 0 && inQuery:
		return nil, fail(InvalidSignature, "both header and query")
	case n > 1:
		return nil, fail(InvalidSignature, "more than one Authorization header")
	case inQuery:
		return fromQuery(query)
	case !strings.HasPrefix(header, "AWS4-"):
		return nil, fail(MissingAuthenticationToken, "Request is missing Authentication Token")
	case len(header) > MaxAuthorization:
		return nil, fail(IncompleteSignature, "Authorization header is longer than %d bytes.", MaxAuthorization)
	}
	return fromHeader(r, header)
}

func fromHeader(r *Request, header string) (*auth, *Failure) {
	a := new(auth)
	var rest string
	a.algorithm, rest, _ = strings.Cut(header, " ")
	for part := range strings.SplitSeq(rest, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, v, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fail(IncompleteSignature, "'%s' not a valid key=value pair (missing equal-sign) in Authorization header: '%s'.", part, header)
		}
		var at *string
		switch name {
		case "Credential":
			at = &a.credential
		case "SignedHeaders":
			at = &a.headers
		case "Signature":
			at = &a.signature
		default:
			continue // AWS passes over what it does not know; it is in no signature
		}
		if *at != "" {
			return nil, fail(IncompleteSignature, "Authorization header has parameter '%s' more than once. Authorization=%s", name, header)
		}
		*at = v
	}
	var missing strings.Builder
	for _, p := range [...]struct{ name, v string }{
		{"Credential", a.credential}, {"Signature", a.signature}, {"SignedHeaders", a.headers},
	} {
		if p.v == "" {
			fmt.Fprintf(&missing, "Authorization header requires '%s' parameter. ", p.name)
		}
	}
	var n int
	if a.date, n = find(r.Headers, "x-amz-date"); n == 0 {
		a.date, n = find(r.Headers, "date")
		if t, err := time.Parse(time.RFC1123, a.date); err == nil {
			a.date = t.UTC().Format(timeFormat)
		}
	}
	if n == 0 {
		missing.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if missing.Len() > 0 {
		return nil, fail(IncompleteSignature, "%sAuthorization=%s", missing.String(), header)
	}
	a.token, _ = find(r.Headers, "x-amz-security-token")
	return a, nil
}

func fromQuery(query []param) (*auth, *Failure) {
	a := &auth{query: true}
	fields := [...]struct {
		name string
		at   *string
	}{
		{"X-Amz-Algorithm", &a.algorithm}, {"X-Amz-Credential", &a.credential}, {"X-Amz-Signature", &a.signature},
		{"X-Amz-SignedHeaders", &a.headers}, {"X-Amz-Date", &a.date},
		{"X-Amz-Expires", &a.expires}, {"X-Amz-Security-Token", &a.token},
	}
	for _, p := range query {
		for _, f := range fields {
			if p.name != f.name {
				continue
			}
			if *f.at != "" {
				return nil, fail(IncompleteSignature, "AWS query-string parameters must include '%s' only once. Re-examine the query-string parameters.", p.name)
			}
			*f.at = p.value
		}
	}
	var missing strings.Builder
	for _, f := range fields[:5] {
		if *f.at == "" {
			fmt.Fprintf(&missing, "AWS query-string parameters must include '%s'. ", f.name)
		}
	}
	if missing.Len() > 0 {
		return nil, fail(IncompleteSignature, "%sRe-examine the query-string parameters.", missing.String())
	}
	return a, nil
}

// checkTime checks the form of the date, and that the signature is of now.
func (a *auth) checkTime(opt Options) *Failure {
	t, ok := parseTime(a.date)
	if !ok {
		return fail(IncompleteSignature, "Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", a.date)
	}
	a.time = t
	skew := opt.Skew
	if skew == 0 {
		skew = DefaultSkew
	}
	life := skew
	if a.expires != "" {
		n, err := strconv.Atoi(a.expires)
		switch {
		case err != nil:
			return fail(IncompleteSignature, "X-Amz-Expires should be a number")
		case n < 1:
			return fail(IncompleteSignature, "X-Amz-Expires must be non-negative")
		case n > MaxExpires:
			return fail(IncompleteSignature, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than %d seconds", MaxExpires)
		}
		life = time.Duration(n) * time.Second
	}
	now := opt.Now.UTC()
	if edge := now.Add(-life); t.Before(edge.Truncate(time.Second)) {
		return fail(Expired, "Signature expired: %s is now earlier than %s (%s - %d min.)", a.date, edge.Format(timeFormat), now.Format(timeFormat), int(life.Minutes()))
	}
	if edge := now.Add(skew); t.After(edge) {
		return fail(NotYetCurrent, "Signature not yet current: %s is still later than %s (%s + %d min.)", a.date, edge.Format(timeFormat), now.Format(timeFormat), int(skew.Minutes()))
	}
	return nil
}

// parseTime reads 20260102T030405Z and nothing else.
func parseTime(s string) (time.Time, bool) {
	if len(s) != len(timeFormat) || s[8] != 'T' || s[15] != 'Z' {
		return time.Time{}, false
	}
	t, err := time.Parse(timeFormat, s)
	return t, err == nil
}

// checkForm checks which headers are signed, and by which algorithm.
func (a *auth) checkForm(r *Request, opt Options) *Failure {
	if n := strings.Count(a.headers, ";") + 1; n > MaxSignedHeaders {
		return fail(IncompleteSignature, "SignedHeaders names %d headers, more than %d.", n, MaxSignedHeaders)
	}
	a.signed = strings.Split(strings.ToLower(a.headers), ";")
	slices.Sort(a.signed)
	a.signed = slices.Compact(a.signed)
	if !slices.Contains(a.signed, "host") && !slices.Contains(a.signed, ":authority") {
		return fail(HostNotSigned, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for _, name := range opt.MustSign {
		if _, n := find(r.Headers, name); n > 0 && !slices.Contains(a.signed, name) {
			return fail(InvalidSignature, "There were headers present in the request which were not signed: %s", name)
		}
	}
	if a.algorithm != Algorithm {
		return fail(IncompleteSignature, "Unsupported AWS 'algorithm': '%s'", a.algorithm)
	}
	return nil
}

func (a *auth) checkScope(opt Options) (Identity, *Failure) {
	p := strings.Split(a.credential, "/")
	if len(p) != 5 {
		return Identity{}, fail(IncompleteSignature, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", a.credential)
	}
	id := Identity{AccessKeyID: p[0], Scope: Scope{p[1], p[2], p[3]}}
	var wrong []string
	good := id.Scope.Region == opt.Region
	if opt.Region == "" {
		valid := opt.ValidRegion
		if valid == nil {
			valid = IsRegion
		}
		good = valid(id.Scope.Region)
	}
	if !good {
		wrong = append(wrong, "Credential should be scoped to a valid region.")
	}
	if id.Scope.Service != opt.Service {
		wrong = append(wrong, fmt.Sprintf("Credential should be scoped to correct service: '%s'.", opt.Service))
	}
	if p[4] != terminator {
		wrong = append(wrong, fmt.Sprintf("Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, p[4]))
	}
	if day := a.date[:8]; id.Scope.Date != day {
		wrong = append(wrong, fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", id.Scope.Date, day, a.date))
	}
	if wrong != nil {
		return Identity{}, fail(BadScope, "%s", strings.Join(wrong, " "))
	}
	return id, nil
}

// IsRegion reports whether s has the form of a Region's name.
func IsRegion(s string) bool {
	parts := 1
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '-':
			if i == 0 || s[i-1] == '-' {
				return false
			}
			parts++
		case c >= 'a' && c <= 'z':
		case c >= '0' && c <= '9' && i > 1:
		default:
			return false
		}
	}
	return parts >= 3 && len(s) <= 32 && s[len(s)-1] >= '0' && s[len(s)-1] <= '9'
}

// Claimed returns the access key and the scope that a request claims, for those
// who write down what was not good. Nothing of it is proven.
func Claimed(r Request) Identity {
	credential, inQuery := "", false
	if h, n := find(r.Headers, "authorization"); n > 0 {
		_, credential, _ = strings.Cut(h, "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
	} else if _, raw, ok := strings.Cut(r.Target, "?"); ok {
		q, _ := parseQuery(raw)
		for _, p := range q {
			if p.name == "X-Amz-Credential" {
				credential, inQuery = p.value, true
			}
		}
	}
	if p := strings.Split(strings.TrimSpace(credential), "/"); len(p) == 5 {
		return Identity{AccessKeyID: p[0], Scope: Scope{p[1], p[2], p[3]}, Query: inQuery}
	}
	return Identity{}
}

// payloadHash returns what stands for the body in the canonical request.
func payloadHash(r *Request, inQuery bool, opt Options) (string, *Failure) {
	said, n := find(r.Headers, "x-amz-content-sha256")
	if opt.Unsigned && (said == UnsignedPayload || n == 0 && inQuery) {
		return UnsignedPayload, nil
	}
	hash := r.PayloadHash
	if hash == "" {
		hash = HashBody(r.Body)
	}
	if opt.Unsigned && n > 0 && said != hash {
		return "", &Failure{Kind: SignatureMismatch, Message: "body does not have the signed hash", payload: true}
	}
	return hash, nil
}

// HashBody returns the SHA-256 of a body in lower-case hex.
func HashBody(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func stringToSign(date string, s Scope, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b := make([]byte, 0, 192)
	b = append(b, Algorithm...)
	b = append(b, '\n')
	b = append(b, date...)
	b = append(b, '\n')
	b = append(b, s.Date...)
	b = append(b, '/')
	b = append(b, s.Region...)
	b = append(b, '/')
	b = append(b, s.Service...)
	b = append(b, "/"+terminator+"\n"...)
	return hex.AppendEncode(b, sum[:])
}

func hmac256(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}
