package principal

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Options of a Directory.
type Options struct {
	Account string           // twelve digits; "": the stored one, else a new one
	Now     func() time.Time // nil: time.Now
}

// Directory is everybody there is.
type Directory struct{}

// Credential is what an access key stands for.
type Credential struct {
	Secret    string
	Expires   time.Time // zero: never
	Principal *Principal
}

// String shows no secret.
func (c Credential) String() string { return "Credential{" + c.Principal.ARN + "}" }

// GoString shows no secret.
func (c Credential) GoString() string { return c.String() }

// LogValue shows no secret.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.Principal.ARN) }

var errTODO = errors.New("principal: not yet")

// Open reads a directory from its store.
func Open(ctx context.Context, store Store, opts Options) (*Directory, error) { return nil, errTODO }

// Account is the account's number.
func (d *Directory) Account() string { return "" }

// Credential finds what an access key stands for. The faults are
// UnrecognizedClientException and ExpiredTokenException.
func (d *Directory) Credential(ctx context.Context, accessKeyID, sessionToken string, now time.Time) (Credential, error) {
	return Credential{}, errTODO
}

// AssumeForService makes the session of a role that an AWS service acts with.
func (d *Directory) AssumeForService(ctx context.Context, roleARN, service, sourceARN, sourceAccount, session string, now time.Time) (*Principal, error) {
	return nil, errTODO
}

// Bootstrap makes the account's root key if there is none yet.
func (d *Directory) Bootstrap(ctx context.Context) (accessKeyID, secret string, created bool, err error) {
	return "", "", false, errTODO
}

// AddKey adds an access key of the account's root user, for development.
func (d *Directory) AddKey(ctx context.Context, accessKeyID, secret string) error { return errTODO }
