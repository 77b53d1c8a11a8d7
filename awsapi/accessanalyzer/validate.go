package accessanalyzer

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"tokaido/awsapi"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/value"
)

// Limits of a request. AWS documents none for the document; a managed policy has
// 6,144 characters, a service control policy 5,120, an inline one 10,240.
const (
	maxDocument = 64 << 10
	maxPage     = 1000
)

// kinds are the types of policy that can be held against the rules.
var kinds = map[string]iam.Kind{
	"IDENTITY_POLICY": iam.IdentityPolicy, "RESOURCE_POLICY": iam.ResourcePolicy,
	"SERVICE_CONTROL_POLICY": iam.ServiceControlPolicy, "RESOURCE_CONTROL_POLICY": iam.ResourceControlPolicy,
}

// trustDocument is the resource type of a role's trust policy.
const trustDocument = "AWS::IAM::AssumeRolePolicyDocument"

// security are rules about what is allowed rather than about what works.
var security = []string{"BR16", "BR21", "SF01", "SF06", "GN05", "GN06"}

// validatePolicy is ValidatePolicy: the findings are those of iam.Check, their
// issueCode the rule's ID.
func validatePolicy() awsapi.Op {
	return awsapi.Op{
		Service: service, Source: source, Name: "ValidatePolicy", Protocol: awsapi.RESTJSON, Route: "POST /policy/validation", ReadOnly: true,
		// Documents may be large and are nobody's act: the record says what was asked, not with which text.
		Params: func(r *awsapi.Request) value.Value {
			return value.Object(value.Member{Key: "policyType", Value: r.Input.Get("policyType")}, value.Member{Key: "locale", Value: r.Input.Get("locale")})
		},
		Needs: func(context.Context, *awsapi.Request) ([]iam.Authorization, error) {
			return []iam.Authorization{{Action: "access-analyzer:ValidatePolicy", Resource: "*"}}, nil
		},
		Handle: func(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			in, err := read(r)
			if err != nil {
				return nil, err
			}
			all := in.findings()
			from := min(in.from, len(all))
			till := min(from+in.most, len(all))
			m := []value.Member{{Key: "findings", Value: value.Array(all[from:till]...)}}
			if till < len(all) {
				m = append(m, value.Member{Key: "nextToken", Value: value.String(strconv.Itoa(till))})
			}
			return awsapi.OK(m...), nil
		},
	}
}

// validation is a request to validate.
type validation struct {
	document   string
	kind       iam.Kind
	lang       string // "en" or "ja"
	account    string
	from, most int
}

func invalidf(format string, args ...any) error {
	return fault.Newf("ValidationException", format, args...)
}

func read(r *awsapi.Request) (v validation, err error) {
	a := r.Args()
	v.account = r.Account
	v.document = a.Need("policyDocument")
	a.Check(len(v.document) <= maxDocument, "policyDocument", "have length less than or equal to "+strconv.Itoa(maxDocument))
	kind := a.Need("policyType")
	locale := a.String("locale")
	resource := a.String("validatePolicyResourceType")
	if err := a.End(); err != nil {
		return v, err
	}
	var ok bool
	if v.kind, ok = kinds[kind]; !ok {
		return v, invalidf("Value '%.64s' at 'policyType' failed to satisfy constraint: Member must satisfy enum value set: [IDENTITY_POLICY, RESOURCE_POLICY, RESOURCE_CONTROL_POLICY, SERVICE_CONTROL_POLICY]", kind)
	}
	switch {
	case resource == "":
	case v.kind != iam.ResourcePolicy:
		return v, invalidf("validatePolicyResourceType is only for a policyType of RESOURCE_POLICY")
	case resource == trustDocument:
		v.kind = iam.TrustPolicy
	default:
		return v, invalidf("validatePolicyResourceType %.128q is not supported: want %s", resource, trustDocument)
	}
	switch locale {
	case "", "EN":
		v.lang = "en"
	case "JA":
		v.lang = "ja"
	default:
		return v, invalidf("locale %.16q is not supported: want EN or JA", locale)
	}
	v.from, v.most, err = page(r.Query)
	return v, err
}

// page reads maxResults and nextToken, which is where the next page begins.
func page(q url.Values) (from, most int, err error) {
	most = maxPage
	for k, vs := range q {
		n, e := strconv.Atoi(vs[0])
		if e != nil || n < 0 || len(vs) > 1 {
			return 0, 0, invalidf("Value at '%.64s' is invalid", k)
		}
		switch k {
		case "maxResults":
			if n < 1 || n > maxPage {
				return 0, 0, invalidf("Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and %d", n, maxPage)
			}
			most = n
		case "nextToken":
			from = n
		default:
			return 0, 0, invalidf("Unknown query parameter '%.64s'", k)
		}
	}
	return from, most, nil
}

func (v *validation) findings() []value.Value {
	p, err := iam.Parse(v.kind, []byte(v.document))
	if err != nil {
		code := "MALFORMED_POLICY"
		if _, e := value.ParseString(v.document); e != nil {
			code = "JSON_SYNTAX_ERROR"
		}
		return []value.Value{finding("ERROR", code, err.Error(), location(v.document, nil, 0, len(v.document)))}
	}
	var out []value.Value
	for _, f := range iam.Check(p, iam.Options{Account: v.account}) {
		path, from, till := v.place(p, &f)
		out = append(out, finding(grade(&f), f.ID, f.Text(v.lang), location(v.document, path, from, till)))
	}
	return out
}

// grade is AWS's findingType.
func grade(f *iam.Finding) string {
	switch {
	case f.Severity == iam.Error:
		return "ERROR"
	case slices.Contains(security, f.ID):
		return "SECURITY_WARNING"
	case f.Severity == iam.Warning:
		return "WARNING"
	}
	return "SUGGESTION"
}

func finding(kind, code, text string, where value.Value) value.Value {
	return value.Object(
		value.Member{Key: "findingDetails", Value: value.String(text)},
		value.Member{Key: "findingType", Value: value.String(kind)},
		value.Member{Key: "issueCode", Value: value.String(code)},
		value.Member{Key: "learnMoreLink", Value: value.String("https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html")},
		value.Member{Key: "locations", Value: value.Array(where)},
	)
}

// place is where a finding stands: the value that it is about, its statement,
// or the document. from and till are bytes of it.
func (v *validation) place(p *iam.Policy, f *iam.Finding) (path []value.Value, from, till int) {
	till = len(v.document)
	key := func(k string) value.Value {
		return value.Object(value.Member{Key: "value", Value: value.String(k)})
	}
	if f.Statement >= 0 {
		a, b := p.Span(f.Statement)
		if b.Line == 0 {
			return nil, 0, till
		}
		from, till = offset(v.document, a), offset(v.document, b)
		path = []value.Value{key("Statement"), value.Object(value.Member{Key: "index", Value: value.Int(int64(f.Statement))})}
	}
	if f.Element == "" {
		return path, from, till
	}
	// An element's name has dots between the parts of a condition, whose key may have none.
	if parts := strings.SplitN(f.Element, ".", 3); parts[0] == "Condition" {
		for _, k := range parts {
			path = append(path, key(k))
		}
	} else {
		path = append(path, key(f.Element))
	}
	for _, text := range []string{f.Value, path[len(path)-1].Get("value").Str()} {
		if text == "" {
			continue
		}
		if at := strings.Index(v.document[from:till], value.String(text).JSON()); at >= 0 {
			return path, from + at, from + at + len(value.String(text).JSON())
		}
	}
	return path, from, till
}

// offset is the byte at a position, of which iam counts both parts from 1.
func offset(doc string, p iam.Position) int {
	at := 0
	for range p.Line - 1 {
		i := strings.IndexByte(doc[at:], '\n')
		if i < 0 {
			return len(doc)
		}
		at += i + 1
	}
	for range p.Column - 1 {
		_, n := utf8.DecodeRuneInString(doc[at:])
		at += n
	}
	return at
}

// location has lines from 1, columns and offsets from 0, both in UTF-16 units,
// as the editors count that AWS's consumers draw with.
func location(doc string, path []value.Value, from, till int) value.Value {
	position := func(at int) value.Value {
		line := doc[:at]
		begins := strings.LastIndexByte(line, '\n') + 1
		return value.Object(
			value.Member{Key: "line", Value: value.Int(int64(1 + strings.Count(line, "\n")))},
			value.Member{Key: "column", Value: value.Int(units(doc[begins:at]))},
			value.Member{Key: "offset", Value: value.Int(units(line))},
		)
	}
	return value.Object(
		value.Member{Key: "path", Value: value.Array(path...)},
		value.Member{Key: "span", Value: value.Object(value.Member{Key: "start", Value: position(from)}, value.Member{Key: "end", Value: position(till)})},
	)
}

func units(s string) (n int64) {
	for _, r := range s {
		n += int64(max(1, utf16.RuneLen(r)))
	}
	return n
}
