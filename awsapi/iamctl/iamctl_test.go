package iamctl_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokaido/awsapi"
	"tokaido/awsapi/apitest"
	"tokaido/awsapi/iamctl"
	"tokaido/awsapi/sigv4"
	"tokaido/gate"
	"tokaido/iam"
	"tokaido/internal/conform"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

const account = apitest.Account

type fixture struct {
	*apitest.Server
	t   *testing.T
	key sigv4.Credentials
}

func serve(t *testing.T) *fixture {
	s := apitest.Serve(t, principal.ControlOptions{}, func(dir *principal.Directory, _ *gate.Gate, log *apitest.Records) []awsapi.Op {
		return iamctl.Ops(dir, log)
	})
	return &fixture{s, t, s.Root}
}

// node is an XML element.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

func (n *node) at(path string) *node {
	for name := range strings.SplitSeq(path, "/") {
		i := slices.IndexFunc(n.Nodes, func(c node) bool { return c.XMLName.Local == name })
		if i < 0 {
			return &node{}
		}
		n = &n.Nodes[i]
	}
	return n
}

func (n *node) text(path string) string { return n.at(path).Text }

// names lists the text of a member of each item of a list.
func (n *node) names(path, member string) (out []string) {
	for _, m := range n.at(path).Nodes {
		if member == "" {
			out = append(out, m.Text)
		} else {
			out = append(out, m.text(member))
		}
	}
	return out
}

// ask sends a form and returns the status and the document.
func (f *fixture) ask(action string, params ...string) (int, *node) {
	f.t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	status, _, b := apitest.Send(f.t, f.URL, apitest.Call{Headers: apitest.Form, Body: form.Encode(), Key: f.key,
		Options: sigv4.Options{Service: "iam", Region: "us-east-1"}})
	var n node
	if err := xml.Unmarshal(b, &n); err != nil {
		f.t.Fatalf("%v in %s", err, b)
	}
	return status, &n
}

// must is ask where nothing may go wrong; it returns the result.
func (f *fixture) must(action string, params ...string) *node {
	f.t.Helper()
	status, n := f.ask(action, params...)
	if status != 200 {
		f.t.Fatalf("%s %q: %d %s %s", action, params, status, n.text("Error/Code"), n.text("Error/Message"))
	}
	return n.at(action + "Result")
}

// refused is ask where something must.
func (f *fixture) refused(status int, code, message, action string, params ...string) {
	f.t.Helper()
	got, n := f.ask(action, params...)
	if got != status || n.text("Error/Code") != code || !strings.Contains(n.text("Error/Message"), message) {
		f.t.Errorf("%s %q: %d %s %q, want %d %s %q", action, params, got, n.text("Error/Code"), n.text("Error/Message"), status, code, message)
	}
}

const (
	trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow = `{"Version": "2012-10-17", "Statement": [{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}]}`
)

func TestRoles(t *testing.T) {
	f := serve(t)
	r := f.must("CreateRole", "RoleName", "r", "Path", "/app/", "AssumeRolePolicyDocument", trust, "Description", "d", "MaxSessionDuration", "7200",
		"Tags.member.1.Key", "team", "Tags.member.1.Value", "東京")
	if r.text("Role/Arn") != "arn:aws:iam::"+account+":role/app/r" || r.text("Role/MaxSessionDuration") != "7200" || !strings.HasPrefix(r.text("Role/RoleId"), "AROA") ||
		r.text("Role/Tags/member/Value") != "東京" {
		t.Errorf("%+v", r)
	}
	if doc := r.text("Role/AssumeRolePolicyDocument"); !strings.HasPrefix(doc, "%7B%22Version%22%3A%222012-10-17%22") {
		t.Error(doc)
	}
	rec := f.Log.Last()
	if rec.Name != "CreateRole" || rec.Region != "us-east-1" || rec.Request.Get("roleName").Str() != "r" || rec.Response.Get("role").Get("arn").Str() == "" ||
		len(rec.Resources) != 1 || rec.Resources[0] != (trail.Resource{Type: "AWS::IAM::Role", Name: "arn:aws:iam::" + account + ":role/app/r"}) {
		t.Errorf("%+v", rec)
	}
	f.must("PutRolePolicy", "RoleName", "r", "PolicyName", "p", "PolicyDocument", allow)
	doc, err := url.PathUnescape(f.must("GetRolePolicy", "RoleName", "r", "PolicyName", "p").text("PolicyDocument"))
	if err != nil || doc != allow {
		t.Errorf("%q %v", doc, err)
	}
	if got := f.must("ListRolePolicies", "RoleName", "r").names("PolicyNames", ""); !slices.Equal(got, []string{"p"}) {
		t.Error(got)
	}
	const bedrock = "arn:aws:iam::aws:policy/AmazonBedrockFullAccess"
	f.must("AttachRolePolicy", "RoleName", "r", "PolicyArn", bedrock)
	if got := f.must("ListAttachedRolePolicies", "RoleName", "r").names("AttachedPolicies", "PolicyName"); !slices.Equal(got, []string{"AmazonBedrockFullAccess"}) {
		t.Error(got)
	}
	if got := f.must("ListEntitiesForPolicy", "PolicyArn", bedrock).names("PolicyRoles", "RoleName"); !slices.Equal(got, []string{"r"}) {
		t.Error(got)
	}
	f.must("UpdateRole", "RoleName", "r", "Description", "")
	f.must("UpdateAssumeRolePolicy", "RoleName", "r", "PolicyDocument", strings.Replace(trust, "states", "lambda", 1))
	got := f.must("GetRole", "RoleName", "r")
	if got.text("Role/Description") != "" || got.text("Role/MaxSessionDuration") != "7200" || !strings.Contains(got.text("Role/AssumeRolePolicyDocument"), "lambda") {
		t.Errorf("%+v", got)
	}
	f.must("TagRole", "RoleName", "r", "Tags.member.1.Key", "a", "Tags.member.1.Value", "")
	f.must("UntagRole", "RoleName", "r", "TagKeys.member.1", "team")
	if got := f.must("ListRoleTags", "RoleName", "r").names("Tags", "Key"); !slices.Equal(got, []string{"a"}) {
		t.Error(got)
	}
	f.must("PutRolePermissionsBoundary", "RoleName", "r", "PermissionsBoundary", bedrock)
	if got := f.must("GetRole", "RoleName", "r").text("Role/PermissionsBoundary/PermissionsBoundaryArn"); got != bedrock {
		t.Error(got)
	}
	f.must("DeleteRolePermissionsBoundary", "RoleName", "r")
	f.must("ListInstanceProfilesForRole", "RoleName", "r")
	f.refused(409, "DeleteConflict", "must detach all policies first", "DeleteRole", "RoleName", "r")
	f.must("DetachRolePolicy", "RoleName", "r", "PolicyArn", bedrock)
	f.refused(409, "DeleteConflict", "must delete policies first", "DeleteRole", "RoleName", "r")
	f.must("DeleteRolePolicy", "RoleName", "r", "PolicyName", "p")
	f.must("DeleteRole", "RoleName", "r")
	f.refused(404, "NoSuchEntity", "The role with name r cannot be found.", "GetRole", "RoleName", "r")

	f.must("CreateRole", "RoleName", "x", "AssumeRolePolicyDocument", trust)
	f.refused(409, "EntityAlreadyExists", "Role with name x already exists.", "CreateRole", "RoleName", "x", "AssumeRolePolicyDocument", trust)
	f.refused(400, "MalformedPolicyDocument", "", "CreateRole", "RoleName", "y", "AssumeRolePolicyDocument", "{")
	f.refused(400, "ValidationError", "Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null", "CreateRole", "RoleName", "y")
	f.refused(400, "ValidationError", "The parameter RoleTemplate is not supported by CreateRole.", "CreateRole", "RoleName", "y", "AssumeRolePolicyDocument", trust, "RoleTemplate", "z")
	f.refused(400, "ValidationError", "Value '10' at 'maxSessionDuration'", "CreateRole", "RoleName", "y", "AssumeRolePolicyDocument", trust, "MaxSessionDuration", "10")
	f.refused(404, "NoSuchEntity", "Policy arn:aws:iam::aws:policy/No does not exist or is not attachable.", "AttachRolePolicy", "RoleName", "x", "PolicyArn", "arn:aws:iam::aws:policy/No")
	f.refused(400, "ValidationError", "pathPrefix", "ListRoles", "PathPrefix", "x")
}

func TestPages(t *testing.T) {
	f := serve(t)
	for i := range 7 {
		f.must("CreateRole", "RoleName", fmt.Sprintf("r%d", i), "AssumeRolePolicyDocument", trust)
	}
	var all []string
	marker, pages := []string(nil), 0
	for {
		n := f.must("ListRoles", append([]string{"MaxItems", "3"}, marker...)...)
		all = append(all, n.names("Roles", "RoleName")...)
		pages++
		if n.text("IsTruncated") != "true" {
			break
		}
		marker = []string{"Marker", n.text("Marker")}
		if pages == 1 {
			f.must("DeleteRole", "RoleName", "r2") // the one the marker names
			f.must("DeleteRole", "RoleName", "r5")
		}
	}
	if got := strings.Join(all, " "); got != "r0 r1 r2 r3 r4 r6" || pages != 2 {
		t.Errorf("%d pages: %s", pages, got)
	}
	f.refused(400, "ValidationError", "Invalid Marker", "ListRoles", "Marker", "x")
	f.refused(400, "ValidationError", "maxItems", "ListRoles", "MaxItems", "1001")
}

func TestUsersAndKeys(t *testing.T) {
	f := serve(t)
	f.must("CreateUser", "UserName", "u", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v")
	f.must("CreateGroup", "GroupName", "g")
	f.must("AddUserToGroup", "GroupName", "g", "UserName", "u")
	f.must("PutGroupPolicy", "GroupName", "g", "PolicyName", "self", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GetUser","iam:*AccessKey*"],"Resource":"arn:aws:iam::*:user/${aws:username}"}]}`)
	k := f.must("CreateAccessKey", "UserName", "u")
	for _, rec := range f.Log.All() {
		if rec.Name == "CreateAccessKey" && (strings.Contains(rec.Response.JSON(), k.text("AccessKey/SecretAccessKey")) || !rec.Response.Get("accessKey").Has("accessKeyId")) {
			t.Errorf("recorded %s", rec.Response)
		}
	}
	f.key = sigv4.Credentials{AccessKeyID: k.text("AccessKey/AccessKeyId"), Secret: k.text("AccessKey/SecretAccessKey")}
	if got := f.must("GetUser"); got.text("User/UserName") != "u" {
		t.Errorf("%+v", got)
	}
	second := f.must("CreateAccessKey").text("AccessKey/AccessKeyId")
	f.refused(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", "CreateAccessKey")
	if got := f.must("ListAccessKeys").names("AccessKeyMetadata", "AccessKeyId"); len(got) != 2 || !slices.Contains(got, second) {
		t.Error(got)
	}
	f.refused(403, "AccessDenied", "User: arn:aws:iam::"+account+":user/u is not authorized to perform: iam:CreateUser on resource: user other because no identity-based policy allows the iam:CreateUser action",
		"CreateUser", "UserName", "other")
	f.refused(403, "AccessDenied", "iam:ListRoles on resource: arn:aws:iam::"+account+":role/*", "ListRoles")
	f.refused(400, "ValidationError", "enum value set: [Active, Inactive]", "UpdateAccessKey", "AccessKeyId", second, "Status", "Expired")
	f.must("UpdateAccessKey", "AccessKeyId", second, "Status", "Inactive")
	f.must("DeleteAccessKey", "AccessKeyId", second)
	f.key = f.Root
	if got := f.must("GetUser"); got.text("User/Arn") != "arn:aws:iam::"+account+":root" {
		t.Errorf("%+v", got)
	}
	if got := f.must("GetGroup", "GroupName", "g"); !slices.Equal(got.names("Users", "UserName"), []string{"u"}) || got.text("Group/GroupName") != "g" {
		t.Errorf("%+v", got)
	}
	if got := f.must("ListGroupsForUser", "UserName", "u").names("Groups", "GroupName"); !slices.Equal(got, []string{"g"}) {
		t.Error(got)
	}
	f.must("UpdateUser", "UserName", "u", "NewUserName", "v", "NewPath", "/p/")
	if got := f.must("ListUsers", "PathPrefix", "/p/").names("Users", "Arn"); !slices.Equal(got, []string{"arn:aws:iam::" + account + ":user/p/v"}) {
		t.Error(got)
	}
	f.refused(409, "DeleteConflict", "", "DeleteUser", "UserName", "v")
	f.must("RemoveUserFromGroup", "GroupName", "g", "UserName", "v")
	f.must("DeleteAccessKey", "UserName", "v", "AccessKeyId", k.text("AccessKey/AccessKeyId"))
	f.must("DeleteUser", "UserName", "v")
	f.must("DeleteGroupPolicy", "GroupName", "g", "PolicyName", "self")
	f.must("DeleteGroup", "GroupName", "g")
}

func TestPolicies(t *testing.T) {
	f := serve(t)
	p := f.must("CreatePolicy", "PolicyName", "p", "Path", "/x/", "PolicyDocument", allow, "Description", "d", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v")
	arn := p.text("Policy/Arn")
	if arn != "arn:aws:iam::"+account+":policy/x/p" || p.text("Policy/DefaultVersionId") != "v1" || p.text("Policy/IsAttachable") != "true" {
		t.Errorf("%+v", p)
	}
	for range 4 {
		f.must("CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", allow)
	}
	f.refused(409, "LimitExceeded", "A managed policy can have up to 5 versions.", "CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", allow)
	f.must("SetDefaultPolicyVersion", "PolicyArn", arn, "VersionId", "v3")
	if got := f.must("ListPolicyVersions", "PolicyArn", arn, "MaxItems", "3").names("Versions", "VersionId"); !slices.Equal(got, []string{"v5", "v4", "v3"}) {
		t.Error(got)
	}
	v := f.must("GetPolicyVersion", "PolicyArn", arn, "VersionId", "v3")
	if doc, _ := url.PathUnescape(v.text("PolicyVersion/Document")); doc != allow || v.text("PolicyVersion/IsDefaultVersion") != "true" {
		t.Errorf("%+v", v)
	}
	f.refused(409, "DeleteConflict", "Cannot delete the default version of a policy.", "DeletePolicyVersion", "PolicyArn", arn, "VersionId", "v3")
	if got := f.must("ListPolicies", "Scope", "Local").names("Policies", "PolicyName"); !slices.Equal(got, []string{"p"}) {
		t.Error(got)
	}
	if got := f.must("ListPolicies", "Scope", "AWS", "OnlyAttached", "true").names("Policies", "PolicyName"); len(got) != 0 {
		t.Error(got)
	}
	if got := f.must("ListPolicies", "MaxItems", "2"); got.text("IsTruncated") != "true" {
		t.Errorf("%+v", got)
	}
	f.must("TagPolicy", "PolicyArn", arn, "Tags.member.1.Key", "a", "Tags.member.1.Value", "b")
	f.must("UntagPolicy", "PolicyArn", arn, "TagKeys.member.1", "k")
	if got := f.must("ListPolicyTags", "PolicyArn", arn).names("Tags", "Key"); !slices.Equal(got, []string{"a"}) {
		t.Error(got)
	}
	for _, id := range []string{"v1", "v2", "v4", "v5"} {
		f.must("DeletePolicyVersion", "PolicyArn", arn, "VersionId", id)
	}
	f.must("DeletePolicy", "PolicyArn", arn)
	f.refused(404, "NoSuchEntity", "was not found", "GetPolicy", "PolicyArn", arn)
	f.refused(400, "ValidationError", "[All, AWS, Local]", "ListPolicies", "Scope", "x")
}

// What condition keys say of a resource and a request decides.
func TestConditions(t *testing.T) {
	f := serve(t)
	f.must("CreateUser", "UserName", "dev")
	const boundary = "arn:aws:iam::aws:policy/AmazonBedrockFullAccess"
	f.must("PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:CreateRole","Resource":"arn:aws:iam::*:role/dev/*","Condition":{"StringEquals":{"aws:RequestTag/team":"a","iam:PermissionsBoundary":"`+boundary+`"}}},
		{"Effect":"Allow","Action":"iam:AttachRolePolicy","Resource":"*","Condition":{"ArnEquals":{"iam:PolicyARN":"`+boundary+`"},"StringEquals":{"iam:PermissionsBoundary":"`+boundary+`"}}},
		{"Effect":"Allow","Action":["iam:DeleteRole","iam:TagRole"],"Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}}]}`)
	k := f.must("CreateAccessKey", "UserName", "dev")
	f.must("CreateRole", "RoleName", "other", "AssumeRolePolicyDocument", trust)
	f.key = sigv4.Credentials{AccessKeyID: k.text("AccessKey/AccessKeyId"), Secret: k.text("AccessKey/SecretAccessKey")}
	good := []string{"RoleName", "r", "Path", "/dev/", "AssumeRolePolicyDocument", trust, "PermissionsBoundary", boundary, "Tags.member.1.Key", "team", "Tags.member.1.Value", "a"}
	for i, bad := range []string{"/", "x"} {
		try := slices.Clone(good)
		try[[]int{3, 11}[i]] = bad
		f.refused(403, "AccessDenied", "iam:CreateRole", "CreateRole", try...)
	}
	f.refused(403, "AccessDenied", "iam:CreateRole", "CreateRole", append(good[:6:6], good[8:]...)...)
	f.must("CreateRole", good...)
	f.must("AttachRolePolicy", "RoleName", "r", "PolicyArn", boundary)
	f.refused(403, "AccessDenied", "role r", "AttachRolePolicy", "RoleName", "r", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
	f.refused(403, "AccessDenied", "role other", "AttachRolePolicy", "RoleName", "other", "PolicyArn", boundary)
	f.refused(403, "AccessDenied", "role other", "DeleteRole", "RoleName", "other")
	f.must("TagRole", "RoleName", "r", "Tags.member.1.Key", "x", "Tags.member.1.Value", "y")
	// Whoever may not look is not told whether it is there.
	f.refused(403, "AccessDenied", "role nobody", "GetRole", "RoleName", "nobody")
}

// Every operation asks for an action that AWS knows, on a resource of the type
// that AWS says.
func TestAuthorizationsAreAWS(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(conform.Dir(t, "iam"), "..", "..", "data", "iam-authorization.json"))
	if err != nil {
		t.Skip("the gathered actions of AWS are not beside the cases: ", err)
	}
	var data struct {
		Services map[string]struct{ Actions map[string][4]any }
	}
	if err := json.Unmarshal(b, &data); err != nil {
		t.Fatal(err)
	}
	f := serve(t)
	for _, op := range iamctl.Ops(f.Dir, f.Log) {
		needs := needsWithAll(t, op)
		if len(needs) != 1 {
			t.Errorf("%s needs %v", op.Name, needs)
			continue
		}
		a, ok := data.Services["iam"].Actions[strings.TrimPrefix(needs[0].Action, "iam:")]
		if !ok {
			t.Errorf("%s needs %s, which AWS does not have", op.Name, needs[0].Action)
			continue
		}
		kind := strings.Split(strings.TrimPrefix(needs[0].Resource, "arn:aws:iam::"+account+":"), "/")[0]
		if types, _ := a[1].([]any); len(types) > 0 && !slices.Contains(types, any(kind)) {
			t.Errorf("%s needs a %s, AWS says %v", op.Name, kind, types)
		}
		if read := strings.HasPrefix(op.Name, "Get") || strings.HasPrefix(op.Name, "List") || strings.HasPrefix(op.Name, "Simulate"); op.ReadOnly != read {
			t.Errorf("%s: ReadOnly is %v", op.Name, op.ReadOnly)
		}
	}
}

// needsWithAll gives an operation the members it asks for until it is content.
func needsWithAll(t *testing.T, op awsapi.Op) []iam.Authorization {
	r := &awsapi.Request{Op: &op, By: &principal.Principal{Type: principal.User, Account: account, Name: "u"}}
	for range 10 {
		needs, err := op.Needs(t.Context(), r)
		if err == nil {
			return needs
		}
		msg := err.Error()
		for _, name := range []string{"RoleName", "UserName", "GroupName", "PolicyName", "PolicyArn", "PolicyDocument", "AssumeRolePolicyDocument", "VersionId", "AccessKeyId", "Status", "Description", "PermissionsBoundary", "PolicySourceArn", "ActionNames", "PolicyInputList",
			"ServiceName", "ServiceSpecificCredentialId", "AccountAlias", "AWSServiceName"} {
			if strings.Contains(msg, "'"+string(name[0]|0x20)+name[1:]+"'") {
				v := "n"
				switch name {
				case "PolicyArn":
					v = "arn:aws:iam::" + account + ":policy/n"
				case "AccountAlias":
					v = "alias"
				case "Status":
					v = "Active"
				}
				r.Input = r.Input.With(name, str(v))
				switch name {
				case "ServiceName":
					r.Input = r.Input.With(name, str("bedrock.amazonaws.com"))
				case "PolicySourceArn":
					r.Input = r.Input.With(name, str("arn:aws:iam::"+account+":user/n"))
				case "ActionNames":
					r.Input = r.Input.With(name, value.Array(str("s3:GetObject")))
				case "PolicyInputList":
					r.Input = r.Input.With(name, value.Array(str(allow)))
				}
			}
		}
	}
	t.Errorf("%s is never content", op.Name)
	return nil
}

func str(s string) value.Value { return value.String(s) }
