// Package policygen writes the least-privilege policies of a state machine's
// role: what its definition calls, and what its configuration asks for.
//
// It is pure and asks nobody: what cannot be known before the machine runs is
// assumed as narrowly as the definition allows, in the machine's own Region and
// account, and told in a Finding. A value that only constants are ever assigned
// to is known; so is one that is chosen from constants or begins with one.
//
// It does not run definitions, look at resources, or judge policies that exist
// (iam does, with the Needs that it is given from here).
package policygen

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tokaido/arn"
	"tokaido/asl"
	"tokaido/bedrock/catalog"
	"tokaido/iam"
	"tokaido/value"
)

// Machine is a state machine as far as its role goes.
type Machine struct {
	Program *asl.Program
	Name    string
	Region  string
	Account string
	Logging bool
	Tracing bool
	Key     string // ARN of the KMS key that encrypts it; "" if none of the account's
}

// ARN is the machine's.
func (m *Machine) ARN() string {
	return arn.New("states", m.Region, m.Account, "stateMachine:"+m.Name).String()
}

// Options are what may be known besides.
type Options struct {
	Catalog *catalog.Catalog // nil: the one that came with the program

	// Application resolves an application inference profile's ARN to what it
	// copies: an inference profile's or a model's id. nil: none is known.
	Application func(arn string) (copies string, ok bool)

	// Values are what a computed field can be, by "State.Field". One that a policy does
	// not depend on is refused.
	Values map[string][]string

	// Unknown says that a text only stands for what is filled in later, as
	// ${Function} does in a template, and what is constant before it. nil: all
	// texts are what they say.
	Unknown func(text string) (prefix string, unknown bool)
}

// Need is something that running the machine must be allowed.
type Need struct {
	State string // "": the machine's configuration
	iam.Authorization
	Known bool           // the resource is no assumption
	Call  *iam.CallShape // of a call to a model
	Sync  bool           // .sync asks for it, beyond the call itself
}

// Result is what was made of a definition.
type Result struct {
	Machine  Machine
	Policy   *iam.Policy   // what the role is to be allowed; nil if that is nothing
	Policies []*iam.Policy // the same in managed policies, where it is too large to be inline
	Trust    *iam.Policy   // who may assume the role
	Caller   *iam.Policy   // what whoever creates the machine needs for the role
	Targets  []Target
	Needs    []Need // of the role itself, in the order of the definition
	Findings []Finding
}

// Target is a role that a state's Credentials name: what its tasks call, it
// must be allowed.
type Target struct {
	Role   string // its ARN, or the expression
	Policy *iam.Policy
}

// The identifiers of Regions and accounts are checked by form only: new ones
// come into being.
func check(m *Machine) error {
	bad := func(what, v string) error { return fmt.Errorf("%s %q is not of the form that AWS's have", what, v) }
	digits := strings.Trim(m.Account, "0123456789") == ""
	switch {
	case m.Program == nil:
		return errors.New("no definition")
	case len(m.Account) != 12 || !digits:
		return bad("account", m.Account)
	case strings.Count(m.Region, "-") < 2 || strings.Trim(m.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return bad("Region", m.Region)
	case m.Name == "" || len(m.Name) > 80 || strings.ContainsAny(m.Name, " \t\n<>{}[]?*\"#%\\^|~`$&,;:/"):
		return bad("state machine name", m.Name)
	case m.Key != "" && !strings.Contains(m.Key, ":kms:"):
		return bad("KMS key ARN", m.Key)
	}
	return nil
}

// Generate makes the policies of a machine.
func Generate(m Machine, o Options) (*Result, error) {
	if err := check(&m); err != nil {
		return nil, err
	}
	if o.Catalog == nil {
		o.Catalog = catalog.Load()
	}
	g := &generator{m: m, o: o, r: newReader(m.Program, m.ARN(), o.Unknown), partition: arn.PartitionOf(m.Region), asked: map[string]bool{}}
	for st := range m.Program.All() {
		g.state = st
		g.at = &g.own
		switch st.Type {
		case asl.Task:
			g.task(st)
		case asl.Map:
			g.distributed(st)
		}
	}
	g.state, g.at = nil, &g.own
	g.configuration()
	for _, name := range slices.Sorted(maps.Keys(o.Values)) {
		if !g.asked[name] {
			return nil, fmt.Errorf("values of %s: it is no computed field that a policy depends on", name)
		}
	}
	return g.result()
}

type generator struct {
	m         Machine
	o         Options
	r         *reader
	partition string
	asked     map[string]bool // of Options.Values

	state   *asl.State
	at      *holder // whose grants are written: the role's, or a target's
	own     holder
	targets []*holder

	found []Finding
}

// holder is what one role is to be allowed.
type holder struct {
	role   string
	grants []iam.Grant
	needs  []Need
}

// allow adds a grant. known is false if its resources are an assumption.
func (g *generator) allow(known bool, gr iam.Grant) { g.need(known, false, nil, gr) }

func (g *generator) need(known, sync bool, shape *iam.CallShape, gr iam.Grant) {
	g.at.grants = append(g.at.grants, gr)
	name := ""
	if g.state != nil {
		name = g.state.Name
	}
	for _, a := range gr.Actions {
		for _, r := range gr.Resources {
			g.at.needs = append(g.at.needs, Need{State: name, Known: known, Call: shape, Sync: sync,
				Authorization: iam.Authorization{Action: a, Resource: iam.Plain(r), Context: contextOf(gr.Condition, g.m.Region)}})
		}
	}
}

// contextOf is a request's that meets a condition written here: each operator
// that is used asks for a value, and the value is the request's.
func contextOf(cond value.Value, region string) iam.Context {
	c := iam.Context{}
	for op, keys := range cond.Members() {
		for k, v := range keys.Members() {
			a := iam.Attribute{Key: k, Multi: strings.HasPrefix(op, "ForA")}
			if v.IsArray() {
				for _, x := range v.Items() {
					a.Values = append(a.Values, x.Str())
				}
				if !a.Multi {
					a.Values = a.Values[:1]
				}
			} else {
				a.Values = []string{v.Str()}
			}
			c = append(c, a)
		}
	}
	if !slices.ContainsFunc(c, func(a iam.Attribute) bool { return a.Key == "aws:RequestedRegion" }) {
		c = append(c, iam.Attribute{Key: "aws:RequestedRegion", Values: []string{region}})
	}
	return c
}

// arn is one in the machine's partition.
func (g *generator) arn(service, region, account, resource string) string {
	return "arn:" + g.partition + ":" + service + ":" + region + ":" + account + ":" + resource
}

// here is an ARN in the machine's Region and account.
func (g *generator) here(service, resource string) string {
	return g.arn(service, g.m.Region, g.m.Account, resource)
}

// one is a condition on one key.
func one(op, key, v string) value.Value {
	return value.Object(value.Member{Key: op, Value: value.Object(value.Member{Key: key, Value: value.String(v)})})
}

// values is what can be said of a field, which the operator may have said more
// of than the definition does.
func (g *generator) values(k known) known {
	if !k.dynamic() || g.state == nil {
		return k
	}
	name := g.state.Name + "." + k.field
	g.asked[name] = true
	if vs := g.o.Values[name]; len(vs) > 0 {
		return known{texts: vs, field: k.field}
	}
	return k
}

// resolve makes resource patterns of a field: of each value that it can have,
// of what it begins with, or of nothing at all; and tells what was assumed.
// name makes one of a name or an ARN, in which * stands for what is not known.
// It returns "" for what it cannot read.
func (g *generator) resolve(k known, name func(string) string) (resources []string, sure bool) {
	k = g.values(k)
	if !k.dynamic() {
		for _, t := range k.texts {
			r := name(iam.Literal(t))
			if r == "" {
				g.find("PG03", k, t)
				r = name("*")
			}
			resources = append(resources, r)
		}
		return resources, true
	}
	if k.prefix != "" {
		if r := name(iam.Literal(k.prefix) + "*"); r != "" && r != name("*") {
			g.find("PG02", k, r)
			return []string{r}, false
		}
	}
	r := name("*")
	g.find("PG01", k, r)
	return []string{r}, false
}

// named makes ARNs of names: prefix is all that goes before one. What is an ARN
// already stays what it is, if it is one of the service.
func (g *generator) named(service, prefix, suffix string) func(string) string {
	return func(s string) string {
		if strings.HasPrefix(s, "arn:") {
			p := strings.SplitN(s, ":", 6)
			if len(p) < 6 || p[2] != service || p[5] == "*" {
				if strings.HasSuffix(s, "*") && len(p) < 6 {
					return g.here(service, prefix+"*"+suffix) // too little of it is known
				}
				return ""
			}
			return s
		}
		return g.here(service, prefix+s+suffix)
	}
}

func (g *generator) task(st *asl.State) {
	t := st.Task
	if t.RoleArn != nil {
		if !g.credentials(st) {
			return
		}
	}
	f := st.Arguments
	if st.Language == asl.JSONPath {
		f = st.Parameters
	}
	a := g.r.args(st.Language, f)
	switch {
	case t.Kind == asl.ActivityTask:
		// Its worker asks for the task; the role does nothing.
	case t.Kind == asl.LambdaTask:
		if prefix, is := g.r.unknownText(t.Resource); is {
			g.lambda(known{prefix: prefix, source: t.Resource, field: "Resource"}, known{absent: true})
			return
		}
		g.lambda(texts(t.Resource), known{absent: true})
	case strings.HasPrefix(t.Service, "aws-sdk:"):
		g.sdk(strings.TrimPrefix(t.Service, "aws-sdk:"), t.Action, a)
	default:
		g.optimized(t, a)
	}
}

func (r *reader) unknownText(s string) (string, bool) {
	if r.unknown == nil {
		return "", false
	}
	return r.unknown(s)
}

// credentials is a task that another role performs: the machine's assumes it.
func (g *generator) credentials(st *asl.State) bool {
	k := args{r: g.r, lang: st.Language}.field(st.Task.RoleArn, "Credentials.RoleArn")
	k = g.values(k)
	role := func(s string) string {
		if strings.HasPrefix(s, "arn:") {
			if p := strings.SplitN(s, ":", 6); len(p) == 6 && p[2] == "iam" {
				return s
			}
			return ""
		}
		return g.arn("iam", "", g.m.Account, "role/"+strings.TrimPrefix(s, "role/"))
	}
	resources, sure := g.resolve(k, role)
	g.allow(sure, iam.Grant{Name: "AssumeTaskRole", Actions: []string{"sts:AssumeRole"}, Resources: resources})
	name := k.source
	if sure {
		name = strings.Join(resources, ", ")
		g.find("PG07", k, name)
	}
	at := slices.IndexFunc(g.targets, func(a *holder) bool { return a.role == name })
	if at < 0 {
		at, g.targets = len(g.targets), append(g.targets, &holder{role: name})
	}
	g.at = g.targets[at]
	return true
}

// field is the text of a field that stands alone.
func (a args) field(f *asl.Field, name string) known {
	v := f.Template()
	k := known{source: v.JSON()}
	if c, ok := f.Constant(); ok && c.IsString() {
		k = a.r.constant(c.Str())
	} else if v.IsString() {
		if e, ok := expression(v.Str()); ok && a.lang == asl.JSONata {
			k = a.r.jsonata(e)
		} else if a.lang == asl.JSONPath {
			k = a.r.jsonpath(v.Str())
		}
		k.source = v.Str()
	}
	k.field = name
	return k
}

// distributed is a Map whose iterations are executions of their own.
func (g *generator) distributed(st *asl.State) {
	m := st.Map
	if !m.Distributed {
		return
	}
	own := g.m.Name
	label := m.Label
	if label == "" {
		label = "*"
	}
	states := func(resource string) string { return g.here("states", resource) }
	for _, gr := range []iam.Grant{
		{Name: "DistributedMapStart", Actions: []string{"states:StartExecution"}, Resources: []string{states("stateMachine:" + own)}},
		{Name: "DistributedMapRuns", Actions: []string{"states:DescribeExecution", "states:StopExecution"}, Resources: []string{states("execution:" + own + ":*"), states("execution:" + own + "/*")}},
		{Name: "DistributedMapRedrive", Actions: []string{"states:RedriveExecution"}, Resources: []string{states("execution:" + own + "/" + label + ":*")}},
	} {
		g.need(true, true, nil, gr)
	}
	if r := m.ItemReader; r != nil {
		a := g.r.args(st.Language, r.Arguments)
		a.at = "ItemReader."
		bucket := a.get("Bucket")
		switch {
		case strings.HasSuffix(r.Resource, ":listObjectsV2"):
			g.list("MapListing", bucket, a.get("Prefix"))
			if r.Config.Get("Transformation").Str() == "LOAD_AND_FLATTEN" {
				g.objects("MapItems", []string{"s3:GetObject"}, bucket, a.get("Prefix"), true)
			}
		default:
			g.objects("MapItems", []string{"s3:GetObject"}, bucket, a.get("Key"), false)
			if c := r.Config; c.Get("InputType").Str() == "MANIFEST" || c.Has("ManifestType") {
				b, _ := g.quiet().bucket(bucket)
				g.find("PG13", bucket, "s3:GetObject", strings.Join(b, ", ")+"/*")
				for _, x := range b {
					g.allow(false, iam.Grant{Name: "MapItems", Actions: []string{"s3:GetObject"}, Resources: []string{x + "/*"}})
				}
			}
		}
	}
	if w := m.ResultWriter; w != nil && w.Resource != "" {
		a := g.r.args(st.Language, w.Arguments)
		a.at = "ResultWriter."
		g.objects("MapResults", []string{"s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"}, a.get("Bucket"), a.get("Prefix"), true)
	}
}

// quiet is the generator without its findings: for what has been told already.
func (g *generator) quiet() *generator {
	q := *g
	q.found = nil
	return &q
}

func (g *generator) bucket(k known) ([]string, bool) {
	return g.resolve(k, func(s string) string {
		if strings.HasPrefix(s, "arn:") {
			return s
		}
		return g.arn("s3", "", "", s)
	})
}

// objects are those of a key, or under a prefix.
func (g *generator) objects(name string, actions []string, bucket, key known, under bool) {
	buckets, sure := g.bucket(bucket)
	keys, known := []string{"*"}, true
	switch k := g.values(key); {
	case k.absent:
	case under && !k.dynamic():
		keys = nil
		for _, t := range k.texts {
			if t != "" && !strings.HasSuffix(t, "/") {
				t += "/"
			}
			keys = append(keys, iam.Literal(t)+"*")
		}
	default:
		keys, known = g.resolve(key, func(s string) string { return s })
		for i, s := range keys {
			if under && !strings.HasSuffix(s, "*") {
				keys[i] = s + "/*"
			}
		}
	}
	var rs []string
	for _, b := range buckets {
		for _, k := range keys {
			rs = append(rs, b+"/"+k)
		}
	}
	g.allow(sure && known, iam.Grant{Name: name, Actions: actions, Resources: rs})
}

// list allows listing a bucket, or what begins with a prefix.
func (g *generator) list(name string, bucket, prefix known) {
	buckets, sure := g.bucket(bucket)
	gr := iam.Grant{Name: name, Actions: []string{"s3:ListBucket"}, Resources: buckets}
	switch k := g.values(prefix); {
	case k.absent:
	case !k.dynamic() && len(k.texts) == 1:
		gr.Condition = one("StringLike", "s3:prefix", iam.Literal(k.texts[0]))
	case k.dynamic() && k.prefix != "":
		gr.Condition = one("StringLike", "s3:prefix", iam.Literal(k.prefix)+"*")
		sure = false
	}
	g.allow(sure, gr)
}

// The actions that log delivery and tracing need. They have no resource types.
var (
	logging = []string{
		"logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries",
		"logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
	}
	tracing = []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"}
)

func (g *generator) configuration() {
	if g.m.Logging {
		g.allow(true, iam.Grant{Name: "Logging", Actions: logging, Resources: []string{"*"}})
		g.find("PG12", known{field: "LoggingConfiguration"}, "logs:*")
	}
	if g.m.Tracing {
		g.allow(true, iam.Grant{Name: "Tracing", Actions: tracing, Resources: []string{"*"}})
		g.find("PG12", known{field: "TracingConfiguration"}, "xray:*")
	}
	if g.m.Key != "" {
		g.allow(true, iam.Grant{Name: "Encryption", Actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, Resources: []string{g.m.Key},
			Condition: one("StringEquals", "kms:EncryptionContext:aws:states:stateMachineArn", g.m.ARN())})
	}
}

const servicePrincipal = "states.amazonaws.com"

func (g *generator) result() (*Result, error) {
	r := &Result{Machine: g.m, Needs: g.own.needs}
	var err error
	if len(g.own.grants) > 0 {
		if r.Policy, err = iam.Merge(g.own.grants); err != nil {
			return nil, err
		}
		if r.Policy.Size() > iam.MaxInline {
			if r.Policies, err = r.Policy.Split(); err != nil {
				return nil, err
			}
			g.find("PG14", known{}, fmt.Sprint(r.Policy.Size()), fmt.Sprint(len(r.Policies)))
		}
	}
	for _, t := range g.targets {
		target := Target{Role: t.role}
		if len(t.grants) > 0 {
			if target.Policy, err = iam.Merge(t.grants); err != nil {
				return nil, err
			}
		}
		r.Targets = append(r.Targets, target)
	}
	if r.Trust, err = iam.Trust(servicePrincipal, g.m.ARN(), g.m.Account); err != nil {
		return nil, err
	}
	if r.Caller, err = iam.Merge([]iam.Grant{{Name: "PassRole", Actions: []string{"iam:PassRole"}, Resources: []string{g.roleARN()},
		Condition: one("StringEquals", "iam:PassedToService", servicePrincipal)}}); err != nil {
		return nil, err
	}
	r.Findings = g.found
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return r, nil
}

// RoleName is what the generated role is called.
func (m *Machine) RoleName() string {
	name := "StepFunctions-" + m.Name
	if len(name) > 64 {
		name = name[:64]
	}
	return name
}

func (g *generator) roleARN() string { return g.arn("iam", "", g.m.Account, "role/"+g.m.RoleName()) }
