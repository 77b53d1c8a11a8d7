package sts_test

import (
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/apitest"
	"tokaido/awsapi/sigv4"
	"tokaido/awsapi/sts"
	"tokaido/gate"
	"tokaido/principal"
)

const account = apitest.Account

type fixture struct {
	*apitest.Server
	t *testing.T
}

func serve(t *testing.T) *fixture {
	return &fixture{apitest.Serve(t, principal.ControlOptions{}, func(dir *principal.Directory, g *gate.Gate, log *apitest.Records) []awsapi.Op {
		return append(sts.Ops(dir, g), sts.DecodeOps(log)...)
	}), t}
}

// ask returns the status and the answer.
func (f *fixture) ask(key sigv4.Credentials, form string) (int, string) {
	f.t.Helper()
	status, _, body := apitest.Send(f.t, f.URL, apitest.Call{Headers: apitest.Form, Body: form + "&Version=2011-06-15", Key: key,
		Options: sigv4.Options{Service: "sts", Region: "ap-northeast-1"}})
	return status, string(body)
}

func (f *fixture) expect(key sigv4.Credentials, status int, form string, parts ...string) string {
	f.t.Helper()
	got, body := f.ask(key, form)
	if got != status {
		f.t.Fatalf("%s: %d %s", form, got, body)
	}
	for _, p := range parts {
		if !strings.Contains(body, p) {
			f.t.Errorf("%s: no %q in %s", form, p, body)
		}
	}
	return body
}

func tag(body, name string) string {
	_, rest, _ := strings.Cut(body, "<"+name+">")
	v, _, _ := strings.Cut(rest, "</"+name+">")
	return v
}

func credentials(body string) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: tag(body, "AccessKeyId"), Secret: tag(body, "SecretAccessKey"), SessionToken: tag(body, "SessionToken")}
}

func TestSTS(t *testing.T) {
	f := serve(t)
	key := f.User("u", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":"*"}]}`)
	const role = "arn:aws:iam::" + account + ":role/app/r"
	if _, err := f.Dir.Create(t.Context(), principal.NewEntity{Kind: principal.KindRole, Name: "r", Path: "/app/", MaxSession: 2 * time.Hour,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"sts:ExternalId":"abc"}}}]}`}); err != nil {
		t.Fatal(err)
	}
	f.expect(key, 200, "Action=GetCallerIdentity", "<Arn>arn:aws:iam::"+account+":user/u</Arn>", "<Account>"+account+"</Account>")

	assume := "Action=AssumeRole&RoleArn=" + role + "&RoleSessionName=s1"
	f.expect(key, 403, assume, "<Code>AccessDenied</Code>", "sts:AssumeRole on resource: "+role)
	if r := f.Log.Last(); r.ErrorCode == "" || r.Name != "AssumeRole" || r.Decisions.IsUndefined() {
		t.Errorf("%+v", r)
	}
	body := f.expect(key, 200, assume+"&ExternalId=abc&DurationSeconds=7200&Tags.member.1.Key=team&Tags.member.1.Value=a",
		"<Arn>arn:aws:sts::"+account+":assumed-role/r/s1</Arn>", ":s1</AssumedRoleId>", "<PackedPolicySize>")
	session := credentials(body)
	r := f.Log.Last()
	for _, secret := range []string{session.Secret, session.SessionToken} {
		if secret == "" || strings.Contains(r.Response.JSON()+r.Request.JSON(), secret) {
			t.Errorf("recorded a secret: %s", r.Response)
		}
	}
	if r.Response.Get("credentials").Get("accessKeyId").Str() != session.AccessKeyID || r.Request.Get("roleArn").Str() != role || len(r.Resources) != 1 || r.Resources[0].Name != role {
		t.Errorf("%+v", r)
	}
	f.expect(session, 200, "Action=GetCallerIdentity", "<Arn>arn:aws:sts::"+account+":assumed-role/r/s1</Arn>")
	broken := session
	broken.SessionToken = "x"
	f.expect(broken, 403, "Action=GetCallerIdentity", "<Code>InvalidClientTokenId</Code>")

	f.expect(key, 400, assume+"&ExternalId=abc&DurationSeconds=10800", "exceeds the MaxSessionDuration set for this role")
	f.expect(key, 400, assume+"&ExternalId=abc&DurationSeconds=1", "Value '1' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900")
	f.expect(key, 400, assume+"&SerialNumber=x", "The parameter SerialNumber is not supported by AssumeRole.")
	f.expect(key, 400, "Action=AssumeRole&RoleArn="+role, "Value null at 'roleSessionName'")
	f.expect(key, 400, assume+"&PolicyArns.member.1.arn=x&PolicyArns.member.1.other=y", "policyArns.1.member.other")
	f.expect(key, 400, "Action=GetCallerIdentity&X=y", "The parameter X is not supported")

	body = f.expect(key, 200, "Action=GetSessionToken&DurationSeconds=900", "<Expiration>")
	f.expect(credentials(body), 200, "Action=GetCallerIdentity", ":user/u</Arn>")
	f.expect(credentials(body), 403, "Action=GetSessionToken", "AccessDenied")
	f.expect(key, 400, "Action=GetSessionToken&TokenCode=123456", "TokenCode is not supported")

	f.expect(key, 403, "Action=GetAccessKeyInfo&AccessKeyId="+key.AccessKeyID, "sts:GetAccessKeyInfo")
	may := f.User("v", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetAccessKeyInfo","Resource":"*"}]}`)
	f.expect(may, 200, "Action=GetAccessKeyInfo&AccessKeyId="+key.AccessKeyID, "<Account>"+account+"</Account>")
	f.expect(may, 400, "Action=GetAccessKeyInfo&AccessKeyId=AKIA", "Invalid access key: AKIA")
	for _, r := range f.Log.All() {
		if strings.Contains(r.Request.JSON(), "123456") {
			t.Errorf("recorded a one-time code: %s", r.Request)
		}
	}
}
