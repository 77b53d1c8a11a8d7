package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"tokaido/asl"
	"tokaido/bedrock"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow"
	"tokaido/iam"
	"tokaido/policygen"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

// generated is a definition of testdata/generated, on a server of its own.
type generated struct {
	*Server
	archive *txtar.Archive
	region  string
	express bool
	logging *flow.Logging
	tracing bool
	options policygen.Options
	program *asl.Program
	text    string
	role    string // ARN
	machine string // ARN, with its test case
	unused  []unused

	t     *testing.T
	later sync.WaitGroup // tokens on their way
}

// unused is a part of a policy that running the definition here does not ask
// for, and why.
type unused struct{ action, resource, why string }

func (u *unused) is(action, resource string) bool {
	prefix, any := strings.CutSuffix(u.action, "*")
	return (u.action == action || any && strings.HasPrefix(action, prefix)) && (u.resource == "*" || u.resource == resource)
}

func (g *generated) section(name string) (string, bool) {
	for _, f := range g.archive.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

// functions stands for Lambda: it answers with what it got, sends a token that
// it got back, and fails where its name says so.
func (g *generated) functions(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in struct{ Token string }
	if json.Unmarshal(body, &in) == nil && in.Token != "" {
		g.later.Go(func() {
			// One that is sent for a task that was refused is of no use any more.
			if err := g.machines.SendTaskSuccess(context.WithoutCancel(r.Context()), in.Token, `{"answered":true}`); err != nil && fault.Code(err) != "TaskTimedOut" {
				g.t.Errorf("token: %v", err)
			}
		})
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/functions/fails/invocations") {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		body = []byte(`{"errorType":"Broken","errorMessage":"on purpose"}`)
	}
	_, _ = w.Write(body)
}

func openGenerated(t *testing.T, file string) *generated {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g := &generated{t: t, archive: a, region: "ap-northeast-1", options: policygen.Options{Values: map[string][]string{}}}
	lambda := httptest.NewServer(http.HandlerFunc(g.functions))
	t.Cleanup(lambda.Close)
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	c.DataDir, c.Store, c.Account, c.Endpoints.Lambda = t.TempDir(), "memory", testAccount, lambda.URL
	if err := c.Environ(func(string) (string, bool) { return "", false }); err != nil { // a key to sign calls of functions with
		t.Fatal(err)
	}
	testCase := ""
	if mocks, ok := g.section("mocks"); ok {
		c.Mocks, testCase = filepath.Join(t.TempDir(), "mocks.json"), "#Case"
		if err := os.WriteFile(c.Mocks, []byte(mocks), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if g.Server, err = New(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.later.Wait()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	definition, _ := g.section("definition")
	flags, _ := g.section("flags")
	var aliases, activities []string
	for line := range strings.Lines(flags) {
		switch key, v, _ := strings.Cut(strings.TrimSpace(line), " "); key {
		case "region":
			g.region = v
		case "express":
			g.express = true
		case "logging":
			g.logging = &flow.Logging{Level: "ALL", Destinations: []string{"arn:aws:logs:" + g.region + ":" + testAccount + ":log-group:g:*"}}
		case "tracing":
			g.tracing = true
		case "value":
			k, vs, _ := strings.Cut(v, "=")
			g.options.Values[k] = strings.Split(vs, ",")
		case "alias":
			aliases = append(aliases, v)
		case "activity":
			activities = append(activities, v)
		case "application":
			from := v
			if !strings.HasPrefix(v, "arn:") {
				from = "arn:aws:bedrock:" + g.region + ":" + testAccount + ":inference-profile/" + v
			}
			p, err := g.runtime.Applications().Create(t.Context(), bedrock.NewApplication{Region: g.region, Account: testAccount, Name: "app", CopyFrom: from}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			definition = strings.ReplaceAll(definition, "${APPLICATION}", p.ARN())
			copies := v[strings.LastIndexByte(v, '/')+1:]
			g.options.Application = func(arn string) (string, bool) { return copies, arn == p.ARN() }
		default:
			t.Fatalf("flag %q", line)
		}
	}
	lines, _ := g.section("unused")
	for line := range strings.Lines(lines) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(f) != 3 {
			t.Fatalf("unused %q: want an action, a resource, and why", line)
		}
		g.unused = append(g.unused, unused{f[0], f[1], f[2]})
	}
	scope := flow.Scope{Region: g.region, Account: testAccount}
	for _, f := range a.Files {
		name, ok := strings.CutPrefix(f.Name, "machine ")
		if !ok {
			continue
		}
		role := g.testingOnlyRole(t, name, statesTrust, everything)
		m, err := g.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{Scope: scope, Name: name, Definition: string(f.Data), RoleARN: role, Publish: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, alias := range aliases {
			if of, alias, _ := strings.Cut(alias, ":"); of == name {
				if _, _, err := g.machines.CreateStateMachineAlias(t.Context(), alias, "", []flow.Route{{VersionARN: m.VersionARN, Weight: 100}}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, name := range activities {
		act, err := g.machines.CreateActivity(t.Context(), scope, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan struct{})
		t.Cleanup(func() { stop(); <-done })
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				if k, ok, err := g.machines.GetActivityTask(ctx, act.ARN, "w"); err == nil && ok {
					if err := g.machines.SendTaskSuccess(ctx, k.Token, `{"worked":true}`); err != nil && ctx.Err() == nil {
						t.Errorf("activity: %v", err)
					}
				}
			}
		}()
	}
	parse := asl.Parse
	if g.express {
		parse = asl.ParseExpress
	}
	p, ds := parse([]byte(definition))
	if p == nil {
		t.Fatalf("%+v", ds)
	}
	g.program, g.text = p, definition
	g.machine = "arn:aws:states:" + g.region + ":" + testAccount + ":stateMachine:Flow" + testCase
	return g
}

// run makes the role's policy p, has the machine made or changed, which checks
// the role, and runs every input. ok is false if anything was refused or failed.
func (g *generated) run(t *testing.T, p *iam.Policy) (ok bool, why string) {
	t.Helper()
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"none:none","Resource":"*"}}`
	if p != nil {
		document = p.JSON()
	}
	if err := g.people.PutInline(t.Context(), principal.KindRole, "Flow", "p", document); err != nil {
		t.Fatal(err)
	}
	arn, _, _ := strings.Cut(g.machine, "#")
	_, err := g.machines.DescribeStateMachine(t.Context(), arn)
	if err != nil {
		_, err = g.machines.CreateStateMachine(t.Context(), flow.CreateStateMachine{
			Scope: flow.Scope{Region: g.region, Account: testAccount}, Name: "Flow", Definition: g.text, RoleARN: g.role,
			Express: g.express, Logging: g.logging, Tracing: g.tracing,
		})
	} else {
		_, err = g.machines.UpdateStateMachine(t.Context(), flow.UpdateStateMachine{ARN: arn, RoleARN: &g.role})
	}
	if err != nil {
		return false, err.Error()
	}
	inputs, given := g.section("inputs")
	if !given {
		inputs = "{}\n"
	}
	for input := range strings.Lines(inputs) {
		in := flow.StartExecution{ARN: g.machine, Input: new(strings.TrimSpace(input))}
		var status engine.Status
		var cause *string
		if g.express {
			out, err := g.machines.StartSyncExecution(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			status, cause = out.Status, out.Cause
		} else {
			x, err := g.machines.StartExecution(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			out, err := g.machines.Await(ctx, x.ARN)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			status, cause = out.Status, out.Cause
		}
		if status != engine.Succeeded {
			if cause == nil {
				cause = new("without a cause")
			}
			return false, status.String() + ": " + *cause
		}
	}
	return true, ""
}

// refused counts what the trail has of refusals.
func (g *generated) refused(t *testing.T) (n int) {
	t.Helper()
	for token := ""; ; {
		page, err := g.audit.Lookup(t.Context(), trail.Query{Region: g.region, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			if r.ErrorCode == "AccessDenied" {
				n++
			}
		}
		if token = page.Next; token == "" {
			return n
		}
	}
}

// The policy that is generated for a definition allows what running it asks for,
// and nothing of it can be left out: without any one statement, and without any
// one action or resource of a statement, the machine cannot be made or a run
// fails. What running it here does not ask for is listed in the definition's
// file with the reason, and is shown not to be asked for.
func TestGeneratedPoliciesRunOnTheServer(t *testing.T) {
	files, err := filepath.Glob("testdata/generated/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatal(len(files), "definitions", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			g := openGenerated(t, file)
			res, err := policygen.Generate(policygen.Machine{
				Program: g.program, Name: "Flow", Region: g.region, Account: testAccount, Logging: g.logging != nil, Tracing: g.tracing,
			}, g.options)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range res.Findings {
				if f.Severity >= iam.Error {
					t.Errorf("%s %s: %s", f.ID, f.State, f.Text("en"))
				}
			}
			g.role = g.testingOnlyRole(t, "Flow", res.Trust.JSON(), "")
			for _, target := range res.Targets {
				name := target.Role[strings.LastIndexByte(target.Role, '/')+1:]
				g.testingOnlyRole(t, name, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}}`, target.Policy.JSON())
			}
			if ok, why := g.run(t, res.Policy); !ok {
				t.Fatalf("with\n%s\n%s", res.Policy.JSON(), why)
			}
			if n := g.refused(t); n != 0 {
				t.Errorf("it ran, but %d authorizations were refused", n)
			}
			used := make([]bool, len(g.unused))
			skip := func(actions, resources []string) bool {
				for _, a := range actions {
					for _, r := range resources {
						i := slices.IndexFunc(g.unused, func(u unused) bool { return u.is(a, r) })
						if i < 0 {
							return false
						}
						used[i] = true
					}
				}
				return true
			}
			all := res.Policy.Statements()
			try := func(what string, unasked bool, statements []value.Value) {
				t.Helper()
				var p *iam.Policy
				if len(statements) > 0 {
					var err error
					if p, err = iam.Document(iam.IdentityPolicy, statements...); err != nil {
						t.Fatal(err)
					}
				}
				ok, why := g.run(t, p)
				switch {
				case ok && !unasked:
					t.Errorf("without %s it runs all the same", what)
				case !ok && unasked:
					t.Errorf("without %s, which is said not to be asked for: %s", what, why)
				}
			}
			for i, st := range all {
				rest := slices.Delete(slices.Clone(all), i, i+1)
				actions, resources := list(st.Get("Action")), list(st.Get("Resource"))
				try("statement "+st.Get("Sid").Str(), skip(actions, resources), rest)
				less := func(member string, of []string, j int) []value.Value {
					keep := slices.Delete(slices.Clone(of), j, j+1)
					return slices.Concat(rest, []value.Value{st.With(member, strs(keep))})
				}
				if len(actions) > 1 {
					for j, a := range actions {
						try(a, skip(actions[j:j+1], resources), less("Action", actions, j))
					}
				}
				if len(resources) > 1 {
					for j, r := range resources {
						try(r, skip(actions, resources[j:j+1]), less("Resource", resources, j))
					}
				}
			}
			for i, u := range g.unused {
				if !used[i] {
					t.Errorf("%s %s is listed as unused and is not in the policy", u.action, u.resource)
				}
			}
		})
	}
}

// list is a text, or a list of texts.
func list(v value.Value) (out []string) {
	if v.IsString() {
		return []string{v.Str()}
	}
	for _, x := range v.Items() {
		out = append(out, x.Str())
	}
	return out
}

func strs(of []string) value.Value {
	out := make([]value.Value, len(of))
	for i, s := range of {
		out[i] = value.String(s)
	}
	return value.Array(out...)
}
