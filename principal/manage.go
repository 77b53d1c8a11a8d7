package principal

import (
	"context"
	"slices"
	"strings"
	"time"

	"tokaido/arn"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/value"
)

// NewEntity is what Create makes.
type NewEntity struct {
	Kind     Kind
	Name     string
	Path     string // "": "/"
	Boundary string // ARN; "": none. Not of a group.
	Tags     []Tag  // not of a group

	Trust       string        // of a role
	Description string        // of a role
	MaxSession  time.Duration // of a role; 0: an hour
}

// Create makes a user, role or group.
func (d *Directory) Create(ctx context.Context, n NewEntity) (Entity, error) {
	var out Entity
	err := d.update(ctx, func(c *change) error {
		q := quotas[n.Kind]
		if n.Path == "" {
			n.Path = "/"
		}
		if f := checkName(n.Name, q.param, q.nameLength); f != nil {
			return f
		}
		if f := checkPath(n.Path); f != nil {
			return f
		}
		if f := checkTags(nil, n.Tags); f != nil {
			return f
		}
		if f := c.free(n.Kind, n.Name, ""); f != nil {
			return f
		}
		if len(c.entities[n.Kind]) >= q.count {
			return limitExceeded("Cannot exceed quota for %s: %d", q.quotaName, q.count)
		}
		out = Entity{
			Kind: n.Kind, Name: n.Name, Path: n.Path, ID: newID(q.prefix), ARN: c.arn(n.Kind, n.Path, n.Name),
			Created: c.now, Tags: slices.Clone(n.Tags),
		}
		if n.Boundary != "" {
			if f := c.bindable(n.Boundary); f != nil {
				return f
			}
			out.Boundary = n.Boundary
		}
		if n.Kind == KindRole {
			out.MaxSession = n.MaxSession
			if n.MaxSession == 0 {
				out.MaxSession = defaultMaxSession
			}
			out.Trust, out.Description = n.Trust, n.Description
			if f := c.checkRole(&out); f != nil {
				return f
			}
		}
		return c.put(out)
	})
	return out, err
}

func (c *change) arn(k Kind, path, name string) string {
	return "arn:aws:iam::" + c.account.ID + ":" + k.String() + path + name
}

// free refuses a name that another entity has; names differ by more than case.
func (c *change) free(k Kind, name, except string) *fault.Error {
	for other := range c.entities[k] {
		if other != except && strings.EqualFold(other, name) {
			return alreadyExists("%s with name %s already exists.", quotas[k].title, name)
		}
	}
	return nil
}

// bindable refuses a managed policy that is not there.
func (c *change) bindable(arn string) *fault.Error {
	if c.d.policy(c.state, arn) == nil {
		return noSuchEntity("Policy %s does not exist or is not attachable.", arn)
	}
	return nil
}

func (c *change) checkRole(e *Entity) error {
	if f := checkText(e.Description, "description", maxDescription); f != nil {
		return f
	}
	seconds := int64(e.MaxSession / time.Second)
	if e.MaxSession < minMaxSession {
		return constraint(seconds, "maxSessionDuration", "have value greater than or equal to %d", minMaxSession/time.Second)
	}
	if e.MaxSession > maxMaxSession {
		return constraint(seconds, "maxSessionDuration", "have value less than or equal to %d", maxMaxSession/time.Second)
	}
	if e.Trust == "" {
		return constraint("", "assumeRolePolicyDocument", "have length greater than or equal to 1")
	}
	if _, err := iam.Parse(iam.TrustPolicy, []byte(e.Trust)); err != nil {
		return err
	}
	if nonSpace(e.Trust) > maxTrustSize {
		return limitExceeded("Cannot exceed quota for ACLSizePerRole: %d", maxTrustSize)
	}
	return c.checkPrincipals(e.Trust)
}

// checkPrincipals refuses a trust policy that names a user or role of this
// account that is not there.
func (c *change) checkPrincipals(trust string) error {
	doc, err := value.ParseString(trust)
	if err != nil {
		return err
	}
	check := func(s string) error {
		a, err := arn.Parse(s)
		if err != nil || a.Service != "iam" || a.Account != c.account.ID {
			return nil
		}
		for k := KindUser; k <= KindRole; k++ {
			if !strings.HasPrefix(a.Resource, k.String()+"/") {
				continue
			}
			if e := c.entities[k][s[strings.LastIndexByte(s, '/')+1:]]; e == nil || e.ARN != s {
				return malformed(`Invalid principal in policy: "AWS":"%s"`, s)
			}
		}
		return nil
	}
	for st := range each(doc.Get("Statement")) {
		for _, name := range []string{"Principal", "NotPrincipal"} {
			for p := range each(st.Get(name).Get("AWS")) {
				if err := check(p.Str()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// each yields the items of an array, or the one value that stands for them.
func each(v value.Value) func(func(value.Value) bool) {
	return func(yield func(value.Value) bool) {
		if !v.IsArray() {
			if !v.IsUndefined() {
				yield(v)
			}
			return
		}
		for _, x := range v.Items() {
			if !yield(x) {
				return
			}
		}
	}
}

// find is the fault-giving lookup.
func (s *state) find(k Kind, name string) (*entity, error) {
	if e := s.entities[k][name]; e != nil {
		return e, nil
	}
	return nil, noSuchEntity("The %v with name %s cannot be found.", k, name)
}

// Get returns a user, role or group.
func (d *Directory) Get(k Kind, name string) (Entity, error) {
	e, err := d.state.Load().find(k, name)
	if err != nil {
		return Entity{}, err
	}
	return e.Entity, nil
}

// ByID returns the user, role or group with a unique id.
func (d *Directory) ByID(id string) (Entity, bool) {
	if e := d.state.Load().byID[id]; e != nil {
		return e.Entity, true
	}
	return Entity{}, false
}

// List returns the users, roles or groups under a path, by name.
func (d *Directory) List(k Kind, pathPrefix string) []Entity {
	return d.state.Load().list(k, pathPrefix)
}

func (s *state) list(k Kind, pathPrefix string) []Entity {
	all := make([]Entity, 0, len(s.entities[k]))
	for _, e := range s.entities[k] {
		if strings.HasPrefix(e.Path, pathPrefix) {
			all = append(all, e.Entity)
		}
	}
	slices.SortFunc(all, func(a, b Entity) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// edit changes a copy of one entity.
func (d *Directory) edit(ctx context.Context, k Kind, name string, f func(c *change, e *Entity) error) error {
	return d.update(ctx, func(c *change) error {
		old, err := c.find(k, name)
		if err != nil {
			return err
		}
		e := old.Entity
		if err := f(c, &e); err != nil {
			return err
		}
		return c.put(e)
	})
}

// Update is what is changed of an entity; a nil member stays as it is.
type Update struct {
	Name, Path  *string // of a user or group
	Description *string // of a role
	MaxSession  *time.Duration
	Trust       *string
}

// Update changes an entity's attributes.
func (d *Directory) Update(ctx context.Context, k Kind, name string, u Update) error {
	return d.update(ctx, func(c *change) error {
		old, err := c.find(k, name)
		if err != nil {
			return err
		}
		e := old.Entity
		if k == KindRole {
			if u.Name != nil || u.Path != nil {
				return invalidInput("The name and path of a role cannot be changed.")
			}
			if u.Description != nil {
				e.Description = *u.Description
			}
			if u.MaxSession != nil {
				e.MaxSession = *u.MaxSession
			}
			if u.Trust != nil {
				e.Trust = *u.Trust
			}
			if err := c.checkRole(&e); err != nil {
				return err
			}
			return c.put(e)
		}
		if u.Path != nil {
			if f := checkPath(*u.Path); f != nil {
				return f
			}
			e.Path = *u.Path
		}
		if u.Name != nil {
			if f := checkName(*u.Name, "new"+strings.ToUpper(quotas[k].param[:1])+quotas[k].param[1:], quotas[k].nameLength); f != nil {
				return f
			}
			if f := c.free(k, *u.Name, name); f != nil {
				return f
			}
			e.Name = *u.Name
		}
		e.ARN = c.arn(k, e.Path, e.Name)
		if e.Name != name {
			c.remove(old)
			if k == KindGroup {
				if err := c.renameGroup(name, e.Name); err != nil {
					return err
				}
			}
		}
		return c.put(e)
	})
}

func (c *change) renameGroup(from, to string) error {
	for _, m := range c.members(from) {
		u := m.Entity
		u.Groups = slices.Clone(u.Groups)
		u.Groups[slices.Index(u.Groups, from)] = to
		slices.Sort(u.Groups)
		if err := c.put(u); err != nil {
			return err
		}
	}
	return nil
}

// members of a group, by name.
func (s *state) members(group string) (all []*entity) {
	for _, u := range s.entities[KindUser] {
		if slices.Contains(u.Groups, group) {
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(a, b *entity) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Delete removes a user, role or group. One that still has policies, keys or
// members stays.
func (d *Directory) Delete(ctx context.Context, k Kind, name string) error {
	return d.update(ctx, func(c *change) error {
		e, err := c.find(k, name)
		switch {
		case err != nil:
			return err
		case len(e.Attached) > 0:
			return deleteConflict("Cannot delete entity, must detach all policies first.")
		case len(e.Inline) > 0:
			return deleteConflict("Cannot delete entity, must delete policies first.")
		case len(e.Groups) > 0:
			return deleteConflict("Cannot delete entity, must remove user from groups first.")
		case k == KindUser && len(c.keysOf(e.ID)) > 0:
			return deleteConflict("Cannot delete entity, must delete access keys first.")
		case k == KindUser && len(c.apiKeysOf(e.ID)) > 0:
			return deleteConflict("Cannot delete entity, must delete service specific credentials first.")
		case k == KindGroup && len(c.members(name)) > 0:
			return deleteConflict("Cannot delete entity, must remove users from group first.")
		}
		c.remove(e)
		return nil
	})
}

// PutInline sets an inline policy.
func (d *Directory) PutInline(ctx context.Context, k Kind, name, policyName, document string) error {
	return d.edit(ctx, k, name, func(c *change, e *Entity) error {
		if f := checkName(policyName, "policyName", maxInlineName); f != nil {
			return f
		}
		if err := checkDocument(document); err != nil {
			return err
		}
		e.Inline = slices.Clone(e.Inline)
		i, found := findInline(e, policyName)
		if found {
			e.Inline[i].Document = document
		} else {
			e.Inline = slices.Insert(e.Inline, i, Inline{policyName, document})
		}
		size := 0
		for _, in := range e.Inline {
			size += nonSpace(in.Document)
		}
		if limit := quotas[k].inline; size > limit {
			return limitExceeded("Maximum policy size of %d bytes exceeded for %v %s", limit, k, name)
		}
		return nil
	})
}

// checkDocument parses what is to become an identity-based policy.
func checkDocument(document string) error {
	if document == "" || len(document) > 4*maxDocument {
		return constraint("…", "policyDocument", "have length between 1 and %d", maxDocument)
	}
	_, err := iam.Parse(iam.IdentityPolicy, []byte(document))
	return err
}

func findInline(e *Entity, name string) (int, bool) {
	return slices.BinarySearchFunc(e.Inline, name, func(in Inline, name string) int { return strings.Compare(in.Name, name) })
}

// Inline returns an inline policy's document.
func (d *Directory) Inline(k Kind, name, policyName string) (string, error) {
	e, err := d.Get(k, name)
	if err != nil {
		return "", err
	}
	if i, found := findInline(&e, policyName); found {
		return e.Inline[i].Document, nil
	}
	return "", noInline(k, policyName)
}

func noInline(k Kind, policyName string) error {
	return noSuchEntity("The %v policy with name %s cannot be found.", k, policyName)
}

// DeleteInline removes an inline policy.
func (d *Directory) DeleteInline(ctx context.Context, k Kind, name, policyName string) error {
	return d.edit(ctx, k, name, func(c *change, e *Entity) error {
		i, found := findInline(e, policyName)
		if !found {
			return noInline(k, policyName)
		}
		e.Inline = slices.Delete(slices.Clone(e.Inline), i, i+1)
		return nil
	})
}

// Attach attaches a managed policy; one that is attached already stays so.
func (d *Directory) Attach(ctx context.Context, k Kind, name, policyARN string) error {
	return d.edit(ctx, k, name, func(c *change, e *Entity) error {
		if f := c.bindable(policyARN); f != nil {
			return f
		}
		if slices.Contains(e.Attached, policyARN) {
			return nil
		}
		if len(e.Attached) >= maxAttached {
			return limitExceeded("Cannot exceed quota for %s: %d", quotas[k].attached, maxAttached)
		}
		e.Attached = append(slices.Clip(e.Attached), policyARN)
		return nil
	})
}

// Detach detaches a managed policy.
func (d *Directory) Detach(ctx context.Context, k Kind, name, policyARN string) error {
	return d.edit(ctx, k, name, func(c *change, e *Entity) error {
		i := slices.Index(e.Attached, policyARN)
		if i < 0 {
			return noSuchEntity("Policy %s was not found.", policyARN)
		}
		e.Attached = slices.Delete(slices.Clone(e.Attached), i, i+1)
		return nil
	})
}

// SetBoundary sets the permissions boundary of a user or role; "" takes it away.
func (d *Directory) SetBoundary(ctx context.Context, k Kind, name, policyARN string) error {
	return d.edit(ctx, k, name, func(c *change, e *Entity) error {
		switch {
		case k == KindGroup:
			return invalidInput("A group has no permissions boundary.")
		case policyARN == "" && e.Boundary == "":
			return noSuchEntity("%s %s has no permissions boundary.", quotas[k].title, name)
		case policyARN != "":
			if f := c.bindable(policyARN); f != nil {
				return f
			}
		}
		e.Boundary = policyARN
		return nil
	})
}

// Tag adds tags to a user or role, or changes their values.
func (d *Directory) Tag(ctx context.Context, k Kind, name string, tags []Tag) error {
	return d.edit(ctx, k, name, func(c *change, e *Entity) error {
		if k == KindGroup {
			return invalidInput("A group has no tags.")
		}
		if f := checkTags(e.Tags, tags); f != nil {
			return f
		}
		e.Tags = setTags(e.Tags, tags)
		return nil
	})
}

// setTags changes tags at their place and adds new ones at the end.
func setTags(old, tags []Tag) []Tag {
	all := slices.Clone(old)
	for _, t := range tags {
		if i := slices.IndexFunc(all, func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }); i >= 0 {
			all[i] = t
		} else {
			all = append(all, t)
		}
	}
	return all
}

func dropTags(old []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(old), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

// Untag removes tags from a user or role; those that are not there do not matter.
func (d *Directory) Untag(ctx context.Context, k Kind, name string, keys []string) error {
	return d.edit(ctx, k, name, func(c *change, e *Entity) error {
		e.Tags = dropTags(e.Tags, keys)
		return nil
	})
}

// AddToGroup makes a user a member of a group.
func (d *Directory) AddToGroup(ctx context.Context, group, user string) error {
	return d.edit(ctx, KindUser, user, func(c *change, e *Entity) error {
		if _, err := c.find(KindGroup, group); err != nil {
			return err
		}
		i, found := slices.BinarySearch(e.Groups, group)
		if found {
			return nil
		}
		if len(e.Groups) >= maxMembership {
			return limitExceeded("Cannot exceed quota for GroupsPerUser: %d", maxMembership)
		}
		e.Groups = slices.Insert(slices.Clone(e.Groups), i, group)
		return nil
	})
}

// RemoveFromGroup ends a membership.
func (d *Directory) RemoveFromGroup(ctx context.Context, group, user string) error {
	return d.edit(ctx, KindUser, user, func(c *change, e *Entity) error {
		if _, err := c.find(KindGroup, group); err != nil {
			return err
		}
		i, found := slices.BinarySearch(e.Groups, group)
		if !found {
			return noSuchEntity("The user with name %s cannot be found in the group %s.", user, group)
		}
		e.Groups = slices.Delete(slices.Clone(e.Groups), i, i+1)
		return nil
	})
}

// Members returns the users of a group, by name.
func (d *Directory) Members(group string) ([]Entity, error) {
	s := d.state.Load()
	if _, err := s.find(KindGroup, group); err != nil {
		return nil, err
	}
	var all []Entity
	for _, m := range s.members(group) {
		all = append(all, m.Entity)
	}
	return all, nil
}

// Principal returns the user or role with an ARN as it would call, with what
// binds it: for simulations. It has no credentials.
func (d *Directory) Principal(name string) (*Principal, error) {
	s := d.state.Load()
	if name == s.account.rootARN() {
		return d.longTerm(s, s.account.ID), nil
	}
	if e := s.roleByARN(name); e != nil {
		p := d.rolePrincipal(s, e, "simulation")
		return p, nil
	}
	if e := s.entities[KindUser][name[strings.LastIndexByte(name, '/')+1:]]; e != nil && e.ARN == name {
		return d.longTerm(s, e.ID), nil
	}
	return nil, noSuchEntity("The principal %s cannot be found.", name)
}

// keysOf returns the ids of an owner's access keys, oldest first.
func (s *state) keysOf(owner string) (all []*AccessKey) {
	for _, k := range s.keys {
		if k.Owner == owner {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b *AccessKey) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// owner is the unique id of a user, or the account for "", its root.
func (s *state) owner(user string) (string, error) {
	if user == "" {
		return s.account.ID, nil
	}
	e, err := s.find(KindUser, user)
	if err != nil {
		return "", err
	}
	return e.ID, nil
}

// CreateKey makes an access key of a user, or of the root user for "". Only now
// can its secret be learnt.
func (d *Directory) CreateKey(ctx context.Context, user string) (AccessKey, error) {
	var k AccessKey
	err := d.update(ctx, func(c *change) error {
		owner, err := c.owner(user)
		if err != nil {
			return err
		}
		if len(c.keysOf(owner)) >= maxKeys {
			return limitExceeded("Cannot exceed quota for AccessKeysPerUser: %d", maxKeys)
		}
		k = AccessKey{ID: newKeyID("AKIA", c.account.ID), Secret: newSecret(), Owner: owner, Created: c.now}
		return c.putKey(k)
	})
	if err != nil {
		return AccessKey{}, err
	}
	return k, nil
}

// Keys returns a user's access keys without their secrets, oldest first.
func (d *Directory) Keys(user string) ([]AccessKey, error) {
	s := d.state.Load()
	owner, err := s.owner(user)
	if err != nil {
		return nil, err
	}
	var all []AccessKey
	for _, k := range s.keysOf(owner) {
		k := *k
		k.Secret = ""
		all = append(all, k)
	}
	return all, nil
}

// key finds a user's access key.
func (c *change) key(user, id string) (*AccessKey, error) {
	owner, err := c.owner(user)
	if err != nil {
		return nil, err
	}
	if k := c.keys[id]; k != nil && k.Owner == owner {
		return k, nil
	}
	return nil, noSuchEntity("The Access Key with id %s cannot be found.", id)
}

// SetKeyActive lets an access key be used or not.
func (d *Directory) SetKeyActive(ctx context.Context, user, id string, active bool) error {
	return d.update(ctx, func(c *change) error {
		old, err := c.key(user, id)
		if err != nil {
			return err
		}
		k := *old
		k.Inactive = !active
		return c.putKey(k)
	})
}

// DeleteKey removes an access key.
func (d *Directory) DeleteKey(ctx context.Context, user, id string) error {
	return d.update(ctx, func(c *change) error {
		if _, err := c.key(user, id); err != nil {
			return err
		}
		c.removeKey(id)
		return nil
	})
}
