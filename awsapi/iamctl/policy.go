package iamctl

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/principal"
	"tokaido/value"
)

var policies = []operation{
	{"CreatePolicy", false, createPolicy},
	{"GetPolicy", true, getPolicy},
	{"ListPolicies", true, listPolicies},
	{"DeletePolicy", false, simplePolicy(nil, func(ctx context.Context, d *principal.Directory, arn string, _ []string) error {
		return d.DeletePolicy(ctx, arn)
	})},
	{"CreatePolicyVersion", false, createVersion},
	{"GetPolicyVersion", true, getVersion},
	{"ListPolicyVersions", true, listVersions},
	{"SetDefaultPolicyVersion", false, simplePolicy([]string{"VersionId"}, func(ctx context.Context, d *principal.Directory, arn string, a []string) error {
		return d.SetDefaultVersion(ctx, arn, a[0])
	})},
	{"DeletePolicyVersion", false, simplePolicy([]string{"VersionId"}, func(ctx context.Context, d *principal.Directory, arn string, a []string) error {
		return d.DeleteVersion(ctx, arn, a[0])
	})},
	{"ListEntitiesForPolicy", true, listEntitiesForPolicy},
	{"TagPolicy", false, tagPolicy},
	{"UntagPolicy", false, untagPolicy},
	{"ListPolicyTags", true, listPolicyTags},
}

// simplePolicy is an operation without output on a managed policy.
func simplePolicy(params []string, f func(context.Context, *principal.Directory, string, []string) error) build {
	return func(t *table, _ *awsapi.Request, a *awsapi.Args) call {
		arn := a.Need("PolicyArn")
		args := make([]string, len(params))
		for i, p := range params {
			args[i] = a.Need(p)
		}
		return t.onPolicy(arn).doing(done(func(ctx context.Context) error { return f(ctx, t.dir, arn, args) }))
	}
}

// showPolicy is a managed policy as an answer has it; lists have less of it.
func showPolicy(p *principal.Policy, inList bool) value.Value {
	m := []value.Member{
		member("PolicyName", str(p.Name)), member("PolicyId", str(p.ID)), member("Arn", str(p.ARN)), member("Path", str(p.Path)),
		member("DefaultVersionId", str(p.Default)), member("AttachmentCount", value.Int(int64(p.Attachments))),
		member("PermissionsBoundaryUsageCount", value.Int(int64(p.Boundaries))), member("IsAttachable", value.Bool(true)),
		member("CreateDate", wire.ISO8601(p.Created)), member("UpdateDate", wire.ISO8601(p.Updated)),
	}
	if !inList {
		m = append(m, member("Description", text(p.Description)), member("Tags", someTags(p.Tags)))
	}
	return value.Object(m...)
}

func createPolicy(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	n := principal.NewPolicy{
		Name: a.Need("PolicyName"), Path: a.String("Path"), Document: a.Need("PolicyDocument"), Description: a.String("Description"), Tags: readTags(a),
	}
	return call{resource: t.newARN("policy", n.Path, n.Name), kind: policyType, context: requestTags(n.Tags), do: func(ctx context.Context) (value.Value, error) {
		p, err := t.dir.CreatePolicy(ctx, n)
		if err != nil {
			return none, err
		}
		return value.Object(member("Policy", showPolicy(&p, false))), nil
	}}
}

func getPolicy(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	arn := a.Need("PolicyArn")
	return t.onPolicy(arn).doing(func(context.Context) (value.Value, error) {
		p, err := t.dir.Policy(arn)
		if err != nil {
			return none, err
		}
		return value.Object(member("Policy", showPolicy(&p, false))), nil
	})
}

func listPolicies(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	scopes := map[string]principal.Scope{"": principal.AllPolicies, "All": principal.AllPolicies, "AWS": principal.AWSPolicies, "Local": principal.LocalPolicies}
	scope, used := a.Enum("Scope", "All", "AWS", "Local"), a.Enum("PolicyUsageFilter", "PermissionsPolicy", "PermissionsBoundary")
	attached, under, p := a.Bool("OnlyAttached"), prefix(a), readPage(a)
	return call{resource: t.newARN("policy", under, "*"), do: func(context.Context) (value.Value, error) {
		all := slices.DeleteFunc(t.dir.ListPolicies(scopes[scope], under), func(p principal.Policy) bool {
			return attached && p.Attachments == 0 && used != "PermissionsBoundary" ||
				used == "PermissionsPolicy" && p.Attachments == 0 || used == "PermissionsBoundary" && p.Boundaries == 0
		})
		return listing(p, "Policies", all, func(p principal.Policy) string { return p.Name + "\x00" + p.ARN },
			func(p principal.Policy) value.Value { return showPolicy(&p, true) })
	}}
}

func showVersion(v principal.Version, inForce, withDocument bool) value.Value {
	doc := value.Value{}
	if withDocument {
		doc = document(v.Document)
	}
	return value.Object(member("Document", doc), member("VersionId", str(v.ID)), member("IsDefaultVersion", value.Bool(inForce)),
		member("CreateDate", wire.ISO8601(v.Created)))
}

func createVersion(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	arn, doc, inForce := a.Need("PolicyArn"), a.Need("PolicyDocument"), a.Bool("SetAsDefault")
	return t.onPolicy(arn).doing(func(ctx context.Context) (value.Value, error) {
		v, err := t.dir.CreateVersion(ctx, arn, doc, inForce)
		if err != nil {
			return none, err
		}
		return value.Object(member("PolicyVersion", showVersion(v, inForce, false))), nil
	})
}

func getVersion(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	arn, id := a.Need("PolicyArn"), a.Need("VersionId")
	return t.onPolicy(arn).doing(func(context.Context) (value.Value, error) {
		v, inForce, err := t.dir.PolicyVersion(arn, id)
		if err != nil {
			return none, err
		}
		return value.Object(member("PolicyVersion", showVersion(v, inForce, true))), nil
	})
}

func listVersions(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	arn, p := a.Need("PolicyArn"), readPage(a)
	return t.onPolicy(arn).doing(func(context.Context) (value.Value, error) {
		policy, err := t.dir.Policy(arn)
		if err != nil {
			return none, err
		}
		newest := slices.Clone(policy.Versions)
		slices.Reverse(newest)
		key := func(v principal.Version) string { // rises from the newest to the oldest
			n, _ := strconv.Atoi(strings.TrimPrefix(v.ID, "v"))
			return fmt.Sprintf("%010d", 1_000_000_000-n)
		}
		return listing(p, "Versions", newest, key, func(v principal.Version) value.Value { return showVersion(v, v.ID == policy.Default, false) })
	})
}

func tagPolicy(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	arn, tags := a.Need("PolicyArn"), readTags(a)
	return t.onPolicy(arn, requestTags(tags)...).doing(done(func(ctx context.Context) error { return t.dir.TagPolicy(ctx, arn, tags) }))
}

func untagPolicy(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	arn, keys := a.Need("PolicyArn"), a.Strings("TagKeys", maxTags)
	return t.onPolicy(arn, tagKeys(keys)...).doing(done(func(ctx context.Context) error { return t.dir.UntagPolicy(ctx, arn, keys) }))
}

func listPolicyTags(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	arn, p := a.Need("PolicyArn"), readPage(a)
	return t.onPolicy(arn).doing(func(context.Context) (value.Value, error) {
		policy, err := t.dir.Policy(arn)
		if err != nil {
			return none, err
		}
		return tagPage(p, policy.Tags)
	})
}

// listEntitiesForPolicy lists users, roles and groups on the same pages.
func listEntitiesForPolicy(t *table, _ *awsapi.Request, a *awsapi.Args) call {
	filters := map[string]principal.Kind{"User": principal.KindUser, "Role": principal.KindRole, "Group": principal.KindGroup}
	arn, filter := a.Need("PolicyArn"), a.Enum("EntityFilter", "User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")
	used, under, p := a.Enum("PolicyUsageFilter", "PermissionsPolicy", "PermissionsBoundary"), prefix(a), readPage(a)
	return t.onPolicy(arn).doing(func(context.Context) (value.Value, error) {
		attached, bounded, err := t.dir.PolicyEntities(arn)
		if err != nil {
			return none, err
		}
		var all []principal.Entity
		if used != "PermissionsBoundary" {
			all = append(all, attached...)
		}
		if used != "PermissionsPolicy" {
			all = append(all, bounded...)
		}
		key := func(e principal.Entity) string { return strconv.Itoa(int(e.Kind)) + e.Name }
		all = slices.DeleteFunc(all, func(e principal.Entity) bool {
			return filter != "" && e.Kind != filters[filter] || !strings.HasPrefix(e.Path, under)
		})
		slices.SortFunc(all, func(x, y principal.Entity) int { return strings.Compare(key(x), key(y)) })
		all = slices.CompactFunc(all, func(x, y principal.Entity) bool { return key(x) == key(y) })
		all, m, err := cut(p, all, key)
		if err != nil {
			return none, err
		}
		out := map[principal.Kind][]value.Value{}
		for _, e := range all {
			n := kinds[e.Kind]
			out[e.Kind] = append(out[e.Kind], value.Object(member(n.param, str(e.Name)), member(n.title+"Id", str(e.ID))))
		}
		return value.Object(append([]value.Member{
			member("PolicyGroups", value.Array(out[principal.KindGroup]...)), member("PolicyUsers", value.Array(out[principal.KindUser]...)),
			member("PolicyRoles", value.Array(out[principal.KindRole]...)),
		}, m...)...), nil
	})
}
