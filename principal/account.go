package principal

import (
	"context"
	"maps"
)

// Alias is the account's; "" if it has none.
func (d *Directory) Alias() string { return d.state.Load().account.Alias }

// SetAlias gives the account an alias in place of the one it had.
func (d *Directory) SetAlias(ctx context.Context, alias string) error {
	return d.update(ctx, func(c *change) error {
		c.account.Alias = alias
		return c.save(accountKey, c.account)
	})
}

// RemoveAlias takes the alias away.
func (d *Directory) RemoveAlias(ctx context.Context, alias string) error {
	return d.update(ctx, func(c *change) error {
		if c.account.Alias != alias || alias == "" {
			return noSuchEntity("The account alias %s cannot be found.", alias)
		}
		c.account.Alias = ""
		return c.save(accountKey, c.account)
	})
}

// KeyOwner is the name of the user that an access key belongs to; "" for the
// root user. ok is false if there is no such key.
func (d *Directory) KeyOwner(id string) (user string, ok bool) {
	s := d.state.Load()
	k := s.keys[id]
	if k == nil {
		return "", false
	}
	if e := s.byID[k.Owner]; e != nil {
		return e.Name, true
	}
	return "", k.Owner == s.account.ID
}

// Summary counts what there is, beside its quotas, in the words of IAM's
// GetAccountSummary.
func (d *Directory) Summary() map[string]int {
	s := d.state.Load()
	versions := 0
	for p := range maps.Values(s.policies) {
		versions += len(p.Versions)
	}
	present := 0
	if len(s.keysOf(s.account.ID)) > 0 {
		present = 1
	}
	return map[string]int{
		"Users": len(s.entities[KindUser]), "UsersQuota": maxUsers, "UserPolicySizeQuota": quotas[KindUser].inline,
		"Groups": len(s.entities[KindGroup]), "GroupsQuota": maxGroups, "GroupPolicySizeQuota": quotas[KindGroup].inline,
		"Roles": len(s.entities[KindRole]), "RolesQuota": maxRoles, "RolePolicySizeQuota": quotas[KindRole].inline,
		"Policies": len(s.policies), "PoliciesQuota": maxPolicies, "PolicySizeQuota": maxManagedSize,
		"PolicyVersionsInUse": versions, "PolicyVersionsInUseQuota": maxPolicies * maxVersions, "VersionsPerPolicyQuota": maxVersions,
		"AttachedPoliciesPerUserQuota": maxAttached, "AttachedPoliciesPerGroupQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached,
		"GroupsPerUserQuota": maxMembership, "AccessKeysPerUserQuota": maxKeys, "AssumeRolePolicySizeQuota": maxTrustSize,
		"AccountAccessKeysPresent": present, "AccountMFAEnabled": 0, "AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0,
		"MFADevices": 0, "MFADevicesInUse": 0, "InstanceProfiles": 0, "InstanceProfilesQuota": 0, "Providers": 0,
		"ServerCertificates": 0, "ServerCertificatesQuota": 0, "SigningCertificatesPerUserQuota": 0, "GlobalEndpointTokenVersion": 2,
	}
}
