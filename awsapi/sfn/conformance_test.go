package sfn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tokaido/fault"
	"tokaido/internal/conform"
)

type apiCase struct {
	ID       string
	Area     string
	Recorded string
	Lambda   map[string]any
	Calls    []struct {
		Op             string
		Request        map[string]any
		ExpectResponse map[string]any
		ExpectError    *struct{ Code, Message, Reason string }
		Retry, MayFail bool
	}
}

// encryptionSince is when answers began to have an encryptionConfiguration. A
// recording that is older says nothing about it.
const encryptionSince = "2024-08"

// TestConformanceAPI makes the recorded sequences of calls, without HTTP.
func TestConformanceAPI(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(conform.Dir(t, "asl"), "api-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var cases []apiCase
		if err := json.Unmarshal(b, &cases); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		t.Run(name, func(t *testing.T) {
			passed, failed, skipped := 0, 0, 0
			for _, c := range cases {
				switch err := runCase(t, &c); {
				case errors.Is(err, errSkip):
					skipped++
				case err != nil:
					failed++
					t.Errorf("%s: %v", c.ID, err)
				default:
					passed++
				}
			}
			fmt.Printf("%s: %d passed, %d failed, %d skipped\n", name, passed, failed, skipped)
		})
	}
}

var errSkip = errors.New("needs an operation or a function that is not here")

func runCase(t *testing.T, c *apiCase) error {
	api := newAPI(t)
	if len(c.Lambda) > 0 {
		for _, call := range c.Calls {
			if call.Op == "StartExecution" || call.Op == "TestState" {
				return errSkip
			}
		}
	}
	for _, call := range c.Calls {
		if call.Op != "$wait" && api.ops[call.Op] == nil {
			return errSkip
		}
	}
	names := map[string]string{}
	var answers []map[string]any
	m := matcher{}
	for i, call := range c.Calls {
		fill := func(s string) string {
			s = strings.NewReplacer("${account}", account, "${region}", region).Replace(s)
			s = regexp.MustCompile(`\$\{role(\d*)\}`).ReplaceAllString(s, "arn:aws:iam::"+account+":role/conformance$1")
			s = regexp.MustCompile(`\$\{uid(\d+)\}`).ReplaceAllStringFunc(s, func(k string) string {
				if names[k] == "" {
					names[k] = uuid.NewString()[:8]
				}
				return names[k]
			})
			return regexp.MustCompile(`\$\{(\d+)\.([^}]+)\}`).ReplaceAllStringFunc(s, func(k string) string {
				n, field, _ := strings.Cut(k[2:len(k)-1], ".")
				at, _ := strconv.Atoi(n)
				return fmt.Sprint(answers[at][field])
			})
		}
		request := replace(call.Request, fill).(map[string]any)
		if d, ok := request["definition"].(map[string]any); ok {
			b, _ := json.Marshal(d)
			request["definition"] = string(b)
		}
		if call.Op == "$wait" {
			api.svc.Await(t.Context(), request["executionArn"].(string))
			answers = append(answers, nil)
			continue
		}
		var diffs []string
		var answer map[string]any
		for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			trial := maps.Clone(m)
			var err error
			answer, err = api.call(call.Op, request)
			diffs = nil
			switch f, _ := errors.AsType[*fault.Error](err); {
			case err != nil && f == nil:
				return fmt.Errorf("call %d %s: %w", i, call.Op, err)
			case err != nil && call.ExpectError == nil:
				if !call.MayFail {
					diffs = append(diffs, "unexpected "+err.Error())
				}
			case err != nil:
				trial.diff(call.ExpectError.Code, f.Code, "code", &diffs)
				if call.ExpectError.Message != "" {
					trial.diff(call.ExpectError.Message, f.Message, "message", &diffs)
				}
			case call.ExpectError != nil:
				diffs = append(diffs, "expected "+call.ExpectError.Code+", but it succeeded")
			case call.ExpectResponse != nil:
				got := plain(answer).(map[string]any)
				if c.Recorded < encryptionSince {
					delete(got, "encryptionConfiguration")
				}
				delete(got, "billingDetails")
				if call.Op == "GetExecutionHistory" {
					got = map[string]any{"events": events(got["events"])}
				}
				trial.diff(any(call.ExpectResponse), got, "", &diffs)
			}
			if len(diffs) == 0 || !call.Retry || time.Now().After(deadline) {
				m = trial
				break
			}
		}
		if len(diffs) > 0 {
			return fmt.Errorf("call %d %s: %s", i, call.Op, strings.Join(diffs, "; "))
		}
		answers = append(answers, answer)
	}
	return nil
}

func replace(v any, f func(string) string) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = replace(v[i], f)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[f(k)] = replace(x, f)
		}
		return out
	}
	return v
}

// plain takes texts that are JSON objects apart, and the metadata away.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if s, ok := x.(string); ok && strings.HasPrefix(s, "{") {
				var o map[string]any
				if json.Unmarshal([]byte(s), &o) == nil {
					out[k] = o
					continue
				}
			}
			out[k] = plain(x)
		}
		delete(out, "ResponseMetadata")
		return out
	}
	return v
}

func events(v any) any {
	list, _ := v.([]any)
	for _, e := range list {
		o := e.(map[string]any)
		delete(o, "timestamp")
		for _, d := range o {
			if d, ok := d.(map[string]any); ok {
				for _, k := range []string{"input", "output"} {
					if s, ok := d[k].(string); ok {
						var x any
						if json.Unmarshal([]byte(s), &x) == nil {
							d[k] = x
						}
					}
				}
			}
		}
	}
	return v
}

// matcher holds what tokens stand for.
type matcher map[string]any

var tokenForm = regexp.MustCompile(`<([A-Za-z][A-Za-z0-9_.:-]*)>`)

var unbound = []string{"date", "datetime", "timestamp", "region", "partition", "account", "request_id", "extended_request_id",
	"start-date", "stop-date", "start-time", "entered-time", "creation-date", "RequestId"}

func (m matcher) bind(name string, v any) bool {
	if slices.Contains(unbound, name) || strings.HasPrefix(name, "any:") {
		return true
	}
	if was, ok := m[name]; ok {
		return reflect.DeepEqual(was, v)
	}
	m[name] = v
	return true
}

func (m matcher) diff(want, got any, at string, out *[]string) {
	bad := func() { *out = append(*out, fmt.Sprintf("%s: got %.300v, want %.300v", at, got, want)) }
	if w, ok := want.(string); ok {
		if t := tokenForm.FindStringSubmatch(w); t != nil && t[0] == w {
			if !m.bind(t[1], got) {
				bad()
			}
			return
		}
		g, ok := got.(string)
		if !ok || !m.text(w, g) {
			bad()
		}
		return
	}
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			bad()
			return
		}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if x, ok := g[k]; ok {
				m.diff(want[k], x, at+"/"+k, out)
			} else {
				*out = append(*out, at+"/"+k+" is missing")
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g)) {
			if _, ok := want[k]; !ok {
				*out = append(*out, fmt.Sprintf("%s/%s: unexpected %.200v", at, k, g[k]))
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			bad()
			return
		}
		for i := range want {
			m.diff(want[i], g[i], at+"["+strconv.Itoa(i)+"]", out)
		}
	default:
		if !reflect.DeepEqual(want, got) {
			bad()
		}
	}
}

func (m matcher) text(want, got string) bool {
	var names []string
	p, end := "(?s)^", 0
	for _, at := range tokenForm.FindAllStringSubmatchIndex(want, -1) {
		p += regexp.QuoteMeta(want[end:at[0]])
		end = at[1]
		name := want[at[2]:at[3]]
		bound, _ := m[name].(string)
		switch {
		case name == "account":
			p += `\d{12}`
		case name == "region":
			p += `[a-z0-9-]+`
		case name == "partition":
			p += `aws[a-z-]*`
		case bound != "":
			p += regexp.QuoteMeta(bound)
		default:
			p += `(.+?)`
			names = append(names, name)
		}
	}
	found := regexp.MustCompile(p + regexp.QuoteMeta(want[end:]) + "$").FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, n := range names {
		if !m.bind(n, found[i+1]) {
			return false
		}
	}
	return true
}
