package principal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/fault"
	"tokaido/iam"
)

// fakeStore is a store that can fail: before a save happens, or after.
type fakeStore struct {
	mu      sync.Mutex
	entries map[string][]byte
	saves   int
	fail    error // the save did not happen
	lie     error // it happened all the same
}

func (s *fakeStore) Load(context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for k, v := range s.entries {
			if !yield(Entry{k, v}, nil) {
				return
			}
		}
	}
}

func (s *fakeStore) Save(_ context.Context, changes ...Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.saves++
	if s.entries == nil {
		s.entries = map[string][]byte{}
	}
	for _, c := range changes {
		if c.Data == nil {
			delete(s.entries, c.Key)
		} else {
			s.entries[c.Key] = bytes.Clone(c.Data)
		}
	}
	return s.lie
}

var t0 = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

const testAccount = "111122223333"

func open(t testing.TB, s *fakeStore) *Directory {
	t.Helper()
	d, err := Open(t.Context(), s, Options{Account: testAccount, Now: func() time.Time { return t0 }})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	statesTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole",
		"Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"},"ArnLike":{"aws:SourceArn":"arn:aws:states:ap-northeast-1:111122223333:stateMachine:*"}}}]}`
	accountTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}`
	allowAll     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	denyAll      = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`
)

// long is a valid policy of more than n characters.
func long(n int) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + strings.Repeat("b", n) + `"}]}`
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func role(t testing.TB, d *Directory, name, trust string) Entity {
	t.Helper()
	e, err := d.Create(t.Context(), NewEntity{Kind: KindRole, Name: name, Trust: trust})
	must(t, err)
	return e
}

func user(t testing.TB, d *Directory, name string) (*Principal, AccessKey) {
	t.Helper()
	_, err := d.Create(t.Context(), NewEntity{Kind: KindUser, Name: name})
	must(t, err)
	k, err := d.CreateKey(t.Context(), name)
	must(t, err)
	c, err := d.Credential(t.Context(), k.ID, "", t0)
	must(t, err)
	return c.Principal, k
}

func TestFaults(t *testing.T) {
	policyARN := func(name string) string { return "arn:aws:iam::" + testAccount + ":policy/" + name }
	const awsARN = "arn:aws:iam::aws:policy/AdministratorAccess"
	str := func(s string) *string { return &s }
	for _, c := range []struct {
		name, code, message string
		do                  func(ctx context.Context, d *Directory) error
	}{
		{"roleNotFound", "NoSuchEntity", "The role with name none cannot be found.", func(ctx context.Context, d *Directory) error { _, err := d.Get(KindRole, "none"); return err }},
		{"userNotFound", "NoSuchEntity", "The user with name none cannot be found.", func(ctx context.Context, d *Directory) error { return d.Delete(ctx, KindUser, "none") }},
		{"groupNotFound", "NoSuchEntity", "The group with name none cannot be found.", func(ctx context.Context, d *Directory) error { return d.AddToGroup(ctx, "none", "u") }},
		{"memberNotFound", "NoSuchEntity", "The user with name none cannot be found.", func(ctx context.Context, d *Directory) error { return d.AddToGroup(ctx, "g", "none") }},
		{"notAMember", "NoSuchEntity", "The user with name u cannot be found in the group g.", func(ctx context.Context, d *Directory) error { return d.RemoveFromGroup(ctx, "g", "u") }},
		{"roleExists", "EntityAlreadyExists", "Role with name r already exists.", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "r", Trust: accountTrust})
			return err
		}},
		{"roleExistsInOtherCase", "EntityAlreadyExists", "Role with name R already exists.", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "R", Trust: accountTrust})
			return err
		}},
		{"userExists", "EntityAlreadyExists", "User with name u already exists.", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindUser, Name: "u"})
			return err
		}},
		{"renameTaken", "EntityAlreadyExists", "User with name v already exists.", func(ctx context.Context, d *Directory) error {
			d.Create(ctx, NewEntity{Kind: KindUser, Name: "v"})
			return d.Update(ctx, KindUser, "u", Update{Name: str("v")})
		}},
		{"renameRole", "InvalidInput", "The name and path of a role cannot be changed.", func(ctx context.Context, d *Directory) error {
			return d.Update(ctx, KindRole, "r", Update{Name: str("v")})
		}},
		{"policyExists", "EntityAlreadyExists", "A policy called p already exists. Duplicate names are not allowed.", func(ctx context.Context, d *Directory) error {
			_, err := d.CreatePolicy(ctx, NewPolicy{Name: "p", Document: allowAll})
			return err
		}},
		{"badName", "ValidationError", "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "a b", Trust: accountTrust})
			return err
		}},
		{"noName", "ValidationError", "Member must have length greater than or equal to 1", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindUser})
			return err
		}},
		{"longName", "ValidationError", "at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: strings.Repeat("a", 65), Trust: accountTrust})
			return err
		}},
		{"badPath", "ValidationError", "The specified value for path is invalid.", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "x", Path: "app", Trust: accountTrust})
			return err
		}},
		{"noTrust", "ValidationError", "assumeRolePolicyDocument", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "x"})
			return err
		}},
		{"malformedTrust", "MalformedPolicyDocument", "", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "x", Trust: allowAll})
			return err
		}},
		{"trustOfNobody", "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/gone"`, func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "x", Trust: strings.Replace(accountTrust, ":root", ":user/gone", 1)})
			return err
		}},
		{"longTrust", "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", func(ctx context.Context, d *Directory) error {
			trust := strings.Replace(accountTrust, `"Action"`, `"Condition":{"StringEquals":{"aws:PrincipalTag/x":"`+strings.Repeat("y", 2048)+`"}},"Action"`, 1)
			return d.Update(ctx, KindRole, "r", Update{Trust: &trust})
		}},
		{"shortSession", "ValidationError", "Value '60' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600", func(ctx context.Context, d *Directory) error {
			return d.Update(ctx, KindRole, "r", Update{MaxSession: new(time.Minute)})
		}},
		{"longSession", "ValidationError", "Member must have value less than or equal to 43200", func(ctx context.Context, d *Directory) error {
			_, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "x", Trust: accountTrust, MaxSession: 13 * time.Hour})
			return err
		}},
		{"malformedInline", "MalformedPolicyDocument", "Syntax errors in policy.", func(ctx context.Context, d *Directory) error {
			return d.PutInline(ctx, KindRole, "r", "p", `{"Statement":`)
		}},
		{"longInlineRole", "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role r", func(ctx context.Context, d *Directory) error {
			must2(d.PutInline(ctx, KindRole, "r", "a", long(6000)))
			return d.PutInline(ctx, KindRole, "r", "b", long(6000))
		}},
		{"longInlineUser", "LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user u", func(ctx context.Context, d *Directory) error {
			return d.PutInline(ctx, KindUser, "u", "p", long(2048))
		}},
		{"longInlineGroup", "LimitExceeded", "Maximum policy size of 5120 bytes exceeded for group g", func(ctx context.Context, d *Directory) error {
			return d.PutInline(ctx, KindGroup, "g", "p", long(5120))
		}},
		{"inlineNotFound", "NoSuchEntity", "The role policy with name none cannot be found.", func(ctx context.Context, d *Directory) error {
			_, err := d.Inline(KindRole, "r", "none")
			return err
		}},
		{"deleteInlineNotFound", "NoSuchEntity", "The user policy with name none cannot be found.", func(ctx context.Context, d *Directory) error {
			return d.DeleteInline(ctx, KindUser, "u", "none")
		}},
		{"longPolicy", "LimitExceeded", "Cannot exceed quota for PolicySize: 6144", func(ctx context.Context, d *Directory) error {
			_, err := d.CreatePolicy(ctx, NewPolicy{Name: "x", Document: long(6144)})
			return err
		}},
		{"policyNotFound", "NoSuchEntity", "Policy " + policyARN("none") + " was not found.", func(ctx context.Context, d *Directory) error {
			_, err := d.Policy(policyARN("none"))
			return err
		}},
		{"attachNotFound", "NoSuchEntity", "Policy " + policyARN("none") + " does not exist or is not attachable.", func(ctx context.Context, d *Directory) error {
			return d.Attach(ctx, KindRole, "r", policyARN("none"))
		}},
		{"detachNotAttached", "NoSuchEntity", "Policy " + policyARN("p") + " was not found.", func(ctx context.Context, d *Directory) error {
			return d.Detach(ctx, KindRole, "r", policyARN("p"))
		}},
		{"attachedLimit", "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10", func(ctx context.Context, d *Directory) error {
			for i := range 10 {
				p, err := d.CreatePolicy(ctx, NewPolicy{Name: fmt.Sprint("x", i), Document: allowAll})
				must2(err)
				must2(d.Attach(ctx, KindRole, "r", p.ARN))
			}
			return d.Attach(ctx, KindRole, "r", awsARN)
		}},
		{"boundaryNotFound", "NoSuchEntity", "does not exist or is not attachable.", func(ctx context.Context, d *Directory) error {
			return d.SetBoundary(ctx, KindRole, "r", policyARN("none"))
		}},
		{"noBoundary", "NoSuchEntity", "Role r has no permissions boundary.", func(ctx context.Context, d *Directory) error {
			return d.SetBoundary(ctx, KindRole, "r", "")
		}},
		{"groupBoundary", "InvalidInput", "", func(ctx context.Context, d *Directory) error {
			return d.SetBoundary(ctx, KindGroup, "g", awsARN)
		}},
		{"versionLimit", "LimitExceeded", "A managed policy can have up to 5 versions.", func(ctx context.Context, d *Directory) error {
			for range 4 {
				_, err := d.CreateVersion(ctx, policyARN("p"), denyAll, false)
				must2(err)
			}
			_, err := d.CreateVersion(ctx, policyARN("p"), denyAll, false)
			return err
		}},
		{"versionNotFound", "NoSuchEntity", "Policy " + policyARN("p") + " version v9 does not exist or is not attachable.", func(ctx context.Context, d *Directory) error {
			_, _, err := d.PolicyVersion(policyARN("p"), "v9")
			return err
		}},
		{"defaultNotFound", "NoSuchEntity", "version v9", func(ctx context.Context, d *Directory) error { return d.SetDefaultVersion(ctx, policyARN("p"), "v9") }},
		{"deleteDefault", "DeleteConflict", "Cannot delete the default version of a policy.", func(ctx context.Context, d *Directory) error { return d.DeleteVersion(ctx, policyARN("p"), "v1") }},
		{"awsPolicy", "AccessDenied", "is managed by AWS", func(ctx context.Context, d *Directory) error { return d.DeletePolicy(ctx, awsARN) }},
		{"awsPolicyVersion", "AccessDenied", "is managed by AWS", func(ctx context.Context, d *Directory) error {
			_, err := d.CreateVersion(ctx, awsARN, allowAll, true)
			return err
		}},
		{"deleteAttachedPolicy", "DeleteConflict", "Cannot delete a policy attached to entities.", func(ctx context.Context, d *Directory) error {
			must2(d.Attach(ctx, KindUser, "u", policyARN("p")))
			return d.DeletePolicy(ctx, policyARN("p"))
		}},
		{"deleteBoundaryPolicy", "DeleteConflict", "Cannot delete a policy attached to entities.", func(ctx context.Context, d *Directory) error {
			must2(d.SetBoundary(ctx, KindUser, "u", policyARN("p")))
			return d.DeletePolicy(ctx, policyARN("p"))
		}},
		{"deletePolicyWithVersions", "DeleteConflict", "This policy has more than one version.", func(ctx context.Context, d *Directory) error {
			_, err := d.CreateVersion(ctx, policyARN("p"), denyAll, true)
			must2(err)
			return d.DeletePolicy(ctx, policyARN("p"))
		}},
		{"deleteWithAttached", "DeleteConflict", "Cannot delete entity, must detach all policies first.", func(ctx context.Context, d *Directory) error {
			must2(d.Attach(ctx, KindRole, "r", awsARN))
			return d.Delete(ctx, KindRole, "r")
		}},
		{"deleteWithInline", "DeleteConflict", "Cannot delete entity, must delete policies first.", func(ctx context.Context, d *Directory) error {
			must2(d.PutInline(ctx, KindRole, "r", "p", allowAll))
			return d.Delete(ctx, KindRole, "r")
		}},
		{"deleteWithKeys", "DeleteConflict", "Cannot delete entity, must delete access keys first.", func(ctx context.Context, d *Directory) error {
			_, err := d.CreateKey(ctx, "u")
			must2(err)
			return d.Delete(ctx, KindUser, "u")
		}},
		{"deleteMember", "DeleteConflict", "Cannot delete entity, must remove user from groups first.", func(ctx context.Context, d *Directory) error {
			must2(d.AddToGroup(ctx, "g", "u"))
			return d.Delete(ctx, KindUser, "u")
		}},
		{"deleteGroupWithMember", "DeleteConflict", "Cannot delete entity, must remove users from group first.", func(ctx context.Context, d *Directory) error {
			must2(d.AddToGroup(ctx, "g", "u"))
			return d.Delete(ctx, KindGroup, "g")
		}},
		{"keyLimit", "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", func(ctx context.Context, d *Directory) error {
			for range 2 {
				_, err := d.CreateKey(ctx, "u")
				must2(err)
			}
			_, err := d.CreateKey(ctx, "u")
			return err
		}},
		{"keyNotFound", "NoSuchEntity", "The Access Key with id AKIANONE cannot be found.", func(ctx context.Context, d *Directory) error { return d.DeleteKey(ctx, "u", "AKIANONE") }},
		{"keyOfAnother", "NoSuchEntity", "The Access Key with id", func(ctx context.Context, d *Directory) error {
			k, err := d.CreateKey(ctx, "u")
			must2(err)
			return d.SetKeyActive(ctx, "", k.ID, false)
		}},
		{"groupsLimit", "LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10", func(ctx context.Context, d *Directory) error {
			for i := range 10 {
				_, err := d.Create(ctx, NewEntity{Kind: KindGroup, Name: fmt.Sprint("x", i)})
				must2(err)
				must2(d.AddToGroup(ctx, fmt.Sprint("x", i), "u"))
			}
			return d.AddToGroup(ctx, "g", "u")
		}},
		{"tagLimit", "LimitExceeded", "The number of tags has reached the maximum limit.", func(ctx context.Context, d *Directory) error {
			for i := range 50 {
				must2(d.Tag(ctx, KindRole, "r", []Tag{{fmt.Sprint("k", i), ""}}))
			}
			return d.Tag(ctx, KindRole, "r", []Tag{{"k50", ""}})
		}},
		{"tagTwice", "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", func(ctx context.Context, d *Directory) error {
			return d.Tag(ctx, KindUser, "u", []Tag{{"Team", "a"}, {"team", "b"}})
		}},
		{"tagAWS", "InvalidInput", "", func(ctx context.Context, d *Directory) error {
			return d.TagPolicy(ctx, policyARN("p"), []Tag{{"aws:x", "a"}})
		}},
		{"tagLong", "ValidationError", "", func(ctx context.Context, d *Directory) error {
			return d.Tag(ctx, KindUser, "u", []Tag{{"k", strings.Repeat("v", 257)}})
		}},
		{"tagGroup", "InvalidInput", "", func(ctx context.Context, d *Directory) error { return d.Tag(ctx, KindGroup, "g", []Tag{{"k", "v"}}) }},
		{"description", "ValidationError", "'description'", func(ctx context.Context, d *Directory) error {
			return d.Update(ctx, KindRole, "r", Update{Description: str(strings.Repeat("x", 1001))})
		}},
		{"principal", "NoSuchEntity", "", func(ctx context.Context, d *Directory) error {
			_, err := d.Principal("arn:aws:iam::" + testAccount + ":role/none")
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &fakeStore{}
			d := open(t, store)
			role(t, d, "r", accountTrust)
			for _, k := range []Kind{KindUser, KindGroup} {
				_, err := d.Create(t.Context(), NewEntity{Kind: k, Name: k.String()[:1]})
				must(t, err)
			}
			_, err := d.CreatePolicy(t.Context(), NewPolicy{Name: "p", Document: allowAll})
			must(t, err)

			err = c.do(t.Context(), d)
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Code != c.code || !strings.Contains(f.Message, c.message) {
				t.Fatalf("got %v, want %s: %s", err, c.code, c.message)
			}
			// What is in memory is what a restart finds.
			if got, want := dump(open(t, store)), dump(d); got != want {
				t.Errorf("after a restart:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func must2(err error) {
	if err != nil {
		panic(err)
	}
}

// dump is everything in a directory.
func dump(d *Directory) string {
	var b strings.Builder
	s := d.state.Load()
	for k := KindUser; k < numKinds; k++ {
		for _, e := range s.list(k, "/") {
			fmt.Fprintf(&b, "%+v\n", e)
		}
	}
	for _, p := range d.ListPolicies(LocalPolicies, "/") {
		fmt.Fprintf(&b, "%+v\n", p)
	}
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		fmt.Fprintf(&b, "%+v %s\n", *s.keys[id], string(s.keys[id].Secret))
	}
	return b.String()
}

func TestLifeOfARole(t *testing.T) {
	ctx, store := t.Context(), &fakeStore{}
	d := open(t, store)
	e, err := d.Create(ctx, NewEntity{Kind: KindRole, Name: "flow", Path: "/app/", Trust: statesTrust, Description: "runs it", Tags: []Tag{{"team", "a"}}, MaxSession: 2 * time.Hour})
	must(t, err)
	if e.ARN != "arn:aws:iam::111122223333:role/app/flow" || !strings.HasPrefix(e.ID, "AROA") || len(e.ID) != 21 || !e.Created.Equal(t0) {
		t.Errorf("%+v", e)
	}
	p, err := d.CreatePolicy(ctx, NewPolicy{Name: "models", Path: "/app/", Document: allowAll})
	must(t, err)
	if p.ARN != "arn:aws:iam::111122223333:policy/app/models" || !strings.HasPrefix(p.ID, "ANPA") || p.Default != "v1" {
		t.Errorf("%+v", p)
	}
	must(t, d.PutInline(ctx, KindRole, "flow", "b", allowAll))
	must(t, d.PutInline(ctx, KindRole, "flow", "a", denyAll))
	must(t, d.PutInline(ctx, KindRole, "flow", "a", allowAll))
	must(t, d.Attach(ctx, KindRole, "flow", p.ARN))
	must(t, d.Attach(ctx, KindRole, "flow", p.ARN)) // again changes nothing
	must(t, d.Attach(ctx, KindRole, "flow", "arn:aws:iam::aws:policy/AdministratorAccess"))
	must(t, d.SetBoundary(ctx, KindRole, "flow", p.ARN))
	must(t, d.Tag(ctx, KindRole, "flow", []Tag{{"Team", "b"}, {"cost", "1"}}))
	must(t, d.Untag(ctx, KindRole, "flow", []string{"COST", "none"}))
	v, err := d.CreateVersion(ctx, p.ARN, denyAll, true)
	must(t, err)
	must(t, d.SetDefaultVersion(ctx, p.ARN, "v1"))
	if v.ID != "v2" {
		t.Errorf("version %s", v.ID)
	}

	for range 2 { // also after a restart
		e, err = d.Get(KindRole, "flow")
		must(t, err)
		if len(e.Inline) != 2 || e.Inline[0].Name != "a" || e.Inline[0].Document != allowAll || len(e.Attached) != 2 || e.Boundary != p.ARN || e.MaxSession != 2*time.Hour {
			t.Errorf("%+v", e)
		}
		if !slices.Equal(e.Tags, []Tag{{"Team", "b"}}) {
			t.Errorf("tags %v", e.Tags)
		}
		p, err = d.Policy(p.ARN)
		must(t, err)
		if p.Attachments != 1 || p.Boundaries != 1 || p.Default != "v1" || len(p.Versions) != 2 {
			t.Errorf("%+v", p)
		}
		who, err := d.Principal(e.ARN)
		must(t, err)
		if n := len(who.Policies.Identity); n != 4 || who.Policies.Boundary.ARN != p.ARN || who.Policies.Session != nil {
			t.Errorf("%d identity policies, boundary %+v", n, who.Policies.Boundary)
		}
		d = open(t, store)
	}
	attached, bounded, err := d.PolicyEntities(p.ARN)
	if err != nil || len(attached) != 1 || len(bounded) != 1 {
		t.Errorf("%d attached, %d bounded, %v", len(attached), len(bounded), err)
	}

	must(t, d.SetBoundary(ctx, KindRole, "flow", ""))
	must(t, d.Detach(ctx, KindRole, "flow", p.ARN))
	must(t, d.Detach(ctx, KindRole, "flow", "arn:aws:iam::aws:policy/AdministratorAccess"))
	must(t, d.DeleteInline(ctx, KindRole, "flow", "a"))
	must(t, d.DeleteInline(ctx, KindRole, "flow", "b"))
	must(t, d.Delete(ctx, KindRole, "flow"))
	must(t, d.DeleteVersion(ctx, p.ARN, "v2"))
	if v, err := d.CreateVersion(ctx, p.ARN, denyAll, false); err != nil || v.ID != "v3" {
		t.Errorf("a number was given twice: %s, %v", v.ID, err)
	}
	must(t, d.DeleteVersion(ctx, p.ARN, "v3"))
	must(t, d.DeletePolicy(ctx, p.ARN))
	if len(store.entries) != 1 {
		t.Errorf("left behind: %v", slices.Sorted(maps.Keys(store.entries)))
	}
}

func TestRename(t *testing.T) {
	ctx, store := t.Context(), &fakeStore{}
	d := open(t, store)
	p, k := user(t, d, "ann")
	_, err := d.Create(ctx, NewEntity{Kind: KindGroup, Name: "g"})
	must(t, err)
	must(t, d.PutInline(ctx, KindGroup, "g", "x", allowAll))
	must(t, d.AddToGroup(ctx, "g", "ann"))
	must(t, d.Update(ctx, KindGroup, "g", Update{Name: new("h")}))
	must(t, d.Update(ctx, KindUser, "ann", Update{Name: new("Ann"), Path: new("/x/")}))
	for range 2 {
		c, err := d.Credential(ctx, k.ID, "", t0)
		must(t, err)
		if c.Principal.ID != p.ID || c.Principal.ARN != "arn:aws:iam::111122223333:user/x/Ann" || c.Principal.Name != "Ann" || len(c.Principal.Policies.Identity) != 1 {
			t.Errorf("%+v", c.Principal)
		}
		if m, err := d.Members("h"); err != nil || len(m) != 1 {
			t.Errorf("members %v, %v", m, err)
		}
		if _, err := d.Get(KindUser, "ann"); err == nil {
			t.Error("the old name is still there")
		}
		d = open(t, store)
	}
}

func TestCredential(t *testing.T) {
	ctx, store := t.Context(), &fakeStore{}
	d := open(t, store)
	kept := ""
	id, secret, created, err := d.Bootstrap(ctx, func(id, secret string) error { kept = id + secret; return nil })
	if kept != id+secret {
		t.Errorf("kept %q", kept)
	}
	must(t, err)
	if !created || len(id) != 20 || id[:4] != "AKIA" || len(secret) != 40 {
		t.Errorf("%q %q %v", id, secret, created)
	}
	if acct, ok := AccountOfKey(id); !ok || acct != testAccount {
		t.Errorf("key of account %q", acct)
	}
	if id2, _, again, err := d.Bootstrap(ctx, nil); err != nil || again || id2 != id {
		t.Errorf("bootstrapped twice: %q, %v", id2, err)
	}
	must(t, d.AddKey(ctx, "test", "test"))
	if err := d.AddKey(ctx, id, "x"); err == nil {
		t.Error("a stored key was replaced")
	}
	for _, k := range []struct{ id, secret string }{{id, secret}, {"test", "test"}} {
		c, err := d.Credential(ctx, k.id, "", t0)
		must(t, err)
		if c.Secret != k.secret || c.Principal.Type != Root || c.Principal.ARN != "arn:aws:iam::111122223333:root" || c.Principal.AccessKeyID != k.id || !c.Principal.Caller().Root {
			t.Errorf("%+v", c.Principal)
		}
	}
	_, k := user(t, d, "ann")
	must(t, d.SetKeyActive(ctx, "ann", k.ID, false))
	for _, bad := range []struct{ id, token string }{{"AKIANONE", ""}, {k.ID, ""}, {id, "token"}, {"", ""}} {
		if _, err := d.Credential(ctx, bad.id, bad.token, t0); fault.Code(err) != "UnrecognizedClientException" {
			t.Errorf("%v: %v", bad, err)
		}
	}
	must(t, d.SetKeyActive(ctx, "ann", k.ID, true))
	keys, err := d.Keys("ann")
	if err != nil || len(keys) != 1 || keys[0].Secret != "" || keys[0].Inactive {
		t.Errorf("%+v, %v", keys, err)
	}

	d = open(t, store)
	if c, err := d.Credential(ctx, id, "", t0); err != nil || c.Secret != secret {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := d.Credential(ctx, "test", "", t0); err == nil {
		t.Error("the development key was stored")
	}
	must(t, d.DeleteKey(ctx, "ann", k.ID))
	if _, err := d.Credential(ctx, k.ID, "", t0); err == nil {
		t.Error("a deleted key is good")
	}
}

func TestPoliciesTakeEffectAtOnce(t *testing.T) {
	ctx := t.Context()
	d := open(t, &fakeStore{})
	_, k := user(t, d, "ann")
	allowed := func() bool {
		c, err := d.Credential(ctx, k.ID, "", t0)
		must(t, err)
		return iam.EvaluateAll(&c.Principal.Policies, c.Principal.Caller(), []iam.Authorization{{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"}}, c.Principal.Context())[0].Allowed
	}
	check := func(what string, want bool) {
		t.Helper()
		if got := allowed(); got != want {
			t.Errorf("%s: allowed %v", what, got)
		}
	}
	check("nothing", false)
	p, err := d.CreatePolicy(ctx, NewPolicy{Name: "p", Document: allowAll})
	must(t, err)
	must(t, d.Attach(ctx, KindUser, "ann", p.ARN))
	check("attached", true)
	_, err = d.CreateVersion(ctx, p.ARN, denyAll, true)
	must(t, err)
	check("new version", false)
	must(t, d.SetDefaultVersion(ctx, p.ARN, "v1"))
	check("old version", true)
	b, err := d.CreatePolicy(ctx, NewPolicy{Name: "b", Document: long(3)})
	must(t, err)
	must(t, d.SetBoundary(ctx, KindUser, "ann", b.ARN))
	check("boundary", false)
	must(t, d.SetBoundary(ctx, KindUser, "ann", ""))
	must(t, d.Detach(ctx, KindUser, "ann", p.ARN))
	check("detached", false)
	_, err = d.Create(ctx, NewEntity{Kind: KindGroup, Name: "g"})
	must(t, err)
	must(t, d.PutInline(ctx, KindGroup, "g", "x", allowAll))
	must(t, d.AddToGroup(ctx, "g", "ann"))
	check("group", true)
	must(t, d.RemoveFromGroup(ctx, "g", "ann"))
	check("left the group", false)
}

func TestAssumeForService(t *testing.T) {
	d := open(t, &fakeStore{})
	e, err := d.Create(t.Context(), NewEntity{Kind: KindRole, Name: "flow", Path: "/app/", Trust: statesTrust})
	must(t, err)
	const machine = "arn:aws:states:ap-northeast-1:111122223333:stateMachine:hello"
	p, err := d.AssumeForService(t.Context(), e.ARN, "states.amazonaws.com", machine, testAccount, "run-1", t0)
	must(t, err)
	if p.ARN != "arn:aws:sts::111122223333:assumed-role/flow/run-1" || p.RoleARN != e.ARN || p.ID != e.ID+":run-1" || p.AssumedBy != "states.amazonaws.com" || !p.Temporary() {
		t.Errorf("%+v", p)
	}
	for _, c := range []struct{ name, role, service, source, acct string }{
		{"otherService", e.ARN, "lambda.amazonaws.com", machine, testAccount},
		{"confusedDeputy", e.ARN, "states.amazonaws.com", "arn:aws:states:ap-northeast-1:999999999999:stateMachine:x", "999999999999"},
		{"otherRegion", e.ARN, "states.amazonaws.com", strings.Replace(machine, "northeast-1", "northeast-3", 1), testAccount},
		{"noSource", e.ARN, "states.amazonaws.com", "", ""},
		{"noRole", "arn:aws:iam::111122223333:role/none", "states.amazonaws.com", machine, testAccount},
		{"noPath", "arn:aws:iam::111122223333:role/flow", "states.amazonaws.com", machine, testAccount},
		{"notAnARN", "flow", "states.amazonaws.com", machine, testAccount},
	} {
		_, err := d.AssumeForService(t.Context(), c.role, c.service, c.source, c.acct, "run-1", t0)
		f, ok := errors.AsType[*fault.Error](err)
		if want := "Neither the global service principal " + c.service + ", nor the regional one is authorized to assume the provided role."; !ok || f.Code != "AccessDeniedException" || f.Message != want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAssumeRole(t *testing.T) {
	ctx, store := t.Context(), &fakeStore{}
	d := open(t, store)
	by, _ := user(t, d, "ann")
	e := role(t, d, "app", accountTrust)
	must(t, d.PutInline(ctx, KindRole, "app", "all", allowAll))
	in := AssumeRole{RoleARN: e.ARN, SessionName: "work"}

	_, err := d.AssumeRole(ctx, by, in, nil, t0)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != "AccessDeniedException" || !f.Auth || !strings.HasPrefix(f.Message, "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: sts:AssumeRole on resource: "+e.ARN) {
		t.Fatalf("without permission: %v", err)
	}
	if ds, ok := f.Detail.([]iam.Decision); !ok || len(ds) != 1 {
		t.Errorf("detail %T", f.Detail)
	}
	must(t, d.PutInline(ctx, KindUser, "ann", "assume", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"}]}`))
	by, err = d.Principal(by.ARN)
	must(t, err)

	in.Tags, in.TransitiveTags, in.SourceIdentity, in.Policy = []Tag{{"team", "a"}}, []string{"team"}, "ann@example.com", long(3)
	in.PolicyARNs = []string{"arn:aws:iam::aws:policy/AmazonBedrockLimitedAccess"}
	out, err := d.AssumeRole(ctx, by, in, nil, t0)
	must(t, err)
	if out.ARN != "arn:aws:sts::111122223333:assumed-role/app/work" || out.ID != e.ID+":work" || out.AccessKeyID[:4] != "ASIA" || !out.Expires.Equal(t0.Add(time.Hour)) || out.PackedSize == 0 || len(out.Decisions) != 3 {
		t.Errorf("%+v", out)
	}
	for range 2 { // tokens survive a restart
		for range 2 { // and are the same from the cache
			c, err := d.Credential(ctx, out.AccessKeyID, string(out.Token), t0.Add(59*time.Minute))
			must(t, err)
			p := c.Principal
			if c.Secret != string(out.Secret) || !c.Expires.Equal(out.Expires) || p.ARN != out.ARN || p.RoleARN != e.ARN || p.AccessKeyID != out.AccessKeyID || !p.IssuedAt.Equal(t0) ||
				p.SourceIdentity != "ann@example.com" || !slices.Equal(p.Tags, in.Tags) || len(p.Policies.Session) != 2 || len(p.Policies.Identity) != 1 {
				t.Errorf("%+v", p)
			}
		}
		d = open(t, store)
	}
	if _, err := d.Credential(ctx, out.AccessKeyID, string(out.Token), out.Expires); fault.Code(err) != "ExpiredTokenException" {
		t.Errorf("at its end: %v", err)
	}

	// A chain: the tag and the source identity go on and cannot be changed.
	c, err := d.Credential(ctx, out.AccessKeyID, string(out.Token), t0)
	must(t, err)
	chained := *c.Principal
	chained.Policies.Session = nil
	second, err := d.AssumeRole(ctx, &chained, AssumeRole{RoleARN: e.ARN, SessionName: "again"}, nil, t0)
	must(t, err)
	c, err = d.Credential(ctx, second.AccessKeyID, string(second.Token), t0)
	must(t, err)
	if p := c.Principal; !p.Chained || !slices.Equal(p.Tags, in.Tags) || p.SourceIdentity != "ann@example.com" {
		t.Errorf("%+v", p)
	}
	for _, c := range []struct {
		name, code string
		by         *Principal
		in         AssumeRole
	}{
		{"root", "AccessDenied", &Principal{Type: Root}, in},
		{"name", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "a b"}},
		{"shortName", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "a"}},
		{"wildcardName", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "a*"}},
		{"pathName", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "a/b"}},
		{"notARole", "ValidationError", by, AssumeRole{RoleARN: "app", SessionName: "work"}},
		{"noRole", "AccessDeniedException", by, AssumeRole{RoleARN: e.ARN + "x", SessionName: "work"}},
		{"short", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", Duration: time.Minute}},
		{"long", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", Duration: 13 * time.Hour}},
		{"longerThanRole", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", Duration: 2 * time.Hour}},
		{"policy", "MalformedPolicyDocument", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", Policy: "{"}},
		{"policyLong", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", Policy: long(2048)}},
		{"policyNotFound", "MalformedPolicyDocument", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", PolicyARNs: []string{"arn:aws:iam::aws:policy/None"}}},
		{"policies", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", PolicyARNs: make([]string, 11)}},
		{"externalId", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", ExternalID: "x"}},
		{"sourceIdentity", "ValidationError", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", SourceIdentity: "*"}},
		{"transitive", "InvalidInput", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", TransitiveTags: []string{"none"}}},
		{"transitiveAgain", "InvalidInput", &chained, AssumeRole{RoleARN: e.ARN, SessionName: "work", Tags: []Tag{{"TEAM", "b"}}}},
		{"otherIdentity", "AccessDenied", &chained, AssumeRole{RoleARN: e.ARN, SessionName: "work", SourceIdentity: "eve"}},
		{"packed", "PackedPolicyTooLarge", by, AssumeRole{RoleARN: e.ARN, SessionName: "work", Policy: long(1900), Tags: func() (ts []Tag) {
			for i := range 10 {
				ts = append(ts, Tag{fmt.Sprint(i), strings.Repeat("x", 256)})
			}
			return ts
		}()}},
	} {
		if _, err := d.AssumeRole(ctx, c.by, c.in, nil, t0); fault.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}

	// A role of the same name is another role.
	must(t, d.DeleteInline(ctx, KindRole, "app", "all"))
	must(t, d.Delete(ctx, KindRole, "app"))
	role(t, d, "app", accountTrust)
	if _, err := d.Credential(ctx, out.AccessKeyID, string(out.Token), t0); fault.Code(err) != "UnrecognizedClientException" {
		t.Errorf("session of a deleted role: %v", err)
	}
}

func TestTokensCannotBeForged(t *testing.T) {
	ctx := t.Context()
	d := open(t, &fakeStore{})
	by, _ := user(t, d, "ann")
	out, err := d.SessionToken(ctx, by, 0, t0)
	must(t, err)
	other, err := d.SessionToken(ctx, by, time.Hour, t0)
	must(t, err)
	token := string(out.Token)
	try := func(id, token string) {
		if _, err := d.Credential(ctx, id, token, t0); fault.Code(err) != "UnrecognizedClientException" {
			t.Errorf("accepted: %v", err)
		}
	}
	try(out.AccessKeyID, string(other.Token)) // the token of another key
	try(out.AccessKeyID, "")
	try("ASIA"+strings.Repeat("A", 16), token)
	try(out.AccessKeyID, token+"=")
	try(out.AccessKeyID, strings.Repeat("A", maxToken+4))
	for i := range len(token) {
		b := []byte(token)
		if b[i]++; b[i] == '=' || b[i] == '{' {
			b[i] = 'A'
		}
		try(out.AccessKeyID, string(b))
	}
	e := open(t, &fakeStore{}) // another installation of the same account
	if _, err := e.Credential(ctx, out.AccessKeyID, token, t0); fault.Code(err) != "UnrecognizedClientException" {
		t.Errorf("accepted elsewhere: %v", err)
	}
}

func TestSessionToken(t *testing.T) {
	ctx := t.Context()
	d := open(t, &fakeStore{})
	by, _ := user(t, d, "ann")
	out, err := d.SessionToken(ctx, by, 0, t0)
	must(t, err)
	c, err := d.Credential(ctx, out.AccessKeyID, string(out.Token), t0)
	must(t, err)
	if p := c.Principal; p.Type != User || p.ARN != by.ARN || p.ID != by.ID || !out.Expires.Equal(t0.Add(12*time.Hour)) || !p.Temporary() {
		t.Errorf("%+v", p)
	}
	root, err := d.Principal("arn:aws:iam::111122223333:root")
	must(t, err)
	if out, err := d.SessionToken(ctx, root, 36*time.Hour, t0); err != nil || !out.Expires.Equal(t0.Add(time.Hour)) {
		t.Errorf("root: %v, %v", out.Expires, err)
	}
	for _, bad := range []struct {
		by   *Principal
		life time.Duration
		code string
	}{{c.Principal, 0, "AccessDenied"}, {by, time.Minute, "ValidationError"}, {by, 37 * time.Hour, "ValidationError"}} {
		if _, err := d.SessionToken(ctx, bad.by, bad.life, t0); fault.Code(err) != bad.code {
			t.Errorf("%v: %v", bad.life, err)
		}
	}
}

// TestSaveFails: a write that fails changes nothing, whether it happened or not.
func TestSaveFails(t *testing.T) {
	for _, lie := range []bool{false, true} {
		t.Run(fmt.Sprint("happened=", lie), func(t *testing.T) {
			ctx, store := t.Context(), &fakeStore{}
			d := open(t, store)
			role(t, d, "r", accountTrust)
			must(t, d.PutInline(ctx, KindRole, "r", "p", allowAll))
			before := dump(d)
			disk := errors.New("disk full")
			if lie {
				store.lie = disk
			} else {
				store.fail = disk
			}
			for name, do := range map[string]func() error{
				"create": func() error { _, err := d.Create(ctx, NewEntity{Kind: KindUser, Name: "u"}); return err },
				"put":    func() error { return d.PutInline(ctx, KindRole, "r", "q", denyAll) },
				"policy": func() error { _, err := d.CreatePolicy(ctx, NewPolicy{Name: "p", Document: allowAll}); return err },
				"root":   func() error { _, _, _, err := d.Bootstrap(ctx, func(string, string) error { return nil }); return err },
				"delete": func() error { return d.DeleteInline(ctx, KindRole, "r", "p") },
			} {
				if err := do(); !errors.Is(err, disk) {
					t.Errorf("%s: %v", name, err)
				}
				if got := dump(d); got != before {
					t.Errorf("%s is visible before it is durable", name)
				}
			}
			store.fail, store.lie = nil, nil
			// Trying again works, also over what happened unnoticed.
			_, err := d.Create(ctx, NewEntity{Kind: KindUser, Name: "u"})
			must(t, err)
			e := open(t, store)
			if _, err := e.Get(KindUser, "u"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	ctx := t.Context()
	store := &fakeStore{}
	d, err := Open(ctx, store, Options{})
	must(t, err)
	if !isAccountID(d.Account()) || d.Account()[0] == '0' {
		t.Errorf("account %q", d.Account())
	}
	if e, err := Open(ctx, store, Options{}); err != nil || e.Account() != d.Account() {
		t.Errorf("another account: %v", err)
	}
	if _, err := Open(ctx, store, Options{Account: testAccount}); err == nil {
		t.Error("opened as another account")
	}
	if _, err := Open(ctx, &fakeStore{}, Options{Account: "12"}); err == nil {
		t.Error("opened with an account of two digits")
	}
	for key, data := range map[string]string{
		"role/x": "{", "role/y": `{"kind":2,"name":"x"}`, "what/x": `{"kind":9}`, "policy/x": `{"arn":"x"}`, "key/x": `{"id":"y"}`, "account": `{`,
		"user/z": `{"kind":1,"name":"z","inline":[{"name":"a","document":"{"}]}`,
	} {
		bad := &fakeStore{entries: maps.Clone(store.entries)}
		bad.entries[key] = []byte(data)
		if _, err := Open(ctx, bad, Options{}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	headless := &fakeStore{entries: map[string][]byte{"key/x": []byte(`{"id":"x"}`)}}
	if _, err := Open(ctx, headless, Options{}); err == nil {
		t.Error("opened entries without an account: a fresh start over somebody's data")
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	d := open(t, &fakeStore{})
	p, k := user(t, d, "ann")
	c, err := d.Credential(t.Context(), k.ID, "", t0)
	must(t, err)
	out, err := d.SessionToken(t.Context(), p, 0, t0)
	must(t, err)
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		slog.New(h).Info("x", "credential", c, "pointer", &c, "key", k, "secret", k.Secret, "session", out, "group", slog.GroupValue(slog.Any("c", c)))
	}
	for _, v := range []any{c, &c, k, &k, out, &out, k.Secret, []any{c, k, out}} {
		fmt.Fprintf(&b, "%v %+v %#v %s %q\n", v, v, v, v, v)
		if j, err := json.Marshal(v); err == nil {
			b.Write(j)
		}
	}
	for _, secret := range []string{string(k.Secret), string(out.Secret), string(out.Token)} {
		if strings.Contains(b.String(), secret) {
			t.Errorf("a secret is shown")
		}
	}
}

func TestManagedPolicies(t *testing.T) {
	d := open(t, &fakeStore{})
	names := map[string]bool{}
	for _, p := range d.ListPolicies(AWSPolicies, "/") {
		names[p.Name] = true
		if !p.AWS || p.ARN != "arn:aws:iam::aws:policy/"+p.Name {
			t.Errorf("%+v", p)
		}
	}
	for _, want := range []string{"AdministratorAccess", "AmazonBedrockFullAccess", "AmazonBedrockLimitedAccess", "AWSStepFunctionsFullAccess", "ReadOnlyAccess"} {
		if !names[want] {
			t.Errorf("no %s", want)
		}
	}
	if n := len(d.ListPolicies(LocalPolicies, "/")); n != 0 {
		t.Errorf("%d local policies", n)
	}
}

func TestContext(t *testing.T) {
	d := open(t, &fakeStore{})
	e, err := d.Create(t.Context(), NewEntity{Kind: KindRole, Name: "flow", Path: "/app/", Trust: statesTrust, Tags: []Tag{{"team", "a"}}})
	must(t, err)
	p, err := d.AssumeForService(t.Context(), e.ARN, "states.amazonaws.com", "arn:aws:states:ap-northeast-1:111122223333:stateMachine:x", testAccount, "run", t0)
	must(t, err)
	got := map[string]string{}
	for _, a := range p.Context() {
		got[a.Key] = strings.Join(a.Values, ",")
	}
	for key, want := range map[string]string{
		"aws:PrincipalArn": e.ARN, "aws:PrincipalAccount": testAccount, "aws:PrincipalType": "AssumedRole", "aws:userid": e.ID + ":run",
		"aws:PrincipalTag/team": "a", "aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false", "aws:TokenIssueTime": "2026-10-01T12:00:00Z",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if _, ok := got["aws:username"]; ok {
		t.Error("a role has aws:username")
	}
	by, _ := user(t, d, "ann")
	for _, a := range by.Context() {
		if a.Key == "aws:TokenIssueTime" || a.Key == "aws:MultiFactorAuthPresent" {
			t.Errorf("long-term credentials have %s", a.Key)
		}
	}
}

// TestConcurrent: readers and writers together, for the race detector.
func TestConcurrent(t *testing.T) {
	ctx := t.Context()
	d := open(t, &fakeStore{})
	by, k := user(t, d, "ann")
	out, err := d.SessionToken(ctx, by, 0, t0)
	must(t, err)
	role(t, d, "flow", statesTrust)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 50 {
				name := fmt.Sprint("u", i, "-", j)
				if _, err := d.Create(ctx, NewEntity{Kind: KindUser, Name: name}); err != nil {
					t.Error(err)
				}
				if err := d.PutInline(ctx, KindUser, "ann", "p", allowAll); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				if _, err := d.Credential(ctx, k.ID, "", t0); err != nil {
					t.Error(err)
				}
				if _, err := d.Credential(ctx, out.AccessKeyID, string(out.Token), t0); err != nil {
					t.Error(err)
				}
				d.List(KindUser, "/")
			}
		})
	}
	wg.Wait()
	if n := len(d.List(KindUser, "/")); n != 201 {
		t.Errorf("%d users", n)
	}
}

func BenchmarkCredential(b *testing.B) {
	d := open(b, &fakeStore{})
	by, k := user(b, d, "ann")
	out, err := d.SessionToken(b.Context(), by, 0, t0)
	must(b, err)
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Credential(b.Context(), k.ID, "", t0)
		}
	})
	b.Run("token", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Credential(b.Context(), out.AccessKeyID, string(out.Token), t0)
		}
	})
}

func BenchmarkAssumeForService(b *testing.B) {
	d := open(b, &fakeStore{})
	e := role(b, d, "flow", statesTrust)
	b.ReportAllocs()
	for b.Loop() {
		d.AssumeForService(b.Context(), e.ARN, "states.amazonaws.com", "arn:aws:states:ap-northeast-1:111122223333:stateMachine:x", testAccount, "run", t0)
	}
}

// FuzzToken: nothing that a client sends as a token is accepted or does harm.
func FuzzToken(f *testing.F) {
	d := open(f, &fakeStore{})
	by, _ := user(f, d, "ann")
	out, err := d.SessionToken(f.Context(), by, 0, t0)
	must(f, err)
	f.Add(out.AccessKeyID, string(out.Token))
	f.Add("ASIA", "AQ==")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, id, token string) {
		if id == out.AccessKeyID && token == string(out.Token) {
			return
		}
		if _, err := d.Credential(t.Context(), id, token, t0); err == nil {
			t.Errorf("accepted %q %q", id, token)
		}
	})
}
