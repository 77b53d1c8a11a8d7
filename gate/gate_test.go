package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/fault"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// recorder keeps records, and fails from its nth Append on.
type recorder struct {
	mu      sync.Mutex
	records []trail.Record
	fail    error
	from    int
	lie     bool // what fails is kept all the same
}

func (l *recorder) Append(ctx context.Context, r *trail.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.EventID == "" {
		r.EventID = fmt.Sprint("event-", len(l.records))
	}
	if l.fail != nil && len(l.records) >= l.from {
		if l.lie {
			l.records = append(l.records, *r)
		}
		return l.fail
	}
	l.records = append(l.records, *r)
	return nil
}

const account = "111122223333"

func caller(docs ...string) *principal.Principal {
	p := &principal.Principal{
		Type: principal.AssumedRole, Account: account, ARN: "arn:aws:sts::111122223333:assumed-role/flow/run", ID: "AROAEXAMPLE:run", Name: "flow",
		RoleARN: "arn:aws:iam::111122223333:role/app/flow", SessionName: "run", IssuedAt: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), AssumedBy: "states.amazonaws.com",
	}
	for i, d := range docs {
		p.Policies.Identity = append(p.Policies.Identity, iam.Bound{Policy: iam.MustParse(iam.IdentityPolicy, d), Name: fmt.Sprint("p", i), Owner: p.RoleARN})
	}
	return p
}

func allow(resources ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"Models","Effect":"Allow","Action":"bedrock:InvokeModel","Resource":["` + strings.Join(resources, `","`) + `"]}]}`
}

const (
	profile = "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/jp.anthropic.claude-sonnet-4-5-20250929-v1:0"
	tokyo   = "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"
	osaka   = "arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"
)

// converse is an inference that needs the profile and both Regions' models.
func converse(by *principal.Principal) Call {
	need := func(r, region string) iam.Authorization {
		return iam.Authorization{Action: "bedrock:InvokeModel", Resource: r, Context: iam.Context{
			{Key: "aws:RequestedRegion", Values: []string{region}}, {Key: "bedrock:InferenceProfileArn", Values: []string{profile}},
		}}
	}
	return Call{
		By: by, Source: "bedrock.amazonaws.com", Name: "Converse", Region: "ap-northeast-1", ReadOnly: true, Inference: true,
		Needs:    []iam.Authorization{need(profile, "ap-northeast-1"), need(tokyo, "ap-northeast-1"), need(osaka, "ap-northeast-3")},
		Model:    &iam.CallShape{Region: "ap-northeast-1", Account: account, Requested: "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", ProfileARN: profile, Destinations: []string{"ap-northeast-1", "ap-northeast-3"}},
		Request:  value.MustParse(`{"modelId":"jp.anthropic.claude-sonnet-4-5-20250929-v1:0"}`),
		Meta:     Meta{RequestID: "r-1", SourceIP: "states.amazonaws.com", UserAgent: "states.amazonaws.com"},
		Workflow: Workflow{ExecutionARN: "arn:aws:states:ap-northeast-1:111122223333:execution:m:x", State: "Ask"},
	}
}

// start is a call that changes something.
func start(by *principal.Principal) Call {
	return Call{
		By: by, Source: "states.amazonaws.com", Name: "StartExecution", Region: "ap-northeast-1",
		Needs: []iam.Authorization{{Action: "states:StartExecution", Resource: "arn:aws:states:ap-northeast-1:111122223333:stateMachine:m"}},
		Meta:  Meta{RequestID: "r-2", SourceIP: "127.0.0.1", UserAgent: "aws-cli", Host: "states.ap-northeast-1.amazonaws.com", TLS: true},
	}
}

const startPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:*","Resource":"*"}]}`

func text(s string) func(context.Context, *Act) (string, error) {
	return func(context.Context, *Act) (string, error) { return s, nil }
}

// TestNothingIsPerformedUndecided: with any part of the permissions missing the
// call is refused, every time, having done nothing, and all parts are answered.
func TestNothingIsPerformedUndecided(t *testing.T) {
	parts := []string{profile, tokyo, osaka}
	for missing := range 8 {
		var have []string
		first := ""
		for i, p := range parts {
			if missing&(1<<i) == 0 {
				have = append(have, p)
			} else if first == "" {
				first = p
			}
		}
		log := &recorder{}
		by := caller()
		if len(have) > 0 {
			by = caller(allow(have...))
		}
		ran := false
		_, err := Do(t.Context(), New(log, nil), converse(by), func(context.Context, *Act) (int, error) { ran = true; return 0, nil })
		if missing == 0 {
			if err != nil || !ran || len(log.records) != 2 {
				t.Errorf("all allowed: %v, ran %v", err, ran)
			}
			continue
		}
		f, ok := errors.AsType[*fault.Error](err)
		if ran || !ok {
			t.Fatalf("%03b missing: performed %v, error %v", missing, ran, err)
		}
		ds, ok := f.Detail.([]iam.Decision)
		if f.Code != "AccessDeniedException" || !f.Auth || f.Kind != fault.Client || !ok || len(ds) != 3 {
			t.Errorf("%03b missing: %+v", missing, f)
		}
		for i, d := range ds {
			if d.Allowed == (missing&(1<<i) != 0) {
				t.Errorf("%03b missing: part %d allowed %v", missing, i, d.Allowed)
			}
		}
		if want := "User: " + by.ARN + " is not authorized to perform: bedrock:InvokeModel on resource: " + first + " because no identity-based policy allows the bedrock:InvokeModel action"; f.Message != want {
			t.Errorf("message\n%s\nwant\n%s", f.Message, want)
		}
		if len(log.records) != 1 {
			t.Fatalf("%d records", len(log.records))
		}
		r := log.records[0]
		if r.Phase != trail.Whole || r.ErrorCode != "AccessDenied" || r.ErrorMessage != f.Message || r.Relaxed || r.Name != "Converse" {
			t.Errorf("record %+v", r)
		}
	}
}

// TestInference: the intent is in the log before the request leaves, the
// outcome after it came back.
func TestInference(t *testing.T) {
	log := &recorder{}
	got, err := Do(t.Context(), New(log, nil), converse(caller(allow("*"))), func(_ context.Context, a *Act) (string, error) {
		if len(log.records) != 1 || log.records[0].Phase != trail.Intent || log.records[0].Relaxed {
			t.Errorf("before: %+v", log.records)
		}
		a.Note(value.Member{Key: "inputTokens", Value: value.Int(1)})
		a.Note(value.Member{Key: "inferenceRegion", Value: value.String("ap-northeast-3")}, value.Member{Key: "inputTokens", Value: value.Int(9)})
		return "answer", nil
	})
	if err != nil || got != "answer" || len(log.records) != 2 {
		t.Fatalf("%q, %v, %d records", got, err, len(log.records))
	}
	i, o := log.records[0], log.records[1]
	if o.Phase != trail.Outcome || o.IntentID != i.EventID || o.EventID == i.EventID || o.Relaxed || !o.Time.Equal(i.Time) {
		t.Errorf("outcome %+v of %+v", o, i)
	}
	if s := o.Additional.JSON(); s != `{"inputTokens":9,"inferenceRegion":"ap-northeast-3"}` {
		t.Errorf("additional %s", s)
	}
	if !reflect.DeepEqual(o.Resources, []trail.Resource{{Type: "AWS::Bedrock::InferenceProfile", Name: profile}}) {
		t.Errorf("resources %v", o.Resources)
	}
	id := o.Identity
	if id.Type != "AssumedRole" || id.Issuer == nil || id.Issuer.PrincipalID != "AROAEXAMPLE" || id.Issuer.ARN != "arn:aws:iam::111122223333:role/app/flow" || id.InvokedBy != "states.amazonaws.com" {
		t.Errorf("identity %+v", id)
	}
}

// TestNoRecordNoCall: whatever record cannot be written, and whether it was
// written all the same, nobody is told of a success, and no inference leaves
// without an intent.
func TestNoRecordNoCall(t *testing.T) {
	full := errors.New("disk full")
	for _, lie := range []bool{false, true} {
		for _, c := range []struct {
			name string
			call Call
			from int
			ran  bool
			fn   error
		}{
			{"intent", converse(caller(allow("*"))), 0, false, nil},
			{"outcome", converse(caller(allow("*"))), 1, true, nil},
			{"outcomeOfFailure", converse(caller(allow("*"))), 1, true, fault.Newf("ThrottlingException", "slow down")},
			{"write", start(caller(startPolicy)), 0, true, nil},
			{"denied", start(caller()), 0, false, nil},
		} {
			log := &recorder{fail: full, from: c.from, lie: lie}
			ran := false
			out, err := Do(t.Context(), New(log, nil), c.call, func(context.Context, *Act) (string, error) { ran = true; return "done", c.fn })
			if !errors.Is(err, full) || out != "" || ran != c.ran {
				t.Errorf("%s, happened %v: %q, %v, ran %v", c.name, lie, out, err, ran)
			}
			if _, ok := errors.AsType[*fault.Error](err); ok {
				t.Errorf("%s: the caller would be told %v, which is not recorded", c.name, err)
			}
		}
	}
}

// TestRelaxed: only the record of an allowed read is not waited for.
func TestRelaxed(t *testing.T) {
	for _, c := range []struct {
		name     string
		readOnly bool
		policy   string
		err      error
		relaxed  bool
	}{
		{"read", true, startPolicy, nil, true},
		{"readFailed", true, startPolicy, fault.Newf("ExecutionDoesNotExist", "x"), true},
		{"readDeniedBelow", true, startPolicy, &fault.Error{Code: "AccessDeniedException", Auth: true}, false},
		{"write", false, startPolicy, nil, false},
		{"readDenied", true, allow("*"), nil, false},
		{"volatile", false, startPolicy, nil, true},
		{"volatileDenied", false, allow("*"), nil, false},
	} {
		log := &recorder{}
		call := start(caller(c.policy))
		call.ReadOnly, call.Volatile = c.readOnly, strings.HasPrefix(c.name, "volatile")
		Do(t.Context(), New(log, nil), call, func(context.Context, *Act) (int, error) { return 0, c.err })
		if len(log.records) != 1 || log.records[0].Relaxed != c.relaxed {
			t.Errorf("%s: %+v", c.name, log.records)
		}
	}
}

// TestGrouped: with GroupInferences an inference waits for no disk, and a refused
// one does.
func TestGrouped(t *testing.T) {
	for _, c := range []struct {
		name    string
		grouped bool
		policy  string
		relaxed []bool
	}{
		{"durable", false, startPolicy, []bool{false, false}},
		{"grouped", true, startPolicy, []bool{true, true}},
		{"groupedDenied", true, allow("*"), []bool{false}},
	} {
		log := &recorder{}
		g := New(log, nil)
		if c.grouped {
			g.GroupInferences()
		}
		call := start(caller(c.policy))
		call.Inference, call.ReadOnly = true, true
		Do(t.Context(), g, call, func(context.Context, *Act) (int, error) { return 0, nil })
		g.Wait()
		var got []bool
		for _, r := range log.records {
			got = append(got, r.Relaxed)
		}
		if !slices.Equal(got, c.relaxed) {
			t.Errorf("%s: relaxed %v, want %v", c.name, got, c.relaxed)
		}
	}
	// What is no inference is as it was.
	log := &recorder{}
	g := New(log, nil)
	g.GroupInferences()
	Do(t.Context(), g, start(caller(startPolicy)), func(context.Context, *Act) (int, error) { return 0, nil })
	if len(log.records) != 1 || log.records[0].Relaxed {
		t.Errorf("a write: %+v", log.records)
	}
}

// TestBehind: the record of an inference that went well may be made behind its
// answer, but not of one that failed, and not of too many at once.
func TestBehind(t *testing.T) {
	log := &recorder{}
	g := New(log, slog.New(slog.DiscardHandler))
	g.GroupInferences()
	call := start(caller(startPolicy))
	call.Inference, call.ReadOnly = true, true
	open := make(chan struct{})
	ctx, gone := context.WithCancel(t.Context())
	for range maxBehind {
		if out, err := Do(ctx, g, call, func(_ context.Context, a *Act) (int, error) {
			a.Later(func() []value.Member { <-open; return []value.Member{{Key: "later", Value: value.Bool(true)}} })
			return 7, nil
		}); out != 7 || err != nil {
			t.Fatal(out, err)
		}
	}
	gone() // which changes nothing
	if _, err := Do(t.Context(), g, call, func(_ context.Context, a *Act) (int, error) { return 0, nil }); err != nil {
		t.Fatal(err)
	}
	failed := fault.Newf("ModelTimeoutException", "x")
	if _, err := Do(t.Context(), g, call, func(_ context.Context, a *Act) (int, error) { return 0, failed }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	outcomes := func() (all []trail.Record) {
		for _, r := range log.records {
			if r.Phase == trail.Outcome {
				all = append(all, r)
			}
		}
		return all
	}
	if got := outcomes(); len(got) != 2 || got[0].ErrorCode != "" || got[1].ErrorCode != "ModelTimeoutException" {
		t.Errorf("before the others: %+v", got)
	}
	close(open)
	g.Wait()
	got := outcomes()
	if len(got) != maxBehind+2 {
		t.Fatalf("%d outcomes", len(got))
	}
	for _, r := range got[2:] {
		if !r.Additional.Get("later").Bool() || r.ErrorCode != "" {
			t.Errorf("%s", r.Additional)
		}
	}
	// A panic there takes nothing with it, and gives its place back.
	for range maxBehind + 1 {
		Do(t.Context(), g, call, func(_ context.Context, a *Act) (int, error) {
			a.Later(func() []value.Member { panic("ours") })
			return 0, nil
		})
		g.Wait()
	}
}

// TestLater: where records are waited for, so is what is added later.
func TestLater(t *testing.T) {
	log := &recorder{}
	call := start(caller(startPolicy))
	call.Inference, call.ReadOnly = true, true
	Do(t.Context(), New(log, nil), call, func(_ context.Context, a *Act) (int, error) {
		a.Note(value.Member{Key: "now", Value: value.Int(1)})
		a.Later(func() []value.Member { return []value.Member{{Key: "later", Value: value.Int(2)}} })
		return 0, nil
	})
	if r := log.records; len(r) != 2 || r[1].Additional.JSON() != `{"now":1,"later":2}` {
		t.Errorf("%+v", r)
	}
}

// TestAwait: a call is answered when its record and what it did are durable, and
// one whose work failed after it was recorded is recorded as failed too.
func TestAwait(t *testing.T) {
	full := fault.Newf("ServiceUnavailable", "the disk is full")
	for _, c := range []struct {
		name    string
		fn      error
		durable error
		codes   []string
		waited  bool
	}{
		{"done", nil, nil, []string{""}, true},
		{"notDurable", nil, full, []string{"", "ServiceUnavailable"}, true},
		{"failed", full, nil, []string{"ServiceUnavailable"}, false},
	} {
		log := &recorder{}
		waited := false
		ctx, gone := context.WithCancel(t.Context())
		_, err := Do(ctx, New(log, nil), start(caller(startPolicy)), func(_ context.Context, a *Act) (int, error) {
			a.Respond(value.MustParse(`{"executionArn":"x"}`))
			a.Await(func(ctx context.Context) error {
				if waited = true; len(log.records) != 1 {
					t.Errorf("%s: waited before it was recorded", c.name)
				}
				return errors.Join(ctx.Err(), c.durable)
			})
			gone() // which changes nothing
			return 0, c.fn
		})
		want := c.fn
		if want == nil {
			want = c.durable
		}
		var codes []string
		for _, r := range log.records {
			codes = append(codes, r.ErrorCode)
			if r.Relaxed || r.ErrorCode != "" && c.fn == nil && !r.Response.IsZero() {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
		if !errors.Is(err, want) || !slices.Equal(codes, c.codes) || waited != c.waited {
			t.Errorf("%s: %v, recorded %q, waited %v", c.name, err, codes, waited)
		}
	}
}

// TestOutcomes: what the record says of an error, and what it does not.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err           error
		code, message string
	}{
		{nil, "", ""},
		{fault.Newf("ExecutionAlreadyExists", "Execution Already Exists: 'x'"), "ExecutionAlreadyExists", "Execution Already Exists: 'x'"},
		{fmt.Errorf("start: %w", fault.Newf("InvalidName", "bad")), "InvalidName", "bad"},
		{fault.Newf("AccessDeniedException", "no access to the model"), "AccessDeniedException", "no access to the model"}, // the service's own
		{&fault.Error{Code: "AccessDeniedException", Auth: true, Message: "User: x"}, "AccessDenied", "User: x"},
		{errors.New("secret detail"), "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."},
		{context.Canceled, "RequestCanceled", "The caller went away before the call ended."},
		{context.DeadlineExceeded, "RequestTimeout", "The call took longer than it may."},
		{fault.Newf("ValidationException", "%s", strings.Repeat("é", 600)), "ValidationException", strings.Repeat("é", 512)},
	} {
		log := &recorder{}
		_, err := Do(t.Context(), New(log, nil), start(caller(startPolicy)), func(context.Context, *Act) (int, error) { return 0, c.err })
		if !errors.Is(err, c.err) {
			t.Errorf("%v became %v", c.err, err)
		}
		if r := log.records[0]; r.ErrorCode != c.code || r.ErrorMessage != c.message {
			t.Errorf("%v: %s %q", c.err, r.ErrorCode, r.ErrorMessage)
		}
	}
}

// TestCallerGoesAway: a client that closes its connection cannot do anything
// unrecorded.
func TestCallerGoesAway(t *testing.T) {
	for _, call := range []Call{start(caller(startPolicy)), converse(caller(allow("*"))), start(caller())} {
		log := &recorder{}
		ctx, cancel := context.WithCancel(t.Context())
		if len(call.By.Policies.Identity) == 0 {
			cancel() // gone before it is refused
		}
		Do(ctx, New(log, nil), call, func(ctx context.Context, _ *Act) (int, error) { cancel(); return 0, ctx.Err() })
		if n := len(log.records); n == 0 || log.records[n-1].ErrorCode == "" {
			t.Errorf("%s: %+v", call.Name, log.records)
		}
		cancel()
	}
}

func TestPanicIsRecorded(t *testing.T) {
	log := &recorder{}
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was swallowed")
			}
		}()
		Do(t.Context(), New(log, nil), converse(caller(allow("*"))), func(context.Context, *Act) (int, error) { panic("boom") })
	}()
	if len(log.records) != 2 || log.records[1].Phase != trail.Outcome || log.records[1].ErrorCode != "InternalFailure" {
		t.Errorf("%+v", log.records)
	}
}

func TestMisuse(t *testing.T) {
	g := New(&recorder{}, nil)
	if _, err := g.Begin(t.Context(), Call{Name: "X"}); err == nil {
		t.Error("a call by nobody")
	}
	if _, err := g.Begin(t.Context(), Call{Name: "X", By: caller(), Inference: true}); err == nil {
		t.Error("an inference that needs no permission")
	}
	a, err := g.Begin(t.Context(), start(caller(startPolicy)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.End(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := a.End(t.Context(), nil); err == nil {
		t.Error("ended twice")
	}
}

// TestContext: the request cannot say who calls, and what it leaves out is there.
func TestContext(t *testing.T) {
	by := caller(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:StartExecution","Resource":"*","Condition":{
		"StringEquals":{"aws:PrincipalAccount":"111122223333","aws:RequestedRegion":"ap-northeast-1"},
		"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"},"NumericGreaterThan":{"aws:EpochTime":"1577836800"}}}]}`)
	for _, c := range []struct {
		name    string
		account string
		context iam.Context
		ok      bool
	}{
		{"own", account, nil, true},
		{"claimed", "999999999999", iam.Context{{Key: "AWS:principalaccount", Values: []string{account}}}, false},
		{"otherRegion", account, iam.Context{{Key: "aws:requestedregion", Values: []string{"us-east-1"}}}, false},
	} {
		call := start(by)
		p := *by
		p.Account = c.account
		call.By, call.Context = &p, c.context
		if _, err := Do(t.Context(), New(&recorder{}, nil), call, text("")); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestRefusalCanBeExplained: what the record of a refused call keeps gives the
// same decisions again, after a way through the log.
func TestRefusalCanBeExplained(t *testing.T) {
	dir := t.TempDir()
	log, err := trail.Open(dir, trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	by := caller(allow(profile), `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"bedrock:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"ap-northeast-3"}}}]}`)
	boundary := iam.Bound{Policy: iam.MustParse(iam.IdentityPolicy, allow("*")), Name: "limit", ARN: "arn:aws:iam::111122223333:policy/limit"}
	by.Policies.Boundary = &boundary
	by.Policies.Session = []iam.Bound{}
	by.Policies.SCP = [][]iam.Bound{{boundary}, {boundary}}
	call := converse(by)
	_, err = New(log, nil).Begin(t.Context(), call)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatal(err)
	}
	want := f.Detail.([]iam.Decision)
	rs, err := log.Find(t.Context(), "r-1")
	if err != nil || len(rs) != 1 {
		t.Fatal(len(rs), err)
	}
	got, err := rs[0].Refusal()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Missing) > 0 || !reflect.DeepEqual(got.Call.Needs, call.Needs) || !reflect.DeepEqual(got.Call.Model, call.Model) || got.Call.By != by.Caller() {
		t.Errorf("%+v", got)
	}
	again := iam.EvaluateAll(got.Call.Policies, got.Call.By, got.Call.Needs, got.Call.Global)
	for i := range want {
		for _, d := range []iam.Decision{got.Decisions[i], again[i]} {
			if d.Allowed != want[i].Allowed || d.Explicit != want[i].Explicit || d.Layer != want[i].Layer || d.Message() != want[i].Message() {
				t.Errorf("part %d: %+v, want %+v", i, d, want[i])
			}
		}
	}
	if p := got.Call.Policies; p.Session == nil || len(p.SCP) != 2 || p.RCP != nil || p.Boundary.ARN != boundary.ARN || len(p.Identity) != 2 {
		t.Errorf("policies %+v", p)
	}
	allowed := &recorder{}
	Do(t.Context(), New(allowed, nil), start(caller(startPolicy)), text(""))
	if _, err := allowed.records[0].Refusal(); !errors.Is(err, trail.ErrNoEvidence) {
		t.Errorf("an allowed call: %v", err)
	}
}

// TestRecordsAreBounded: however large parameters, answers, messages and
// policies are, the record can be written.
func TestRecordsAreBounded(t *testing.T) {
	log, err := trail.Open(t.TempDir(), trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	huge := value.Object(value.Member{Key: "definition", Value: value.String(strings.Repeat("x", 2<<20))})
	call := start(caller(startPolicy))
	call.Request = huge
	if _, err := Do(t.Context(), New(log, nil), call, func(_ context.Context, a *Act) (int, error) {
		a.Respond(huge)
		a.Note(value.Member{Key: "x", Value: huge})
		return 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	rs, err := log.Find(t.Context(), "r-2")
	if err != nil || len(rs) != 1 {
		t.Fatal(err)
	}
	for name, v := range map[string]value.Value{"requestParameters": rs[0].Request, "responseElements": rs[0].Response, "additionalEventData": rs[0].Additional} {
		if !v.Get("omitted").Bool() || v.Get("reason").Str() != name+" too large" {
			t.Errorf("%s: %.100s", name, v.JSON())
		}
	}

	var docs []string
	for i := range 20 {
		docs = append(docs, allow(fmt.Sprintf("arn:aws:bedrock:*::foundation-model/%d%s", i, strings.Repeat("x", 30<<10))))
	}
	many := make([]string, 60)
	for i := range many {
		many[i] = fmt.Sprintf(`{"Sid":"S%d","Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket-%d/*"}`, i, i)
	}
	docs = append(docs[:10], slices.Repeat([]string{`{"Version":"2012-10-17","Statement":[` + strings.Join(many, ",") + `]}`}, 10)...)
	denied := start(caller(docs...))
	for range 60 {
		denied.Needs = append(denied.Needs, denied.Needs[0])
	}
	denied.Meta.RequestID, denied.Meta.UserAgent = "r-3", strings.Repeat("x", 1<<20)
	if _, err := New(log, nil).Begin(t.Context(), denied); fault.Code(err) != "AccessDeniedException" {
		t.Fatal(err)
	}
	rs, err = log.Find(t.Context(), "r-3")
	if err != nil || len(rs) != 1 {
		t.Fatal(err)
	}
	if r, err := rs[0].Refusal(); err != nil || len(r.Missing) == 0 || len(r.Missing)+len(r.Call.Policies.Identity) != 20 {
		t.Errorf("%d missing, %v", len(r.Missing), err)
	}
}

// TestRedaction: prompts, answers and inner errors are nowhere in the log's files.
func TestRedaction(t *testing.T) {
	const secret = "PLANTED-PROMPT-富士山"
	dir := t.TempDir()
	log, err := trail.Open(dir, trail.Options{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	g := New(log, nil)
	for i, err := range []error{nil, errors.New("backend said: " + secret), fmt.Errorf("%w: "+secret, context.Canceled), &fault.Error{Code: "ModelErrorException", Message: "The model failed.", Err: errors.New(secret)}} {
		for _, policy := range []string{allow("*"), allow(profile)} {
			call := converse(caller(policy))
			call.Meta.RequestID = fmt.Sprint("r-", i)
			Do(t.Context(), g, call, func(context.Context, *Act) (string, error) { return secret, err })
		}
	}
	func() {
		defer func() { recover() }()
		Do(t.Context(), g, converse(caller(allow("*"))), func(context.Context, *Act) (string, error) { panic(secret) })
	}()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		seen += strings.Count(string(b), "Converse")
		if strings.Contains(string(b), secret) || strings.Contains(string(b), "PLANTED") {
			t.Errorf("%s holds the prompt", n)
		}
	}
	if seen == 0 {
		t.Error("nothing was recorded")
	}
}

func TestResources(t *testing.T) {
	c := Call{Needs: []iam.Authorization{
		{Resource: "*"}, {Resource: "arn:aws:states:ap-northeast-1:111122223333:stateMachine:m"}, {Resource: "arn:aws:iam::111122223333:role/app/flow"},
		{Resource: "arn:aws:iam::111122223333:role/app/flow"}, {Resource: "arn:aws:iam::111122223333:role/*"}, {Resource: "arn:aws:other:::x"},
	}}
	want := []trail.Resource{
		{Type: "AWS::StepFunctions::StateMachine", Name: "arn:aws:states:ap-northeast-1:111122223333:stateMachine:m"},
		{Type: "AWS::IAM::Role", Name: "arn:aws:iam::111122223333:role/app/flow"}, {Name: "arn:aws:other:::x"},
	}
	if got := resources(&c); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestConcurrent is for the race detector: one act is noted from many goroutines.
func TestConcurrent(t *testing.T) {
	log := &recorder{}
	_, err := Do(t.Context(), New(log, nil), converse(caller(allow("*"))), func(_ context.Context, a *Act) (int, error) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { a.Note(value.Member{Key: fmt.Sprint("k", i), Value: value.Int(int64(i))}) })
		}
		wg.Wait()
		return 0, nil
	})
	if err != nil || log.records[1].Additional.Len() != 8 {
		t.Errorf("%v, %s", err, log.records[1].Additional.JSON())
	}
}

func BenchmarkDo(b *testing.B) {
	g := New(discard{}, nil)
	by := caller(allow(profile, tokyo, osaka))
	for name, call := range map[string]Call{"inference": converse(by), "denied": converse(caller(allow(profile)))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Do(b.Context(), g, call, text(""))
			}
		})
	}
}

type discard struct{}

func (discard) Append(context.Context, *trail.Record) error { return nil }
