package engine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"tokaido/asl"
	"tokaido/internal/conform"
	"tokaido/value"
)

// TestConformanceASL runs the executions that were recorded from AWS, in
// process and in virtual time, with the functions that the cases describe. The
// comparison is that of the cases' README. What the engine does not do yet
// stands in testdata/conformance-skip.txt.
func TestConformanceASL(t *testing.T) {
	dir := conform.Dir(t, "asl")
	skip := readSkips(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	type score struct{ passed, failed, skipped int }
	var total score
	areas := map[string]*score{}
	var names []string
	for _, f := range files {
		if strings.HasPrefix(filepath.Base(f), "api-") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := value.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, c := range cases.Items() {
			area, id := c.Get("area").Str(), c.Get("id").Str()
			a := areas[area]
			if a == nil {
				a = new(score)
				areas[area] = a
				names = append(names, area)
			}
			if why := skip.reason(id, c); why != "" {
				a.skipped++
				t.Logf("SKIP %s: %s", id, why)
				continue
			}
			if diff := runCase(t, c); len(diff) > 0 {
				a.failed++
				t.Errorf("%s\n\t%s", id, strings.Join(diff, "\n\t"))
			} else {
				a.passed++
			}
		}
	}
	sort.Strings(names)
	for _, n := range names {
		a := areas[n]
		fmt.Printf("asl/%s: %d passed, %d failed, %d skipped\n", n, a.passed, a.failed, a.skipped)
		total.passed += a.passed
		total.failed += a.failed
		total.skipped += a.skipped
	}
	fmt.Printf("asl: %d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	if len(names) == 0 {
		t.Error("no cases")
	}
}

// skips are the cases that are not run, by id or by what they need.
type skips map[string]string

func readSkips(t *testing.T) skips {
	f, err := os.Open("testdata/conformance-skip.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := skips{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, why, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("skip list: no reason: %s", line)
		}
		s[key] = strings.TrimSpace(why)
	}
	return s
}

func (s skips) reason(id string, c value.Value) string {
	if why := s[id]; why != "" {
		return why
	}
	if distributed(c.Get("definition")) {
		return s["needs:distributed-map"]
	}
	return ""
}

// distributed reports whether there is a distributed Map in a definition.
func distributed(v value.Value) bool {
	if v.Get("ProcessorConfig").Get("Mode").Str() == "DISTRIBUTED" {
		return true
	}
	for _, x := range v.Members() {
		if distributed(x) {
			return true
		}
	}
	for _, x := range v.Items() {
		if distributed(x) {
			return true
		}
	}
	return false
}

var roleVariable = regexp.MustCompile(`\$\{role(\d*)\}`)

// fill puts values for the variables of a case.
func fill(text string) string {
	text = strings.NewReplacer("${account}", testAccount, "${region}", testRegion).Replace(text)
	return roleVariable.ReplaceAllString(text, "arn:aws:iam::"+testAccount+":role/conformance$1")
}

// runCase runs one case and returns what differs.
func runCase(t *testing.T, c value.Value) []string {
	prog, diags := asl.Parse([]byte(fill(c.Get("definition").JSON())))
	if prog == nil {
		return []string{fmt.Sprintf("definition refused: %v", diags)}
	}
	cfg := testConfig(prog)
	express := c.Get("type").Str() == "EXPRESS"
	if express {
		cfg.Express, cfg.Limits = true, ExpressLimits()
		// All of them are to be started by StartSyncExecution, but those of this area were recorded otherwise.
		cfg.Sync = c.Get("start").Str() == "sync" && c.Get("area").Str() != "express_async"
		cfg.ExecutionARN = "arn:aws:states:" + testRegion + ":" + testAccount + ":express:machine:run:8a7e3f2c-0000-4000-8000-000000000000"
	}
	input := value.MustParse("{}")
	if in := c.Get("input"); !in.IsUndefined() {
		input = value.MustParse(fill(in.JSON()))
	} else if in := c.Get("inputText"); !in.IsUndefined() {
		input = value.MustParse(fill(in.Str()))
	}
	s := newSim(t, cfg, functions(c.Get("lambda")))
	s.run(input)
	if s.finish == nil {
		return []string{"nothing more happens; pending: " + fmt.Sprint(s.x.Pending())}
	}
	want := c.Get("expect")
	m := matcher{bound: map[string]string{}}
	got := []value.Member{{Key: "status", Value: value.String(s.finish.Status.String())}}
	if s.finish.Status == Succeeded {
		got = append(got, value.Member{Key: "output", Value: s.finish.Output})
	}
	add := func(key string, p *string) {
		if p == nil {
			return
		}
		v := value.String(*p)
		if want.Get(key).IsObject() {
			v = parsed(*p)
		}
		got = append(got, value.Member{Key: key, Value: v})
	}
	add("error", s.finish.Error)
	add("cause", s.finish.Cause)
	var wanted []value.Member
	for _, k := range []string{"status", "output", "error", "cause"} {
		if v := want.Get(k); !v.IsUndefined() {
			wanted = append(wanted, value.Member{Key: k, Value: v})
		}
	}
	diff := m.diff(value.Object(wanted...), value.Object(got...), "", nil)
	history := want.Get("history")
	if history.IsUndefined() {
		return diff
	}
	var shown []value.Value
	anyOrder := want.Get("historyOrder").Str() == "any"
	for _, e := range history.Items() {
		anyOrder = anyOrder || !e.Has("id")
	}
	for i := range s.events {
		if e := &s.events[i]; e.ID != 0 {
			shown = append(shown, eventOf(&cfg, e, !anyOrder))
		}
	}
	if anyOrder {
		return append(diff, m.unordered(history, shown)...)
	}
	return m.diff(history, value.Array(shown...), "history", diff)
}

// parsed is the value of a JSON text, or the text itself.
func parsed(s string) value.Value {
	if v, err := value.ParseString(s); err == nil {
		return v
	}
	return value.String(s)
}

// eventOf is an event as the cases' runner sees it.
func eventOf(cfg *Config, e *Event, ids bool) value.Value {
	var m []value.Member
	if ids {
		m = append(m, value.Member{Key: "id", Value: value.Int(e.ID)}, value.Member{Key: "previousEventId", Value: value.Int(e.Prev)})
	}
	m = append(m, value.Member{Key: "type", Value: value.String(e.Type.String())})
	if name, d := cfg.Details(e, true); name != "" {
		var in []value.Member
		for k, v := range d.Members() {
			switch {
			case k == "input" || k == "output":
				v = parsed(v.Str())
			case k == "assignedVariables":
				var vars []value.Member
				for n, x := range v.Members() {
					vars = append(vars, value.Member{Key: n, Value: plain(x)})
				}
				v = value.Object(vars...)
			default:
				v = plain(v)
			}
			in = append(in, value.Member{Key: k, Value: v})
		}
		m = append(m, value.Member{Key: name, Value: value.Object(in...)})
	}
	return value.Object(m...)
}

// plain makes an object of the text of one.
func plain(v value.Value) value.Value {
	if strings.HasPrefix(v.Str(), "{") {
		return parsed(v.Str())
	}
	return v
}

// functions performs the tasks of a case as Lambda would.
func functions(specs value.Value) func(Invoke, time.Time) (time.Duration, Input) {
	return func(in Invoke, _ time.Time) (time.Duration, Input) {
		service := in.Part.Kind == asl.ServiceTask
		arn, payload := in.Part.Resource, in.Args
		if service {
			arn, payload = in.Args.Get("FunctionName").Str(), in.Args.Get("Payload")
			if payload.IsString() { // is the body itself, and not to be quoted
				payload = parsed(payload.Str())
			}
			if payload.IsUndefined() || payload.IsNull() {
				payload = value.MustParse("{}")
			}
		}
		fail := func(err, cause string) Input { return TaskFailed{in.Task, Failure{&err, &cause}} }
		name := arn
		if _, after, ok := strings.Cut(arn, ":function:"); ok {
			name = after
		}
		name, _, _ = strings.Cut(name, ":")
		spec := specs.Get(name)
		if spec.IsUndefined() {
			full := "arn:aws:lambda:" + testRegion + ":" + testAccount + ":function:" + name + ":$LATEST"
			return 0, fail("Lambda.ResourceNotFoundException",
				"Function not found: "+full+" (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: 1; Proxy: null)")
		}
		var result value.Value
		after := time.Duration(0)
		switch spec.Get("kind").Str() {
		case "echo":
			result = payload
		case "sleep":
			n, _ := spec.Get("seconds").Int()
			after, result = time.Duration(n)*time.Second, payload
		case "return":
			result = spec.Get("value")
		case "raw":
			result = parsed(spec.Get("body").Str())
		case "large":
			n, _ := spec.Get("bytes").Int()
			result = value.String(strings.Repeat("a", int(n)))
		case "fail":
			stack := spec.Get("stackTrace")
			if stack.IsUndefined() {
				stack = value.Array()
			}
			cause := value.Object(
				value.Member{Key: "errorMessage", Value: spec.Get("errorMessage")}, value.Member{Key: "errorType", Value: spec.Get("errorType")},
				value.Member{Key: "requestId", Value: value.String("3a0b5c0e-0000-4000-8000-000000000000")}, value.Member{Key: "stackTrace", Value: stack})
			// Step Functions prints what lambda:invoke got anew; what a bare function answered stays as it is.
			sep := [2]string{", ", ": "}
			if service {
				sep = [2]string{",", ":"}
			}
			return 0, fail(spec.Get("errorType").Str(), dump(cause, sep))
		}
		if service {
			meta := value.MustParse(`{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200}`)
			log := value.Value{}
			if in.Args.Get("LogType").Str() == "Tail" {
				log = value.String("U1RBUlQKRU5ECg==")
			}
			result = value.Object(value.Member{Key: "LogResult", Value: log},
				value.Member{Key: "ExecutedVersion", Value: value.String("$LATEST")}, value.Member{Key: "Payload", Value: result},
				value.Member{Key: "SdkHttpMetadata", Value: meta}, value.Member{Key: "SdkResponseMetadata", Value: value.MustParse(`{"RequestId":"1"}`)},
				value.Member{Key: "StatusCode", Value: value.Int(200)})
		}
		return after, TaskDone{in.Task, result}
	}
}

// dump prints v as Python does, with its own separators or others.
func dump(v value.Value, sep [2]string) string {
	var parts []string
	switch v.Kind() {
	case value.KindObject:
		for k, x := range v.Members() {
			parts = append(parts, value.String(k).JSON()+sep[1]+dump(x, sep))
		}
		return "{" + strings.Join(parts, sep[0]) + "}"
	case value.KindArray:
		for _, x := range v.Items() {
			parts = append(parts, dump(x, sep))
		}
		return "[" + strings.Join(parts, sep[0]) + "]"
	}
	return v.JSON()
}

// matcher compares a recorded value, in which <tokens> stand for anything,
// with an observed one.
type matcher struct{ bound map[string]string }

var token = regexp.MustCompile(`<([A-Za-z][A-Za-z0-9_.:-]*)>`)

// unbound are the tokens that stand for something else each time.
var unbound = []string{"date", "datetime", "timestamp", "region", "partition", "account", "request_id", "extended_request_id",
	"start-date", "stop-date", "start-time", "entered-time", "creation-date", "RequestId"}

func (m *matcher) diff(want, got value.Value, path string, out []string) []string {
	if len(out) > 12 {
		return out
	}
	differ := func() []string {
		return append(out, fmt.Sprintf("%s: expected %s, got %s", path, brief(want), brief(got)))
	}
	if want.IsString() {
		w := want.Str()
		if at := token.FindStringSubmatchIndex(w); at != nil && at[0] == 0 && at[1] == len(w) {
			g := got.Str()
			if !got.IsString() {
				g = sorted(got)
			}
			if !m.bind(w[1:len(w)-1], g) {
				return differ()
			}
			return out
		} else if at != nil && got.IsString() {
			if !m.text(w, got.Str()) {
				return differ()
			}
			return out
		}
	}
	if want.Kind() != got.Kind() {
		return differ()
	}
	switch want.Kind() {
	case value.KindObject:
		for k, w := range want.Members() {
			if g := got.Get(k); g.IsUndefined() {
				out = append(out, fmt.Sprintf("%s/%s: missing (expected %s)", path, k, brief(w)))
			} else {
				out = m.diff(w, g, path+"/"+k, out)
			}
		}
		for k, g := range got.Members() {
			if !want.Has(k) {
				out = append(out, fmt.Sprintf("%s/%s: unexpected %s", path, k, brief(g)))
			}
		}
	case value.KindArray:
		for i, w := range want.Items() {
			if i >= got.Len() {
				out = append(out, fmt.Sprintf("%s[%d]: missing (expected %s)", path, i, brief(w)))
			} else {
				out = m.diff(w, got.At(i), fmt.Sprintf("%s[%d]", path, i), out)
			}
		}
		for i := want.Len(); i < got.Len(); i++ {
			out = append(out, fmt.Sprintf("%s[%d]: unexpected %s", path, i, brief(got.At(i))))
		}
	case value.KindNumber:
		whole := func(v value.Value) bool { return !strings.ContainsAny(v.NumberText(), ".eE") }
		if whole(want) != whole(got) || want.Float() != got.Float() {
			return differ()
		}
	default:
		if !value.Equal(want, got) {
			return differ()
		}
	}
	return out
}

// sorted is a value's text that does not depend on the order of members.
func sorted(v value.Value) string {
	var x any
	if err := json.Unmarshal([]byte(v.JSON()), &x); err != nil {
		return v.JSON()
	}
	b, err := json.Marshal(x)
	if err != nil {
		return v.JSON()
	}
	return string(b)
}

func (m *matcher) bind(name, v string) bool {
	if slices.Contains(unbound, name) || strings.HasPrefix(name, "any:") {
		return true
	}
	if old, ok := m.bound[name]; ok {
		return old == v
	}
	m.bound[name] = v
	return true
}

func (m *matcher) text(want, got string) bool {
	var pattern strings.Builder
	var names []string
	end := 0
	pattern.WriteString(`(?s)\A`)
	for _, at := range token.FindAllStringSubmatchIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[end:at[0]]))
		end = at[1]
		switch name := want[at[2]:at[3]]; name {
		case "account":
			pattern.WriteString(`\d{12}`)
		case "region":
			pattern.WriteString(`[a-z0-9-]+`)
		case "partition":
			pattern.WriteString(`aws[a-z-]*`)
		default:
			if v, ok := m.bound[name]; ok {
				pattern.WriteString(regexp.QuoteMeta(v))
			} else {
				pattern.WriteString(`(.+?)`)
				names = append(names, name)
			}
		}
	}
	pattern.WriteString(regexp.QuoteMeta(want[end:]) + `\z`)
	found := regexp.MustCompile(pattern.String()).FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, name := range names {
		if !m.bind(name, found[i+1]) {
			return false
		}
	}
	return true
}

// unordered compares histories as multisets, without ids.
func (m *matcher) unordered(want value.Value, got []value.Value) []string {
	var out []string
	left := slices.Clone(got)
	for i, w := range want.Items() {
		w = w.Without("id").Without("previousEventId")
		found := slices.IndexFunc(left, func(g value.Value) bool {
			try := matcher{bound: map[string]string{}}
			maps.Copy(try.bound, m.bound)
			if len(try.diff(w, g, "", nil)) > 0 {
				return false
			}
			m.bound = try.bound
			return true
		})
		if found < 0 {
			out = append(out, fmt.Sprintf("[%d]: no such event: %s", i, brief(w)))
			continue
		}
		left = slices.Delete(left, found, found+1)
	}
	for _, g := range left {
		out = append(out, "unexpected event "+brief(g))
	}
	return out
}

func brief(v value.Value) string {
	s := v.JSON()
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}
