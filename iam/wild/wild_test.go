package wild

import (
	"regexp"
	"strings"
	"testing"
)

// slow is the obvious matcher that Match is held to.
func slow(pattern, s string) bool {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for _, r := range pattern {
		switch r {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String()).MatchString(s)
}

func slowARN(pattern, s string) bool {
	if pattern != "" && strings.Trim(pattern, "*") == "" {
		return true
	}
	p, q := strings.SplitN(pattern, ":", 6), strings.SplitN(s, ":", 6)
	if len(p) < 6 && len(q) < 6 {
		return pattern == s
	}
	if len(p) != 6 || len(q) != 6 {
		return false
	}
	for i := range p {
		if !slow(p[i], q[i]) {
			return false
		}
	}
	return true
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{
		{"*", ""}, {"a*b*c", "abbbc"}, {"a?c", "a\u3042c"}, {"*a*a*a*b", "aaaaaaaaaaaa"}, {"??", "é"}, {"*x", "xxx"},
		{"arn:aws:bedrock:ap-*::foundation-model/m:0", "arn:aws:bedrock:ap-northeast-1::foundation-model/m:0"},
		{"arn:aws:bedrock:*:foundation-model/*", "arn:aws:bedrock:ap-northeast-1::foundation-model/m"},
		{"arn:aws:bedrock:*:*:*", "arn:aws:bedrock:::foundation-model/m"}, {"arn:*", "arn:*"}, {"*:*:*:*:*:*", "a:b:c:d:e:f:g"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 200 || len(s) > 200 || !valid(pattern) || !valid(s) {
			t.Skip()
		}
		p := Compile(pattern, false)
		if got, want := p.Match(s), slow(pattern, s); got != want {
			t.Errorf("%q against %q: %v, want %v", pattern, s, got, want)
		}
		l := CompileLiteral(pattern, false)
		if l.Match(s) != (pattern == s) {
			t.Errorf("%q taken literally against %q", pattern, s)
		}
		a, parts := CompileARN(pattern, NoVars), Cut(s)
		if got, want := a.Match(s, &parts, nil), slowARN(pattern, s); got != want {
			t.Errorf("ARN %q against %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func valid(s string) bool { return strings.ToValidUTF8(s, "") == s }

type values map[string]string

func (v values) Value(key string) (string, bool) { s, ok := v[key]; return s, ok }

func TestVariables(t *testing.T) {
	get := values{"k": "v", "star": "a*b", "empty": "", "brace": "${k}"}
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"x${k}y", "xvy", true},
		{"x${k}*", "xv-any", true},
		{"${star}", "a*b", true},
		{"${star}", "aXb", false},
		{"${none}", "", false},
		{"${none, 'd'}z", "dz", true},
		{"${k, 'd'}z", "vz", true},
		{"${empty}z", "z", true},
		{"${*}${?}${$}", "*?$", true},
		{"${brace}", "${k}", true},
		{"${k", "${k", true},
		{"${k}${k}", "vv", true},
	} {
		p := Compile(c.pattern, true)
		r, ok := p.Resolve(get)
		if got := ok && r.Match(c.s); got != c.want {
			t.Errorf("%q against %q: %v", c.pattern, c.s, got)
		}
	}
	p := Compile("${k}", false)
	if p.Variables() || !p.Match("${k}") {
		t.Error("2008-10-17 has no variables")
	}
}

// A pattern of many stars must not take exponential time.
func BenchmarkMatchHostile(b *testing.B) {
	p := Compile(strings.Repeat("a*", 100)+"b", false)
	s := strings.Repeat("a", 2000)
	b.ReportAllocs()
	for b.Loop() {
		p.Match(s)
	}
}

// Overlap against trying every short text.
func TestOverlap(t *testing.T) {
	var all []string
	for _, p := range []string{"", "a", "b", "*", "?", "ab"} {
		for _, q := range []string{"", "a", "*", "?"} {
			for _, r := range []string{"", "b", "*"} {
				all = append(all, p+q+r)
			}
		}
	}
	var texts []string
	for n := range 5 {
		for i := range 1 << n {
			var s strings.Builder
			for j := range n {
				s.WriteString(string(rune('a' + i>>j&1)))
			}
			texts = append(texts, s.String())
		}
	}
	for _, a := range all {
		for _, b := range all {
			x, y := Compile(a, false), Compile(b, false)
			want := false
			for _, s := range texts {
				want = want || x.Match(s) && y.Match(s)
			}
			if got := Overlap("arn:aws:s3:::"+a, "arn:aws:s3:::"+b); got != want {
				t.Errorf("%q and %q: %v, want %v", a, b, got, want)
			}
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"*", "x", true}, {"arn:aws:s3", "arn:aws:s3", false}, {"arn:aws:lambda:*:1:function:a*", "arn:aws:lambda:r:*:function:*b", true},
		{"arn:aws:bedrock:r::foundation-model/*", "arn:aws:bedrock:r:1:application-inference-profile/x", false},
	} {
		if Overlap(c.a, c.b) != c.want {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.want)
		}
	}
}
