package iamctl

import (
	"context"
	"slices"
	"strings"
	"time"

	"tokaido/awsapi"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/value"
)

var roles = slices.Concat([]operation{
	{"CreateRole", false, createRole},
	{"UpdateRole", false, updateRole},
	{"UpdateRoleDescription", false, updateRoleDescription},
	{"UpdateAssumeRolePolicy", false, updateTrust},
	{"ListInstanceProfilesForRole", true, listInstanceProfilesForRole},
}, common(principal.KindRole), tagged(principal.KindRole))

var users = slices.Concat([]operation{
	{"CreateUser", false, createUser},
	{"UpdateUser", false, rename(principal.KindUser)},
	{"ListGroupsForUser", true, listGroupsForUser},
	{"CreateAccessKey", false, createAccessKey},
	{"ListAccessKeys", true, listAccessKeys},
	{"UpdateAccessKey", false, updateAccessKey},
	{"DeleteAccessKey", false, deleteAccessKey},
}, common(principal.KindUser), tagged(principal.KindUser))

var groups = slices.Concat([]operation{
	{"CreateGroup", false, createGroup},
	{"UpdateGroup", false, rename(principal.KindGroup)},
	{"AddUserToGroup", false, membership((*principal.Directory).AddToGroup)},
	{"RemoveUserFromGroup", false, membership((*principal.Directory).RemoveFromGroup)},
}, common(principal.KindGroup))

// common are the operations that users, roles and groups all have.
func common(k principal.Kind) []operation {
	n := kinds[k]
	return []operation{
		{"Get" + n.title, true, get(k)},
		{"List" + n.title + "s", true, listEntities(k)},
		{"Delete" + n.title, false, simple(k, nil, func(ctx context.Context, d *principal.Directory, e string, _ []string) error {
			return d.Delete(ctx, k, e)
		})},
		{"Put" + n.title + "Policy", false, simple(k, []string{"PolicyName", "PolicyDocument"}, func(ctx context.Context, d *principal.Directory, e string, a []string) error {
			return d.PutInline(ctx, k, e, a[0], a[1])
		})},
		{"Get" + n.title + "Policy", true, getInline(k)},
		{"List" + n.title + "Policies", true, listInline(k)},
		{"Delete" + n.title + "Policy", false, simple(k, []string{"PolicyName"}, func(ctx context.Context, d *principal.Directory, e string, a []string) error {
			return d.DeleteInline(ctx, k, e, a[0])
		})},
		{"Attach" + n.title + "Policy", false, simple(k, []string{"PolicyArn"}, func(ctx context.Context, d *principal.Directory, e string, a []string) error {
			return d.Attach(ctx, k, e, a[0])
		})},
		{"Detach" + n.title + "Policy", false, simple(k, []string{"PolicyArn"}, func(ctx context.Context, d *principal.Directory, e string, a []string) error {
			return d.Detach(ctx, k, e, a[0])
		})},
		{"ListAttached" + n.title + "Policies", true, listAttached(k)},
	}
}

// tagged are the operations of those that have tags and a boundary.
func tagged(k principal.Kind) []operation {
	n := kinds[k]
	return []operation{
		{"Tag" + n.title, false, tag(k)},
		{"Untag" + n.title, false, untag(k)},
		{"List" + n.title + "Tags", true, listTags(k)},
		{"Put" + n.title + "PermissionsBoundary", false, simple(k, []string{"PermissionsBoundary"}, func(ctx context.Context, d *principal.Directory, e string, a []string) error {
			return d.SetBoundary(ctx, k, e, a[0])
		})},
		{"Delete" + n.title + "PermissionsBoundary", false, simple(k, nil, func(ctx context.Context, d *principal.Directory, e string, _ []string) error {
			return d.SetBoundary(ctx, k, e, "")
		})},
	}
}

// simple is an operation without output on an entity, with further arguments that
// are all required. Those that condition keys are made of become such.
func simple(k principal.Kind, params []string, f func(context.Context, *principal.Directory, string, []string) error) build {
	return func(t *table, r *awsapi.Request, a *awsapi.Args) call {
		name := a.Need(kinds[k].param)
		args := make([]string, len(params))
		var keys iam.Context
		for i, p := range params {
			args[i] = a.Need(p)
			switch p {
			case "PolicyArn":
				keys = append(keys, one("iam:PolicyARN", args[i]))
			case "PermissionsBoundary":
				keys = append(keys, one("iam:PermissionsBoundary", args[i]))
			}
		}
		return t.on(k, name, keys...).doing(done(func(ctx context.Context) error { return f(ctx, t.dir, name, args) }))
	}
}

// show is an entity as an answer has it; lists have less of it.
func show(e *principal.Entity, inList bool) value.Value {
	n := kinds[e.Kind]
	m := []value.Member{
		member("Path", str(e.Path)), member(n.param, str(e.Name)), member(n.title+"Id", str(e.ID)), member("Arn", str(e.ARN)), created(e),
	}
	if e.Kind == principal.KindRole {
		m = append(m, member("AssumeRolePolicyDocument", document(e.Trust)), member("Description", text(e.Description)),
			member("MaxSessionDuration", value.Int(int64(e.MaxSession/time.Second))))
	}
	if !inList {
		m = append(m, member("PermissionsBoundary", boundary(e.Boundary)), member("Tags", someTags(e.Tags)))
	}
	return value.Object(m...)
}

// shown wraps an entity as the operations that return one do.
func shown(e *principal.Entity) value.Value {
	return value.Object(member(kinds[e.Kind].title, show(e, false)))
}

// create is the part that the Create operations share.
func (t *table) create(a *awsapi.Args, n principal.NewEntity) call {
	n.Name, n.Path = a.Need(kinds[n.Kind].param), a.String("Path")
	keys := requestTags(n.Tags)
	if n.Boundary != "" {
		keys = append(keys, one("iam:PermissionsBoundary", n.Boundary))
	}
	return call{
		resource: t.newARN(n.Kind.String(), n.Path, n.Name), kind: kinds[n.Kind].record, context: keys,
		do: func(ctx context.Context) (value.Value, error) {
			e, err := t.dir.Create(ctx, n)
			if err != nil {
				return none, err
			}
			return shown(&e), nil
		},
	}
}

func createRole(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	return t.create(a, principal.NewEntity{
		Kind: principal.KindRole, Trust: a.Need("AssumeRolePolicyDocument"), Description: a.String("Description"),
		MaxSession: time.Duration(a.Int("MaxSessionDuration", 3600, 43200, 0)) * time.Second,
		Boundary:   a.String("PermissionsBoundary"), Tags: readTags(a),
	})
}

func createUser(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	return t.create(a, principal.NewEntity{Kind: principal.KindUser, Boundary: a.String("PermissionsBoundary"), Tags: readTags(a)})
}

func createGroup(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	return t.create(a, principal.NewEntity{Kind: principal.KindGroup})
}

func updateRole(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	name := a.Need("RoleName")
	var u principal.Update
	if a.Has("Description") {
		u.Description = new(a.String("Description"))
	}
	if a.Has("MaxSessionDuration") {
		u.MaxSession = new(time.Duration(a.Int("MaxSessionDuration", 3600, 43200, 0)) * time.Second)
	}
	return t.on(principal.KindRole, name).doing(func(ctx context.Context) (value.Value, error) {
		return value.Object(), t.dir.Update(ctx, principal.KindRole, name, u)
	})
}

func updateRoleDescription(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	name, description := a.Need("RoleName"), a.Need("Description")
	return t.on(principal.KindRole, name).doing(func(ctx context.Context) (value.Value, error) {
		if err := t.dir.Update(ctx, principal.KindRole, name, principal.Update{Description: &description}); err != nil {
			return none, err
		}
		e, err := t.dir.Get(principal.KindRole, name)
		if err != nil {
			return none, err
		}
		return shown(&e), nil
	})
}

func updateTrust(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	name, trust := a.Need("RoleName"), a.Need("PolicyDocument")
	return t.on(principal.KindRole, name).doing(done(func(ctx context.Context) error {
		return t.dir.Update(ctx, principal.KindRole, name, principal.Update{Trust: &trust})
	}))
}

// rename is UpdateUser and UpdateGroup.
func rename(k principal.Kind) build {
	n := kinds[k]
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name := a.Need(n.param)
		var u principal.Update
		if a.Has("NewPath") {
			u.Path = new(a.String("NewPath"))
		}
		if a.Has("New" + n.param) {
			u.Name = new(a.String("New" + n.param))
		}
		return t.on(k, name).doing(done(func(ctx context.Context) error { return t.dir.Update(ctx, k, name, u) }))
	}
}

// self is the user that a request without UserName is about: the caller. ok is
// false where there is none; the root user is "".
func self(r *awsapi.Request) (name string, ok bool) {
	switch r.By.Type {
	case principal.User:
		return r.By.Name, true
	case principal.Root:
		return "", true
	}
	return "", false
}

func notAUser() (value.Value, error) {
	return none, fault.Newf("ValidationError", "Must specify userName when calling with non-User credentials")
}

// onUser is a call about the user in UserName, or else about the caller. For
// the root user name is "".
func (t *table) onUser(r *awsapi.Request, a *awsapi.Args) (name string, c call, ok bool) {
	if a.Has("UserName") {
		name = a.Need("UserName")
		return name, t.on(principal.KindUser, name), true
	}
	name, ok = self(r)
	if name != "" {
		return name, t.on(principal.KindUser, name), ok
	}
	c = call{resource: t.newARN("user", "/", "*"), kind: ""}
	if ok {
		c.resource = "arn:aws:iam::" + t.account() + ":root"
	}
	return name, c, ok
}

func get(k principal.Kind) build {
	switch k {
	case principal.KindUser:
		return getUser
	case principal.KindGroup:
		return getGroup
	}
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name := a.Need(kinds[k].param)
		return t.on(k, name).doing(func(context.Context) (value.Value, error) {
			e, err := t.dir.Get(k, name)
			if err != nil {
				return none, err
			}
			v := shown(&e)
			// When a role was last used is not kept: an empty structure says so.
			return v.With("Role", v.Get("Role").With("RoleLastUsed", value.Object())), nil
		})
	}
}

func getUser(t *table, r *awsapi.Request, a *awsapi.Args) call {
	name, c, ok := t.onUser(r, a)
	return c.doing(func(context.Context) (value.Value, error) {
		switch {
		case !ok:
			return notAUser()
		case name == "" && !r.Input.Has("UserName"): // the root user has no name
			return value.Object(member("User", value.Object(
				member("Path", str("/")), member("UserName", str("root")), member("UserId", str(t.account())), member("Arn", str(r.By.ARN)),
				member("CreateDate", str("1970-01-01T00:00:00Z")),
			))), nil
		}
		e, err := t.dir.Get(principal.KindUser, name)
		if err != nil {
			return none, err
		}
		return shown(&e), nil
	})
}

func byName(e principal.Entity) string { return e.Name }

func listed(e principal.Entity) value.Value { return show(&e, true) }

func getGroup(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	name, p := a.Need("GroupName"), readPage(a)
	return t.on(principal.KindGroup, name).doing(func(context.Context) (value.Value, error) {
		g, err := t.dir.Get(principal.KindGroup, name)
		if err != nil {
			return none, err
		}
		all, err := t.dir.Members(name)
		if err != nil {
			return none, err
		}
		v, err := listing(p, "Users", all, byName, listed)
		if err != nil {
			return none, err
		}
		return v.With("Group", show(&g, true)), nil
	})
}

func listEntities(k principal.Kind) build {
	n := kinds[k]
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		under, p := prefix(a), readPage(a)
		return call{resource: t.newARN(k.String(), under, "*"), do: func(context.Context) (value.Value, error) {
			return listing(p, n.title+"s", t.dir.List(k, under), byName, listed)
		}}
	}
}

func getInline(k principal.Kind) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name, policy := a.Need(kinds[k].param), a.Need("PolicyName")
		return t.on(k, name).doing(func(context.Context) (value.Value, error) {
			doc, err := t.dir.Inline(k, name, policy)
			if err != nil {
				return none, err
			}
			return value.Object(member(kinds[k].param, str(name)), member("PolicyName", str(policy)), member("PolicyDocument", document(doc))), nil
		})
	}
}

func listInline(k principal.Kind) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name, p := a.Need(kinds[k].param), readPage(a)
		return t.on(k, name).doing(func(context.Context) (value.Value, error) {
			e, err := t.dir.Get(k, name)
			if err != nil {
				return none, err
			}
			return listing(p, "PolicyNames", e.Inline, func(in principal.Inline) string { return in.Name },
				func(in principal.Inline) value.Value { return str(in.Name) })
		})
	}
}

func listAttached(k principal.Kind) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name, under, p := a.Need(kinds[k].param), prefix(a), readPage(a)
		return t.on(k, name).doing(func(context.Context) (value.Value, error) {
			e, err := t.dir.Get(k, name)
			if err != nil {
				return none, err
			}
			var arns []string
			for _, arn := range e.Attached {
				if _, path, _ := strings.Cut(arn, ":policy"); strings.HasPrefix(path, under) {
					arns = append(arns, arn)
				}
			}
			slices.Sort(arns)
			return listing(p, "AttachedPolicies", arns, func(s string) string { return s }, func(s string) value.Value {
				return value.Object(member("PolicyName", str(s[strings.LastIndexByte(s, '/')+1:])), member("PolicyArn", str(s)))
			})
		})
	}
}

func tag(k principal.Kind) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name, tags := a.Need(kinds[k].param), readTags(a)
		return t.on(k, name, requestTags(tags)...).doing(done(func(ctx context.Context) error { return t.dir.Tag(ctx, k, name, tags) }))
	}
}

func untag(k principal.Kind) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name, keys := a.Need(kinds[k].param), a.Strings("TagKeys", maxTags)
		return t.on(k, name, tagKeys(keys)...).doing(done(func(ctx context.Context) error { return t.dir.Untag(ctx, k, name, keys) }))
	}
}

func listTags(k principal.Kind) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		name, p := a.Need(kinds[k].param), readPage(a)
		return t.on(k, name).doing(func(context.Context) (value.Value, error) {
			e, err := t.dir.Get(k, name)
			if err != nil {
				return none, err
			}
			return tagPage(p, e.Tags)
		})
	}
}

// tagPage lists tags by their keys.
func tagPage(p page, tags []principal.Tag) (value.Value, error) {
	tags = slices.SortedFunc(slices.Values(tags), func(x, y principal.Tag) int { return strings.Compare(x.Key, y.Key) })
	return listing(p, "Tags", tags, func(t principal.Tag) string { return t.Key },
		func(t principal.Tag) value.Value {
			return value.Object(member("Key", str(t.Key)), member("Value", str(t.Value)))
		})
}

func membership(f func(d *principal.Directory, ctx context.Context, group, user string) error) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		group, user := a.Need("GroupName"), a.Need("UserName")
		return t.on(principal.KindGroup, group).doing(done(func(ctx context.Context) error { return f(t.dir, ctx, group, user) }))
	}
}

func listGroupsForUser(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	name, p := a.Need("UserName"), readPage(a)
	return t.on(principal.KindUser, name).doing(func(context.Context) (value.Value, error) {
		u, err := t.dir.Get(principal.KindUser, name)
		if err != nil {
			return none, err
		}
		var all []principal.Entity
		for _, g := range u.Groups {
			if e, err := t.dir.Get(principal.KindGroup, g); err == nil {
				all = append(all, e)
			}
		}
		return listing(p, "Groups", all, byName, listed)
	})
}

// listInstanceProfilesForRole is for Terraform, which asks before it deletes a
// role. There are no instance profiles here.
func listInstanceProfilesForRole(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	name, p := a.Need("RoleName"), readPage(a)
	return t.on(principal.KindRole, name).doing(func(context.Context) (value.Value, error) {
		if _, err := t.dir.Get(principal.KindRole, name); err != nil {
			return none, err
		}
		return listing(p, "InstanceProfiles", []string(nil), func(s string) string { return s }, str)
	})
}

func keyMembers(user string, k principal.AccessKey) []value.Member {
	status := "Active"
	if k.Inactive {
		status = "Inactive"
	}
	e := principal.Entity{Created: k.Created}
	return []value.Member{member("UserName", text(user)), member("AccessKeyId", str(k.ID)), member("Status", str(status)), created(&e)}
}

func createAccessKey(t *table, r *awsapi.Request, a *awsapi.Args) call {
	name, c, ok := t.onUser(r, a)
	return c.doing(func(ctx context.Context) (value.Value, error) {
		if !ok {
			return notAUser()
		}
		k, err := t.dir.CreateKey(ctx, name)
		if err != nil {
			return none, err
		}
		m := append(keyMembers(name, k), member("SecretAccessKey", str(string(k.Secret))))
		return value.Object(member("AccessKey", value.Object(m...))), nil
	})
}

func listAccessKeys(t *table, r *awsapi.Request, a *awsapi.Args) call {
	name, c, ok := t.onUser(r, a)
	p := readPage(a)
	return c.doing(func(context.Context) (value.Value, error) {
		if !ok {
			return notAUser()
		}
		ks, err := t.dir.Keys(name)
		if err != nil {
			return none, err
		}
		v, err := listing(p, "AccessKeyMetadata", ks, func(k principal.AccessKey) string { return k.Created.UTC().Format(time.RFC3339) + k.ID },
			func(k principal.AccessKey) value.Value { return value.Object(keyMembers(name, k)...) })
		return v, err
	})
}

func updateAccessKey(t *table, r *awsapi.Request, a *awsapi.Args) call {
	name, c, ok := t.onUser(r, a)
	id, _ := a.Need("AccessKeyId"), a.Need("Status")
	status := a.Enum("Status", "Active", "Inactive")
	return c.doing(func(ctx context.Context) (value.Value, error) {
		if !ok {
			return notAUser()
		}
		return none, t.dir.SetKeyActive(ctx, name, id, status == "Active")
	})
}

func deleteAccessKey(t *table, r *awsapi.Request, a *awsapi.Args) call {
	name, c, ok := t.onUser(r, a)
	id := a.Need("AccessKeyId")
	return c.doing(func(ctx context.Context) (value.Value, error) {
		if !ok {
			return notAUser()
		}
		return none, t.dir.DeleteKey(ctx, name, id)
	})
}
