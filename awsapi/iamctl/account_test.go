package iamctl_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"tokaido/trail"
)

const trustStates = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func TestAccountSummary(t *testing.T) {
	f := serve(t)
	f.must("CreateUser", "UserName", "u")
	f.must("CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trustStates)
	r := f.must("GetAccountSummary")
	got := map[string]string{}
	for _, e := range r.at("SummaryMap").Nodes {
		if e.XMLName.Local != "entry" {
			t.Fatalf("an entry of the map is called %s", e.XMLName.Local)
		}
		got[e.text("key")] = e.text("value")
	}
	for k, want := range map[string]string{"Users": "1", "Roles": "1", "Groups": "0", "RolesQuota": "1000", "AccountAccessKeysPresent": "1", "AccountMFAEnabled": "0"} {
		if got[k] != want {
			t.Errorf("%s is %q, want %s", k, got[k], want)
		}
	}
}

func TestAccountAuthorizationDetails(t *testing.T) {
	f := serve(t)
	f.must("CreateUser", "UserName", "u", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v")
	f.must("CreateGroup", "GroupName", "g")
	f.must("AddUserToGroup", "GroupName", "g", "UserName", "u")
	f.must("PutUserPolicy", "UserName", "u", "PolicyName", "in", "PolicyDocument", allow)
	f.must("CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trustStates)
	arn := f.must("CreatePolicy", "PolicyName", "m", "PolicyDocument", allow).text("Policy/Arn")
	f.must("AttachRolePolicy", "RoleName", "r", "PolicyArn", arn)
	f.must("AttachGroupPolicy", "GroupName", "g", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
	r := f.must("GetAccountAuthorizationDetails")
	for path, want := range map[string]string{
		"UserDetailList/member/UserName": "u", "UserDetailList/member/UserPolicyList/member/PolicyName": "in", "UserDetailList/member/GroupList/member": "g",
		"UserDetailList/member/Tags/member/Value":                          "v",
		"GroupDetailList/member/AttachedManagedPolicies/member/PolicyName": "AdministratorAccess",
		"RoleDetailList/member/AttachedManagedPolicies/member/PolicyArn":   arn,
		"Policies/member/PolicyVersionList/member/IsDefaultVersion":        "true",
		"IsTruncated": "false",
	} {
		if got := r.text(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if got := r.names("Policies", "PolicyName"); !slices.Equal(got, []string{"m", "AdministratorAccess"}) {
		t.Error(got)
	}
	// In pages, and filtered.
	var seen []string
	for marker := ""; ; {
		params := []string{"MaxItems", "2"}
		if marker != "" {
			params = append(params, "Marker", marker)
		}
		r := f.must("GetAccountAuthorizationDetails", params...)
		for _, list := range []string{"UserDetailList/UserName", "GroupDetailList/GroupName", "RoleDetailList/RoleName", "Policies/PolicyName"} {
			name, member, _ := strings.Cut(list, "/")
			seen = append(seen, r.names(name, member)...)
		}
		if r.text("IsTruncated") == "false" {
			break
		}
		marker = r.text("Marker")
	}
	if !slices.Equal(seen, []string{"u", "g", "r", "m", "AdministratorAccess"}) {
		t.Error(seen)
	}
	r = f.must("GetAccountAuthorizationDetails", "Filter.member.1", "Role")
	if len(r.at("RoleDetailList").Nodes) != 1 || len(r.at("UserDetailList").Nodes) != 0 {
		t.Errorf("%+v", r)
	}
	if status, e := f.ask("GetAccountAuthorizationDetails", "Filter.member.1", "Pope"); status != 400 || e.text("Error/Code") != "ValidationError" {
		t.Errorf("%d %+v", status, e)
	}
}

func TestAliasesAndKeys(t *testing.T) {
	f := serve(t)
	if got := f.must("ListAccountAliases").at("AccountAliases").Nodes; len(got) != 0 {
		t.Errorf("%+v", got)
	}
	f.must("CreateAccountAlias", "AccountAlias", "tokai-do")
	if got := f.must("ListAccountAliases").names("AccountAliases", ""); !slices.Equal(got, []string{"tokai-do"}) {
		t.Error(got)
	}
	for _, bad := range []string{"Tokaido", "a", "-ab", "ab-", "a--b", strings.Repeat("a", 64)} {
		if status, e := f.ask("CreateAccountAlias", "AccountAlias", bad); status != 400 {
			t.Errorf("%s: %d %+v", bad, status, e)
		}
	}
	if status, e := f.ask("DeleteAccountAlias", "AccountAlias", "other"); status != 404 || e.text("Error/Code") != "NoSuchEntity" {
		t.Errorf("%d %+v", status, e)
	}
	f.must("DeleteAccountAlias", "AccountAlias", "tokai-do")

	f.must("CreateUser", "UserName", "u")
	id := f.must("CreateAccessKey", "UserName", "u").text("AccessKey/AccessKeyId")
	r := f.must("GetAccessKeyLastUsed", "AccessKeyId", id)
	if r.text("UserName") != "u" || r.text("AccessKeyLastUsed/ServiceName") != "N/A" || r.text("AccessKeyLastUsed/LastUsedDate") != "" {
		t.Errorf("%+v", r)
	}
	// A call that only names the key is none that it signed.
	if err := f.Log.Append(t.Context(), &trail.Record{Source: "bedrock.amazonaws.com", Region: "us-west-2", Identity: trail.Identity{Type: "Unknown", AccessKeyID: id}}); err != nil {
		t.Fatal(err)
	}
	if r := f.must("GetAccessKeyLastUsed", "AccessKeyId", id); r.text("AccessKeyLastUsed/Region") != "N/A" {
		t.Errorf("%+v", r)
	}
	used := f.must("GetAccessKeyLastUsed", "AccessKeyId", f.Root.AccessKeyID).at("AccessKeyLastUsed")
	if at, err := time.Parse(time.RFC3339, used.text("LastUsedDate")); err != nil || time.Since(at).Abs() > time.Hour || used.text("ServiceName") != "iam" || used.text("Region") != "us-east-1" {
		t.Errorf("the key that asks: %+v, %v", used, err)
	}
	if status, e := f.ask("GetAccessKeyLastUsed", "AccessKeyId", "AKIAAAAAAAAAAAAAAAAA"); status != 403 {
		t.Errorf("%d %+v", status, e)
	}
}

// What there is none of is listed as none, and making it is refused by name.
func TestWhatThereIsNot(t *testing.T) {
	f := serve(t)
	f.must("CreateUser", "UserName", "u")
	for _, op := range []string{"ListMFADevices", "ListSSHPublicKeys", "ListSigningCertificates"} {
		if r := f.must(op, "UserName", "u"); r.text("IsTruncated") != "false" {
			t.Errorf("%s: %+v", op, r)
		}
		if status, e := f.ask(op, "UserName", "nobody"); status != 404 {
			t.Errorf("%s: %d %+v", op, status, e)
		}
	}
	for _, op := range []string{"ListVirtualMFADevices", "ListInstanceProfiles", "ListServerCertificates", "ListSAMLProviders", "ListOpenIDConnectProviders"} {
		f.must(op)
	}
	for _, c := range []struct {
		op, code, message string
		status            int
		params            []string
	}{
		{"CreateServiceLinkedRole", "InvalidInput", "Service-linked roles are not supported", 400, []string{"AWSServiceName", "states.amazonaws.com"}},
		{"CreateLoginProfile", "InvalidInput", "Passwords are not supported", 400, []string{"UserName", "u", "Password", "hunter2"}},
		{"UpdateLoginProfile", "NoSuchEntity", "Login Profile for User u cannot be found.", 404, []string{"UserName", "u", "Password", "hunter2"}},
		{"GetLoginProfile", "NoSuchEntity", "Login Profile for User u cannot be found.", 404, []string{"UserName", "u"}},
		{"DeleteLoginProfile", "NoSuchEntity", "Login Profile for User u cannot be found.", 404, []string{"UserName", "u"}},
		{"DeleteLoginProfile", "NoSuchEntity", "The user with name x cannot be found.", 404, []string{"UserName", "x"}},
		{"GetAccountPasswordPolicy", "NoSuchEntity", "The Password Policy with domain name " + account + " cannot be found.", 404, nil},
	} {
		status, e := f.ask(c.op, c.params...)
		if status != c.status || e.text("Error/Code") != c.code || !strings.HasPrefix(e.text("Error/Message"), c.message) {
			t.Errorf("%s: %d %s %s", c.op, status, e.text("Error/Code"), e.text("Error/Message"))
		}
	}
	for _, r := range f.Log.All() {
		if strings.Contains(r.Request.JSON(), "hunter2") {
			t.Errorf("a record of %s has a password: %s", r.Name, r.Request.JSON())
		}
	}
}
