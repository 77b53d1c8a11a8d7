//go:build ignore

// Gen writes actions.txt from the Service Authorization Reference as it was
// gathered: iam-authorization.json in the folder named by TOKAIDO_DATA, else in
// ../shared/data beside the module's root.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	dir := os.Getenv("TOKAIDO_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	src, err := os.ReadFile(filepath.Join(dir, "iam-authorization.json"))
	if err != nil {
		log.Fatal(err)
	}
	var in struct {
		Services map[string]struct {
			Actions   map[string][4]json.RawMessage
			Resources map[string][2]json.RawMessage
		}
		Operations map[string]struct{ Actions []string }
	}
	if err := json.Unmarshal(src, &in); err != nil {
		log.Fatal(err)
	}
	must := func(raw json.RawMessage, to any) {
		if err := json.Unmarshal(raw, to); err != nil {
			log.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString(`# Actions of AWS services and the resources that they are authorized on, made by gen.go
# from a copy of the Service Authorization Reference of 2026-09-26. Do not edit.
# type: service, name, ARN
# action: service, name, types (none: "*" alone allows it)
# operation: client's operation, actions that it is authorized as
`)
	dashed := func(s string) string { return strings.ReplaceAll(s, " ", "-") }
	for _, service := range slices.Sorted(maps.Keys(in.Services)) {
		s := in.Services[service]
		for _, name := range slices.Sorted(maps.Keys(s.Resources)) {
			var arn string
			must(s.Resources[name][0], &arn)
			fmt.Fprintf(&b, "type %s %s %s\n", service, dashed(name), arn)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Actions)) {
			var types []string
			must(s.Actions[name][1], &types)
			for i := range types {
				types[i] = dashed(types[i])
			}
			fmt.Fprintln(&b, strings.TrimSpace("action "+service+" "+name+" "+strings.Join(types, " ")))
		}
	}
	for _, op := range slices.Sorted(maps.Keys(in.Operations)) {
		if strings.ContainsAny(op, "*+") || len(in.Operations[op].Actions) == 0 {
			continue
		}
		fmt.Fprintf(&b, "operation %s %s\n", op, strings.Join(in.Operations[op].Actions, " "))
	}
	if err := os.WriteFile("actions.txt", []byte(b.String()), 0o644); err != nil {
		log.Fatal(err)
	}
}
