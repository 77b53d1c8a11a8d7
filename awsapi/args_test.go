package awsapi

import (
	"strings"
	"testing"

	"tokaido/fault"
	"tokaido/value"
)

func TestArgs(t *testing.T) {
	query := &Op{Name: "CreateRole", Protocol: Query}
	r := &Request{Op: query, Input: value.MustParse(`{"RoleName":"r","MaxItems":"5","Flag":"true","Status":"Active","Tags":[{"Key":"k","Value":"v"},{"Key":"e"}],"Keys":["a","b"],"Empty":""}`)}
	a := r.Args()
	if a.Need("RoleName") != "r" || a.Int("MaxItems", 1, 10, 7) != 5 || a.Int("Other", 1, 10, 7) != 7 || !a.Bool("Flag") || a.Enum("Status", "Active", "Inactive") != "Active" ||
		a.String("Path") != "" || len(a.Strings("Keys", 2)) != 2 || a.List("Empty", 1) != nil || a.Has("Nothing") {
		t.Error("misread")
	}
	if tags := a.Structs("Tags", 50, "Key", "Value?"); len(tags) != 2 || tags[0][1] != "v" || tags[1][0] != "e" || tags[1][1] != "" {
		t.Errorf("%q", tags)
	}
	if err := a.End(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		in   string
		read func(*Args)
		want string
	}{
		"unknown": {`{"Other":"x"}`, func(a *Args) { a.String("RoleName") }, "The parameter Other is not supported by CreateRole."},
		"missing": {`{}`, func(a *Args) { a.Need("RoleName") }, "1 validation error detected: Value null at 'roleName' failed to satisfy constraint: Member must not be null"},
		"two": {`{"MaxItems":"1001","Status":"x"}`, func(a *Args) { a.Int("MaxItems", 1, 1000, 100); a.Enum("Status", "Active", "Inactive") },
			"2 validation errors detected: Value '1001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000; " +
				"Value 'x' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]"},
		"least":   {`{"MaxItems":"0"}`, func(a *Args) { a.Int("MaxItems", 1, 1000, 100) }, "Member must have value greater than or equal to 1"},
		"number":  {`{"MaxItems":"x"}`, func(a *Args) { a.Int("MaxItems", 1, 1000, 100) }, "Member must be an integer"},
		"struct":  {`{"RoleName":{"a":"b"}}`, func(a *Args) { a.Need("RoleName") }, "Member must be a string"},
		"bool":    {`{"F":"yes"}`, func(a *Args) { a.Bool("F") }, "Member must be a boolean"},
		"list":    {`{"Keys":"x"}`, func(a *Args) { a.Strings("Keys", 2) }, "Member must be a list"},
		"long":    {`{"Keys":["a","b"]}`, func(a *Args) { a.Strings("Keys", 1) }, "Value '[2 items]' at 'keys' failed to satisfy constraint: Member must have length less than or equal to 1"},
		"item":    {`{"Keys":[["a"]]}`, func(a *Args) { a.Strings("Keys", 1) }, "at 'keys.1.member'"},
		"tag":     {`{"Tags":[{"Value":"v"}]}`, func(a *Args) { a.Structs("Tags", 1, "Key", "Value") }, "Value null at 'tags.1.member.key'"},
		"tagmore": {`{"Tags":[{"Key":"k","Extra":"v"}]}`, func(a *Args) { a.Structs("Tags", 1, "Key") }, "'tags.1.member.extra'"},
		"tagtext": {`{"Tags":["v"]}`, func(a *Args) { a.Structs("Tags", 1, "Key") }, "Member must be a structure"},
		"shown":   {`{"F":"` + strings.Repeat("x", 200) + `"}`, func(a *Args) { a.Bool("F") }, "Value '" + strings.Repeat("x", maxShown-1) + "… at"},
		"empty":   {`{"Status":""}`, func(a *Args) { a.Enum("Status", "A") }, "satisfy enum value set"},
	} {
		r := &Request{Op: query, Input: value.MustParse(c.in)}
		a := r.Args()
		c.read(a)
		if err := a.End(); fault.Code(err) != "ValidationError" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r = &Request{Op: &Op{Name: "X", Protocol: JSON10}, Input: value.MustParse(`{"n":3,"b":true,"null":null}`)}
	a = r.Args()
	if a.Int("n", 0, 5, 0) != 3 || !a.Bool("b") || a.Has("null") {
		t.Error("misread")
	}
	a.Need("null")
	if err := a.End(); fault.Code(err) != "ValidationException" {
		t.Error(err)
	}
}
