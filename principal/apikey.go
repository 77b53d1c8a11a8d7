package principal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/fault"
)

// API keys of Bedrock. A long-term one is a service-specific credential of a
// user: stored here, its secret only as a hash. A short-term one is a presigned
// URL that whoever has an access key makes for himself: nothing is stored.

// The kinds of API keys, as in bedrock:bearerTokenType.
const (
	LongTerm  = "LONG_TERM"
	ShortTerm = "SHORT_TERM"
)

// BedrockService is the only service that API keys are made for.
const BedrockService = "bedrock.amazonaws.com"

const (
	maxAPIKeys   = 2     // of a user
	maxAgeDays   = 36600 // AWS's limit
	shortPrefix  = "bedrock-api-key-"
	longPrefix   = "ABSK"
	maxShortTerm = 12 * 60 * 60 // seconds
	maxAPIKey    = 16 << 10     // bytes
	apiKeyKey    = "apikey/"
)

// APIKey is a long-term API key of a user, without its secret.
type APIKey struct {
	ID       string    `json:"id"`    // ACCA…
	Alias    string    `json:"alias"` // the public part of the key
	Hash     string    `json:"hash"`  // SHA-256 of the secret part, hexadecimal
	Owner    string    `json:"owner"` // ID of the user
	Inactive bool      `json:"inactive,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"` // zero: never
}

// Expired reports whether the key is good no more.
func (k *APIKey) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// token is the key as clients send it.
func (k *APIKey) token(secret Secret) Secret {
	return Secret(longPrefix + base64.StdEncoding.EncodeToString([]byte(k.Alias+":"+string(secret))))
}

func (c *change) ownAPIKeys() {
	c.own(int(numKinds)+2, func() { c.apiKeys = maps.Clone(c.apiKeys) })
}

func (c *change) putAPIKey(k APIKey) error {
	c.ownAPIKeys()
	c.apiKeys[k.Alias] = &k
	return c.save(apiKeyKey+k.Alias, k)
}

// secret gives a key a new secret and returns what clients send.
func (k *APIKey) secret() Secret {
	var b [48]byte
	rand.Read(b[:]) // never fails
	s := base64.RawURLEncoding.EncodeToString(b[:])
	h := sha256.Sum256([]byte(s))
	k.Hash = hex.EncodeToString(h[:])
	return k.token(Secret(s))
}

// apiKeysOf returns a user's keys, oldest first; "" stands for all users.
func (s *state) apiKeysOf(owner string) (all []*APIKey) {
	for _, k := range s.apiKeys {
		if owner == "" || k.Owner == owner {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b *APIKey) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// CreateAPIKey makes a long-term API key of a user, that ends after some days;
// 0: never. Only now can the key be learnt.
func (d *Directory) CreateAPIKey(ctx context.Context, user string, days int) (APIKey, Secret, error) {
	var k APIKey
	var token Secret
	err := d.update(ctx, func(c *change) error {
		e, err := c.find(KindUser, user)
		if err != nil {
			return err
		}
		if days < 0 || days > maxAgeDays {
			return constraint(days, "credentialAgeDays", "have value between 1 and %d", maxAgeDays)
		}
		if len(c.apiKeysOf(e.ID)) >= maxAPIKeys {
			return limitExceeded("Cannot exceed quota for ServiceSpecificCredentialsPerUser: %d", maxAPIKeys)
		}
		k = APIKey{ID: newID("ACCA"), Owner: e.ID, Created: c.now}
		for k.Alias == "" || c.apiKeys[k.Alias] != nil {
			k.Alias = "BedrockAPIKey-" + strings.ToLower(newID("")[:4]) + "-at-" + c.account.ID
		}
		if days > 0 {
			k.Expires = c.now.AddDate(0, 0, days)
		}
		token = k.secret()
		return c.putAPIKey(k)
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return k, token, nil
}

// APIKeys returns the long-term API keys of a user, oldest first; of all users
// for "".
func (d *Directory) APIKeys(user string) ([]APIKey, error) {
	s := d.state.Load()
	owner := ""
	if user != "" {
		e, err := s.find(KindUser, user)
		if err != nil {
			return nil, err
		}
		owner = e.ID
	}
	var all []APIKey
	for _, k := range s.apiKeysOf(owner) {
		all = append(all, *k)
	}
	return all, nil
}

// editAPIKey changes a key; f returns false to remove it.
func (d *Directory) editAPIKey(ctx context.Context, user, id string, f func(*APIKey) (keep bool)) (out APIKey, err error) {
	err = d.update(ctx, func(c *change) error {
		e, err := c.find(KindUser, user)
		if err != nil {
			return err
		}
		all := c.apiKeysOf(e.ID)
		i := slices.IndexFunc(all, func(k *APIKey) bool { return k.ID == id })
		if i < 0 {
			return noSuchEntity("The Service Specific Credential with id %s cannot be found.", id)
		}
		out = *all[i]
		if f(&out) {
			return c.putAPIKey(out)
		}
		c.ownAPIKeys()
		delete(c.apiKeys, out.Alias)
		c.saves = append(c.saves, Change{Key: apiKeyKey + out.Alias})
		return nil
	})
	return out, err
}

// SetAPIKeyActive lets an API key be used or not.
func (d *Directory) SetAPIKeyActive(ctx context.Context, user, id string, active bool) error {
	_, err := d.editAPIKey(ctx, user, id, func(k *APIKey) bool { k.Inactive = !active; return true })
	return err
}

// ResetAPIKey gives an API key a new secret. Only now can it be learnt.
func (d *Directory) ResetAPIKey(ctx context.Context, user, id string) (APIKey, Secret, error) {
	var token Secret
	k, err := d.editAPIKey(ctx, user, id, func(k *APIKey) bool { token = k.secret(); return true })
	if err != nil {
		return APIKey{}, "", err
	}
	return k, token, nil
}

// DeleteAPIKey removes an API key.
func (d *Directory) DeleteAPIKey(ctx context.Context, user, id string) error {
	_, err := d.editAPIKey(ctx, user, id, func(*APIKey) bool { return false })
	return err
}

func badBearer() *fault.Error {
	return &fault.Error{Kind: fault.Client, Code: "AccessDeniedException", Status: http.StatusForbidden, Auth: true,
		Message: "Authentication failed: Please make sure your API Key is valid."}
}

func expiredBearer() *fault.Error {
	return &fault.Error{Kind: fault.Client, Code: "AccessDeniedException", Status: http.StatusForbidden, Auth: true, Message: "Bearer Token has expired"}
}

// Bearer finds who an API key stands for, long-term or short-term. The fault is
// AccessDeniedException.
func (d *Directory) Bearer(ctx context.Context, token string, now time.Time) (Bearer, error) {
	if len(token) > maxAPIKey {
		return Bearer{}, badBearer()
	}
	if rest, ok := strings.CutPrefix(token, shortPrefix); ok {
		return d.shortTerm(ctx, rest, now)
	}
	rest, ok := strings.CutPrefix(token, longPrefix)
	b, err := base64.StdEncoding.DecodeString(rest)
	alias, secret, ok2 := strings.Cut(string(b), ":")
	if !ok || err != nil || !ok2 {
		return Bearer{}, badBearer()
	}
	s := d.state.Load()
	k := s.apiKeys[alias]
	if k == nil {
		return Bearer{}, badBearer()
	}
	h := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(h[:])), []byte(k.Hash)) != 1 || k.Inactive {
		return Bearer{}, badBearer()
	}
	if k.Expired(now) {
		return Bearer{}, expiredBearer()
	}
	if p, ok := s.principals.Load(k.ID); ok {
		return Bearer{Principal: p.(*Principal), Kind: LongTerm}, nil
	}
	p := d.longTerm(s, k.Owner)
	if p == nil {
		return Bearer{}, badBearer()
	}
	p.AccessKeyID = k.ID
	s.principals.Store(k.ID, p)
	return Bearer{Principal: p, Kind: LongTerm}, nil
}

// shortTerm checks a presigned request of CallWithBearerToken, without its
// scheme, in base64:
//
//	bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-…&Version=1
//
// AWS's generators add the Version after signing, so the signature covers the
// rest.
func (d *Directory) shortTerm(ctx context.Context, token string, now time.Time) (Bearer, error) {
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return Bearer{}, badBearer()
	}
	target, ok := strings.CutPrefix(string(b), BedrockService)
	target, versioned := strings.CutSuffix(target, "&Version=1")
	fields, ok2 := sigv4.Query(target)
	if !ok || !versioned || !ok2 || sigv4.Path(target) != "/" {
		return Bearer{}, badBearer()
	}
	one := func(name string) (v string) {
		n := 0
		for _, f := range fields {
			if f[0] == name {
				v = f[1]
				n++
			}
		}
		if n != 1 {
			return ""
		}
		return v
	}
	if life, err := strconv.Atoi(one("X-Amz-Expires")); one("Action") != "CallWithBearerToken" || err != nil || life < 1 || life > maxShortTerm {
		return Bearer{}, badBearer()
	}
	var cred Credential
	id, err := sigv4.Verify(
		sigv4.Request{Method: http.MethodPost, Target: target, Headers: [][2]string{{"Host", BedrockService}}},
		sigv4.Options{Service: "bedrock", Now: now},
		func(keyID, session string) (string, error) {
			var err error
			cred, err = d.Credential(ctx, keyID, session, now)
			switch fault.Code(err) {
			case "UnrecognizedClientException":
				return "", sigv4.ErrInvalidToken
			case "ExpiredTokenException":
				return "", sigv4.ErrTokenExpired
			}
			return cred.Secret, err
		})
	if err != nil {
		bad, ok := errors.AsType[*sigv4.Failure](err)
		switch {
		case !ok:
			return Bearer{}, err
		case bad.Kind == sigv4.TokenExpired || bad.Kind == sigv4.Expired:
			return Bearer{}, expiredBearer()
		}
		return Bearer{}, badBearer()
	}
	return Bearer{Principal: cred.Principal, Region: id.Scope.Region, Kind: ShortTerm}, nil
}
