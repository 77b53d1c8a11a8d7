package flow

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"tokaido/fault"
)

const (
	defaultPage   = 100
	maxPage       = 1000
	tokenLife     = 24 * time.Hour
	maxTokenBytes = 3096
)

// Page asks for a part of a list.
type Page struct {
	Max   int    // 0: the default
	Token string // "": from the beginning
}

func (p Page) size() int {
	if p.Max <= 0 {
		return defaultPage
	}
	return min(p.Max, maxPage)
}

// cursor is what a page token says: of which call it is, and where to go on. It
// holds nothing that its caller may not know, so it is not sealed.
type cursor struct {
	Call  string `json:"c"` // digest of the operation and its arguments
	Until int64  `json:"u"`
	At    string `json:"a"`
}

func callDigest(call ...string) string {
	b, _ := json.Marshal(call)
	h := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(h[:9])
}

// token is the token to go on at a place of a call.
func token(at string, call ...string) string {
	b, _ := json.Marshal(cursor{callDigest(call...), time.Now().Add(tokenLife).Unix(), at})
	return base64.RawURLEncoding.EncodeToString(b)
}

// place is the place that a token of the same call names; "" for no token.
func (p Page) place(call ...string) (string, error) {
	if p.Token == "" {
		return "", nil
	}
	bad := fault.Newf("InvalidToken", "Invalid Token: 'Invalid token'")
	if len(p.Token) > maxTokenBytes {
		return "", bad
	}
	b, err := base64.RawURLEncoding.DecodeString(p.Token)
	if err != nil {
		return "", bad
	}
	var c cursor
	if json.Unmarshal(b, &c) != nil || c.Call != callDigest(call...) || time.Now().Unix() > c.Until || c.At == "" {
		return "", bad
	}
	return c.At, nil
}
