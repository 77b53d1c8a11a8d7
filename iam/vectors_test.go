package iam

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tokaido/iam/wild"
	"tokaido/internal/conform"
)

// shapeOf reads a call's shape out of its authorizations.
func shapeOf(v *vector) *CallShape {
	s := &CallShape{Region: v.Request.Region, Account: v.Request.Account, Requested: v.Request.ModelID}
	for _, a := range v.Authorizations {
		p := wild.Cut(a.Resource)
		kind, id, _ := strings.Cut(p.Part[5], "/")
		switch {
		case strings.HasSuffix(kind, "inference-profile"):
			s.Profile, s.ProfileARN, s.Application = id, a.Resource, strings.HasPrefix(kind, "application")
		case kind == "foundation-model":
			s.Model = id
			if p.Part[3] != "" {
				s.Destinations = append(s.Destinations, p.Part[3])
			}
		}
	}
	return s
}

// Every refused call of the cases is explained, and repaired wherever their
// authors would repair it with an Allow.
func TestExplainVectors(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(conform.Dir(t, "iam"), "bedrockcall.json"))
	if err != nil {
		t.Skip(err)
	}
	var vs []struct {
		vector
		Fix []struct{ Layer, Kind, Action, Resource string }
	}
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		t.Run(v.ID, func(t *testing.T) {
			c := Call{By: v.caller(t, nil), Policies: v.policies(t), Model: shapeOf(&v.vector)}
			for _, a := range v.Authorizations {
				ctx, err := contextFrom(a.Context)
				if err != nil {
					t.Fatal(err)
				}
				c.Needs = append(c.Needs, Authorization{Action: a.Action, Resource: a.Resource, Context: ctx})
			}
			e := Explain(c)
			if e.Allowed != (v.Expect == "allowed") {
				t.Errorf("allowed %v, want %s", e.Allowed, v.Expect)
			}
			allows := !slices.ContainsFunc(v.Fix, func(f struct{ Layer, Kind, Action, Resource string }) bool { return f.Kind != "addAllow" })
			if !e.Allowed && allows && !e.Fixed {
				t.Errorf("not repaired, because %s:\n%s", v.Reason, e.Text("en"))
			}
			if !e.Allowed && len(e.Findings) == 0 {
				t.Errorf("nothing found, because %s", v.Reason)
			}
			if os.Getenv("SHOW") != "" && !e.Allowed {
				t.Logf("%s\n%s", v.Reason, e.Text("en"))
			}
		})
	}
}
