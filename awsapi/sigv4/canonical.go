package sigv4

import (
	"slices"
	"strings"
)

// param is one parameter of a query string, decoded.
type param struct{ name, value string }

// Query decodes the query string of a target as the signature reads it: only
// percent-encoding counts, and a plus sign is a plus sign. To read it in any
// other way would let two different requests share a signature. ok is false if
// there are more than MaxParameters.
func Query(target string) (params [][2]string, ok bool) {
	_, raw, _ := strings.Cut(target, "?")
	q, f := parseQuery(raw)
	if f != nil {
		return nil, false
	}
	for _, p := range q {
		params = append(params, [2]string{p.name, p.value})
	}
	return params, true
}

func parseQuery(raw string) ([]param, *Failure) {
	if raw == "" {
		return nil, nil
	}
	n := strings.Count(raw, "&") + 1
	if n > MaxParameters {
		return nil, fail(IncompleteSignature, "The query string has more than %d parameters.", MaxParameters)
	}
	q := make([]param, 0, n)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		q = append(q, param{Unescape(name), Unescape(value)})
	}
	return q, nil
}

// Unescape decodes percent-encoding; what is not well-formed stays as it is.
func Unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|32 >= 'a' && c|32 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 32 - 'a' + 10
}

// Path returns the path of a target as the signature reads it, still encoded:
// without empty and dot segments, and with its last slash if it has one.
func Path(target string) string {
	path, _, _ := strings.Cut(target, "?")
	if path == "" {
		return "/"
	}
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") && path[0] == '/' {
		return path
	}
	var kept []string
	for seg := range strings.SplitSeq(path, "/") {
		switch seg {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, seg)
		}
	}
	if len(kept) == 0 {
		return "/"
	}
	out := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..") {
		out += "/"
	}
	return out
}

// canonical returns the canonical request.
func (a *auth) canonical(r *Request, path string, query []param, hash string, opt Options) ([]byte, *Failure) {
	b := make([]byte, 0, 512+len(r.Target)+len(a.token))
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendPath(b, path, opt)
	b = append(b, '\n')
	b = appendQuery(b, query, a.query && opt.TokenOutside)
	b = append(b, '\n')
	for _, name := range a.signed {
		look := name
		if look == ":authority" {
			look = "host"
		}
		b = append(b, name...)
		b = append(b, ':')
		n := 0
		for _, h := range r.Headers {
			if !strings.EqualFold(h[0], look) {
				continue
			}
			if n > 0 {
				b = append(b, ',')
			}
			b = appendFolded(b, h[1])
			n++
		}
		if n == 0 {
			return nil, fail(SignatureMismatch, "signed header absent: %s", name)
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	for i, name := range a.signed {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	return append(b, hash...), nil
}

func appendPath(b []byte, path string, opt Options) []byte {
	if !opt.KeepPath {
		path = Path(path)
	}
	if path == "" {
		path = "/"
	}
	if opt.EncodeOnce {
		path = Unescape(path)
	}
	return appendEncoded(b, path, true)
}

func appendQuery(b []byte, query []param, tokenOutside bool) []byte {
	type pair struct{ name, value string }
	enc := make([]pair, 0, len(query))
	for _, p := range query {
		if p.name == "X-Amz-Signature" || tokenOutside && p.name == "X-Amz-Security-Token" {
			continue
		}
		enc = append(enc, pair{encode(p.name), encode(p.value)})
	}
	slices.SortFunc(enc, func(x, y pair) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range enc {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

// encode percent-encodes all but A-Z a-z 0-9 - . _ ~.
func encode(s string) string {
	for i := 0; i < len(s); i++ {
		if !unreserved(s[i]) {
			return string(appendEncoded(nil, s, false))
		}
	}
	return s
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func appendEncoded(b []byte, s string, slash bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; unreserved(c) || slash && c == '/' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// appendFolded appends a header's value without space at its ends and with one
// space for each run inside.
func appendFolded(b []byte, s string) []byte {
	gap, any := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\r', '\v', '\f':
			gap = any
		default:
			if gap {
				b = append(b, ' ')
				gap = false
			}
			b = append(b, c)
			any = true
		}
	}
	return b
}

// find returns the values of a header, joined as the signature joins them, and
// how many there are. name is in lower case.
func find(headers [][2]string, name string) (value string, n int) {
	for _, h := range headers {
		if len(h[0]) == len(name) && strings.EqualFold(h[0], name) {
			if n == 0 {
				value = strings.TrimSpace(h[1])
			} else {
				value += "," + strings.TrimSpace(h[1])
			}
			n++
		}
	}
	return value, n
}
