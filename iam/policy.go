package iam

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tokaido/fault"
	"tokaido/iam/wild"
	"tokaido/value"
)

// MaxDocument is how many characters a document may have; the limit of IAM's
// PolicyDocument parameter.
const MaxDocument = 131072

// Policy is a compiled policy document. It is immutable.
type Policy struct {
	kind       Kind
	text       string
	version    string // "" if the document has none, which counts as 2008-10-17
	doc        value.Value
	statements []statement
}

// statement is compiled for matching; what it was made of stays in doc.
type statement struct {
	allow        bool
	notAction    bool
	notResource  bool
	notPrincipal bool
	open         bool           // lead is all that the one action asks for
	head, mask   uint64         // the first bytes of lead, where they need no look at other memory
	lead         string         // every action begins so
	actions      []wild.Pattern // lower case
	resources    []wild.ARN     // none in a trust policy, which is about its own role
	principals   []principal    // none in an identity-based policy
	conditions   []condition
	sid          string
}

// principal is one entry of a Principal element.
type principal struct {
	kind  principalKind
	value string
}

type principalKind uint8

const (
	anyone principalKind = iota
	byAccount
	byARN
	byRole
	bySession
	byID
	byService
	byFederation
	byCanonicalUser
)

// The texts with which IAM refuses a document, most of them known from live
// answers.
const (
	textSyntax       = "Syntax errors in policy."
	textLegacy       = "The policy failed legacy parsing"
	textSid          = "Statement IDs (SID) in a single policy must be unique."
	textNoAction     = "Policy statement must contain actions."
	textNoResource   = "Policy statement must contain resources."
	textVendorPrefix = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	textOneColon     = "Actions/Condition can contain only one colon."
	textVendor       = "Vendor %s is not valid"
	textNotARN       = `Resource %s must be in ARN format or "*".`
	textVendorRegex  = "Resource vendor must be fully qualified and cannot contain regexes."
	textPartition    = `Partition "%s" is not valid for resource "%s".`
	textIAMRegion    = "IAM resource %s cannot contain region information."
	textS3Region     = "Resource %s can not contain region information."
	textIAMPath      = `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`
	textTrustAction  = "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity"
	textProhibited   = "Has prohibited field %s."
	textNoPrincipal  = "Missing required field Principal"
	textPrincipal    = "Policy document should not specify a principal."
	textBadPrincipal = `Invalid principal in policy: "%s":"%s"`
	textOrganization = "The provided policy document does not meet the requirements of the specified policy type."
)

// Problem is where and why a document was refused: the Detail of Parse's fault,
// for people who repair it.
type Problem struct {
	Path string // e.g. Statement[1].Action[0]; "" for the document as a whole
	Why  string
}

func (p Problem) Error() string {
	if p.Path == "" {
		return p.Why
	}
	return p.Path + ": " + p.Why
}

func malformed(path, message, why string, args ...any) *fault.Error {
	p := Problem{Path: path, Why: fmt.Sprintf(why, args...)}
	return &fault.Error{Kind: fault.Client, Code: "MalformedPolicyDocument", Message: message, Detail: p, Err: p}
}

// Parse checks a document as IAM does when it is saved, and compiles it. The
// error is a *fault.Error with the code MalformedPolicyDocument; its Detail is
// a Problem.
func Parse(kind Kind, doc []byte) (*Policy, error) {
	if kind < IdentityPolicy || kind > Boundary {
		return nil, fmt.Errorf("iam: no kind of policy: %d", kind)
	}
	if n := utf8.RuneCount(doc); n > MaxDocument {
		return nil, malformed("", textSyntax, "the document has %d characters; the limit is %d", n, MaxDocument)
	}
	text := string(doc)
	for i, r := range text {
		if r > 0xFF || r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == utf8.RuneError {
			return nil, malformed("", textSyntax, "character %U at offset %d: only U+0009, U+000A, U+000D and U+0020 to U+00FF are allowed; write others as \\u escapes", r, i)
		}
	}
	v, err := value.ParseString(text)
	if err != nil {
		return nil, malformed("", textSyntax, "%v", err)
	}
	if path, key := duplicate(text); key != "" {
		return nil, malformed(path, textSyntax, "the key %q is there twice", key)
	}
	b := builder{p: &Policy{kind: kind, text: text, doc: v}}
	if f := b.document(v); f != nil {
		return nil, f
	}
	return b.p, nil
}

// MustParse is Parse for documents that a program holds; it panics.
func MustParse(kind Kind, doc string) *Policy {
	p, err := Parse(kind, []byte(doc))
	if err != nil {
		panic(err)
	}
	return p
}

// JSON is the document as it was given.
func (p *Policy) JSON() string { return p.text }

// Kind says what the policy was parsed for.
func (p *Policy) Kind() Kind { return p.kind }

const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Size is what IAM's quotas count: characters that are not white space.
func (p *Policy) Size() int {
	n := 0
	for _, r := range p.text {
		if r != ' ' && r != '\t' && r != '\n' && r != '\r' {
			n++
		}
	}
	return n
}

// Len is the number of statements.
func (p *Policy) Len() int { return len(p.statements) }

// duplicate finds the first object with a key twice in a valid text.
func duplicate(text string) (path, key string) {
	d := json.NewDecoder(strings.NewReader(text))
	var in func(path string) (string, string)
	in = func(path string) (string, string) {
		t, err := d.Token()
		if err != nil {
			return "", ""
		}
		switch t {
		case json.Delim('{'):
			seen := map[string]bool{}
			for d.More() {
				t, _ := d.Token()
				k, _ := t.(string)
				if seen[k] {
					return path, k
				}
				seen[k] = true
				if p, k := in(join(path, k)); k != "" {
					return p, k
				}
			}
			_, _ = d.Token()
		case json.Delim('['):
			for i := 0; d.More(); i++ {
				if p, k := in(fmt.Sprintf("%s[%d]", path, i)); k != "" {
					return p, k
				}
			}
			_, _ = d.Token()
		}
		return "", ""
	}
	return in("")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// builder checks and compiles a document. IAM looks at everything for syntax
// before it looks at anything for sense, and so does it.
type builder struct {
	p *Policy
}

func (b *builder) organization() bool {
	return b.p.kind == ServiceControlPolicy || b.p.kind == ResourceControlPolicy
}

// attached reports whether the document has principals.
func (b *builder) attached() bool {
	return b.p.kind == TrustPolicy || b.p.kind == ResourcePolicy || b.p.kind == ResourceControlPolicy
}

func (b *builder) document(v value.Value) *fault.Error {
	if !v.IsObject() {
		return malformed("", textSyntax, "the document is not an object")
	}
	for k := range v.Members() {
		if k != "Version" && k != "Id" && k != "Statement" {
			return malformed(k, textSyntax, "no such element; names are Version, Id and Statement, in this case")
		}
	}
	if x := v.Get("Version"); !x.IsUndefined() {
		if s := x.Str(); s != version2008 && s != version2012 {
			return malformed("Version", textSyntax, "must be %q or %q", version2012, version2008)
		}
		b.p.version = x.Str()
	}
	if x := v.Get("Id"); !x.IsUndefined() && !x.IsString() {
		return malformed("Id", textSyntax, "must be a string")
	}
	list := v.Get("Statement")
	switch {
	case list.IsObject():
		list = value.Array(list)
	case !list.IsArray():
		return malformed("Statement", textSyntax, "must be a statement or a list of statements")
	case list.Len() == 0:
		return malformed("Statement", textSyntax, "is an empty list")
	}
	b.p.statements = make([]statement, list.Len())
	for i, st := range list.Items() {
		if f := b.syntax(b.at(i), st); f != nil {
			return f
		}
	}
	seen := map[string]bool{}
	for i, st := range list.Items() {
		if sid := st.Get("Sid").Str(); sid != "" {
			if seen[sid] {
				return malformed(b.at(i)+".Sid", textSid, "%q is there twice", sid)
			}
			seen[sid] = true
		}
	}
	for i, st := range list.Items() {
		if f := b.sense(b.at(i), st, &b.p.statements[i]); f != nil {
			return f
		}
	}
	return nil
}

func (b *builder) at(i int) string {
	if b.p.doc.Get("Statement").IsObject() {
		return "Statement"
	}
	return fmt.Sprintf("Statement[%d]", i)
}

var elements = []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}

// syntax checks the form of one statement.
func (b *builder) syntax(path string, st value.Value) *fault.Error {
	bad := func(key, why string, args ...any) *fault.Error {
		return malformed(join(path, key), textSyntax, why, args...)
	}
	if !st.IsObject() {
		return malformed(path, textSyntax, "is not an object")
	}
	for k := range st.Members() {
		if !slices.Contains(elements, k) {
			return bad(k, "no such element; names are %s, in this case", strings.Join(elements, ", "))
		}
	}
	if x := st.Get("Sid"); !x.IsUndefined() {
		if !x.IsString() {
			return bad("Sid", "must be a string")
		}
		// Services keep their own resource policies and allow more in them.
		if b.p.kind != ResourcePolicy && !b.organization() && strings.ContainsFunc(x.Str(), func(r rune) bool { return !alphanumeric(r) }) {
			return bad("Sid", "%q: only letters and digits are allowed", x.Str())
		}
	}
	if e := st.Get("Effect"); e.Str() != "Allow" && e.Str() != "Deny" {
		return bad("Effect", `must be "Allow" or "Deny"`)
	}
	for _, k := range []string{"Action", "Resource", "Principal"} {
		if st.Has(k) && st.Has("Not"+k) {
			return bad(k, "%s and Not%s exclude each other", k, k)
		}
	}
	for _, k := range []string{"Action", "NotAction", "Resource", "NotResource"} {
		if x := st.Get(k); !x.IsUndefined() && !isStrings(x) {
			return bad(k, "must be a string or a list of strings")
		}
	}
	for _, k := range []string{"Principal", "NotPrincipal"} {
		x := st.Get(k)
		switch {
		case x.IsUndefined():
		case x.IsString():
			if x.Str() != "*" {
				return bad(k, `a bare principal can only be "*"`)
			}
		case x.IsObject():
			for t, v := range x.Members() {
				if t != "AWS" && t != "Service" && t != "Federated" && t != "CanonicalUser" {
					return bad(k+"."+t, "no such type of principal; types are AWS, Service, Federated and CanonicalUser, in this case")
				}
				if !isStrings(v) {
					return bad(k+"."+t, "must be a string or a list of strings")
				}
			}
		default:
			return bad(k, `must be "*" or an object`)
		}
	}
	if x := st.Get("Condition"); !x.IsUndefined() {
		if !x.IsObject() {
			return bad("Condition", "must be an object")
		}
		for name, keys := range x.Members() {
			at := "Condition." + name
			if _, ok := parseOperator(name); !ok {
				return bad(at, "no such condition operator")
			}
			if !keys.IsObject() {
				return bad(at, "must be an object of condition keys")
			}
			for key, vs := range keys.Members() {
				if vs.IsArray() {
					for i, v := range vs.Items() {
						if !isScalar(v) {
							return bad(fmt.Sprintf("%s.%s[%d]", at, key, i), "must be a string, a number or a boolean")
						}
					}
				} else if !isScalar(vs) {
					return bad(at+"."+key, "must be a string, a number, a boolean, or a list of these")
				}
			}
		}
	}
	return nil
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func isStrings(v value.Value) bool {
	if v.IsString() {
		return true
	}
	for _, x := range v.Items() {
		if !x.IsString() {
			return false
		}
	}
	return v.IsArray()
}

func isScalar(v value.Value) bool {
	return v.IsString() || v.IsNumber() || v.Kind() == value.KindBool
}

// texts is a string or a list of strings as a list; numbers and booleans as
// they were written.
func texts(v value.Value) []string {
	text := func(v value.Value) string {
		switch {
		case v.IsNumber():
			return v.NumberText()
		case v.IsString():
			return v.Str()
		}
		return v.JSON()
	}
	if !v.IsArray() {
		return []string{text(v)}
	}
	s := make([]string, 0, v.Len())
	for _, x := range v.Items() {
		s = append(s, text(x))
	}
	return s
}

// either returns the member called name, or the one called Not and name.
func either(st value.Value, name string) (list []string, not, has bool) {
	if x := st.Get(name); !x.IsUndefined() {
		return texts(x), false, true
	}
	if x := st.Get("Not" + name); !x.IsUndefined() {
		return texts(x), true, true
	}
	return nil, false, false
}

// sense checks what a statement says and compiles it.
func (b *builder) sense(path string, st value.Value, s *statement) *fault.Error {
	s.sid = st.Get("Sid").Str()
	s.allow = st.Get("Effect").Str() == "Allow"
	if f := b.principals(path, st, s); f != nil {
		return f
	}
	actions, not, has := either(st, "Action")
	if !has || len(actions) == 0 {
		return malformed(path, textNoAction, "has neither Action nor NotAction, or an empty one")
	}
	s.notAction = not
	resources, not, has := either(st, "Resource")
	s.notResource = not
	switch {
	case b.p.kind == TrustPolicy && has:
		name := "Resource"
		if not {
			name = "NotResource"
		}
		return malformed(path+"."+name, fmt.Sprintf(textProhibited, name), "a trust policy is about its own role")
	case b.p.kind != TrustPolicy && len(resources) == 0:
		return malformed(path, textNoResource, "has neither Resource nor NotResource, or an empty one")
	}
	vars := wild.NoVars
	if b.p.version == version2012 {
		vars = wild.LastPart
	}
	for i, r := range resources {
		if message, why := badResource(r); message != "" && b.p.kind != ResourcePolicy {
			return malformed(fmt.Sprintf("%s.Resource[%d]", path, i), message, "%s", why)
		}
		s.resources = append(s.resources, wild.CompileARN(r, vars))
	}
	for i, a := range actions {
		at := fmt.Sprintf("%s.Action[%d]", path, i)
		if message, why := badAction(a); message != "" {
			return malformed(at, message, "%s", why)
		}
		if b.p.kind == TrustPolicy && !trustAction(a) {
			return malformed(at, textTrustAction, "%q cannot be trusted", a)
		}
		s.actions = append(s.actions, wild.Compile(strings.ToLower(a), false))
	}
	s.lead = s.actions[0].Lead()
	s.open = len(s.actions) == 1 && s.actions[0].Open()
	for i := range s.actions {
		for !strings.HasPrefix(s.actions[i].Lead(), s.lead) {
			s.lead = s.lead[:len(s.lead)-1]
		}
	}
	s.head, s.mask = firstBytes(s.lead)
	if b.p.kind == ResourceControlPolicy {
		everything := s.allow && len(actions) == 1 && actions[0] == "*" && len(resources) == 1 && resources[0] == "*"
		if s.allow && !everything {
			return malformed(path+".Effect", textOrganization, "a resource control policy can only deny")
		}
		if s.notAction {
			return malformed(path+".NotAction", textOrganization, "a resource control policy cannot have it")
		}
	}
	for name, keys := range st.Get("Condition").Members() {
		op, _ := parseOperator(name)
		for key, vs := range keys.Members() {
			at := path + ".Condition." + name + "." + key
			if !strings.Contains(key, ":") {
				return malformed(at, textVendorPrefix, "a condition key is called service:name")
			}
			c, why := compileCondition(name, op, key, texts(vs), b.p.version == version2012)
			if why != "" {
				return malformed(at, textLegacy, "%s", why)
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return nil
}

// firstBytes returns the first eight bytes of s, and a mask of those it has.
func firstBytes(s string) (head, mask uint64) {
	for i := range min(len(s), 8) {
		head |= uint64(s[i]) << (8 * i)
		mask |= 0xFF << (8 * i)
	}
	return head, mask
}

func badAction(a string) (message, why string) {
	if a == "*" {
		return "", ""
	}
	vendor, rest, ok := strings.Cut(a, ":")
	switch {
	case !ok:
		return textVendorPrefix, fmt.Sprintf("%q has no service prefix", a)
	case strings.Contains(rest, ":"):
		return textOneColon, fmt.Sprintf("%q has more than one colon", a)
	case vendor == "" || strings.ContainsFunc(vendor, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("-.*?", r) }):
		return fmt.Sprintf(textVendor, vendor), fmt.Sprintf("%q has no service prefix", a)
	case rest == "":
		return textVendorPrefix, fmt.Sprintf("%q names no action", a)
	}
	return "", ""
}

// trustAction reports whether a trust policy may name the action.
func trustAction(a string) bool {
	switch strings.ToLower(a) {
	case "*", "sts:*", "sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity",
		"sts:tagsession", "sts:setsourceidentity", "sts:setcontext", "sts:assumerole*":
		return true
	}
	return false
}

var iamPaths = []string{"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"}

// badResource is IAM's check of a resource. It fills in parts that are missing
// at the end, so a short ARN passes; it matches nothing all the same.
func badResource(r string) (message, why string) {
	if r == "*" {
		return "", ""
	}
	part := strings.SplitN(r, ":", 6)
	if len(part) < 2 || part[0] != "arn" {
		return fmt.Sprintf(textNotARN, r), `is neither "*" nor an ARN`
	}
	full := append(slices.Clone(part), "*", "*", "*", "*", "*")[:6]
	if !partition(part[1]) {
		return fmt.Sprintf(textPartition, part[1], strings.Join(full, ":")), "no such partition"
	}
	if len(part) == 2 || part[2] != "*" && strings.ContainsAny(part[2], "*?") || part[2] == "" {
		return textVendorRegex, "the service must be written out"
	}
	if full[2] == "iam" && full[3] != "" && len(part) > 3 {
		return fmt.Sprintf(textIAMRegion, r), "IAM is in no Region"
	}
	if full[2] == "s3" && len(part) > 3 && full[3] != "" && full[3] != "*" && strings.HasPrefix(full[5], "::") {
		return fmt.Sprintf(textS3Region, r), "bucket ARNs have no Region"
	}
	if full[2] == "iam" && len(part) == 6 && full[5] != "*" && full[5] != "root" && !strings.HasPrefix(full[5], "${") {
		ok := slices.ContainsFunc(iamPaths, func(p string) bool { return strings.HasPrefix(full[5], p) })
		if !ok {
			return textIAMPath, "no such kind of IAM resource"
		}
	}
	return "", ""
}

func partition(s string) bool {
	switch s {
	case "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc", "*":
		return true
	}
	return strings.HasPrefix(s, "aws") && strings.HasSuffix(s, "*")
}

func (b *builder) principals(path string, st value.Value, s *statement) *fault.Error {
	name := "Principal"
	x := st.Get(name)
	if x.IsUndefined() && st.Has("NotPrincipal") {
		name, s.notPrincipal = "NotPrincipal", true
		x = st.Get(name)
	}
	at := path + "." + name
	switch {
	case b.attached() && x.IsUndefined():
		return malformed(path, textNoPrincipal, "says who may, but not who")
	case !b.attached() && !x.IsUndefined():
		if b.organization() {
			return malformed(at, textOrganization, "a service control policy binds the account's principals")
		}
		return malformed(at, textPrincipal, "the policy is for whom it is attached to")
	case x.IsUndefined():
		return nil
	case x.IsString():
		s.principals = []principal{{kind: anyone}}
	default:
		for t, vs := range x.Members() {
			for i, v := range texts(vs) {
				p, ok := parsePrincipal(t, v)
				if !ok {
					if t == "Service" {
						t = "SERVICE"
					}
					return malformed(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf(textBadPrincipal, t, v), "no principal has this form")
				}
				s.principals = append(s.principals, p)
			}
		}
		if len(s.principals) == 0 {
			return malformed(at, textNoPrincipal, "names nobody")
		}
	}
	if b.p.kind == ResourceControlPolicy && (s.notPrincipal || len(s.principals) != 1 || s.principals[0].kind != anyone) {
		return malformed(at, textOrganization, `the Principal of a resource control policy is "*"`)
	}
	return nil
}

func parsePrincipal(kind, v string) (principal, bool) {
	switch kind {
	case "Service":
		ok := strings.Contains(v, ".") && !strings.ContainsAny(v, "*?: ")
		return principal{byService, v}, ok
	case "Federated":
		return principal{byFederation, v}, v != ""
	case "CanonicalUser":
		return principal{byCanonicalUser, v}, v != ""
	}
	switch {
	case v == "*":
		return principal{kind: anyone}, true
	case isAccount(v):
		return principal{byAccount, v}, true
	case len(v) >= 16 && strings.HasPrefix(v, "A") && !strings.ContainsFunc(v, func(r rune) bool { return !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') }):
		return principal{byID, v}, true
	}
	p := wild.Cut(v)
	if !p.OK || p.Part[0] != "arn" || p.Part[3] != "" || !isAccount(p.Part[4]) || strings.ContainsAny(v, "*?") {
		return principal{}, false
	}
	switch kind, _, _ := strings.Cut(p.Part[5], "/"); {
	case p.Part[2] == "iam" && kind == "root":
		return principal{byAccount, p.Part[4]}, true
	case p.Part[2] == "iam" && kind == "role":
		return principal{byRole, v}, true
	case p.Part[2] == "iam" && kind == "user":
		return principal{byARN, v}, true
	case p.Part[2] == "sts" && (kind == "assumed-role" || kind == "federated-user"):
		return principal{bySession, v}, true
	}
	return principal{}, false
}

func isAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
