package principal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tokaido/arn"
	"tokaido/fault"
	"tokaido/iam"
)

// Limits of STS (iam.md, section 9).
const (
	minDuration        = 900 * time.Second
	maxDuration        = 12 * time.Hour
	defaultDuration    = time.Hour
	chainedDuration    = time.Hour      // of a role assumed by a role
	maxUserDuration    = 36 * time.Hour // of GetSessionToken
	defaultUserSession = 12 * time.Hour
	rootDuration       = time.Hour // of GetSessionToken by the root user
	maxSessionPolicy   = 2048      // characters
	maxSessionPolicies = 10        // managed ones
	maxTags            = 50
	maxTagKey          = 128
	maxTagValue        = 256

	// packedLimit is what PackedPolicySize is a percentage of: bytes of session
	// policies, their ARNs and tags together.
	packedLimit = 4096

	maxToken       = 16 << 10
	cachedSessions = 4096
)

// A session's token holds all that is known of the session, sealed with a key
// that only the directory has: sessions survive a restart and need no store.
//
//	token = base64(version u8, nonce [12], AES-256-GCM(session as JSON, access key id))
const tokenVersion = 1

// session is what a token says.
type session struct {
	Type           Type     `json:"t"`
	Owner          string   `json:"o"` // ID of the user or role; the account for its root
	Name           string   `json:"n,omitempty"`
	Secret         string   `json:"s"`
	Issued         int64    `json:"i"` // Unix seconds
	Expires        int64    `json:"e"`
	Policies       []string `json:"p,omitempty"` // session policies
	ARNs           []string `json:"a,omitempty"` // managed session policies
	Tags           []Tag    `json:"g,omitempty"`
	Transitive     []string `json:"x,omitempty"`
	SourceIdentity string   `json:"d,omitempty"`
	Chained        bool     `json:"c,omitempty"`
}

// sessions opens tokens, and remembers those that it opened lately.
type sessions struct {
	aead cipher.AEAD

	mu   sync.Mutex
	open map[[sha256.Size]byte]*opened // by hash of key id and token; guarded by mu
}

// opened is a token that was authentic.
type opened struct {
	session
	policies []iam.Bound

	state     *state // for which principal was made
	principal *Principal
}

func newAEAD(key string) (cipher.AEAD, error) {
	b, err := hex.DecodeString(key)
	if err != nil || len(b) != 32 {
		return nil, fmt.Errorf("the session key is not 32 bytes in hexadecimal")
	}
	block, err := aes.NewCipher(b)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (c *sessions) seal(keyID string, s *session) (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	b := make([]byte, 1+c.aead.NonceSize(), 1+c.aead.NonceSize()+len(text)+c.aead.Overhead())
	b[0] = tokenVersion
	rand.Read(b[1:])
	return base64.StdEncoding.EncodeToString(c.aead.Seal(b, b[1:], text, []byte(keyID))), nil
}

// unseal returns nil if the token is not one of ours for that key.
func (c *sessions) unseal(keyID, token string) *session {
	b, err := base64.StdEncoding.Strict().DecodeString(token)
	n := c.aead.NonceSize()
	if err != nil || len(b) < 1+n || b[0] != tokenVersion {
		return nil
	}
	text, err := c.aead.Open(nil, b[1:1+n], b[1+n:], []byte(keyID))
	if err != nil {
		return nil
	}
	s := new(session)
	if json.Unmarshal(text, s) != nil {
		return nil
	}
	return s
}

// session finds what temporary credentials stand for.
func (d *Directory) session(s *state, keyID, token string, now time.Time) (Credential, error) {
	if len(token) > maxToken || !strings.HasPrefix(keyID, "ASIA") {
		return Credential{}, invalidToken()
	}
	h := sha256.New()
	h.Write([]byte(keyID))
	h.Write([]byte{0})
	h.Write([]byte(token))
	id := [sha256.Size]byte(h.Sum(nil))

	d.sessions.mu.Lock()
	o := d.sessions.open[id]
	if o != nil && o.state != s {
		o = &opened{session: o.session, policies: o.policies} // somebody may still read the old one
	}
	d.sessions.mu.Unlock()
	if o == nil {
		t := d.sessions.unseal(keyID, token)
		if t == nil {
			return Credential{}, invalidToken()
		}
		o = &opened{session: *t}
		for _, doc := range t.Policies {
			p, err := iam.Parse(iam.SessionPolicy, []byte(doc))
			if err != nil {
				return Credential{}, fmt.Errorf("session policy: %w", err)
			}
			o.policies = append(o.policies, iam.Bound{Policy: p, Name: "session policy"})
		}
	}
	if !now.Before(time.Unix(o.Expires, 0)) {
		return Credential{}, expiredToken()
	}
	if o.principal == nil {
		o.state, o.principal = s, d.sessionPrincipal(s, o)
		if o.principal == nil {
			return Credential{}, invalidToken()
		}
		o.principal.AccessKeyID = keyID
		d.sessions.mu.Lock()
		if d.sessions.open == nil || len(d.sessions.open) >= cachedSessions {
			d.sessions.open = make(map[[sha256.Size]byte]*opened)
		}
		d.sessions.open[id] = o
		d.sessions.mu.Unlock()
	}
	return Credential{Secret: o.Secret, Expires: o.principal.Expires, Principal: o.principal}, nil
}

// sessionPrincipal is nil if the user or role is gone: also one that was made
// again under the same name is another one.
func (d *Directory) sessionPrincipal(s *state, o *opened) *Principal {
	var p *Principal
	switch o.Type {
	case AssumedRole:
		e := s.byID[o.Owner]
		if e == nil || e.Kind != KindRole {
			return nil
		}
		p = d.rolePrincipal(s, e, o.Name)
		p.Tags, p.TransitiveTags = mergeTags(e.Tags, o.Tags), o.Transitive
		p.SourceIdentity, p.Chained = o.SourceIdentity, o.Chained
	default:
		if p = d.longTerm(s, o.Owner); p == nil {
			return nil
		}
	}
	if o.policies != nil || o.ARNs != nil {
		p.Policies.Session = slices.Concat([]iam.Bound{}, o.policies)
		for _, name := range o.ARNs {
			if m := d.policy(s, name); m != nil {
				p.Policies.Session = append(p.Policies.Session, m.bound(p.ARN))
			}
		}
	}
	p.IssuedAt, p.Expires = time.Unix(o.Issued, 0).UTC(), time.Unix(o.Expires, 0).UTC()
	return p
}

func (d *Directory) rolePrincipal(s *state, e *entity, name string) *Principal {
	return &Principal{
		Type: AssumedRole, Account: s.account.ID, ARN: "arn:aws:sts::" + s.account.ID + ":assumed-role/" + e.Name + "/" + name,
		ID: e.ID + ":" + name, Name: e.Name, RoleARN: e.ARN, SessionName: name, Tags: e.Tags, Organization: s.orgPath(), Policies: d.bind(s, e),
	}
}

// mergeTags is base overridden by over; keys are the same whatever their case.
func mergeTags(base, over []Tag) []Tag {
	if len(over) == 0 {
		return base
	}
	all := slices.Clone(over)
	for _, t := range base {
		if !slices.ContainsFunc(over, func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }) {
			all = append(all, t)
		}
	}
	return all
}

// roleByARN finds a role by its whole ARN; nil if there is none.
func (s *state) roleByARN(name string) *entity {
	a, err := arn.Parse(name)
	if err != nil {
		return nil
	}
	if e := s.entities[KindRole][a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]]; e != nil && e.ARN == name {
		return e
	}
	return nil
}

// tagKeys are the condition keys of the tags of what is asked for.
func (e *entity) tagKeys() (keys iam.Context) {
	for _, t := range e.Tags {
		keys = append(keys, iam.Attribute{Key: "aws:ResourceTag/" + t.Key, Values: []string{t.Value}},
			iam.Attribute{Key: "iam:ResourceTag/" + t.Key, Values: []string{t.Value}})
	}
	return keys
}

func (e *entity) trustBound() *iam.Bound {
	return &iam.Bound{Policy: e.trust, Name: "trust policy", Owner: e.ARN}
}

// AssumeForService makes the session of a role that an AWS service acts with,
// for a resource of an account: Step Functions for a state machine. The trust
// policy decides. The fault of a refusal carries the []iam.Decision.
func (d *Directory) AssumeForService(ctx context.Context, roleARN, service, sourceARN, sourceAccount, session string, now time.Time) (*Principal, error) {
	s := d.state.Load()
	if f := checkSessionName(session); f != nil {
		return nil, fmt.Errorf("assume %s for %s: %w", roleARN, service, f)
	}
	refuse := func(detail any) error {
		return &fault.Error{Kind: fault.Client, Code: "AccessDeniedException", Detail: detail,
			Message: fmt.Sprintf("Neither the global service principal %s, nor the regional one is authorized to assume the provided role.", service)}
	}
	e := s.roleByARN(roleARN)
	if e == nil {
		return nil, refuse(nil)
	}
	by := Principal{Type: Service, Name: service}
	global := by.Context()
	add := func(key, v string) {
		if v != "" {
			global = append(global, iam.Attribute{Key: key, Values: []string{v}})
		}
	}
	add("aws:SourceArn", sourceARN)
	add("aws:SourceAccount", sourceAccount)
	add("sts:RoleSessionName", session)
	need := []iam.Authorization{{Action: "sts:AssumeRole", Resource: e.ARN, Context: e.tagKeys()}}
	if ds := iam.EvaluateAll(&iam.Policies{RCP: s.governed().RCP, Resource: e.trustBound()}, by.Caller(), need, global); !ds[0].Allowed {
		return nil, refuse(ds)
	}
	p := d.rolePrincipal(s, e, session)
	p.IssuedAt, p.AssumedBy = now.UTC().Truncate(time.Second), service
	p.Expires = p.IssuedAt.Add(e.MaxSession)
	return p, nil
}

// AssumeRole asks for temporary credentials of a role.
type AssumeRole struct {
	RoleARN        string
	SessionName    string
	Duration       time.Duration // 0: an hour
	Policy         string        // session policy; "": none
	PolicyARNs     []string
	Tags           []Tag
	TransitiveTags []string // keys of Tags that sessions assumed from this one get too
	ExternalID     string
	SourceIdentity string
}

// Assumed are temporary credentials, and of whom.
type Assumed struct {
	AccessKeyID string
	Secret      Secret
	Token       Secret
	Expires     time.Time
	ARN         string
	ID          string
	PackedSize  int // percent
	// Decisions say by what it was allowed.
	Decisions []iam.Decision
}

// RoleTrust returns the trust policy that guards a role; nil if there is none
// of that name.
func (d *Directory) RoleTrust(roleARN string) *iam.Bound {
	if e := d.state.Load().roleByARN(roleARN); e != nil {
		return e.trustBound()
	}
	return nil
}

// AssumeRole decides, by the caller's policies and the role's trust policy,
// whether by may have a session of a role, and makes it. The fault of a refusal
// carries the []iam.Decision; global is the context of the request.
func (d *Directory) AssumeRole(ctx context.Context, by *Principal, in AssumeRole, global iam.Context, now time.Time) (Assumed, error) {
	s := d.state.Load()
	if by.Type == Root {
		return Assumed{}, denied("Roles may not be assumed by root accounts.")
	}
	if f := in.check(); f != nil {
		return Assumed{}, f
	}
	e, ds, err := d.mayAssume(s, by, &in, global)
	if err != nil {
		return Assumed{}, err
	}
	t := session{
		Type: AssumedRole, Owner: e.ID, Name: in.SessionName, ARNs: in.PolicyARNs, Tags: in.Tags, Transitive: in.TransitiveTags,
		SourceIdentity: in.SourceIdentity, Chained: by.Type == AssumedRole,
	}
	if f := d.inherit(&t, by); f != nil {
		return Assumed{}, f
	}
	switch {
	case in.Duration > e.MaxSession:
		return Assumed{}, validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case t.Chained && in.Duration > chainedDuration:
		return Assumed{}, validation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	case in.Duration == 0:
		in.Duration = defaultDuration
	}
	packed := len(in.Policy)
	if in.Policy != "" {
		p, err := iam.Parse(iam.SessionPolicy, []byte(in.Policy))
		if err != nil {
			return Assumed{}, err
		}
		packed = p.Size()
		t.Policies = []string{in.Policy}
	}
	for _, name := range in.PolicyARNs {
		if d.policy(s, name) == nil {
			return Assumed{}, malformed("The policy %s does not exist or is not attachable.", name)
		}
		packed += len(name)
	}
	for _, tag := range t.Tags {
		packed += len(tag.Key) + len(tag.Value)
	}
	percent := (packed*100 + packedLimit - 1) / packedLimit
	if percent > 100 {
		return Assumed{}, newFault(400, "PackedPolicyTooLarge", "Packed size of session policies and tags consumes %d%% of allotted space.", percent)
	}
	p := d.rolePrincipal(s, e, in.SessionName)
	out, err := d.issue(s, &t, in.Duration, now)
	out.ARN, out.ID, out.PackedSize, out.Decisions = p.ARN, p.ID, percent, ds
	return out, err
}

// mayAssume decides whether by may have a session of a role.
func (d *Directory) mayAssume(s *state, by *Principal, in *AssumeRole, global iam.Context) (*entity, []iam.Decision, error) {
	need := in.needs(by)
	policies := by.Policies
	e := s.roleByARN(in.RoleARN)
	if e == nil {
		// The same words as for a role that is there: nobody learns which are.
		ds := iam.EvaluateAll(&policies, by.Caller(), need, nil)
		return nil, nil, &fault.Error{Kind: fault.Client, Code: "AccessDeniedException", Auth: true, Detail: ds,
			Message: fmt.Sprintf("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", by.ARN, in.RoleARN)}
	}
	policies.Resource = e.trustBound()
	for i := range need {
		need[i].Context = append(slices.Clip(need[i].Context), e.tagKeys()...)
	}
	ds := iam.EvaluateAll(&policies, by.Caller(), need, slices.Concat(by.Context(), global))
	for i := range ds {
		if !ds[i].Allowed {
			return nil, nil, &fault.Error{Kind: fault.Client, Code: "AccessDeniedException", Auth: true, Message: ds[i].Message(), Detail: ds}
		}
	}
	return e, ds, nil
}

// AssumeForTask makes the session of a further role that by, the session of a
// machine's role, acts with: what a state's Credentials name. The policies of
// both sides decide, as of any AssumeRole.
func (d *Directory) AssumeForTask(ctx context.Context, by *Principal, roleARN, session string, global iam.Context, now time.Time) (*Principal, error) {
	s := d.state.Load()
	in := AssumeRole{RoleARN: roleARN, SessionName: session}
	if f := in.check(); f != nil {
		return nil, fmt.Errorf("assume %s for %s: %w", roleARN, by.ARN, f)
	}
	e, _, err := d.mayAssume(s, by, &in, global)
	if err != nil {
		return nil, err
	}
	p := d.rolePrincipal(s, e, session)
	p.IssuedAt, p.AssumedBy, p.Chained, p.SourceIdentity = now.UTC().Truncate(time.Second), by.AssumedBy, true, by.SourceIdentity
	p.Expires = p.IssuedAt.Add(chainedDuration)
	return p, nil
}

// issue makes the credentials of t.
func (d *Directory) issue(s *state, t *session, life time.Duration, now time.Time) (Assumed, error) {
	issued := now.UTC().Truncate(time.Second)
	t.Secret, t.Issued, t.Expires = string(newSecret()), issued.Unix(), issued.Add(life).Unix()
	out := Assumed{AccessKeyID: newKeyID("ASIA", s.account.ID), Secret: Secret(t.Secret), Expires: issued.Add(life)}
	token, err := d.sessions.seal(out.AccessKeyID, t)
	if err != nil {
		return Assumed{}, err
	}
	if len(token) > maxToken {
		return Assumed{}, newFault(400, "PackedPolicyTooLarge", "The session's token would have %d bytes, more than %d.", len(token), maxToken)
	}
	out.Token = Secret(token)
	return out, nil
}

// inherit gives t what a chain of roles passes on: transitive tags, and the
// source identity, neither of which a later role may change.
func (d *Directory) inherit(t *session, by *Principal) *fault.Error {
	for _, key := range by.TransitiveTags {
		same := func(o Tag) bool { return strings.EqualFold(o.Key, key) }
		if slices.ContainsFunc(t.Tags, same) {
			return invalidInput("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		if i := slices.IndexFunc(by.Tags, same); i >= 0 {
			t.Tags = append(slices.Clip(t.Tags), by.Tags[i])
			t.Transitive = append(slices.Clip(t.Transitive), by.Tags[i].Key)
		}
	}
	if by.SourceIdentity != "" {
		if t.SourceIdentity != "" && t.SourceIdentity != by.SourceIdentity {
			return denied("The source identity of the calling session cannot be changed.")
		}
		t.SourceIdentity = by.SourceIdentity
	}
	if len(t.Tags) > maxTags {
		return validation("The number of session tags exceeds %d.", maxTags)
	}
	return nil
}

func checkSessionName(s string) *fault.Error {
	if !isName(s) || len(s) < 2 || len(s) > 64 {
		return constraint(s, "roleSessionName", `satisfy regular expression pattern: [\w+=,.@-]{2,64}`)
	}
	return nil
}

// check holds the request against STS's limits.
func (in *AssumeRole) check() *fault.Error {
	if f := checkSessionName(in.SessionName); f != nil {
		return f
	}
	if a, err := arn.Parse(in.RoleARN); err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return validation("%s is invalid", in.RoleARN)
	}
	if seconds := int64(in.Duration / time.Second); in.Duration != 0 && in.Duration < minDuration {
		return constraint(seconds, "durationSeconds", "have value greater than or equal to %d", minDuration/time.Second)
	} else if in.Duration > maxDuration {
		return constraint(seconds, "durationSeconds", "have value less than or equal to %d", maxDuration/time.Second)
	}
	if n := len(in.Policy); n > maxSessionPolicy {
		return constraint(in.Policy[:32]+"…", "policy", "have length less than or equal to %d", maxSessionPolicy)
	}
	if n := len(in.PolicyARNs); n > maxSessionPolicies {
		return constraint(fmt.Sprint(n, " policies"), "policyArns", "have length less than or equal to %d", maxSessionPolicies)
	}
	if n := len(in.ExternalID); n != 0 && (n < 2 || n > 1224) {
		return constraint(in.ExternalID, "externalId", "have length between 2 and 1224")
	}
	if n := len(in.SourceIdentity); n != 0 && (n < 2 || n > 64 || !isName(in.SourceIdentity)) {
		return constraint(in.SourceIdentity, "sourceIdentity", `satisfy regular expression pattern: [\w+=,.@-]{2,64}`)
	}
	if f := checkTags(nil, in.Tags); f != nil {
		return f
	}
	for _, key := range in.TransitiveTags {
		if !slices.ContainsFunc(in.Tags, func(t Tag) bool { return strings.EqualFold(t.Key, key) }) {
			return invalidInput("The transitive tag key %s is not among the session's tags.", key)
		}
	}
	return nil
}

// needs is what must be allowed, by both sides.
func (in *AssumeRole) needs(by *Principal) []iam.Authorization {
	var c iam.Context
	one := func(key, v string) {
		if v != "" {
			c = append(c, iam.Attribute{Key: key, Values: []string{v}})
		}
	}
	one("sts:RoleSessionName", in.SessionName)
	one("sts:ExternalId", in.ExternalID)
	source := in.SourceIdentity
	if source == "" {
		source = by.SourceIdentity
	}
	one("sts:SourceIdentity", source)
	var keys []string
	for _, t := range in.Tags {
		one("aws:RequestTag/"+t.Key, t.Value)
		keys = append(keys, t.Key)
	}
	if keys != nil {
		c = append(c, iam.Attribute{Key: "aws:TagKeys", Values: keys, Multi: true})
	}
	if in.TransitiveTags != nil {
		c = append(c, iam.Attribute{Key: "sts:TransitiveTagKeys", Values: in.TransitiveTags, Multi: true})
	}
	need := []iam.Authorization{{Action: "sts:AssumeRole", Resource: in.RoleARN, Context: c}}
	if len(in.Tags)+len(by.TransitiveTags) > 0 {
		need = append(need, iam.Authorization{Action: "sts:TagSession", Resource: in.RoleARN, Context: c})
	}
	if source != "" {
		need = append(need, iam.Authorization{Action: "sts:SetSourceIdentity", Resource: in.RoleARN, Context: c})
	}
	return need
}

// SessionToken makes temporary credentials of the caller itself: STS's
// GetSessionToken. A life of 0 is twelve hours; the root user's is an hour.
func (d *Directory) SessionToken(ctx context.Context, by *Principal, life time.Duration, now time.Time) (Assumed, error) {
	seconds := int64(life / time.Second)
	switch {
	case by.Temporary() || by.Type != User && by.Type != Root:
		return Assumed{}, denied("Cannot call GetSessionToken with session credentials")
	case life == 0:
		life = defaultUserSession
	case life < minDuration:
		return Assumed{}, constraint(seconds, "durationSeconds", "have value greater than or equal to %d", minDuration/time.Second)
	case life > maxUserDuration:
		return Assumed{}, constraint(seconds, "durationSeconds", "have value less than or equal to %d", maxUserDuration/time.Second)
	}
	if by.Type == Root {
		life = min(life, rootDuration)
	}
	out, err := d.issue(d.state.Load(), &session{Type: by.Type, Owner: by.ID}, life, now)
	out.ARN, out.ID = by.ARN, by.ID
	return out, err
}
