package principal

import (
	"log/slog"
	"time"

	"tokaido/iam"
)

// Kind says what an Entity is.
type Kind uint8

// The kinds.
const (
	KindUser Kind = iota + 1
	KindRole
	KindGroup
	numKinds
)

func (k Kind) String() string {
	switch k {
	case KindUser:
		return "user"
	case KindRole:
		return "role"
	case KindGroup:
		return "group"
	}
	return "no kind of entity"
}

// Entity is a user, a role or a group. Its slices are shared: who gets one must
// not change it.
type Entity struct {
	Kind     Kind      `json:"kind"`
	Name     string    `json:"name"`
	Path     string    `json:"path"`
	ID       string    `json:"id"` // AIDA…, AROA…, AGPA…
	ARN      string    `json:"arn"`
	Created  time.Time `json:"created"`
	Tags     []Tag     `json:"tags,omitempty"`
	Boundary string    `json:"boundary,omitempty"` // ARN of a managed policy; never of a group
	Inline   []Inline  `json:"inline,omitempty"`   // by name
	Attached []string  `json:"attached,omitempty"` // ARNs of managed policies, in the order they came

	Groups []string `json:"groups,omitempty"` // a user's, by name

	Trust       string        `json:"trust,omitempty"` // a role's, as it was given
	Description string        `json:"description,omitempty"`
	MaxSession  time.Duration `json:"maxSession,omitempty"`
}

// Inline is a policy inside an Entity.
type Inline struct {
	Name     string `json:"name"`
	Document string `json:"document"`
}

// Policy is a managed policy. Its slices are shared: who gets one must not
// change it.
type Policy struct {
	Name        string    `json:"name"`
	Path        string    `json:"path"`
	ID          string    `json:"id"` // ANPA…
	ARN         string    `json:"arn"`
	Description string    `json:"description,omitempty"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	Default     string    `json:"default"`  // ID of the version in force
	Versions    []Version `json:"versions"` // oldest first
	Last        int       `json:"last"`     // number of the newest version there ever was
	Tags        []Tag     `json:"tags,omitempty"`
	AWS         bool      `json:"-"` // managed by AWS

	Attachments int `json:"-"` // users, roles and groups that it is attached to
	Boundaries  int `json:"-"` // users and roles whose boundary it is
}

// Version is one version of a managed policy.
type Version struct {
	ID       string    `json:"id"` // v1, v2, …
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// Version returns the version called id.
func (p *Policy) Version(id string) (Version, bool) {
	for _, v := range p.Versions {
		if v.ID == id {
			return v, true
		}
	}
	return Version{}, false
}

// AccessKey is a key of a user, or of the account's root user.
type AccessKey struct {
	ID       string
	Secret   Secret
	Owner    string // ID of the user; the account for its root
	Inactive bool
	Created  time.Time
}

// storedKey is an AccessKey with its secret.
type storedKey struct {
	ID       string    `json:"id"`
	Secret   string    `json:"secret"`
	Owner    string    `json:"owner"`
	Inactive bool      `json:"inactive,omitempty"`
	Created  time.Time `json:"created"`
}

// Secret is a secret access key. Nothing prints it; string(s) is the key.
type Secret string

// String shows no secret.
func (Secret) String() string { return "[secret]" }

// GoString shows no secret.
func (Secret) GoString() string { return "[secret]" }

// LogValue shows no secret.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText shows no secret: also JSON logs print structs.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// entity is an Entity with its policies compiled. It never changes.
type entity struct {
	Entity
	trust  *iam.Policy
	inline []iam.Bound
}

// policy is a Policy with the version in force compiled. It never changes.
type policy struct {
	Policy
	compiled *iam.Policy
}

// bound is p where owner has it.
func (p *policy) bound(owner string) iam.Bound {
	return iam.Bound{Policy: p.compiled, Name: p.Name, ARN: p.ARN, Owner: owner}
}

// compile makes the entity of e. Its documents were accepted once; one that is
// not any more is our mistake, and the error says which.
func compile(e Entity) (*entity, error) {
	out := &entity{Entity: e}
	if e.Kind == KindRole {
		p, err := iam.Parse(iam.TrustPolicy, []byte(e.Trust))
		if err != nil {
			return nil, err
		}
		out.trust = p
	}
	out.inline = make([]iam.Bound, len(e.Inline))
	for i, in := range e.Inline {
		p, err := iam.Parse(iam.IdentityPolicy, []byte(in.Document))
		if err != nil {
			return nil, err
		}
		out.inline[i] = iam.Bound{Policy: p, Name: in.Name, Owner: e.ARN}
	}
	return out, nil
}

func compilePolicy(p Policy) (*policy, error) {
	v, ok := p.Version(p.Default)
	if !ok {
		v = p.Versions[len(p.Versions)-1]
	}
	c, err := iam.Parse(iam.IdentityPolicy, []byte(v.Document))
	if err != nil {
		return nil, err
	}
	return &policy{Policy: p, compiled: c}, nil
}
