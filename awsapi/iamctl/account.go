package iamctl

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// accounts are the operations about the account as a whole, and those that
// clients ask before they delete something, about what there is none of here:
// MFA devices, passwords, certificates, identity providers, instance profiles.
var accounts = []operation{
	{"GetAccountSummary", true, accountSummary},
	{"GetAccountAuthorizationDetails", true, authorizationDetails},
	{"ListAccountAliases", true, listAliases},
	{"CreateAccountAlias", false, setAlias((*principal.Directory).SetAlias)},
	{"DeleteAccountAlias", false, setAlias((*principal.Directory).RemoveAlias)},
	{"GetAccessKeyLastUsed", true, keyLastUsed},

	{"CreateServiceLinkedRole", false, refusedLinkedRole},
	{"CreateLoginProfile", false, refusedPassword},
	{"UpdateLoginProfile", false, noPassword("Password", "PasswordResetRequired")},
	{"GetLoginProfile", true, noPassword()},
	{"DeleteLoginProfile", false, noPassword()},
	{"GetAccountPasswordPolicy", true, noPasswordPolicy},

	{"ListMFADevices", true, noneOfUser("MFADevices")},
	{"ListSSHPublicKeys", true, noneOfUser("SSHPublicKeys")},
	{"ListSigningCertificates", true, noneOfUser("Certificates")},
	{"ListVirtualMFADevices", true, noneAtAll("VirtualMFADevices", "*")},
	{"ListInstanceProfiles", true, noneAtAll("InstanceProfiles", "instance-profile")},
	{"ListServerCertificates", true, noneAtAll("ServerCertificateMetadataList", "*")},
	{"ListSAMLProviders", true, noneAtAll("SAMLProviderList", "*")},
	{"ListOpenIDConnectProviders", true, noneAtAll("OpenIDConnectProviderList", "*")},
}

func accountSummary(t *table, _ *awsapi.Request, _ *awsapi.Args) call {
	return call{resource: "*", do: func(context.Context) (value.Value, error) {
		var entries []value.Value
		s := t.dir.Summary()
		for _, k := range slices.Sorted(maps.Keys(s)) {
			entries = append(entries, value.Object(member("key", str(k)), member("value", value.Int(int64(s[k])))))
		}
		return value.Object(member("SummaryMap", value.Array(entries...))), nil
	}}
}

// detail is one item of GetAccountAuthorizationDetails, and which list it is in.
type detail struct {
	list, key string
	show      func() value.Value
}

func authorizationDetails(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	filters := []string{"User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"}
	only := a.Strings("Filter", len(filters))
	for _, f := range only {
		a.Check(slices.Contains(filters, f), "Filter", "satisfy enum value set: ["+strings.Join(filters, ", ")+"]")
	}
	p := readPage(a)
	return call{resource: "*", do: func(context.Context) (value.Value, error) {
		var all []detail
		for i, f := range filters {
			if len(only) > 0 && !slices.Contains(only, f) {
				continue
			}
			add := func(list, name string, show func() value.Value) {
				all = append(all, detail{list, fmt.Sprint(i, name), show})
			}
			switch f {
			case "LocalManagedPolicy", "AWSManagedPolicy":
				scope := principal.LocalPolicies
				if f == "AWSManagedPolicy" {
					scope = principal.AWSPolicies
				}
				for _, m := range t.dir.ListPolicies(scope, "/") {
					if m.AWS && m.Attachments+m.Boundaries == 0 {
						continue // of the others there are a thousand at AWS
					}
					add("Policies", m.ARN, func() value.Value { return policyDetail(&m) })
				}
			default:
				k := map[string]principal.Kind{"User": principal.KindUser, "Group": principal.KindGroup, "Role": principal.KindRole}[f]
				for _, e := range t.dir.List(k, "/") {
					add(f+"DetailList", e.Name, func() value.Value { return entityDetail(&e) })
				}
			}
		}
		slices.SortFunc(all, func(x, y detail) int { return strings.Compare(x.key, y.key) })
		all, m, err := cut(p, all, func(d detail) string { return d.key })
		if err != nil {
			return none, err
		}
		lists := map[string][]value.Value{}
		for _, d := range all {
			lists[d.list] = append(lists[d.list], d.show())
		}
		var out []value.Member
		for _, name := range []string{"UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"} {
			out = append(out, member(name, value.Array(lists[name]...)))
		}
		return value.Object(append(out, m...)...), nil
	}}
}

// entityDetail is an entity with all that is attached to it.
func entityDetail(e *principal.Entity) value.Value {
	n := kinds[e.Kind]
	var inline, attached, groups []value.Value
	for _, in := range e.Inline {
		inline = append(inline, value.Object(member("PolicyName", str(in.Name)), member("PolicyDocument", document(in.Document))))
	}
	for _, arn := range e.Attached {
		attached = append(attached, value.Object(member("PolicyName", str(arn[strings.LastIndexByte(arn, '/')+1:])), member("PolicyArn", str(arn))))
	}
	for _, g := range e.Groups {
		groups = append(groups, str(g))
	}
	m := []value.Member{
		member("Path", str(e.Path)), member(n.param, str(e.Name)), member(n.title+"Id", str(e.ID)), member("Arn", str(e.ARN)), created(e),
		member(n.title+"PolicyList", value.Array(inline...)), member("AttachedManagedPolicies", value.Array(attached...)),
	}
	switch e.Kind {
	case principal.KindUser:
		m = append(m, member("GroupList", value.Array(groups...)))
	case principal.KindRole:
		m = append(m, member("AssumeRolePolicyDocument", document(e.Trust)), member("InstanceProfileList", value.Array()), member("RoleLastUsed", value.Object()))
	}
	if e.Kind != principal.KindGroup {
		m = append(m, member("PermissionsBoundary", boundary(e.Boundary)), member("Tags", tagList(e.Tags)))
	}
	return value.Object(m...)
}

func policyDetail(p *principal.Policy) value.Value {
	var versions []value.Value
	for _, v := range slices.Backward(p.Versions) {
		versions = append(versions, showVersion(v, v.ID == p.Default, true))
	}
	return showPolicy(p, true).With("Description", text(p.Description)).With("PolicyVersionList", value.Array(versions...))
}

func listAliases(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	p := readPage(a)
	return call{resource: "*", do: func(context.Context) (value.Value, error) {
		var all []string
		if alias := t.dir.Alias(); alias != "" {
			all = []string{alias}
		}
		return listing(p, "AccountAliases", all, func(s string) string { return s }, str)
	}}
}

var aliasForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9]|-[a-z0-9]){1,61}[a-z0-9]$`)

func setAlias(f func(*principal.Directory, context.Context, string) error) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		alias := a.Need("AccountAlias")
		a.Check(alias == "" || len(alias) <= 63 && aliasForm.MatchString(alias), "AccountAlias", `satisfy regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`)
		return call{resource: "*", do: done(func(ctx context.Context) error { return f(t.dir, ctx, alias) })}
	}
}

// keyLastUsed says whose a key is, and what the newest record of a call with it
// says. Records that are gone are as those of a key that was never used.
func keyLastUsed(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	id := a.Need("AccessKeyId")
	owner, ok := t.dir.KeyOwner(id)
	c := call{resource: t.newARN("user", "/", "*")}
	if ok && owner != "" {
		c = t.on(principal.KindUser, owner)
	}
	return c.doing(func(ctx context.Context) (value.Value, error) {
		if !ok {
			return none, &fault.Error{Kind: fault.Client, Code: "AccessDenied", Status: http.StatusForbidden, Message: "The Access Key with id " + id + " cannot be found."}
		}
		used := value.Object(member("ServiceName", str("N/A")), member("Region", str("N/A")))
		r, err := t.lastUse(ctx, id)
		if err != nil {
			return none, fmt.Errorf("when the key %s was last used: %w", id, err)
		}
		if r != nil {
			used = value.Object(member("LastUsedDate", wire.ISO8601(r.Time)), member("ServiceName", str(strings.TrimSuffix(r.Source, ".amazonaws.com"))), member("Region", str(r.Region)))
		}
		return value.Object(member("UserName", text(owner)), member("AccessKeyLastUsed", used)), nil
	})
}

// maxRejected is how many pages of the trail may hold nothing but calls that only
// named a key, and were not signed with it, before a use of it is given up.
const maxRejected = 20

// lastUse is the newest record of a call that a key signed; nil if there is none.
func (t *table) lastUse(ctx context.Context, key string) (*trail.Record, error) {
	q := trail.Query{Attribute: trail.ByAccessKeyID, Value: key}
	for range maxRejected {
		p, err := t.log.Lookup(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range p.Records {
			if r.Identity.Type != "Unknown" {
				return r, nil
			}
		}
		if q.Token = p.Next; q.Token == "" {
			break
		}
	}
	return nil, nil
}

// refusedLinkedRole refuses what nothing here would use.
func refusedLinkedRole(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	service := a.Need("AWSServiceName")
	a.String("Description")
	a.String("CustomSuffix")
	c := call{resource: t.newARN("role", "/aws-service-role/"+service+"/", "*"), context: iam.Context{one("iam:AWSServiceName", service)}}
	return c.doing(func(context.Context) (value.Value, error) {
		return none, fault.Newf("InvalidInput", "Service-linked roles are not supported by this server, for no service: AWSServiceName %.128s is refused.", service)
	})
}

// refusedPassword: the console signs in by a link or an access key.
func refusedPassword(t *table, r *awsapi.Request, a *awsapi.Args) call {
	_, c, ok := t.onUser(r, a)
	a.String("Password")
	a.Bool("PasswordResetRequired")
	return c.doing(func(context.Context) (value.Value, error) {
		if !ok {
			return notAUser()
		}
		return none, fault.Newf("InvalidInput", "Passwords are not supported by this server: the console signs in by a one-time link or by an access key.")
	})
}

// noPassword answers for login profiles, which nobody has.
func noPassword(more ...string) build {
	return func(t *table, r *awsapi.Request, a *awsapi.Args) call {
		name, c, ok := t.onUser(r, a)
		for _, m := range more {
			a.Has(m)
		}
		return c.doing(func(context.Context) (value.Value, error) {
			if !ok {
				return notAUser()
			}
			if name != "" {
				if _, err := t.dir.Get(principal.KindUser, name); err != nil {
					return none, err
				}
			}
			return none, fault.Newf("NoSuchEntity", "Login Profile for User %s cannot be found.", name)
		})
	}
}

func noPasswordPolicy(t *table, _ *awsapi.Request, _ *awsapi.Args) call {
	return call{resource: "*", do: func(context.Context) (value.Value, error) {
		return none, fault.Newf("NoSuchEntity", "The Password Policy with domain name %s cannot be found.", t.account())
	}}
}

// noneOfUser lists what no user has here.
func noneOfUser(list string) build {
	return func(t *table, r *awsapi.Request, a *awsapi.Args) call {
		name, c, ok := t.onUser(r, a)
		p := readPage(a)
		return c.doing(func(context.Context) (value.Value, error) {
			if !ok {
				return notAUser()
			}
			if name != "" {
				if _, err := t.dir.Get(principal.KindUser, name); err != nil {
					return none, err
				}
			}
			return listing(p, list, []string(nil), func(s string) string { return s }, str)
		})
	}
}

// noneAtAll lists what there is none of.
func noneAtAll(list, kind string) build {
	return func(t *table, r *awsapi.Request, a *awsapi.Args) call {
		switch r.Op.Name {
		case "ListSAMLProviders", "ListOpenIDConnectProviders":
			return call{resource: "*", do: func(context.Context) (value.Value, error) { return value.Object(member(list, value.Array())), nil }}
		case "ListVirtualMFADevices":
			a.Enum("AssignmentStatus", "Assigned", "Unassigned", "Any")
		default:
			prefix(a)
		}
		p, resource := readPage(a), "*"
		if kind != "*" {
			resource = t.newARN(kind, "/", "*")
		}
		return call{resource: resource, do: func(context.Context) (value.Value, error) {
			return listing(p, list, []string(nil), func(s string) string { return s }, str)
		}}
	}
}
