// Package archtest keeps the floor plan of docs/architecture.md true.
package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "tokaido/"

// floors lists every room, lowest first. A package may import only floors below
// its own; packages on one floor do not know each other. A room's own
// subpackages that are not listed belong to the room: they stand just below it,
// and only the room may import them.
var floors = []struct {
	pure bool
	pkgs string
}{
	{true, "value arn fault"},
	{true, "jsonata jsonpath iam awsapi/sigv4 awsapi/wire bedrock/catalog"},
	{true, "asl"},
	{true, "engine policygen"},
	{false, "principal trail bedrock flow"},
	{false, "bedrock/backend/upstream"},
	{false, "gate residency flow/journal flow/temporal bedrock/backend/simulated bedrock/backend/openai bedrock/backend/anthropic bedrock/backend/amazon bedrock/backend/backendtest bedrock/backend/probe"},
	{false, "connector delivery store/pebble store/postgres store/memory store/storetest awsapi"},
	{false, "awsapi/apitest"},
	{false, "awsapi/accessanalyzer awsapi/sfn awsapi/bedrockrt awsapi/bedrockctl awsapi/iamctl awsapi/organizations awsapi/sts awsapi/cloudtrail awsapi/s3"},
	{false, "console telemetry"},
	{false, "server"},
	{false, "cli"},
	{false, "cmd/tokaido"},
}

// outside is what pure rooms must not import, and why.
var outside = map[string]string{
	"net": "talks to the network", "net/http": "talks to the network", "os": "touches files", "os/exec": "starts programs",
	"database/sql": "stores", "math/rand": "is not repeatable", "math/rand/v2": "is not repeatable",
	"crypto/rand": "is not repeatable", "log": "talks", "log/slog": "talks", "github.com/google/uuid": "is not repeatable",
}

// homes says which room a module from outside lives in: nobody else imports it.
var homes = map[string]string{
	"github.com/cockroachdb/pebble": "store/pebble",
	"github.com/dlclark/regexp2":    "jsonata",
	"github.com/spf13/cobra":        "cli",
	"github.com/aws/aws-sdk-go-v2":  "bedrock/backend/amazon",
	"go.temporal.io/sdk":            "flow/temporal",
	"github.com/jackc/pgx":          "store/postgres",
	"golang.org/x/mod":              "trail",
	"filippo.io/edwards25519":       "trail",
	"github.com/klauspost/compress": "trail",
	"go.opentelemetry.io":           "telemetry",
	"github.com/prometheus":         "telemetry",
}

// free may be used by any room and uses none itself.
const free = "internal/"

type pkg struct {
	ImportPath string
	Imports    []string
}

// room returns the listed room that a package belongs to and its floor; floor
// is -1 if there is none.
func room(name string) (string, int) {
	for at := name; at != "." && at != ""; at = path.Dir(at) {
		for i, f := range floors {
			if slices.Contains(strings.Fields(f.pkgs), at) {
				return at, i
			}
		}
	}
	return "", -1
}

// violations says what is wrong with the imports of packages.
func violations(pkgs []pkg) (bad []string) {
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, root)
		inFree := strings.HasPrefix(name, free)
		mine, floor := room(name)
		if floor < 0 && !inFree {
			say("%s is on no floor: add it to the plan in internal/archtest and docs/architecture.md", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, root)
			if !ours {
				if why := outside[imp]; why != "" && floor >= 0 && floors[floor].pure {
					say("%s is pure but imports %s, which %s: take what it would ask for as an argument", name, imp, why)
				}
				for module, home := range homes {
					if (imp == module || strings.HasPrefix(imp, module+"/")) && mine != home {
						say("%s imports %s, whose home is %s", name, imp, home)
					}
				}
				continue
			}
			if strings.HasPrefix(dep, free) {
				if inFree && floor < 0 && !strings.HasPrefix(dep, name) && !strings.HasPrefix(name, dep) {
					say("%s is internal and knows no other package, but imports %s", name, dep)
				}
				continue
			}
			theirs, depFloor := room(dep)
			switch {
			case inFree:
				say("%s is internal and knows no room, but imports %s", name, dep)
			case theirs == mine: // a room and its own subpackages
			case dep != theirs:
				say("%s reaches into %s, which belongs to %s", name, dep, theirs)
			case depFloor >= floor:
				say("%s (floor %d) may not import %s (floor %d): imports go down", name, floor, dep, depFloor)
			}
		}
	}
	return bad
}

func TestFloors(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", root+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 5 {
		t.Fatalf("found only %d packages", len(pkgs))
	}
	for _, v := range violations(pkgs) {
		t.Error(v)
	}
}

// A plan that nothing can break is no plan: each planted violation is found.
func TestFloorsFindsPlantedViolations(t *testing.T) {
	for _, c := range []struct{ pkg, imp, want string }{
		{"engine", "net/http", "pure"},
		{"asl", root + "gate", "imports go down"},
		{"iam", root + "jsonata", "imports go down"},
		{"gate", root + "store/pebble", "imports go down"},
		{"flow", "github.com/cockroachdb/pebble/v2", "whose home"},
		{"server", root + "awsapi/wire/inner", "reaches into"},
		{"internal/durable", root + "value", "knows no room"},
		{"misc", root + "value", "on no floor"},
	} {
		got := violations([]pkg{{root + c.pkg, []string{c.imp}}})
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s importing %s: %q, want one saying %q", c.pkg, c.imp, got, c.want)
		}
	}
	allowed := []pkg{
		{root + "connector", []string{root + "gate", root + "bedrock", root + "value", "net/http"}},
		{root + "iam", []string{root + "iam/wild", root + "value", "strings"}},
		{root + "store/pebble", []string{"github.com/cockroachdb/pebble/v2", root + "flow/journal"}},
	}
	if got := violations(allowed); len(got) != 0 {
		t.Errorf("refused what is allowed: %q", got)
	}
}

// TestPureRoomsHaveNoClock finds what makes a replay differ.
func TestPureRoomsHaveNoClock(t *testing.T) {
	clock := map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "Sleep": true, "Tick": true, "NewTimer": true, "NewTicker": true}
	files := 0
	for _, f := range floors {
		if !f.pure {
			continue
		}
		for name := range strings.FieldsSeq(f.pkgs) {
			list, err := filepath.Glob(filepath.Join("../..", name, "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range list {
				if strings.HasSuffix(file, "_test.go") {
					continue
				}
				files++
				fset := token.NewFileSet()
				src, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
				if err != nil {
					t.Fatal(err)
				}
				ast.Inspect(src, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.SelectorExpr:
						if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clock[n.Sel.Name] {
							t.Errorf("%s: %s is pure: take the time as an argument", fset.Position(n.Pos()), name)
						}
					case *ast.GoStmt:
						t.Errorf("%s: %s is pure: no goroutines", fset.Position(n.Pos()), name)
					}
					return true
				})
			}
		}
	}
	if files == 0 {
		t.Error("looked at no file")
	}
}
