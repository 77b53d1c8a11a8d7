package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"tokaido/e2e/story"
)

// The catalog is brought up to date from a control plane that is asked: here one
// that knows the same, and a boundary of its operator's besides.
func TestCatalogUpdate(t *testing.T) {
	s := start(t, ownProfile)
	dir := t.TempDir()
	var u struct {
		Written bool
		Regions []string
		Changes []struct{ Kind, ID, What, Old, New string }
	}
	update := func() {
		t.Helper()
		out, err := tryCommand(s, binary, "catalog", "update", "--region", "ap-northeast-1,ap-northeast-3", "--endpoint", s.Endpoint, "--data-dir", dir, "--format", "json")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := json.Unmarshal([]byte(out), &u); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !u.Written || len(u.Regions) != 2 {
			t.Errorf("%+v", u)
		}
	}
	update()
	own := 0
	for _, c := range u.Changes {
		switch {
		case c.Kind == "profile" && c.What == "added" && c.ID == "centre."+story.Newer:
			own++
		case c.Kind == "model" && c.What == "status" && c.Old == "GONE_FROM_LIST" && c.New == "LEGACY": // which the API has no word for
		default:
			t.Errorf("%+v", c)
		}
	}
	if own != 1 {
		t.Errorf("the operator's profile was found %d times", own)
	}
	if update(); len(u.Changes) != 0 {
		t.Errorf("again: %+v", u.Changes)
	}
	out, err := tryCommand(s, binary, "catalog", "show", "centre."+story.Newer, "--data-dir", dir, "--region", story.Region)
	if err != nil || !strings.Contains(out, "ap-northeast-1 ap-northeast-3") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := tryCommand(s, binary, "catalog", "update", "--region", "ap-northeast-1", "--endpoint", s.Endpoint+"/nowhere", "--data-dir", dir); err == nil || !strings.Contains(out, "404") {
		t.Errorf("%v\n%s", err, out)
	}
}
