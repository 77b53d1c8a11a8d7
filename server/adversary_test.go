package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi/sigv4"
	"tokaido/flow"
	"tokaido/principal"
	"tokaido/trail"
)

// target is a server under attack: mallory may do what his policy says, and
// nothing else may come of what he sends.
type target struct {
	*Server
	t    *testing.T
	host string
	key  sigv4.Credentials
	role string // that trusts the service for any machine, and may do everything
}

const passDefinition = `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`

func attack(t *testing.T, policy string, tags ...principal.Tag) *target {
	s := begin(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	if _, err := s.people.Create(t.Context(), principal.NewEntity{Kind: principal.KindUser, Name: "mallory", Tags: tags}); err != nil {
		t.Fatal(err)
	}
	if policy != "" {
		if err := s.people.PutInline(t.Context(), principal.KindUser, "mallory", "p", policy); err != nil {
			t.Fatal(err)
		}
	}
	k, err := s.people.CreateKey(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	return &target{
		Server: s, t: t, host: strings.TrimPrefix(srv.URL, "http://"), key: sigv4.Credentials{AccessKeyID: k.ID, Secret: string(k.Secret)},
		role: s.testingOnlyRole(t, "powerful", statesTrust, everything),
	}
}

func (a *target) machine(name string) string {
	a.t.Helper()
	m, err := a.machines.CreateStateMachine(a.t.Context(), flow.CreateStateMachine{
		Scope: flow.Scope{Region: authRegion, Account: testAccount}, Name: name, Definition: passDefinition, RoleARN: a.role,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return m.ARN
}

// allow is a policy that allows actions on resources.
func allow(actions, resources string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":[` + resources + `]}]}`
}

// message is a request to be signed and then spoilt.
type message struct {
	method, target, service, body string
	headers                       [][2]string // besides Host
	at                            time.Time
}

func states(op, body string) message {
	return message{"POST", "/", "states", body, [][2]string{{"X-Amz-Target", "AWSStepFunctions." + op}, {"Content-Type", "application/x-amz-json-1.0"}}, time.Now()}
}

func form(service, body string) message {
	return message{"POST", "/", service, body, [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}, time.Now()}
}

// sign returns the request line's target and all headers, in order.
func (a *target) sign(m message) (string, [][2]string) {
	a.t.Helper()
	h := append([][2]string{{"Host", a.host}}, m.headers...)
	add, err := sigv4.Sign(sigv4.Request{Method: m.method, Target: m.target, Headers: h, Body: []byte(m.body)},
		sigv4.Options{Service: m.service, Region: authRegion, Now: m.at, KeepPath: m.service == "s3", EncodeOnce: m.service == "s3"}, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return m.target, append(h, add...)
}

// raw sends bytes as they are and returns the first answer; status 0 if the
// connection was closed without one.
func (a *target) raw(request string) (status int, body string) {
	a.t.Helper()
	c, err := net.Dial("tcp", a.host)
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		a.t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, request) }() // the server may answer, and close, before it has read all
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// compose writes a request; a negative length writes that of the body.
func compose(method, target string, headers [][2]string, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, target)
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	return b.String()
}

// send signs m, spoils it, and sends it.
func (a *target) send(m message, spoil func(target *string, headers *[][2]string, body *string)) (int, string) {
	a.t.Helper()
	a.fresh()
	target, headers := a.sign(m)
	body := m.body
	if spoil != nil {
		spoil(&target, &headers, &body)
	}
	return a.raw(compose(m.method, target, headers, body))
}

// fresh gives mallory a new key: too many failures with one are throttled, which
// would hide what they were refused for.
func (a *target) fresh() {
	a.t.Helper()
	if a.key.SessionToken != "" {
		return
	}
	if err := a.people.DeleteKey(a.t.Context(), "mallory", a.key.AccessKeyID); err != nil {
		a.t.Fatal(err)
	}
	k, err := a.people.CreateKey(a.t.Context(), "mallory")
	if err != nil {
		a.t.Fatal(err)
	}
	a.key = sigv4.Credentials{AccessKeyID: k.ID, Secret: string(k.Secret)}
}

// refused fails unless the answer is a refusal.
func (a *target) refused(name string, status int, body string) {
	a.t.Helper()
	if status >= 200 && status < 400 || status >= 500 && status != http.StatusNotImplemented { // of an encoding that net/http refuses
		a.t.Errorf("%s: %d %.300s", name, status, body)
	}
	if strings.Contains(body, "Rate exceeded") {
		a.t.Errorf("%s: throttled, so it was not looked at", name)
	}
}

// calm fails if the server is not well.
func (a *target) calm() {
	a.t.Helper()
	if st := a.api.Stats(); st.Internal != 0 || st.Held != 0 {
		a.t.Errorf("%+v", st)
	}
	if status, body := a.raw("GET /healthz HTTP/1.1\r\nHost: " + a.host + "\r\nConnection: close\r\n\r\n"); status != 200 {
		a.t.Errorf("health: %d %s", status, body)
	}
}

// Whoever may do one thing must not do another through somebody who may.
func TestConfusedDeputy(t *testing.T) {
	const create = `"states:CreateStateMachine","states:UpdateStateMachine","states:TestState","states:StartExecution"`
	make := func(role string) string {
		return fmt.Sprintf(`{"name":"n","definition":%q,"roleArn":%q}`, passDefinition, role)
	}
	t.Run("roleThatMayNotBePassed", func(t *testing.T) {
		a := attack(t, allow(create, `"*"`))
		arn := a.machine("m")
		status, body := a.send(states("CreateStateMachine", make(a.role)), nil)
		a.refused("create", status, body)
		if !strings.Contains(body, "is not authorized to perform: iam:PassRole on resource: "+a.role) {
			t.Error(body)
		}
		status, body = a.send(states("UpdateStateMachine", fmt.Sprintf(`{"stateMachineArn":%q,"roleArn":%q}`, arn, a.role)), nil)
		a.refused("update", status, body)
		status, body = a.send(states("TestState", fmt.Sprintf(`{"definition":%q,"roleArn":%q}`, `{"Type":"Pass","End":true}`, a.role)), nil)
		a.refused("test", status, body)
		a.calm()
	})
	t.Run("roleThatMayBePassedToOthers", func(t *testing.T) {
		a := attack(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[`+create+`],"Resource":"*"},
			{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}}]}`)
		status, body := a.send(states("CreateStateMachine", make(a.role)), nil)
		a.refused("create", status, body)
	})
	t.Run("roleForAnotherMachine", func(t *testing.T) {
		a := attack(t, allow(create+`,"iam:PassRole"`, `"*"`))
		for name, condition := range map[string]string{
			"machine": `{"ArnLike":{"aws:SourceArn":"arn:aws:states:ap-northeast-1:111122223333:stateMachine:other"}}`,
			"account": `{"StringEquals":{"aws:SourceAccount":"222222222222"}}`,
			"region":  `{"ArnLike":{"aws:SourceArn":"arn:aws:states:us-east-1:111122223333:stateMachine:*"}}`,
			"literal": `{"StringEquals":{"aws:SourceArn":"arn:aws:states:ap-northeast-1:111122223333:stateMachine:*"}}`,
		} {
			role := a.testingOnlyRole(t, "of-"+name, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole","Condition":`+condition+`}}`, everything)
			status, body := a.send(states("CreateStateMachine", make(role)), nil)
			a.refused(name, status, body)
			if !strings.Contains(body, "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role.") {
				t.Errorf("%s: %s", name, body)
			}
		}
	})
	t.Run("roleOfTheService", func(t *testing.T) {
		// A person cannot assume what only the service may, whatever his policies say.
		a := attack(t, allow(`"sts:*"`, `"*"`))
		status, body := a.send(form("sts", "Action=AssumeRole&Version=2011-06-15&RoleSessionName=s1&RoleArn="+a.role), nil)
		a.refused("assume", status, body)
	})
	t.Run("ownPolicy", func(t *testing.T) {
		// Who may attach one policy may not attach another, nor lift his boundary.
		a := attack(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:AttachUserPolicy"],"Resource":"*",
			"Condition":{"ArnEquals":{"iam:PolicyARN":"arn:aws:iam::aws:policy/ReadOnlyAccess"}}}]}`)
		for name, f := range map[string]string{
			"attach":  "Action=AttachUserPolicy&UserName=mallory&PolicyArn=arn:aws:iam::aws:policy/AdministratorAccess",
			"inline":  "Action=PutUserPolicy&UserName=mallory&PolicyName=x&PolicyDocument=%7B%7D",
			"lift":    "Action=DeleteUserPermissionsBoundary&UserName=mallory",
			"version": "Action=CreatePolicyVersion&PolicyArn=arn:aws:iam::aws:policy/ReadOnlyAccess&PolicyDocument=%7B%7D&SetAsDefault=true",
			"key":     "Action=CreateAccessKey&UserName=mallory",
			"root":    "Action=CreateAccessKey",
		} {
			status, body := a.send(form("iam", f+"&Version=2010-05-08"), nil)
			a.refused(name, status, body)
		}
	})
}

// What a caller may choose, names of sessions, tags, is never a pattern.
func TestNothingChosenIsAPattern(t *testing.T) {
	const own = `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"states:StartExecution","Resource":"arn:aws:states:*:*:stateMachine:${aws:PrincipalTag/team}-*"},
		{"Effect":"Allow","Action":"states:StopExecution","Resource":"*","Condition":{"StringLike":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}},
		{"Effect":"Allow","Action":"sts:*","Resource":"*"}]}`
	for _, tag := range []string{"*", "?????", "${*}", "${aws:PrincipalTag/team}", "own-x:*", "", "${aws:username, '*'}"} {
		t.Run(fmt.Sprintf("tag%q", tag), func(t *testing.T) {
			a := attack(t, own, principal.Tag{Key: "team", Value: tag})
			arn := a.machine("other-m")
			status, body := a.send(states("StartExecution", fmt.Sprintf(`{"stateMachineArn":%q}`, arn)), nil)
			a.refused("StartExecution", status, body)
			a.calm()
		})
	}
	t.Run("sessions", func(t *testing.T) {
		a := attack(t, allow(`"sts:*"`, `"*"`))
		role := a.testingOnlyRole(t, "shared", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":["sts:AssumeRole","sts:TagSession"]}}`,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"states:StartExecution","Resource":"arn:aws:states:*:*:stateMachine:${aws:PrincipalTag/team}-*"}}`)
		arn := a.machine("other-m")
		for _, name := range []string{"*", "a*", "a/b", "a:b", "../x", "a b", "a%2Fb", "ä1", "${aws:userid}", "a\n", strings.Repeat("a", 65), "a"} {
			q := form("sts", "")
			q.body = "Action=AssumeRole&Version=2011-06-15&RoleArn=" + role + "&RoleSessionName=" + escape(name)
			status, body := a.send(q, nil)
			a.refused("session "+name, status, body)
		}
		// A tag with a star may be had; it is a star and nothing more.
		as, err := a.people.AssumeRole(t.Context(), a.as(t), principal.AssumeRole{RoleARN: role, SessionName: "s1", Tags: []principal.Tag{{Key: "team", Value: "*"}}}, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		a.key = sigv4.Credentials{AccessKeyID: as.AccessKeyID, Secret: string(as.Secret), SessionToken: string(as.Token)}
		status, body := a.send(states("StartExecution", fmt.Sprintf(`{"stateMachineArn":%q}`, arn)), nil)
		a.refused("StartExecution", status, body)
		a.calm()
	})
}

func (a *target) as(t *testing.T) *principal.Principal {
	c, err := a.people.Credential(t.Context(), a.key.AccessKeyID, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c.Principal
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// What is authorized is what is done, however a path or a query spells it: a
// target that was signed for one operation and sent otherwise is refused, and
// one that was signed in a strange spelling does what its decision was about.
func TestCanonicalisation(t *testing.T) {
	const model, other = "amazon.nova-lite-v1:0", "amazon.nova-pro-v1:0"
	a := attack(t, allow(`"bedrock:InvokeModel"`, `"arn:aws:bedrock:*::foundation-model/`+model+`"`))
	converse := func(target string) message {
		return message{"POST", target, "bedrock", `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`, [][2]string{{"Content-Type", "application/json"}}, time.Now()}
	}
	if status, body := a.send(converse("/model/"+model+"/converse"), nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	// Signed for the allowed model, sent for the other one.
	for name, sent := range map[string]string{
		"other":       "/model/" + other + "/converse",
		"dots":        "/model/" + model + "/../" + other + "/converse",
		"encodedDots": "/model/" + model + "/%2e%2e/" + other + "/converse",
		"backslash":   "/model/" + model + `\..\` + other + "/converse",
		"slashes":     "//model//" + other + "//converse",
		"double":      "/model/" + other + "%2Fconverse%3F/../converse",
		"query":       "/model/" + other + "/converse?x=/model/" + model + "/converse",
		"fragment":    "/model/" + other + "/converse#/model/" + model + "/converse",
		"semicolon":   "/model/" + other + ";" + model + "/converse",
		"absolute":    "http://" + a.host + "/model/" + other + "/converse",
		"authority":   "http://evil.example/model/" + model + "/converse",
		"null":        "/model/" + other + "%00/converse",
	} {
		status, body := a.send(converse("/model/"+model+"/converse"), func(target *string, _ *[][2]string, _ *string) { *target = sent })
		if name == "authority" && status == 200 {
			continue // the host is signed; that of the target is not looked at
		}
		a.refused(name, status, body)
	}
	// Signed as it is sent, in strange spellings: whatever it is taken for, the
	// other model is not called.
	before := len(a.inferences(t))
	for _, target := range []string{
		"/model/" + model + "/../" + other + "/converse", "/model/" + model + "/%2e%2e/" + other + "/converse", "/model/./" + other + "/converse", "//model/" + other + "/converse",
		"/model/" + other + "/converse/", "/MODEL/" + other + "/converse", "/model/" + strings.ReplaceAll(other, ".", "%2E") + "/converse", "/model/" + strings.ReplaceAll(other, ":", "%3A") + "/converse",
		"/model/" + strings.ReplaceAll(other, ":", "%253A") + "/converse", "/model/" + other + "%20/converse", "/model/" + model + "%00" + other + "/converse", "/model/" + model + "%2F..%2F" + other + "/converse",
		"/model/arn:aws:bedrock:ap-northeast-1::foundation-model/" + other + "/converse", "/model/arn%3Aaws%3Abedrock%3Aap-northeast-1%3A%3Afoundation-model%2F" + other + "/converse",
		"/model/" + strings.ToUpper(other) + "/converse", "/model/" + other + "/converse?modelId=" + model,
	} {
		status, body := a.send(converse(target), nil)
		a.refused(target, status, body)
	}
	// Nothing but the model that was allowed was ever called.
	for _, r := range a.inferences(t)[:] {
		if id := r.Request.Get("modelId").Str(); r.ErrorCode == "" && id != model {
			t.Errorf("%s was called", id)
		}
	}
	if after := len(a.inferences(t)); after < before {
		t.Error("records are gone")
	}
	// A form that names its action twice, or once here and once there.
	for name, m := range map[string]message{
		"twice":   form("iam", "Action=GetUser&Version=2010-05-08&Action=DeleteUser&UserName=mallory"),
		"both":    {"POST", "/?Action=GetUser&Version=2010-05-08", "iam", "Action=DeleteUser&Version=2010-05-08&UserName=mallory", [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}, time.Now()},
		"member":  form("iam", "Action=TagUser&Version=2010-05-08&UserName=mallory&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.1.Value=c"),
		"holes":   form("iam", "Action=TagUser&Version=2010-05-08&UserName=mallory&Tags.member.999999999.Key=a&Tags.member.999999999.Value=b"),
		"user":    form("iam", "Action=GetUser&Version=2010-05-08&UserName=mallory&UserName=root"),
		"version": form("iam", "Action=GetUser&Version=2010-05-08&Version=2011-06-15"),
	} {
		status, body := a.send(m, nil)
		a.refused(name, status, body)
	}
	if _, err := a.people.Get(principal.KindUser, "mallory"); err != nil {
		t.Error(err)
	}
	a.calm()
}

func (a *target) inferences(t *testing.T) []*trail.Record {
	t.Helper()
	page, err := a.audit.Lookup(t.Context(), trail.Query{Attribute: trail.BySource, Value: "bedrock.amazonaws.com"})
	if err != nil {
		t.Fatal(err)
	}
	return page.Records
}

// Headers that are doubled, folded, hidden or unsigned change nothing that the
// signature covers.
func TestHeaderSmuggling(t *testing.T) {
	a := attack(t, allow(`"states:ListStateMachines"`, `"*"`))
	arn := a.machine("m")
	list := states("ListStateMachines", "{}")
	if status, body := a.send(list, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	start := fmt.Sprintf(`{"stateMachineArn":%q}`, arn)
	set := func(headers *[][2]string, name, v string) {
		for i := range *headers {
			if strings.EqualFold((*headers)[i][0], name) {
				(*headers)[i][1] = v
			}
		}
	}
	drop := func(headers *[][2]string, name string) {
		var keep [][2]string
		for _, h := range *headers {
			if !strings.EqualFold(h[0], name) {
				keep = append(keep, h)
			}
		}
		*headers = keep
	}
	for name, spoil := range map[string]func(target *string, headers *[][2]string, body *string){
		"target": func(_ *string, h *[][2]string, _ *string) { set(h, "X-Amz-Target", "AWSStepFunctions.StartExecution") },
		"secondTarget": func(_ *string, h *[][2]string, _ *string) {
			*h = append(*h, [2]string{"x-amz-target", "AWSStepFunctions.StartExecution"})
		},
		"firstTarget": func(_ *string, h *[][2]string, _ *string) {
			*h = append([][2]string{{"X-Amz-Target", "AWSStepFunctions.StartExecution"}}, *h...)
		},
		"joinedTarget": func(_ *string, h *[][2]string, _ *string) {
			set(h, "X-Amz-Target", "AWSStepFunctions.ListStateMachines,AWSStepFunctions.StartExecution")
		},
		"foldedTarget": func(_ *string, h *[][2]string, _ *string) {
			set(h, "X-Amz-Target", "AWSStepFunctions.ListStateMachines\r\n AWSStepFunctions.StartExecution")
		},
		"crlf": func(_ *string, h *[][2]string, _ *string) {
			set(h, "Content-Type", "application/x-amz-json-1.0\r\nX-Amz-Target: AWSStepFunctions.StartExecution")
		},
		"body":       func(_ *string, _ *[][2]string, b *string) { *b = start },
		"secondHost": func(_ *string, h *[][2]string, _ *string) { *h = append(*h, [2]string{"Host", "evil.example"}) },
		"otherHost":  func(_ *string, h *[][2]string, _ *string) { set(h, "Host", "evil.example") },
		"secondAuth": func(_ *string, h *[][2]string, _ *string) { *h = append(*h, [2]string{"authorization", "Bearer x"}) },
		"secondDate": func(_ *string, h *[][2]string, _ *string) {
			*h = append(*h, [2]string{"X-Amz-Date", "20260101T000000Z"})
		},
		"noDate": func(_ *string, h *[][2]string, _ *string) { drop(h, "X-Amz-Date") },
		"token":  func(_ *string, h *[][2]string, _ *string) { *h = append(*h, [2]string{"X-Amz-Security-Token", "x"}) },
		"contentType": func(_ *string, h *[][2]string, _ *string) {
			set(h, "Content-Type", "application/x-www-form-urlencoded")
		},
		"encoding": func(_ *string, h *[][2]string, _ *string) { *h = append(*h, [2]string{"Content-Encoding", "gzip"}) },
		"lengths":  func(_ *string, h *[][2]string, _ *string) { *h = append(*h, [2]string{"Content-Length", "0"}) },
		"chunkedAndLong": func(_ *string, h *[][2]string, b *string) {
			*h = append(*h, [2]string{"Transfer-Encoding", "chunked"})
			*b = "0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
		},
		"chunkedTwice": func(_ *string, h *[][2]string, _ *string) {
			*h = append(*h, [2]string{"Transfer-Encoding", "identity, chunked"})
		},
		"both":  func(tg *string, _ *[][2]string, _ *string) { *tg = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256" },
		"query": func(tg *string, _ *[][2]string, _ *string) { *tg = "/?Action=ListRoles&Version=2010-05-08" },
		"space": func(_ *string, h *[][2]string, _ *string) {
			*h = append(*h, [2]string{"X-Amz-Target ", "AWSStepFunctions.StartExecution"})
		},
	} {
		status, body := a.send(list, spoil)
		a.refused(name, status, body)
	}
	// What is not signed and means nothing may be there, and means nothing.
	for name, h := range map[string][2]string{
		"override": {"X-HTTP-Method-Override", "DELETE"}, "rewrite": {"X-Original-URL", "/admin"}, "host": {"X-Forwarded-Host", "evil"}, "underscore": {"X_Amz_Target", "AWSStepFunctions.StartExecution"},
	} {
		if status, body := a.send(list, func(_ *string, headers *[][2]string, _ *string) { *headers = append(*headers, h) }); status != 200 || !strings.Contains(body, "stateMachines") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	// An address that a client only claims is not where it comes from.
	if err := a.people.PutInline(t.Context(), principal.KindUser, "mallory", "p", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"states:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}`); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip"} {
		status, body := a.send(list, func(_ *string, headers *[][2]string, _ *string) {
			*headers = append(*headers, [2]string{name, "10.1.2.3"})
		})
		a.refused(name, status, body)
	}
	if l, err := a.machines.ListExecutions(t.Context(), flow.ListExecutions{ARN: arn, Page: flow.Page{Max: 10}}); err != nil || len(l.Items) != 0 {
		t.Errorf("%d executions were started, %v", len(l.Items), err)
	}
	a.calm()
}

// A signature is good for its time, its algorithm, its scope and its request.
func TestSignatures(t *testing.T) {
	a := attack(t, allow(`"states:*","iam:*"`, `"*"`))
	list := func(at time.Duration) message {
		m := states("ListStateMachines", "{}")
		m.at = m.at.Add(at)
		return m
	}
	if status, body := a.send(list(0), nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	for _, skew := range []time.Duration{-6 * time.Minute, -time.Hour, -8 * 24 * time.Hour, 6 * time.Minute, 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
		status, body := a.send(list(skew), nil)
		a.refused(skew.String(), status, body)
		if !strings.Contains(body, "Signature expired: ") && !strings.Contains(body, "Signature not yet current: ") {
			t.Errorf("%v: %s", skew, body)
		}
	}
	change := func(from, to string) func(*string, *[][2]string, *string) {
		return func(_ *string, h *[][2]string, _ *string) {
			last := &(*h)[len(*h)-1]
			if n := strings.Replace(last[1], from, to, 1); n == last[1] {
				t.Errorf("%q has no %q", last[1], from)
			} else {
				last[1] = n
			}
		}
	}
	for name, spoil := range map[string]func(*string, *[][2]string, *string){
		"sha1":       change("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
		"ecdsa":      change("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
		"payload":    change("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256-PAYLOAD"),
		"none":       change("AWS4-HMAC-SHA256", "none"),
		"lower":      change("AWS4-HMAC-SHA256", "aws4-hmac-sha256"),
		"aws2":       change("AWS4-HMAC-SHA256", "AWS"),
		"region":     change("/"+authRegion+"/", "/us-east-1/"),
		"service":    change("/states/", "/iam/"),
		"terminator": change("/aws4_request", "/aws5_request"),
		"moreScope":  change("/aws4_request", "/x/aws4_request"),
		"lessScope":  change("/states/aws4_request", "/aws4_request"),
		"key":        change("Credential=AKIA", "Credential=ASIA"),
		"empty": func(_ *string, h *[][2]string, _ *string) {
			l := &(*h)[len(*h)-1]
			l[1] = l[1][:strings.Index(l[1], "Signature=")+len("Signature=")]
		},
		"short": func(_ *string, h *[][2]string, _ *string) { l := &(*h)[len(*h)-1]; l[1] = l[1][:len(l[1])-1] },
		"long":  func(_ *string, h *[][2]string, _ *string) { (*h)[len(*h)-1][1] += "0" },
		"zeros": func(_ *string, h *[][2]string, _ *string) {
			l := &(*h)[len(*h)-1]
			l[1] = l[1][:len(l[1])-64] + strings.Repeat("0", 64)
		},
		"twoSigs": func(_ *string, h *[][2]string, _ *string) {
			(*h)[len(*h)-1][1] += ", Signature=" + strings.Repeat("0", 64)
		},
		"hostless":    change("host;", ""),
		"targetless":  change(";x-amz-target", ""),
		"dateless":    change(";x-amz-date", ""),
		"nothing":     func(_ *string, h *[][2]string, _ *string) { *h = (*h)[:len(*h)-1] },
		"manyHeaders": change("SignedHeaders=", "SignedHeaders="+strings.Repeat("a;", 5000)),
	} {
		status, body := a.send(list(0), spoil)
		a.refused(name, status, body)
	}
	// A signature of one request is not that of another.
	_, headers := a.sign(form("iam", "Action=GetUser&Version=2010-05-08"))
	status, body := a.raw(compose("POST", "/", headers, "Action=ListUsers&Version=2010-05-08"))
	a.refused("anotherBody", status, body)

	// In the query, with its own time.
	presign := func(at time.Time, lasts time.Duration) string {
		target, err := sigv4.Presign(sigv4.Request{Method: "GET", Target: "/?Action=GetUser&Version=2010-05-08", Headers: [][2]string{{"Host", a.host}}},
			sigv4.Options{Service: "iam", Region: "us-east-1", Now: at}, a.key, lasts)
		if err != nil {
			t.Fatal(err)
		}
		return target
	}
	get := func(target string) (int, string) {
		return a.raw(compose("GET", target, [][2]string{{"Host", a.host}}, ""))
	}
	if status, body := get(presign(time.Now(), time.Minute)); status != 200 || !strings.Contains(body, "mallory") {
		t.Fatalf("%d %s", status, body)
	}
	a.fresh()
	good := presign(time.Now(), time.Minute)
	for name, target := range map[string]string{
		"expired":   presign(time.Now().Add(-2*time.Minute), time.Minute),
		"future":    presign(time.Now().Add(time.Hour), time.Minute),
		"longer":    strings.Replace(good, "X-Amz-Expires=60", "X-Amz-Expires=600000", 1),
		"tooLong":   strings.Replace(good, "X-Amz-Expires=60", "X-Amz-Expires=604801", 1),
		"zero":      strings.Replace(good, "X-Amz-Expires=60", "X-Amz-Expires=0", 1),
		"negative":  strings.Replace(good, "X-Amz-Expires=60", "X-Amz-Expires=-60", 1),
		"endless":   strings.Replace(good, "&X-Amz-Expires=60", "", 1),
		"huge":      strings.Replace(good, "X-Amz-Expires=60", "X-Amz-Expires=99999999999999999999", 1),
		"action":    strings.Replace(good, "GetUser", "ListUsers", 1),
		"more":      good + "&UserName=root",
		"twice":     good + "&X-Amz-Signature=" + strings.Repeat("0", 64),
		"twoDates":  good + "&X-Amz-Date=20260101T000000Z",
		"algorithm": strings.Replace(good, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", 1),
		"lowercase": strings.Replace(good, "X-Amz-Signature", "x-amz-signature", 1),
	} {
		status, body := get(target)
		a.refused(name, status, body)
	}
	status, body = a.raw(compose("POST", good, [][2]string{{"Host", a.host}}, ""))
	a.refused("method", status, body)
	a.calm()
}

// Whatever is too large is refused, quickly, and nothing of it stays.
func TestOversize(t *testing.T) {
	a := attack(t, allow(`"states:*","iam:*","sts:*","bedrock:*","organizations:*"`, `"*"`))
	long := func(n int) string { return strings.Repeat("a", n) }
	orgs := func(op, body string) message {
		return message{"POST", "/", "organizations", body, [][2]string{{"X-Amz-Target", "AWSOrganizationsV20161128." + op}, {"Content-Type", "application/x-amz-json-1.1"}}, time.Now()}
	}
	var tags strings.Builder
	for i := range 51 {
		fmt.Fprintf(&tags, "&Tags.member.%d.Key=k%d&Tags.member.%d.Value=v", i+1, i, i+1)
	}
	for name, m := range map[string]message{
		"json":          states("CreateStateMachine", `{"name":"`+long(9<<20)+`"}`),
		"deepJSON":      states("ListStateMachines", strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000)),
		"deepArray":     states("ListStateMachines", strings.Repeat("[", 200_000)),
		"form":          form("iam", "Action=GetUser&Version=2010-05-08&UserName="+long(2<<20)),
		"fields":        form("iam", "Action=GetUser&Version=2010-05-08"+strings.Repeat("&a=b", 200_000)),
		"deepField":     form("iam", "Action=GetUser&Version=2010-05-08&"+strings.Repeat("a.", 20_000)+"b=c"),
		"path":          {"POST", "/model/" + long(100_000) + "/converse", "bedrock", "{}", nil, time.Now()},
		"segments":      {"POST", "/model" + strings.Repeat("/a", 50_000), "bedrock", "{}", nil, time.Now()},
		"policy":        form("iam", "Action=PutUserPolicy&Version=2010-05-08&UserName=mallory&PolicyName=p&PolicyDocument="+long(200_000)),
		"statements":    form("iam", "Action=PutUserPolicy&Version=2010-05-08&UserName=mallory&PolicyName=q&PolicyDocument="+escapeForm(`{"Version":"2012-10-17","Statement":[`+strings.Repeat(`{"Effect":"Allow","Action":"s3:*","Resource":"*"},`, 500)+`{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)),
		"name":          form("iam", "Action=CreateUser&Version=2010-05-08&UserName="+long(65)),
		"tags":          form("iam", "Action=TagUser&Version=2010-05-08&UserName=mallory"+tags.String()),
		"tagValue":      form("iam", "Action=TagUser&Version=2010-05-08&UserName=mallory&Tags.member.1.Key=k&Tags.member.1.Value="+long(257)),
		"session":       form("sts", "Action=AssumeRole&Version=2011-06-15&RoleSessionName=s1&RoleArn="+a.role+"&Policy="+long(2049)),
		"external":      form("sts", "Action=AssumeRole&Version=2011-06-15&RoleSessionName=s1&RoleArn="+a.role+"&ExternalId="+long(1225)),
		"scp":           orgs("CreatePolicy", `{"Name":"n","Description":"","Type":"SERVICE_CONTROL_POLICY","Content":"`+long(6000)+`"}`),
		"wildcards":     form("iam", "Action=PutUserPolicy&Version=2010-05-08&UserName=mallory&PolicyName=w&PolicyDocument="+escapeForm(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::`+strings.Repeat("*a", 20_000)+`"}}`)),
		"authorization": {"POST", "/", "states", "{}", [][2]string{{"X-Amz-Target", "AWSStepFunctions.ListStateMachines"}, {"X-" + long(10), long(10)}}, time.Now()},
	} {
		var spoil func(*string, *[][2]string, *string)
		if name == "authorization" {
			spoil = func(_ *string, h *[][2]string, _ *string) { (*h)[len(*h)-1][1] += ", X=" + long(100_000) }
		}
		begun := time.Now()
		status, body := a.send(m, spoil)
		if status != 0 { // closing the connection is a refusal too
			a.refused(name, status, body)
		}
		if d := time.Since(begun); d > 30*time.Second {
			t.Errorf("%s took %v", name, d)
		}
		if len(body) > 64<<10 {
			t.Errorf("%s: the refusal has %d bytes", name, len(body))
		}
	}
	// A length that is only claimed reserves nothing.
	_, headers := a.sign(states("ListStateMachines", ""))
	status, body := a.raw("POST / HTTP/1.1\r\n" + lines(headers) + "Content-Length: 9223372036854775807\r\nConnection: close\r\n\r\n{}")
	if status != 0 {
		a.refused("claimed", status, body)
	}
	status, body = a.raw(compose("GET", "/?Action=GetUser&Version=2010-05-08"+strings.Repeat("&a=b", 20_000), headers, ""))
	a.refused("queryFields", status, body)
	status, body = a.raw("POST / HTTP/1.1\r\n" + lines(headers) + "X-Long: " + long(2<<20) + "\r\nConnection: close\r\n\r\n")
	if status != 0 {
		a.refused("headers", status, body)
	}
	a.calm()
}

func lines(headers [][2]string) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	return b.String()
}

func escapeForm(s string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "=", "%3D", "{", "%7B", "}", "%7D", `"`, "%22", "[", "%5B", "]", "%5D", " ", "%20", "*", "%2A").Replace(s)
}
