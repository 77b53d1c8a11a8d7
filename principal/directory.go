package principal

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokaido/iam"
)

// Options of a Directory.
type Options struct {
	Account string           // twelve digits; "": the stored one, else a new one
	Now     func() time.Time // nil: time.Now

	Control ControlOptions // an organization's policies that bind from the start
}

// Directory is everybody there is: one account and who is in it. Its methods
// may be called from many goroutines.
type Directory struct {
	store    Store
	now      func() time.Time
	aws      map[string]*policy // AWS's managed policies by ARN
	sessions sessions
	controls []*control // AWS's and the configuration's policies of an organization
	narrow   bool       // see ControlOptions

	mu    sync.Mutex // held by the one who changes something
	state atomic.Pointer[state]
}

// state is all there is at one moment. It never changes: a writer publishes the
// next one, and who reads keeps the one it began with.
type state struct {
	account  account
	entities [numKinds]map[string]*entity // by name
	byID     map[string]*entity
	policies map[string]*policy // customers', by ARN
	keys     map[string]*AccessKey
	dev      map[string]*AccessKey // AddKey's: never stored
	apiKeys  map[string]*APIKey    // by alias
	org      *organization         // nil: the account is in none
	stored   map[string]*control   // the organization's own policies, by id

	principals sync.Map // ID of a long-term access key or API key to *Principal, made when asked for
}

// account is what is stored of the account itself.
type account struct {
	ID         string    `json:"id"`
	Created    time.Time `json:"created"`
	SessionKey string    `json:"sessionKey"` // hexadecimal; seals session tokens
	Alias      string    `json:"alias,omitempty"`
}

// rootARN names the account's root user.
func (a *account) rootARN() string { return "arn:aws:iam::" + a.ID + ":root" }

// The keys of entries in the Store.
const (
	accountKey = "account"
	policyKey  = "policy/"
	keyKey     = "key/"
)

func entityKey(k Kind, name string) string { return k.String() + "/" + name }

// Open reads a directory from its store. In an empty one it makes an account.
func Open(ctx context.Context, store Store, opts Options) (*Directory, error) {
	d := &Directory{store: store, now: opts.Now, aws: map[string]*policy{}}
	if d.now == nil {
		d.now = time.Now
	}
	for _, p := range awsManaged() {
		c, err := compilePolicy(p)
		if err != nil {
			return nil, fmt.Errorf("AWS's policy %s: %w", p.Name, err)
		}
		d.aws[p.ARN] = c
	}
	if err := d.configure(opts.Control); err != nil {
		return nil, err
	}
	s := &state{
		byID: map[string]*entity{}, policies: map[string]*policy{}, keys: map[string]*AccessKey{}, dev: map[string]*AccessKey{},
		apiKeys: map[string]*APIKey{}, stored: map[string]*control{},
	}
	var org *Organization
	for k := range s.entities {
		s.entities[k] = map[string]*entity{}
	}
	for e, err := range store.Load(ctx) {
		if err == nil && e.Key == organizationKey {
			org = new(Organization)
			err = json.Unmarshal(e.Data, org)
		} else if err == nil {
			err = s.load(e)
		}
		if err != nil {
			return nil, fmt.Errorf("open directory: %w", err)
		}
	}
	switch {
	case s.account.ID == "":
		if len(s.byID)+len(s.policies)+len(s.keys) > 0 {
			return nil, fmt.Errorf("open directory: it has entries but no account")
		}
		s.account = account{ID: opts.Account, Created: d.stamp(), SessionKey: newSessionKey()}
		if s.account.ID == "" {
			s.account.ID = newAccountID()
		}
		if !isAccountID(s.account.ID) {
			return nil, fmt.Errorf("open directory: account %q: an account has twelve digits", s.account.ID)
		}
		data, err := json.Marshal(s.account)
		if err != nil {
			return nil, err
		}
		if err := store.Save(ctx, Change{accountKey, data}); err != nil {
			return nil, fmt.Errorf("open directory: %w", err)
		}
	case opts.Account != "" && opts.Account != s.account.ID:
		return nil, fmt.Errorf("open directory: it is of account %s, not %s", s.account.ID, opts.Account)
	}
	aead, err := newAEAD(s.account.SessionKey)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	d.sessions.aead = aead
	if org != nil {
		org.Account = s.account.ID
		s.org = d.organization(*org, s.stored)
	}
	d.state.Store(s)
	if s.org == nil && len(opts.Control.Policies) > 0 {
		// Policies that are configured are an organization's: from now on there is one.
		if err := d.update(ctx, (*change).newOrganization); err != nil {
			return nil, fmt.Errorf("open directory: %w", err)
		}
	}
	return d, nil
}

func (s *state) load(e Entry) error {
	kind, _, _ := strings.Cut(e.Key, "/")
	var err error
	switch kind + "/" {
	case accountKey + "/":
		err = json.Unmarshal(e.Data, &s.account)
	case policyKey:
		var p Policy
		if err = json.Unmarshal(e.Data, &p); err == nil {
			if len(p.Versions) == 0 {
				return fmt.Errorf("entry %s: a policy without versions", e.Key)
			}
			if s.policies[p.ARN], err = compilePolicy(p); err == nil && e.Key != policyKey+p.ARN {
				err = fmt.Errorf("it holds policy %s", p.ARN)
			}
		}
	case keyKey:
		var k storedKey
		if err = json.Unmarshal(e.Data, &k); err == nil {
			s.keys[k.ID] = &AccessKey{k.ID, Secret(k.Secret), k.Owner, k.Inactive, k.Created}
			if e.Key != keyKey+k.ID {
				err = fmt.Errorf("it holds key %s", k.ID)
			}
		}
	case apiKeyKey:
		var k APIKey
		if err = json.Unmarshal(e.Data, &k); err == nil {
			s.apiKeys[k.Alias] = &k
			if e.Key != apiKeyKey+k.Alias {
				err = fmt.Errorf("it holds API key %s", k.Alias)
			}
		}
	case controlPolicyKey:
		var p ControlPolicy
		if err = json.Unmarshal(e.Data, &p); err == nil {
			if s.stored[p.ID], err = compileControl(p); err == nil && e.Key != controlPolicyKey+p.ID {
				err = fmt.Errorf("it holds the organization's policy %s", p.ID)
			}
		}
	default:
		var x Entity
		if err = json.Unmarshal(e.Data, &x); err != nil {
			break
		}
		if x.Kind == 0 || x.Kind >= numKinds || e.Key != entityKey(x.Kind, x.Name) {
			err = fmt.Errorf("it holds a %v called %q", x.Kind, x.Name)
			break
		}
		var c *entity
		if c, err = compile(x); err == nil {
			s.entities[x.Kind][x.Name] = c
			s.byID[x.ID] = c
		}
	}
	if err != nil {
		return fmt.Errorf("entry %s: %w", e.Key, err)
	}
	return nil
}

// stamp is now as AWS dates things: to the second.
func (d *Directory) stamp() time.Time { return d.now().UTC().Truncate(time.Second) }

// Account is the account's number.
func (d *Directory) Account() string { return d.state.Load().account.ID }

// change is a state in the making, and what must be stored before it is
// published. Maps are copied when they are first written to.
type change struct {
	*state
	d      *Directory
	now    time.Time
	saves  []Change
	copied [numKinds + 4]bool // the entity maps, policies, keys, API keys, the organization's policies
}

// update makes a change: f's error leaves everything as it was. Nobody sees the
// change before it is durable.
func (d *Directory) update(ctx context.Context, f func(*change) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.state.Load()
	c := &change{d: d, now: d.stamp(), state: &state{
		account: old.account, entities: old.entities, byID: old.byID, policies: old.policies, keys: old.keys, dev: old.dev, apiKeys: old.apiKeys,
		org: old.org, stored: old.stored,
	}}
	if err := f(c); err != nil {
		return err
	}
	if len(c.saves) == 0 {
		return nil
	}
	if err := d.store.Save(ctx, c.saves...); err != nil {
		return fmt.Errorf("save %s: %w", c.saves[0].Key, err)
	}
	// Durable from here on.
	d.state.Store(c.state)
	return nil
}

func (c *change) save(key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.saves = append(c.saves, Change{key, data})
	return nil
}

// own copies a map before it is first changed.
func (c *change) own(i int, copyMap func()) {
	if !c.copied[i] {
		copyMap()
		c.copied[i] = true
	}
}

func (c *change) ownEntities(k Kind) {
	c.own(0, func() { c.byID = maps.Clone(c.byID) })
	c.own(int(k), func() { c.entities[k] = maps.Clone(c.entities[k]) })
}

// put checks e's documents, and sets it under its name.
func (c *change) put(e Entity) error {
	x, err := compile(e)
	if err != nil {
		return err
	}
	c.ownEntities(e.Kind)
	c.entities[e.Kind][e.Name] = x
	c.byID[e.ID] = x
	return c.save(entityKey(e.Kind, e.Name), e)
}

func (c *change) remove(e *entity) {
	c.ownEntities(e.Kind)
	delete(c.entities[e.Kind], e.Name)
	delete(c.byID, e.ID)
	c.saves = append(c.saves, Change{Key: entityKey(e.Kind, e.Name)})
}

func (c *change) putPolicy(p Policy) error {
	x, err := compilePolicy(p)
	if err != nil {
		return err
	}
	c.own(int(numKinds), func() { c.policies = maps.Clone(c.policies) })
	c.policies[p.ARN] = x
	return c.save(policyKey+p.ARN, p)
}

func (c *change) removePolicy(arn string) {
	c.own(int(numKinds), func() { c.policies = maps.Clone(c.policies) })
	delete(c.policies, arn)
	c.saves = append(c.saves, Change{Key: policyKey + arn})
}

func (c *change) putKey(k AccessKey) error {
	c.own(int(numKinds)+1, func() { c.keys = maps.Clone(c.keys) })
	c.keys[k.ID] = &k
	return c.save(keyKey+k.ID, storedKey{k.ID, string(k.Secret), k.Owner, k.Inactive, k.Created})
}

func (c *change) removeKey(id string) {
	c.own(int(numKinds)+1, func() { c.keys = maps.Clone(c.keys) })
	delete(c.keys, id)
	c.saves = append(c.saves, Change{Key: keyKey + id})
}

// policy finds a managed policy, AWS's or the customer's; nil if there is none.
func (d *Directory) policy(s *state, arn string) *policy {
	if p := d.aws[arn]; p != nil {
		return p
	}
	return s.policies[arn]
}

// bind is what binds e in state s.
func (d *Directory) bind(s *state, e *entity) iam.Policies {
	p := s.governed()
	add := func(e *entity) {
		p.Identity = append(p.Identity, e.inline...)
		for _, arn := range e.Attached {
			if m := d.policy(s, arn); m != nil {
				p.Identity = append(p.Identity, m.bound(e.ARN))
			}
		}
	}
	add(e)
	for _, g := range e.Groups {
		if g := s.entities[KindGroup][g]; g != nil {
			add(g)
		}
	}
	if e.Boundary != "" {
		// A boundary that is gone allows nothing: better than one that is not there.
		b := iam.Bound{Policy: nothing, ARN: e.Boundary, Owner: e.ARN}
		if m := d.policy(s, e.Boundary); m != nil {
			b = m.bound(e.ARN)
		}
		p.Boundary = &b
	}
	return p
}

// nothing is a policy that allows nothing.
var nothing = iam.MustParse(iam.IdentityPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`)

// Credential is what an access key stands for.
type Credential struct {
	Secret    string
	Expires   time.Time // zero: never
	Principal *Principal
}

// String shows no secret.
func (c Credential) String() string {
	if c.Principal == nil {
		return "Credential{}"
	}
	return "Credential{" + c.Principal.ARN + "}"
}

// GoString shows no secret.
func (c Credential) GoString() string { return c.String() }

// LogValue shows no secret.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText shows no secret: also JSON logs print structs.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Credential finds what an access key stands for. The faults are
// UnrecognizedClientException and ExpiredTokenException. It never waits for a
// writer.
func (d *Directory) Credential(ctx context.Context, accessKeyID, sessionToken string, now time.Time) (Credential, error) {
	s := d.state.Load()
	if sessionToken != "" {
		return d.session(s, accessKeyID, sessionToken, now)
	}
	k := s.keys[accessKeyID]
	if k == nil {
		k = s.dev[accessKeyID]
	}
	if k == nil || k.Inactive {
		return Credential{}, invalidToken()
	}
	if p, ok := s.principals.Load(k.ID); ok {
		return Credential{Secret: string(k.Secret), Principal: p.(*Principal)}, nil
	}
	p := d.longTerm(s, k.Owner)
	if p == nil {
		return Credential{}, invalidToken()
	}
	p.AccessKeyID = k.ID
	s.principals.Store(k.ID, p)
	return Credential{Secret: string(k.Secret), Principal: p}, nil
}

// longTerm makes the principal of a user, or of the account's root; nil if the
// owner is gone.
func (d *Directory) longTerm(s *state, owner string) *Principal {
	if owner == s.account.ID {
		return &Principal{Type: Root, Account: owner, ARN: s.account.rootARN(), ID: owner, Organization: s.orgPath(), Policies: s.governed()}
	}
	e := s.byID[owner]
	if e == nil || e.Kind != KindUser {
		return nil
	}
	return &Principal{Type: User, Account: s.account.ID, ARN: e.ARN, ID: e.ID, Name: e.Name, Tags: e.Tags, Organization: s.orgPath(), Policies: d.bind(s, e)}
}

// Bootstrap makes an access key of the account's root user if it has none; only
// then is created true and the secret given. keep is told of the key before it
// is stored and must have put it where it will be found again: nobody else has
// the secret. It may be called for a key that then comes to nothing.
func (d *Directory) Bootstrap(ctx context.Context, keep func(accessKeyID, secret string) error) (accessKeyID, secret string, created bool, err error) {
	err = d.update(ctx, func(c *change) error {
		for _, id := range slices.Sorted(maps.Keys(c.keys)) {
			if c.keys[id].Owner == c.account.ID {
				accessKeyID = id
				return nil
			}
		}
		k := AccessKey{ID: newKeyID("AKIA", c.account.ID), Secret: newSecret(), Owner: c.account.ID, Created: c.now}
		accessKeyID, secret, created = k.ID, string(k.Secret), true
		if err := keep(accessKeyID, secret); err != nil {
			return err
		}
		return c.putKey(k)
	})
	if err != nil {
		return "", "", false, err
	}
	return accessKeyID, secret, created, nil
}

// AddKey adds an access key of the account's root user, for development. It is
// not stored: a start without it forgets it.
func (d *Directory) AddKey(ctx context.Context, accessKeyID, secret string) error {
	if accessKeyID == "" || secret == "" {
		return fmt.Errorf("add key: neither the id nor the secret may be empty")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.state.Load()
	if old.keys[accessKeyID] != nil {
		return fmt.Errorf("add key: there is a stored key %s", accessKeyID)
	}
	dev := maps.Clone(old.dev)
	dev[accessKeyID] = &AccessKey{ID: accessKeyID, Secret: Secret(secret), Owner: old.account.ID, Created: d.stamp()}
	d.state.Store(&state{
		account: old.account, entities: old.entities, byID: old.byID, policies: old.policies, keys: old.keys, dev: dev, apiKeys: old.apiKeys,
		org: old.org, stored: old.stored,
	})
	return nil
}
