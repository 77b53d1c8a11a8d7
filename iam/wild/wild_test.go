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
