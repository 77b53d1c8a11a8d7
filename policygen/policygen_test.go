package policygen

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"tokaido/asl"
	"tokaido/bedrock"
	"tokaido/bedrock/catalog"
	"tokaido/iam"
	"tokaido/internal/golden"
)

const account = "111122223333"

// planner plans calls as a server does; nobody answers them.
func planner() *bedrock.Runtime {
	return bedrock.New(bedrock.Config{Backend: func(string, *catalog.Model) bedrock.Backend { return nil }})
}

// role is a definition with what is known besides, what running it asks for,
// and what was generated. The needs are written by hand from what the services
// document; calls of models are planned by bedrock, as a server plans them.
type role struct {
	name    string
	file    string
	archive *txtar.Archive
	machine Machine
	options Options
	needs   []iam.Authorization
	denied  []iam.Authorization
	copies  map[string]string
}

func (r *role) section(name string) string {
	for _, f := range r.archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func roles(t testing.TB) []*role {
	files, err := filepath.Glob("testdata/roles/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no definitions", err)
	}
	var all []*role
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := &role{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), file: file, archive: a, copies: map[string]string{}}
		r.machine = Machine{Name: "Flow", Region: "ap-northeast-1", Account: account}
		r.options.Values = map[string][]string{}
		r.options.Application = func(arn string) (string, bool) { c, ok := r.copies[arn]; return c, ok }
		for line := range strings.Lines(r.section("flags")) {
			key, v, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch key {
			case "logging":
				r.machine.Logging = true
			case "tracing":
				r.machine.Tracing = true
			case "key":
				r.machine.Key = v
			case "region":
				r.machine.Region = v
			case "value":
				k, vs, _ := strings.Cut(v, "=")
				r.options.Values[k] = strings.Split(vs, ",")
			case "application":
				arn, id, _ := strings.Cut(v, " ")
				r.copies[arn] = id
			default:
				t.Fatalf("%s: flag %q", file, line)
			}
		}
		p, diagnostics := asl.Parse([]byte(r.section("definition")))
		for _, d := range diagnostics {
			if d.Severity == asl.Error {
				t.Fatalf("%s: %s %s %s", file, d.Code, d.Message, d.Location)
			}
		}
		r.machine.Program = p
		for line := range strings.Lines(r.section("needs")) {
			r.need(t, strings.TrimSpace(line))
		}
		all = append(all, r)
	}
	return all
}

// need reads ACTION RESOURCE KEY=VALUE…, with ! before what must be denied, or
// model ID.
func (r *role) need(t testing.TB, line string) {
	f := strings.Fields(line)
	if len(f) == 0 || f[0] == "#" {
		return
	}
	if f[0] == "model" {
		p, err := planner().Plan(r.machine.Region, account, f[1])
		if err != nil {
			t.Fatalf("%s: %s: %v", r.file, f[1], err)
		}
		r.needs = append(r.needs, p.Needs(bedrock.ActionInvoke)...)
		return
	}
	action, no := strings.CutPrefix(f[0], "!")
	n := iam.Authorization{Action: action, Resource: f[1], Context: iam.Context{{Key: "aws:RequestedRegion", Values: []string{r.machine.Region}}}}
	for _, kv := range f[2:] {
		k, v, _ := strings.Cut(kv, "=")
		a := iam.Attribute{Key: k, Values: []string{v}, Multi: k == "states:StateMachineQualifier"}
		n.Context = slices.DeleteFunc(n.Context, func(o iam.Attribute) bool { return o.Key == k })
		n.Context = append(n.Context, a)
	}
	if no {
		r.denied = append(r.denied, n)
	} else {
		r.needs = append(r.needs, n)
	}
}

func allowed(p *iam.Policy, n iam.Authorization) bool {
	by, _ := iam.ParseCaller("arn:aws:sts::" + account + ":assumed-role/StepFunctions-Flow/run")
	ps := &iam.Policies{}
	if p != nil {
		ps.Identity = []iam.Bound{{Policy: p}}
	}
	d := iam.Evaluate(ps, &iam.Request{By: by, Authorization: n, ResourceAccount: account})
	return d.Allowed
}

// The generated policy allows what running the definition asks for, nothing
// that was named as too much, and no statement of it could be left out.
func TestRoles(t *testing.T) {
	for _, r := range roles(t) {
		t.Run(r.name, func(t *testing.T) {
			res, err := Generate(r.machine, r.options)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range r.needs {
				if !allowed(res.Policy, n) {
					t.Errorf("not allowed: %s on %s %v", n.Action, n.Resource, n.Context)
				}
			}
			for _, n := range r.denied {
				if allowed(res.Policy, n) {
					t.Errorf("allowed: %s on %s %v", n.Action, n.Resource, n.Context)
				}
			}
			for _, n := range res.Needs {
				if !allowed(res.Policy, n.Authorization) {
					t.Errorf("its own need is not allowed: %s on %s %v", n.Action, n.Resource, n.Context)
				}
			}
			if (res.Policy == nil) != (len(r.needs) == 0) {
				t.Errorf("a policy for %d needs", len(r.needs))
			}
			if res.Policy != nil {
				if res.Policy.Len() > 1 {
					for i, st := range res.Policy.Statements() {
						rest := slices.Delete(res.Policy.Statements(), i, i+1)
						p, err := iam.Document(iam.IdentityPolicy, rest...)
						if err != nil {
							t.Fatal(err)
						}
						if !slices.ContainsFunc(r.needs, func(n iam.Authorization) bool { return !allowed(p, n) }) {
							t.Errorf("nothing needs statement %s", st.Get("Sid").Str())
						}
					}
				}
				for _, f := range iam.Check(res.Policy, iam.Options{Account: account}) {
					t.Errorf("it would be pointed at: %s %s: %s", f.ID, f.Where("en"), f.Text("en"))
				}
			}
			for _, f := range iam.Check(res.Trust, iam.Options{Account: account}) {
				t.Errorf("trust: %s %s", f.ID, f.Text("en"))
			}
			r.golden(t, res)
		})
	}
}

func (r *role) golden(t *testing.T, res *Result) {
	var b strings.Builder
	if res.Policy != nil {
		b.WriteString(res.Policy.JSON())
	}
	for _, x := range res.Targets {
		fmt.Fprintf(&b, "== as %s\n", x.Role)
		if x.Policy != nil {
			b.WriteString(x.Policy.JSON())
		}
	}
	var texts strings.Builder
	for _, f := range res.Findings {
		fmt.Fprintf(&texts, "%s %s %s\n  %s\n  %s\n", f.ID, f.Severity, f.Where(), f.Text("en"), f.Text("ja"))
	}
	if strings.Contains(texts.String(), "%!") {
		t.Error("a hole in a text")
	}
	if *golden.Rewrite {
		r.archive.Files = slices.DeleteFunc(r.archive.Files, func(f txtar.File) bool { return f.Name == "policy" || f.Name == "findings" })
		r.archive.Files = append(r.archive.Files, txtar.File{Name: "policy", Data: []byte(b.String())}, txtar.File{Name: "findings", Data: []byte(texts.String())})
		if err := os.WriteFile(r.file, txtar.Format(r.archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := b.String(); got != r.section("policy") {
		t.Errorf("the policy differs (-rewrite writes it anew):\n%s", got)
	}
	if got := texts.String(); got != r.section("findings") {
		t.Errorf("the findings differ:\n%s", got)
	}
}

// What the catalog alone says of a call is what the server plans.
func TestShapeAgreesWithPlans(t *testing.T) {
	c := catalog.Load()
	rt := planner()
	n := 0
	try := func(region, id string) {
		n++
		plan, err := rt.Plan(region, account, id)
		s, problem := Shape(c, region, account, id, nil)
		if (err == nil) != (problem == NoProblem) {
			t.Errorf("%s in %s: %v, problem %d", id, region, err, problem)
			return
		}
		if err != nil {
			return
		}
		for _, action := range []string{bedrock.ActionInvoke, bedrock.ActionStream} {
			if got, want := fmt.Sprint(s.Authorizations(action)), fmt.Sprint(plan.Needs(action)); got != want {
				t.Errorf("%s in %s:\n%s\nwant\n%s", id, region, got, want)
			}
		}
	}
	for _, r := range []string{"us-east-1", "us-east-2", "ap-northeast-1", "ap-northeast-3", "ap-east-2", "eu-west-1", "us-gov-west-1"} {
		for _, p := range c.Profiles {
			try(r, p.ID)
			try(r, bedrock.ProfileARN(r, account, p.ID))
		}
		for _, m := range c.Models {
			try(r, m.ID)
			try(r, bedrock.ModelARN(r, r, m.ID))
		}
	}
	for _, id := range []string{"", "x", "arn:aws:s3:::b", "arn:aws:bedrock:ap-northeast-1::inference-profile/x", "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0", "us.x", "global.x"} {
		try("ap-northeast-1", id)
	}
	t.Logf("%d ids", n)
}

func BenchmarkGenerate(b *testing.B) {
	var r *role
	for _, x := range roles(b) {
		if x.name == "map-distributed" {
			r = x
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Generate(r.machine, r.options); err != nil {
			b.Fatal(err)
		}
	}
}
