package residency

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/trail"
	"tokaido/value"
)

const jp = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0"

// event is one of CloudTrail's.
func event1(id, model, extra, more string) string {
	if extra != "" {
		extra = `"additionalEventData":` + extra + ","
	}
	return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/app/s","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::111122223333:role/app"}}},`+
		`"eventTime":"2026-10-01T12:00:0%sZ","eventSource":"bedrock.amazonaws.com","eventName":"Converse","awsRegion":"ap-northeast-1","requestParameters":{"modelId":%q},%s"requestID":"r%s","eventID":"e%s"%s}`,
		id, model, extra, id, id, more)
}

// TestEvents: what CloudTrail's events say of where a call ran, and what is
// meant where they say nothing.
func TestEvents(t *testing.T) {
	rd := Reader{catalog.Load()}
	for _, c := range []struct {
		name, model, extra, more string
		want                     Call
	}{
		{"rerouted", jp, `{"inferenceRegion":"ap-northeast-3","inputTokens":9,"outputTokens":4}`, "", Call{Region: "ap-northeast-3", Profile: jp, Input: 9, Output: 4}},
		{"notRerouted", jp, `{"inputTokens":9,"outputTokens":4}`, "", Call{Region: "ap-northeast-1", Assumed: true, Profile: jp, Input: 9, Output: 4}},
		{"absent", "anthropic.claude-3-haiku-20240307-v1:0", "", "", Call{Region: "ap-northeast-1", Assumed: true, Model: "anthropic.claude-3-haiku-20240307-v1:0"}},
		{"failed", jp, "", `,"errorCode":"ThrottlingException"`, Call{Profile: jp, Failed: "ThrottlingException"}},
		{"profileARN", "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/" + jp, `{"inferenceRegion":"ap-northeast-3"}`, "", Call{Region: "ap-northeast-3", Profile: jp}},
		{"modelARN", "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", "", "", Call{Region: "ap-northeast-1", Assumed: true, Model: "anthropic.claude-3-haiku-20240307-v1:0"}},
		{"newProfile", "jp.anthropic.claude-of-tomorrow-v1:0", `{"inferenceRegion":"ap-northeast-3"}`, "", Call{Region: "ap-northeast-3", Profile: "jp.anthropic.claude-of-tomorrow-v1:0", Model: "anthropic.claude-of-tomorrow-v1:0"}},
		{"application", "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/abc", `{"inferenceRegion":"ap-northeast-3"}`, "", Call{Region: "ap-northeast-3", Profile: "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/abc"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := rd.Event(value.MustParse(event1("1", c.model, c.extra, c.more)))
			if !ok || got.Region != c.want.Region || got.Assumed != c.want.Assumed || got.Profile != c.want.Profile || got.Failed != c.want.Failed ||
				got.Input != c.want.Input || got.Output != c.want.Output || c.want.Model != "" && got.Model != c.want.Model || got.Principal != "arn:aws:iam::111122223333:role/app" {
				t.Errorf("%+v", got)
			}
		})
	}
	if _, ok := rd.Event(value.MustParse(`{"eventSource":"bedrock.amazonaws.com","eventName":"ListFoundationModels","eventTime":"2026-10-01T12:00:00Z"}`)); ok {
		t.Error("ListFoundationModels is no inference")
	}
}

// records are of our own trail: served in Tokyo and Osaka, failed in Osaka and
// served in Tokyo, refused, and of unknown outcome.
func records() (all []*trail.Record) {
	add := func(name, model, extra, code string, phase trail.Phase) {
		all = append(all, &trail.Record{
			Time: time.Date(2026, 10, 1+len(all), 12, 0, 0, 0, time.UTC), Source: source, Name: name, Region: "ap-northeast-1", RequestID: fmt.Sprint("r", len(all)),
			Identity:  trail.Identity{ARN: "arn:aws:sts::111122223333:assumed-role/app/s", Issuer: &trail.Issuer{ARN: "arn:aws:iam::111122223333:role/app"}},
			Request:   value.Object(value.Member{Key: "modelId", Value: value.String(model)}),
			ErrorCode: code, Phase: phase, ExecutionARN: "arn:aws:states:ap-northeast-1:111122223333:execution:machine:run", State: "Ask", Additional: value.MustParse(extra),
		})
	}
	add("Converse", jp, `{"inferenceRegion":"ap-northeast-1","inputTokens":10,"outputTokens":20}`, "", trail.Outcome)
	add("Converse", jp, `{"inferenceRegion":"ap-northeast-3","inputTokens":10,"outputTokens":20}`, "", trail.Outcome)
	add("Converse", jp, `{"inferenceRegion":"ap-northeast-1","inputTokens":1,"outputTokens":2,"attempts":[{"region":"ap-northeast-3","outcome":"failed"},{"region":"ap-northeast-1","outcome":"served"}]}`, "", trail.Outcome)
	add("Converse", jp, `{"attempts":[{"region":"ap-northeast-1","outcome":"out"},{"region":"ap-northeast-3","outcome":"throttled"}]}`, "ThrottlingException", trail.Outcome)
	add("InvokeModel", jp, `{}`, "AccessDenied", trail.Whole)
	add("InvokeModel", jp, `{}`, trail.OutcomeUnknown, trail.Outcome)
	add("Converse", jp, `{}`, "", trail.Intent)
	add("Converse", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", `{"inferenceRegions":["ap-northeast-1","us-east-1"],"inputTokens":3,"outputTokens":4}`, "", trail.Outcome)
	return all
}

func report(t *testing.T, o Options) *Report {
	t.Helper()
	r := New(o)
	rd := Reader{catalog.Load()}
	for _, x := range records() {
		if c, ok := rd.Record(x); ok {
			r.Add(&c)
		}
	}
	r.End()
	return r
}

func boundary(t *testing.T, s string) *Boundary {
	t.Helper()
	b, err := ParseBoundary(s, catalog.Load())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReport(t *testing.T) {
	r := report(t, Options{})
	if len(r.Rows) != 2 || r.Total.Served.Calls != 3 || r.Total.Failed != 2 || r.Total.Unsure != 2 || r.Total.Regions["ap-northeast-3"].Calls != 1 ||
		r.Total.Served.Input != 21 || r.Rows[1].Key[0] != jp || r.Rows[1].Share("ap-northeast-1") != 2.0/3 || r.Assumed != 0 {
		t.Errorf("%+v", r)
	}
	if r := report(t, Options{By: []By{ByWorkflow, ByDay}, Since: time.Date(2026, 10, 2, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 10, 3, 0, 0, 0, 0, time.UTC)}); len(r.Rows) != 1 ||
		strings.Join(r.Rows[0].Key, " ") != "arn:aws:states:ap-northeast-1:111122223333:stateMachine:machine 2026-10-02" {
		t.Errorf("%+v", r.Rows)
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"jp.*", jp, true}, {"us.*", jp, false}, {"*sonnet*", jp, true}, {jp, jp, true}, {"jp.", jp, false}, {"*", "", true}, {"a*a", "a", false}, {"a*b*c", "axxbxxbxc", true},
		{"a*b*c", "axxcxxb", false}, {"*:0", jp, true}, {"**", "x", true},
	} {
		if got := Like(c.pattern, c.s); got != c.want {
			t.Errorf("%q like %q: %v", c.s, c.pattern, got)
		}
	}
	if r := report(t, Options{Profile: "global.*"}); r.Total.Unsure != 1 || r.Total.Served.Calls+r.Total.Failed != 0 {
		t.Errorf("%+v", r.Total)
	}
}

// TestBoundary: a call leaves a boundary where it was served, and where it was
// tried; where that is not known it may have.
func TestBoundary(t *testing.T) {
	for _, c := range []struct {
		boundary  string
		left, may int64
		who       string
	}{
		{"jp", 0, 1, "r7"},
		{"ap-northeast-1", 3, 2, "r1 r2 r3 r5 r7"},
		{"JP, us", 0, 0, ""},
		{"ap-northeast-1,ap-northeast-3", 0, 1, "r7"},
		{"eu", 4, 2, "r0 r1 r2 r3 r5 r7"},
	} {
		r := report(t, Options{Boundary: boundary(t, c.boundary)})
		var who []string
		for _, l := range r.Left {
			who = append(who, l.Call.RequestID)
		}
		if r.LeftCount != c.left || r.MayCount != c.may || strings.Join(who, " ") != c.who || r.Kept() != (c.left+c.may == 0) {
			t.Errorf("%s: %d left, %d may have: %v", c.boundary, r.LeftCount, r.MayCount, who)
		}
	}
	for _, bad := range []string{"", "xx", "ap-northeast-9", "jp,,us"} {
		if b, err := ParseBoundary(bad, catalog.Load()); err == nil {
			t.Errorf("%q: %v", bad, b)
		}
	}
}

// TestFormats: every format says what the others say, and nothing that a caller
// chose becomes markup or a formula.
func TestFormats(t *testing.T) {
	evil := `=cmd|"<script>alert(1)</script>`
	r := New(Options{By: []By{ByProfile, ByPrincipal}, Boundary: boundary(t, "jp")})
	for i, region := range []string{"ap-northeast-1", "ap-northeast-3", "us-east-1"} {
		r.Add(&Call{Time: time.Date(2026, 10, 1+i, 0, 0, 0, 0, time.UTC), RequestID: "r", Event: "Converse", Source: "ap-northeast-1", Profile: evil, Model: "m", Principal: "p", Region: region, Input: 1234, Output: 5})
	}
	r.End()
	for _, lang := range []string{"en", "ja"} {
		p := Printer{Catalog: catalog.Load(), Lang: lang, Source: "here", Now: time.Unix(0, 0)}
		var text, js, table, html bytes.Buffer
		for _, err := range []error{p.Text(&text, r), p.JSON(&js, r), p.CSV(&table, r), p.HTML(&html, r)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"en": "1 calls left the boundary jp", "ja": "1 件の呼び出しが境界 jp"}[lang]
		if !strings.Contains(text.String(), want) || !strings.Contains(html.String(), want) {
			t.Errorf("%s: %s", lang, text.String())
		}
		v, err := value.Parse(js.Bytes())
		if err != nil || v.Get("total").Get("served").Float() != 3 || v.Get("boundary").Get("left").Float() != 1 || v.Get("rows").At(0).Get("key").Get("profile").Str() != evil {
			t.Errorf("%v: %s", err, js.String())
		}
		rows, err := csv.NewReader(&table).ReadAll()
		if err != nil || len(rows) != 4 || rows[1][0] != "'"+evil || rows[3][8] != "false" {
			t.Errorf("%v: %v", err, rows)
		}
		if s := html.String(); strings.Contains(s, "<script") || regexp.MustCompile(`(?i)(src|href|url\()\s*=?\s*["']?(https?:)?//`).MatchString(s) || !strings.Contains(s, `lang="`+lang+`"`) || strings.Count(s, "<rect") < 6 {
			t.Errorf("%s", s)
		}
	}
}

// TestFiles reads every form in which CloudTrail's events come.
func TestFiles(t *testing.T) {
	a, b := event1("1", jp, `{"inferenceRegion":"ap-northeast-3"}`, ""), event1("2", jp, "", "")
	dir := t.TempDir()
	write := func(name, body string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		b := []byte(body)
		if strings.HasSuffix(name, ".gz") {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			w.Write(b)
			w.Close()
			b = z.Bytes()
		}
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	wrapped := func(e string) string {
		return value.Object(value.Member{Key: "CloudTrailEvent", Value: value.String(e)}).JSON()
	}
	for name, path := range map[string]string{
		"logFile":      write("1.json.gz", `{"Records":[`+a+`,`+b+`]}`),
		"plain":        write("2.json", `{"Records":[`+a+`,`+b+`]}`),
		"lookupEvents": write("3.json", `{"Events":[`+wrapped(a)+`,`+wrapped(b)+`],"NextToken":"x"}`),
		"list":         write("4.json", `[`+a+`,`+b+`]`),
		"lines":        write("5.jsonl", a+"\n\n"+b+"\n"),
	} {
		n := 0
		for v, err := range Events(t.Context(), []string{path}, nil) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if c, ok := (Reader{catalog.Load()}).Event(v); !ok || c.Region == "" {
				t.Errorf("%s: %v", name, v)
			}
			n++
		}
		if n != 2 {
			t.Errorf("%s: %d events", name, n)
		}
	}
	write("AWSLogs/1/CloudTrail-Digest/x.json.gz", `{"awsAccountId":"1"}`)
	n := 0
	for _, err := range Events(t.Context(), []string{dir}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 10 {
		t.Errorf("the folder: %d events", n)
	}
	for name, body := range map[string]string{"bad1.json": `{"x":1}`, "bad2.json": `nonsense`, "bad3.json": `{"Records":3}`, "bad4.json": `[1]`, "bad5.json": a + "\nnonsense"} {
		var last error
		for _, err := range Events(t.Context(), []string{write(name, body)}, nil) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), name) {
			t.Errorf("%s: %v", name, last)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"Records":[` + event1("1", jp, `{"inferenceRegion":"ap-northeast-3","attempts":[{"region":"x","outcome":"failed"}]}`, "") + `]}`))
	f.Add([]byte(event1("1", jp, "", "") + "\n" + event1("2", "arn:aws:bedrock:x", "", "")))
	f.Add([]byte(`{"Events":[{"CloudTrailEvent":"{}"}]}`))
	rd := Reader{catalog.Load()}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := New(Options{By: Bys, Boundary: &Boundary{Name: "jp", Regions: countries["jp"]}})
		_, err := parse(b, func(v value.Value, err error) bool {
			if c, ok := rd.Event(v); ok {
				r.Add(&c)
			}
			return true
		})
		if err != nil {
			return
		}
		r.End()
		p := Printer{Catalog: rd.Catalog}
		var out bytes.Buffer
		if err := p.JSON(&out, r); err != nil || !value.Valid(out.String()) {
			t.Errorf("%v: %s", err, out.String())
		}
		if err := p.HTML(&out, r); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	rd := Reader{catalog.Load()}
	all := records()
	r := New(Options{By: []By{ByProfile, ByDay}, Boundary: &Boundary{Name: "jp", Regions: countries["jp"]}})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if c, ok := rd.Record(all[i%len(all)]); ok {
			r.Add(&c)
		}
		i++
	}
}
