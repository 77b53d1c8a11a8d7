package sigv4

import "fmt"

// Kind says what is wrong with a signature.
type Kind uint8

// The kinds.
const (
	SignatureMismatch Kind = iota + 1
	BadScope
	HostNotSigned
	InvalidSignature
	Expired
	NotYetCurrent
	InvalidToken
	TokenExpired
	MissingAuthenticationToken
	IncompleteSignature
)

var kinds = [...]string{
	SignatureMismatch: "SignatureMismatch", BadScope: "BadScope", HostNotSigned: "HostNotSigned",
	InvalidSignature: "InvalidSignature", Expired: "Expired", NotYetCurrent: "NotYetCurrent",
	InvalidToken: "InvalidToken", TokenExpired: "TokenExpired",
	MissingAuthenticationToken: "MissingAuthenticationToken", IncompleteSignature: "IncompleteSignature",
}

func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k] != "" {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Failure is why a request is not taken for its caller's.
type Failure struct {
	Kind    Kind
	Message string // in AWS's words
	payload bool   // the body is not the one whose hash was signed
}

func (f *Failure) Error() string { return f.Kind.String() + ": " + f.Message }

// What a Lookup answers for keys that are not good.
var (
	ErrInvalidToken = &Failure{Kind: InvalidToken, Message: "The security token included in the request is invalid."}
	ErrTokenExpired = &Failure{Kind: TokenExpired, Message: "The security token included in the request is expired"}
)

func fail(k Kind, format string, args ...any) *Failure {
	return &Failure{Kind: k, Message: fmt.Sprintf(format, args...)}
}

func mismatch(canonical, toSign []byte) *Failure {
	return fail(SignatureMismatch, "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"+
		"The Canonical String for this request should have been\n'%s'\n\nThe String-to-Sign should have been\n'%s'\n", canonical, toSign)
}

// Protocol is a family of services that word the same failure differently.
type Protocol uint8

// The protocols.
const (
	JSON Protocol = iota + 1
	RESTJSON
	QueryXML
	S3
)

type answer struct {
	code   string
	status int
}

var answers = [...][4]answer{
	SignatureMismatch: {{"InvalidSignatureException", 400}, {"InvalidSignatureException", 403}, {"SignatureDoesNotMatch", 403}, {"SignatureDoesNotMatch", 403}},
	BadScope:          {{"InvalidSignatureException", 400}, {"InvalidSignatureException", 403}, {"SignatureDoesNotMatch", 403}, {"AuthorizationHeaderMalformed", 400}},
	HostNotSigned:     {{"InvalidSignatureException", 400}, {"InvalidSignatureException", 403}, {"SignatureDoesNotMatch", 403}, {"AccessDenied", 403}},
	InvalidSignature:  {{"InvalidSignatureException", 400}, {"InvalidSignatureException", 403}, {"SignatureDoesNotMatch", 403}, {"InvalidArgument", 400}},
	Expired:           {{"InvalidSignatureException", 400}, {"InvalidSignatureException", 403}, {"SignatureDoesNotMatch", 403}, {"RequestTimeTooSkewed", 403}},
	NotYetCurrent:     {{"InvalidSignatureException", 400}, {"InvalidSignatureException", 403}, {"SignatureDoesNotMatch", 403}, {"RequestTimeTooSkewed", 403}},
	InvalidToken:      {{"UnrecognizedClientException", 400}, {"UnrecognizedClientException", 403}, {"InvalidClientTokenId", 403}, {"InvalidAccessKeyId", 403}},
	TokenExpired:      {{"ExpiredTokenException", 400}, {"ExpiredTokenException", 403}, {"ExpiredToken", 403}, {"ExpiredToken", 400}},
	MissingAuthenticationToken: {{"MissingAuthenticationTokenException", 400}, {"MissingAuthenticationTokenException", 403}, {"MissingAuthenticationToken", 403},
		{"AccessDenied", 403}},
	IncompleteSignature: {{"IncompleteSignatureException", 400}, {"IncompleteSignatureException", 403}, {"IncompleteSignature", 400}, {"AuthorizationHeaderMalformed", 400}},
}

// On returns the code and HTTP status of the failure in a protocol.
func (f *Failure) On(p Protocol) (code string, status int) {
	if f.payload && p == S3 {
		return "XAmzContentSHA256Mismatch", 400
	}
	a := answers[f.Kind][p-1]
	return a.code, a.status
}
