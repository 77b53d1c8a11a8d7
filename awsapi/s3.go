package awsapi

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/wire"
	"tokaido/fault"
)

// s3Service is the name of S3 in signatures.
const s3Service = "s3"

var s3Route = regexp.MustCompile(`^(GET|HEAD|PUT|POST|DELETE) /(\{Bucket\}(/\{Key\})?(\?[a-zA-Z-]+)?)?$`)

// findObject finds an operation of S3. The path is read as it came: a key may
// have dot segments and empty ones.
func (c *call) findObject(fields [][2]string) (map[string]string, error) {
	c.protocol = S3
	raw, _, _ := strings.Cut(c.target, "?")
	bucket, key, _ := strings.Cut(strings.TrimPrefix(raw, "/"), "/")
	labels := map[string]string{"Bucket": sigv4.Unescape(bucket)}
	route := c.r.Method + " /{Bucket}"
	if raw == "/" || raw == "" {
		route = c.r.Method + " /" // all buckets
	}
	if key != "" {
		labels["Key"] = sigv4.Unescape(key)
		route += "/{Key}"
	}
	op := c.s.table.objects[route]
	for _, f := range fields {
		if special := c.s.table.objects[route+"?"+f[0]]; special != nil {
			op = special
		}
	}
	if bucket == "" && key != "" || op == nil {
		return nil, &fault.Error{
			Kind: fault.Client, Code: "NotImplemented", Status: http.StatusNotImplemented,
			Message: fmt.Sprintf("%s %.256s: only the files that trails deliver can be listed and read here.", c.r.Method, raw),
		}
	}
	c.use(op)
	return labels, nil
}

// s3Codes are S3's words for what other services call otherwise, with their
// statuses.
var s3Codes = map[string]struct {
	code   string
	status int
}{
	"AccessDeniedException":          {"AccessDenied", http.StatusForbidden},
	"AccessDenied":                   {"AccessDenied", http.StatusForbidden},
	"InvalidClientTokenId":           {"InvalidAccessKeyId", http.StatusForbidden},
	"UnrecognizedClientException":    {"InvalidAccessKeyId", http.StatusForbidden},
	"ExpiredToken":                   {"ExpiredToken", http.StatusBadRequest},
	"ExpiredTokenException":          {"ExpiredToken", http.StatusBadRequest},
	"MissingAuthenticationToken":     {"AccessDenied", http.StatusForbidden},
	"IncompleteSignature":            {"AuthorizationHeaderMalformed", http.StatusBadRequest},
	"SignatureDoesNotMatch":          {"SignatureDoesNotMatch", http.StatusForbidden},
	"ThrottlingException":            {"SlowDown", http.StatusServiceUnavailable},
	"InternalFailure":                {"InternalError", http.StatusInternalServerError},
	"ServiceUnavailableException":    {"ServiceUnavailable", http.StatusServiceUnavailable},
	"ValidationException":            {"InvalidRequest", http.StatusBadRequest},
	"NoSuchBucket":                   {"NoSuchBucket", http.StatusNotFound},
	"NoSuchKey":                      {"NoSuchKey", http.StatusNotFound},
	"NotImplemented":                 {"NotImplemented", http.StatusNotImplemented},
	"RequestEntityTooLargeException": {"EntityTooLarge", http.StatusBadRequest},
}

// s3Error says f as S3 does.
func s3Error(e wire.Error, f *fault.Error) (wire.Error, int) {
	status := f.Status
	if c, ok := s3Codes[f.Code]; ok {
		e.Code, status = c.code, c.status
	}
	switch {
	case status != 0:
	case f.Kind == fault.Server:
		status = http.StatusInternalServerError
	default:
		status = http.StatusBadRequest
	}
	return e, status
}

// s3Document is S3's error document.
func s3Document(e wire.Error) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	b.WriteString("<Error>")
	for _, x := range [][2]string{{"Code", e.Code}, {"Message", e.Message}, {"RequestId", e.RequestID}} {
		b.WriteString("<" + x[0] + ">")
		xml.EscapeText(&b, []byte(x[1])) //nolint:errcheck // a Buffer takes everything
		b.WriteString("</" + x[0] + ">")
	}
	b.WriteString("</Error>")
	return b.Bytes()
}
