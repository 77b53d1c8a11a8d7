package policyfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokaido/iam"
	"tokaido/internal/golden"
	"tokaido/value"
)

// What is found in the files of testdata, with its lines.
func TestRead(t *testing.T) {
	for _, name := range []string{"main.tf", "template.yaml"} {
		src, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(name, src, Options{Region: "ap-northeast-1", Account: "111122223333"})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for i := range f.Documents {
			d := &f.Documents[i]
			fmt.Fprintf(&b, "== %s kind=%d role=%s holes=%s\n%s", d.Name, d.Kind, d.Role, strings.Join(d.Holes, ", "), iam.Indent(d.Value))
			p, err := iam.Parse(d.Kind, []byte(iam.Indent(d.Value)))
			if err != nil {
				t.Errorf("%s: %v", d.Name, err)
				continue
			}
			for _, x := range iam.Check(p, iam.Options{Account: "111122223333"}) {
				line, column := d.Place(x.Statement, x.Element, x.Value)
				fmt.Fprintf(&b, "%d:%d %s %s\n", line, column, x.ID, x.Value)
			}
		}
		for _, s := range f.Skipped {
			fmt.Fprintf(&b, "skipped %s\n", s)
		}
		golden.Compare(t, b.String(), name+".golden")
	}
}

// What cannot be read is refused with its line, never left out.
func TestRefuses(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"a.json", `{}`, "neither a policy"},
		{"a.json", `[]`, "neither a policy"},
		{"a.json", `{"Statement":`, "1:1: "},
		{"a.yaml", "Resources:\n  R:\n    Type: AWS::IAM::Policy\n    Properties:\n      PolicyDocument: !If [A, B, C]\n", "5:23: R: the policy cannot be read: Fn::If"},
		{"a.yaml", "Resources:\n  R:\n    Type: AWS::IAM::Policy\n    Properties:\n      PolicyDocument: !Ref Doc\n", "not a document"},
		{"a.yaml", "Resources:\n  R:\n    Type: AWS::IAM::Policy\n    Properties:\n      PolicyDocument: {Statement: [{Effect: Allow, Action: !Ref A, Resource: '*'}]}\n", "an action is filled in later (A)"},
		{"a.yaml", "a: &a [*a]\n", ""},
		{"a.tf", `resource "aws_iam_policy" "p" { policy = file("p.json") }`, `1:42: aws_iam_policy.p: the policy cannot be read: file(…) reads another file`},
		{"a.tf", `resource "aws_iam_policy" "p" { policy = var.p }`, "not a document"},
		{"a.tf", `resource "aws_iam_policy" "p" { name = "x" }`, "has no policy"},
		{"a.tf", `resource "aws_iam_policy" "p" { policy = data.aws_iam_policy_document.q.json }`, "is not in this file"},
		{"a.tf", `resource "aws_iam_policy" "p" { policy = jsonencode({ Statement = [for a in var.x : a] }) }`, ""},
		{"a.tf", `data "aws_iam_policy_document" "p" { source_policy_documents = [] }`, "source_policy_documents adds documents"},
		{"a.tf", "data \"aws_iam_policy_document\" \"p\" {\n  dynamic \"statement\" {\n  }\n}", "2:3: "},
		{"a.tf", `data "aws_iam_policy_document" "p" { statement { colour = "x" } }`, "no attribute colour"},
		{"a.tf", `resource "aws_iam_role" "r" { dynamic "inline_policy" { } }`, "inline policies are computed"},
		{"a.tf", `resource "x" "y" {`, "expected the name"},
		{"a.tf", `a = "x`, "without an end"},
		{"a.tf", `a = <<E` + "\nx", "without an end"},
		{"a.tf", `a = [1`, "expected"},
		{"a.tf", `/* x`, "a comment without an end"},
		{"a.tf", "locals {\n  a = local.b\n  b = local.a\n}\nresource \"aws_iam_policy\" \"p\" {\n policy = local.a\n}", "nest more than"},
	} {
		f, err := Read(c.name, []byte(c.src), Options{})
		if c.want == "" {
			if err == nil {
				for _, d := range f.Documents {
					if _, err = iam.Parse(d.Kind, []byte(iam.Indent(d.Value))); err != nil {
						break
					}
				}
			}
			if err == nil {
				t.Errorf("%s: accepted", c.src)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.src, err, c.want)
		}
	}
}

// JSON is put back as it was, but for what changed.
func TestRewrite(t *testing.T) {
	src := []byte(`{
    "Resources": {
        "R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}, "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*"}]}}]}},
        "名前": 1
    }
}`)
	f, err := Read("t.template.json", src, Options{})
	if err != nil || len(f.Documents) != 2 {
		t.Fatal(err, len(f.Documents))
	}
	out, err := f.Rewrite(map[int]value.Value{1: value.MustParse(`{"Statement":"new"}`)})
	if err != nil || !strings.Contains(string(out), "            \"PolicyDocument\": {\n") || !strings.Contains(string(out), `"Statement": "new"`) || !strings.Contains(string(out), `"名前": 1`) {
		t.Errorf("%v\n%s", err, out)
	}
}

func fuzz(f *testing.F, ending string, more ...string) {
	files, _ := filepath.Glob("testdata/*" + ending)
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	for _, s := range more {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Read("f"+ending, src, Options{Region: "ap-northeast-1"})
		if err != nil {
			return
		}
		for i := range file.Documents {
			d := &file.Documents[i]
			if strings.Contains(d.Value.JSON(), hole) && len(d.Holes) > 0 {
				t.Fatalf("a hole is left in %s", d.Value.JSON())
			}
			p, err := iam.Parse(d.Kind, []byte(iam.Indent(d.Value)))
			if err != nil {
				continue
			}
			for _, x := range iam.Check(p, iam.Options{}) {
				d.Place(x.Statement, x.Element, x.Value)
			}
			if file.CanRewrite(d) {
				if _, err := file.Rewrite(map[int]value.Value{i: d.Value}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func FuzzTerraform(f *testing.F) {
	fuzz(f, ".tf", `a = "${"${x}"}"`, "a = <<-E\n  ${x}\n  E\n", `a "b" c { d = [for x in y : z] }`, `a = { (b) = c ? d : e, "f" : !g }`, `a = "\u00e9%{if x}y%{endif}"`)
}

func FuzzMarkup(f *testing.F) {
	fuzz(f, ".yaml", `{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`, `{"policy":{"Statement":[]},"managedPolicies":[{"Statement":[]}]}`, "a: &x {b: 1}\n<<: *x\n",
		`{"Resources":{"R":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{"Fn::Sub":["${A}",{"A":"b"}]}}}}}`)
}
