package iam

import (
	"fmt"
	"slices"
	"strings"

	"tokaido/value"
)

// Layer is a stage of evaluation that can refuse, or that allowed.
type Layer uint8

// The layers, in the order in which they are evaluated and named.
const (
	NoLayer Layer = iota
	LayerSCP
	LayerRCP
	LayerResource
	LayerTrust
	LayerIdentity
	LayerBoundary
	LayerSession
	LayerRoot         // allowed: the account's root user needs no policy
	LayerBoth         // allowed across accounts: by identity and by resource
	LayerUnrestricted // allowed: the action needs no permission
	numLayers
)

var layerNames = [numLayers]string{"", "scp", "rcp", "resource", "trust", "identity", "boundary", "session", "root", "identity+resource", "unrestricted"}

func (l Layer) String() string {
	if l < numLayers {
		return layerNames[l]
	}
	return fmt.Sprintf("Layer(%d)", uint8(l))
}

// Test is a part of a statement that a request is held against.
type Test uint8

// The tests in the order in which they are made. Matched: none failed.
const (
	Matched Test = iota
	FailedPrincipal
	FailedAction
	FailedResource
	FailedCondition
	numTests
)

var testNames = [numTests]string{"", "Principal", "Action", "Resource", "Condition"}

// String names the element that failed; "" for Matched.
func (t Test) String() string {
	if t < numTests {
		return testNames[t]
	}
	return fmt.Sprintf("Test(%d)", uint8(t))
}

// Reason is what one statement said to a request.
type Reason struct {
	Layer     Layer
	Level     int    // of an SCP or RCP: 0 is the root
	Policy    string // its name
	ARN       string // "" if inline
	Owner     string
	Statement int // from 0
	Sid       string
	Allow     bool
	Failed    Test   // Matched: it applied
	Condition string // FailedCondition: operator and key of the first that was not met, e.g. "StringEquals aws:RequestedRegion"
}

// Decision is the answer to a Request.
type Decision struct {
	Request   Request
	Allowed   bool
	Explicit  bool   // denied by a Deny statement
	Layer     Layer  // which allowed, or which refused
	PolicyARN string // of a Deny: the managed policy in which it stands; "" if inline
	By        Reason // the statement that decided; zero if it was the absence of one

	policies *Policies
	reasons  []Reason // of a decision that came from the trail
}

// Policies are those that the decision was made with, which must not be changed;
// nil of a decision that came from the trail.
func (d *Decision) Policies() *Policies { return d.policies }

// Reasons lists every statement that was looked at, layer by layer, with the
// first test it failed. It is made when asked for, by deciding once more:
// decisions are many, and few are ever asked why.
func (d *Decision) Reasons() []Reason {
	if d.policies == nil {
		return d.reasons
	}
	var rs []Reason
	r := d.Request
	evaluate(d.policies, &r, &rs)
	return rs
}

// how AWS calls the layers in the reason of a refusal: silent follows "because
// no", deny follows "with an explicit deny in".
var layerWords = [numLayers]struct{ silent, deny string }{
	LayerSCP:      {"service control policy", "a service control policy"},
	LayerRCP:      {"resource control policy", "a resource control policy"},
	LayerResource: {"resource-based policy", "a resource-based policy"},
	LayerTrust:    {"role trust policy", "the role trust policy"},
	LayerIdentity: {"identity-based policy", "an identity-based policy"},
	LayerBoundary: {"permissions boundary", "a permissions boundary"},
	LayerSession:  {"session policy", "a session policy"},
}

// Message is AWS's AccessDenied text for a refusal; "" if d allowed.
func (d *Decision) Message() string {
	if d.Allowed {
		return ""
	}
	user := d.Request.By.ARN
	switch {
	case user != "":
	case d.Request.By.Service != "":
		user = d.Request.By.Service
	default:
		user = "anonymous"
	}
	action, resource := spoken(d.Request.Action, d.Request.Resource)
	var b strings.Builder
	fmt.Fprintf(&b, "User: %s is not authorized to perform: %s", user, action)
	if resource != "" {
		b.WriteString(" on resource: " + resource)
	}
	switch w := layerWords[d.Layer]; {
	case isAssume(strings.ToLower(action)) && d.Layer == LayerTrust && !d.Explicit:
		// STS does not say that it was the trust policy.
	case d.Explicit:
		b.WriteString(" with an explicit deny in " + w.deny)
		if d.PolicyARN != "" {
			b.WriteString(": " + d.PolicyARN)
		}
	case w.silent != "":
		fmt.Fprintf(&b, " because no %s allows the %s action", w.silent, action)
	}
	return b.String()
}

// spoken returns action and resource as the service words them in a refusal.
func spoken(action, resource string) (string, string) {
	service, name, _ := strings.Cut(action, ":")
	switch service {
	case "s3":
		if resource != "*" {
			resource = `"` + resource + `"`
		}
	case "sqs":
		action = strings.ToLower(action)
	case "sns":
		action = "SNS:" + name
	case "iam":
		_, rest, ok := strings.Cut(resource, ":user/")
		if ok && rest != "*" {
			return action, "user " + last(rest)
		}
		if _, rest, ok = strings.Cut(resource, ":role/"); ok && rest != "*" && name != "PassRole" {
			return action, "role " + last(rest)
		}
		if _, rest, ok = strings.Cut(resource, ":group/"); ok && rest != "*" {
			return action, "group " + last(rest)
		}
		if strings.Contains(resource, ":policy/") {
			return action, "policy " + resource
		}
	}
	return action, resource
}

// last is a name without its path.
func last(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// MaxReasons bounds how many reasons the trail keeps of one decision; those
// that come nearest to deciding otherwise are kept.
const MaxReasons = 64

// Value is d as the trail keeps it: all that Explain needs but the policies
// themselves. An allowed decision carries only the statement that allowed.
func (d *Decision) Value() value.Value {
	str := func(s string) value.Value {
		if s == "" {
			return value.Value{}
		}
		return value.String(s)
	}
	by := &d.Request.By
	m := []value.Member{
		{Key: "caller", Value: value.Object(
			value.Member{Key: "type", Value: str(by.Type)},
			value.Member{Key: "arn", Value: str(by.ARN)},
			value.Member{Key: "account", Value: str(by.Account)},
			value.Member{Key: "id", Value: str(by.ID)},
			value.Member{Key: "roleArn", Value: str(by.RoleARN)},
			value.Member{Key: "sessionName", Value: str(by.SessionName)},
			value.Member{Key: "service", Value: str(by.Service)},
			value.Member{Key: "root", Value: truth(by.Root)},
		)},
		{Key: "action", Value: value.String(d.Request.Action)},
		{Key: "resource", Value: value.String(d.Request.Resource)},
		{Key: "resourceAccount", Value: str(d.Request.ResourceAccount)},
		{Key: "context", Value: d.Request.Context.value()},
		{Key: "global", Value: d.Request.Global.value()},
		{Key: "allowed", Value: value.Bool(d.Allowed)},
		{Key: "explicit", Value: truth(d.Explicit)},
		{Key: "layer", Value: str(d.Layer.String())},
		{Key: "policyArn", Value: str(d.PolicyARN)},
	}
	if d.By.Layer != NoLayer {
		m = append(m, value.Member{Key: "by", Value: d.By.value()})
	}
	if !d.Allowed {
		m = append(m, value.Member{Key: "message", Value: value.String(d.Message())})
		if rs := nearest(d.Reasons()); len(rs) > 0 {
			vs := make([]value.Value, len(rs))
			for i := range rs {
				vs[i] = rs[i].value()
			}
			m = append(m, value.Member{Key: "reasons", Value: value.Array(vs...)})
		}
	}
	return value.Object(m...)
}

// nearest keeps at most MaxReasons: those that failed the latest test, in the
// order in which they came.
func nearest(rs []Reason) []Reason {
	if len(rs) <= MaxReasons {
		return rs
	}
	var n [numTests]int
	for i := range rs {
		n[rs[i].Failed]++
	}
	var keep []Reason
	room := MaxReasons
	var take [numTests]int
	for _, t := range []Test{Matched, FailedCondition, FailedResource, FailedAction, FailedPrincipal} {
		take[t] = min(n[t], room)
		room -= take[t]
	}
	for i := range rs {
		if t := rs[i].Failed; take[t] > 0 {
			take[t]--
			keep = append(keep, rs[i])
		}
	}
	return keep
}

func truth(b bool) value.Value {
	if !b {
		return value.Value{}
	}
	return value.Bool(true)
}

func (c Context) value() value.Value {
	if len(c) == 0 {
		return value.Value{}
	}
	m := make([]value.Member, 0, len(c))
	for _, a := range c {
		if a.Values == nil {
			continue
		}
		if !a.Multi && len(a.Values) == 1 {
			m = append(m, value.Member{Key: a.Key, Value: value.String(a.Values[0])})
			continue
		}
		vs := make([]value.Value, len(a.Values))
		for i, s := range a.Values {
			vs[i] = value.String(s)
		}
		m = append(m, value.Member{Key: a.Key, Value: value.Array(vs...)})
	}
	return value.Object(m...)
}

func contextFrom(v value.Value) (Context, error) {
	var c Context
	for k, x := range v.Members() {
		if !isStrings(x) {
			return nil, fmt.Errorf("context key %q is neither a string nor a list of strings", k)
		}
		c = append(c, Attribute{Key: k, Values: texts(x), Multi: x.IsArray()})
	}
	return c, nil
}

func (r *Reason) value() value.Value {
	effect := "Deny"
	if r.Allow {
		effect = "Allow"
	}
	str := func(s string) value.Value {
		if s == "" {
			return value.Value{}
		}
		return value.String(s)
	}
	var level value.Value
	if r.Level != 0 {
		level = value.Int(int64(r.Level))
	}
	return value.Object(
		value.Member{Key: "layer", Value: value.String(r.Layer.String())},
		value.Member{Key: "level", Value: level},
		value.Member{Key: "policy", Value: str(r.Policy)},
		value.Member{Key: "arn", Value: str(r.ARN)},
		value.Member{Key: "owner", Value: str(r.Owner)},
		value.Member{Key: "statement", Value: value.Int(int64(r.Statement))},
		value.Member{Key: "sid", Value: str(r.Sid)},
		value.Member{Key: "effect", Value: value.String(effect)},
		value.Member{Key: "failed", Value: str(r.Failed.String())},
		value.Member{Key: "condition", Value: str(r.Condition)},
	)
}

func reasonFrom(v value.Value) (Reason, error) {
	layer := slices.Index(layerNames[:], v.Get("layer").Str())
	failed := slices.Index(testNames[:], v.Get("failed").Str())
	statement, ok := v.Get("statement").Int()
	if layer < 0 || failed < 0 || !ok {
		return Reason{}, fmt.Errorf("not a reason: %s", v.JSON())
	}
	level, _ := v.Get("level").Int()
	return Reason{
		Layer: Layer(layer), Level: int(level), Policy: v.Get("policy").Str(), ARN: v.Get("arn").Str(), Owner: v.Get("owner").Str(),
		Statement: int(statement), Sid: v.Get("sid").Str(), Allow: v.Get("effect").Str() == "Allow",
		Failed: Test(failed), Condition: v.Get("condition").Str(),
	}, nil
}

// DecisionFromValue reads what Value made.
func DecisionFromValue(v value.Value) (Decision, error) {
	bad := func(why string, args ...any) (Decision, error) {
		return Decision{}, fmt.Errorf("iam: not a decision: "+why, args...)
	}
	if !v.Get("action").IsString() || !v.Get("resource").IsString() || v.Get("allowed").Kind() != value.KindBool {
		return bad("action, resource or allowed is missing")
	}
	layer := slices.Index(layerNames[:], v.Get("layer").Str())
	if layer < 0 {
		return bad("layer %q", v.Get("layer").Str())
	}
	c := v.Get("caller")
	d := Decision{
		Allowed: v.Get("allowed").Bool(), Explicit: v.Get("explicit").Bool(), Layer: Layer(layer), PolicyARN: v.Get("policyArn").Str(),
		Request: Request{
			By: Caller{
				Type: c.Get("type").Str(), ARN: c.Get("arn").Str(), Account: c.Get("account").Str(), ID: c.Get("id").Str(),
				RoleARN: c.Get("roleArn").Str(), SessionName: c.Get("sessionName").Str(), Service: c.Get("service").Str(), Root: c.Get("root").Bool(),
			},
			Authorization:   Authorization{Action: v.Get("action").Str(), Resource: v.Get("resource").Str()},
			ResourceAccount: v.Get("resourceAccount").Str(),
		},
	}
	var err error
	if d.Request.Context, err = contextFrom(v.Get("context")); err != nil {
		return bad("%v", err)
	}
	if d.Request.Global, err = contextFrom(v.Get("global")); err != nil {
		return bad("%v", err)
	}
	if by := v.Get("by"); !by.IsUndefined() {
		if d.By, err = reasonFrom(by); err != nil {
			return bad("%v", err)
		}
	}
	for _, x := range v.Get("reasons").Items() {
		r, err := reasonFrom(x)
		if err != nil {
			return bad("%v", err)
		}
		d.reasons = append(d.reasons, r)
	}
	return d, nil
}
