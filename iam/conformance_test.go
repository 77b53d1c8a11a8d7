package iam

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokaido/internal/conform"
	"tokaido/value"
)

// vector is one case of the conformance folder.
type vector struct {
	ID, Category, Kind, Principal string
	Policies                      struct {
		Identity                    []value.Value
		Boundary, Session, Resource value.Value
		SCP, RCP                    [][]value.Value
	}
	Request struct {
		Action, Resource, ResourceAccount string
		Context                           value.Value
		API, Region, ModelID, Account     string
	}
	Authorizations []struct {
		Part, Action, Resource, Expect, Layer, Message string
		Context                                        value.Value
	}
	DeniedResources                            []string
	Expect, Layer, Message, Reason, Confidence string
}

func bound(t testing.TB, kind Kind, vs []value.Value) []Bound {
	t.Helper()
	var bs []Bound
	for i, v := range vs {
		p, err := Parse(kind, []byte(v.JSON()))
		if err != nil {
			t.Fatalf("%s: %v", v.JSON(), err)
		}
		bs = append(bs, Bound{Policy: p, Name: fmt.Sprintf("p%d", i)})
	}
	return bs
}

func (v *vector) policies(t *testing.T) *Policies {
	t.Helper()
	first := func(kind Kind, x value.Value) *Bound {
		if x.IsUndefined() || x.IsNull() {
			return nil
		}
		return &bound(t, kind, []value.Value{x})[0]
	}
	p := &Policies{Identity: bound(t, IdentityPolicy, v.Policies.Identity), Boundary: first(Boundary, v.Policies.Boundary)}
	if b := first(SessionPolicy, v.Policies.Session); b != nil {
		p.Session = []Bound{*b}
	}
	kind := ResourcePolicy
	if strings.HasPrefix(v.Request.Action, "sts:") {
		kind = TrustPolicy
	}
	p.Resource = first(kind, v.Policies.Resource)
	for _, l := range v.Policies.SCP {
		p.SCP = append(p.SCP, bound(t, ServiceControlPolicy, l))
	}
	for _, l := range v.Policies.RCP {
		p.RCP = append(p.RCP, bound(t, ResourceControlPolicy, l))
	}
	return p
}

func (v *vector) caller(t *testing.T, c Context) Caller {
	t.Helper()
	by, ok := ParseCaller(v.Principal)
	if !ok {
		t.Fatalf("no principal: %q", v.Principal)
	}
	if a := find(c, "aws:PrincipalArn"); a != nil && by.RoleARN != "" {
		by.RoleARN = a.Values[0]
	}
	return by
}

func verdictOf(d *Decision) string {
	switch {
	case d.Allowed:
		return "allowed"
	case d.Explicit:
		return "explicitDeny"
	}
	return "implicitDeny"
}

func (v *vector) run(t *testing.T) {
	ctx := func(x value.Value) Context {
		c, err := contextFrom(x)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	p := v.policies(t)
	check := func(d *Decision, expect, layer, message string) {
		t.Helper()
		if got := verdictOf(d); got != expect {
			t.Errorf("%s on %s: %s by %s, want %s by %s", d.Request.Action, d.Request.Resource, got, d.Layer, expect, layer)
		}
		// A role's trust policy is its resource-based policy: the cases call it by
		// both names.
		same := d.Layer.String() == layer || d.Layer == LayerTrust && layer == "resource"
		if !d.Allowed && !same {
			t.Errorf("%s on %s: refused by %s, want %s", d.Request.Action, d.Request.Resource, d.Layer, layer)
		}
		if message != "" && d.Message() != message {
			t.Errorf("says  %s\nwant  %s", d.Message(), message)
		}
		again, err := DecisionFromValue(d.Value())
		if err != nil || again.Message() != d.Message() || !value.Equal(again.Value(), d.Value()) {
			t.Errorf("round trip: %v\n%s\n%s", err, d.Value(), again.Value())
		}
	}
	if v.Kind != "bedrockCall" {
		c := ctx(v.Request.Context)
		r := &Request{By: v.caller(t, c), Authorization: Authorization{Action: v.Request.Action, Resource: v.Request.Resource, Context: c}, ResourceAccount: v.Request.ResourceAccount}
		d := Evaluate(p, r)
		check(&d, v.Expect, v.Layer, v.Message)
		return
	}
	var needs []Authorization
	for _, a := range v.Authorizations {
		needs = append(needs, Authorization{Action: a.Action, Resource: a.Resource, Context: ctx(a.Context)})
	}
	ds := EvaluateAll(p, v.caller(t, nil), needs, nil)
	expect, denied := "allowed", []string{}
	for i := range ds {
		a := v.Authorizations[i]
		check(&ds[i], a.Expect, a.Layer, a.Message)
		if !ds[i].Allowed {
			denied = append(denied, ds[i].Request.Resource)
			if expect == "allowed" || ds[i].Explicit {
				expect = verdictOf(&ds[i])
			}
		}
	}
	if expect != v.Expect {
		t.Errorf("the call is %s, want %s", expect, v.Expect)
	}
	if !slices.Equal(denied, v.DeniedResources) {
		t.Errorf("denied %q\nwant   %q", denied, v.DeniedResources)
	}
}

func TestConformanceIAM(t *testing.T) {
	dir := conform.Dir(t, "iam")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("no cases in %s: %v", dir, err)
	}
	type count struct{ passed, failed, skipped int }
	counts := map[string]*count{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var vs []vector
		if err := json.Unmarshal(b, &vs); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, v := range vs {
			n := counts[v.Category]
			if n == nil {
				n = new(count)
				counts[v.Category] = n
			}
			switch v.Confidence {
			case "docs", "agreed", "inferred":
			default:
				n.skipped++
				continue
			}
			if t.Run(v.ID, func(t *testing.T) {
				v.run(t)
				if t.Failed() {
					t.Logf("because %s (%s)", v.Reason, v.Confidence)
				}
			}) {
				n.passed++
			} else {
				n.failed++
			}
		}
	}
	for _, c := range slices.Sorted(maps.Keys(counts)) {
		fmt.Printf("%s: %d passed, %d failed, %d skipped\n", c, counts[c].passed, counts[c].failed, counts[c].skipped)
	}
}
