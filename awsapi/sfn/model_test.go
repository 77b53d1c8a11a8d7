package sfn

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"tokaido/internal/installed"
)

// modelled is a shape of AWS's model.
type modelled struct {
	Kind      string // string, integer, …
	Min, Max  int
	Pattern   string
	Enum      []string
	Sensitive bool
	Required  bool
	Member    *modelled // of a list
	Members   map[string]*modelled
}

const readModel = `
import botocore.session, json
m = botocore.session.get_session().get_service_model("stepfunctions")
def shape(s, required=False):
    d = s.metadata
    o = {"Kind": s.type_name, "Min": d.get("min", 0), "Max": d.get("max", 0), "Pattern": d.get("pattern", ""), "Enum": d.get("enum", []),
         "Sensitive": bool(d.get("sensitive")), "Required": required}
    if s.type_name == "list":
        o["Member"] = shape(s.member)
    if s.type_name == "structure":
        o["Members"] = {k: shape(v, k in s.required_members) for k, v in s.members.items()}
    return o
print(json.dumps({n: shape(m.operation_model(n).input_shape) for n in m.operation_names}))
`

// ours are operations that are not AWS's API, and differ the constraints that do
// not come from its model.
var (
	ours    = []string{"GenerateStateMachineRolePolicy"}
	differs = map[string]string{
		"SendTaskFailure.taskToken":                             "a token is a key: no record shows it",
		"SendTaskHeartbeat.taskToken":                           "a token is a key: no record shows it",
		"SendTaskSuccess.taskToken":                             "a token is a key: no record shows it",
		"TestState.stateConfiguration.retrierRetryCount":        "an Integer has 32 bits",
		"TestState.stateConfiguration.mapIterationFailureCount": "an Integer has 32 bits",
	}
)

// TestModel compares every member of every request with AWS's own model.
func TestModel(t *testing.T) {
	python := installed.Botocore(t, "requests were not compared with its model")
	b, err := exec.Command(python, "-c", readModel).Output()
	if err != nil {
		t.Fatal(err)
	}
	var model map[string]*modelled
	if err := json.Unmarshal(b, &model); err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	kinds := map[string]kind{"string": text, "integer": integer, "long": integer, "float": number, "double": number, "boolean": boolean, "list": list, "structure": structure}
	var compare func(path string, got *shape, want *modelled)
	members := func(path string, got []member, want map[string]*modelled) {
		names := map[string]bool{}
		for i := range got {
			g := &got[i]
			names[g.name] = true
			w := want[g.name]
			if w == nil {
				t.Errorf("%s.%s is not in the model", path, g.name)
				continue
			}
			if g.required != w.Required {
				t.Errorf("%s.%s is required: %v", path, g.name, g.required)
			}
			compare(path+"."+g.name, &g.shape, w)
		}
		for name := range want {
			if !names[name] {
				t.Errorf("%s.%s is missing", path, name)
			}
		}
	}
	compare = func(path string, got *shape, want *modelled) {
		a := fmt.Sprint(got.kind, got.min, got.max, got.pattern, len(got.enum), got.secret && got.kind != structure)
		b := fmt.Sprint(kinds[want.Kind], want.Min, want.Max, want.Pattern, len(want.Enum), want.Sensitive && want.Kind != "structure")
		if a != b {
			if met[path] = true; differs[path] == "" {
				t.Errorf("%s: %s, the model has %s", path, a, b)
			}
		}
		for _, e := range want.Enum { // their order is that of recorded messages
			if !slices.Contains(got.enum, e) {
				t.Errorf("%s does not know %s", path, e)
			}
		}
		if got.elem != nil && want.Member != nil {
			compare(path+"[]", got.elem, want.Member)
		}
		members(path, got.members, want.Members)
	}
	for _, o := range operations {
		w := model[o.name]
		if w == nil {
			if !slices.Contains(ours, o.name) {
				t.Errorf("%s is not in the model", o.name)
			}
			continue
		}
		delete(model, o.name)
		members(o.name, o.in, w.Members)
	}
	for name := range model {
		t.Errorf("%s is missing", name)
	}
	for path := range differs {
		if !met[path] {
			t.Errorf("%s differs no more", path)
		}
	}
}
