package iamctl

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/principal"
	"tokaido/value"
)

// apiKeys are the operations on service-specific credentials, which are made for
// Bedrock only: its long-term API keys.
var apiKeys = []operation{
	{"CreateServiceSpecificCredential", false, createAPIKey},
	{"ListServiceSpecificCredentials", true, listAPIKeys},
	{"UpdateServiceSpecificCredential", false, updateAPIKey},
	{"ResetServiceSpecificCredential", false, resetAPIKey},
	{"DeleteServiceSpecificCredential", false, deleteAPIKey},
}

func notSupported(service string) error {
	return &fault.Error{Kind: fault.Client, Code: "NotSupportedService", Status: http.StatusNotFound,
		Message: "The service " + service + " is not supported: API keys are made for " + principal.BedrockService + "."}
}

// apiKeyMembers is a key as lists have it.
func (t *table) apiKeyMembers(k *principal.APIKey, now time.Time) []value.Member {
	user := ""
	if e, ok := t.dir.ByID(k.Owner); ok {
		user = e.Name
	}
	status := "Active"
	switch {
	case k.Expired(now):
		status = "Expired"
	case k.Inactive:
		status = "Inactive"
	}
	expires := none
	if !k.Expires.IsZero() {
		expires = wire.ISO8601(k.Expires)
	}
	return []value.Member{
		member("CreateDate", wire.ISO8601(k.Created)), member("ExpirationDate", expires), member("ServiceName", str(principal.BedrockService)),
		member("ServiceCredentialAlias", str(k.Alias)), member("ServiceSpecificCredentialId", str(k.ID)), member("UserName", str(user)), member("Status", str(status)),
	}
}

func (t *table) newAPIKey(k *principal.APIKey, token principal.Secret, now time.Time) value.Value {
	m := append(t.apiKeyMembers(k, now), member("ServiceCredentialSecret", str(string(token))))
	return value.Object(member("ServiceSpecificCredential", value.Object(m...)))
}

func createAPIKey(t *table, r *awsapi.Request, a *awsapi.Args) call {
	name, service := a.Need("UserName"), a.Need("ServiceName")
	days := a.Int("CredentialAgeDays", 1, 36600, 0)
	c := t.on(principal.KindUser, name, one("iam:ServiceSpecificCredentialServiceName", service))
	if days > 0 {
		c.context = append(c.context, one("iam:ServiceSpecificCredentialAgeDays", r.Input.Get("CredentialAgeDays").Str()))
	}
	return c.doing(func(ctx context.Context) (value.Value, error) {
		if service != principal.BedrockService {
			return none, notSupported(service)
		}
		k, token, err := t.dir.CreateAPIKey(ctx, name, int(days))
		if err != nil {
			return none, err
		}
		return t.newAPIKey(&k, token, r.Time), nil
	})
}

func listAPIKeys(t *table, r *awsapi.Request, a *awsapi.Args) call {
	service, every := a.String("ServiceName"), a.Bool("AllUsers")
	name, c := "", call{resource: t.newARN("user", "/", "*")}
	if every {
		a.Check(!a.Has("UserName"), "UserName", "not be given together with AllUsers")
	} else {
		var ok bool
		if name, c, ok = t.onUser(r, a); !ok {
			return c.doing(func(context.Context) (value.Value, error) { return notAUser() })
		}
	}
	p := readPage(a)
	return c.doing(func(context.Context) (value.Value, error) {
		if service != "" && service != principal.BedrockService {
			return none, notSupported(service)
		}
		var keys []principal.APIKey
		if name != "" || every {
			var err error
			if keys, err = t.dir.APIKeys(name); err != nil {
				return none, err
			}
		}
		order := func(k principal.APIKey) string { return k.Created.UTC().Format(time.RFC3339) + k.ID }
		slices.SortFunc(keys, func(a, b principal.APIKey) int { return strings.Compare(order(a), order(b)) })
		return listing(p, "ServiceSpecificCredentials", keys, order, func(k principal.APIKey) value.Value { return value.Object(t.apiKeyMembers(&k, r.Time)...) })
	})
}

// onAPIKey reads whose key is meant, and which.
func onAPIKey(t *table, r *awsapi.Request, a *awsapi.Args, do func(ctx context.Context, user, id string) (value.Value, error)) call {
	name, c, ok := t.onUser(r, a)
	c.context = append(c.context, one("iam:ServiceSpecificCredentialServiceName", principal.BedrockService)) // there are no others
	id := a.Need("ServiceSpecificCredentialId")
	return c.doing(func(ctx context.Context) (value.Value, error) {
		if !ok || name == "" {
			return notAUser()
		}
		return do(ctx, name, id)
	})
}

func updateAPIKey(t *table, r *awsapi.Request, a *awsapi.Args) call {
	a.Need("Status")
	status := a.Enum("Status", "Active", "Inactive")
	return onAPIKey(t, r, a, func(ctx context.Context, user, id string) (value.Value, error) {
		return none, t.dir.SetAPIKeyActive(ctx, user, id, status == "Active")
	})
}

func resetAPIKey(t *table, r *awsapi.Request, a *awsapi.Args) call {
	return onAPIKey(t, r, a, func(ctx context.Context, user, id string) (value.Value, error) {
		k, token, err := t.dir.ResetAPIKey(ctx, user, id)
		if err != nil {
			return none, err
		}
		return t.newAPIKey(&k, token, r.Time), nil
	})
}

func deleteAPIKey(t *table, r *awsapi.Request, a *awsapi.Args) call {
	return onAPIKey(t, r, a, func(ctx context.Context, user, id string) (value.Value, error) {
		return none, t.dir.DeleteAPIKey(ctx, user, id)
	})
}
